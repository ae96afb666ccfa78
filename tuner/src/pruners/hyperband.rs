//! Hyperband: several ladders of rungs at once, some of which stop early and some late.

use super::asha::halve;
use crate::pruner::{Advice, Pruner};
use crate::sampler::History;
use crate::trial::{Trial, TrialNumber};
use ansatz_core::seed::Seed;

/// Li et al., "Hyperband: a novel bandit-based approach to hyperparameter optimization" (2018): when it is not known
/// how early reports tell anything, each trial belongs to a bracket, and brackets differ in their first rung. Within a
/// bracket it is [`Asha`](super::Asha).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hyperband {
    /// The step of the first rung of the most eager bracket.
    pub first: u64,
    /// The most steps that a trial reports.
    pub last: u64,
    /// One in so many goes on.
    pub factor: u64,
}

impl Hyperband {
    /// Brackets for trials that report up to `steps` times.
    pub fn new(steps: u64) -> Self {
        Self { first: (steps / 100).max(1), last: steps.max(1), factor: 3 }
    }

    /// The number of brackets.
    pub fn brackets(&self) -> u32 {
        (self.last / self.first.max(1)).max(1).ilog(self.factor.max(2)) + 1
    }

    /// The bracket of a trial, 0 being the most eager. Each gets about the same number of steps, so that eager ones
    /// get more trials.
    pub fn bracket(&self, study: Seed, trial: TrialNumber) -> u32 {
        let brackets = self.brackets();
        // A trial that is halved s times costs about 1/(s + 1) of what the bracket's first rung would suggest.
        let share = |bracket: u32| {
            let halvings = brackets - 1 - bracket;
            (f64::from(brackets) * (self.factor as f64).powi(halvings as i32) / f64::from(halvings + 1))
                .ceil()
        };
        let total: f64 = (0..brackets).map(share).sum();
        let draw = study.derive(&format!("bracket-{trial}")).0;
        let mut left = draw as f64 / 2f64.powi(64) * total;
        for bracket in 0..brackets {
            left -= share(bracket);
            if left < 0.0 {
                return bracket;
            }
        }
        brackets - 1
    }
}

impl Pruner for Hyperband {
    fn name(&self) -> &'static str {
        "hyperband"
    }

    fn judge(&self, seen: &History<'_>, trial: &Trial) -> Advice {
        let own = self.bracket(seen.study_seed, trial.number);
        let first = self.first.max(1).saturating_mul(self.factor.max(2).saturating_pow(own));
        let rivals = seen.trials.iter().filter(|other| self.bracket(seen.study_seed, other.number) == own);
        halve(first, self.factor, seen.goals[0], rivals, trial)
    }
}
