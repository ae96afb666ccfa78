"""A small host for tests: starts worker processes with a socket on descriptor 3 and talks to them."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from ansatz_worker import npy
from ansatz_worker.reader import arrays
from ansatz_worker.reader.columns import Typed

ROOT = Path(__file__).resolve().parents[1]
NOBODY = 65534
Message = dict[str, Any]


@cache
def worker_user() -> int | None:
    """The user that workers run as: nobody when the suite runs as root and the interpreter lets it."""
    if os.getuid() != 0:
        return None
    command = [sys.executable, "-c", "import numpy"]
    identity: dict[str, Any] = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
    try:
        done = subprocess.run(command, capture_output=True, check=False, **identity)
    except PermissionError:
        return None
    return NOBODY if done.returncode == 0 else None


def hand_over(path: Path) -> None:
    """Gives a folder to the worker's user."""
    if worker_user() is not None:
        os.chown(path, NOBODY, NOBODY)


def seqpacket() -> tuple[socket.socket, socket.socket]:
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def sealed(array: np.ndarray) -> int:
    """A memory descriptor with a `.npy` array, its position at the end."""
    with tempfile.NamedTemporaryFile() as file:
        npy.write(Path(file.name), array)
        data = Path(file.name).read_bytes()
    descriptor = os.memfd_create("array", os.MFD_CLOEXEC)
    os.write(descriptor, data)
    return descriptor


class Peer:
    """One end of a channel."""

    def __init__(self, connection: socket.socket, seconds: float = 60.0) -> None:
        self.connection = connection
        connection.settimeout(seconds)

    def send(self, message: Message, descriptors: list[int] | None = None) -> None:
        socket.send_fds(self.connection, [json.dumps(message).encode()], descriptors or [])
        for descriptor in descriptors or []:
            os.close(descriptor)

    def receive(self) -> Message:
        data = self.connection.recv(1 << 20)
        assert data, "the other side closed the channel"
        return dict(json.loads(data))

    def ask(self, message: Message, descriptors: list[int] | None = None) -> Message:
        self.send(message, descriptors)
        return self.receive()


class Process(Peer):
    """A worker process."""

    def __init__(self, arguments: list[str], seconds: float = 60.0) -> None:
        ours, theirs = seqpacket()
        super().__init__(ours, seconds)
        environment = {
            "PATH": "/usr/bin:/bin",
            "PYTHONPATH": str(ROOT),
            "OMP_NUM_THREADS": "1",
            "LANG": "C.UTF-8",
        }
        wrapper = "import os,sys; os.dup2(int(sys.argv[1]),3); os.execv(sys.argv[2], sys.argv[2:])"
        user = worker_user()
        self.process = subprocess.Popen(
            [sys.executable, "-c", wrapper, str(theirs.fileno()), sys.executable, *arguments],
            pass_fds=[theirs.fileno()],
            env=environment,
            stdin=subprocess.DEVNULL,
            user=user,
            group=user,
            extra_groups=None if user is None else [],
        )
        theirs.close()

    def stop(self) -> int:
        self.send({"op": "stop"})
        status = self.process.wait(20)
        self.connection.close()
        return status


class Reader(Process):
    """The reader, writing to `out`."""

    def __init__(self, out: Path, seconds: float = 60.0) -> None:
        start = (
            "import sys; from pathlib import Path; from ansatz_worker.reader import serve;"
            "sys.exit(serve.main(3, Path(sys.argv[1])))"
        )
        super().__init__(["-c", start, str(out)], seconds)


class Zygote(Process):
    """The zygote, or the spawner; `ready` is its first message."""

    def __init__(self, seconds: float = 60.0, role: str = "zygote") -> None:
        super().__init__(["-m", "ansatz_worker", role], seconds)
        self.operation = "fork" if role == "zygote" else "spawn"
        self.ready = self.receive()

    def fork(self, trial: int, out: Path) -> Peer:
        """The channel of a new trial, its hello received."""
        ours, theirs = seqpacket()
        self.send({"op": self.operation, "trial": trial, "out": str(out)}, [os.dup(theirs.fileno())])
        theirs.close()
        peer = Peer(ours)
        hello = peer.receive()
        assert hello["event"] == "hello" and hello["trial"] == trial, hello
        return peer

    def run(
        self, order: Message, arrays_by_name: dict[str, np.ndarray], out: Path, trial: int = 1
    ) -> Message:
        """The answer of a trial to its order; the trial has ended."""
        peer = self.fork(trial, out)
        peer.send(
            {**order, "sealed": list(arrays_by_name)}, [sealed(array) for array in arrays_by_name.values()]
        )
        answer = peer.receive()
        while answer["event"] == "progress":
            answer = peer.receive()
        exited = self.receive()
        assert exited == {"event": "exited", "trial": trial, "status": 0, "signal": None}, (exited, answer)
        peer.connection.close()
        return answer


@dataclass
class Table:
    """A made-up table: its folder, and the target of its training rows, which lies nowhere but here."""

    folder: Path
    target: np.ndarray
    train: np.ndarray
    valid: np.ndarray

    @property
    def sealed(self) -> dict[str, np.ndarray]:
        return {"train_rows": self.train, "y": self.target[self.train], "predict_rows": self.valid}


TASK = {"problem": "binary", "metric": "roc_auc", "outputs": 1, "classes": 2, "higher_is_better": True}


def fit_order(solution: Message | str, **changes: Any) -> Message:
    """A `fit` order for a builtin solution by name, or for source code."""
    record = {"builtin": solution} if isinstance(solution, str) else solution
    order = {
        "order": "fit",
        "solution": record,
        "params": {},
        "seed": 1,
        "threads": 1,
        "task": TASK,
        "drop": [],
    }
    return {**order, "deadline_s": 60.0, "keep_model": False, "out": "/out/t1", **changes}


def source(code: str) -> Message:
    return {"source": {"name": "test", "code": code}}


def make_columns(rows: int = 400) -> tuple[list[Typed], np.ndarray]:
    """A number, a category, a text and a moment for each row, and a binary target that depends on the first
    two.
    """
    generator = np.random.default_rng(7)
    number = generator.normal(size=rows)
    number[::17] = np.nan
    code = generator.integers(-1, 3, rows).astype(np.int32)
    moments = 1.4e9 + 86400.0 * np.arange(rows)
    texts = [f"the number {i} of many words" for i in range(rows)]
    target = (np.nan_to_num(number) + code + generator.normal(size=rows) > 1).astype(np.float64)
    columns = [
        Typed("number", "numeric", "plain", values=number),
        Typed("colour", "categorical", "exact", codes=code, levels=["blue", "green", "red"]),
        Typed("note", "text", "text", codes=np.arange(rows, dtype=np.int32), levels=texts),
        Typed("seen", "datetime", "ymd", values=moments),
    ]
    return columns, target


def make_table(folder: Path) -> Table:
    """Writes the four files of a table of 300 training and 100 test rows."""
    columns, target = make_columns()
    arrays.collect(columns, 400).save(folder, 300)
    order = np.random.default_rng(1).permutation(300)
    return Table(folder, target[:300], np.sort(order[:240]), np.sort(order[240:]))
