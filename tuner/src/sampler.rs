//! What a sampler is, and what it may see.

use crate::query::{Answer, Query, Question};
use crate::space::{Point, Space};
use crate::trial::{Direction, Trial, TrialState};
use ansatz_core::seed::Seed;
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
    },
    /// Ask this first; the answer comes through [`Sampler::hear`], then the sampler is called again.
    Ask(Question),
    /// Nothing new is left.
    Nothing,
}

impl From<Point> for Move {
    fn from(point: Point) -> Self {
        Self::Try { point, note: None }
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
    /// How many trials there will be in all, if known.
    pub budget: Option<u32>,
}

/// A space with at most this many configurations is listed to find those that are left.
const LISTED_MAX: u64 = 20_000;
/// How often an untried point is drawn before a small space is listed or a large one counts as used up.
const DRAWS_MAX: usize = 500;

impl History<'_> {
    /// The chance of this decision.
    pub fn rng(&self) -> ChaCha8Rng {
        ChaCha8Rng::seed_from_u64(self.seed.0)
    }

    /// Whether a point is new and keeps every rule.
    pub fn is_open(&self, point: &Point) -> bool {
        !self.tried.contains(&self.space.settled(point)) && self.space.allows(point)
    }

    /// An untried point by chance; `None` when the space is used up.
    pub fn draw(&self, rng: &mut impl Rng) -> Option<Point> {
        for _ in 0..DRAWS_MAX {
            let point = self.space.random(rng)?;
            if !self.tried.contains(&point) {
                return Some(point);
            }
        }
        let mut left = self.space.enumerate(LISTED_MAX)?;
        left.retain(|point| self.is_open(point));
        if left.is_empty() { None } else { Some(left.swap_remove(rng.random_range(0..left.len()))) }
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
