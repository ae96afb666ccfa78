"""The design matrix of linear models: scaled and bent numbers, one column per category, words of free text.

Sparse throughout. In tables of codes, combinations of two and three codes get columns of their own.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from . import columns, table, text
from .categories import Keys
from .columns import Floats, Ints, Task

# Knots of the bends, as quantiles.
KNOTS = (0.1, 0.3, 0.5, 0.7, 0.9)
# With more numbers than this, they are not bent: there are columns enough.
BENT_NUMBERS_MAX = 400
# A number of at most this many values gets a column per value.
FEW_VALUES_MAX = 32
# Standard deviations at which a scaled number is cut, for rows unlike all training rows.
SCALED_MAX = 4.0
# Words of a text column that get a column of their own.
WORDS_MAX = 20_000


@dataclass(frozen=True)
class Options:
    """What the matrix holds."""

    # Values and combinations that fewer training rows have share one column.
    rows_min: int = 2
    # How many codes are combined in a table of codes: 1, 2 or 3.
    order: int = 2
    bends: bool = True


@dataclass(frozen=True)
class Number:
    """How one number is scaled: cut to a range, bent by a logarithm when skewed, then standardised."""

    name: str
    low: float
    high: float
    log: bool
    centre: float
    scale: float
    middle: float
    gaps: bool
    knots: tuple[float, ...]
    values: tuple[float, ...]

    def parts(self, raw: Floats) -> list[Floats]:
        """The columns of this number."""
        missing = np.isnan(raw)
        filled = np.where(missing, self.middle, np.clip(raw, self.low, self.high))
        bent = np.sign(filled) * np.log1p(np.abs(filled)) if self.log else filled
        scaled = np.clip((bent - self.centre) / self.scale, -SCALED_MAX, SCALED_MAX)
        found = [scaled]
        found += [np.maximum(scaled - knot, 0.0) for knot in self.knots]
        found += [(raw == value).astype(np.float64) for value in self.values]
        if self.gaps:
            found.append(missing.astype(np.float64))
        return found


@dataclass(frozen=True)
class Combination:
    """Columns for the values of one or several categories; `place` is the column of each key, -1 for none."""

    names: tuple[str, ...]
    keys: Keys
    place: Ints
    width: int
    weight: float


@dataclass
class Design:
    """What was learnt from the training rows."""

    base: table.Table
    numbers: list[Number] = field(default_factory=list)
    combinations: list[Combination] = field(default_factory=list)
    words: dict[str, text.Weights] = field(default_factory=dict)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Of earlier versions, too, which kept what weighs words as it is."""
        words = {name: text.Weights.of(weights) for name, weights in state["words"].items()}
        self.__dict__.update(state | {"words": words})


def learn(
    train: pd.DataFrame, y: Floats, *, task: Task, options: Options, seed: int, log_target: bool
) -> tuple[Design, Any]:
    """The design and the matrix of the training rows; target means of large categories are out of fold."""
    wide = table.Options(encode_levels_min=30, counts=True, code_levels_max=0, text=False, pairs="none")
    base, frame = table.learn(train, y, task=task, options=wide, seed=seed, log_target=log_target)
    design = Design(base)
    block = frame.to_numpy(dtype=np.float64)
    bends = options.bends and block.shape[1] <= BENT_NUMBERS_MAX
    for j, name in enumerate(frame.columns):
        design.numbers.append(_learn_number(name, block[:, j], bends))
    codes = _codes(base, train)
    order = options.order if table.is_code_table(base) else 1
    for names in _combinations(base, order):
        found = _learn_combination(base, names, codes, options.rows_min)
        if found.width:
            design.combinations.append(found)
    for name in base.kinds.text:
        weights, _ = text.Weights.learn(columns.strings_of(train[name]), task.outputs, WORDS_MAX)
        if weights.parts:
            design.words[name] = weights
    return design, _matrix(design, block, codes, train)


def apply(design: Design, rows: pd.DataFrame) -> Any:
    """The matrix of any rows, row by row."""
    block = table.apply(design.base, rows).to_numpy(dtype=np.float64)
    return _matrix(design, block, _codes(design.base, rows), rows)


def names(design: Design) -> list[str]:
    """The column of the user's data behind each column of the matrix."""
    found: list[str] = []
    for number in design.numbers:
        found += [number.name] * (1 + len(number.knots) + len(number.values) + number.gaps)
    for combination in design.combinations:
        found += ["&".join(combination.names)] * combination.width
    for name, weights in design.words.items():
        found += [name] * weights.width
    return found


def _learn_number(name: str, raw: Floats, bends: bool) -> Number:
    known = raw[~np.isnan(raw)]
    low, high = np.quantile(known, [0.001, 0.999]) if len(known) > 200 else (known.min(), known.max())
    cut = np.clip(known, low, high)
    log = bool(_skew(cut) > 2.0 and _skew(np.sign(cut) * np.log1p(np.abs(cut))) < _skew(cut))
    middle = float(np.median(cut))
    bent = np.sign(cut) * np.log1p(np.abs(cut)) if log else cut
    centre, scale = float(bent.mean()), float(bent.std())
    scale = scale if scale > 1e-12 else 1.0
    distinct = np.unique(known)
    few = len(distinct) <= FEW_VALUES_MAX
    knots: tuple[float, ...] = ()
    if bends and not few:
        scaled = (bent - centre) / scale
        knots = tuple(float(k) for k in np.unique(np.quantile(scaled, KNOTS))[:-1] if k > scaled.min())
    values = tuple(float(v) for v in distinct) if few and len(distinct) > 2 else ()
    gaps = len(known) < len(raw)
    return Number(name, float(low), float(high), log, centre, scale, middle, gaps, knots, values)


def _skew(values: Floats) -> float:
    spread = values.std()
    return float(abs(((values - values.mean()) ** 3).mean() / spread**3)) if spread > 0 else 0.0


def _codes(base: table.Table, rows: pd.DataFrame) -> dict[str, Ints]:
    seen = {name: columns.strings_of(rows[name]) for name in sorted({c.column for c in base.categories})}
    return table.codes_of(base, seen)


def _combinations(base: table.Table, order: int) -> list[tuple[str, ...]]:
    whole = [category.name for category in base.categories if category.part is None]
    found: list[tuple[str, ...]] = [(category.name,) for category in base.categories]
    for size in range(2, order + 1):
        found += combinations(whole[: table.CODE_TABLE_COLUMNS_MAX], size)
    return found


def _learn_combination(
    base: table.Table, names: tuple[str, ...], codes: dict[str, Ints], rows_min: int
) -> Combination:
    sizes = {category.name: category.vocabulary.size for category in base.categories}
    keys, index = Keys.learn([codes[name] for name in names], tuple(sizes[name] for name in names))
    counts = np.bincount(index, minlength=len(keys.known))
    kept = counts >= rows_min
    place = np.append(np.where(kept, np.cumsum(kept) - 1, -1), -1).astype(np.int64)
    return Combination(names, keys, place, int(kept.sum()), 1.0)


def _matrix(design: Design, block: Floats, codes: dict[str, Ints], rows: pd.DataFrame) -> Any:
    parts: list[Any] = []
    dense = [part for j, number in enumerate(design.numbers) for part in number.parts(block[:, j])]
    if dense:
        parts.append(sparse.csr_matrix(np.column_stack(dense)))
    for combination in design.combinations:
        place = combination.place[combination.keys.index([codes[name] for name in combination.names])]
        parts.append(_one_hot(place, combination.width, combination.weight))
    for name, weights in design.words.items():
        parts.append(weights.apply(columns.strings_of(rows[name])))
    if not parts:
        return sparse.csr_matrix((len(rows), 1))
    return sparse.csr_matrix(sparse.hstack(parts, format="csr"))


def _one_hot(place: Ints, width: int, weight: float) -> Any:
    known = place >= 0
    rows = np.flatnonzero(known)
    return sparse.csr_matrix((np.full(len(rows), weight), (rows, place[known])), shape=(len(place), width))
