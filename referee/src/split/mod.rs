//! Who is trained on, who validates, who stays sealed.
//!
//! The split imitates the test file: rows at random where the test was drawn at random, whole groups where it holds
//! unseen groups, the end of time (or of each period) where it lies later. Copies of one row are never set apart. What is
//! sealed depends on the data alone, never on a run's seed, so that a second run with another seed cannot look at other
//! rows. Nothing here reads a file.

mod copies;
mod deal;
mod folds;
mod holdout;
mod scheme;

pub use copies::{Copies, Marks};
pub use folds::{FoldPlan, folds};
pub use holdout::{CROSS_VALIDATED_BELOW_ROWS, Holdout, HoldoutPlan, SEALED_ROWS_MAX, SEALED_SHARE, seal};
pub use scheme::{Scheme, scheme};

use ansatz_core::task::Problem;
use std::collections::BTreeMap;

/// What a split may depend on. All training slices have one entry per row of the training file.
#[derive(Debug, Clone, Copy)]
pub struct SplitInput<'a> {
    /// What kind of target it is.
    pub problem: Problem,
    /// Class indices or values; NaN where missing. Such rows are in no part of any split.
    pub truth: &'a [f64],
    /// Group of each training row, when the data have groups that belong together, as [`groups_of`] numbers them.
    pub groups: Option<&'a [i64]>,
    /// Group of each test row.
    pub test_groups: Option<&'a [i64]>,
    /// Number of each training row that its copies share, when rows stand in the file more than once.
    pub copies: Option<&'a [i64]>,
    /// Moment of each training row, in seconds; NaN where missing.
    pub times: Option<&'a [f64]>,
    /// Moment of each test row.
    pub test_times: Option<&'a [f64]>,
}

impl<'a> SplitInput<'a> {
    /// Rows without groups or times.
    pub fn new(problem: Problem, truth: &'a [f64]) -> Self {
        Self { problem, truth, groups: None, test_groups: None, copies: None, times: None, test_times: None }
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

    /// With numbers that copies of one row share.
    #[must_use]
    pub fn with_copies(self, copies: &'a [i64]) -> Self {
        Self { copies: Some(copies), ..self }
    }

    /// Numbers of the rows whose target is known.
    pub fn usable(&self) -> Vec<usize> {
        (0..self.truth.len()).filter(|&row| self.truth[row].is_finite()).collect()
    }

    /// For each training row the number of what a scheme keeps together: its group, or the row that it is a copy of.
    pub fn together(&self, scheme: Scheme) -> Option<&'a [i64]> {
        match scheme {
            Scheme::Groups => self.groups,
            Scheme::Copies => self.copies,
            Scheme::Rows | Scheme::Last | Scheme::PeriodTails => None,
        }
    }

    /// The moments of the training rows, under a scheme that respects time.
    pub fn moments(&self, scheme: Scheme) -> Option<&'a [f64]> {
        self.times.filter(|_| matches!(scheme, Scheme::Last | Scheme::PeriodTails))
    }
}

/// Groups from the cells of a column, training rows first: equal values are one group, numbered from 0. A row without a
/// value is a group of its own, numbered below 0: that two rows lack a value does not make them belong together.
pub fn groups_of(values: &[f64]) -> Vec<i64> {
    let mut numbers: BTreeMap<u64, i64> = BTreeMap::new();
    let number = |(row, value): (usize, &f64)| {
        if value.is_nan() {
            return -1 - row as i64;
        }
        let next = numbers.len() as i64;
        // Adding 0 makes one zero of two.
        *numbers.entry((value + 0.0).to_bits()).or_insert(next)
    };
    values.iter().enumerate().map(number).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_group_is_a_group_of_its_own() {
        let groups = groups_of(&[4.0, f64::NAN, 0.0, 4.0, f64::NAN, -0.0]);
        assert_eq!(groups, [0, -2, 1, 0, -5, 1]);
    }
}
