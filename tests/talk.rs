//! A task in conversation, through a pipe; and the same over HTTP, with a real server.

#![allow(clippy::expect_used, reason = "a test that cannot go on should say where")]

mod common;

use common::endpoint::Endpoint;
use common::server::Server;
use common::{alone, chat, complaints, program, small_table};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The result of the only run in a folder.
fn only_result(folder: &Path) -> Value {
    let runs: Vec<PathBuf> =
        std::fs::read_dir(folder.join("runs")).expect("runs").flatten().map(|entry| entry.path()).collect();
    assert_eq!(runs.len(), 1, "{runs:?}");
    serde_json::from_slice(&std::fs::read(runs[0].join("result.json")).expect("a result")).expect("JSON")
}

/// A task on a server.
struct Asked<'a> {
    server: &'a Server,
    id: String,
}

impl<'a> Asked<'a> {
    fn of(server: &'a Server, asked: &Value) -> Self {
        let answer = server.with_key("POST", "/v1/tasks", &asked.to_string());
        assert_eq!(answer.status, 202, "{}", answer.body);
        Self { server, id: answer.json()["id"].as_str().expect("an id").to_owned() }
    }

    /// What a caller sees of it.
    fn shown(&self) -> Value {
        self.server.with_key("GET", &format!("/v1/tasks/{}", self.id), "").json()
    }

    fn post(&self, what: &str, body: &str) -> common::server::Answer {
        self.server.with_key("POST", &format!("/v1/tasks/{}/{what}", self.id), body)
    }

    /// What is replied to a sentence.
    fn say(&self, text: &str) -> String {
        let answer = self.post("messages", &json!({ "text": text }).to_string());
        assert_eq!(answer.status, 202, "{text}: {}", answer.body);
        answer.body
    }

    /// Waits until it looks so.
    fn wait(&self, wanted: impl Fn(&Value) -> bool) -> Value {
        let until = Instant::now() + Duration::from_mins(3);
        loop {
            let shown = self.shown();
            if wanted(&shown) {
                return shown;
            }
            assert!(Instant::now() < until, "it was waited for in vain: {shown}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn wait_for(&self, status: &str) -> Value {
        self.wait(|shown| shown["status"] == status)
    }
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
    let task = Asked { server: &server, id };
    // Taking leave of a task ends nothing, and no sentence reaches what is not the task's.
    task.say("thanks, bye");
    task.say("quit");
    assert_eq!(task.shown()["status"], "succeeded");
    let private = folder.path().join("private.csv");
    std::fs::write(&private, small_table(200)).expect("a file");
    let private = format!("predict y in {}, yes", private.display());
    for text in [private.as_str(), "the data is in private.csv", "resume 20260305-140200-4f2a-private"] {
        assert!(task.say(text).contains("\"trouble\""), "{text}");
    }
    let listed = server.with_key("GET", "/v1/tasks?status=succeeded", "").json();
    assert_eq!(listed["data"].as_array().map(Vec::len), Some(1));
    // The same once more is a task of its own.
    let replies: Value = serde_json::from_str(&task.say("run it again with 6 trials")).expect("JSON");
    let mut told = replies["replies"].as_array().expect("replies").iter();
    let other = told.find_map(|reply| reply["task"].as_str()).expect("another task").to_owned();
    assert_ne!(other, task.id);
    let other = Asked { server: &server, id: other }.wait_for("succeeded");
    assert_eq!(
        (&other["result"]["task"]["metric"], &other["result"]["budget"]["trials"]),
        (&"accuracy".into(), &6.into())
    );
}

#[test]
fn a_task_waits_for_approval_and_can_be_cancelled() {
    let _alone = alone();
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("small.csv"), small_table(200)).expect("a file");
    let server = Server::start(folder.path());
    let asked = json!({"data": "small.csv", "task": "predict y", "seconds": 60, "wait_for_approval": true});
    let task = Asked::of(&server, &asked);
    assert_eq!(task.shown()["status"], "awaiting_input");
    let has_plan = |shown: &Value| !shown["plan"].is_null();
    let shown = task.wait(has_plan);
    assert!(shown["plan"]["text"].as_str().is_some_and(|text| text.contains("predict y (two classes)")));
    assert!(shown["quote"]["seconds"]["high"].as_f64().is_some_and(|seconds| seconds > 0.0), "{shown}");
    assert!(shown["plan"]["steps"].to_string().contains("model:catboost"), "{shown}");
    // What is said to a plan changes it; who asks or takes leave has not approved.
    assert!(task.say("ok, what does it cost?").contains("it takes at most"));
    task.say("thanks, bye");
    assert_eq!(task.shown()["status"], "awaiting_input");
    task.say("without catboost");
    let shown = task.wait(has_plan);
    assert!(!shown["plan"]["steps"].to_string().contains("model:catboost"), "{shown}");
    assert_eq!(shown["status"], "awaiting_input");
    // A server that starts anew knows what waits, and as what.
    let id = task.id;
    drop(server);
    let server = Server::start(folder.path());
    let task = Asked { server: &server, id };
    let shown = task.wait(has_plan);
    assert!(!shown["plan"]["steps"].to_string().contains("model:catboost"), "{shown}");
    assert_eq!(task.post("approve", "").status, 202);
    task.wait(|shown| !shown["best"].is_null());
    // However often it is said, what there is is delivered.
    assert_eq!([(); 3].map(|()| task.post("cancel", "").status), [202; 3]);
    let events = server.with_key("GET", &format!("/v1/tasks/{}/events", task.id), "").body;
    assert!(events.trim_end().ends_with(r#"data: {"status":"cancelled"}"#), "{events}");
    let shown = task.shown();
    assert!(shown["result"]["best"]["kind"].as_str().is_some_and(|kind| kind != "prior"), "{shown}");
    assert_eq!(task.post("cancel", "").status, 409);
}

#[test]
fn a_task_that_waits_is_cancelled_for_good() {
    let _alone = alone();
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("small.csv"), small_table(200)).expect("a file");
    let server = Server::start(folder.path());
    let first = Asked::of(&server, &json!({"data": "small.csv", "task": "predict y", "seconds": 20}));
    let queued = Asked::of(&server, &json!({"data": "small.csv", "task": "predict y", "trials": 9}));
    let waits = Asked::of(&server, &json!({"data": "small.csv", "task": "predict y", "trials": 5}));
    assert_eq!(queued.shown()["status"], "queued");
    assert!(waits.say("take 4 trials instead").contains("noted"));
    assert_eq!(queued.post("cancel", "").status, 202);
    assert_eq!(queued.shown()["status"], "cancelled");
    let events = server.with_key("GET", &format!("/v1/tasks/{}/events", queued.id), "");
    assert_eq!(events.status, 204, "there is nothing to tell: {}", events.body);
    let message = queued.post("messages", r#"{"text": "yes"}"#);
    assert_eq!((message.status, &queued.shown()["status"]), (409, &"cancelled".into()));
    assert_eq!(first.post("cancel", "").status, 202);
    // A server that starts anew does not find what was cancelled waiting, and begins what waits.
    let (first, queued, waits) = (first.id, queued.id, waits.id);
    drop(server);
    let server = Server::start(folder.path());
    for cancelled in [first, queued] {
        assert_eq!(Asked { server: &server, id: cancelled }.shown()["status"], "cancelled");
    }
    let done = Asked { server: &server, id: waits }.wait_for("succeeded");
    assert_eq!(done["result"]["budget"]["trials"], 4);
}

#[test]
fn what_cannot_be_answered_is_a_problem() {
    let _alone = alone();
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("small.csv"), small_table(200)).expect("a file");
    let server = Server::start(folder.path());
    for (method, path, body, status) in [
        ("POST", "/v1/tasks", r#"{"data": "/etc/passwd"}"#, 422),
        ("POST", "/v1/tasks", r#"{"data": "absent.csv"}"#, 422),
        ("POST", "/v1/tasks", r#"{"data": "small.csv", "metric": "/tmp/own.py"}"#, 422),
        ("POST", "/v1/tasks", r#"{"data": "small.csv", "colour": "red"}"#, 400),
        ("POST", "/v1/tasks", "{", 400),
        ("GET", "/v1/tasks?limit=many", "", 400),
        ("GET", "/v1/tasks/absent", "", 404),
        ("GET", "/v1/tasks/%ff", "", 400),
        ("GET", "/v1/nowhere", "", 404),
        ("DELETE", "/v1/tasks", "", 405),
        ("POST", "/v1/uploads?name=x.csv", "", 422),
    ] {
        let answer = server.with_key(method, path, body);
        assert_eq!(answer.status, status, "{method} {path} {body}: {}", answer.body);
        assert!(answer.head.contains("application/problem+json"), "{path} {body}: {}", answer.head);
        assert_eq!(answer.json()["status"], status, "{path}");
    }
    // What was not taken whole is no upload.
    std::fs::write(common::home().join("uploads").join("talk.part"), small_table(200)).expect("a file");
    assert_eq!(server.with_key("POST", "/v1/tasks", r#"{"upload": "talk.part"}"#).status, 422);
}

/// Members of a gym, and a language model that asks back what is meant.
fn asks_back(folder: &Path) -> Endpoint {
    let mut text = String::from("id,plan,visits,left,paid\n");
    for row in 0..200 {
        let (visits, plan) = ((row * 37) % 31, ["basic", "gold", "team"][(row * 7) % 3]);
        let left = if visits + (row * 7919) % 9 < 16 { "yes" } else { "no" };
        writeln!(text, "{row},{plan},{visits},{left},{}.5", (row * 53) % 89)
            .expect("a string takes everything");
    }
    std::fs::write(folder.join("members.csv"), text).expect("a file");
    let reading = json!({
        "relevance": "it asks about members", "is_relevant": true, "intent": "build", "target": null,
        "problem": "binary", "metric": null, "targets": [], "constraints": [], "group_column": null,
        "time_column": null, "suspects": [], "questions": ["do you mean `left` or `plan`?"],
        "application": "keeping members", "service": null, "confidence": 0.9,
    })
    .to_string();
    let is_asked = |prompt: &str| prompt.contains("# Your part: understand the request");
    Endpoint::start(move |prompt| (200, if is_asked(prompt) { reading.clone() } else { "no".into() }))
}

#[test]
fn a_question_outlives_the_server_and_its_answer_numbers_on() {
    let _alone = alone();
    let folder = tempfile::tempdir().expect("a folder");
    let model = asks_back(folder.path());
    let flags = ["--llm", &model.base, "--model", "m"];
    let server = Server::start_with(folder.path(), &flags);
    let asked = json!({"data": "members.csv", "task": "tell me who is in trouble", "trials": 6});
    let task = Asked::of(&server, &asked);
    let is_asked = |shown: &Value| {
        shown["status"] == "awaiting_input" && shown["question"] == "do you mean `left` or `plan`?"
    };
    task.wait(is_asked);
    let id = task.id;
    drop(server);
    let server = Server::start_with(folder.path(), &flags);
    let task = Asked { server: &server, id };
    assert!(is_asked(&task.shown()), "{}", task.shown());
    for text in ["thanks", "stop", "yes"] {
        assert!(task.say(text).contains("still to be known"), "{text}");
        assert!(is_asked(&task.shown()), "{text}: {}", task.shown());
    }
    assert!(task.say("5 trials").contains("still to be known"));
    // The name of a column is an answer, though it also asks for something.
    task.say("left");
    let done = task.wait_for("succeeded");
    assert_eq!(
        (&done["result"]["task"]["target"], &done["result"]["budget"]["trials"]),
        (&"left".into(), &5.into())
    );
    let events = server.with_key("GET", &format!("/v1/tasks/{}/events", task.id), "").body;
    let numbers: Vec<u64> =
        events.lines().filter_map(|line| line.strip_prefix("id: ")?.parse().ok()).collect();
    assert!(numbers[0] > 1 && numbers.is_sorted(), "{numbers:?}");
    assert_eq!(events.matches("event: finished").count(), 1, "{events}");
}

/// A server that can be told to stop.
struct Stoppable {
    child: Child,
    address: String,
}

impl Drop for Stoppable {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Stoppable {
    fn start(folder: &Path) -> Self {
        let mut child = program()
            .args(["serve", "--port", "0", "--data-root", ".", "--", "--no-memory"])
            .current_dir(folder)
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut lines = BufReader::new(child.stderr.take().expect("its notes")).lines().map_while(Result::ok);
        let line = lines.find(|line| line.contains("listening on")).expect("it listens");
        std::thread::spawn(move || lines.count());
        let address = line.rsplit("http://").next().expect("an address").to_owned();
        Self { child, address }
    }

    fn asking(&self, method: &str, path: &str, body: &str) -> TcpStream {
        let mut stream = TcpStream::connect(&self.address).expect("a connection");
        let (address, length) = (&self.address, body.len());
        let head = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nContent-Length: {length}\r\n");
        write!(stream, "{head}Connection: close\r\n\r\n{body}").expect("it reads");
        stream
    }

    fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let mut text = String::new();
        self.asking(method, path, &body).read_to_string(&mut text).expect("it answers");
        serde_json::from_str(text.split_once("\r\n\r\n").expect("an answer").1).expect("JSON")
    }
}

#[test]
fn a_server_that_is_stopped_delivers_what_there_is_and_leaves_nobody_waiting() {
    let _alone = alone();
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("small.csv"), small_table(200)).expect("a file");
    let mut server = Stoppable::start(folder.path());
    let submit = |server: &Stoppable, seconds: u32| {
        let asked = json!({"data": "small.csv", "task": "predict y", "seconds": seconds});
        server.ask("POST", "/v1/tasks", &asked)["id"].as_str().expect("an id").to_owned()
    };
    let (first, queued) = (submit(&server, 300), submit(&server, 30));
    let shown = |server: &Stoppable| server.ask("GET", &format!("/v1/tasks/{first}"), &Value::Null);
    let until = Instant::now() + Duration::from_mins(2);
    while shown(&server)["best"].is_null() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(100));
    }
    let mut follower = server.asking("GET", &format!("/v1/tasks/{queued}/events"), "");
    let follower = std::thread::spawn(move || {
        let mut text = String::new();
        follower.read_to_string(&mut text).map(|_| text)
    });
    // A task that has no events is followed in silence.
    std::thread::sleep(Duration::from_secs(2));
    common::succeed(Command::new("kill").arg("-TERM").arg(server.child.id().to_string()));
    let told = Instant::now();
    let text = follower.join().expect("no panic").expect("the end of the stream");
    assert!(told.elapsed() < Duration::from_secs(10), "whoever waits is let go at once");
    assert!(text.len() < 2_000 && text.matches("retry:").count() == 1, "{} bytes: {text}", text.len());
    assert!(text.contains("the server is being stopped") && !text.contains("event: end"), "{text}");
    assert!(server.child.wait().expect("it ends").success());
    assert!(told.elapsed() < Duration::from_mins(2));
    let result: Value = serde_json::from_slice(
        &std::fs::read(folder.path().join("runs").join(&first).join("result.json")).expect("a result"),
    )
    .expect("JSON");
    assert_eq!(result["status"], "interrupted");
    assert_ne!(result["best"]["kind"], "prior");
    // What waited still waits for a server.
    assert!(folder.path().join("runs").join(format!("{queued}.task.json")).is_file());
}

/// Says sentences to `chat` about data that are given at its start.
fn chat_about(folder: &Path, data: &str, sentences: &str) -> Output {
    let mut child = program()
        .args(["chat", data, "--", "--no-memory"])
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    child.stdin.take().expect("its input").write_all(sentences.as_bytes()).expect("it listens");
    child.wait_with_output().expect("it ends")
}

#[test]
fn a_yes_with_a_change_begins_with_the_change() {
    let _alone = alone();
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("small.csv"), small_table(200)).expect("a file");
    let talk = "predict y in small.csv, accuracy, 40 trials\nok, what does it cost?\nyes, but 6 trials\n";
    let output = chat(folder.path(), talk, &[]);
    let text = said(&output);
    assert_eq!(output.status.code(), Some(0), "{text}\n{}", complaints(&output));
    assert_eq!(text.matches("begun: results go to").count(), 1, "{text}");
    assert_eq!(only_result(folder.path())["budget"]["trials"], 6);
}

#[test]
fn the_data_are_named_as_one_names_files() {
    let _alone = alone();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("my data.csv");
    std::fs::write(&path, small_table(200)).expect("a file");
    let absolute = path.display().to_string();
    for line in ["my data.csv", "'my data.csv'", absolute.as_str()] {
        let text = said(&chat(folder.path(), &format!("{line}\n"), &[]));
        let shown = line.trim_matches('\'');
        assert!(text.contains(&format!("looking at {shown}")) && text.contains("shall I begin?"), "{text}");
    }
    let output = chat_about(folder.path(), "my data.csv", "predict y, accuracy, 5 trials\ncarry on\n");
    let text = said(&output);
    assert_eq!(output.status.code(), Some(0), "{text}\n{}", complaints(&output));
    assert_eq!(only_result(folder.path())["task"]["target"], "y");
}

#[test]
fn a_yes_answers_no_question_about_columns() {
    let _alone = alone();
    let folder = tempfile::tempdir().expect("a folder");
    let model = asks_back(folder.path());
    let talk = "predict who is in trouble in members.csv, 5 trials\nyes\nthanks\nplan\n";
    let output = chat(folder.path(), talk, &["--llm", &model.base, "--model", "m"]);
    let text = said(&output);
    assert_eq!(text.matches("still to be known: do you mean `left` or `plan`?").count(), 2, "{text}");
    assert!(text.contains("predict plan (3 classes)"), "{text}");
}
