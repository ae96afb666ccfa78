//! What is known of a task beside its run's journal: how it came, and where it stands before its run has begun for good. It lies
//! in a file, so that a server that starts anew knows its tasks.
//!
//! Until the run has begun for good, the file lies beside the place of the run (`ID.task.json`); from then on in its folder
//! (`task.json`), where it tells how the task can be done again.
//!
//! Invariant: the file is written before what it says takes effect, and it is whole or not there.

use ansatz_engine::Options;
use ansatz_session::Open;
use serde::{Deserialize, Serialize};
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// How the names of files beside the runs end.
pub const ENDING: &str = ".task.json";
/// Name of the file in a run's folder.
const INSIDE: &str = "task.json";

/// A task as its file tells it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    /// What it is run with.
    pub options: Options,
    /// Where it stands.
    pub stand: Stand,
    /// Whether a change was approved before its plan was made: it begins when there is one.
    #[serde(default)]
    pub is_approved: bool,
    /// What has to be known before it can begin.
    #[serde(default)]
    pub question: Option<Question>,
    /// Whether it was cancelled.
    #[serde(default)]
    pub is_cancelled: bool,
    /// Why there is no result, where there is none.
    #[serde(default)]
    pub error: Option<Why>,
    /// The caller's own name for the request that it came of.
    #[serde(default)]
    pub key: Option<Key>,
    /// Events of earlier lives of the run, which asked something: numbers of later ones go on from here.
    #[serde(default)]
    pub events_before: u64,
    /// When it was taken, in seconds since 1970.
    pub at: u64,
}

/// Where a task stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stand {
    /// It waits for a place, or has one and may still ask something.
    Queued,
    /// Its plan wants a yes.
    NeedsYes,
    /// Its run has begun for good: the journal tells the rest.
    Begun,
    /// Its run was interrupted and is to go on when there is a place.
    GoesOn,
}

/// A question that is open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// What is asked.
    pub question: String,
    /// Columns of the training file.
    pub columns: Vec<String>,
}

impl From<Open> for Question {
    fn from(open: Open) -> Self {
        Self { question: open.question, columns: open.columns }
    }
}

impl From<Question> for Open {
    fn from(question: Question) -> Self {
        Self { question: question.question, columns: question.columns }
    }
}

/// Why something is not there, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Why {
    /// One line.
    pub detail: String,
    /// Advice.
    pub hint: Option<String>,
}

/// A caller's own name for a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// The `Idempotency-Key`.
    pub key: String,
    /// What was asked with it.
    pub request: String,
}

impl Kept {
    /// A task that was just taken.
    pub fn new(options: Options, stand: Stand, key: Option<Key>, at: u64) -> Self {
        Self {
            options,
            stand,
            is_approved: false,
            question: None,
            is_cancelled: false,
            error: None,
            key,
            events_before: 0,
            at,
        }
    }

    /// What a file tells; `None` when there is none that can be read.
    pub fn read(path: &Path) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(path).ok()?).ok()
    }

    /// Writes the file, on disk before this returns.
    ///
    /// # Errors
    /// What the system reports.
    pub fn write(&self, path: &Path) -> std::io::Result<()> {
        let unfinished = path.with_extension("json.part");
        let written = std::fs::File::create(&unfinished)
            .and_then(|mut file| file.write_all(&serde_json::to_vec(self)?).and_then(|()| file.sync_all()))
            .and_then(|()| std::fs::rename(&unfinished, path));
        if written.is_err() {
            let _ = std::fs::remove_file(&unfinished);
        }
        written
    }
}

/// The place of a task's file beside the runs.
pub fn beside(runs: &Path, id: &str) -> PathBuf {
    runs.join(format!("{id}{ENDING}"))
}

/// The place of a task's file in its run's folder.
pub fn inside(folder: &Path) -> PathBuf {
    folder.join(INSIDE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::options;

    #[test]
    fn a_file_tells_what_was_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = beside(folder.path(), "first");
        assert_eq!(Kept::read(&path), None);
        let key = Key { key: "one".into(), request: "{}".into() };
        let mut kept = Kept::new(options(folder.path(), "first"), Stand::NeedsYes, Some(key), 7);
        kept.question = Some(Question { question: "which?".into(), columns: vec!["y".into()] });
        (kept.is_cancelled, kept.events_before) = (true, 5);
        kept.write(&path).unwrap();
        assert_eq!(Kept::read(&path), Some(kept.clone()));
        kept.write(&path).unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing unfinished stays");
        std::fs::write(&path, "{").unwrap();
        assert_eq!(Kept::read(&path), None);
        assert!(kept.write(&folder.path().join("absent/x.task.json")).is_err());
    }
}
