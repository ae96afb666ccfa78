//! What came out of a study, for people and programs.

use super::Goal;
use ansatz_core::bill::Bill;
use ansatz_core::candidate::Params;
use ansatz_tuner::trial::Direction;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// What came out of a study.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TuneResult {
    /// The best trial; none when every one failed.
    pub best: Option<Best>,
    /// With several goals: the trials that no other beats under every goal at once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub front: Vec<Best>,
    /// Every trial, by number.
    pub trials: Vec<TuneTrial>,
    /// Which method searched, and why.
    pub sampler: String,
    /// Seconds that the study took, in all its lives.
    pub seconds: f64,
    /// Why it ended.
    pub end: TuneEnd,
    /// Why there was nothing new to try, where that ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exhausted: Option<String>,
    /// Which values are better, under the first goal.
    pub direction: Direction,
    /// The goals that were named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub goals: Vec<Goal>,
    /// The seed.
    pub seed: u64,
    /// Best against default, measured side by side after the search.
    pub comparison: Option<Comparison>,
    /// Spread (standard deviation) of single measurements, where some were repeated.
    pub noise: Option<f64>,
    /// Share of the variation that each parameter explains, 0 to 1 (PED-ANOVA, arXiv 2304.10255); empty where too little is known.
    #[serde(default)]
    pub importances: BTreeMap<String, f64>,
    /// How a language model's expected scores compare with what came out, where it gave any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration: Option<Calibration>,
    /// What a language model cost, where one was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub llm: Option<Bill>,
    /// What should be known.
    pub warnings: Vec<String>,
    /// Where the study lies.
    pub out: PathBuf,
}

/// Expected scores beside measured ones.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// Trials of which a score was expected.
    pub trials: usize,
    /// Mean of measured minus expected.
    pub bias: f64,
    /// Mean absolute difference.
    pub error: f64,
}

/// The best configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Best {
    /// The trial's number.
    pub number: u32,
    /// The configuration.
    pub params: Params,
    /// Its value: the median where it was measured several times.
    pub value: f64,
    /// With several goals: its values, goal by goal.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<f64>,
    /// Single measurements.
    pub measurements: Vec<f64>,
}

/// One trial.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TuneTrial {
    /// Its number, from 0.
    pub number: u32,
    /// The configuration.
    pub params: Params,
    /// Its value; none when it failed.
    pub value: Option<f64>,
    /// With several goals: its values, goal by goal.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<f64>,
    /// `complete`, `failed`, `pruned`, or `running` when the study was left.
    pub state: String,
    /// Whose idea it was.
    pub origin: String,
    /// Single measurements.
    pub measurements: Vec<f64>,
    /// Why it failed, or what the search said about it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub note: Option<String>,
}

/// Why a study ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TuneEnd {
    /// All trials were made.
    Trials,
    /// The time was used up.
    Time,
    /// There was nothing new to try: every configuration was tried, or no other keeps the constraints.
    Exhausted,
    /// The user stopped it.
    Interrupted,
}

/// Best against default, measured alternately.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// What the default gave, run by run.
    pub default: Vec<f64>,
    /// What the best gave in the same order.
    pub best: Vec<f64>,
    /// How many times better the best is (above 1 is better), where values are above zero.
    pub ratio: Option<f64>,
    /// Lower end of its 95 % interval.
    pub low: Option<f64>,
    /// Upper end of its 95 % interval.
    pub high: Option<f64>,
}
