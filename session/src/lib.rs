//! The conversation about one task: one object that chat, HTTP and other front ends drive.
//!
//! A sentence goes in, [`grammar`] reads what is meant ([`intent`]), [`Session`] does it: it asks when something essential
//! is missing, shows a plan with its quote before anything is spent, steers a run that goes on, and answers questions with
//! what the journal holds. Of a task that a front end keeps (`hosted`) it begins nothing itself: what a sentence wants goes back
//! to the front end.
//!
//! Invariant: it decides when a run starts and what it is told; whatever happens in the run is the engine's business, and
//! every answer rests on the run's own events.

mod answers;
mod asking;
mod evidence;
mod front;
pub mod grammar;
mod hosted;
pub mod intent;
mod numbers;
mod plan;
mod questions;
mod running;
mod session;
#[cfg(test)]
mod testing;

pub use front::{Maker, Reply, Stage, Tell, Trouble, Wishes};
pub use hosted::{Held, Turn, Wanted};
pub use plan::{Open, Planned, Unplanned};
pub use running::Seen;
pub use session::Session;
