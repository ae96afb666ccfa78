//! A client for one service.

use crate::address::{self, Hosts};
use crate::error::{FetchError, FetchErrorKind};
use crate::request::{Method, Request};
use ansatz_core::retry::Backoff;
use ansatz_core::secret::{Redactor, Secret};
use ansatz_core::seed::Seed;
use reqwest::Url;
use std::sync::Arc;
use std::time::Duration;

/// Limits of every call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Until a connection stands.
    pub connect: Duration,
    /// From sending to the reply's first byte.
    pub first_byte: Duration,
    /// Between two pieces of a body.
    pub idle: Duration,
    /// A whole call whose reply is kept in memory. Downloads to files have no such limit.
    pub total: Duration,
    /// Bytes of a reply that is kept in memory.
    pub body_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            first_byte: Duration::from_mins(1),
            idle: Duration::from_secs(30),
            total: Duration::from_mins(10),
            body_max: 8 << 20,
        }
    }
}

/// How a client behaves.
#[derive(Clone, Default)]
pub struct Settings {
    /// Sent as a bearer token, to the base's own host only.
    pub token: Option<Secret>,
    /// Hosts beside the base's own that redirects and whole addresses may lead to.
    pub hosts: Hosts,
    /// Limits of every call.
    pub limits: Limits,
    /// How patiently calls that change nothing are tried again; `None` tries once.
    pub retries: Option<Backoff>,
    /// Where the jitter of waiting comes from.
    pub seed: Option<Seed>,
    /// Whether the token may cross a network in the clear.
    pub plain_http: bool,
    /// A proxy; those of the environment are ignored.
    pub proxy: Option<String>,
    /// Secrets to remove from errors beside the token.
    pub redactor: Redactor,
}

/// Speaks to one service. Cheap to clone.
#[derive(Clone)]
pub struct Client(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub http: reqwest::Client,
    pub base: Url,
    pub hosts: Hosts,
    pub token: Option<Secret>,
    pub limits: Limits,
    pub retries: Option<Backoff>,
    pub seed: Seed,
    pub plain_http: bool,
    pub redactor: Redactor,
}

impl Client {
    /// A client for the service below a base URL.
    ///
    /// # Errors
    /// When the base URL or the proxy makes no sense.
    pub fn new(base: &str, settings: Settings) -> Result<Self, FetchError> {
        let refused = |kind| FetchError { method: Method::Get, url: String::new(), kind };
        let base = address::base(base).map_err(refused)?;
        let mut builder = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .connect_timeout(settings.limits.connect)
            .user_agent(concat!("ansatz/", env!("CARGO_PKG_VERSION")));
        if let Some(proxy) = &settings.proxy {
            let proxy = reqwest::Proxy::all(proxy)
                .map_err(|error| refused(FetchErrorKind::Address(format!("of the proxy: {error}"))))?;
            builder = builder.proxy(proxy);
        }
        let http = builder.build().map_err(|error| refused(FetchErrorKind::Connect(error.to_string())))?;
        let (mut hosts, mut redactor) = (settings.hosts, settings.redactor);
        hosts.add(&base);
        if let Some(token) = &settings.token {
            redactor.learn(token);
        }
        Ok(Self(Arc::new(Inner {
            http,
            base,
            hosts,
            token: settings.token,
            limits: settings.limits,
            retries: settings.retries,
            seed: settings.seed.unwrap_or(Seed(0)),
            plain_http: settings.plain_http,
            redactor,
        })))
    }

    /// The base URL, ending in a slash.
    pub fn base(&self) -> &str {
        self.0.base.as_str()
    }

    /// A request; `path` lies below the base URL, or is a whole address on an allowed host.
    pub fn request(&self, method: Method, path: &str) -> Request {
        Request::new(self.clone(), method, path)
    }

    /// A GET request.
    pub fn get(&self, path: &str) -> Request {
        self.request(Method::Get, path)
    }

    /// A POST request.
    pub fn post(&self, path: &str) -> Request {
        self.request(Method::Post, path)
    }

    /// A PUT request.
    pub fn put(&self, path: &str) -> Request {
        self.request(Method::Put, path)
    }

    /// A DELETE request.
    pub fn delete(&self, path: &str) -> Request {
        self.request(Method::Delete, path)
    }
}
