//! Zip archives: the tables in them, unpacked with limits.
//!
//! Only names decide what is unpacked, and a name with anything but plain parts is passed over, so nothing can be written
//! outside the folder. Contents are not looked at: that is done by the reader, in a cell.

use crate::error::SourceError;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use zip::ZipArchive;

/// How every archive begins that has files.
pub const SIGNATURE: &[u8; 4] = b"PK\x03\x04";

/// Entries that are looked at.
const ENTRIES_MAX: usize = 100_000;
/// Files that are unpacked.
const FILES_MAX: usize = 2_000;
/// A file that grows more than this is an attack, not a table.
const RATIO_MAX: u64 = 1_100;
/// Endings of what is unpacked.
const ENDINGS: [&str; 9] =
    [".csv", ".tsv", ".parquet", ".csv.gz", ".tsv.gz", ".arff", ".png", ".jpg", ".jpeg"];

/// An entry of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    place: usize,
    name: String,
    is_encrypted: bool,
    packed: u64,
    bytes: u64,
}

/// Unpacks the tables of an archive into a folder that is there; the number of files.
///
/// # Errors
/// The archive is damaged, locked by a password, holds no table, or grows beyond the limit.
pub fn unpack(archive: &Path, folder: &Path, bytes_max: u64) -> Result<usize, SourceError> {
    let what = archive.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let damaged = |why: &str| {
        SourceError::data(format!("{what} is a damaged zip archive: {why}"))
            .hint("fetch it again, or unpack it yourself")
    };
    let file = File::open(archive).map_err(|error| SourceError::io("reading", archive, &error))?;
    let mut archive = ZipArchive::new(BufReader::new(file)).map_err(|why| damaged(&why.to_string()))?;
    let entries = entries(&mut archive).map_err(|why| damaged(&why))?;
    let chosen = chosen(&entries);
    if chosen.is_empty() {
        let names: Vec<&str> = entries.iter().map(|entry| entry.name.as_str()).take(5).collect();
        return Err(SourceError::data(format!("{what} holds no table")).hint(format!(
            "it holds {}; a CSV, TSV or Parquet file is needed",
            crate::foreign(&names.join(", "))
        )));
    }
    if chosen.len() > FILES_MAX {
        return Err(SourceError::data(format!("{what} holds {} files", chosen.len()))
            .hint("unpack it yourself and give the folder"));
    }
    let mut left = bytes_max;
    for (entry, name) in &chosen {
        if entry.is_encrypted {
            return Err(
                SourceError::data(format!("{what} is locked by a password")).hint("unpack it yourself")
            );
        }
        if entry.bytes > left || entry.bytes > (entry.packed + 1024).saturating_mul(RATIO_MAX) {
            return Err(SourceError::data(format!("{what} grows too large when it is unpacked"))
                .hint("unpack it yourself, or raise source_max_mib (ANSATZ_SOURCE_MAX_MIB)"));
        }
        left -= entry.bytes;
        extract(&mut archive, entry, &folder.join(name))
            .map_err(|why| damaged(&format!("{}: {why}", crate::foreign(&entry.name))))?;
    }
    Ok(chosen.len())
}

/// What is unpacked, and under which name: tables of the highest folder that has some, and images below their folders.
fn chosen(entries: &[Entry]) -> Vec<(&Entry, PathBuf)> {
    let is_wanted = |entry: &&Entry| {
        let lower = entry.name.to_lowercase();
        let last = lower.rsplit('/').next().unwrap_or_default();
        // `__MACOSX` and hidden files are the archiver's own.
        let is_hidden = last.starts_with('.') || lower.starts_with("__macosx/");
        !is_hidden && ENDINGS.iter().any(|ending| last.ends_with(ending) && last.len() > ending.len())
    };
    let wanted: Vec<&Entry> = entries.iter().filter(is_wanted).collect();
    let depth = |entry: &Entry| entry.name.matches('/').count();
    let is_image = |entry: &Entry| {
        let lower = entry.name.to_lowercase();
        ENDINGS[6..].iter().any(|ending| lower.ends_with(ending))
    };
    let highest = wanted.iter().filter(|entry| !is_image(entry)).map(|entry| depth(entry)).min().unwrap_or(0);
    let root: Option<Vec<&str>> = wanted
        .iter()
        .find(|entry| !is_image(entry) && depth(entry) == highest)
        .map(|entry| entry.name.split('/').take(highest).collect());
    let mut taken = BTreeSet::new();
    wanted
        .into_iter()
        .filter(|entry| is_image(entry) || depth(entry) == highest)
        .filter_map(|entry| {
            let parts: Vec<&str> = entry.name.split('/').collect();
            let skipped = root.as_ref().filter(|root| parts.starts_with(root)).map_or(0, Vec::len);
            let is_plain = |part: &&str| {
                !part.is_empty() && *part != "." && *part != ".." && !part.contains(['\\', ':', '\0'])
            };
            let name: Option<PathBuf> = parts.iter().all(is_plain).then(|| parts[skipped..].iter().collect());
            name.filter(|name| taken.insert(name.clone())).map(|name| (entry, name))
        })
        .collect()
}

fn entries(archive: &mut ZipArchive<BufReader<File>>) -> Result<Vec<Entry>, String> {
    let count = archive.len();
    if count > ENTRIES_MAX {
        return Err(format!("it lists {count} files"));
    }
    let entry = |place| {
        let found = archive.by_index_raw(place).map_err(|error| error.to_string())?;
        let name = found.name().map_err(|error| error.to_string())?.replace('\\', "/");
        let (packed, bytes) = (found.compressed_size(), found.size());
        Ok(Entry { place, name, is_encrypted: found.encrypted(), packed, bytes })
    };
    (0..count).map(entry).collect()
}

/// Writes one entry; its checksum is compared when its end is read.
fn extract(archive: &mut ZipArchive<BufReader<File>>, entry: &Entry, path: &Path) -> Result<(), String> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(|error| error.to_string())?;
    }
    let packed = archive.by_index(entry.place).map_err(|error| error.to_string())?;
    let mut out = File::create(path).map_err(|error| error.to_string())?;
    // One byte more than announced, so that an entry that is longer than it says is seen.
    let written = std::io::copy(&mut packed.take(entry.bytes + 1), &mut out);
    let written = written.map_err(|error| error.to_string())?;
    if written == entry.bytes { Ok(()) } else { Err("it is not as long as it says".into()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Cursor, Write as _};
    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    /// An archive of these files.
    fn packed(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, bytes) in files {
            writer.start_file(*name, SimpleFileOptions::default()).unwrap();
            writer.write_all(bytes).unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    fn unpacked(bytes: &[u8], max: u64) -> Result<Vec<String>, SourceError> {
        let scratch = tempfile::tempdir().unwrap();
        let (archive, folder) = (scratch.path().join("a.zip"), scratch.path().join("out"));
        std::fs::write(&archive, bytes).unwrap();
        std::fs::create_dir(&folder).unwrap();
        unpack(&archive, &folder, max)?;
        assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 2, "nothing lies outside");
        let mut names: Vec<String> = std::fs::read_dir(&folder)
            .unwrap()
            .flatten()
            .map(|entry| {
                let length = std::fs::metadata(entry.path()).unwrap().len();
                format!("{} {length}", entry.file_name().to_string_lossy())
            })
            .collect();
        names.sort();
        Ok(names)
    }

    #[test]
    fn tables_come_out_and_nothing_else() {
        let long: Vec<u8> = (0..300_000_u32).flat_map(|i| i.wrapping_mul(i).to_le_bytes()).collect();
        let archive = packed(&[
            ("data/train.csv", b"a,b\n1,2\n"),
            ("data/test.csv", &long),
            ("data/deeper/other.csv", b"x"),
            ("__MACOSX/data/train.csv", b"x"),
            ("data/readme.txt", b"x"),
            ("../../evil.csv", b"x"),
        ]);
        assert_eq!(unpacked(&archive, 1 << 30).unwrap(), ["test.csv 1200000", "train.csv 8"]);
        let climbing = packed(&[("../evil.csv", b"x"), ("/abs.csv", b"x")]);
        assert!(unpacked(&climbing, 1 << 30).is_err_and(|error| error.message.contains("no table")));
    }

    #[test]
    fn bombs_and_broken_archives_are_refused() {
        let bomb = packed(&[("train.csv", &vec![b'0'; 40 << 20])]);
        assert!(unpacked(&bomb, 1 << 20).unwrap_err().message.contains("too large"));
        let mut archive = packed(&[("train.csv", &vec![b'0'; 5000])]);
        let middle = 50;
        archive[middle] ^= 0xff;
        assert!(unpacked(&archive, 1 << 30).unwrap_err().message.contains("damaged"));
        for cut in [4, 30, archive.len() - 10] {
            assert!(unpacked(&archive[..cut], 1 << 30).unwrap_err().message.contains("damaged"));
        }
    }
}
