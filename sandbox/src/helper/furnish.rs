//! Performs the steps of the start for real. One step, one small action; the order is not decided here.

use super::order::{Order, TreeKind};
use super::sequence::{Kernel, Rlimit, Step, folders_to};
use super::{bubblewrap, landlock, memory};
use crate::linux::{self, Attributes};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::mount::{
    MountFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags, mount, mount_change,
    move_mount, open_tree, unmount,
};
use rustix::process::{DumpableBehavior, Resource, Signal};
use rustix::thread::{CapabilitiesSecureBits, UnshareFlags};
use std::ffi::CString;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

/// Where the new root may be put for the moment between its mount and `pivot_root`; the first that exists is taken.
const ROOT_PLACES: [&str; 4] = ["/tmp", "/mnt", "/run", "/usr"];
/// Half of the scale: well before ordinary programs, which have 0.
const OOM_SCORE: i32 = 500;

/// The kernel of this host.
pub(crate) struct Linux {
    order: Order,
    trees: Vec<Option<OwnedFd>>,
    control: Option<OwnedFd>,
    staged: bool,
    outside: Option<(u32, u32)>,
    landlock: &'static str,
}

impl Linux {
    /// Works on `order`; `trees` are the mounts that the host has opened, if it has.
    pub(crate) fn new(order: &Order, trees: Vec<OwnedFd>) -> Self {
        let mut trees: Vec<_> = trees.into_iter().map(Some).collect();
        trees.resize_with(order.trees.len(), || None);
        Self { order: order.clone(), trees, control: None, staged: false, outside: None, landlock: "none" }
    }

    /// The program's control channel, to be put at descriptor 3.
    pub(crate) fn set_control(&mut self, control: OwnedFd) {
        self.control = Some(control);
    }

    /// What Landlock gave: `full`, `partial` or `none`.
    pub(crate) fn landlock(&self) -> &'static str {
        self.landlock
    }
}

impl Kernel for Linux {
    fn perform(&mut self, step: &Step) -> io::Result<()> {
        match step {
            Step::BecomeUser(id) => become_user(*id),
            Step::RefuseRoot => refuse_root(),
            Step::Stage => {
                bubblewrap::stage(std::mem::take(&mut self.trees))?;
                self.staged = true;
                Ok(())
            }
            Step::BecomeBubblewrap(program) => Err(bubblewrap::become_it(program, &self.order, self.staged)),
            Step::AdoptOrphans => {
                rustix::process::set_child_subreaper(Some(rustix::process::getpid())).map_err(Into::into)
            }
            Step::NewSession => new_session(),
            Step::DieWithParent(parent) => die_with_parent(*parent),
            Step::NoNewPrivileges => rustix::thread::set_no_new_privs(true).map_err(Into::into),
            Step::Limit(which, value) => limit(*which, *value),
            Step::MoreProcesses(more) => limit(Rlimit::Processes, memory::processes_of_user()? + more),
            Step::PreferForOom => prefer_for_oom(),
            Step::NewNamespaces => {
                // Inside, the ids read as the overflow id until they are mapped.
                self.outside =
                    Some((rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw()));
                linux::unshare(namespaces())
            }
            Step::MapIds { inside } => match self.outside {
                Some(outside) => map_ids(*inside, outside),
                None => Err(io::Error::other("ids are mapped before the name space exists")),
            },
            Step::PrivateMounts => {
                let all = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
                mount_change("/", all).map_err(Into::into)
            }
            Step::OpenTree(index) => self.open(*index),
            Step::NewRoot { bytes, inodes } => new_root(*bytes, *inodes),
            Step::Folder(path) => folder(path),
            Step::AttachTree(index, target, kind) => self.attach(*index, target, *kind),
            Step::File(path, text) => file(path, text),
            Step::Link { at, to } => Ok(rustix::fs::symlink(*to, inside(at))?),
            Step::Scratch { at, bytes, inodes, programs } => scratch(at, *bytes, *inodes, *programs),
            Step::Proc => {
                Ok(mount("proc", "proc", "proc", hard() | MountFlags::NOEXEC, None::<&std::ffi::CStr>)?)
            }
            Step::Mask(path) => mask(Path::new(path)),
            Step::ReadOnly(path) => read_only(Path::new(path)),
            Step::PivotRoot => pivot(),
            Step::SealRoot => seal_root(),
            Step::Loopback => linux::loopback_up(),
            Step::HostName(name) => rustix::system::sethostname(name.as_bytes()).map_err(Into::into),
            Step::DropCapabilities => drop_capabilities(),
            Step::Undumpable => {
                rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(Into::into)
            }
            Step::ProgramDescriptors => self.program_descriptors(),
            Step::Landlock => {
                let given = if self.order.walls.are_bare() {
                    landlock::around_program(&self.order)
                } else {
                    landlock::inside_walls(self.order.gpu)
                };
                self.landlock = given.map_err(io::Error::other)?;
                Ok(())
            }
            Step::NoMemoryFiles => install(linux::seccomp::no_memory_files()),
            Step::NoAddresses => install(linux::seccomp::no_addresses()),
            Step::OwnSignals if landlock::keeps_signals() => Ok(()),
            Step::OwnSignals => install(linux::seccomp::own_signals(std::process::id())),
            Step::Seccomp => install(linux::seccomp::filters()),
        }
    }
}

impl Linux {
    fn open(&mut self, index: usize) -> io::Result<()> {
        let tree = &self.order.trees[index];
        self.trees[index] =
            Some(open_restricted(&tree.source, tree.kind).map_err(|error| naming(&tree.source, &error))?);
        Ok(())
    }

    fn attach(&mut self, index: usize, target: &Path, kind: TreeKind) -> io::Result<()> {
        let Some(tree) = self.trees[index].take() else {
            return Err(io::Error::other("this tree was not opened"));
        };
        let attached = match kind {
            TreeKind::Folder => folder(target),
            TreeKind::File | TreeKind::Device => empty_file(target),
        }
        .and_then(|()| {
            Ok(move_mount(&tree, "", CWD, inside(target), MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?)
        });
        attached.map_err(|error| naming(target, &error))
    }

    fn program_descriptors(&mut self) -> io::Result<()> {
        let null = rustix::fs::open("/dev/null", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
        linux::place(null, 0)?;
        match self.control.take() {
            Some(control) => linux::place(control, 3),
            None => Err(io::Error::other("the control channel is missing")),
        }
    }
}

/// Opens a mount tree of its own from a path and takes away every right to write.
pub(crate) fn open_restricted(source: &Path, kind: TreeKind) -> io::Result<OwnedFd> {
    let recursive = kind == TreeKind::Folder;
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    flags |= OpenTreeFlags::AT_SYMLINK_NOFOLLOW;
    if recursive {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    let tree = open_tree(CWD, source, flags)?;
    let attributes = if kind == TreeKind::Device { Attributes::DEVICE } else { Attributes::READ_ONLY };
    linux::restrict_mount(&tree, attributes, recursive)?;
    Ok(tree)
}

fn naming(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// A path of the cell relative to the working folder, which is the new root while the cell is furnished.
fn inside(path: &Path) -> &Path {
    path.strip_prefix("/").unwrap_or(path)
}

fn hard() -> MountFlags {
    MountFlags::NOSUID | MountFlags::NODEV
}

fn namespaces() -> UnshareFlags {
    UnshareFlags::NEWUSER
        | UnshareFlags::NEWNS
        | UnshareFlags::NEWPID
        | UnshareFlags::NEWNET
        | UnshareFlags::NEWIPC
        | UnshareFlags::NEWUTS
        | UnshareFlags::NEWCGROUP
}

fn become_user(id: u32) -> io::Result<()> {
    let (uid, gid) = (rustix::process::Uid::from_raw(id), rustix::process::Gid::from_raw(id));
    rustix::thread::set_thread_groups(&[])?;
    rustix::thread::set_thread_res_gid(gid, gid, gid)?;
    rustix::thread::set_thread_res_uid(uid, uid, uid)?;
    // The change of user hides `/proc/self` from ourselves, and the id maps are written there. Nobody else has this user.
    rustix::process::set_dumpable_behavior(DumpableBehavior::Dumpable).map_err(Into::into)
}

fn refuse_root() -> io::Result<()> {
    let root = rustix::process::getuid().is_root() || rustix::process::geteuid().is_root();
    if root { Err(io::Error::other("a cell may not run as root")) } else { Ok(()) }
}

fn die_with_parent(parent: Option<i32>) -> io::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    // It may have died before the line above.
    match parent {
        Some(expected) if rustix::process::Pid::as_raw(rustix::process::getppid()) != expected => {
            Err(io::Error::other("the host process has ended"))
        }
        _ => Ok(()),
    }
}

/// Makes the kernel end a cell before other programs when the whole machine runs out of memory. Only ever raised: a container
/// may have set more already, and lowering takes a capability.
fn prefer_for_oom() -> io::Result<()> {
    let path = "/proc/self/oom_score_adj";
    let now: i32 = std::fs::read_to_string(path)?.trim().parse().unwrap_or(0);
    if now >= OOM_SCORE { Ok(()) } else { std::fs::write(path, OOM_SCORE.to_string()) }
}

fn limit(which: Rlimit, value: u64) -> io::Result<()> {
    let resource = match which {
        Rlimit::Core => Resource::Core,
        Rlimit::FileSize => Resource::Fsize,
        Rlimit::OpenFiles => Resource::Nofile,
        Rlimit::MessageQueues => Resource::Msgqueue,
        Rlimit::RealTime => Resource::Rtprio,
        Rlimit::Processes => Resource::Nproc,
        Rlimit::Data => Resource::Data,
    };
    // Limits are only ever lowered: raising one needs a capability that even root may lack.
    let value = rustix::process::getrlimit(resource).maximum.map_or(value, |hard| hard.min(value));
    let both = rustix::process::Rlimit { current: Some(value), maximum: Some(value) };
    rustix::process::setrlimit(resource, both).map_err(Into::into)
}

fn map_ids(inside: u32, (uid, gid): (u32, u32)) -> io::Result<()> {
    std::fs::write("/proc/self/setgroups", "deny")?;
    std::fs::write("/proc/self/uid_map", format!("{inside} {uid} 1\n"))?;
    std::fs::write("/proc/self/gid_map", format!("{inside} {gid} 1\n"))
}

fn new_session() -> io::Result<()> {
    rustix::process::umask(Mode::RWXG | Mode::RWXO);
    // A process that leads its group already (PID 1's child never does) has a session of its own.
    match rustix::process::setsid() {
        Ok(_) | Err(rustix::io::Errno::PERM) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

fn new_root(bytes: u64, inodes: u64) -> io::Result<()> {
    let options = CString::new(format!("size={bytes},nr_inodes={inodes},mode=0755"))?;
    let place = ROOT_PLACES.into_iter().find(|place| Path::new(place).is_dir());
    let place = place.ok_or_else(|| io::Error::other("the host has none of the usual folders"))?;
    mount("tmpfs", place, "tmpfs", hard(), Some(options.as_c_str()))?;
    rustix::process::chdir(place).map_err(Into::into)
}

/// Makes a folder and those above it; what exists stays as it is.
fn folder(path: &Path) -> io::Result<()> {
    for each in folders_to(path) {
        match rustix::fs::mkdir(inside(each), Mode::RWXU) {
            Ok(()) => rustix::fs::chmod(inside(each), Mode::from_raw_mode(0o755))?,
            Err(rustix::io::Errno::EXIST) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}

/// Makes an empty file, as something to mount over.
fn empty_file(path: &Path) -> io::Result<()> {
    if inside(path).exists() { Ok(()) } else { file(path, "") }
}

fn file(path: &Path, text: &str) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        folder(parent)?;
    }
    std::fs::write(inside(path), text)?;
    rustix::fs::chmod(inside(path), Mode::from_raw_mode(0o644)).map_err(Into::into)
}

fn scratch(at: &Path, bytes: u64, inodes: u64, programs: bool) -> io::Result<()> {
    let options = CString::new(format!("size={bytes},nr_inodes={inodes},mode=0700"))?;
    let flags = if programs { hard() } else { hard() | MountFlags::NOEXEC };
    mount("tmpfs", inside(at), "tmpfs", flags, Some(options.as_c_str())).map_err(Into::into)
}

/// Covers a kernel file with the null device and a kernel folder with an empty one. Not every kernel has each of them.
fn mask(path: &Path) -> io::Result<()> {
    let Ok(kind) = inside(path).symlink_metadata().map(|found| found.file_type()) else {
        return Ok(());
    };
    if kind.is_dir() {
        let flags = hard() | MountFlags::NOEXEC | MountFlags::RDONLY;
        return Ok(mount("tmpfs", inside(path), "tmpfs", flags, Some(c"size=4k,nr_inodes=2"))?);
    }
    let null = open_restricted(Path::new("dev/null"), TreeKind::Device)?;
    Ok(move_mount(&null, "", CWD, inside(path), MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?)
}

fn read_only(path: &Path) -> io::Result<()> {
    if !inside(path).exists() {
        return Ok(());
    }
    let tree = open_restricted(inside(path), TreeKind::Folder)?;
    Ok(move_mount(&tree, "", CWD, inside(path), MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?)
}

fn pivot() -> io::Result<()> {
    // With both arguments the same, the old root ends up on top of the new one and can be taken off at once.
    rustix::process::pivot_root(".", ".")?;
    unmount(".", UnmountFlags::DETACH)?;
    rustix::process::chdir("/").map_err(Into::into)
}

fn seal_root() -> io::Result<()> {
    let root = rustix::fs::open("/", OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    linux::restrict_mount(&root, Attributes::READ_ONLY, false)
}

fn drop_capabilities() -> io::Result<()> {
    let bits = CapabilitiesSecureBits::NO_ROOT
        | CapabilitiesSecureBits::NO_ROOT_LOCKED
        | CapabilitiesSecureBits::NO_SETUID_FIXUP
        | CapabilitiesSecureBits::NO_SETUID_FIXUP_LOCKED
        | CapabilitiesSecureBits::NO_CAP_AMBIENT_RAISE
        | CapabilitiesSecureBits::NO_CAP_AMBIENT_RAISE_LOCKED;
    rustix::thread::set_capabilities_secure_bits(bits)?;
    linux::drop_capabilities()
}

fn install<E: std::error::Error + Send + Sync + 'static>(
    filters: Result<Vec<linux::seccomp::Program>, E>,
) -> io::Result<()> {
    linux::seccomp::install(&filters.map_err(io::Error::other)?).map_err(io::Error::other)
}
