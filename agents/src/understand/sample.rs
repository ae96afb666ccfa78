//! What the sample submission says about the task.

use super::canonical;
use super::error::{UnderstandError, UnderstandErrorKind, quoted};
use ansatz_core::profile::{Column, Profile, Sample};

/// The sample submission, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SampleReading {
    /// Its id column: the first of several.
    pub(super) id: Option<String>,
    /// Its other columns.
    pub(super) columns: Vec<String>,
    /// Values of the first other column, at most five.
    pub(super) values: Vec<String>,
    /// How many different values that column has, counted to at most 1,000.
    pub(super) distinct: u64,
}

impl SampleReading {
    /// Reads the sample of a profile.
    pub(super) fn of(sample: &Sample) -> Option<Self> {
        let has_id = sample.columns.len() > 1;
        let first = usize::from(has_id);
        let columns: Vec<String> = sample.columns.iter().skip(first).cloned().collect();
        (!columns.is_empty()).then(|| Self {
            id: if has_id { sample.columns.first().cloned() } else { None },
            columns,
            values: sample.values.get(first).cloned().unwrap_or_default(),
            distinct: sample.distinct.get(first).copied().unwrap_or(0),
        })
    }

    /// The one answer column, when there is one only.
    pub(super) fn single(&self) -> Option<&str> {
        match self.columns.as_slice() {
            [column] => Some(column),
            _ => None,
        }
    }

    /// Whether a value of the first answer column has decimals that mean something, as `0.5` has and `1.0` has not.
    pub(super) fn is_fractional(&self) -> bool {
        self.values.iter().any(|value| value.parse::<f64>().is_ok_and(|number| number.fract() != 0.0))
    }

    /// Whether a value is written with a decimal point.
    pub(super) fn is_decimal(&self) -> bool {
        self.values.iter().any(|value| value.contains('.') && value.parse::<f64>().is_ok())
    }

    /// Whether all values are labels of the column.
    pub(super) fn holds_labels_of(&self, column: &Column) -> bool {
        let known: Vec<String> = column.top.iter().map(|(value, _)| canonical(value)).collect();
        !self.values.is_empty() && self.values.iter().all(|value| known.contains(&canonical(value)))
    }

    /// The labels of `column` that the answer columns stand for, in their order, when there is one column per label.
    pub(super) fn classes_of(&self, column: &Column) -> Option<Vec<String>> {
        /// Labels that may be missing on either side (a rare one, or one that the training file has never seen).
        const MATCHED_SHARE_MIN: f64 = 0.8;
        if self.columns.len() < 2 || column.top.len() < 2 {
            return None;
        }
        let known: Vec<String> = column.top.iter().map(|(value, _)| canonical(value)).collect();
        [self.columns.clone(), without_common_ends(&self.columns)].into_iter().find_map(|labels| {
            let labels: Vec<String> = labels.iter().map(|label| canonical(label)).collect();
            let matched = known.iter().filter(|label| labels.contains(label)).count() as f64;
            let enough = matched >= MATCHED_SHARE_MIN * known.len() as f64
                && (matched >= MATCHED_SHARE_MIN * labels.len() as f64
                    || column.distinct > known.len() as u64);
            enough.then_some(labels)
        })
    }
}

/// Names without what all of them begin or end with: `Class_1, Class_2` become `1, 2`.
fn without_common_ends(names: &[String]) -> Vec<String> {
    let Some(first) = names.first() else { return Vec::new() };
    let common = |a: &str, b: &str| a.chars().zip(b.chars()).take_while(|(x, y)| x == y).count();
    let reversed = |name: &str| name.chars().rev().collect::<String>();
    let prefix = names.iter().map(|name| common(first, name)).min().unwrap_or(0);
    let suffix = names.iter().map(|name| common(&reversed(first), &reversed(name))).min().unwrap_or(0);
    // A label may share letters with its neighbours: cut only up to a separator, `prob_` but not `A` of `Apple, Ant`.
    let cut_start = first.chars().take(prefix).collect::<Vec<_>>();
    let start = cut_start.iter().rposition(|c| !c.is_alphanumeric()).map_or(0, |at| at + 1);
    let cut_end: Vec<char> = first.chars().rev().take(suffix).collect();
    let end = cut_end.iter().rposition(|c| !c.is_alphanumeric()).map_or(0, |at| at + 1);
    names
        .iter()
        .map(|name| {
            let length = name.chars().count();
            name.chars().skip(start).take(length.saturating_sub(start + end)).collect()
        })
        .collect()
}

/// The column whose labels are the answer columns of the sample, and what it says when there is none.
pub(super) fn column_of_classes<'a>(
    sample: &SampleReading,
    profile: &'a Profile,
) -> Result<&'a Column, UnderstandError> {
    let in_train = |name: &String| profile.column(name).is_some_and(|column| column.in_train);
    let targets: Vec<&String> = sample.columns.iter().filter(|name| in_train(name)).collect();
    if targets.len() > 1 {
        let problem = format!(
            "it asks for {} columns of the training file at once: {}",
            targets.len(),
            quoted(&targets)
        );
        let hint = "one target per run: name it with --target, and give a sample with the id and that column";
        return Err(UnderstandError::new(UnderstandErrorKind::SampleUnexplained { problem }, hint));
    }
    let candidates = || profile.columns.iter().filter(|column| column.in_train);
    let train_only = candidates().filter(|column| !column.in_test);
    train_only.chain(candidates()).find(|column| sample.classes_of(column).is_some()).ok_or_else(|| {
        let problem = format!(
            "its columns {} are neither columns of the training file nor the values of one",
            quoted(&sample.columns)
        );
        let hint = "name the target with --target, or give the right file with --sample";
        UnderstandError::new(UnderstandErrorKind::SampleUnexplained { problem }, hint)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(names: &[&str], expected: &[&str]) {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        assert_eq!(without_common_ends(&names), expected, "{names:?}");
    }

    #[test]
    fn common_ends_are_cut_at_separators() {
        check(&["Class_1", "Class_2"], &["1", "2"]);
        check(&["prob_ant", "prob_ape"], &["ant", "ape"]);
        check(&["ant", "ape"], &["ant", "ape"]);
        check(&["low (p)", "high (p)"], &["low", "high"]);
    }
}
