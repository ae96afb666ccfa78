//! Several goals at once: who beats whom.

/// Whether one point of losses is nowhere worse than another and somewhere better.
pub fn dominates(one: &[f64], other: &[f64]) -> bool {
    let mut better = false;
    for (a, b) in one.iter().zip(other) {
        if a > b {
            return false;
        }
        better |= a < b;
    }
    better
}
