//! Which parameters matter: PED-ANOVA (Watanabe, Bansal & Hutter, 2023).
//!
//! A parameter matters as much as its distribution among the best trials differs from that among all, by Pearson's
//! divergence. It costs next to nothing, needs no model of the scores, and says so of the region that was searched.

use crate::sampler::{History, Observed};
use crate::space::{Axis, AxisKind};

/// How much one parameter matters.
#[derive(Debug, Clone, PartialEq)]
pub struct Importance {
    /// Its name.
    pub parameter: String,
    /// Its share of all that matters, from 0 to 1; all shares add up to 1.
    pub share: f64,
    /// Trials in which it counted.
    pub trials: usize,
}

/// Share of trials that are the best.
const BEST_SHARE: f64 = 0.2;
/// Fewer complete trials than this say nothing.
pub const TRIALS_LEAST: usize = 10;
/// Cells into which a continuum is divided.
const CELLS: usize = 32;

/// The importance of each parameter under the first goal, most important first; empty if too little is known or no
/// parameter makes a difference.
pub fn importances(seen: &History<'_>) -> Vec<Importance> {
    let mut known: Vec<(f64, &crate::space::Point)> = seen
        .observations()
        .into_iter()
        .filter_map(|observation| match observation.kind {
            Observed::Complete { loss } => Some((loss, observation.point)),
            _ => None,
        })
        .collect();
    if known.len() < TRIALS_LEAST {
        return Vec::new();
    }
    known.sort_by(|a, b| a.0.total_cmp(&b.0));
    let best = ((known.len() as f64 * BEST_SHARE).ceil() as usize).max(3);
    // What ties with the last of the best belongs to them: a score that never changes divides nothing.
    let best = known.partition_point(|(loss, _)| *loss <= known[best - 1].0);
    let mut found: Vec<Importance> = Vec::new();
    for (place, (parameter, axis)) in seen.space.parameters().iter().zip(seen.space.axes()).enumerate() {
        let coordinates = |trials: &[(f64, &crate::space::Point)]| -> Vec<f64> {
            trials.iter().filter_map(|(_, point)| point.get(place)).collect()
        };
        let (top, all) = (coordinates(&known[..best]), coordinates(&known));
        let share = if top.len() < 2 || best == known.len() { 0.0 } else { divergence(axis, &top, &all) };
        found.push(Importance { parameter: parameter.name.clone(), share, trials: all.len() });
    }
    let total: f64 = found.iter().map(|one| one.share).sum();
    if total <= 0.0 {
        return Vec::new();
    }
    for one in &mut found {
        one.share /= total;
    }
    found.sort_by(|a, b| b.share.total_cmp(&a.share));
    found
}

/// Pearson's divergence of the distribution of `top` from that of `all`, both smoothed alike, less what chance alone
/// would give.
fn divergence(axis: &Axis, top: &[f64], all: &[f64]) -> f64 {
    let listed = axis.levels() > 0 && axis.levels() <= CELLS as u64;
    let cells = if listed { axis.levels() as usize } else { CELLS };
    let cell = |coordinate: &f64| {
        if listed {
            *coordinate as usize
        } else {
            ((axis.place(*coordinate) * cells as f64) as usize).min(cells - 1)
        }
    };
    let ordered = axis.kind() != AxisKind::Choice;
    // Smoothed over neighbours as far as the smaller sample needs it.
    let reach = if ordered { cells as f64 * 0.5 * (top.len() as f64).powf(-0.4) } else { 0.0 };
    let density = |coordinates: &[f64]| -> Vec<f64> {
        let mut density = vec![0.0; cells];
        for coordinate in coordinates {
            let own = cell(coordinate);
            let weight = |at: usize| {
                let off = (at as f64 - own as f64) / reach.max(0.3);
                (-0.5 * off * off).exp()
            };
            let total: f64 = (0..cells).map(weight).sum();
            for (at, sum) in density.iter_mut().enumerate() {
                *sum += weight(at) / total;
            }
        }
        // A little of everything, so that no cell is impossible.
        let count = coordinates.len() as f64;
        density.iter().map(|sum| (sum + 1.0 / cells as f64) / (count + 1.0)).collect()
    };
    let (p, q) = (density(top), density(all));
    let pearson: f64 = p.iter().zip(&q).map(|(p, q)| (p / q - 1.0) * (p / q - 1.0) * q).sum();
    // A sample of this size differs from the whole by this much even if nothing matters.
    let free = if ordered { (cells as f64 / (2.5 * reach).max(1.0)).max(2.0) } else { cells as f64 } - 1.0;
    let chance = free * (1.0 / top.len() as f64 - 1.0 / all.len() as f64);
    (pearson - chance).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samplers::Random;
    use crate::space::{Builder, Params};
    use crate::study::{Ask, Options, Study};
    use crate::trial::Direction;
    use ansatz_core::seed::Seed;

    fn shares(trials: usize, value: impl Fn(&Params) -> f64) -> Vec<(String, f64)> {
        let space = Builder::new()
            .float("a", 0.0, 1.0)
            .log_int("b", 1, 1_000)
            .categorical("c", ["x", "y", "z"])
            .bool("d")
            .float("e", 0.0, 1.0)
            .build()
            .unwrap();
        let mut study =
            Study::new(space, Options::new(Direction::Maximize, Seed(2)), Box::new(Random)).unwrap();
        for _ in 0..trials {
            let Ask::Suggestion(asked) = study.ask() else { panic!("no suggestion") };
            study.tell(asked.number, value(&asked.params)).unwrap();
        }
        importances(&study.history()).into_iter().map(|one| (one.parameter, one.share)).collect()
    }

    #[test]
    fn what_matters_comes_first() {
        let found = shares(120, |params| {
            let choice = f64::from(u8::from(params["c"] == "y"));
            -(params["a"].as_f64().unwrap() - 0.3).abs() * 4.0 + choice
        });
        let first: Vec<&str> = found[..2].iter().map(|(name, _)| name.as_str()).collect();
        assert!(first.contains(&"a") && first.contains(&"c"), "{found:?}");
        let sum: f64 = found.iter().map(|(_, share)| share).sum();
        assert!((sum - 1.0).abs() < 1e-9 && found[0].1 + found[1].1 > 0.6, "{found:?}");
    }

    #[test]
    fn too_little_or_nothing_to_tell_gives_nothing() {
        assert!(shares(9, |params| params["a"].as_f64().unwrap()).is_empty());
        assert!(shares(40, |_| 1.0).is_empty());
    }
}
