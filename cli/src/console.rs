//! Writing: results to standard output, everything else to standard error, colour only where it is wanted.

use crate::exit::{Exit, Failure};
use crate::surroundings::Surroundings;
use ansatz_report::text::{MESSAGE_WIDTH, visible};
use serde::Serialize;
use std::fmt::Write as _;
use std::io::Write as _;

/// Columns of a line that no terminal shows.
const WIDTH_UNCUT: usize = 2000;

/// A style of text on a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// As it is.
    Plain,
    /// Heading or figure.
    Bold,
    /// Less important.
    Dim,
    /// Good news.
    Green,
    /// Something to look at.
    Yellow,
    /// Something to look at first.
    Red,
    /// Where the eye should rest.
    Cyan,
}

/// Puts styles around text, or leaves it alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Paint(pub bool);

impl Paint {
    /// The text in a style.
    pub fn text(self, style: Style, text: &str) -> String {
        let code = match style {
            Style::Plain => return text.to_owned(),
            _ if !self.0 => return text.to_owned(),
            Style::Bold => "1",
            Style::Dim => "2",
            Style::Green => "1;32",
            Style::Yellow => "1;33",
            Style::Red => "1;31",
            Style::Cyan => "36",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }
}

/// Where a command writes.
#[derive(Debug, Clone, Copy)]
pub struct Console {
    /// Styles on standard output.
    pub out: Paint,
    /// Columns of the terminal.
    pub width: usize,
    /// Whether only the result is wanted.
    pub is_quiet: bool,
}

impl Console {
    /// The console of these surroundings.
    pub fn new(surroundings: &Surroundings, is_quiet: bool) -> Self {
        let out = Paint(surroundings.colour(surroundings.out_is_terminal));
        // Tables for a program or a file are not cut.
        let width = if surroundings.out_is_terminal { surroundings.width } else { WIDTH_UNCUT };
        Self { out, width, is_quiet }
    }

    /// Writes a line for the user beside the result.
    pub fn note(&self, text: &str) {
        if !self.is_quiet {
            write_error(&format!("{}\n", visible(text, MESSAGE_WIDTH)));
        }
    }
}

/// Writes a result: text that ends with a line end.
pub fn result(text: &str) {
    // A reader that went away has what it wanted.
    write_out(text.as_bytes());
}

/// Writes a result as one JSON object on one line.
///
/// # Errors
/// When it cannot be written as JSON, which is a bug.
pub fn json(value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string(value).map_err(|error| Failure::new(Exit::Failed, error.to_string()))?;
    result(&format!("{text}\n"));
    Ok(())
}

/// Writes bytes to standard output; false when nobody reads there any more.
pub fn write_out(bytes: &[u8]) -> bool {
    let mut out = std::io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).is_ok()
}

/// Writes text to standard error. When nobody reads there, there is nobody to tell.
pub fn write_error(text: &str) {
    let mut error = std::io::stderr().lock();
    let _ = error.write_all(text.as_bytes()).and_then(|()| error.flush());
}

/// Shows a failure as `error: …` and `hint: …`.
pub fn complain(failure: &Failure) {
    write_error(&complaint(failure));
}

fn complaint(failure: &Failure) -> String {
    let mut text = format!("error: {}\n", visible(&failure.message, MESSAGE_WIDTH));
    if let Some(hint) = &failure.hint {
        let _ = writeln!(text, "hint: {}", visible(hint, MESSAGE_WIDTH));
    }
    text
}

#[cfg(test)]
#[expect(clippy::needless_raw_string_hashes, reason = "expect-test writes snapshots with hashes")]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn a_failure_is_two_harmless_lines() {
        let failure = Failure::usage("no column `a\u{1b}[2J\nb`").hint("the nearest is `ab`");
        expect![[r#"
            error: no column `a\x1b[2J\nb`
            hint: the nearest is `ab`
        "#]]
        .assert_eq(&complaint(&failure));
    }

    #[test]
    fn paint_can_be_switched_off() {
        assert_eq!(Paint(false).text(Style::Red, "x"), "x");
        assert_eq!(Paint(true).text(Style::Red, "x"), "\u{1b}[1;31mx\u{1b}[0m");
    }
}
