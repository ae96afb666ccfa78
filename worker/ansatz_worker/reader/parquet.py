"""Parquet files to columns: numbers, truth values, moments and strings as stored, everything else as text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pa_parquet

from ansatz_worker.errors import Refused, one_line
from ansatz_worker.reader.table import RawTable, check_rows, unique_names


def parse(data: bytes, file: str) -> RawTable:
    """The table of a Parquet file; raises `Refused` when it is damaged or has no rows."""
    try:
        stored = pa_parquet.ParquetFile(pa.BufferReader(data))
        # Equal values take no room in a file, but do in memory.
        check_rows(stored.metadata.num_rows, file)
        table = stored.read()
    except (pa.ArrowException, OSError) as error:
        reason = one_line(str(error))[:120]
        raise Refused(
            "unreadable", f"{file} is a damaged Parquet file: {reason}", "write it again", file
        ) from error
    if not table.num_columns:
        raise Refused("empty", f"{file} has no columns", "give a table with columns and rows", file)
    if not table.num_rows:
        raise Refused("header_only", f"{file} has columns but no rows", "give a file with rows", file)
    names, notices = unique_names([str(name) for name in table.column_names], file)
    return RawTable(file, names, [cells(column) for column in table.columns], table.num_rows, notices)


def save(path: Path, columns: dict[str, Any]) -> None:
    """Writes columns of cells so that reading them gives the same cells."""
    pa_parquet.write_table(pa.table(columns), path)


def cells(column: Any) -> Any:
    """A column as int64, float64, timestamp in seconds, or trimmed strings; null is missing."""
    column = column.combine_chunks()
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    kind = column.type
    if pa.types.is_boolean(kind):
        return pc.if_else(column, "True", "False")
    if pa.types.is_integer(kind) or (pa.types.is_decimal(kind) and kind.scale == 0):
        return whole(column)
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return pc.cast(column, pa.float64(), safe=False)
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return pc.cast(column, pa.timestamp("s"), safe=False)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return pc.utf8_trim_whitespace(pc.cast(column, pa.string()))
    try:
        return pc.utf8_trim_whitespace(pc.cast(column, pa.string()))
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid):
        return pa.array(
            [None if value is None else one_line(str(value)) for value in column.to_pylist()], pa.string()
        )


def whole(column: Any) -> Any:
    """Whole numbers as int64, as digits where they are too large for that: an id keeps all of them."""
    try:
        return pc.cast(column, pa.int64())
    except pa.ArrowInvalid:
        return pc.cast(column, pa.string())
