"""A kept model: what a trained solution needs to predict again, as one file.

The file is a pickle, hence code: it is loaded in a cell and never by the host.
"""

from __future__ import annotations

import importlib.metadata
import pickle
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ansatz_worker import solution as solutions
from ansatz_worker.errors import ContractError
from ansatz_worker.solution import TaskView

FILE = "model.bin"
FORMAT = 1
PACKAGES = ("numpy", "pandas", "scikit-learn", "lightgbm", "catboost", "xgboost-cpu")


@dataclass(frozen=True)
class Kept:
    """A solution by its record, its parameters, the state of its features, and its trained model."""

    solution: dict[str, Any]
    params: dict[str, Any]
    state: Any
    model: Any
    stage: float | None

    def save(self, path: Path) -> None:
        """Writes the model. The learnt parts are pickled apart, so that source code can be loaded before
        them.
        """
        learnt = pickle.dumps((self.state, self.model), protocol=5)
        head = {"format": FORMAT, "solution": self.solution, "params": self.params, "stage": self.stage}
        with path.open("wb") as file:
            pickle.dump({**head, "versions": versions(), "learnt": learnt}, file, protocol=5)

    def predict(self, rows: pd.DataFrame, task: TaskView, stage: float | None) -> NDArray[np.float64]:
        """Predictions (rows, outputs) for a frame of the columns that the model was trained with."""
        from ansatz_worker.harness import checked

        module = solutions.load(self.solution).module
        X = module.features(self.state, rows, task=task)
        return checked(module.predict(self.model, X, task=task, stage=stage), task, len(rows))


def load(path: Path) -> Kept:
    """The model of a file, which may run code; raises `ContractError` when the file is not one of ours."""
    with path.open("rb") as file:
        record = pickle.load(file)
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise ContractError(f"{path.name} is not a model of format {FORMAT}")
    solutions.load(record["solution"])
    state, model = pickle.loads(record["learnt"])
    return Kept(record["solution"], record["params"], state, model, record["stage"])


def versions() -> dict[str, str]:
    """Versions of Python and of the libraries that models are made of."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
