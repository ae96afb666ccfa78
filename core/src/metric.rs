//! What a score is: the [`Metric`] trait, its direction, and what kind of prediction it wants.

use crate::matrix::Matrix;
use serde::{Deserialize, Serialize};

/// Which way is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Larger is better.
    Maximize,
    /// Smaller is better.
    Minimize,
}

impl Direction {
    /// Whether `a` is better than `b`. NaN is better than nothing.
    pub fn better(self, a: f64, b: f64) -> bool {
        match self {
            Self::Maximize => a > b,
            Self::Minimize => a < b,
        }
    }

    /// `value` turned so that larger is better.
    pub fn gain(self, value: f64) -> f64 {
        match self {
            Self::Maximize => value,
            Self::Minimize => -value,
        }
    }
}

/// What a metric reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PredictionKind {
    /// One column of class indices.
    Label,
    /// Binary: one column, the probability (or any rising score) of class 1. Multiclass: one column per class.
    Probability,
    /// One column of real values.
    Value,
}

/// A metric by name, with what everybody needs to know about it without computing it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetricSpec {
    /// scikit-learn's scorer name without `neg_`, plus `rmsle`, `smape` and the like.
    pub name: String,
    /// Which way is better.
    pub direction: Direction,
    /// What it reads.
    pub reads: PredictionKind,
}

/// Why a score cannot be computed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum MetricError {
    /// Truth and predictions do not match in length or width.
    #[error("expected {expected} but found {found}")]
    Shape {
        /// The shape that the metric wants.
        expected: String,
        /// The shape that came.
        found: String,
    },
    /// The score has no value here, e.g. ROC AUC of one class.
    #[error("undefined: {0}")]
    Undefined(String),
    /// A prediction or a truth value is not allowed, e.g. NaN, or below -1 for RMSLE.
    #[error("row {row}: {problem}")]
    Value {
        /// Row of the offending value, from 0.
        row: usize,
        /// What is wrong with it.
        problem: String,
    },
}

/// A way to score predictions against the truth. Implementations live in `referee`.
pub trait Metric: Send + Sync {
    /// Name, direction, and what it reads.
    fn spec(&self) -> &MetricSpec;

    /// The score. `truth` holds class indices (0, 1, …) or real values, one per row; `predictions` has the shape
    /// that [`PredictionKind`] says; `weights`, when given, holds one non-negative weight per row (bootstrap
    /// replicates are weights).
    ///
    /// # Errors
    /// [`MetricError`] when shapes differ, a value is not allowed, or the score is undefined.
    fn score(&self, truth: &[f64], predictions: &Matrix, weights: Option<&[f64]>)
    -> Result<f64, MetricError>;

    /// The scores of several weightings of the same rows, `counts[i][row]` telling how often a row occurs; `None` where
    /// a score is undefined. A metric that is dear to call answers them all at once.
    fn scores(&self, truth: &[f64], predictions: &Matrix, counts: &[Vec<u32>]) -> Vec<Option<f64>> {
        let one = |counts: &Vec<u32>| {
            let weights: Vec<f64> = counts.iter().map(|&count| f64::from(count)).collect();
            self.score(truth, predictions, Some(&weights)).ok()
        };
        counts.iter().map(one).collect()
    }
}
