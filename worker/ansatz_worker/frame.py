"""The frame that solutions see, built from the arrays that the reader wrote.

Numbers become float64, categories pandas Categorical, texts object strings, moments datetime64[s]. The same
function builds the frame of a run and the frame of a new file, so a model cannot meet two kinds of table.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ansatz_worker import npy

Array = npy.Array

KINDS = ("numeric", "categorical", "datetime", "text")


@dataclass(frozen=True)
class TableColumn:
    """One feature column: its name, its kind, and where its values are stored."""

    name: str
    kind: str
    store: str
    index: int
    joined: bool = False
    """Whether it comes from a further table."""

    @classmethod
    def parse(cls, record: dict[str, Any]) -> TableColumn:
        """The column that `table.json` describes; raises `ValueError` for an unknown kind or store."""
        place = (str(record["store"]), int(record["index"]))
        column = cls(str(record["name"]), str(record["kind"]), *place, bool(record.get("joined", False)))
        if column.kind not in KINDS or column.store not in ("numeric", "codes"):
            raise ValueError(f"column {column.name!r}: kind {column.kind!r}, store {column.store!r}")
        return column


def load(folder: Path) -> tuple[pd.DataFrame, list[TableColumn]]:
    """The frame of all rows (train, then test) that lies in a folder, with its columns."""
    table = json.loads((folder / "table.json").read_text("utf-8"))
    columns = [TableColumn.parse(record) for record in table["columns"]]
    levels = json.loads((folder / "levels.json").read_text("utf-8"))
    numeric, codes = npy.map_file(folder / "numeric.npy"), npy.map_file(folder / "codes.npy")
    rows = int(table["train_rows"]) + int(table["test_rows"])
    for name, array in (("numeric.npy", numeric), ("codes.npy", codes)):
        if array.ndim != 2 or len(array) != rows:
            raise ValueError(f"{name} has shape {array.shape}, but table.json says {rows} rows")
    return build(columns, numeric, codes, levels), columns


def build(columns: list[TableColumn], numeric: Array, codes: Array, levels: list[list[str]]) -> pd.DataFrame:
    """The frame of arrays: `numeric` (rows, numbers and moments), `codes` (rows, categories and texts)."""
    rows = len(numeric)
    plain = [column for column in columns if column.kind == "numeric"]
    numbers = pd.DataFrame(
        np.asfortranarray(numeric[:, [column.index for column in plain]], dtype=np.float64),
        columns=pd.Index([column.name for column in plain], dtype=object),
    )
    others = {
        column.name: _series(column, numeric, codes, levels) for column in columns if column.kind != "numeric"
    }
    frame = (
        pd.concat([numbers, pd.DataFrame(others, index=pd.RangeIndex(rows))], axis=1) if others else numbers
    )
    return frame[[column.name for column in columns]]


def _series(column: TableColumn, numeric: Array, codes: Array, levels: list[list[str]]) -> Any:
    if column.kind == "datetime":
        return moments(numeric[:, column.index])
    values = codes[:, column.index]
    names = levels[column.index]
    if column.kind == "categorical":
        return pd.Categorical.from_codes(values, categories=pd.Index(names, dtype=object))
    texts = np.array([*names, None], dtype=object)
    return pd.Series(texts[values], dtype=object)


def moments(seconds: Array) -> Array:
    """Seconds since 1970 as datetime64[s]; NaN becomes NaT."""
    filled = np.isfinite(seconds)
    whole = np.where(filled, seconds, 0).astype(np.int64).astype("datetime64[s]")
    whole[~filled] = np.datetime64("NaT")
    return whole


def take(frame: pd.DataFrame, rows: Array) -> pd.DataFrame:
    """A fresh frame of these rows in this order, counted from 0; raises `ValueError` for a row outside the
    table.
    """
    if rows.ndim != 1 or (len(rows) and (rows.min() < 0 or rows.max() >= len(frame))):
        raise ValueError(f"row numbers must lie from 0 to {len(frame) - 1}")
    return frame.take(rows.astype(np.int64)).reset_index(drop=True)
