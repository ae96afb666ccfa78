//! Finds the user's files and takes a snapshot of them into the run folder.
//!
//! The snapshot is what the run is about from then on: resuming does not depend on the originals.
//! Invariant: never looks inside a file; that is done by the reader, in a cell.

use crate::error::RunError;
use crate::options::Options;
use std::path::{Path, PathBuf};

/// Largest task description that is read.
const TEXT_BYTES_MAX: u64 = 256 * 1024;

/// The files of a task, by role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// Training rows.
    pub train: PathBuf,
    /// Rows to predict.
    pub test: Option<PathBuf>,
    /// Sample submission.
    pub sample: Option<PathBuf>,
    /// Task description found beside the data.
    pub description: Option<PathBuf>,
}

const TABLE_ENDINGS: [&str; 6] = ["csv", "tsv", "parquet", "csv.gz", "tsv.gz", "txt"];

fn table_named(folder: &Path, stem: &str) -> Option<PathBuf> {
    TABLE_ENDINGS.iter().map(|ending| folder.join(format!("{stem}.{ending}"))).find(|path| path.is_file())
}

fn any_table_named(folder: &Path, stems: &[&str]) -> Option<PathBuf> {
    stems.iter().find_map(|stem| table_named(folder, stem))
}

/// Finds the files of a task.
///
/// # Errors
/// When the data, or a file named by the user, is not there.
pub fn find(options: &Options) -> Result<Files, RunError> {
    let data = &options.data;
    let metadata = std::fs::metadata(data).map_err(|error| {
        let message = format!("cannot open {}: {}", data.display(), plain(&error));
        RunError::data(message).hint("give a CSV, TSV or Parquet file, or a folder with train.csv")
    })?;
    let mut files = if metadata.is_dir() {
        let train = any_table_named(data, &["train", "training", "data"]).ok_or_else(|| {
            RunError::data(format!("{} has no train.csv", data.display()))
                .hint("name the training file train.csv (or .tsv, .parquet), or give the file itself")
        })?;
        let description = ["task.md", "description.md", "task.txt", "description.txt", "README.md"];
        Files {
            train,
            test: any_table_named(data, &["test", "testing"]),
            sample: any_table_named(data, &["sample_submission", "sampleSubmission", "sample"]),
            description: description.iter().map(|name| data.join(name)).find(|path| path.is_file()),
        }
    } else {
        Files { train: data.clone(), test: None, sample: None, description: None }
    };
    for (given, slot) in [(&options.test, &mut files.test), (&options.sample, &mut files.sample)] {
        if let Some(path) = given {
            std::fs::metadata(path).map_err(|error| {
                RunError::data(format!("cannot open {}: {}", path.display(), plain(&error)))
                    .hint("check the path of --test and --sample")
            })?;
            *slot = Some(path.clone());
        }
    }
    Ok(files)
}

fn plain(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "no such file or folder".into(),
        std::io::ErrorKind::PermissionDenied => "permission denied".into(),
        _ => error.to_string(),
    }
}

/// Names of the snapshot's files inside `input/`; the ending tells the reader the format.
fn snapshot_name(role: &str, path: &Path) -> String {
    let name = path.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    let ending = TABLE_ENDINGS.iter().rev().find(|ending| name.ends_with(&format!(".{ending}")));
    format!("{role}.{}", ending.unwrap_or(&"csv"))
}

/// Copies the files into `folder`; a file that is already there with its full length is kept.
///
/// # Errors
/// When a file cannot be read or written, a full disk included.
pub fn snapshot(files: &Files, folder: &Path) -> Result<Files, RunError> {
    std::fs::create_dir_all(folder).map_err(|error| RunError::io("creating", folder, &error))?;
    let copy = |role: &str, path: &Path| -> Result<PathBuf, RunError> {
        let target = folder.join(snapshot_name(role, path));
        if path.is_dir() {
            return Err(RunError::data(format!("{} is a folder, not a table", path.display())));
        }
        let temporary = folder.join(format!(".{role}.part"));
        std::fs::copy(path, &temporary).map_err(|error| RunError::io("copying", path, &error))?;
        std::fs::rename(&temporary, &target).map_err(|error| RunError::io("writing", &target, &error))?;
        Ok(target)
    };
    let optional =
        |role: &str, path: &Option<PathBuf>| path.as_deref().map(|path| copy(role, path)).transpose();
    let description = optional("task", &files.description)?;
    Ok(Files {
        train: copy("train", &files.train)?,
        test: optional("test", &files.test)?,
        sample: optional("sample", &files.sample)?,
        description,
    })
}

/// The description beside the data; empty without one.
pub fn description(files: &Files) -> String {
    use std::io::Read;
    let Some(file) = files.description.as_ref().and_then(|path| std::fs::File::open(path).ok()) else {
        return String::new();
    };
    let mut bytes = Vec::new();
    match file.take(TEXT_BYTES_MAX).read_to_end(&mut bytes) {
        Ok(_) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(_) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_snapshot_keeps_the_format_in_the_name() {
        assert_eq!(snapshot_name("train", Path::new("a/b/Houses.TSV")), "train.tsv");
        assert_eq!(snapshot_name("test", Path::new("x.csv.gz")), "test.csv.gz");
        assert_eq!(snapshot_name("train", Path::new("noending")), "train.csv");
    }
}
