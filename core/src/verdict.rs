//! Verdicts: what was checked, on what, with which evidence.

use serde::{Deserialize, Serialize};

/// The stages at which something is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// What was asked fits the data.
    Request,
    /// The data are what they claim to be; leaks are out.
    Data,
    /// The plan is a sound graph.
    Plan,
    /// Generated code keeps the solution contract.
    Code,
    /// The code ran to its end inside the cell.
    Execution,
    /// Predictions have the right shape and a score.
    Score,
    /// Latency, size and other wishes hold.
    Constraints,
    /// The submission file is what the sample asks for.
    Submission,
    /// The bundle loads in a clean cell and predicts the same.
    Package,
}

/// The outcome of one check.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// When it was checked.
    pub stage: Stage,
    /// What was checked.
    pub subject: String,
    /// Whether it held.
    pub passed: bool,
    /// What was seen, for a person to read.
    pub evidence: String,
}

impl Verdict {
    /// A verdict from its parts.
    pub fn new(stage: Stage, subject: impl Into<String>, passed: bool, evidence: impl Into<String>) -> Self {
        Self { stage, subject: subject.into(), passed, evidence: evidence.into() }
    }
}
