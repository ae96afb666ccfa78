"""Golden lines: the messages of `testdata/` are what the processes read and write."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest

from ansatz_worker import channel, harness
from ansatz_worker.channel import Channel, ChannelError
from ansatz_worker.errors import OrderError, Refused, failed
from ansatz_worker.reader import serve
from ansatz_worker.solution import TaskView

TESTDATA = Path(__file__).resolve().parents[1] / "testdata"


def golden(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (TESTDATA / f"{name}.jsonl").read_text("utf-8").splitlines()]


@pytest.mark.parametrize("name", ["reader", "zygote", "child"])
def test_lines_are_written_as_they_were_read(name: str) -> None:
    for line in (TESTDATA / f"{name}.jsonl").read_bytes().splitlines():
        assert channel.encode(channel.decode(line)) == line


def test_a_refusal_is_the_golden_line() -> None:
    line = next(line for line in golden("reader") if line.get("event") == "refused")
    refused = Refused(line["code"], line["message"], line["hint"], line["file"])
    assert refused.event() == line


def test_a_failure_has_the_golden_fields() -> None:
    line = next(line for line in golden("reader") if line.get("event") == "failed")
    answer = serve.answer(serve.Reader(), {"op": "dance"}, [])
    assert answer.keys() == line.keys()
    assert (answer["kind"], answer["message"]) == (line["kind"], line["message"])


def test_golden_orders_are_understood() -> None:
    task = next(line for line in golden("child") if line.get("order") == "fit")["task"]
    view = TaskView.parse(task, harness.kinds([], frozenset()))
    assert (view.problem, view.metric, view.outputs, view.classes) == ("binary", "roc_auc", 1, 2)
    write = next(line for line in golden("reader") if line.get("op") == "write")
    assert serve.choice(write) == ("Outcome", "Nr", {"leak"}, {"code"})


@pytest.mark.parametrize("data", [b"", b"[1]", b"{", b"\xff\xfe", b"nul"])
def test_what_is_no_object_is_refused(data: bytes) -> None:
    with pytest.raises(ChannelError):
        channel.decode(data)


def test_nan_and_long_messages_are_refused() -> None:
    for message in ({"a": float("nan")}, {"a": "x" * channel.MESSAGE_BYTES_MAX}):
        with pytest.raises(ChannelError):
            channel.encode(message)


def test_an_end_that_left_is_none() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with Channel(ours) as left:
        theirs.close()
        assert left.receive() is None


def test_progress_never_waits() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with Channel(ours) as left, theirs:
        sent = [left.offer({"event": "progress", "step": i, "value": "x" * 10_000}) for i in range(100)]
        assert sent[0] and not sent[-1]


def test_failures_are_short_and_on_one_line() -> None:
    event = failed(OrderError("one\ntwo\x1b[31m" + "x" * 1000))
    assert "\n" not in event["message"] and "\x1b" not in event["message"] and len(event["message"]) <= 500
    assert len(event["traceback"].encode()) <= 4096
