//! Wilcoxon's test over folds: a trial is stopped when it loses, fold by fold, against the best so far.

use crate::numeric::normal_below;
use crate::pruner::{Advice, Pruner};
use crate::sampler::History;
use crate::trial::Trial;
use std::collections::BTreeMap;

/// For trials that report one value for each fold or instance, the step being its number: Wilcoxon's signed-rank test
/// (1945) of the paired differences to the best complete trial. It never stops a trial whose mean is ahead.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Wilcoxon {
    /// A trial is stopped when its being no worse is less probable than this.
    pub threshold: f64,
    /// Folds that are always looked at.
    pub folds_least: usize,
}

impl Default for Wilcoxon {
    fn default() -> Self {
        Self { threshold: 0.1, folds_least: 2 }
    }
}

impl Pruner for Wilcoxon {
    fn name(&self) -> &'static str {
        "wilcoxon"
    }

    fn judge(&self, seen: &History<'_>, trial: &Trial) -> Advice {
        let goal = seen.goals[0];
        let best = seen
            .trials
            .iter()
            .filter(|other| other.number != trial.number && !other.reports.is_empty())
            .filter_map(|other| Some((goal.loss(other.values()?[0]), other)))
            .min_by(|a, b| a.0.total_cmp(&b.0));
        let Some((_, best)) = best else { return Advice::Continue };
        let behind: Vec<f64> = trial
            .reports
            .iter()
            .filter_map(|(fold, value)| Some(goal.loss(*value) - goal.loss(*best.reports.get(fold)?)))
            .collect();
        if behind.len() < self.folds_least || behind.iter().sum::<f64>() <= 0.0 {
            return Advice::Continue;
        }
        let chance = probability_of_no_worse(&behind);
        if chance >= self.threshold {
            return Advice::Continue;
        }
        let folds = behind.len();
        let other = best.number;
        Advice::Stop { reason: format!("behind trial {other} on {folds} folds (Wilcoxon p = {chance:.3})") }
    }
}

/// Up to this many differences the distribution is exact.
const EXACT_MAX: usize = 50;

/// The probability of a sum of positive ranks at least as large as that of `differences` if signs were coins. Zeros
/// are left out; equal sizes share their mean rank.
fn probability_of_no_worse(differences: &[f64]) -> f64 {
    let mut sizes: Vec<(f64, bool)> =
        differences.iter().filter(|d| **d != 0.0).map(|d| (d.abs(), *d > 0.0)).collect();
    sizes.sort_by(|a, b| a.0.total_cmp(&b.0));
    // Ranks are doubled, so that shared ones stay whole.
    let mut ranks: Vec<usize> = vec![0; sizes.len()];
    let mut at = 0;
    while at < sizes.len() {
        let end = at + sizes[at..].iter().take_while(|(size, _)| *size == sizes[at].0).count();
        ranks[at..end].fill(at + 1 + end);
        at = end;
    }
    let positive: usize = ranks.iter().zip(&sizes).filter(|(_, (_, up))| *up).map(|(rank, _)| rank).sum();
    if ranks.is_empty() {
        return 1.0;
    }
    if ranks.len() > EXACT_MAX {
        let total: f64 = ranks.iter().map(|rank| *rank as f64).sum();
        let variance: f64 = ranks.iter().map(|rank| (*rank as f64).powi(2)).sum::<f64>() / 4.0;
        return normal_below(-(positive as f64 - 1.0 - total / 2.0) / variance.sqrt());
    }
    // How probable each sum is, rank by rank.
    let mut sums = BTreeMap::from([(0usize, 1.0f64)]);
    for rank in &ranks {
        let mut longer = BTreeMap::new();
        for (sum, chance) in &sums {
            *longer.entry(*sum).or_insert(0.0) += chance / 2.0;
            *longer.entry(sum + rank).or_insert(0.0) += chance / 2.0;
        }
        sums = longer;
    }
    sums.range(positive..).map(|(_, chance)| chance).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_test_gives_the_tables_probabilities() {
        let check = |differences: &[f64], wanted: f64| {
            let found = probability_of_no_worse(differences);
            assert!((found - wanted).abs() < 1e-9, "{differences:?}: {found}");
        };
        check(&[1.0, 2.0, 3.0, 4.0], 1.0 / 16.0);
        check(&[1.0, 2.0, 3.0, -4.0], 7.0 / 16.0);
        check(&[-1.0, 2.0, 3.0, 4.0, 5.0], 2.0 / 32.0);
        check(&[1.0, 1.0, 1.0], 1.0 / 8.0);
        check(&[0.0, 0.0], 1.0);
        check(&[-1.0], 1.0);
    }

    #[test]
    fn many_differences_agree_with_the_exact_distribution() {
        let differences: Vec<f64> =
            (1..=50).map(|k| if k % 3 == 0 { -f64::from(k) } else { f64::from(k) + 0.5 }).collect();
        let exact = probability_of_no_worse(&differences);
        let more: Vec<f64> = differences.iter().copied().chain([0.1]).collect();
        assert!((probability_of_no_worse(&more) - exact).abs() < 0.01);
    }
}
