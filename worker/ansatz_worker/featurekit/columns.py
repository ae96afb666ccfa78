"""What kinds of columns a frame has, and one way to look at a column of strings, however it is stored.

Works on frames as the harness builds them: float64 numbers, pandas Categorical, object strings, datetime64.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Objects = NDArray[np.object_]
# Hears of a training: steps that are done, the loss if it is known, and how many steps there will be.
Report = Callable[[float, float | None, float | None], None]

# A column is a table of codes when a value comes back this often on average …
CODE_REPEATS_MIN = 1.5
# … and the values leave most of their range unused, as measurements and counts do not.
CODE_RANGE_SHARE_MAX = 0.2
# Fewer values than this are as easily split as numbers.
CODE_DISTINCT_MIN = 10


class Task(Protocol):
    """The part of a task that solutions read."""

    @property
    def problem(self) -> str:
        """`binary`, `multiclass` or `regression`."""

    @property
    def metric(self) -> str:
        """scikit-learn's scorer name without `neg_`, or `rmsle`, `smape` and the like."""

    @property
    def outputs(self) -> int:
        """Columns of a prediction: classes of a multiclass problem, else 1."""

    @property
    def device(self) -> str:
        """`cuda` where the trial has a GPU, else `cpu`."""


@dataclass(frozen=True)
class Kinds:
    """Column names by how they are treated."""

    numeric: list[str]
    strings: list[str]
    datetime: list[str]
    text: list[str]
    """Those of `strings` whose words count."""
    sentences: list[str] = field(default_factory=list)
    """Those of `text` that are no names of things besides."""

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Of earlier versions, too, to which all texts were sentences."""
        self.__dict__.update({"sentences": list(state["text"])} | state)


@dataclass(frozen=True)
class Strings:
    """A column of strings: the distinct ones present, and for each row which one it is (-1: missing)."""

    values: Objects
    index: Ints

    def spread(self, per_value: Floats, missing: float = np.nan) -> Floats:
        """A number per distinct value, given to the rows."""
        padded = np.append(per_value, missing)
        return padded[self.index]


def kinds(frame: pd.DataFrame, texts: Collection[str] = ()) -> Kinds:
    """Sorts the columns of `frame`, without constants; `texts` are columns that the reader takes for text,
    however short, beside those that are sentences.
    """
    numeric, strings, datetime, text, sentences = [], [], [], [], []
    for name in frame.columns:
        column = frame[name]
        if isinstance(column.dtype, pd.CategoricalDtype):
            if len(np.unique(column.cat.codes)) > 1:
                strings.append(name)
        elif pd.api.types.is_datetime64_any_dtype(column.dtype):
            if column.nunique(dropna=False) > 1:
                datetime.append(name)
        elif pd.api.types.is_numeric_dtype(column.dtype):
            values = column.to_numpy(dtype=np.float64, na_value=np.nan)
            if varies(values):
                numeric.append(name)
        elif column.nunique(dropna=False) > 1:
            strings.append(name)
            if is_free_text(column):
                sentences.append(name)
            if name in texts or name in sentences:
                text.append(name)
    return Kinds(numeric, strings, datetime, text, sentences)


def texts_of(task: Task) -> tuple[str, ...]:
    """The columns that the reader takes for text; none where a task does not say."""
    return tuple(getattr(task, "text", ()))


def varies(values: Floats) -> bool:
    """Whether there are at least two different values, missing being one."""
    known = values[~np.isnan(values)]
    if len(known) == 0:
        return False
    return len(known) < len(values) or bool((known != known[0]).any())


def is_free_text(column: pd.Series[Any]) -> bool:
    """Whether strings are sentences rather than names of things."""
    known = column.dropna().astype(str)
    if len(known) > 2000:
        known = known.iloc[:2000]
    words = known.str.count(r"\s+") + 1
    return bool(len(known) > 0 and words.mean() >= 6 and known.nunique() > 0.5 * len(known))


def is_code(values: Floats) -> bool:
    """Whether whole numbers look like codes of a catalogue: they repeat, and leave large gaps."""
    known = values[~np.isnan(values)]
    if len(known) < 50 or not bool((known == np.floor(known)).all()):
        return False
    distinct = np.unique(known)
    if len(distinct) < CODE_DISTINCT_MIN or len(known) / len(distinct) < CODE_REPEATS_MIN:
        return False
    if distinct[0] < 0 or has_round_steps(distinct):
        return False
    return bool(len(distinct) / (distinct[-1] - distinct[0] + 1) < CODE_RANGE_SHARE_MAX)


def has_round_steps(distinct: Floats) -> bool:
    """Whether most values are multiples of five, as amounts are and codes are not."""
    return bool((distinct % 5 == 0).mean() > 0.5)


def strings_of(column: pd.Series[Any]) -> Strings:
    """The strings of a column; numbers are written out, whole ones without a point."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        codes = column.cat.codes.to_numpy().astype(np.int64)
        used, index = np.unique(codes, return_inverse=True)
        levels = column.cat.categories.astype(str).to_numpy(dtype=object)
        if len(used) and used[0] < 0:
            return Strings(levels[used[1:]], index.astype(np.int64) - 1)
        return Strings(levels[used], index.astype(np.int64))
    index, values = pd.factorize(column)
    if pd.api.types.is_numeric_dtype(column.dtype):
        written = np.array([f"{v:.0f}" if v == np.floor(v) else repr(float(v)) for v in values], dtype=object)
        return Strings(written, index.astype(np.int64))
    return Strings(np.array([str(v) for v in values], dtype=object), index.astype(np.int64))
