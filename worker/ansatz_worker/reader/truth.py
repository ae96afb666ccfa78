"""Words for yes and no, which one file writes otherwise than another."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
from numpy.typing import NDArray

NOTATION = "truth"
"""The notation of a column of such words."""

PAIRS = (("false", "true"), ("no", "yes"), ("f", "t"), ("n", "y"), ("off", "on"))
"""No and yes in small letters."""

WORDS = {
    word: float(place) for pair in (*PAIRS, ("0", "1"), ("0.0", "1.0")) for place, word in enumerate(pair)
}
"""What each word says: 0 for no, 1 for yes."""

SPELLINGS_MAX = 48
"""Ways to write `false` and `true` in small and large letters; more levels are no pair."""


def pair_of(levels: Collection[str]) -> tuple[str, str] | None:
    """The pair that levels are spellings of, in small letters; `None` for other levels."""
    if not 2 <= len(levels) <= SPELLINGS_MAX:
        return None
    lowered = {level.lower() for level in levels}
    return next((pair for pair in PAIRS if set(pair) == lowered), None)


def places(levels: list[str]) -> dict[str, int]:
    """Which of the levels each word means, by its small letters; none where the levels are no pair."""
    pair = pair_of(levels)
    if pair is None or len(levels) != 2:
        return {}
    sides = [float(pair.index(level.lower())) for level in levels]
    return {word: sides.index(value) for word, value in WORDS.items()}


def numbers(texts: Any) -> NDArray[np.float64]:
    """0 and 1 for an arrow array of words, NaN for what is none of them."""
    return np.array([WORDS.get(text.lower(), np.nan) for text in texts.to_pylist()], dtype=np.float64)
