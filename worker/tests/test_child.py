"""What a trial tells its host while it trains."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from ansatz_worker import child, harness
from ansatz_worker.channel import Channel


@pytest.fixture
def line() -> Iterator[tuple[harness.Report, socket.socket]]:
    """A report, and the host's end of its channel."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    theirs.setblocking(False)
    with Channel(ours) as channel, theirs:
        yield child.reporter(channel), theirs


def heard(host: socket.socket) -> list[dict[str, Any]]:
    found = []
    while True:
        try:
            found.append(json.loads(host.recv(1 << 16)))
        except BlockingIOError:
            return found


def test_reports_are_thinned_out(line: tuple[harness.Report, socket.socket]) -> None:
    report, host = line
    for step in range(1000):
        report(step, 0.5, 1000)
    told = heard(host)
    assert told[0] == {"event": "progress", "step": 0.0, "value": 0.5, "of": 1000.0}
    # A thousand reports take a moment; on a busy machine a few more than one get through.
    assert len(told) < 20


def test_what_is_not_known_is_left_out(
    line: tuple[harness.Report, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child, "PROGRESS_SECONDS", 0.0)
    report, host = line
    report(1)
    report(np.int64(2), np.float32(0.25))
    report(3, None, 9)
    report(4, 0.5, float("inf"))
    assert heard(host) == [
        {"event": "progress", "step": 1.0},
        {"event": "progress", "step": 2.0, "value": 0.25},
        {"event": "progress", "step": 3.0, "of": 9.0},
        {"event": "progress", "step": 4.0, "value": 0.5},
    ]


@pytest.mark.parametrize("loss", [float("nan"), float("inf"), np.float32("nan")])
def test_a_loss_that_is_not_finite_is_told_at_any_time(
    line: tuple[harness.Report, socket.socket], loss: float
) -> None:
    report, host = line
    report(1, 0.5, 10)
    report(2, loss, 10)
    assert heard(host)[1:] == [{"event": "progress", "step": 2.0, "diverged": True}]
