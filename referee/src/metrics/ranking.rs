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

/// Rows by falling score, with the end of each group of equal scores marked.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Ranking {
    rows: Vec<u32>,
    positive: Vec<bool>,
    group_end: Vec<bool>,
}

impl Ranking {
    /// Orders rows by falling score. Scores must be finite.
    pub(crate) fn new(scores: &[f64], positive: impl Fn(usize) -> bool) -> Self {
        let mut rows: Vec<u32> = (0..scores.len() as u32).collect();
        rows.sort_unstable_by(|&a, &b| scores[b as usize].total_cmp(&scores[a as usize]));
        let end =
            |at: usize| at + 1 == rows.len() || scores[rows[at] as usize] != scores[rows[at + 1] as usize];
        let group_end = (0..rows.len()).map(end).collect();
        let positive = rows.iter().map(|&row| positive(row as usize)).collect();
        Self { rows, positive, group_end }
    }

    /// The statistic with one weight per row; `None` when a class has no weight.
    pub(crate) fn value(&self, statistic: RankStatistic, weight: impl Fn(usize) -> f64) -> Option<f64> {
        match statistic {
            RankStatistic::RocAuc => self.roc_auc(weight),
            RankStatistic::AveragePrecision => self.average_precision(weight),
        }
    }

    fn roc_auc(&self, weight: impl Fn(usize) -> f64) -> Option<f64> {
        let (mut above, mut wins, mut group_positive, mut group_negative) = (0.0, 0.0, 0.0, 0.0);
        let mut negatives = 0.0;
        for ((&row, &positive), &end) in self.rows.iter().zip(&self.positive).zip(&self.group_end) {
            let weight = weight(row as usize);
            if positive {
                group_positive += weight;
            } else {
                group_negative += weight;
            }
            if end {
                wins += group_negative * (above + 0.5 * group_positive);
                above += group_positive;
                negatives += group_negative;
                (group_positive, group_negative) = (0.0, 0.0);
            }
        }
        (above > 0.0 && negatives > 0.0).then(|| wins / (above * negatives))
    }

    fn average_precision(&self, weight: impl Fn(usize) -> f64) -> Option<f64> {
        let (mut seen, mut found, mut sum, mut group_positive) = (0.0, 0.0, 0.0, 0.0);
        for ((&row, &positive), &end) in self.rows.iter().zip(&self.positive).zip(&self.group_end) {
            let weight = weight(row as usize);
            seen += weight;
            if positive {
                group_positive += weight;
            }
            if end && group_positive > 0.0 {
                found += group_positive;
                sum += group_positive * found / seen;
                group_positive = 0.0;
            }
        }
        (found > 0.0).then(|| sum / found)
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
    ranking.value(statistic, |row| input::weight(weights, row)).ok_or_else(|| one_class(statistic))
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
    let values: Vec<f64> = (0..classes)
        .filter_map(|class| {
            ranking(predictions, truth, class, class as f64)
                .value(statistic, |row| input::weight(weights, row))
        })
        .collect();
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
