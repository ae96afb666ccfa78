//! Which solution gets the next trial: value per second, with hope for what was hardly tried.

use serde::{Deserialize, Serialize};

/// What is known about one solution in this run. Gains: larger is better, in the metric's unit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Family {
    /// The solution's name.
    pub solution: String,
    /// Gains of its configurations, in the order in which they were scored.
    pub gains: Vec<f64>,
    /// Its trials that failed.
    pub failures: u32,
    /// Its trials that are running.
    pub running: u32,
    /// Processor seconds of one configuration: measured, or estimated before the first is scored.
    pub seconds_each: f64,
    /// What the ensemble would lose without it; `None` before there is an ensemble.
    pub ensemble_loss: Option<f64>,
    /// Whether its search has new configurations to offer.
    pub has_more: bool,
}

/// What the choice is made from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Spending {
    /// All solutions of the plan.
    pub families: Vec<Family>,
    /// Standard error of a score: differences below it mean nothing.
    pub noise: f64,
    /// Processor seconds that are left.
    pub seconds_left: f64,
}

/// Who gets the next trial.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Allocation {
    /// The solution.
    pub solution: String,
    /// Why, for a person to read.
    pub why: String,
}

/// Configurations of which the latest improvement is looked at.
const RECENT: usize = 5;
/// Failures in a row after which a solution without any success is left alone.
const FAILURES_MAX: u32 = 3;
/// Share of the time left that one configuration may take.
const SECONDS_SHARE_MAX: f64 = 0.8;

/// The solution whose next configuration promises most per processor second; `None` when none can be afforded.
///
/// Untried solutions come first, the cheapest of them at once: the first look at a solution tells more than the
/// tenth. Then each is worth what its recent configurations improved, what it gives the ensemble, and hope that falls
/// with the number of its trials and with its distance from the best.
pub fn allocate(spending: &Spending) -> Option<Allocation> {
    let affordable: Vec<&Family> =
        spending.families.iter().filter(|family| is_affordable(family, spending)).collect();
    let untried = affordable.iter().filter(|family| family.gains.is_empty() && family.running == 0);
    if let Some(first) = untried.min_by(|a, b| a.seconds_each.total_cmp(&b.seconds_each)) {
        return Some(Allocation {
            solution: first.solution.clone(),
            why: "it has not been tried yet".into(),
        });
    }
    let best = spending.families.iter().filter_map(best_of).fold(f64::NEG_INFINITY, f64::max);
    let trials: usize = spending.families.iter().map(tried).sum();
    let value = |family: &Family| worth(family, best, trials, spending.noise);
    let per_second = |family: &Family| value(family).sum() / family.seconds_each.max(1e-3);
    let chosen = affordable.into_iter().max_by(|a, b| per_second(a).total_cmp(&per_second(b)))?;
    Some(Allocation { solution: chosen.solution.clone(), why: value(chosen).why() })
}

fn is_affordable(family: &Family, spending: &Spending) -> bool {
    let hopeless = family.gains.is_empty() && family.failures >= FAILURES_MAX;
    family.has_more && !hopeless && family.seconds_each <= SECONDS_SHARE_MAX * spending.seconds_left
}

fn best_of(family: &Family) -> Option<f64> {
    family.gains.iter().copied().reduce(f64::max)
}

fn tried(family: &Family) -> usize {
    family.gains.len() + family.failures as usize + family.running as usize
}

/// What a solution's next configuration is worth, in the metric's unit.
struct Worth {
    improvement: f64,
    ensemble: f64,
    hope: f64,
}

impl Worth {
    fn sum(&self) -> f64 {
        self.improvement + self.ensemble + self.hope
    }

    fn why(&self) -> String {
        let most = self.improvement.max(self.ensemble).max(self.hope);
        let reason = if most == self.improvement {
            "it has been improving"
        } else if most == self.ensemble {
            "the ensemble needs it"
        } else {
            "little is known about it for its cost"
        };
        reason.into()
    }
}

fn worth(family: &Family, best: f64, trials: usize, noise: f64) -> Worth {
    let own_best = best_of(family).unwrap_or(best);
    let own_trials = tried(family).max(1) as f64;
    let behind = (best - own_best).max(0.0);
    let scale = spread(&family.gains).max(noise).max(1e-12);
    // Far behind the best, an improvement of its own changes nothing in the end.
    let relevance = (-behind / (2.0 * scale)).exp();
    Worth {
        improvement: relevance * recent_improvement(&family.gains),
        ensemble: family.ensemble_loss.unwrap_or(0.0).max(0.0) / own_trials.sqrt(),
        hope: relevance * 0.5 * scale * ((trials.max(2) as f64).ln() / own_trials).sqrt() / own_trials,
    }
}

/// By how much the last configurations raised the solution's own best, per configuration.
fn recent_improvement(gains: &[f64]) -> f64 {
    let before = gains.len().saturating_sub(RECENT).max(1);
    let Some(old) = gains.iter().take(before).copied().reduce(f64::max) else { return 0.0 };
    let new = gains.iter().copied().fold(old, f64::max);
    (new - old) / (gains.len() - before).max(1) as f64
}

/// Standard deviation of the better half, which failures and odd corners of the space do not reach.
fn spread(gains: &[f64]) -> f64 {
    let mut sorted = gains.to_vec();
    sorted.sort_by(|a, b| b.total_cmp(a));
    sorted.truncate(gains.len().div_ceil(2));
    if sorted.len() < 2 {
        return 0.0;
    }
    let mean = sorted.iter().sum::<f64>() / sorted.len() as f64;
    (sorted.iter().map(|gain| (gain - mean).powi(2)).sum::<f64>() / (sorted.len() - 1) as f64).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn family(solution: &str, gains: &[f64], seconds_each: f64) -> Family {
        Family {
            solution: solution.into(),
            gains: gains.to_vec(),
            failures: 0,
            running: 0,
            seconds_each,
            ensemble_loss: None,
            has_more: true,
        }
    }

    fn spending(families: Vec<Family>) -> Spending {
        Spending { families, noise: 0.002, seconds_left: 100.0 }
    }

    fn check(families: Vec<Family>, expected: Option<&str>) {
        let found = allocate(&spending(families));
        assert_eq!(found.as_ref().map(|found| found.solution.as_str()), expected, "{found:?}");
    }

    #[test]
    fn the_untried_come_first_and_the_cheapest_of_them_at_once() {
        check(vec![family("a", &[0.8], 1.0), family("b", &[], 5.0), family("c", &[], 2.0)], Some("c"));
        let mut running = family("c", &[], 2.0);
        running.running = 1;
        check(vec![family("a", &[0.8], 1.0), running], Some("a"));
    }

    #[test]
    fn improvement_per_second_decides() {
        let improving = family("a", &[0.80, 0.81, 0.82, 0.83], 2.0);
        let settled = family("b", &[0.83, 0.83, 0.829, 0.83], 2.0);
        check(vec![improving.clone(), settled], Some("a"));
        let cheap = family("c", &[0.80, 0.81, 0.82, 0.83], 0.5);
        check(vec![improving, cheap], Some("c"));
    }

    #[test]
    fn what_is_far_behind_gets_little() {
        let behind = family("a", &[0.60, 0.61, 0.62], 1.0);
        let ahead = family("b", &[0.83, 0.831, 0.832], 1.0);
        check(vec![behind.clone(), ahead.clone()], Some("b"));
        // Unless the ensemble lives on it.
        let wanted = Family { ensemble_loss: Some(0.02), ..behind };
        check(vec![wanted, ahead], Some("a"));
    }

    #[test]
    fn hope_falls_with_trials() {
        let often = family("a", &[0.83; 20], 1.0);
        let once = family("b", &[0.829], 1.0);
        check(vec![often, once], Some("b"));
    }

    #[test]
    fn what_cannot_be_afforded_or_is_used_up_is_left() {
        check(vec![family("a", &[0.8], 90.0)], None);
        let used_up = Family { has_more: false, ..family("b", &[0.8], 1.0) };
        check(vec![used_up, family("a", &[0.7], 1.0)], Some("a"));
        let failing = Family { failures: 3, ..family("c", &[], 0.1) };
        check(vec![failing, family("a", &[0.7], 1.0)], Some("a"));
        check(vec![], None);
    }
}
