//! Class weights for metrics that care for rare classes: one number is fitted, not one per class.
//!
//! For good probabilities the balanced accuracy is highest when each is divided by its class share; accuracy wants no
//! division. Other metrics lie in between, so the power of the share is what is searched.

use super::{Decision, Effort, is_better};
use crate::metrics;
use ansatz_core::matrix::Matrix;
use ansatz_core::metric::{Metric, MetricError};
use ansatz_core::seed::Seed;

/// Powers of the class share that are tried, the plain rule first.
const POWERS: [f64; 5] = [0.0, 0.25, 0.5, 0.75, 1.0];

/// Fits the power on out-of-fold predictions. A metric that is not of the catalogue is too dear to ask so often for every
/// candidate: a quick fit leaves it the plain rule.
pub(super) fn fit(
    metric: &dyn Metric,
    truth: &[f64],
    raw: &Matrix,
    effort: Effort,
    seed: Seed,
) -> Result<Decision, MetricError> {
    let shares = shares(truth, raw.columns());
    let mut best = Decision::Argmax { weights: vec![1.0; raw.columns()] };
    let is_dear = effort == Effort::Quick && !metrics::is_native(metric.spec());
    if is_dear || matches!(metric.spec().name.as_str(), "accuracy" | "f1_micro") {
        return Ok(best);
    }
    for power in &POWERS[1..] {
        let weights = shares.iter().map(|share| share.powf(-power)).collect();
        let rival = Decision::Argmax { weights };
        if is_better(metric, truth, raw, [&rival, &best], effort, seed)? {
            best = rival;
        }
    }
    Ok(best)
}

/// Class shares; a class that does not occur counts as one row.
fn shares(truth: &[f64], classes: usize) -> Vec<f64> {
    let mut counts = vec![0.0_f64; classes];
    for &class in truth {
        if let Some(count) = counts.get_mut(class as usize) {
            *count += 1.0;
        }
    }
    counts.iter().map(|count| count.max(1.0) / truth.len() as f64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::lookup;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    /// Three classes, the last one rare; probabilities are true ones.
    fn rows(count: usize, seed: u64) -> (Vec<f64>, Matrix) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let (mut truth, mut data) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let odds = [1.0, rng.random::<f64>() * 1.5, rng.random::<f64>().powi(3) * 0.6];
            let total: f64 = odds.iter().sum();
            let draw = rng.random::<f64>() * total;
            truth.push(if draw < odds[0] {
                0.0
            } else if draw < odds[0] + odds[1] {
                1.0
            } else {
                2.0
            });
            data.extend(odds.iter().map(|odd| odd / total));
        }
        (truth, Matrix::new(count, 3, data).unwrap())
    }

    #[test]
    fn balanced_accuracy_gives_rare_classes_their_weight() {
        let (metric, (truth, raw)) = (lookup("balanced_accuracy").unwrap(), rows(4000, 1));
        let (fresh_truth, fresh) = rows(4000, 2);
        let plain = Decision::plain(metric.spec(), 3).score(&*metric, &fresh_truth, &fresh).unwrap();
        for effort in [Effort::Thorough, Effort::Quick] {
            let decision = fit(&*metric, &truth, &raw, effort, Seed(1)).unwrap();
            let fitted = decision.score(&*metric, &fresh_truth, &fresh).unwrap();
            assert!(fitted > plain + 0.05, "{effort:?}: {fitted} against {plain}");
        }
    }

    #[test]
    fn accuracy_keeps_the_likeliest() {
        let (metric, (truth, raw)) = (lookup("accuracy").unwrap(), rows(500, 1));
        let decision = fit(&*metric, &truth, &raw, Effort::Thorough, Seed(1)).unwrap();
        assert_eq!(decision, Decision::Argmax { weights: vec![1.0; 3] });
    }
}
