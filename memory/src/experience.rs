//! What is remembered, as plain values. One record is one line of JSON in an export.

use crate::looks::Look;
use crate::meta::MetaFeatures;
use ansatz_core::candidate::Params;
use ansatz_core::ids::RunId;
use ansatz_core::metric::{Direction, MetricSpec};
use ansatz_core::task::Problem;
use serde::{Deserialize, Serialize};

/// What was asked, as far as it says whether another task is alike.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskFacts {
    /// A short name: the folder or file name.
    pub name: String,
    /// What kind of answer was wanted.
    pub problem: Problem,
    /// How predictions were scored.
    pub metric: MetricSpec,
    /// Name of the target column.
    pub target: String,
}

/// One configuration that was scored on all folds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrialFact {
    /// Name of the solution.
    pub solution: String,
    /// Its parameters.
    pub params: Params,
    /// Score over the out-of-fold predictions, in the metric's unit.
    pub score: f64,
    /// Processor seconds spent on it.
    pub seconds: f64,
    /// The stage (number of rounds, strength of regularisation) that scored best.
    pub stage: u32,
}

/// What one run found out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Experience {
    /// The run.
    pub run: RunId,
    /// When it ended, in seconds since 1970.
    pub at: u64,
    /// Hash of the training data.
    pub data_hash: String,
    /// What was asked.
    pub task: TaskFacts,
    /// What the data looked like.
    pub meta: MetaFeatures,
    /// What was tried.
    pub trials: Vec<TrialFact>,
    /// What was best; `None` when nothing could be scored.
    pub best: Option<TrialFact>,
    /// Score of the reference model.
    pub baseline: Option<f64>,
}

impl Experience {
    /// Without trials whose numbers are not finite: they teach nothing and cannot be written as JSON.
    #[must_use]
    pub(crate) fn cleaned(mut self) -> Self {
        let finite = |trial: &TrialFact| trial.score.is_finite() && trial.seconds.is_finite();
        self.trials.retain(finite);
        self.best = self.best.filter(finite);
        self.baseline = self.baseline.filter(|score| score.is_finite());
        self.meta = self.meta.cleaned();
        self
    }
}

/// Something learnt that can be said in words.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Lesson {
    /// Unique within the run.
    pub id: String,
    /// The run that taught it.
    pub run: RunId,
    /// When, in seconds since 1970.
    pub at: u64,
    /// What was learnt, for a person to read.
    pub text: String,
    /// What it rests on.
    pub evidence: String,
}

/// What a study of a program's parameters found out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Study {
    /// The study: name of its folder.
    pub run: RunId,
    /// When it ended, in seconds since 1970.
    pub at: u64,
    /// Fingerprint of the space: studies with the same one searched exactly the same. Those of others teach too, as far as
    /// they set the same parameters.
    pub space: String,
    /// What was tuned, for a person to read and to tell whether it is the same again.
    pub subject: String,
    /// Which values are better.
    pub direction: Direction,
    /// What was tried, in order.
    pub trials: Vec<StudyTrial>,
}

impl Study {
    /// Without values that are not finite: they teach nothing and cannot be written as JSON.
    #[must_use]
    pub(crate) fn cleaned(mut self) -> Self {
        self.trials.retain(|trial| trial.value.is_none_or(f64::is_finite));
        self
    }

    /// The best trial; `None` when every one failed.
    pub fn best(&self) -> Option<&StudyTrial> {
        let gain =
            |trial: &StudyTrial| trial.value.map_or(f64::NEG_INFINITY, |value| self.direction.gain(value));
        let scored = self.trials.iter().filter(|trial| trial.value.is_some());
        scored.reduce(|best, trial| if gain(trial) > gain(best) { trial } else { best })
    }
}

/// One trial of a study.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StudyTrial {
    /// The configuration.
    pub params: Params,
    /// What it came to; `None` when it failed.
    pub value: Option<f64>,
    /// Whose idea it was.
    pub origin: String,
    /// Why it was proposed and what was expected of it, or why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// Anything that is remembered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "snake_case")]
pub enum Record {
    /// What one run found out.
    Experience(Box<Experience>),
    /// Something learnt that can be said in words.
    Lesson(Lesson),
    /// What a study of a program's parameters found out.
    Study(Box<Study>),
    /// A seal was opened. Looks have a file of their own and are never forgotten.
    Look(Look),
}

impl Record {
    /// The record's place in the store; a record with the same key replaces it. `None` for looks.
    pub(crate) fn key(&self) -> Option<String> {
        match self {
            Self::Experience(experience) => Some(format!("{EXPERIENCES}{}", experience.run)),
            Self::Lesson(lesson) => Some(format!("{LESSONS}{}\u{0}{}", lesson.run, lesson.id)),
            Self::Study(study) => Some(format!("{STUDIES}{}", study.run)),
            Self::Look(_) => None,
        }
    }

    pub(crate) fn cleaned(self) -> Self {
        match self {
            Self::Experience(experience) => Self::Experience(Box::new(experience.cleaned())),
            Self::Study(study) => Self::Study(Box::new(study.cleaned())),
            other => other,
        }
    }
}

pub(crate) const EXPERIENCES: &str = "experience/";
pub(crate) const LESSONS: &str = "lesson/";
pub(crate) const STUDIES: &str = "study/";
