//! Where to look next: the logarithm of the expected improvement, and the search for its maximum.

use super::model::{Features, Posterior};
use crate::front;
use crate::numeric::{LN_ROOT_TWO_PI, erfcx, normal_below, normal_density};
use crate::sampler::History;
use crate::space::{AxisKind, Point};
use rand::Rng;
use std::f64::consts::{FRAC_1_SQRT_2, PI};

/// ln(z Φ(z) + φ(z)), accurate however small: Ament et al., "Unexpected improvements to expected improvement" (2023).
pub(super) fn log_improvement(z: f64) -> f64 {
    if z > -1.0 {
        return (z * normal_below(z) + normal_density(z)).ln();
    }
    let density = -0.5 * z * z - LN_ROOT_TWO_PI;
    if z < -1e6 {
        return density - 2.0 * (-z).ln();
    }
    // 1 + z Φ(z)/φ(z), its second part by the scaled error function.
    let ratio = (PI / 2.0).sqrt() * erfcx(-z * FRAC_1_SQRT_2);
    let rest = if z < -300.0 { 1.0 / (z * z) } else { 1.0 + z * ratio };
    density + rest.max(f64::MIN_POSITIVE).ln()
}

/// Several processes, and what is hoped for from a point where they expect some means and deviations.
#[derive(Debug)]
pub(super) struct Acquisition {
    pub processes: Vec<Posterior>,
    pub hope: Hope,
}

/// What is hoped for.
#[derive(Debug)]
pub(super) enum Hope {
    /// Each process is a belief about the same function: the mean of the logarithms of improvement over these targets.
    Improvement(Vec<f64>),
    /// Each process is one goal: the logarithm of the volume that a point is expected to add to what a front covers,
    /// given the boxes that it leaves open (Emmerich's expected hypervolume improvement).
    Volume(Vec<front::Box>),
}

impl Acquisition {
    pub fn at(&self, place: &[f64]) -> f64 {
        let expected: Vec<(f64, f64)> = self.processes.iter().map(|process| process.predict(place)).collect();
        self.of(&expected)
    }

    /// Of means and deviations, process by process.
    fn of(&self, expected: &[(f64, f64)]) -> f64 {
        match &self.hope {
            Hope::Improvement(targets) => {
                let one = |((mean, deviation), best): (&(f64, f64), &f64)| {
                    log_improvement((best - mean) / deviation) + deviation.ln()
                };
                expected.iter().zip(targets).map(one).sum::<f64>() / expected.len() as f64
            }
            Hope::Volume(boxes) => {
                // For one goal the expected part of [low, high] that lies above a normal variable: the difference of
                // two improvements.
                let part = |(mean, deviation): &(f64, f64), to: f64| {
                    if to == f64::NEG_INFINITY {
                        return 0.0;
                    }
                    let z = (to - mean) / deviation;
                    deviation * (z * normal_below(z) + normal_density(z))
                };
                let volume = |(low, high): &front::Box| -> f64 {
                    let side = |((goal, low), high): ((&(f64, f64), &f64), &f64)| {
                        part(goal, *high) - part(goal, *low)
                    };
                    expected.iter().zip(low).zip(high).map(side).product()
                };
                boxes.iter().map(volume).sum::<f64>().max(f64::MIN_POSITIVE).ln()
            }
        }
    }
}

/// How hard the maximum is searched for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Effort {
    /// Points drawn from the whole space.
    pub drawn: usize,
    /// Points shaken out of the best known ones.
    pub near: usize,
    /// Points that are climbed from.
    pub climbs: usize,
    /// Rounds over all parameters in a climb.
    pub rounds: usize,
}

/// The untried point that promises most; `None` when none is left. `good` are the best known points, best first.
pub(super) fn search(
    acquisition: &Acquisition,
    seen: &History<'_>,
    good: &[&Point],
    effort: Effort,
    rng: &mut impl Rng,
) -> Option<Point> {
    let space = seen.space;
    let value = |point: &Point| acquisition.at(&Features::place(space, point));
    let mut pool: Vec<(f64, Point)> = Vec::new();
    for _ in 0..effort.drawn {
        let Some(point) = space.random(rng) else {
            // Hardly anything keeps the rules: what does is listed where that is possible.
            pool.extend(seen.listed(effort.drawn, rng).into_iter().map(|point| (value(&point), point)));
            break;
        };
        pool.push((value(&point), point));
    }
    for at in 0..effort.near {
        let Some(centre) = good.get(at % good.len().max(1)) else { break };
        let point = space.shaken(centre, SHAKEN_FINEST, rng);
        if space.allows(&point) {
            pool.push((value(&point), point));
        }
    }
    pool.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut starts: Vec<(f64, Point)> = Vec::new();
    for (worth, point) in &pool {
        if starts.len() == effort.climbs {
            break;
        }
        if !starts.iter().any(|(_, other)| other == point) {
            starts.push((*worth, point.clone()));
        }
    }
    let mut best: Option<(f64, Point)> = pool.into_iter().find(|(_, point)| seen.is_open(point));
    for start in starts {
        let (worth, point) = climb(acquisition, seen, start, effort.rounds, rng);
        if best.as_ref().is_none_or(|(most, _)| worth > *most) && seen.is_open(&point) {
            best = Some((worth, point));
        }
    }
    best.map(|(_, point)| point).or_else(|| seen.draw(rng))
}

/// How finely good points are shaken, in powers of ten.
pub(super) const SHAKEN_FINEST: f64 = 2.0;

/// Levels up to this many are all looked at; of more, some spread out and then the neighbours.
const LEVELS_LISTED: u64 = 24;

/// Goes up coordinate by coordinate, over untried points alone once it has left its start.
fn climb(
    acquisition: &Acquisition,
    seen: &History<'_>,
    start: (f64, Point),
    rounds: usize,
    rng: &mut impl Rng,
) -> (f64, Point) {
    let space = seen.space;
    let (mut worth, mut point) = start;
    if !seen.is_open(&point) {
        worth = f64::NEG_INFINITY;
    }
    let mut scratch = Vec::new();
    for round in 0..rounds {
        let before = worth;
        for place in 0..space.len() {
            let Some(own) = point.get(place) else { continue };
            let axis = &space.axes()[place];
            // A change that opens or closes other parameters is looked at as a whole point.
            let opens = space.opens(place);
            let at = Features::place(space, &point);
            let distances: Vec<Vec<f64>> =
                acquisition.processes.iter().map(|process| process.distances(&at)).collect();
            let mut fresh: Vec<f64> = Vec::new();
            if opens {
                fresh = (0..space.len()).map(|other| space.random_coordinate(other, rng)).collect();
            }
            let mut look = |coordinate: f64| -> f64 {
                if opens {
                    let other = space.with(&point, place, coordinate, |other| fresh[other]);
                    return acquisition.at(&Features::place(space, &other));
                }
                let to = if axis.kind() == AxisKind::Choice { coordinate } else { axis.place(coordinate) };
                let one = |(process, distances): (&Posterior, &Vec<f64>)| {
                    process.shift(distances, place, at[place], to, &mut scratch);
                    process.at(&mut scratch)
                };
                let expected: Vec<(f64, f64)> =
                    acquisition.processes.iter().zip(&distances).map(one).collect();
                acquisition.of(&expected)
            };
            let mut tries: Vec<(f64, f64)> = Vec::new();
            let levels = axis.levels();
            if axis.kind() == AxisKind::Real {
                let reach = 0.5f64.powi(2 * round as i32);
                for k in 0..=10 {
                    let coordinate = own + reach * (f64::from(k) / 10.0 - if round == 0 { own } else { 0.5 });
                    if (0.0..=1.0).contains(&coordinate) {
                        tries.push((look(coordinate), coordinate));
                    }
                }
                refine(&mut tries, reach / 10.0, &mut look);
            } else if levels <= LEVELS_LISTED || axis.kind() == AxisKind::Choice {
                let shown = levels.min(256);
                for level in (0..shown).map(|level| level as f64).filter(|level| *level != own) {
                    tries.push((look(level), level));
                }
            } else {
                let near = [-3.0, -1.0, 1.0, 3.0].map(|step| own + step);
                let far =
                    (0..=10).map(|k| axis.coordinate_at((f64::from(k) + 0.5 * rng.random::<f64>()) / 11.0));
                let last = levels as f64 - 1.0;
                for level in
                    near.into_iter().chain(far).filter(|level| (0.0..=last).contains(level) && *level != own)
                {
                    tries.push((look(level), level));
                }
            }
            tries.sort_by(|a, b| b.0.total_cmp(&a.0));
            for (found, coordinate) in tries {
                if found <= worth {
                    break;
                }
                let moved = space.with(&point, place, coordinate, |other| fresh[other]);
                if seen.is_open(&moved) {
                    (worth, point) = (found, moved);
                    break;
                }
            }
        }
        if worth <= before + 1e-6 {
            break;
        }
    }
    (worth, point)
}

/// Narrows down around the best of some tries, which lie `step` apart.
fn refine(tries: &mut Vec<(f64, f64)>, step: f64, look: &mut impl FnMut(f64) -> f64) {
    let mut step = step;
    for _ in 0..4 {
        step /= 2.0;
        let Some((_, centre)) = tries.iter().copied().max_by(|a, b| a.0.total_cmp(&b.0)) else { return };
        for coordinate in [centre - step, centre + step] {
            if (0.0..=1.0).contains(&coordinate) {
                tries.push((look(coordinate), coordinate));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_logarithm_of_improvement_is_right_everywhere() {
        let close = |z: f64, wanted: f64| {
            let found = log_improvement(z);
            assert!(
                (found - wanted).abs() < 1e-6 * wanted.abs().max(1.0),
                "{z}: {found} instead of {wanted}"
            );
        };
        close(0.0, -LN_ROOT_TWO_PI);
        close(2.0, 2.008_490_702_616_17f64.ln());
        // φ(z) (z⁻² − 3 z⁻⁴ + 15 z⁻⁶ − …) for very negative z.
        for z in [-30.0f64, -100.0, -1e3, -1e5, -1e8] {
            let square = z * z;
            let tail = (1.0 - 3.0 / square + 15.0 / (square * square)).ln();
            close(z, -0.5 * square - LN_ROOT_TWO_PI - 2.0 * (-z).ln() + tail);
        }
        let mut last = f64::NEG_INFINITY;
        for k in 0..4000 {
            let now = log_improvement(-20.0 + f64::from(k) * 0.01);
            assert!(now > last, "not rising at {k}");
            last = now;
        }
    }
}
