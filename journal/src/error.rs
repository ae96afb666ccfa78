//! What can go wrong with the files of a run: where (the path), what (the kind), what to do (the hint).

use ansatz_core::ids::ArtifactId;
use ansatz_core::status::IllegalEvent;
use std::io;
use std::path::{Path, PathBuf};

/// A file of a run could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("{}: {kind}", path.display())]
pub struct JournalError {
    /// The file or folder.
    pub path: PathBuf,
    /// What is wrong; part of the message, hence not its source.
    pub kind: JournalErrorKind,
}

/// What is wrong with a file of a run.
#[derive(Debug, thiserror::Error)]
pub enum JournalErrorKind {
    /// There is a run already.
    #[error("a journal is there already")]
    AlreadyExists,
    /// There is no run.
    #[error("there is no journal")]
    Missing,
    /// Another process writes to this run.
    #[error("another process{} is writing to this run", .pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default())]
    Held {
        /// The process, when it could be read.
        pid: Option<u32>,
    },
    /// A line before the last is not what was written.
    #[error("line {line} is damaged: {problem}")]
    Corrupt {
        /// Number of the line, from 1.
        line: u64,
        /// What was seen.
        problem: String,
    },
    /// A line is whole, but this program does not know what it says.
    #[error("line {line} cannot be understood: {problem}")]
    Unknown {
        /// Number of the line, from 1.
        line: u64,
        /// What was seen.
        problem: String,
    },
    /// The event cannot follow what has happened; on writing nothing was written.
    #[error("line {line}: {illegal}")]
    Illegal {
        /// Number of the line, from 1.
        line: u64,
        /// Status and event.
        illegal: IllegalEvent,
    },
    /// The event would not read back as it is, e.g. because a number is not finite. Nothing was written.
    #[error("event `{event}` would not read back: {problem}")]
    Unrepresentable {
        /// Name of the event.
        event: &'static str,
        /// What is wrong.
        problem: String,
    },
    /// An earlier write failed; what is on disk is unknown, so nothing more is written.
    #[error("nothing more is written because an earlier write failed: {0}")]
    Closed(String),
    /// No space is left, or a quota is used up.
    #[error("the disk is full")]
    DiskFull,
    /// The id names no blob, for it is not a hash.
    #[error("`{0}` is not the id of a blob")]
    NotABlob(ArtifactId),
    /// The blob's bytes are not those that were put.
    #[error("the content has changed: its hash is {found}")]
    Changed {
        /// Id of the bytes as they are.
        found: ArtifactId,
    },
    /// Anything else that the system reports.
    #[error("{0}")]
    Io(io::Error),
}

impl JournalError {
    pub(crate) fn new(path: &Path, kind: JournalErrorKind) -> Self {
        Self { path: path.to_path_buf(), kind }
    }

    pub(crate) fn io(path: &Path, error: io::Error) -> Self {
        let kind = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => JournalErrorKind::DiskFull,
            _ => JournalErrorKind::Io(error),
        };
        Self::new(path, kind)
    }

    /// Whether no space is left, or a quota is used up.
    pub fn is_disk_full(&self) -> bool {
        matches!(self.kind, JournalErrorKind::DiskFull)
    }

    /// What to do about it, for a person to read; `None` when there is nothing general to say.
    pub fn hint(&self) -> Option<String> {
        use JournalErrorKind as K;
        let hint = match &self.kind {
            K::AlreadyExists => "resume that run, or choose another folder",
            K::Missing => "give the folder of a run: the one that holds journal.jsonl",
            K::Held { .. } => "wait for it or stop it, then try again",
            K::Corrupt { .. } | K::Changed { .. } => {
                "restore the file from a copy, or start a new run: what it recorded cannot be trusted"
            }
            K::Unknown { .. } | K::Illegal { .. } => {
                "it was probably written by another version: use that one, or start a new run"
            }
            K::Closed(_) => "mend the cause, then resume the run",
            K::DiskFull => "free some space, then resume the run",
            K::Unrepresentable { .. } | K::NotABlob(_) | K::Io(_) => return None,
        };
        Some(hint.to_string())
    }
}
