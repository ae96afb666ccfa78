//! `ansatz runs`: the runs that there are, from their journals.

use super::Session;
use crate::console;
use crate::exit::{Exit, Failure, chain};
use crate::folders::{self, Run};
use crate::table::Table;
use ansatz_core::outcome::RunStatus;
use ansatz_core::status::Status;
use ansatz_report::Live;
use ansatz_report::number::{arrow, metric, moment, score};
use clap::Args;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Runs that are shown when nobody says how many.
const SHOWN_DEFAULT: usize = 30;

/// Widest cell of the table.
const CELL_WIDTH: usize = 46;

#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct RunsArgs {
    /// Show all runs, not only the latest
    #[arg(long)]
    all: bool,
}

/// One run as `--json` shows it.
#[derive(Debug, Serialize)]
struct Entry {
    run: String,
    folder: PathBuf,
    status: &'static str,
    /// Target column.
    target: Option<String>,
    metric: Option<String>,
    /// The judged score, or the best on validation rows.
    score: Option<f64>,
    /// Whether the score was judged on sealed rows.
    judged: bool,
    /// Seconds since 1970.
    started_at: u64,
    error: Option<String>,
    #[serde(skip)]
    higher_is_better: bool,
}

/// Carries out `runs`.
///
/// # Errors
/// When the list cannot be written as JSON.
pub fn execute(args: &RunsArgs, session: &Session) -> Result<Exit, Failure> {
    let runs = session.runs_folder();
    let folders = folders::all(&runs);
    let shown = if args.all || session.is_json { folders.len() } else { SHOWN_DEFAULT };
    let entries: Vec<Entry> = folders.iter().rev().take(shown).map(|folder| entry(folder)).collect();
    if session.is_json {
        console::json(&entries)?;
        return Ok(Exit::Ok);
    }
    if entries.is_empty() {
        session
            .console
            .note(&format!("there are no runs below {}; `ansatz run DATA` makes one", runs.display()));
        return Ok(Exit::Ok);
    }
    let mut table = Table::new(&["run", "status", "when (UTC)", "score", "task"], CELL_WIDTH);
    for entry in &entries {
        table.row([
            entry.run.clone(),
            entry.status.into(),
            if entry.started_at > 0 { moment(entry.started_at) } else { "–".into() },
            entry.score_text(),
            entry.task_text(),
        ]);
    }
    console::result(&table.lines(session.console.out, session.console.width));
    if folders.len() > shown {
        session.console.note(&format!("{} older runs; --all shows them", folders.len() - shown));
    }
    Ok(Exit::Ok)
}

impl Entry {
    fn score_text(&self) -> String {
        let Some(value) = self.score else { return "–".into() };
        let name = self.metric.as_deref().map(metric).unwrap_or_default();
        let mark = if self.judged { "" } else { " (validation)" };
        format!("{name} {} {}{mark}", score(value), arrow(self.higher_is_better))
    }

    fn task_text(&self) -> String {
        match (&self.error, &self.target) {
            (Some(error), _) => error.clone(),
            (None, Some(target)) => format!("predict {target}"),
            (None, None) => String::new(),
        }
    }
}

fn entry(folder: &Path) -> Entry {
    let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    match Run::read(folder) {
        Ok(run) => described(name, &run),
        Err(error) => Entry {
            run: name,
            folder: folder.to_path_buf(),
            status: "damaged",
            target: None,
            metric: None,
            score: None,
            judged: false,
            started_at: 0,
            error: Some(chain(&error)),
            higher_is_better: true,
        },
    }
}

fn described(name: String, run: &Run) -> Entry {
    let live = &run.live;
    let result = live.result.as_deref();
    let judged = result.and_then(|result| result.holdout.as_ref()).map(|holdout| holdout.score);
    let validated = result.and_then(|result| result.validation.as_ref()).map(|validation| validation.score);
    let task = live.task.as_ref();
    Entry {
        run: name,
        folder: run.folder.clone(),
        status: status(run.status, live),
        target: task.map(|task| task.target.clone()),
        metric: task.map(|task| task.metric.name.clone()),
        score: judged.or(validated).or(live.incumbent.map(|(_, score)| score)),
        judged: judged.is_some(),
        started_at: live.started_at,
        error: None,
        higher_is_better: live.higher_is_better(),
    }
}

fn status(status: Status, live: &Live) -> &'static str {
    match live.result.as_deref().map(|result| result.status) {
        Some(RunStatus::Succeeded) => "finished",
        Some(RunStatus::Partial) => "partial",
        Some(RunStatus::Failed) => "failed",
        Some(RunStatus::Interrupted) => "stopped",
        None if status == Status::New => "empty",
        None => "unfinished",
    }
}
