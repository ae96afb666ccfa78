//! Runs on a real Ray cluster. The short test needs one head; the long one (`ANSATZ_SOAK=1`) two nodes, one of which dies.

#![allow(clippy::expect_used, reason = "a test that cannot go on should say where")]

mod common;

use common::ray::Cluster;
use common::{alone, complaints, json, program, small_table};
use serde_json::Value;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// Candidate and score of each line of the leaderboard.
fn leaderboard(result: &Value) -> Vec<(String, f64)> {
    let rows = result["leaderboard"].as_array().expect("a leaderboard");
    rows.iter()
        .map(|row| {
            (row["candidate"].as_str().expect("a name").to_owned(), row["score"].as_f64().expect("a score"))
        })
        .collect()
}

/// Whether the variable for things that a machine lacks names Ray.
fn skipped() -> bool {
    let allowed = std::env::var("ANSATZ_ALLOW_SKIP").unwrap_or_default();
    allowed.split(',').any(|name| name == "ray")
}

fn wait(mut child: Child, most: Duration) -> (Option<i32>, Value, String) {
    let begun = Instant::now();
    while child.try_wait().expect("a process").is_none() {
        if begun.elapsed() > most {
            let _ = child.kill();
            let output = child.wait_with_output().expect("output");
            panic!("not done after {most:?}: {}", complaints(&output));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let output = child.wait_with_output().expect("output");
    (output.status.code(), json(&output), complaints(&output))
}

fn run_on(cluster: &Cluster, data: &Path, out: &Path, more: &[&str]) -> Child {
    let (data, out) = (data.display().to_string(), out.display().to_string());
    let mut arguments =
        vec!["run", &data, "--out", &out, "--seed", "7", "--jobs", "2", "--no-memory", "--json"];
    arguments.extend(more);
    cluster
        .ansatz(&arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts")
}

fn run_here(data: &Path, out: &Path, trials: &str) -> Value {
    let (data, out) = (data.display().to_string(), out.display().to_string());
    let mut command = program();
    command.args(["run", &data, "--out", &out, "--seed", "7", "--jobs", "2", "--no-memory", "--json"]);
    let output = command.args(["--trials", trials]).output().expect("the program starts");
    assert!(output.status.success(), "{}", complaints(&output));
    json(&output)
}

#[test]
fn a_run_on_a_ray_head_is_the_run_that_it_would_be_here() {
    let _machine = alone();
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("table.csv");
    std::fs::write(&data, small_table(600)).expect("written");
    if skipped() {
        return;
    }
    let here = run_here(&data, &folder.path().join("here"), "7");
    let cluster = Cluster::start(1);

    // Without its token, or with another one, there is no run and no trace of the token that was given.
    for (token, said) in [("", "demands a token"), ("not-the-token-at-all", "refuses the token")] {
        let arguments = ["run", &data.display().to_string(), "--sandbox", "ray", "--trials", "5"];
        let output =
            cluster.ansatz(&arguments).env("RAY_AUTH_TOKEN", token).env("HOME", "/nonexistent").output();
        let output = output.expect("the program starts");
        assert_eq!(output.status.code(), Some(7), "{}", complaints(&output));
        assert!(
            complaints(&output).contains(said) && complaints(&output).contains("hint: "),
            "{}",
            complaints(&output)
        );
        assert!(token.is_empty() || !complaints(&output).contains(token));
    }

    let out = folder.path().join("there");
    let child = run_on(&cluster, &data, &out, &["--sandbox", "ray", "--trials", "7"]);
    let (code, result, said) = wait(child, Duration::from_mins(4));
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(leaderboard(&result), leaderboard(&here), "{said}");
    assert_eq!(result["holdout"]["score"], here["holdout"]["score"]);
    let sandbox = &result["sandbox"];
    eprintln!("here {} s, on Ray {} s; {sandbox}", here["budget"]["wall_s"], result["budget"]["wall_s"]);
    assert_eq!((&sandbox["backend"], &sandbox["level"]), (&"ray".into(), &here["sandbox"]["level"]));
    let cluster_said = &sandbox["cluster"];
    assert_eq!(cluster_said["nodes"].as_array().map(Vec::len), Some(1), "{cluster_said}");
    assert!(cluster_said["nodes"][0]["trials"].as_u64() >= Some(7), "{cluster_said}");
    assert_eq!(cluster_said["batches_again"], 0);
    assert!(cluster_said["packages"].as_u64() >= Some(3), "{cluster_said}");
    // Ray may write an ended job down once more after it was removed; none may live on.
    let ended = |job: &Value| job["status"] == "SUCCEEDED" || job["status"] == "FAILED";
    assert!(cluster.jobs().iter().all(ended), "jobs are put away: {:?}", cluster.jobs());
    let journal = std::fs::read_to_string(out.join("journal.jsonl")).expect("a journal");
    assert!(!journal.contains(common::ray::TOKEN), "the token is written down nowhere");

    // The first Ctrl-C ends a run with what it has, and leaves no job behind.
    let endless = ["--sandbox", "ray", "--seconds", "600"];
    let child = run_on(&cluster, &data, &folder.path().join("stopped"), &endless);
    let begun = Instant::now();
    while !cluster.jobs().iter().any(|job| job["status"] == "RUNNING") {
        assert!(begun.elapsed() < Duration::from_mins(2), "no job began");
        std::thread::sleep(Duration::from_millis(500));
    }
    let _ = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    let (code, result, said) = wait(child, Duration::from_mins(1));
    assert_eq!((code, &result["status"]), (Some(130), &"interrupted".into()), "{said}");
    let left: Vec<Value> = cluster.jobs().into_iter().filter(|job| job["status"] == "RUNNING").collect();
    assert!(left.is_empty(), "{left:?}");
    // What the head had was not sent again.
    assert!(
        result["sandbox"]["cluster"]["sent_bytes"].as_u64() < Some(1 << 20),
        "{}",
        result["sandbox"]["cluster"]
    );
    eprintln!("stopped: {}", result["sandbox"]["cluster"]);
}

#[test]
fn two_nodes_give_the_same_leaderboard_and_a_dead_one_costs_one_retry() {
    if std::env::var_os("ANSATZ_SOAK").is_none() || skipped() {
        return;
    }
    let _machine = alone();
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("table.csv");
    std::fs::write(&data, small_table(2000)).expect("written");
    let here = run_here(&data, &folder.path().join("here"), "30");
    let mut cluster = Cluster::start(1);
    cluster.add_node();

    let on_ray = ["--sandbox", "ray", "--trials", "30"];
    let child = run_on(&cluster, &data, &folder.path().join("there"), &on_ray);
    let (code, result, said) = wait(child, Duration::from_mins(15));
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(leaderboard(&result), leaderboard(&here), "{said}");
    assert_eq!(result["sandbox"]["cluster"]["nodes"].as_array().map(Vec::len), Some(2));
    eprintln!(
        "here {} s, on two nodes {} s; {}",
        here["budget"]["wall_s"], result["budget"]["wall_s"], result["sandbox"]["cluster"]
    );

    let child = run_on(&cluster, &data, &folder.path().join("bereft"), &on_ray);
    let begun = Instant::now();
    let on_second = |job: &Value| {
        let address = job["driver_agent_http_address"].as_str().unwrap_or_default();
        job["status"] == "RUNNING" && address.contains("127.0.0.2")
    };
    while !cluster.jobs().iter().any(on_second) {
        assert!(begun.elapsed() < Duration::from_mins(5), "the second node got no batch");
        std::thread::sleep(Duration::from_millis(300));
    }
    cluster.kill_node(1);
    let killed = Instant::now();
    let (code, result, said) = wait(child, Duration::from_mins(15));
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(leaderboard(&result), leaderboard(&here), "{said}");
    assert_eq!(result["sandbox"]["cluster"]["batches_again"], 1, "{said}");
    let again = result["warnings"]
        .as_array()
        .expect("warnings")
        .iter()
        .filter(|warning| warning.as_str().is_some_and(|text| text.contains("given to Ray again")));
    assert_eq!(again.count(), 1, "{}", result["warnings"]);
    eprintln!("after the kill {:.0} s; {}", killed.elapsed().as_secs_f64(), result["sandbox"]["cluster"]);
}
