//! The dispatcher: carries out the searching part of a plan (profile, features, model and tune steps).
//!
//! One loop owns all state. Trials run in the pool; their ends, the clock and the user's stop come in through one
//! `select!`. Every decision is journalled before its effect.

use crate::board::{Board, Held, Scored, State};
use crate::error::RunError;
use crate::observer::Note;
use crate::pace::{Measured, Pace};
use crate::pool::{Ended, Pool};
use crate::protocol::{Order, OrderKind, TaskBrief};
use crate::record::Record;
use crate::remember::WarmStart;
use crate::scoring::Scoring;
use crate::stop::Stop;
use crate::worker::{TrialFailure, TrialOutput};
use ansatz_agents::allocate::{Family, Spending, allocate};
use ansatz_agents::playbook::{self, Proposal};
use ansatz_agents::search::{Rung, Search as _, Searcher, promote};
use ansatz_core::candidate::{Candidate, Origin, Params, Solution};
use ansatz_core::event::{Event, FailureKind, Fold};
use ansatz_core::ids::{CandidateId, StepId, TrialId};
use ansatz_core::matrix::Matrix;
use ansatz_core::npy;
use ansatz_core::profile::Profile;
use ansatz_core::seed::Seed;
use ansatz_core::task::Task;
use ansatz_core::verdict::Stage;
use ansatz_planner::{Plan, Step, StepKind};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

/// How often totals are journalled and limits are looked at.
const TICK: Duration = Duration::from_millis(1000);
/// Deadline of a trial in a run without a wall, in seconds.
const TRIAL_SECONDS_MAX: f64 = 1800.0;
/// Candidates whose models and predictions are kept.
const KEPT_MAX: usize = 24;
/// Further repeats of the cross-validation that the best candidates may get.
const REPEATS_MAX: u32 = 3;
/// How many of the best get a further repeat.
const REPEATED_MAX: usize = 6;
/// Open rows up to which further repeats are worth their time.
const REPEAT_ROWS_MAX: usize = 4000;
/// Attempts at starting a new worker after one was lost.
const WORKERS_MAX: u32 = 3;

/// Numbers of questions to solutions start here, so that they never meet a trial's.
const QUESTIONS_FROM: u32 = 1_000_000;
/// Longest time for a question.
const QUESTION_SECONDS_MAX: f64 = 30.0;
/// Rows that a feature check gets.
const CHECK_ROWS: usize = 200;
/// Solutions that an ensemble is expected to draw from, when its refit is estimated.
const MEMBERS_EXPECTED: f64 = 4.0;
/// Members of one solution that an ensemble is expected to have.
const MEMBERS_PER_SOLUTION: f64 = 1.5;
/// Seconds for loading one model and predicting with it.
const PREDICT_SECONDS: f64 = 0.08;

/// How a step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepState {
    /// Waiting for its inputs.
    Waiting,
    /// Under way.
    Running,
    /// Done.
    Finished,
    /// It failed, or was skipped.
    Lost,
}

/// What a job in the pool is for.
#[derive(Debug, Clone)]
pub enum Job {
    /// A trial.
    Trial(TrialId, CandidateId, Fold),
    /// Proof that a solution's features are computed row by row.
    Check(StepId, String),
    /// The question for a search space.
    Space(StepId, String),
}

/// What the dispatcher works on.
pub struct Search<'a> {
    /// The task.
    pub task: &'a Task,
    /// The data card.
    pub profile: &'a Profile,
    /// The plan.
    pub plan: &'a Plan,
    /// Candidates and scores.
    pub board: &'a mut Board,
    /// Journal and watcher.
    pub record: &'a mut Record,
    /// Metric and gates.
    pub scoring: &'a Scoring,
    /// Time.
    pub pace: Pace,
    /// Trials that may be started in all.
    pub trials_max: Option<u32>,
    /// The run's seed.
    pub seed: Seed,
    /// Columns that solutions do not get.
    pub drop: Vec<String>,
    /// Share of the training rows that trials use, in thousandths.
    pub rows_permille: u32,
    /// Rows of the test file; predicted by the baseline so that there is a submission early.
    pub test_rows: Vec<usize>,
    /// Remembered configurations.
    pub warm: Vec<WarmStart>,
    /// Measured times.
    pub measured: Measured,
    /// The user's stop.
    pub stop: &'a Stop,
    /// Called when the baseline is in: writes an early submission.
    pub early: &'a mut dyn FnMut(&Board, &mut Record) -> Result<(), RunError>,
    /// Makes a new worker when one was lost.
    pub new_worker: &'a mut dyn FnMut() -> Result<std::sync::Arc<crate::worker::Worker>, RunError>,
}

/// How the search ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SearchEnd {
    /// Time or trials are used up.
    BudgetUsed,
    /// Nothing was left to try, or nothing more was to be gained.
    Exhausted(String),
    /// The user stopped it.
    Stopped,
}

struct Tuner {
    solution: String,
    search: Searcher,
    exhausted: bool,
}

struct Dispatcher<'a, 'b> {
    s: &'b mut Search<'a>,
    pool: &'b mut Pool<Job>,
    states: BTreeMap<StepId, StepState>,
    queue: VecDeque<(CandidateId, Fold)>,
    in_flight: BTreeMap<TrialId, (CandidateId, Fold)>,
    proposals: BTreeMap<StepId, VecDeque<Proposal>>,
    checks_due: BTreeMap<StepId, BTreeSet<String>>,
    checks_running: BTreeSet<StepId>,
    spaces_asked: BTreeSet<StepId>,
    refused: BTreeSet<String>,
    questions: u32,
    /// Gains on single folds, larger being better.
    fold_scores: BTreeMap<(CandidateId, Fold), f64>,
    search_gains: BTreeMap<CandidateId, f64>,
    tuners: BTreeMap<StepId, Tuner>,
    next_trial: u32,
    trials_started: u32,
    workers_lost: u32,
    repeat_done: u32,
    incumbent: Option<CandidateId>,
    end: Option<SearchEnd>,
    /// Best score after each second that had news: for judging whether going on is worth it.
    pub history: Vec<(f64, f64)>,
    search_started_s: f64,
}

/// Outcome of the search: step states, why it ended, and the history of the incumbent's score.
pub struct Searched {
    /// How each step stands.
    pub states: BTreeMap<StepId, StepState>,
    /// Why it ended.
    pub end: SearchEnd,
    /// (seconds, best score) whenever the best changed.
    pub history: Vec<(f64, f64)>,
}

/// What a resumed run already knows about its search.
#[derive(Debug, Clone, Default)]
pub struct Progress {
    /// Trials started so far, in all lives of the run.
    pub trials_started: u32,
    /// Number of the next trial.
    pub next_trial: u32,
    /// Scores on single folds, at the best stage.
    pub fold_scores: BTreeMap<(CandidateId, Fold), f64>,
}

/// Searches until the budget, the space or the user's patience ends.
///
/// # Errors
/// When the journal cannot be written or no worker can be had any more.
pub async fn search(
    search: &mut Search<'_>,
    pool: &mut Pool<Job>,
    progress: Progress,
) -> Result<Searched, RunError> {
    let states = search.plan.steps().iter().map(|step| (step.id.clone(), StepState::Waiting)).collect();
    let search_started_s = search.record.elapsed_s();
    let mut dispatcher = Dispatcher {
        s: search,
        pool,
        states,
        queue: VecDeque::new(),
        in_flight: BTreeMap::new(),
        proposals: BTreeMap::new(),
        checks_due: BTreeMap::new(),
        checks_running: BTreeSet::new(),
        spaces_asked: BTreeSet::new(),
        refused: BTreeSet::new(),
        questions: 0,
        fold_scores: progress.fold_scores,
        search_gains: BTreeMap::new(),
        tuners: BTreeMap::new(),
        next_trial: progress.next_trial,
        trials_started: progress.trials_started,
        workers_lost: 0,
        repeat_done: 0,
        incumbent: None,
        end: None,
        history: Vec::new(),
        search_started_s,
    };
    for score in dispatcher.fold_scores.values_mut() {
        *score = dispatcher.s.scoring.gain(*score);
    }
    dispatcher.adopt_board()?;
    dispatcher.run().await?;
    let end = dispatcher.end.clone().unwrap_or(SearchEnd::BudgetUsed);
    Ok(Searched {
        states: dispatcher.states,
        end,
        history: dispatcher.history,
    })
}

impl Dispatcher<'_, '_> {
    async fn run(&mut self) -> Result<(), RunError> {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let stop = self.s.stop;
        loop {
            self.advance_steps()?;
            while self.end.is_none() && self.pool.has_room() {
                if !self.start_next()? {
                    break;
                }
            }
            if self.pool.running() == 0 {
                if self.end.is_none() {
                    self.end = Some(self.why_nothing_is_left());
                }
                break;
            }
            let until_end = self.seconds_left().map_or(TICK, |left| Duration::from_secs_f64(left.clamp(0.0, 1.0)));
            tokio::select! {
                ended = self.pool.ended() => self.take(ended)?,
                _ = tick.tick() => self.s.record.tick()?,
                () = tokio::time::sleep(until_end), if self.end.is_none() => {}
                () = stop.wished(), if self.end.is_none() => self.finish_early(SearchEnd::Stopped),
            }
            if self.end.is_none() && self.seconds_left().is_some_and(|left| left <= 0.0) {
                self.finish_early(SearchEnd::BudgetUsed);
            }
            let load = Note::Load {
                running: self.pool.running(),
                elapsed_s: self.s.record.elapsed_s(),
                total_s: self.s.pace.wall_s,
            };
            self.s.record.note(&load);
        }
        self.close_steps()
    }

    fn finish_early(&mut self, end: SearchEnd) {
        self.end = Some(end);
        self.pool.stop();
    }

    fn seconds_left(&self) -> Option<f64> {
        Some(self.s.pace.search_end_s(&self.s.measured)? - self.s.record.elapsed_s())
    }

    fn trials_left(&self) -> bool {
        self.s.trials_max.is_none_or(|max| self.trials_started < max)
    }

    /// In a run that counts trials nothing is decided while trials are under way, so that the order of their ends
    /// cannot change what happens next.
    fn must_wait(&self) -> bool {
        self.s.trials_max.is_some() && self.pool.running() > 0
    }

    fn why_nothing_is_left(&self) -> SearchEnd {
        if self.trials_left() && self.seconds_left().is_none_or(|left| left > self.typical_trial_s()) {
            SearchEnd::Exhausted("every configuration worth trying was tried".into())
        } else {
            SearchEnd::BudgetUsed
        }
    }

    fn typical_trial_s(&self) -> f64 {
        let walls: Vec<f64> = self.s.board.entries.values().filter_map(crate::board::Entry::trial_wall_s).collect();
        walls.iter().copied().fold(f64::INFINITY, f64::min).clamp(0.0, 1e9) * f64::from(u8::from(!walls.is_empty()))
    }

    // ---- Taking up what an earlier life of the run left.

    /// Candidates without a verdict get their missing folds; the incumbent is found again.
    fn adopt_board(&mut self) -> Result<(), RunError> {
        let open: Vec<CandidateId> = self
            .s
            .board
            .entries
            .values()
            .filter(|entry| entry.state == State::Open)
            .map(|entry| entry.candidate.id)
            .collect();
        for candidate in open {
            self.consider(candidate)?;
        }
        self.incumbent = self
            .s
            .board
            .ranking(self.s.scoring.direction())
            .first()
            .map(|entry| entry.candidate.id);
        Ok(())
    }

    // ---- Steps.

    fn set(&mut self, id: &StepId, state: StepState) {
        self.states.insert(id.clone(), state);
    }

    /// Starts what has become ready, ends what has become complete; repeats until nothing changes.
    fn advance_steps(&mut self) -> Result<(), RunError> {
        loop {
            let ready: Vec<Step> = self
                .s
                .plan
                .steps()
                .iter()
                .filter(|step| self.states[&step.id] == StepState::Waiting)
                .filter(|step| {
                    step.inputs
                        .iter()
                        .all(|input| matches!(self.states.get(input), Some(StepState::Finished | StepState::Lost)))
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

    fn start_step(&mut self, step: &Step) -> Result<bool, RunError> {
        if self.end.is_some() {
            return Ok(false);
        }
        if step.inputs.iter().any(|input| self.states.get(input) == Some(&StepState::Lost)) {
            let reason = "a step that it needs was lost".to_owned();
            self.s.record.write(Event::StepSkipped { step: step.id.clone(), reason })?;
            self.set(&step.id, StepState::Lost);
            return Ok(true);
        }
        self.s.record.write(Event::StepStarted { step: step.id.clone() })?;
        self.set(&step.id, StepState::Running);
        match step.kind {
            StepKind::Profile => self.finish_step(&step.id, Vec::new())?,
            StepKind::Features => {
                let solutions = self.solutions_after(&step.id);
                self.checks_due.insert(step.id.clone(), solutions);
            }
            StepKind::Model => {
                let proposals = playbook::proposals(step, self.s.task, self.s.profile, &self.s.warm);
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

    /// Solutions of the model steps that build on a features step.
    fn solutions_after(&self, features: &StepId) -> BTreeSet<String> {
        self.s
            .plan
            .dependents(features)
            .into_iter()
            .filter(|step| step.kind == StepKind::Model)
            .filter_map(playbook::solution_of)
            .collect()
    }

    fn end_complete_steps(&mut self) -> Result<bool, RunError> {
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
                StepKind::Features => self.checks_due.get(&step.id).is_none_or(BTreeSet::is_empty)
                    && !self.check_in_flight(&step.id),
                StepKind::Model => {
                    self.proposals.get(&step.id).is_none_or(VecDeque::is_empty)
                        && !self.s.board.entries.values().any(|entry| {
                            entry.step == step.id && entry.state == State::Open
                        })
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

    fn failures_of(&self, step: &StepId) -> String {
        let mut reasons = self.s.board.entries.values().filter(|entry| entry.step == *step).map(|entry| {
            match &entry.state {
                State::Dropped(reason) | State::Failed(reason) => reason.clone(),
                _ => "no score".into(),
            }
        });
        reasons.next().unwrap_or_else(|| "no candidate was proposed".into())
    }

    fn check_in_flight(&self, step: &StepId) -> bool {
        self.states.get(step) == Some(&StepState::Running) && self.checks_running.contains(step)
    }

    fn finish_step(&mut self, step: &StepId, outputs: Vec<ansatz_core::ids::ArtifactId>) -> Result<(), RunError> {
        self.s.record.write(Event::StepFinished { step: step.clone(), outputs })?;
        self.set(step, StepState::Finished);
        Ok(())
    }

    fn lose_step(&mut self, step: &StepId, error: &str) -> Result<(), RunError> {
        self.s.record.write(Event::StepFailed { step: step.clone(), error: error.to_owned() })?;
        self.s.record.warn(format!("step {step} was lost: {error}"))?;
        self.set(step, StepState::Lost);
        Ok(())
    }

    /// At the end of the search: running steps are over; waiting ones never came to their turn.
    fn close_steps(&mut self) -> Result<(), RunError> {
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
                    let reason = "the budget was used before its turn".to_owned();
                    self.s.record.write(Event::StepSkipped { step: step.clone(), reason })?;
                    self.set(&step, StepState::Lost);
                }
                _ => {}
            }
        }
        Ok(())
    }

    // ---- What runs next.

    /// Starts one job; false when there is nothing to start now.
    fn start_next(&mut self) -> Result<bool, RunError> {
        // The reference model comes before everything: with it there is something valid to hand in.
        if self.s.board.baseline().is_none() && self.trials_left() {
            self.propose_baseline()?;
        }
        if self.baseline_is_under_way() && self.start_question() {
            return Ok(true);
        }
        if !self.trials_left() {
            return Ok(false);
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
    fn baseline_is_under_way(&self) -> bool {
        self.s.board.baseline().is_none_or(|entry| {
            entry.state != State::Open || !self.queue.iter().any(|(id, _)| *id == entry.candidate.id)
        })
    }

    /// Short questions to solutions: feature checks and search spaces.
    fn start_question(&mut self) -> bool {
        let due = self.checks_due.iter_mut().find_map(|(step, solutions)| {
            solutions.pop_first().map(|solution| (step.clone(), solution))
        });
        if let Some((step, solution)) = due {
            self.checks_running.insert(step.clone());
            let params = self.default_params(&solution);
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
            self.spaces_asked.insert(step.clone());
            self.ask(OrderKind::Space, Job::Space(step, solution.clone()), &solution, Params::new());
            return true;
        }
        false
    }

    fn default_params(&self, solution: &str) -> Params {
        self.s
            .plan
            .steps()
            .iter()
            .filter(|step| step.kind == StepKind::Model)
            .filter(|step| playbook::solution_of(step).as_deref() == Some(solution))
            .flat_map(|step| playbook::proposals(step, self.s.task, self.s.profile, &[]))
            .map(|proposal| proposal.params)
            .next()
            .unwrap_or_default()
    }

    fn ask(&mut self, kind: OrderKind, job: Job, solution: &str, params: Params) {
        self.questions += 1;
        let number = QUESTIONS_FROM + self.questions;
        let fold = Fold { repeat: 0, fold: 0, rows_permille: 1000 };
        let rows: Vec<usize> = self.s.board.rows.training(&fold).into_iter().take(CHECK_ROWS).collect();
        let order = Order {
            order: kind,
            trial: number,
            solution: Some(Solution::Builtin(solution.to_owned())),
            params,
            seed: self.s.seed.derive("check").for_python(),
            threads: 1,
            task: TaskBrief::of(self.s.task),
            drop: self.s.drop.clone(),
            sealed: ["train_rows", "y", "predict_rows"].map(String::from).to_vec(),
            deadline_s: QUESTION_SECONDS_MAX.min(self.seconds_left().unwrap_or(QUESTION_SECONDS_MAX).max(1.0)),
            keep_model: false,
            stage: None,
            model: None,
            out: format!("/out/q{number}"),
        };
        let sealed = vec![
            npy::write_indices(&rows),
            npy::write_values(&self.s.board.truth_of(&rows)),
            npy::write_indices(&self.s.board.rows.validation(&fold)[..].iter().copied().take(CHECK_ROWS).collect::<Vec<_>>()),
        ];
        self.pool.start(job, order, sealed);
    }

    /// The first queued trial that still fits into the time; what does not fit is closed.
    fn pop_affordable(&mut self) -> Result<Option<(CandidateId, Fold)>, RunError> {
        while let Some((candidate, fold)) = self.queue.pop_front() {
            let open = self.s.board.entries.get(&candidate).is_some_and(|entry| {
                !matches!(entry.state, State::Dropped(_) | State::Failed(_))
            });
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

    fn affordable(&self, candidate: CandidateId, folds_due: usize) -> bool {
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

    fn solution_wall_s(&self, solution: &str) -> Option<f64> {
        let walls: Vec<f64> = self
            .s
            .board
            .entries
            .values()
            .filter(|entry| entry.candidate.solution.name() == solution)
            .filter_map(crate::board::Entry::trial_wall_s)
            .collect();
        (!walls.is_empty()).then(|| walls.iter().sum::<f64>() / walls.len() as f64)
    }

    /// Finds a new candidate or further folds to queue; false when there is none.
    fn find_work(&mut self) -> Result<bool, RunError> {
        if let Some((step, proposal)) = self.next_proposal() {
            self.admit(&step, &proposal.solution, proposal.params, proposal.origin)?;
            return Ok(true);
        }
        if self.queue_repeat() {
            return Ok(true);
        }
        self.next_tuned()
    }

    fn propose_baseline(&mut self) -> Result<(), RunError> {
        let step = self
            .s
            .plan
            .steps()
            .iter()
            .find(|step| step.kind == StepKind::Profile)
            .map_or_else(|| StepId::new("baseline"), |step| step.id.clone());
        self.admit(&step, playbook::BASELINE, Params::new(), Origin::Baseline)
    }

    /// The next proposal of a model step: first proposals of all steps come before second ones.
    fn next_proposal(&mut self) -> Option<(StepId, Proposal)> {
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

    fn admit(
        &mut self,
        step: &StepId,
        solution: &str,
        params: Params,
        origin: Origin,
    ) -> Result<(), RunError> {
        let id = self.s.board.next_id();
        let candidate = Candidate { id, solution: Solution::Builtin(solution.to_owned()), params, origin };
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
    fn consider(&mut self, id: CandidateId) -> Result<(), RunError> {
        let Some(entry) = self.s.board.entries.get(&id) else { return Ok(()) };
        if entry.state != State::Open {
            return Ok(());
        }
        let all = self.s.board.rows.folds_of(0, self.s.rows_permille);
        let done: BTreeSet<&Fold> = entry.held.keys().chain(entry.failures.keys()).collect();
        let missing: Vec<Fold> = all
            .iter()
            .filter(|fold| !done.contains(fold) && !self.is_due(id, fold))
            .cloned()
            .collect();
        if missing.is_empty() {
            let due = self.flying(id) || self.queue.iter().any(|(other, _)| *other == id);
            return if due { Ok(()) } else { self.score(id) };
        }
        if let Some(reason) = entry.failures.values().next().cloned() {
            if !self.flying(id) {
                self.queue.retain(|(other, _)| *other != id);
                self.s.board.close(id, State::Failed(reason.clone()));
                self.s.record.warn(format!("{}: {reason}", self.name(id)))?;
                self.tell(id, None);
            }
            return Ok(());
        }
        let baseline = entry.candidate.origin == Origin::Baseline;
        let probes = if baseline { all.len() } else { self.s.pace.jobs.min(all.len()) };
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

    fn is_due(&self, id: CandidateId, fold: &Fold) -> bool {
        self.in_flight.values().any(|(other, running)| *other == id && running == fold)
            || self.queue.iter().any(|(other, queued)| *other == id && queued == fold)
    }

    fn flying(&self, id: CandidateId) -> bool {
        self.in_flight.values().any(|(other, _)| *other == id)
    }

    fn name(&self, id: CandidateId) -> String {
        self.s.board.entries.get(&id).map_or_else(|| id.to_string(), crate::board::Entry::name)
    }

    /// Compares a candidate's first folds with the best others on the same folds. Defaults and the baseline are
    /// always finished: they are what others are measured against.
    fn promising(&self, id: CandidateId) -> bool {
        let Some(entry) = self.s.board.entries.get(&id) else { return false };
        if entry.candidate.origin != Origin::Search {
            return true;
        }
        let all = self.s.board.rows.folds_of(0, self.s.rows_permille);
        let gains = |id: CandidateId| -> Vec<f64> {
            all.iter().map_while(|fold| self.fold_scores.get(&(id, fold.clone())).copied()).collect()
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

    fn drop_candidate(&mut self, id: CandidateId, reason: &str) -> Result<(), RunError> {
        self.s.board.close(id, State::Dropped(reason.to_owned()));
        self.queue.retain(|(other, _)| *other != id);
        self.forget_models(id)?;
        self.tell(id, None);
        Ok(())
    }

    /// Removes the models of a candidate that will not be delivered.
    fn forget_models(&mut self, id: CandidateId) -> Result<(), RunError> {
        let Some(entry) = self.s.board.entries.get_mut(&id) else { return Ok(()) };
        let models: Vec<_> = entry.held.values_mut().filter_map(|held| held.model.take()).collect();
        for model in models {
            self.s.record.blobs.remove(&model).map_err(|error| RunError::failed(error.to_string()))?;
        }
        Ok(())
    }

    /// Further repeats for the best candidates of a small data set, spread over the search time.
    fn queue_repeat(&mut self) -> bool {
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
    fn used_share(&self) -> f64 {
        if let Some(max) = self.s.trials_max {
            return f64::from(self.trials_started) / f64::from(max.max(1));
        }
        let Some(end) = self.s.pace.search_end_s(&self.s.measured) else { return 0.0 };
        (self.s.record.elapsed_s() - self.search_started_s) / (end - self.search_started_s).max(1e-3)
    }

    /// Asks the tuner of the solution that seems to pay best for a new configuration.
    fn next_tuned(&mut self) -> Result<bool, RunError> {
        loop {
            let spending = Spending {
                families: self.families(),
                noise: self.noise(),
                seconds_left: self.seconds_left().unwrap_or(f64::INFINITY) * self.s.pace.jobs as f64,
            };
            let Some(chosen) = allocate(&spending) else { return Ok(false) };
            let found = self.tuners.iter_mut().find(|(_, tuner)| tuner.solution == chosen.solution);
            let Some((step, tuner)) = found else { return Ok(false) };
            let step = step.clone();
            match tuner.search.ask() {
                Some(params) if !self.s.board.knows(&chosen.solution, &params) => {
                    self.admit(&step, &chosen.solution, params, Origin::Search)?;
                    return Ok(true);
                }
                Some(params) => tuner.search.skip(&params),
                None => {
                    tuner.exhausted = true;
                    self.finish_step(&step, Vec::new())?;
                }
            }
        }
    }

    /// Standard error of a score, estimated from the spread of the best candidate's fold scores.
    fn noise(&self) -> f64 {
        let ranking = self.s.board.ranking(self.s.scoring.direction());
        let Some(best) = ranking.first() else { return 0.0 };
        let gains: Vec<f64> = best
            .held
            .keys()
            .filter_map(|fold| self.fold_scores.get(&(best.candidate.id, fold.clone())).copied())
            .collect();
        if gains.len() < 2 {
            return 0.0;
        }
        let mean = gains.iter().sum::<f64>() / gains.len() as f64;
        let variance = gains.iter().map(|gain| (gain - mean).powi(2)).sum::<f64>() / (gains.len() - 1) as f64;
        (variance / gains.len() as f64).sqrt()
    }

    fn families(&self) -> Vec<Family> {
        self.tuners
            .iter()
            .filter(|(step, _)| self.states.get(*step) == Some(&StepState::Running))
            .map(|(_, tuner)| self.family(tuner))
            .collect()
    }

    fn family(&self, tuner: &Tuner) -> Family {
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

    fn start_trial(&mut self, id: CandidateId, fold: Fold) -> Result<(), RunError> {
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
        let left = self.seconds_left().map_or(TRIAL_SECONDS_MAX, |left| left + 1.0);
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

    // ---- What came back.

    fn take(&mut self, ended: Ended<Job>) -> Result<(), RunError> {
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
        }
        Ok(())
    }

    fn replace_worker(&mut self, message: &str) -> Result<(), RunError> {
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

    fn take_check(
        &mut self,
        step: &StepId,
        solution: &str,
        result: Result<TrialOutput, TrialFailure>,
    ) -> Result<(), RunError> {
        let (passed, evidence) = match result {
            Ok(output) => {
                self.s.record.count_cpu(output.cpu_s);
                match output.row_by_row {
                    Some(true) => (true, "features of single rows equal those of all rows".to_owned()),
                    Some(false) => (false, "features of a row depend on the other rows".to_owned()),
                    None => (false, "the check gave no answer".to_owned()),
                }
            }
            Err(failure) if failure.kind == FailureKind::Cancelled => return Ok(()),
            Err(failure) => (false, failure.message),
        };
        self.s.record.check(Stage::Code, format!("features of {solution}"), passed, evidence.clone())?;
        if !passed {
            self.refused.insert(solution.to_owned());
            self.s.record.warn(format!("solution {solution} is not used: {evidence}"))?;
            for due in self.proposals.values_mut() {
                due.retain(|proposal| proposal.solution != solution);
            }
        }
        let _ = step;
        Ok(())
    }

    fn take_space(
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
        let seed = self.s.seed.derive(&format!("tune {solution}"));
        let mut search = Searcher::new(space, Params::new(), seed);
        let known: Vec<(CandidateId, Params)> = self
            .s
            .board
            .entries
            .values()
            .filter(|entry| entry.candidate.solution.name() == solution)
            .map(|entry| (entry.candidate.id, entry.candidate.params.clone()))
            .collect();
        for (id, params) in known {
            let gain = self.search_gain(id);
            search.tell(&params, gain);
        }
        self.tuners.insert(step.clone(), Tuner { solution, search, exhausted: false });
        Ok(())
    }

    fn fail(
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
        if let Some(entry) = self.s.board.entries.get_mut(&candidate) {
            entry.failures.insert(fold, failure.message);
        }
        self.consider(candidate)
    }

    fn keep(
        &mut self,
        trial: TrialId,
        candidate: CandidateId,
        fold: Fold,
        output: TrialOutput,
    ) -> Result<(), RunError> {
        self.s.record.count_cpu(output.cpu_s);
        let validation = self.s.board.rows.validation(&fold).len();
        let (stages, test) = split_rows(output.stages, validation);
        if stages.is_empty() || stages.iter().any(|stage| stage.rows() != validation) {
            let message = format!("predictions do not have {validation} rows");
            let kind = FailureKind::Predictions;
            let failure = TrialFailure { kind, message, cpu_s: output.cpu_s, worker_lost: false };
            return self.fail(trial, candidate, fold, failure);
        }
        let predictions = self.s.record.blob(&encode(&stages, &output.stage_values))?;
        let model = output.model.as_deref().map(|bytes| self.s.record.blob(bytes)).transpose()?;
        let truth = self.s.board.truth_of(self.s.board.rows.validation(&fold));
        let score = self.s.scoring.best_over_stages(&truth, &stages);
        if let Some(score) = score {
            self.fold_scores.insert((candidate, fold.clone()), self.s.scoring.gain(score));
        }
        let event = Event::TrialFinished {
            trial,
            candidate,
            fold: fold.clone(),
            predictions: predictions.clone(),
            model: model.clone(),
            score,
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
    fn score(&mut self, id: CandidateId) -> Result<(), RunError> {
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
            self.tell(id, None);
            return Ok(());
        };
        let Some((stage, score)) = self.s.scoring.best_stage(self.s.board.open_truth(), &stages) else {
            self.s.board.close(id, State::Failed("the metric is undefined on its predictions".into()));
            self.tell(id, None);
            return Ok(());
        };
        let entry = self.s.board.entries.get(&id);
        let inputs = entry.map(|e| e.held.values().map(|held| held.predictions.clone()).collect()).unwrap_or_default();
        let seconds = entry.map_or(0.0, crate::board::Entry::cpu_s);
        let event = Event::CandidateScored { candidate: id, score, stage: stage as u32, seconds, inputs };
        self.s.record.write(event)?;
        let oof = stages.into_iter().nth(stage).unwrap_or_else(|| Matrix::filled(0, 0, 0.0));
        let staged = values.len() > 1;
        let counted = staged && values.iter().all(|value| value.fract() == 0.0);
        let stage_value = values.get(stage).copied().unwrap_or(0.0);
        self.s.board.settle(id, Scored { score, stage, stage_value, staged, counted }, oof);
        let gain = self.search_gain(id);
        self.tell(id, gain);
        let is_baseline = self.s.board.entries.get(&id).is_some_and(|entry| entry.candidate.origin == Origin::Baseline);
        if is_baseline {
            (self.s.early)(self.s.board, self.s.record)?;
        }
        self.challenge(id, score)?;
        self.measure();
        self.prune()
    }

    /// The gain by which the search is steered; remembered, since predictions of the also-rans are let go.
    fn search_gain(&mut self, id: CandidateId) -> Option<f64> {
        if let Some(gain) = self.search_gains.get(&id) {
            return Some(*gain);
        }
        let oof = self.s.board.entries.get(&id)?.oof.as_ref()?;
        let gain = self.s.scoring.search_gain(self.s.board.open_truth(), oof)?;
        self.search_gains.insert(id, gain);
        Some(gain)
    }

    fn tell(&mut self, id: CandidateId, gain: Option<f64>) {
        let Some(entry) = self.s.board.entries.get(&id) else { return };
        let solution = entry.candidate.solution.name();
        for tuner in self.tuners.values_mut().filter(|tuner| tuner.solution == solution) {
            tuner.search.tell(&entry.candidate.params, gain);
        }
    }

    /// The incumbent changes when the challenger is probably better.
    fn challenge(&mut self, id: CandidateId, score: f64) -> Result<(), RunError> {
        let p_better = match self.incumbent.and_then(|incumbent| self.s.board.entries.get(&incumbent)) {
            None => 1.0,
            Some(incumbent) => {
                let ahead = incumbent
                    .score()
                    .is_some_and(|old| self.s.scoring.direction().better(score, old.score));
                if !ahead {
                    return Ok(());
                }
                let (Some(new), Some(old)) =
                    (self.s.board.entries.get(&id).and_then(|entry| entry.oof.as_ref()), incumbent.oof.as_ref())
                else {
                    return Ok(());
                };
                self.s.scoring.p_better(self.s.board.open_truth(), new, old)
            }
        };
        if p_better > 0.6 {
            self.incumbent = Some(id);
            self.history.push((self.s.record.elapsed_s(), score));
            self.s.record.write(Event::IncumbentChanged { candidate: id, score, p_better })?;
        }
        Ok(())
    }

    /// Brings the estimate of the finalising time up to date: the members would be the best of each solution.
    fn measure(&mut self) {
        let mut seen: BTreeSet<&str> = BTreeSet::new();
        let growth = self.s.board.truth.len() as f64
            / (self.s.board.rows.open.len() as f64 * 0.8 * f64::from(self.s.rows_permille) / 1000.0).max(1.0);
        let mut refit_s = 0.0;
        let mut longest = 0.0_f64;
        let mut members = 0.0;
        for entry in self.s.board.ranking(self.s.scoring.direction()) {
            if members >= MEMBERS_EXPECTED || !seen.insert(entry.candidate.solution.name()) {
                continue;
            }
            let wall = entry.trial_wall_s().unwrap_or(0.0) * growth;
            refit_s += wall * MEMBERS_PER_SOLUTION;
            longest = longest.max(wall);
            members += 1.0;
        }
        self.s.measured.refit_s = refit_s;
        self.s.measured.refit_longest_s = longest;
        let folds = self.s.board.rows.folds.first().map_or(1, Vec::len) as f64;
        self.s.measured.predict_s = members * MEMBERS_PER_SOLUTION * folds * PREDICT_SECONDS;
    }

    /// Keeps memory and disk bounded: only the best candidates keep predictions and models.
    fn prune(&mut self) -> Result<(), RunError> {
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

fn searching(kind: StepKind) -> bool {
    matches!(kind, StepKind::Profile | StepKind::Features | StepKind::Model | StepKind::Tune)
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

/// Predictions of a trial as one blob: a `.npy` matrix whose first column names the stage's value, row by row.
pub fn encode(stages: &[Matrix], values: &[f64]) -> Vec<u8> {
    let columns = stages.first().map_or(0, Matrix::columns) + 1;
    let rows: usize = stages.iter().map(Matrix::rows).sum();
    let mut data = Vec::with_capacity(rows * columns);
    for (stage, value) in stages.iter().zip(values) {
        for row in 0..stage.rows() {
            data.push(*value);
            data.extend_from_slice(stage.row(row));
        }
    }
    Matrix::new(rows, columns, data).map(|matrix| npy::write_matrix(&matrix)).unwrap_or_default()
}

/// The inverse of [`encode`]; `rows` is the number of rows of one stage.
pub fn decode(bytes: &[u8], rows: usize) -> Option<(Vec<Matrix>, Vec<f64>)> {
    let all = npy::read(bytes, usize::MAX / 16).ok()?.into_matrix().ok()?;
    if rows == 0 || all.rows() % rows != 0 || all.columns() < 2 {
        return None;
    }
    let mut stages = Vec::new();
    let mut values = Vec::new();
    for stage in 0..all.rows() / rows {
        values.push(all.row(stage * rows)[0]);
        let data = (stage * rows..(stage + 1) * rows).flat_map(|row| all.row(row)[1..].to_vec()).collect();
        stages.push(Matrix::new(rows, all.columns() - 1, data)?);
    }
    Some((stages, values))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn predictions_survive_the_blob() {
        let stages = vec![Matrix::filled(3, 2, 0.25), Matrix::filled(3, 2, 0.5)];
        let (back, values) = decode(&encode(&stages, &[50.0, 100.0]), 3).unwrap();
        assert_eq!((back, values), (stages, vec![50.0, 100.0]));
        assert!(decode(b"nonsense", 3).is_none());
    }

    #[test]
    fn test_rows_are_cut_off_behind_the_validation_rows() {
        let stage = Matrix::new(3, 1, vec![1.0, 2.0, 9.0]).unwrap();
        let (validation, test) = split_rows(vec![stage], 2);
        assert_eq!(validation[0].data(), [1.0, 2.0]);
        assert_eq!(test[0].data(), [9.0]);
    }
}
