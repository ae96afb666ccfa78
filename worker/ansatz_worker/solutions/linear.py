"""Linear and logistic models on one-hot categories and bent numbers; in tables of codes, on pairs as well.

Stages are strengths of belief in the data (C; 1 / alpha for values), from the most regularised to the least.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.linear_model import LogisticRegression, Ridge

from ..featurekit import boosting, columns, design, targets
from ..featurekit.columns import Floats, Report, Task

SPACE: dict[str, dict[str, Any]] = {
    "rows_min": {"type": "int", "low": 1, "high": 20, "log": True, "default": 2},
    "order": {"type": "int", "low": 1, "high": 3, "log": False, "default": 3},
    "bends": {"type": "categorical", "values": [True, False], "default": True},
    "target": {
        "type": "categorical",
        "values": ["auto", "plain", "log"],
        "default": "auto",
        "only": "regression",
    },
}
BATCH = False
STRENGTHS = (0.002, 0.01, 0.05, 0.25, 1.5)
# Thousands of words, each of a weight below 1, want more belief in the data.
STRENGTHS_OF_WORDS = (10.0, 60.0)
# Widest matrix whose products of columns are written out; wider ones are solved by iteration.
GRAM_COLUMNS_MAX = 3000
ITERATIONS_MAX = 60
# Predicted values may leave the range of the training targets by this share of it.
RANGE_MARGIN = 0.1


@dataclass(frozen=True)
class Model:
    """Weights for each strength: (strengths, columns, outputs), and offsets (strengths, outputs)."""

    strengths: tuple[float, ...]
    weights: Floats
    offsets: Floats
    low: float
    high: float
    log_target: bool


def fit_features(
    train: pd.DataFrame, y: Floats, *, task: Task, params: Mapping[str, Any], seed: int
) -> tuple[design.Design, Any]:
    """The design and the sparse matrix of the training rows."""
    log = targets.uses_log(task, params, y)
    options = design.Options(
        rows_min=int(params.get("rows_min", 2)),
        order=int(params.get("order", 3)),
        bends=bool(params.get("bends", True)),
    )
    return design.learn(train, y, task=task, options=options, seed=seed, log_target=log)


def features(state: design.Design, rows: pd.DataFrame, *, task: Task) -> Any:
    """The sparse matrix of any rows, row by row."""
    return design.apply(state, rows)


def stages(params: Mapping[str, Any], *, task: Task | None = None) -> list[float]:
    """Strengths for which weights are found; more of them where the task has texts."""
    has_words = task is not None and len(columns.texts_of(task)) > 0
    return [*STRENGTHS, *(STRENGTHS_OF_WORDS if has_words else ())]


def fit(
    X: Any,
    y: Floats,
    *,
    task: Task,
    params: Mapping[str, Any],
    seed: int,
    threads: int,
    weight: Floats | None = None,
    stage: float | None = None,
    report: Report | None = None,
) -> Model:
    """Weights for every strength, or for `stage` alone."""
    strengths = tuple(stages(params, task=task)) if stage is None else (float(stage),)
    log = targets.uses_log(task, params, y)
    if task.problem == "regression":
        values = targets.forward(y, log)
        weights, offsets = ridge_path(X, values, strengths, weight)
        margin = RANGE_MARGIN * float(np.ptp(values))
        return Model(
            strengths, weights, offsets, float(values.min()) - margin, float(values.max()) + margin, log
        )
    if len(np.unique(y)) < 2:
        only = boosting.prior(np.zeros((len(y), 0)), y, task)
        offsets = np.tile(np.zeros(task.outputs) if only is None else only, (len(strengths), 1))
        return Model(
            strengths, np.zeros((len(strengths), X.shape[1], task.outputs)), offsets, -np.inf, np.inf, False
        )
    weights, offsets = logistic_path(X, y.astype(np.int64), strengths, task, seed, weight)
    return Model(strengths, weights, offsets, -np.inf, np.inf, False)


def logistic_path(
    X: Any, y: Any, strengths: tuple[float, ...], task: Task, seed: int, weight: Floats | None
) -> tuple[Floats, Floats]:
    """Logistic regressions, each starting where the more regularised one ended."""
    if X.shape[1] <= GRAM_COLUMNS_MAX and X.nnz > 0.3 * X.shape[0] * X.shape[1]:
        X = X.toarray()
    model = LogisticRegression(warm_start=True, max_iter=ITERATIONS_MAX, tol=1e-3, random_state=seed)
    found, offsets = [], []
    for strength in strengths:
        model.C = strength
        model.fit(X, y, sample_weight=weight)
        full = np.zeros((X.shape[1], task.outputs))
        start = np.full(task.outputs, -30.0 if task.problem == "multiclass" else 0.0)
        if task.problem == "multiclass" and len(model.classes_) > 2:
            full[:, model.classes_] = model.coef_.T
            start[model.classes_] = model.intercept_
        elif task.problem == "multiclass":
            full[:, model.classes_[1]], start[model.classes_] = (
                model.coef_[0],
                (0.0, float(model.intercept_[0])),
            )
        else:
            full[:, 0], start[0] = model.coef_[0], float(model.intercept_[0])
        found.append(full)
        offsets.append(start)
    return np.stack(found), np.stack(offsets)


def ridge_path(
    X: Any, y: Floats, strengths: tuple[float, ...], weight: Floats | None
) -> tuple[Floats, Floats]:
    """Ridge regressions for all strengths from one decomposition where the matrix is narrow."""
    if X.shape[1] > GRAM_COLUMNS_MAX:
        models = [Ridge(alpha=1.0 / s, solver="lsqr", tol=1e-4, max_iter=ITERATIONS_MAX) for s in strengths]
        for model in models:
            model.fit(X, y, sample_weight=weight)
        found = np.stack([np.asarray(model.coef_)[:, None] for model in models])
        return found, np.array([[float(model.intercept_)] for model in models])
    rows = np.ones(len(y)) if weight is None else weight / weight.mean()
    total = rows.sum()
    centre = np.asarray(X.T @ rows).ravel() / total
    mean = float(rows @ y / total)
    weighted = sparse.diags_array(rows) @ X
    gram = (X.T @ weighted).toarray() - total * np.outer(centre, centre)
    moment = np.asarray(weighted.T @ (y - mean)).ravel()
    values, vectors = np.linalg.eigh(gram)
    turned = vectors.T @ moment
    found = np.stack([(vectors @ (turned / (np.maximum(values, 0.0) + 1.0 / s)))[:, None] for s in strengths])
    return found, np.array([[mean - float(centre @ w[:, 0])] for w in found])


def predict(model: Model, X: Any, *, task: Task, stage: float | None = None) -> Floats:
    """Probabilities or values, shape (rows, outputs), at the strength nearest to `stage`."""
    strengths = np.log(np.array(model.strengths))
    place = len(strengths) - 1 if stage is None else int(np.argmin(np.abs(strengths - np.log(stage))))
    raw = np.asarray(X @ model.weights[place], dtype=np.float64) + model.offsets[place][None, :]
    if task.problem == "regression":
        return targets.backward(np.clip(raw, model.low, model.high), model.log_target)
    return boosting.probabilities(raw)


def predict_stages(model: Model, X: Any, *, task: Task, stages: list[float]) -> Floats:
    """Predictions at each strength, shape (stages, rows, outputs)."""
    return np.stack([predict(model, X, task=task, stage=stage) for stage in stages])


def importances(model: Model, state: design.Design) -> dict[str, float]:
    """Sum of the absolute weights by feature, at the middle strength."""
    weights = np.abs(model.weights[len(model.strengths) // 2]).sum(axis=1)
    found: dict[str, float] = {}
    for name, value in zip(design.names(state), weights, strict=True):
        found[name] = found.get(name, 0.0) + float(value)
    return found
