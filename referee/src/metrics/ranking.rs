//! Metrics of rankings: only the order of the scores matters, ties count half.
//!
//! The order is found once and then read with any weights, so that a bootstrap replicate costs one pass.

use super::input;
use ansatz_core::matrix::Matrix;
use ansatz_core::metric::MetricError;

/// What is read off a ranking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RankStatistic {
    /// Area under the receiver operating characteristic: how often a positive stands above a negative.
    RocAuc,
    /// Mean precision at the positives, as scikit-learn's step-wise sum.
    AveragePrecision,
}

/// Rows by falling score. Each entry packs the row number, whether it is positive, and whether the next score differs:
/// one read per row, and no branch that the processor would have to guess.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Ranking(Vec<u32>);

const POSITIVE: u32 = 0b01;
const GROUP_END: u32 = 0b10;
const FLAGS: u32 = 2;

impl Ranking {
    /// Orders rows by falling score. Scores must be finite, rows fewer than 2³⁰.
    pub(crate) fn new(scores: &[f64], positive: impl Fn(usize) -> bool) -> Self {
        let mut rows: Vec<u32> = (0..scores.len() as u32).collect();
        rows.sort_unstable_by(|&a, &b| scores[b as usize].total_cmp(&scores[a as usize]));
        let end =
            |at: usize| at + 1 == rows.len() || scores[rows[at] as usize] != scores[rows[at + 1] as usize];
        let entry = |at: usize| {
            let flags = if positive(rows[at] as usize) { POSITIVE } else { 0 };
            (rows[at] << FLAGS) | flags | if end(at) { GROUP_END } else { 0 }
        };
        Self((0..rows.len()).map(entry).collect())
    }

    /// The statistic with one weight per row; `None` when a class has no weight.
    pub(crate) fn value<W: Weight>(&self, statistic: RankStatistic, weights: &[W]) -> Option<f64> {
        match statistic {
            RankStatistic::RocAuc => self.roc_auc(weights),
            RankStatistic::AveragePrecision => self.average_precision(weights),
        }
    }

    fn roc_auc<W: Weight>(&self, weights: &[W]) -> Option<f64> {
        let (mut above, mut negatives, mut wins) = (0.0, 0.0, 0.0);
        let (mut group, mut group_positive) = (0.0, 0.0);
        for entry in &self.0 {
            let weight = weights[(entry >> FLAGS) as usize].value();
            group += weight;
            group_positive += weight * f64::from(entry & POSITIVE);
            if entry & GROUP_END != 0 {
                let group_negative = group - group_positive;
                wins += group_negative * (above + 0.5 * group_positive);
                above += group_positive;
                negatives += group_negative;
                (group, group_positive) = (0.0, 0.0);
            }
        }
        (above > 0.0 && negatives > 0.0).then(|| wins / (above * negatives))
    }

    fn average_precision<W: Weight>(&self, weights: &[W]) -> Option<f64> {
        let (mut seen, mut found, mut sum, mut group_positive) = (0.0_f64, 0.0, 0.0, 0.0);
        for entry in &self.0 {
            let weight = weights[(entry >> FLAGS) as usize].value();
            seen += weight;
            group_positive += weight * f64::from(entry & POSITIVE);
            if entry & GROUP_END != 0 {
                found += group_positive;
                // Before the first row of weight above 0 both are 0.
                sum += group_positive * found / seen.max(f64::MIN_POSITIVE);
                group_positive = 0.0;
            }
        }
        (found > 0.0).then(|| sum / found)
    }
}

/// A weight of a row: a number, or a count of a bootstrap replicate.
pub(crate) trait Weight: Copy {
    /// As a number.
    fn value(self) -> f64;
}

impl Weight for f64 {
    #[inline]
    fn value(self) -> f64 {
        self
    }
}

impl Weight for u32 {
    #[inline]
    fn value(self) -> f64 {
        f64::from(self)
    }
}

/// The statistic of one column of scores of class 1.
pub(crate) fn binary(
    statistic: RankStatistic,
    truth: &[f64],
    predictions: &Matrix,
    weights: Option<&[f64]>,
) -> Result<f64, MetricError> {
    check(truth, predictions, weights, 1, 2)?;
    let ranking = ranking(predictions, truth, 0, 1.0);
    let value = match weights {
        Some(weights) => ranking.value(statistic, weights),
        None => ranking.value(statistic, &vec![1_u32; truth.len()]),
    };
    value.ok_or_else(|| one_class(statistic))
}

/// The mean over the classes that occur of the statistic of that class against the rest.
pub(crate) fn one_vs_rest(
    statistic: RankStatistic,
    truth: &[f64],
    predictions: &Matrix,
    weights: Option<&[f64]>,
) -> Result<f64, MetricError> {
    let classes = predictions.columns();
    check(truth, predictions, weights, classes, classes)?;
    let ones = vec![1.0; if weights.is_none() { truth.len() } else { 0 }];
    let weights = weights.unwrap_or(&ones);
    let of_class = |class| ranking(predictions, truth, class, class as f64).value(statistic, weights);
    let values: Vec<f64> = (0..classes).filter_map(of_class).collect();
    mean(&values).ok_or_else(|| one_class(statistic))
}

/// The ranking by one column of predictions for one class.
pub(crate) fn ranking(predictions: &Matrix, truth: &[f64], column: usize, class: f64) -> Ranking {
    let columns = predictions.columns();
    if columns == 1 {
        return Ranking::new(predictions.data(), |row| truth[row] == class);
    }
    let scores: Vec<f64> = predictions.data().iter().skip(column).step_by(columns).copied().collect();
    Ranking::new(&scores, |row| truth[row] == class)
}

/// The mean, or `None` of nothing.
pub(crate) fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// Refuses rows of weight above 0 that hold no class index or no finite score.
pub(crate) fn check(
    truth: &[f64],
    predictions: &Matrix,
    weights: Option<&[f64]>,
    columns: usize,
    classes: usize,
) -> Result<(), MetricError> {
    input::width(predictions, columns)?;
    for (row, &actual) in truth.iter().enumerate() {
        if input::weight(weights, row) > 0.0 {
            input::class(row, actual, classes, "truth")?;
            for &score in predictions.row(row) {
                input::finite(row, score, "prediction")?;
            }
        }
    }
    Ok(())
}

fn one_class(statistic: RankStatistic) -> MetricError {
    MetricError::Undefined(match statistic {
        RankStatistic::RocAuc => "ROC AUC needs rows of two classes".to_owned(),
        RankStatistic::AveragePrecision => "average precision needs at least one positive row".to_owned(),
    })
}
