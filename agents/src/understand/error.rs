//! Why a request cannot become a task, and what the user can do about it.

use ansatz_core::task::Problem;

/// A request that cannot become a task.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{kind}")]
pub struct UnderstandError {
    /// What is wrong.
    pub kind: UnderstandErrorKind,
    hint: String,
}

/// What is wrong with a request.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum UnderstandErrorKind {
    /// A column was named that the training file does not have.
    #[error("{role} column `{column}` is not in the training file")]
    ColumnAbsent {
        /// `target` or `id`.
        role: &'static str,
        /// The name that was given.
        column: String,
    },
    /// No column can be the target.
    #[error("no column of the training file can be the target")]
    NoTarget,
    /// The target has one value or none.
    #[error("target column `{column}` has {}", if *.distinct == 0 { "no value at all" } else { "the same value in every row" })]
    TargetConstant {
        /// The target.
        column: String,
        /// Its distinct values.
        distinct: u64,
    },
    /// The target cannot be predicted by this version.
    #[error("target column `{column}` {problem}")]
    TargetUnfit {
        /// The target.
        column: String,
        /// What is wrong with it.
        problem: String,
    },
    /// There is too little to learn from or to judge with.
    #[error("the training file has {rows} rows; at least {rows_min} are needed")]
    TooFewRows {
        /// Rows of the training file.
        rows: u64,
        /// The least number.
        rows_min: u64,
    },
    /// Nothing was asked for that a model could do.
    #[error("this does not read as a request for a model: {why}")]
    NoRequest {
        /// Why not, in a language model's words.
        why: String,
    },
    /// The words leave open what is to be predicted.
    #[error("{question}")]
    Unclear {
        /// What has to be known, in a language model's words.
        question: String,
    },
    /// A metric was named that is not known.
    #[error("metric `{name}` is not known")]
    MetricUnknown {
        /// The name that was given.
        name: String,
    },
    /// The metric does not fit what is to be predicted.
    #[error("metric `{metric}` does not fit {}: {why}", problem_words(*.problem))]
    MetricUnfit {
        /// The metric.
        metric: String,
        /// What is to be predicted.
        problem: Problem,
        /// Why not.
        why: String,
    },
    /// The sample submission has columns that mean nothing here.
    #[error("sample submission: {problem}")]
    SampleUnexplained {
        /// Which columns, and what was looked for.
        problem: String,
    },
    /// The test file lacks columns that are needed.
    #[error("test file lacks column{} {} of the training file", if .columns.len() == 1 { "" } else { "s" }, quoted(.columns))]
    TestLacks {
        /// The missing columns.
        columns: Vec<String>,
    },
    /// Nothing is left to predict from.
    #[error("no column is left to predict `{target}` from")]
    NoFeatures {
        /// The target.
        target: String,
    },
}

impl UnderstandError {
    pub(crate) fn new(kind: UnderstandErrorKind, hint: impl Into<String>) -> Self {
        Self { kind, hint: hint.into() }
    }

    /// What the user can do about it, for a person to read.
    pub fn hint(&self) -> Option<&str> {
        Some(self.hint.as_str()).filter(|hint| !hint.is_empty())
    }

    /// Whether the command line is at fault, rather than the data.
    pub fn is_usage(&self) -> bool {
        matches!(
            self.kind,
            UnderstandErrorKind::ColumnAbsent { .. }
                | UnderstandErrorKind::MetricUnknown { .. }
                | UnderstandErrorKind::MetricUnfit { .. }
                | UnderstandErrorKind::NoRequest { .. }
                | UnderstandErrorKind::Unclear { .. }
        )
    }

    /// What somebody who is there could be asked.
    pub fn question(&self) -> Option<&str> {
        match &self.kind {
            UnderstandErrorKind::Unclear { question } => Some(question),
            _ => None,
        }
    }
}

/// A problem type in words, with its article.
pub(crate) fn problem_words(problem: Problem) -> &'static str {
    match problem {
        Problem::Binary => "a target of two classes",
        Problem::Multiclass => "a target of several classes",
        Problem::Regression => "a numeric target",
    }
}

/// Up to ten names in backticks.
pub(crate) fn quoted<S: AsRef<str>>(names: &[S]) -> String {
    const SHOWN_MAX: usize = 10;
    let mut shown: Vec<String> =
        names.iter().take(SHOWN_MAX).map(|name| format!("`{}`", name.as_ref())).collect();
    if names.len() > SHOWN_MAX {
        shown.push(format!("and {} more", names.len() - SHOWN_MAX));
    }
    shown.join(", ")
}
