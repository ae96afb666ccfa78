//! What tests of the server share: a maker whose runs end before they do anything, tasks, and journals as runs write them.

use crate::board::{Asked, TaskMaker};
use ansatz_core::clock::{Clock, ManualClock};
use ansatz_core::event::Event;
use ansatz_core::ids::StepId;
use ansatz_core::outcome::{RunResult, RunStatus};
use ansatz_engine::{Aside, Keys, Observer, Options, Silent};
use ansatz_journal::Journal;
use ansatz_session::{Maker, Trouble, Wishes};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Options of a run below `home/runs` whose own metric is not there: it ends before it does anything.
pub fn options(home: &Path, id: &str) -> Options {
    let options = json!({
        "data": "/data/churn.csv",
        "request": "predict churn",
        "out": home.join("runs").join(id),
        "run": id,
        "budget": {},
        "jobs": 1,
        "seed": 3,
        "strict": false,
        "home": home,
        "dry_run": false,
        "metric_file": {"path": "/nowhere/metric.py"},
        "asks_back": true,
    });
    serde_json::from_value(options).unwrap()
}

/// Runs that were made: no two have the same id.
static MADE: AtomicU32 = AtomicU32::new(100);

/// Makes such runs.
pub struct Stub {
    home: PathBuf,
}

impl Stub {
    pub fn new(home: &Path) -> Arc<Self> {
        Arc::new(Self { home: home.to_path_buf() })
    }

    fn make_one(&self) -> Options {
        options(&self.home, &format!("r{}", MADE.fetch_add(1, Ordering::Relaxed)))
    }
}

impl TaskMaker for Stub {
    fn make_task(&self, asked: &Asked, _: &Path, _: Option<&Path>) -> Result<(Options, Keys), Trouble> {
        Ok((Options { request: asked.task.clone(), ..self.make_one() }, Keys::default()))
    }

    fn anew(&self, options: Options) -> Result<Options, Trouble> {
        let Options { run, out, .. } = self.make_one();
        Ok(Options { run, out, ..options })
    }

    fn keys(&self, _: &Options) -> Keys {
        Keys::default()
    }

    fn maker(self: Arc<Self>) -> Arc<dyn Maker> {
        self
    }

    fn data(&self, named: &str) -> Result<PathBuf, Trouble> {
        Ok(PathBuf::from(named))
    }
}

impl Maker for Stub {
    fn make(&self, _: &Wishes, _: bool) -> Result<(Options, Keys), Trouble> {
        Ok((self.make_one(), Keys::default()))
    }

    fn interrupted(&self, named: Option<&str>) -> Result<(PathBuf, PathBuf, Keys), Trouble> {
        let folder = PathBuf::from(named.unwrap_or_default());
        Ok((folder, self.home.clone(), Keys::default()))
    }

    fn is_there(&self, _: &str) -> bool {
        false
    }

    fn clock(&self) -> Arc<dyn Clock> {
        Arc::new(ManualClock::default())
    }

    fn observer(&self) -> Box<dyn Observer> {
        Box::new(Silent)
    }

    fn thinks(&self) -> bool {
        false
    }

    fn aside(&self) -> Result<Option<Aside>, Trouble> {
        Ok(None)
    }
}

/// A result that tells nothing but how it ended.
pub fn result(status: RunStatus) -> RunResult {
    let mut result: RunResult = serde_json::from_value(json!({
        "run": "r", "status": "failed", "leaderboard": [], "verdicts": [], "warnings": ["it was refused"], "skipped": [],
        "budget": {"wall_s": 1.0, "worker_cpu_s": 0.0, "trials": 0, "llm_calls": 0, "tokens_in": 0, "tokens_out": 0},
        "sandbox": {"backend": "", "level": "", "enforced": [], "missing": []},
        "artifacts": {}, "seed": 3, "versions": {},
    }))
    .unwrap();
    result.status = status;
    result
}

/// The journal of a run: begun, with a plan if it got so far, ended if it did.
pub fn journal(options: &Options, has_plan: bool, end: Option<RunStatus>) -> Journal {
    let mut journal = Journal::create(&options.out, Arc::new(ManualClock::default())).unwrap();
    let started = Event::RunStarted {
        run: options.run.clone(),
        options: serde_json::to_value(options).unwrap(),
        budget: options.budget.clone(),
        seed: options.seed,
        versions: std::collections::BTreeMap::new(),
        at: 7,
    };
    journal.append(&started).unwrap();
    journal.append(&Event::Warned { message: "it is a test".into() }).unwrap();
    if has_plan {
        let plan = ansatz_core::ids::ArtifactId::of_bytes(b"plan");
        journal.append(&Event::PlanAdopted { plan, steps: vec![StepId::new("model:linear")] }).unwrap();
    }
    if let Some(status) = end {
        journal.append(&Event::Finished { result: Box::new(result(status)) }).unwrap();
    }
    journal
}
