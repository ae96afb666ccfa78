//! Durable files and folders.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Syncs every file and folder below `folder`, and the folder.
pub(crate) fn sync_all(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            sync_all(&path)?;
        } else {
            File::open(&path)?.sync_all()?;
        }
    }
    sync_folder(folder)
}

/// Makes the names in a folder durable. Other systems cannot open a folder as a file and need not.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

/// Writes a whole file: afterwards `path` holds the old or the new content, whatever happens.
pub(crate) fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let unfinished = path.with_extension(format!("{}.tmp", std::process::id()));
    let outcome = File::create(&unfinished)
        .and_then(|mut file| file.write_all(content).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&unfinished, path))
        .and_then(|()| path.parent().map_or(Ok(()), sync_folder));
    if outcome.is_err() {
        let _ = fs::remove_file(&unfinished);
    }
    outcome
}

/// Appends lines to a file in one write and syncs it. A torn last line of an earlier writer is ended first.
pub(crate) fn append_lines(path: &Path, lines: &str) -> io::Result<()> {
    let is_new = !path.exists();
    let mut file = OpenOptions::new().append(true).create(true).open(path)?;
    let whole = fs::read(path)?.last().is_none_or(|byte| *byte == b'\n');
    let text = if whole { lines.to_string() } else { format!("\n{lines}") };
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    if is_new { path.parent().map_or(Ok(()), sync_folder) } else { Ok(()) }
}

/// `folder/stem`, or with the first number that makes it new.
pub(crate) fn free_name(folder: &Path, stem: &str, end: &str) -> PathBuf {
    let first = folder.join(format!("{stem}{end}"));
    let mut names = (2..=u32::MAX).map(|number| folder.join(format!("{stem}-{number}{end}")));
    if first.exists() { names.find(|name| !name.exists()).unwrap_or(first) } else { first }
}
