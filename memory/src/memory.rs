//! The memory folder: opened for moments, never kept open.
//!
//! `db/` the store · `export.jsonl` what the store held when it was last closed · `inbox/` records of runs that found
//! it taken · `looks.jsonl` · `memory.lock` · `corrupt-<time>/` stores that were set aside.

use crate::experience::{EXPERIENCES, LESSONS, Record, STUDIES};
use crate::folder::{free_name, replace};
use crate::inbox::{self, Inbox, from_lines, to_lines};
use crate::lock::{Asked, Lock, ask};
use crate::looks::{self, Look};
use crate::sled_store::{SledStore, guarded};
use crate::snapshot::Snapshot;
use crate::store::{Change, Store, StoreError};
use ansatz_core::clock::Clock;
use ansatz_core::ids::RunId;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Longer than any holder needs, short enough that nobody minds.
const WAIT: Duration = Duration::from_secs(2);

/// Memory could not do what was asked.
#[derive(Debug, thiserror::Error)]
#[error("{}: {kind}", path.display())]
pub struct MemoryError {
    /// The file or folder.
    pub path: PathBuf,
    /// What is wrong; part of the message, hence not its source.
    pub kind: MemoryErrorKind,
}

/// What is wrong with memory.
#[derive(Debug, thiserror::Error)]
pub enum MemoryErrorKind {
    /// Another process has the store and the call cannot make do without it.
    #[error("memory is in use by {0}")]
    Held(String),
    /// A file to be imported has lines that are no records; nothing was imported.
    #[error("{}", .0.join("; "))]
    NotRecords(Vec<String>),
    /// There is nothing of that run.
    #[error("nothing is remembered of run `{0}`")]
    UnknownRun(RunId),
    /// The store failed, and a fresh one in its place failed too.
    #[error("{0}")]
    Store(StoreError),
    /// What the system reports.
    #[error("{0}")]
    Io(io::Error),
}

impl MemoryError {
    fn new(path: &Path, kind: MemoryErrorKind) -> Self {
        Self { path: path.to_path_buf(), kind }
    }

    /// What to do about it, for a person to read.
    pub fn hint(&self) -> Option<&'static str> {
        match self.kind {
            MemoryErrorKind::Held(_) => Some("wait for it or stop it, then try again"),
            MemoryErrorKind::NotRecords(_) => Some("import a file that `memory export` wrote"),
            MemoryErrorKind::UnknownRun(_) => Some("`memory ls` shows what is there"),
            MemoryErrorKind::Store(_) | MemoryErrorKind::Io(_) => None,
        }
    }
}

/// Where records went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Appended {
    /// Into the store, with what the user should know.
    Stored {
        /// E.g. that a damaged store was set aside.
        notices: Vec<String>,
    },
    /// Into the inbox, for whoever opens the store next.
    Inbox {
        /// The file.
        path: PathBuf,
        /// Why not into the store.
        reason: String,
    },
}

/// A memory folder.
#[derive(Clone)]
pub struct Memory {
    folder: PathBuf,
    clock: Arc<dyn Clock>,
    wait: Duration,
}

/// Why the store was not opened.
enum Shut {
    Held(String),
    Failed(MemoryError),
}

impl Memory {
    /// The memory in a folder; nothing is made or opened yet. The clock gives the times in folder names.
    pub fn new(folder: impl Into<PathBuf>, clock: Arc<dyn Clock>) -> Self {
        Self { folder: folder.into(), clock, wait: WAIT }
    }

    /// With another time to wait for the process that has the store; 2 s otherwise.
    #[must_use]
    pub fn waiting(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Everything that is remembered. Never fails: when the store is taken or cannot be used, the last export and
    /// the inbox are read instead, and [`Snapshot::held_by`] or [`Snapshot::notices`] say so.
    pub fn open_snapshot(&self) -> Snapshot {
        if !self.folder.exists() {
            return Snapshot::default();
        }
        let mut snapshot = match self.with_store(|store| all(store)) {
            Ok((records, notices)) => Snapshot::of(records).with_notices(notices),
            Err(shut) => {
                let (records, notices) = self.without_store();
                let mut snapshot = Snapshot::of(records).with_notices(notices);
                match shut {
                    Shut::Held(holder) => snapshot.held_by = Some(holder),
                    Shut::Failed(error) => {
                        snapshot.notices.insert(0, format!("memory was not opened: {error}"));
                    }
                }
                snapshot
            }
        };
        match looks::read(&self.folder) {
            Ok(looks) => snapshot.add_looks(looks),
            Err(error) => snapshot.notices.push(format!("looks at seals could not be read: {error}")),
        }
        snapshot
    }

    /// Remembers records: in the store when it is free within the wait, else in the inbox under the run's name.
    /// Looks are in their own file before this returns, either way. What is there under the same run is replaced.
    ///
    /// # Errors
    /// [`MemoryError`] when not even the inbox can be written. A run says so and goes on.
    pub fn append(&self, run: &RunId, records: Vec<Record>) -> Result<Appended, MemoryError> {
        let records: Vec<Record> = records.into_iter().map(Record::cleaned).collect();
        self.make_folder()?;
        self.add_looks(&records)?;
        let reason = match self.with_store(|store| store.apply(&puts(&records))) {
            Ok(((), notices)) => return Ok(Appended::Stored { notices }),
            Err(Shut::Held(holder)) => format!("memory is in use by {holder}"),
            Err(Shut::Failed(error)) => format!("memory was not opened: {error}"),
        };
        let path = inbox::write(&self.folder, run.as_str(), &records).map_err(|error| self.io(error))?;
        Ok(Appended::Inbox { path, reason })
    }

    /// Records a look at a seal and returns how many there are now, this one included. Call it before the seal is
    /// opened: when it returns, the look is on disk. The same look may be recorded again.
    ///
    /// # Errors
    /// [`MemoryError`] when it cannot be recorded.
    pub fn look(&self, look: &Look) -> Result<u32, MemoryError> {
        self.make_folder()?;
        looks::add(&self.folder, [look]).map_err(|error| self.io(error))?;
        self.looks(&look.data_hash)
    }

    /// How often the seal over these data was opened, by any run. Needs no store.
    ///
    /// # Errors
    /// [`MemoryError`] when the file of looks cannot be read.
    pub fn looks(&self, data_hash: &str) -> Result<u32, MemoryError> {
        let looks = looks::read(&self.folder).map_err(|error| self.io(error))?;
        Ok(looks.iter().filter(|look| look.data_hash == data_hash).count() as u32)
    }

    /// Forgets what a run or study taught. Its looks stay: forgetting them would make later intervals too narrow.
    ///
    /// # Errors
    /// [`MemoryErrorKind::UnknownRun`], [`MemoryErrorKind::Held`], and failures of the store.
    pub fn forget(&self, run: &RunId) -> Result<(), MemoryError> {
        let forgotten = self.hold(|store| {
            let mut keys: Vec<Vec<u8>> = store
                .scan(format!("{LESSONS}{run}\u{0}").as_bytes())?
                .into_iter()
                .map(|(key, _)| key)
                .collect();
            for kind in [EXPERIENCES, STUDIES] {
                let key = format!("{kind}{run}").into_bytes();
                keys.extend(store.get(&key)?.map(|_| key));
            }
            let removals: Vec<Change> = keys.into_iter().map(Change::Remove).collect();
            store.apply(&removals)?;
            Ok(removals.len())
        })?;
        if forgotten == 0 {
            return Err(MemoryError::new(&self.folder, MemoryErrorKind::UnknownRun(run.clone())));
        }
        Ok(())
    }

    /// Writes everything to a file, one record per line, and returns how many.
    ///
    /// # Errors
    /// [`MemoryErrorKind::Held`], failures of the store, and what the system reports about the file.
    pub fn export(&self, to: &Path) -> Result<usize, MemoryError> {
        let snapshot = self.open_snapshot();
        if let Some(holder) = snapshot.held_by {
            return Err(MemoryError::new(&self.folder, MemoryErrorKind::Held(holder)));
        }
        let records = snapshot.records();
        to_lines(&records)
            .and_then(|lines| replace(to, lines.as_bytes()))
            .map_err(|error| MemoryError::new(to, MemoryErrorKind::Io(error)))?;
        Ok(records.len())
    }

    /// Adds everything from an exported file and returns how many records it held. What is there under the same run
    /// is replaced.
    ///
    /// # Errors
    /// [`MemoryErrorKind::NotRecords`] (then nothing was added), [`MemoryErrorKind::Held`], and failures.
    pub fn import(&self, from: &Path) -> Result<usize, MemoryError> {
        let text =
            fs::read_to_string(from).map_err(|error| MemoryError::new(from, MemoryErrorKind::Io(error)))?;
        let (records, faults) = from_lines(&text);
        if !faults.is_empty() {
            let faults = faults.into_iter().take(3).collect();
            return Err(MemoryError::new(from, MemoryErrorKind::NotRecords(faults)));
        }
        self.rebuild(records)
    }

    /// Puts records that were computed anew (from the journals of runs) in the place of what is remembered of the
    /// same runs, and returns how many. What came from elsewhere stays.
    ///
    /// # Errors
    /// [`MemoryErrorKind::Held`] and failures of the store.
    pub fn rebuild(&self, records: impl IntoIterator<Item = Record>) -> Result<usize, MemoryError> {
        let records: Vec<Record> = records.into_iter().map(Record::cleaned).collect();
        self.make_folder()?;
        self.add_looks(&records)?;
        self.hold(|store| store.apply(&puts(&records)))?;
        Ok(records.len())
    }

    /// [`Self::with_store`] for calls that cannot make do without the store.
    fn hold<T>(&self, work: impl Fn(&mut dyn Store) -> Result<T, StoreError>) -> Result<T, MemoryError> {
        self.make_folder()?;
        self.with_store(work).map(|(result, _)| result).map_err(|shut| match shut {
            Shut::Held(holder) => MemoryError::new(&self.folder, MemoryErrorKind::Held(holder)),
            Shut::Failed(error) => error,
        })
    }

    /// Opens the store for a moment: takes the lock, merges the inbox, does `work`, makes it durable, writes the
    /// export. A damaged store is set aside and a fresh one is filled from the last export; then `work` is done
    /// again, on that one. Returns the result and what the user should know.
    fn with_store<T>(
        &self,
        work: impl Fn(&mut dyn Store) -> Result<T, StoreError>,
    ) -> Result<(T, Vec<String>), Shut> {
        let failed = |kind| Shut::Failed(MemoryError::new(&self.folder, kind));
        let lock: Lock = match ask(&self.folder, self.wait)
            .map_err(|error| failed(MemoryErrorKind::Io(error)))?
        {
            Asked::Ours(lock) => lock,
            Asked::Held(pid) => {
                return Err(Shut::Held(pid.map_or("another process".into(), |pid| format!("process {pid}"))));
            }
        };
        let mut notices = Vec::new();
        let outcome = match self.session(&work, &mut notices) {
            Err(StoreError::Damaged(reason)) => {
                let aside = self.set_aside().map_err(|error| failed(MemoryErrorKind::Io(error)))?;
                notices.push(format!(
                    "memory was damaged ({reason}) and set aside as {}; it goes on from its last export",
                    aside.display()
                ));
                self.session(&work, &mut notices)
            }
            outcome => outcome,
        };
        drop(lock);
        outcome.map(|result| (result, notices)).map_err(|error| match error {
            StoreError::Held => Shut::Held("another program".into()),
            error => failed(MemoryErrorKind::Store(error)),
        })
    }

    /// One opening of the store, the lock being ours.
    fn session<T>(
        &self,
        work: &impl Fn(&mut dyn Store) -> Result<T, StoreError>,
        notices: &mut Vec<String>,
    ) -> Result<T, StoreError> {
        guarded(|| {
            let folder = self.folder.join("db");
            let is_new = !folder.exists();
            let mut store = self.open_patiently(&folder)?;
            let mut waiting = inbox::read(&self.folder).map_err(StoreError::Io)?;
            if is_new {
                let (exported, faults) = self.last_export();
                notices.extend(faults);
                waiting.records.splice(0..0, exported);
            }
            looks::add(&self.folder, looks_of(&waiting.records)).map_err(StoreError::Io)?;
            store.apply(&puts(&waiting.records))?;
            notices.append(&mut waiting.notices);
            let result = work(&mut store)?;
            if is_new || store.is_changed() {
                store.sync()?;
                self.write_export(&store).map_err(StoreError::Io)?;
            }
            remove_merged(&waiting);
            Ok(result)
        })
    }

    /// Opens the database. It may still be closing from an earlier moment of this very process, for its background
    /// threads hold it a little longer than we do.
    fn open_patiently(&self, folder: &Path) -> Result<SledStore, StoreError> {
        const PAUSE: Duration = Duration::from_millis(20);
        let mut waited = Duration::ZERO;
        loop {
            match SledStore::open(folder) {
                Err(StoreError::Held) if waited < self.wait => {
                    std::thread::sleep(PAUSE);
                    waited += PAUSE;
                }
                outcome => return outcome,
            }
        }
    }

    fn set_aside(&self) -> io::Result<PathBuf> {
        let aside = free_name(&self.folder, &format!("corrupt-{}", self.clock.unix_seconds()), "");
        fs::rename(self.folder.join("db"), &aside)?;
        Ok(aside)
    }

    /// What can be read while the store is taken.
    fn without_store(&self) -> (Vec<Record>, Vec<String>) {
        let (mut records, mut notices) = self.last_export();
        match inbox::read(&self.folder) {
            Ok(inbox) => {
                records.extend(inbox.records);
                notices.extend(inbox.notices);
            }
            Err(error) => notices.push(format!("the inbox of memory could not be read: {error}")),
        }
        (records, notices)
    }

    fn last_export(&self) -> (Vec<Record>, Vec<String>) {
        fs::read_to_string(self.export_file())
            .map_or_else(|_| (Vec::new(), Vec::new()), |text| from_lines(&text))
    }

    fn write_export(&self, store: &dyn Store) -> io::Result<()> {
        let records = all(store).map_err(|error| io::Error::other(error.to_string()))?;
        replace(&self.export_file(), to_lines(&records)?.as_bytes())
    }

    fn export_file(&self) -> PathBuf {
        self.folder.join("export.jsonl")
    }

    fn add_looks(&self, records: &[Record]) -> Result<(), MemoryError> {
        looks::add(&self.folder, looks_of(records)).map_err(|error| self.io(error))
    }

    fn make_folder(&self) -> Result<(), MemoryError> {
        fs::create_dir_all(&self.folder).map_err(|error| self.io(error))
    }

    fn io(&self, error: io::Error) -> MemoryError {
        MemoryError::new(&self.folder, MemoryErrorKind::Io(error))
    }
}

/// All records of a store. A value that is no record is another version's: left alone, passed over.
fn all(store: &dyn Store) -> Result<Vec<Record>, StoreError> {
    let pairs = store.scan(b"")?;
    Ok(pairs.iter().filter_map(|(_, value)| serde_json::from_slice(value).ok()).collect())
}

/// The changes that store records; looks are elsewhere.
fn puts(records: &[Record]) -> Vec<Change> {
    let put = |record: &Record| {
        let value = serde_json::to_vec(record).ok()?;
        Some(Change::Put(record.key()?.into_bytes(), value))
    };
    records.iter().filter_map(put).collect()
}

fn looks_of(records: &[Record]) -> impl Iterator<Item = &Look> {
    records.iter().filter_map(|record| if let Record::Look(look) = record { Some(look) } else { None })
}

/// Removes inbox files whose records are in the store; one with lines that are no records gets another name.
fn remove_merged(inbox: &Inbox) {
    for file in &inbox.files {
        // A file that stays is merged again next time, which changes nothing.
        let _ = if inbox.faulty.contains(file) {
            fs::rename(file, file.with_extension("jsonl.bad"))
        } else {
            fs::remove_file(file)
        };
    }
}
