//! The worker's own tests, run by pytest in an environment made from its lock files.

#![allow(clippy::expect_used, reason = "a test that cannot go on should say where")]

mod common;

use common::{alone, home, root, succeed};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Python with the worker's packages and its test tools.
fn tools() -> PathBuf {
    let folder = home().join("python-tools");
    let python = folder.join("bin/python");
    let locks = ["requirements.lock", "requirements-dev.lock"].map(|name| root().join("worker").join(name));
    let wanted: String =
        locks.iter().map(|lock| std::fs::read_to_string(lock).expect("a lock file")).collect();
    let stamp = folder.join("made-from");
    if std::fs::read_to_string(&stamp).is_ok_and(|made| made == wanted) {
        return python;
    }
    let _ = std::fs::remove_dir_all(&folder);
    let base = ["python3.11", "python3"]
        .into_iter()
        .find(|name| Command::new(name).arg("--version").output().is_ok())
        .expect("Python 3.11 on PATH");
    succeed(Command::new(base).args(["-m", "venv"]).arg(&folder));
    let mut install = Command::new(&python);
    install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]);
    install.args(["--require-hashes", "--only-binary", ":all:"]);
    for lock in &locks {
        install.arg("-r").arg(lock);
    }
    succeed(&mut install);
    std::fs::write(&stamp, wanted).expect("written");
    python
}

#[test]
fn the_workers_own_tests_pass() {
    let _machine = alone();
    let worker: &Path = &root().join("worker");
    let mut pytest = Command::new(tools());
    pytest.args(["-m", "pytest", "-q", "-x", "-p", "no:cacheprovider"]).current_dir(worker);
    succeed(&mut pytest);
}
