//! How deeply source nests, seen by a lexer alone: parsers and everything after them recurse.
//!
//! What recurses is counted along the way from the top to the innermost place: blocks by indentation, brackets, and within
//! each bracket the parts of the expression that is under way (operators, names, dots). A comma or a new line ends an
//! expression, so long tables are not deep.

use super::{Finding, FindingKind, Text};
use ruff_python_ast::token::TokenKind;
use ruff_python_parser::{Mode, lexer};

/// Brackets inside one another at most.
const BRACKETS_MAX: usize = 100;
/// Blocks inside one another at most; Python itself allows 100.
const BLOCKS_MAX: usize = 60;
/// Parts of expressions that are under way at most, over all brackets that are open.
const PARTS_MAX: usize = 2_000;
/// Functions without a name in one logical line; their parameters hold commas, so that parts do not count them.
const LAMBDAS_MAX: usize = 200;

/// Where the source nests too deeply, if it does.
pub(super) fn too_deep(text: &Text<'_>) -> Option<Finding> {
    if !is_deep(text.source) {
        return None;
    }
    // The lexer does not tell where it is; the first line whose end is deep does.
    let end = |line: usize| text.starts.get(line + 1).copied().unwrap_or(text.source.len());
    let (mut first, mut last) = (0, text.starts.len() - 1);
    while first < last {
        let middle = usize::midpoint(first, last);
        if is_deep(text.source.get(..end(middle)).unwrap_or_default()) {
            last = middle;
        } else {
            first = middle + 1;
        }
    }
    let message = "the source nests too deeply, or one expression has too many parts";
    let hint = "give intermediate results names of their own";
    Some(text.finding(FindingKind::Nesting, text.starts[first], message, hint))
}

fn is_deep(source: &str) -> bool {
    let mut lexer = lexer::lex(source, Mode::Module);
    let mut open: Vec<usize> = Vec::new();
    let (mut parts, mut parts_below, mut blocks, mut lambdas) = (0_usize, 0_usize, 0_usize, 0_usize);
    loop {
        match lexer.next_token() {
            TokenKind::EndOfFile => return false,
            TokenKind::Indent => blocks += 1,
            TokenKind::Dedent => blocks = blocks.saturating_sub(1),
            TokenKind::Newline => {
                (parts, parts_below, lambdas) = (0, 0, 0);
                open.clear();
            }
            TokenKind::Comma | TokenKind::Semi => parts = 0,
            TokenKind::Comment | TokenKind::NonLogicalNewline => {}
            TokenKind::Lpar
            | TokenKind::Lsqb
            | TokenKind::Lbrace
            | TokenKind::FStringStart
            | TokenKind::TStringStart => {
                parts += 1;
                open.push(parts);
                parts_below += parts;
                parts = 0;
            }
            TokenKind::Rpar
            | TokenKind::Rsqb
            | TokenKind::Rbrace
            | TokenKind::FStringEnd
            | TokenKind::TStringEnd => {
                if let Some(before) = open.pop() {
                    parts = before;
                    parts_below -= before;
                }
            }
            TokenKind::Lambda => {
                lambdas += 1;
                parts += 1;
            }
            _ => parts += 1,
        }
        if open.len() > BRACKETS_MAX
            || blocks > BLOCKS_MAX
            || parts + parts_below > PARTS_MAX
            || lambdas > LAMBDAS_MAX
        {
            return true;
        }
    }
}
