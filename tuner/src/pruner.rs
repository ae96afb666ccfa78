//! What a pruner is: who says on the way that a trial is not worth finishing.

use crate::sampler::History;
use crate::trial::Trial;

/// Judges a running trial by its reports, next to those of the others.
///
/// A verdict is a function of its arguments: a replayed study gets the same ones. Every pruner must pass the contract
/// suite in `pruners::contract`.
pub trait Pruner: Send {
    /// A short name.
    fn name(&self) -> &str;

    /// Whether to go on with a trial that has just reported.
    fn judge(&self, seen: &History<'_>, trial: &Trial) -> Advice;
}

/// Whether a trial goes on.
#[derive(Debug, Clone, PartialEq)]
pub enum Advice {
    /// It does.
    Continue,
    /// It does not.
    Stop {
        /// Why, for the report.
        reason: String,
    },
}

impl Advice {
    /// Whether the trial should end now.
    pub fn is_stop(&self) -> bool {
        matches!(self, Self::Stop { .. })
    }
}
