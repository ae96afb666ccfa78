//! What choosing gains by luck: the score of a choice on the very rows that it was made on, corrected for that.
//!
//! Bootstrap bias correction (Tsamardinos, Greasidou and Borboudakis, 2018). For each draw of rows everything is chosen
//! anew on the rows that were drawn: the candidate or the weights, and the decision. What was chosen so is scored on the
//! rows that were not drawn, beside the choice that knew them. The mean difference is what knowing them was worth, and
//! the scores' spread over the draws is the uncertainty. Nothing is trained again, so stages stay as they were chosen.
//! Whoever has little time makes do with fewer draws.

use super::{Ensemble, select_within};
use crate::decision::Decision;
use crate::interval::{self, Interval, Judged, LEVEL, stretch};
use crate::metrics::{self, Formula, Prepared};
use crate::resample::{Resampling, Sampler};
use crate::statistics::quantile;
use ansatz_core::matrix::Matrix;
use ansatz_core::metric::{Metric, MetricError, PredictionKind};
use ansatz_core::seed::Seed;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;

/// Draws of rows.
const DRAWS: usize = 200;

/// The same for classes, where choosing takes longer, and for a metric that is dear to ask.
const DEAR_DRAWS: usize = 100;

/// Fewer draws that have a score on both sides say nothing.
const DRAWS_MIN: usize = 20;

/// Draws between two looks at the time, where all of them are scored with few calls.
const BLOCK: usize = 25;

/// Candidates of one solution that are combined at most, as in a run.
const PER_SOLUTION_MAX: usize = 4;

/// Candidates that are combined at most.
const COMBINED_MAX: usize = 12;

/// Rows visited by one comparison inside the selection of one draw.
const VISITS_MAX: usize = 100_000;

/// A candidate that could have been chosen.
#[derive(Debug, Clone, Copy)]
pub struct Contender<'a> {
    /// Its raw out-of-fold predictions.
    pub raw: &'a Matrix,
    /// Number of its solution.
    pub solution: usize,
}

/// A choice that was made on the rows that it is to be scored on.
#[derive(Clone, Copy)]
pub struct Chosen<'a> {
    /// The metric.
    pub metric: &'a dyn Metric,
    /// Truth of the rows.
    pub truth: &'a [f64],
    /// Raw out-of-fold predictions of what was chosen.
    pub raw: &'a Matrix,
    /// The decision that was chosen with it.
    pub decision: &'a Decision,
    /// What could have been chosen, best first.
    pub contenders: &'a [Contender<'a>],
    /// Whether candidates were combined, rather than one chosen.
    pub is_ensemble: bool,
    /// Predictions of the reference that the gain is measured over, as the metric reads them.
    pub reference: Option<&'a Matrix>,
    /// What is drawn as one.
    pub resampling: &'a Resampling,
    /// Looks at these rows, this one included.
    pub looks: u32,
    /// Where chance comes from.
    pub seed: Seed,
}

/// The corrected score of a choice.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Corrected {
    /// The score with its interval.
    pub score: Interval,
    /// The gain over the reference with its interval, positive being better; `None` where the reference has no score.
    pub lift: Option<Interval>,
}

impl Corrected {
    /// Where the score of a fresh test of `test_rows` rows will lie, after a score on `rows` rows: the interval, widened by
    /// the noise of the test.
    pub fn expected(&self, metric: &dyn Metric, rows: usize, test_rows: u64) -> (f64, f64) {
        let widened = (1.0 + rows as f64 / test_rows.max(1) as f64).sqrt();
        let Interval { score, low, high, .. } = self.score;
        let (least, most) = metrics::range(metric.spec());
        ((score - (score - low) * widened).max(least), (score + (high - score) * widened).min(most))
    }
}

/// Corrects the score of a choice. `until` says whether time is up: no further rows are drawn then, unless that would leave
/// too few draws to say anything.
///
/// # Errors
/// [`MetricError`] when shapes differ or the score is undefined, on all rows or on too many of the draws.
pub fn correct(chosen: &Chosen<'_>, until: impl Fn() -> bool) -> Result<Corrected, MetricError> {
    let direction = chosen.metric.spec().direction;
    let known = chosen.decision.apply(chosen.raw);
    let apparent = direction.gain(chosen.metric.score(chosen.truth, &known, None)?);
    let mut draws = Draws::of(chosen);
    let anew = if metrics::is_native(chosen.metric.spec()) {
        chosen_anew(chosen, &draws, until)
    } else {
        picked_anew(chosen, &known, &draws, until)
    };
    draws.keep(anew.len());
    let known_gains = gains(chosen, &known, &draws.outside);
    let pairs = || {
        let pairs = anew.iter().zip(&known_gains);
        pairs.filter_map(|(anew, known)| Some(((*anew)?, (*known)?)))
    };
    let outside: Vec<f64> = pairs().map(|(anew, _)| anew).collect();
    if outside.len() < DRAWS_MIN {
        return Err(MetricError::Undefined("too few draws of the rows have a score".to_owned()));
    }
    let luck = pairs().map(|(anew, known)| known - anew).sum::<f64>() / outside.len() as f64;
    let gain = apparent - luck.max(0.0);
    let (low, high) = ends(&outside, gain, chosen.looks);
    let score = as_scores(chosen, gain, low, high);
    let score = if low < high { score } else { without_spread(chosen, &known, score)? };
    Ok(Corrected { score, lift: lift(chosen, gain, &anew, &draws) })
}

/// Draws of rows, as counts: of the rows that were drawn, and of those that were not.
struct Draws {
    inside: Vec<Vec<u32>>,
    outside: Vec<Vec<u32>>,
}

impl Draws {
    fn of(chosen: &Chosen<'_>) -> Self {
        let spec = chosen.metric.spec();
        let is_dear = spec.reads != PredictionKind::Value || !metrics::is_native(spec);
        let rows = chosen.truth.len();
        let mut rng = ChaCha8Rng::seed_from_u64(chosen.seed.derive("choosing").0);
        let mut sampler = Sampler::new(chosen.resampling, rows, 1.0);
        let mut draw = || {
            let mut counts = vec![0; rows];
            sampler.draw(&mut counts, &mut rng);
            counts
        };
        let count = if is_dear { DEAR_DRAWS } else { DRAWS };
        let inside: Vec<Vec<u32>> = (0..count).map(|_| draw()).collect();
        let not_drawn = |counts: &Vec<u32>| counts.iter().map(|&count| u32::from(count == 0)).collect();
        Self { outside: inside.iter().map(not_drawn).collect(), inside }
    }

    fn count(&self) -> usize {
        self.inside.len()
    }

    /// Forgets all but the first draws.
    fn keep(&mut self, count: usize) {
        self.inside.truncate(count);
        self.outside.truncate(count);
    }

    /// Whether no further draw is looked at, after these gains of the first ones.
    fn are_done(&self, gains: &[Option<f64>], until: &impl Fn() -> bool) -> bool {
        gains.len() == self.count() || (gains.iter().flatten().count() >= DRAWS_MIN && until())
    }
}

/// The metric by which candidates are weighted inside a draw, where it is not that of the choice: rankings of several classes
/// are too dear to ask for every pick of every draw, and candidates are weighted much the same by the log loss.
fn metric_of_draws(chosen: &Chosen<'_>) -> Option<Box<dyn Metric>> {
    let formula = metrics::formula(chosen.metric.spec());
    if !matches!(formula, Some(Formula::OneVsRest(_) | Formula::ManyClasses(_))) {
        return None;
    }
    let log_loss = metrics::lookup("log_loss").ok()?;
    let has_score = |contender: &Contender<'_>| log_loss.score(chosen.truth, contender.raw, None).is_ok();
    chosen.contenders.iter().all(has_score).then_some(log_loss)
}

/// Gains of predictions over the rows of each draw; `None` where the metric has no value.
fn gains(chosen: &Chosen<'_>, predictions: &Matrix, counts: &[Vec<u32>]) -> Vec<Option<f64>> {
    let direction = chosen.metric.spec().direction;
    let Ok(prepared) = Prepared::new(chosen.metric, chosen.truth, predictions) else {
        return vec![None; counts.len()];
    };
    let gain = |score: Option<f64>| score.map(|score| direction.gain(score)).filter(|gain| gain.is_finite());
    prepared.scores(counts).into_iter().map(gain).collect()
}

/// For each draw the gain outside of it of what is chosen inside of it: weights, or the best candidate, and the decision.
fn chosen_anew(chosen: &Chosen<'_>, draws: &Draws, until: impl Fn() -> bool) -> Vec<Option<f64>> {
    let decided = |contender: &Contender<'_>| {
        let seed = chosen.seed.derive("contender");
        let decision = Decision::fit_quickly(chosen.metric, chosen.truth, contender.raw, seed)
            .unwrap_or_else(|_| Decision::plain(chosen.metric.spec(), contender.raw.columns()));
        decision.apply(contender.raw)
    };
    let decided: Vec<Matrix> = chosen.contenders.iter().map(decided).collect();
    let alone: Vec<Option<Prepared<'_>>> =
        decided.iter().map(|own| Prepared::new(chosen.metric, chosen.truth, own).ok()).collect();
    let direction = chosen.metric.spec().direction;
    let gain_inside = |contender: usize, draw: usize| {
        let score = alone[contender].as_ref()?.score(&draws.inside[draw])?;
        Some(direction.gain(score)).filter(|gain| gain.is_finite())
    };
    let quick = metric_of_draws(chosen);
    let by = quick.as_deref().unwrap_or(chosen.metric);
    let rows = |counts: &[u32]| -> Vec<usize> {
        let times = counts.iter().enumerate();
        times.flat_map(|(row, &count)| std::iter::repeat_n(row, count as usize)).collect()
    };
    let one = |draw: usize| {
        let ranked = ranking(chosen.contenders, |contender| gain_inside(contender, draw));
        let most = if chosen.is_ensemble { COMBINED_MAX } else { 1 };
        let (inside, outside) = (rows(&draws.inside[draw]), rows(&draws.outside[draw]));
        let seed = chosen.seed.derive(&format!("draw {draw}"));
        gain_outside(chosen, by, &ranked[..ranked.len().min(most)], &inside, &outside, seed)
    };
    let mut anew = Vec::with_capacity(draws.count());
    while !draws.are_done(&anew, &until) {
        anew.push(one(anew.len()));
    }
    anew
}

/// The gain outside of a draw of what is chosen inside of it among ranked contenders, weighted by the metric `by`.
fn gain_outside(
    chosen: &Chosen<'_>,
    by: &dyn Metric,
    ranked: &[usize],
    inside: &[usize],
    outside: &[usize],
    seed: Seed,
) -> Option<f64> {
    let metric = chosen.metric;
    let truth = |rows: &[usize]| -> Vec<f64> { rows.iter().map(|&row| chosen.truth[row]).collect() };
    let parts = |rows: &[usize]| -> Vec<Matrix> {
        ranked.iter().map(|&contender| chosen.contenders[contender].raw.take(rows)).collect()
    };
    let (known, known_truth) = (parts(inside), truth(inside));
    let ensemble = match ranked.len() {
        0 => return None,
        1 => Ensemble { weights: vec![1.0] },
        _ => select_within(VISITS_MAX, by, &known_truth, &known, seed).ok()?,
    };
    let raw = ensemble.combine(&known)?;
    // Fits that are dear have a quick form; the others are chosen as they are for what is delivered.
    let fit =
        if metric.spec().reads == PredictionKind::Label { Decision::fit_quickly } else { Decision::fit };
    let decision = fit(metric, &known_truth, &raw, seed)
        .unwrap_or_else(|_| Decision::plain(metric.spec(), raw.columns()));
    let score = decision.score(metric, &truth(outside), &ensemble.combine(&parts(outside))?).ok()?;
    Some(metric.spec().direction.gain(score)).filter(|gain| gain.is_finite())
}

/// Contenders by falling gain, a bounded number of each solution; those without a gain are left out.
fn ranking(contenders: &[Contender<'_>], gain: impl Fn(usize) -> Option<f64>) -> Vec<usize> {
    let mut ranked: Vec<(usize, f64)> =
        (0..contenders.len()).filter_map(|contender| Some((contender, gain(contender)?))).collect();
    // The sort is stable: of equal ones the earlier stays first.
    ranked.sort_by(|a, b| b.1.total_cmp(&a.1));
    let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
    let is_let_in = |contender: &usize| {
        let count = counts.entry(contenders[*contender].solution).or_default();
        *count += 1;
        *count <= PER_SOLUTION_MAX
    };
    ranked.into_iter().map(|pair| pair.0).filter(is_let_in).collect()
}

/// As [`chosen_anew`] for a metric that is too dear for new weights: the choice is between what was delivered and each
/// candidate alone, all scored with few calls.
fn picked_anew(
    chosen: &Chosen<'_>,
    known: &Matrix,
    draws: &Draws,
    until: impl Fn() -> bool,
) -> Vec<Option<f64>> {
    let plain = Decision::plain(chosen.metric.spec(), chosen.raw.columns());
    let mut rivals = vec![known.clone()];
    rivals.extend(chosen.contenders.iter().map(|contender| plain.apply(contender.raw)));
    let mut anew = Vec::with_capacity(draws.count());
    while !draws.are_done(&anew, &until) {
        let block = anew.len()..(anew.len() + BLOCK).min(draws.count());
        anew.extend(picked_of(chosen, &rivals, &draws.inside[block.clone()], &draws.outside[block]));
    }
    anew
}

/// For each of some draws the gain outside of it of the rival that is best inside of it; of equal ones the first.
fn picked_of(
    chosen: &Chosen<'_>,
    rivals: &[Matrix],
    inside: &[Vec<u32>],
    outside: &[Vec<u32>],
) -> Vec<Option<f64>> {
    let gains_inside: Vec<Vec<Option<f64>>> =
        rivals.iter().map(|rival| gains(chosen, rival, inside)).collect();
    let winner = |draw: usize| {
        // Of equal ones the last is taken, hence what was delivered stands at the end.
        let scored = (0..rivals.len()).rev().filter_map(|rival| Some((rival, gains_inside[rival][draw]?)));
        scored.max_by(|a, b| a.1.total_cmp(&b.1)).map(|best| best.0)
    };
    let winners: Vec<Option<usize>> = (0..inside.len()).map(winner).collect();
    let mut anew = vec![None; winners.len()];
    for (at, rival) in rivals.iter().enumerate() {
        let won: Vec<usize> = (0..winners.len()).filter(|&draw| winners[draw] == Some(at)).collect();
        let counts: Vec<Vec<u32>> = won.iter().map(|&draw| outside[draw].clone()).collect();
        if !won.is_empty() {
            for (draw, gain) in won.into_iter().zip(gains(chosen, rival, &counts)) {
                anew[draw] = gain;
            }
        }
    }
    anew
}

/// The gain over the reference: that of the corrected score on all rows, with the spread of the paired gains of the draws.
fn lift(chosen: &Chosen<'_>, gain: f64, anew: &[Option<f64>], draws: &Draws) -> Option<Interval> {
    let reference = chosen.reference?;
    let theirs = gains(chosen, reference, &draws.outside);
    let score = chosen.metric.score(chosen.truth, reference, None).ok()?;
    let paired: Vec<f64> =
        anew.iter().zip(&theirs).filter_map(|(anew, theirs)| Some((*anew)? - (*theirs)?)).collect();
    let gain = gain - chosen.metric.spec().direction.gain(score);
    let (low, high) = ends(&paired, gain, chosen.looks);
    (paired.len() >= DRAWS_MIN).then_some(Interval { score: gain, low, high, level: LEVEL })
}

/// The ends of an interval about a centre: the spread of values about their own mean, widened for looks. It is that of
/// scores on the third of the rows that a draw leaves out, hence rather wide; the draws do not show how much another
/// training would have changed the predictions.
fn ends(values: &[f64], centre: f64, looks: u32) -> (f64, f64) {
    let mean = metrics::mean(values).unwrap_or_default();
    let mut off: Vec<f64> = values.iter().map(|value| value - mean).collect();
    off.sort_by(f64::total_cmp);
    let end =
        |probability: f64| if off.is_empty() { 0.0 } else { quantile(&off, probability) * stretch(looks) };
    let half = (1.0 - LEVEL) / 2.0;
    (centre + end(half).min(0.0), centre + end(1.0 - half).max(0.0))
}

/// Gains as scores of the metric, within its range.
fn as_scores(chosen: &Chosen<'_>, gain: f64, low: f64, high: f64) -> Interval {
    let spec = chosen.metric.spec();
    let (least, most) = metrics::range(spec);
    let [score, one, other] = [gain, low, high].map(|gain| spec.direction.gain(gain).max(least).min(most));
    Interval { score, low: one.min(other), high: one.max(other), level: LEVEL }
}

/// A score that no draw changes, as a perfect one, is still not certain: its interval is that of the rows.
fn without_spread(chosen: &Chosen<'_>, known: &Matrix, score: Interval) -> Result<Interval, MetricError> {
    let judged = Judged {
        metric: chosen.metric,
        truth: chosen.truth,
        predictions: known,
        resampling: chosen.resampling,
        looks: chosen.looks,
        seed: chosen.seed,
    };
    let own = interval::interval(&judged)?;
    Ok(Interval { low: own.low.min(score.score), high: own.high.max(score.score), ..score })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::lookup;
    use ansatz_core::metric::MetricSpec;
    use rand::Rng;

    /// Two classes, and candidates that know the class as well as `signal` says; 0 is not at all.
    fn candidates(rows: usize, count: usize, signal: f64, seed: u64) -> (Vec<f64>, Vec<Matrix>) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let truth: Vec<f64> = (0..rows).map(|_| f64::from(u8::from(rng.random::<f64>() < 0.4))).collect();
        let mut one = |_: usize| {
            let probability = |class: &f64| signal * class + (1.0 - signal) * rng.random::<f64>();
            Matrix::column(truth.iter().map(probability).collect())
        };
        let made = (0..count).map(&mut one).collect();
        (truth, made)
    }

    /// The score of the best candidate on all rows, and what it is corrected to.
    fn best_of(
        metric: &dyn Metric,
        (truth, candidates): &(Vec<f64>, Vec<Matrix>),
        is_ensemble: bool,
        looks: u32,
    ) -> (f64, Corrected) {
        let direction = metric.spec().direction;
        let fitted = |raw: &Matrix| Decision::fit(metric, truth, raw, Seed(1)).unwrap();
        let gain = |raw: &Matrix| direction.gain(fitted(raw).score(metric, truth, raw).unwrap());
        let best = candidates.iter().max_by(|a, b| gain(a).total_cmp(&gain(b))).unwrap();
        let raw = if is_ensemble {
            super::super::select(metric, truth, candidates, Seed(1)).unwrap().combine(candidates).unwrap()
        } else {
            best.clone()
        };
        let contenders: Vec<Contender<'_>> =
            candidates.iter().enumerate().map(|(solution, raw)| Contender { raw, solution }).collect();
        let decision = fitted(&raw);
        let chosen = Chosen {
            metric,
            truth,
            raw: &raw,
            decision: &decision,
            contenders: &contenders,
            is_ensemble,
            reference: Some(&candidates[0]),
            resampling: &Resampling::Rows,
            looks,
            seed: Seed(3),
        };
        (decision.score(metric, truth, &raw).unwrap(), correct(&chosen, || false).unwrap())
    }

    #[test]
    fn the_luckiest_of_many_guessers_is_a_guesser() {
        let metric = lookup("roc_auc").unwrap();
        for is_ensemble in [false, true] {
            let rounds = 8;
            let (mut apparent, mut corrected, mut held) = (0.0, 0.0, 0);
            for seed in 0..rounds {
                let (score, found) = best_of(&*metric, &candidates(120, 20, 0.0, seed), is_ensemble, 1);
                apparent += score / f64::from(rounds as u32);
                corrected += found.score.score / f64::from(rounds as u32);
                held += u32::from(found.score.low <= 0.5 && 0.5 <= found.score.high);
            }
            assert!(apparent > 0.57, "{apparent}");
            assert!((corrected - 0.5).abs() < 0.04, "ensemble {is_ensemble}: {apparent} became {corrected}");
            assert!(held >= 7, "{held} of {rounds} intervals hold the truth");
        }
    }

    #[test]
    fn a_fitted_cut_is_corrected_too() {
        let metric = lookup("f1").unwrap();
        let data = candidates(80, 12, 0.0, 5);
        let (apparent, found) = best_of(&*metric, &data, false, 1);
        // Calling every row positive gives about 0.57.
        assert!(found.score.score < apparent && found.score.low < 0.57, "{apparent} {found:?}");
    }

    #[test]
    fn a_single_candidate_without_a_decision_costs_nothing() {
        for (name, signal) in [("roc_auc", 0.3), ("rmse", 0.5)] {
            let metric = lookup(name).unwrap();
            let (apparent, found) = best_of(&*metric, &candidates(150, 1, signal, 2), false, 1);
            assert!((found.score.score - apparent).abs() < 1e-12, "{apparent} {found:?}");
            assert!(found.score.low < apparent && apparent < found.score.high, "{found:?}");
            assert_eq!(found.lift.map(|lift| (lift.low, lift.score, lift.high)), Some((0.0, 0.0, 0.0)));
        }
    }

    #[test]
    fn a_second_look_and_a_small_test_widen() {
        let (metric, data) = (lookup("rmse").unwrap(), candidates(200, 3, 0.5, 4));
        let width = |looks: u32| {
            let found = best_of(&*metric, &data, false, looks).1;
            (found.score.high - found.score.low, found)
        };
        assert!(width(2).0 > 1.1 * width(1).0);
        let found = width(1).1;
        let (low, high) = found.expected(&*metric, 200, 50);
        assert!(low < found.score.low && found.score.high < high && low >= 0.0, "{low} {high} {found:?}");
    }

    #[test]
    fn the_better_of_two_has_a_lift() {
        let (metric, mut data) = (lookup("roc_auc").unwrap(), candidates(300, 1, 0.0, 6));
        let good =
            data.0.iter().zip(data.1[0].data()).map(|(class, noise)| 0.4 * class + 0.6 * noise).collect();
        data.1.push(Matrix::column(good));
        let lift = best_of(&*metric, &data, false, 1).1.lift.unwrap();
        assert!(lift.low > 0.1 && lift.low < lift.score && lift.score < lift.high, "{lift:?}");
    }

    #[test]
    fn a_perfect_score_is_not_certain() {
        let truth: Vec<f64> = (0..100).map(|row| f64::from(row % 2)).collect();
        let data = (truth.clone(), vec![Matrix::column(truth)]);
        let (_, found) = best_of(&*lookup("roc_auc").unwrap(), &data, false, 1);
        assert!(found.score.low < 0.98 && found.score.high == 1.0, "{found:?}");
    }

    #[test]
    fn rows_of_one_class_cannot_be_judged() {
        let (raw, resampling) = (Matrix::filled(30, 1, 0.5), Resampling::Rows);
        let contender = Contender { raw: &raw, solution: 0 };
        let metric = lookup("roc_auc").unwrap();
        let chosen = Chosen {
            metric: &*metric,
            truth: &[1.0; 30],
            raw: &raw,
            decision: &Decision::AsIs,
            contenders: &[contender],
            is_ensemble: false,
            reference: None,
            resampling: &resampling,
            looks: 1,
            seed: Seed(1),
        };
        assert!(matches!(correct(&chosen, || false), Err(MetricError::Undefined(_))));
    }

    /// A choice of the first of some candidates, without a decision.
    fn first_of<'a>(metric: &'a dyn Metric, truth: &'a [f64], contenders: &'a [Contender<'a>]) -> Chosen<'a> {
        Chosen {
            metric,
            truth,
            raw: contenders[0].raw,
            decision: &Decision::AsIs,
            contenders,
            is_ensemble: false,
            reference: None,
            resampling: &Resampling::Rows,
            looks: 1,
            seed: Seed(3),
        }
    }

    /// A metric that is not of the catalogue.
    struct Own(MetricSpec);

    impl Metric for Own {
        fn spec(&self) -> &MetricSpec {
            &self.0
        }

        fn score(
            &self,
            truth: &[f64],
            predictions: &Matrix,
            weights: Option<&[f64]>,
        ) -> Result<f64, MetricError> {
            lookup("brier_score").unwrap().score(truth, predictions, weights)
        }
    }

    #[test]
    fn time_ends_the_draws_but_leaves_enough_of_them() {
        let (truth, raw) = candidates(100, 4, 0.3, 7);
        let contenders: Vec<Contender<'_>> = raw.iter().map(|raw| Contender { raw, solution: 0 }).collect();
        let native = lookup("brier_score").unwrap();
        let own = Own(MetricSpec { name: "my own".into(), ..native.spec().clone() });
        for (metric, first) in [(&*native, DRAWS_MIN), (&own as &dyn Metric, BLOCK)] {
            let chosen = first_of(metric, &truth, &contenders);
            let (all, known) = (Draws::of(&chosen), chosen.decision.apply(chosen.raw));
            let anew = |until: &dyn Fn() -> bool| {
                if metrics::is_native(metric.spec()) {
                    chosen_anew(&chosen, &all, until)
                } else {
                    picked_anew(&chosen, &known, &all, until)
                }
            };
            let (whole, hurried) = (anew(&|| false), anew(&|| true));
            assert_eq!((whole.len(), hurried.len()), (DEAR_DRAWS, first));
            assert_eq!(hurried, whole[..first], "the draws are the same ones");
            let found = correct(&chosen, || true).unwrap().score;
            assert!(found.low < found.score && found.score < found.high, "{found:?}");
            assert_eq!(correct(&chosen, || false), correct(&chosen, || false));
        }
    }

    /// Four classes, and candidates that know nothing of them.
    fn guessers(rows: usize, count: usize, seed: u64) -> (Vec<f64>, Vec<Matrix>) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let truth: Vec<f64> = (0..rows).map(|row| (row % 4) as f64).collect();
        let mut one = |_: usize| {
            let row = |_: usize| {
                let shares = [0; 4].map(|_| 0.1 + rng.random::<f64>());
                let sum: f64 = shares.iter().sum();
                shares.map(|share| share / sum)
            };
            Matrix::new(rows, 4, (0..rows).flat_map(row).collect()).unwrap()
        };
        let made = (0..count).map(&mut one).collect();
        (truth, made)
    }

    #[test]
    fn rankings_of_several_classes_are_weighted_by_the_log_loss() {
        let (truth, raw) = guessers(80, 2, 1);
        let contenders: Vec<Contender<'_>> = raw.iter().map(|raw| Contender { raw, solution: 0 }).collect();
        let by = |name: &str, contenders: &[Contender<'_>]| {
            let metric = lookup(name).unwrap();
            metric_of_draws(&first_of(&*metric, &truth, contenders)).map(|by| by.spec().name.clone())
        };
        for name in ["roc_auc_ovr", "roc_auc_ovo", "roc_auc_ovr_weighted"] {
            assert_eq!(by(name, &contenders).as_deref(), Some("log_loss"), "{name}");
        }
        assert_eq!((by("roc_auc", &contenders), by("top_k_accuracy", &contenders)), (None, None));
        // Scores that are no probabilities have no log loss.
        let scores = Matrix::filled(80, 4, 3.0);
        assert_eq!(by("roc_auc_ovr", &[contenders[0], Contender { raw: &scores, solution: 1 }]), None);
    }

    #[test]
    fn guessers_of_several_classes_are_guessers() {
        let metric = lookup("roc_auc_ovo").unwrap();
        let (mut apparent, mut corrected) = (0.0, 0.0);
        for seed in 0..4 {
            let (score, found) = best_of(&*metric, &guessers(120, 12, seed), true, 1);
            apparent += score / 4.0;
            corrected += found.score.score / 4.0;
        }
        assert!(apparent > 0.54 && (corrected - 0.5).abs() < 0.04, "{apparent} became {corrected}");
    }
}
