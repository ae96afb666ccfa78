"""Gradient boosting with CatBoost: symmetric trees and its own ordered statistics of categories.

Stages are numbers of boosting rounds.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import catboost
import numpy as np
import pandas as pd

from ..featurekit import boosting, table, targets
from ..featurekit.columns import Floats, Report, Task

SPACE: dict[str, dict[str, Any]] = {
    "learning_rate": {"type": "float", "low": 0.01, "high": 0.3, "log": True, "default": 0.06},
    "rounds": {"type": "int", "low": 50, "high": 2000, "log": True, "default": 400},
    "depth": {"type": "int", "low": 3, "high": 9, "log": False, "default": 6},
    "l2": {"type": "float", "low": 0.5, "high": 30.0, "log": True, "default": 3.0},
    "random_strength": {"type": "float", "low": 0.0, "high": 4.0, "log": False, "default": 1.0},
    "columns_share": {"type": "float", "low": 0.1, "high": 1.0, "log": False, "default": 0.3},
    "combinations": {"type": "int", "low": 1, "high": 3, "log": False, "default": 1},
    "encoding": {"type": "categorical", "values": ["native", "encoded"], "default": "native"},
    "target": {
        "type": "categorical",
        "values": ["auto", "plain", "log"],
        "default": "auto",
        "only": "regression",
    },
}
BATCH = False
# Losses of means that are learnt by their logarithms; nothing is nearer to a gamma deviance.
LOSSES = {
    "poisson": "Poisson",
    "tweedie": "Tweedie:variance_power=1.5",
    "gamma": "Tweedie:variance_power=1.95",
}
# Lines of a training's log, and what they say: the round, counted from 0, and the loss.
LINES = 50
LINE = re.compile(r"^\s*(\d+):\s+learn: (-?(?:\d+(?:\.\d+)?(?:e[-+]?\d+)?|nan|inf))", re.MULTILINE)


@dataclass(frozen=True)
class Model:
    """A trained booster, or the raw scores of the prior where nothing could be learnt."""

    booster: Any
    prior: Floats | None
    rounds: int
    log_target: bool
    link: targets.Link | None = None


def options(params: Mapping[str, Any]) -> table.Options:
    """The feature table that the parameters ask for."""
    if params.get("encoding", "native") == "native":
        return table.Options(native_levels_max=1_000_000, target_means=False, counts=True, pairs="none")
    return table.Options(calendar=True)


def fit_features(
    train: pd.DataFrame, y: Floats, *, task: Task, params: Mapping[str, Any], seed: int
) -> tuple[table.Table, pd.DataFrame]:
    """The feature table; native categories are left to CatBoost."""
    log = targets.uses_log(task, params, y, absolute=True)
    return table.learn(train, y, task=task, options=options(params), seed=seed, log_target=log)


def features(state: table.Table, rows: pd.DataFrame, *, task: Task) -> pd.DataFrame:
    """Features of any rows, row by row."""
    return table.apply(state, rows)


def stages(params: Mapping[str, Any]) -> list[float]:
    """Numbers of rounds at which training could have been stopped."""
    return boosting.stages(int(params.get("rounds", SPACE["rounds"]["default"])))


def fit(
    X: pd.DataFrame,
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
    """A booster of `stage` rounds, or of `params["rounds"]`."""
    log = targets.uses_log(task, params, y, absolute=True)
    link = targets.Link.of(task, params, y)
    values = targets.forward(y, log) if link is None else link.forward(y)
    weight = targets.weights(task, y, weight)
    rounds = boosting.rounds(params, stage, SPACE)
    prior = boosting.prior(X, values, task, weight)
    if prior is not None:
        return Model(None, prior if link is None else np.log(prior), rounds, log, link)
    label = values if task.problem == "regression" else y.astype(np.int64)
    every = 0 if report is None else max(1, rounds // LINES)
    chosen = booster_params(task, params, seed, threads, rounds, X.shape[1], every, link)
    booster = catboost.CatBoost(chosen)
    booster.fit(_pool(X, label, weight), log_cout=None if report is None else _teller(report, rounds))
    return Model(booster, None, rounds, log, link)


def _teller(report: Report, rounds: int) -> Callable[[str], None]:
    """Reads the log of a training. A callback would be handed all losses so far after each round, and GPUs
    know no callbacks.
    """

    def read(text: str) -> None:
        for line in LINE.finditer(text):
            report(int(line[1]) + 1, float(line[2]), rounds)

    return read


def booster_params(
    task: Task,
    params: Mapping[str, Any],
    seed: int,
    threads: int,
    rounds: int,
    columns: int,
    every: int = 0,
    link: targets.Link | None = None,
) -> dict[str, Any]:
    """CatBoost's own parameters, for this many columns; every so many rounds are logged, none for 0."""
    chosen = {name: params.get(name, dimension["default"]) for name, dimension in SPACE.items()}
    exact = targets.is_absolute(task)
    return {
        **(on_gpu() if task.device == "cuda" else on_cpu(params, columns)),
        "loss_function": loss(task, link),
        **({"classes_count": task.outputs} if task.problem == "multiclass" else {}),
        "iterations": rounds,
        "learning_rate": chosen["learning_rate"],
        "depth": int(chosen["depth"]),
        "l2_leaf_reg": chosen["l2"],
        "random_strength": chosen["random_strength"],
        "max_ctr_complexity": int(chosen["combinations"]),
        "one_hot_max_size": 6,
        "border_count": 64,
        "boosting_type": "Plain",
        "leaf_estimation_iterations": 1,
        # Exact medians, the default for absolute losses, pass over the weights of rows.
        **({"leaf_estimation_method": "Gradient"} if exact and targets.weighs(task) else {}),
        "random_seed": seed,
        "thread_count": threads,
        "allow_writing_files": False,
        **({"verbose": every} if every else {"logging_level": "Silent"}),
    }


def on_cpu(params: Mapping[str, Any], columns: int) -> dict[str, Any]:
    """Sampling of columns and rows on processors."""
    return {"rsm": boosting.column_share(params, SPACE, columns), "bootstrap_type": "MVS"}


def on_gpu() -> dict[str, Any]:
    """The same on a GPU, where columns cannot be sampled; the cell sees one, whatever its number outside."""
    return {"task_type": "GPU", "devices": "0", "bootstrap_type": "Bernoulli", "subsample": 0.8}


def loss(task: Task, link: targets.Link | None = None) -> str:
    """What is minimised."""
    if task.problem == "multiclass":
        return "MultiClass"
    if task.problem == "binary":
        return "Logloss"
    if link is not None:
        return LOSSES[link.family]
    share = targets.quantile(task)
    if share is not None and not targets.is_absolute(task):
        return f"Quantile:alpha={share}"
    return "RMSE" if share is None else "MAE"


def _pool(X: pd.DataFrame, label: Any = None, weight: Floats | None = None) -> Any:
    if X.shape[1] == 0:
        return None
    native = [j for j, dtype in enumerate(X.dtypes) if isinstance(dtype, pd.CategoricalDtype)]
    if native:
        names = X.columns[native]
        X = X.assign(**{name: X[name].cat.codes.astype(np.int32) for name in names})
    if not native:
        return catboost.Pool(X.to_numpy(dtype=np.float32, copy=False), label, weight=weight)
    X = X.set_axis([f"c{j}" for j in range(X.shape[1])], axis=1)
    return catboost.Pool(X, label, weight=weight, cat_features=native)


def predict(model: Model, X: pd.DataFrame, *, task: Task, stage: float | None = None) -> Floats:
    """Probabilities or values, shape (rows, outputs)."""
    rounds = model.rounds if stage is None else min(int(stage), model.rounds)
    return _finished(model, _raw(model, _pool(X), len(X), 0, rounds), task)


def predict_stages(model: Model, X: pd.DataFrame, *, task: Task, stages: list[float]) -> Floats:
    """Predictions at rising stages, shape (stages, rows, outputs), each tree evaluated once."""
    pool = _pool(X)
    raw = np.zeros((len(X), task.outputs))
    found, done = [], 0
    for stage in stages:
        rounds = min(int(stage), model.rounds)
        if rounds > done:
            raw = raw + _raw(model, pool, len(X), done, rounds)
            done = rounds
        found.append(_finished(model, raw, task))
    return np.stack(found)


def _raw(model: Model, pool: Any, rows: int, start: int, end: int) -> Floats:
    if model.booster is None:
        return boosting.repeat(model.prior, rows, start)
    raw = model.booster.predict(
        pool, prediction_type="RawFormulaVal", ntree_start=start, ntree_end=end, thread_count=1
    )
    return np.asarray(raw, dtype=np.float64).reshape(rows, -1)


def _finished(model: Model, raw: Floats, task: Task) -> Floats:
    if model.link is not None:
        return model.link.backward(raw)
    if task.problem == "regression":
        return targets.backward(raw, model.log_target)
    return boosting.probabilities(raw)


def importances(model: Model, state: table.Table) -> dict[str, float]:
    """Share of the predictions' changes by feature."""
    if model.booster is None:
        return {}
    values = model.booster.get_feature_importance()
    return {name: float(value) for name, value in zip(state.names, values, strict=True)}
