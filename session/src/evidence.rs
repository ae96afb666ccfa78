//! Answers that need more than the run's events: what columns tell, what was left out, how sure a score is.

use crate::running::Seen;
use ansatz_agents::playbook::READABLE;
use ansatz_core::outcome::{DroppedColumn, RunResult};
use ansatz_core::task::Task;
use ansatz_core::verdict::{Stage, Verdict};
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
        ("model", Q::Model),
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
    let (leaks, others): (Vec<_>, Vec<_>) = live.dropped.iter().partition(|dropped| is_leak(dropped));
    listed(
        format!("{} not used:", counted(live.dropped.len() as u64, "column is", "columns are")),
        leaks.into_iter().chain(others).map(why_dropped).collect(),
    )
}

/// Why a column is not used.
fn why_dropped(dropped: &DroppedColumn) -> String {
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

/// Whether a column is used, what it tells by itself, and how to leave it out.
pub fn column(live: &Live, folder: &Path, asked: &str) -> String {
    let Some(task) = &live.task else { return "the files have not been read yet".into() };
    let is_asked = |name: &str| name.eq_ignore_ascii_case(asked);
    if is_asked(&task.target) {
        return format!("{} is what is predicted", text::name(&task.target));
    }
    if let Some(id) = task.id.as_deref().filter(|id| is_asked(id)) {
        return format!("{} only names the rows", text::name(id));
    }
    if let Some(dropped) = live.dropped.iter().find(|dropped| is_asked(&dropped.column)) {
        return format!("it is not used: {}", why_dropped(dropped));
    }
    let evidence = ansatz_engine::evidence(folder);
    let mut columns = evidence.iter().flat_map(|evidence| &evidence.columns);
    let Some(found) = columns.find(|one| is_asked(&one.column)) else {
        return format!("no column {} is known to be used", text::name(asked));
    };
    let (name, target) = (text::name(&found.column), text::name(&task.target));
    let alone = if found.alone.is_finite() {
        let (measure, value) = (measure(task), number::score(found.alone));
        let guessing = if task.problem.is_classification() { "0.5" } else { "0" };
        format!("; by itself it predicts {target} with {measure} {value}, where {guessing} is guessing")
    } else {
        String::new()
    };
    let column = visible(&found.column, MESSAGE_WIDTH);
    format!(
        "{name} is used{alone}. What the model is without it shows when it is left out: say `drop the {column} column`"
    )
}

/// What the model is like: what was delivered, how large it is, who can read it, how long an answer takes.
pub fn model(seen: &Seen, folder: &Path) -> String {
    let Some(result) = result(seen) else {
        let so_far = choice(&seen.live).unwrap_or_else(|| "nothing has a score yet".into());
        return format!("the model comes when the run ends; so far: {so_far}");
    };
    let mut lines: Vec<String> = Headline::of(result)
        .delivered
        .map(|delivered| format!("delivered: {delivered}"))
        .into_iter()
        .collect();
    let size = bytes_below(&folder.join("model"));
    lines.extend((size > 0).then(|| format!("size: {}, code included", number::bytes(size))));
    let is_readable = result.best.as_ref().is_some_and(|best| best.kind == READABLE);
    lines.push(if is_readable {
        "a person can read it: it is linear".into()
    } else {
        "no person can read it as it is; say `make it interpretable` for one that is linear".into()
    });
    let is_time = |verdict: &&Verdict| verdict.stage == Stage::Constraints && verdict.subject == "latency";
    match result.verdicts.iter().find(is_time) {
        Some(verdict) => lines.push(format!("time: {}", visible(&verdict.evidence, MESSAGE_WIDTH))),
        None => lines.push(
            "time: not measured; a limit such as \"at most 50 ms per prediction\" has it measured".into(),
        ),
    }
    lines.join("\n")
}

fn bytes_below(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let bytes = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => bytes_below(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    };
    entries.map(bytes).sum()
}

/// How rows that the run has not seen are predicted.
pub fn new_rows(seen: &Seen, folder: &Path, file: Option<&str>) -> String {
    let run = folder.file_name().unwrap_or_default().to_string_lossy();
    let file = visible(file.unwrap_or("FILE.csv"), MESSAGE_WIDTH);
    let file = if file.contains(' ') { format!("\"{file}\"") } else { file };
    let command = format!("`ansatz predict {run} {file}`");
    match result(seen) {
        Some(_) => format!("{command} predicts the rows of a file that has the columns of the training data"),
        None => format!("the model comes when the run ends; then {command} predicts the rows of a file"),
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use ansatz_core::metric::{Direction, MetricSpec, PredictionKind};
    use ansatz_core::task::{Constraints, Problem};

    fn seen() -> Seen {
        let metric = MetricSpec {
            name: "roc_auc".into(),
            direction: Direction::Maximize,
            reads: PredictionKind::Probability,
        };
        let task = Task {
            name: "demo".into(),
            request: String::new(),
            problem: Problem::Binary,
            target: "Left".into(),
            id: Some("Id".into()),
            metric,
            classes: vec!["no".into(), "yes".into()],
            constraints: Constraints::default(),
            submission: None,
            inferred: Vec::new(),
        };
        let dropped = DroppedColumn {
            column: "Exit_Code".into(),
            reason: "constant".into(),
            evidence: "it has the same value in every row".into(),
        };
        let live = Live { task: Some(task), dropped: vec![dropped], ..Live::default() };
        Seen { live, ..Seen::default() }
    }

    #[test]
    fn a_column_is_told_as_what_it_is() {
        let (live, nowhere) = (seen().live, Path::new("/nowhere"));
        assert_eq!(column(&live, nowhere, "left"), "`Left` is what is predicted");
        assert_eq!(column(&live, nowhere, "id"), "`Id` only names the rows");
        assert_eq!(
            column(&live, nowhere, "exit_code"),
            "it is not used: `Exit_Code` (constant): it has the same value in every row"
        );
        assert_eq!(column(&live, nowhere, "age"), "no column `age` is known to be used");
        assert_eq!(column(&Live::default(), nowhere, "age"), "the files have not been read yet");
    }

    #[test]
    fn a_model_that_is_not_there_yet_is_not_described() {
        let folder = Path::new("/nowhere/runs/first");
        assert!(model(&seen(), folder).starts_with("the model comes when the run ends"));
        assert_eq!(
            new_rows(&seen(), folder, Some("my rows.csv")),
            "the model comes when the run ends; then `ansatz predict first \"my rows.csv\"` predicts the rows of a file"
        );
    }
}
