//! Cards: what is known about kinds of models and techniques, with rules for when they fit.
//!
//! A card is a file of `cards/`; rules look at the task and its data card, and the text is searched by words (BM25). What is
//! retrieved says why.

use ansatz_core::candidate::Dimension;
use ansatz_core::profile::{ColumnKind, Profile};
use ansatz_core::task::{Problem, Task};
use serde::Deserialize;
use std::collections::BTreeMap;

macro_rules! embedded {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../../cards/", $name, ".toml")))),*]
    };
}

/// The cards of this program.
const EMBEDDED: &[(&str, &str)] = embedded![
    "lightgbm",
    "catboost",
    "linear",
    "extra-trees",
    "network",
    "hist-gradient-boosting",
    "xgboost",
    "random-forest",
    "nearest-neighbours",
    "kernel-machine",
    "gaussian-process",
    "spline-additive",
    "naive-bayes",
    "text-linear",
    "crossed-categories",
    "log-target",
    "count-objective",
    "hurdle",
    "per-segment",
    "residual-stack",
    "ordinal-classes",
    "quantile-loss",
    "imbalance",
    "neighbour-target",
    "group-sizes",
    "clock-features",
    "ratios",
    "one-change",
];

/// Share of the rarer class below which classes count as imbalanced.
const IMBALANCED_MAX: f64 = 0.1;
/// Distinct values from which a category has many.
const CARDINALITY_HIGH: u64 = 100;
/// Skewness from which a target counts as skewed.
const SKEWED_MIN: f64 = 1.0;
/// Saturation of a word's count and weight of a text's length, the usual constants of BM25.
const K1: f64 = 1.2;
const B: f64 = 0.75;

/// What a card is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CardKind {
    /// A kind of model.
    Model,
    /// A way to go about it.
    Technique,
}

/// Conditions on task and data; none is always true.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// At least so many training rows.
    pub rows_min: Option<u64>,
    /// At most so many training rows.
    pub rows_max: Option<u64>,
    /// At most so many columns.
    pub columns_max: Option<usize>,
    /// At least so many columns of numbers.
    pub numeric_min: Option<usize>,
    /// At least so many categories.
    pub categorical_min: Option<usize>,
    /// At least so many texts.
    pub text_min: Option<usize>,
    /// At least so many moments.
    pub datetime_min: Option<usize>,
    /// One of these problems.
    #[serde(default)]
    pub problems: Vec<Problem>,
    /// One of these metrics.
    #[serde(default)]
    pub metrics: Vec<String>,
    /// Whether one class is rare.
    pub imbalanced: Option<bool>,
    /// Whether a category has many levels.
    pub high_cardinality: Option<bool>,
    /// Whether the target is skewed.
    pub skewed_target: Option<bool>,
}

/// Rough processor seconds of one fit on one core.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cost {
    /// Whatever the table.
    pub fixed_s: f64,
    /// For each of its cells.
    pub per_cell_s: f64,
}

/// A parameter worth setting.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameter {
    name: String,
    low: Option<toml::Value>,
    high: Option<toml::Value>,
    #[serde(default)]
    log: bool,
    #[serde(default)]
    values: Vec<toml::Value>,
}

/// A card.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Card {
    /// Its name: that of its file.
    pub name: String,
    /// What it is about.
    pub kind: CardKind,
    /// In a few words.
    pub title: String,
    /// When it wins, what to set, how it fails.
    pub text: String,
    /// How code for it keeps the solution contract.
    #[serde(default)]
    pub contract: String,
    /// Where it is from.
    #[serde(default)]
    pub sources: Vec<String>,
    /// All of these must hold.
    #[serde(default)]
    pub when: Rules,
    /// Where all of these hold, the card is out of place.
    pub avoid: Option<Rules>,
    /// What one fit takes.
    pub cost: Option<Cost>,
    #[serde(default, rename = "parameter")]
    parameters: Vec<Parameter>,
}

/// What is known of a task when cards are looked for.
#[derive(Debug, Clone, Copy)]
pub struct Observation<'a> {
    /// The task.
    pub task: &'a Task,
    /// The data card.
    pub profile: &'a Profile,
    /// The user's words.
    pub words: &'a str,
}

/// A card that fits, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// The card.
    pub card: Card,
    /// For a person to read.
    pub why: String,
    /// Larger fits better.
    pub score: f64,
}

/// A card that cannot be read.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("card {name}: {problem}")]
pub struct CardError {
    /// Its file's name.
    pub name: String,
    /// Line, column and what is wrong.
    pub problem: String,
}

impl Card {
    /// Reads a card.
    ///
    /// # Errors
    /// [`CardError`] with line and column of what is wrong.
    pub fn parse(name: &str, text: &str) -> Result<Self, CardError> {
        toml::from_str(text).map_err(|error| CardError { name: name.into(), problem: error.to_string() })
    }

    /// The cards of this program. A test reads them all, so none is lost.
    pub fn all() -> Vec<Self> {
        EMBEDDED.iter().filter_map(|(name, text)| Self::parse(name, text).ok()).collect()
    }

    /// The space that the card suggests, by parameter.
    pub fn space(&self) -> BTreeMap<String, Dimension> {
        let dimension = |parameter: &Parameter| {
            let dimension = match (&parameter.low, &parameter.high) {
                (Some(toml::Value::Integer(low)), Some(toml::Value::Integer(high))) => {
                    let default = middle(*low as f64, *high as f64, parameter.log).round() as i64;
                    Dimension::Int { low: *low, high: *high, log: parameter.log, default }
                }
                (Some(low), Some(high)) => {
                    let (low, high) = (number(low)?, number(high)?);
                    Dimension::Float {
                        low,
                        high,
                        log: parameter.log,
                        default: middle(low, high, parameter.log),
                    }
                }
                _ => {
                    let values: Vec<_> = parameter
                        .values
                        .iter()
                        .filter_map(|value| serde_json::to_value(value).ok())
                        .collect();
                    Dimension::Categorical { default: values.first()?.clone(), values }
                }
            };
            Some((parameter.name.clone(), dimension))
        };
        self.parameters.iter().filter_map(dimension).collect()
    }

    /// Processor seconds of one fit on a table, roughly; `None` where nobody knows.
    pub fn seconds(&self, rows: u64, columns: usize) -> Option<f64> {
        self.cost.map(|cost| cost.fixed_s + cost.per_cell_s * rows as f64 * columns as f64)
    }

    /// The card as a prompt shows it for a table of that size: text, ranges, a rule of thumb for the time, how to write it.
    pub fn shown(&self, rows: u64, columns: usize) -> String {
        let range = |(name, dimension): (&String, &Dimension)| match dimension {
            Dimension::Float { low, high, log, .. } => format!("{name} {low} to {high}{}", logarithmic(*log)),
            Dimension::Int { low, high, log, .. } => format!("{name} {low} to {high}{}", logarithmic(*log)),
            Dimension::Categorical { values, .. } => format!("{name} one of {}", serde_json::json!(values)),
        };
        let ranges: Vec<String> = self.space().iter().map(range).collect();
        let ranges =
            if ranges.is_empty() { String::new() } else { format!(" Ranges: {}.", ranges.join(", ")) };
        let contract = if self.contract.is_empty() {
            String::new()
        } else {
            format!(" In code: {}", self.contract.trim())
        };
        let seconds = self.seconds(rows, columns).filter(|seconds| *seconds > 0.0);
        let seconds = seconds
            .map(|seconds| format!(" By rule of thumb one fit takes {seconds:.1} s."))
            .unwrap_or_default();
        format!("{}. {}{ranges}{seconds}{contract}", self.title, self.text.trim())
    }
}

fn logarithmic(log: bool) -> &'static str {
    if log { " (log)" } else { "" }
}

fn number(value: &toml::Value) -> Option<f64> {
    value.as_float().or_else(|| value.as_integer().map(|number| number as f64))
}

fn middle(low: f64, high: f64, log: bool) -> f64 {
    if log { (low * high).sqrt() } else { f64::midpoint(low, high) }
}

/// What rules look at.
struct Facts<'a> {
    rows: u64,
    columns: usize,
    count: BTreeMap<&'static str, usize>,
    problem: Problem,
    metric: &'a str,
    imbalanced: bool,
    high_cardinality: bool,
    skewed_target: bool,
}

impl<'a> Facts<'a> {
    fn of(seen: &Observation<'a>) -> Self {
        let (task, profile) = (seen.task, seen.profile);
        let features: Vec<_> =
            profile.columns.iter().filter(|column| column.name != task.target && column.in_test).collect();
        let kinds = [
            ("numeric", ColumnKind::Numeric),
            ("categorical", ColumnKind::Categorical),
            ("text", ColumnKind::Text),
            ("datetime", ColumnKind::Datetime),
        ];
        let count =
            kinds.map(|(name, kind)| (name, features.iter().filter(|column| column.kind == kind).count()));
        let target = profile.column(&task.target);
        let rarest = target.and_then(|target| target.top.iter().map(|(_, count)| *count).min());
        Self {
            rows: profile.train_rows,
            columns: features.len(),
            count: count.into(),
            problem: task.problem,
            metric: &task.metric.name,
            imbalanced: task.problem == Problem::Binary
                && rarest.is_some_and(|rarest| (rarest as f64) < IMBALANCED_MAX * profile.train_rows as f64),
            high_cardinality: features
                .iter()
                .any(|column| column.kind == ColumnKind::Categorical && column.distinct >= CARDINALITY_HIGH),
            skewed_target: target.and_then(|target| target.skew).is_some_and(|skew| skew >= SKEWED_MIN),
        }
    }
}

impl Rules {
    /// The conditions that are set, in words, with whether each holds.
    fn checked(&self, facts: &Facts) -> Vec<(String, bool)> {
        let mut checked = Vec::new();
        let mut add = |words: String, holds: bool| checked.push((words, holds));
        if let Some(min) = self.rows_min {
            add(format!("at least {min} rows"), facts.rows >= min);
        }
        if let Some(max) = self.rows_max {
            add(format!("at most {max} rows"), facts.rows <= max);
        }
        if let Some(max) = self.columns_max {
            add(format!("at most {max} columns"), facts.columns <= max);
        }
        for (name, min) in [
            ("numeric", self.numeric_min),
            ("categorical", self.categorical_min),
            ("text", self.text_min),
            ("datetime", self.datetime_min),
        ] {
            if let Some(min) = min {
                add(
                    format!("at least {min} {name}"),
                    facts.count.get(name).is_some_and(|count| *count >= min),
                );
            }
        }
        if !self.problems.is_empty() {
            add(format!("{:?}", facts.problem).to_lowercase(), self.problems.contains(&facts.problem));
        }
        if !self.metrics.is_empty() {
            add(
                format!("scored by {}", facts.metric),
                self.metrics.iter().any(|metric| metric == facts.metric),
            );
        }
        for (name, wanted, found) in [
            ("a rare class", self.imbalanced, facts.imbalanced),
            ("a category of many levels", self.high_cardinality, facts.high_cardinality),
            ("a skewed target", self.skewed_target, facts.skewed_target),
        ] {
            if let Some(wanted) = wanted {
                add(name.to_owned(), wanted == found);
            }
        }
        checked
    }
}

/// The cards that fit a task, the best first: all their conditions hold, more and rarer words in common with the request
/// count, and so do more conditions, for a card that asks for much and gets it is made for the case.
pub fn fitting(cards: &[Card], seen: &Observation, limit: usize) -> Vec<Found> {
    let facts = Facts::of(seen);
    let words = ranked(cards, &format!("{} {}", seen.words, seen.task.request));
    let mut found: Vec<Found> = cards
        .iter()
        .zip(words)
        .filter_map(|(card, by_words)| {
            let rules = card.when.checked(&facts);
            let avoid = card.avoid.as_ref().map(|avoid| avoid.checked(&facts)).unwrap_or_default();
            let is_barred = !avoid.is_empty() && avoid.iter().all(|(_, holds)| *holds);
            if is_barred || rules.iter().any(|(_, holds)| !holds) {
                return None;
            }
            let reasons: Vec<String> = rules.into_iter().map(|(words, _)| words).collect();
            let score = reasons.len() as f64 + by_words;
            let why = if reasons.is_empty() { "it fits any table".into() } else { reasons.join(", ") };
            Some(Found { card: card.clone(), why, score })
        })
        .collect();
    found.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.card.name.cmp(&b.card.name)));
    found.truncate(limit);
    found
}

fn words_of(text: &str) -> Vec<String> {
    let words = text.split(|letter: char| !letter.is_alphanumeric()).filter(|word| word.chars().count() > 2);
    words.map(str::to_lowercase).collect()
}

/// BM25 of each card's text for a query, divided by the largest, so that words weigh at most as much as one condition.
fn ranked(cards: &[Card], query: &str) -> Vec<f64> {
    let texts: Vec<Vec<String>> =
        cards.iter().map(|card| words_of(&format!("{} {}", card.title, card.text))).collect();
    let mean = texts.iter().map(Vec::len).sum::<usize>() as f64 / texts.len().max(1) as f64;
    let mut query = words_of(query);
    query.sort();
    query.dedup();
    let count = |text: &[String], word: &String| text.iter().filter(|other| *other == word).count() as f64;
    let rarity = |word: &String| {
        let holding = texts.iter().filter(|text| text.contains(word)).count() as f64;
        ((texts.len() as f64 - holding + 0.5) / (holding + 0.5) + 1.0).ln()
    };
    let weight = |text: &Vec<String>| -> f64 {
        let length = 1.0 - B + B * text.len() as f64 / mean.max(1.0);
        query
            .iter()
            .map(|word| {
                let times = count(text, word);
                rarity(word) * times * (K1 + 1.0) / (times + K1 * length)
            })
            .sum()
    };
    let weights: Vec<f64> = texts.iter().map(weight).collect();
    let most = weights.iter().copied().fold(0.0, f64::max);
    weights.into_iter().map(|weight| if most > 0.0 { weight / most } else { 0.0 }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ansatz_core::metric::{Direction, MetricSpec, PredictionKind};
    use ansatz_core::profile::Column;
    use ansatz_core::task::Constraints;

    #[test]
    fn every_card_is_whole() {
        for (name, text) in EMBEDDED {
            let card = Card::parse(name, text).unwrap();
            assert_eq!(card.name, *name);
            assert!(
                (60..=700).contains(&card.text.trim().chars().count()),
                "{name}: {}",
                card.text.chars().count()
            );
            assert!(!card.sources.is_empty() && !card.title.is_empty(), "{name}");
            assert_eq!(card.space().len(), card.parameters.len(), "{name}: a parameter without a range");
            assert!(card.seconds(1000, 10).is_some_and(|seconds| (0.0..60.0).contains(&seconds)), "{name}");
            for dimension in card.space().values() {
                let Dimension::Float { low, high, log, .. } = dimension else { continue };
                assert!(low < high && (!log || *low > 0.0), "{name}");
            }
        }
        let models = Card::all().iter().filter(|card| card.kind == CardKind::Model).count();
        assert!(models >= 20, "{models} model cards");
        let files = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../cards")).unwrap().count();
        assert_eq!(files, EMBEDDED.len(), "a card lies there that nobody reads");
    }

    fn column(name: &str, kind: ColumnKind, distinct: u64) -> Column {
        let kind = serde_json::to_string(&kind).unwrap();
        let text = format!(
            r#"{{"name":"{name}","kind":{kind},"in_train":true,"in_test":true,"missing_train":0,"missing_test":0,"distinct":{distinct}}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    fn found(problem: Problem, rows: u64, columns: &[(ColumnKind, u64)], words: &str) -> Vec<String> {
        let mut all: Vec<Column> = columns
            .iter()
            .enumerate()
            .map(|(n, (kind, distinct))| column(&format!("x{n}"), *kind, *distinct))
            .collect();
        all.push(column("y", ColumnKind::Numeric, 9));
        let profile = Profile {
            train_rows: rows,
            test_rows: 0,
            columns: all,
            sample: None,
            notices: Vec::new(),
            data_hash: "h".into(),
        };
        let task = Task {
            name: "t".into(),
            request: String::new(),
            problem,
            target: "y".into(),
            id: None,
            metric: MetricSpec {
                name: "m".into(),
                direction: Direction::Maximize,
                reads: PredictionKind::Value,
            },
            classes: Vec::new(),
            constraints: Constraints::default(),
            submission: None,
            inferred: Vec::new(),
        };
        let seen = Observation { task: &task, profile: &profile, words };
        fitting(&Card::all(), &seen, 50).into_iter().map(|found| found.card.name).collect()
    }

    #[test]
    fn rules_choose_what_fits_the_data() {
        let texts = found(Problem::Binary, 3000, &[(ColumnKind::Text, 3000)], "");
        assert!(texts.contains(&"text-linear".into()) && texts.contains(&"naive-bayes".into()), "{texts:?}");
        let numbers = found(Problem::Regression, 800, &[(ColumnKind::Numeric, 700); 4], "");
        assert!(
            numbers.contains(&"gaussian-process".into()) && !numbers.contains(&"text-linear".into()),
            "{numbers:?}"
        );
        let codes = found(Problem::Binary, 30_000, &[(ColumnKind::Categorical, 4000); 5], "");
        assert!(
            codes.contains(&"crossed-categories".into()) && !codes.contains(&"kernel-machine".into()),
            "{codes:?}"
        );
        assert!(
            !found(Problem::Regression, 50_000, &[(ColumnKind::Numeric, 700); 4], "")
                .contains(&"gaussian-process".into())
        );
    }

    #[test]
    fn words_break_ties() {
        let columns = [(ColumnKind::Numeric, 700); 4];
        let place = |words: &str, name: &str| {
            found(Problem::Regression, 2500, &columns, words).iter().position(|found| found == name).unwrap()
        };
        let named = place(
            "prices rise over time, the trend should be extrapolated by a residual booster",
            "residual-stack",
        );
        assert!(named < place("", "residual-stack"), "{named}");
    }
}
