//! How often each seal was opened: `looks.jsonl`, one line per look, synced before the seal is opened.
//!
//! A plain file of its own, because a lost look would make an interval too narrow: it needs no lock, survives a
//! damaged store, and is never forgotten.

use crate::folder::append_lines;
use ansatz_core::ids::RunId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

/// One opening of a seal. Equal looks are one look, so a look may be recorded again after a crash.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Look {
    /// Hash of the data that decides the split.
    pub data_hash: String,
    /// The run that looked.
    pub run: RunId,
    /// Which look of that run, from 1.
    pub number: u32,
}

pub(crate) fn file(folder: &Path) -> PathBuf {
    folder.join("looks.jsonl")
}

/// All looks. Lines that are no looks (torn by a power loss before they were acknowledged) are passed over.
pub(crate) fn read(folder: &Path) -> io::Result<BTreeSet<Look>> {
    let text = match std::fs::read(file(folder)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
        bytes => bytes?,
    };
    Ok(text.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect())
}

/// Records looks that are not recorded yet.
pub(crate) fn add<'a>(folder: &Path, looks: impl IntoIterator<Item = &'a Look>) -> io::Result<()> {
    let known = read(folder)?;
    let mut lines = String::new();
    for look in looks.into_iter().collect::<BTreeSet<_>>() {
        if !known.contains(look) {
            lines.push_str(&serde_json::to_string(look).map_err(io::Error::other)?);
            lines.push('\n');
        }
    }
    if lines.is_empty() { Ok(()) } else { append_lines(&file(folder), &lines) }
}
