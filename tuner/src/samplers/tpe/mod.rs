//! Tree-structured Parzen estimators: try where good points are dense and bad ones are not.
//!
//! Bergstra et al., "Algorithms for hyper-parameter optimization" (2011), in the multivariate form of Falkner et al.
//! (2018): the observations are split into the good and the rest, each half becomes a density ([`estimator`]), and of
//! some points drawn from the good one that with the largest ratio of densities is tried.

mod estimator;

use super::Sobol;
use crate::sampler::{History, Move, Observed, Sampler};
use crate::space::Point;
use estimator::Estimator;

/// How the sampler works; the default suits most studies.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// Trials before the densities are used; until then Sobol points.
    pub startup: usize,
    /// Points drawn from the good density, of which the most promising is tried.
    pub candidates: usize,
    /// Share of observations that are good; the better of them weigh more.
    pub good_share: f64,
    /// Most observations that are good.
    pub good_max: usize,
    /// Observations that count fully; older ones count less and less.
    pub recent: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { startup: 5, candidates: 24, good_share: 0.2, good_max: 50, recent: 25 }
    }
}

/// The sampler.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tpe {
    settings: Settings,
}

impl Tpe {
    /// A sampler that works as told.
    pub fn new(settings: Settings) -> Self {
        Self { settings }
    }

    /// The densities of good and bad points; `None` while too little is known.
    fn densities<'a>(&self, seen: &History<'a>) -> Option<(Estimator<'a>, Estimator<'a>)> {
        let observations = seen.observations();
        if observations.len() < self.settings.startup.max(2) {
            return None;
        }
        // Best first: complete ones by loss, stopped ones by how far they came and their loss there, failed ones.
        let mut order: Vec<usize> = (0..observations.len()).collect();
        let key = |kind: &Observed| match kind {
            Observed::Complete { loss } => (0, 0, *loss),
            Observed::Pruned { step, loss } => (1, u64::MAX - step, *loss),
            Observed::Failed => (2, 0, 0.0),
        };
        order.sort_by(|a, b| {
            let (a, b) = (key(&observations[*a].kind), key(&observations[*b].kind));
            (a.0, a.1).cmp(&(b.0, b.1)).then(a.2.total_cmp(&b.2))
        });
        let share = (self.settings.good_share * observations.len() as f64).ceil() as usize;
        let good_count = share.clamp(1, self.settings.good_max);
        // Weights fall with the rank, so that it matters little where exactly good ends.
        let mut ranks = vec![None; observations.len()];
        for (rank, place) in order[..good_count].iter().enumerate() {
            ranks[*place] = Some(2.0 * (good_count - rank) as f64 / (good_count + 1) as f64);
        }
        let (mut good, mut good_weights, mut bad) = (Vec::new(), Vec::new(), Vec::new());
        for (observation, rank) in observations.iter().zip(&ranks) {
            match rank {
                Some(weight) => {
                    good.push(observation.point);
                    good_weights.push(*weight);
                }
                None => bad.push(observation.point),
            }
        }
        // What is under way counts as bad, so that several workers do not flock together.
        bad.extend(seen.trials.iter().filter(|trial| trial.is_running()).map(|trial| &trial.point));
        let bad_weights = weights(bad.len(), self.settings.recent);
        Some((
            Estimator::new(seen.space, &good, &good_weights, GOOD_BROAD),
            Estimator::new(seen.space, &bad, &bad_weights, 1.0),
        ))
    }
}

/// Weight of the component that is spread over the whole space, among good points; among bad ones it is 1.
const GOOD_BROAD: f64 = 0.5;

/// Weights by age, oldest first: the last `recent` count fully, before them a ramp.
fn weights(count: usize, recent: usize) -> Vec<f64> {
    let ramp = count.saturating_sub(recent);
    let first = 1.0 / count.max(1) as f64;
    let on_ramp =
        |at: usize| if ramp > 1 { first + (1.0 - first) * at as f64 / (ramp - 1) as f64 } else { first };
    (0..count).map(|at| if at < ramp { on_ramp(at) } else { 1.0 }).collect()
}

impl Sampler for Tpe {
    fn name(&self) -> &'static str {
        "tpe"
    }

    fn next(&mut self, seen: &History<'_>) -> Move {
        let mut rng = seen.rng();
        let Some((good, bad)) = self.densities(seen) else {
            return Sobol.next(seen);
        };
        let mut found: Vec<Point> = Vec::new();
        // Points tried before are drawn now and then; they are not counted.
        for _ in 0..self.settings.candidates * 4 {
            let point = good.draw(&mut rng);
            if seen.is_open(&point) {
                found.push(point);
            }
            if found.len() == self.settings.candidates {
                break;
            }
        }
        if found.is_empty() {
            found = seen.listed(self.settings.candidates, &mut rng);
        }
        let mut scratch = Vec::new();
        let mut worth =
            |point: &Point| good.log_density(point, &mut scratch) - bad.log_density(point, &mut scratch);
        let best = found
            .into_iter()
            .map(|point| (worth(&point), point))
            .reduce(|a, b| if b.0 > a.0 { b } else { a });
        let best = best.map(|(_, point)| point).or_else(|| seen.draw(&mut rng));
        best.map_or(Move::Nothing, Move::from)
    }

    fn rank(&mut self, seen: &History<'_>, pool: &[Point]) -> Option<Vec<f64>> {
        let (good, bad) = self.densities(seen)?;
        let mut scratch = Vec::new();
        let worth =
            |point: &Point| good.log_density(point, &mut scratch) - bad.log_density(point, &mut scratch);
        Some(pool.iter().map(worth).collect())
    }
}
