//! What the end-to-end tests share: the program, a home for its worker environment, and small data.

#![allow(dead_code, reason = "each test file uses its own part")]

pub mod endpoint;
pub mod files;
pub mod orders;
pub mod ray;
pub mod server;

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Runs train models; two at once on two cores would only make both slow.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Takes the machine for one test.
pub fn alone() -> MutexGuard<'static, ()> {
    ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner)
}

/// State of the program under test: kept between test runs, since making the worker environment takes a while.
pub fn home() -> PathBuf {
    std::env::var_os("ANSATZ_TEST_HOME")
        .map_or_else(|| Path::new(env!("CARGO_TARGET_TMPDIR")).join("ansatz-home"), PathBuf::from)
}

/// The repository.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The program with a home of its own and nothing of the user's configuration.
pub fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ansatz"));
    command.env("ANSATZ_HOME", home()).env("XDG_CONFIG_HOME", "/nonexistent").stdin(Stdio::null());
    command
}

/// Runs the program to its end.
pub fn ansatz(arguments: &[&str]) -> Output {
    program().args(arguments).output().expect("the program starts")
}

/// Standard error as text.
pub fn complaints(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Runs a command that must succeed.
pub fn succeed(command: &mut Command) {
    let output = command.output().expect("the command starts");
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), complaints(&output));
    assert!(output.status.success(), "{command:?}:\n{text}");
}

/// The JSON object on standard output.
pub fn json(output: &Output) -> serde_json::Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!("no JSON ({error}) on standard output; standard error says: {}", complaints(output))
    })
}

/// A training file of `rows` rows with two useful columns, a date, a category and a target in `y`.
pub fn small_table(rows: usize) -> String {
    let mut text = String::from("id,size,weight,when,colour,y\n");
    for row in 0..rows {
        let (size, weight) = ((row * 37) % 101, (row * 53) % 89);
        let colour = ["red", "green", "blue"][(row * 7) % 3];
        let noise = (row * 7919) % 13;
        let y = u8::from(size + weight / 2 + noise > 75);
        let day = format!("2024-{:02}-{:02}", row % 12 + 1, row % 28 + 1);
        writeln!(text, "{row},{size},{weight}.5,{day},{colour},{y}").expect("a string takes everything");
    }
    text
}

/// Says sentences to `chat` in a folder, with flags for all its runs.
pub fn chat(folder: &Path, sentences: &str, flags: &[&str]) -> Output {
    let mut child = program()
        .args(["chat", "--", "--no-memory"])
        .args(flags)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    child.stdin.take().expect("its input").write_all(sentences.as_bytes()).expect("it listens");
    child.wait_with_output().expect("it ends")
}
