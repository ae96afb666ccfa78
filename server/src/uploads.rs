//! What callers send: files on disk, written as they come and away from the threads that answer.
//!
//! Invariant: an upload is whole or not there. Whoever sends one and breaks off leaves nothing behind.

use crate::problem::Problem;
use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use futures_util::StreamExt as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::mpsc::{self, Receiver};

/// Endings of files that can be read as data; the ending of an upload's name is kept, for it says how.
const ENDINGS: &[&str] = &["csv.gz", "csv", "tsv", "parquet", "txt", "arff", "zip"];
/// Ending of an upload that has not come whole.
const PARTIAL: &str = "part";
/// Age from which nobody writes to an upload any more that has not come whole: other servers may use the same folder.
const PARTIAL_AGE: Duration = Duration::from_hours(1);
/// Pieces that may wait for the disk.
const PIECES_MAX: usize = 8;

/// The folder of uploads.
pub struct Uploads {
    folder: PathBuf,
    bytes_max: u64,
    taken: AtomicU64,
}

/// What comes to the thread that writes.
enum Piece {
    Bytes(Bytes),
    /// That was all. Without this the caller has broken off.
    End,
}

impl Uploads {
    /// Uploads of at most so many bytes in a folder. What a process that ended had not taken whole is removed.
    pub fn open(folder: PathBuf, bytes_max: u64) -> Self {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let changed = entry.metadata().and_then(|about| about.modified());
            let is_old = changed.is_ok_and(|at| at.elapsed().is_ok_and(|age| age > PARTIAL_AGE));
            if is_old && entry.path().extension().is_some_and(|ending| ending == PARTIAL) {
                let _ = std::fs::remove_file(entry.path());
            }
        }
        Self { folder, bytes_max, taken: AtomicU64::new(0) }
    }

    /// An id for a file of that name.
    fn id(&self, name: &str) -> String {
        let name = name.to_lowercase();
        let ending = ENDINGS.iter().find(|ending| name.ends_with(&format!(".{ending}")));
        let stamp = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let number = self.taken.fetch_add(1, Ordering::Relaxed);
        format!("{:x}-{number}.{}", stamp.as_nanos(), ending.unwrap_or(&"csv"))
    }

    /// The file of an upload.
    ///
    /// # Errors
    /// There is none of that id.
    pub fn find(&self, id: &str) -> Result<PathBuf, Problem> {
        let is_plain = id.chars().all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '.'));
        let is_whole = ENDINGS.iter().any(|ending| id.ends_with(&format!(".{ending}")));
        let path = self.folder.join(id);
        if is_plain && is_whole && !id.starts_with('.') && path.is_file() {
            Ok(path)
        } else {
            Err(Problem::unusable(format!("there is no upload {id:?}")))
        }
    }

    /// Takes a file as it comes, and no more of it than is allowed: its id and its bytes.
    ///
    /// # Errors
    /// It is too large, empty or broken off, or the disk takes no more.
    pub async fn take(&self, name: &str, body: Body) -> Result<(String, u64), Problem> {
        let id = self.id(name);
        let path = self.folder.join(&id);
        let (sender, pieces) = mpsc::channel(PIECES_MAX);
        let writing = tokio::task::spawn_blocking(move || write(&path, pieces));
        let (mut stream, mut bytes) = (body.into_data_stream(), 0_u64);
        while let Some(piece) = stream.next().await {
            let piece = piece.map_err(|error| broken_off(&error))?;
            bytes += piece.len() as u64;
            if bytes > self.bytes_max {
                let detail = format!("an upload may have {} bytes", self.bytes_max);
                return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", detail));
            }
            if sender.send(Piece::Bytes(piece)).await.is_err() {
                // The disk takes no more; why not is told below.
                break;
            }
        }
        if bytes == 0 {
            return Err(Problem::unusable("the upload is empty"));
        }
        let _ = sender.send(Piece::End).await;
        drop(sender);
        let written = writing.await.map_err(|error| Problem::broken(&error))?;
        written.map_err(|error| Problem::broken(&error))?;
        Ok((id, bytes))
    }
}

fn broken_off(error: &dyn std::fmt::Display) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "broken_off", format!("the upload broke off: {error}"))
}

/// Writes what comes to a file, which is there only when the end has come too.
fn write(path: &Path, mut pieces: Receiver<Piece>) -> std::io::Result<()> {
    let partial = path.with_extension(PARTIAL);
    let mut take = || {
        let mut file = std::fs::File::create(&partial)?;
        loop {
            match pieces.blocking_recv() {
                Some(Piece::Bytes(bytes)) => file.write_all(&bytes)?,
                Some(Piece::End) => break,
                None => return Err(std::io::Error::other("the upload broke off")),
            }
        }
        file.sync_all()?;
        std::fs::rename(&partial, path)
    };
    let taken = take();
    if taken.is_err() {
        let _ = std::fs::remove_file(&partial);
    }
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    }

    fn files(folder: &Path) -> usize {
        std::fs::read_dir(folder).unwrap().count()
    }

    #[test]
    fn an_upload_is_taken_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let uploads = Uploads::open(folder.path().to_path_buf(), 10);
        let take = |name: &str, body: &'static str| runtime().block_on(uploads.take(name, Body::from(body)));
        let (id, bytes) = take("Data.CSV.gz", "0123456789").unwrap();
        assert!(id.ends_with(".csv.gz") && bytes == 10, "{id}");
        assert_eq!(std::fs::read_to_string(uploads.find(&id).unwrap()).unwrap(), "0123456789");
        assert_eq!(take("x.csv", "01234567890").unwrap_err().code, "too_large");
        assert_eq!(take("x.csv", "").unwrap_err().code, "unusable");
        assert_eq!(files(folder.path()), 1);
    }

    #[test]
    fn whoever_breaks_off_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("1-0.csv");
        let (sender, pieces) = mpsc::channel(PIECES_MAX);
        sender.blocking_send(Piece::Bytes(Bytes::from_static(b"half a"))).unwrap();
        drop(sender);
        assert!(write(&path, pieces).is_err());
        assert_eq!(files(folder.path()), 0);
    }

    #[test]
    fn only_whole_uploads_have_ids() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["1-0.csv", "1-1.part", "1-2.csv.part", ".csv", "secret"] {
            std::fs::write(folder.path().join(name), "a").unwrap();
        }
        let old = std::fs::File::options().write(true).open(folder.path().join("1-1.part")).unwrap();
        old.set_modified(SystemTime::now() - 2 * PARTIAL_AGE).unwrap();
        let uploads = Uploads::open(folder.path().to_path_buf(), 10);
        assert!(uploads.find("1-0.csv").is_ok());
        for id in ["1-1.part", "1-2.csv.part", ".csv", "../1-0.csv", "secret", "absent.csv", ""] {
            assert!(uploads.find(id).is_err(), "{id}");
        }
        assert_eq!(files(folder.path()), 4, "what was left half long ago is removed");
    }
}
