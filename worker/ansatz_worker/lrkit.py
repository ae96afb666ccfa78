"""Learning rates and regularisation that are set while training, for solutions that train by steps. Only
numpy.

- `AutoRate` (AutoLRS, Jin et al. 2021): before each stage some rates are tried for a short while from the
same state, their
  losses are forecast, and the best rate trains the whole stage.
- `HyperRate` (after FedHyper, Wang et al. 2024): the rate rises while successive updates agree and falls
while they do not.
- `cosine`: the rate falls along half a wave, as is usual.
- `TunedPenalty` (after Self-Tuning Networks, MacKay et al. 2019): a best response that is linear in the
logarithm of a penalty
  is learnt along with the weights, so that the penalty follows the validation loss without training anew.

A state is an array of numbers. `step(state, rate)` gives the state after one step and the loss seen in it,
and leaves the state that it was given as it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Step = Callable[[Floats, float], tuple[Floats, float]]

# What a diverged trial counts as, relative to the losses that did not diverge; and by how many times its
# first loss a stage's last one may lie above it.
DIVERGED_TIMES = 10.0
# Rates at which the Gaussian process is asked where to look next.
GRID = 64
# Rates that a stage is trained with before it is given up, each by so much smaller than the one before.
ATTEMPTS = 4
SHRINKAGE = 10.0


def cosine(start: float, share: float, end: float = 0.01) -> float:
    """The rate when `share` of the training is over: from `start` along half a wave down to `end` of it."""
    left = 0.5 * (1.0 + math.cos(math.pi * min(max(share, 0.0), 1.0)))
    return start * (end + (1.0 - end) * left)


def forecast(losses: Floats, at: int) -> float:
    """The loss at step `at` if an exponential decay `a exp(b t) + c` goes on as it began; never below the
    lowest seen by more
    than what was gained so far. A series that is not finite gives infinity.
    """
    losses = np.asarray(losses, dtype=np.float64)
    if len(losses) == 0 or not np.isfinite(losses).all():
        return float("inf")
    if len(losses) < 4:
        return float(losses[-1])
    t = np.arange(len(losses), dtype=np.float64)
    best: tuple[float, float] | None = None
    for decay in np.geomspace(0.05, 20.0, 40) / len(losses):
        design = np.column_stack([np.exp(-decay * t), np.ones_like(t)])
        weights, *_ = np.linalg.lstsq(design, losses, rcond=None)
        error = float(np.sum((design @ weights - losses) ** 2))
        if best is None or error < best[0]:
            best = (error, float(weights[0] * np.exp(-decay * at) + weights[1]))
    assert best is not None
    gained = max(float(losses[0] - losses.min()), 0.0)
    return float(np.clip(best[1], losses.min() - gained, max(losses.max(), losses[0])))


@dataclass
class AutoRate:
    """Chooses a constant rate for each stage by trying some for a tenth of it."""

    low: float
    high: float
    trials: int = 6
    share: float = 0.1
    chosen: list[float] = field(default_factory=list)
    """The rates of the stages so far; 0 where none was small enough."""

    def stage(self, state: Floats, steps: int, step: Step) -> tuple[Floats, list[float]]:
        """Trains a stage of `steps` steps; gives the state after it and its losses.

        What went well for a tenth of a stage may diverge later: then the stage begins anew with smaller
        rates. Where all of them diverge the stage is lost, not the training: the state before is given back,
        without losses.
        """
        rate = self.search(state, steps, step)
        for _ in range(ATTEMPTS):
            trained = _trained(state, steps, step, rate)
            if trained is not None:
                self.chosen.append(rate)
                return trained
            rate /= SHRINKAGE
        self.chosen.append(0.0)
        return state, []

    def search(self, state: Floats, steps: int, step: Step) -> float:
        """The rate that promises the lowest loss at the end of a stage that begins in `state`."""
        short = max(4, round(steps * self.share))
        low, high = np.log(self.low), np.log(self.high)
        places: list[float] = []
        values: list[float] = []
        for trial in range(self.trials):
            at = _first(trial) if trial < 3 else _next(np.array(places), _bounded(values))
            places.append(at)
            values.append(self._tried(state, steps, short, step, float(np.exp(low + at * (high - low)))))
        best = int(np.argmin(_bounded(values)))
        return float(np.exp(low + places[best] * (high - low)))

    def _tried(self, state: Floats, steps: int, short: int, step: Step, rate: float) -> float:
        losses = []
        with np.errstate(all="ignore"):
            for _ in range(short):
                state, loss = step(state, rate)
                losses.append(loss)
                if not np.isfinite(loss):
                    return float("inf")
        return forecast(np.array(losses), steps)


def _trained(state: Floats, steps: int, step: Step, rate: float) -> tuple[Floats, list[float]] | None:
    """The state after some steps and their losses; `None` where they diverge."""
    losses: list[float] = []
    with np.errstate(all="ignore"):
        for _ in range(steps):
            state, loss = step(state, rate)
            losses.append(loss)
            if not np.isfinite(loss):
                return None
    return None if not np.isfinite(state).all() or _risen(losses) else (state, losses)


def _risen(losses: list[float]) -> bool:
    """Whether losses end far above where they began."""
    if not losses:
        return False
    return losses[-1] - losses[0] > DIVERGED_TIMES * max(abs(losses[0]), 1e-300)


def _first(trial: int) -> float:
    """The middle of the range and of its halves."""
    return (0.5, 0.2, 0.8)[trial]


def _bounded(values: list[float]) -> Floats:
    """Losses with a number in place of those that diverged."""
    array = np.array(values)
    finite = array[np.isfinite(array)]
    if len(finite) == 0:
        return np.zeros(len(array))
    worst = finite.max() + DIVERGED_TIMES * max(float(np.ptp(finite)), 1e-9)
    return np.where(np.isfinite(array), array, worst)


def _next(places: Floats, values: Floats) -> float:
    """Where a Gaussian process hopes for the lowest value: mean less one deviation, on ranks so that no
    disaster rules.
    """
    ranks = np.argsort(np.argsort(values)) / max(len(values) - 1, 1)
    grid = np.linspace(0.0, 1.0, GRID)

    def kernel(a: Floats, b: Floats) -> Floats:
        return np.exp(-0.5 * ((a[:, None] - b[None, :]) / 0.2) ** 2)

    covariance = kernel(places, places) + 1e-3 * np.eye(len(places))
    cross = kernel(grid, places)
    solved = np.linalg.solve(covariance, np.column_stack([ranks - ranks.mean(), cross.T]))
    mean = ranks.mean() + cross @ solved[:, 0]
    deviation = np.sqrt(np.clip(1.0 - np.sum(cross * solved[:, 1:].T, axis=1), 0.0, None))
    return float(grid[int(np.argmin(mean - 0.7 * deviation))])


@dataclass
class HyperRate:
    """A rate that follows the agreement of successive gradients.

    `rate` is multiplied by at most `1 + strength` a step where they point the same way, and divided where
    they point against
    each other, within `[start / reach, start * reach]`.
    """

    start: float
    strength: float = 0.1
    reach: float = 100.0
    rate: float = field(init=False)
    _last: Floats | None = field(init=False, default=None, repr=False)

    def __post_init__(self) -> None:
        self.rate = self.start

    def update(self, gradient: Floats) -> float:
        """The rate for a step along this gradient. A gradient that is not finite lowers it."""
        flat = np.asarray(gradient, dtype=np.float64).ravel()
        if not np.isfinite(flat).all():
            self._last = None
            self._scale(-1.0)
            return self.rate
        if self._last is not None and self._last.shape == flat.shape:
            size = float(np.linalg.norm(flat) * np.linalg.norm(self._last))
            if size > 0.0:
                self._scale(float(flat @ self._last) / size)
        self._last = flat
        return self.rate

    def _scale(self, agreement: float) -> None:
        factor = 1.0 + self.strength * abs(agreement)
        rate = self.rate * factor if agreement > 0 else self.rate / factor
        self.rate = float(np.clip(rate, self.start / self.reach, self.start * self.reach))


@dataclass
class TunedPenalty:
    """The strength of an L2 penalty, tuned while a linear model is trained by gradients.

    Weights respond linearly to the logarithm of the penalty, `w + v * (s - log_penalty)`: both are trained
    under perturbed
    penalties, and after each `every` steps the penalty moves down the validation loss along that response.
    """

    log_penalty: float = 0.0
    spread: float = 0.5
    rate: float = 0.05
    every: int = 5
    limit: float = 12.0

    def train(
        self,
        gradient: Callable[[Floats], Floats],
        valid: Callable[[Floats], Floats],
        size: int,
        steps: int,
        rate: float,
        seed: int = 0,
    ) -> Floats:
        """Weights after `steps` steps. `gradient` and `valid` are gradients of the mean training and
        validation losses.
        """
        chance = np.random.default_rng(seed)
        weights, response = np.zeros(size), np.zeros(size)
        for at in range(steps):
            shift = float(chance.normal(0.0, self.spread))
            here = weights + response * shift
            # The penalty's own step is implicit, so that no strength of it can make the training diverge.
            penalty = float(np.exp(self.log_penalty + shift))
            there = (here - rate * gradient(here)) / (1.0 + rate * penalty)
            change = there - here
            weights = weights + change
            response = response + change * shift / max(self.spread**2, 1e-9) * 0.5
            if at % self.every == self.every - 1:
                slope = float(valid(weights) @ response)
                size_of = float(np.linalg.norm(response)) * float(np.linalg.norm(valid(weights)))
                if np.isfinite(slope) and size_of > 0.0:
                    step = float(np.clip(self.rate * slope / size_of * self.every, -0.5, 0.5))
                    self.log_penalty = float(np.clip(self.log_penalty - step, -self.limit, self.limit))
                    weights = weights - response * step
        return weights
