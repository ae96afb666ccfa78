//! The few facts about a table that the playbook's rules ask for.

use ansatz_core::profile::{Column, ColumnKind, Profile};
use ansatz_core::task::Task;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What kind of table it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataShape {
    /// Training rows.
    pub rows: u64,
    /// Training rows times prediction columns: what training costs grows with it.
    pub work: u64,
    /// Feature columns of numbers.
    pub numeric: u64,
    /// Feature columns of categories, numbers that are codes among them.
    pub categorical: u64,
    /// Feature columns of moments in time.
    pub datetime: u64,
    /// Feature columns of free text.
    pub text: u64,
}

impl DataShape {
    /// The shape of a task's data. Columns that only the training file has, and constant ones, are no features.
    pub fn of(task: &Task, profile: &Profile) -> Self {
        let is_feature = |column: &&Column| {
            column.in_train
                && column.in_test
                && column.kind != ColumnKind::Constant
                && column.name != task.target
                && Some(&column.name) != task.id.as_ref()
        };
        let mut shape = Self {
            rows: profile.train_rows,
            work: profile.train_rows * task.outputs().max(1) as u64,
            numeric: 0,
            categorical: 0,
            datetime: 0,
            text: 0,
        };
        let codes = codes(task);
        for column in profile.columns.iter().filter(is_feature) {
            match column.kind {
                ColumnKind::Numeric if codes.contains(column.name.as_str()) => shape.categorical += 1,
                ColumnKind::Numeric => shape.numeric += 1,
                ColumnKind::Categorical => shape.categorical += 1,
                ColumnKind::Datetime => shape.datetime += 1,
                ColumnKind::Text => shape.text += 1,
                ColumnKind::Constant => {}
            }
        }
        shape
    }

    /// Feature columns.
    pub fn columns(&self) -> u64 {
        self.numeric + self.categorical + self.datetime + self.text
    }

    /// Whether categories can be encoded in more than one way.
    pub fn has_categories(&self) -> bool {
        self.categorical + self.text > 0
    }
}

/// Columns of whole numbers that the task holds to be codes.
fn codes(task: &Task) -> BTreeSet<&str> {
    let of_codes = task.inferred.iter().filter(|inference| inference.field == "categorical");
    of_codes.map(|inference| inference.value.as_str()).collect()
}
