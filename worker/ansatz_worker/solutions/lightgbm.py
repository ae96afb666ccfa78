"""Gradient boosting with LightGBM, on plain columns with native categories or on encoded ones.

Stages are numbers of boosting rounds, so one training run shows how many rounds are enough.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import lightgbm
import numpy as np
import pandas as pd

from ..featurekit import boosting, table, targets
from ..featurekit.columns import Floats, Report, Task

SPACE: dict[str, dict[str, Any]] = {
    "learning_rate": {"type": "float", "low": 0.01, "high": 0.2, "log": True, "default": 0.05},
    "rounds": {"type": "int", "low": 50, "high": 2000, "log": True, "default": 400},
    "leaves": {"type": "int", "low": 4, "high": 128, "log": True, "default": 16},
    "leaf_rows_min": {"type": "int", "low": 2, "high": 100, "log": True, "default": 10},
    "columns_share": {"type": "float", "low": 0.1, "high": 1.0, "log": False, "default": 0.3},
    "rows_share": {"type": "float", "low": 0.4, "high": 1.0, "log": False, "default": 0.8},
    "l2": {"type": "float", "low": 1e-3, "high": 30.0, "log": True, "default": 1.0},
    "extra_random": {"type": "categorical", "values": [False, True], "default": False},
    "encoding": {"type": "categorical", "values": ["native", "encoded"], "default": "encoded"},
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
# Steps that a column is cut into; more cost time and gain nothing on noisy data.
BINS = 127


@dataclass(frozen=True)
class Model:
    """A trained booster, or the raw scores of the prior where nothing could be learnt."""

    booster: lightgbm.Booster | None
    prior: Floats | None
    rounds: int
    log_target: bool
    link: targets.Link | None = None


def options(params: Mapping[str, Any]) -> table.Options:
    """The feature table that the parameters ask for."""
    if params.get("encoding", "encoded") == "native":
        return table.Options(native_levels_max=1000, target_means=False, counts=True, pairs="none")
    return table.Options(
        smoothing=float(params.get("smoothing", 10.0)), calendar=bool(params.get("calendar", True))
    )


def fit_features(
    train: pd.DataFrame, y: Floats, *, task: Task, params: Mapping[str, Any], seed: int
) -> tuple[table.Table, pd.DataFrame]:
    """The feature table, with out-of-fold encodings for the training rows."""
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
    label = targets.forward(y, log) if link is None else link.forward(y)
    weight = targets.weights(task, y, weight)
    rounds = boosting.rounds(params, stage, SPACE)
    prior = boosting.prior(X, label, task, weight)
    if prior is not None:
        return Model(None, prior if link is None else np.log(prior), rounds, log, link)
    matrix, native = boosting.matrix(X)
    names = [f"c{j}" for j in range(matrix.shape[1])]
    data = lightgbm.Dataset(
        matrix,
        label,
        weight=weight,
        feature_name=names,
        categorical_feature=[names[j] for j in native],
        params={"verbose": -1, "max_bin": BINS, "num_threads": threads, "max_cat_to_onehot": 8},
        free_raw_data=True,
    )
    booster = lightgbm.train(
        booster_params(task, params, seed, threads, matrix.shape, link),
        data,
        num_boost_round=rounds,
        callbacks=[] if report is None else [_teller(report, rounds)],
    )
    return Model(booster, None, rounds, log, link)


def _teller(report: Report, rounds: int) -> Callable[[Any], None]:
    """A callback that reports each round; the loss would cost a prediction of all rows."""

    def after(moment: Any) -> None:
        report(moment.iteration + 1, None, rounds)

    return after


def booster_params(
    task: Task,
    params: Mapping[str, Any],
    seed: int,
    threads: int,
    shape: tuple[int, ...],
    link: targets.Link | None = None,
) -> dict[str, Any]:
    """LightGBM's own parameters, for a matrix of this shape."""
    chosen = {name: params.get(name, dimension["default"]) for name, dimension in SPACE.items()}
    return {
        **objective(task, link),
        "learning_rate": chosen["learning_rate"],
        "num_leaves": int(chosen["leaves"]),
        "min_data_in_leaf": max(1, min(int(chosen["leaf_rows_min"]), shape[0] // 10)),
        "feature_fraction": boosting.column_share(params, SPACE, shape[1]),
        "bagging_fraction": chosen["rows_share"],
        "bagging_freq": 1 if chosen["rows_share"] < 1.0 else 0,
        "lambda_l2": chosen["l2"],
        "extra_trees": bool(chosen["extra_random"]),
        "max_cat_to_onehot": 8,
        "cat_smooth": 20.0,
        "verbose": -1,
        "seed": seed,
        "deterministic": True,
        "force_col_wise": True,
        "num_threads": threads,
    }


def objective(task: Task, link: targets.Link | None = None) -> dict[str, Any]:
    """What is minimised."""
    if task.problem == "multiclass":
        return {"objective": "multiclass", "num_class": task.outputs}
    if task.problem == "binary":
        return {"objective": "binary"}
    if link is not None:
        return {"objective": link.family}
    share = targets.quantile(task)
    if share is not None and not targets.is_absolute(task):
        return {"objective": "quantile", "alpha": share}
    return {"objective": "l2" if share is None else "l1"}


def predict(model: Model, X: pd.DataFrame, *, task: Task, stage: float | None = None) -> Floats:
    """Probabilities or values, shape (rows, outputs)."""
    rounds = model.rounds if stage is None else min(int(stage), model.rounds)
    matrix, _ = boosting.matrix(X)
    return _finished(model, _raw(model, matrix, 0, rounds), task)


def predict_stages(model: Model, X: pd.DataFrame, *, task: Task, stages: list[float]) -> Floats:
    """Predictions at rising stages, shape (stages, rows, outputs), each tree evaluated once."""
    matrix, _ = boosting.matrix(X)
    raw = np.zeros((len(matrix), task.outputs))
    found, done = [], 0
    for stage in stages:
        rounds = min(int(stage), model.rounds)
        if rounds > done:
            raw = raw + _raw(model, matrix, done, rounds - done)
            done = rounds
        found.append(_finished(model, raw, task))
    return np.stack(found)


def _raw(model: Model, matrix: Any, start: int, rounds: int) -> Floats:
    if model.booster is None:
        return boosting.repeat(model.prior, len(matrix), start)
    raw = model.booster.predict(
        matrix, raw_score=True, start_iteration=start, num_iteration=rounds, num_threads=1
    )
    return np.asarray(raw, dtype=np.float64).reshape(len(matrix), -1)


def _finished(model: Model, raw: Floats, task: Task) -> Floats:
    if model.link is not None:
        return model.link.backward(raw)
    if task.problem == "regression":
        return targets.backward(raw, model.log_target)
    return boosting.probabilities(raw)


def importances(model: Model, state: table.Table) -> dict[str, float]:
    """Total gain by feature."""
    if model.booster is None:
        return {}
    gains = model.booster.feature_importance("gain")
    return {name: float(gain) for name, gain in zip(state.names, gains, strict=True)}
