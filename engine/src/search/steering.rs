//! Steering a search that goes on: each wish is journalled with what becomes of it, then carried out.

use super::Steered;
use super::{Dispatcher, SearchEnd};
use crate::board::{Board, State};
use crate::error::RunError;
use ansatz_agents::playbook::{Proposal, READABLE};
use ansatz_core::candidate::{Candidate, Origin, Params, Solution};
use ansatz_core::event::Event;
use ansatz_core::ids::{CandidateId, StepId};
use ansatz_core::steer::{Preference, Steer};
use ansatz_planner::StepKind;

/// Candidates that are trained again without a column that was taken away.
const RETRAINED_MAX: usize = 8;
/// Whether a wish closes a candidate that is there already. The reference stays for comparison, unless what it was trained on
/// is taken away.
fn closes(steer: &Steer, candidate: &Candidate) -> bool {
    let is_reference = candidate.origin == Origin::Baseline;
    match steer {
        Steer::DropColumn { .. } => true,
        Steer::Without { solution } => !is_reference && candidate.solution.name() == solution,
        Steer::Prefer { preference: Preference::Readable } => {
            !is_reference && candidate.solution.name() != READABLE
        }
        _ => false,
    }
}

/// Takes up a wish from before the search, or of an earlier life of the run; gives the candidates that it closed.
pub fn restore_steering(steer: &Steer, board: &mut Board, steered: &mut Steered) -> Vec<CandidateId> {
    let closed = board.entries.values().filter(|entry| closes(steer, &entry.candidate));
    let closed: Vec<CandidateId> = closed.map(|entry| entry.candidate.id).collect();
    for id in &closed {
        board.close(*id, State::Dropped(steer.to_string()));
    }
    match steer {
        Steer::DropColumn { column } => steered.columns.push(column.clone()),
        Steer::Without { solution } => {
            steered.without.insert(solution.clone());
        }
        Steer::Prefer { .. } => steered.is_single = true,
        Steer::Time { seconds } => steered.seconds += seconds,
        Steer::Submit => steered.is_over = true,
    }
    closed
}

impl Dispatcher<'_, '_> {
    /// Takes what the user wants.
    pub(super) fn heed(&mut self) -> Result<(), RunError> {
        for steer in self.s.stop.take_steering() {
            let outcome = self.can(&steer);
            let (accepted, told) = match &outcome {
                Ok(told) | Err(told) => (outcome.is_ok(), told.clone()),
            };
            self.s.record.write(Event::Steered { steer: steer.clone(), accepted, outcome: told })?;
            if accepted {
                self.carry_out(steer)?;
            }
        }
        Ok(())
    }

    /// What will become of a wish, or why it cannot be done.
    fn can(&self, steer: &Steer) -> Result<String, String> {
        match steer {
            Steer::DropColumn { column } if *column == self.s.task.target => {
                Err(format!("{column} is what is to be predicted"))
            }
            Steer::DropColumn { column } if self.s.drop.contains(column) => {
                Err(format!("{column} is not used anyway"))
            }
            Steer::DropColumn { column } if !self.s.columns.contains(column) => {
                Err(format!("there is no usable column called {column}"))
            }
            Steer::DropColumn { column } => Ok(format!(
                "the best candidates are trained again without {column}; what used it does not count any more"
            )),
            Steer::Without { solution } if !self.has_solution(solution) => {
                Err(format!("nothing called {solution} is part of this run"))
            }
            Steer::Without { solution } => {
                Ok(format!("{solution} is neither tried nor delivered from now on"))
            }
            Steer::Prefer { preference: Preference::Single } => {
                Ok("the best single model will be delivered".into())
            }
            Steer::Prefer { preference: Preference::Readable } if !self.has_solution(READABLE) => {
                Err("this run has no solution that a person can read".into())
            }
            Steer::Prefer { preference: Preference::Readable } => {
                Ok("only linear models count from now on".into())
            }
            Steer::Time { .. } if self.s.pace.wall_s.is_none() => {
                Err("this run counts trials, not time".into())
            }
            Steer::Time { seconds } => {
                let wall = self.s.pace.wall_s.unwrap_or(0.0) + seconds;
                if wall <= self.s.record.elapsed_s() {
                    return Ok("the time is over then: what there is will be delivered".into());
                }
                Ok(format!("the run may take {wall:.0} s in all"))
            }
            Steer::Submit => Ok("what there is will be judged, packaged and delivered".into()),
        }
    }

    fn has_solution(&self, solution: &str) -> bool {
        let planned = self.s.plan.steps().iter().filter_map(ansatz_agents::playbook::solution_of);
        let tried = self.s.board.entries.values().map(|entry| entry.candidate.solution.name().to_owned());
        planned.chain(tried).any(|known| known == solution)
    }

    fn carry_out(&mut self, steer: Steer) -> Result<(), RunError> {
        match steer {
            Steer::DropColumn { column } => self.drop_column(&column),
            Steer::Without { ref solution } => {
                self.leave_out(&steer, &format!("you wanted no {solution}"), |name| name == solution);
                Ok(())
            }
            Steer::Prefer { preference: Preference::Single } => {
                self.s.steered.is_single = true;
                Ok(())
            }
            Steer::Prefer { preference: Preference::Readable } => {
                self.s.steered.is_single = true;
                self.leave_out(&steer, "you wanted a model that a person can read", |name| name != READABLE);
                Ok(())
            }
            Steer::Time { seconds } => {
                self.s.steered.seconds += seconds;
                self.s.pace.wall_s = self.s.pace.wall_s.map(|wall| (wall + seconds).max(1.0));
                Ok(())
            }
            Steer::Submit => {
                self.finish_early(SearchEnd::Exhausted("you asked for what there is".into()));
                Ok(())
            }
        }
    }

    /// Gives up solutions: their candidates, proposals and searches. The reference stays, for comparison.
    fn leave_out(&mut self, steer: &Steer, why: &str, is_out: impl Fn(&str) -> bool) {
        for due in self.proposals.values_mut() {
            due.retain(|proposal| !is_out(&proposal.solution));
        }
        for tuner in self.tuners.values_mut().filter(|tuner| is_out(&tuner.solution)) {
            tuner.exhausted = true;
        }
        let barred = self.s.plan.steps().iter().filter_map(ansatz_agents::playbook::solution_of);
        let barred: Vec<String> = barred.filter(|name| is_out(name)).collect();
        self.s.steered.without.extend(barred.iter().cloned());
        self.refused.extend(barred);
        let out: Vec<CandidateId> = self
            .s
            .board
            .entries
            .values()
            .filter(|entry| closes(steer, &entry.candidate))
            .map(|entry| entry.candidate.id)
            .collect();
        self.close(&out, why);
    }

    fn close(&mut self, ids: &[CandidateId], why: &str) {
        for id in ids {
            self.s.board.close(*id, State::Dropped(why.to_owned()));
            self.queue.retain(|(other, _)| other != id);
        }
        if self.incumbent.is_some_and(|incumbent| ids.contains(&incumbent)) {
            let best = self.s.board.ranking(self.s.scoring.direction());
            self.incumbent = best.first().map(|entry| entry.candidate.id);
        }
    }

    /// Nothing that used the column counts; the best are trained again without it, the reference first.
    fn drop_column(&mut self, column: &str) -> Result<(), RunError> {
        let ranking = self.s.board.ranking(self.s.scoring.direction());
        let again: Vec<(StepId, Solution, Params, Origin)> = ranking
            .iter()
            .filter(|entry| entry.candidate.origin != Origin::Baseline)
            .take(RETRAINED_MAX)
            .map(|entry| {
                let candidate = &entry.candidate;
                (entry.step.clone(), candidate.solution.clone(), candidate.params.clone(), candidate.origin)
            })
            .collect();
        let all: Vec<CandidateId> = self.s.board.entries.keys().copied().collect();
        self.close(&all, &format!("it used the column {column}, which you dropped"));
        self.s.drop.push(column.to_owned());
        self.s.steered.columns.push(column.to_owned());
        self.search_gains.clear();
        self.fold_scores.clear();
        self.fold_gains.clear();
        self.restart_tuners();
        self.propose_baseline()?;
        let running =
            self.s.plan.steps().iter().find(|step| step.kind == StepKind::Model).map(|step| step.id.clone());
        for (step, solution, params, origin) in again {
            let step = if self.states.contains_key(&step) { step } else { running.clone().unwrap_or(step) };
            let (name, why) = (solution.name().to_owned(), format!("again, without {column}"));
            self.again.push_back((step, Proposal { solution: name, params, origin, why }));
        }
        Ok(())
    }

    /// What searches learnt holds for other columns only.
    fn restart_tuners(&mut self) {
        let steps: Vec<StepId> = self.tuners.keys().cloned().collect();
        for step in steps {
            self.tuners.remove(&step);
            self.spaces_asked.remove(&step);
        }
    }
}
