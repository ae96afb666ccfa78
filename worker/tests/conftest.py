"""Shared things of the suite: one zygote for all tests, folders that an unprivileged worker may write."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import driver
import pytest


@pytest.fixture
def folder() -> Iterator[Path]:
    """A fresh folder that the worker's user owns."""
    path = Path(tempfile.mkdtemp(prefix="ansatz-test-"))
    driver.hand_over(path)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
def zygote() -> Iterator[driver.Zygote]:
    """A zygote without a table."""
    process = driver.Zygote()
    yield process
    process.stop()


@pytest.fixture(scope="session")
def table(zygote: driver.Zygote) -> Iterator[driver.Table]:
    """A table of 300 training and 100 test rows, loaded by the zygote."""
    path = Path(tempfile.mkdtemp(prefix="ansatz-table-"))
    os.chmod(path, 0o755)
    made = driver.make_table(path)
    answer = zygote.ask({"op": "load", "table": str(path)})
    assert answer == {"event": "loaded", "rows": 400}
    yield made
    shutil.rmtree(path, ignore_errors=True)
