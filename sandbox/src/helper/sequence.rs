//! The start of a cell as a list of steps. The order is the security; it is data, so that a test can read it.
//!
//! Three lists for three processes: [`enter`] where the host has started us, [`furnish`] as the first process inside, [`lock`]
//! in the program's process right before it starts. Which steps they hold depends on who makes the walls. Performing a step is
//! another module's work, behind [`Kernel`].

use super::order::{INSIDE_ID, Order, TreeKind, Walls, WatchedMemory};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// The root file system holds folders, links and a few generated files only.
const ROOT_BYTES: u64 = 1 << 20;
const ROOT_INODES: u64 = 4096;
/// Files in `/tmp` and `/dev/shm`: far more than any library needs, far fewer than hurt.
pub(crate) const TMP_INODES: u64 = 200_000;

/// The helper and PID 1 count among the processes of a cell.
pub(crate) const OWN_PROCESSES: u64 = 2;
/// Where a group counts processes, the limit per user stands behind it, a little higher: the group says when it refuses.
const SECOND_BARRIER: u64 = 32;

/// The group of a container is not limited to fewer processes than its runtime may need for starting; below that the limit per
/// user is the exact one.
pub(crate) const CONTAINER_PIDS_LEAST: u64 = 8;

/// Kernel tables that tell about the host or its hardware.
pub(crate) const PROC_MASKED: [&str; 10] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/kcore",
    "/proc/keys",
    "/proc/key-users",
    "/proc/timer_list",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/latency_stats",
    "/proc/interrupts",
];
/// Kernel settings. Reading is harmless, writing may reach the host whatever the uid.
pub(crate) const PROC_READ_ONLY: [&str; 5] =
    ["/proc/sys", "/proc/sysrq-trigger", "/proc/irq", "/proc/bus", "/proc/fs"];

/// Who is who inside. Names only, so that libraries which ask for a home or a user name get an answer.
pub(crate) const ETC: [(&str, &str); 5] = [
    ("/etc/passwd", "cell:x:1000:1000:cell:/tmp:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"),
    ("/etc/group", "cell:x:1000:\nnogroup:x:65534:\n"),
    ("/etc/hosts", "127.0.0.1 localhost\n::1 localhost\n"),
    ("/etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\n"),
    ("/etc/resolv.conf", ""),
];

/// Folders that every cell has, beside those of its mounts.
pub(crate) const FOLDERS: [&str; 6] = ["/proc", "/dev", "/out", "/tmp", "/etc", "/in"];

/// The usual names of a process's own descriptors.
pub(crate) const LINKS: [(&str, &str); 4] = [
    ("/dev/fd", "/proc/self/fd"),
    ("/dev/stdin", "/proc/self/fd/0"),
    ("/dev/stdout", "/proc/self/fd/1"),
    ("/dev/stderr", "/proc/self/fd/2"),
];

/// A limit of the kernel for one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rlimit {
    Core,
    FileSize,
    OpenFiles,
    MessageQueues,
    RealTime,
    Processes,
    Data,
}

/// One step of the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    BecomeUser(u32),
    RefuseRoot,
    /// Puts what is to be shown where bubblewrap can reach it as an ordinary user.
    Stage,
    /// Becomes bubblewrap. Returns only when that fails.
    BecomeBubblewrap(PathBuf),
    /// Orphans of the cell become children of this process.
    AdoptOrphans,
    NewSession,
    DieWithParent(Option<i32>),
    NoNewPrivileges,
    Limit(Rlimit, u64),
    /// So many processes more than the user has now.
    MoreProcesses(u64),
    PreferForOom,
    NewNamespaces,
    MapIds {
        inside: u32,
    },
    PrivateMounts,
    OpenTree(usize),
    NewRoot {
        bytes: u64,
        inodes: u64,
    },
    Folder(PathBuf),
    AttachTree(usize, PathBuf, TreeKind),
    File(PathBuf, &'static str),
    Link {
        at: PathBuf,
        to: &'static str,
    },
    Scratch {
        at: PathBuf,
        bytes: u64,
        inodes: u64,
        programs: bool,
    },
    Proc,
    Mask(&'static str),
    ReadOnly(&'static str),
    PivotRoot,
    SealRoot,
    Loopback,
    HostName(String),
    DropCapabilities,
    Undumpable,
    ProgramDescriptors,
    Landlock,
    /// Keep memory out of files that belong to no folder, where nobody counts it.
    NoMemoryFiles,
    /// Sockets with an address are refused: there is no network name space around them.
    NoAddresses,
    /// Signals to others are refused where Landlock does not keep them inside.
    OwnSignals,
    Seccomp,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

/// A step that the kernel refused.
#[derive(Debug, thiserror::Error)]
#[error("step `{step}` failed")]
pub(crate) struct StepError {
    pub(crate) step: String,
    #[source]
    pub(crate) source: io::Error,
}

/// Whoever performs steps: the kernel, or a list in a test.
pub(crate) trait Kernel {
    /// Performs one step.
    fn perform(&mut self, step: &Step) -> io::Result<()>;
}

/// Performs steps in order and stops at the first that fails.
pub(crate) fn perform_all(kernel: &mut dyn Kernel, steps: &[Step]) -> Result<(), StepError> {
    steps.iter().try_for_each(|step| {
        kernel.perform(step).map_err(|source| StepError { step: step.to_string(), source })
    })
}

/// What the helper does where the host has started it: before it forks PID 1, becomes bubblewrap, or forks the program.
pub(crate) fn enter(order: &Order) -> Vec<Step> {
    let become_user = order.user.map(Step::BecomeUser);
    match &order.walls {
        Walls::Namespaces => {
            let mut steps: Vec<Step> = become_user.into_iter().collect();
            steps.push(Step::RefuseRoot);
            // After the change of user, which clears it.
            steps.extend([Step::DieWithParent(Some(order.parent)), Step::NewSession, Step::NoNewPrivileges]);
            steps.extend(limits(order));
            steps.extend([
                Step::PreferForOom,
                Step::NewNamespaces,
                Step::MapIds { inside: INSIDE_ID },
                // Making a user name space may clear it as well.
                Step::DieWithParent(Some(order.parent)),
                processes(order),
            ]);
            steps
        }
        Walls::Bubblewrap { program } => {
            // While it may still mount: the cell's user may not reach every folder by its path.
            let stage = order.user.map(|_| Step::Stage);
            let mut steps: Vec<Step> = stage.into_iter().chain(become_user).collect();
            steps.extend([
                Step::RefuseRoot,
                Step::DieWithParent(Some(order.parent)),
                Step::NewSession,
                Step::NoNewPrivileges,
                Step::BecomeBubblewrap(program.clone()),
            ]);
            steps
        }
        Walls::Given | Walls::Container { .. } => vec![Step::RefuseRoot, Step::NoNewPrivileges],
        walls @ (Walls::Landlock | Walls::Nothing) => {
            let mut steps: Vec<Step> = become_user.into_iter().collect();
            if *walls == Walls::Landlock {
                steps.push(Step::RefuseRoot);
            }
            // Not to die with the host: somebody has to clear away, and the closed channel tells that it is gone.
            steps.extend([Step::NewSession, Step::NoNewPrivileges, Step::AdoptOrphans]);
            steps.extend(limits(order));
            // Before this process hides its own tables from itself; the program inherits it.
            steps.extend([Step::PreferForOom, Step::Undumpable]);
            steps
        }
    }
}

fn limits(order: &Order) -> [Step; 5] {
    let limits = &order.limits;
    [
        Step::Limit(Rlimit::Core, 0),
        Step::Limit(Rlimit::FileSize, limits.file_bytes),
        Step::Limit(Rlimit::OpenFiles, limits.open_files),
        Step::Limit(Rlimit::MessageQueues, 0),
        Step::Limit(Rlimit::RealTime, 0),
    ]
}

/// To be set inside the user name space, where it counts the cell's processes only, not all of the user's.
fn processes(order: &Order) -> Step {
    let is_exact = order.watched.memory == WatchedMemory::Everybodys
        || matches!(order.walls, Walls::Container { .. }) && order.limits.pids < CONTAINER_PIDS_LEAST;
    let more = if is_exact { OWN_PROCESSES } else { SECOND_BARRIER };
    Step::Limit(Rlimit::Processes, order.limits.pids + more)
}

/// What the first process inside does before it forks the program.
pub(crate) fn furnish(order: &Order) -> Vec<Step> {
    match order.walls {
        Walls::Namespaces => furnish_namespaces(order),
        // Nothing is left to be done here but what concerns the processes themselves.
        Walls::Given => {
            let mut steps = vec![Step::DieWithParent(None)];
            steps.extend(limits(order));
            steps.extend([Step::PreferForOom, processes(order), Step::Undumpable]);
            steps
        }
        // The engine has set these limits as well; one that it ignores is not missed by anybody else.
        Walls::Container { alone } => {
            let mut steps = vec![Step::NewSession];
            steps.extend(limits(order));
            steps.extend(alone.then(|| processes(order)));
            steps.extend([Step::PreferForOom, Step::Undumpable]);
            steps
        }
        Walls::Bubblewrap { .. } | Walls::Landlock | Walls::Nothing => Vec::new(),
    }
}

fn furnish_namespaces(order: &Order) -> Vec<Step> {
    let limits = &order.limits;
    let mut steps = vec![Step::DieWithParent(None), Step::PrivateMounts];
    if !order.trees_attached {
        // All of them before the new root covers anything.
        steps.extend((0..order.trees.len()).map(Step::OpenTree));
    }
    steps.push(Step::NewRoot { bytes: ROOT_BYTES, inodes: ROOT_INODES });
    steps.extend(FOLDERS.map(|folder| Step::Folder(folder.into())));
    steps.extend(ETC.iter().map(|(path, text)| Step::File((*path).into(), text)));
    let scratch =
        |at: &str, bytes, inodes, programs| Step::Scratch { at: at.into(), bytes, inodes, programs };
    // Before the trees: one of them may lie below /tmp.
    steps.push(scratch("/tmp", limits.tmp_bytes, TMP_INODES, true));
    for (index, tree) in order.trees.iter().enumerate() {
        steps.push(Step::AttachTree(index, tree.target.clone(), tree.kind));
    }
    steps.push(Step::Folder("/dev/shm".into()));
    steps.extend(LINKS.map(|(at, to)| Step::Link { at: at.into(), to }));
    steps.push(scratch("/dev/shm", limits.shm_bytes, TMP_INODES, false));
    steps.push(scratch("/out", limits.out_bytes, limits.out_inodes, false));
    // While the old one can still be seen: the kernel demands it.
    steps.push(Step::Proc);
    steps.extend(PROC_MASKED.map(Step::Mask));
    steps.extend(PROC_READ_ONLY.map(Step::ReadOnly));
    steps.extend([
        Step::PivotRoot,
        Step::SealRoot,
        Step::Loopback,
        Step::HostName(order.name.clone()),
        Step::DropCapabilities,
        Step::Undumpable,
    ]);
    steps
}

/// What the program's process does right before the program starts.
pub(crate) fn lock(order: &Order) -> Vec<Step> {
    let mut steps = vec![Step::NewSession, Step::ProgramDescriptors];
    // A GPU's driver reserves far more than it uses: there the watch stands alone.
    if order.watched.memory == WatchedMemory::Everybodys && !order.gpu {
        steps.push(Step::Limit(Rlimit::Data, order.limits.memory_bytes));
        if order.walls != Walls::Nothing {
            steps.push(Step::NoMemoryFiles);
        }
    }
    if order.walls.are_bare() {
        // There is no name space that ends with the supervisor, and none that counts processes.
        steps.extend([Step::DieWithParent(None), Step::MoreProcesses(order.limits.pids)]);
    }
    match order.walls {
        Walls::Nothing => {}
        Walls::Landlock => {
            steps.extend([Step::Landlock, Step::NoAddresses, Step::OwnSignals, Step::Seccomp]);
        }
        // The list comes last, because it forbids most of the above.
        _ => steps.extend([Step::Landlock, Step::Seccomp]),
    }
    steps
}

/// The folders that must exist above `target`, outermost first, itself included.
pub(crate) fn folders_to(target: &Path) -> Vec<&Path> {
    let mut above: Vec<&Path> = target.ancestors().filter(|path| *path != Path::new("/")).collect();
    above.reverse();
    above
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::helper::order::{Payload, Places, Tree, Walls, Watched};
    use crate::policy::Limits;
    use std::collections::BTreeMap;

    /// Notes what it is asked to do, and refuses one step when told so.
    #[derive(Default)]
    struct Recording {
        steps: Vec<Step>,
        refuse: Option<Step>,
    }

    impl Kernel for Recording {
        fn perform(&mut self, step: &Step) -> io::Result<()> {
            if self.refuse.as_ref() == Some(step) {
                return Err(io::Error::from_raw_os_error(libc::EPERM));
            }
            self.steps.push(step.clone());
            Ok(())
        }
    }

    fn order(root: bool, watch_memory: bool) -> Order {
        let tree =
            |source: &str| Tree { source: source.into(), target: source.into(), kind: TreeKind::Folder };
        Order {
            name: "cell".into(),
            walls: Walls::Namespaces,
            parent: 7,
            user: root.then_some(0x7000_0000),
            trees: vec![tree("/usr"), tree("/opt/venv")],
            trees_attached: root,
            env: BTreeMap::default(),
            argv: vec!["/usr/bin/true".into()],
            cwd: "/".into(),
            limits: Limits::default(),
            places: Places::default(),
            watched: Watched {
                memory: if watch_memory { WatchedMemory::Everybodys } else { WatchedMemory::Nobodys },
                ..Watched::default()
            },
            gpu: false,
            payload: Payload::Program,
        }
    }

    fn whole(order: &Order) -> Vec<Step> {
        let mut kernel = Recording::default();
        for steps in [enter(order), furnish(order), lock(order)] {
            perform_all(&mut kernel, &steps).unwrap();
        }
        kernel.steps
    }

    fn check_before(order: &Order, first: &str, second: &str) {
        let steps: Vec<String> = whole(order).iter().map(Step::to_string).collect();
        let at = |name: &str| steps.iter().position(|step| step.starts_with(name));
        let (Some(first_at), Some(second_at)) = (at(first), at(second)) else {
            panic!("{first} or {second} is missing in {steps:?}");
        };
        assert!(first_at < second_at, "{first} must come before {second}");
    }

    #[test]
    fn root_is_given_up_before_anything_else() {
        assert_eq!(whole(&order(true, false))[..2], [Step::BecomeUser(0x7000_0000), Step::RefuseRoot]);
        assert_eq!(whole(&order(false, false))[0], Step::RefuseRoot);
    }

    #[test]
    fn the_order_that_keeps_the_cell_shut() {
        for order in [order(true, false), order(false, true)] {
            check_before(&order, "RefuseRoot", "NewNamespaces");
            check_before(&order, "NoNewPrivileges", "NewNamespaces");
            check_before(&order, "NewNamespaces", "MapIds");
            check_before(&order, "MapIds", "Limit(Processes");
            check_before(&order, "PrivateMounts", "NewRoot");
            check_before(&order, "NewRoot", "AttachTree(0");
            check_before(&order, "Proc", "Mask(\"/proc/kcore\")");
            check_before(&order, "Proc", "PivotRoot");
            check_before(&order, "ReadOnly(\"/proc/sys\")", "PivotRoot");
            check_before(&order, "PivotRoot", "SealRoot");
            check_before(&order, "SealRoot", "DropCapabilities");
            check_before(&order, "DropCapabilities", "Undumpable");
            check_before(&order, "Undumpable", "ProgramDescriptors");
            check_before(&order, "Landlock", "Seccomp");
            assert_eq!(whole(&order).last(), Some(&Step::Seccomp));
        }
    }

    fn with_walls(walls: Walls, root: bool) -> Order {
        Order { walls, ..order(root, true) }
    }

    #[test]
    fn bubblewrap_is_never_started_as_root_and_has_nothing_to_furnish_outside() {
        let wrapped = with_walls(Walls::Bubblewrap { program: "/usr/bin/bwrap".into() }, true);
        let steps = enter(&wrapped);
        assert_eq!(steps[..3], [Step::Stage, Step::BecomeUser(0x7000_0000), Step::RefuseRoot]);
        assert_eq!(steps.last(), Some(&Step::BecomeBubblewrap("/usr/bin/bwrap".into())));
        assert!(steps.contains(&Step::NoNewPrivileges));
        assert!(furnish(&wrapped).is_empty());
        let ordinary = with_walls(Walls::Bubblewrap { program: "/usr/bin/bwrap".into() }, false);
        assert_eq!(enter(&ordinary)[0], Step::RefuseRoot);
    }

    #[test]
    fn inside_given_walls_the_limits_and_the_locks_are_ours() {
        let given = with_walls(Walls::Given, false);
        check_before(&given, "RefuseRoot", "Limit(FileSize");
        check_before(&given, "Limit(Processes", "Undumpable");
        check_before(&given, "Undumpable", "Landlock");
        assert_eq!(whole(&given).last(), Some(&Step::Seccomp));
        assert!(!whole(&given).contains(&Step::NewNamespaces));
    }

    #[test]
    fn without_name_spaces_orphans_are_adopted_and_addresses_and_signals_are_refused() {
        let bare = with_walls(Walls::Landlock, true);
        assert_eq!(whole(&bare)[..2], [Step::BecomeUser(0x7000_0000), Step::RefuseRoot]);
        check_before(&bare, "AdoptOrphans", "ProgramDescriptors");
        // A process that cannot be looked into cannot write its own tables any more.
        check_before(&bare, "PreferForOom", "Undumpable");
        check_before(&bare, "MoreProcesses", "Landlock");
        check_before(&bare, "Landlock", "NoAddresses");
        check_before(&bare, "OwnSignals", "Seccomp");
        assert_eq!(whole(&bare).last(), Some(&Step::Seccomp));
        // It has to outlive the host for as long as clearing away takes.
        assert!(!enter(&bare).iter().any(|step| matches!(step, Step::DieWithParent(_))));
    }

    #[test]
    fn without_any_walls_limits_remain() {
        let off = with_walls(Walls::Nothing, false);
        let steps = whole(&off);
        assert!(steps.iter().any(|step| matches!(step, Step::Limit(Rlimit::Data, _))));
        assert!(steps.contains(&Step::AdoptOrphans) && !steps.contains(&Step::Seccomp));
    }

    #[test]
    fn an_ordinary_user_opens_every_tree_before_the_new_root_hides_it() {
        check_before(&order(false, false), "OpenTree(1)", "NewRoot");
        assert!(!whole(&order(true, false)).contains(&Step::OpenTree(0)));
    }

    #[test]
    fn memory_without_a_group_is_limited_per_process() {
        let data = |steps: Vec<Step>| steps.iter().any(|step| matches!(step, Step::Limit(Rlimit::Data, _)));
        assert!(data(whole(&order(false, true))));
        assert!(!data(whole(&order(false, false))));
    }

    #[test]
    fn a_gpus_driver_is_not_limited_in_what_it_reserves() {
        let order = Order { gpu: true, ..order(false, true) };
        let data = |step: &Step| matches!(step, Step::Limit(Rlimit::Data, _));
        assert!(!whole(&order).iter().any(data));
    }

    #[test]
    fn a_refused_step_is_named_and_nothing_follows_it() {
        let order = order(true, false);
        let mut kernel = Recording { refuse: Some(Step::NewNamespaces), ..Recording::default() };
        let error = perform_all(&mut kernel, &enter(&order)).unwrap_err();
        assert_eq!(error.step, "NewNamespaces");
        assert_eq!(kernel.steps.last(), Some(&Step::PreferForOom));
    }

    #[test]
    fn folders_come_outermost_first() {
        assert_eq!(folders_to(Path::new("/opt/a/b")), ["/opt", "/opt/a", "/opt/a/b"].map(Path::new));
    }
}
