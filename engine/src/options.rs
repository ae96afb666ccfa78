//! What a run was asked to do, resolved: nobody further in reads a flag or the environment.

use crate::functions::FunctionFile;
use crate::ray::RayOptions;
use ansatz_agents::search::Method;
use ansatz_core::bill::PriceTable;
use ansatz_core::budget::Budget;
use ansatz_core::event::Event;
use ansatz_core::ids::RunId;
use ansatz_core::secret::Secret;
use ansatz_core::seed::Seed;
use ansatz_core::steer::Steer;
use ansatz_llm::Setup;
use ansatz_sandbox::{BackendChoice, LauncherOptions, Level};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Everything that a run needs to know; journalled, so that `resume` needs nothing else.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Options {
    /// A CSV, TSV or Parquet file, or a folder with `train.csv`.
    pub data: PathBuf,
    /// Where the data are fetched from, when they are not on this machine; `data` is then its name alone.
    #[serde(default)]
    pub source: Option<SourceOptions>,
    /// The user's words.
    pub request: Option<String>,
    /// Target column, when the user named it.
    pub target: Option<String>,
    /// Id column, when the user named it.
    pub id: Option<String>,
    /// Metric, when the user named it.
    pub metric: Option<String>,
    /// Metric, when the user brought one along.
    #[serde(default)]
    pub metric_file: Option<FunctionFile>,
    /// Checks of the submission that the user brought along.
    #[serde(default)]
    pub checks: Vec<FunctionFile>,
    /// Test file, when the user named it.
    pub test: Option<PathBuf>,
    /// Sample submission, when the user named it.
    pub sample: Option<PathBuf>,
    /// Where everything goes.
    pub out: PathBuf,
    /// The run's id.
    pub run: RunId,
    /// Hard limits.
    pub budget: Budget,
    /// Trials at once.
    pub jobs: usize,
    /// The seed.
    pub seed: Seed,
    /// What makes the walls around solution code.
    #[serde(default)]
    pub sandbox: BackendChoice,
    /// Whether anything below level L3 is refused.
    pub strict: bool,
    /// Memory folder; `None` switches memory off.
    pub memory: Option<PathBuf>,
    /// State of the program: worker environments and the like.
    pub home: PathBuf,
    /// A plan to carry out instead of the playbook's.
    pub plan: Option<PathBuf>,
    /// Stop after the plan is shown.
    pub dry_run: bool,
    /// GPUs to use.
    #[serde(default)]
    pub gpus: GpuAsk,
    /// A cluster for what trains.
    #[serde(default)]
    pub ray: Option<RayOptions>,
    /// What is wanted otherwise from the start: columns and solutions that are left out, and the like.
    #[serde(default)]
    pub steer: Vec<Steer>,
    /// The language model; `None` leaves all decisions to the playbook.
    #[serde(default)]
    pub llm: Option<LlmOptions>,
    /// Whether somebody is there to be asked back when the words leave open what is wanted.
    #[serde(default)]
    pub asks_back: bool,
    /// Answers that the language model gave before the run began, while its plan was made; they are not paid twice.
    #[serde(default)]
    pub given: Vec<Given>,
    /// Where configurations of solutions come from.
    #[serde(default)]
    pub search: Method,
}

/// An answer that was got before the run began.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Given {
    /// The event of the call.
    pub event: Event,
    /// The answer, as its blob holds it.
    pub answer: String,
}

/// Data that are fetched from elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceOptions {
    /// What was typed: an address, `openml:…`, `hf:…`.
    pub named: String,
    /// How sources are reached and what they may bring.
    pub settings: ansatz_sources::Settings,
}

/// Which GPUs a run uses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GpuAsk {
    /// None: the result is then the same on every machine.
    #[default]
    None,
    /// Those that are free, for tables that are large enough to gain by it.
    Auto,
    /// So many, or no run.
    Count(u16),
}

/// A language model to think with. Its keys are not among this: they are handed over apart, for options are journalled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LlmOptions {
    /// Its endpoints.
    pub setup: Setup,
    /// Whether the run stops when it cannot be used.
    pub is_required: bool,
    /// What its tokens cost.
    pub prices: PriceTable,
    /// The user's own wordings of prompts.
    pub prompts: Option<PathBuf>,
    /// Base URL of a search endpoint that knows pages about the task.
    #[serde(default)]
    pub search: Option<String>,
    /// Where its calls are recorded.
    pub record: Option<PathBuf>,
    /// A recording to play instead of calling it.
    pub replay: Option<PathBuf>,
}

/// Secrets that a run needs; never written down, so whoever resumes a run brings them again.
#[derive(Clone, Default)]
pub struct Keys {
    /// Token of the Ray cluster.
    pub ray: Option<Secret>,
    /// Keys of the language model's endpoints, in their order.
    pub llm: Vec<Option<Secret>>,
    /// Token of Hugging Face.
    pub hf: Option<Secret>,
}

/// Time after which a run without any limit ends.
pub const WALL_DEFAULT: std::time::Duration = std::time::Duration::from_mins(5);

impl Options {
    /// What is asked of the sandbox.
    pub fn launcher(&self) -> LauncherOptions {
        let level_min = if self.strict { Level::L3 } else { Level::L1 };
        LauncherOptions { backend: self.sandbox, level_min, ..LauncherOptions::default() }
    }

    /// Whether the run counts trials rather than seconds, which makes it deterministic.
    pub fn deterministic(&self) -> bool {
        self.budget.trials.is_some()
    }
}
