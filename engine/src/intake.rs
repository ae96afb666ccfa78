//! Finds the user's files and takes a snapshot of them into the run folder.
//!
//! The snapshot is what the run is about from then on: resuming does not depend on the originals.
//! Invariant: never looks inside a file; that is done by the reader, in a cell.

use crate::error::RunError;
use crate::options::Options;
use crate::pictures;
use ansatz_sources::{Acquired, Tables};
use std::path::{Path, PathBuf};

/// Largest task description that is read.
const TEXT_BYTES_MAX: u64 = 256 * 1024;

/// The files of a task, by role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// Training rows.
    pub train: PathBuf,
    /// Further parts of the training and test tables, when they come in several files.
    pub parts: Parts,
    /// Further tables beside them, which may be joined.
    pub tables: Vec<PathBuf>,
    /// Images that cells may name: the folder below which they lie.
    pub images: Option<PathBuf>,
    /// The column that names the rows, where the tables were written here.
    pub id: Option<String>,
    /// Rows to predict.
    pub test: Option<PathBuf>,
    /// Sample submission.
    pub sample: Option<PathBuf>,
    /// Task description found beside the data.
    pub description: Option<PathBuf>,
}

/// Further tables of a folder that are looked at.
const TABLES_MAX: usize = 20;

/// Largest further table that is looked at.
const TABLE_BYTES_MAX: u64 = 2 << 30;

/// Parts of tables beside the first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parts {
    /// Of the training table.
    pub train: Vec<PathBuf>,
    /// Of the test table.
    pub test: Vec<PathBuf>,
}

const TABLE_ENDINGS: [&str; 7] = ["csv", "tsv", "parquet", "csv.gz", "tsv.gz", "arff", "txt"];

fn table_named(folder: &Path, stem: &str) -> Option<PathBuf> {
    TABLE_ENDINGS.iter().map(|ending| folder.join(format!("{stem}.{ending}"))).find(|path| path.is_file())
}

fn any_table_named(folder: &Path, stems: &[&str]) -> Option<PathBuf> {
    stems.iter().find_map(|stem| table_named(folder, stem))
}

/// Finds the files of a task: those that were fetched, or those that lie where the user says. For a folder of images by class
/// tables of their names are written below `into`.
///
/// # Errors
/// When the data, or a file named by the user, is not there.
pub fn find(options: &Options, acquired: Option<&Acquired>, into: &Path) -> Result<Files, RunError> {
    let mut files = match acquired.map(|acquired| &acquired.tables) {
        // A description that came along is foreign text: it gives no orders.
        Some(Tables::Folder(folder)) => match of_classes(folder, into)? {
            Some(files) => files,
            None => Files { description: None, ..in_folder(folder)? },
        },
        Some(Tables::Files { train, test }) => in_parts(train, test)?,
        None => {
            let data = unpacked(&options.data, into)?;
            match of_classes(&data, into)? {
                Some(files) => files,
                None => on_this_machine(&data)?,
            }
        }
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

fn single(train: PathBuf) -> Files {
    Files {
        train,
        parts: Parts::default(),
        tables: Vec::new(),
        images: None,
        id: None,
        test: None,
        sample: None,
        description: None,
    }
}

fn in_parts(train: &[PathBuf], test: &[PathBuf]) -> Result<Files, RunError> {
    let [first, rest @ ..] = train else { return Err(RunError::data("the source has no training rows")) };
    let parts = Parts { train: rest.to_vec(), test: test.iter().skip(1).cloned().collect() };
    Ok(Files { parts, test: test.first().cloned(), ..single(first.clone()) })
}

/// Where the tables lie: what is in an archive is unpacked below `into`, all else is where the user says.
fn unpacked(data: &Path, into: &Path) -> Result<PathBuf, RunError> {
    let is_archive = data.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("zip"));
    if !is_archive || !data.is_file() {
        return Ok(data.to_path_buf());
    }
    let folder = into.join("archive");
    std::fs::create_dir_all(&folder).map_err(|error| RunError::io("creating", &folder, &error))?;
    ansatz_sources::unpack(data, &folder, ansatz_sources::MAX_MIB << 20)?;
    Ok(folder)
}

fn on_this_machine(data: &Path) -> Result<Files, RunError> {
    let metadata = std::fs::metadata(data).map_err(|error| {
        let message = format!("cannot open {}: {}", data.display(), plain(&error));
        RunError::data(message).hint("give a CSV, TSV or Parquet file, or a folder with train.csv")
    })?;
    if metadata.is_dir() { in_folder(data) } else { Ok(single(data.to_path_buf())) }
}

/// Writes tables for a folder that holds nothing but images by class; `None` for other folders.
fn of_classes(folder: &Path, into: &Path) -> Result<Option<Files>, RunError> {
    if !folder.is_dir() || !tables_of(folder).is_empty() {
        return Ok(None);
    }
    let Some(found) = pictures::by_class(folder) else { return Ok(None) };
    let (train, test) = found.write(into)?;
    let (images, id) = (Some(folder.to_path_buf()), Some(pictures::PATH.to_owned()));
    Ok(Some(Files { images, id, test, ..single(train) }))
}

fn in_folder(folder: &Path) -> Result<Files, RunError> {
    let named = any_table_named(folder, &["train", "training", "data"]);
    let train = named.or_else(|| only_table(folder)).ok_or_else(|| {
        RunError::data(format!("{} has no train.csv", folder.display()))
            .hint("name the training file train.csv (or .tsv, .parquet), or give the file itself")
    })?;
    let description = ["task.md", "description.md", "task.txt", "description.txt", "README.md"];
    let test = any_table_named(folder, &["test", "testing"]);
    let sample = any_table_named(folder, &["sample_submission", "sampleSubmission", "sample"]);
    let known = [Some(&train), test.as_ref(), sample.as_ref()];
    let mut tables: Vec<PathBuf> =
        tables_of(folder).into_iter().filter(|path| !known.contains(&Some(path))).collect();
    tables.truncate(TABLES_MAX);
    let images = pictures::are_named(folder, &train).then(|| folder.to_path_buf());
    Ok(Files {
        tables,
        images,
        test,
        sample,
        description: description.iter().map(|name| folder.join(name)).find(|path| path.is_file()),
        ..single(train)
    })
}

/// The table of a folder that has a single one.
fn only_table(folder: &Path) -> Option<PathBuf> {
    match tables_of(folder).as_slice() {
        [only] => Some(only.clone()),
        _ => None,
    }
}

/// All tables of a folder by name, texts left out: they may be anything.
fn tables_of(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut tables: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| {
            let name = path.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
            let is_table = || TABLE_ENDINGS.iter().any(|end| name.ends_with(&format!(".{end}")));
            let is_text = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("txt"));
            path.is_file() && !is_text && is_table()
        })
        .collect();
    tables.sort();
    tables
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
    let several = |role: &str, paths: &[PathBuf]| -> Result<Vec<PathBuf>, RunError> {
        paths.iter().enumerate().map(|(i, path)| copy(&format!("{role}-{}", i + 1), path)).collect()
    };
    Ok(Files {
        id: files.id.clone(),
        tables: further(&files.tables, &folder.join("tables"))?,
        images: files
            .images
            .as_deref()
            .map(|images| pictures::copy(images, &folder.join("images")))
            .transpose()?,
        parts: Parts {
            train: several("train", &files.parts.train)?,
            test: several("test", &files.parts.test)?,
        },
        train: copy("train", &files.train)?,
        test: optional("test", &files.test)?,
        sample: optional("sample", &files.sample)?,
        description,
    })
}

/// Copies further tables under their own names, which say what their columns are called; one that cannot be read, or is too
/// large, is left out.
fn further(tables: &[PathBuf], folder: &Path) -> Result<Vec<PathBuf>, RunError> {
    if tables.is_empty() {
        return Ok(Vec::new());
    }
    std::fs::create_dir_all(folder).map_err(|error| RunError::io("creating", folder, &error))?;
    let mut copied = Vec::new();
    for path in tables {
        let Some(name) = path.file_name() else { continue };
        let target = folder.join(name);
        let is_small = path.metadata().is_ok_and(|found| found.len() <= TABLE_BYTES_MAX);
        if is_small && std::fs::copy(path, &target).is_ok() {
            copied.push(target);
        }
    }
    Ok(copied)
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
