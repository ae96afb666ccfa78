//! Questions to a language model, and answers, as values: whoever drives a study renders, asks and parses.

use crate::space::Params;
use crate::trial::TrialNumber;
use serde::{Deserialize, Serialize};

/// A question that a sampler wants answered before it goes on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Query {
    /// Its number within the study, from 0.
    pub id: u32,
    /// What is asked.
    pub question: Question,
}

/// What is asked. The space, the task and the trials are known to whoever renders it; numbers name trials to show.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "question", rename_all = "snake_case")]
pub enum Question {
    /// Configurations to begin with, from what is known about the task.
    WarmStart {
        /// How many.
        count: usize,
    },
    /// Configurations that would score `target`, given examples. Reply: [`Answer::Proposals`].
    Propose {
        /// How many.
        count: usize,
        /// The score to reach, in the study's own direction.
        target: f64,
        /// Trials to show, in the order in which to show them.
        examples: Vec<TrialNumber>,
        /// Failed trials to show, with their reasons.
        failures: Vec<TrialNumber>,
    },
    /// The score of each candidate, given examples. Reply: [`Answer::Scores`].
    Predict {
        /// What to score.
        candidates: Vec<Params>,
        /// Trials to show, in the order in which to show them.
        examples: Vec<TrialNumber>,
    },
    /// The probability of each candidate to be at least as good as `threshold`. Reply: [`Answer::Probabilities`].
    Classify {
        /// What to judge.
        candidates: Vec<Params>,
        /// The score from which on a configuration is good, in the study's own direction.
        threshold: f64,
        /// Trials to show, in the order in which to show them.
        examples: Vec<TrialNumber>,
    },
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Answer {
    /// Configurations as the model gave them, not yet checked against the space.
    Proposals {
        /// In the model's order.
        proposals: Vec<Proposal>,
    },
    /// For each candidate a score and how sure the model is of it; none where there was no number.
    Scores {
        /// In the order of the candidates.
        scores: Vec<Option<Forecast>>,
    },
    /// For each candidate a probability; none where there was none.
    Probabilities {
        /// In the order of the candidates.
        probabilities: Vec<Option<f64>>,
    },
    /// No model, no reply in time, nothing that could be read. The sampler goes on without.
    Unavailable {
        /// The cause, kept with the next trial.
        cause: String,
    },
}

/// A configuration that a model proposes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Proposal {
    /// The configuration, not yet checked.
    pub params: Params,
    /// The score that the model expects, kept to be compared with what came out.
    pub expected: Option<f64>,
    /// Why.
    pub rationale: Option<String>,
}

/// A predicted score.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Forecast {
    /// The expected score.
    pub mean: f64,
    /// Its standard deviation.
    pub deviation: f64,
}
