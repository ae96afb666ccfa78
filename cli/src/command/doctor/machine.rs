//! Python, the worker's environment, the disk, the memory: what runs need beside cells. Nothing is made or changed.

use super::finding::Finding;
use crate::clock::SystemClock;
use ansatz_engine::environment::{self, Environment};
use ansatz_memory::Memory;
use ansatz_report::number::bytes;
use ansatz_sandbox::trusted::{Progress, TrustedCommand};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Interpreters that are looked for, best first.
const INTERPRETERS: [&str; 4] = ["python3.11", "python3.12", "python3.13", "python3"];
/// Longest time that an interpreter may take to tell its version.
const PYTHON_TIME_MAX: Duration = Duration::from_secs(10);
/// Longest time for importing everything that the worker uses.
const IMPORT_TIME_MAX: Duration = Duration::from_secs(30);
/// Free space that the first set-up needs, in bytes.
const SPACE_SETUP: u64 = 3 << 30;
/// Free space below which runs fail, in bytes.
const SPACE_MIN: u64 = 200 << 20;

/// Imports what a trial would and tells as JSON what came of it.
const IMPORT: &str = "import json\nfrom ansatz_worker import zygote\nzygote.prepare()\nabsent = zygote.import_libraries()\n\
                      from ansatz_worker import model\nprint(json.dumps({'absent': absent, 'versions': model.versions()}))";

pub fn python() -> Finding {
    let suitable = "import sys; print(sys.executable, sys.version.split()[0]); sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))";
    let version = |name: &str| run(name, &[], suitable, PYTHON_TIME_MAX).ok().map(|lines| lines.join(" "));
    match INTERPRETERS.into_iter().find_map(version) {
        Some(found) => Finding::ok("Python", "", found),
        None => Finding::broken("Python", "", "no Python from 3.11 to 3.13 on PATH")
            .advice("install Python 3.11 with its venv module (Debian: apt install python3 python3-venv)"),
    }
}

/// Runs a line of Python. Its lines, or the last one where it failed.
fn run(python: &str, env: &[(&str, String)], code: &str, limit: Duration) -> Result<Vec<String>, String> {
    let mut command = TrustedCommand::new(python).args(["-c", code]).timeout(limit);
    for (name, value) in env {
        command = command.env(*name, value.clone());
    }
    let outcome = command
        .run(&mut |_: Progress<'_>| ControlFlow::Continue(()))
        .map_err(|error| format!("{error}: {}", error.kind()))?;
    if outcome.succeeded() {
        return Ok(outcome.tail);
    }
    Err(outcome.tail.last().cloned().unwrap_or_else(|| format!("it ended after {:.0} s", outcome.wall_s)))
}

#[derive(Debug, Deserialize)]
struct Imported {
    absent: Vec<String>,
    versions: BTreeMap<String, String>,
}

pub fn worker(home: &Path) -> Finding {
    const NAME: &str = "worker environment";
    let Some(environment) = environment::existing(home) else {
        return Finding::missing(NAME, "", format!("not made yet in {}", home.join("worker").display()))
            .advice("the first run makes it, which takes a minute or two; nothing to do");
    };
    let place = hash_of(&environment);
    let again = format!("remove {} and start a run, which makes it anew", folder_of(&environment).display());
    let source = environment.source.display().to_string();
    let said = run(
        &environment.python.display().to_string(),
        &[("PYTHONPATH", source), ("PYTHONDONTWRITEBYTECODE", "1".into())],
        IMPORT,
        IMPORT_TIME_MAX,
    );
    let imported = said.and_then(|lines| {
        let last = lines.last().cloned().unwrap_or_default();
        serde_json::from_str::<Imported>(&last).map_err(|_| last)
    });
    match imported {
        Err(why) => Finding::broken(NAME, format!("import its packages ({place})"), why).advice(again),
        Ok(found) if !found.absent.is_empty() => {
            let why = format!("cannot import {}", found.absent.join(", "));
            Finding::broken(NAME, format!("import its packages ({place})"), why).advice(again)
        }
        Ok(found) => {
            let version = |name: &str| found.versions.get(name).map_or("?", String::as_str).to_owned();
            let said = format!(
                "{place}, Python {}, all {} packages import (scikit-learn {}, lightgbm {})",
                version("python"),
                found.versions.len().saturating_sub(1),
                version("scikit-learn"),
                version("lightgbm")
            );
            Finding::ok(NAME, "", said)
        }
    }
}

fn folder_of(environment: &Environment) -> &Path {
    environment.lock.parent().unwrap_or(&environment.lock)
}

fn hash_of(environment: &Environment) -> String {
    let name = folder_of(environment).file_name().unwrap_or_default().to_string_lossy().into_owned();
    name.strip_prefix("env-").unwrap_or(&name).to_owned()
}

pub fn space(home: &Path) -> Finding {
    let existing = home.ancestors().find(|folder| folder.exists()).unwrap_or(Path::new("/"));
    let place = existing.display();
    if rustix::fs::access(existing, rustix::fs::Access::WRITE_OK).is_err() {
        return Finding::broken("disk", "", format!("{place} cannot be written"))
            .advice("change its owner or mode, or set ANSATZ_HOME to a folder of yours");
    }
    match rustix::fs::statvfs(existing) {
        Err(error) => Finding::broken("disk", format!("ask about {place}"), error.to_string())
            .advice("look at the folder, or set ANSATZ_HOME to another one"),
        Ok(found) => {
            let free = found.f_bavail.saturating_mul(found.f_frsize);
            let seen = format!("{} free in {place}", bytes(free));
            let is_set_up = environment::existing(home).is_some();
            if free < SPACE_MIN {
                Finding::broken("disk", "", seen).advice("free some space: runs need a few hundred MB")
            } else if free < SPACE_SETUP && !is_set_up {
                Finding::broken("disk", "", seen)
                    .advice("free some space: the first set-up needs about 3 GiB")
            } else {
                Finding::ok("disk", "", seen)
            }
        }
    }
}

pub fn memory(home: &Path, clock: SystemClock) -> Finding {
    let snapshot = Memory::new(home.join("memory"), Arc::new(clock)).open_snapshot();
    if let Some(holder) = &snapshot.held_by {
        return Finding::warning("memory", "", format!("in use by {holder}"))
            .advice("runs go on without it and leave what they learn for later; nothing to do");
    }
    match snapshot.notices.first() {
        Some(notice) => Finding::broken("memory", "read it", notice.clone())
            .advice("runs go on without it; `ansatz memory rebuild` makes it anew"),
        None => Finding::ok("memory", "", format!("{} runs remembered", snapshot.stats().experiences)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Standing;
    use super::*;

    #[test]
    fn a_home_without_anything_is_no_fault() {
        let home = tempfile::tempdir().unwrap();
        let home = home.path().join("not/made/yet");
        assert_eq!(worker(&home).standing, Standing::Missing);
        assert_eq!(space(&home).standing, Standing::Ok);
        assert_eq!(memory(&home, SystemClock::start()).standing, Standing::Ok);
        assert!(!home.exists(), "looking makes nothing");
    }

    #[test]
    fn an_interpreter_that_fails_says_its_last_line() {
        let code = "import sys; print('first', flush=True); sys.exit('no such thing')";
        assert_eq!(run("python3", &[], code, PYTHON_TIME_MAX), Err("no such thing".into()));
        assert!(run("no-such-python", &[], code, PYTHON_TIME_MAX).is_err());
    }
}
