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

/// Questions about what was measured and found.
pub fn about_evidence(plain: &str) -> Option<Question> {
    let has = |words: &[&str]| words.iter().any(|word| holds(plain, word));
    let asks = is_question(plain)
        || [
            "which", "any", "are", "is", "can", "could", "should", "would", "will", "did", "do", "does",
            "tell me", "give me", "who",
        ]
        .iter()
        .any(|cue| plain.starts_with(&format!("{cue} ")));
    if !asks {
        return None;
    }
    let of_columns =
        has(&["column", "columns", "feature", "features", "variable", "variables", "fields", "inputs"]);
    let left_out = has(&[
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
    ]);
    if left_out
        && (is_question(plain) || of_columns || has(&["leak", "leaks", "leakage", "anything", "something"]))
    {
        return Some(Question::Dropped);
    }
    if (of_columns || has(&["what"]))
        && has(&[
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
        ])
    {
        return Some(Question::Columns);
    }
    if has(&[
        "worth",
        "more time help",
        "more time bring",
        "keep going",
        "continue",
        "go on longer",
        "longer help",
        "improve with",
    ]) {
        return Some(Question::Worth);
    }
    if has(&[
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
    ]) {
        return Some(Question::Left);
    }
    if has(&[
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
    ]) {
        return Some(Question::Sure);
    }
    if has(&["baseline", "default", "guessing", "better than", "gain", "improvement", "compared"]) {
        return Some(Question::Gain);
    }
    if has(&["data", "dataset", "file", "files", "table"])
        && has(&[
            "wrong", "problem", "problems", "issue", "issues", "odd", "strange", "quality", "bad", "clean",
            "dirty", "missing", "warnings",
        ])
    {
        return Some(Question::Data);
    }
    if has(&["warnings", "anything odd", "anything strange"]) {
        return Some(Question::Data);
    }
    if has(&["predictions", "predicted values", "the answers", "first rows"])
        && has(&["show", "see", "are", "give me", "what", "look"])
    {
        return Some(Question::Predictions);
    }
    let of_task = has(&[
        "the target",
        "the metric",
        "the task",
        "are you predicting",
        "do you predict",
        "you scoring",
        "it scored",
        "is scored",
    ]);
    of_task.then_some(Question::Task)
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
