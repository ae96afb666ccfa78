//! Holds what the folder list promises: layers, one outside technology per crate, a first line in every file.

#![allow(clippy::expect_used, reason = "a test that cannot go on should say where")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Crates by layer; a crate imports only from lower layers. ARCHITECTURE.md explains them.
const LAYERS: &[(&str, u8)] = &[
    ("core", 0),
    ("planner", 1),
    ("journal", 1),
    ("llm", 1),
    ("fetch", 1),
    ("memory", 1),
    ("sandbox", 1),
    ("referee", 1),
    ("prompts", 2),
    ("trace", 2),
    ("tuner", 2),
    ("report", 2),
    ("sources", 2),
    ("agents", 3),
    ("engine", 4),
    ("session", 5),
    ("server", 6),
    ("cli", 7),
];

/// Outside technologies and the only crates that may know them.
const ONLY_IN: &[(&str, &[&str])] = &[
    ("async-openai", &["llm"]),
    ("reqwest", &["llm", "fetch"]),
    ("tower", &["llm"]),
    ("http", &["llm"]),
    ("schemars", &["prompts", "agents"]),
    ("handlebars", &["prompts"]),
    ("wasmtime", &["sandbox"]),
    ("bollard", &["sandbox"]),
    ("nvml-wrapper", &["sandbox"]),
    ("serde-saphyr", &["sandbox"]),
    ("ruff_python_ast", &["sandbox"]),
    ("ruff_python_parser", &["sandbox"]),
    ("petgraph", &["planner", "trace"]),
    ("sled", &["memory"]),
    ("landlock", &["sandbox"]),
    ("seccompiler", &["sandbox"]),
    ("rustix", &["sandbox", "cli"]),
    ("libc", &["sandbox"]),
    ("miniz_oxide", &["sandbox"]),
    ("zip", &["sources"]),
    ("statrs", &["referee"]),
    ("maud", &["report"]),
    ("axum", &["server"]),
    ("clap", &["cli"]),
    ("indicatif", &["cli"]),
];

/// Longest Rust file. A longer one wants to be two.
const LINES_MAX: usize = 1_100;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn manifest(folder: &str) -> toml::Table {
    let path = root().join(folder).join("Cargo.toml");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.parse().unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn dependencies(folder: &str) -> BTreeSet<String> {
    let manifest = manifest(folder);
    let names = |table: Option<&toml::Value>| -> Vec<String> {
        table.and_then(toml::Value::as_table).map(|table| table.keys().cloned().collect()).unwrap_or_default()
    };
    names(manifest.get("dependencies")).into_iter().collect()
}

fn files_below(folder: &Path, ending: &str, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            files_below(&path, ending, found);
        } else if path.extension().is_some_and(|found| found == ending) {
            found.push(path);
        }
    }
}

fn rust_files() -> Vec<PathBuf> {
    let mut files = Vec::new();
    for (folder, _) in LAYERS {
        files_below(&root().join(folder), "rs", &mut files);
    }
    files_below(&root().join("src"), "rs", &mut files);
    files_below(&root().join("tests"), "rs", &mut files);
    files
}

#[test]
fn every_crate_imports_only_from_lower_layers() {
    let layers: BTreeMap<&str, u8> = LAYERS.iter().copied().collect();
    for (folder, layer) in LAYERS {
        for dependency in dependencies(folder) {
            let Some(other) = dependency.strip_prefix("ansatz-") else { continue };
            let below = layers.get(other).unwrap_or_else(|| panic!("{other} has no layer in tests/tidy.rs"));
            assert!(below < layer, "{folder} (layer {layer}) must not import {other} (layer {below})");
        }
    }
}

#[test]
fn every_workspace_member_has_a_layer() {
    let manifest = manifest(".");
    let members = manifest["workspace"]["members"].as_array().expect("members");
    for member in members.iter().filter_map(toml::Value::as_str).filter(|member| *member != ".") {
        assert!(LAYERS.iter().any(|(folder, _)| *folder == member), "{member} has no layer in tests/tidy.rs");
    }
}

#[test]
fn each_outside_technology_is_known_to_its_own_crates_alone() {
    for (technology, homes) in ONLY_IN {
        for (folder, _) in LAYERS {
            let uses = dependencies(folder).contains(*technology);
            assert!(
                !uses || homes.contains(folder),
                "{folder} must not know {technology}; it belongs to {homes:?}"
            );
        }
    }
}

#[test]
fn only_the_sandbox_starts_processes_and_only_its_linux_folder_is_unsafe() {
    for file in rust_files() {
        let text = std::fs::read_to_string(&file).expect("a readable file");
        let name = file.strip_prefix(root()).expect("a file of ours").display().to_string();
        let is_test = name.contains("/tests/") || name.starts_with("tests/") || name.contains("tests.rs");
        if !is_test && !name.starts_with("sandbox/") {
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            assert!(!code.contains("process::Command"), "{name} starts a process; only sandbox may");
        }
        if !name.starts_with("sandbox/src/linux/") && name != "tests/tidy.rs" {
            let word = concat!("unsafe", " {");
            assert!(!text.contains(word), "{name} holds unsafe code; only sandbox/src/linux may");
        }
    }
}

#[test]
fn every_file_says_what_it_is_for_and_stays_readable() {
    for file in rust_files() {
        let text = std::fs::read_to_string(&file).expect("a readable file");
        let name = file.strip_prefix(root()).expect("a file of ours").display();
        assert!(text.starts_with("//!"), "{name} does not begin with what it is for");
        let lines = text.lines().count();
        assert!(lines <= LINES_MAX, "{name} has {lines} lines; split it by concept");
    }
    let mut python = Vec::new();
    files_below(&root().join("worker/ansatz_worker"), "py", &mut python);
    assert!(!python.is_empty(), "the worker package is missing");
    for file in python {
        let text = std::fs::read_to_string(&file).expect("a readable file");
        let name = file.strip_prefix(root()).expect("a file of ours").display();
        assert!(text.starts_with("\"\"\""), "{name} does not begin with what it is for");
    }
}

#[test]
fn the_named_folders_are_there() {
    for name in
        ["Cargo.toml", "agents", "sandbox", "planner", "tests", "examples", "README.md", "ARCHITECTURE.md"]
    {
        assert!(root().join(name).exists(), "{name} is missing");
    }
}
