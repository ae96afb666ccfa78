//! What a node says: lines in the job's log.
//!
//! A line is `#ansatz TOKEN {json}`; everything else in the log is Ray's or nobody's, and kept only for last words. Arrays
//! are packed, cut into pieces that fit a line, and count only when their hash is right. Each line is one write, since
//! Ray writes into the same file.

use crate::effective::Effective;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use miniz_oxide::deflate::compress_to_vec;
use miniz_oxide::inflate::decompress_to_vec_with_limit;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::fmt::Write as _;
use std::io::{Read as _, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How a line of ours begins.
const MARK: &str = "#ansatz ";
/// Packed bytes in one line.
const PIECE_BYTES: usize = 45 << 10;
/// Longest line that is read.
const LINE_MAX: usize = 1 << 20;
/// How hard arrays are packed.
const LEVEL: u8 = 4;
/// Foreign lines that are kept.
const LAST_WORDS: usize = 8;
/// Letters of a foreign line that are kept.
const LAST_WORDS_WIDTH: usize = 200;

/// How often a node says that it lives.
pub const fn alive_every() -> Duration {
    Duration::from_secs(5)
}

/// Where an array is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// In pieces in the log.
    Log,
    /// In the shared folder.
    Share,
}

/// An array that belongs to a result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Array {
    /// What it is.
    pub name: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// Its hash.
    pub sha256: String,
    /// Where it is.
    pub place: Place,
}

/// What a node can say.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "say", rename_all = "snake_case")]
pub enum Frame {
    /// It lives.
    Alive {
        /// What it is at.
        stage: String,
    },
    /// Its cell stands; trials begin.
    Ready {
        /// Its name.
        node: String,
        /// What its cells enforce.
        effective: Effective,
        /// Versions of the worker's libraries.
        versions: BTreeMap<String, String>,
        /// Seconds that the environment took; next to nothing when it was there.
        setup_s: f64,
    },
    /// A part of a packed array.
    Piece {
        /// The hash of the whole, unpacked.
        sha256: String,
        /// Which part.
        index: usize,
        /// The part, in base 64.
        data: String,
    },
    /// How a trial ended.
    Result {
        /// Which of the batch.
        index: usize,
        /// What is to be known about it.
        body: serde_json::Value,
        /// Its arrays.
        arrays: Vec<Array>,
    },
    /// The node cannot or may not run the batch.
    Refused {
        /// `sandbox`, `environment` or `batch`.
        kind: String,
        /// In words.
        message: String,
        /// What to do.
        hint: Option<String>,
    },
    /// All trials have ended.
    Done {
        /// How many.
        results: usize,
    },
}

/// A folder that this machine and all nodes see under the same path, for arrays that are too large for a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    /// The folder of this batch's attempt.
    folder: PathBuf,
}

impl Share {
    /// The part of a shared folder that belongs to one attempt.
    pub fn new(root: &std::path::Path, token: &str) -> Self {
        Self { folder: root.join("ansatz").join(token) }
    }

    fn put(&self, sha256: &str, bytes: &[u8]) -> std::io::Result<()> {
        std::fs::create_dir_all(&self.folder)?;
        let part = self.folder.join(format!("{sha256}.part"));
        let mut file = std::fs::File::create(&part)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&part, self.folder.join(sha256))
    }

    /// Reads an array. The name comes from a node: it is used only as what it must be, a hash.
    fn get(&self, array: &Array, bytes_max: u64) -> Result<Vec<u8>, String> {
        if array.sha256.len() != 64 || !array.sha256.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err("a name that is no hash".into());
        }
        if array.bytes > bytes_max {
            return Err(format!("{} bytes are more than {bytes_max}", array.bytes));
        }
        let path = self.folder.join(&array.sha256);
        let words = |error: std::io::Error| format!("{}: {error}", path.display());
        let flags = (rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK).bits() as i32;
        let file = std::fs::OpenOptions::new().read(true).custom_flags(flags).open(&path).map_err(words)?;
        if !file.metadata().map_err(words)?.is_file() {
            return Err(format!("{} is no plain file", path.display()));
        }
        let mut bytes = Vec::new();
        file.take(array.bytes + 1).read_to_end(&mut bytes).map_err(words)?;
        Ok(bytes)
    }

    /// Removes the attempt's part of the folder.
    pub fn clear(&self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Says things; used by the node, from several threads.
pub struct Writer<W> {
    token: String,
    out: Mutex<Out<W>>,
    share: Option<Share>,
}

struct Out<W> {
    sink: W,
    left: u64,
    /// Arrays that are in the log already: two trials may give the same.
    sent: HashSet<String>,
}

impl<W: Write> Writer<W> {
    /// A writer of at most `bytes_max` bytes of arrays; larger ones and what comes after go into the shared folder.
    pub fn new(sink: W, token: &str, bytes_max: u64, share: Option<Share>) -> Self {
        Self {
            token: token.to_owned(),
            out: Mutex::new(Out { sink, left: bytes_max, sent: HashSet::new() }),
            share,
        }
    }

    /// Says one thing.
    ///
    /// # Errors
    /// The log cannot be written.
    pub fn say(&self, frame: &Frame) -> std::io::Result<()> {
        self.lines(std::slice::from_ref(frame))
    }

    fn lines(&self, frames: &[Frame]) -> std::io::Result<()> {
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        for frame in frames {
            let json = serde_json::to_string(frame).map_err(std::io::Error::other)?;
            let line = format!("{MARK}{} {json}\n", self.token);
            out.sink.write_all(line.as_bytes())?;
        }
        out.sink.flush()
    }

    /// Hands over an array; `None` when neither the log nor a shared folder takes it. `spare` bytes of what the log takes
    /// are left for what is needed more.
    ///
    /// # Errors
    /// The log or the shared folder cannot be written.
    pub fn array(&self, name: &str, bytes: &[u8], spare: u64) -> std::io::Result<Option<Array>> {
        let sha256 = hash(bytes);
        let array =
            |place| Array { name: name.to_owned(), bytes: bytes.len() as u64, sha256: sha256.clone(), place };
        let packed = compress_to_vec(bytes, LEVEL);
        let size = packed.len() as u64 * 4 / 3;
        let fits = {
            let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
            if out.sent.contains(&sha256) {
                return Ok(Some(array(Place::Log)));
            }
            let fits = size + spare <= out.left;
            out.left -= if fits { size } else { 0 };
            fits
        };
        if fits {
            for (index, piece) in packed.chunks(PIECE_BYTES).enumerate() {
                self.say(&Frame::Piece { sha256: sha256.clone(), index, data: BASE64.encode(piece) })?;
            }
            self.out.lock().unwrap_or_else(PoisonError::into_inner).sent.insert(sha256.clone());
            return Ok(Some(array(Place::Log)));
        }
        match &self.share {
            Some(share) => {
                share.put(&sha256, bytes)?;
                Ok(Some(array(Place::Share)))
            }
            None => Ok(None),
        }
    }
}

/// What is new in a log.
#[derive(Debug, Clone, PartialEq)]
pub enum News {
    /// The node lives.
    Alive(String),
    /// Its cell stands.
    Ready {
        /// Its name.
        node: String,
        /// What its cells enforce.
        effective: Effective,
        /// Versions of the worker's libraries.
        versions: BTreeMap<String, String>,
        /// Seconds that the environment took.
        setup_s: f64,
    },
    /// A trial ended.
    Result {
        /// Which of the batch.
        index: usize,
        /// What is to be known about it.
        body: serde_json::Value,
        /// Its arrays by name, or why they are not there.
        arrays: Result<BTreeMap<String, Vec<u8>>, String>,
    },
    /// The node refuses the batch.
    Refused {
        /// `sandbox`, `environment` or `batch`.
        kind: String,
        /// In words.
        message: String,
        /// What to do.
        hint: Option<String>,
    },
    /// All trials have ended.
    Done,
}

/// The log of one attempt, read as it grows.
pub struct Log {
    mark: String,
    read: usize,
    pieces: HashMap<String, Vec<String>>,
    share: Option<Share>,
    array_bytes_max: u64,
    words: VecDeque<String>,
}

impl Log {
    /// The log of the attempt with this token; no array may unpack to more than `array_bytes_max`.
    pub fn new(token: &str, array_bytes_max: u64, share: Option<Share>) -> Self {
        Self {
            mark: format!("{MARK}{token} "),
            read: 0,
            pieces: HashMap::new(),
            share,
            array_bytes_max,
            words: VecDeque::new(),
        }
    }

    /// Reads what was added since the last time. `whole` is the log from its beginning; a line without its end waits.
    pub fn take(&mut self, whole: &str) -> Vec<News> {
        let mut news = Vec::new();
        // A log that shrank or was cut inside a letter is another one; it is read from its beginning.
        let mut rest = whole.get(self.read..).unwrap_or_else(|| {
            self.read = 0;
            whole
        });
        while let Some((line, after)) = rest.split_once('\n') {
            self.read += line.len() + 1;
            rest = after;
            match line.strip_prefix(self.mark.as_str()) {
                Some(json) if json.len() <= LINE_MAX => match serde_json::from_str(json) {
                    Ok(frame) => news.extend(self.frame(frame)),
                    Err(error) => self.keep_words(&format!("a line that is not ours: {error}")),
                },
                Some(_) => self.keep_words("a line that is too long"),
                None if line.starts_with(MARK) => {}
                None => self.keep_words(line),
            }
        }
        news
    }

    fn frame(&mut self, frame: Frame) -> Option<News> {
        Some(match frame {
            Frame::Alive { stage } => News::Alive(stage),
            Frame::Ready { node, effective, versions, setup_s } => {
                News::Ready { node, effective, versions, setup_s }
            }
            Frame::Refused { kind, message, hint } => News::Refused { kind, message, hint },
            Frame::Done { .. } => News::Done,
            Frame::Piece { sha256, index, data } => {
                let pieces = self.pieces.entry(sha256).or_default();
                if pieces.len() == index {
                    pieces.push(data);
                }
                return None;
            }
            Frame::Result { index, body, arrays } => {
                let found = arrays.iter().map(|array| Ok((array.name.clone(), self.array(array)?))).collect();
                News::Result { index, body, arrays: found }
            }
        })
    }

    fn array(&self, array: &Array) -> Result<Vec<u8>, String> {
        let refused = |why: String| format!("{}: {why}", array.name);
        if array.bytes > self.array_bytes_max {
            return Err(refused(format!("{} bytes are more than {}", array.bytes, self.array_bytes_max)));
        }
        let bytes = match (array.place, &self.share) {
            (Place::Log, _) => self.unpack(array),
            (Place::Share, Some(share)) => share.get(array, self.array_bytes_max),
            (Place::Share, None) => Err("it is in a shared folder that was not named".into()),
        }
        .map_err(refused)?;
        if bytes.len() as u64 != array.bytes || hash(&bytes) != array.sha256 {
            return Err(refused("it was damaged on its way".into()));
        }
        Ok(bytes)
    }

    fn unpack(&self, array: &Array) -> Result<Vec<u8>, String> {
        let pieces = self.pieces.get(&array.sha256).ok_or("its pieces are missing")?;
        let mut packed = Vec::new();
        for piece in pieces {
            BASE64.decode_vec(piece, &mut packed).map_err(|error| format!("a piece is damaged: {error}"))?;
        }
        let most = usize::try_from(array.bytes).map_err(|_| "it is too large for this machine")?;
        decompress_to_vec_with_limit(&packed, most).map_err(|error| format!("it cannot be unpacked: {error}"))
    }

    fn keep_words(&mut self, line: &str) {
        let plain: String =
            line.chars().filter(|letter| !letter.is_control()).take(LAST_WORDS_WIDTH).collect();
        if plain.trim().is_empty() {
            return;
        }
        if self.words.len() == LAST_WORDS {
            self.words.pop_front();
        }
        self.words.push_back(plain);
    }

    /// The last line in the log that was not ours.
    pub fn last_words(&self) -> Option<&str> {
        self.words.back().map(String::as_str)
    }
}

/// SHA-256 in hexadecimal.
pub fn hash(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(64);
    for byte in Sha256::digest(bytes) {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn noise(length: usize) -> Vec<u8> {
        let mut state = 1_u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as u8
        };
        (0..length).map(|_| next()).collect()
    }

    fn result(writer: &Writer<&mut Vec<u8>>, index: usize, arrays: &[&[u8]]) {
        let arrays = arrays.iter().filter_map(|bytes| writer.array("a", bytes, 0).unwrap()).collect();
        writer.say(&Frame::Result { index, body: json!({"ok": index}), arrays }).unwrap();
    }

    fn log_of(token: &str, work: impl FnOnce(&Writer<&mut Vec<u8>>)) -> String {
        let mut out = Vec::new();
        work(&Writer::new(&mut out, token, 1 << 20, None));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn arrays_arrive_whole_whatever_ray_writes_between_the_lines() {
        let (large, small) = (noise(200_000), b"abc".repeat(10));
        let text = log_of("t1", |writer| {
            result(writer, 0, &[&large]);
            result(writer, 1, &[&small]);
            result(writer, 2, &[&large]);
        });
        let text = format!(
            "Runtime env is setting up.\n{}",
            text.replacen('\n', "\nRunning entrypoint for job x\n", 2)
        );
        let mut log = Log::new("t1", 1 << 20, None);
        // The log grows in steps that respect nothing.
        let mut news = Vec::new();
        let mut cut = 0;
        while cut < text.len() {
            cut = (cut + 77_777).min(text.len());
            news.extend(log.take(&text[..cut]));
        }
        let arrays: Vec<Vec<u8>> = news
            .into_iter()
            .map(|news| match news {
                News::Result { arrays: Ok(mut arrays), .. } => arrays.remove("a").unwrap(),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(arrays, [large.clone(), small, large]);
        assert_eq!(log.last_words(), Some("Running entrypoint for job x"));
        assert!(text.len() < 300_000, "the same array is sent once");
    }

    #[test]
    fn lines_of_another_attempt_are_not_read() {
        let stale = log_of("old", |writer| result(writer, 0, &[b"stale"]));
        let fresh = log_of("new", |writer| result(writer, 0, &[b"fresh"]));
        let news = Log::new("new", 100, None).take(&(stale + &fresh));
        let [News::Result { arrays: Ok(arrays), .. }] = news.as_slice() else { panic!("{news:?}") };
        assert_eq!(arrays["a"], b"fresh");
    }

    #[test]
    fn a_damaged_array_is_refused_and_said() {
        let text = log_of("t", |writer| result(writer, 0, &[b"hello hello hello"]));
        let of = |text: &str, most| match Log::new("t", most, None).take(text).pop() {
            Some(News::Result { arrays: Err(why), .. }) => why,
            other => panic!("{other:?}"),
        };
        let other = hash(b"something else");
        assert!(of(&text.replace(&hash(b"hello hello hello"), &other), 100).contains("damaged on its way"));
        let without = text.lines().skip(1).collect::<String>() + "\n";
        assert!(of(&without, 100).contains("pieces are missing"));
        assert!(of(&text, 10).contains("more than 10"));
        // A small line that would unpack to more than it says.
        assert!(of(&text.replace("\"bytes\":17", "\"bytes\":3"), 100).contains("cannot be unpacked"));
    }

    #[test]
    fn what_the_log_does_not_take_goes_into_the_shared_folder() {
        let root = tempfile::tempdir().unwrap();
        let large = noise(50_000);
        let share = || Some(Share::new(root.path(), "t"));
        let mut out = Vec::new();
        let writer = Writer::new(&mut out, "t", 1000, share());
        result(&writer, 0, &[&large]);
        drop(writer);
        let text = String::from_utf8(out).unwrap();
        let news = Log::new("t", 1 << 20, share()).take(&text);
        let [News::Result { arrays: Ok(arrays), .. }] = news.as_slice() else { panic!("{news:?}") };
        assert_eq!(arrays["a"], large);
        let escaping = text.replace(&hash(&large), "../../secret");
        let news = Log::new("t", 1 << 20, share()).take(&escaping);
        assert!(
            matches!(&news[0], News::Result { arrays: Err(why), .. } if why.contains("no hash")),
            "{news:?}"
        );
        share().unwrap().clear();
        let news = Log::new("t", 1 << 20, share()).take(&text);
        assert!(matches!(&news[0], News::Result { arrays: Err(_), .. }), "{news:?}");
        let mut out = Vec::new();
        assert_eq!(Writer::new(&mut out, "t", 1000, None).array("a", &large, 0).unwrap(), None);
    }

    #[test]
    fn nonsense_is_kept_for_last_words_alone() {
        let mut log = Log::new("t", 100, None);
        assert_eq!(
            log.take("#ansatz t {\n#ansatz t {\"say\":\"dance\"}\nsh: 1: not found\u{7}\n#ansatz t {\"say\""),
            []
        );
        assert_eq!(log.last_words(), Some("sh: 1: not found"));
        assert_eq!(log.take(""), [], "a log that shrank");
    }
}
