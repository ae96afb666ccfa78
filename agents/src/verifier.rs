//! The verifier with a language model: it reads evidence. Its reading is opinion beside the checks, never a verdict: what was
//! measured outranks it, and nothing is stopped, dropped or chosen because of it.

use ansatz_core::outcome::LeaderboardRow;
use ansatz_core::verdict::Verdict;
use ansatz_prompts::Case;
use ansatz_prompts::verifier::{CheckView, Material, ReadEvidence, Reading, Severity};

/// Checks that are shown, failed ones first.
const CHECKS_MAX: usize = 16;
/// Lines of the leaderboard that are shown.
const LINES_MAX: usize = 8;

/// What the verifier is shown about a search that comes to its end.
pub fn evidence(
    case: &Case,
    verdicts: &[Verdict],
    leaders: &[LeaderboardRow],
    demands: &[String],
    best_code: &str,
) -> ReadEvidence {
    let mut ordered: Vec<&Verdict> = verdicts.iter().collect();
    // Checks end in any order; a prompt must not depend on which.
    ordered.sort_by_key(|verdict| {
        (verdict.passed, verdict.stage as u8, verdict.subject.clone(), verdict.evidence.clone())
    });
    ordered.dedup();
    let checks = ordered.into_iter().take(CHECKS_MAX).map(|verdict| CheckView {
        name: format!("{:?}: {}", verdict.stage, verdict.subject),
        outcome: if verdict.passed { "passed" } else { "failed" }.into(),
        detail: verdict.evidence.clone(),
    });
    let line = |row: &LeaderboardRow| {
        format!("{} ({:?}): {:.5}, {:.1} s", row.candidate, row.origin, row.score, row.seconds)
    };
    let lines: Vec<String> = leaders.iter().take(LINES_MAX).map(line).collect();
    let mut material = vec![Material { name: "leaderboard".into(), text: lines.join("\n") }];
    if !best_code.is_empty() {
        material.push(Material { name: "solution.py".into(), text: best_code.to_owned() });
    }
    ReadEvidence {
        case: case.clone(),
        stage: "score".into(),
        subject: leaders.first().map(|row| row.candidate.clone()).unwrap_or_default(),
        demands: demands.to_vec(),
        checks: checks.collect(),
        material,
    }
}

/// A reading in one line each: the summary, and concerns that are more than notes.
pub fn told(reading: &Reading) -> (String, Vec<String>) {
    let concerns = reading.concerns.iter().filter(|concern| concern.severity > Severity::Note);
    let concerns = concerns.map(|concern| {
        format!(
            "the language model doubts ({}): {}; what would settle it: {}",
            concern.evidence, concern.claim, concern.test
        )
    });
    (reading.summary.clone(), concerns.collect())
}
