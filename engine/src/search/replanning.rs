//! Second thoughts about the plan: in a run of usual length once, when measurements contradict what was predicted; in a longer one
//! after every round of ideas that was measured, as long as the budget lasts.

use super::Dispatcher;
use super::ideas::{About, PLAN};
use crate::error::RunError;
use crate::minds::{self, Allowance};
use ansatz_agents::planner::{self, Idea};
use ansatz_agents::thought::Thought;
use ansatz_core::ids::StepId;
use ansatz_core::verdict::Stage;
use ansatz_prompts::planner::{BranchResult, Replan, Replanned};
use ansatz_prompts::{digits, shown, with_error};
use std::collections::BTreeSet;

/// Shares of the search between which the plan is looked at again; in a long run that may be earlier.
const SHARE: (f64, f64) = (0.5, 0.85);
/// Predictions that miss by so many standard errors contradict a plan.
const SURPRISE: f64 = 3.0;
/// Branches with code that each look at the plan may add.
const CODE_BRANCHES_MAX: usize = 2;
/// Letters of the reason for which an idea failed, and contradictions that are told.
const FAILURE_MAX: usize = 240;
const EVIDENCE_MAX: usize = 8;
/// What a verdict about second thoughts is about.
const SUBJECT: &str = "second thoughts of the language model";

/// What decides whether the plan is looked at again.
#[derive(Debug, Clone, Copy)]
struct Moment {
    allowance: Allowance,
    /// Share of the search that is used.
    share: f64,
    /// How often the plan was looked at again.
    replans: u32,
    /// Ideas that came to something since.
    news: usize,
    /// Ideas that are still to come to something.
    open: usize,
    /// Predictions that turned out wrong.
    surprises: usize,
}

impl Moment {
    fn may_come(&self) -> bool {
        let is_early = self.share < SHARE.0 && !self.allowance.is_long();
        self.replans < self.allowance.rounds() && self.share < SHARE.1 && !is_early
    }

    fn is_due(&self) -> bool {
        // A plan that came true needs no second thought, unless there is time for more than the plan holds.
        let has_reason = if self.allowance.is_long() {
            self.open == 0 || (self.share >= SHARE.0 && self.replans == 0)
        } else {
            self.surprises > 0
        };
        self.may_come() && self.news > 0 && has_reason
    }
}

impl Dispatcher<'_, '_> {
    /// Asks for second thoughts where they are due; whether it did.
    pub(super) fn think_again(&mut self) -> Result<bool, RunError> {
        let Some(ideas) = &self.ideas else { return Ok(false) };
        let (allowance, share, replans) = (ideas.council.allowance(), self.used_share(), ideas.replans);
        let moment = Moment { allowance, share, replans, news: 0, open: 0, surprises: 0 };
        if !moment.may_come() {
            return Ok(false);
        }
        let steps = minds::ideas_of(&self.s.plan);
        let settled: BTreeSet<StepId> =
            steps.iter().filter(|(step, _)| self.is_settled(step)).map(|(step, _)| step.clone()).collect();
        let (best, unknown) = (self.best_first(&steps), places(&steps, |step| !ideas.judged.contains(step)));
        let new: Vec<&(StepId, Idea)> =
            steps.iter().filter(|(step, _)| settled.contains(step) && !ideas.judged.contains(step)).collect();
        let evidence: Vec<String> =
            new.iter().filter_map(|(step, idea)| self.surprise_of(step, idea)).collect();
        let (news, open) = (new.len(), steps.len() - settled.len());
        if !(Moment { news, open, surprises: evidence.len(), ..moment }).is_due() {
            return Ok(false);
        }
        let mut prompt = Replan {
            case: self.case_now(ideas),
            solutions: planner::solution_views(&ideas.spaces),
            cards: planner::card_views(&ideas.known.cards),
            branches: steps.iter().map(|(step, idea)| self.result_of(step, idea)).collect(),
            best: self.best_in_words(),
            left: self.left_in_words(),
            evidence: evidence.into_iter().take(EVIDENCE_MAX).collect(),
            noise: digits(self.noise(), 2),
            untold: 0,
        };
        prompt.abridge(&best, &unknown);
        if let Some(ideas) = &mut self.ideas {
            ideas.replans += 1;
            ideas.judged = settled;
        }
        self.think(Thought::Replan(Box::new(prompt)), PLAN, About::Replan)?;
        Ok(true)
    }

    /// Places of the ideas that were measured, best first.
    fn best_first(&self, steps: &[(StepId, Idea)]) -> Vec<usize> {
        let gain = |step: &StepId| Some(self.s.scoring.gain(self.best_of_step(step)?));
        let measured = steps.iter().enumerate().filter_map(|(place, (step, _))| Some((place, gain(step)?)));
        let mut measured: Vec<(usize, f64)> = measured.collect();
        measured.sort_by(|(_, a), (_, b)| b.total_cmp(a));
        measured.into_iter().map(|(place, _)| place).collect()
    }

    /// Whether a model step's idea came to something: a score, or nothing, as what was dropped does.
    fn is_settled(&self, step: &StepId) -> bool {
        let mut entries = self.s.board.entries.values();
        let is_over = self.lost.contains_key(step) || self.is_dropped(step);
        is_over || entries.any(|entry| entry.step == *step && entry.score().is_some())
    }

    /// Where prediction and measurement of an idea are at odds.
    fn surprise_of(&self, step: &StepId, idea: &Idea) -> Option<String> {
        let error = self.noise().max(1e-12);
        if let Some(why) = self.lost.get(step) {
            return Some(format!("{} failed: {}", idea.name, shown(why, FAILURE_MAX)));
        }
        let (predicted, measured) = (idea.predicted?, self.best_of_step(step)?);
        let is_far = (predicted - measured).abs() > SURPRISE * error;
        let (predicted, measured) = (digits(predicted, 4), with_error(measured, error));
        is_far.then(|| format!("{}: {predicted} was predicted, {measured} was measured", idea.name))
    }

    /// The best score among a step's candidates.
    fn best_of_step(&self, step: &StepId) -> Option<f64> {
        let ranking = self.s.board.ranking(self.s.scoring.direction());
        ranking.into_iter().find(|entry| entry.step == *step).and_then(|entry| Some(entry.score()?.score))
    }

    /// An idea with what was predicted and what was measured.
    fn result_of(&self, step: &StepId, idea: &Idea) -> BranchResult {
        let best = self.best_of_step(step);
        BranchResult {
            name: idea.name.clone(),
            origin: "model".into(),
            what: idea.what.clone(),
            brief: String::new(),
            is_untold: false,
            predicted: idea.predicted.map(|score| digits(score, 4)).unwrap_or_default(),
            measured: best.map_or_else(|| "none".into(), |score| with_error(score, self.noise())),
            state: match self.lost.get(step) {
                _ if self.is_dropped(step) => "dropped".into(),
                Some(why) => format!("failed: {}", shown(why, FAILURE_MAX)),
                None if best.is_none() => "running".into(),
                None => String::new(),
            },
        }
    }

    fn best_in_words(&self) -> String {
        let ranking = self.s.board.ranking(self.s.scoring.direction());
        let best = ranking.first().and_then(|entry| Some((entry.name(), entry.score()?.score)));
        best.map_or_else(
            || "nothing yet".into(),
            |(name, score)| format!("{} ({name})", with_error(score, self.noise())),
        )
    }

    fn left_in_words(&self) -> String {
        match (self.seconds_left(), self.s.trials_max) {
            (_, Some(max)) => format!("{} trials of one fold", max.saturating_sub(self.trials_started)),
            (Some(left), None) => format!("{left:.0} s"),
            (None, None) => "enough".into(),
        }
    }

    /// Acts on second thoughts.
    pub(super) fn replan(&mut self, said: &Replanned) -> Result<(), RunError> {
        self.drop_own(&said.drop)?;
        if let Some(ideas) = &mut self.ideas {
            ideas.learn(said.surprise.clone());
            ideas.wished = said.improve.clone().filter(|name| !name.trim().is_empty());
            if let Some(wished) = &ideas.wished {
                ideas.dropped.take_back(wished);
            }
        }
        let Some(means) = self.means(CODE_BRANCHES_MAX) else { return Ok(()) };
        match planner::added(&said.add, &said.because, &means) {
            Ok(None) => Ok(()),
            Ok(Some(plan)) => self.merge(&[plan], SUBJECT),
            Err(error) => self.s.record.check(Stage::Plan, SUBJECT, false, error.to_string()),
        }
    }
}

/// Places of the ideas whose steps are such.
fn places(steps: &[(StepId, Idea)], is_such: impl Fn(&StepId) -> bool) -> Vec<usize> {
    let such = steps.iter().enumerate().filter(|(_, (step, _))| is_such(step));
    such.map(|(place, _)| place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ansatz_core::budget::Budget;
    use std::time::Duration;

    /// A moment of a run of so many minutes, in which everything speaks for second thoughts.
    fn moment(minutes: u64) -> Moment {
        let (wall, tokens) = (Some(Duration::from_mins(minutes)), Some(9_000_000));
        let allowance = Allowance::of(&Budget { wall, tokens, ..Budget::default() });
        Moment { allowance, share: 0.6, replans: 0, news: 2, open: 0, surprises: 1 }
    }

    #[test]
    fn a_usual_run_thinks_again_once_and_only_when_it_was_wrong() {
        let usual = moment(5);
        assert!(usual.is_due());
        assert!(!Moment { surprises: 0, ..usual }.is_due(), "it may become due later");
        assert!(!Moment { replans: 1, ..usual }.is_due());
        assert!(!Moment { share: 0.4, ..usual }.is_due());
        assert!(!Moment { share: 0.9, ..usual }.is_due(), "too late to try anything");
        assert!(Moment { open: 3, ..usual }.is_due());
    }

    #[test]
    fn a_long_run_thinks_again_after_every_measured_round() {
        let long = moment(60);
        assert!(Moment { share: 0.1, surprises: 0, ..long }.is_due(), "as soon as all is measured");
        assert!(!Moment { share: 0.1, open: 1, ..long }.is_due());
        assert!(Moment { replans: 5, ..long }.is_due());
        assert!(!Moment { replans: 5, news: 0, ..long }.is_due(), "nothing was learnt since");
        assert!(!Moment { replans: 5, open: 1, ..long }.is_due());
        assert!(Moment { open: 1, ..long }.is_due(), "the first look does not wait for ever");
        assert!(!Moment { replans: 24, ..long }.is_due());
    }
}
