"""The data card: statistics of typed columns, as `core/src/profile.rs` names them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ansatz_worker.reader import numbers
from ansatz_worker.reader.columns import Typed
from ansatz_worker.reader.table import RawTable

TOP_MAX = 30
TOP_CHARACTERS_MAX = 80
TOP_CLASSES_MAX = 1000
"""Values of a column that are all listed where they may be classes."""
TOP_ALL_MAX = 20_000
"""Values that all such columns of a file list together."""
SAMPLE_VALUES_MAX = 5
SAMPLE_DISTINCT_MAX = 1000


def describe(column: Typed, train_rows: int, in_train: bool, in_test: bool, has_test: bool) -> dict[str, Any]:
    """The card of a column whose training rows come first."""
    missing = column.missing()
    card = {
        "name": column.name,
        "kind": column.kind,
        "in_train": in_train,
        "in_test": in_test,
        "missing_train": share(missing[:train_rows]) if in_train else 1.0,
        "missing_test": share(missing[train_rows:]) if has_test and in_test else 0.0 if not has_test else 1.0,
    }
    look = numeric_facts if column.values is not None else code_facts
    card |= look(column, train_rows)
    # A single value that is sometimes missing still says whether it is there.
    if in_train and (card["distinct"] == 0 or (card["distinct"] == 1 and not missing[:train_rows].any())):
        card["kind"] = "constant"
    if not has_test or not in_test or not in_train:
        card["test_overlap"] = None
    return card


def share(flags: NDArray[np.bool_]) -> float:
    """Share of true values, 0 of none."""
    return float(flags.mean()) if len(flags) else 0.0


def numeric_facts(column: Typed, train_rows: int) -> dict[str, Any]:
    """Facts about numbers and moments."""
    assert column.values is not None
    train, test = column.values[:train_rows], column.values[train_rows:]
    rising = bool(len(train) > 1 and np.all(np.diff(train) > 0))
    train, test = train[~np.isnan(train)], test[~np.isnan(test)]
    distinct, counts = np.unique(train, return_counts=True)
    facts: dict[str, Any] = {
        "distinct": len(distinct),
        "whole": bool(len(distinct) and np.all(distinct == np.floor(distinct))),
        "rising": rising,
        "top": top_numbers(column, distinct, counts, TOP_MAX),
        "test_overlap": overlap(np.isin(np.unique(test), distinct)),
        "min": None,
        "max": None,
        "mean": None,
        "skew": None,
        "mean_length": None,
    }
    if len(train):
        with np.errstate(all="ignore"):
            facts |= {"min": float(distinct[0]), "max": float(distinct[-1]), "mean": finite(train.mean())}
            facts["skew"] = finite(skewness(train))
    return facts


def code_facts(column: Typed, train_rows: int) -> dict[str, Any]:
    """Facts about categories and texts."""
    assert column.codes is not None
    train, test = column.codes[:train_rows], column.codes[train_rows:]
    counts = np.bincount(train[train >= 0], minlength=len(column.levels)).astype(np.int64)
    in_test = np.unique(test[test >= 0])
    filled = int(counts.sum())
    lengths = np.fromiter((len(level) for level in column.levels), np.int64, len(column.levels))
    return {
        "distinct": int((counts > 0).sum()),
        "whole": False,
        "rising": False,
        "top": top_levels(column, counts, TOP_MAX),
        "test_overlap": overlap(counts[in_test] > 0),
        "min": None,
        "max": None,
        "mean": None,
        "skew": None,
        "mean_length": float((lengths * counts).sum() / filled) if filled else None,
    }


def list_classes(cards: list[dict[str, Any]], typed: Mapping[str, Typed], train_rows: int) -> None:
    """Lists all values of columns that may hold classes, as far as there is room: first those that only the
    training file has, then those of few values.
    """

    def may_hold_classes(card: dict[str, Any]) -> bool:
        fits = card["kind"] == "categorical" or (card["kind"] == "numeric" and card["whole"])
        return bool(fits and card["in_train"] and TOP_MAX < card["distinct"] <= TOP_CLASSES_MAX)

    room = TOP_ALL_MAX
    chosen = [card for card in cards if may_hold_classes(card)]
    for card in sorted(chosen, key=lambda card: (card["in_test"], card["distinct"])):
        room -= card["distinct"]
        if room < 0:
            return
        card["top"] = all_values(typed[card["name"]], train_rows)


def all_values(column: Typed, train_rows: int) -> list[list[Any]]:
    """The values of a column's training rows with their counts, the most frequent first."""
    if column.values is not None:
        train = column.values[:train_rows]
        distinct, counts = np.unique(train[~np.isnan(train)], return_counts=True)
        return top_numbers(column, distinct, counts, TOP_CLASSES_MAX)
    assert column.codes is not None
    codes = column.codes[:train_rows]
    counts = np.bincount(codes[codes >= 0], minlength=len(column.levels)).astype(np.int64)
    return top_levels(column, counts, TOP_CLASSES_MAX)


def top_numbers(
    column: Typed, distinct: NDArray[np.float64], counts: NDArray[np.int64], most: int
) -> list[list[Any]]:
    """The most frequent numbers or moments as text, with their counts."""
    write = moment_text if column.kind == "datetime" else numbers.canonical
    return [[write(float(distinct[i])), int(counts[i])] for i in largest(counts, most)]


def top_levels(column: Typed, counts: NDArray[np.int64], most: int) -> list[list[Any]]:
    """The most frequent levels, cut to a length, with their counts."""
    shown = (i for i in largest(counts, most) if counts[i])
    return [[column.levels[i][:TOP_CHARACTERS_MAX], int(counts[i])] for i in shown]


def largest(counts: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """Places of the largest counts, the first among equals first."""
    if len(counts) > 20 * most:
        # Only candidates above the last place are sorted.
        least = np.partition(counts, -most)[-most]
        places = np.flatnonzero(counts >= least)
        return places[np.argsort(-counts[places], kind="stable")][:most]
    return np.argsort(-counts, kind="stable")[:most]


def overlap(known: NDArray[np.bool_]) -> float | None:
    """Share of the test file's distinct values that are known."""
    return float(known.mean()) if len(known) else None


def skewness(values: NDArray[np.float64]) -> float:
    """Third standardised moment; 0 without spread."""
    centred = values - values.mean()
    spread = float(np.mean(centred**2))
    return float(np.mean(centred**3) / spread**1.5) if spread > 0 else 0.0


def finite(value: float) -> float | None:
    """The value, or `None` when JSON has no word for it."""
    return float(value) if np.isfinite(value) else None


def moment_text(seconds: float) -> str:
    """A moment in ISO form, the time left out at midnight."""
    try:
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    except OverflowError:
        return numbers.canonical(seconds)
    return moment.strftime("%Y-%m-%d" if seconds % 86400 == 0 else "%Y-%m-%d %H:%M:%S")


def sample_card(table: RawTable, columns: list[Typed]) -> dict[str, Any]:
    """The card of the sample submission."""
    tops = [describe(column, table.rows, True, False, False) for column in columns]
    return {
        "columns": table.names,
        "rows": table.rows,
        "values": [[text for text, _ in top["top"][:SAMPLE_VALUES_MAX]] for top in tops],
        "distinct": [min(top["distinct"], SAMPLE_DISTINCT_MAX) for top in tops],
    }
