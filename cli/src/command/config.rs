//! `ansatz config show`: every value of the configuration and where it comes from.

use super::Session;
use crate::config::{KEYS, Value};
use crate::console;
use crate::exit::{Exit, Failure};
use crate::table::Table;
use clap::Subcommand;
use serde_json::{Map, json};

#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum ConfigCommand {
    /// Show every value and where it comes from
    Show,
}

/// Carries out `config`.
///
/// # Errors
/// When it cannot be written as JSON.
pub fn execute(command: &ConfigCommand, session: &Session) -> Result<Exit, Failure> {
    let ConfigCommand::Show = command;
    if session.is_json {
        let values: Map<String, serde_json::Value> = KEYS
            .iter()
            .filter_map(|key| Some((key, session.config.get(key.name)?)))
            .map(|(key, (value, origin))| {
                (key.name.to_owned(), json!({"value": plain(value), "origin": origin.to_string()}))
            })
            .collect();
        let mut values = values;
        values.insert("llm_api_key".into(), json!({"value": key_state(session), "origin": "environment"}));
        console::json(&values)?;
        return Ok(Exit::Ok);
    }
    let mut table = Table::new(&["key", "value", "origin", "what it is"], 60);
    for key in KEYS {
        let (value, origin) = match session.config.get(key.name) {
            Some((value, origin)) => (value.to_string(), origin.to_string()),
            None => ("–".into(), "not set".into()),
        };
        table.row([key.name.into(), value, origin, key.about.into()]);
    }
    table.row([
        "llm_api_key".into(),
        key_state(session).into(),
        "environment".into(),
        "language model: its key, never shown".into(),
    ]);
    console::result(&table.lines(session.console.out, session.console.width));
    Ok(Exit::Ok)
}

/// Whether a key for the configured language model is there; the key itself is never shown.
fn key_state(session: &Session) -> &'static str {
    match crate::llm::resolve(&crate::llm::LlmFlags::default(), &session.surroundings, &session.config) {
        Ok(Some(choice))
            if crate::llm::keys(Some(&choice), &session.surroundings).iter().any(Option::is_some) =>
        {
            "set"
        }
        Ok(Some(_)) => "not set",
        Err(_) => "does not fit the endpoints",
        Ok(None) => "not needed: no language model is configured",
    }
}

fn plain(value: &Value) -> serde_json::Value {
    match value {
        Value::Number(number) => json!(number),
        Value::Whole(number) => json!(number),
        Value::Truth(truth) => json!(truth),
        Value::Folder(path) => json!(path),
        Value::Text(text) => json!(text),
        Value::Prices(table) => json!(table),
    }
}
