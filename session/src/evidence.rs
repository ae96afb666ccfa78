//! Answers that need more than the run's events: what columns tell, what was left out, how sure a score is.

use crate::running::Seen;
use ansatz_core::outcome::{DroppedColumn, RunResult};
use ansatz_core::task::Task;
use ansatz_report::headline::{is_leak, leak};
use ansatz_report::number::{self, counted};
use ansatz_report::text::{self, MESSAGE_WIDTH, visible};
use ansatz_report::{Headline, Live};
use std::path::Path;

/// Lines of an answer.
const LINES_MAX: usize = 12;
/// Rows of predictions that are shown.
const ROWS_SHOWN: usize = 5;
/// Letters of a file of predictions that are read for it.
const BYTES_SHOWN: usize = 4096;

/// Letters of one fact.
const FACT_MAX: usize = 1200;

/// Everything that is known of a run, by name: what a language model answers from. No path is among it.
pub fn facts(seen: &Seen, folder: &Path) -> Vec<(&'static str, String)> {
    use crate::intent::Question as Q;
    let questions = [
        ("task", Q::Task),
        ("status", Q::Status),
        ("best", Q::Best),
        ("leaderboard", Q::Leaderboard),
        ("why", Q::Why("result".into())),
        ("left out", Q::Dropped),
        ("columns", Q::Columns),
        ("how sure", Q::Sure),
        ("gain", Q::Gain),
        ("more time", Q::Worth),
        ("data", Q::Data),
        ("time left", Q::Left),
        ("cost", Q::Cost),
        ("plan", Q::Plan),
    ];
    let fact = |(name, question): (&'static str, Q)| {
        let text = crate::answers::answer(&question, seen, folder);
        (name, text.chars().take(FACT_MAX).collect())
    };
    questions.into_iter().map(fact).collect()
}

/// What is not used, leaks first, each with its evidence.
pub fn dropped(live: &Live) -> String {
    if live.dropped.is_empty() {
        // What is left out is known before the plan is.
        return if live.steps.is_empty() {
            "nothing so far: the data are still being looked at".into()
        } else {
            "no column was left out".into()
        };
    }
    let line = |dropped: &DroppedColumn| {
        if is_leak(dropped) {
            return format!("LEAK {}", leak(dropped));
        }
        let reason = dropped.reason.replace('_', " ");
        format!(
            "{} ({}): {}",
            text::name(&dropped.column),
            visible(&reason, 40),
            visible(&dropped.evidence, MESSAGE_WIDTH)
        )
    };
    let (leaks, others): (Vec<_>, Vec<_>) = live.dropped.iter().partition(|dropped| is_leak(dropped));
    listed(
        format!("{} not used:", counted(live.dropped.len() as u64, "column is", "columns are")),
        leaks.into_iter().chain(others).map(line).collect(),
    )
}

fn listed(head: String, lines: Vec<String>) -> String {
    let more = lines.len().saturating_sub(LINES_MAX);
    let mut all = vec![head];
    all.extend(lines.into_iter().take(LINES_MAX).map(|line| format!("  {line}")));
    all.extend((more > 0).then(|| format!("  and {more} more, all in the report")));
    all.join("\n")
}

/// What each column tells by itself, strongest first.
pub fn columns(live: &Live, folder: &Path) -> String {
    let (Some(task), Some(evidence)) = (&live.task, ansatz_engine::evidence(folder)) else {
        return "nothing was measured about the columns yet".into();
    };
    let unused = |column: &str| live.dropped.iter().any(|dropped| dropped.column == column);
    let mut told: Vec<(&str, f64)> = evidence
        .columns
        .iter()
        .filter(|one| !unused(&one.column) && one.alone.is_finite())
        .map(|one| (one.column.as_str(), one.alone))
        .collect();
    told.sort_by(|a, b| b.1.total_cmp(&a.1));
    if told.is_empty() {
        return "no column that is used was measured by itself".into();
    }
    let measure = measure(task);
    let lines = told
        .iter()
        .map(|(column, alone)| format!("{}: {measure} {}", text::name(column), number::score(*alone)));
    let head = format!(
        "how well each column by itself predicts {} ({}), on training rows; together they may tell more:",
        text::name(&task.target),
        if task.problem.is_classification() { "0.5 is guessing" } else { "0 is guessing" },
    );
    listed(head, lines.collect())
}

fn measure(task: &Task) -> &'static str {
    if task.problem.is_classification() { "ROC AUC" } else { "R²" }
}

/// How sure the score is: its interval once the seal was opened, else what there is.
pub fn sure(seen: &Seen) -> String {
    let Some(result) = result(seen) else {
        let scored = seen.live.incumbent.map(|(_, score)| number::score(score));
        return match scored {
            Some(score) => format!(
                "so far {score} by cross-validation, which is a little rosy for what was chosen by it; at the end it is judged once on rows that nothing has seen, with an interval"
            ),
            None => "nothing has a score yet".into(),
        };
    };
    let headline = Headline::of(result);
    let mut lines: Vec<String> = headline.score.into_iter().collect();
    lines.extend(headline.expected.map(|expected| format!("to expect: {expected}")));
    lines.extend(headline.lift.map(|lift| format!("gain: {lift}")));
    if lines.is_empty() { "it was not judged".into() } else { lines.join("\n") }
}

/// How it compares with what one would have had without it.
pub fn gain(seen: &Seen) -> String {
    let lift = result(seen).and_then(|result| Headline::of(result).lift);
    lift.map_or_else(
        || "the gain over a default LightGBM is measured at the end, on rows that nothing has seen".into(),
        |lift| format!("gain: {lift}"),
    )
}

/// Whether more time would help.
pub fn worth(seen: &Seen) -> String {
    let told = result(seen).and_then(|result| Headline::of(result).continuing);
    told.unwrap_or_else(|| {
        "that can be told when the run has ended; it ends by itself when more brings nothing".into()
    })
}

/// What the files have that a careful person would want to know.
pub fn data(live: &Live) -> String {
    let of_data = live.warnings.iter().filter(|warning| !warning.contains("language model"));
    let mut lines: Vec<String> = of_data.map(|warning| visible(warning, MESSAGE_WIDTH)).collect();
    lines.extend(live.leaks().map(|dropped| format!("LEAK {}", leak(dropped))));
    match (lines.is_empty(), live.task.is_some()) {
        (true, true) => "nothing odd was seen in the files".into(),
        (true, false) => "the files have not been read yet".into(),
        (false, _) => listed("what was odd about the files:".into(), lines),
    }
}

/// How long it will still take.
pub fn left(seen: &Seen) -> String {
    let live = &seen.live;
    if seen.end.is_some() {
        return format!("it is over, after {}", number::seconds(live.spent.wall_s));
    }
    match (live.budget.trials, live.budget.wall) {
        (Some(trials), _) => {
            let done = live.trials_finished + live.trials_failed;
            format!(
                "{} of {trials} trials are still to come, then judging and packing",
                trials.saturating_sub(done)
            )
        }
        (None, Some(wall)) => {
            let left = (wall.as_secs_f64() - live.spent.wall_s).max(0.0);
            format!("at most {} more; less when nothing is left to gain", number::seconds(left))
        }
        (None, None) => "as long as something is gained".into(),
    }
}

/// The first of the predictions for the test file.
pub fn predictions(seen: &Seen, folder: &Path) -> String {
    use std::io::Read as _;
    let path = folder.join("submission.csv");
    let head = std::fs::File::open(&path).ok().and_then(|file| {
        let mut bytes = Vec::new();
        file.take(BYTES_SHOWN as u64).read_to_end(&mut bytes).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    });
    let Some(head) = head else {
        let run = folder.file_name().unwrap_or_default().to_string_lossy();
        return match result(seen) {
            Some(_) => format!(
                "there is no test file; `ansatz predict {run} FILE.csv` predicts the rows of any file"
            ),
            None => "there are none yet: the model comes when the run ends".into(),
        };
    };
    let early = if seen.end.is_none() { "an early answer, " } else { "" };
    let lines = head.lines().take(ROWS_SHOWN + 1).map(|line| visible(line, MESSAGE_WIDTH)).collect();
    listed(format!("{early}the first rows of {}:", path.display()), lines)
}

/// The task as it is understood.
pub fn task(live: &Live) -> String {
    let Some(task) = &live.task else { return "the task is not known yet".into() };
    let mut lines = vec![crate::answers::task(task)];
    lines.extend(crate::answers::taken_for_granted(task));
    lines.join("\n  ")
}

/// Who leads, who follows, and how that is decided.
pub fn choice(live: &Live) -> Option<String> {
    let ranking = live.ranking();
    let name = |line: &&ansatz_report::CandidateLine| {
        format!(
            "{} ({})",
            visible(&line.name, MESSAGE_WIDTH),
            line.score.map(number::score).unwrap_or_default()
        )
    };
    let first = ranking.first().map(name)?;
    let next = ranking.get(1).map(|line| format!("; the next is {}", name(line))).unwrap_or_default();
    let combined = live.ensemble.as_ref().map(|(members, score)| {
        format!(
            "; {} combined reach {}",
            counted(members.len() as u64, "candidate", "candidates"),
            number::score(*score)
        )
    });
    Some(format!(
        "best by cross-validation is {first}{next}{}. What leads changes only when it is better with a probability above 0.6.",
        combined.unwrap_or_default()
    ))
}

fn result(seen: &Seen) -> Option<&RunResult> {
    match &seen.end {
        Some(Ok(result)) => Some(result),
        _ => None,
    }
}
