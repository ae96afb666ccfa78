//! From what a model says (probabilities, values) to what a metric reads or a submission wants (labels, legal values).
//!
//! A decision is fitted on out-of-fold predictions and then applied unchanged to sealed and test rows. It moves away
//! from the plain rule (the likelier class) only where the gain is beyond noise, and then to the middle of the good
//! region, not to the luckiest cut.

mod threshold;
mod weighting;

use ansatz_core::matrix::Matrix;
use ansatz_core::metric::{Metric, MetricError, MetricSpec, PredictionKind};
use ansatz_core::seed::Seed;
use serde::{Deserialize, Serialize};

/// The smallest count that is predicted.
const COUNT_MIN: f64 = 1e-9;

/// How raw predictions are turned into what a metric reads.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "rule", rename_all = "snake_case")]
pub enum Decision {
    /// As they are.
    AsIs,
    /// Class 1 where its probability is at least this.
    Threshold {
        /// The cut.
        at: f64,
    },
    /// The class with the largest product of probability and weight; equal products go to the lower index.
    Argmax {
        /// One factor per class.
        weights: Vec<f64>,
    },
    /// The value, but never below this.
    AtLeast {
        /// The smallest legal value.
        low: f64,
    },
}

impl Decision {
    /// The rule that needs no fitting: 0.5 for two classes, the likeliest of several.
    pub fn plain(spec: &MetricSpec, outputs: usize) -> Self {
        match spec.reads {
            PredictionKind::Label if outputs > 1 => Self::Argmax { weights: vec![1.0; outputs] },
            PredictionKind::Label => Self::Threshold { at: 0.5 },
            PredictionKind::Probability => Self::AsIs,
            PredictionKind::Value => match value_min(spec) {
                Some(low) => Self::AtLeast { low },
                None => Self::AsIs,
            },
        }
    }

    /// The rule that suits a metric, fitted on out-of-fold predictions. `raw` is one column (binary: probability of
    /// class 1; values) or one column per class.
    ///
    /// # Errors
    /// [`MetricError`] when shapes differ or the plain rule has no score on these rows.
    pub fn fit(metric: &dyn Metric, truth: &[f64], raw: &Matrix, seed: Seed) -> Result<Self, MetricError> {
        let plain = Self::plain(metric.spec(), raw.columns());
        match plain {
            Self::Threshold { .. } => threshold::fit(metric, truth, raw, seed),
            Self::Argmax { .. } => weighting::fit(metric, truth, raw, seed),
            _ => Ok(plain),
        }
    }

    /// What the metric reads. Row by row: no row influences another.
    pub fn apply(&self, raw: &Matrix) -> Matrix {
        match self {
            Self::AsIs => raw.clone(),
            Self::Threshold { at } => {
                Matrix::column(raw.data().iter().map(|value| f64::from(u8::from(value >= at))).collect())
            }
            Self::Argmax { weights } => {
                Matrix::column((0..raw.rows()).map(|row| heaviest(raw.row(row), weights) as f64).collect())
            }
            Self::AtLeast { low } => {
                let mut bounded = raw.clone();
                for value in bounded.data_mut() {
                    *value = value.max(*low);
                }
                bounded
            }
        }
    }

    /// The score of raw predictions after this decision.
    ///
    /// # Errors
    /// [`MetricError`] as [`Metric::score`].
    pub fn score(&self, metric: &dyn Metric, truth: &[f64], raw: &Matrix) -> Result<f64, MetricError> {
        metric.score(truth, &self.apply(raw), None)
    }
}

/// The index of the largest product; the lower of equal ones.
fn heaviest(probabilities: &[f64], weights: &[f64]) -> usize {
    let mut best = (0, f64::NEG_INFINITY);
    for (class, (probability, weight)) in probabilities.iter().zip(weights).enumerate() {
        if probability * weight > best.1 {
            best = (class, probability * weight);
        }
    }
    best.0
}

/// The smallest value that may be predicted under a metric: logarithms of values and deviances of counts are for values
/// that cannot be negative, and a deviance has no value for a prediction of 0.
pub fn value_min(spec: &MetricSpec) -> Option<f64> {
    match spec.name.as_str() {
        "rmsle" | "msle" => Some(0.0),
        "mean_poisson_deviance" => Some(COUNT_MIN),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::lookup;

    #[test]
    fn log_metrics_bound_values_below() {
        let metric = lookup("rmsle").unwrap();
        let raw = Matrix::column(vec![-2.0, 3.0]);
        let decision = Decision::fit(&*metric, &[0.0, 3.0], &raw, Seed(1)).unwrap();
        assert_eq!(decision.score(&*metric, &[0.0, 3.0], &raw).unwrap(), 0.0);
    }

    #[test]
    fn probabilities_are_left_alone() {
        let metric = lookup("roc_auc").unwrap();
        let raw = Matrix::column(vec![0.2, 0.7]);
        assert_eq!(Decision::fit(&*metric, &[0.0, 1.0], &raw, Seed(1)).unwrap(), Decision::AsIs);
    }

    #[test]
    fn the_plain_rule_of_several_classes_is_the_likeliest() {
        let metric = lookup("accuracy").unwrap();
        let raw = Matrix::new(2, 3, vec![0.2, 0.5, 0.3, 0.4, 0.4, 0.2]).unwrap();
        let labels = Decision::plain(metric.spec(), 3).apply(&raw);
        assert_eq!(labels.data(), [1.0, 0.0]);
    }
}
