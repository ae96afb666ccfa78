//! The data that a sentence names: files, folders, and sources that lie elsewhere; and which of several are trained on.

use super::clause::{Clause, Mood, Word};
use super::request;

/// Endings of files that hold tables.
const ENDINGS: &[&str] = &[".csv", ".tsv", ".parquet", ".csv.gz", ".tsv.gz", ".txt", ".arff", ".zip"];
/// How names of data that lie elsewhere begin.
const ELSEWHERE: &[&str] = &["http://", "https://", "openml:", "hf:"];
/// Words before the name of data.
const PLACES: &[&str] =
    &["in", "on", "from", "with", "using", "of", "is", "are", "file", "file:", "folder", "use", "data:"];
/// Words in the names of files whose rows are to be predicted, or that show how.
const NOT_TRAINED_ON: &[&str] = &["test", "tests", "testset", "submission", "sample"];
/// Words that say nothing beside the name of data.
const BESIDE: &[&str] = &[
    "a", "another", "are", "at", "be", "called", "can", "change", "csv", "data", "dataset", "file", "files",
    "find", "folder", "for", "from", "have", "here", "here's", "i", "in", "instead", "is", "it", "it's",
    "lie", "lies", "load", "located", "look", "me", "my", "named", "new", "now", "of", "on", "open", "other",
    "our", "please", "read", "rows", "set", "should", "stored", "switch", "table", "take", "test", "that",
    "the", "there", "there's", "this", "to", "train", "training", "try", "under", "use", "using", "we",
    "with", "work", "you",
];

/// Whether a word is the name of a file that holds a table.
pub(super) fn is_file(word: &str) -> bool {
    let small = word.to_lowercase();
    ENDINGS.iter().any(|ending| small.ends_with(ending) && small.len() > ending.len())
}

/// The data that words name. `is_path` says whether a word names a file or folder that is there.
pub(super) fn named(words: &[Word], is_path: &dyn Fn(&str) -> bool) -> Vec<String> {
    let is_named = |(at, word): &(usize, &Word)| {
        let small = word.bare.to_lowercase();
        let is_elsewhere =
            || ELSEWHERE.iter().any(|start| small.starts_with(start) && small.len() > start.len());
        // Ordinary words may be names of folders as well: they name data only where a place is spoken of.
        let is_placed = || {
            let before = at.checked_sub(1).and_then(|before| words.get(before));
            before.is_some_and(|before| PLACES.contains(&before.bare.to_lowercase().as_str()))
                && is_path(&word.bare)
        };
        small.ends_with('/') && small.len() > 1 || is_elsewhere() || is_file(&small) || is_placed()
    };
    words.iter().enumerate().filter(is_named).map(|(_, word)| word.bare.clone()).collect()
}

/// The data of a sentence.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Files {
    /// What is trained on.
    pub(super) main: Option<String>,
    /// What nothing is done with.
    pub(super) odd: Vec<String>,
}

impl Files {
    /// The data that orders and requests name: the first that can be trained on. A test file beside it is found anyway.
    pub(super) fn of(clauses: &[Clause]) -> Self {
        let is_meant = |clause: &&Clause| {
            matches!(clause.mood, Mood::Request | Mood::Order) && request::new_rows(clause).is_none()
        };
        let all: Vec<&String> = clauses.iter().filter(is_meant).flat_map(|clause| &clause.data).collect();
        let main = all.iter().find(|name| !is_for_testing(name)).or(all.first()).map(|name| (*name).clone());
        let Some(main) = main else { return Self::default() };
        let is_found = |name: &str| is_for_testing(name) && folder(name) == folder(&main);
        let odd = all.into_iter().filter(|name| **name != main && !is_found(name)).cloned().collect();
        Self { main: Some(main), odd }
    }
}

fn folder(name: &str) -> &str {
    name.rsplit_once(['/', '\\']).map_or("", |(folder, _)| folder)
}

fn is_for_testing(name: &str) -> bool {
    let file = name.rsplit(['/', '\\']).next().unwrap_or_default().to_lowercase();
    is_file(&file) && file.split(|c: char| !c.is_alphanumeric()).any(|word| NOT_TRAINED_ON.contains(&word))
}

/// Whether a clause says nothing but what the data are.
pub(super) fn is_all(clause: &Clause) -> bool {
    let is_plain = |word: &Word| {
        let small = word.bare.to_lowercase();
        BESIDE.contains(&small.trim_end_matches(':')) || clause.data.contains(&word.bare)
    };
    clause.words.iter().all(is_plain)
}
