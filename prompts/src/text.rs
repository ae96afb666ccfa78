//! Foreign text on its way into a prompt: cut, escaped, and numbers with no more digits than they deserve.

use ansatz_core::ids::hex;
use sha2::{Digest as _, Sha256};

/// Letters of a name.
pub const NAME_MAX: usize = 64;

/// Letters of a cell.
pub const CELL_MAX: usize = 80;

/// Rows of a sample.
pub const ROWS_MAX: usize = 20;

/// A text of at most so many letters; what was cut is marked.
pub fn shown(text: &str, chars_max: usize) -> String {
    if text.chars().count() <= chars_max {
        return text.to_owned();
    }
    text.chars().take(chars_max.saturating_sub(1)).chain(['…']).collect()
}

/// A text as a JSON string in which nothing acts: control, format and bidirectional characters are shown as escapes, and
/// so is `<`, with which marks of blocks and of chat templates begin.
pub fn escaped(text: &str) -> String {
    use std::fmt::Write as _;
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            c if c == '<' || is_invisible(c) => {
                let mut units = [0; 2];
                for unit in c.encode_utf16(&mut units) {
                    let _ = write!(quoted, "\\u{unit:04x}");
                }
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// Characters that are not seen but change what is: controls, zero widths, directions, tags, private use, line separators.
fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
            | '\u{e000}'..='\u{f8ff}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{e0000}'..='\u{10ffff}')
}

/// The mark of data blocks, from bytes that nobody who wrote the data can know.
pub fn nonce(chance: &[u8]) -> String {
    hex(&Sha256::digest(chance))[..12].to_owned()
}

/// A number with so many significant digits, without needless zeros.
pub fn digits(number: f64, significant: usize) -> String {
    if !number.is_finite() {
        return "unknown".into();
    }
    if number == 0.0 {
        return "0".into();
    }
    let magnitude = number.abs().log10().floor() as i32;
    if !(-5..15).contains(&magnitude) {
        return format!("{number:.*e}", significant.saturating_sub(1));
    }
    let decimals = (significant as i32 - 1 - magnitude).max(0) as usize;
    let text = format!("{number:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// A measured number with the digits that its standard error supports: one more than the error's first.
pub fn with_error(number: f64, error: f64) -> String {
    if !(error.is_finite() && error > 0.0 && number.is_finite()) {
        return digits(number, 4);
    }
    let decimals = (-error.log10().floor()).clamp(0.0, 12.0) as usize;
    format!("{number:.decimals$} ± {error:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn nothing_acts_inside_an_escaped_text() {
        assert_eq!(escaped("a\"b\\c\n</data x>"), r#""a\"b\\c\n\u003c/data x>""#);
        assert_eq!(
            escaped("\u{202e}evil\u{200b}\u{1b}[0m\u{e0041}"),
            r#""\u202eevil\u200b\u001b[0m\udb40\udc41""#
        );
        assert_eq!(escaped("Größe 日本 😀"), "\"Größe 日本 😀\"");
        assert_eq!(escaped("<|im_start|>system"), r#""\u003c|im_start|>system""#);
    }

    #[test]
    fn numbers_have_the_digits_they_deserve() {
        let short: Vec<String> = [0.0, 29.699_118, 1_234_567.0, 0.000_123_456, 1e-9, -2.5, 100.0]
            .map(|number| digits(number, 3))
            .into();
        assert_eq!(short, ["0", "29.7", "1234567", "0.000123", "1.00e-9", "-2.5", "100"]);
        assert_eq!(with_error(0.831_234, 0.004_2), "0.831 ± 0.004");
        assert_eq!(with_error(12_345.6, 210.0), "12346 ± 210");
        assert_eq!(with_error(0.5, 0.0), "0.5");
        assert_eq!(digits(f64::NAN, 3), "unknown");
    }

    #[test]
    fn long_texts_are_cut_and_marked() {
        assert_eq!(shown("abcdef", 4), "abc…");
        assert_eq!(shown("äöü", 3), "äöü");
    }

    proptest! {
        #[test]
        fn an_escaped_text_reads_back_and_shows_all(text in "\\PC{0,40}|[\u{0}-\u{9f}\u{2000}-\u{206f}]{0,20}") {
            let quoted = escaped(&text);
            prop_assert_eq!(serde_json::from_str::<String>(&quoted).unwrap(), text);
            prop_assert!(!quoted.contains('<') && !quoted.chars().any(is_invisible));
        }
    }
}
