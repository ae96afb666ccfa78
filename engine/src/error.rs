//! Why a run could not go on: a kind for the exit code, a message, and a hint.

/// What kind of trouble; decides the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunErrorKind {
    /// The request makes no sense: a flag, a folder, a metric.
    Usage,
    /// The user's data cannot be used.
    Data,
    /// No safe place to run code.
    Sandbox,
    /// A key was refused.
    Auth,
    /// A language model that was required cannot be had.
    Provider,
    /// Something of ours, or of the machine, broke.
    Failed,
}

/// Why a run could not go on.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct RunError {
    /// What kind of trouble.
    pub kind: RunErrorKind,
    /// One line for a person.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// What somebody who is there could be asked: with an answer, the run could begin.
    pub question: Option<String>,
}

impl RunError {
    /// An error of some kind.
    pub fn new(kind: RunErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: None, question: None }
    }

    /// A problem with the user's data.
    pub fn data(message: impl Into<String>) -> Self {
        Self::new(RunErrorKind::Data, message)
    }

    /// Something broke that the user did not cause.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(RunErrorKind::Failed, message)
    }

    /// A request that makes no sense.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(RunErrorKind::Usage, message)
    }

    /// The same error with advice.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Wraps an error of the file system, naming what was being done.
    pub fn io(doing: &str, path: &std::path::Path, error: &std::io::Error) -> Self {
        let failed = Self::failed(format!("{doing} {}: {error}", path.display()));
        if error.kind() == std::io::ErrorKind::StorageFull {
            return failed.hint("the disk is full: free some space, then `ansatz resume`");
        }
        failed
    }
}

impl From<ansatz_sources::SourceError> for RunError {
    fn from(error: ansatz_sources::SourceError) -> Self {
        use ansatz_sources::SourceErrorKind as K;
        let kind = match error.kind {
            K::Usage => RunErrorKind::Usage,
            K::Data => RunErrorKind::Data,
            K::Auth => RunErrorKind::Auth,
            K::Failed => RunErrorKind::Failed,
        };
        Self { kind, message: error.message, hint: error.hint, question: None }
    }
}

impl From<ansatz_sandbox::trusted::environment::EnvironmentError> for RunError {
    fn from(error: ansatz_sandbox::trusted::environment::EnvironmentError) -> Self {
        let failed = Self::failed(error.message);
        match error.hint {
            Some(hint) => failed.hint(hint),
            None => failed,
        }
    }
}
