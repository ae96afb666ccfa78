//! Questions in ordinary words: which of the closed list each is.

use crate::intent::Question;

/// What is asked; `None` when nothing is.
pub fn question(plain: &str) -> Option<Question> {
    about_evidence(plain).or_else(|| about_progress(plain))
}

/// Whether words begin like a question.
pub fn is_question(plain: &str) -> bool {
    ["what", "how", "why", "where", "when", "which model", "which one is", "show"]
        .iter()
        .any(|cue| plain.starts_with(cue))
}

/// Whether a text holds a phrase as whole words.
pub fn holds(text: &str, phrase: &str) -> bool {
    format!(" {text} ").contains(&format!(" {phrase} "))
}

/// Questions about how things stand.
fn about_progress(plain: &str) -> Option<Question> {
    let has = |words: &[&str]| words.iter().any(|word| holds(plain, word));
    if has(&["cost", "costs", "spent", "spend", "expensive", "how many tokens", "price", "bill"])
        && is_question(plain)
    {
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
    ]) {
        return Some(Question::Leaderboard);
    }
    if has(&["submission", "files", "file", "artifacts", "download"])
        && (is_question(plain) || plain.starts_with("give me") || plain.starts_with("get me"))
    {
        return Some(Question::Files);
    }
    if plain.starts_with("where") {
        return Some(Question::Files);
    }
    if has(&["best", "winning", "leading", "in the lead", "ahead"])
        && (is_question(plain) || plain.starts_with("which"))
    {
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
        "still running",
        "what are you doing",
        "how are we doing",
    ];
    has(&status).then_some(Question::Status)
}

/// Words that questions begin with beside those of [`is_question`].
const CUES: &[&str] = &[
    "which", "any", "are", "is", "can", "could", "should", "would", "will", "did", "do", "does", "tell me",
    "give me", "who",
];
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
    "predictive",
];
/// Words for what may be odd about data.
const ODD: &[&str] = &[
    "wrong", "problem", "problems", "issue", "issues", "odd", "strange", "quality", "bad", "clean", "dirty",
    "missing", "warnings",
];
/// Phrases that mean one question wherever they stand in one; the first that is there counts.
const PHRASES: &[(Question, &[&str])] = &[
    (
        Question::Worth,
        &[
            "worth",
            "more time help",
            "more time bring",
            "keep going",
            "continue",
            "go on longer",
            "longer help",
            "improve with",
        ],
    ),
    (
        Question::Left,
        &[
            "how long still",
            "how much longer",
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
            "new data",
            "margin",
            "error bars",
            "overfit",
            "overfitted",
            "overfitting",
        ],
    ),
    (Question::Gain, &["baseline", "default", "guessing", "better than", "gain", "improvement", "compared"]),
];
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

/// Questions about what was measured and found.
pub fn about_evidence(plain: &str) -> Option<Question> {
    let has = |words: &[&str]| words.iter().any(|word| holds(plain, word));
    let asks = is_question(plain) || CUES.iter().any(|cue| plain.starts_with(&format!("{cue} ")));
    if !asks {
        return None;
    }
    let of_columns = has(COLUMNS);
    let is_leak = has(&["leak", "leaks", "leakage", "anything", "something"]);
    if has(LEFT_OUT) && (is_question(plain) || of_columns || is_leak) {
        return Some(Question::Dropped);
    }
    if (of_columns || has(&["what"])) && has(MATTER) {
        return Some(Question::Columns);
    }
    if let Some((question, _)) = PHRASES.iter().find(|(_, phrases)| has(phrases)) {
        return Some(question.clone());
    }
    let of_data = has(&["data", "dataset", "file", "files", "table"]) && has(ODD);
    if of_data || has(&["warnings", "anything odd", "anything strange"]) {
        return Some(Question::Data);
    }
    let of_predictions = has(&["predictions", "predicted values", "the answers", "first rows"]);
    if of_predictions && has(&["show", "see", "are", "give me", "what", "look"]) {
        return Some(Question::Predictions);
    }
    has(TASK).then_some(Question::Task)
}

/// What "why …" asks about.
pub fn why(plain: &str) -> Option<String> {
    let rest = plain.strip_prefix("why ").or((plain == "why").then_some(""))?;
    let filler = [
        "is", "are", "was", "were", "did", "do", "does", "you", "the", "a", "it", "so", "not", "this",
        "that", "column", "model", "use", "used", "using", "best", "better", "drop", "dropped", "choose",
        "chosen", "chose", "pick", "winning", "leading", "result", "score", "ahead", "leave", "left", "out",
        "bad", "low", "good",
    ];
    let subject = rest
        .split_whitespace()
        .map(|word| word.trim_matches(['"', '\'', '`']))
        .find(|word| !filler.contains(word));
    Some(subject.unwrap_or("result").to_owned())
}
