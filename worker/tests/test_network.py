"""The small network: its learning rates, what it reports, and that a constant rate is what it always was."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from ansatz_worker.featurekit import network

SETTINGS = network.Settings(networks=2, width=8, learning_rate=0.01, weight_decay=0.03, dropout=0.1, seed=3)


def data(rows: int = 200) -> tuple[network.Singles, network.Singles]:
    draw = np.random.default_rng(1)
    X = draw.normal(size=(rows, 5)).astype(np.float32)
    y = (np.sin(X[:, :1]) + X[:, 1:2] + 0.1 * draw.normal(size=(rows, 1))).astype(np.float32)
    return X, y / y.std()


def trained(passes: list[int], report: Any = None, **changes: Any) -> list[network.Layers]:
    settings = dataclasses.replace(SETTINGS, **changes)
    return network.train(*data(), passes, "square", settings, None, report)


def loss(layers: network.Layers) -> float:
    X, y = data()
    return float(np.mean((network.raw_scores(layers, X).mean(axis=0) - y) ** 2))


def same(left: network.Layers, right: network.Layers) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(left, right, strict=True))


def by_hand(passes: int) -> network.Layers:
    """Training at one rate, without a word about rates: Adam and the average as they are in the books."""
    X, y = data()
    draw = np.random.default_rng(SETTINGS.seed)
    layers = network._start(draw, SETTINGS, X.shape[1], 1)
    average = [layer.copy() for layer in layers]
    first, second = ([np.zeros_like(layer) for layer in layers] for _ in range(2))
    batch, step, rate = 32, 0, SETTINGS.learning_rate
    keep = np.float32(1.0 - 1.0 / max(2.0, len(X) // batch))
    for _ in range(passes):
        order = draw.permutation(len(X))
        for start in range(len(X) // batch):
            some = order[start * batch : (start + 1) * batch]
            slopes, _ = network._gradients(layers, X[some], y[some], "square", SETTINGS.dropout, draw, None)
            step += 1
            now = np.float32(rate * np.sqrt(1 - 0.99**step) / (1 - 0.9**step))
            for i, slope in enumerate(slopes):
                first[i] += np.float32(1 - 0.9) * (slope - first[i])
                second[i] += np.float32(1 - 0.99) * (slope * slope - second[i])
                if i % 2 == 0:
                    layers[i] *= np.float32(1 - rate * SETTINGS.weight_decay)
                layers[i] -= now * first[i] / (np.sqrt(second[i]) + np.float32(1e-8))
            blend = min(keep, np.float32(step / (step + 9.0)))
            for mean, layer in zip(average, layers, strict=True):
                mean += (1 - blend) * (layer - mean)
    return average


def test_a_constant_rate_trains_bit_for_bit_as_if_there_were_no_schedules() -> None:
    found = trained([4, 7])
    assert same(found[0], by_hand(4)) and same(found[1], by_hand(7))
    assert same(found[1], trained([7], schedule="constant", horizon=50)[0])
    heard: list[tuple[float, ...]] = []
    assert same(found[1], trained([7], lambda *told: heard.append(told))[0])


def test_every_pass_is_reported_with_what_is_left_of_the_error() -> None:
    heard: list[Any] = []
    trained([10, 40], lambda *told: heard.append(told))
    assert [(step, of) for step, _, of in heard] == [(number, 40) for number in range(1, 41)]
    errors = [error for _, error, _ in heard]
    assert all(np.isfinite(errors)) and np.mean(errors[-5:]) < 0.5 * np.mean(errors[:2])


def test_a_training_that_diverges_says_so() -> None:
    heard: list[Any] = []
    with np.errstate(all="ignore"):
        trained([3], lambda *told: heard.append(told), learning_rate=3e38)
    assert not np.isfinite(heard[-1][1])


@pytest.mark.parametrize("schedule", ["cosine", "hypergradient"])
def test_schedules_train_otherwise_and_learn(schedule: str) -> None:
    found, plain = trained([60], schedule=schedule)[0], trained([60])[0]
    assert not same(found, plain)
    untrained = loss(trained([1], learning_rate=1e-9)[0])
    assert loss(found) < 0.5 * untrained
    assert same(found, trained([60], schedule=schedule)[0])


@pytest.mark.parametrize("schedule", ["cosine", "hypergradient"])
def test_a_training_that_is_stopped_is_the_beginning_of_a_longer_one(schedule: str) -> None:
    whole = trained([5, 20], schedule=schedule)
    assert same(whole[0], trained([5], schedule=schedule, horizon=20)[0])


def test_the_rate_of_a_cosine_falls_by_steps_and_ends_near_nothing() -> None:
    rate = network.Rate(dataclasses.replace(SETTINGS, schedule="cosine"), 100, [])
    rates = [rate.at(step) for step in range(1, 101)]
    assert rates[0] == SETTINGS.learning_rate and rates == sorted(rates, reverse=True)
    assert rates[-1] < 0.02 * rates[0]


def test_the_rate_follows_the_agreement_of_passes() -> None:
    def rate_after(places: list[float]) -> float:
        layers = [[np.full((1, 2, 2), place, dtype=np.float32)] for place in places]
        rate = network.Rate(dataclasses.replace(SETTINGS, schedule="hypergradient"), 100, layers[0])
        for layer in layers[1:]:
            rate.passed(layer)
        return rate.at(1)

    start = SETTINGS.learning_rate
    assert rate_after([0.0, 1.0]) == start
    assert rate_after([0.0, 1.0, 2.0]) == pytest.approx(start * (1 + network.PASS_STRENGTH))
    assert rate_after([0.0, 1.0, 0.0]) == pytest.approx(start / (1 + network.PASS_STRENGTH))
    assert rate_after([float(i) for i in range(60)]) == pytest.approx(start * network.PASS_REACH)


def test_a_schedule_that_nobody_knows_is_refused() -> None:
    with pytest.raises(ValueError, match="no schedule is called 'steep'"):
        trained([1], schedule="steep")
