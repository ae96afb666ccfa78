//! Noise: how often a configuration is measured, and what the measurements say together.

use ansatz_tuner::trial::Direction;

/// How many standard errors behind the best a configuration must be to be measured no further.
const BEHIND_MAX: f64 = 2.0;

/// 97.5 % quantiles of Student's t distribution for 1 to 30 degrees of freedom; beyond, the normal one is close enough.
const T_QUANTILES: [f64; 30] = [
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
    2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
];

/// The value that stands for several measurements: their median, which one disturbed run does not move.
pub fn middle(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => sorted[odd / 2],
        even => f64::midpoint(sorted[even / 2 - 1], sorted[even / 2]),
    }
}

/// Spread of single measurements, pooled over all configurations that were measured at least twice.
///
/// Square root of the pooled sample variance; `None` as long as nothing was measured twice.
pub fn spread<'a>(all: impl Iterator<Item = &'a [f64]>) -> Option<f64> {
    let (mut squares, mut freedom) = (0.0, 0.0);
    for values in all.filter(|values| values.len() > 1) {
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        squares += values.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
        freedom += values.len() as f64 - 1.0;
    }
    (freedom > 0.0).then(|| (squares / freedom).sqrt())
}

/// Whether another measurement of a configuration is worth its time: it is, unless the configuration is clearly behind.
pub fn is_worth_repeating(
    values: &[f64],
    best: Option<&[f64]>,
    spread: Option<f64>,
    goal: Direction,
) -> bool {
    let (Some(best), Some(spread)) = (best, spread) else { return true };
    let behind = goal.loss(middle(values)) - goal.loss(middle(best));
    let error = spread * (1.0 / values.len() as f64 + 1.0 / best.len() as f64).sqrt();
    behind <= BEHIND_MAX * error
}

/// By how much the second of each pair is better, as a ratio above 1, with a 95 % interval: from the mean of the logarithms of
/// the pairs' ratios and Student's t. `None` for fewer than two pairs or values that are not above zero.
pub fn ratio(pairs: &[(f64, f64)], goal: Direction) -> Option<(f64, f64, f64)> {
    if pairs.len() < 2 || pairs.iter().any(|(a, b)| *a <= 0.0 || *b <= 0.0) {
        return None;
    }
    let logs: Vec<f64> = pairs
        .iter()
        .map(|(default, best)| match goal {
            Direction::Minimize => (default / best).ln(),
            Direction::Maximize => (best / default).ln(),
        })
        .collect();
    let count = logs.len() as f64;
    let mean = logs.iter().sum::<f64>() / count;
    let variance = logs.iter().map(|log| (log - mean).powi(2)).sum::<f64>() / (count - 1.0);
    let quantile = T_QUANTILES.get(logs.len() - 2).copied().unwrap_or(1.96);
    let half = quantile * (variance / count).sqrt();
    Some((mean.exp(), (mean - half).exp(), (mean + half).exp()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_ignores_one_disturbed_run() {
        assert_eq!(middle(&[1.0, 90.0, 2.0]), 2.0);
        assert_eq!(middle(&[1.0, 3.0]), 2.0);
        assert!(middle(&[]).is_nan());
    }

    #[test]
    fn the_spread_is_pooled() {
        let all: [&[f64]; 3] = [&[1.0, 3.0], &[10.0, 12.0], &[5.0]];
        assert_eq!(spread(all.into_iter()), Some(2.0_f64.sqrt()));
        assert_eq!(spread([&[5.0][..]].into_iter()), None);
    }

    #[test]
    fn what_is_clearly_behind_is_not_repeated() {
        let best: &[f64] = &[1.0, 1.1, 0.9];
        let repeats = |value: f64, goal| is_worth_repeating(&[value], Some(best), Some(0.1), goal);
        assert!(repeats(1.1, Direction::Minimize) && repeats(0.5, Direction::Minimize));
        assert!(!repeats(2.0, Direction::Minimize));
        assert!(repeats(2.0, Direction::Maximize) && !repeats(0.5, Direction::Maximize));
        assert!(is_worth_repeating(&[9.0], None, None, Direction::Minimize));
    }

    #[test]
    fn a_ratio_says_how_many_times_better() {
        let (middle, low, high) = ratio(&[(2.0, 1.0), (2.2, 1.0), (1.8, 1.0)], Direction::Minimize).unwrap();
        assert!(low < 1.9 && middle > 1.9 && middle < 2.1 && high > 2.1, "{low} {middle} {high}");
        assert!(ratio(&[(2.0, 1.0)], Direction::Minimize).is_none());
        assert!(ratio(&[(2.0, 1.0), (0.0, 1.0)], Direction::Minimize).is_none());
    }
}
