//! Candidates: solution code, its parameters, and where they came from.

use crate::ids::CandidateId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Parameter values by name; numbers, texts, truth values.
pub type Params = BTreeMap<String, serde_json::Value>;

/// The code of a solution.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Solution {
    /// A module of the worker package, by its name below `ansatz_worker.solutions`.
    Builtin(String),
    /// Source text that keeps the solution contract.
    Source {
        /// A short name.
        name: String,
        /// The Python source.
        code: String,
    },
}

impl Solution {
    /// The short name.
    pub fn name(&self) -> &str {
        match self {
            Self::Builtin(name) | Self::Source { name, .. } => name,
        }
    }
}

/// Who had the idea.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The built-in playbook's own settings.
    Playbook,
    /// The reference model that lift is measured against.
    Baseline,
    /// Remembered from an earlier run on a like task.
    Memory,
    /// The search over a solution's space.
    Search,
    /// A language model.
    Model,
    /// A combination of other candidates.
    Ensemble,
}

/// A guess that can be checked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// Its number within the run.
    pub id: CandidateId,
    /// Its code.
    pub solution: Solution,
    /// Its parameters.
    pub params: Params,
    /// Who had the idea.
    pub origin: Origin,
}

/// One dimension of a solution's search space, as the solution's `SPACE` declares it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Dimension {
    /// A real number from `low` to `high`, both included.
    Float {
        /// Lower end.
        low: f64,
        /// Upper end.
        high: f64,
        /// Searched on a logarithmic scale.
        #[serde(default)]
        log: bool,
        /// Where to start.
        default: f64,
    },
    /// A whole number from `low` to `high`, both included.
    Int {
        /// Lower end.
        low: i64,
        /// Upper end.
        high: i64,
        /// Searched on a logarithmic scale.
        #[serde(default)]
        log: bool,
        /// Where to start.
        default: i64,
    },
    /// One of some values.
    Categorical {
        /// The values.
        values: Vec<serde_json::Value>,
        /// Where to start.
        default: serde_json::Value,
    },
}

/// A solution's search space by parameter name.
pub type Space = BTreeMap<String, Dimension>;
