"""Free text as scores and topics: a linear model over weighted words, out of fold for the training rows, and
the directions in which the texts differ most.

Trees cannot use thousands of sparse word columns; a linear model can, and its score is a column for trees.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.naive_bayes import MultinomialNB
from sklearn.utils.extmath import randomized_svd

from .columns import Floats, Ints, Strings, Task

WORDS_MAX = 20_000
PIECES_MAX = 8_000
STRENGTH = 10.0
# Characters of a document that are read.
LENGTH_MAX = 20_000
# Texts of at most this many characters on average are short: pieces of their words count too …
SHORT_CHARACTERS_MAX = 80.0
# … where all of them, once per output, have at most so many; pieces cost ten times what words cost. Names
# and titles of more characters than that are learnt thriftily: by a simpler model, in fewer topics.
PIECED_CHARACTERS_MAX = 1_000_000
# Topics of a text column, the second number from so many rows on.
TOPICS, TOPICS_OF_MANY, MANY_ROWS = 16, 32, 5_000
# Rows that each topic needs.
ROWS_PER_TOPIC = 25
# Rounds in which topics are found, the second number where thrift is wanted.
TOPIC_ROUNDS, TOPIC_ROUNDS_THRIFTY = 4, 2
# Rows that topics are found on.
TOPIC_ROWS_MAX = 20_000
# A topic weaker than this share of the strongest is rounding.
TOPIC_STRENGTH_MIN = 1e-6


def vectorizer(words_max: int = WORDS_MAX) -> TfidfVectorizer:
    """Words and pairs of words, weighted by rarity; numbers and currency signs are words too."""
    return TfidfVectorizer(
        sublinear_tf=True,
        ngram_range=(1, 2),
        min_df=2,
        max_features=words_max,
        token_pattern=r"(?u)\b\w+\b|[£$€!?]+",
    )


def pieces(pieces_max: int = PIECES_MAX) -> TfidfVectorizer:
    """Three to five characters of words, weighted by rarity: stems, endings, parts of compounds, slips."""
    return TfidfVectorizer(
        sublinear_tf=True, analyzer="char_wb", ngram_range=(3, 5), min_df=2, max_features=pieces_max
    )


def documents(strings: Strings) -> list[str]:
    """The text of every row; missing is empty."""
    padded = [str(value)[:LENGTH_MAX] for value in strings.values] + [""]
    return [padded[i] for i in strings.index]


def has_pieces(strings: Strings, outputs: int) -> bool:
    """Whether texts are short, and few enough for pieces of their words."""
    rows = int((strings.index >= 0).sum())
    is_short = _characters(strings) <= SHORT_CHARACTERS_MAX * rows
    return rows > 0 and is_short and not _are_many(strings, outputs)


def _are_many(strings: Strings, outputs: int) -> bool:
    """Whether a score for each output would be learnt from very many characters."""
    return _characters(strings) * max(1, outputs) > PIECED_CHARACTERS_MAX


def _characters(strings: Strings) -> float:
    lengths = np.array([len(str(value)) for value in strings.values], dtype=np.float64)
    return float(strings.spread(lengths, 0.0).sum())


@dataclass(frozen=True)
class Weights:
    """What weighs the words of a column, and the pieces of its words where its texts are short."""

    parts: tuple[TfidfVectorizer, ...]

    @staticmethod
    def learn(strings: Strings, outputs: int, words_max: int = WORDS_MAX) -> tuple[Weights, Any]:
        """From the training rows, with their matrix; without a part when no word is left."""
        texts = documents(strings)
        parts, blocks = [], []
        for part in [vectorizer(words_max), *([pieces()] if has_pieces(strings, outputs) else [])]:
            try:
                blocks.append(sparse.csr_matrix(part.fit_transform(texts)))
            except ValueError:  # no word is left, e.g. only stop marks
                continue
            parts.append(part)
        return Weights(tuple(parts)), _beside(blocks, len(texts))

    @staticmethod
    def of(kept: Weights | TfidfVectorizer | None) -> Weights:
        """From what this or an earlier version kept: words alone, or nothing where no word was left."""
        return kept if isinstance(kept, Weights) else Weights(() if kept is None else (kept,))

    @property
    def width(self) -> int:
        """Columns of the matrix."""
        return sum(len(part.vocabulary_) for part in self.parts)

    def apply(self, strings: Strings) -> Any:
        """The weighted words and pieces of every row, a sparse matrix."""
        texts = documents(strings)
        return _beside([sparse.csr_matrix(part.transform(texts)) for part in self.parts], len(texts))


def _beside(blocks: list[Any], rows: int) -> Any:
    if len(blocks) == 1:
        return blocks[0]
    return sparse.csr_matrix(sparse.hstack(blocks, format="csr") if blocks else (rows, 0))


@dataclass(frozen=True)
class TextScores:
    """Word weights with the linear model over them, and topics: shape (topics, words)."""

    weights: Weights
    model: Any
    topics: NDArray[np.float32]
    outputs: int

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Of earlier versions, too, which had no topics."""
        weights = Weights.of(state["weights"])
        none = np.zeros((0, weights.width), dtype=np.float32)
        self.__dict__.update({"topics": none} | state | {"weights": weights})

    @staticmethod
    def learn(
        strings: Strings, y: Floats, task: Task, folds: Ints, seed: int, named: bool = False
    ) -> tuple[TextScores, dict[str, Floats]]:
        """The model of all training rows, their out-of-fold scores, and their topics, by name. `named` says
        that the texts are names and titles rather than sentences.
        """
        thrifty = named and _are_many(strings, task.outputs)
        weights, matrix = Weights.learn(strings, task.outputs)
        topics = _topics(matrix, seed, thrifty)
        if not weights.parts:
            return TextScores(weights, None, topics, task.outputs), {}
        scores = np.zeros((len(y), task.outputs))
        for fold in range(int(folds.max()) + 1):
            inside, outside = folds != fold, folds == fold
            if outside.any():
                scores[outside] = _score(
                    _fitted(matrix[inside], y[inside], task, seed, thrifty), matrix[outside], task.outputs
                )
        model = _fitted(matrix, y, task, seed, thrifty)
        found = _named(scores, "score") | _named(_along(topics, matrix), "topic")
        return TextScores(weights, model, topics, task.outputs), found

    def apply(self, strings: Strings) -> dict[str, Floats]:
        """Scores and topics of any rows by name."""
        if not self.weights.parts:
            return {}
        matrix = self.weights.apply(strings)
        scores = _score(self.model, matrix, self.outputs)
        return _named(scores, "score") | _named(_along(self.topics, matrix), "topic")


def _topics(matrix: Any, seed: int, thrifty: bool) -> NDArray[np.float32]:
    """Directions in which the rows differ most, by a sample of them; none where there are hardly any."""
    rows = np.random.default_rng(seed).permutation(matrix.shape[0])[:TOPIC_ROWS_MAX]
    wanted = TOPICS if thrifty or matrix.shape[0] < MANY_ROWS else TOPICS_OF_MANY
    count = min(wanted, len(rows) // ROWS_PER_TOPIC, matrix.shape[1] - 1)
    if count < 2:
        return np.zeros((0, matrix.shape[1]), dtype=np.float32)
    sample = matrix[np.sort(rows)]
    rounds = TOPIC_ROUNDS_THRIFTY if thrifty else TOPIC_ROUNDS
    _, strengths, found = randomized_svd(sample, n_components=count, n_iter=rounds, random_state=seed)
    return np.asarray(found[strengths > TOPIC_STRENGTH_MIN * strengths[0]], dtype=np.float32)


def _along(topics: NDArray[np.float32], matrix: Any) -> Floats:
    """Where rows lie along the topics, shape (rows, topics); only words that occur are looked at."""
    if len(topics) == 0:
        return np.zeros((matrix.shape[0], 0))
    used = np.unique(matrix.indices)
    return np.asarray(matrix[:, used] @ topics[:, used].T.astype(np.float64), dtype=np.float64)


def _fitted(matrix: Any, y: Floats, task: Task, seed: int, thrifty: bool) -> Any:
    """The linear model over words; with thrift that of naive Bayes, which counts each word once."""
    if task.problem == "regression":
        return Ridge(alpha=1.0, solver="lsqr").fit(matrix, y)
    if len(np.unique(y)) < 2:
        return None
    if thrifty:
        return MultinomialNB().fit(matrix, y.astype(np.int64))
    return LogisticRegression(C=STRENGTH, max_iter=100, random_state=seed).fit(matrix, y.astype(np.int64))


def _score(model: Any, matrix: Any, outputs: int) -> Floats:
    """One column per output; a class that the model's rows lacked gets the lowest score of the row."""
    if model is None:
        return np.zeros((matrix.shape[0], outputs))
    if isinstance(model, Ridge):
        return np.asarray(model.predict(matrix), dtype=np.float64)[:, None]
    scores = _decisions(model, matrix)
    if scores.shape[1] == 1 and outputs > 1:
        scores = np.column_stack([-scores, scores])
    if scores.shape[1] == outputs:
        return scores
    full = np.repeat(scores.min(axis=1, keepdims=True), outputs, axis=1)
    full[:, model.classes_] = scores
    return full


def _decisions(model: Any, matrix: Any) -> Floats:
    """One column for two classes, one per class for more."""
    if not isinstance(model, MultinomialNB):
        return np.asarray(model.decision_function(matrix), dtype=np.float64).reshape(matrix.shape[0], -1)
    scores = np.asarray(model.predict_joint_log_proba(matrix), dtype=np.float64)
    if scores.shape[1] == 2:
        return np.asarray(scores[:, 1:] - scores[:, :1], dtype=np.float64)
    return np.asarray(scores - scores.mean(axis=1, keepdims=True), dtype=np.float64)


def _named(values: Floats, name: str) -> dict[str, Floats]:
    return {f"{name}{j}": values[:, j] for j in range(values.shape[1])}
