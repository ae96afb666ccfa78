//! The lines that host and worker exchange (`worker/PROTOCOL.md`), as types.

use ansatz_agents::understand::OBJECTIVE;
use ansatz_core::candidate::{Params, Solution, Space};
use ansatz_core::metric::Direction;
use ansatz_core::profile::Notice;
use ansatz_core::task::{Problem, Task};
use ansatz_referee::metrics;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a solution is told about the task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskBrief {
    /// Kind of problem.
    pub problem: Problem,
    /// Metric name.
    pub metric: String,
    /// Prediction columns.
    pub outputs: usize,
    /// Number of classes; 0 for regression.
    pub classes: usize,
    /// Whether larger scores are better.
    pub higher_is_better: bool,
}

impl TaskBrief {
    /// The brief of a task. A metric that is not of the catalogue is told by the one that trainings aim at in its place.
    pub fn of(task: &Task) -> Self {
        let objective = task.inferred.iter().find(|inference| inference.field == OBJECTIVE);
        let stand_in = objective.and_then(|objective| metrics::lookup(&objective.value).ok());
        let metric = stand_in.as_deref().map_or(&task.metric, |metric| metric.spec());
        Self {
            problem: task.problem,
            metric: metric.name.clone(),
            outputs: task.outputs(),
            classes: task.classes.len(),
            higher_is_better: metric.direction == Direction::Maximize,
        }
    }
}

/// What a child is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderKind {
    /// Fit on training rows, predict other rows.
    Fit,
    /// Prove that features are computed row by row.
    Check,
    /// Load a kept model and predict.
    Predict,
    /// Tell the search space.
    Space,
}

/// An order to a child.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(clippy::struct_field_names, reason = "the protocol's own name for the kind of order")]
pub struct Order {
    /// What to do.
    pub order: OrderKind,
    /// The trial's number.
    pub trial: u32,
    /// The code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub solution: Option<Solution>,
    /// Its parameters.
    #[serde(default)]
    pub params: Params,
    /// Its seed.
    pub seed: u32,
    /// Threads it may use.
    pub threads: u32,
    /// The task.
    pub task: TaskBrief,
    /// Columns it does not get.
    pub drop: Vec<String>,
    /// Names of the sealed descriptors, in order.
    pub sealed: Vec<String>,
    /// Seconds until it is ended.
    pub deadline_s: f64,
    /// Whether the run's time decides: only then may a trial be ended for its pace, before its deadline. A run that counts
    /// trials must give the same again on a slower machine.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub timed: bool,
    /// Whether the fitted model is written.
    pub keep_model: bool,
    /// Train exactly to this stage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stage: Option<f64>,
    /// Model file for `predict`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Its folder.
    pub out: String,
}

/// What a child says.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum ChildEvent {
    /// How far a training is.
    Progress {
        /// Rounds or epochs so far.
        step: f64,
        /// The solution's own number; for display only.
        #[serde(default)]
        value: Option<f64>,
        /// How many rounds or epochs there will be.
        #[serde(default)]
        of: Option<f64>,
        /// Whether the solution's loss was not a finite number.
        #[serde(default)]
        diverged: bool,
    },
    /// Success.
    Done {
        /// File of predictions in the trial's folder.
        #[serde(default)]
        predictions: Option<String>,
        /// File of the fitted model in the trial's folder.
        #[serde(default)]
        model: Option<String>,
        /// Points at which training could have been stopped.
        #[serde(default)]
        stages: Vec<f64>,
        /// Search space, when asked for.
        #[serde(default)]
        space: Option<Space>,
        /// Whether features are computed row by row, when asked for.
        #[serde(default)]
        row_by_row: Option<bool>,
    },
    /// Failure.
    Failed {
        /// What kind.
        kind: String,
        /// One line.
        message: String,
        /// Where in the code.
        #[serde(default)]
        traceback: String,
    },
}

/// What the zygote says.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum ZygoteEvent {
    /// Libraries are imported.
    Ready {
        /// Threads of the process; must be 1.
        threads: u32,
        /// Versions of the libraries.
        versions: BTreeMap<String, String>,
        /// Seconds the imports took.
        seconds: f64,
    },
    /// Arrays are mapped.
    Loaded {
        /// Rows of the frame.
        rows: usize,
    },
    /// A child ended.
    Exited {
        /// Its trial.
        trial: u32,
        /// Its exit code, when it exited.
        #[serde(default)]
        status: Option<i32>,
        /// The signal that ended it, if one did.
        #[serde(default)]
        signal: Option<i32>,
    },
    /// A request could not be met.
    #[serde(alias = "refused")]
    Failed {
        /// Why.
        message: String,
    },
}

/// What the reader says.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum ReaderEvent {
    /// Files are parsed.
    Read {
        /// The profile's file.
        profile: String,
    },
    /// Arrays are written.
    Written {
        /// Rows, when a new file was applied.
        #[serde(default)]
        rows: Option<usize>,
        /// Further tables that were joined.
        #[serde(default)]
        tables: usize,
        /// What is to be told.
        #[serde(default)]
        notices: Vec<Notice>,
    },
    /// Evidence is computed.
    Evidence {
        /// Its file.
        file: String,
    },
    /// The user's files are not usable.
    Refused {
        /// A constant word.
        code: String,
        /// One line.
        message: String,
        /// What to do.
        #[serde(default)]
        hint: Option<String>,
    },
    /// Our own code failed.
    Failed {
        /// One line.
        message: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines that the worker's tests read too, so that the two sides cannot drift.
    fn golden(name: &str) -> Vec<String> {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../worker/testdata/").to_owned() + name;
        let text = std::fs::read_to_string(&path).expect("golden lines");
        text.lines().map(ToOwned::to_owned).collect()
    }

    fn events(name: &str) -> Vec<String> {
        golden(name).into_iter().filter(|line| line.starts_with("{\"event\"")).collect()
    }

    #[test]
    fn the_workers_golden_lines_are_understood() {
        for line in events("reader.jsonl") {
            serde_json::from_str::<ReaderEvent>(&line).unwrap_or_else(|error| panic!("{line}: {error}"));
        }
        for line in events("zygote.jsonl") {
            serde_json::from_str::<ZygoteEvent>(&line).unwrap_or_else(|error| panic!("{line}: {error}"));
        }
        for line in events("child.jsonl").iter().filter(|line| !line.contains("\"hello\"")) {
            serde_json::from_str::<ChildEvent>(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        }
    }

    #[test]
    fn orders_are_written_as_the_worker_reads_them() {
        for line in golden("child.jsonl").iter().filter(|line| line.starts_with("{\"order\":\"fit\"")) {
            let order: Order = serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"));
            let written: serde_json::Value = serde_json::to_value(&order).expect("JSON");
            assert_eq!(written, serde_json::from_str::<serde_json::Value>(line).expect("JSON"));
        }
    }

    #[test]
    fn a_score_that_a_child_claims_is_not_even_read() {
        let honest = r#"{"event":"done","predictions":"pred.npy","stages":[0.0]}"#;
        let boastful = r#"{"event":"done","predictions":"pred.npy","stages":[0.0],"score":1.0,"info":{"final_score":1.0}}"#;
        let read = |line| serde_json::from_str::<ChildEvent>(line).expect("a line of ours");
        assert_eq!(read(honest), read(boastful));
    }
}
