//! When a language model is asked, and what: first the columns and plans, then configurations and revisions, the plan again when it
//! was measured, near the end the evidence.

use super::ideas::{About, Conferred, Ideas, PLAN};
use super::{Dispatcher, Job, StepState};
use crate::error::RunError;
use crate::minds;
use ansatz_agents::planner::Outlook;
use ansatz_agents::thought::Thought;
use ansatz_agents::{data, verifier};
use ansatz_core::candidate::Origin;
use ansatz_core::ids::StepId;
use ansatz_core::outcome::LeaderboardRow;
use ansatz_prompts::planner::ReadSources;
use ansatz_prompts::with_error;

/// Seconds that must be left for a question to be worth asking.
const ASK_SECONDS_MIN: f64 = 8.0;
/// Share of the search after which the evidence is read.
const READING_SHARE: f64 = 0.75;

impl Dispatcher<'_, '_> {
    /// Asks what is due, and in a counted run waits for and takes up what was said.
    pub(super) fn confer(&mut self) -> Result<Conferred, RunError> {
        if self.ideas.is_none() || self.end.is_some() {
            return Ok(Conferred::Done);
        }
        if self.s.trials_max.is_none() {
            self.wonder()?;
            return Ok(Conferred::Done);
        }
        // The playbook's first proposals come first, so that replies find something to be compared with.
        if self.pool.running() > 0 || !self.queue.is_empty() || self.has_first_proposals() {
            return Ok(Conferred::Done);
        }
        self.mend_what_is_due()?;
        self.wonder()?;
        if self.ideas.as_ref().is_some_and(|ideas| ideas.council.open() > 0) {
            return Ok(Conferred::Waits);
        }
        if self.ideas.as_ref().is_some_and(|ideas| ideas.concluded.is_empty()) {
            return Ok(Conferred::Done);
        }
        self.take_up()?;
        self.advance_steps()?;
        Ok(Conferred::Changed)
    }

    /// Whether a running model step of the plan has not been tried at all.
    pub(super) fn has_first_proposals(&self) -> bool {
        let asked = |step: &StepId| self.s.board.entries.values().any(|entry| entry.step == *step);
        self.proposals.iter().any(|(step, due)| {
            !due.is_empty() && !asked(step) && self.states.get(step) == Some(&StepState::Running)
        })
    }

    /// Asks what is due to be asked.
    fn wonder(&mut self) -> Result<(), RunError> {
        let Some(ideas) = &self.ideas else { return Ok(()) };
        let is_late = self.seconds_left().is_some_and(|left| left < ASK_SECONDS_MIN);
        if is_late || !self.trials_left() || !ideas.council.may_ask() {
            return Ok(());
        }
        let share = self.used_share();
        if !ideas.has_assessed {
            self.ask_about_columns()?;
        }
        let Some(ideas) = &self.ideas else { return Ok(()) };
        if !ideas.has_planned && ideas.knows_spaces() {
            return self.ask_for_plans();
        }
        let is_quiet = ideas.about.values().all(|about| *about != About::Plans);
        if is_quiet && self.think_again()? {
            return Ok(());
        }
        let Some(ideas) = &self.ideas else { return Ok(()) };
        if !ideas.has_read && share >= READING_SHARE {
            return self.ask_for_a_reading();
        }
        if is_quiet {
            self.ask_for_advice()?;
        }
        self.refine()
    }

    fn ask_about_columns(&mut self) -> Result<(), RunError> {
        let Some(ideas) = &mut self.ideas else { return Ok(()) };
        ideas.has_assessed = true;
        let prompt = data::assess(&ideas.cases.full, ideas.known.evidence.as_ref());
        self.think(Thought::Assess(Box::new(prompt)), "profile", About::Columns)
    }

    fn ask_for_plans(&mut self) -> Result<(), RunError> {
        let reference = self.reference();
        let query = minds::pages::query(&self.s.task.request, &self.s.task.metric.name);
        let Some(ideas) = &mut self.ideas else { return Ok(()) };
        if let Some(pages) = ideas.council.take_retrieved() {
            ideas.read(&pages);
        }
        if ideas.council.is_looking() || ideas.council.look_up(query) {
            return Ok(());
        }
        if !ideas.asked_insights && !ideas.known.sources.is_empty() {
            ideas.asked_insights = true;
            let sources = ideas.known.sources.clone();
            let prompt = ReadSources { case: ideas.cases.full.clone(), sources };
            return self.think(Thought::Insights(Box::new(prompt)), PLAN, About::Insights);
        }
        if ideas.about.values().any(|about| *about == About::Insights) {
            return Ok(());
        }
        ideas.has_planned = true;
        let outlook = Outlook {
            case: ideas.cases.full.clone(),
            plan: &self.s.plan,
            spaces: &ideas.spaces,
            cards: &ideas.known.cards,
            insights: &ideas.insights,
            reference,
        };
        let prompt = outlook.prompt();
        self.think(Thought::Plans(Box::new(prompt)), PLAN, About::Plans)
    }

    /// The score to improve on, in words.
    fn reference(&self) -> String {
        let error = self.noise();
        match self.s.board.baseline().and_then(|entry| entry.score()) {
            Some(scored) => format!("{}, a default LightGBM", with_error(scored.score, error)),
            None => "not measured yet; a default LightGBM is being trained".into(),
        }
    }

    fn ask_for_a_reading(&mut self) -> Result<(), RunError> {
        let direction = self.s.scoring.direction();
        let rows: Vec<LeaderboardRow> = self
            .s
            .board
            .ranking(direction)
            .into_iter()
            .filter_map(|entry| {
                let (candidate, origin) = (entry.name(), entry.candidate.origin);
                Some(LeaderboardRow {
                    candidate,
                    origin,
                    score: entry.score()?.score,
                    seconds: entry.cpu_s(),
                })
            })
            .collect();
        let best =
            self.s.board.ranking(direction).into_iter().find(|entry| entry.candidate.origin == Origin::Model);
        let code = best.and_then(|entry| self.source_of(entry.candidate.solution.name())).unwrap_or_default();
        let Some(ideas) = &mut self.ideas else { return Ok(()) };
        ideas.has_read = true;
        if rows.is_empty() {
            return Ok(());
        }
        let (verdicts, demands) = (&self.s.record.verdicts, &ideas.known.demands);
        let prompt = verifier::evidence(&ideas.cases.full, verdicts, &rows, demands, &code);
        self.think(Thought::Evidence(Box::new(prompt)), "verify", About::Evidence)
    }

    /// Asks the worker for the space of a solution that the model will be told of; false when none is due.
    pub(super) fn ask_for_spaces(&mut self) -> bool {
        let Some(solution) = self.ideas.as_mut().and_then(Ideas::next_space_due) else { return false };
        let params = ansatz_core::candidate::Params::new();
        self.ask(crate::protocol::OrderKind::Space, Job::Menu(solution.clone()), &solution, params);
        true
    }
}
