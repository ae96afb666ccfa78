"""Every built-in solution keeps the contract on a frame with all kinds of columns, seen and unseen values."""

from __future__ import annotations

import functools
import pickle
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ansatz_worker.solutions import catboost, extra_trees, lightgbm, linear, neural

SOLUTIONS = {
    "lightgbm": lightgbm,
    "catboost": catboost,
    "extra_trees": extra_trees,
    "linear": linear,
    "neural": neural,
}
SMALL: dict[str, dict[str, Any]] = {
    "lightgbm": {"rounds": 20},
    "catboost": {"rounds": 20, "depth": 3},
    "extra_trees": {"trees": 20},
    "linear": {},
    "neural": {"passes": 16},
}
PROBLEMS = ("binary", "multiclass", "regression")


def frame_of(rows: int, seed: int = 0) -> pd.DataFrame:
    """Numbers, codes, categories, names, ages as text, sentences, moments, empty columns."""
    draw = np.random.default_rng(seed)
    titles, units = ["Mr", "Mrs", "Miss"], ["weeks", "months", "years", "year"]
    names = [f"F{draw.integers(rows)}, {titles[draw.integers(3)]}. G{draw.integers(50)}" for _ in range(rows)]
    ages = [f"{draw.integers(1, 9)} {units[draw.integers(4)]}" for _ in range(rows)]
    cabins = [f"{'ABCDE'[draw.integers(5)]}{draw.integers(1, 99)}" for _ in range(rows)]
    words = np.array(["good", "bad", "cheap", "dear", "blue", "red", "fast", "slow", "big", "small"])
    frame = pd.DataFrame(
        {
            "number": draw.normal(size=rows),
            "skewed": np.exp(2 * draw.normal(size=rows)),
            "few": draw.integers(0, 4, rows).astype(float),
            "code": draw.integers(0, 40, rows) * 977.0 + 13,
            "empty": np.nan,
            "same": 1.0,
            "colour": pd.Categorical(draw.choice(["red", "green", "blue"], rows)),
            "name": pd.Categorical(names),
            "age": pd.Categorical(ages),
            "cabin": pd.Categorical(cabins),
            "nothing": pd.Categorical([None] * rows, categories=["x"]),
            "note": np.array([" ".join(draw.choice(words, 8)) + f" {i}" for i in range(rows)], dtype=object),
            "when": pd.Timestamp("2020-02-28") + pd.to_timedelta(draw.integers(0, 10**7, rows), unit="s"),
        }
    )
    frame.loc[::7, ["number", "few"]] = np.nan
    for column in ("colour", "name", "age", "note", "when"):
        frame.loc[frame.index[3::11], column] = None
    return frame


def strange_rows() -> pd.DataFrame:
    """Rows unlike those of training: unseen values, everything missing, huge numbers."""
    unseen = frame_of(6, seed=99)
    unseen["colour"] = pd.Categorical(["violet", "red", None, "", "ré", "a|b"])
    unseen["age"] = pd.Categorical(["many", "7 parsecs", None, "3 weeks", "-", "1,000 years"])
    unseen["name"] = pd.Categorical(["x", ", .", None, "Smith, Dr. No", "😀", "1"])
    unseen.loc[1, ["number", "skewed", "few", "code"]] = [1e30, -1e30, 17.5, -3.0]
    unseen.loc[2, ["number", "skewed", "few", "code"]] = np.nan
    unseen.loc[2, ["note", "when"]] = None
    unseen.loc[3, "note"] = ""
    return unseen


def task_of(problem: str, metric: str = "") -> Any:
    outputs = 3 if problem == "multiclass" else 1
    metric = metric or ("root_mean_squared_error" if problem == "regression" else "log_loss")
    return SimpleNamespace(
        problem=problem,
        metric=metric,
        outputs=outputs,
        classes=outputs,
        higher_is_better=False,
        device="cpu",
    )


def target_of(frame: pd.DataFrame, problem: str) -> np.ndarray[Any, Any]:
    signal = frame["number"].fillna(0).to_numpy() + 2.0 * (frame["colour"] == "red").to_numpy()
    if problem == "regression":
        return np.asarray(signal)
    return np.digitize(signal, [1.0] if problem == "binary" else [0.0, 1.5]).astype(float)


@functools.cache
def trained(
    name: str, problem: str, seed: int = 5, stage: float | None = None, rows: int = 180
) -> tuple[Any, ...]:
    module, task, train = SOLUTIONS[name], task_of(problem), frame_of(rows)
    y = target_of(train, problem)
    state, X = module.fit_features(train, y, task=task, params=SMALL[name], seed=seed)
    model = module.fit(X, y, task=task, params=SMALL[name], seed=seed, threads=1, stage=stage)
    return module, task, state, model


def predicted(module: ModuleType, task: Any, state: Any, model: Any, rows: pd.DataFrame, **more: Any) -> Any:
    return module.predict(model, module.features(state, rows, task=task), task=task, **more)


def dense(X: Any) -> np.ndarray[Any, Any]:
    return X.toarray() if hasattr(X, "toarray") else np.asarray(X, dtype=float)


@pytest.mark.parametrize("name", SOLUTIONS)
@pytest.mark.parametrize("problem", ["multiclass", "regression"])
def test_features_are_row_by_row_and_predictions_have_the_right_shape(name: str, problem: str) -> None:
    module, task, state, model = trained(name, problem)
    rows = pd.concat([frame_of(5, seed=3), strange_rows()], ignore_index=True)
    for column in ("colour", "name", "age", "cabin", "nothing"):
        rows[column] = rows[column].astype("category")
    before = rows.copy(deep=True)
    batch = dense(module.features(state, rows, task=task))
    singles = [
        dense(module.features(state, rows.iloc[i : i + 1].reset_index(drop=True), task=task))
        for i in range(len(rows))
    ]
    np.testing.assert_allclose(np.vstack(singles), batch, rtol=1e-6)
    pd.testing.assert_frame_equal(rows, before)
    values = predicted(module, task, state, model, rows)
    assert values.shape == (len(rows), task.outputs)
    assert np.isfinite(values).all()
    if problem != "regression":
        assert values.min() >= 0 and values.max() <= 1
    if problem == "multiclass":
        np.testing.assert_allclose(values.sum(axis=1), 1.0, rtol=1e-6)


@pytest.mark.parametrize("name", SOLUTIONS)
@pytest.mark.parametrize("problem", PROBLEMS)
def test_what_is_learnt_is_learnt(name: str, problem: str) -> None:
    module, task, state, model = trained(name, problem)
    rows = frame_of(300, seed=11)
    y, values = target_of(rows, problem), predicted(module, task, state, model, rows)
    if problem == "regression":
        assert np.abs(values[:, 0] - y).mean() < 0.8 * np.abs(y.mean() - y).mean()
    else:
        best = values.argmax(axis=1) if problem == "multiclass" else (values[:, 0] > 0.5)
        assert (best == y).mean() > 1.1 * np.bincount(y.astype(int)).max() / len(y)


@pytest.mark.parametrize("name", SOLUTIONS)
def test_models_survive_pickling_and_depend_only_on_the_seed(name: str) -> None:
    module, task, state, model = trained(name, "multiclass")
    rows = frame_of(20, seed=4)
    values = predicted(module, task, state, model, rows)
    state_again, model_again = pickle.loads(pickle.dumps((state, model)))
    np.testing.assert_array_equal(predicted(module, task, state_again, model_again, rows), values)
    np.testing.assert_array_equal(predicted(*trained.__wrapped__(name, "multiclass"), rows), values)


@pytest.mark.parametrize("name", ["lightgbm", "catboost", "linear", "neural"])
@pytest.mark.parametrize("problem", PROBLEMS)
def test_a_stage_predicts_as_a_model_trained_to_it(name: str, problem: str) -> None:
    module, task, state, model = trained(name, problem)
    rows = frame_of(20, seed=4)
    X = module.features(state, rows, task=task)
    stages = module.stages(SMALL[name])
    together = module.predict_stages(model, X, task=task, stages=stages)
    assert together.shape == (len(stages), 20, task.outputs)
    for stage, values in zip(stages, together, strict=True):
        np.testing.assert_allclose(
            module.predict(model, X, task=task, stage=stage), values, rtol=1e-6, atol=1e-9
        )
    np.testing.assert_allclose(module.predict(model, X, task=task), together[-1], rtol=1e-6, atol=1e-9)
    middle = stages[len(stages) // 2]
    alone = trained(name, problem, stage=middle)
    # The linear path is solved by iteration from another start, hence close and not equal.
    tolerance = 0.02 if name == "linear" else 1e-6
    np.testing.assert_allclose(
        predicted(*alone, rows), together[len(stages) // 2], rtol=tolerance, atol=tolerance
    )


@pytest.mark.parametrize("name", SOLUTIONS)
def test_training_rows_do_not_see_their_own_target(name: str) -> None:
    """Labels that are noise must not be recognisable in the training features, not even with rare values."""
    draw, task = np.random.default_rng(1), task_of("binary")
    train = pd.DataFrame(
        {"key": pd.Categorical([f"k{i // 2}" for i in range(400)]), "noise": draw.normal(size=400)}
    )
    y = draw.integers(0, 2, 400).astype(float)
    _, X = SOLUTIONS[name].fit_features(train, y, task=task, params=SMALL[name], seed=0)
    block = dense(X)
    found = [abs(np.corrcoef(block[:, j], y)[0, 1]) for j in range(block.shape[1]) if block[:, j].std() > 0.3]
    assert max(found, default=0.0) < 0.2


@pytest.mark.parametrize("name", SOLUTIONS)
@pytest.mark.parametrize("written", [False, True])
def test_tables_of_codes_are_learnt_from_combinations(name: str, written: bool) -> None:
    """Whether the codes come as numbers or as categories."""
    draw, task = np.random.default_rng(2), task_of("binary")
    codes = draw.integers(0, 12, (1200, 4))
    y = ((codes[:, 0] + codes[:, 1]) % 2).astype(float)
    frame = pd.DataFrame(codes * 8191.0 + 7, columns=list("abcd"))
    if written:
        frame = frame.astype(int).astype(str).astype("category")
    module, params = SOLUTIONS[name], {"combinations": 2} if name == "catboost" else {}
    state, X = module.fit_features(frame[:900], y[:900], task=task, params=params, seed=0)
    model = module.fit(X, y[:900], task=task, params=params, seed=0, threads=1)
    values = predicted(module, task, state, model, frame[900:])
    assert ((values[:, 0] > 0.5) == y[900:]).mean() > 0.8


@pytest.mark.parametrize("name", SOLUTIONS)
@pytest.mark.parametrize("metric", ["rmsle", "mean_absolute_error", "smape"])
def test_values_of_log_metrics_are_never_negative(name: str, metric: str) -> None:
    module, task, train = SOLUTIONS[name], task_of("regression", metric), frame_of(150)
    y = np.where(np.arange(150) % 3 == 0, 0.0, np.exp(target_of(train, "regression")))
    state, X = module.fit_features(train, y, task=task, params=SMALL[name], seed=0)
    model = module.fit(X, y, task=task, params=SMALL[name], seed=0, threads=1)
    values = predicted(module, task, state, model, frame_of(50, seed=8))
    assert np.isfinite(values).all()
    if metric != "mean_absolute_error":
        assert values.min() >= 0


@pytest.mark.parametrize("name", SOLUTIONS)
def test_few_rows_rare_classes_and_single_columns_are_survived(name: str) -> None:
    module, task = SOLUTIONS[name], task_of("multiclass")
    train = frame_of(24)
    y = np.zeros(24)
    y[0], y[1:6] = 2.0, 1.0
    state, X = module.fit_features(train, y, task=task, params=SMALL[name], seed=0)
    model = module.fit(X, y, task=task, params=SMALL[name], seed=0, threads=1)
    assert predicted(module, task, state, model, strange_rows()).shape == (6, 3)
    for column in ("colour", "empty", "note", "when", "same"):
        part = train[[column]]
        two = (np.arange(24) % 2).astype(float)
        state, X = module.fit_features(part, two, task=task_of("binary"), params=SMALL[name], seed=0)
        model = module.fit(X, two, task=task_of("binary"), params=SMALL[name], seed=0, threads=1)
        assert np.isfinite(predicted(module, task_of("binary"), state, model, part)).all()
    state, X = module.fit_features(train, np.ones(24), task=task_of("binary"), params=SMALL[name], seed=0)
    model = module.fit(X, np.ones(24), task=task_of("binary"), params=SMALL[name], seed=0, threads=1)
    assert predicted(module, task_of("binary"), state, model, train).min() > 0.9


@pytest.mark.parametrize("name", SOLUTIONS)
def test_spaces_have_defaults_inside(name: str) -> None:
    for dimension in SOLUTIONS[name].SPACE.values():
        if dimension["type"] == "categorical":
            assert dimension["default"] in dimension["values"]
        else:
            assert dimension["low"] <= dimension["default"] <= dimension["high"]


@pytest.mark.parametrize("name", ["lightgbm", "catboost", "extra_trees", "linear"])
def test_importances_name_the_signal(name: str) -> None:
    module, _, state, model = trained(name, "binary")
    shares = module.importances(model, state)
    top = sorted(shares, key=lambda key: -shares[key])[:6]
    assert any(key.startswith(("number", "colour")) for key in top)


@pytest.mark.parametrize("name", ["lightgbm", "linear"])
def test_of_very_many_columns_the_related_ones_are_kept(name: str) -> None:
    draw, module, task = np.random.default_rng(3), SOLUTIONS[name], task_of("binary")
    train = pd.DataFrame(draw.normal(size=(60, 2200)), columns=[f"n{i}" for i in range(2200)])
    y = (train["n7"].to_numpy() > 0).astype(float)
    state, X = module.fit_features(train, y, task=task, params={}, seed=0)
    base = state if name == "lightgbm" else state.base
    assert X.shape[1] <= 2000
    assert "n7" in base.kept
    np.testing.assert_allclose(dense(module.features(state, train[:5], task=task)), dense(X)[:5], rtol=1e-6)
