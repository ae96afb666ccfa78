//! An endpoint against a server that does what it is told: faults, foreign shapes, split streams.

use crate::double::{Act, Double, Seen, reply};
use crate::{
    Ask, Caps, ChatModel as _, Endpoint, EndpointChoice, EndpointSettings, Key, Ledger, LlmErrorKind,
    Message, Patience, Patient, Role, Rung, Setup, Waits, Want, offers, silent,
};
use ansatz_core::bill::{Price, PriceTable};
use ansatz_core::clock::{Clock, ManualClock};
use ansatz_core::secret::Secret;
use ansatz_core::seed::Seed;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const SECRET: &str = "sk-test-very-secret";

fn waits() -> Waits {
    Waits {
        connect: Duration::from_secs(1),
        first_byte: Duration::from_millis(500),
        idle: Duration::from_millis(300),
        total: Duration::from_secs(5),
    }
}

fn ask() -> Ask {
    Ask {
        key: Key::default(),
        messages: vec![Message::new(Role::User, "hello")],
        tokens_max: 50,
        ..Ask::default()
    }
}

fn json_ask() -> Ask {
    let schema =
        json!({"type": "object", "required": ["n"], "properties": {"n": {"type": "integer", "maximum": 9}}});
    Ask { want: Want::Json { name: "count".into(), schema }, ..ask() }
}

fn settings(base: &str) -> EndpointSettings {
    EndpointSettings {
        waits: waits(),
        ..EndpointSettings::new(&format!("{base}/v1"), "m", Secret::new(SECRET))
    }
}

fn connected(settings: EndpointSettings) -> Endpoint {
    Endpoint::new(settings, Arc::new(ManualClock::default())).unwrap()
}

fn endpoint(base: &str) -> Endpoint {
    connected(settings(base))
}

/// A stream of these events.
fn stream(events: &[Value]) -> Vec<Act> {
    let body = events.iter().fold(String::new(), |body, event| body + "data: " + &event.to_string() + "\n\n");
    reply(200, &["content-type: text/event-stream"], body + "data: [DONE]\n\n")
}

fn word(word: &str) -> Value {
    json!({"choices": [{"index": 0, "delta": {"content": word}}]})
}

fn stop() -> Value {
    json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
}

fn used() -> Value {
    json!({"choices": [], "usage": {"prompt_tokens": 12, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 8}}})
}

struct Played {
    outcome: Result<String, LlmErrorKind>,
    seen: Vec<Seen>,
    heard: String,
}

async fn play(ask: &Ask, answer: impl Fn(usize, &Seen) -> Vec<Act> + Send + Sync + 'static) -> Played {
    let server = Double::start(answer).await;
    let endpoint = endpoint(&server.base);
    let heard = Mutex::new(String::new());
    let outcome = endpoint.answer(ask, &mut |text: &str| heard.lock().unwrap().push_str(text)).await;
    let outcome = outcome.map(|answer| answer.text).map_err(|error| {
        assert!(!error.to_string().contains(SECRET), "{error}");
        error.kind
    });
    Played { outcome, seen: server.seen(), heard: heard.into_inner().unwrap() }
}

fn body(seen: &Seen) -> Value {
    serde_json::from_slice(&seen.body).unwrap()
}

#[tokio::test]
async fn words_stream_and_usage_is_counted() {
    let server = Double::start(|_, _| stream(&[word("he"), word("llo"), stop(), used()])).await;
    let heard = Mutex::new(Vec::new());
    let endpoint = endpoint(&server.base);
    let answer =
        endpoint.answer(&ask(), &mut |text: &str| heard.lock().unwrap().push(text.to_owned())).await.unwrap();
    assert_eq!((answer.text.as_str(), answer.usage.input, answer.usage.cached), ("hello", 12, Some(8)));
    assert_eq!(*heard.lock().unwrap(), ["he", "llo"]);
    let seen = server.seen();
    assert_eq!(seen[0].line, "POST /v1/chat/completions HTTP/1.1");
    assert_eq!(seen[0].header("authorization"), Some(format!("Bearer {SECRET}").as_str()));
    assert_eq!((&body(&seen[0])["model"], &body(&seen[0])["stream"]), (&json!("m"), &json!(true)));
}

#[tokio::test]
async fn comments_unknown_events_and_missing_usage_do_no_harm() {
    let played = play(&ask(), |_, _| {
        let body = format!(
            ": PROCESSING\n\nevent: ping\ndata: {{\"object\":\"ping\"}}\n\ndata: {}\n\ndata: {}\n\n",
            word("hi"),
            stop()
        );
        reply(200, &["content-type: text/event-stream"], body)
    })
    .await;
    assert_eq!(played.outcome, Ok("hi".into()), "an end without [DONE] is one when a reason was given");
}

#[tokio::test]
async fn a_whole_reply_to_a_request_for_a_stream_is_read() {
    let whole = json!({
        "model": "m-1",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "all\nof it"}}],
        "usage": {"prompt_tokens": 7, "completion_tokens": 3},
    });
    let body = serde_json::to_string_pretty(&whole).unwrap();
    let played = play(&ask(), move |_, _| reply(200, &["content-type: application/json"], &body)).await;
    assert_eq!((played.outcome, played.heard), (Ok("all\nof it".into()), "all\nof it".into()));
    let played = play(&ask(), |_, _| reply(200, &["content-type: application/json"], "{\"choi")).await;
    assert!(matches!(played.outcome, Err(LlmErrorKind::Shape { .. })), "{:?}", played.outcome);
}

#[tokio::test]
async fn a_key_in_a_prompt_does_not_leave() {
    let ask = Ask { messages: vec![Message::new(Role::User, format!("my key is {SECRET}"))], ..ask() };
    let played = play(&ask, |_, _| stream(&[word("ok"), stop()])).await;
    assert!(!String::from_utf8_lossy(&played.seen[0].body).contains(SECRET));
}

#[tokio::test]
async fn failures_keep_their_kind() {
    use LlmErrorKind as K;
    let of = async |status: u16, headers: &'static [&'static str], body: String| {
        play(&ask(), move |_, _| reply(status, headers, &body)).await.outcome.unwrap_err()
    };
    let limited =
        of(429, &["retry-after: 1.5"], r#"{"error":{"message":"slow down","code":429}}"#.into()).await;
    assert_eq!(
        limited,
        K::RateLimited { message: "slow down".into(), after: Some(Duration::from_millis(1500)) }
    );
    assert!(
        matches!(of(401, &[], format!(r#"{{"error":{{"message":"bad key {SECRET}"}}}}"#)).await, K::Auth { status: 401, message } if message == "bad key [redacted]")
    );
    assert!(matches!(of(500, &[], "oops".into()).await, K::Server { status: 500, .. }));
    assert!(
        matches!(of(503, &["retry-after-ms: 20"], "<html><title>busy</title></html>".into()).await, K::Server { message, after: Some(_), .. } if message == "busy")
    );
    assert!(matches!(of(404, &[], "nothing".into()).await, K::NotFound(_)));
    assert!(
        matches!(of(302, &["location: https://elsewhere.org"], String::new()).await, K::NotFound(_)),
        "redirects are not followed"
    );
    assert!(
        matches!(of(200, &["content-type: text/html"], "<html><title>Log in</title></html>".into()).await, K::Html(title) if title == "Log in")
    );
    assert!(
        matches!(of(200, &[], "<!doctype html><title>x</title>".into()).await, K::Html(_)),
        "whatever the header says"
    );
    assert!(matches!(of(200, &[], "garbage".into()).await, K::Broken(_) | K::Shape { .. }));
    assert!(matches!(
        of(200, &["content-type: text/event-stream"], "data: {\"choi\n\n".into()).await,
        K::Shape { .. }
    ));
    assert!(matches!(of(200, &["content-length: 99999999"], String::new()).await, K::TooLarge { .. }));
    assert!(matches!(
        of(
            200,
            &["content-type: text/event-stream"],
            format!("data: {}\n\ndata: {{\"error\":{{\"message\":\"died\",\"code\":502}}}}\n\n", word("a"))
        )
        .await,
        K::Server { status: 502, .. }
    ));
    assert!(matches!(
        of(
            200,
            &["content-type: text/event-stream"],
            "data: {\"error\":{\"message\":\"x\",\"code\":\"insufficient_quota\"}}\n\n".into()
        )
        .await,
        K::Quota(_)
    ));
}

#[tokio::test]
async fn silence_stalls_and_cuts_end() {
    use LlmErrorKind as K;
    let played = play(&ask(), |_, _| vec![Act::Wait(Duration::from_secs(30))]).await;
    assert!(matches!(played.outcome, Err(K::Timeout { what: "the first byte", .. })));
    let stalls = |acts: Vec<Act>| {
        let mut acts = acts;
        acts.push(Act::Wait(Duration::from_secs(30)));
        acts
    };
    let head = "HTTP/1.1 200 x\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
    let started = move |text: String| vec![Act::Send(format!("{head}{text}").into_bytes())];
    let played = play(&ask(), move |_, _| stalls(started(String::new()))).await;
    assert!(matches!(played.outcome, Err(K::Timeout { what: "the first word", .. })), "{:?}", played.outcome);
    let played = play(&ask(), move |_, _| stalls(started(format!("data: {}\n\n", word("a"))))).await;
    assert!(matches!(played.outcome, Err(K::Timeout { what: "the next word", .. })), "{:?}", played.outcome);
    assert_eq!(played.heard, "a");
    let played = play(&ask(), move |_, _| started(format!("data: {}\n\n", word("half of it")))).await;
    assert!(matches!(played.outcome, Err(K::Broken(_))), "a cut stream is no answer: {:?}", played.outcome);
    let played = play(&ask(), move |_, _| started(String::new())).await;
    assert!(matches!(played.outcome, Err(K::Broken(_))));
    let played = play(&ask(), |_, _| {
        reply(
            200,
            &["content-length: 5000", "content-type: text/event-stream"],
            format!("data: {}\n\n", word("a")),
        )
    })
    .await;
    assert!(matches!(played.outcome, Err(K::Broken(_))));
}

#[tokio::test]
async fn an_endless_answer_is_cut_at_eight_mebibytes() {
    let played = play(&ask(), |_, _| {
        let head = b"HTTP/1.1 200 x\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n".to_vec();
        let piece = format!("data: {}\n\n", word(&"x".repeat(100_000))).into_bytes();
        std::iter::once(Act::Send(head)).chain((0..100).map(|_| Act::Send(piece.clone()))).collect()
    })
    .await;
    assert_eq!(played.outcome, Err(LlmErrorKind::TooLarge { max: 8 << 20 }));
}

#[tokio::test]
async fn a_drip_ends_at_the_total() {
    let server = Double::start(|_, _| {
        let head = b"HTTP/1.1 200 x\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n".to_vec();
        let drip = (0..100).flat_map(|_| {
            [Act::Send(b": still thinking\n\n".to_vec()), Act::Wait(Duration::from_millis(50))]
        });
        std::iter::once(Act::Send(head)).chain(drip).collect()
    })
    .await;
    let waits = Waits { total: Duration::from_millis(600), ..waits() };
    let settings = EndpointSettings { waits, ..EndpointSettings::new(&server.base, "m", None) };
    let endpoint = Endpoint::new(settings, Arc::new(ManualClock::default())).unwrap();
    let error = endpoint.answer(&ask(), &mut silent()).await.unwrap_err();
    assert!(matches!(error.kind, LlmErrorKind::Timeout { what: "the whole answer", .. }), "{error}");
}

/// A server that takes the schema in one form only.
fn picky(accepts: fn(&Value) -> bool) -> impl Fn(usize, &Seen) -> Vec<Act> + Send + Sync + 'static {
    move |_, seen| {
        if accepts(&body(seen)) {
            stream(&[word("{\"n\": 4}"), stop()])
        } else {
            reply(
                400,
                &[],
                r#"{"error":{"message":"'response_format' of this kind is not supported","param":"response_format"}}"#,
            )
        }
    }
}

#[tokio::test]
async fn the_ladder_goes_down_and_is_remembered() {
    type Accepts = fn(&Value) -> bool;
    let forms: [(Accepts, Rung, usize); 4] = [
        (|_| true, Rung::Bounded, 1),
        (|body| !body["response_format"].to_string().contains("maximum"), Rung::Portable, 2),
        (|body| body["response_format"]["type"] == "json_object", Rung::Object, 3),
        (|body| body["response_format"].is_null(), Rung::Fenced, 4),
    ];
    for (accepts, rung, calls) in forms {
        let server = Double::start(picky(accepts)).await;
        let endpoint = endpoint(&server.base);
        for _ in 0..2 {
            let answer = endpoint.answer(&json_ask(), &mut silent()).await.unwrap();
            assert_eq!(answer.rung, rung);
        }
        let seen = server.seen();
        assert_eq!(seen.len(), calls + 1, "{rung:?}: the second request knows the way");
        let last = body(&seen[seen.len() - 1])["messages"][0]["content"].to_string();
        assert_eq!(
            last.contains("JSON schema"),
            rung >= Rung::Object,
            "the schema stands in the prompt where it must"
        );
    }
}

#[tokio::test]
async fn refused_parameters_are_renamed_or_left_out() {
    let ask = Ask { temperature: Some(0.2), ..ask() };
    let played = play(&ask, |_, seen| {
        let body = body(seen);
        let refuse = |name: &str| {
            reply(
                400,
                &[],
                json!({"error": {"message": format!("Unsupported parameter: '{name}'"), "param": name}})
                    .to_string(),
            )
        };
        if body.get("max_tokens").is_some() {
            return refuse("max_tokens");
        }
        if body.get("temperature").is_some() {
            return refuse("temperature");
        }
        if body.get("stream_options").is_some() {
            return refuse("stream_options");
        }
        stream(&[word("ok"), stop()])
    })
    .await;
    assert_eq!((played.outcome, played.seen.len()), (Ok("ok".into()), 4));
    assert_eq!(body(&played.seen[3])["max_completion_tokens"], json!(50));
}

#[tokio::test]
async fn a_server_that_cannot_stream_answers_whole() {
    let played = play(&ask(), |_, seen| {
        if body(seen)["stream"] == json!(true) {
            return reply(400, &[], r#"{"error":{"message":"stream is not supported"}}"#);
        }
        reply(
            200,
            &[],
            json!({"choices": [{"message": {"content": "whole"}, "finish_reason": "stop"}], "model": "m-2"})
                .to_string(),
        )
    })
    .await;
    assert_eq!((played.outcome, played.heard), (Ok("whole".into()), "whole".into()));
}

#[tokio::test]
async fn a_silently_cut_prompt_is_noticed() {
    let server = Double::start(|_, _| {
        stream(&[
            word("ok"),
            stop(),
            json!({"choices": [], "usage": {"prompt_tokens": 4096, "completion_tokens": 1}}),
        ])
    })
    .await;
    let long = Ask { messages: vec![Message::new(Role::User, "word ".repeat(10_000))], ..ask() };
    let answer = endpoint(&server.base).answer(&long, &mut silent()).await.unwrap();
    assert!(answer.warnings[0].contains("cuts long prompts in silence"), "{:?}", answer.warnings);
}

/// A prompt far longer than a context of 4,096 tokens, and the same said shorter.
fn long_ask() -> Ask {
    let shorter = Some(vec![Message::new(Role::User, "in a word")]);
    Ask { messages: vec![Message::new(Role::User, "word ".repeat(10_000))], shorter, ..ask() }
}

/// A server that cuts prompts to its context and counts what is left.
fn cutting(_: usize, seen: &Seen) -> Vec<Act> {
    let counted = (seen.body.len() / 4).min(4096);
    let usage = json!({"choices": [], "usage": {"prompt_tokens": counted, "completion_tokens": 1}});
    stream(&[word("ok"), stop(), usage])
}

#[tokio::test]
async fn a_prompt_that_was_cut_in_silence_is_too_long() {
    let server = Double::start(cutting).await;
    let endpoint = endpoint(&server.base);
    for _ in 0..2 {
        let error = endpoint.answer(&long_ask(), &mut silent()).await.unwrap_err();
        assert!(matches!(error.kind, LlmErrorKind::ContextOverflow(_)), "{error}");
        assert!(error.to_string().contains("cuts long prompts in silence"), "{error}");
    }
    assert_eq!(server.seen().len(), 1, "the second is not sent at all");
}

#[tokio::test]
async fn what_would_be_cut_is_said_shorter_and_the_user_is_told() {
    let server = Double::start(cutting).await;
    let ledger = Arc::new(Ledger::new(Caps::default(), PriceTable::default()));
    let metered = ledger.meter(endpoint(&server.base), "m");
    let patient = Patient::new(vec![Box::new(metered)], Patience::default(), Seed(0));
    for _ in 0..2 {
        let answer = patient.answer(&long_ask(), &mut silent()).await.unwrap();
        assert!(answer.warnings[0].contains("cuts long prompts in silence"), "{:?}", answer.warnings);
    }
    let said: Vec<bool> =
        server.seen().iter().map(|seen| body(seen).to_string().contains("in a word")).collect();
    assert_eq!(said, [false, true, true]);
    assert_eq!(ledger.bill().total.calls, 3, "the answer to the cut prompt is paid for");
}

/// A server whose model thinks for so many tokens before it answers, and shows nothing of it.
fn thinking(tokens: u64) -> impl Fn(usize, &Seen) -> Vec<Act> + Send + Sync + 'static {
    move |_, seen| {
        let limit = body(seen)["max_tokens"].as_u64().unwrap();
        let (content, finish) = if limit > tokens { ("plan", "stop") } else { ("", "length") };
        let thought = limit.min(tokens);
        let whole = json!({
            "choices": [{"index": 0, "finish_reason": finish, "message": {"content": content}}],
            "usage": {
                "prompt_tokens": 9, "completion_tokens": thought + 3, "completion_tokens_details": {"reasoning_tokens": thought},
            },
        });
        reply(200, &["content-type: application/json"], whole.to_string())
    }
}

#[tokio::test]
async fn a_thinking_model_is_heard() {
    let server = Double::start(thinking(120)).await;
    let patient = Patient::new(vec![Box::new(endpoint(&server.base))], Patience::default(), Seed(0));
    for _ in 0..2 {
        assert_eq!(patient.answer(&ask(), &mut silent()).await.unwrap().text, "plan");
    }
    let limits: Vec<Value> = server.seen().iter().map(|seen| body(seen)["max_tokens"].clone()).collect();
    assert_eq!(limits, [json!(50), json!(200), json!(290)], "the second request knows what thoughts need");
}

#[tokio::test]
async fn an_effort_is_sent_until_it_is_refused() {
    let server = Double::start(|_, seen| {
        if body(seen).get("reasoning_effort").is_some() {
            let message = "Unsupported parameter: 'reasoning_effort' is not supported with this model.";
            let error = json!({"error": {"message": message, "param": "reasoning_effort"}});
            return reply(400, &[], error.to_string());
        }
        stream(&[word("ok"), stop(), used()])
    })
    .await;
    let with_effort = EndpointSettings { effort: Some("low".into()), ..settings(&server.base) };
    let endpoint = connected(with_effort);
    for _ in 0..2 {
        let answer = endpoint.answer(&ask(), &mut silent()).await.unwrap();
        assert_eq!(answer.warnings.len(), 1);
        assert!(answer.warnings[0].contains("takes no reasoning effort"), "{:?}", answer.warnings);
    }
    let seen = server.seen();
    assert_eq!((seen.len(), &body(&seen[0])["reasoning_effort"]), (3, &json!("low")));
}

#[tokio::test]
async fn a_limit_that_is_too_high_is_lowered() {
    let played = play(&Ask { tokens_max: 20_000, ..ask() }, |_, seen| {
        if body(seen)["max_tokens"].as_u64() > Some(8192) {
            let message =
                "max_tokens is too large: 20000. This model supports at most 8192 completion tokens.";
            return reply(
                400,
                &[],
                json!({"error": {"message": message, "param": "max_tokens"}}).to_string(),
            );
        }
        stream(&[word("ok"), stop()])
    })
    .await;
    assert_eq!((played.outcome, played.seen.len()), (Ok("ok".into()), 2));
    assert_eq!(body(&played.seen[1])["max_tokens"], json!(8192));
}

#[tokio::test]
async fn a_model_that_begins_late_is_waited_for_longer_the_next_time() {
    let server = Double::start(|_, _| {
        let late = [Act::Wait(Duration::from_millis(1500))];
        late.into_iter().chain(stream(&[word("ok"), stop()])).collect()
    })
    .await;
    let waits = Waits { first_byte: Duration::from_secs(1), ..waits() };
    let endpoint = connected(EndpointSettings { waits, ..settings(&server.base) });
    let error = endpoint.answer(&ask(), &mut silent()).await.unwrap_err();
    assert!(matches!(error.kind, LlmErrorKind::Timeout { what: "the first byte", .. }), "{error}");
    assert_eq!(endpoint.answer(&ask(), &mut silent()).await.unwrap().text, "ok");
}

#[tokio::test]
async fn a_limit_of_gemini_passes_after_the_time_that_it_names() {
    let error = json!({
        "code": 429, "status": "RESOURCE_EXHAUSTED",
        "message": "You exceeded your current quota, please check your plan and billing details. Please retry in 17.5s.",
        "details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "17s"}],
    });
    let all = json!([{"error": error}]).to_string();
    let played = play(&ask(), move |_, _| reply(429, &[], &all)).await;
    let Err(LlmErrorKind::RateLimited { after, .. }) = played.outcome else { panic!("{:?}", played.outcome) };
    assert_eq!(after, Some(Duration::from_secs(17)));
}

#[tokio::test]
async fn two_endpoints_have_their_own_keys_names_and_prices() {
    let gone = Double::start(|_, _| {
        reply(404, &[], r#"{"error":{"message":"The model does not exist","code":"model_not_found"}}"#)
    })
    .await;
    let there = Double::start(|_, _| stream(&[word("ok"), stop(), used()])).await;
    let choice = |server: &Double, model: &str| EndpointChoice {
        base: format!("{}/v1", server.base),
        model: model.into(),
    };
    let endpoints = vec![choice(&gone, "big"), choice(&there, "small")];
    let setup = Setup { endpoints, wait_s: 5.0, effort: None };
    let keys = setup.keys(&|name| (name == "ANSATZ_LLM_API_KEY").then(|| "sk-one,sk-two".into())).unwrap();
    let prices = [("big".to_owned(), Price { input: 1.0, cached: None, output: 1.0 })].into();
    let prices = PriceTable { as_of: None, models: prices };
    let ledger = Arc::new(Ledger::new(Caps::default(), prices));
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::default());
    let patient = setup.connect(&keys, Patience::default(), Seed(0), &clock, &ledger).unwrap();
    assert_eq!(patient.answer(&ask(), &mut silent()).await.unwrap().text, "ok");
    assert_eq!(gone.seen()[0].header("authorization"), Some("Bearer sk-one"));
    assert_eq!(there.seen()[0].header("authorization"), Some("Bearer sk-two"));
    let charges = ledger.charges();
    assert_eq!((charges.len(), charges[0].model.as_str(), charges[0].usd), (1, "small", None));
    assert_eq!(ledger.bill().total.usd, None, "the price of another model is none");
}

#[tokio::test]
async fn nobody_there_is_said() {
    let error = endpoint("http://127.0.0.1:9").answer(&ask(), &mut silent()).await.unwrap_err();
    assert!(matches!(error.kind, LlmErrorKind::Connect(_)), "{error}");
    assert!(error.to_string().starts_with("m at 127.0.0.1:9: no connection: "), "{error}");
}

#[tokio::test]
async fn servers_are_offered_only_when_they_answer_properly() {
    let server =
        Double::start(|_, _| reply(200, &[], r#"{"object":"list","data":[{"id":"a"},{"id":"b\u0007"}]}"#))
            .await;
    let found = crate::detect::look("Ollama", &server.base, Duration::from_secs(2)).await.unwrap();
    assert_eq!(found.models, ["a", "b"]);
    assert!(found.note.is_some());
    let other = Double::start(|_, _| reply(200, &[], "<html>")).await;
    assert_eq!(crate::detect::look("x", &other.base, Duration::from_secs(2)).await, None);
    // Whatever runs on this machine: looking for it takes no longer than it may.
    let started = std::time::Instant::now();
    let _ = offers(Duration::from_millis(300)).await;
    assert!(started.elapsed() < Duration::from_secs(3));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Wherever the network splits a stream, inside letters, JSON or marks, the same words arrive.
    #[test]
    fn streams_may_be_split_anywhere(cuts in proptest::collection::vec(0_usize..400, 0..12), text in "[a-zé日😀\"\\\\{}\n]{1,30}") {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let half: String = text.chars().take(text.chars().count() / 2).collect();
        let rest: String = text.chars().skip(half.chars().count()).collect();
        let events = [word(&half), word(&rest), stop(), used()];
        let expected = text.trim().to_owned();
        let outcome = runtime.block_on(async {
            let server = Double::start(move |_, _| {
                let mut bytes = match stream(&events).remove(0) {
                    Act::Send(bytes) => bytes,
                    Act::Wait(_) => unreachable!(),
                };
                let mut cuts = cuts.clone();
                cuts.sort_unstable();
                let mut acts = Vec::new();
                let mut done = 0;
                for cut in cuts {
                    let length = cut.saturating_sub(done).min(bytes.len());
                    let tail = bytes.split_off(length);
                    done += length;
                    acts.push(Act::Send(bytes));
                    acts.push(Act::Wait(Duration::from_millis(1)));
                    bytes = tail;
                }
                acts.push(Act::Send(bytes));
                acts
            })
            .await;
            endpoint(&server.base).answer(&ask(), &mut silent()).await
        });
        match outcome {
            Ok(answer) => prop_assert_eq!(answer.text, expected),
            Err(error) => prop_assert!(expected.is_empty() && error.kind == LlmErrorKind::Empty, "{}", error),
        }
    }

    /// Whatever a server sends, an error comes of it or an answer, never a panic.
    #[test]
    fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300), is_stream in any::<bool>()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let server = Double::start(move |_, _| {
                let head = if is_stream { "content-type: text/event-stream" } else { "content-type: application/json" };
                reply(200, &[head], &bytes)
            })
            .await;
            let _ = endpoint(&server.base).answer(&ask(), &mut silent()).await;
        });
    }
}
