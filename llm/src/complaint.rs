//! What a provider says when it fails: errors of many shapes, read tolerantly and sorted into kinds.

use crate::error::LlmErrorKind;
use ansatz_core::secret::Redactor;
use serde_json::Value;
use std::time::Duration;

/// Letters of a provider's text that are kept.
const SHOWN_MAX: usize = 300;

/// An error object, whatever its shape: as `OpenAI` sends it, with a number as code (vLLM, llama.cpp, `OpenRouter`), in an array (Gemini),
/// without the `error` around it (older vLLM), plain text, a web page.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Complaint {
    pub message: String,
    /// `code`, `type` and `status` joined by spaces, in small letters.
    pub codes: String,
    pub param: Option<String>,
    /// A number given as code: `OpenRouter` has it in place of a status after it has begun.
    pub number: Option<u16>,
    /// The time that it asks for in its words or details, where no header does.
    pub after: Option<Duration>,
}

impl Complaint {
    /// Reads the body of an unsuccessful reply.
    pub fn read(body: &[u8], redactor: &Redactor) -> Self {
        let text = String::from_utf8_lossy(body);
        let json = serde_json::from_str::<Value>(&text).ok();
        json.and_then(|json| Self::of_json(&json, redactor))
            .unwrap_or_else(|| Self::of_words(&text, redactor))
    }

    fn of_words(words: &str, redactor: &Redactor) -> Self {
        Self { message: shown(words, redactor), after: asked_in_words(words), ..Self::default() }
    }

    /// The error object inside some JSON, if there is one.
    pub fn of_json(json: &Value, redactor: &Redactor) -> Option<Self> {
        let json = if json.is_array() { json.get(0)? } else { json };
        let error = match json.get("error") {
            Some(Value::Null) | None => json,
            Some(error) => error,
        };
        if let Some(message) = error.as_str() {
            return Some(Self::of_words(message, redactor));
        }
        let message = ["message", "detail", "msg"].iter().find_map(|name| error.get(*name)?.as_str());
        let is_error = json.get("error").is_some_and(|error| !error.is_null())
            || (message.is_some() && json.get("choices").is_none());
        if !is_error {
            return None;
        }
        // OpenRouter wraps what the provider behind it said.
        let raw = error.pointer("/metadata/raw").and_then(Value::as_str).unwrap_or_default();
        let words = format!("{} {raw}", message.map_or_else(|| error.to_string(), str::to_owned));
        let code = error.get("code");
        let codes = [code, error.get("type"), error.get("status")];
        let codes = codes
            .into_iter()
            .flatten()
            .filter(|code| !code.is_null())
            .map(|code| code.as_str().map_or_else(|| code.to_string(), str::to_owned).to_lowercase());
        // Gemini names the limit that was reached in the details alone.
        let details = error.get("details").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let is_daily = details.iter().any(|detail| detail.to_string().contains("PerDay"));
        let codes: Vec<String> = codes.chain(is_daily.then(|| DAILY.to_owned())).collect();
        let delay = details.iter().find_map(|detail| span(detail.get("retryDelay")?.as_str()?));
        Some(Self {
            message: shown(&words, redactor),
            number: code.and_then(number).or_else(|| error.get("status").and_then(number)),
            codes: codes.join(" "),
            param: error.get("param").and_then(Value::as_str).map(str::to_owned),
            after: delay.or_else(|| asked_in_words(&words)),
        })
    }

    /// What kind of failure it is; `after` is the time that a header asks for.
    pub fn kind(self, status: u16, after: Option<Duration>) -> LlmErrorKind {
        use LlmErrorKind as K;
        let after = after.or(self.after);
        let lower = self.message.to_lowercase();
        let says =
            |words: &[&str]| words.iter().any(|word| lower.contains(word) || self.codes.contains(word));
        let message = self.message.clone();
        let is_client = (400..500).contains(&status);
        // A limit of each minute is told in the words of an empty account; only one of the two passes.
        let is_spent = says(SPENT) && after.is_none() && !says(&["resource_exhausted"]);
        if status == 402 || says(QUOTA) || is_spent {
            return K::Quota(message);
        }
        if says(&["context_length_exceeded", "exceed_context_size", "context_window_exceeded"])
            || (is_client && status != 429 && OVERFLOW.iter().any(|word| lower.contains(word)))
        {
            return K::ContextOverflow(message);
        }
        if is_client
            && (says(&["model_not_found"])
                || (lower.contains("model") && NO_MODEL.iter().any(|word| lower.contains(word))))
        {
            return K::UnknownModel(message);
        }
        match status {
            401 | 403 => K::Auth { status, message },
            300..=399 | 404 | 405 => K::NotFound(message),
            413 => K::ContextOverflow(message),
            429 => K::RateLimited { message, after },
            400 if says(&["api key not valid", "invalid_api_key", "api_key_invalid"]) => {
                K::Auth { status, message }
            }
            408 | 409 | 425 | 500..=599 => K::Server { status, message, after },
            400..=499 => K::Rejected { status, message, param: self.param },
            _ => K::Server { status, message, after },
        }
    }

    /// The kind of an error that came inside a successful reply.
    pub fn late_kind(self) -> LlmErrorKind {
        let status = self.number.filter(|number| (400..600).contains(number)).unwrap_or(200);
        self.kind(status, None)
    }
}

/// Words of accounts that are empty: waiting does not help.
const QUOTA: &[&str] = &[
    "insufficient_quota",
    "credit_balance",
    "spend_limit_exceeded",
    "billing_hard_limit",
    "insufficient balance",
    "insufficient credits",
    DAILY,
];

/// What stands for a limit of each day among the codes.
const DAILY: &str = "limit_of_a_day";

/// Words of accounts that are empty, and of limits that pass.
const SPENT: &[&str] = &["exceeded your current quota"];

/// Words of prompts that are too long; each provider has its own.
const OVERFLOW: &[&str] = &[
    "context length",
    "context_length",
    "context window",
    "context size",
    "maximum context",
    "prompt is too long",
    "too many tokens",
    "input is too long",
    "exceeds the limit of",
    "reduce the length",
];

/// Words about models that are not there.
const NO_MODEL: &[&str] = &[
    "not found",
    "does not exist",
    "not exist",
    "unknown model",
    "invalid model",
    "is not a valid model",
    "no such model",
];

/// The time that a provider asks for in words, as in `Please retry in 17.3s`.
fn asked_in_words(words: &str) -> Option<Duration> {
    let lower = words.to_lowercase();
    let asked = |phrase: &&str| lower.find(*phrase).and_then(|at| span(&lower[at + phrase.len()..]));
    ["retry in ", "try again in ", "retry after "].iter().find_map(asked)
}

/// The time at the start of a text: `17.3s`, `6m0s`, `350ms`, `20 seconds`.
fn span(text: &str) -> Option<Duration> {
    let (mut rest, mut seconds): (&str, Option<f64>) = (text, None);
    loop {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let Ok(number) = rest[..digits].parse::<f64>() else { break };
        let unit = rest[digits..].trim_start();
        let letters = unit.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(unit.len());
        let factor = match &unit[..letters] {
            "ms" | "milliseconds" => 0.001,
            "s" | "sec" | "second" | "seconds" => 1.0,
            "m" | "min" | "minute" | "minutes" => 60.0,
            "h" | "hour" | "hours" => 3600.0,
            _ => break,
        };
        seconds = Some(seconds.unwrap_or(0.0) + factor * number);
        rest = &unit[letters..];
    }
    seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
}

fn number(value: &Value) -> Option<u16> {
    value.as_u64().and_then(|number| u16::try_from(number).ok()).or_else(|| value.as_str()?.parse().ok())
}

/// A foreign text on one short line without secrets and control characters.
pub fn shown(text: &str, redactor: &Redactor) -> String {
    let clean = redactor.clean(text);
    let mut shown = String::new();
    let mut length = 0;
    for word in clean.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()) {
        if length > SHOWN_MAX {
            shown.push('…');
            break;
        }
        if !shown.is_empty() {
            shown.push(' ');
        }
        shown.extend(word.chars().take(SHOWN_MAX));
        length += word.chars().count().min(SHOWN_MAX) + 1;
    }
    shown
}

/// Whether a body is a web page, and then its title.
pub fn page_title(body: &[u8], redactor: &Redactor) -> Option<String> {
    let start: Vec<u8> = body.iter().copied().skip_while(u8::is_ascii_whitespace).take(15).collect();
    let start = start.to_ascii_lowercase();
    (start.starts_with(b"<!doctype html") || start.starts_with(b"<html")).then(|| {
        let text = String::from_utf8_lossy(body);
        let lower = text.to_ascii_lowercase();
        let inside = lower.find("<title").and_then(|at| {
            let from = at + lower[at..].find('>')? + 1;
            Some(&text[from..from + lower[from..].find("</title")?])
        });
        shown(inside.unwrap_or_default(), redactor)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(status: u16, body: &str) -> String {
        let kind = Complaint::read(body.as_bytes(), &Redactor::default()).kind(status, None);
        let name = format!("{kind:?}");
        name.split(['(', ' ', '{']).next().unwrap_or_default().to_owned()
    }

    #[test]
    fn every_shape_is_sorted() {
        let table = [
            (
                429,
                r#"{"error":{"message":"Rate limit","type":"requests","code":"rate_limit_exceeded"}}"#,
                "RateLimited",
            ),
            (
                429,
                r#"{"error":{"message":"x","type":"insufficient_quota","code":"insufficient_quota"}}"#,
                "Quota",
            ),
            (429, r#"{"error":{"message":"slow","code":429}}"#, "RateLimited"),
            (
                429,
                r#"[{"error":{"code":429,"message":"Resource exhausted","status":"RESOURCE_EXHAUSTED"}}]"#,
                "RateLimited",
            ),
            (429, "Too Many Requests", "RateLimited"),
            (402, "{}", "Quota"),
            (403, r#"{"error":{"message":"monthly","code":"project_spend_limit_exceeded"}}"#, "Quota"),
            (401, r#"{"error":{"message":"Incorrect API key provided","code":"invalid_api_key"}}"#, "Auth"),
            (
                400,
                r#"[{"error":{"code":400,"message":"API key not valid.","status":"INVALID_ARGUMENT"}}]"#,
                "Auth",
            ),
            (403, "<html><title>Forbidden</title></html>", "Auth"),
            (
                404,
                r#"{"error":{"message":"The model `x` does not exist","code":"model_not_found"}}"#,
                "UnknownModel",
            ),
            (404, r#"{"error":{"message":"model 'x' not found","type":"api_error"}}"#, "UnknownModel"),
            (404, "404 page not found", "NotFound"),
            (
                400,
                r#"{"error":{"message":"This model's maximum context length is 8192 tokens","code":"context_length_exceeded"}}"#,
                "ContextOverflow",
            ),
            (
                400,
                r#"{"error":{"code":400,"message":"request (9000 tokens) exceeds the available context size","type":"exceed_context_size_error"}}"#,
                "ContextOverflow",
            ),
            (
                400,
                r#"{"object":"error","message":"This model's maximum context length is 4096 tokens.","code":400}"#,
                "ContextOverflow",
            ),
            (413, "", "ContextOverflow"),
            (
                400,
                r#"{"error":{"message":"Unsupported parameter: 'max_tokens'","param":"max_tokens","code":"unsupported_parameter"}}"#,
                "Rejected",
            ),
            (422, r#"{"detail":[{"loc":["body"],"msg":"field required"}]}"#, "Rejected"),
            (500, "oops", "Server"),
            (503, r#"{"error":{"message":"overloaded","code":"server_is_overloaded"}}"#, "Server"),
            (529, r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#, "Server"),
            (409, "", "Server"),
        ];
        for (status, body, expected) in table {
            assert_eq!(kind(status, body), expected, "{status} {body}");
        }
    }

    /// What Gemini answers when a limit is reached, with the id of the limit and the time that it asks for.
    fn gemini(limit: &str, delay: &str) -> String {
        let filler =
            "For more information on this error, head to https://ai.google.dev/gemini-api/docs/rate-limits. "
                .repeat(4);
        let message = format!(
            "You exceeded your current quota, please check your plan and billing details. {filler}Please retry in {delay}."
        );
        let details = serde_json::json!([
            {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{"quotaId": limit, "quotaValue": "15"}]},
            {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay},
        ]);
        serde_json::json!([{
            "error": {"code": 429, "message": message, "status": "RESOURCE_EXHAUSTED", "details": details}
        }])
        .to_string()
    }

    #[test]
    fn a_limit_of_a_minute_passes_and_an_empty_account_does_not() {
        let of = |body: &str| Complaint::read(body.as_bytes(), &Redactor::default()).kind(429, None);
        let minute = gemini("GenerateRequestsPerMinutePerProjectPerModel-FreeTier", "17.318s");
        let LlmErrorKind::RateLimited { after, .. } = of(&minute) else { panic!("{:?}", of(&minute)) };
        assert_eq!(after, Some(Duration::from_millis(17_318)));
        let day = gemini("GenerateRequestsPerDayPerProjectPerModel-FreeTier", "17.318s");
        assert!(matches!(of(&day), LlmErrorKind::Quota(_)));
        let message = "You exceeded your current quota, please check your plan and billing details.";
        let with = |rest: &str| format!(r#"{{"error":{{"message":"{message}{rest}"}}}}"#);
        assert!(matches!(of(&with("")), LlmErrorKind::Quota(_)));
        assert!(matches!(
            of(&with(" Please retry in 2s.")),
            LlmErrorKind::RateLimited { after: Some(_), .. }
        ));
        let coded = r#"{"error":{"message":"You exceeded your current quota","code":"insufficient_quota","details":[]}}"#;
        assert!(matches!(of(coded), LlmErrorKind::Quota(_)));
    }

    #[test]
    fn times_are_read_in_words() {
        let asked = |words: &str| asked_in_words(words).map(|time| time.as_secs_f64());
        assert_eq!(asked("Rate limit reached. Please try again in 6m0s. Visit us"), Some(360.0));
        assert_eq!(asked("Please try again in 350ms."), Some(0.35));
        assert_eq!(asked("please retry after 26 seconds"), Some(26.0));
        assert_eq!(asked("Retry in 17.3s"), Some(17.3));
        for none in ["try again in a while", "retry in 17", "slow down", "retry in 1.2.3s", "try again in "] {
            assert_eq!(asked(none), None, "{none}");
        }
    }

    #[test]
    fn errors_inside_successes_are_seen() {
        let late = |body: &str| {
            let json: Value = serde_json::from_str(body).unwrap();
            Complaint::of_json(&json, &Redactor::default())
                .map(|complaint| format!("{:?}", complaint.late_kind()))
        };
        assert!(
            late(r#"{"error":{"code":502,"message":"Provider returned error","metadata":{"raw":"boom"}}}"#)
                .unwrap()
                .contains("Provider returned error boom")
        );
        assert!(late(r#"{"error":{"code":"429","message":"x"}}"#).unwrap().starts_with("RateLimited"));
        assert!(late(r#"{"error":"overloaded"}"#).unwrap().starts_with("Server"));
        assert_eq!(late(r#"{"choices":[],"error":null}"#), None);
        assert_eq!(late(r#"{"id":"x","choices":[{"message":{"content":"hi"}}]}"#), None);
    }

    #[test]
    fn long_texts_are_cut_and_secrets_left_out() {
        let mut redactor = Redactor::default();
        redactor.learn(&ansatz_core::secret::Secret::new("sk-1234567").unwrap());
        assert!(shown(&"word ".repeat(200), &redactor).chars().count() < SHOWN_MAX + 20);
        assert_eq!(shown("key\u{1b}[31m sk-1234567\r\nend", &redactor), "key [31m [redacted] end");
        assert!(shown(&"x".repeat(5000), &redactor).chars().count() <= SHOWN_MAX + 1);
    }
}
