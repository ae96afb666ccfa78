//! Cells as child processes of this program: spawn the helper, put it into its group, send the order, hear that it runs.
//!
//! The walls differ (see [`Walls`]), the way there does not.

use crate::backend::Backend;
use crate::cell::{Cell, Parts};
use crate::cgroup::{Group, Hierarchy, Owner};
use crate::channel::Channel;
use crate::doctor;
use crate::effective::{Effective, Level};
use crate::error::{Doing as _, SandboxError, SandboxErrorKind};
use crate::helper::order::{Order, Payload, Tree, TreeKind, Walls};
use crate::launcher::await_ready;
use crate::policy::{CellSpec, Policy};
use crate::process::Process;
use crate::slot::{Slot, Slots};
use crate::spawner::Spawner;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Device nodes of a cell: none of them reaches hardware.
const DEVICES: [&str; 5] = ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"];

/// What it takes to start a cell here.
#[derive(Debug)]
pub(crate) struct Local {
    helper: PathBuf,
    walls: Walls,
    groups: Result<Hierarchy, String>,
    owner: Owner,
    slots: Option<Slots>,
    spawner: Arc<Spawner>,
    started: AtomicU64,
}

impl Backend for Local {
    fn probe(&mut self) -> Result<Effective, SandboxError> {
        let mut missing = Vec::new();
        let findings = match doctor::attack(self, &self.helper) {
            Err(error) if self.groups.is_ok() => {
                // Perhaps it is the groups that fail.
                self.groups = Err(format!("{error}: {}", error.kind()));
                doctor::attack(self, &self.helper)
            }
            other => other,
        }
        .map_err(|error| doctor::unavailable(&error))?;
        let mut enforced = Vec::new();
        let level = match &self.groups {
            Ok(groups) => {
                enforced.extend(["memory group", "process group"].map(String::from));
                if groups.limits_cpu() {
                    enforced.push("processor group".into());
                } else {
                    missing.push("processor group: not delegated; cells share the processors freely".into());
                }
                Level::L3
            }
            Err(why) => {
                enforced.extend(["memory per process and watch", "processes per user"].map(String::from));
                missing.push(format!("control groups: {why}"));
                Level::L2
            }
        };
        findings.judge("native", level, enforced, missing)
    }

    fn start(&self, spec: CellSpec, payload: Payload) -> Result<Cell, SandboxError> {
        let name = spec.name.clone();
        let doing = || format!("starting cell `{name}`");
        let begun = Instant::now();
        let slot = self.slot().doing(doing)?;
        let trees = trees_of(&spec.policy)?;
        let opened =
            if slot.is_some() { open_trees(&trees, slot.as_ref().map(|slot| slot.uid))? } else { Vec::new() };
        let group = self.group(&spec).doing(doing)?;
        let (supervisor, helper_end) = Channel::pair()?;
        let (control, program_end) = Channel::pair()?;
        let (log, log_end) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).doing(doing)?;
        let user = slot.as_ref().map(|slot| slot.uid);
        let child = self.spawner.spawn(self.command(helper_end, log_end).doing(doing)?).doing(doing)?;
        let process = Process::adopt(&child, group, slot, Arc::clone(&self.spawner))?;
        let order = Order {
            name: spec.name.clone(),
            walls: self.walls,
            parent: std::process::id() as i32,
            user,
            trees_attached: !opened.is_empty(),
            trees,
            env: spec.policy.environment(),
            argv: spec.argv,
            cwd: spec.cwd,
            limits: spec.policy.limits,
            watch_memory: self.groups.is_err(),
            payload,
        };
        let bytes = serde_json::to_vec(&order).map_err(io::Error::from).doing(doing)?;
        let program_end = program_end.into_socket();
        let descriptors: Vec<BorrowedFd<'_>> =
            std::iter::once(program_end.as_fd()).chain(opened.iter().map(|tree| tree.as_fd())).collect();
        let sent = supervisor.send(&bytes, &descriptors);
        // The cell's ends must be closed here, or its end would never be seen.
        drop((program_end, opened));
        let ready = match sent.and_then(|()| await_ready(&supervisor, &name)) {
            Err(error) if matches!(error.kind(), SandboxErrorKind::Closed) => {
                return Err(self.not_a_helper(&name, &log));
            }
            other => other?,
        };
        process.learn_init(ready.init);
        Cell::watch(Parts {
            name,
            limits: order.limits,
            begun,
            supervisor,
            control,
            log,
            out: ready.out,
            landlock: ready.landlock,
            hold: Box::new(process),
        })
    }
}

impl Local {
    /// Looks at the host. Groups are left alone below level L3.
    pub(crate) fn new(helper: PathBuf, walls: Walls, level_max: Level) -> Result<Self, SandboxError> {
        let doing = || format!("looking at the helper {}", helper.display());
        let found = helper.metadata().doing(doing)?;
        if !helper.is_absolute() || !found.is_file() {
            let why = "the helper must be the absolute path of an executable file".into();
            return Err(SandboxError::new(doing(), SandboxErrorKind::Policy(why)));
        }
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let mut groups = Hierarchy::find(&read("/proc/self/mountinfo"), &read("/proc/self/cgroup"));
        let owner = Owner::current();
        if let Ok(groups) = &groups {
            groups.sweep(&owner);
        }
        if level_max < Level::L3 {
            groups = Err("not to be used, as asked".into());
        }
        let root = rustix::process::geteuid().is_root();
        let slots = root.then(|| Slots::new(std::process::id(), &read("/proc/self/uid_map")));
        Ok(Self { helper, walls, groups, owner, slots, spawner: Spawner::new()?, started: AtomicU64::new(0) })
    }

    /// What to say when the helper ended without a word: what it printed usually explains it.
    fn not_a_helper(&self, name: &str, log: &OwnedFd) -> SandboxError {
        let mut said = [0_u8; 500];
        let heard =
            rustix::io::ioctl_fionbio(log, true).and_then(|()| rustix::io::read(log, &mut said)).unwrap_or(0);
        let message = format!(
            "{} ended before it became a cell; is it a program that calls cell_main? It said: {:?}",
            self.helper.display(),
            String::from_utf8_lossy(&said[..heard]).trim()
        );
        SandboxError::new(
            format!("starting cell `{name}`"),
            SandboxErrorKind::Start { step: "run the helper".into(), message },
        )
    }

    fn slot(&self) -> Result<Option<Slot>, SandboxErrorKind> {
        match &self.slots {
            None => Ok(None),
            Some(slots) => slots
                .take()
                .map(Some)
                .ok_or_else(|| SandboxErrorKind::Policy("too many cells live at once".into())),
        }
    }

    fn group(&self, spec: &CellSpec) -> io::Result<Option<Group>> {
        let Ok(groups) = &self.groups else { return Ok(None) };
        let number = self.started.fetch_add(1, Ordering::Relaxed);
        Group::cell(groups, self.owner.group(number, &spec.name), (&spec.policy.limits).into()).map(Some)
    }

    fn command(&self, helper_end: Channel, log_end: OwnedFd) -> io::Result<Command> {
        let mut command = Command::new(&self.helper);
        // The name is all that the cell can see of its command line: no host path.
        command.arg0("ansatz-cell").arg(crate::CELL_SUBCOMMAND).env_clear().current_dir("/");
        command.stdin(Stdio::from(helper_end.into_socket())).stdout(log_end.try_clone()?).stderr(log_end);
        Ok(command)
    }
}

/// What a cell shows, parents before children, with symbolic links resolved.
fn trees_of(policy: &Policy) -> Result<Vec<Tree>, SandboxError> {
    let device =
        |path: &&str| Tree { source: (*path).into(), target: (*path).into(), kind: TreeKind::Device };
    let mut trees: Vec<Tree> = DEVICES.iter().map(device).collect();
    for mount in &policy.mounts {
        let source = mount.source.canonicalize().doing(|| format!("mounting {}", mount.source.display()))?;
        let kind = if source.is_dir() { TreeKind::Folder } else { TreeKind::File };
        trees.push(Tree { source, target: mount.target.clone(), kind });
    }
    trees.sort_by(|left, right| left.target.cmp(&right.target));
    Ok(trees)
}

/// Opens the trees of a cell while this process is still root, because the cell's user may not reach them by path.
fn open_trees(trees: &[Tree], uid: Option<u32>) -> Result<Vec<OwnedFd>, SandboxError> {
    trees
        .iter()
        .map(|tree| {
            let doing = || format!("mounting {}", tree.source.display());
            if uid.is_some() && tree.kind != TreeKind::Device {
                readable_by_others(&tree.source).doing(doing)?;
            }
            crate::helper::open_restricted(&tree.source, tree.kind).doing(doing)
        })
        .collect()
}

/// A cell of root runs as a user of its own, which has the rights of "others" on host files.
fn readable_by_others(path: &Path) -> Result<(), SandboxErrorKind> {
    let stat = rustix::fs::stat(path)?;
    let needed = if path.is_dir() { 0o005 } else { 0o004 };
    if stat.st_mode & needed == needed {
        Ok(())
    } else {
        let why = format!(
            "the cell's user may not read it (mode {:o}); run: chmod -R o+rX {}",
            stat.st_mode & 0o7777,
            path.display()
        );
        Err(SandboxErrorKind::Policy(why))
    }
}
