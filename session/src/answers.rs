//! Answers from what is seen of a run. Every number comes from its events.

use crate::evidence;
use crate::intent::Question;
use crate::running::Seen;
use ansatz_core::bill::{Quote, Span};
use ansatz_core::outcome::RunResult;
use ansatz_core::task::{BY_MODEL, Problem, Task};
use ansatz_report::number::{self, count, counted};
use ansatz_report::text::{MESSAGE_WIDTH, visible};
use ansatz_report::{Headline, Live};
use ansatz_trace::Graph;
use std::path::Path;

/// Lines of a leaderboard, and of a reason.
const LINES_MAX: usize = 12;

/// The answer to a question about a run.
pub fn answer(question: &Question, seen: &Seen, folder: &Path) -> String {
    match question {
        Question::Plan => plan_of(&seen.live),
        Question::Status => status(seen),
        Question::Best => best(&seen.live),
        Question::Leaderboard => leaderboard(&seen.live),
        Question::Cost => cost(&seen.live),
        Question::Files => files(seen, folder),
        Question::Why(subject) => why(subject, folder),
        Question::Dropped => evidence::dropped(&seen.live),
        Question::Columns => evidence::columns(&seen.live, folder),
        Question::Column(column) => evidence::column(&seen.live, folder, column),
        Question::Model => evidence::model(seen, folder),
        Question::NewRows(file) => evidence::new_rows(seen, folder, file.as_deref()),
        Question::Sure => evidence::sure(seen),
        Question::Gain => evidence::gain(seen),
        Question::Worth => evidence::worth(seen),
        Question::Data => evidence::data(&seen.live),
        Question::Left => evidence::left(seen),
        Question::Predictions => evidence::predictions(seen, folder),
        Question::Task => evidence::task(&seen.live),
    }
}

/// Lines that somebody else wrote, made harmless.
pub fn shown(lines: &[String]) -> String {
    lines.iter().map(|line| visible(line, 4 * MESSAGE_WIDTH)).collect::<Vec<_>>().join("\n")
}

/// A task in a line.
pub fn task(task: &Task) -> String {
    let problem = match task.problem {
        Problem::Binary => "two classes".to_owned(),
        Problem::Multiclass => format!("{} classes", task.classes.len()),
        Problem::Regression => "a number".to_owned(),
    };
    let better = number::better(task.metric.direction == ansatz_core::metric::Direction::Maximize);
    let metric = number::metric(&task.metric.name);
    format!("predict {} ({problem}), scored by {metric}, {better}", visible(&task.target, MESSAGE_WIDTH))
}

/// What was concluded rather than said, a line each.
pub fn taken_for_granted(task: &Task) -> Vec<String> {
    let line = |one: &ansatz_core::task::Inference| {
        let line = match one.because.strip_prefix(BY_MODEL) {
            Some(more) => format!("{BY_MODEL}: {} = {}{more}", one.field, one.value),
            None => format!("I take for granted: {} {}, because {}", one.field, one.value, one.because),
        };
        visible(&line, MESSAGE_WIDTH)
    };
    task.inferred.iter().map(line).collect()
}

/// A quote in a line.
pub fn quote(quote: &Quote) -> String {
    let seconds = format!("at most {}", number::seconds(quote.seconds.high));
    if quote.calls.high == 0.0 {
        return format!("it takes {seconds} and costs nothing: no language model is configured");
    }
    let span = |span: &Span| format!("{} to {}", count(span.low as u64), count(span.high as u64));
    let usd = quote.usd.as_ref().map_or_else(
        || "at a price that is not known".to_owned(),
        |usd| format!("for {:.2} to {:.2} USD", usd.low, usd.high),
    );
    format!(
        "it takes {seconds}, and {} calls of a language model ({} tokens in, {} out) {usd}",
        span(&quote.calls),
        span(&quote.tokens_in),
        span(&quote.tokens_out)
    )
}

/// What will be trained, in a line each; from the steps' ids.
pub fn plan(steps: &[String]) -> String {
    let models: Vec<&str> = steps.iter().filter_map(|step| step.strip_prefix("model:")).collect();
    let tuned: Vec<&str> = steps.iter().filter_map(|step| step.strip_prefix("tune:")).collect();
    let combined =
        if steps.iter().any(|step| step == "ensemble") { ", combined where that helps" } else { "" };
    format!(
        "{}: try {}; search further around {}{combined}; judge once on sealed rows, package, prove",
        counted(steps.len() as u64, "step", "steps"),
        models.join(", "),
        if tuned.is_empty() { "nothing".to_owned() } else { tuned.join(", ") },
    )
}

fn plan_of(live: &Live) -> String {
    if live.steps.is_empty() {
        return "there is no plan yet".into();
    }
    let steps: Vec<String> = live.steps.iter().map(|(step, _)| step.to_string()).collect();
    plan(&steps)
}

fn status(seen: &Seen) -> String {
    let live = &seen.live;
    let phase = if seen.phase.is_empty() { live.phase.name().to_owned() } else { seen.phase.clone() };
    let elapsed = number::seconds(live.spent.wall_s);
    let of = live.budget.wall.map(|wall| format!(" of {}", number::duration(wall))).unwrap_or_default();
    let trials = counted(live.trials_finished.into(), "trial", "trials");
    let failed =
        if live.trials_failed > 0 { format!(", {} failed", live.trials_failed) } else { String::new() };
    format!("{phase}: {elapsed}{of}, {trials} done{failed}; {}", best(live))
}

fn best(live: &Live) -> String {
    let Some((id, score)) = live.incumbent else { return "nothing has a score yet".into() };
    let name = live.candidates.get(&id).map_or_else(|| id.to_string(), |line| line.name.clone());
    let metric = live.task.as_ref().map_or("score", |task| task.metric.name.as_str());
    let ensemble = live.ensemble.as_ref().map(|(members, score)| {
        format!(
            "; {} combined: {}",
            counted(members.len() as u64, "candidate", "candidates"),
            number::score(*score)
        )
    });
    let arrow = number::arrow(live.higher_is_better());
    format!(
        "best so far {} {} {arrow} ({}), by cross-validation{}",
        number::metric(metric),
        number::score(score),
        visible(&name, MESSAGE_WIDTH),
        ensemble.unwrap_or_default()
    )
}

fn leaderboard(live: &Live) -> String {
    let ranking = live.ranking();
    if ranking.is_empty() {
        return "nothing has a score yet".into();
    }
    let line = |line: &&ansatz_report::CandidateLine| {
        let score = line.score.map(number::score).unwrap_or_default();
        let origin = format!("{:?}", line.origin).to_lowercase();
        format!(
            "  {score}  {} ({origin}, {})",
            visible(&line.name, MESSAGE_WIDTH),
            number::seconds(line.seconds)
        )
    };
    let lines: Vec<String> = ranking.iter().take(LINES_MAX).map(line).collect();
    let more = ranking.len().saturating_sub(LINES_MAX);
    let more = if more > 0 { format!("\n  and {more} more") } else { String::new() };
    format!("by cross-validation, best first:\n{}{more}", lines.join("\n"))
}

fn cost(live: &Live) -> String {
    let spent = &live.spent;
    let time = format!(
        "{} of time, {} of processor time",
        number::seconds(spent.wall_s),
        number::seconds(spent.worker_cpu_s)
    );
    if spent.llm_calls == 0 {
        return format!("{time}, no call of a language model");
    }
    let usd = spent.usd.map_or_else(|| "price n/a".to_owned(), |usd| format!("{usd:.4} USD"));
    format!(
        "{time}, {} of a language model ({} tokens in, {} out, {usd})",
        counted(spent.llm_calls.into(), "call", "calls"),
        count(spent.tokens_in),
        count(spent.tokens_out)
    )
}

fn files(seen: &Seen, folder: &Path) -> String {
    let has_submission = folder.join("submission.csv").is_file();
    let what = match (&seen.end, has_submission) {
        (Some(Ok(_)), true) => "submission.csv, the model in model/, the report in report.html",
        (Some(Ok(_)), false) => {
            "the model in model/, the report in report.html; there is no test file, hence no submission"
        }
        (_, true) => {
            "an early submission.csv, and report.html, a live page; the rest comes when the run ends"
        }
        (_, false) => "report.html, a live page; the rest comes when the run ends",
    };
    format!("{}: {what}", folder.display())
}

/// The trace from a result back to its causes.
fn why(subject: &str, folder: &Path) -> String {
    let replay = match ansatz_journal::read(folder) {
        Ok(replay) => replay,
        Err(error) => return format!("the journal cannot be read: {error}"),
    };
    let events: Vec<_> = replay.records.into_iter().map(|record| record.event).collect();
    let graph = Graph::from_events(&events);
    let live = Live::after(&events);
    // A solution is named by people; the trace knows its best candidate.
    let best = live.candidates.iter().filter(|(_, line)| line.name.ends_with(&format!(" {subject}")));
    let ranked = best.filter_map(|(id, line)| Some((id, line.score?)));
    let sign = if live.higher_is_better() { 1.0 } else { -1.0 };
    let best = ranked.max_by(|a, b| (sign * a.1).total_cmp(&(sign * b.1))).map(|(id, _)| id.to_string());
    let dropped = live.dropped.iter().find(|dropped| dropped.column.eq_ignore_ascii_case(subject));
    if let Some(dropped) = dropped {
        let line = format!("{} is not used ({}): {}", dropped.column, dropped.reason, dropped.evidence);
        return visible(&line, 4 * MESSAGE_WIDTH);
    }
    match graph.why(best.as_deref().unwrap_or(subject)) {
        Ok(lines) => {
            let told: Vec<String> = lines
                .iter()
                .take(LINES_MAX)
                .map(|line| format!("{}{}", "  ".repeat(line.depth), visible(&line.text, MESSAGE_WIDTH)))
                .collect();
            let choice = evidence::choice(&live).filter(|_| subject == "result");
            choice.into_iter().chain(told).collect::<Vec<_>>().join("\n")
        }
        Err(error) if error.examples.is_empty() => format!("nothing is known about {subject} yet"),
        Err(error) => format!("{error}; {}", error.hint()),
    }
}

/// The end of a run, the score first.
pub fn ended(result: &RunResult) -> String {
    let headline = Headline::of(result);
    let mut lines: Vec<String> = headline.leaks.iter().map(|leak| format!("LEAK dropped: {leak}")).collect();
    lines.extend(headline.score.clone());
    for (label, text) in [
        ("gain", &headline.lift),
        ("to expect", &headline.expected),
        ("worth continuing?", &headline.continuing),
        ("delivered", &headline.delivered),
    ] {
        lines.extend(text.as_ref().map(|text| format!("{label}: {text}")));
    }
    lines.extend(
        result.warnings.iter().take(3).map(|warning| format!("warning: {}", visible(warning, MESSAGE_WIDTH))),
    );
    lines.join("\n")
}
