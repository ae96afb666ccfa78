//! Records of runs that found the store taken: `inbox/<run>.jsonl`, merged by whoever opens the store next.

use crate::experience::Record;
use crate::folder::{free_name, replace};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What the inbox holds.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    pub(crate) records: Vec<Record>,
    /// The files that hold them.
    pub(crate) files: Vec<PathBuf>,
    /// Those of them that hold lines that are no records.
    pub(crate) faulty: Vec<PathBuf>,
    /// Lines that are no records, said for a person to read.
    pub(crate) notices: Vec<String>,
}

/// Writes records to a file of their own; a file in the inbox is whole from the moment that it has its name.
pub(crate) fn write(folder: &Path, run: &str, records: &[Record]) -> io::Result<PathBuf> {
    let folder = folder.join("inbox");
    fs::create_dir_all(&folder)?;
    let path = free_name(&folder, &file_stem(run), ".jsonl");
    replace(&path, to_lines(records)?.as_bytes())?;
    Ok(path)
}

/// Reads all files of the inbox, in the order of their names.
pub(crate) fn read(folder: &Path) -> io::Result<Inbox> {
    let mut inbox = Inbox::default();
    let entries = match fs::read_dir(folder.join("inbox")) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(inbox),
        entries => entries?,
    };
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.retain(|path| path.extension().is_some_and(|end| end == "jsonl"));
    files.sort();
    for path in files {
        // A file that is gone was merged by somebody else between the listing and now.
        let Ok(bytes) = fs::read(&path) else { continue };
        let (records, faults) = from_lines(&String::from_utf8_lossy(&bytes));
        inbox.records.extend(records);
        if !faults.is_empty() {
            inbox.faulty.push(path.clone());
        }
        inbox.notices.extend(faults.into_iter().map(|fault| format!("{}: {fault}", path.display())));
        inbox.files.push(path);
    }
    Ok(inbox)
}

/// Records as lines of JSON.
pub(crate) fn to_lines<'a>(records: impl IntoIterator<Item = &'a Record>) -> io::Result<String> {
    records.into_iter().try_fold(String::new(), |mut text, record| {
        text.push_str(&serde_json::to_string(record).map_err(io::Error::other)?);
        text.push('\n');
        Ok(text)
    })
}

/// Records from lines of JSON, and what is wrong with the lines that are none.
pub(crate) fn from_lines(text: &str) -> (Vec<Record>, Vec<String>) {
    let (mut records, mut faults) = (Vec::new(), Vec::new());
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        match serde_json::from_str(line) {
            Ok(record) => records.push(record),
            Err(error) => faults.push(format!("line {} is not a record of memory: {error}", number + 1)),
        }
    }
    (records, faults)
}

/// A run's id as a file name: what could mean something to a file system becomes `_`.
fn file_stem(run: &str) -> String {
    let safe = |character: char| {
        if character.is_ascii_alphanumeric() || matches!(character, '-' | '_') { character } else { '_' }
    };
    let stem: String = run.chars().take(80).map(safe).collect();
    if stem.is_empty() { "run".into() } else { stem }
}
