//! The data agent's prompts: read the data card, write features.

use crate::case::Case;
use crate::prompts::Prompt;
use crate::reply::{Reply, ReplyForm};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What was measured about a column.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Measured {
    /// The column.
    pub column: String,
    /// How well it predicts the target by itself.
    pub alone: String,
    /// The same for all others together; empty when not measured.
    pub others: String,
    /// What else was seen.
    pub note: String,
}

/// Asks what the columns are.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Assess {
    /// Task, data, machine and budget.
    pub case: Case,
    /// What was measured about columns.
    pub evidence: Vec<Measured>,
}

impl Prompt for Assess {
    const NAME: &'static str = "data/assess";
    const MEASURED: &'static [&'static str] = &["alone", "others"];
}

/// How a column is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Treatment {
    /// As numbers.
    Numeric,
    /// As categories.
    Categorical,
    /// As categories with an order.
    Ordinal,
    /// As moments.
    Datetime,
    /// As text.
    Text,
    /// As a name of the row.
    Id,
    /// Not at all.
    Drop,
    /// As it is.
    Keep,
}

/// What is said about a column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ColumnAdvice {
    /// The column.
    #[schemars(length(max = 64))]
    pub column: String,
    /// What it is.
    #[schemars(length(max = 120))]
    pub meaning: String,
    /// How to read it.
    pub treat: Treatment,
    /// A value that means missing.
    #[schemars(length(max = 80))]
    pub missing_as: Option<String>,
    /// Why.
    #[schemars(length(max = 160))]
    pub because: String,
}

/// A suspected leak.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LeakSuspicion {
    /// The column.
    #[schemars(length(max = 64))]
    pub column: String,
    /// Why.
    #[schemars(length(max = 160))]
    pub because: String,
    /// What would settle it.
    #[schemars(length(max = 160))]
    pub would_show: String,
}

/// Files that belong together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Join {
    /// The other file.
    #[schemars(length(max = 80))]
    pub file: String,
    /// The column that both have.
    #[schemars(length(max = 64))]
    pub key: String,
    /// What it adds.
    #[schemars(length(max = 160))]
    pub adds: String,
}

/// What the columns are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Assessment {
    /// Columns to read differently.
    #[schemars(length(max = 30))]
    pub columns: Vec<ColumnAdvice>,
    /// Suspected leaks.
    #[schemars(length(max = 8))]
    pub leaks: Vec<LeakSuspicion>,
    /// Files that belong together.
    #[schemars(length(max = 6))]
    pub joins: Vec<Join>,
    /// What is wrong with the data.
    #[schemars(length(max = 5), inner(length(max = 200)))]
    pub quality: Vec<String>,
}

impl Reply for Assessment {
    const NAME: &'static str = "assessment";
    const TOKENS_MAX: u32 = 2500;
}

/// Asks for a module with new features.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WriteFeatures {
    /// Task, data, machine and budget.
    pub case: Case,
    /// What to do.
    pub what: String,
    /// From which columns.
    pub inputs: Vec<String>,
    /// What could make it fail or deceive.
    pub check: String,
    /// The longest time of one fold, in words; empty when it is not known.
    pub limit: String,
    /// The kind of model, in words.
    pub model: String,
    /// Python source of a solution with that model, to build on.
    pub base: String,
    /// What the playbook's features hold.
    pub known: String,
    /// What was learnt on the way.
    pub lessons: Vec<String>,
    /// Name of the file.
    pub file: String,
}

impl WriteFeatures {
    /// The form of the answer.
    pub const FORM: ReplyForm = ReplyForm::Code { tokens_max: 5000 };
}

impl Prompt for WriteFeatures {
    const NAME: &'static str = "data/features";
    const MEASURED: &'static [&'static str] = &["lessons", "limit"];
}
