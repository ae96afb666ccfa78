//! `ansatz doctor`: what this machine can do, each barrier of the sandbox proved by attacking it.

use super::Session;
use crate::console::{self, Style};
use crate::exit::{Exit, Failure, chain};
use crate::table::Table;
use ansatz_memory::Memory;
use ansatz_report::number::bytes;
use ansatz_report::text;
use ansatz_sandbox::trusted::{Progress, TrustedCommand};
use ansatz_sandbox::{Barrier, Effective, Held, Launcher, Level, doctor};
use serde::Serialize;
use std::fmt::Write as _;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Interpreters that are looked for, best first.
const INTERPRETERS: [&str; 4] = ["python3.11", "python3.12", "python3.13", "python3"];

/// Longest time that an interpreter may take to tell its version.
const PYTHON_TIME_MAX: Duration = Duration::from_secs(20);

/// Free space below which a first set-up is likely to fail, in bytes.
const SPACE_MIN: u64 = 3 << 30;

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Finding {
    name: String,
    /// How it was tried.
    tried: String,
    held: Held,
    /// What was seen.
    seen: String,
    /// What the user can do.
    advice: String,
}

/// Everything, as `--json` shows it.
#[derive(Debug, Serialize)]
struct Findings {
    /// Whether runs are possible.
    safe: bool,
    level: String,
    backend: String,
    sandbox: Vec<Finding>,
    machine: Vec<Finding>,
}

/// Carries out `doctor`.
///
/// # Errors
/// When it cannot be written as JSON.
pub fn execute(session: &Session) -> Result<Exit, Failure> {
    session.console.note("attacking a small cell from inside; this takes a few seconds");
    let (effective, sandbox) = sandbox();
    let safe = effective.as_ref().is_some_and(|effective| effective.level >= Level::L1)
        && sandbox.iter().all(|finding| finding.held != Held::No);
    let findings = Findings {
        safe,
        level: effective.as_ref().map_or(Level::L0, |effective| effective.level).to_string(),
        backend: effective.map_or_else(String::new, |effective| effective.backend),
        sandbox,
        machine: machine(session),
    };
    if session.is_json {
        console::json(&findings)?;
    } else {
        console::result(&shown(&findings, session));
    }
    Ok(if findings.safe { Exit::Ok } else { Exit::Sandbox })
}

fn sandbox() -> (Option<Effective>, Vec<Finding>) {
    let refused = |seen: String, advice: &str| Finding {
        name: "cell".into(),
        tried: "start one".into(),
        held: Held::Missing,
        seen,
        advice: advice.into(),
    };
    let helper = match std::env::current_exe() {
        Ok(helper) => helper,
        Err(error) => {
            return (None, vec![refused(format!("finding this program: {error}"), "install it anew")]);
        }
    };
    match Launcher::new(helper) {
        Ok(launcher) => {
            let findings = doctor(&launcher).into_iter().map(finding).collect();
            (Some(launcher.effective().clone()), findings)
        }
        Err(error) => (None, vec![refused(chain(&error), error.hint().unwrap_or("look at the reason"))]),
    }
}

fn finding(barrier: Barrier) -> Finding {
    let Barrier { name, tried, held, why, advice } = barrier;
    Finding { name, tried, held, seen: why, advice }
}

fn machine(session: &Session) -> Vec<Finding> {
    let mut findings = vec![python()];
    match session.home() {
        Ok(home) => findings.extend([worker(&home), space(&home), memory(&home, session)]),
        Err(failure) => findings.push(Finding {
            name: "state".into(),
            tried: "find a place for it".into(),
            held: Held::Missing,
            seen: failure.message,
            advice: failure.hint.unwrap_or_default(),
        }),
    }
    findings
}

fn python() -> Finding {
    let suitable = "import sys; print(sys.executable, sys.version.split()[0]); sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))";
    let version = |name: &str| {
        let command = TrustedCommand::new(name).args(["-c", suitable]).timeout(PYTHON_TIME_MAX);
        let outcome = command.run(&mut |_: Progress<'_>| ControlFlow::Continue(())).ok()?;
        outcome.succeeded().then(|| outcome.tail.join(" "))
    };
    let found = INTERPRETERS.into_iter().find_map(version);
    let is_there = found.is_some();
    Finding {
        name: "Python".into(),
        tried: format!("start {}", INTERPRETERS.join(", ")),
        held: if is_there { Held::Yes } else { Held::Missing },
        seen: found.unwrap_or_else(|| "no Python from 3.11 to 3.13 on PATH".into()),
        advice: if is_there { String::new() } else { "install Python 3.11 with its venv module".into() },
    }
}

fn worker(home: &Path) -> Finding {
    let environment = ansatz_engine::environment::existing(home);
    Finding {
        name: "worker environment".into(),
        tried: "look below the program's state".into(),
        held: if environment.is_some() { Held::Yes } else { Held::Missing },
        advice: if environment.is_some() {
            ""
        } else {
            "the first run makes it, which takes a minute or two"
        }
        .into(),
        seen: environment.map_or_else(
            || format!("not made yet in {}", home.display()),
            |environment| environment.python.display().to_string(),
        ),
    }
}

fn space(home: &Path) -> Finding {
    let existing = home.ancestors().find(|folder| folder.exists()).unwrap_or(Path::new("/"));
    let finding = |held, seen: String, advice: &str| Finding {
        name: "disk".into(),
        tried: format!("ask about {}", existing.display()),
        held,
        seen,
        advice: advice.into(),
    };
    match rustix::fs::statvfs(existing) {
        Err(error) => finding(Held::Missing, error.to_string(), "look at the folder"),
        Ok(found) => {
            let free = found.f_bavail.saturating_mul(found.f_frsize);
            let held = if free >= SPACE_MIN { Held::Yes } else { Held::No };
            let advice =
                if held == Held::Yes { "" } else { "free some space: the first set-up needs about 3 GiB" };
            finding(held, format!("{} free", bytes(free)), advice)
        }
    }
}

fn memory(home: &Path, session: &Session) -> Finding {
    let snapshot = Memory::new(home.join("memory"), Arc::new(session.clock)).open_snapshot();
    let trouble = snapshot.held_by.as_ref().map(|holder| format!("in use by {holder}"));
    let trouble = trouble.or_else(|| snapshot.notices.first().cloned());
    Finding {
        name: "memory".into(),
        tried: "read it".into(),
        held: if trouble.is_none() { Held::Yes } else { Held::No },
        advice: if trouble.is_none() {
            ""
        } else {
            "runs go on without it; `ansatz memory rebuild` makes it anew"
        }
        .into(),
        seen: trouble.unwrap_or_else(|| format!("{} runs remembered", snapshot.stats().experiences)),
    }
}

fn shown(findings: &Findings, session: &Session) -> String {
    let paint = session.console.out;
    let mut shown = String::new();
    for (title, list) in [("sandbox", &findings.sandbox), ("machine", &findings.machine)] {
        let mut table = Table::new(&["", title, "tried", "seen"], 44);
        for finding in list {
            table.row([
                mark(finding.held).into(),
                finding.name.clone(),
                finding.tried.clone(),
                finding.seen.clone(),
            ]);
        }
        shown.push_str(&table.lines(paint, session.console.width));
        shown.push('\n');
    }
    let mut advice: Vec<String> = Vec::new();
    for finding in
        findings.sandbox.iter().chain(&findings.machine).filter(|finding| !finding.advice.is_empty())
    {
        let line = format!(
            "  {}: {}\n",
            text::visible(&finding.name, 40),
            text::visible(&finding.advice, text::MESSAGE_WIDTH)
        );
        if !advice.contains(&line) {
            advice.push(line);
        }
    }
    if !advice.is_empty() {
        let _ = writeln!(shown, "what to do\n{}", advice.concat());
    }
    let (style, sentence) = match (findings.safe, findings.level.as_str()) {
        (true, "L3") => (
            Style::Green,
            "level L3: everything holds; runs are as safe as this program can make them".to_owned(),
        ),
        (true, level) => {
            (Style::Yellow, format!("level {level}: runs are possible; --strict would refuse them"))
        }
        (false, _) => {
            (Style::Red, "no safe cell can be had on this machine, so nothing can be run".to_owned())
        }
    };
    shown + &paint.text(style, &sentence) + "\n"
}

fn mark(held: Held) -> &'static str {
    match held {
        Held::Yes => "✓",
        Held::No => "✗",
        Held::Missing => "–",
    }
}

#[cfg(test)]
#[expect(clippy::needless_raw_string_hashes, reason = "expect-test writes snapshots with hashes")]
mod tests {
    use super::*;
    use crate::command::tests::session;
    use expect_test::expect;

    fn finding(name: &str, held: Held, advice: &str) -> Finding {
        let (tried, seen) = ("open it".into(), "EPERM".into());
        Finding { name: name.into(), tried, held, seen, advice: advice.into() }
    }

    fn findings(safe: bool, level: &str, sandbox: Vec<Finding>) -> Findings {
        let machine = vec![finding("disk", Held::Yes, "")];
        Findings { safe, level: level.into(), backend: "native".into(), sandbox, machine }
    }

    #[test]
    fn what_is_missing_comes_with_advice() {
        let sandbox = vec![
            finding("network", Held::Yes, ""),
            finding("processor group", Held::Missing, "have control groups delegated"),
        ];
        expect![[r#"
               sandbox          tried    seen
            ✓  network          open it  EPERM
            –  processor group  open it  EPERM

               machine  tried    seen
            ✓  disk     open it  EPERM

            what to do
              processor group: have control groups delegated

            level L2: runs are possible; --strict would refuse them
        "#]]
        .assert_eq(&shown(&findings(true, "L2", sandbox), &session(&[])));
    }

    #[test]
    fn an_unsafe_machine_is_called_unsafe() {
        let text =
            shown(&findings(false, "L0", vec![finding("cell", Held::Missing, "run as root")]), &session(&[]));
        assert!(text.ends_with("so nothing can be run\n"), "{text}");
    }
}
