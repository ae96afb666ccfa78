"""The array format, against NumPy's own."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import pytest

from ansatz_worker import npy


@pytest.mark.parametrize("dtype", ["<f8", "<f4", "<i8", "<i4", "|u1", "|b1"])
@pytest.mark.parametrize("shape", [(0,), (3,), (2, 3), (4, 0), (2, 3, 4)])
@pytest.mark.parametrize("order", ["C", "F"])
def test_numpy_reads_what_we_write_and_we_read_it(
    tmp_path: Path, dtype: str, shape: tuple[int, ...], order: str
) -> None:
    size = int(np.prod(shape))
    array = np.asarray(np.arange(size).reshape(shape).astype(dtype), order=order)
    npy.write(tmp_path / "a.npy", array)
    theirs = np.load(tmp_path / "a.npy", allow_pickle=False)
    ours = npy.map_file(tmp_path / "a.npy")
    for read in (theirs, ours):
        assert read.dtype == array.dtype and np.array_equal(read, array)


def test_a_descriptor_is_read_from_its_start() -> None:
    buffer = io.BytesIO()
    np.save(buffer, np.arange(5))
    descriptor = os.memfd_create("a")
    os.write(descriptor, buffer.getvalue())
    assert npy.read_descriptor(descriptor).tolist() == [0, 1, 2, 3, 4]
    os.close(descriptor)


def saved(array: object) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.asarray(array), allow_pickle=True)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x93NUMPY",
        saved([1.0, 2.0])[:-1],
        saved([1.0, 2.0]) + b"x",
        saved(np.array([{"a": 1}], dtype=object)),
        saved(np.array([1.0], dtype=">f8")),
        saved(["text"]),
        saved([1.0]).replace(b"(1,)", b"(-1)"),
    ],
)
def test_everything_else_is_refused(data: bytes) -> None:
    with pytest.raises(npy.NpyError):
        npy.read(data)


def test_objects_are_not_written(tmp_path: Path) -> None:
    with pytest.raises(npy.NpyError):
        npy.write(tmp_path / "a.npy", np.array(["a"], dtype=object))
