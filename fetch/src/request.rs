//! A request, sent with redirects, retries and limits; and its reply.

use crate::address;
use crate::body::{self, Incoming};
use crate::client::Client;
use crate::error::{FetchError, FetchErrorKind};
use ansatz_core::retry::{Retry, asked, unit};
use ansatz_core::secret::Redactor;
use bytes::Bytes;
use reqwest::Url;
use reqwest::header::{self, HeaderMap, HeaderName, HeaderValue};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::timeout;

/// Redirects that are followed.
const REDIRECTS_MAX: usize = 5;

/// How something is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Reads.
    Get,
    /// Reads headers alone.
    Head,
    /// Adds or acts; never repeated by itself.
    Post,
    /// Replaces.
    Put,
    /// Removes.
    Delete,
}

impl Method {
    fn is_repeatable(self) -> bool {
        self != Self::Post
    }

    fn http(self) -> reqwest::Method {
        match self {
            Self::Get => reqwest::Method::GET,
            Self::Head => reqwest::Method::HEAD,
            Self::Post => reqwest::Method::POST,
            Self::Put => reqwest::Method::PUT,
            Self::Delete => reqwest::Method::DELETE,
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.http().as_str())
    }
}

/// What a request carries.
#[derive(Clone)]
enum Payload {
    Nothing,
    Bytes(Bytes),
    File(PathBuf),
    /// It could not be made into JSON.
    Broken(String),
}

/// A request under construction.
#[must_use = "a request does nothing until it is sent"]
#[derive(Clone)]
pub struct Request {
    client: Client,
    method: Method,
    path: String,
    query: Vec<(String, String)>,
    headers: Vec<(String, String)>,
    payload: Payload,
}

/// A whole reply.
#[derive(Debug, Clone)]
pub struct Reply {
    /// HTTP status, always a success.
    pub status: u16,
    headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Reply {
    /// A header's value, when it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

impl Request {
    pub(crate) fn new(client: Client, method: Method, path: &str) -> Self {
        let (query, headers) = (Vec::new(), Vec::new());
        Self { client, method, path: path.into(), query, headers, payload: Payload::Nothing }
    }

    /// Adds to the query; the value is encoded.
    pub fn query(mut self, name: &str, value: impl fmt::Display) -> Self {
        self.query.push((name.into(), value.to_string()));
        self
    }

    /// Adds a header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Carries JSON.
    pub fn body_json(mut self, body: &impl Serialize) -> Self {
        self.payload = match serde_json::to_vec(body) {
            Ok(bytes) => Payload::Bytes(bytes.into()),
            Err(error) => Payload::Broken(error.to_string()),
        };
        self.header("content-type", "application/json")
    }

    /// Carries bytes.
    pub fn body_bytes(mut self, body: impl Into<Bytes>, content_type: &str) -> Self {
        self.payload = Payload::Bytes(body.into());
        self.header("content-type", content_type)
    }

    /// Carries a file, read piece by piece while it is sent.
    pub fn body_file(mut self, path: &Path, content_type: &str) -> Self {
        self.payload = Payload::File(path.to_path_buf());
        self.header("content-type", content_type)
    }

    /// Sends it and reads the reply as JSON.
    ///
    /// # Errors
    /// [`FetchError`]: no success, a web page, other JSON than expected, or a limit.
    pub async fn json<T: DeserializeOwned>(self) -> Result<T, FetchError> {
        let request = self.header("accept", "application/json");
        let (url, reply) = request.whole().await?;
        let is_html = reply.header("content-type").is_some_and(|kind| kind.starts_with("text/html"));
        let redactor = &request.client.0.redactor;
        if is_html || body::looks_like_html(&reply.body) {
            return Err(
                request.error(&url, FetchErrorKind::Html { title: body::title(&reply.body, redactor) })
            );
        }
        serde_json::from_slice(&reply.body).map_err(|error| {
            let sample = body::sample(&reply.body, redactor);
            let problem = redactor.clean(&error.to_string());
            request.error(&url, FetchErrorKind::Unexpected { problem, sample })
        })
    }

    /// Sends it and reads the whole reply.
    ///
    /// # Errors
    /// [`FetchError`]: no success, or a limit.
    pub async fn reply(self) -> Result<Reply, FetchError> {
        Ok(self.whole().await?.1)
    }

    async fn whole(&self) -> Result<(Url, Reply), FetchError> {
        let limits = self.client.0.limits;
        let call = async {
            self.with_retries(async || {
                let mut incoming = self.send(&[]).await?;
                let body =
                    incoming.whole(limits.body_max).await.map_err(|kind| self.error(&incoming.url, kind))?;
                Ok((incoming.url, Reply { status: incoming.status, headers: incoming.headers, body }))
            })
            .await
        };
        timeout(limits.total, call).await.unwrap_or_else(|_| {
            let kind = FetchErrorKind::Timeout { what: "the whole call", limit: limits.total };
            Err(self.error_at(self.client.0.base.as_str(), kind))
        })
    }

    /// Tries again as often as the client's patience allows.
    pub(crate) async fn with_retries<T>(
        &self,
        mut attempt: impl AsyncFnMut() -> Result<T, FetchError>,
    ) -> Result<T, FetchError> {
        let mut failures = 0;
        loop {
            let error = match attempt().await {
                Ok(done) => return Ok(done),
                Err(error) => error,
            };
            failures += 1;
            let wait = match (error.retry(), self.client.0.retries) {
                (Retry::Later { after }, Some(backoff)) if self.method.is_repeatable() => {
                    let chance = unit(self.client.0.seed.derive(&format!("{}#{failures}", self.path)).0);
                    backoff.wait(failures, after, chance)
                }
                _ => None,
            };
            let Some(wait) = wait else { return Err(error) };
            tokio::time::sleep(wait).await;
        }
    }

    /// Sends it once, redirects followed; gives the reply with its body still to come.
    pub(crate) async fn send(&self, extra: &[(&str, String)]) -> Result<Incoming, FetchError> {
        let client = &self.client.0;
        let mut url = address::join(&client.base, &self.path)
            .map_err(|kind| self.error_at(&client.redactor.clean(&self.path), kind))?;
        if !self.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&self.query);
        }
        for _ in 0..=REDIRECTS_MAX {
            let response = self.send_to(&url, extra).await.map_err(|kind| self.error(&url, kind))?;
            let incoming = Incoming::new(url.clone(), response, client.limits.idle);
            if !(300..400).contains(&incoming.status) || incoming.status == 304 {
                return self.check(incoming).await;
            }
            url = self.redirected(&incoming).map_err(|kind| self.error(&url, kind))?;
        }
        Err(self.error(&url, FetchErrorKind::Redirect("in circles".into())))
    }

    async fn send_to(
        &self,
        url: &Url,
        extra: &[(&str, String)],
    ) -> Result<reqwest::Response, FetchErrorKind> {
        let client = &self.client.0;
        if !client.hosts.allow(url) {
            return Err(FetchErrorKind::HostNotAllowed(address::place(url)));
        }
        let mut builder = client.http.request(self.method.http(), url.clone());
        let own = self.headers.iter().map(|(name, value)| (name.as_str(), value));
        for (name, value) in own.chain(extra.iter().map(|(name, value)| (*name, value))) {
            builder = builder.header(header_name(name)?, header_value(value)?);
        }
        // The token belongs to the base's own host; a store that a download is redirected to must not see it.
        if let Some(token) =
            client.token.as_ref().filter(|_| address::place(url) == address::place(&client.base))
        {
            if !client.plain_http && !address::is_private(url) {
                return Err(FetchErrorKind::TokenInTheClear);
            }
            let mut value = header_value(&format!("Bearer {}", token.expose()))?;
            value.set_sensitive(true);
            builder = builder.header(header::AUTHORIZATION, value);
        }
        let builder = match &self.payload {
            Payload::Nothing => builder,
            Payload::Bytes(bytes) => builder.body(bytes.clone()),
            Payload::File(path) => {
                let (length, body) = body::of_file(path)
                    .map_err(|error| FetchErrorKind::File { path: path.clone(), error })?;
                builder.header(header::CONTENT_LENGTH, length).body(body)
            }
            Payload::Broken(problem) => {
                let sample = String::new();
                return Err(FetchErrorKind::Unexpected { problem: problem.clone(), sample });
            }
        };
        // An upload may take its time; the first byte is awaited from when it can have been sent.
        let limit = match &self.payload {
            Payload::File(_) => client.limits.total,
            _ => client.limits.first_byte,
        };
        match timeout(limit, builder.send()).await {
            Err(_) => Err(FetchErrorKind::Timeout { what: "the first byte", limit }),
            Ok(Err(error)) => Err(self.transport(&error)),
            Ok(Ok(response)) => Ok(response),
        }
    }

    fn transport(&self, error: &reqwest::Error) -> FetchErrorKind {
        let words = self.client.0.redactor.clean(&body::words(error));
        if error.is_connect() { FetchErrorKind::Connect(words) } else { FetchErrorKind::Broken(words) }
    }

    /// Where a redirect leads.
    fn redirected(&self, incoming: &Incoming) -> Result<Url, FetchErrorKind> {
        if !matches!(self.method, Method::Get | Method::Head) {
            return Err(FetchErrorKind::Redirect("although only reading can be".into()));
        }
        let target = incoming
            .header("location")
            .ok_or_else(|| FetchErrorKind::Redirect("without saying where to".into()))?;
        let next = incoming
            .url
            .join(target)
            .map_err(|error| FetchErrorKind::Redirect(format!("to no address: {error}")))?;
        if address::is_private(&incoming.url) && !address::is_private(&next) {
            return Err(FetchErrorKind::Redirect("from a safe address to plain http".into()));
        }
        Ok(next)
    }

    /// Lets a success pass and makes everything else an error.
    async fn check(&self, mut incoming: Incoming) -> Result<Incoming, FetchError> {
        if (200..300).contains(&incoming.status) {
            return Ok(incoming);
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
        let retry_after = asked(incoming.header("retry-after"), incoming.header("retry-after-ms"), now);
        let message = body::complaint(&incoming.beginning().await, &self.client.0.redactor);
        let kind = FetchErrorKind::Status { status: incoming.status, message, retry_after };
        Err(self.error(&incoming.url, kind))
    }

    pub(crate) fn redactor(&self) -> &Redactor {
        &self.client.0.redactor
    }

    pub(crate) fn error(&self, url: &Url, kind: FetchErrorKind) -> FetchError {
        self.error_at(&address::shown(url), kind)
    }

    fn error_at(&self, url: &str, kind: FetchErrorKind) -> FetchError {
        FetchError { method: self.method, url: self.client.0.redactor.clean(url), kind }
    }
}

fn header_name(name: &str) -> Result<HeaderName, FetchErrorKind> {
    name.parse().map_err(|_| FetchErrorKind::Address(format!("{name:?} is no name of a header")))
}

fn header_value(value: &str) -> Result<HeaderValue, FetchErrorKind> {
    value.parse().map_err(|_| FetchErrorKind::Address("a header holds letters that cannot be sent".into()))
}
