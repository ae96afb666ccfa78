//! Steps of the plan: which begin, which are complete, which are lost.

use super::{Dispatcher, StepState, dropping};
use crate::board::State;
use crate::error::RunError;
use ansatz_agents::planner;
use ansatz_agents::playbook::{self, Proposal};
use ansatz_core::event::Event;
use ansatz_core::ids::{ArtifactId, StepId};
use ansatz_planner::{Step, StepKind};
use std::collections::{BTreeSet, VecDeque};

impl Dispatcher<'_, '_> {
    pub(super) fn set(&mut self, id: &StepId, state: StepState) {
        self.states.insert(id.clone(), state);
    }

    /// Starts what has become ready, ends what has become complete; repeats until nothing changes.
    pub(super) fn advance_steps(&mut self) -> Result<(), RunError> {
        loop {
            let ready: Vec<Step> = self
                .s
                .plan
                .steps()
                .iter()
                .filter(|step| self.states[&step.id] == StepState::Waiting)
                .filter(|step| {
                    step.inputs.iter().all(|input| {
                        matches!(self.states.get(input), Some(StepState::Finished | StepState::Lost))
                    })
                })
                .filter(|step| searching(step.kind))
                .cloned()
                .collect();
            let mut changed = false;
            for step in ready {
                changed |= self.start_step(&step)?;
            }
            changed |= self.end_complete_steps()?;
            if !changed {
                return Ok(());
            }
        }
    }

    pub(super) fn start_step(&mut self, step: &Step) -> Result<bool, RunError> {
        if self.end.is_some() {
            return Ok(false);
        }
        if step.inputs.iter().any(|input| self.states.get(input) == Some(&StepState::Lost)) {
            self.skip_step(&step.id, "a step that it needs was lost")?;
            return Ok(true);
        }
        if playbook::solution_of(step).is_some_and(|solution| self.s.steered.without.contains(&solution)) {
            self.skip_step(&step.id, "you left it out")?;
            return Ok(true);
        }
        if self.is_dropped(&step.id) {
            self.skip_step(&step.id, dropping::WHY)?;
            return Ok(true);
        }
        self.s.record.write(Event::StepStarted { step: step.id.clone() })?;
        self.set(&step.id, StepState::Running);
        match step.kind {
            StepKind::Profile => self.finish_step(&step.id, Vec::new())?,
            StepKind::Features => {
                if let Some(idea) = planner::idea_of(step) {
                    self.begin_draft(&step.id, idea)?;
                } else {
                    let solutions = self.solutions_after(&step.id);
                    self.checks_due.insert(step.id.clone(), solutions);
                }
            }
            StepKind::Model => {
                let proposals = self.proposals_of(step);
                let known: VecDeque<Proposal> = proposals
                    .into_iter()
                    .filter(|proposal| !self.refused.contains(&proposal.solution))
                    .filter(|proposal| !self.s.board.knows(&proposal.solution, &proposal.params))
                    .collect();
                self.proposals.insert(step.id.clone(), known);
            }
            _ => {}
        }
        Ok(true)
    }

    /// What a model step tries: an idea of a language model, or what the playbook knows of the solution.
    fn proposals_of(&self, step: &Step) -> Vec<Proposal> {
        if planner::idea_of(step).is_some() {
            return self.builtin_idea(step).into_iter().collect();
        }
        if let Some(drafted) = self.drafted_proposal(&step.id) {
            return vec![drafted];
        }
        let (task, profile, seconds) = (self.s.task, self.s.profile, self.s.seconds);
        self.both_ways(playbook::proposals(step, task, profile, &self.s.warm, seconds))
    }

    /// Solutions of the model steps that build on a features step.
    pub(super) fn solutions_after(&self, features: &StepId) -> BTreeSet<String> {
        self.s
            .plan
            .dependents(features)
            .into_iter()
            .filter(|step| step.kind == StepKind::Model)
            .filter_map(playbook::solution_of)
            .collect()
    }

    pub(super) fn end_complete_steps(&mut self) -> Result<bool, RunError> {
        let running: Vec<Step> = self
            .s
            .plan
            .steps()
            .iter()
            .filter(|step| self.states[&step.id] == StepState::Running)
            .cloned()
            .collect();
        let mut changed = false;
        for step in running {
            let complete = match step.kind {
                StepKind::Features => {
                    self.checks_due.get(&step.id).is_none_or(BTreeSet::is_empty)
                        && !self.check_in_flight(&step.id)
                        && !self.waits_for_code(&step.id)
                }
                StepKind::Model => {
                    self.proposals.get(&step.id).is_none_or(VecDeque::is_empty)
                        && !self.waits_for_code(&step.id)
                        && !self
                            .s
                            .board
                            .entries
                            .values()
                            .any(|entry| entry.step == step.id && entry.state == State::Open)
                }
                _ => false,
            };
            if complete {
                changed = true;
                let outputs: Vec<_> = self
                    .s
                    .board
                    .entries
                    .values()
                    .filter(|entry| entry.step == step.id && entry.score().is_some())
                    .flat_map(|entry| entry.held.values().map(|held| held.predictions.clone()))
                    .collect();
                if step.kind == StepKind::Model && outputs.is_empty() {
                    let failures = self.failures_of(&step.id);
                    self.lose_step(&step.id, &failures)?;
                } else {
                    self.finish_step(&step.id, outputs)?;
                }
            }
        }
        Ok(changed)
    }

    pub(super) fn failures_of(&self, step: &StepId) -> String {
        let mut reasons = self.s.board.entries.values().filter(|entry| entry.step == *step).map(|entry| {
            match &entry.state {
                State::Dropped(reason) | State::Failed(reason) => reason.clone(),
                _ => "no score".into(),
            }
        });
        reasons.next().unwrap_or_else(|| "no candidate was proposed".into())
    }

    pub(super) fn check_in_flight(&self, step: &StepId) -> bool {
        self.states.get(step) == Some(&StepState::Running) && self.checks_running.contains(step)
    }

    pub(super) fn finish_step(&mut self, step: &StepId, outputs: Vec<ArtifactId>) -> Result<(), RunError> {
        self.s.record.write(Event::StepFinished { step: step.clone(), outputs })?;
        self.set(step, StepState::Finished);
        Ok(())
    }

    pub(super) fn lose_step(&mut self, step: &StepId, error: &str) -> Result<(), RunError> {
        self.s.record.write(Event::StepFailed { step: step.clone(), error: error.to_owned() })?;
        self.s.record.warn(format!("step {step} was lost: {error}"))?;
        self.lost.insert(step.clone(), error.to_owned());
        self.set(step, StepState::Lost);
        Ok(())
    }

    fn skip_step(&mut self, step: &StepId, reason: &str) -> Result<(), RunError> {
        self.s.record.write(Event::StepSkipped { step: step.clone(), reason: reason.to_owned() })?;
        self.lost.insert(step.clone(), reason.to_owned());
        self.set(step, StepState::Lost);
        Ok(())
    }

    /// At the end of the search: running steps are over; waiting ones never came to their turn.
    pub(super) fn close_steps(&mut self) -> Result<(), RunError> {
        let open: Vec<(StepId, StepState)> = self
            .s
            .plan
            .steps()
            .iter()
            .filter(|step| searching(step.kind))
            .map(|step| (step.id.clone(), self.states[&step.id]))
            .collect();
        for (step, state) in open {
            match state {
                StepState::Running => self.finish_step(&step, Vec::new())?,
                StepState::Waiting => {
                    self.skip_step(&step, "the budget was used before its turn")?;
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn searching(kind: StepKind) -> bool {
    matches!(kind, StepKind::Profile | StepKind::Features | StepKind::Model | StepKind::Tune)
}
