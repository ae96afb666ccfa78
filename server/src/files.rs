//! A run's files: the list, and single ones, whole or in part.

use crate::problem::Problem;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Component, Path, PathBuf};

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
/// Bytes that are served at once.
const PIECE_MAX: u64 = 64 << 20;

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
pub fn file(folder: &Path, wanted: &str, headers: &HeaderMap) -> Result<Response, Problem> {
    let path = place(folder, wanted).ok_or_else(|| Problem::absent("file"))?;
    let mut file = std::fs::File::open(&path).map_err(|_| Problem::absent("file"))?;
    let size = file.metadata().map_err(|error| Problem::broken(&error))?.len();
    let tag = tag(&mut file)?;
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
    if end - start > PIECE_MAX {
        let detail = format!("the file has {size} bytes, of which {PIECE_MAX} are sent at once");
        return Err(
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", detail).hint("ask for parts by `Range`")
        );
    }
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(start)).map_err(|error| Problem::broken(&error))?;
    file.take(end - start).read_to_end(&mut bytes).map_err(|error| Problem::broken(&error))?;
    if response.status() == StatusCode::PARTIAL_CONTENT {
        let range = format!("bytes {start}-{}/{size}", end.saturating_sub(1));
        response
            .headers_mut()
            .extend(HeaderValue::from_str(&range).ok().map(|value| (header::CONTENT_RANGE, value)));
    }
    *response.body_mut() = Body::from(bytes);
    Ok(tagged(response, &tag, &path))
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

/// The hash of the content.
fn tag(file: &mut std::fs::File) -> Result<String, Problem> {
    let mut hash = Sha256::new();
    let mut piece = vec![0; 1 << 16];
    loop {
        let read = file.read(&mut piece).map_err(|error| Problem::broken(&error))?;
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
}
