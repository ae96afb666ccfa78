//! What can go wrong with a call to a language model, and the one function that decides about trying again.

use crate::cassette::CassetteError;
use ansatz_core::retry::Retry;
use std::time::Duration;

/// A call that failed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{model}: {kind}{}", request.as_ref().map(|id| format!(" (request {id})")).unwrap_or_default())]
pub struct LlmError {
    /// The model, `name at host`.
    pub model: String,
    /// The provider's id of the request, for its support.
    pub request: Option<String>,
    /// What happened; part of the message, hence not its source.
    pub kind: LlmErrorKind,
}

/// What happened. Texts of providers are shortened and hold no secret.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum LlmErrorKind {
    /// The base URL makes no sense.
    #[error("this is no address: {0}")]
    Address(String),
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
    /// The connection broke before the answer was complete.
    #[error("the answer broke off: {0}")]
    Broken(String),
    /// Too many requests.
    #[error("too many requests{}", colon(message))]
    RateLimited {
        /// What the provider says.
        message: String,
        /// Time that it asks for.
        after: Option<Duration>,
    },
    /// The account has nothing left to spend.
    #[error("the account's quota is used up{}", colon(.0))]
    Quota(String),
    /// The key is missing, wrong, or may not do this.
    #[error("the key was refused ({status}){}", colon(message))]
    Auth {
        /// HTTP status.
        status: u16,
        /// What the provider says.
        message: String,
    },
    /// There is no such model.
    #[error("the endpoint does not know this model{}", colon(.0))]
    UnknownModel(String),
    /// There is no such endpoint.
    #[error("there is nothing at this address{}", colon(.0))]
    NotFound(String),
    /// The provider failed.
    #[error("the provider failed ({status}){}", colon(message))]
    Server {
        /// HTTP status, or 200 when it failed after it had begun.
        status: u16,
        /// What the provider says.
        message: String,
        /// Time that it asks for.
        after: Option<Duration>,
    },
    /// The provider does not take the request as it is.
    #[error("the request was refused ({status}){}", colon(message))]
    Rejected {
        /// HTTP status.
        status: u16,
        /// What the provider says.
        message: String,
        /// The parameter that it names.
        param: Option<String>,
    },
    /// The prompt is longer than the model can read.
    #[error("the prompt is too long for this model{}", colon(.0))]
    ContextOverflow(String),
    /// The answer is larger than allowed.
    #[error("the answer is larger than {max} bytes")]
    TooLarge {
        /// Bytes that are allowed.
        max: usize,
    },
    /// A page for people came.
    #[error("a web page came instead of an answer{}", colon(.0))]
    Html(String),
    /// The provider's reply has a shape that nobody knows.
    #[error("the reply has no known shape ({problem}); it begins {sample:?}")]
    Shape {
        /// What is wrong.
        problem: String,
        /// How it begins.
        sample: String,
    },
    /// The model does not want to.
    #[error("the model refused{}", colon(.0))]
    Refused(String),
    /// A filter of the provider cut in.
    #[error("the provider's content filter cut in")]
    Filtered,
    /// Nothing was answered.
    #[error("the answer is empty")]
    Empty,
    /// The answer is longer than allowed, even after a continuation.
    #[error("the answer was cut at {tokens} tokens")]
    Truncated {
        /// Tokens that were allowed.
        tokens: u32,
    },
    /// The answer does not have the form that was asked for, even after repairs.
    #[error("the answer could not be read: {}", .0.join("; "))]
    Unreadable(Vec<String>),
    /// A cap of the run is reached.
    #[error("{0}")]
    Cap(String),
    /// The endpoint failed too often just now.
    #[error("the endpoint failed too often and is left alone for {} s", .0.as_secs())]
    Resting(Duration),
    /// The recording does not hold this call, or cannot be read.
    #[error("{0}")]
    Cassette(CassetteError),
    /// What a recorded call had failed with.
    #[error("{0} (recorded)")]
    Recorded(String),
}

fn colon(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(": {message}") }
}

impl LlmError {
    pub(crate) fn new(model: impl Into<String>, kind: LlmErrorKind) -> Self {
        Self { model: model.into(), request: None, kind }
    }

    /// Whether to try again: the one place that decides it.
    pub fn retry(&self) -> Retry {
        use LlmErrorKind as K;
        match &self.kind {
            K::RateLimited { after, .. } | K::Server { after, .. } => Retry::Later { after: *after },
            K::Connect(_) | K::Timeout { .. } | K::Broken(_) => Retry::Later { after: None },
            K::Resting(wait) => Retry::Later { after: Some(*wait) },
            K::Rejected { .. } | K::ContextOverflow(_) | K::TooLarge { .. } | K::Refused(_) | K::Filtered => {
                Retry::AfterChange
            }
            K::Empty | K::Truncated { .. } | K::Unreadable(_) => Retry::AfterChange,
            K::Address(_)
            | K::Quota(_)
            | K::Auth { .. }
            | K::UnknownModel(_)
            | K::NotFound(_)
            | K::Html(_)
            | K::Shape { .. }
            | K::Cap(_)
            | K::Cassette(_)
            | K::Recorded(_) => Retry::Never,
        }
    }

    /// Whether the cause lies with the endpoint, so that another one may do better with the same request.
    pub fn is_of_endpoint(&self) -> bool {
        use LlmErrorKind as K;
        !matches!(
            self.kind,
            K::Cap(_)
                | K::Cassette(_)
                | K::Recorded(_)
                | K::Unreadable(_)
                | K::Refused(_)
                | K::Filtered
                | K::Empty
                | K::Truncated { .. }
        )
    }

    /// Whether the endpoint will not answer again in this process whatever is asked.
    pub fn is_final_for_endpoint(&self) -> bool {
        use LlmErrorKind as K;
        matches!(
            self.kind,
            K::Address(_) | K::Quota(_) | K::Auth { .. } | K::UnknownModel(_) | K::NotFound(_) | K::Html(_)
        )
    }

    /// Whether the key is the cause.
    pub fn is_auth(&self) -> bool {
        matches!(self.kind, LlmErrorKind::Auth { .. })
    }

    /// What to do about it, for a person to read; `None` when there is nothing general to say.
    pub fn hint(&self) -> Option<&'static str> {
        use LlmErrorKind as K;
        Some(match &self.kind {
            K::Address(_) => "give a base URL such as https://host/v1",
            K::Connect(_) => "is the server running there, and can this machine reach it?",
            K::Timeout { .. } => "a slow model needs more time: raise llm_wait in your configuration",
            K::RateLimited { .. } | K::Resting(_) => {
                "wait a little, or name a second endpoint to fail over to"
            }
            K::Quota(_) => "look at the account's billing, or name another endpoint",
            K::Auth { .. } => {
                "set ANSATZ_LLM_API_KEY, or the provider's own variable, to a key that is valid here"
            }
            K::UnknownModel(_) => "look at the model's name; the endpoint lists what it knows at /models",
            K::NotFound(_) | K::Html(_) => {
                "the base URL should end where /chat/completions begins, often in /v1"
            }
            K::ContextOverflow(_) => {
                "use a model with a longer context, or start the server with a larger one"
            }
            K::Shape { .. } => {
                "the server is probably not OpenAI-compatible; look at its manual for such an address"
            }
            K::Truncated { .. } => {
                "a model that thinks at length may need less of it: set llm_reasoning_effort to low"
            }
            K::Cap(_) => "raise --max-tokens or --max-usd",
            K::Cassette(_) => "record anew with --record",
            _ => return None,
        })
    }
}
