"""The `.npy` format, strictly: little-endian numbers, no objects (NEP 1).

The host accepts only what is written here, and orders carry only what is read here.
"""

from __future__ import annotations

import ast
import mmap
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

MAGIC = b"\x93NUMPY"
TYPES = ("<f8", "<f4", "<i8", "<i4", "|i1", "|u1", "|b1")
ALIGNMENT = 64


class NpyError(ValueError):
    """Bytes that are not an array of the accepted kinds."""


def write(path: Path, array: Array) -> None:
    """Writes an array in its own memory order (C, or Fortran when only that holds)."""
    if array.dtype.newbyteorder("<").str not in TYPES:
        raise NpyError(f"type {array.dtype} is not written")
    fortran = bool(array.flags.f_contiguous and not array.flags.c_contiguous)
    body = np.asarray(array, dtype=array.dtype.newbyteorder("<"), order="F" if fortran else "C")
    head = f"{{'descr': '{body.dtype.str}', 'fortran_order': {fortran}, 'shape': {body.shape!r}, }}".encode()
    fill = -(len(MAGIC) + 4 + len(head) + 1) % ALIGNMENT
    head += b" " * fill + b"\n"
    with path.open("wb") as file:
        file.write(MAGIC + b"\x01\x00" + len(head).to_bytes(2, "little") + head)
        (body.T if fortran else body).tofile(file)


def read(data: bytes | memoryview | mmap.mmap) -> Array:
    """The array in `data`, a view of it; raises `NpyError` for anything that `write` does not write."""
    view = memoryview(data)
    if len(view) < 10 or bytes(view[:6]) != MAGIC or view[6] not in (1, 2):
        raise NpyError("magic bytes missing")
    size = 2 if view[6] == 1 else 4
    start = 8 + size
    end = start + int.from_bytes(view[8:start], "little")
    shape, dtype, fortran = _header(bytes(view[start:end]))
    count = int(np.prod(shape, dtype=np.int64)) if shape else 1
    if len(view) - end != count * dtype.itemsize:
        raise NpyError(f"shape {shape} needs {count * dtype.itemsize} bytes, found {len(view) - end}")
    flat = np.frombuffer(view, dtype=dtype, count=count, offset=end)
    return flat.reshape(shape, order="F" if fortran else "C")


def _header(text: bytes) -> tuple[tuple[int, ...], np.dtype[Any], bool]:
    try:
        fields = ast.literal_eval(text.decode("latin-1").strip())
        descr, fortran, shape = fields["descr"], fields["fortran_order"], fields["shape"]
    except (ValueError, SyntaxError, KeyError, TypeError) as error:
        raise NpyError("header is not readable") from error
    if descr not in TYPES:
        raise NpyError(f"type {descr!r}")
    if not isinstance(shape, tuple) or not all(isinstance(n, int) and n >= 0 for n in shape):
        raise NpyError(f"shape {shape!r}")
    return shape, np.dtype(descr), bool(fortran)


def map_file(path: Path) -> Array:
    """The array of a file, mapped read-only; an empty one is read."""
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_size <= ALIGNMENT * 2:
            return read(file.read())
        return read(mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ))


def read_descriptor(descriptor: int) -> Array:
    """A copy of the array that a sealed memory descriptor holds, from its start whatever its position."""
    size = os.fstat(descriptor).st_size
    if size == 0:
        raise NpyError("empty descriptor")
    with mmap.mmap(descriptor, size, prot=mmap.PROT_READ) as mapped:
        view = read(mapped)
        copy = view.copy(order="K")
        del view
        return copy
