//! What orders and denials mean that are no request for a model.

use super::clause::{Clause, begins};
use super::left_out::{self, Thing};
use super::request;
use crate::intent::{Amend, Intent, Question};
use crate::numbers;
use crate::questions::holds;
use ansatz_agents::understand::{TimeWish, metric_in, time_in};
use ansatz_core::steer::{Preference, Steer};

/// Words for a model that is small or quick, which a single one is.
pub(super) const PREFERRED: &[&str] = &[
    "small",
    "smaller",
    "simple",
    "simpler",
    "fast",
    "faster",
    "lightweight",
    "tiny",
    "compact",
    "single",
    "light",
    "interpretable",
    "explainable",
    "readable",
    "understandable",
    "transparent",
];
/// Those of them that ask for a model which a person can read.
const READABLE: &[&str] = &["interpretable", "explainable", "readable", "understandable", "transparent"];
/// Phrases that ask for it as well.
const READ: &[&str] =
    &["people can read", "person can read", "human can read", "humans can read", "can be read"];
/// Words beside a preference.
const BESIDE_PREFERENCE: &[&str] = &[
    "a",
    "again",
    "an",
    "and",
    "as",
    "be",
    "better",
    "can",
    "could",
    "deliver",
    "enough",
    "give",
    "has",
    "have",
    "i",
    "is",
    "it",
    "just",
    "keep",
    "make",
    "me",
    "model",
    "models",
    "more",
    "much",
    "must",
    "need",
    "needs",
    "only",
    "or",
    "possible",
    "prefer",
    "really",
    "should",
    "solution",
    "something",
    "that",
    "that's",
    "the",
    "then",
    "this",
    "to",
    "try",
    "use",
    "very",
    "want",
    "we",
    "which",
    "would",
    "you",
];
/// Words behind which a preference says what it is for.
const FOR: &[&str] = &["for", "to", "on", "into", "in", "that", "which", "so", "by"];
/// Words beside the name of a metric.
const BESIDE_METRIC: &[&str] = &[
    "a",
    "about",
    "above",
    "again",
    "an",
    "and",
    "as",
    "at",
    "be",
    "below",
    "best",
    "better",
    "by",
    "care",
    "error",
    "evaluate",
    "evaluated",
    "evaluation",
    "for",
    "go",
    "good",
    "high",
    "higher",
    "i",
    "in",
    "instead",
    "is",
    "it",
    "judge",
    "judged",
    "least",
    "low",
    "lower",
    "matters",
    "maximise",
    "maximize",
    "me",
    "measure",
    "measured",
    "metric",
    "minimise",
    "minimize",
    "most",
    "of",
    "on",
    "optimise",
    "optimize",
    "over",
    "please",
    "rather",
    "reach",
    "score",
    "scored",
    "set",
    "should",
    "switch",
    "target",
    "terms",
    "than",
    "that",
    "the",
    "this",
    "to",
    "under",
    "use",
    "using",
    "want",
    "we",
    "what",
    "which",
    "with",
    "would",
    "you",
];
/// Words of a yes.
const YES: &[&str] = &[
    "yes",
    "y",
    "yep",
    "yeah",
    "ok",
    "okay",
    "sure",
    "fine",
    "agreed",
    "approved",
    "go",
    "start",
    "begin",
    "run",
    "do",
    "do it",
    "train",
    "right",
    "correct",
    "sounds good",
    "looks good",
    "sounds great",
    "looks great",
    "perfect",
    "please do",
    "of course",
];
/// Words that may stand behind one.
const BESIDE_YES: &[&str] = &[
    "ahead", "all", "and", "approved", "away", "begin", "by", "do", "fine", "for", "go", "good", "great",
    "is", "it", "looks", "me", "means", "now", "ok", "on", "plan", "please", "right", "run", "so", "sounds",
    "start", "sure", "thanks", "that", "the", "then", "thing", "this", "to", "training", "with", "yes",
    "you",
];
const NO: &[&str] = &["no", "n", "nope", "nah", "wait", "hold on", "hang on", "not yet"];
/// Phrases that ask for a moment, and set no time.
const MOMENTS: &[&str] = &[
    "just a second",
    "just a sec",
    "just a minute",
    "just a moment",
    "one moment",
    "a moment",
    "give me a second",
    "give me a sec",
    "give me a minute",
    "give me a moment",
    "never mind",
    "nevermind",
];
/// Words beside "stop".
const BESIDE_STOP: &[&str] = &[
    "and",
    "enough",
    "is",
    "everything",
    "here",
    "immediately",
    "it",
    "looking",
    "models",
    "now",
    "please",
    "run",
    "running",
    "search",
    "searching",
    "that",
    "the",
    "there",
    "this",
    "training",
    "trying",
    "tuning",
    "with",
];
/// Words before "enough".
const BEFORE_ENOUGH: &[&str] = &[
    "about", "be", "been", "good", "is", "it's", "its", "just", "more", "now", "seen", "than", "that",
    "that's", "thats", "this",
];
/// Phrases that end a run.
const SUBMITS: &[&str] = &[
    "submit",
    "finish now",
    "finish up",
    "finish it",
    "wrap up",
    "wrap it up",
    "that will do",
    "that'll do",
    "deliver what",
    "good enough",
];
/// Phrases that go on with a run.
const RESUMES: &[&str] = &[
    "resume",
    "carry on",
    "go on where",
    "pick up where",
    "continue the",
    "keep going",
    "keep training",
    "keep searching",
    "keep running",
];
const AGAIN: &[&str] = &[
    "try again",
    "try it again",
    "run it again",
    "do it again",
    "once more",
    "rerun",
    "run again",
    "start over",
    "redo it",
];
/// Words beside a leave-taking.
const BESIDE_QUIT: &[&str] =
    &["chat", "for", "goodbye", "good", "bye", "i", "now", "please", "the", "this", "we"];
/// Phrases that say that something is not asked for.
const NEEDLESS: &[&str] =
    &["need not", "needn't", "neednt", "have to", "need to", "needs to", "must not", "no need", "not be"];
/// Verbs of beginning, whose denial is a no.
const STARTS: &[&str] =
    &["start", "begin", "run", "go", "do it", "do that", "do this", "train", "yet", "now"];
/// Verbs of ending, whose denial wants a run to go on.
const ENDS: &[&str] =
    &["stop", "submit", "quit", "exit", "finish", "end", "cancel", "wrap up", "deliver", "give up"];
/// Words of courtesy, and words in passing.
const COURTESY: &[&str] = &[
    "hello",
    "hi",
    "hey",
    "thanks",
    "thank",
    "please",
    "great",
    "nice",
    "cool",
    "awesome",
    "wonderful",
    "amazing",
    "brilliant",
    "sorry",
    "honestly",
    "really",
    "actually",
    "btw",
    "hmm",
    "um",
    "wow",
    "oh",
    "morning",
    "evening",
    "afternoon",
    "welcome",
    "way",
];
/// Words beside them.
const BESIDE_COURTESY: &[&str] = &[
    "a", "again", "all", "by", "day", "done", "everyone", "for", "good", "help", "is", "it", "job", "lot",
    "many", "much", "so", "that", "that's", "the", "there", "this", "to", "very", "was", "well", "work",
    "you", "your",
];
/// Questions that a noun alone asks.
const NOUNS: &[(&str, Question)] = &[
    ("plan", Question::Plan),
    ("status", Question::Status),
    ("progress", Question::Status),
    ("best", Question::Best),
    ("cost", Question::Cost),
    ("costs", Question::Cost),
    ("files", Question::Files),
    ("predictions", Question::Predictions),
    ("leaderboard", Question::Leaderboard),
    ("ranking", Question::Leaderboard),
];

/// What an order means; empty when no rule reads it.
pub(super) fn order(clause: &Clause) -> Vec<Intent> {
    let plain = clause.plain.as_str();
    let has = |phrases: &[&str]| phrases.iter().any(|phrase| holds(plain, phrase));
    if let Some(thing) = left_out::wanted(clause) {
        let again = has(AGAIN).then_some(Intent::Again(None));
        return [steered(thing.without())].into_iter().chain(again).collect();
    }
    if let Some(Thing::Column(column)) = begins(plain, "keep").and_then(|_| left_out::asked_about(clause)) {
        return vec![Intent::Ask(Question::Column(column))];
    }
    if is_moment(clause) {
        return vec![Intent::Refuse];
    }
    if has(AGAIN) || plain == "again" {
        return vec![Intent::Again(numbers::time(plain))];
    }
    if let Some(amend) = numbers::amount(plain) {
        return vec![Intent::Amend(amend)];
    }
    if has(RESUMES) || matches!(plain, "continue" | "go on" | "keep on") {
        return vec![Intent::Resume(run_named(clause))];
    }
    if let Some(target) = target(plain) {
        return vec![Intent::Amend(Amend::Target(clause.as_written(&target)))];
    }
    plainly(clause)
        .map_or_else(|| answered(clause), |intent| vec![intent])
        .into_iter()
        .chain(remark(clause))
        .collect()
}

/// An order of which a word or a phrase is the whole meaning.
fn plainly(clause: &Clause) -> Option<Intent> {
    let plain = clause.plain.as_str();
    let noun =
        ["the ", "your ", "my "].iter().find_map(|article| plain.strip_prefix(article)).unwrap_or(plain);
    if let Some((_, question)) = NOUNS.iter().find(|(name, _)| noun == *name) {
        return Some(Intent::Ask(question.clone()));
    }
    if holds(plain, "leaderboard") {
        return Some(Intent::Ask(Question::Leaderboard));
    }
    if is_leave(plain) {
        return Some(Intent::Quit);
    }
    if submits(plain) {
        return Some(Intent::Submit);
    }
    if let Some(preference) = preference(plain) {
        return Some(steered(Steer::Prefer { preference }));
    }
    if let Some((metric, _)) = metric(plain) {
        return Some(Intent::Amend(Amend::Metric(metric)));
    }
    if is_courtesy(&clause.small) {
        return Some(Intent::Courtesy);
    }
    if holds(plain, "help") {
        return Some(Intent::Help);
    }
    let told = ["that's", "that is", "it's", "it is"].iter().find_map(|told| begins(plain, told));
    let told = told.unwrap_or(plain);
    let is_yes =
        YES.iter().any(|yes| told == *yes || begins(told, yes).is_some_and(|rest| all(rest, BESIDE_YES)));
    is_yes.then_some(Intent::Approve)
}

/// A yes or a no, and what is wished behind it without a mark between: "no use rmsle", "ok stop".
fn answered(clause: &Clause) -> Vec<Intent> {
    let plain = clause.plain.as_str();
    let behind = |words: &[&str]| words.iter().find_map(|word| begins(plain, word));
    if let Some(rest) = behind(&["yes", "yep", "yeah", "ok", "okay", "alright", "fine"]) {
        let wished = wished(rest, clause);
        let yes = (!wished.is_empty()).then_some(Intent::Approve);
        return yes.into_iter().chain(wished).collect();
    }
    if !NO.iter().any(|no| plain == *no || begins(plain, no).is_some()) {
        return Vec::new();
    }
    let wished = behind(&["no", "nope", "nah"]).map(|rest| wished(rest, clause));
    [Intent::Refuse].into_iter().chain(wished.into_iter().flatten()).collect()
}

/// What the rest of a clause wishes.
fn wished(rest: &str, clause: &Clause) -> Vec<Intent> {
    if request::is_request(rest, !clause.data.is_empty()) {
        let (data, words) = (clause.data.first().cloned(), clause.written());
        return vec![Intent::Request { data, words }];
    }
    let is_answer = |intent: &Intent| matches!(intent, Intent::Refuse | Intent::Approve);
    order(&clause.saying(rest)).into_iter().filter(|intent| !is_answer(intent)).collect()
}

/// What more a wish says that is read elsewhere: where a small model has to fit, which score is to be reached.
fn remark(clause: &Clause) -> Option<Intent> {
    let plain = clause.plain.as_str();
    let has_place = preference(plain) == Some(Preference::Single) && names_a_place(plain);
    let has_score = metric(plain).is_some_and(|(_, beside)| beside.iter().any(|word| is_number(word)));
    (has_place || has_score).then(|| Intent::Remark(clause.written()))
}

/// What a denial means; `None` when no rule reads it. What it denies is not carried out.
pub(super) fn negated(clause: &Clause) -> Option<Intent> {
    let plain = clause.plain.as_str();
    let has = |phrases: &[&str]| phrases.iter().any(|phrase| holds(plain, phrase));
    if has(&["more than", "longer than", "exceed", "over", "beyond"])
        && let Some(TimeWish::All(seconds)) = time_in(plain)
    {
        return Some(Intent::Amend(Amend::Seconds(seconds)));
    }
    if is_moment(clause) {
        return Some(Intent::Refuse);
    }
    // What is not to be left out: whether it is used shows that it stays.
    match left_out::asked_about(clause) {
        Some(Thing::Column(column)) => return Some(Intent::Ask(Question::Column(column))),
        Some(_) => return Some(Intent::Ask(Question::Leaderboard)),
        None => {}
    }
    if has(ENDS) {
        // Nothing is to end: how it stands shows that it goes on.
        return Some(Intent::Ask(Question::Status));
    }
    if denies_metric(plain) {
        return Some(Intent::Remark(clause.written()));
    }
    if let Some(thing) = left_out::wanted(clause) {
        return Some(steered(thing.without()));
    }
    if has(&["enough", "improving", "better", "help"]) {
        return Some(Intent::Ask(Question::Worth));
    }
    if has(&["understand"]) {
        return Some(Intent::Help);
    }
    if has(NEEDLESS) && (has(PREFERRED) || has(READ)) {
        return Some(Intent::Remark(clause.written()));
    }
    let is_no = ["don't", "dont", "do not", "not", "never"]
        .iter()
        .any(|denial| plain == *denial || begins(plain, denial).is_some_and(|_| has(STARTS)));
    is_no.then_some(Intent::Refuse)
}

/// Whether a denial is about a metric alone: "not accuracy", "don't use accuracy".
fn denies_metric(plain: &str) -> bool {
    let denials = ["don't", "dont", "do not", "not", "never"];
    let Some(rest) = denials.iter().find_map(|denial| begins(plain, denial)) else { return false };
    let verbs = [
        "use", "using", "by", "with", "on", "for", "score", "scored", "optimise", "optimize", "the", "it",
        "a",
    ];
    metric_in(rest).is_some_and(|wish| wish.beside.iter().all(|word| verbs.contains(&word.as_str())))
}

/// The target that a clause names as such, in small letters.
pub(super) fn target(plain: &str) -> Option<String> {
    const CUES: &[&str] = &[
        "the target is",
        "target is",
        "target column is",
        "the target should be",
        "target should be",
        "target:",
        "target =",
        "set the target to",
        "change the target to",
        "the column to predict is",
    ];
    let cued = CUES.iter().find_map(|cue| {
        let (before, rest) = plain.split_once(cue)?;
        (before.is_empty() || before.ends_with(' ')).then_some(rest.trim())
    });
    let instead = || plain.strip_suffix(" instead").and_then(|rest| begins(rest, "predict"));
    let made = || {
        let rest = ["use", "make", "take", "set"].iter().find_map(|verb| begins(plain, verb))?;
        [" as the target", " as target", " the target"].iter().find_map(|end| rest.strip_suffix(end))
    };
    let named = cued.or_else(instead).or_else(|| plain.strip_suffix(" is the target")).or_else(made)?;
    let words = named.split_whitespace().take_while(|word| *word != "not");
    let words = words.filter(|word| !is_beside_target(word)).collect::<Vec<_>>();
    let is_judged =
        words.iter().any(|word| matches!(*word, "wrong" | "right" | "correct" | "missing" | "fine"));
    ((1..=4).contains(&words.len()) && !is_judged).then(|| words.join(" "))
}

fn is_beside_target(word: &str) -> bool {
    matches!(
        word,
        "the"
            | "a"
            | "an"
            | "my"
            | "our"
            | "column"
            | "field"
            | "variable"
            | "called"
            | "named"
            | "instead"
            | "please"
    )
}

/// The metric of a clause that is about nothing else, and the words beside it.
fn metric(plain: &str) -> Option<(String, Vec<String>)> {
    let wish = metric_in(plain)?;
    let is_beside = |word: &String| BESIDE_METRIC.contains(&word.as_str()) || is_number(word);
    let has = |words: &[&str]| wish.beside.iter().any(|word| words.contains(&word.as_str()));
    // "the AUC is 0.8" tells how it is.
    let is_told = has(&["is"]) && !has(&["metric", "what", "matters", "should", "evaluation", "score"]);
    let is_wish = !is_told && wish.beside.iter().all(is_beside);
    is_wish.then_some((wish.metric, wish.beside))
}

fn is_number(word: &str) -> bool {
    word.parse::<f64>().is_ok()
}

/// What the model is to be like, in a clause that says nothing else but what for.
fn preference(plain: &str) -> Option<Preference> {
    let has = |phrases: &[&str]| phrases.iter().any(|phrase| holds(plain, phrase));
    if has(READ) {
        return Some(Preference::Readable);
    }
    let words: Vec<&str> = plain.split_whitespace().collect();
    let is_beside = |word: &&str| BESIDE_PREFERENCE.contains(word) || PREFERRED.contains(word);
    let Some(at) = words.iter().position(|word| PREFERRED.contains(word)) else {
        let is_single = has(&["one model"]) && words.iter().all(|word| *word == "one" || is_beside(word));
        return is_single.then_some(Preference::Single);
    };
    let said = words.iter().skip(at).take_while(|word| !FOR.contains(word));
    if is_statement(plain) || !words[..at].iter().chain(said).all(is_beside) {
        return None;
    }
    Some(if READABLE.contains(&words[at]) { Preference::Readable } else { Preference::Single })
}

/// Whether a clause tells how something is, and wishes nothing.
fn is_statement(plain: &str) -> bool {
    ["it is", "it's", "its", "this is", "that is", "that's", "the model is"]
        .iter()
        .any(|told| begins(plain, told).is_some())
}

/// Whether a wish says where the model has to fit.
fn names_a_place(plain: &str) -> bool {
    ["enough for", "enough to", "fit on", "fits on", "fit into", "fits into", "fit in", "fits in"]
        .iter()
        .any(|place| holds(plain, place))
}

/// Whether a clause asks for a moment.
fn is_moment(clause: &Clause) -> bool {
    let starts = ["wait", "hold on", "hang on"];
    MOMENTS.contains(&clause.small.as_str())
        || MOMENTS.contains(&clause.small.trim_end_matches(" please"))
        || starts.iter().any(|start| clause.plain == *start || begins(&clause.plain, start).is_some())
}

/// Whether words want what there is to be delivered.
pub(super) fn submits(plain: &str) -> bool {
    let stops = plain == "stop" || begins(plain, "stop").is_some_and(|rest| all(rest, BESIDE_STOP));
    let submits = SUBMITS.iter().any(|phrase| plain == *phrase || begins(plain, phrase).is_some());
    let words: Vec<&str> = plain.split_whitespace().collect();
    let has_enough = match words.as_slice() {
        ["enough", rest @ ..] => {
            rest.iter().all(|word| BESIDE_STOP.contains(word) || matches!(*word, "for" | "today"))
        }
        [.., before, "enough"] => words.len() <= 5 && BEFORE_ENOUGH.contains(before),
        _ => false,
    };
    stops || submits || has_enough || holds(plain, "good enough") && words.len() <= 7 || plain == "finish"
}

fn is_leave(plain: &str) -> bool {
    let leaves = ["quit", "exit", "bye", "goodbye"];
    let words: Vec<&str> = plain.split_whitespace().collect();
    words.iter().any(|word| leaves.contains(word))
        && words.iter().all(|word| leaves.contains(word) || BESIDE_QUIT.contains(word))
}

/// The run that a clause names.
fn run_named(clause: &Clause) -> Option<String> {
    let is_run = |word: &&str| word.contains('-') && word.chars().any(|c| c.is_ascii_digit());
    clause.words.iter().map(|word| word.bare.as_str()).find(is_run).map(str::to_owned)
}

/// Whether words are nothing but courtesy, or said in passing.
pub(super) fn is_courtesy(small: &str) -> bool {
    let is_polite = |word: &&str| COURTESY.contains(word);
    let words: Vec<&str> = small.split_whitespace().collect();
    matches!(small, "good day" | "good night" | "well done" | "good job" | "good work")
        || words.iter().any(is_polite)
            && words.iter().all(|word| is_polite(word) || BESIDE_COURTESY.contains(word))
}

fn all(rest: &str, words: &[&str]) -> bool {
    rest.split_whitespace().all(|word| words.contains(&word))
}

fn steered(steer: Steer) -> Intent {
    Intent::Amend(Amend::Steer(steer))
}
