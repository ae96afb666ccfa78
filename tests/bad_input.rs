//! Bad input: refused with one line and a hint, or survived with a named warning.

#![allow(clippy::expect_used, reason = "a test that cannot go on should say where")]

mod common;

use common::{alone, ansatz, complaints, json, small_table};
use std::fmt::Write as _;
use std::path::Path;

/// A run over the given files that is refused with `code`; standard error must hold all of `words`.
fn refused(files: &[(&str, &[u8])], arguments: &[&str], code: i32, words: &[&str]) {
    let _machine = alone();
    let scratch = tempfile::tempdir().expect("a folder");
    let data = scratch.path().join("data");
    std::fs::create_dir(&data).expect("made");
    for (name, content) in files {
        std::fs::write(data.join(name), content).expect("written");
    }
    let out = scratch.path().join("run");
    let (data, out_text) = (data.display().to_string(), out.display().to_string());
    let fixed = ["run", &data, "--out", &out_text, "--no-memory", "--seconds", "20", "-q"];
    let output = ansatz(&[&fixed[..], arguments].concat());
    let said = complaints(&output);
    assert_eq!(output.status.code(), Some(code), "{said}");
    let errors: Vec<&str> = said.lines().filter(|line| line.starts_with("error: ")).collect();
    assert_eq!(errors.len(), 1, "one line says what is wrong: {said}");
    assert!(said.contains("hint: "), "{said}");
    assert!(!said.contains("Traceback") && !said.contains("panicked"), "{said}");
    for word in words {
        assert!(said.to_lowercase().contains(&word.to_lowercase()), "`{word}` is missing in: {said}");
    }
    if out.exists() {
        let left: Vec<String> = std::fs::read_dir(&out)
            .expect("readable")
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .filter(|name| !name.starts_with("journal"))
            .collect();
        assert!(left.is_empty(), "only the journal stays, not {left:?}");
    }
}

fn table() -> Vec<u8> {
    small_table(200).into_bytes()
}

#[test]
fn a_missing_file() {
    refused(&[], &[], 5, &["train.csv"]);
}

#[test]
fn more_gpus_than_any_machine_has() {
    refused(&[("train.csv", &table())], &["--gpus", "63"], 7, &["--gpus 63", "gpu", "ansatz doctor"]);
}

#[test]
fn an_empty_file() {
    refused(&[("train.csv", b"")], &[], 5, &["train.csv", "empty"]);
}

#[test]
fn a_header_without_rows() {
    refused(&[("train.csv", b"a,b,c\n")], &[], 5, &["train.csv", "row"]);
}

#[test]
fn a_zip_file_in_disguise() {
    refused(
        &[("train.csv", b"PK\x03\x04rest of an archive, with bytes \x00\x01\x02")],
        &[],
        5,
        &["train.csv", "zip"],
    );
}

#[test]
fn a_target_that_is_not_there() {
    refused(&[("train.csv", &table())], &["--target", "colur"], 2, &["colur", "colour"]);
}

#[test]
fn a_constant_target() {
    let mut text = String::from("a,b,y\n");
    for row in 0..60 {
        writeln!(text, "{row},{},1", row % 7).expect("a string");
    }
    refused(&[("train.csv", text.as_bytes())], &["--target", "y"], 5, &["`y`"]);
}

#[test]
fn fewer_than_twenty_rows() {
    refused(&[("train.csv", small_table(12).as_bytes())], &["--target", "y"], 5, &["20"]);
}

#[test]
fn an_unknown_metric() {
    refused(
        &[("train.csv", &table())],
        &["--target", "y", "--metric", "roc_acu"],
        2,
        &["roc_acu", "roc_auc"],
    );
}

#[test]
fn a_metric_that_does_not_fit() {
    refused(&[("train.csv", &table())], &["--target", "colour", "--metric", "rmse"], 2, &["rmse"]);
}

#[test]
fn a_sample_with_unknown_ids() {
    let test = "id,size,weight,when,colour\n900,3,4.5,2024-01-01,red\n901,5,6.5,2024-02-01,blue\n";
    let sample = "id,y\n900,0.5\n7777,0.5\n";
    let files: [(&str, &[u8]); 3] = [
        ("train.csv", &table()),
        ("test.csv", test.as_bytes()),
        ("sample_submission.csv", sample.as_bytes()),
    ];
    refused(&files, &["--target", "y"], 5, &["7777"]);
}

#[test]
fn an_out_folder_that_is_not_ours() {
    let _machine = alone();
    let scratch = tempfile::tempdir().expect("a folder");
    let (data, out) = (scratch.path().join("train.csv"), scratch.path().join("mine"));
    std::fs::write(&data, table()).expect("written");
    std::fs::create_dir(&out).expect("made");
    std::fs::write(out.join("precious.txt"), "keep").expect("written");
    let output =
        ansatz(&["run", &data.display().to_string(), "--out", &out.display().to_string(), "--seconds", "5"]);
    assert_eq!(output.status.code(), Some(2), "{}", complaints(&output));
    assert!(complaints(&output).contains("hint: "));
    assert_eq!(std::fs::read_dir(&out).expect("readable").count(), 1);
}

fn survived(content: &[u8], arguments: &[&str], inspect: impl Fn(&serde_json::Value, &Path)) {
    let _machine = alone();
    let scratch = tempfile::tempdir().expect("a folder");
    let (data, out) = (scratch.path().join("train.csv"), scratch.path().join("run"));
    std::fs::write(&data, content).expect("written");
    let (data, out_text) = (data.display().to_string(), out.display().to_string());
    let fixed = ["run", &data, "--out", &out_text, "--no-memory", "--trials", "7", "--json", "-q"];
    let output = ansatz(&[&fixed[..], arguments].concat());
    assert_eq!(output.status.code(), Some(0), "{}", complaints(&output));
    inspect(&json(&output), &out);
}

fn warns(result: &serde_json::Value, word: &str) {
    let warnings = result["warnings"].to_string();
    assert!(warnings.contains(word), "`{word}` is not among the warnings: {warnings}");
}

#[test]
fn hostile_names_ragged_rows_and_empty_columns_are_survived() {
    let long = "x".repeat(10_000);
    let mut text = format!(
        "id,size,weight,\"<script>alert(1)</script>\",\"a\nb\",size,{long},__import__('os'),nothing,y\n"
    );
    for (row, line) in small_table(300).lines().skip(1).enumerate() {
        let fields: Vec<&str> = line.split(',').collect();
        let (size, weight, y) = (fields[1], fields[2], fields[5]);
        writeln!(text, "{row},{size},{weight},{size},{},{weight},{row},{},,{y}", row % 5, row % 3)
            .expect("a string");
        if row == 100 {
            writeln!(text, "{row},1,2").expect("a string");
        }
    }
    survived(text.as_bytes(), &["--target", "y"], |result, out| {
        warns(result, "nothing");
        warns(result, "size");
        let page = std::fs::read_to_string(out.join("report.html")).expect("a report");
        assert!(!page.contains("<script>alert"), "names are escaped in the report");
    });
}

#[test]
fn another_encoding_is_read_and_said() {
    let mut bytes = Vec::new();
    for (row, line) in small_table(300).lines().enumerate() {
        bytes.extend(line.replace("green", "gr\u{fc}n").chars().map(|letter| letter as u32 as u8));
        bytes.push(b'\n');
        let _ = row;
    }
    survived(&bytes, &["--target", "y"], |result, _| warns(result, "UTF-8"));
}
