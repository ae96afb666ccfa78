//! What an expert looks for: checks, warnings, budget, sandbox, how to get the same again.

use super::{Sheet, shown};
use crate::number::{count, moment, seconds};
use crate::text;
use ansatz_core::outcome::RunResult;
use ansatz_core::verdict::{Stage, Verdict};
use maud::{Markup, html};

/// Lines of one list that are shown.
const LINES_MAX: usize = 100;

/// Everything that was checked, failures first.
pub(super) fn checks(sheet: &Sheet) -> Markup {
    let all = sheet.result.map_or(&sheet.live.verdicts, |result| &result.verdicts);
    let mut verdicts: Vec<&Verdict> = all.iter().collect();
    verdicts.sort_by_key(|verdict| verdict.passed);
    if verdicts.is_empty() {
        return html! {};
    }
    html! {
        h2 { "Checks" }
        .scroll { table {
            thead { tr { th { "stage" } th { "what" } th { "held" } th { "seen" } } }
            tbody {
                @for verdict in verdicts.iter().take(LINES_MAX) {
                    tr {
                        td { (stage(verdict.stage)) } td { bdi { (shown(&verdict.subject)) } }
                        td { @if verdict.passed { span.yes { "yes" } } @else { span.no { "no" } } }
                        td { bdi { (shown(&verdict.evidence)) } }
                    }
                }
            }
        } }
        (more(verdicts.len()))
    }
}

fn more(lines: usize) -> Markup {
    html! {
        @if lines > LINES_MAX { p.soft { (count((lines - LINES_MAX) as u64)) " more in " code { "result.json" } "." } }
    }
}

fn stage(stage: Stage) -> &'static str {
    match stage {
        Stage::Request => "request",
        Stage::Data => "data",
        Stage::Plan => "plan",
        Stage::Code => "code",
        Stage::Execution => "execution",
        Stage::Score => "score",
        Stage::Constraints => "constraints",
        Stage::Submission => "submission",
        Stage::Package => "package",
    }
}

/// Warnings, and steps that were not run.
pub(super) fn warnings(sheet: &Sheet) -> Markup {
    let warnings = sheet.result.map_or(&sheet.live.warnings, |result| &result.warnings);
    let skipped = sheet.result.map(|result| result.skipped.as_slice()).unwrap_or_default();
    html! {
        @for (title, lines) in [("Warnings", warnings.as_slice()), ("Not run", skipped)] {
            @if !lines.is_empty() {
                h2 { (title) }
                ul { @for line in lines.iter().take(LINES_MAX) { li { bdi { (shown(line)) } } } }
                (more(lines.len()))
            }
        }
    }
}

/// What was spent.
pub(super) fn budget(sheet: &Sheet) -> Markup {
    let Some(result) = sheet.result else { return html! {} };
    let budget = &result.budget;
    let mut rows = vec![
        ("wall time", seconds(budget.wall_s)),
        ("processor time of all cells", seconds(budget.worker_cpu_s)),
        ("trials", count(budget.trials.into())),
    ];
    if let Some(first) = budget.first_valid_s {
        rows.push(("first valid result after", seconds(first)));
    }
    if budget.setup_s > 0.0 {
        rows.push(("set-up before the start, once", seconds(budget.setup_s)));
    }
    if budget.llm_calls > 0 {
        rows.push(("calls of language models", count(budget.llm_calls.into())));
        rows.push((
            "tokens in and out",
            format!("{} and {}", count(budget.tokens_in), count(budget.tokens_out)),
        ));
        rows.push(("money", budget.usd.map_or_else(|| "n/a".into(), |usd| format!("${usd:.4}"))));
    }
    html! { h2 { "Budget" } (pairs(&rows)) }
}

fn pairs(rows: &[(&str, String)]) -> Markup {
    html! {
        .scroll { table { tbody { @for (name, value) in rows { tr { th { (shown(name)) } td { bdi { (value) } } } } } } }
    }
}

/// What the sandbox really enforced.
pub(super) fn sandbox(sheet: &Sheet) -> Markup {
    let Some(sandbox) =
        sheet.result.map(|result| &result.sandbox).filter(|sandbox| !sandbox.level.is_empty())
    else {
        return html! {};
    };
    html! {
        h2 { "Sandbox" }
        p { "All solution code ran inside cells: backend " (shown(&sandbox.backend)) ", level " (shown(&sandbox.level)) "." }
        .scroll { table {
            thead { tr { th { "barrier" } th { "held" } } }
            tbody {
                @for barrier in &sandbox.enforced { tr { td { (shown(barrier)) } td { span.yes { "yes" } } } }
                @for barrier in &sandbox.missing { tr { td { (shown(barrier)) } td { span.no { "not on this host" } } } }
            }
        } }
    }
}

/// Seed, versions, files, and the command that asks the same again.
pub(super) fn reproduce(sheet: &Sheet) -> Markup {
    let command = command(&sheet.live.options);
    html! {
        @if sheet.result.is_some() || command.is_some() {
            h2 { "To get the same again" }
            @if let Some(command) = command { pre { (command) } }
        }
        @if let Some(result) = sheet.result {
            p.soft {
                "Seed " (result.seed) "."
                @if sheet.live.budget.trials.is_none() { " A run that is limited by time stops at a different trial each time; with " code { "--trials" } " it is the same every time." }
            }
            details { summary { "versions and files" } (pairs(&versions(result))) (files(sheet, result)) }
        }
    }
}

fn versions(result: &RunResult) -> Vec<(&str, String)> {
    result.versions.iter().map(|(name, version)| (name.as_str(), shown(version))).collect()
}

/// The files, as links where they lie beside the page.
fn files(sheet: &Sheet, result: &RunResult) -> Markup {
    let folder = sheet.live.options.get("out").and_then(serde_json::Value::as_str).unwrap_or_default();
    html! {
        ul {
            @for (name, path) in &result.artifacts {
                @let path = path.strip_prefix(folder).map_or(path.as_str(), |rest| rest.trim_start_matches('/'));
                li {
                    (shown(name)) ": "
                    @if is_plain(path) { a href=(path) { (shown(path)) } } @else { code { (shown(path)) } }
                }
            }
        }
    }
}

/// Whether a path can be a link: below the run's folder, made of letters, digits and harmless signs.
fn is_plain(path: &str) -> bool {
    let harmless =
        |character: char| character.is_ascii_alphanumeric() || matches!(character, '.' | '_' | '-' | '/');
    !path.is_empty() && !path.starts_with('/') && !path.contains("..") && path.chars().all(harmless)
}

/// The command line that asks for the same, from the journalled options.
fn command(options: &serde_json::Value) -> Option<String> {
    let text_of = |name: &str| options.get(name).and_then(serde_json::Value::as_str);
    let mut words = vec!["ansatz".to_owned(), "run".into(), quoted(text_of("data")?)];
    for (flag, name) in [
        ("--task", "request"),
        ("--target", "target"),
        ("--id", "id"),
        ("--metric", "metric"),
        ("--test", "test"),
        ("--sample", "sample"),
    ] {
        if let Some(value) = text_of(name) {
            words.extend([flag.to_owned(), quoted(value)]);
        }
    }
    let budget = options.get("budget");
    if let Some(trials) = budget.and_then(|budget| budget.get("trials")?.as_u64()) {
        words.extend(["--trials".into(), trials.to_string()]);
    }
    let wall = budget.and_then(|budget| serde_json::from_value(budget.get("wall")?.clone()).ok()?);
    if let Some(wall) = wall.map(|wall: std::time::Duration| wall.as_secs_f64()) {
        words.extend(["--seconds".into(), wall.to_string()]);
    }
    for name in ["jobs", "seed"] {
        if let Some(number) = options.get(name).and_then(serde_json::Value::as_u64) {
            words.extend([format!("--{name}"), number.to_string()]);
        }
    }
    if let Some(walls) =
        options.get("sandbox").and_then(|walls| walls.as_str()).filter(|walls| *walls != "auto")
    {
        words.extend(["--sandbox".into(), walls.to_owned()]);
    }
    if options.get("strict") == Some(&serde_json::Value::Bool(true)) {
        words.push("--strict".into());
    }
    Some(words.join(" "))
}

/// A word as a POSIX shell reads it back; harmless to look at. A text that has to be cut to be shown ends in `…`.
fn quoted(word: &str) -> String {
    let plain = |character: char| character.is_ascii_alphanumeric() || "._-/=:,@%+".contains(character);
    let shown = text::visible(word, text::MESSAGE_WIDTH);
    if !shown.is_empty() && shown.chars().all(plain) {
        shown
    } else {
        format!("'{}'", shown.replace('\'', "'\\''"))
    }
}

/// When, by what.
pub(super) fn footer(sheet: &Sheet) -> Markup {
    let run = sheet.result.map_or(sheet.live.run.as_str(), |result| result.run.as_str());
    html! {
        footer {
            "Run " bdi { (shown(run)) }
            @if sheet.live.started_at > 0 { ", started " (moment(sheet.live.started_at)) " UTC" }
            ". Made by Ansatz"
            @if let Some(version) = sheet.result.and_then(|result| result.versions.get("ansatz")) { " " (shown(version)) }
            "."
        }
    }
}
