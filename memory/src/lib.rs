//! What runs and studies taught, kept for the next: experiences, lessons, studies, and how often each seal was looked at.
//!
//! [`Memory`] names a folder and holds nothing open: every call opens the store for a moment, waits at most two
//! seconds for another process that has it, and otherwise makes do (reading the last export and the inbox, writing
//! to the inbox). So no run fails because of memory, and none waits long.
//!
//! Invariant: an index that can be lost: journals hold the truth. The store's own types never leave this crate.

mod cards;
mod experience;
mod folder;
mod inbox;
mod lock;
mod looks;
mod memory;
mod meta;
mod sled_store;
mod snapshot;
mod store;
mod warm;

pub use cards::{Card, CardError, CardKind, Cost, Found, Observation, Rules, fitting};
pub use experience::{Experience, Lesson, Record, Study, StudyTrial, TaskFacts, TrialFact};
pub use looks::Look;
pub use memory::{Appended, Memory, MemoryError, MemoryErrorKind};
pub use meta::{META_FEATURES, MetaFeatures};
pub use snapshot::{Snapshot, Stats};
pub use store::{Change, Entry, MapStore, Store, StoreError};
pub use warm::WarmStart;

#[cfg(test)]
mod tests;
