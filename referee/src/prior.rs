//! The best answer without looking: one prediction for every row.
//!
//! It is the first valid submission of a run and the score of "guessing" that lift is shown against.

use crate::decision::Decision;
use crate::gates::{FOREIGN_ROWS_MAX, spread_rows};
use crate::metrics;
use crate::statistics::quantile;
use ansatz_core::matrix::Matrix;
use ansatz_core::metric::{Metric, MetricError, PredictionKind};
use serde::{Deserialize, Serialize};

/// Values of the truth that are tried where no formula gives the best constant.
const TRIED_MAX: usize = 200;

/// The same for a metric that is not of the catalogue, which is dear to ask.
const FOREIGN_TRIED_MAX: usize = 20;

/// A constant prediction.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Prior {
    /// The raw output of every row: probability of class 1, probabilities of all classes, or a value.
    pub output: Vec<f64>,
    /// How the output becomes what the metric reads.
    pub decision: Decision,
    /// Its score on the rows that it was made from; `None` where the metric has none for a constant.
    pub score: Option<f64>,
}

impl Prior {
    /// The prediction for so many rows.
    pub fn predict(&self, rows: usize) -> Matrix {
        let mut matrix = Matrix::filled(rows, self.output.len(), 0.0);
        for row in 0..rows {
            matrix.row_mut(row).copy_from_slice(&self.output);
        }
        matrix
    }
}

/// The best constant for a metric. `outputs` is 1 for two classes and for values, else the number of classes.
///
/// # Errors
/// [`MetricError::Undefined`] without rows.
pub fn prior(metric: &dyn Metric, truth: &[f64], outputs: usize) -> Result<Prior, MetricError> {
    if truth.is_empty() {
        return Err(MetricError::Undefined("there are no rows".to_owned()));
    }
    let output = match metric.spec().reads {
        PredictionKind::Value => vec![constant(metric, truth)],
        _ => shares(truth, outputs),
    };
    let raw = Prior { output: output.clone(), decision: Decision::AsIs, score: None }.predict(truth.len());
    let decision = if metric.spec().reads == PredictionKind::Label {
        label_rule(metric, truth, &raw)
    } else {
        Decision::plain(metric.spec(), outputs)
    };
    let score = decision.score(metric, truth, &raw).ok();
    Ok(Prior { output, decision, score })
}

/// Class shares; the share of class 1 for one output.
fn shares(truth: &[f64], outputs: usize) -> Vec<f64> {
    let share = |class: usize| {
        let rows = truth.iter().filter(|value| **value == class as f64).count();
        rows as f64 / truth.len() as f64
    };
    if outputs == 1 { vec![share(1)] } else { (0..outputs).map(share).collect() }
}

/// The rule by which every row gets the one label that scores best, e.g. all positive under F1. The likeliest wins ties.
fn label_rule(metric: &dyn Metric, truth: &[f64], raw: &Matrix) -> Decision {
    let mut best = Decision::plain(metric.spec(), raw.columns());
    let score = |rule: &Decision| rule.score(metric, truth, raw).ok();
    let rivals: Vec<Decision> = if raw.columns() == 1 {
        [0.0, 1.0].map(|at| Decision::Threshold { at }).to_vec()
    } else {
        let only =
            |class: usize| (0..raw.columns()).map(|other| f64::from(u8::from(other == class))).collect();
        (0..raw.columns()).map(|class| Decision::Argmax { weights: only(class) }).collect()
    };
    for rival in rivals {
        let better = match (score(&rival), score(&best)) {
            (Some(rival), Some(best)) => metric.spec().direction.better(rival, best),
            (Some(_), None) => true,
            (None, _) => false,
        };
        if better {
            best = rival;
        }
    }
    best
}

fn constant(metric: &dyn Metric, truth: &[f64]) -> f64 {
    let mean = |values: &mut dyn Iterator<Item = f64>| values.sum::<f64>() / truth.len() as f64;
    match metric.spec().name.as_str() {
        "rmse" | "mse" | "r2" | "mean_poisson_deviance" => mean(&mut truth.iter().copied()),
        "rmsle" | "msle" => mean(&mut truth.iter().map(|value| value.ln_1p())).exp_m1(),
        "mae" => quantile(&rising(truth), 0.5),
        "max_error" => {
            let values = rising(truth);
            f64::midpoint(values[0], values[values.len() - 1])
        }
        _ => tried(metric, truth),
    }
}

fn rising(values: &[f64]) -> Vec<f64> {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values
}

/// The best among the mean and evenly spread quantiles of the truth.
fn tried(metric: &dyn Metric, truth: &[f64]) -> f64 {
    let values = rising(truth);
    let mean = truth.iter().sum::<f64>() / truth.len() as f64;
    let dear = !metrics::is_native(metric.spec());
    let places = if dear { FOREIGN_TRIED_MAX } else { TRIED_MAX };
    let places = (0..=places).map(|at| quantile(&values, at as f64 / places as f64));
    let rows = spread_rows(truth.len(), if dear { truth.len().min(FOREIGN_ROWS_MAX) } else { truth.len() });
    let truth: Vec<f64> = rows.iter().map(|&row| truth[row]).collect();
    let truth = truth.as_slice();
    let score = |value: f64| metric.score(truth, &Matrix::filled(truth.len(), 1, value), None).ok();
    let direction = metric.spec().direction;
    let mut best = (mean, score(mean));
    for value in places {
        if let Some(score) = score(value)
            && best.1.is_none_or(|best| direction.better(score, best))
        {
            best = (value, Some(score));
        }
    }
    best.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::lookup;
    use proptest::prelude::*;

    fn of(metric: &str, truth: &[f64], outputs: usize) -> Prior {
        prior(&*lookup(metric).unwrap(), truth, outputs).unwrap()
    }

    #[test]
    fn probabilities_are_class_shares() {
        assert_eq!(of("log_loss", &[0.0, 1.0, 1.0, 1.0], 1).output, [0.75]);
        assert_eq!(of("log_loss", &[0.0, 1.0, 2.0, 1.0], 3).output, [0.25, 0.5, 0.25]);
        assert_eq!(of("roc_auc", &[0.0, 1.0, 1.0, 0.0], 1).score, Some(0.5));
    }

    #[test]
    fn labels_follow_the_metric() {
        assert_eq!(of("accuracy", &[0.0, 0.0, 1.0], 1).score, Some(2.0 / 3.0));
        let f1 = of("f1", &[0.0, 0.0, 0.0, 1.0], 1);
        assert_eq!(f1.decision.apply(&f1.predict(2)).data(), [1.0, 1.0], "all positive beats none");
        assert_eq!(of("accuracy", &[0.0, 2.0, 2.0], 3).score, Some(2.0 / 3.0));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]

        #[test]
        fn no_other_constant_is_better(
            truth in proptest::collection::vec(0.1..50.0, 2..40),
            metric in prop_oneof![
                Just("rmse"), Just("mae"), Just("rmsle"), Just("max_error"), Just("mean_poisson_deviance"), Just("r2"),
            ],
            other in 0.1..50.0,
        ) {
            let metric = lookup(metric).unwrap();
            let prior = prior(&*metric, &truth, 1).unwrap();
            let rival = metric.score(&truth, &Matrix::filled(truth.len(), 1, other), None).unwrap();
            let gain = metric.spec().direction.gain(prior.score.unwrap()) - metric.spec().direction.gain(rival);
            prop_assert!(gain >= -1e-9, "{} {}", prior.score.unwrap(), rival);
        }
    }

    #[test]
    fn metrics_without_a_formula_try_values() {
        let truth = [1.0, 1.0, 1.0, 100.0];
        for metric in ["smape", "mape", "median_absolute_error"] {
            assert_eq!(of(metric, &truth, 1).output, [1.0], "{metric}");
        }
    }
}
