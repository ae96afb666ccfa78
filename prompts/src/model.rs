//! The model agent's prompts: write a solution, revise one block of it, mend it.

use crate::case::Case;
use crate::planner::CardView;
use crate::prompts::Prompt;
use crate::reply::ReplyForm;
use serde::Serialize;

/// Asks for a whole solution.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WriteSolution {
    /// Task, data, machine and budget.
    pub case: Case,
    /// What to do.
    pub what: String,
    /// From which columns.
    pub inputs: Vec<String>,
    /// What could make it fail or deceive.
    pub check: String,
    /// Seconds that one fit may take.
    pub seconds: u32,
    /// Threads that one fit has.
    pub threads: u32,
    /// Cards about the kinds of models that fit the data.
    pub cards: Vec<CardView>,
    /// Source of the best solution so far; empty when there is none to show.
    pub best: String,
    /// Its score, with its error.
    pub best_score: String,
    /// What was learnt on the way.
    pub lessons: Vec<String>,
    /// Whether it is to be a script rather than a module of the contract.
    pub is_script: bool,
    /// Name of the file.
    pub file: String,
}

impl WriteSolution {
    /// The form of the answer.
    pub const FORM: ReplyForm = ReplyForm::Code { tokens_max: 5000 };
}

impl Prompt for WriteSolution {
    const NAME: &'static str = "model/solution";
    const MEASURED: &'static [&'static str] = &["best_score", "lessons"];
}

/// What a part of a solution is worth.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Worth {
    /// The part, as its function is named.
    pub part: String,
    /// What is lost without it, with its error.
    pub worth: String,
}

/// A revision that was tried.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Revision {
    /// What was changed.
    pub change: String,
    /// The score, with its error.
    pub score: String,
}

/// Asks for a revision of one block. (After MLE-STAR: ablate, pick the block that matters, revise only that.)
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Refine {
    /// Task, data, machine and budget.
    pub case: Case,
    /// The score, with its error.
    pub score: String,
    /// Differences below this mean nothing.
    pub noise: String,
    /// The source.
    pub code: String,
    /// Whether it adds groups of columns to a built-in solution, rather than being a whole one.
    pub is_groups: bool,
    /// What its parts are worth.
    pub ablation: Vec<Worth>,
    /// The function to revise.
    pub block: String,
    /// The function that learns what the block reads; empty when there is none.
    pub learns: String,
    /// Revisions of it so far.
    pub history: Vec<Revision>,
    /// Name of the file.
    pub file: String,
}

impl Refine {
    /// The form of the answer.
    pub const FORM: ReplyForm = ReplyForm::Code { tokens_max: 2500 };
}

impl Prompt for Refine {
    const NAME: &'static str = "model/refine";
    const MEASURED: &'static [&'static str] = &["score", "noise", "worth"];
}

/// Asks for a corrected solution.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Debug {
    /// Task, data, machine and budget.
    pub case: Case,
    /// The source.
    pub code: String,
    /// Where it failed: `static check`, `features`, `fit`, `predict`, ….
    pub stage: String,
    /// How: `error`, `timeout`, `memory` or `bad_output`.
    pub kind: String,
    /// The longest time of one fold, in words; empty when it is not known.
    pub limit: String,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    /// Attempts there are.
    pub attempts: u32,
    /// What was seen: the end of the traceback.
    pub error: String,
    /// What earlier attempts changed.
    pub earlier: Vec<String>,
    /// Whether it is a script rather than a module of the contract.
    pub is_script: bool,
    /// Whether it adds groups of columns to a built-in solution, rather than being a whole one.
    pub is_groups: bool,
    /// Name of the file.
    pub file: String,
}

impl Debug {
    /// The form of the answer.
    pub const FORM: ReplyForm = ReplyForm::Code { tokens_max: 5000 };
}

impl Prompt for Debug {
    const NAME: &'static str = "model/debug";
    const MEASURED: &'static [&'static str] = &["error", "limit"];
}
