"""ARFF, the text format of Weka and OpenML, to columns: numbers as numbers, everything else as text.

Dense and sparse rows, quoted values, comments. A nominal value that was not declared is kept as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from ansatz_worker.errors import Refused
from ansatz_worker.reader.table import Notice, RawTable, check_rows, some, unique_names

HEAD_BYTES = 64 * 1024
COLUMNS_MAX = 100_000

ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}

VALUE = re.compile(r"""\s*(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"|([^,\t]*?))\s*(?:,|\t|$)""")
"""A value in single or double quotes, or bare up to the next comma."""

NAME = re.compile(
    r"""@attribute\s+(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"|(\S+))\s+(.*)$""", re.IGNORECASE
)


@dataclass(frozen=True)
class Attribute:
    """A column as the header declares it."""

    name: str
    numeric: bool
    first: str | None
    """The first nominal value: what a sparse row means by leaving the column out."""


def is_arff(body: bytes) -> bool:
    """Whether text is ARFF: behind comments it begins with `@relation`."""
    for line in body[:HEAD_BYTES].split(b"\n"):
        line = line.strip().lower()
        if line and not line.startswith(b"%"):
            return line.startswith(b"@relation")
    return False


def parse(body: bytes, file: str) -> RawTable:
    """The table of ARFF text; raises `Refused` when its header cannot be read or it has no rows."""
    check_rows(body.count(b"\n"), file)
    lines = iter(body.decode("utf-8", "replace").split("\n"))
    attributes = _header(lines, file)
    if len(attributes) > COLUMNS_MAX:
        raise Refused(
            "too_wide", f"{file} has {len(attributes):,} columns", f"at most {COLUMNS_MAX:,} are read", file
        )
    cells: list[list[str | None]] = [[] for _ in attributes]
    odd: list[int] = []
    rows = 0
    for line in lines:
        line = line.strip()
        if not line or line.startswith("%"):
            continue
        rows += 1
        values = _sparse(line, attributes) if line.startswith("{") else _dense(line)
        if values is None or len(values) != len(attributes):
            odd.append(rows)
            values = [*(values or []), *([None] * len(attributes))][: len(attributes)]
        for column, value in zip(cells, values, strict=True):
            column.append(value)
    if not rows:
        raise Refused("header_only", f"{file} has a header but no rows", "give a file with rows", file)
    notices = []
    if odd:
        message = (
            f"{file}: {len(odd):,} of {rows:,} rows do not have {len(attributes)} values (row {some(odd)}); "
            "short rows were filled with missing cells, extra values dropped"
        )
        notices.append(Notice("ragged_rows", message))
    names, renamed = unique_names([attribute.name for attribute in attributes], file)
    columns = [_typed(column, attribute) for column, attribute in zip(cells, attributes, strict=True)]
    return RawTable(file, names, columns, rows, [*notices, *renamed])


def _header(lines: Iterator[str], file: str) -> list[Attribute]:
    attributes: list[Attribute] = []
    for line in lines:
        line = line.strip()
        lower = line.lower()
        if lower.startswith("@data"):
            if attributes:
                return attributes
            break
        if not lower.startswith("@attribute"):
            continue
        found = NAME.match(line)
        if not found:
            raise Refused(
                "unreadable",
                f"{file}: the attribute `{line[:60]}` cannot be read",
                "save the table as CSV",
                file,
            )
        single, double, bare, kind = found.groups()
        name = _plain(single if single is not None else double) if bare is None else bare
        kind = kind.strip()
        if kind.startswith("{"):
            values = _dense(kind.strip("{}"))
            attributes.append(Attribute(name, False, values[0] if values else None))
        else:
            numeric = (
                kind.split("[")[0].split()[0].lower() in ("numeric", "real", "integer") if kind else False
            )
            attributes.append(Attribute(name, numeric, None))
    raise Refused("unreadable", f"{file} has no attributes, or no @data", "save the table as CSV", file)


def _plain(text: str) -> str:
    """Text without its escapes."""
    if "\\" not in text:
        return text
    return re.sub(r"\\(.)", lambda found: ESCAPES.get(found.group(1), found.group(1)), text)


def _dense(line: str) -> list[str | None]:
    if "'" not in line and '"' not in line and "\t" not in line:
        return [None if value == "?" else value for value in map(str.strip, line.split(","))]
    values: list[str | None] = []
    place = 0
    while place <= len(line):
        found = VALUE.match(line, place)
        if not found:
            # A quote that does not end: the rest is one value.
            values.append(line[place:].strip())
            break
        single, double, bare = found.groups()
        quoted = single if single is not None else double
        values.append(_plain(quoted) if quoted is not None else (None if bare == "?" else bare))
        if found.end() == len(line) and not line[: found.end()].endswith((",", "\t")):
            break
        place = found.end()
    return values


def _sparse(line: str, attributes: list[Attribute]) -> list[str | None] | None:
    """A row that names only some of its values: the others are 0, or the first nominal value."""
    values: list[str | None] = ["0" if attribute.numeric else attribute.first for attribute in attributes]
    inside = line.strip().removeprefix("{").removesuffix("}").strip()
    if not inside:
        return values
    for pair in re.findall(r"""(\d+)\s+('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|[^,]*)\s*(?:,|$)""", inside):
        place = int(pair[0])
        if place >= len(values):
            return None
        values[place] = _dense(pair[1].strip())[0]
    return values


def _typed(cells: list[str | None], attribute: Attribute) -> Any:
    """A column of numbers where the header says so and all its cells are numbers; strings otherwise."""
    texts = pa.array(cells, pa.string())
    if attribute.numeric:
        try:
            return texts.cast(pa.float64())
        except pa.ArrowInvalid:
            return texts
    return texts
