//! One task: where it stands, what is said to it, and what a caller sees of it.
//!
//! A task waits, asks, wants a yes, runs or is over ([`Doing`]). What decides this is written down first ([`Kept`]); what only
//! the run can tell is taken over whenever somebody looks ([`Task::catch_up`]).

use crate::board::TaskMaker;
use crate::kept::{self, Kept, Stand, Why};
use crate::problem::Problem;
use ansatz_core::event::Event;
use ansatz_core::outcome::{RunResult, RunStatus};
use ansatz_engine::{Options, RunError};
use ansatz_journal::FILE_NAME;
use ansatz_report::{Live, Phase};
use ansatz_session::{Held, Maker, Open, Planned, Reply, Session, Stage, Trouble, Turn, Unplanned, Wanted};
use axum::http::StatusCode;
use serde_json::{Value, json};
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// The file that whoever writes a journal has locked.
const LOCK: &str = "journal.lock";
/// What is asked of a caller who wants to say yes first.
const SHALL_IT_BEGIN: &str = "shall it begin? (approve it, or say what should be otherwise)";

/// A task that several look at.
pub type Shared = Arc<Mutex<Task>>;

/// What a task does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doing {
    /// It waits for a place.
    Waits,
    /// It has to know something before it can begin.
    Asks,
    /// Its plan wants a yes.
    NeedsYes,
    /// Its run goes on.
    Runs,
    /// Nothing more will happen, or only elsewhere.
    Over,
}

/// What those who follow a task have to know of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glimpse {
    /// Events of earlier lives of its run.
    pub events_before: u64,
    /// How it stands.
    pub status: &'static str,
    /// Whether nothing more will happen.
    pub is_over: bool,
    /// Whether its run goes on in this process.
    pub is_running: bool,
    /// What has to be known before it can begin.
    pub question: Option<String>,
}

/// A task.
pub struct Task {
    /// Its id, which is that of its run.
    pub id: String,
    /// Its run's folder.
    pub folder: PathBuf,
    /// Where its file lies until its run has begun for good.
    beside: PathBuf,
    /// The conversation about it.
    session: Session,
    /// What its file tells; `None` for a run that was begun elsewhere.
    kept: Option<Kept>,
    /// Whether a run of it was begun here whose end was not seen yet.
    has_started: bool,
    /// The plan that wants a yes.
    plan: Option<Planned>,
    /// Why there is no plan.
    unplanned: Option<Why>,
    /// Whether the plan that is being made is of options that have changed since.
    is_stale: bool,
    /// What the conversation said.
    said: Vec<Value>,
}

impl From<Trouble> for Why {
    fn from(trouble: Trouble) -> Self {
        Self { detail: trouble.message, hint: trouble.hint }
    }
}

impl From<RunError> for Why {
    fn from(error: RunError) -> Self {
        Trouble::from(error).into()
    }
}

fn conflict(detail: &str) -> Problem {
    Problem::new(StatusCode::CONFLICT, "state", detail)
}

impl Task {
    /// A task with what its file tells, or a run that was begun elsewhere.
    pub fn new(id: String, folder: PathBuf, runs: &Path, kept: Option<Kept>, maker: Arc<dyn Maker>) -> Self {
        Self {
            beside: kept::beside(runs, &id),
            id,
            folder,
            session: Session::new(maker),
            kept,
            has_started: false,
            plan: None,
            unplanned: None,
            is_stale: false,
            said: Vec::new(),
        }
    }

    /// A task that a server which ended left behind, with its file beside the runs.
    pub fn left(id: String, runs: &Path, mut kept: Kept, maker: Arc<dyn Maker>) -> Self {
        let folder = kept.options.out.clone();
        let live = of_folder(&folder);
        let refused = live.result.as_ref().filter(|result| result.status == RunStatus::Failed);
        let is_open = kept.question.is_some() || kept.is_cancelled;
        if kept.stand == Stand::Queued && refused.is_some() && !is_open {
            // It may have asked something that nobody wrote down: it asks again.
            kept.events_before += events_in(&folder);
            let _ = std::fs::remove_dir_all(&folder);
        } else if kept.stand == Stand::Queued && live.result.is_some() && refused.is_none() {
            kept.stand = Stand::Begun;
        }
        let mut task = Self::new(id, folder, runs, None, maker);
        task.note(kept);
        task
    }

    /// What it does.
    pub fn doing(&self) -> Doing {
        if self.session.stage() == Stage::Running {
            return Doing::Runs;
        }
        match &self.kept {
            None => Doing::Over,
            Some(kept) if kept.is_cancelled => Doing::Over,
            Some(kept) if kept.question.is_some() => Doing::Asks,
            Some(kept) => match kept.stand {
                Stand::Queued if self.has_started => Doing::Over,
                Stand::Queued | Stand::GoesOn => Doing::Waits,
                Stand::NeedsYes => Doing::NeedsYes,
                Stand::Begun => Doing::Over,
            },
        }
    }

    /// The caller's own name for the request that it came of, what was asked with it, and when.
    pub fn key(&self) -> Option<(kept::Key, u64)> {
        let kept = self.kept.as_ref()?;
        Some((kept.key.clone()?, kept.at))
    }

    /// Whether its plan has still to be made.
    pub fn wants_plan(&self) -> bool {
        let has_none = self.plan.is_none() && self.unplanned.is_none() && !self.is_rehearsing();
        has_none && self.doing() == Doing::NeedsYes
    }

    /// Whether its plan is being made.
    pub fn is_rehearsing(&self) -> bool {
        self.session.is_rehearsing()
    }

    /// Takes over what has come of its run and of its plan.
    pub fn catch_up(&mut self) {
        while let Some(news) = self.session.news() {
            self.said.push(shown(&news));
        }
        if self.has_started {
            self.look_at_run();
        }
        if let Some(drafted) = self.session.drafted() {
            self.take_plan(drafted);
        }
    }

    fn look_at_run(&mut self) {
        let Some(kept) = &self.kept else { return };
        let is_early = kept.stand == Stand::Queued;
        let open = self.session.question().filter(|_| is_early && !kept.is_cancelled);
        let is_over = self.session.stage() == Stage::Over;
        let is_settled = is_early && self.session.is_settled();
        if !is_over && !is_settled {
            return;
        }
        let mut changed = kept.clone();
        self.has_started = !is_over;
        if let Some(open) = open {
            changed.question = Some(open.into());
        } else {
            changed.stand = Stand::Begun;
            if let Some(Err(error)) = self.session.ended() {
                changed.error = Some(error.into());
            }
        }
        self.note(changed);
    }

    fn take_plan(&mut self, drafted: Result<Planned, Unplanned>) {
        if std::mem::take(&mut self.is_stale) {
            return;
        }
        let wanted = |kept: &Kept| kept.stand == Stand::NeedsYes && !kept.is_cancelled;
        let Some(mut kept) = self.kept.clone().filter(wanted) else { return };
        let is_approved = std::mem::take(&mut kept.is_approved);
        match drafted {
            Ok(plan) => {
                self.said.push(shown(&Reply::Said(plan.told.clone())));
                kept.options.given.clone_from(&plan.given);
                if is_approved {
                    kept.stand = Stand::Queued;
                }
                self.plan = Some(plan);
            }
            Err(Unplanned::Open(open)) => {
                self.said.push(shown(&Reply::Asked(open.question.clone())));
                kept.question = Some(open.into());
            }
            Err(Unplanned::Trouble(trouble)) => {
                self.said.push(shown(&trouble.clone().into()));
                self.unplanned = Some(trouble.into());
            }
        }
        self.note(kept);
    }

    /// Begins its run, or goes on with it.
    pub fn begin(&mut self, maker: &dyn TaskMaker) {
        let Some(mut kept) = self.kept.clone() else { return };
        let said = &mut self.said;
        let mut tell = |reply: Reply| said.push(shown(&reply));
        let begun = if self.folder.join(FILE_NAME).is_file() {
            self.session.go_on(&self.folder, &mut tell)
        } else {
            let keys = maker.keys(&kept.options);
            self.session.begin_with(kept.options.clone(), keys, &mut tell)
        };
        self.has_started = begun.is_ok();
        if let Err(trouble) = begun {
            (kept.stand, kept.error) = (Stand::Begun, Some(trouble.into()));
            self.note(kept);
        } else if kept.stand == Stand::GoesOn {
            kept.stand = Stand::Begun;
            self.note(kept);
        }
    }

    /// Begins to make its plan.
    pub fn rehearse(&mut self, maker: &dyn TaskMaker) {
        let Some(options) = self.kept.as_ref().map(|kept| kept.options.clone()) else { return };
        self.is_stale = false;
        if let Err(trouble) = self.session.rehearse(&options, maker.keys(&options)) {
            self.unplanned = Some(trouble.into());
        }
    }

    /// Says yes to a task that waits for it.
    ///
    /// # Errors
    /// It does not, or it has to know something first.
    pub fn approve(&mut self) -> Result<(), Problem> {
        self.catch_up();
        match (self.doing(), self.kept.clone()) {
            (Doing::NeedsYes, Some(mut kept)) => {
                (kept.stand, kept.is_approved) = (Stand::Queued, false);
                self.keep(kept)
            }
            (Doing::Asks, _) => {
                Err(conflict("this task has to know something first")
                    .hint("answer its question by a message"))
            }
            _ => Err(conflict("this task does not wait for approval")),
        }
    }

    /// Ends a task with what it has; once more changes nothing.
    ///
    /// # Errors
    /// It is over already.
    pub fn cancel(&mut self) -> Result<(), Problem> {
        self.catch_up();
        let is_running = match self.doing() {
            Doing::Over => return Err(conflict("this task is over")),
            doing => doing == Doing::Runs,
        };
        if let Some(mut kept) = self.kept.clone().filter(|kept| !kept.is_cancelled) {
            if kept.stand == Stand::GoesOn {
                // What the run has is kept, as it was before it was to go on.
                kept.stand = Stand::Begun;
            } else {
                kept.is_cancelled = true;
            }
            if is_running {
                // A disk that takes nothing must not keep a run from being stopped.
                self.note(kept);
            } else {
                self.keep(kept)?;
            }
        }
        if let Some(control) = self.session.control().filter(|_| is_running) {
            control.finish();
        }
        Ok(())
    }

    /// Lets a run that goes on finish with what it has, without ending the task for its caller's sake.
    pub fn finish(&self) {
        if let Some(control) = self.session.control() {
            control.finish();
        }
    }

    /// Hears a sentence: what the conversation replies, and the options of another task if one is wanted.
    ///
    /// # Errors
    /// The task was cancelled before it began; or what is wanted cannot be written down.
    pub fn hear(&mut self, text: &str) -> Result<(Vec<Value>, Option<Options>), Problem> {
        self.catch_up();
        let doing = self.doing();
        let has_journal = self.folder.join(FILE_NAME).is_file();
        if doing == Doing::Over {
            let never_began = |kept: &Kept| kept.is_cancelled && kept.stand != Stand::Begun;
            if self.kept.as_ref().is_some_and(never_began) {
                return Err(conflict("this task was cancelled before it began").hint("submit it again"));
            }
            if has_journal && self.session.phase().is_none() {
                // A run of an earlier process: it can be asked about and gone on with.
                self.session.adopt(&self.folder);
            }
        }
        let stand = self.kept.as_ref().map(|kept| kept.stand);
        let open = self.kept.as_ref().and_then(|kept| kept.question.clone()).map(Open::from);
        let turn = match (doing, stand) {
            (Doing::Runs | Doing::Over, _) | (_, Some(Stand::GoesOn)) => Turn::Run,
            (_, Some(Stand::NeedsYes)) => Turn::NeedsYes,
            _ => Turn::Waits,
        };
        let held = Held {
            options: self.kept.as_ref().map(|kept| &kept.options),
            turn,
            open: open.as_ref().filter(|_| doing == Doing::Asks),
            plan: self.plan.as_ref(),
        };
        let mut replies = Vec::new();
        let wanted = self.session.hear(text, &held, &mut |reply| replies.push(shown(&reply)));
        let mut another = None;
        let told = match wanted {
            Wanted::Nothing => None,
            Wanted::Begin => {
                self.approve()?;
                Some("it begins as soon as there is a place")
            }
            Wanted::Changed { options, is_answer, begins } => Some(self.change(*options, is_answer, begins)?),
            Wanted::Another(options) => {
                another = Some(*options);
                None
            }
            Wanted::GoOn => {
                self.go_on()?;
                Some("it goes on as soon as there is a place")
            }
        };
        replies.extend(told.map(|told| shown(&Reply::Said(told.into()))));
        self.said.extend(replies.iter().cloned());
        Ok((replies, another))
    }

    /// Has its run go on when there is a place.
    fn go_on(&mut self) -> Result<(), Problem> {
        let Some(mut kept) = self.kept.clone() else { return Err(conflict("this run was begun elsewhere")) };
        (kept.stand, kept.error, kept.is_cancelled) = (Stand::GoesOn, None, false);
        self.keep(kept)
    }

    /// Has it run with other options; what is said to that.
    fn change(&mut self, options: Options, is_answer: bool, begins: bool) -> Result<&'static str, Problem> {
        let Some(mut kept) = self.kept.clone() else { return Err(conflict("this run was begun elsewhere")) };
        let is_answered = is_answer && kept.question.is_some();
        let needs_yes = kept.stand == Stand::NeedsYes;
        // The run that asked holds nothing but its question. What was told of it keeps its numbers.
        let begins_anew = is_answered && !needs_yes;
        (kept.options, kept.error) = (options, None);
        kept.question = kept.question.filter(|_| !is_answered);
        kept.is_approved = needs_yes && begins && kept.question.is_none();
        if begins_anew {
            kept.events_before += events_in(&self.folder);
        }
        let is_open = kept.question.is_some();
        self.keep(kept)?;
        if begins_anew {
            self.session.let_go();
            if self.folder.exists() {
                std::fs::remove_dir_all(&self.folder).map_err(|error| Problem::broken(&error))?;
            }
        }
        if needs_yes {
            (self.plan, self.unplanned) = (None, None);
            self.is_stale = self.session.is_rehearsing();
        }
        Ok(match (needs_yes, is_answered) {
            _ if is_open => "noted",
            (true, _) => "noted: the plan is made anew",
            (false, true) => "thank you: the task begins as soon as there is a place",
            (false, false) => "noted",
        })
    }

    /// Adds something to what the conversation said.
    pub fn tell(&mut self, said: Value) {
        self.said.push(said);
    }

    /// Everything that the conversation said, what has come since included.
    pub fn heard(&mut self) -> Vec<Value> {
        self.catch_up();
        self.said.clone()
    }

    /// Writes a change down and makes it.
    fn keep(&mut self, changed: Kept) -> Result<(), Problem> {
        self.write(&changed).map_err(|error| Problem::broken(&error))?;
        self.kept = Some(changed);
        Ok(())
    }

    /// Writes down what was seen. A disk that takes nothing harms little: the run's journal tells most of it too.
    fn note(&mut self, changed: Kept) {
        let _ = self.write(&changed);
        self.kept = Some(changed);
    }

    fn write(&self, kept: &Kept) -> std::io::Result<()> {
        let is_begun = matches!(kept.stand, Stand::Begun | Stand::GoesOn);
        if !is_begun || !self.folder.join(FILE_NAME).is_file() {
            return kept.write(&self.beside);
        }
        kept.write(&kept::inside(&self.folder))?;
        // It may have been moved before.
        let _ = std::fs::remove_file(&self.beside);
        Ok(())
    }

    /// What those who follow it have to know.
    pub fn glimpse(&mut self) -> Glimpse {
        self.catch_up();
        let status = self.status();
        Glimpse {
            events_before: self.kept.as_ref().map_or(0, |kept| kept.events_before),
            status,
            is_over: is_end(status),
            is_running: self.doing() == Doing::Runs,
            question: self.question(),
        }
    }

    /// How it stands.
    pub fn status(&self) -> &'static str {
        match self.doing() {
            Doing::Runs => match self.session.phase() {
                Some(Phase::Starting | Phase::Understanding) => "planning",
                _ => "running",
            },
            Doing::Asks | Doing::NeedsYes => "awaiting_input",
            Doing::Waits => "queued",
            Doing::Over => self.end(),
        }
    }

    /// How it ended.
    fn end(&self) -> &'static str {
        let is_cancelled = self.kept.as_ref().is_some_and(|kept| kept.is_cancelled);
        match self.result().map(|result| result.status) {
            Some(RunStatus::Succeeded | RunStatus::Partial) => "succeeded",
            Some(RunStatus::Interrupted) => "cancelled",
            Some(RunStatus::Failed) | None if is_cancelled => "cancelled",
            None if is_held(&self.folder) => "running",
            Some(RunStatus::Failed) | None => "failed",
        }
    }

    /// Whether nothing more will happen.
    pub fn is_over(&self) -> bool {
        is_end(self.status())
    }

    /// What its caller is asked.
    fn question(&self) -> Option<String> {
        match self.doing() {
            Doing::Asks => self.kept.as_ref()?.question.as_ref().map(|open| open.question.clone()),
            Doing::NeedsYes if self.unplanned.is_some() => Some("what should be otherwise?".into()),
            Doing::NeedsYes => self.plan.as_ref().map(|_| SHALL_IT_BEGIN.into()),
            Doing::Waits | Doing::Runs | Doing::Over => None,
        }
    }

    /// The result, once it is over: from the run itself, its folder, or, when it was refused, its journal.
    fn result(&self) -> Option<RunResult> {
        if self.doing() != Doing::Over {
            return None;
        }
        if let Some(Ok(result)) = self.session.ended() {
            return Some(*result);
        }
        let file = std::fs::read(self.folder.join("result.json")).ok();
        let written = file.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        written.or_else(|| of_folder(&self.folder).result.map(|result| *result))
    }

    fn live(&self) -> Live {
        self.session.seen().map_or_else(|| of_folder(&self.folder), |seen| seen.live)
    }

    /// Why there is no result, where there should be one.
    fn error(&self, status: &str, result: Option<&RunResult>) -> Option<Why> {
        if matches!(status, "succeeded" | "cancelled") {
            return None;
        }
        let known = self.unplanned.clone().or_else(|| self.kept.as_ref()?.error.clone());
        if known.is_some() || status != "failed" {
            return known;
        }
        let goes_on = if self.kept.is_some() { "say `resume` to" } else { "`ansatz resume` can" };
        match result {
            Some(result) => result.warnings.last().map(|why| Why { detail: why.clone(), hint: None }),
            None => Some(Why {
                detail: "this run was interrupted".into(),
                hint: Some(format!("{goes_on} go on with it")),
            }),
        }
    }

    /// What a caller sees of it.
    pub fn shown(&mut self) -> Value {
        self.catch_up();
        let (live, status, result) = (self.live(), self.status(), self.result());
        let error = self.error(status, result.as_ref());
        let best = live.incumbent.and_then(|(id, score)| {
            let name = live.candidates.get(&id).map(|line| line.name.clone())?;
            Some(json!({"candidate": name, "metric": live.task.as_ref().map(|task| task.metric.name.clone()), "value": score}))
        });
        let base = format!("/v1/tasks/{}", self.id);
        json!({
            "id": self.id,
            "object": "task",
            "status": status,
            "created_at": self.kept.as_ref().map_or(live.started_at, |kept| kept.at),
            "progress": {
                "phase": live.phase.name(),
                "seconds": live.spent.wall_s,
                "trials": live.trials_finished,
                "of_seconds": live.budget.wall.map(|wall| wall.as_secs_f64()),
                "of_trials": live.budget.trials,
            },
            "best": best,
            "cost": {"usd": live.spent.usd, "tokens_in": live.spent.tokens_in, "tokens_out": live.spent.tokens_out},
            "question": self.question(),
            "plan": self.plan.as_ref().map(|plan| json!({"text": plan.told, "steps": plan.steps})),
            "quote": self.plan.as_ref().and_then(|plan| plan.quote.as_ref()),
            "result": result,
            "error": error,
            "links": {
                "self": base,
                "events": format!("{base}/events"),
                "messages": format!("{base}/messages"),
                "approve": format!("{base}/approve"),
                "cancel": format!("{base}/cancel"),
                "artifacts": format!("{base}/artifacts"),
            },
        })
    }
}

fn is_end(status: &str) -> bool {
    matches!(status, "succeeded" | "failed" | "cancelled")
}

/// The fold over a run's journal; empty when there is none.
fn of_folder(folder: &Path) -> Live {
    let records = ansatz_journal::read(folder).map(|replay| replay.records).unwrap_or_default();
    let events: Vec<Event> = records.into_iter().map(|record| record.event).collect();
    Live::after(&events)
}

/// Events in the journal of a folder.
fn events_in(folder: &Path) -> u64 {
    ansatz_journal::read(folder).map_or(0, |replay| replay.records.len() as u64)
}

/// Whether another process works on a run.
fn is_held(folder: &Path) -> bool {
    File::open(folder.join(LOCK))
        .is_ok_and(|lock| matches!(lock.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

/// A reply as a caller sees it.
pub fn shown(reply: &Reply) -> Value {
    match reply {
        Reply::Said(text) => json!({"kind": "said", "text": text}),
        Reply::Asked(text) => json!({"kind": "asked", "text": text}),
        Reply::Trouble(text, hint) => json!({"kind": "trouble", "text": text, "hint": hint}),
    }
}

#[cfg(test)]
#[path = "task_tests.rs"]
mod tests;
