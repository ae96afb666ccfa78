//! Bytes by their hash: `blobs/<first two digits>/<64 digits>` in the run folder.
//!
//! A blob is whole or not there: it is written beside its place, synced, renamed, and its folder synced.

use crate::disk::sync_folder;
use crate::error::{JournalError, JournalErrorKind};
use ansatz_core::ids::ArtifactId;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

const UNFINISHED: &str = "tmp";

/// The blobs of a run folder. Cheap to clone; may be used from several threads.
#[derive(Debug, Clone)]
pub struct Blobs {
    folder: PathBuf,
}

impl Blobs {
    /// The blobs of a run folder; nothing is made before the first [`Self::put`].
    pub fn new(run_folder: &Path) -> Self {
        Self { folder: run_folder.join("blobs") }
    }

    /// Stores bytes and returns their id once they are on disk. Bytes that are there already are not written again.
    ///
    /// # Errors
    /// [`JournalErrorKind::DiskFull`] and what else the system reports; then nothing is left in the blob's place.
    pub fn put(&self, bytes: &[u8]) -> Result<ArtifactId, JournalError> {
        let id = ArtifactId::of_bytes(bytes);
        let place = self.path(&id)?;
        if !place.exists() {
            self.write(&place, bytes).map_err(|error| JournalError::io(&place, error))?;
        }
        Ok(id)
    }

    /// The bytes of a blob, checked against its id.
    ///
    /// # Errors
    /// [`JournalErrorKind::NotABlob`], [`JournalErrorKind::Changed`], and what the system reports (a blob that is
    /// not there is [`io::ErrorKind::NotFound`]).
    pub fn get(&self, id: &ArtifactId) -> Result<Vec<u8>, JournalError> {
        let path = self.path(id)?;
        let bytes = std::fs::read(&path).map_err(|error| JournalError::io(&path, error))?;
        let found = ArtifactId::of_bytes(&bytes);
        if found == *id {
            Ok(bytes)
        } else {
            Err(JournalError::new(&path, JournalErrorKind::Changed { found }))
        }
    }

    /// Whether the blob is there; its bytes are not looked at.
    pub fn contains(&self, id: &ArtifactId) -> bool {
        self.path(id).is_ok_and(|path| path.is_file())
    }

    /// Removes a blob; one that is not there is removed already.
    ///
    /// # Errors
    /// [`JournalErrorKind::NotABlob`] and what the system reports.
    pub fn remove(&self, id: &ArtifactId) -> Result<(), JournalError> {
        let path = self.path(id)?;
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(JournalError::io(&path, error)),
            _ => Ok(()),
        }
    }

    /// Where the blob is or would be.
    ///
    /// # Errors
    /// [`JournalErrorKind::NotABlob`] when the id is not `sha256:` and 64 lower-case hexadecimal digits; so no id,
    /// whoever made it up, leads out of the folder.
    pub fn path(&self, id: &ArtifactId) -> Result<PathBuf, JournalError> {
        let digits = id.as_str().strip_prefix("sha256:").filter(|digits| {
            digits.len() == 64 && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        });
        digits
            .map(|digits| self.folder.join(&digits[..2]).join(digits))
            .ok_or_else(|| JournalError::new(&self.folder, JournalErrorKind::NotABlob(id.clone())))
    }

    /// Removes what interrupted puts left behind. Only for the one writer, before it puts anything.
    pub(crate) fn sweep(&self) {
        let folders = std::fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let files = folders.filter_map(|folder| std::fs::read_dir(folder.path()).ok()).flatten().flatten();
        for file in files.filter(|file| file.path().extension().is_some_and(|end| end == UNFINISHED)) {
            // What cannot be removed now wastes space and harms nothing.
            let _ = std::fs::remove_file(file.path());
        }
    }

    fn write(&self, place: &Path, bytes: &[u8]) -> io::Result<()> {
        let folder = place.parent().unwrap_or(&self.folder);
        if !folder.exists() {
            std::fs::create_dir_all(folder)?;
            sync_folder(&self.folder)?;
            self.folder.parent().map_or(Ok(()), sync_folder)?;
        }
        let (unfinished, mut file) = create_beside(place)?;
        let outcome = file
            .write_all(bytes)
            .and_then(|()| file.sync_all())
            .and_then(|()| std::fs::rename(&unfinished, place))
            .and_then(|()| sync_folder(folder));
        if outcome.is_err() {
            let _ = std::fs::remove_file(&unfinished);
        }
        outcome
    }
}

/// A new file beside `place`; several threads may want the same place at once.
fn create_beside(place: &Path) -> io::Result<(PathBuf, File)> {
    const WRITERS_MAX: u32 = 1000;
    for number in 0..WRITERS_MAX {
        let path = place.with_extension(format!("{number}.{UNFINISHED}"));
        match OpenOptions::new().write(true).create_new(true).open(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            outcome => return outcome.map(|file| (path, file)),
        }
    }
    Err(io::Error::other("too many unfinished writes of the same blob"))
}
