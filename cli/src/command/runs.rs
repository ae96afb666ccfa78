//! `ansatz runs`: the runs and studies that there are, from their journals and diaries.

use super::Session;
use crate::console;
use crate::exit::{Exit, Failure, chain};
use crate::folders::{self, Kind, Run, Study};
use crate::table::Table;
use ansatz_core::outcome::RunStatus;
use ansatz_core::status::Status;
use ansatz_report::Live;
use ansatz_report::number::{arrow, counted, metric, moment, score};
use ansatz_tuner::trial::Direction;
use clap::Args;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Runs and studies that are shown when nobody says how many.
const SHOWN_DEFAULT: usize = 30;

/// Widest cell of the table.
const CELL_WIDTH: usize = 46;

#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct RunsArgs {
    /// Show all, not only the latest
    #[arg(long)]
    all: bool,
}

/// One run or study as `--json` shows it.
#[derive(Debug, Serialize)]
struct Entry {
    run: String,
    kind: Kind,
    folder: PathBuf,
    status: &'static str,
    /// Target column of a run.
    target: Option<String>,
    metric: Option<String>,
    /// The judged score, or the best on validation rows; the best value of a study.
    score: Option<f64>,
    /// Whether the score was judged on sealed rows.
    judged: bool,
    /// Trials that ended.
    trials: u64,
    /// Seconds since 1970.
    started_at: u64,
    error: Option<String>,
    /// What a study runs.
    #[serde(skip)]
    command: Option<String>,
    #[serde(skip)]
    higher_is_better: bool,
}

/// Carries out `runs`.
///
/// # Errors
/// When the list cannot be written as JSON.
pub fn execute(args: &RunsArgs, session: &Session) -> Result<Exit, Failure> {
    let runs = session.runs_folder();
    let folders = folders::runs_and_studies(&runs);
    let shown = if args.all || session.is_json { folders.len() } else { SHOWN_DEFAULT };
    let entries: Vec<Entry> = folders.iter().rev().take(shown).map(|folder| entry(folder)).collect();
    if session.is_json {
        console::json(&entries)?;
        return Ok(Exit::Ok);
    }
    if entries.is_empty() {
        session.console.note(&format!(
            "there are no runs or studies below {}; `ansatz run DATA` makes a run",
            runs.display()
        ));
        return Ok(Exit::Ok);
    }
    console::result(&table(&entries).lines(session.console.out, session.console.width));
    if folders.len() > shown {
        session.console.note(&format!("{} older ones; --all shows them", folders.len() - shown));
    }
    Ok(Exit::Ok)
}

fn table(entries: &[Entry]) -> Table {
    let mut table = Table::new(&["run", "kind", "status", "when (UTC)", "score", "task"], CELL_WIDTH);
    for entry in entries {
        table.row([
            entry.run.clone(),
            entry.kind_text().into(),
            entry.status.into(),
            if entry.started_at > 0 { moment(entry.started_at) } else { "–".into() },
            entry.score_text(),
            entry.task_text(),
        ]);
    }
    table
}

impl Entry {
    fn kind_text(&self) -> &'static str {
        match self.kind {
            Kind::Run => "run",
            Kind::Study => "study",
        }
    }

    fn score_text(&self) -> String {
        let Some(value) = self.score else { return "–".into() };
        let (name, mark) = match self.kind {
            Kind::Run => (
                self.metric.as_deref().map(metric).unwrap_or_default(),
                if self.judged { "" } else { " (validation)" },
            ),
            Kind::Study => ("best".into(), ""),
        };
        format!("{name} {} {}{mark}", score(value), arrow(self.higher_is_better))
    }

    fn task_text(&self) -> String {
        match (&self.error, &self.target, &self.command) {
            (Some(error), _, _) => error.clone(),
            (None, Some(target), _) => format!("predict {target}"),
            (None, None, Some(command)) => format!("{}: {command}", counted(self.trials, "trial", "trials")),
            (None, None, None) => String::new(),
        }
    }
}

fn entry(folder: &Path) -> Entry {
    if Kind::of(folder) == Some(Kind::Study) {
        return match Study::read(folder) {
            Ok(study) => studied(folder, &study),
            Err(failure) => damaged(folder, Kind::Study, failure.message),
        };
    }
    match Run::read(folder) {
        Ok(run) => described(folder, &run),
        Err(error) => damaged(folder, Kind::Run, chain(&error)),
    }
}

fn damaged(folder: &Path, kind: Kind, error: String) -> Entry {
    Entry {
        run: folders::id(folder),
        kind,
        folder: folder.to_path_buf(),
        status: "damaged",
        target: None,
        metric: None,
        score: None,
        judged: false,
        trials: 0,
        started_at: 0,
        error: Some(error),
        command: None,
        higher_is_better: true,
    }
}

fn studied(folder: &Path, study: &Study) -> Entry {
    Entry {
        run: folders::id(folder),
        kind: Kind::Study,
        folder: folder.to_path_buf(),
        status: if study.is_unfinished() { "unfinished" } else { "finished" },
        target: None,
        metric: None,
        score: study.best,
        judged: false,
        trials: study.trials,
        started_at: study.started_at,
        error: None,
        command: Some(study.command.clone()),
        higher_is_better: study.direction == Direction::Maximize,
    }
}

fn described(folder: &Path, run: &Run) -> Entry {
    let live = &run.live;
    let result = live.result.as_deref();
    let judged = result.and_then(|result| result.holdout.as_ref()).map(|holdout| holdout.score);
    let validated = result.and_then(|result| result.validation.as_ref()).map(|validation| validation.score);
    let task = live.task.as_ref();
    Entry {
        run: folders::id(folder),
        kind: Kind::Run,
        folder: run.folder.clone(),
        status: status(run.status, live),
        target: task.map(|task| task.target.clone()),
        metric: task.map(|task| task.metric.name.clone()),
        score: judged.or(validated).or(live.incumbent.map(|(_, score)| score)),
        judged: judged.is_some(),
        trials: u64::from(live.trials_finished) + u64::from(live.trials_failed),
        started_at: live.started_at,
        error: None,
        command: None,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::Paint;
    use crate::folders::tests::{runs, study};
    use ansatz_engine::tune::TuneEnd;

    fn line(entry: Entry) -> String {
        let entry = Entry { started_at: 1_772_719_320, ..entry };
        table(&[entry]).lines(Paint(false), 400).lines().nth(1).unwrap_or_default().to_owned()
    }

    #[test]
    fn a_study_is_shown_beside_runs() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("77aa-space");
        study(&path, Direction::Maximize, &[Some(0.25), None, Some(0.5)], None);
        assert_eq!(
            line(entry(&path)),
            "77aa-space  study  unfinished  2026-03-05 14:02  best 0.5000 ↑  3 trials: ./bench.sh {x}"
        );
        study(&path, Direction::Minimize, &[Some(0.25)], Some(TuneEnd::Time));
        let shown = line(entry(&path));
        assert!(
            shown.contains("study  finished  2026") && shown.contains("best 0.2500 ↓  1 trial: "),
            "{shown}"
        );
        std::fs::write(path.join("tune.json"), "{").unwrap();
        let shown = line(entry(&path));
        assert!(shown.contains("study  damaged") && shown.contains("tune.json is damaged"), "{shown}");
    }

    #[test]
    fn json_tells_runs_from_studies_by_their_kind() {
        let folder = runs(&["1"]);
        study(&folder.path().join("2"), Direction::Minimize, &[Some(0.25), Some(0.5)], Some(TuneEnd::Trials));
        let entries: Vec<Entry> =
            folders::runs_and_studies(folder.path()).iter().map(|folder| entry(folder)).collect();
        let shown = serde_json::to_value(&entries).unwrap();
        let text = |place: usize, key: &str| shown[place][key].as_str().unwrap_or_default();
        assert_eq!(["run", "kind", "status"].map(|key| text(0, key)), ["1", "run", "empty"]);
        assert_eq!(["run", "kind", "status"].map(|key| text(1, key)), ["2", "study", "finished"]);
        assert_eq!((shown[1]["score"].as_f64(), shown[1]["trials"].as_u64()), (Some(0.25), Some(2)));
        for key in ["run", "folder", "status", "target", "metric", "score", "judged", "started_at", "error"] {
            assert!(shown[0].get(key).is_some() && shown[1].get(key).is_some(), "{key}");
        }
    }
}
