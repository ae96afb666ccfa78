//! Using a delivered model on new rows, in a cell.

use crate::bundle;
use crate::cells;
use crate::environment;
use crate::error::RunError;
use crate::folder::Folder;
use ansatz_sandbox::Launcher;
use std::path::Path;
use std::time::Duration;

/// Longest time for predicting one file.
const PREDICT_MAX: Duration = Duration::from_hours(1);

/// Predictions for a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Prediction {
    /// The predictions as CSV, header included.
    pub csv: Vec<u8>,
    /// Number of predicted rows.
    pub rows: usize,
}

/// Predicts the rows of a table with a run's delivered model.
///
/// What is written: of a run with a test file, what its submission holds. Else the id column if there is one, then the target's
/// column with value or class, and under a metric of probabilities `probability_<class>` of every class (of two: the positive
/// one alone).
///
/// # Errors
/// When the run has no model, or the table lacks a column that the model uses.
pub fn predict(
    run: &Path,
    home: &Path,
    input: &Path,
    progress: &mut dyn FnMut(String),
) -> Result<Prediction, RunError> {
    let folder = Folder::open(run)?;
    let model = folder.path(bundle::FOLDER);
    if !model.join("bundle.json").is_file() {
        return Err(RunError::usage(format!("{} has no delivered model", run.display()))
            .hint("the run was cut before packaging; `ansatz resume` finishes it"));
    }
    if !input.is_file() {
        return Err(RunError::data(format!("{} is not a file", input.display()))
            .hint("give a CSV, TSV or Parquet file with the columns of the training data"));
    }
    // Images are looked for beside the file that names them.
    let beside = input.canonicalize().ok().and_then(|path| path.parent().map(Path::to_path_buf));
    let environment = environment::ensure(home, progress)?;
    let launcher = Launcher::new(cells::helper()?).map_err(|error| cells::sandbox_error(&error))?;
    let csv = bundle::apply(&launcher, &environment, &model, input, beside.as_deref(), None, PREDICT_MAX)?;
    let rows = csv.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).count().saturating_sub(1);
    Ok(Prediction { csv, rows })
}
