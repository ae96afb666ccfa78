"""Writes metrics.json: what scikit-learn says about random cases that `tests/metrics_golden.rs` makes again.

Inputs are not stored: both sides draw them from the same small generator (SplitMix64) and use only exact arithmetic
on them, so that a case is its number. `null` stands for a score that has no value. Rows of weight 0 are taken out
before scikit-learn sees them, since we define them as absent; it would still count their labels as classes.

usage: python make.py > metrics.json      (scikit-learn 1.9, numpy 2)
"""

from __future__ import annotations

import json
import math
import sys
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import sklearn  # type: ignore[import-untyped]
from numpy.typing import NDArray
from sklearn import metrics as sk

Floats = NDArray[np.float64]
CASES = 500
MASK = (1 << 64) - 1


class Draw:
    """SplitMix64."""

    def __init__(self, seed: int) -> None:
        self.state = seed

    def bits(self) -> int:
        """64 random bits."""
        self.state = (self.state + 0x9E3779B97F4A7C15) & MASK
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        return z ^ (z >> 31)

    def below(self, limit: int) -> int:
        """A whole number from 0 below the limit."""
        return self.bits() % limit

    def unit(self) -> float:
        """A number from 0 below 1."""
        return (self.bits() >> 11) * 2.0**-53


def rows_of(draw: Draw) -> tuple[int, Floats]:
    """How many rows, and their weights: all 1, whole numbers with 0, or quarters with 0; the first is never 0."""
    rows = 1 + draw.below(60)
    mode = draw.below(3)
    weights = [1.0 if mode == 0 else draw.below(4) if mode == 1 else draw.below(9) / 4 for _ in range(rows)]
    weights[0] = 1.0
    return rows, np.array(weights)


def classes_of(draw: Draw, rows: int, classes: int) -> Floats:
    """Class indices: even, or only below a random class, so that classes are missing."""
    used = 1 + draw.below(classes) if draw.below(3) == 0 else classes
    return np.array([draw.below(used) for _ in range(rows)], dtype=float)


def scores_of(draw: Draw, count: int) -> Floats:
    """Numbers from 0 to 1: fine, in quarters, or all equal."""
    mode = draw.below(6)
    one: Callable[[], float] = (
        draw.unit if mode < 3 else (lambda: draw.below(5) / 4) if mode < 5 else (lambda: 0.5)
    )
    return np.array([one() for _ in range(count)])


def labels(draw: Draw, classes: int) -> tuple[Floats, Floats, Floats]:
    """Truth and predicted labels, right on about half of the rows beyond chance."""
    rows, weights = rows_of(draw)
    truth, guess = classes_of(draw, rows, classes), classes_of(draw, rows, classes)
    keep = np.array([draw.below(2) == 0 for _ in range(rows)])
    return truth, np.where(keep, truth, guess), weights


def binary_labels(draw: Draw) -> list[float | None]:
    y, p, w = present(*labels(draw, 2))
    return [
        sk.accuracy_score(y, p, sample_weight=w),
        sk.balanced_accuracy_score(y, p, sample_weight=w),
        sk.f1_score(y, p, sample_weight=w),
        sk.f1_score(y, p, sample_weight=w, average="macro"),
        sk.f1_score(y, p, sample_weight=w, average="micro"),
        sk.f1_score(y, p, sample_weight=w, average="weighted"),
        sk.precision_score(y, p, sample_weight=w),
        sk.recall_score(y, p, sample_weight=w),
        sk.matthews_corrcoef(y, p, sample_weight=w),
        kappa(y, p, w, 2, None),
    ]


def multiclass_labels(draw: Draw) -> list[float | None]:
    classes = 3 + draw.below(3)
    y, p, w = present(*labels(draw, classes))
    return [
        sk.accuracy_score(y, p, sample_weight=w),
        sk.balanced_accuracy_score(y, p, sample_weight=w),
        sk.f1_score(y, p, sample_weight=w, average="macro"),
        sk.f1_score(y, p, sample_weight=w, average="micro"),
        sk.f1_score(y, p, sample_weight=w, average="weighted"),
        sk.matthews_corrcoef(y, p, sample_weight=w),
        kappa(y, p, w, classes, None),
        kappa(y, p, w, classes, "quadratic"),
    ]


def binary_probabilities(draw: Draw) -> list[float | None]:
    rows, w = rows_of(draw)
    y, p, w = present(classes_of(draw, rows, 2), scores_of(draw, rows), w)
    clipped = np.clip(p, 1e-15, 1 - 1e-15)
    return [
        sk.roc_auc_score(y, p, sample_weight=w) if len(set(y)) == 2 else None,
        sk.average_precision_score(y, p, sample_weight=w) if y.any() else None,
        sk.log_loss(y, clipped, sample_weight=w, labels=[0, 1]),
        float(np.average((p - y) ** 2, weights=w)),
    ]


def multiclass_probabilities(draw: Draw) -> list[float | None]:
    rows, w = rows_of(draw)
    classes = 3 + draw.below(3)
    y = classes_of(draw, rows, classes)
    p = scores_of(draw, rows * classes).reshape(rows, classes)
    p[:, 0] += 0.25  # so that no row is all zeros
    p[:, 0] /= 2.0
    y, p, w = present(y, p, w)
    shares = p / p.sum(axis=1, keepdims=True)
    clipped = np.clip(shares, 1e-15, 1 - 1e-15)
    each = [
        sk.roc_auc_score(y == k, p[:, k], sample_weight=w)
        for k in range(classes)
        if 0 < (y == k).sum() < len(y)
    ]
    hot = np.eye(classes)[y.astype(int)]
    order = np.argsort(-p, axis=1, kind="stable")
    rank = 1 + np.argmax(order == y[:, None], axis=1)
    return [
        float(np.mean(each)) if each else None,
        float(np.average(-np.log(clipped[np.arange(len(y)), y.astype(int)]), weights=w)),
        float(np.average(((shares - hot) ** 2).sum(axis=1), weights=w)),
        float(np.average(np.where(rank <= 2, 1 / rank, 0), weights=w)),
    ]


def values(draw: Draw) -> list[float | None]:
    rows, w = rows_of(draw)
    mode, size = draw.below(4), 10.0 ** draw.below(4)
    truth = np.array(
        [draw.below(4) if mode == 0 else (draw.unit() - 0.5) * size for _ in range(rows)], dtype=float
    )
    truth = np.full(rows, truth[0]) if mode == 1 else truth
    noise = np.array([(draw.unit() - 0.5) * size for _ in range(rows)])
    guess = truth.copy() if draw.below(12) == 0 else truth + noise
    y, p, w = present(truth, guess, w)
    yy, pp = np.abs(y), np.abs(p) + 0.015625
    both = np.abs(y) + np.abs(p)
    smape = np.where(both == 0, 0, 200 * np.abs(y - p) / np.where(both == 0, 1, both))
    return [
        sk.root_mean_squared_error(y, p, sample_weight=w),
        sk.mean_squared_error(y, p, sample_weight=w),
        sk.mean_absolute_error(y, p, sample_weight=w),
        sk.median_absolute_error(y, p, sample_weight=w),
        sk.mean_absolute_percentage_error(y, p, sample_weight=w),
        # Moved to 0, so that a constant truth is one after rounding too.
        sk.r2_score(y - y[0], p - y[0], sample_weight=w),
        float(np.average(smape, weights=w)),
        sk.max_error(y, p),
        sk.root_mean_squared_log_error(yy, pp, sample_weight=w),
        sk.mean_squared_log_error(yy, pp, sample_weight=w),
        sk.mean_poisson_deviance(yy, pp, sample_weight=w),
    ]


def kappa(y: Floats, p: Floats, w: Floats, classes: int, weights: str | None) -> float:
    return float(sk.cohen_kappa_score(y, p, labels=range(classes), weights=weights, sample_weight=w))


def present(y: Floats, p: Floats, w: Floats) -> tuple[Floats, Floats, Floats]:
    """Without the rows of weight 0."""
    return y[w > 0], p[w > 0], w[w > 0]


FAMILIES: dict[str, tuple[str, Callable[[Draw], list[float | None]]]] = {
    "binary_labels": (
        "accuracy balanced_accuracy f1 f1_macro f1_micro f1_weighted precision recall matthews_corrcoef cohen_kappa",
        binary_labels,
    ),
    "multiclass_labels": (
        "accuracy balanced_accuracy f1_macro f1_micro f1_weighted matthews_corrcoef cohen_kappa qwk",
        multiclass_labels,
    ),
    "binary_probabilities": ("roc_auc average_precision log_loss brier_score", binary_probabilities),
    "multiclass_probabilities": ("roc_auc_ovr log_loss brier_score map_at_2", multiclass_probabilities),
    "values": (
        "rmse mse mae median_absolute_error mape r2 smape max_error rmsle msle mean_poisson_deviance",
        values,
    ),
}


def short(value: float | None) -> float | int | None:
    """Ten significant digits; `None` for NaN."""
    if value is None or math.isnan(value):
        return None
    rounded = float(f"{value:.10g}")
    return int(rounded) if rounded == int(rounded) and abs(rounded) < 1e9 else rounded


def family(number: int, names: str, score: Callable[[Draw], list[float | None]]) -> dict[str, Any]:
    cases = [[short(value) for value in score(Draw(number << 32 | case))] for case in range(CASES)]
    return {"metrics": names.split(), "scores": cases}


def main() -> None:
    warnings.simplefilter("ignore")
    made = {name: family(number, *rest) for number, (name, rest) in enumerate(FAMILIES.items())}
    json.dump({"sklearn": sklearn.__version__, "families": made}, sys.stdout, separators=(",", ":"))
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
