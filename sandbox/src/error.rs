//! Why a cell could not be started, reached or ended. Says where and what; decides nothing about retrying.

use std::io;
use std::time::Duration;

/// A sandbox operation that failed, and where.
#[derive(Debug, thiserror::Error)]
#[error("sandbox: {doing}")]
pub struct SandboxError {
    doing: String,
    #[source]
    kind: SandboxErrorKind,
}

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub enum SandboxErrorKind {
    /// This host cannot give a cell at any permitted level.
    #[error("this host lacks {missing}")]
    Unavailable {
        /// What is missing.
        missing: String,
        /// What the user can do about it.
        hint: String,
    },
    /// The policy or the specification makes no sense or points at nothing.
    #[error("{0}")]
    Policy(String),
    /// A step of the start inside the cell failed.
    #[error("step `{step}` failed: {message}")]
    Start {
        /// The step of the start sequence.
        step: String,
        /// What the kernel said.
        message: String,
    },
    /// Nothing arrived, or nobody read, within the limit.
    #[error("nothing happened within {0:?}")]
    Timeout(Duration),
    /// The other side has ended.
    #[error("the other end is closed")]
    Closed,
    /// A message is larger than a channel carries.
    #[error("message of {bytes} bytes is over the limit of {max}")]
    TooLong {
        /// Its size in bytes.
        bytes: usize,
        /// The limit in bytes.
        max: usize,
    },
    /// The cell sent something that is not part of the protocol.
    #[error("unexpected message: {0}")]
    Protocol(String),
    /// The operating system refused.
    #[error(transparent)]
    System(#[from] io::Error),
}

impl SandboxError {
    pub(crate) fn new(doing: impl Into<String>, kind: impl Into<SandboxErrorKind>) -> Self {
        Self { doing: doing.into(), kind: kind.into() }
    }

    /// What went wrong.
    pub fn kind(&self) -> &SandboxErrorKind {
        &self.kind
    }

    /// What went wrong, for whoever says anew where.
    pub(crate) fn into_kind(self) -> SandboxErrorKind {
        self.kind
    }

    /// Whether this is nothing but time that ran out.
    pub fn is_timeout(&self) -> bool {
        matches!(self.kind, SandboxErrorKind::Timeout(_))
    }

    /// Whether no safe cell can be had on this host.
    pub fn is_unavailable(&self) -> bool {
        matches!(self.kind, SandboxErrorKind::Unavailable { .. })
    }

    /// What the user can do, where there is something.
    pub fn hint(&self) -> Option<&str> {
        match &self.kind {
            SandboxErrorKind::Unavailable { hint, .. } => Some(hint),
            _ => None,
        }
    }
}

impl From<rustix::io::Errno> for SandboxErrorKind {
    fn from(errno: rustix::io::Errno) -> Self {
        Self::System(errno.into())
    }
}

/// Adds where an operation failed to its error.
pub(crate) trait Doing<T> {
    /// Names what was being done.
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, SandboxError>;
}

impl<T, E: Into<SandboxErrorKind>> Doing<T> for Result<T, E> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, SandboxError> {
        self.map_err(|error| SandboxError::new(what(), error))
    }
}
