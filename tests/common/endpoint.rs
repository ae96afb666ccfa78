//! An endpoint of a language model on this machine that answers as a test wants.

use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

/// What is answered to a prompt: an HTTP status, and the words of the model or the body of an error.
pub type Answerer = dyn Fn(&str) -> (u16, String) + Send + Sync;

/// A running endpoint; its thread ends with the process.
pub struct Endpoint {
    /// The base URL.
    pub base: String,
    prompts: Arc<Mutex<Vec<String>>>,
}

impl Endpoint {
    /// Starts one.
    pub fn start(answer: impl Fn(&str) -> (u16, String) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let base = format!("http://{}/v1", listener.local_addr().expect("its address"));
        let prompts: Arc<Mutex<Vec<String>>> = Arc::default();
        let (answer, seen): (Arc<Answerer>, _) = (Arc::new(answer), Arc::clone(&prompts));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (answer, seen) = (Arc::clone(&answer), Arc::clone(&seen));
                std::thread::spawn(move || serve(stream, &*answer, &seen));
            }
        });
        Self { base, prompts }
    }

    /// Everything that was asked so far.
    pub fn prompts(&self) -> Vec<String> {
        self.prompts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn serve(stream: TcpStream, answer: &Answerer, seen: &Mutex<Vec<String>>) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let line = line.trim().to_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        if line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let request: Value = serde_json::from_slice(&body).ok()?;
    let texts = request["messages"].as_array()?.iter().filter_map(|message| message["content"].as_str());
    let prompt = texts.collect::<Vec<_>>().join("\n");
    seen.lock().unwrap_or_else(PoisonError::into_inner).push(prompt.clone());
    let (status, words) = answer(&prompt);
    let text = if status == 200 {
        json!({
            "model": "scripted",
            "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": words}}],
            "usage": {"prompt_tokens": prompt.len() / 4, "completion_tokens": words.len() / 4},
        })
        .to_string()
    } else {
        words
    };
    let mut stream = stream;
    write!(
        stream,
        "HTTP/1.1 {status} x\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{text}",
        text.len()
    )
    .ok()
}
