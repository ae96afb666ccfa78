//! How the test file was drawn, read off its times and groups.

use super::SplitInput;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The test lies later when at most this share of the training rows comes after its first moment.
const OVERLAP_SHARE_MAX: f64 = 0.01;

/// The first moment of the test has this share of the test rows before it: a few dates that are wrong hide nothing.
const EARLY_SHARE: f64 = 0.01;

/// Times of a smaller share of the rows say nothing about all of them.
const TIMED_SHARE_MIN: f64 = 0.5;

/// Groups are new when at most this share of the test rows that have one has a group of the training file.
const KNOWN_SHARE_MAX: f64 = 0.05;

/// Fewer runs than this share of what a random mixture would show make the test a matter of periods.
const RUNS_SHARE_MAX: f64 = 0.2;

/// Fewer distinct moments than this say nothing about time.
const MOMENTS_MIN: usize = 10;

/// How rows are set apart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scheme {
    /// Row by row, at random.
    #[default]
    Rows,
    /// At random, but copies of one row stay together.
    Copies,
    /// Whole groups: what is to be predicted belongs to groups that the training file has not.
    Groups,
    /// The last part of time: what is to be predicted lies later.
    Last,
    /// The last part of each period: training and test periods alternate.
    PeriodTails,
}

impl Scheme {
    /// In words, for a person to read.
    pub fn words(self) -> &'static str {
        match self {
            Self::Rows => "rows at random, stratified by the target",
            Self::Copies => "rows at random, stratified by the target, copies of a row together",
            Self::Groups => "whole groups, because what is to be predicted belongs to other groups",
            Self::Last => "the last rows in time, because what is to be predicted lies later",
            Self::PeriodTails => "the end of each period, because training and test periods alternate",
        }
    }
}

/// The scheme that imitates the test file. Without a test, whoever gives groups or times has said that the rows to be
/// predicted belong to other groups, or lie later.
pub fn scheme(input: &SplitInput<'_>) -> Scheme {
    let by_time = input.times.and_then(|times| by_time(input, times));
    if by_time == Some(Scheme::Last) {
        return Scheme::Last;
    }
    if input.groups.is_some_and(|groups| are_new(groups, input.test_groups)) {
        return Scheme::Groups;
    }
    by_time.unwrap_or(if input.copies.is_some() { Scheme::Copies } else { Scheme::Rows })
}

/// Whether the test belongs to groups that the training file has not; rows without a group tell nothing.
fn are_new(train: &[i64], test: Option<&[i64]>) -> bool {
    let Some(test) = test else { return true };
    let known: BTreeSet<i64> = train.iter().copied().filter(|group| *group >= 0).collect();
    let told = test.iter().filter(|group| **group >= 0).count();
    let seen = test.iter().filter(|group| known.contains(*group)).count();
    told > 0 && seen as f64 <= KNOWN_SHARE_MAX * told as f64
}

fn by_time(input: &SplitInput<'_>, times: &[f64]) -> Option<Scheme> {
    let train: Vec<f64> = input.usable().into_iter().map(|row| times[row]).collect();
    let train = told(&train).filter(|train| distinct(train).len() >= 2)?;
    let Some(test) = input.test_times else { return Some(Scheme::Last) };
    let test = told(test)?;
    let first_test = test[(EARLY_SHARE * test.len() as f64) as usize];
    let after = train.len() - train.partition_point(|time| *time < first_test);
    if after as f64 <= OVERLAP_SHARE_MAX * train.len() as f64 {
        return Some(Scheme::Last);
    }
    alternates(&train, &test).then_some(Scheme::PeriodTails)
}

/// The times that are known, rising; `None` where they are too few to speak for all rows.
fn told(times: &[f64]) -> Option<Vec<f64>> {
    let mut known: Vec<f64> = times.iter().copied().filter(|time| time.is_finite()).collect();
    known.sort_by(f64::total_cmp);
    let speak = !known.is_empty() && known.len() as f64 >= TIMED_SHARE_MIN * times.len() as f64;
    speak.then_some(known)
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

/// Distinct known values, rising.
fn distinct(values: &[f64]) -> Vec<f64> {
    let mut values: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
    values.sort_by(f64::total_cmp);
    values.dedup();
    values
}

/// The rows whose moment is known, in order of time.
pub(super) fn in_time(rows: &[usize], times: &[f64]) -> Vec<usize> {
    let mut ordered: Vec<usize> = rows.iter().copied().filter(|&row| times[row].is_finite()).collect();
    ordered.sort_by(|&a, &b| times[a].total_cmp(&times[b]).then(a.cmp(&b)));
    ordered
}

/// Training rows by period: a period ends where a test moment stands between two training moments. Rows inside a
/// period are in order of time; those without a moment are in none.
pub(super) fn periods(rows: &[usize], times: &[f64], test_times: &[f64]) -> Vec<Vec<usize>> {
    let tests = distinct(test_times);
    let tests_before = |row: usize| tests.partition_point(|&time| time < times[row]);
    in_time(rows, times)
        .chunk_by(|&a, &b| tests_before(a) == tests_before(b))
        .map(<[usize]>::to_vec)
        .collect()
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
    fn a_panel_whose_dates_repeat_is_split_by_time() {
        let panel = |range: std::ops::Range<u32>| -> Vec<f64> {
            range.flat_map(|day| [f64::from(day); 20]).collect()
        };
        check(&panel(0..30), &panel(30..40), Scheme::Last);
    }

    #[test]
    fn missing_and_wrong_dates_do_not_hide_that_the_test_lies_later() {
        let (mut train, mut test) = (moments(0..1000, |_| true), moments(1000..1200, |_| true));
        (train[17], test[3]) = (f64::NAN, f64::NAN);
        test[5] = -50_000.0;
        check(&train, &test, Scheme::Last);
        test[..150].fill(f64::NAN);
        check(&train, &test, Scheme::Rows);
    }

    #[test]
    fn times_without_a_test_mean_that_later_rows_are_to_be_predicted() {
        let (truth, times) = ([0.0; 40], moments(0..40, |_| true));
        let input = SplitInput::new(Problem::Regression, &truth);
        assert_eq!(scheme(&input.with_times(&times, None)), Scheme::Last);
        assert_eq!(scheme(&input.with_times(&[7.0; 40], None)), Scheme::Rows);
    }

    #[test]
    fn new_groups_go_before_periods_and_after_a_later_test() {
        let (train, test) = (moments(0..300, |m| m % 30 < 20), moments(0..300, |m| m % 30 >= 20));
        let truth = vec![0.0; train.len()];
        let groups: Vec<i64> = (0..200).map(|row| row / 20).collect();
        let input = SplitInput::new(Problem::Regression, &truth).with_groups(&groups, Some(&[10, 11]));
        assert_eq!(scheme(&input.with_times(&train, Some(&test))), Scheme::Groups);
        assert_eq!(scheme(&input.with_times(&train, Some(&[500.0, 501.0]))), Scheme::Last);
    }

    #[test]
    fn a_shared_or_missing_group_does_not_hide_that_the_others_are_new() {
        let truth = [0.0; 40];
        let train: Vec<i64> = (0..40).map(|row| if row < 4 { -1 - row } else { row / 4 }).collect();
        let test = |known: usize| -> Vec<i64> {
            (0..100)
                .map(|row| {
                    if row < known {
                        3
                    } else if row < 50 {
                        -100 - row as i64
                    } else {
                        1000
                    }
                })
                .collect()
        };
        let found = |known: usize| {
            let test = test(known);
            scheme(&SplitInput::new(Problem::Regression, &truth).with_groups(&train, Some(&test)))
        };
        assert_eq!((found(0), found(2), found(10)), (Scheme::Groups, Scheme::Groups, Scheme::Rows));
        let missing = [-41_i64, -42];
        let input = SplitInput::new(Problem::Regression, &truth).with_groups(&train, Some(&missing));
        assert_eq!(scheme(&input), Scheme::Rows, "a test without any group tells nothing");
    }

    #[test]
    fn copies_stay_together_where_nothing_else_decides() {
        let truth = [0.0; 4];
        let input = SplitInput::new(Problem::Regression, &truth).with_copies(&[0, 1, 0, 2]);
        assert_eq!(scheme(&input), Scheme::Copies);
        assert_eq!(scheme(&input.with_groups(&[1, 1, 2, 2], None)), Scheme::Groups);
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
