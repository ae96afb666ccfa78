//! A server of files and descriptions on this machine: entity tags, ranges, redirects, and the faults that a test wants.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

/// What lies at a path.
#[derive(Debug, Clone)]
pub enum Page {
    /// A file: with its hash as entity tag, and in parts when asked.
    File(Vec<u8>),
    /// A file whose first whole transfer breaks in the middle.
    Breaking(Vec<u8>),
    /// A status, a content type and a body.
    Says(u16, &'static str, String),
    /// A redirect.
    Leads(String),
}

/// A running server; its thread ends with the process.
pub struct FileServer {
    /// The base URL, without a slash at its end.
    pub base: String,
    pages: Arc<Mutex<BTreeMap<String, Page>>>,
    seen: Arc<Mutex<Vec<String>>>,
}

impl FileServer {
    /// Starts one without pages.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let base = format!("http://{}", listener.local_addr().expect("its address"));
        let (pages, seen) =
            (Arc::<Mutex<BTreeMap<String, Page>>>::default(), Arc::<Mutex<Vec<String>>>::default());
        let (known, log) = (Arc::clone(&pages), Arc::clone(&seen));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (known, log) = (Arc::clone(&known), Arc::clone(&log));
                std::thread::spawn(move || serve(stream, &known, &log));
            }
        });
        Self { base, pages, seen }
    }

    /// Puts something at a path.
    pub fn put(&self, path: &str, page: Page) {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner).insert(path.to_owned(), page);
    }

    /// Puts JSON at a path.
    pub fn put_json(&self, path: &str, value: &serde_json::Value) {
        self.put(path, Page::Says(200, "application/json", value.to_string()));
    }

    /// What was asked since the last look: the path, and behind it the status that was answered.
    pub fn take_seen(&self) -> Vec<String> {
        std::mem::take(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn serve(
    mut stream: TcpStream,
    pages: &Mutex<BTreeMap<String, Page>>,
    seen: &Mutex<Vec<String>>,
) -> Option<()> {
    let mut lines = BufReader::new(stream.try_clone().ok()?).lines().map_while(Result::ok);
    let path = lines.next()?.split(' ').nth(1)?.to_owned();
    let headers: BTreeMap<String, String> = lines
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_once(": ").map(|(name, value)| (name.to_lowercase(), value.to_owned())))
        .collect();
    let (page, is_whole) = {
        let mut pages = pages.lock().unwrap_or_else(PoisonError::into_inner);
        let page = pages.get(&path).or_else(|| pages.get(path.split('?').next()?)).cloned();
        match page {
            Some(Page::Breaking(bytes)) => {
                pages.insert(path.clone(), Page::File(bytes.clone()));
                (Some(Page::File(bytes)), false)
            }
            page => (page, true),
        }
    };
    let none = || Page::Says(404, "text/plain", "not here".into());
    let (status, more, body) = answer(page.unwrap_or_else(none), &headers);
    seen.lock().unwrap_or_else(PoisonError::into_inner).push(format!("{path} {status}"));
    let length = body.len();
    write!(stream, "HTTP/1.1 {status} x\r\ncontent-length: {length}\r\nconnection: close\r\n{more}\r\n")
        .ok()?;
    stream.write_all(&body[..if is_whole { length } else { length / 2 }]).ok()
}

fn answer(page: Page, headers: &BTreeMap<String, String>) -> (u16, String, Vec<u8>) {
    match page {
        Page::Says(status, kind, text) => (status, format!("content-type: {kind}\r\n"), text.into_bytes()),
        Page::Leads(to) => (302, format!("location: {to}\r\n"), Vec::new()),
        Page::File(bytes) | Page::Breaking(bytes) => {
            let sum =
                bytes.iter().fold(bytes.len() as u64, |sum, byte| sum.rotate_left(5) ^ u64::from(*byte));
            let tag = format!("\"{sum:x}\"");
            let line = format!("etag: {tag}\r\n");
            if headers.get("if-none-match") == Some(&tag) {
                return (304, line, Vec::new());
            }
            let from = headers
                .get("range")
                .and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
            match from.filter(|_| headers.get("if-range") == Some(&tag)) {
                Some(from) => {
                    let all = bytes.len();
                    (
                        206,
                        format!("{line}content-range: bytes {from}-{}/{all}\r\n", all - 1),
                        bytes[from..].to_vec(),
                    )
                }
                None => (200, line, bytes),
            }
        }
    }
}
