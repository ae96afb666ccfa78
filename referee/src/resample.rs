//! Bootstrap replicates as counts: how often each row (or each whole group of rows) occurs.
//!
//! Counts are independent Poisson draws, which for the sizes at hand is the usual bootstrap and needs no sorting.

use ansatz_core::task::Problem;
use rand::{Rng, RngCore};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;

/// Above this rate a rounded normal draw stands in for a Poisson one.
const POISSON_RATE_MAX: f64 = 30.0;

/// One more than the largest number of 16 bits.
const SIXTEEN_BITS: u32 = 1 << 16;

/// With fewer rows of a class than this, classes are drawn apart, so that no replicate lacks one.
const FEW_OF_A_CLASS: usize = 30;

/// What is drawn as one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resampling {
    /// Each row by itself.
    Rows,
    /// Each row by itself, as many of each class as there are. One stratum number per row.
    Strata(Vec<u32>),
    /// Whole groups, or blocks of time. One unit number per row.
    Units(Vec<u32>),
}

impl Resampling {
    /// What suits the rows: groups stay whole, times are drawn in blocks, few rows of a class are kept in number.
    pub fn suited(problem: Problem, truth: &[f64], groups: Option<&[i64]>, times: Option<&[f64]>) -> Self {
        if let Some(groups) = groups {
            return Self::Units(dense(groups));
        }
        if let Some(times) = times {
            return Self::Units(blocks(times));
        }
        if !problem.is_classification() {
            return Self::Rows;
        }
        let classes: Vec<i64> = truth.iter().map(|class| *class as i64).collect();
        let strata = dense(&classes);
        let mut sizes = vec![0; strata.iter().max().map_or(0, |last| *last as usize + 1)];
        for stratum in &strata {
            sizes[*stratum as usize] += 1;
        }
        if sizes.iter().any(|size| *size < FEW_OF_A_CLASS) { Self::Strata(strata) } else { Self::Rows }
    }

    /// Number of things drawn, for so many rows.
    pub(crate) fn size(&self, rows: usize) -> usize {
        match self {
            Self::Rows | Self::Strata(_) => rows,
            Self::Units(units) => units.iter().max().map_or(0, |last| *last as usize + 1),
        }
    }

    /// The part of these rows, e.g. for a subsample.
    pub(crate) fn take(&self, rows: &[usize]) -> Self {
        let part = |of: &[u32]| -> Vec<u32> {
            dense(&rows.iter().map(|&row| i64::from(of[row])).collect::<Vec<_>>())
        };
        match self {
            Self::Rows => Self::Rows,
            Self::Strata(strata) => Self::Strata(part(strata)),
            Self::Units(units) => Self::Units(part(units)),
        }
    }
}

/// Numbers 0, 1, … in the order of the values.
fn dense(values: &[i64]) -> Vec<u32> {
    let mut numbers: BTreeMap<i64, u32> = values.iter().map(|value| (*value, 0)).collect();
    for (at, number) in numbers.values_mut().enumerate() {
        *number = at as u32;
    }
    values.iter().map(|value| numbers[value]).collect()
}

/// Blocks of neighbouring moments, as many rows each as the cube root of all: the usual rate for the block bootstrap.
fn blocks(times: &[f64]) -> Vec<u32> {
    let mut order: Vec<usize> = (0..times.len()).collect();
    order.sort_by(|&a, &b| times[a].total_cmp(&times[b]));
    let length = (times.len() as f64).cbrt().ceil().max(1.0) as usize;
    let mut blocks = vec![0; times.len()];
    for (at, row) in order.into_iter().enumerate() {
        blocks[row] = (at / length) as u32;
    }
    blocks
}

/// Draws counts of one expected size.
pub(crate) struct Sampler<'a> {
    resampling: &'a Resampling,
    rate: f64,
    poisson: Poisson,
    /// Rows of each stratum; units drawn but not yet spread over their rows.
    strata: Vec<Vec<u32>>,
    units: Vec<u32>,
}

impl<'a> Sampler<'a> {
    /// A sampler of `rate` times as many rows as there are, on average.
    pub(crate) fn new(resampling: &'a Resampling, rows: usize, rate: f64) -> Self {
        let mut strata = Vec::new();
        if let Resampling::Strata(of) = resampling {
            strata.resize(of.iter().max().map_or(0, |last| *last as usize + 1), Vec::new());
            for (row, stratum) in of.iter().enumerate() {
                strata[*stratum as usize].push(row as u32);
            }
        }
        let units =
            vec![0; if matches!(resampling, Resampling::Units(_)) { resampling.size(rows) } else { 0 }];
        Self { resampling, rate, poisson: Poisson::new(rate), strata, units }
    }

    /// Fills `counts`, one per row.
    pub(crate) fn draw(&mut self, counts: &mut [u32], rng: &mut ChaCha8Rng) {
        match self.resampling {
            Resampling::Rows => self.poisson.fill(counts, rng),
            Resampling::Units(unit) => {
                self.poisson.fill(&mut self.units, rng);
                for (count, unit) in counts.iter_mut().zip(unit) {
                    *count = self.units[*unit as usize];
                }
            }
            Resampling::Strata(_) => {
                counts.fill(0);
                for rows in &self.strata {
                    let draws = ((rows.len() as f64 * self.rate).round() as usize).max(1);
                    for _ in 0..draws {
                        counts[rows[rng.random_range(0..rows.len())] as usize] += 1;
                    }
                }
            }
        }
    }
}

/// Poisson counts of one rate, from 16 random bits each: the upper eight find the count or the one just below it.
pub(crate) struct Poisson {
    rate: f64,
    /// Count at the lowest value of each upper byte.
    guide: Vec<u8>,
    /// A draw of at least `edges[count]` is above `count`.
    edges: Vec<u32>,
}

impl Poisson {
    /// Prepares the tables.
    pub(crate) fn new(rate: f64) -> Self {
        let (mut guide, mut edges) = (Vec::new(), Vec::new());
        if rate <= POISSON_RATE_MAX {
            let (mut probability, mut below) = ((-rate).exp(), 0.0);
            // The last edge lies above every draw of 16 bits.
            while edges.last() != Some(&SIXTEEN_BITS) && edges.len() < usize::from(u8::MAX) {
                below += probability;
                edges.push((below * f64::from(SIXTEEN_BITS)).round() as u32);
                probability *= rate / edges.len() as f64;
            }
            guide = (0..256_u32).map(|byte| edges.partition_point(|edge| *edge <= byte << 8) as u8).collect();
        }
        Self { rate, guide, edges }
    }

    /// Fills a slice with independent counts.
    pub(crate) fn fill(&self, counts: &mut [u32], rng: &mut ChaCha8Rng) {
        if self.guide.is_empty() {
            for count in counts {
                *count = rounded_normal(self.rate, rng);
            }
            return;
        }
        let mut bytes = [0_u8; 2048];
        for chunk in counts.chunks_mut(bytes.len() / 2) {
            rng.fill_bytes(&mut bytes[..2 * chunk.len()]);
            for (at, count) in chunk.iter_mut().enumerate() {
                *count = self.count(bytes[2 * at], bytes[2 * at + 1]);
            }
        }
    }

    #[inline]
    fn count(&self, upper: u8, lower: u8) -> u32 {
        let draw = (u32::from(upper) << 8) | u32::from(lower);
        let mut count = self.guide[usize::from(upper)];
        while draw >= self.edges[usize::from(count)] {
            count += 1;
        }
        u32::from(count)
    }

    /// One count of any rate.
    pub(crate) fn draw_once(rate: f64, rng: &mut ChaCha8Rng) -> u32 {
        if rate > POISSON_RATE_MAX {
            return rounded_normal(rate, rng);
        }
        let (limit, mut product, mut count) = ((-rate).exp(), rng.random::<f64>(), 0);
        while product > limit {
            product *= rng.random::<f64>();
            count += 1;
        }
        count
    }
}

/// A normal draw with mean and variance `rate`, by the method of Box and Muller, rounded, not below 0.
fn rounded_normal(rate: f64, rng: &mut ChaCha8Rng) -> u32 {
    let radius = (-2.0 * (1.0 - rng.random::<f64>()).ln()).sqrt();
    let standard = radius * (std::f64::consts::TAU * rng.random::<f64>()).cos();
    (rate + standard * rate.sqrt()).round().max(0.0) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    fn moments(draws: &[u32]) -> (f64, f64) {
        let mean = draws.iter().map(|&draw| f64::from(draw)).sum::<f64>() / draws.len() as f64;
        let variance =
            draws.iter().map(|&draw| (f64::from(draw) - mean).powi(2)).sum::<f64>() / draws.len() as f64;
        (mean, variance)
    }

    #[test]
    fn counts_have_the_mean_and_variance_of_poisson() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for rate in [0.05, 1.0, 7.5, 200.0] {
            let mut draws = vec![0; 40_000];
            Poisson::new(rate).fill(&mut draws, &mut rng);
            let once: Vec<u32> = (0..40_000).map(|_| Poisson::draw_once(rate, &mut rng)).collect();
            for (mean, variance) in [moments(&draws), moments(&once)] {
                assert!((mean / rate - 1.0).abs() < 0.08, "mean {mean} of rate {rate}");
                assert!((variance / rate - 1.0).abs() < 0.1, "variance {variance} of rate {rate}");
            }
        }
    }

    #[test]
    fn strata_keep_their_numbers_and_units_stay_whole() {
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        let truth: Vec<f64> = (0..100).map(|row| f64::from(u8::from(row < 5))).collect();
        let strata = Resampling::suited(Problem::Binary, &truth, None, None);
        let mut counts = vec![0; 100];
        Sampler::new(&strata, 100, 1.0).draw(&mut counts, &mut rng);
        assert_eq!((counts[..5].iter().sum::<u32>(), counts[5..].iter().sum::<u32>()), (5, 95));
        let groups: Vec<i64> = (0..100).map(|row| row / 10).collect();
        let units = Resampling::suited(Problem::Binary, &truth, Some(&groups), None);
        Sampler::new(&units, 100, 1.0).draw(&mut counts, &mut rng);
        assert!(counts.chunks(10).all(|unit| unit.iter().all(|count| *count == unit[0])));
    }

    #[test]
    fn times_are_drawn_in_blocks_of_neighbours() {
        let times: Vec<f64> = (0..1000).rev().map(f64::from).collect();
        let Resampling::Units(units) = Resampling::suited(Problem::Regression, &times, None, Some(&times))
        else {
            panic!("times want units");
        };
        assert_eq!((units[999], units[990], units[989], units[0]), (0, 0, 1, 99));
    }
}
