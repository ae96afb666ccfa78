//! NSGA-II: evolution towards a front.

use super::Sobol;
use crate::front::{crowding, front_numbers};
use crate::sampler::{History, Move, Sampler};
use crate::space::{AxisKind, Point};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// Deb et al., "A fast and elitist multiobjective genetic algorithm: NSGA-II" (2002), one child at a time: parents are
/// drawn by tournament from the best of everything seen, crossed and changed. For any number of goals, and for budgets
/// of hundreds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Nsga {
    /// How many of the best may become parents, and how many Sobol points come first.
    pub population: usize,
}

impl Default for Nsga {
    fn default() -> Self {
        Self { population: 24 }
    }
}

/// How often a child that was tried before is made anew.
const CHILDREN_MAX: usize = 100;

impl Nsga {
    /// Complete trials before there are children; until then Sobol points.
    pub(super) fn startup(self) -> usize {
        (self.population / 2).max(2)
    }

    /// Complete trials, best first: by front, then by loneliness within it.
    fn ranked<'a>(seen: &History<'a>) -> Vec<&'a Point> {
        let known: Vec<(&Point, Vec<f64>)> = seen
            .trials
            .iter()
            .filter_map(|trial| {
                let losses = trial.values()?.iter().zip(seen.goals).map(|(value, goal)| goal.loss(*value));
                Some((&trial.point, losses.collect()))
            })
            .collect();
        let losses: Vec<Vec<f64>> = known.iter().map(|(_, losses)| losses.clone()).collect();
        let numbers = front_numbers(&losses);
        let mut lonely = vec![0.0; known.len()];
        for front in 0..=numbers.iter().copied().max().unwrap_or(0) {
            let members: Vec<usize> = (0..known.len()).filter(|at| numbers[*at] == front).collect();
            let points: Vec<&Vec<f64>> = members.iter().map(|at| &losses[*at]).collect();
            for (at, distance) in members.iter().zip(crowding(&points)) {
                lonely[*at] = distance;
            }
        }
        let mut order: Vec<usize> = (0..known.len()).collect();
        order.sort_by(|a, b| numbers[*a].cmp(&numbers[*b]).then(lonely[*b].total_cmp(&lonely[*a])));
        order.into_iter().map(|at| known[at].0).collect()
    }

    fn child(seen: &History<'_>, parents: &[&Point], rng: &mut ChaCha8Rng) -> Point {
        let space = seen.space;
        // Of two drawn places the better one: parents are sorted.
        let mut tournament = || {
            let (a, b) = (rng.random_range(0..parents.len()), rng.random_range(0..parents.len()));
            parents[a.min(b)]
        };
        let (mother, father) = (tournament(), tournament());
        let crossed = rng.random_bool(0.9);
        let changed = 1.0 / space.len() as f64;
        let spread = 10f64.powf(-rng.random_range(0.3..1.7));
        space.fill(|place, _| {
            let axis = &space.axes()[place];
            let from = if crossed && rng.random_bool(0.5) { father } else { mother };
            let inherited = from.get(place).or(mother.get(place)).or(father.get(place));
            let Some(own) = inherited else { return space.random_coordinate(place, rng) };
            if !rng.random_bool(changed) {
                return own;
            }
            match axis.kind() {
                AxisKind::Choice => space.random_coordinate(place, rng),
                _ => axis.coordinate_at(axis.place(own) + spread * (rng.random::<f64>() * 2.0 - 1.0)),
            }
        })
    }
}

impl Sampler for Nsga {
    fn name(&self) -> &'static str {
        "nsga2"
    }

    fn next(&mut self, seen: &History<'_>) -> Move {
        let mut parents = Self::ranked(seen);
        if parents.len() < self.startup() {
            return Sobol.next(seen);
        }
        parents.truncate(self.population);
        let mut rng = seen.rng();
        for _ in 0..CHILDREN_MAX {
            let child = Self::child(seen, &parents, &mut rng);
            if seen.is_open(&child) {
                return child.into();
            }
        }
        seen.draw(&mut rng).map_or(Move::Nothing, Move::from)
    }
}
