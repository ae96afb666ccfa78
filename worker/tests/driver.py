"""A small host for tests: starts worker processes with a SEQPACKET socket on descriptor 3 and talks to them."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from ansatz_worker import npy

ROOT = Path(__file__).resolve().parents[1]
Message = dict[str, Any]


def seqpacket() -> tuple[socket.socket, socket.socket]:
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def sealed(array: np.ndarray) -> int:
    """A memory descriptor with a `.npy` array."""
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
        data = json.dumps(message).encode()
        socket.send_fds(self.connection, [data], descriptors or [])

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
        self.process = subprocess.Popen(
            [sys.executable, "-c", wrapper, str(theirs.fileno()), sys.executable, *arguments],
            pass_fds=[theirs.fileno()],
            env=environment,
            stdin=subprocess.DEVNULL,
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
        start = "import sys; from pathlib import Path; from ansatz_worker.reader import serve; serve.main(3, Path(sys.argv[1]))"
        super().__init__(["-c", start, str(out)], seconds)


class Zygote(Process):
    """The zygote; `ready` is its first message."""

    def __init__(self, seconds: float = 60.0) -> None:
        super().__init__(["-m", "ansatz_worker", "zygote"], seconds)
        self.ready = self.receive()

    def fork(self, trial: int, out: Path) -> Peer:
        """The channel of a new trial, its hello received."""
        ours, theirs = seqpacket()
        self.send({"op": "fork", "trial": trial, "out": str(out)}, [theirs.fileno()])
        theirs.close()
        peer = Peer(ours)
        hello = peer.receive()
        assert hello["event"] == "hello" and hello["trial"] == trial, hello
        return peer
