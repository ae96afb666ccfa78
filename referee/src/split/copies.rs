//! Copies: rows that stand in the training file more than once.
//!
//! A row on one side of a split and its copy on the other make a model look good that learns by heart. Where the test file
//! repeats training rows as often as they repeat each other, a fresh row is as likely to be a copy, and where few distinct
//! rows are possible chance makes rows that are alike, whose targets differ: in both cases there is nothing to keep apart.

use crate::gates::spread_rows;
use std::collections::HashMap;

/// Copies of a smaller share of the rows change no score that matters.
const SHARE_MIN: f64 = 0.01;

/// The test repeats training rows as often as they repeat each other when it does so this many times as often.
const TEST_RATIO_MIN: f64 = 0.5;

/// Fewer copies than this many times what chance makes are chance.
const CHANCE_FACTOR: f64 = 5.0;

/// Of rows that share all features at most this share differs in the target: a copy has the target of its row.
const DIFFERING_MAX: f64 = 0.02;

/// The same, as a share of how often the targets of any two rows differ: where nearly all targets are equal, those of rows
/// that are alike by chance are too.
const DIFFERING_OF_CHANCE_MAX: f64 = 0.1;

/// Chance below this makes no copies in any file that can be read.
const CHANCE_MIN: f64 = 1e-12;

/// Rows by which the chance of agreeing in a column is estimated.
const CHANCE_ROWS_MAX: usize = 10_000;

/// A number for each row that is equal for equal rows, made column by column: training rows first, then test rows.
#[derive(Debug, Clone)]
pub struct Marks {
    of_rows: Vec<u64>,
    train_rows: usize,
    /// The probability that two training rows agree in all columns, if no column depends on another.
    chance: f64,
}

/// Copies that must not be set apart.
#[derive(Debug, Clone, PartialEq)]
pub struct Copies {
    /// For each training row a number that its copies share.
    pub numbers: Vec<i64>,
    /// Share of the training rows that have a copy.
    pub share: f64,
}

impl Copies {
    /// What the user is told.
    pub fn warning(&self) -> String {
        format!(
            "{:.0} % of the training rows stand in the file more than once, their target included; copies of a row are kept on one side of every split",
            self.share * 100.0
        )
    }
}

impl Marks {
    /// Marks of rows of no columns yet.
    pub fn new(train_rows: usize, test_rows: usize) -> Self {
        Self { of_rows: vec![0; train_rows + test_rows], train_rows, chance: 1.0 }
    }

    /// Takes in a column, one value per row. A missing value equals a missing value.
    pub fn add(&mut self, values: &[f64]) {
        for (mark, value) in self.of_rows.iter_mut().zip(values) {
            *mark = together(*mark, bits(*value));
        }
        if self.chance > CHANCE_MIN {
            self.chance *= agreement(&values[..self.train_rows.min(values.len())]);
        }
    }

    /// The copies, when they are so many that they have to be kept together. `truth` has the targets of the training rows:
    /// copies have the same one, nearly always. Rows without a target are not looked at. All rows of the same features get
    /// one number, whatever their targets are: to hand out parts by target would tell one part the answers of another.
    pub fn copies(&self, truth: &[f64]) -> Option<Copies> {
        let usable: Vec<usize> = (0..truth.len()).filter(|&row| truth[row].is_finite()).collect();
        let whole: Vec<u64> =
            truth.iter().zip(&self.of_rows).map(|(target, mark)| together(*mark, bits(*target))).collect();
        let share = repeated(&usable, &whole);
        if share < SHARE_MIN
            || !self.shares_targets(&whole, &usable, truth)
            || self.is_usual(share, &usable, truth)
        {
            return None;
        }
        let mut numbers: HashMap<u64, i64> = HashMap::new();
        let number = |mark: &u64| {
            let next = numbers.len() as i64;
            *numbers.entry(*mark).or_insert(next)
        };
        Some(Copies { numbers: self.of_rows.iter().take(truth.len()).map(number).collect(), share })
    }

    /// Whether rows that share all features share the target too. `whole` marks rows with their targets.
    fn shares_targets(&self, whole: &[u64], usable: &[usize], truth: &[f64]) -> bool {
        let (alike, same) = (counted(usable, &self.of_rows), counted(usable, whole));
        let (mut rows, mut differing) = (0.0, 0.0);
        for &row in usable {
            let others = f64::from(alike[&self.of_rows[row]] - 1);
            if others > 0.0 {
                rows += 1.0;
                differing += 1.0 - f64::from(same[&whole[row]] - 1) / others;
            }
        }
        let targets: Vec<f64> = usable.iter().map(|&row| truth[row]).collect();
        let by_chance = 1.0 - agreement(&targets);
        differing <= rows * DIFFERING_MAX.min(DIFFERING_OF_CHANCE_MAX * by_chance)
    }

    /// Whether fresh rows are copies of training rows as often as training rows are of each other.
    fn is_usual(&self, share: f64, usable: &[usize], truth: &[f64]) -> bool {
        let (train, test) = self.of_rows.split_at(self.train_rows);
        if test.is_empty() {
            let targets: Vec<f64> = usable.iter().map(|&row| truth[row]).collect();
            return share < CHANCE_FACTOR * usable.len() as f64 * self.chance * agreement(&targets);
        }
        let counts = counted(usable, train);
        let known = test.iter().filter(|mark| counts.contains_key(*mark)).count() as f64 / test.len() as f64;
        known >= TEST_RATIO_MIN * repeated(usable, train)
    }
}

/// Share of the rows whose mark another of them has too.
fn repeated(rows: &[usize], marks: &[u64]) -> f64 {
    let counts = counted(rows, marks);
    rows.iter().filter(|&&row| counts[&marks[row]] > 1).count() as f64 / rows.len().max(1) as f64
}

fn counted(rows: &[usize], marks: &[u64]) -> HashMap<u64, u32> {
    let mut counts = HashMap::with_capacity(rows.len());
    for &row in rows {
        *counts.entry(marks[row]).or_insert(0) += 1;
    }
    counts
}

/// The probability that two rows have the same value, from a sample.
fn agreement(values: &[f64]) -> f64 {
    let sample = spread_rows(values.len(), values.len().min(CHANCE_ROWS_MAX));
    let mut sample: Vec<u64> = sample.into_iter().map(|row| bits(values[row])).collect();
    sample.sort_unstable();
    let pairs = |count: usize| count as f64 * (count as f64 - 1.0);
    let equal: f64 = sample.chunk_by(|a, b| a == b).map(|run| pairs(run.len())).sum();
    equal / pairs(sample.len()).max(1.0)
}

/// The bits of a value; one pattern for all that is missing, and one for both zeros.
fn bits(value: f64) -> u64 {
    if value.is_nan() { f64::NAN.to_bits() } else { (value + 0.0).to_bits() }
}

/// One number of two, by the finaliser of `SplitMix64`.
fn together(mark: u64, value: u64) -> u64 {
    let mut z = mark.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(value).wrapping_add(1);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    /// Fine values of which the last rows repeat the first.
    fn repeating(rows: usize, repeats: usize) -> Vec<f64> {
        (0..rows).map(|row| ((row % (rows - repeats)) as f64 * 0.37).sin()).collect()
    }

    fn found(train: &[f64], test: &[f64], truth: &[f64]) -> Option<Copies> {
        let mut marks = Marks::new(train.len(), test.len());
        marks.add(&[train, test].concat());
        marks.copies(truth)
    }

    #[test]
    fn copies_share_a_number_and_nothing_else_does() {
        let train = repeating(1000, 30);
        let copies = found(&train, &[], &train).unwrap();
        assert!((copies.share - 0.06).abs() < 1e-12, "{}", copies.share);
        assert!((0..30).all(|row| copies.numbers[row] == copies.numbers[970 + row]));
        assert_eq!(copies.numbers.iter().collect::<std::collections::BTreeSet<_>>().len(), 970);
        assert!(copies.warning().starts_with("6 % of the training rows"), "{}", copies.warning());
    }

    #[test]
    fn few_copies_and_other_targets_are_left_alone() {
        let train = repeating(1000, 4);
        assert_eq!(found(&train, &[], &train), None);
        let (train, other) = (repeating(1000, 100), (0..1000).map(f64::from).collect::<Vec<_>>());
        assert_eq!(found(&train, &[], &other), None);
    }

    #[test]
    fn a_test_that_repeats_rows_too_makes_copies_usual() {
        let train = repeating(1000, 100);
        let fresh: Vec<f64> = (0..300).map(|row| f64::from(row) + 10.5).collect();
        assert!(found(&train, &fresh, &train).is_some());
        let test: Vec<f64> =
            fresh.iter().enumerate().map(|(row, value)| if row < 60 { train[row] } else { *value }).collect();
        assert_eq!(found(&train, &test, &train), None);
    }

    #[test]
    fn rows_of_few_possible_values_repeat_by_chance() {
        let mut marks = Marks::new(400, 0);
        for column in 0..4_usize {
            marks.add(
                &(0..400).map(|row| ((row * 7919 + column * 31) % (3 + column)) as f64).collect::<Vec<_>>(),
            );
        }
        let truth: Vec<f64> = (0..400).map(|row| f64::from(row % 2)).collect();
        assert_eq!(marks.copies(&truth), None);
    }

    #[test]
    fn columns_that_depend_on_each_other_make_no_copies_of_rows_with_mixed_targets() {
        for positives in [0.5, 0.005] {
            let mut rng = ChaCha8Rng::seed_from_u64(1);
            let mut draw = |values: f64| -> Vec<f64> {
                (0..2000).map(|_| (rng.random::<f64>() * values).floor()).collect()
            };
            let (schooling, city) = (draw(8.0), draw(20.0));
            let truth: Vec<f64> =
                draw(1000.0).iter().map(|drawn| f64::from(u8::from(*drawn < 1000.0 * positives))).collect();
            let mut marks = Marks::new(2000, 0);
            marks.add(&schooling);
            marks.add(&schooling.iter().map(|grade| 2.0 * grade + 1.0).collect::<Vec<_>>());
            marks.add(&city);
            marks.add(&city.iter().map(|city| city % 5.0).collect::<Vec<_>>());
            marks.add(&city.iter().map(|city| (city / 4.0).floor()).collect::<Vec<_>>());
            assert_eq!(marks.copies(&truth), None, "{positives}");
        }
    }

    #[test]
    fn a_copy_whose_target_was_changed_stays_with_its_row_and_many_are_no_copies() {
        let train = repeating(1000, 100);
        let changed = |count: usize| -> Vec<f64> {
            let change = |row: usize| f64::from(u8::from(row >= 1000 - count));
            train.iter().enumerate().map(|(row, value)| value + change(row)).collect()
        };
        let copies = found(&train, &[], &changed(1)).unwrap();
        assert!((900..1000).all(|row| copies.numbers[row] == copies.numbers[row - 900]));
        assert_eq!(found(&train, &[], &changed(5)), None);
    }

    #[test]
    fn missing_values_and_both_zeros_are_equal() {
        let mut marks = Marks::new(4, 0);
        marks.add(&[f64::NAN, -f64::NAN, 0.0, -0.0]);
        assert!(marks.of_rows[0] == marks.of_rows[1] && marks.of_rows[2] == marks.of_rows[3]);
        assert_ne!(marks.of_rows[0], marks.of_rows[2]);
    }
}
