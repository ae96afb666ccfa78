//! Sobol points: as random as chance, but spread evenly over the space.
//!
//! Joe & Kuo's direction numbers ("Constructing Sobol sequences with better two-dimensional projections", 2008), each
//! dimension scrambled by nested uniform scrambling as in Burley, "Practical hash-based Owen scrambling" (2020).

use super::fresh;
use crate::sampler::{History, Move, Sampler};
use crate::space::{Point, Space};
use rand::Rng;

/// Polynomials and first direction numbers of dimensions 2, 3, …; the first dimension needs none.
const DIRECTIONS: &[(u32, &[u32])] = &[
    (0, &[1]),
    (1, &[1, 3]),
    (1, &[1, 3, 1]),
    (2, &[1, 1, 1]),
    (1, &[1, 1, 3, 3]),
    (4, &[1, 3, 5, 13]),
    (2, &[1, 1, 5, 5, 17]),
    (4, &[1, 1, 5, 5, 5]),
    (7, &[1, 1, 7, 11, 19]),
    (11, &[1, 1, 5, 1, 1]),
    (13, &[1, 1, 1, 3, 11]),
    (14, &[1, 3, 5, 5, 31]),
    (1, &[1, 3, 3, 9, 7, 49]),
    (13, &[1, 1, 1, 15, 21, 21]),
    (16, &[1, 3, 1, 13, 27, 49]),
    (19, &[1, 1, 1, 15, 7, 5]),
    (22, &[1, 3, 1, 15, 13, 25]),
    (25, &[1, 1, 5, 5, 19, 61]),
    (1, &[1, 3, 7, 11, 23, 15, 103]),
    (4, &[1, 3, 7, 13, 13, 15, 69]),
    (7, &[1, 1, 3, 13, 7, 35, 63]),
    (8, &[1, 3, 5, 9, 1, 25, 53]),
    (14, &[1, 3, 1, 13, 9, 35, 107]),
    (19, &[1, 3, 1, 5, 27, 61, 31]),
    (21, &[1, 1, 5, 11, 19, 41, 61]),
    (28, &[1, 3, 5, 3, 3, 13, 69]),
    (31, &[1, 1, 7, 13, 1, 19, 1]),
    (32, &[1, 3, 7, 5, 13, 19, 59]),
    (37, &[1, 1, 3, 9, 25, 29, 41]),
    (41, &[1, 3, 5, 13, 23, 1, 55]),
    (42, &[1, 3, 7, 3, 13, 59, 17]),
    (50, &[1, 3, 1, 3, 5, 53, 69]),
    (55, &[1, 1, 5, 5, 23, 33, 13]),
    (56, &[1, 1, 7, 7, 1, 61, 123]),
    (59, &[1, 1, 7, 9, 13, 61, 49]),
    (62, &[1, 3, 3, 5, 3, 55, 33]),
    (14, &[1, 3, 1, 15, 31, 13, 49, 245]),
    (21, &[1, 3, 5, 15, 31, 59, 63, 97]),
    (22, &[1, 3, 1, 11, 11, 11, 77, 249]),
    (38, &[1, 3, 1, 11, 27, 43, 71, 9]),
    (47, &[1, 1, 7, 15, 21, 11, 81, 45]),
    (49, &[1, 3, 7, 3, 25, 31, 65, 79]),
    (50, &[1, 3, 1, 1, 19, 11, 3, 205]),
    (52, &[1, 1, 5, 9, 19, 21, 29, 157]),
    (56, &[1, 3, 7, 11, 1, 33, 89, 185]),
    (67, &[1, 3, 3, 3, 15, 9, 79, 71]),
    (70, &[1, 3, 7, 11, 15, 39, 119, 27]),
    (84, &[1, 1, 3, 1, 11, 31, 97, 225]),
    (97, &[1, 1, 1, 3, 23, 43, 57, 177]),
    (103, &[1, 3, 7, 7, 17, 17, 37, 71]),
    (115, &[1, 3, 1, 5, 27, 63, 123, 213]),
    (122, &[1, 1, 3, 5, 11, 43, 53, 133]),
    (8, &[1, 3, 5, 5, 29, 17, 47, 173, 479]),
    (13, &[1, 3, 3, 11, 3, 1, 109, 9, 69]),
    (16, &[1, 1, 1, 5, 17, 39, 23, 5, 343]),
    (22, &[1, 3, 1, 5, 25, 15, 31, 103, 499]),
    (25, &[1, 1, 1, 11, 11, 17, 63, 105, 183]),
    (44, &[1, 1, 5, 11, 9, 29, 97, 231, 363]),
    (47, &[1, 1, 5, 15, 19, 45, 41, 7, 383]),
    (52, &[1, 3, 7, 7, 31, 19, 83, 137, 221]),
    (55, &[1, 1, 1, 3, 23, 15, 111, 223, 83]),
    (59, &[1, 1, 5, 13, 31, 15, 55, 25, 161]),
    (62, &[1, 1, 3, 13, 25, 47, 39, 87, 257]),
];

/// Dimensions beyond this one are filled by chance.
pub const DIMENSIONS_MAX: usize = DIRECTIONS.len() + 1;
const BITS: usize = 32;

/// One dimension of a scrambled sequence.
#[derive(Debug, Clone)]
struct Column {
    directions: [u32; BITS],
    scramble: u32,
}

impl Column {
    fn new(dimension: usize, scramble: u32) -> Self {
        let mut directions = [0; BITS];
        if dimension == 0 {
            for (bit, direction) in directions.iter_mut().enumerate() {
                *direction = 1 << (BITS - 1 - bit);
            }
            return Self { directions, scramble };
        }
        let (polynomial, first) = DIRECTIONS[dimension - 1];
        let degree = first.len();
        for bit in 0..BITS {
            directions[bit] = if bit < degree {
                first[bit] << (BITS - 1 - bit)
            } else {
                let mut direction = directions[bit - degree] ^ (directions[bit - degree] >> degree);
                for term in 1..degree {
                    if (polynomial >> (degree - 1 - term)) & 1 == 1 {
                        direction ^= directions[bit - term];
                    }
                }
                direction
            };
        }
        Self { directions, scramble }
    }

    fn at(&self, index: u32) -> f64 {
        let mut value = 0;
        for (bit, direction) in self.directions.iter().enumerate() {
            if (index >> bit) & 1 == 1 {
                value ^= direction;
            }
        }
        f64::from(scrambled(value, self.scramble)) / 2f64.powi(BITS as i32)
    }
}

/// Owen's scrambling of binary digits: each digit is flipped as a hash of those before it says.
fn scrambled(value: u32, seed: u32) -> u32 {
    let mut x = value.reverse_bits();
    x = x.wrapping_add(seed);
    x ^= x.wrapping_mul(0x6c50_b47c);
    x ^= x.wrapping_mul(0xb82f_1e52);
    x ^= x.wrapping_mul(0xc7af_e638);
    x ^= x.wrapping_mul(0x8d22_f6e6);
    x.reverse_bits()
}

/// A scrambled sequence over the parameters of a space.
#[derive(Debug, Clone)]
pub struct Sequence {
    columns: Vec<Column>,
}

impl Sequence {
    /// A sequence for `dimensions` parameters; those beyond [`DIMENSIONS_MAX`] get none of it.
    pub fn new(dimensions: usize, rng: &mut impl Rng) -> Self {
        let columns =
            (0..dimensions.min(DIMENSIONS_MAX)).map(|dimension| Column::new(dimension, rng.random()));
        Self { columns: columns.collect() }
    }

    /// The coordinate in [0, 1) of the point with this index, if the sequence has this dimension.
    pub fn unit(&self, index: u32, dimension: usize) -> Option<f64> {
        self.columns.get(dimension).map(|column| column.at(index))
    }

    /// The point of a space with this index: parameters that do not count leave their part of the sequence unused.
    pub fn point(&self, space: &Space, index: u32, rng: &mut impl Rng) -> Point {
        space.fill(|place, _| {
            let axis = &space.axes()[place];
            let unit = self.unit(index, place).unwrap_or_else(|| rng.random());
            match axis.kind() {
                crate::space::AxisKind::Choice => (unit * axis.levels() as f64).floor(),
                _ => axis.coordinate_at(unit),
            }
        })
    }
}

/// Walks along one scrambled Sobol sequence, which depends on the study's seed alone; points tried before are passed
/// over.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sobol;

/// How many points of the sequence are passed over before chance takes over.
const SKIPPED_MAX: u32 = 64;

impl Sampler for Sobol {
    fn name(&self) -> &'static str {
        "sobol"
    }

    fn next(&mut self, seen: &History<'_>) -> Move {
        let mut rng = seen.rng();
        let sequence = Sequence::new(seen.space.len(), &mut fresh(seen.study_seed, "sobol"));
        let first = seen.trials.len() as u32;
        for index in first..first + SKIPPED_MAX {
            let point = sequence.point(seen.space, index, &mut rng);
            if seen.is_open(&point) {
                return point.into();
            }
        }
        seen.draw(&mut rng).map_or(Move::Nothing, Move::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn every_binary_interval_of_every_pair_of_early_dimensions_is_hit_once() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let sequence = Sequence::new(DIMENSIONS_MAX, &mut rng);
        // 256 points hit each of 256 intervals once, in every dimension.
        for dimension in 0..DIMENSIONS_MAX {
            let mut hits = [0; 256];
            for index in 0..256 {
                hits[(sequence.unit(index, dimension).unwrap() * 256.0) as usize] += 1;
            }
            assert!(hits.iter().all(|count| *count == 1), "dimension {dimension}");
        }
        // The first two form a (0, m, 2)-net: each of 16 × 16 squares is hit once.
        let mut squares = [0; 256];
        for index in 0..256 {
            let at = |dimension| (sequence.unit(index, dimension).unwrap() * 16.0) as usize;
            squares[at(0) * 16 + at(1)] += 1;
        }
        assert!(squares.iter().all(|count| *count == 1));
    }

    #[test]
    fn an_integral_is_met_better_than_by_chance() {
        let error = |points: &dyn Fn(u32, usize) -> f64| {
            let product = |index| (0..6).map(|d| 2.0 * points(index, d)).product::<f64>();
            ((0..1024).map(product).sum::<f64>() / 1024.0 - 1.0).abs()
        };
        let (mut even, mut chance) = (0.0, 0.0);
        for seed in 0..10 {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let sequence = Sequence::new(6, &mut rng);
            even += error(&|index, d| sequence.unit(index, d).unwrap());
            let numbers: Vec<f64> = (0..1024 * 6).map(|_| rng.random()).collect();
            chance += error(&|index, d| numbers[index as usize * 6 + d]);
        }
        assert!(even < chance / 4.0, "{even} against {chance}");
    }
}
