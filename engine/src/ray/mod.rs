//! Trials on a Ray cluster: batches go to nodes, where this very program runs them in its own cells.
//!
//! What trains goes to Ray: folds and refits. What is short or needs what lies here stays: reading the data, questions to
//! solutions, predicting with kept models, the proof of the delivered model.
//!
//! Invariant: a result counts only when its arrays have the hash that was promised and pass the same checks as those of
//! a cell on this machine.

mod line;
mod node;
mod options;
mod runner;
mod ship;
mod wire;

pub use line::{Checked, check};
pub use node::serve;
pub use options::RayOptions;
pub use runner::SUBCOMMAND;
pub(crate) use runner::{Ray, Trial, Trouble};
