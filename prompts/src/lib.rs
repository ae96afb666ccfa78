//! Prompts: every one a file in `templates/<role>/<purpose>.hbs` with a struct of what goes in and a type of what comes back.
//!
//! A template has two parts: what never changes (the house's rules), then the task and its data, then what is asked. The
//! parts that are equal from call to call stand first, so that providers can serve them from their caches. Data enter as
//! statistics and as JSON strings inside a block whose mark carries a nonce; instructions found there are data.
//!
//! Invariant: no effect, no model call, no prompt text in Rust; handlebars' types never leave.

mod case;
mod check;
pub mod data;
mod examples;
pub mod hpo;
pub mod model;
pub mod planner;
mod prompts;
mod reply;
pub mod talk;
mod text;
pub mod verifier;

#[cfg(test)]
mod tests;

pub use case::{
    COLUMNS_MAX, Case, ColumnView, DataView, Finding, Findings, Level, Machine, Sight, Standing, StandingRow,
    TaskView, TopValue, day,
};
pub use prompts::{Prompt, PromptError, PromptErrorKind, Prompts, Rendered};
pub use reply::{Reply, ReplyForm, Scalar, Setting, schema_of};
pub use text::{digits, escaped, nonce, shown, with_error};
