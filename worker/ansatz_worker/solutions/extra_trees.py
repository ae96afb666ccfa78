"""Extremely randomised trees: deep, split at random, averaged; they err unlike boosting, hence a partner."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor

from ..featurekit import boosting, table, targets
from ..featurekit.columns import Floats, Report, Task

SPACE: dict[str, dict[str, Any]] = {
    "trees": {"type": "int", "low": 50, "high": 500, "log": True, "default": 200},
    "leaf_rows_min": {"type": "int", "low": 1, "high": 20, "log": True, "default": 2},
    "columns_share": {"type": "float", "low": 0.1, "high": 1.0, "log": False, "default": 0.4},
    "smoothing": {"type": "float", "low": 1.0, "high": 100.0, "log": True, "default": 10.0},
    "calendar": {"type": "categorical", "values": [True, False], "default": True, "only": "datetime"},
    "target": {
        "type": "categorical",
        "values": ["auto", "plain", "log"],
        "default": "auto",
        "only": "regression",
    },
}
BATCH = False
# Leaves of the whole forest; bounds the size of the model (about 100 bytes a leaf) and the time to train it.
LEAVES_MAX = 600_000
# So many classes take the room of a leaf once again: a leaf keeps a number for each.
LEAF_CLASSES = 8


@dataclass(frozen=True)
class State:
    """The feature table, and what stands for missing numbers."""

    table: table.Table
    fill: Floats


@dataclass(frozen=True)
class Model:
    """A trained forest, or the raw scores of the prior where nothing could be learnt."""

    forest: Any
    prior: Floats | None
    log_target: bool


def fit_features(
    train: pd.DataFrame, y: Floats, *, task: Task, params: Mapping[str, Any], seed: int
) -> tuple[State, np.ndarray[Any, Any]]:
    """Encoded columns; missing numbers get a value far below all others, so one split finds them."""
    log = targets.uses_log(task, params, y)
    options = table.Options(
        smoothing=float(params.get("smoothing", 10.0)), calendar=bool(params.get("calendar", True))
    )
    learnt, frame = table.learn(train, y, task=task, options=options, seed=seed, log_target=log)
    block = frame.to_numpy(dtype=np.float32)
    fill = np.array([_below(block[:, j]) for j in range(block.shape[1])])
    return State(learnt, fill), _filled(block, fill)


def features(state: State, rows: pd.DataFrame, *, task: Task) -> np.ndarray[Any, Any]:
    """Features of any rows, row by row."""
    return _filled(table.apply(state.table, rows).to_numpy(dtype=np.float32), state.fill)


def _below(values: np.ndarray[Any, Any]) -> float:
    known = values[np.isfinite(values)]
    if len(known) == 0:
        return 0.0
    low, high = float(known.min()), float(known.max())
    return low - 0.5 * (high - low) - 1e-3


def _filled(block: np.ndarray[Any, Any], fill: Floats) -> np.ndarray[Any, Any]:
    return np.where(np.isfinite(block), block, fill[None, :].astype(np.float32))


def fit(
    X: np.ndarray[Any, Any],
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
    """A forest; leaves get larger with the number of rows so that its size stays bounded."""
    log = targets.uses_log(task, params, y)
    prior = boosting.prior(X, targets.forward(y, log), task)
    if prior is not None:
        return Model(None, prior, log)
    trees = int(params.get("trees", SPACE["trees"]["default"]))
    leaves = LEAVES_MAX // max(1, task.outputs // LEAF_CLASSES)
    leaf_rows = max(int(params.get("leaf_rows_min", 2)), -(-len(y) * trees // leaves))
    common = {
        "n_estimators": trees,
        "min_samples_leaf": leaf_rows,
        "max_features": float(params.get("columns_share", SPACE["columns_share"]["default"])),
        "n_jobs": threads,
        "random_state": seed,
    }
    if task.problem == "regression":
        forest = ExtraTreesRegressor(**common).fit(X, targets.forward(y, log), sample_weight=weight)
    else:
        forest = ExtraTreesClassifier(**common).fit(X, y.astype(np.int64), sample_weight=weight)
    forest.n_jobs = 1
    return Model(forest, None, log)


def predict(model: Model, X: np.ndarray[Any, Any], *, task: Task, stage: float | None = None) -> Floats:
    """Probabilities or values, shape (rows, outputs)."""
    if model.forest is None:
        raw = boosting.repeat(model.prior, len(X), 0)
        return (
            targets.backward(raw, model.log_target)
            if task.problem == "regression"
            else boosting.probabilities(raw)
        )
    if task.problem == "regression":
        return targets.backward(
            np.asarray(model.forest.predict(X), dtype=np.float64)[:, None], model.log_target
        )
    shares = model.forest.predict_proba(X)
    full = np.zeros((len(shares), max(2, task.outputs)))
    full[:, model.forest.classes_] = shares
    return full[:, 1:2] if task.problem == "binary" else full


def importances(model: Model, state: State) -> dict[str, float]:
    """Total impurity taken away by feature."""
    if model.forest is None:
        return {}
    values = model.forest.feature_importances_
    return {name: float(value) for name, value in zip(state.table.names, values, strict=True)}
