//! Exit codes, and the one kind of error that this crate shows.

use ansatz_core::outcome::RunStatus;
use ansatz_engine::{RunError, RunErrorKind};
use ansatz_journal::JournalError;
use ansatz_memory::MemoryError;
use ansatz_sandbox::SandboxError;
use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

/// How the program ends. The numbers are a promise to scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// All mandatory stages ran.
    Ok = 0,
    /// The task failed, or something of ours or of the machine broke.
    Failed = 1,
    /// The request makes no sense: arguments, configuration, folders.
    Usage = 2,
    /// A limit cut a mandatory stage; a usable result was written.
    Partial = 3,
    /// A key was refused.
    Auth = 4,
    /// The data cannot be used.
    Data = 5,
    /// A language model that was required cannot be had.
    Provider = 6,
    /// There is no safe place to run code.
    Sandbox = 7,
    /// The user stopped it; what there is was finalised.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

impl From<RunStatus> for Exit {
    fn from(status: RunStatus) -> Self {
        match status {
            RunStatus::Succeeded => Self::Ok,
            RunStatus::Partial => Self::Partial,
            RunStatus::Failed => Self::Failed,
            RunStatus::Interrupted => Self::Interrupted,
        }
    }
}

impl From<RunErrorKind> for Exit {
    fn from(kind: RunErrorKind) -> Self {
        match kind {
            RunErrorKind::Usage => Self::Usage,
            RunErrorKind::Data => Self::Data,
            RunErrorKind::Sandbox => Self::Sandbox,
            RunErrorKind::Auth => Self::Auth,
            RunErrorKind::Provider => Self::Provider,
            RunErrorKind::Failed => Self::Failed,
        }
    }
}

/// Why a command ends without a result: shown as `error: …` and `hint: …`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// What is wrong, without a full stop.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Failure {
    /// A failure without advice.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), hint: None }
    }

    /// A request that makes no sense.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// A file that cannot be read or written.
    pub fn io(doing: &str, path: &Path, error: &std::io::Error) -> Self {
        Self::new(Exit::Failed, format!("{doing} {}: {error}", path.display()))
    }

    /// The same with advice.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    fn maybe_hint(self, hint: Option<String>) -> Self {
        Self { hint: hint.or(self.hint), ..self }
    }
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Self {
        Self::new(error.kind.into(), error.message).maybe_hint(error.hint)
    }
}

impl From<JournalError> for Failure {
    fn from(error: JournalError) -> Self {
        let hint = error.hint();
        Self::new(Exit::Failed, chain(&error)).maybe_hint(hint)
    }
}

impl From<MemoryError> for Failure {
    fn from(error: MemoryError) -> Self {
        let hint = error.hint().map(str::to_owned);
        Self::new(Exit::Failed, format!("memory: {}", chain(&error))).maybe_hint(hint)
    }
}

impl From<SandboxError> for Failure {
    fn from(error: SandboxError) -> Self {
        let exit = if error.is_unavailable() { Exit::Sandbox } else { Exit::Failed };
        let hint = error.hint().map(str::to_owned);
        Self::new(exit, chain(&error)).maybe_hint(hint)
    }
}

/// An error and its causes on one line.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_are_those_promised() {
        let codes = |statuses: &[RunStatus]| {
            statuses.iter().map(|status| Exit::from(*status) as u8).collect::<Vec<_>>()
        };
        let all = [RunStatus::Succeeded, RunStatus::Failed, RunStatus::Partial, RunStatus::Interrupted];
        assert_eq!(codes(&all), [0, 1, 3, 130]);
        let kinds = [RunErrorKind::Failed, RunErrorKind::Usage, RunErrorKind::Data, RunErrorKind::Sandbox];
        assert_eq!(kinds.map(|kind| Exit::from(kind) as u8), [1, 2, 5, 7]);
    }

    #[test]
    fn an_error_of_the_engine_keeps_its_advice() {
        let failure = Failure::from(RunError::data("train.csv is empty").hint("give rows"));
        assert_eq!(failure, Failure::new(Exit::Data, "train.csv is empty").hint("give rows"));
    }

    #[test]
    fn causes_follow_the_message() {
        let error = ansatz_journal::read(Path::new("/nowhere/at/all")).unwrap_err();
        let failure = Failure::from(error);
        assert_eq!(failure.message, "/nowhere/at/all/journal.jsonl: there is no journal");
        assert!(failure.hint.is_some_and(|hint| hint.contains("folder of a run")));
    }
}
