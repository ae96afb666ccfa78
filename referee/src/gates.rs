//! The two gates: one for changing the incumbent, a far stricter one for claiming an improvement.
//!
//! Both read the same paired comparison on out-of-fold predictions. It must cost no more than 200 ms at 100,000 rows,
//! because it stands in the way of every promotion.

use crate::metrics::{self, Prepared};
use crate::resample::{Resampling, Sampler};
use crate::statistics;
use ansatz_core::matrix::Matrix;
use ansatz_core::metric::{Metric, MetricError};
use ansatz_core::seed::Seed;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// The incumbent changes when the challenger is better with more than this probability.
pub const P_PROMOTE: f64 = 0.6;

/// A claim of improvement may be wrong with this probability, all looks together.
pub const CLAIM_ALPHA: f64 = 0.05;

/// Most bootstrap replicates of a comparison.
const REPLICATES_MAX: usize = 2_000;

/// Fewest; with fewer than [`REPLICATES_COUNTED`] the probability comes from their standard error.
const REPLICATES_MIN: usize = 40;

/// From so many replicates on the share that favours the challenger is counted.
const REPLICATES_COUNTED: usize = 1_000;

/// Rows visited by all replicates of a comparison together: about 100 ms.
const VISITS_MAX: usize = 12_000_000;

/// A metric that is not ours is asked at most so often, about at most so many rows.
pub const FOREIGN_REPLICATES_MAX: usize = 200;
/// See [`FOREIGN_REPLICATES_MAX`].
pub const FOREIGN_ROWS_MAX: usize = 2_000;

/// How a challenger did against an incumbent on the same rows.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// Gain of the challenger in the metric's unit, positive being better whatever the direction.
    pub gain: f64,
    /// Standard error of the gain.
    pub error: f64,
    /// Probability that the challenger is better; 0.5 when nothing tells them apart.
    pub p_better: f64,
    /// Bootstrap replicates behind it.
    pub replicates: u32,
}

/// Compares two sets of predictions, each as the metric reads them, by paired bootstrap. `groups`, when given, are
/// drawn whole.
///
/// # Errors
/// [`MetricError`] when shapes differ or either score is undefined on all rows.
pub fn compare(
    metric: &dyn Metric,
    truth: &[f64],
    challenger: &Matrix,
    incumbent: &Matrix,
    groups: Option<&[i64]>,
    seed: Seed,
) -> Result<Comparison, MetricError> {
    let resampling = groups.map_or(Resampling::Rows, |groups| {
        Resampling::suited(ansatz_core::task::Problem::Regression, truth, Some(groups), None)
    });
    let gains = paired(metric, truth, [challenger, incumbent], &resampling, VISITS_MAX, seed)?;
    let gain = gains.observed;
    let error = gains.error();
    let p_better = if gains.values.len() >= REPLICATES_COUNTED && gains.scale == 1.0 {
        statistics::share_above(&gains.values, 0.0)
    } else {
        statistics::normal_share(gain, error)
    };
    Ok(Comparison { gain, error, p_better, replicates: gains.values.len() as u32 })
}

/// Whether the challenger takes the incumbent's place. When nothing tells them apart, the simpler one holds it.
pub fn promotes(comparison: &Comparison, challenger_is_simpler: bool) -> bool {
    let tie = (1.0 - P_PROMOTE..=P_PROMOTE).contains(&comparison.p_better);
    comparison.p_better > P_PROMOTE || (tie && challenger_is_simpler)
}

/// Whether an improvement may be claimed after so many looks (comparisons that could have led to a claim, this one
/// included): the allowed error is divided among them.
pub fn claims(comparison: &Comparison, looks: u32) -> bool {
    comparison.p_better > claim_level(looks)
}

/// The probability that a claim needs after so many looks.
pub fn claim_level(looks: u32) -> f64 {
    1.0 - CLAIM_ALPHA / f64::from(looks.max(1))
}

/// Replicates of a paired gain. `scale` turns their spread into that of all rows, where only a part was visited.
pub(crate) struct Gains {
    /// The gain on all rows.
    pub(crate) observed: f64,
    pub(crate) values: Vec<f64>,
    pub(crate) scale: f64,
}

impl Gains {
    /// Standard error of the gain on all rows.
    pub(crate) fn error(&self) -> f64 {
        statistics::deviation(&self.values) * self.scale
    }
}

/// Bootstrap replicates of the gain of the first predictions over the second.
pub(crate) fn paired(
    metric: &dyn Metric,
    truth: &[f64],
    rivals: [&Matrix; 2],
    resampling: &Resampling,
    visits_max: usize,
    seed: Seed,
) -> Result<Gains, MetricError> {
    let direction = metric.spec().direction;
    let gain = |first: f64, second: f64| direction.gain(first) - direction.gain(second);
    if !metrics::is_native(metric.spec()) && truth.len() > FOREIGN_ROWS_MAX {
        let rows = spread_rows(truth.len(), FOREIGN_ROWS_MAX);
        let truth_part: Vec<f64> = rows.iter().map(|&row| truth[row]).collect();
        let (first, second) = (rivals[0].take(&rows), rivals[1].take(&rows));
        let gains =
            paired(metric, &truth_part, [&first, &second], &resampling.take(&rows), visits_max, seed)?;
        let observed = gain(metric.score(truth, rivals[0], None)?, metric.score(truth, rivals[1], None)?);
        return Ok(Gains { observed, scale: (rows.len() as f64 / truth.len() as f64).sqrt(), ..gains });
    }
    let first = Prepared::new(metric, truth, rivals[0])?;
    let second = Prepared::new(metric, truth, rivals[1])?;
    let observed = gain(first.all()?, second.all()?);
    let replicates = replicates(visits_max, first.visits() + second.visits(), first.is_foreign());
    let mut sampler = Sampler::new(resampling, truth.len(), 1.0);
    let mut rng = ChaCha8Rng::seed_from_u64(seed.derive("paired").0);
    let mut counts = vec![0; truth.len()];
    let mut values = Vec::with_capacity(replicates);
    if first.is_foreign() {
        let drawn: Vec<Vec<u32>> = (0..replicates)
            .map(|_| {
                sampler.draw(&mut counts, &mut rng);
                counts.clone()
            })
            .collect();
        let pairs = first.scores(&drawn).into_iter().zip(second.scores(&drawn));
        values.extend(pairs.filter_map(|(first, second)| Some(gain(first?, second?))));
        return Ok(Gains { observed, values, scale: 1.0 });
    }
    for _ in 0..replicates {
        sampler.draw(&mut counts, &mut rng);
        if let (Some(first), Some(second)) = (first.score(&counts), second.score(&counts)) {
            values.push(gain(first, second));
        }
    }
    Ok(Gains { observed, values, scale: 1.0 })
}

/// How many replicates the allowed visits pay for.
pub(crate) fn replicates(visits_max: usize, visits_each: usize, foreign: bool) -> usize {
    let most = if foreign { FOREIGN_REPLICATES_MAX } else { REPLICATES_MAX };
    (visits_max / visits_each.max(1)).clamp(REPLICATES_MIN, most)
}

/// So many row numbers, evenly spread.
pub(crate) fn spread_rows(rows: usize, wanted: usize) -> Vec<usize> {
    (0..wanted).map(|at| at * rows / wanted).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::lookup;
    use rand::Rng;

    /// Truth, a good ranking and a slightly worse one.
    fn rivals(rows: usize, worse_by: f64, seed: u64) -> (Vec<f64>, Matrix, Matrix) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let truth: Vec<f64> = (0..rows).map(|_| f64::from(u8::from(rng.random::<f64>() < 0.3))).collect();
        let mut noisy = |noise: f64| -> Matrix {
            let value =
                |class: &f64| ((class * 0.4 + rng.random::<f64>() * (0.6 + noise)) / (1.0 + noise)).min(1.0);
            Matrix::column(truth.iter().map(value).collect())
        };
        let (good, bad) = (noisy(0.0), noisy(worse_by));
        (truth, good, bad)
    }

    fn check(metric: &str, rows: usize, worse_by: f64, seed: u64) -> Comparison {
        let (truth, good, bad) = rivals(rows, worse_by, seed);
        compare(&*lookup(metric).unwrap(), &truth, &good, &bad, None, Seed(seed)).unwrap()
    }

    #[test]
    fn a_clear_gain_is_seen_by_every_metric() {
        for metric in ["roc_auc", "average_precision", "log_loss", "rmse", "brier_score"] {
            let comparison = check(metric, 3000, 1.0, 1);
            assert!(comparison.gain > 0.0 && comparison.p_better > 0.99, "{metric}: {comparison:?}");
            assert!(promotes(&comparison, false) && claims(&comparison, 3), "{metric}");
        }
    }

    #[test]
    fn equal_models_are_told_apart_no_more_often_than_by_chance() {
        let seen: Vec<Comparison> = (0..80).map(|seed| check("roc_auc", 400, 0.0, seed)).collect();
        let claimed = seen.iter().filter(|comparison| claims(comparison, 1)).count();
        assert!(claimed <= 10, "{claimed} of 80 claims at level 0.05");
        let favoured = seen.iter().filter(|comparison| comparison.p_better > 0.5).count();
        assert!((20..=60).contains(&favoured), "{favoured} of 80");
    }

    #[test]
    fn many_rows_use_the_standard_error() {
        let comparison = check("average_precision", 60_000, 0.2, 4);
        assert!(
            comparison.replicates < REPLICATES_COUNTED as u32 && comparison.p_better > 0.999,
            "{comparison:?}"
        );
    }

    #[test]
    fn identical_predictions_are_a_tie_that_the_simpler_wins() {
        let (truth, good, _) = rivals(100, 0.0, 2);
        let comparison = compare(&*lookup("log_loss").unwrap(), &truth, &good, &good, None, Seed(1)).unwrap();
        assert_eq!(comparison.p_better, 0.5);
        assert!(promotes(&comparison, true) && !promotes(&comparison, false));
    }

    #[test]
    fn repeated_rows_in_groups_do_not_count_as_evidence() {
        let (truth, good, bad) = rivals(30, 0.3, 5);
        let repeat = |values: &[f64]| -> Vec<f64> { values.iter().flat_map(|value| [*value; 20]).collect() };
        let (truth, good, bad) =
            (repeat(&truth), Matrix::column(repeat(good.data())), Matrix::column(repeat(bad.data())));
        let groups: Vec<i64> = (0..600).map(|row| row / 20).collect();
        let metric = lookup("brier_score").unwrap();
        let naive = compare(&*metric, &truth, &good, &bad, None, Seed(1)).unwrap();
        let whole = compare(&*metric, &truth, &good, &bad, Some(&groups), Seed(1)).unwrap();
        assert!((3.0..6.5).contains(&(whole.error / naive.error)), "{naive:?} {whole:?}");
    }

    #[test]
    fn looks_make_claims_harder() {
        let comparison = Comparison { gain: 0.1, error: 0.05, p_better: 0.97, replicates: 2000 };
        assert!(claims(&comparison, 1) && !claims(&comparison, 2));
    }

    #[test]
    fn undefined_scores_are_errors() {
        let (good, bad) = (Matrix::filled(5, 1, 0.1), Matrix::filled(5, 1, 0.2));
        assert!(compare(&*lookup("roc_auc").unwrap(), &[1.0; 5], &good, &bad, None, Seed(1)).is_err());
    }
}
