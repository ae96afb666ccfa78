"""What all boosters share: stages, arrays from feature frames, and probabilities from raw scores."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit, softmax

from . import targets
from .columns import Floats, Task

# Shares of all rounds at which training could have been stopped.
STAGE_SHARES = (0.08, 0.12, 0.18, 0.26, 0.38, 0.54, 0.75, 1.0)

# Columns that a tree gets to see at least.
TREE_COLUMNS_MIN = 10


def stages(rounds: int) -> list[float]:
    """Numbers of rounds, rising, the last being all of them."""
    return [float(n) for n in sorted({max(1, round(rounds * share)) for share in STAGE_SHARES})]


def rounds(params: Mapping[str, Any], stage: float | None, space: Mapping[str, Mapping[str, Any]]) -> int:
    """How many rounds to train."""
    return max(1, int(params.get("rounds", space["rounds"]["default"]) if stage is None else stage))


def column_share(params: Mapping[str, Any], space: Mapping[str, Mapping[str, Any]], count: int) -> float:
    """Share of the columns that a tree or a split looks at; of few columns nearly all."""
    share = float(params.get("columns_share", space["columns_share"]["default"]))
    return min(1.0, max(share, TREE_COLUMNS_MIN / max(count, 1)))


def matrix(frame: pd.DataFrame) -> tuple[NDArray[np.float32], list[int]]:
    """Numbers for a booster, and which columns are native categories (as codes)."""
    native = [j for j, dtype in enumerate(frame.dtypes) if isinstance(dtype, pd.CategoricalDtype)]
    if not native:
        return frame.to_numpy(dtype=np.float32, copy=False), native
    result = np.empty(frame.shape, dtype=np.float32)
    plain = [j for j in range(frame.shape[1]) if j not in set(native)]
    result[:, plain] = frame.iloc[:, plain].to_numpy(dtype=np.float32, copy=False)
    for j in native:
        result[:, j] = frame.iloc[:, j].cat.codes.to_numpy()
    return result, native


def prior(block: Any, y: Floats, task: Task, weight: Floats | None = None) -> Floats | None:
    """Raw scores, shape (outputs,), when nothing can be learnt: no column varies, or the target does not.

    `block` is a feature frame or a dense array; `y` is on the scale it is learnt on; `weight` is the rows'.
    """
    first = block.iloc[:1].to_numpy() if isinstance(block, pd.DataFrame) else block[:1]
    values = block.to_numpy() if isinstance(block, pd.DataFrame) else block
    same = (values == first) | (pd.isna(values) & pd.isna(first))
    if block.shape[1] > 0 and not same.all() and (y != y[0]).any():
        return None
    if task.problem == "regression":
        return np.array([targets.centre(task, y, weight)])
    counts = np.bincount(y.astype(np.int64), minlength=max(2, task.outputs)) + 0.5
    shares = np.log(counts / counts.sum())
    return np.asarray(shares if task.problem == "multiclass" else shares[1:2] - shares[0:1], dtype=np.float64)


def repeat(prior: Floats | None, rows: int, start: int) -> Floats:
    """Raw scores of `rows` rows from the prior; nothing is added after the first round."""
    if prior is None or start > 0:
        return np.zeros((rows, 1 if prior is None else len(prior)))
    return np.tile(prior, (rows, 1))


def probabilities(raw: Floats) -> Floats:
    """Of class 1 from one column of log-odds, of each class from several."""
    if raw.shape[1] == 1:
        return np.asarray(expit(raw), dtype=np.float64)
    return np.asarray(softmax(raw, axis=1), dtype=np.float64)
