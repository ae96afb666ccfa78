//! Questions in ordinary words: which of the closed list each is. Only clauses that ask come here.

use crate::intent::Question;
use ansatz_agents::understand::metric_in;

/// What is asked; `None` when no rule reads it.
pub fn question(plain: &str) -> Option<Question> {
    let rest = plain.strip_prefix("about ");
    about_evidence(plain)
        .or_else(|| about_progress(plain))
        .or_else(|| about_model(plain))
        .or_else(|| metric_in(plain).map(|_| Question::Sure))
        .or_else(|| rest.and_then(about_noun))
}

/// Whether a text holds a phrase as whole words.
pub fn holds(text: &str, phrase: &str) -> bool {
    format!(" {text} ").contains(&format!(" {phrase} "))
}

/// Names of what tables have.
const COLUMNS: &[&str] =
    &["column", "columns", "feature", "features", "variable", "variables", "fields", "inputs"];
/// Words for what is not used.
const LEFT_OUT: &[&str] = &[
    "drop",
    "dropped",
    "ignore",
    "ignored",
    "leave out",
    "left out",
    "remove",
    "removed",
    "excluded",
    "not used",
    "unused",
    "throw away",
    "leak",
    "leaks",
    "leakage",
    "leaked",
];
/// Words for what a column is worth.
const MATTER: &[&str] = &[
    "matter",
    "matters",
    "important",
    "importance",
    "drive",
    "drives",
    "influence",
    "strongest",
    "useful",
    "useless",
    "irrelevant",
    "predictive",
    "best",
    "top",
];
/// Those of them that mean columns, whatever else is said.
const OF_COLUMNS: &[&str] = &["matter", "matters", "important", "importance"];
/// Words that begin a question about what a column is worth, where none is named as one.
const OF_WORTH: &[&str] = &["how", "does", "do"];
/// Words for what may be odd about data.
const ODD: &[&str] = &[
    "wrong", "problem", "problems", "issue", "issues", "odd", "strange", "quality", "bad", "clean", "dirty",
    "missing", "warnings", "enough", "ok", "okay", "fine", "good",
];
/// Words for data.
const DATA: &[&str] = &["data", "dataset", "file", "files", "table", "rows", "examples"];
/// Phrases that mean one question wherever they stand in one; the first that is there counts.
const PHRASES: &[(Question, &[&str])] = &[
    (
        Question::Left,
        &[
            "how long still",
            "how much longer",
            "much more time",
            "time left",
            "time is left",
            "how long will",
            "how long until",
            "how long does",
            "be done",
            "be ready",
            "be finished",
            "eta",
            "how many minutes",
            "much time",
        ],
    ),
    (
        Question::Worth,
        &[
            "worth",
            "more time",
            "run longer",
            "be better",
            "get better",
            "improve",
            "keep going",
            "keep training",
            "continue",
            "carry on",
            "go on",
            "longer help",
            "more minutes help",
            "enough",
            "should i stop",
            "should we stop",
            "should i submit",
            "should we submit",
            "can i stop",
            "can we stop",
            "stop now",
            "submit now",
        ],
    ),
    (
        Question::Sure,
        &[
            "sure",
            "certain",
            "confident",
            "confidence",
            "trust",
            "reliable",
            "interval",
            "how accurate",
            "how good",
            "how well",
            "new data",
            "margin",
            "error bars",
            "overfit",
            "overfitted",
            "overfitting",
            "any good",
            "is it good",
            "the score",
            "the result",
            "the results",
        ],
    ),
    (Question::Gain, &["baseline", "default", "guessing", "better than", "gain", "improvement", "compared"]),
];
/// What ends, and can be waited for.
const ENDS: &[&str] =
    &["submit", "stop", "end", "ends", "finish", "finished", "done", "ready", "over", "complete"];
/// Words for the task itself.
const TASK: &[&str] = &[
    "the target",
    "the metric",
    "the task",
    "are you predicting",
    "do you predict",
    "you scoring",
    "it scored",
    "is scored",
];
/// Words for what a model is like.
const LIKE: &[&str] = &[
    "interpretable",
    "explainable",
    "readable",
    "understandable",
    "transparent",
    "can read",
    "read it",
    "read the model",
    "black box",
    "small",
    "big",
    "large",
    "size",
    "heavy",
    "fast",
    "slow",
    "quick",
    "latency",
    "what model",
    "which model",
    "kind of model",
    "type of model",
];

/// Questions about what was measured and found.
fn about_evidence(plain: &str) -> Option<Question> {
    let has = |words: &[&str]| words.iter().any(|word| holds(plain, word));
    let starts = |words: &[&str]| words.iter().any(|word| plain.starts_with(&format!("{word} ")));
    let (of_columns, of_data) = (has(COLUMNS), has(DATA));
    if has(LEFT_OUT) {
        return Some(Question::Dropped);
    }
    let is_worth = has(&["drive", "drives", "influence", "useful"]) && starts(OF_WORTH);
    if has(OF_COLUMNS) || of_columns && has(MATTER) || is_worth {
        return Some(Question::Columns);
    }
    if of_data && has(&["enough"]) {
        return Some(Question::Data);
    }
    if has(&["a prediction", "one prediction", "each prediction"]) && has(&["long", "fast", "take"]) {
        return Some(Question::Model);
    }
    if starts(&["when"]) && has(ENDS) {
        return Some(Question::Left);
    }
    if let Some((question, _)) = PHRASES.iter().find(|(_, phrases)| has(phrases)) {
        return Some(question.clone());
    }
    if of_data && has(ODD) || has(&["warnings", "anything odd", "anything strange"]) {
        return Some(Question::Data);
    }
    if has(&["predictions", "predicted values", "the answers", "first rows"]) {
        return Some(Question::Predictions);
    }
    has(TASK).then_some(Question::Task)
}

/// Questions about how things stand.
fn about_progress(plain: &str) -> Option<Question> {
    let has = |words: &[&str]| words.iter().any(|word| holds(plain, word));
    let of_time = has(&["minute", "minutes", "hour", "hours", "seconds"]);
    if of_time && has(&["use", "used", "take", "took", "taken", "spend", "spent", "need", "needed"]) {
        return Some(Question::Status);
    }
    let of_cost = has(&["cost", "costs", "spent", "spend", "expensive", "how many tokens", "bill"]);
    if of_cost || has(&["price"]) && !has(COLUMNS) {
        return Some(Question::Cost);
    }
    if has(&[
        "leaderboard",
        "all models",
        "all the models",
        "all candidates",
        "ranking",
        "everything you tried",
        "other models",
        "how many models",
        "how many candidates",
        "did you try",
        "have you tried",
    ]) {
        return Some(Question::Leaderboard);
    }
    let of_files = has(&["submission", "files", "file", "artifacts", "download", "saved", "report"]);
    if of_files || plain.starts_with("where") {
        return Some(Question::Files);
    }
    if has(&["best", "winning", "leading", "in the lead", "ahead"]) {
        return Some(Question::Best);
    }
    if (has(&["plan"]) && !has(&["to", "i"])) || has(&["going to do", "will you do", "would you do"]) {
        return Some(Question::Plan);
    }
    let status = [
        "status",
        "progress",
        "how far",
        "how is it going",
        "how's it going",
        "how long",
        "are you done",
        "are we done",
        "is it done",
        "finished",
        "still running",
        "what are you doing",
        "how are we doing",
        "any news",
        "what's happening",
        "what is happening",
    ];
    has(&status).then_some(Question::Status)
}

/// Questions about what the model is like.
fn about_model(plain: &str) -> Option<Question> {
    let has = |words: &[&str]| words.iter().any(|word| holds(plain, word));
    (has(LIKE) && !has(DATA) && !has(COLUMNS)).then_some(Question::Model)
}

/// Questions about a thing as such: "tell me about the data".
pub fn about_noun(noun: &str) -> Option<Question> {
    let has = |words: &[&str]| words.iter().any(|word| holds(noun, word));
    if has(COLUMNS) {
        return Some(Question::Columns);
    }
    if has(DATA) {
        return Some(Question::Data);
    }
    has(&["model", "solution"]).then_some(Question::Model)
}

/// What "why …" asks about.
pub fn why(plain: &str) -> Option<String> {
    let rest = plain.strip_prefix("why ").or((plain == "why").then_some(""))?;
    let filler = [
        "is", "are", "was", "were", "did", "do", "does", "you", "the", "a", "it", "so", "not", "this",
        "that", "column", "model", "use", "used", "using", "best", "better", "drop", "dropped", "choose",
        "chosen", "chose", "pick", "winning", "leading", "result", "score", "ahead", "leave", "left", "out",
        "bad", "low", "good", "don't", "didn't", "isn't", "aren't", "doesn't", "wasn't",
    ];
    let subject = rest
        .split_whitespace()
        .map(|word| word.trim_matches(['"', '\'', '`']))
        .find(|word| !filler.contains(word));
    Some(subject.unwrap_or("result").to_owned())
}
