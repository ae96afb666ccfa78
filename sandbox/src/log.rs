//! What is kept of a cell's output: the beginning, the end, and a line that says how much was left out.

use std::collections::VecDeque;
use std::fmt::Write as _;

/// The beginning holds the set-up and the first error; more is never needed to understand a start.
const HEAD_BYTES: usize = 64 * 1024;
/// The end holds the traceback.
const TAIL_BYTES: usize = 192 * 1024;

/// The kept output of a cell: at most 256 KiB however much was written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CappedLog {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    total: u64,
}

impl CappedLog {
    /// Takes in the next bytes.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.total += bytes.len() as u64;
        let room = HEAD_BYTES.saturating_sub(self.head.len()).min(bytes.len());
        let (first, rest) = bytes.split_at(room);
        self.head.extend_from_slice(first);
        let rest = &rest[rest.len().saturating_sub(TAIL_BYTES)..];
        let surplus = (self.tail.len() + rest.len()).saturating_sub(TAIL_BYTES);
        self.tail.drain(..surplus);
        self.tail.extend(rest);
    }

    /// Bytes that were written in all.
    pub fn total_bytes(&self) -> u64 {
        self.total
    }

    /// Bytes that were left out of the middle.
    pub fn omitted_bytes(&self) -> u64 {
        self.total - self.head.len() as u64 - self.tail.len() as u64
    }

    /// The kept output as text, with a marker where something is missing. Control characters other than line break and tab
    /// are shown as escapes, so that a log can be printed to a terminal.
    pub fn text(&self) -> String {
        let mut text = harmless(&String::from_utf8_lossy(&self.head));
        if self.omitted_bytes() > 0 {
            let _ = write!(text, "\n[... {} bytes left out ...]\n", self.omitted_bytes());
        }
        let tail: Vec<u8> = self.tail.iter().copied().collect();
        text.push_str(&harmless(&String::from_utf8_lossy(&tail)));
        text
    }
}

/// A text in which nothing can steer a terminal or reorder what a reader sees.
fn harmless(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, letter| {
        let bidi =
            matches!(letter, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}');
        if (letter.is_control() && letter != '\n' && letter != '\t') || bidi {
            out.extend(letter.escape_unicode());
        } else {
            out.push(letter);
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_output_is_kept_whole() {
        let mut log = CappedLog::default();
        log.push(b"one\n");
        log.push(b"two\n");
        assert_eq!(log.text(), "one\ntwo\n");
        assert_eq!(log.omitted_bytes(), 0);
    }

    #[test]
    fn a_long_output_keeps_both_ends_and_says_what_is_missing() {
        let mut log = CappedLog::default();
        log.push(b"START");
        for _ in 0..1000 {
            log.push(&[b'x'; 1024]);
        }
        log.push(b"END");
        let text = log.text();
        assert!(text.starts_with("START") && text.ends_with("END"));
        assert!(text.contains("bytes left out"));
        assert_eq!(log.total_bytes(), 5 + 1000 * 1024 + 3);
        assert_eq!(log.omitted_bytes(), log.total_bytes() - (HEAD_BYTES + TAIL_BYTES) as u64);
    }

    #[test]
    fn one_piece_larger_than_everything_is_kept_at_both_ends() {
        let mut log = CappedLog::default();
        let mut piece = vec![b'm'; 5 << 20];
        piece[0] = b'A';
        piece[(5 << 20) - 1] = b'Z';
        log.push(&piece);
        assert!(log.text().starts_with('A') && log.text().ends_with('Z'));
    }

    #[test]
    fn escape_sequences_are_shown_not_obeyed() {
        let mut log = CappedLog::default();
        log.push("\u{1b}]52;c;x\u{7} \u{202e}".as_bytes());
        assert_eq!(log.text(), "\\u{1b}]52;c;x\\u{7} \\u{202e}");
    }
}
