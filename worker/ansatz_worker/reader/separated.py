"""Text with separators (CSV, TSV and kin) to columns of strings.

The quick path is arrow's parser; a file whose rows differ in length goes through Python's, row by row, so
that no row is lost.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from ansatz_worker.errors import Refused
from ansatz_worker.reader.table import Notice, RawTable, check_rows, some, unique_names

SEPARATORS = (",", "\t", ";", "|")
PROBE_CHARACTERS = 256 * 1024
PROBE_RECORDS = 50
FIELD_CHARACTERS_MAX = 64 * 1024 * 1024
BLOCK_BYTES = 16 * 1024 * 1024
COLUMNS_MAX = 100_000


def parse(body: bytes, file: str) -> RawTable:
    """The table in UTF-8 text; raises `Refused` when it has no rows."""
    csv.field_size_limit(FIELD_CHARACTERS_MAX)
    check_rows(body.count(b"\n"), file)
    separator = separator_of(body, file)
    header = first_record(body, separator, file)
    if len(header) > COLUMNS_MAX:
        raise Refused(
            "too_wide", f"{file} has {len(header):,} columns", f"at most {COLUMNS_MAX:,} are read", file
        )
    try:
        columns = quick(body, separator, len(header))
        notices: list[Notice] = []
    except pa.ArrowInvalid:
        header, columns, notices = thorough(body, separator, header, file)
    rows = len(columns[0]) if columns else 0
    if rows == 0:
        raise Refused("header_only", f"{file} has a header but no rows", "give a file with rows", file)
    names, renamed = unique_names(header, file)
    return RawTable(file, names, columns, rows, [*notices, *renamed, *numeric_header(header, file)])


def separator_of(body: bytes, file: str) -> str:
    """The separator that splits the first records most evenly; a comma when none splits anything."""
    probe = body[:PROBE_CHARACTERS].decode("utf-8", "ignore")
    complete = len(body) <= PROBE_CHARACTERS
    best, best_rating = ",", (0.0, 0)
    for separator in SEPARATORS:
        widths = probe_widths(probe, separator, complete)
        if not widths or widths[0] < 2:
            continue
        evenness = sum(width == widths[0] for width in widths) / len(widths)
        # Evenness in coarse steps, then the number of fields: one ragged row must not hand the file to
        # another separator.
        rating = (round(evenness * 4) / 4, widths[0])
        if rating > best_rating:
            best, best_rating = separator, rating
    return best


def probe_widths(probe: str, separator: str, complete: bool) -> list[int]:
    """Numbers of fields of the first records."""
    widths = []
    try:
        for record in csv.reader(io.StringIO(probe, newline=""), delimiter=separator):
            if record:
                widths.append(len(record))
            if len(widths) > PROBE_RECORDS:
                break
    except csv.Error:
        return widths
    return widths if complete or len(widths) < 2 else widths[:-1]


def first_record(body: bytes, separator: str, file: str) -> list[str]:
    """The header's cells; raises `Refused` when one of them never ends."""
    text = io.TextIOWrapper(io.BytesIO(body), "utf-8", errors="replace", newline="")
    try:
        return next((record for record in csv.reader(text, delimiter=separator) if record), [])
    except csv.Error as error:
        raise Refused("unreadable", f"{file} has no header: {error}", "check its quotes", file) from error


def quick(body: bytes, separator: str, width: int) -> list[Any]:
    """Columns by arrow's parser; raises `ArrowInvalid` when rows differ in length or a row is larger than a
    block.
    """
    names = [f"c{i}" for i in range(width)]
    # A header that starts with blank lines is skipped with them.
    table = pa_csv.read_csv(
        pa.BufferReader(body.lstrip(b"\r\n")),
        read_options=pa_csv.ReadOptions(column_names=names, skip_rows_after_names=1, block_size=BLOCK_BYTES),
        parse_options=pa_csv.ParseOptions(delimiter=separator, newlines_in_values=b'"' in body),
        convert_options=pa_csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False, check_utf8=True
        ),
    )
    return [pc.utf8_trim_whitespace(column.combine_chunks()) for column in table.columns]


def thorough(
    body: bytes, separator: str, header: list[str], file: str
) -> tuple[list[str], list[Any], list[Notice]]:
    """Header, columns and notices by Python's parser: short rows are filled, extra cells dropped."""
    text = io.TextIOWrapper(io.BytesIO(body), "utf-8", errors="replace", newline="")
    try:
        records = [record for record in csv.reader(text, delimiter=separator) if record][1:]
    except csv.Error as error:
        raise Refused("unreadable", f"{file} cannot be parsed: {error}", "check its quotes", file) from error
    width = len(header)
    widths = Counter(len(record) for record in records)
    notices = []
    if widths and widths.most_common(1)[0][0] == width + 1:
        # Row names without a name of their own, as R writes them.
        header = ["row_name", *header]
        width += 1
        notices.append(
            Notice("row_names", f"{file}: rows have one cell more than the header; read as row names")
        )
    ragged = [i + 1 for i, record in enumerate(records) if len(record) != width]
    if ragged:
        message = (
            f"{file}: {len(ragged):,} of {len(records):,} rows do not have {width} cells "
            f"(row {some(ragged)}, header not counted); short rows were filled with missing cells, "
            "extra cells dropped"
        )
        notices.append(Notice("ragged_rows", message))
    padding = [""] * width
    padded = [record if len(record) == width else (record + padding)[:width] for record in records]
    columns = [
        pc.utf8_trim_whitespace(pa.array(list(cells), pa.string())) for cells in zip(*padded, strict=True)
    ]
    return header, columns, notices


def numeric_header(header: list[str], file: str) -> list[Notice]:
    """A notice when the first row looks like data."""
    cells = [cell.strip() for cell in header if cell.strip()]
    if cells and all(cell.lstrip("+-").replace(".", "", 1).isdigit() for cell in cells):
        return [Notice("header_numbers", f"{file}: the header holds only numbers; the first row may be data")]
    return []
