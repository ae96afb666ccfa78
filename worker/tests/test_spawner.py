"""Trials that are started anew, as a GPU needs them: alive, locked, and one at a time."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import driver
import numpy as np
import pytest

from ansatz_worker import lock, spawned
from ansatz_worker.featurekit.columns import Task
from ansatz_worker.solution import TaskView
from ansatz_worker.solutions import catboost

SPY = """
import os, socket
import numpy as np
SPACE = {}
def attempt(action):
    try:
        action()
        return 1.0
    except OSError:
        return 0.0
def fit_features(train, y, *, task, params, seed):
    found = [
        attempt(lambda: open("/dev/shm/note", "w")),
        attempt(lambda: open("/tmp/note", "w")),
        attempt(lambda: os.kill(os.getppid(), 0)),
        attempt(lambda: open(f"/proc/{os.getppid()}/environ")),
        attempt(lambda: open("/proc/1/environ")),
        attempt(lambda: socket.socket()),
        float(len(os.listdir("/proc/self/fd"))),
        float(task.device == params["device"]),
    ]
    np.save("found.npy", np.array(found))
    return None, np.zeros((len(train), 1))
def features(state, rows, *, task): return np.zeros((len(rows), 1))
def fit(X, y, *, task, params, seed, threads, weight=None, stage=None, report=None): return None
def predict(model, X, *, task, stage=None): return np.full(len(X), 0.5)
"""


@pytest.fixture(scope="module")
def spawner() -> Iterator[driver.Zygote]:
    process = driver.Zygote(role="spawner")
    yield process
    process.stop()


@pytest.fixture(scope="module")
def loaded(spawner: driver.Zygote, table: driver.Table) -> driver.Table:
    assert spawner.ask({"op": "load", "table": str(table.folder)}) == {"event": "loaded", "rows": 400}
    return table


def test_the_spawner_imports_nothing(spawner: driver.Zygote) -> None:
    assert spawner.ready["threads"] == 1 and spawner.ready["versions"] == {}
    maps = Path(f"/proc/{spawner.process.pid}/maps")
    if os.access(maps, os.R_OK):
        assert "numpy" not in maps.read_text()


def test_a_spawned_trial_gives_what_a_forked_one_does(
    spawner: driver.Zygote, zygote: driver.Zygote, loaded: driver.Table, folder: Path
) -> None:
    order = driver.fit_order("reference", keep_model=True)
    answers = [
        each.run(order, loaded.sealed, folder / name) for each, name in ((spawner, "s1"), (zygote, "f1"))
    ]
    assert [answer["event"] for answer in answers] == ["done", "done"], answers
    predictions = [np.load(folder / name / "pred.npy") for name in ("s1", "f1")]
    assert np.array_equal(*predictions)


def test_a_spawned_trial_is_locked_in(spawner: driver.Zygote, loaded: driver.Table, folder: Path) -> None:
    order = driver.fit_order(driver.source(SPY), params={"device": "cuda"}, device="cuda")
    answer = spawner.run(order, loaded.sealed, folder / "s2", trial=2)
    assert answer["event"] == "done", answer
    shm, tmp, signal, parent, init, sockets, descriptors, device = np.load(folder / "s2" / "found.npy")
    assert (tmp, parent, init, sockets) == (0, 0, 0, 0)
    # Without a GPU in the cell there is no reason to write there.
    assert shm == 0
    if lock.landlock_abi() >= 6:
        assert signal == 0
    # Standard streams, the channel, and the listing itself.
    assert descriptors == 5
    assert device == 1


def test_one_at_a_time(spawner: driver.Zygote, loaded: driver.Table, folder: Path) -> None:
    first = spawner.fork(3, folder / "s3")
    ours, theirs = driver.seqpacket()
    refusal = spawner.ask({"op": "spawn", "trial": 4, "out": str(folder / "s4")}, [os.dup(theirs.fileno())])
    theirs.close()
    ours.close()
    assert refusal["event"] == "failed" and "one at a time" in refusal["message"]
    first.connection.close()
    assert spawner.receive()["event"] == "exited"


def test_it_forks_nothing(spawner: driver.Zygote, folder: Path) -> None:
    ours, theirs = driver.seqpacket()
    answer = spawner.ask({"op": "fork", "trial": 5, "out": str(folder / "s5")}, [os.dup(theirs.fileno())])
    theirs.close()
    ours.close()
    assert answer["event"] == "failed" and answer["kind"] == "order"


DRIVER = """
import os, socket, sys, threading
from pathlib import Path
from ansatz_worker import lock
own = Path(sys.argv[1])
lock.lock(own, (Path("/dev/zero"),) if sys.argv[2] == "gpu" else ())
def attempt(name, action):
    try:
        action()
        print(name)
    except OSError:
        pass
def listen():
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as server:
        server.bind(b"\\0cuda-like-" + str(os.getpid()).encode())
        server.listen(1)
def name_thread():
    thread = threading.Thread(target=threading.Event().wait, args=(1,))
    thread.start()
    Path(f"/proc/self/task/{thread.native_id}/comm").write_text("cuda-like")
def share():
    path = Path(f"/dev/shm/cuda-like-{os.getpid()}")
    path.write_text("x")
    path.unlink()
attempt("device", lambda: open("/dev/zero", "r+b").close())
attempt("comm", name_thread)
attempt("devices", lambda: Path("/proc/devices").read_text())
attempt("listen", listen)
attempt("share", share)
attempt("network", socket.socket)
attempt("connect", lambda: socket.socket(socket.AF_UNIX).connect("/run/nobody"))
attempt("other-device", lambda: open("/dev/random", "r+b").close())
attempt("outside", lambda: (own.parent / "outside").write_text("x"))
attempt("init", lambda: Path("/proc/1/comm").read_text())
"""


@pytest.mark.parametrize("kind", ["gpu", "cpu"])
def test_what_a_driver_needs_is_open_to_trials_with_a_gpu_alone(folder: Path, kind: str) -> None:
    if lock.landlock_abi() == 0:
        print("this kernel has no Landlock: files are kept by the cell's mounts alone")
        return
    own = folder / "own"
    own.mkdir()
    driver.hand_over(own)
    user = driver.worker_user()
    done = subprocess.run(
        [sys.executable, "-c", DRIVER, str(own), kind],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(driver.ROOT), "PATH": "/usr/bin:/bin"},
        user=user,
        group=user,
        extra_groups=None if user is None else [],
    )
    needed = ["device", "comm", "devices", "listen", "share"]
    assert done.stdout.split() == (needed if kind == "gpu" else []), done.stderr


def test_only_gpu_nodes_count(tmp_path: Path) -> None:
    for name in ("null", "nvidia0", "nvidiactl", "nvidia-uvm"):
        (tmp_path / name).touch()
    assert [path.name for path in spawned.devices(tmp_path)] == ["nvidia-uvm", "nvidia0", "nvidiactl"]


def test_a_trial_with_a_gpu_may_open_a_local_socket_and_no_other() -> None:
    names = {call.name for call in lock.GPU_DENIED}
    assert {"connect", "ptrace", "io_uring_setup", "flock"} <= names
    assert names.isdisjoint({"bind", "listen", "accept", "accept4"})
    (socket,) = [call for call in lock.GPU_DENIED if call.name == "socket"]
    assert socket.unless and socket.values == (lock.UNIX,)


def test_catboost_asks_for_the_gpu_only_where_there_is_one() -> None:
    def parameters(device: str) -> dict[str, object]:
        task: Task = TaskView("binary", "roc_auc", 1, 2, True, {}, device)
        return catboost.booster_params(task, {}, 1, 1, 10, 5)

    assert parameters("cuda")["task_type"] == "GPU" and "rsm" not in parameters("cuda")
    assert "task_type" not in parameters("cpu") and parameters("cpu")["bootstrap_type"] == "MVS"
