//! JSON out of words: found in an answer, read with the mistakes that models make, never with a panic.

use crate::wrapping::{after_thinking, single_braced, unescaped};
use serde_json::{Map, Number, Value};

/// Depth of nesting that is read.
const DEPTH_MAX: usize = 48;

/// Pieces of an answer that are tried.
const PIECES_MAX: usize = 12;

/// The values that an answer may mean, the likeliest first: the whole text, fenced blocks from the last to the first, then
/// whatever stands in braces, the longest first. What was escaped on its way comes last.
pub fn extract(text: &str) -> Vec<Value> {
    let text = after_thinking(text.trim().trim_start_matches('\u{feff}'));
    let mut values = found_in(text);
    for changed in [unescaped(text), single_braced(text)].into_iter().flatten() {
        for value in found_in(&changed) {
            if !values.contains(&value) {
                values.push(value);
            }
        }
    }
    values
}

fn found_in(text: &str) -> Vec<Value> {
    let mut pieces = vec![text];
    let mut blocks = blocks(text);
    blocks.reverse();
    pieces.extend(blocks);
    let mut braced = braced(text);
    braced.sort_by_key(|piece| std::cmp::Reverse(piece.len()));
    pieces.extend(braced);
    let mut values = Vec::new();
    for piece in pieces.into_iter().take(PIECES_MAX) {
        if let Some(value) = parse(piece)
            && (value.is_object() || value.is_array())
            && !values.contains(&value)
        {
            values.push(value);
        }
    }
    values
}

/// Reads one value, strictly if possible.
pub fn parse(text: &str) -> Option<Value> {
    serde_json::from_str(text).ok().or_else(|| Lenient::new(text).whole())
}

/// Contents of fenced blocks.
fn blocks(text: &str) -> Vec<&str> {
    let mut blocks = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find("```") {
        let after = &rest[start + 3..];
        let Some(line) = after.find('\n') else { break };
        let body = &after[line + 1..];
        // Some models put everything on one line.
        let (body, end) = match body.find("```") {
            Some(end) => (&body[..end], line + 1 + end + 3),
            None => (body, after.len()),
        };
        blocks.push(body.trim());
        rest = &after[end..];
    }
    blocks
}

/// Pieces from an opening brace to the one that closes it; the last may lack its end.
fn braced(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut from = 0;
    while let Some(start) = text[from..].find('{').map(|at| from + at) {
        if pieces.len() >= PIECES_MAX {
            break;
        }
        let end = closing(&text[start..]).map_or(text.len(), |length| start + length);
        pieces.push(&text[start..end]);
        from = end.max(start + 1);
        if end == text.len() {
            // It never closes: perhaps the brace was one of ordinary words, and what is meant comes later.
            match text[start + 1..].find('{') {
                Some(next) => from = start + 1 + next,
                None => break,
            }
        }
    }
    pieces
}

/// Length of the piece up to the brace that closes its first, strings skipped.
fn closing(text: &str) -> Option<usize> {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => depth += 1,
            b'}' | b']' if !in_string => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
    }
    None
}

/// A reader that forgives: comments, trailing and missing commas, other quotes, bare names, Python's words, line ends in
/// strings, one bracket missing at the end.
struct Lenient {
    text: Vec<char>,
    at: usize,
    /// Brackets that were never closed. One may be forgotten; more mean that the text was cut.
    unclosed: usize,
}

impl Lenient {
    fn new(text: &str) -> Self {
        Self { text: text.chars().collect(), at: 0, unclosed: 0 }
    }

    fn whole(mut self) -> Option<Value> {
        self.skip();
        let value = self.value(0)?;
        self.skip();
        while self.peek() == Some(';') || self.peek() == Some('`') {
            self.at += 1;
            self.skip();
        }
        (self.at >= self.text.len() && self.unclosed <= 1).then_some(value)
    }

    fn peek(&self) -> Option<char> {
        self.text.get(self.at).copied()
    }

    fn starts(&self, word: &str) -> bool {
        word.chars().enumerate().all(|(n, c)| self.text.get(self.at + n) == Some(&c))
    }

    /// White space and comments.
    fn skip(&mut self) {
        loop {
            while self.peek().is_some_and(|c| c.is_whitespace() || c == '\u{feff}' || c == '\u{200b}') {
                self.at += 1;
            }
            if self.starts("//") || self.starts("# ") {
                while self.peek().is_some_and(|c| c != '\n') {
                    self.at += 1;
                }
            } else if self.starts("/*") {
                while self.at < self.text.len() && !self.starts("*/") {
                    self.at += 1;
                }
                self.at = (self.at + 2).min(self.text.len());
            } else if self.starts("...") {
                self.at += 3;
            } else if self.peek() == Some('…') {
                self.at += 1;
            } else {
                return;
            }
        }
    }

    fn value(&mut self, depth: usize) -> Option<Value> {
        if depth > DEPTH_MAX {
            return None;
        }
        match self.peek()? {
            '{' => self.object(depth),
            '[' | '(' => self.array(depth),
            c if quote(c).is_some() => self.string().map(Value::String),
            c if c.is_ascii_digit() || matches!(c, '-' | '+' | '.') => Some(self.number()),
            c if c.is_alphabetic() => self.word(),
            _ => None,
        }
    }

    fn object(&mut self, depth: usize) -> Option<Value> {
        self.at += 1;
        let mut fields = Map::new();
        loop {
            self.skip();
            match self.peek() {
                // The list around it ends: its own brace was forgotten.
                None | Some(']') => {
                    self.unclosed += 1;
                    return Some(Value::Object(fields));
                }
                Some('}') => {
                    self.at += 1;
                    return Some(Value::Object(fields));
                }
                Some(',') => self.at += 1,
                Some(c) => {
                    let name = if quote(c).is_some() { self.string()? } else { self.name()? };
                    self.skip();
                    match self.peek() {
                        Some(':') => self.at += 1,
                        Some('=') => self.at += if self.starts("=>") { 2 } else { 1 },
                        _ => return None,
                    }
                    self.skip();
                    let value = self.value(depth + 1)?;
                    fields.insert(name, value);
                }
            }
        }
    }

    fn array(&mut self, depth: usize) -> Option<Value> {
        self.at += 1;
        let mut items = Vec::new();
        loop {
            self.skip();
            match self.peek() {
                None => {
                    self.unclosed += 1;
                    return Some(Value::Array(items));
                }
                Some(']' | ')') => {
                    self.at += 1;
                    return Some(Value::Array(items));
                }
                Some(',') => self.at += 1,
                Some(_) => items.push(self.value(depth + 1)?),
            }
        }
    }

    fn name(&mut self) -> Option<String> {
        let start = self.at;
        while self.peek().is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '$' | '.')) {
            self.at += 1;
        }
        (self.at > start).then(|| self.text[start..self.at].iter().collect())
    }

    fn word(&mut self) -> Option<Value> {
        let word = self.name()?;
        Some(match word.to_ascii_lowercase().as_str() {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            "null" | "none" | "nan" | "undefined" | "infinity" | "inf" => Value::Null,
            _ => Value::String(word),
        })
    }

    fn number(&mut self) -> Value {
        let start = self.at;
        while self.peek().is_some_and(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '+' | '.' | '_')) {
            self.at += 1;
        }
        let text: String = self.text[start..self.at].iter().filter(|c| **c != '_').collect();
        let text = text.trim_start_matches('+');
        if let Ok(whole) = text.parse::<i64>() {
            return whole.into();
        }
        if matches!(text.trim_start_matches('-').to_ascii_lowercase().as_str(), "infinity" | "inf" | "nan") {
            return Value::Null;
        }
        let number = text.parse::<f64>().ok();
        // What only begins like a number, such as a date, is a bare word.
        number.and_then(Number::from_f64).map_or_else(|| text.to_owned().into(), Value::Number)
    }

    fn string(&mut self) -> Option<String> {
        let close = quote(self.peek()?)?;
        self.at += 1;
        // Python's long strings.
        let is_long =
            close != '“' && self.peek() == Some(close) && self.text.get(self.at + 1) == Some(&close);
        if is_long {
            self.at += 2;
        }
        let mut string = String::new();
        while let Some(c) = self.peek() {
            self.at += 1;
            match c {
                '\\' => self.escape(&mut string)?,
                c if c == close && !is_long => return Some(string),
                c if c == close
                    && self.peek() == Some(close)
                    && self.text.get(self.at + 1) == Some(&close) =>
                {
                    self.at += 2;
                    return Some(string);
                }
                c => string.push(c),
            }
        }
        // It never ends: the text was cut.
        None
    }

    fn escape(&mut self, string: &mut String) -> Option<()> {
        let c = self.peek()?;
        self.at += 1;
        match c {
            'n' => string.push('\n'),
            't' => string.push('\t'),
            'r' => string.push('\r'),
            'b' => string.push('\u{8}'),
            'f' => string.push('\u{c}'),
            '"' | '\'' | '\\' | '/' | '`' => string.push(c),
            '\n' => {}
            'u' => {
                let mut code = self.hex()?;
                if (0xd800..0xdc00).contains(&code) && self.starts("\\u") {
                    let before = self.at;
                    self.at += 2;
                    match self.hex() {
                        Some(low) if (0xdc00..0xe000).contains(&low) => {
                            code = 0x1_0000 + ((code - 0xd800) << 10) + (low - 0xdc00);
                        }
                        _ => self.at = before,
                    }
                }
                string.push(char::from_u32(code).unwrap_or('\u{fffd}'));
            }
            other => {
                string.push('\\');
                string.push(other);
            }
        }
        Some(())
    }

    fn hex(&mut self) -> Option<u32> {
        let digits: String = self.text.get(self.at..self.at + 4)?.iter().collect();
        let code = u32::from_str_radix(&digits, 16).ok()?;
        self.at += 4;
        Some(code)
    }
}

/// The quote that closes what this one opens.
fn quote(c: char) -> Option<char> {
    match c {
        '"' | '\'' | '`' => Some(c),
        '“' | '”' => Some('”'),
        '‘' => Some('’'),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn check(text: &str, expected: &Value) {
        assert_eq!(extract(text).first(), Some(expected), "{text}");
    }

    #[test]
    fn answers_are_found_wherever_they_stand() {
        let plan = json!({"a": 1, "b": ["x"]});
        for text in [
            r#"{"a": 1, "b": ["x"]}"#,
            "Sure! Here it is:\n```json\n{\"a\": 1, \"b\": [\"x\"]}\n```\nGood luck.",
            "```\n{\"a\": 1, \"b\": [\"x\"]}\n```",
            "I think {this} is it: {\"a\": 1, \"b\": [\"x\"]} as asked.",
            "For example `{}` or so. ```json\n{\"a\": 1, \"b\": [\"x\"]}",
            "\u{feff}{\"a\": 1, \"b\": [\"x\"]}",
        ] {
            assert!(extract(text).contains(&plan), "{text}: {:?}", extract(text));
        }
    }

    #[test]
    fn the_last_block_is_the_answer() {
        check(
            "first try:\n```json\n{\"a\": 0}\n```\nno, better:\n```json\n{\"a\": 1}\n```",
            &json!({"a": 1}),
        );
    }

    #[test]
    fn mistakes_are_forgiven() {
        let plan = json!({"a": 1, "b": [true, null, "it's"], "c": -0.5});
        for text in [
            "{'a': 1, 'b': [True, None, \"it's\"], 'c': -.5,}",
            "{a: 1, b: [true, null, \"it's\",], c: -0.5}",
            "{\"a\": 1 // one\n, /* two */ \"b\": [true, NaN, \"it's\"], \"c\": -0.5}",
            "{\"a\": 1 \"b\": [true null \"it's\"] \"c\": -0.5",
            "{“a”: 1, “b”: [true, null, “it's”], “c”: -0.5}",
            "{\"a\": +1, \"b\": (True, None, 'it\\'s'), \"c\" => -0.5};",
            "{\"a\": 1, \"b\": [true, null, \"it's\", ...], \"c\": -0.5}",
        ] {
            check(text, &plan);
        }
        check(
            "{\"code\": \"a\nb\\d\", \"t\": \"\"\"x \"y\" z\"\"\"}",
            &json!({"code": "a\nb\\d", "t": "x \"y\" z"}),
        );
        check("{\"n\": 1_000, \"d\": 2024-01-02}", &json!({"n": 1000, "d": "2024-01-02"}));
        check("{\"s\": \"\\ud83d\\ude00 \\ud83d\"}", &json!({"s": "😀 \u{fffd}"}));
    }

    #[test]
    fn words_are_no_json() {
        for text in ["", "no", "I'm sorry, I can't.", "{", "7", "\"x\"", "a { b"] {
            let found = extract(text);
            assert!(found.iter().all(|value| *value == json!({})), "{text}: {found:?}");
        }
    }

    #[test]
    fn depth_has_a_limit() {
        assert!(extract(&"[".repeat(100_000)).is_empty());
        assert!(extract(&"{\"a\":".repeat(5000)).len() < PIECES_MAX);
    }

    proptest! {
        #[test]
        fn nothing_panics(text in "\\PC*") {
            let _ = extract(&text);
        }

        #[test]
        fn json_like_text_never_panics(text in "[\\{\\}\\[\\]\",:'`a1\\\\u\\n .-]{0,80}") {
            let _ = extract(&text);
        }
    }
}
