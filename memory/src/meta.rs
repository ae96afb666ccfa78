//! What a data set looks like in numbers, so that like tasks can be found.

use ansatz_core::profile::{Column, ColumnKind, Profile};
use ansatz_core::task::{Problem, Task};
use serde::{Deserialize, Serialize};

/// Number of entries of [`MetaFeatures::vector`].
pub const META_FEATURES: usize = 17;

/// Facts about the data of a task. Columns are feature columns: neither target nor id.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct MetaFeatures {
    /// Rows of the training file.
    pub rows: u64,
    /// Feature columns.
    pub columns: u64,
    /// Numeric columns.
    pub numeric: u64,
    /// Categorical columns.
    pub categorical: u64,
    /// Columns of moments.
    pub datetime: u64,
    /// Text columns.
    pub text: u64,
    /// Missing cells, as a share of all.
    pub missing: f64,
    /// Columns with a missing cell, as a share of all.
    pub with_missing: f64,
    /// Classes; 0 for regression.
    pub classes: u64,
    /// Share of the rarest class times the number of classes: 1 is balanced. 0 for regression.
    pub balance: f64,
    /// Entropy of the classes as a share of the largest possible. 0 for regression.
    pub entropy: f64,
    /// Skewness of the target. 0 for classes.
    pub target_skew: f64,
    /// Distinct target values as a share of the rows.
    pub target_distinct: f64,
    /// Mean of the natural logarithm of (1 + distinct values) over categorical columns.
    pub cardinality: f64,
    /// Largest number of distinct values of a categorical column.
    pub cardinality_max: u64,
    /// Mean absolute skewness of the numeric columns.
    pub skew: f64,
    /// Numeric columns that hold whole numbers only, as a share of the numeric ones.
    pub whole: f64,
}

impl MetaFeatures {
    /// The facts that a profile and a task hold.
    pub fn of(profile: &Profile, task: &Task) -> Self {
        let is_feature = |column: &&Column| {
            column.in_train && column.name != task.target && Some(&column.name) != task.id.as_ref()
        };
        let columns: Vec<&Column> = profile.columns.iter().filter(is_feature).collect();
        let of_kind = |kind| columns.iter().copied().filter(move |column| column.kind == kind);
        let count = |kind| of_kind(kind).count() as u64;
        let target = profile.column(&task.target);
        let classes = if task.problem == Problem::Regression { &[][..] } else { class_shares(target) };
        Self {
            rows: profile.train_rows,
            columns: columns.len() as u64,
            numeric: count(ColumnKind::Numeric),
            categorical: count(ColumnKind::Categorical),
            datetime: count(ColumnKind::Datetime),
            text: count(ColumnKind::Text),
            missing: mean(columns.iter().map(|column| column.missing_train)),
            with_missing: mean(columns.iter().map(|column| f64::from(u8::from(column.missing_train > 0.0)))),
            classes: task.classes.len() as u64,
            balance: balance(classes, task.classes.len()),
            entropy: entropy(classes, task.classes.len()),
            target_skew: target
                .filter(|_| task.problem == Problem::Regression)
                .and_then(|target| target.skew)
                .unwrap_or(0.0),
            target_distinct: target
                .map_or(0.0, |target| target.distinct as f64 / (profile.train_rows.max(1) as f64)),
            cardinality: mean(
                of_kind(ColumnKind::Categorical).map(|column| (column.distinct as f64).ln_1p()),
            ),
            cardinality_max: of_kind(ColumnKind::Categorical)
                .map(|column| column.distinct)
                .max()
                .unwrap_or(0),
            skew: mean(of_kind(ColumnKind::Numeric).filter_map(|column| column.skew).map(f64::abs)),
            whole: mean(of_kind(ColumnKind::Numeric).map(|column| f64::from(u8::from(column.whole)))),
        }
        .cleaned()
    }

    /// The facts as numbers of like size: counts by natural logarithm, skewness by inverse hyperbolic sine, shares
    /// as they are; each then divided by a difference that matters (its scale). In order, with scales:
    /// rows 2, columns 1.5, rows per column 2, shares of numeric, categorical, datetime and text columns 0.5 each,
    /// missing cells 0.25, columns with missing cells 0.5, classes 1, balance 0.5, entropy 0.25, target skew 1,
    /// distinct targets 0.5, mean cardinality 1.5, largest cardinality 2, mean skew 1.
    pub fn vector(&self) -> [f64; META_FEATURES] {
        let (rows, columns) = (self.rows as f64, self.columns as f64);
        let share = |part: u64| part as f64 / columns.max(1.0);
        [
            rows.ln_1p() / 2.0,
            columns.ln_1p() / 1.5,
            (rows / columns.max(1.0)).ln_1p() / 2.0,
            share(self.numeric) / 0.5,
            share(self.categorical) / 0.5,
            share(self.datetime) / 0.5,
            share(self.text) / 0.5,
            self.missing / 0.25,
            self.with_missing / 0.5,
            (self.classes as f64).ln_1p(),
            self.balance / 0.5,
            self.entropy / 0.25,
            self.target_skew.asinh(),
            self.target_distinct / 0.5,
            self.cardinality / 1.5,
            (self.cardinality_max as f64).ln_1p() / 2.0,
            self.skew.asinh(),
        ]
    }

    /// Root mean square difference of the vectors: 0 for equal facts, about 1 when everything differs by a scale.
    pub fn distance(&self, other: &Self) -> f64 {
        let squares = self.vector().into_iter().zip(other.vector()).map(|(a, b)| (a - b) * (a - b));
        mean(squares).sqrt()
    }

    /// With 0 in place of what is not finite.
    #[must_use]
    pub(crate) fn cleaned(mut self) -> Self {
        for value in [
            &mut self.missing,
            &mut self.with_missing,
            &mut self.balance,
            &mut self.entropy,
            &mut self.target_skew,
            &mut self.target_distinct,
            &mut self.cardinality,
            &mut self.skew,
            &mut self.whole,
        ] {
            if !value.is_finite() {
                *value = 0.0;
            }
        }
        self
    }
}

/// Values of the target with their counts; a profile keeps all of what may be classes, up to 1,000.
fn class_shares(target: Option<&Column>) -> &[(String, u64)] {
    target.map_or(&[], |target| target.top.as_slice())
}

fn balance(counts: &[(String, u64)], classes: usize) -> f64 {
    let total: u64 = counts.iter().map(|(_, count)| count).sum();
    let rarest = counts.iter().map(|(_, count)| *count).min().unwrap_or(0);
    if total == 0 { 0.0 } else { rarest as f64 / total as f64 * classes as f64 }
}

fn entropy(counts: &[(String, u64)], classes: usize) -> f64 {
    let total: u64 = counts.iter().map(|(_, count)| count).sum();
    if total == 0 || classes < 2 {
        return 0.0;
    }
    let shares = counts.iter().filter(|(_, count)| *count > 0).map(|(_, count)| *count as f64 / total as f64);
    -shares.map(|share| share * share.ln()).sum::<f64>() / (classes as f64).ln()
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0u32), |(sum, count), value| (sum + value, count + 1));
    if count == 0 { 0.0 } else { sum / f64::from(count) }
}
