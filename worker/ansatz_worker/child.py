"""One trial: hello, order, lock, solution, answer, end. Runs in a process that the zygote forked.

Nothing that the solution brings is imported before the lock is closed.
"""

from __future__ import annotations

import gc
import os
import signal
import socket
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pandas as pd

from ansatz_worker import frame as frames
from ansatz_worker import harness, lock, npy
from ansatz_worker.channel import Channel, ChannelError, close_all
from ansatz_worker.errors import OrderError, failed

PROGRESS_SECONDS = 0.05
"""Shortest time between two progress messages; more often would wake the host for nothing."""


def live(
    descriptor: int,
    trial: int,
    out: Path,
    zygote: int,
    frame: pd.DataFrame | None,
    columns: list[frames.TableColumn],
) -> None:
    """Lives the whole life of a trial and never returns."""
    status = 1
    try:
        _shut_in(descriptor, out, zygote)
        channel = Channel(socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, 0, fileno=descriptor))
        status = serve(channel, trial, out, frame, columns)
    except BaseException as error:  # A child must never run on into the zygote's loop.
        os.write(2, f"trial {trial}: {type(error).__name__}: {error}\n".encode())
    finally:
        _flush()
        os._exit(status)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            continue  # A full folder or a stream that the solution closed.


def _shut_in(descriptor: int, out: Path, zygote: int) -> None:
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


def serve(
    channel: Channel, trial: int, out: Path, frame: pd.DataFrame | None, columns: list[frames.TableColumn]
) -> int:
    """Answers one order; the exit status."""
    channel.send({"event": "hello", "trial": trial, "landlock": lock.landlock_abi()})
    try:
        received = channel.receive()
        if received is None:
            return 0
        order, descriptors = received
        answer = obey(channel, order, descriptors, out, frame, columns)
    except BaseException as error:  # Whatever a solution raises, SystemExit included, is told and not thrown.
        answer = failed(error)
    try:
        channel.send(answer)
    except ChannelError as error:
        channel.send(failed(error))
    return 0


def obey(
    channel: Channel,
    order: dict[str, Any],
    descriptors: list[int],
    out: Path,
    frame: pd.DataFrame | None,
    columns: list[frames.TableColumn],
) -> dict[str, Any]:
    """Locks the process and runs the order; the `done` event."""
    names = order.get("sealed") or []
    if len(names) != len(descriptors):
        close_all(descriptors)
        raise OrderError(f"{len(names)} sealed arrays are named, {len(descriptors)} came")
    sealed = {str(name): npy.read_descriptor(d) for name, d in zip(names, descriptors, strict=True)}
    close_all(descriptors)
    if frame is None:
        frame = pd.DataFrame()
    lock.lock(out)
    tempfile.tempdir = str(out)
    os.environ["TMPDIR"] = str(out)
    os.chdir(out)
    gc.enable()
    bench = harness.Bench(frame, columns, sealed, reporter(channel))
    return harness.run({**order, "out": str(out)}, bench)


def reporter(channel: Channel) -> harness.Report:
    """A function that tells the host about progress, seldom enough and without ever waiting."""
    last = -PROGRESS_SECONDS

    def report(step: float, value: float) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= PROGRESS_SECONDS:
            last = now
            channel.offer({"event": "progress", "step": float(step), "value": float(value)})

    return report
