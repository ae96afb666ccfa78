//! The run folder: where everything of a run lies.

use crate::cells;
use crate::error::RunError;
use std::path::{Path, PathBuf};

/// Paths below a run's folder.
#[derive(Debug, Clone)]
pub struct Folder {
    /// The folder itself.
    pub root: PathBuf,
}

impl Folder {
    /// Takes a folder for a new run; it is made when it is not there.
    ///
    /// # Errors
    /// When it holds something that is not ours, or a run already.
    pub fn create(root: &Path) -> Result<Self, RunError> {
        if root.join("journal.jsonl").exists() {
            return Err(RunError::usage(format!("{} already holds a run", root.display()))
                .hint("give another folder, or take the run up with `ansatz resume`"));
        }
        let occupied = std::fs::read_dir(root).is_ok_and(|mut entries| entries.next().is_some());
        if occupied || root.is_file() {
            return Err(RunError::usage(format!("{} exists and is not a folder of ours", root.display()))
                .hint("give an empty or new folder with --out"));
        }
        std::fs::create_dir_all(root).map_err(|error| RunError::io("creating", root, &error))?;
        Ok(Self { root: root.to_path_buf() })
    }

    /// An existing run.
    ///
    /// # Errors
    /// When there is no journal.
    pub fn open(root: &Path) -> Result<Self, RunError> {
        if !root.join("journal.jsonl").is_file() {
            return Err(RunError::usage(format!("{} holds no run", root.display()))
                .hint("`ansatz runs` lists the runs that there are"));
        }
        Ok(Self { root: root.to_path_buf() })
    }

    /// A file or folder of the run.
    pub fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Snapshot of the user's files.
    pub fn input(&self) -> PathBuf {
        self.path("input")
    }

    /// Feature arrays; mounted read-only in the worker's cell.
    pub fn data(&self) -> PathBuf {
        self.path("data")
    }

    /// Targets and ids; mounted nowhere.
    pub fn seal(&self) -> PathBuf {
        self.path("seal")
    }

    /// Model files for prediction; mounted read-only in the worker's cell.
    pub fn models(&self) -> PathBuf {
        self.path("models")
    }

    /// Makes the folder of sealed labels, for the owner's eyes alone.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn make_seal(&self) -> Result<(), RunError> {
        use std::os::unix::fs::DirBuilderExt;
        let path = self.seal();
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&path)
            .map_err(|error| RunError::io("creating", &path, &error))
    }

    /// Writes a file of the run so that it is complete or absent after a crash.
    ///
    /// # Errors
    /// When the disk is full or broken.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<PathBuf, RunError> {
        let path = self.path(name);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(|error| RunError::io("creating", parent, &error))?;
        }
        cells::write_durably(&path, bytes)?;
        Ok(path)
    }

    /// Reads a file of the run.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(&self, name: &str) -> Result<Vec<u8>, RunError> {
        let path = self.path(name);
        std::fs::read(&path).map_err(|error| RunError::io("reading", &path, &error))
    }

    /// Reads a JSON file of the run.
    ///
    /// # Errors
    /// When it cannot be read or is not what it should be.
    pub fn json<T: serde::de::DeserializeOwned>(&self, name: &str) -> Result<T, RunError> {
        serde_json::from_slice(&self.read(name)?)
            .map_err(|error| RunError::failed(format!("{} is damaged: {error}", self.path(name).display())))
    }

    /// Removes what a refused run has written, the journal excepted.
    pub fn clear(&self) {
        for name in ["input", "data", "seal", "models", "blobs", "functions", "found"] {
            let _ = std::fs::remove_dir_all(self.path(name));
        }
        for name in ["plan.json", "submission.csv", "setup.json"] {
            let _ = std::fs::remove_file(self.path(name));
        }
    }
}
