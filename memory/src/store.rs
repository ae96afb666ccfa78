//! What memory wants of a store: ordered keys, changes that happen together or not at all, durability on demand.

use std::collections::BTreeMap;
use std::io;

/// A change to one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Sets the value of a key.
    Put(Vec<u8>, Vec<u8>),
    /// Removes a key, if it is there.
    Remove(Vec<u8>),
}

/// A key and its value.
pub type Entry = (Vec<u8>, Vec<u8>);

/// Why a store failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Somebody else has it open.
    #[error("the store is open elsewhere")]
    Held,
    /// Its content is damaged, or it gave up.
    #[error("the store is damaged: {0}")]
    Damaged(String),
    /// Anything else that the system reports.
    #[error(transparent)]
    Io(io::Error),
}

/// An ordered map of bytes to bytes.
pub trait Store {
    /// The value of a key.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// All keys that begin with `prefix`, with their values, in the order of their bytes.
    ///
    /// # Errors
    /// [`StoreError`] when they cannot be read.
    fn scan(&self, prefix: &[u8]) -> Result<Vec<Entry>, StoreError>;

    /// Makes all changes, in order, or none of them.
    ///
    /// # Errors
    /// [`StoreError`] when they cannot be made.
    fn apply(&mut self, changes: &[Change]) -> Result<(), StoreError>;

    /// Returns when all changes so far survive the end of power.
    ///
    /// # Errors
    /// [`StoreError`] when they may not.
    fn sync(&mut self) -> Result<(), StoreError>;
}

/// A store without a disk.
#[derive(Debug, Clone, Default)]
pub struct MapStore(BTreeMap<Vec<u8>, Vec<u8>>);

impl Store for MapStore {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.0.get(key).cloned())
    }

    fn scan(&self, prefix: &[u8]) -> Result<Vec<Entry>, StoreError> {
        let from = self.0.range(prefix.to_vec()..).take_while(|(key, _)| key.starts_with(prefix));
        Ok(from.map(|(key, value)| (key.clone(), value.clone())).collect())
    }

    fn apply(&mut self, changes: &[Change]) -> Result<(), StoreError> {
        for change in changes {
            match change {
                Change::Put(key, value) => self.0.insert(key.clone(), value.clone()),
                Change::Remove(key) => self.0.remove(key),
            };
        }
        Ok(())
    }

    fn sync(&mut self) -> Result<(), StoreError> {
        Ok(())
    }
}
