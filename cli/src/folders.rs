//! Finding the runs and studies that there are, by folder or by id, and reading what they hold. Nothing is written here.

use crate::exit::{Exit, Failure};
use ansatz_core::event::Event;
use ansatz_core::outcome::RunResult;
use ansatz_core::status::Status;
use ansatz_engine::tune::{self, TuneEnd};
use ansatz_journal::{FILE_NAME, JournalError};
use ansatz_report::{Live, text};
use ansatz_tuner::operation::Operation;
use ansatz_tuner::trial::Direction;
use serde::{Deserialize, Serialize};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// Name of the file that keeps what a study was asked for; written once, when it begins.
const STUDY_REQUEST: &str = "tune.json";
/// Name of a study's result.
const STUDY_RESULT: &str = "result.json";

/// What a folder holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A run: data in, a model out.
    Run,
    /// A study: the parameters of a command are searched.
    Study,
}

impl Kind {
    /// What a folder holds; none when it is neither.
    pub fn of(folder: &Path) -> Option<Self> {
        if tune::is_study(folder) {
            return Some(Self::Study);
        }
        folder.join(FILE_NAME).is_file().then_some(Self::Run)
    }
}

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

/// A study that could be read: as far as its diary goes, whether it is over or not.
#[derive(Debug)]
pub struct Study {
    /// The command that it runs.
    pub command: String,
    /// Which values are better; under the first goal, where there are several.
    pub direction: Direction,
    /// Seconds since 1970 when it began; 0 where the file system does not tell.
    pub started_at: u64,
    /// The best value so far, under the first goal.
    pub best: Option<f64>,
    /// Trials that ended.
    pub trials: u64,
    /// Why it ended; none while it has not.
    end: Option<TuneEnd>,
}

/// A line of a study's diary: what its search did, where the line tells that.
#[derive(Deserialize)]
struct DiaryLine {
    what: Option<Operation>,
}

/// What a study's result says about its end.
#[derive(Deserialize)]
struct Ended {
    end: TuneEnd,
}

impl Study {
    /// Reads the study in a folder.
    ///
    /// # Errors
    /// When there is none, or it is damaged.
    pub fn read(folder: &Path) -> Result<Self, Failure> {
        let mut study = Self {
            command: tune::options_of(folder)?.command.join(" "),
            direction: Direction::Minimize,
            started_at: written_at(&folder.join(STUDY_REQUEST)),
            best: None,
            trials: 0,
            end: end_of(folder)?,
        };
        let path = folder.join(tune::FILE_NAME);
        let bytes = std::fs::read(&path).map_err(|error| Failure::io("reading", &path, &error))?;
        // A line without its end is torn, and counts for nothing.
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').unwrap_or(0);
        let lines = bytes[..whole].split(|byte| *byte == b'\n').enumerate();
        for (place, line) in lines.filter(|(_, line)| !line.is_empty()) {
            let line: DiaryLine = serde_json::from_slice(line).map_err(|error| {
                Failure::new(Exit::Failed, format!("{}, line {}: {error}", path.display(), place + 1))
            })?;
            study.take(line.what.as_ref());
        }
        Ok(study)
    }

    /// Whether it can be taken up: it was cut off, or the user stopped it.
    pub fn is_unfinished(&self) -> bool {
        self.end.is_none_or(|end| end == TuneEnd::Interrupted)
    }

    fn take(&mut self, operation: Option<&Operation>) {
        match operation {
            // The first operation of every study, which tells what is better.
            Some(Operation::Started { goals, .. }) => {
                self.direction = goals.first().copied().unwrap_or(self.direction);
            }
            Some(Operation::Completed { values, .. }) => {
                self.trials += 1;
                let loss = |value: &f64| self.direction.loss(*value);
                let known = self.best.into_iter().chain(values.first().copied());
                self.best = known.min_by(|a, b| loss(a).total_cmp(&loss(b)));
            }
            Some(Operation::Pruned { .. } | Operation::Failed { .. }) => self.trials += 1,
            _ => {}
        }
    }
}

/// Seconds since 1970 when a file was written; 0 where the file system does not tell.
fn written_at(path: &Path) -> u64 {
    let written = std::fs::metadata(path).and_then(|metadata| metadata.modified());
    let since = written.ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    since.map_or(0, |since| since.as_secs())
}

/// Why a study ended; none while it has no result.
fn end_of(folder: &Path) -> Result<Option<TuneEnd>, Failure> {
    let path = folder.join(STUDY_RESULT);
    let text = match std::fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Failure::io("reading", &path, &error)),
    };
    let ended: Ended = serde_json::from_slice(&text)
        .map_err(|error| Failure::new(Exit::Failed, format!("{} is damaged: {error}", path.display())))?;
    Ok(Some(ended.end))
}

/// The folders of runs below `runs`, oldest first: their names begin with the date.
pub fn all(runs: &Path) -> Vec<PathBuf> {
    below(runs, &[Kind::Run])
}

/// The folders of studies below `runs`, oldest first.
pub fn studies(runs: &Path) -> Vec<PathBuf> {
    below(runs, &[Kind::Study])
}

/// The folders of runs and studies below `runs`, oldest first.
pub fn runs_and_studies(runs: &Path) -> Vec<PathBuf> {
    below(runs, &[Kind::Run, Kind::Study])
}

fn below(runs: &Path, kinds: &[Kind]) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(runs).into_iter().flatten().filter_map(Result::ok);
    let is_wanted = |path: &PathBuf| Kind::of(path).is_some_and(|kind| kinds.contains(&kind));
    let mut folders: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(is_wanted).collect();
    folders.sort();
    folders
}

/// The folder of a run given as a folder, an id, or a part of one that no other run has.
///
/// # Errors
/// When there is no such run, or several.
pub fn find(named: &str, runs: &Path, current: &Path) -> Result<PathBuf, Failure> {
    let as_folder = current.join(named);
    let kind = Kind::of(&as_folder);
    if kind == Some(Kind::Run) {
        return Ok(as_folder);
    }
    let alike = meant(named, all(runs));
    if alike.is_empty() && (kind.is_some() || meant(named, studies(runs)).len() == 1) {
        return Err(Failure::usage(format!("{} is a study, not a run", text::name(named)))
            .hint("give a run's folder or id; studies are taken up by `ansatz resume`"));
    }
    only(named, alike, "run", "runs")
}

/// The folder of a run or study given as a folder, an id, or a part of one that no other has.
///
/// # Errors
/// When there is no such run or study, or several.
pub fn find_run_or_study(named: &str, runs: &Path, current: &Path) -> Result<PathBuf, Failure> {
    let as_folder = current.join(named);
    if Kind::of(&as_folder).is_some() {
        return Ok(as_folder);
    }
    only(named, meant(named, runs_and_studies(runs)), "run or study", "runs or studies")
}

/// The last part of a folder's path: the id of what lies there.
pub fn id(folder: &Path) -> String {
    folder.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Those that a name can mean: the one with this very id, or all with it as a part of theirs.
fn meant(named: &str, known: Vec<PathBuf>) -> Vec<PathBuf> {
    if let Some(exact) = known.iter().find(|path| id(path) == named) {
        return vec![exact.clone()];
    }
    known.into_iter().filter(|path| !named.is_empty() && id(path).contains(named)).collect()
}

/// The only one that a name means.
fn only(named: &str, mut alike: Vec<PathBuf>, one: &str, several: &str) -> Result<PathBuf, Failure> {
    if let [first, second, ..] = alike.as_slice() {
        let (first, second) = (text::name(&id(first)), text::name(&id(second)));
        return Err(Failure::usage(format!("{} could be several {several}", text::name(named)))
            .hint(format!("say more of its id, e.g. {first} or {second}")));
    }
    alike.pop().ok_or_else(|| {
        Failure::usage(format!("there is no {one} {}", text::name(named)))
            .hint(format!("give a {one}'s folder or id; `ansatz runs` lists those below the runs folder"))
    })
}

/// The latest run that is not over.
///
/// # Errors
/// When there is none.
pub fn latest_unfinished(runs: &Path) -> Result<PathBuf, Failure> {
    latest(all(runs), runs, "run")
}

/// The latest run or study that is not over.
///
/// # Errors
/// When there is none.
pub fn latest_unfinished_run_or_study(runs: &Path) -> Result<PathBuf, Failure> {
    latest(runs_and_studies(runs), runs, "run or study")
}

fn latest(folders: Vec<PathBuf>, runs: &Path, what: &str) -> Result<PathBuf, Failure> {
    let mut damaged = None;
    for folder in folders.into_iter().rev() {
        match is_unfinished(&folder) {
            Ok(true) => return Ok(folder),
            Ok(false) => {}
            Err(failure) => damaged = damaged.or(Some(failure.message)),
        }
    }
    let failure = Failure::usage(format!("no {what} below {} is unfinished", runs.display()));
    Err(match damaged {
        Some(error) => failure.hint(format!("one could not be read: {error}")),
        None => failure.hint(format!("give the folder of a {what}, or start a run with `ansatz run DATA`")),
    })
}

fn is_unfinished(folder: &Path) -> Result<bool, Failure> {
    if Kind::of(folder) == Some(Kind::Study) {
        return Ok(Study::read(folder)?.is_unfinished());
    }
    Ok(ansatz_journal::read(folder)?.status != Status::Finished)
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use ansatz_core::seed::Seed;
    use ansatz_tuner::space::Space;
    use ansatz_tuner::trial::TrialNumber;
    use serde_json::json;

    /// A folder of a study as `tune` leaves it after these values, and after this end unless it was killed.
    pub fn study(folder: &Path, direction: Direction, values: &[Option<f64>], end: Option<TuneEnd>) {
        std::fs::create_dir_all(folder).unwrap();
        let space =
            Space::from_toml("[[parameter]]\nname = 'x'\ntype = 'float'\nlow = 0\nhigh = 1\n").unwrap();
        let options = json!({
            "space": space,
            "command": ["./bench.sh", "{x}"],
            "folder": "/",
            "out": folder,
            "direction": direction,
            "trials": 9,
            "wall": null,
            "seed": 0,
            "sampler": "auto",
            "parallel": 1,
            "repeats": 1,
            "timeout": null,
            "confirm": 0,
            "starts": [],
            "description": null,
        });
        std::fs::write(folder.join(STUDY_REQUEST), options.to_string()).unwrap();
        let line = |what: &Operation| format!("{}\n", json!({"line": "study", "at_s": 0.1, "what": what}));
        let mut diary = line(&Operation::Started {
            space: Box::new(space),
            goals: vec![direction],
            seed: Seed(0),
            budget: Some(9),
            sampler: "auto".into(),
        });
        for (number, value) in (0..).map(TrialNumber).zip(values) {
            let what = match value {
                Some(value) => Operation::Completed { number, values: vec![*value] },
                None => Operation::Failed { number, reason: "it exited with 1".into() },
            };
            let run = json!({"line": "run", "at_s": 0.1, "trial": number, "value": value, "wall_s": 0.1});
            diary += &(run.to_string() + "\n" + &line(&what));
        }
        std::fs::write(folder.join(tune::FILE_NAME), diary).unwrap();
        if let Some(end) = end {
            std::fs::write(folder.join(STUDY_RESULT), json!({"end": end, "trials": []}).to_string()).unwrap();
        }
    }

    /// A folder of runs that were cut off before their first event.
    pub fn runs(names: &[&str]) -> tempfile::TempDir {
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
        let failure = latest_unfinished_run_or_study(Path::new("/nowhere")).unwrap_err();
        assert_eq!(failure.message, "no run or study below /nowhere is unfinished");
    }

    #[test]
    fn a_study_is_found_like_a_run() {
        let runs = runs(&["20260305-140200-4f2a-churn"]);
        let path = runs.path().join("20260305-150000-77aa-churn");
        study(&path, Direction::Minimize, &[], None);
        let find = |named: &str| find_run_or_study(named, runs.path(), Path::new("/"));
        assert_eq!(find("20260305-150000-77aa-churn"), Ok(path.clone()));
        assert_eq!(find("77aa"), Ok(path.clone()));
        let by_folder = find_run_or_study(path.to_str().unwrap(), Path::new("/nowhere"), Path::new("/"));
        assert_eq!(by_folder, Ok(path));
        assert_eq!(find("4f2a"), Ok(runs.path().join("20260305-140200-4f2a-churn")));
        let failure = find("churn").unwrap_err();
        assert_eq!(failure.message, "`churn` could be several runs or studies");
        assert!(failure.hint.is_some_and(|hint| hint.contains("4f2a") && hint.contains("77aa")));
        assert_eq!(find("not-a-run").unwrap_err().message, "there is no run or study `not-a-run`");
    }

    #[test]
    fn a_study_does_not_stand_in_for_a_run() {
        let runs = runs(&["20260305-140200-4f2a-churn"]);
        let path = runs.path().join("20260305-150000-77aa-churn");
        study(&path, Direction::Minimize, &[], None);
        let find = |named: &str| find(named, runs.path(), Path::new("/"));
        assert_eq!(find("churn"), Ok(runs.path().join("20260305-140200-4f2a-churn")));
        for named in ["77aa", path.to_str().unwrap()] {
            let failure = find(named).unwrap_err();
            assert!(failure.message.ends_with("is a study, not a run"), "{}", failure.message);
            assert!(failure.hint.is_some_and(|hint| hint.contains("`ansatz resume`")));
        }
        assert_eq!(latest_unfinished(runs.path()), Ok(runs.path().join("20260305-140200-4f2a-churn")));
    }

    #[test]
    fn a_study_is_unfinished_until_a_result_says_otherwise() {
        let folder = tempfile::tempdir().unwrap();
        for (end, expected) in [
            (None, true),
            (Some(TuneEnd::Interrupted), true),
            (Some(TuneEnd::Trials), false),
            (Some(TuneEnd::Time), false),
            (Some(TuneEnd::Exhausted), false),
        ] {
            let path = folder.path().join(format!("{end:?}"));
            study(&path, Direction::Minimize, &[Some(1.0)], end);
            assert_eq!(Study::read(&path).unwrap().is_unfinished(), expected, "{end:?}");
        }
    }

    #[test]
    fn the_latest_unfinished_of_both_kinds_is_taken() {
        let runs = runs(&["20260305-140200-4f2a-a"]);
        let put = |name: &str, end: Option<TuneEnd>| {
            study(&runs.path().join(name), Direction::Minimize, &[Some(1.0)], end);
        };
        let latest = || id(&latest_unfinished_run_or_study(runs.path()).unwrap());
        put("20260304-000000-0001-b", None);
        put("20260307-000000-0002-b", Some(TuneEnd::Trials));
        assert_eq!(latest(), "20260305-140200-4f2a-a", "a later run goes before an earlier study");
        put("20260306-000000-0003-b", Some(TuneEnd::Interrupted));
        assert_eq!(latest(), "20260306-000000-0003-b");
        put("20260308-000000-0004-b", None);
        assert_eq!(latest(), "20260308-000000-0004-b");
    }

    #[test]
    fn a_damaged_study_is_passed_over_and_told() {
        let folder = tempfile::tempdir().unwrap();
        let damaged = folder.path().join("2");
        study(&folder.path().join("1"), Direction::Minimize, &[Some(1.0)], Some(TuneEnd::Trials));
        study(&damaged, Direction::Minimize, &[Some(1.0)], Some(TuneEnd::Trials));
        std::fs::write(damaged.join(STUDY_RESULT), "{").unwrap();
        let failure = latest_unfinished_run_or_study(folder.path()).unwrap_err();
        assert!(failure.hint.is_some_and(|hint| hint.contains("result.json is damaged")));
        study(&folder.path().join("1"), Direction::Minimize, &[Some(1.0)], Some(TuneEnd::Interrupted));
        assert_eq!(latest_unfinished_run_or_study(folder.path()), Ok(folder.path().join("1")));
    }

    #[test]
    fn the_diary_tells_how_far_a_study_came() {
        let folder = tempfile::tempdir().unwrap();
        let values = [Some(0.5), None, Some(0.25), Some(0.75)];
        for (direction, best) in [(Direction::Minimize, 0.25), (Direction::Maximize, 0.75)] {
            study(folder.path(), direction, &values, None);
            let read = Study::read(folder.path()).unwrap();
            assert_eq!((read.best, read.trials), (Some(best), 4));
            assert!(read.started_at > 0);
        }
        let path = folder.path().join(tune::FILE_NAME);
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, &text[..text.len() - 1]).unwrap();
        let torn = Study::read(folder.path()).unwrap();
        assert_eq!((torn.best, torn.trials), (Some(0.5), 3), "a torn last line counts for nothing");
        std::fs::write(&path, format!("{text}nonsense\n")).unwrap();
        assert!(Study::read(folder.path()).unwrap_err().message.contains("study.jsonl, line 10: "));
    }
}
