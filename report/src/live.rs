//! What a run looks like right now: a fold over its events, for a page or a terminal to show.

use crate::headline::is_leak;
use ansatz_core::budget::{Budget, Spent};
use ansatz_core::candidate::Origin;
use ansatz_core::event::Event;
use ansatz_core::ids::{CandidateId, StepId};
use ansatz_core::outcome::{DroppedColumn, RunResult};
use ansatz_core::source::Provenance;
use ansatz_core::steer::Steer;
use ansatz_core::task::Task;
use ansatz_core::verdict::Verdict;
use std::collections::BTreeMap;
use std::time::Duration;

/// Warnings and verdicts kept for showing; a run that has more of them is not read to the end anyway.
const KEPT_MAX: usize = 500;

/// What the run is busy with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Phase {
    /// Nothing has happened yet.
    #[default]
    Starting,
    /// The files are read and the task is worked out.
    Understanding,
    /// Candidates are tried.
    Searching,
    /// Candidates are combined.
    Combining,
    /// The seal is open: the choice is judged and packed.
    Finalising,
    /// Over.
    Finished,
}

impl Phase {
    /// In a word or two.
    pub fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Understanding => "reading the data",
            Self::Searching => "searching",
            Self::Combining => "combining",
            Self::Finalising => "judging and packing",
            Self::Finished => "finished",
        }
    }
}

/// How a step of the plan stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StepState {
    /// Its turn has not come.
    Waiting,
    /// Under way.
    Running,
    /// Done.
    Finished,
    /// It failed, with the reason.
    Failed(String),
    /// It was not run, with the reason.
    Skipped(String),
}

/// What is known of a candidate.
#[derive(Debug, Clone, PartialEq)]
pub struct CandidateLine {
    /// Number and solution, e.g. `c7 lightgbm`.
    pub name: String,
    /// Who had the idea.
    pub origin: Origin,
    /// Score over the out-of-fold predictions, once all folds are in.
    pub score: Option<f64>,
    /// Processor seconds spent on it.
    pub seconds: f64,
}

/// What a run looks like after the events so far.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Live {
    /// The run's id.
    pub run: String,
    /// Seconds since 1970 at the start.
    pub started_at: u64,
    /// Its limits.
    pub budget: Budget,
    /// Its seed.
    pub seed: u64,
    /// The options that it was started with.
    pub options: serde_json::Value,
    /// What it is busy with.
    pub phase: Phase,
    /// Where the data came from, when they were fetched.
    pub sources: Vec<Provenance>,
    /// The task, once known.
    pub task: Option<Task>,
    /// Sealed rows and how they were sealed.
    pub sealed: Option<(u64, String)>,
    /// Columns that are not used.
    pub dropped: Vec<DroppedColumn>,
    /// Steps of the plan in order.
    pub steps: Vec<(StepId, StepState)>,
    /// Candidates by number.
    pub candidates: BTreeMap<CandidateId, CandidateLine>,
    /// Who leads, with what score.
    pub incumbent: Option<(CandidateId, f64)>,
    /// The leading score over time: (seconds since the start, score).
    pub history: Vec<(f64, f64)>,
    /// When a trained model first had a valid score, in seconds since the start, to the last tick.
    pub first_valid_s: Option<f64>,
    /// Members and weights of the ensemble, and its score.
    pub ensemble: Option<(Vec<(CandidateId, f64)>, f64)>,
    /// Trials that were started.
    pub trials_started: u32,
    /// Trials that gave predictions.
    pub trials_finished: u32,
    /// Trials that gave none.
    pub trials_failed: u32,
    /// What was checked.
    pub verdicts: Vec<Verdict>,
    /// What the user should know.
    pub warnings: Vec<String>,
    /// The running totals of the last tick.
    pub spent: Spent,
    /// Whether the user has asked to finish.
    pub cancelled: bool,
    /// The result, once there is one.
    pub result: Option<Box<RunResult>>,
}

impl Live {
    /// The state after all of these events.
    pub fn after<'a>(events: impl IntoIterator<Item = &'a Event>) -> Self {
        let mut live = Self::default();
        events.into_iter().for_each(|event| live.take(event));
        live
    }

    /// Whether larger scores are better; true while the task is unknown.
    pub fn higher_is_better(&self) -> bool {
        use ansatz_core::metric::Direction;
        self.task.as_ref().is_none_or(|task| task.metric.direction == Direction::Maximize)
    }

    /// Trials that have started and not ended. After a crash this counts those that were lost with it until the run ends.
    pub fn trials_running(&self) -> u32 {
        self.trials_started.saturating_sub(self.trials_finished + self.trials_failed)
    }

    /// Columns that were dropped because they give the answer away.
    pub fn leaks(&self) -> impl Iterator<Item = &DroppedColumn> {
        self.dropped.iter().filter(|column| is_leak(column))
    }

    /// Candidates with a score, best first.
    pub fn ranking(&self) -> Vec<&CandidateLine> {
        let mut lines: Vec<(&CandidateLine, f64)> =
            self.candidates.values().filter_map(|line| Some((line, line.score?))).collect();
        let sign = if self.higher_is_better() { -1.0 } else { 1.0 };
        lines.sort_by(|a, b| (sign * a.1).total_cmp(&(sign * b.1)));
        lines.into_iter().map(|(line, _)| line).collect()
    }

    /// Takes up the next event.
    pub fn take(&mut self, event: &Event) {
        match event {
            Event::RunStarted { run, options, budget, seed, at, .. } => {
                self.run = run.to_string();
                self.options = options.clone();
                self.budget = budget.clone();
                self.seed = seed.0;
                self.started_at = *at;
                self.phase = Phase::Understanding;
            }
            Event::Budgeted { budget } => self.budget = budget.clone(),
            Event::Steered { steer: Steer::Time { seconds }, accepted: true, .. } => self.allow(*seconds),
            Event::Resumed { .. } => self.forget_running(),
            Event::Fetched { provenance } => {
                // A resumed run looks again.
                self.sources.retain(|known| known.address != provenance.address);
                self.sources.push((**provenance).clone());
            }
            Event::Understood { task, .. } => self.task = Some((**task).clone()),
            Event::Sealed { rows, method, .. } => self.sealed = Some((*rows, method.clone())),
            Event::ColumnDropped { dropped } => self.dropped.push(dropped.clone()),
            Event::PlanAdopted { steps, .. } => {
                self.steps = steps.iter().map(|step| (step.clone(), StepState::Waiting)).collect();
                self.phase = Phase::Searching;
            }
            Event::StepStarted { step } => self.set_step(step, StepState::Running),
            Event::StepFinished { step, .. } => self.set_step(step, StepState::Finished),
            Event::StepFailed { step, error } => self.set_step(step, StepState::Failed(error.clone())),
            Event::StepSkipped { step, reason } => self.set_step(step, StepState::Skipped(reason.clone())),
            Event::SealOpened { .. } => self.phase = Phase::Finalising,
            Event::Checked { verdict } if self.verdicts.len() < KEPT_MAX => {
                self.verdicts.push(verdict.clone());
            }
            Event::Warned { message } if self.warnings.len() < KEPT_MAX => {
                self.warnings.push(message.clone());
            }
            Event::Checked { .. }
            | Event::Warned { .. }
            | Event::Profiled { .. }
            | Event::ModelAsked { .. }
            | Event::Retrieved { .. }
            | Event::ModelAnswered { .. }
            | Event::Steered { .. } => {}
            Event::Ticked { spent } => self.spent = spent.clone(),
            Event::CancelRequested => self.cancelled = true,
            Event::Finished { result } => {
                self.phase = Phase::Finished;
                self.first_valid_s = result.budget.first_valid_s.or(self.first_valid_s);
                self.result = Some(result.clone());
            }
            Event::CandidateProposed { .. }
            | Event::TrialStarted { .. }
            | Event::TrialFinished { .. }
            | Event::TrialFailed { .. }
            | Event::CandidateScored { .. }
            | Event::IncumbentChanged { .. }
            | Event::EnsembleBuilt { .. } => self.take_search(event),
        }
    }

    fn take_search(&mut self, event: &Event) {
        match event {
            Event::CandidateProposed { candidate, .. } => {
                let line = CandidateLine {
                    name: format!("{} {}", candidate.id, candidate.solution.name()),
                    origin: candidate.origin,
                    score: None,
                    seconds: 0.0,
                };
                self.candidates.insert(candidate.id, line);
            }
            Event::TrialStarted { .. } => self.trials_started += 1,
            Event::TrialFinished { .. } => self.trials_finished += 1,
            Event::TrialFailed { .. } => self.trials_failed += 1,
            Event::CandidateScored { candidate, score, seconds, .. } => {
                if let Some(line) = self.candidates.get_mut(candidate) {
                    line.score = Some(*score);
                    line.seconds = *seconds;
                }
                self.first_valid_s.get_or_insert(self.spent.wall_s);
            }
            Event::IncumbentChanged { candidate, score, .. } => self.lead(*candidate, *score),
            Event::EnsembleBuilt { members, score, .. } => {
                self.phase = Phase::Combining;
                self.ensemble = Some((members.clone(), *score));
                self.history.push((self.spent.wall_s, *score));
            }
            _ => {}
        }
    }

    /// Time was granted, or taken away.
    fn allow(&mut self, seconds: f64) {
        let wall = self.budget.wall.map(|wall| (wall.as_secs_f64() + seconds).max(0.0));
        let wall = wall.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        self.budget.wall = wall.or(self.budget.wall);
    }

    fn lead(&mut self, candidate: CandidateId, score: f64) {
        self.incumbent = Some((candidate, score));
        self.history.push((self.spent.wall_s, score));
    }

    /// Trials and steps that were under way when a process died are not any more.
    fn forget_running(&mut self) {
        self.trials_started = self.trials_finished + self.trials_failed;
        for (_, state) in &mut self.steps {
            if *state == StepState::Running {
                *state = StepState::Waiting;
            }
        }
    }

    fn set_step(&mut self, step: &StepId, state: StepState) {
        if let Some(entry) = self.steps.iter_mut().find(|(id, _)| id == step) {
            entry.1 = state;
        }
    }
}
