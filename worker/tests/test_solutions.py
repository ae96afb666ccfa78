"""Every built-in solution keeps the contract on a frame with all kinds of columns, seen and unseen values."""

from __future__ import annotations

import functools
import pickle
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import MultinomialNB

from ansatz_worker.featurekit import columns, table, targets, text
from ansatz_worker.featurekit.categories import Vocabulary
from ansatz_worker.featurekit.columns import Strings
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


@pytest.mark.parametrize("name", ["lightgbm", "catboost", "neural"])
@pytest.mark.parametrize("problem", PROBLEMS)
def test_trainings_by_steps_report_how_far_they_are_and_stay_the_same(name: str, problem: str) -> None:
    module, task, state, quiet = trained(name, problem)
    train = frame_of(180)
    y = target_of(train, problem)
    _, X = module.fit_features(train, y, task=task, params=SMALL[name], seed=5)
    heard: list[Any] = []
    model = module.fit(
        X,
        y,
        task=task,
        params=SMALL[name],
        seed=5,
        threads=1,
        report=lambda *told: heard.append(told),
    )
    steps = module.stages(SMALL[name])[-1]
    assert len(heard) >= 5
    assert [step for step, _, _ in heard] == sorted({step for step, _, _ in heard})
    assert heard[-1][0] == steps and {of for _, _, of in heard} == {steps}
    losses = [loss for _, loss, _ in heard]
    if name == "lightgbm":
        assert set(losses) == {None}
    else:
        # A network tells of one batch only, which is a matter of luck.
        assert np.isfinite(losses).all() and (name == "neural" or losses[-1] < losses[0])
    rows = frame_of(20, seed=4)
    np.testing.assert_array_equal(
        predicted(module, task, state, model, rows), predicted(module, task, state, quiet, rows)
    )


def test_a_network_with_any_schedule_predicts_at_a_stage_as_one_trained_to_it() -> None:
    task, train = task_of("regression"), frame_of(180)
    y = target_of(train, "regression")
    state, X = neural.fit_features(train, y, task=task, params={}, seed=5)
    block = neural.features(state, frame_of(20, seed=4), task=task)
    found = []
    for schedule in neural.SPACE["schedule"]["values"]:
        params = {"passes": 16, "schedule": schedule}
        model = neural.fit(X, y, task=task, params=params, seed=5, threads=1)
        alone = neural.fit(X, y, task=task, params=params, seed=5, threads=1, stage=8.0)
        found.append(neural.predict(model, block, task=task, stage=8.0))
        np.testing.assert_allclose(neural.predict(alone, block, task=task), found[-1], rtol=1e-6, atol=1e-9)
    assert not np.array_equal(found[0], found[1]) and not np.array_equal(found[0], found[2])
    plain = neural.fit(X, y, task=task, params={"passes": 16}, seed=5, threads=1)
    np.testing.assert_array_equal(neural.predict(plain, block, task=task, stage=8.0), found[0])


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


def fitted(
    name: str, train: pd.DataFrame, y: np.ndarray[Any, Any], task: Any, params: dict[str, Any]
) -> tuple[Any, ...]:
    """A solution's module, with what it learnt of some rows."""
    module = SOLUTIONS[name]
    state, X = module.fit_features(train, y, task=task, params=params, seed=0)
    return module, task, state, module.fit(X, y, task=task, params=params, seed=0, threads=1)


# --- what is minimised


def counts_of(rows: int, seed: int) -> tuple[pd.DataFrame, np.ndarray[Any, Any]]:
    """Counts whose logarithm depends on a number."""
    draw = np.random.default_rng(seed)
    frame = pd.DataFrame({"x": draw.normal(size=rows), "noise": draw.normal(size=rows)})
    return frame, draw.poisson(np.exp(frame["x"].to_numpy())).astype(float)


@pytest.mark.parametrize("name", ["lightgbm", "catboost"])
@pytest.mark.parametrize("family", ["poisson", "gamma", "tweedie"])
def test_deviances_are_learnt_as_such(name: str, family: str) -> None:
    task, params = task_of("regression", f"mean_{family}_deviance"), {"rounds": 150}
    train, y = counts_of(600, 1)
    y = y + 0.5 if family == "gamma" else y
    found = fitted(name, train, y, task, params)
    assert found[-1].link.family == family
    rows, _ = counts_of(300, 2)
    values = predicted(*found, rows)[:, 0]
    assert values.min() > 0
    expected = np.exp(rows["x"].to_numpy()) + (0.5 if family == "gamma" else 0.0)
    assert np.abs(np.log(values / expected)).mean() < 0.6
    # The unit of the values plays no part, however large they are.
    large = predicted(*fitted(name, train, 1e6 * y, task, params), rows)[:, 0]
    np.testing.assert_allclose(large, 1e6 * values, rtol=0.05)
    module, _, state, model = found
    X = module.features(state, rows, task=task)
    together = module.predict_stages(model, X, task=task, stages=[50.0, 150.0])
    np.testing.assert_allclose(together[-1][:, 0], values, rtol=1e-6)
    alone = predicted(*fitted(name, train[["x"]] * 0, y, task, params), rows)
    np.testing.assert_allclose(alone, y.mean(), rtol=1e-9)


def test_values_that_no_deviance_allows_and_other_wishes_are_learnt_plainly() -> None:
    poisson, gamma = (task_of("regression", f"mean_{family}_deviance") for family in ("poisson", "gamma"))
    assert targets.Link.of(poisson, {}, np.array([0.0, 3.0])) is not None
    assert targets.Link.of(gamma, {}, np.array([0.0, 3.0])) is None
    assert targets.Link.of(poisson, {}, np.array([-1.0, 3.0])) is None
    assert targets.Link.of(poisson, {"target": "log"}, np.array([0.0, 3.0])) is None
    assert targets.Link.of(task_of("regression"), {}, np.array([0.0, 3.0])) is None
    assert lightgbm.objective(poisson) == {"objective": "l2"} and catboost.loss(poisson) == "RMSE"


@pytest.mark.parametrize("name", ["lightgbm", "catboost", "neural"])
def test_shares_of_values_are_learnt_as_medians_that_weigh_small_values_more(name: str) -> None:
    """Of 120 ones and 180 tens the median is 10, but 1 is wrong by the smaller share of them."""
    draw, task = np.random.default_rng(4), task_of("regression", "mape")
    train = pd.DataFrame({"noise": draw.normal(size=300), "more": draw.normal(size=300)})
    y = np.where(np.arange(300) % 5 < 2, 1.0, 10.0)
    small = {"neural": {"passes": 30}, "lightgbm": {"leaves": 4}, "catboost": {"depth": 2}}
    params = {"rounds": 100, **small[name]}
    rows = pd.DataFrame({"noise": draw.normal(size=100), "more": draw.normal(size=100)})
    assert np.median(predicted(*fitted(name, train, y, task, params), rows)) < 2.5
    # Where nothing can be learnt, the same holds.
    same = pd.DataFrame({"noise": np.zeros(300)})
    if name != "neural":
        assert predicted(*fitted(name, same, y, task, params), same).max() == pytest.approx(1.0)


def test_weights_of_shares() -> None:
    mape, mae = task_of("regression", "mape"), task_of("regression", "mae")
    y = np.array([1.0, 2.0, -4.0, 0.0])
    found = targets.weights(mape, y, None)
    assert found is not None and found.mean() == pytest.approx(1.0) and np.isfinite(found).all()
    assert found[0] / found[1] == pytest.approx(2.0) and found[0] / found[2] == pytest.approx(4.0)
    doubled = targets.weights(mape, y, np.array([1.0, 2.0, 1.0, 1.0]))
    assert doubled is not None and doubled[0] / doubled[1] == pytest.approx(1.0)
    assert targets.weights(mae, y, None) is None
    assert targets.middle(np.array([3.0, 1.0, 2.0]), np.array([1.0, 5.0, 1.0])) == 1.0


def test_weights_of_squared_shares() -> None:
    rmspe = task_of("regression", "rmspe")
    found = targets.weights(rmspe, np.array([1.0, 2.0, -4.0, 0.0]), None)
    assert found is not None and found.mean() == pytest.approx(1.0)
    assert found[0] / found[1] == pytest.approx(4.0) and found[0] / found[2] == pytest.approx(16.0)
    assert found[3] / found[1] == pytest.approx(1.0 / targets.WEIGHT_SHARE_MIN), "bounded, as of other shares"
    assert not targets.is_absolute(rmspe) and targets.quantile(rmspe) is None
    assert targets.weights(task_of("binary", "rmspe"), np.array([0.0, 1.0]), None) is None


@pytest.mark.parametrize("name", ["lightgbm", "catboost", "neural"])
def test_squared_shares_are_learnt_as_means_that_weigh_small_values_more(name: str) -> None:
    """Of 120 ones and 180 tens, 138 / 121.8 has the smallest squared shares; the mean is 6.4."""
    draw, task = np.random.default_rng(4), task_of("regression", "rmspe")
    train = pd.DataFrame({"noise": draw.normal(size=300), "more": draw.normal(size=300)})
    y = np.where(np.arange(300) % 5 < 2, 1.0, 10.0)
    small = {"neural": {"passes": 30}, "lightgbm": {"leaves": 4}, "catboost": {"depth": 2}}
    rows = pd.DataFrame({"noise": draw.normal(size=100), "more": draw.normal(size=100)})
    found = predicted(*fitted(name, train, y, task, {"rounds": 100, **small[name]}), rows)
    assert np.median(found) < 2.5
    same = pd.DataFrame({"noise": np.zeros(300)})
    if name != "neural":
        assert predicted(*fitted(name, same, y, task, {}), same).max() == pytest.approx(138 / 121.8)


@pytest.mark.parametrize("name", ["lightgbm", "catboost"])
@pytest.mark.parametrize("percent", [10, 90])
def test_quantiles_are_learnt_as_such(name: str, percent: int) -> None:
    task, draw = task_of("regression", f"pinball_{percent}"), np.random.default_rng(7)
    train = pd.DataFrame({"x": draw.integers(0, 2, 2000).astype(float), "noise": draw.normal(size=2000)})
    y = 5.0 * train["x"].to_numpy() + draw.normal(size=2000)
    params = {"rounds": 150, "leaves": 4, "depth": 2}
    values = predicted(*fitted(name, train, y, task, params), train)[:, 0]
    assert (y < values).mean() == pytest.approx(percent / 100, abs=0.04)
    assert np.corrcoef(values, train["x"])[0, 1] > 0.9
    same = pd.DataFrame({"noise": np.zeros(2000)})
    alone = predicted(*fitted(name, same, y, task, {}), same)
    np.testing.assert_allclose(alone, np.quantile(y, percent / 100))


def test_which_metrics_want_which_quantile() -> None:
    for metric in ("wape", "d2_absolute_error_score", "mean_pinball_loss", "pinball_50", "mae", "mape"):
        task = task_of("regression", metric)
        assert targets.is_absolute(task) and targets.quantile(task) == 0.5, metric
        assert lightgbm.objective(task) == {"objective": "l1"} and catboost.loss(task) == "MAE"
    tenth = task_of("regression", "pinball_10")
    assert lightgbm.objective(tenth) == {"objective": "quantile", "alpha": 0.1}
    assert catboost.loss(tenth) == "Quantile:alpha=0.1" and not targets.is_absolute(tenth)
    for metric in ("rmse", "r2", "50", "pinball_", "pinball_0", "pinball_100"):
        assert targets.quantile(task_of("regression", metric)) is None, metric
    weight = np.array([1.0, 1.0, 8.0])
    assert targets.middle(np.array([1.0, 2.0, 3.0]), weight, 0.15) == 2.0
    assert targets.centre(task_of("regression"), np.array([1.0, 2.0, 3.0]), weight) == pytest.approx(2.7)


def test_which_targets_are_learnt_as_logarithms() -> None:
    draw = np.random.default_rng(0)
    even, skewed = np.abs(draw.normal(size=500)) + 3.0, np.exp(2.0 * draw.normal(size=500))

    def log(metric: str, y: np.ndarray[Any, Any], absolute: bool = True, **params: Any) -> bool:
        return targets.uses_log(task_of("regression", metric), params, y, absolute)

    for metric in ("mae", "mean_absolute_error", "median_absolute_error"):
        assert log(metric, skewed) and log(metric, skewed, absolute=False) and not log(metric, even)
        assert not log(metric, skewed - 0.5), "values below 0"
        assert not log(metric, skewed, target="plain") and log(metric, even, target="log")
    assert not log("rmse", skewed) and log("rmsle", even) and log("smape", even)
    # A learner of squared errors learns shares as differences of logarithms.
    assert not log("mape", skewed) and log("mape", even, absolute=False)
    assert not log("rmspe", skewed) and log("rmspe", even, absolute=False)
    assert log("wape", skewed) and not log("pinball_90", skewed)


# --- texts


def test_vocabularies_of_a_few_long_strings_need_no_more_room_than_these() -> None:
    values = np.array([*(f"v{i % 7}{i}" for i in range(20_000)), "x" * 1_000_000, "often"], dtype=object)
    rows = np.concatenate([np.arange(len(values)), [len(values) - 1, -1]]).astype(np.int64)
    vocabulary = Vocabulary.learn(Strings(values, rows))
    assert vocabulary.levels[0] == "often" and list(vocabulary.levels[1:3]) == ["v00", "v010003"]
    assert vocabulary.size == len(values) + 2


def titles(rows: int, seed: int) -> tuple[pd.DataFrame, np.ndarray[Any, Any]]:
    """Short texts of words that never come back; what counts is how one of them ends."""
    draw = np.random.default_rng(seed)
    letters = np.array(list("abcdefghijklmnop"))
    y = draw.integers(0, 2, rows).astype(float)
    stems = ["".join(draw.choice(letters, 7)) for _ in range(2 * rows)]
    names = [f"{stems[i]}{'ville' if one else 'burgh'} near {stems[rows + i]}" for i, one in enumerate(y)]
    frame = pd.DataFrame({"title": np.array(names, dtype=object), "noise": draw.normal(size=rows)})
    return frame, y


@pytest.mark.parametrize("name", SOLUTIONS)
def test_short_texts_are_read_by_pieces_of_their_words(name: str) -> None:
    task = task_of("binary")
    task.text = ("title",)
    train, y = titles(400, 1)
    rows, truth = titles(200, 2)
    found = fitted(name, train, y, task, SMALL[name])
    values = predicted(*found, rows)[:, 0]
    assert ((values > 0.5) == truth).mean() > 0.85
    module, _, state, _ = found
    batch = dense(module.features(state, rows[:5], task=task))
    single = dense(module.features(state, rows[3:4].reset_index(drop=True), task=task))
    np.testing.assert_allclose(single[0], batch[3], rtol=1e-6)
    # A column that the reader took for categories stays one.
    kinds = columns.kinds(train, ())
    assert kinds.text == [] and columns.kinds(train, ("title",)).text == ["title"]
    assert columns.kinds(train, ("title",)).sentences == []


def test_boosters_get_topics_beside_the_score_of_a_text() -> None:
    train, y = titles(400, 1)
    task = task_of("binary")
    task.text = ("title",)
    for module in (lightgbm, catboost, extra_trees):
        state, _ = module.fit_features(train, y, task=task, params={}, seed=0)
        learnt = state.table if module is extra_trees else state
        topics = [name for name in learnt.names if name.startswith("title|topic")]
        assert len(topics) == text.TOPICS and "title|score0" in learnt.names
    states = [lightgbm.fit_features(train, y, task=task, params={}, seed=0)[0] for _ in range(2)]
    one, other = (lightgbm.features(state, train[:9], task=task) for state in states)
    pd.testing.assert_frame_equal(one, other)


def test_pieces_are_for_short_texts_and_for_few_of_them() -> None:
    def strings(length: int, count: int) -> Strings:
        values = np.array([f"{i:>{length}}" for i in range(count)], dtype=object)
        return Strings(values, np.arange(count, dtype=np.int64))

    assert text.has_pieces(strings(40, 1000), 1) and not text.has_pieces(strings(200, 1000), 1)
    assert not text.has_pieces(strings(40, 40_000), 1) and not text.has_pieces(strings(40, 1000), 100)
    assert not text.has_pieces(Strings(np.array([], dtype=object), np.full(5, -1, dtype=np.int64)), 1)


@pytest.mark.parametrize("outputs", [1, 3, 5])
def test_names_of_very_many_characters_are_learnt_thriftily(
    outputs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text, "PIECED_CHARACTERS_MAX", 1000)
    draw = np.random.default_rng(2)
    classes = max(2, outputs)
    y = draw.integers(0, classes, 600).astype(float)
    values = [f"w{int(one)} n{draw.integers(40)} n{draw.integers(40)}" for one in y]
    column = columns.strings_of(pd.Series(np.array(values, dtype=object)))
    task, folds = task_of("binary" if outputs == 1 else "multiclass"), np.arange(600) % 5
    task.outputs = outputs
    learnt, found = text.TextScores.learn(column, y, task, folds, 0, named=True)
    assert isinstance(learnt.model, MultinomialNB) and sum(key.startswith("topic") for key in found) > 4
    for scores in (found, learnt.apply(column)):
        told = np.column_stack([scores[f"score{j}"] for j in range(outputs)])
        guess = told[:, 0] > 0 if outputs == 1 else told.argmax(axis=1)
        assert (guess == y).mean() > 0.9
    # Sentences are learnt as before, and so are names of few characters.
    assert isinstance(text.TextScores.learn(column, y, task, folds, 0)[0].model, LogisticRegression)
    monkeypatch.setattr(text, "PIECED_CHARACTERS_MAX", 1_000_000)
    few, _ = text.TextScores.learn(column, y, task, folds, 0, named=True)
    assert isinstance(few.model, LogisticRegression)


def test_which_columns_are_learnt_thriftily(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "PIECED_CHARACTERS_MAX", 1000)
    train, y = titles(400, 1)
    train["note"] = np.array([f"one two three four five six {name}" for name in train["title"]], dtype=object)
    task = task_of("binary")
    task.text = ("title", "note")
    state, _ = lightgbm.fit_features(train, y, task=task, params={}, seed=0)
    assert isinstance(state.texts["title"].model, MultinomialNB)
    assert isinstance(state.texts["note"].model, LogisticRegression)


def test_a_class_that_a_fold_lacks_gets_the_lowest_score() -> None:
    matrix, y = np.eye(3)[[0, 0, 1, 1, 2]], np.array([0, 0, 2, 2, 2])
    scores = text._score(MultinomialNB().fit(matrix, y), matrix, 4)
    assert scores.shape == (5, 4) and (scores.argmax(axis=1) == y).all()
    np.testing.assert_array_equal(scores[:, 1], scores.min(axis=1))


# --- models of earlier versions


def without(thing: Any, **changed: Any) -> Any:
    """The thing as an earlier version pickled it: with some fields otherwise, or, if `None`, not at all."""
    state = {**thing.__dict__, **changed}
    old = object.__new__(type(thing))
    old.__dict__.update({name: value for name, value in state.items() if value is not None})
    return old


def test_tables_and_texts_of_earlier_versions_can_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "PIECED_CHARACTERS_MAX", 0)
    train = frame_of(300)
    task, y = task_of("binary"), target_of(train, "binary")
    state, _ = lightgbm.fit_features(train, y, task=task, params={"calendar": False}, seed=0)
    expected = lightgbm.features(state, train[:20], task=task)
    (words,) = state.texts["note"].weights.parts
    texts = {"note": without(state.texts["note"], weights=words, topics=None)}
    kinds = without(state.kinds, sentences=None)
    old = without(state, kinds=kinds, texts=texts, calendar=None, partners=None)
    old.kept = [name for name in state.kept if "|topic" not in name]
    found = pickle.loads(pickle.dumps(old))
    pd.testing.assert_frame_equal(lightgbm.features(found, train[:20], task=task), expected[found.names])
    assert found.kinds.sentences == ["note"] and found.sizes == state.sizes
    # A column without any word.
    empty = pickle.loads(pickle.dumps(_old_text(None)))
    assert empty.apply(columns.strings_of(train["note"])) == {}


def _old_text(weights: Any) -> Any:
    old = object.__new__(text.TextScores)
    old.__dict__.update({"weights": weights, "model": None, "outputs": 1})
    return old


def test_designs_of_earlier_versions_can_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "PIECED_CHARACTERS_MAX", 0)
    train = frame_of(300)
    task, y = task_of("binary"), target_of(train, "binary")
    state, _ = linear.fit_features(train, y, task=task, params={}, seed=0)
    (words,) = state.words["note"].parts
    base = without(state.base, calendar=None, partners=None)
    found = pickle.loads(pickle.dumps(without(state, base=base, words={"note": words})))
    expected = dense(linear.features(state, train[:20], task=task))
    np.testing.assert_array_equal(dense(linear.features(found, train[:20], task=task)), expected)
    assert linear.design.names(found) == linear.design.names(state)


def test_linear_models_of_words_try_more_belief_in_the_data() -> None:
    task = task_of("binary")
    assert linear.stages({}, task=task) == linear.stages({}) == list(linear.STRENGTHS)
    task.text = ("title",)
    stages = linear.stages({}, task=task)
    assert stages == [*linear.STRENGTHS, *linear.STRENGTHS_OF_WORDS]
    train, y = titles(300, 3)
    module, _, state, model = fitted("linear", train, y, task, {})
    assert model.strengths == tuple(stages)
    X = module.features(state, titles(50, 4)[0], task=task)
    together = module.predict_stages(model, X, task=task, stages=stages)
    assert np.abs(together[-1] - together[4]).max() > 0.01


# --- moments


def test_days_between_moments_are_columns() -> None:
    draw = np.random.default_rng(5)
    start = pd.Timestamp("2021-01-01") + pd.to_timedelta(draw.integers(0, 900, 120), unit="D")
    days = draw.integers(0, 60, 120)
    train = pd.DataFrame({"start": start, "end": start + pd.to_timedelta(days, unit="D")})
    train.loc[3, "end"] = pd.NaT
    state, X = lightgbm.fit_features(train, days.astype(float), task=task_of("regression"), params={}, seed=0)
    assert X["end|days_after_start"].iloc[:3].tolist() == days[:3].tolist()
    assert np.isnan(X["end|days_after_start"].iloc[3])
    found = lightgbm.features(state, train[:4], task=task_of("regression"))
    np.testing.assert_array_equal(found.to_numpy(), X[:4].to_numpy())
    many = pd.DataFrame(
        {f"d{k}": start + pd.to_timedelta(draw.integers(0, 60, 120), unit="D") for k in range(7)}
    )
    state, _ = lightgbm.fit_features(many, days.astype(float), task=task_of("regression"), params={}, seed=0)
    assert sum("days_after" in name for name in state.names) == 10


def visits(rows: int, seed: int) -> tuple[pd.DataFrame, np.ndarray[Any, Any]]:
    """Shops of which each has weekdays of its own that go well."""
    draw = np.random.default_rng(seed)
    when = pd.Timestamp("2022-01-03") + pd.to_timedelta(draw.integers(0, 364, rows), unit="D")
    shop = draw.integers(0, 30, rows)
    good = np.random.default_rng(0).normal(size=(30, 7))
    frame = pd.DataFrame(
        {
            "when": when,
            "shop": pd.Categorical([f"s{i}" for i in shop]),
            "open": draw.integers(0, 2, rows).astype(float),
        }
    )
    return frame, good[shop, pd.DatetimeIndex(when).day_of_week]


@pytest.mark.parametrize("name", ["lightgbm", "extra_trees"])
def test_parts_of_the_calendar_meet_columns_of_few_values(name: str) -> None:
    train, y = visits(3000, 1)
    rows, truth = visits(1000, 2)
    task, module = task_of("regression"), SOLUTIONS[name]

    def names_of(params: dict[str, Any], frame: pd.DataFrame) -> list[str]:
        state, _ = module.fit_features(frame, y, task=task, params=params, seed=0)
        return list((state.table if name == "extra_trees" else state).names)

    names = names_of({}, train)
    assert "when|weekday&shop|mean0" in names and "when|month&shop|mean0" in names
    assert "when|weekday&open|mean0" in names, "flags are met, though they are numbers"
    assert not any(part in found for found in names for part in ("|hour&", "&shop|count"))
    assert not any("&shop" in found for found in names_of({"calendar": False}, train))
    wide = train.assign(**{f"n{k}": np.arange(3000.0) ** (k / 9 + 1) for k in range(10)})
    assert not any("&shop" in found for found in names_of({}, wide))
    error = {}
    for calendar in (True, False):
        params = {**SMALL[name], "calendar": calendar}
        error[calendar] = np.abs(predicted(*fitted(name, train, y, task, params), rows)[:, 0] - truth).mean()
    assert error[True] < 0.9 * error[False]


def test_means_by_the_calendar_are_out_of_fold_and_bounded() -> None:
    train, _ = visits(600, 3)
    noise = np.random.default_rng(7).normal(size=600)
    _, X = lightgbm.fit_features(train, noise, task=task_of("regression"), params={}, seed=0)
    means = [name for name in X.columns if name.startswith("when|") and "&" in name]
    assert means
    assert max(abs(np.corrcoef(X[name], noise)[0, 1]) for name in means) < 0.25
    more = train.assign(**{f"f{k}": (np.arange(600) % (k + 2)).astype(float) for k in range(8)})
    more["then"] = train["when"] + pd.to_timedelta(np.arange(600) * 3601, unit="s")
    options = table.Options(calendar=True)
    y = (np.arange(600) % 3).astype(float)
    learnt, _ = table.learn(more, y, task=task_of("multiclass"), options=options, seed=0)
    pairs = [encoding for encoding in learnt.encodings if encoding.counts is None]
    assert len(pairs) == table.CALENDAR_MEANS_MAX // 3


def test_forests_of_many_classes_have_larger_leaves() -> None:
    draw = np.random.default_rng(8)
    X, params = draw.normal(size=(2000, 3)).astype(np.float32), {"trees": 50}
    leaf_rows = {}
    for classes in (3, 200):
        task = SimpleNamespace(problem="multiclass", metric="log_loss", outputs=classes, device="cpu")
        y = (np.arange(2000) % classes).astype(float)
        model = extra_trees.fit(X, y, task=task, params=params, seed=0, threads=1)
        leaf_rows[classes] = model.forest.min_samples_leaf
    assert leaf_rows == {3: 2, 200: 5}
