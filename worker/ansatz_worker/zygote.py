"""The zygote: imports libraries, builds the frame of all rows, and forks one child per trial.

It never sees a target, never fits, never starts a thread: a process that has once computed with OpenMP
threads hangs its forked children.
"""

from __future__ import annotations

import gc
import json
import os
import select
import shutil
import signal
import socket
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansatz_worker import imports, lock
from ansatz_worker.channel import Channel, ChannelError, Message, close_all
from ansatz_worker.errors import OrderError, failed

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

LIBRARIES = (
    "numpy",
    "pandas",
    "scipy.sparse",
    "scipy.stats",
    "sklearn.decomposition",
    "sklearn.ensemble",
    "sklearn.feature_extraction.text",
    "sklearn.linear_model",
    "sklearn.model_selection",
    "sklearn.naive_bayes",
    "sklearn.neighbors",
    "sklearn.pipeline",
    "sklearn.preprocessing",
    "sklearn.svm",
    "lightgbm",
    "catboost",
    "xgboost",
    "threadpoolctl",
)
"""What trials need, imported once. Only numpy, pandas and threadpoolctl are indispensable."""

INDISPENSABLE = ("numpy", "pandas", "threadpoolctl")

SHARED = Path("/dev/shm")
"""What the driver of a GPU keeps between processes: spawned trials may write there, others may not."""

CONTROL_DESCRIPTOR = 3


def prepare() -> None:
    """Settings that must stand before the first library is imported."""
    for variable in THREAD_VARIABLES:
        os.environ.setdefault(variable, "1")
    # Trials share cores with each other: a waiting thread sleeps instead of keeping a core busy.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # Process pools need semaphores in /dev/shm, which trials cannot write: joblib then works in sequence or
    # threads.
    os.environ["JOBLIB_MULTIPROCESSING"] = "0"
    imports.block("pyarrow")


def import_libraries() -> list[str]:
    """Imports all libraries; the names of those that are absent. Raises when an indispensable one is."""
    absent = []
    for name in LIBRARIES:
        try:
            __import__(name)
        except ImportError:
            if name in INDISPENSABLE:
                raise
            absent.append(name)
    return absent


def thread_count() -> int:
    """Threads of this process."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("Threads:"):
            return int(line.split()[1])
    return 0


def main(descriptor: int) -> int:
    """Serves the control channel until the host says stop or leaves; the exit status."""
    start = time.perf_counter()
    lock.prctl(lock.PR_SET_DUMPABLE, 0)
    prepare()
    with Channel.from_descriptor(descriptor) as channel:
        try:
            absent = import_libraries()
        except ImportError as error:
            channel.send(failed(error))
            return 1
        # Imported here, because they import pandas.
        from ansatz_worker import child, model  # noqa: F401

        seconds = round(time.perf_counter() - start, 3)
        ready = {
            "event": "ready",
            "threads": thread_count(),
            "versions": model.versions(),
            "seconds": seconds,
        }
        channel.send({**ready, "landlock": lock.landlock_abi(), "absent": absent})
        gc.collect()
        gc.disable()
        gc.freeze()
        return Zygote(channel).serve()


def spawner(descriptor: int) -> int:
    """Serves as a zygote that only spawns: it imports no library, because its children inherit nothing."""
    start = time.perf_counter()
    lock.prctl(lock.PR_SET_DUMPABLE, 0)
    with Channel.from_descriptor(descriptor) as channel:
        seconds = round(time.perf_counter() - start, 3)
        ready = {"event": "ready", "threads": thread_count(), "versions": {}, "seconds": seconds}
        channel.send({**ready, "landlock": lock.landlock_abi(), "absent": []})
        return Zygote(channel, only_spawns=True).serve()


@dataclass
class Zygote:
    """The loop: control messages in, exits of children out."""

    channel: Channel
    only_spawns: bool = False
    frame: Any = None
    columns: list[Any] = field(default_factory=list)
    trials: dict[int, int] = field(default_factory=dict)
    table: Path | None = None
    spawned: int | None = None

    def serve(self) -> int:
        """Answers messages until `stop`; the exit status."""
        wake, wakeup = socket.socketpair()
        wake.setblocking(False)
        wakeup.setblocking(False)
        signal.signal(signal.SIGCHLD, _ignore)
        signal.set_wakeup_fd(wakeup.fileno(), warn_on_full_buffer=False)
        poll = select.poll()
        poll.register(self.channel.fileno(), select.POLLIN)
        poll.register(wake.fileno(), select.POLLIN)
        while True:
            ready = {descriptor for descriptor, _ in poll.poll()}
            if wake.fileno() in ready:
                wake.recv(4096)
                self.reap()
            if self.channel.fileno() in ready and not self.next_message():
                return 0

    def next_message(self) -> bool:
        """Answers one message; false when the loop ends."""
        try:
            received = self.channel.receive()
        except ChannelError as error:
            self.channel.send(failed(OrderError(str(error))))
            return True
        if received is None:
            return False
        message, descriptors = received
        if message.get("op") == "stop":
            close_all(descriptors)
            return False
        try:
            self.obey(message, descriptors)
        except (OSError, ValueError, KeyError, TypeError, OrderError) as error:
            self.channel.send({**failed(error), "op": str(message.get("op")), "trial": message.get("trial")})
        finally:
            close_all(descriptors)
        return True

    def obey(self, message: Message, descriptors: list[int]) -> None:
        """Loads the table, or forks or spawns a trial."""
        match message:
            case {"op": "load", "table": str(folder)}:
                self.load(Path(folder))
            case {"op": "fork", "trial": int(trial), "out": str(out)} if not self.only_spawns:
                if len(descriptors) != 1:
                    raise OrderError(f"a fork needs one descriptor, {len(descriptors)} came")
                self.fork(trial, Path(out), descriptors[0])
            case {"op": "spawn", "trial": int(trial), "out": str(out)}:
                if len(descriptors) != 1:
                    raise OrderError(f"a spawn needs one descriptor, {len(descriptors)} came")
                self.spawn(trial, Path(out), descriptors[0])
            case _:
                raise OrderError(f"no such message: {message.get('op')!r}")

    def load(self, folder: Path) -> None:
        """Builds the frame of all rows and keeps it out of the collector's sight."""
        self.table = folder
        if self.only_spawns:
            table = json.loads((folder / "table.json").read_text())
            self.channel.send({"event": "loaded", "rows": table["train_rows"] + table["test_rows"]})
            return
        from ansatz_worker import frame

        self.frame, self.columns = frame.load(folder)
        self.channel.send({"event": "loaded", "rows": len(self.frame)})
        gc.collect()
        gc.freeze()

    def fork(self, trial: int, out: Path, descriptor: int) -> None:
        """Starts a child on its own channel and folder."""
        from ansatz_worker import child

        out.mkdir(mode=0o700, parents=True, exist_ok=True)
        zygote = os.getpid()
        process = os.fork()
        if process == 0:
            child.live(descriptor, trial, out, zygote, self.frame, self.columns)
        self.trials[process] = trial

    def spawn(self, trial: int, out: Path, descriptor: int) -> None:
        """Starts a child in a fresh interpreter, for what no fork survives. One at a time: such trials share
        what a GPU's driver needs, and each finds it empty.
        """
        self.reap()
        if self.spawned is not None:
            raise OrderError("a spawned trial is still there; a GPU runs one at a time")
        empty(SHARED)
        out.mkdir(mode=0o700, parents=True, exist_ok=True)
        table = "" if self.table is None else str(self.table)
        arguments = ["-m", "ansatz_worker", "spawned", str(trial), str(out), table, str(os.getpid())]
        # The channel takes the place of the zygote's own; the child closes everything else.
        actions = [(os.POSIX_SPAWN_DUP2, descriptor, CONTROL_DESCRIPTOR)]
        process = os.posix_spawn(
            sys.executable, [sys.executable, *arguments], os.environ, file_actions=actions
        )
        self.trials[process] = trial
        self.spawned = process

    def reap(self) -> None:
        """Tells the host about every child that ended, after ending what is left of its session."""
        while self.trials:
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if ended is None:
                return
            # Before the child is reaped nobody else can have its number.
            _kill_group(ended.si_pid)
            process, status = os.waitpid(ended.si_pid, 0)
            trial = self.trials.pop(process, None)
            if process == self.spawned:
                self.spawned = None
            if trial is not None:
                code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else None
                number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else None
                self.channel.send({"event": "exited", "trial": trial, "status": code, "signal": number})


def empty(folder: Path) -> None:
    """Removes everything in a folder, following no link."""
    if not folder.is_dir():
        return
    for entry in os.scandir(folder):
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path, ignore_errors=True)
        else:
            os.unlink(entry.path)


def _kill_group(process: int) -> None:
    try:
        os.killpg(process, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


def _ignore(number: int, stack: object) -> None:
    """A handler must exist for the wake-up descriptor to be written."""
