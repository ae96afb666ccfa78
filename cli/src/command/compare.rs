//! `ansatz compare RUN RUN`: two results side by side, and whether they may be compared at all.

use super::Session;
use crate::console::{self, Style};
use crate::exit::{Exit, Failure};
use crate::folders::Run;
use crate::table::Table;
use ansatz_core::event::Event;
use ansatz_core::outcome::{Holdout, RunResult};
use ansatz_report::Headline;
use ansatz_report::headline::digits;
use ansatz_report::number::{arrow, count, fixed, metric, score, seconds, signed};
use clap::Args;
use serde_json::json;

#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct CompareArgs {
    /// Folder or id of a run
    first: String,
    /// Folder or id of another
    second: String,
}

/// Carries out `compare`.
///
/// # Errors
/// There is no such run, or one is not over.
pub fn execute(args: &CompareArgs, session: &Session) -> Result<Exit, Failure> {
    let (first, second) = (session.read_run(&args.first)?, session.read_run(&args.second)?);
    let (a, b) = (first.result()?, second.result()?);
    let verdict = verdict(&first, a, &second, b);
    if session.is_json {
        console::json(
            &json!({"runs": [a, b], "comparable": verdict.is_ok(), "verdict": verdict.clone().unwrap_or_else(|why| why)}),
        )?;
        return Ok(Exit::Ok);
    }
    let mut table = Table::new(&["", "first", "second"], 44);
    for ((name, first), (_, second)) in facts(a).into_iter().zip(facts(b)) {
        if !(first.is_empty() && second.is_empty()) {
            table.row([name.to_owned(), first, second]);
        }
    }
    let (style, sentence) = match verdict {
        Ok(sentence) => (Style::Bold, sentence),
        Err(why) => (Style::Yellow, why),
    };
    let sentence = session.console.out.text(style, &sentence);
    console::result(&format!("{}{sentence}\n", table.lines(session.console.out, session.console.width)));
    Ok(Exit::Ok)
}

fn facts(result: &RunResult) -> Vec<(&'static str, String)> {
    let headline = Headline::of(result);
    let places = digits(result);
    let judged = |holdout: &Holdout| {
        let (low, high) = (fixed(holdout.low, places), fixed(holdout.high, places));
        format!("{} [{low}, {high}]", fixed(holdout.score, places))
    };
    let task = result.task.as_ref();
    let dropped: Vec<&str> = result.dropped.iter().map(|column| column.column.as_str()).collect();
    vec![
        ("run", result.run.clone()),
        ("status", headline.status.into()),
        ("target", task.map(|task| task.target.clone()).unwrap_or_default()),
        (
            "metric",
            task.map(|task| format!("{} {}", metric(&task.metric), arrow(task.higher_is_better)))
                .unwrap_or_default(),
        ),
        ("judged score", result.holdout.as_ref().map(judged).unwrap_or_default()),
        (
            "validation score",
            result.validation.as_ref().map(|validation| score(validation.score)).unwrap_or_default(),
        ),
        (
            "gain over default",
            result.baseline.as_ref().map(|baseline| signed(baseline.lift, places)).unwrap_or_default(),
        ),
        ("delivered", headline.delivered.unwrap_or_default()),
        ("columns dropped", dropped.join(" ")),
        ("trials", count(result.budget.trials.into())),
        ("time", seconds(result.budget.wall_s)),
        ("seed", result.seed.to_string()),
        ("sandbox", result.sandbox.level.clone()),
    ]
}

/// Which run is better, as far as their intervals can tell; an error says why they cannot be compared.
fn verdict(first: &Run, a: &RunResult, second: &Run, b: &RunResult) -> Result<String, String> {
    let metric_of = |result: &RunResult| {
        // Files of the same name can hold different metrics.
        result
            .task
            .as_ref()
            .map(|task| (task.metric.clone(), task.higher_is_better, task.metric_source.clone()))
    };
    let (Some(metric), Some(other)) = (metric_of(a), metric_of(b)) else {
        return Err("one of the runs never learnt its task".into());
    };
    let higher = metric.1;
    if metric != other {
        return Err("not comparable: the runs are scored by different metrics".into());
    }
    if data_hash(first).is_none() || data_hash(first) != data_hash(second) {
        return Err("not comparable: the runs were judged on different data".into());
    }
    let (Some(x), Some(y)) = (&a.holdout, &b.holdout) else {
        return Err("not comparable: one of the runs was not judged on sealed rows".into());
    };
    if x.low <= y.high && y.low <= x.high {
        return Ok("no clear difference: the intervals overlap".into());
    }
    let first_wins = if higher { x.score > y.score } else { x.score < y.score };
    let winner = if first_wins { "first" } else { "second" };
    Ok(format!("the {winner} run is better: the intervals do not overlap"))
}

fn data_hash(run: &Run) -> Option<&str> {
    run.events.iter().find_map(|event| match event {
        Event::Sealed { data_hash, .. } => Some(data_hash.as_str()),
        _ => None,
    })
}
