//! `ansatz tune`: any command that prints a number, from outside.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on should say where")]

mod common;

use common::{complaints, json};
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

const SPACE: &str = r"
[[parameter]]
name = 'x'
type = 'float'
low = -2.0
high = 2.0
default = 1.5

[[parameter]]
name = 'kind'
type = 'categorical'
values = ['round', 'square']
default = 'square'

[[parameter]]
name = 'edge'
type = 'int'
low = 1
high = 9
default = 5
when = { kind = ['square'] }
";

/// A bowl with its bottom at x = 0.5 and `round`; `awk` is everywhere.
const BOWL: &str = "echo thinking; test -z \"{edge}\" || test {kind} = square || exit 9; \
                    awk -v x={x} -v k=$ANSATZ_PARAM_KIND 'BEGIN { print (x-0.5)^2 + (k == \"square\" ? 1 : 0) }'";

/// The program without memory: no test may learn from another.
fn program() -> Command {
    let mut command = common::program();
    command.env("ANSATZ_MEMORY", "no");
    command
}

fn study(folder: &Path, space: &str, flags: &[&str], script: &str) -> Output {
    std::fs::write(folder.join("space.toml"), space).unwrap();
    program()
        .current_dir(folder)
        .args(["tune", "space.toml", "--out", "study", "--json"])
        .args(flags)
        .args(["--", "sh", "-c", script])
        .output()
        .unwrap()
}

fn trials(result: &Value) -> &Vec<Value> {
    result["trials"].as_array().unwrap()
}

#[test]
fn the_bottom_of_a_bowl_is_found_and_the_default_is_tried_first() {
    let folder = tempfile::tempdir().unwrap();
    let output = study(folder.path(), SPACE, &["--trials", "30", "--seed", "3", "--parallel", "2"], BOWL);
    assert_eq!(output.status.code(), Some(0), "{}", complaints(&output));
    let result = json(&output);
    assert_eq!(trials(&result).len(), 30);
    assert_eq!(trials(&result)[0]["origin"], "default");
    assert_eq!(trials(&result)[0]["value"], 2.0);
    assert_eq!(result["best"]["params"]["kind"], "round", "{}", result["best"]);
    assert!(result["best"]["value"].as_f64().unwrap() < 0.1, "{}", result["best"]);
    assert!(result["best"]["params"].get("edge").is_none(), "edge does not count for round");
    assert!(trials(&result).iter().all(|trial| trial["state"] == "complete"));
    assert!(folder.path().join("study/report.html").is_file());
    let kept: Value =
        serde_json::from_slice(&std::fs::read(folder.path().join("study/result.json")).unwrap()).unwrap();
    assert_eq!(kept["best"], result["best"]);
}

#[test]
fn equal_seeds_give_equal_studies() {
    let values = |seed: &str| {
        let folder = tempfile::tempdir().unwrap();
        let output = study(folder.path(), SPACE, &["--trials", "12", "--seed", seed], BOWL);
        trials(&json(&output)).iter().map(|trial| trial["params"].to_string()).collect::<Vec<_>>()
    };
    assert_eq!(values("5"), values("5"));
    assert_ne!(values("5"), values("6"));
}

#[test]
fn failed_runs_are_data_and_hanging_ones_end() {
    let folder = tempfile::tempdir().unwrap();
    let space = "[[parameter]]\nname = 'n'\ntype = 'int'\nlow = 1\nhigh = 4\n";
    let script = "case {n} in 1) echo 5;; 2) sleep 30;; 3) echo broken >&2; exit 3;; *) true;; esac";
    let begun = Instant::now();
    let output = study(folder.path(), space, &["--trials", "4", "--timeout", "1"], script);
    assert_eq!(output.status.code(), Some(0), "{}", complaints(&output));
    assert!(begun.elapsed() < Duration::from_secs(20));
    let result = json(&output);
    let mut notes: Vec<(i64, String)> = trials(&result)
        .iter()
        .map(|trial| {
            (trial["params"]["n"].as_i64().unwrap(), trial["note"].as_str().unwrap_or_default().to_owned())
        })
        .collect();
    notes.sort();
    assert_eq!(notes.len(), 4, "each configuration once: {notes:?}");
    assert!(notes[1].1.contains("no end after 1 s"), "{notes:?}");
    assert!(notes[2].1.contains("exit code 3; its last line: broken"), "{notes:?}");
    assert!(notes[3].1.contains("printed no number"), "{notes:?}");
    assert_eq!(result["best"]["value"], 5.0);
}

#[test]
fn what_cannot_work_is_said_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let said = |space: &str, script: &str, code: i32, expected: &str| {
        let output = study(folder.path(), space, &["--trials", "30"], script);
        let words = complaints(&output);
        assert_eq!(output.status.code(), Some(code), "{words}");
        assert!(words.contains("error: ") && words.contains("hint: ") && words.contains(expected), "{words}");
        let _ = std::fs::remove_dir_all(folder.path().join("study"));
    };
    said("[[parameter]]\nname = 'x'\ntype = 'float'\nlow = 2\nhigh = 1\n", "echo 1", 2, "x");
    said("[[parameter]]\nname = 'x'\ntype = 'float'\nlow = 0\nhigh = 1\nlog = true\n", "echo 1", 2, "x");
    said("[[parameter]]\nname = 'x'\ntype = 'categorical'\nvalues = []\n", "echo 1", 2, "x");
    said(
        "[[parameter]]\nname = 'x'\ntype = 'float'\nlow = 'a'\nhigh = 1\n",
        "echo 1",
        2,
        "line 4, column 7: invalid type",
    );
    said(SPACE, "echo no licence >&2; exit 1", 1, "no licence");
    said(SPACE, "echo nan", 1, "another code than 0");
    let output = program()
        .current_dir(folder.path())
        .args(["tune", "space.toml", "--out", "other", "--", "/nowhere/bench", "{x}"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(complaints(&output).contains("/nowhere/bench"), "{}", complaints(&output));
}

#[test]
fn what_is_odd_is_said_and_the_study_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let real = "[[parameter]]\nname = 'rate'\ntype = 'float'\nlow = 0\nhigh = 1\n";
    let said = |name: &str, space: &str, script: &str, expected: &str| {
        let file = format!("{name}.toml");
        std::fs::write(folder.path().join(&file), space).unwrap();
        let output = program()
            .current_dir(folder.path())
            .args(["tune", &file, "--out", name, "--trials", "11", "--", "sh", "-c", script])
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", complaints(&output));
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(told.contains("warning: ") && told.contains(expected), "{name}: {told}");
    };
    said("typo", real, "echo {rate} {rat} >&2; echo {rate}", "has {rat}, which is no parameter");
    said("flat", real, "echo 3", "each of 10 trials gave 3: does the command use its parameters?");
    said(
        "several",
        real,
        "echo loss {rate} accuracy 0.$ANSATZ_TRIAL",
        "several numbers: the last one was taken",
    );
    let one = "[[parameter]]\nname = 'n'\ntype = 'int'\nlow = 4\nhigh = 4\n";
    said("single", one, "echo {n}", "one configuration only");
}

#[test]
fn a_command_that_hangs_is_given_up_with_a_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let output = study(folder.path(), SPACE, &["--trials", "2", "--timeout", "0.3"], "sleep 30");
    let words = complaints(&output);
    assert_eq!(output.status.code(), Some(1), "{words}");
    assert!(words.contains("no end after 0.3 s") && words.contains("--timeout"), "{words}");
}

#[test]
fn a_study_of_another_version_is_refused_with_the_line() {
    let folder = tempfile::tempdir().unwrap();
    let output = study(folder.path(), SPACE, &["--trials", "3"], BOWL);
    assert_eq!(output.status.code(), Some(0), "{}", complaints(&output));
    let (result, diary) = (folder.path().join("study/result.json"), folder.path().join("study/study.jsonl"));
    std::fs::remove_file(result).unwrap();
    let text = std::fs::read_to_string(&diary).unwrap().replacen("\"line\":\"run\"", "\"line\":\"newer\"", 1);
    std::fs::write(&diary, text).unwrap();
    let output = program().current_dir(folder.path()).args(["resume", "study"]).output().unwrap();
    let words = complaints(&output);
    assert_ne!(output.status.code(), Some(0), "{words}");
    assert!(words.contains("study.jsonl, line ") && words.contains("another version"), "{words}");
}

#[test]
fn progress_shows_what_differs_from_the_defaults() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("space.toml"), SPACE).unwrap();
    let output = program()
        .current_dir(folder.path())
        .args(["tune", "space.toml", "--out", "study", "--trials", "6", "--start", "x=0.5"])
        .args(["--", "sh", "-c", BOWL])
        .output()
        .unwrap();
    let words = complaints(&output);
    assert!(words.contains("default  as by default"), "{words}");
    assert!(words.lines().any(|line| line.ends_with("given  x=0.5")), "{words}");
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(told.contains("(default 1.5)"), "{told}");
}

/// The database example from end to end, small; without the distribution's package there is nothing to tune.
#[test]
fn a_database_is_restarted_with_the_settings_of_each_trial() {
    let Some(_) = std::fs::read_dir("/usr/lib/postgresql").ok().and_then(|mut found| found.next()) else {
        eprintln!("SKIPPED: PostgreSQL is not installed");
        return;
    };
    // The server's own user must reach the folder, and a socket's path must be short.
    let folder = tempfile::Builder::new().prefix("pg").tempdir_in("/var/tmp").unwrap();
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(folder.path(), open).unwrap();
    let example = common::root().join("examples/postgres");
    let (bench, base) = (example.join("bench.py"), folder.path().join("base"));
    let python = |action: &str, more: &[&str]| {
        let mut command = std::process::Command::new("python3");
        command.arg(&bench).arg(action).arg(&base).args(more).env("PYTHONDONTWRITEBYTECODE", "1");
        command
    };
    common::succeed(&mut python("prepare", &["0.02"]));
    let output = program()
        .current_dir(folder.path())
        .arg("tune")
        .arg(example.join("space.toml"))
        .args(["--out", "study", "--trials", "3", "--confirm", "2", "--json", "--", "python3"])
        .arg(&bench)
        .arg("run")
        .arg(&base)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", complaints(&output));
    let result = json(&output);
    assert!(trials(&result).iter().all(|trial| trial["state"] == "complete"), "{}", result["trials"]);
    assert!(result["comparison"]["ratio"].as_f64().is_some_and(|ratio| ratio > 0.0), "{result}");
    let used = std::fs::read_to_string(base.join("data/tuned.conf")).unwrap();
    let last = &result["best"]["params"]["shared_buffers_mb"];
    assert!(used.contains("shared_buffers = ") && used.contains("jit = "), "{used}");
    assert!(used.contains(&format!("shared_buffers = {last}MB")) || used.contains("= 128MB"), "{used}");
    assert!(!base.join("data/postmaster.pid").exists(), "the server is stopped after each run");
}

#[test]
fn an_earlier_study_is_learnt_from() {
    let folder = tempfile::tempdir().unwrap();
    let space = "[[parameter]]\nname = 'x'\ntype = 'float'\nlow = 0\nhigh = 1\n\
                 [[parameter]]\nname = 'y'\ntype = 'float'\nlow = 0\nhigh = 1\n";
    let script = "awk -v x={x} -v y={y} 'BEGIN { print 1 + (x-0.83)^2 + (y-0.21)^2 }'";
    assert!(study(folder.path(), space, &["--trials", "20"], script).status.success());
    std::fs::rename(folder.path().join("study"), folder.path().join("first")).unwrap();
    // The same bowl on another scale and a little aside.
    let script = "awk -v x={x} -v y={y} 'BEGIN { print 70 * ((x-0.8)^2 + (y-0.25)^2) }'";
    let output = study(folder.path(), space, &["--trials", "3", "--past", "first"], script);
    let result = json(&output);
    assert!(result["best"]["value"].as_f64().unwrap() < 1.0, "{}", result["best"]);
    assert!(result["sampler"].as_str().unwrap().contains("1 past stud"), "{}", result["sampler"]);
    std::fs::write(folder.path().join("first/result.json"), "{\"version\": 0}").unwrap();
    let output = program()
        .current_dir(folder.path())
        .args(["tune", "space.toml", "--past", "first", "--out", "other", "--", "sh", "-c", script])
        .output()
        .unwrap();
    let words = complaints(&output);
    assert_eq!(output.status.code(), Some(2), "{words}");
    assert!(words.contains("another version") && words.contains("first/result.json"), "{words}");
}

#[test]
fn a_study_is_remembered_and_the_next_one_of_its_kind_begins_wiser() {
    let folder = tempfile::tempdir().unwrap();
    let space = "[[parameter]]\nname = 'x'\ntype = 'float'\nlow = 0\nhigh = 1\n\
                 [[parameter]]\nname = 'y'\ntype = 'float'\nlow = 0\nhigh = 1\n";
    std::fs::write(folder.path().join("space.toml"), space).unwrap();
    let tune = |out: &str, flags: &[&str]| {
        let script = "awk -v x={x} -v y={y} 'BEGIN { print 1 + (x-0.83)^2 + (y-0.21)^2 }'";
        let mut command = common::program();
        command.current_dir(folder.path()).env("ANSATZ_HOME", folder.path().join("home"));
        let fixed = ["tune", "space.toml", "--json", "--out", out];
        json(&command.args(fixed).args(flags).args(["--", "sh", "-c", script]).output().unwrap())
    };
    let first = tune("runs/first", &["--trials", "20"]);
    assert!(!first["sampler"].as_str().unwrap().contains("past"), "{}", first["sampler"]);
    let second = tune("runs/second", &["--trials", "3"]);
    assert!(second["sampler"].as_str().unwrap().contains("1 past stud"), "{}", second["sampler"]);
    let (best, reached) = (&first["best"]["value"], &second["best"]["value"]);
    assert!(reached.as_f64() <= best.as_f64(), "what was found in 20 trials is not lost: {best}, {reached}");
    // Whoever wants none of it gets none of it.
    for flags in [&["--trials", "3", "--no-memory"][..], &["--trials", "3", "--sampler", "tpe"]] {
        let plain = tune(&format!("runs/{}", flags[2]), flags);
        assert!(!plain["sampler"].as_str().unwrap().contains("past"), "{}", plain["sampler"]);
    }
    let memory = |arguments: &[&str]| {
        let mut command = common::program();
        command.current_dir(folder.path()).env("ANSATZ_HOME", folder.path().join("home"));
        let output = command.arg("memory").args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", complaints(&output));
        String::from_utf8(output.stdout).unwrap()
    };
    let listed = memory(&["ls"]);
    assert!(
        listed.contains("first-") && listed.contains("second-") && !listed.contains("no-memory"),
        "{listed}"
    );
    assert!(memory(&["show", "first"]).contains("\"x\""));
    memory(&["forget", "first"]);
    assert!(!memory(&["ls"]).contains("first-"));
    memory(&["rebuild"]);
    let listed = memory(&["ls"]);
    assert!(listed.contains("first-") && listed.contains("no-memory-"), "{listed}");
}

#[test]
fn noise_is_met_by_repeats_and_a_fair_comparison() {
    let folder = tempfile::tempdir().unwrap();
    let script = "awk -v x={x} -v s=$ANSATZ_SEED 'BEGIN { srand(s); print 3 + (x-0.5)^2 + rand() / 10 }'";
    let space = "[[parameter]]\nname = 'x'\ntype = 'float'\nlow = -2\nhigh = 2\ndefault = 2.0\n";
    let output = study(folder.path(), space, &["--trials", "15", "--repeats", "3", "--confirm", "3"], script);
    let result = json(&output);
    let counts: Vec<usize> =
        trials(&result).iter().map(|trial| trial["measurements"].as_array().unwrap().len()).collect();
    assert!(
        counts.contains(&3) && counts.iter().sum::<usize>() < 45,
        "those far behind are not repeated: {counts:?}"
    );
    assert!(result["noise"].as_f64().is_some_and(|noise| noise > 0.0 && noise < 0.1), "{}", result["noise"]);
    let comparison = &result["comparison"];
    assert_eq!(comparison["best"].as_array().unwrap().len(), 3);
    assert!(comparison["low"].as_f64().unwrap() > 1.2, "{comparison}");
}

#[test]
fn a_killed_study_goes_on_without_repeating_what_was_measured() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("space.toml"), SPACE).unwrap();
    let script = format!("sleep 0.05; echo run >> runs; {BOWL}");
    let mut child = program()
        .current_dir(folder.path())
        .args([
            "tune",
            "space.toml",
            "--out",
            "study",
            "--trials",
            "14",
            "--seed",
            "1",
            "--",
            "sh",
            "-c",
            &script,
        ])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let runs = || std::fs::read_to_string(folder.path().join("runs")).unwrap_or_default().lines().count();
    let begun = Instant::now();
    while runs() < 5 && begun.elapsed() < Duration::from_mins(1) {
        std::thread::sleep(Duration::from_millis(10));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let before = runs();
    let output = program().current_dir(folder.path()).args(["resume", "study", "--json"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", complaints(&output));
    let result = json(&output);
    assert_eq!(trials(&result).len(), 14);
    assert!(
        runs() <= 14 + 1,
        "at most the run that was cut off is repeated: {} before, {} in all",
        before,
        runs()
    );
    let again = program().current_dir(folder.path()).args(["resume", "study", "--json"]).output().unwrap();
    assert_eq!(json(&again)["best"], result["best"], "a finished study gives its result again");
}

#[test]
fn runs_that_are_clearly_behind_by_what_they_report_are_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let space = "[[parameter]]\nname = 'x'\ntype = 'float'\nlow = 0\nhigh = 1\n";
    // Fifteen values on the way, better the smaller x is; whoever is stopped at the first rungs never says `end`.
    let script = "for step in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do \
                  awk -v x={x} -v s=$step 'BEGIN { printf \"{\\\"step\\\": %d, \\\"value\\\": %f}\\n\", s, x + 1 / s }'; sleep 0.03; done; \
                  echo end >> ends";
    let output =
        study(folder.path(), space, &["--trials", "24", "--sampler", "random", "--steps", "16"], script);
    assert_eq!(output.status.code(), Some(0), "{}", complaints(&output));
    let result = json(&output);
    let of = |state: &str| -> Vec<&Value> {
        trials(&result).iter().filter(|trial| trial["state"] == state).collect()
    };
    let (pruned, complete) = (of("pruned"), of("complete"));
    assert!(pruned.len() >= 6 && pruned.len() + complete.len() == 24, "{} pruned", pruned.len());
    assert!(pruned.iter().all(|trial| trial["note"].as_str().unwrap().contains("at step ")), "{pruned:?}");
    let ends = std::fs::read_to_string(folder.path().join("ends")).unwrap().lines().count();
    assert_eq!(ends, complete.len(), "what is stopped does not go on");
    // The last value on the way is the result.
    let x = |trial: &Value| trial["params"]["x"].as_f64().unwrap();
    assert!((result["best"]["value"].as_f64().unwrap() - x(&result["best"]) - 1.0 / 15.0).abs() < 1e-5);
    let least = trials(&result).iter().map(x).fold(f64::INFINITY, f64::min);
    assert_eq!(x(&result["best"]), least, "the best is never stopped");
    std::fs::remove_dir_all(folder.path().join("study")).unwrap();
    let flags = ["--trials", "6", "--sampler", "random", "--pruner", "none"];
    let all = json(&study(folder.path(), space, &flags, script));
    assert!(trials(&all).iter().all(|trial| trial["state"] == "complete"));
}

#[test]
fn several_goals_give_a_front() {
    let folder = tempfile::tempdir().unwrap();
    let space = "[[parameter]]\nname = 'x'\ntype = 'float'\nlow = 0\nhigh = 1\ndefault = 0.5\n\
                 [[parameter]]\nname = 'waste'\ntype = 'float'\nlow = 0\nhigh = 1\ndefault = 0.5\n";
    let script = "awk -v x={x} -v w={waste} 'BEGIN { printf \"{\\\"loss\\\": %f, \\\"speed\\\": %f}\\n\", x * x + w, x - w }'";
    let flags = ["--trials", "25", "--goal", "loss:min", "--goal", "speed:max"];
    let output = study(folder.path(), space, &flags, script);
    assert_eq!(output.status.code(), Some(0), "{}", complaints(&output));
    let result = json(&output);
    let front = result["front"].as_array().unwrap();
    let value = |trial: &Value, goal: usize| trial["values"][goal].as_f64().unwrap();
    assert!(front.len() >= 3, "{front:?}");
    for (one, other) in front.iter().flat_map(|one| front.iter().map(move |other| (one, other))) {
        let beats = value(one, 0) <= value(other, 0) && value(one, 1) >= value(other, 1);
        assert!(!beats || one["values"] == other["values"], "{one} beats {other}");
    }
    let least = front.iter().map(|best| best["params"]["waste"].as_f64().unwrap()).fold(1.0, f64::min);
    assert!(least < 0.05, "waste helps neither goal: {least}");
    assert!(result["sampler"].as_str().unwrap().contains("hypervolume"), "{}", result["sampler"]);
    assert!(trials(&result).iter().all(|trial| trial["values"].as_array().unwrap().len() == 2));
    let page = std::fs::read_to_string(folder.path().join("study/report.html")).unwrap();
    assert!(page.contains("The front"));
    for (flags, expected) in [
        (&["--goal", "loss:least"][..], "neither min nor max"),
        (&["--goal", "a:min", "--goal", "a:max"], "named twice"),
        (&["--goal", "a:min", "--goal", "b:min", "--confirm", "3"], "no one best"),
    ] {
        let words = complaints(&study(folder.path(), space, flags, script));
        assert!(words.contains(expected), "{words}");
    }
}

#[test]
fn defaults_that_break_a_rule_are_left_out_and_half_a_default_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let space = "[[parameter]]\nname = 'a'\ntype = 'int'\nlow = 1\nhigh = 9\ndefault = 9\n\
                 [[parameter]]\nname = 'b'\ntype = 'int'\nlow = 1\nhigh = 9\n";
    let result = json(&study(folder.path(), space, &["--trials", "3"], "echo $(({a} + {b}))"));
    assert_eq!(trials(&result)[0]["origin"], "start", "b has no default that could be compared with");
    std::fs::remove_dir_all(folder.path().join("study")).unwrap();
    let ruled = format!("{space}[[constraint]]\nrule = 'a + b <= 8'\n");
    let output = study(folder.path(), &ruled, &["--trials", "8"], "echo $(({a} + {b}))");
    assert_eq!(output.status.code(), Some(0), "{}", complaints(&output));
    let result = json(&output);
    let sums = trials(&result).iter().map(|trial| trial["value"].as_f64().unwrap());
    assert!(sums.fold(0.0, f64::max) <= 8.0, "{result}");
    let warnings = result["warnings"].to_string();
    assert!(warnings.contains("the defaults are not tried"), "{warnings}");
}

#[test]
fn what_is_not_a_number_is_never_taken_for_a_score() {
    let folder = tempfile::tempdir().unwrap();
    let space = "[[parameter]]\nname = 'n'\ntype = 'int'\nlow = 1\nhigh = 3\n";
    let script = "case {n} in 1) echo '{\"epoch\": 30, \"value\": NaN}';; 2) echo '{\"value\": 0.5}'; echo took 900 s;; \
                  *) echo '{\"value\": 0.7}';; esac";
    let flags = ["--trials", "3", "--direction", "maximize"];
    let result = json(&study(folder.path(), space, &flags, script));
    assert_eq!(result["best"]["value"], 0.7, "{result}");
    let failed = trials(&result).iter().find(|trial| trial["state"] == "failed").unwrap();
    assert_eq!(failed["params"]["n"], 1);
    assert_eq!(failed["note"], "its result is NaN");
}

#[test]
fn what_cannot_work_leaves_no_folder_behind() {
    let folder = tempfile::tempdir().unwrap();
    let space = "[[parameter]]\nname = 'x'\ntype = 'float'\nlow = 0\nhigh = 1\n";
    let other = "[[parameter]]\nname = 'size'\ntype = 'float'\nlow = 0\nhigh = 1\n";
    assert!(study(folder.path(), other, &["--trials", "5"], "echo {size}").status.success());
    std::fs::rename(folder.path().join("study"), folder.path().join("first")).unwrap();
    for (flags, expected) in [
        (["--sampler", "tep"], "there is no sampler `tep`"),
        (["--pruner", "ash"], "there is no pruner `ash`"),
        (["--past", "first"], "sets none of the parameters"),
    ] {
        let output = study(folder.path(), space, &flags, "echo {x}");
        let words = complaints(&output);
        assert_eq!(output.status.code(), Some(2), "{words}");
        assert!(words.contains(expected) && words.contains("hint: "), "{words}");
        assert!(!folder.path().join("study").exists(), "{flags:?}");
    }
    let ruled = format!("{space}[[constraint]]\nrule = 'x * x > 2'\n");
    let whole = "[[parameter]]\nname = 'a'\ntype = 'int'\nlow = 1\nhigh = 8\n\
                 [[parameter]]\nname = 'b'\ntype = 'int'\nlow = 1\nhigh = 8\n";
    for impossible in [ruled, format!("{whole}[[constraint]]\nrule = 'a * b == 23'\n")] {
        let output = study(folder.path(), &impossible, &[], "echo 1");
        let words = complaints(&output);
        assert_eq!(output.status.code(), Some(2), "{words}");
        assert!(words.contains("constraints") && words.contains("hint: "), "{words}");
        let _ = std::fs::remove_dir_all(folder.path().join("study"));
    }
    // Few configurations of many keep this one, and all of them are found.
    let tight = format!("{}[[constraint]]\nrule = 'a * b == 64'\n", whole.replace("high = 8", "high = 64"));
    let result = json(&study(folder.path(), &tight, &["--trials", "30"], "echo $(({a} + {b}))"));
    assert_eq!((trials(&result).len(), &result["best"]["value"]), (7, &16.0.into()), "{result}");
    assert!(result["exhausted"].as_str().unwrap().contains("keeps the constraints"), "{result}");
    std::fs::remove_dir_all(folder.path().join("study")).unwrap();
    let twins = "[[parameter]]\nname = 'a-b'\ntype = 'float'\nlow = 0\nhigh = 1\n\
                 [[parameter]]\nname = 'a_b'\ntype = 'float'\nlow = 0\nhigh = 1\n";
    let words = complaints(&study(folder.path(), twins, &[], "echo 1"));
    assert!(words.contains("ANSATZ_PARAM_A_B"), "{words}");
}

#[test]
fn a_second_ctrl_c_waits_for_no_command_and_the_study_is_found_again() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("space.toml"), SPACE).unwrap();
    let script = format!("trap '' TERM; test -e begun || {{ touch begun; sleep 60; }}; {BOWL}");
    let mut child = program()
        .current_dir(folder.path())
        .args(["tune", "space.toml", "--trials", "3", "--", "sh", "-c", &script])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let begun = Instant::now();
    while !folder.path().join("begun").exists() && begun.elapsed() < Duration::from_mins(1) {
        std::thread::sleep(Duration::from_millis(10));
    }
    let interrupt = || Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    interrupt();
    // Two signals at once would be heard as one.
    std::thread::sleep(Duration::from_millis(500));
    interrupt();
    let asked = Instant::now();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    // The command would go on for a minute.
    assert!(asked.elapsed() < Duration::from_secs(30), "{:?}", asked.elapsed());
    let listed = json(&program().current_dir(folder.path()).args(["runs", "--json"]).output().unwrap());
    let listed = listed.as_array().unwrap();
    assert_eq!((listed.len(), &listed[0]["kind"]), (1, &"study".into()), "{listed:?}");
    let output = program().current_dir(folder.path()).args(["resume", "--json"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", complaints(&output));
    assert_eq!(trials(&json(&output)).len(), 3);
}

#[test]
fn what_formulas_advise_is_tried_first() {
    let folder = tempfile::tempdir().unwrap();
    let space = "[[parameter]]\nname = 'learning_rate'\ntype = 'float'\nlow = 1e-6\nhigh = 0.1\nlog = true\n\
                 [[parameter]]\nname = 'batch_size'\ntype = 'int'\nlow = 1\nhigh = 4096\nlog = true\n\
                 [scale]\nparameters = 1e9\ntokens = 1e11\n";
    let output = study(folder.path(), space, &["--trials", "4"], "echo {learning_rate}");
    assert_eq!(output.status.code(), Some(0), "{}", complaints(&output));
    let result = json(&output);
    let first = &trials(&result)[0];
    assert_eq!(first["origin"], "step-law", "{first}");
    // The STEP law (arXiv 2503.04715): 1.79 N^-0.713 D^0.307.
    let expected = 1.79 * 1e9_f64.powf(-0.713) * 1e11_f64.powf(0.307);
    let advised = first["params"]["learning_rate"].as_f64().unwrap();
    assert!((advised / expected - 1.0).abs() < 0.02, "{advised} beside {expected}");
}
