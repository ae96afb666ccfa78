//! The sentences that come first: what was dropped as a leak, how good the model is and how sure that is, what it gained,
//! whether going on would help. Every word comes from the result; nothing is claimed that its interval does not carry.

use crate::number::{better, count, counted, decimals, fixed, metric, score, seconds, signed};
use crate::text;
use ansatz_core::outcome::{Baseline, DroppedColumn, Holdout, RunResult, RunStatus, TaskSummary};

/// Dropped columns named one by one; the others are counted.
const LEAKS_NAMED_MAX: usize = 12;

/// The first thing that a person reads about a finished run. Every text is one harmless line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Headline {
    /// How the run ended.
    pub status: &'static str,
    /// What was learnt, in a sentence.
    pub task: Option<String>,
    /// One sentence per column that was dropped as a leak.
    pub leaks: Vec<String>,
    /// The judged score with its interval, or what there is instead.
    pub score: Option<String>,
    /// What was gained over the reference, or that nothing clear was.
    pub lift: Option<String>,
    /// Where a fresh test would probably land.
    pub expected: Option<String>,
    /// Whether more time is worth it.
    pub continuing: Option<String>,
    /// Time, trials, and when the first valid result was there.
    pub spent: String,
    /// What was delivered.
    pub delivered: Option<String>,
}

impl Headline {
    /// The sentences for a result.
    pub fn of(result: &RunResult) -> Self {
        let digits = digits(result);
        Self {
            status: status(result.status),
            task: result.task.as_ref().map(task),
            leaks: leaks(&result.dropped),
            score: score_sentence(result, digits),
            lift: result.baseline.as_ref().and_then(|baseline| lift(baseline, digits)),
            expected: result.expected.as_ref().map(|expected| {
                let (low, high) = (fixed(expected.low, digits), fixed(expected.high, digits));
                format!("{low} to {high} on a test of {}", counted(expected.rows, "row", "rows"))
            }),
            continuing: result
                .worth_continuing
                .as_deref()
                .map(|text| text::visible(text, text::MESSAGE_WIDTH)),
            spent: spent(result),
            delivered: result.best.as_ref().map(|best| {
                let trained = match best.trained.as_str() {
                    "fold_bagged" => "the models of all folds together".into(),
                    "refit_all_rows" => "fitted again on all rows".into(),
                    other => text::visible(&other.replace('_', " "), text::NAME_WIDTH),
                };
                let (candidate, kind) = (&best.candidate, &best.kind);
                let candidate = text::visible(candidate, text::NAME_WIDTH);
                let kind = text::visible(kind, text::NAME_WIDTH);
                let named =
                    if candidate.contains(&kind) { candidate } else { format!("{candidate} ({kind})") };
                if trained.is_empty() { named } else { format!("{named}, {trained}") }
            }),
        }
    }
}

/// Whether a column was dropped because it gives the answer away.
pub fn is_leak(dropped: &DroppedColumn) -> bool {
    dropped.reason == "leak" || dropped.reason.starts_with("leak_") || dropped.reason == "target_copy"
}

/// The sentence that names a leak.
pub fn leak(dropped: &DroppedColumn) -> String {
    format!("{}: {}", text::name(&dropped.column), text::visible(&dropped.evidence, text::MESSAGE_WIDTH))
}

/// How a run ended, in a word or two.
pub fn status(status: RunStatus) -> &'static str {
    match status {
        RunStatus::Succeeded => "finished",
        RunStatus::Partial => "finished, but a limit cut a part of it",
        RunStatus::Failed => "failed",
        RunStatus::Interrupted => "stopped by you",
    }
}

/// Decimals that all scores of a result are shown with.
pub fn digits(result: &RunResult) -> usize {
    match (&result.holdout, &result.baseline) {
        (Some(holdout), _) => decimals(holdout.low, holdout.high),
        (None, Some(baseline)) => decimals(baseline.low, baseline.high),
        (None, None) => 4,
    }
}

fn task(task: &TaskSummary) -> String {
    let problem = match task.problem.as_str() {
        "binary" => "two classes",
        "multiclass" => "several classes",
        "regression" => "a number",
        other => other,
    };
    format!(
        "predict {} ({}), scored by {}, {}",
        text::name(&task.target),
        text::visible(problem, text::NAME_WIDTH),
        metric(&task.metric),
        better(task.higher_is_better)
    )
}

fn leaks(dropped: &[DroppedColumn]) -> Vec<String> {
    let all: Vec<_> = dropped.iter().filter(|column| is_leak(column)).collect();
    let mut lines: Vec<String> = all.iter().take(LEAKS_NAMED_MAX).map(|column| leak(column)).collect();
    if let Some(more @ 1..) = all.len().checked_sub(LEAKS_NAMED_MAX) {
        lines.push(format!("and {} more, all named in result.json", count(more as u64)));
    }
    lines
}

fn score_sentence(result: &RunResult, digits: usize) -> Option<String> {
    let task = result.task.as_ref()?;
    let name = metric(&task.metric);
    let direction = better(task.higher_is_better);
    if let Some(holdout) = &result.holdout {
        return Some(format!("{name} {}, {direction}", judged(holdout, digits)));
    }
    let validation = result.validation.as_ref()?;
    Some(format!(
        "{name} {} on validation rows, {direction}; not judged on sealed rows, so expect it to be a little rosy",
        score(validation.score)
    ))
}

fn judged(holdout: &Holdout, digits: usize) -> String {
    let value = fixed(holdout.score, digits);
    let interval = format!("[{}, {}]", fixed(holdout.low, digits), fixed(holdout.high, digits));
    let (one, many) = if holdout.method.starts_with("cross-validation") {
        ("cross-validated row", "cross-validated rows")
    } else {
        ("sealed row", "sealed rows")
    };
    let sealed = counted(holdout.rows, one, many);
    let level = (holdout.level != 0.95).then(|| format!("{} % interval", fixed(holdout.level * 100.0, 0)));
    let looks =
        (holdout.looks > 1).then(|| format!("looked at {} times by now", count(holdout.looks.into())));
    let notes: Vec<String> = level.into_iter().chain(looks).collect();
    if notes.is_empty() {
        format!("{value} {interval} on {sealed}")
    } else {
        format!("{value} {interval} on {sealed} ({})", notes.join("; "))
    }
}

fn lift(baseline: &Baseline, digits: usize) -> Option<String> {
    if !baseline.lift.is_finite() {
        return None;
    }
    // A paired difference is known more exactly than the scores themselves.
    let own = decimals(baseline.low, baseline.high).max(digits);
    let interval = format!("[{}, {}]", signed(baseline.low, own), signed(baseline.high, own));
    let gain = signed(baseline.lift, own);
    let reference = format!("default LightGBM ({})", fixed(baseline.score, digits));
    let sentence = if baseline.lift == 0.0 && baseline.low == baseline.high {
        format!("none: nothing was found that beats {reference}")
    } else if baseline.low > 0.0 {
        format!("{gain} {interval} better than {reference}")
    } else if baseline.high < 0.0 {
        format!("{gain} {interval}: worse than {reference}")
    } else {
        format!("{gain} {interval}: no clear difference from {reference}")
    };
    Some(match baseline.guessing {
        Some(guessing) => format!("{sentence}; guessing {}", fixed(guessing, digits)),
        None => sentence,
    })
}

fn spent(result: &RunResult) -> String {
    let budget = &result.budget;
    let mut parts = vec![
        format!("{} in all", seconds(budget.wall_s)),
        counted(budget.trials.into(), "trial", "trials"),
        format!("{} of processor time", seconds(budget.worker_cpu_s)),
    ];
    if let Some(first) = budget.first_valid_s {
        parts.insert(1, format!("first valid result after {}", seconds(first)));
    }
    if budget.setup_s > 0.0 {
        parts.push(format!("before that {} for setting up", seconds(budget.setup_s)));
    }
    if budget.llm_calls > 0 {
        let price = budget.usd.map_or_else(|| "price n/a".into(), |usd| format!("${usd:.2}"));
        parts.push(format!("{} ({price})", counted(budget.llm_calls.into(), "model call", "model calls")));
    }
    parts.join(", ")
}
