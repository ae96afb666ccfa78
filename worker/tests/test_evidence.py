"""Evidence about leaks on columns whose relation to the target is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.metrics import r2_score, roc_auc_score

from ansatz_worker import evidence
from ansatz_worker.reader import arrays
from ansatz_worker.reader.columns import Typed

ROWS, TEST = 3000, 1000


def number(name: str, values: Any) -> Typed:
    return Typed(name, "numeric", "plain", values=np.asarray(values, dtype=np.float64))


def codes(name: str, values: Any) -> Typed:
    levels = [f"level_{i}" for i in range(int(np.max(values)) + 1)]
    return Typed(name, "categorical", "exact", codes=np.asarray(values, dtype=np.int32), levels=levels)


def gathered(columns: list[Typed], target: Any, problem: str, rows: Any = None) -> dict[str, Any]:
    features = arrays.collect(columns, ROWS + TEST)
    chosen = np.arange(ROWS) if rows is None else rows
    record = evidence.gather(features, ROWS, np.asarray(target, dtype=np.float64), chosen, problem)
    return {"all": record, **{column["column"]: column for column in record["columns"]}}


@pytest.fixture
def binary() -> dict[str, Any]:
    draw = np.random.default_rng(3)
    target = (draw.random(ROWS) < 0.3).astype(float)
    both = np.concatenate([target, np.full(TEST, np.nan)])
    filled_only_for_one = np.where(both == 1, draw.integers(0, 4, ROWS + TEST), -1)
    serial = np.where(both == 1, 50_000, 10_000) + draw.permutation(ROWS + TEST)
    serial[ROWS:] = draw.permutation(TEST) * 50
    columns = [
        number("noise", draw.normal(size=ROWS + TEST)),
        codes("many", draw.integers(0, 2000, ROWS + TEST)),
        number("strong", np.nan_to_num(both) + draw.normal(size=ROWS + TEST)),
        codes("late", filled_only_for_one),
        number("ExportNo", serial),
        number("copy", np.where(np.isnan(both), 5, 1 - both)),
        number("shifted", np.r_[np.zeros(ROWS), np.ones(TEST)] * 3 + draw.normal(size=ROWS + TEST)),
        number("customer_id", draw.permutation(ROWS + TEST)),
        codes("token", np.arange(ROWS + TEST)),
    ]
    return gathered(columns, target, "binary")


def test_noise_is_weak_however_many_values_it_has(binary: dict[str, Any]) -> None:
    for name in ("noise", "many", "customer_id", "token"):
        assert abs(binary[name]["alone"] - 0.5) < 0.05, binary[name]
    assert 0.7 < binary["strong"]["alone"] < 0.85


def test_a_column_filled_after_the_outcome(binary: dict[str, Any]) -> None:
    late = binary["late"]
    assert late["filled_alone"] > 0.99 and late["alone"] > 0.99
    assert late["filled_train"] == pytest.approx(0.3, abs=0.03) and late["filled_test"] == 0.0


def test_a_number_that_separates(binary: dict[str, Any]) -> None:
    assert binary["ExportNo"]["alone"] > 0.99 and binary["ExportNo"]["distinct_share"] == 1.0


def test_copies_are_seen_and_only_they(binary: dict[str, Any]) -> None:
    assert [name for name, column in binary.items() if name != "all" and column["copies_target"]] == ["copy"]


def test_suspects_are_compared_with_all_honest_columns(binary: dict[str, Any]) -> None:
    told = {name for name, column in binary.items() if name != "all" and column["others"] is not None}
    assert told == {"late", "ExportNo", "copy"}
    # Together the honest columns are hardly better than the best of them.
    assert abs(binary["copy"]["others"] - binary["strong"]["alone"]) < 0.05


def test_shift_between_the_files(binary: dict[str, Any]) -> None:
    assert binary["shifted"]["shift"] > 0.95 and binary["noise"]["shift"] < 0.55


def test_identifiers_by_name_or_values(binary: dict[str, Any]) -> None:
    found = {name for name, column in binary.items() if name != "all" and column["looks_like_id"]}
    assert {"customer_id", "token"} <= found and not found & {"noise", "strong", "shifted", "many", "late"}


def test_a_file_sorted_by_its_target() -> None:
    target = np.r_[np.zeros(ROWS // 2), np.ones(ROWS // 2)]
    record = gathered([number("n", np.arange(ROWS + TEST))], target, "binary")
    assert record["n"]["row_order"] == 1.0 and record["n"]["alone"] > 0.99 and record["n"]["looks_like_id"]


def test_values() -> None:
    draw = np.random.default_rng(4)
    target = np.exp(draw.normal(size=ROWS))
    both = np.r_[target, np.ones(TEST)]
    columns = [
        number("same", both),
        number("scaled", both * 1.2 + 4),
        number("logged", np.log(both)),
        number("near", both + 0.3 * draw.normal(size=ROWS + TEST)),
        number("noise", draw.normal(size=ROWS + TEST)),
        number("gaps", np.where(both > 2, np.nan, 1.0)),
    ]
    record = gathered(columns, target, "regression")
    assert [name for name, c in record.items() if name != "all" and c["copies_target"]] == [
        "same",
        "scaled",
        "logged",
    ]
    assert record["near"]["alone"] > 0.6 and record["noise"]["alone"] < 0.02
    assert record["gaps"]["filled_alone"] > 0.3 and record["same"]["filled_alone"] == 0.0


def parts(weights: tuple[float, float], noise: float = 0.0) -> tuple[list[Typed], Any]:
    """Columns of hours and riders, and a target that is a formula of two of them."""
    draw = np.random.default_rng(11)
    hour = draw.integers(0, 24, ROWS + TEST).astype(float)
    casual = draw.poisson(5 + hour)
    registered = draw.poisson(20 + 3 * np.abs(hour - 12))
    target = weights[0] * casual + weights[1] * registered + noise * draw.normal(size=ROWS + TEST)
    gaps = np.where(draw.random(ROWS + TEST) < 0.3, np.nan, target)
    columns = [
        number("hour", hour),
        number("casual", casual),
        number("registered", registered),
        number("temperature", draw.normal(size=ROWS + TEST)),
        number("gaps", gaps + 50 * draw.normal(size=ROWS + TEST)),
        codes("season", draw.integers(0, 4, ROWS + TEST)),
    ]
    return columns, target[:ROWS]


def test_parts_of_the_target_are_found_together() -> None:
    columns, target = parts((1.0, 1.0))
    record = gathered(columns, target, "regression")
    found = record["all"]["sum"]
    assert found["columns"] == ["registered", "casual"] and found["plain"]
    assert found["strength"] == 1.0 and 0.3 < found["others"] < 0.9
    assert not record["casual"]["copies_target"] and record["registered"]["alone"] < 0.98
    difference = gathered(*parts((1.0, -1.0)), "regression")["all"]["sum"]
    assert difference["plain"] and sorted(difference["columns"]) == ["casual", "registered"]


def test_other_formulas_are_told_from_sums_and_noise_from_both() -> None:
    formula = gathered(*parts((2.0, 3.0)), "regression")["all"]["sum"]
    assert sorted(formula["columns"]) == ["casual", "registered"] and not formula["plain"]
    assert gathered(*parts((1.0, 1.0), noise=2.0), "regression")["all"]["sum"] is None
    columns, target = parts((1.0, 1.0))
    assert gathered(columns[:2], target, "regression")["all"]["sum"] is None
    few = gathered(columns, target, "regression", rows=np.arange(8))
    assert few["all"]["sum"] is None
    assert gathered(columns, (target > 60).astype(float), "binary")["all"]["sum"] is None


def test_a_copy_of_the_target_is_no_sum() -> None:
    columns, target = parts((1.0, 1.0))
    alone = [columns[0], columns[3], number("copy", np.r_[target, np.zeros(TEST)])]
    record = gathered(alone, target, "regression")
    assert record["copy"]["copies_target"] and record["all"]["sum"] is None


def test_several_classes_and_few_rows() -> None:
    draw = np.random.default_rng(5)
    target = draw.integers(0, 4, ROWS).astype(float)
    both = np.r_[target, np.zeros(TEST)]
    record = gathered(
        [number("copy", both * 10), codes("noise", draw.integers(0, 9, ROWS + TEST))], target, "multiclass"
    )
    assert record["copy"]["copies_target"] and record["copy"]["alone"] == 1.0
    assert not record["noise"]["copies_target"] and abs(record["noise"]["alone"] - 0.5) < 0.05
    few = gathered([number("n", both)], target, "multiclass", rows=np.arange(4))
    assert few["n"]["alone"] == 0.5 and few["all"]["rows"] == 4


def test_only_the_given_rows_are_read() -> None:
    draw = np.random.default_rng(6)
    target = draw.integers(0, 2, ROWS).astype(float)
    values = draw.normal(size=ROWS + TEST)
    rows = np.arange(0, ROWS, 2)
    first = gathered([number("n", values)], target, "binary", rows)
    target[1::2] = 1 - target[1::2]
    assert gathered([number("n", values)], target, "binary", rows) == first
    target[0] = np.nan
    assert gathered([number("n", values)], target, "binary", rows)["all"]["rows"] == len(rows) - 1


def test_rows_that_stand_in_both_files() -> None:
    draw = np.random.default_rng(8)
    values = draw.normal(size=ROWS + TEST)
    values[ROWS : ROWS + 250] = values[:250]
    record = gathered(
        [number("n", values), codes("c", np.zeros(ROWS + TEST))], draw.integers(0, 2, ROWS), "binary"
    )
    assert record["all"]["duplicate_test_rows"] == 0.25


def test_statistics_against_scikit_learn() -> None:
    draw = np.random.default_rng(9)
    for _ in range(200):
        truth, score = draw.random(40) < 0.4, draw.integers(0, 6, 40).astype(float)
        expected = roc_auc_score(truth, score) if 0 < truth.sum() < 40 else None
        assert evidence.auc(truth, score) == pytest.approx(expected)
        actual, guess = draw.normal(size=30), draw.normal(size=30)
        assert evidence.r_squared(actual, guess) == pytest.approx(max(0.0, r2_score(actual, guess)))
