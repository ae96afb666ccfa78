"""Rates and penalties that are set while training, against fixed ones."""

import numpy as np
import pytest

from ansatz_worker.lrkit import AutoRate, HyperRate, TunedPenalty, cosine, forecast

SCALES = np.array([1.0, 0.3, 0.1, 0.03])


def quadratic(state, rate):
    """One step of gradient descent on a long valley."""
    gradient = SCALES * state
    return state - rate * gradient, float(0.5 * np.sum(SCALES * state**2))


def final(rate, steps):
    state = np.ones(4)
    with np.errstate(all="ignore"):
        for _ in range(steps):
            state, loss = quadratic(state, rate)
    return loss if np.isfinite(loss) else np.inf


def test_a_decay_is_forecast_and_a_divergence_is_not_hidden():
    t = np.arange(20.0)
    seen = 2.0 * np.exp(-0.08 * t) + 0.5
    assert forecast(seen, 60) == pytest.approx(2.0 * np.exp(-4.8) + 0.5, abs=0.15)
    assert forecast(np.array([1.0, np.nan, 2.0, 3.0]), 60) == np.inf
    assert forecast(np.array([0.7]), 60) == 0.7


def test_a_rate_found_on_the_way_is_as_good_as_the_best_fixed_one_of_a_grid():
    auto = AutoRate(low=1e-4, high=10.0)
    state, losses = np.ones(4), []
    for _ in range(3):
        state, stage = auto.stage(state, 40, quadratic)
        losses += stage
    grid = np.geomspace(1e-4, 10.0, 6)
    fixed = sorted(final(rate, 120) for rate in grid)
    assert losses[-1] < 3.0 * fixed[0], (losses[-1], fixed, auto.chosen)
    assert losses[-1] < fixed[1]
    assert len(auto.chosen) == 3


def test_where_every_rate_of_the_range_diverges_smaller_ones_are_tried():
    auto = AutoRate(low=500.0, high=1000.0)
    state, losses = auto.stage(np.ones(4), 1200, quadratic)
    assert auto.chosen[0] < 2.0 and len(losses) == 1200
    assert losses[-1] < 1e-3 * losses[0] and np.abs(state).max() < 0.1


def test_a_stage_that_diverges_late_and_still_finite_begins_anew():
    """Short trials see nothing of it: large rates are bearable for ten steps."""
    seen = []

    def step(state, rate):
        seen.append(rate)
        factor = 10.0 if state[1] > 10.0 and rate > 0.05 else 0.9
        return np.array([factor * state[0], state[1] + 1.0]), float(state[0])

    auto = AutoRate(low=0.1, high=1.0)
    state, losses = auto.stage(np.array([1.0, 0.0]), 40, step)
    assert auto.chosen[0] < 0.05 < max(seen)
    assert len(losses) == 40 and losses[-1] < 0.1 and state[0] < 0.1


def test_where_no_rate_trains_the_state_before_is_given_back():
    auto, before = AutoRate(low=0.1, high=1.0), np.array([1.0, 2.0])
    for broken in (
        lambda s, r: (s * np.nan, 1.0),
        lambda s, r: (s + 1.0, float("inf")),
        lambda s, r: (s * 1e200, float(s[0])),
    ):
        state, losses = auto.stage(before, 40, broken)
        assert losses == [] and np.array_equal(state, [1.0, 2.0])
    assert auto.chosen == [0.0, 0.0, 0.0]
    state, _ = auto.stage(state, 40, lambda s, r: (s * 0.9, float(s[0])))
    assert auto.chosen[-1] > 0.0 and state[0] < 0.1


def test_a_cosine_falls_from_the_start_to_its_end():
    rates = [cosine(0.4, share) for share in (0.0, 0.25, 0.5, 0.75, 1.0, 1.5)]
    assert rates[0] == pytest.approx(0.4) and rates[2] == pytest.approx(0.4 * 0.505)
    assert rates == sorted(rates, reverse=True) and rates[4] == rates[5] == pytest.approx(0.004)


def test_a_rate_that_follows_agreement_beats_the_rate_that_it_began_with():
    for start in (0.01, 0.03):
        control, state = HyperRate(start=start), np.ones(4)
        for _ in range(100):
            gradient = SCALES * state
            state = state - control.update(gradient) * gradient
        loss = float(0.5 * np.sum(SCALES * state**2))
        assert loss < 0.5 * final(start, 100), (start, loss)


def test_a_rate_that_is_too_large_falls_and_odd_gradients_lower_it():
    control, state = HyperRate(start=1.95), np.ones(4)
    for _ in range(100):
        gradient = SCALES * state
        state = state - control.update(gradient) * gradient
    assert np.isfinite(state).all() and np.abs(state).max() < 0.5
    before = control.rate
    assert control.update(np.array([np.nan])) < before


def problem(noise, seed):
    chance = np.random.default_rng(seed)
    x, v = chance.normal(size=(40, 30)), chance.normal(size=(400, 30))
    truth = np.where(np.arange(30) < 5, 1.0, 0.0)
    y, w = x @ truth + noise * chance.normal(size=40), v @ truth + noise * chance.normal(size=400)
    return (
        lambda b: x.T @ (x @ b - y) / 40,
        lambda b: v.T @ (v @ b - w) / 400,
        lambda b: float(np.mean((v @ b - w) ** 2)),
    )


def test_a_penalty_follows_the_validation_loss():
    gains = []
    for seed in range(5):
        train, valid, loss = problem(3.0, seed)
        tuned = TunedPenalty(log_penalty=-6.0)
        found = tuned.train(train, valid, 30, 1500, 0.1, seed)
        plain = np.zeros(30)
        for _ in range(1500):
            plain = (plain - 0.1 * train(plain)) / (1.0 + 0.1 * np.exp(-6.0))
        assert tuned.log_penalty > -5.0, tuned.log_penalty
        gains.append(loss(plain) / loss(found))
    assert np.mean(gains) > 1.15, gains
