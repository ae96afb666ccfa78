//! One line of the journal.
//!
//! `{"seq":12,"crc":"5b795086","at_ms":3456,"event":{"event":"cancel_requested"}}` and a line end, in exactly this form and without spaces.
//! The checksum (CRC-32) covers number, time and the bytes of the event, so no byte of a line can change unnoticed.

use ansatz_core::event::Event;
use std::time::Duration;

/// One line: an event, its number and its time.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Number of the record: 1, 2, 3, …; also the number of its line.
    pub seq: u64,
    /// The run's own time since its start, downtime not counted, in whole milliseconds.
    pub at: Duration,
    /// What happened.
    pub event: Event,
}

/// Why a line is not a record.
#[derive(Debug, PartialEq)]
pub(crate) enum BadLine {
    /// Not the bytes that were written.
    Damaged(String),
    /// The bytes that were written, but not an event that we know.
    Unknown(String),
}

/// The line of a record, line end included. `event` is one line of JSON.
pub(crate) fn encode(seq: u64, at_ms: u64, event: &str) -> String {
    format!(
        "{{\"seq\":{seq},\"crc\":\"{:08x}\",\"at_ms\":{at_ms},\"event\":{event}}}\n",
        crc(seq, at_ms, event)
    )
}

/// The record of a line, given without its line end.
pub(crate) fn decode(line: &[u8], expected_seq: u64) -> Result<Record, BadLine> {
    let text = std::str::from_utf8(line).map_err(|error| BadLine::Damaged(error.to_string()))?;
    let parts = Parts::of(text).ok_or_else(|| BadLine::Damaged("it has not the form of a record".into()))?;
    let found = format!("{:08x}", crc(parts.seq, parts.at_ms, parts.event));
    if parts.crc != found {
        return Err(BadLine::Damaged(format!("checksum {found} is not {}", parts.crc)));
    }
    if parts.seq != expected_seq {
        return Err(BadLine::Damaged(format!("number {} is not {expected_seq}", parts.seq)));
    }
    let event = serde_json::from_str(parts.event).map_err(|error| BadLine::Unknown(error.to_string()))?;
    Ok(Record { seq: parts.seq, at: Duration::from_millis(parts.at_ms), event })
}

struct Parts<'a> {
    seq: u64,
    crc: &'a str,
    at_ms: u64,
    event: &'a str,
}

impl<'a> Parts<'a> {
    fn of(text: &'a str) -> Option<Self> {
        let (seq, rest) = text.strip_prefix("{\"seq\":")?.split_once(",\"crc\":\"")?;
        let (crc, rest) = rest.split_once("\",\"at_ms\":")?;
        let (at_ms, rest) = rest.split_once(",\"event\":")?;
        let event = rest.strip_suffix('}')?;
        Some(Self { seq: number(seq)?, crc, at_ms: number(at_ms)?, event })
    }
}

/// A whole number as we write it: digits only, no sign, no leading zero.
fn number(text: &str) -> Option<u64> {
    text.parse().ok().filter(|number: &u64| number.to_string() == text)
}

fn crc(seq: u64, at_ms: u64, event: &str) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&seq.to_le_bytes());
    hasher.update(&at_ms.to_le_bytes());
    hasher.update(event.as_bytes());
    hasher.finalize()
}
