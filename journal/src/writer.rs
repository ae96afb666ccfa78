//! The one writer of a journal.

use crate::FILE_NAME;
use crate::blobs::Blobs;
use crate::disk::{Disk, sync_folder};
use crate::error::{JournalError, JournalErrorKind};
use crate::lock::WriterLock;
use crate::reader::{Replay, read};
use crate::record::encode;
use ansatz_core::clock::Clock;
use ansatz_core::event::Event;
use ansatz_core::status::{Status, after, name};
use std::fs::OpenOptions;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The journal of a run, open for writing. Dropping it lets another process take the run over.
pub struct Journal {
    path: PathBuf,
    disk: Box<dyn Disk>,
    clock: Arc<dyn Clock>,
    /// Reading of the clock that is the run's time zero; earlier processes' time counts, downtime does not.
    opened: Duration,
    /// The run's time when this process took it over.
    before: Duration,
    seq: u64,
    status: Status,
    /// Why nothing more is written. After a failed sync the kernel may have dropped the pages it could not write,
    /// and a second sync would report success: only reading the file anew tells what is there.
    closed: Option<String>,
    _lock: WriterLock,
}

impl Journal {
    /// Starts a journal in a folder, which is made when it is not there.
    ///
    /// # Errors
    /// [`JournalErrorKind::AlreadyExists`], [`JournalErrorKind::Held`], and what the system reports.
    pub fn create(folder: &Path, clock: Arc<dyn Clock>) -> Result<Self, JournalError> {
        std::fs::create_dir_all(folder).map_err(|error| JournalError::io(folder, error))?;
        let lock = WriterLock::take(folder)?;
        let path = folder.join(FILE_NAME);
        let file =
            OpenOptions::new().append(true).create_new(true).open(&path).map_err(|error| {
                match error.kind() {
                    io::ErrorKind::AlreadyExists => JournalError::new(&path, JournalErrorKind::AlreadyExists),
                    _ => JournalError::io(&path, error),
                }
            })?;
        sync_folder(folder).map_err(|error| JournalError::io(folder, error))?;
        Ok(Self::over(path, Box::new(file), clock, lock))
    }

    /// Takes over the journal of a folder: replays it, cuts off a torn last line (the replay says how many bytes)
    /// and removes what an interrupted [`Blobs::put`] left behind.
    ///
    /// # Errors
    /// Those of [`read`], [`JournalErrorKind::Held`], and what the system reports.
    pub fn open(folder: &Path, clock: Arc<dyn Clock>) -> Result<(Self, Replay), JournalError> {
        let path = folder.join(FILE_NAME);
        if !path.exists() {
            return Err(JournalError::new(&path, JournalErrorKind::Missing));
        }
        let lock = WriterLock::take(folder)?;
        let replay = read(folder)?;
        let io = |error| JournalError::io(&path, error);
        let file = OpenOptions::new().append(true).open(&path).map_err(io)?;
        if replay.torn_bytes > 0 {
            file.set_len(replay.bytes).map_err(io)?;
        }
        // What was written without a sync is made durable before anything is built upon it.
        file.sync_all().map_err(io)?;
        Blobs::new(folder).sweep();
        let mut journal = Self::over(path, Box::new(file), clock, lock);
        journal.before = replay.records.last().map(|record| record.at).unwrap_or_default();
        journal.seq = replay.records.len() as u64;
        journal.status = replay.status;
        Ok((journal, replay))
    }

    fn over(path: PathBuf, disk: Box<dyn Disk>, clock: Arc<dyn Clock>, lock: WriterLock) -> Self {
        let opened = clock.monotonic();
        let (before, seq, status) = (Duration::ZERO, 0, Status::New);
        Self { path, disk, clock, opened, before, seq, status, closed: None, _lock: lock }
    }

    /// Writes an event and returns its number once it is on disk. An effect may follow, never precede it.
    ///
    /// # Errors
    /// [`JournalErrorKind::Illegal`] and [`JournalErrorKind::Unrepresentable`] leave the journal as it was.
    /// [`JournalErrorKind::DiskFull`] and what else the system reports close it: every later write is refused.
    pub fn append(&mut self, event: &Event) -> Result<u64, JournalError> {
        let seq = self.append_unsynced(event)?;
        let synced = self.disk.sync();
        self.or_close(synced)?;
        Ok(seq)
    }

    /// Writes an event without waiting for the disk: for ticks, whose loss in a power failure costs nothing. It
    /// survives the end of this process, and the next [`Self::append`] makes it durable too.
    ///
    /// # Errors
    /// As [`Self::append`].
    pub fn append_unsynced(&mut self, event: &Event) -> Result<u64, JournalError> {
        if let Some(reason) = &self.closed {
            return Err(self.error(JournalErrorKind::Closed(reason.clone())));
        }
        let seq = self.seq + 1;
        let status = after(self.status, event)
            .map_err(|illegal| self.error(JournalErrorKind::Illegal { line: seq, illegal }))?;
        let text = self.text(event)?;
        let at = self.before + self.clock.monotonic().saturating_sub(self.opened);
        let line = encode(seq, u64::try_from(at.as_millis()).unwrap_or(u64::MAX), &text);
        let written = self.disk.append(line.as_bytes());
        self.or_close(written)?;
        self.seq = seq;
        self.status = status;
        Ok(seq)
    }

    /// Where the run stands.
    pub fn status(&self) -> Status {
        self.status
    }

    /// Number of the last record; 0 before the first.
    pub fn last_seq(&self) -> u64 {
        self.seq
    }

    /// The event file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The event as one line of JSON that reads back as the same event.
    fn text(&self, event: &Event) -> Result<String, JournalError> {
        let unrepresentable =
            |problem: String| self.error(JournalErrorKind::Unrepresentable { event: name(event), problem });
        let text = serde_json::to_string(event).map_err(|error| unrepresentable(error.to_string()))?;
        let back: Event = serde_json::from_str(&text).map_err(|error| unrepresentable(error.to_string()))?;
        if back == *event { Ok(text) } else { Err(unrepresentable("a number in it is not finite".into())) }
    }

    fn or_close(&mut self, outcome: io::Result<()>) -> Result<(), JournalError> {
        outcome.map_err(|error| {
            self.closed = Some(error.to_string());
            JournalError::io(&self.path, error)
        })
    }

    fn error(&self, kind: JournalErrorKind) -> JournalError {
        JournalError::new(&self.path, kind)
    }

    /// Puts another disk under the journal.
    #[cfg(test)]
    pub(crate) fn replace_disk(&mut self, disk: Box<dyn Disk>) {
        self.disk = disk;
    }
}
