//! Bayesian optimisation with a Gaussian process: the best method for few and costly evaluations.
//!
//! Losses are bent towards a normal distribution ([`Warp`]), a Matérn-5/2 process with a length for each parameter is
//! fitted by its most probable settings ([`model`]), and the untried point of the largest expected improvement is
//! searched for by drawing, shaking and climbing ([`acquire`]). Values without an order are equally far from one
//! another; a parameter that does not count is a place of its own.

mod acquire;
mod ehvi;
mod lbfgs;
mod linear;
mod model;
mod transfer;
mod warp;

pub(super) use ehvi::STARTUP as VOLUME_STARTUP;
pub use ehvi::{Ehvi, GOALS_MAX};
pub use transfer::Transferred;
pub use warp::Warp;

use super::Sobol;
use crate::sampler::{History, Move, Observed, Sampler};
use crate::space::Point;
use acquire::{Acquisition, Effort, Hope};
use model::{Features, Kernel, Posterior, Prior};

/// How the sampler works; the default suits most studies.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Trials before the process is used; until then Sobol points.
    pub startup: usize,
    /// How losses are bent: one belief for each.
    pub warps: Vec<Warp>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { startup: 5, warps: vec![Warp::Power] }
    }
}

/// The most observations that are modelled: the best and the latest, since the cost grows with their cube.
const OBSERVATIONS_MAX: usize = 500;
/// Up to this many observations the kernel is fitted anew for each decision; from there on less and less often.
const FITTED_EACH_MAX: usize = 60;

/// The sampler.
#[derive(Debug, Clone, Default)]
pub struct Gp {
    settings: Settings,
    /// Kernels by (observations they were fitted to, warp): what they would be again if they were fitted again.
    fitted: Vec<(Vec<u64>, usize, Kernel)>,
}

/// Points and losses that are modelled.
struct Data<'a> {
    points: Vec<&'a Point>,
    losses: Vec<f64>,
}

impl Gp {
    /// A sampler that works as told.
    pub fn new(settings: Settings) -> Self {
        Self { settings, fitted: Vec::new() }
    }

    /// What the process is fitted to; `None` while too little is known.
    fn data<'a>(&self, seen: &'a History<'_>) -> Option<Data<'a>> {
        let observations = seen.observations();
        let complete: Vec<f64> = observations
            .iter()
            .filter_map(|observation| match observation.kind {
                Observed::Complete { loss } => Some(loss),
                _ => None,
            })
            .collect();
        if observations.len() < self.settings.startup || complete.len() < 2 {
            return None;
        }
        let mut sorted = complete.clone();
        sorted.sort_by(f64::total_cmp);
        let (median, worst) = (sorted[sorted.len() / 2], sorted[sorted.len() - 1]);
        let mut data = Data { points: Vec::new(), losses: Vec::new() };
        for observation in &observations {
            data.points.push(observation.point);
            data.losses.push(match observation.kind {
                Observed::Complete { loss } => loss,
                // What was stopped was worse than most, and no better than it looked.
                Observed::Pruned { loss, .. } => loss.max(median).min(worst.max(median)),
                Observed::Failed => worst,
            });
        }
        Some(data.thinned())
    }

    /// Whether a kernel is fitted to this many observations, or an earlier one kept.
    fn fit_size(n: usize) -> usize {
        if n <= FITTED_EACH_MAX {
            return n;
        }
        let every = (n / 20).max(1);
        n / every * every
    }

    fn kernel(&mut self, features: &Features, places: &[Vec<f64>], losses: &[f64], warp: usize) -> Kernel {
        let size = Self::fit_size(losses.len());
        let key: Vec<u64> = losses[..size].iter().map(|loss| loss.to_bits()).collect();
        if let Some((_, _, kernel)) = self.fitted.iter().find(|(known, by, _)| *by == warp && *known == key) {
            return kernel.clone();
        }
        let targets = warp::targets(&losses[..size], self.settings.warps[warp]);
        let prior = Prior::default();
        let start = Kernel::start(places[0].len(), prior);
        let (kernel, _) = model::fit(features, &places[..size], &targets, prior, &start, 40);
        self.fitted.retain(|(_, by, _)| *by != warp);
        self.fitted.push((key, warp, kernel.clone()));
        kernel
    }

    fn acquisition(&mut self, seen: &History<'_>) -> Option<(Acquisition, Vec<Point>)> {
        let data = self.data(seen)?;
        let features = Features::of(seen.space);
        let places: Vec<Vec<f64>> =
            data.points.iter().map(|point| Features::place(seen.space, point)).collect();
        let pending: Vec<Vec<f64>> = seen.pending().map(|point| Features::place(seen.space, point)).collect();
        let (mut processes, mut bests) = (Vec::new(), Vec::new());
        for warp in 0..self.settings.warps.len() {
            let targets = warp::targets(&data.losses, self.settings.warps[warp]);
            let kernel = self.kernel(&features, &places, &data.losses, warp);
            let Some(process) = believing(&features, &kernel, &places, &targets, &pending) else { continue };
            processes.push(process);
            bests.push(targets.iter().copied().fold(f64::INFINITY, f64::min));
        }
        if processes.is_empty() {
            return None;
        }
        let mut order: Vec<usize> = (0..data.losses.len()).collect();
        order.sort_by(|a, b| data.losses[*a].total_cmp(&data.losses[*b]));
        let good = order.iter().take(5).map(|at| data.points[*at].clone()).collect();
        Some((Acquisition { processes, hope: Hope::Improvement(bests) }, good))
    }
}

/// The process after data; what is under way is believed to come out as expected, but no better than the best: so its
/// surroundings lose their interest. `None` if the matrix is singular.
fn believing(
    features: &Features,
    kernel: &Kernel,
    places: &[Vec<f64>],
    targets: &[f64],
    pending: &[Vec<f64>],
) -> Option<Posterior> {
    let process = Posterior::new(features, kernel.clone(), places.to_vec(), targets)?;
    if pending.is_empty() {
        return Some(process);
    }
    let best = targets.iter().copied().fold(f64::INFINITY, f64::min);
    let believed = pending.iter().map(|place| process.predict(place).0.max(best));
    let targets: Vec<f64> = targets.iter().copied().chain(believed).collect();
    Posterior::new(features, kernel.clone(), [places, pending].concat(), &targets).or(Some(process))
}

impl Data<'_> {
    /// At most [`OBSERVATIONS_MAX`]: half the best ones, half the latest.
    fn thinned(mut self) -> Self {
        let n = self.losses.len();
        if n <= OBSERVATIONS_MAX {
            return self;
        }
        let mut order: Vec<usize> = (0..n).collect();
        order.sort_by(|a, b| self.losses[*a].total_cmp(&self.losses[*b]));
        let mut kept = vec![false; n];
        order[..OBSERVATIONS_MAX / 2].iter().for_each(|at| kept[*at] = true);
        let mut left = OBSERVATIONS_MAX - OBSERVATIONS_MAX / 2;
        for keep in kept.iter_mut().rev().filter(|keep| !**keep) {
            if left == 0 {
                break;
            }
            *keep = true;
            left -= 1;
        }
        let mut flags = kept.iter();
        self.points.retain(|_| *flags.next().unwrap_or(&false));
        let mut flags = kept.iter();
        self.losses.retain(|_| *flags.next().unwrap_or(&false));
        self
    }
}

impl Sampler for Gp {
    fn name(&self) -> &'static str {
        "gp"
    }

    fn next(&mut self, seen: &History<'_>) -> Move {
        let mut rng = seen.rng();
        let Some((acquisition, good)) = self.acquisition(seen) else {
            return Sobol.next(seen);
        };
        let good: Vec<&Point> = good.iter().collect();
        let effort = Effort { drawn: 300, near: 60, climbs: 5, rounds: 6 };
        acquire::search(&acquisition, seen, &good, effort, &mut rng).map_or(Move::Nothing, Move::from)
    }

    fn rank(&mut self, seen: &History<'_>, pool: &[Point]) -> Option<Vec<f64>> {
        let (acquisition, _) = self.acquisition(seen)?;
        Some(pool.iter().map(|point| acquisition.at(&Features::place(seen.space, point))).collect())
    }
}
