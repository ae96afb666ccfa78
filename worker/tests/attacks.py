"""Source of a solution that attacks the zygote and its siblings from inside a trial, and reports what it
reached.

Each probe answers 1.0 when it got through and 0.0 when it was stopped; the answers travel as "importances".
"""

import struct

ATTACK = r'''
import ctypes, gc, os, signal, socket, fcntl
import numpy as np
import pandas as pd

SPACE = {}
LIBC = ctypes.CDLL(None, use_errno=True)


def tries(action):
    try:
        return 0.0 if action() is False else 1.0
    except (OSError, ValueError):
        return 0.0


def reads(path):
    with open(path, "rb") as file:
        return len(file.read(64)) > 0


def writes(path):
    with open(path, "wb") as file:
        file.write(b"x")
    os.unlink(path)


def call(number, *arguments):
    return LIBC.syscall(ctypes.c_long(number), *[ctypes.c_long(a) for a in arguments]) >= 0


def bound(address):
    a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    a.bind(address)


MASK = np.uint64(0x5DEECE66D1234567)


def memory_holds(masked):
    """How often a number lies in the writable memory of this process; it is named masked, so as not to be
    there.
    """
    found, step = 0, 1 << 15
    end_read, end_write = os.pipe()
    with open("/proc/self/maps") as maps:
        spans = [line.split()[0].split("-") for line in maps if line.split()[1].startswith("rw")]
    for start, end in [(int(a, 16), int(b, 16)) for a, b in spans]:
        for place in range(start, end, step):
            # The kernel answers EFAULT where a plain read would end the process.
            copied = LIBC.write(end_write, ctypes.c_void_p(place), min(step, end - place))
            if copied > 0:
                words = np.frombuffer(os.read(end_read, copied), dtype=np.uint64)
                found += int(((words ^ MASK) == np.uint64(masked)).sum())
    os.close(end_read)
    os.close(end_write)
    return found


def probes(params):
    zygote, sibling, other = os.getppid(), int(params["sibling"]), params["other"]
    descriptors = sum(1 for d in range(1024) if tries(lambda: os.fstat(d)) == 1.0)
    found = {
        "descriptors": float(descriptors),
        "zygote_mem": tries(lambda: open(f"/proc/{zygote}/mem", "rb")),
        "zygote_fd": tries(lambda: os.listdir(f"/proc/{zygote}/fd")),
        "zygote_environ": tries(lambda: reads(f"/proc/{zygote}/environ")),
        "zygote_maps": tries(lambda: reads(f"/proc/{zygote}/maps")),
        "sibling_mem": tries(lambda: open(f"/proc/{sibling}/mem", "rb")),
        "sibling_name": tries(lambda: reads(f"/proc/{sibling}/comm")),
        "ptrace": tries(lambda: call(101, 16, zygote, 0, 0)),
        "process_vm_readv": tries(lambda: call(310, zygote, 0, 0, 0, 0, 0)),
        "pidfd_getfd": tries(lambda: call(438, os.pidfd_open(zygote), 0, 0)),
        "kill_zygote": tries(lambda: os.kill(zygote, 0)),
        "stop_sibling": tries(lambda: os.kill(sibling, signal.SIGSTOP)),
        "limit_zygote": tries(lambda: call(302, zygote, 7, 0, 0)),
        "renice_others": tries(lambda: os.setpriority(os.PRIO_PROCESS, zygote, 10)),
        "dumpable": tries(lambda: LIBC.prctl(4, 1, 0, 0, 0) == 0),
        "write_tmp": tries(lambda: writes("/tmp/ansatz-relay")),
        "write_shm": tries(lambda: writes("/dev/shm/ansatz-relay")),
        "write_var_tmp": tries(lambda: writes("/var/tmp/ansatz-relay")),
        "write_other_trial": tries(lambda: writes(other + "/relay")),
        "read_other_trial": tries(lambda: reads(other + "/secret")),
        "list_trials": tries(lambda: os.listdir(os.path.dirname(other))),
        "link_in": tries(lambda: os.link(other + "/secret", "stolen")),
        "shmget": tries(lambda: call(29, 0x5EC, 4096, 0o1666)),
        "msgget": tries(lambda: call(68, 0x5EC, 0o1666)),
        "semget": tries(lambda: call(64, 0x5EC, 1, 0o1666)),
        "keyctl": tries(lambda: call(250, 0, -4, 1)),
        "flock": tries(lambda: fcntl.flock(open("/etc/passwd"), fcntl.LOCK_SH)),
        "file_lock": tries(lambda: fcntl.lockf(open("/etc/passwd"), fcntl.LOCK_SH)),
        "inotify": tries(lambda: call(294, 0)),
        "socket": tries(lambda: socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)),
        "internet": tries(lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM)),
        "bind_abstract": tries(lambda: bound("\0ansatz-relay")),
        "bind_path": tries(lambda: bound("relay.socket")),
        "fifo": tries(lambda: os.mkfifo("fifo")),
        "shared_pipe": tries(lambda: any("pipe" in os.readlink(f"/proc/self/fd/{d}") for d in range(3))),
        "unshare": tries(lambda: call(272, 0x10000000)),
        "io_uring": tries(lambda: call(425, 1, 0)),
    }
    # What must still work.
    found["own_write"] = tries(lambda: writes("own.txt"))
    found["own_rename"] = tries(lambda: (open("a", "w").close(), os.mkdir("d"), os.rename("a", "d/b")))
    found["null_write"] = tries(lambda: open("/dev/null", "w").write("x"))
    found["read_libraries"] = tries(lambda: reads(np.__file__))
    found["socketpair"] = tries(lambda: socket.socketpair())
    found["nice_self"] = tries(lambda: os.setpriority(os.PRIO_PROCESS, 0, 5))
    found["kill_self"] = tries(lambda: os.kill(os.getpid(), 0))
    found["secret_in_memory"] = float(memory_holds(params["secret"]))
    found["control_in_memory"] = float(memory_holds(params["control"]))
    arrays = [o for o in gc.get_objects() if isinstance(o, np.ndarray) and o.dtype == np.float64]
    words = [np.ascontiguousarray(o).view(np.uint64) ^ MASK for o in arrays if o.ndim and o.size]
    found["secret_in_objects"] = float(sum(bool((w == np.uint64(params["secret"])).any()) for w in words))
    return found


def fit_features(train, y, *, task, params, seed):
    return probes(params), np.zeros((len(train), 1))

def features(state, rows, *, task):
    return np.zeros((len(rows), 1))

def fit(X, y, *, task, params, seed, threads, weight=None, stage=None, report=None):
    return None

def predict(model, X, *, task, stage=None):
    return np.full(len(X), 0.5)

def importances(model, state):
    return state
'''

MASK = 0x5DEECE66D1234567


def masked(value: float) -> int:
    """A number's bits as the attack is told about them."""
    return int.from_bytes(struct.pack("<d", value), "little") ^ MASK


ALLOWED = (
    "own_write",
    "own_rename",
    "null_write",
    "read_libraries",
    "socketpair",
    "nice_self",
    "kill_self",
)
"""Probes that must get through: the positive controls."""
