//! The findings as text: one block for each part, every line that is not fine followed by what to do.

use super::Findings;
use super::finding::{Finding, Standing};
use crate::console::{Paint, Style};
use ansatz_report::text::{MESSAGE_WIDTH, visible, width};
use std::fmt::Write as _;

/// Widest column of names.
const NAMES_MAX: usize = 22;
/// Columns before a name: the mark between spaces.
const INDENT: usize = 4;

/// The whole text. With `is_verbose` every attack has a line of its own, else those on one barrier that held share one.
pub fn text(findings: &Findings, paint: Paint, columns: usize, is_verbose: bool) -> String {
    let mut text = String::new();
    for backend in &findings.backends {
        let chosen = if backend.name == findings.backend { ", used by runs" } else { "" };
        let level =
            if backend.level.is_empty() { String::new() } else { format!(", level {}", backend.level) };
        text += &heading(&format!("sandbox {}{level}{chosen}", backend.name), paint);
        text += &lines(&grouped(&backend.findings, is_verbose), paint, columns);
        text.push('\n');
    }
    text += &heading("this machine", paint);
    text += &lines(&findings.machine, paint, columns);
    text.push('\n');
    let (style, sentence) = verdict(findings);
    text + &paint.text(style, &sentence) + "\n"
}

fn heading(title: &str, paint: Paint) -> String {
    paint.text(Style::Bold, title) + "\n"
}

fn verdict(findings: &Findings) -> (Style, String) {
    if !findings.safe {
        let sentence = "no safe cell can be had on this machine, so nothing can be run";
        return (Style::Red, sentence.into());
    }
    let level = &findings.level;
    let broken = findings.machine.iter().filter(|finding| finding.standing == Standing::Broken).count();
    if broken > 0 {
        let things = if broken == 1 { "one thing is" } else { "some things are" };
        return (
            Style::Yellow,
            format!("level {level}: runs are possible, but {things} broken; see ✗ above"),
        );
    }
    if level == "L3" {
        let sentence = "level L3: everything holds; runs are as safe as this program can make them";
        return (Style::Green, sentence.into());
    }
    (Style::Yellow, format!("level {level}: runs are possible; --strict would refuse them"))
}

/// Findings of which neighbours on the same barrier that all held are one.
fn grouped(findings: &[Finding], is_verbose: bool) -> Vec<Finding> {
    let mut groups: Vec<Finding> = Vec::new();
    for finding in findings {
        let is_fine = |finding: &Finding| finding.standing == Standing::Ok && finding.advice.is_empty();
        let same = groups.iter_mut().find(|group| group.name == finding.name && is_fine(group));
        match same {
            Some(group) if is_fine(finding) && !is_verbose => {
                group.tried = format!("{}, {}", group.tried, finding.tried);
                group.seen.clear();
            }
            _ => groups.push(finding.clone()),
        }
    }
    groups
}

fn lines(findings: &[Finding], paint: Paint, columns: usize) -> String {
    let names = findings.iter().map(|finding| width(&visible(&finding.name, NAMES_MAX))).max().unwrap_or(0);
    let start = INDENT + names + 2;
    let room = columns.saturating_sub(start).max(20);
    let mut text = String::new();
    for finding in findings {
        let (mark, style) = mark(finding.standing);
        let name = visible(&finding.name, NAMES_MAX);
        let padding = " ".repeat(names.saturating_sub(width(&name)));
        let said = visible(&said(finding), MESSAGE_WIDTH);
        let mark = paint.text(style, mark);
        for (number, line) in wrapped(&said, room).iter().enumerate() {
            let _ = match number {
                0 => writeln!(text, "  {mark} {name}{padding}  {line}"),
                _ => writeln!(text, "{:start$}{line}", ""),
            };
        }
        if !finding.advice.is_empty() {
            let advice = visible(&finding.advice, MESSAGE_WIDTH);
            for (number, line) in wrapped(&advice, room.saturating_sub(3)).iter().enumerate() {
                let arrow = if number == 0 { "→ " } else { "  " };
                let line = paint.text(Style::Cyan, &format!("{arrow}{line}"));
                let _ = writeln!(text, "{:start$}{line}", "");
            }
        }
    }
    text
}

/// What is said about a finding: what was seen, and for attacks what was tried.
fn said(finding: &Finding) -> String {
    match (finding.tried.is_empty(), finding.seen.is_empty()) {
        (true, _) => finding.seen.clone(),
        // Several attacks in one line.
        (false, true) => format!("refused: {}", finding.tried),
        (false, false) => format!("{}: {}", finding.tried, finding.seen),
    }
}

fn mark(standing: Standing) -> (&'static str, Style) {
    match standing {
        Standing::Ok => ("✓", Style::Green),
        Standing::Missing => ("–", Style::Dim),
        Standing::Warning => ("!", Style::Yellow),
        Standing::Broken => ("✗", Style::Red),
    }
}

/// Text in lines of at most `columns`, broken between words; a word that is longer has a line of its own.
fn wrapped(text: &str, columns: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut used = 0;
    for word in text.split(' ') {
        let wide = width(word);
        if used > 0 && used + 1 + wide > columns {
            lines.push(String::new());
            used = 0;
        }
        if let Some(line) = lines.last_mut() {
            if used > 0 {
                line.push(' ');
                used += 1;
            }
            line.push_str(word);
            used += wide;
        }
    }
    lines
}

#[cfg(test)]
#[expect(clippy::needless_raw_string_hashes, reason = "expect-test writes snapshots with hashes")]
mod tests {
    use super::super::Backend;
    use super::*;
    use expect_test::{Expect, expect};

    fn findings(safe: bool, level: &str, sandbox: Vec<Finding>, machine: Vec<Finding>) -> Findings {
        let backend = Backend { name: "native".into(), level: level.into(), findings: sandbox };
        Findings { safe, level: level.into(), backend: "native".into(), backends: vec![backend], machine }
    }

    fn check(findings: &Findings, columns: usize, is_verbose: bool, expected: &Expect) {
        let text = text(findings, Paint(false), columns, is_verbose);
        assert!(text.lines().all(|line| width(line) <= columns), "{text}");
        expected.assert_eq(&text);
    }

    fn some() -> Vec<Finding> {
        vec![
            Finding::ok("network", "connect to an address outside", "Network is unreachable"),
            Finding::ok("network", "connect to a port of the host", "Connection refused"),
            Finding::missing("processor group", "", "not delegated; cells share the processors freely")
                .advice("run as root, or have control groups delegated, on a kernel that has it"),
        ]
    }

    #[test]
    fn what_is_not_fine_comes_with_what_to_do() {
        let machine = vec![Finding::ok("disk", "", "38 GiB free")];
        check(
            &findings(true, "L2", some(), machine),
            72,
            false,
            &expect![[r#"
                sandbox native, level L2, used by runs
                  ✓ network          refused: connect to an address outside, connect to
                                     a port of the host
                  – processor group  not delegated; cells share the processors freely
                                     → run as root, or have control groups delegated,
                                       on a kernel that has it

                this machine
                  ✓ disk  38 GiB free

                level L2: runs are possible; --strict would refuse them
            "#]],
        );
    }

    #[test]
    fn every_attack_can_be_seen() {
        check(
            &findings(true, "L3", some()[..2].to_vec(), Vec::new()),
            80,
            true,
            &expect![[r#"
                sandbox native, level L3, used by runs
                  ✓ network  connect to an address outside: Network is unreachable
                  ✓ network  connect to a port of the host: Connection refused

                this machine

                level L3: everything holds; runs are as safe as this program can make them
            "#]],
        );
    }

    #[test]
    fn a_barrier_that_fell_is_never_hidden_in_a_group() {
        let mut list = some();
        list.insert(1, Finding::broken("network", "raw packets", "the call went through"));
        let groups = grouped(&list, false);
        assert!(
            groups.iter().any(|group| group.standing == Standing::Broken && group.tried == "raw packets")
        );
    }

    #[test]
    fn an_unsafe_machine_is_called_unsafe() {
        let sandbox = vec![Finding::broken("cell", "start one", "refused").advice("run as root")];
        let text = text(&findings(false, "L0", sandbox, Vec::new()), Paint(false), 80, false);
        assert!(text.ends_with("so nothing can be run\n"), "{text}");
    }

    #[test]
    fn what_is_broken_is_not_called_fine() {
        let machine = vec![Finding::broken("memory", "", "in use")];
        let text = text(&findings(true, "L3", Vec::new(), machine), Paint(false), 80, false);
        assert!(text.contains("one thing is broken"), "{text}");
    }

    #[test]
    fn text_from_outside_is_made_harmless() {
        let machine = vec![Finding::ok("x\u{1b}[2J", "", "a\nb\u{1b}]0;t")];
        let text = text(&findings(true, "L3", Vec::new(), machine), Paint(false), 80, false);
        assert!(!text.contains('\u{1b}') && text.contains("a\\nb"), "{text}");
    }
}
