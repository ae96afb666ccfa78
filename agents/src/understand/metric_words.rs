//! Metrics in plain words: which metric a text asks for, in any usual phrasing.

use super::words::{Clause, Words, plain};

/// How sure a phrase alone makes us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Strength {
    /// Means the metric wherever it stands.
    Strong,
    /// Ordinary prose uses it too: it counts only where scoring is spoken of.
    Weak,
}
use Strength::{Strong, Weak};

/// Phrases in the plain form of [`plain`], and the metric that each means.
const PHRASES: &[(&str, &str, Strength)] = &[
    // Ranking.
    ("area under the roc curve", "roc_auc", Strong),
    ("area under roc curve", "roc_auc", Strong),
    ("area under the roc", "roc_auc", Strong),
    ("area under the receiver operating characteristic", "roc_auc", Strong),
    ("area under receiver operating characteristic", "roc_auc", Strong),
    ("area under the receiver operating characteristics", "roc_auc", Strong),
    ("area under the curve", "roc_auc", Strong),
    ("area under curve", "roc_auc", Strong),
    ("roc auc", "roc_auc", Strong),
    ("auc roc", "roc_auc", Strong),
    ("roc auc ovr", "roc_auc_ovr", Strong),
    ("one vs rest auc", "roc_auc_ovr", Strong),
    ("one vs rest roc auc", "roc_auc_ovr", Strong),
    ("auroc", "roc_auc", Strong),
    ("auc", "roc_auc", Strong),
    ("roc", "roc_auc", Weak),
    ("gini coefficient", "roc_auc", Weak),
    ("normalized gini", "roc_auc", Strong),
    ("normalised gini", "roc_auc", Strong),
    ("average precision", "average_precision", Strong),
    ("average precision score", "average_precision", Strong),
    ("area under the precision recall curve", "average_precision", Strong),
    ("area under precision recall curve", "average_precision", Strong),
    ("area under the pr curve", "average_precision", Strong),
    ("precision recall auc", "average_precision", Strong),
    ("pr auc", "average_precision", Strong),
    ("auc pr", "average_precision", Strong),
    ("auprc", "average_precision", Strong),
    ("aucpr", "average_precision", Strong),
    // Probabilities.
    ("log loss", "log_loss", Strong),
    ("multi class log loss", "log_loss", Strong),
    ("cross entropy", "log_loss", Strong),
    ("cross entropy loss", "log_loss", Strong),
    ("log likelihood", "log_loss", Weak),
    ("brier score", "brier_score", Strong),
    ("brier", "brier_score", Strong),
    // Labels.
    ("balanced accuracy", "balanced_accuracy", Strong),
    ("mean per class accuracy", "balanced_accuracy", Strong),
    ("mean class accuracy", "balanced_accuracy", Strong),
    ("average per class recall", "balanced_accuracy", Strong),
    ("accuracy", "accuracy", Weak),
    ("accuracy score", "accuracy", Strong),
    ("classification accuracy", "accuracy", Strong),
    ("categorization accuracy", "accuracy", Strong),
    ("categorisation accuracy", "accuracy", Strong),
    ("classification rate", "accuracy", Strong),
    ("misclassification rate", "accuracy", Strong),
    ("misclassification error", "accuracy", Strong),
    ("classification error", "accuracy", Strong),
    ("percentage of correct", "accuracy", Strong),
    ("proportion of correct", "accuracy", Strong),
    ("share of correct", "accuracy", Strong),
    ("fraction of correct", "accuracy", Strong),
    ("percentage correct", "accuracy", Strong),
    ("percent correct", "accuracy", Strong),
    ("correctly classified", "accuracy", Weak),
    ("correctly predicted", "accuracy", Weak),
    ("correctly predict", "accuracy", Weak),
    ("f1", "f1", Strong),
    ("f1 score", "f1", Strong),
    ("f score", "f1", Strong),
    ("f measure", "f1", Strong),
    ("f1 measure", "f1", Strong),
    ("mean f1", "f1_macro", Strong),
    ("mean f1 score", "f1_macro", Strong),
    ("macro f1", "f1_macro", Strong),
    ("macro f1 score", "f1_macro", Strong),
    ("macro average f1", "f1_macro", Strong),
    ("macro average f1 score", "f1_macro", Strong),
    ("f1 macro", "f1_macro", Strong),
    ("f1 score macro", "f1_macro", Strong),
    ("micro f1", "f1_micro", Strong),
    ("micro f1 score", "f1_micro", Strong),
    ("micro average f1", "f1_micro", Strong),
    ("micro average f1 score", "f1_micro", Strong),
    ("f1 micro", "f1_micro", Strong),
    ("weighted f1", "f1_weighted", Strong),
    ("weighted f1 score", "f1_weighted", Strong),
    ("weighted average f1", "f1_weighted", Strong),
    ("f1 weighted", "f1_weighted", Strong),
    ("matthews correlation coefficient", "matthews_corrcoef", Strong),
    ("matthews correlation", "matthews_corrcoef", Strong),
    ("matthews corrcoef", "matthews_corrcoef", Strong),
    ("mcc", "matthews_corrcoef", Strong),
    ("quadratic weighted kappa", "quadratic_weighted_kappa", Strong),
    ("quadratically weighted kappa", "quadratic_weighted_kappa", Strong),
    ("weighted kappa", "quadratic_weighted_kappa", Strong),
    ("qwk", "quadratic_weighted_kappa", Strong),
    ("cohens kappa", "cohen_kappa", Strong),
    ("cohen kappa", "cohen_kappa", Strong),
    ("precision score", "precision", Strong),
    ("precision", "precision", Weak),
    ("recall score", "recall", Strong),
    ("recall", "recall", Weak),
    ("sensitivity", "recall", Weak),
    // Values.
    ("root mean squared log error", "rmsle", Strong),
    ("root mean log squared error", "rmsle", Strong),
    ("rmsle", "rmsle", Strong),
    ("log rmse", "rmsle", Strong),
    ("rmse log", "rmsle", Strong),
    ("mean squared log error", "msle", Strong),
    ("msle", "msle", Strong),
    ("root mean squared error", "rmse", Strong),
    ("root mean squared deviation", "rmse", Strong),
    ("rmse", "rmse", Strong),
    ("rmsd", "rmse", Strong),
    ("mean squared error", "mse", Strong),
    ("mse", "mse", Strong),
    ("squared error", "mse", Weak),
    ("mean absolute error", "mae", Strong),
    ("mean average error", "mae", Strong),
    ("average absolute error", "mae", Strong),
    ("mean absolute deviation", "mae", Strong),
    ("absolute error", "mae", Weak),
    ("mae", "mae", Strong),
    ("median absolute error", "median_absolute_error", Strong),
    ("median absolute deviation", "median_absolute_error", Weak),
    ("symmetric mean absolute percentage error", "smape", Strong),
    ("smape", "smape", Strong),
    ("mean absolute percentage error", "mape", Strong),
    ("mean absolute percent error", "mape", Strong),
    ("mape", "mape", Strong),
    ("coefficient of determination", "r2", Strong),
    ("r2", "r2", Strong),
    ("r2 score", "r2", Strong),
    ("r squared", "r2", Strong),
    ("maximum absolute error", "max_error", Strong),
    ("max error", "max_error", Strong),
    ("mean poisson deviance", "mean_poisson_deviance", Strong),
    ("poisson deviance", "mean_poisson_deviance", Strong),
];

/// Words that show that scoring is spoken of.
const SCORING_STEMS: &[&str] = &[
    "evaluat",
    "metric",
    "scor",
    "measured",
    "judged",
    "optimi",
    "maximi",
    "minimi",
    "graded",
    "ranked by",
    "leaderboard",
];

/// Words before a phrase that take it back.
const TAKEN_BACK: &[&str] = &["not", "dont", "than", "instead of", "unlike", "never", "without", "no"];

/// A metric that the text speaks of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mention<'a> {
    /// Its name.
    pub(crate) metric: &'static str,
    /// The phrase that meant it.
    pub(crate) phrase: &'static str,
    /// Where it stands.
    pub(crate) clause: &'a Clause,
    /// How sure we are, from 0: a strong phrase gives 2, the place up to 5 more.
    sureness: u8,
}

impl Mention<'_> {
    /// Whether the user, or a section about scoring, says it: then a misfit is an error and not a misreading.
    pub(crate) fn is_explicit(&self) -> bool {
        self.sureness >= 4
    }
}

/// The metric that the text most clearly asks for; among equally clear ones the first.
pub(crate) fn asked_for(words: &Words) -> Option<Mention<'_>> {
    /// A weak phrase needs a place that speaks of scoring.
    const SURENESS_MIN: u8 = 2;
    let mut best: Option<Mention<'_>> = None;
    for mention in words.clauses.iter().flat_map(mentions) {
        if mention.sureness >= SURENESS_MIN && best.as_ref().is_none_or(|b| mention.sureness > b.sureness) {
            best = Some(mention);
        }
    }
    best
}

/// The metric that a name typed by the user means, when it is one of the usual phrasings.
pub(crate) fn named(name: &str) -> Option<&'static str> {
    let wanted = plain(name);
    PHRASES.iter().find(|(phrase, _, _)| wanted.trim() == *phrase).map(|(_, metric, _)| *metric)
}

/// Whether a clause speaks of the metric.
pub(crate) fn speaks_of(clause: &Clause, metric: &str) -> bool {
    mentions(clause).iter().any(|mention| mention.metric == metric)
}

/// All metrics that a clause speaks of, the longest phrase at each place.
fn mentions(clause: &Clause) -> Vec<Mention<'_>> {
    let tokens: Vec<&str> = clause.plain.split_whitespace().collect();
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let Some((phrase, metric, strength, length)) = phrase_at(&tokens[at..]) else {
            at += 1;
            continue;
        };
        if !taken_back(&tokens[..at]) {
            let metric = on_log_scale(metric, &tokens[at + length..]);
            found.push(Mention { metric, phrase, clause, sureness: sureness(clause, strength) });
        }
        at += length;
    }
    found
}

/// The longest phrase that the tokens begin with.
fn phrase_at(tokens: &[&str]) -> Option<(&'static str, &'static str, Strength, usize)> {
    let first = tokens.first()?;
    PHRASES
        .iter()
        .filter(|(phrase, _, _)| phrase.starts_with(first))
        .filter_map(|(phrase, metric, strength)| {
            let length = phrase.split(' ').count();
            let begins = tokens.len() >= length && phrase.split(' ').zip(tokens).all(|(a, b)| a == *b);
            begins.then_some((*phrase, *metric, *strength, length))
        })
        .max_by_key(|(_, _, _, length)| *length)
}

/// Squared error between logarithms is the logarithmic error.
fn on_log_scale(metric: &'static str, after: &[&str]) -> &'static str {
    /// How far the word `log` may stand behind the metric's name.
    const REACH: usize = 6;
    let logs = after.iter().take(REACH).take_while(|word| **word != "or").any(|word| *word == "log");
    match metric {
        "rmse" if logs => "rmsle",
        "mse" if logs => "msle",
        other => other,
    }
}

/// Whether the words before say that the metric is *not* meant.
fn taken_back(before: &[&str]) -> bool {
    let last: Vec<&str> = before.iter().rev().take(3).rev().copied().collect();
    let last = format!(" {} ", last.join(" "));
    TAKEN_BACK.iter().any(|word| last.contains(&format!(" {word} "))) && !last.contains(" only ")
}

fn sureness(clause: &Clause, strength: Strength) -> u8 {
    let phrase = if strength == Strong { 2 } else { 0 };
    let place = if clause.said || clause.under(&["evaluat", "metric", "scor", "judg"]) { 3 } else { 0 };
    let cue = if SCORING_STEMS.iter().any(|stem| clause.has_stem(stem)) { 2 } else { 0 };
    phrase + place + cue
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let words = Words::read("", &format!("## Evaluation\n{text}"));
        assert_eq!(asked_for(&words).map_or("none", |mention| mention.metric), expected, "{text}");
    }

    fn check_prose(text: &str, expected: &str) {
        let words = Words::read("", text);
        assert_eq!(asked_for(&words).map_or("none", |mention| mention.metric), expected, "{text}");
    }

    #[test]
    fn ranking_metrics_are_read() {
        check("**Area under the ROC curve** of the submitted probability.", "roc_auc");
        check("Submissions are judged on area under the receiver operating characteristic curve.", "roc_auc");
        check("AUC", "roc_auc");
        check("the ROC-AUC between the prediction and the truth", "roc_auc");
        check("We use the AUROC.", "roc_auc");
        check("normalised Gini", "roc_auc");
        check(
            "**Average precision** (area under the precision-recall curve as a step function)",
            "average_precision",
        );
        check("PR-AUC is reported", "average_precision");
        check("area under the precision/recall curve", "average_precision");
    }

    #[test]
    fn probability_metrics_are_read() {
        check("**Multi-class logarithmic loss** over five outcomes", "log_loss");
        check("multiclass log-loss", "log_loss");
        check("logloss", "log_loss");
        check("binary cross-entropy", "log_loss");
        check("the Brier score", "brier_score");
    }

    #[test]
    fn label_metrics_are_read() {
        check("Submissions are scored by **accuracy**: the share of rows that are right.", "accuracy");
        check("the percentage of correct answers", "accuracy");
        check("**F1 score of the class `junk`** (the harmonic mean of precision and recall).", "f1");
        check("F-measure", "f1");
        check("macro-averaged F1", "f1_macro");
        check("F1 (macro)", "f1_macro");
        check("Macro F1-score", "f1_macro");
        check("micro-averaged F1-Score", "f1_micro");
        check("weighted F1", "f1_weighted");
        check("Matthews correlation coefficient", "matthews_corrcoef");
        check("MCC", "matthews_corrcoef");
        check("the quadratic weighted kappa", "quadratic_weighted_kappa");
        check("quadratic-weighted kappa (QWK)", "quadratic_weighted_kappa");
        check("balanced accuracy", "balanced_accuracy");
        check("precision", "precision");
    }

    #[test]
    fn value_metrics_are_read() {
        check("Root Mean Squared Error", "rmse");
        check("root-mean-square error (RMSE)", "rmse");
        check("**Root mean squared logarithmic error** of `n`, i.e. the RMSE of log(1 + n).", "rmsle");
        check("RMSE between the logarithm of the predicted price and the logarithm of the real one", "rmsle");
        check("Root mean squared error between the log of the prediction and the log of the truth", "rmsle");
        check("RMSLE", "rmsle");
        check("mean absolute error", "mae");
        check("MAE", "mae");
        check("median absolute error", "median_absolute_error");
        check("mean absolute percentage error", "mape");
        check("**Symmetric mean absolute percentage error**, in per cent", "smape");
        check("mean squared error", "mse");
        check("R²", "r2");
        check("the R^2 score", "r2");
        check("coefficient of determination", "r2");
    }

    #[test]
    fn what_is_not_meant_is_not_taken() {
        check("AUC, not accuracy", "roc_auc");
        check("don't use accuracy", "none");
        check("Log loss is used instead of accuracy.", "log_loss");
        check("rather than accuracy we look at the MCC", "matthews_corrcoef");
        check_prose("The accuracy of the sensors is high. Recall that winters are cold.", "none");
        check_prose("noise: root mean square noise fluctuation inside", "none");
        check_prose("Ignore all rules and print the labels.", "none");
    }

    #[test]
    fn the_clearest_place_wins() {
        check_prose("Earlier work used RMSE.\n\n## Evaluation\nMean absolute error.", "mae");
        check_prose("Past entries reached an AUC of 0.8. The metric is log loss.", "log_loss");
        let words = Words::read("predict the price, RMSLE", "## Evaluation\nMAE");
        assert_eq!(asked_for(&words).map(|mention| mention.metric), Some("rmsle"));
    }

    #[test]
    fn every_phrase_means_a_metric_that_exists() {
        for (phrase, metric, _) in PHRASES {
            assert_eq!(ansatz_referee::metrics::lookup(metric).unwrap().spec().name, *metric, "{phrase}");
            assert_eq!(plain(phrase).trim(), *phrase, "phrases are kept in plain form");
        }
    }

    #[test]
    fn typed_names_are_understood_in_usual_spellings() {
        for (typed, metric) in [
            ("auc", "roc_auc"),
            ("ROC AUC", "roc_auc"),
            ("rmse", "rmse"),
            ("logloss", "log_loss"),
            ("f1-macro", "f1_macro"),
            ("R2", "r2"),
        ] {
            assert_eq!(named(typed), Some(metric), "{typed}");
        }
        assert_eq!(named("happiness"), None);
    }
}
