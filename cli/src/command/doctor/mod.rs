//! `ansatz doctor`: what this machine can do, each barrier of the sandbox proved by attacking it.
//!
//! Works as any user, without Python, with a broken configuration: a thing that is wrong is a finding, never the end of the
//! command. Nothing is set up or changed, and no secret is shown.

mod devices;
pub mod finding;
mod machine;
mod services;
mod shown;

use super::{Session, ray};
use crate::console;
use crate::exit::{Exit, Failure, chain};
use ansatz_sandbox::{BackendChoice, Effective, Launcher, LauncherOptions, Level, SandboxError, doctor};
use clap::{Args, ValueEnum};
use finding::{Finding, Standing};
use serde::Serialize;
use std::path::{Path, PathBuf};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Args)]
pub struct DoctorArgs {
    /// Prove the barriers of this kind of sandbox instead of the one that runs would use
    #[arg(long, value_enum, default_value_t = Kind::Auto, value_name = "KIND")]
    sandbox: Kind,
}

/// Kinds of sandbox that can be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// The one that runs use, and a glance at the others
    Auto,
    /// Cells made by this program
    Native,
    /// Cells made by bubblewrap
    Bwrap,
    /// Containers of Docker or Podman
    Engine,
}

/// Kinds that are glanced at beside the one that runs use.
const OTHERS: [BackendChoice; 3] = [BackendChoice::Native, BackendChoice::Bwrap, BackendChoice::Engine];

impl From<Kind> for BackendChoice {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Auto => Self::Auto,
            Kind::Native => Self::Native,
            Kind::Bwrap => Self::Bwrap,
            Kind::Engine => Self::Engine,
        }
    }
}

/// What one backend showed.
#[derive(Debug, Serialize)]
struct Backend {
    name: String,
    /// `L3` … `L1`; empty where no cell could be started.
    level: String,
    findings: Vec<Finding>,
}

impl Backend {
    fn unusable(name: &str, finding: Finding) -> Self {
        Self { name: name.into(), level: String::new(), findings: vec![finding] }
    }
}

/// Everything, as `--json` shows it.
#[derive(Debug, Serialize)]
struct Findings {
    /// Whether runs are possible.
    safe: bool,
    /// The level that runs get.
    level: String,
    /// The backend that runs use.
    backend: String,
    backends: Vec<Backend>,
    machine: Vec<Finding>,
}

/// Carries out `doctor`. `trouble` is what is wrong with the configuration, if anything is.
///
/// # Errors
/// When it cannot be written as JSON.
pub fn execute(args: DoctorArgs, session: &Session, trouble: Option<Failure>) -> Result<Exit, Failure> {
    session.console.note("attacking a small cell from inside; this takes a few seconds");
    let ((effective, backends), machine) = std::thread::scope(|scope| {
        // Importing Python packages takes as long as the attacks: both at once.
        let machine = scope.spawn(|| machine(session, trouble));
        (sandbox(args.sandbox.into()), machine.join().unwrap_or_default())
    });
    let holds = backends
        .first()
        .is_some_and(|backend| backend.findings.iter().all(|finding| finding.standing != Standing::Broken));
    let findings = Findings {
        safe: holds && effective.as_ref().is_some_and(|effective| effective.level >= Level::L1),
        level: effective.as_ref().map_or(Level::L0, |effective| effective.level).to_string(),
        backend: effective.map_or_else(String::new, |effective| effective.backend),
        backends,
        machine,
    };
    if session.is_json {
        console::json(&findings)?;
    } else {
        let (out, width) = (session.console.out, session.console.width);
        console::result(&shown::text(&findings, out, width, session.is_verbose()));
    }
    Ok(exit(&findings))
}

fn exit(findings: &Findings) -> Exit {
    let is_broken = findings.machine.iter().any(|finding| finding.standing == Standing::Broken);
    match (findings.safe, is_broken) {
        (false, _) => Exit::Sandbox,
        (true, true) => Exit::Failed,
        (true, false) => Exit::Ok,
    }
}

/// What is enforced by the kind that was asked for, and what each kind showed, that one first.
fn sandbox(asked: BackendChoice) -> (Option<Effective>, Vec<Backend>) {
    let helper = match std::env::current_exe() {
        Ok(helper) => helper,
        Err(error) => {
            let finding =
                Finding::broken("cell", "find this program", error.to_string()).advice("install it anew");
            return (None, vec![Backend::unusable(asked.name(), finding)]);
        }
    };
    let (effective, first) = proved(&helper, asked);
    let mut backends = vec![first];
    if asked == BackendChoice::Auto {
        let used = backends[0].name.clone();
        let others = OTHERS.into_iter().filter(|other| other.name() != used);
        backends.extend(others.map(|other| glanced_at(&helper, other)));
    }
    (effective, backends)
}

fn launcher(helper: &Path, backend: BackendChoice) -> Result<Launcher, SandboxError> {
    Launcher::with_options(PathBuf::from(helper), &LauncherOptions { backend, ..LauncherOptions::default() })
}

/// Attacks every barrier of a kind.
fn proved(helper: &Path, backend: BackendChoice) -> (Option<Effective>, Backend) {
    match launcher(helper, backend) {
        Ok(launcher) => {
            let effective = launcher.effective().clone();
            let findings = doctor(&launcher).into_iter().map(Finding::from).collect();
            let (name, level) = (effective.backend.clone(), effective.level.to_string());
            (Some(effective), Backend { name, level, findings })
        }
        Err(error) => {
            let finding = Finding::broken("cell", "start one", chain(&error));
            let finding = finding.advice(error.hint().unwrap_or("look at the reason"));
            (None, Backend::unusable(backend.name(), finding))
        }
    }
}

/// Starts one small cell of a kind that runs do not use here, which attacks the most important barriers from inside.
fn glanced_at(helper: &Path, backend: BackendChoice) -> Backend {
    let name = backend.name();
    match launcher(helper, backend) {
        Ok(launcher) => {
            let seen = format!("starts and holds; `ansatz doctor --sandbox {name}` proves every barrier");
            let level = launcher.effective().level.to_string();
            Backend { name: name.into(), level, findings: vec![Finding::ok("cell", "", seen)] }
        }
        Err(error) => {
            let finding = Finding::missing("cell", "", chain(&error));
            let hint = error.hint().map(|hint| format!("not needed here; to have it: {hint}"));
            Backend::unusable(name, finding.advice(hint.unwrap_or_else(|| "not needed here".into())))
        }
    }
}

fn machine(session: &Session, trouble: Option<Failure>) -> Vec<Finding> {
    let mut findings = vec![configuration(trouble)];
    std::thread::scope(|scope| {
        let python = scope.spawn(machine::python);
        let gpus = scope.spawn(devices::gpus);
        let endpoint = scope.spawn(|| services::endpoint(&session.surroundings));
        let ray = scope.spawn(|| ray::finding(session));
        match session.home() {
            Ok(home) => {
                let worker = scope.spawn({
                    let home = home.clone();
                    move || machine::worker(&home)
                });
                findings.extend(python.join());
                findings.extend(worker.join());
                findings.extend([machine::space(&home), machine::memory(&home, session.clock)]);
            }
            Err(failure) => {
                findings.extend(python.join());
                let place = Finding::broken("state", "find a place for it", failure.message);
                findings.push(place.advice(failure.hint.unwrap_or_default()));
            }
        }
        findings.extend(endpoint.join());
        findings.push(services::kaggle(&session.surroundings));
        findings.extend(gpus.join().unwrap_or_default());
        findings.extend(ray.join());
    });
    findings
}

fn configuration(trouble: Option<Failure>) -> Finding {
    match trouble {
        None => Finding::ok("configuration", "", "every file and variable is understood"),
        Some(failure) => Finding::broken("configuration", "", failure.message)
            .advice(failure.hint.unwrap_or_else(|| "mend the named file".into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(safe: bool, machine: Vec<Finding>) -> Findings {
        Findings { safe, level: "L3".into(), backend: "native".into(), backends: Vec::new(), machine }
    }

    #[test]
    fn the_exit_code_tells_unsafe_from_broken_from_fine() {
        let [fine, warned] = [Finding::missing("GPU", "", "none"), Finding::warning("x", "", "y")];
        assert_eq!(exit(&findings(true, vec![fine, warned])), Exit::Ok);
        assert_eq!(exit(&findings(true, vec![Finding::broken("disk", "", "full")])), Exit::Failed);
        assert_eq!(exit(&findings(false, Vec::new())), Exit::Sandbox);
    }

    #[test]
    fn a_broken_configuration_is_a_finding() {
        let trouble = Failure::usage("ansatz.toml: line 2").hint("mend it");
        let finding = configuration(Some(trouble));
        assert_eq!((finding.standing, finding.advice.as_str()), (Standing::Broken, "mend it"));
    }
}
