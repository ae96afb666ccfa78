//! What runs next: the reference model, questions to solutions, proposals, repeats, tuning; and what it may cost.

use super::ideas::Conferred;
use super::tuning::Tuner;
use super::{Dispatcher, Job, StepState};
use crate::board::{Entry, State};
use crate::error::RunError;
use crate::protocol::{Order, OrderKind, TaskBrief};
use ansatz_agents::allocate::Family;
use ansatz_agents::playbook::{self, Proposal};
use ansatz_agents::search::{Rung, promote};
use ansatz_core::candidate::{Candidate, Origin, Params, Solution};
use ansatz_core::event::{Event, Fold};
use ansatz_core::ids::{CandidateId, StepId, TrialId};
use ansatz_core::npy;
use ansatz_planner::StepKind;
use std::collections::{BTreeMap, BTreeSet};

/// First folds of a candidate in a run that counts trials: as many on every machine.
const PROBES_COUNTED: usize = 2;
/// Deadline of a trial in a run without a wall, in seconds.
const TRIAL_SECONDS_MAX: f64 = 1800.0;
/// Further repeats of the cross-validation that the best candidates may get.
const REPEATS_MAX: u32 = 3;
/// How many of the best get a further repeat.
const REPEATED_MAX: usize = 6;
/// Open rows up to which further repeats are worth their time.
const REPEAT_ROWS_MAX: usize = 4000;
/// Numbers of questions to solutions start here, so that they never meet a trial's.
const QUESTIONS_FROM: u32 = 1_000_000;
/// Longest time for a question.
const QUESTION_SECONDS_MAX: f64 = 30.0;
/// Rows that a feature check gets.
const CHECK_ROWS: usize = 200;

impl Dispatcher<'_, '_> {
    /// Starts one job; false when there is nothing to start now.
    pub(super) fn start_next(&mut self) -> Result<bool, RunError> {
        // The reference model comes before everything: with it there is something valid to hand in.
        if self.s.board.baseline().is_none() && self.trials_left() {
            self.propose_baseline()?;
        }
        if self.baseline_is_under_way() && (self.start_question() || self.ask_for_spaces()) {
            return Ok(true);
        }
        if !self.trials_left() {
            return Ok(false);
        }
        match self.confer()? {
            Conferred::Done => {}
            Conferred::Waits => return Ok(false),
            Conferred::Changed => return Ok(true),
        }
        loop {
            if let Some((candidate, fold)) = self.pop_affordable()? {
                self.start_trial(candidate, fold)?;
                return Ok(true);
            }
            if self.must_wait() || !self.find_work()? {
                return Ok(false);
            }
        }
    }

    /// Whether no fold of the reference model waits to be started.
    pub(super) fn baseline_is_under_way(&self) -> bool {
        self.s.board.baseline().is_none_or(|entry| {
            entry.state != State::Open || !self.queue.iter().any(|(id, _)| *id == entry.candidate.id)
        })
    }

    /// Short questions to solutions: feature checks and search spaces.
    pub(super) fn start_question(&mut self) -> bool {
        let due = self
            .checks_due
            .iter_mut()
            .find_map(|(step, solutions)| solutions.pop_first().map(|solution| (step.clone(), solution)));
        if let Some((step, solution)) = due {
            self.checks_running.insert(step.clone());
            let params = self.params_to_check(&step, &solution);
            self.ask(OrderKind::Check, Job::Check(step, solution.clone()), &solution, params);
            return true;
        }
        let unasked = self.s.plan.steps().iter().find(|step| {
            step.kind == StepKind::Tune
                && self.states[&step.id] == StepState::Running
                && !self.tuners.contains_key(&step.id)
                && !self.spaces_asked.contains(&step.id)
        });
        if let Some((step, solution)) =
            unasked.and_then(|step| Some((step.id.clone(), playbook::solution_of(step)?)))
        {
            let solution = self.current_name(solution);
            self.spaces_asked.insert(step.clone());
            self.ask(OrderKind::Space, Job::Space(step, solution.clone()), &solution, Params::new());
            return true;
        }
        false
    }

    /// Parameters of a check: generated code is checked as it will be tried first.
    fn params_to_check(&self, step: &StepId, solution: &str) -> Params {
        if let Some((_, revision)) = self.revisions_due.get(solution) {
            return revision.params.clone();
        }
        let draft = self.ideas.as_ref().and_then(|ideas| ideas.drafts.get(step));
        match draft {
            Some(draft) => self.base_params(draft),
            None if self.sources.contains_key(solution) => Params::new(),
            None => self.default_params(solution),
        }
    }

    pub(super) fn default_params(&self, solution: &str) -> Params {
        self.s
            .plan
            .steps()
            .iter()
            .filter(|step| step.kind == StepKind::Model)
            .filter(|step| playbook::solution_of(step).as_deref() == Some(solution))
            .flat_map(|step| playbook::proposals(step, self.s.task, self.s.profile, &[], self.s.seconds))
            .map(|proposal| proposal.params)
            .next()
            .unwrap_or_default()
    }

    pub(super) fn ask(&mut self, kind: OrderKind, job: Job, solution: &str, params: Params) {
        self.questions += 1;
        let number = QUESTIONS_FROM + self.questions;
        let fold = Fold { repeat: 0, fold: 0, rows_permille: 1000 };
        let rows: Vec<usize> = self.s.board.rows.training(&fold).into_iter().take(CHECK_ROWS).collect();
        let order = Order {
            order: kind,
            trial: number,
            solution: Some(self.solution(solution)),
            params,
            seed: self.s.seed.derive("check").for_python(),
            threads: 1,
            task: TaskBrief::of(self.s.task),
            drop: self.s.drop.clone(),
            sealed: ["train_rows", "y", "predict_rows"].map(String::from).to_vec(),
            deadline_s: QUESTION_SECONDS_MAX
                .min(self.seconds_left().unwrap_or(QUESTION_SECONDS_MAX).max(1.0)),
            timed: self.s.trials_max.is_none(),
            keep_model: false,
            stage: None,
            model: None,
            out: format!("/out/q{number}"),
        };
        let sealed = vec![
            npy::write_indices(&rows),
            npy::write_values(&self.s.board.truth_of(&rows)),
            npy::write_indices(
                &self.s.board.rows.validation(&fold)[..].iter().copied().take(CHECK_ROWS).collect::<Vec<_>>(),
            ),
        ];
        self.pool.start(job, order, sealed);
    }

    /// The first queued trial that still fits into the time; what does not fit is closed.
    pub(super) fn pop_affordable(&mut self) -> Result<Option<(CandidateId, Fold)>, RunError> {
        while let Some((candidate, fold)) = self.queue.pop_front() {
            let open = self
                .s
                .board
                .entries
                .get(&candidate)
                .is_some_and(|entry| !matches!(entry.state, State::Dropped(_) | State::Failed(_)));
            if !open {
                continue;
            }
            let folds_due = 1 + self.queue.iter().filter(|(other, _)| *other == candidate).count();
            if self.affordable(candidate, folds_due) {
                return Ok(Some((candidate, fold)));
            }
            let scored = self.s.board.entries.get(&candidate).is_some_and(|entry| entry.score().is_some());
            if !scored {
                self.drop_candidate(candidate, "not enough time was left for its folds")?;
            }
        }
        Ok(None)
    }

    pub(super) fn affordable(&self, candidate: CandidateId, folds_due: usize) -> bool {
        let Some(left) = self.seconds_left() else { return true };
        let Some(entry) = self.s.board.entries.get(&candidate) else { return false };
        if entry.candidate.origin == Origin::Baseline {
            return true;
        }
        let solution = entry.candidate.solution.name();
        let known = entry.trial_wall_s().or_else(|| self.solution_wall_s(solution));
        let rounds = folds_due.div_ceil(self.s.pace.jobs) as f64;
        known.is_none_or(|wall| wall * rounds <= left)
    }

    pub(super) fn solution_wall_s(&self, solution: &str) -> Option<f64> {
        let walls: Vec<f64> = self
            .s
            .board
            .entries
            .values()
            .filter(|entry| entry.candidate.solution.name() == solution)
            .filter_map(Entry::trial_wall_s)
            .collect();
        (!walls.is_empty()).then(|| walls.iter().sum::<f64>() / walls.len() as f64)
    }

    /// Finds a new candidate or further folds to queue; false when there is none.
    pub(super) fn find_work(&mut self) -> Result<bool, RunError> {
        if let Some((step, proposal)) = self.again.pop_front() {
            self.admit(&step, &proposal.solution, proposal.params, proposal.origin)?;
            return Ok(true);
        }
        // A language model's configurations take turns with the playbook's further ones: neither starves the other.
        let is_turn_of_extra = self.s.board.entries.len() % 2 == 1 && !self.has_first_proposals();
        if is_turn_of_extra && self.admit_extra()? {
            return Ok(true);
        }
        if let Some((step, proposal)) = self.next_proposal() {
            self.admit(&step, &proposal.solution, proposal.params, proposal.origin)?;
            return Ok(true);
        }
        if self.admit_extra()? {
            return Ok(true);
        }
        if self.queue_repeat() {
            return Ok(true);
        }
        self.next_tuned()
    }

    /// Admits the next proposal that belongs to no running model step; false when there is none that is new.
    fn admit_extra(&mut self) -> Result<bool, RunError> {
        while let Some((step, proposal)) = self.next_extra() {
            if !self.s.board.knows(&proposal.solution, &proposal.params) {
                self.admit(&step, &proposal.solution, proposal.params, proposal.origin)?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    pub(super) fn propose_baseline(&mut self) -> Result<(), RunError> {
        let step = self
            .s
            .plan
            .steps()
            .iter()
            .find(|step| step.kind == StepKind::Profile)
            .map_or_else(|| StepId::new("baseline"), |step| step.id.clone());
        let params = self.reference_params();
        self.admit(&step, playbook::BASELINE, params, Origin::Baseline)
    }

    /// The next proposal of a model step: first proposals of all steps come before second ones.
    pub(super) fn next_proposal(&mut self) -> Option<(StepId, Proposal)> {
        let order: Vec<StepId> = self.s.plan.order();
        let asked = |step: &StepId| self.s.board.entries.values().filter(|entry| entry.step == *step).count();
        let step = order
            .iter()
            .filter(|step| self.states.get(*step) == Some(&StepState::Running))
            .filter(|step| self.proposals.get(*step).is_some_and(|due| !due.is_empty()))
            .min_by_key(|step| asked(step))?
            .clone();
        let proposal = self.proposals.get_mut(&step)?.pop_front()?;
        Some((step, proposal))
    }

    pub(super) fn admit(
        &mut self,
        step: &StepId,
        solution: &str,
        params: Params,
        origin: Origin,
    ) -> Result<(), RunError> {
        let id = self.s.board.next_id();
        let candidate = Candidate { id, solution: self.solution(solution), params, origin };
        let event = Event::CandidateProposed {
            candidate: Box::new(candidate.clone()),
            step: step.clone(),
            inputs: Vec::new(),
        };
        self.s.record.write(event)?;
        self.s.board.add(candidate, step.clone());
        self.consider(id)
    }

    /// Decides which folds of an unscored candidate are due now: the first few as a probe, the rest when those
    /// are in and promise something, none when they do not.
    pub(super) fn consider(&mut self, id: CandidateId) -> Result<(), RunError> {
        let Some(entry) = self.s.board.entries.get(&id) else { return Ok(()) };
        if entry.state != State::Open {
            return Ok(());
        }
        let all = self.s.board.rows.folds_of(0, self.s.rows_permille);
        if let Some(reason) = entry.failures.values().next().cloned() {
            return self.fail_candidate(id, &reason);
        }
        let done: BTreeSet<&Fold> = entry.held.keys().collect();
        let missing: Vec<Fold> =
            all.iter().filter(|fold| !done.contains(fold) && !self.is_due(id, fold)).cloned().collect();
        if missing.is_empty() {
            let due = self.flying(id) || self.is_queued(id);
            return if due { Ok(()) } else { self.score(id) };
        }
        let baseline = entry.candidate.origin == Origin::Baseline;
        let probes = if baseline { all.len() } else { self.probes().min(all.len()) };
        let (done, pending) = (done.len(), all.len() - missing.len() - done.len());
        if done == 0 {
            let probe: Vec<_> = missing.into_iter().take(probes.saturating_sub(pending)).collect();
            self.queue.extend(probe.into_iter().map(|fold| (id, fold)));
            return Ok(());
        }
        if pending > 0 {
            return Ok(());
        }
        if self.promising(id) {
            // Begun candidates come before new ones.
            for fold in missing.into_iter().rev() {
                self.queue.push_front((id, fold));
            }
            Ok(())
        } else {
            self.drop_candidate(id, "behind others on its first folds")
        }
    }

    /// Folds by which a candidate is judged before it gets the others.
    fn probes(&self) -> usize {
        if self.s.trials_max.is_some() { PROBES_COUNTED } else { self.s.pace.jobs }
    }

    /// Gives up a candidate of which a fold failed, once nothing of it is under way. In a run that counts trials its queued folds
    /// are tried as well: how many others were under way when one failed depends on the machine.
    fn fail_candidate(&mut self, id: CandidateId, reason: &str) -> Result<(), RunError> {
        if self.flying(id) || (self.s.trials_max.is_some() && self.is_queued(id)) {
            return Ok(());
        }
        self.queue.retain(|(other, _)| *other != id);
        self.s.board.close(id, State::Failed(reason.to_owned()));
        self.s.record.warn(format!("{}: {reason}", self.name(id)))?;
        self.mend_candidate(id, reason)
    }

    fn is_queued(&self, id: CandidateId) -> bool {
        self.queue.iter().any(|(other, _)| *other == id)
    }

    pub(super) fn is_due(&self, id: CandidateId, fold: &Fold) -> bool {
        self.in_flight.values().any(|(other, running)| *other == id && running == fold)
            || self.queue.iter().any(|(other, queued)| *other == id && queued == fold)
    }

    pub(super) fn flying(&self, id: CandidateId) -> bool {
        self.in_flight.values().any(|(other, _)| *other == id)
    }

    pub(super) fn name(&self, id: CandidateId) -> String {
        self.s.board.entries.get(&id).map_or_else(|| id.to_string(), Entry::name)
    }

    /// Compares a candidate's first folds with the best others on the same folds. Defaults and the baseline are
    /// always finished: they are what others are measured against.
    pub(super) fn promising(&self, id: CandidateId) -> bool {
        let Some(entry) = self.s.board.entries.get(&id) else { return false };
        let is_searched = |step: &StepId| self.tuners.contains_key(step);
        match entry.candidate.origin {
            Origin::Search => {}
            // A language model's configuration competes like one of the search.
            Origin::Model if is_searched(&entry.step) => {}
            _ => return true,
        }
        let all = self.s.board.rows.folds_of(0, self.s.rows_permille);
        let gains = |id: CandidateId| -> Vec<f64> {
            all.iter().map_while(|fold| self.fold_gains.get(&(id, fold.clone())).copied()).collect()
        };
        let own = gains(id);
        let solution = entry.candidate.solution.name();
        let others: Vec<Vec<f64>> = self
            .s
            .board
            .entries
            .values()
            .filter(|other| other.candidate.id != id && other.candidate.solution.name() == solution)
            .map(|other| gains(other.candidate.id))
            .filter(|gains| !gains.is_empty())
            .collect();
        let fold_rows = self.s.board.rows.folds[0].first().map_or(0, Vec::len) as u64;
        promote(Rung { own: &own, others: &others, folds: all.len(), fold_rows }).continues()
    }

    pub(super) fn drop_candidate(&mut self, id: CandidateId, reason: &str) -> Result<(), RunError> {
        self.s.board.close(id, State::Dropped(reason.to_owned()));
        self.queue.retain(|(other, _)| *other != id);
        self.forget_models(id)?;
        Ok(())
    }

    /// Removes the models of a candidate that will not be delivered.
    pub(super) fn forget_models(&mut self, id: CandidateId) -> Result<(), RunError> {
        let Some(entry) = self.s.board.entries.get_mut(&id) else { return Ok(()) };
        let models: Vec<_> = entry.held.values_mut().filter_map(|held| held.model.take()).collect();
        for model in models {
            self.s.record.blobs.remove(&model).map_err(|error| RunError::failed(error.to_string()))?;
        }
        Ok(())
    }

    /// Further repeats for the best candidates of a small data set, spread over the search time.
    pub(super) fn queue_repeat(&mut self) -> bool {
        let repeat = self.repeat_done + 1;
        if repeat > REPEATS_MAX
            || repeat as usize >= self.s.board.rows.folds.len()
            || self.s.board.rows.open.len() > REPEAT_ROWS_MAX
            || self.used_share() < 0.25 + 0.2 * f64::from(repeat)
        {
            return false;
        }
        self.repeat_done = repeat;
        let best: Vec<CandidateId> = self
            .s
            .board
            .ranking(self.s.scoring.direction())
            .into_iter()
            .filter(|entry| entry.candidate.origin != Origin::Baseline)
            .take(REPEATED_MAX)
            .map(|entry| entry.candidate.id)
            .collect();
        let folds = self.s.board.rows.folds_of(repeat, self.s.rows_permille);
        for id in best {
            self.queue.extend(folds.iter().map(|fold| (id, fold.clone())));
        }
        !self.queue.is_empty()
    }

    /// Share of the search budget that is used, 0 to 1.
    pub(super) fn used_share(&self) -> f64 {
        if let Some(max) = self.s.trials_max {
            return f64::from(self.trials_started) / f64::from(max.max(1));
        }
        let Some(end) = self.s.pace.search_end_s(&self.s.measured) else { return 0.0 };
        (self.s.record.elapsed_s() - self.search_started_s) / (end - self.search_started_s).max(1e-3)
    }

    /// Standard error of a score, estimated from the spread of the best candidate's fold scores.
    pub(super) fn noise(&self) -> f64 {
        self.standard_error(&self.fold_scores)
    }

    /// Standard error of what the search compares.
    pub(super) fn gain_noise(&self) -> f64 {
        self.standard_error(&self.fold_gains)
    }

    fn standard_error(&self, of_folds: &BTreeMap<(CandidateId, Fold), f64>) -> f64 {
        let ranking = self.s.board.ranking(self.s.scoring.direction());
        let Some(best) = ranking.first() else { return 0.0 };
        let gains: Vec<f64> = best
            .held
            .keys()
            .filter_map(|fold| of_folds.get(&(best.candidate.id, fold.clone())).copied())
            .collect();
        if gains.len() < 2 {
            return 0.0;
        }
        let mean = gains.iter().sum::<f64>() / gains.len() as f64;
        let variance = gains.iter().map(|gain| (gain - mean).powi(2)).sum::<f64>() / (gains.len() - 1) as f64;
        (variance / gains.len() as f64).sqrt()
    }

    pub(super) fn families(&self) -> Vec<Family> {
        self.tuners
            .iter()
            .filter(|(step, _)| self.states.get(*step) == Some(&StepState::Running))
            .map(|(_, tuner)| self.family(tuner))
            .collect()
    }

    pub(super) fn family(&self, tuner: &Tuner) -> Family {
        let entries: Vec<_> = self
            .s
            .board
            .entries
            .values()
            .filter(|entry| entry.candidate.solution.name() == tuner.solution)
            .collect();
        // A run that counts trials must not depend on how long they take.
        let seconds_each = if self.s.trials_max.is_some() {
            1.0
        } else {
            let folds = self.s.board.rows.folds.first().map_or(1, Vec::len) as f64;
            self.solution_wall_s(&tuner.solution).unwrap_or(1.0) * folds
        };
        Family {
            solution: tuner.solution.clone(),
            gains: entries
                .iter()
                .filter_map(|entry| self.search_gains.get(&entry.candidate.id).copied())
                .collect(),
            failures: entries.iter().map(|entry| entry.failures.len() as u32).sum(),
            running: entries.iter().filter(|entry| entry.state == State::Open).count() as u32,
            seconds_each,
            ensemble_loss: None,
            has_more: !tuner.exhausted,
        }
    }

    pub(super) fn start_trial(&mut self, id: CandidateId, fold: Fold) -> Result<(), RunError> {
        let trial = TrialId(self.next_trial);
        let Some(entry) = self.s.board.entries.get(&id) else { return Ok(()) };
        let (step, candidate) = (entry.step.clone(), entry.candidate.clone());
        let event = Event::TrialStarted { trial, candidate: id, fold: fold.clone(), step };
        self.s.record.write(event)?;
        self.next_trial += 1;
        self.trials_started += 1;
        self.s.record.count_trial();
        let rows = self.s.board.rows.training(&fold);
        let mut predict = self.s.board.rows.validation(&fold).to_vec();
        if candidate.origin == Origin::Baseline {
            predict.extend(&self.s.test_rows);
        }
        let mut left = self.seconds_left().map_or(TRIAL_SECONDS_MAX, |left| left + 1.0);
        if let Solution::Source { name, .. } = &candidate.solution {
            left = left.min(self.generated_seconds(self.base_of(name).as_deref()));
        }
        let order = Order {
            order: OrderKind::Fit,
            trial: trial.0,
            solution: Some(candidate.solution.clone()),
            params: candidate.params.clone(),
            seed: self.s.seed.derive(&format!("trial {} {} {}", id.0, fold.repeat, fold.fold)).for_python(),
            threads: 1,
            task: TaskBrief::of(self.s.task),
            drop: self.s.drop.clone(),
            sealed: ["train_rows", "y", "predict_rows"].map(String::from).to_vec(),
            deadline_s: left,
            timed: self.s.trials_max.is_none(),
            keep_model: true,
            stage: None,
            model: None,
            out: format!("/out/t{}", trial.0),
        };
        let sealed = vec![
            npy::write_indices(&rows),
            npy::write_values(&self.s.board.truth_of(&rows)),
            npy::write_indices(&predict),
        ];
        self.in_flight.insert(trial, (id, fold.clone()));
        self.pool.start(Job::Trial(trial, id, fold), order, sealed);
        Ok(())
    }
}
