//! Limited-memory BFGS: Nocedal & Wright, "Numerical optimization", algorithms 7.4 and 7.5, with backtracking.

use super::linear::dot;

/// Pairs of steps that the curvature is estimated from.
const MEMORY: usize = 10;

/// Minimises a function of some numbers, each kept within [-limit, limit]. `value` gives the function and writes its
/// gradient, or gives `None` where it is not defined. Stops after `steps` steps or when little is gained.
pub(super) fn minimise(
    start: &[f64],
    limit: f64,
    steps: usize,
    mut value: impl FnMut(&[f64], &mut [f64]) -> Option<f64>,
) -> (Vec<f64>, f64) {
    let n = start.len();
    let mut at = start.to_vec();
    let mut gradient = vec![0.0; n];
    let Some(mut now) = value(&at, &mut gradient) else { return (at, f64::INFINITY) };
    let mut pairs: std::collections::VecDeque<(Vec<f64>, Vec<f64>, f64)> = std::collections::VecDeque::new();
    for _ in 0..steps {
        let mut direction = descent(&gradient, &pairs);
        let mut slope = dot(&direction, &gradient);
        if slope >= 0.0 {
            direction = gradient.iter().map(|g| -g).collect();
            slope = -dot(&gradient, &gradient);
            pairs.clear();
        }
        // The first step goes at most one unit of the logarithms; later ones are scaled by the curvature.
        let longest = direction.iter().fold(0.0, |most: f64, d| most.max(d.abs()));
        let mut length = if longest > 2.0 { 2.0 / longest } else { 1.0 };
        if pairs.is_empty() {
            length = length.min(0.5 / longest.max(1e-12));
        }
        let mut found = None;
        for _ in 0..12 {
            let next: Vec<f64> =
                at.iter().zip(&direction).map(|(x, d)| (x + length * d).clamp(-limit, limit)).collect();
            let mut slopes = vec![0.0; n];
            if let Some(there) = value(&next, &mut slopes)
                && there <= now + 1e-4 * length * slope
            {
                found = Some((next, slopes, there));
                break;
            }
            length *= 0.4;
        }
        let Some((next, slopes, there)) = found else { break };
        let moved: Vec<f64> = next.iter().zip(&at).map(|(a, b)| a - b).collect();
        let turned: Vec<f64> = slopes.iter().zip(&gradient).map(|(a, b)| a - b).collect();
        let curvature = dot(&moved, &turned);
        if curvature > 1e-10 {
            if pairs.len() == MEMORY {
                pairs.pop_front();
            }
            pairs.push_back((moved, turned, curvature));
        }
        let gained = now - there;
        (at, gradient, now) = (next, slopes, there);
        if gained < 1e-4 * (1.0 + now.abs()) * 0.1 {
            break;
        }
    }
    (at, now)
}

/// The direction of the two-loop recursion.
fn descent(gradient: &[f64], pairs: &std::collections::VecDeque<(Vec<f64>, Vec<f64>, f64)>) -> Vec<f64> {
    let mut q: Vec<f64> = gradient.iter().map(|g| -g).collect();
    let mut shares = Vec::with_capacity(pairs.len());
    for (moved, turned, curvature) in pairs.iter().rev() {
        let share = dot(moved, &q) / curvature;
        q.iter_mut().zip(turned).for_each(|(q, y)| *q -= share * y);
        shares.push(share);
    }
    if let Some((_, turned, curvature)) = pairs.back() {
        let scale = curvature / dot(turned, turned);
        q = q.iter().map(|q| q * scale).collect();
    }
    for ((moved, turned, curvature), share) in pairs.iter().zip(shares.iter().rev()) {
        let other = dot(turned, &q) / curvature;
        q.iter_mut().zip(moved).for_each(|(q, s)| *q += (share - other) * s);
    }
    q
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bent_valley_is_followed() {
        let start = [-1.2, 1.0];
        let (at, value) = minimise(&start, 5.0, 200, |x, gradient| {
            let (a, b) = (1.0 - x[0], x[1] - x[0] * x[0]);
            gradient[0] = -2.0 * a - 40.0 * b * x[0];
            gradient[1] = 20.0 * b;
            Some(a * a + 10.0 * b * b)
        });
        assert!(value < 1e-3 && (at[0] - 1.0).abs() < 0.05, "{at:?} {value}");
    }

    #[test]
    fn limits_hold_and_undefined_places_are_avoided() {
        let (at, _) = minimise(&[0.5], 1.0, 50, |x, gradient| {
            gradient[0] = -1.0;
            (x[0] < 0.9).then_some(-x[0])
        });
        assert!(at[0] > 0.7 && at[0] < 0.9, "{at:?}");
    }
}
