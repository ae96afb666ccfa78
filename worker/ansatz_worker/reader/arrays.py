"""Typed columns to the files that everybody else maps: `table.json`, `numeric.npy`, `codes.npy`,
`levels.json`, ….

Only feature columns go into the arrays; the target goes into a file of its own.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ansatz_worker import npy
from ansatz_worker.errors import Refused
from ansatz_worker.reader import numbers
from ansatz_worker.reader.columns import Floats, Typed
from ansatz_worker.reader.table import Notice, short, some

TARGET_NUMBERS_SHARE_MIN = 0.95
"""Share of filled target cells that must be numbers for a regression."""


@dataclass(frozen=True)
class Features:
    """Feature columns in order as two matrices in Fortran order, and the levels of the codes."""

    columns: list[Typed]
    numeric: Floats
    codes: NDArray[np.int32]
    levels: list[list[str]]
    joined: frozenset[str] = frozenset()
    """Names of the columns that come from further tables."""

    def table(self, train_rows: int) -> dict[str, Any]:
        """The record of `table.json`."""
        places = {"numeric": 0, "codes": 0}
        records = []
        for column in self.columns:
            place = {"store": column.store, "index": places[column.store]}
            record = {"name": column.name, "kind": column.kind, **place, "notation": column.notation}
            records.append(record | ({"joined": True} if column.name in self.joined else {}))
            places[column.store] += 1
        return {"train_rows": train_rows, "test_rows": len(self.numeric) - train_rows, "columns": records}

    def schema(self, target: str | None, identifier: str | None) -> dict[str, Any]:
        """How to read a later file alike: the columns with their notations, the levels of categories, and the
        range of numbers.
        """
        columns = self.table(0)["columns"]
        for record, column in zip(columns, self.columns, strict=True):
            if column.kind == "categorical":
                record["levels"] = column.levels
            elif column.kind == "numeric" and column.values is not None and not column.missing().all():
                record["range"] = [float(np.nanmin(column.values)), float(np.nanmax(column.values))]
        return {"target": target, "id": identifier, "columns": columns}

    def save(self, out: Path, train_rows: int) -> None:
        """Writes the four files."""
        write_json(out / "table.json", self.table(train_rows))
        write_json(out / "levels.json", self.levels)
        npy.write(out / "numeric.npy", self.numeric)
        npy.write(out / "codes.npy", self.codes)


def collect(columns: list[Typed], rows: int, joined: set[str] | None = None) -> Features:
    """The matrices of feature columns; `joined` are those that come from further tables."""
    numbers_of = [column.values for column in columns if column.values is not None]
    codes_of = [column.codes for column in columns if column.codes is not None]
    numeric = np.empty((rows, len(numbers_of)), dtype=np.float64, order="F")
    for i, values in enumerate(numbers_of):
        numeric[:, i] = values
    codes = np.empty((rows, len(codes_of)), dtype=np.int32, order="F")
    for i, code in enumerate(codes_of):
        codes[:, i] = code
    levels = [column.levels for column in columns if column.codes is not None]
    return Features(columns, numeric, codes, levels, frozenset(joined or ()))


def labels_of(column: Typed, rows: int) -> tuple[list[str], NDArray[np.int32]]:
    """The canonical labels of a target's first `rows` cells, and each cell's label (-1: missing)."""
    column = column.as_categories()
    assert column.codes is not None
    codes = column.codes[:rows]
    used = np.unique(codes[codes >= 0])
    texts = [numbers.canonical_text(column.levels[i]) for i in used]
    labels = sorted(set(texts), key=label_order)
    place = {label: i for i, label in enumerate(labels)}
    mapping = np.full(len(column.levels) + 1, -1, dtype=np.int32)
    mapping[used] = [place[text] for text in texts]
    return labels, mapping[codes]


def label_order(label: str) -> tuple[int, float, str]:
    """Numbers by size, then other labels by text."""
    try:
        return 0, float(label), label
    except ValueError:
        return 1, 0.0, label


def class_target(
    column: Typed, rows: int, classes: list[str] | None, file: str
) -> tuple[Floats, list[str], list[Notice]]:
    """Class indices (NaN where missing or not among the classes), the classes, and notices."""
    labels, codes = labels_of(column, rows)
    if classes is None:
        classes = labels
    place = {numbers.canonical_text(name): i for i, name in enumerate(classes)}
    mapping = np.array([*(place.get(label, np.nan) for label in labels), np.nan])
    target = mapping[codes]
    notices = missing_notice(codes < 0, column.name, file)
    unknown = [label for label in labels if label not in place]
    if unknown:
        count = int((np.isnan(target) & (codes >= 0)).sum())
        named = some([short(label, 30) for label in unknown])
        message = f"{file}: {count:,} rows have a target outside the classes ({named}); left out"
        notices.append(Notice("target_unknown_class", message))
    return target, classes, notices


def value_target(column: Typed, rows: int, file: str) -> tuple[Floats, list[Notice]]:
    """Target values, NaN where missing; raises `Refused` when the column does not hold numbers."""
    if column.values is None or column.kind == "datetime":
        seen = [] if column.codes is None else [code for code in column.codes[:rows].tolist() if code >= 0]
        example = short(column.levels[seen[0]], 30) if seen else "moments"
        raise Refused(
            "target_not_numeric",
            f"{file}: the target `{short(column.name)}` holds no numbers (for example `{example}`)",
            "name another target, or ask for a classification",
            file,
            column=column.name,
        )
    target = column.values[:rows].copy()
    return target, missing_notice(np.isnan(target), column.name, file)


def missing_notice(missing: NDArray[np.bool_], name: str, file: str) -> list[Notice]:
    """A notice about rows without a target."""
    if not missing.any():
        return []
    rows = np.flatnonzero(missing)
    named = some((rows + 1).tolist())
    message = f"{file}: {len(rows):,} rows have no target `{short(name)}` (row {named}); left out"
    return [Notice("target_missing", message)]


def write_json(path: Path, record: Any) -> None:
    """Writes a file of JSON; a number that JSON has no word for is an error."""
    path.write_text(json.dumps(record, ensure_ascii=False, allow_nan=False), "utf-8", errors="replace")
