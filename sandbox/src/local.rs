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
use crate::gpu::GpuBinding;
use crate::helper::order::{Order, Payload, Places, Tree, TreeKind, Walls, Watched, WatchedMemory};
use crate::launcher::await_ready;
use crate::paths::Paths;
use crate::policy::{CellSpec, Policy};
use crate::private::Private;
use crate::process::{Bare, Process};
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

/// The step that stands for all that bubblewrap does.
pub(crate) const BUBBLEWRAP: &str = "bubblewrap";

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
        let attacked = match doctor::attack(self, &self.helper) {
            Err(error) if self.groups.is_ok() => {
                // Perhaps it is the groups that fail.
                self.groups = Err(format!("{error}: {}", error.kind()));
                doctor::attack(self, &self.helper)
            }
            other => other,
        };
        let findings = attacked.map_err(|error| doctor::unavailable(&error))?;
        let (known, missing) = self.known();
        let level = match (&self.walls, &self.groups) {
            (Walls::Nothing, _) => Level::L0,
            (Walls::Landlock, _) => Level::L1,
            (_, Ok(_)) => Level::L3,
            (_, Err(_)) => Level::L2,
        };
        findings.judge(self.name(), level, known, missing)
    }

    fn start(&self, spec: CellSpec, payload: Payload) -> Result<Cell, SandboxError> {
        let begun = Instant::now();
        let name = spec.name.clone();
        let doing = || format!("starting cell `{name}`");
        let number = self.started.fetch_add(1, Ordering::Relaxed);
        let slot = self.slot().doing(doing)?;
        let user = slot.as_ref().map(|slot| slot.uid);
        let folder = self.folder(number, &name, user).doing(doing)?;
        let group = self.group(number, &spec).doing(doing)?;
        let gpus = spec.policy.gpus.clone();
        let (order, paths) = self.order(spec, payload, user, folder.as_ref())?;
        let opened = if order.trees_attached { open_trees(&order.trees)? } else { Vec::new() };
        let (supervisor, helper_end) = Channel::pair()?;
        let (control, program_end) = Channel::pair()?;
        let (log, log_end) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).doing(doing)?;
        let child = self.spawner.spawn(self.command(helper_end, log_end).doing(doing)?).doing(doing)?;
        let process = Process::adopt(&child, group, slot, Arc::clone(&self.spawner))?;
        if let Some(folder) = folder {
            process.learn_bare(Bare { supervisor: supervisor.another()?, folder });
        }
        let sent = send_order(&supervisor, &order, program_end, &opened).doing(doing);
        drop(opened);
        let ready = match sent.and_then(|()| await_ready(&supervisor, &name)) {
            Err(error) if matches!(error.kind(), SandboxErrorKind::Closed) => {
                return Err(self.without_a_word(&name, &log));
            }
            other => other?,
        };
        gpus.iter().try_for_each(|gpu| gpu.attach(ready.init.as_fd())).doing(doing)?;
        process.learn_init(ready.init);
        process.learn_gpus(gpus);
        Cell::watch(Parts {
            name,
            limits: order.limits,
            begun,
            supervisor,
            control,
            log,
            out: ready.out,
            landlock: ready.landlock,
            paths,
            hold: Box::new(process),
        })
    }
}

/// Sends the order, or the two of them where the helper is started twice. The program's end of its channel closes here, or the
/// cell's end would never be seen.
fn send_order(
    supervisor: &Channel,
    order: &Order,
    program_end: Channel,
    opened: &[OwnedFd],
) -> Result<(), SandboxErrorKind> {
    let send = |order: &Order, descriptors: &[BorrowedFd<'_>]| {
        let bytes = serde_json::to_vec(order).map_err(io::Error::from)?;
        supervisor.send(&bytes, descriptors).map_err(SandboxError::into_kind)
    };
    let program_end = program_end.into_socket();
    let mut descriptors = vec![program_end.as_fd()];
    descriptors.extend(opened.iter().map(|tree| tree.as_fd()));
    send(order, &descriptors)?;
    if matches!(order.walls, Walls::Bubblewrap { .. }) {
        // The mounts are bubblewrap's work, and host paths are none of the inner helper's business.
        let inner = Order { walls: Walls::Given, user: None, trees: Vec::new(), ..order.clone() };
        send(&inner, &[program_end.as_fd()])?;
    }
    Ok(())
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
        if walls.are_bare() {
            Private::sweep(&owner);
        }
        if level_max < Level::L3 {
            groups = Err("not to be used, as asked".into());
        }
        let root = rustix::process::geteuid().is_root();
        // Without walls nobody becomes another user, so there is none to hand out.
        let slots = (root && walls != Walls::Nothing)
            .then(|| Slots::new(std::process::id(), &read("/proc/self/uid_map")));
        Ok(Self { helper, walls, groups, owner, slots, spawner: Spawner::new()?, started: AtomicU64::new(0) })
    }

    /// What to say when the helper ended without a word: what it printed usually explains it.
    fn without_a_word(&self, name: &str, log: &OwnedFd) -> SandboxError {
        let mut said = [0_u8; 500];
        let heard =
            rustix::io::ioctl_fionbio(log, true).and_then(|()| rustix::io::read(log, &mut said)).unwrap_or(0);
        let said = String::from_utf8_lossy(&said[..heard]).trim().to_owned();
        let (step, message) = if matches!(self.walls, Walls::Bubblewrap { .. }) {
            (BUBBLEWRAP, said)
        } else {
            let helper = self.helper.display();
            let question = "is it a program that calls cell_main?";
            (
                "run the helper",
                format!("{helper} ended before it became a cell; {question} It said: {said:?}"),
            )
        };
        let kind = SandboxErrorKind::Start { step: step.into(), message };
        SandboxError::new(format!("starting cell `{name}`"), kind)
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

    fn group(&self, number: u64, spec: &CellSpec) -> io::Result<Option<Group>> {
        let Ok(groups) = &self.groups else { return Ok(None) };
        Group::cell(groups, self.owner.group(number, &spec.name), (&spec.policy.limits).into()).map(Some)
    }

    /// The private folder of a cell that has no root of its own.
    fn folder(&self, number: u64, name: &str, user: Option<u32>) -> io::Result<Option<Private>> {
        let bare = self.walls.are_bare();
        bare.then(|| Private::make(&self.owner.group(number, name), user)).transpose()
    }

    /// What the helper is told, and how the cell's paths are to be read.
    fn order(
        &self,
        spec: CellSpec,
        payload: Payload,
        user: Option<u32>,
        folder: Option<&Private>,
    ) -> Result<(Order, Paths), SandboxError> {
        let trees = trees_of(&spec.policy)?;
        let gpu = !spec.policy.gpus.is_empty();
        if gpu && self.walls.are_bare() {
            let why = "a GPU can be kept to its cell only where a cell has a device folder of its own: level L2 or better";
            return Err(SandboxError::new(
                format!("starting cell `{}`", spec.name),
                SandboxErrorKind::Policy(why.into()),
            ));
        }
        let mut env = spec.policy.environment();
        let (mut argv, mut cwd) = (spec.argv, spec.cwd);
        let mut paths = Paths::default();
        let mut places = Places::default();
        if let Some(folder) = folder {
            if self.slots.is_some() && self.walls == Walls::Landlock {
                trees.iter().try_for_each(reachable_by_others)?;
            }
            places = Places { out: folder.out(), tmp: folder.tmp() };
            paths = Paths::bare(&trees, &places);
            for text in env.values_mut().chain(&mut argv) {
                *text = paths.text(text);
            }
            cwd = paths.inside(&cwd);
            env.insert(READABLE.into(), readable(&trees));
        }
        let watched = Watched {
            memory: if self.groups.is_err() { WatchedMemory::Everybodys } else { WatchedMemory::Nobodys },
            names: !matches!(self.walls, Walls::Namespaces),
            bytes: self.walls.are_bare(),
        };
        let order = Order {
            name: spec.name,
            walls: self.walls.clone(),
            parent: std::process::id() as i32,
            user: user.filter(|_| self.walls != Walls::Nothing),
            trees_attached: user.is_some() && !self.walls.are_bare(),
            trees,
            env,
            argv,
            cwd,
            limits: spec.policy.limits,
            places,
            watched,
            gpu,
            payload,
        };
        Ok((order, paths))
    }

    fn name(&self) -> &'static str {
        match self.walls {
            Walls::Namespaces | Walls::Given | Walls::Landlock => "native",
            Walls::Bubblewrap { .. } => "bwrap",
            Walls::Container { .. } => "engine",
            Walls::Nothing => "off",
        }
    }

    /// What is known to be enforced and to be missing without trying it.
    fn known(&self) -> (Vec<String>, Vec<String>) {
        let (mut enforced, mut missing): (Vec<&str>, Vec<String>) = (Vec::new(), Vec::new());
        match &self.groups {
            Ok(groups) => {
                enforced.extend(["memory group", "process group"]);
                if groups.limits_cpu() {
                    enforced.push("processor group");
                } else {
                    missing.push("processor group: not delegated; cells share the processors freely".into());
                }
            }
            Err(why) => {
                enforced.extend(["memory per process and watch", "processes per user"]);
                missing.push(format!("control groups: {why}"));
            }
        }
        match &self.walls {
            Walls::Landlock => {
                enforced.push("disk watch");
                missing.push(
                    "a root of its own: programs can tell which files and processes the host has, not what is in them"
                        .into(),
                );
            }
            Walls::Nothing => {
                enforced.push("disk watch");
                missing.push("every wall: code runs with your own rights, as you asked".into());
            }
            _ => {}
        }
        if self.walls == Walls::Landlock && !crate::helper::landlock::keeps_signals() {
            missing.push("landlock for signals: programs may not signal their own children either".into());
        }
        (enforced.into_iter().map(String::from).collect(), missing)
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
    trees.extend(policy.gpus.iter().flat_map(gpu_trees));
    trees.sort_by(|left, right| left.target.cmp(&right.target));
    // The control nodes and the libraries are the same for every GPU.
    trees.dedup_by(|later, earlier| later.target == earlier.target);
    Ok(trees)
}

/// Exactly the nodes of a lease, the driver's libraries, and the few facts of the kernel that they ask for.
fn gpu_trees(gpu: &GpuBinding) -> Vec<Tree> {
    let nodes = gpu.nodes().iter().map(|node| Tree {
        source: node.source.clone(),
        target: node.target.clone(),
        kind: TreeKind::Device,
    });
    let libraries = gpu.libraries().map(|(source, target)| Tree { source, target, kind: TreeKind::File });
    let facts = gpu.facts().iter().map(|(source, target)| Tree {
        source: source.clone(),
        target: target.clone(),
        kind: TreeKind::Folder,
    });
    nodes.chain(libraries).chain(facts).collect()
}

/// The variable that tells a program without a root of its own what it may read, so that it can lock itself up further.
const READABLE: &str = "CELL_READABLE";

fn readable(trees: &[Tree]) -> String {
    let shown = trees.iter().filter(|tree| tree.kind != TreeKind::Device);
    let paths: Vec<String> = shown.map(|tree| tree.source.to_string_lossy().into_owned()).collect();
    paths.join(":")
}

/// Opens the trees of a cell while this process is still root, because the cell's user may not reach them by path.
fn open_trees(trees: &[Tree]) -> Result<Vec<OwnedFd>, SandboxError> {
    trees
        .iter()
        .map(|tree| {
            let doing = || format!("mounting {}", tree.source.display());
            if tree.kind != TreeKind::Device {
                readable_by_others(&tree.source).doing(doing)?;
            }
            crate::helper::open_restricted(&tree.source, tree.kind).doing(doing)
        })
        .collect()
}

/// Without a root of its own a cell reaches its files by the host's paths, and its user is a stranger there.
fn reachable_by_others(tree: &Tree) -> Result<(), SandboxError> {
    let doing = || format!("showing {}", tree.source.display());
    if tree.kind != TreeKind::Device {
        readable_by_others(&tree.source).doing(doing)?;
    }
    for folder in tree.source.ancestors().skip(1) {
        let mode = rustix::fs::stat(folder).doing(doing)?.st_mode;
        if mode & 0o001 == 0 {
            let why = format!(
                "the cell's user may not pass through {} (mode {:o}); move what is needed elsewhere (ANSATZ_HOME), or run: chmod o+x {0}",
                folder.display(),
                mode & 0o7777
            );
            return Err(SandboxError::new(doing(), SandboxErrorKind::Policy(why)));
        }
    }
    Ok(())
}

/// A cell of root runs as a user of its own, which has the rights of "others" on host files.
pub(crate) fn readable_by_others(path: &Path) -> Result<(), SandboxErrorKind> {
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
