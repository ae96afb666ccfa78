"""The lock of a child: Landlock, no-new-privileges, a seccomp filter and resource limits, by raw system
calls.

Whom it distrusts: the solution code that runs afterwards in this very process. What that code may still do:
read files outside the trial folders, write into its own trial folder, compute with threads and subprocesses,
and talk to the host on the trial's own channel. What it must not: read or signal another trial or the zygote,
or leave anything that another trial could find. Covert channels through load and timing are not closed.
"""

from __future__ import annotations

import ctypes
import os
import platform
import resource
import stat
import struct
from dataclasses import dataclass
from pathlib import Path

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_SECCOMP = 22
PR_SET_NO_NEW_PRIVS = 38
SECCOMP_MODE_FILTER = 2
SIGKILL = 9

FILE_BYTES_MAX = 2 * 1024**3
"""Largest file that a trial may write; the folder itself is capped by the host."""


DESCRIPTORS_MIN = 65_536
"""Numbers up to here are closed even where the limit on descriptors is unknown or was lowered since."""


class LockError(Exception):
    """A barrier that this kernel offers could not be put up."""


def prctl(option: int, value: int, third: int = 0) -> None:
    """`prctl(2)`; raises `LockError` when the kernel refuses."""
    library = ctypes.CDLL(None, use_errno=True)
    zero = ctypes.c_ulong(0)
    if library.prctl(ctypes.c_int(option), ctypes.c_ulong(value), ctypes.c_ulong(third), zero, zero) != 0:
        raise LockError(f"prctl({option}): {os.strerror(ctypes.get_errno())}")


def _syscall(number: int, *arguments: int | None) -> int:
    library = ctypes.CDLL(None, use_errno=True)
    library.syscall.restype = ctypes.c_long
    values = [ctypes.c_void_p(a) if a is None else ctypes.c_ulong(a & 0xFFFFFFFFFFFFFFFF) for a in arguments]
    return int(library.syscall(ctypes.c_long(number), *values))


# --- Landlock

LANDLOCK_CREATE_RULESET = 444
LANDLOCK_ADD_RULE = 445
LANDLOCK_RESTRICT_SELF = 446
RULE_PATH_BENEATH = 1

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
REMOVE_DIR, REMOVE_FILE, MAKE_DIR, MAKE_REG, MAKE_SYM = 1 << 4, 1 << 5, 1 << 7, 1 << 8, 1 << 12
REFER, TRUNCATE, IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15

FS_ACCESS_BY_ABI = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 5: (1 << 16) - 1}
"""Every file access right that an ABI knows: 13 at first, then refer, truncate, device ioctl."""

READ = EXECUTE | READ_FILE | READ_DIR
FILE_ONLY = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV
# Neither devices nor sockets nor fifos: nothing in a trial folder needs to be a meeting point.
OWN_FOLDER = READ | WRITE_FILE | REMOVE_DIR | REMOVE_FILE | MAKE_DIR | MAKE_REG | MAKE_SYM | REFER | TRUNCATE

PROC_FILES = ("cpuinfo", "meminfo", "stat", "version", "filesystems", "loadavg", "uptime", "sys")
"""What numeric libraries read in /proc; other processes' names and command lines could carry messages."""

DEVICES = ("zero", "full", "random", "urandom")

GPU_PROC_FILES = ("driver", "devices", "modules")
"""What the library of a GPU's driver reads in /proc before it starts."""

SHARED = Path("/dev/shm")


def landlock_abi() -> int:
    """The Landlock version of this kernel, 0 without it."""
    return max(_syscall(LANDLOCK_CREATE_RULESET, None, 0, 1), 0)


def landlock(own: Path, abi: int, devices: tuple[Path, ...] = ()) -> None:
    """Read-only everywhere but `own`, whose siblings are not even readable; no signals, abstract sockets, TCP
    outward. With GPU nodes in `devices`, these and what their driver needs.
    """
    handled = FS_ACCESS_BY_ABI[max(version for version in FS_ACCESS_BY_ABI if version <= abi)]
    # TCP bind and connect from version 4, abstract sockets and signals from version 6.
    attributes = struct.pack("QQQ", handled, 3 if abi >= 4 else 0, 3 if abi >= 6 else 0)
    attributes = attributes[: 24 if abi >= 6 else 16 if abi >= 4 else 8]
    buffer = ctypes.create_string_buffer(attributes, len(attributes))
    ruleset = _syscall(LANDLOCK_CREATE_RULESET, ctypes.addressof(buffer), len(attributes), 0)
    if ruleset < 0:
        raise LockError(f"landlock_create_ruleset: {os.strerror(ctypes.get_errno())}")
    try:
        hidden = {own.parent.resolve(), Path("/proc"), Path("/dev")}
        # A cell without a root of its own names what it shows: it may not even list the rest of the host.
        for top in os.environ.get("CELL_READABLE", "/").split(":"):
            for path in readable(Path(top), hidden):
                _grant(ruleset, path, READ & handled)
        for path in proc_and_devices():
            _grant(ruleset, path, READ & handled)
        _grant(ruleset, Path("/dev/null"), (READ_FILE | WRITE_FILE) & handled)
        _grant(ruleset, own, OWN_FOLDER & handled)
        if devices:
            _grant_gpu(ruleset, devices, handled)
        if _syscall(LANDLOCK_RESTRICT_SELF, ruleset, 0) != 0:
            raise LockError(f"landlock_restrict_self: {os.strerror(ctypes.get_errno())}")
    finally:
        os.close(ruleset)


def _grant_gpu(ruleset: int, devices: tuple[Path, ...], handled: int) -> None:
    for device in devices:
        _grant(ruleset, device, (READ_FILE | WRITE_FILE | IOCTL_DEV) & handled)
    for name in GPU_PROC_FILES:
        _grant(ruleset, Path("/proc", name), READ & handled)
    # The driver names its threads in /proc and does not start where it may not. Beneath this process's own
    # entry there is nothing that it could not do to itself anyway.
    _grant(ruleset, Path("/proc", str(os.getpid())), (READ | WRITE_FILE | TRUNCATE) & handled)
    # Emptied before each such trial, of which there is one at a time.
    _grant(ruleset, SHARED, OWN_FOLDER & handled)


def readable(top: Path, hidden: set[Path]) -> list[Path]:
    """The fewest paths beneath `top` that together cover all of it but the hidden paths."""
    if top in hidden:
        return []
    if not any(path.is_relative_to(top) for path in hidden):
        return [top]
    return [
        found
        for child in sorted(top.iterdir())
        if not child.is_symlink()
        for found in readable(child, hidden)
    ]


def proc_and_devices() -> list[Path]:
    """What is readable in /proc and /dev: facts about the machine, this process itself, sources of bytes."""
    proc = [Path("/proc", name) for name in PROC_FILES] + [Path("/proc", str(os.getpid()))]
    return proc + [Path("/dev", name) for name in DEVICES]


def _grant(ruleset: int, path: Path, access: int) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return  # What cannot be opened needs no permission.
    try:
        if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            access &= FILE_ONLY
        rule = ctypes.create_string_buffer(struct.pack("=Qi", access, descriptor), 12)
        if _syscall(LANDLOCK_ADD_RULE, ruleset, RULE_PATH_BENEATH, ctypes.addressof(rule), 0) != 0:
            raise LockError(f"landlock_add_rule {path}: {os.strerror(ctypes.get_errno())}")
    finally:
        os.close(descriptor)


# --- seccomp

LD_WORD, JUMP_EQUAL, JUMP_AT_LEAST, RETURN = 0x20, 0x15, 0x35, 0x06
ALLOW, DENY, KILL_PROCESS = 0x7FFF0000, 0x00050000, 0x80000000
EPERM = 1
X32_BIT = 0x40000000

AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}


@dataclass(frozen=True)
class Denied:
    """A system call that is refused, with its number on x86-64 and arm64 (-1: absent) and the reason.

    With `argument`, it is refused only when that argument is one of `values` (or, with `unless`, none of
    them).
    """

    name: str
    x86_64: int
    aarch64: int
    reason: str
    argument: int | None = None
    values: tuple[int, ...] = ()
    unless: bool = False

    def number(self, machine: str) -> int:
        """The number of the call on a machine, -1 when it has none."""
        return self.x86_64 if machine == "x86_64" else self.aarch64


OTHERS_MEMORY = "reaches into another process"
MAILBOX = "a mailbox between trials that share a user"
LOCKS = "locks on files that all trials can open carry bits between them"
ADDRESS = "a socket with an address is a meeting point"
KERNEL = "changes what the process is locked into, or widens the reach of the kernel"

DENIED = (
    Denied("ptrace", 101, 117, OTHERS_MEMORY),
    Denied("process_vm_readv", 310, 270, OTHERS_MEMORY),
    Denied("process_vm_writev", 311, 271, OTHERS_MEMORY),
    Denied("process_madvise", 440, 440, OTHERS_MEMORY),
    Denied("pidfd_getfd", 438, 438, OTHERS_MEMORY),
    Denied("kcmp", 312, 272, OTHERS_MEMORY),
    Denied("prlimit64", 302, 261, "sets the limits of another process", 0, (0,), unless=True),
    Denied("setpriority", 141, 140, "slows another trial down", 1, (0,), unless=True),
    Denied("prctl", 157, 167, "would make memory and descriptors readable to equals", 0, (PR_SET_DUMPABLE,)),
    Denied("shmget", 29, 194, MAILBOX),
    Denied("shmat", 30, 196, MAILBOX),
    Denied("shmctl", 31, 195, MAILBOX),
    Denied("semget", 64, 190, MAILBOX),
    Denied("semop", 65, 193, MAILBOX),
    Denied("semctl", 66, 191, MAILBOX),
    Denied("semtimedop", 220, 192, MAILBOX),
    Denied("msgget", 68, 186, MAILBOX),
    Denied("msgsnd", 69, 189, MAILBOX),
    Denied("msgrcv", 70, 188, MAILBOX),
    Denied("msgctl", 71, 187, MAILBOX),
    Denied("mq_open", 240, 180, MAILBOX),
    Denied("mq_unlink", 241, 181, MAILBOX),
    Denied("add_key", 248, 217, MAILBOX),
    Denied("request_key", 249, 218, MAILBOX),
    Denied("keyctl", 250, 219, MAILBOX),
    Denied("inotify_init", 253, -1, "sees which shared files another trial opens"),
    Denied("inotify_init1", 294, 26, "sees which shared files another trial opens"),
    Denied("fanotify_init", 300, 262, "sees which shared files another trial opens"),
    Denied("flock", 73, 32, LOCKS),
    # F_SETLK, F_SETLKW, F_OFD_SETLK, F_OFD_SETLKW, F_SETLEASE, F_NOTIFY.
    Denied("fcntl", 72, 25, LOCKS, 1, (6, 7, 37, 38, 1024, 1026)),
    # Socket pairs stay: they have no address.
    Denied("socket", 41, 198, ADDRESS),
    Denied("bind", 49, 200, ADDRESS),
    Denied("connect", 42, 203, ADDRESS),
    Denied("listen", 50, 201, ADDRESS),
    Denied("accept", 43, 202, ADDRESS),
    Denied("accept4", 288, 242, ADDRESS),
    Denied("io_uring_setup", 425, 425, "opens files and sockets past this filter"),
    Denied("io_uring_enter", 426, 426, "opens files and sockets past this filter"),
    Denied("io_uring_register", 427, 427, "opens files and sockets past this filter"),
    Denied("mount", 165, 40, KERNEL),
    Denied("umount2", 166, 39, KERNEL),
    Denied("pivot_root", 155, 41, KERNEL),
    Denied("chroot", 161, 51, KERNEL),
    Denied("unshare", 272, 97, KERNEL),
    Denied("setns", 308, 268, KERNEL),
    Denied("open_tree", 428, 428, KERNEL),
    Denied("move_mount", 429, 429, KERNEL),
    Denied("fsopen", 430, 430, KERNEL),
    Denied("mount_setattr", 442, 442, KERNEL),
    Denied("bpf", 321, 280, KERNEL),
    Denied("perf_event_open", 298, 241, KERNEL),
    Denied("userfaultfd", 323, 282, KERNEL),
    Denied("open_by_handle_at", 304, 265, KERNEL),
)


UNIX = 1

SOCKET_CALLS = ("socket", "bind", "listen", "accept", "accept4")

GPU_DENIED = (
    *(call for call in DENIED if call.name not in SOCKET_CALLS),
    Denied(
        "socket",
        41,
        198,
        "the driver of a GPU opens a local socket; nothing else is let out",
        0,
        (UNIX,),
        unless=True,
    ),
)
"""For a trial with a GPU: the driver listens on a local socket for debuggers. The trial is alone in its cell,
and still cannot connect to anybody.
"""


def signals_denied(own: int) -> tuple[Denied, ...]:
    """Refusals of signals to anybody but `own`, for kernels whose Landlock does not keep signals inside."""
    reason = "stops or kills another trial or the zygote"
    return (
        Denied("kill", 62, 129, reason, 0, (own,), unless=True),
        Denied("tgkill", 234, 131, reason, 0, (own,), unless=True),
        Denied("tkill", 200, 130, reason),
        Denied("rt_sigqueueinfo", 129, 138, reason),
        Denied("rt_tgsigqueueinfo", 297, 240, reason),
        Denied("pidfd_send_signal", 424, 424, reason),
    )


def assemble(denied: tuple[Denied, ...], machine: str) -> bytes:
    """The filter as BPF: foreign architecture kills, each refused call answers EPERM, everything else passes
    on.
    """
    program = [
        _statement(LD_WORD, 4),
        _jump(JUMP_EQUAL, AUDIT_ARCH[machine], 1, 0),
        _statement(RETURN, KILL_PROCESS),
        _statement(LD_WORD, 0),
    ]
    if machine == "x86_64":
        program += [_jump(JUMP_AT_LEAST, X32_BIT, 0, 1), _statement(RETURN, DENY | EPERM)]
    for call in denied:
        if call.number(machine) >= 0:
            program += _refusal(call, call.number(machine))
    return b"".join([*program, _statement(RETURN, ALLOW)])


def _refusal(call: Denied, number: int) -> list[bytes]:
    deny = _statement(RETURN, DENY | EPERM)
    if call.argument is None:
        return [_jump(JUMP_EQUAL, number, 0, 1), deny]
    # The low word of the argument is compared: the kernel reads these arguments as 32-bit numbers.
    count = len(call.values)
    body = [_statement(LD_WORD, 16 + 8 * call.argument)]
    for i, value in enumerate(call.values):
        # A match leaves to what stands behind the comparisons: one further with `unless`, which skips the
        # denial.
        body.append(_jump(JUMP_EQUAL, value, count - 1 - i + (1 if call.unless else 0), 0))
    if call.unless:
        body.append(deny)
    else:
        body[-1] = _jump(JUMP_EQUAL, call.values[-1], 0, 1)
        body.append(deny)
    body.append(_statement(LD_WORD, 0))
    return [_jump(JUMP_EQUAL, number, 0, len(body)), *body]


def _statement(code: int, value: int) -> bytes:
    return struct.pack("HBBI", code, 0, 0, value & 0xFFFFFFFF)


def _jump(code: int, value: int, if_true: int, if_false: int) -> bytes:
    return struct.pack("HBBI", code, if_true, if_false, value & 0xFFFFFFFF)


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def seccomp(denied: tuple[Denied, ...]) -> bool:
    """Puts the filter on top of the cell's own; whether this machine's calls are known. Needs
    no-new-privileges.
    """
    machine = platform.machine()
    if machine not in AUDIT_ARCH:
        return False
    code = assemble(denied, machine)
    buffer = ctypes.create_string_buffer(code, len(code))
    program = _Program(len(code) // 8, ctypes.addressof(buffer))
    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.addressof(program))
    return True


# --- all of it


def limits(file_bytes_max: int = FILE_BYTES_MAX) -> None:
    """No core files; no file beyond `file_bytes_max`."""
    for what, most in ((resource.RLIMIT_CORE, 0), (resource.RLIMIT_FSIZE, file_bytes_max)):
        _, hard = resource.getrlimit(what)
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (most, most))


def close_descriptors(keep: int) -> None:
    """Closes every descriptor but 0, 1, 2 and `keep`."""
    top = max(os.sysconf("SC_OPEN_MAX"), DESCRIPTORS_MIN)
    os.closerange(3, keep)
    os.closerange(keep + 1, top)


def lock(own: Path, devices: tuple[Path, ...] = ()) -> None:
    """Locks this single-threaded process for good, leaving it the GPU nodes in `devices`; raises `LockError`
    when a known barrier fails.
    """
    abi = landlock_abi()
    limits()
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    if abi:
        landlock(own, abi, devices)
    denied = GPU_DENIED if devices else DENIED
    seccomp(denied if abi >= 6 else denied + signals_denied(os.getpid()))
