//! Ordinary sentences about models, read by rules. What no rule reads is said to be not understood, never guessed.
//!
//! A sentence is cut into clauses. Each has a mood, and only an order is carried out: a question is answered, a denial keeps
//! from being done what it denies, and a request for a model goes, in the user's own words, to whoever reads tasks. Metrics
//! and times are read by the same words as in a task text ([`ansatz_agents::understand`]).

mod clause;
mod data;
mod left_out;
mod orders;
mod request;

use crate::intent::{Amend, Intent, Question, Reading};
use crate::questions::{about_noun, holds, question, why};
use clause::{Clause, Mood, begins, clauses};
use data::Files;
use left_out::Thing;
use request::NewRows;

/// Reads a sentence. `is_path` says whether a word names a file or folder that is there.
pub fn read(text: &str, is_path: &dyn Fn(&str) -> bool) -> Reading {
    let clauses = clauses(text, is_path);
    if clauses.is_empty() {
        return unspoken(text);
    }
    let files = Files::of(&clauses);
    let has_request = clauses.iter().any(is_request);
    let mut reading = Reading::default();
    let mut at = 0;
    while let Some(clause) = clauses.get(at) {
        at += 1;
        let intents = read_clause(clause, &files, &clauses[at..]);
        let Some(Read { intents, clauses: more }) = intents else {
            if has_request && clause.mood != Mood::Question {
                // Beside a request, words that are not ours are for whoever reads the task.
                reading.intents.push(Intent::Request { data: None, words: clause.written() });
            } else {
                reading.not_understood.push(clause.quoted());
            }
            continue;
        };
        reading.intents.extend(intents);
        at += more;
    }
    reading.not_understood.extend(files.odd);
    joined(reading)
}

/// Whether words say what is to be predicted: then they go before what was said about it earlier.
pub fn says_target(words: &str) -> bool {
    clauses(words, &|_| false)
        .iter()
        .any(|clause| clause.mood == Mood::Request && request::says_target(&clause.plain))
}

/// A text without a clause.
fn unspoken(text: &str) -> Reading {
    let text = text.trim();
    let mut reading = Reading::default();
    if text == "?" {
        reading.intents.push(Intent::Help);
    } else if text.chars().any(char::is_alphanumeric) {
        reading.not_understood.push(text.to_owned());
    }
    reading
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

/// What was read in a clause, and in how many of those behind it that go on with its list.
struct Read {
    intents: Vec<Intent>,
    clauses: usize,
}

impl Read {
    /// What a clause means by itself.
    fn alone(intents: Vec<Intent>) -> Self {
        Self { intents, clauses: 0 }
    }

    fn one(intent: Intent) -> Self {
        Self::alone(vec![intent])
    }
}

/// Whether a clause makes what stands beside it a part of a request.
fn is_request(clause: &Clause) -> bool {
    clause.mood == Mood::Request && request::new_rows(clause).is_none()
        || clause.mood == Mood::Question && of_rows(clause).is_some()
}

/// Reads a clause; `None` when no rule reads it. `behind` are the clauses that follow.
fn read_clause(clause: &Clause, files: &Files, behind: &[Clause]) -> Option<Read> {
    if clause.mood != Mood::Question
        && let Some(NewRows { file }) = request::new_rows(clause)
    {
        return Some(Read::one(Intent::Ask(Question::NewRows(file))));
    }
    match clause.mood {
        Mood::Question => asked(clause, behind),
        Mood::Show => shown(clause).map(Intent::Ask).map(Read::one),
        Mood::Negated => {
            let first = orders::negated(clause)?;
            let (more, as_intent): (Vec<Thing>, fn(Thing) -> Intent) = match &first {
                Intent::Amend(Amend::Steer(_)) => (listed(behind), leave_out),
                Intent::Ask(Question::Column(_)) => (listed(behind), about),
                _ => (Vec::new(), about),
            };
            Some(with_list(vec![first], more, as_intent))
        }
        Mood::Request => {
            let data = files.main.clone().filter(|main| clause.data.contains(main));
            let request = Intent::Request { data, words: clause.written() };
            let left = left_out::beside_request(clause);
            let more = if left.is_some() { listed(behind) } else { Vec::new() };
            Some(with_list([request].into_iter().chain(left.map(leave_out)).collect(), more, leave_out))
        }
        Mood::Order => ordered(clause, files, behind),
    }
}

/// What is to be left out as well, behind the first thing: "drop a, b and c".
fn listed(behind: &[Clause]) -> Vec<Thing> {
    let is_command = |clause: &Clause| {
        let is_asked = |intent: &Intent| matches!(intent, Intent::Ask(_)) && clause.joint.is_and;
        orders::order(clause).iter().any(|intent| !is_asked(intent))
    };
    left_out::listed(behind, is_command)
}

fn with_list(mut intents: Vec<Intent>, more: Vec<Thing>, as_intent: fn(Thing) -> Intent) -> Read {
    let clauses = more.len();
    intents.extend(more.into_iter().map(as_intent));
    Read { intents, clauses }
}

fn leave_out(thing: Thing) -> Intent {
    Intent::Amend(Amend::Steer(thing.without()))
}

/// Reads an order or a statement.
fn ordered(clause: &Clause, files: &Files, behind: &[Clause]) -> Option<Read> {
    let intents = orders::order(clause);
    let more = if left_out::wanted(clause).is_some() { listed(behind) } else { Vec::new() };
    let main = files.main.as_ref().filter(|main| clause.data.contains(main));
    let named = main.map(|main| Intent::Amend(Amend::Data(main.clone())));
    if !intents.is_empty() {
        let amends = intents.iter().all(|intent| matches!(intent, Intent::Amend(_)));
        let named = named.filter(|_| amends);
        return Some(with_list(named.into_iter().chain(intents).collect(), more, leave_out));
    }
    if !clause.data.is_empty() && data::is_all(clause) {
        return Some(Read::alone(named.into_iter().collect()));
    }
    // What is said of the data beside their name is for whoever reads the task.
    let data = main.cloned()?;
    Some(Read::one(Intent::Request { data: Some(data), words: clause.written() }))
}

/// Questions about the conversation itself.
const HELP: &[&str] = &[
    "help",
    "what can you do",
    "what can i do",
    "what can i say",
    "what do you mean",
    "how does it work",
    "how does this work",
];

/// Reads a question.
fn asked(clause: &Clause, behind: &[Clause]) -> Option<Read> {
    let plain = clause.plain.as_str();
    if orders::is_courtesy(&clause.small) {
        return Some(Read::one(Intent::Courtesy));
    }
    if holds(plain, "help me") || HELP.contains(&plain) {
        return Some(Read::one(Intent::Help));
    }
    if plain == "why not" {
        return Some(Read::one(Intent::Approve));
    }
    if let Some(thing) = why(plain).is_none().then(|| left_out::asked_about(clause)).flatten() {
        return Some(with_list(vec![about(thing)], listed(behind), about));
    }
    if orders::submits(plain) {
        return Some(Read::one(Intent::Ask(Question::Worth)));
    }
    let asked = request::asks_new_rows(clause).map(|rows| Question::NewRows(rows.file));
    let asked = why(plain).map(Question::Why).or(asked).or_else(|| question(plain));
    if let Some(question) = asked {
        return Some(Read::one(Intent::Ask(question)));
    }
    if let Some(thing) = left_out::asked_used(clause) {
        return Some(Read::one(about(thing)));
    }
    of_rows(clause).map(Read::one)
}

/// The request that a question about what will come of rows is: "who will leave?"
fn of_rows(clause: &Clause) -> Option<Intent> {
    let is_asked = || why(&clause.plain).is_none() && question(&clause.plain).is_none();
    let data = clause.data.first().cloned();
    (request::asks_of_rows(clause) && is_asked()).then(|| Intent::Request { data, words: clause.written() })
}

/// The question about something that could be left out.
fn about(thing: Thing) -> Intent {
    Intent::Ask(match thing {
        Thing::Column(column) => Question::Column(column),
        Thing::Solution(_) | Thing::Combining => Question::Leaderboard,
    })
}

/// Reads an order to show or to hand over something.
fn shown(clause: &Clause) -> Option<Question> {
    let plain = clause.plain.as_str();
    let has = |words: &[&str]| words.iter().any(|word| holds(plain, word));
    if let Some(subject) = begins(plain, "show me").or_else(|| begins(plain, "show")).and_then(why) {
        return Some(Question::Why(subject));
    }
    let is_kept = ["save", "download", "export", "write"].iter().any(|verb| begins(plain, verb).is_some());
    let is_given = is_kept || ["give", "get", "send"].iter().any(|verb| begins(plain, verb).is_some());
    let is_file = has(&["model", "submission", "file", "files", "artifacts", "report", "result", "results"]);
    let is_all = has(&["predictions", "it", "them", "everything", "scores"]);
    if is_given && is_file || is_kept && is_all {
        return Some(Question::Files);
    }
    question(plain).or_else(|| about_noun(plain))
}

#[cfg(test)]
#[path = "grammar_tests.rs"]
mod tests;
