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

/// A reason and the calls that it allows.
type Allowed = (&'static str, &'static [i64]);
/// A call that is refused with EPERM, and why.
type Refused = (i64, &'static str);

const ALLOWED: &[Allowed] = &[
    (
        "read and write open files",
        &[
            libc::SYS_read,
            libc::SYS_write,
            libc::SYS_readv,
            libc::SYS_writev,
            libc::SYS_pread64,
            libc::SYS_pwrite64,
            libc::SYS_preadv,
            libc::SYS_pwritev,
            libc::SYS_preadv2,
            libc::SYS_pwritev2,
            libc::SYS_lseek,
            libc::SYS_sendfile,
            libc::SYS_copy_file_range,
            libc::SYS_splice,
            libc::SYS_tee,
            libc::SYS_readahead,
            libc::SYS_fadvise64,
        ],
    ),
    (
        "open, close and duplicate descriptors",
        &[
            libc::SYS_openat,
            libc::SYS_openat2,
            libc::SYS_close,
            libc::SYS_close_range,
            libc::SYS_dup,
            libc::SYS_dup3,
            libc::SYS_fcntl,
            libc::SYS_ioctl,
            libc::SYS_flock,
            libc::SYS_pipe2,
        ],
    ),
    (
        "ask about files",
        &[
            libc::SYS_fstat,
            libc::SYS_newfstatat,
            libc::SYS_statx,
            libc::SYS_statfs,
            libc::SYS_fstatfs,
            libc::SYS_faccessat,
            libc::SYS_faccessat2,
            libc::SYS_readlinkat,
            libc::SYS_getdents64,
            libc::SYS_getcwd,
            libc::SYS_getxattr,
            libc::SYS_lgetxattr,
            libc::SYS_fgetxattr,
            libc::SYS_listxattr,
            libc::SYS_llistxattr,
            libc::SYS_flistxattr,
        ],
    ),
    (
        "change files in the writable folders; the mounts and Landlock decide which",
        &[
            libc::SYS_mkdirat,
            libc::SYS_unlinkat,
            libc::SYS_renameat,
            libc::SYS_renameat2,
            libc::SYS_linkat,
            libc::SYS_symlinkat,
            libc::SYS_fchmod,
            libc::SYS_fchmodat,
            libc::SYS_fchmodat2,
            libc::SYS_fchown,
            libc::SYS_fchownat,
            libc::SYS_utimensat,
            libc::SYS_truncate,
            libc::SYS_ftruncate,
            libc::SYS_fallocate,
            libc::SYS_fsync,
            libc::SYS_fdatasync,
            libc::SYS_sync_file_range,
            libc::SYS_syncfs,
            libc::SYS_sync,
            libc::SYS_umask,
            libc::SYS_chdir,
            libc::SYS_fchdir,
            libc::SYS_setxattr,
            libc::SYS_lsetxattr,
            libc::SYS_fsetxattr,
            libc::SYS_removexattr,
            libc::SYS_lremovexattr,
            libc::SYS_fremovexattr,
        ],
    ),
    (
        "memory of this process",
        &[
            libc::SYS_brk,
            libc::SYS_mmap,
            libc::SYS_munmap,
            libc::SYS_mremap,
            libc::SYS_mprotect,
            libc::SYS_madvise,
            libc::SYS_mincore,
            libc::SYS_msync,
            libc::SYS_mlock,
            libc::SYS_mlock2,
            libc::SYS_munlock,
            libc::SYS_mlockall,
            libc::SYS_munlockall,
            libc::SYS_memfd_create,
            libc::SYS_membarrier,
            libc::SYS_pkey_alloc,
            libc::SYS_pkey_free,
            libc::SYS_pkey_mprotect,
            libc::SYS_mseal,
        ],
    ),
    (
        "placement of memory on NUMA machines, asked by OpenMP and BLAS",
        &[libc::SYS_get_mempolicy, libc::SYS_set_mempolicy, libc::SYS_mbind],
    ),
    (
        "threads and locks",
        &[
            libc::SYS_clone,
            libc::SYS_futex,
            libc::SYS_futex_waitv,
            libc::SYS_set_robust_list,
            libc::SYS_get_robust_list,
            libc::SYS_set_tid_address,
            libc::SYS_gettid,
            libc::SYS_rseq,
            libc::SYS_sched_yield,
            libc::SYS_sched_getaffinity,
            libc::SYS_sched_setaffinity,
            libc::SYS_sched_getparam,
            libc::SYS_sched_setparam,
            libc::SYS_sched_getscheduler,
            libc::SYS_sched_setscheduler,
            libc::SYS_sched_getattr,
            libc::SYS_sched_setattr,
            libc::SYS_sched_get_priority_max,
            libc::SYS_sched_get_priority_min,
            libc::SYS_sched_rr_get_interval,
            libc::SYS_getcpu,
            libc::SYS_getpriority,
            libc::SYS_setpriority,
            libc::SYS_ioprio_get,
            libc::SYS_ioprio_set,
        ],
    ),
    (
        "start, await and end processes of the cell",
        &[
            libc::SYS_execve,
            libc::SYS_execveat,
            libc::SYS_exit,
            libc::SYS_exit_group,
            libc::SYS_wait4,
            libc::SYS_waitid,
            libc::SYS_kill,
            libc::SYS_tkill,
            libc::SYS_tgkill,
            libc::SYS_pidfd_open,
            libc::SYS_pidfd_send_signal,
            libc::SYS_setsid,
            libc::SYS_getsid,
            libc::SYS_setpgid,
            libc::SYS_getpgid,
            libc::SYS_getpid,
            libc::SYS_getppid,
            libc::SYS_times,
            libc::SYS_getrusage,
            libc::SYS_prlimit64,
            libc::SYS_getrlimit,
            libc::SYS_setrlimit,
        ],
    ),
    (
        "signals within the cell",
        &[
            libc::SYS_rt_sigaction,
            libc::SYS_rt_sigprocmask,
            libc::SYS_rt_sigreturn,
            libc::SYS_rt_sigpending,
            libc::SYS_rt_sigsuspend,
            libc::SYS_rt_sigtimedwait,
            libc::SYS_rt_sigqueueinfo,
            libc::SYS_rt_tgsigqueueinfo,
            libc::SYS_sigaltstack,
            libc::SYS_signalfd4,
            libc::SYS_restart_syscall,
        ],
    ),
    (
        "clocks and timers; setting a clock is not among them",
        &[
            libc::SYS_clock_gettime,
            libc::SYS_clock_getres,
            libc::SYS_clock_nanosleep,
            libc::SYS_nanosleep,
            libc::SYS_gettimeofday,
            libc::SYS_getitimer,
            libc::SYS_setitimer,
            libc::SYS_timer_create,
            libc::SYS_timer_settime,
            libc::SYS_timer_gettime,
            libc::SYS_timer_getoverrun,
            libc::SYS_timer_delete,
            libc::SYS_timerfd_create,
            libc::SYS_timerfd_settime,
            libc::SYS_timerfd_gettime,
        ],
    ),
    (
        "wait for events",
        &[
            libc::SYS_ppoll,
            libc::SYS_pselect6,
            libc::SYS_epoll_create1,
            libc::SYS_epoll_ctl,
            libc::SYS_epoll_pwait,
            libc::SYS_epoll_pwait2,
            libc::SYS_eventfd2,
            libc::SYS_inotify_init1,
            libc::SYS_inotify_add_watch,
            libc::SYS_inotify_rm_watch,
        ],
    ),
    (
        "sockets: multiprocessing, asyncio and joblib talk over them; the network name space has only a loopback",
        &[
            libc::SYS_socket,
            libc::SYS_socketpair,
            libc::SYS_bind,
            libc::SYS_listen,
            libc::SYS_accept,
            libc::SYS_accept4,
            libc::SYS_connect,
            libc::SYS_getsockname,
            libc::SYS_getpeername,
            libc::SYS_getsockopt,
            libc::SYS_setsockopt,
            libc::SYS_sendto,
            libc::SYS_recvfrom,
            libc::SYS_sendmsg,
            libc::SYS_recvmsg,
            libc::SYS_sendmmsg,
            libc::SYS_recvmmsg,
            libc::SYS_shutdown,
        ],
    ),
    (
        "who am I; changing to another id fails without capabilities and with a single mapped id",
        &[
            libc::SYS_getuid,
            libc::SYS_geteuid,
            libc::SYS_getgid,
            libc::SYS_getegid,
            libc::SYS_getgroups,
            libc::SYS_getresuid,
            libc::SYS_getresgid,
            libc::SYS_setuid,
            libc::SYS_setgid,
            libc::SYS_setreuid,
            libc::SYS_setregid,
            libc::SYS_setresuid,
            libc::SYS_setresgid,
            libc::SYS_setgroups,
            libc::SYS_setfsuid,
            libc::SYS_setfsgid,
            libc::SYS_capget,
            libc::SYS_capset,
        ],
    ),
    ("ask about the machine", &[libc::SYS_uname, libc::SYS_sysinfo, libc::SYS_getrandom]),
    (
        "lock oneself up further: a trial adds its own filter and Landlock domain",
        &[
            libc::SYS_prctl,
            libc::SYS_seccomp,
            libc::SYS_landlock_create_ruleset,
            libc::SYS_landlock_add_rule,
            libc::SYS_landlock_restrict_self,
        ],
    ),
    (
        "programs ask for the current execution domain; the argument is checked below",
        &[libc::SYS_personality],
    ),
    #[cfg(target_arch = "x86_64")]
    (
        "older names of calls above, which C libraries on this processor still use",
        &[
            libc::SYS_open,
            libc::SYS_creat,
            libc::SYS_stat,
            libc::SYS_lstat,
            libc::SYS_access,
            libc::SYS_readlink,
            libc::SYS_getdents,
            libc::SYS_mkdir,
            libc::SYS_rmdir,
            libc::SYS_unlink,
            libc::SYS_rename,
            libc::SYS_link,
            libc::SYS_symlink,
            libc::SYS_chmod,
            libc::SYS_chown,
            libc::SYS_lchown,
            libc::SYS_utime,
            libc::SYS_utimes,
            libc::SYS_futimesat,
            libc::SYS_dup2,
            libc::SYS_pipe,
            libc::SYS_poll,
            libc::SYS_select,
            libc::SYS_epoll_create,
            libc::SYS_epoll_wait,
            libc::SYS_eventfd,
            libc::SYS_signalfd,
            libc::SYS_inotify_init,
            libc::SYS_fork,
            libc::SYS_vfork,
            libc::SYS_getpgrp,
            libc::SYS_pause,
            libc::SYS_alarm,
            libc::SYS_time,
            libc::SYS_arch_prctl,
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
        ALLOWED.iter().flat_map(|(_, calls)| calls.iter().map(|call| (*call, Vec::new()))).collect();
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_entry_has_a_reason_and_stands_once() {
        let allowed: Vec<i64> = ALLOWED.iter().flat_map(|(_, calls)| calls.iter().copied()).collect();
        assert_eq!(allowed.iter().collect::<BTreeSet<_>>().len(), allowed.len());
        assert!(ALLOWED.iter().all(|(reason, _)| !reason.is_empty()));
        assert!(REFUSED.iter().all(|(_, reason)| !reason.is_empty()));
    }

    #[test]
    fn nothing_is_both_allowed_and_refused() {
        let allowed: BTreeSet<i64> = ALLOWED.iter().flat_map(|(_, calls)| calls.iter().copied()).collect();
        assert!(REFUSED.iter().all(|(call, _)| !allowed.contains(call)));
    }

    #[test]
    fn clone3_and_io_uring_are_not_allowed() {
        let allowed: BTreeSet<i64> = ALLOWED.iter().flat_map(|(_, calls)| calls.iter().copied()).collect();
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
}
