//! A task in conversation, through a pipe; and the same over HTTP, with a real server.

#![allow(clippy::expect_used, reason = "a test that cannot go on should say where")]

mod common;

use common::server::Server;
use common::{alone, chat, complaints, small_table};
use serde_json::Value;
use std::path::Path;
use std::process::Output;

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_conversation_leads_to_a_model() {
    let _alone = alone();
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("small.csv"), small_table(200)).expect("a file");
    let talk = "good morning\nthe moon is made of cheese\npredict y in small.csv, accuracy\n12 trials\nwithout catboost\ndrop the smell column\n\
                yes\nhow is it going?\n/best\n";
    let output = chat(folder.path(), talk, &[]);
    let text = said(&output);
    assert_eq!(output.status.code(), Some(0), "{text}\n{}", complaints(&output));
    for expected in [
        "I did not understand: the moon is made of cheese",
        "looking at small.csv",
        "predict y (two classes), scored by accuracy",
        "and go on without catboost",
        "note: cannot drop the column smell: there is no usable column of that name",
        "shall I begin?",
        "begun: results go to",
        "delivered:",
    ] {
        assert!(text.contains(expected), "{expected:?} is not in:\n{text}");
    }
    let runs: Vec<_> = std::fs::read_dir(folder.path().join("runs")).expect("runs").flatten().collect();
    assert_eq!(runs.len(), 1, "rehearsals leave nothing behind");
    let result: Value =
        serde_json::from_slice(&std::fs::read(runs[0].path().join("result.json")).expect("a result"))
            .expect("JSON");
    assert_eq!((&result["task"]["metric"], &result["budget"]["trials"]), (&"accuracy".into(), &12.into()));
    assert!(!result["leaderboard"].to_string().contains("catboost"), "{}", result["leaderboard"]);
}

#[test]
fn a_run_is_steered_in_conversation() {
    let _alone = alone();
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("small.csv"), small_table(200)).expect("a file");
    let output = chat(
        folder.path(),
        "predict y in small.csv, 20 trials\nyes\ndrop the weight column\nprefer something small\n",
        &[],
    );
    let text = said(&output);
    assert_eq!(output.status.code(), Some(0), "{text}\n{}", complaints(&output));
    let run =
        std::fs::read_dir(folder.path().join("runs")).expect("runs").flatten().next().expect("a run").path();
    let result: Value =
        serde_json::from_slice(&std::fs::read(run.join("result.json")).expect("a result")).expect("JSON");
    assert!(result["dropped"].to_string().contains("\"weight\""), "{}", result["dropped"]);
    assert_ne!(result["best"]["kind"], "ensemble");
    let schema = std::fs::read_to_string(run.join("model/schema.json")).expect("a schema");
    assert!(!schema.contains("weight"), "the delivered model does not ask for it: {schema}");
}

#[test]
fn a_task_is_submitted_followed_and_fetched() {
    let _alone = alone();
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::start(folder.path());
    assert_eq!(server.ask("GET", "/v1/tasks", &[], "").status, 401);
    assert_eq!(server.ask("GET", "/v1/tasks", &["Host: evil.example"], "").status, 403);
    assert_eq!(server.ask("GET", "/healthz", &[], "").json()["status"], "ok");

    let uploaded = server.with_key("POST", "/v1/uploads?name=small.csv", &small_table(200));
    assert_eq!(uploaded.status, 201, "{}", uploaded.body);
    let upload = uploaded.json()["id"].as_str().expect("an id").to_owned();
    let asked =
        serde_json::json!({"upload": upload, "task": "predict y, accuracy", "trials": 10}).to_string();
    let headers = ["Authorization: Bearer k3y", "Idempotency-Key: one"];
    let submitted = server.ask("POST", "/v1/tasks", &headers, &asked);
    assert_eq!(submitted.status, 202, "{}", submitted.body);
    let id = submitted.json()["id"].as_str().expect("an id").to_owned();
    assert!(submitted.head.contains(&format!("location: /v1/tasks/{id}")), "{}", submitted.head);
    let again = server.ask("POST", "/v1/tasks", &headers, &asked);
    assert_eq!((again.status, again.json()["id"].as_str()), (202, Some(id.as_str())));
    assert!(again.head.contains("idempotent-replayed: true"), "{}", again.head);
    assert_eq!(server.ask("POST", "/v1/tasks", &headers, &asked.replace("10", "11")).status, 422);

    let events = server.with_key("GET", &format!("/v1/tasks/{id}/events"), "").body;
    assert!(events.contains("event: run_started") && events.contains("event: finished"), "{events}");
    assert!(events.trim_end().ends_with(r#"data: {"status":"succeeded"}"#), "{events}");
    let numbers: Vec<u64> =
        events.lines().filter_map(|line| line.strip_prefix("id: ")?.parse().ok()).collect();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
    let headers = ["Authorization: Bearer k3y", &format!("Last-Event-ID: {}", numbers.len() - 1)];
    let rest = server.ask("GET", &format!("/v1/tasks/{id}/events"), &headers, "").body;
    assert_eq!(rest.matches("id: ").count(), 1, "{rest}");

    let task = server.with_key("GET", &format!("/v1/tasks/{id}"), "").json();
    assert_eq!(
        (&task["status"], &task["result"]["task"]["metric"]),
        (&"succeeded".into(), &"accuracy".into())
    );
    let place = format!("/v1/tasks/{id}/artifacts/result.json");
    let whole = server.with_key("GET", &place, "");
    let part = server.ask("GET", &place, &["Authorization: Bearer k3y", "Range: bytes=1-9"], "");
    assert_eq!((part.status, part.body.as_str()), (206, &whole.body[1..10]));
    for outside in ["seal/target.npy", "..%2F..%2Fsmall.csv", "data/table.json"] {
        assert_eq!(
            server.with_key("GET", &format!("/v1/tasks/{id}/artifacts/{outside}"), "").status,
            404,
            "{outside}"
        );
    }
    let why =
        server.with_key("POST", &format!("/v1/tasks/{id}/messages"), r#"{"text": "why is linear best?"}"#);
    assert_eq!(why.status, 202, "{}", why.body);
    assert!(why.body.contains("candidate"), "{}", why.body);
    // What one asks about a run is answered from what was measured.
    for (asked, told) in [
        ("what did you drop?", "no column was left out"),
        ("which columns matter?", "size"),
        ("how sure are you?", "accuracy"),
        ("how long still?", "it is over"),
        ("show me the predictions", "ansatz predict"),
        ("what is wrong with my data?", "odd"),
        ("is it better than guessing?", "default LightGBM"),
        ("why that model?", "best by cross-validation is"),
        ("what is the target?", "predict y (two classes)"),
        ("what does it cost?", "no call of a language model"),
    ] {
        let body = serde_json::json!({ "text": asked }).to_string();
        let answer = server.with_key("POST", &format!("/v1/tasks/{id}/messages"), &body).body;
        assert!(answer.contains(told), "{asked}: {answer}");
    }
    assert_eq!(server.with_key("POST", &format!("/v1/tasks/{id}/cancel"), "").status, 409);
    let listed = server.with_key("GET", "/v1/tasks?status=succeeded", "").json();
    assert_eq!(listed["data"].as_array().map(Vec::len), Some(1));
}

#[test]
fn a_task_waits_for_approval_and_can_be_cancelled() {
    let _alone = alone();
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("small.csv"), small_table(200)).expect("a file");
    let server = Server::start(folder.path());
    let asked = r#"{"data": "small.csv", "task": "predict y", "seconds": 60, "wait_for_approval": true}"#;
    let id = server.with_key("POST", "/v1/tasks", asked).json()["id"].as_str().expect("an id").to_owned();
    let status = || server.with_key("GET", &format!("/v1/tasks/{id}"), "").json()["status"].clone();
    assert_eq!(status(), "awaiting_input");
    assert_eq!(server.with_key("POST", &format!("/v1/tasks/{id}/approve"), "").status, 202);
    while status() != "running" {
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    assert_eq!(server.with_key("POST", &format!("/v1/tasks/{id}/cancel"), "").status, 202);
    let events = server.with_key("GET", &format!("/v1/tasks/{id}/events"), "").body;
    assert!(events.trim_end().ends_with(r#"data: {"status":"cancelled"}"#), "{events}");
    // One that waits and is cancelled is waited for by nobody, not even by a server that starts anew.
    let first = server
        .with_key("POST", "/v1/tasks", r#"{"data": "small.csv", "task": "predict y", "seconds": 20}"#)
        .json();
    let queued = server
        .with_key("POST", "/v1/tasks", r#"{"data": "small.csv", "task": "predict y", "trials": 9}"#)
        .json();
    assert_eq!(queued["status"], "queued");
    let waits = |folder: &Path| {
        let entries = std::fs::read_dir(folder.join("runs")).expect("runs").flatten();
        entries.filter(|entry| entry.file_name().to_string_lossy().ends_with(".task.json")).count()
    };
    assert_eq!(waits(folder.path()), 1);
    for task in [&queued, &first] {
        let place = format!("{}/cancel", task["links"]["self"].as_str().expect("a place"));
        assert_eq!(server.with_key("POST", &place, "").status, 202);
    }
    assert_eq!(waits(folder.path()), 0);
    for (asked, status) in [
        (r#"{"data": "/etc/passwd"}"#, 422),
        (r#"{"data": "absent.csv"}"#, 422),
        (r#"{"data": "small.csv", "metric": "/tmp/own.py"}"#, 422),
        (r#"{"data": "small.csv", "colour": "red"}"#, 400),
        ("{", 400),
    ] {
        let answer = server.with_key("POST", "/v1/tasks", asked);
        assert_eq!(answer.status, status, "{asked}: {}", answer.body);
        assert!(answer.head.contains("application/problem+json"), "{}", answer.head);
    }
}
