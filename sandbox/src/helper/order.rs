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
    /// Where the writable folders lie.
    pub(crate) places: Places,
    /// What the supervisor has to watch.
    pub(crate) watched: Watched,
    /// Whether GPUs are among the trees: their driver needs a little more than other programs.
    #[serde(default)]
    pub(crate) gpu: bool,
    /// What runs.
    pub(crate) payload: Payload,
}

/// Who makes the walls of a cell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Walls {
    /// The helper itself, with name spaces.
    Namespaces,
    /// Bubblewrap, which the helper becomes; it starts the helper once more inside. A second order with `Given` follows.
    Bubblewrap {
        /// The program.
        program: PathBuf,
    },
    /// Somebody else has made them: this process is the first one inside and has nothing to furnish.
    Given,
    /// A container engine has made them. As `Given`, but not as a child of ours: beside the control channel comes the log.
    Container {
        /// Whether nobody else's processes count as this user's, so that the kernel can count the cell's.
        alone: bool,
    },
    /// None that could be seen: Landlock, system call list and resource limits around the program alone.
    Landlock,
    /// None at all.
    Nothing,
}

impl Walls {
    /// Whether the cell shares the host's view of files and processes, so that paths must be translated and the supervisor
    /// must clear away by itself.
    pub(crate) fn are_bare(&self) -> bool {
        matches!(self, Self::Landlock | Self::Nothing)
    }
}

/// Where the writable folders of a cell lie, as its processes see them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Places {
    /// The folder that is collected from.
    pub(crate) out: PathBuf,
    /// Scratch.
    pub(crate) tmp: PathBuf,
}

impl Default for Places {
    fn default() -> Self {
        Self { out: "/out".into(), tmp: "/tmp".into() }
    }
}

/// What the supervisor has to watch because the kernel does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Watched {
    /// Memory.
    pub(crate) memory: WatchedMemory,
    /// Files and folders in the writable folders: the file system has a size of its own, but counts no names.
    pub(crate) names: bool,
    /// Size as well: the writable folders are ordinary folders of the host.
    pub(crate) bytes: bool,
}

/// Whose memory the supervisor has to watch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) enum WatchedMemory {
    /// Nobody's: control groups count it.
    #[default]
    Nobodys,
    /// That of trials: a control group counts the cell as a whole, and is not ours to divide.
    Trials,
    /// Everybody's: there is no control group.
    Everybodys,
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
    /// Kill everything and end.
    End,
    /// End; what was to be counted has been.
    Leave,
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
    /// The writable folders held more than allowed; the cell has been killed.
    Full,
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
