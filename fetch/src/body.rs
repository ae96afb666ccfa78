//! Bodies: read with a cap and an idle limit, recognised when they are web pages, shown without secrets.

use crate::error::FetchErrorKind;
use ansatz_core::secret::Redactor;
use bytes::{Bytes, BytesMut};
use reqwest::Url;
use reqwest::header::HeaderMap;
use std::error::Error;
use std::io::Read as _;
use std::path::Path;
use std::time::Duration;
use tokio::time::timeout;

/// Bytes of an unsuccessful reply that are read.
const COMPLAINT_MAX: usize = 64 << 10;

/// Letters of a foreign text that are shown.
const SHOWN_MAX: usize = 200;

/// Bytes of a file that are sent at once.
const PIECE: usize = 64 << 10;

/// A reply whose body is still to come.
pub struct Incoming {
    pub url: Url,
    pub status: u16,
    pub headers: HeaderMap,
    response: reqwest::Response,
    idle: Duration,
}

impl Incoming {
    pub fn new(url: Url, mut response: reqwest::Response, idle: Duration) -> Self {
        let headers = std::mem::take(response.headers_mut());
        Self { url, status: response.status().as_u16(), headers, response, idle }
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Length of the body as announced.
    pub fn length(&self) -> Option<u64> {
        self.header("content-length")?.parse().ok()
    }

    /// The next piece of the body; `None` at its end.
    pub async fn piece(&mut self) -> Result<Option<Bytes>, FetchErrorKind> {
        match timeout(self.idle, self.response.chunk()).await {
            Err(_) => Err(FetchErrorKind::Timeout { what: "the next piece of the reply", limit: self.idle }),
            Ok(Err(error)) => Err(FetchErrorKind::Broken(words(&error))),
            Ok(Ok(piece)) => Ok(piece),
        }
    }

    /// The whole body, at most so many bytes.
    pub async fn whole(&mut self, max: u64) -> Result<Bytes, FetchErrorKind> {
        if self.length().is_some_and(|length| length > max) {
            return Err(FetchErrorKind::TooLarge { max });
        }
        let mut body = BytesMut::new();
        while let Some(piece) = self.piece().await? {
            if body.len() as u64 + piece.len() as u64 > max {
                return Err(FetchErrorKind::TooLarge { max });
            }
            body.extend_from_slice(&piece);
        }
        Ok(body.freeze())
    }

    /// How the body begins; whatever breaks ends it.
    pub async fn beginning(&mut self) -> Bytes {
        let mut body = BytesMut::new();
        while body.len() < COMPLAINT_MAX {
            let Ok(Some(piece)) = self.piece().await else { break };
            body.extend_from_slice(&piece);
        }
        body.truncate(COMPLAINT_MAX);
        body.freeze()
    }
}

/// A file as a body, and its length.
pub fn of_file(path: &Path) -> std::io::Result<(u64, reqwest::Body)> {
    let file = std::fs::File::open(path)?;
    let length = file.metadata()?.len();
    let pieces = futures_util::stream::unfold(file, async |mut file| {
        let mut piece = vec![0; PIECE];
        match file.read(&mut piece) {
            Ok(0) => None,
            Ok(read) => {
                piece.truncate(read);
                Some((Ok(Bytes::from(piece)), file))
            }
            Err(error) => Some((Err(error), file)),
        }
    });
    Ok((length, reqwest::Body::wrap_stream(pieces)))
}

/// An error of the transport with its causes on one line, addresses left out.
pub fn words(error: &reqwest::Error) -> String {
    let mut words = Vec::new();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !words.contains(&text) {
            words.push(text);
        }
        cause = error.source();
    }
    if words.is_empty() { "no reason given".into() } else { words.join(": ") }
}

/// Whether a body is a web page, whatever its header says.
pub fn looks_like_html(body: &[u8]) -> bool {
    let start: Vec<u8> = body.iter().copied().skip_while(u8::is_ascii_whitespace).take(15).collect();
    let start = start.to_ascii_lowercase();
    start.starts_with(b"<!doctype html") || start.starts_with(b"<html")
}

/// Title of a web page, shortened.
pub fn title(body: &[u8], redactor: &Redactor) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(COMPLAINT_MAX)]);
    let lower = text.to_ascii_lowercase();
    let inside = lower.find("<title").and_then(|start| {
        let from = start + lower[start..].find('>')? + 1;
        Some(&text[from..from + lower[from..].find("</title")?])
    });
    shown(inside.unwrap_or_default(), redactor)
}

/// How a body begins.
pub fn sample(body: &[u8], redactor: &Redactor) -> String {
    shown(&String::from_utf8_lossy(&body[..body.len().min(COMPLAINT_MAX)]), redactor)
}

/// What a server says about its refusal: the message in JSON of the usual shapes, else how the text begins.
pub fn complaint(body: &[u8], redactor: &Redactor) -> String {
    if looks_like_html(body) {
        return title(body, redactor);
    }
    let json: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    let message = json.as_ref().and_then(|json| {
        let json = json.get(0).unwrap_or(json);
        let holders = [json.get("error").unwrap_or(json), json];
        holders.iter().find_map(|holder| {
            ["message", "detail", "title", "error", "msg"]
                .iter()
                .find_map(|name| holder.get(name)?.as_str())
                .or(holder.as_str())
        })
    });
    shown(message.unwrap_or(&String::from_utf8_lossy(body)), redactor)
}

/// A foreign text on one short line without secrets and control characters.
fn shown(text: &str, redactor: &Redactor) -> String {
    let clean = redactor.clean(text);
    let plain: String = clean.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let words = plain.split_whitespace().collect::<Vec<_>>().join(" ");
    if words.chars().count() <= SHOWN_MAX {
        return words;
    }
    words.chars().take(SHOWN_MAX).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(body: &str) -> String {
        complaint(body.as_bytes(), &Redactor::default())
    }

    #[test]
    fn complaints_are_found_in_the_usual_shapes() {
        for body in [
            r#"{"error":{"message":"no","code":400}}"#,
            r#"{"message":"no"}"#,
            r#"{"detail":"no"}"#,
            r#"{"error":"no"}"#,
            r#"[{"error":{"message":"no","status":"X"}}]"#,
            r#"{"code":7,"message":"no"}"#,
            "no",
            " no\n",
            r#""no""#,
            "<!DOCTYPE html><html><head><TITLE>no</TITLE>",
            r#"{"title":"no","status":404}"#,
        ] {
            assert_eq!(said(body), "no", "{body}");
        }
        assert_eq!(said(r#"{"a":1}"#), r#"{"a":1}"#);
        assert_eq!(said(&"x ".repeat(300)).chars().count(), SHOWN_MAX + 1);
        assert_eq!(said("a\u{1b}[31mb"), "a [31mb");
    }

    #[test]
    fn pages_are_told_from_data() {
        assert!(looks_like_html(b" \n<!DocType HTML>") && looks_like_html(b"<html lang=de>"));
        assert!(
            !looks_like_html(b"{\"a\":\"<html>\"}") && !looks_like_html(b"<?xml?>") && !looks_like_html(b"")
        );
    }
}
