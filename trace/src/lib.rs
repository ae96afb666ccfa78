//! What came from what: the run's journal folded into a graph from parameters to results.
//!
//! After OPTO, "optimisation with trace oracle" (Cheng, Nie, Swaminathan: "Trace is the Next `AutoDiff`", 2024): *nodes*
//! are things that were made, an edge leads from a cause to what was made from it, *parameters* are the nodes that
//! may be revised (code, parameter values, plan steps), and feedback on any node concerns exactly the parameters in
//! its minimal subgraph.
//!
//! Invariant: a pure fold over events; no input or output, no call to a mind. Edges lead from older nodes to newer
//! ones only, so there is never a cycle, whatever the journal says.

mod dot;
mod fold;
mod graph;
mod node;
mod subgraph;
mod why;

pub use graph::Graph;
pub use node::{Feedback, Node, NodeKind};
pub use subgraph::Subgraph;
pub use why::{Line, UnknownTarget};

#[cfg(test)]
#[expect(clippy::needless_raw_string_hashes, reason = "expect-test writes snapshots with hashes")]
mod tests;
