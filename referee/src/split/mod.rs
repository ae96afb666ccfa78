//! Who is trained on, who validates, who stays sealed.
//!
//! The split imitates the test file: rows at random where the test was drawn at random, whole groups where it holds
//! unseen groups, the end of time (or of each period) where it lies later. What is sealed depends on the data alone,
//! never on a run's seed, so that a second run with another seed cannot look at other rows. Nothing here reads a file.

mod deal;
mod folds;
mod holdout;
mod scheme;

pub use folds::{FoldPlan, folds};
pub use holdout::{Holdout, HoldoutPlan, NESTED_BELOW_ROWS, SEALED_ROWS_MAX, SEALED_SHARE, seal};
pub use scheme::{Scheme, scheme};

use ansatz_core::task::Problem;

/// What a split may depend on. All training slices have one entry per row of the training file.
#[derive(Debug, Clone, Copy)]
pub struct SplitInput<'a> {
    /// What kind of target it is.
    pub problem: Problem,
    /// Class indices or values; NaN where missing. Such rows are in no part of any split.
    pub truth: &'a [f64],
    /// Group of each training row, when the data have groups that belong together.
    pub groups: Option<&'a [i64]>,
    /// Group of each test row.
    pub test_groups: Option<&'a [i64]>,
    /// Moment of each training row, in seconds; NaN where missing.
    pub times: Option<&'a [f64]>,
    /// Moment of each test row.
    pub test_times: Option<&'a [f64]>,
}

impl<'a> SplitInput<'a> {
    /// Rows without groups or times.
    pub fn new(problem: Problem, truth: &'a [f64]) -> Self {
        Self { problem, truth, groups: None, test_groups: None, times: None, test_times: None }
    }

    /// With the moments of training and, when there is one, test rows.
    #[must_use]
    pub fn with_times(self, times: &'a [f64], test_times: Option<&'a [f64]>) -> Self {
        Self { times: Some(times), test_times, ..self }
    }

    /// With the groups of training and, when there is one, test rows.
    #[must_use]
    pub fn with_groups(self, groups: &'a [i64], test_groups: Option<&'a [i64]>) -> Self {
        Self { groups: Some(groups), test_groups, ..self }
    }

    /// Numbers of the rows whose target is known.
    pub fn usable(&self) -> Vec<usize> {
        (0..self.truth.len()).filter(|&row| self.truth[row].is_finite()).collect()
    }
}
