"""Which scale a real target is learnt on, and the way back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .columns import Floats, Task

LOG_METRICS = frozenset(
    {
        "rmsle",
        "msle",
        "smape",
        "mape",
        "mean_squared_log_error",
        "root_mean_squared_log_error",
        "mean_absolute_percentage_error",
    }
)
ABSOLUTE_METRICS = frozenset(
    {"mae", "mean_absolute_error", "median_absolute_error", "smape", "mape", "mean_absolute_percentage_error"}
)


def uses_log(task: Task, params: Mapping[str, Any], lowest: float) -> bool:
    """Whether log(1 + y) is learnt: by `params["target"]`, or for metrics that compare logarithms."""
    if task.problem != "regression" or lowest <= -1:
        return False
    wish = params.get("target", "auto")
    return wish == "log" or (wish == "auto" and task.metric in LOG_METRICS)


def is_absolute(task: Task) -> bool:
    """Whether the metric wants the median rather than the mean."""
    return task.metric in ABSOLUTE_METRICS


def forward(y: Floats, log: bool) -> Floats:
    """The target on the scale it is learnt on."""
    return np.log1p(y) if log else y


def backward(values: Floats, log: bool) -> Floats:
    """Predictions on the scale of the target; from a log scale never negative, and never infinite."""
    if not log:
        return values
    return np.maximum(np.expm1(np.minimum(values, 700.0)), 0.0)
