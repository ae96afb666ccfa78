//! Wishes beside the score: time for a prediction, size of the model, readability, a score to reach.

use super::heard::because;
use super::metric_words;
use super::numbers::{Unit, unit};
use super::quantities::{Measured, Quantity};
use super::words::{Clause, Words};
use super::{Facts, Notes};
use ansatz_core::metric::{Direction, MetricSpec};
use ansatz_core::task::Constraints;
use ansatz_referee::metrics;

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
    "answer in",
    "answer within",
    "answers in",
    "answers within",
    "respond in",
    "respond within",
];
/// Words that may stand beside a size that stands alone: then it is the model's.
const BESIDE_SIZE: &[&str] = &[
    "a", "an", "and", "at", "be", "below", "can", "disk", "down", "exceed", "fit", "fits", "for", "have",
    "i", "in", "is", "it", "its", "just", "keep", "kept", "larger", "less", "limit", "make", "max",
    "maximum", "may", "more", "most", "must", "need", "needs", "no", "not", "of", "on", "only", "or",
    "please", "should", "size", "small", "smaller", "so", "stay", "stays", "than", "that", "the", "this",
    "to", "total", "under", "up", "want", "we", "weigh", "with", "within",
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
/// Words before these that take them back.
const TAKEN_BACK: &[&str] = &[
    "not",
    "not be",
    "non",
    "without being",
    "not have to be",
    "not need to be",
    "no need to be",
    "neednt be",
    "doesnt have to be",
    "doesnt need to be",
];

/// What the model shall be beyond its score. A description counts only where it sets a limit in so many words.
pub(crate) fn constraints(words: &Words) -> Constraints {
    let said: Vec<Measured> = words.said_parts().map(|part| Measured::of(&part)).collect();
    let described = words.clauses.iter().filter(|clause| !clause.said);
    let described: Vec<Measured> = described.map(|clause| Measured::of(&clause.raw)).collect();
    let latency_ms_of = |texts: &[Measured], said| texts.iter().find_map(|text| latency_ms(said, text));
    let bytes = said.iter().chain(&described).find_map(model_bytes);
    Constraints {
        latency_ms_max: latency_ms_of(&said, true).or_else(|| latency_ms_of(&described, false)),
        model_bytes_max: bytes.or_else(|| said.iter().find_map(size_alone)),
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

fn latency_ms(said: bool, text: &Measured) -> Option<f64> {
    text.quantities.iter().filter(|quantity| is_latency(said, text, quantity)).find_map(|quantity| {
        let factor = match quantity.unit {
            Unit::Microseconds => 0.001,
            Unit::Milliseconds => 1.0,
            Unit::Seconds => 1000.0,
            Unit::Minutes | Unit::Hours | Unit::Bytes(_) => return None,
        };
        Some(quantity.number * factor)
    })
}

/// Whether the quantity limits the time of one prediction: a limit before it, and the prediction near it. `said` says
/// whether the user said it in this very request.
pub(super) fn is_latency(said: bool, text: &Measured, quantity: &Quantity) -> bool {
    let near = text.near(quantity);
    let has = |cues: &[&str]| cues.iter().any(|cue| near.contains(&format!(" {cue} ")));
    let is_described =
        text.before(quantity).iter().any(|word| matches!(word.as_str(), "whether" | "if" | "who"));
    let is_fine = matches!(quantity.unit, Unit::Milliseconds | Unit::Microseconds) && !is_described;
    (said || has(LIMITS)) && (has(LATENCY) || said && is_fine)
}

fn model_bytes(text: &Measured) -> Option<u64> {
    text.quantities.iter().find_map(|quantity| {
        let Unit::Bytes(factor) = quantity.unit else { return None };
        let near = text.near(quantity);
        let limited = LIMITS.iter().any(|limit| near.contains(&format!(" {limit} ")));
        let of_model =
            [" model", " bundle", " package", " size", " artifact"].iter().any(|cue| near.contains(cue));
        (limited && of_model).then_some((quantity.number * factor) as u64)
    })
}

/// The limit of a part that says nothing but a size: "under 5 MB".
fn size_alone(text: &Measured) -> Option<u64> {
    let [quantity] = text.quantities.as_slice() else { return None };
    let Unit::Bytes(factor) = quantity.unit else { return None };
    let near = text.near(quantity);
    let limited = LIMITS.iter().any(|limit| near.contains(&format!(" {limit} ")));
    let is_alone = text.beside(quantity).all(|word| BESIDE_SIZE.contains(&word));
    (limited && is_alone).then_some((quantity.number * factor) as u64)
}

fn wants_readable(clause: &Clause) -> bool {
    let demanded = clause.said || clause.has_any(&["must", "should", "has to", "needs to", "required"]);
    let is_taken_back =
        |phrase: &str| TAKEN_BACK.iter().any(|before| clause.has(&format!("{before} {phrase}")));
    demanded && clause.has_any(READABLE) && !READABLE.iter().any(|phrase| is_taken_back(phrase))
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

    #[test]
    fn time_for_a_prediction_is_read() {
        check_latency("predict RentPrice, RMSLE, at most 50 ms per prediction", Some(50.0));
        check_latency("each prediction must take under 0.5 s", Some(500.0));
        check_latency("latency below 20ms", Some(20.0));
        check_latency("no more than two seconds per request", Some(2000.0));
        check_latency("max 300 µs per row", Some(0.3));
        check_latency("take 10 minutes", None);
        check_latency("use 10 minutes and at most 5 ms per prediction", Some(5.0));
        check_latency("predict y, under 50 ms", Some(50.0));
        check_latency("10 minutes, 1 second per row", Some(1000.0));
        check_latency("it has to answer within 2 seconds", Some(2000.0));
        check_latency("under a second per row", Some(1000.0));
        check_latency("predict whether the reply takes more than 500 ms", None);
    }

    #[test]
    fn size_of_the_model_is_read() {
        check_size("model under 10 MB", Some(10_000_000));
        check_size("the bundle may be at most 512 KiB", Some(524_288));
        check_size("a model smaller than 1.5 megabytes", Some(1_500_000));
        check_size("the files are 10 MB", None);
        check_size("predict y in d.csv, under 5 MB", Some(5_000_000));
        check_size("predict y and it must fit in five megabytes", Some(5_000_000));
        check_size("predict y, smaller than 5 MB", Some(5_000_000));
        check_size("predict y, the files are under 5 MB", None);
        check_size("predict y, under 5 GB of memory", None);
        check_size("predict y, 5 MB", None);
    }

    #[test]
    fn readability_is_read() {
        for (said, expected) in [
            ("an interpretable model, please", true),
            ("the model must be explainable", true),
            ("need not be interpretable", false),
            ("it doesn't have to be explainable", false),
            ("predict the price", false),
        ] {
            assert_eq!(constraints(&Words::read(said, "")).interpretable, expected, "{said}");
        }
        let described = Words::read("", "Tree models are explainable to a degree.");
        assert!(!constraints(&described).interpretable);
    }

    #[test]
    fn a_description_sets_a_limit_only_in_so_many_words() {
        let prose = Words::read("", "The sensor's latency is 3 ms. Trains are 20 minutes late.");
        assert_eq!(constraints(&prose), Constraints::default());
        let limit = Words::read("", "Inference must take at most 20 ms per row.");
        assert_eq!(constraints(&limit).latency_ms_max, Some(20.0));
    }
}
