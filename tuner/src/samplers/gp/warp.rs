//! Losses made fit for a Gaussian process: bent towards a normal distribution, then centred and scaled.

/// How losses are bent before they are modelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Warp {
    /// Not at all: centred and scaled.
    Linear,
    /// Yeo & Johnson's power transform (2000), its power by maximum likelihood.
    Power,
    /// Each loss becomes the normal quantile of its rank.
    Rank,
}

/// Losses as targets of mean 0 and deviation 1; less is better, and the order stays.
pub(super) fn targets(losses: &[f64], warp: Warp) -> Vec<f64> {
    let bent = match warp {
        Warp::Linear => scaled(losses),
        Warp::Power => power(&robust(losses)),
        Warp::Rank => ranks(losses),
    };
    scaled(&bent)
}

fn mean_and_deviation(numbers: &[f64]) -> (f64, f64) {
    let n = numbers.len().max(1) as f64;
    let mean = numbers.iter().sum::<f64>() / n;
    let variance = numbers.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / n;
    (mean, variance.sqrt())
}

/// Centred and scaled; all zero if they do not differ.
fn scaled(numbers: &[f64]) -> Vec<f64> {
    // Extremes are first brought into a range whose squares are finite.
    let largest = numbers.iter().fold(0.0, |most: f64, x| most.max(x.abs()));
    let unit = if largest > 1e100 { largest } else { 1.0 };
    let small: Vec<f64> = numbers.iter().map(|x| x / unit).collect();
    let (mean, deviation) = mean_and_deviation(&small);
    if deviation <= 1e-12 * mean.abs() || deviation <= 0.0 || !deviation.is_finite() {
        return vec![0.0; numbers.len()];
    }
    small.iter().map(|x| (x - mean) / deviation).collect()
}

/// Centred at the median and scaled by the distance from the best quarter to the median, so that a few disasters do
/// not squeeze all others together.
fn robust(numbers: &[f64]) -> Vec<f64> {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = |share: f64| sorted[((sorted.len() - 1) as f64 * share).round() as usize];
    let (median, spread) = (at(0.5), at(0.75) - at(0.25));
    let spread = if spread > 0.0 && spread.is_finite() { spread } else { return scaled(numbers) };
    numbers.iter().map(|x| ((x - median) / spread).clamp(-1e6, 1e6)).collect()
}

/// Yeo-Johnson with the power that makes them look most normal.
fn power(numbers: &[f64]) -> Vec<f64> {
    let bent = |lambda: f64| -> Vec<f64> { numbers.iter().map(|x| yeo_johnson(*x, lambda)).collect() };
    let likelihood = |lambda: f64| {
        let (_, deviation) = mean_and_deviation(&bent(lambda));
        let jacobian: f64 = numbers.iter().map(|x| x.signum() * x.abs().ln_1p()).sum();
        -(numbers.len() as f64) * deviation.max(1e-12).ln() + (lambda - 1.0) * jacobian
    };
    // A grid, then golden section around its best: the likelihood has one peak in practice.
    let grid: Vec<f64> = (-12..=12).map(|k| f64::from(k) / 4.0).collect();
    let best = grid.iter().copied().max_by(|a, b| likelihood(*a).total_cmp(&likelihood(*b))).unwrap_or(1.0);
    let (mut low, mut high) = (best - 0.25, best + 0.25);
    let golden = 0.618_033_988_749_894_9;
    for _ in 0..12 {
        let (a, b) = (high - golden * (high - low), low + golden * (high - low));
        if likelihood(a) > likelihood(b) { high = b } else { low = a }
    }
    bent(f64::midpoint(low, high))
}

fn yeo_johnson(x: f64, lambda: f64) -> f64 {
    // ((1 + |x|)^p − 1) / p, continuous at p = 0.
    let grown = |p: f64| if p.abs() < 1e-9 { x.abs().ln_1p() } else { (p * x.abs().ln_1p()).exp_m1() / p };
    if x >= 0.0 { grown(lambda) } else { -grown(2.0 - lambda) }
}

/// Normal quantiles of ranks; equal losses share the mean of their ranks.
fn ranks(numbers: &[f64]) -> Vec<f64> {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    let n = numbers.len() as f64;
    let quantile = |x: &f64| {
        let below = sorted.partition_point(|other| other < x) as f64;
        let upto = sorted.partition_point(|other| other <= x) as f64;
        crate::numeric::normal_quantile((f64::midpoint(below, upto)) / n)
    };
    numbers.iter().map(quantile).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_warp_keeps_the_order_and_is_centred() {
        let losses = [3.0, 1e-3, 7e3, 0.02, 1.0, 5e5, -4.0, 2.9];
        for warp in [Warp::Linear, Warp::Power, Warp::Rank] {
            let targets = targets(&losses, warp);
            for i in 0..losses.len() {
                for j in 0..losses.len() {
                    assert!((losses[i] >= losses[j]) || (targets[i] < targets[j]), "{warp:?}: {targets:?}");
                }
            }
            let (mean, deviation) = mean_and_deviation(&targets);
            assert!(mean.abs() < 1e-9 && (deviation - 1.0).abs() < 1e-9, "{warp:?}");
        }
    }

    #[test]
    fn extremes_and_constants_stay_finite() {
        for losses in [vec![1e300, -1e300, 0.0, 1.0], vec![2.0; 5], vec![0.0, f64::MIN_POSITIVE], vec![7.0]] {
            for warp in [Warp::Linear, Warp::Power, Warp::Rank] {
                assert!(targets(&losses, warp).iter().all(|t| t.is_finite()), "{losses:?} {warp:?}");
            }
        }
    }

    #[test]
    fn losses_over_decades_become_nearly_normal() {
        let losses: Vec<f64> = (0..60).map(|k| (f64::from(k) / 6.0).exp()).collect();
        let skew = |warp| targets(&losses, warp).iter().map(|t| t.powi(3)).sum::<f64>() / 60.0;
        assert!(skew(Warp::Linear) > 2.0 && skew(Warp::Power).abs() < 0.8, "{}", skew(Warp::Power));
    }
}
