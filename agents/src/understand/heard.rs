//! A language model's reading of a request: when it is asked for, what it is asked, and what of its answer counts.
//!
//! Rules outrank it. What it says is checked against the data and against the user's own words, and fills only what
//! flags, files and words leave open; it comes before what would be guessed from names and shapes.

use super::error::{UnderstandError, UnderstandErrorKind};
use super::nearest::squash;
use super::target::looks_like_id;
use super::unread::unread;
use super::words::{Words, plain};
use super::{Request, Understood, understand};
use ansatz_core::profile::{Column, ColumnKind, Profile};
use ansatz_core::task::{BY_MODEL, Problem};
use ansatz_prompts::Case;
use ansatz_prompts::planner::{Concluded, Demand, DemandKind, ProblemKind, Understand, Understanding};
use ansatz_referee::metrics;
use serde::{Deserialize, Serialize};

/// Doubts that a question tells of, and parts that a user is told of.
const DOUBTS_MAX: usize = 8;
/// Conclusions that a question tells of.
const CONCLUDED_MAX: usize = 12;
/// What a limit may be: milliseconds for one prediction, bytes of a model.
const LATENCY_MS: std::ops::RangeInclusive<f64> = 0.01..=60_000.0;
const MODEL_BYTES: std::ops::RangeInclusive<f64> = 1e3..=1e12;
/// Groups that a column must have for rows to be kept together by it.
const GROUPS_MIN: u64 = 10;

/// What a language model read in a request, as far as it stands up to the data and the user's words.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Heard {
    /// The target.
    pub target: Option<String>,
    /// The kind of problem.
    pub problem: Option<Problem>,
    /// The metric, by its name in the catalogue.
    pub metric: Option<String>,
    /// The score to reach.
    pub score: Option<f64>,
    /// Time for one prediction, in milliseconds.
    pub latency_ms_max: Option<f64>,
    /// Size of the model, in bytes.
    pub model_bytes_max: Option<u64>,
    /// Whether a person must be able to read the model.
    pub interpretable: bool,
    /// The column of rows that belong together.
    pub group_column: Option<String>,
    /// The column of time.
    pub time_column: Option<String>,
}

/// What the rules could not settle, in words; empty when there is nothing to ask.
pub fn doubts(request: &Request, outcome: &Result<Understood, UnderstandError>) -> Vec<String> {
    let mut doubts = Vec::new();
    match outcome {
        Err(error) if may_be_settled(request, error) => doubts.push(error.to_string()),
        Err(_) => return Vec::new(),
        Ok(understood) if understood.guessed => {
            let target = &understood.task.target;
            doubts.push(format!("which column is the target: {target:?} is only a guess from its place"));
        }
        Ok(_) => {}
    }
    let unread = overlooked(request, outcome.as_ref().ok());
    doubts.extend(unread.iter().map(|part| nothing_made_of(part)));
    doubts.truncate(DOUBTS_MAX);
    doubts
}

/// Parts of the user's words that the rules made nothing of.
pub fn overlooked(request: &Request, understood: Option<&Understood>) -> Vec<String> {
    let columns = request.profile.columns.iter().map(|column| column.name.as_str());
    let of_name = request.name.split(|c: char| !c.is_alphanumeric());
    let known: Vec<&str> =
        columns.chain(of_name).chain([request.name.as_str()]).filter(|name| !name.is_empty()).collect();
    let target = understood.map(|understood| understood.task.target.as_str());
    let mut parts = unread(&request.said, target, &known);
    parts.truncate(DOUBTS_MAX);
    parts
}

/// What is said of a part that nothing was made of.
pub fn nothing_made_of(part: &str) -> String {
    format!("nothing was made of {part:?}")
}

/// Whether a reading of the words could mend what stopped the rules.
fn may_be_settled(request: &Request, error: &UnderstandError) -> bool {
    use UnderstandErrorKind as K;
    match error.kind {
        K::ColumnAbsent { role: "target", .. }
        | K::NoTarget
        | K::TargetConstant { .. }
        | K::TargetUnfit { .. } => request.flags.target.is_none(),
        _ => false,
    }
}

/// The question to a language model.
pub fn question(
    request: &Request,
    outcome: &Result<Understood, UnderstandError>,
    doubts: Vec<String>,
    case: Case,
) -> Understand {
    let known = outcome.as_ref().ok().map(|understood| {
        let task = &understood.task;
        let inferred =
            task.inferred.iter().map(|one| (one.field.clone(), one.value.clone(), one.because.clone()));
        let target = ("target".to_owned(), task.target.clone(), "named by the user".to_owned());
        let is_said = !task.inferred.iter().any(|one| one.field == "target");
        is_said.then_some(target).into_iter().chain(inferred).collect::<Vec<_>>()
    });
    let concluded = known.unwrap_or_default().into_iter().take(CONCLUDED_MAX);
    Understand {
        case,
        said: request.said.clone(),
        concluded: concluded.map(|(field, value, because)| Concluded { field, value, because }).collect(),
        doubts,
        metrics: metrics::names().into_iter().map(str::to_owned).collect(),
    }
}

/// What is wrong with a reading beyond its form, in words that a model can act on.
pub fn problems(reading: &Understanding, columns: &[String]) -> Vec<String> {
    let mut problems = Vec::new();
    let mut column = |role: &str, name: &Option<String>| {
        if let Some(name) = name.as_ref().filter(|name| !columns.contains(name)) {
            problems.push(format!("{role}: there is no column {name:?} in the training file"));
        }
    };
    column("target", &reading.target);
    column("group_column", &reading.group_column);
    column("time_column", &reading.time_column);
    let metric = reading.metric.as_ref().filter(|name| metrics::lookup(name).is_err());
    problems.extend(metric.map(|name| format!("metric: {name:?} is none of the metrics that were named")));
    for demand in &reading.constraints {
        let range = match demand.kind {
            DemandKind::LatencyMs => Some(LATENCY_MS),
            DemandKind::ModelBytes => Some(MODEL_BYTES),
            DemandKind::Interpretable | DemandKind::Other => None,
        };
        if let (Some(range), Some(value)) = (range, demand.value)
            && !range.contains(&value)
        {
            let (low, high) = (range.start(), range.end());
            problems.push(format!("constraints: {value} is not between {low} and {high}"));
        }
    }
    problems
}

/// What the request means with a language model's reading of it. `asks_back` says whether somebody is there to answer.
///
/// # Errors
/// [`UnderstandError`]: that of the rules where the reading does not help; the model's question where the target is open;
/// or that nothing was asked for.
pub fn settle(
    request: &Request,
    outcome: Result<Understood, UnderstandError>,
    reading: &Understanding,
    asks_back: bool,
) -> Result<Understood, UnderstandError> {
    let is_open = outcome.as_ref().map_or(true, |understood| understood.guessed);
    if !reading.is_relevant && is_open && !request.said.trim().is_empty() {
        let kind = UnderstandErrorKind::NoRequest { why: reading.relevance.clone() };
        return Err(UnderstandError::new(kind, "say what is to be predicted: \"predict COLUMN, METRIC\""));
    }
    let (heard, mut remarks) = checked(request, reading);
    let question = reading.questions.iter().find(|question| !question.trim().is_empty());
    if let Some(question) =
        question.filter(|_| is_open && heard.target.is_none() && (asks_back || outcome.is_err()))
    {
        let kind = UnderstandErrorKind::Unclear { question: question.clone() };
        return Err(UnderstandError::new(kind, "name the column with --target, or say it in --task"));
    }
    let with = Request { heard: Some(heard), ..request.clone() };
    let mut understood = match (understand(&with), outcome) {
        (Ok(understood), _) => understood,
        (Err(error), Ok(understood)) => {
            remarks.push(format!("its reading cannot be used: {error}"));
            understood
        }
        (Err(_), Err(error)) => return Err(error),
    };
    remarks.extend(opinions(reading, &understood));
    understood.warnings.extend(remarks.into_iter().map(|remark| format!("the language model: {remark}")));
    Ok(understood)
}

/// What it says that nothing follows from, for the user to read.
fn opinions(reading: &Understanding, understood: &Understood) -> Vec<String> {
    let mut told = Vec::new();
    let is_used = |column: &str| {
        column != understood.task.target
            && !understood.excluded.iter().any(|excluded| excluded.column == column)
    };
    for suspect in reading.suspects.iter().filter(|suspect| is_used(&suspect.column)) {
        let (column, because) = (&suspect.column, &suspect.because);
        told.push(format!(
            "suspects `{column}`: {because}; it stays unless the data show it, or you leave it out"
        ));
    }
    let others = reading.constraints.iter().filter(|demand| demand.kind == DemandKind::Other);
    told.extend(others.map(|demand| format!("\"{}\" is understood, but nothing holds it", demand.words)));
    told.extend(reading.questions.iter().map(|question| format!("asks: {question}")));
    told
}

/// The part of a reading that stands up to the data and the words, and what is to be said of the rest.
fn checked(request: &Request, reading: &Understanding) -> (Heard, Vec<String>) {
    let mut remarks = Vec::new();
    let profile = &request.profile;
    let mut heard = Heard {
        target: reading.target.clone().filter(|name| can_be_target(profile, name)),
        problem: reading.problem.map(|kind| match kind {
            ProblemKind::Binary => Problem::Binary,
            ProblemKind::Multiclass => Problem::Multiclass,
            ProblemKind::Regression => Problem::Regression,
        }),
        metric: reading
            .metric
            .as_deref()
            .and_then(|name| Some(metrics::lookup(name).ok()?.spec().name.clone())),
        group_column: reading.group_column.clone().filter(|name| can_group(request, name)),
        time_column: reading.time_column.clone().filter(|name| can_order(request, name)),
        ..Heard::default()
    };
    if let Some(target) = reading.target.as_ref().filter(|_| heard.target.is_none()) {
        remarks.push(format!("its target `{target}` is not taken: the data say otherwise"));
    }
    let said = plain(&format!("{} {}", request.said, request.described));
    heard.score =
        reading.targets.iter().map(|wanted| wanted.value).find(|value| is_said_number(&said, *value));
    for demand in &reading.constraints {
        if !is_said(&said, demand) {
            if demand.kind != DemandKind::Other {
                remarks.push(format!("\"{}\" is not in your words, so it is no wish", demand.words));
            }
            continue;
        }
        match (demand.kind, demand.value) {
            (DemandKind::LatencyMs, Some(value)) if LATENCY_MS.contains(&value) => {
                heard.latency_ms_max = heard.latency_ms_max.or(Some(value));
            }
            (DemandKind::ModelBytes, Some(value)) if MODEL_BYTES.contains(&value) => {
                heard.model_bytes_max = heard.model_bytes_max.or(Some(value as u64));
            }
            (DemandKind::Interpretable, _) => heard.interpretable = true,
            _ => {}
        }
    }
    (heard, remarks)
}

/// Whether the user's words hold those that a demand is said to rest on.
fn is_said(said: &str, demand: &Demand) -> bool {
    let words = plain(&demand.words);
    !words.trim().is_empty() && said.contains(&words)
}

/// Whether the words hold a number, as such or in per cent.
fn is_said_number(said: &str, number: f64) -> bool {
    let is_same = |word: &str| {
        word.parse::<f64>()
            .is_ok_and(|found| (found - number).abs() < 1e-9 || (found - 100.0 * number).abs() < 1e-6)
    };
    said.split_whitespace().any(is_same)
}

fn can_be_target(profile: &Profile, name: &str) -> bool {
    let has_test = profile.test_rows > 0;
    let is_fit = |column: &Column| {
        let names_rows = column.distinct == profile.train_rows && looks_like_id(name);
        column.in_train && !(has_test && column.in_test) && column.distinct > 1 && !names_rows
    };
    profile.column(name).is_some_and(is_fit)
}

/// Whether the words speak of a column, however they write its name.
fn speaks_of(request: &Request, name: &str) -> bool {
    let words = Words::read(&request.said, &request.described);
    let squashed = squash(name);
    words.clauses.iter().any(|clause| clause.names(name) || squash(&clause.raw).contains(&squashed))
}

fn can_group(request: &Request, name: &str) -> bool {
    let repeats = |column: &Column| {
        column.in_train
            && column.distinct >= GROUPS_MIN
            && column.distinct * 2 <= request.profile.train_rows
            && (column.kind == ColumnKind::Categorical || column.whole)
            && column.test_overlap.is_none_or(|overlap| overlap < 0.5)
    };
    request.profile.column(name).is_some_and(repeats) && speaks_of(request, name)
}

fn can_order(request: &Request, name: &str) -> bool {
    let is_time = |column: &Column| column.in_train && column.kind == ColumnKind::Datetime;
    request.profile.column(name).is_some_and(is_time) && speaks_of(request, name)
}

/// The reason of a conclusion that rests on a reading.
pub(super) fn because(more: &str) -> String {
    if more.is_empty() { BY_MODEL.to_owned() } else { format!("{BY_MODEL}: {more}") }
}

#[cfg(test)]
#[path = "heard_tests.rs"]
mod tests;
