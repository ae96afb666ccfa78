"""A script as a solution: free-form code that reads files and writes predictions, behind the contract.

A script has no model that could be kept: what is kept is its text with the rows that it may learn from, and
predicting is running it again. So it costs a training wherever it predicts, and may look at all rows to
predict together.
"""

from __future__ import annotations

import contextlib
import io
import json
import linecache
import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ansatz_worker.errors import ContractError
from ansatz_worker.solution import TaskView

MARK = "# ansatz: script"
"""First line of a source text that is a script."""
TRAIN, ROWS, TASK, PREDICTIONS = "train.csv", "rows.csv", "task.json", "predictions.csv"
FILE = "main.py"


def is_script(code: str) -> bool:
    """Whether source text is a script rather than a module of the contract."""
    return code.lstrip().startswith(MARK)


@dataclass(frozen=True)
class Script:
    """A script with what it learns from; the model of a script."""

    code: str
    train: pd.DataFrame
    y: NDArray[np.float64]
    seed: int
    threads: int

    def run(self, rows: pd.DataFrame, task: TaskView) -> NDArray[np.float64]:
        """Predictions (rows, outputs) for some rows; raises `ContractError` when the script gives none."""
        with tempfile.TemporaryDirectory() as folder, inside(Path(folder)):
            target = free_name("target", [str(name) for name in self.train.columns])
            self.train.assign(**{target: self.y}).to_csv(TRAIN, index=False)
            rows.to_csv(ROWS, index=False)
            Path(TASK).write_text(json.dumps(self.told(task, target)))
            execute(self.code)
            return read(Path(PREDICTIONS))

    def told(self, task: TaskView, target: str) -> dict[str, Any]:
        """What `task.json` holds."""
        fields = ("problem", "metric", "outputs", "classes", "higher_is_better")
        columns = {kind: list(names) for kind, names in task.columns.items()}
        asked = {field: getattr(task, field) for field in fields}
        return {**asked, "target": target, "columns": columns, "seed": self.seed, "threads": self.threads}


def module(name: str, code: str) -> ModuleType:
    """A module of the contract that runs the script."""
    made = ModuleType(name)

    def fit_features(train: pd.DataFrame, _y: Any, **_: Any) -> tuple[None, pd.DataFrame]:
        return None, train

    def features(_state: None, rows: pd.DataFrame, **_: Any) -> pd.DataFrame:
        return rows

    def fit(X: pd.DataFrame, y: NDArray[np.float64], *, seed: int, threads: int, **_: Any) -> Script:
        return Script(code, X, y, seed, threads)

    def predict(model: Script, X: pd.DataFrame, *, task: TaskView, **_: Any) -> NDArray[np.float64]:
        return model.run(X, task)

    functions = {"fit_features": fit_features, "features": features, "fit": fit, "predict": predict}
    made.__dict__.update({"SPACE": {}, **functions})
    return made


def free_name(wanted: str, taken: list[str]) -> str:
    """The name, with underscores behind it until it is new."""
    while wanted in taken:
        wanted += "_"
    return wanted


@contextlib.contextmanager
def inside(folder: Path) -> Iterator[None]:
    """Works in a folder, with arguments of a program that was started there."""
    before, arguments = os.getcwd(), sys.argv
    os.chdir(folder)
    sys.argv = [FILE]
    try:
        yield
    finally:
        sys.argv = arguments
        os.chdir(before)


def execute(code: str) -> None:
    """Runs the script as a program; raises what it raises, and `ContractError` when its end is a failure."""
    linecache.cache[FILE] = (len(code), None, code.splitlines(keepends=True), FILE)
    try:
        exec(compile(code, FILE, "exec"), {"__name__": "__main__", "__file__": FILE})
    except SystemExit as end:
        if end.code not in (None, 0):
            raise ContractError(f"the script ended with {end.code!r}") from end


def read(path: Path) -> NDArray[np.float64]:
    """Predictions of a file, one row per line; a line of names at its head is passed over."""
    if not path.is_file():
        raise ContractError(f"the script wrote no {path.name}")
    lines = path.read_text().splitlines()
    if lines and not is_numbers(lines[0]):
        del lines[0]
    try:
        return np.loadtxt(io.StringIO("\n".join(lines)), delimiter=",", ndmin=2, dtype=np.float64)
    except ValueError as error:
        raise ContractError(f"{path.name} holds something that is no number: {error}") from error


def is_numbers(line: str) -> bool:
    """Whether all fields of a line are numbers."""
    try:
        _ = [float(field) for field in line.split(",")]
    except ValueError:
        return False
    return True
