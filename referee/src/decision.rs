//! From what a model says (probabilities, values) to what a metric reads or a submission wants (labels, legal values).
//!
//! A decision is fitted on out-of-fold predictions and then applied unchanged to sealed and test rows. It moves away
//! from the plain rule (the likelier class) only where the gain is beyond noise, and then to the middle of the good
//! region, not to the luckiest cut.
//!
//! `ansatz_worker.bundle_predict` applies the same rules for a delivered model; `worker/testdata/decisions.jsonl` holds both
//! to the same answers.

mod calibration;
mod ordinal;
mod threshold;
mod weighting;

use crate::gates;
use crate::metrics::PROBABILITY_FLOOR;
use crate::resample::Resampling;
use crate::statistics::normal_share;
use ansatz_core::matrix::Matrix;
use ansatz_core::metric::{Metric, MetricError, MetricSpec, PredictionKind};
use ansatz_core::seed::Seed;
use serde::{Deserialize, Serialize};

/// The smallest count that is predicted where nothing is known of the targets.
const COUNT_MIN: f64 = 1e-9;

/// The smallest count that is predicted, as a share of the mean target. A deviance charges a row that was predicted to be
/// nearly impossible more than any number of good rows can make up for.
const COUNT_SHARE_MIN: f64 = 1e-3;

/// How sure a rule must be better than a simpler one before that is left.
const P_BETTER: f64 = 0.95;

/// Rows visited by one quick comparison of two rules.
const QUICK_VISITS_MAX: usize = 500_000;

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
    /// Classes in order: as many as there are cuts at or below the expected class index.
    Cuts {
        /// The cuts, rising.
        at: Vec<f64>,
    },
    /// Probabilities whose odds are raised to one over this: above 1 they become less sure, below 1 surer.
    Temperature {
        /// The temperature.
        value: f64,
    },
    /// The value, but never below this.
    AtLeast {
        /// The smallest legal value.
        low: f64,
    },
}

/// How much work a fit may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effort {
    /// For what is delivered, once in a run.
    Thorough,
    /// For every candidate, so that candidates can be told apart.
    Quick,
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

    /// The same with what the targets say of the smallest value that a model should predict.
    pub fn suited(spec: &MetricSpec, outputs: usize, truth: &[f64]) -> Self {
        match Self::plain(spec, outputs) {
            Self::AtLeast { low } if low > 0.0 => {
                let mean = truth.iter().sum::<f64>() / truth.len() as f64;
                Self::AtLeast { low: low.max(COUNT_SHARE_MIN * mean) }
            }
            plain => plain,
        }
    }

    /// The rule that suits a metric, fitted on out-of-fold predictions. `raw` is one column (binary: probability of
    /// class 1; values) or one column per class.
    ///
    /// # Errors
    /// [`MetricError`] when shapes differ or the plain rule has no score on these rows.
    pub fn fit(metric: &dyn Metric, truth: &[f64], raw: &Matrix, seed: Seed) -> Result<Self, MetricError> {
        Self::fitted(metric, truth, raw, Effort::Thorough, seed)
    }

    /// The rule that a metric of labels needs, fitted with so little work that it can be done for every candidate of a
    /// search. Under other metrics it is the rule that needs no fitting.
    ///
    /// # Errors
    /// [`MetricError`] when shapes differ or there are no rows.
    pub fn fit_quickly(
        metric: &dyn Metric,
        truth: &[f64],
        raw: &Matrix,
        seed: Seed,
    ) -> Result<Self, MetricError> {
        Self::fitted(metric, truth, raw, Effort::Quick, seed)
    }

    fn fitted(
        metric: &dyn Metric,
        truth: &[f64],
        raw: &Matrix,
        effort: Effort,
        seed: Seed,
    ) -> Result<Self, MetricError> {
        if raw.rows() != truth.len() {
            let (expected, found) = (format!("{} rows", truth.len()), format!("{} rows", raw.rows()));
            return Err(MetricError::Shape { expected, found });
        }
        if truth.is_empty() {
            return Err(MetricError::Undefined("there are no rows".to_owned()));
        }
        let plain = Self::suited(metric.spec(), raw.columns(), truth);
        if effort == Effort::Thorough {
            plain.score(metric, truth, raw)?;
        }
        match plain {
            Self::Threshold { .. } => Ok(threshold::fit(metric, truth, raw, effort, seed)),
            Self::Argmax { .. } if ordinal::suits(metric) => ordinal::fit(metric, truth, raw, effort, seed),
            Self::Argmax { .. } => weighting::fit(metric, truth, raw, effort, seed),
            Self::AsIs if effort == Effort::Thorough && calibration::suits(metric) => {
                calibration::fit(metric, truth, raw, seed)
            }
            _ => Ok(plain),
        }
    }

    /// What the metric reads. Row by row: no row influences another.
    pub fn apply(&self, raw: &Matrix) -> Matrix {
        let by_row = |label: &dyn Fn(&[f64]) -> usize| {
            Matrix::column((0..raw.rows()).map(|row| label(raw.row(row)) as f64).collect())
        };
        match self {
            Self::AsIs => raw.clone(),
            Self::Threshold { at } => {
                Matrix::column(raw.data().iter().map(|value| f64::from(u8::from(value >= at))).collect())
            }
            Self::Argmax { weights } => by_row(&|probabilities| heaviest(probabilities, weights)),
            Self::Cuts { at } => by_row(&|probabilities| {
                let expected = expected_class(probabilities);
                at.iter().filter(|cut| **cut <= expected).count()
            }),
            Self::Temperature { value } => {
                let mut tempered = raw.clone();
                for row in 0..tempered.rows() {
                    raise(tempered.row_mut(row), 1.0 / value);
                }
                tempered
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

    /// Class indices: by this rule where it makes labels, else the likelier class.
    pub fn labels(&self, raw: &Matrix) -> Matrix {
        match self {
            Self::Threshold { .. } | Self::Argmax { .. } | Self::Cuts { .. } => self.apply(raw),
            _ if raw.columns() == 1 => Self::Threshold { at: 0.5 }.apply(raw),
            _ => Self::Argmax { weights: vec![1.0; raw.columns()] }.apply(raw),
        }
    }

    /// Probabilities: by this rule where it changes them, else as they are.
    pub fn probabilities(&self, raw: &Matrix) -> Matrix {
        match self {
            Self::Temperature { .. } => self.apply(raw),
            _ => raw.clone(),
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

/// The mean of the class indices under a row's probabilities; 0 where they are all 0.
fn expected_class(probabilities: &[f64]) -> f64 {
    let sum: f64 = probabilities.iter().sum();
    let weighted: f64 = probabilities.iter().enumerate().map(|(class, share)| class as f64 * share).sum();
    if sum > 0.0 { weighted / sum } else { 0.0 }
}

/// Raises the odds of a row's probabilities to a power; one probability alone is that of class 1 of two.
fn raise(probabilities: &mut [f64], power: f64) {
    let raised = |probability: f64| probability.max(PROBABILITY_FLOOR).powf(power);
    if let [positive] = probabilities {
        let (above, below) = (raised(*positive), raised(1.0 - *positive));
        *positive = above / (above + below);
        return;
    }
    let mut sum = 0.0;
    for probability in probabilities.iter_mut() {
        *probability = raised(*probability);
        sum += *probability;
    }
    for probability in probabilities {
        *probability /= sum;
    }
}

/// Whether the first of two rules is better than the second on the same rows, beyond doubt.
fn is_better(
    metric: &dyn Metric,
    truth: &[f64],
    raw: &Matrix,
    rivals: [&Decision; 2],
    effort: Effort,
    seed: Seed,
) -> Result<bool, MetricError> {
    let [rival, simpler] = rivals.map(|decision| decision.apply(raw));
    let p_better = match effort {
        Effort::Thorough => gates::compare(metric, truth, &rival, &simpler, None, seed)?.p_better,
        Effort::Quick => {
            let pair = [&rival, &simpler];
            let gains = gates::paired(metric, truth, pair, &Resampling::Rows, QUICK_VISITS_MAX, seed)?;
            normal_share(gains.observed, gains.error())
        }
    };
    Ok(p_better > P_BETTER)
}

/// The smallest value that may be predicted under a metric: logarithms of values and deviances of counts are for values
/// that cannot be negative, and a deviance has no value for a prediction of 0.
fn value_min(spec: &MetricSpec) -> Option<f64> {
    match spec.name.as_str() {
        "rmsle" | "msle" => Some(0.0),
        "mean_poisson_deviance" | "mean_gamma_deviance" => Some(COUNT_MIN),
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

    #[test]
    fn counts_are_not_predicted_to_be_nearly_impossible() {
        let metric = lookup("mean_poisson_deviance").unwrap();
        let (truth, raw) = ([4.0, 0.0, 8.0], Matrix::column(vec![5.0, -1.0, 0.0]));
        let decision = Decision::fit(&*metric, &truth, &raw, Seed(1)).unwrap();
        assert_eq!(decision, Decision::AtLeast { low: 4e-3 });
        let plain = Decision::plain(metric.spec(), 1);
        let score = |decision: &Decision| decision.score(&*metric, &truth, &raw).unwrap();
        assert!(score(&decision) < 0.75 * score(&plain), "{} {}", score(&decision), score(&plain));
        // Without any count above 0 a prediction must be above 0 all the same.
        assert_eq!(Decision::suited(metric.spec(), 1, &[0.0, 0.0]), Decision::AtLeast { low: COUNT_MIN });
    }

    /// Lines that the worker's tests read too, so that a delivered model decides as the referee does.
    #[test]
    fn decisions_are_those_of_the_worker() {
        #[derive(Deserialize)]
        struct Case {
            rule: Decision,
            raw: Vec<Vec<f64>>,
            decided: Vec<Vec<f64>>,
        }
        let matrix = |rows: &[Vec<f64>]| Matrix::new(rows.len(), rows[0].len(), rows.concat()).unwrap();
        let lines = include_str!("../../worker/testdata/decisions.jsonl");
        for line in lines.lines() {
            let case: Case = serde_json::from_str(line).unwrap();
            let (decided, expected) = (case.rule.apply(&matrix(&case.raw)), matrix(&case.decided));
            assert_eq!((decided.rows(), decided.columns()), (expected.rows(), expected.columns()), "{line}");
            let is_near = |(a, b): (&f64, &f64)| (a - b).abs() < 1e-12;
            assert!(decided.data().iter().zip(expected.data()).all(is_near), "{line}: {decided:?}");
        }
        assert_eq!(lines.lines().count(), 9);
    }

    #[test]
    fn labels_and_probabilities_are_there_whatever_the_rule_is_for() {
        let raw = Matrix::new(2, 3, vec![0.2, 0.5, 0.3, 0.4, 0.35, 0.25]).unwrap();
        let warm = Decision::Temperature { value: 2.0 };
        assert_eq!(warm.labels(&raw).data(), [1.0, 0.0]);
        assert_ne!(warm.probabilities(&raw), raw);
        let cuts = Decision::Cuts { at: vec![0.9, 1.5] };
        assert_eq!(cuts.labels(&raw).data(), [1.0, 0.0]);
        assert_eq!(cuts.probabilities(&raw), raw);
        assert_eq!(Decision::AsIs.labels(&Matrix::column(vec![0.5, 0.4])).data(), [1.0, 0.0]);
    }

    #[test]
    fn shapes_that_differ_are_refused() {
        let metric = lookup("f1").unwrap();
        let raw = Matrix::column(vec![0.2]);
        assert!(Decision::fit_quickly(&*metric, &[0.0, 1.0], &raw, Seed(1)).is_err());
    }
}
