//! A growing blend of candidates and a quick score of what one more pick would make of it.

use crate::gates::{FOREIGN_ROWS_MAX, spread_rows};
use crate::metrics::{self, Formula, RankStatistic, Ranking, RowLoss};
use ansatz_core::matrix::Matrix;
use ansatz_core::metric::{Metric, MetricError};
use std::borrow::Cow;

/// Fewer rows are quicker sorted than counted by level.
const LEVELLED_ROWS_MIN: usize = 2_000;

/// Scores of a blend are ranked by this many levels, finest near 0 and 1.
const LEVELS: usize = 1 << 15;

/// Exponents of a single-precision number below one half that get levels of their own.
const EXPONENTS: u32 = 31;

/// Bits of a single-precision fraction that are dropped: 512 levels for each power of two.
const DROPPED_BITS: u32 = 14;

/// The blend so far and the way it is scored.
pub(super) struct Blend<'a> {
    metric: &'a dyn Metric,
    /// Truth of the rows that are scored.
    truth: Cow<'a, [f64]>,
    form: Form,
    /// What each candidate contributes, one value per row or per row and column.
    parts: Vec<Vec<f64>>,
    columns: usize,
    sum: Vec<f64>,
    counts: Vec<u32>,
    gain: f64,
}

enum Form {
    /// Parts are probabilities of the true class.
    LogLoss,
    /// Parts are scores brought into 0…1: of class 1, or of every class against the rest.
    Rank { statistic: RankStatistic },
    /// Parts are predictions, scored by the metric itself.
    Whole,
}

impl<'a> Blend<'a> {
    /// An empty blend. A metric that is dear to ask is asked about a part of the rows, evenly spread.
    pub(super) fn new(
        metric: &'a dyn Metric,
        truth: &'a [f64],
        candidates: &[Matrix],
    ) -> Result<Self, MetricError> {
        let columns = candidates.first().map_or(1, Matrix::columns);
        for candidate in candidates {
            // Also refuses NaN and probabilities out of range, so that the quick scores need not look.
            if candidate.columns() != columns || !candidate.is_finite() {
                let found = format!("{} columns, finite: {}", candidate.columns(), candidate.is_finite());
                return Err(MetricError::Shape { expected: format!("{columns} finite columns"), found });
            }
            if candidate.rows() != truth.len() {
                let found = format!("{} rows", candidate.rows());
                return Err(MetricError::Shape { expected: format!("{} rows", truth.len()), found });
            }
        }
        let form = match metrics::formula(metric.spec()) {
            Some(Formula::Rows(RowLoss::Log, _)) => {
                candidates
                    .iter()
                    .try_for_each(|candidate| metric.score(truth, candidate, None).map(|_| ()))?;
                Form::LogLoss
            }
            Some(Formula::Rank(statistic) | Formula::OneVsRest(statistic)) => Form::Rank { statistic },
            _ => Form::Whole,
        };
        let is_dear = !metrics::is_native(metric.spec()) && truth.len() > FOREIGN_ROWS_MAX;
        let (truth, candidates): (Cow<'a, [f64]>, Cow<'_, [Matrix]>) = if is_dear {
            let rows = spread_rows(truth.len(), FOREIGN_ROWS_MAX);
            let part: Vec<Matrix> = candidates.iter().map(|candidate| candidate.take(&rows)).collect();
            (Cow::Owned(rows.iter().map(|&row| truth[row]).collect()), Cow::Owned(part))
        } else {
            (Cow::Borrowed(truth), Cow::Borrowed(candidates))
        };
        let parts: Vec<Vec<f64>> = match form {
            Form::LogLoss => candidates.iter().map(|candidate| of_truth(&truth, candidate)).collect(),
            Form::Rank { .. } => within_unit(&candidates),
            Form::Whole => candidates.iter().map(|candidate| candidate.data().to_vec()).collect(),
        };
        Ok(Self {
            metric,
            truth,
            form,
            sum: vec![0.0; parts.first().map_or(0, Vec::len)],
            counts: vec![0; parts.len()],
            parts,
            columns,
            gain: f64::NEG_INFINITY,
        })
    }

    /// Number of picks so far.
    pub(super) fn picks(&self) -> usize {
        self.counts.iter().sum::<u32>() as usize
    }

    /// How often each candidate was picked.
    pub(super) fn counts(&self) -> &[u32] {
        &self.counts
    }

    /// The score of the blend, larger being better.
    pub(super) fn gain(&self) -> f64 {
        self.gain
    }

    /// Whether a candidate is a member.
    pub(super) fn holds(&self, candidate: usize) -> bool {
        self.counts[candidate] > 0
    }

    /// Weights by picks.
    pub(super) fn weights(&self) -> Vec<f64> {
        let picks = self.picks().max(1) as f64;
        self.counts.iter().map(|&count| f64::from(count) / picks).collect()
    }

    /// Picks a candidate; `gain` is what [`Self::best`] said of it.
    pub(super) fn add(&mut self, candidate: usize, gain: f64) {
        for (sum, value) in self.sum.iter_mut().zip(&self.parts[candidate]) {
            *sum += value;
        }
        self.counts[candidate] += 1;
        self.gain = gain;
    }

    /// The best next pick among those allowed, with the gain after it. Members, then earlier candidates, win ties.
    pub(super) fn best(&self, allowed: impl Fn(usize) -> bool) -> Option<(usize, f64)> {
        let mut best: Option<(usize, f64)> = None;
        for candidate in (0..self.parts.len()).filter(|&candidate| allowed(candidate)) {
            let Some(gain) = self.with(candidate) else { continue };
            let wins = best.is_none_or(|(rival, most)| {
                gain > most || (gain == most && self.holds(candidate) && !self.holds(rival))
            });
            if wins {
                best = Some((candidate, gain));
            }
        }
        best
    }

    /// The score after one more pick; `None` where it has none.
    fn with(&self, candidate: usize) -> Option<f64> {
        let part = &self.parts[candidate];
        let share = 1.0 / (self.picks() + 1) as f64;
        let direction = self.metric.spec().direction;
        match &self.form {
            Form::LogLoss => {
                // A product of probabilities needs one logarithm for many rows.
                let mut logs = Product::default();
                for (sum, own) in self.sum.iter().zip(part) {
                    logs.push((sum + own) * share);
                }
                Some(logs.total() / self.truth.len() as f64)
            }
            Form::Rank { statistic } => {
                let first = usize::from(self.columns == 1);
                let values = (0..self.columns).filter_map(|column| {
                    let class = (column + first) as f64;
                    if self.truth.len() < LEVELLED_ROWS_MIN {
                        self.by_order(part, column, class, *statistic)
                    } else {
                        self.by_levels(part, share, column, class, *statistic)
                    }
                });
                metrics::mean(&values.collect::<Vec<_>>())
            }
            Form::Whole => {
                let data = self.sum.iter().zip(part).map(|(sum, own)| (sum + own) * share).collect();
                let blended = Matrix::new(self.truth.len(), self.columns, data)?;
                let score = self.metric.score(&self.truth, &blended, None).ok()?;
                Some(direction.gain(score)).filter(|gain| !gain.is_nan())
            }
        }
    }

    /// The statistic of one column for one class, from sorted scores.
    fn by_order(&self, part: &[f64], column: usize, class: f64, statistic: RankStatistic) -> Option<f64> {
        let places = (column..part.len()).step_by(self.columns);
        let scores: Vec<f64> = places.map(|at| self.sum[at] + part[at]).collect();
        let ranking = Ranking::new(&scores, |row| self.truth[row] == class);
        ranking.value(statistic, &vec![1_u32; scores.len()])
    }

    /// The same from scores counted by level.
    fn by_levels(
        &self,
        part: &[f64],
        share: f64,
        column: usize,
        class: f64,
        statistic: RankStatistic,
    ) -> Option<f64> {
        let mut levels = Levels::new();
        for (row, actual) in self.truth.iter().enumerate() {
            let at = row * self.columns + column;
            levels.count((self.sum[at] + part[at]) * share, *actual == class);
        }
        levels.value(statistic)
    }
}

/// The probability of the true class of each row, rows of several columns brought to a sum of 1.
fn of_truth(truth: &[f64], candidate: &Matrix) -> Vec<f64> {
    let one = |(row, class): (usize, &f64)| match candidate.row(row) {
        [positive] => {
            if *class == 1.0 {
                *positive
            } else {
                1.0 - positive
            }
        }
        several => several[*class as usize] / several.iter().sum::<f64>(),
    };
    truth.iter().enumerate().map(one).collect()
}

/// All candidates by one rising line into 0…1, unless they are there: it changes no order of any blend.
fn within_unit(candidates: &[Matrix]) -> Vec<Vec<f64>> {
    let values = || candidates.iter().flat_map(|candidate| candidate.data().iter().copied());
    let low = values().fold(f64::INFINITY, f64::min);
    let high = values().fold(f64::NEG_INFINITY, f64::max);
    let (from, width) =
        if low >= 0.0 && high <= 1.0 { (0.0, 1.0) } else { (low, (high - low).max(f64::MIN_POSITIVE)) };
    candidates
        .iter()
        .map(|candidate| candidate.data().iter().map(|value| (value - from) / width).collect())
        .collect()
}

/// A sum of logarithms of probabilities.
struct Product {
    product: f64,
    sum: f64,
}

impl Default for Product {
    fn default() -> Self {
        Self { product: 1.0, sum: 0.0 }
    }
}

impl Product {
    #[inline]
    fn push(&mut self, probability: f64) {
        self.product *= probability.max(metrics::PROBABILITY_FLOOR);
        // Far enough from the smallest number for one more factor.
        if self.product < 1e-280 {
            self.sum += self.product.ln();
            self.product = 1.0;
        }
    }

    fn total(&self) -> f64 {
        self.sum + self.product.ln()
    }
}

/// Rows counted by level of their score, which stands in for sorting them.
struct Levels {
    positive: Vec<u32>,
    negative: Vec<u32>,
}

impl Levels {
    fn new() -> Self {
        Self { positive: vec![0; 2 * LEVELS], negative: vec![0; 2 * LEVELS] }
    }

    #[inline]
    fn count(&mut self, score: f64, positive: bool) {
        let level = level(score);
        if positive { self.positive[level] += 1 } else { self.negative[level] += 1 }
    }

    fn value(&self, statistic: RankStatistic) -> Option<f64> {
        let (mut positives, mut negatives, mut wins, mut precision) = (0.0, 0.0, 0.0, 0.0);
        for (&positive, &negative) in self.positive.iter().zip(&self.negative).rev() {
            if positive + negative == 0 {
                continue;
            }
            let (positive, negative) = (f64::from(positive), f64::from(negative));
            wins += negative * (positives + 0.5 * positive);
            positives += positive;
            negatives += negative;
            precision += positive * positives / (positives + negatives);
        }
        match statistic {
            RankStatistic::RocAuc if positives > 0.0 && negatives > 0.0 => {
                Some(wins / (positives * negatives))
            }
            RankStatistic::AveragePrecision if positives > 0.0 => Some(precision / positives),
            _ => None,
        }
    }
}

/// The level of a score from 0 to 1: by its leading bits below one half, mirrored above.
#[inline]
fn level(score: f64) -> usize {
    let half = if score <= 0.5 { score } else { 1.0 - score };
    let smallest = f32::from_bits((126 - EXPONENTS) << 23);
    let bits = ((half as f32).max(smallest).to_bits() - smallest.to_bits()) >> DROPPED_BITS;
    if score <= 0.5 { bits as usize } else { 2 * LEVELS - 1 - bits as usize }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::lookup;
    use ansatz_core::metric::MetricSpec;
    use proptest::prelude::*;

    #[test]
    fn levels_rise_with_the_score() {
        let mut last = 0;
        for at in 0..=10_000 {
            let now = level(f64::from(at) / 10_000.0);
            assert!(now >= last && now < 2 * LEVELS);
            last = now;
        }
        assert!(level(1e-6) > level(0.0) && level(1.0 - 1e-6) < level(1.0));
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
            lookup("mae").unwrap().score(truth, predictions, weights)
        }
    }

    #[test]
    fn a_dear_metric_is_asked_about_rows_of_the_whole_file() {
        let spec = MetricSpec { name: "my own".into(), ..lookup("mae").unwrap().spec().clone() };
        let (own, rows) = (Own(spec), 3 * FOREIGN_ROWS_MAX);
        let truth = vec![0.0; rows];
        // Right where the file begins, and far off in the rest of it.
        let early: Vec<f64> = (0..rows).map(|row| if row < FOREIGN_ROWS_MAX { 0.0 } else { 9.0 }).collect();
        let candidates = [Matrix::column(early), Matrix::filled(rows, 1, 2.0)];
        let blend = Blend::new(&own, &truth, &candidates).unwrap();
        let (best, gain) = blend.best(|_| true).unwrap();
        assert_eq!((best, gain), (1, -2.0));
        assert!((blend.with(0).unwrap() + 6.0).abs() < 0.01, "{:?}", blend.with(0));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(50))]

        #[test]
        fn quick_scores_are_the_metric_s(
            rows in proptest::collection::vec((any::<bool>(), 0.0..=1.0, 0.0..=1.0), 5..80),
            name in prop_oneof![Just("roc_auc"), Just("average_precision"), Just("log_loss"), Just("brier_score")],
        ) {
            let truth: Vec<f64> = rows.iter().map(|row| f64::from(u8::from(row.0))).collect();
            prop_assume!(truth.contains(&0.0) && truth.contains(&1.0));
            let candidates =
                [rows.iter().map(|row| row.1).collect(), rows.iter().map(|row| row.2).collect()].map(Matrix::column);
            let metric = lookup(name).unwrap();
            let mut blend = Blend::new(&*metric, &truth, &candidates).unwrap();
            let (first, gain) = blend.best(|candidate| candidate == 0).unwrap();
            blend.add(first, gain);
            let quick = blend.with(1).unwrap();
            if let Form::Rank { statistic } = blend.form {
                let levelled = blend.by_levels(&blend.parts[1], 0.5, 0, 1.0, statistic).unwrap();
                prop_assert!((quick - levelled).abs() < 2e-2 * quick.max(0.1), "{} {}", quick, levelled);
            }
            let mean: Vec<f64> = rows.iter().map(|row| f64::midpoint(row.1, row.2)).collect();
            let slow = metric.spec().direction.gain(metric.score(&truth, &Matrix::column(mean), None).unwrap());
            prop_assert!((quick - slow).abs() < 2e-2 * slow.abs().max(0.1), "{} {}", quick, slow);
        }
    }
}
