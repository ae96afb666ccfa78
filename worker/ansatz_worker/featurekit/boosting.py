"""What all boosters share: stages, arrays from feature frames, and probabilities from raw scores."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit, softmax

from .columns import Floats

# Shares of all rounds at which training could have been stopped.
STAGE_SHARES = (0.08, 0.12, 0.18, 0.26, 0.38, 0.54, 0.75, 1.0)


def stages(rounds: int) -> list[float]:
    """Numbers of rounds, rising, the last being all of them."""
    return [float(n) for n in sorted({max(1, round(rounds * share)) for share in STAGE_SHARES})]


def rounds(params: Mapping[str, Any], stage: float | None, space: Mapping[str, Mapping[str, Any]]) -> int:
    """How many rounds to train."""
    return max(1, int(params.get("rounds", space["rounds"]["default"]) if stage is None else stage))


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


def probabilities(raw: Floats) -> Floats:
    """Of class 1 from one column of log-odds, of each class from several."""
    if raw.shape[1] == 1:
        return np.asarray(expit(raw), dtype=np.float64)
    return np.asarray(softmax(raw, axis=1), dtype=np.float64)
