//! What crosses: a batch as a file in its package, the end of a trial as JSON with arrays.

use crate::protocol::Order;
use crate::worker::{TrialFailure, TrialOutput};
use ansatz_core::candidate::Space;
use ansatz_core::event::FailureKind;
use ansatz_core::matrix::Matrix;
use ansatz_core::npy;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Changes when the two sides of the wire would not understand each other; they are the same program, but a share or a
/// package may be older.
pub const WIRE: u32 = 1;
/// The batch's file in its package.
pub const BATCH_FILE: &str = "batch.json";
/// Name of the array that holds predictions.
pub const PREDICTIONS: &str = "predictions";
/// Name of the array that holds a model.
pub const MODEL: &str = "model";
/// Most values of one prediction array.
const VALUES_MAX: usize = 400_000_000;

/// A batch, as its node reads it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BatchFile {
    /// [`WIRE`].
    pub wire: u32,
    /// Trials at once.
    pub slots: usize,
    /// Graphics processors that the batch was given.
    pub gpus: u32,
    /// Bytes of arrays that the log takes.
    pub log_bytes_max: u64,
    /// The folder that everybody sees.
    pub share: Option<PathBuf>,
    /// Where the data lie in it, when they are too large for a package.
    pub data: Option<PathBuf>,
    /// Whether a node below level L3 must refuse.
    pub strict: bool,
    /// The trials.
    pub trials: Vec<BatchTrial>,
}

/// One trial of a batch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BatchTrial {
    /// The order, as for a worker on this machine.
    pub order: Order,
    /// Files of the package that hold its sealed arrays, in the order of `order.sealed`.
    pub sealed: Vec<String>,
}

/// The end of a trial, without its arrays.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "end", rename_all = "snake_case")]
pub enum TrialEnd {
    /// It gave something.
    Done {
        /// Rows of the predictions of one stage.
        rows: usize,
        /// Values of the stages.
        stage_values: Vec<f64>,
        /// Wall time on the node.
        wall_s: f64,
        /// Processor time.
        cpu_s: f64,
        /// The search space, when it was asked for.
        space: Option<Space>,
        /// Whether features are computed row by row, when asked.
        row_by_row: Option<bool>,
    },
    /// It gave nothing.
    Failed {
        /// What kind.
        kind: FailureKind,
        /// In words.
        message: String,
        /// Processor time.
        cpu_s: f64,
    },
}

impl TrialEnd {
    /// The end of a trial, and its arrays.
    pub fn of(result: Result<TrialOutput, TrialFailure>) -> (Self, Vec<(&'static str, Vec<u8>)>) {
        let output = match result {
            Ok(output) => output,
            Err(TrialFailure { kind, message, cpu_s, .. }) => {
                return (Self::Failed { kind, message, cpu_s }, Vec::new());
            }
        };
        let rows = output.stages.first().map_or(0, Matrix::rows);
        let mut arrays = Vec::new();
        if let Some(stacked) = stack(&output.stages) {
            arrays.push((PREDICTIONS, npy::write_matrix(&stacked)));
        }
        if let Some(model) = output.model {
            arrays.push((MODEL, model));
        }
        let end = Self::Done {
            rows,
            stage_values: output.stage_values,
            wall_s: output.wall_s,
            cpu_s: output.cpu_s,
            space: output.space,
            row_by_row: output.row_by_row,
        };
        (end, arrays)
    }

    /// The result of a trial as if it had run here; `start_s` is what its batch needed to begin, which belongs to what a
    /// trial costs. Everything is checked again: what a node says is no better than what a cell says.
    ///
    /// # Errors
    /// [`TrialFailure`] when the trial failed, or its arrays are not what they should be.
    pub fn result(
        self,
        order: &Order,
        arrays: Result<BTreeMap<String, Vec<u8>>, String>,
        start_s: f64,
    ) -> Result<TrialOutput, TrialFailure> {
        let (rows, stage_values, wall_s, cpu_s, space, row_by_row) = match self {
            Self::Done { rows, stage_values, wall_s, cpu_s, space, row_by_row } => {
                (rows, stage_values, wall_s + start_s, cpu_s, space, row_by_row)
            }
            Self::Failed { kind, message, cpu_s } => {
                return Err(TrialFailure { kind, message, cpu_s, worker_lost: false });
            }
        };
        let refused = |message: String| TrialFailure {
            kind: FailureKind::Predictions,
            message,
            cpu_s,
            worker_lost: false,
        };
        let mut arrays = arrays.map_err(&refused)?;
        let stages = match arrays.remove(PREDICTIONS) {
            Some(bytes) => unstack(&bytes, rows, order.task.outputs).map_err(&refused)?,
            None if order.order == crate::protocol::OrderKind::Fit => {
                return Err(refused("its predictions did not come".into()));
            }
            None => Vec::new(),
        };
        if stages.len() != stage_values.len() || stage_values.iter().any(|value| !value.is_finite()) {
            return Err(refused("its stages are not those of its predictions".into()));
        }
        let model = arrays.remove(MODEL);
        Ok(TrialOutput { stages, stage_values, model, wall_s, cpu_s, space, row_by_row })
    }
}

fn stack(stages: &[Matrix]) -> Option<Matrix> {
    let first = stages.first()?;
    let data: Vec<f64> = stages.iter().flat_map(|stage| stage.data().iter().copied()).collect();
    Matrix::new(first.rows() * stages.len(), first.columns(), data)
}

fn unstack(bytes: &[u8], rows: usize, outputs: usize) -> Result<Vec<Matrix>, String> {
    let all = npy::read(bytes, VALUES_MAX).map_err(|error| error.to_string())?;
    let all = all.into_matrix().map_err(|error| error.to_string())?;
    if rows == 0 || all.columns() != outputs || all.rows() == 0 || all.rows() % rows != 0 {
        let shape = (all.rows(), all.columns());
        return Err(format!("predictions have shape {shape:?} for {rows} rows and {outputs} outputs"));
    }
    if all.data().iter().any(|value| !value.is_finite()) {
        return Err("a prediction is not a finite number".into());
    }
    let size = rows * outputs;
    Ok(all.data().chunks(size).filter_map(|chunk| Matrix::new(rows, outputs, chunk.to_vec())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{OrderKind, TaskBrief};
    use ansatz_core::task::Problem;

    fn order() -> Order {
        Order {
            order: OrderKind::Fit,
            trial: 7,
            solution: None,
            params: BTreeMap::new(),
            seed: 1,
            threads: 1,
            task: TaskBrief {
                problem: Problem::Binary,
                metric: "roc_auc".into(),
                outputs: 1,
                classes: 2,
                higher_is_better: true,
            },
            drop: Vec::new(),
            sealed: Vec::new(),
            deadline_s: 10.0,
            timed: false,
            keep_model: true,
            stage: None,
            model: None,
            out: "/out/t7".into(),
        }
    }

    fn output() -> TrialOutput {
        TrialOutput {
            stages: vec![Matrix::column(vec![0.1, 0.2, 0.3]), Matrix::column(vec![0.4, 0.5, 1.0 / 3.0])],
            stage_values: vec![50.0, 100.0],
            model: Some(b"model".to_vec()),
            wall_s: 1.5,
            cpu_s: 1.25,
            space: None,
            row_by_row: None,
        }
    }

    /// As JSON and bytes, there and back.
    fn crossed(
        change: impl FnOnce(&mut TrialEnd, &mut BTreeMap<String, Vec<u8>>),
    ) -> Result<TrialOutput, TrialFailure> {
        let (end, arrays) = TrialEnd::of(Ok(output()));
        let text = serde_json::to_string(&end).unwrap();
        let mut end: TrialEnd = serde_json::from_str(&text).unwrap();
        let mut arrays = arrays.into_iter().map(|(name, bytes)| (name.to_owned(), bytes)).collect();
        change(&mut end, &mut arrays);
        end.result(&order(), Ok(arrays), 4.0)
    }

    #[test]
    fn a_result_crosses_bit_by_bit() {
        let there = output();
        let back = crossed(|_, _| {}).unwrap();
        assert_eq!(
            (&back.stages, &back.stage_values, &back.model),
            (&there.stages, &there.stage_values, &there.model)
        );
        assert_eq!((back.wall_s, back.cpu_s), (5.5, 1.25));
    }

    #[test]
    fn what_a_node_says_is_checked_as_what_a_cell_says() {
        let refused = |change: fn(&mut TrialEnd, &mut BTreeMap<String, Vec<u8>>)| {
            let failure = crossed(change).unwrap_err();
            assert_eq!(failure.kind, FailureKind::Predictions);
            failure.message
        };
        assert!(refused(|_, arrays| drop(arrays.remove(PREDICTIONS))).contains("did not come"));
        assert!(refused(|_, arrays| drop(arrays.insert(PREDICTIONS.into(), b"junk".to_vec()))).len() > 3);
        let not_finite = npy::write_matrix(&Matrix::column(vec![f64::NAN; 6]));
        let (mut end, _) = TrialEnd::of(Ok(output()));
        let arrays = BTreeMap::from([(PREDICTIONS.to_owned(), not_finite)]);
        let failure = end.clone().result(&order(), Ok(arrays.clone()), 0.0).unwrap_err();
        assert!(failure.message.contains("not a finite number"));
        if let TrialEnd::Done { rows, .. } = &mut end {
            *rows = 4;
        }
        assert!(end.clone().result(&order(), Ok(arrays), 0.0).unwrap_err().message.contains("for 4 rows"));
        assert_eq!(end.result(&order(), Err("pieces".into()), 0.0).unwrap_err().message, "pieces");
    }

    #[test]
    fn a_failure_crosses_with_its_kind() {
        let failure =
            TrialFailure { kind: FailureKind::Memory, message: "m".into(), cpu_s: 2.0, worker_lost: false };
        let (end, arrays) = TrialEnd::of(Err(failure.clone()));
        assert!(arrays.is_empty());
        assert_eq!(end.result(&order(), Ok(BTreeMap::new()), 0.0).unwrap_err(), failure);
    }
}
