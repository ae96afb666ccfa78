//! Finding out what a host enforces, by attacking it harmlessly from inside a small cell.

use crate::backend::Backend;
use crate::cell::Cell;
use crate::effective::{Effective, Level};
use crate::error::{SandboxError, SandboxErrorKind};
use crate::helper::order::Payload;
use crate::helper::probe::{Attempt, Probe};
use crate::launcher::Launcher;
use crate::local::BUBBLEWRAP;
use crate::policy::{CellSpec, Limits, Policy};
use crate::report::{CellReport, Verdict};
use serde::{Deserialize, Serialize};
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::time::{Duration, Instant};

/// A probe that takes longer has hung.
const PROBE_TIME_MAX: Duration = Duration::from_secs(20);
const MIB: u64 = 1 << 20;

/// Whether a barrier held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Held {
    /// The attack failed as it should.
    Yes,
    /// The attack went through.
    No,
    /// This host cannot give the barrier.
    Missing,
}

/// One barrier and what an attack on it showed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Barrier {
    /// What it keeps.
    pub name: String,
    /// What was tried.
    pub tried: String,
    /// Whether it held.
    pub held: Held,
    /// What was seen.
    pub why: String,
    /// What the user can do where it did not hold.
    pub advice: String,
}

/// Proves each barrier of a host's cells by harmless attack.
///
/// Takes a few seconds. What cannot be tried is reported as [`Held::Missing`] with the reason.
pub fn doctor(launcher: &Launcher) -> Vec<Barrier> {
    let backend = launcher.backend();
    let canary = std::env::current_exe().unwrap_or_else(|_| "/etc/passwd".into());
    let mut barriers = match attack(backend, &canary) {
        Ok(findings) => findings.attempts.into_iter().map(from_attempt).collect(),
        Err(error) => vec![untried("cell", "start a cell and attack it from inside", &error)],
    };
    barriers.extend(limits().into_iter().map(|limit| limit.prove(backend)));
    let missing = launcher.effective().missing.iter();
    barriers.extend(missing.map(|what| Barrier {
        name: what.split(':').next().unwrap_or("host").to_owned(),
        tried: "look for it".into(),
        held: Held::Missing,
        why: what.clone(),
        advice: "run as root, or have control groups delegated, on a kernel that has it".into(),
    }));
    barriers
}

fn from_attempt(attempt: Attempt) -> Barrier {
    let advice =
        if attempt.held { "" } else { "do not run generated code on this host; report what is seen here" };
    Barrier {
        name: attempt.name,
        tried: attempt.tried,
        held: if attempt.held { Held::Yes } else { Held::No },
        why: attempt.seen,
        advice: advice.into(),
    }
}

fn untried(name: &str, tried: &str, error: &SandboxError) -> Barrier {
    Barrier {
        name: name.into(),
        tried: tried.into(),
        held: Held::Missing,
        why: format!("{error}: {}", error.kind()),
        advice: "look at the reason; without this proof generated code must not run".into(),
    }
}

/// A limit that is proved by running into it.
struct LimitProof {
    name: &'static str,
    tried: &'static str,
    probe: Probe,
    limits: Limits,
    expected: &'static [Verdict],
}

fn small() -> Limits {
    Limits {
        memory_bytes: 64 * MIB,
        pids: 16,
        out_bytes: MIB,
        tmp_bytes: MIB,
        shm_bytes: MIB,
        wall: Some(Duration::from_secs(10)),
        grace: Duration::ZERO,
        ..Limits::default()
    }
}

fn limits() -> Vec<LimitProof> {
    let short =
        Limits { wall: Some(Duration::from_millis(300)), grace: Duration::from_millis(100), ..small() };
    vec![
        LimitProof {
            name: "memory",
            tried: "use more memory than allowed",
            probe: Probe::Memory,
            limits: small(),
            // Where no group counts memory, the process is refused more (exit code 4) or seen and killed.
            expected: &[Verdict::Oom, Verdict::Error(4), Verdict::Signal(libc::SIGABRT)],
        },
        LimitProof {
            name: "processes",
            tried: "start more processes than allowed",
            probe: Probe::Processes,
            limits: small(),
            expected: &[Verdict::Pids, Verdict::Error(5)],
        },
        LimitProof {
            name: "time",
            tried: "sleep past the limit, deaf to polite signals",
            probe: Probe::Sleep,
            limits: short,
            expected: &[Verdict::Timeout],
        },
        LimitProof {
            name: "output",
            tried: "write without end",
            probe: Probe::Output,
            limits: Limits { output_bytes: MIB, ..small() },
            expected: &[Verdict::OutputFlood],
        },
        LimitProof {
            name: "disk",
            tried: "fill the writable folder",
            probe: Probe::Disk,
            limits: small(),
            // Refused by the file system, or seen by the watch.
            expected: &[Verdict::Ok, Verdict::Quota],
        },
    ]
}

impl LimitProof {
    fn prove(self, backend: &dyn Backend) -> Barrier {
        match run(backend, self.probe, self.limits) {
            Err(error) => untried(self.name, self.tried, &error),
            Ok(report) => {
                let held = self.expected.contains(&report.verdict);
                Barrier {
                    name: self.name.into(),
                    tried: self.tried.into(),
                    held: if held { Held::Yes } else { Held::No },
                    why: format!("{:?} after {:.1} s", report.verdict, report.wall_s),
                    advice: if held { "" } else { "do not run generated code on this host" }.into(),
                }
            }
        }
    }
}

fn spec(name: &str, limits: Limits) -> CellSpec {
    let policy = Policy { limits, ..Policy::default() };
    CellSpec { name: name.into(), policy, argv: vec!["/probe".into()], cwd: "/".into() }
}

fn run(backend: &dyn Backend, probe: Probe, limits: Limits) -> Result<CellReport, SandboxError> {
    let cell = backend.start(spec("doctor", limits), Payload::Probe(probe))?;
    cell.wait(PROBE_TIME_MAX);
    Ok(cell.stop(Duration::ZERO))
}

/// What came of attacking a canary cell.
pub(crate) struct Findings {
    attempts: Vec<Attempt>,
    landlock: String,
}

/// Attacks a small cell from inside. `canary` is a host file that the cell must not be able to open.
pub(crate) fn attack(backend: &dyn Backend, canary: &Path) -> Result<Findings, SandboxError> {
    // A canary on the host's loopback; a host without one has nothing to be reached there.
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).ok();
    let port =
        listener.as_ref().and_then(|listener| listener.local_addr().ok()).map_or(0, |address| address.port());
    let probe = Probe::Barriers { port, canary: canary.to_owned() };
    let cell = backend.start(spec("canary", small()), Payload::Probe(probe))?;
    let attempts = listen(&cell)?;
    let landlock = cell.landlock().to_owned();
    cell.wait(PROBE_TIME_MAX);
    let report = cell.stop(Duration::ZERO);
    if report.verdict == Verdict::Ok && !attempts.is_empty() {
        return Ok(Findings { attempts, landlock });
    }
    let said = format!("the canary ended with {:?}: {}", report.verdict, report.log.text());
    Err(SandboxError::new("attacking a canary cell", SandboxErrorKind::Protocol(said)))
}

fn listen(cell: &Cell) -> Result<Vec<Attempt>, SandboxError> {
    let deadline = Instant::now() + PROBE_TIME_MAX;
    let mut attempts = Vec::new();
    while let Some(bytes) = cell.recv(deadline.saturating_duration_since(Instant::now()))? {
        let attempt = serde_json::from_slice(&bytes).map_err(|error| {
            SandboxError::new("attacking a canary cell", SandboxErrorKind::Protocol(error.to_string()))
        })?;
        attempts.push(attempt);
    }
    Ok(attempts)
}

impl Findings {
    /// What a host gives, if every barrier held: `level` with what the canary showed, and with what the backend knows by
    /// itself to be enforced and missing.
    pub(crate) fn judge(
        &self,
        backend: &str,
        level: Level,
        known: Vec<String>,
        mut missing: Vec<String>,
    ) -> Result<Effective, SandboxError> {
        if let Some(broken) = self.attempts.iter().find(|attempt| !attempt.held) {
            let missing =
                format!("a barrier that holds: {} ({}: {})", broken.name, broken.tried, broken.seen);
            let hint = "run `ansatz doctor` to see every barrier; generated code is not run here".into();
            let kind = SandboxErrorKind::Unavailable { missing, hint };
            return Err(SandboxError::new("attacking a canary cell", kind));
        }
        let mut enforced: Vec<String> = Vec::new();
        for attempt in &self.attempts {
            if !enforced.contains(&attempt.name) {
                enforced.push(attempt.name.clone());
            }
        }
        if level == Level::L0 {
            // Nothing was put up, so nothing is lacking.
        } else if self.landlock == "full" {
            enforced.push("landlock".into());
        } else {
            missing.push(format!("landlock: this kernel gives {} support", self.landlock));
        }
        enforced.extend(known);
        Ok(Effective { backend: backend.into(), level, enforced, missing })
    }
}

/// Turns a canary that would not start into what is missing and what to do about it.
pub(crate) fn unavailable(error: &SandboxError) -> SandboxError {
    let (missing, hint) = match error.kind() {
        SandboxErrorKind::Start { step, message }
            if step == "NewNamespaces" || step.starts_with("MapIds") =>
        {
            (
                format!("user name spaces for this user ({message})"),
                "allow them: sysctl kernel.unprivileged_userns_clone=1, user.max_user_namespaces > 0, and \
             kernel.apparmor_restrict_unprivileged_userns=0 where it exists; or run as root",
            )
        }
        SandboxErrorKind::Start { step, message }
            if step == BUBBLEWRAP || step.starts_with("BecomeBubblewrap") =>
        {
            (
                format!("bubblewrap that works ({message})"),
                "bubblewrap 0.8 or newer is needed, on a host where it may make user name spaces",
            )
        }
        SandboxErrorKind::Start { step, message } if step == "Proc" => (
            format!("a process file system of its own ({message})"),
            "this process runs in a container that masks /proc; run it with an unmasked /proc or outside",
        ),
        SandboxErrorKind::Start { step, message } => (
            format!("step `{step}` of starting a cell ({message})"),
            "Linux 5.14 or newer with name spaces is needed",
        ),
        other => (format!("a cell that starts ({other})"), "run `ansatz doctor` for details"),
    };
    SandboxError::new("starting a canary cell", SandboxErrorKind::Unavailable { missing, hint: hint.into() })
}
