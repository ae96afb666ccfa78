"""A table as it was read: named columns of text cells, before anything was concluded from them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from ansatz_worker.errors import Refused


@dataclass
class Notice:
    """A thing about a file that was survived, and what was done."""

    code: str
    message: str


@dataclass
class RawTable:
    """Columns of a file in order: arrow arrays of trimmed strings, or of numbers and moments."""

    file: str
    names: list[str]
    columns: list[Any]
    rows: int
    notices: list[Notice] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._places = {name: i for i, name in enumerate(self.names)}

    def column(self, name: str) -> Any | None:
        """The cells of a column, `None` when the file has no such column."""
        place = self._places.get(name)
        return None if place is None else self.columns[place]


def below(tables: list[RawTable]) -> RawTable:
    """Parts of one table as one; a column that a part lacks is refused, one of another type becomes text."""
    first = tables[0]
    for table in tables[1:]:
        absent = [short(name) for name in first.names if table.column(name) is None]
        if absent:
            raise Refused(
                "column_absent",
                f"{table.file} lacks the column {some(absent)} that {first.file} has",
                "the parts of a table need the same columns",
                table.file,
            )
    stacked = []
    for name in first.names:
        cells: list[Any] = [table.column(name) for table in tables]
        if len({part.type for part in cells}) > 1:
            cells = [part.cast(pa.string()) for part in cells]
        stacked.append(pa.concat_arrays([_whole(part) for part in cells]))
    rows = sum(table.rows for table in tables)
    check_rows(rows, first.file)
    notices = [notice for table in tables for notice in table.notices]
    return RawTable(first.file, first.names, stacked, rows, notices)


def _whole(cells: Any) -> Any:
    return cells.combine_chunks() if isinstance(cells, pa.ChunkedArray) else cells


ROWS_MAX = 100_000_000
"""Most rows of a file."""

NAMED_MAX = 5
"""Rows, columns or values that a notice names before it says how many more there are."""


def unique_names(names: list[str], file: str) -> tuple[list[str], list[Notice]]:
    """Header cells made into distinct, non-empty names, and notices about the changes."""
    notices: list[Notice] = []
    unnamed = [i + 1 for i, name in enumerate(names) if not name.strip()]
    taken: set[str] = set()
    result: list[str] = []
    repeated: list[str] = []
    given = {name.strip() for name in names}
    for i, name in enumerate(names):
        name = name.strip() or f"column_{i + 1}"
        if name in taken:
            repeated.append(name)
            number = 2
            while f"{name}.{number}" in taken or f"{name}.{number}" in given:
                number += 1
            name = f"{name}.{number}"
        taken.add(name)
        result.append(name)
    if unnamed:
        notices.append(
            Notice("unnamed_columns", f"{file}: column {some(unnamed)} has no name; named by its number")
        )
    if repeated:
        quoted = some([f"`{short(name)}`" for name in repeated])
        notices.append(
            Notice("duplicate_columns", f"{file}: column name {quoted} stands more than once; renamed")
        )
    return result, notices


def check_rows(rows: int, file: str) -> None:
    """Raises `Refused` when a file has more rows than can be held."""
    if rows > ROWS_MAX:
        raise Refused(
            "too_long", f"{file} has {rows:,} rows", f"at most {ROWS_MAX:,} are read; give a sample", file
        )


def some(things: list[Any]) -> str:
    """The first few things as a list for a sentence."""
    named = ", ".join(str(thing) for thing in things[:NAMED_MAX])
    more = len(things) - NAMED_MAX
    return f"{named} and {more:,} more" if more > 0 else named


def short(text: str, length: int = 60) -> str:
    """Text cut for a message, control characters shown as escapes."""
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text[: length + 1])
    return shown if len(shown) <= length else shown[: length - 1] + "…"
