//! A server for tests that does exactly what it is told, faults included.

use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// What the server does with a request, in order; at the end it closes the connection.
#[derive(Debug, Clone)]
pub enum Act {
    /// Sends these bytes.
    Send(Vec<u8>),
    /// Does nothing for a while.
    Wait(Duration),
}

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Seen {
    pub line: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Seen {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// A running server.
pub struct Double {
    pub base: String,
    pub seen: Arc<Mutex<Vec<Seen>>>,
}

impl Double {
    /// Starts a server that answers the n-th request (from 0) as told.
    pub async fn start(answer: impl Fn(usize, &Seen) -> Vec<Act> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (answer, list) = (Arc::new(answer), Arc::clone(&seen));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (answer, list) = (Arc::clone(&answer), Arc::clone(&list));
                tokio::spawn(async move {
                    let mut stream = stream;
                    let Some(request) = read(&mut stream).await else { return };
                    let number = {
                        let mut list = list.lock().unwrap();
                        list.push(request.clone());
                        list.len() - 1
                    };
                    for act in answer(number, &request) {
                        match act {
                            Act::Wait(time) => tokio::time::sleep(time).await,
                            Act::Send(bytes) => {
                                if stream.write_all(&bytes).await.is_err() {
                                    return;
                                }
                            }
                        }
                    }
                });
            }
        });
        Self { base, seen }
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

/// A whole reply; `headers` are lines without line ends.
pub fn reply(status: u16, headers: &[&str], body: impl AsRef<[u8]>) -> Vec<Act> {
    let mut head = format!("HTTP/1.1 {status} x\r\nconnection: close\r\n");
    if !headers.iter().any(|header| header.starts_with("content-length")) {
        head = head + "content-length: " + &body.as_ref().len().to_string() + "\r\n";
    }
    for header in headers {
        head = head + header + "\r\n";
    }
    let mut bytes = (head + "\r\n").into_bytes();
    bytes.extend_from_slice(body.as_ref());
    vec![Act::Send(bytes)]
}

async fn read(stream: &mut TcpStream) -> Option<Seen> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        (stream.read_buf(&mut bytes).await.ok()? > 0).then_some(())?;
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut lines = head.split("\r\n");
    let line = lines.next()?.to_owned();
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let mut body = bytes.split_off(end + 4);
    let length = headers
        .iter()
        .find(|(name, _)| name == "content-length")
        .map_or(0, |(_, value)| value.parse().unwrap());
    while body.len() < length {
        (stream.read_buf(&mut body).await.ok()? > 0).then_some(())?;
    }
    Some(Seen { line, headers, body })
}
