"""Small neural networks on the design matrix of the linear models: smooth where trees are stepped.

Stages are numbers of passes over the rows; a few networks from different starts are averaged.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ..featurekit import boosting, design, network, targets
from ..featurekit.columns import Floats, Report, Task

SPACE: dict[str, dict[str, Any]] = {
    "learning_rate": {"type": "float", "low": 5e-4, "high": 2e-2, "log": True, "default": 3e-3},
    "passes": {"type": "int", "low": 4, "high": 100, "log": True, "default": 32},
    "width": {"type": "int", "low": 16, "high": 256, "log": True, "default": 64},
    "weight_decay": {"type": "float", "low": 1e-4, "high": 1.0, "log": True, "default": 0.03},
    "dropout": {"type": "float", "low": 0.0, "high": 0.5, "log": False, "default": 0.1},
    "networks": {"type": "int", "low": 1, "high": 8, "log": False, "default": 3},
    "rows_min": {"type": "int", "low": 1, "high": 50, "log": True, "default": 25},
    "bends": {"type": "categorical", "values": [False, True], "default": False},
    "schedule": {
        "type": "categorical",
        "values": ["constant", "cosine", "hypergradient"],
        "default": "constant",
    },
    "target": {
        "type": "categorical",
        "values": ["auto", "plain", "log"],
        "default": "auto",
        "only": "regression",
    },
}
BATCH = False
STAGE_SHARES = (0.06, 0.12, 0.25, 0.5, 0.75, 1.0)
# Columns of the design that are used, those that vary most; bounds time and the size of the model.
COLUMNS_MAX = 800
# Predicted values may leave the range of the training targets by this share of it.
RANGE_MARGIN = 0.1


@dataclass(frozen=True)
class Model:
    """Weights for each stage; values are standardised within the networks."""

    stages: tuple[float, ...]
    layers: list[network.Layers]
    columns: Any
    centre: float
    scale: float
    low: float
    high: float
    log_target: bool


def fit_features(
    train: pd.DataFrame, y: Floats, *, task: Task, params: Mapping[str, Any], seed: int
) -> tuple[design.Design, Any]:
    """The design and the sparse matrix of the training rows."""
    log = targets.uses_log(task, params, y, absolute=True)
    options = design.Options(
        rows_min=int(params.get("rows_min", 25)), order=1, bends=bool(params.get("bends", False))
    )
    return design.learn(train, y, task=task, options=options, seed=seed, log_target=log)


def features(state: design.Design, rows: pd.DataFrame, *, task: Task) -> Any:
    """The sparse matrix of any rows, row by row."""
    return design.apply(state, rows)


def stages(params: Mapping[str, Any]) -> list[float]:
    """Numbers of passes after which training could have been stopped."""
    passes = int(params.get("passes", SPACE["passes"]["default"]))
    return [float(n) for n in sorted({max(1, round(passes * share)) for share in STAGE_SHARES})]


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
    """Networks trained for all passes, with their weights kept at every stage."""
    wanted = stages(params) if stage is None else [float(max(1, round(stage)))]
    log = targets.uses_log(task, params, y, absolute=True)
    values = targets.forward(y, log)
    weight = targets.weights(task, y, weight)
    centre, scale = _standard(values, task, weight)
    columns = _columns(X)
    layers = network.train(
        _dense(X, columns),
        _labels((values - centre) / scale, task),
        [int(n) for n in wanted],
        _loss(task),
        _settings(params, seed),
        None if weight is None else (weight / weight.mean()).astype(np.float32),
        report,
    )
    margin = RANGE_MARGIN * float(np.ptp(values))
    low, high = float(values.min()) - margin, float(values.max()) + margin
    return Model(tuple(wanted), layers, columns, centre, scale, low, high, log)


def _standard(values: Floats, task: Task, weight: Floats | None) -> tuple[float, float]:
    """Centre and scale of the values; where shares of them count, those of the ones that weigh most."""
    if task.problem != "regression":
        return 0.0, 1.0
    if targets.weighs(task):
        centre = targets.centre(task, values, weight)
        return centre, float(np.average(np.abs(values - centre), weights=weight)) or 1.0
    return float(values.mean()), float(values.std()) or 1.0


def _columns(X: Any) -> Any:
    """The columns that vary most, in order."""
    mean = np.asarray(X.mean(axis=0)).ravel()
    spread = np.asarray(X.multiply(X).mean(axis=0)).ravel() - mean**2
    return np.sort(np.argsort(-spread, kind="stable")[:COLUMNS_MAX])


def _dense(X: Any, columns: Any) -> network.Singles:
    return np.asarray(X[:, columns].toarray(), dtype=np.float32)


def _labels(values: Floats, task: Task) -> network.Singles:
    if task.problem == "multiclass":
        return np.asarray(values[:, None] == np.arange(task.outputs)[None, :], dtype=np.float32)
    return values.astype(np.float32)[:, None]


def _loss(task: Task) -> str:
    if task.problem == "regression":
        return "absolute" if targets.is_absolute(task) else "square"
    return "softmax" if task.problem == "multiclass" else "logistic"


def _settings(params: Mapping[str, Any], seed: int) -> network.Settings:
    chosen = {name: params.get(name, dimension["default"]) for name, dimension in SPACE.items()}
    return network.Settings(
        networks=int(chosen["networks"]),
        width=int(chosen["width"]),
        learning_rate=float(chosen["learning_rate"]),
        weight_decay=float(chosen["weight_decay"]),
        dropout=float(chosen["dropout"]),
        seed=seed,
        schedule=str(chosen["schedule"]),
        horizon=int(chosen["passes"]),
    )


def predict(model: Model, X: Any, *, task: Task, stage: float | None = None) -> Floats:
    """Probabilities or values, shape (rows, outputs), at the stage nearest to `stage`."""
    return _predicted(model, _dense(X, model.columns), task, stage)


def predict_stages(model: Model, X: Any, *, task: Task, stages: list[float]) -> Floats:
    """Predictions at each stage, shape (stages, rows, outputs)."""
    block = _dense(X, model.columns)
    return np.stack([_predicted(model, block, task, stage) for stage in stages])


def _predicted(model: Model, block: network.Singles, task: Task, stage: float | None) -> Floats:
    place = len(model.stages) - 1 if stage is None else int(np.argmin(np.abs(np.array(model.stages) - stage)))
    raw = network.raw_scores(model.layers[place], block)
    if task.problem == "regression":
        values = np.clip(raw.mean(axis=0) * model.scale + model.centre, model.low, model.high)
        return targets.backward(values, model.log_target)
    return np.asarray(np.mean([boosting.probabilities(one) for one in raw], axis=0), dtype=np.float64)
