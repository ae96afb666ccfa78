//! The one look at the seal: score, interval, lift over the baseline, and what a fresh test may show.

use crate::error::RunError;
use crate::finalise::{Choice, Finalise, mix};
use crate::limits;
use crate::scoring::Scoring;
use ansatz_core::event::Event;
use ansatz_core::ids::CandidateId;
use ansatz_core::matrix::Matrix;
use ansatz_core::outcome::{Baseline, Expected, Holdout};
use ansatz_core::seed::Seed;
use ansatz_core::verdict::Stage;
use ansatz_referee::constraints;
use ansatz_referee::interval::{self, Judged};
use ansatz_referee::resample::Resampling;
use ansatz_referee::split::HoldoutPlan;

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
    /// Moments of the training rows, where the split respects time.
    pub times: Option<&'a [f64]>,
    /// Groups of the training rows, where the split keeps groups together.
    pub groups: Option<&'a [i64]>,
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
    let baseline = finalise.baseline_member();
    let (rows, ours, theirs) = if sealed.is_empty() {
        let theirs = baseline.and_then(|member| finalise.board.entries.get(&member.id)?.oof.clone());
        (finalise.board.rows.open.clone(), nested(finalise, choice), theirs)
    } else {
        let mut members = choice.members.clone();
        if let Some(member) = &baseline
            && !members.iter().any(|other| other.id == member.id)
        {
            members.push(member.clone());
        }
        let predictions = finalise.by_folds(&members, &sealed).await?;
        let ours = mix(&choice.members, &predictions)
            .ok_or_else(|| RunError::failed("predictions of sealed rows are missing"))?;
        (sealed, ours, baseline.and_then(|member| predictions.get(&member.id).cloned()))
    };
    let truth = finalise.board.truth_of(&rows);
    let judged = measure(finalise, choice, seal, &rows, &truth, &ours, theirs.as_ref());
    if let Some(holdout) = &judged.holdout {
        let evidence = format!("{:.6} [{:.6}, {:.6}]", holdout.score, holdout.low, holdout.high);
        finalise.record.check(Stage::Score, "sealed rows", true, evidence)?;
    } else {
        finalise.record.check(Stage::Score, "sealed rows", false, "the metric is undefined on them")?;
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

/// Without sealed rows: for each fold, members and weights are chosen on the other folds alone, and what was chosen
/// predicts the fold. Selection is thereby judged on rows that it did not see.
fn nested(finalise: &Finalise<'_>, choice: &Choice) -> Matrix {
    let board = &*finalise.board;
    // Limits were looked at by what models cost, which tells nothing about rows: all folds choose from the same candidates.
    let is_choice =
        |id: &CandidateId| !limits::bind(&finalise.task.constraints) || choice.considered.contains(id);
    let entries: Vec<_> = board
        .ranking(finalise.scoring.direction())
        .into_iter()
        .filter(|entry| is_choice(&entry.candidate.id))
        .filter_map(|entry| entry.oof.as_ref())
        .collect();
    let truth = board.open_truth();
    let mut judged = choice.oof.clone();
    for fold in board.rows.folds.first().into_iter().flatten() {
        let inside: Vec<usize> = fold.iter().map(|&row| board.rows.position(row)).collect();
        let outside: Vec<usize> = (0..truth.len()).filter(|at| !inside.contains(at)).collect();
        let outside_truth: Vec<f64> = outside.iter().map(|&at| truth[at]).collect();
        let matrices: Vec<Matrix> = entries.iter().map(|oof| oof.take(&outside)).collect();
        let seed = finalise.seed.derive("nested");
        let weights = if choice.is_ensemble() {
            finalise.scoring.ensemble(&outside_truth, &matrices, seed)
        } else {
            best_alone(finalise.scoring, &outside_truth, &matrices)
        };
        for &at in &inside {
            for column in 0..judged.columns() {
                judged.row_mut(at)[column] =
                    weights.iter().zip(&entries).map(|(weight, oof)| weight * oof.row(at)[column]).sum();
            }
        }
    }
    judged
}

fn best_alone(scoring: &Scoring, truth: &[f64], matrices: &[Matrix]) -> Vec<f64> {
    let gains: Vec<f64> = matrices
        .iter()
        .map(|oof| scoring.plain_score(truth, oof).map_or(f64::NEG_INFINITY, |score| scoring.gain(score)))
        .collect();
    let best = (0..gains.len()).max_by(|a, b| gains[*a].total_cmp(&gains[*b])).unwrap_or(0);
    (0..gains.len()).map(|index| f64::from(u8::from(index == best))).collect()
}

fn measure(
    finalise: &Finalise<'_>,
    choice: &Choice,
    seal: &Seal<'_>,
    rows: &[usize],
    truth: &[f64],
    ours: &Matrix,
    theirs: Option<&Matrix>,
) -> Outcome {
    let scoring = finalise.scoring;
    let decided = choice.decision.apply(ours);
    let Some(score) = scoring.score(truth, ours, &choice.decision) else { return Outcome::default() };
    let times: Option<Vec<f64>> = seal.times.map(|times| rows.iter().map(|&row| times[row]).collect());
    let groups: Option<Vec<i64>> = seal.groups.map(|groups| rows.iter().map(|&row| groups[row]).collect());
    let resampling = Resampling::suited(finalise.task.problem, truth, groups.as_deref(), times.as_deref());
    let looks = seal.looks_before + 1;
    let metric = scoring.metric();
    let judged = Judged {
        metric,
        truth,
        predictions: &decided,
        resampling: &resampling,
        looks,
        seed: Seed(0).derive("judge"),
    };
    let holdout = interval::interval(&judged).ok().map(|range| Holdout {
        score,
        low: range.low,
        high: range.high,
        level: range.level,
        rows: rows.len() as u64,
        method: seal.plan.method() + &scoring.interval_note(),
        looks,
    });
    let test_rows = if seal.test_rows > 0 { seal.test_rows } else { rows.len() } as u64;
    let expected = interval::expected(&judged, test_rows).ok().map(|(low, high)| Expected {
        low,
        high,
        rows: test_rows,
    });
    let baseline = theirs.and_then(|theirs| {
        let reference = finalise.baseline_member()?;
        let oof = finalise.board.entries.get(&reference.id)?.oof.as_ref()?;
        let decision = scoring.decision(finalise.board.open_truth(), oof);
        let reference_score = scoring.score(truth, theirs, &decision)?;
        let range = interval::lift(&judged, &decision.apply(theirs)).ok()?;
        let open = finalise.board.open_truth();
        let guessing = scoring
            .prior(open, finalise.task.outputs())
            .and_then(|prior| scoring.score(truth, &prior.predict(rows.len()), &prior.decision));
        Some(Baseline {
            score: reference_score,
            lift: scoring.gain(score) - scoring.gain(reference_score),
            low: range.low,
            high: range.high,
            guessing,
        })
    });
    Outcome { holdout, expected, baseline }
}
