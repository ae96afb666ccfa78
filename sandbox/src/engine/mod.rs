//! Cells as containers of Docker or Podman, asked for over the engine's own socket.
//!
//! The engine makes the walls; inside them the first process is our own supervisor, as in every other cell: it connects to
//! the one folder that host and container share, takes its order, locks the program down once more and looks after it. So
//! trials, limits, verdicts and results are the same code as with our own walls.
//!
//! Invariants: the engine is asked for nothing that is not in [`container::body`]; nothing is ever pulled; a container
//! belongs to one process, and those of the dead are removed.

mod client;
mod container;
mod door;
mod hold;
mod image;
mod loader;
mod people;
mod socket;
mod trouble;

pub(crate) use door::enter;

use crate::backend::Backend;
use crate::cell::{Cell, Parts};
use crate::cgroup::{GroupLimits, Owner, Tally};
use crate::channel::Channel;
use crate::doctor;
use crate::effective::{Effective, Level};
use crate::error::{Doing as _, SandboxError, SandboxErrorKind};
use crate::helper::order::{Order, Payload, Places, Walls, Watched, WatchedMemory};
use crate::launcher::await_ready;
use crate::paths::Paths;
use crate::policy::{CellSpec, Mount};
use client::{Client, Nature};
use container::{Plan, Profile, body, pids_limit};
use door::Lodge;
use hold::{Container, Leaving, Stored};
use loader::Boarding;
use people::{People, Person};
use socket::Surroundings;
use std::io;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Containers that this process has started, by all of its launchers: their names must differ.
static STARTED: AtomicU64 = AtomicU64::new(0);

/// Longest time from the start of a container to its first process's knock.
const ARRIVAL_TIME_MAX: Duration = Duration::from_secs(30);
/// Label of an image that says where its Python is.
const PYTHON_LABEL: &str = "org.ansatz.python";
/// File systems of the kernel, which hold nothing that a program needs.
const KERNEL_FILESYSTEMS: [&str; 16] = [
    "autofs",
    "binfmt_misc",
    "bpf",
    "cgroup",
    "cgroup2",
    "configfs",
    "debugfs",
    "devpts",
    "devtmpfs",
    "mqueue",
    "proc",
    "pstore",
    "rpc_pipefs",
    "securityfs",
    "sysfs",
    "tracefs",
];

/// Which engine and which image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EngineOptions {
    /// The engine's address, `unix:///path` or a path; `None` looks at `DOCKER_HOST`, `CONTAINER_HOST` and the usual places.
    pub address: Option<String>,
    /// An image that brings its own Python (see `sandbox/image/`); `None` uses this machine's, mounted read-only.
    pub image: Option<String>,
}

impl EngineOptions {
    /// What the environment says: `ANSATZ_ENGINE_IMAGE`, beside the engines' own variables.
    pub fn from_environment() -> Self {
        let image = std::env::var("ANSATZ_ENGINE_IMAGE").ok().filter(|name| !name.is_empty());
        Self { address: None, image }
    }
}

/// An engine that makes cells.
#[derive(Debug)]
pub(crate) struct Engine {
    client: Arc<Client>,
    nature: Nature,
    owner: Owner,
    people: People,
    lodge: Lodge,
    boarding: Boarding,
    profile: Profile,
    hosts: PathBuf,
    resolver: PathBuf,
    image: Image,
    /// Whether the last container's group held what the engine was asked for.
    groups_hold: AtomicBool,
    leaving: Arc<Leaving>,
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.leaving.wait();
    }
}

/// What containers start from.
#[derive(Debug)]
struct Image {
    digest: String,
    /// Where its own Python is, if it brings one.
    python: Option<PathBuf>,
}

impl Engine {
    /// Connects, clears away what the dead have left, and makes sure that there is an image. Starts no container yet.
    pub(crate) fn new(helper: &Path, options: &EngineOptions) -> Result<Self, SandboxError> {
        let sockets = socket::candidates(options.address.as_deref(), &Surroundings::of_process())?;
        let client = Arc::new(Client::connect(&sockets)?);
        let nature = client.nature()?;
        let owner = Owner::current();
        sweep(&client, &owner);
        let image = find_image(&client, options.image.as_deref())?;
        let lodge = Lodge::new(&std::env::temp_dir(), &owner)?;
        let profile = crate::linux::seccomp::profile().map_err(io::Error::other);
        let text = profile.doing(|| "writing down the system call list".into())?.to_string();
        let path = lodge.file("seccomp.json", &text)?.display().to_string();
        let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        let people = People::new(&nature, client.flavour(), (uid, gid))?;
        Ok(Self {
            people,
            boarding: Boarding::of(helper)?,
            profile: Profile { path, text },
            hosts: lodge.file("hosts", "127.0.0.1 localhost\n::1 localhost\n")?,
            resolver: lodge.file("resolv.conf", "")?,
            groups_hold: AtomicBool::new(false),
            leaving: Arc::default(),
            client,
            nature,
            owner,
            lodge,
            image,
        })
    }

    /// Everything that a container is shown: what the policy says, and what is ours.
    fn mounts(&self, spec: &CellSpec, door: &[Mount]) -> Result<Vec<Mount>, SandboxError> {
        let table = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let mut all = Vec::new();
        for mount in &spec.policy.mounts {
            let doing = || format!("mounting {}", mount.source.display());
            let source = mount.source.canonicalize().doing(doing)?;
            crate::local::readable_by_others(&source).doing(doing)?;
            all.push(Mount::new(&source, &mount.target));
            all.extend(mounts_below(&table, &source, &mount.target));
        }
        all.extend(self.boarding.mounts.iter().cloned());
        all.extend([Mount::new(&self.hosts, "/etc/hosts"), Mount::new(&self.resolver, "/etc/resolv.conf")]);
        all.extend(door.iter().cloned());
        all.sort_by(|left, right| left.target.cmp(&right.target));
        Ok(all)
    }
}

impl Backend for Engine {
    fn probe(&mut self) -> Result<Effective, SandboxError> {
        let canary = std::env::current_exe().unwrap_or_else(|_| "/etc/passwd".into());
        let findings = doctor::attack(self, &canary)?;
        let with = format!(
            "{} at {} with {}",
            self.client.name(),
            self.client.path().display(),
            self.nature.runtime
        );
        let mut enforced = vec![format!("containers of {with}")];
        let mut missing = Vec::new();
        let level = if self.groups_hold.load(Ordering::Relaxed) {
            enforced.extend(["memory group", "process group"].map(String::from));
            missing.push("group per trial: trials are watched by the cell's first process".to_owned());
            Level::L3
        } else {
            enforced.extend(["memory per process and watch", "processes per user"].map(String::from));
            missing.push(
                "control groups: the engine takes limits of memory and processes, and holds none".into(),
            );
            Level::L2
        };
        if self.nature.limits_cpu && level == Level::L3 {
            enforced.push("processor group".into());
        } else {
            missing.push("processor group: the engine cannot limit processor time".into());
        }
        findings.judge("engine", level, enforced, missing)
    }

    fn python(&self) -> Option<&Path> {
        self.image.python.as_deref()
    }

    fn start(&self, spec: CellSpec, payload: Payload) -> Result<Cell, SandboxError> {
        let name = spec.name.clone();
        let doing = || format!("starting cell `{name}`");
        let begun = Instant::now();
        if !spec.policy.gpus.is_empty() {
            let why = "GPUs are given to cells of this program's own making, not to containers; use --sandbox native";
            return Err(SandboxError::new(doing(), SandboxErrorKind::Policy(why.into())));
        }
        let Person { uid, gid, kept, alone, slot } = self.people.next().ok_or_else(|| {
            SandboxError::new(doing(), SandboxErrorKind::Policy("too many cells live at once".into()))
        })?;
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let mut door = self.lodge.door(number, uid, gid)?;
        let mounts = self.mounts(&spec, &door.mounts())?;
        let container = self.owner.group(number, &name);
        let plan = Plan {
            name: &name,
            owner: &container,
            limits: &spec.policy.limits,
            mounts: &mounts,
            user: (uid, gid),
            keeps_user: kept,
            is_alone: alone,
            image: &self.image.digest,
            entry: &self.boarding.entry,
            profile: &self.profile,
            flavour: self.client.flavour(),
            limits_cpu: self.nature.limits_cpu,
            open_files_max: open_files_max(),
        };
        let stored = Stored::new(Arc::clone(&self.client), self.client.create(&container, body(&plan))?);
        self.client.start(stored.id())?;
        let arrival = door.await_arrival(ARRIVAL_TIME_MAX, || self.client.ended(stored.id()))?;
        let supervisor = arrival.channel;
        let tally = Tally::of(arrival.pid);
        let asked = GroupLimits {
            memory_bytes: spec.policy.limits.memory_bytes,
            pids: pids_limit(&spec.policy.limits),
            cpus: None,
        };
        let groups_hold = tally.as_ref().is_some_and(|tally| tally.holds(asked));
        self.groups_hold.store(groups_hold, Ordering::Relaxed);
        let (control, program_end) = Channel::pair()?;
        let (log, log_end) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).doing(doing)?;
        let order = Order {
            name: name.clone(),
            walls: Walls::Container { alone },
            parent: 0,
            user: None,
            trees: Vec::new(),
            trees_attached: false,
            env: spec.policy.environment(),
            argv: spec.argv,
            cwd: spec.cwd,
            limits: spec.policy.limits,
            places: Places::default(),
            // The file system counts its own bytes, and the group, where it holds, the memory of the whole.
            watched: Watched {
                memory: if groups_hold { WatchedMemory::Trials } else { WatchedMemory::Everybodys },
                names: true,
                bytes: false,
            },
            gpu: false,
            payload,
        };
        let bytes = serde_json::to_vec(&order).map_err(io::Error::from).doing(doing)?;
        let program_end = program_end.into_socket();
        supervisor.send(&bytes, &[program_end.as_fd(), log_end.as_fd()])?;
        // The cell's ends must be closed here, or its end would never be seen.
        drop((program_end, log_end));
        let ready = await_ready(&supervisor, &name)?;
        let hold =
            Container::new(stored, ready.init, arrival.uid, tally, slot, door, Arc::clone(&self.leaving));
        Cell::watch(Parts {
            name,
            limits: order.limits,
            begun,
            supervisor,
            control,
            log,
            out: ready.out,
            landlock: ready.landlock,
            paths: Paths::default(),
            hold: Box::new(hold),
        })
    }
}

/// Removes containers whose process is gone. What cannot be removed now is met again by the next launcher.
fn sweep(client: &Client, owner: &Owner) {
    for (id, mark) in client.owned().unwrap_or_default() {
        if Owner::is_gone(&mark, owner) {
            let _ = client.remove(&id);
        }
    }
}

/// The image that was asked for, or the skeleton, made where it is missing.
fn find_image(client: &Client, asked: Option<&str>) -> Result<Image, SandboxError> {
    if let Some(name) = asked {
        let found = client.image(name)?.ok_or_else(|| trouble::no_image(name))?;
        let python = found
            .config
            .as_ref()
            .and_then(|config| config.labels.as_ref()?.get(PYTHON_LABEL).map(PathBuf::from))
            .ok_or_else(|| trouble::no_python(name, PYTHON_LABEL))?;
        return Ok(Image { digest: found.id.unwrap_or_else(|| name.to_owned()), python: Some(python) });
    }
    let archive = image::skeleton();
    let tag = image::tag(&archive);
    let found = client.image(&format!("{}:{tag}", image::REPOSITORY))?;
    let digest = match found.and_then(|found| found.id) {
        Some(digest) => digest,
        None => client.import(archive, image::REPOSITORY, &tag)?,
    };
    Ok(Image { digest, python: None })
}

/// Other file systems that are mounted somewhere below `source`: each is shown by a mount of its own, because a read-only
/// mount does not make those below it read-only.
fn mounts_below(table: &str, source: &Path, target: &Path) -> Vec<Mount> {
    let below = |line: &str| {
        let (left, right) = line.split_once(" - ")?;
        let at = PathBuf::from(unescape(left.split(' ').nth(4)?));
        let kind = right.split(' ').next()?;
        let inside = at.strip_prefix(source).ok().filter(|rest| !rest.as_os_str().is_empty())?;
        (!KERNEL_FILESYSTEMS.contains(&kind)).then(|| Mount::new(&at, target.join(inside)))
    };
    let mut found: Vec<Mount> = table.lines().filter_map(below).collect();
    found.sort_by(|left, right| left.target.cmp(&right.target));
    found.dedup();
    found
}

/// A path as the kernel's mount table writes it: blanks and the like in octal.
fn unescape(text: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .iter()
        .fold(text.to_owned(), |text, (written, meant)| text.replace(written, meant))
}

/// The engine was started by the same machine; it can give no more than this process has.
fn open_files_max() -> u64 {
    rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum.unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_systems_below_a_folder_are_mounted_one_by_one() {
        let table = "1 0 8:1 / / rw - ext4 /dev/a rw\n2 1 8:2 / /data rw - ext4 /dev/b rw\n\
                     3 2 8:3 / /data/more\\040space rw - ext4 /dev/c rw\n4 2 0:5 / /data/proc rw - proc proc rw\n\
                     5 1 8:4 / /database rw - ext4 /dev/d rw\n";
        let found = mounts_below(table, Path::new("/data"), Path::new("/in"));
        assert_eq!(found, [Mount::new("/data/more space", "/in/more space")]);
    }

    #[test]
    fn the_options_name_no_image_unless_somebody_did() {
        assert_eq!(EngineOptions::default().image, None);
    }
}
