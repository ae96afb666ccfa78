//! The playbook: what an experienced person would try on a table, as rules and a portfolio of configurations.
//!
//! It proposes plans and candidates; whether they are any good is for the referee to say.

mod pasts;
mod plans;
mod portfolio;
mod proposals;
mod shape;

pub use pasts::pasts;
pub(crate) use plans::{features_step, finish, profile_step, recipe_of};
pub use plans::{plans, solution_of};
pub use portfolio::{Configuration, Need, Portfolio, PortfolioError, SolutionEntry, When};
pub use proposals::{JOINED, Proposal, both_ways, proposals};
pub use shape::DataShape;

/// The solution that a person can read.
pub const READABLE: &str = "linear";

/// Names of the built-in solutions that fit a task and the seconds of its run (none where trials are counted), in the order in
/// which the playbook tries them.
pub fn solutions(task: &Task, profile: &Profile, seconds: Option<u64>) -> Vec<String> {
    let shape = DataShape::of(task, profile);
    let found = Portfolio::built_in().within(seconds);
    let mut names = found.solutions_for(task.problem, &shape);
    if task.constraints.interpretable {
        names.retain(|name| *name == READABLE);
    }
    names.into_iter().map(str::to_owned).collect()
}

/// The solution that lift is measured against: a default booster on plain columns.
pub const BASELINE: &str = "reference";

use ansatz_core::profile::Profile;
use ansatz_core::task::Task;

#[cfg(test)]
pub(crate) mod tests;
