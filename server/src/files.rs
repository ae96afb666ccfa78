//! A run's files: the list, and single ones, whole or in part. They are sent piece by piece, however large they are.

use crate::board::locked;
use crate::problem::Problem;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{File, Metadata};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Component, Path, PathBuf};
use std::sync::Mutex;
use std::time::SystemTime;

/// What of a run's folder is served: results, not the user's data, the seal or the run's insides.
const SERVED: &[&str] = &[
    "result.json",
    "submission.csv",
    "report.html",
    "plan.json",
    "journal.jsonl",
    "solution",
    "model",
    "functions",
];
/// Files on a list.
const LISTED_MAX: usize = 2_000;
/// Bytes of a piece.
const PIECE: u64 = 256 << 10;
/// Files whose tags are remembered.
const TAGS_MAX: usize = 4_096;

/// Tags of files that were served: hashes of their content, made anew when a file's time or size is another.
#[derive(Default)]
pub struct Tags(Mutex<BTreeMap<PathBuf, (Stamp, String)>>);

/// When a file was changed last, and its size.
type Stamp = (SystemTime, u64);

impl Tags {
    fn of(&self, path: &Path, file: &mut File, about: &Metadata) -> Result<String, Problem> {
        let stamp = about.modified().ok().map(|changed| (changed, about.len()));
        let known = locked(&self.0).get(path).filter(|(known, _)| Some(*known) == stamp).cloned();
        if let Some((_, tag)) = known {
            return Ok(tag);
        }
        let tag = hashed(file, about.len()).map_err(|error| Problem::broken(&error))?;
        let mut tags = locked(&self.0);
        if tags.len() >= TAGS_MAX {
            tags.clear();
        }
        tags.extend(stamp.map(|stamp| (path.to_path_buf(), (stamp, tag.clone()))));
        Ok(tag)
    }
}

/// The files of a run with their sizes.
pub fn list(folder: &Path) -> Vec<Value> {
    let mut found = Vec::new();
    for name in SERVED {
        walk(folder, &folder.join(name), &mut found);
    }
    found
}

fn walk(folder: &Path, path: &Path, found: &mut Vec<Value>) {
    let Ok(about) = path.symlink_metadata() else { return };
    if found.len() >= LISTED_MAX || about.is_symlink() {
        return;
    }
    if about.is_dir() {
        let mut inside: Vec<PathBuf> =
            std::fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
        inside.sort();
        for path in inside {
            walk(folder, &path, found);
        }
    } else if let Ok(name) = path.strip_prefix(folder) {
        found.push(
            json!({"path": name.to_string_lossy(), "bytes": about.len(), "media_type": media_type(path)}),
        );
    }
}

fn media_type(path: &Path) -> &'static str {
    match path.extension().and_then(|ending| ending.to_str()) {
        Some("json") => "application/json",
        Some("jsonl") => "application/x-ndjson",
        Some("csv") => "text/csv; charset=utf-8",
        Some("html") => "text/html; charset=utf-8",
        Some("py" | "lock" | "txt") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

/// One file of a run, or the part of it that `Range` asks for.
///
/// # Errors
/// There is no such file, or no such part of it.
pub fn file(folder: &Path, wanted: &str, headers: &HeaderMap, tags: &Tags) -> Result<Response, Problem> {
    let path = place(folder, wanted).ok_or_else(|| Problem::absent("file"))?;
    let mut file = File::open(&path).map_err(|_| Problem::absent("file"))?;
    let about = file.metadata().map_err(|error| Problem::broken(&error))?;
    let (size, tag) = (about.len(), tags.of(&path, &mut file, &about)?);
    let text = |name: header::HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let mut response = Response::new(Body::empty());
    if text(header::IF_NONE_MATCH).is_some_and(|known| known == tag) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return Ok(tagged(response, &tag, &path));
    }
    // A part of another version would be of no use.
    let is_same = text(header::IF_RANGE).is_none_or(|known| known == tag);
    let part = text(header::RANGE).filter(|_| is_same).map(|range| part(range, size));
    let (start, end) = match part {
        None | Some(Part::Unread) => (0, size),
        Some(Part::Bytes(start, end)) => {
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            (start, end)
        }
        Some(Part::Beyond) => {
            let detail = format!("the file has {size} bytes");
            return Err(Problem::new(StatusCode::RANGE_NOT_SATISFIABLE, "range", detail));
        }
    };
    file.seek(SeekFrom::Start(start)).map_err(|error| Problem::broken(&error))?;
    if response.status() == StatusCode::PARTIAL_CONTENT {
        let range = format!("bytes {start}-{}/{size}", end.saturating_sub(1));
        response
            .headers_mut()
            .extend(HeaderValue::from_str(&range).ok().map(|value| (header::CONTENT_RANGE, value)));
    }
    response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(end - start));
    *response.body_mut() = pieces(file, end - start);
    Ok(tagged(response, &tag, &path))
}

/// So many bytes of a file from where it stands, read away from the threads that answer.
fn pieces(file: File, bytes: u64) -> Body {
    let stream = futures_util::stream::try_unfold((file, bytes), |(mut file, left)| async move {
        if left == 0 {
            return Ok(None);
        }
        let read = move || {
            let mut piece = vec![0; left.min(PIECE) as usize];
            let count = file.read(&mut piece)?;
            piece.truncate(count);
            Ok::<_, io::Error>((piece, file))
        };
        let (piece, file) = tokio::task::spawn_blocking(read).await.map_err(io::Error::other)??;
        if piece.is_empty() {
            // It has become shorter: what was promised cannot be sent.
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
        }
        let left = left - piece.len() as u64;
        Ok(Some((piece, (file, left))))
    });
    Body::from_stream(stream)
}

fn tagged(mut response: Response, tag: &str, path: &Path) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type(path)));
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    // A page of a run must not act in the server's name.
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:"),
    );
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.extend(HeaderValue::from_str(tag).ok().map(|value| (header::ETAG, value)));
    response
}

/// The path of a served file, when nothing leads out of the folder on the way.
fn place(folder: &Path, wanted: &str) -> Option<PathBuf> {
    let relative = Path::new(wanted);
    let mut parts = relative.components();
    let Some(Component::Normal(first)) = parts.next() else { return None };
    if !SERVED.iter().any(|name| first == *name) || !parts.all(|part| matches!(part, Component::Normal(_))) {
        return None;
    }
    let path = folder.join(relative).canonicalize().ok()?;
    (path.starts_with(folder.canonicalize().ok()?) && path.is_file()).then_some(path)
}

/// The hash of the content, as a tag. What is written behind it meanwhile is not sent either.
fn hashed(file: &mut File, size: u64) -> io::Result<String> {
    let (mut hash, mut content) = (Sha256::new(), file.take(size));
    let mut piece = vec![0; 1 << 16];
    loop {
        let read = content.read(&mut piece)?;
        if read == 0 {
            break;
        }
        hash.update(&piece[..read]);
    }
    let mut tag = String::from("\"");
    for byte in hash.finalize() {
        let _ = write!(tag, "{byte:02x}");
    }
    tag.push('"');
    Ok(tag)
}

/// What a `Range` asks for.
#[derive(Debug, PartialEq, Eq)]
enum Part {
    /// From here to before there.
    Bytes(u64, u64),
    /// Nothing that is there.
    Beyond,
    /// Something that is not understood and hence not heeded.
    Unread,
}

fn part(range: &str, size: u64) -> Part {
    let Some((first, last)) = range.strip_prefix("bytes=").and_then(|range| range.split_once('-')) else {
        return Part::Unread;
    };
    let (first, last) = (first.trim(), last.trim());
    let (start, end) = match (first.parse::<u64>(), last.parse::<u64>()) {
        (Ok(start), Ok(end)) if end >= start => (start, end.saturating_add(1).min(size)),
        (Ok(start), Err(_)) if last.is_empty() => (start, size),
        (Err(_), Ok(count)) if first.is_empty() && count > 0 => (size.saturating_sub(count), size),
        _ => return Part::Unread,
    };
    if start < size { Part::Bytes(start, end) } else { Part::Beyond }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_those_that_were_asked_for() {
        let of = |range: &str| part(range, 100);
        assert_eq!(of("bytes=0-9"), Part::Bytes(0, 10));
        assert_eq!(of("bytes=90-"), Part::Bytes(90, 100));
        assert_eq!(of("bytes=-5"), Part::Bytes(95, 100));
        assert_eq!(of("bytes=50-500"), Part::Bytes(50, 100));
        assert_eq!(of("bytes=100-"), Part::Beyond);
        for unread in ["bytes=9-0", "bytes=0-1,5-6", "lines=1-2", "bytes=a-b", "bytes=-0"] {
            assert_eq!(of(unread), Part::Unread, "{unread}");
        }
    }

    #[test]
    fn nothing_outside_is_served() {
        let folder = tempfile::tempdir().unwrap();
        let inside = folder.path().join("run");
        std::fs::create_dir_all(inside.join("model")).unwrap();
        std::fs::create_dir_all(inside.join("seal")).unwrap();
        std::fs::write(inside.join("result.json"), "{}").unwrap();
        std::fs::write(inside.join("seal/target.npy"), "labels").unwrap();
        std::fs::write(folder.path().join("secret"), "s").unwrap();
        std::os::unix::fs::symlink(folder.path().join("secret"), inside.join("model/link")).unwrap();
        let found = |wanted: &str| place(&inside, wanted).is_some();
        assert!(found("result.json"));
        for wanted in [
            "seal/target.npy",
            "../secret",
            "model/../../secret",
            "model/link",
            "/etc/passwd",
            "",
            "model",
            "data/x",
            "./result.json",
        ] {
            assert!(!found(wanted), "{wanted}");
        }
        assert_eq!(list(&inside).len(), 1);
    }
    fn served(folder: &Path, tags: &Tags, range: Option<&str>) -> (StatusCode, HeaderMap, Vec<u8>) {
        let headers = range.map(|range| (header::RANGE, HeaderValue::from_str(range).unwrap()));
        let response = file(folder, "model/weights", &headers.into_iter().collect(), tags).unwrap();
        let (head, body) = response.into_parts();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let bytes = runtime.block_on(axum::body::to_bytes(body, usize::MAX)).unwrap();
        (head.status, head.headers, bytes.to_vec())
    }

    #[test]
    fn a_file_of_many_pieces_is_sent_whole_or_in_part() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("model")).unwrap();
        let content: Vec<u8> = (0..PIECE as usize * 2 + 77).map(|at| (at % 251) as u8).collect();
        std::fs::write(folder.path().join("model/weights"), &content).unwrap();
        let tags = Tags::default();
        let (status, headers, whole) = served(folder.path(), &tags, None);
        assert_eq!((status, whole.len()), (StatusCode::OK, content.len()));
        assert_eq!(headers[header::CONTENT_LENGTH], content.len().to_string().as_str());
        assert!(whole == content);
        let from = PIECE as usize - 5;
        let (status, headers, part) =
            served(folder.path(), &tags, Some(&format!("bytes={from}-{}", from + 99)));
        assert_eq!(status, StatusCode::PARTIAL_CONTENT);
        assert_eq!(headers[header::CONTENT_LENGTH], "100");
        assert!(part == content[from..from + 100]);
    }

    #[test]
    fn tags_are_hashes_that_are_remembered() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        let tags = Tags::default();
        let tag = || {
            let mut file = File::open(&path).unwrap();
            let about = file.metadata().unwrap();
            tags.of(&path, &mut file, &about).unwrap()
        };
        std::fs::write(&path, "one").unwrap();
        let first = tag();
        assert_eq!(first.len(), 66);
        // The same time and size: nothing is read again.
        let changed = path.metadata().unwrap().modified().unwrap();
        std::fs::write(&path, "two").unwrap();
        File::options().write(true).open(&path).unwrap().set_modified(changed).unwrap();
        assert_eq!(tag(), first);
        std::fs::write(&path, "three").unwrap();
        assert_ne!(tag(), first);
    }
}
