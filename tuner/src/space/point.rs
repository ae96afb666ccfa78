//! Points: configurations as samplers see them.

use super::{AxisKind, LISTED_MAX, Params, Space};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::hash::{Hash, Hasher};

/// One coordinate for each parameter of a space, in its order; not a number where the parameter does not count.
///
/// Points are equal if they stand for the same configuration.
#[derive(Debug, Clone)]
pub struct Point(Vec<f64>);

impl Point {
    /// A point of these coordinates: places for real numbers, levels for all others, NaN for what does not count.
    pub fn new(coordinates: Vec<f64>) -> Self {
        Self(coordinates)
    }

    /// The coordinates.
    pub fn coordinates(&self) -> &[f64] {
        &self.0
    }

    /// One coordinate, if its parameter counts.
    pub fn get(&self, place: usize) -> Option<f64> {
        Some(self.0[place]).filter(|coordinate| !coordinate.is_nan())
    }
}

/// The same bits for the same meaning.
fn bits(coordinate: f64) -> u64 {
    if coordinate.is_nan() { u64::MAX } else { (coordinate + 0.0).to_bits() }
}

impl PartialEq for Point {
    fn eq(&self, other: &Self) -> bool {
        self.0.len() == other.0.len() && self.0.iter().zip(&other.0).all(|(a, b)| bits(*a) == bits(*b))
    }
}

impl Eq for Point {}

impl Hash for Point {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.iter().for_each(|coordinate| bits(*coordinate).hash(state));
    }
}

/// How often a point is drawn again because a rule forbids it.
const DRAWS_MAX: usize = 1_000;

impl Space {
    /// The configuration at a point.
    pub fn params(&self, point: &Point) -> Params {
        let values =
            self.parameters().iter().zip(self.axes()).enumerate().filter_map(|(place, (parameter, axis))| {
                Some((parameter.name.clone(), axis.value(point.get(place)?)))
            });
        values.collect()
    }

    /// Fills a point in from the front: `choose` gives a coordinate for each parameter that counts.
    pub fn fill(&self, mut choose: impl FnMut(usize, &[f64]) -> f64) -> Point {
        let mut coordinates = Vec::with_capacity(self.len());
        for place in 0..self.len() {
            let counts = self.counts(place, &coordinates);
            let coordinate = if counts { choose(place, &coordinates) } else { f64::NAN };
            coordinates.push(coordinate);
        }
        Point(coordinates)
    }

    /// The point where the written-down configuration of `point` lies: real numbers are written with a dozen digits.
    #[must_use]
    pub fn settled(&self, point: &Point) -> Point {
        let settle = |(axis, coordinate): (&super::Axis, &f64)| {
            if axis.kind() != AxisKind::Real || coordinate.is_nan() {
                return *coordinate;
            }
            axis.coordinate_of(&axis.value(*coordinate)).unwrap_or(*coordinate)
        };
        Point(self.axes().iter().zip(point.coordinates()).map(settle).collect())
    }

    /// The point with one coordinate changed; what then counts anew is taken from `fresh`, what no longer counts goes.
    pub fn with(
        &self,
        point: &Point,
        place: usize,
        coordinate: f64,
        mut fresh: impl FnMut(usize) -> f64,
    ) -> Point {
        self.fill(
            |other, _| {
                if other == place { coordinate } else { point.get(other).unwrap_or_else(|| fresh(other)) }
            },
        )
    }

    /// A point drawn uniformly: each real number and each ordered value on its own scale. Rules hold, unless none of
    /// very many draws keeps them: then `None`.
    pub fn random(&self, rng: &mut impl Rng) -> Option<Point> {
        for _ in 0..DRAWS_MAX {
            let point = self.fill(|place, _| self.random_coordinate(place, rng));
            if self.allows(&point) {
                return Some(point);
            }
        }
        None
    }

    /// A neighbour of a point: one or a few coordinates moved, ordered ones within a reach that is drawn anew each time,
    /// from half of the range down to its 10^`finest`-th part. Rules are not looked at.
    pub fn shaken(&self, centre: &Point, finest: f64, rng: &mut impl Rng) -> Point {
        let share = 1.0 / (self.len() as f64).min(3.0);
        let sure = rng.random_range(0..self.len());
        let spread = 10f64.powf(-rng.random_range(0.3..finest));
        self.fill(|place, _| {
            let axis = &self.axes()[place];
            let Some(own) = centre.get(place) else { return self.random_coordinate(place, rng) };
            if place != sure && !rng.random_bool(share) {
                return own;
            }
            match axis.kind() {
                AxisKind::Choice => rng.random_range(0..axis.levels()) as f64,
                AxisKind::Real => (own + spread * (rng.random::<f64>() * 2.0 - 1.0)).clamp(0.0, 1.0),
                AxisKind::Grid => {
                    let moved =
                        axis.coordinate_at(axis.place(own) + spread * (rng.random::<f64>() * 2.0 - 1.0));
                    let step = if rng.random_bool(0.5) { 1.0 } else { -1.0 };
                    let next = (own + step).clamp(0.0, axis.levels() as f64 - 1.0);
                    if moved == own { next } else { moved }
                }
            }
        })
    }

    /// A coordinate of one parameter drawn uniformly.
    pub fn random_coordinate(&self, place: usize, rng: &mut impl Rng) -> f64 {
        let axis = &self.axes()[place];
        match axis.kind() {
            AxisKind::Choice => rng.random_range(0..axis.levels()) as f64,
            _ => axis.coordinate_at(rng.random::<f64>()),
        }
    }

    /// Whether a point keeps every rule.
    pub fn allows(&self, point: &Point) -> bool {
        self.rules().is_empty() || self.broken_rule(&self.params(point)).is_none()
    }

    /// Whether some configuration keeps every rule; `None` where neither the start nor any of very many draws does and
    /// the space is too large to be listed.
    pub fn is_satisfiable(&self) -> Option<bool> {
        let is_easy =
            self.allows(&self.start_point()) || self.random(&mut ChaCha8Rng::seed_from_u64(0)).is_some();
        if is_easy {
            return Some(true);
        }
        Some(self.enumerate(LISTED_MAX)?.iter().any(|point| self.allows(point)))
    }

    /// The number of different configurations if it is not above `most`; rules are not looked at.
    pub fn size(&self, most: u64) -> Option<u64> {
        if !self.is_discrete() {
            return None;
        }
        // Without conditions a product; with them the tree is walked, which `most` bounds.
        if !self.is_conditional() {
            let product = self.axes().iter().try_fold(1u64, |size, axis| size.checked_mul(axis.levels()))?;
            return Some(product).filter(|size| *size <= most);
        }
        self.enumerate(most).map(|points| points.len() as u64)
    }

    /// Every configuration, rules not looked at, if there are at most `most`.
    pub fn enumerate(&self, most: u64) -> Option<Vec<Point>> {
        if !self.is_discrete() {
            return None;
        }
        let mut points: Vec<Vec<f64>> = vec![Vec::new()];
        for place in 0..self.len() {
            let mut longer = Vec::with_capacity(points.len());
            for point in points {
                let levels = if self.counts(place, &point) { self.axes()[place].levels() } else { 0 };
                if (longer.len() as u64).saturating_add(levels) > most {
                    return None;
                }
                if levels == 0 {
                    longer.push([point.as_slice(), &[f64::NAN]].concat());
                }
                longer.extend((0..levels).map(|level| [point.as_slice(), &[level as f64]].concat()));
            }
            points = longer;
        }
        Some(points.into_iter().map(Point).collect())
    }
}
