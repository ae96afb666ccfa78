//! Requests in words that no rule reads, understood by a language model: in `run`, in conversation, over HTTP; and models
//! that are late, wrong or absent.

#![allow(clippy::expect_used, reason = "a test that cannot go on should say where")]

mod common;

use common::endpoint::Endpoint;
use common::server::Server;
use common::{alone, chat, complaints, json, program};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::{Duration, Instant};

/// Words that name neither target nor metric by a name that is there.
const ODD: &str =
    "find the members that quit, judged by how well the riskiest rank first, small enough for a phone";

/// Members of a gym. The column that is meant is `left`; the last one looks like a target and is none.
fn members(folder: &Path) -> PathBuf {
    let mut text = String::from("id,plan,visits,left,paid\n");
    for row in 0..200 {
        let (visits, plan) = ((row * 37) % 31, ["basic", "gold", "team"][(row * 7) % 3]);
        let left = if visits + (row * 7919) % 9 < 16 { "yes" } else { "no" };
        writeln!(text, "{row},{plan},{visits},{left},{}.5", (row * 53) % 89)
            .expect("a string takes everything");
    }
    let path = folder.join("members.csv");
    std::fs::write(&path, text).expect("a file");
    path
}

/// What a good model answers to [`ODD`], with changes.
fn reading(changes: &Value) -> String {
    let mut reading = json!({
        "relevance": "it asks which members will quit", "is_relevant": true, "intent": "build", "target": "left",
        "problem": "binary", "metric": "roc_auc", "targets": [],
        "constraints": [{"kind": "model_bytes", "value": 30_000_000, "words": "small enough for a phone"}],
        "group_column": null, "time_column": null, "suspects": [], "questions": [],
        "application": "keeping members", "service": null, "confidence": 0.9,
    });
    for (name, value) in changes.as_object().into_iter().flatten() {
        reading[name] = value.clone();
    }
    reading.to_string()
}

/// A model that reads requests so and is of no other use.
fn endpoint(reading: String) -> Endpoint {
    let is_asked = |prompt: &str| prompt.contains("# Your part: understand the request");
    Endpoint::start(move |prompt| (200, if is_asked(prompt) { reading.clone() } else { "no".into() }))
}

fn questions(endpoint: &Endpoint) -> usize {
    endpoint.prompts().iter().filter(|prompt| prompt.contains("# Your part: understand the request")).count()
}

fn run(data: &Path, out: &Path, flags: &[&str]) -> Output {
    let (data, out) = (data.to_str().expect("a path"), out.to_str().expect("a path"));
    program()
        .args(["run", data, "--out", out, "--no-memory", "--json"])
        .args(flags)
        .output()
        .expect("the program starts")
}

fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).expect("a folder").flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            std::fs::create_dir_all(&target).expect("a folder");
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("a copy");
        }
    }
}

#[test]
fn odd_words_are_understood_recorded_and_replayed() {
    let _alone = alone();
    let folder = tempfile::tempdir().expect("a folder");
    let data = members(folder.path());
    let model = endpoint(reading(&json!({})));
    let (out, tape) = (folder.path().join("run"), folder.path().join("tape"));
    let recorded = ["--record", tape.to_str().expect("a path")];
    let flags = ["--task", ODD, "--trials", "12"];
    let with = [&flags[..], &recorded, &["--llm", &model.base, "--model", "m"]].concat();
    let output = run(&data, &out, &with);
    let said = complaints(&output);
    assert_eq!(output.status.code(), Some(0), "{said}");
    for line in [
        "understood by the language model: target = left",
        "understood by the language model: metric = roc_auc",
        "understood by the language model: model size = at most 30000000 bytes",
    ] {
        assert!(said.contains(line), "{line:?} is not in:\n{said}");
    }
    let result = json(&output);
    let task = |result: &Value| (result["task"]["target"].clone(), result["task"]["metric"].clone());
    assert_eq!(task(&result), ("left".into(), "roc_auc".into()));
    assert_eq!(questions(&model), 1);
    let journal = std::fs::read_to_string(out.join("journal.jsonl")).expect("the journal");
    assert!(journal.contains("planner/understand") && journal.contains("\"model_answered\""));
    assert!(result["budget"]["llm_calls"].as_u64() >= Some(1), "{}", result["budget"]);

    let replayed = [&flags[..], &["--replay", tape.to_str().expect("a path")]].concat();
    let again = run(&data, &folder.path().join("again"), &replayed);
    assert_eq!(again.status.code(), Some(0), "{}", complaints(&again));
    assert_eq!(task(&json(&again)), task(&result));

    // A run that was interrupted before it had a plan knows the answer, and does not pay for it again.
    let torn = folder.path().join("torn");
    std::fs::create_dir(&torn).expect("a folder");
    std::fs::create_dir(torn.join("blobs")).expect("a folder");
    let lines: Vec<&str> = journal.lines().collect();
    let answered = lines.iter().position(|line| line.contains("\"model_answered\"")).expect("an answer");
    std::fs::write(torn.join("journal.jsonl"), lines[..=answered].join("\n") + "\n").expect("a file");
    copy(&out.join("blobs"), &torn.join("blobs"));
    let torn = torn.to_str().expect("a path");
    let resumed = program().args(["resume", torn, "--json"]).output().expect("the program starts");
    assert_eq!(resumed.status.code(), Some(0), "{}", complaints(&resumed));
    assert_eq!((task(&json(&resumed)), questions(&model)), (task(&result), 1), "{}", complaints(&resumed));

    // Without a model the rules guess, and say so.
    let alone = json(&run(&data, &folder.path().join("alone"), &flags));
    assert_eq!(alone["task"]["target"], "paid");
    assert!(alone["warnings"].to_string().contains("--target names another"), "{}", alone["warnings"]);
}

#[test]
fn clear_words_are_no_question_and_outrank_a_model() {
    let _alone = alone();
    let folder = tempfile::tempdir().expect("a folder");
    let data = members(folder.path());
    let task_of = |name: &str, words: &str, reading: String| {
        let model = endpoint(reading);
        let flags = ["--task", words, "--dry-run", "--llm", &model.base, "--model", "m"];
        let output = run(&data, &folder.path().join(name), &flags);
        let task = if output.status.code() == Some(0) { json(&output)["task"].clone() } else { Value::Null };
        (task, questions(&model), complaints(&output))
    };
    let (task, asked, said) =
        task_of("clear", "predict left, accuracy, five minutes", reading(&json!({"target": "plan"})));
    assert_eq!((&task["target"], &task["metric"], asked), (&"left".into(), &"accuracy".into(), 0), "{said}");
    let wrong = reading(&json!({"target": "plan", "metric": "log_loss"}));
    let (task, asked, said) =
        task_of("firm", "predict left, accuracy, our managers like short reports", wrong);
    assert_eq!((&task["target"], &task["metric"], asked), (&"left".into(), &"accuracy".into(), 1), "{said}");
    let nonsense = reading(&json!({"target": "no such column", "metric": "beauty"}));
    let (task, asked, said) = task_of("nonsense", ODD, nonsense);
    assert_eq!(
        (&task["target"], asked),
        (&"paid".into(), 3),
        "asked again twice, then the rules decide: {said}"
    );
    assert!(said.contains("the language model was of no help with the request"), "{said}");
    let chatter =
        reading(&json!({"is_relevant": false, "relevance": "it is about the weather", "target": null}));
    let (_, _, said) = task_of("chatter", "the weather is lovely over there today", chatter);
    assert!(said.contains("does not read as a request for a model: it is about the weather"), "{said}");
    assert!(said.contains("hint: say what is to be predicted"), "{said}");
}

#[test]
fn a_model_that_is_late_or_absent_holds_nothing_up() {
    let _alone = alone();
    let folder = tempfile::tempdir().expect("a folder");
    let data = members(folder.path());
    let silent = Endpoint::start(|_| {
        std::thread::sleep(Duration::from_mins(1));
        (200, "too late".into())
    });
    let started = Instant::now();
    let flags = ["--task", ODD, "--dry-run", "--seconds", "30", "--model", "m", "--llm"];
    let output = run(&data, &folder.path().join("late"), &[&flags[..], &[&silent.base]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", complaints(&output));
    assert!(complaints(&output).contains("no answer within 5 s"), "{}", complaints(&output));
    assert!(started.elapsed() < Duration::from_secs(25), "{:?}", started.elapsed());
    let output = run(
        &data,
        &folder.path().join("absent"),
        &[&flags[..], &["http://127.0.0.1:9/v1", "--require-llm"]].concat(),
    );
    // It is waited for as long as for one that is slow.
    assert!(matches!(output.status.code(), Some(0 | 6)), "{}", complaints(&output));
    let refuses = Endpoint::start(|_| (401, "{\"error\": {\"message\": \"bad key\"}}".to_owned()));
    let output =
        run(&data, &folder.path().join("refused"), &[&flags[..], &[&refuses.base, "--require-llm"]].concat());
    assert_eq!(output.status.code(), Some(4), "{}", complaints(&output));
}

#[test]
fn a_conversation_asks_back_and_reads_what_no_rule_reads() {
    let _alone = alone();
    let folder = tempfile::tempdir().expect("a folder");
    members(folder.path());
    let asks =
        reading(&json!({"target": null, "metric": null, "questions": ["do you mean `left` or `plan`?"]}));
    let model = endpoint(asks);
    let talk = "predict who is in trouble in members.csv, 3 trials\nleft\n";
    let output = chat(folder.path(), talk, &["--llm", &model.base, "--model", "m"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let asked = text.find("do you mean `left` or `plan`?").expect("it asks");
    let planned = text.find("predict left (two classes)").unwrap_or_else(|| panic!("no plan in:\n{text}"));
    assert!(asked < planned, "{text}");

    let model = endpoint(reading(&json!({})));
    let talk = format!("the data is in members.csv\n12 trials\n{ODD}\nyes\n");
    let output = chat(folder.path(), &talk, &["--llm", &model.base, "--model", "m"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{text}\n{}", complaints(&output));
    assert!(text.contains("understood by the language model: target = left"), "{text}");
    assert!(text.contains("delivered:"), "{text}");
    // What was answered while the plan was made is not paid again when it is carried out.
    let last =
        std::fs::read_dir(folder.path().join("runs")).expect("runs").flatten().next().expect("a run").path();
    let result: Value =
        serde_json::from_slice(&std::fs::read(last.join("result.json")).expect("a result")).expect("JSON");
    assert_eq!(result["task"]["target"], "left");
    let journal = std::fs::read_to_string(last.join("journal.jsonl")).expect("the journal");
    assert!(journal.contains("planner/understand"), "the answer is in the run's own journal");
    let of_odd = model
        .prompts()
        .iter()
        .filter(|prompt| prompt.contains("understand the request") && prompt.contains("quit"))
        .count();
    assert_eq!(of_odd, 1);
}

#[test]
fn a_caller_is_asked_and_answers() {
    let _alone = alone();
    let folder = tempfile::tempdir().expect("a folder");
    members(folder.path());
    let open =
        reading(&json!({"target": null, "metric": null, "questions": ["do you mean `left` or `plan`?"]}));
    let told = |answer: &str| json!({"can_tell": true, "facts": ["how sure"], "answer": answer}).to_string();
    let (made_up, true_to) =
        (told("It is right in 123456 of cases."), told("It holds on rows that nothing has seen."));
    let model = Endpoint::start(move |prompt| {
        let said = if prompt.contains("# Your part: understand the request") {
            open.clone()
        } else if prompt.contains("Your answer cannot be used as it is") {
            true_to.clone()
        } else if prompt.contains("# Your part: answer a question about a run") {
            made_up.clone()
        } else {
            "no".into()
        };
        (200, said)
    });
    let server = Server::start_with(folder.path(), &["--llm", &model.base, "--model", "m"]);
    let asked = r#"{"data": "members.csv", "task": "tell me who is in trouble", "trials": 12}"#;
    let id = server.with_key("POST", "/v1/tasks", asked).json()["id"].as_str().expect("an id").to_owned();
    let task = || server.with_key("GET", &format!("/v1/tasks/{id}"), "").json();
    let until = Instant::now() + Duration::from_mins(1);
    while task()["status"] != "awaiting_input" && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(
        (&task()["status"], &task()["question"]),
        (&"awaiting_input".into(), &"do you mean `left` or `plan`?".into())
    );
    let replied = server.with_key("POST", &format!("/v1/tasks/{id}/messages"), r#"{"text": "left"}"#);
    assert_eq!(replied.status, 202, "{}", replied.body);
    let until = Instant::now() + Duration::from_mins(2);
    while task()["status"] != "succeeded" && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(200));
    }
    let task = task();
    assert_eq!(
        (&task["status"], &task["result"]["task"]["target"]),
        (&"succeeded".into(), &"left".into()),
        "{task}"
    );

    // What no rule reads is answered in the model's words, from the facts, which stand beside them.
    let place = format!("/v1/tasks/{id}/messages");
    let replied = server.with_key("POST", &place, r#"{"text": "would my grandmother be proud of this one"}"#);
    assert!(replied.body.contains("the language model reads the facts"), "{}", replied.body);
    let until = Instant::now() + Duration::from_secs(30);
    let heard = || server.with_key("GET", &place, "").body;
    while !heard().contains("what it rests on") && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(100));
    }
    let heard = heard();
    assert!(heard.contains("It holds on rows that nothing has seen."), "{heard}");
    assert!(heard.contains("ROC AUC"), "the fact itself stands beside it: {heard}");
    assert!(!heard.contains("123456"), "a figure that no fact holds is not told: {heard}");
}
