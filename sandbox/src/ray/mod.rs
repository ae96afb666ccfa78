//! Ray as a batch backend: one job per batch of trials, over Ray's Jobs REST interface and nothing else.
//!
//! A batch goes out as packages named by the hash of what they hold, so that data and program cross once. On the node the
//! job's command is this very program, which makes the same cell as everywhere and runs the trials in it. What comes back
//! are lines in the job's log: JSON, and arrays in pieces with their hash. Nothing of what a node says is ever unpickled.
//!
//! Each attempt has a token of its own, and lines without the present token are not read: a node that was given up and
//! lives on cannot speak for the attempt that took its place.
//!
//! Invariant: no socket and no clock of its own. The caller gives a way to make a call ([`Http`]) and to wait
//! ([`Surroundings`]); everything else is decided here and can be tested with recorded answers.

mod api;
mod drive;
mod elf;
mod error;
mod frame;
mod http;
mod life;
#[cfg(test)]
mod tests;
mod zip;

pub use api::{Door, Job, JobStatus, Jobs, Submission, door};
pub use drive::{Batch, BatchEnd, Leftover, Package, Surroundings, Told, put_away, run, sweep};
pub use elf::slim;
pub use error::{RayError, RayErrorKind};
pub use frame::{Array, Frame, Log, News, Share, Writer, alive_every, hash};
pub use http::{Body, Http, HttpError, HttpErrorKind, Method, Request};
pub use life::Ask;
pub use zip::{Entry, zip};
