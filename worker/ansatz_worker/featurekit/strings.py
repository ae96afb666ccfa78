"""Taking strings apart: quantities with units, numbers inside codes, lists, titles, frequent words.

A `Reading` is decided once from the training strings and then turns any string into numbers and into smaller
categories. It works on distinct strings, so its cost does not grow with the number of rows.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from .columns import Floats, Objects, Strings

# Below this many distinct strings a category is known well enough by itself; only quantities are looked for.
DISTINCT_MIN = 12
# Share of rows that must follow a pattern before it is believed.
PATTERN_SHARE_MIN = 0.8
WORDS_MAX = 30
# Characters of a string that are looked at; keeps regular expressions quick on texts that are documents.
LENGTH_MAX = 400

QUANTITY = re.compile(r"^\s*([^\w\s.,+-]{0,3})\s*([+-]?\d[\d,]*\.?\d*)\s*([A-Za-z%°\"']{0,12})\.?\s*$")
NUMBER = re.compile(r"\d+(?:\.\d+)?")
WORD = re.compile(r"[^\W\d_]+\.?")
DELIMITERS = ("/", ";", "|", ",", " - ", "_", "-", ":", "+", " ")

UNITS: tuple[dict[str, float], ...] = (
    {
        "second": 1 / 86400, "sec": 1 / 86400, "s": 1 / 86400, "minute": 1 / 1440, "min": 1 / 1440,
        "hour": 1 / 24, "hr": 1 / 24, "h": 1 / 24, "day": 1.0, "d": 1.0, "week": 7.0, "wk": 7.0, "w": 7.0,
        "month": 30.44, "mo": 30.44, "mth": 30.44, "year": 365.25, "yr": 365.25, "y": 365.25,
    },
    {"g": 1e-3, "kg": 1.0, "mg": 1e-6, "t": 1e3, "oz": 0.02835, "lb": 0.45359, "pound": 0.45359, "ton": 1e3},
    {"mm": 1e-3, "cm": 1e-2, "m": 1.0, "km": 1e3, "inch": 0.0254, "ft": 0.3048, "mile": 1609.34},
    {"b": 1.0, "kb": 1e3, "mb": 1e6, "gb": 1e9, "tb": 1e12},
    {"": 1.0, "k": 1e3, "m": 1e6, "b": 1e9, "bn": 1e9, "mn": 1e6},
)  # fmt: skip

# The scale of numbers that have no unit.
PLAIN: Mapping[str, float] = MappingProxyType({"": 1.0})


@dataclass(frozen=True)
class Reading:
    """What is read from the strings of one column."""

    quantity: dict[str, float] | None
    number: bool
    prefix: bool
    delimiter: str | None
    titled: bool
    shape: bool
    words: tuple[str, ...]

    @property
    def is_telling(self) -> bool:
        """Whether the strings say more than which value it is; plain numbers may be codes."""
        if self.quantity is not None:
            return self.quantity != PLAIN
        return self.delimiter is not None or bool(self.words)

    def numbers(self, values: Objects) -> dict[str, Floats]:
        """Numbers by name for each string."""
        texts = [str(v)[:LENGTH_MAX] for v in values]
        found: dict[str, Floats] = {}
        if self.quantity is not None:
            found["quantity"] = _each(texts, lambda text: _amount(text, self.quantity or {}))
            return found
        if self.number:
            found["first_number"] = _each(texts, lambda text: _nth_number(text, 0))
            found["last_number"] = _each(texts, lambda text: _nth_number(text, -1))
        if self.shape:
            found["length"] = _each(texts, len)
            found["word_count"] = _each(texts, lambda text: len(text.split()))
            found["marks"] = _each(texts, lambda text: sum(not c.isalnum() and c != " " for c in text))
            found["capitals"] = _each(texts, lambda text: sum(c.isupper() for c in text))
        if self.delimiter is not None:
            found["parts"] = _each(texts, lambda text: text.count(self.delimiter or " ") + 1)
        if self.words:
            present = [set(_words(text)) for text in texts]
            for word in self.words:
                found[f"word_{word}"] = np.array([word in words for words in present], dtype=np.float64)
        return found

    def categories(self, values: Objects) -> dict[str, Objects]:
        """Smaller categories by name for each string; `None` is missing."""
        texts = [str(v)[:LENGTH_MAX] for v in values]
        found: dict[str, Objects] = {}
        if self.quantity is not None:
            return found
        if self.prefix:
            found["prefix"] = _each_text(texts, lambda text: NUMBER.split(text, maxsplit=1)[0].strip())
        if self.titled:
            found["title"] = _each_text(texts, _title)
        if self.delimiter is not None:
            found["first_part"] = _each_text(texts, lambda text: text.split(self.delimiter)[0].strip())
            found["last_part"] = _each_text(texts, lambda text: text.split(self.delimiter)[-1].strip())
        return found


def read(strings: Strings, free_text: bool = False) -> Reading | None:
    """Decides what is read from a column, or `None` when it is left whole."""
    rows = strings.index[strings.index >= 0]
    if len(rows) == 0:
        return None
    weights = np.bincount(rows, minlength=len(strings.values)).astype(np.float64)
    weights /= weights.sum()
    texts = [str(v)[:LENGTH_MAX] for v in strings.values]
    units = _units(texts, weights)
    if units is not None:
        return Reading(units, False, False, None, False, False, ())
    if len(texts) < DISTINCT_MIN:
        return None
    digits = _share(texts, weights, lambda text: NUMBER.search(text) is not None)
    pure = _share(texts, weights, lambda text: text.strip().isdigit())
    return Reading(
        quantity=None,
        number=digits > 0.2,
        prefix=digits > 0.1 and pure < 0.95,
        delimiter=None if free_text else _delimiter(texts, weights),
        titled=_share(texts, weights, lambda text: _title(text) is not None) > PATTERN_SHARE_MIN,
        shape=pure < 0.95 and len({len(text) for text in texts}) > 3,
        words=_frequent_words(texts, weights, len(rows)),
    )


def _each(texts: list[str], function: Callable[[str], float]) -> Floats:
    return np.array([function(text) for text in texts], dtype=np.float64)


def _each_text(texts: list[str], function: Callable[[str], str | None]) -> Objects:
    result = np.empty(len(texts), dtype=object)
    for i, text in enumerate(texts):
        result[i] = function(text) or None
    return result


def _share(texts: list[str], weights: Floats, test: Callable[[str], bool]) -> float:
    return float(sum(weight for text, weight in zip(texts, weights, strict=True) if test(text)))


def _singular(unit: str) -> str:
    unit = unit.lower()
    return unit[:-1] if len(unit) > 2 and unit.endswith("s") else unit


def _units(texts: list[str], weights: Floats) -> dict[str, float] | None:
    """The scale of units that explains most strings; one unknown unit is a scale of its own."""
    shares: defaultdict[str, float] = defaultdict(float)
    for text, weight in zip(texts, weights, strict=True):
        match = QUANTITY.match(text)
        if match:
            shares[_singular(match.group(3))] += float(weight)
    if sum(shares.values()) < PATTERN_SHARE_MIN or len(texts) < 3:
        return None
    if set(shares) == {""}:
        return dict(PLAIN)
    for scale in UNITS:
        if sum(share for unit, share in shares.items() if unit in scale) >= PATTERN_SHARE_MIN:
            return scale
    if len(shares) == 1:
        return dict.fromkeys(shares, 1.0)
    return None


def _amount(text: str, scale: dict[str, float]) -> float:
    match = QUANTITY.match(text)
    if not match:
        return np.nan
    factor = scale.get(_singular(match.group(3)))
    try:
        return np.nan if factor is None else float(match.group(2).replace(",", "")) * factor
    except ValueError:
        return np.nan


def _nth_number(text: str, n: int) -> float:
    found = NUMBER.findall(text)
    return float(found[n]) if found else np.nan


def _title(text: str) -> str | None:
    """`Mr` in `Smith, Mr. John`: what stands between a comma and a full stop."""
    _, comma, rest = text.partition(", ")
    title, stop, _ = rest.partition(".")
    return title if comma and stop and 0 < len(title) <= 12 else None


def _delimiter(texts: list[str], weights: Floats) -> str | None:
    """The first delimiter that a fair share of the strings has and that makes parts which come back."""
    for delimiter in DELIMITERS:
        share = _share(texts, weights, lambda text, mark=delimiter: mark in text.strip())  # type: ignore[misc]
        if share >= 0.1 and len({text.split(delimiter)[0] for text in texts}) < 0.8 * len(texts):
            return delimiter
    return None


def _words(text: str) -> list[str]:
    return [word.lower() for word in WORD.findall(text)]


def _frequent_words(texts: list[str], weights: Floats, rows: int) -> tuple[str, ...]:
    """Words in at least one of a hundred rows (and ten rows), not in nearly all, the most telling first."""
    shares: defaultdict[str, float] = defaultdict(float)
    for text, weight in zip(texts, weights, strict=True):
        for word in set(_words(text)):
            shares[word] += float(weight)
    low = max(0.01, 10 / max(rows, 1))
    kept = {word: share * (1 - share) for word, share in shares.items() if low <= share <= 0.98}
    return tuple(sorted(kept, key=lambda word: (-kept[word], word))[:WORDS_MAX])
