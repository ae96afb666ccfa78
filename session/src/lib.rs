//! The conversation about one task: one object that chat, HTTP and other front ends drive.
//!
//! A sentence goes in, [`grammar`] reads what is meant ([`intent`]), [`Session`] does it: it asks when something essential
//! is missing, shows a plan with its quote before anything is spent, steers a run that goes on, and answers questions with
//! what the journal holds.
//!
//! Invariant: it decides when a run starts and what it is told; whatever happens in the run is the engine's business, and
//! every answer rests on the run's own events.

mod answers;
pub mod grammar;
pub mod intent;
mod numbers;
mod running;
mod session;

pub use running::Seen;
pub use session::{Maker, Reply, Session, Stage, Tell, Trouble, Wishes};
