"""A solution: a module that keeps the contract of `SOLUTIONS.md`, loaded from the package or from source
text.

Loading runs the module's code, so it happens only in a locked child or in a cell that holds nothing else.
"""

from __future__ import annotations

import hashlib
import importlib
import linecache
import re
import sys
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from ansatz_worker.errors import ContractError, OrderError

FUNCTIONS = ("fit_features", "features", "fit", "predict")
DEVICES = ("cpu", "cuda")
FIELDS = (
    *("problem", "metric", "outputs", "classes", "higher_is_better", "device"),
    *("numeric", "categorical", "text", "datetime"),
)
NAME = re.compile(r"[a-z][a-z0-9_]{0,63}\Z")


@dataclass(frozen=True)
class TaskView:
    """What a solution may know about its task. `columns` lists the names of each kind of column, in table
    order.
    """

    problem: str
    metric: str
    outputs: int
    classes: int
    higher_is_better: bool
    columns: dict[str, tuple[str, ...]]
    device: str = "cpu"
    """`cuda` where the trial has a GPU, for solutions that can use one; else `cpu`."""

    @classmethod
    def parse(
        cls, record: dict[str, Any], columns: dict[str, tuple[str, ...]], device: str = "cpu"
    ) -> TaskView:
        """The task of an order; raises `OrderError` when a field is missing or unknown."""
        try:
            view = cls(
                problem=str(record["problem"]),
                metric=str(record["metric"]),
                outputs=int(record["outputs"]),
                classes=int(record.get("classes") or 0),
                higher_is_better=bool(record["higher_is_better"]),
                columns=columns,
                device=device,
            )
        except (KeyError, TypeError, ValueError) as error:
            raise OrderError(f"the order's task is incomplete: {error!r}") from error
        if view.problem not in ("binary", "multiclass", "regression") or view.outputs < 1:
            raise OrderError(f"problem {view.problem!r} with {view.outputs} outputs")
        if view.device not in DEVICES:
            raise OrderError(f"no device is called {view.device!r}")
        return view

    def __getitem__(self, name: str) -> Any:
        """The field of that name: a task may be read as an object or as a dictionary."""
        if name in FIELDS:
            return getattr(self, name)
        raise KeyError(name)

    def get(self, name: str, default: Any = None) -> Any:
        """The field of that name, or `default`."""
        return getattr(self, name) if name in FIELDS else default

    @property
    def numeric(self) -> tuple[str, ...]:
        """Names of the numeric columns."""
        return self.columns["numeric"]

    @property
    def categorical(self) -> tuple[str, ...]:
        """Names of the categorical columns."""
        return self.columns["categorical"]

    @property
    def text(self) -> tuple[str, ...]:
        """Names of the text columns."""
        return self.columns["text"]

    @property
    def datetime(self) -> tuple[str, ...]:
        """Names of the columns that hold moments."""
        return self.columns["datetime"]


@dataclass(frozen=True)
class Solution:
    """A loaded solution and the record that names it: `{"builtin": …}` or `{"source": {…}}`."""

    record: dict[str, Any]
    module: ModuleType

    @property
    def batch(self) -> bool:
        """Whether features may depend on the batch of rows."""
        return bool(getattr(self.module, "BATCH", False))

    def optional(self, name: str) -> Any:
        """A function that the contract leaves open, or `None`."""
        return getattr(self.module, name, None)


def load(record: Any) -> Solution:
    """The solution that an order names; raises `OrderError` for an unknown one, `ContractError` for a broken
    one.
    """
    match record:
        case {"builtin": str(name)}:
            module = _builtin(name)
        case {"source": {"name": str(name), "code": str(code)}}:
            module = _source(name, code)
        case _:
            raise OrderError("a solution is named by `builtin` or `source`")
    missing = [name for name in FUNCTIONS if not callable(getattr(module, name, None))]
    if missing or not isinstance(getattr(module, "SPACE", None), dict):
        raise ContractError(f"solution `{name}` lacks {', '.join(missing or ['SPACE'])}")
    return Solution(record, module)


def _builtin(name: str) -> ModuleType:
    if not NAME.match(name):
        raise OrderError(f"no builtin solution is called {name!r}")
    path = f"ansatz_worker.solutions.{name}"
    try:
        return importlib.import_module(path)
    except ModuleNotFoundError as error:
        if error.name == path:
            raise OrderError(f"no builtin solution is called {name!r}") from error
        raise


def _source(name: str, code: str) -> ModuleType:
    path = f"ansatz_solution_{hashlib.sha256(code.encode()).hexdigest()[:16]}"
    if path in sys.modules:
        return sys.modules[path]
    from ansatz_worker import script

    if script.is_script(code):
        sys.modules[path] = script.module(path, code)
        return sys.modules[path]
    module = ModuleType(path)
    file = f"<solution {name}>"
    module.__file__ = file
    linecache.cache[file] = (len(code), None, code.splitlines(keepends=True), file)
    # Registered before it runs: its classes are pickled by this name.
    sys.modules[path] = module
    try:
        exec(compile(code, file, "exec"), module.__dict__)
    except BaseException:
        del sys.modules[path]
        raise
    return module


def space(solution: Solution, task: TaskView | None = None) -> dict[str, dict[str, Any]]:
    """The search space as the host reads it; raises `ContractError` naming a malformed parameter. One with
    `only` counts for tasks of that problem, or with columns of that kind.
    """
    told = {str(name): _dimension(str(name), record) for name, record in solution.module.SPACE.items()}
    if task is None:
        return told
    counts = {task.problem, *(kind for kind, names in task.columns.items() if names)}
    only = {name: solution.module.SPACE[name].get("only") for name in told}
    return {name: record for name, record in told.items() if only[name] is None or only[name] in counts}


def _dimension(name: str, record: Any) -> dict[str, Any]:
    match record:
        case {
            "type": "float" | "int" as kind,
            "low": int() | float() as low,
            "high": int() | float() as high,
        }:
            number = float if kind == "float" else int
            default = record.get("default")
            log = bool(record.get("log", False))
            if isinstance(default, int | float) and low <= default <= high and not (log and low <= 0):
                ends = {"low": number(low), "high": number(high), "default": number(default)}
                return {"type": kind, "log": log, **ends}
        case {"type": "categorical", "values": [_, *_] as values, "default": default} if default in values:
            return {"type": "categorical", "values": values, "default": default}
    raise ContractError(f"SPACE[{name!r}] is not a dimension with a default inside its range")
