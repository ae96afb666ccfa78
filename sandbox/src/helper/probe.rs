//! Harmless attacks from inside a cell, run in place of a program: each tries one forbidden thing and says what came of it.
//!
//! Nothing here can do harm where a barrier is missing: files are opened and closed unread and unwritten, connections go
//! to a canary that the host listens on, calls get arguments that change nothing.

use super::order::{Order, Places, Walls};
use crate::channel::Channel;
use crate::linux;
use serde::{Deserialize, Serialize};
use std::io::{self, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A connection that is refused by a name space is refused at once.
const CONNECT_TIME_MAX: Duration = Duration::from_millis(500);
/// An address outside every host; the name space must have no way to it.
const FAR_AWAY: ([u8; 4], u16) = ([1, 1, 1, 1], 53);

/// What the probe does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Probe {
    /// Tries every barrier once.
    Barriers {
        /// A port on which the host listens on its loopback; 0 to leave this out.
        port: u16,
        /// A host file that nobody mounted.
        canary: PathBuf,
    },
    /// Touches memory until stopped.
    Memory,
    /// Forks sleepers until refused, then waits.
    Processes,
    /// Sleeps for an hour and ignores polite signals.
    Sleep,
    /// Writes until stopped.
    Output,
    /// Fills `/out` until refused; exits 0 if it was.
    Disk,
}

/// What came of one attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Attempt {
    pub(crate) name: String,
    pub(crate) tried: String,
    pub(crate) held: bool,
    pub(crate) seen: String,
}

/// Runs a probe. Descriptor 3 is the control channel; returns the exit code.
pub(crate) fn run(probe: &Probe, order: &Order) -> i32 {
    match probe {
        Probe::Barriers { .. } if order.walls == Walls::Nothing => report(&[own_folders(&order.places)]),
        Probe::Barriers { port, canary } => report(&barriers(*port, canary, order)),
        Probe::Memory => grow(),
        Probe::Processes => fork_many(),
        Probe::Sleep => sleep(),
        Probe::Output => flood(),
        Probe::Disk => fill(&order.places.out),
    }
}

fn report(attempts: &[Attempt]) -> i32 {
    match tell_all(attempts) {
        Ok(()) => 0,
        Err(error) => {
            // Into the log, where the host looks when a probe fails.
            let _ = writeln!(io::stderr(), "probe: {error}");
            3
        }
    }
}

fn tell_all(attempts: &[Attempt]) -> io::Result<()> {
    // The channel that a program would find there.
    let channel = Channel::from_socket(linux::copy_of(3)?);
    attempts.iter().try_for_each(|attempt| {
        let bytes = serde_json::to_vec(attempt)?;
        channel.send(&bytes, &[]).map_err(|error| io::Error::other(format!("{error}: {}", error.kind())))
    })
}

fn attempt(name: &str, tried: &str, result: Result<String, io::Error>, expected: &[i32]) -> Attempt {
    let (held, seen) = match result {
        Ok(what) => (false, what),
        Err(error) => match error.raw_os_error() {
            Some(code) if expected.contains(&code) => (true, error.to_string()),
            _ => (false, format!("unexpected: {error}")),
        },
    };
    Attempt { name: name.into(), tried: tried.into(), held, seen }
}

fn barriers(port: u16, canary: &Path, order: &Order) -> Vec<Attempt> {
    let bare = order.walls.are_bare();
    let mut all = host_files(canary, bare);
    all.extend(if bare { beside_the_host(&order.places) } else { own_root() });
    all.push(own_folders(&order.places));
    all.extend(network(port, bare));
    all.extend(calls());
    all.push(privileges(bare));
    all
}

fn open(path: &Path, write: bool) -> io::Result<String> {
    std::fs::OpenOptions::new().read(!write).write(write).open(path)?;
    Ok(format!("{} could be opened", path.display()))
}

const CLOSED: [i32; 3] = [libc::EROFS, libc::EACCES, libc::EPERM];

fn make(path: &Path) -> io::Result<String> {
    std::fs::File::create(path).map(|_| format!("{} could be made", path.display()))
}

/// Inside walls the host's files are not there; without them they are there and cannot be opened.
fn host_files(canary: &Path, bare: bool) -> Vec<Attempt> {
    let shut = [if bare { libc::EACCES } else { libc::ENOENT }];
    // The image of a container may hold one of its own; it is closed.
    let closed = [shut[0], libc::EACCES];
    let open = |path: &str, write| open(Path::new(path), write);
    vec![
        attempt("host files", "open a file of the host", self::open(canary, false), &shut),
        attempt("host files", "open /etc/shadow", open("/etc/shadow", false), &closed),
        attempt("host files", "open /sys/fs/cgroup", open("/sys/fs/cgroup", false), &shut),
        attempt(
            "kernel settings",
            "open core_pattern to write",
            open("/proc/sys/kernel/core_pattern", true),
            &CLOSED,
        ),
    ]
}

fn own_root() -> Vec<Attempt> {
    let open = |path: &str| open(Path::new(path), false);
    let make = |path: &str| make(Path::new(path));
    vec![
        attempt("secrets", "read PID 1's environment", open("/proc/1/environ"), &CLOSED),
        attempt("secrets", "open PID 1's executable", open("/proc/1/exe"), &CLOSED),
        attempt("read-only root", "make a file in /", make("/canary"), &CLOSED),
        attempt("read-only root", "make a file in /in", make("/in/canary"), &CLOSED),
        processes(),
    ]
}

fn beside_the_host(places: &Places) -> Vec<Attempt> {
    let parent = rustix::process::getppid().map_or(1, |pid| pid.as_raw_nonzero().get());
    let of_parent = |what: &str| open(Path::new(&format!("/proc/{parent}/{what}")), false);
    let beside = places.out.with_file_name("canary");
    let listed = std::fs::read_dir("/proc").map(|entries| format!("{} entries in sight", entries.count()));
    let signalled = linux::try_call(libc::SYS_kill, [i64::from(parent), 0, 0]);
    vec![
        attempt("secrets", "read the supervisor's environment", of_parent("environ"), &CLOSED),
        attempt("secrets", "open the supervisor's memory", of_parent("mem"), &CLOSED),
        attempt("host files", "make a file beside the own folder", make(&beside), &CLOSED),
        attempt("other processes", "list processes", listed, &CLOSED),
        attempt("other processes", "signal the supervisor", signalled.map(|_| "it can be".into()), &CLOSED),
    ]
}

fn own_folders(places: &Places) -> Attempt {
    let (out, tmp) = (places.out.join("canary"), places.tmp.join("canary"));
    let works = make(&out).is_ok() && make(&tmp).is_ok() && std::fs::remove_file(&out).is_ok();
    Attempt {
        name: "own folder".into(),
        tried: "make a file in /out and /tmp".into(),
        held: works,
        seen: if works { "works, as it must" } else { "does not work" }.into(),
    }
}

fn network(port: u16, bare: bool) -> Vec<Attempt> {
    // An own network has no way anywhere; in the host's a socket cannot be had.
    let answer = |walled: i32| [if bare { libc::EPERM } else { walled }];
    let connect = |address: SocketAddr| {
        TcpStream::connect_timeout(&address, CONNECT_TIME_MAX).map(|_| format!("{address} answered"))
    };
    let away = SocketAddr::from((Ipv4Addr::from(FAR_AWAY.0), FAR_AWAY.1));
    let mut all =
        vec![attempt("network", "connect to an address outside", connect(away), &answer(libc::ENETUNREACH))];
    if port != 0 {
        let local = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        all.push(attempt(
            "network",
            "connect to a port of the host",
            connect(local),
            &answer(libc::ECONNREFUSED),
        ));
    }
    all
}

fn calls() -> Vec<Attempt> {
    let call = |number: i64, arguments: [i64; 3]| {
        linux::try_call(number, arguments).map(|_| "the call went through".into())
    };
    let refused = [libc::EPERM];
    let family = |family: i32| call(libc::SYS_socket, [i64::from(family), i64::from(libc::SOCK_RAW), 0]);
    let odd = [libc::EAFNOSUPPORT, libc::EPERM];
    let user = i64::from(libc::CLONE_NEWUSER);
    vec![
        attempt("name spaces", "unshare", call(libc::SYS_unshare, [user, 0, 0]), &refused),
        attempt("name spaces", "mount", call(libc::SYS_mount, [0, 0, 0]), &refused),
        attempt("name spaces", "setns", call(libc::SYS_setns, [-1, 0, 0]), &refused),
        attempt("name spaces", "clone3", call(libc::SYS_clone3, [0, 0, 0]), &[libc::ENOSYS]),
        attempt("system calls", "ptrace", call(libc::SYS_ptrace, [-1, 0, 0]), &refused),
        attempt("system calls", "io_uring", call(libc::SYS_io_uring_setup, [0, 0, 0]), &refused),
        attempt("system calls", "bpf", call(libc::SYS_bpf, [-1, 0, 0]), &refused),
        attempt("system calls", "keyctl", call(libc::SYS_keyctl, [0, 0, 0]), &refused),
        attempt("system calls", "limits of PID 1", call(libc::SYS_prlimit64, [1, 0, 0]), &refused),
        attempt("system calls", "an unknown call", call(4095, [0, 0, 0]), &[libc::ENOSYS]),
        attempt("network", "raw packets", family(libc::AF_PACKET), &odd),
        attempt("network", "kernel messages (netlink)", family(libc::AF_NETLINK), &odd),
        attempt("network", "virtual machine sockets", family(libc::AF_VSOCK), &odd),
        attempt("privileges", "become root", call(libc::SYS_setuid, [0, 0, 0]), &[libc::EINVAL, libc::EPERM]),
    ]
}

fn privileges(bare: bool) -> Attempt {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let value = |key: &str| status.lines().find_map(|line| line.strip_prefix(key)).map_or("?", str::trim);
    let held = value("NoNewPrivs:") == "1"
        && value("Seccomp:") == "2"
        // The bounding set can only be emptied with a privilege, and without new privileges it bounds nothing.
        && ["CapEff:", "CapPrm:", "CapInh:", "CapAmb:", "CapBnd:"][..if bare { 4 } else { 5 }]
            .iter()
            .all(|set| value(set).trim_matches('0').is_empty());
    let seen = format!(
        "NoNewPrivs {}, Seccomp {}, CapEff {}",
        value("NoNewPrivs:"),
        value("Seccomp:"),
        value("CapEff:")
    );
    Attempt { name: "privileges".into(), tried: "read own status".into(), held, seen }
}

fn processes() -> Attempt {
    let is_pid = |entry: &std::fs::DirEntry| entry.file_name().to_string_lossy().parse::<u32>().is_ok();
    let pids =
        std::fs::read_dir("/proc").map_or(usize::MAX, |entries| entries.flatten().filter(is_pid).count());
    Attempt {
        name: "other processes".into(),
        tried: "list processes".into(),
        held: pids <= 2,
        seen: format!("{pids} processes in sight"),
    }
}

fn grow() -> i32 {
    let mut kept: Vec<Vec<u8>> = Vec::new();
    loop {
        let mut piece = Vec::new();
        if piece.try_reserve_exact(1 << 20).is_err() {
            return 4;
        }
        piece.resize(1 << 20, 1_u8);
        kept.push(piece);
    }
}

fn fork_many() -> i32 {
    loop {
        match linux::fork() {
            Ok(None) => return sleep(),
            Ok(Some(_)) => {}
            // Refused, as expected. The children are still there and must be cleared away by the host.
            Err(_) => return 5,
        }
    }
}

fn sleep() -> i32 {
    linux::ignore_terminate();
    std::thread::sleep(Duration::from_hours(1));
    0
}

fn flood() -> i32 {
    let piece = [b'A'; 16 * 1024];
    let mut out = io::stdout().lock();
    while out.write_all(&piece).is_ok() {}
    6
}

fn fill(out: &Path) -> i32 {
    let Ok(mut file) = std::fs::File::create(out.join("full")) else {
        return 7;
    };
    let piece = vec![1_u8; 1 << 16];
    loop {
        match file.write_all(&piece) {
            Ok(()) => {}
            Err(error) if matches!(error.raw_os_error(), Some(libc::ENOSPC | libc::EFBIG)) => return 0,
            Err(_) => return 7,
        }
    }
}
