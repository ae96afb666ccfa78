"""Tasks that need no download: data sets that come with scikit-learn, and generated ones.

A task is a frame (numbers as float64, categories as pandas Categorical), targets and a problem type. Generated ones
differ in what makes tables differ: rows, useless columns, categories, missing cells, interactions, noise, balance.
"""

import dataclasses
import pathlib

import numpy as np
import pandas as pd
from sklearn import datasets

ROWS_MAX = 1200


@dataclasses.dataclass(frozen=True)
class Data:
    """One task."""

    name: str
    frame: pd.DataFrame
    y: np.ndarray
    problem: str

    @property
    def classes(self) -> int:
        """How many classes; 0 for regression."""
        return 0 if self.problem == "regression" else int(self.y.max()) + 1


def _data(name: str, x: np.ndarray, y: np.ndarray, problem: str) -> Data:
    frame = pd.DataFrame(np.asarray(x, dtype=np.float64), columns=[f"x{j}" for j in range(x.shape[1])])
    return _thinned(Data(name, frame, np.asarray(y, dtype=np.float64), problem))


def _thinned(data: Data) -> Data:
    if len(data.y) <= ROWS_MAX:
        return data
    rows = np.sort(np.random.default_rng(0).choice(len(data.y), ROWS_MAX, replace=False))
    return dataclasses.replace(data, frame=data.frame.iloc[rows].reset_index(drop=True), y=data.y[rows])


def _with_categories(data: Data, columns: int, levels: int) -> Data:
    """Some numeric columns become categories: their order is hidden behind shuffled names."""
    chance = np.random.default_rng(levels)
    frame = data.frame.copy()
    for name in list(frame.columns)[:columns]:
        codes = pd.qcut(frame[name].rank(method="first"), levels, labels=False).to_numpy()
        names = chance.permutation([f"v{level}" for level in range(levels)])
        frame[name] = pd.Categorical(names[codes])
    return dataclasses.replace(data, name=f"{data.name}-categories", frame=frame)


def _with_holes(data: Data, share: float) -> Data:
    chance = np.random.default_rng(7)
    frame = data.frame.copy()
    for name in frame.columns:
        frame.loc[chance.random(len(frame)) < share, name] = np.nan
    return dataclasses.replace(data, name=f"{data.name}-holes", frame=frame)


def bundled() -> list[Data]:
    """What comes with scikit-learn."""
    found = []
    for name, problem in (("breast_cancer", "binary"), ("wine", "multiclass"), ("digits", "multiclass"), ("diabetes", "regression")):
        x, y = getattr(datasets, f"load_{name}")(return_X_y=True)
        found.append(_data(name, x, y, problem))
    return found


def generated() -> list[Data]:
    """What scikit-learn generates, in shapes that real tables have."""
    mixed = datasets.make_classification(1200, 20, n_informative=6, n_redundant=4, flip_y=0.1, random_state=1)
    rare = datasets.make_classification(1200, 12, n_informative=5, weights=[0.92], flip_y=0.03, class_sep=0.7, random_state=2)
    several = datasets.make_classification(1000, 15, n_informative=8, n_classes=4, flip_y=0.05, random_state=3)
    wide = datasets.make_classification(400, 80, n_informative=8, n_redundant=20, flip_y=0.1, random_state=4)
    hastie_x, hastie_y = datasets.make_hastie_10_2(1200, random_state=5)
    line = datasets.make_regression(600, 30, n_informative=8, noise=40.0, random_state=6)
    friedman1 = datasets.make_friedman1(1000, 12, noise=1.5, random_state=7)
    friedman2 = datasets.make_friedman2(1000, noise=80.0, random_state=8)
    friedman3 = datasets.make_friedman3(1000, noise=0.25, random_state=9)
    sparse = datasets.make_sparse_uncorrelated(700, 20, random_state=10)
    plain = [
        _data("mixed", *mixed, "binary"),
        _data("rare", *rare, "binary"),
        _data("several", *several, "multiclass"),
        _data("wide", *wide, "binary"),
        _data("hastie", hastie_x, (hastie_y > 0).astype(float), "binary"),
        _data("line", *line, "regression"),
        _data("friedman1", *friedman1, "regression"),
        _data("friedman2", *friedman2, "regression"),
        _data("friedman3", *friedman3, "regression"),
        _data("sparse", *sparse, "regression"),
    ]
    by_name = {data.name: data for data in plain}
    return [
        *plain,
        _with_categories(by_name["mixed"], 8, 12),
        _with_categories(by_name["friedman1"], 5, 8),
        _with_holes(by_name["hastie"], 0.15),
        _with_holes(by_name["friedman2"], 0.1),
    ]


def files(folder: pathlib.Path) -> list[Data]:
    """Folders with train.csv and grading.json, for trying the same on tables of one's own."""
    import json

    found = []
    for grading in sorted(folder.glob("*/grading.json")):
        record = json.loads(grading.read_text())
        source = grading.parent / "train.csv"
        if not source.exists():
            continue
        frame = pd.read_csv(source).drop(columns=[record["id"]], errors="ignore")
        target = frame.pop(record["target"])
        words = [name for name in frame.columns if not pd.api.types.is_numeric_dtype(frame[name])]
        if "series" in record or any(frame[name].astype(str).str.len().mean() > 60 for name in words):
            continue
        regression = record["metric"] in ("rmse", "rmsle", "mae", "r2")
        y = np.log1p(target) if record["metric"] == "rmsle" else target
        y = np.asarray(y if regression else pd.factorize(target, sort=True)[0], dtype=np.float64)
        problem = "regression" if regression else ("binary" if y.max() == 1 else "multiclass")
        for name in frame.columns:
            column = frame[name]
            frame[name] = pd.Categorical(column.astype(object)) if name in words else column.astype(np.float64)
        found.append(_thinned(Data(grading.parent.name, frame, y, problem)))
    return found
