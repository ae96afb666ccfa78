//! Looks at Python source without running it: syntax, imports, and whether it keeps the contract of its kind.
//!
//! This saves time and gives an author, human or model, a line and a reason. It is no wall: source that passes may still try
//! anything, and a cell (or WebAssembly, for functions) is what holds it.
//!
//! Invariant: never runs what it reads, never panics on any text, and refuses what nests too deeply before a recursive
//! parser sees it.

mod contract;
mod nesting;
mod policy;
mod walk;

use ansatz_core::verdict::{Stage, Verdict};
use ruff_python_ast::{ModModule, PythonVersion, Stmt};
use ruff_python_parser::{Mode, ParseOptions, parse_unchecked};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;

/// Longest source that is read.
pub const SOURCE_BYTES_MAX: usize = 256 * 1024;
/// Findings that are told; more of them help nobody.
const FINDINGS_MAX: usize = 20;
/// Stack of the thread that parses. A tree of the longest source could be freed on it even if it were one long chain; what
/// is not used costs nothing.
const STACK_BYTES: usize = 128 << 20;

/// What kind of thing was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FindingKind {
    /// It is too long, or not text that Python reads.
    Size,
    /// It nests too deeply to be parsed.
    Nesting,
    /// Python would not read it.
    Syntax,
    /// It imports what is not there, or what it has no use for.
    Import,
    /// It uses something that it must not.
    Use,
    /// It does not define what is called.
    Contract,
}

/// Something that is wrong with source, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What kind of thing.
    pub kind: FindingKind,
    /// Line, from 1; 0 when it is about the whole.
    pub line: u32,
    /// Column in characters, from 1; 0 when it is about the whole.
    pub column: u32,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line > 0 {
            write!(f, "line {}, column {}: ", self.line, self.column)?;
        }
        f.write_str(&self.message)
    }
}

/// What is known about a solution that keeps the contract.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SolutionFacts {
    /// Names of its parameters, where `SPACE` is written as a dictionary.
    pub parameters: Vec<String>,
    /// Modules that it imports, by their first name.
    pub imports: BTreeSet<String>,
    /// Whether it offers stages.
    pub has_stages: bool,
    /// Whether it says that features depend on the batch of rows.
    pub batch: bool,
    /// Lines of source.
    pub lines: u32,
}

/// What is known about a file of functions: a metric or a check.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FunctionFacts {
    /// Functions at its top level with the names of their parameters, `*` standing for any number of them.
    pub functions: BTreeMap<String, Vec<String>>,
    /// Modules that it imports, by their first name.
    pub imports: BTreeSet<String>,
}

/// Checks source of a solution against the contract in `worker/SOLUTIONS.md`.
///
/// # Errors
/// Everything that was found, in the order of the source; at least one finding.
pub fn solution(source: &str) -> Result<SolutionFacts, Vec<Finding>> {
    solution_with(source, &[])
}

/// As [`solution`], where further packages are installed beside those of the worker.
///
/// # Errors
/// As [`solution`].
pub fn solution_with(source: &str, packages: &[&str]) -> Result<SolutionFacts, Vec<Finding>> {
    let rules = policy::Rules::of_solutions(packages);
    read(source, |module, text| {
        let seen = walk::walk(module, text, &rules);
        let (facts, found) = contract::solution(module, text);
        let lines = source.lines().count() as u32;
        (SolutionFacts { imports: seen.imports, lines, ..facts }, [seen.findings, found].concat())
    })
}

/// Checks source that runs in a cell but keeps no contract of functions: syntax and imports.
///
/// # Errors
/// As [`solution`].
pub fn script(source: &str, packages: &[&str]) -> Result<FunctionFacts, Vec<Finding>> {
    functions(source, &policy::Rules::of_scripts(packages), &|_| Vec::new())
}

/// Checks the file of a metric: `metric(truth, prediction)` or `metric(truth, prediction, weight)`.
///
/// # Errors
/// As [`solution`].
pub fn metric(source: &str) -> Result<FunctionFacts, Vec<Finding>> {
    functions(source, &policy::Rules::of_functions(), &contract::metric)
}

/// Checks the file of a check: `check_row(row)`, `check_submission(rows)`, or both.
///
/// # Errors
/// As [`solution`].
pub fn submission_check(source: &str) -> Result<FunctionFacts, Vec<Finding>> {
    functions(source, &policy::Rules::of_functions(), &contract::submission_check)
}

/// The functions at the top level of a module: names, and where they stand in bytes, decorators included.
///
/// # Errors
/// When it cannot be parsed.
pub fn outline(source: &str) -> Result<Vec<(String, Range<usize>)>, Vec<Finding>> {
    read(source, |module, _| {
        let functions = module.body.iter().filter_map(|stmt| match stmt {
            Stmt::FunctionDef(function) => {
                let start = function.decorator_list.iter().map(|one| one.range.start()).min();
                let start = start.unwrap_or(function.range.start()).to_usize();
                Some((function.name.to_string(), start..function.range.end().to_usize()))
            }
            _ => None,
        });
        (functions.collect(), Vec::new())
    })
}

/// The findings, or what was seen instead, as a verdict of the code stage.
pub fn verdict<T>(subject: &str, checked: &Result<T, Vec<Finding>>) -> Verdict {
    match checked {
        Ok(_) => {
            Verdict::new(Stage::Code, subject, true, "it parses, its imports are allowed, its functions fit")
        }
        Err(found) => Verdict::new(Stage::Code, subject, false, told(found)),
    }
}

/// Findings on one line.
pub fn told(findings: &[Finding]) -> String {
    let all: Vec<String> = findings.iter().map(ToString::to_string).collect();
    all.join("; ")
}

/// Findings on one line, each with what to do about it: for whoever is to mend the code.
pub fn advised(findings: &[Finding]) -> String {
    let one = |finding: &Finding| match &finding.hint {
        Some(hint) => format!("{finding} ({hint})"),
        None => finding.to_string(),
    };
    findings.iter().map(one).collect::<Vec<_>>().join("; ")
}

fn functions(
    source: &str,
    rules: &policy::Rules<'_>,
    keeps: &(dyn Fn(&contract::Defined) -> Vec<Finding> + Sync),
) -> Result<FunctionFacts, Vec<Finding>> {
    read(source, |module, text| {
        let seen = walk::walk(module, text, rules);
        let defined = contract::Defined::of(module, text);
        let found = [seen.findings, keeps(&defined)].concat();
        (FunctionFacts { functions: defined.parameters(), imports: seen.imports }, found)
    })
}

/// Text with its line starts, for telling where something is.
struct Text<'a> {
    source: &'a str,
    starts: Vec<usize>,
}

impl<'a> Text<'a> {
    fn new(source: &'a str) -> Self {
        let ends = source.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        Self { source, starts: std::iter::once(0).chain(ends).collect() }
    }

    /// Line and column of a byte, both from 1.
    fn place(&self, byte: usize) -> (u32, u32) {
        let byte = byte.min(self.source.len());
        let line = self.starts.partition_point(|start| *start <= byte).max(1);
        let from = self.starts[line - 1];
        let column = self.source.get(from..byte).map_or(0, |part| part.chars().count());
        (line as u32, column as u32 + 1)
    }

    fn finding(&self, kind: FindingKind, byte: usize, message: impl Into<String>, hint: &str) -> Finding {
        let (line, column) = self.place(byte);
        let hint = (!hint.is_empty()).then(|| hint.to_owned());
        Finding { kind, line, column, message: message.into(), hint }
    }
}

fn whole(kind: FindingKind, message: impl Into<String>, hint: &str) -> Finding {
    Finding { kind, line: 0, column: 0, message: message.into(), hint: Some(hint.to_owned()) }
}

/// Parses source in a thread of its own, with a stack that suffices, and gives what `look` makes of it.
fn read<T: Send>(
    source: &str,
    look: impl FnOnce(&ModModule, &Text<'_>) -> (T, Vec<Finding>) + Send,
) -> Result<T, Vec<Finding>> {
    if source.len() > SOURCE_BYTES_MAX {
        let message = format!("the source has {} bytes; at most {SOURCE_BYTES_MAX} are read", source.len());
        return Err(vec![whole(FindingKind::Size, message, "leave data out of the source")]);
    }
    if let Some(at) = source.bytes().position(|byte| byte == 0) {
        let text = Text::new(source);
        return Err(vec![text.finding(FindingKind::Size, at, "there is a NUL byte in the source", "")]);
    }
    let work = || {
        let text = Text::new(source);
        if let Some(deep) = nesting::too_deep(&text) {
            return Err(vec![deep]);
        }
        let options = ParseOptions::from(Mode::Module).with_target_version(PythonVersion::PY311);
        let parsed = parse_unchecked(source, options);
        let mut wrong: Vec<Finding> = Vec::new();
        for error in parsed.errors() {
            let at = error.location.start().to_usize();
            wrong.push(text.finding(FindingKind::Syntax, at, error.error.to_string(), ""));
        }
        for error in parsed.unsupported_syntax_errors() {
            let at = error.range.start().to_usize();
            wrong.push(text.finding(FindingKind::Syntax, at, error.to_string(), "Python 3.11 reads it"));
        }
        if !wrong.is_empty() {
            return Err(wrong);
        }
        let Some(module) = parsed.try_into_module() else {
            return Err(vec![whole(FindingKind::Syntax, "it is no module", "give a Python module")]);
        };
        let (facts, found) = look(module.syntax(), &text);
        if found.is_empty() { Ok(facts) } else { Err(found) }
    };
    let outcome = std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, work);
        thread.ok().and_then(|thread| thread.join().ok())
    });
    // A parser that gives up on a text has not understood it, and neither would Python.
    let unread = || Err(vec![whole(FindingKind::Syntax, "the source cannot be parsed", "simplify it")]);
    outcome.unwrap_or_else(unread).map_err(|mut found: Vec<Finding>| {
        found.sort_by_key(|finding| (finding.line, finding.column, finding.kind));
        found.truncate(FINDINGS_MAX);
        found
    })
}
