//! Events: the only thing a journal holds, and the only thing from which a run's state is computed.
//!
//! Events name what went in and what came out as artifact ids, so that the trace is a fold over them.

use crate::bill::Usage;
use crate::budget::{Budget, Spent};
use crate::candidate::Candidate;
use crate::ids::{ArtifactId, CandidateId, RunId, StepId, TrialId};
use crate::outcome::{DroppedColumn, RunResult};
use crate::seed::Seed;
use crate::source::Provenance;
use crate::steer::Steer;
use crate::task::Task;
use crate::verdict::Verdict;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// At what effort a trial was run. Two trials with equal candidate and fidelity are the same question.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Fold {
    /// Which repetition of the cross-validation, from 0.
    pub repeat: u32,
    /// Which fold, from 0.
    pub fold: u32,
    /// Share of the training rows that was used, in thousandths (1,000 = all).
    pub rows_permille: u32,
}

/// Why a trial gave no predictions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The code raised an error or ended early.
    Error,
    /// A signal ended it.
    Signal,
    /// It outgrew its memory.
    Memory,
    /// It took too long.
    Timeout,
    /// It wrote too much.
    Quota,
    /// It printed too much.
    Flood,
    /// It started too many processes.
    Processes,
    /// Its predictions were not acceptable.
    Predictions,
    /// The run was stopped while it ran.
    Cancelled,
}

/// A call of a language model, by the names under which its cost is booked and its answer is found again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ModelCall {
    /// The agent that asks.
    pub agent: String,
    /// Name of the prompt's template, `role/purpose`.
    pub template: String,
    /// Content hash of the template.
    pub hash: String,
    /// The plan's step that it belongs to.
    pub step: String,
    /// How many requests of this template the step has made before, from 0.
    pub ordinal: u32,
    /// Turns of repair before this one, from 0.
    #[serde(default)]
    pub turn: u32,
}

/// What a page says about a task, as a search endpoint gives it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// Where it is.
    pub url: String,
    /// Its title and an extract.
    pub text: String,
}

/// Something that happened in a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The run exists.
    RunStarted {
        /// Its id.
        run: RunId,
        /// What was asked for, as the engine's options (JSON): enough to resume.
        options: serde_json::Value,
        /// Its limits.
        budget: Budget,
        /// Its seed.
        seed: Seed,
        /// Versions of the program.
        versions: BTreeMap<String, String>,
        /// Seconds since 1970.
        at: u64,
    },
    /// A later process took the run over.
    Resumed {
        /// Seconds since 1970.
        at: u64,
        /// Bytes of a torn last line that were dropped.
        torn_bytes: u64,
    },
    /// A file of the data was fetched from elsewhere.
    Fetched {
        /// From where, and what it is.
        provenance: Box<Provenance>,
    },
    /// The data were parsed and described.
    Profiled {
        /// Files that went in, by hash.
        inputs: Vec<ArtifactId>,
        /// The profile, as a blob.
        profile: ArtifactId,
    },
    /// The task is known.
    Understood {
        /// The task.
        task: Box<Task>,
        /// From the profile and the words.
        inputs: Vec<ArtifactId>,
    },
    /// The holdout was sealed.
    Sealed {
        /// Rows that were sealed.
        rows: u64,
        /// How.
        method: String,
        /// Hash of the data that decides the split.
        data_hash: String,
        /// Looks at this seal by earlier runs.
        looks_before: u32,
    },
    /// A column will not be used.
    ColumnDropped {
        /// Which, why, with what evidence.
        dropped: DroppedColumn,
    },
    /// A plan was adopted.
    PlanAdopted {
        /// The plan file, as a blob.
        plan: ArtifactId,
        /// Its steps in an order that respects the edges.
        steps: Vec<StepId>,
    },
    /// A step began.
    StepStarted {
        /// Which.
        step: StepId,
    },
    /// A step ended well.
    StepFinished {
        /// Which.
        step: StepId,
        /// What it made.
        outputs: Vec<ArtifactId>,
    },
    /// A step ended badly; the run goes on without it.
    StepFailed {
        /// Which.
        step: StepId,
        /// Why, for a person to read.
        error: String,
    },
    /// A step was not run.
    StepSkipped {
        /// Which.
        step: StepId,
        /// Why, for a person to read.
        reason: String,
    },
    /// A candidate exists.
    CandidateProposed {
        /// The candidate.
        candidate: Box<Candidate>,
        /// The step that asked for it.
        step: StepId,
        /// What it came from: plan, memory entries, earlier candidates.
        inputs: Vec<ArtifactId>,
    },
    /// A trial is about to start.
    TrialStarted {
        /// Its number.
        trial: TrialId,
        /// What is tried.
        candidate: CandidateId,
        /// On which rows.
        fold: Fold,
        /// The step that it belongs to.
        step: StepId,
    },
    /// A trial gave predictions.
    TrialFinished {
        /// Its number.
        trial: TrialId,
        /// What was tried.
        candidate: CandidateId,
        /// On which rows.
        fold: Fold,
        /// Predictions, as a blob.
        predictions: ArtifactId,
        /// The fitted model, as a blob; absent when it was too large to keep.
        model: Option<ArtifactId>,
        /// Score on the validation rows of the fold, at the best stage.
        score: Option<f64>,
        /// What the search compares of the fold, larger being better; absent where the metric is undefined, and in journals
        /// of versions that did not keep it.
        #[serde(default)]
        gain: Option<f64>,
        /// Wall time from order to predictions.
        wall_s: f64,
        /// Processor time of the child.
        cpu_s: f64,
    },
    /// A trial gave none.
    TrialFailed {
        /// Its number.
        trial: TrialId,
        /// What was tried.
        candidate: CandidateId,
        /// On which rows.
        fold: Fold,
        /// What kind of failure.
        kind: FailureKind,
        /// The message, for a person to read.
        message: String,
        /// Processor time of the child.
        cpu_s: f64,
    },
    /// All folds of a candidate are in.
    CandidateScored {
        /// Which.
        candidate: CandidateId,
        /// Score over the out-of-fold predictions.
        score: f64,
        /// Which of its stages (numbers of rounds, strengths of regularisation) scored best.
        stage: u32,
        /// Processor seconds spent on it.
        seconds: f64,
        /// The predictions that it was computed from.
        inputs: Vec<ArtifactId>,
    },
    /// Something better, or equally good and simpler, leads now.
    IncumbentChanged {
        /// Which candidate leads.
        candidate: CandidateId,
        /// Its score.
        score: f64,
        /// Probability that it is better than the one before, by paired bootstrap.
        p_better: f64,
    },
    /// Candidates were combined.
    EnsembleBuilt {
        /// Members and their weights, adding up to 1.
        members: Vec<(CandidateId, f64)>,
        /// Score over the out-of-fold predictions.
        score: f64,
        /// The predictions that it was computed from.
        inputs: Vec<ArtifactId>,
    },
    /// The seal is about to be broken for the one look.
    SealOpened {
        /// What is judged, as a name.
        subject: String,
    },
    /// A language model is about to be asked.
    ModelAsked {
        /// For whom and what for.
        call: ModelCall,
    },
    /// A language model answered, or the call failed.
    ModelAnswered {
        /// For whom and what for.
        call: ModelCall,
        /// The answer, as a blob; `None` when the call failed.
        answer: Option<ArtifactId>,
        /// Why it failed.
        error: Option<String>,
        /// The model that answered or was asked.
        model: String,
        /// Tokens.
        usage: Usage,
        /// USD; `None` when the price is unknown.
        usd: Option<f64>,
        /// Time of the call in seconds.
        seconds: f64,
    },
    /// A search endpoint was asked for pages about the task.
    Retrieved {
        /// What was looked for.
        query: String,
        /// What was found.
        pages: Vec<Page>,
        /// Why nothing was found.
        error: Option<String>,
    },
    /// Something was checked.
    Checked {
        /// The verdict.
        verdict: Verdict,
    },
    /// What the run may spend, where that was not given with the request: words or the default decide.
    Budgeted {
        /// All limits that hold from now on.
        budget: Budget,
    },
    /// Something that the user should know.
    Warned {
        /// For a person to read.
        message: String,
    },
    /// What has been spent so far; written about every second.
    Ticked {
        /// The running total.
        spent: Spent,
    },
    /// The user steered the run.
    Steered {
        /// How.
        steer: Steer,
        /// Whether it can be done.
        accepted: bool,
        /// What becomes of it, or why it cannot be done.
        outcome: String,
    },
    /// The user wants the best so far, now.
    CancelRequested,
    /// The run is over.
    Finished {
        /// What the user gets.
        result: Box<RunResult>,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trials_of_older_journals_have_no_gain() {
        let line = r#"{"event":"trial_finished","trial":3,"candidate":1,"fold":{"repeat":0,"fold":2,"rows_permille":1000},
            "predictions":"p","model":null,"score":0.5,"wall_s":1.0,"cpu_s":1.0}"#;
        let mut event: Event = serde_json::from_str(line).unwrap();
        let Event::TrialFinished { gain, .. } = &mut event else { panic!("another event") };
        assert_eq!(gain.replace(-0.1), None);
        let again: Event = serde_json::from_str(&serde_json::to_string(&event).unwrap()).unwrap();
        assert_eq!(again, event);
    }
}
