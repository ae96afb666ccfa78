"""Evidence about leaks: what each column alone says about the target, and how train and test rows differ in
it.

Computed on the given training rows and the features of the test rows; the referee judges. Strengths are those
of binned target means predicted out of fold: as good as a small tree on one column, and many times quicker.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ansatz_worker.reader.arrays import Features
from ansatz_worker.reader.columns import Typed

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
Flags = NDArray[np.bool_]

ROWS_MAX = 10_000
CELLS_MAX = 20_000_000
"""Rows (and rows times columns) that are looked at; a leak strong enough to matter shows in a sample."""
ROWS_MIN = 500

FOLDS = 3
BINS = 48
CLASSES_MAX = 12
"""The most frequent classes, each against the rest."""
SMOOTHING = 5.0
"""Rows of prior belief in each bin."""

SUSPECT_AUC_MIN = 0.95
SUSPECT_R2_MIN = 0.95
"""Columns this strong alone are compared with all others together."""

OTHERS_MAX = 60
RIDGE = 0.01

SUM_ROWS_MAX = 3_000
SUM_COLUMNS_MAX = 50
"""Rows and columns among which a linear formula of the target is looked for; an exact one shows in few."""
SUM_ROWS_PER_COLUMN = 5
SUM_FILLED_MIN = 0.95
SUM_R2_MIN = 0.9999
SUM_PART_MIN = 1e-4
"""Share of the target's spread below which a column is no part of the formula."""
SUM_PLAIN_TOLERANCE = 0.01

COPY_SHARE_MIN = 0.995
COPY_CLASS_SHARE_MIN = 0.98
COPY_GROUP_MIN = 5.0
ID_NAME = re.compile(r"(^|[_\W])(id|ids|uuid|guid|rownum|row_?number|index|idx)$|[a-z]I[dD]$", re.IGNORECASE)
ID_NAME_CAMEL = re.compile(r"[a-z]I[dD]$")
ID_DISTINCT_SHARE_MIN = 0.98


@dataclass(frozen=True)
class Truth:
    """The target of the rows at hand: one 0/1 column per class (one for two classes), or one column of
    values.
    """

    outputs: Floats
    classification: bool
    folds: Codes


@dataclass(frozen=True)
class Cells:
    """One column's cells at the rows at hand: bins for target means (missing has its own), exact groups,
    fill.
    """

    bins: Codes
    groups: Codes
    filled: Flags


def gather(
    features: Features, train_rows: int, target: Floats, rows: NDArray[Any], problem: str
) -> dict[str, Any]:
    """The record of `evidence.json`. `rows` are training rows; those without a target are left out."""
    rows = rows.astype(np.int64)
    rows = np.unique(rows[~np.isnan(target[rows])])
    generator = np.random.default_rng(0)
    most = int(min(ROWS_MAX, max(ROWS_MIN, CELLS_MAX // max(len(features.columns), 1))))
    if len(rows) > most:
        rows = np.sort(generator.choice(rows, most, replace=False))
    test = np.arange(train_rows, len(features.numeric), dtype=np.int64)
    duplicates = duplicate_share(features, np.arange(train_rows), test)
    if len(test) > most:
        test = np.sort(generator.choice(test, most, replace=False))
    truth = truth_of(target[rows], problem, generator)
    order = row_order(rows, truth)
    records, binned = [], []
    for column in features.columns:
        record, bins = evidence_of(column, rows, test, target[rows], truth, order, generator)
        records.append(record)
        binned.append(bins)
    for i, others in others_of([record["alone"] for record in records], binned, truth).items():
        records[i]["others"] = others
    summed = sum_of(features.columns, rows, records, binned, truth)
    return {"columns": records, "rows": len(rows), "duplicate_test_rows": duplicates, "sum": summed}


def others_of(alone: list[float], binned: list[Codes], truth: Truth) -> dict[int, float]:
    """For each suspiciously strong column, what all columns that are not suspicious reach together.

    Two leaks would else excuse each other. Linear on out-of-fold target means, of the strongest columns only.
    """
    least = SUSPECT_AUC_MIN if truth.classification else SUSPECT_R2_MIN
    suspects = [i for i, strength_alone in enumerate(alone) if strength_alone >= least]
    honest = [i for i in np.argsort(-np.array(alone), kind="stable") if i not in set(suspects)][:OTHERS_MAX]
    if not suspects or not honest or len(truth.folds) < 2 * FOLDS:
        return {}
    together = np.hstack([out_of_fold(binned[i], truth.outputs, truth.folds) for i in honest])
    reached = round(linear_strength(together, truth), 6)
    return dict.fromkeys(suspects, reached)


def sum_of(
    columns: list[Typed], rows: Codes, records: list[dict[str, Any]], binned: list[Codes], truth: Truth
) -> dict[str, Any] | None:
    """The columns of which a target of values is a linear formula; none of them need look like it alone."""
    if truth.classification:
        return None
    at = np.arange(0, len(rows), max(1, len(rows) // SUM_ROWS_MAX))
    most = min(SUM_COLUMNS_MAX, len(at) // SUM_ROWS_PER_COLUMN)
    candidates = [
        i
        for i in np.argsort([-record["alone"] for record in records], kind="stable").tolist()
        if columns[i].kind == "numeric" and columns[i].values is not None and not records[i]["copies_target"]
    ][:most]
    if len(candidates) < 2:
        return None
    X = np.column_stack([np.asarray(columns[i].values)[rows[at]] for i in candidates])
    known = np.isfinite(X)
    full = known.mean(axis=0) >= SUM_FILLED_MIN
    whole = known[:, full].all(axis=1)
    X, y, folds = X[whole][:, full], truth.outputs[at][whole, 0], truth.folds[at][whole]
    candidates = [i for i, is_full in zip(candidates, full, strict=True) if is_full]
    if len(candidates) < 2 or len(X) < SUM_ROWS_PER_COLUMN * len(candidates):
        return None
    parts = parts_of(X, y, folds) if explained(X, y, folds) > SUM_R2_MIN else []
    if len(parts) < 2:
        return None
    weights = linear(X[:, parts], y)
    is_sum = np.all(np.abs(np.abs(weights[1:]) - 1.0) <= SUM_PLAIN_TOLERANCE)
    named = [candidates[part] for part in parts]
    return {
        "columns": [columns[i].name for i in named],
        "strength": round(explained(X[:, parts], y, folds), 6),
        "plain": bool(is_sum and abs(weights[0]) <= SUM_PLAIN_TOLERANCE * y.std()),
        "others": others_than(named, records, binned, truth),
    }


def parts_of(X: Floats, y: Floats, folds: Codes) -> list[int]:
    """The fewest columns found that explain `y` as well, the one that matters most first."""
    sizes = np.abs(linear(X, y)[1:]) * X.std(axis=0) / float(y.std())
    parts = [int(i) for i in np.argsort(-sizes, kind="stable") if sizes[i] >= SUM_PART_MIN]
    for part in reversed(parts.copy()):
        fewer = [i for i in parts if i != part]
        if fewer and explained(X[:, fewer], y, folds) > SUM_R2_MIN:
            parts = fewer
    return parts


def others_than(
    named: list[int], records: list[dict[str, Any]], binned: list[Codes], truth: Truth
) -> float | None:
    """What the columns reach together that are neither named nor copies of the target."""
    left_out = {*named, *(i for i, record in enumerate(records) if record["copies_target"])}
    strongest = np.argsort([-record["alone"] for record in records], kind="stable").tolist()
    honest = [i for i in strongest if i not in left_out][:OTHERS_MAX]
    if not honest:
        return None
    together = np.hstack([out_of_fold(binned[i], truth.outputs, truth.folds) for i in honest])
    return round(linear_strength(together, truth), 6)


def linear(X: Floats, y: Floats) -> Floats:
    """Least squares: an intercept, then one weight per column in the column's own unit."""
    centre, spread = X.mean(axis=0), X.std(axis=0)
    # A column that does not vary beyond rounding gets no weight.
    spread = np.where(spread > 1e-9 * np.abs(centre), spread, np.inf)
    design = np.hstack([np.ones((len(X), 1)), (X - centre) / spread])
    weights = np.linalg.lstsq(design, y, rcond=None)[0]
    slopes = weights[1:] / spread
    return np.concatenate([[weights[0] - centre @ slopes], slopes])


def explained(X: Floats, y: Floats, folds: Codes) -> float:
    """R² of a linear regression, predicted out of fold; 0 where there is no variance."""
    guess = np.zeros_like(y)
    for fold in range(FOLDS):
        inside = folds == fold
        weights = linear(X[~inside], y[~inside])
        guess[inside] = weights[0] + X[inside] @ weights[1:]
    return r_squared(y, guess) or 0.0


def linear_strength(X: Floats, truth: Truth) -> float:
    """Cross-validated strength of a ridge regression on standardised columns."""
    X = (X - X.mean(axis=0)) / np.maximum(X.std(axis=0), 1e-12)
    found = []
    for fold in range(FOLDS):
        inside = truth.folds == fold
        train, centre = X[~inside], truth.outputs[~inside].mean(axis=0)
        gram = train.T @ train + RIDGE * len(train) * np.eye(X.shape[1])
        weights = np.linalg.solve(gram, train.T @ (truth.outputs[~inside] - centre))
        guess = X[inside] @ weights + centre
        for j in range(truth.outputs.shape[1]):
            actual = truth.outputs[inside, j]
            one = auc(actual > 0.5, guess[:, j]) if truth.classification else r_squared(actual, guess[:, j])
            found.append(one)
    known = [value for value in found if value is not None]
    return float(np.mean(known)) if known else (0.5 if truth.classification else 0.0)


def truth_of(target: Floats, problem: str, generator: np.random.Generator) -> Truth:
    """The target as columns to predict, and three folds."""
    folds = generator.permutation(len(target)) % FOLDS
    if problem == "regression":
        return Truth(target[:, None], False, folds)
    classes, counts = np.unique(target, return_counts=True)
    classes = classes[np.argsort(-counts, kind="stable")][:CLASSES_MAX]
    if problem == "binary":
        classes = np.array([1.0])
    return Truth((target[:, None] == classes).astype(np.float64), True, folds)


def evidence_of(
    column: Typed,
    rows: Codes,
    test: Codes,
    target: Floats,
    truth: Truth,
    order: float | None,
    generator: np.random.Generator,
) -> tuple[dict[str, Any], Codes]:
    """Everything about one column, and the bins of its training cells."""
    both = cells_of(column, np.concatenate([rows, test]))
    train = Cells(both.bins[: len(rows)], both.groups[: len(rows)], both.filled[: len(rows)])
    filled = train.filled
    distinct = len(np.unique(train.groups[filled])) / max(int(filled.sum()), 1)
    alone = strength(train.bins, truth)
    if column.values is not None and distinct < 0.5:
        # Numbers that repeat may be codes: what each single value says counts too.
        alone = max(alone, strength(train.groups, truth))
    record = {
        "column": column.name,
        "alone": round(alone, 6),
        "others": None,
        "filled_alone": round(filled_strength(filled, truth), 6),
        "filled_train": round(float(filled.mean()), 6) if len(filled) else 0.0,
        "filled_test": round(float(both.filled[len(rows) :].mean()), 6) if len(test) else None,
        "distinct_share": round(distinct, 6),
        "copies_target": copies(column, rows, train, target, truth),
        "shift": shift(both.bins, len(rows), generator) if len(test) and len(rows) else None,
        "looks_like_id": looks_like_id(column, rows, distinct),
        "row_order": order,
    }
    return record, train.bins


def cells_of(column: Typed, rows: Codes) -> Cells:
    """A column's cells at some rows."""
    if column.values is None:
        assert column.codes is not None
        codes = column.codes[rows].astype(np.int64)
        return Cells(codes + 1, codes + 1, codes >= 0)
    values = column.values[rows]
    filled = ~np.isnan(values)
    bins, groups = np.zeros(len(values), dtype=np.int64), np.zeros(len(values), dtype=np.int64)
    distinct, inverse = np.unique(values[filled], return_inverse=True)
    groups[filled] = inverse + 1
    if len(distinct) <= BINS:
        return Cells(groups, groups, filled)
    edges = np.unique(np.quantile(values[filled], np.arange(1, BINS) / BINS))
    bins[filled] = np.searchsorted(edges, values[filled], side="right") + 1
    return Cells(bins, groups, filled)


def out_of_fold(bins: Codes, outputs: Floats, folds: Codes) -> Floats:
    """For each row the mean target of its bin over the other folds, drawn to the overall mean; shape of
    `outputs`.
    """
    size = int(bins.max()) + 1 if len(bins) else 1
    place = bins * FOLDS + folds
    counts = np.bincount(place, minlength=size * FOLDS).reshape(size, FOLDS)
    others = counts.sum(axis=1, keepdims=True) - counts
    fold_rows = np.bincount(folds, minlength=FOLDS)
    result = np.empty_like(outputs)
    for j in range(outputs.shape[1]):
        sums = np.bincount(place, weights=outputs[:, j], minlength=size * FOLDS).reshape(size, FOLDS)
        total = sums.sum(axis=0)
        prior = (total.sum() - total) / np.maximum(len(bins) - fold_rows, 1)
        means = (sums.sum(axis=1, keepdims=True) - sums + SMOOTHING * prior) / (others + SMOOTHING)
        result[:, j] = means[bins, folds]
    return result


def strength(bins: Codes, truth: Truth) -> float:
    """ROC AUC (mean of one against the rest) or R² of out-of-fold target means, mean over the folds."""
    if len(bins) < 2 * FOLDS:
        return 0.5 if truth.classification else 0.0
    predicted = out_of_fold(bins, truth.outputs, truth.folds)
    found = []
    for fold in range(FOLDS):
        inside = truth.folds == fold
        for j in range(truth.outputs.shape[1]):
            actual, guess = truth.outputs[inside, j], predicted[inside, j]
            found.append(auc(actual > 0.5, guess) if truth.classification else r_squared(actual, guess))
    known = [value for value in found if value is not None]
    return float(np.mean(known)) if known else (0.5 if truth.classification else 0.0)


def auc(positive: Flags, score: Floats) -> float | None:
    """Area under the ROC curve by ranks, ties shared; `None` when one class is absent."""
    count = int(positive.sum())
    if count == 0 or count == len(positive):
        return None
    ranks = mean_ranks(score)
    return float((ranks[positive].sum() - count * (count + 1) / 2) / (count * (len(positive) - count)))


def mean_ranks(score: Floats) -> Floats:
    """Ranks from 1, ties sharing their mean."""
    order = np.argsort(score, kind="stable")
    ordered = score[order]
    edges = np.concatenate(([0], np.flatnonzero(ordered[1:] != ordered[:-1]) + 1, [len(score)]))
    ranks = np.empty(len(score))
    ranks[order] = np.repeat((edges[:-1] + 1 + edges[1:]) / 2, np.diff(edges))
    return ranks


def r_squared(actual: Floats, guess: Floats) -> float | None:
    """Share of variance explained, not below 0; `None` without variance."""
    spread = float(((actual - actual.mean()) ** 2).sum()) if len(actual) else 0.0
    return max(0.0, 1.0 - float(((actual - guess) ** 2).sum()) / spread) if spread > 0 else None


def filled_strength(filled: Flags, truth: Truth) -> float:
    """Strength of "is it filled?" alone: folded ROC AUC (the largest over classes), or R²."""
    nothing = 0.5 if truth.classification else 0.0
    if filled.all() or not filled.any():
        return nothing
    if truth.classification:
        found = [auc(output > 0.5, filled.astype(np.float64)) for output in truth.outputs.T]
        return max([max(value, 1 - value) for value in found if value is not None], default=nothing)
    values = truth.outputs[:, 0]
    if values.std() == 0:
        return nothing
    return float(np.corrcoef(filled, values)[0, 1] ** 2)


def row_order(rows: Codes, truth: Truth) -> float | None:
    """Folded ROC AUC of the row number for the target (for values: for lying above the median)."""
    outputs = truth.outputs
    if not truth.classification:
        outputs = (outputs > np.median(outputs)).astype(np.float64) if len(outputs) else outputs
    found = [auc(output > 0.5, rows.astype(np.float64)) for output in outputs.T]
    return max([round(max(value, 1 - value), 6) for value in found if value is not None], default=None)


def shift(bins: Codes, train_rows: int, generator: np.random.Generator) -> float:
    """ROC AUC with which the column alone tells training from test rows, from 0.5."""
    is_test = (np.arange(len(bins)) >= train_rows).astype(np.float64)[:, None]
    folds = generator.permutation(len(bins)) % FOLDS
    return round(max(0.5, strength(bins, Truth(is_test, True, folds))), 6)


def copies(column: Typed, rows: Codes, cells: Cells, target: Floats, truth: Truth) -> bool:
    """Whether the column is the target again: equal, linear, or one to one on nearly every row."""
    filled = cells.filled
    if filled.sum() < max(10, 0.5 * len(filled)):
        return False
    actual = target[filled]
    if truth.classification:
        return one_to_one(cells.groups[filled], actual.astype(np.int64))
    if column.values is None:
        return False
    values = column.values[rows][filled]
    if values.std() == 0 or actual.std() == 0:
        return False
    equal = float(np.mean(np.isclose(values, actual, rtol=1e-6, atol=1e-9)))
    linear = float(np.corrcoef(values, actual)[0, 1] ** 2)
    ranks = float(np.corrcoef(mean_ranks(values), mean_ranks(actual))[0, 1] ** 2)
    return equal >= COPY_SHARE_MIN or linear > 0.9999 or (ranks > 0.9999 and len(np.unique(actual)) > 20)


def one_to_one(groups: Codes, classes: Codes) -> bool:
    """Whether each value stands for one class and each class for one value, on nearly every row of every
    class.
    """
    distinct, inverse = np.unique(groups, return_inverse=True)
    present, index = np.unique(classes, return_inverse=True)
    size = len(distinct) * len(present)
    if len(present) < 2 or len(distinct) * COPY_GROUP_MIN > len(groups) or size > CELLS_MAX:
        return False
    table = np.bincount(inverse * len(present) + index, minlength=size).reshape(len(distinct), len(present))
    values = table.argmax(axis=0)
    agreed = table[values, np.arange(len(present))]
    pure = agreed / np.maximum(table[values].sum(axis=1), 1)
    each = agreed / table.sum(axis=0)
    return bool(
        len(set(values.tolist())) == len(present)
        and agreed.sum() >= COPY_SHARE_MIN * len(groups)
        and min(each.min(), pure.min()) >= COPY_CLASS_SHARE_MIN
    )


def looks_like_id(column: Typed, rows: Codes, distinct_share: float) -> bool:
    """Whether the name (with mostly distinct values) or the values alone are those of an identifier."""
    named = bool(ID_NAME.search(column.name) or ID_NAME_CAMEL.search(column.name))
    if named and distinct_share > 0.5 and column.kind != "datetime":
        return True
    if distinct_share < ID_DISTINCT_SHARE_MIN or len(rows) < 20:
        return False
    if column.kind == "categorical":
        # Single words that never come back: keys, hashes, addresses.
        assert column.codes is not None
        words = [column.levels[code] for code in column.codes[rows[:200]] if code >= 0]
        return sum(" " in word for word in words) <= 0.05 * len(words)
    if column.kind != "numeric" or column.values is None:
        return False
    values = column.values[rows]
    values = values[~np.isnan(values)]
    whole = bool(len(values) and np.all(values == np.floor(values)))
    return whole and (bool(np.all(np.diff(values) > 0)) or _dense(values))


def _dense(values: Floats) -> bool:
    """Whether distinct whole numbers fill their range as running numbers do."""
    return len(values) / (float(values.max() - values.min()) + 1) > 0.2 and len(values) > 1000


def duplicate_share(features: Features, train: Codes, test: Codes) -> float | None:
    """Share of test rows whose features all stand together in a training row too."""
    if not len(test):
        return None
    marks = np.zeros(len(features.numeric), dtype=np.uint64)
    for i, column in enumerate(features.columns):
        values = column.values if column.values is not None else column.codes
        words = np.ascontiguousarray(np.asarray(values, dtype=np.float64)).view(np.uint64)
        marks = _mix(marks * np.uint64(0x9E3779B97F4A7C15) + words + np.uint64(i + 1))
    return round(float(np.isin(marks[test], marks[train]).mean()), 6)


def _mix(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))
