//! The time to spend, as words say it.
//!
//! A time is no budget by itself: "predict failure within 48 hours" speaks of what is predicted. It counts where it stands
//! alone ("in five minutes"), or where words of work stand beside it ("take", "budget", "of training").

use super::Notes;
use super::numbers::Unit;
use super::quantities::{Measured, Quantity};
use super::wishes::is_latency;
use super::words::{Words, parts};
use serde::{Deserialize, Serialize};

/// A budget that was said in words; a flag goes before it. At most one of the two is set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct SaidBudget {
    /// Minutes that were said.
    pub minutes: Option<f64>,
    /// Seconds that were said.
    pub seconds: Option<f64>,
}

/// A wish about the time to spend, in seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum TimeWish {
    /// So much in all.
    All(f64),
    /// So much more than there was; less where it is negative.
    More(f64),
}

/// Words that may stand beside a time that stands alone.
const BESIDE: &[&str] = &[
    "a",
    "about",
    "add",
    "additional",
    "after",
    "again",
    "all",
    "an",
    "and",
    "another",
    "approximately",
    "around",
    "at",
    "be",
    "below",
    "budget",
    "by",
    "can",
    "compute",
    "cut",
    "do",
    "done",
    "down",
    "extend",
    "extra",
    "finish",
    "for",
    "from",
    "further",
    "give",
    "go",
    "going",
    "have",
    "i",
    "in",
    "instead",
    "is",
    "it",
    "just",
    "keep",
    "less",
    "let",
    "limit",
    "long",
    "longer",
    "make",
    "max",
    "maximal",
    "maximum",
    "may",
    "me",
    "more",
    "most",
    "must",
    "need",
    "no",
    "not",
    "now",
    "of",
    "ok",
    "on",
    "once",
    "only",
    "or",
    "over",
    "please",
    "ready",
    "reduce",
    "roughly",
    "run",
    "running",
    "search",
    "searching",
    "set",
    "shorten",
    "shorter",
    "should",
    "so",
    "spend",
    "stop",
    "take",
    "takes",
    "than",
    "thanks",
    "that",
    "the",
    "then",
    "this",
    "time",
    "to",
    "tops",
    "total",
    "train",
    "training",
    "try",
    "tune",
    "tuning",
    "under",
    "up",
    "use",
    "using",
    "we",
    "with",
    "within",
    "work",
    "yes",
    "you",
    "your",
    "yourself",
];

/// Words before a time, at most [`REACH`] words away, that make it the time to spend.
const CUES: &[&str] = &[
    "take",
    "spend",
    "spending",
    "use",
    "using",
    "budget",
    "limit",
    "at most",
    "no more than",
    "not more than",
    "no longer than",
    "run",
    "running",
    "train",
    "training",
    "search",
    "searching",
    "tune",
    "tuning",
    "compute",
    "you have",
    "i have",
    "we have",
    "give",
    "stop",
    "finish",
    "finished",
    "done",
    "ready",
];
const REACH: usize = 5;
/// Words that begin a part about work: "train a model for churn for ten minutes".
const WORK: &[&str] = &["train", "run", "search", "tune", "build", "make", "create", "fit", "finish", "give"];
/// What follows a time of work: "ten minutes of training".
const OF_WORK: &[&str] =
    &["training", "compute", "computing", "tuning", "searching", "search", "work", "time"];

/// Words before a time that speaks of the data: "the next 24 hours".
const HORIZON: &[&str] = &[
    "next",
    "last",
    "past",
    "previous",
    "first",
    "coming",
    "following",
    "every",
    "each",
    "per",
    "these",
    "those",
];
/// The same behind it: "24 hours ahead".
const HORIZON_BEHIND: &[&str] = &[
    "ago", "ahead", "before", "later", "old", "earlier", "apart", "prior", "per", "each", "window",
    "horizon", "interval", "lag",
];
/// Words that ask for a prediction.
const PREDICT: &[&str] = &["predict", "predicting", "forecast", "forecasting", "estimate", "classify"];
/// Words behind which what is predicted is described.
const DESCRIBES: &[&str] = &["whether", "if", "who", "that", "which", "when", "how", "where"];
/// Endings of files, as words: what stands behind a file is not said of what is predicted.
const FILES: &[&str] = &["csv", "tsv", "parquet", "arff", "txt", "zip", "gz"];
/// Words of a limit that may stand between a word of work and its time.
const LIMITING: &[&str] = &[
    "at", "most", "up", "to", "about", "around", "only", "a", "an", "the", "no", "not", "more", "longer",
    "less", "than", "under", "within", "in", "for", "max", "maximum", "roughly",
];

/// The time to spend, from the user's own words: a description may speak of minutes that are data. The first that is said
/// counts.
pub(crate) fn budget(words: &Words) -> SaidBudget {
    let said = words.said_parts().find_map(|part| match wish(&part)? {
        (TimeWish::All(_), quantity) => Some(quantity),
        (TimeWish::More(_), _) => None,
    });
    match said {
        Some(Quantity { number, unit: Unit::Hours, .. }) => minutes(number * 60.0),
        Some(Quantity { number, unit: Unit::Minutes, .. }) => minutes(number),
        Some(Quantity { number, .. }) => SaidBudget { seconds: Some(number), minutes: None },
        None => SaidBudget::default(),
    }
}

fn minutes(minutes: f64) -> SaidBudget {
    SaidBudget { minutes: Some(minutes), seconds: None }
}

/// The wish about time that a few words make; `None` when they make none.
pub fn time_in(words: &str) -> Option<TimeWish> {
    parts(words).iter().find_map(|part| wish(part)).map(|(wish, _)| wish)
}

/// Says of a time that could be meant as the time to spend that it is not taken for it.
pub(super) fn note(words: &Words, notes: &mut Notes) {
    /// Longer times are hardly meant so.
    const SECONDS_MAX: f64 = 3.0 * 3600.0;
    for part in words.said_parts().filter(|part| wish(part).is_none()) {
        let text = Measured::of(&part);
        let could_be = |quantity: &&Quantity| {
            let before = text.before(quantity);
            seconds(quantity).is_some_and(|seconds| seconds <= SECONDS_MAX)
                && before.last().is_some_and(|word| matches!(word.as_str(), "in" | "within"))
                && asks_for_prediction(&text, quantity)
                && !is_latency(true, &text, quantity)
        };
        if let Some(quantity) = text.quantities.iter().find(could_be) {
            let said = text.said(quantity);
            notes.warn(format!(
                "\"{said}\" is read as part of what is predicted, not as the time to spend; for that say \"take {said}\""
            ));
        }
    }
}

/// The wish about time in a part of a sentence.
fn wish(part: &str) -> Option<(TimeWish, Quantity)> {
    let text = Measured::of(part);
    text.quantities.iter().find_map(|quantity| Some((sense(&text, quantity)?, *quantity)))
}

/// What an amount says about the time to spend.
fn sense(text: &Measured, quantity: &Quantity) -> Option<TimeWish> {
    let seconds = seconds(quantity)?;
    if is_horizon(text, quantity) || is_latency(true, text, quantity) {
        return None;
    }
    let step = step(text, quantity);
    let is_alone = text.beside(quantity).all(|word| BESIDE.contains(&word));
    let is_meant = if asks_for_prediction(text, quantity) {
        is_bound_to_work(text, quantity)
    } else {
        step.is_some() || is_cued(text, quantity)
    };
    (is_alone || is_meant).then_some(match step {
        Some(sign) => TimeWish::More(sign * seconds),
        None => TimeWish::All(seconds),
    })
}

/// An amount of time in seconds, where it is said in units in which work is timed.
fn seconds(quantity: &Quantity) -> Option<f64> {
    quantity.unit.seconds().filter(|_| quantity.unit.is_of_work()).map(|one| one * quantity.number)
}

/// Whether the time is to be more (1) or less (-1) than there was: "another ten minutes", "ten minutes longer".
fn step(text: &Measured, quantity: &Quantity) -> Option<f64> {
    let (before, after) = (text.before(quantity), text.after(quantity));
    let last = before.last().map_or("", String::as_str);
    if matches!(last, "than" | "to") {
        // "no more than ten minutes", "cut it down to ten minutes"
        return None;
    }
    let is_compared = after.get(1).is_some_and(|word| word == "than");
    let next = after.first().map(String::as_str).filter(|_| !is_compared).unwrap_or_default();
    let begins = |words: &[&str]| before.iter().any(|word| words.contains(&word.as_str()));
    quantity.step.or(match (last, next) {
        ("another" | "extra" | "additional" | "further", _)
        | (_, "more" | "longer" | "extra" | "additional") => Some(1.0),
        (_, "less" | "shorter" | "fewer") => Some(-1.0),
        ("by", _) if begins(&["shorten", "shorter", "reduce", "cut"]) => Some(-1.0),
        ("by", _) if begins(&["longer", "increase", "raise"]) => Some(1.0),
        _ if begins(&["add", "extend", "prolong"]) => Some(1.0),
        _ => None,
    })
}

/// Whether the amount speaks of the data and not of the work.
fn is_horizon(text: &Measured, quantity: &Quantity) -> bool {
    let (before, after) = (text.before(quantity), text.after(quantity));
    let is_of_data = match after {
        [of, what, ..] => of == "of" && !OF_WORK.contains(&what.as_str()),
        _ => false,
    };
    let has_length = match before {
        [.., what, of] => of == "of" && !matches!(what.as_str(), "budget" | "limit" | "maximum" | "total"),
        _ => false,
    };
    is_of_data
        || has_length
        || before.last().is_some_and(|word| HORIZON.contains(&word.as_str()))
        || after.first().is_some_and(|word| HORIZON_BEHIND.contains(&word.as_str()))
}

/// Whether the part asks for a prediction, or describes what is predicted before the amount.
fn asks_for_prediction(text: &Measured, quantity: &Quantity) -> bool {
    let describes =
        text.before(quantity).iter().any(|word| matches!(word.as_str(), "whether" | "if" | "who"));
    describes || text.beside(quantity).any(|word| PREDICT.contains(&word))
}

/// Whether the amount is followed by words of work.
fn is_of_work(text: &Measured, quantity: &Quantity) -> bool {
    match text.after(quantity) {
        [of, what, ..] if of == "of" => OF_WORK.contains(&what.as_str()),
        _ => false,
    }
}

/// Whether words of work stand near a time in a part that asks for nothing else.
fn is_cued(text: &Measured, quantity: &Quantity) -> bool {
    let before = text.before(quantity);
    let near = format!(" {} ", before[before.len().saturating_sub(REACH)..].join(" "));
    let is_placed =
        before.last().is_some_and(|word| matches!(word.as_str(), "for" | "in" | "within" | "under" | "than"));
    let is_of_its_verb = is_placed && before.first().is_some_and(|word| WORK.contains(&word.as_str()));
    is_of_its_verb || is_of_work(text, quantity) || CUES.iter().any(|cue| near.contains(&format!(" {cue} ")))
}

/// Whether a time in a request for a prediction is said of the work and not of what is predicted.
fn is_bound_to_work(text: &Measured, quantity: &Quantity) -> bool {
    let before = text.before(quantity);
    let kept = before.iter().rposition(|word| !LIMITING.contains(&word.as_str())).map_or(0, |at| at + 1);
    let (kept, limit) = before.split_at(kept);
    let last = kept.last().map_or("", String::as_str);
    let is_described = kept.iter().any(|word| DESCRIBES.contains(&word.as_str()));
    let is_limit = matches!(
        limit.join(" ").as_str(),
        "at most" | "in at most" | "no more than" | "not more than" | "no longer than" | "in no more than"
    );
    let of_work = ["take", "taking", "use", "using", "spend", "spending", "training", "compute", "model"];
    is_of_work(text, quantity)
        || FILES.contains(&last)
        || matches!(last, "budget" | "limit")
        || !is_described
            && (of_work.contains(&last) || is_limit && !matches!(last, "of" | "lasting" | "lasts"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_budget(said: &str, minutes: Option<f64>, seconds: Option<f64>) {
        assert_eq!(budget(&Words::read(said, "")), SaidBudget { minutes, seconds }, "{said}");
    }

    fn check(words: &str, expected: Option<TimeWish>) {
        assert_eq!(time_in(words), expected, "{words}");
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
    fn times_in_several_words_add_up() {
        check_budget("predict y, 1 hour and 30 minutes", Some(90.0), None);
        check_budget("predict y; 5 minutes and 30 seconds", None, Some(330.0));
        check_budget("take 1 hour 30 minutes, AUC", Some(90.0), None);
        check_budget("an hour and a half", Some(90.0), None);
        check_budget("twenty-five minutes", Some(25.0), None);
        check_budget("predict y in d.csv, 2 hrs", Some(120.0), None);
    }

    #[test]
    fn a_time_of_what_is_predicted_is_no_budget() {
        for said in [
            "predict failure within 48 hours",
            "predict failure in the next 24 hours",
            "predict demand, the next 24 hours",
            "predict whether a second visit follows",
            "predict whether the trip takes more than 30 minutes",
            "forecast sales 24 hours ahead",
            "predict y from the last 10 minutes of data",
            "we have 20 minutes of audio per row",
            "predict trips of at most 10 minutes",
            "give 10 more minutes",
        ] {
            check_budget(said, None, None);
        }
        for said in [
            "predict y in d.csv, in five minutes",
            "predict y in d.csv in five minutes",
            "predict y using five minutes",
            "predict failure within 48 hours with five minutes of training",
            "predict y, take no more than five minutes",
            "train a model of y for five minutes",
            "predict y at most 5 minutes",
            "the budget is 5 minutes",
        ] {
            check_budget(said, Some(5.0), None);
        }
    }

    #[test]
    fn limits_are_no_steps_and_steps_are_no_limits() {
        let minutes = |minutes: f64| Some(TimeWish::All(minutes * 60.0));
        for words in [
            "no more than 10 minutes",
            "no longer than 10 minutes",
            "in less than 10 minutes",
            "10 minutes instead",
            "cut it down to 10 minutes",
            "don't use more than 10 minutes",
            "10 minutes or less",
        ] {
            check(words, minutes(10.0));
        }
        for words in
            ["give it ten more minutes", "another 10 minutes", "10 minutes longer", "extend it by 10 minutes"]
        {
            check(words, Some(TimeWish::More(600.0)));
        }
        check("another minute", Some(TimeWish::More(60.0)));
        check("10 minutes less", Some(TimeWish::More(-600.0)));
        check("shorten it by 10 minutes", Some(TimeWish::More(-600.0)));
        check("the trips last 20 minutes", None);
        check("5 ms", None);
    }

    #[test]
    fn a_time_that_could_be_meant_is_told() {
        let told = |said: &str| {
            let mut notes = Notes::default();
            note(&Words::read(said, ""), &mut notes);
            notes.warnings
        };
        assert_eq!(told("predict churn within five minutes").len(), 1);
        assert!(told("predict churn within five minutes")[0].contains("say \"take 5 minutes\""));
        for said in ["predict churn within 48 hours", "predict churn, five minutes", "predict y in 5 ms", ""]
        {
            assert!(told(said).is_empty(), "{said}");
        }
    }
}
