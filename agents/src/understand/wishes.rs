//! Wishes beside the score: time for a prediction, size of the model, readability, and the time to spend.

use super::heard::because;
use super::metric_words;
use super::words::{Clause, Words};
use super::{Facts, Notes};
use ansatz_core::metric::{Direction, MetricSpec};
use ansatz_core::task::Constraints;
use ansatz_referee::metrics;
use serde::{Deserialize, Serialize};

/// A budget that was said in words; a flag goes before it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct SaidBudget {
    /// Minutes that were said.
    pub minutes: Option<f64>,
    /// Seconds that were said.
    pub seconds: Option<f64>,
}

/// Words that set an upper limit.
const LIMITS: &[&str] = &[
    "at most",
    "under",
    "below",
    "less than",
    "within",
    "no more than",
    "not more than",
    "max",
    "maximum",
    "up to",
    "faster than",
    "smaller than",
    "no larger than",
    "not exceed",
    "no longer than",
    "limit",
    "in",
];
/// Words that show that the time is that of one prediction.
const LATENCY: &[&str] = &[
    "per prediction",
    "per row",
    "per request",
    "per sample",
    "per query",
    "each prediction",
    "one prediction",
    "a prediction",
    "single prediction",
    "latency",
    "inference",
    "to predict",
    "response time",
    "prediction time",
];
/// Words that ask for a model that a person can read.
const READABLE: &[&str] = &[
    "interpretable",
    "explainable",
    "white box",
    "human readable",
    "a person can read",
    "people can read",
    "can be read",
    "transparent model",
];
const READABLE_NOT: &[&str] = &[
    "not interpretable",
    "not be interpretable",
    "not explainable",
    "not be explainable",
    "non interpretable",
    "without being interpretable",
];

/// What the model shall be beyond its score. A description counts only where it sets a limit in so many words.
pub(crate) fn constraints(words: &Words) -> Constraints {
    Constraints {
        latency_ms_max: words.clauses.iter().find_map(latency_ms),
        model_bytes_max: words.clauses.iter().find_map(model_bytes),
        interpretable: words.clauses.iter().any(wants_readable),
        score: None,
    }
}

/// All wishes: those that the words say, and where they leave something open, those that a language model read in them.
pub(super) fn all(facts: &Facts<'_>, metric: &MetricSpec, notes: &mut Notes) -> Constraints {
    let mut wishes = constraints(&facts.words);
    wishes.score = score(&facts.words, metric);
    let Some(heard) = facts.heard else { return wishes };
    if let Some(limit) = heard.latency_ms_max.filter(|_| wishes.latency_ms_max.is_none()) {
        wishes.latency_ms_max = Some(limit);
        notes.infer("latency", format!("at most {limit} ms"), because(""));
    }
    if let Some(limit) = heard.model_bytes_max.filter(|_| wishes.model_bytes_max.is_none()) {
        wishes.model_bytes_max = Some(limit);
        notes.infer("model size", format!("at most {limit} bytes"), because(""));
    }
    if heard.interpretable && !wishes.interpretable {
        wishes.interpretable = true;
        notes.infer("interpretable", "yes", because(""));
    }
    if let Some(wanted) = heard.score.filter(|wanted| wishes.score.is_none() && can_be(metric, *wanted)) {
        wishes.score = Some(wanted);
        notes.infer("score to reach", wanted.to_string(), because(""));
    }
    wishes
}

/// Words before a score that is to be reached, for metrics of which more is better.
const AT_LEAST: &[&str] = &[
    "at least",
    "above",
    "over",
    "better than",
    "more than",
    "minimum",
    "min",
    "reach",
    "higher than",
    "exceed",
];
/// The same for metrics of which less is better.
const AT_MOST: &[&str] = &[
    "at most",
    "below",
    "under",
    "better than",
    "less than",
    "maximum",
    "max",
    "within",
    "lower than",
    "no more than",
];

/// The score that the user's own words demand: a number beside the metric's name, behind words of a bound.
fn score(words: &Words, metric: &MetricSpec) -> Option<f64> {
    let mut said =
        words.clauses.iter().filter(|clause| clause.said && metric_words::speaks_of(clause, &metric.name));
    said.find_map(|clause| demanded(clause, metric))
}

fn demanded(clause: &Clause, metric: &MetricSpec) -> Option<f64> {
    /// How many words may stand between the bound and its number.
    const REACH: usize = 5;
    let bounds = if metric.direction == Direction::Maximize { AT_LEAST } else { AT_MOST };
    let words: Vec<&str> = clause.plain.split_whitespace().collect();
    let numbers = (0..words.len()).filter_map(|at| Some((at, words[at].parse::<f64>().ok()?)));
    numbers
        .filter(|(at, _)| words.get(at + 1).is_none_or(|next| unit(next).is_none()))
        .filter(|(at, _)| {
            let before = format!(" {} ", words[at.saturating_sub(REACH)..*at].join(" "));
            bounds.iter().any(|bound| before.contains(&format!(" {bound} ")))
        })
        .map(|(_, number)| of_percent(metric, number))
        .find(|number| can_be(metric, *number))
}

/// A score in per cent as a share, for metrics that are shares.
fn of_percent(metric: &MetricSpec, number: f64) -> f64 {
    let is_share = metrics::range(metric).1 <= 1.0;
    if is_share && (1.0 < number && number <= 100.0) { number / 100.0 } else { number }
}

/// Whether a metric can have such a score.
fn can_be(metric: &MetricSpec, score: f64) -> bool {
    let (low, high) = metrics::range(metric);
    score.is_finite() && low <= score && score <= high
}

/// The time to spend, from the user's own words: a description may speak of minutes that are data.
pub(crate) fn budget(words: &Words) -> SaidBudget {
    let spans = words.clauses.iter().filter(|clause| clause.said).flat_map(|clause| {
        let quantities = quantities(clause);
        quantities.into_iter().filter(|quantity| !is_latency(clause, quantity))
    });
    let mut said = SaidBudget::default();
    for quantity in spans {
        match quantity.unit {
            Unit::Minutes => said.minutes = said.minutes.or(Some(quantity.number)),
            Unit::Hours => said.minutes = said.minutes.or(Some(quantity.number * 60.0)),
            Unit::Seconds => said.seconds = said.seconds.or(Some(quantity.number)),
            Unit::Milliseconds | Unit::Microseconds | Unit::Bytes(_) => {}
        }
    }
    said
}

fn latency_ms(clause: &Clause) -> Option<f64> {
    quantities(clause).into_iter().filter(|quantity| is_latency(clause, quantity)).find_map(|quantity| {
        let factor = match quantity.unit {
            Unit::Microseconds => 0.001,
            Unit::Milliseconds => 1.0,
            Unit::Seconds => 1000.0,
            Unit::Minutes | Unit::Hours | Unit::Bytes(_) => return None,
        };
        Some(quantity.number * factor)
    })
}

/// Whether the quantity limits the time of one prediction: a limit before it, and the prediction near it.
fn is_latency(clause: &Clause, quantity: &Quantity) -> bool {
    let near = window(clause, quantity);
    let limited = clause.said || LIMITS.iter().any(|limit| near.contains(&format!(" {limit} ")));
    let of_prediction = LATENCY.iter().any(|cue| near.contains(&format!(" {cue} ")));
    let fine = clause.said && matches!(quantity.unit, Unit::Milliseconds | Unit::Microseconds);
    limited && (of_prediction || fine)
}

fn model_bytes(clause: &Clause) -> Option<u64> {
    quantities(clause).into_iter().find_map(|quantity| {
        let Unit::Bytes(factor) = quantity.unit else { return None };
        let near = window(clause, &quantity);
        let limited = LIMITS.iter().any(|limit| near.contains(&format!(" {limit} ")));
        let of_model =
            [" model", " bundle", " package", " size", " artifact"].iter().any(|cue| near.contains(cue));
        (limited && of_model).then_some((quantity.number * factor) as u64)
    })
}

fn wants_readable(clause: &Clause) -> bool {
    let demanded = clause.said || clause.has_any(&["must", "should", "has to", "needs to", "required"]);
    demanded && clause.has_any(READABLE) && !clause.has_any(READABLE_NOT)
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Unit {
    Microseconds,
    Milliseconds,
    Seconds,
    Minutes,
    Hours,
    /// With the number of bytes in one.
    Bytes(f64),
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Quantity {
    number: f64,
    unit: Unit,
    /// Which word of the clause the number is.
    word: usize,
}

/// All numbers with a unit of time or size.
fn quantities(clause: &Clause) -> Vec<Quantity> {
    let words: Vec<&str> = clause.plain.split_whitespace().collect();
    (0..words.len().saturating_sub(1))
        .filter_map(|word| {
            Some(Quantity { number: number(&words, word)?, unit: unit(words[word + 1])?, word })
        })
        .filter(|quantity| quantity.number > 0.0 && quantity.number.is_finite())
        .collect()
}

/// A number in digits or, up to ten, in words; `half an hour` is half of one.
fn number(words: &[&str], at: usize) -> Option<f64> {
    const IN_WORDS: &[(&str, f64)] = &[
        ("one", 1.0),
        ("two", 2.0),
        ("three", 3.0),
        ("four", 4.0),
        ("five", 5.0),
        ("six", 6.0),
        ("seven", 7.0),
        ("eight", 8.0),
        ("nine", 9.0),
        ("ten", 10.0),
        ("fifteen", 15.0),
        ("twenty", 20.0),
        ("thirty", 30.0),
    ];
    let halved = at > 0 && words[at - 1] == "half";
    match words[at] {
        "a" | "an" => Some(if halved { 0.5 } else { 1.0 }),
        digits if digits.starts_with(|c: char| c.is_ascii_digit()) => digits.parse().ok(),
        word => IN_WORDS.iter().find(|(name, _)| *name == word).map(|(_, value)| *value),
    }
}

fn unit(word: &str) -> Option<Unit> {
    Some(match word {
        "us" | "microsecond" | "microseconds" => Unit::Microseconds,
        "ms" | "msec" | "millisecond" | "milliseconds" => Unit::Milliseconds,
        "s" | "sec" | "secs" | "second" | "seconds" => Unit::Seconds,
        "m" | "min" | "mins" | "minute" | "minutes" => Unit::Minutes,
        "h" | "hour" | "hours" => Unit::Hours,
        "byte" | "bytes" => Unit::Bytes(1.0),
        "kb" | "kilobyte" | "kilobytes" => Unit::Bytes(1e3),
        "mb" | "megabyte" | "megabytes" => Unit::Bytes(1e6),
        "gb" | "gigabyte" | "gigabytes" => Unit::Bytes(1e9),
        "kib" => Unit::Bytes(1024.0),
        "mib" => Unit::Bytes(1_048_576.0),
        "gib" => Unit::Bytes(1_073_741_824.0),
        _ => return None,
    })
}

/// The words around a quantity, with a space at both ends. Wide enough for `the model may take at most 5 MB on disk`,
/// narrow enough that two wishes in one sentence stay apart.
fn window(clause: &Clause, quantity: &Quantity) -> String {
    const BEFORE: usize = 7;
    const AFTER: usize = 5;
    let words: Vec<&str> = clause.plain.split_whitespace().collect();
    let start = quantity.word.saturating_sub(BEFORE);
    let end = (quantity.word + 2 + AFTER).min(words.len());
    let is_quantity =
        |at: &usize| words.get(at + 1).and_then(|w| unit(w)).is_some() && number(&words, *at).is_some();
    let start = (start..quantity.word).rev().find(is_quantity).map_or(start, |at| at + 2);
    let end = (quantity.word + 2..end).find(is_quantity).unwrap_or(end);
    let near = &words[start.min(quantity.word)..end];
    format!(" {} ", near.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_latency(said: &str, expected: Option<f64>) {
        assert_eq!(constraints(&Words::read(said, "")).latency_ms_max, expected, "{said}");
    }

    fn check_size(said: &str, expected: Option<u64>) {
        assert_eq!(constraints(&Words::read(said, "")).model_bytes_max, expected, "{said}");
    }

    fn check_budget(said: &str, minutes: Option<f64>, seconds: Option<f64>) {
        assert_eq!(budget(&Words::read(said, "")), SaidBudget { minutes, seconds }, "{said}");
    }

    #[test]
    fn time_for_a_prediction_is_read() {
        check_latency("predict RentPrice, RMSLE, at most 50 ms per prediction", Some(50.0));
        check_latency("each prediction must take under 0.5 s", Some(500.0));
        check_latency("latency below 20ms", Some(20.0));
        check_latency("no more than two seconds per request", Some(2000.0));
        check_latency("max 300 µs per row", Some(0.3));
        check_latency("take 10 minutes", None);
        check_latency("use 10 minutes and at most 5 ms per prediction", Some(5.0));
    }

    #[test]
    fn size_of_the_model_is_read() {
        check_size("model under 10 MB", Some(10_000_000));
        check_size("the bundle may be at most 512 KiB", Some(524_288));
        check_size("a model smaller than 1.5 megabytes", Some(1_500_000));
        check_size("the files are 10 MB", None);
    }

    #[test]
    fn readability_is_read() {
        for (said, expected) in [
            ("an interpretable model, please", true),
            ("the model must be explainable", true),
            ("need not be interpretable", false),
            ("predict the price", false),
        ] {
            assert_eq!(constraints(&Words::read(said, "")).interpretable, expected, "{said}");
        }
        let described = Words::read("", "Tree models are explainable to a degree.");
        assert!(!constraints(&described).interpretable);
    }

    #[test]
    fn the_time_to_spend_is_read_from_the_users_words_only() {
        check_budget("take 10 minutes", Some(10.0), None);
        check_budget("spend half an hour on it", Some(30.0), None);
        check_budget("you have ninety words and 90 seconds", None, Some(90.0));
        check_budget("within five minutes", Some(5.0), None);
        check_budget("at most 2 seconds per prediction", None, None);
        check_budget("2h", Some(120.0), None);
        let described = Words::read("", "A session lasts 10 minutes.");
        assert_eq!(budget(&described), SaidBudget::default());
    }

    #[test]
    fn a_description_sets_a_limit_only_in_so_many_words() {
        let prose = Words::read("", "The sensor's latency is 3 ms. Trains are 20 minutes late.");
        assert_eq!(constraints(&prose), Constraints::default());
        let limit = Words::read("", "Inference must take at most 20 ms per row.");
        assert_eq!(constraints(&limit).latency_ms_max, Some(20.0));
    }
}
