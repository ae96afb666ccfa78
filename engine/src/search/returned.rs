//! What came back: predictions are kept, scored and compared; failures are remembered; what lost is let go.

use super::drafts::kind_in_words;
use super::tuning::Tuner;
use super::{Dispatcher, Job};
use crate::board::{Entry, Held, Scored, State};
use crate::error::RunError;
use crate::finalise::INCUMBENT_GATE;
use crate::pool::Ended;
use crate::predictions::encode;
use crate::worker::{TrialFailure, TrialOutput};
use ansatz_agents::model::Failure;
use ansatz_agents::playbook;
use ansatz_agents::search::Searcher;
use ansatz_core::candidate::Origin;
use ansatz_core::event::{Event, FailureKind, Fold};
use ansatz_core::ids::{CandidateId, StepId, TrialId};
use ansatz_core::matrix::Matrix;
use ansatz_core::verdict::Stage;
use std::collections::BTreeSet;

/// Candidates whose models and predictions are kept.
const KEPT_MAX: usize = 24;
/// Attempts at starting a new worker after one was lost.
const WORKERS_MAX: u32 = 3;
/// Solutions that an ensemble is expected to draw from, when its refit is estimated.
const MEMBERS_EXPECTED: f64 = 4.0;
/// Members of one solution that an ensemble is expected to have.
const MEMBERS_PER_SOLUTION: f64 = 1.2;
/// Seconds for loading one model and predicting with it, beside the share of its trial.
const PREDICT_SECONDS: f64 = 0.1;
/// Features and predictions of the sealed rows, as a share of a whole trial.
const PREDICT_SHARE: f64 = 0.15;

impl Dispatcher<'_, '_> {
    pub(super) fn take(&mut self, ended: Ended<Job>) -> Result<(), RunError> {
        if let Err(failure) = &ended.result {
            self.s.record.count_cpu(failure.cpu_s);
            if failure.worker_lost {
                self.replace_worker(&failure.message)?;
            }
        }
        match ended.key {
            Job::Trial(trial, candidate, fold) => {
                self.in_flight.remove(&trial);
                match ended.result {
                    Ok(output) => self.keep(trial, candidate, fold, output)?,
                    Err(failure) => self.fail(trial, candidate, fold, failure)?,
                }
            }
            Job::Check(step, solution) => {
                self.checks_running.remove(&step);
                self.take_check(&step, &solution, ended.result)?;
            }
            Job::Space(step, solution) => self.take_space(&step, solution, ended.result)?,
            Job::Menu(solution) => self.take_menu(&solution, ended.result),
        }
        Ok(())
    }

    pub(super) fn replace_worker(&mut self, message: &str) -> Result<(), RunError> {
        if self.pool.worker().is_alive() {
            return Ok(());
        }
        self.workers_lost += 1;
        if self.workers_lost > WORKERS_MAX {
            return Err(RunError::failed(format!("the worker was lost {WORKERS_MAX} times: {message}")));
        }
        self.s.record.warn(format!("the worker was lost and started again: {message}"))?;
        let worker = (self.s.new_worker)()?;
        self.pool.replace_worker(worker);
        Ok(())
    }

    pub(super) fn take_check(
        &mut self,
        step: &StepId,
        solution: &str,
        result: Result<TrialOutput, TrialFailure>,
    ) -> Result<(), RunError> {
        let (passed, evidence, kind) = match result {
            Ok(output) => {
                self.s.record.count_cpu(output.cpu_s);
                let (passed, evidence) = match output.row_by_row {
                    Some(true) => (true, "features of single rows equal those of all rows"),
                    Some(false) => (false, "features of a row depend on the other rows"),
                    None => (false, "the check gave no answer"),
                };
                (passed, evidence.to_owned(), FailureKind::Predictions)
            }
            Err(failure) if failure.kind == FailureKind::Cancelled => return Ok(()),
            Err(failure) => (false, failure.message, failure.kind),
        };
        self.s.record.check(Stage::Code, format!("features of {solution}"), passed, evidence.clone())?;
        if self.revision_checked(solution, passed) {
            return Ok(());
        }
        if self.draft_of(solution).is_some() {
            if passed {
                self.draft_passed(step);
                return Ok(());
            }
            let kind = kind_in_words(kind).into();
            let failure = Failure { stage: "features".into(), kind, error: evidence };
            return self.mend(step, &failure);
        }
        if !passed {
            self.refused.insert(solution.to_owned());
            self.s.record.warn(format!("solution {solution} is not used: {evidence}"))?;
            for due in self.proposals.values_mut() {
                due.retain(|proposal| proposal.solution != solution);
            }
        }
        Ok(())
    }

    /// A space that a language model is to know.
    fn take_menu(&mut self, solution: &str, result: Result<TrialOutput, TrialFailure>) {
        let is_generated = self.sources.contains_key(solution);
        if let Some(ideas) = &mut self.ideas {
            ideas.learn_space(solution, result.ok().and_then(|output| output.space), is_generated);
        }
    }

    pub(super) fn take_space(
        &mut self,
        step: &StepId,
        solution: String,
        result: Result<TrialOutput, TrialFailure>,
    ) -> Result<(), RunError> {
        let space = match result {
            Ok(output) => output.space.unwrap_or_default(),
            Err(failure) if failure.kind == FailureKind::Cancelled => return Ok(()),
            Err(failure) => return self.lose_step(step, &failure.message),
        };
        let is_generated = self.sources.contains_key(&solution);
        if let Some(ideas) = &mut self.ideas {
            ideas.learn_space(&solution, Some(space.clone()), is_generated);
        }
        // Gains are computed while predictions are there.
        let own = |entry: &&Entry| entry.candidate.solution.name() == solution;
        let known: Vec<CandidateId> =
            self.s.board.entries.values().filter(own).map(|entry| entry.candidate.id).collect();
        for id in known {
            self.search_gain(id);
        }
        let mut pasts = self.s.pasts.get(&solution).cloned().unwrap_or_default();
        pasts.extend(playbook::pasts(&solution, self.s.task.problem));
        let search = Searcher::new(space, self.s.seed.derive(&format!("tune {solution}")));
        let search = search.knowing(pasts).by(self.s.method);
        let exhausted = self.is_dropped(step);
        self.tuners.insert(step.clone(), Tuner { solution, search, exhausted });
        Ok(())
    }

    pub(super) fn fail(
        &mut self,
        trial: TrialId,
        candidate: CandidateId,
        fold: Fold,
        failure: TrialFailure,
    ) -> Result<(), RunError> {
        let event = Event::TrialFailed {
            trial,
            candidate,
            fold: fold.clone(),
            kind: failure.kind,
            message: failure.message.clone(),
            cpu_s: failure.cpu_s,
        };
        self.s.record.write(event)?;
        // A trial that was cut short says nothing about its candidate.
        if failure.kind == FailureKind::Cancelled || failure.worker_lost {
            return self.consider(candidate);
        }
        self.failure_kinds.insert((candidate, fold.clone()), failure.kind);
        if let Some(entry) = self.s.board.entries.get_mut(&candidate) {
            entry.failures.insert(fold, failure.message);
        }
        self.consider(candidate)
    }

    pub(super) fn keep(
        &mut self,
        trial: TrialId,
        candidate: CandidateId,
        fold: Fold,
        output: TrialOutput,
    ) -> Result<(), RunError> {
        self.s.record.count_cpu(output.cpu_s);
        let validation = self.s.board.rows.validation(&fold).len();
        let (mut stages, mut test) = split_rows(output.stages, validation);
        stages.iter_mut().chain(&mut test).for_each(|stage| self.s.scoring.admit(stage));
        if stages.is_empty() || stages.iter().any(|stage| stage.rows() != validation) {
            let message = format!("predictions do not have {validation} rows");
            let kind = FailureKind::Predictions;
            let failure = TrialFailure { kind, message, cpu_s: output.cpu_s, worker_lost: false };
            return self.fail(trial, candidate, fold, failure);
        }
        let predictions = self.s.record.blob(&encode(&stages, &output.stage_values))?;
        let model = output.model.as_deref().map(|bytes| self.s.record.blob(bytes)).transpose()?;
        let truth = self.s.board.truth_of(self.s.board.rows.validation(&fold));
        let found = self.s.scoring.fold(&truth, &stages);
        let key = (candidate, fold.clone());
        self.fold_scores.extend(found.score.map(|score| (key.clone(), self.s.scoring.gain(score))));
        self.fold_gains.extend(found.gain.map(|gain| (key, gain)));
        let event = Event::TrialFinished {
            trial,
            candidate,
            fold: fold.clone(),
            predictions: predictions.clone(),
            model: model.clone(),
            score: found.score,
            gain: found.gain,
            wall_s: output.wall_s,
            cpu_s: output.cpu_s,
        };
        self.s.record.write(event)?;
        let held = Held {
            stages,
            stage_values: output.stage_values,
            test,
            predictions,
            model,
            cpu_s: output.cpu_s,
            wall_s: output.wall_s,
        };
        let repeat = fold.repeat;
        if let Some(entry) = self.s.board.entries.get_mut(&candidate) {
            entry.held.insert(fold, held);
        }
        if repeat > 0 {
            self.s.board.absorb_repeat(candidate, repeat);
            return Ok(());
        }
        self.consider(candidate)
    }

    /// All folds are in: chooses the stage, scores, compares with the incumbent.
    pub(super) fn score(&mut self, id: CandidateId) -> Result<(), RunError> {
        let Some((stages, values)) = self.s.board.oof_by_stage(id) else {
            let reason = self
                .s
                .board
                .entries
                .get(&id)
                .and_then(|entry| entry.failures.values().next().cloned())
                .unwrap_or_else(|| "its folds are incomplete".into());
            self.s.board.close(id, State::Failed(reason.clone()));
            self.s.record.warn(format!("{}: {reason}", self.name(id)))?;
            return Ok(());
        };
        let Some((stage, score)) = self.s.scoring.best_stage(self.s.board.open_truth(), &stages) else {
            let mut reason = "the metric is undefined on its predictions".to_owned();
            if let Some(trouble) = self.s.scoring.take_trouble() {
                reason = format!("{reason}: {trouble}");
                self.s.record.warn(format!("{} has no score: {trouble}", self.name(id)))?;
            }
            self.s.board.close(id, State::Failed(reason));
            return Ok(());
        };
        let entry = self.s.board.entries.get(&id);
        let inputs =
            entry.map(|e| e.held.values().map(|held| held.predictions.clone()).collect()).unwrap_or_default();
        let seconds = entry.map_or(0.0, Entry::cpu_s);
        let event = Event::CandidateScored { candidate: id, score, stage: stage as u32, seconds, inputs };
        self.s.record.write(event)?;
        let oof = stages.into_iter().nth(stage).unwrap_or_else(|| Matrix::filled(0, 0, 0.0));
        let staged = values.len() > 1;
        let counted = staged && values.iter().all(|value| value.fract() == 0.0);
        let stage_value = values.get(stage).copied().unwrap_or(0.0);
        self.s.board.settle(id, Scored { score, stage, stage_value, staged, counted }, oof);
        self.search_gain(id);
        let is_baseline =
            self.s.board.entries.get(&id).is_some_and(|entry| entry.candidate.origin == Origin::Baseline);
        if is_baseline {
            (self.s.early)(self.s.board, self.s.record)?;
        }
        self.welcome(id);
        self.challenge(id, score)?;
        self.measure();
        self.prune()
    }

    /// The gain by which the search is steered; remembered, since predictions of the also-rans are let go.
    pub(super) fn search_gain(&mut self, id: CandidateId) -> Option<f64> {
        if let Some(gain) = self.search_gains.get(&id) {
            return Some(*gain);
        }
        let oof = self.s.board.entries.get(&id)?.oof.as_ref()?;
        let gain = self.s.scoring.search_gain(self.s.board.open_truth(), oof)?;
        self.search_gains.insert(id, gain);
        Some(gain)
    }

    /// The incumbent changes when the challenger is probably better.
    pub(super) fn challenge(&mut self, id: CandidateId, score: f64) -> Result<(), RunError> {
        let p_better = match self.incumbent.and_then(|incumbent| self.s.board.entries.get(&incumbent)) {
            None => 1.0,
            Some(incumbent) => {
                let ahead =
                    incumbent.score().is_some_and(|old| self.s.scoring.direction().better(score, old.score));
                if !ahead {
                    return Ok(());
                }
                let (Some(new), Some(old)) = (
                    self.s.board.entries.get(&id).and_then(|entry| entry.oof.as_ref()),
                    incumbent.oof.as_ref(),
                ) else {
                    return Ok(());
                };
                self.s.scoring.p_better(self.s.board.open_truth(), new, old)
            }
        };
        if p_better > INCUMBENT_GATE {
            self.incumbent = Some(id);
            self.history.push((self.s.record.elapsed_s(), score));
            self.s.record.write(Event::IncumbentChanged { candidate: id, score, p_better })?;
        }
        Ok(())
    }

    /// Brings the estimate of the finalising time up to date: the members would be the best of each solution.
    pub(super) fn measure(&mut self) {
        let mut seen: BTreeSet<&str> = BTreeSet::new();
        let growth = self.s.board.truth.len() as f64
            / (self.s.board.rows.open.len() as f64 * 0.8 * f64::from(self.s.rows_permille) / 1000.0).max(1.0);
        let mut refit_s = 0.0;
        let mut longest = 0.0_f64;
        let mut members = 0.0;
        let mut predict_s = 0.0;
        for entry in self.s.board.ranking(self.s.scoring.direction()) {
            let reference = entry.candidate.origin == Origin::Baseline;
            if reference || members >= MEMBERS_EXPECTED || !seen.insert(entry.candidate.solution.name()) {
                continue;
            }
            let wall = entry.trial_wall_s().unwrap_or(0.0) * growth;
            refit_s += wall * MEMBERS_PER_SOLUTION;
            longest = longest.max(wall);
            members += 1.0;
            predict_s += PREDICT_SECONDS + PREDICT_SHARE * entry.trial_wall_s().unwrap_or(0.0);
        }
        self.s.measured.refit_s = refit_s;
        self.s.measured.refit_longest_s = longest;
        let folds = self.s.board.rows.folds.first().map_or(1, Vec::len) as f64;
        self.s.measured.predict_s = predict_s * MEMBERS_PER_SOLUTION * folds;
    }

    /// Keeps memory and disk bounded: only the best candidates keep predictions and models.
    pub(super) fn prune(&mut self) -> Result<(), RunError> {
        let surplus: Vec<CandidateId> = self
            .s
            .board
            .ranking(self.s.scoring.direction())
            .into_iter()
            .skip(KEPT_MAX)
            .filter(|entry| entry.candidate.origin != Origin::Baseline && entry.oof.is_some())
            .map(|entry| entry.candidate.id)
            .collect();
        for id in surplus {
            self.forget_models(id)?;
            if let Some(entry) = self.s.board.entries.get_mut(&id) {
                entry.oof = None;
                for held in entry.held.values_mut() {
                    held.stages = Vec::new();
                }
            }
        }
        Ok(())
    }
}

/// Splits each stage's rows into validation rows and the test rows that stand behind them.
fn split_rows(stages: Vec<Matrix>, validation: usize) -> (Vec<Matrix>, Vec<Matrix>) {
    if stages.iter().all(|stage| stage.rows() <= validation) {
        return (stages, Vec::new());
    }
    let part = |stage: &Matrix, from: usize, to: usize| {
        let data = stage.data()[from * stage.columns()..to * stage.columns()].to_vec();
        Matrix::new(to - from, stage.columns(), data)
    };
    let first = stages.iter().filter_map(|stage| part(stage, 0, validation)).collect();
    let rest = stages.iter().filter_map(|stage| part(stage, validation, stage.rows())).collect();
    (first, rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_rows_are_cut_off_behind_the_validation_rows() {
        let stage = Matrix::new(3, 1, vec![1.0, 2.0, 9.0]).unwrap();
        let (validation, test) = split_rows(vec![stage], 2);
        assert_eq!(validation[0].data(), [1.0, 2.0]);
        assert_eq!(test[0].data(), [9.0]);
    }
}
