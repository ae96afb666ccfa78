"""One trial: hello, order, lock, solution, answer, end. Runs in a process that the zygote forked.

Nothing that the solution brings is imported before the lock is closed.
"""

from __future__ import annotations

import gc
import math
import os
import socket
import tempfile
import time
from pathlib import Path
from typing import Any

import pandas as pd

from ansatz_worker import frame as frames
from ansatz_worker import harness, life, lock, npy
from ansatz_worker.channel import Channel, ChannelError, close_all
from ansatz_worker.errors import OrderError, failed

PROGRESS_SECONDS = 0.2
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
        life.shut_in(descriptor, out, zygote)
        channel = Channel(socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, 0, fileno=descriptor))
        life.hello(channel, trial)
        status = serve(channel, out, frame, columns)
    except BaseException as error:  # A child must never run on into the zygote's loop.
        os.write(2, f"trial {trial}: {type(error).__name__}: {error}\n".encode())
    finally:
        life.flush()
        os._exit(status)


def serve(
    channel: Channel,
    out: Path,
    frame: pd.DataFrame | None,
    columns: list[frames.TableColumn],
    devices: tuple[Path, ...] = (),
) -> int:
    """Answers one order; the exit status."""
    try:
        received = channel.receive()
        if received is None:
            return 0
        order, descriptors = received
        answer = obey(channel, order, descriptors, out, frame, columns, devices)
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
    devices: tuple[Path, ...] = (),
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
    lock.lock(out, devices)
    tempfile.tempdir = str(out)
    os.environ["TMPDIR"] = str(out)
    os.chdir(out)
    gc.enable()
    bench = harness.Bench(frame, columns, sealed, reporter(channel))
    return harness.run({**order, "out": str(out)}, bench)


def reporter(channel: Channel) -> harness.Report:
    """A function that tells the host about progress, seldom enough and without ever waiting. Only a loss that
    is not finite is told whenever it comes: whether a trial is ended for it must not depend on the clock.
    """
    last = -PROGRESS_SECONDS

    def report(step: float, value: float | None = None, of: float | None = None) -> None:
        nonlocal last
        event: dict[str, Any] = {"event": "progress", "step": float(step)}
        if value is not None and not math.isfinite(value):
            channel.send({**event, "diverged": True})
            return
        now = time.monotonic()
        if now - last >= PROGRESS_SECONDS:
            last = now
            if value is not None:
                event["value"] = float(value)
            if of is not None and math.isfinite(of):
                event["of"] = float(of)
            channel.offer(event)

    return report
