//! The study on disk: `study.jsonl`, one line for each thing that happened, synced before anything is built upon it.
//!
//! Invariant: records and gives back; decides nothing. A torn last line is dropped and said.

use crate::error::RunError;
use ansatz_core::bill::Bill;
use ansatz_tuner::operation::Operation;
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Name of the file inside the study's folder.
pub const FILE_NAME: &str = "study.jsonl";
/// Largest file that is read.
const BYTES_MAX: u64 = 1 << 30;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "line", rename_all = "snake_case")]
pub enum Line {
    /// The study went on.
    Study {
        /// Seconds of the study so far.
        at_s: f64,
        /// What happened.
        what: Operation,
    },
    /// The command ran once for a trial.
    Run {
        /// Seconds of the study so far.
        at_s: f64,
        /// The trial's number.
        trial: u32,
        /// What it printed; none when it failed.
        value: Option<f64>,
        /// Its values under further goals.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        more: Vec<f64>,
        /// Seconds that it took.
        wall_s: f64,
    },
    /// A trial was stopped on its way.
    Stopped {
        /// Seconds of the study so far.
        at_s: f64,
        /// The trial's number.
        trial: u32,
        /// Why.
        why: String,
    },
    /// A language model answered; what all its answers have cost so far.
    Spent {
        /// Seconds of the study so far.
        at_s: f64,
        /// The bill.
        bill: Box<Bill>,
    },
    /// Default and best were measured side by side once more.
    Compared {
        /// Seconds of the study so far.
        at_s: f64,
        /// What the default gave.
        default: f64,
        /// What the best gave.
        best: f64,
    },
}

impl Line {
    /// Seconds of the study when it happened.
    pub fn at_s(&self) -> f64 {
        match self {
            Self::Study { at_s, .. }
            | Self::Run { at_s, .. }
            | Self::Stopped { at_s, .. }
            | Self::Spent { at_s, .. }
            | Self::Compared { at_s, .. } => *at_s,
        }
    }
}

/// The file, open for writing by this process alone.
#[derive(Debug)]
pub struct Diary {
    path: PathBuf,
    file: File,
}

impl Diary {
    /// Starts the diary of a new study.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn create(folder: &Path) -> Result<Self, RunError> {
        let path = folder.join(FILE_NAME);
        let file = OpenOptions::new().append(true).create_new(true).open(&path);
        Self::over(path, file)
    }

    /// Takes up the diary of an interrupted study: what it holds, and the bytes of a torn last line that were dropped.
    ///
    /// # Errors
    /// When there is none, it is damaged, or another process writes it.
    pub fn open(folder: &Path) -> Result<(Self, Vec<Line>, usize), RunError> {
        let path = folder.join(FILE_NAME);
        let size = path.metadata().map_err(|error| {
            RunError::usage(format!("{}: {error}", path.display()))
                .hint("give the folder of a study that `ansatz tune` has written")
        })?;
        if size.len() > BYTES_MAX {
            return Err(RunError::failed(format!("{} is larger than 1 GiB", path.display())));
        }
        let diary = Self::over(path.clone(), OpenOptions::new().append(true).open(&path))?;
        let bytes = std::fs::read(&path).map_err(|error| RunError::io("reading", &path, &error))?;
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let mut lines = Vec::new();
        for (place, text) in
            bytes[..whole].split(|byte| *byte == b'\n').enumerate().filter(|(_, t)| !t.is_empty())
        {
            lines.push(serde_json::from_slice(text).map_err(|error| {
                RunError::failed(format!("{}, line {}: {error}", path.display(), place + 1))
                    .hint("it was written by another version or damaged; start the study anew with --out")
            })?);
        }
        if whole < bytes.len() {
            diary.file.set_len(whole as u64).map_err(|error| RunError::io("mending", &path, &error))?;
        }
        Ok((diary, lines, bytes.len() - whole))
    }

    /// What the answers of a language model have cost, by the diary of a study.
    ///
    /// # Errors
    /// As [`Diary::open`].
    pub fn spent(folder: &Path) -> Result<Option<Bill>, RunError> {
        let (_, lines, _) = Self::open(folder)?;
        Ok(lines.into_iter().rev().find_map(|line| match line {
            Line::Spent { bill, .. } => Some(*bill),
            _ => None,
        }))
    }

    fn over(path: PathBuf, file: std::io::Result<File>) -> Result<Self, RunError> {
        let file = file.map_err(|error| RunError::io("opening", &path, &error))?;
        file.try_lock().map_err(|_| {
            RunError::usage(format!("another process is at work on {}", path.display()))
                .hint("wait for it, or give another folder with --out")
        })?;
        Ok(Self { path, file })
    }

    /// Writes lines; they are on disk when this returns.
    ///
    /// # Errors
    /// When the disk is full or broken.
    pub fn write(&mut self, lines: &[Line]) -> Result<(), RunError> {
        if lines.is_empty() {
            return Ok(());
        }
        let mut text = Vec::new();
        for line in lines {
            serde_json::to_writer(&mut text, line)
                .map_err(|error| RunError::failed(format!("writing JSON: {error}")))?;
            text.push(b'\n');
        }
        let done = self.file.write_all(&text).and_then(|()| self.file.sync_data());
        done.map_err(|error| RunError::io("writing", &self.path, &error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(trial: u32) -> Line {
        Line::Run { at_s: 0.1, trial, value: Some(0.1 + 0.2), more: Vec::new(), wall_s: 1e-3 }
    }

    #[test]
    fn lines_come_back_as_they_were_and_a_torn_one_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let mut diary = Diary::create(folder.path()).unwrap();
        diary.write(&[run(0), run(1)]).unwrap();
        drop(diary);
        let path = folder.path().join(FILE_NAME);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes.extend(b"{\"line\":\"ru");
        std::fs::write(&path, &bytes).unwrap();
        let (mut diary, lines, torn) = Diary::open(folder.path()).unwrap();
        assert_eq!((lines, torn), (vec![run(0), run(1)], 11));
        diary.write(&[run(2)]).unwrap();
        drop(diary);
        assert_eq!(Diary::open(folder.path()).unwrap().1.len(), 3);
    }

    #[test]
    fn two_processes_do_not_write_one_study() {
        let folder = tempfile::tempdir().unwrap();
        let _first = Diary::create(folder.path()).unwrap();
        assert!(Diary::open(folder.path()).unwrap_err().message.contains("another process"));
    }

    #[test]
    fn damage_is_named_by_its_line() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(FILE_NAME), "{\"line\":\"what\"}\n").unwrap();
        assert!(Diary::open(folder.path()).unwrap_err().message.contains("line 1"));
    }
}
