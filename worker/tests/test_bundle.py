"""A bundle, from files to predictions of a new file, in a process of its own as a user would run it."""

from __future__ import annotations

import csv
import dataclasses
import json
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import driver
import numpy as np
import pandas as pd
import pytest

from ansatz_worker import answering, bundle_predict, frame, harness
from ansatz_worker.channel import Channel
from ansatz_worker.errors import ContractError
from ansatz_worker.reader import serve

PREDICT = """import pathlib, sys
HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "code"))
from ansatz_worker.bundle_predict import main
sys.exit(main([str(HERE), *sys.argv[1:]]))
"""


def rows_of(count: int, seed: int) -> list[list[str]]:
    draw = np.random.default_rng(seed)
    rows = []
    for i in range(count):
        size, kind = draw.normal(), "abc"[draw.integers(0, 3)]
        label = "yes" if size + (kind == "a") + 0.3 * draw.normal() > 0.5 else "no"
        moment = f"{1 + i % 28}.{1 + i % 12}.2015"
        rows.append([f"r{i}", f"{size:.4f}", kind, moment, f"some remark numbered {i}", label])
    return rows


HEADER = ["key", "size", "kind", "day", "remark", "answer"]


def write(path: Path, rows: list[list[str]], header: list[str] = HEADER) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of two reference models on 200 rows."""
    work, made = tmp_path_factory.mktemp("work"), tmp_path_factory.mktemp("bundle")
    write(work / "train.csv", rows_of(200, 1))
    reader = serve.Reader(work)
    reader.read(work / "train.csv", None, None)
    wish = {"op": "write", "target": "answer", "id": "key", "problem": "binary", "classes": ["no", "yes"]}
    reader.obey(wish, [])
    y = np.load(work / "target.npy")
    members = []
    for i, part in enumerate((np.arange(0, 160), np.arange(40, 200))):
        sealed = {"train_rows": part, "y": y[part], "predict_rows": np.arange(5)}
        bench = harness.Bench(*frame.load(work), sealed, lambda *told: None)
        harness.run(driver.fit_order("reference", keep_model=True, out=str(work)), bench)
        (made / "members").mkdir(exist_ok=True)
        shutil.move(work / "model.bin", made / "members" / f"{i}.bin")
        members.append({"file": f"members/{i}.bin", "weight": [0.75, 0.25][i], "stage": None})
    shutil.copy(work / "schema.json", made)
    shutil.copytree(driver.ROOT / "ansatz_worker", made / "code" / "ansatz_worker")
    (made / "predict.py").write_text(PREDICT)
    description = {
        "members": members,
        "task": driver.TASK,
        "decision": {"rule": "threshold", "at": 0.5},
        "classes": ["no", "yes"],
        "output": {"id": "key", "columns": ["answer"], "kind": "label"},
        "clip": None,
    }
    (made / "bundle.json").write_text(json.dumps(description))
    return made


def predicted(bundle: Path, source: Path, output: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(bundle / "predict.py"), str(source), str(output)]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, cwd="/", env={"PATH": "/usr/bin"}
    )


def test_a_new_file_is_predicted(bundle: Path, tmp_path: Path) -> None:
    rows = rows_of(60, 2)
    # Columns in another order, the answer absent, an unseen kind.
    shuffled = [[r[4], r[3], "never seen" if i == 0 else r[2], r[1], r[0]] for i, r in enumerate(rows)]
    write(tmp_path / "new.csv", shuffled, ["remark", "day", "kind", "size", "key"])
    done = predicted(bundle, tmp_path / "new.csv", tmp_path / "out.csv")
    unseen = "column `kind` has values that training has not seen in 1 of 60 cells: `never seen` (1)"
    assert (done.returncode, done.stderr) == (0, f"warning: new.csv: {unseen}; taken as missing\n")
    got = list(csv.reader((tmp_path / "out.csv").open()))
    assert got[0] == ["key", "answer"] and [row[0] for row in got[1:]] == [row[0] for row in rows]
    right = np.mean([row[1] == true[5] for row, true in zip(got[1:], rows, strict=True)])
    assert right > 0.8


def test_an_absent_column_is_named(bundle: Path, tmp_path: Path) -> None:
    write(tmp_path / "new.csv", [row[:2] + row[3:] for row in rows_of(30, 3)], HEADER[:2] + HEADER[3:])
    done = predicted(bundle, tmp_path / "new.csv", tmp_path / "out.csv")
    assert done.returncode == 5 and done.stderr.startswith("error: new.csv lacks the column `kind`")
    assert done.stderr.count("\n") == 1 and not (tmp_path / "out.csv").exists()


def test_a_folder_that_is_no_bundle_and_wrong_arguments(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bundle_predict.run(tmp_path, tmp_path / "new.csv", tmp_path / "out.csv") == 5
    assert "not a model bundle" in capsys.readouterr().err
    assert bundle_predict.main(["one"]) == 2


def test_a_bundle_without_notations_guesses_them(bundle: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(bundle, copy, ignore=shutil.ignore_patterns("code"))
    write(tmp_path / "new.csv", rows_of(60, 2))
    with_notations = bundle_predict.apply(copy, tmp_path / "new.csv")
    schema = json.loads((copy / "schema.json").read_text())
    for column in schema["columns"]:
        del column["notation"]
    (copy / "schema.json").write_text(json.dumps(schema))
    assert bundle_predict.apply(copy, tmp_path / "new.csv") == with_notations


def test_single_rows_are_answered_as_the_whole_file_is(bundle: Path, tmp_path: Path) -> None:
    write(tmp_path / "new.csv", rows_of(30, 2))
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with Channel(ours) as host:
        command = [sys.executable, "-m", "ansatz_worker", "answer", str(bundle), str(tmp_path / "new.csv")]
        # The child finds its channel as descriptor 3.
        script = f'exec "$@" 3<&{theirs.fileno()}'
        environment = {
            "PATH": "/usr/bin:/bin",
            "PYTHONPATH": str(driver.ROOT),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        with subprocess.Popen(
            ["bash", "-c", script, "bash", *command], pass_fds=[theirs.fileno()], env=environment
        ) as child:
            theirs.close()

            def ask(message: dict[str, Any]) -> dict[str, Any]:
                host.send(message)
                received = host.receive()
                assert received
                return received[0]

            received = host.receive()
            assert received and received[0] == {"event": "loaded", "rows": 30}
            members = answering.load(bundle, tmp_path / "new.csv")
            whole = members.predict()
            alone = [members.predict(member=0), members.predict(member=1)]
            assert whole.shape == (30, 1) and np.allclose(whole, 0.75 * alone[0] + 0.25 * alone[1])
            for row in (0, 29):
                answered = ask({"op": "answer", "row": row})
                assert answered["event"] == "answered" and np.allclose(answered["values"], whole[row])
                assert np.allclose(ask({"op": "answer", "row": row, "member": 1})["values"], alone[1][row])
            for wrong in ({"row": 30}, {"row": 1, "member": 2}, {"row": "1"}):
                assert ask({"op": "answer", **wrong})["kind"] == "order"
            host.send({"op": "stop"})
            assert child.wait(20) == 0


BINARY = np.array([[0.2], [0.6]])
THREE = np.array([[0.2, 0.5, 0.3], [0.1, 0.1, 0.8]])


@pytest.mark.parametrize(
    ("kind", "columns", "classes", "decision", "clip", "predictions", "cells"),
    [
        ("label", ["y"], ["no", "yes"], None, None, BINARY, [["no"], ["yes"]]),
        ("label", ["y"], ["no", "yes"], {"rule": "threshold", "at": 0.7}, None, BINARY, [["no"], ["no"]]),
        (
            "label",
            ["y"],
            ["a", "b", "c"],
            {"rule": "argmax", "weights": [9, 1, 1]},
            None,
            THREE,
            [["a"], ["a"]],
        ),
        ("probability", ["y"], ["0", "1"], {"rule": "as_is"}, None, BINARY, [["0.2"], ["0.6"]]),
        ("class_probabilities", ["yes", "no"], ["no", "yes"], None, None, BINARY[:1], [["0.2", "0.8"]]),
        (
            "class_probabilities",
            ["P_c", "P_a", "P_b"],
            ["a", "b", "c"],
            None,
            None,
            THREE[:1],
            [["0.3", "0.2", "0.5"]],
        ),
        (
            "value",
            ["y"],
            [],
            {"rule": "at_least", "low": 0.0},
            None,
            np.array([[-1.0], [2.0]]),
            [["0.0"], ["2.0"]],
        ),
        ("value", ["y"], [], None, [0.0, 1.5], np.array([[-1.0], [2.0]]), [["0.0"], ["1.5"]]),
        ("label", ["y"], ["1", "2", "3"], {"rule": "cuts", "at": [0.5, 1.2]}, None, THREE, [["2"], ["3"]]),
        (
            "probability",
            ["y"],
            ["0", "1"],
            {"rule": "temperature", "value": 0.5},
            None,
            np.array([[0.75], [0.5]]),
            [["0.9"], ["0.5"]],
        ),
        (
            "class_probabilities",
            ["no", "yes"],
            ["no", "yes"],
            {"rule": "temperature", "value": 0.5},
            None,
            np.array([[0.5]]),
            [["0.5", "0.5"]],
        ),
    ],
)
def test_outputs(
    kind: str, columns: list[str], classes: list[str], decision: Any, clip: Any, predictions: Any, cells: Any
) -> None:
    record = {
        "output": {"columns": columns, "kind": kind},
        "classes": classes,
        "decision": decision,
        "clip": clip,
    }
    assert bundle_predict.written(record, predictions) == cells


def test_labels_come_with_probabilities_where_the_output_names_columns_for_them() -> None:
    output = {"columns": ["y"], "kind": "label", "probabilities": ["probability_yes"]}
    record = {"output": output, "classes": ["no", "yes"], "decision": {"rule": "as_is"}}
    assert bundle_predict.written(record, BINARY) == [["no", "0.2"], ["yes", "0.6"]]
    record["decision"] = {"rule": "temperature", "value": 0.5}
    (label, share), _ = bundle_predict.written(record, np.array([[0.75], [0.5]]))
    assert label == "yes" and float(share) == pytest.approx(0.9)
    output["probabilities"] = ["probability_a", "probability_b", "probability_c"]
    record |= {"classes": ["a", "b", "c"], "decision": None}
    assert bundle_predict.written(record, THREE[:1]) == [["b", "0.2", "0.5", "0.3"]]


def test_the_first_rows_of_a_file_are_predicted_as_in_the_whole(bundle: Path, tmp_path: Path) -> None:
    source, output = tmp_path / "new.csv", tmp_path / "out.csv"
    write(source, rows_of(30, 2))
    header, rows = bundle_predict.apply(bundle, source)
    assert bundle_predict.apply(bundle, source, 7) == (header, rows[:7])
    assert bundle_predict.apply(bundle, source, 100) == (header, rows)
    # As the host asks for them: by the code that the bundle brings along.
    command = [sys.executable, "-m", "ansatz_worker", "apply", str(bundle), str(source), str(output), "7"]
    environment = {"PATH": "/usr/bin", "PYTHONPATH": str(bundle / "code"), "PYTHONSAFEPATH": "1"}
    subprocess.run(command, check=True, cwd="/", env=environment)
    assert list(csv.reader(output.open())) == [header, *rows[:7]]


def test_a_file_is_predicted_with_labels_and_probabilities(bundle: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(bundle, copy, ignore=shutil.ignore_patterns("code"))
    description = json.loads((copy / "bundle.json").read_text())
    description["output"]["probabilities"] = ["probability_yes"]
    (copy / "bundle.json").write_text(json.dumps(description))
    write(tmp_path / "new.csv", rows_of(20, 2))
    header, rows = bundle_predict.apply(copy, tmp_path / "new.csv")
    assert header == ["key", "answer", "probability_yes"]
    assert all((label == "yes") == (float(share) >= 0.5) for _, label, share in rows)
    assert [row[:2] for row in rows] == bundle_predict.apply(bundle, tmp_path / "new.csv")[1]


def test_probabilities_beyond_their_bounds_are_brought_back(bundle: Path, tmp_path: Path) -> None:
    write(tmp_path / "new.csv", rows_of(5, 2))
    member = answering.load(bundle, tmp_path / "new.csv").members[0]

    class Overdone:
        def predict(self, rows: Any, task: Any, stage: Any) -> Any:
            return np.array([[1.0 + 1e-9], [-1e-9], [0.5]])

    surer = dataclasses.replace(member, kept=Overdone())
    assert surer.predict(pd.DataFrame(index=range(3))).tolist() == [[1.0], [0.0], [0.5]]
    free = dataclasses.replace(surer, task=dataclasses.replace(member.task, problem="regression"))
    assert free.predict(pd.DataFrame(index=range(3)))[0, 0] > 1.0


def test_decisions_are_those_of_the_referee() -> None:
    """Lines that the referee's tests read too."""
    lines = (driver.ROOT / "testdata" / "decisions.jsonl").read_text().splitlines()
    for line in lines:
        case = json.loads(line)
        decided = bundle_predict.decide(case["rule"], np.array(case["raw"]))
        expected = np.array(case["decided"])
        assert decided.shape == expected.shape, line
        np.testing.assert_allclose(decided, expected, rtol=0, atol=1e-12)
    assert len(lines) == 9


def test_outputs_that_cannot_be_named() -> None:
    record = {
        "output": {"columns": ["u", "v", "w"], "kind": "class_probabilities"},
        "classes": ["a", "b", "c"],
    }
    with pytest.raises(ContractError):
        bundle_predict.written(record, THREE)
