//! Whole runs, as a user starts them: from files to a judged, delivered model; killed, resumed, cut short.

#![allow(clippy::expect_used, reason = "a test that cannot go on should say where")]

mod common;

use common::{alone, ansatz, complaints, home, json, program, root, small_table};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const EXAMPLE: &str = "examples/gym-members";

fn example() -> String {
    root().join(EXAMPLE).display().to_string()
}

fn events(run: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(run.join("journal.jsonl")).expect("a journal");
    text.lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .map(|line| line["event"].clone())
        .collect()
}

/// Candidates with their scores, in order; what they cost may differ from run to run.
fn leaderboard(result: &Value) -> Vec<(String, String)> {
    let rows = result["leaderboard"].as_array().expect("a leaderboard");
    rows.iter().map(|row| (row["candidate"].to_string(), row["score"].to_string())).collect()
}

/// (candidate, fold) pairs of finished trials.
fn finished_trials(run: &Path) -> Vec<String> {
    events(run)
        .iter()
        .filter(|event| event["event"] == "trial_finished")
        .map(|event| format!("{} {}", event["candidate"], event["fold"]))
        .collect()
}

fn lines(path: &Path) -> Vec<String> {
    std::fs::read_to_string(path).expect("a text file").lines().map(ToOwned::to_owned).collect()
}

#[test]
fn the_example_names_its_leak_and_delivers_a_model_that_predicts_anywhere() {
    let _machine = alone();
    let scratch = tempfile::tempdir().expect("a folder");
    let out = scratch.path().join("run");
    let out_text = out.display().to_string();
    let output =
        ansatz(&["run", &example(), "--trials", "16", "--out", &out_text, "--no-memory", "--json", "-q"]);
    assert_eq!(output.status.code(), Some(0), "{}", complaints(&output));
    let result = json(&output);

    assert_eq!(result["task"]["target"], "cancelled");
    assert_eq!(result["task"]["metric"], "roc_auc");
    let dropped = result["dropped"].as_array().expect("dropped columns");
    let leaks: Vec<&Value> = dropped.iter().filter(|column| column["reason"] == "leak").collect();
    assert_eq!(leaks.len(), 1, "{dropped:?}");
    assert_eq!(leaks[0]["column"], "exit_interview");
    assert!(leaks[0]["evidence"].as_str().is_some_and(|text| text.contains("0 %")), "{}", leaks[0]);

    let score = result["holdout"]["score"].as_f64().expect("a score");
    let (low, high) = (&result["holdout"]["low"], &result["holdout"]["high"]);
    assert!(low.as_f64().expect("low") <= score && score <= high.as_f64().expect("high"));
    assert!((0.7..0.95).contains(&score), "an honest model of the example lies in between, not at {score}");
    let package = result["verdicts"].as_array().expect("verdicts").iter().find(|it| it["stage"] == "package");
    assert_eq!(package.expect("a verdict on the bundle")["passed"], true, "{package:?}");
    assert_eq!(result["budget"]["trials"], 16);

    let submission = lines(&out.join("submission.csv"));
    let sample = lines(&root().join(EXAMPLE).join("sample_submission.csv"));
    let ids = |lines: &[String]| -> Vec<String> {
        lines.iter().filter_map(|line| line.split(',').next().map(ToOwned::to_owned)).collect()
    };
    assert_eq!(ids(&submission), ids(&sample));

    // The bundle predicts without Ansatz, on plain Python with the packages of its lock file.
    let python = std::fs::read_dir(home().join("worker"))
        .expect("worker environments")
        .flatten()
        .map(|entry| entry.path().join("bin/python"))
        .find(|path| path.exists())
        .expect("a Python");
    let written = scratch.path().join("again.csv");
    let done = Command::new(python)
        .arg(out.join("model/predict.py"))
        .arg(root().join(EXAMPLE).join("test.csv"))
        .arg(&written)
        .env_clear()
        .output()
        .expect("Python starts");
    assert!(done.status.success(), "{}", complaints(&done));
    let number = |line: &String| line.split(',').nth(1).and_then(|field| field.parse::<f64>().ok());
    for (a, b) in submission.iter().zip(lines(&written)).skip(1) {
        let (a, b) = (number(a).expect("a number"), number(&b).expect("a number"));
        assert!((a - b).abs() < 1e-9, "{a} {b}");
    }

    let file = root().join(EXAMPLE).join("test.csv").display().to_string();
    let predicted = ansatz(&["predict", &out_text, &file]);
    assert_eq!(predicted.status.code(), Some(0), "{}", complaints(&predicted));
    assert_eq!(String::from_utf8_lossy(&predicted.stdout).lines().count(), 801);
    let row = ansatz(&["predict", &out_text, "--row", "plan=yearly,visits_last_month=9,complaints=0"]);
    assert_eq!(row.status.code(), Some(0), "{}", complaints(&row));
}

#[test]
fn equal_trials_give_equal_results_and_a_removed_step_is_gone() {
    let _machine = alone();
    let scratch = tempfile::tempdir().expect("a folder");
    let data = scratch.path().join("small.csv");
    std::fs::write(&data, small_table(600)).expect("written");
    let data = data.display().to_string();
    let run = |name: &str, more: &[&str]| -> Value {
        let out = scratch.path().join(name).display().to_string();
        let fixed =
            ["run", &data, "--target", "y", "--out", &out, "--no-memory", "--json", "-q", "--jobs", "2"];
        let output = ansatz(&[&fixed[..], more].concat());
        assert_eq!(output.status.code(), Some(0), "{}", complaints(&output));
        json(&output)
    };
    let first = run("first", &["--trials", "24", "--seed", "3"]);
    let second = run("second", &["--trials", "24", "--seed", "3"]);
    assert_eq!(leaderboard(&first), leaderboard(&second));
    assert_eq!(first["holdout"], second["holdout"]);

    let plan = std::fs::read_to_string(scratch.path().join("first/plan.json")).expect("a plan");
    let mut plan: Value = serde_json::from_str(&plan).expect("JSON");
    let gone = |id: &str| id == "model:linear" || id == "tune:linear";
    let steps = plan["steps"].as_array_mut().expect("steps");
    let before = steps.len();
    steps.retain(|step| !gone(step["id"].as_str().unwrap_or_default()));
    assert!(steps.len() < before, "the plan has steps for the linear solution");
    let edited = scratch.path().join("edited.json");
    std::fs::write(&edited, plan.to_string()).expect("written");
    let edited = edited.display().to_string();
    let third = run("third", &["--trials", "24", "--seed", "3", "--plan", &edited]);
    let names = |result: &Value| -> BTreeSet<String> {
        let rows = leaderboard(result);
        rows.iter()
            .filter_map(|(name, _)| name.trim_matches('"').split('-').next().map(ToOwned::to_owned))
            .collect()
    };
    assert!(names(&first).contains("linear"), "{:?}", names(&first));
    assert!(!names(&third).contains("linear"), "{:?}", names(&third));
}

#[test]
fn killed_at_any_moment_a_run_is_taken_up_and_repeats_nothing() {
    let _machine = alone();
    let kills = if std::env::var_os("ANSATZ_SOAK").is_some() { 20 } else { 3 };
    let scratch = tempfile::tempdir().expect("a folder");
    let data = scratch.path().join("small.csv");
    std::fs::write(&data, small_table(700)).expect("written");
    for attempt in 0..kills {
        let out = scratch.path().join(format!("run{attempt}"));
        let out_text = out.display().to_string();
        let mut running = program()
            .args([
                "run",
                &data.display().to_string(),
                "--target",
                "y",
                "--trials",
                "14",
                "--no-memory",
                "-q",
            ])
            .args(["--out", &out_text])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program starts");
        // Moments from the first parsing to the last packaging, spread evenly and therefore different each time.
        let wait = Duration::from_millis(700 + attempt * 9000 / kills);
        std::thread::sleep(wait);
        let over = running.try_wait().expect("a status").is_some();
        let _ = running.kill();
        let _ = running.wait();
        let before = if out.join("journal.jsonl").exists() { finished_trials(&out) } else { Vec::new() };
        let output = ansatz(&["resume", &out_text, "--json", "-q"]);
        assert_eq!(output.status.code(), Some(0), "killed after {wait:?}: {}", complaints(&output));
        let result = json(&output);
        assert_eq!(result["status"], "succeeded", "killed after {wait:?}");
        assert!(result["holdout"]["score"].is_number());
        let after = finished_trials(&out);
        let distinct: BTreeSet<&String> = after.iter().collect();
        assert_eq!(distinct.len(), after.len(), "a finished trial was repeated after {wait:?}: {after:?}");
        assert!(after.starts_with(&before), "what was finished stays finished");
        assert!(over || events(&out).iter().any(|event| event["event"] == "resumed"));
    }
}

#[test]
fn wishes_for_size_and_time_decide_what_is_delivered_and_are_measured() {
    let _machine = alone();
    let scratch = tempfile::tempdir().expect("a folder");
    let run = |name: &str, wish: &str| {
        let out = scratch.path().join(name).display().to_string();
        let words = format!("predict cancelled{wish}");
        let mut arguments = vec![
            "run",
            "DATA",
            "--trials",
            "26",
            "--task",
            &words,
            "--out",
            &out,
            "--no-memory",
            "--json",
            "-q",
        ];
        let data = example();
        arguments[1] = &data;
        let output = ansatz(&arguments);
        assert_eq!(output.status.code(), Some(0), "{}", complaints(&output));
        json(&output)
    };
    let wishes = |result: &Value| -> Vec<(String, bool, String)> {
        let verdicts = result["verdicts"].as_array().expect("verdicts").iter();
        let of_wishes = verdicts.filter(|verdict| verdict["stage"] == "constraints");
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        of_wishes
            .map(|verdict| (text(&verdict["subject"]), verdict["passed"] == true, text(&verdict["evidence"])))
            .collect()
    };
    let bytes = |name: &str| -> u64 {
        let members = std::fs::read_dir(scratch.path().join(name).join("model/members")).expect("members");
        members.filter_map(|member| Some(member.ok()?.metadata().ok()?.len())).sum()
    };
    let free = run("free", "");
    assert!(wishes(&free).is_empty(), "{:?}", wishes(&free));
    // Less than half of the models' size is allowed, beside the code that comes with every model.
    let code = 450_000;
    let limit = (code + bytes("free") / 2) / 1000;
    let small = run("small", &format!("; a model under {limit} KB, at most 20 seconds per prediction"));
    let found = wishes(&small);
    let names: Vec<&str> = found.iter().map(|wish| wish.0.as_str()).collect();
    assert_eq!(names, ["latency", "model size"], "{found:?}");
    assert!(found.iter().all(|wish| wish.1), "{found:?}");
    assert!(found[0].2.contains(" ms; wished for: 20000 ms"), "{found:?}");
    assert!(bytes("small") < bytes("free") / 2 + 100_000, "{} of {}", bytes("small"), bytes("free"));
    // What cannot be had is said, and the run still delivers.
    let impossible = run("impossible", "; at most 1 microsecond per prediction");
    assert!(!wishes(&impossible)[0].1, "{:?}", wishes(&impossible));
    let warnings = impossible["warnings"].to_string();
    assert!(warnings.contains("latency is not as wished for"), "{warnings}");
}

#[test]
fn one_second_gives_the_best_constant_answer_and_says_so() {
    let _machine = alone();
    let scratch = tempfile::tempdir().expect("a folder");
    let out = scratch.path().join("run");
    let started = Instant::now();
    let out_text = out.display().to_string();
    let output =
        ansatz(&["run", &example(), "--seconds", "1", "--out", &out_text, "--no-memory", "--json", "-q"]);
    let result = json(&output);
    assert_eq!(output.status.code(), Some(3), "{}", complaints(&output));
    assert_eq!(result["status"], "partial");
    assert!(!result["skipped"].as_array().expect("skipped").is_empty());
    assert_eq!(lines(&out.join("submission.csv")).len(), 801);
    let budget = result["budget"]["wall_s"].as_f64().expect("wall time");
    assert!(started.elapsed() < Duration::from_mins(1), "{budget}");
}
