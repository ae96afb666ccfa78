//! The system call list of a cell, with a reason for each entry.
//!
//! Three filters are stacked and the strictest answer counts. The first allows a list and answers ENOSYS to everything
//! else, so that what this list has never heard of (a future call, an x32 number) looks like an old kernel and programs fall
//! back. The second answers EPERM to what is dangerous by name or by argument. The third keeps odd socket families away.
//! A program may add filters of its own on top; it can never take these off.

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen as Width, SeccompCmpOp as Op, SeccompCondition,
    SeccompFilter, SeccompRule, TargetArch,
};
use std::collections::BTreeMap;

/// A reason and the calls that it allows, each with its constant's name and its number.
type Allowed = (&'static str, &'static [(&'static str, i64)]);
/// A call that is refused with EPERM, and why.
type Refused = (i64, &'static str);

/// Calls by the names of their constants.
macro_rules! calls {
    ($($name:ident),* $(,)?) => { &[$((stringify!($name), libc::$name)),*] };
}

const ALLOWED: &[Allowed] = &[
    (
        "read and write open files",
        calls![
            SYS_read,
            SYS_write,
            SYS_readv,
            SYS_writev,
            SYS_pread64,
            SYS_pwrite64,
            SYS_preadv,
            SYS_pwritev,
            SYS_preadv2,
            SYS_pwritev2,
            SYS_lseek,
            SYS_sendfile,
            SYS_copy_file_range,
            SYS_splice,
            SYS_tee,
            SYS_readahead,
            SYS_fadvise64,
        ],
    ),
    (
        "open, close and duplicate descriptors",
        calls![
            SYS_openat,
            SYS_openat2,
            SYS_close,
            SYS_close_range,
            SYS_dup,
            SYS_dup3,
            SYS_fcntl,
            SYS_ioctl,
            SYS_flock,
            SYS_pipe2,
        ],
    ),
    (
        "ask about files",
        calls![
            SYS_fstat,
            SYS_newfstatat,
            SYS_statx,
            SYS_statfs,
            SYS_fstatfs,
            SYS_faccessat,
            SYS_faccessat2,
            SYS_readlinkat,
            SYS_getdents64,
            SYS_getcwd,
            SYS_getxattr,
            SYS_lgetxattr,
            SYS_fgetxattr,
            SYS_listxattr,
            SYS_llistxattr,
            SYS_flistxattr,
        ],
    ),
    (
        "change files in the writable folders; the mounts and Landlock decide which",
        calls![
            SYS_mkdirat,
            SYS_unlinkat,
            SYS_renameat,
            SYS_renameat2,
            SYS_linkat,
            SYS_symlinkat,
            SYS_fchmod,
            SYS_fchmodat,
            SYS_fchmodat2,
            SYS_fchown,
            SYS_fchownat,
            SYS_utimensat,
            SYS_truncate,
            SYS_ftruncate,
            SYS_fallocate,
            SYS_fsync,
            SYS_fdatasync,
            SYS_sync_file_range,
            SYS_syncfs,
            SYS_sync,
            SYS_umask,
            SYS_chdir,
            SYS_fchdir,
            SYS_setxattr,
            SYS_lsetxattr,
            SYS_fsetxattr,
            SYS_removexattr,
            SYS_lremovexattr,
            SYS_fremovexattr,
        ],
    ),
    (
        "memory of this process",
        calls![
            SYS_brk,
            SYS_mmap,
            SYS_munmap,
            SYS_mremap,
            SYS_mprotect,
            SYS_madvise,
            SYS_mincore,
            SYS_msync,
            SYS_mlock,
            SYS_mlock2,
            SYS_munlock,
            SYS_mlockall,
            SYS_munlockall,
            SYS_memfd_create,
            SYS_membarrier,
            SYS_pkey_alloc,
            SYS_pkey_free,
            SYS_pkey_mprotect,
            SYS_mseal,
        ],
    ),
    (
        "placement of memory on NUMA machines, asked by OpenMP and BLAS",
        calls![SYS_get_mempolicy, SYS_set_mempolicy, SYS_mbind],
    ),
    (
        "threads and locks",
        calls![
            SYS_clone,
            SYS_futex,
            SYS_futex_waitv,
            SYS_set_robust_list,
            SYS_get_robust_list,
            SYS_set_tid_address,
            SYS_gettid,
            SYS_rseq,
            SYS_sched_yield,
            SYS_sched_getaffinity,
            SYS_sched_setaffinity,
            SYS_sched_getparam,
            SYS_sched_setparam,
            SYS_sched_getscheduler,
            SYS_sched_setscheduler,
            SYS_sched_getattr,
            SYS_sched_setattr,
            SYS_sched_get_priority_max,
            SYS_sched_get_priority_min,
            SYS_sched_rr_get_interval,
            SYS_getcpu,
            SYS_getpriority,
            SYS_setpriority,
            SYS_ioprio_get,
            SYS_ioprio_set,
        ],
    ),
    (
        "start, await and end processes of the cell",
        calls![
            SYS_execve,
            SYS_execveat,
            SYS_exit,
            SYS_exit_group,
            SYS_wait4,
            SYS_waitid,
            SYS_kill,
            SYS_tkill,
            SYS_tgkill,
            SYS_pidfd_open,
            SYS_pidfd_send_signal,
            SYS_setsid,
            SYS_getsid,
            SYS_setpgid,
            SYS_getpgid,
            SYS_getpid,
            SYS_getppid,
            SYS_times,
            SYS_getrusage,
            SYS_prlimit64,
            SYS_getrlimit,
            SYS_setrlimit,
        ],
    ),
    (
        "signals within the cell",
        calls![
            SYS_rt_sigaction,
            SYS_rt_sigprocmask,
            SYS_rt_sigreturn,
            SYS_rt_sigpending,
            SYS_rt_sigsuspend,
            SYS_rt_sigtimedwait,
            SYS_rt_sigqueueinfo,
            SYS_rt_tgsigqueueinfo,
            SYS_sigaltstack,
            SYS_signalfd4,
            SYS_restart_syscall,
        ],
    ),
    (
        "clocks and timers; setting a clock is not among them",
        calls![
            SYS_clock_gettime,
            SYS_clock_getres,
            SYS_clock_nanosleep,
            SYS_nanosleep,
            SYS_gettimeofday,
            SYS_getitimer,
            SYS_setitimer,
            SYS_timer_create,
            SYS_timer_settime,
            SYS_timer_gettime,
            SYS_timer_getoverrun,
            SYS_timer_delete,
            SYS_timerfd_create,
            SYS_timerfd_settime,
            SYS_timerfd_gettime,
        ],
    ),
    (
        "wait for events",
        calls![
            SYS_ppoll,
            SYS_pselect6,
            SYS_epoll_create1,
            SYS_epoll_ctl,
            SYS_epoll_pwait,
            SYS_epoll_pwait2,
            SYS_eventfd2,
            SYS_inotify_init1,
            SYS_inotify_add_watch,
            SYS_inotify_rm_watch,
        ],
    ),
    (
        "sockets: multiprocessing, asyncio and joblib talk over them; the network name space has only a loopback",
        calls![
            SYS_socket,
            SYS_socketpair,
            SYS_bind,
            SYS_listen,
            SYS_accept,
            SYS_accept4,
            SYS_connect,
            SYS_getsockname,
            SYS_getpeername,
            SYS_getsockopt,
            SYS_setsockopt,
            SYS_sendto,
            SYS_recvfrom,
            SYS_sendmsg,
            SYS_recvmsg,
            SYS_sendmmsg,
            SYS_recvmmsg,
            SYS_shutdown,
        ],
    ),
    (
        "who am I; changing to another id fails without capabilities and with a single mapped id",
        calls![
            SYS_getuid,
            SYS_geteuid,
            SYS_getgid,
            SYS_getegid,
            SYS_getgroups,
            SYS_getresuid,
            SYS_getresgid,
            SYS_setuid,
            SYS_setgid,
            SYS_setreuid,
            SYS_setregid,
            SYS_setresuid,
            SYS_setresgid,
            SYS_setgroups,
            SYS_setfsuid,
            SYS_setfsgid,
            SYS_capget,
            SYS_capset,
        ],
    ),
    ("ask about the machine", calls![SYS_uname, SYS_sysinfo, SYS_getrandom]),
    (
        "lock oneself up further: a trial adds its own filter and Landlock domain",
        calls![
            SYS_prctl,
            SYS_seccomp,
            SYS_landlock_create_ruleset,
            SYS_landlock_add_rule,
            SYS_landlock_restrict_self,
        ],
    ),
    ("programs ask for the current execution domain; the argument is checked below", calls![SYS_personality]),
    #[cfg(target_arch = "x86_64")]
    (
        "older names of calls above, which C libraries on this processor still use",
        calls![
            SYS_open,
            SYS_creat,
            SYS_stat,
            SYS_lstat,
            SYS_access,
            SYS_readlink,
            SYS_getdents,
            SYS_mkdir,
            SYS_rmdir,
            SYS_unlink,
            SYS_rename,
            SYS_link,
            SYS_symlink,
            SYS_chmod,
            SYS_chown,
            SYS_lchown,
            SYS_utime,
            SYS_utimes,
            SYS_futimesat,
            SYS_dup2,
            SYS_pipe,
            SYS_poll,
            SYS_select,
            SYS_epoll_create,
            SYS_epoll_wait,
            SYS_eventfd,
            SYS_signalfd,
            SYS_inotify_init,
            SYS_fork,
            SYS_vfork,
            SYS_getpgrp,
            SYS_pause,
            SYS_alarm,
            SYS_time,
            SYS_arch_prctl,
        ],
    ),
];

const REFUSED: &[Refused] = &[
    (libc::SYS_ptrace, "reads and steers other processes"),
    (libc::SYS_process_vm_readv, "reads the memory of other processes"),
    (libc::SYS_process_vm_writev, "writes the memory of other processes"),
    (libc::SYS_process_madvise, "acts on the memory of other processes"),
    (libc::SYS_pidfd_getfd, "takes descriptors out of other processes"),
    (libc::SYS_kcmp, "tells kernel addresses of other processes apart"),
    (libc::SYS_keyctl, "keyrings are shared between cells of one user"),
    (libc::SYS_add_key, "keyrings are shared between cells of one user"),
    (libc::SYS_request_key, "starts a helper program on the host"),
    (libc::SYS_bpf, "loads programs into the kernel"),
    (libc::SYS_perf_event_open, "large attack surface, sees other processes"),
    (libc::SYS_userfaultfd, "stops the kernel at a chosen moment, a classic of exploits"),
    (libc::SYS_io_uring_setup, "does what the list forbids without a system call"),
    (libc::SYS_io_uring_enter, "does what the list forbids without a system call"),
    (libc::SYS_io_uring_register, "does what the list forbids without a system call"),
    (libc::SYS_mount, "changes what the cell sees"),
    (libc::SYS_umount2, "uncovers what is masked"),
    (libc::SYS_pivot_root, "changes what the cell sees"),
    (libc::SYS_chroot, "changes what the cell sees"),
    (libc::SYS_move_mount, "changes what the cell sees"),
    (libc::SYS_open_tree, "clones mounts"),
    (libc::SYS_fsopen, "makes file systems"),
    (libc::SYS_fsconfig, "makes file systems"),
    (libc::SYS_fsmount, "makes file systems"),
    (libc::SYS_fspick, "changes file systems"),
    (libc::SYS_mount_setattr, "makes read-only mounts writable"),
    (libc::SYS_setns, "enters other name spaces"),
    (libc::SYS_unshare, "makes name spaces, and with them capabilities"),
    (libc::SYS_name_to_handle_at, "prepares opening by handle"),
    (libc::SYS_open_by_handle_at, "opens files outside every mount"),
    (libc::SYS_init_module, "loads kernel modules"),
    (libc::SYS_finit_module, "loads kernel modules"),
    (libc::SYS_delete_module, "unloads kernel modules"),
    (libc::SYS_kexec_load, "starts another kernel"),
    (libc::SYS_reboot, "ends the machine"),
    (libc::SYS_swapon, "changes the machine"),
    (libc::SYS_swapoff, "changes the machine"),
    (libc::SYS_acct, "changes the machine"),
    (libc::SYS_quotactl, "changes the machine"),
    (libc::SYS_quotactl_fd, "changes the machine"),
    (libc::SYS_settimeofday, "changes the clock"),
    (libc::SYS_clock_settime, "changes the clock"),
    (libc::SYS_adjtimex, "changes the clock"),
    (libc::SYS_clock_adjtime, "changes the clock"),
    (libc::SYS_sethostname, "no use in a cell"),
    (libc::SYS_setdomainname, "no use in a cell"),
    (libc::SYS_syslog, "reads kernel messages and addresses"),
    (libc::SYS_vmsplice, "maps pages into pipes, a classic of exploits"),
    (libc::SYS_fanotify_init, "watches whole file systems"),
    (libc::SYS_migrate_pages, "moves memory of other processes"),
    (libc::SYS_move_pages, "moves memory of other processes"),
    (libc::SYS_memfd_secret, "memory that cannot be accounted for"),
    (libc::SYS_mknodat, "makes device nodes and named pipes"),
    (libc::SYS_vhangup, "acts on terminals"),
    (libc::SYS_shmget, "objects that outlive a trial and that its neighbours can open"),
    (libc::SYS_shmat, "objects that outlive a trial and that its neighbours can open"),
    (libc::SYS_shmctl, "objects that outlive a trial and that its neighbours can open"),
    (libc::SYS_shmdt, "objects that outlive a trial and that its neighbours can open"),
    (libc::SYS_semget, "objects that outlive a trial and that its neighbours can open"),
    (libc::SYS_semop, "objects that outlive a trial and that its neighbours can open"),
    (libc::SYS_semtimedop, "objects that outlive a trial and that its neighbours can open"),
    (libc::SYS_semctl, "objects that outlive a trial and that its neighbours can open"),
    (libc::SYS_msgget, "objects that outlive a trial and that its neighbours can open"),
    (libc::SYS_msgsnd, "objects that outlive a trial and that its neighbours can open"),
    (libc::SYS_msgrcv, "objects that outlive a trial and that its neighbours can open"),
    (libc::SYS_msgctl, "objects that outlive a trial and that its neighbours can open"),
    (libc::SYS_mq_open, "objects that outlive a trial and that its neighbours can open"),
    (libc::SYS_mq_unlink, "objects that outlive a trial and that its neighbours can open"),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_kexec_file_load, "starts another kernel"),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_iopl, "raw input and output"),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_ioperm, "raw input and output"),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_modify_ldt, "old, rarely tested kernel code"),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_mknod, "makes device nodes and named pipes"),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_lookup_dcookie, "old, rarely tested kernel code"),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_uselib, "old, rarely tested kernel code"),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_ustat, "old, rarely tested kernel code"),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_sysfs, "old, rarely tested kernel code"),
];

/// Calls that give a socket an address or reach for one.
const ADDRESSED: &[Refused] = &[
    (libc::SYS_socket, "a socket that is not one of a pair can only be used with an address"),
    (libc::SYS_bind, "takes an address on the host"),
    (libc::SYS_connect, "reaches an address on the host or outside"),
    (libc::SYS_listen, "waits for strangers"),
    (libc::SYS_accept, "lets strangers in"),
    (libc::SYS_accept4, "lets strangers in"),
];

/// The part of a socket's type that is not a flag.
const SOCKET_TYPE: u64 = 0xf;

/// Ways to signal others than `kill` and `tgkill`, whose targets are compared.
const OTHER_SIGNALS: &[Refused] = &[
    (libc::SYS_tkill, "names a thread of any process"),
    (libc::SYS_rt_sigqueueinfo, "signals any process of the user"),
    (libc::SYS_rt_tgsigqueueinfo, "signals any process of the user"),
    (libc::SYS_pidfd_send_signal, "signals any process of the user"),
];

/// Name space flags of `clone`; each one alone is refused. (`clone3` hides its flags in memory, so it is not allowed at all:
/// C libraries fall back.)
const CLONE_NAMESPACES: [libc::c_int; 7] = [
    libc::CLONE_NEWNS,
    libc::CLONE_NEWCGROUP,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
];

/// Terminal requests that type into, reconfigure or re-discipline a terminal. Compared as 32 bits: the kernel ignores the
/// upper half, and a 64-bit comparison can be walked around.
const TERMINAL_REQUESTS: [u64; 3] = [libc::TIOCSTI, 0x541C, libc::TIOCSETD];

/// The filters of a cell in the order in which they must be installed: of equal answers the last installed wins, so the
/// EPERM list comes after the ENOSYS one.
pub(crate) fn filters() -> Result<Vec<BpfProgram>, seccompiler::Error> {
    let errno = |number: i32| SeccompAction::Errno(number as u32);
    let allowed =
        ALLOWED.iter().flat_map(|(_, calls)| calls.iter().map(|(_, call)| (*call, Vec::new()))).collect();
    let families = BTreeMap::from([
        (libc::SYS_socket, vec![odd_families()?]),
        (libc::SYS_socketpair, vec![odd_families()?]),
    ]);
    Ok(vec![
        program(allowed, errno(libc::ENOSYS), SeccompAction::Allow)?,
        program(refused()?, SeccompAction::Allow, errno(libc::EPERM))?,
        program(families, SeccompAction::Allow, errno(libc::EAFNOSUPPORT))?,
    ])
}

/// One filter, ready to be installed.
pub(crate) type Program = BpfProgram;

/// The filter of a program that shares the host's network: only socket pairs, which have no address.
pub(crate) fn no_addresses() -> Result<Vec<BpfProgram>, seccompiler::Error> {
    let mut refused: BTreeMap<i64, Vec<SeccompRule>> =
        ADDRESSED.iter().map(|(call, _)| (*call, Vec::new())).collect();
    // A datagram of a pair can still be sent to any address.
    let datagram = |kind: libc::c_int| rule(&[condition(1, Op::MaskedEq(SOCKET_TYPE), kind as u64)?]);
    refused.insert(libc::SYS_socketpair, vec![datagram(libc::SOCK_DGRAM)?, datagram(libc::SOCK_RAW)?]);
    Ok(vec![program(refused, SeccompAction::Allow, SeccompAction::Errno(libc::EPERM as u32))?])
}

/// The filter of a program whose memory is looked at and not counted: memory in files that belong to no folder is seen by
/// nobody who looks.
pub(crate) fn no_memory_files() -> Result<Vec<BpfProgram>, seccompiler::Error> {
    let refused = BTreeMap::from([(libc::SYS_memfd_create, Vec::new())]);
    Ok(vec![program(refused, SeccompAction::Allow, SeccompAction::Errno(libc::EPERM as u32))?])
}

/// The filter of a program that shares the host's processes on a kernel whose Landlock lets signals out: it may signal itself
/// and its own group, nobody else.
pub(crate) fn own_signals(pid: u32) -> Result<Vec<BpfProgram>, seccompiler::Error> {
    let stranger = |also_group: bool| {
        let mut conditions = vec![condition(0, Op::Ne, u64::from(pid))?];
        if also_group {
            conditions.push(condition(0, Op::Ne, 0)?);
        }
        Ok::<_, seccompiler::Error>(vec![rule(&conditions)?])
    };
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
        OTHER_SIGNALS.iter().map(|(call, _)| (*call, Vec::new())).collect();
    rules.insert(libc::SYS_kill, stranger(true)?);
    rules.insert(libc::SYS_tgkill, stranger(false)?);
    Ok(vec![program(rules, SeccompAction::Allow, SeccompAction::Errno(libc::EPERM as u32))?])
}

/// Installs the filters; the process must have no-new-privileges set.
pub(crate) fn install(filters: &[BpfProgram]) -> Result<(), seccompiler::Error> {
    filters.iter().try_for_each(|filter| seccompiler::apply_filter(filter))
}

fn program(
    rules: BTreeMap<i64, Vec<SeccompRule>>,
    otherwise: SeccompAction,
    matched: SeccompAction,
) -> Result<BpfProgram, seccompiler::Error> {
    let arch = TargetArch::try_from(std::env::consts::ARCH)?;
    Ok(SeccompFilter::new(rules, otherwise, matched, arch)?.try_into()?)
}

fn refused() -> Result<BTreeMap<i64, Vec<SeccompRule>>, seccompiler::Error> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
        REFUSED.iter().map(|(call, _)| (*call, Vec::new())).collect();
    let new_namespace: Result<Vec<_>, _> =
        CLONE_NAMESPACES.iter().map(|flag| rule(&[masked(0, u64::from(*flag as u32))?])).collect();
    rules.insert(libc::SYS_clone, new_namespace?);
    let terminal: Result<Vec<_>, _> =
        TERMINAL_REQUESTS.iter().map(|request| rule(&[condition(1, Op::Eq, *request)?])).collect();
    rules.insert(libc::SYS_ioctl, terminal?);
    // Limits of another process: a payload of the same user could change those of PID 1.
    rules.insert(libc::SYS_prlimit64, vec![rule(&[condition(0, Op::Ne, 0)?])?]);
    // Anything but the plain domain and the question for it switches off address randomisation or worse.
    let domain = [condition(0, Op::Ne, 0)?, condition(0, Op::Ne, 0xffff_ffff)?];
    rules.insert(libc::SYS_personality, vec![rule(&domain)?]);
    Ok(rules)
}

/// Neither local sockets nor the two internet families: raw packets, netlink, vsock, kernel crypto and the rest.
fn odd_families() -> Result<SeccompRule, seccompiler::Error> {
    rule(&[
        condition(0, Op::Ne, libc::AF_UNIX as u64)?,
        condition(0, Op::Ne, libc::AF_INET as u64)?,
        condition(0, Op::Ne, libc::AF_INET6 as u64)?,
    ])
}

fn rule(conditions: &[SeccompCondition]) -> Result<SeccompRule, seccompiler::Error> {
    Ok(SeccompRule::new(conditions.to_vec())?)
}

fn condition(argument: u8, operator: Op, value: u64) -> Result<SeccompCondition, seccompiler::Error> {
    Ok(SeccompCondition::new(argument, Width::Dword, operator, value)?)
}

fn masked(argument: u8, flag: u64) -> Result<SeccompCondition, seccompiler::Error> {
    condition(argument, Op::MaskedEq(flag), flag)
}

/// The same list as a container engine takes it (the profile format of the Open Container Initiative), for the first process of
/// a container and everything below it.
///
/// Coarser than [`filters`], which the program gets on top: the profile format cannot refuse single terminal requests, and the
/// first process must set the limits of a trial. What is not named is answered with ENOSYS.
pub(crate) fn profile() -> Result<serde_json::Value, seccompiler::Error> {
    let arch = match TargetArch::try_from(std::env::consts::ARCH)? {
        TargetArch::x86_64 => "SCMP_ARCH_X86_64",
        TargetArch::aarch64 => "SCMP_ARCH_AARCH64",
        TargetArch::riscv64 => "SCMP_ARCH_RISCV64",
    };
    let name = |constant: &'static str| constant.trim_start_matches("SYS_");
    let narrowed = ["SYS_clone", "SYS_socket", "SYS_socketpair", "SYS_personality"];
    let names: Vec<&str> = ALLOWED
        .iter()
        .flat_map(|(_, calls)| calls.iter().map(|(constant, _)| *constant))
        .filter(|constant| !narrowed.contains(constant))
        .map(name)
        .collect();
    let allow = |names: Vec<&str>, arguments: serde_json::Value| serde_json::json!({"names": names, "action": "SCMP_ACT_ALLOW", "args": arguments});
    let equal = |value: u64| serde_json::json!([{"index": 0, "value": value, "op": "SCMP_CMP_EQ"}]);
    let namespaces = CLONE_NAMESPACES.iter().fold(0, |mask, flag| mask | (*flag as u32));
    let no_namespace =
        serde_json::json!([{"index": 0, "value": namespaces, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}]);
    let mut rules = vec![allow(names, serde_json::json!([])), allow(vec!["clone"], no_namespace)];
    for family in [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6] {
        rules.push(allow(vec!["socket", "socketpair"], equal(family as u64)));
    }
    rules.extend([0, 0xffff_ffff].map(|domain| allow(vec!["personality"], equal(domain))));
    Ok(serde_json::json!({
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": libc::ENOSYS,
        "architectures": [arch],
        "syscalls": rules,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_entry_has_a_reason_and_stands_once() {
        let allowed: Vec<i64> =
            ALLOWED.iter().flat_map(|(_, calls)| calls.iter().map(|(_, call)| *call)).collect();
        assert_eq!(allowed.iter().collect::<BTreeSet<_>>().len(), allowed.len());
        assert!(ALLOWED.iter().all(|(reason, _)| !reason.is_empty()));
        assert!(REFUSED.iter().all(|(_, reason)| !reason.is_empty()));
    }

    #[test]
    fn nothing_is_both_allowed_and_refused() {
        let allowed: BTreeSet<i64> =
            ALLOWED.iter().flat_map(|(_, calls)| calls.iter().map(|(_, call)| *call)).collect();
        assert!(REFUSED.iter().all(|(call, _)| !allowed.contains(call)));
    }

    #[test]
    fn clone3_and_io_uring_are_not_allowed() {
        let allowed: BTreeSet<i64> =
            ALLOWED.iter().flat_map(|(_, calls)| calls.iter().map(|(_, call)| *call)).collect();
        assert!(!allowed.contains(&libc::SYS_clone3) && !allowed.contains(&libc::SYS_io_uring_setup));
    }

    #[test]
    fn the_name_space_flags_are_the_known_mask() {
        assert_eq!(CLONE_NAMESPACES.iter().fold(0, |mask, flag| mask | flag), 0x7E02_0000);
    }

    #[test]
    fn the_filters_compile() {
        assert_eq!(filters().unwrap().len(), 3);
    }

    #[test]
    fn the_profile_of_a_container_allows_the_same_calls_and_no_others() {
        let profile = profile().unwrap();
        let rules = profile["syscalls"].as_array().unwrap();
        assert!(rules.iter().all(|rule| rule["action"] == "SCMP_ACT_ALLOW"));
        let named: BTreeSet<&str> = rules
            .iter()
            .flat_map(|rule| rule["names"].as_array().unwrap())
            .map(|name| name.as_str().unwrap())
            .collect();
        let allowed: BTreeSet<&str> = ALLOWED
            .iter()
            .flat_map(|(_, calls)| calls.iter().map(|(name, _)| name.trim_start_matches("SYS_")))
            .collect();
        assert_eq!(named, allowed);
        assert_eq!(
            (&profile["defaultAction"], &profile["defaultErrnoRet"]),
            (&"SCMP_ACT_ERRNO".into(), &38.into())
        );
    }

    #[test]
    fn the_profile_of_a_container_narrows_what_the_filters_narrow() {
        let profile = profile().unwrap();
        for call in ["clone", "socket", "socketpair", "personality"] {
            let rules = profile["syscalls"].as_array().unwrap().iter();
            let naming = rules.filter(|rule| rule["names"].as_array().unwrap().contains(&call.into()));
            let mut found = 0;
            for rule in naming {
                assert_eq!(rule["args"].as_array().unwrap().len(), 1, "{call}: {rule}");
                found += 1;
            }
            assert!(found > 0, "{call} is missing");
        }
        let clone = &profile["syscalls"][1]["args"][0];
        assert_eq!(
            (clone["value"].as_u64(), clone["op"].as_str()),
            (Some(0x7E02_0000), Some("SCMP_CMP_MASKED_EQ"))
        );
    }
}
