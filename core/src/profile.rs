//! The data card: what the locked profiling cell found out about the user's files.
//!
//! The Python worker writes this as JSON (`profile.json`); field names are shared with `worker/`.

use serde::{Deserialize, Serialize};

/// How a column is stored and treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ColumnKind {
    /// Numbers.
    Numeric,
    /// A limited set of values.
    Categorical,
    /// Moments in time, stored as seconds since 1970.
    Datetime,
    /// Free text: mostly distinct, several words.
    Text,
    /// One value or none at all.
    Constant,
}

/// Statistics of one column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is an independent finding about the column")]
pub struct Column {
    /// Name, made unique; as in the header otherwise.
    pub name: String,
    /// How it is stored and treated.
    pub kind: ColumnKind,
    /// Whether the training file has it.
    pub in_train: bool,
    /// Whether the test file has it; true without a test file.
    pub in_test: bool,
    /// Missing cells in the training file, as a share from 0 to 1.
    pub missing_train: f64,
    /// Missing cells in the test file, as a share from 0 to 1.
    pub missing_test: f64,
    /// Distinct values in the training file, missing not counted.
    pub distinct: u64,
    /// Whether all numbers are whole.
    #[serde(default)]
    pub whole: bool,
    /// Smallest number, or first moment; `None` for text.
    #[serde(default)]
    pub min: Option<f64>,
    /// Largest number, or last moment.
    #[serde(default)]
    pub max: Option<f64>,
    /// Mean of the numbers.
    #[serde(default)]
    pub mean: Option<f64>,
    /// Skewness of the numbers.
    #[serde(default)]
    pub skew: Option<f64>,
    /// Most frequent values as text with their counts, each cut to 80 characters: at most 30, of what may be classes all up to 1,000.
    #[serde(default)]
    pub top: Vec<(String, u64)>,
    /// Mean number of characters of the texts.
    #[serde(default)]
    pub mean_length: Option<f64>,
    /// Whether values only rise from row to row, as row numbers do.
    #[serde(default)]
    pub rising: bool,
    /// Share of the test file's distinct values that the training file has too; `None` without a test file.
    #[serde(default)]
    pub test_overlap: Option<f64>,
}

/// The sample submission.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// Column names in order.
    pub columns: Vec<String>,
    /// Number of rows.
    pub rows: u64,
    /// Up to five distinct values of each column.
    pub values: Vec<Vec<String>>,
    /// Distinct values of each column, counted to at most 1,000.
    pub distinct: Vec<u64>,
}

/// A thing about the files that was survived, and what was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// A constant word for the kind: `ragged_rows`, `encoding`, `duplicate_columns`, `all_missing`, …
    pub code: String,
    /// For a person: file, row, column, what was done.
    pub message: String,
}

/// The data card.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    /// Rows of the training file.
    pub train_rows: u64,
    /// Rows of the test file; 0 without one.
    pub test_rows: u64,
    /// All columns of the training file in order, then those that only the test file has.
    pub columns: Vec<Column>,
    /// The sample submission, when there is one.
    #[serde(default)]
    pub sample: Option<Sample>,
    /// What was survived.
    #[serde(default)]
    pub notices: Vec<Notice>,
    /// SHA-256 over the bytes of the training file, as hexadecimal digits.
    pub data_hash: String,
}

impl Profile {
    /// The column of that name.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }
}
