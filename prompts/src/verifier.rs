//! The verifier's prompt: read evidence. What was measured outranks what is thought of it; both are kept apart in the reply.

use crate::case::Case;
use crate::prompts::Prompt;
use crate::reply::Reply;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A check and its outcome.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CheckView {
    /// What was checked.
    pub name: String,
    /// `passed` or `failed`.
    pub outcome: String,
    /// What was seen.
    pub detail: String,
}

/// Something to look at.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Material {
    /// What it is.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// Asks for a reading of evidence.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ReadEvidence {
    /// Task, data, machine and budget.
    pub case: Case,
    /// `request`, `plan`, `code`, `execution`, `score`, `constraints`, `submission`, `package`.
    pub stage: String,
    /// What is looked at.
    pub subject: String,
    /// What was demanded.
    pub demands: Vec<String>,
    /// What was measured.
    pub checks: Vec<CheckView>,
    /// What else there is to look at.
    pub material: Vec<Material>,
}

impl Prompt for ReadEvidence {
    const NAME: &'static str = "verifier/evidence";
    const MEASURED: &'static [&'static str] = &["detail", "text", "subject"];
}

/// How serious a concern is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Worth knowing.
    Note,
    /// The result may not be what it seems.
    Doubt,
    /// The result should not be used before it is settled.
    Blocking,
}

/// Where the cause lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// In what was asked.
    Request,
    /// In the plan.
    Plan,
    /// In the data.
    Data,
    /// In the features.
    Features,
    /// In the model.
    Model,
    /// In its parameters.
    Parameters,
    /// In the code.
    Code,
}

/// A concern, with what would settle it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Concern {
    /// How serious.
    pub severity: Severity,
    /// What may be wrong.
    #[schemars(length(max = 240))]
    pub claim: String,
    /// What it rests on.
    #[schemars(length(max = 240))]
    pub evidence: String,
    /// What would settle it.
    #[schemars(length(max = 240))]
    pub test: String,
}

/// A reading of evidence: opinion, never a verdict.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Reading {
    /// What is seen.
    #[schemars(length(max = 240))]
    pub summary: String,
    /// Concerns.
    #[schemars(length(max = 6))]
    pub concerns: Vec<Concern>,
    /// Where the cause of a failure lies.
    pub cause: Option<Cause>,
    /// What to change first.
    #[schemars(length(max = 240))]
    pub suggestion: Option<String>,
}

impl Reply for Reading {
    const NAME: &'static str = "reading";
    const TOKENS_MAX: u32 = 1200;
}
