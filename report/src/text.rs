//! Making text from outside harmless: column names, messages, file names may hold anything.

/// Widest name that is shown in a sentence or a table, in terminal columns.
pub const NAME_WIDTH: usize = 60;

/// Widest message that is shown whole, in terminal columns.
pub const MESSAGE_WIDTH: usize = 600;

/// `text` on one line, in at most `width` terminal columns, with everything that could steer a terminal or reorder a line
/// written out: control characters, escape sequences, line ends, bidirectional overrides, invisible characters.
///
/// What does not fit is cut and ends in `…`. Characters that take no space of their own are cut too when there are more
/// of them than anything readable needs.
pub fn visible(text: &str, width: usize) -> String {
    let mut shown = String::with_capacity(text.len().min(width * 2));
    let mut used = 0;
    let mut spaceless = 0;
    let mut rest = text.chars();
    while let Some(character) = rest.next() {
        let piece = written_out(character);
        let columns = piece.as_ref().map_or_else(|| columns_of(character), String::len);
        spaceless += usize::from(columns == 0);
        let is_last = rest.as_str().is_empty();
        if used + columns + usize::from(!is_last) > width || spaceless > 2 * width {
            shown.push('…');
            break;
        }
        used += columns;
        match piece {
            Some(piece) => shown.push_str(&piece),
            None => shown.push(character),
        }
    }
    shown
}

/// A name as it stands in a sentence: harmless, short, in backticks.
pub fn name(text: &str) -> String {
    format!("`{}`", visible(text, NAME_WIDTH))
}

/// Terminal columns that a text takes.
pub fn width(text: &str) -> usize {
    text.chars().map(columns_of).sum()
}

/// How a character is shown when it must not be shown as it is.
fn written_out(character: char) -> Option<String> {
    match character {
        '\n' => Some("\\n".into()),
        '\r' => Some("\\r".into()),
        '\t' => Some("\\t".into()),
        _ if character.is_control() => Some(format!("\\x{:02x}", u32::from(character))),
        _ if steers_layout(character) => Some(format!("\\u{{{:x}}}", u32::from(character))),
        _ => None,
    }
}

/// Characters that reorder, hide or break a line. The two joiners stay: some scripts need them.
fn steers_layout(character: char) -> bool {
    matches!(
        character,
        '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}'
    )
}

/// Columns of one character, near enough for tables: East Asian and pictograph blocks take two, marks none.
fn columns_of(character: char) -> usize {
    match character {
        '\u{300}'..='\u{36f}'
        | '\u{200c}'
        | '\u{200d}'
        | '\u{20d0}'..='\u{20ff}'
        | '\u{fe00}'..='\u{fe0f}' => 0,
        '\u{1100}'..='\u{115f}'
        | '\u{2e80}'..='\u{a4cf}'
        | '\u{ac00}'..='\u{d7a3}'
        | '\u{f900}'..='\u{faff}'
        | '\u{fe30}'..='\u{fe6f}'
        | '\u{ff00}'..='\u{ff60}'
        | '\u{ffe0}'..='\u{ffe6}'
        | '\u{1f300}'..='\u{1faff}'
        | '\u{20000}'..='\u{3fffd}' => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, width: usize, expected: &str) {
        assert_eq!(visible(text, width), expected, "{text:?}");
    }

    #[test]
    fn plain_text_stays() {
        check("Größe in m²", 40, "Größe in m²");
    }

    #[test]
    fn line_ends_and_tabs_are_written_out() {
        check("a\r\nb\tc", 40, "a\\r\\nb\\tc");
    }

    #[test]
    fn escape_sequences_are_written_out() {
        check("\u{1b}[31mred\u{7f}\u{9b}2J", 40, "\\x1b[31mred\\x7f\\x9b2J");
    }

    #[test]
    fn overrides_of_direction_are_written_out() {
        check("abc\u{202e}fed\u{2066}", 40, "abc\\u{202e}fed\\u{2066}");
    }

    #[test]
    fn what_does_not_fit_is_cut() {
        check("abcdef", 6, "abcdef");
        check("abcdefg", 6, "abcde…");
        check(&"x".repeat(10_000), 8, "xxxxxxx…");
    }

    #[test]
    fn an_escape_is_never_cut_in_two() {
        check("ab\u{1b}cd", 5, "ab…");
    }

    #[test]
    fn wide_characters_count_twice() {
        check("日本語テキスト", 7, "日本語…");
        assert_eq!(width("日本"), 4);
    }

    #[test]
    fn piles_of_marks_are_cut() {
        let pile = format!("a{}", "\u{301}".repeat(10_000));
        assert!(visible(&pile, 10).chars().count() < 30);
    }

    #[test]
    fn nothing_shown_is_wider_than_asked() {
        for text in ["", "\n\n\n\n", "日本語", "a\u{202e}b", "\u{1b}\u{1b}"] {
            for limit in 1..12 {
                assert!(width(&visible(text, limit)) <= limit, "{text:?} in {limit}");
            }
        }
    }
}
