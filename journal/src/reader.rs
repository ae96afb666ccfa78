//! Reading a journal, by its writer on resumption and by anybody else at any time. Never locks, never writes.

use crate::FILE_NAME;
use crate::error::{JournalError, JournalErrorKind};
use crate::record::{BadLine, Record, decode};
use ansatz_core::status::{Status, after};
use std::io;
use std::path::Path;

/// What a journal holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Replay {
    /// All whole records in order.
    pub records: Vec<Record>,
    /// Where the run stands after them.
    pub status: Status,
    /// Bytes of whole records: where the next one begins.
    pub bytes: u64,
    /// Bytes of a torn last line, which is not among the records. While the writer lives this may be a line that
    /// it is just writing.
    pub torn_bytes: u64,
}

/// Reads the journal of a run folder.
///
/// # Errors
/// [`JournalErrorKind::Missing`]; [`JournalErrorKind::Corrupt`], [`JournalErrorKind::Unknown`] and
/// [`JournalErrorKind::Illegal`] with the number of the line.
pub fn read(folder: &Path) -> Result<Replay, JournalError> {
    let path = folder.join(FILE_NAME);
    let bytes = std::fs::read(&path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => JournalError::new(&path, JournalErrorKind::Missing),
        _ => JournalError::io(&path, error),
    })?;
    replay(&bytes).map_err(|kind| JournalError::new(&path, kind))
}

/// The records in the bytes of a journal.
///
/// A line without its end is torn: it was never acknowledged. A last line that has its end was acknowledged, so
/// damage to it is corruption like any other, unless it holds zero bytes: these are blocks that a power loss kept
/// from the disk, and then the line was not acknowledged either.
pub(crate) fn replay(bytes: &[u8]) -> Result<Replay, JournalErrorKind> {
    let mut replay = Replay { records: Vec::new(), status: Status::New, bytes: 0, torn_bytes: 0 };
    let mut rest = bytes;
    while let Some(end) = rest.iter().position(|&byte| byte == b'\n') {
        let (line, tail) = (&rest[..end], &rest[end + 1..]);
        let seq = replay.records.len() as u64 + 1;
        match decode(line, seq) {
            Ok(record) => {
                replay.status = after(replay.status, &record.event)
                    .map_err(|illegal| JournalErrorKind::Illegal { line: seq, illegal })?;
                replay.records.push(record);
            }
            Err(BadLine::Damaged(_)) if tail.is_empty() && line.contains(&0) => break,
            Err(BadLine::Damaged(problem)) => return Err(JournalErrorKind::Corrupt { line: seq, problem }),
            Err(BadLine::Unknown(problem)) => return Err(JournalErrorKind::Unknown { line: seq, problem }),
        }
        replay.bytes += end as u64 + 1;
        rest = tail;
    }
    replay.torn_bytes = rest.len() as u64;
    Ok(replay)
}
