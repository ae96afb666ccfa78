//! What the journal of an earlier life of a run knows, put back on the board.

use crate::board::{Board, Held, Scored, State};
use crate::predictions;
use crate::record::Record;
use crate::scoring::Scoring;
use crate::search::{self, Progress};
use ansatz_core::event::{Event, FailureKind};
use ansatz_core::ids::CandidateId;

/// Puts back on the board what the journal knows.
pub fn restore(
    past: &[Event],
    board: &mut Board,
    record: &Record,
    scoring: &Scoring,
    progress: &mut Progress,
) {
    let mut scored: Vec<(CandidateId, f64, u32)> = Vec::new();
    for event in past {
        match event {
            Event::CandidateProposed { candidate, step, .. } => {
                board.add(candidate.as_ref().clone(), step.clone());
            }
            Event::TrialStarted { trial, .. } => progress.next_trial = progress.next_trial.max(trial.0 + 1),
            Event::TrialFinished { candidate, fold, predictions, model, score, wall_s, cpu_s, .. } => {
                progress.trials_started += 1;
                if let Some(score) = score {
                    progress.fold_scores.insert((*candidate, fold.clone()), *score);
                }
                let rows = board.rows.validation(fold).len();
                let decoded =
                    record.blobs.get(predictions).ok().and_then(|bytes| predictions::decode(&bytes, rows));
                let Some((stages, stage_values)) = decoded else { continue };
                let truth = board.truth_of(board.rows.validation(fold));
                let gain = scoring.fold(&truth, &stages).gain;
                progress.fold_gains.extend(gain.map(|gain| ((*candidate, fold.clone()), gain)));
                let held = Held {
                    stages,
                    stage_values,
                    test: Vec::new(),
                    predictions: predictions.clone(),
                    model: model.clone().filter(|model| record.blobs.contains(model)),
                    cpu_s: *cpu_s,
                    wall_s: *wall_s,
                };
                if let Some(entry) = board.entries.get_mut(candidate) {
                    entry.held.insert(fold.clone(), held);
                }
            }
            Event::TrialFailed { candidate, fold, kind, message, .. } if *kind != FailureKind::Cancelled => {
                progress.trials_started += 1;
                if let Some(entry) = board.entries.get_mut(candidate) {
                    entry.failures.insert(fold.clone(), message.clone());
                }
            }
            Event::CandidateScored { candidate, score, stage, .. } => {
                scored.push((*candidate, *score, *stage));
            }
            Event::Steered { steer, accepted: true, .. } => {
                let closed = search::restore_steering(steer, board, &mut progress.steered);
                scored.retain(|(candidate, ..)| !closed.contains(candidate));
            }
            _ => {}
        }
    }
    for (candidate, score, stage) in scored {
        let stage = stage as usize;
        let Some((stages, values)) = board.oof_by_stage(candidate) else {
            board.close(candidate, State::Failed("its predictions were lost".into()));
            continue;
        };
        let staged = values.len() > 1;
        let counted = staged && values.iter().all(|value| value.fract() == 0.0);
        let stage_value = values.get(stage).copied().unwrap_or(0.0);
        if let Some(oof) = stages.into_iter().nth(stage) {
            board.settle(candidate, Scored { score, stage, stage_value, staged, counted }, oof);
            for repeat in 1..board.rows.folds.len() as u32 {
                board.absorb_repeat(candidate, repeat);
            }
        }
    }
}
