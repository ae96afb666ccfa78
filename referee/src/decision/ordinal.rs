//! Cuts of the expected class, for the metric that counts an error by the square of its distance.
//!
//! The likeliest class is the wrong answer there: a row that is 0, 2 or 4 with equal right is best called 2. What suits is
//! the expected class index, and where it is cut decides how often each class is said. Cuts are fitted to replicates of the
//! rows and averaged, which leads to the middle of the good region.

use super::{Decision, Effort, expected_class, is_better, weighting};
use crate::resample::Poisson;
use ansatz_core::matrix::Matrix;
use ansatz_core::metric::{Metric, MetricError};
use ansatz_core::seed::Seed;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// Places that a cut may have; more would only follow the noise.
const PLACES_MAX: usize = 200;

/// Classes above which cuts are not fitted: there would be few rows between two of them.
const CLASSES_MAX: usize = 50;

/// Replicates whose cuts are averaged.
const BAGS: usize = 25;

/// The same for a quick fit.
const QUICK_BAGS: usize = 8;

/// Rounds over all cuts; few are needed, each starts where the one before ended.
const ROUNDS_MAX: usize = 20;

/// Whether a metric takes classes for numbers in order.
pub(super) fn suits(metric: &dyn Metric) -> bool {
    metric.spec().name == "quadratic_weighted_kappa"
}

/// Fits cuts on out-of-fold predictions; class weights keep their place where cuts are not clearly better.
pub(super) fn fit(
    metric: &dyn Metric,
    truth: &[f64],
    raw: &Matrix,
    effort: Effort,
    seed: Seed,
) -> Result<Decision, MetricError> {
    let weighted = weighting::fit(metric, truth, raw, effort, seed)?;
    let classes = raw.columns();
    if classes > CLASSES_MAX {
        return Ok(weighted);
    }
    let expected: Vec<f64> = (0..raw.rows()).map(|row| expected_class(raw.row(row))).collect();
    let table = Table::of(truth, &expected, classes);
    let bags = if effort == Effort::Thorough { BAGS } else { QUICK_BAGS };
    let rival = Decision::Cuts { at: table.bagged_cuts(bags, seed) };
    let cuts_are_better = is_better(metric, truth, raw, [&rival, &weighted], effort, seed)?;
    Ok(if cuts_are_better { rival } else { weighted })
}

/// Rows between neighbouring places, by class.
struct Table {
    classes: usize,
    /// Rising; no row lies below the first, none above the last.
    places: Vec<f64>,
    /// `counts[bin * classes + class]`; bin 0 lies between the first two places.
    counts: Vec<u32>,
}

impl Table {
    fn of(truth: &[f64], expected: &[f64], classes: usize) -> Self {
        let mut sorted = expected.to_vec();
        sorted.sort_by(f64::total_cmp);
        let step = (sorted.len() as f64 / PLACES_MAX as f64).max(1.0);
        let picked =
            (1..PLACES_MAX).map(|at| (at as f64 * step) as usize).take_while(|&at| at < sorted.len());
        // Places stand in the middle between two different values, so that rounding cannot move a row across.
        let below = |at: usize| sorted.partition_point(|value| *value < sorted[at]).checked_sub(1);
        let inner = picked.filter_map(|at| Some(f64::midpoint(sorted[below(at)?], sorted[at])));
        let mut places: Vec<f64> = std::iter::once(0.0).chain(inner).chain([classes as f64 - 0.5]).collect();
        places.dedup();
        let mut counts = vec![0; (places.len() - 1) * classes];
        for (class, value) in truth.iter().zip(expected) {
            let bin = places.partition_point(|place| place <= value).clamp(1, places.len() - 1) - 1;
            let class = (*class as usize).min(classes - 1);
            counts[bin * classes + class] += 1;
        }
        Self { classes, places, counts }
    }

    /// The mean of the best cuts of replicates.
    fn bagged_cuts(&self, bags: usize, seed: Seed) -> Vec<f64> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed.derive("ordinal").0);
        let (starts, mut sums) = (self.starts(), vec![0.0; self.classes - 1]);
        for _ in 0..bags {
            // A sum of Poisson(1) counts over the rows of a cell is one Poisson count of its size.
            let redraw = |&count: &u32| Poisson::draw_once(f64::from(count), &mut rng);
            let redrawn: Vec<u32> = self.counts.iter().map(redraw).collect();
            let cuts = Climb::of(&redrawn, self.classes).best(starts.clone());
            for (sum, place) in sums.iter_mut().zip(cuts) {
                *sum += self.places[place];
            }
        }
        sums.iter().map(|sum| sum / bags as f64).collect()
    }

    /// Where the search for cuts begins: at rounding, and where each class is said as often as it is true.
    fn starts(&self) -> [Vec<usize>; 2] {
        let last = self.places.len() - 1;
        let place_of = |value: f64| self.places.partition_point(|place| *place < value).min(last);
        let rounded = (1..self.classes).map(|class| place_of(class as f64 - 0.5)).collect();
        let of_class = |class: usize| self.counts.iter().skip(class).step_by(self.classes).sum::<u32>();
        let (mut below, mut shares) = (0, Vec::with_capacity(self.classes - 1));
        for class in 0..self.classes - 1 {
            below += of_class(class);
            let mut passed = 0;
            let bins = self.counts.chunks(self.classes).take_while(|bin| {
                passed += bin.iter().sum::<u32>();
                passed <= below
            });
            shares.push(bins.count());
        }
        [rounded, shares]
    }
}

/// The climb to the best cuts of one table of rows. Kappa is a function of the sums of truth, answer, their squares and
/// their product over the rows, and a cut adds to each of them what lies above it.
struct Climb {
    cuts: usize,
    /// Rows at or above each place, and the sum of their true classes.
    above: Vec<(f64, f64)>,
    /// The sum of the squares of the true classes.
    squares: f64,
}

/// Sums over the rows: answers, their squares, and their products with the truth.
#[derive(Clone, Copy, Default)]
struct Sums {
    answers: f64,
    squares: f64,
    products: f64,
}

impl Sums {
    /// With `sign` times what the cut of this number (from 0) adds: one more to every answer above it.
    fn and(self, cut: usize, (rows, truths): (f64, f64), sign: f64) -> Self {
        Self {
            answers: self.answers + sign * rows,
            squares: self.squares + sign * (2 * cut + 1) as f64 * rows,
            products: self.products + sign * truths,
        }
    }
}

impl Climb {
    fn of(counts: &[u32], classes: usize) -> Self {
        let (mut above, mut squares) = (vec![(0.0, 0.0)], 0.0);
        let (mut rows, mut truths) = (0.0, 0.0);
        for bin in counts.chunks(classes).rev() {
            for (class, count) in bin.iter().enumerate() {
                let (class, count) = (class as f64, f64::from(*count));
                rows += count;
                truths += count * class;
                squares += count * class * class;
            }
            above.push((rows, truths));
        }
        above.reverse();
        Self { cuts: classes - 1, above, squares }
    }

    /// Cuts as numbers of places: the better of what two starts lead to.
    fn best(&self, starts: [Vec<usize>; 2]) -> Vec<usize> {
        let [first, second] = starts.map(|start| self.climbed(start));
        if self.kappa(self.sums(&second)) > self.kappa(self.sums(&first)) { second } else { first }
    }

    /// Moves one cut after the other to its best place between its neighbours, until none moves.
    fn climbed(&self, mut cuts: Vec<usize>) -> Vec<usize> {
        for _ in 0..ROUNDS_MAX {
            let before = cuts.clone();
            for cut in 0..self.cuts {
                let low = if cut == 0 { 0 } else { cuts[cut - 1] };
                let high = cuts.get(cut + 1).copied().unwrap_or(self.above.len() - 1);
                let others = self.sums(&cuts).and(cut, self.above[cuts[cut]], -1.0);
                let kappa = |place: usize| self.kappa(others.and(cut, self.above[place], 1.0));
                let best = (low..=high).max_by(|&a, &b| kappa(a).total_cmp(&kappa(b)));
                // A place that is only as good is no reason to move.
                if let Some(best) = best.filter(|&best| kappa(best) > kappa(cuts[cut])) {
                    cuts[cut] = best;
                }
            }
            if cuts == before {
                break;
            }
        }
        cuts
    }

    fn sums(&self, cuts: &[usize]) -> Sums {
        cuts.iter()
            .enumerate()
            .fold(Sums::default(), |sums, (cut, &place)| sums.and(cut, self.above[place], 1.0))
    }

    /// Quadratic weighted kappa; below every other where it is undefined.
    fn kappa(&self, sums: Sums) -> f64 {
        let (rows, truths) = self.above[0];
        let by_chance = truths * sums.answers / rows;
        let penalty = self.squares + sums.squares - 2.0 * by_chance;
        if penalty > 0.0 { 2.0 * (sums.products - by_chance) / penalty } else { -1.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::lookup;
    use rand::Rng;

    const CLASSES: usize = 5;

    /// Grades 0 to 4, the middle ones frequent; probabilities lean to a noisy guess at the grade.
    fn grades(rows: usize, seed: u64) -> (Vec<f64>, Matrix) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let (mut truth, mut data) = (Vec::new(), Vec::new());
        for _ in 0..rows {
            let hidden: f64 = (0..4).map(|_| rng.random::<f64>()).sum::<f64>() * 1.3 - 0.3;
            let grade = hidden.round().clamp(0.0, 4.0);
            let guess = hidden + (rng.random::<f64>() - 0.5) * 2.5;
            let odds: Vec<f64> =
                (0..CLASSES).map(|class| (-0.7 * (class as f64 - guess).powi(2)).exp()).collect();
            let total: f64 = odds.iter().sum();
            truth.push(grade);
            data.extend(odds.iter().map(|odd| odd / total));
        }
        (truth, Matrix::new(rows, CLASSES, data).unwrap())
    }

    /// Two ways of rows: sure ones, and rows that are 0, 2 or 4 with nearly equal right.
    fn torn(rows: usize, seed: u64) -> (Vec<f64>, Matrix) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let (mut truth, mut data) = (Vec::new(), Vec::new());
        for _ in 0..rows {
            let draw = rng.random::<f64>();
            let odds = if rng.random::<f64>() < 0.5 {
                let sure = (draw * 5.0) as usize;
                truth.push(sure as f64);
                (0..CLASSES).map(|class| if class == sure { 0.92 } else { 0.02 }).collect()
            } else {
                truth.push(f64::from((draw * 3.0) as u8) * 2.0);
                vec![0.35, 0.0, 0.3, 0.0, 0.35]
            };
            data.extend(odds);
        }
        (truth, Matrix::new(rows, CLASSES, data).unwrap())
    }

    #[test]
    fn kappa_by_sums_is_that_of_the_metric() {
        let (truth, raw) = grades(400, 1);
        let metric = lookup("quadratic_weighted_kappa").unwrap();
        let expected: Vec<f64> = (0..raw.rows()).map(|row| expected_class(raw.row(row))).collect();
        let table = Table::of(&truth, &expected, CLASSES);
        let climb = Climb::of(&table.counts, CLASSES);
        for places in [[20, 60, 120, 160], [0, 1, 50, 199], [30, 30, 90, 90]] {
            let decision = Decision::Cuts { at: places.map(|place| table.places[place]).to_vec() };
            let score = decision.score(&*metric, &truth, &raw).unwrap();
            let found = climb.kappa(climb.sums(&places));
            assert!((found - score).abs() < 1e-9, "{places:?}: {found} and {score}");
        }
    }

    #[test]
    fn cuts_carry_over_to_fresh_rows() {
        let metric = lookup("quadratic_weighted_kappa").unwrap();
        for effort in [Effort::Thorough, Effort::Quick] {
            let ((truth, raw), (fresh_truth, fresh)) = (torn(3000, 1), torn(3000, 2));
            let fitted = fit(&*metric, &truth, &raw, effort, Seed(1)).unwrap();
            assert!(
                matches!(&fitted, Decision::Cuts { at } if at.len() == CLASSES - 1 && at.is_sorted()),
                "{fitted:?}"
            );
            let plain = Decision::plain(metric.spec(), CLASSES);
            let score = |decision: &Decision| decision.score(&*metric, &fresh_truth, &fresh).unwrap();
            assert!(
                score(&fitted) > score(&plain) + 0.05,
                "{effort:?}: {} {}",
                score(&fitted),
                score(&plain)
            );
        }
        let (mut fitted, mut plain) = (0.0, 0.0);
        for seed in 0..6 {
            let ((truth, raw), (fresh_truth, fresh)) = (grades(1500, seed), grades(6000, 100 + seed));
            let decision = fit(&*metric, &truth, &raw, Effort::Thorough, Seed(seed)).unwrap();
            fitted += decision.score(&*metric, &fresh_truth, &fresh).unwrap();
            plain += Decision::plain(metric.spec(), CLASSES).score(&*metric, &fresh_truth, &fresh).unwrap();
        }
        assert!(fitted > plain, "{fitted} {plain}");
    }

    #[test]
    fn what_chance_explains_changes_nothing() {
        let metric = lookup("quadratic_weighted_kappa").unwrap();
        // Sure and right: every rule says the same.
        let truth: Vec<f64> = (0..60).map(|row| f64::from(row % 3)).collect();
        let data =
            truth.iter().flat_map(|class| [0.0, 1.0, 2.0].map(|other| f64::from(u8::from(other == *class))));
        let raw = Matrix::new(60, 3, data.collect()).unwrap();
        let fitted = fit(&*metric, &truth, &raw, Effort::Thorough, Seed(1)).unwrap();
        assert_eq!(fitted, Decision::Argmax { weights: vec![1.0; 3] });
        // One answer for every row: there is nothing to cut.
        let raw = Matrix::filled(60, 3, 1.0 / 3.0);
        let fitted = fit(&*metric, &truth, &raw, Effort::Thorough, Seed(1));
        assert!(matches!(fitted, Ok(Decision::Argmax { .. }) | Err(_)), "{fitted:?}");
    }
}
