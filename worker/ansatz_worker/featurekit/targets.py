"""Which scale a real target is learnt on, by which loss, and the way back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .columns import Floats, Task

LOG_METRICS = frozenset({"rmsle", "msle", "smape", "mean_squared_log_error", "root_mean_squared_log_error"})
# Metrics that divide an error by the size of the value.
SHARE_METRICS = frozenset({"mape", "mean_absolute_percentage_error"})
# The same of squared errors.
SQUARED_SHARE_METRICS = frozenset({"rmspe"})
ABSOLUTE_METRICS = frozenset(
    {
        "mae",
        "mean_absolute_error",
        "median_absolute_error",
        "d2_absolute_error_score",
        "mean_pinball_loss",
        "pinball_50",
        "wape",
        "smape",
        *SHARE_METRICS,
    }
)
# Metrics that want a quantile begin so; its hundredths follow.
QUANTILE_METRICS = "pinball_"
# Deviances, and the distribution that each belongs to.
DEVIANCES = {
    "mean_poisson_deviance": "poisson",
    "mean_gamma_deviance": "gamma",
    "mean_tweedie_deviance": "tweedie",
}
# Values more skewed than this are learnt as logarithms where a median is wanted: it stays the median.
SKEW_MAX = 2.0
# A value weighs no more than one over this share of what one of the median size does.
WEIGHT_SHARE_MIN = 1e-3
# Logarithms of predicted means reach from here, relative to the mean of the training rows …
LINK_LOW = -12.0
# … to this many times the largest value.
LINK_REACH = 2.0


def uses_log(task: Task, params: Mapping[str, Any], y: Floats, absolute: bool = False) -> bool:
    """Whether log(1 + y) is learnt: by `params["target"]`, or for metrics that compare logarithms, or where a
    median of skewed values is wanted.

    `absolute` says that the learner minimises absolute errors itself, and by the weights of rows shares of
    values; one that cannot learns these as differences of logarithms.
    """
    lowest = float(np.min(y))
    if task.problem != "regression" or lowest <= -1:
        return False
    wish = params.get("target", "auto")
    if wish != "auto":
        return bool(wish == "log")
    if weighs(task):
        return not absolute
    if task.metric in LOG_METRICS:
        return True
    return is_absolute(task) and lowest >= 0 and skewness(y) > SKEW_MAX


def is_absolute(task: Task) -> bool:
    """Whether the metric wants the median rather than the mean."""
    return task.metric in ABSOLUTE_METRICS


def quantile(task: Task) -> float | None:
    """Which quantile the metric wants, as a share of the rows; `None` where it wants the mean."""
    if is_absolute(task):
        return 0.5
    percent = task.metric.removeprefix(QUANTILE_METRICS)
    if percent == task.metric or not percent.isdecimal() or not 0 < int(percent) < 100:
        return None
    return int(percent) / 100


def skewness(y: Floats) -> float:
    """Third standardised moment; 0 without spread."""
    centred = y - y.mean()
    spread = float(np.mean(centred**2))
    return float(np.mean(centred**3) / spread**1.5) if spread > 0 else 0.0


def weighs(task: Task) -> bool:
    """Whether rows get weights of their own: where the metric compares shares of values."""
    return task.problem == "regression" and task.metric in SHARE_METRICS | SQUARED_SHARE_METRICS


def weights(task: Task, y: Floats, given: Floats | None) -> Floats | None:
    """Weights of the training rows for a learner of absolute or squared errors: those that are given, times
    one over the size of the value, or over its square, where the metric compares shares of it.
    """
    if not weighs(task):
        return given
    sizes = np.abs(y)
    sizes = sizes / float(np.median(sizes[sizes > 0])) if (sizes > 0).any() else np.ones(len(y))
    power = 2 if task.metric in SQUARED_SHARE_METRICS else 1
    found = 1.0 / np.maximum(sizes**power, WEIGHT_SHARE_MIN)
    found = found if given is None else found * given
    return np.asarray(found / found.mean(), dtype=np.float64)


def centre(task: Task, y: Floats, weight: Floats | None) -> float:
    """The one value that the metric likes best for all rows: their mean or a quantile."""
    share = quantile(task)
    return float(np.average(y, weights=weight)) if share is None else middle(y, weight, share)


def middle(y: Floats, weight: Floats | None, share: float = 0.5) -> float:
    """The median or another quantile; by weights, the value that has this share of the weight below it."""
    if weight is None:
        return float(np.quantile(y, share))
    order = np.argsort(y, kind="stable")
    below = np.cumsum(weight[order])
    return float(y[order][np.searchsorted(below, share * below[-1])])


def forward(y: Floats, log: bool) -> Floats:
    """The target on the scale it is learnt on."""
    return np.log1p(y) if log else y


def backward(values: Floats, log: bool) -> Floats:
    """Predictions on the scale of the target; from a log scale never negative, and never infinite."""
    if not log:
        return values
    return np.maximum(np.expm1(np.minimum(values, 700.0)), 0.0)


@dataclass(frozen=True)
class Link:
    """A mean that is learnt by its logarithm, as deviances want it, relative to the mean of all rows."""

    family: str
    unit: float
    high: float

    @staticmethod
    def of(task: Task, params: Mapping[str, Any], y: Floats) -> Link | None:
        """The link that the metric wants; `None` where it wants none or the values do not allow it."""
        family = DEVIANCES.get(task.metric) if task.problem == "regression" else None
        lowest, highest = float(np.min(y)), float(np.max(y))
        if family is None or params.get("target", "auto") == "log" or lowest < 0 or highest <= 0:
            return None
        if family == "gamma" and lowest == 0:
            return None
        unit = float(np.mean(y))
        return Link(family, unit, float(np.log(LINK_REACH * highest / unit)))

    def forward(self, y: Floats) -> Floats:
        """The target as it is learnt: with the mean 1."""
        return y / self.unit

    def backward(self, raw: Floats) -> Floats:
        """Means from raw scores."""
        return np.asarray(self.unit * np.exp(np.clip(raw, LINK_LOW, self.high)), dtype=np.float64)
