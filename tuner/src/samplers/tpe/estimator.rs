//! The density of points: a mixture with one component around each observed point, and one that is spread over the
//! whole space.
//!
//! A component is a product over the parameters. For a parameter that does not count at its own point it is as broad
//! as the space: so one mixture describes a tree of choices, and what was learnt about a parameter is kept wherever
//! that parameter counts.

use crate::numeric::{LN_ROOT_TWO_PI, log_sum_exp, normal_between, normal_quantile};
use crate::space::{Axis, AxisKind, Point, Space};
use rand::Rng;

/// Parameters with at most this many levels keep the probability of each level in a table.
const TABLE_LEVELS_MAX: u64 = 64;

/// A mixture over the points of a space.
#[derive(Debug)]
pub(super) struct Estimator<'a> {
    space: &'a Space,
    /// Logarithms of the components' weights; the last component is the broad one.
    log_weights: Vec<f64>,
    /// Their running sums, for drawing.
    running: Vec<f64>,
    columns: Vec<Column>,
}

/// One parameter in every component.
#[derive(Debug)]
enum Column {
    /// Probabilities of levels.
    Table {
        levels: usize,
        /// Row of each component; the last row is the broad one.
        rows: Vec<u32>,
        /// Logarithms of probabilities, row by row.
        log: Vec<f64>,
    },
    /// Unordered levels too many for a table: one probability for a component's own level, one for all others.
    Choices { levels: u64, own: Vec<f64>, log_own: f64, log_other: f64 },
    /// Truncated normal densities in [0, 1]; a NaN centre stands for the broad component.
    Normal { centres: Vec<f64>, widths: Vec<f64>, log_norms: Vec<f64> },
}

impl<'a> Estimator<'a> {
    /// A mixture around points with weights, and the broad component with its own.
    pub fn new(space: &'a Space, points: &[&Point], weights: &[f64], broad: f64) -> Self {
        let total: f64 = weights.iter().sum::<f64>() + broad;
        let shares: Vec<f64> = weights.iter().chain([&broad]).map(|weight| weight / total).collect();
        let running = shares
            .iter()
            .scan(0.0, |sum, share| {
                *sum += share;
                Some(*sum)
            })
            .collect();
        let columns = space.axes().iter().enumerate().map(|(place, axis)| {
            let own: Vec<f64> = points.iter().map(|point| point.coordinates()[place]).collect();
            Column::new(axis, &own)
        });
        let columns = columns.collect();
        Self { space, log_weights: shares.iter().map(|share| share.ln()).collect(), running, columns }
    }

    /// A point drawn from the mixture.
    pub fn draw(&self, rng: &mut impl Rng) -> Point {
        let at: f64 = rng.random();
        let component = self.running.partition_point(|sum| *sum <= at).min(self.running.len() - 1);
        self.space.fill(|place, _| self.columns[place].draw(component, &self.space.axes()[place], rng))
    }

    /// The logarithm of the density at a point.
    pub fn log_density(&self, point: &Point, scratch: &mut Vec<f64>) -> f64 {
        scratch.clear();
        scratch.extend_from_slice(&self.log_weights);
        for (column, coordinate) in self.columns.iter().zip(point.coordinates()) {
            if !coordinate.is_nan() {
                column.add_log(*coordinate, scratch);
            }
        }
        log_sum_exp(scratch)
    }
}

impl Column {
    fn new(axis: &Axis, own: &[f64]) -> Self {
        let levels = axis.levels();
        match axis.kind() {
            AxisKind::Choice if levels <= TABLE_LEVELS_MAX => Self::choice_table(levels as usize, own),
            AxisKind::Choice => {
                let (log_own, log_other) = choice_logs(levels, own.len());
                let own = own.iter().copied().chain([f64::NAN]).collect();
                Self::Choices { levels, own, log_own, log_other }
            }
            AxisKind::Grid if levels <= TABLE_LEVELS_MAX => Self::grid_table(axis, own),
            AxisKind::Grid | AxisKind::Real => Self::normal(axis, own),
        }
    }

    fn choice_table(levels: usize, own: &[f64]) -> Self {
        let (log_own, log_other) = choice_logs(levels as u64, own.len());
        let mut log = vec![log_other; levels * levels];
        for level in 0..levels {
            log[level * levels + level] = log_own;
        }
        log.extend(std::iter::repeat_n(-(levels as f64).ln(), levels));
        Self::Table { levels, rows: rows(own, levels), log }
    }

    /// Of components with the same level the first reaches down to the next lower level, the last up to the next
    /// higher one, and those between are as narrow as allowed: the more points a level has, the surer it is.
    fn grid_table(axis: &Axis, own: &[f64]) -> Self {
        let levels = axis.levels() as usize;
        let mut counts = vec![0; levels];
        for level in own.iter().filter(|level| !level.is_nan()) {
            counts[*level as usize] += 1;
        }
        let used: Vec<usize> = (0..levels).filter(|level| counts[*level] > 0).collect();
        let cells: Vec<(f64, f64)> = (0..levels).map(|level| axis.cell(level as u64)).collect();
        let mut log = vec![0.0; KINDS * levels * levels];
        for (at, level) in used.iter().enumerate() {
            let place = |level: usize| axis.place(level as f64);
            let centre = place(*level);
            let left = if at > 0 { centre - place(used[at - 1]) } else { 0.0 };
            let right = if at + 1 < used.len() { place(used[at + 1]) - centre } else { 0.0 };
            let kinds = match counts[*level] {
                1 if used.len() == 1 => [1.0; KINDS],
                1 => [left.max(right); KINDS],
                _ => [left, 0.0, right],
            };
            for (kind, width) in kinds.into_iter().enumerate() {
                let width = width.clamp(least_width(own.len()), 1.0);
                let norm = normal_between((0.0 - centre) / width, (1.0 - centre) / width);
                let row = (level * KINDS + kind) * levels;
                for (cell, (from, to)) in cells.iter().enumerate() {
                    let mass = normal_between((from - centre) / width, (to - centre) / width) / norm;
                    log[row + cell] = mass.max(f64::MIN_POSITIVE).ln();
                }
            }
        }
        log.extend(cells.iter().map(|(from, to)| (to - from).max(f64::MIN_POSITIVE).ln()));
        let mut met = vec![0; levels];
        let row = |level: &f64| {
            if level.is_nan() {
                return (KINDS * levels) as u32;
            }
            let level = *level as usize;
            met[level] += 1;
            let kind = if met[level] == 1 { 0 } else { 1 + usize::from(met[level] == counts[level]) };
            (level * KINDS + kind) as u32
        };
        let rows = own.iter().chain([&f64::NAN]).map(row).collect();
        Self::Table { levels, rows, log }
    }

    fn normal(axis: &Axis, own: &[f64]) -> Self {
        let place = |coordinate: &f64| if coordinate.is_nan() { f64::NAN } else { axis.place(*coordinate) };
        let places: Vec<f64> = own.iter().map(place).collect();
        let mut sorted: Vec<f64> = places.iter().copied().filter(|place| !place.is_nan()).collect();
        sorted.sort_unstable_by(f64::total_cmp);
        let spread = neighbour_widths(&sorted, own.len());
        let (mut centres, mut widths, mut log_norms) = (places, Vec::new(), Vec::new());
        centres.push(f64::NAN);
        for centre in &centres {
            if centre.is_nan() {
                widths.push(1.0);
                log_norms.push(0.0);
                continue;
            }
            let at = sorted.partition_point(|other| other < centre).min(sorted.len() - 1);
            let width = spread[at];
            let norm = normal_between((0.0 - centre) / width, (1.0 - centre) / width);
            widths.push(1.0 / width);
            log_norms.push(-(width * norm).ln() - LN_ROOT_TWO_PI);
        }
        Self::Normal { centres, widths, log_norms }
    }

    fn draw(&self, component: usize, axis: &Axis, rng: &mut impl Rng) -> f64 {
        match self {
            Self::Table { levels, rows, log } => {
                let row = rows[component] as usize * levels;
                let mut left: f64 = rng.random();
                for (level, log) in log[row..row + levels].iter().enumerate() {
                    left -= log.exp();
                    if left < 0.0 {
                        return level as f64;
                    }
                }
                // Rounding left a crumb; the row's most probable level is not far from wrong.
                (rows[component] as usize).min(levels - 1) as f64
            }
            Self::Choices { levels, own, log_own, .. } => {
                let own = own[component];
                if !own.is_nan() && rng.random_bool(log_own.exp().min(1.0)) {
                    return own;
                }
                rng.random_range(0..*levels) as f64
            }
            Self::Normal { centres, widths, .. } => {
                let (centre, width) = (centres[component], 1.0 / widths[component]);
                if centre.is_nan() {
                    return axis.coordinate_at(rng.random());
                }
                let from = crate::numeric::normal_below((0.0 - centre) / width);
                let to = crate::numeric::normal_below((1.0 - centre) / width);
                let place = centre + width * normal_quantile(from + rng.random::<f64>() * (to - from));
                axis.coordinate_at(place)
            }
        }
    }

    /// Adds the logarithm of each component's density at a coordinate.
    fn add_log(&self, coordinate: f64, sums: &mut [f64]) {
        match self {
            Self::Table { levels, rows, log } => {
                let level = coordinate as usize;
                for (sum, row) in sums.iter_mut().zip(rows) {
                    *sum += log[*row as usize * levels + level];
                }
            }
            Self::Choices { levels, own, log_own, log_other } => {
                let broad = -(*levels as f64).ln();
                for (sum, own) in sums.iter_mut().zip(own) {
                    *sum += if own.is_nan() {
                        broad
                    } else if *own == coordinate {
                        *log_own
                    } else {
                        *log_other
                    };
                }
            }
            Self::Normal { centres, widths, log_norms } => {
                for (((sum, centre), width), log_norm) in
                    sums.iter_mut().zip(centres).zip(widths).zip(log_norms)
                {
                    let z = (coordinate - centre) * width;
                    // The broad component has density 1 everywhere.
                    *sum += if z.is_nan() { 0.0 } else { log_norm - 0.5 * z * z };
                }
            }
        }
    }
}

fn rows(own: &[f64], levels: usize) -> Vec<u32> {
    let row = |level: &f64| if level.is_nan() { levels as u32 } else { *level as u32 };
    own.iter().map(row).chain([levels as u32]).collect()
}

/// Logarithms of the probability of a component's own level and of any other: every level has a share of one, the
/// own one more the more points there are.
fn choice_logs(levels: u64, points: usize) -> (f64, f64) {
    let share = 1.0 / (points as f64 + 1.0);
    let total = 1.0 + levels as f64 * share;
    (((1.0 + share) / total).ln(), (share / total).ln())
}

/// Widths that a component may have on the way from one level to the next.
const KINDS: usize = 3;

/// No component among so many is narrower, in units of the range.
fn least_width(points: usize) -> f64 {
    1.0 / (points as f64 + 2.0).min(100.0)
}

/// For each of sorted places the distance to the farther of its two neighbours, within limits.
fn neighbour_widths(sorted: &[f64], points: usize) -> Vec<f64> {
    (0..sorted.len())
        .map(|at| {
            let left = if at > 0 { sorted[at] - sorted[at - 1] } else { 0.0 };
            let right = if at + 1 < sorted.len() { sorted[at + 1] - sorted[at] } else { 0.0 };
            let alone = if sorted.len() == 1 { 1.0 } else { 0.0 };
            left.max(right).max(alone).clamp(least_width(points), 1.0)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::space::Builder;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    fn mixed() -> Space {
        Builder::new()
            .int("a", 1, 10)
            .categorical("b", ["x", "y", "z"])
            .ordinal("c", [1, 2, 4])
            .build()
            .unwrap()
    }

    #[test]
    fn every_value_keeps_a_chance_however_much_is_known() {
        let space = mixed();
        for count in [1, 5, 200] {
            let points = vec![Point::new(vec![3.0, 1.0, 0.0]); count];
            let references: Vec<&Point> = points.iter().collect();
            let density = Estimator::new(&space, &references, &vec![1.0; count], 1.0);
            for point in space.enumerate(1_000).unwrap() {
                let log = density.log_density(&point, &mut Vec::new());
                assert!(log > -16.0, "{log} at {point:?} after {count}");
            }
        }
    }

    #[test]
    fn probabilities_add_up_to_one() {
        let space = mixed();
        let points: Vec<Point> =
            [[0.0, 0.0, 0.0], [3.0, 1.0, 2.0], [3.0, 1.0, 1.0], [3.0, 2.0, 1.0], [9.0, 1.0, 2.0]]
                .map(|coordinates| Point::new(coordinates.to_vec()))
                .to_vec();
        let references: Vec<&Point> = points.iter().collect();
        let density = Estimator::new(&space, &references, &[1.0, 2.0, 0.5, 1.0, 1.0], 0.5);
        let sum: f64 = space
            .enumerate(1_000)
            .unwrap()
            .iter()
            .map(|p| density.log_density(p, &mut Vec::new()).exp())
            .sum();
        assert!((sum - 1.0).abs() < 1e-9, "{sum}");
    }

    #[test]
    fn draws_follow_the_density() {
        let space = Builder::new().float("x", 0.0, 1.0).int("n", 0, 9_999).build().unwrap();
        let point = Point::new(vec![0.2, 7_000.0]);
        let near = vec![&point; 50];
        let density = Estimator::new(&space, &near, &vec![1.0; 50], 1.0);
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let draws: Vec<Point> = (0..500).map(|_| density.draw(&mut rng)).collect();
        let close = draws.iter().filter(|p| (p.coordinates()[0] - 0.2).abs() < 0.1).count();
        assert!(close > 400, "{close} of 500 near the point");
        assert!(draws.iter().all(|p| p.coordinates()[1].fract() == 0.0 && p.coordinates()[1] < 10_000.0));
        let integral: f64 = (0..1_000)
            .map(|k| {
                let at = Point::new(vec![(f64::from(k) + 0.5) / 1_000.0, f64::NAN]);
                density.log_density(&at, &mut Vec::new()).exp() / 1_000.0
            })
            .sum();
        assert!((integral - 1.0).abs() < 1e-3, "{integral}");
    }
}
