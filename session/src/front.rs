//! What front ends give to a conversation and hear from it.

use ansatz_core::clock::Clock;
use ansatz_core::steer::Steer;
use ansatz_engine::{Aside, Keys, Observer, Options, RunError};
use std::path::PathBuf;
use std::sync::Arc;

/// What was wished so far.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Wishes {
    /// The data.
    pub data: Option<String>,
    /// The user's words about the task.
    pub words: String,
    /// The target, when it was named by itself.
    pub target: Option<String>,
    /// The metric, when it was named by itself.
    pub metric: Option<String>,
    /// Time in all, in seconds.
    pub seconds: Option<f64>,
    /// Trials, instead of time.
    pub trials: Option<u32>,
    /// What is to be otherwise from the start.
    pub steer: Vec<Steer>,
}

/// Why something cannot be done, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Trouble {
    /// One line.
    pub message: String,
    /// Advice.
    pub hint: Option<String>,
}

impl From<RunError> for Trouble {
    fn from(error: RunError) -> Self {
        Self { message: error.message, hint: error.hint }
    }
}

/// Makes runs of wishes: the front end knows configuration, folders and keys.
pub trait Maker: Send + Sync {
    /// Options and keys of a run. A rehearsal stops after the plan, in a folder of its own that is removed afterwards. Data are
    /// looked for only where whoever speaks may name them.
    ///
    /// # Errors
    /// [`Trouble`]: the wishes make no sense, or the data are not there.
    fn make(&self, wishes: &Wishes, is_rehearsal: bool) -> Result<(Options, Keys), Trouble>;

    /// An interrupted run: the named one, or the latest; with its keys and the folder of the program's state.
    ///
    /// # Errors
    /// There is no such run.
    fn interrupted(&self, named: Option<&str>) -> Result<(PathBuf, PathBuf, Keys), Trouble>;

    /// Whether a word names a file or folder that may be used.
    fn is_there(&self, word: &str) -> bool;

    /// The time.
    fn clock(&self) -> Arc<dyn Clock>;

    /// Who watches a run.
    fn observer(&self) -> Box<dyn Observer>;

    /// Whether a language model is configured, which may understand what no rule reads.
    fn thinks(&self) -> bool;

    /// A language model to ask beside runs; `None` where none is configured.
    ///
    /// # Errors
    /// It is configured and cannot be connected to.
    fn aside(&self) -> Result<Option<Aside>, Trouble>;
}

/// What is said to the user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// Something told.
    Said(String),
    /// Something asked: the conversation waits for an answer.
    Asked(String),
    /// Something that cannot be done, with advice.
    Trouble(String, Option<String>),
}

impl From<Trouble> for Reply {
    fn from(trouble: Trouble) -> Self {
        Self::Trouble(trouble.message, trouble.hint)
    }
}

/// Where a conversation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Something is missing, or nothing was wished yet.
    Gathering,
    /// A plan waits for a yes.
    Planned,
    /// A run goes on.
    Running,
    /// A run is over.
    Over,
    /// The conversation is over.
    Ended,
}

/// Hears replies as they come, the first at once.
pub type Tell<'a> = &'a mut dyn FnMut(Reply);
