//! What a configuration that was stopped after some folds would have come to.

/// A configuration whose folds are all in.
#[derive(Debug, Clone, PartialEq)]
pub struct Partial {
    /// Its mean gain on the folds that the stopped one has.
    pub on_same_folds: f64,
    /// Its gain in the end.
    pub gain: f64,
}

/// The gain that a configuration of this mean gain on some folds would have come to, by those that were finished: between
/// its neighbours on the same folds, and no better or worse than all of them. `None` when none was finished.
pub fn estimate(own: f64, finished: &[Partial]) -> Option<f64> {
    let below = finished.iter().filter(|other| other.on_same_folds <= own);
    let below = below.max_by(|a, b| a.on_same_folds.total_cmp(&b.on_same_folds));
    let above = finished.iter().filter(|other| other.on_same_folds >= own);
    let above = above.min_by(|a, b| a.on_same_folds.total_cmp(&b.on_same_folds));
    match (below, above) {
        (None, None) => None,
        (Some(one), None) | (None, Some(one)) => Some(one.gain),
        (Some(low), Some(high)) => {
            let width = high.on_same_folds - low.on_same_folds;
            let share = if width > 0.0 { (own - low.on_same_folds) / width } else { 0.5 };
            Some(low.gain + share * (high.gain - low.gain))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stopped_configuration_stands_between_its_neighbours() {
        let finished = [(0.7, -0.6), (0.8, -0.5), (0.9, -0.2)]
            .map(|(on_same_folds, gain)| Partial { on_same_folds, gain });
        let check = |own: f64, expected: f64| {
            let found = estimate(own, &finished).unwrap();
            assert!((found - expected).abs() < 1e-12, "{own}: {found}");
        };
        check(0.75, -0.55);
        check(0.8, -0.5);
        check(0.1, -0.6);
        check(0.95, -0.2);
        assert_eq!(estimate(0.5, &[]), None);
    }
}
