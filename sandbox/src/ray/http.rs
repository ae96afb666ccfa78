//! The one thing that is asked of the outside: make a call, give the answer.

/// How a call is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Reads.
    Get,
    /// Stores.
    Put,
    /// Starts or stops something.
    Post,
    /// Removes.
    Delete,
}

/// What is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// Nothing.
    Empty,
    /// A JSON text.
    Json(String),
    /// Bytes as they are.
    Bytes(Vec<u8>),
}

/// A call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// How.
    pub method: Method,
    /// Path below the address of the head, without a leading slash.
    pub path: String,
    /// What is sent.
    pub body: Body,
    /// Most bytes of an answer.
    pub reply_bytes_max: u64,
}

/// Why there is no answer that could be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HttpErrorKind {
    /// Nobody answers, or the answer broke off.
    Unreachable,
    /// The server answers with this status instead of success.
    Status(u16),
    /// A web page came instead of data.
    WebPage,
    /// The answer is larger than allowed.
    TooLarge,
    /// The address or the token is not one that may be used.
    Unusable,
}

/// A call that brought nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpError {
    /// What kind.
    pub kind: HttpErrorKind,
    /// In words, without secrets.
    pub message: String,
}

impl HttpError {
    /// An error of some kind.
    pub fn new(kind: HttpErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }
}

/// A way to call one Ray head. Redirects, tokens and time limits are its business.
pub trait Http: Send + Sync {
    /// Makes a call and gives the body of a successful answer.
    ///
    /// # Errors
    /// Anything but a success, told apart by [`HttpErrorKind`].
    fn call(&self, request: Request) -> Result<Vec<u8>, HttpError>;
}
