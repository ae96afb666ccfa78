//! The guard between async-openai and the network: limits on waiting and size, and every failure as one of our kinds.
//!
//! async-openai loses the status of errors of foreign shape, waits without limit and reads without limit. The guard sits
//! below it as the service that executes its requests, so that what comes up is either a sound body or an error of ours.

use crate::complaint::{Complaint, page_title, shown};
use crate::endpoint::Waits;
use crate::error::LlmErrorKind;
use ansatz_core::clock::Clock;
use ansatz_core::retry::asked;
use ansatz_core::secret::{Redactor, Secret};
use async_openai::error::OpenAIError;
use async_openai::middleware::HttpRequestFactory;
use bytes::Bytes;
use reqwest::Response;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use std::error::Error;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use tokio::time::timeout;

/// Bytes of an unsuccessful reply that are read.
const COMPLAINT_MAX: usize = 64 << 10;

/// Bytes of an answer that are taken.
pub const ANSWER_MAX: usize = 8 << 20;

/// What is waited for before a reply begins.
pub const FIRST_BYTE: &str = "the first byte";

/// What is waited for after a reply has begun.
pub const FIRST_WORD: &str = "the first word";

/// What the guard learnt about a call; shared with the endpoint that makes it.
#[derive(Default)]
pub struct Notes {
    /// Why it failed, when the guard knows better than what comes up through the layers above.
    failure: Mutex<Option<LlmErrorKind>>,
    /// The provider's id of the request.
    request: Mutex<Option<String>>,
    /// Whether words have arrived, after which silence may be shorter.
    pub has_begun: AtomicBool,
    /// Whether the end of the stream was announced.
    pub is_done: AtomicBool,
}

impl Notes {
    fn fail(&self, kind: LlmErrorKind) -> LlmErrorKind {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(kind).clone()
    }

    /// Why the call failed, if the guard knows.
    pub fn failure(&self) -> Option<LlmErrorKind> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The provider's id of the request.
    pub fn request(&self) -> Option<String> {
        self.request.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The service that executes requests. One for each call.
#[derive(Clone)]
pub struct Guard {
    pub http: reqwest::Client,
    pub key: Option<Secret>,
    pub waits: Waits,
    pub redactor: Redactor,
    pub clock: Arc<dyn Clock>,
    pub notes: Arc<Notes>,
    /// Whether the reply comes in pieces; a whole one may take as long as the call may.
    pub streams: bool,
}

impl tower::Service<HttpRequestFactory> for Guard {
    type Response = Response;
    type Error = OpenAIError;
    type Future = Pin<Box<dyn Future<Output = Result<Response, OpenAIError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), OpenAIError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, factory: HttpRequestFactory) -> Self::Future {
        let guard = self.clone();
        Box::pin(async move {
            let request = factory.build().await?;
            guard.execute(request).await.map_err(|kind| OpenAIError::Boxed(Box::new(guard.notes.fail(kind))))
        })
    }
}

impl Guard {
    async fn execute(&self, mut request: reqwest::Request) -> Result<Response, LlmErrorKind> {
        request.headers_mut().remove(AUTHORIZATION);
        if let Some(key) = &self.key {
            let mut value = HeaderValue::from_str(&format!("Bearer {}", key.expose())).map_err(|_| {
                let message = "it holds letters that cannot be sent".into();
                LlmErrorKind::Auth { status: 0, message }
            })?;
            value.set_sensitive(true);
            request.headers_mut().insert(AUTHORIZATION, value);
        }
        let limit = if self.streams { self.waits.first_byte } else { self.waits.total };
        let response = match timeout(limit, self.http.execute(request)).await {
            Err(_) => return Err(LlmErrorKind::Timeout { what: FIRST_BYTE, limit }),
            Ok(Err(error)) if error.is_connect() => return Err(LlmErrorKind::Connect(self.words(&error))),
            Ok(Err(error)) => return Err(LlmErrorKind::Broken(self.words(&error))),
            Ok(Ok(response)) => response,
        };
        let header = |name: &str| text(response.headers(), name);
        let id = header("x-request-id").or_else(|| header("request-id")).map(|id| shown(&id, &self.redactor));
        *self.notes.request.lock().unwrap_or_else(PoisonError::into_inner) = id;
        let status = response.status().as_u16();
        if !(200..300).contains(&status) {
            let after = asked(
                header("retry-after").as_deref(),
                header("retry-after-ms").as_deref(),
                self.clock.unix_seconds(),
            );
            let body = self.beginning(response).await;
            let complaint = match page_title(&body, &self.redactor) {
                Some(title) => Complaint { message: title, ..Complaint::default() },
                None => Complaint::read(&body, &self.redactor),
            };
            return Err(complaint.kind(status, after));
        }
        let length = header("content-length").and_then(|length| length.parse::<usize>().ok());
        if length.is_some_and(|length| length > ANSWER_MAX) {
            return Err(LlmErrorKind::TooLarge { max: ANSWER_MAX });
        }
        if header("content-type").is_some_and(|kind| kind.starts_with("text/html")) {
            let body = self.beginning(response).await;
            return Err(LlmErrorKind::Html(page_title(&body, &self.redactor).unwrap_or_default()));
        }
        let is_whole = header("content-type").is_some_and(|kind| kind.starts_with("application/json"));
        if self.streams && is_whole {
            return self.in_one_piece(response).await;
        }
        Ok(self.limited(response))
    }

    /// A whole reply where a stream was asked for, which some servers give: as a stream of one piece.
    async fn in_one_piece(&self, response: Response) -> Result<Response, LlmErrorKind> {
        let (mut limited, mut body) = (self.limited(response), Vec::new());
        loop {
            match limited.chunk().await {
                Ok(Some(piece)) => body.extend_from_slice(&piece),
                Ok(None) => break,
                Err(error) => {
                    return Err(self
                        .notes
                        .failure()
                        .unwrap_or_else(|| LlmErrorKind::Broken(self.words(&error))));
                }
            }
        }
        // On one line, as events are; what is no JSON goes on as it is and fails above with its beginning shown.
        let whole: Result<serde_json::Value, _> = serde_json::from_slice(&body);
        let line =
            whole.map_or_else(|_| String::from_utf8_lossy(&body).into_owned(), |whole| whole.to_string());
        self.notes.is_done.store(true, Ordering::Relaxed);
        let events = format!("data: {line}\n\ndata: [DONE]\n\n");
        let stream = http::Response::builder().header("content-type", "text/event-stream").body(events);
        Ok(stream.map_or_else(|_| Response::from(http::Response::new(Vec::<u8>::new())), Response::from))
    }

    async fn beginning(&self, mut response: Response) -> Vec<u8> {
        let mut body = Vec::new();
        while body.len() < COMPLAINT_MAX {
            let Ok(Ok(Some(piece))) = timeout(self.waits.idle, response.chunk()).await else { break };
            body.extend_from_slice(&piece);
        }
        body.truncate(COMPLAINT_MAX);
        body
    }

    /// The same reply with a body that ends by itself when it grows too large or stalls.
    fn limited(&self, response: Response) -> Response {
        let mut limited = http::Response::builder().status(response.status());
        if let Some(headers) = limited.headers_mut() {
            headers.clone_from(response.headers());
        }
        let state = (response, self.clone(), Seen::default());
        let pieces = futures_util::stream::unfold(Some(state), async |state| {
            let (mut response, guard, mut seen) = state?;
            match guard.piece(&mut response, &mut seen).await {
                Ok(None) => None,
                Ok(Some(piece)) => Some((Ok(piece), Some((response, guard, seen)))),
                Err(kind) => Some((Err(guard.notes.fail(kind)), None)),
            }
        });
        limited
            .body(reqwest::Body::wrap_stream(pieces))
            .map_or_else(|_| Response::from(http::Response::new(Vec::<u8>::new())), Response::from)
    }

    async fn piece(&self, response: &mut Response, seen: &mut Seen) -> Result<Option<Bytes>, LlmErrorKind> {
        let what = |has_begun| if has_begun { "the next word" } else { FIRST_WORD };
        let has_begun = || self.notes.has_begun.load(Ordering::Relaxed);
        let longest = if self.streams { self.waits.first_byte } else { self.waits.total };
        let shortest = if self.streams { self.waits.idle.min(longest) } else { longest };
        let mut chunk = std::pin::pin!(response.chunk());
        // Whether words have arrived is known a moment after the piece that brought them, so it is asked at the end of the wait.
        let arrived = match timeout(shortest, &mut chunk).await {
            Err(_) if has_begun() => {
                return Err(LlmErrorKind::Timeout { what: what(true), limit: shortest });
            }
            Err(_) => timeout(longest.saturating_sub(shortest), chunk).await,
            arrived => arrived,
        };
        let piece = match arrived {
            Err(_) => return Err(LlmErrorKind::Timeout { what: what(has_begun()), limit: longest }),
            Ok(Err(error)) => return Err(LlmErrorKind::Broken(self.words(&error))),
            Ok(Ok(piece)) => piece,
        };
        if let Some(piece) = &piece {
            if seen.bytes == 0
                && let Some(title) = page_title(piece, &self.redactor)
            {
                return Err(LlmErrorKind::Html(title));
            }
            seen.take(piece);
            if seen.bytes > ANSWER_MAX {
                return Err(LlmErrorKind::TooLarge { max: ANSWER_MAX });
            }
            if seen.is_done {
                self.notes.is_done.store(true, Ordering::Relaxed);
            }
        }
        Ok(piece)
    }

    fn words(&self, error: &reqwest::Error) -> String {
        let mut words = Vec::new();
        let mut cause = error.source();
        while let Some(error) = cause {
            let text = error.to_string();
            if !words.contains(&text) {
                words.push(text);
            }
            cause = error.source();
        }
        let text = if words.is_empty() { "no reason given".into() } else { words.join(": ") };
        shown(&text, &self.redactor)
    }
}

/// What has gone by of a body.
#[derive(Default)]
struct Seen {
    bytes: usize,
    tail: Vec<u8>,
    is_done: bool,
}

impl Seen {
    /// Counts a piece and watches for the mark that ends a stream, which may be split between pieces.
    fn take(&mut self, piece: &[u8]) {
        const MARK: &[u8] = b"[DONE]";
        self.bytes += piece.len();
        self.tail.extend_from_slice(piece);
        self.is_done = self.is_done || self.tail.windows(MARK.len()).any(|window| window == MARK);
        let keep = self.tail.len().min(MARK.len() - 1);
        self.tail.drain(..self.tail.len() - keep);
    }
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}
