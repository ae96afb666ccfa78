//! Monte Carlo tree search: a configuration is a walk from the root of a tree of choices to a leaf.

use super::{Sobol, tpe::Tpe};
use crate::sampler::{History, Move, Observed, Sampler};
use crate::space::{Axis, AxisKind, Point};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// Negrinho & Gordon, "`DeepArchitect`" (2017): parameters are decided one after the other, each among its values (of
/// ordered ones first roughly, then more finely the more is known), by the upper confidence bound of what came of each
/// branch; from where nothing is known on, by chance. Several such walks are made and the densities of [`Tpe`] say
/// which leaf is tried, but now and then the first walk is taken as it is.
///
/// For spaces in which a choice opens other choices. Put parameters that matter most first.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mcts {
    /// Weight of what is little known against what is known to be good; values are ranks from 0 to 1.
    pub bonus: f64,
    /// Walks of which one is taken.
    pub walks: usize,
    /// Share of decisions that take the first walk.
    pub free: f64,
}

impl Default for Mcts {
    fn default() -> Self {
        Self { bonus: 0.3, walks: 24, free: 0.15 }
    }
}

/// Trials before the tree is used.
const STARTUP: usize = 5;
/// Branches of an ordered parameter at a node.
const BRANCHES: u64 = 4;
/// An interval with fewer visits is not divided.
const DIVIDED_LEAST: usize = 3;
/// How often an interval is divided at most.
const DIVISIONS_MAX: usize = 8;

/// A visited leaf: its point, and its rank from 0 (worst) to 1 (best).
type Visit<'a> = (&'a Point, f64);

impl Mcts {
    fn visits<'a>(seen: &'a History<'_>) -> Vec<Visit<'a>> {
        let observations = seen.observations();
        let loss = |observed: &Observed| match observed {
            Observed::Complete { loss } => (0, *loss),
            Observed::Pruned { loss, .. } => (1, *loss),
            Observed::Failed => (2, 0.0),
        };
        let mut order: Vec<usize> = (0..observations.len()).collect();
        let key = |at: &usize| loss(&observations[*at].kind);
        order.sort_by(|a, b| key(a).0.cmp(&key(b).0).then(key(a).1.total_cmp(&key(b).1)));
        let last = (order.len().max(2) - 1) as f64;
        let mut visits: Vec<Visit<'a>> = Vec::with_capacity(order.len());
        let mut rank = 0;
        for (at, place) in order.iter().enumerate() {
            // Equals share the better rank, so that a score that never changes favours nobody.
            if at > 0 && key(place) != key(&order[at - 1]) {
                rank = at;
            }
            visits.push((observations[*place].point, 1.0 - rank as f64 / last));
        }
        visits.extend(seen.pending().map(|point| (point, 0.0)));
        visits
    }

    /// One walk from the root to a leaf.
    fn walk(&self, seen: &History<'_>, visits: &[Visit<'_>], rng: &mut ChaCha8Rng) -> Point {
        let mut here: Vec<Visit<'_>> = visits.to_vec();
        seen.space.fill(|place, _| {
            let axis = &seen.space.axes()[place];
            let (coordinate, rest) = self.decide(axis, place, &here, rng);
            here = rest;
            coordinate
        })
    }

    /// Decides one parameter, given the visits that decided everything before it as this walk does.
    fn decide<'a>(
        &self,
        axis: &Axis,
        place: usize,
        here: &[Visit<'a>],
        rng: &mut ChaCha8Rng,
    ) -> (f64, Vec<Visit<'a>>) {
        let known: Vec<(f64, Visit<'a>)> =
            here.iter().filter_map(|visit| Some((visit.0.get(place)?, *visit))).collect();
        if axis.kind() == AxisKind::Choice || (axis.levels() > 0 && axis.levels() <= BRANCHES) {
            let level = self.branch(axis.levels() as usize, &known, |coordinate| coordinate as usize, rng);
            let rest = known.iter().filter(|(c, _)| *c as usize == level).map(|(_, visit)| *visit).collect();
            return (level as f64, rest);
        }
        let (mut low, mut high) = (0.0, 1.0);
        let mut inside: Vec<(f64, Visit<'a>)> =
            known.iter().map(|(c, visit)| (axis.place(*c), *visit)).collect();
        let mut rest = inside.clone();
        for division in 0..DIVISIONS_MAX {
            if division > 0 && inside.len() < DIVIDED_LEAST {
                break;
            }
            let parts = if division == 0 { BRANCHES as usize } else { 2 };
            let width = (high - low) / parts as f64;
            let part = |at: f64| (((at - low) / width) as usize).min(parts - 1);
            let chosen = self.branch(parts, &inside, part, rng);
            inside.retain(|(at, _)| part(*at) == chosen);
            if division == 0 {
                // What follows is conditioned on the rough value alone: fine ones are all but unique.
                rest.clone_from(&inside);
            }
            (low, high) = (low + width * chosen as f64, low + width * (chosen + 1) as f64);
        }
        let coordinate = axis.coordinate_at(low + rng.random::<f64>() * (high - low));
        (coordinate, rest.into_iter().map(|(_, visit)| visit).collect())
    }

    /// The branch of the highest upper confidence bound; unvisited ones first, by chance among equals.
    fn branch(
        &self,
        branches: usize,
        visits: &[(f64, Visit<'_>)],
        of: impl Fn(f64) -> usize,
        rng: &mut ChaCha8Rng,
    ) -> usize {
        let mut sums = vec![(0.0, 0.0); branches];
        for (coordinate, (_, value)) in visits {
            let sum = &mut sums[of(*coordinate)];
            sum.0 += value;
            sum.1 += 1.0;
        }
        let all = (visits.len() as f64).max(1.0);
        let bound = |(value, count): &(f64, f64)| {
            if *count == 0.0 {
                return f64::INFINITY;
            }
            value / count + self.bonus * (2.0 * all.ln() / count).sqrt()
        };
        let most = sums.iter().map(bound).fold(f64::NEG_INFINITY, f64::max);
        let best: Vec<usize> = (0..branches).filter(|at| bound(&sums[*at]) >= most).collect();
        best[rng.random_range(0..best.len())]
    }
}

impl Sampler for Mcts {
    fn name(&self) -> &'static str {
        "mcts"
    }

    fn next(&mut self, seen: &History<'_>) -> Move {
        let mut rng = seen.rng();
        let visits = Self::visits(seen);
        if visits.len() < STARTUP {
            return Sobol.next(seen);
        }
        let walks = if rng.random_bool(self.free) { 1 } else { self.walks };
        let mut leaves: Vec<Point> = Vec::new();
        for _ in 0..walks * 4 {
            let leaf = self.walk(seen, &visits, &mut rng);
            if seen.is_open(&leaf) {
                leaves.push(leaf);
            }
            if leaves.len() == walks {
                break;
            }
        }
        if leaves.is_empty() {
            leaves = seen.listed(walks, &mut rng);
        }
        if leaves.is_empty() {
            return seen.draw(&mut rng).map_or(Move::Nothing, Move::from);
        }
        let worth = if leaves.len() > 1 { Tpe::default().rank(seen, &leaves) } else { None };
        let best = worth
            .map_or(0, |worth| (0..worth.len()).max_by(|a, b| worth[*a].total_cmp(&worth[*b])).unwrap_or(0));
        leaves.swap_remove(best).into()
    }

    fn rank(&mut self, seen: &History<'_>, pool: &[Point]) -> Option<Vec<f64>> {
        Tpe::default().rank(seen, pool)
    }
}
