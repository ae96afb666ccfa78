//! What this host really gives, found by starting a cell and looking, never by reading a version.

use serde::{Deserialize, Serialize};
use std::fmt;

/// How much of the policy a host can enforce.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Level {
    /// Nothing safe: cells are refused.
    L0,
    /// No user name space: Landlock, system call list and resource limits only.
    L1,
    /// Name spaces, system call list and resource limits; memory and processes by limits per process and a watch.
    L2,
    /// Everything, with control groups for memory, processes and processor time.
    L3,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

/// What a host enforces, as a canary cell showed it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Effective {
    /// Who makes the cells: `native`.
    pub backend: String,
    /// The level.
    pub level: Level,
    /// Barriers that held in the canary cell.
    pub enforced: Vec<String>,
    /// What this host cannot give, each with the reason.
    pub missing: Vec<String>,
}
