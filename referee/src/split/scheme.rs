//! How the test file was drawn, read off its times and groups.

use super::SplitInput;
use serde::{Deserialize, Serialize};

/// The test lies later when at most this share of the training rows comes after its first moment.
const OVERLAP_SHARE_MAX: f64 = 0.01;

/// Fewer runs than this share of what a random mixture would show make the test a matter of periods.
const RUNS_SHARE_MAX: f64 = 0.2;

/// Fewer distinct moments than this say nothing about time.
const MOMENTS_MIN: usize = 10;

/// How rows are set apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scheme {
    /// Row by row, at random.
    Rows,
    /// Whole groups: the test holds groups that the training file has not.
    Groups,
    /// The last part of time: the test lies later.
    Last,
    /// The last part of each period: training and test periods alternate.
    PeriodTails,
}

impl Scheme {
    /// In words, for a person to read.
    pub fn words(self) -> &'static str {
        match self {
            Self::Rows => "rows at random, stratified by the target",
            Self::Groups => "whole groups, because the test file holds unseen groups",
            Self::Last => "the last rows in time, because the test file lies later",
            Self::PeriodTails => "the end of each period, because training and test periods alternate",
        }
    }
}

/// The scheme that imitates the test file. Without a test, given groups stay whole, and time plays no part.
pub fn scheme(input: &SplitInput<'_>) -> Scheme {
    if let (Some(train), Some(test)) = (input.times, input.test_times)
        && let Some(scheme) = by_time(input, train, test)
    {
        return scheme;
    }
    let unseen = |train: &[i64], test: &[i64]| {
        let known: std::collections::BTreeSet<i64> = train.iter().copied().collect();
        !test.iter().any(|group| known.contains(group))
    };
    match (input.groups, input.test_groups) {
        (Some(train), Some(test)) if !unseen(train, test) => Scheme::Rows,
        (Some(_), _) => Scheme::Groups,
        (None, _) => Scheme::Rows,
    }
}

fn by_time(input: &SplitInput<'_>, train: &[f64], test: &[f64]) -> Option<Scheme> {
    let known = |times: &[f64]| times.iter().all(|time| time.is_finite()) && !times.is_empty();
    let train: Vec<f64> = input.usable().into_iter().map(|row| train[row]).collect();
    if !known(&train) || !known(test) {
        return None;
    }
    let first_test = test.iter().copied().fold(f64::INFINITY, f64::min);
    let after = train.iter().filter(|&&time| time >= first_test).count();
    if distinct(&train).len() >= 2 && after as f64 <= OVERLAP_SHARE_MAX * train.len() as f64 {
        return Some(Scheme::Last);
    }
    alternates(&train, test).then_some(Scheme::PeriodTails)
}

/// Whether training and test moments come in long runs, as by the Wald-Wolfowitz count of runs.
fn alternates(train: &[f64], test: &[f64]) -> bool {
    let (train, test) = (distinct(train), distinct(test));
    if train.len() < MOMENTS_MIN || test.len() < MOMENTS_MIN {
        return false;
    }
    let mut both: Vec<(f64, bool)> =
        train.iter().map(|&time| (time, false)).chain(test.iter().map(|&time| (time, true))).collect();
    both.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let runs = 1 + both.windows(2).filter(|pair| pair[0].1 != pair[1].1).count();
    let (n, m) = (train.len() as f64, test.len() as f64);
    let by_chance = 1.0 + 2.0 * n * m / (n + m);
    (runs as f64) < RUNS_SHARE_MAX * by_chance
}

/// Distinct values, rising.
pub(super) fn distinct(values: &[f64]) -> Vec<f64> {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values.dedup();
    values
}

/// Training rows by period: a period ends where a test moment stands between two training moments. Rows inside a
/// period are in order of time.
pub(super) fn periods(rows: &[usize], times: &[f64], test_times: &[f64]) -> Vec<Vec<usize>> {
    let mut ordered = rows.to_vec();
    ordered.sort_by(|&a, &b| times[a].total_cmp(&times[b]).then(a.cmp(&b)));
    let tests = distinct(test_times);
    let tests_before = |row: usize| tests.partition_point(|&time| time < times[row]);
    ordered.chunk_by(|&a, &b| tests_before(a) == tests_before(b)).map(<[usize]>::to_vec).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ansatz_core::task::Problem;

    fn check(train: &[f64], test: &[f64], expected: Scheme) {
        let truth = vec![0.0; train.len()];
        let input = SplitInput::new(Problem::Regression, &truth).with_times(train, Some(test));
        assert_eq!(scheme(&input), expected);
    }

    fn moments(range: std::ops::Range<u32>, keep: impl Fn(u32) -> bool) -> Vec<f64> {
        range.filter(|&moment| keep(moment)).map(f64::from).collect()
    }

    #[test]
    fn a_later_test_seals_the_end() {
        check(&moments(0..100, |_| true), &moments(100..120, |_| true), Scheme::Last);
    }

    #[test]
    fn a_test_at_the_end_of_each_month_seals_tails() {
        check(&moments(0..300, |m| m % 30 < 20), &moments(0..300, |m| m % 30 >= 20), Scheme::PeriodTails);
    }

    #[test]
    fn a_test_from_the_same_moments_is_random() {
        check(&moments(0..300, |m| m % 3 > 0), &moments(0..300, |m| m % 3 == 0), Scheme::Rows);
        check(&moments(0..300, |_| true), &moments(0..300, |_| true), Scheme::Rows);
    }

    #[test]
    fn groups_stay_whole_when_the_test_knows_none_of_them() {
        let truth = [0.0; 4];
        let mut input = SplitInput::new(Problem::Regression, &truth);
        input.groups = Some(&[1, 1, 2, 2]);
        assert_eq!(scheme(&input), Scheme::Groups);
        input.test_groups = Some(&[3, 4]);
        assert_eq!(scheme(&input), Scheme::Groups);
        input.test_groups = Some(&[2, 4]);
        assert_eq!(scheme(&input), Scheme::Rows);
    }
}
