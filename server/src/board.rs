//! The tasks: those of this process, those that wait for a place, and the runs that lie in the folder from before.

use crate::files::Tags;
use crate::kept::{self, Kept, Key, Stand};
use crate::problem::Problem;
use crate::task::{Doing, Shared, Task};
use crate::uploads::Uploads;
use ansatz_core::clock::Clock;
use ansatz_engine::{Keys, Options};
use ansatz_session::{Maker, Trouble};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};
use std::time::{Duration, Instant};

/// How often waiting tasks are looked at.
const TICK: Duration = Duration::from_millis(100);
/// How long a server waits for its runs when it is stopped.
pub const FINISH_MAX: Duration = Duration::from_mins(2);
/// Tasks that may wait.
const WAITING_MAX: usize = 100;
/// How long a caller's own name for a request is remembered, in seconds: a day.
const KEY_MAX_S: u64 = 86_400;

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

    /// The same as another run: under a new id, in a folder of its own.
    ///
    /// # Errors
    /// [`Trouble`]: its data are not there any more.
    fn anew(&self, options: Options) -> Result<Options, Trouble>;

    /// Keys for a task that waited.
    fn keys(&self, options: &Options) -> Keys;

    /// For the sessions.
    fn maker(self: Arc<Self>) -> Arc<dyn Maker>;

    /// A path that a caller named, if it lies below the allowed data folder.
    ///
    /// # Errors
    /// What is wrong with it.
    fn data(&self, named: &str) -> Result<PathBuf, Trouble>;
}

/// What was asked under a caller's own name, when, and the task that came of it.
struct Known {
    request: String,
    id: String,
    at: u64,
}

/// All tasks.
pub struct Board {
    runs: PathBuf,
    /// What callers sent.
    pub uploads: Uploads,
    /// Tags of files that were served.
    pub tags: Tags,
    tasks_max: usize,
    maker: Arc<dyn TaskMaker>,
    clock: Arc<dyn Clock>,
    /// By id; ids begin with the time, so the order is that of making.
    tasks: Mutex<BTreeMap<String, Shared>>,
    /// By the callers' own names.
    keys: Mutex<BTreeMap<String, Known>>,
    /// Held by whoever begins runs, so that two do not fill the same place, and none begins behind the end.
    starting: Mutex<()>,
    /// Since when the server is being stopped.
    closing: Arc<OnceLock<Instant>>,
}

/// Locks, whatever became of whoever held it before.
pub fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Board {
    /// The board over a folder of runs.
    pub fn open(runs: PathBuf, uploads: Uploads, tasks_max: usize, maker: Arc<dyn TaskMaker>) -> Self {
        let sessions = || Arc::clone(&maker).maker();
        let (mut left, mut folders) = (BTreeMap::new(), BTreeMap::new());
        for entry in std::fs::read_dir(&runs).into_iter().flatten().flatten() {
            let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
            if path.join(ansatz_journal::FILE_NAME).is_file() {
                folders.insert(name, path);
            } else if let Some(id) = name.strip_suffix(kept::ENDING) {
                left.extend(Kept::read(&path).map(|kept| (id.to_owned(), kept)));
            }
        }
        folders.retain(|id, _| !left.contains_key(id));
        let left = left.into_iter().map(|(id, kept)| Task::left(id, &runs, kept, sessions()));
        let found = folders.into_iter().map(|(id, path)| {
            let kept = Kept::read(&kept::inside(&path));
            Task::new(id, path, &runs, kept, sessions())
        });
        let tasks: Vec<Task> = left.chain(found).collect();
        let known = tasks.iter().filter_map(|task| {
            let (Key { key, request }, at) = task.key()?;
            Some((key, Known { request, id: task.id.clone(), at }))
        });
        let keys: BTreeMap<String, Known> = known.collect();
        let tasks = tasks.into_iter().map(|task| (task.id.clone(), Arc::new(Mutex::new(task)))).collect();
        let clock = sessions().clock();
        Self {
            runs,
            uploads,
            tags: Tags::default(),
            tasks_max: tasks_max.max(1),
            clock,
            tasks: Mutex::new(tasks),
            keys: Mutex::new(keys),
            starting: Mutex::default(),
            closing: Arc::default(),
            maker,
        }
    }

    /// Takes a task; the same key with the same words gives the same task again (`true`).
    ///
    /// # Errors
    /// [`Problem`].
    pub fn submit(&self, asked: &Asked, key: Option<&str>) -> Result<(Shared, bool), Problem> {
        let request = serde_json::to_string(asked).unwrap_or_default();
        // Whoever sends the same key meanwhile waits for this one.
        let mut keys = key.map(|_| locked(&self.keys));
        if let Some(keys) = &mut keys {
            let now = self.clock.unix_seconds();
            keys.retain(|_, known| now.saturating_sub(known.at) < KEY_MAX_S);
        }
        if let Some(known) = keys.as_ref().and_then(|keys| keys.get(key?)) {
            if known.request != request {
                let detail = "this Idempotency-Key was used for another task";
                return Err(Problem::unusable(detail).hint("use a new key for a new task"));
            }
            return self.get(&known.id).map(|task| (task, true));
        }
        self.has_room()?;
        let (data, test) = self.files(asked)?;
        let (options, _) = self.maker.make_task(asked, &data, test.as_deref()).map_err(of_trouble)?;
        let stand = if asked.wait_for_approval { Stand::NeedsYes } else { Stand::Queued };
        let named = key.map(|key| Key { key: key.to_owned(), request: request.clone() });
        let task = self.take(options, stand, named)?;
        if let (Some(keys), Some(key)) = (&mut keys, key) {
            let (id, at) = (locked(&task).id.clone(), self.clock.unix_seconds());
            keys.insert(key.to_owned(), Known { request, id, at });
        }
        drop(keys);
        self.look_around();
        Ok((task, false))
    }

    fn has_room(&self) -> Result<(), Problem> {
        if self.is_closing() {
            return Err(Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "closing",
                "the server is being stopped",
            ));
        }
        let waits =
            |task: &Shared| matches!(locked(task).doing(), Doing::Waits | Doing::NeedsYes | Doing::Asks);
        if self.all().iter().filter(|task| waits(task)).count() >= WAITING_MAX {
            return Err(Problem::new(
                StatusCode::TOO_MANY_REQUESTS,
                "full",
                format!("{WAITING_MAX} tasks wait already"),
            ));
        }
        Ok(())
    }

    /// Writes a task down and takes it.
    fn take(&self, options: Options, stand: Stand, key: Option<Key>) -> Result<Shared, Problem> {
        let (id, folder) = (options.run.as_str().to_owned(), options.out.clone());
        let kept = Kept::new(options, stand, key, self.clock.unix_seconds());
        kept.write(&kept::beside(&self.runs, &id)).map_err(|error| Problem::broken(&error))?;
        let task = Task::new(id.clone(), folder, &self.runs, Some(kept), Arc::clone(&self.maker).maker());
        let task = Arc::new(Mutex::new(task));
        locked(&self.tasks).insert(id, Arc::clone(&task));
        Ok(task)
    }

    fn files(&self, asked: &Asked) -> Result<(PathBuf, Option<PathBuf>), Problem> {
        let test = asked.test_upload.as_deref().map(|id| self.uploads.find(id)).transpose()?;
        let data = match (&asked.data, &asked.upload) {
            (Some(named), None) => self.maker.data(named).map_err(of_trouble)?,
            (None, Some(id)) => self.uploads.find(id)?,
            _ => {
                let detail = "exactly one of `data` and `upload` must say where the data are";
                return Err(Problem::unusable(detail).hint("upload a file by POST /v1/uploads first"));
            }
        };
        Ok((data, test))
    }

    /// Says a sentence to a task; what is replied. Another task that is wanted waits like all others.
    ///
    /// # Errors
    /// [`Problem`].
    pub fn say(&self, id: &str, text: &str) -> Result<Vec<Value>, Problem> {
        let task = self.get(id)?;
        let (mut replies, another) = locked(&task).hear(text)?;
        if let Some(options) = another {
            self.has_room()?;
            let options = self.maker.anew(options).map_err(of_trouble)?;
            let other = self.take(options, Stand::Queued, None)?;
            let other = locked(&other).id.clone();
            let told = format!("that is another task, {other}: it begins as soon as there is a place");
            let told = json!({"kind": "said", "text": told, "task": other});
            locked(&task).tell(told.clone());
            replies.push(told);
        }
        self.look_around();
        Ok(replies)
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

    /// One page of the tasks, newest first, and whether there are more.
    pub fn page(&self, limit: usize, after: Option<&str>, status: Option<&str>) -> (Vec<Value>, bool) {
        let mut found = Vec::new();
        for task in self.all().into_iter().rev() {
            let mut task = locked(&task);
            // What comes after an id is older than it.
            if after.is_some_and(|after| task.id.as_str() >= after) {
                continue;
            }
            task.catch_up();
            if status.is_some_and(|wanted| task.status() != wanted) {
                continue;
            }
            if found.len() == limit {
                return (found, true);
            }
            found.push(task.shown());
        }
        (found, false)
    }

    /// Begins what waits while there is room, until the server ends.
    pub async fn keep_starting(self: Arc<Self>) {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            let board = Arc::clone(&self);
            // A bug in one look must not be the last look.
            let _ = tokio::task::spawn_blocking(move || board.look_around()).await;
        }
    }

    /// Takes over what has come of all tasks, begins those that wait while there is room, and has the plan of one made.
    pub fn look_around(&self) {
        let _starting = locked(&self.starting);
        if self.is_closing() {
            return;
        }
        let (mut running, mut is_rehearsing) = (0, false);
        let (mut waiting, mut unplanned) = (Vec::new(), Vec::new());
        for task in self.all() {
            let Some(mut looked) = at_once(&task) else {
                // Somebody looks at it: it counts as running until the next look.
                running += 1;
                continue;
            };
            looked.catch_up();
            is_rehearsing |= looked.is_rehearsing();
            let list = match looked.doing() {
                Doing::Runs => {
                    running += 1;
                    continue;
                }
                Doing::Waits => &mut waiting,
                Doing::NeedsYes if looked.wants_plan() => &mut unplanned,
                Doing::NeedsYes | Doing::Asks | Doing::Over => continue,
            };
            list.push(Arc::clone(&task));
        }
        for task in waiting.into_iter().take(self.tasks_max.saturating_sub(running)) {
            if let Some(mut task) = at_once(&task).filter(|task| task.doing() == Doing::Waits) {
                task.begin(&*self.maker);
            }
        }
        for task in unplanned.into_iter().take(usize::from(!is_rehearsing)) {
            if let Some(mut task) = at_once(&task).filter(|task| task.wants_plan()) {
                task.rehearse(&*self.maker);
            }
        }
    }

    /// Whether the server is being stopped.
    pub fn is_closing(&self) -> bool {
        self.closing.get().is_some()
    }

    /// Since when the server is being stopped, for those who follow tasks.
    pub fn closing(&self) -> Arc<OnceLock<Instant>> {
        Arc::clone(&self.closing)
    }

    /// Takes no more tasks and lets running ones finish with what they have.
    pub fn close(&self) {
        let _ = self.closing.set(Instant::now());
        // Whoever is beginning a run has begun it then, and nobody begins another one.
        let _starting = locked(&self.starting);
        for task in self.all() {
            locked(&task).finish();
        }
    }

    /// Waits for runs that go on, and takes over what has come of them.
    pub fn finish(&self) {
        let until = self.closing.get().copied().unwrap_or_else(Instant::now) + FINISH_MAX;
        for task in self.all() {
            while locked(&task).doing() == Doing::Runs && Instant::now() < until {
                std::thread::sleep(TICK);
            }
            locked(&task).catch_up();
        }
    }
}

/// A task that nobody else looks at.
fn at_once(task: &Shared) -> Option<MutexGuard<'_, Task>> {
    match task.try_lock() {
        Ok(task) => Some(task),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

/// What a caller is told of trouble.
fn of_trouble(trouble: Trouble) -> Problem {
    let problem = Problem::unusable(trouble.message);
    match trouble.hint {
        Some(hint) => problem.hint(hint),
        None => problem,
    }
}

#[cfg(test)]
#[path = "board_tests.rs"]
mod tests;
