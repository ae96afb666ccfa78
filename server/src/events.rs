//! A run's events as they are journalled, as a stream that can be taken up again where it broke off.
//!
//! A follower reads the journal on from where it stopped. A task that asks something ends a run and begins another one when it
//! is answered: events of the later run are numbered on from those of the earlier one.

use crate::board::{Board, FINISH_MAX, locked};
use crate::task::{Glimpse, Shared, Task};
use ansatz_journal::FILE_NAME;
use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Seek as _, SeekFrom};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// How often the journal is looked at.
const GLANCE: Duration = Duration::from_millis(200);
/// Silence after which a comment keeps the connection alive.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Text after which a piece is sent, whatever else there is.
const PIECE_MAX: usize = 1 << 20;
/// The event behind which a journal holds nothing.
const LAST: &str = "finished";

/// Where to begin.
#[derive(Deserialize)]
pub struct From {
    /// Number of the last event that is known.
    pub after: Option<u64>,
}

/// One line of a journal, as `ansatz-journal` writes it.
#[derive(Deserialize)]
struct Line {
    seq: u64,
    at_ms: u64,
    event: Value,
}

/// A journal that is read on and on.
struct Journal {
    file: File,
    /// Bytes of whole lines that were read.
    read: u64,
    /// Events of earlier lives of the run.
    events_before: u64,
}

struct Following {
    task: Shared,
    closing: Arc<OnceLock<Instant>>,
    journal: Option<Journal>,
    after: u64,
    is_greeted: bool,
    /// What was last told to be asked.
    asked: Option<String>,
    spoken: Instant,
    is_over: bool,
    /// Whether there is more to read at once.
    has_more: bool,
}

/// The stream of a task's events behind number `after`.
pub async fn stream(board: &Board, task: Shared, after: u64) -> Response {
    let following = Following::new(task, board.closing(), after);
    let Some((first, following)) = looked(following).await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    if following.is_over && !following.is_greeted {
        // Nothing will come: a browser that hears this does not ask again.
        return StatusCode::NO_CONTENT.into_response();
    }
    let pieces = futures_util::stream::unfold((first, following), |(first, mut following)| async move {
        if !first.is_empty() {
            following.spoken = Instant::now();
            return Some((Ok::<_, std::convert::Infallible>(first), (String::new(), following)));
        }
        loop {
            if following.is_over {
                return None;
            }
            if !following.has_more {
                tokio::time::sleep(GLANCE).await;
            }
            let (text, back) = looked(following).await?;
            following = back;
            if !text.is_empty() {
                following.spoken = Instant::now();
                return Some((Ok(text), (String::new(), following)));
            }
        }
    });
    let mut response = Response::new(Body::from_stream(pieces));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// One look away from the threads that answer, since files are read.
async fn looked(mut following: Following) -> Option<(String, Following)> {
    let look = move || {
        let text = following.next();
        (text, following)
    };
    tokio::task::spawn_blocking(look).await.ok()
}

impl Following {
    fn new(task: Shared, closing: Arc<OnceLock<Instant>>, after: u64) -> Self {
        Self {
            task,
            closing,
            journal: None,
            after,
            is_greeted: false,
            asked: None,
            spoken: Instant::now(),
            is_over: false,
            has_more: false,
        }
    }

    /// What is new, as text of the stream; empty when there is nothing.
    fn next(&mut self) -> String {
        // How the task stands is asked first: what was written before that is then surely read.
        let glimpse = self.glimpse();
        let mut text = String::new();
        self.has_more = self.read_on(&glimpse, &mut text);
        if !self.has_more {
            self.tell(&glimpse, &mut text);
        }
        if !text.is_empty() && !self.is_greeted {
            self.is_greeted = true;
            text.insert_str(0, "retry: 2000\n\n");
        }
        text
    }

    /// How the task stands, with its journal open. Both are one look: whoever answers a question exchanges the journal.
    fn glimpse(&mut self) -> Glimpse {
        let mut task = locked(&self.task);
        let glimpse = task.glimpse();
        if self.journal.as_ref().is_some_and(|journal| journal.events_before != glimpse.events_before) {
            self.journal = None;
        }
        if self.journal.is_none() {
            self.journal = Journal::open(&task, glimpse.events_before);
        }
        glimpse
    }

    /// Reads what the journal holds beyond what is known; whether there is more.
    fn read_on(&mut self, glimpse: &Glimpse, text: &mut String) -> bool {
        let Some(journal) = &mut self.journal else { return false };
        let Ok(mut lines) = journal.lines() else { return false };
        let mut line = Vec::new();
        while text.len() < PIECE_MAX {
            line.clear();
            let read = lines.read_until(b'\n', &mut line).unwrap_or(0);
            // A line that is only being written has no end yet.
            let whole = line.last().is_some_and(|last| *last == b'\n');
            let Some(Line { seq, at_ms, event: mut data }) =
                serde_json::from_slice(&line).ok().filter(|_| whole)
            else {
                return false;
            };
            let name = data["event"].as_str().unwrap_or("event").to_owned();
            if name == LAST && !glimpse.is_over {
                // It may be the end of a run that only asked something.
                return false;
            }
            journal.read += read as u64;
            let number = journal.events_before + seq;
            if number <= self.after {
                continue;
            }
            if let Value::Object(fields) = &mut data {
                fields.insert("seq".into(), json!(number));
                fields.insert("at_ms".into(), json!(at_ms));
            }
            let _ = write!(text, "id: {number}\nevent: {name}\ndata: {data}\n\n");
            self.after = number;
        }
        true
    }

    /// Tells what no journal holds: what is asked, the end, or that there is nothing new.
    fn tell(&mut self, glimpse: &Glimpse, text: &mut String) {
        if glimpse.question != self.asked {
            self.asked.clone_from(&glimpse.question);
            if let Some(question) = &self.asked {
                let _ = write!(text, "event: awaiting_input\ndata: {}\n\n", json!({"question": question}));
            }
        }
        let is_closing = self.closing.get().is_some_and(|since| {
            // Runs finish with what they have; nothing else will happen here.
            !glimpse.is_running || since.elapsed() > FINISH_MAX
        });
        if glimpse.is_over {
            self.is_over = true;
            if self.is_greeted || !text.is_empty() {
                let _ = write!(text, "event: end\ndata: {}\n\n", json!({"status": glimpse.status}));
            }
        } else if is_closing {
            self.is_over = true;
            text.push_str(": the server is being stopped\n\n");
        } else if text.is_empty() && !self.is_greeted {
            // So that whoever follows a task without events sees that it is being followed.
            text.push_str(": following\n\n");
        } else if text.is_empty() && self.spoken.elapsed() > HEARTBEAT {
            text.push_str(": still here\n\n");
        }
    }
}

impl Journal {
    fn open(task: &Task, events_before: u64) -> Option<Self> {
        let file = File::open(task.folder.join(FILE_NAME)).ok()?;
        Some(Self { file, read: 0, events_before })
    }

    /// The lines that were not read yet.
    fn lines(&self) -> std::io::Result<BufReader<File>> {
        let mut file = self.file.try_clone()?;
        file.seek(SeekFrom::Start(self.read))?;
        Ok(BufReader::new(file))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kept::{Kept, Stand, beside};
    use crate::testing::{Stub, journal, options};
    use ansatz_core::event::Event;
    use ansatz_core::outcome::RunStatus;
    use std::path::Path;
    use std::sync::Mutex;

    fn task(home: &Path, kept: Option<Kept>) -> Shared {
        let options = options(home, "r0");
        let maker: Arc<dyn ansatz_session::Maker> = Stub::new(home);
        Arc::new(Mutex::new(Task::new("r0".into(), options.out, &home.join("runs"), kept, maker)))
    }

    fn follow(task: &Shared, after: u64) -> Following {
        Following::new(Arc::clone(task), Arc::default(), after)
    }

    fn ids(text: &str) -> Vec<u64> {
        text.lines().filter_map(|line| line.strip_prefix("id: ")?.parse().ok()).collect()
    }

    #[test]
    fn a_finished_run_is_told_once_and_then_no_more() {
        let home = tempfile::tempdir().unwrap();
        drop(journal(&options(home.path(), "r0"), true, Some(RunStatus::Succeeded)));
        let task = task(home.path(), None);
        let mut following = follow(&task, 0);
        let text = following.next();
        assert!(text.starts_with("retry: 2000\n\nid: 1\nevent: run_started\n"), "{text}");
        assert_eq!(ids(&text), [1, 2, 3, 4]);
        assert!(text.ends_with("event: end\ndata: {\"status\":\"succeeded\"}\n\n"), "{text}");
        assert!(following.is_over);
        assert_eq!(ids(&follow(&task, 3).next()), [4]);
        let mut known = follow(&task, 4);
        assert_eq!((known.next(), known.is_over), (String::new(), true));
    }

    #[test]
    fn what_is_written_is_told_as_it_comes_and_silence_is_silent() {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join("runs")).unwrap();
        let task = task(home.path(), Some(Kept::new(options(home.path(), "r0"), Stand::Queued, None, 7)));
        let mut following = follow(&task, 0);
        assert_eq!(following.next(), "retry: 2000\n\n: following\n\n");
        for _ in 0..3 {
            assert_eq!(following.next(), "", "a task without events is silent");
        }
        let mut written = journal(&options(home.path(), "r0"), false, None);
        assert_eq!(ids(&following.next()), [1, 2]);
        written.append(&Event::Warned { message: "more".into() }).unwrap();
        assert_eq!(ids(&following.next()), [3]);
        // A line that is being written is told when it is whole.
        let path = options(home.path(), "r0").out.join(FILE_NAME);
        let whole = std::fs::read(&path).unwrap();
        written.append(&Event::CancelRequested).unwrap();
        let longer = std::fs::read(&path).unwrap();
        std::fs::write(&path, &longer[..whole.len() + 9]).unwrap();
        assert_eq!(following.next(), "");
        std::fs::write(&path, &longer).unwrap();
        assert_eq!(ids(&following.next()), [4]);
        // A server that is being stopped keeps nobody who waits.
        following.closing.set(Instant::now()).unwrap();
        assert_eq!(following.next(), ": the server is being stopped\n\n");
        assert!(following.is_over);
    }

    #[test]
    fn a_task_that_was_cancelled_before_it_began_has_nothing_to_tell() {
        let home = tempfile::tempdir().unwrap();
        let mut kept = Kept::new(options(home.path(), "r0"), Stand::Queued, None, 7);
        kept.is_cancelled = true;
        let mut following = follow(&task(home.path(), Some(kept)), 0);
        assert_eq!((following.next(), following.is_over, following.is_greeted), (String::new(), true, false));
    }

    #[test]
    fn a_question_is_no_end_and_the_answered_run_numbers_on() {
        let home = tempfile::tempdir().unwrap();
        let options = options(home.path(), "r0");
        drop(journal(&options, false, Some(RunStatus::Failed)));
        let mut kept = Kept::new(options.clone(), Stand::Queued, None, 7);
        let columns = vec!["churn".to_owned(), "plan".to_owned()];
        kept.question = Some(crate::kept::Question { question: "which one?".into(), columns });
        kept.write(&beside(&home.path().join("runs"), "r0")).unwrap();
        let task = task(home.path(), Some(kept));
        let mut following = follow(&task, 0);
        let text = following.next();
        assert_eq!(ids(&text), [1, 2], "{text}");
        assert!(!text.contains("finished") && !text.contains("event: end"), "{text}");
        assert!(text.contains("event: awaiting_input\ndata: {\"question\":\"which one?\"}"), "{text}");
        assert_eq!(following.next(), "");
        // The answer begins another run in the same place.
        locked(&task).hear("plan").unwrap();
        assert_eq!(following.next(), "");
        drop(journal(&options, true, None));
        let text = following.next();
        assert_eq!(ids(&text), [4, 5, 6], "the finished of the first run had number 3: {text}");
        assert_eq!(ids(&follow(&task, 4).next()), [5, 6]);
    }
}
