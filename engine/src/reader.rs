//! The host's side of the reader cell: our code alone parses the user's files there.

use crate::cells::{self, ARRAYS_BYTES_MAX};
use crate::environment::Environment;
use crate::error::{RunError, RunErrorKind};
use crate::intake::Files;
use crate::protocol::ReaderEvent;
use ansatz_core::evidence::LeakEvidence;
use ansatz_core::npy;
use ansatz_core::profile::{Notice, Profile};
use ansatz_core::task::Task;
use ansatz_sandbox::{Cell, Launcher};
use serde::de::DeserializeOwned;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Longest time for one request to the reader.
const REQUEST_MAX: Duration = Duration::from_mins(15);
/// Largest JSON file that is read from the cell.
const JSON_BYTES_MAX: u64 = 256 << 20;

/// What the reader is told to write.
pub struct Layout<'a> {
    /// The task.
    pub task: &'a Task,
    /// Columns that are left out.
    pub exclude: Vec<String>,
    /// Whole-number columns that are stored as categories.
    pub categorical: &'a [String],
}

/// A running reader cell.
pub struct Reader {
    cell: Cell,
}

impl Reader {
    /// Starts the cell over the snapshot of the user's files.
    ///
    /// # Errors
    /// When the cell cannot be started.
    pub fn start(launcher: &Launcher, environment: &Environment, input: &Path) -> Result<Self, RunError> {
        let mounts = vec![(input.to_path_buf(), PathBuf::from("/in/user"))];
        let cell = cells::start(launcher, environment, "reader", "reader", mounts)?;
        Ok(Self { cell })
    }

    /// Parses the files and describes them.
    ///
    /// # Errors
    /// When the files cannot be used: the message says which, where, and what to do.
    pub fn read(&self, files: &Files) -> Result<Profile, RunError> {
        let inside = |path: &Path| {
            let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
            self.cell.inside(&format!("/in/user/{name}"))
        };
        let below = |path: &Path| {
            let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
            self.cell.inside(&format!("/in/user/tables/{name}"))
        };
        let request = json!({
            "op": "read",
            "train": inside(&files.train),
            "train_parts": files.parts.train.iter().map(|path| inside(path)).collect::<Vec<_>>(),
            "test": files.test.as_deref().map(inside),
            "test_parts": files.parts.test.iter().map(|path| inside(path)).collect::<Vec<_>>(),
            "tables": files.tables.iter().map(|path| below(path)).collect::<Vec<_>>(),
            "images": files.images.as_ref().map(|_| self.cell.inside("/in/user/images")),
            "sample": files.sample.as_deref().map(inside),
        });
        match self.ask(&request, &[])? {
            ReaderEvent::Read { profile } => self.json(&profile),
            other => Err(unexpected(&other)),
        }
    }

    /// Writes the arrays into `data` (features, visible to solutions) and `seal` (targets and ids, never mounted); gives
    /// what is to be told.
    ///
    /// # Errors
    /// When the reader fails or the disk is full.
    pub fn write(&self, layout: &Layout<'_>, data: &Path, seal: &Path) -> Result<Vec<Notice>, RunError> {
        let task = layout.task;
        let request = json!({
            "op": "write",
            "target": task.target,
            "id": task.id,
            "exclude": layout.exclude,
            "problem": task.problem,
            "classes": task.problem.is_classification().then_some(&task.classes),
            "categorical": layout.categorical,
            "weights": null,
        });
        let (tables, notices) = match self.ask(&request, &[])? {
            ReaderEvent::Written { tables, notices, .. } => (tables, notices),
            other => return Err(unexpected(&other)),
        };
        let joined: Vec<String> = (0..tables).map(joined_file).collect();
        for name in &joined {
            let bytes = self.cell.collect(name, ARRAYS_BYTES_MAX);
            let bytes = bytes.map_err(|error| RunError::failed(format!("collecting {name}: {error}")))?;
            std::fs::create_dir_all(seal).map_err(|error| RunError::io("creating", seal, &error))?;
            cells::write_durably(&seal.join(name), &bytes)?;
        }
        for (folder, names) in [
            (data, &["numeric.npy", "codes.npy", "levels.json", "table.json"][..]),
            (seal, &["target.npy", "ids.json", "schema.json", "sample_ids.json"][..]),
        ] {
            std::fs::create_dir_all(folder).map_err(|error| RunError::io("creating", folder, &error))?;
            for name in names {
                match self.cell.collect(name, ARRAYS_BYTES_MAX) {
                    Ok(bytes) => cells::write_durably(&folder.join(name), &bytes)?,
                    Err(_) if *name == "sample_ids.json" => {}
                    Err(error) => return Err(RunError::failed(format!("collecting {name}: {error}"))),
                }
            }
        }
        Ok(notices)
    }

    /// Computes evidence about leaks on the given training rows.
    ///
    /// # Errors
    /// When the reader fails.
    pub fn evidence(&self, rows: &[usize]) -> Result<LeakEvidence, RunError> {
        let request = json!({"op": "evidence", "sealed": ["rows"]});
        match self.ask(&request, &[&npy::write_indices(rows)])? {
            ReaderEvent::Evidence { file } => self.json(&file),
            other => Err(unexpected(&other)),
        }
    }

    /// Ends the cell.
    pub fn stop(self) {
        let _ = self.cell.send(br#"{"op":"stop"}"#, &[]);
        self.cell.stop(Duration::from_secs(1));
    }

    fn ask(&self, request: &serde_json::Value, blobs: &[&[u8]]) -> Result<ReaderEvent, RunError> {
        self.cell
            .send_sealed(request.to_string().as_bytes(), blobs)
            .map_err(|error| RunError::failed(format!("the reader cell is gone: {error}")))?;
        let line = match self.cell.recv(REQUEST_MAX) {
            Ok(Some(line)) => line,
            Ok(None) => {
                let message = format!("the reader ended unexpectedly: {}", cells::last_words(&self.cell));
                return Err(RunError::new(RunErrorKind::Data, message)
                    .hint("the file may be too large for this machine's memory"));
            }
            Err(error) => return Err(RunError::failed(format!("waiting for the reader: {error}"))),
        };
        let event = serde_json::from_slice(&line)
            .map_err(|error| RunError::failed(format!("the reader sent a line that is not ours: {error}")))?;
        match event {
            ReaderEvent::Refused { message, hint, .. } => {
                let error = RunError::data(message);
                Err(match hint {
                    Some(hint) => error.hint(hint),
                    None => error,
                })
            }
            ReaderEvent::Failed { message } => {
                Err(RunError::failed(format!("reading the data failed: {message}")))
            }
            event => Ok(event),
        }
    }

    fn json<T: DeserializeOwned>(&self, name: &str) -> Result<T, RunError> {
        let bytes = self
            .cell
            .collect(name, JSON_BYTES_MAX)
            .map_err(|error| RunError::failed(format!("collecting {name}: {error}")))?;
        serde_json::from_slice(&bytes)
            .map_err(|error| RunError::failed(format!("{name} from the reader: {error}")))
    }
}

/// Name of the file that keeps what is needed of a joined table.
pub fn joined_file(number: usize) -> String {
    format!("joined-{number}.parquet")
}

fn unexpected(event: &ReaderEvent) -> RunError {
    RunError::failed(format!("the reader answered out of turn: {event:?}"))
}
