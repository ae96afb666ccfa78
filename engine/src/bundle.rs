//! The delivered model: a folder that predicts with plain Python and the lock file, without this program.
//!
//! The same code path (`ansatz_worker.bundle_predict`) serves `predict.py` on the user's machine and our own cells.

use crate::board::Board;
use crate::cells;
use crate::environment::{self, Environment};
use crate::error::RunError;
use crate::finalise::{Choice, Delivery};
use crate::folder::Folder;
use crate::record::Record;
use crate::setup::Prepared;
use ansatz_core::candidate::Solution;
use ansatz_core::task::{Problem, SubmissionKind, Task};
use ansatz_referee::decision::Decision;
use ansatz_sandbox::Launcher;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Name of the bundle's folder.
pub const FOLDER: &str = "model";
/// Rows of the user's own file on which the bundle is proved.
const PROOF_ROWS: usize = 200;
/// How far a proved prediction may lie from the delivered one, relative to its size.
pub const TOLERANCE: f64 = 1e-6;
/// Where the bundle is mounted in a cell.
pub const INSIDE: &str = "/in/bundle";

const PREDICT: &str = r#"#!/usr/bin/env python3
"""Predicts with this model: python predict.py INPUT.csv OUTPUT.csv

Needs Python 3.11 or later and the packages of requirements.lock (pip install --no-deps -r requirements.lock).
"""

import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "code"))

from ansatz_worker.bundle_predict import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main([str(HERE), *sys.argv[1:]]))
"#;

/// Writes the bundle to a folder, in the place of what is there.
///
/// # Errors
/// When the disk is full or a model file is missing.
pub fn write(
    place: &Path,
    folder: &Folder,
    record: &Record,
    prepared: &Prepared,
    delivery: &Delivery,
    decision: &Decision,
) -> Result<(), RunError> {
    let fresh = place.with_extension("part");
    let _ = std::fs::remove_dir_all(&fresh);
    let put = |name: &str, bytes: &[u8]| -> Result<(), RunError> {
        let path = fresh.join(name);
        let parent = path.parent().unwrap_or(&fresh);
        std::fs::create_dir_all(parent).map_err(|error| RunError::io("creating", parent, &error))?;
        std::fs::write(&path, bytes).map_err(|error| RunError::io("writing", &path, &error))
    };
    let mut members = Vec::new();
    for (index, part) in delivery.parts.iter().enumerate() {
        let name = format!("members/{index}.bin");
        let bytes = record.blobs.get(&part.model).map_err(|error| RunError::failed(error.to_string()))?;
        put(&name, &bytes)?;
        members.push(json!({"file": name, "weight": part.weight, "stage": part.stage}));
    }
    let task = prepared.setup.task();
    let description = json!({
        "format": 1,
        "members": members,
        "task": crate::protocol::TaskBrief::of(task),
        "target": task.target,
        "decision": decision,
        "classes": task.classes,
        "output": output(task),
        "clip": clip(task, prepared),
        "trained": delivery.trained,
    });
    put("bundle.json", description.to_string().as_bytes())?;
    put("schema.json", schema(folder, prepared)?.to_string().as_bytes())?;
    for number in 0.. {
        let name = crate::reader::joined_file(number);
        let Ok(bytes) = std::fs::read(folder.seal().join(&name)) else { break };
        put(&name, &bytes)?;
    }
    put("predict.py", PREDICT.as_bytes())?;
    put("requirements.lock", environment::lock_text())?;
    for (name, content) in environment::source_files() {
        put(&format!("code/{name}"), content)?;
    }
    let _ = std::fs::remove_dir_all(place);
    std::fs::rename(&fresh, place).map_err(|error| RunError::io("writing", place, &error))
}

/// Bytes of a bundle beside its models and its schema: the code that reads files and asks the models.
pub fn fixed_bytes() -> u64 {
    let code: usize = environment::source_files().map(|(_, content)| content.len()).sum();
    (code + environment::lock_text().len() + PREDICT.len()) as u64
}

/// Writes `solution/`: the code and the parameters of what was chosen, for people to read.
///
/// # Errors
/// When the disk is full or broken.
pub fn write_solution(folder: &Folder, board: &Board, choice: &Choice) -> Result<(), RunError> {
    let mut members = Vec::new();
    for member in &choice.members {
        let Some(entry) = board.entries.get(&member.id) else { continue };
        let name = entry.candidate.solution.name();
        let file = format!("{name}.py");
        let source = match &entry.candidate.solution {
            Solution::Builtin(name) => environment::source_files()
                .find(|(path, _)| *path == format!("ansatz_worker/solutions/{name}.py"))
                .map(|(_, content)| content.to_vec()),
            Solution::Source { code, .. } => Some(code.clone().into_bytes()),
        };
        if let Some(source) = source {
            folder.write(&format!("solution/{file}"), &source)?;
        }
        members.push(json!({
            "solution": name,
            "file": file,
            "params": entry.candidate.params,
            "weight": member.weight,
            "stage": member.stage,
        }));
    }
    let text = serde_json::to_vec_pretty(&json!({"members": members, "decision": choice.decision}))
        .map_err(|error| RunError::failed(error.to_string()))?;
    folder.write("solution/members.json", &text).map(drop)
}

fn output(task: &Task) -> Value {
    match &task.submission {
        Some(format) => json!({"id": format.id, "columns": format.columns, "kind": format.kind}),
        None if task.problem == Problem::Regression => {
            json!({"id": task.id, "columns": [task.target], "kind": SubmissionKind::Value})
        }
        None => json!({"id": task.id, "columns": [task.target], "kind": SubmissionKind::Label}),
    }
}

/// Predictions of values that are never negative are not negative either.
fn clip(task: &Task, prepared: &Prepared) -> Value {
    let bounded =
        task.problem == Problem::Regression && prepared.ids.target_min.is_some_and(|low| low >= 0.0);
    if bounded { json!([0.0, null]) } else { Value::Null }
}

/// How cells are read, as the reader wrote it down; leaks are left out.
fn schema(folder: &Folder, prepared: &Prepared) -> Result<Value, RunError> {
    let mut schema: Value = folder.json("seal/schema.json")?;
    if let Some(columns) = schema["columns"].as_array_mut() {
        columns.retain(|column| !prepared.setup.leaks.iter().any(|leak| column["name"] == json!(leak)));
    }
    Ok(schema)
}

/// Whether a bundle's model looks at images that cells name.
fn looks_at_images(bundle: &Path) -> bool {
    let schema = std::fs::read(bundle.join("schema.json")).ok();
    let schema: Option<Value> = schema.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    schema.is_some_and(|schema| schema["images"].as_array().is_some_and(|columns| !columns.is_empty()))
}

/// Runs a bundle on a CSV file in a fresh cell, with the folder of the images that it names; gives the CSV that it writes.
///
/// # Errors
/// When the bundle does not load or refuses the file; the message is its last line.
pub fn apply(
    launcher: &Launcher,
    environment: &Environment,
    bundle: &Path,
    input: &Path,
    images: Option<&Path>,
    limit: Duration,
) -> Result<Vec<u8>, RunError> {
    let (inside, mounts) = placed(bundle, input, images);
    let arguments =
        ["-m", "ansatz_worker", "apply", INSIDE, &inside, "/out/predictions.csv"].map(String::from);
    let cell = cells::start_command(launcher, environment, "apply", &arguments, mounts)?;
    let ended = cell.wait(limit);
    let report = cell.stop(Duration::ZERO);
    if !ended {
        return Err(RunError::failed(format!("predicting took longer than {:.0} s", limit.as_secs_f64())));
    }
    if report.verdict != ansatz_sandbox::Verdict::Ok {
        let log = cell.log().text();
        let line =
            log.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing").to_owned();
        let message = line.strip_prefix("error: ").unwrap_or(&line).to_owned();
        return Err(RunError::data(message));
    }
    cell.collect("predictions.csv", 8 << 30)
        .map_err(|error| RunError::failed(format!("predictions: {error}")))
}

/// Where a cell finds the file that a bundle is to predict, and what is mounted for it: the bundle at [`INSIDE`], the file, and
/// the images that it names, where the bundle's model looks at them.
pub fn placed(bundle: &Path, input: &Path, images: Option<&Path>) -> (String, Vec<(PathBuf, PathBuf)>) {
    let name =
        input.file_name().map_or_else(|| "input.csv".into(), |name| name.to_string_lossy().into_owned());
    let inside = format!("/in/user/{}", safe(&name));
    let mut mounts =
        vec![(bundle.to_path_buf(), PathBuf::from(INSIDE)), (input.to_path_buf(), PathBuf::from(&inside))];
    if let Some(images) = images.filter(|_| looks_at_images(bundle)) {
        mounts.push((images.to_path_buf(), PathBuf::from("/in/images")));
    }
    (inside, mounts)
}

/// A file name that is safe inside a cell: its ending is kept, since it tells the format.
fn safe(name: &str) -> String {
    let ending = name.rsplit_once('.').map_or("csv", |(_, ending)| ending);
    let ending: String = ending.chars().filter(char::is_ascii_alphanumeric).take(8).collect();
    format!("input.{}", if ending.is_empty() { "csv" } else { &ending })
}

/// Proves the bundle: in a clean cell it loads and gives, for the first test rows, what was submitted. Returns the
/// evidence.
///
/// # Errors
/// When it does not load, or its predictions differ.
pub fn prove(
    folder: &Folder,
    launcher: &Launcher,
    environment: &Environment,
    prepared: &Prepared,
    limit: Duration,
) -> Result<String, RunError> {
    let has_test = prepared.table.test_rows > 0;
    let source = source_file(folder, if has_test { "test" } else { "train" })?;
    let images = Some(folder.input().join("images")).filter(|images| images.is_dir());
    let got = apply(launcher, environment, &folder.path(FOLDER), &source, images.as_deref(), limit)?;
    let got =
        String::from_utf8(got).map_err(|_| RunError::failed("the bundle's predictions are not text"))?;
    if !has_test {
        let rows = got.lines().count().saturating_sub(1);
        return Ok(format!("loads in a clean cell and predicts {rows} training rows"));
    }
    let submitted = folder.read(crate::submission::FILE)?;
    let submitted = String::from_utf8_lossy(&submitted).into_owned();
    compare(&submitted, &got)
}

/// The snapshot of the training or the test file.
///
/// # Errors
/// It is gone.
pub fn source_file(folder: &Folder, role: &str) -> Result<PathBuf, RunError> {
    let entries = std::fs::read_dir(folder.input())
        .map_err(|error| RunError::io("reading", &folder.input(), &error))?;
    entries
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .find(|path| {
            path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&format!("{role}.")))
        })
        .ok_or_else(|| RunError::failed(format!("the snapshot of {role} is gone")))
}

/// Compares lines by their first field (the id) and the other fields by value.
fn compare(submitted: &str, got: &str) -> Result<String, RunError> {
    let rows = |text: &str| -> std::collections::BTreeMap<String, String> {
        text.lines()
            .skip(1)
            .filter_map(|line| line.split_once(',').map(|(id, rest)| (id.to_owned(), rest.to_owned())))
            .collect()
    };
    let (submitted, got) = (rows(submitted), rows(got));
    let mut worst = 0.0_f64;
    let mut compared = 0;
    for (id, wanted) in submitted.iter().take(PROOF_ROWS) {
        let Some(found) = got.get(id) else {
            return Err(RunError::failed(format!("the bundle gives no prediction for id {id}")));
        };
        compared += 1;
        for (a, b) in wanted.split(',').zip(found.split(',')) {
            match (a.parse::<f64>(), b.parse::<f64>()) {
                (Ok(a), Ok(b)) => worst = worst.max((a - b).abs() / a.abs().max(1.0)),
                _ if a == b => {}
                _ => return Err(RunError::failed(format!("id {id}: submitted {a}, the bundle says {b}"))),
            }
        }
    }
    if worst > TOLERANCE {
        return Err(RunError::failed(format!("predictions differ by {worst:.2e} from those submitted")));
    }
    Ok(format!(
        "loads in a clean cell; {compared} predictions equal those submitted (largest difference {worst:.1e})"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_predictions_are_proof_and_different_ones_are_not() {
        assert!(compare("id,y\n1,0.5\n2,0.25\n", "id,y\n2,0.25\n1,0.5000000001\n").is_ok());
        assert!(compare("id,y\n1,0.5\n", "id,y\n1,0.6\n").is_err());
        assert!(compare("id,y\n1,a\n", "id,y\n1,b\n").is_err());
        assert!(compare("id,y\n1,a\n", "id,y\n2,a\n").is_err());
    }

    #[test]
    fn names_inside_cells_are_ours() {
        assert_eq!(safe("we ird\n.parquet"), "input.parquet");
        assert_eq!(safe("none"), "input.csv");
    }
}
