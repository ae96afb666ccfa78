//! Writes `submission.csv` from raw predictions of the test rows.

use crate::error::RunError;
use crate::folder::Folder;
use ansatz_core::matrix::Matrix;
use ansatz_core::task::{SubmissionKind, Task};
use ansatz_core::verdict::Verdict;
use ansatz_referee::decision::Decision;
use ansatz_referee::submission::{self, Expectation};

/// Name of the file.
pub const FILE: &str = "submission.csv";

/// What is needed to write a submission.
#[derive(Debug, Clone, Default)]
pub struct Ids {
    /// Ids of the test rows in file order.
    pub test: Vec<String>,
    /// Ids of the sample submission in its order, when there is one.
    pub sample: Option<Vec<String>>,
    /// Smallest target of the training rows.
    pub target_min: Option<f64>,
}

/// Builds, checks and writes the submission. Nothing is written when the task has none.
///
/// # Errors
/// When predictions and ids do not fit together, or the file cannot be written.
pub fn write(
    folder: &Folder,
    task: &Task,
    ids: &Ids,
    predictions: &Matrix,
    decision: &Decision,
) -> Result<Option<Verdict>, RunError> {
    let Some((csv, verdict)) = compose(task, ids, predictions, decision)? else { return Ok(None) };
    folder.write(FILE, csv.as_bytes())?;
    Ok(Some(verdict))
}

/// Builds and checks the submission: its text, and the verdict on it. `None` when the task has none.
///
/// # Errors
/// When predictions and ids do not fit together.
pub fn compose(
    task: &Task,
    ids: &Ids,
    predictions: &Matrix,
    decision: &Decision,
) -> Result<Option<(String, Verdict)>, RunError> {
    let Some(format) = &task.submission else { return Ok(None) };
    let wanted = Expectation {
        format,
        problem: task.problem,
        classes: &task.classes,
        // Without an id the first column of a sample holds placeholders.
        ids: ids.sample.as_ref().filter(|_| format.id.is_some()).unwrap_or(&ids.test),
        // Targets that are never negative, such as counts and prices, are not predicted as negative.
        value_min: ids.target_min.filter(|low| *low >= 0.0).map(|_| 0.0),
    };
    let labels = (format.kind == SubmissionKind::Label).then(|| decision.labels(predictions).data().to_vec());
    let bounded = if task.problem.is_classification() {
        decision.probabilities(predictions)
    } else {
        bound(&decision.apply(predictions), wanted.value_min)
    };
    let built = submission::build(&wanted, &ids.test, &bounded, labels.as_deref()).map_err(|error| {
        RunError::data(format!("the submission cannot be built: {error}"))
            .hint("ids and columns of the sample submission must be those of the test file")
    })?;
    let verdict = submission::verdict(&built, &wanted);
    Ok(Some((built.to_csv(), verdict)))
}

fn bound(values: &Matrix, low: Option<f64>) -> Matrix {
    let mut bounded = values.clone();
    if let Some(low) = low {
        bounded.data_mut().iter_mut().for_each(|value| *value = value.max(low));
    }
    bounded
}
