//! What of the user's own words no rule has read: a question for a language model, where there is one.

use super::metric_words;
use super::nearest::squash;
use super::wishes;
use super::words::{Words, plain};

/// Words that join parts of a request which can be read by themselves.
const JOINTS: &[&str] = &[
    " and ",
    " but ",
    " so that ",
    " such that ",
    " because ",
    " where ",
    " while ",
    " it should ",
    " it must ",
    " it has to ",
];

/// Words that say nothing by themselves, or that a request for a model is made of.
const PLAIN: &[&str] = &[
    "a",
    "an",
    "the",
    "this",
    "that",
    "these",
    "those",
    "my",
    "our",
    "your",
    "their",
    "its",
    "it",
    "i",
    "we",
    "you",
    "me",
    "us",
    "please",
    "thanks",
    "thank",
    "hello",
    "hi",
    "can",
    "could",
    "would",
    "will",
    "shall",
    "should",
    "must",
    "may",
    "might",
    "is",
    "are",
    "be",
    "was",
    "were",
    "have",
    "has",
    "do",
    "does",
    "to",
    "of",
    "in",
    "on",
    "at",
    "for",
    "from",
    "with",
    "by",
    "as",
    "into",
    "about",
    "and",
    "or",
    "then",
    "also",
    "so",
    "just",
    "want",
    "need",
    "like",
    "try",
    "know",
    "tell",
    "give",
    "get",
    "use",
    "using",
    "used",
    "take",
    "predict",
    "prediction",
    "predictions",
    "predicting",
    "forecast",
    "forecasts",
    "estimate",
    "estimates",
    "classify",
    "classification",
    "regression",
    "train",
    "training",
    "learn",
    "build",
    "make",
    "create",
    "model",
    "models",
    "column",
    "columns",
    "target",
    "label",
    "field",
    "variable",
    "metric",
    "score",
    "scored",
    "scoring",
    "data",
    "dataset",
    "table",
    "file",
    "files",
    "csv",
    "tsv",
    "parquet",
    "rows",
    "row",
    "test",
    "best",
    "good",
    "better",
    "possible",
    "well",
    "value",
    "values",
    "each",
    "every",
    "all",
    "any",
    "what",
    "which",
    "who",
    "whether",
    "if",
    "how",
    "time",
    "run",
    "s",
    "t",
    "ll",
    "d",
    "m",
    "re",
    "ve",
];

/// Parts of a sentence that can be read by themselves.
pub(crate) fn parts(said: &str) -> Vec<String> {
    let mut text = format!(" {} ", said.split_whitespace().collect::<Vec<_>>().join(" "));
    for joint in JOINTS {
        let lower = text.to_ascii_lowercase();
        let mut cut = String::with_capacity(text.len());
        let mut from = 0;
        for (at, _) in lower.match_indices(joint) {
            if at >= from {
                cut.push_str(&text[from..at]);
                cut.push_str(" ; ");
                from = at + joint.len() - 1;
            }
        }
        cut.push_str(&text[from..]);
        text = cut;
    }
    let mut parts = vec![String::new()];
    for word in text.split_whitespace() {
        let bare = word.trim_end_matches([',', ';', '.', '!', '?', ':']);
        if let Some(part) = parts.last_mut() {
            if !part.is_empty() && !bare.is_empty() {
                part.push(' ');
            }
            part.push_str(bare);
        }
        if bare.len() < word.len() {
            parts.push(String::new());
        }
    }
    parts.retain(|part| !part.is_empty());
    parts
}

/// Parts of the user's words in which no rule has read anything. `target` is the column that the words name, if they do.
pub(crate) fn unread(said: &str, target: Option<&str>, columns: &[&str]) -> Vec<String> {
    let known: Vec<String> = columns.iter().map(|column| squash(column)).collect();
    parts(said).into_iter().filter(|part| !is_read(part, target, &known)).collect()
}

fn is_read(part: &str, target: Option<&str>, columns: &[String]) -> bool {
    let words = Words::read(part, "");
    let wished = wishes::constraints(&words);
    let says_something = metric_words::asked_for(&words).is_some()
        || wishes::budget(&words) != super::SaidBudget::default()
        || wished != ansatz_core::task::Constraints::default();
    // Beside the target a few words may stand that only say more about it.
    let spare = if target.is_some_and(|target| names(part, target)) { 4 } else { 0 };
    says_something || rest(part, columns) <= spare
}

fn names(part: &str, column: &str) -> bool {
    squash(part).contains(&squash(column))
}

/// How many words are left beside the plain ones and the names of columns and files.
fn rest(part: &str, columns: &[String]) -> usize {
    let is_file = |word: &str| {
        word.contains('/')
            || word
                .rsplit_once('.')
                .is_some_and(|(_, end)| end.chars().all(char::is_alphanumeric) && !end.is_empty())
    };
    let kept: Vec<&str> = part.split_whitespace().filter(|word| !is_file(word)).collect();
    let text = plain(&kept.join(" "));
    let is_known = |word: &&str| {
        PLAIN.contains(word)
            || columns.iter().any(|column| column == word)
            || word.chars().all(|c| c.is_ascii_digit())
    };
    text.split_whitespace().filter(|word| !is_known(word)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(said: &str, target: Option<&str>, expected: &[&str]) {
        assert_eq!(unread(said, target, &["left", "plan", "RentPrice", "joined"]), expected, "{said}");
    }

    #[test]
    fn what_rules_read_is_no_question() {
        check("predict left in data.csv, AUC, five minutes", Some("left"), &[]);
        check("predict RentPrice, RMSLE, at most 50 ms per prediction", Some("RentPrice"), &[]);
        check("please train a model on my data and use 20 trials", None, &["use 20 trials"]);
        check("it has to answer in 5 ms", None, &[]);
        check("an interpretable model, please", None, &[]);
        check("predict the rent price of each flat", Some("RentPrice"), &[]);
        check("", None, &[]);
    }

    #[test]
    fn odd_words_are_a_question() {
        check("find the members that quit", None, &["find the members that quit"]);
        check(
            "predict left, small enough for a phone and judged by how well the riskiest rank",
            Some("left"),
            &["small enough for a phone", "judged by how well the riskiest rank"],
        );
        check("predict left so that it fits on a watch", Some("left"), &["it fits on a watch"]);
    }
}
