//! Starting cells: one dedicated thread spawns all helpers, because the signal that kills a helper with its parent fires when
//! the *thread* that made it ends.

use crate::cell::{Birth, Cell, Parts, Ready};
use crate::cgroup::{Group, Hierarchy, Owner};
use crate::channel::{Channel, Message};
use crate::doctor::canary;
use crate::effective::{Effective, Level};
use crate::error::{Doing as _, SandboxError, SandboxErrorKind};
use crate::helper::order::{Event, Order, Payload, Tree, TreeKind};
use crate::policy::CellSpec;
use crate::slot::{Slot, Slots};
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

/// Longest time from spawning a helper to a running program.
const START_TIME_MAX: Duration = Duration::from_secs(30);

/// Device nodes of a cell: none of them reaches hardware.
const DEVICES: [&str; 5] = ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"];

/// What a launcher may and must give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LauncherOptions {
    /// The best level to use, for tests and for hosts whose groups must be left alone.
    pub level_max: Level,
    /// The least level to accept; [`Level::L3`] is what `--strict` asks for.
    pub level_min: Level,
}

impl Default for LauncherOptions {
    fn default() -> Self {
        Self { level_max: Level::L3, level_min: Level::L2 }
    }
}

/// Starts cells. Cells that it has started keep its thread alive; dropping both ends everything.
#[derive(Debug)]
pub struct Launcher {
    host: Host,
    effective: Effective,
}

impl Launcher {
    /// Prepares to start cells by running `helper __cell`, and finds out what this host can enforce by starting a canary.
    ///
    /// `helper` is an executable that calls [`cell_main`](crate::cell_main) for that argument: normally this very program.
    /// Fails with [`SandboxErrorKind::Unavailable`] where no cell of at least `L2` can be had.
    pub fn new(helper: PathBuf) -> Result<Self, SandboxError> {
        Self::with_options(helper, LauncherOptions::default())
    }

    /// As [`Launcher::new`], within the given levels.
    pub fn with_options(helper: PathBuf, options: LauncherOptions) -> Result<Self, SandboxError> {
        let mut host = Host::new(helper)?;
        if options.level_max < Level::L3 {
            host.groups = Err("not to be used, as asked".into());
        }
        let effective = canary(&mut host)?;
        if effective.level < options.level_min {
            let missing = format!(
                "level {} (it gives {}: {})",
                options.level_min,
                effective.level,
                effective.missing.join("; ")
            );
            let hint =
                "run as root, or have control groups delegated to this user, or accept a lower level".into();
            let kind = SandboxErrorKind::Unavailable { missing, hint };
            return Err(SandboxError::new("preparing to start cells", kind));
        }
        Ok(Self { host, effective })
    }

    /// What this host enforces.
    pub fn effective(&self) -> &Effective {
        &self.effective
    }

    /// Starts a cell and returns when its program runs.
    pub fn start(&self, spec: CellSpec) -> Result<Cell, SandboxError> {
        spec.check()?;
        self.host.start(spec, Payload::Program)
    }

    pub(crate) fn host(&self) -> &Host {
        &self.host
    }
}

/// What it takes to start a cell here.
#[derive(Debug)]
pub(crate) struct Host {
    helper: PathBuf,
    pub(crate) groups: Result<Hierarchy, String>,
    owner: Owner,
    slots: Option<Slots>,
    spawner: Arc<Spawner>,
    started: AtomicU64,
}

impl Host {
    fn new(helper: PathBuf) -> Result<Self, SandboxError> {
        let doing = || format!("looking at the helper {}", helper.display());
        let found = helper.metadata().doing(doing)?;
        if !helper.is_absolute() || !found.is_file() {
            let why = "the helper must be the absolute path of an executable file".into();
            return Err(SandboxError::new(doing(), SandboxErrorKind::Policy(why)));
        }
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let groups = Hierarchy::find(&read("/proc/self/mountinfo"), &read("/proc/self/cgroup"));
        let owner = Owner::current();
        if let Ok(groups) = &groups {
            groups.sweep(&owner);
        }
        let root = rustix::process::geteuid().is_root();
        let slots = root.then(|| Slots::new(std::process::id(), &read("/proc/self/uid_map")));
        Ok(Self { helper, groups, owner, slots, spawner: Spawner::new()?, started: AtomicU64::new(0) })
    }

    /// The executable that becomes a cell.
    pub(crate) fn helper(&self) -> &Path {
        &self.helper
    }

    /// Starts a cell that runs `payload`; `spec` has been checked.
    pub(crate) fn start(&self, spec: CellSpec, payload: Payload) -> Result<Cell, SandboxError> {
        let name = spec.name.clone();
        let doing = || format!("starting cell `{name}`");
        let begun = Instant::now();
        let slot = self.slot().doing(doing)?;
        let trees = trees_of(&spec)?;
        let opened =
            if slot.is_some() { open_trees(&trees, slot.as_ref().map(|slot| slot.uid))? } else { Vec::new() };
        let group = self.group(&spec).doing(doing)?;
        let (supervisor, helper_end) = Channel::pair()?;
        let (control, program_end) = Channel::pair()?;
        let (log, log_end) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).doing(doing)?;
        let child = self.spawner.spawn(self.command(helper_end, log_end).doing(doing)?).doing(doing)?;
        let birth = Birth::new(&child, group, slot)?;
        birth.join_group()?;
        let order = Order {
            name: spec.name.clone(),
            parent: std::process::id() as i32,
            user: birth.uid(),
            trees_attached: !opened.is_empty(),
            trees,
            env: spec.policy.environment(),
            argv: spec.argv,
            cwd: spec.cwd,
            limits: spec.policy.limits.clone(),
            watch_memory: !birth.has_group(),
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
        let spawner = Arc::clone(&self.spawner);
        birth.finish(Parts { name, limits: order.limits, begun, supervisor, control, log, ready, spawner })
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

/// Waits until the program of a new cell runs.
fn await_ready(supervisor: &Channel, name: &str) -> Result<Ready, SandboxError> {
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

/// What a cell shows, parents before children, with symbolic links resolved.
fn trees_of(spec: &CellSpec) -> Result<Vec<Tree>, SandboxError> {
    let device =
        |path: &&str| Tree { source: (*path).into(), target: (*path).into(), kind: TreeKind::Device };
    let mut trees: Vec<Tree> = DEVICES.iter().map(device).collect();
    for mount in &spec.policy.mounts {
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

type Job = (Command, Sender<io::Result<Child>>);

/// The thread that makes all helpers.
#[derive(Debug)]
pub(crate) struct Spawner {
    jobs: Sender<Job>,
}

impl Spawner {
    fn new() -> Result<Arc<Self>, SandboxError> {
        let (jobs, orders) = channel::<Job>();
        let work = move || {
            for (mut command, answer) in orders {
                // The command holds the cell's ends of the channels; they must close here, whatever came of it.
                let spawned = command.spawn();
                drop(command);
                if let Err(unheard) = answer.send(spawned) {
                    abandon(unheard.0);
                }
            }
        };
        let named = std::thread::Builder::new().name("cells".into()).spawn(work);
        named.doing(|| "starting the thread that makes cells".into())?;
        Ok(Arc::new(Self { jobs }))
    }

    fn spawn(&self, command: Command) -> io::Result<Child> {
        let (answer, answered) = channel();
        let gone = || io::Error::other("the thread that makes cells has ended");
        self.jobs.send((command, answer)).map_err(|_| gone())?;
        answered.recv().map_err(|_| gone())?
    }
}

/// Ends a helper that nobody waits for any more.
fn abandon(spawned: io::Result<Child>) {
    if let Ok(mut child) = spawned {
        let _ = child.kill();
        let _ = child.wait();
    }
}
