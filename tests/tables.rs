//! A folder with more than one table: what lies in a second table is used when it helps, and does no harm when it does not.

#![allow(clippy::expect_used, reason = "a test that cannot go on should say where")]

mod common;

use common::{alone, ansatz, complaints, json};
use serde_json::Value;
use std::fmt::Write as _;
use std::path::Path;

/// A number from 0 to 1 that looks like chance.
fn chance(seed: u64) -> f64 {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d_4c95_7f2d;
    for _ in 0..3 {
        state ^= state >> 31;
        state = state.wrapping_mul(0xbf58_476d_1ce4_e5b9);
    }
    (state >> 11) as f64 / (1_u64 << 53) as f64
}

const TRAIN: u64 = 900;
const ROWS: u64 = 1100;

/// Training and test rows, each with a client of its own; `y` follows from what the closure says of a row.
fn write_rows(folder: &Path, score: impl Fn(u64) -> f64) {
    let (mut train, mut test) = ("id,client,x,y\n".to_owned(), "id,client,x\n".to_owned());
    for row in 0..ROWS {
        let (client, x) = (row * 7 % ROWS + 5000, chance(row) * 10.0);
        let y = u8::from(score(row) + 0.1 * chance(row + 77_000) > 0.55);
        if row < TRAIN {
            writeln!(train, "{row},{client},{x:.3},{y}").expect("written");
        } else {
            writeln!(test, "{row},{client},{x:.3}").expect("written");
        }
    }
    std::fs::write(folder.join("train.csv"), train).expect("written");
    std::fs::write(folder.join("test.csv"), test).expect("written");
}

/// What the row of that number is worth, as only its client's orders tell.
fn spent(row: u64) -> f64 {
    chance(row + 1_000_000)
}

fn run(data: &Path, out: &Path) -> Value {
    let (data, out) = (data.display().to_string(), out.display().to_string());
    let output = ansatz(&[
        "run",
        &data,
        "--target",
        "y",
        "--trials",
        "30",
        "--out",
        &out,
        "--no-memory",
        "--json",
        "-q",
    ]);
    assert_eq!(output.status.code(), Some(0), "{}", complaints(&output));
    json(&output)
}

fn score(result: &Value) -> f64 {
    result["holdout"]["score"].as_f64().expect("a score")
}

fn evidence(result: &Value, subject: &str) -> String {
    let verdicts = result["verdicts"].as_array().expect("verdicts");
    let told = verdicts.iter().filter(|verdict| verdict["subject"] == subject);
    told.map(|verdict| verdict["evidence"].as_str().unwrap_or_default()).collect::<Vec<_>>().join(" | ")
}

#[test]
fn a_signal_that_lies_in_a_second_table_is_found_and_predicts_new_rows() {
    let _machine = alone();
    let scratch = tempfile::tempdir().expect("a folder");
    let data = scratch.path().join("data");
    std::fs::create_dir(&data).expect("a folder");
    write_rows(&data, spent);
    // Some orders of each client, the last first, whose amounts add up to what the client is worth.
    let mut orders = "order,client,amount,kind\n".to_owned();
    for row in (0..ROWS).rev() {
        let count = 1 + row % 4;
        for part in 0..count {
            let amount = spent(row) * 100.0 / count as f64;
            let kind = ["book", "toy"][(row + part) as usize % 2];
            writeln!(orders, "{},{},{amount:.4},{kind}", row * 10 + part, row * 7 % ROWS + 5000)
                .expect("written");
        }
    }
    std::fs::write(data.join("orders.csv"), orders).expect("written");
    std::fs::write(data.join("notes.csv"), "word,meaning\na,b\nc,d\n").expect("written");
    let out = scratch.path().join("out");
    let result = run(&data, &out);
    let told = evidence(&result, "tables");
    assert!(told.contains("orders.csv is joined by `client` (several rows per key)"), "{told}");
    assert!(told.contains("notes.csv is not used"), "{told}");
    assert!(score(&result) > 0.95, "{}", result["holdout"]);
    // The reference knows the training file alone, in which there is nothing to find.
    let reference = result["baseline"]["score"].as_f64().expect("a score");
    assert!(
        reference < 0.65 && result["baseline"]["low"].as_f64().expect("a limit") > 0.2,
        "{}",
        result["baseline"]
    );
    let package = result["verdicts"].as_array().expect("verdicts").iter().find(|it| it["stage"] == "package");
    assert_eq!(package.expect("a verdict on the bundle")["passed"], true, "{package:?}");

    // New rows are joined with what was kept of the table.
    std::fs::remove_file(data.join("orders.csv")).expect("removed");
    let predicted =
        ansatz(&["predict", &out.display().to_string(), &data.join("test.csv").display().to_string()]);
    assert_eq!(predicted.status.code(), Some(0), "{}", complaints(&predicted));
    let text = String::from_utf8_lossy(&predicted.stdout).into_owned();
    let right = text.lines().skip(1).zip(TRAIN..ROWS).filter(|(line, row)| {
        let value: f64 = line.rsplit(',').next().and_then(|cell| cell.parse().ok()).expect("a number");
        (value > 0.5) == (spent(*row) > 0.5)
    });
    assert!(right.count() > 180, "{text}");
}

#[test]
fn a_useless_second_table_does_no_harm() {
    let _machine = alone();
    let scratch = tempfile::tempdir().expect("a folder");
    let data = scratch.path().join("data");
    std::fs::create_dir(&data).expect("a folder");
    // What decides is a noisy function of the row's own number.
    write_rows(&data, |row| 0.6 * chance(row) + 0.4 * chance(row + 9_000_000));
    let alone_result = run(&data, &scratch.path().join("alone"));
    let mut clients = "client,a,b,c,d,kind\n".to_owned();
    for client in 5000..5000 + ROWS {
        let [a, b, c, d] = [1, 2, 3, 4].map(|part| chance(client * 10 + part));
        let kind = ["p", "q", "r"][(chance(client * 10 + 5) * 3.0) as usize % 3];
        writeln!(clients, "{client},{a:.4},{b:.4},{c:.4},{d:.4},{kind}").expect("written");
    }
    std::fs::write(data.join("clients.csv"), clients).expect("written");
    // A table of which only training rows are part may know the answer: it is refused.
    let mut refunds = "client,refunded\n".to_owned();
    for row in 0..TRAIN {
        writeln!(refunds, "{},{}", row * 7 % ROWS + 5000, row % 3).expect("written");
    }
    std::fs::write(data.join("refunds.csv"), refunds).expect("written");
    let both = run(&data, &scratch.path().join("both"));
    let told = evidence(&both, "tables");
    assert!(told.contains("clients.csv is joined by `client` (one row per key): 5 columns"), "{told}");
    assert!(
        told.contains("refunds.csv is not used: it covers 100% of the training rows and 0% of the test rows"),
        "{told}"
    );
    let (before, after) = (score(&alone_result), score(&both));
    assert!(before > 0.7, "{before}");
    assert!(after > before - 0.02, "{before} without the table, {after} with it");
}
