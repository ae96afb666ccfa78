//! How sure a score is: its interval on the sealed rows, the interval of a gain, and where a fresh test will lie.
//!
//! Intervals are bootstrap intervals with bias correction and acceleration (Efron, 1987) at a level of 0.95, widened when
//! the same sealed rows have been looked at before.

use crate::gates::{self, FOREIGN_ROWS_MAX, replicates, spread_rows};
use crate::metrics::{self, Prepared};
use crate::resample::{Resampling, Sampler};
use crate::statistics::{normal_below, normal_quantile, quantile};
use ansatz_core::matrix::Matrix;
use ansatz_core::metric::{Metric, MetricError};
use ansatz_core::seed::Seed;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// The level of every interval.
pub const LEVEL: f64 = 0.95;

/// Rows visited by all replicates of an interval together: about 200 ms.
const VISITS_MAX: usize = 20_000_000;

/// Parts that are left out in turn to find how skewed the score is.
const JACKKNIFE_PARTS: usize = 100;

/// A score that no replicate changes may still be wrong about one row in a third of the rows with probability 0.05:
/// the rule of three.
const RULE_OF_THREE: f64 = 3.0;

/// A score with its interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The score, or the gain.
    pub score: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Level over all looks together.
    pub level: f64,
}

/// What is to be judged, and how often these rows have been looked at.
#[derive(Clone, Copy)]
pub struct Judged<'a> {
    /// The metric.
    pub metric: &'a dyn Metric,
    /// Truth of the sealed rows.
    pub truth: &'a [f64],
    /// Predictions of the sealed rows, as the metric reads them.
    pub predictions: &'a Matrix,
    /// What is drawn as one.
    pub resampling: &'a Resampling,
    /// Looks at these sealed rows, this one included.
    pub looks: u32,
    /// Where chance comes from.
    pub seed: Seed,
}

/// The score on the sealed rows with its interval.
///
/// # Errors
/// [`MetricError`] when shapes differ or the score is undefined.
pub fn interval(judged: &Judged<'_>) -> Result<Interval, MetricError> {
    let score = judged.metric.score(judged.truth, judged.predictions, None)?;
    let (low, high) =
        if is_share(judged) { wilson(score, judged.truth.len(), judged.looks) } else { bca(judged, score)? };
    Ok(Interval { score, low, high, level: LEVEL })
}

/// Where the score of a fresh test of `test_rows` rows from the same source will lie: the noise of the sealed rows and
/// that of the test together.
///
/// # Errors
/// [`MetricError`] when shapes differ or the score is undefined.
pub fn expected(judged: &Judged<'_>, test_rows: u64) -> Result<(f64, f64), MetricError> {
    let own = interval(judged)?;
    let ratio = judged.truth.len() as f64 / test_rows.max(1) as f64;
    let (low, high) = match future(judged, own.score, 1.0 / ratio)? {
        Some(ends) => ends,
        // Nothing varies, or the metric is too dear to ask so often: the interval, stretched by the noise of the test.
        None => (
            own.score - (own.score - own.low) * (1.0 + ratio).sqrt(),
            own.score + (own.high - own.score) * (1.0 + ratio).sqrt(),
        ),
    };
    Ok(inside(judged.metric, low.min(own.low), high.max(own.high)))
}

/// The gain over other predictions of the same rows with its paired interval, positive being better.
///
/// # Errors
/// [`MetricError`] when shapes differ or a score is undefined.
pub fn lift(judged: &Judged<'_>, over: &Matrix) -> Result<Interval, MetricError> {
    let rivals = [judged.predictions, over];
    let gains =
        gates::paired(judged.metric, judged.truth, rivals, judged.resampling, VISITS_MAX, judged.seed)?;
    let (gain, mut values) = (gains.observed, gains.values);
    values.sort_by(f64::total_cmp);
    let stretch = stretch(judged.looks) * gains.scale;
    let middle = quantile(&values, 0.5);
    let end = |probability: f64| {
        let off = if values.is_empty() { 0.0 } else { quantile(&values, probability) - middle };
        gain + off * stretch
    };
    let half = (1.0 - LEVEL) / 2.0;
    Ok(Interval { score: gain, low: end(half).min(gain), high: end(1.0 - half).max(gain), level: LEVEL })
}

/// How much wider an interval must be after so many looks at the same rows, the error divided among them.
pub(crate) fn stretch(looks: u32) -> f64 {
    let error = (1.0 - LEVEL) / 2.0;
    normal_quantile(1.0 - error / f64::from(looks.max(1))) / normal_quantile(1.0 - error)
}

/// Whether the score is a plain share of independent rows, for which there is a formula.
fn is_share(judged: &Judged<'_>) -> bool {
    let name = judged.metric.spec().name.as_str();
    matches!(name, "accuracy" | "f1_micro") && !matches!(judged.resampling, Resampling::Units(_))
}

/// The interval of a share (Wilson, 1927).
fn wilson(share: f64, rows: usize, looks: u32) -> (f64, f64) {
    let z = normal_quantile(1.0 - (1.0 - LEVEL) / 2.0) * stretch(looks);
    let (rows, squared) = (rows as f64, z * z);
    let middle = (share + squared / (2.0 * rows)) / (1.0 + squared / rows);
    let half =
        z / (1.0 + squared / rows) * (share * (1.0 - share) / rows + squared / (4.0 * rows * rows)).sqrt();
    ((middle - half).max(0.0), (middle + half).min(1.0))
}

/// Bootstrap with bias correction and acceleration, stretched about the score by the looks.
fn bca(judged: &Judged<'_>, score: f64) -> Result<(f64, f64), MetricError> {
    let part = Part::of(judged);
    let prepared = Prepared::new(judged.metric, &part.truth, &part.predictions)?;
    let mut values = draws(judged, &prepared, &part.resampling);
    values.sort_by(f64::total_cmp);
    if values.first() == values.last() {
        return Ok(rule_of_three(judged, score));
    }
    let of_part = prepared.score(&vec![1; part.truth.len()]).unwrap_or(score);
    let below = values.partition_point(|value| *value < of_part);
    let equal = values.partition_point(|value| *value <= of_part) - below;
    let share = (below as f64 + equal as f64 / 2.0 + 0.5) / (values.len() + 1) as f64;
    let (bias, acceleration) = (normal_quantile(share), acceleration(&prepared, &part.resampling));
    let end = |probability: f64| {
        let shifted = bias + normal_quantile(probability);
        let level = normal_below(bias + shifted / (1.0 - acceleration * shifted));
        score + (quantile(&values, level) - of_part) * stretch(judged.looks) * part.scale
    };
    let half = (1.0 - LEVEL) / 2.0;
    let (low, high) = inside(judged.metric, end(half), end(1.0 - half));
    Ok((low.min(score), high.max(score)))
}

/// The rows that are visited: all of them, or an even part for a metric that is dear to ask.
struct Part {
    truth: Vec<f64>,
    predictions: Matrix,
    resampling: Resampling,
    /// Turns deviations of the part into those of all rows.
    scale: f64,
}

impl Part {
    fn of(judged: &Judged<'_>) -> Self {
        let all = judged.truth.len();
        let dear = !metrics::is_native(judged.metric.spec());
        let rows = spread_rows(all, if dear { all.min(FOREIGN_ROWS_MAX) } else { all });
        Self {
            truth: rows.iter().map(|&row| judged.truth[row]).collect(),
            predictions: judged.predictions.take(&rows),
            resampling: judged.resampling.take(&rows),
            scale: (rows.len() as f64 / all as f64).sqrt(),
        }
    }
}

fn draws(judged: &Judged<'_>, prepared: &Prepared<'_>, resampling: &Resampling) -> Vec<f64> {
    let mut rng = ChaCha8Rng::seed_from_u64(judged.seed.derive("interval").0);
    let mut sampler = Sampler::new(resampling, prepared.rows(), 1.0);
    let mut counts = vec![0; prepared.rows()];
    let replicates = replicates(VISITS_MAX, prepared.visits(), prepared.is_foreign());
    let mut draw = || {
        sampler.draw(&mut counts, &mut rng);
        counts.clone()
    };
    // A metric that is not ours answers all replicates at once; ours need not hold them all.
    let at_once = if prepared.is_foreign() { replicates } else { 1 };
    let mut values = Vec::with_capacity(replicates);
    for _ in 0..replicates / at_once {
        let drawn: Vec<Vec<u32>> = (0..at_once).map(|_| draw()).collect();
        values.extend(prepared.scores(&drawn).into_iter().flatten());
    }
    values
}

/// A sixth of the skewness of the score under leaving out a part at a time.
fn acceleration(prepared: &Prepared<'_>, resampling: &Resampling) -> f64 {
    let part_of = |row: usize| match resampling {
        Resampling::Units(units) => units[row] as usize % JACKKNIFE_PARTS,
        _ => row % JACKKNIFE_PARTS,
    };
    let rows = prepared.rows();
    let parts: Vec<usize> = (0..rows).map(part_of).collect();
    let without = |part: usize| parts.iter().map(|own| u32::from(*own != part)).collect();
    let counts: Vec<Vec<u32>> = (0..JACKKNIFE_PARTS.min(rows)).map(without).collect();
    let scores: Vec<f64> = prepared.scores(&counts).into_iter().flatten().collect();
    let mean = scores.iter().sum::<f64>() / scores.len().max(1) as f64;
    let power = |exponent: i32| scores.iter().map(|score| (mean - score).powi(exponent)).sum::<f64>();
    let squares = power(2);
    if squares > 0.0 { power(3) / (6.0 * squares.powf(1.5)) } else { 0.0 }
}

/// The interval of a score that no replicate changes, as a perfect one: bounded metrics may be off by three in so many
/// rows as the rarest class has.
fn rule_of_three(judged: &Judged<'_>, score: f64) -> (f64, f64) {
    let range = metrics::range(judged.metric.spec());
    let width = range.1 - range.0;
    if !width.is_finite() {
        return (score, score);
    }
    let mut classes = std::collections::BTreeMap::new();
    for class in judged.truth {
        *classes.entry(class.to_bits()).or_insert(0_usize) += 1;
    }
    let rarest = classes.values().copied().min().unwrap_or(1);
    let units = judged.resampling.size(judged.truth.len()).min(rarest).max(1);
    let off = (RULE_OF_THREE / units as f64).min(1.0) * width * stretch(judged.looks);
    inside(judged.metric, score - off, score + off)
}

/// Quantiles of the score of a fresh test: replicates of the test's size about replicates of the sealed rows' size.
fn future(judged: &Judged<'_>, score: f64, rate: f64) -> Result<Option<(f64, f64)>, MetricError> {
    if !metrics::is_native(judged.metric.spec()) {
        return Ok(None);
    }
    let prepared = Prepared::new(judged.metric, judged.truth, judged.predictions)?;
    let mut rng = ChaCha8Rng::seed_from_u64(judged.seed.derive("expected").0);
    let rows = prepared.rows();
    let (mut sealed, mut test) =
        (Sampler::new(judged.resampling, rows, 1.0), Sampler::new(judged.resampling, rows, rate));
    let (mut sealed_counts, mut test_counts) = (vec![0; rows], vec![0; rows]);
    let mut values = Vec::new();
    for _ in 0..replicates(VISITS_MAX, 2 * prepared.visits(), false) {
        sealed.draw(&mut sealed_counts, &mut rng);
        test.draw(&mut test_counts, &mut rng);
        if let (Some(sealed), Some(test)) = (prepared.score(&sealed_counts), prepared.score(&test_counts)) {
            values.push(score + (test - sealed) * stretch(judged.looks));
        }
    }
    values.sort_by(f64::total_cmp);
    if values.first() == values.last() {
        return Ok(None);
    }
    let half = (1.0 - LEVEL) / 2.0;
    Ok(Some((quantile(&values, half), quantile(&values, 1.0 - half))))
}

fn inside(metric: &dyn Metric, low: f64, high: f64) -> (f64, f64) {
    let (least, most) = metrics::range(metric.spec());
    (low.clamp(least, most), high.clamp(least, most))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::lookup;
    use ansatz_core::task::Problem;
    use rand::Rng;

    fn normal(rng: &mut ChaCha8Rng) -> f64 {
        (0..12).map(|_| rng.random::<f64>()).sum::<f64>() - 6.0
    }

    /// Scores of class 1 stand one standard deviation above those of class 0.
    fn ranked(rows: usize, seed: u64) -> (Vec<f64>, Matrix) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let truth: Vec<f64> = (0..rows).map(|_| f64::from(u8::from(rng.random::<f64>() < 0.3))).collect();
        let scores = truth.iter().map(|class| class + normal(&mut rng)).collect();
        (truth, Matrix::column(scores))
    }

    fn errors(rows: usize, seed: u64) -> (Vec<f64>, Matrix) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        (vec![0.0; rows], Matrix::column((0..rows).map(|_| normal(&mut rng)).collect()))
    }

    fn labels(rows: usize, seed: u64) -> (Vec<f64>, Matrix) {
        let (truth, scores) = ranked(rows, seed);
        (truth, Matrix::column(scores.data().iter().map(|score| f64::from(u8::from(*score > 0.5))).collect()))
    }

    type Draw = fn(usize, u64) -> (Vec<f64>, Matrix);

    fn judge<T>(
        metric: &str,
        problem: Problem,
        rows: (&[f64], &Matrix),
        looks: u32,
        with: impl Fn(&Judged<'_>) -> T,
    ) -> T {
        let resampling = Resampling::suited(problem, rows.0, None, None);
        let metric = lookup(metric).unwrap();
        with(&Judged {
            metric: &*metric,
            truth: rows.0,
            predictions: rows.1,
            resampling: &resampling,
            looks,
            seed: Seed(1),
        })
    }

    /// How often the interval of 150 rows holds the score of 200,000.
    fn coverage(metric: &str, problem: Problem, draw: Draw) -> f64 {
        let (truth, predictions) = draw(200_000, 12_345);
        let target = lookup(metric).unwrap().score(&truth, &predictions, None).unwrap();
        let rounds = 100;
        let hit = |seed: u64| {
            let (truth, predictions) = draw(150, seed);
            let found = judge(metric, problem, (&truth, &predictions), 1, |judged| interval(judged).unwrap());
            (found.low..=found.high).contains(&target)
        };
        (0..rounds).filter(|seed| hit(*seed)).count() as f64 / rounds as f64
    }

    fn check_coverage(metric: &str, problem: Problem, draw: Draw) {
        let coverage = coverage(metric, problem, draw);
        assert!((0.9..=0.99).contains(&coverage), "{metric}: {coverage}");
    }

    #[test]
    fn intervals_hold_the_truth_as_often_as_they_say() {
        check_coverage("roc_auc", Problem::Binary, ranked);
        check_coverage("average_precision", Problem::Binary, ranked);
        check_coverage("accuracy", Problem::Binary, labels);
        check_coverage("f1", Problem::Binary, labels);
        check_coverage("rmse", Problem::Regression, errors);
    }

    /// How often the expected range from 150 sealed rows holds the score of a fresh test.
    fn check_expected(metric: &str, test_rows: usize, problem: Problem, draw: Draw) {
        let rounds = 60;
        let hit = |seed: u64| {
            let (truth, predictions) = draw(150, seed);
            let (low, high) = judge(metric, problem, (&truth, &predictions), 1, |judged| {
                expected(judged, test_rows as u64).unwrap()
            });
            let (truth, predictions) = draw(test_rows, 1000 + seed);
            let score = lookup(metric).unwrap().score(&truth, &predictions, None).unwrap();
            (low..=high).contains(&score)
        };
        let coverage = (0..rounds).filter(|seed| hit(*seed)).count() as f64 / rounds as f64;
        assert!((0.89..=0.995).contains(&coverage), "{metric} of {test_rows} rows: {coverage}");
    }

    #[test]
    fn a_fresh_test_lies_where_it_is_expected() {
        check_expected("roc_auc", 100, Problem::Binary, ranked);
        check_expected("accuracy", 400, Problem::Binary, labels);
        check_expected("rmse", 50, Problem::Regression, errors);
    }

    #[test]
    fn a_second_look_widens() {
        let (truth, predictions) = ranked(400, 7);
        let width = |looks| {
            let ends = judge("roc_auc", Problem::Binary, (&truth, &predictions), looks, |judged| {
                interval(judged).unwrap()
            });
            ends.high - ends.low
        };
        assert!(width(2) > 1.1 * width(1) && width(5) > 1.1 * width(2));
    }

    #[test]
    fn a_perfect_score_is_not_certain() {
        let truth: Vec<f64> = (0..200).map(|row| f64::from(u8::from(row % 2 == 0))).collect();
        let predictions = Matrix::column(truth.clone());
        for metric in ["roc_auc", "accuracy", "f1"] {
            let found =
                judge(metric, Problem::Binary, (&truth, &predictions), 1, |judged| interval(judged).unwrap());
            assert!((0.9..0.99).contains(&found.low) && found.high == 1.0, "{metric} {found:?}");
            let (low, high) = judge(metric, Problem::Binary, (&truth, &predictions), 1, |judged| {
                expected(judged, 200).unwrap()
            });
            assert!(low <= found.low && high == 1.0);
        }
    }

    #[test]
    fn a_lift_is_paired() {
        let (truth, good) = ranked(1000, 3);
        let mut rng = ChaCha8Rng::seed_from_u64(8);
        let worse = Matrix::column(good.data().iter().map(|score| score + 0.8 * normal(&mut rng)).collect());
        let (single, paired) = judge("roc_auc", Problem::Binary, (&truth, &good), 1, |judged| {
            (interval(judged).unwrap(), lift(judged, &worse).unwrap())
        });
        // Two independent intervals would be 1.4 times as wide as one.
        assert!(paired.low > 0.0 && paired.score > 0.0, "{paired:?}");
        assert!(paired.high - paired.low < 0.9 * (single.high - single.low), "{paired:?} {single:?}");
        let none =
            judge("roc_auc", Problem::Binary, (&truth, &good), 1, |judged| lift(judged, &good).unwrap());
        assert_eq!((none.low, none.score, none.high), (0.0, 0.0, 0.0));
    }

    #[test]
    fn groups_widen() {
        let (truth, predictions) = errors(40, 1);
        let copies = |values: &[f64]| -> Vec<f64> { values.iter().flat_map(|value| [*value; 10]).collect() };
        let (truth, predictions) = (copies(&truth), Matrix::column(copies(predictions.data())));
        let groups: Vec<i64> = (0..400).map(|row| row / 10).collect();
        let metric = lookup("rmse").unwrap();
        let width = |groups: Option<&[i64]>| {
            let resampling = Resampling::suited(Problem::Regression, &truth, groups, None);
            let judged = Judged {
                metric: &*metric,
                truth: &truth,
                predictions: &predictions,
                resampling: &resampling,
                looks: 1,
                seed: Seed(1),
            };
            let ends = interval(&judged).unwrap();
            ends.high - ends.low
        };
        assert!(width(Some(&groups)) > 2.2 * width(None));
    }
}
