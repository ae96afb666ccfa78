//! What of the user's own words no rule has read: a question for a language model, where there is one.

use super::nearest::squash;
use super::words::{Clause, Words, parts, plain};
use super::{columns, metric_words, problem, times, wishes};

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
    "hey",
    "hi",
    "yes",
    "no",
    "ok",
    "okay",
    "now",
    "here",
    "some",
    "very",
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
    "help",
    "find",
    "figure",
    "out",
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
    "classifier",
    "regressor",
    "predictor",
    "machine",
    "learning",
    "problem",
    "task",
    "binary",
    "multiclass",
    "probability",
    "probabilities",
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
    "accurate",
    "accurately",
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

/// Parts of the user's words in which no rule has read anything. `target` is the column that the words name, if they do;
/// `known` are names that say nothing new: columns, and words of the data's own name.
pub(crate) fn unread(said: &str, target: Option<&str>, known: &[&str]) -> Vec<String> {
    let known: Vec<String> = known.iter().map(|name| squash(name)).collect();
    let words = Words::read(said, "");
    // What is said about the calendar takes a whole sentence.
    let sentences = words.clauses.iter().filter(|clause| !columns::parts_of_calendar(clause));
    sentences.flat_map(|clause| parts(&clause.raw)).filter(|part| !is_read(part, target, &known)).collect()
}

fn is_read(part: &str, target: Option<&str>, known: &[String]) -> bool {
    // Beside the target a few words may stand that only say more about it.
    let spare = if target.is_some_and(|target| names(part, target)) { 4 } else { 0 };
    rest(part, known) <= spare || says_something(&Words::read(part, ""))
}

/// Whether some rule reads something in the words.
fn says_something(words: &Words) -> bool {
    let is_statement = |clause: &Clause| columns::says_something(clause) || problem::names_positive(clause);
    metric_words::asked_for(words).is_some()
        || times::budget(words) != times::SaidBudget::default()
        || wishes::constraints(words) != ansatz_core::task::Constraints::default()
        || words.clauses.iter().any(is_statement)
}

/// Whether a part names a column, as a word or in several: `rent price` for `RentPrice`.
fn names(part: &str, column: &str) -> bool {
    /// Words that a column name may be written in.
    const NAME_WORDS: usize = 4;
    let wanted = squash(column);
    let words: Vec<String> = part.split_whitespace().map(squash).collect();
    (0..words.len()).any(|start| {
        let longest = NAME_WORDS.min(words.len() - start);
        (1..=longest).any(|length| words[start..start + length].concat() == wanted)
    })
}

/// How many words are left beside the plain ones and the names of columns and files.
fn rest(part: &str, known: &[String]) -> usize {
    let is_file = |word: &str| {
        word.contains(['/', ':'])
            || word
                .rsplit_once('.')
                .is_some_and(|(_, end)| end.chars().all(char::is_alphanumeric) && !end.is_empty())
    };
    let kept: Vec<&str> = part.split_whitespace().filter(|word| !is_file(word)).collect();
    let text = plain(&kept.join(" "));
    let is_known = |word: &&str| {
        PLAIN.contains(word)
            || known.iter().any(|name| name == word)
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
        check("predict left, under 5 MB, 2 hrs, 1 hour and 30 minutes", Some("left"), &[]);
        check(
            "the first ten days of each month are in the training file, the others in the test file",
            None,
            &[],
        );
        check("left is only in the training file; gold is the positive class", None, &[]);
        check("train a model on openml:31, please", None, &[]);
        check(
            "predict plan for every odd new yearly member",
            Some("y"),
            &["predict plan for every odd new yearly member"],
        );
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
        check(
            "predict left, one per region, on the GPU, drop a and joined, kappa",
            Some("left"),
            &["one per region", "on the GPU", "drop a", "kappa"],
        );
        check("predict left, another ten minutes", Some("left"), &["another ten minutes"]);
        check("predict left so that it fits on a watch", Some("left"), &["it fits on a watch"]);
    }
}
