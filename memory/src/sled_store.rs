//! The store on disk, by sled: the only file that knows it.
//!
//! Two habits of sled 0.34 are met here. It loses acknowledged writes in a kill unless flushed, and its flush does
//! not reach the disk itself: hence [`SledStore::sync`] flushes and then syncs every file. And it may panic on
//! damaged files: hence [`guarded`] around everything that touches it.

use crate::folder::sync_all;
use crate::store::{Change, Entry, Store, StoreError};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

/// A run's host process has 150 MiB for everything.
const CACHE_BYTES: u64 = 8 << 20;

/// An open sled database; closed when dropped.
pub(crate) struct SledStore {
    db: sled::Db,
    folder: PathBuf,
    changed: bool,
}

impl SledStore {
    /// Opens the database in `folder`, making it when it is not there.
    pub(crate) fn open(folder: &Path) -> Result<Self, StoreError> {
        let config = sled::Config::new().path(folder).cache_capacity(CACHE_BYTES).flush_every_ms(None);
        let db = config.open().map_err(understood)?;
        Ok(Self { db, folder: folder.to_path_buf(), changed: false })
    }

    /// Whether anything was put or removed since it was opened.
    pub(crate) fn is_changed(&self) -> bool {
        self.changed
    }
}

impl Store for SledStore {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.db.get(key).map_err(understood)?.map(|value| value.to_vec()))
    }

    fn scan(&self, prefix: &[u8]) -> Result<Vec<Entry>, StoreError> {
        let pairs = self.db.scan_prefix(prefix);
        pairs
            .map(|pair| pair.map(|(key, value)| (key.to_vec(), value.to_vec())).map_err(understood))
            .collect()
    }

    fn apply(&mut self, changes: &[Change]) -> Result<(), StoreError> {
        self.changed |= !changes.is_empty();
        let mut batch = sled::Batch::default();
        for change in changes {
            match change {
                Change::Put(key, value) => batch.insert(key.as_slice(), value.as_slice()),
                Change::Remove(key) => batch.remove(key.as_slice()),
            }
        }
        self.db.apply_batch(batch).map_err(understood)
    }

    fn sync(&mut self) -> Result<(), StoreError> {
        self.db.flush().map_err(understood)?;
        sync_all(&self.folder).map_err(StoreError::Io)
    }
}

/// Runs `work`, turning a panic of the database into an error.
pub(crate) fn guarded<T>(work: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let text =
            panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
        Err(StoreError::Damaged(text.unwrap_or("it gave up").to_string()))
    })
}

fn understood(error: sled::Error) -> StoreError {
    match error {
        sled::Error::Io(error) if error.kind() == io::ErrorKind::WouldBlock || is_lock(&error) => {
            StoreError::Held
        }
        // A file that ends early is damage, not a failing system.
        sled::Error::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            StoreError::Damaged(error.to_string())
        }
        sled::Error::Io(error) => StoreError::Io(error),
        other => StoreError::Damaged(other.to_string()),
    }
}

/// sled wraps the refusal of the lock in an error of kind `Other` with this text.
fn is_lock(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::Other && error.to_string().contains("could not acquire lock")
}
