//! What was asked, in types.

use crate::metric::MetricSpec;
use serde::{Deserialize, Serialize};

/// What kind of answer is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Problem {
    /// Two classes.
    Binary,
    /// Three or more classes.
    Multiclass,
    /// A real number.
    Regression,
}

impl Problem {
    /// Whether the target is a class.
    pub fn is_classification(self) -> bool {
        !matches!(self, Self::Regression)
    }
}

/// What one output column of the submission holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SubmissionKind {
    /// The class itself, as text.
    Label,
    /// The probability of the positive class.
    Probability,
    /// One column per class with its probability.
    ClassProbabilities,
    /// A real value.
    Value,
}

/// The file that is to be handed in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubmissionFormat {
    /// Name of the id column, when there is one.
    pub id: Option<String>,
    /// Names of the other columns, in order.
    pub columns: Vec<String>,
    /// What they hold.
    pub kind: SubmissionKind,
}

/// Wishes about the model beyond its score. `None` is no wish.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Constraints {
    /// Time for one prediction, in milliseconds.
    pub latency_ms_max: Option<f64>,
    /// Size of the packaged model, in bytes.
    pub model_bytes_max: Option<u64>,
    /// A model that a person can read was asked for.
    pub interpretable: bool,
    /// The score to reach, by the task's metric.
    #[serde(default)]
    pub score: Option<f64>,
}

/// How the reason of an [`Inference`] begins that rests on a language model's reading of the request.
pub const BY_MODEL: &str = "understood by the language model";

/// Something that was concluded rather than said, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inference {
    /// Which field of the task.
    pub field: String,
    /// What was concluded.
    pub value: String,
    /// The reason, for a person to read.
    pub because: String,
}

/// What was asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// A short name: the folder or file name.
    pub name: String,
    /// The user's own words, and the task text found beside the data.
    pub request: String,
    /// What kind of answer is wanted.
    pub problem: Problem,
    /// Name of the target column.
    pub target: String,
    /// Name of the id column, when there is one.
    pub id: Option<String>,
    /// How predictions are scored.
    pub metric: MetricSpec,
    /// Labels of a classification in the order of their indices; for binary problems the positive one is last.
    pub classes: Vec<String>,
    /// Wishes beyond the score.
    pub constraints: Constraints,
    /// What the submission looks like; `None` without a test file.
    pub submission: Option<SubmissionFormat>,
    /// What was concluded and why.
    pub inferred: Vec<Inference>,
}

impl Task {
    /// Number of prediction columns: classes of a multiclass problem, else 1.
    pub fn outputs(&self) -> usize {
        if self.problem == Problem::Multiclass { self.classes.len() } else { 1 }
    }
}
