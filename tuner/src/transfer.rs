//! What other studies of the same space teach: values in, advice out, nothing stored.

use crate::space::{Params, Point, Space};
use serde::{Deserialize, Serialize};

/// A study of the same parameters on another task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Past {
    /// What it was about.
    pub name: String,
    /// How much it counts before anything is known of the new task, above 0: e.g. by how alike the tasks are.
    pub weight: f64,
    /// What was tried.
    pub trials: Vec<PastTrial>,
}

/// A configuration and what became of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PastTrial {
    /// The configuration; what is missing takes its default.
    pub params: Params,
    /// Its loss on the scale of its own study (less is better); none when it failed.
    pub loss: Option<f64>,
}

/// Chooses configurations that complement one another over tasks: each added one lowers the regret that is left most, summed
/// over the tasks (FLAML-Zero's greedy portfolio). `losses[task][configuration]`; a configuration that was not tried on a
/// task has no loss there. Gives places of configurations, the most useful first, at most `limit`.
pub fn portfolio(losses: &[Vec<Option<f64>>], limit: usize) -> Vec<usize> {
    let regrets: Vec<Vec<f64>> = losses.iter().map(|task| regrets(task)).collect();
    let count = losses.iter().map(Vec::len).max().unwrap_or(0);
    let mut left = vec![1.0; regrets.len()];
    let mut chosen: Vec<usize> = Vec::new();
    while chosen.len() < limit {
        let gain = |place: usize| -> f64 {
            let lowered =
                |(task, left): (&Vec<f64>, &f64)| (left - task.get(place).copied().unwrap_or(1.0)).max(0.0);
            regrets.iter().zip(&left).map(lowered).sum()
        };
        let best = (0..count).map(|place| (gain(place), place)).reduce(|a, b| if b.0 > a.0 { b } else { a });
        let Some((gain, place)) = best.filter(|(gain, _)| *gain > 1e-9) else { break };
        debug_assert!(gain.is_finite());
        chosen.push(place);
        for (task, left) in regrets.iter().zip(&mut left) {
            *left = left.min(task.get(place).copied().unwrap_or(1.0));
        }
    }
    chosen
}

/// Losses of one task between its best (0) and its median (1); what is worse, or was not tried, counts as the median.
fn regrets(losses: &[Option<f64>]) -> Vec<f64> {
    let mut known: Vec<f64> = losses.iter().flatten().copied().filter(|loss| loss.is_finite()).collect();
    known.sort_by(f64::total_cmp);
    let (Some(best), Some(median)) = (known.first(), known.get(known.len() / 2)) else {
        return vec![1.0; losses.len()];
    };
    let width = (median - best).max(f64::MIN_POSITIVE);
    losses.iter().map(|loss| loss.map_or(1.0, |loss| ((loss - best) / width).clamp(0.0, 1.0))).collect()
}

/// What somebody believes before anything is tried: good configurations, and how much to bet on each.
///
/// It multiplies what a sampler hopes for by a power that fades with the number of trials (`πBO`, Hvarfner et al. 2022), so a
/// wrong belief costs some trials and no more.
#[derive(Debug, Clone, PartialEq)]
pub struct Belief {
    points: Vec<(Point, f64)>,
}

/// Share of a belief that is spread over the whole space: so much doubt is always left.
const DOUBT: f64 = 0.1;
/// Reach of a good configuration, root mean square over the parameters.
const REACH: f64 = 0.2;
/// Trials after which a belief counts as much as one trial's worth of hope.
const FADING: f64 = 10.0;

impl Belief {
    /// A belief in configurations with their weights above 0; those that do not fit the space are left out. None: nothing is
    /// left.
    pub fn new(space: &Space, good: &[(Params, f64)]) -> Option<Self> {
        let total: f64 = good.iter().map(|(_, weight)| weight).sum();
        let points: Vec<(Point, f64)> = good
            .iter()
            .filter_map(|(params, weight)| Some((space.repair(params).ok()?.point, weight / total)))
            .collect();
        (!points.is_empty()).then_some(Self { points })
    }

    /// The logarithm of how much it is believed in a point, relative to a point that nobody spoke of.
    pub fn log_density(&self, space: &Space, point: &Point) -> f64 {
        let near = |(good, weight): &(Point, f64)| {
            let squares =
                space.axes().iter().zip(point.coordinates()).zip(good.coordinates()).map(|((axis, a), b)| {
                    match (a.is_nan(), b.is_nan()) {
                        (true, true) => 0.0,
                        (false, false) if axis.kind() == crate::space::AxisKind::Choice => {
                            f64::from(u8::from(a != b)) * 0.25
                        }
                        (false, false) => (axis.place(*a) - axis.place(*b)).powi(2),
                        _ => 0.25,
                    }
                });
            let mean = squares.sum::<f64>() / space.len() as f64;
            weight * (-0.5 * mean / (REACH * REACH)).exp()
        };
        ((1.0 - DOUBT) * self.points.iter().map(near).sum::<f64>() + DOUBT).ln() - DOUBT.ln()
    }

    /// The power of a belief after some trials.
    pub fn power(trials: usize) -> f64 {
        FADING / (FADING + (trials * trials) as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::space::Builder;

    #[test]
    fn a_portfolio_covers_tasks_rather_than_repeating_the_favourite() {
        // Configuration 0 is best on two tasks, 1 nearly as good there, 2 best on the third where 0 and 1 are useless.
        let some = |losses: [f64; 4]| losses.map(Some).to_vec();
        let losses = [some([0.0, 0.1, 5.0, 5.0]), some([0.0, 0.1, 5.0, 6.0]), some([9.0, 9.0, 1.0, 8.0])];
        assert_eq!(portfolio(&losses, 3), [0, 2]);
        assert_eq!(portfolio(&losses, 1), [0]);
        assert!(portfolio(&[], 3).is_empty());
        assert!(portfolio(&[vec![None, None]], 3).is_empty());
    }

    #[test]
    fn a_belief_is_strong_near_its_configurations_and_fades() {
        let space = Builder::new().float("x", 0.0, 1.0).bool("b").build().unwrap();
        let good: Params = serde_json::from_str(r#"{"x": 0.3, "b": true}"#).unwrap();
        let belief = Belief::new(&space, &[(good.clone(), 2.0)]).unwrap();
        let at = |x: f64, b: f64| belief.log_density(&space, &Point::new(vec![x, b]));
        assert!(at(0.3, 1.0) > at(0.5, 1.0) && at(0.5, 1.0) > at(1.0, 0.0));
        assert!(at(1.0, 0.0) > -1e-9 && at(0.3, 1.0) < 2.4);
        assert!(Belief::power(0) == 1.0 && Belief::power(30) < 0.02);
        let odd: Params = serde_json::from_str(r#"{"x": "fast", "b": true}"#).unwrap();
        assert_eq!(Belief::new(&space, &[(odd, 1.0)]), None);
    }
}
