//! The model agent with a language model: whole solutions, corrections of what failed, and the refinement of one block at a
//! time (after MLE-STAR: take parts away, see which matters most, revise only that).
//!
//! Which solution is refined next, and which block of it, is a function of measured scores: upper confidence bounds, so that
//! what was revised in vain falls behind what was not tried yet.

use crate::code;
use crate::planner::{self, Idea};
use ansatz_prompts::Case;
use ansatz_prompts::model::{Debug, Refine, Revision, Worth, WriteSolution};
use ansatz_prompts::planner::BranchKind;

/// Attempts at correcting one solution.
pub const DEBUG_DEPTH: u32 = 2;
/// Groups that are switched off one by one.
pub const ABLATIONS_MAX: usize = 6;
/// Revisions of one solution.
pub const REVISIONS_MAX: usize = 3;
/// Letters of a traceback that are shown.
const ERROR_MAX: usize = 2000;
/// Letters of the best solution that are shown.
const BEST_MAX: usize = 6000;

/// What the model agent is shown when it writes a solution.
pub struct Brief<'a> {
    /// The case.
    pub case: &'a Case,
    /// What to do.
    pub idea: &'a Idea,
    /// Seconds for one fit.
    pub seconds: u32,
    /// Threads of one fit.
    pub threads: u32,
    /// Cards that fit: name and text.
    pub cards: &'a [(String, String)],
    /// Source and score of the best generated solution so far.
    pub best: Option<(&'a str, String)>,
    /// What was learnt on the way.
    pub lessons: &'a [String],
}

/// The prompt for a solution.
pub fn solution(brief: &Brief) -> WriteSolution {
    let best = brief.best.as_ref().filter(|(source, _)| source.len() <= BEST_MAX);
    WriteSolution {
        case: brief.case.clone(),
        what: brief.idea.what.clone(),
        inputs: brief.idea.inputs.clone(),
        check: brief.idea.check.clone(),
        seconds: brief.seconds,
        threads: brief.threads,
        cards: planner::card_views(brief.cards),
        best: best.map(|(source, _)| (*source).to_owned()).unwrap_or_default(),
        best_score: best.map(|(_, score)| score.clone()).unwrap_or_default(),
        lessons: brief.lessons.to_vec(),
        is_script: brief.idea.kind == BranchKind::Script,
        file: "solution.py".into(),
    }
}

/// Where a solution failed, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// `static check`, `features`, `fit`.
    pub stage: String,
    /// `error`, `timeout`, `memory` or `bad_output`.
    pub kind: String,
    /// The end of the traceback, or what was found.
    pub error: String,
}

/// What the model agent is shown when it mends what failed.
pub struct Broken<'a> {
    /// The case.
    pub case: &'a Case,
    /// The source.
    pub code: &'a str,
    /// What the code was asked for as.
    pub kind: BranchKind,
    /// Where it failed, and how.
    pub failure: &'a Failure,
    /// The longest time of one fold, in words; empty when it is not known.
    pub limit: &'a str,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    /// What was seen at earlier attempts.
    pub earlier: &'a [String],
}

/// The prompt for a correction.
pub fn debug(broken: &Broken) -> Debug {
    let failure = broken.failure;
    let letters = failure.error.chars().count();
    Debug {
        case: broken.case.clone(),
        code: broken.code.to_owned(),
        stage: failure.stage.clone(),
        kind: failure.kind.clone(),
        limit: broken.limit.to_owned(),
        attempt: broken.attempt,
        attempts: DEBUG_DEPTH,
        error: failure.error.chars().skip(letters.saturating_sub(ERROR_MAX)).collect(),
        earlier: broken.earlier.to_vec(),
        is_script: broken.kind == BranchKind::Script || code::is_script(broken.code),
        is_groups: broken.kind == BranchKind::NewFeatures,
        file: "solution.py".into(),
    }
}

/// What switching a group off did.
#[derive(Debug, Clone, PartialEq)]
pub struct Ablation {
    /// The switch.
    pub switch: String,
    /// What is lost without the group (positive: it helps), in the metric's unit.
    pub worth: f64,
    /// Standard error of it.
    pub error: f64,
}

/// A generated solution that may be refined.
#[derive(Debug, Clone, PartialEq)]
pub struct Work {
    /// Its gain: larger is better.
    pub gain: f64,
    /// What its groups are worth.
    pub ablations: Vec<Ablation>,
    /// Switches whose groups were revised, with the gain of each revision.
    pub revised: Vec<(String, f64)>,
}

/// The solution and the switch whose group should be revised next; `None` when nothing is left to revise.
///
/// A solution is worth its gain and hope that falls with its revisions; of its groups the one that moves the score most, in
/// either direction, measured in standard errors, and likewise falling with the revisions of that group.
pub fn next_block(works: &[Work], noise: f64) -> Option<(usize, String)> {
    let hope = noise.max(1e-9);
    let value = |work: &Work| work.gain + hope / (1.0 + work.revised.len() as f64);
    let open = works
        .iter()
        .enumerate()
        .filter(|(_, work)| work.revised.len() < REVISIONS_MAX && !work.ablations.is_empty());
    let (index, work) = open.max_by(|(_, a), (_, b)| value(a).total_cmp(&value(b)))?;
    let tries = |switch: &str| work.revised.iter().filter(|(done, _)| done == switch).count() as f64;
    let matters = |one: &&Ablation| (one.worth.abs() / one.error.max(hope)) / (1.0 + tries(&one.switch));
    let block = work.ablations.iter().max_by(|a, b| matters(a).total_cmp(&matters(b)))?;
    Some((index, block.switch.clone()))
}

/// What the model agent is shown when it revises a block.
pub struct Revised<'a> {
    /// The case.
    pub case: &'a Case,
    /// The score, with its error.
    pub score: String,
    /// Differences below this mean nothing.
    pub noise: f64,
    /// The source.
    pub code: &'a str,
    /// What its groups are worth.
    pub ablations: &'a [Ablation],
    /// The function to revise.
    pub block: &'a str,
    /// Revisions of it so far: what was changed, and the score.
    pub history: &'a [(String, String)],
}

/// The prompt for a revision.
pub fn refine(revised: &Revised) -> Refine {
    Refine {
        case: revised.case.clone(),
        score: revised.score.clone(),
        noise: format!("{:.2e}", revised.noise),
        code: revised.code.to_owned(),
        is_groups: code::is_groups(revised.code),
        ablation: revised.ablations.iter().map(worth).collect(),
        block: revised.block.to_owned(),
        learns: code::learner_of(revised.code, revised.block).unwrap_or_default(),
        history: revised
            .history
            .iter()
            .map(|(change, score)| Revision { change: change.clone(), score: score.clone() })
            .collect(),
        file: format!("{}.py", revised.block),
    }
}

/// What a group is worth, under the name of its function.
fn worth(ablation: &Ablation) -> Worth {
    let part = code::block_name(&ablation.switch).unwrap_or_else(|| ablation.switch.clone());
    Worth { part, worth: format!("{:+.5} ± {:.5}", ablation.worth, ablation.error) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::thought::tests::case;

    fn work(gain: f64, ablations: &[(&str, f64)], revised: &[&str]) -> Work {
        Work {
            gain,
            ablations: ablations
                .iter()
                .map(|(switch, worth)| Ablation { switch: (*switch).into(), worth: *worth, error: 0.001 })
                .collect(),
            revised: revised.iter().map(|switch| ((*switch).into(), gain)).collect(),
        }
    }

    #[test]
    fn the_block_that_matters_most_of_the_best_solution_is_next() {
        let works =
            [work(0.80, &[("use_a", 0.02)], &[]), work(0.82, &[("use_a", 0.001), ("use_b", -0.01)], &[])];
        assert_eq!(next_block(&works, 0.002), Some((1, "use_b".into())));
    }

    #[test]
    fn what_was_revised_in_vain_falls_behind() {
        let blocks = [("use_a", 0.010), ("use_b", 0.008)];
        assert_eq!(next_block(&[work(0.8, &blocks, &["use_a"])], 0.002), Some((0, "use_b".into())));
        let works = [work(0.8005, &blocks, &["use_a", "use_b"]), work(0.80, &blocks, &[])];
        assert_eq!(next_block(&works, 0.002).map(|(index, _)| index), Some(1));
        assert_eq!(next_block(&[work(0.8, &blocks, &["use_a"; REVISIONS_MAX])], 0.002), None);
        assert_eq!(
            next_block(&[work(0.8, &[], &[])], 0.002),
            None,
            "without ablation nobody knows what matters"
        );
    }

    #[test]
    fn the_end_of_a_traceback_is_shown() {
        let failure =
            Failure { stage: "fit".into(), kind: "error".into(), error: "é".repeat(3000) + "KeyError" };
        let shown = mended("x = 1", BranchKind::NewSolution, &failure).error;
        assert!(shown.ends_with("KeyError") && shown.chars().count() == ERROR_MAX);
    }

    fn mended(code: &str, kind: BranchKind, failure: &Failure) -> Debug {
        let (case, limit) = (case(), "9 s");
        debug(&Broken { case: &case, code, kind, failure, limit, attempt: 1, earlier: &[] })
    }

    #[test]
    fn code_is_mended_under_the_contract_that_it_was_asked_for_under() {
        let failure = Failure { stage: "features".into(), kind: "timeout".into(), error: String::new() };
        let flags = |code: &str, kind| {
            let prompt = mended(code, kind, &failure);
            (prompt.is_groups, prompt.is_script)
        };
        // Even when the reply was no such thing.
        assert_eq!(flags("x = 1", BranchKind::NewFeatures), (true, false));
        assert_eq!(flags("x = 1", BranchKind::NewSolution), (false, false));
        assert_eq!(flags("x = 1", BranchKind::Script), (false, true));
        let prompt = mended("x = 1", BranchKind::NewSolution, &failure);
        assert_eq!((prompt.kind.as_str(), prompt.limit.as_str()), ("timeout", "9 s"));
    }

    #[test]
    fn a_block_is_revised_with_what_learns_for_it() {
        let case = case();
        let ablations = [Ablation { switch: "use_size".into(), worth: 0.01, error: 0.002 }];
        let prompt = |code: &str| {
            let score = String::new();
            let (ablations, block, history) = (&ablations[..], "group_size", &[][..]);
            refine(&Revised { case: &case, score, noise: 0.001, code, ablations, block, history })
        };
        let groups =
            "from ansatz_worker.featurekit.groups import Groups\n\n\ndef learn_size(train):\n    return 1\n";
        let found = prompt(groups);
        assert_eq!((found.is_groups, found.learns.as_str()), (true, "learn_size"));
        assert_eq!(found.ablation[0].part, "group_size", "as its function is named");
        let whole = prompt("def group_size(rows):\n    return {}\n");
        assert_eq!((whole.is_groups, whole.learns.as_str()), (false, ""));
    }
}
