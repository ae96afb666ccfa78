//! What a sampler is, and what it may see.

use crate::query::{Answer, Query, Question};
use crate::space::{LISTED_MAX, Point, Space};
use crate::trial::{Direction, Trial, TrialState};
use ansatz_core::seed::Seed;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::HashSet;

/// Decides which configuration to try next.
///
/// A decision is a function of the [`History`] (its seed included): whatever a sampler keeps between calls is a cache
/// of what it could compute again, so that a replayed study goes on as the interrupted one would have. The one
/// exception are answers to its own questions, which the study keeps and gives again.
///
/// Every sampler must pass the contract suite in `samplers::contract`.
pub trait Sampler: Send {
    /// A short name, which becomes the origin of its trials.
    fn name(&self) -> &str;

    /// What to do next. A point that was tried before, breaks a rule or does not fit the space is replaced by chance,
    /// and the trial's note says so.
    fn next(&mut self, seen: &History<'_>) -> Move;

    /// How much each point of a pool promises (more is better), for choosing among given ones and for ranking what
    /// others propose. None: this sampler cannot tell.
    fn rank(&mut self, _seen: &History<'_>, _pool: &[Point]) -> Option<Vec<f64>> {
        None
    }

    /// Takes the answer to a question of its own.
    fn hear(&mut self, _query: &Query, _answer: &Answer) {}

    /// For reports: which method is at work and why. None: the name says it.
    fn reason(&self) -> Option<String> {
        None
    }
}

/// What a sampler decides.
#[derive(Debug, Clone, PartialEq)]
pub enum Move {
    /// Try this.
    Try {
        /// The point.
        point: Point,
        /// Something to remember with it.
        note: Option<String>,
        /// The value that somebody expects of it under the first goal, to be compared with what comes out.
        expected: Option<f64>,
    },
    /// Ask this first; the answer comes through [`Sampler::hear`], then the sampler is called again.
    Ask(Question),
    /// Nothing new is left.
    Nothing,
}

impl From<Point> for Move {
    fn from(point: Point) -> Self {
        Self::Try { point, note: None, expected: None }
    }
}

/// What is known when a decision is made.
#[derive(Debug, Clone, Copy)]
pub struct History<'a> {
    /// The space.
    pub space: &'a Space,
    /// Which values are better, goal by goal.
    pub goals: &'a [Direction],
    /// Every trial so far, by number.
    pub trials: &'a [Trial],
    /// Every point tried so far or enqueued.
    pub tried: &'a HashSet<Point>,
    /// The seed of this decision.
    pub seed: Seed,
    /// The seed of the whole study.
    pub study_seed: Seed,
    /// How many trials there will be in all, those enqueued or adopted included, if known.
    pub budget: Option<u32>,
}

/// How often an untried point is drawn before a small space is listed or a large one is looked over near known points.
const DRAWS_MAX: usize = 500;
/// How near to known points is looked, in powers of ten.
const NEAREST: f64 = 5.0;

impl History<'_> {
    /// The chance of this decision.
    pub fn rng(&self) -> ChaCha8Rng {
        ChaCha8Rng::seed_from_u64(self.seed.0)
    }

    /// Whether a point is new and keeps every rule.
    pub fn is_open(&self, point: &Point) -> bool {
        !self.tried.contains(&self.space.settled(point)) && self.space.allows(point)
    }

    /// An untried point by chance; `None` when the space is used up, or nothing was found that keeps its rules.
    pub fn draw(&self, rng: &mut impl Rng) -> Option<Point> {
        for _ in 0..DRAWS_MAX {
            // Rules that hardly any point keeps: drawing on would be as much in vain.
            let Some(point) = self.space.random(rng) else { break };
            if !self.tried.contains(&point) {
                return Some(point);
            }
        }
        let Some(mut left) = self.left() else { return self.beside(rng) };
        if left.is_empty() { None } else { Some(left.swap_remove(rng.random_range(0..left.len()))) }
    }

    /// Untried points that keep the rules, at most `most` of them by chance; none if the space is too large to be listed.
    pub fn listed(&self, most: usize, rng: &mut impl Rng) -> Vec<Point> {
        let mut left = self.left().unwrap_or_default();
        left.shuffle(rng);
        left.truncate(most);
        left
    }

    /// Every untried point that keeps the rules, if the space is small enough to be listed.
    fn left(&self) -> Option<Vec<Point>> {
        let mut left = self.space.enumerate(LISTED_MAX)?;
        left.retain(|point| self.is_open(point));
        Some(left)
    }

    /// An untried point that keeps the rules, at the start or beside a point that is known to keep them.
    fn beside(&self, rng: &mut impl Rng) -> Option<Point> {
        let start = self.space.start_point();
        if self.is_open(&start) {
            return Some(start);
        }
        let known = self.trials.iter().map(|trial| &trial.point).chain([&start]);
        let known: Vec<&Point> = known.filter(|point| self.space.allows(point)).collect();
        if known.is_empty() {
            return None;
        }
        (0..DRAWS_MAX)
            .map(|_| self.space.shaken(known[rng.random_range(0..known.len())], NEAREST, rng))
            .find(|point| self.is_open(point))
    }

    /// The number of trials that ended with values.
    pub fn complete(&self) -> usize {
        self.trials.iter().filter(|trial| trial.values().is_some()).count()
    }

    /// What is known about each ended trial under the first goal, in the order in which they ended.
    pub fn observations(&self) -> Vec<Observation<'_>> {
        let goal = self.goals[0];
        let mut found: Vec<(u32, Observation<'_>)> = Vec::with_capacity(self.trials.len());
        for trial in self.trials {
            let Some(ended) = trial.ended else { continue };
            let kind = match &trial.state {
                TrialState::Running => continue,
                TrialState::Complete { values } => Observed::Complete { loss: goal.loss(values[0]) },
                TrialState::Pruned => match trial.last_report() {
                    Some((step, value)) => Observed::Pruned { step, loss: goal.loss(value) },
                    None => Observed::Failed,
                },
                TrialState::Failed { .. } => Observed::Failed,
            };
            found.push((ended, Observation { point: &trial.point, kind }));
        }
        found.sort_by_key(|(ended, _)| *ended);
        found.into_iter().map(|(_, observation)| observation).collect()
    }

    /// The points of trials that still run.
    pub fn pending(&self) -> impl Iterator<Item = &Point> {
        self.trials.iter().filter(|trial| trial.is_running()).map(|trial| &trial.point)
    }
}

/// One ended trial as a sampler sees it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Observation<'a> {
    /// Where.
    pub point: &'a Point,
    /// What was seen.
    pub kind: Observed,
}

/// What was seen at a point, as losses (less is better).
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Observed {
    /// A full evaluation.
    Complete {
        /// The loss.
        loss: f64,
    },
    /// It was stopped.
    Pruned {
        /// The last step that reported.
        step: u64,
        /// The loss reported there.
        loss: f64,
    },
    /// No number.
    Failed,
}
