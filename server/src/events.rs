//! A run's events as they are journalled, as a stream that can be taken up again where it broke off.

use crate::board::Shared;
use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

/// How often the journal is looked at.
const GLANCE: Duration = Duration::from_millis(200);
/// Silence after which a comment keeps the connection alive.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Where to begin.
#[derive(Deserialize)]
pub struct From {
    /// Number of the last event that is known.
    pub after: Option<u64>,
}

struct Following {
    task: Shared,
    folder: PathBuf,
    after: u64,
    spoken: Instant,
    is_over: bool,
}

/// The stream of a task's events behind number `after`.
pub fn stream(task: Shared, folder: PathBuf, after: u64) -> Response {
    let start = Following { task, folder, after, spoken: Instant::now(), is_over: false };
    if start.knows_all() {
        // Nothing will come: a browser that hears this does not ask again.
        return StatusCode::NO_CONTENT.into_response();
    }
    let pieces = futures_util::stream::unfold(start, async |mut following| {
        loop {
            if following.is_over {
                return None;
            }
            let (text, back) = tokio::task::spawn_blocking(move || {
                let text = following.next();
                (text, following)
            })
            .await
            .ok()?;
            following = back;
            if !text.is_empty() {
                following.spoken = Instant::now();
                return Some((Ok::<_, std::convert::Infallible>(text), following));
            }
            tokio::time::sleep(GLANCE).await;
        }
    });
    let mut response = Response::new(Body::from_stream(pieces));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

impl Following {
    fn task_is_over(&self) -> bool {
        self.task.lock().unwrap_or_else(PoisonError::into_inner).is_over()
    }

    fn knows_all(&self) -> bool {
        let last = ansatz_journal::read(&self.folder).map_or(0, |replay| replay.records.len() as u64);
        self.after >= last && self.after > 0 && self.task_is_over()
    }

    /// What is new, as text of the stream; empty when there is nothing.
    fn next(&mut self) -> String {
        // Whether it is over is asked first: what was written before that is then surely read.
        let is_over = self.task_is_over();
        let records = ansatz_journal::read(&self.folder).map(|replay| replay.records).unwrap_or_default();
        let mut text = String::new();
        if self.after > records.len() as u64 {
            // The task asked something and began anew with the answer.
            self.after = 0;
        }
        if self.after == 0 {
            text.push_str("retry: 2000\n\n");
        }
        for record in records.into_iter().skip(usize::try_from(self.after).unwrap_or(usize::MAX)) {
            let mut data = serde_json::to_value(&record.event).unwrap_or_default();
            let name = data["event"].as_str().unwrap_or("event").to_owned();
            if let Value::Object(fields) = &mut data {
                fields.insert("seq".into(), json!(record.seq));
                fields.insert("at_ms".into(), json!(record.at.as_millis() as u64));
            }
            let _ = write!(text, "id: {}\nevent: {name}\ndata: {data}\n\n", record.seq);
            self.after = record.seq;
        }
        if is_over {
            self.is_over = true;
            let status = self.task.lock().unwrap_or_else(PoisonError::into_inner).status();
            let _ = write!(text, "event: end\ndata: {}\n\n", json!({"status": status}));
        } else if text.is_empty() && self.spoken.elapsed() > HEARTBEAT {
            text.push_str(": still here\n\n");
        }
        text
    }
}
