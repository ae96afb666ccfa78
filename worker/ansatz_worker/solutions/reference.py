"""The baseline: LightGBM with default parameters and the plainest preparation.

Text columns become categories (unseen and missing are missing), moments become year, month, day, weekday,
hour and day number; the target is taken as log(1 + y) for metrics that compare logarithms or ratios. 100
rounds, nothing to tune.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
from numpy.typing import NDArray

Floats = NDArray[np.float64]

SPACE: dict[str, dict[str, Any]] = {}
BATCH = False
ROUNDS = 100
LOG_METRICS = ("rmsle", "smape")
PARTS = ("year", "month", "day", "day_of_week", "hour")
DAY_ZERO = np.datetime64("1990-01-01", "s")


@dataclass(frozen=True)
class State:
    """Column names in order, those that hold moments, and the levels of each text column in the training
    rows.
    """

    columns: list[str]
    moments: frozenset[str]
    levels: dict[str, list[str]]


@dataclass(frozen=True)
class Model:
    """A trained booster; whether it was trained on log(1 + y)."""

    booster: Any
    log: bool


def fit_features(
    train: pd.DataFrame, y: Floats, *, task: Any, params: Mapping[str, Any], seed: int
) -> tuple[State, pd.DataFrame]:
    """Remembers the levels of the training rows."""
    moments = frozenset(str(name) for name in train.select_dtypes("datetime").columns)
    levels = {
        str(name): sorted(str(value) for value in column.dropna().unique())
        for name, column in train.items()
        if not pd.api.types.is_numeric_dtype(column) and name not in moments
    }
    state = State([str(name) for name in train.columns], moments, levels)
    return state, features(state, train, task=task)


def features(state: State, rows: pd.DataFrame, *, task: Any) -> pd.DataFrame:
    """The columns as LightGBM reads them, under names that it accepts."""
    parts = [part for name in ordered(state) for part in _column(rows[name], state.levels.get(name))]
    return pd.DataFrame({f"c{i}": part for i, part in enumerate(parts)}, index=rows.index)


def ordered(state: State) -> list[str]:
    """The columns, those that become several parts last."""
    return sorted(state.columns, key=lambda name: name in state.moments)


def _column(column: pd.Series[Any], levels: list[str] | None) -> list[Any]:
    if levels is not None:
        categories = pd.Index(levels, dtype=object)
        if isinstance(column.dtype, pd.CategoricalDtype):
            return [column.cat.set_categories(categories)]
        return [pd.Categorical.from_codes(categories.get_indexer(column), categories=categories)]
    if pd.api.types.is_datetime64_any_dtype(column):
        days = (column - DAY_ZERO).dt.total_seconds() / 86400
        return [getattr(column.dt, part).astype(float) for part in PARTS] + [days]
    return [column]


def fit(
    X: pd.DataFrame,
    y: Floats,
    *,
    task: Any,
    params: Mapping[str, Any],
    seed: int,
    threads: int,
    weight: Floats | None = None,
    stage: float | None = None,
    report: Callable[[float, float], None] | None = None,
) -> Model:
    """Default parameters but for seed, threads and determinism."""
    log = task.problem == "regression" and task.metric in LOG_METRICS
    label = np.log1p(np.maximum(y, 0)) if log else y
    options = {
        **objective(task),
        "seed": seed,
        "num_threads": threads,
        "deterministic": True,
        "verbosity": -1,
    }
    table = lightgbm.Dataset(X, label, weight=weight, params={"verbosity": -1})
    return Model(lightgbm.train(options, table, num_boost_round=ROUNDS), log)


def objective(task: Any) -> dict[str, Any]:
    """LightGBM's default objective for the problem."""
    if task.problem == "multiclass":
        return {"objective": "multiclass", "num_class": task.outputs}
    return {"objective": "binary" if task.problem == "binary" else "regression"}


def predict(model: Model, X: pd.DataFrame, *, task: Any, stage: float | None = None) -> Floats:
    """Probabilities or values, shape (rows, outputs)."""
    raw = np.asarray(model.booster.predict(X), dtype=np.float64)
    if model.log:
        raw = np.maximum(np.expm1(raw), 0.0)
    return raw.reshape(len(X), task.outputs)


def importances(model: Model, state: State) -> dict[str, float]:
    """Share of the gain of each column, its parts together."""
    owners = [name for name in ordered(state) for _ in range(len(PARTS) + 1 if name in state.moments else 1)]
    gains = model.booster.feature_importance("gain")
    total = float(gains.sum()) or 1.0
    shares = dict.fromkeys(state.columns, 0.0)
    for name, gain in zip(owners, gains, strict=True):
        shares[name] += float(gain) / total
    return shares
