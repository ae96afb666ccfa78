//! Data from elsewhere: an address, a data set of OpenML or of Hugging Face becomes files on this machine.
//!
//! [`Source::read`] tells sources from paths; [`acquire`] brings the files, from the cache where they are there already,
//! and says where they came from. What a source says about its data (names, licences, targets) is foreign text: it is
//! shown, and the target that it names is a proposal that a user overrides; nothing in it is obeyed.
//!
//! Invariant: every call goes through `ansatz_fetch`; only hosts that the user named or configured are reached; no table
//! is parsed here.

mod archive;
mod cache;
mod error;
mod hugging_face;
mod named;
mod openml;
mod settings;

pub use archive::{SIGNATURE as ZIP_SIGNATURE, unpack};
pub use cache::Progress;
pub use error::{SourceError, SourceErrorKind};
pub use named::{OpenMl, Repository, Source};
pub use settings::{HF_BASE, MAX_MIB, OPENML_BASE, Settings};

use ansatz_core::secret::Secret;
use ansatz_core::source::Provenance;
use cache::{Cache, Wanted};
use std::path::{Path, PathBuf};

/// Letters of a foreign text that are kept.
const FOREIGN_MAX: usize = 200;

/// A column that a source names, and why it is taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// The column.
    pub column: String,
    /// Why.
    pub because: String,
}

impl Named {
    fn new(column: String, because: &str) -> Self {
        Self { column, because: because.into() }
    }
}

/// Where the tables lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tables {
    /// Files by role; several of one role are parts of one table.
    Files {
        /// Training rows.
        train: Vec<PathBuf>,
        /// Rows to predict.
        test: Vec<PathBuf>,
    },
    /// A folder whose files say by their names what they are.
    Folder(PathBuf),
}

/// Data that are there now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acquired {
    /// A short name.
    pub name: String,
    /// The tables.
    pub tables: Tables,
    /// The target that the source proposes.
    pub target: Option<Named>,
    /// The id column that the source proposes.
    pub id: Option<Named>,
    /// Columns that the source advises to leave out.
    pub ignored: Vec<String>,
    /// Where every file came from.
    pub provenance: Vec<Provenance>,
    /// What the user should know.
    pub warnings: Vec<String>,
}

/// Brings the data of a source. `home` is the folder of the program's state; `token` is sent to Hugging Face alone.
///
/// # Errors
/// [`SourceError`]: one sentence and what to do.
pub async fn acquire(
    source: &Source,
    settings: &Settings,
    token: Option<&Secret>,
    home: &Path,
    progress: Progress<'_>,
) -> Result<Acquired, SourceError> {
    let cache = Cache::new(&home.join("sources"));
    match source {
        Source::OpenMl(asked) => openml::acquire(asked, settings, &cache, progress).await,
        Source::HuggingFace(asked) => hugging_face::acquire(asked, settings, token, &cache, progress).await,
        Source::Address(address) => at_address(address, settings, token, &cache, progress).await,
    }
}

/// Endings of files that are known; the reader finds out what others are.
const ENDINGS: [&str; 9] = [".csv.gz", ".tsv.gz", ".csv", ".tsv", ".parquet", ".pq", ".arff", ".zip", ".txt"];

async fn at_address(
    address: &str,
    settings: &Settings,
    token: Option<&Secret>,
    cache: &Cache,
    progress: Progress<'_>,
) -> Result<Acquired, SourceError> {
    let plain = shown(address);
    let last = plain.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    let lower = last.to_lowercase();
    let ending = ENDINGS.iter().find(|ending| lower.ends_with(**ending)).copied().unwrap_or(".csv");
    let ending = if ending == ".pq" { ".parquet" } else { ending };
    let client = settings.address(address, token)?;
    let wanted =
        Wanted { address, what: &plain, ending, version: None, md5: None, bytes_max: settings.bytes_max() };
    let kept = cache.file(&client, wanted, progress).await?;
    let provenance = Provenance {
        source: plain.clone(),
        address: plain.clone(),
        role: "train".into(),
        version: kept.record.tag.as_deref().map(|tag| foreign(tag.trim_matches('"'))),
        bytes: kept.record.bytes,
        sha256: kept.record.sha256.clone(),
        was_cached: kept.was_cached,
        ..Provenance::default()
    };
    let name = foreign(last.strip_suffix(ending).unwrap_or(last));
    let tables = if is_zip(&kept.path)? {
        let folder = cache.unpacked(&kept.record.sha256);
        unpack_once(&kept.path, &folder, settings.bytes_max())?;
        Tables::Folder(folder)
    } else {
        Tables::Files { train: vec![kept.path], test: Vec::new() }
    };
    Ok(Acquired {
        name: if name.is_empty() { "data".into() } else { name },
        tables,
        target: None,
        id: None,
        ignored: Vec::new(),
        provenance: vec![provenance],
        warnings: kept.warning.into_iter().collect(),
    })
}

/// Whether a file begins as a zip archive.
///
/// # Errors
/// It cannot be read.
pub fn is_zip(path: &Path) -> Result<bool, SourceError> {
    use std::io::Read as _;
    let mut head = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(4).read_to_end(&mut head));
    read.map_err(|error| SourceError::io("reading", path, &error))?;
    Ok(head == ZIP_SIGNATURE)
}

/// Unpacks an archive to where it was not unpacked yet: the folder is there as a whole, or not at all.
fn unpack_once(archive: &Path, folder: &Path, bytes_max: u64) -> Result<(), SourceError> {
    if folder.is_dir() {
        return Ok(());
    }
    let part = folder.with_extension(format!("part-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&part);
    std::fs::create_dir_all(&part).map_err(|error| SourceError::io("creating", &part, &error))?;
    let done = unpack(archive, &part, bytes_max).and_then(|_| match std::fs::rename(&part, folder) {
        // Another process was quicker.
        Err(_) if folder.is_dir() => Ok(()),
        renamed => renamed.map_err(|error| SourceError::io("writing", folder, &error)),
    });
    let _ = std::fs::remove_dir_all(&part);
    done
}

/// An address as it may be shown and kept: without user, password, query and fragment.
fn shown(address: &str) -> String {
    let plain = address.split(['?', '#']).next().unwrap_or(address);
    let (scheme, rest) = plain.split_once("://").unwrap_or(("https", plain));
    let (place, below) = rest.split_once('/').map_or((rest, None), |(place, below)| (place, Some(below)));
    let place = place.rsplit('@').next().unwrap_or(place);
    foreign(
        &below.map_or_else(|| format!("{scheme}://{place}"), |below| format!("{scheme}://{place}/{below}")),
    )
}

/// A foreign text on one short line.
fn foreign(text: &str) -> String {
    let plain: String = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    plain.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(FOREIGN_MAX).collect()
}
