//! The cut for two classes: the middle of the region that cannot be told from the best.

use super::{Decision, Effort};
use crate::gates::{FOREIGN_ROWS_MAX, spread_rows};
use crate::metrics;
use crate::resample::Poisson;
use ansatz_core::matrix::Matrix;
use ansatz_core::metric::Metric;
use ansatz_core::seed::Seed;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// Cuts that are compared; more would only follow the noise.
const CUTS_MAX: usize = 200;

/// Bootstrap replicates by which differences between cuts are judged. A replicate costs two counts per cut.
const REPLICATES: usize = 100;

/// The same for a quick fit.
const QUICK_REPLICATES: usize = 20;

/// The same two for a metric that is not of the catalogue: it reads every row at every cut.
const FOREIGN_CUTS_MAX: usize = 24;
/// See [`FOREIGN_CUTS_MAX`].
const FOREIGN_REPLICATES: usize = 20;

/// Cuts within this many standard errors of the best belong to the plateau. Of 0, 0.25, 0.5, 1 and 1.5 this lost least
/// on fresh rows in simulations with F1, balanced accuracy and Matthews' coefficient.
const PLATEAU_ERRORS: f64 = 1.0;

/// The plain cut at 0.5 is left only for a gain of this many standard errors. High, because the best of many cuts
/// looks good by luck.
const LEAVE_PLAIN_ERRORS: f64 = 2.5;

/// Rows between two neighbouring cuts.
#[derive(Clone, Copy, Default)]
struct Bin {
    negative: u32,
    positive: u32,
}

/// Fits the cut. Metrics for which 0.5 is the optimum of good probabilities keep it unless the gain is beyond noise.
pub(super) fn fit(metric: &dyn Metric, truth: &[f64], raw: &Matrix, effort: Effort, seed: Seed) -> Decision {
    let plain = Decision::Threshold { at: 0.5 };
    let dear = !metrics::is_native(metric.spec());
    let rows = spread_rows(truth.len(), if dear { truth.len().min(FOREIGN_ROWS_MAX) } else { truth.len() });
    let truth: Vec<f64> = rows.iter().map(|&row| truth[row]).collect();
    let probabilities: Vec<f64> = rows.iter().map(|&row| raw.data()[row]).collect();
    let cuts_max = if dear { FOREIGN_CUTS_MAX } else { CUTS_MAX };
    let (cuts, bins) = binned(&truth, &probabilities, cuts_max);
    let Some(curve) = curve(metric, &bins) else { return plain };
    let Some(best) = argmax(&curve) else { return plain };
    let replicates = match effort {
        _ if dear => FOREIGN_REPLICATES,
        Effort::Thorough => REPLICATES,
        Effort::Quick => QUICK_REPLICATES,
    };
    let errors = differences(metric, &bins, best, replicates, seed);
    if keeps_plain(metric) && !clearly_worse(&cuts, &curve, &errors, best) {
        return plain;
    }
    let near = |cut: usize| curve[best] - curve[cut] <= PLATEAU_ERRORS * errors[cut];
    let first = (0..best).rev().take_while(|&cut| near(cut)).last().unwrap_or(best);
    let last = (best + 1..cuts.len()).take_while(|&cut| near(cut)).last().unwrap_or(best);
    Decision::Threshold { at: cuts[usize::midpoint(first, last)] }
}

/// Metrics that count every error alike are best served by the likelier class.
fn keeps_plain(metric: &dyn Metric) -> bool {
    matches!(metric.spec().name.as_str(), "accuracy" | "f1_micro")
}

fn clearly_worse(cuts: &[f64], curve: &[f64], errors: &[f64], best: usize) -> bool {
    let plain = cuts.partition_point(|&cut| cut < 0.5).min(cuts.len() - 1);
    curve[best] - curve[plain] > LEAVE_PLAIN_ERRORS * errors[plain]
}

/// Rising cuts and the rows from each cut up to the next. Everything below the first cut is in no bin of its own: the
/// first cut lies at the lowest probability, so that all rows are predicted positive there. 0.5 is always a cut.
fn binned(truth: &[f64], probabilities: &[f64], cuts_max: usize) -> (Vec<f64>, Vec<Bin>) {
    let mut sorted = probabilities.to_vec();
    sorted.sort_by(f64::total_cmp);
    let step = (sorted.len() as f64 / cuts_max as f64).max(1.0);
    let picked = (0..cuts_max.min(sorted.len())).map(|at| (at as f64 * step) as usize);
    // Cuts stand in the middle between two neighbouring values, so that rounding cannot move a row across.
    let middle = |at: usize| if at == 0 { sorted[0] } else { f64::midpoint(sorted[at - 1], sorted[at]) };
    let mut cuts: Vec<f64> = picked.map(middle).chain([sorted[0].min(0.5), 0.5]).collect();
    cuts.sort_by(f64::total_cmp);
    cuts.dedup();
    let mut bins = vec![Bin::default(); cuts.len()];
    for (actual, probability) in truth.iter().zip(probabilities) {
        let bin = &mut bins[cuts.partition_point(|cut| cut <= probability).saturating_sub(1)];
        if *actual == 1.0 { bin.positive += 1 } else { bin.negative += 1 }
    }
    (cuts, bins)
}

/// The score at each cut, larger being better; `None` where it is undefined at any.
fn curve(metric: &dyn Metric, bins: &[Bin]) -> Option<Vec<f64>> {
    let total = |side: fn(&Bin) -> u32| f64::from(bins.iter().map(side).sum::<u32>());
    let (negatives, positives) = (total(|bin| bin.negative), total(|bin| bin.positive));
    let (mut true_negatives, mut missed) = (0.0, 0.0);
    let labels = Matrix::column(vec![0.0, 1.0, 0.0, 1.0]);
    let mut counts = Vec::with_capacity(bins.len());
    for bin in bins {
        let weights = [true_negatives, negatives - true_negatives, missed, positives - missed];
        counts.push(weights.map(|weight| weight as u32).to_vec());
        true_negatives += f64::from(bin.negative);
        missed += f64::from(bin.positive);
    }
    // An undefined score at one cut (kappa of a single class) must not win and not spoil the others.
    let gain =
        |score: Option<f64>| score.map_or(f64::NEG_INFINITY, |score| metric.spec().direction.gain(score));
    let scores: Vec<f64> =
        metric.scores(&[0.0, 0.0, 1.0, 1.0], &labels, &counts).into_iter().map(gain).collect();
    scores.iter().any(|score| score.is_finite()).then_some(scores)
}

fn argmax(values: &[f64]) -> Option<usize> {
    (0..values.len()).filter(|&at| !values[at].is_nan()).max_by(|&a, &b| values[a].total_cmp(&values[b]))
}

/// Standard error of the difference between the best cut and each other.
fn differences(metric: &dyn Metric, bins: &[Bin], best: usize, replicates: usize, seed: Seed) -> Vec<f64> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed.derive("threshold").0);
    let mut sums = vec![(0.0, 0.0, 0.0); bins.len()];
    for _ in 0..replicates {
        // A sum of Poisson(1) counts over the rows of a bin is one Poisson count of its size.
        let redraw = |bin: &Bin, rng: &mut ChaCha8Rng| Bin {
            negative: Poisson::draw_once(f64::from(bin.negative), rng),
            positive: Poisson::draw_once(f64::from(bin.positive), rng),
        };
        let bins: Vec<Bin> = bins.iter().map(|bin| redraw(bin, &mut rng)).collect();
        let Some(curve) = curve(metric, &bins) else { continue };
        for (sum, value) in sums.iter_mut().zip(&curve) {
            let difference = curve[best] - value;
            if difference.is_finite() {
                *sum = (sum.0 + 1.0, sum.1 + difference, sum.2 + difference * difference);
            }
        }
    }
    let error = |(count, sum, squares): &(f64, f64, f64)| {
        if *count < 2.0 { 0.0 } else { ((squares - sum * sum / count) / (count - 1.0)).max(0.0).sqrt() }
    };
    sums.iter().map(error).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::lookup;
    use rand::Rng;

    /// Calibrated probabilities: a row is positive as often as its probability says.
    fn calibrated(rows: usize, seed: u64, power: i32) -> (Vec<f64>, Matrix) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let probabilities: Vec<f64> = (0..rows).map(|_| rng.random::<f64>().powi(power)).collect();
        let truth = probabilities.iter().map(|p| f64::from(u8::from(rng.random::<f64>() < *p))).collect();
        (truth, Matrix::column(probabilities))
    }

    fn cut(metric: &str, truth: &[f64], raw: &Matrix) -> f64 {
        match fit(&*lookup(metric).unwrap(), truth, raw, Effort::Thorough, Seed(3)) {
            Decision::Threshold { at } => at,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn accuracy_of_calibrated_probabilities_keeps_one_half() {
        let kept = (0..20).filter(|&seed| {
            let (truth, raw) = calibrated(600, seed, 1);
            cut("accuracy", &truth, &raw) == 0.5
        });
        assert!(kept.count() >= 19);
    }

    #[test]
    fn accuracy_leaves_one_half_when_probabilities_are_far_off() {
        let (truth, raw) = calibrated(2000, 1, 1);
        let low = Matrix::column(raw.data().iter().map(|p| p * 0.4).collect());
        assert!((cut("accuracy", &truth, &low) - 0.2).abs() < 0.04);
    }

    #[test]
    fn f1_of_calibrated_probabilities_cuts_at_half_of_its_optimum() {
        let (truth, raw) = calibrated(20_000, 2, 3);
        let at = cut("f1", &truth, &raw);
        let metric = lookup("f1").unwrap();
        let best = Decision::Threshold { at }.score(&*metric, &truth, &raw).unwrap();
        assert!((at - best / 2.0).abs() < 0.05, "cut {at}, F1 {best}");
    }

    #[test]
    fn a_chosen_cut_carries_over_to_fresh_rows() {
        let metric = lookup("f1").unwrap();
        let (mut gain, mut regret, mut lost) = (0.0_f64, 0.0_f64, 0.0_f64);
        for seed in 0..10 {
            let (truth, raw) = calibrated(800, seed, 4);
            let (fresh_truth, fresh) = calibrated(20_000, 100 + seed, 4);
            let score = |decision: &Decision| decision.score(&*metric, &fresh_truth, &fresh).unwrap();
            let thorough = Effort::Thorough;
            let chosen = score(&fit(&*metric, &truth, &raw, thorough, Seed(seed)));
            let oracle = score(&fit(&*metric, &fresh_truth, &fresh, thorough, Seed(seed)));
            gain += (chosen - score(&Decision::Threshold { at: 0.5 })) / 10.0;
            regret += (oracle - chosen) / 10.0;
            let quick = score(&fit(&*metric, &truth, &raw, Effort::Quick, Seed(seed)));
            lost += (chosen - quick) / 10.0;
        }
        assert!(gain > 0.015 && regret < gain / 2.0, "mean gain {gain}, mean regret {regret}");
        assert!(lost.abs() < gain / 2.0, "mean gain {gain}, lost by haste {lost}");
    }

    #[test]
    fn constant_probabilities_have_a_cut_too() {
        let raw = Matrix::filled(50, 1, 0.1);
        let truth: Vec<f64> = (0..50).map(|row| f64::from(u8::from(row < 5))).collect();
        let at = cut("f1", &truth, &raw);
        assert!(at <= 0.1, "everything positive is the best that can be done: {at}");
    }
}
