//! What host and helper say to each other over the private descriptor. Both ends are this crate, of the same build.

use crate::policy::Limits;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// User and group id inside every cell.
pub(crate) const INSIDE_ID: u32 = 1000;

/// The host's first message: everything that the helper has to know. The descriptors beside it are the program's control
/// channel and, when `trees_attached`, one detached mount per entry of `trees`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Order {
    /// Host name inside.
    pub(crate) name: String,
    /// Who makes the walls.
    pub(crate) walls: Walls,
    /// The process that must stay alive.
    pub(crate) parent: i32,
    /// The user and group id to become first, when the host is root.
    pub(crate) user: Option<u32>,
    /// What is shown read-only, parents before children.
    pub(crate) trees: Vec<Tree>,
    /// Whether the host has opened the trees already.
    pub(crate) trees_attached: bool,
    /// The program's environment.
    pub(crate) env: BTreeMap<String, String>,
    /// Program and arguments.
    pub(crate) argv: Vec<String>,
    /// Working folder.
    pub(crate) cwd: PathBuf,
    /// Limits.
    pub(crate) limits: Limits,
    /// Whether PID 1 has to watch memory because no control group does.
    pub(crate) watch_memory: bool,
    /// What runs.
    pub(crate) payload: Payload,
}

/// Who makes the walls of a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Walls {
    /// The helper itself, with name spaces.
    Namespaces,
}

/// What runs in a cell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Payload {
    /// The program named in `argv`.
    Program,
    /// Our own harmless attacks, without any program.
    Probe(crate::helper::probe::Probe),
}

/// One host folder, file or device node shown in the cell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tree {
    /// On the host, without symbolic links.
    pub(crate) source: PathBuf,
    /// In the cell.
    pub(crate) target: PathBuf,
    /// What it is.
    pub(crate) kind: TreeKind,
}

/// What a tree is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum TreeKind {
    /// A folder with everything below it.
    Folder,
    /// One file.
    File,
    /// One of the harmless device nodes.
    Device,
}

/// What the host asks PID 1 to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub(crate) enum Command {
    /// Hold a trial to its memory; `pid` as the cell sees it.
    Watch {
        /// The trial.
        trial: u32,
        /// Its first process.
        pid: i32,
        /// Its limit in bytes.
        memory_bytes: u64,
    },
    /// Kill a watched trial and whatever it has left behind.
    Sweep {
        /// The trial.
        trial: u32,
    },
    /// Ask the program to end (SIGTERM).
    Terminate,
}

/// What the cell tells the host.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(crate) enum Event {
    /// The program runs. Descriptors of `/out` and of PID 1 come along.
    Ready {
        /// What Landlock gives: `full`, `partial` or `none`.
        landlock: String,
    },
    /// A step of the start failed.
    Failed {
        /// The step.
        step: String,
        /// What the kernel said.
        message: String,
    },
    /// The program has ended; PID 1 is about to end everything else.
    Exited {
        /// Its exit code.
        code: Option<i32>,
        /// The signal that ended it.
        signal: Option<i32>,
    },
    /// A trial is being watched.
    Watched {
        /// The trial.
        trial: u32,
    },
    /// A trial or the whole cell was over its memory and has been killed.
    Over {
        /// The trial, or `None` for the cell.
        trial: Option<u32>,
        /// What it had in bytes.
        bytes: u64,
    },
    /// Nothing of a trial is left.
    Swept {
        /// The trial.
        trial: u32,
        /// Processes that had to be killed.
        killed: u32,
        /// Processor seconds that were seen.
        cpu_s: f64,
        /// Largest memory that was seen, in bytes.
        memory_peak_bytes: u64,
        /// Whether everything is gone.
        clean: bool,
    },
}
