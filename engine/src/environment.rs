//! The worker's Python environment: made on first need from the lock file, reused afterwards.
//!
//! It lives below the program's home, in a folder named by the hash of everything it is made from, so that two
//! versions of the program never share one, and a half-made one is never used.

use crate::error::RunError;
use ansatz_core::ids::hex;
use ansatz_sandbox::trusted::environment::{self, SetupLock};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

mod files {
    include!(concat!(env!("OUT_DIR"), "/worker_files.rs"));
}

/// What it is called in front of users.
const WHAT: &str = "the worker environment";

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
    Environment { python: environment::python_of(&folder), lock: folder.join(environment::LOCK_FILE), source }
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
    let _lock = SetupLock::take(&parent, WHAT, progress)?;
    if let Some(environment) = existing(home) {
        return Ok(environment);
    }
    if let Some(folder) = environment.lock.parent().filter(|folder| !environment::is_complete(folder)) {
        environment::make(folder, lock_text(), WHAT, progress)?;
    }
    write_source(&environment, progress)?;
    Ok(environment)
}

fn write_source(environment: &Environment, progress: &mut dyn FnMut(String)) -> Result<(), RunError> {
    for (name, content) in source_files() {
        let path = environment.source.join(name);
        let folder = path.parent().unwrap_or(&environment.source);
        std::fs::create_dir_all(folder).map_err(|error| RunError::io("creating", folder, &error))?;
        std::fs::write(&path, content).map_err(|error| RunError::io("writing", &path, &error))?;
    }
    environment::compile(&environment.python, &environment.source, progress);
    let ready = environment.source.join("ready");
    std::fs::write(&ready, b"").map_err(|error| RunError::io("writing", &ready, &error))
}
