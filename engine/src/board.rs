//! The board: every candidate of a run, its trials, its out-of-fold predictions and its score.
//!
//! Rows are numbered as in the training file. Out-of-fold matrices have one row per *open* row (training rows that
//! are not sealed), in the order of [`Rows::open`].
//!
//! Invariant: pure bookkeeping; scores come from the referee's metric over predictions, from nothing else.

use ansatz_core::candidate::{Candidate, Origin, Params};
use ansatz_core::event::Fold;
use ansatz_core::ids::{ArtifactId, CandidateId, StepId};
use ansatz_core::matrix::Matrix;
use ansatz_core::metric::Direction;
use std::collections::{BTreeMap, BTreeSet};

/// Which rows are sealed, which are open, and how the open ones are folded.
#[derive(Debug, Clone)]
pub struct Rows {
    /// Sealed rows, rising.
    pub sealed: Vec<usize>,
    /// Rows that candidates may be fitted on, rising.
    pub open: Vec<usize>,
    /// Validation rows by repeat and fold; each repeat covers `open`.
    pub folds: Vec<Vec<Vec<usize>>>,
    position: Vec<usize>,
}

impl Rows {
    /// Rows from their parts; `total` counts all rows of the training file.
    pub fn new(total: usize, sealed: Vec<usize>, open: Vec<usize>, folds: Vec<Vec<Vec<usize>>>) -> Self {
        let mut position = vec![usize::MAX; total];
        for (at, &row) in open.iter().enumerate() {
            position[row] = at;
        }
        Self { sealed, open, folds, position }
    }

    /// Where an open row stands in out-of-fold matrices.
    pub fn position(&self, row: usize) -> usize {
        self.position[row]
    }

    /// Validation rows of a fold.
    pub fn validation(&self, fold: &Fold) -> &[usize] {
        &self.folds[fold.repeat as usize][fold.fold as usize]
    }

    /// Training rows of a fold: open rows that are not its validation rows, thinned evenly to the fold's share.
    pub fn training(&self, fold: &Fold) -> Vec<usize> {
        let out: BTreeSet<usize> = self.validation(fold).iter().copied().collect();
        let rows: Vec<usize> = self.open.iter().copied().filter(|row| !out.contains(row)).collect();
        if fold.rows_permille >= 1000 {
            return rows;
        }
        let keep = u64::from(fold.rows_permille);
        let chosen = |index: u64| (index + 1) * keep / 1000 > index * keep / 1000;
        rows.into_iter().enumerate().filter(|(index, _)| chosen(*index as u64)).map(|(_, row)| row).collect()
    }

    /// The folds of one repeat at a share of rows.
    pub fn folds_of(&self, repeat: u32, rows_permille: u32) -> Vec<Fold> {
        let count = self.folds.get(repeat as usize).map_or(0, Vec::len);
        (0..count as u32).map(|fold| Fold { repeat, fold, rows_permille }).collect()
    }
}

/// What is kept of a finished trial.
#[derive(Debug, Clone)]
pub struct Held {
    /// Validation predictions by stage; only the chosen one after the candidate was scored.
    pub stages: Vec<Matrix>,
    /// The stages' values.
    pub stage_values: Vec<f64>,
    /// Predictions of the test rows at each stage, when they were asked for.
    pub test: Vec<Matrix>,
    /// Blob of the predictions.
    pub predictions: ArtifactId,
    /// Blob of the fitted model.
    pub model: Option<ArtifactId>,
    /// Processor time.
    pub cpu_s: f64,
    /// Wall time.
    pub wall_s: f64,
}

/// Where a candidate stands.
#[derive(Debug, Clone, PartialEq)]
pub enum State {
    /// Trials are due or under way.
    Open,
    /// All folds of the first repeat are in.
    Scored(Scored),
    /// Given up after some folds.
    Dropped(String),
    /// It cannot run.
    Failed(String),
}

/// A scored candidate.
#[derive(Debug, Clone, PartialEq)]
pub struct Scored {
    /// Score over the out-of-fold predictions.
    pub score: f64,
    /// Index of the chosen stage.
    pub stage: usize,
    /// Its value, e.g. a number of rounds.
    pub stage_value: f64,
    /// Whether the solution has stages at all.
    pub staged: bool,
    /// Whether its stages count something, such as rounds, rather than being strengths.
    pub counted: bool,
}

/// A candidate on the board.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The candidate.
    pub candidate: Candidate,
    /// The step that asked for it.
    pub step: StepId,
    /// Finished trials.
    pub held: BTreeMap<Fold, Held>,
    /// Failed trials.
    pub failures: BTreeMap<Fold, String>,
    /// Where it stands.
    pub state: State,
    /// Out-of-fold predictions at the chosen stage, averaged over repeats.
    pub oof: Option<Matrix>,
}

impl Entry {
    /// Processor seconds of its trials.
    pub fn cpu_s(&self) -> f64 {
        self.held.values().map(|held| held.cpu_s).sum()
    }

    /// Mean wall seconds of its trials.
    pub fn trial_wall_s(&self) -> Option<f64> {
        (!self.held.is_empty())
            .then(|| self.held.values().map(|held| held.wall_s).sum::<f64>() / self.held.len() as f64)
    }

    /// Its score, when it has one.
    pub fn score(&self) -> Option<&Scored> {
        match &self.state {
            State::Scored(scored) => Some(scored),
            _ => None,
        }
    }

    /// A name for people: solution and number.
    pub fn name(&self) -> String {
        format!("{}-{}", self.candidate.solution.name(), self.candidate.id)
    }
}

/// All candidates.
pub struct Board {
    /// Rows and folds.
    pub rows: Rows,
    /// Targets of all training rows.
    pub truth: Vec<f64>,
    /// Candidates by number.
    pub entries: BTreeMap<CandidateId, Entry>,
    open_truth: Vec<f64>,
}

impl Board {
    /// An empty board.
    pub fn new(rows: Rows, truth: Vec<f64>) -> Self {
        let open_truth = rows.open.iter().map(|&row| truth[row]).collect();
        Self { rows, truth, entries: BTreeMap::new(), open_truth }
    }

    /// Targets of the open rows, in the order of out-of-fold matrices.
    pub fn open_truth(&self) -> &[f64] {
        &self.open_truth
    }

    /// Targets of some rows.
    pub fn truth_of(&self, rows: &[usize]) -> Vec<f64> {
        rows.iter().map(|&row| self.truth[row]).collect()
    }

    /// Adds a candidate.
    pub fn add(&mut self, candidate: Candidate, step: StepId) {
        let entry = Entry {
            step,
            held: BTreeMap::new(),
            failures: BTreeMap::new(),
            state: State::Open,
            oof: None,
            candidate,
        };
        self.entries.insert(entry.candidate.id, entry);
    }

    /// The number of the next candidate.
    pub fn next_id(&self) -> CandidateId {
        CandidateId(self.entries.keys().next_back().map_or(0, |id| id.0 + 1))
    }

    /// Whether a solution with these parameters is already there.
    pub fn knows(&self, solution: &str, params: &Params) -> bool {
        self.entries
            .values()
            .any(|entry| entry.candidate.solution.name() == solution && entry.candidate.params == *params)
    }

    /// Out-of-fold predictions of a candidate at each stage over the first repeat; `None` until all folds are in.
    pub fn oof_by_stage(&self, candidate: CandidateId) -> Option<(Vec<Matrix>, Vec<f64>)> {
        let entry = self.entries.get(&candidate)?;
        let folds: Vec<(&Fold, &Held)> = entry.held.iter().filter(|(fold, _)| fold.repeat == 0).collect();
        if folds.len() < self.rows.folds.first()?.len() {
            return None;
        }
        let stages = folds.iter().map(|(_, held)| held.stages.len()).min()?;
        let outputs = folds.first()?.1.stages.first()?.columns();
        let matrices = (0..stages)
            .map(|stage| {
                let mut all = Matrix::filled(self.rows.open.len(), outputs, 0.0);
                for (fold, held) in &folds {
                    self.place(&mut all, fold, &held.stages[stage]);
                }
                all
            })
            .collect();
        Some((matrices, folds.first()?.1.stage_values.clone()))
    }

    fn place(&self, all: &mut Matrix, fold: &Fold, predictions: &Matrix) {
        for (index, &row) in self.rows.validation(fold).iter().enumerate() {
            all.row_mut(self.rows.position(row)).copy_from_slice(predictions.row(index));
        }
    }

    /// Marks a candidate as scored at a stage and lets go of the other stages' predictions.
    pub fn settle(&mut self, candidate: CandidateId, scored: Scored, oof: Matrix) {
        if let Some(entry) = self.entries.get_mut(&candidate) {
            for held in entry.held.values_mut() {
                if scored.stage < held.stages.len() {
                    held.stages = vec![held.stages.swap_remove(scored.stage)];
                    held.stages.shrink_to_fit();
                }
            }
            entry.oof = Some(oof);
            entry.state = State::Scored(scored);
        }
    }

    /// Gives a candidate up.
    pub fn close(&mut self, candidate: CandidateId, state: State) {
        if let Some(entry) = self.entries.get_mut(&candidate) {
            entry.state = state;
            for held in entry.held.values_mut() {
                held.stages = Vec::new();
                held.test = Vec::new();
            }
        }
    }

    /// Averages a further complete repeat into a scored candidate's out-of-fold predictions.
    pub fn absorb_repeat(&mut self, candidate: CandidateId, repeat: u32) -> bool {
        let Some(count) = self.rows.folds.get(repeat as usize).map(Vec::len) else { return false };
        let Some(entry) = self.entries.get(&candidate) else { return false };
        let Some(scored) = entry.score() else { return false };
        let held: Vec<(Fold, Matrix)> = entry
            .held
            .iter()
            .filter(|(fold, _)| fold.repeat == repeat)
            .filter_map(|(fold, held)| {
                let stage = if held.stages.len() == 1 { 0 } else { scored.stage };
                Some((fold.clone(), held.stages.get(stage)?.clone()))
            })
            .collect();
        if held.len() < count {
            return false;
        }
        let Some(mut oof) = entry.oof.clone() else { return false };
        let mut fresh = Matrix::filled(oof.rows(), oof.columns(), 0.0);
        for (fold, predictions) in &held {
            self.place(&mut fresh, fold, predictions);
        }
        let before = f64::from(repeat);
        for (old, new) in oof.data_mut().iter_mut().zip(fresh.data()) {
            *old = (*old * before + new) / (before + 1.0);
        }
        if let Some(entry) = self.entries.get_mut(&candidate) {
            entry.oof = Some(oof);
            for held in entry.held.values_mut() {
                if held.stages.len() > 1 {
                    held.stages = Vec::new();
                }
            }
        }
        true
    }

    /// Scored candidates, best first; ties to the earlier.
    pub fn ranking(&self, direction: Direction) -> Vec<&Entry> {
        let mut scored: Vec<&Entry> = self.entries.values().filter(|entry| entry.score().is_some()).collect();
        let gain = |entry: &Entry| direction.gain(entry.score().map_or(f64::NAN, |scored| scored.score));
        scored.sort_by(|a, b| gain(b).total_cmp(&gain(a)).then(a.candidate.id.cmp(&b.candidate.id)));
        scored
    }

    /// The baseline, when it is on the board: the latest, for it is trained again when a column was taken away.
    pub fn baseline(&self) -> Option<&Entry> {
        self.entries.values().rev().find(|entry| entry.candidate.origin == Origin::Baseline)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Rows {
        Rows::new(6, vec![1, 4], vec![0, 2, 3, 5], vec![vec![vec![0, 5], vec![2, 3]]])
    }

    #[test]
    fn training_rows_are_open_rows_outside_the_fold() {
        let fold = Fold { repeat: 0, fold: 0, rows_permille: 1000 };
        assert_eq!(rows().training(&fold), [2, 3]);
        assert_eq!(rows().training(&Fold { rows_permille: 500, ..fold }), [3]);
    }

    #[test]
    fn out_of_fold_predictions_stand_at_the_rows_they_belong_to() {
        use ansatz_core::candidate::Solution;
        let mut board = Board::new(rows(), vec![0.0; 6]);
        let id = board.next_id();
        let solution = Solution::Builtin("a".into());
        let candidate = Candidate { id, solution, params: Params::new(), origin: Origin::Playbook };
        board.add(candidate, StepId::new("model:a"));
        for (fold, values) in [(0, vec![10.0, 15.0]), (1, vec![12.0, 13.0])] {
            let held = Held {
                stages: vec![Matrix::column(values)],
                stage_values: vec![0.0],
                test: vec![],
                predictions: ArtifactId::new("x"),
                model: None,
                cpu_s: 1.0,
                wall_s: 1.0,
            };
            assert!(board.oof_by_stage(id).is_none());
            let fold = Fold { repeat: 0, fold, rows_permille: 1000 };
            board.entries.get_mut(&id).unwrap().held.insert(fold, held);
        }
        let (stages, _) = board.oof_by_stage(id).unwrap();
        assert_eq!(stages[0].data(), [10.0, 12.0, 13.0, 15.0]);
    }
}
