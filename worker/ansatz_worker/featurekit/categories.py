"""Numbers for categories: codes, how many other rows share a value, and the target's mean among them.

Training rows get these out of fold (each row from rows of other folds, or leaving itself out), rows that are
predicted get them from all training rows; so both have the same meaning and no row sees its own target.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from .columns import Floats, Ints, Strings

ENCODING_FOLDS = 5


@dataclass(frozen=True)
class Vocabulary:
    """The distinct strings of the training rows, the most frequent first.

    Codes: 0 … n-1 known, n missing, n+1 never seen.
    """

    levels: pd.Index

    @staticmethod
    def learn(strings: Strings) -> Vocabulary:
        """From the strings of the training rows."""
        counts = np.bincount(strings.index[strings.index >= 0], minlength=len(strings.values)).tolist()
        texts = [str(value) for value in strings.values]
        # Sorted as Python's strings: an array of them would give each the room of the longest.
        order = sorted(range(len(texts)), key=lambda i: (-counts[i], texts[i]))
        return Vocabulary(pd.Index(strings.values[order], dtype=object))

    @property
    def size(self) -> int:
        """Number of codes, with those for missing and unseen."""
        return len(self.levels) + 2

    def codes(self, strings: Strings) -> Ints:
        """A code for each row."""
        known = self.levels.get_indexer(pd.Index(strings.values, dtype=object)).astype(np.int64)
        known[known < 0] = len(self.levels) + 1
        return np.append(known, len(self.levels))[strings.index]


@dataclass(frozen=True)
class Keys:
    """Combinations of codes that occur among the training rows, as sorted whole numbers."""

    sizes: tuple[int, ...]
    known: Ints

    @staticmethod
    def join(codes: list[Ints], sizes: tuple[int, ...]) -> Ints:
        """One number for each row's combination."""
        joint = codes[0]
        for part, size in zip(codes[1:], sizes[1:], strict=True):
            joint = joint * size + part
        return joint

    @staticmethod
    def learn(codes: list[Ints], sizes: tuple[int, ...]) -> tuple[Keys, Ints]:
        """The combinations of the training rows, and which one each row has."""
        known, index = np.unique(Keys.join(codes, sizes), return_inverse=True)
        return Keys(sizes, known), index.astype(np.int64)

    def index(self, codes: list[Ints]) -> Ints:
        """Which combination each row has; the number of known ones stands for all others."""
        joint = Keys.join(codes, self.sizes)
        if len(self.known) == 0:
            return np.zeros(len(joint), dtype=np.int64)
        place = np.minimum(np.searchsorted(self.known, joint), len(self.known) - 1)
        return np.where(self.known[place] == joint, place, len(self.known)).astype(np.int64)


@dataclass(frozen=True)
class Counts:
    """How many training rows have each value, as log(1 + n)."""

    table: Floats

    @staticmethod
    def learn(index: Ints, size: int) -> tuple[Counts, Floats]:
        """The table, and for each training row the number of *other* rows with its value."""
        counts = np.bincount(index, minlength=size + 1).astype(np.float64)
        return Counts(np.log1p(counts).astype(np.float32).astype(np.float64)), np.log1p(counts[index] - 1)

    def apply(self, index: Ints) -> Floats:
        """For each row."""
        return self.table[np.minimum(index, len(self.table) - 1)]


@dataclass(frozen=True)
class TargetMeans:
    """Smoothed target means of each value, shape (values + 1, outputs); the last row is for unseen ones."""

    table: Floats

    @staticmethod
    def learn(
        index: Ints, size: int, targets: Floats, folds: Ints, smoothing: float
    ) -> tuple[TargetMeans, Floats]:
        """The table, and the out-of-fold encoding of the training rows, shape (rows, outputs).

        `targets` has shape (rows, outputs); `folds` says for each row which fold it is in.
        """
        fold_count = int(folds.max()) + 1 if len(folds) else 1
        counts = np.bincount(folds * (size + 1) + index, minlength=fold_count * (size + 1))
        counts = counts.reshape(fold_count, size + 1).astype(np.float64)
        table = np.empty((size + 1, targets.shape[1]))
        encoded = np.empty(targets.shape)
        for j in range(targets.shape[1]):
            sums = np.bincount(
                folds * (size + 1) + index, weights=targets[:, j], minlength=fold_count * (size + 1)
            )
            sums = sums.reshape(fold_count, size + 1)
            prior = float(targets[:, j].mean())
            table[:, j] = (sums.sum(0) + smoothing * prior) / (counts.sum(0) + smoothing)
            others = (sums.sum(0) - sums + smoothing * prior) / (counts.sum(0) - counts + smoothing)
            encoded[:, j] = others[folds, index]
        return TargetMeans(table), encoded

    def apply(self, index: Ints) -> Floats:
        """For each row, shape (rows, outputs)."""
        return self.table[np.minimum(index, len(self.table) - 1)]


def deal_folds(y: Floats, classification: bool, seed: int, folds: int = ENCODING_FOLDS) -> Ints:
    """Folds of equal size in random order; each class is dealt out evenly over them."""
    generator = np.random.default_rng(seed)
    order = generator.permutation(len(y))
    if classification:
        order = order[np.argsort(y[order], kind="stable")]
    result = np.empty(len(y), dtype=np.int64)
    result[order] = (np.arange(len(y)) + generator.integers(folds)) % folds
    return result


def target_columns(y: Floats, problem: str, classes: int) -> Floats:
    """The target as columns whose means mean something: one per class, or the value itself."""
    if problem == "multiclass":
        return np.asarray(y[:, None] == np.arange(classes)[None, :], dtype=np.float64)
    return y.astype(np.float64)[:, None]
