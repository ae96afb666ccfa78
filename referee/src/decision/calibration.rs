//! One temperature for probabilities that are too sure of themselves, or not sure enough.
//!
//! All odds are raised to one power, which leaves every order of rows as it is. Blends of models are often not sure enough,
//! single boosters too sure; a single number can be told apart from noise on few rows already.

use super::{Decision, Effort, is_better};
use crate::gates::spread_rows;
use crate::metrics::{self, Formula, RowLoss};
use ansatz_core::matrix::Matrix;
use ansatz_core::metric::{Metric, MetricError};
use ansatz_core::seed::Seed;

/// Temperatures are looked for between this and one over it.
const TEMPERATURE_MAX: f64 = 4.0;

/// Halvings, roughly, of what is left of that range.
const STEPS: usize = 24;

/// Probabilities that are read at most, but never fewer than [`ROWS_MIN`] rows.
const CELLS_MAX: usize = 200_000;

/// See [`CELLS_MAX`].
const ROWS_MIN: usize = 2_000;

/// Whether a metric takes probabilities at their word, rather than their order alone.
pub(super) fn suits(metric: &dyn Metric) -> bool {
    matches!(
        metrics::formula(metric.spec()),
        Some(Formula::Rows(RowLoss::Log | RowLoss::Brier | RowLoss::BrierSum, _))
    )
}

/// Fits the temperature on out-of-fold predictions.
pub(super) fn fit(
    metric: &dyn Metric,
    truth: &[f64],
    raw: &Matrix,
    seed: Seed,
) -> Result<Decision, MetricError> {
    let rows_max = (CELLS_MAX / raw.columns().max(1)).max(ROWS_MIN);
    let rows = spread_rows(truth.len(), truth.len().min(rows_max));
    let few_truth: Vec<f64> = rows.iter().map(|&row| truth[row]).collect();
    let few = raw.take(&rows);
    let gain = |logarithm: f64| {
        let score = Decision::Temperature { value: logarithm.exp() }.score(metric, &few_truth, &few);
        score.map_or(f64::NEG_INFINITY, |score| metric.spec().direction.gain(score))
    };
    let rival = Decision::Temperature { value: top_of(gain, TEMPERATURE_MAX.ln()).exp() };
    let is_worth_it = is_better(metric, truth, raw, [&rival, &Decision::AsIs], Effort::Thorough, seed)?;
    Ok(if is_worth_it { rival } else { Decision::AsIs })
}

/// Where a function with one hill is highest, from minus the limit to the limit: by golden sections.
fn top_of(hill: impl Fn(f64) -> f64, limit: f64) -> f64 {
    let share = (5.0_f64.sqrt() - 1.0) / 2.0;
    let (mut low, mut high) = (-limit, limit);
    let (mut left, mut right) = (high - share * (high - low), low + share * (high - low));
    let (mut at_left, mut at_right) = (hill(left), hill(right));
    for _ in 0..STEPS {
        if at_left < at_right {
            (low, left, at_left) = (left, right, at_right);
            right = low + share * (high - low);
            at_right = hill(right);
        } else {
            (high, right, at_right) = (right, left, at_left);
            left = high - share * (high - low);
            at_left = hill(left);
        }
    }
    f64::midpoint(low, high)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::lookup;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    /// Rows that are what their probabilities say, told at a temperature: 0.5 means that the odds are told squared.
    fn told(rows: usize, temperature: f64, seed: u64) -> (Vec<f64>, Matrix) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let honest: Vec<f64> = (0..rows).map(|_| 0.02 + 0.96 * rng.random::<f64>()).collect();
        let truth = honest.iter().map(|p| f64::from(u8::from(rng.random::<f64>() < *p))).collect();
        let told = Decision::Temperature { value: temperature }.apply(&Matrix::column(honest));
        (truth, told)
    }

    fn temperature(metric: &str, truth: &[f64], raw: &Matrix) -> Option<f64> {
        match Decision::fit(&*lookup(metric).unwrap(), truth, raw, Seed(1)).unwrap() {
            Decision::Temperature { value } => Some(value),
            Decision::AsIs => None,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn probabilities_that_are_too_sure_are_cooled_down_and_timid_ones_heated() {
        for metric in ["log_loss", "brier_score", "d2_log_loss_score", "d2_brier_score"] {
            for (told_at, expected) in [(0.5, 2.0), (2.0, 0.5)] {
                let (truth, raw) = told(4000, told_at, 1);
                let found = temperature(metric, &truth, &raw).unwrap();
                assert!((found / expected).ln().abs() < 0.15, "{metric}: {found}, not {expected}");
                let (fresh_truth, fresh) = told(4000, told_at, 2);
                let own = lookup(metric).unwrap();
                let gain = |decision: Decision| {
                    own.spec().direction.gain(decision.score(&*own, &fresh_truth, &fresh).unwrap())
                };
                assert!(gain(Decision::Temperature { value: found }) > gain(Decision::AsIs) + 0.005);
            }
        }
    }

    #[test]
    fn honest_probabilities_are_left_alone() {
        let kept = (0..20).filter(|&seed| {
            let (truth, raw) = told(600, 1.0, seed);
            temperature("log_loss", &truth, &raw).is_none()
        });
        assert!(kept.count() >= 19);
    }

    #[test]
    fn several_classes_have_one_temperature() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let (mut truth, mut data) = (Vec::new(), Vec::new());
        for _ in 0..3000 {
            let odds = [0; 3].map(|_| (4.0 * rng.random::<f64>()).exp());
            let total: f64 = odds.iter().sum();
            let draw = rng.random::<f64>() * total;
            truth.push(if draw < odds[0] {
                0.0
            } else if draw < odds[0] + odds[1] {
                1.0
            } else {
                2.0
            });
            data.extend(odds.map(|odd| odd / total));
        }
        let sure = Decision::Temperature { value: 0.5 }.apply(&Matrix::new(3000, 3, data).unwrap());
        let found = temperature("log_loss", &truth, &sure).unwrap();
        assert!((found / 2.0).ln().abs() < 0.15, "{found}");
        let cooled = Decision::Temperature { value: found }.apply(&sure);
        assert!((0..3000).all(|row| (cooled.row(row).iter().sum::<f64>() - 1.0).abs() < 1e-12));
    }

    #[test]
    fn metrics_of_order_and_quick_fits_leave_probabilities_alone() {
        let (truth, raw) = told(2000, 0.4, 1);
        let fit = |metric: &str| Decision::fit(&*lookup(metric).unwrap(), &truth, &raw, Seed(1)).unwrap();
        assert_eq!(fit("roc_auc"), Decision::AsIs);
        let log_loss = lookup("log_loss").unwrap();
        assert_eq!(Decision::fit_quickly(&*log_loss, &truth, &raw, Seed(1)), Ok(Decision::AsIs));
    }

    #[test]
    fn the_top_of_a_hill_is_found() {
        assert!((top_of(|x| -(x - 0.3).powi(2), 1.5) - 0.3).abs() < 1e-4);
        assert!((top_of(|x| x, 1.0) - 1.0).abs() < 1e-4);
    }
}
