"""Free text as scores: a linear model over weighted words, out of fold for the training rows.

Trees cannot use thousands of sparse word columns; a linear model can, and its score is a column for trees.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge

from .columns import Floats, Ints, Strings, Task

WORDS_MAX = 20_000
STRENGTH = 10.0
# Characters of a document that are read.
LENGTH_MAX = 20_000


def vectorizer(words_max: int = WORDS_MAX) -> TfidfVectorizer:
    """Words and pairs of words, weighted by rarity; numbers and currency signs are words too."""
    return TfidfVectorizer(
        sublinear_tf=True,
        ngram_range=(1, 2),
        min_df=2,
        max_features=words_max,
        token_pattern=r"(?u)\b\w+\b|[£$€!?]+",
    )


def documents(strings: Strings) -> list[str]:
    """The text of every row; missing is empty."""
    padded = [str(value)[:LENGTH_MAX] for value in strings.values] + [""]
    return [padded[i] for i in strings.index]


def words(weights: TfidfVectorizer, strings: Strings) -> Any:
    """The weighted words of every row, a sparse matrix."""
    return sparse.csr_matrix(weights.transform(documents(strings)))


@dataclass(frozen=True)
class TextScores:
    """Word weights and the linear model over them."""

    weights: TfidfVectorizer | None
    model: Any
    outputs: int

    @staticmethod
    def learn(
        strings: Strings, y: Floats, task: Task, folds: Ints, seed: int
    ) -> tuple[TextScores, dict[str, Floats]]:
        """The model of all training rows, and their out-of-fold scores by name."""
        weights = vectorizer()
        try:
            matrix = sparse.csr_matrix(weights.fit_transform(documents(strings)))
        except ValueError:  # no word is left, e.g. only stop marks
            return TextScores(None, None, task.outputs), {}
        scores = np.zeros((len(y), task.outputs))
        for fold in range(int(folds.max()) + 1):
            inside, outside = folds != fold, folds == fold
            if outside.any():
                scores[outside] = _score(
                    _fitted(matrix[inside], y[inside], task, seed), matrix[outside], task.outputs
                )
        model = _fitted(matrix, y, task, seed)
        return TextScores(weights, model, task.outputs), _named(scores)

    def apply(self, strings: Strings) -> dict[str, Floats]:
        """Scores of any rows by name."""
        if self.weights is None:
            return {}
        return _named(_score(self.model, words(self.weights, strings), self.outputs))


def _fitted(matrix: Any, y: Floats, task: Task, seed: int) -> Any:
    if task.problem == "regression":
        return Ridge(alpha=1.0, solver="lsqr").fit(matrix, y)
    if len(np.unique(y)) < 2:
        return None
    return LogisticRegression(C=STRENGTH, max_iter=100, random_state=seed).fit(matrix, y.astype(np.int64))


def _score(model: Any, matrix: Any, outputs: int) -> Floats:
    """One column per output; a class that the model's rows lacked gets the lowest score of the row."""
    if model is None:
        return np.zeros((matrix.shape[0], outputs))
    if isinstance(model, Ridge):
        return np.asarray(model.predict(matrix), dtype=np.float64)[:, None]
    scores = np.asarray(model.decision_function(matrix), dtype=np.float64).reshape(matrix.shape[0], -1)
    if scores.shape[1] == 1 and outputs > 1:
        scores = np.column_stack([-scores, scores])
    if scores.shape[1] == outputs:
        return scores
    full = np.repeat(scores.min(axis=1, keepdims=True), outputs, axis=1)
    full[:, model.classes_] = scores
    return full


def _named(scores: Floats) -> dict[str, Floats]:
    return {f"score{j}": scores[:, j] for j in range(scores.shape[1])}
