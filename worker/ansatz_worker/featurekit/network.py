"""A small feed-forward network in plain numpy: two hidden layers, Adam, averaged weights; several at once.

Written out because the tables are small: a framework's overhead per step would be most of the time.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..lrkit import HyperRate, cosine
from .columns import Floats, Report

Singles = NDArray[np.float32]
Layers = list[Singles]

# Adam's memory of gradients and of their squares.
FIRST_DECAY, SECOND_DECAY = 0.9, 0.99
BATCH_ROWS_MIN, BATCH_ROWS_MAX = 32, 256
# Steps of one pass over the rows, where batches are within their bounds.
PASS_STEPS = 50
# The averaged weights remember about this share of a pass.
AVERAGE_PASSES = 1.0
SCHEDULES = ("constant", "cosine", "hypergradient")
# By this share the rate rises after a pass that goes exactly where the one before went, and falls as much
# after one that goes back …
PASS_STRENGTH = 0.3
# … but never further than this many times from where it began.
PASS_REACH = 10.0


@dataclass(frozen=True)
class Settings:
    """How networks are trained."""

    networks: int
    width: int
    learning_rate: float
    weight_decay: float
    dropout: float
    seed: int
    schedule: str = "constant"
    """How the learning rate goes: `constant`, `cosine` (it falls along half a wave) or `hypergradient` (it
    follows the agreement of successive passes)."""
    horizon: int = 0
    """Passes that a schedule is made for, where fewer are trained."""


class Rate:
    """The learning rate of each step, by the schedule of the settings."""

    def __init__(self, settings: Settings, steps: int, layers: Layers) -> None:
        if settings.schedule not in SCHEDULES:
            raise ValueError(f"no schedule is called {settings.schedule!r}")
        self._schedule, self._steps = settings.schedule, steps
        self._follower = HyperRate(settings.learning_rate, PASS_STRENGTH, PASS_REACH)
        self._place = _place(layers) if settings.schedule == "hypergradient" else np.empty(0)

    def at(self, step: int) -> float:
        """The rate of a step; the first one is 1."""
        if self._schedule == "cosine":
            return cosine(self._follower.start, (step - 1) / self._steps)
        return self._follower.rate

    def passed(self, layers: Layers) -> None:
        """Compares the way that the weights took in a pass with the way of the pass before."""
        if self._schedule == "hypergradient":
            here = _place(layers)
            self._follower.update(here - self._place)
            self._place = here


def _place(layers: Layers) -> Floats:
    return np.concatenate([layer.ravel() for layer in layers]).astype(np.float64)


def train(
    X: Singles,
    targets: Singles,
    passes: list[int],
    loss: str,
    settings: Settings,
    weight: Singles | None,
    report: Report | None = None,
) -> list[Layers]:
    """Averaged weights after each of the rising numbers of `passes`.

    `X` has shape (rows, columns), `targets` (rows, outputs): one-hot for `softmax`, 0 or 1 for `logistic`,
    standardised values for `square` and `absolute`. Each pass is reported with the mean squared slope of its
    last batch, which costs nothing and is as finite as the loss is.
    """
    draw = np.random.default_rng(settings.seed)
    rows, outputs = targets.shape
    layers = _start(draw, settings, X.shape[1], outputs)
    average = [layer.copy() for layer in layers]
    first = [np.zeros_like(layer) for layer in layers]
    second = [np.zeros_like(layer) for layer in layers]
    batch = int(np.clip(rows // PASS_STEPS, BATCH_ROWS_MIN, BATCH_ROWS_MAX))
    steps_per_pass = max(1, rows // batch)
    keep = np.float32(1.0 - 1.0 / max(2.0, AVERAGE_PASSES * steps_per_pass))
    rate = Rate(settings, max(settings.horizon, passes[-1]) * steps_per_pass, layers)
    kept, step = [], 0
    for number in range(1, passes[-1] + 1):
        order = draw.permutation(rows)
        for start in range(steps_per_pass):
            chosen = order[start * batch : (start + 1) * batch]
            slopes, slope = _gradients(
                layers, X[chosen], targets[chosen], loss, settings.dropout, draw, _some(weight, chosen)
            )
            step += 1
            _adam(layers, slopes, first, second, step, rate.at(step), settings.weight_decay)
            blend = min(keep, np.float32(step / (step + 9.0)))
            for mean, layer in zip(average, layers, strict=True):
                mean += (1 - blend) * (layer - mean)
        rate.passed(layers)
        if report is not None:
            report(number, float(np.mean(np.square(slope, dtype=np.float64))), passes[-1])
        if number in passes:
            kept.append([layer.copy() for layer in average])
    return kept


def raw_scores(layers: Layers, X: Singles) -> NDArray[np.float64]:
    """Raw outputs of every network, shape (networks, rows, outputs)."""
    found = X[None]
    for i in range(0, len(layers), 2):
        found = np.matmul(found, layers[i]) + layers[i + 1]
        if i < len(layers) - 2:
            found = np.maximum(found, 0)
    return np.asarray(found, dtype=np.float64)


def _some(weight: Singles | None, chosen: Any) -> Singles | None:
    return None if weight is None else weight[chosen]


def _start(draw: np.random.Generator, settings: Settings, columns: int, outputs: int) -> Layers:
    """Weights and offsets of each layer, shape (networks, from, to) and (networks, 1, to)."""
    sizes = [columns, settings.width, max(4, settings.width // 2), outputs]
    layers: Layers = []
    for number, (a, b) in enumerate(pairwise(sizes)):
        # Many columns of a design are nearly always zero, hence the larger start than their number suggests.
        spread = np.sqrt(2.0 / min(a, 128)) * (0.3 if number == 2 else 1.0)
        layers.append(draw.normal(scale=spread, size=(settings.networks, a, b)).astype(np.float32))
        layers.append(np.zeros((settings.networks, 1, b), dtype=np.float32))
    return layers


def _gradients(
    layers: Layers,
    X: Singles,
    targets: Singles,
    loss: str,
    dropout: float,
    draw: np.random.Generator,
    weight: Singles | None,
) -> tuple[Layers, Singles]:
    """Gradients of the mean loss by the layers, and the slopes of the single losses by the raw outputs."""
    hidden: list[Singles] = [X[None]]
    masks: list[Singles | None] = []
    for i in (0, 2):
        found = np.maximum(np.matmul(hidden[-1], layers[i]) + layers[i + 1], 0)
        mask = None
        if dropout > 0:
            mask = (draw.random(found.shape, dtype=np.float32) >= dropout).astype(np.float32) / np.float32(
                1 - dropout
            )
            found = found * mask
        masks.append(mask)
        hidden.append(found)
    raw = np.matmul(hidden[-1], layers[4]) + layers[5]
    single = slope = _slope(raw, targets, loss)
    if weight is not None:
        slope = slope * weight[None, :, None]
    slope = slope / np.float32(len(X))
    found_slopes: Layers = []
    for i in (4, 2, 0):
        before = hidden[i // 2]
        found_slopes = [
            np.matmul(np.swapaxes(before, 1, 2), slope),
            slope.sum(axis=1, keepdims=True),
            *found_slopes,
        ]
        if i:
            slope = np.matmul(slope, np.swapaxes(layers[i], 1, 2)) * (before > 0)
            mask = masks[i // 2 - 1]
            slope = slope if mask is None else slope * mask
    return found_slopes, single


def _slope(raw: Singles, targets: Singles, loss: str) -> Singles:
    """The gradient of the loss by the raw outputs."""
    if loss == "softmax":
        exponent = np.exp(raw - raw.max(axis=2, keepdims=True))
        return np.asarray(exponent / exponent.sum(axis=2, keepdims=True) - targets[None], dtype=np.float32)
    if loss == "logistic":
        return np.asarray(1 / (1 + np.exp(-np.clip(raw, -30, 30))) - targets[None], dtype=np.float32)
    if loss == "absolute":
        # Smooth within a fiftieth of a standard deviation, so that steps get small near the median.
        return np.asarray(np.clip((raw - targets[None]) * 50, -1, 1), dtype=np.float32)
    return np.asarray(raw - targets[None], dtype=np.float32)


def _adam(
    layers: Layers,
    slopes: Layers,
    first: Layers,
    second: Layers,
    step: int,
    learning_rate: float,
    weight_decay: float,
) -> None:
    """One step in place, with weight decay apart from the gradient."""
    rate = np.float32(learning_rate * np.sqrt(1 - SECOND_DECAY**step) / (1 - FIRST_DECAY**step))
    for i, (layer, slope) in enumerate(zip(layers, slopes, strict=True)):
        first[i] += np.float32(1 - FIRST_DECAY) * (slope - first[i])
        second[i] += np.float32(1 - SECOND_DECAY) * (slope * slope - second[i])
        if i % 2 == 0:
            layer *= np.float32(1 - learning_rate * weight_decay)
        layer -= rate * first[i] / (np.sqrt(second[i]) + np.float32(1e-8))
