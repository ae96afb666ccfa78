//! What a run may spend, and what it has spent.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Hard limits of a run. A limit that is `None` does not bind.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Budget {
    /// Wall time from start to return, the finalising reserve included.
    pub wall: Option<Duration>,
    /// Number of trials; with it a run is deterministic.
    pub trials: Option<u32>,
    /// Tokens of language models, input and output together.
    pub tokens: Option<u64>,
    /// Money for language models.
    pub usd: Option<f64>,
}

impl Budget {
    /// Seconds of a run that is limited by time alone. What is decided by them changes nothing where trials are counted.
    pub fn seconds(&self) -> Option<u64> {
        self.wall.filter(|_| self.trials.is_none()).map(|wall| wall.as_secs())
    }
}

/// What a run has spent so far.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Spent {
    /// Wall time, downtime between a crash and its resumption not counted.
    pub wall_s: f64,
    /// Processor time of all cells.
    pub worker_cpu_s: f64,
    /// Trials started.
    pub trials: u32,
    /// Calls of language models.
    pub llm_calls: u32,
    /// Tokens sent.
    pub tokens_in: u64,
    /// Tokens received.
    pub tokens_out: u64,
    /// Money spent; `None` when a price is unknown.
    pub usd: Option<f64>,
}
