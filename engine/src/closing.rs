//! The end of a run: choose, judge once behind the seal, train for delivery, package and prove.

use crate::bundle;
use crate::control::Control;
use crate::environment::Environment;
use crate::error::RunError;
use crate::finalise::{Choice, Delivery, Finalise};
use crate::folder::Folder;
use crate::judge::{self, Outcome, Seal};
use crate::limits::{self, Site};
use crate::options::Options;
use crate::record::Record;
use crate::remember;
use crate::setup::Prepared;
use crate::submission;
use ansatz_core::event::Event;
use ansatz_core::ids::StepId;
use ansatz_core::steer::Steer;
use ansatz_core::verdict::Stage;
use ansatz_planner::{Plan, StepKind};
use ansatz_sandbox::Launcher;
use std::time::Duration;

/// What finalising brought.
pub struct Finished {
    /// What was chosen.
    pub choice: Option<Choice>,
    /// What the look at the seal showed.
    pub judged: Outcome,
    /// What was trained for delivery.
    pub delivery: Option<Delivery>,
    /// Mandatory steps that were cut, with the reason.
    pub cut: Vec<(StepId, String)>,
}

/// Closes a run: every step that the plan has for it is begun, and ends or is said to be cut.
///
/// # Errors
/// The journal or the folder cannot be written.
#[expect(clippy::too_many_arguments, reason = "the end of a run touches everything")]
pub async fn finish(
    finalise: &mut Finalise<'_>,
    prepared: &Prepared,
    plan: &Plan,
    folder: &Folder,
    launcher: &Launcher,
    environment: &Environment,
    memory: &remember::Remembered,
    options: &Options,
    is_single: bool,
) -> Result<Finished, RunError> {
    let mut finished = Finished { choice: None, judged: Outcome::default(), delivery: None, cut: Vec::new() };
    let step_of =
        |kind: StepKind| plan.steps().iter().find(|step| step.kind == kind).map(|step| step.id.clone());
    let hash = &prepared.setup.profile.data_hash;

    refuse_steering(finalise.record, finalise.stop, "the search is over")?;
    let ensemble = step_of(StepKind::Ensemble);
    if let Some(step) = &ensemble {
        finalise.record.write(Event::StepStarted { step: step.clone() })?;
    }
    let site = Site { launcher, environment, folder, prepared };
    let limits = limits::of(finalise, &site)?;
    finished.choice = finalise.choose(ensemble.is_some() && !is_single, &limits)?;
    if let Some(step) = ensemble {
        finalise.record.write(Event::StepFinished { step, outputs: Vec::new() })?;
    }
    if finalise.stop.asked() {
        finalise.record.write(Event::CancelRequested)?;
    }
    let dropped = finalise.stop.urgent();
    let Some(choice) = finished.choice.clone().filter(|_| !dropped) else {
        for kind in [StepKind::Verify, StepKind::Package] {
            if let Some(step) = step_of(kind) {
                let reason =
                    "no model was trained in time; the submission holds the best constant answer".to_owned();
                finalise.record.write(Event::StepSkipped { step: step.clone(), reason: reason.clone() })?;
                finished.cut.push((step, reason));
            }
        }
        return Ok(finished);
    };

    if let Some(step) = step_of(StepKind::Verify) {
        finalise.record.write(Event::StepStarted { step: step.clone() })?;
        let looks_before = memory.looks(hash);
        memory.count_look(options, hash, finalise.record)?;
        let seal = Seal {
            plan: &prepared.setup.holdout,
            looks_before,
            test_rows: prepared.table.test_rows,
            split: prepared.split_input(),
        };
        match judge::judge(finalise, &choice, &seal).await {
            Ok(judged) => {
                finished.judged = judged;
                finalise.record.write(Event::StepFinished { step, outputs: Vec::new() })?;
            }
            Err(error) => {
                finalise.record.write(Event::StepFailed { step: step.clone(), error: error.to_string() })?;
                finalise.pool.resume();
                finished.cut.push((step, error.to_string()));
            }
        }
    }

    if let Some(step) = step_of(StepKind::Package) {
        finalise.record.write(Event::StepStarted { step: step.clone() })?;
        match package(finalise, &site, &choice).await {
            Ok((delivery, complaints)) => {
                finished.delivery = Some(delivery);
                finished.cut.extend(complaints);
                finalise.record.write(Event::StepFinished { step, outputs: Vec::new() })?;
            }
            Err(error) => {
                finalise.record.write(Event::StepFailed { step: step.clone(), error: error.to_string() })?;
                finished.cut.push((step, error.to_string()));
            }
        }
    }
    Ok(finished)
}

/// Says of what was wished too late that nothing will come of it.
///
/// # Errors
/// The journal cannot be written.
pub fn refuse_steering(record: &mut Record, stop: &Control, why: &str) -> Result<(), RunError> {
    for steer in stop.take_steering() {
        let outcome = if steer == Steer::Submit {
            "what there is is being delivered already".to_owned()
        } else {
            format!("too late: {why}; begin another run with this wish")
        };
        record.write(Event::Steered { steer, accepted: false, outcome })?;
    }
    Ok(())
}

async fn package(
    finalise: &mut Finalise<'_>,
    site: &Site<'_>,
    choice: &Choice,
) -> Result<(Delivery, Vec<(StepId, String)>), RunError> {
    let Site { folder, prepared, .. } = *site;
    let delivery = finalise.train(choice).await?;
    let composed = submission::compose(finalise.task, &prepared.ids, &delivery.test, &choice.decision)?;
    let mut complaints = Vec::new();
    if let Some((csv, verdict)) = composed {
        finalise.record.write(Event::Checked { verdict })?;
        // A submission with complaints is still better than none: it is written, and the run says that it is not done.
        complaints = complaints_about(finalise, &csv)?;
        folder.write(submission::FILE, csv.as_bytes())?;
    }
    let place = folder.path(bundle::FOLDER);
    bundle::write(&place, folder, finalise.record, prepared, &delivery, &choice.decision)?;
    bundle::write_solution(folder, finalise.board, choice, &delivery)?;
    let left = finalise.pace.wall_s.map_or(600.0, |wall| wall - finalise.record.elapsed_s());
    if left < 0.2 {
        finalise.record.check(
            Stage::Package,
            "bundle",
            false,
            "no time was left to prove it in a clean cell",
        )?;
        return Ok((delivery, complaints));
    }
    // The proof may use the grace that the budget's contract allows on top.
    let limit = Duration::from_secs_f64(left + 1.0);
    match bundle::prove(site, &delivery, &choice.decision, limit) {
        Ok(evidence) => finalise.record.check(Stage::Package, "bundle", true, evidence)?,
        Err(error) => {
            finalise.record.check(Stage::Package, "bundle", false, error.to_string())?;
            finalise.record.warn(format!("the delivered model was not proved: {error}"))?;
        }
    }
    limits::judge(finalise, site, choice, &delivery)?;
    Ok((delivery, complaints))
}

/// A submission that was written early and never replaced is looked over as well.
///
/// # Errors
/// The submission cannot be read, or the journal not written.
pub fn with_complaints(
    mut finished: Finished,
    finalise: &mut Finalise<'_>,
    folder: &Folder,
) -> Result<Finished, RunError> {
    if finished.delivery.is_none() && !finalise.checks.is_empty() && folder.path(submission::FILE).is_file() {
        let csv = String::from_utf8_lossy(&folder.read(submission::FILE)?).into_owned();
        finished.cut.extend(complaints_about(finalise, &csv)?);
    }
    Ok(finished)
}

/// What the user's own checks say about a submission.
fn complaints_about(finalise: &mut Finalise<'_>, csv: &str) -> Result<Vec<(StepId, String)>, RunError> {
    let mut complaints = Vec::new();
    for check in finalise.checks {
        complaints.extend(check.judge(csv, finalise.record)?);
    }
    Ok(complaints)
}
