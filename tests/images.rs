//! Images: a column of paths, and a folder of classes; generated pictures of two kinds are told apart.

#![allow(clippy::expect_used, reason = "a test that cannot go on should say where")]

mod common;

use common::{alone, ansatz, complaints, home, json, small_table, succeed};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Draws noisy pictures: discs or squares of any colour, anywhere. A row in `train.csv` or a folder tells which is which.
const DRAW: &str = r#"
import sys, pathlib
import numpy as np
from PIL import Image
root, layout = pathlib.Path(sys.argv[1]), sys.argv[2]
chance = np.random.default_rng(5)
rows, tests = ["id,file,shape"], ["id,file"]
for i in range(420):
    disc = bool(chance.integers(2))
    size, at = chance.integers(10, 16), chance.integers(18, 46, 2)
    y, x = np.indices((64, 64)) - at[:, None, None]
    inside = x * x + y * y < size * size if disc else (abs(x) < size * 0.886) & (abs(y) < size * 0.886)
    picture = chance.integers(0, 60, (64, 64, 3)).astype(np.uint8)
    picture[inside] = chance.integers(120, 255, 3)
    name = "disc" if disc else "square"
    is_test = i >= 360
    if layout == "classes":
        place = root / "test" / f"{name}-{i}.png" if is_test else root / "train" / name / f"{i}.png"
    else:
        place = root / "pictures" / f"{i}.{'jpg' if i % 3 else 'png'}"
        (tests if is_test else rows).append(f"{i},pictures/{place.name}" + ("" if is_test else f",{name}"))
    place.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(place)
    if is_test and layout != "classes":
        with open(root.parent / "truth.csv", "a") as file:
            file.write(f"{i},{name}\n")
if layout != "classes":
    (root / "train.csv").write_text("\n".join(rows) + "\n")
    (root / "test.csv").write_text("\n".join(tests) + "\n")
"#;

/// The worker's Python, the newest, made by a first run if need be.
fn python(scratch: &Path) -> PathBuf {
    std::fs::write(scratch.join("first.csv"), small_table(60)).expect("written");
    let first = scratch.join("first.csv").display().to_string();
    let out = scratch.join("first").display().to_string();
    let output = ansatz(&["run", &first, "--target", "y", "--dry-run", "--no-memory", "-q", "--out", &out]);
    assert_eq!(output.status.code(), Some(0), "{}", complaints(&output));
    let below = std::fs::read_dir(home().join("worker")).expect("environments").flatten();
    let found = below.map(|entry| entry.path().join("bin/python")).filter(|path| path.exists());
    let has_pillow = |python: &PathBuf| {
        Command::new(python).args(["-c", "import PIL"]).output().is_ok_and(|output| output.status.success())
    };
    found.into_iter().find(has_pillow).expect("a Python that reads images")
}

fn run(data: &Path, out: &Path, more: &[&str]) -> Value {
    let (data, out) = (data.display().to_string(), out.display().to_string());
    let fixed = ["run", &data, "--trials", "14", "--out", &out, "--no-memory", "--json", "-q"];
    let output = ansatz(&[&fixed[..], more].concat());
    assert_eq!(output.status.code(), Some(0), "{}", complaints(&output));
    json(&output)
}

#[test]
fn pictures_that_a_column_names_are_told_apart() {
    let _machine = alone();
    let scratch = tempfile::tempdir().expect("a folder");
    let data = scratch.path().join("data");
    std::fs::create_dir(&data).expect("a folder");
    succeed(Command::new(python(scratch.path())).args(["-c", DRAW]).arg(&data).arg("column"));
    let out = scratch.path().join("out");
    let result = run(&data, &out, &["--target", "shape", "--metric", "accuracy"]);
    assert!(result["holdout"]["score"].as_f64().is_some_and(|score| score > 0.8), "{}", result["holdout"]);
    let package = result["verdicts"].as_array().expect("verdicts").iter().find(|it| it["stage"] == "package");
    assert_eq!(package.expect("a verdict on the bundle")["passed"], true, "{package:?}");
    // New pictures lie beside the file that names them.
    let test = data.join("test.csv").display().to_string();
    let predicted = ansatz(&["predict", &out.display().to_string(), &test]);
    assert_eq!(predicted.status.code(), Some(0), "{}", complaints(&predicted));
    let truth = std::fs::read_to_string(scratch.path().join("truth.csv")).expect("the truth");
    let classes = String::from_utf8_lossy(&predicted.stdout).into_owned();
    let classes: Vec<&str> = classes.lines().skip(1).collect();
    assert_eq!(classes.len(), 60, "{classes:?}");
    let right = truth
        .lines()
        .zip(&classes)
        .filter(|(line, class)| line.rsplit(',').next() == class.rsplit(',').next());
    let share = right.count() as f64 / 60.0;
    assert!(share > 0.8, "{share}");
}

#[test]
fn a_folder_of_classes_is_a_task() {
    let _machine = alone();
    let scratch = tempfile::tempdir().expect("a folder");
    let data = scratch.path().join("data");
    std::fs::create_dir(&data).expect("a folder");
    succeed(Command::new(python(scratch.path())).args(["-c", DRAW]).arg(&data).arg("classes"));
    let out = scratch.path().join("out");
    let result = run(&data, &out, &["--metric", "accuracy"]);
    assert_eq!(result["task"]["target"], "class");
    assert!(result["holdout"]["score"].as_f64().is_some_and(|score| score > 0.8), "{}", result["holdout"]);
    let submission = std::fs::read_to_string(out.join("submission.csv")).expect("a submission");
    assert_eq!(submission.lines().count(), 61, "{submission}");
    // Each line names its picture, whose name tells what it shows.
    let right = submission.lines().skip(1).filter(|line| {
        let (path, class) = line.rsplit_once(',').expect("two cells");
        path.contains(&format!("test/{class}-"))
    });
    assert!(right.count() > 48, "{submission}");
}
