//! Trials: configurations that were asked for, and what became of them.

use crate::space::{Params, Point};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// The number of a trial within its study, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TrialNumber(pub u32);

impl fmt::Display for TrialNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Which values are better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Smaller ones.
    Minimize,
    /// Larger ones.
    Maximize,
}

impl Direction {
    /// A value as a loss, of which less is better.
    pub fn loss(self, value: f64) -> f64 {
        match self {
            Self::Minimize => value,
            Self::Maximize => -value,
        }
    }
}

/// Where a trial stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum TrialState {
    /// Somebody is evaluating it.
    Running,
    /// It was evaluated: one finite value for each goal.
    Complete {
        /// The values, in the order of the study's goals.
        values: Vec<f64>,
    },
    /// It was stopped because its reports promised little.
    Pruned,
    /// It gave no number.
    Failed {
        /// Why.
        reason: String,
    },
}

/// One configuration and what became of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Trial {
    /// Its number.
    pub number: TrialNumber,
    /// The configuration.
    pub params: Params,
    /// The same as a point of the study's space.
    pub point: Point,
    /// Who had the idea: the name of a sampler, `chance`, or what the caller said on enqueuing.
    pub origin: String,
    /// What the sampler had to say about it, e.g. that it fell back to chance and why.
    pub note: Option<String>,
    /// The value that somebody expected of it under the first goal, before it was tried.
    pub expected: Option<f64>,
    /// Where it stands.
    pub state: TrialState,
    /// Values reported on the way, by step.
    pub reports: BTreeMap<u64, f64>,
    /// Which trial it was to end, from 0; none while it runs.
    pub ended: Option<u32>,
}

impl Trial {
    /// Its values, if it is complete.
    pub fn values(&self) -> Option<&[f64]> {
        match &self.state {
            TrialState::Complete { values } => Some(values),
            _ => None,
        }
    }

    /// Whether somebody is still evaluating it.
    pub fn is_running(&self) -> bool {
        self.state == TrialState::Running
    }

    /// The last reported value and its step.
    pub fn last_report(&self) -> Option<(u64, f64)> {
        self.reports.last_key_value().map(|(step, value)| (*step, *value))
    }
}

/// How a trial ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// It was evaluated: one value for each goal. Values that are not finite make it a failure.
    Values(Vec<f64>),
    /// It was stopped because its reports promised little.
    Pruned,
    /// It gave no number, for this reason.
    Failed(String),
}

impl From<f64> for Outcome {
    fn from(value: f64) -> Self {
        Self::Values(vec![value])
    }
}
