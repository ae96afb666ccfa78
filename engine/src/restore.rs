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
            Event::TrialFinished {
                candidate, fold, predictions, model, score, gain, wall_s, cpu_s, ..
            } => {
                progress.trials_started += 1;
                if let Some(score) = score {
                    progress.fold_scores.insert((*candidate, fold.clone()), *score);
                }
                let rows = board.rows.validation(fold).len();
                let decoded =
                    record.blobs.get(predictions).ok().and_then(|bytes| predictions::decode(&bytes, rows));
                let Some((stages, stage_values)) = decoded else { continue };
                // Asked for anew only where the journal does not hold it: a metric may be dear.
                let gain = gain.or_else(|| {
                    let truth = board.truth_of(board.rows.validation(fold));
                    scoring.fold(&truth, &stages).gain
                });
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board::Rows;
    use crate::observer::Silent;
    use ansatz_core::budget::Spent;
    use ansatz_core::candidate::{Candidate, Origin, Params, Solution};
    use ansatz_core::clock::ManualClock;
    use ansatz_core::event::Fold;
    use ansatz_core::ids::{StepId, TrialId};
    use ansatz_core::matrix::Matrix;
    use ansatz_core::seed::Seed;
    use ansatz_core::status::Status;
    use ansatz_core::task::{Constraints, Problem, Task};
    use ansatz_journal::{Blobs, Journal};
    use std::sync::Arc;

    fn scoring() -> Scoring {
        let task = Task {
            name: "t".into(),
            request: String::new(),
            problem: Problem::Regression,
            target: "y".into(),
            id: None,
            metric: ansatz_referee::metrics::lookup("rmse").unwrap().spec().clone(),
            classes: Vec::new(),
            constraints: Constraints::default(),
            submission: None,
            inferred: Vec::new(),
        };
        Scoring::of(&task, Seed(1)).unwrap()
    }

    #[test]
    fn what_a_fold_was_worth_is_taken_from_the_journal_and_computed_where_that_lacks_it() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::create(folder.path(), Arc::new(ManualClock::default())).unwrap();
        let blobs = Blobs::new(folder.path());
        let record = Record::new(journal, blobs, Box::new(Silent), Status::New, Spent::default());
        let predicted = predictions::encode(&[Matrix::column(vec![1.0, 4.0])], &[0.0]);
        let predictions = record.blob(&predicted).unwrap();

        let rows = Rows::new(4, Vec::new(), vec![0, 1, 2, 3], vec![vec![vec![0, 1], vec![2, 3]]]);
        let mut board = Board::new(rows, vec![0.0, 3.0, 0.0, 3.0]);
        let id = board.next_id();
        let solution = Solution::Builtin("a".into());
        let candidate = Candidate { id, solution, params: Params::new(), origin: Origin::Playbook };
        board.add(candidate, StepId::new("model:a"));
        let fold = |fold| Fold { repeat: 0, fold, rows_permille: 1000 };
        let finished = |number, gain| Event::TrialFinished {
            trial: TrialId(number),
            candidate: id,
            fold: fold(number),
            predictions: predictions.clone(),
            model: None,
            score: Some(1.0),
            gain,
            wall_s: 1.0,
            cpu_s: 1.0,
        };
        let mut progress = Progress::default();
        let past = [finished(0, Some(-42.0)), finished(1, None)];
        restore(&past, &mut board, &record, &scoring(), &mut progress);
        let gain = |number| progress.fold_gains.get(&(id, fold(number))).copied();
        assert_eq!((gain(0), gain(1)), (Some(-42.0), Some(-1.0)));
        assert_eq!(board.entries[&id].held.len(), 2);
    }
}
