//! Choosing what makes the walls, and starting cells with it.

use crate::backend::{Backend, BackendChoice};
use crate::cell::{Cell, Ready};
use crate::channel::{Channel, Message};
use crate::effective::{Effective, Level};
use crate::error::{SandboxError, SandboxErrorKind};
use crate::helper::order::{Event, Payload, Walls};
use crate::local::Local;
use crate::policy::CellSpec;
use std::path::PathBuf;
use std::time::Duration;

/// Longest time from an order to a running program.
const START_TIME_MAX: Duration = Duration::from_secs(30);

/// What a launcher may and must give.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LauncherOptions {
    /// What makes the walls.
    pub backend: BackendChoice,
    /// The best level to use, for tests and for hosts whose groups must be left alone.
    pub level_max: Level,
    /// The least level to accept; [`Level::L3`] is what `--strict` asks for.
    pub level_min: Level,
}

impl Default for LauncherOptions {
    fn default() -> Self {
        Self { backend: BackendChoice::Auto, level_max: Level::L3, level_min: Level::L2 }
    }
}

/// Starts cells. Cells that it has started keep its thread alive; dropping both ends everything.
#[derive(Debug)]
pub struct Launcher {
    backend: Box<dyn Backend>,
    effective: Effective,
}

impl Launcher {
    /// Prepares to start cells by running `helper __cell`, and finds out what this host can enforce by starting a canary.
    ///
    /// `helper` is an executable that calls [`cell_main`](crate::cell_main) for that argument: normally this very program.
    /// Fails with [`SandboxErrorKind::Unavailable`] where no cell of at least `L2` can be had.
    pub fn new(helper: PathBuf) -> Result<Self, SandboxError> {
        Self::with_options(helper, &LauncherOptions::default())
    }

    /// As [`Launcher::new`], with the given walls and within the given levels.
    pub fn with_options(helper: PathBuf, options: &LauncherOptions) -> Result<Self, SandboxError> {
        let launcher = match options.backend {
            BackendChoice::Auto | BackendChoice::Native => {
                Self::probed(Local::new(helper, Walls::Namespaces, options.level_max)?)?
            }
            other => return Err(not_offered(other)),
        };
        launcher.at_least(options.level_min)
    }

    fn probed(mut backend: impl Backend + 'static) -> Result<Self, SandboxError> {
        let effective = backend.probe()?;
        Ok(Self { backend: Box::new(backend), effective })
    }

    fn at_least(self, level_min: Level) -> Result<Self, SandboxError> {
        let Effective { level, missing, .. } = &self.effective;
        if *level >= level_min {
            return Ok(self);
        }
        let missing = format!("level {level_min} (it gives {level}: {})", missing.join("; "));
        let hint =
            "run as root, or have control groups delegated to this user, or accept a lower level".into();
        let kind = SandboxErrorKind::Unavailable { missing, hint };
        Err(SandboxError::new("preparing to start cells", kind))
    }

    /// What this host enforces.
    pub fn effective(&self) -> &Effective {
        &self.effective
    }

    /// Starts a cell and returns when its program runs.
    pub fn start(&self, spec: CellSpec) -> Result<Cell, SandboxError> {
        spec.check()?;
        self.backend.start(spec, Payload::Program)
    }

    pub(crate) fn backend(&self) -> &dyn Backend {
        self.backend.as_ref()
    }
}

fn not_offered(backend: BackendChoice) -> SandboxError {
    let kind = SandboxErrorKind::Unavailable {
        missing: format!("the backend `{backend}`"),
        hint: "use `native`".into(),
    };
    SandboxError::new("choosing what makes the walls", kind)
}

/// Waits until the program of a new cell runs. Every backend calls it after the order.
pub(crate) fn await_ready(supervisor: &Channel, name: &str) -> Result<Ready, SandboxError> {
    let doing = || format!("starting cell `{name}`");
    let Some(message) = supervisor.recv_descriptors(START_TIME_MAX)? else {
        return Err(SandboxError::new(doing(), SandboxErrorKind::Closed));
    };
    let Message { bytes, mut descriptors, .. } = message;
    let unexpected = |what: &str| SandboxError::new(doing(), SandboxErrorKind::Protocol(what.into()));
    match serde_json::from_slice(&bytes) {
        Ok(Event::Ready { landlock }) => match (descriptors.pop(), descriptors.pop()) {
            (Some(init), Some(out)) => Ok(Ready { out, init, landlock }),
            _ => Err(unexpected("ready, but without its folder")),
        },
        Ok(Event::Failed { step, message }) => {
            Err(SandboxError::new(doing(), SandboxErrorKind::Start { step, message }))
        }
        _ => Err(unexpected(&String::from_utf8_lossy(&bytes))),
    }
}
