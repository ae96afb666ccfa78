//! System calls that no safe crate offers. The only `unsafe` of the product; nothing here decides anything.
#![expect(unsafe_code, reason = "fork, mount_setattr and friends have no safe wrapper")]

pub(crate) mod mapped;
pub(crate) mod seccomp;

use rustix::process::Pid;
use rustix::thread::UnshareFlags;
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, FromRawFd as _, IntoRawFd as _, OwnedFd};

/// Attributes of a mount that forbid something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Attributes(u64);

impl Attributes {
    /// For folders and files: nothing can be written, no set-user-id, no devices.
    pub(crate) const READ_ONLY: Self =
        Self(libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV);
    /// For the harmless device nodes: the mount is read-only, the device itself can be used.
    pub(crate) const DEVICE: Self =
        Self(libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NOEXEC);
}

fn checked(result: i64) -> io::Result<i64> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// Forks a process that has one thread. Returns `None` in the child.
pub(crate) fn fork() -> io::Result<Option<Pid>> {
    // SAFETY: the helper calls this while it has a single thread (it starts none), so no lock can be left held in the
    // child and any code may run there.
    let pid = checked(i64::from(unsafe { libc::fork() }))?;
    Ok(Pid::from_raw(pid as i32))
}

/// Leaves this process at once, without running destructors or exit handlers twice after a fork.
pub(crate) fn leave(code: i32) -> ! {
    // SAFETY: `_exit` has no preconditions and does not return.
    unsafe { libc::_exit(code) }
}

/// Moves this process into new name spaces.
pub(crate) fn unshare(flags: UnshareFlags) -> io::Result<()> {
    // SAFETY: `flags` never contain FILES (all callers name name spaces only), and the process has a single thread.
    unsafe { rustix::thread::unshare_unsafe(flags & !UnshareFlags::FILES) }.map_err(Into::into)
}

/// Adds attributes to a mount tree and takes it out of any propagation group.
pub(crate) fn restrict_mount(tree: impl AsFd, attributes: Attributes, recursive: bool) -> io::Result<()> {
    let wanted =
        libc::mount_attr { attr_set: attributes.0, attr_clr: 0, propagation: libc::MS_PRIVATE, userns_fd: 0 };
    let flags = libc::AT_EMPTY_PATH | if recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: the path is a NUL-terminated constant, `wanted` lives through the call and its true size is passed.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            tree.as_fd().as_raw_fd(),
            c"".as_ptr(),
            flags,
            std::ptr::from_ref(&wanted),
            size_of::<libc::mount_attr>(),
        )
    };
    checked(result).map(drop)
}

/// Closes every descriptor from `first` on.
pub(crate) fn close_from(first: u32) -> io::Result<()> {
    // SAFETY: callers hold no `OwnedFd` at or above `first` that they use afterwards: it is called before the first
    // descriptor is made, or in a child that continues with descriptors below `first` only.
    checked(unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, 0_u32) }).map(drop)
}

/// Moves a descriptor to `number`, to stay open across `execve` and as long as the process lives.
///
/// `number` is 0 to 3: the helper keeps all four occupied from its first moment on, so none of them ever has an owner that
/// could be surprised.
pub(crate) fn place(descriptor: OwnedFd, number: i32) -> io::Result<()> {
    if descriptor.as_raw_fd() == number {
        // `dup2` onto itself would leave the close-on-exec mark in place.
        rustix::io::fcntl_setfd(&descriptor, rustix::io::FdFlags::empty())?;
        let _placed = descriptor.into_raw_fd();
        return Ok(());
    }
    // SAFETY: as said above, no `OwnedFd` refers to `number`; whatever is there is meant to be replaced.
    checked(i64::from(unsafe { libc::dup2(descriptor.as_raw_fd(), number) })).map(drop)
}

/// A copy of a descriptor that is known by number only.
pub(crate) fn copy_of(number: i32) -> io::Result<OwnedFd> {
    // SAFETY: the kernel checks the number; the new descriptor is owned by nobody else.
    unsafe {
        let raw = checked(i64::from(libc::fcntl(number, libc::F_DUPFD_CLOEXEC, 4)))?;
        Ok(OwnedFd::from_raw_fd(raw as i32))
    }
}

/// Makes this process deaf to the polite request to end, for the probe that must be killed.
pub(crate) fn ignore_terminate() {
    // SAFETY: SIG_IGN installs no handler.
    unsafe {
        libc::signal(libc::SIGTERM, libc::SIG_IGN);
    }
}

/// A descriptor that becomes readable when a child ends.
pub(crate) fn child_signals() -> io::Result<OwnedFd> {
    // SAFETY: `sigset_t` is plain bytes that `sigemptyset` initialises; the pointers are valid for the calls; the new
    // descriptor is owned by nobody else.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, libc::SIGCHLD);
        checked(i64::from(libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut())))?;
        let raw = libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK);
        checked(i64::from(raw))?;
        Ok(OwnedFd::from_raw_fd(raw))
    }
}

/// How a child ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Obituary {
    /// Whether it exited by itself with code 0.
    pub(crate) succeeded: bool,
    /// Processor seconds of it and of all that it had waited for.
    pub(crate) cpu_s: f64,
}

/// Collects a child that has ended, waiting for it if need be. `None` if it was collected before.
pub(crate) fn collect_child(pid: Pid) -> Option<Obituary> {
    let mut status = 0;
    // SAFETY: `rusage` is plain numbers for which all zeroes is valid; both pointers are valid for the call.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        let waited = libc::wait4(pid.as_raw_nonzero().get(), &raw mut status, 0, &raw mut usage);
        (waited > 0).then_some(usage)?
    };
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    let cpu_s = seconds(usage.ru_utime) + seconds(usage.ru_stime);
    Some(Obituary { succeeded: libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0, cpu_s })
}

/// Undoes what the Rust runtime and [`child_signals`] changed, for a program that is about to start.
pub(crate) fn default_signals() -> io::Result<()> {
    // SAFETY: as in `child_signals`; setting SIGPIPE to its default action installs no handler.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        checked(i64::from(libc::sigprocmask(libc::SIG_SETMASK, &raw const set, std::ptr::null_mut())))?;
        if libc::signal(libc::SIGPIPE, libc::SIG_DFL) == libc::SIG_ERR {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// Gives up every capability for good: bounding, ambient, permitted, effective, inheritable.
pub(crate) fn drop_capabilities() -> io::Result<()> {
    // Capabilities are numbered without gaps; the first number that the kernel does not know ends the list.
    for number in 0..64_i64 {
        // SAFETY: PR_CAPBSET_DROP takes one integer and touches no memory.
        if unsafe { libc::prctl(libc::PR_CAPBSET_DROP, number, 0, 0, 0) } < 0 {
            let error = io::Error::last_os_error();
            if error.raw_os_error() == Some(libc::EINVAL) && number > 0 {
                break;
            }
            return Err(error);
        }
    }
    rustix::thread::clear_ambient_capability_set()?;
    let none = rustix::thread::CapabilitySet::empty();
    let sets = rustix::thread::CapabilitySets { effective: none, permitted: none, inheritable: none };
    rustix::thread::set_capabilities(None, sets).map_err(Into::into)
}

/// The version of Landlock that the kernel has; 0 without it.
pub(crate) fn landlock_version() -> i32 {
    const VERSION: u32 = 1;
    // SAFETY: with this flag the call takes no attributes, touches no memory, and answers a number.
    let answer =
        unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, std::ptr::null::<u8>(), 0_usize, VERSION) };
    i32::try_from(answer.max(0)).unwrap_or(0)
}

/// Switches the loopback interface of this network name space on.
pub(crate) fn loopback_up() -> io::Result<()> {
    let socket = rustix::net::socket_with(
        rustix::net::AddressFamily::INET,
        rustix::net::SocketType::DGRAM,
        rustix::net::SocketFlags::CLOEXEC,
        None,
    )?;
    // SAFETY: `ifreq` is plain data for which all zeroes is valid.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
        *to = *from as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: SIOCSIFFLAGS reads one `ifreq`, which lives through the call.
    checked(i64::from(unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) }))
        .map(drop)
}

/// Runs one system call by number with three arguments, for the probe that tries forbidden ones.
///
/// Only numbers that cannot touch this process's memory may be passed; the probe's table names them.
pub(crate) fn try_call(number: i64, arguments: [i64; 3]) -> io::Result<i64> {
    // SAFETY: the probe passes integers and null pointers only, to calls that check them before use; it runs in a cell of
    // its own and ends right after.
    checked(unsafe { libc::syscall(number, arguments[0], arguments[1], arguments[2], 0, 0, 0) })
}
