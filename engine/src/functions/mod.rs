//! Functions that the user brought along: a metric (`--metric FILE`) and checks of the submission (`--check FILE`).
//!
//! A file is read once, looked at without running it, and copied into the run folder under a name that its hash in the
//! journal belongs to; a resumed run uses the copy. It runs in WebAssembly on the host, where the labels are, and never in a
//! candidate's cell.

mod check;
mod metric;

pub use check::Check;
pub use metric::{CustomMetric, Loaded};

use crate::cells;
use crate::error::{RunError, RunErrorKind};
use crate::folder::Folder;
use crate::options::Options;
use crate::record::Record;
use ansatz_core::ids::hex;
use ansatz_core::verdict::Stage;
use ansatz_sandbox::check::{self as source_check, Finding};
use ansatz_sandbox::wasm::{self, Runtime, Source, WasmError};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::path::{Path, PathBuf};

/// Folder of the copies inside a run's folder.
pub(crate) const FOLDER: &str = "functions";
/// Checks that one run may have.
const CHECKS_MAX: usize = 8;

/// A file of the user's own that is run as a function.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FunctionFile {
    /// Where it was when the run began.
    pub path: PathBuf,
    /// Hash of its content, once it was read.
    #[serde(default)]
    pub sha256: Option<String>,
}

impl FunctionFile {
    /// The path, when `text` names a file of a function rather than a built-in metric.
    pub fn named(text: &str) -> Option<&Path> {
        let path = Path::new(text);
        Language::of(path).map(|_| path)
    }

    /// A file that was not read yet.
    pub fn new(path: PathBuf) -> Self {
        Self { path, sha256: None }
    }

    /// Its name for errors and reports.
    pub fn name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Language {
    Python,
    Component,
}

impl Language {
    fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "py" => Some(Self::Python),
            "wasm" => Some(Self::Component),
            _ => None,
        }
    }

    fn ending(self) -> &'static str {
        if self == Self::Python { "py" } else { "wasm" }
    }
}

/// A function's file with its content.
struct Read {
    file: FunctionFile,
    language: Language,
    bytes: Vec<u8>,
}

/// All functions of a run, read but not loaded.
#[derive(Default)]
pub struct Functions {
    metric: Option<Read>,
    checks: Vec<Read>,
}

impl Functions {
    /// Reads the files that the options name, looks at what is in them, and notes their hashes in the options.
    ///
    /// # Errors
    /// Of kind `Usage` when a file cannot be read or does not hold what it should; the message names the line.
    pub fn read(options: &mut Options) -> Result<Self, RunError> {
        if options.checks.len() > CHECKS_MAX {
            return Err(RunError::usage(format!("{} checks were given", options.checks.len()))
                .hint(format!("at most {CHECKS_MAX} are run; put several functions into one file")));
        }
        let metric = options.metric_file.as_mut().map(|file| read(file, source_check::metric)).transpose()?;
        let checks = options.checks.iter_mut().map(|file| read(file, source_check::submission_check));
        Ok(Self { metric, checks: checks.collect::<Result<_, _>>()? })
    }

    /// Reads the copies in a run's folder.
    ///
    /// # Errors
    /// When a copy is missing or is not what the journal says.
    pub fn reopen(options: &Options, folder: &Folder) -> Result<Self, RunError> {
        let reopen = |role: &str, file: &FunctionFile| -> Result<Read, RunError> {
            let language = language_of(file)?;
            let name = copy_name(role, language);
            let bytes = folder.read(&name)?;
            if file.sha256.as_deref() != Some(hash(&bytes).as_str()) {
                return Err(RunError::failed(format!("{name} is not the file that the run began with"))
                    .hint("start the run anew"));
            }
            Ok(Read { file: file.clone(), language, bytes })
        };
        let metric = options.metric_file.as_ref().map(|file| reopen("metric", file)).transpose()?;
        let checks = options.checks.iter().enumerate();
        let checks = checks.map(|(at, file)| reopen(&format!("check-{}", at + 1), file));
        Ok(Self { metric, checks: checks.collect::<Result<_, _>>()? })
    }

    fn all(&self) -> impl Iterator<Item = (String, &Read)> {
        let checks = self.checks.iter().enumerate().map(|(at, read)| (format!("check-{}", at + 1), read));
        self.metric.iter().map(|read| ("metric".to_owned(), read)).chain(checks)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.all().next().is_none()
    }

    /// Copies the files into the run's folder and journals what they are.
    ///
    /// # Errors
    /// When the disk is full or broken.
    pub fn keep(&self, folder: &Folder, record: &mut Record) -> Result<(), RunError> {
        for (role, read) in self.all() {
            let name = copy_name(&role, read.language);
            let path = folder.path(&name);
            if let Some(parent) = path.parent() {
                std::fs::create_dir_all(parent).map_err(|error| RunError::io("creating", parent, &error))?;
            }
            cells::write_durably(&path, &read.bytes)?;
            let blob = record.blob(&read.bytes)?;
            let evidence = format!("kept as {name}, {}", blob.as_str());
            record.check(Stage::Code, read.file.name(), true, evidence)?;
        }
        Ok(())
    }

    /// Makes the functions ready to be called. `progress` hears about first-time set-up.
    ///
    /// # Errors
    /// When a function raises while it is loaded or does not describe itself, or Python functions cannot be had here.
    pub fn load(&self, home: &Path, progress: &mut dyn FnMut(String)) -> Result<LoadedFunctions, RunError> {
        if self.is_empty() {
            return Ok(LoadedFunctions::default());
        }
        let runtime = Runtime::new().map_err(|error| trouble(&error))?;
        let any_python = self.all().any(|(_, read)| read.language == Language::Python);
        let python = any_python
            .then(|| wasm::build::python(&runtime, home, progress))
            .transpose()
            .map_err(|error| trouble(&error))?;
        let mut loaded = LoadedFunctions::default();
        if let Some(read) = &self.metric {
            let name = read.file.name();
            loaded.metric = Some(match (&python, read.language) {
                (Some(python), Language::Python) => Loaded::python(python, read.source())?,
                _ => Loaded::component(&runtime, &name, &read.bytes)?,
            });
        }
        for read in &self.checks {
            let name = read.file.name();
            loaded.checks.push(match (&python, read.language) {
                (Some(python), Language::Python) => Check::python(python, read.source())?,
                _ => Check::component(&runtime, &name, &read.bytes)?,
            });
        }
        Ok(loaded)
    }
}

/// Functions that can be called.
#[derive(Default)]
pub struct LoadedFunctions {
    /// The metric, when the user brought one.
    pub metric: Option<Loaded>,
    /// Checks of the submission, in the order in which they were given.
    pub checks: Vec<Check>,
}

impl Read {
    fn source(&self) -> Source {
        // That it is text was seen when it was read.
        Source { file: self.file.name(), text: String::from_utf8_lossy(&self.bytes).into_owned() }
    }
}

fn copy_name(role: &str, language: Language) -> String {
    format!("{FOLDER}/{role}.{}", language.ending())
}

fn hash(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn language_of(file: &FunctionFile) -> Result<Language, RunError> {
    Language::of(&file.path).ok_or_else(|| {
        RunError::usage(format!("{} is no file of a function", file.path.display()))
            .hint("give Python source (.py) or a WebAssembly component (.wasm)")
    })
}

fn read<T>(
    file: &mut FunctionFile,
    look: impl Fn(&str) -> Result<T, Vec<Finding>>,
) -> Result<Read, RunError> {
    let language = language_of(file)?;
    let name = file.name();
    let bytes = wasm::read(&file.path).map_err(|error| match error.kind() {
        wasm::WasmErrorKind::System(system) => {
            let why = match system.kind() {
                std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
                std::io::ErrorKind::IsADirectory => "it is a folder".to_owned(),
                _ => system.to_string(),
            };
            RunError::usage(format!("{}: {why}", file.path.display()))
                .hint("look at the path for a misspelling")
        }
        _ => trouble(&error),
    })?;
    if language == Language::Python {
        let text = std::str::from_utf8(&bytes).map_err(|error| {
            RunError::usage(format!("{name}: byte {} is not UTF-8", error.valid_up_to()))
                .hint("save the file as UTF-8 text")
        })?;
        look(text).map_err(|findings| refused(&name, &findings))?;
    }
    file.sha256 = Some(hash(&bytes));
    Ok(Read { file: file.clone(), language, bytes })
}

/// The first finding, and how many more there are.
fn refused(name: &str, findings: &[Finding]) -> RunError {
    let Some(first) = findings.first() else {
        return RunError::usage(format!("{name} cannot be read"));
    };
    let more = match findings.len() - 1 {
        0 => String::new(),
        more => format!(" (and {more} more)"),
    };
    let error = RunError::usage(format!("{name}: {first}{more}"));
    error.hint(first.hint.as_deref().unwrap_or("docs/functions.md shows what such a file looks like"))
}

/// A function's error as the run's: what its author can mend is a matter of usage; without an interpreter there is no safe
/// place for Python source.
pub(crate) fn trouble(error: &WasmError) -> RunError {
    let kind = match error.kind() {
        wasm::WasmErrorKind::Setup(_) => RunErrorKind::Sandbox,
        wasm::WasmErrorKind::System(_) => RunErrorKind::Failed,
        _ => RunErrorKind::Usage,
    };
    RunError::new(kind, error.to_string()).hint(error.hint())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_told_from_names_by_their_ending() {
        assert!(FunctionFile::named("./my_metric.py").is_some());
        assert!(FunctionFile::named("gini.WASM").is_some());
        for name in ["rmse", "f1_macro", "map_at_3", "R2", "metric.txt", ""] {
            assert!(FunctionFile::named(name).is_none(), "{name}");
        }
    }

    fn refusal(name: &str, content: &[u8]) -> (String, String) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        let mut file = FunctionFile::new(path);
        let error = read(&mut file, source_check::metric).err().map(|error| (error.message, error.hint));
        let (message, hint) = error.unwrap_or_default();
        (message, hint.unwrap_or_default())
    }

    #[test]
    fn a_metric_file_is_looked_at_before_it_runs() {
        let good = b"higher_is_better = True\ndef metric(truth, prediction):\n    return 1.0\n";
        assert_eq!(refusal("m.py", good).0, "");
        let (message, _) =
            refusal("m.py", b"higher_is_better = True\ndef metric(truth prediction):\n    return 1\n");
        assert!(message.starts_with("m.py: line 2, column 18: "), "{message}");
        let (message, hint) =
            refusal("m.py", b"import numpy\nhigher_is_better = True\ndef metric(a, b): return 1\n");
        assert_eq!(message, "m.py: line 1, column 8: `numpy` cannot be imported in a function");
        assert!(hint.contains("plain lists"), "{hint}");
        let (message, hint) = refusal("m.py", b"def metric(truth, prediction): return 1\n");
        assert_eq!(message, "m.py: it does not say which way is better");
        assert!(hint.contains("higher_is_better = True"), "{hint}");
        assert_eq!(refusal("m.py", b"\xff\xfe").0, "m.py: byte 0 is not UTF-8");
        let (message, _) = refusal("m.py", &vec![b'#'; 2 << 20]);
        assert!(message.ends_with("at most 1048576 are allowed"), "{message}");
    }
}
