//! Why data could not be had: one sentence, and what to do.

use ansatz_fetch::{FetchError, FetchErrorKind};
use std::path::Path;

/// Whose doing it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceErrorKind {
    /// What was asked for makes no sense.
    Usage,
    /// The data cannot be had, or are not what they should be.
    Data,
    /// A key was refused.
    Auth,
    /// Something of this machine broke.
    Failed,
}

/// Why data could not be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SourceError {
    /// Whose doing it is.
    pub kind: SourceErrorKind,
    /// One sentence.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl SourceError {
    /// An error of some kind.
    pub fn new(kind: SourceErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: None }
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(SourceErrorKind::Usage, message)
    }

    pub(crate) fn data(message: impl Into<String>) -> Self {
        Self::new(SourceErrorKind::Data, message)
    }

    pub(crate) fn io(doing: &str, path: &Path, error: &std::io::Error) -> Self {
        let failed = Self::new(SourceErrorKind::Failed, format!("{doing} {}: {error}", path.display()));
        if error.kind() == std::io::ErrorKind::StorageFull {
            return failed.hint("the disk is full: free some space and try again");
        }
        failed
    }

    /// The same error with advice.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

/// Whether a copy from an earlier run may stand in: the source is out of reach, rather than refusing.
pub(crate) fn is_out_of_reach(error: &FetchError) -> bool {
    use FetchErrorKind as K;
    match &error.kind {
        K::Connect(_) | K::Timeout { .. } | K::Broken(_) => true,
        K::Status { status, .. } => matches!(status, 429 | 500..=599),
        _ => false,
    }
}

/// What a failed call means for whoever wants data.
pub(crate) fn of_fetch(error: &FetchError, what: &str) -> SourceError {
    use FetchErrorKind as K;
    let place = place(&error.url);
    let at = &error.url;
    match &error.kind {
        K::Address(why) => SourceError::usage(format!("{what}: this is no address: {why}"))
            .hint("give an address such as https://host/data.csv"),
        K::HostNotAllowed(host) => SourceError::data(format!(
            "{what}: {host} is not among the hosts that may be reached"
        ))
        .hint(format!(
            "if you trust it, allow it: ANSATZ_SOURCE_HOSTS={host}, or source_hosts in your configuration"
        )),
        K::Connect(why) => SourceError::data(format!("{what}: no connection to {place}: {why}"))
            .hint("is the address right, and can this machine reach it?"),
        K::Timeout { .. } | K::Broken(_) | K::Changed => SourceError::data(format!("{what}: {}", error.kind))
            .hint("try again: what has come so far is kept, and the download goes on where it ended"),
        K::Status { status: 404 | 410, .. } => SourceError::data(format!("{what}: there is nothing at {at}"))
            .hint("look at the address for a misspelling"),
        K::Status { status: status @ (401 | 403), .. } => {
            SourceError::new(SourceErrorKind::Auth, format!("{what}: {place} refuses ({status})"))
                .hint("the data may be private, or their terms are still to be accepted on the web page")
        }
        K::Status { .. } => SourceError::data(format!("{what}: {}", error.kind))
            .hint("try again later; when it stays, ask those who run the service"),
        K::Html { .. } => SourceError::data(format!("{what}: {}", error.kind))
            .hint("give the address of the file itself, not that of the page about it"),
        K::TooLarge { max } => SourceError::data(format!("{what} is larger than {} MiB", max >> 20))
            .hint("take a smaller part of it, or raise source_max_mib (ANSATZ_SOURCE_MAX_MIB)"),
        K::Unexpected { .. } => SourceError::data(format!("{what}: {}", error.kind))
            .hint("is this the base URL of the service's API?"),
        K::File { path, error } => SourceError::io("writing", path, error),
        K::TokenInTheClear | K::Redirect(_) => {
            let plain = SourceError::data(format!("{what}: {}", error.kind));
            match error.hint() {
                Some(hint) => plain.hint(hint),
                None => plain.hint("give the address that it leads to"),
            }
        }
    }
}

/// Host and port of an address as it is shown.
fn place(address: &str) -> &str {
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    rest.split('/').next().unwrap_or(rest)
}
