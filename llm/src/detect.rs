//! Local servers that could be used: looked for when asked, offered, never used by themselves.

use serde_json::Value;
use std::time::Duration;

/// Where local servers listen unless told otherwise.
const PLACES: [(&str, &str); 3] = [
    ("Ollama", "http://127.0.0.1:11434/v1"),
    ("LM Studio", "http://127.0.0.1:1234/v1"),
    ("llama.cpp", "http://127.0.0.1:8080/v1"),
];

/// Bytes of a list of models that are read.
const LIST_MAX: usize = 1 << 20;

/// Models that are named.
const MODELS_MAX: usize = 20;

/// A local server that answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// What it probably is.
    pub server: String,
    /// Its base URL.
    pub base: String,
    /// The models that it has.
    pub models: Vec<String>,
    /// What to know before using it.
    pub note: Option<&'static str>,
}

/// Local servers that answer within `patience`.
pub async fn offers(patience: Duration) -> Vec<Offer> {
    let places = PLACES.map(|(server, base)| look(server, base, patience));
    futures_util::future::join_all(places).await.into_iter().flatten().collect()
}

/// The server at a base URL, if it lists its models.
pub(crate) async fn look(server: &str, base: &str, patience: Duration) -> Option<Offer> {
    let http = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(patience)
        .build()
        .ok()?;
    let mut response = http
        .get(format!("{base}/models"))
        .send()
        .await
        .ok()
        .filter(|response| response.status().is_success())?;
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.ok()? {
        body.extend_from_slice(&piece);
        if body.len() > LIST_MAX {
            return None;
        }
    }
    let list: Value = serde_json::from_slice(&body).ok()?;
    let models = list.get("data")?.as_array()?.iter().filter_map(|model| model.get("id")?.as_str());
    // Only the names of models; whatever else listens on such a port is none of our business.
    let models: Vec<String> = models
        .take(MODELS_MAX)
        .map(|name| name.chars().filter(|c| !c.is_control()).take(120).collect())
        .collect();
    if models.is_empty() {
        return None;
    }
    let note = (server == "Ollama").then_some(
        "Ollama cuts prompts in silence at 4,096 tokens unless told otherwise: start it with OLLAMA_CONTEXT_LENGTH=16384",
    );
    Some(Offer { server: server.into(), base: base.into(), models, note })
}
