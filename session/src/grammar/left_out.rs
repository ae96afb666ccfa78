//! What is to be left out, or is asked about: a solution, combining, a column.

use super::clause::{Clause, Joint, Mood, begins};
use super::data;
use crate::questions::holds;
use ansatz_core::steer::{Preference, Steer};

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
/// Phrases before what is to be left out.
const REMOVES: &[&str] = &[
    "drop",
    "remove",
    "exclude",
    "ignore",
    "skip",
    "omit",
    "discard",
    "delete",
    "disable",
    "leave out",
    "take out",
    "throw out",
    "throw away",
    "get rid of",
    "forget about",
    "forget",
    "do without",
    "go without",
    "without",
    "stop using",
    "stop trying",
    "stop looking at",
    "stop considering",
    "stop including",
    "stop with",
    "stop training",
    "stop tuning",
    "stop testing",
];
/// Verbs whose denial leaves something out: "don't use age".
const USES: &[&str] =
    &["use", "using", "try", "trying", "look at", "include", "consider", "touch", "not use"];
/// Verbs whose denial leaves out a solution, and nothing else: "I don't want an ensemble".
const WANTS: &[&str] = &["want", "need", "like", "trust", "train"];
/// What may be said of a thing that is to be left out: "age should be dropped".
const LEFT: &[&str] = &["dropped", "removed", "excluded", "ignored", "skipped", "left out", "omitted"];
/// Words for what tables have.
const COLUMNS: &[&str] =
    &["column", "columns", "field", "fields", "feature", "features", "variable", "variables"];
/// Words before the name of what is left out.
const ARTICLES: &[&str] =
    &["the", "a", "an", "any", "all", "my", "your", "this", "these", "those", "of", "called", "named"];
/// Words beside it.
const BESIDE: &[&str] = &[
    "again",
    "altogether",
    "as",
    "completely",
    "entirely",
    "for",
    "from",
    "it",
    "me",
    "now",
    "on",
    "please",
    "s",
    "thanks",
    "then",
    "too",
    "well",
];
/// Words that are not meant as the name of a column.
const NO_COLUMN: &[&str] = &[
    "all",
    "an",
    "any",
    "anything",
    "best",
    "data",
    "everything",
    "file",
    "files",
    "here",
    "idea",
    "model",
    "models",
    "more",
    "my",
    "need",
    "none",
    "nothing",
    "one",
    "others",
    "overfitting",
    "problem",
    "rest",
    "run",
    "search",
    "so",
    "some",
    "something",
    "thank",
    "that",
    "the",
    "them",
    "there",
    "these",
    "this",
    "those",
    "time",
    "training",
    "tuning",
    "wait",
    "way",
    "what",
    "which",
    "your",
];
/// Words that may stand before "without" where it says what is to be left out.
const BEFORE_WITHOUT: &[&str] = &[
    "a", "again", "another", "better", "do", "go", "going", "it", "keep", "make", "model", "more", "on",
    "once", "one", "rerun", "run", "same", "start", "the", "this", "train", "training", "try", "small",
    "single", "time",
];

/// Something that can be left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Thing {
    /// A solution, by its own name.
    Solution(&'static str),
    /// Combining several models.
    Combining,
    /// A column.
    Column(String),
}

impl Thing {
    /// The wish that it be left out.
    pub(super) fn without(self) -> Steer {
        match self {
            Self::Solution(solution) => Steer::Without { solution: solution.to_owned() },
            Self::Combining => Steer::Prefer { preference: Preference::Single },
            Self::Column(column) => Steer::DropColumn { column },
        }
    }
}

/// What a clause wants to be left out, be it an order or a denial.
pub(super) fn wanted(clause: &Clause) -> Option<Thing> {
    let plain = clause.plain.as_str();
    if clause.mood == Mood::Negated {
        let used = USES.iter().find_map(|verb| behind(plain, verb)).and_then(|rest| thing(rest, clause));
        let unwanted = || {
            let rest = WANTS.iter().find_map(|verb| behind(plain, verb)).or_else(|| begins(plain, "not"))?;
            sure(rest, clause)
        };
        return used.or_else(unwanted);
    }
    let removed = REMOVES.iter().find_map(|verb| begins(plain, verb)).or_else(|| without(plain));
    let around = || {
        let rest = ["leave", "take", "throw", "kick"].iter().find_map(|verb| begins(plain, verb))?;
        rest.strip_suffix(" out")
    };
    let passive = || {
        let of = |modal: &str| {
            let (rest, verb) = plain.split_once(&format!(" {modal} be "))?;
            LEFT.contains(&verb).then_some(rest)
        };
        ["should", "must", "can", "may", "has to"].iter().find_map(|modal| of(modal))
    };
    let denied = || begins(plain, "no").and_then(|rest| sure(rest, clause));
    removed.or_else(around).or_else(passive).and_then(|rest| thing(rest, clause)).or_else(denied)
}

/// What stands behind "without", where the words before it are those of an order.
fn without(plain: &str) -> Option<&str> {
    let (before, rest) = plain.split_once(" without ")?;
    before.split_whitespace().all(|word| BEFORE_WITHOUT.contains(&word)).then_some(rest)
}

/// What a request for a model leaves out in so many words: "without the id column".
pub(super) fn beside_request(clause: &Clause) -> Option<Thing> {
    ["without", "excluding", "ignoring", "except"]
        .iter()
        .find_map(|verb| behind(&clause.plain, verb))
        .and_then(|rest| sure(rest, clause))
}

/// What a question, or the denial of an order, asks to leave out or to keep.
pub(super) fn asked_about(clause: &Clause) -> Option<Thing> {
    let plain = clause.plain.as_str();
    let keeps = begins(plain, "keep").filter(|rest| has_columns(rest));
    let around = || {
        let rest = ["leave", "take"].iter().find_map(|verb| behind(plain, verb))?;
        rest.strip_suffix(" out")
    };
    let named = keeps.or_else(|| REMOVES.iter().find_map(|verb| behind(plain, verb))).or_else(around);
    named.and_then(|rest| thing(rest, clause))
}

/// What a question asks about as used or not: "does the model use age", "is age used".
pub(super) fn asked_used(clause: &Clause) -> Option<Thing> {
    let plain = clause.plain.as_str();
    let passive = || {
        let rest = ["is", "was", "are"].iter().find_map(|verb| begins(plain, verb))?;
        rest.strip_suffix(" used")
    };
    let used = ["use", "using", "consider", "considering"].iter().find_map(|verb| behind(plain, verb));
    used.or_else(passive).and_then(|rest| thing(rest, clause))
}

/// The names that the clauses behind one go on with: "drop a, b and c".
pub(super) fn listed(clauses: &[Clause], is_command: impl Fn(&Clause) -> bool) -> Vec<Thing> {
    let named: Vec<(Joint, bool, Thing)> = clauses
        .iter()
        .take_while(|clause| clause.joint.lists())
        .map_while(|clause| {
            let thing = thing(&clause.plain, clause).filter(|_| is_name(clause))?;
            // A letter alone may be a yes or the name of a column: in a list it is a name.
            let is_letter = clause.plain.chars().count() == 1;
            (is_letter || !is_command(clause)).then_some((clause.joint, is_letter, thing))
        })
        .collect();
    let sure = named.iter().rposition(|(joint, ..)| joint.is_and).map_or(0, |last| last + 1);
    let is_meant = |(at, (_, is_letter, _)): &(usize, (Joint, bool, Thing))| *at < sure || !is_letter;
    named.into_iter().enumerate().take_while(is_meant).map(|(_, (_, _, thing))| thing).collect()
}

/// Whether a clause is a name and nothing else.
fn is_name(clause: &Clause) -> bool {
    clause.in_quotes().is_some() && clause.words.len() <= 2
        || name_words(&clause.plain).len() == 1
        || sure(&clause.plain, clause).is_some_and(|thing| !matches!(thing, Thing::Column(_)))
}

/// The words of a name, without those beside it: `zip` of "the zip column, please".
fn name_words(text: &str) -> Vec<&str> {
    let words = text.split_whitespace().map(|word| word.trim_end_matches(':'));
    let words: Vec<&str> = words.filter(|word| !BESIDE.contains(word) && !COLUMNS.contains(word)).collect();
    let articles = words.iter().take_while(|word| ARTICLES.contains(word)).count();
    // An article by itself, or behind another one, may be the name of a column: "drop a", "the a column".
    let is_name = articles == words.len() && (articles > 1 || words.first() == Some(&text.trim()));
    words[articles - usize::from(is_name && articles > 0)..].to_vec()
}

/// What stands behind a phrase in a text, as whole words.
fn behind<'a>(text: &'a str, phrase: &str) -> Option<&'a str> {
    let padded = text.match_indices(phrase).map(|(at, _)| at);
    let is_word = |at: &usize| *at == 0 || text[..*at].ends_with(' ');
    padded.filter(is_word).find_map(|at| begins(&text[at..], phrase))
}

fn has_columns(text: &str) -> bool {
    COLUMNS.iter().any(|name| holds(text, name))
}

/// What words name beyond doubt: a solution, combining, or a column that is called one.
fn sure(rest: &str, clause: &Clause) -> Option<Thing> {
    thing(rest, clause)
        .filter(|thing| !matches!(thing, Thing::Column(_)) || has_columns(rest) || is_quoted(clause))
}

fn is_quoted(clause: &Clause) -> bool {
    clause.in_quotes().is_some_and(|name| !data::is_file(name))
}

/// What words name that could be left out.
fn thing(rest: &str, clause: &Clause) -> Option<Thing> {
    let words = name_words(rest);
    let named = words.join(" ");
    let is_called = |name: &str| {
        let behind = named.strip_prefix(name).map(|behind| behind.strip_prefix('s').unwrap_or(behind));
        behind.is_some_and(|behind| behind.is_empty() || behind.starts_with(' '))
    };
    if let Some((_, solution)) = SOLUTIONS.iter().find(|(name, _)| is_called(name)) {
        return Some(Thing::Solution(solution));
    }
    let first = *words.first()?;
    if first.starts_with("ensembl") || matches!(first, "combining" | "combinations" | "stacking" | "blending")
    {
        return Some(Thing::Combining);
    }
    if let Some(quoted) = clause.in_quotes().filter(|quoted| rest.contains(&quoted.to_lowercase())) {
        return (!data::is_file(quoted)).then(|| Thing::Column(quoted.to_owned()));
    }
    let is_name = match words.as_slice() {
        [one] => !NO_COLUMN.contains(one) && !data::is_file(one) && !one.ends_with('/'),
        [_, _, ..] => {
            words.len() <= 4 && has_columns(rest) && words.iter().all(|word| !NO_COLUMN.contains(word))
        }
        [] => false,
    };
    is_name.then(|| Thing::Column(clause.as_written(&named)))
}
