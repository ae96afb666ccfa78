//! Plans: typed graphs of steps, checked before anything runs.
//!
//! A [`Plan`] can only be made through checks ([`PlanBuilder::build`], [`Plan::from_json`], [`merge`]), so whoever
//! holds one knows that it has no cycle, that every input exists and that the budget shares add up.
//!
//! Invariant: no input or output, no clock, no randomness; the graph library never appears in a signature.

mod compare;
mod dot;
mod error;
mod graph;
mod json;
mod merge;
mod plan;
mod step;
mod validate;

pub use compare::differences;
pub use error::{PlanError, PlanErrorKind};
pub use merge::merge;
pub use plan::{Plan, PlanBuilder};
pub use step::{Resources, Step, StepKind};

#[cfg(test)]
#[expect(clippy::needless_raw_string_hashes, reason = "expect-test writes snapshots with hashes")]
mod tests;
