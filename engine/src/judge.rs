//! The one look at the seal: score, interval, lift over the baseline, and what a fresh test may show.

use crate::error::RunError;
use crate::finalise::{Choice, Finalise, mix};
use crate::limits;
use crate::pace::{Measured, Pace};
use crate::scoring::Decision;
use ansatz_core::event::Event;
use ansatz_core::ids::CandidateId;
use ansatz_core::matrix::Matrix;
use ansatz_core::outcome::{Baseline, Expected, Holdout};
use ansatz_core::seed::Seed;
use ansatz_core::verdict::Stage;
use ansatz_referee::ensemble::{self, Chosen, Contender};
use ansatz_referee::interval::{self, Interval, Judged};
use ansatz_referee::resample::Resampling;
use ansatz_referee::split::{HoldoutPlan, SplitInput};
use ansatz_referee::{constraints, metrics};
use std::collections::BTreeMap;

/// Candidates that count as what could have been chosen; what stands further down never would have been.
const CONTENDERS_MAX: usize = 60;
/// The same for a metric that is dear to ask.
const DEAR_CONTENDERS_MAX: usize = 8;

/// What the look showed.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// The score with its interval.
    pub holdout: Option<Holdout>,
    /// Prediction interval for a fresh test.
    pub expected: Option<Expected>,
    /// Lift over the reference.
    pub baseline: Option<Baseline>,
}

/// What is known about the seal.
pub struct Seal<'a> {
    /// How it was made.
    pub plan: &'a HoldoutPlan,
    /// Looks by earlier runs.
    pub looks_before: u32,
    /// Rows of the test file; 0 without one.
    pub test_rows: usize,
    /// What the split depended on: what it kept together is drawn as one.
    pub split: SplitInput<'a>,
}

/// Opens the seal and judges the choice.
///
/// # Errors
/// When the sealed rows cannot be predicted or the journal cannot be written.
pub async fn judge(
    finalise: &mut Finalise<'_>,
    choice: &Choice,
    seal: &Seal<'_>,
) -> Result<Outcome, RunError> {
    let sealed = finalise.board.rows.sealed.clone();
    finalise.record.write(Event::SealOpened { subject: name_of(finalise, choice) })?;
    let (judged, subject) = if sealed.is_empty() {
        (by_bootstrap(finalise, choice, seal), "cross-validated rows")
    } else {
        (on_sealed(finalise, choice, seal, &sealed).await?, "sealed rows")
    };
    if let Some(holdout) = &judged.holdout {
        let evidence = format!("{:.6} [{:.6}, {:.6}]", holdout.score, holdout.low, holdout.high);
        finalise.record.check(Stage::Score, subject, true, evidence)?;
    } else {
        finalise.record.check(Stage::Score, subject, false, "the metric is undefined on them")?;
    }
    let score = judged.holdout.as_ref().map(|holdout| holdout.score);
    let wished = constraints::judge_score(&finalise.task.constraints, score, finalise.scoring.direction());
    if let Some(verdict) = wished {
        if !verdict.passed {
            finalise
                .record
                .warn(format!("the score that was asked for is not reached: {}", verdict.evidence))?;
        }
        finalise.record.write(Event::Checked { verdict })?;
    }
    Ok(judged)
}

fn name_of(finalise: &Finalise<'_>, choice: &Choice) -> String {
    let names: Vec<String> = choice
        .members
        .iter()
        .filter_map(|member| Some(finalise.board.entries.get(&member.id)?.name()))
        .collect();
    names.join(" + ")
}

/// Predicts the sealed rows by the models of the folds, and scores them.
async fn on_sealed(
    finalise: &mut Finalise<'_>,
    choice: &Choice,
    seal: &Seal<'_>,
    rows: &[usize],
) -> Result<Outcome, RunError> {
    let baseline = finalise.baseline_member();
    let mut members = choice.members.clone();
    if let Some(member) = &baseline
        && !members.iter().any(|other| other.id == member.id)
    {
        members.push(member.clone());
    }
    let predictions = finalise.by_folds(&members, rows).await?;
    let ours = mix(&choice.members, &predictions)
        .ok_or_else(|| RunError::failed("predictions of sealed rows are missing"))?;
    let truth = finalise.board.truth_of(rows);
    let decided = choice.decision.apply(&ours);
    let resampling = resampling(finalise, seal, rows, &truth);
    let judged = Judged {
        metric: finalise.scoring.metric(),
        truth: &truth,
        predictions: &decided,
        resampling: &resampling,
        looks: seal.looks_before + 1,
        seed: Seed(0).derive("judge"),
    };
    let Ok(score) = interval::interval(&judged) else { return Ok(Outcome::default()) };
    let test_rows = test_rows(seal, rows);
    let expected = interval::expected(&judged, test_rows).ok();
    let theirs = baseline.and_then(|member| {
        let theirs = predictions.get(&member.id)?;
        let decided = reference(finalise)?.1.apply(theirs);
        let lift = interval::lift(&judged, &decided).ok()?;
        over_reference(finalise, &truth, &decided, lift)
    });
    Ok(Outcome {
        holdout: Some(holdout(finalise, seal, rows, score)),
        expected: expected.map(|(low, high)| Expected { low, high, rows: test_rows }),
        baseline: theirs,
    })
}

/// Without sealed rows the choice is scored on the rows that it was made on, less what choosing gained by luck.
fn by_bootstrap(finalise: &Finalise<'_>, choice: &Choice, seal: &Seal<'_>) -> Outcome {
    let (board, scoring) = (&*finalise.board, finalise.scoring);
    let (rows, truth) = (&board.rows.open, board.open_truth());
    let is_dear = !metrics::is_native(scoring.metric().spec());
    // Limits were looked at by what models cost, which tells nothing about rows: all draws choose from the same candidates.
    let is_choice =
        |id: &CandidateId| !limits::bind(&finalise.task.constraints) || choice.considered.contains(id);
    let mut solutions: BTreeMap<&str, usize> = BTreeMap::new();
    let contenders: Vec<Contender<'_>> = board
        .ranking(scoring.direction())
        .into_iter()
        .filter(|entry| is_choice(&entry.candidate.id))
        .filter_map(|entry| {
            let next = solutions.len();
            let solution = *solutions.entry(entry.candidate.solution.name()).or_insert(next);
            Some(Contender { raw: entry.oof.as_ref()?, solution })
        })
        .take(if is_dear { DEAR_CONTENDERS_MAX } else { CONTENDERS_MAX })
        .collect();
    let theirs = reference(finalise).map(|(raw, decision)| decision.apply(raw));
    let resampling = resampling(finalise, seal, rows, truth);
    let chosen = Chosen {
        metric: scoring.metric(),
        truth,
        raw: &choice.oof,
        decision: &choice.decision,
        contenders: &contenders,
        is_ensemble: choice.is_ensemble(),
        reference: theirs.as_ref(),
        resampling: &resampling,
        looks: seal.looks_before + 1,
        seed: Seed(0).derive("judge"),
    };
    let end_s = correcting_end_s(finalise.pace, &finalise.measured, finalise.record.elapsed_s());
    let until = || end_s.is_some_and(|end_s| finalise.record.elapsed_s() >= end_s);
    let Ok(found) = ensemble::correct(&chosen, until) else { return Outcome::default() };
    let test_rows = test_rows(seal, rows);
    let (low, high) = found.expected(scoring.metric(), rows.len(), test_rows);
    let baseline = theirs
        .as_ref()
        .zip(found.lift)
        .and_then(|(theirs, lift)| over_reference(finalise, truth, theirs, lift));
    let mut holdout = holdout(finalise, seal, rows, found.score);
    if is_dear && choice.is_ensemble() {
        holdout.method += "; weights are kept as they were chosen";
    }
    Outcome { holdout: Some(holdout), expected: Some(Expected { low, high, rows: test_rows }), baseline }
}

/// When correcting ends, in seconds since the start: it has the time that is kept back for judging. `None` where trials are
/// counted, so that the result is the same on every machine.
fn correcting_end_s(pace: Pace, measured: &Measured, now_s: f64) -> Option<f64> {
    pace.wall_s.map(|_| now_s + measured.judging_s)
}

/// What is drawn as one when the rows are drawn again: what the split kept together.
fn resampling(finalise: &Finalise<'_>, seal: &Seal<'_>, rows: &[usize], truth: &[f64]) -> Resampling {
    let scheme = seal.plan.scheme();
    let times = seal.split.moments(scheme);
    let times: Option<Vec<f64>> = times.map(|times| rows.iter().map(|&row| times[row]).collect());
    let groups = seal.split.together(scheme);
    let groups: Option<Vec<i64>> = groups.map(|groups| rows.iter().map(|&row| groups[row]).collect());
    Resampling::suited(finalise.task.problem, truth, groups.as_deref(), times.as_deref())
}

fn holdout(finalise: &Finalise<'_>, seal: &Seal<'_>, rows: &[usize], score: Interval) -> Holdout {
    Holdout {
        score: score.score,
        low: score.low,
        high: score.high,
        level: score.level,
        rows: rows.len() as u64,
        method: seal.plan.method() + &finalise.scoring.interval_note(),
        looks: seal.looks_before + 1,
    }
}

/// Rows of the test that a score is expected on: as many as were judged where there is no test file.
fn test_rows(seal: &Seal<'_>, rows: &[usize]) -> u64 {
    if seal.test_rows > 0 { seal.test_rows as u64 } else { rows.len() as u64 }
}

/// Out-of-fold predictions of the reference, and the decision that suits them.
fn reference<'a>(finalise: &'a Finalise<'_>) -> Option<(&'a Matrix, Decision)> {
    let member = finalise.baseline_member()?;
    let oof = finalise.board.entries.get(&member.id)?.oof.as_ref()?;
    Some((oof, finalise.scoring.decision(finalise.board.open_truth(), oof)))
}

/// What the reference comes to; `theirs` are its predictions as the metric reads them.
fn over_reference(
    finalise: &Finalise<'_>,
    truth: &[f64],
    theirs: &Matrix,
    lift: Interval,
) -> Option<Baseline> {
    let scoring = finalise.scoring;
    let score = scoring.metric().score(truth, theirs, None).ok().filter(|score| score.is_finite())?;
    let guessing = scoring
        .prior(finalise.board.open_truth(), finalise.task.outputs())
        .and_then(|prior| scoring.score(truth, &prior.predict(truth.len()), &prior.decision));
    Some(Baseline { score, lift: lift.score, low: lift.low, high: lift.high, guessing })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn correcting_is_bounded_by_the_clock_alone_and_only_where_there_is_one() {
        let measured = Measured { judging_s: 1.5, ..Measured::default() };
        let end = |wall_s: Option<f64>| correcting_end_s(Pace { wall_s, jobs: 1 }, &measured, 40.0);
        assert_eq!((end(Some(60.0)), end(None)), (Some(41.5), None));
    }
}
