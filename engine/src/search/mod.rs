//! The dispatcher: carries out the searching part of a plan (profile, features, model and tune steps).
//!
//! One loop owns all state. Trials run in the pool; their ends, the clock and the user's stop come in through one
//! `select!`. Every decision is journalled before its effect.

mod advice;
mod asking;
mod concluding;
mod drafts;
mod dropping;
mod ideas;
mod joined;
mod next;
mod refining;
mod replanning;
mod returned;
mod standing;
mod steering;
mod steps;
mod tuning;

pub use ideas::{Ideas, Known};
pub use steering::restore_steering;

use crate::board::{Board, State};
use crate::control::Control;
use crate::error::RunError;
use crate::observer::Note;
use crate::pace::{Measured, Pace};
use crate::pool::Pool;
use crate::record::Record;
use crate::remember::WarmStart;
use crate::scoring::Scoring;
use ansatz_agents::playbook::{self, Proposal};
use ansatz_agents::search::Method;
use ansatz_core::event::{FailureKind, Fold};
use ansatz_core::ids::{CandidateId, StepId, TrialId};
use ansatz_core::profile::Profile;
use ansatz_core::seed::Seed;
use ansatz_core::task::Task;
use ansatz_planner::Plan;
use ansatz_tuner::transfer::Past;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;
use tuning::Tuner;

/// How often totals are journalled and limits are looked at.
const TICK: Duration = Duration::from_secs(1);

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
    /// The same, for a language model that is to know the space.
    Menu(String),
}

/// What the dispatcher works on.
pub struct Search<'a> {
    /// The task.
    pub task: &'a Task,
    /// The data card.
    pub profile: &'a Profile,
    /// The plan; it grows when a language model has ideas.
    pub plan: Plan,
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
    /// Seconds that the run was given in all, where time alone limits it.
    pub seconds: Option<u64>,
    /// The run's seed.
    pub seed: Seed,
    /// Columns that solutions do not get.
    pub drop: Vec<String>,
    /// All columns that solutions could get.
    pub columns: BTreeSet<String>,
    /// Whether some of them come from further tables.
    pub has_joins: bool,
    /// What the user wanted otherwise, in this life of the run and in earlier ones.
    pub steered: Steered,
    /// Share of the training rows that trials use, in thousandths.
    pub rows_permille: u32,
    /// Rows of the test file; predicted by the baseline so that there is a submission early.
    pub test_rows: Vec<usize>,
    /// Remembered configurations.
    pub warm: Vec<WarmStart>,
    /// What was tried on like tasks, by solution.
    pub pasts: BTreeMap<String, Vec<Past>>,
    /// Where configurations come from.
    pub method: Method,
    /// Measured times.
    pub measured: Measured,
    /// The user's stop.
    pub stop: &'a Control,
    /// Called when the baseline is in: writes an early submission.
    pub early: &'a mut dyn FnMut(&Board, &mut Record) -> Result<(), RunError>,
    /// Called when the plan changed: journals and writes it.
    pub adopt: &'a mut dyn FnMut(&Plan, &mut Record) -> Result<(), RunError>,
    /// The language model's ideas, where there is one.
    pub ideas: Option<Ideas>,
    /// Makes a new worker when one was lost.
    pub new_worker: &'a mut dyn FnMut() -> Result<std::sync::Arc<crate::worker::Worker>, RunError>,
}

/// What the user's steering came to.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Steered {
    /// Columns that were taken away.
    pub columns: Vec<String>,
    /// Solutions that are left out.
    pub without: BTreeSet<String>,
    /// Whether a single model is to be delivered.
    pub is_single: bool,
    /// Seconds that were added.
    pub seconds: f64,
    /// Whether what there was, was to be delivered.
    pub is_over: bool,
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

struct Dispatcher<'a, 'b> {
    s: &'b mut Search<'a>,
    pool: &'b mut Pool<Job>,
    states: BTreeMap<StepId, StepState>,
    lost: BTreeMap<StepId, String>,
    queue: VecDeque<(CandidateId, Fold)>,
    in_flight: BTreeMap<TrialId, (CandidateId, Fold)>,
    ideas: Option<Ideas>,
    /// Candidates that are trained again under other conditions.
    again: VecDeque<(StepId, Proposal)>,
    /// Sources of generated solutions by name.
    sources: BTreeMap<String, String>,
    /// Revisions that wait for their check, by name.
    revisions_due: BTreeMap<String, (StepId, Proposal)>,
    proposals: BTreeMap<StepId, VecDeque<Proposal>>,
    checks_due: BTreeMap<StepId, BTreeSet<String>>,
    checks_running: BTreeSet<StepId>,
    spaces_asked: BTreeSet<StepId>,
    refused: BTreeSet<String>,
    questions: u32,
    /// Scores on single folds by the metric itself, larger being better: for people.
    fold_scores: BTreeMap<(CandidateId, Fold), f64>,
    /// What the search compares of single folds, larger being better.
    fold_gains: BTreeMap<(CandidateId, Fold), f64>,
    /// How folds failed.
    failure_kinds: BTreeMap<(CandidateId, Fold), FailureKind>,
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

/// Outcome of the search: what was lost, why it ended, and the history of the incumbent's score.
pub struct Searched {
    /// Why steps were lost or skipped.
    pub lost: BTreeMap<StepId, String>,
    /// Why it ended.
    pub end: SearchEnd,
    /// (seconds, best score) whenever the best changed.
    pub history: Vec<(f64, f64)>,
    /// The plan as it was in the end.
    pub plan: Plan,
    /// What the user's steering came to.
    pub steered: Steered,
    /// The language model and its ideas.
    pub ideas: Option<Ideas>,
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
    /// What the search compares of single folds, larger being better.
    pub fold_gains: BTreeMap<(CandidateId, Fold), f64>,
    /// What the user wanted otherwise.
    pub steered: Steered,
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
    let ideas = search.ideas.take();
    // Who wanted what there was in an earlier life of the run wants it still.
    let end = search.steered.is_over.then(|| SearchEnd::Exhausted("you asked for what there is".into()));
    let refused = search.steered.without.clone();
    let mut dispatcher = Dispatcher {
        ideas,
        again: VecDeque::new(),
        sources: BTreeMap::new(),
        revisions_due: BTreeMap::new(),
        s: search,
        pool,
        states,
        lost: BTreeMap::new(),
        queue: VecDeque::new(),
        in_flight: BTreeMap::new(),
        proposals: BTreeMap::new(),
        checks_due: BTreeMap::new(),
        checks_running: BTreeSet::new(),
        spaces_asked: BTreeSet::new(),
        refused,
        questions: 0,
        fold_scores: progress.fold_scores,
        fold_gains: progress.fold_gains,
        failure_kinds: BTreeMap::new(),
        search_gains: BTreeMap::new(),
        tuners: BTreeMap::new(),
        next_trial: progress.next_trial,
        trials_started: progress.trials_started,
        workers_lost: 0,
        repeat_done: 0,
        incumbent: None,
        end,
        history: Vec::new(),
        search_started_s,
    };
    for score in dispatcher.fold_scores.values_mut() {
        *score = dispatcher.s.scoring.gain(*score);
    }
    dispatcher.recall_sources();
    dispatcher.adopt_board()?;
    dispatcher.get_acquainted()?;
    dispatcher.run().await?;
    let end = dispatcher.end.clone().unwrap_or(SearchEnd::BudgetUsed);
    let Dispatcher { s: search, lost, history, mut ideas, .. } = dispatcher;
    if let Some(ideas) = &mut ideas {
        if let Some(silence) = ideas.council.silence() {
            search.record.warn(silence)?;
        }
        ideas.council.dismiss();
    }
    let (plan, steered) = (search.plan.clone(), search.steered.clone());
    Ok(Searched { lost, end, history, plan, steered, ideas })
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
            if self.pool.running() == 0 && !self.is_thinking() {
                if self.end.is_none() {
                    self.end = Some(self.why_nothing_is_left());
                }
                break;
            }
            let until_end =
                self.seconds_left().map_or(TICK, |left| Duration::from_secs_f64(left.clamp(0.0, 1.0)));
            let is_thinking = self.is_thinking();
            tokio::select! {
                ended = self.pool.ended() => self.take(ended)?,
                news = Self::news(&mut self.ideas), if is_thinking => self.hear(news)?,
                _ = tick.tick() => self.s.record.tick()?,
                () = tokio::time::sleep(until_end), if self.end.is_none() => {}
                () = stop.wished(), if self.end.is_none() => self.finish_early(SearchEnd::Stopped),
                () = stop.steered(), if self.end.is_none() => self.heed()?,
            }
            self.hear_of_the_cluster()?;
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

    /// Without its cluster a run ends with what it has, if it has something.
    fn hear_of_the_cluster(&mut self) -> Result<(), RunError> {
        for warning in self.pool.take_warnings() {
            self.s.record.warn(warning)?;
        }
        let Some(error) = self.pool.trouble().filter(|_| self.end.is_none()) else { return Ok(()) };
        if self.s.board.ranking(self.s.scoring.direction()).is_empty() {
            self.pool.stop();
            return Err(error);
        }
        self.s.record.warn(format!("{error}; the run ends with what it has, on this machine"))?;
        self.finish_early(SearchEnd::Exhausted(format!("the cluster was lost: {error}")));
        Ok(())
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

    /// Nothing is left when every search has offered all it has; otherwise what is left did not fit into the budget.
    fn why_nothing_is_left(&self) -> SearchEnd {
        let exhausted = !self.tuners.is_empty() && self.tuners.values().all(|tuner| tuner.exhausted);
        if exhausted && self.trials_left() {
            SearchEnd::Exhausted("every configuration worth trying was tried".into())
        } else {
            SearchEnd::BudgetUsed
        }
    }

    /// A language model is to know the spaces of the built-in solutions that fit the data.
    fn get_acquainted(&mut self) -> Result<(), RunError> {
        let Some(ideas) = &mut self.ideas else { return Ok(()) };
        for note in ideas.council.take_notes() {
            self.s.record.warn(note)?;
        }
        ideas.recall(&self.s.plan);
        ideas.wants_spaces_of(playbook::solutions(self.s.task, self.s.profile, self.s.seconds));
        let scored = self.s.board.entries.values().filter(|entry| entry.score().is_some());
        for id in scored.map(|entry| entry.candidate.id).collect::<Vec<_>>() {
            self.welcome(id);
        }
        Ok(())
    }

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
        self.incumbent =
            self.s.board.ranking(self.s.scoring.direction()).first().map(|entry| entry.candidate.id);
        Ok(())
    }
}
