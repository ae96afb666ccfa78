//! Weights for combining candidates, and the stage at which one should have been stopped: both chosen on out-of-fold
//! predictions, both in favour of the simpler answer when noise cannot tell.

mod blend;
mod correct;

pub use correct::{Chosen, Contender, Corrected, correct};

use crate::decision::Decision;
use crate::gates;
use crate::metrics;
use crate::resample::Resampling;
use crate::statistics::normal_share;
use ansatz_core::matrix::Matrix;
use ansatz_core::metric::{Metric, MetricError, PredictionKind};
use ansatz_core::seed::Seed;
use blend::Blend;
use serde::{Deserialize, Serialize};

/// Cells (rows times columns) that it reads at most, for the same reason; but never fewer than [`ROWS_MIN`] rows.
const CELLS_MAX: usize = 60_000;

/// See [`CELLS_MAX`].
const ROWS_MIN: usize = 2_000;

/// Picks in the greedy selection: weights are multiples of one in so many.
const PICKS_MAX: usize = 25;

/// The same by a metric that is not of the catalogue, which is dear to ask.
const FOREIGN_PICKS_MAX: usize = 10;

/// Rows that the selection reads at most; more change no weight by as much as the noise does.
const ROWS_MAX: usize = 20_000;

/// How probable the gain of a new member must be before it is let in.
const P_NEW_MEMBER: f64 = 0.7;

/// Below so many rows fitted weights are drawn to equal ones: half at half of them.
const SMALL_ROWS: usize = 1_000;

/// Drawn weights are taken unless the fitted ones are better with this probability.
const P_FITTED: f64 = 0.9;

/// Rows visited by one quick comparison inside the selection.
const VISITS_MAX: usize = 2_000_000;

/// An earlier stage is as good as the best when it is worse by no more standard errors than this.
const STAGE_TIE_ERRORS: f64 = 0.25;

/// Weights for candidates.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ensemble {
    /// One weight per candidate, not negative, summing to 1.
    pub weights: Vec<f64>,
}

impl Ensemble {
    /// Candidates with a weight above 0.
    pub fn members(&self) -> Vec<usize> {
        (0..self.weights.len()).filter(|&candidate| self.weights[candidate] > 0.0).collect()
    }

    /// The weighted mean of predictions, one matrix per candidate; those of weight 0 may be empty.
    pub fn combine(&self, predictions: &[Matrix]) -> Option<Matrix> {
        let members = self.members();
        let first = predictions.get(*members.first()?)?;
        let mut sum = Matrix::filled(first.rows(), first.columns(), 0.0);
        for member in members {
            let own = predictions.get(member)?;
            if (own.rows(), own.columns()) != (first.rows(), first.columns()) {
                return None;
            }
            for (total, value) in sum.data_mut().iter_mut().zip(own.data()) {
                *total += self.weights[member] * value;
            }
        }
        Some(sum)
    }
}

/// The metric by which stages and weights are chosen: a metric of labels moves in jumps, hence the log loss of the
/// probabilities behind them; every other metric itself.
pub fn smooth_metric(metric: &dyn Metric) -> Option<Box<dyn Metric>> {
    (metric.spec().reads == PredictionKind::Label).then(|| metrics::lookup("log_loss").ok()).flatten()
}

/// Greedy selection with replacement (Caruana and others, 2004). `candidates` are raw out-of-fold predictions of the
/// same rows, the simplest first: it wins ties.
///
/// # Errors
/// [`MetricError`] when shapes differ, a prediction is not allowed, or no candidate has a score.
pub fn select(
    metric: &dyn Metric,
    truth: &[f64],
    candidates: &[Matrix],
    seed: Seed,
) -> Result<Ensemble, MetricError> {
    select_within(VISITS_MAX, metric, truth, candidates, seed)
}

/// As [`select`], with comparisons that visit so many rows at most.
fn select_within(
    visits_max: usize,
    metric: &dyn Metric,
    truth: &[f64],
    candidates: &[Matrix],
    seed: Seed,
) -> Result<Ensemble, MetricError> {
    let smooth = smooth_metric(metric);
    let metric = smooth.as_deref().unwrap_or(metric);
    let columns = candidates.first().map_or(1, Matrix::columns);
    let rows_max = (CELLS_MAX / columns.max(1)).clamp(ROWS_MIN, ROWS_MAX);
    if truth.len() <= rows_max {
        return Selection { visits_max, metric, truth, candidates: &bounded(metric, candidates), seed }
            .greedy();
    }
    let rows = gates::spread_rows(truth.len(), rows_max);
    let truth: Vec<f64> = rows.iter().map(|&row| truth[row]).collect();
    let candidates: Vec<Matrix> = candidates.iter().map(|candidate| candidate.take(&rows)).collect();
    let candidates = bounded(metric, &candidates);
    Selection { visits_max, metric, truth: &truth, candidates: &candidates, seed }.greedy()
}

/// Candidates as the metric may read them, e.g. not below 0 under a metric of logarithms.
fn bounded(metric: &dyn Metric, candidates: &[Matrix]) -> Vec<Matrix> {
    candidates
        .iter()
        .map(|candidate| Decision::plain(metric.spec(), candidate.columns()).apply(candidate))
        .collect()
}

/// What a selection works on.
struct Selection<'a> {
    visits_max: usize,
    metric: &'a dyn Metric,
    truth: &'a [f64],
    candidates: &'a [Matrix],
    seed: Seed,
}

impl Selection<'_> {
    fn greedy(&self) -> Result<Ensemble, MetricError> {
        let mut blend = Blend::new(self.metric, self.truth, self.candidates)?;
        let first = blend
            .best(|_| true)
            .ok_or_else(|| MetricError::Undefined("no candidate has a score".to_owned()))?;
        blend.add(first.0, first.1);
        let picks_max = if metrics::is_native(self.metric.spec()) { PICKS_MAX } else { FOREIGN_PICKS_MAX };
        while blend.picks() < picks_max {
            let Some((next, gain)) = blend.best(|_| true) else { break };
            if gain <= blend.gain() {
                break;
            }
            if blend.holds(next) || self.is_worth_it(&blend, next)? {
                blend.add(next, gain);
                continue;
            }
            // The new one is not sure enough; members may still change their shares.
            match blend.best(|candidate| blend.holds(candidate)) {
                Some((member, gain)) if gain > blend.gain() => blend.add(member, gain),
                _ => break,
            }
        }
        self.drawn_to_equal(Ensemble { weights: blend.weights() })
    }

    fn is_worth_it(&self, blend: &Blend<'_>, next: usize) -> Result<bool, MetricError> {
        let now = Ensemble { weights: blend.weights() };
        let mut picks = blend.counts().to_vec();
        picks[next] += 1;
        let then = Ensemble {
            weights: picks.iter().map(|&count| f64::from(count) / (blend.picks() + 1) as f64).collect(),
        };
        Ok(self.p_better([&then, &now])? > P_NEW_MEMBER)
    }

    fn p_better(&self, rivals: [&Ensemble; 2]) -> Result<f64, MetricError> {
        let [Some(first), Some(second)] = rivals.map(|rival| rival.combine(self.candidates)) else {
            return Err(MetricError::Undefined("candidates differ in shape".to_owned()));
        };
        let pair = [&first, &second];
        let gains =
            gates::paired(self.metric, self.truth, pair, &Resampling::Rows, self.visits_max, self.seed)?;
        Ok(normal_share(gains.observed, gains.error()))
    }

    /// Few rows cannot tell good weights from lucky ones.
    fn drawn_to_equal(&self, fitted: Ensemble) -> Result<Ensemble, MetricError> {
        let members = fitted.members();
        if self.truth.len() >= SMALL_ROWS || members.len() < 2 {
            return Ok(fitted);
        }
        let pull = 1.0 - self.truth.len() as f64 / SMALL_ROWS as f64;
        let equal = 1.0 / members.len() as f64;
        let draw = |weight: &f64| if *weight > 0.0 { (1.0 - pull) * weight + pull * equal } else { 0.0 };
        let drawn = Ensemble { weights: fitted.weights.iter().map(draw).collect() };
        let surely_worse = self.p_better([&fitted, &drawn])? > P_FITTED;
        Ok(if surely_worse { fitted } else { drawn })
    }
}

/// The stage (row of a trial's predictions by boosting rounds, strength of regularisation, …) that scores best, scores
/// being averaged with their neighbours'; an earlier stage that noise cannot tell from it is preferred. Stages without a
/// score are passed over.
///
/// # Errors
/// [`MetricError`] of the first stage when none has a score.
pub fn best_stage(
    metric: &dyn Metric,
    truth: &[f64],
    stages: &[Matrix],
    seed: Seed,
) -> Result<usize, MetricError> {
    let smooth = smooth_metric(metric);
    let metric = smooth.as_deref().unwrap_or(metric);
    let stages = bounded(metric, stages);
    let direction = metric.spec().direction;
    let scores: Vec<Result<f64, MetricError>> = stages
        .iter()
        .map(|stage| metric.score(truth, stage, None).map(|score| direction.gain(score)))
        .collect();
    let smoothed = smoothed(&scores.iter().map(|score| score.as_ref().ok().copied()).collect::<Vec<_>>());
    let Some(best) = (0..smoothed.len()).rev().max_by(|&a, &b| smoothed[a].total_cmp(&smoothed[b])) else {
        return Err(MetricError::Undefined("there are no stages".to_owned()));
    };
    if smoothed[best] == f64::NEG_INFINITY {
        return scores.into_iter().next().unwrap_or(Ok(0.0)).map(|_| 0);
    }
    let mut chosen = best;
    while chosen > 0 && smoothed[chosen - 1].is_finite() {
        let pair = [&stages[best], &stages[chosen - 1]];
        let gains = gates::paired(metric, truth, pair, &Resampling::Rows, VISITS_MAX, seed)?;
        if smoothed[best] - smoothed[chosen - 1] > STAGE_TIE_ERRORS * gains.error() {
            break;
        }
        chosen -= 1;
    }
    Ok(chosen)
}

/// Each score with half of its weight on itself and a quarter on each neighbour that has a score.
fn smoothed(scores: &[Option<f64>]) -> Vec<f64> {
    let at = |place: Option<usize>| place.and_then(|place| scores.get(place).copied().flatten());
    let one = |(place, own): (usize, &Option<f64>)| {
        let Some(own) = *own else { return f64::NEG_INFINITY };
        let before = at(place.checked_sub(1)).unwrap_or(own);
        let after = at(place.checked_add(1)).unwrap_or(own);
        0.5 * own + 0.25 * (before + after)
    };
    scores.iter().enumerate().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::lookup;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    /// Values with candidates that are off by independent noise of the given sizes.
    fn noisy(rows: usize, noises: &[f64], seed: u64) -> (Vec<f64>, Vec<Matrix>) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let truth: Vec<f64> = (0..rows).map(|_| rng.random::<f64>() * 10.0).collect();
        let mut candidate = |noise: &f64| {
            Matrix::column(truth.iter().map(|value| value + noise * (rng.random::<f64>() - 0.5)).collect())
        };
        let candidates = noises.iter().map(&mut candidate).collect();
        (truth, candidates)
    }

    #[test]
    fn independent_errors_are_averaged() {
        let (truth, candidates) = noisy(3000, &[1.0, 1.0, 1.0, 20.0], 1);
        let ensemble = select(&*lookup("rmse").unwrap(), &truth, &candidates, Seed(1)).unwrap();
        assert!(ensemble.weights[..3].iter().all(|weight| (weight - 1.0 / 3.0).abs() < 0.08), "{ensemble:?}");
        assert_eq!(ensemble.weights[3], 0.0);
    }

    #[test]
    fn copies_add_nothing() {
        let (truth, mut candidates) = noisy(500, &[1.0], 2);
        candidates.push(candidates[0].clone());
        let ensemble = select(&*lookup("mae").unwrap(), &truth, &candidates, Seed(1)).unwrap();
        assert_eq!(ensemble.weights, [1.0, 0.0]);
    }

    /// Two classes; candidates see the same hidden score with noise of their own.
    fn classes(rows: usize, noises: &[f64], seed: u64) -> (Vec<f64>, Vec<Matrix>) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let hidden: Vec<f64> = (0..rows).map(|_| rng.random::<f64>() * 6.0 - 4.0).collect();
        let truth = hidden
            .iter()
            .map(|z| f64::from(u8::from(rng.random::<f64>() < 1.0 / (1.0 + (-z).exp()))))
            .collect();
        let mut candidate = |noise: &f64| {
            let one = |z: &f64| 1.0 / (1.0 + (-(z + noise * (rng.random::<f64>() - 0.5))).exp());
            Matrix::column(hidden.iter().map(one).collect())
        };
        (truth, noises.iter().map(&mut candidate).collect())
    }

    #[test]
    fn every_kind_of_metric_gains_from_a_blend() {
        for name in ["roc_auc", "average_precision", "log_loss", "brier_score", "accuracy"] {
            let (metric, (truth, candidates)) =
                (lookup(name).unwrap(), classes(4000, &[4.0, 4.0, 4.5, 9.0], 3));
            let ensemble = select(&*metric, &truth, &candidates, Seed(1)).unwrap();
            assert!((ensemble.weights.iter().sum::<f64>() - 1.0).abs() < 1e-12);
            assert!(ensemble.members().len() >= 2, "{name}: {ensemble:?}");
            let judge = lookup(if name == "accuracy" { "log_loss" } else { name }).unwrap();
            let gain = |raw: &Matrix| judge.spec().direction.gain(judge.score(&truth, raw, None).unwrap());
            let best = candidates.iter().map(gain).fold(f64::NEG_INFINITY, f64::max);
            assert!(gain(&ensemble.combine(&candidates).unwrap()) > best, "{name}");
        }
    }

    #[test]
    fn several_classes_are_blended() {
        let (truth, candidates) = classes(2000, &[3.0, 3.0], 4);
        let wide = |raw: &Matrix| {
            let rows = raw.data().iter().flat_map(|p| [(1.0 - p) * 0.9, p * 0.9, 0.1]).collect();
            Matrix::new(raw.rows(), 3, rows).unwrap()
        };
        let candidates: Vec<Matrix> = candidates.iter().map(wide).collect();
        for name in ["log_loss", "roc_auc_ovr", "map_at_2", "f1_macro"] {
            let ensemble = select(&*lookup(name).unwrap(), &truth, &candidates, Seed(1)).unwrap();
            assert!((ensemble.weights.iter().sum::<f64>() - 1.0).abs() < 1e-12, "{name}");
        }
    }

    #[test]
    fn few_rows_draw_weights_to_equal_ones() {
        let (truth, candidates) = noisy(200, &[1.0, 1.1, 1.2], 5);
        let ensemble = select(&*lookup("rmse").unwrap(), &truth, &candidates, Seed(1)).unwrap();
        let equal = 1.0 / ensemble.members().len() as f64;
        let far = ensemble.weights.iter().filter(|weight| **weight > 0.0 && (**weight - equal).abs() > 0.1);
        assert_eq!(far.count(), 0, "{ensemble:?}");
    }

    #[test]
    fn the_stage_is_the_smoothed_best_and_rather_early() {
        let (truth, _) = noisy(800, &[], 6);
        let stage = |noise: f64| noisy(800, &[noise], 6).1.remove(0);
        let metric = lookup("rmse").unwrap();
        let falling: Vec<Matrix> = [4.0, 3.0, 2.0, 1.0].map(stage).to_vec();
        assert_eq!(best_stage(&*metric, &truth, &falling, Seed(1)), Ok(3));
        let turning: Vec<Matrix> = [4.0, 2.0, 1.0, 2.0, 4.0].map(stage).to_vec();
        assert_eq!(best_stage(&*metric, &truth, &turning, Seed(1)), Ok(2));
        let flat = vec![stage(4.0), stage(1.0), stage(1.0), stage(1.0)];
        let chosen = best_stage(&*metric, &truth, &flat, Seed(1)).unwrap();
        assert!((1..=2).contains(&chosen), "{chosen}");
    }

    #[test]
    fn a_stage_without_a_score_is_passed_over() {
        let metric = lookup("log_loss").unwrap();
        let stages = vec![Matrix::column(vec![f64::NAN, 0.5]), Matrix::column(vec![0.2, 0.9])];
        assert_eq!(best_stage(&*metric, &[0.0, 1.0], &stages, Seed(1)), Ok(1));
        assert!(best_stage(&*metric, &[0.0, 1.0], &stages[..1], Seed(1)).is_err());
    }
}
