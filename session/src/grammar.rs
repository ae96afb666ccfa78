//! Ordinary sentences about models, read by rules. What no rule reads is said to be not understood, never guessed.
//!
//! A sentence is cut into clauses at commas, full stops and words that join; each clause is read by the first rule that
//! fits. Metrics and times are read by the same words as in a task text ([`ansatz_agents::understand`]).

use crate::intent::{Amend, Intent, Question, Reading};
use crate::numbers::figured;
use crate::questions::{about_evidence, holds, is_question, question, why};
use ansatz_agents::understand::{metric_in, seconds_in};
use ansatz_core::steer::{Preference, Steer};

/// Endings of files that hold tables.
const ENDINGS: &[&str] = &[".csv", ".tsv", ".parquet", ".csv.gz", ".txt", ".arff", ".zip"];

/// How names of data that lie elsewhere begin.
const ELSEWHERE: &[&str] = &["http://", "https://", "openml:", "hf:"];

/// Words before the name of data.
const PLACES: &[&str] = &["in", "on", "from", "with", "using", "of", "is", "file", "folder", "use"];

/// Words that a request for a model begins with or holds.
const REQUESTS: &[&str] = &[
    "predict",
    "forecast",
    "classify",
    "estimate",
    "train",
    "model ",
    "learn to",
    "figure out which",
    "find out who",
    "find out which",
    "who will",
    "will leave",
    "build me",
    "i need a model",
    "i want a model",
    "i want to know",
];

/// Solutions under the names that people use.
const SOLUTIONS: &[(&str, &str)] = &[
    ("catboost", "catboost"),
    ("cat boost", "catboost"),
    ("lightgbm", "lightgbm"),
    ("light gbm", "lightgbm"),
    ("lgbm", "lightgbm"),
    ("extra trees", "extra_trees"),
    ("extra_trees", "extra_trees"),
    ("extratrees", "extra_trees"),
    ("random forest", "extra_trees"),
    ("neural", "neural"),
    ("network", "neural"),
    ("deep learning", "neural"),
    ("linear", "linear"),
    ("logistic", "linear"),
];

/// Seconds that "more time" means when nobody says how much.
const MORE_SECONDS: f64 = 300.0;

/// Reads a sentence. `is_path` says whether a word names a file or folder that is there.
pub fn read(text: &str, is_path: &dyn Fn(&str) -> bool) -> Reading {
    let mut reading = Reading::default();
    let clauses = clauses(text);
    let requests = clauses.iter().any(|clause| is_request(&figured(clause)));
    for clause in &clauses {
        let data = data_in(clause, is_path);
        let plain = figured(clause);
        let plain = plain.trim_end_matches(['?', '!', '.']).trim();
        if is_request(plain) && !is_question(plain) && about_evidence(plain).is_none() {
            reading.intents.push(Intent::Request { data, words: clause.clone() });
        } else if let Some(intent) = intent(plain, clause) {
            let is_vague =
                matches!(intent, Intent::Amend(Amend::Steer(Steer::Prefer { .. }))) && names_a_place(plain);
            reading.intents.push(intent);
            // How small that has to be is for whoever reads the task.
            reading.intents.extend(is_vague.then(|| Intent::Remark(clause.clone())));
        } else if let Some(data) = data {
            reading.intents.push(Intent::Amend(Amend::Data(data)));
        } else if requests {
            // Beside a request, words that are not ours are for whoever reads the task.
            reading.intents.push(Intent::Request { data: None, words: clause.clone() });
        } else {
            reading.not_understood.push(clause.clone());
        }
    }
    joined(reading)
}

/// Several requests in one sentence are one.
fn joined(reading: Reading) -> Reading {
    let mut joined = Reading { not_understood: reading.not_understood, ..Reading::default() };
    for intent in reading.intents {
        let known = joined.intents.iter_mut().find_map(|known| match known {
            Intent::Request { data, words } => Some((data, words)),
            _ => None,
        });
        match (intent, known) {
            (Intent::Request { data: more, words: further }, Some((data, words))) => {
                *data = data.take().or(more);
                words.push_str(", ");
                words.push_str(&further);
            }
            (intent, _) => joined.intents.push(intent),
        }
    }
    joined
}

/// Cuts a text at commas, semicolons, line ends, full stops that end a word, and words that join.
fn clauses(text: &str) -> Vec<String> {
    let mut clauses = vec![String::new()];
    for word in text.split_whitespace() {
        let joins = matches!(word.to_lowercase().as_str(), "and" | "then" | "but" | "also");
        let is_open = clauses.last().is_some_and(|clause| !clause.is_empty());
        if joins && is_open {
            // "and" also joins things: it divides only where a new wish begins behind it, which the rules find out.
            clauses.push(String::new());
            continue;
        }
        let bare = word.trim_end_matches([',', ';', '.', '!', ':']);
        if let Some(clause) = clauses.last_mut() {
            if !clause.is_empty() {
                clause.push(' ');
            }
            clause.push_str(bare);
        }
        if bare.len() < word.len() {
            clauses.push(String::new());
        }
    }
    clauses.retain(|clause| !clause.is_empty());
    clauses
}

fn is_request(plain: &str) -> bool {
    let text = format!("{plain} ");
    REQUESTS.iter().any(|cue| text.starts_with(cue) || text.contains(&format!(" {cue}")))
        && !text.starts_with("why")
        && amended_target(plain).is_none()
}

/// The word of a clause that names data.
fn data_in(clause: &str, is_path: &dyn Fn(&str) -> bool) -> Option<String> {
    let words: Vec<&str> =
        clause.split_whitespace().map(|word| word.trim_matches(['"', '\'', '`', '(', ')', '?'])).collect();
    let looks = |word: &&&str| {
        let small = word.to_lowercase();
        small.ends_with('/')
            || ELSEWHERE.iter().any(|start| small.starts_with(start) && small.len() > start.len())
            || ENDINGS.iter().any(|ending| small.ends_with(ending) && small.len() > ending.len())
    };
    // Ordinary words may be names of folders as well: they name data only where a place is spoken of.
    let placed = || {
        words.windows(2).find(|pair| PLACES.contains(&pair[0].to_lowercase().as_str()) && is_path(pair[1]))
    };
    words.iter().find(looks).copied().or_else(|| placed().map(|pair| pair[1])).map(str::to_owned)
}

/// What a clause means that is no request for a model. `clause` is the same as it was written.
fn intent(plain: &str, clause: &str) -> Option<Intent> {
    let has = |words: &[&str]| words.iter().any(|word| holds(plain, word));
    let starts =
        |words: &[&str]| words.iter().any(|word| plain == *word || plain.starts_with(&format!("{word} ")));
    if let Some(subject) = why(plain) {
        return Some(Intent::Ask(Question::Why(subject)));
    }
    if let Some(amend) = without(plain, clause) {
        return Some(Intent::Amend(amend));
    }
    if has(&["resume", "carry on", "go on where", "pick up where", "continue the"]) || plain == "continue" {
        let named = plain
            .split_whitespace()
            .find(|word| word.contains('-') && word.chars().any(|c| c.is_ascii_digit()));
        return Some(Intent::Resume(named.map(str::to_owned)));
    }
    if let Some(question) = question(plain) {
        return Some(Intent::Ask(question));
    }
    if has(&["try again", "run it again", "do it again", "once more", "rerun", "run again", "start over"])
        || plain == "again"
    {
        let more = has(&["more time", "longer"]).then_some(Amend::MoreSeconds(MORE_SECONDS));
        return Some(Intent::Again(time(plain).or(more)));
    }
    let is_short = plain.split_whitespace().count() <= 4;
    if (is_short && has(&["quit", "exit", "goodbye", "good bye"]) && !has(&["who", "that"])) || plain == "bye"
    {
        return Some(Intent::Quit);
    }
    let has_enough = plain == "enough" || starts(&["enough"]) || (is_short && plain.ends_with(" enough"));
    let has_stop = has(&["stop"]) && (is_short || starts(&["stop"])) && !has(&["who", "that", "which"]);
    if has_enough
        || has_stop
        || has(&["submit", "finish now", "wrap up", "finish up", "good enough", "deliver what"])
    {
        return Some(Intent::Submit);
    }
    if let Some(target) = amended_target(plain) {
        return Some(Intent::Amend(Amend::Target(as_written(&target, clause))));
    }
    if let Some(amend) = time(plain) {
        return Some(Intent::Amend(amend));
    }
    if let Some(preference) = preference(plain) {
        return Some(Intent::Amend(Amend::Steer(Steer::Prefer { preference })));
    }
    if let Some(metric) = metric(plain) {
        return Some(Intent::Amend(Amend::Metric(metric)));
    }
    if has(&["help", "what can you do"]) || plain == "?" {
        return Some(Intent::Help);
    }
    let yes = [
        "yes",
        "y",
        "ok",
        "okay",
        "go",
        "go ahead",
        "start",
        "do it",
        "run it",
        "sure",
        "fine",
        "sounds good",
        "looks good",
        "approved",
        "let's go",
        "begin",
        "please do",
        "yep",
        "agreed",
    ];
    if starts(&yes) {
        return Some(Intent::Approve);
    }
    if starts(&["no", "n", "nope", "don't", "do not", "wait", "not yet"]) {
        return Some(Intent::Refuse);
    }
    let polite =
        ["hello", "hi", "hey", "thanks", "thank you", "please", "great", "nice", "cool", "good morning"];
    starts(&polite).then_some(Intent::Courtesy)
}

/// Whether a wish says where the model has to fit.
fn names_a_place(plain: &str) -> bool {
    ["enough for", "enough to", "fit on", "fits on", "fit into", "fits into", "fit in", "fits in"]
        .iter()
        .any(|place| holds(plain, place))
}

/// What is to be left out: a solution, or a column.
fn without(plain: &str, clause: &str) -> Option<Amend> {
    let cues = [
        "without",
        "skip",
        "no",
        "ignore",
        "leave out",
        "drop",
        "don't use",
        "do not use",
        "exclude",
        "remove",
        "don't look at",
        "forget about",
        "don't try",
        "not use",
    ];
    let rest = cues.iter().find_map(|cue| {
        let at = format!(" {plain} ").find(&format!(" {cue} "))?;
        plain.get(at + cue.len()..).map(str::trim)
    })?;
    let rest = rest.trim_start_matches("the ").trim_start_matches("any ").trim_start_matches("a ").trim();
    let solution = SOLUTIONS.iter().find(|(name, _)| rest.starts_with(name));
    if let Some((_, solution)) = solution {
        return Some(Amend::Steer(Steer::Without { solution: (*solution).to_owned() }));
    }
    if holds(rest, "ensemble") || rest.starts_with("ensembl") {
        return Some(Amend::Steer(Steer::Prefer { preference: Preference::Single }));
    }
    let words: Vec<&str> = rest
        .split_whitespace()
        .filter(|word| {
            !matches!(
                *word,
                "column"
                    | "columns"
                    | "field"
                    | "feature"
                    | "please"
                    | "from"
                    | "now"
                    | "on"
                    | "it"
                    | "called"
            )
        })
        .collect();
    let [column] = words.as_slice() else { return None };
    let column = column.trim_matches(['"', '\'', '`']);
    let is_empty =
        column.is_empty() || matches!(column, "thanks" | "thank" | "more" | "way" | "problem" | "need");
    (!is_empty).then(|| Amend::Steer(Steer::DropColumn { column: as_written(column, clause) }))
}

fn amended_target(plain: &str) -> Option<String> {
    let after = |cue: &str| plain.split_once(cue).map(|(_, rest)| rest.trim());
    let rest = after("the target is ")
        .or_else(|| after("target is "))
        .or_else(|| after("target column is "))
        .or_else(|| after("the target should be "))
        .or_else(|| after("target: "))
        .or_else(|| plain.strip_suffix(" instead").and_then(|rest| rest.strip_prefix("predict ")))
        .or_else(|| plain.strip_suffix(" is the target"))?;
    let word = rest.split_whitespace().next()?.trim_matches(['"', '\'', '`']);
    Some(word.to_owned())
}

/// A word as it was written, before it was made small.
fn as_written(small: &str, clause: &str) -> String {
    let words = clause.split_whitespace().map(|word| word.trim_matches(['"', '\'', '`', '?', ',']));
    words
        .filter(|word| word.to_lowercase() == small)
        .map(str::to_owned)
        .next()
        .unwrap_or_else(|| small.to_owned())
}

fn time(plain: &str) -> Option<Amend> {
    let words: Vec<&str> = plain.split_whitespace().collect();
    let trials = words.iter().zip(words.iter().skip(1)).find(|(_, unit)| unit.starts_with("trial"));
    if let Some((number, _)) = trials {
        return number.parse().ok().map(Amend::Trials);
    }
    let more =
        holds(plain, "more") || holds(plain, "longer") || holds(plain, "another") || holds(plain, "extra");
    let less = holds(plain, "less") || holds(plain, "shorter") || holds(plain, "fewer");
    let bare: Vec<&str> = words
        .into_iter()
        .filter(|word| !matches!(*word, "more" | "less" | "another" | "extra" | "fewer"))
        .collect();
    let seconds = seconds_in(&bare.join(" "))?;
    Some(match (more, less) {
        (true, _) => Amend::MoreSeconds(seconds),
        (_, true) => Amend::MoreSeconds(-seconds),
        _ => Amend::Seconds(seconds),
    })
}

fn preference(plain: &str) -> Option<Preference> {
    let has = |words: &[&str]| words.iter().any(|word| plain.contains(word));
    if has(&["interpretable", "explainable", "readable", "can read", "understandable", "transparent"]) {
        return Some(Preference::Readable);
    }
    let small = [
        "small",
        "smaller",
        "simple",
        "simpler",
        "fast ",
        "faster",
        "lightweight",
        "single model",
        "one model",
        "tiny",
        "compact",
    ];
    (has(&small) || plain.ends_with("fast")).then_some(Preference::Single)
}

/// The metric of a clause that is about nothing else.
fn metric(plain: &str) -> Option<String> {
    let cues = [
        "use ",
        "scored by ",
        "score by ",
        "score it by ",
        "score with ",
        "metric is ",
        "the metric is ",
        "metric: ",
        "optimise for ",
        "optimize for ",
        "optimise ",
        "optimize ",
        "by ",
        "with ",
        "judge by ",
        "evaluate with ",
        "evaluate by ",
        "measured by ",
        "go for ",
    ];
    let named = |text: &str| metric_in(text).filter(|_| text.split_whitespace().count() <= 8);
    let bare = plain.trim_end_matches(" instead").trim_end_matches(" please");
    cues.iter()
        .filter_map(|cue| bare.split_once(cue))
        .find_map(|(_, rest)| named(rest))
        .or_else(|| named(bare))
}

#[cfg(test)]
#[path = "grammar_tests.rs"]
mod tests;
