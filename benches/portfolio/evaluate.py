"""Measures many configurations of the playbook's solutions on tasks that need no download.

usage: PYTHONPATH=worker python benches/portfolio/evaluate.py --out FILE [--solutions A,B] [--configurations N] [--data FOLDER]

Each line of FILE is one (task, solution, configuration) with its loss: log loss for classes, root mean squared error
for numbers, on two of three folds, at the best stage, as a run would choose it. Every task of a solution gets the same
configurations: the declared default first, then random ones of the declared space. Lines that are there already are
not measured again, so an interrupted measurement goes on. `portfolio.py` makes the shipped portfolio of it.
"""

import argparse
import importlib
import json
import pathlib
import time
import warnings

import numpy as np
import tasks
from ansatz_worker.solution import TaskView

FOLDS, FOLDS_USED = 3, 2
KINDS = {"numeric": lambda dtype: dtype.kind == "f", "categorical": lambda dtype: dtype.kind == "O"}


def view(data: tasks.Data) -> TaskView:
    """What a solution may know of a task."""
    columns = {kind: tuple(n for n in data.frame.columns if fits(data.frame[n].dtype)) for kind, fits in KINDS.items()}
    metric = "rmse" if data.problem == "regression" else "logloss"
    return TaskView(
        problem=data.problem,
        metric=metric,
        outputs=data.classes if data.problem == "multiclass" else 1,
        classes=data.classes,
        higher_is_better=False,
        columns={**columns, "datetime": (), "text": ()},
    )


def configurations(space: dict, count: int) -> list[dict]:
    """The default, then random points; the same in every process."""
    chance = np.random.default_rng(2024)

    def value(dimension: dict) -> object:
        if dimension["type"] == "categorical":
            return dimension["values"][int(chance.integers(len(dimension["values"])))]
        low, high = float(dimension["low"]), float(dimension["high"])
        at = chance.random()
        found = low * (high / low) ** at if dimension.get("log") else low + at * (high - low)
        return int(round(found)) if dimension["type"] == "int" else float(f"{found:.3g}")

    default = {name: dimension["default"] for name, dimension in space.items()}
    return [default] + [{name: value(dimension) for name, dimension in space.items()} for _ in range(count)]


def loss(y: np.ndarray, predicted: np.ndarray, problem: str) -> float:
    """Log loss or root mean squared error."""
    if problem == "regression":
        return float(np.sqrt(np.mean((predicted.reshape(len(y), -1)[:, 0] - y) ** 2)))
    shares = predicted.reshape(len(y), -1)
    if shares.shape[1] == 1:
        shares = np.column_stack([1.0 - shares[:, 0], shares[:, 0]])
    shares = np.clip(shares, 1e-7, None)
    shares /= shares.sum(axis=1, keepdims=True)
    return float(-np.mean(np.log(shares[np.arange(len(y)), y.astype(int)])))


def measured(module: object, data: tasks.Data, params: dict) -> float:
    """The loss of one configuration."""
    task = view(data)
    fold = np.random.default_rng(1).permutation(np.arange(len(data.y)) % FOLDS)
    by_stage = []
    for held in range(FOLDS_USED):
        train, rest = data.frame[fold != held].reset_index(drop=True), data.frame[fold == held].reset_index(drop=True)
        y = data.y[fold != held]
        state, x = module.fit_features(train, y, task=task, params=params, seed=1)
        model = module.fit(x, y, task=task, params=params, seed=1, threads=1)
        rows = module.features(state, rest, task=task)
        if hasattr(module, "stages"):
            stages = module.stages(params)
            found = module.predict_stages(model, rows, task=task, stages=stages)
        else:
            found = module.predict(model, rows, task=task)[None]
        by_stage.append([loss(data.y[fold == held], one, data.problem) for one in found])
    return float(np.min(np.mean(by_stage, axis=0)))


def main() -> None:
    """Measures what is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--solutions", default="lightgbm,linear,extra_trees,catboost,neural")
    parser.add_argument("--configurations", type=int, default=40)
    parser.add_argument("--data", type=pathlib.Path, help="a folder of task folders, in place of the built-in tasks")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    done = set()
    if args.out.exists():
        for line in args.out.read_text().splitlines():
            record = json.loads(line)
            done.add((record["task"], record["solution"], record["number"]))
    found = tasks.files(args.data) if args.data else [*tasks.bundled(), *tasks.generated()]
    with args.out.open("a") as out:
        for solution in args.solutions.split(","):
            module = importlib.import_module(f"ansatz_worker.solutions.{solution}")
            wanted = configurations(module.SPACE, args.configurations)
            for data in found:
                for number, params in enumerate(wanted):
                    if (data.name, solution, number) in done:
                        continue
                    start = time.perf_counter()
                    record = {"task": data.name, "problem": data.problem, "rows": len(data.y), "solution": solution, "number": number, "params": params}
                    record["loss"] = measured(module, data, params)
                    record["seconds"] = round(time.perf_counter() - start, 3)
                    out.write(json.dumps(record) + "\n")
                    out.flush()


if __name__ == "__main__":
    main()
