//! Metrics and checks of the user's own, from the command line to the result.

#![allow(clippy::expect_used, reason = "a test that cannot go on should say where")]

mod common;

use common::{alone, ansatz, complaints, json, program, small_table};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

/// A folder with the small table, a quarter of it as test rows.
fn task(rows: usize) -> tempfile::TempDir {
    let scratch = tempfile::tempdir().expect("a folder");
    let table = small_table(rows);
    let lines: Vec<&str> = table.lines().collect();
    let (train, rest) = lines.split_at(1 + rows * 3 / 4);
    let data = scratch.path().join("data");
    std::fs::create_dir(&data).expect("made");
    std::fs::write(data.join("train.csv"), train.join("\n") + "\n").expect("written");
    let without = |line: &&str| line.rsplit_once(',').expect("a target").0.to_owned();
    let test: Vec<String> = std::iter::once(&lines[0]).chain(rest).map(without).collect();
    std::fs::write(data.join("test.csv"), test.join("\n") + "\n").expect("written");
    scratch
}

fn file(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    std::fs::write(&path, text).expect("written");
    path.display().to_string()
}

fn run(scratch: &Path, out: &str, target: &str, more: &[&str]) -> (PathBuf, Output) {
    let out = scratch.join(out);
    let (data, place) = (scratch.join("data").display().to_string(), out.display().to_string());
    let fixed =
        ["run", &data, "--target", target, "--id", "id", "--out", &place, "--no-memory", "--json", "-q"];
    let output = ansatz(&[&fixed[..], more].concat());
    (out, output)
}

fn leaderboard(result: &Value) -> Vec<(String, f64)> {
    let rows = result["leaderboard"].as_array().expect("a leaderboard");
    rows.iter().map(|row| (row["candidate"].to_string(), row["score"].as_f64().expect("a score"))).collect()
}

/// Missing a 1 costs five times as much as a false alarm.
const COSTS: &str = "name = 'costs'
higher_is_better = False
needs = 'label'

def metric(truth, prediction, weight):
    cost = 0.0
    for actual, predicted, times in zip(truth, prediction, weight):
        if actual != predicted:
            cost += times * (5 if actual == 1 else 1)
    return cost / sum(weight)
";

#[test]
fn a_metric_of_the_users_own_rules_the_run_and_gives_the_same_numbers_again() {
    let _machine = alone();
    let scratch = task(800);
    let metric = file(scratch.path(), "costs.py", COSTS);
    let more = ["--metric", &metric, "--trials", "12", "--seed", "3", "--jobs", "2"];
    let (out, first) = run(scratch.path(), "first", "y", &more);
    assert_eq!(first.status.code(), Some(0), "{}", complaints(&first));
    let result = json(&first);
    assert_eq!(result["task"]["metric"], "costs");
    assert_eq!(result["task"]["higher_is_better"], false);
    let board = leaderboard(&result);
    assert!(board.len() >= 2 && board.windows(2).all(|pair| pair[0].1 <= pair[1].1), "{board:?}");
    let holdout = &result["holdout"];
    assert!(holdout["low"].as_f64() <= holdout["score"].as_f64(), "{holdout}");
    assert!(holdout["method"].as_str().expect("a method").contains("at most 200 replicates"), "{holdout}");
    // The cut follows the costs: a missed 1 is dear, so more rows than the plain rule would have are called 1.
    let cut = std::fs::read_to_string(out.join("model/bundle.json")).expect("a bundle");
    let cut: Value = serde_json::from_str(&cut).expect("JSON");
    assert!(cut["decision"]["at"].as_f64().expect("a cut") < 0.5, "{}", cut["decision"]);
    assert_eq!(cut["task"]["metric"], "roc_auc", "trainings are told of a metric that they know");

    let kept = std::fs::read_to_string(out.join("functions/metric.py")).expect("a copy");
    assert_eq!(kept, COSTS);
    let hash = result["task"]["metric_source"].as_str().expect("a hash").to_owned();
    assert_eq!(hash.len(), 64);
    let journal = std::fs::read_to_string(out.join("journal.jsonl")).expect("a journal");
    assert!(journal.matches(&hash).count() >= 3, "options, verdict and task name the file by hash");

    // The original is gone; nothing needs it any more.
    std::fs::remove_file(&metric).expect("removed");
    let out_text = out.display().to_string();
    let verified = ansatz(&["verify", &out_text]);
    assert_eq!(verified.status.code(), Some(0), "{}", complaints(&verified));

    let metric = file(scratch.path(), "costs.py", COSTS);
    let (second_out, second) = run(
        scratch.path(),
        "second",
        "y",
        &["--metric", &metric, "--trials", "12", "--seed", "3", "--jobs", "2"],
    );
    let again = json(&second);
    assert_eq!(leaderboard(&again), board);
    assert_eq!(again["holdout"]["score"], result["holdout"]["score"]);
    let compared = ansatz(&["compare", &out_text, &second_out.display().to_string()]);
    assert!(
        String::from_utf8_lossy(&compared.stdout).contains("intervals overlap"),
        "{}",
        complaints(&compared)
    );
}

#[test]
fn a_component_scores_like_the_built_in_metric() {
    let _machine = alone();
    let scratch = task(600);
    let text = include_str!("../sandbox/tests/wasm/mean_error.wat");
    let metric = scratch.path().join("mean_error.wasm");
    std::fs::write(&metric, wat::parse_str(text).expect("a component")).expect("written");
    let metric = metric.display().to_string();
    let common = ["--trials", "6", "--seed", "1", "--jobs", "2"];
    let (_, own) = run(scratch.path(), "own", "weight", &[&["--metric", &metric][..], &common].concat());
    assert_eq!(own.status.code(), Some(0), "{}", complaints(&own));
    let (_, ours) = run(scratch.path(), "ours", "weight", &[&["--metric", "mae"][..], &common].concat());
    let (own, ours) = (json(&own), json(&ours));
    assert_eq!(own["task"]["metric"], "mean_error");
    let baseline = |result: &Value| {
        let board = leaderboard(result);
        board
            .into_iter()
            .find(|(name, _)| name.contains("reference"))
            .expect("the reference is on the board")
            .1
    };
    assert!((baseline(&own) - baseline(&ours)).abs() < 1e-9, "{} {}", baseline(&own), baseline(&ours));
}

/// What is said of a metric file, and the exit code.
fn refusal(scratch: &Path, name: &str, text: &str, more: &[&str]) -> String {
    let metric = file(scratch, name, text);
    let (out, output) = run(scratch, "refused", "y", &[&["--metric", &metric][..], more].concat());
    let said = complaints(&output);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("hint: "), "{said}");
    let trained = std::fs::read_to_string(out.join("journal.jsonl")).unwrap_or_default();
    assert!(!trained.contains("trial_started"), "nothing is trained under a metric that cannot score");
    let _ = std::fs::remove_dir_all(out);
    said
}

#[test]
fn a_metric_that_cannot_score_is_refused_before_anything_is_trained() {
    let _machine = alone();
    let scratch = task(400);
    let scratch = scratch.path();
    let with = |body: &str| format!("higher_is_better = True\ndef metric(truth, prediction):\n    {body}\n");
    for (body, expected) in [
        ("return truth[0] / 0", "error: m.py: line 3: ZeroDivisionError"),
        ("return float('nan')", "error: m.py: `metric` returned nan, not a finite number"),
        ("return 'good'", "error: m.py: `metric` returned 'good' (str), not a number"),
        ("pass", "error: m.py: `metric` returned nothing, not a number"),
        ("import numpy", "error: m.py: line 3, column 12: `numpy` cannot be imported in a function"),
        ("return (", "error: m.py: line "),
        ("return open('/etc/passwd')", "error: m.py: line 3, column 12: `open` must not be called"),
    ] {
        let said = refusal(scratch, "m.py", &with(body), &[]);
        assert!(said.contains(expected), "{body}: {said}");
    }
    let slow = with("return sum(1 for t in truth for p in prediction)");
    let said = refusal(scratch, "m.py", &slow, &["--seconds", "5"]);
    assert!(said.contains("too slow") || said.contains("stopped after"), "{said}");
    let said = refusal(scratch, "m.py", &with("while True: pass"), &["--seconds", "5"]);
    assert!(said.contains("error: m.py: it was stopped after"), "{said}");
    let values = format!("needs = 'value'\n{}", with("return 1.0"));
    let colours = run(scratch, "unfit", "colour", &["--metric", &file(scratch, "v.py", &values)]).1;
    assert_eq!(colours.status.code(), Some(2));
    assert!(
        complaints(&colours).contains("it needs values, and the target holds classes"),
        "{}",
        complaints(&colours)
    );
    let (_, absent) = run(scratch, "absent", "y", &["--metric", "./nowhere.py"]);
    assert_eq!(absent.status.code(), Some(2));
    assert!(complaints(&absent).contains("there is no such file"), "{}", complaints(&absent));
    let (_, core) = run(scratch, "core", "y", &["--metric", &file(scratch, "m.wasm", "\0asm\u{1}\0\0\0")]);
    assert_eq!(core.status.code(), Some(2));
    assert!(complaints(&core).contains("it is a core module"), "{}", complaints(&core));
}

#[test]
fn a_check_complains_and_the_submission_is_written_all_the_same() {
    let _machine = alone();
    let scratch = task(400);
    let text = "def check_row(row):\n    return 'the unlucky one' if row['id'] == 305 else None\n\ndef check_submission(rows):\n    return [] if len(rows) == 100 else ['rows are missing']\n";
    let check = file(scratch.path(), "unlucky.py", text);
    let fine = file(scratch.path(), "fine.py", "def check_submission(rows):\n    return []\n");
    let more = ["--check", &check, "--check", &fine, "--trials", "6", "--jobs", "2"];
    let (out, output) = run(scratch.path(), "run", "y", &more);
    assert_eq!(output.status.code(), Some(3), "{}", complaints(&output));
    let result = json(&output);
    assert_eq!(result["status"], "partial");
    let verdicts = result["verdicts"].as_array().expect("verdicts");
    let of =
        |subject: &str| verdicts.iter().find(|verdict| verdict["subject"] == subject).expect("a verdict");
    assert_eq!(of("check unlucky.py")["passed"], false);
    assert_eq!(of("check unlucky.py")["evidence"], "1 complaint: row 6 of the submission: the unlucky one");
    assert_eq!(of("check fine.py")["passed"], true);
    let skipped = result["skipped"][0].as_str().expect("a reason");
    assert!(skipped.starts_with("check unlucky.py: "), "{skipped}");
    let submission = std::fs::read_to_string(out.join("submission.csv")).expect("a submission");
    assert_eq!(submission.lines().count(), 101);

    let broken = file(scratch.path(), "broken.py", "def check_row(row):\n    return row['nowhere']\n");
    let (_, output) = run(scratch.path(), "broken", "y", &["--check", &broken, "--trials", "6"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        complaints(&output).contains("error: broken.py: line 2: KeyError: 'nowhere'"),
        "{}",
        complaints(&output)
    );
}

#[test]
fn a_run_with_a_metric_of_its_own_is_taken_up_after_a_kill() {
    let _machine = alone();
    let scratch = task(600);
    let metric = file(scratch.path(), "costs.py", COSTS);
    let out = scratch.path().join("run").display().to_string();
    let data = scratch.path().join("data").display().to_string();
    let mut running = program()
        .args([
            "run",
            &data,
            "--target",
            "y",
            "--id",
            "id",
            "--metric",
            &metric,
            "--trials",
            "10",
            "--no-memory",
            "-q",
        ])
        .args(["--out", &out])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program starts");
    let journal = Path::new(&out).join("journal.jsonl");
    let under_way = || std::fs::read_to_string(&journal).unwrap_or_default().contains("trial_finished");
    for _ in 0..1200 {
        if under_way() {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(under_way(), "no trial was finished in two minutes");
    let _ = running.kill();
    let _ = running.wait();
    std::fs::remove_file(&metric).expect("removed");
    let output = ansatz(&["resume", &out, "--json", "-q"]);
    assert_eq!(output.status.code(), Some(0), "{}", complaints(&output));
    let result = json(&output);
    assert_eq!(
        (result["status"].as_str(), result["task"]["metric"].as_str()),
        (Some("succeeded"), Some("costs"))
    );

    // A copy that was changed is not what the journal speaks of.
    std::fs::write(Path::new(&out).join("functions/metric.py"), COSTS.replace("5 if", "6 if"))
        .expect("written");
    let text = std::fs::read_to_string(&journal).expect("a journal");
    let cut: Vec<&str> = text.lines().take_while(|line| !line.contains("\"finished\"")).collect();
    std::fs::write(&journal, cut.join("\n") + "\n").expect("written");
    let output = ansatz(&["resume", &out, "-q"]);
    assert!(
        complaints(&output).contains("is not the file that the run began with"),
        "{}",
        complaints(&output)
    );
}
