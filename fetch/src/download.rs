//! Downloads to files: capped, resumed where an earlier attempt ended, complete or not there.
//!
//! The bytes go to `NAME.part`; beside it `NAME.part.tag` holds the version that the server named, so that halves of two
//! versions are never put together. The file itself appears at the end, by renaming.

use crate::body::{self, Incoming};
use crate::error::{FetchError, FetchErrorKind};
use crate::request::Request;
use ansatz_core::ids::hex;
use ansatz_core::secret::Redactor;
use sha2::{Digest as _, Sha256};
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

/// Longest version tag that is kept.
const TAG_MAX: usize = 1024;

/// A finished download.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Downloaded {
    /// Size of the file.
    pub bytes: u64,
    /// SHA-256 of the file, as hexadecimal digits.
    pub sha256: String,
    /// Bytes that an earlier attempt had brought already.
    pub resumed_from: u64,
    /// The version that the server names: its entity tag, else when the file was last changed.
    pub tag: Option<String>,
}

/// Where a download goes.
struct Target {
    path: PathBuf,
    part: PathBuf,
    tag: PathBuf,
}

impl Target {
    fn new(path: &Path) -> Self {
        let beside = |ending: &str| {
            let mut name = path.file_name().unwrap_or_default().to_os_string();
            name.push(ending);
            path.with_file_name(name)
        };
        Self { path: path.into(), part: beside(".part"), tag: beside(".part.tag") }
    }

    /// Bytes that are there already, and the version that they belong to.
    fn begun(&self) -> Option<(u64, String)> {
        let tag = std::fs::read_to_string(&self.tag).ok().filter(|tag| !tag.is_empty())?;
        let length = self.part.metadata().ok().filter(std::fs::Metadata::is_file)?.len();
        (length > 0).then_some((length, tag))
    }

    fn forget(&self) {
        let _ = std::fs::remove_file(&self.part);
        let _ = std::fs::remove_file(&self.tag);
    }
}

fn io(path: &Path) -> impl Fn(std::io::Error) -> FetchErrorKind {
    move |error| FetchErrorKind::File { path: path.to_path_buf(), error }
}

impl Request {
    /// Downloads to a file of at most so many bytes; a web page where data were expected is an error.
    ///
    /// `progress` hears the bytes so far and, when known, all of them.
    ///
    /// A broken download is taken up where it ended, here (as the client's patience allows) and by the next call.
    ///
    /// # Errors
    /// [`FetchError`]; the file is not there then.
    pub async fn download(
        self,
        path: &Path,
        max: u64,
        progress: &mut (dyn FnMut(u64, Option<u64>) + Send),
    ) -> Result<Downloaded, FetchError> {
        let target = Target::new(path);
        self.with_retries(async || self.attempt(&target, max, progress).await).await
    }

    async fn attempt(
        &self,
        target: &Target,
        max: u64,
        progress: &mut (dyn FnMut(u64, Option<u64>) + Send),
    ) -> Result<Downloaded, FetchError> {
        let begun = target.begun();
        let extra = begun.as_ref().map_or_else(Vec::new, |(length, tag)| {
            vec![("range", format!("bytes={length}-")), ("if-range", tag.clone())]
        });
        let mut incoming = match self.send(&extra).await {
            // What is there is longer than the file, or the file is another one: begin anew next time.
            Err(error) if error.status() == Some(416) && begun.is_some() => {
                target.forget();
                return Err(FetchError { kind: FetchErrorKind::Changed, ..error });
            }
            sent => sent?,
        };
        let url = incoming.url.clone();
        receive(&mut incoming, target, begun, max, self.redactor(), progress)
            .await
            .map_err(|kind| self.error(&url, kind))
    }
}

async fn receive(
    incoming: &mut Incoming,
    target: &Target,
    begun: Option<(u64, String)>,
    max: u64,
    redactor: &Redactor,
    progress: &mut (dyn FnMut(u64, Option<u64>) + Send),
) -> Result<Downloaded, FetchErrorKind> {
    let resumed_from = match begun {
        Some((length, _)) if incoming.status == 206 && continues(incoming, length) => length,
        _ if incoming.status == 206 => {
            target.forget();
            return Err(FetchErrorKind::Changed);
        }
        _ => 0,
    };
    let tag = incoming.header("etag").or_else(|| incoming.header("last-modified"));
    let tag = tag.filter(|tag| tag.len() <= TAG_MAX).map(str::to_owned);
    let all = incoming.length().map(|rest| resumed_from + rest);
    if all.is_some_and(|all| all > max) {
        target.forget();
        return Err(FetchErrorKind::TooLarge { max });
    }
    let mut hash = Sha256::new();
    let mut file = if resumed_from > 0 {
        hash_file(&target.part, &mut hash).map_err(io(&target.part))?;
        OpenOptions::new().append(true).open(&target.part).map_err(io(&target.part))?
    } else {
        write_tag(incoming, target).map_err(io(&target.tag))?;
        File::create(&target.part).map_err(io(&target.part))?
    };
    let mut bytes = resumed_from;
    progress(bytes, all);
    while let Some(piece) = incoming.piece().await? {
        if bytes == 0 && body::looks_like_html(&piece) {
            drop(file);
            target.forget();
            return Err(FetchErrorKind::Html { title: body::title(&piece, redactor) });
        }
        bytes += piece.len() as u64;
        if bytes > max {
            drop(file);
            target.forget();
            return Err(FetchErrorKind::TooLarge { max });
        }
        hash.update(&piece);
        file.write_all(&piece).map_err(io(&target.part))?;
        progress(bytes, all);
    }
    if all.is_some_and(|all| all != bytes) {
        return Err(FetchErrorKind::Broken(format!("after {bytes} of {} bytes", all.unwrap_or_default())));
    }
    file.sync_all().map_err(io(&target.part))?;
    std::fs::rename(&target.part, &target.path).map_err(io(&target.path))?;
    let _ = std::fs::remove_file(&target.tag);
    Ok(Downloaded { bytes, sha256: hex(&hash.finalize()), resumed_from, tag })
}

/// Whether a partial reply begins where what is there ends.
fn continues(incoming: &Incoming, length: u64) -> bool {
    let range = incoming.header("content-range").and_then(|range| range.strip_prefix("bytes "));
    range.and_then(|range| range.split_once('-')).is_some_and(|(from, _)| from.parse() == Ok(length))
}

/// Keeps the version of what is about to come; without a strong one a broken download cannot be resumed.
fn write_tag(incoming: &Incoming, target: &Target) -> std::io::Result<()> {
    let strong = incoming.header("etag").filter(|tag| !tag.starts_with("W/"));
    let tag = strong.or_else(|| incoming.header("last-modified")).filter(|tag| tag.len() <= TAG_MAX);
    std::fs::write(&target.tag, tag.unwrap_or_default())
}

fn hash_file(path: &Path, hash: &mut Sha256) -> std::io::Result<()> {
    let mut file = File::open(path)?;
    let mut piece = vec![0; 1 << 16];
    loop {
        let read = file.read(&mut piece)?;
        if read == 0 {
            return Ok(());
        }
        hash.update(&piece[..read]);
    }
}
