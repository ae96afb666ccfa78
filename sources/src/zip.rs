//! Zip archives: the tables in them, unpacked with limits.
//!
//! Only names decide what is unpacked, and only the last part of a name becomes a file's name, so nothing can be written
//! outside the folder. Contents are not looked at: that is done by the reader, in a cell.

use crate::error::SourceError;
use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress, inflate_flags};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// How every archive begins that has files.
pub const SIGNATURE: &[u8; 4] = b"PK\x03\x04";

/// Entries that are looked at.
const ENTRIES_MAX: usize = 100_000;
/// Files that are unpacked.
const FILES_MAX: usize = 2_000;
/// A file that grows more than this is an attack, not a table.
const RATIO_MAX: u64 = 1_100;
/// Bytes of the list of entries.
const LIST_MAX: u64 = 64 << 20;
/// What the archive's end record and a comment behind it take at most.
const END_MAX: u64 = 22 + 65_535;
/// Bytes that unpacking looks back on.
const WINDOW: usize = 1 << 15;
/// Endings of what is unpacked.
const ENDINGS: [&str; 9] =
    [".csv", ".tsv", ".parquet", ".csv.gz", ".tsv.gz", ".arff", ".png", ".jpg", ".jpeg"];

/// An entry of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    name: String,
    method: u16,
    is_encrypted: bool,
    packed: u64,
    bytes: u64,
    crc: u32,
    offset: u64,
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
    let mut file = File::open(archive).map_err(|error| SourceError::io("reading", archive, &error))?;
    let entries = entries(&mut file).map_err(|why| damaged(&why))?;
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
        extract(&mut file, entry, &folder.join(name))
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

fn at(bytes: &[u8], from: usize, length: usize) -> Option<u64> {
    let bytes = bytes.get(from..from + length)?;
    Some(bytes.iter().rev().fold(0, |value, byte| (value << 8) | u64::from(*byte)))
}

fn read_at(file: &mut File, from: u64, length: u64) -> Result<Vec<u8>, String> {
    let mut bytes = vec![0; length as usize];
    file.seek(SeekFrom::Start(from))
        .and_then(|_| file.read_exact(&mut bytes))
        .map_err(|error| error.to_string())?;
    Ok(bytes)
}

/// The list of entries, which lies at the end.
fn entries(file: &mut File) -> Result<Vec<Entry>, String> {
    let length = file.metadata().map_err(|error| error.to_string())?.len();
    let tail = END_MAX.min(length);
    let end = read_at(file, length - tail, tail)?;
    let place = end.windows(4).rposition(|window| window == b"PK\x05\x06").ok_or("its end is missing")?;
    let broken = || "its list of files is broken".to_owned();
    let mut count = at(&end, place + 10, 2).ok_or_else(broken)?;
    let mut size = at(&end, place + 12, 4).ok_or_else(broken)?;
    let mut from = at(&end, place + 16, 4).ok_or_else(broken)?;
    if count == 0xffff || size == 0xffff_ffff || from == 0xffff_ffff {
        // The form for large archives: a pointer before the end names a longer end record.
        let pointer =
            place.checked_sub(20).filter(|at| end[*at..].starts_with(b"PK\x06\x07")).ok_or_else(broken)?;
        let record = read_at(file, at(&end, pointer + 8, 8).ok_or_else(broken)?.min(length), 56)?;
        if !record.starts_with(b"PK\x06\x06") {
            return Err(broken());
        }
        count = at(&record, 32, 8).ok_or_else(broken)?;
        size = at(&record, 40, 8).ok_or_else(broken)?;
        from = at(&record, 48, 8).ok_or_else(broken)?;
    }
    if size > LIST_MAX || from.checked_add(size).is_none_or(|end| end > length) || count > ENTRIES_MAX as u64
    {
        return Err(broken());
    }
    let list = read_at(file, from, size)?;
    let (mut found, mut place) = (Vec::new(), 0);
    for _ in 0..count {
        let (entry, length) = entry(&list[place.min(list.len())..]).ok_or_else(broken)?;
        place += length;
        found.push(entry);
    }
    Ok(found)
}

/// One entry of the list, and its length.
fn entry(list: &[u8]) -> Option<(Entry, usize)> {
    if !list.starts_with(b"PK\x01\x02") {
        return None;
    }
    let (names, extras, comments) =
        (at(list, 28, 2)? as usize, at(list, 30, 2)? as usize, at(list, 32, 2)? as usize);
    let name = String::from_utf8_lossy(list.get(46..46 + names)?).replace('\\', "/");
    let mut entry = Entry {
        name,
        method: at(list, 10, 2)? as u16,
        is_encrypted: at(list, 8, 2)? & 1 == 1,
        packed: at(list, 20, 4)?,
        bytes: at(list, 24, 4)?,
        crc: at(list, 16, 4)? as u32,
        offset: at(list, 42, 4)?,
    };
    let mut extra = list.get(46 + names..46 + names + extras)?;
    while let (Some(kind), Some(length)) = (at(extra, 0, 2), at(extra, 2, 2)) {
        let body = extra.get(4..4 + length as usize)?;
        if kind == 1 {
            let mut place = 0;
            for value in [&mut entry.bytes, &mut entry.packed, &mut entry.offset] {
                if *value == 0xffff_ffff {
                    *value = at(body, place, 8)?;
                    place += 8;
                }
            }
        }
        extra = &extra[4 + length as usize..];
    }
    Some((entry, 46 + names + extras + comments))
}

fn extract(file: &mut File, entry: &Entry, path: &Path) -> Result<(), String> {
    let head = read_at(file, entry.offset, 30)?;
    if !head.starts_with(SIGNATURE) {
        return Err("its place is wrong".into());
    }
    let names = at(&head, 26, 2).unwrap_or(0) + at(&head, 28, 2).unwrap_or(0);
    file.seek(SeekFrom::Start(entry.offset + 30 + names)).map_err(|error| error.to_string())?;
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(|error| error.to_string())?;
    }
    let mut out = Counted {
        file: BufWriter::new(File::create(path).map_err(|error| error.to_string())?),
        crc: crc32fast::Hasher::new(),
        bytes: 0,
    };
    let packed = file.take(entry.packed);
    match entry.method {
        0 => copy(packed, &mut out, entry.bytes)?,
        8 => inflate(packed, &mut out, entry.bytes)?,
        other => return Err(format!("it is packed by the method {other}, which is not known here")),
    }
    if out.bytes != entry.bytes || out.crc.clone().finalize() != entry.crc {
        return Err("its checksum is wrong".into());
    }
    out.file.flush().map_err(|error| error.to_string())
}

struct Counted {
    file: BufWriter<File>,
    crc: crc32fast::Hasher,
    bytes: u64,
}

impl Counted {
    /// Writes, unless more comes than was announced.
    fn put(&mut self, bytes: &[u8], max: u64) -> Result<(), String> {
        self.bytes += bytes.len() as u64;
        if self.bytes > max {
            return Err("it is longer than it says".into());
        }
        self.crc.update(bytes);
        self.file.write_all(bytes).map_err(|error| error.to_string())
    }
}

fn copy(mut packed: impl Read, out: &mut Counted, max: u64) -> Result<(), String> {
    let mut piece = vec![0; 1 << 16];
    loop {
        match packed.read(&mut piece).map_err(|error| error.to_string())? {
            0 => return Ok(()),
            read => out.put(&piece[..read], max)?,
        }
    }
}

fn inflate(mut packed: impl Read, out: &mut Counted, max: u64) -> Result<(), String> {
    let mut state = DecompressorOxide::new();
    let (mut input, mut window) = (vec![0; 1 << 16], vec![0; 2 * WINDOW]);
    let (mut start, mut end, mut place) = (0, 0, 0);
    loop {
        if start == end {
            end = packed.read(&mut input).map_err(|error| error.to_string())?;
            start = 0;
        }
        let flags = if end == 0 { 0 } else { inflate_flags::TINFL_FLAG_HAS_MORE_INPUT };
        let (status, read, written) = decompress(&mut state, &input[start..end], &mut window, place, flags);
        start += read;
        out.put(&window[place..place + written], max)?;
        place = (place + written) % window.len();
        match status {
            TINFLStatus::Done => return Ok(()),
            TINFLStatus::HasMoreOutput => {}
            TINFLStatus::NeedsMoreInput if end > 0 => {}
            _ => return Err("its packed bytes are broken".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use miniz_oxide::deflate::compress_to_vec;

    /// An archive of these files, as the usual programs write it.
    pub(crate) fn packed(files: &[(&str, &[u8])]) -> Vec<u8> {
        let (mut out, mut list) = (Vec::new(), Vec::new());
        for (name, bytes) in files {
            let (body, offset) = (compress_to_vec(bytes, 6), out.len() as u32);
            let mut head = vec![20, 0, 0, 0, 8, 0, 0, 0, 0, 0];
            head.extend(crc32fast::hash(bytes).to_le_bytes());
            head.extend((body.len() as u32).to_le_bytes());
            head.extend((bytes.len() as u32).to_le_bytes());
            head.extend((name.len() as u16).to_le_bytes());
            head.extend([0, 0]);
            out.extend(SIGNATURE);
            out.extend(&head);
            out.extend(name.as_bytes());
            out.extend(&body);
            list.extend(b"PK\x01\x02\x14\x00");
            list.extend(&head);
            list.extend([0; 10]);
            list.extend(offset.to_le_bytes());
            list.extend(name.as_bytes());
        }
        let (from, count) = (out.len() as u32, files.len() as u16);
        out.extend(&list);
        out.extend(b"PK\x05\x06\0\0\0\0");
        out.extend(count.to_le_bytes());
        out.extend(count.to_le_bytes());
        out.extend((list.len() as u32).to_le_bytes());
        out.extend(from.to_le_bytes());
        out.extend([0, 0]);
        out
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
