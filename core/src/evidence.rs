//! Evidence about leaks: computed by the locked profiling cell on training rows alone, judged by the referee.
//!
//! The Python worker writes this as JSON (`evidence.json`); field names are shared with `worker/`.

use serde::{Deserialize, Serialize};

/// What one feature column says about the target all by itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ColumnEvidence {
    /// The column.
    pub column: String,
    /// How well a small tree on this column alone ranks or predicts the target, cross-validated: ROC AUC
    /// (one-vs-rest mean for several classes) for classes, R² for values.
    pub alone: f64,
    /// The same for a small model on all other columns together; `None` when not computed.
    #[serde(default)]
    pub others: Option<f64>,
    /// Strength of the bare "is it filled?" indicator: ROC AUC folded to 0.5…1, or R² for values.
    pub filled_alone: f64,
    /// Share of filled cells in the training rows.
    pub filled_train: f64,
    /// Share of filled cells in the test rows; `None` without a test file.
    #[serde(default)]
    pub filled_test: Option<f64>,
    /// Share of filled training cells whose value is distinct.
    pub distinct_share: f64,
    /// Whether the column equals the target, or maps one to one onto it (values) on nearly every row.
    pub copies_target: bool,
    /// How well train rows can be told from test rows by this column alone (ROC AUC 0.5…1); `None` without test.
    #[serde(default)]
    pub shift: Option<f64>,
    /// Whether the name or the values look like those of an identifier.
    pub looks_like_id: bool,
    /// How far the strength falls when the column's relation is read in row order only: ROC AUC of the row number
    /// for the target, folded to 0.5…1. A file sorted by its target makes every running number look strong.
    #[serde(default)]
    pub row_order: Option<f64>,
}

/// Evidence about all feature columns.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LeakEvidence {
    /// One entry per feature column.
    pub columns: Vec<ColumnEvidence>,
    /// Rows it was computed on.
    pub rows: u64,
    /// Rows of the test file that stand in the training file too, features compared; a share of the test rows.
    #[serde(default)]
    pub duplicate_test_rows: Option<f64>,
    /// Columns of numbers that give the target together; `None` when there are none, or for classes.
    #[serde(default)]
    pub sum: Option<SumEvidence>,
}

/// What a plain linear regression on the columns of numbers says about a target of numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SumEvidence {
    /// The columns that carry it, the strongest first.
    pub columns: Vec<String>,
    /// Its R², cross-validated.
    pub strength: f64,
    /// Whether it is a plain sum or difference: every weight is 1 or -1.
    pub plain: bool,
    /// R² of a small model on all other columns together, cross-validated; `None` when not computed.
    #[serde(default)]
    pub others: Option<f64>,
}
