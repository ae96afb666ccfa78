//! Finding the runs that there are, by folder or by id, and reading what they hold. Nothing is written here.

use crate::exit::{Exit, Failure, chain};
use ansatz_core::event::Event;
use ansatz_core::outcome::RunResult;
use ansatz_core::status::Status;
use ansatz_journal::{FILE_NAME, JournalError};
use ansatz_report::{Live, text};
use std::path::{Path, PathBuf};

/// A run that could be read.
#[derive(Debug)]
pub struct Run {
    /// Its folder.
    pub folder: PathBuf,
    /// Its events in order.
    pub events: Vec<Event>,
    /// Where it stands.
    pub status: Status,
    /// The same as it is shown.
    pub live: Live,
}

impl Run {
    /// Reads the run in a folder.
    ///
    /// # Errors
    /// When there is no journal, or it is damaged.
    pub fn read(folder: &Path) -> Result<Self, JournalError> {
        let replay = ansatz_journal::read(folder)?;
        let events: Vec<Event> = replay.records.into_iter().map(|record| record.event).collect();
        let live = Live::after(&events);
        Ok(Self { folder: folder.to_path_buf(), events, status: replay.status, live })
    }

    /// Its result.
    ///
    /// # Errors
    /// When the run is not over.
    pub fn result(&self) -> Result<&RunResult, Failure> {
        self.live.result.as_deref().ok_or_else(|| {
            Failure::usage(format!("run {} is not finished", text::name(&self.live.run)))
                .hint(format!("`ansatz resume {}` finishes it", self.folder.display()))
        })
    }
}

/// The folders of runs below `runs`, oldest first: their names begin with the date.
pub fn all(runs: &Path) -> Vec<PathBuf> {
    below(runs, |path| path.join(FILE_NAME).is_file())
}

/// The folders of studies below `runs`, oldest first.
pub fn studies(runs: &Path) -> Vec<PathBuf> {
    below(runs, ansatz_engine::tune::is_study)
}

fn below(runs: &Path, is_wanted: impl Fn(&Path) -> bool) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(runs).into_iter().flatten().filter_map(Result::ok);
    let mut folders: Vec<PathBuf> =
        entries.map(|entry| entry.path()).filter(|path| is_wanted(path)).collect();
    folders.sort();
    folders
}

/// The folder of a run given as a folder, an id, or the unique beginning of one.
///
/// # Errors
/// When there is no such run, or several.
pub fn find(named: &str, runs: &Path, current: &Path) -> Result<PathBuf, Failure> {
    let as_folder = current.join(named);
    if as_folder.join(FILE_NAME).is_file() || ansatz_engine::tune::is_study(&as_folder) {
        return Ok(as_folder);
    }
    let known = all(runs);
    let name_of = |path: &PathBuf| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    if let Some(exact) = known.iter().find(|path| name_of(path) == named) {
        return Ok(exact.clone());
    }
    let alike: Vec<&PathBuf> =
        known.iter().filter(|path| !named.is_empty() && name_of(path).contains(named)).collect();
    match alike.as_slice() {
        [one] => Ok((*one).clone()),
        [] => Err(Failure::usage(format!("there is no run {}", text::name(named)))
            .hint("give a run's folder or id; `ansatz runs` lists those below the runs folder")),
        [first, second, ..] => {
            let (first, second) = (name_of(first), name_of(second));
            Err(Failure::usage(format!("{} could be several runs", text::name(named))).hint(format!(
                "say more of its id, e.g. {} or {}",
                text::name(&first),
                text::name(&second)
            )))
        }
    }
}

/// The latest run that is not over.
///
/// # Errors
/// When there is none.
pub fn latest_unfinished(runs: &Path) -> Result<PathBuf, Failure> {
    let mut damaged = None;
    for folder in all(runs).into_iter().rev() {
        match ansatz_journal::read(&folder) {
            Ok(replay) if replay.status != Status::Finished => return Ok(folder),
            Ok(_) => {}
            Err(error) => damaged = damaged.or(Some(chain(&error))),
        }
    }
    let failure = Failure::new(Exit::Usage, format!("no run below {} is unfinished", runs.display()));
    Err(match damaged {
        Some(error) => failure.hint(format!("one could not be read: {error}")),
        None => failure.hint("give the folder of a run, or start one with `ansatz run DATA`"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(names: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for name in names {
            std::fs::create_dir(folder.path().join(name)).unwrap();
            std::fs::write(folder.path().join(name).join(FILE_NAME), "").unwrap();
        }
        std::fs::create_dir(folder.path().join("not-a-run")).unwrap();
        folder
    }

    fn found(named: &str, names: &[&str]) -> String {
        let runs = runs(names);
        match find(named, runs.path(), Path::new("/")) {
            Ok(path) => path.file_name().unwrap().to_string_lossy().into_owned(),
            Err(failure) => format!("{}; {}", failure.message, failure.hint.unwrap_or_default()),
        }
    }

    #[test]
    fn a_run_is_found_by_any_unique_part_of_its_id() {
        let names = ["20260305-140200-4f2a-churn", "20260305-150000-77aa-churn"];
        assert_eq!(found("20260305-150000-77aa-churn", &names), names[1]);
        assert_eq!(found("4f2a", &names), names[0]);
        assert!(found("churn", &names).starts_with("`churn` could be several runs; say more"));
        assert!(found("not-a-run", &names).starts_with("there is no run `not-a-run`"));
        assert!(found("", &names).starts_with("there is no run"));
    }

    #[test]
    fn the_folder_itself_is_as_good_as_the_id() {
        let runs = runs(&["r"]);
        let folder = runs.path().join("r");
        assert_eq!(find(folder.to_str().unwrap(), Path::new("/nowhere"), Path::new("/")).unwrap(), folder);
    }

    #[test]
    fn without_an_unfinished_run_the_user_is_told() {
        let failure = latest_unfinished(Path::new("/nowhere")).unwrap_err();
        assert_eq!(failure.message, "no run below /nowhere is unfinished");
    }
}
