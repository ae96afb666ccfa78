//! Small statistics of a list of numbers, and the normal distribution.

use statrs::function::erf;
use std::f64::consts::SQRT_2;

/// Standard deviation with `n - 1`; 0 for fewer than two values.
pub(crate) fn deviation(values: &[f64]) -> f64 {
    if values.len() < 2 {
        return 0.0;
    }
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (squares / (values.len() - 1) as f64).sqrt()
}

/// Share of values above a limit, equal ones counted half, drawn in from 0 and 1 by half a value.
pub(crate) fn share_above(values: &[f64], limit: f64) -> f64 {
    let count = |value: &f64| {
        if *value > limit {
            1.0
        } else if *value == limit {
            0.5
        } else {
            0.0
        }
    };
    (values.iter().map(count).sum::<f64>() + 0.5) / (values.len() + 1) as f64
}

/// Probability that a normal variable with this mean and standard deviation is above 0.
pub(crate) fn normal_share(mean: f64, deviation: f64) -> f64 {
    if deviation > 0.0 {
        return normal_below(mean / deviation);
    }
    if mean > 0.0 {
        1.0
    } else if mean < 0.0 {
        0.0
    } else {
        0.5
    }
}

/// Probability that a standard normal variable is below this.
pub(crate) fn normal_below(z: f64) -> f64 {
    0.5 * erf::erfc(-z / SQRT_2)
}

/// The value that a standard normal variable stays below with this probability.
pub(crate) fn normal_quantile(probability: f64) -> f64 {
    -SQRT_2 * erf::erfc_inv(2.0 * probability)
}

/// The quantile of rising values, interpolated between neighbours. NaN of nothing.
pub(crate) fn quantile(rising: &[f64], probability: f64) -> f64 {
    let Some(last) = rising.len().checked_sub(1) else { return f64::NAN };
    let place = probability.clamp(0.0, 1.0) * last as f64;
    let below = place.floor() as usize;
    let above = (below + 1).min(last);
    rising[below] + (rising[above] - rising[below]) * place.fract()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_normal_distribution_is_the_normal_distribution() {
        assert!((normal_below(1.959_963_984_540_054) - 0.975).abs() < 1e-10);
        assert!((normal_quantile(0.975) - 1.959_963_984_540_054).abs() < 1e-9);
        assert_eq!(normal_share(0.0, 0.0), 0.5);
    }

    #[test]
    fn quantiles_are_interpolated() {
        assert_eq!(quantile(&[1.0, 2.0, 4.0], 0.75), 3.0);
        assert_eq!(quantile(&[1.0], 0.2), 1.0);
    }

    #[test]
    fn ties_count_half() {
        assert_eq!(share_above(&[0.0, 0.0, 1.0], 0.0), 2.5 / 4.0);
        assert_eq!(deviation(&[1.0, 3.0]), SQRT_2);
    }
}
