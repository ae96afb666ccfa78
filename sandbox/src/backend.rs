//! What makes the walls of a cell, and what every kind of wall must hand over.
//!
//! All backends end the same way: *our* supervisor ([`crate::helper`]) is the first process inside. It receives an
//! [`Order`](crate::helper::order::Order) over a private channel, locks itself and the program, answers `Ready`, reaps,
//! watches and obeys. So a [`Cell`] is one type with one behaviour, and a backend only decides who builds what surrounds it.

use crate::cell::Cell;
use crate::cgroup::{Counters, Group, GroupLimits};
use crate::effective::Effective;
use crate::error::SandboxError;
use crate::helper::order::Payload;
use crate::policy::CellSpec;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::io;
use std::os::fd::BorrowedFd;
use std::path::Path;

/// Which backend is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BackendChoice {
    /// The best level that this host gives; of equal levels our own walls.
    #[default]
    Auto,
    /// Walls made by this program.
    Native,
    /// Walls made by bubblewrap.
    Bwrap,
    /// A container of Docker or Podman.
    Engine,
    /// No walls at all. Only for code that the user trusts.
    Off,
}

impl BackendChoice {
    /// The name on a command line and in a result.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Native => "native",
            Self::Bwrap => "bwrap",
            Self::Engine => "engine",
            Self::Off => "off",
        }
    }
}

impl fmt::Display for BackendChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Something that can start cells.
///
/// # How to write another one
/// 1. Make two channel pairs ([`Channel::pair`](crate::channel::Channel::pair)): the supervisor's and the program's; and a
///    pipe for the log. A backend whose walls do not pass descriptors on (a container engine) listens on a
///    `SOCK_SEQPACKET` socket in a private folder, mounts that folder alone, and has the supervisor connect from inside:
///    the accepted socket is the supervisor's channel, and every other descriptor travels over it.
/// 2. Make our own executable with [`CELL_SUBCOMMAND`](crate::CELL_SUBCOMMAND) the first process inside, its standard
///    input the supervisor's channel and its outputs the log.
/// 3. Send the [`Order`](crate::helper::order::Order), the program's end of its channel first among the descriptors, then
///    call [`await_ready`](crate::launcher::await_ready).
/// 4. Wrap whatever holds the processes in a [`Hold`] and call [`Cell::watch`] with the
///    [`Parts`](crate::cell::Parts).
pub(crate) trait Backend: fmt::Debug + Send + Sync {
    /// What this host gives with these walls, proved by attacking a canary cell ([`crate::doctor::attack`]). Called once,
    /// before anything else; may settle on a lower level.
    fn probe(&mut self) -> Result<Effective, SandboxError>;

    /// Starts a cell that runs `payload`; `spec` has been checked. Returns when the program runs.
    fn start(&self, spec: CellSpec, payload: Payload) -> Result<Cell, SandboxError>;

    /// The Python that cells have without anybody mounting one.
    fn python(&self) -> Option<&Path> {
        None
    }
}

/// The processes of a cell as the host holds them.
pub(crate) trait Hold: fmt::Debug + Send + Sync {
    /// Becomes readable when every process of the cell is gone, and stays so.
    fn over(&self) -> BorrowedFd<'_>;

    /// Kills everything in the cell and returns at once. Calling it again, or after the end, does nothing.
    fn kill(&self);

    /// The user id that the cell's processes have on the host; a process of another user is never taken for a trial.
    fn uid(&self) -> u32;

    /// What the kernel has counted so far; zeroes where nobody counts.
    fn counters(&self) -> Counters {
        Counters::default()
    }

    /// Whether the cell has a control group that counts its memory, and can make one for each trial. Where it has none,
    /// the supervisor watches: the order must have said so.
    fn has_group(&self) -> bool {
        false
    }

    /// Makes the group of a trial.
    fn leaf(&self, name: &str, limits: GroupLimits) -> io::Result<Option<Group>> {
        let _ = (name, limits);
        Ok(None)
    }

    /// Clears away what is left when everything has ended or been given up. Called once.
    fn clear(&self) -> Cleared;
}

/// What came of clearing a cell away.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Cleared {
    /// Whether nothing of it is left.
    pub(crate) clean: bool,
    /// Processor seconds, where no group has counted them.
    pub(crate) cpu_s: f64,
}
