//! The HPO agent's prompts: a space, first configurations, candidates for a score, predicted scores. (After LLAMBO, with
//! one structured call instead of many completions.)

use crate::case::Case;
use crate::prompts::Prompt;
use crate::reply::{Reply, Scalar, Setting};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A parameter, as prompts show it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ParameterView {
    /// Its name.
    pub name: String,
    /// `a number from 0.01 to 0.3 (logarithmic)`, `a whole number from …`, `one of …`.
    pub range: String,
}

/// A parameter with its default.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DefaultedView {
    /// Its name.
    pub name: String,
    /// Its range in words.
    pub range: String,
    /// Its default.
    pub default: String,
}

/// Asks for a space.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ShapeSpace {
    /// Task, data, machine and budget.
    pub case: Case,
    /// The model.
    pub model: String,
    /// Trials that there will be.
    pub trials: u32,
    /// Its parameters.
    pub parameters: Vec<DefaultedView>,
    /// What is known about tuning it.
    pub known: Vec<String>,
}

impl Prompt for ShapeSpace {
    const NAME: &'static str = "hpo/space";
}

/// What to do with a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ParameterAction {
    /// Search it.
    Search,
    /// Leave it at the best guess.
    Fix,
}

/// What is said about a parameter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ParameterAdvice {
    /// The parameter.
    #[schemars(length(max = 64))]
    pub name: String,
    /// What to do with it.
    pub action: ParameterAction,
    /// New lower end.
    pub low: Option<f64>,
    /// New upper end.
    pub high: Option<f64>,
    /// The choices that stay; empty for all.
    #[schemars(length(max = 16))]
    pub values: Vec<Scalar>,
    /// Whether it is searched on a logarithmic scale.
    pub log: bool,
    /// The value to bet on.
    pub best_guess: Scalar,
    /// How sure, from 0 to 1.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub certainty: f64,
    /// Why.
    #[schemars(length(max = 160))]
    pub because: String,
}

/// A space and its prior.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SpaceAdvice {
    /// Each parameter.
    #[schemars(length(min = 1, max = 24))]
    pub parameters: Vec<ParameterAdvice>,
    /// Names, the most important first.
    #[schemars(length(max = 24), inner(length(max = 64)))]
    pub order: Vec<String>,
}

impl Reply for SpaceAdvice {
    const NAME: &'static str = "space";
    const TOKENS_MAX: u32 = 2000;
}

/// Asks for first configurations, with one of three levels of context: the whole data card, a few figures, or none.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WarmStart {
    /// Task, data, machine and budget; shown at the full level alone.
    pub case: Case,
    /// Whether the whole card is shown.
    pub is_full: bool,
    /// The figures of the partial level, or that nothing is known.
    pub partial: String,
    /// What the best bet is for: `this data set`, `data of this kind`, `data that you know nothing about`.
    pub scope: String,
    /// How many.
    pub wanted: u32,
    /// The model.
    pub model: String,
    /// The metric.
    pub metric: String,
    /// Which way is better.
    pub direction: String,
    /// Its parameters.
    pub parameters: Vec<ParameterView>,
    /// Parameters that are not shown and keep their defaults.
    pub left_out: u32,
    /// What configurations must keep.
    pub rules: Vec<String>,
    /// What is known about tuning it.
    pub known: Vec<String>,
}

impl Prompt for WarmStart {
    const NAME: &'static str = "hpo/warm_starts";
}

/// A configuration and its reason.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Configuration {
    /// Why.
    #[schemars(length(max = 200))]
    pub because: String,
    /// The values.
    #[schemars(length(min = 1, max = 24))]
    pub params: Vec<Setting>,
    /// The predicted score.
    pub score: Option<f64>,
}

/// First configurations.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WarmStarts {
    /// The best bet first.
    #[schemars(length(min = 1, max = 12))]
    pub configurations: Vec<Configuration>,
}

impl Reply for WarmStarts {
    const NAME: &'static str = "warm_starts";
    const TOKENS_MAX: u32 = 2500;
}

/// A trial, as prompts show it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TrialView {
    /// `name=value, name=value`.
    pub params: String,
    /// Its score, or `failed`.
    pub score: String,
}

/// Asks for candidates that reach a score.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ProposeCandidates {
    /// Task, data, machine and budget; shown at the full level alone.
    pub case: Case,
    /// Whether the whole card is shown.
    pub is_full: bool,
    /// What is known otherwise.
    pub partial: String,
    /// The model.
    pub model: String,
    /// The metric.
    pub metric: String,
    /// Which way is better.
    pub direction: String,
    /// What was tried, shuffled.
    pub history: Vec<TrialView>,
    /// Its parameters.
    pub parameters: Vec<ParameterView>,
    /// Parameters that are not shown and keep their defaults.
    pub left_out: u32,
    /// What configurations must keep.
    pub rules: Vec<String>,
    /// How many.
    pub wanted: u32,
    /// The score to reach.
    pub goal: String,
}

impl Prompt for ProposeCandidates {
    const NAME: &'static str = "hpo/candidates";
    const MEASURED: &'static [&'static str] = &["score", "goal"];
}

/// Candidates.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Candidates {
    /// What the trials say.
    #[schemars(length(max = 300))]
    pub reading: String,
    /// The candidates.
    #[schemars(length(min = 1, max = 12))]
    pub configurations: Vec<Configuration>,
}

impl Reply for Candidates {
    const NAME: &'static str = "candidates";
    const TOKENS_MAX: u32 = 2500;
}

/// A configuration whose score is asked for.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct QueryView {
    /// Its number, from 1.
    pub number: u32,
    /// `name=value, name=value`.
    pub params: String,
}

/// Asks for predicted scores.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PredictScores {
    /// Task, data, machine and budget; shown at the full level alone.
    pub case: Case,
    /// Whether the whole card is shown.
    pub is_full: bool,
    /// What is known otherwise.
    pub partial: String,
    /// The model.
    pub model: String,
    /// The metric.
    pub metric: String,
    /// Which way is better.
    pub direction: String,
    /// What was tried, shuffled.
    pub history: Vec<TrialView>,
    /// How much repeated trials scatter.
    pub noise: String,
    /// What to predict.
    pub queries: Vec<QueryView>,
}

impl Prompt for PredictScores {
    const NAME: &'static str = "hpo/surrogate";
    const MEASURED: &'static [&'static str] = &["score", "noise"];
}

/// A predicted score.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PredictedScore {
    /// Number of the configuration.
    #[schemars(range(min = 1))]
    pub number: u32,
    /// Its score.
    pub score: f64,
    /// Standard deviation.
    #[schemars(range(min = 0.0))]
    pub deviation: f64,
}

/// Predicted scores.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PredictedScores {
    /// One for each configuration.
    #[schemars(length(min = 1, max = 40))]
    pub predictions: Vec<PredictedScore>,
}

impl Reply for PredictedScores {
    const NAME: &'static str = "predictions";
    const TOKENS_MAX: u32 = 1200;
}

/// Asks how probably configurations are good.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct JudgeCandidates {
    /// Task, data, machine and budget; shown at the full level alone.
    pub case: Case,
    /// Whether the whole card is shown.
    pub is_full: bool,
    /// What is known otherwise.
    pub partial: String,
    /// The model.
    pub model: String,
    /// The metric.
    pub metric: String,
    /// Which way is better.
    pub direction: String,
    /// The score from which on a trial is good.
    pub threshold: String,
    /// What was tried, shuffled; `good`, `not good` or `failed` in place of scores.
    pub history: Vec<TrialView>,
    /// What to judge.
    pub queries: Vec<QueryView>,
}

impl Prompt for JudgeCandidates {
    const NAME: &'static str = "hpo/classify";
    const MEASURED: &'static [&'static str] = &["threshold", "score"];
}

/// How probably a configuration is good.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Judgement {
    /// Number of the configuration.
    #[schemars(range(min = 1))]
    pub number: u32,
    /// The probability.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub probability: f64,
}

/// Judgements.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Judgements {
    /// One for each configuration.
    #[schemars(length(min = 1, max = 40))]
    pub judgements: Vec<Judgement>,
}

impl Reply for Judgements {
    const NAME: &'static str = "judgements";
    const TOKENS_MAX: u32 = 1000;
}
