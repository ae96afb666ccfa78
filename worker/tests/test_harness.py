"""The harness against solutions that keep and break the contract; no lock, no process."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import driver
import numpy as np
import pandas as pd
import pytest

from ansatz_worker import frame, harness, model, npy
from ansatz_worker import solution as solutions
from ansatz_worker.errors import ContractError, OrderError
from ansatz_worker.reader import arrays

GOOD = """
import numpy as np
SPACE = {"depth": {"type": "int", "low": 1, "high": 8, "default": 3}}
class Mean:
    def __init__(self, value): self.value = value
def fit_features(train, y, *, task, params, seed):
    return {"names": list(train)}, train[["number"]].fillna(0.0)
def features(state, rows, *, task):
    return rows[["number"]].fillna(0.0)
def fit(X, y, *, task, params, seed, threads, weight=None, stage=None, report=None):
    report(1, 0.5)
    return Mean(float(y.mean()) if stage is None else stage / 100)
def stages(params): return [10, 20, 30]
def predict(model, X, *, task, stage=None):
    value = model.value if stage is None else stage / 100
    return np.full(len(X), value) + 0.0 * X["number"].to_numpy()
def importances(model, state): return {name: 1 / len(state["names"]) for name in state["names"]}
"""

TOGETHER = """
def predict_stages(model, X, *, task, stages): return np.array([[s / 50] * len(X) for s in stages])
"""


SCRIPT = """# ansatz: script
import json
import numpy as np
import pandas as pd
task = json.load(open("task.json"))
train, rows = pd.read_csv("train.csv"), pd.read_csv("rows.csv")
means = train.groupby("colour")[task["target"]].mean()
found = rows["colour"].map(means).fillna(train[task["target"]].mean())
pd.DataFrame({"p": found.clip(0, 1)}).to_csv("predictions.csv", index=False)
"""


@pytest.fixture
def table(tmp_path: Path) -> driver.Table:
    return driver.make_table(tmp_path)


def bench(table: driver.Table, **changes: Any) -> harness.Bench:
    rows, columns = frame.load(table.folder)
    return harness.Bench(rows, columns, {**table.sealed, **changes}, lambda *told: None)


def order(code: str, out: Path, **changes: Any) -> dict[str, Any]:
    return driver.fit_order(driver.source(code), out=str(out), **changes)


def test_the_frame_holds_what_was_written(table: driver.Table) -> None:
    rows, columns = frame.load(table.folder)
    assert [column.kind for column in columns] == ["numeric", "categorical", "text", "datetime"]
    assert rows["number"].dtype == np.float64 and np.isnan(rows["number"].iloc[0])
    assert isinstance(rows["colour"].dtype, pd.CategoricalDtype)
    assert list(rows["colour"].cat.categories) == ["blue", "green", "red"]
    assert rows["note"].dtype == object and rows["note"].iloc[5] == "the number 5 of many words"
    assert str(rows["seen"].dtype) == "datetime64[s]" and rows["seen"].iloc[0] == pd.Timestamp(
        1.4e9, unit="s"
    )


def test_a_script_is_a_solution_like_others(table: driver.Table, tmp_path: Path) -> None:
    done = harness.run(order(SCRIPT, tmp_path, keep_model=True), bench(table))
    assert (done["predictions"], done["model"], done["stages"]) == ("pred.npy", "model.bin", [0.0])
    predictions = np.load(tmp_path / "pred.npy")[0, :, 0]
    rows, columns = frame.load(table.folder)
    colours = rows["colour"].astype(object).to_numpy()
    trained, asked = table.sealed["train_rows"], table.sealed["predict_rows"]
    for colour in ("red", "green"):
        expected = table.sealed["y"][colours[trained] == colour].mean()
        assert predictions[colours[asked] == colour] == pytest.approx(expected)
    kept = model.load(tmp_path / "model.bin")
    view = solutions.TaskView.parse(driver.TASK, harness.kinds(columns, frozenset()))
    again = kept.predict(frame.take(rows, asked), view, None)
    assert again[:, 0] == pytest.approx(predictions)
    checked = harness.run({**order(SCRIPT, tmp_path), "order": "check"}, bench(table))
    assert checked["row_by_row"] is True and not checked["mutates"]
    assert list(tmp_path.glob("tmp*")) == [], "no folder of a script stays"


@pytest.mark.parametrize(
    ("end", "words"),
    [
        ("", "wrote no predictions.csv"),
        ("raise SystemExit(3)", "ended with 3"),
        ("open('predictions.csv', 'w').write('p\\n0.5\\nmany\\n')", "no number"),
        ("open('predictions.csv', 'w').write('0.5\\n')", "shape"),
        ("1 / 0", "division by zero"),
    ],
)
def test_scripts_that_give_nothing_say_why(table: driver.Table, tmp_path: Path, end: str, words: str) -> None:
    with pytest.raises((ContractError, ZeroDivisionError), match=words):
        harness.run(order(f"# ansatz: script\n{end}\n", tmp_path), bench(table))


def test_rows_outside_the_table_are_refused(table: driver.Table) -> None:
    rows, _ = frame.load(table.folder)
    for wrong in ([400], [-1]):
        with pytest.raises(ValueError, match="row numbers"):
            frame.take(rows, np.array(wrong))


def test_every_stage_is_predicted(table: driver.Table, tmp_path: Path) -> None:
    done = harness.run(order(GOOD, tmp_path), bench(table))
    assert (
        done["stages"] == [10.0, 20.0, 30.0] and done["predictions"] == "pred.npy" and done["model"] is None
    )
    predictions = np.load(tmp_path / "pred.npy")
    assert predictions.shape == (3, 60, 1) and predictions[:, 0, 0].tolist() == [0.1, 0.2, 0.3]
    assert done["info"]["importances"]["number"] == 0.25
    assert set(done["seconds"]) == {"features", "fit", "predict"}


def test_stages_may_depend_on_the_kinds_of_columns(table: driver.Table, tmp_path: Path) -> None:
    linear = driver.fit_order("linear", out=str(tmp_path))
    plain = [0.002, 0.01, 0.05, 0.25, 1.5]
    assert harness.run({**linear, "drop": ["note"]}, bench(table))["stages"] == plain
    assert harness.run(linear, bench(table))["stages"] == [*plain, 10.0, 60.0]
    assert np.load(tmp_path / "pred.npy").shape == (7, 60, 1)
    assert harness.run({**linear, "stage": 60}, bench(table))["stages"] == [60.0]


def test_an_order_can_fix_the_stage(table: driver.Table, tmp_path: Path) -> None:
    done = harness.run(order(GOOD, tmp_path, stage=20), bench(table))
    assert done["stages"] == [20.0] and np.load(tmp_path / "pred.npy").shape == (1, 60, 1)


def test_stages_can_be_predicted_together(table: driver.Table, tmp_path: Path) -> None:
    harness.run(order(GOOD + TOGETHER, tmp_path), bench(table))
    assert np.load(tmp_path / "pred.npy")[:, 0, 0].tolist() == [0.2, 0.4, 0.6]


def test_dropped_columns_are_not_seen(table: driver.Table, tmp_path: Path) -> None:
    done = harness.run(order(GOOD, tmp_path, drop=["note", "absent"]), bench(table))
    assert set(done["info"]["importances"]) == {"number", "colour", "seen"}


def test_a_kept_model_predicts_the_same(table: driver.Table, tmp_path: Path) -> None:
    done = harness.run(order(GOOD, tmp_path, keep_model=True, stage=30), bench(table))
    expected = np.load(tmp_path / "pred.npy")
    file = str(tmp_path / done["model"])
    again = {"order": "predict", "model": file, "task": driver.TASK, "out": str(tmp_path)}
    done = harness.run(again, bench(table))
    assert done["stages"] == [30.0] and np.array_equal(np.load(tmp_path / "pred.npy"), expected)


def test_a_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m.bin").write_bytes(pickle.dumps({"format": 99}))
    with pytest.raises(ContractError):
        model.load(tmp_path / "m.bin")


@pytest.mark.parametrize(
    ("old", "new", "word"),
    [
        ("np.full(len(X), value) + 0.0 *", "np.full((len(X), 2), value)  #", "shape"),
        ("np.full(len(X), value) + 0.0 *", "np.full(len(X) - 1, value)  #", "shape"),
        ("np.full(len(X), value)", "np.full(len(X), np.nan)", "not finite in row 0"),
        ("np.full(len(X), value)", "np.full(len(X), 1.5)", "probabilities"),
        ('{"names": list(train)}, train', "train", "fit_features"),
    ],
)
def test_broken_contracts_are_named(
    table: driver.Table, tmp_path: Path, old: str, new: str, word: str
) -> None:
    assert old in GOOD
    with pytest.raises(ContractError, match=word):
        harness.run(order(GOOD.replace(old, new), tmp_path), bench(table))


def test_orders_that_do_not_fit_are_refused(table: driver.Table, tmp_path: Path) -> None:
    for y, word in (
        (np.zeros(3), "targets for"),
        (np.full(240, np.nan), "no target"),
        (np.full(240, 7.0), "class indices"),
    ):
        with pytest.raises(OrderError, match=word):
            harness.run(order(GOOD, tmp_path), bench(table, y=y))
    with pytest.raises(OrderError, match="lacks"):
        empty = harness.Bench(*frame.load(table.folder), {}, lambda *told: None)
        harness.run(order(GOOD, tmp_path), empty)


FEATURES = 'task):\n    return rows[["number"]].fillna(0.0)'
CHECKS = [
    ('return rows[["number"]].fillna(0.0)', True, False),
    ('return rows[["number"]] - rows[["number"]].mean()', False, False),
    ('rows["number"] = rows["number"].fillna(1); return rows[["number"]]', True, True),
    ('return rows[["colour", "note"]]', True, False),
    ('return {"a": rows["number"].to_numpy(), "n": np.arange(len(rows))}', False, False),
    ("import scipy.sparse as s; return s.csr_matrix(rows[['number']].fillna(0).to_numpy())", True, False),
]


@pytest.mark.parametrize(("body", "row_by_row", "mutates"), CHECKS)
def test_features_are_checked_row_by_row(
    table: driver.Table, tmp_path: Path, body: str, row_by_row: bool, mutates: bool
) -> None:
    assert FEATURES in GOOD
    code = GOOD.replace(FEATURES, "task):\n    " + body)
    done = harness.run({**order(code, tmp_path), "order": "check"}, bench(table))
    assert (done["row_by_row"], done["mutates"], done["rows"]) == (row_by_row, mutates, 20)
    assert (done["worst"] == 0.0) == row_by_row


def test_the_space_is_told_and_checked() -> None:
    nothing = harness.Bench(pd.DataFrame(), [], {}, lambda *told: None)
    done = harness.run({"order": "space", "solution": driver.source(GOOD)}, nothing)
    assert done["space"] == {"depth": {"type": "int", "log": False, "low": 1, "high": 8, "default": 3}}
    # What counts for some tasks only is not told for others.
    for name, only in (("target", "regression"), ("calendar", "datetime")):
        told = {
            problem: harness.run(
                {
                    "order": "space",
                    "solution": {"builtin": "lightgbm"},
                    "task": {"problem": problem, "metric": "m", "outputs": 1, "higher_is_better": True},
                },
                nothing,
            )["space"]
            for problem in ("regression", "binary")
        }
        assert (name in told["regression"]) == (only == "regression")
        assert name not in told["binary"] and "leaves" in told["binary"]
    for broken in ('"default": 9', '"default": 3, "log": True, "low": 0', '"type": "real"'):
        code = GOOD.replace('"default": 3', broken)
        with pytest.raises(ContractError, match="depth"):
            solutions.space(solutions.load(driver.source(code)))


def test_the_reference_keeps_the_contract(table: driver.Table, tmp_path: Path) -> None:
    done = harness.run({**driver.fit_order("reference", out=str(tmp_path)), "order": "check"}, bench(table))
    assert done["row_by_row"] and not done["mutates"]
    regression = {"problem": "regression", "metric": "rmsle", "outputs": 1, "classes": 0}
    y = np.expm1(np.random.default_rng(0).random(240))
    task = {**regression, "higher_is_better": False}
    harness.run(driver.fit_order("reference", out=str(tmp_path), task=task), bench(table, y=y))
    assert np.load(tmp_path / "pred.npy").min() >= 0
    # A class that the training rows lack must not change the width.
    three = {**driver.TASK, "problem": "multiclass", "outputs": 3, "classes": 3}
    harness.run(driver.fit_order("reference", out=str(tmp_path), task=three), bench(table))
    predictions = np.load(tmp_path / "pred.npy")[0]
    assert predictions.shape == (60, 3) and np.allclose(predictions.sum(axis=1), 1)


def test_arrays_that_disagree_with_the_table_are_refused(table: driver.Table) -> None:
    npy.write(table.folder / "codes.npy", np.zeros((3, 2), dtype=np.int32))
    with pytest.raises(ValueError, match="codes"):
        frame.load(table.folder)
    columns = [{"name": "a", "kind": "odd", "store": "x", "index": 0}]
    arrays.write_json(table.folder / "table.json", {"columns": columns})
    with pytest.raises(ValueError, match="odd"):
        frame.load(table.folder)


def test_predictions_leave_in_c_order_whatever_the_solution_made(table: driver.Table, tmp_path: Path) -> None:
    code = GOOD.replace("def stages(params): return [10, 20, 30]", "").replace(
        'return np.full(len(X), value) + 0.0 * X["number"].to_numpy()',
        "return np.asfortranarray(np.tile([0.2, 0.3, 0.5], (len(X), 1)))",
    )
    task = {
        "problem": "multiclass", "metric": "log_loss", "outputs": 3, "classes": 3, "higher_is_better": False,
    }  # fmt: skip
    harness.run(order(code, tmp_path, task=task), bench(table))
    assert b"'fortran_order': False" in (tmp_path / "pred.npy").read_bytes()[:100]
