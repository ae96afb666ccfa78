//! The event file of a run, and the blobs beside it.
//!
//! A run folder holds `journal.jsonl` (one [`Event`](ansatz_core::event::Event) per line, numbered and checksummed,
//! on disk before [`Journal::append`] returns) and `blobs/` (whatever is too large for a line, named by its hash).
//! One process writes ([`Journal`]); anybody may [`read`].
//!
//! Invariant: it records and gives back; it decides nothing, computes no state but the status, and reads no clock
//! but the one it is given.

mod blobs;
mod disk;
mod error;
mod lock;
mod reader;
mod record;
mod writer;

pub use blobs::Blobs;
pub use error::{JournalError, JournalErrorKind};
pub use reader::{Replay, read};
pub use record::Record;
pub use writer::Journal;

/// Name of the event file inside a run folder.
pub const FILE_NAME: &str = "journal.jsonl";

#[cfg(test)]
mod tests;
