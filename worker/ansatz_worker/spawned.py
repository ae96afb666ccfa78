"""A trial in a process that was started anew instead of forked: what a GPU needs.

CUDA keeps threads and mappings that no fork survives, so a trial that uses it gets a fresh interpreter. It
says hello before it imports anything, because the host waits for that, and then lives as a forked trial does.
"""

from __future__ import annotations

import os
from pathlib import Path

from ansatz_worker import life, lock, zygote
from ansatz_worker.channel import Channel


def devices(folder: Path = Path("/dev")) -> tuple[Path, ...]:
    """The GPU nodes of this cell; the host binds those that were leased for it and no others."""
    return tuple(sorted(folder.glob("nvidia*")))


def live(descriptor: int, trial: int, out: Path, table: Path | None, parent: int) -> int:
    """Lives the whole life of a trial; the exit status."""
    # A started program can be looked into by its equals until it says otherwise.
    lock.prctl(lock.PR_SET_DUMPABLE, 0)
    life.shut_in(descriptor, out, parent)
    with Channel.from_descriptor(descriptor) as channel:
        life.hello(channel, trial)
        zygote.prepare()
        # Imported here, because they import pandas.
        from ansatz_worker import child, frame

        rows, columns = frame.load(table) if table is not None else (None, [])
        status = child.serve(channel, out, rows, columns, devices())
        life.flush()
        # Threads of CUDA must not keep the process from ending.
        os._exit(status)
