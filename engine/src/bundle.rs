//! The delivered model: a folder that predicts with plain Python and the lock file, without this program.
//!
//! The same code path (`ansatz_worker.bundle_predict`) serves `predict.py` on the user's machine and our own cells.

use crate::board::Board;
use crate::cells;
use crate::environment::{self, Environment};
use crate::error::RunError;
use crate::finalise::{Choice, Delivery};
use crate::folder::Folder;
use crate::limits::Site;
use crate::record::Record;
use crate::setup::Prepared;
use ansatz_core::candidate::Solution;
use ansatz_core::matrix::Matrix;
use ansatz_core::metric::PredictionKind;
use ansatz_core::task::{Problem, SubmissionKind, Task};
use ansatz_referee::decision::Decision;
use ansatz_sandbox::{Cell, Launcher};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Name of the bundle's folder.
pub const FOLDER: &str = "model";
/// Rows of the user's own file on which the bundle is proved.
pub const PROOF_ROWS: usize = 200;
/// How far a proved prediction may lie from the delivered one, relative to its size.
pub const TOLERANCE: f64 = 1e-6;
/// Where the bundle is mounted in a cell.
const INSIDE: &str = "/in/bundle";
/// Where a cell finds the code that a bundle brings along.
const CODE_INSIDE: &str = "/in/bundle/code";

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
        "clip": value_min(task, prepared).map(|low| json!([low, null])),
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

/// Writes `solution/`: the code and the parameters of what was chosen, for people to read, and how many models of each member
/// were delivered.
///
/// # Errors
/// When the disk is full or broken.
pub fn write_solution(
    folder: &Folder,
    board: &Board,
    choice: &Choice,
    delivery: &Delivery,
) -> Result<(), RunError> {
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
            "models": delivery.parts.iter().filter(|part| part.member == member.id).count(),
        }));
    }
    let text = serde_json::to_vec_pretty(&json!({"members": members, "decision": choice.decision}))
        .map_err(|error| RunError::failed(error.to_string()))?;
    folder.write("solution/members.json", &text).map(drop)
}

/// What a bundle writes for each row, behind the row's id where the task has an id column. Where a test file came with the
/// task it is what the submission wants. Elsewhere it is one column under the target's name, which holds the value or the
/// class; under a metric that reads probabilities they follow, in columns called `probability_` and the class: of every
/// class, or of the positive one alone where there are two.
fn output(task: &Task) -> Value {
    if let Some(format) = &task.submission {
        return json!({"id": format.id, "columns": format.columns, "kind": format.kind});
    }
    let is_value = task.problem == Problem::Regression;
    let kind = if is_value { SubmissionKind::Value } else { SubmissionKind::Label };
    let probabilities: Vec<String> =
        told_classes(task).iter().map(|class| format!("probability_{class}")).collect();
    json!({"id": task.id, "columns": [task.target], "kind": kind, "probabilities": probabilities})
}

/// The classes whose probabilities are told beside a label: the last ones, as many as there are columns of predictions.
fn told_classes(task: &Task) -> &[String] {
    let is_told = task.problem.is_classification() && task.metric.reads == PredictionKind::Probability;
    let told = if is_told { task.outputs() } else { 0 };
    &task.classes[task.classes.len().saturating_sub(told)..]
}

/// The cells that a bundle must write for these predictions where no submission says otherwise, the id left out.
fn cells(task: &Task, predictions: &Matrix, decision: &Decision, low: Option<f64>) -> Vec<Vec<String>> {
    if task.problem == Problem::Regression {
        let values = decision.apply(predictions);
        let bounded = |value: &f64| low.map_or(*value, |low| value.max(low));
        return values.data().iter().map(|value| vec![bounded(value).to_string()]).collect();
    }
    let (labels, probabilities) = (decision.labels(predictions), decision.probabilities(predictions));
    let silent = predictions.columns() - told_classes(task).len();
    let row = |(row, label): (usize, &f64)| {
        let label = task.classes.get(*label as usize).cloned().unwrap_or_default();
        let told = probabilities.row(row)[silent..].iter().map(f64::to_string);
        std::iter::once(label).chain(told).collect::<Vec<String>>()
    };
    labels.data().iter().enumerate().map(row).collect()
}

/// Predictions of values that are never negative are not negative either.
fn value_min(task: &Task, prepared: &Prepared) -> Option<f64> {
    let is_bounded =
        task.problem == Problem::Regression && prepared.ids.target_min.is_some_and(|low| low >= 0.0);
    is_bounded.then_some(0.0)
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

/// Starts a cell in which a bundle does something with a file, `python -m ansatz_worker ROLE BUNDLE FILE` and what follows,
/// with the folder of the images that the file names.
///
/// # Errors
/// When no cell can be started; of kind `Sandbox` when the host cannot give one.
pub fn start(
    launcher: &Launcher,
    environment: &Environment,
    role: &str,
    bundle: &Path,
    input: &Path,
    images: Option<&Path>,
    further: &[String],
) -> Result<Cell, RunError> {
    let (inside, mounts) = placed(bundle, input, images);
    let mut arguments = ["-m", "ansatz_worker", role, INSIDE, &inside].map(String::from).to_vec();
    arguments.extend_from_slice(further);
    cells::start_command(launcher, environment, role, code_of(bundle), &arguments, mounts)
}

/// Where a cell finds the code by which a bundle's models are loaded: what the bundle brings along, since its models were
/// made by that; this program's own where it brings none.
fn code_of(bundle: &Path) -> &'static str {
    let brings_code = bundle.join("code/ansatz_worker/__main__.py").is_file();
    if brings_code { CODE_INSIDE } else { cells::SOURCE }
}

/// Runs a bundle on a CSV file in a fresh cell, with the folder of the images that it names; gives the CSV that it writes, of
/// the first `rows_max` rows where that is given.
///
/// # Errors
/// When the bundle does not load or refuses the file; the message is its last line.
pub fn apply(
    launcher: &Launcher,
    environment: &Environment,
    bundle: &Path,
    input: &Path,
    images: Option<&Path>,
    rows_max: Option<usize>,
    limit: Duration,
) -> Result<Vec<u8>, RunError> {
    let mut further = vec!["/out/predictions.csv".to_owned()];
    further.extend(rows_max.map(|rows| rows.to_string()));
    let cell = start(launcher, environment, "apply", bundle, input, images, &further)?;
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
fn placed(bundle: &Path, input: &Path, images: Option<&Path>) -> (String, Vec<(PathBuf, PathBuf)>) {
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

/// Proves the bundle: in a clean cell it loads and gives what was delivered, for rows of the test file what was submitted,
/// without one for rows of the training file what was predicted of them when the models were trained. Returns the evidence.
///
/// # Errors
/// When it does not load, its predictions differ, or nothing could be compared.
pub fn prove(
    site: &Site<'_>,
    delivery: &Delivery,
    decision: &Decision,
    limit: Duration,
) -> Result<String, RunError> {
    let (folder, task) = (site.folder, site.prepared.setup.task());
    let role = if site.prepared.table.test_rows > 0 { "test" } else { "train" };
    let source = source_file(folder, role)?;
    let images = Some(folder.input().join("images")).filter(|images| images.is_dir());
    let bundle = folder.path(FOLDER);
    // Of the training file no more was predicted when the models were trained.
    let rows_max = (role == "train").then_some(PROOF_ROWS);
    let got = apply(site.launcher, site.environment, &bundle, &source, images.as_deref(), rows_max, limit)?;
    let got =
        String::from_utf8(got).map_err(|_| RunError::failed("the bundle's predictions are not text"))?;
    let is_whole = !has_parts(folder, role);
    let Some(format) = &task.submission else {
        let has_id = task.id.is_some();
        let without_id =
            |record: Vec<String>| -> Vec<String> { record.into_iter().skip(usize::from(has_id)).collect() };
        let got = records(&got).into_iter().skip(1).map(without_id);
        let wanted = cells(task, &delivery.test, decision, value_min(task, site.prepared));
        return compare(&keyed(wanted, false), &keyed(got, false), is_whole);
    };
    let submitted = folder.read(crate::submission::FILE)?;
    let by_key = |text: &str| keyed(records(text).into_iter().skip(1), format.id.is_some());
    compare(&by_key(&String::from_utf8_lossy(&submitted)), &by_key(&got), is_whole)
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

/// Whether the snapshot of a file has further parts, which a bundle is not asked about.
fn has_parts(folder: &Folder, role: &str) -> bool {
    let mut entries = std::fs::read_dir(folder.input()).into_iter().flatten().filter_map(Result::ok);
    entries.any(|entry| entry.file_name().to_string_lossy().starts_with(&format!("{role}-")))
}

/// The records of a CSV text whose lines end in a line feed, fields without their quotes.
fn records(text: &str) -> Vec<Vec<String>> {
    let (mut records, mut record, mut field) = (Vec::new(), Vec::new(), String::new());
    let mut is_quoted = false;
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' if is_quoted && letters.peek() == Some(&'"') => field.extend(letters.next()),
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => record.push(std::mem::take(&mut field)),
            '\n' if !is_quoted => {
                record.push(std::mem::take(&mut field));
                records.push(std::mem::take(&mut record));
            }
            other => field.push(other),
        }
    }
    records
}

/// Fields by the first one, the id, in the order of the records; by the number of the line where there is no id.
type Keyed = BTreeMap<String, Vec<Vec<String>>>;

fn keyed(records: impl IntoIterator<Item = Vec<String>>, has_id: bool) -> Keyed {
    let mut found = Keyed::new();
    for (number, mut record) in records.into_iter().enumerate() {
        let key = if has_id && !record.is_empty() { record.remove(0) } else { (number + 1).to_string() };
        found.entry(key).or_default().push(record);
    }
    found
}

/// Compares what a bundle gives with what was delivered: numbers by size, all else by letter. Where the bundle was not asked
/// about the whole, what it does not give is passed over.
fn compare(delivered: &Keyed, got: &Keyed, is_whole: bool) -> Result<String, RunError> {
    let mut worst = 0.0_f64;
    let mut compared = 0;
    for (key, wanted) in delivered {
        let Some(found) = got.get(key) else {
            if is_whole {
                return Err(RunError::failed(format!("the bundle gives no prediction for row {key}")));
            }
            continue;
        };
        // A row of the test file may answer several wishes for its id.
        for (place, wanted) in wanted.iter().enumerate() {
            let found = found.get(place).or(found.last()).map_or(&[][..], Vec::as_slice);
            let Some(distance) = distance(wanted, found) else {
                let (wanted, found) = (wanted.join(","), found.join(","));
                return Err(RunError::failed(format!(
                    "row {key}: delivered was {wanted}, the bundle says {found}"
                )));
            };
            worst = worst.max(distance);
            compared += 1;
        }
        if compared >= PROOF_ROWS {
            break;
        }
    }
    if compared == 0 {
        return Err(RunError::failed("no prediction of the bundle could be compared with one delivered"));
    }
    if worst > TOLERANCE {
        return Err(RunError::failed(format!("predictions differ by {worst:.2e} from those delivered")));
    }
    Ok(format!(
        "loads in a clean cell; {compared} predictions equal those delivered (largest difference {worst:.1e})"
    ))
}

/// How far two rows lie apart at most, relative to the size of their numbers; `None` where they are different in words.
fn distance(wanted: &[String], found: &[String]) -> Option<f64> {
    if wanted.len() != found.len() {
        return None;
    }
    let mut worst = 0.0_f64;
    for (a, b) in wanted.iter().zip(found) {
        match (a.parse::<f64>(), b.parse::<f64>()) {
            _ if a == b => {}
            (Ok(a), Ok(b)) if a.is_finite() && b.is_finite() => {
                worst = worst.max((a - b).abs() / a.abs().max(1.0));
            }
            _ => return None,
        }
    }
    Some(worst)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ansatz_core::task::{Constraints, SubmissionFormat};

    fn task(problem: Problem, metric: &str, classes: &[&str]) -> Task {
        Task {
            name: "t".into(),
            request: String::new(),
            problem,
            target: "y".into(),
            id: Some("key".into()),
            metric: ansatz_referee::metrics::lookup(metric).unwrap().spec().clone(),
            classes: classes.iter().map(|&class| class.to_owned()).collect(),
            constraints: Constraints::default(),
            submission: None,
            inferred: Vec::new(),
        }
    }

    fn compared(delivered: &str, got: &str, has_id: bool, is_whole: bool) -> Result<String, String> {
        let by_key = |text: &str| keyed(records(text).into_iter().skip(1), has_id);
        compare(&by_key(delivered), &by_key(got), is_whole).map_err(|error| error.message)
    }

    #[test]
    fn equal_predictions_are_proof_and_different_ones_are_not() {
        let by_id = |delivered, got| compared(delivered, got, true, true);
        assert_eq!(
            by_id("id,y\n1,0.5\n2,0.25\n", "id,y\n2,0.25\n1,0.5000000001\n").unwrap(),
            "loads in a clean cell; 2 predictions equal those delivered (largest difference 1.0e-10)"
        );
        assert!(by_id("id,y\n1,0.5\n", "id,y\n1,0.6\n").unwrap_err().starts_with("predictions differ by 1"));
        assert_eq!(
            by_id("id,y\n1,a\n", "id,y\n1,b\n").unwrap_err(),
            "row 1: delivered was a, the bundle says b"
        );
        assert!(by_id("id,y\n1,a\n", "id,y\n2,a\n").unwrap_err().contains("no prediction for row 1"));
        assert!(by_id("id,y\n1,0.5\n", "id,y\n1,nan\n").is_err());
        assert!(by_id("id,y,z\n1,0.5,0.5\n", "id,y,z\n1,0.5\n").is_err(), "a cell is missing");
        assert!(by_id("id,y\n\"1,5\",\"a \"\"b\"\"\"\n", "id,y\n\"1,5\",\"a \"\"b\"\"\"\n").is_ok());
        assert!(by_id("id,y\n\"1,5\",\"a,c\"\n", "id,y\n\"1,5\",\"a,d\"\n").is_err());
        // Ids that occur several times are answered in order.
        assert!(by_id("id,y\n1,0.5\n1,0.7\n", "id,y\n1,0.5\n1,0.7\n").is_ok());
        assert!(by_id("id,y\n1,0.5\n1,0.7\n", "id,y\n1,0.7\n1,0.5\n").is_err());
    }

    #[test]
    fn without_an_id_the_line_counts() {
        let by_line = |delivered, got| compared(delivered, got, false, true);
        assert!(by_line("y\n0.5\n0.25\n", "y\n0.5\n0.25\n").is_ok());
        assert!(by_line("y\n0.5\n0.25\n", "y\n0.25\n0.5\n").is_err());
        assert!(by_line("y\na\n", "y\nb\n").is_err());
        assert!(by_line("y\na\nb\n", "y\na\n").is_err(), "a line is missing");
        assert!(compared("y\na\nb\n", "y\na\n", false, false).is_ok(), "it is of another part of the file");
    }

    #[test]
    fn nothing_compared_is_no_proof() {
        for (delivered, got) in [("y\n", "y\n"), ("y\n", "y\n0.5\n"), ("", "")] {
            assert!(compared(delivered, got, false, true).unwrap_err().contains("could be compared"));
        }
        assert!(compared("id,y\n1,0.5\n", "id,y\n2,0.5\n", true, false).is_err());
    }

    #[test]
    fn without_a_test_file_a_metric_of_probabilities_gets_them_beside_the_label() {
        let two = task(Problem::Binary, "roc_auc", &["no", "yes"]);
        let told = json!({
            "id": "key", "columns": ["y"], "kind": "label", "probabilities": ["probability_yes"]
        });
        assert_eq!(output(&two), told);
        let raw = Matrix::column(vec![0.25, 0.75]);
        let rows = cells(&two, &raw, &Decision::AsIs, None);
        assert_eq!(rows, [["no", "0.25"], ["yes", "0.75"]]);
        let sharper = cells(&two, &raw, &Decision::Temperature { value: 0.5 }, None);
        assert_eq!(sharper[1], ["yes", "0.9"]);

        let three = task(Problem::Multiclass, "log_loss", &["a", "b", "c"]);
        let columns = json!(["probability_a", "probability_b", "probability_c"]);
        assert_eq!(output(&three)["probabilities"], columns);
        let raw = Matrix::new(1, 3, vec![0.25, 0.5, 0.25]).unwrap();
        assert_eq!(cells(&three, &raw, &Decision::AsIs, None), [["b", "0.25", "0.5", "0.25"]]);
    }

    #[test]
    fn labels_values_and_submissions_stay_what_they_are() {
        let labels = task(Problem::Multiclass, "accuracy", &["a", "b", "c"]);
        assert_eq!(output(&labels)["probabilities"], json!([]));
        let raw = Matrix::new(1, 3, vec![0.25, 0.5, 0.25]).unwrap();
        let weighted = Decision::Argmax { weights: vec![4.0, 1.0, 1.0] };
        assert_eq!(cells(&labels, &raw, &weighted, None), [["a"]]);

        let values = task(Problem::Regression, "rmse", &[]);
        assert_eq!(
            (&output(&values)["kind"], &output(&values)["probabilities"]),
            (&json!("value"), &json!([]))
        );
        let raw = Matrix::column(vec![-1.5, 2.0]);
        assert_eq!(cells(&values, &raw, &Decision::AsIs, Some(0.0)), [["0"], ["2"]]);
        assert_eq!(cells(&values, &raw, &Decision::AsIs, None), [["-1.5"], ["2"]]);

        let submission = SubmissionFormat {
            id: Some("key".into()),
            columns: vec!["p".into()],
            kind: SubmissionKind::Probability,
        };
        let asked = Task { submission: Some(submission), ..task(Problem::Binary, "roc_auc", &["0", "1"]) };
        assert_eq!(output(&asked), json!({"id": "key", "columns": ["p"], "kind": "probability"}));
    }

    #[test]
    fn a_bundle_is_applied_by_its_own_code_where_it_brings_any() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(code_of(folder.path()), cells::SOURCE);
        let package = folder.path().join("code/ansatz_worker");
        std::fs::create_dir_all(&package).unwrap();
        assert_eq!(code_of(folder.path()), cells::SOURCE, "an empty folder is no code");
        std::fs::write(package.join("__main__.py"), "").unwrap();
        assert_eq!(code_of(folder.path()), CODE_INSIDE);
        let (_, mounts) = placed(folder.path(), Path::new("new.csv"), None);
        let holds_code = |(source, target): &(PathBuf, PathBuf)| {
            source == folder.path() && target.join("code") == Path::new(CODE_INSIDE)
        };
        assert!(mounts.iter().any(holds_code));
        // What is written into a bundle is laid out that way.
        assert!(environment::source_files().any(|(name, _)| name == "ansatz_worker/__main__.py"));
    }

    #[test]
    fn names_inside_cells_are_ours() {
        assert_eq!(safe("we ird\n.parquet"), "input.parquet");
        assert_eq!(safe("none"), "input.csv");
    }
}
