//! A server of this program, and answers as its callers get them.

use super::program;
use serde_json::Value;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Stdio};

/// A server; it ends with the test.
pub struct Server {
    child: Child,
    address: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a caller gets.
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub head: String,
    /// The body, whole.
    pub body: String,
}

impl Answer {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

impl Server {
    /// Starts one whose data lie in the folder.
    pub fn start(folder: &Path) -> Self {
        Self::start_with(folder, &[])
    }

    /// The same with flags for all its runs.
    pub fn start_with(folder: &Path, flags: &[&str]) -> Self {
        let mut child = program()
            .args(["serve", "--port", "0", "--data-root", ".", "--", "--no-memory"])
            .args(flags)
            .current_dir(folder)
            .env("ANSATZ_SERVER_KEY", "k3y")
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let lines = BufReader::new(child.stderr.take().expect("its notes")).lines();
        let line =
            lines.map_while(Result::ok).find(|line| line.contains("listening on")).expect("it listens");
        let address = line.rsplit("http://").next().expect("an address").to_owned();
        Self { child, address }
    }

    /// Asks for something.
    pub fn ask(&self, method: &str, path: &str, headers: &[&str], body: &str) -> Answer {
        let mut stream = TcpStream::connect(&self.address).expect("a connection");
        let headers = headers.iter().fold(String::new(), |all, header| all + header + "\r\n");
        let host =
            if headers.contains("Host:") { String::new() } else { format!("Host: {}\r\n", self.address) };
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\n{host}Connection: close\r\n{headers}Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .expect("it reads");
        let mut text = Vec::new();
        stream.read_to_end(&mut text).expect("it answers");
        let text = String::from_utf8_lossy(&text).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").expect("an HTTP answer");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        let is_chunked = head.to_lowercase().contains("transfer-encoding: chunked");
        Answer {
            status,
            head: head.to_owned(),
            body: if is_chunked { unchunked(body) } else { body.to_owned() },
        }
    }

    /// The same with the key.
    pub fn with_key(&self, method: &str, path: &str, body: &str) -> Answer {
        self.ask(method, path, &["Authorization: Bearer k3y"], body)
    }
}

/// A body without the lengths of its pieces.
fn unchunked(body: &str) -> String {
    let (mut rest, mut whole) = (body, String::new());
    while let Some((length, tail)) = rest.split_once("\r\n") {
        let length = usize::from_str_radix(length.trim(), 16).unwrap_or(0);
        if length == 0 {
            break;
        }
        whole.push_str(tail.get(..length).unwrap_or_default());
        rest = tail.get(length..).unwrap_or_default().trim_start_matches("\r\n");
    }
    whole
}
