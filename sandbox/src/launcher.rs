//! Choosing what makes the walls, and starting cells with it.

use crate::backend::{Backend, BackendChoice};
use crate::cell::{Cell, Ready};
use crate::channel::{Channel, Message};
use crate::effective::{Effective, Level};
use crate::engine::{Engine, EngineOptions};
use crate::error::{SandboxError, SandboxErrorKind};
use crate::helper::landlock;
use crate::helper::order::{Event, Payload, Walls};
use crate::local::Local;
use crate::policy::{CellSpec, Mount};
use crate::python::python_mounts;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Longest time from an order to a running program.
const START_TIME_MAX: Duration = Duration::from_secs(30);

/// Where bubblewrap is installed.
const BUBBLEWRAPS: [&str; 4] =
    ["/usr/bin/bwrap", "/usr/local/bin/bwrap", "/bin/bwrap", "/run/current-system/sw/bin/bwrap"];

/// What a launcher may and must give.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LauncherOptions {
    /// What makes the walls.
    pub backend: BackendChoice,
    /// The best level to use, for tests and for hosts whose groups must be left alone.
    pub level_max: Level,
    /// The least level to accept; [`Level::L3`] is what `--strict` asks for.
    pub level_min: Level,
    /// Which container engine, for that backend.
    pub engine: EngineOptions,
}

impl Default for LauncherOptions {
    fn default() -> Self {
        Self {
            backend: BackendChoice::Auto,
            level_max: Level::L3,
            level_min: Level::L1,
            engine: EngineOptions::from_environment(),
        }
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
    /// Fails with [`SandboxErrorKind::Unavailable`] where no cell of at least `L1` can be had.
    pub fn new(helper: PathBuf) -> Result<Self, SandboxError> {
        Self::with_options(helper, &LauncherOptions::default())
    }

    /// As [`Launcher::new`], with the given walls and within the given levels.
    #[expect(clippy::needless_pass_by_value, reason = "one signature with `new`")]
    pub fn with_options(helper: PathBuf, options: &LauncherOptions) -> Result<Self, SandboxError> {
        let LauncherOptions { backend, level_max, level_min, .. } = *options;
        let local = |walls| Local::new(helper.clone(), walls, level_max);
        let launcher = match backend {
            BackendChoice::Auto => Self::best(&helper, level_max)?,
            BackendChoice::Native if level_max > Level::L1 => Self::probed(local(Walls::Namespaces)?)
                .or_else(|error| {
                    if level_min > Level::L1 {
                        Err(error)
                    } else {
                        Self::landlocked(&helper, level_max, error)
                    }
                })?,
            BackendChoice::Native => Self::landlocked(&helper, level_max, as_asked())?,
            BackendChoice::Bwrap => Self::probed(local(Walls::Bubblewrap { program: bubblewrap()? })?)?,
            BackendChoice::Off => return Self::probed(local(Walls::Nothing)?),
            BackendChoice::Engine => Self::probed(Engine::new(&helper, &options.engine)?)?,
        };
        launcher.at_least(level_min)
    }

    /// The best that this host gives: our own walls, else bubblewrap's (which may be allowed more), else Landlock alone.
    fn best(helper: &Path, level_max: Level) -> Result<Self, SandboxError> {
        if level_max <= Level::L1 {
            return Self::landlocked(helper, level_max, as_asked());
        }
        let local = |walls| Local::new(helper.to_owned(), walls, level_max);
        match Self::probed(local(Walls::Namespaces)?) {
            Err(error) if error.is_unavailable() => {
                let wrapped = bubblewrap().and_then(|program| local(Walls::Bubblewrap { program }));
                wrapped.and_then(Self::probed).or_else(|_| Self::landlocked(helper, level_max, error))
            }
            other => other,
        }
    }

    /// Level L1, where the kernel has enough of Landlock; `error` says why there is nothing better.
    fn landlocked(helper: &Path, level_max: Level, error: SandboxError) -> Result<Self, SandboxError> {
        if landlock::version() < landlock::FIRST_BARRIER {
            return Err(error);
        }
        let mut launcher = Self::probed(Local::new(helper.to_owned(), Walls::Landlock, level_max)?)?;
        launcher.effective.missing.insert(0, format!("better walls: {}", error.kind()));
        Ok(launcher)
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

    /// The interpreter that cells run in place of the host's `python`, and the mounts that bring it.
    ///
    /// Normally that is the very same with [`python_mounts`]; an image with a Python of its own needs no mounts.
    pub fn python(&self, python: &Path) -> Result<(PathBuf, Vec<Mount>), SandboxError> {
        match self.backend.python() {
            Some(own) => Ok((own.to_owned(), Vec::new())),
            None => Ok((python.to_owned(), python_mounts(python)?)),
        }
    }

    pub(crate) fn backend(&self) -> &dyn Backend {
        self.backend.as_ref()
    }
}

/// Why there is nothing better where nothing better was wanted.
fn as_asked() -> SandboxError {
    let kind = SandboxErrorKind::Unavailable {
        missing: "anything above level L1: not to be used, as asked".into(),
        hint: "allow a higher level".into(),
    };
    SandboxError::new("choosing what makes the walls", kind)
}

/// Finds the program where systems keep it; a search path is the user's, and could lead anywhere.
fn bubblewrap() -> Result<PathBuf, SandboxError> {
    let found = BUBBLEWRAPS.iter().map(PathBuf::from).find(|path| path.is_file());
    found.ok_or_else(|| {
        let kind = SandboxErrorKind::Unavailable {
            missing: format!("bubblewrap ({})", BUBBLEWRAPS.join(", ")),
            hint: "install it: apt install bubblewrap, dnf install bubblewrap; or use `--sandbox native`"
                .into(),
        };
        SandboxError::new("looking for bubblewrap", kind)
    })
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
