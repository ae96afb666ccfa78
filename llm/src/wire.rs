//! Requests and replies as they go over the wire: our own tolerant reading of what OpenAI-compatible servers send.

use crate::complaint::{Complaint, shown};
use crate::error::LlmErrorKind;
use crate::habits::Habits;
use crate::model::{Ask, Finish, Role, Rung, Want};
use crate::schema;
use ansatz_core::bill::Usage;
use ansatz_core::secret::Redactor;
use serde_json::{Map, Value, json};

/// The body of a request; `effort` is how much the model should think before it answers.
pub fn body(ask: &Ask, model: &str, effort: Option<&str>, habits: &Habits, redactor: &Redactor) -> Value {
    let mut messages: Vec<Value> = ask
        .messages
        .iter()
        .map(|message| json!({"role": role(message.role), "content": redactor.clean(&message.content)}))
        .collect();
    if let (Want::Json { schema, .. }, Rung::Object | Rung::Fenced) = (&ask.want, habits.rung)
        && let Some(last) = messages.last_mut()
    {
        let text = last["content"].as_str().unwrap_or_default();
        last["content"] = format!("{text}\n\n{}", schema_in_words(schema, habits.rung)).into();
    }
    let mut body = Map::new();
    body.insert("model".into(), model.into());
    body.insert("messages".into(), messages.into());
    body.insert(habits.tokens_name().into(), habits.tokens_limit(ask.tokens_max).into());
    if let Some(temperature) = ask.temperature.filter(|_| !habits.drops("temperature")) {
        body.insert("temperature".into(), temperature.into());
    }
    if let Some(effort) = effort.filter(|_| !habits.drops("reasoning_effort")) {
        body.insert("reasoning_effort".into(), effort.into());
    }
    if habits.streams {
        body.insert("stream".into(), true.into());
        if !habits.drops("stream_options") {
            body.insert("stream_options".into(), json!({"include_usage": true}));
        }
    }
    if let Want::Json { name, schema } = &ask.want {
        let format = match habits.rung {
            Rung::Bounded => strict(name, &schema::bounded(schema)),
            Rung::Portable => strict(name, &schema::portable(schema)),
            Rung::Object => json!({"type": "json_object"}),
            Rung::Fenced => Value::Null,
        };
        if !format.is_null() {
            body.insert("response_format".into(), format);
        }
    }
    body.into()
}

fn strict(name: &str, schema: &Value) -> Value {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '_' || c == '-' { c } else { '_' };
    let name: String = name.chars().take(64).map(plain).collect();
    json!({"type": "json_schema", "json_schema": {"name": name, "strict": true, "schema": schema}})
}

/// What a prompt must say when the server is not given the schema.
fn schema_in_words(schema: &Value, rung: Rung) -> String {
    let schema = serde_json::to_string(&schema::Ordered(&schema::bounded(schema))).unwrap_or_default();
    let how = if rung == Rung::Object {
        "one JSON object and nothing else"
    } else {
        "one JSON object in a ```json block"
    };
    format!("Answer with {how}, by this JSON schema:\n{schema}")
}

fn role(role: Role) -> &'static str {
    match role {
        Role::System => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
    }
}

/// What has arrived of an answer.
#[derive(Debug, Default)]
pub struct Arrived {
    pub text: String,
    pub reasoning: String,
    pub refusal: String,
    pub arguments: String,
    pub finish: Option<String>,
    pub usage: Option<Usage>,
    pub model: Option<String>,
    /// Whether there was any choice at all.
    pub has_choice: bool,
}

impl Arrived {
    /// Takes in a whole reply or one piece of a stream; gives the new words.
    pub fn take(&mut self, json: &Value, redactor: &Redactor) -> Result<String, LlmErrorKind> {
        if let Some(complaint) = Complaint::of_json(json, redactor) {
            return Err(complaint.late_kind());
        }
        if let Some(usage) = usage(json) {
            self.usage = Some(usage);
        }
        if let Some(model) = json.get("model").and_then(Value::as_str).filter(|model| !model.is_empty()) {
            self.model = Some(model.to_owned());
        }
        let Some(choices) = json.get("choices") else {
            if json.get("usage").is_some() || json.get("object").is_some() {
                return Ok(String::new());
            }
            return Err(shape("there are no choices", json, redactor));
        };
        let choice = match choices {
            Value::Array(choices) => choices.first(),
            Value::Null => None,
            _ => return Err(shape("choices is no list", json, redactor)),
        };
        let Some(choice) = choice else { return Ok(String::new()) };
        self.has_choice = true;
        if let Some(finish) =
            choice.get("finish_reason").and_then(Value::as_str).filter(|finish| !finish.is_empty())
        {
            self.finish = Some(finish.to_owned());
        }
        if let Some(complaint) = choice.get("error").and_then(|_| Complaint::of_json(choice, redactor)) {
            return Err(complaint.late_kind());
        }
        let holder = choice
            .get("delta")
            .filter(|delta| !delta.is_null())
            .or_else(|| choice.get("message"))
            .unwrap_or(choice);
        let text = text_of(holder.get("content").or_else(|| choice.get("text")));
        self.text.push_str(&text);
        for name in ["reasoning_content", "reasoning"] {
            let reasoning = text_of(holder.get(name));
            if !reasoning.is_empty() {
                self.reasoning.push_str(&reasoning);
                break;
            }
        }
        self.refusal.push_str(&text_of(holder.get("refusal")));
        for call in holder.get("tool_calls").and_then(Value::as_array).into_iter().flatten() {
            let arguments = call.pointer("/function/arguments");
            match arguments {
                Some(Value::String(text)) => self.arguments.push_str(text),
                Some(Value::Null) | None => {}
                Some(other) => self.arguments.push_str(&other.to_string()),
            }
        }
        Ok(text)
    }

    /// The whole answer: its words, reasoning, and why it ended.
    pub fn end(mut self, is_done: bool) -> Result<Whole, LlmErrorKind> {
        let finish = self.finish.as_deref().unwrap_or_default().to_lowercase();
        if finish == "error" {
            return Err(LlmErrorKind::Server {
                status: 200,
                message: "it stopped with an error".into(),
                after: None,
            });
        }
        if finish == "content_filter" || finish == "safety" {
            return Err(LlmErrorKind::Filtered);
        }
        if finish.is_empty() && !is_done {
            return Err(LlmErrorKind::Broken("it ended without saying why".into()));
        }
        let (thought, text) = split_thinking(&self.text);
        if !thought.is_empty() {
            self.reasoning.push_str(thought);
        }
        let mut text = text.trim().to_owned();
        if text.is_empty() && !self.arguments.trim().is_empty() {
            self.arguments.trim().clone_into(&mut text);
        }
        let finish = match finish.as_str() {
            "length" | "max_tokens" | "model_length" => Finish::Length,
            _ => Finish::Stop,
        };
        if text.is_empty() && !self.refusal.trim().is_empty() {
            return Err(LlmErrorKind::Refused(shown(&self.refusal, &Redactor::default())));
        }
        if text.is_empty() && finish == Finish::Stop {
            return Err(LlmErrorKind::Empty);
        }
        let reasoning = Some(self.reasoning).filter(|reasoning| !reasoning.trim().is_empty());
        Ok(Whole { text, reasoning, finish })
    }
}

/// The words of a whole answer.
#[derive(Debug)]
pub struct Whole {
    pub text: String,
    pub reasoning: Option<String>,
    pub finish: Finish,
}

fn shape(problem: &str, json: &Value, redactor: &Redactor) -> LlmErrorKind {
    LlmErrorKind::Shape { problem: problem.into(), sample: shown(&json.to_string(), redactor) }
}

/// Text of a content field: a string, a list of parts, or nothing.
fn text_of(content: Option<&Value>) -> String {
    match content {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(parts)) => {
            parts.iter().filter_map(|part| part.as_str().or_else(|| part.get("text")?.as_str())).collect()
        }
        _ => String::new(),
    }
}

/// Thinking at the start of an answer, as some servers leave it there, and the rest.
fn split_thinking(text: &str) -> (&str, &str) {
    let start = text.trim_start();
    for (open, close) in [("<think>", "</think>"), ("<thinking>", "</thinking>")] {
        if let Some(inside) = start.strip_prefix(open) {
            return inside.split_once(close).unwrap_or((inside, ""));
        }
    }
    // Some templates open the thinking themselves, so that only its end is in the answer.
    match text.split_once("</think>") {
        Some((thought, rest)) if !thought.contains("```") => (thought, rest),
        _ => ("", text),
    }
}

/// Usage in the shapes of several servers.
fn usage(json: &Value) -> Option<Usage> {
    let usage = json.get("usage").filter(|usage| usage.is_object())?;
    let count = |names: &[&str]| names.iter().find_map(|name| usage.pointer(name).and_then(Value::as_u64));
    let input = count(&["/prompt_tokens", "/input_tokens"])?;
    let cached = count(&[
        "/prompt_tokens_details/cached_tokens",
        "/input_tokens_details/cached_tokens",
        "/prompt_cache_hit_tokens",
        "/cache_read_input_tokens",
    ])
    .or_else(|| json.pointer("/timings/cache_n").and_then(Value::as_u64));
    Some(Usage {
        input,
        cached: cached.map(|cached| cached.min(input)),
        output: count(&["/completion_tokens", "/output_tokens"]).unwrap_or(0),
        reasoning: count(&[
            "/completion_tokens_details/reasoning_tokens",
            "/output_tokens_details/reasoning_tokens",
        ]),
        usd: usage.get("cost").and_then(Value::as_f64).filter(|usd| usd.is_finite() && *usd >= 0.0),
        estimated: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pieces: &[Value]) -> Result<Whole, LlmErrorKind> {
        let mut arrived = Arrived::default();
        for piece in pieces {
            arrived.take(piece, &Redactor::default())?;
        }
        arrived.end(false)
    }

    fn message(message: &Value, finish: &str) -> Result<Whole, LlmErrorKind> {
        read(&[json!({"choices": [{"message": message, "finish_reason": finish}]})])
    }

    #[test]
    fn content_is_read_in_every_shape() {
        for content in [
            json!("hi"),
            json!([{"type": "text", "text": "h"}, {"type": "text", "text": "i"}]),
            json!(["hi"]),
        ] {
            assert_eq!(message(&json!({"content": content}), "stop").unwrap().text, "hi");
        }
        let call =
            json!({"content": null, "tool_calls": [{"function": {"name": "f", "arguments": "{\"a\":1}"}}]});
        assert_eq!(message(&call, "tool_calls").unwrap().text, "{\"a\":1}");
    }

    #[test]
    fn unknown_fields_and_reasons_do_no_harm() {
        let whole = read(&[json!({
            "service_tier": "new", "choices": [{"finish_reason": "eos", "message": {"content": "x", "extra": [1]}}],
        })]);
        assert_eq!(whole.unwrap().finish, Finish::Stop);
    }

    #[test]
    fn reasoning_is_kept_apart() {
        for whole in [
            message(&json!({"content": "x", "reasoning_content": "so"}), "stop"),
            message(&json!({"content": "x", "reasoning": "so"}), "stop"),
            message(&json!({"content": "<think>so</think>\n x"}), "stop"),
            message(&json!({"content": "so</think>x"}), "stop"),
        ] {
            let whole = whole.unwrap();
            assert_eq!((whole.text.as_str(), whole.reasoning.as_deref()), ("x", Some("so")));
        }
    }

    #[test]
    fn what_is_no_answer_is_an_error() {
        use LlmErrorKind as K;
        assert!(matches!(read(&[json!({"choices": []})]), Err(K::Broken(_))), "a stream that ends early");
        assert!(matches!(message(&json!({"content": ""}), "stop"), Err(K::Empty)));
        assert!(matches!(message(&json!({"content": null, "refusal": "no"}), "stop"), Err(K::Refused(_))));
        assert!(matches!(message(&json!({"content": "x"}), "content_filter"), Err(K::Filtered)));
        assert!(matches!(message(&json!({"content": "x"}), "error"), Err(K::Server { status: 200, .. })));
        assert!(matches!(message(&json!({"content": "x"}), ""), Err(K::Broken(_))));
        assert!(matches!(read(&[json!({"result": "x"})]), Err(K::Shape { .. })));
        assert!(matches!(read(&[json!(7)]), Err(K::Shape { .. })));
        assert!(matches!(
            read(&[json!({"error": {"message": "x", "code": 503}})]),
            Err(K::Server { status: 503, .. })
        ));
    }

    #[test]
    fn usage_is_read_in_every_shape() {
        let of = |json: Value| usage(&json).map(|usage| (usage.input, usage.cached, usage.output));
        assert_eq!(
            of(
                json!({"usage": {"prompt_tokens": 9, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 5}}})
            ),
            Some((9, Some(5), 3))
        );
        assert_eq!(
            of(json!({"usage": {"prompt_tokens": 9, "completion_tokens": 3, "prompt_cache_hit_tokens": 4}})),
            Some((9, Some(4), 3))
        );
        assert_eq!(
            of(json!({"usage": {"prompt_tokens": 9, "completion_tokens": 3}, "timings": {"cache_n": 8}})),
            Some((9, Some(8), 3))
        );
        assert_eq!(of(json!({"usage": {"input_tokens": 9, "output_tokens": 3}})), Some((9, None, 3)));
        assert_eq!(of(json!({"usage": null})), None);
        assert_eq!(of(json!({"usage": {"total_tokens": 3}})), None);
    }
}
