"""How a trial's process begins and ends, whether it was forked or started anew.

Imports no library, so that it is quick.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from ansatz_worker import lock
from ansatz_worker.channel import Channel


def shut_in(descriptor: int, out: Path, zygote: int) -> None:
    """A session of its own that ends with the zygote, a log of its own, no descriptor but the channel."""
    os.setsid()
    lock.prctl(lock.PR_SET_PDEATHSIG, lock.SIGKILL)
    if os.getppid() != zygote:
        raise lock.LockError("the zygote ended before its death could be watched")
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    # A log of its own: the zygote's output is a pipe that all trials share, and a pipe can be read again.
    log = os.open(out / "log.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
    nothing = os.open("/dev/null", os.O_RDONLY)
    for new, old in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(new, old)
    lock.close_descriptors(descriptor)


def hello(channel: Channel, trial: int) -> None:
    """The first message: the host takes the process id from the kernel and puts it under its limits."""
    channel.send({"event": "hello", "trial": trial, "landlock": lock.landlock_abi()})


def flush() -> None:
    """Writes out what is left of standard output and error."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            continue  # A full folder or a stream that the solution closed.
