"""Runs a solution for one order: features, fit, predictions at every stage, checks, the kept model.

It is the only caller of solution code. It scores nothing and never sees a target but the one it is given.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from ansatz_worker import frame as frames
from ansatz_worker import model as models
from ansatz_worker import npy
from ansatz_worker import solution as solutions
from ansatz_worker.errors import ContractError, OrderError
from ansatz_worker.solution import Solution, TaskView

Array = npy.Array

IMPORTANCES_MAX = 300
"""Columns whose importance is told; more would not fit a message."""

JOINED = "joined"
"""The parameter of every solution that says whether it gets further tables' columns; it does by default."""

CHECKED_ROWS = 20
"""Rows on which features are compared one by one with the batch."""


class Report(Protocol):
    """Hears of a training: steps that are done, its loss if that is known, how many steps there will be."""

    def __call__(self, step: float, value: float | None = None, of: float | None = None) -> None:
        """Never waits for the host, but where the loss is not finite."""


@dataclass(frozen=True)
class Bench:
    """What a trial works on: the frame of all rows, its columns, the sealed arrays, and who hears of
    progress.
    """

    frame: pd.DataFrame
    columns: list[frames.TableColumn]
    sealed: dict[str, Array]
    report: Report

    def array(self, name: str) -> Array:
        """A sealed array; raises `OrderError` when the order did not bring it."""
        try:
            return self.sealed[name]
        except KeyError:
            raise OrderError(f"the order lacks the sealed array `{name}`") from None


@dataclass
class Stopwatch:
    """Wall seconds by part of a trial."""

    seconds: dict[str, float] = field(default_factory=dict)

    def time(self, part: str, work: Callable[[], Any]) -> Any:
        """The result of `work`, whose time is added to `part`."""
        start = time.perf_counter()
        result = work()
        self.seconds[part] = round(self.seconds.get(part, 0.0) + time.perf_counter() - start, 6)
        return result


@dataclass(frozen=True)
class Job:
    """The fields that every order with a solution and rows shares."""

    solution: Solution
    task: TaskView
    params: dict[str, Any]
    seed: int
    threads: int
    stage: float | None
    drop: frozenset[str]
    out: Path

    @classmethod
    def parse(cls, order: dict[str, Any], bench: Bench) -> Job:
        """The job of an order; raises `OrderError` when a field is missing or malformed."""
        params = dict(order.get("params") or {})
        drop = dropped(order.get("drop"), params, bench.columns)
        try:
            seed, threads = int(order["seed"]), int(order["threads"])
            stage, out = order.get("stage"), Path(order["out"])
            stage = None if stage in (None, 0) else float(stage)
        except (KeyError, TypeError, ValueError) as error:
            raise OrderError(f"the order is incomplete: {error!r}") from error
        if not 1 <= threads <= 1024:
            raise OrderError(f"{threads} threads")
        device = str(order.get("device") or "cpu")
        task = TaskView.parse(order.get("task") or {}, kinds(bench.columns, drop), device)
        return cls(solutions.load(order.get("solution")), task, params, seed, threads, stage, drop, out)

    def rows(self, bench: Bench, rows: Array) -> pd.DataFrame:
        """The rows of the table without the dropped columns."""
        return frames.take(bench.frame.drop(columns=list(self.drop), errors="ignore"), rows)


def dropped(names: Any, params: dict[str, Any], columns: list[frames.TableColumn]) -> frozenset[str]:
    """The columns that a solution does not get: those named, and those of further tables where its parameters
    say so.
    """
    found = {str(name) for name in names or []}
    if params.get(JOINED) is False:
        found |= {column.name for column in columns if column.joined}
    return frozenset(found)


def kinds(columns: list[frames.TableColumn], drop: frozenset[str]) -> dict[str, tuple[str, ...]]:
    """Names of the columns that are left, by kind."""
    return {
        kind: tuple(column.name for column in columns if column.kind == kind and column.name not in drop)
        for kind in frames.KINDS
    }


def run(order: dict[str, Any], bench: Bench) -> dict[str, Any]:
    """The `done` event of an order; raises what the solution raises, `ContractError` or `OrderError`."""
    match order.get("order"):
        case "fit":
            return fit(order, bench)
        case "check":
            return check(order, bench)
        case "predict":
            return predict(order, bench)
        case "space":
            solution = solutions.load(order.get("solution"))
            told = solutions.space(solution, space_task(order, bench))
            return {"event": "done", "space": told, "batch": solution.batch}
        case other:
            raise OrderError(f"no order is called {other!r}")


def space_task(order: dict[str, Any], bench: Bench) -> TaskView | None:
    """The task that a space is asked for; None where the order names none."""
    if not order.get("task"):
        return None
    drop = dropped(order.get("drop"), {}, bench.columns)
    return TaskView.parse(order["task"], kinds(bench.columns, drop))


def fit(order: dict[str, Any], bench: Bench) -> dict[str, Any]:
    """Trains on `train_rows` and predicts `predict_rows` at every stage."""
    job, watch = Job.parse(order, bench), Stopwatch()
    y = targets(job.task, bench.array("y"), bench.array("train_rows"))
    with threadpool_limits(job.threads):
        state, model = train(job, bench, y, watch)
        rows = job.rows(bench, bench.array("predict_rows"))
        X = watch.time("features", lambda: job.solution.module.features(state, rows, task=job.task))
        stages = stages_of(job)
        predictions = watch.time(
            "predict", lambda: predictions_at(job.solution, model, X, job.task, stages, len(rows))
        )
    npy.write(job.out / "pred.npy", np.ascontiguousarray(predictions))
    kept = None
    if order.get("keep_model"):
        kept = models.FILE
        models.Kept(job.solution.record, job.params, state, model, job.stage).save(job.out / kept)
    done = {
        "event": "done",
        "predictions": "pred.npy",
        "model": kept,
        "stages": [0 if s is None else s for s in stages],
    }
    return done | {"seconds": watch.seconds, "info": facts(job.solution, model, state)}


def train(job: Job, bench: Bench, y: NDArray[np.float64], watch: Stopwatch) -> tuple[Any, Any]:
    """The state of the features and the model, learnt from the training rows."""
    module, task = job.solution.module, job.task
    rows = job.rows(bench, bench.array("train_rows"))
    weight = bench.sealed.get("weight")

    def learn() -> Any:
        return module.fit_features(rows, y, task=task, params=job.params, seed=job.seed)

    def work() -> Any:
        wishes = {"params": job.params, "seed": job.seed, "threads": job.threads, "weight": weight}
        return module.fit(X, y, task=task, stage=job.stage, report=bench.report, **wishes)

    learnt = watch.time("features", learn)
    if not isinstance(learnt, tuple) or len(learnt) != 2:
        raise ContractError("`fit_features` must return (state, X_train)")
    state, X = learnt
    return state, watch.time("fit", work)


def targets(task: TaskView, y: Array, rows: Array) -> NDArray[np.float64]:
    """The targets as float64, one per row; raises `OrderError` when they do not fit rows or classes."""
    y = y.astype(np.float64)
    if y.ndim != 1 or y.shape != rows.shape:
        raise OrderError(f"{y.shape} targets for {rows.shape} training rows")
    if not np.isfinite(y).all():
        raise OrderError("a training row has no target")
    if task.problem != "regression" and len(y) and (y.min() < 0 or y.max() >= max(task.classes, 2)):
        raise OrderError(f"class indices must lie from 0 to {max(task.classes, 2) - 1}")
    return y


def stages_of(job: Job) -> list[float | None]:
    """The stages that are predicted; `None` alone when the solution has none or the order fixed one."""
    if job.stage is not None:
        return [job.stage]
    stages = job.solution.optional("stages")
    if stages is None:
        return [None]
    more = {"task": job.task} if "task" in inspect.signature(stages).parameters else {}
    found: list[float | None] = [float(s) for s in stages(job.params, **more)]
    return found or [None]


def predictions_at(
    solution: Solution, model: Any, X: Any, task: TaskView, stages: list[float | None], rows: int
) -> NDArray[np.float64]:
    """Checked predictions, shape (stages, rows, outputs), float64."""
    together = solution.optional("predict_stages")
    if together and stages[0] is not None and len(stages) > 1:
        found = list(together(model, X, task=task, stages=stages))
        if len(found) != len(stages):
            raise ContractError(
                f"`predict_stages` returned {len(found)} predictions for {len(stages)} stages"
            )
    else:
        found = [solution.module.predict(model, X, task=task, stage=stage) for stage in stages]
    return np.stack([checked(values, task, rows) for values in found])


def checked(values: Any, task: TaskView, rows: int) -> NDArray[np.float64]:
    """Predictions as float64 (rows, outputs); raises `ContractError` for a wrong shape or a value that is not
    finite.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim == 1 and task.outputs == 1:
        array = array[:, None]
    if array.shape != (rows, task.outputs):
        raise ContractError(f"`predict` returned shape {array.shape}, expected {(rows, task.outputs)}")
    bad = ~np.isfinite(array).all(axis=1)
    if bad.any():
        raise ContractError(f"`predict` returned a value that is not finite in row {int(bad.argmax())}")
    if task.problem != "regression" and ((array < -1e-6) | (array > 1 + 1e-6)).any():
        raise ContractError("`predict` must return probabilities from 0 to 1")
    return array


def facts(solution: Solution, model: Any, state: Any) -> dict[str, Any]:
    """What a solution says about its model: shares of importance by column, the largest first."""
    importances = solution.optional("importances")
    if importances is None:
        return {}
    shares = {str(name): float(share) for name, share in importances(model, state).items()}
    largest = sorted(shares.items(), key=lambda item: -item[1])[:IMPORTANCES_MAX]
    return {"importances": {name[:120]: round(share, 6) for name, share in largest if np.isfinite(share)}}


def predict(order: dict[str, Any], bench: Bench) -> dict[str, Any]:
    """Predicts `predict_rows` with a kept model."""
    out, watch = Path(str(order.get("out"))), Stopwatch()
    kept = models.load(Path(str(order.get("model"))))
    drop = dropped(order.get("drop"), kept.params, bench.columns)
    task = TaskView.parse(order.get("task") or {}, kinds(bench.columns, drop))
    stage = order.get("stage") or kept.stage
    rows = frames.take(bench.frame.drop(columns=list(drop), errors="ignore"), bench.array("predict_rows"))
    with threadpool_limits(int(order.get("threads") or 1)):
        values = watch.time("predict", lambda: kept.predict(rows, task, stage))
    npy.write(out / "pred.npy", np.ascontiguousarray(values[None]))
    return {
        "event": "done",
        "predictions": "pred.npy",
        "model": None,
        "stages": [stage or 0],
        "seconds": watch.seconds,
        "info": {},
    }


def check(order: dict[str, Any], bench: Bench) -> dict[str, Any]:
    """Compares features of a batch with those of its rows one by one; sees whether rows are changed."""
    job, watch = Job.parse(order, bench), Stopwatch()
    y = targets(job.task, bench.array("y"), bench.array("train_rows"))
    module = job.solution.module
    train_rows = job.rows(bench, bench.array("train_rows"))
    with threadpool_limits(job.threads):
        state, _ = module.fit_features(train_rows, y, task=job.task, params=job.params, seed=job.seed)
        chosen = sample(bench.sealed.get("predict_rows", bench.array("train_rows")), job.seed)
        rows = job.rows(bench, chosen)
        before = rows.copy(deep=True)
        batch = watch.time("features", lambda: module.features(state, rows, task=job.task))
        mutates = not rows.equals(before)
        singles = [
            module.features(state, before.iloc[i : i + 1].reset_index(drop=True), task=job.task)
            for i in range(len(before))
        ]
    worst = max(
        (difference(row_of(batch, i), row_of(single, 0)) for i, single in enumerate(singles)), default=0.0
    )
    return {
        "event": "done",
        "row_by_row": worst <= 1e-9,
        "worst": worst if np.isfinite(worst) else 1e300,
        "mutates": mutates,
        "batch": job.solution.batch,
        "rows": len(chosen),
        "seconds": watch.seconds,
    }


def sample(rows: Array, seed: int) -> Array:
    """Up to `CHECKED_ROWS` rows in random order."""
    generator = np.random.default_rng(seed)
    return generator.permutation(rows)[:CHECKED_ROWS]


def row_of(X: Any, i: int) -> list[Any]:
    """The values of one row of whatever `features` returned: frame, matrix, sparse matrix, or a collection of
    them.
    """
    if isinstance(X, dict):
        return [value for key in sorted(X, key=str) for value in row_of(X[key], i)]
    if isinstance(X, tuple | list):
        return [value for part in X for value in row_of(part, i)]
    if isinstance(X, pd.DataFrame):
        return [X.iloc[i, j] for j in range(X.shape[1])]
    if hasattr(X, "toarray"):
        X = X[[i]].toarray()
        i = 0
    return list(np.asarray(X)[i : i + 1].ravel())


def difference(left: list[Any], right: list[Any]) -> float:
    """The largest relative difference of two rows; infinite when they differ in length or in a value without
    size.
    """
    if len(left) != len(right):
        return float("inf")
    return max((_apart(a, b) for a, b in zip(left, right, strict=True)), default=0.0)


def _apart(a: Any, b: Any) -> float:
    if pd.isna(a) or pd.isna(b):
        return 0.0 if pd.isna(a) and pd.isna(b) else float("inf")
    if a == b:
        return 0.0
    try:
        gap = abs(float(a) - float(b)) / max(1.0, abs(float(a)))
    except (TypeError, ValueError):
        return float("inf")
    # Sums in another order differ in the last digits of single precision.
    return 0.0 if gap < 1e-5 else gap
