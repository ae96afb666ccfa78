"""Predicts a file with a delivered model: the one code path of a bundle's `predict.py` and of our own cells.

A bundle is a folder: `bundle.json` (members with weights, decision, output), `schema.json` or `bundle.json`'s
own `columns` (how cells are read), `members/*.bin`, and this package below `code/`. Its members are pickles,
hence code: outside a cell, apply only bundles that you made yourself.
"""

from __future__ import annotations

import csv
import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansatz_worker.errors import ContractError, Refused, one_line

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from ansatz_worker.frame import TableColumn
    from ansatz_worker.model import Kept
    from ansatz_worker.reader.arrays import Features
    from ansatz_worker.solution import TaskView

    Floats = NDArray[np.float64]

USAGE = "usage: predict.py INPUT.csv OUTPUT.csv"

PROBABILITY_FLOOR = 1e-15
"""Probabilities are kept this far from 0 before they are raised to a power, as by the referee."""


@dataclass(frozen=True)
class Bundle:
    """What `bundle.json` and `schema.json` say."""

    folder: Path
    record: dict[str, Any]
    schema: dict[str, Any]

    @classmethod
    def open(cls, folder: Path) -> Bundle:
        """The bundle in a folder; raises `Refused` when it is incomplete."""
        try:
            record = json.loads((folder / "bundle.json").read_text("utf-8"))
            schema = folder / "schema.json"
            columns = (
                json.loads(schema.read_text("utf-8")) if schema.is_file() else {"columns": record["columns"]}
            )
        except (OSError, ValueError, KeyError) as error:
            raise Refused(
                "bundle", f"{folder} is not a model bundle: {error}", "name the folder `model`"
            ) from error
        return cls(folder, record, columns)

    @property
    def threads(self) -> int:
        """Threads for prediction."""
        return max(1, int(os.environ.get("OMP_NUM_THREADS") or 1))


def main(arguments: list[str]) -> int:
    """`predict.py`: bundle folder, input, output; the exit status. Errors take one line of standard error."""
    match arguments:
        case [folder, source, output]:
            return run(Path(folder), Path(source), Path(output))
        case _:
            print(USAGE, file=sys.stderr)
            return 2


def run(folder: Path, source: Path, output: Path, rows_max: int | None = None) -> int:
    """Predicts `source`, or its first rows alone, with the bundle and writes `output`; the exit status."""
    try:
        header, rows = apply(folder, source, rows_max)
        with output.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(header)
            writer.writerows(rows)
    except Refused as refused:
        print(f"error: {one_line(refused.message)}; {one_line(refused.hint)}", file=sys.stderr)
        return 5
    except (ContractError, OSError, MemoryError) as error:
        print(f"error: {one_line(str(error) or type(error).__name__)}", file=sys.stderr)
        return 1
    return 0


def apply(folder: Path, source: Path, rows_max: int | None = None) -> tuple[list[str], list[list[str]]]:
    """Header and rows of the predictions for a file, in its order; of its first `rows_max` rows if given."""
    bundle = Bundle.open(folder)
    # The reader needs pyarrow; frames must be made without it, as they were in training.
    from ansatz_worker.reader import serve

    table, features, notices = serve.apply_schema(source, bundle.schema, folder)
    identifier = bundle.record["output"].get("id")
    asked = slice(rows_max)
    ids = serve.ids(table, identifier)[asked]
    for notice in notices:
        print(f"warning: {one_line(notice.message)}", file=sys.stderr)
    predictions = Members.load(bundle, features).predict(asked)
    output = bundle.record["output"]
    header = [*([identifier] if identifier else []), *output["columns"], *(output.get("probabilities") or [])]
    cells = written(bundle.record, predictions)
    rows = [[name, *row] for name, row in zip(ids, cells, strict=True)] if identifier else cells
    return header, rows


@dataclass(frozen=True)
class Member:
    """A loaded model with what it predicts by."""

    kept: Kept
    drop: list[str]
    task: TaskView
    stage: float | None
    weight: float

    def predict(self, rows: pd.DataFrame) -> Floats:
        """Its own predictions, shape (rows, outputs)."""
        import numpy as np

        own = rows.drop(columns=self.drop, errors="ignore").copy()
        values = self.kept.predict(own, self.task, self.stage)
        # Rounding may carry a probability out of its bounds, where the host brings it back too.
        return values if self.task.problem == "regression" else np.clip(values, 0.0, 1.0)


@dataclass(frozen=True)
class Members:
    """The loaded models of a bundle, and the rows of a file as they read them."""

    members: list[Member]
    columns: list[TableColumn]
    features: Features
    threads: int

    @classmethod
    def load(cls, bundle: Bundle, features: Features) -> Members:
        """Loads all models, which may run their code; raises `ContractError` when there are none."""
        from ansatz_worker import imports

        if "pandas" not in sys.modules:
            imports.block("pyarrow")
        from ansatz_worker import frame as frames
        from ansatz_worker import harness, model
        from ansatz_worker.solution import TaskView

        columns = [frames.TableColumn.parse(record) for record in features.table(0)["columns"]]
        members = []
        for record in bundle.record["members"]:
            kept = model.load(bundle.folder / record["file"])
            drop = harness.dropped(record.get("drop") or bundle.record.get("drop"), kept.params, columns)
            task = TaskView.parse(bundle.record["task"], harness.kinds(columns, drop))
            stage = record.get("stage") or kept.stage
            members.append(Member(kept, list(drop), task, stage, float(record["weight"])))
        if sum(member.weight for member in members) <= 0:
            raise ContractError("the bundle has no members")
        return cls(members, columns, features, bundle.threads)

    def predict(self, rows: slice = slice(None), member: int | None = None) -> Floats:
        """The weighted mean of the members' predictions of some rows, or those of one member, shape
        (rows, outputs).
        """
        import numpy as np
        from threadpoolctl import threadpool_limits

        from ansatz_worker import frame as frames

        numeric, codes = self.features.numeric[rows], self.features.codes[rows]
        table = frames.build(self.columns, numeric, codes, self.features.levels)
        with threadpool_limits(self.threads):
            if member is not None:
                return self.members[member].predict(table)
            total = sum(one.predict(table) * one.weight for one in self.members)
        return np.asarray(total / sum(one.weight for one in self.members))


def decide(rule: dict[str, Any] | None, predictions: Floats) -> Floats:
    """Predictions after the decision rule: class indices (rows, 1) where the rule makes labels."""
    import numpy as np

    match rule or {"rule": "as_is"}:
        case {"rule": "threshold", "at": at}:
            return (predictions >= float(at)).astype(np.float64)
        case {"rule": "argmax", "weights": weights}:
            chosen = (predictions * np.asarray(weights, dtype=np.float64)).argmax(axis=1)
            return np.asarray(chosen[:, None], dtype=np.float64)
        case {"rule": "cuts", "at": cuts}:
            classes = np.arange(predictions.shape[1], dtype=np.float64)
            sums = predictions.sum(axis=1)
            expected = (predictions * classes).sum(axis=1) / np.where(sums > 0, sums, 1.0)
            chosen = np.searchsorted(np.asarray(cuts, dtype=np.float64), expected, side="right")
            return np.asarray(chosen[:, None], dtype=np.float64)
        case {"rule": "temperature", "value": value}:
            return raised(predictions, 1.0 / float(value))
        case {"rule": "at_least", "low": low}:
            return np.maximum(predictions, float(low))
        case {"rule": "as_is"}:
            return predictions
        case other:
            raise ContractError(f"the bundle's decision is unknown: {other}")


def raised(probabilities: Floats, power: float) -> Floats:
    """Probabilities whose odds are raised to a power; one column alone is that of class 1 of two."""
    import numpy as np

    binary = probabilities.shape[1] == 1
    both = np.hstack([1.0 - probabilities, probabilities]) if binary else probabilities
    weights = np.maximum(both, PROBABILITY_FLOOR) ** power
    shares = weights / weights.sum(axis=1, keepdims=True)
    return np.asarray(shares[:, 1:] if binary else shares)


def written(record: dict[str, Any], predictions: Floats) -> list[list[str]]:
    """The cells of the output columns, row by row, the id left out.

    Kind `label`: the class in each of `columns`, then its probabilities where the output names columns for
    them: of every class, or of the last ones alone. Kinds `probability` and `class_probabilities`: of the
    last class, or of the class that each column names. Kind `value`: the value.
    """
    import numpy as np

    output, classes = record["output"], [str(name) for name in record.get("classes") or []]
    columns, rule = [str(name) for name in output["columns"]], record.get("decision")
    match output["kind"]:
        case "label":
            labels = label_indices(rule, predictions).astype(int)
            told = len(output.get("probabilities") or [])
            shown = probabilities(rule, predictions)[:, predictions.shape[1] - told :]
            return [
                [classes[i]] * len(columns) + [number(share) for share in row]
                for i, row in zip(labels, shown, strict=True)
            ]
        case "class_probabilities":
            shares = probabilities(rule, predictions)
            if shares.shape[1] == 1:
                shares = np.hstack([1.0 - shares, shares])
            places = class_places(columns, classes)
            return [[number(row[place]) for place in places] for row in shares]
        case "probability":
            return [[number(row[-1])] * len(columns) for row in probabilities(rule, predictions)]
        case "value":
            values = clipped(decide(rule, predictions), record.get("clip"))
            return [[number(row[0])] * len(columns) for row in values]
        case other:
            raise ContractError(f"the bundle's output is unknown: {other}")


def label_indices(rule: dict[str, Any] | None, predictions: Floats) -> Floats:
    """Class indices by the rule where it makes labels, else the likelier class."""
    if rule and rule.get("rule") in ("threshold", "argmax", "cuts"):
        return decide(rule, predictions)[:, 0]
    if predictions.shape[1] == 1:
        return decide({"rule": "threshold", "at": 0.5}, predictions)[:, 0]
    return decide({"rule": "argmax", "weights": [1.0] * predictions.shape[1]}, predictions)[:, 0]


def probabilities(rule: dict[str, Any] | None, predictions: Floats) -> Floats:
    """Probabilities by the rule where it changes them, else as they are."""
    return decide(rule, predictions) if rule and rule.get("rule") == "temperature" else predictions


def class_places(columns: list[str], classes: list[str]) -> list[int]:
    """Which class each output column holds: by name, by letters and digits alone, or by its end."""

    def plain(text: str) -> str:
        return "".join(c for c in text if c.isalnum()).lower()

    matchers: list[Callable[[str, str], bool]] = [
        lambda column, name: column == name,
        lambda column, name: plain(column) == plain(name),
        lambda column, name: bool(plain(name)) and plain(column).endswith(plain(name)),
    ]
    for matches in matchers:
        found = [
            next((i for i, name in enumerate(classes) if matches(column, name)), -1) for column in columns
        ]
        if sorted(found) == list(range(len(classes))):
            return found
    raise ContractError("the bundle's output columns do not name its classes")


def clipped(values: Floats, limits: list[float | None] | None) -> Floats:
    """Values within [low, high]; either may be open."""
    import numpy as np

    low, high = limits or (None, None)
    if low is None and high is None:
        return values
    return np.clip(values, -np.inf if low is None else low, np.inf if high is None else high)


def number(value: float) -> str:
    """A number with all its digits."""
    return repr(float(value))
