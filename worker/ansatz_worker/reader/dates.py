"""Cells that are moments, in the notations that people write. Works on arrow arrays of distinct strings.

A time of day alone is no moment. Moments become seconds since 1970; one without a zone is taken as UTC.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Floats = NDArray[np.float64]

TIME = (
    r"(?:[T ,]+(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2}(?:\.\d+)?))?"
    r"\s*(?P<half>[AaPp]\.?[Mm]\.?)?\s*(?P<zone>Z|UTC|GMT|[+-]\d{2}:?\d{2})?)?$"
)
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
PROBE_TEXTS = 200
YEAR_PIVOT = 69
"""Two-digit years from here on belong to the last century, as in POSIX."""
COMPACT_MIN, COMPACT_MAX = 19_000_101, 21_001_231
"""First and last whole number that may be a date like 20240131."""


@dataclass(frozen=True)
class Notation:
    """A way of writing moments: its name, and a pattern whose groups are named by their meaning."""

    name: str
    pattern: str


YEAR_FIRST = r"^(?P<year>\d{4})[-/.](?P<month>\d{1,2})(?:[-/.](?P<day>\d{1,2}))?" + TIME
NUMBERS = r"^(?P<{first}>\d{{1,2}})[-/.](?P<{second}>\d{{1,2}})[-/.](?P<year>\d{{4}}|\d{{2}})"

WEEKDAY = r"^(?:[A-Za-z]{3,9},? +)?"

NOTATIONS = (
    Notation("ymd", YEAR_FIRST),
    Notation("dmy", NUMBERS.format(first="day", second="month") + TIME),
    Notation("mdy", NUMBERS.format(first="month", second="day") + TIME),
    Notation(
        "dby",
        WEEKDAY + r"(?P<day>\d{1,2})[- ./]?(?P<name>[A-Za-z]{3,9})\.?[-, ./]+(?P<year>\d{4}|\d{2})" + TIME,
    ),
    Notation("bdy", WEEKDAY + r"(?P<name>[A-Za-z]{3,9})\.? +(?P<day>\d{1,2}),? +(?P<year>\d{4})" + TIME),
)
NAMES = tuple(notation.name for notation in NOTATIONS)


def parse(texts: Any, notation: str) -> Floats:
    """Seconds since 1970 of strings in a notation, NaN for those that are none."""
    pattern = next(found.pattern for found in NOTATIONS if found.name == notation)
    fields = pc.extract_regex(texts, pattern)
    # A string that does not match gives a null record, whose fields read as NaN below.
    number = {field.name: _numbers(pc.struct_field(fields, field.name), field.name) for field in fields.type}
    year = number["year"]
    if notation != "ymd":
        year = np.where(year < 100, np.where(year >= YEAR_PIVOT, year + 1900, year + 2000), year)
    month = number["name"] if "name" in number else number["month"]
    day = np.where(np.isnan(number["day"]) & ~np.isnan(year), 1.0, number["day"])
    hour, minute, second = (np.nan_to_num(number[part]) for part in ("hour", "minute", "second"))
    hour = np.where(np.isnan(number["half"]), hour, hour % 12 + 12 * np.nan_to_num(number["half"]))
    seconds = days(year, month, day) * 86400 + hour * 3600 + minute * 60 + second
    good = (hour < 24) & (minute < 60) & (second < 61)
    return np.where(good, seconds - np.nan_to_num(number["zone"]), np.nan)


def compact(values: Floats) -> Floats:
    """Seconds since 1970 of whole numbers like 20240131, NaN for those that are no such date."""
    known = (values >= COMPACT_MIN) & (values <= COMPACT_MAX) & (values == np.floor(values))
    whole = np.where(known, values, COMPACT_MIN)
    year, month, day = np.floor(whole / 10_000), np.floor(whole / 100) % 100, whole % 100
    return np.where(known, days(year, month, day) * 86400, np.nan)


def _numbers(part: Any, name: str) -> Floats:
    """One part of all moments as numbers: names of months, halves of days, and zones included."""
    if name in ("name", "half", "zone"):
        encoded = part.dictionary_encode()
        translate = {"name": _month, "half": _half, "zone": _zone}[name]
        values = np.array([*(translate(text or "") for text in encoded.dictionary.to_pylist()), np.nan])
        return np.asarray(
            values[pc.fill_null(encoded.indices, len(values) - 1).to_numpy(zero_copy_only=False)]
        )
    filled = pc.if_else(pc.equal(part, ""), None, part)
    return np.asarray(pc.cast(filled, pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64)


def _month(text: str) -> float:
    prefix = text[:3].lower()
    return MONTHS.index(prefix) + 1.0 if prefix in MONTHS else np.nan


def _half(text: str) -> float:
    return np.nan if not text else float(text[0] in "pP")


def _zone(text: str) -> float:
    if not text or text[0] not in "+-":
        return np.nan
    digits = text[1:].replace(":", "")
    return (1 if text[0] == "+" else -1) * (int(digits[:2]) * 3600.0 + int(digits[2:]) * 60.0)


def days(year: Floats, month: Floats, day: Floats) -> Floats:
    """Days since 1970-01-01 of Gregorian dates; NaN for dates that do not exist."""
    known = ~(np.isnan(year) | np.isnan(month) | np.isnan(day)) & (month >= 1) & (month <= 12) & (day >= 1)
    months = (np.where(known, year, 1970) - 1970) * 12 + np.where(known, month, 1) - 1
    start = months.astype(np.int64).astype("datetime64[M]")
    first = start.astype("datetime64[D]").astype(np.int64)
    length = (start + 1).astype("datetime64[D]").astype(np.int64) - first
    return np.where(known & (day <= length), first + day - 1, np.nan)


def notation_of(texts: Any, counts: NDArray[np.int64], share_min: float) -> tuple[str, Floats] | None:
    """The notation in which nearly all cells are moments, with the moments; `None` when there is none.

    When day and month cannot be told apart, the first in `order` is believed.
    """
    total = int(counts.sum())
    best: tuple[str, Floats] | None = None
    most = 0
    probe = texts.slice(0, PROBE_TEXTS)
    for name in order(texts):
        if not _mostly(probe, name):
            continue
        found = parse(texts, name)
        good = int(counts[~np.isnan(found)].sum())
        if total and good >= share_min * total and good > most:
            best, most = (name, found), good
    return best


def order(texts: Any) -> list[str]:
    """The notations, the likelier first: dots and dashes mean day first and strokes month first."""
    names = list(NAMES)
    if _strokes(texts):
        names[1], names[2] = names[2], names[1]
    return names


def _mostly(probe: Any, notation: str) -> bool:
    """Whether half of some strings have the form of a notation: a cheap look before all are parsed."""
    pattern = next(found.pattern for found in NOTATIONS if found.name == notation)
    return len(probe) > 0 and 2 * int(pc.sum(pc.match_substring_regex(probe, pattern)).as_py()) >= len(probe)


def _strokes(texts: Any) -> bool:
    return bool(pc.any(pc.match_substring(texts, "/")).as_py())
