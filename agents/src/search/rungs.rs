//! Rungs: after the first folds of a configuration are in, is it worth the remaining ones?
//!
//! Folds are compared in pairs, because a hard fold is hard for everybody. On small data a fold says little, so little
//! is decided from it.

use serde::{Deserialize, Serialize};

/// What is known at a rung. Gains: larger is better, by fold number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rung<'a> {
    /// The configuration's own gains on the first folds, in order.
    pub own: &'a [f64],
    /// Gains of other configurations of the run on all folds that they have, in the same order.
    pub others: &'a [Vec<f64>],
    /// Folds of a complete evaluation.
    pub folds: usize,
    /// Validation rows of one fold.
    pub fold_rows: u64,
}

/// Whether to go on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "decision", rename_all = "snake_case")]
pub enum Promotion {
    /// The remaining folds are worth their time.
    Continue {
        /// Why, for a person to read.
        why: String,
    },
    /// They are not.
    Stop {
        /// Why, for a person to read.
        why: String,
    },
}

impl Promotion {
    /// Whether to go on.
    pub fn continues(&self) -> bool {
        matches!(self, Self::Continue { .. })
    }
}

/// Configurations that must have come this far before one is stopped.
const RIVALS_MIN: usize = 3;
/// Of those that came this far, this share (the best) always goes on.
const KEPT_SHARE: f64 = 1.0 / 3.0;
/// Rows of a fold from which on its scores are taken at their word; below, more doubt is allowed for.
const ROWS_TRUSTED: f64 = 2000.0;

/// Decides about the remaining folds of a configuration.
///
/// It is stopped only when it is neither among the best third on the same folds nor near the best complete one: the
/// mean paired difference lies below by more standard errors than the size of the data makes plausible by chance.
pub fn promote(rung: Rung<'_>) -> Promotion {
    let done = rung.own.len();
    if done == 0 || done >= rung.folds {
        return go_on("nothing is left to decide");
    }
    let rivals: Vec<&[f64]> = rung.others.iter().filter_map(|gains| gains.get(..done)).collect();
    if rivals.len() < RIVALS_MIN {
        return go_on("too few others to compare with");
    }
    let own = mean(rung.own);
    let better = rivals.iter().filter(|gains| mean(gains) > own).count();
    if (better as f64) < KEPT_SHARE * (rivals.len() + 1) as f64 {
        return go_on("among the best third on the same folds");
    }
    let complete: Vec<&Vec<f64>> = rung.others.iter().filter(|gains| gains.len() >= rung.folds).collect();
    let Some(best) = complete.iter().max_by(|a, b| mean(a).total_cmp(&mean(b))) else {
        return go_on("no complete configuration to compare with");
    };
    let Some(noise) = pair_noise(&complete) else { return go_on("too little is known about chance") };
    let behind = -mean_difference(rung.own, best);
    let error = noise / (done as f64).sqrt();
    let allowed = errors_allowed(rung.fold_rows) * error;
    if behind <= allowed {
        return go_on("within chance of the best");
    }
    let why = format!(
        "{behind:.4} behind the best on the same {done} of {} folds; chance explains {allowed:.4}",
        rung.folds
    );
    Promotion::Stop { why }
}

fn go_on(why: &str) -> Promotion {
    Promotion::Continue { why: why.into() }
}

/// Standard errors of doubt: one and a half where folds are large, up to three where they are small.
fn errors_allowed(fold_rows: u64) -> f64 {
    1.5 + 1.5 * (1.0 - (fold_rows as f64 / ROWS_TRUSTED).min(1.0))
}

/// Standard deviation of one fold's paired difference around the pair's mean, pooled over pairs of complete
/// configurations.
fn pair_noise(complete: &[&Vec<f64>]) -> Option<f64> {
    let (mut squares, mut freedom) = (0.0, 0.0);
    for (i, a) in complete.iter().enumerate() {
        for b in &complete[i + 1..] {
            let middle = mean_difference(a, b);
            squares += a.iter().zip(*b).map(|(x, y)| (x - y - middle).powi(2)).sum::<f64>();
            freedom += a.len().min(b.len()) as f64 - 1.0;
        }
    }
    (freedom > 0.0).then(|| (squares / freedom).sqrt())
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

fn mean_difference(a: &[f64], b: &[f64]) -> f64 {
    let pairs = a.len().min(b.len()).max(1) as f64;
    a.iter().zip(b).map(|(x, y)| x - y).sum::<f64>() / pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three complete rivals around 0.80 on folds of different hardness, and one stopped early.
    fn rivals() -> Vec<Vec<f64>> {
        vec![
            vec![0.80, 0.70, 0.85, 0.78, 0.82],
            vec![0.81, 0.70, 0.84, 0.79, 0.82],
            vec![0.79, 0.71, 0.85, 0.78, 0.81],
            vec![0.75],
        ]
    }

    fn check(own: &[f64], others: &[Vec<f64>], fold_rows: u64, expected: &str) {
        let promotion = promote(Rung { own, others, folds: 5, fold_rows });
        let (Promotion::Continue { why } | Promotion::Stop { why }) = &promotion;
        let found = format!("{}: {why}", if promotion.continues() { "continue" } else { "stop" });
        assert!(found.starts_with(expected), "expected {expected}, found {found}");
    }

    #[test]
    fn what_is_clearly_worse_is_stopped() {
        check(&[0.70], &rivals(), 5000, "stop: 0.1100 behind");
        check(&[0.78, 0.66], &rivals(), 5000, "stop: 0.0350 behind");
    }

    #[test]
    fn the_best_and_the_undecided_go_on() {
        check(&[0.83], &rivals(), 5000, "continue: among the best third");
        check(&[0.80, 0.70], &rivals(), 5000, "continue:");
        check(&[0.803], &rivals(), 5000, "continue:");
    }

    #[test]
    fn small_data_get_more_doubt() {
        check(&[0.791], &rivals(), 5000, "stop");
        check(&[0.791], &rivals(), 60, "continue: within chance");
    }

    #[test]
    fn a_hard_fold_is_hard_for_everybody() {
        // 0.70 is a bad score in itself, and a good one on the second fold.
        check(&[0.80, 0.70], &rivals(), 5000, "continue");
    }

    #[test]
    fn nothing_is_decided_without_rivals() {
        check(&[0.1], &rivals()[..2], 5000, "continue: too few others");
        check(&[], &rivals(), 5000, "continue: nothing is left");
        check(&[0.1; 5], &rivals(), 5000, "continue: nothing is left");
        check(&[0.1], &[vec![0.8], vec![0.8], vec![0.8]], 5000, "continue: no complete");
        check(&[0.1], &[vec![0.8; 5], vec![0.8], vec![0.8]], 5000, "continue: too little is known");
    }
}
