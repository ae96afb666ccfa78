//! Pages that a search endpoint knows about a task, for the planner to read.
//!
//! The endpoint speaks the JSON of `SearXNG` (`GET search?q=…&format=json`). What comes back is material like any file's: it is
//! shown to a model as data, summarised, and gives no orders.

use ansatz_core::event::Page;
use ansatz_fetch::{Client, FetchError, Limits, Settings};
use serde::Deserialize;
use std::time::Duration;

/// Pages that are read.
const PAGES_MAX: usize = 5;
/// Letters of a page's extract.
const TEXT_MAX: usize = 1200;
/// Letters of the user's words in a query.
const WORDS_MAX: usize = 120;
/// Longest time for the whole search.
const TIME_MAX: Duration = Duration::from_secs(10);
/// Longest reply, in bytes.
const BODY_MAX: u64 = 1 << 20;

#[derive(Deserialize)]
struct Found {
    #[serde(default)]
    results: Vec<Hit>,
}

#[derive(Deserialize)]
struct Hit {
    #[serde(default)]
    title: String,
    #[serde(default)]
    url: String,
    #[serde(default)]
    content: Option<String>,
}

/// What is looked for: the beginning of the user's words, and how predictions are scored. Nothing out of the table's cells.
pub fn query(request: &str, metric: &str) -> String {
    let plain: String =
        request.chars().map(|letter| if letter.is_alphanumeric() { letter } else { ' ' }).collect();
    let mut words = String::new();
    for word in plain.split_whitespace() {
        if words.chars().count() + word.chars().count() > WORDS_MAX {
            break;
        }
        words.push_str(word);
        words.push(' ');
    }
    format!("{words}{} feature engineering", metric.replace('_', " "))
}

/// Asks the endpoint, on a runtime of its own.
///
/// # Errors
/// What went wrong, in words and with what to do: no connection, no success, a reply that is not such JSON.
pub fn look_up(base: &str, query: &str) -> Result<Vec<Page>, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let found = runtime.map_err(|error| error.to_string())?.block_on(find(base, query));
    found.map_err(|error| match error.hint() {
        Some(hint) => format!("{error}; {hint}"),
        None => error.to_string(),
    })
}

async fn find(base: &str, query: &str) -> Result<Vec<Page>, FetchError> {
    let limits = Limits { total: TIME_MAX, first_byte: TIME_MAX, body_max: BODY_MAX, ..Limits::default() };
    let client = Client::new(base, Settings { limits, ..Settings::default() })?;
    let found: Found = client.get("search").query("q", query).query("format", "json").json().await?;
    let pages = found.results.into_iter().filter_map(|hit| {
        let content = hit.content.unwrap_or_default();
        let text = [hit.title.trim(), content.trim()].join(": ");
        let is_empty = hit.title.trim().is_empty() && content.trim().is_empty();
        (!is_empty).then(|| Page { url: hit.url, text: text.chars().take(TEXT_MAX).collect() })
    });
    Ok(pages.take(PAGES_MAX).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_holds_the_first_words_and_the_metric() {
        let request = format!("# Who will leave, and why?\n\"quoted\" {}", "word ".repeat(99));
        let query = query(&request, "roc_auc");
        assert!(query.starts_with("Who will leave and why quoted word word"), "{query}");
        assert!(query.ends_with("word roc auc feature engineering"), "{query}");
        assert!(query.chars().count() < 160);
        assert_eq!(super::query("", "rmse"), "rmse feature engineering");
    }
}
