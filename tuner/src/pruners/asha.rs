//! Asynchronous successive halving: at each rung only the best share goes on.

use crate::pruner::{Advice, Pruner};
use crate::sampler::History;
use crate::trial::{Direction, Trial};

/// Li et al., "A system for massively parallel hyperparameter tuning" (2020), in the stopping form: a trial that
/// reaches a rung is compared with those that have been there, and stopped unless it is among the best 1/`factor`.
/// The first to reach a rung always pass: nobody waits for anybody.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Asha {
    /// The step of the first rung.
    pub first: u64,
    /// Each rung is this many times as far as the one before, and this many times fewer go on.
    pub factor: u64,
}

/// One in so many goes on.
pub(super) const FACTOR: u64 = 4;

impl Asha {
    /// Rungs for trials that report up to `steps` times: the first at a hundredth of them, at least at step 1.
    pub fn new(steps: u64) -> Self {
        Self { first: (steps / 100).max(1), factor: FACTOR }
    }
}

impl Pruner for Asha {
    fn name(&self) -> &'static str {
        "asha"
    }

    fn judge(&self, seen: &History<'_>, trial: &Trial) -> Advice {
        halve(self.first, self.factor, seen.goals[0], seen.trials.iter(), trial)
    }
}

/// Judges a trial at the rung that its last report has reached, if it has reached one, among `rivals` (itself may be
/// one of them).
pub(super) fn halve<'a>(
    first: u64,
    factor: u64,
    goal: Direction,
    rivals: impl Iterator<Item = &'a Trial>,
    trial: &Trial,
) -> Advice {
    let factor = factor.max(2);
    let Some((step, _)) = trial.last_report() else { return Advice::Continue };
    let before = trial.reports.range(..step).next_back().map_or(0, |(step, _)| *step);
    let rung = std::iter::successors(Some(first.max(1)), |rung| rung.checked_mul(factor))
        .take_while(|rung| *rung <= step)
        .last()
        .filter(|rung| *rung > before);
    let Some(rung) = rung else { return Advice::Continue };
    // What a trial showed when it first reached the rung.
    let shown = |trial: &Trial| trial.reports.range(rung..).next().map(|(_, value)| goal.loss(*value));
    let Some(own) = shown(trial) else { return Advice::Continue };
    let mut losses: Vec<f64> =
        rivals.filter(|other| other.number != trial.number).filter_map(shown).collect();
    losses.push(own);
    let kept = losses.len() / factor as usize;
    if kept == 0 {
        return Advice::Continue;
    }
    losses.sort_by(f64::total_cmp);
    if own <= losses[kept - 1] {
        return Advice::Continue;
    }
    let place = losses.partition_point(|loss| *loss < own) + 1;
    let count = losses.len();
    Advice::Stop { reason: format!("at step {rung} it was number {place} of {count}; the best {kept} go on") }
}
