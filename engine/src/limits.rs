//! Wishes about the delivered model beyond its score: what candidates cost, which of them fit together, what was measured.
//!
//! Sizes are those of files. Times are taken by the host: it asks a cell for single rows and holds the watch, and an answer counts
//! only when it is the prediction that is known already, so no code of a model makes itself look faster than it is.

use crate::answering::Answering;
use crate::bundle;
use crate::environment::Environment;
use crate::error::RunError;
use crate::finalise::{Choice, Delivery, Finalise, Part};
use crate::folder::Folder;
use crate::setup::Prepared;
use ansatz_agents::playbook::READABLE;
use ansatz_core::candidate::Solution;
use ansatz_core::ids::CandidateId;
use ansatz_core::matrix::Matrix;
use ansatz_core::task::Constraints;
use ansatz_referee::constraints::{self, Measured};
use ansatz_sandbox::Launcher;
use std::collections::BTreeMap;
use std::path::Path;

/// Folder of the models whose times are taken before one is chosen.
const TRIAL_FOLDER: &str = "timing";
/// Rows that a candidate is timed on, and the delivered model.
const CANDIDATE_ROWS: usize = 12;
const DELIVERED_ROWS: usize = 40;
/// Times of candidates may come to this share of what is wished for: the delivered model is another, and so is the hour.
const SHARE: f64 = 0.8;

/// What one candidate would add to the delivered model; infinite where it is unknown.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cost {
    /// Bytes of its model.
    pub bytes: f64,
    /// Milliseconds of one prediction.
    pub latency_ms: f64,
}

/// What is wished for, and what candidates cost.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Limits {
    wishes: Constraints,
    /// Bytes of a delivered model beside those of its parts.
    fixed_bytes: f64,
    costs: BTreeMap<CandidateId, Cost>,
}

impl Limits {
    /// Whether anything is wished for that a choice can break.
    pub fn bind(&self) -> bool {
        bind(&self.wishes)
    }

    /// Whether a model of these candidates keeps all limits.
    pub fn keep(&self, members: &[CandidateId]) -> bool {
        self.excess(members) <= 1.0
    }

    /// How many times what is wished for a model of these candidates comes to, by the limit that is broken worst.
    pub fn excess(&self, members: &[CandidateId]) -> f64 {
        let sum = |of: fn(&Cost) -> f64| -> f64 {
            members.iter().map(|id| self.costs.get(id).map_or(f64::INFINITY, of)).sum()
        };
        let by_size = self
            .wishes
            .model_bytes_max
            .map(|limit| (self.fixed_bytes + sum(|cost| cost.bytes)) / limit as f64);
        let by_time = self.wishes.latency_ms_max.map(|limit| sum(|cost| cost.latency_ms) / (SHARE * limit));
        by_size.into_iter().chain(by_time).fold(0.0, f64::max)
    }
}

/// Whether a task has limits that a choice can break.
pub fn bind(wishes: &Constraints) -> bool {
    wishes.latency_ms_max.is_some() || wishes.model_bytes_max.is_some()
}

/// Whether single predictions will have to be timed, which takes time of its own.
pub fn is_timed(wishes: &Constraints) -> bool {
    wishes.latency_ms_max.is_some()
}

/// What the candidates that may be chosen cost, where the task has limits.
///
/// # Errors
/// The journal cannot be written. Whatever cannot be measured is taken to be too much.
pub fn of(finalise: &mut Finalise<'_>, site: &Site<'_>) -> Result<Limits, RunError> {
    let wishes = finalise.task.constraints.clone();
    if !bind(&wishes) {
        return Ok(Limits::default());
    }
    let contenders = finalise.contender_ids();
    let mut costs: BTreeMap<CandidateId, Cost> = contenders
        .iter()
        .map(|id| {
            (
                *id,
                Cost { bytes: finalise.model_bytes(*id).unwrap_or(f64::INFINITY), latency_ms: f64::INFINITY },
            )
        })
        .collect();
    if is_timed(&wishes) {
        match times(finalise, site, &contenders) {
            Ok(times) => {
                for (id, time) in times {
                    costs.entry(id).and_modify(|cost| cost.latency_ms = time);
                }
            }
            Err(error) => finalise.record.warn(format!("candidates could not be timed: {error}"))?,
        }
    }
    Ok(Limits { wishes, fixed_bytes: bundle::fixed_bytes() as f64, costs })
}

/// Where models are tried: in cells over the run's folder.
#[derive(Clone, Copy)]
pub struct Site<'a> {
    /// Starts cells.
    pub launcher: &'a Launcher,
    /// The worker's Python.
    pub environment: &'a Environment,
    /// The run's folder.
    pub folder: &'a Folder,
    /// The data.
    pub prepared: &'a Prepared,
}

/// Milliseconds of one prediction by one fold's model of each candidate, of which 95 in 100 stay below.
fn times(
    finalise: &Finalise<'_>,
    site: &Site<'_>,
    contenders: &[CandidateId],
) -> Result<BTreeMap<CandidateId, f64>, RunError> {
    let kept: Vec<(CandidateId, Part)> =
        contenders.iter().filter_map(|id| Some((*id, finalise.fold_part(*id)?))).collect();
    let parts = kept.iter().map(|(_, part)| part.clone()).collect();
    let delivery = Delivery { parts, test: Matrix::filled(0, 1, 0.0), trained: "fold_bagged" };
    let place = site.folder.path(TRIAL_FOLDER);
    let decision = ansatz_referee::decision::Decision::AsIs;
    bundle::write(&place, site.folder, finalise.record, site.prepared, &delivery, &decision)?;
    let found = times_of(&kept, site, &place);
    let _ = std::fs::remove_dir_all(&place);
    found
}

fn times_of(
    kept: &[(CandidateId, Part)],
    site: &Site<'_>,
    bundle: &Path,
) -> Result<BTreeMap<CandidateId, f64>, RunError> {
    let answering = Answering::start(site, bundle)?;
    let mut found = BTreeMap::new();
    for (member, (id, _)) in kept.iter().enumerate() {
        // A model that does not answer single rows is no choice where their time counts.
        if let Ok((time, _)) = answering.time(CANDIDATE_ROWS, Some(member)) {
            found.insert(*id, time);
        }
    }
    answering.stop();
    Ok(found)
}

/// Measures the delivered model against what was wished for; every broken wish is warned about.
///
/// # Errors
/// The journal cannot be written.
pub fn judge(
    finalise: &mut Finalise<'_>,
    site: &Site<'_>,
    choice: &Choice,
    delivery: &Delivery,
) -> Result<(), RunError> {
    let wishes = finalise.task.constraints.clone();
    if !bind(&wishes) && !wishes.interpretable {
        return Ok(());
    }
    let place = site.folder.path(bundle::FOLDER);
    let latency_ms = if is_timed(&wishes) {
        match delivered_time(site, &place, delivery) {
            Ok(time) => Some(time),
            Err(error) => {
                finalise.record.warn(format!("the delivered model could not be timed: {error}"))?;
                None
            }
        }
    } else {
        None
    };
    let measured = Measured {
        latency_ms,
        model_bytes: Some(bytes_below(&place)),
        interpretable: readable(finalise, choice),
    };
    for verdict in constraints::judge(&wishes, &measured) {
        if !verdict.passed {
            let broken = format!("{} is not as wished for: {}", verdict.subject, verdict.evidence);
            finalise.record.warn(broken)?;
        }
        finalise.record.write(ansatz_core::event::Event::Checked { verdict })?;
    }
    Ok(())
}

fn delivered_time(site: &Site<'_>, place: &Path, delivery: &Delivery) -> Result<f64, RunError> {
    let answering = Answering::start(site, place)?;
    let timed = answering.time(DELIVERED_ROWS, None);
    answering.stop();
    let (time, answers) = timed?;
    // Answers are in the order of the test file, as the delivered predictions are.
    for (row, answer) in answers.iter().enumerate().take(delivery.test.rows()) {
        let wanted = delivery.test.row(row);
        let differs = |(a, b): (&f64, &f64)| (a - b).abs() > bundle::TOLERANCE * a.abs().max(1.0);
        if wanted.len() != answer.len() || wanted.iter().zip(answer).any(differs) {
            return Err(RunError::failed(format!(
                "alone, row {} is predicted otherwise than in the file",
                row + 1
            )));
        }
    }
    Ok(time)
}

/// Whether a person can read the choice; unknown where code was written for it.
fn readable(finalise: &Finalise<'_>, choice: &Choice) -> Option<bool> {
    let [member] = choice.members.as_slice() else { return Some(false) };
    match &finalise.board.entries.get(&member.id)?.candidate.solution {
        Solution::Builtin(name) => Some(name == READABLE),
        Solution::Source { .. } => None,
    }
}

fn bytes_below(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let bytes = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => bytes_below(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    };
    entries.map(bytes).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(wishes: Constraints, costs: &[(u32, f64, f64)]) -> Limits {
        let costs = costs.iter().map(|(id, bytes, latency_ms)| {
            (CandidateId(*id), Cost { bytes: *bytes, latency_ms: *latency_ms })
        });
        Limits { wishes, fixed_bytes: 100.0, costs: costs.collect() }
    }

    #[test]
    fn costs_of_members_add_up_and_the_unknown_is_too_much() {
        let wishes =
            Constraints { latency_ms_max: Some(10.0), model_bytes_max: Some(1000), ..Constraints::default() };
        let limits = limits(wishes, &[(1, 400.0, 3.0), (2, 400.0, 6.0), (3, 900.0, 1.0)]);
        let keep = |ids: &[u32]| limits.keep(&ids.iter().map(|id| CandidateId(*id)).collect::<Vec<_>>());
        assert!(keep(&[1]) && keep(&[2]) && keep(&[3]));
        // 9 ms are within 10, but not within the share that is left for another hour.
        assert!(!keep(&[1, 2]));
        assert!(!keep(&[1, 3]), "1400 bytes");
        assert!(!keep(&[4]));
        assert!(limits.bind() && !Limits::default().bind() && Limits::default().keep(&[CandidateId(4)]));
    }
}
