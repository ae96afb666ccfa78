"""Cells that are numbers, in unambiguous notations. Works on arrow arrays of distinct strings."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Floats = NDArray[np.float64]

PLAIN = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
INFINITE = r"(?i)^[+-]?inf(inity)?$"
THOUSANDS = r"^[+-]?\d{1,3}(,\d{3})*(\.\d+)?$"
# Two groups, or a group and a decimal point: nothing else can be meant.
SURELY_THOUSANDS = r"^[+-]?\d{1,3}((,\d{3}){2,}(\.\d+)?|(,\d{3})+\.\d+)$"
DECIMAL_COMMA = r"^[+-]?\d+(,\d+)?([eE][+-]?\d+)?$"
SURELY_DECIMAL_COMMA = r"^[+-]?(\d{4,},\d+|\d+,(\d{1,2}|\d{4,}))$"

STYLES = ("plain", "thousands", "comma")

EXACT_MAX = 2**53
"""Whole numbers up to here are exact as floats."""
LONG = re.compile(r"[+-]?[0-9]{16,}")
"""Digits that a float may not hold: a name rather than a number."""


def matches(texts: Any, pattern: str) -> NDArray[np.bool_]:
    """Which strings match; a missing one does not."""
    found = pc.fill_null(pc.match_substring_regex(texts, pattern), False)
    return np.asarray(found.to_numpy(zero_copy_only=False), dtype=bool)


def parse(texts: Any, style: str) -> Floats:
    """The numbers in a style, NaN for strings that are none; infinities stay."""
    pattern = {"plain": PLAIN, "thousands": THOUSANDS, "comma": DECIMAL_COMMA}[style]
    good = matches(texts, pattern)
    result = np.full(len(texts), np.nan)
    if good.any():
        chosen = texts.filter(pa.array(good))
        if style == "thousands":
            chosen = pc.replace_substring(chosen, ",", "")
        elif style == "comma":
            chosen = pc.replace_substring(chosen, ",", ".")
        chosen = pc.utf8_ltrim(chosen, "+")
        result[good] = pc.cast(chosen, pa.float64()).to_numpy(zero_copy_only=False)
    if style == "plain":
        infinite = matches(texts, INFINITE)
        if infinite.any():
            negative = matches(texts, "^-")
            result[infinite] = np.where(negative[infinite], -np.inf, np.inf)
    return result


def style_of(texts: Any, counts: NDArray[np.int64], share_min: float) -> tuple[str, Floats] | None:
    """The style in which nearly all cells are numbers, with the numbers; `None` when there is none.

    `counts` says how many cells each distinct string stands in.
    """
    total = int(counts.sum())
    for style in STYLES:
        if style == "thousands" and not matches(texts, SURELY_THOUSANDS).any():
            continue
        if style == "comma" and not matches(texts, SURELY_DECIMAL_COMMA).any():
            continue
        found = parse(texts, style)
        if total and counts[~np.isnan(found)].sum() >= share_min * total:
            return style, found
    return None


def canonical(value: float) -> str:
    """A number as the shortest text that says the same: `1` for 1.0. Whole numbers keep all their digits."""
    if isinstance(value, int):
        return str(value)
    if value == int(value) and abs(value) < EXACT_MAX:
        return str(int(value))
    return repr(float(value))


def canonical_text(text: str) -> str:
    """A label in the form in which `1`, `1.0` and ` 1` agree; other text and long digits are only trimmed."""
    text = text.strip()
    if LONG.fullmatch(text):
        return text
    try:
        value = float(text)
    except ValueError:
        return text
    return canonical(value) if np.isfinite(value) and "_" not in text else text
