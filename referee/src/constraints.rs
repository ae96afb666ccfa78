//! Wishes about the model beyond its score, judged by measured numbers.

use ansatz_core::metric::Direction;
use ansatz_core::task::Constraints;
use ansatz_core::verdict::{Stage, Verdict};
use serde::{Deserialize, Serialize};

/// What was measured on the packaged model. `None` is not measured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// Time for one prediction that 95 of 100 stay below, in milliseconds.
    pub latency_ms: Option<f64>,
    /// Size of the package, in bytes.
    pub model_bytes: Option<u64>,
    /// Whether the model is of a kind that a person can read.
    pub interpretable: Option<bool>,
}

/// One verdict per wish, none without wishes. A wish whose number was not measured is not met.
pub fn judge(wishes: &Constraints, measured: &Measured) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    if let Some(limit) = wishes.latency_ms_max {
        let told = measured.latency_ms.map(|value| (value <= limit, format!("{value:.2} ms")));
        verdicts.push(verdict("latency", told, &format!("{limit} ms per prediction")));
    }
    if let Some(limit) = wishes.model_bytes_max {
        let told = measured.model_bytes.map(|bytes| (bytes <= limit, size(bytes)));
        verdicts.push(verdict("model size", told, &size(limit)));
    }
    if wishes.interpretable {
        let told = measured.interpretable.map(|readable| {
            (readable, if readable { "a person can read it" } else { "no person can read it" }.to_owned())
        });
        verdicts.push(verdict("interpretable", told, "a model that a person can read"));
    }
    verdicts
}

/// The verdict on a score that was wished for; `None` without such a wish. A score that is not known does not reach it.
pub fn judge_score(wishes: &Constraints, score: Option<f64>, direction: Direction) -> Option<Verdict> {
    let wanted = wishes.score?;
    let told = score.map(|score| (!direction.better(wanted, score), format!("{score:.4}")));
    let bound = if direction == Direction::Maximize { "at least" } else { "at most" };
    Some(verdict("score", told, &format!("{bound} {wanted}")))
}

/// Whether every wish is met.
pub fn met(wishes: &Constraints, measured: &Measured) -> bool {
    judge(wishes, measured).iter().all(|verdict| verdict.passed)
}

fn verdict(subject: &str, told: Option<(bool, String)>, wish: &str) -> Verdict {
    let (passed, seen) = told.unwrap_or((false, "not measured".to_owned()));
    Verdict::new(Stage::Constraints, subject, passed, format!("{seen}; wished for: {wish}"))
}

fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["B", "KiB", "MiB", "GiB"];
    let (mut value, mut unit) = (bytes as f64, 0);
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{bytes} B") } else { format!("{value:.1} {}", UNITS[unit]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wishes_are_compared_with_what_was_measured() {
        let wishes = Constraints {
            latency_ms_max: Some(50.0),
            model_bytes_max: Some(1024),
            interpretable: true,
            score: None,
        };
        let measured = Measured { latency_ms: Some(12.5), model_bytes: Some(1 << 20), interpretable: None };
        let told: Vec<(bool, String)> =
            judge(&wishes, &measured).into_iter().map(|verdict| (verdict.passed, verdict.evidence)).collect();
        assert_eq!(
            told,
            [
                (true, "12.50 ms; wished for: 50 ms per prediction".to_owned()),
                (false, "1.0 MiB; wished for: 1.0 KiB".to_owned()),
                (false, "not measured; wished for: a model that a person can read".to_owned()),
            ]
        );
        assert!(!met(&wishes, &measured) && met(&Constraints::default(), &measured));
    }
    #[test]
    fn a_score_that_was_wished_for_is_compared_in_its_direction() {
        let wishes = Constraints { score: Some(0.9), ..Constraints::default() };
        let passed = |score, direction| judge_score(&wishes, score, direction).map(|verdict| verdict.passed);
        assert_eq!(passed(Some(0.9), Direction::Maximize), Some(true));
        assert_eq!(passed(Some(0.95), Direction::Minimize), Some(false));
        assert_eq!(passed(None, Direction::Maximize), Some(false));
        assert_eq!(judge_score(&Constraints::default(), Some(0.9), Direction::Maximize), None);
    }
}
