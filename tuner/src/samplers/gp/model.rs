//! The Gaussian process: a Matérn-5/2 kernel with a length for each parameter, fitted to its most probable settings.

use super::lbfgs;
use super::linear::{Lower, dot};
use crate::space::{AxisKind, Point, Space};

/// Variance that is always added, so that equal points do not make the matrix singular.
const JITTER: f64 = 1e-6;
/// Logarithms of settings stay within these.
const LOG_LIMIT: f64 = 12.0;

/// How far a parameter that does not count is from one that does, beyond the middle of the range: the corner of an
/// equilateral triangle over the unit, so that distances stay those of points in a space.
const ABSENT: f64 = 0.75;

/// Settings of the kernel.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Kernel {
    /// For each parameter the inverse of its squared length.
    pub weights: Vec<f64>,
    /// Variance of the function.
    pub scale: f64,
    /// Variance of the noise.
    pub noise: f64,
}

/// What distances between points are made of.
#[derive(Debug, Clone)]
pub(super) struct Features {
    /// Whether the parameter's values have no order.
    unordered: Vec<bool>,
}

impl Features {
    pub fn of(space: &Space) -> Self {
        Self { unordered: space.axes().iter().map(|axis| axis.kind() == AxisKind::Choice).collect() }
    }

    /// A point in the unit cube; levels without an order stay levels, what does not count stays NaN.
    pub fn place(space: &Space, point: &Point) -> Vec<f64> {
        let place = |(axis, coordinate): (&crate::space::Axis, &f64)| {
            if coordinate.is_nan() || axis.kind() == AxisKind::Choice {
                *coordinate
            } else {
                axis.place(*coordinate)
            }
        };
        space.axes().iter().zip(point.coordinates()).map(place).collect()
    }

    /// The squared distance of two coordinates of one parameter.
    pub fn squared(&self, parameter: usize, a: f64, b: f64) -> f64 {
        match (a.is_nan(), b.is_nan()) {
            (true, true) => 0.0,
            (false, false) if self.unordered[parameter] => f64::from(u8::from(a != b)),
            (false, false) => (a - b) * (a - b),
            _ if self.unordered[parameter] => 1.0,
            (true, false) => (b - 0.5) * (b - 0.5) + ABSENT,
            (false, true) => (a - 0.5) * (a - 0.5) + ABSENT,
        }
    }
}

/// Matérn-5/2 of a squared distance, of variance one.
fn matern(squared: f64) -> f64 {
    let q = (5.0 * squared).sqrt();
    (1.0 + q + q * q / 3.0) * (-q).exp()
}

/// What is believed about kernels before any data, on the settings' logarithms.
#[derive(Debug, Clone, Copy)]
pub(super) struct Prior {
    /// Centre of the logarithm of a length, for one parameter; it grows with the root of their number.
    pub length: f64,
    /// Its deviation.
    pub length_deviation: f64,
    /// Centre and deviation of the logarithm of the noise.
    pub noise: (f64, f64),
}

impl Default for Prior {
    fn default() -> Self {
        Self { length: -1.0, length_deviation: 0.7, noise: (-7.0, 2.0) }
    }
}

/// Finds the most probable settings for targets at places, from a start.
pub(super) fn fit(
    features: &Features,
    places: &[Vec<f64>],
    targets: &[f64],
    prior: Prior,
    start: &Kernel,
    steps: usize,
) -> (Kernel, f64) {
    let n = places.len();
    let d = features.unordered.len();
    // Squared distances by pair, parameter after parameter within a pair: the gradient walks over them once.
    let mut squares = Vec::with_capacity(n * (n - 1) / 2 * d);
    for i in 0..n {
        for j in 0..i {
            squares.extend((0..d).map(|p| features.squared(p, places[i][p], places[j][p])));
        }
    }
    let centre = -2.0 * (prior.length + 0.5 * (d as f64).ln());
    let width = 2.0 * prior.length_deviation;
    let mut logs: Vec<f64> = start.weights.iter().map(|weight| weight.ln()).collect();
    logs.push(start.scale.ln());
    logs.push(start.noise.ln());
    let mut weights = vec![0.0; d];
    let (best, value) = lbfgs::minimise(&logs, LOG_LIMIT, steps, |logs, gradient| {
        weights.iter_mut().zip(logs).for_each(|(weight, log)| *weight = log.exp());
        let (scale, noise) = (logs[d].exp(), logs[d + 1].exp());
        let mut slopes = vec![0.0; n * n];
        let mut pair = 0;
        let covariance = Lower::from_fn(n, |i, j| {
            if i == j {
                return scale + noise + JITTER;
            }
            let q = (5.0 * dot(&squares[pair * d..(pair + 1) * d], &weights)).sqrt();
            pair += 1;
            let e = scale * (-q).exp();
            slopes[i * n + j] = -5.0 / 6.0 * (1.0 + q) * e;
            (1.0 + q + q * q / 3.0) * e
        });
        let kernel: Vec<f64> = (0..n).flat_map(|i| covariance.row(i).to_vec()).collect();
        let factor = covariance.cholesky()?;
        let mut alpha = targets.to_vec();
        factor.forward(&mut alpha);
        let fit = 0.5 * dot(&alpha, &alpha);
        factor.backward(&mut alpha);
        let inverse = factor.inverse_of_product();

        gradient.fill(0.0);
        let (mut pair, mut cell) = (0, 0);
        for i in 0..n {
            let row = inverse.row(i);
            for j in 0..i {
                // Twice the half: the pair stands for two cells of the symmetric matrix.
                let pull = row[j] - alpha[i] * alpha[j];
                let slope = pull * slopes[i * n + j];
                let squares = &squares[pair * d..(pair + 1) * d];
                gradient.iter_mut().zip(squares).for_each(|(g, square)| *g += slope * square);
                gradient[d] += pull * kernel[cell];
                pair += 1;
                cell += 1;
            }
            cell += 1;
            let pull = 0.5 * (row[i] - alpha[i] * alpha[i]);
            gradient[d] += pull * scale;
            gradient[d + 1] += pull * noise;
        }
        let mut value = fit + factor.half_log_determinant();
        for (p, log) in logs[..d].iter().enumerate() {
            let off = (log - centre) / width;
            value += 0.5 * off * off;
            gradient[p] = gradient[p] * weights[p] + off / width;
        }
        // Targets have variance one, so the function's own is not far from it.
        value += 0.5 * logs[d] * logs[d];
        gradient[d] += logs[d];
        let off = (logs[d + 1] - prior.noise.0) / prior.noise.1;
        value += 0.5 * off * off;
        gradient[d + 1] += off / prior.noise.1;
        value.is_finite().then_some(value)
    });
    let kernel = Kernel {
        weights: best[..d].iter().map(|log| log.exp()).collect(),
        scale: best[d].exp(),
        noise: best[d + 1].exp(),
    };
    (kernel, value)
}

impl Kernel {
    /// Where fits begin: the centre of the prior.
    pub fn start(parameters: usize, prior: Prior) -> Self {
        let weight = (-2.0 * (prior.length + 0.5 * (parameters as f64).ln())).exp();
        Self { weights: vec![weight; parameters], scale: 1.0, noise: prior.noise.0.exp().max(1e-3) }
    }
}

/// What the process says about the function after data.
#[derive(Debug, Clone)]
pub(super) struct Posterior {
    features: Features,
    kernel: Kernel,
    places: Vec<Vec<f64>>,
    factor: Lower,
    alpha: Vec<f64>,
}

impl Posterior {
    /// `None` if the matrix is singular in spite of everything.
    pub fn new(features: &Features, kernel: Kernel, places: Vec<Vec<f64>>, targets: &[f64]) -> Option<Self> {
        let n = places.len();
        let between = |a: &[f64], b: &[f64]| {
            let squared =
                (0..a.len()).map(|p| kernel.weights[p] * features.squared(p, a[p], b[p])).sum::<f64>();
            kernel.scale * matern(squared)
        };
        let own = kernel.scale + kernel.noise + JITTER;
        let cell = |i: usize, j: usize| if i == j { own } else { between(&places[i], &places[j]) };
        let factor = Lower::from_fn(n, cell).cholesky()?;
        let mut alpha = targets.to_vec();
        factor.forward(&mut alpha);
        factor.backward(&mut alpha);
        Some(Self { features: features.clone(), kernel, places, factor, alpha })
    }

    /// Weighted squared distances of a place to each point of the data.
    pub fn distances(&self, place: &[f64]) -> Vec<f64> {
        let distance = |other: &Vec<f64>| {
            (0..place.len())
                .map(|p| self.kernel.weights[p] * self.features.squared(p, place[p], other[p]))
                .sum()
        };
        self.places.iter().map(distance).collect()
    }

    /// What is added to the distances when one coordinate changes.
    pub fn shift(&self, distances: &[f64], parameter: usize, from: f64, to: f64, into: &mut Vec<f64>) {
        let weight = self.kernel.weights[parameter];
        into.clear();
        into.extend(distances.iter().zip(&self.places).map(|(distance, other)| {
            let (old, new) = (
                self.features.squared(parameter, from, other[parameter]),
                self.features.squared(parameter, to, other[parameter]),
            );
            // Rounding may leave a distance of less than none.
            (distance + weight * (new - old)).max(0.0)
        }));
    }

    /// Mean and deviation of the function (without noise) at given distances, which are overwritten.
    pub fn at(&self, distances: &mut [f64]) -> (f64, f64) {
        for distance in distances.iter_mut() {
            *distance = self.kernel.scale * matern(*distance);
        }
        let mean = dot(distances, &self.alpha);
        self.factor.forward(distances);
        let variance = self.kernel.scale - dot(distances, distances);
        (mean, variance.max(1e-12 * self.kernel.scale).sqrt())
    }

    /// The mean alone, which costs less.
    pub fn mean(&self, place: &[f64]) -> f64 {
        let mut distances = self.distances(place);
        for distance in &mut distances {
            *distance = self.kernel.scale * matern(*distance);
        }
        dot(&distances, &self.alpha)
    }

    /// Mean and deviation at a place.
    pub fn predict(&self, place: &[f64]) -> (f64, f64) {
        self.at(&mut self.distances(place))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::space::Builder;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    fn data(n: usize) -> (Features, Vec<Vec<f64>>, Vec<f64>) {
        let space = Builder::new().float("x", 0.0, 1.0).float("y", 0.0, 1.0).bool("b").build().unwrap();
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let points: Vec<Point> = (0..n).map(|_| space.random(&mut rng).unwrap()).collect();
        let places: Vec<Vec<f64>> = points.iter().map(|point| Features::place(&space, point)).collect();
        let targets = places.iter().map(|p| (6.0 * p[0]).sin() + p[2]).collect();
        (Features::of(&space), places, targets)
    }

    #[test]
    fn what_does_not_matter_gets_a_long_length() {
        let (features, places, targets) = data(30);
        let start = Kernel::start(3, Prior::default());
        let (kernel, _) = fit(&features, &places, &targets, Prior::default(), &start, 60);
        assert!(kernel.weights[0] > 5.0 * kernel.weights[1], "{kernel:?}");
        assert!(kernel.noise < 0.01, "{kernel:?}");
    }

    #[test]
    fn the_fit_stands_where_the_gradient_vanishes() {
        // Moving any setting away from the optimum must not improve it: a wrong gradient would stop elsewhere.
        let (features, places, targets) = data(20);
        let prior = Prior::default();
        let (kernel, value) = fit(&features, &places, &targets, prior, &Kernel::start(3, prior), 200);
        let at = |kernel: &Kernel| fit(&features, &places, &targets, prior, kernel, 0).1;
        assert!((at(&kernel) - value).abs() < 1e-9);
        for setting in 0..5 {
            for factor in [0.8, 1.25] {
                let mut other = kernel.clone();
                match setting {
                    3 => other.scale *= factor,
                    4 => other.noise *= factor,
                    weight => other.weights[weight] *= factor,
                }
                assert!(at(&other) > value - 1e-3, "setting {setting} × {factor}: {} < {value}", at(&other));
            }
        }
    }

    #[test]
    fn the_posterior_meets_the_data_and_is_unsure_elsewhere() {
        let (features, places, targets) = data(25);
        let kernel = Kernel { weights: vec![8.0, 0.1, 1.0], scale: 1.0, noise: 1e-6 };
        let mut rng = ChaCha8Rng::seed_from_u64(9);
        let posterior = Posterior::new(&features, kernel, places.clone(), &targets).unwrap();
        for (place, target) in places.iter().zip(&targets) {
            let (mean, deviation) = posterior.predict(place);
            assert!((mean - target).abs() < 0.01 && deviation < 0.05, "{mean} {target} {deviation}");
        }
        let far = [3.0, rng.random(), 0.0];
        assert!(posterior.predict(&far).1 > 0.9);
        // Moving one coordinate gives the same as starting anew.
        let mut shifted = Vec::new();
        posterior.shift(&posterior.distances(&places[0]), 0, places[0][0], 0.77, &mut shifted);
        let mut moved = places[0].clone();
        moved[0] = 0.77;
        let (a, b) = (posterior.at(&mut shifted), posterior.predict(&moved));
        assert!((a.0 - b.0).abs() < 1e-9 && (a.1 - b.1).abs() < 1e-9);
    }
}
