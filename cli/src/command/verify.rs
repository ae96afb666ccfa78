//! `ansatz verify RUN`: proves again, in a clean cell, that the delivered model gives what was submitted.

use super::Session;
use crate::console;
use crate::csv;
use crate::engine;
use crate::exit::{Exit, Failure};
use ansatz_core::outcome::RunResult;
use ansatz_report::number::counted;
use ansatz_report::text;
use clap::Args;
use serde_json::json;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// How far two predictions may lie apart and be called equal, relative to their size.
const TOLERANCE: f64 = 1e-6;

/// Name of the file that was submitted.
const SUBMISSION: &str = "submission.csv";

#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct VerifyArgs {
    /// Folder or id of the run
    run: String,
}

/// Carries out `verify`.
///
/// # Errors
/// There is no such run or nothing to verify, or the predictions differ.
pub fn execute(args: &VerifyArgs, session: &Session) -> Result<Exit, Failure> {
    let run = session.read_run(&args.run)?;
    let result = run.result()?;
    let input = input_file(&run.folder, result)?;
    let prediction =
        engine::predict(&run.folder, &session.home()?, &input, &mut |line| session.note_set_up(&line))?;
    let found = String::from_utf8_lossy(&prediction.csv).into_owned();
    let path = run.folder.join(SUBMISSION);
    let evidence = if path.is_file() {
        let submitted =
            std::fs::read_to_string(&path).map_err(|error| Failure::io("reading", &path, &error))?;
        let id = result.task.as_ref().and_then(|task| task.id.as_deref());
        same(&csv::records(&submitted), &csv::records(&found), id)
            .map_err(|why| Failure::new(Exit::Failed, why))?
    } else {
        format!(
            "the model loads in a clean cell and predicts {}",
            counted(prediction.rows as u64, "row", "rows")
        )
    };
    if session.is_json {
        console::json(&json!({"run": result.run, "verified": true, "evidence": evidence}))?;
    } else {
        console::result(&format!("verified: {evidence}\n"));
    }
    Ok(Exit::Ok)
}

/// The run's own copy of the test file, or of the training file where there was no test.
fn input_file(folder: &Path, result: &RunResult) -> Result<PathBuf, Failure> {
    let entries = std::fs::read_dir(folder.join("input")).into_iter().flatten().filter_map(Result::ok);
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(|path| path.is_file()).collect();
    files.sort();
    let named =
        |role: &str| files.iter().find(|path| path.file_stem().is_some_and(|stem| stem == role)).cloned();
    named("test").or_else(|| named("train")).ok_or_else(|| {
        Failure::usage(format!("run {} has no copy of its data to verify with", text::name(&result.run)))
            .hint("a run that was refused or cleared cannot be verified")
    })
}

/// Compares predictions row by row: by id where both have that column, else by place.
fn same(submitted: &[Vec<String>], found: &[Vec<String>], id: Option<&str>) -> Result<String, String> {
    let (Some(header), Some(other)) = (submitted.first(), found.first()) else {
        return Err("there are no predictions to compare".into());
    };
    if header != other {
        return Err(format!("the columns differ: {} and {}", header.join(","), other.join(",")));
    }
    if submitted.len() != found.len() {
        let (a, b) = (submitted.len() - 1, found.len() - 1);
        return Err(format!("{a} rows were submitted and {b} are predicted"));
    }
    let place = id.and_then(|id| header.iter().position(|name| name == id));
    let key = |number: usize, row: &[String]| {
        place.and_then(|place| row.get(place)).cloned().unwrap_or_else(|| number.to_string())
    };
    let predicted: BTreeMap<String, &Vec<String>> =
        found[1..].iter().enumerate().map(|(number, row)| (key(number, row), row)).collect();
    let mut worst = 0.0_f64;
    for (number, row) in submitted[1..].iter().enumerate() {
        let id = key(number, row);
        let Some(again) = predicted.get(&id) else {
            return Err(format!("row {} is not predicted", text::name(&id)));
        };
        for (a, b) in row.iter().zip(*again) {
            let distance = distance(a, b);
            if distance > TOLERANCE {
                let (a, b) = (text::name(a), text::name(b));
                return Err(format!("row {}: {a} was submitted and {b} is predicted", text::name(&id)));
            }
            worst = worst.max(distance);
        }
    }
    let rows = counted(submitted.len() as u64 - 1, "prediction equals", "predictions equal");
    Ok(format!("the model loads in a clean cell; {rows} what was submitted (largest difference {worst:.1e})"))
}

/// How far two cells lie apart, relative to their size; infinitely far when they are different words.
fn distance(a: &str, b: &str) -> f64 {
    match (a.parse::<f64>(), b.parse::<f64>()) {
        _ if a == b => 0.0,
        (Ok(a), Ok(b)) if a.is_finite() && b.is_finite() => (a - b).abs() / a.abs().max(1.0),
        _ => f64::INFINITY,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn check(submitted: &str, found: &str, expected: &Expect) {
        let said = same(&csv::records(submitted), &csv::records(found), Some("id"));
        expected.assert_eq(&said.unwrap_or_else(|why| format!("error: {why}")));
    }

    #[test]
    fn equal_predictions_are_proof_in_any_order() {
        check(
            "id,y\n1,0.5\n2,a\n",
            "id,y\n2,a\n1,0.5000000001\n",
            &expect![
                "the model loads in a clean cell; 2 predictions equal what was submitted (largest difference 1.0e-10)"
            ],
        );
    }

    #[test]
    fn every_difference_is_named() {
        check(
            "id,y\n1,0.5\n",
            "id,y\n1,0.6\n",
            &expect!["error: row `1`: `0.5` was submitted and `0.6` is predicted"],
        );
        check("id,y\n1,0.5\n", "id,y\n2,0.5\n", &expect!["error: row `1` is not predicted"]);
        check(
            "id,y\n1,nan\n",
            "id,y\n1,0.5\n",
            &expect!["error: row `1`: `nan` was submitted and `0.5` is predicted"],
        );
        check("id,y\n1,0.5\n", "id,z\n1,0.5\n", &expect!["error: the columns differ: id,y and id,z"]);
        check("id,y\n1,0.5\n", "id,y\n", &expect!["error: 1 rows were submitted and 0 are predicted"]);
        check("", "", &expect!["error: there are no predictions to compare"]);
    }
}
