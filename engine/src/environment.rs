//! The worker's Python environment: made on first need from the lock file, reused afterwards.
//!
//! It lives below the program's home, in a folder named by the hash of everything it is made from, so that two
//! versions of the program never share one, and a half-made one is never used.

use crate::error::{RunError, RunErrorKind};
use ansatz_core::ids::hex;
use ansatz_sandbox::trusted::{Progress, TrustedCommand};
use sha2::{Digest, Sha256};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

mod files {
    include!(concat!(env!("OUT_DIR"), "/worker_files.rs"));
}

/// Longest time for making the environment.
const SETUP_MAX: Duration = Duration::from_mins(30);
/// Names of interpreters that are tried, best first.
const INTERPRETERS: [&str; 4] = ["python3.11", "python3.12", "python3.13", "python3"];

/// A ready environment.
#[derive(Debug, Clone)]
pub struct Environment {
    /// The interpreter inside the virtual environment.
    pub python: PathBuf,
    /// Folder that holds the package `ansatz_worker`.
    pub source: PathBuf,
    /// The lock file that it was made from.
    pub lock: PathBuf,
}

/// The lock file that delivered models name.
pub fn lock_text() -> &'static [u8] {
    files::FILES.iter().find(|(name, _)| *name == "requirements.lock").map_or(b"", |(_, content)| *content)
}

/// The worker's source files, by path below the package folder's parent.
pub fn source_files() -> impl Iterator<Item = (&'static str, &'static [u8])> {
    files::FILES.iter().filter(|(name, _)| *name != "requirements.lock").copied()
}

fn hash_of<'a>(parts: impl Iterator<Item = (&'a str, &'a [u8])>) -> String {
    let mut hasher = Sha256::new();
    for (name, content) in parts {
        hasher.update((name.len() as u64).to_le_bytes());
        hasher.update(name);
        hasher.update((content.len() as u64).to_le_bytes());
        hasher.update(content);
    }
    hex(&hasher.finalize())[..16].to_owned()
}

fn locate(home: &Path) -> Environment {
    let lock_hash = hash_of([("requirements.lock", lock_text())].into_iter());
    let source_hash = hash_of(source_files());
    let folder = home.join("worker").join(format!("env-{lock_hash}"));
    let source = home.join("worker").join(format!("src-{source_hash}"));
    Environment { python: folder.join("bin/python"), lock: folder.join("requirements.lock"), source }
}

/// The environment if it is ready; nothing is made.
pub fn existing(home: &Path) -> Option<Environment> {
    let environment = locate(home);
    (environment.lock.is_file() && environment.source.join("ready").is_file()).then_some(environment)
}

/// The environment, made when it is not there yet; `progress` hears about it line by line.
///
/// # Errors
/// When no suitable Python is found or the packages cannot be installed.
pub fn ensure(home: &Path, progress: &mut dyn FnMut(String)) -> Result<Environment, RunError> {
    if let Some(environment) = existing(home) {
        return Ok(environment);
    }
    let environment = locate(home);
    let parent = home.join("worker");
    std::fs::create_dir_all(&parent).map_err(|error| RunError::io("creating", &parent, &error))?;
    let _lock = SetupLock::take(&parent, progress)?;
    if let Some(environment) = existing(home) {
        return Ok(environment);
    }
    if !environment.lock.is_file() {
        make(&environment, progress)?;
    }
    write_source(&environment, progress)?;
    Ok(environment)
}

fn make(environment: &Environment, progress: &mut dyn FnMut(String)) -> Result<(), RunError> {
    let folder = environment.lock.parent().map(Path::to_path_buf).unwrap_or_default();
    if folder.exists() {
        std::fs::remove_dir_all(&folder).map_err(|error| RunError::io("clearing", &folder, &error))?;
    }
    let python = find_python()?;
    let lock = folder.with_extension("lock-file");
    std::fs::write(&lock, lock_text()).map_err(|error| RunError::io("writing", &lock, &error))?;
    let uv = find_program("uv");
    progress(format!(
        "setting up the worker environment (once, with {}): {}",
        uv.as_deref().map_or_else(|| "pip".into(), |path| path.display().to_string()),
        folder.display()
    ));
    let text = |path: &Path| path.display().to_string();
    let venv_python = text(&environment.python);
    let steps: Vec<Vec<String>> = if let Some(uv) = uv {
        vec![
            vec![text(&uv), "venv".into(), "-q".into(), "--python".into(), text(&python), text(&folder)],
            [
                &[text(&uv)][..],
                &["pip", "install", "--no-deps", "--require-hashes", "--only-binary", ":all:"]
                    .map(String::from),
                &["--compile-bytecode", "--python"].map(String::from),
                &[venv_python.clone(), "-r".into(), text(&lock)],
            ]
            .concat(),
        ]
    } else {
        vec![
            vec![text(&python), "-m".into(), "venv".into(), text(&folder)],
            [
                &[venv_python.clone()][..],
                &["-m", "pip", "install", "--no-deps", "--require-hashes", "--only-binary", ":all:"]
                    .map(String::from),
                &["--disable-pip-version-check", "--no-input", "-r"].map(String::from),
                &[text(&lock)],
            ]
            .concat(),
        ]
    };
    for command in steps {
        execute(&command, SETUP_MAX, progress).map_err(|error| {
            RunError::failed(format!("making the worker environment failed: {error}")).hint(format!(
                "the command was `{}`; check network access to the Python package index and disk space",
                command.join(" ")
            ))
        })?;
    }
    compile(&environment.python, &folder.join("lib"), progress)?;
    std::fs::rename(&lock, &environment.lock)
        .map_err(|error| RunError::io("writing", &environment.lock, &error))
}

/// Compiles byte code, since the folder is read-only in cells; a program starts several times faster with it.
fn compile(python: &Path, folder: &Path, progress: &mut dyn FnMut(String)) -> Result<(), RunError> {
    progress("compiling byte code".into());
    let command: Vec<String> = [
        python.display().to_string(),
        "-m".into(),
        "compileall".into(),
        "-q".into(),
        "-j".into(),
        "0".into(),
        "--invalidation-mode".into(),
        "unchecked-hash".into(),
        folder.display().to_string(),
    ]
    .to_vec();
    // A package may ship files for other Python versions that do not compile here; that is not our concern.
    execute(&command, SETUP_MAX, &mut |_| {}).or(Ok(()))
}

/// Runs a set-up command; the error is its last line.
fn execute(command: &[String], limit: Duration, progress: &mut dyn FnMut(String)) -> Result<(), String> {
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

fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|candidate| candidate.is_file())
}

fn write_source(environment: &Environment, progress: &mut dyn FnMut(String)) -> Result<(), RunError> {
    for (name, content) in source_files() {
        let path = environment.source.join(name);
        let folder = path.parent().unwrap_or(&environment.source);
        std::fs::create_dir_all(folder).map_err(|error| RunError::io("creating", folder, &error))?;
        std::fs::write(&path, content).map_err(|error| RunError::io("writing", &path, &error))?;
    }
    compile(&environment.python, &environment.source, progress)?;
    let ready = environment.source.join("ready");
    std::fs::write(&ready, b"").map_err(|error| RunError::io("writing", &ready, &error))
}

fn find_python() -> Result<PathBuf, RunError> {
    let suitable = |path: &PathBuf| {
        let check = "import sys; sys.exit(0 if (3, 11) <= sys.version_info[:2] <= (3, 13) else 1)";
        let command = vec![path.display().to_string(), "-c".into(), check.into()];
        execute(&command, Duration::from_secs(20), &mut |_| {}).is_ok()
    };
    INTERPRETERS.iter().filter_map(|name| find_program(name)).find(suitable).ok_or_else(|| {
        RunError::new(RunErrorKind::Failed, "no Python 3.11 to 3.13 was found on PATH")
            .hint("install Python 3.11 (with venv), then try again; `ansatz doctor` tells what is missing")
    })
}

/// Keeps two processes from making the same environment at once.
struct SetupLock(std::fs::File);

impl SetupLock {
    fn take(folder: &Path, progress: &mut dyn FnMut(String)) -> Result<Self, RunError> {
        let path = folder.join("setup.lock");
        let file = std::fs::File::create(&path).map_err(|error| RunError::io("creating", &path, &error))?;
        if file.try_lock().is_err() {
            progress("another process is making the worker environment; waiting for it".into());
            file.lock().map_err(|error| RunError::io("locking", &path, &error))?;
        }
        Ok(Self(file))
    }
}

impl Drop for SetupLock {
    fn drop(&mut self) {
        let _ = self.0.unlock();
    }
}
