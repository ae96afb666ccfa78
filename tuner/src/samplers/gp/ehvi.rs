//! Several goals with Gaussian processes: try where most new volume is expected behind the front.

use super::acquire::{self, Acquisition, Effort, Hope};
use super::model::{self, Features, Kernel, Prior};
use super::warp::{self, Warp};
use super::{Sobol, believing};
use crate::front;
use crate::sampler::{History, Move, Sampler};
use crate::space::Point;

/// One process for each goal, and the expected improvement of the hypervolume (Emmerich et al., 2006) in closed form.
/// For two or three goals; more make too many boxes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ehvi;

/// Trials before the processes are used; until then Sobol points.
pub const STARTUP: usize = 6;
/// The most observations that are modelled, the latest.
const OBSERVATIONS_MAX: usize = 250;
/// The most goals.
pub const GOALS_MAX: usize = 3;

impl Ehvi {
    fn acquisition(seen: &History<'_>) -> Option<(Acquisition, Vec<Point>)> {
        let goals = seen.goals.len();
        let complete: Vec<(&Point, &[f64])> =
            seen.trials.iter().filter_map(|trial| Some((&trial.point, trial.values()?))).collect();
        if complete.len() < STARTUP || goals > GOALS_MAX {
            return None;
        }
        let complete = &complete[complete.len().saturating_sub(OBSERVATIONS_MAX)..];
        // What failed is as bad as the worst under every goal.
        let failed: Vec<&Point> = seen
            .trials
            .iter()
            .filter(|trial| !trial.is_running() && trial.values().is_none())
            .map(|trial| &trial.point)
            .take(OBSERVATIONS_MAX / 4)
            .collect();
        let features = Features::of(seen.space);
        let place = |point: &&Point| Features::place(seen.space, point);
        let points: Vec<&Point> = complete.iter().map(|(point, _)| *point).chain(failed).collect();
        let places: Vec<Vec<f64>> = points.iter().map(place).collect();
        let pending: Vec<Vec<f64>> = seen.pending().map(|point| place(&point)).collect();
        let mut targets: Vec<Vec<f64>> = Vec::new();
        let mut processes = Vec::new();
        for (goal, direction) in seen.goals.iter().enumerate() {
            let mut losses: Vec<f64> =
                complete.iter().map(|(_, values)| direction.loss(values[goal])).collect();
            let worst = losses.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            losses.resize(points.len(), worst);
            let bent = warp::targets(&losses, Warp::Power);
            let prior = Prior::default();
            let start = Kernel::start(seen.space.len(), prior);
            let (kernel, _) = model::fit(&features, &places, &bent, prior, &start, 30);
            processes.push(believing(&features, &kernel, &places, &bent, &pending)?);
            targets.push(bent);
        }
        let known: Vec<Vec<f64>> =
            (0..complete.len()).map(|at| targets.iter().map(|goal| goal[at]).collect()).collect();
        let numbers = front::front_numbers(&known);
        let best: Vec<usize> = (0..known.len()).filter(|at| numbers[*at] == 0).collect();
        // A little beyond the worst of everything, so that the ends of the front count too.
        let reference: Vec<f64> = targets
            .iter()
            .map(|goal| {
                let (low, high) =
                    goal.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), target| {
                        (low.min(*target), high.max(*target))
                    });
                high + 0.1 * (high - low).max(0.1)
            })
            .collect();
        let front: Vec<Vec<f64>> = best.iter().map(|at| known[*at].clone()).collect();
        let boxes = front::open_boxes(&front, &reference);
        let good = best.iter().map(|at| complete[*at].0.clone()).collect();
        Some((Acquisition { processes, hope: Hope::Volume(boxes) }, good))
    }
}

impl Sampler for Ehvi {
    fn name(&self) -> &'static str {
        "ehvi"
    }

    fn next(&mut self, seen: &History<'_>) -> Move {
        let mut rng = seen.rng();
        let Some((acquisition, good)) = Self::acquisition(seen) else {
            return Sobol.next(seen);
        };
        let good: Vec<&Point> = good.iter().collect();
        let effort = Effort { drawn: 200, near: 60, climbs: 4, rounds: 4 };
        acquire::search(&acquisition, seen, &good, effort, &mut rng).map_or(Move::Nothing, Move::from)
    }

    fn rank(&mut self, seen: &History<'_>, pool: &[Point]) -> Option<Vec<f64>> {
        let (acquisition, _) = Self::acquisition(seen)?;
        Some(pool.iter().map(|point| acquisition.at(&Features::place(seen.space, point))).collect())
    }
}
