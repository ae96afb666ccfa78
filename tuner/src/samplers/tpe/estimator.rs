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

/// How wide components are, in units of the range.
#[derive(Debug, Clone, Copy)]
pub(super) struct Widths {
    /// No component is narrower.
    pub least: f64,
}

impl<'a> Estimator<'a> {
    /// A mixture around points with weights, and the broad component with its own.
    pub fn new(space: &'a Space, points: &[&Point], weights: &[f64], broad: f64, widths: Widths) -> Self {
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
            Column::new(axis, &own, widths)
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
    fn new(axis: &Axis, own: &[f64], widths: Widths) -> Self {
        let levels = axis.levels();
        match axis.kind() {
            AxisKind::Choice if levels <= TABLE_LEVELS_MAX => Self::choice_table(levels as usize, own),
            AxisKind::Choice => {
                let (log_own, log_other) = choice_logs(levels, own.len());
                let own = own.iter().copied().chain([f64::NAN]).collect();
                Self::Choices { levels, own, log_own, log_other }
            }
            AxisKind::Grid if levels <= TABLE_LEVELS_MAX => Self::grid_table(axis, own, widths),
            AxisKind::Grid | AxisKind::Real => Self::normal(axis, own, widths),
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

    fn grid_table(axis: &Axis, own: &[f64], widths: Widths) -> Self {
        let levels = axis.levels() as usize;
        let mut centres: Vec<f64> = (0..levels).map(|level| axis.place(level as f64)).collect();
        let mut used = vec![false; levels];
        own.iter().filter(|level| !level.is_nan()).for_each(|level| used[*level as usize] = true);
        let mut level = 0;
        centres.retain(|_| {
            level += 1;
            used[level - 1]
        });
        let spread = neighbour_widths(&centres, own.len(), widths);
        let cells: Vec<(f64, f64)> = (0..levels).map(|level| axis.cell(level as u64)).collect();
        let mut log = vec![0.0; levels * levels];
        let mut at = 0;
        for (level, used) in used.iter().enumerate() {
            if *used {
                let (centre, width) = (centres[at], spread[at]);
                at += 1;
                let norm = normal_between((0.0 - centre) / width, (1.0 - centre) / width);
                for (cell, (from, to)) in cells.iter().enumerate() {
                    let mass = normal_between((from - centre) / width, (to - centre) / width) / norm;
                    log[level * levels + cell] = mass.max(f64::MIN_POSITIVE).ln();
                }
            }
        }
        log.extend(cells.iter().map(|(from, to)| (to - from).max(f64::MIN_POSITIVE).ln()));
        Self::Table { levels, rows: rows(own, levels), log }
    }

    fn normal(axis: &Axis, own: &[f64], widths: Widths) -> Self {
        let mut sorted: Vec<f64> = own.iter().filter(|c| !c.is_nan()).map(|c| axis.place(*c)).collect();
        sorted.sort_by(f64::total_cmp);
        let spread = neighbour_widths(&sorted, own.len(), widths);
        let mut column = (Vec::new(), Vec::new(), Vec::new());
        for coordinate in own.iter().chain([&f64::NAN]) {
            if coordinate.is_nan() {
                column.0.push(f64::NAN);
                column.1.push(1.0);
                column.2.push(0.0);
                continue;
            }
            let centre = axis.place(*coordinate);
            let at = sorted.partition_point(|other| *other < centre).min(sorted.len() - 1);
            let width = spread[at];
            let norm = normal_between((0.0 - centre) / width, (1.0 - centre) / width);
            column.0.push(centre);
            column.1.push(1.0 / width);
            column.2.push(-width.ln() - LN_ROOT_TWO_PI - norm.ln());
        }
        Self::Normal { centres: column.0, widths: column.1, log_norms: column.2 }
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

/// For each of sorted places the distance to the farther of its two neighbours, within limits.
fn neighbour_widths(sorted: &[f64], points: usize, widths: Widths) -> Vec<f64> {
    let least = widths.least.max(1.0 / (points as f64 + 2.0).min(100.0));
    (0..sorted.len())
        .map(|at| {
            let left = if at > 0 { sorted[at] - sorted[at - 1] } else { 0.0 };
            let right = if at + 1 < sorted.len() { sorted[at + 1] - sorted[at] } else { 0.0 };
            let alone = if sorted.len() == 1 { 1.0 } else { 0.0 };
            left.max(right).max(alone).clamp(least, 1.0)
        })
        .collect()
}
