//! A client against a server that does what it is told.

use crate::double::{Act, Double, Seen, reply};
use crate::{Client, FetchError, FetchErrorKind, Hosts, Limits, Settings};
use ansatz_core::ids::hex;
use ansatz_core::retry::Backoff;
use ansatz_core::secret::Secret;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::time::Duration;

const KEY: &str = "tk-very-secret-12345";

fn quick() -> Settings {
    let limits = Limits {
        connect: Duration::from_secs(1),
        first_byte: Duration::from_millis(300),
        idle: Duration::from_millis(300),
        total: Duration::from_secs(5),
        body_max: 10_000,
    };
    Settings { limits, token: Secret::new(KEY), ..Settings::default() }
}

fn patient() -> Settings {
    let retries = Backoff { tries: 3, first: Duration::from_millis(5), cap: Duration::from_secs(1) };
    Settings { retries: Some(retries), ..quick() }
}

async fn json_from(
    settings: Settings,
    answer: impl Fn(usize, &Seen) -> Vec<Act> + Send + Sync + 'static,
) -> (Result<Value, FetchError>, Vec<Seen>) {
    let server = Double::start(answer).await;
    let client = Client::new(&server.base, settings).unwrap();
    let result = client.get("v1/things").query("q", "a b&c").json().await;
    (result, server.seen())
}

#[tokio::test]
async fn json_comes_back_and_the_token_goes_along() {
    let (result, seen) = json_from(quick(), |_, _| reply(200, &[], r#"{"a":1}"#)).await;
    assert_eq!(result.unwrap(), json!({"a": 1}));
    assert_eq!(seen[0].line, "GET /v1/things?q=a+b%26c HTTP/1.1");
    assert_eq!(seen[0].header("authorization"), Some(format!("Bearer {KEY}").as_str()));
}

#[tokio::test]
async fn bodies_go_out_whole() {
    let server = Double::start(|_, _| reply(200, &["x-id: 7"], "{}")).await;
    let client = Client::new(&server.base, quick()).unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), vec![7; 200_000]).unwrap();
    let sent = client.post("jobs").body_json(&json!({"entry": "x"})).reply().await.unwrap();
    client.put("files/a").body_file(file.path(), "application/zip").reply().await.unwrap();
    client.delete("files/a").reply().await.unwrap();
    let seen = server.seen();
    assert_eq!(sent.header("x-id"), Some("7"));
    assert_eq!(
        (seen[0].body.as_slice(), seen[0].header("content-type")),
        (br#"{"entry":"x"}"#.as_slice(), Some("application/json"))
    );
    assert_eq!(seen[1].body, vec![7; 200_000]);
    assert_eq!(seen[2].line, "DELETE /files/a HTTP/1.1");
}

#[tokio::test]
async fn refusals_keep_status_message_and_wait_but_no_secret() {
    let (result, seen) = json_from(quick(), |_, _| {
        reply(
            429,
            &["retry-after: 1.5"],
            format!(r#"{{"error":{{"message":"slow down, {KEY}","code":429}}}}"#),
        )
    })
    .await;
    let error = result.unwrap_err();
    assert_eq!(seen.len(), 1, "without patience once is enough");
    assert!(
        error.to_string().ends_with("/v1/things: the server answers 429: slow down, [redacted]"),
        "{error}"
    );
    let FetchErrorKind::Status { retry_after, .. } = error.kind else { panic!("{error}") };
    assert_eq!(retry_after, Some(Duration::from_secs_f64(1.5)));
}

#[tokio::test]
async fn what_may_pass_is_tried_again() {
    let (result, seen) = json_from(patient(), |n, _| match n {
        0 => reply(503, &[], "busy"),
        1 => vec![],
        _ => reply(200, &[], "7"),
    })
    .await;
    assert_eq!((result.unwrap(), seen.len()), (json!(7), 3));
    let (result, seen) = json_from(patient(), |_, _| reply(401, &[], "{}")).await;
    assert_eq!((result.unwrap_err().status(), seen.len()), (Some(401), 1));
    let (result, seen) = json_from(patient(), |_, _| reply(429, &["retry-after: 3600"], "{}")).await;
    assert_eq!((result.unwrap_err().status(), seen.len()), (Some(429), 1), "an hour is not waited for");
}

#[tokio::test]
async fn posts_are_never_repeated() {
    let server = Double::start(|_, _| reply(503, &[], "busy")).await;
    let client = Client::new(&server.base, patient()).unwrap();
    client.post("submit").reply().await.unwrap_err();
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn pages_and_garbage_are_told_from_data() {
    let page = "<!doctype html><html><head><title>Log in</title></head></html>";
    let (result, _) =
        json_from(quick(), move |_, _| reply(200, &["content-type: application/json"], page)).await;
    assert!(matches!(result.unwrap_err().kind, FetchErrorKind::Html { title } if title == "Log in"));
    let (result, _) = json_from(quick(), |_, _| reply(200, &[], format!("{{\"a\": {KEY}"))).await;
    let FetchErrorKind::Unexpected { sample, .. } = result.unwrap_err().kind else {
        panic!("expected garbage")
    };
    assert_eq!(sample, "{\"a\": [redacted]");
}

#[tokio::test]
async fn silence_and_stalls_end() {
    let (result, _) = json_from(quick(), |_, _| vec![Act::Wait(Duration::from_secs(20))]).await;
    assert!(result.unwrap_err().to_string().ends_with("the first byte took longer than 0.3 s"));
    let (result, _) = json_from(quick(), |_, _| {
        let mut acts = reply(200, &["content-length: 9"], "{");
        acts.push(Act::Wait(Duration::from_secs(20)));
        acts
    })
    .await;
    assert!(result.unwrap_err().to_string().ends_with("the next piece of the reply took longer than 0.3 s"));
}

#[tokio::test]
async fn a_drip_ends_at_the_total() {
    let settings = quick();
    let limits = Limits { total: Duration::from_millis(700), ..settings.limits };
    let (result, _) = json_from(Settings { limits, ..settings }, |_, _| {
        let mut acts = reply(200, &["content-length: 99"], "[");
        for _ in 0..50 {
            acts.push(Act::Wait(Duration::from_millis(100)));
            acts.push(Act::Send(b" ".to_vec()));
        }
        acts
    })
    .await;
    assert!(result.unwrap_err().to_string().contains("the whole call took longer than 0.7 s"));
}

#[tokio::test]
async fn cut_and_huge_replies_are_refused() {
    let (result, _) = json_from(quick(), |_, _| reply(200, &["content-length: 50"], r#"{"a":1}"#)).await;
    assert!(matches!(result.unwrap_err().kind, FetchErrorKind::Broken(_)));
    let (result, _) = json_from(quick(), |_, _| reply(200, &["content-length: 1000000000"], "[")).await;
    assert!(matches!(result.unwrap_err().kind, FetchErrorKind::TooLarge { max: 10_000 }));
    let (result, _) = json_from(quick(), |_, _| {
        let head = b"HTTP/1.1 200 x\r\nconnection: close\r\n\r\n".to_vec();
        std::iter::once(Act::Send(head)).chain((0..50).map(|_| Act::Send(vec![b' '; 1000]))).collect()
    })
    .await;
    assert!(
        matches!(result.unwrap_err().kind, FetchErrorKind::TooLarge { max: 10_000 }),
        "without a length too"
    );
}

#[tokio::test]
async fn nobody_there_is_said() {
    let client = Client::new("http://127.0.0.1:9", quick()).unwrap();
    let error = client.get("x").json::<Value>().await.unwrap_err();
    assert!(matches!(error.kind, FetchErrorKind::Connect(_)), "{error}");
    assert!(error.to_string().starts_with("GET http://127.0.0.1:9/x: no connection: "), "{error}");
}

#[tokio::test]
async fn redirects_stay_with_allowed_hosts_and_drop_the_token() {
    let store = Double::start(|_, _| reply(200, &[], "1")).await;
    let to = store.base.clone();
    let server =
        Double::start(move |_, _| reply(302, &[&format!("location: {to}/signed?secret=1")], "")).await;
    let strict = Client::new(&server.base, quick()).unwrap();
    let error = strict.get("x").json::<Value>().await.unwrap_err();
    assert!(matches!(error.kind, FetchErrorKind::HostNotAllowed(_)), "{error}");
    assert!(!error.to_string().contains("secret"), "queries are not shown: {error}");
    let hosts = Hosts::new(&[store.base.strip_prefix("http://").unwrap()]);
    let open = Client::new(&server.base, Settings { hosts, ..quick() }).unwrap();
    open.get("x").json::<Value>().await.unwrap();
    assert_eq!(store.seen()[0].header("authorization"), None);
    let error = open.post("x").reply().await.unwrap_err();
    assert!(matches!(error.kind, FetchErrorKind::Redirect(_)), "{error}");
}

#[tokio::test]
async fn circles_end() {
    let (result, seen) = json_from(quick(), |_, _| reply(302, &["location: /again"], "")).await;
    assert!(matches!(result.unwrap_err().kind, FetchErrorKind::Redirect(_)));
    assert_eq!(seen.len(), 6);
}

#[tokio::test]
async fn a_token_does_not_cross_a_network_in_the_clear() {
    let client = Client::new("http://192.0.2.1/api", quick()).unwrap();
    let error = client.get("x").reply().await.unwrap_err();
    assert!(matches!(error.kind, FetchErrorKind::TokenInTheClear), "{error}");
}

fn content() -> Vec<u8> {
    (0..50_000_u32).flat_map(u32::to_le_bytes).collect()
}

/// Serves the content with ranges; the first reply is cut in the middle.
fn ranges(n: usize, request: &Seen) -> Vec<Act> {
    let content = content();
    let length = content.len();
    if n == 0 {
        return reply(200, &[&format!("content-length: {length}"), "etag: \"v1\""], &content[..length / 2]);
    }
    let from = request
        .header("range")
        .and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse::<usize>().ok());
    match from.filter(|_| request.header("if-range") == Some("\"v1\"")) {
        Some(from) => {
            let range = format!("content-range: bytes {from}-{}/{length}", length - 1);
            reply(206, &[&range, "etag: \"v1\""], &content[from..])
        }
        None => reply(200, &["etag: \"v1\""], &content),
    }
}

#[tokio::test]
async fn a_broken_download_is_taken_up_where_it_ended() {
    let server = Double::start(ranges).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.zip");
    let client = Client::new(&server.base, patient()).unwrap();
    let mut heard = Vec::new();
    let done = client
        .get("data.zip")
        .download(&path, 1 << 20, &mut |bytes, all| heard.push((bytes, all)))
        .await
        .unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), content());
    assert!(done.resumed_from > 0 && done.bytes == 200_000, "{done:?}");
    assert_eq!(done.sha256, hex(&Sha256::digest(content())));
    assert_eq!(heard.last(), Some(&(200_000, Some(200_000))));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
}

#[tokio::test]
async fn halves_of_two_versions_are_never_put_together() {
    let server = Double::start(|n, _| match n {
        0 => reply(200, &["content-length: 10", "etag: \"v1\""], "old"),
        _ => reply(200, &["etag: \"v2\""], "new whole"),
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x");
    let client = Client::new(&server.base, patient()).unwrap();
    let done = client.get("x").download(&path, 1 << 20, &mut |_, _| ()).await.unwrap();
    assert_eq!((std::fs::read_to_string(&path).unwrap(), done.resumed_from), ("new whole".into(), 0));
    assert_eq!(server.seen()[1].header("if-range"), Some("\"v1\""));
}

#[tokio::test]
async fn a_download_too_large_leaves_nothing() {
    let server = Double::start(|_, _| reply(200, &[], vec![0; 5000])).await;
    let folder = tempfile::tempdir().unwrap();
    let client = Client::new(&server.base, patient()).unwrap();
    let error = client.get("x").download(&folder.path().join("x"), 4999, &mut |_, _| ()).await.unwrap_err();
    assert!(matches!(error.kind, FetchErrorKind::TooLarge { max: 4999 }), "{error}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_page_in_place_of_a_file_leaves_nothing() {
    let page = "<!DOCTYPE html><title>Sign in</title>";
    let server = Double::start(move |_, _| reply(200, &["content-type: text/csv"], page)).await;
    let folder = tempfile::tempdir().unwrap();
    let client = Client::new(&server.base, quick()).unwrap();
    let error = client.get("x").download(&folder.path().join("x"), 4999, &mut |_, _| ()).await.unwrap_err();
    assert!(matches!(&error.kind, FetchErrorKind::Html { title } if title == "Sign in"), "{error}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}
