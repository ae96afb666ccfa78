//! What a run hands to its user: the object written as `result.json`.

use crate::bill::{Bill, Quote, QuoteLine};
use crate::candidate::Origin;
use crate::source::Provenance;
use crate::verdict::Verdict;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// All mandatory steps ran.
    Succeeded,
    /// A cap cut a mandatory step; what there is can be used.
    Partial,
    /// Nothing usable came out.
    Failed,
    /// The user stopped it; what there is was finalised.
    Interrupted,
}

/// The task as the result shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskSummary {
    /// `binary`, `multiclass` or `regression`.
    pub problem: String,
    /// Target column.
    pub target: String,
    /// Id column, when there is one.
    pub id: Option<String>,
    /// Metric name.
    pub metric: String,
    /// Whether larger scores are better.
    pub higher_is_better: bool,
    /// Hash of the metric's file, when the user brought it along.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric_source: Option<String>,
}

/// The score of the delivered model on rows that no candidate ever saw.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Holdout {
    /// The score.
    pub score: f64,
    /// Lower end of its interval.
    pub low: f64,
    /// Upper end of its interval.
    pub high: f64,
    /// Level of the interval, e.g. 0.95.
    pub level: f64,
    /// Number of sealed rows.
    pub rows: u64,
    /// How it was sealed and scored.
    pub method: String,
    /// How often these sealed rows have been looked at, this run included.
    pub looks: u32,
}

/// Where the score of a fresh test file will probably lie.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Expected {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Rows of that test file.
    pub rows: u64,
}

/// A score on validation rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Validation {
    /// The score over all out-of-fold predictions.
    pub score: f64,
}

/// The reference model and what was gained over it, positive being better whatever the metric's direction.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    /// Score of the default LightGBM on the sealed rows.
    pub score: f64,
    /// Gain over it, in the metric's unit.
    pub lift: f64,
    /// Lower end of the paired interval of the gain.
    pub low: f64,
    /// Upper end of the paired interval of the gain.
    pub high: f64,
    /// Score of always giving the same answer.
    pub guessing: Option<f64>,
}

/// What was delivered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Best {
    /// Its name.
    pub candidate: String,
    /// Solution name, `ensemble` or `prior`.
    pub kind: String,
    /// Who had the idea.
    pub origin: Origin,
    /// How the delivered model was trained: `fold_bagged` or `refit_all_rows`.
    pub trained: String,
}

/// A line of the leaderboard.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LeaderboardRow {
    /// Candidate name.
    pub candidate: String,
    /// Who had the idea.
    pub origin: Origin,
    /// Validation score.
    pub score: f64,
    /// Processor seconds spent on it.
    pub seconds: f64,
}

/// What was spent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct BudgetSummary {
    /// Wall time of the run, first-run set-up not counted.
    pub wall_s: f64,
    /// Wall time until a trained model had a valid score.
    pub first_valid_s: Option<f64>,
    /// Processor time of all cells.
    pub worker_cpu_s: f64,
    /// Trials that were run.
    pub trials: u32,
    /// Calls of language models.
    pub llm_calls: u32,
    /// Tokens sent.
    pub tokens_in: u64,
    /// Tokens received.
    pub tokens_out: u64,
    /// Money spent; `None` when a price is unknown.
    pub usd: Option<f64>,
    /// Time for making the worker environment on first need; not part of `wall_s`.
    #[serde(default)]
    pub setup_s: f64,
}

/// What the sandbox really enforced.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SandboxSummary {
    /// Backend name.
    pub backend: String,
    /// `L3` … `L0`.
    pub level: String,
    /// Barriers that held when tried.
    pub enforced: Vec<String>,
    /// Barriers that this host cannot give, with the reason.
    pub missing: Vec<String>,
    /// The cluster that trials ran on, where there was one; level and barriers are then those that hold on all its nodes
    /// and here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<ClusterSummary>,
}

/// What was done on a cluster.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ClusterSummary {
    /// Its software and version.
    pub software: String,
    /// Nodes that ran trials.
    pub nodes: Vec<NodeSummary>,
    /// What makes the cells on this machine, and what ran in them.
    pub here: String,
    /// Batches that were carried through.
    pub batches: u32,
    /// Batches that had to be given out a second time.
    pub batches_again: u32,
    /// Packages that were sent; what the cluster had already is not counted.
    pub packages: u32,
    /// Their bytes.
    pub sent_bytes: u64,
    /// Bytes of logs that were read; a log is read several times as it grows.
    pub read_bytes: u64,
}

/// A node of a cluster.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct NodeSummary {
    /// The cluster's id of it.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What makes its cells.
    pub backend: String,
    /// Their level.
    pub level: String,
    /// Batches that it took.
    pub batches: u32,
    /// Trials that it ended.
    pub trials: u32,
}

/// What a GPU was used for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GpuSummary {
    /// The driver's id of it, `GPU-…`.
    pub id: String,
    /// Product name.
    pub name: String,
    /// All of its memory, in bytes.
    pub memory_bytes: u64,
    /// The largest memory that trials were seen to use there, in bytes; looked at once a second.
    pub memory_peak_bytes: u64,
    /// Trials that ran there.
    pub trials: u32,
    /// Why it was lost during the run, if it was.
    pub lost: Option<String>,
}

/// What a language model contributed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct LlmSummary {
    /// The model.
    pub model: String,
    /// What was spent, by agent and step.
    pub bill: Bill,
    /// What was quoted before the start, beside what it came to.
    pub quote: Vec<QuoteLine>,
    /// Its ideas, with what it predicted and what was measured.
    pub ideas: Vec<IdeaOutcome>,
}

/// An idea of a language model and what came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IdeaOutcome {
    /// Its name.
    pub name: String,
    /// What was to be done.
    pub what: String,
    /// The predicted validation score.
    pub predicted: Option<f64>,
    /// The best measured validation score.
    pub measured: Option<f64>,
    /// Why nothing came of it.
    pub lost: Option<String>,
    /// Whether it is part of what was delivered.
    pub delivered: bool,
}

/// The object written as `result.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunResult {
    /// Run id.
    pub run: String,
    /// How it ended.
    pub status: RunStatus,
    /// The task.
    pub task: Option<TaskSummary>,
    /// The judged score; `None` when there was nothing to judge or no rows to spare.
    pub holdout: Option<Holdout>,
    /// Prediction interval for a fresh test.
    pub expected: Option<Expected>,
    /// Validation score of what was delivered.
    pub validation: Option<Validation>,
    /// Lift over the reference.
    pub baseline: Option<Baseline>,
    /// What was delivered.
    pub best: Option<Best>,
    /// Candidates by validation score.
    pub leaderboard: Vec<LeaderboardRow>,
    /// What was spent.
    pub budget: BudgetSummary,
    /// What was checked.
    pub verdicts: Vec<Verdict>,
    /// What the user should know.
    pub warnings: Vec<String>,
    /// Steps that were not run, with the reason.
    pub skipped: Vec<String>,
    /// What the sandbox enforced.
    pub sandbox: SandboxSummary,
    /// Files by name.
    pub artifacts: BTreeMap<String, String>,
    /// The seed.
    pub seed: u64,
    /// Versions of the program and of the worker's libraries.
    pub versions: BTreeMap<String, String>,
    /// Columns that were dropped as leaks, with the evidence.
    #[serde(default)]
    pub dropped: Vec<DroppedColumn>,
    /// GPUs that were used.
    #[serde(default)]
    pub gpus: Vec<GpuSummary>,
    /// Whether going on would be worth it.
    #[serde(default)]
    pub worth_continuing: Option<String>,
    /// What a language model contributed, where one was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub llm: Option<LlmSummary>,
    /// What a run will probably take, told by a dry run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quote: Option<Quote>,
    /// Where the data came from, when they were fetched.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<Provenance>,
}

/// A column that was not used, and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DroppedColumn {
    /// The column.
    pub column: String,
    /// `leak`, `train_only`, `identifier`, `constant`, …
    pub reason: String,
    /// What was seen.
    pub evidence: String,
}
