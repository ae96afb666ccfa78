//! Who may come in: the bearer key, and the host that a browser was told (against names that are pointed at this machine).

use crate::problem::Problem;
use ansatz_core::secret::Secret;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// Paths that need no key: they tell nothing.
const OPEN: &[&str] = &["/healthz", "/readyz", "/openapi.json"];
/// Hosts that are this machine.
const HOME: &[&str] = &["localhost", "127.0.0.1", "[::1]"];

/// The door.
pub struct Door {
    /// Hash of the key; `None` lets everybody in who reaches this machine from itself.
    key: Option<[u8; 32]>,
    /// Further hosts under which the server may be spoken to.
    hosts: Vec<String>,
}

impl Door {
    /// A door with a key, or with none; `hosts` are the names, without ports, that the server goes by beside this machine's.
    pub fn new(key: Option<&Secret>, hosts: Vec<String>) -> Self {
        Self { key: key.map(|key| hash(key.expose())), hosts }
    }

    fn admits(&self, request: &Request) -> Result<(), Problem> {
        let text = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
        let host = text(header::HOST).unwrap_or_default();
        if !self.is_ours(host) {
            let detail = format!("this server does not go by the name {host:?}");
            return Err(Problem::new(StatusCode::FORBIDDEN, "host", detail));
        }
        // A page of another origin may not use a browser that sits on this machine.
        if let Some(origin) = text(header::ORIGIN)
            && !self.is_ours(origin.split_once("://").map_or("", |(_, host)| host))
        {
            return Err(Problem::new(
                StatusCode::FORBIDDEN,
                "origin",
                "pages of other origins are not served",
            ));
        }
        let Some(key) = self.key.filter(|_| !OPEN.contains(&request.uri().path())) else { return Ok(()) };
        let given = text(header::AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer "));
        // Hashes are compared, so that the time of comparing tells nothing about the key.
        match given.map(|given| hash(given.trim()) == key) {
            Some(true) => Ok(()),
            Some(false) => Err(Problem::new(StatusCode::UNAUTHORIZED, "key", "the key is not the right one")),
            None => Err(Problem::new(StatusCode::UNAUTHORIZED, "key", "a key is needed")
                .hint("send it as `Authorization: Bearer KEY`")),
        }
    }

    fn is_ours(&self, host: &str) -> bool {
        let name = match host.rsplit_once(':') {
            Some((name, port)) if port.chars().all(|letter| letter.is_ascii_digit()) => name,
            _ => host,
        };
        let same = |known: &str| known.eq_ignore_ascii_case(name);
        HOME.iter().any(|known| same(known)) || self.hosts.iter().any(|known| same(known))
    }
}

fn hash(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

/// The check as a layer.
pub async fn check(State(door): State<Arc<Door>>, request: Request, next: Next) -> Response {
    match door.admits(&request) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;

    fn asked(door: &Door, path: &str, headers: &[(&str, &str)]) -> Result<(), &'static str> {
        let mut request = Request::builder().uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        door.admits(&request.body(Body::empty()).unwrap()).map_err(|problem| problem.code)
    }

    #[test]
    fn the_key_is_asked_for_everywhere_but_at_the_open_places() {
        let door = Door::new(Secret::new("s3cret").as_ref(), vec!["box.lan".into()]);
        let host = ("host", "127.0.0.1:7878");
        assert_eq!(asked(&door, "/v1/tasks", &[host]), Err("key"));
        assert_eq!(asked(&door, "/v1/tasks", &[host, ("authorization", "Bearer wrong")]), Err("key"));
        assert_eq!(asked(&door, "/v1/tasks", &[host, ("authorization", "Bearer s3cret")]), Ok(()));
        assert_eq!(asked(&door, "/healthz", &[host]), Ok(()));
        assert_eq!(asked(&door, "/healthz", &[("host", "box.lan")]), Ok(()));
    }

    #[test]
    fn foreign_names_and_pages_stay_out() {
        let door = Door::new(None, Vec::new());
        assert_eq!(asked(&door, "/v1/tasks", &[("host", "evil.example:7878")]), Err("host"));
        assert_eq!(asked(&door, "/v1/tasks", &[]), Err("host"));
        let home = ("host", "localhost:7878");
        assert_eq!(asked(&door, "/v1/tasks", &[home, ("origin", "http://evil.example")]), Err("origin"));
        assert_eq!(asked(&door, "/v1/tasks", &[home, ("origin", "http://localhost:7878")]), Ok(()));
        assert_eq!(asked(&door, "/v1/tasks", &[("host", "[::1]:7878")]), Ok(()));
    }
}
