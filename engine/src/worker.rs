//! The host's side of the zygote: forks children, hands them their labels, takes their predictions.
//!
//! Invariant: a score never comes from here; predictions do.

mod course;

use crate::cells::{self, ARRAYS_BYTES_MAX};
use crate::environment::Environment;
use crate::error::RunError;
use crate::protocol::{ChildEvent, Order, ZygoteEvent};
use ansatz_core::candidate::Space;
use ansatz_core::event::FailureKind;
use ansatz_core::matrix::Matrix;
use ansatz_core::npy;
use ansatz_sandbox::{Cell, GpuBinding, Launcher, Leaf, LeafLimits, Verdict};
use course::Course;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Processes and threads of one trial.
const TRIAL_PIDS_MAX: u64 = 256;
/// The same where a driver adds threads of its own.
const GPU_TRIAL_PIDS_MAX: u64 = 1000;
/// Longest time for imports and mapping.
const START_MAX: Duration = Duration::from_mins(2);
/// How often a waiting thread looks at the stop flag.
const GLANCE: Duration = Duration::from_millis(50);
/// How long the zygote may take to tell how a child ended.
const OBITUARY_MAX: Duration = Duration::from_millis(500);
/// Most numbers that one prediction array may hold.
const PREDICTION_VALUES_MAX: usize = 400_000_000;
/// Most stages of one solution: the best of very many guesses looks good by luck.
const STAGES_MAX: usize = 256;
/// Largest model file that is kept.
const MODEL_BYTES_MAX: u64 = 256 << 20;

/// What a trial gave.
#[derive(Debug, Clone)]
pub struct TrialOutput {
    /// One matrix per stage.
    pub stages: Vec<Matrix>,
    /// The stages' values, e.g. numbers of rounds; as long as `stages`.
    pub stage_values: Vec<f64>,
    /// The fitted model's bytes.
    pub model: Option<Vec<u8>>,
    /// Wall time from order to end.
    pub wall_s: f64,
    /// Processor time of the child.
    pub cpu_s: f64,
    /// The search space, when it was asked for.
    pub space: Option<Space>,
    /// Whether features are computed row by row, when asked.
    pub row_by_row: Option<bool>,
}

/// Why a trial gave nothing.
#[derive(Debug, Clone, PartialEq)]
pub struct TrialFailure {
    /// What kind.
    pub kind: FailureKind,
    /// For a person to read.
    pub message: String,
    /// Processor time of the child.
    pub cpu_s: f64,
    /// Whether the worker itself is gone, not just the child.
    pub worker_lost: bool,
}

/// Exit code and signal of a child.
type Obituary = (Option<i32>, Option<i32>);

#[derive(Default)]
struct Obituaries {
    ended: Mutex<HashMap<u32, Obituary>>,
    news: Condvar,
}

/// A running zygote.
pub struct Worker {
    cell: Arc<Cell>,
    obituaries: Arc<Obituaries>,
    /// Versions of the worker's libraries.
    pub versions: BTreeMap<String, String>,
    /// Seconds that its imports took.
    pub import_s: f64,
    leaf_limits: LeafLimits,
    kind: Kind,
}

/// How a worker makes its trials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// By forking itself, with all libraries imported.
    Zygote,
    /// By starting each anew, which is what CUDA needs.
    Spawner,
}

impl Kind {
    fn operation(self) -> &'static str {
        match self {
            Self::Zygote => "fork",
            Self::Spawner => "spawn",
        }
    }

    /// The order as the trial gets it: one with a GPU is told of it.
    fn order(self, order: &Order) -> serde_json::Result<String> {
        let mut value = serde_json::to_value(order)?;
        if self == Self::Spawner {
            value["device"] = "cuda".into();
        }
        serde_json::to_string(&value)
    }
}

impl Worker {
    /// Starts the zygote's cell; imports run while the caller goes on. `data` is mounted at `/in/data`, `models` at
    /// `/in/models`, both read-only; files may be added to them later.
    ///
    /// # Errors
    /// When the cell cannot be started.
    pub fn launch(
        launcher: &Launcher,
        environment: &Environment,
        data: &Path,
        models: &Path,
    ) -> Result<Starting, RunError> {
        let mounts = mounts(data, models)?;
        let cell = cells::start(launcher, environment, "worker", "zygote", mounts)?;
        Ok(Starting { cell, kind: Kind::Zygote })
    }

    /// The same for trials that use a GPU: one at a time, each in a process of its own.
    ///
    /// # Errors
    /// When the cell cannot be started, or the GPU's lease is lost.
    pub fn launch_on_gpu(
        launcher: &Launcher,
        environment: &Environment,
        data: &Path,
        models: &Path,
        gpu: GpuBinding,
    ) -> Result<Starting, RunError> {
        let mounts = mounts(data, models)?;
        let cell = cells::start_on_gpu(launcher, environment, "gpu-worker", "spawner", mounts, gpu)?;
        Ok(Starting { cell, kind: Kind::Spawner })
    }

    /// Runs one order to its end. `stop` ends it early, and so do its own reports when they leave no hope.
    ///
    /// # Errors
    /// [`TrialFailure`] saying how the child ended when it gave nothing acceptable.
    pub fn run(
        &self,
        order: &Order,
        sealed: &[&[u8]],
        stop: &AtomicBool,
    ) -> Result<TrialOutput, TrialFailure> {
        let started = Instant::now();
        let folder = order.out.trim_start_matches("/out/").to_owned();
        // As the cell reads paths.
        let order = &Order {
            out: self.cell.inside(&order.out),
            model: order.model.as_deref().map(|path| self.cell.inside(path)),
            ..order.clone()
        };
        let operation = self.kind.operation();
        let request =
            serde_json::json!({"op": operation, "trial": order.trial, "out": order.out}).to_string();
        let gone = |message: String| TrialFailure {
            kind: FailureKind::Error,
            message,
            cpu_s: 0.0,
            worker_lost: true,
        };
        let leaf = self
            .cell
            .fork(order.trial, request.as_bytes(), self.leaf_limits)
            .map_err(|error| gone(format!("the worker could not start a trial: {error}")))?;
        let text = self.kind.order(order).map_err(|error| gone(format!("order: {error}")))?;
        let ending = if leaf.send_sealed(text.as_bytes(), sealed).is_ok() {
            attend(&leaf, order, started, stop)
        } else {
            Ending::Closed
        };
        let closed = matches!(ending, Ending::Closed);
        let obituary = closed.then(|| self.obituary(order.trial)).flatten();
        if !matches!(ending, Ending::Said(_) | Ending::Closed) {
            // It has no last words that anybody waits for.
            leaf.kill();
        }
        let report = leaf.finish();
        let result = match ending {
            Ending::Said(event) => self.take(*event, &folder, order),
            Ending::Cancelled => Err((FailureKind::Cancelled, "the run was stopped".to_owned())),
            Ending::Late => Err((FailureKind::Timeout, format!("not done after {:.1} s", order.deadline_s))),
            Ending::Hopeless(kind, why) => Err((kind, why)),
            Ending::Garbled(error) => Err((FailureKind::Error, format!("a line that is not ours: {error}"))),
            Ending::Closed => Err(cause_of_death(report.verdict, obituary)),
        };
        let _ = self.cell.remove(&folder);
        let wall_s = started.elapsed().as_secs_f64();
        match result {
            Ok(output) => Ok(TrialOutput { wall_s, cpu_s: report.cpu_s, ..output }),
            Err((kind, message)) => {
                // Running out of memory shows in the counter even when the child lived to tell a tale.
                let kind = if matches!(report.verdict, Verdict::Oom) { FailureKind::Memory } else { kind };
                let worker_lost = closed && obituary.is_none() && self.cell.has_ended();
                Err(TrialFailure { kind, message, cpu_s: report.cpu_s, worker_lost })
            }
        }
    }

    fn take(
        &self,
        event: ChildEvent,
        folder: &str,
        order: &Order,
    ) -> Result<TrialOutput, (FailureKind, String)> {
        let (predictions, model, stage_values, space, row_by_row) = match event {
            ChildEvent::Done { predictions, model, stages, space, row_by_row } => {
                (predictions, model, stages, space, row_by_row)
            }
            ChildEvent::Failed { kind, message, .. } => {
                let kind = if kind == "memory" { FailureKind::Memory } else { FailureKind::Error };
                return Err((kind, message));
            }
            ChildEvent::Progress { .. } => return Err((FailureKind::Error, "progress without end".into())),
        };
        let unacceptable = |message: String| (FailureKind::Predictions, message);
        let mut stages = Vec::new();
        if let Some(name) = predictions {
            let bytes = self
                .cell
                .collect(&format!("{folder}/{name}"), ARRAYS_BYTES_MAX)
                .map_err(|error| unacceptable(format!("predictions: {error}")))?;
            let array =
                npy::read(&bytes, PREDICTION_VALUES_MAX).map_err(|error| unacceptable(error.to_string()))?;
            let [count, rows, outputs] = *array.shape.as_slice() else {
                return Err(unacceptable(format!(
                    "predictions have shape {:?}, not three axes",
                    array.shape
                )));
            };
            if count > STAGES_MAX {
                return Err(unacceptable(format!("{count} stages; at most {STAGES_MAX} are compared")));
            }
            if outputs != order.task.outputs || count == 0 {
                return Err(unacceptable(format!("predictions have shape {:?}", array.shape)));
            }
            if array.values.iter().any(|value| !value.is_finite()) {
                return Err(unacceptable("a prediction is not a finite number".into()));
            }
            let size = rows * outputs;
            stages = array
                .values
                .chunks(size.max(1))
                .take(count)
                .filter_map(|chunk| Matrix::new(rows, outputs, chunk.to_vec()))
                .collect();
            if stages.len() != count {
                return Err(unacceptable("predictions are empty".into()));
            }
        }
        let stage_values = if stage_values.len() == stages.len() {
            stage_values
        } else {
            (0..stages.len()).map(|index| index as f64).collect()
        };
        let model =
            model.and_then(|name| self.cell.collect(&format!("{folder}/{name}"), MODEL_BYTES_MAX).ok());
        Ok(TrialOutput { stages, stage_values, model, wall_s: 0.0, cpu_s: 0.0, space, row_by_row })
    }

    fn obituary(&self, trial: u32) -> Option<Obituary> {
        let ended = self.obituaries.ended.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut ended, _) = self
            .obituaries
            .news
            .wait_timeout_while(ended, OBITUARY_MAX, |ended| !ended.contains_key(&trial))
            .unwrap_or_else(PoisonError::into_inner);
        ended.remove(&trial)
    }

    /// Whether the zygote still runs.
    pub fn is_alive(&self) -> bool {
        !self.cell.has_ended()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.cell.kill();
    }
}

fn mounts(data: &Path, models: &Path) -> Result<Vec<(PathBuf, PathBuf)>, RunError> {
    for folder in [data, models] {
        std::fs::create_dir_all(folder).map_err(|error| RunError::io("creating", folder, &error))?;
    }
    Ok(vec![
        (data.to_path_buf(), PathBuf::from("/in/data")),
        (models.to_path_buf(), PathBuf::from("/in/models")),
    ])
}

enum Ending {
    Said(Box<ChildEvent>),
    Cancelled,
    Late,
    /// Its own reports say that nothing will come of it.
    Hopeless(FailureKind, String),
    Garbled(String),
    Closed,
}

/// Listens to a trial until it has said its last word or has to be ended.
fn attend(leaf: &Leaf, order: &Order, started: Instant, stop: &AtomicBool) -> Ending {
    let deadline = started + Duration::from_secs_f64(order.deadline_s.clamp(0.0, 1e7));
    let mut course = Course::of(order);
    loop {
        if stop.load(Ordering::Relaxed) {
            return Ending::Cancelled;
        }
        if Instant::now() >= deadline {
            return Ending::Late;
        }
        match leaf.recv(GLANCE) {
            Ok(Some(line)) => {
                let at_s = started.elapsed().as_secs_f64();
                if let Some(ending) = hear(&line, at_s, course.as_mut()) {
                    return ending;
                }
            }
            Err(error) if error.is_timeout() => {}
            Ok(None) | Err(_) => return Ending::Closed,
        }
    }
}

/// What a trial's line, `at_s` seconds after its order, means for it; `None` when it goes on.
fn hear(line: &[u8], at_s: f64, course: Option<&mut Course>) -> Option<Ending> {
    match serde_json::from_slice(line) {
        // The worker passes this on whenever it happens, so that it does not depend on the clock.
        Ok(ChildEvent::Progress { step, diverged: true, .. }) => {
            let why = format!("stopped at step {step}: its loss is not a finite number any more");
            Some(Ending::Hopeless(FailureKind::Error, why))
        }
        Ok(ChildEvent::Progress { step, of, .. }) => {
            let why = course?.hear(at_s, step, of?)?;
            Some(Ending::Hopeless(FailureKind::Timeout, why))
        }
        Ok(event) => Some(Ending::Said(Box::new(event))),
        Err(error) => Some(Ending::Garbled(error.to_string())),
    }
}

fn cause_of_death(verdict: Verdict, obituary: Option<Obituary>) -> (FailureKind, String) {
    match verdict {
        Verdict::Oom => return (FailureKind::Memory, "it outgrew its memory".into()),
        Verdict::Quota => return (FailureKind::Quota, "it wrote too much".into()),
        Verdict::OutputFlood => return (FailureKind::Flood, "it printed too much".into()),
        Verdict::Pids => return (FailureKind::Processes, "it started too many processes".into()),
        _ => {}
    }
    match obituary {
        Some((_, Some(signal))) => (FailureKind::Signal, format!("ended by signal {signal}")),
        Some((Some(status), None)) => {
            (FailureKind::Error, format!("ended with code {status} and without a result"))
        }
        _ => (FailureKind::Error, "ended without a result".into()),
    }
}

/// A zygote whose imports are still running.
pub struct Starting {
    cell: Cell,
    kind: Kind,
}

impl Starting {
    /// Waits for the imports and maps the arrays; `trials` children may then run at once.
    ///
    /// # Errors
    /// When the zygote fails, or has a second thread.
    pub fn load(self, trials: usize) -> Result<Worker, RunError> {
        let (versions, threads, import_s) = match receive(&self.cell)? {
            ZygoteEvent::Ready { versions, threads, seconds } => (versions, threads, seconds),
            other => return Err(RunError::failed(format!("the worker answered out of turn: {other:?}"))),
        };
        if threads != 1 {
            return Err(RunError::failed(format!(
                "the worker has {threads} threads after its start instead of one"
            )));
        }
        let load = serde_json::json!({"op": "load", "table": self.cell.inside("/in/data")}).to_string();
        self.cell
            .send(load.as_bytes(), &[])
            .map_err(|error| RunError::failed(format!("the worker is gone: {error}")))?;
        match receive(&self.cell)? {
            ZygoteEvent::Loaded { .. } => {}
            other => return Err(RunError::failed(format!("the worker could not map the data: {other:?}"))),
        }
        let cell = Arc::new(self.cell);
        let obituaries = Arc::new(Obituaries::default());
        listen(Arc::clone(&cell), Arc::clone(&obituaries));
        let memory_bytes = cells::memory_limit() / (trials.max(1) as u64 + 1);
        let pids = if self.kind == Kind::Spawner { GPU_TRIAL_PIDS_MAX } else { TRIAL_PIDS_MAX };
        let leaf_limits = LeafLimits { memory_bytes, pids, wall: None };
        Ok(Worker { cell, obituaries, versions, import_s, leaf_limits, kind: self.kind })
    }
}

fn receive(cell: &Cell) -> Result<ZygoteEvent, RunError> {
    match cell.recv(START_MAX) {
        Ok(Some(line)) => serde_json::from_slice(&line)
            .map_err(|error| RunError::failed(format!("the worker sent a line that is not ours: {error}"))),
        Ok(None) => {
            Err(RunError::failed(format!("the worker ended at its start: {}", cells::last_words(cell))))
        }
        Err(error) => Err(RunError::failed(format!("waiting for the worker: {error}"))),
    }
}

/// Hears how children ended; the thread ends with the cell.
fn listen(cell: Arc<Cell>, obituaries: Arc<Obituaries>) {
    std::thread::spawn(move || {
        loop {
            match cell.recv(Duration::from_hours(1)) {
                Ok(Some(line)) => {
                    if let Ok(ZygoteEvent::Exited { trial, status, signal }) = serde_json::from_slice(&line) {
                        let mut ended = obituaries.ended.lock().unwrap_or_else(PoisonError::into_inner);
                        ended.insert(trial, (status, signal));
                        obituaries.news.notify_all();
                    }
                }
                Err(error) if error.is_timeout() => {}
                _ => break,
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An order with a deadline of 40 s.
    fn order(timed: bool) -> Order {
        let golden = include_str!("../../worker/testdata/child.jsonl");
        let line = golden.lines().find(|line| line.starts_with("{\"order\":\"fit\"")).expect("an order");
        Order { timed, ..serde_json::from_str(line).expect("an order of ours") }
    }

    /// How a trial ends that reports one of 1,000 steps each second.
    fn end_of_a_slow_trial(timed: bool) -> Option<Ending> {
        let mut course = Course::of(&order(timed));
        (1..40).find_map(|second| {
            let line = format!(r#"{{"event":"progress","step":{second},"value":0.5,"of":1000}}"#);
            hear(line.as_bytes(), f64::from(second), course.as_mut())
        })
    }

    #[test]
    fn a_trial_that_is_too_slow_is_ended_where_time_counts() {
        let Some(Ending::Hopeless(FailureKind::Timeout, why)) = end_of_a_slow_trial(true) else {
            panic!("it goes on");
        };
        assert!(
            why.starts_with("stopped at 1 % after 9.0 s: at this pace it would take 991.0 s more"),
            "{why}"
        );
    }

    #[test]
    fn where_trials_are_counted_no_pace_ends_one() {
        assert!(end_of_a_slow_trial(false).is_none());
    }

    #[test]
    fn a_loss_that_is_no_number_ends_a_trial_wherever_it_runs() {
        let line = br#"{"event":"progress","step":120.0,"diverged":true}"#;
        for timed in [false, true] {
            let Some(Ending::Hopeless(FailureKind::Error, why)) =
                hear(line, 1.0, Course::of(&order(timed)).as_mut())
            else {
                panic!("it goes on");
            };
            assert_eq!(why, "stopped at step 120: its loss is not a finite number any more");
        }
    }

    #[test]
    fn other_lines_mean_what_they_say() {
        let heard = |line: &str| hear(line.as_bytes(), 1.0, Course::of(&order(true)).as_mut());
        assert!(heard(r#"{"event":"progress","step":3,"value":null}"#).is_none());
        assert!(heard(r#"{"event":"progress","step":3,"value":0.1}"#).is_none());
        let last = heard(r#"{"event":"failed","kind":"error","message":"no"}"#);
        assert!(matches!(last, Some(Ending::Said(event)) if matches!(*event, ChildEvent::Failed { .. })));
        assert!(matches!(heard("nonsense"), Some(Ending::Garbled(_))));
    }
}
