//! The tasks: those of this process, those that wait for a place, and the runs that lie in the folder from before.

use crate::problem::Problem;
use ansatz_core::event::Event;
use ansatz_core::outcome::{RunResult, RunStatus};
use ansatz_engine::{Keys, Options};
use ansatz_report::Live;
use ansatz_session::{Maker, Reply, Session, Stage, Trouble};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How often waiting tasks are looked at.
const TICK: Duration = Duration::from_millis(100);
/// How long a server waits for its runs when it is stopped.
const FINISH_MAX: Duration = Duration::from_mins(2);
/// Tasks that may wait.
const WAITING_MAX: usize = 100;
/// Ending of the file that keeps a task that waits.
const WAITING: &str = "task.json";

/// What a caller asks for.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// A path below the allowed data folder, or a source: `openml:…`, `hf:…`, an address on an allowed host.
    #[serde(default)]
    pub data: Option<String>,
    /// The id of an uploaded training file.
    #[serde(default)]
    pub upload: Option<String>,
    /// The id of an uploaded test file.
    #[serde(default)]
    pub test_upload: Option<String>,
    /// The task in words.
    #[serde(default)]
    pub task: Option<String>,
    /// Target column.
    #[serde(default)]
    pub target: Option<String>,
    /// Metric.
    #[serde(default)]
    pub metric: Option<String>,
    /// Time in all.
    #[serde(default)]
    pub seconds: Option<f64>,
    /// Time in all.
    #[serde(default)]
    pub minutes: Option<f64>,
    /// Trials, instead of time.
    #[serde(default)]
    pub trials: Option<u32>,
    /// The seed.
    #[serde(default)]
    pub seed: Option<u64>,
    /// Whether the plan waits for `approve` before anything is trained.
    #[serde(default)]
    pub wait_for_approval: bool,
}

/// Makes runs of what callers ask for, beside what a session needs.
pub trait TaskMaker: Send + Sync {
    /// Options and keys; `data` and `test` are paths that were checked.
    ///
    /// # Errors
    /// [`Trouble`].
    fn make_task(&self, asked: &Asked, data: &Path, test: Option<&Path>) -> Result<(Options, Keys), Trouble>;

    /// Keys for a task that waited while the server was restarted.
    fn keys(&self, options: &Options) -> Keys;

    /// For the sessions.
    fn maker(self: Arc<Self>) -> Arc<dyn Maker>;

    /// A path that a caller named, if it lies below the allowed data folder.
    ///
    /// # Errors
    /// What is wrong with it.
    fn data(&self, named: &str) -> Result<PathBuf, Trouble>;
}

/// A task.
pub struct Task {
    /// Its id, which is that of its run.
    pub id: String,
    /// Its run's folder.
    pub folder: PathBuf,
    /// The conversation about it.
    pub session: Session,
    /// What is to be run, while it waits.
    waiting: Option<Box<(Options, Keys)>>,
    /// Whether it waits for a yes rather than for a place.
    needs_yes: bool,
    /// Whether it was cancelled before it began.
    is_cancelled: bool,
    /// What the conversation said.
    pub said: Vec<Value>,
}

pub type Shared = Arc<Mutex<Task>>;

/// All tasks.
pub struct Board {
    runs: PathBuf,
    uploads: PathBuf,
    tasks_max: usize,
    pub upload_max: u64,
    maker: Arc<dyn TaskMaker>,
    /// By id; ids begin with the time, so the order is that of making.
    tasks: Mutex<BTreeMap<String, Shared>>,
    /// Idempotency keys: what was asked with them, and the task that came of it.
    keys: Mutex<BTreeMap<String, (String, String)>>,
    /// Held by whoever starts tasks, so that two do not fill the same place.
    starting: Mutex<()>,
    is_closing: AtomicBool,
    uploaded: AtomicU64,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Board {
    /// The board over a folder of runs.
    pub fn open(
        runs: PathBuf,
        uploads: PathBuf,
        tasks_max: usize,
        upload_max: u64,
        maker: Arc<dyn TaskMaker>,
    ) -> Self {
        let mut tasks = BTreeMap::new();
        for entry in std::fs::read_dir(&runs).into_iter().flatten().flatten() {
            let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
            let task = if path.join(ansatz_journal::FILE_NAME).is_file() {
                Some(Self::task(name.clone(), path, None, &maker))
            } else {
                let id = name.strip_suffix(&format!(".{WAITING}")).map(str::to_owned);
                id.and_then(|id| {
                    let options: Options = serde_json::from_slice(&std::fs::read(&path).ok()?).ok()?;
                    if options.out.join(ansatz_journal::FILE_NAME).is_file() {
                        // It had begun when the server ended.
                        let _ = std::fs::remove_file(&path);
                        return None;
                    }
                    let keys = maker.keys(&options);
                    let folder = options.out.clone();
                    Some(Self::task(id, folder, Some(Box::new((options, keys))), &maker))
                })
            };
            tasks.extend(task.map(|task| (task.id.clone(), Arc::new(Mutex::new(task)))));
        }
        Self {
            runs,
            uploads,
            tasks_max: tasks_max.max(1),
            upload_max,
            maker,
            tasks: Mutex::new(tasks),
            keys: Mutex::default(),
            starting: Mutex::default(),
            is_closing: AtomicBool::new(false),
            uploaded: AtomicU64::new(0),
        }
    }

    fn task(
        id: String,
        folder: PathBuf,
        waiting: Option<Box<(Options, Keys)>>,
        maker: &Arc<dyn TaskMaker>,
    ) -> Task {
        let session = Session::new(Arc::clone(maker).maker());
        Task { id, folder, session, waiting, needs_yes: false, is_cancelled: false, said: Vec::new() }
    }

    /// Takes a task; the same key with the same words gives the same task again (`true`).
    ///
    /// # Errors
    /// [`Problem`].
    pub fn submit(&self, asked: &Asked, key: Option<&str>) -> Result<(Shared, bool), Problem> {
        let words = serde_json::to_string(asked).unwrap_or_default();
        let mut keys = locked(&self.keys);
        if let Some((before, id)) = key.and_then(|key| keys.get(key)) {
            if *before != words {
                let detail = "this Idempotency-Key was used for another task";
                return Err(Problem::unusable(detail).hint("use a new key for a new task"));
            }
            return self.get(id).map(|task| (task, true));
        }
        if self.is_closing.load(Ordering::Relaxed) {
            return Err(Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "closing",
                "the server is being stopped",
            ));
        }
        if self.all().iter().filter(|task| locked(task).waiting.is_some()).count() >= WAITING_MAX {
            return Err(Problem::new(
                StatusCode::TOO_MANY_REQUESTS,
                "full",
                format!("{WAITING_MAX} tasks wait already"),
            ));
        }
        let (data, test) = self.files(asked)?;
        let (options, task_keys) = self.maker.make_task(asked, &data, test.as_deref()).map_err(of_trouble)?;
        let id = options.run.as_str().to_owned();
        if !asked.wait_for_approval {
            let kept = serde_json::to_vec(&options).map_err(|error| Problem::broken(&error))?;
            std::fs::write(waiting_file(&self.runs, &id), kept).map_err(|error| Problem::broken(&error))?;
        }
        let mut task =
            Self::task(id.clone(), options.out.clone(), Some(Box::new((options, task_keys))), &self.maker);
        task.needs_yes = asked.wait_for_approval;
        let task = Arc::new(Mutex::new(task));
        locked(&self.tasks).insert(id.clone(), Arc::clone(&task));
        if let Some(key) = key {
            keys.insert(key.to_owned(), (words, id));
        }
        drop(keys);
        self.start_waiting();
        Ok((task, false))
    }

    fn files(&self, asked: &Asked) -> Result<(PathBuf, Option<PathBuf>), Problem> {
        let test = asked.test_upload.as_deref().map(|id| self.upload(id)).transpose()?;
        let data = match (&asked.data, &asked.upload) {
            (Some(named), None) => self.maker.data(named).map_err(of_trouble)?,
            (None, Some(id)) => self.upload(id)?,
            _ => {
                let detail = "exactly one of `data` and `upload` must say where the data are";
                return Err(Problem::unusable(detail).hint("upload a file by POST /v1/uploads first"));
            }
        };
        Ok((data, test))
    }

    /// Where a new upload goes, and its id. The ending of its name is kept: it says how the file is read.
    pub fn new_upload(&self, name: &str) -> (String, PathBuf) {
        let ending = ["csv.gz", "csv", "tsv", "parquet", "txt", "arff", "zip"]
            .iter()
            .find(|end| name.to_lowercase().ends_with(&format!(".{end}")));
        let stamp = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let number = self.uploaded.fetch_add(1, Ordering::Relaxed);
        let id = format!("{:x}-{number}.{}", stamp.as_nanos(), ending.unwrap_or(&"csv"));
        (id.clone(), self.uploads.join(&id))
    }

    fn upload(&self, id: &str) -> Result<PathBuf, Problem> {
        let is_plain = id.chars().all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '.'));
        let path = self.uploads.join(id);
        if is_plain && !id.starts_with('.') && path.is_file() {
            Ok(path)
        } else {
            Err(Problem::unusable(format!("there is no upload {id:?}")))
        }
    }

    /// A task.
    ///
    /// # Errors
    /// There is none of that id.
    pub fn get(&self, id: &str) -> Result<Shared, Problem> {
        locked(&self.tasks).get(id).cloned().ok_or_else(|| Problem::absent("task"))
    }

    /// All tasks, oldest first.
    pub fn all(&self) -> Vec<Shared> {
        locked(&self.tasks).values().cloned().collect()
    }

    /// Starts tasks that wait while there is room, until the server ends.
    pub async fn keep_starting(self: Arc<Self>) {
        let mut tick = tokio::time::interval(TICK);
        loop {
            tick.tick().await;
            self.start_waiting();
        }
    }

    fn start_waiting(&self) {
        if self.is_closing.load(Ordering::Relaxed) {
            return;
        }
        let _starting = locked(&self.starting);
        let tasks = self.all();
        let mut running = tasks.iter().filter(|task| locked(task).session.stage() == Stage::Running).count();
        for task in tasks {
            if running >= self.tasks_max {
                return;
            }
            let mut task = locked(&task);
            if task.needs_yes || task.waiting.is_none() {
                continue;
            }
            let Some(waiting) = task.waiting.take() else { continue };
            let (options, keys) = *waiting;
            let id = task.id.clone();
            task.begin(options, keys);
            let _ = std::fs::remove_file(waiting_file(&self.runs, &id));
            running += 1;
        }
    }

    /// Takes no more tasks and lets running ones finish with what they have.
    pub fn close(&self) {
        self.is_closing.store(true, Ordering::Relaxed);
        for task in self.all() {
            if let Some(control) = locked(&task).session.control() {
                control.ask();
            }
        }
    }

    /// Waits for runs that go on.
    pub fn finish(&self) {
        let until = std::time::Instant::now() + FINISH_MAX;
        for task in self.all() {
            while locked(&task).session.stage() == Stage::Running && std::time::Instant::now() < until {
                std::thread::sleep(TICK);
            }
        }
    }
}

/// Where a task that waits is kept.
fn waiting_file(runs: &Path, id: &str) -> PathBuf {
    runs.join(format!("{id}.{WAITING}"))
}

/// What a caller is told of trouble.
fn of_trouble(trouble: Trouble) -> Problem {
    let problem = Problem::unusable(trouble.message);
    match trouble.hint {
        Some(hint) => problem.hint(hint),
        None => problem,
    }
}

impl Task {
    fn begin(&mut self, options: Options, keys: Keys) {
        let said = &mut self.said;
        self.session.begin_with(options, keys, &mut |reply| said.push(shown(&reply)));
    }

    /// Says yes to a task that waits for it.
    ///
    /// # Errors
    /// It waits for nothing.
    pub fn approve(&mut self) -> Result<(), Problem> {
        if std::mem::take(&mut self.needs_yes) {
            return Ok(());
        }
        Err(Problem::new(StatusCode::CONFLICT, "state", "this task does not wait for approval"))
    }

    /// Ends a task with what it has.
    ///
    /// # Errors
    /// It is over already.
    pub fn cancel(&mut self) -> Result<(), Problem> {
        if self.waiting.take().is_some() {
            self.is_cancelled = true;
            // A server that starts anew must not find it waiting still.
            let _ = self.folder.parent().map(|runs| std::fs::remove_file(waiting_file(runs, &self.id)));
            return Ok(());
        }
        if self.question().is_some() {
            self.is_cancelled = true;
            return Ok(());
        }
        match self.session.control().filter(|_| self.session.stage() == Stage::Running) {
            Some(control) => {
                control.ask();
                Ok(())
            }
            None => Err(Problem::new(StatusCode::CONFLICT, "state", "this task is over")),
        }
    }

    /// A sentence about the task; what the conversation replies.
    ///
    /// # Errors
    /// The task has not begun.
    pub fn message(&mut self, text: &str) -> Result<Vec<Value>, Problem> {
        if self.waiting.is_some() {
            return Err(Problem::new(StatusCode::CONFLICT, "state", "this task has not begun"));
        }
        let mut replies = Vec::new();
        if self.session.question().is_some() {
            let answered = self.session.answered(text, &mut |reply| replies.push(shown(&reply)));
            if let Some((options, keys)) = answered {
                // The run that asked holds nothing but its question.
                let _ = std::fs::remove_dir_all(&self.folder);
                self.waiting = Some(Box::new((options, keys)));
                replies.push(shown(&Reply::Said("thank you: the task begins".into())));
            }
            self.said.extend(replies.iter().cloned());
            return Ok(replies);
        }
        if self.session.seen().is_none() {
            // A run of an earlier process: it can be asked about and gone on with.
            self.session.adopt(&self.folder);
        }
        self.session.say(text, &mut |reply| replies.push(shown(&reply)));
        self.said.extend(replies.iter().cloned());
        Ok(replies)
    }

    /// Everything that the conversation said, what has come since included.
    pub fn heard(&mut self) -> Vec<Value> {
        while let Some(news) = self.session.news() {
            self.said.push(shown(&news));
        }
        self.said.clone()
    }

    /// How it stands.
    pub fn status(&self) -> &'static str {
        if self.is_cancelled {
            return "cancelled";
        }
        if self.waiting.is_some() {
            return if self.needs_yes { "awaiting_input" } else { "queued" };
        }
        if self.session.question().is_some() {
            return "awaiting_input";
        }
        match self.session.stage() {
            Stage::Running => self.session.seen().map_or("running", |seen| match seen.live.phase {
                ansatz_report::Phase::Starting | ansatz_report::Phase::Understanding => "planning",
                _ => "running",
            }),
            _ => match self.result() {
                Some(result) => match result.status {
                    RunStatus::Succeeded | RunStatus::Partial => "succeeded",
                    RunStatus::Failed => "failed",
                    RunStatus::Interrupted => "cancelled",
                },
                None if self.session.seen().is_some() => "failed",
                None => "interrupted",
            },
        }
    }

    /// Whether nothing more will happen.
    pub fn is_over(&self) -> bool {
        !matches!(self.status(), "queued" | "awaiting_input" | "planning" | "running")
    }

    /// What has to be known before the task can begin.
    fn question(&self) -> Option<String> {
        self.session.question().filter(|_| self.waiting.is_none() && !self.is_cancelled)
    }

    fn result(&self) -> Option<RunResult> {
        if let Some(end) = self.session.seen().and_then(|seen| seen.end) {
            return end.ok().map(|result| *result);
        }
        serde_json::from_slice(&std::fs::read(self.folder.join("result.json")).ok()?).ok()
    }

    fn live(&self) -> Live {
        self.session.seen().map_or_else(|| of_folder(&self.folder), |seen| seen.live)
    }

    /// What a caller sees of it.
    pub fn shown(&self) -> Value {
        let live = self.live();
        let error = self.session.seen().and_then(|seen| seen.end).and_then(Result::err);
        let best = live.incumbent.and_then(|(id, score)| {
            let name = live.candidates.get(&id).map(|line| line.name.clone())?;
            Some(json!({"candidate": name, "metric": live.task.as_ref().map(|task| task.metric.name.clone()), "value": score}))
        });
        let base = format!("/v1/tasks/{}", self.id);
        json!({
            "id": self.id,
            "object": "task",
            "status": self.status(),
            "created_at": live.started_at,
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
            "result": self.result(),
            "error": error.map(|error| json!({"detail": error.message, "hint": error.hint})),
            "links": {
                "self": base,
                "events": format!("{base}/events"),
                "messages": format!("{base}/messages"),
                "cancel": format!("{base}/cancel"),
                "artifacts": format!("{base}/artifacts"),
            },
        })
    }
}

/// The fold over a run's journal; empty when there is none.
fn of_folder(folder: &Path) -> Live {
    let records = ansatz_journal::read(folder).map(|replay| replay.records).unwrap_or_default();
    let events: Vec<Event> = records.into_iter().map(|record| record.event).collect();
    Live::after(&events)
}

fn shown(reply: &Reply) -> Value {
    match reply {
        Reply::Said(text) => json!({"kind": "said", "text": text}),
        Reply::Asked(text) => json!({"kind": "asked", "text": text}),
        Reply::Trouble(text, hint) => json!({"kind": "trouble", "text": text, "hint": hint}),
    }
}
