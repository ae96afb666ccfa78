//! Trials on GPUs: which orders profit from one, who runs them, and what happens when a GPU fails.
//!
//! A GPU is leased for the whole run and belongs to one worker cell, which starts one trial at a time. An order that cannot have
//! a GPU, or whose GPU failed under it, runs on the processors as if there were none: nothing that the dispatcher knows about
//! depends on GPUs.

use crate::environment::Environment;
use crate::error::{RunError, RunErrorKind};
use crate::options::GpuAsk;
use crate::protocol::{Order, OrderKind};
use crate::worker::{TrialFailure, TrialOutput, Worker};
use ansatz_core::candidate::Solution;
use ansatz_core::event::FailureKind;
use ansatz_core::outcome::GpuSummary;
use ansatz_sandbox::{GpuBinding, GpuError, GpuLease, Gpus, Launcher, LeaseLimits};
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Built-in solutions that have a GPU form.
const SOLUTIONS: [&str; 1] = ["catboost"];
/// What the source of a generated solution must contain to be given a GPU: the question whether it has one.
const SOURCE_ASKS: &str = "task.device";
/// Training rows below which a GPU that nobody asked for explicitly is not used: starting it costs more than it saves.
const ROWS_MIN: usize = 20_000;
/// A run that outlives this renews its lease.
const LEASE: Duration = Duration::from_hours(2);
/// Failed trials on one GPU, beside those that were stopped, after which it is left alone for the rest of the run.
const FAILURES_MAX: u32 = 3;

/// Starts the worker of a GPU.
type Launch = Box<dyn Fn(GpuBinding) -> Result<Worker, RunError> + Send + Sync>;

/// The GPUs of a run.
pub struct GpuWorkers {
    seats: Vec<Mutex<Seat>>,
    launch: Option<Launch>,
    rows_min: usize,
    warnings: Mutex<Vec<String>>,
}

/// One leased GPU and its worker, which is started when it is first needed.
struct Seat {
    lease: GpuLease,
    worker: Option<Worker>,
    trials: u32,
    failures: u32,
    is_closed: bool,
}

impl GpuWorkers {
    /// No GPUs.
    pub fn none() -> Self {
        Self { seats: Vec::new(), launch: None, rows_min: usize::MAX, warnings: Mutex::default() }
    }

    /// Leases what the user asked for. Workers start later, through [`GpuWorkers::start_with`].
    ///
    /// # Errors
    /// Of kind `Sandbox` when GPUs were asked for by number and are not there or not free.
    pub fn lease(ask: GpuAsk) -> Result<Self, RunError> {
        if ask == GpuAsk::None {
            return Ok(Self::none());
        }
        let gpus = Gpus::discover();
        let wanted = match ask {
            GpuAsk::None => 0,
            GpuAsk::Auto => gpus.found().len(),
            GpuAsk::Count(count) => count as usize,
        };
        let mut workers = Self::none();
        workers.rows_min = if ask == GpuAsk::Auto { ROWS_MIN } else { 0 };
        let limits = LeaseLimits { wall: LEASE, ..LeaseLimits::default() };
        while workers.seats.len() < wanted {
            match gpus.lease(limits) {
                Ok(lease) => {
                    let seat = Seat { lease, worker: None, trials: 0, failures: 0, is_closed: false };
                    workers.seats.push(Mutex::new(seat));
                }
                Err(_) if ask == GpuAsk::Auto => break,
                Err(error) => return Err(refused(&error, wanted, workers.seats.len())),
            }
        }
        Ok(workers)
    }

    /// Says how workers are started: as [`Worker::launch`], with a GPU. `data` and `models` are mounted.
    pub fn start_with(
        &mut self,
        launcher: &Arc<Launcher>,
        environment: &Environment,
        data: &Path,
        models: &Path,
    ) {
        let (launcher, environment) = (Arc::clone(launcher), environment.clone());
        let (data, models) = (data.to_path_buf(), models.to_path_buf());
        self.launch = Some(Box::new(move |binding| {
            Worker::launch_on_gpu(&launcher, &environment, &data, &models, binding)?.load(1)
        }));
    }

    /// Runs an order on a GPU if it is one for GPUs and one is free; `None` when it has to run elsewhere.
    pub fn run(
        &self,
        order: &Order,
        sealed: &[&[u8]],
        stop: &AtomicBool,
    ) -> Option<Result<TrialOutput, TrialFailure>> {
        if self.seats.is_empty() || !self.is_for_gpu(order, sealed) {
            return None;
        }
        let mut seat =
            self.seats.iter().find_map(|seat| seat.try_lock().ok().filter(|seat| !seat.is_closed))?;
        if let Some(lost) = seat.lease.lost() {
            return self.close(&mut seat, &lost.to_string());
        }
        seat.lease.renew();
        if seat.worker.is_none() {
            match self.launch.as_ref()?(seat.lease.binding()) {
                Ok(worker) => seat.worker = Some(worker),
                Err(error) => return self.close(&mut seat, &error.message),
            }
        }
        let result = seat.worker.as_ref()?.run(order, sealed, stop);
        match result {
            Ok(output) => {
                seat.trials += 1;
                Some(Ok(output))
            }
            // Stopped by us or out of time: the processors would not make it either.
            Err(failure) if matches!(failure.kind, FailureKind::Cancelled | FailureKind::Timeout) => {
                Some(Err(failure))
            }
            Err(failure) => {
                let lost = seat.lease.lost().map(|lost| lost.to_string());
                seat.failures += 1;
                if lost.is_some() || failure.worker_lost || seat.failures >= FAILURES_MAX {
                    return self.close(&mut seat, &lost.unwrap_or(failure.message));
                }
                self.warn(format!(
                    "a trial failed on a GPU and ran on the processors instead: {}",
                    failure.message
                ));
                None
            }
        }
    }

    /// Whether an order profits from a GPU.
    fn is_for_gpu(&self, order: &Order, sealed: &[&[u8]]) -> bool {
        let knows = match &order.solution {
            Some(Solution::Builtin(name)) => SOLUTIONS.contains(&name.as_str()),
            Some(Solution::Source { code, .. }) => code.contains(SOURCE_ASKS),
            None => false,
        };
        // The first sealed array of a fit is one number of eight bytes for each training row.
        let rows = sealed.first().map_or(0, |bytes| bytes.len() / 8);
        knows && order.order == OrderKind::Fit && rows >= self.rows_min
    }

    /// Leaves a GPU alone from now on.
    fn close(&self, seat: &mut MutexGuard<'_, Seat>, why: &str) -> Option<Result<TrialOutput, TrialFailure>> {
        seat.is_closed = true;
        seat.worker = None;
        let index = seat.lease.gpu().index;
        self.warn(format!("GPU {index} is not used any more, trials run on the processors: {why}"));
        None
    }

    fn warn(&self, warning: String) {
        let mut warnings = self.warnings.lock().unwrap_or_else(PoisonError::into_inner);
        if !warnings.contains(&warning) {
            warnings.push(warning);
        }
    }

    /// What the user should know, and has not been told yet.
    pub fn take_warnings(&self) -> Vec<String> {
        std::mem::take(&mut self.warnings.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What the GPUs were used for.
    pub fn summaries(&self) -> Vec<GpuSummary> {
        let summary = |seat: &Mutex<Seat>| {
            let seat = seat.lock().unwrap_or_else(PoisonError::into_inner);
            let report = seat.lease.report();
            GpuSummary {
                id: report.id.to_string(),
                name: report.name,
                memory_bytes: seat.lease.gpu().memory_bytes,
                memory_peak_bytes: report.memory_peak_bytes.saturating_sub(report.memory_before_bytes),
                trials: seat.trials,
                lost: report.lost.map(|lost| lost.to_string()),
            }
        };
        self.seats.iter().map(summary).collect()
    }
}

fn refused(error: &GpuError, wanted: usize, got: usize) -> RunError {
    let message = match error {
        GpuError::NoneFree(_) if got > 0 => format!("--gpus {wanted}: only {got} can be had; {error}"),
        _ => format!("--gpus {wanted}: {error}"),
    };
    RunError::new(RunErrorKind::Sandbox, message).hint(error.hint())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::TaskBrief;
    use ansatz_core::candidate::Params;
    use ansatz_core::task::Problem;

    fn order(solution: Option<Solution>, order: OrderKind) -> Order {
        let task = TaskBrief {
            problem: Problem::Regression,
            metric: "rmse".into(),
            outputs: 1,
            classes: 0,
            higher_is_better: false,
        };
        Order {
            order,
            trial: 1,
            solution,
            params: Params::new(),
            seed: 1,
            threads: 1,
            task,
            drop: Vec::new(),
            sealed: Vec::new(),
            deadline_s: 1.0,
            timed: false,
            keep_model: false,
            stage: None,
            model: None,
            out: "/out/t1".into(),
        }
    }

    fn is_for_gpu(solution: Solution, kind: OrderKind, rows: usize, rows_min: usize) -> bool {
        let workers = GpuWorkers { rows_min, ..GpuWorkers::none() };
        workers.is_for_gpu(&order(Some(solution), kind), &[&vec![0; rows * 8]])
    }

    #[test]
    fn only_fits_of_solutions_that_can_use_one_go_to_a_gpu() {
        let builtin = |name: &str| Solution::Builtin(name.to_owned());
        assert!(is_for_gpu(builtin("catboost"), OrderKind::Fit, 10, 0));
        assert!(!is_for_gpu(builtin("catboost"), OrderKind::Check, 10, 0));
        assert!(!is_for_gpu(builtin("linear"), OrderKind::Fit, 10, 0));
        let source = |code: &str| Solution::Source { name: "own".into(), code: code.into() };
        assert!(is_for_gpu(source("if task.device == 'cuda': ..."), OrderKind::Fit, 10, 0));
        assert!(!is_for_gpu(source("import xgboost"), OrderKind::Fit, 10, 0));
    }

    #[test]
    fn a_gpu_that_was_not_asked_for_is_kept_for_large_tables() {
        let catboost = Solution::Builtin("catboost".into());
        assert!(!is_for_gpu(catboost.clone(), OrderKind::Fit, ROWS_MIN - 1, ROWS_MIN));
        assert!(is_for_gpu(catboost, OrderKind::Fit, ROWS_MIN, ROWS_MIN));
    }

    #[test]
    fn without_gpus_every_order_runs_elsewhere() {
        let catboost = order(Some(Solution::Builtin("catboost".into())), OrderKind::Fit);
        assert!(GpuWorkers::none().run(&catboost, &[], &AtomicBool::new(false)).is_none());
        assert_eq!(GpuWorkers::none().summaries(), Vec::new());
    }

    #[test]
    fn gpus_that_are_asked_for_and_absent_are_an_error_with_advice() {
        if !Gpus::discover().found().is_empty() {
            eprintln!("skipped: this machine has GPUs");
            return;
        }
        let error = GpuWorkers::lease(GpuAsk::Count(1)).err().expect("no GPU here");
        assert_eq!(error.kind, RunErrorKind::Sandbox);
        assert!(error.message.starts_with("--gpus 1: this machine has no GPU"), "{}", error.message);
        assert!(error.hint.is_some_and(|hint| hint.contains("--gpus")));
        assert!(GpuWorkers::lease(GpuAsk::Auto).is_ok_and(|workers| workers.seats.is_empty()));
    }
}
