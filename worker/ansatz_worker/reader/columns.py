"""What kind of thing a column holds, concluded from all its cells (training and test file together).

Numbers, moments, categories and texts; a whole column is read in one notation, and cells that do not fit it
are missing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ansatz_worker.reader import dates, numbers, truth
from ansatz_worker.reader.table import Notice, short, some

Floats = NDArray[np.float64]
Codes = NDArray[np.int32]

MISSING = (
    *("", "NA", "N/A", "n/a", "NaN", "nan", "-nan", "-NaN", "NULL", "null", "Null", "None", "<NA>"),
    *("#N/A", "#N/A N/A", "#NA", "#NULL!", "NaT", "1.#IND", "-1.#IND", "1.#QNAN", "-1.#QNAN"),
)
PLACEHOLDERS = {
    "?",
    "-",
    "--",
    "---",
    ".",
    "*",
    "x",
    "unknown",
    "missing",
    "n.a.",
    "not available",
    "(blank)",
    "nil",
}
"""Words that mean "missing" in a column of numbers or moments, but may be a category elsewhere."""

NUMBER_SHARE_MIN = 0.98
DATE_SHARE_MIN = 0.98
"""Share of filled cells that must be numbers (moments) for the column to be numeric (moments)."""

COMPACT_DISTINCT_MIN = 5
"""Different whole numbers that must all be dates like 20240131 before they are taken for dates."""

TEXT_WORDS_MIN = 3.0
TEXT_CHARACTERS_MIN = 15.0
TEXT_DISTINCT_SHARE_MIN = 0.5
LONG_TEXT_CHARACTERS_MIN = 60.0
LONG_TEXT_DISTINCT_SHARE_MIN = 0.2
"""From here on strings are free text: several words and mostly distinct, or simply long."""


LABEL = "label:"
"""How the notation of numbers begins that are labels."""


@dataclass
class Typed:
    """A column with its kind: `values` for numbers and moments, `codes` into `levels` for categories and
    texts.

    `notation` says how its cells are read, so that a later file is read alike.
    """

    name: str
    kind: str
    notation: str
    values: Floats | None = None
    codes: Codes | None = None
    levels: list[str] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)

    @property
    def store(self) -> str:
        """Which array it goes to."""
        return "numeric" if self.values is not None else "codes"

    def missing(self) -> NDArray[np.bool_]:
        """Which rows have no value."""
        if self.values is not None:
            return np.isnan(self.values)
        assert self.codes is not None
        return self.codes < 0

    def as_categories(self) -> Typed:
        """The column as categories: numbers become labels in rising order."""
        if self.values is None:
            return self
        filled = ~np.isnan(self.values)
        distinct, inverse = np.unique(self.values[filled], return_inverse=True)
        codes = np.full(len(self.values), -1, dtype=np.int32)
        codes[filled] = inverse
        levels = [numbers.canonical(float(value)) for value in distinct]
        return Typed(self.name, "categorical", f"{LABEL}{self.notation}", codes=codes, levels=levels)


def missing_cells(cells: Any) -> Any:
    """Strings with every word for "missing" made null."""
    return pc.if_else(pc.is_in(cells, value_set=pa.array(MISSING)), None, cells)


def infer(name: str, cells: Any, file: str) -> Typed:
    """The kind and the values of a column of any arrow type that the parsers give."""
    kind = cells.type
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return _plain(name, _to_floats(cells), [], file)
    if pa.types.is_timestamp(kind):
        return Typed(name, "datetime", "stored", values=_to_floats(cells.cast(pa.int64())))
    texts = missing_cells(cells)
    try:
        return _plain(name, _to_floats(pc.cast(texts, pa.float64())), [], file)
    except pa.ArrowInvalid:
        return _from_distinct(name, texts, file)


def _to_floats(cells: Any) -> Floats:
    values = pc.cast(cells, pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    return np.array(values, dtype=np.float64)


def _plain(name: str, values: Floats, notices: list[Notice], file: str) -> Typed:
    """Numbers with points, or moments where every one of them is a date like 20240131."""
    filled = values[~np.isnan(values)]
    if len(filled) and filled.min() >= dates.COMPACT_MIN and filled.max() <= dates.COMPACT_MAX:
        distinct = np.unique(filled)
        if len(distinct) >= COMPACT_DISTINCT_MIN and not np.isnan(dates.compact(distinct)).any():
            return Typed(name, "datetime", "compact", values=dates.compact(values), notices=notices)
    return _numeric(name, values, "plain", notices, file)


def _numeric(name: str, values: Floats, notation: str, notices: list[Notice], file: str) -> Typed:
    infinite = np.isinf(values)
    if infinite.any():
        values[infinite] = np.nan
        count = int(infinite.sum())
        message = f"{file}: column `{short(name)}` holds {count:,} infinite values; taken as missing"
        notices = [*notices, Notice("infinite", message)]
    return Typed(name, "numeric", notation, values=values, notices=notices)


def distinct_of(texts: Any) -> tuple[Any, NDArray[np.int32]]:
    """Distinct strings and, for each row, which one it is (-1: missing)."""
    encoded = texts.dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    index = pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False)
    return encoded.dictionary, np.asarray(index, dtype=np.int32)


def _from_distinct(name: str, texts: Any, file: str) -> Typed:
    distinct, index = distinct_of(texts)
    counts = np.bincount(index[index >= 0], minlength=len(distinct)).astype(np.int64)
    lowered = pc.utf8_lower(distinct)
    real = ~np.asarray(
        pc.is_in(lowered, value_set=pa.array(sorted(PLACEHOLDERS))).to_numpy(zero_copy_only=False)
    )
    weights = np.where(real, counts, 0)
    found = numbers.style_of(distinct, weights, NUMBER_SHARE_MIN)
    if found:
        notices = misfits(name, distinct, index, np.isnan(found[1]), "numbers", file)
        values = _spread(found[1], index)
        if found[0] == "plain":
            return _plain(name, values, notices, file)
        return _numeric(name, values, found[0], notices, file)
    found = dates.notation_of(distinct, weights, DATE_SHARE_MIN)
    if found:
        notices = misfits(name, distinct, index, np.isnan(found[1]), "dates", file)
        return Typed(name, "datetime", found[0], values=_spread(found[1], index), notices=notices)
    if is_text(distinct, counts):
        return Typed(name, "text", "text", codes=index, levels=distinct.to_pylist())
    return categories(name, distinct, index)


def _spread(per_level: Floats, index: NDArray[np.int32]) -> Floats:
    return np.asarray(np.append(per_level, np.nan)[index])


def misfits(
    name: str, distinct: Any, index: NDArray[np.int32], bad: NDArray[np.bool_], what: str, file: str
) -> list[Notice]:
    """A notice about cells that do not fit the column's kind and are taken as missing."""
    if not bad.any():
        return []
    rows = np.flatnonzero(bad[index] & (index >= 0))
    values = [f"`{short(text, 30)}`" for text in distinct.filter(pa.array(bad)).to_pylist()]
    message = (
        f"{file}: column `{short(name)}` holds {what}, but {len(rows):,} cells are {some(values)} "
        f"(first in row {int(rows[0]) + 1}); taken as missing"
    )
    return [Notice("mixed_types", message)]


def is_text(distinct: Any, counts: NDArray[np.int64]) -> bool:
    """Whether strings are free text: mostly distinct and of several words, or long."""
    total = int(counts.sum())
    if not total:
        return False
    share = len(distinct) / total
    length = float((pc.utf8_length(distinct).to_numpy() * counts).sum()) / total
    words = 1.0 + float((pc.count_substring_regex(distinct, r"\s+").to_numpy() * counts).sum()) / total
    several = words >= TEXT_WORDS_MIN and length >= TEXT_CHARACTERS_MIN and share >= TEXT_DISTINCT_SHARE_MIN
    return several or (
        length >= LONG_TEXT_CHARACTERS_MIN and words > 2 and share >= LONG_TEXT_DISTINCT_SHARE_MIN
    )


def categories(name: str, distinct: Any, index: NDArray[np.int32]) -> Typed:
    """A column of categories, levels in order of their text; of words for no and yes, no comes first."""
    levels: list[str] = distinct.to_pylist()
    notation = "exact"
    pair = truth.pair_of(levels)
    if pair is not None:
        notation = truth.NOTATION
        mapping = [pair.index(level.lower()) for level in levels]
        sorted_levels = [word.capitalize() for word in pair]
        if len(levels) == 2:
            # One spelling of each is kept as the file has it.
            sorted_levels = sorted(levels, key=lambda level: pair.index(level.lower()))
    else:
        sorted_levels = sorted(levels)
        place = {level: i for i, level in enumerate(sorted_levels)}
        mapping = [place[level] for level in levels]
    codes = np.array([*mapping, -1], dtype=np.int32)[index]
    return Typed(name, "categorical", notation, codes=codes, levels=sorted_levels)


def read_as(name: str, cells: Any, kind: str, notation: str, levels: list[str]) -> Typed:
    """A column of a later file, read as an earlier one was; what does not fit is missing."""
    if kind in ("numeric", "datetime"):
        return Typed(name, kind, notation, values=_values_as(cells, notation))
    if kind == "text":
        distinct, index = distinct_of(missing_cells(as_strings(cells)))
        return Typed(name, kind, notation, codes=index, levels=distinct.to_pylist())
    if notation.startswith(LABEL):
        values = _values_as(cells, notation.removeprefix(LABEL))
        labels = Typed(name, "numeric", notation, values=values).as_categories()
        place = {level: i for i, level in enumerate(levels)}
        mapping = np.array([*(place.get(level, -1) for level in labels.levels), -1], dtype=np.int32)
        return Typed(name, kind, notation, codes=mapping[labels.codes], levels=levels)
    distinct, index = distinct_of(missing_cells(as_strings(cells)))
    codes = np.array([*_known(distinct.to_pylist(), levels), -1], dtype=np.int32)[index]
    return Typed(name, kind, notation, codes=codes, levels=levels)


def _known(words: list[str], levels: list[str]) -> list[int]:
    """Which level each word is, -1 for none: exactly, or else but for case, spaces, and the way to write a
    number or a word for yes and no.
    """
    exact = {level: i for i, level in enumerate(levels)}
    codes = [exact.get(word, -1) for word in words]
    unknown = [i for i, code in enumerate(codes) if code < 0]
    if not unknown:
        return codes
    folded: dict[str, int] = {}
    for i, level in enumerate(levels):
        key = _folded(level)
        # Levels that differ in nothing else are told apart by nothing else.
        folded[key] = -1 if key in folded else i
    truths = truth.places(levels)
    for i in unknown:
        key = _folded(words[i])
        codes[i] = folded.get(key, truths.get(key, -1))
    return codes


def _folded(text: str) -> str:
    return " ".join(numbers.canonical_text(text).casefold().split())


def filled(cells: Any, numeric: bool) -> NDArray[np.bool_]:
    """Which cells hold something. Words for "missing" hold nothing, placeholders neither where numbers or
    moments are expected.
    """
    if pa.types.is_string(cells.type):
        texts = missing_cells(cells)
        known = pc.is_valid(texts)
        if numeric:
            placeholders = pa.array(sorted(PLACEHOLDERS))
            known = pc.and_not(known, pc.is_in(pc.utf8_lower(texts), value_set=placeholders))
    elif pa.types.is_floating(cells.type):
        known = pc.fill_null(pc.invert(pc.is_nan(cells)), False)
    else:
        known = pc.is_valid(cells)
    return np.asarray(known.to_numpy(zero_copy_only=False), dtype=bool)


def _values_as(cells: Any, notation: str) -> Floats:
    if pa.types.is_timestamp(cells.type):
        return _to_floats(cells.cast(pa.int64()))
    if notation == "compact":
        return dates.compact(_values_as(cells, "plain"))
    if not pa.types.is_string(cells.type):
        if notation in (*numbers.STYLES, truth.NOTATION, "stored"):
            return _finite(_to_floats(cells))
        cells = as_strings(cells)
    distinct, index = distinct_of(missing_cells(cells))
    if notation == truth.NOTATION:
        return _spread(truth.numbers(distinct), index)
    if notation in numbers.STYLES:
        return _finite(_spread(numbers.parse(distinct, notation), index))
    return _spread(dates.parse(distinct, "ymd" if notation == "stored" else notation), index)


def _finite(values: Floats) -> Floats:
    return np.where(np.isfinite(values), values, np.nan)


def as_strings(cells: Any) -> Any:
    """The cells as text, whole numbers without a point and with all their digits."""
    if pa.types.is_string(cells.type):
        return cells
    if pa.types.is_integer(cells.type) or pa.types.is_floating(cells.type):
        values = [None if v is None or v != v else numbers.canonical(v) for v in cells.to_pylist()]
        return pa.array(values, pa.string())
    return pc.cast(cells, pa.string())


def likely_notation(cells: Any, kind: str, levels: list[str]) -> str:
    """The notation of a column whose schema does not name it, concluded from these cells: less certain."""
    if kind == "categorical":
        return f"{LABEL}plain" if levels and all(_is_plain(level) for level in levels) else "exact"
    if not pa.types.is_string(cells.type):
        return "plain" if kind == "numeric" else "stored"
    distinct, index = distinct_of(missing_cells(cells))
    counts = np.bincount(index[index >= 0], minlength=len(distinct)).astype(np.int64)
    if kind == "numeric":
        found = numbers.style_of(distinct, counts, NUMBER_SHARE_MIN)
        return found[0] if found else "plain"
    found = dates.notation_of(distinct, counts, DATE_SHARE_MIN)
    return found[0] if found else "ymd"


def _is_plain(text: str) -> bool:
    """Whether a level is written as numbers are that became labels."""
    try:
        return numbers.canonical(float(text)) == text
    except (ValueError, OverflowError):
        return False


def raw_texts(cells: Any) -> list[str]:
    """The cells as text, as near to the file as it was read: for ids."""
    return [text if text is not None else "" for text in as_strings(cells).to_pylist()]


def together(first: Any, second: Any | None) -> Any:
    """The cells of both files as one array; strings when the files disagree about the type."""
    if second is None:
        return first
    if first.type != second.type:
        both = (first.type, second.type)
        if all(pa.types.is_integer(kind) or pa.types.is_floating(kind) for kind in both):
            first, second = (
                pc.cast(first, pa.float64(), safe=False),
                pc.cast(second, pa.float64(), safe=False),
            )
        else:
            first, second = as_strings(first), as_strings(second)
    return pa.concat_arrays([first, second])
