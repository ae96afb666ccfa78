//! The playbook: what an experienced person would try on a table, as rules and a portfolio of configurations.
//!
//! It proposes plans and candidates; whether they are any good is for the referee to say.

mod plans;
mod portfolio;
mod proposals;
mod shape;

pub use plans::{plans, solution_of};
pub use portfolio::{Configuration, Need, Portfolio, PortfolioError, SolutionEntry, When};
pub use proposals::{Proposal, proposals};
pub use shape::DataShape;

/// The solution that lift is measured against: a default booster on plain columns.
pub const BASELINE: &str = "reference";

#[cfg(test)]
mod tests;
