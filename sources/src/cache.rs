//! What was fetched before: a folder per address, with the file, and a record of its version, size and hash.
//!
//! A file that is there in the version asked for, and whole, is not fetched again. One process at a time works on an
//! address; others wait. A copy that is damaged, or of another version, is replaced, never mixed.

use crate::error::{SourceError, is_out_of_reach, of_fetch};

use ansatz_core::ids::hex;
use ansatz_fetch::{Client, Downloaded, FetchError};
use md5::{Digest as _, Md5};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::Sha256;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often a lock that another process holds is looked at.
const LOCK_GLANCE: Duration = Duration::from_millis(200);
/// Name of the record in a folder.
const RECORD: &str = "fetched.json";

/// Hears of downloads: what, the bytes so far, and all of them when known.
pub type Progress<'a> = &'a mut (dyn FnMut(&str, u64, Option<u64>) + Send);

/// Files of earlier runs.
#[derive(Debug, Clone)]
pub(crate) struct Cache {
    folder: PathBuf,
}

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a> {
    /// The whole address.
    pub address: &'a str,
    /// What it is called in messages.
    pub what: &'a str,
    /// Ending of the file's name, with its dot: it says how the file is read.
    pub ending: &'a str,
    /// The version, when the source tells it apart from the file: a copy of this version needs no call.
    pub version: Option<&'a str>,
    /// The MD5 that the source offers.
    pub md5: Option<&'a str>,
    /// Most bytes.
    pub bytes_max: u64,
}

/// A file that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kept {
    pub path: PathBuf,
    pub record: Fetched,
    pub was_cached: bool,
    /// Why a copy of an earlier run stands in for the file, when the source is out of reach.
    pub warning: Option<String>,
}

/// The record of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Fetched {
    /// Name of the file in its folder.
    pub name: String,
    /// The version as the source tells it.
    pub version: Option<String>,
    /// The tag that the server names with the file.
    pub tag: Option<String>,
    pub bytes: u64,
    pub sha256: String,
    /// Whether the MD5 that was offered is right.
    pub md5: bool,
}

impl Cache {
    pub fn new(folder: &Path) -> Self {
        Self { folder: folder.to_path_buf() }
    }

    fn place(&self, address: &str) -> PathBuf {
        self.folder.join(&hex(&Sha256::digest(address))[..32])
    }

    /// The file at an address, from an earlier run or fetched now.
    pub async fn file(
        &self,
        client: &Client,
        wanted: Wanted<'_>,
        progress: Progress<'_>,
    ) -> Result<Kept, SourceError> {
        let place = self.place(wanted.address);
        let _lock = lock(&place).await?;
        let before = read(&place).filter(|before| is_whole(&place, before));
        let kept = |record: Fetched, was_cached, warning| Kept {
            path: place.join(&record.name),
            record,
            was_cached,
            warning,
        };
        if let Some(before) = before.clone()
            && wanted.version.is_some()
            && before.version.as_deref() == wanted.version
        {
            return Ok(kept(before, true, None));
        }
        let mut request = client.get(wanted.address);
        if let Some(tag) = before.as_ref().and_then(|before| before.tag.as_deref()) {
            request = request.header(condition(tag), tag);
        }
        let name = format!("data{}", wanted.ending);
        let path = place.join(&name);
        let fresh = path.with_file_name(format!("new{}", wanted.ending));
        let mut hear = |bytes, all| progress(wanted.what, bytes, all);
        let done = match (request.download(&fresh, wanted.bytes_max, &mut hear).await, before) {
            (Ok(done), _) => done,
            (Err(error), Some(before)) if error.status() == Some(304) => return Ok(kept(before, true, None)),
            (Err(error), Some(before)) if is_out_of_reach(&error) => {
                return Ok(kept(before, true, Some(stands_in(wanted.what, &error))));
            }
            (Err(error), _) => return Err(of_fetch(&error, wanted.what)),
        };
        let md5 = checked(&fresh, wanted)?;
        std::fs::rename(&fresh, &path).map_err(|error| SourceError::io("writing", &path, &error))?;
        let record = record(name, wanted.version, done, md5);
        write(&place, &record)?;
        Ok(kept(record, false, None))
    }

    /// A description in JSON, kept for when its source is out of reach, with a warning then.
    pub async fn json(
        &self,
        client: &Client,
        path: &str,
        what: &str,
    ) -> Result<(Value, Option<String>), FetchError> {
        let place = self.place(&format!("{}{path}", client.base()));
        let file = place.join("description.json");
        match client.get(path).json::<Value>().await {
            Ok(value) => {
                // Without a copy the next run is not worse off than this one.
                let _ = std::fs::create_dir_all(&place)
                    .and_then(|()| std::fs::write(&file, value.to_string().as_bytes()));
                Ok((value, None))
            }
            Err(error) if is_out_of_reach(&error) => {
                let before = std::fs::read(&file).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
                before.map(|value| (value, Some(stands_in(what, &error)))).ok_or(error)
            }
            Err(error) => Err(error),
        }
    }

    /// Where the files of an archive go, by the archive's hash; one place for each.
    pub fn unpacked(&self, sha256: &str) -> PathBuf {
        self.folder.join("unpacked").join(&sha256[..sha256.len().min(32)])
    }
}

fn stands_in(what: &str, error: &FetchError) -> String {
    format!("{what} could not be reached ({}); the copy of an earlier run is used", error.kind)
}

/// The header that asks for a file only if it is another one than that of the tag.
fn condition(tag: &str) -> &'static str {
    if tag.starts_with('"') || tag.starts_with("W/") { "if-none-match" } else { "if-modified-since" }
}

fn record(name: String, version: Option<&str>, done: Downloaded, md5: bool) -> Fetched {
    Fetched {
        name,
        version: version.map(str::to_owned),
        tag: done.tag,
        bytes: done.bytes,
        sha256: done.sha256,
        md5,
    }
}

/// Whether an offered checksum is right; a file that it does not fit is removed.
fn checked(path: &Path, wanted: Wanted<'_>) -> Result<bool, SourceError> {
    let Some(offered) = wanted.md5 else { return Ok(false) };
    let found =
        File::open(path).and_then(md5_of).map_err(|error| SourceError::io("reading", path, &error))?;
    if found.eq_ignore_ascii_case(offered) {
        return Ok(true);
    }
    let _ = std::fs::remove_file(path);
    Err(SourceError::data(format!(
        "{} is damaged: its MD5 is {found}, not {offered} as its source says",
        wanted.what
    ))
    .hint("try again; when it stays, the file or its description at the source is wrong"))
}

/// The MD5 of a file, which guards against broken downloads, not against people.
fn md5_of(mut file: File) -> std::io::Result<String> {
    let mut hasher = Md5::new();
    std::io::copy(&mut file, &mut hasher)?;
    Ok(hex(&hasher.finalize()))
}

/// Holds an address for one process.
async fn lock(place: &Path) -> Result<File, SourceError> {
    std::fs::create_dir_all(place).map_err(|error| SourceError::io("creating", place, &error))?;
    let path = place.join("lock");
    let file = File::create(&path).map_err(|error| SourceError::io("writing", &path, &error))?;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(std::fs::TryLockError::WouldBlock) => tokio::time::sleep(LOCK_GLANCE).await,
            Err(std::fs::TryLockError::Error(error)) => {
                return Err(SourceError::io("locking", &path, &error));
            }
        }
    }
}

fn read(place: &Path) -> Option<Fetched> {
    serde_json::from_slice(&std::fs::read(place.join(RECORD)).ok()?).ok()
}

fn write(place: &Path, record: &Fetched) -> Result<(), SourceError> {
    let (path, part) = (place.join(RECORD), place.join(".record.part"));
    let text = serde_json::to_vec_pretty(record).unwrap_or_default();
    std::fs::write(&part, text)
        .and_then(|()| std::fs::rename(&part, &path))
        .map_err(|error| SourceError::io("writing", &path, &error))
}

/// Whether the file is there as the record says, to the last byte.
fn is_whole(place: &Path, record: &Fetched) -> bool {
    let path = place.join(&record.name);
    let is_plain = !record.name.contains(['/', '\\']) && record.name.starts_with("data");
    let right_size = path.metadata().is_ok_and(|found| found.is_file() && found.len() == record.bytes);
    is_plain && right_size && sha256(&path).is_ok_and(|found| found == record.sha256)
}

fn sha256(path: &Path) -> std::io::Result<String> {
    let (mut file, mut hash, mut piece) = (File::open(path)?, Sha256::new(), vec![0; 1 << 16]);
    loop {
        let read = file.read(&mut piece)?;
        if read == 0 {
            return Ok(hex(&hash.finalize()));
        }
        hash.update(&piece[..read]);
    }
}
