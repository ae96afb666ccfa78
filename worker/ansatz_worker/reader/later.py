"""A column of a later file: read as the training file's was, else as it is written now.

Nothing becomes missing in silence: cells that do not fit are told.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ansatz_worker.reader import columns, dates, numbers, profile, truth
from ansatz_worker.reader.columns import LABEL, Typed
from ansatz_worker.reader.table import Notice, short, some

Flags = NDArray[np.bool_]

LOST_SHARE_MAX = 0.02
"""Share of a column's filled cells that may be lost before other notations are tried."""
LOST_AGAIN_MAX = 0.5
"""Another notation is believed when it loses at most this share of what the first one lost."""

WORDS = {
    "plain": "numbers with decimal points",
    "thousands": "numbers with commas between thousands",
    "comma": "numbers with decimal commas",
    truth.NOTATION: "0 for no and 1 for yes",
    "ymd": "dates that begin with the year",
    "dmy": "dates that begin with the day",
    "mdy": "dates that begin with the month",
    "dby": "dates that begin with the day",
    "bdy": "dates that begin with the month",
    "compact": "dates of eight digits",
}
"""What a notation is called."""


def read(record: dict[str, Any], cells: Any, file: str) -> Typed:
    """The cells of the column that a schema's record describes, with notices about what does not fit."""
    name, kind, levels = str(record["name"]), str(record["kind"]), record.get("levels") or []
    notation = record.get("notation") or columns.likely_notation(cells, kind, levels)
    column = columns.read_as(name, cells, kind, notation, levels)
    if kind == "text":
        return column
    filled = columns.filled(cells, kind != "categorical" or notation.startswith(LABEL))
    lost = filled & column.missing()
    if not lost.any():
        return column
    notices = []
    if lost.sum() > LOST_SHARE_MAX * filled.sum():
        other = in_another_way(column, cells, filled, record.get("range"))
        if other is not None:
            notices.append(told_of_notation(other, cells, lost, file))
            column, lost = other, filled & other.missing()
    if lost.any():
        tell = told_of_levels if kind == "categorical" else told_of_cells
        notices.append(tell(column, cells, filled, lost, file))
    column.notices = notices
    return column


def in_another_way(
    column: Typed, cells: Any, filled: Flags, limits: tuple[float, float] | None
) -> Typed | None:
    """The column in the notation that loses the fewest cells; `None` when none loses far fewer than its own.

    Of notations that read as many, the one with more numbers between the limits of training is taken, then
    the first.
    """
    best: Typed | None = None
    most = (-1, -1)
    for notation in others(column.notation, cells, limits):
        found = columns.read_as(column.name, cells, column.kind, notation, column.levels)
        rating = (int((filled & ~found.missing()).sum()), within(found, limits))
        if rating > most:
            best, most = found, rating
    if best is None:
        return None
    before, after = (filled & column.missing()).sum(), (filled & best.missing()).sum()
    return best if after <= LOST_AGAIN_MAX * before else None


def others(notation: str, cells: Any, limits: tuple[float, float] | None) -> list[str]:
    """The notations that say the same kind of thing as `notation`, itself left out."""
    label = LABEL if notation.startswith(LABEL) else ""
    own = notation.removeprefix(label)
    found: list[str] = []
    if own in numbers.STYLES:
        # Words for yes and no are numbers where training had nothing but 0 and 1.
        truths = label or limits is None or tuple(limits) == (0.0, 1.0)
        found = [*numbers.STYLES, *([truth.NOTATION] if truths else [])]
    elif own in (*dates.NAMES, "stored", "compact"):
        distinct, _ = columns.distinct_of(columns.missing_cells(columns.as_strings(cells)))
        found = [*dates.order(distinct), "compact"]
    return [label + other for other in found if other != own]


def within(column: Typed, limits: tuple[float, float] | None) -> int:
    """How many numbers lie between the limits."""
    if limits is None or column.kind != "numeric" or column.values is None:
        return 0
    return int(((column.values >= limits[0]) & (column.values <= limits[1])).sum())


def told_of_notation(column: Typed, cells: Any, lost: Flags, file: str) -> Notice:
    """That the column is written otherwise, with a cell and what was read in it."""
    row = int(np.flatnonzero(lost & ~column.missing())[0])
    words = WORDS[column.notation.removeprefix(LABEL)]
    message = (
        f"{file}: column `{short(column.name)}` is not written as in the training file; read as {words} "
        f"(`{text_of(cells, row)}` is {value_of(column, row)})"
    )
    return Notice("notation_changed", message)


def told_of_cells(column: Typed, cells: Any, filled: Flags, lost: Flags, file: str) -> Notice:
    """That cells are no numbers or moments, with how many and the first of them."""
    row = int(np.flatnonzero(lost)[0])
    what = "dates" if column.kind == "datetime" else "numbers"
    message = (
        f"{file}: column `{short(column.name)}` holds {what}, but {int(lost.sum()):,} of "
        f"{int(filled.sum()):,} cells are none (first `{text_of(cells, row)}` in row {row + 1}); "
        "taken as missing"
    )
    return Notice("cells_lost", message)


def told_of_levels(column: Typed, cells: Any, filled: Flags, lost: Flags, file: str) -> Notice:
    """That cells hold values that training has not seen, with how many and which."""
    counted = pc.value_counts(columns.as_strings(cells).filter(pa.array(lost)))
    counts = dict(zip(counted.field(0).to_pylist(), counted.field(1).to_pylist(), strict=True))
    named = [f"`{short(text, 30)}` ({count:,})" for text, count in sorted(counts.items(), key=by_count)]
    message = (
        f"{file}: column `{short(column.name)}` has values that training has not seen in "
        f"{int(lost.sum()):,} of {int(filled.sum()):,} cells: {some(named)}; taken as missing"
    )
    return Notice("unseen_levels", message)


def by_count(item: tuple[str, int]) -> tuple[int, str]:
    """Orders values by their counts, the largest first, then by text."""
    return -item[1], item[0]


def text_of(cells: Any, row: int) -> str:
    """A cell as text for a message."""
    return short(str(columns.as_strings(cells.slice(row, 1))[0].as_py()), 30)


def value_of(column: Typed, row: int) -> str:
    """What was read in a cell, as text."""
    if column.codes is not None:
        return column.levels[int(column.codes[row])]
    assert column.values is not None
    write = profile.moment_text if column.kind == "datetime" else numbers.canonical
    return write(float(column.values[row]))
