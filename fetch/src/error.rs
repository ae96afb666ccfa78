//! What can go wrong with a call: which call, what happened, whether to try again, what to do.

use crate::request::Method;
use ansatz_core::retry::Retry;
use std::path::PathBuf;
use std::time::Duration;

/// A call that failed.
#[derive(Debug, thiserror::Error)]
#[error("{method} {url}: {kind}")]
pub struct FetchError {
    /// How it was called.
    pub method: Method,
    /// What was called, without user, password and query.
    pub url: String,
    /// What happened; part of the message, hence not its source.
    pub kind: FetchErrorKind,
}

/// What happened.
#[derive(Debug, thiserror::Error)]
pub enum FetchErrorKind {
    /// The address makes no sense.
    #[error("this is no address: {0}")]
    Address(String),
    /// The host is not one that this client may reach.
    #[error("{0} is not among the hosts that may be reached")]
    HostNotAllowed(String),
    /// The token would cross a network in the clear.
    #[error("the token is not sent over plain http to another machine")]
    TokenInTheClear,
    /// Nobody answers there.
    #[error("no connection: {0}")]
    Connect(String),
    /// Nothing came in time.
    #[error("{what} took longer than {} s", limit.as_secs_f64())]
    Timeout {
        /// What was waited for.
        what: &'static str,
        /// How long.
        limit: Duration,
    },
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Broken(String),
    /// The server refuses, or fails.
    #[error("the server answers {status}{}{message}", if message.is_empty() { "" } else { ": " })]
    Status {
        /// HTTP status.
        status: u16,
        /// What the server says, shortened, secrets removed.
        message: String,
        /// Time that it asks for before the next attempt.
        retry_after: Option<Duration>,
    },
    /// A page for people came where data were expected: a login, a proxy's error, a wrong address.
    #[error("a web page came instead of data{}", if title.is_empty() { String::new() } else { format!(": {title:?}") })]
    Html {
        /// Title of the page, shortened.
        title: String,
    },
    /// The reply is not the JSON that was expected.
    #[error("the reply is not what was expected: {problem}; it begins {sample:?}")]
    Unexpected {
        /// What the parser says.
        problem: String,
        /// How the reply begins, secrets removed.
        sample: String,
    },
    /// The reply is larger than allowed.
    #[error("the reply is larger than {max} bytes")]
    TooLarge {
        /// Bytes that are allowed.
        max: u64,
    },
    /// Redirected in circles, or to where nothing can be fetched.
    #[error("redirected {0}")]
    Redirect(String),
    /// The file is another one than when the download began.
    #[error("the file changed while it was downloaded")]
    Changed,
    /// A file of ours cannot be read or written.
    #[error("{}: {error}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
}

impl FetchError {
    /// Whether to try again. Nobody else looks at status codes for this.
    pub fn retry(&self) -> Retry {
        use FetchErrorKind as K;
        match &self.kind {
            K::Status { status: 408 | 409 | 425 | 429 | 500..=599, retry_after, .. } => {
                Retry::Later { after: *retry_after }
            }
            K::Connect(_) | K::Timeout { .. } | K::Broken(_) | K::Changed => Retry::Later { after: None },
            K::TooLarge { .. } | K::Status { status: 400 | 413 | 416 | 422, .. } => Retry::AfterChange,
            _ => Retry::Never,
        }
    }

    /// The HTTP status, when the server gave one.
    pub fn status(&self) -> Option<u16> {
        if let FetchErrorKind::Status { status, .. } = self.kind { Some(status) } else { None }
    }

    /// What to do about it, for a person to read; `None` when there is nothing general to say.
    pub fn hint(&self) -> Option<&'static str> {
        use FetchErrorKind as K;
        Some(match &self.kind {
            K::Address(_) => "give an address such as https://host/path",
            K::HostNotAllowed(_) => {
                "only the configured service is called; set its base URL to this host if you trust it"
            }
            K::TokenInTheClear => {
                "use an https address, or allow plain http for this service in your configuration"
            }
            K::Connect(_) => "is the service running there, and can this machine reach it?",
            K::Timeout { .. } | K::Broken(_) | K::Changed => {
                "try again; when it happens often, the service is overloaded"
            }
            K::Status { status: 401, .. } => "the token is missing, wrong or has expired",
            K::Status { status: 403, .. } => {
                "the token is known but may not do this: are rules or terms still to be accepted?"
            }
            K::Status { status: 404, .. } => "look at the address for a misspelling",
            K::Status { status: 429, .. } => "too many calls: wait a little",
            K::Html { .. } => {
                "the address is probably that of a web page; the API usually lives below another path"
            }
            _ => return None,
        })
    }
}
