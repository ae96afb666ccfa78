//! Clauses that want a model, and clauses that want to know how a model predicts other rows.

use super::clause::{Clause, begins};
use super::orders::{self, PREFERRED};
use crate::questions::holds;

/// Verbs of prediction.
const PREDICT: &[&str] = &["predict", "forecast", "classify", "estimate"];
/// Verbs of a wish for a model.
const WANT: &[&str] = &[
    "train", "build", "make", "create", "fit", "learn", "develop", "need", "want", "like", "get", "give",
    "find",
];
/// Names of models.
const MODELS: &[&str] = &["model", "classifier", "regressor", "predictor", "forecaster"];
/// Phrases that only a request holds.
const PHRASES: &[&str] = &[
    "to predict",
    "that predicts",
    "which predicts",
    "that forecasts",
    "that classifies",
    "that estimates",
    "learn to",
    "figure out which",
    "figure out who",
    "figure out whether",
    "find out which",
    "find out who",
    "find out whether",
];
/// Words that compare a model with the one that there is.
const COMPARED: &[&str] =
    &["better", "smaller", "simpler", "faster", "lighter", "other", "different", "single", "another"];
/// Words beside the file whose rows are to be predicted.
const BESIDE_ROWS: &[&str] = &[
    "all",
    "data",
    "every",
    "everything",
    "examples",
    "file",
    "following",
    "for",
    "from",
    "in",
    "it",
    "more",
    "my",
    "new",
    "of",
    "on",
    "other",
    "our",
    "please",
    "predict",
    "rows",
    "some",
    "test",
    "the",
    "these",
    "this",
    "those",
    "unseen",
    "with",
];
/// Words for rows that the model has not seen.
const NEW: &[&str] = &["new", "other", "more", "unseen", "future", "fresh", "another"];
/// Words for what a file has.
const ROWS: &[&str] =
    &["row", "rows", "data", "file", "files", "table", "examples", "cases", "records", "customers"];

/// Whether a clause that orders something wants a model.
pub(super) fn is_request(plain: &str, has_data: bool) -> bool {
    if orders::target(plain).is_some() {
        return false;
    }
    let words: Vec<&str> = plain.split_whitespace().collect();
    let first = words.first().copied().unwrap_or_default();
    PREDICT.contains(&first) && words.len() > 1
        || PHRASES.iter().any(|phrase| holds(plain, phrase))
        || has_data && matches!(first, "train" | "learn" | "fit")
        || wants_model(&words, has_data)
}

/// Whether the words wish for a model, and not for the one that there is to be otherwise.
fn wants_model(words: &[&str], has_data: bool) -> bool {
    let verb = words.iter().position(|word| WANT.contains(word));
    let noun = words.iter().position(|word| MODELS.contains(word));
    let (Some(verb), Some(noun)) = (verb, noun) else { return false };
    let Some(between) = words.get(verb + 1..noun) else { return false };
    let article = between.iter().position(|word| matches!(*word, "a" | "an" | "some"));
    let kinds = article.and_then(|article| between.get(article + 1..)).unwrap_or_default();
    if kinds
        .iter()
        .any(|word| matches!(*word, "with" | "of" | "for" | "from" | "on" | "in" | "by" | "the" | "to"))
    {
        return false;
    }
    let is_compared = between.iter().any(|word| COMPARED.contains(word));
    let is_preference =
        noun + 1 == words.len() && !kinds.is_empty() && kinds.iter().all(|kind| PREFERRED.contains(kind));
    !is_compared && !is_preference && (article.is_some() || has_data)
}

/// Whether a question asks about what will come of rows, so that a model has to answer it.
pub(super) fn asks_of_rows(clause: &Clause) -> bool {
    let asks = ["who", "which", "whether", "if", "how many", "how much"];
    let comes = ["will", "would", "is going to", "are going to"];
    asks.iter().any(|ask| begins(&clause.plain, ask).is_some())
        && comes.iter().any(|verb| holds(&clause.plain, verb))
        && !["you", "it", "this", "that", "i", "we", "model", "run"]
            .iter()
            .any(|own| holds(&clause.plain, own))
}

/// Whether words say what is to be predicted, as a user's last word on it.
pub(super) fn says_target(plain: &str) -> bool {
    let first = plain.split_whitespace().next().unwrap_or_default();
    PREDICT.contains(&first) || ["to predict", "that predicts"].iter().any(|phrase| holds(plain, phrase))
}

/// Rows that a model which is there is to predict.
pub(super) struct NewRows {
    /// The file that holds them, if one is named.
    pub(super) file: Option<String>,
}

/// The rows that an order wants to be predicted by the model that there is.
pub(super) fn new_rows(clause: &Clause) -> Option<NewRows> {
    let plain = clause.plain.as_str();
    let file = clause.data.first().cloned();
    let small: Vec<String> = clause.data.iter().map(|name| name.to_lowercase()).collect();
    let rest = |text: &str| -> Vec<String> {
        // A file's name may hold spaces.
        let text = small.iter().fold(text.to_owned(), |text, name| text.replace(name, " "));
        text.split_whitespace().map(str::to_owned).collect()
    };
    let is_rows = |text: &str| rest(text).iter().all(|word| BESIDE_ROWS.contains(&word.as_str()));
    let has_object = |text: &str| file.is_some() || NEW.iter().any(|new| holds(text, new));
    let predicted = PREDICT.iter().chain(&["score"]).find_map(|verb| begins(plain, verb));
    let applied = ["apply", "use", "run", "put"].iter().find_map(|verb| begins(plain, verb));
    let applied = applied.and_then(|rest| {
        let models = [
            "the model on",
            "the model to",
            "the model for",
            "my model on",
            "this model on",
            "it on",
            "it to",
        ];
        models.iter().find_map(|model| begins(rest, model))
    });
    let made = ["predictions for", "predictions on", "predictions of"]
        .iter()
        .find_map(|phrase| plain.split_once(&format!("{phrase} ")).map(|(_, rest)| rest));
    let is_meant =
        [predicted, applied, made].into_iter().flatten().any(|rest| has_object(rest) && is_rows(rest));
    is_meant.then_some(NewRows { file })
}

/// The same of a question: "how do I predict new rows?"
pub(super) fn asks_new_rows(clause: &Clause) -> Option<NewRows> {
    let any = |words: &[&str]| words.iter().any(|word| holds(&clause.plain, word));
    let is_use = any(&["predict", "use", "apply", "score", "run", "make predictions", "get predictions"]);
    let has_object = !clause.data.is_empty() || any(NEW) && any(ROWS);
    let is_future = any(&["accurate", "good", "well", "sure", "reliable", "trust"]);
    (is_use && has_object && !is_future).then(|| NewRows { file: clause.data.first().cloned() })
}
