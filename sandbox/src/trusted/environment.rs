//! Python environments from lock files: made once, by uv where it is installed, else by venv and pip.
//!
//! Only wheels whose hashes the lock file holds are installed, and nothing of theirs runs while they are. A folder is
//! complete exactly when it holds the lock file it was made from: that is put there last.

use super::{Progress, TrustedCommand};
use std::fs::File;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Longest time for one step.
const STEP_MAX: Duration = Duration::from_mins(30);
/// Names of interpreters that are tried, best first.
const INTERPRETERS: [&str; 4] = ["python3.11", "python3.12", "python3.13", "python3"];
/// Name of the lock file inside a complete folder.
pub const LOCK_FILE: &str = "requirements.lock";

/// Why an environment could not be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct EnvironmentError {
    /// What went wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl EnvironmentError {
    fn io(doing: &str, path: &Path, error: &std::io::Error) -> Self {
        let full = error.kind() == std::io::ErrorKind::StorageFull;
        let hint = full.then(|| "the disk is full: free some space, then try again".to_owned());
        Self { message: format!("{doing} {}: {error}", path.display()), hint }
    }
}

/// The interpreter of an environment.
pub fn python_of(folder: &Path) -> PathBuf {
    folder.join("bin/python")
}

/// Whether the environment in `folder` was made to its end.
pub fn is_complete(folder: &Path) -> bool {
    folder.join(LOCK_FILE).is_file()
}

/// Makes the environment of a lock file in `folder`, anew if a half-made one is there. `what` names it for the user.
///
/// # Errors
/// When no suitable Python is found or the packages cannot be installed.
pub fn make(
    folder: &Path,
    lock: &[u8],
    what: &str,
    progress: &mut dyn FnMut(String),
) -> Result<(), EnvironmentError> {
    if folder.exists() {
        std::fs::remove_dir_all(folder).map_err(|error| EnvironmentError::io("clearing", folder, &error))?;
    }
    let python = find_python()?;
    let file = folder.with_extension("lock-file");
    std::fs::write(&file, lock).map_err(|error| EnvironmentError::io("writing", &file, &error))?;
    let uv = find_program("uv");
    let tool = uv.as_deref().map_or_else(|| "pip".into(), |path| path.display().to_string());
    progress(format!("setting up {what} (once, with {tool}): {}", folder.display()));
    for command in commands(uv.as_deref(), &python, folder, &file) {
        execute(&command, STEP_MAX, progress).map_err(|error| EnvironmentError {
            message: format!("making {what} failed: {error}"),
            hint: Some(format!(
                "the command was `{}`; check network access to the Python package index and disk space",
                command.join(" ")
            )),
        })?;
    }
    compile(&python_of(folder), &folder.join("lib"), progress);
    let complete = folder.join(LOCK_FILE);
    std::fs::rename(&file, &complete).map_err(|error| EnvironmentError::io("writing", &complete, &error))
}

fn commands(uv: Option<&Path>, python: &Path, folder: &Path, lock: &Path) -> [Vec<String>; 2] {
    let words = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
    let text = |path: &Path| path.display().to_string();
    let (python, folder_text, lock) = (text(python), text(folder), text(lock));
    let own = text(&python_of(folder));
    let install = ["pip", "install", "--no-deps", "--require-hashes", "--only-binary", ":all:"];
    if let Some(uv) = uv.map(text) {
        let make = words(&[&uv, "venv", "-q", "--python", &python, &folder_text]);
        let rest = ["--compile-bytecode", "--python", &own, "-r", &lock];
        return [make, [words(&[&uv]), words(&install), words(&rest)].concat()];
    }
    let rest = ["--disable-pip-version-check", "--no-input", "-r", &lock];
    [
        words(&[&python, "-m", "venv", &folder_text]),
        [words(&[&own, "-m"]), words(&install), words(&rest)].concat(),
    ]
}

/// Compiles byte code, since the folder is read-only in cells; a program starts several times faster with it. A package may
/// ship files for other versions of Python that do not compile here; that is not our concern.
pub fn compile(python: &Path, folder: &Path, progress: &mut dyn FnMut(String)) {
    progress("compiling byte code".into());
    let [python, folder] = [python, folder].map(|path| path.display().to_string());
    let command =
        [&python, "-m", "compileall", "-q", "-j", "0", "--invalidation-mode", "unchecked-hash", &folder];
    let _ = execute(&command.map(str::to_owned), STEP_MAX, &mut |_| {});
}

/// Runs a set-up command; the error is its last line.
///
/// # Errors
/// When it cannot be started, takes too long, or ends with another code than 0.
pub fn execute(command: &[String], limit: Duration, progress: &mut dyn FnMut(String)) -> Result<(), String> {
    let (program, arguments) = command.split_first().ok_or("an empty command")?;
    let outcome = TrustedCommand::new(program)
        .args(arguments.to_vec())
        .timeout(limit)
        .run(&mut |news| {
            if let Progress::Line(line) = news {
                progress(line.trim_end().to_owned());
            }
            ControlFlow::Continue(())
        })
        .map_err(|error| error.to_string())?;
    if outcome.succeeded() {
        return Ok(());
    }
    Err(outcome.tail.last().cloned().unwrap_or_else(|| format!("{program} failed without a word")))
}

/// The first program of that name in `PATH`.
pub fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|candidate| candidate.is_file())
}

fn find_python() -> Result<PathBuf, EnvironmentError> {
    let suitable = |path: &PathBuf| {
        let check = "import sys; sys.exit(0 if (3, 11) <= sys.version_info[:2] <= (3, 13) else 1)";
        let command = vec![path.display().to_string(), "-c".into(), check.into()];
        execute(&command, Duration::from_secs(20), &mut |_| {}).is_ok()
    };
    let found = INTERPRETERS.iter().filter_map(|name| find_program(name)).find(suitable);
    found.ok_or_else(|| EnvironmentError {
        message: "no Python 3.11 to 3.13 was found on PATH".into(),
        hint: Some(
            "install Python 3.11 (with venv), then try again; `ansatz doctor` tells what is missing".into(),
        ),
    })
}

/// Keeps two processes from making the same thing at once.
#[derive(Debug)]
pub struct SetupLock(File);

impl SetupLock {
    /// Takes the lock of a folder that exists; waits while another process has it, and says so.
    ///
    /// # Errors
    /// When the lock file cannot be made.
    pub fn take(
        folder: &Path,
        what: &str,
        progress: &mut dyn FnMut(String),
    ) -> Result<Self, EnvironmentError> {
        let path = folder.join("setup.lock");
        let file = File::create(&path).map_err(|error| EnvironmentError::io("creating", &path, &error))?;
        if file.try_lock().is_err() {
            progress(format!("another process is making {what}; waiting for it"));
            file.lock().map_err(|error| EnvironmentError::io("locking", &path, &error))?;
        }
        Ok(Self(file))
    }
}

impl Drop for SetupLock {
    fn drop(&mut self) {
        let _ = self.0.unlock();
    }
}
