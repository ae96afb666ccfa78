//! The line to a head: calls over `fetch`, and what stands at the head's door.

use super::options::RayOptions;
use crate::error::{RunError, RunErrorKind};
use ansatz_core::retry::Retry;
use ansatz_core::secret::Secret;
use ansatz_fetch::{Client, FetchError, FetchErrorKind, Limits, Settings};
use ansatz_sandbox::ray::{Body, Door, Http, HttpError, HttpErrorKind, Method, RayError, Request, door};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::runtime::Runtime;

/// Time for a connection to stand.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// Time for a head to begin its answer.
const FIRST_BYTE_MAX: Duration = Duration::from_secs(10);
/// The same where it has to take in a package or to ask a node for its log.
const FIRST_BYTE_SLOW_MAX: Duration = Duration::from_mins(1);

/// Most bytes of an answer while the door is looked at.
const REPLY_MAX: u64 = 64 << 20;

/// Calls one head.
pub struct Line {
    quick: Client,
    slow: Client,
    /// Only one call at a time runs on it; batches are watched, not streamed. There until the line is dropped.
    runtime: Mutex<Option<Runtime>>,
}

impl Line {
    /// A line to the head at an address.
    ///
    /// # Errors
    /// Of kind `Usage` when the address is none.
    pub fn new(options: &RayOptions, token: Option<&Secret>, reply_bytes_max: u64) -> Result<Self, RunError> {
        let client = |first_byte: Duration| {
            let limits =
                Limits { connect: CONNECT_MAX, first_byte, body_max: reply_bytes_max, ..Limits::default() };
            // Ray itself speaks plain http; what that means is told to the user.
            let settings =
                Settings { token: token.cloned(), limits, plain_http: true, ..Settings::default() };
            Client::new(&options.address, settings).map_err(|error| {
                RunError::usage(format!("--ray-address {}: {}", options.address, error.kind))
                    .hint("give the address of Ray's dashboard, such as http://127.0.0.1:8265")
            })
        };
        let (quick, slow) = (client(FIRST_BYTE_MAX)?, client(FIRST_BYTE_SLOW_MAX)?);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| RunError::failed(format!("starting a runtime: {error}")))?;
        Ok(Self { quick, slow, runtime: Mutex::new(Some(runtime)) })
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        // The last hand that holds a line may be in another runtime, where waiting for this one is not allowed.
        if let Some(runtime) = self.runtime.get_mut().unwrap_or_else(PoisonError::into_inner).take() {
            runtime.shutdown_background();
        }
    }
}

impl Http for Line {
    fn call(&self, request: Request) -> Result<Vec<u8>, HttpError> {
        let method = match request.method {
            Method::Get => ansatz_fetch::Method::Get,
            Method::Put => ansatz_fetch::Method::Put,
            Method::Post => ansatz_fetch::Method::Post,
            Method::Delete => ansatz_fetch::Method::Delete,
        };
        let is_slow = request.method == Method::Put || request.path.ends_with("/logs");
        let call = if is_slow { &self.slow } else { &self.quick }.request(method, &request.path);
        let call = match request.body {
            Body::Empty => call,
            Body::Json(text) => call.body_bytes(text.into_bytes(), "application/json"),
            Body::Bytes(bytes) => call.body_bytes(bytes, "application/octet-stream"),
        };
        let runtime = self.runtime.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(runtime) = runtime.as_ref() else {
            return Err(HttpError::new(HttpErrorKind::Unreachable, "the line is closed"));
        };
        let body = runtime.block_on(call.reply()).map_err(|error| translated(&error))?.body;
        if body.len() as u64 > request.reply_bytes_max {
            return Err(HttpError::new(HttpErrorKind::TooLarge, format!("{} bytes came", body.len())));
        }
        Ok(body.to_vec())
    }
}

fn translated(error: &FetchError) -> HttpError {
    let kind = match &error.kind {
        FetchErrorKind::Status { status, .. } => HttpErrorKind::Status(*status),
        FetchErrorKind::Html { .. } => HttpErrorKind::WebPage,
        FetchErrorKind::TooLarge { .. } => HttpErrorKind::TooLarge,
        _ if matches!(error.retry(), Retry::Later { .. }) => HttpErrorKind::Unreachable,
        _ => HttpErrorKind::Unusable,
    };
    HttpError::new(kind, error.kind.to_string())
}

/// What was found at a head's door.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// Ray's version.
    pub version: String,
    /// What the user should know.
    pub warnings: Vec<String>,
}

/// Looks whether a head is there, takes our token, and lets nobody else in.
///
/// # Errors
/// Of kind `Sandbox`: nobody answers, the token is missing or wrong, it is not Ray, or its job interface is open to
/// everybody on a network.
pub fn check(options: &RayOptions, token: Option<&Secret>) -> Result<Checked, RunError> {
    let ours = Line::new(options, token, REPLY_MAX)?;
    let anonymous = Line::new(options, None, REPLY_MAX)?;
    let found = door(&ours, &anonymous).map_err(|error| refused(&options.address, &error))?;
    judge(options, found)
}

fn judge(options: &RayOptions, found: Door) -> Result<Checked, RunError> {
    let Door { version, is_open } = found;
    let mut warnings = Vec::new();
    if is_open && !is_loopback(&options.address) {
        return Err(RunError::new(
            RunErrorKind::Sandbox,
            format!("the job interface of Ray at {} answers without a token: everybody who reaches it can run commands on its nodes", options.address),
        )
        .hint("start Ray 2.52 or later with RAY_AUTH_MODE=token, or bind its dashboard to the loopback and forward the port: ssh -L 8265:localhost:8265 HEAD"));
    }
    if is_open {
        warnings.push(
            "Ray answers without a token; every user of this machine can run commands on its nodes (RAY_AUTH_MODE=token closes it)"
                .into(),
        );
    } else if options.address.starts_with("http://") && !is_loopback(&options.address) {
        warnings.push(format!(
            "data, labels and Ray's token cross the network to {} in the clear; an https address or a forwarded port would hide them",
            options.address
        ));
    }
    Ok(Checked { version, warnings })
}

/// An error of the interface as an error of the run.
pub fn refused(address: &str, error: &RayError) -> RunError {
    RunError::new(RunErrorKind::Sandbox, format!("{error} (at {address})")).hint(error.hint())
}

/// Whether an address leads to this machine.
fn is_loopback(address: &str) -> bool {
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    let place = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = match place.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => place.split(':').next().unwrap_or_default(),
    };
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(address: &str) -> RayOptions {
        RayOptions { address: address.into(), share: None, cpus: 1, gpus: 0, memory_bytes: 0 }
    }

    fn judged(address: &str, is_open: bool) -> Result<usize, String> {
        let door = Door { version: "2.60.0".into(), is_open };
        judge(&options(address), door).map(|checked| checked.warnings.len()).map_err(|error| error.message)
    }

    #[test]
    fn an_open_door_is_tolerated_on_this_machine_alone() {
        assert_eq!(judged("http://127.0.0.1:8265", false), Ok(0));
        assert_eq!(judged("http://localhost:8265/", true), Ok(1));
        assert_eq!(judged("http://[::1]:8265", true), Ok(1));
        assert_eq!(judged("https://ray.example.org", false), Ok(0));
        assert_eq!(judged("http://10.0.0.7:8265", false), Ok(1));
        for open in ["http://10.0.0.7:8265", "https://ray.example.org", "http://localhost.example.org:8265"] {
            assert!(judged(open, true).unwrap_err().contains("answers without a token"), "{open}");
        }
    }

    #[test]
    fn a_head_that_is_not_there_is_an_error_with_advice() {
        // A port that was free a moment ago.
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let error = check(&options(&format!("http://127.0.0.1:{port}")), None).unwrap_err();
        assert_eq!(error.kind, RunErrorKind::Sandbox);
        assert!(error.message.contains("the head does not answer"), "{error}");
        assert!(error.hint.unwrap().contains("ray start --head"));
        assert_eq!(check(&options("ray://h:10001"), None).unwrap_err().kind, RunErrorKind::Usage);
    }
}
