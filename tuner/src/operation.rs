//! Everything that can happen to a study, as lines of a journal: kept by whoever drives it, replayed to go on.

use crate::query::{Answer, Query};
use crate::space::{Params, Space};
use crate::trial::{Direction, TrialNumber};
use ansatz_core::seed::Seed;
use serde::{Deserialize, Serialize};

/// Something that happened to a study.
///
/// A study is the fold over its operations: [`Study::replay`](crate::study::Study::replay).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "operation", rename_all = "snake_case")]
pub enum Operation {
    /// The study exists. Always the first.
    Started {
        /// What is searched.
        space: Box<Space>,
        /// Which values are better.
        goals: Vec<Direction>,
        /// Where all chance comes from.
        seed: Seed,
        /// How many trials there will be in all, if known.
        budget: Option<u32>,
        /// The sampler's name, for the reader's information.
        sampler: String,
    },
    /// A configuration waits to be tried before anything else.
    Enqueued {
        /// The configuration.
        params: Params,
        /// Whose idea it is.
        origin: String,
    },
    /// A trial began.
    Asked {
        /// Its number.
        number: TrialNumber,
        /// Its configuration.
        params: Params,
        /// Whose idea it is.
        origin: String,
        /// What the sampler said about it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<String>,
        /// The value that somebody expected of it under the first goal.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expected: Option<f64>,
        /// Whether it came from the queue.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        queued: bool,
    },
    /// A running trial reported a value on its way.
    Reported {
        /// Its number.
        number: TrialNumber,
        /// How far it has come.
        step: u64,
        /// The value there.
        value: f64,
    },
    /// A trial ended with values.
    Completed {
        /// Its number.
        number: TrialNumber,
        /// One value for each goal.
        values: Vec<f64>,
    },
    /// A trial was stopped on its way.
    Pruned {
        /// Its number.
        number: TrialNumber,
    },
    /// A trial gave no number.
    Failed {
        /// Its number.
        number: TrialNumber,
        /// Why.
        reason: String,
    },
    /// A question was asked.
    Queried {
        /// The question.
        query: Query,
    },
    /// A question was answered.
    Answered {
        /// The question's number.
        query: u32,
        /// The answer.
        answer: Answer,
    },
}
