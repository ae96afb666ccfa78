"""The feature table for trees: numbers, parts of dates and strings, and encodings of categories.

The result is a DataFrame of float32 columns, and of pandas Categorical columns for native categories.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from . import columns, dates, strings
from .categories import Counts, Keys, TargetMeans, Vocabulary, deal_folds, target_columns
from .columns import Floats, Ints, Strings, Task
from .strings import Reading
from .text import TextScores

# A frame counts as a table of codes when at least this share of its columns are categories.
CODE_TABLE_SHARE_MIN = 0.75
CODE_TABLE_COLUMNS_MAX = 12
# Classes that get a target mean of their own; more would multiply columns without end.
ENCODED_OUTPUTS_MAX = 8
# Derived categories with more distinct values per row than this are names, not groups.
DERIVED_DISTINCT_SHARE_MAX = 0.5
# Columns that correlate more than this on a sample of this many rows are one column.
SAME_CORRELATION = 0.99999
SAMPLE_ROWS = 4000
# Comparing each column with each takes the square of their number.
COMPARED_COLUMNS_MAX = 1500
# Of more columns than this, those that correlate most with the target are kept.
KEPT_COLUMNS_MAX = 2000
# Columns of moments whose differences are taken.
COMPARED_DATES_MAX = 5
# Month, weekday and hour are combined with other columns in tables of at most this many columns …
CALENDAR_COLUMNS_MAX = 12
# … for at most this many columns of moments …
CALENDAR_DATES_MAX = 2
# … with columns of at most this many values …
CALENDAR_LEVELS_MAX = 50
# … giving at most this many columns.
CALENDAR_MEANS_MAX = 24


@dataclass(frozen=True)
class Options:
    """What the table holds."""

    # Categories of at most this many levels are kept as native categories; 0: none.
    native_levels_max: int = 0
    # Categories of more levels than this get target means.
    encode_levels_min: int = 3
    target_means: bool = True
    counts: bool = True
    # Encode combinations of categories: "auto" does so in tables of codes.
    pairs: str = "auto"
    smoothing: float = 10.0
    # Categories of at most this many levels are also written as codes, the most frequent first.
    code_levels_max: int = 32
    text: bool = True
    # Give target means to month, weekday and hour combined with columns of few values, in narrow tables.
    calendar: bool = False


@dataclass(frozen=True)
class Category:
    """A categorical column, or one derived from a column's strings by the reading's part."""

    name: str
    column: str
    part: str | None
    vocabulary: Vocabulary


@dataclass(frozen=True)
class Encoding:
    """Counts and target means of a category, or of a combination of categories."""

    name: str
    categories: tuple[str, ...]
    keys: Keys
    counts: Counts | None
    means: TargetMeans | None


@dataclass
class Table:
    """What was learnt from the training rows."""

    options: Options
    kinds: columns.Kinds
    readings: dict[str, Reading] = field(default_factory=dict)
    categories: list[Category] = field(default_factory=list)
    encodings: list[Encoding] = field(default_factory=list)
    texts: dict[str, TextScores] = field(default_factory=dict)
    native: list[str] = field(default_factory=list)
    coded: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    # Columns of moments whose parts are combined with others, and the columns of few values that they meet.
    calendar: list[str] = field(default_factory=list)
    partners: list[Category] = field(default_factory=list)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Of earlier versions, too, which had no calendar."""
        self.__dict__.update({"calendar": [], "partners": []} | state)

    @property
    def sizes(self) -> dict[str, int]:
        """Numbers of codes of categories, partners, and parts of the calendar."""
        found = {category.name: category.vocabulary.size for category in [*self.categories, *self.partners]}
        for column in self.calendar:
            found |= {f"{column}|{part}": count + 1 for part, count in dates.CALENDAR.items()}
        return found

    @property
    def names(self) -> list[str]:
        """Columns of the result, in order."""
        native = {f"{name}|code" for name in self.native}
        return [name for name in self.kept if name not in native] + [
            name for name in self.kept if name in native
        ]


def learn(
    train: pd.DataFrame, y: Floats, *, task: Task, options: Options, seed: int, log_target: bool = False
) -> tuple[Table, pd.DataFrame]:
    """The table's state, and the training rows' features with encodings out of fold."""
    y = np.log1p(y) if log_target else y
    kinds = columns.kinds(train, columns.texts_of(task))
    table = Table(options, kinds)
    seen = {name: columns.strings_of(train[name]) for name in [*kinds.strings, *_code_columns(train, kinds)]}
    for name in kinds.strings:
        reading = strings.read(seen[name], name in kinds.sentences)
        if reading is not None:
            table.readings[name] = reading
    table.categories = _learn_categories(table, seen)
    codes = codes_of(table, seen)
    _choose_forms(table)
    built = _plain_columns(table, train, seen, codes)
    folds = deal_folds(y, task.problem != "regression", seed)
    targets = target_columns(y, task.problem, task.outputs)[:, :ENCODED_OUTPUTS_MAX]
    for names in _encoded(table):
        encoding, values = _learn_encoding(table, names, codes, targets, folds, options.counts)
        table.encodings.append(encoding)
        built.update(values)
    _choose_calendar(table, train)
    codes |= _calendar_codes(table, train)
    for names in _calendar_pairs(table, codes, targets.shape[1]):
        encoding, values = _learn_encoding(table, names, codes, targets, folds, False)
        table.encodings.append(encoding)
        built.update(values)
    if options.text:
        for name in kinds.text:
            named = name not in kinds.sentences
            scores, values = TextScores.learn(seen[name], y, task, folds, seed, named)
            table.texts[name] = scores
            built.update({f"{name}|{key}": column for key, column in values.items()})
    table.kept = _most_related(built, _distinct_columns(built, seed), targets)
    if len(built) > KEPT_COLUMNS_MAX:
        wanted = set(table.kept)
        table.kinds = replace(kinds, numeric=[name for name in kinds.numeric if name in wanted])
    return table, _frame(table, built, train.index)


def apply(table: Table, rows: pd.DataFrame) -> pd.DataFrame:
    """Features of any rows, row by row."""
    names = {category.column for category in table.categories} | set(table.kinds.strings)
    seen = {name: columns.strings_of(rows[name]) for name in sorted(names)}
    codes = codes_of(table, seen)
    built = _plain_columns(table, rows, seen, codes)
    codes |= _calendar_codes(table, rows)
    for encoding in table.encodings:
        index = encoding.keys.index([codes[name] for name in encoding.categories])
        built.update(_encoded_columns(encoding, index))
    for name, scores in table.texts.items():
        built.update({f"{name}|{key}": column for key, column in scores.apply(seen[name]).items()})
    return _frame(table, built, rows.index)


def is_code_table(table: Table) -> bool:
    """Whether nearly all columns are categories, so that what matters are their combinations."""
    opaque = sum(
        category.part is None and not _is_readable(table, category.column) for category in table.categories
    )
    total = len(table.kinds.numeric) + len(table.kinds.strings) + len(table.kinds.datetime)
    return 3 <= opaque <= CODE_TABLE_COLUMNS_MAX and opaque >= CODE_TABLE_SHARE_MIN * total


def _is_readable(table: Table, column: str) -> bool:
    """Whether the strings of a column say more than which value it is."""
    reading = table.readings.get(column)
    return reading is not None and reading.is_telling


def _code_columns(train: pd.DataFrame, kinds: columns.Kinds) -> list[str]:
    return [name for name in kinds.numeric if columns.is_code(train[name].to_numpy(dtype=np.float64))]


def _learn_categories(table: Table, seen: dict[str, Strings]) -> list[Category]:
    found = []
    for name, column in seen.items():
        if name not in table.kinds.sentences:
            found.append(Category(name, name, None, Vocabulary.learn(column)))
        if name not in table.readings:
            continue
        rows = int((column.index >= 0).sum())
        for part, values in table.readings[name].categories(column.values).items():
            derived = _derived(column, values)
            groups = len(derived.values)
            if 1 < groups < min(len(column.values), DERIVED_DISTINCT_SHARE_MAX * rows):
                found.append(Category(f"{name}|{part}", name, part, Vocabulary.learn(derived)))
    return found


def _derived(column: Strings, values: columns.Objects) -> Strings:
    """The column of derived categories, given the derived value of each distinct string."""
    index, distinct = pd.factorize(values)
    return Strings(np.asarray(distinct, dtype=object), np.append(index, -1)[column.index].astype(np.int64))


def codes_of(table: Table, seen: dict[str, Strings]) -> dict[str, Ints]:
    """Codes of every category for every row."""
    parts: dict[str, dict[str, columns.Objects]] = {}
    result = {}
    for category in table.categories:
        column = seen[category.column]
        if category.part is not None:
            if category.column not in parts:
                parts[category.column] = table.readings[category.column].categories(column.values)
            column = _derived(column, parts[category.column][category.part])
        result[category.name] = category.vocabulary.codes(column)
    return result


def _choose_forms(table: Table) -> None:
    """Which categories stay native, and which are written as codes."""
    for category in table.categories:
        levels = len(category.vocabulary.levels)
        is_number = category.column in table.kinds.numeric
        if levels <= table.options.native_levels_max:
            table.native.append(category.name)
        elif levels <= table.options.code_levels_max and not is_number:
            table.coded.append(category.name)


def _plain_columns(
    table: Table, rows: pd.DataFrame, seen: dict[str, Strings], codes: dict[str, Ints]
) -> dict[str, Any]:
    """Everything that does not depend on the target."""
    built: dict[str, Any] = {name: rows[name].to_numpy(dtype=np.float64) for name in table.kinds.numeric}
    for name in table.kinds.datetime:
        built.update({f"{name}|{part}": values for part, values in dates.parts(rows[name]).items()})
    for one, other in combinations(table.kinds.datetime[:COMPARED_DATES_MAX], 2):
        built[f"{other}|days_after_{one}"] = built[f"{other}|days"] - built[f"{one}|days"]
    for name, reading in table.readings.items():
        for part, values in reading.numbers(seen[name].values).items():
            built[f"{name}|{part}"] = seen[name].spread(values)
    for category in table.categories:
        if category.name in table.native or category.name in table.coded:
            built[f"{category.name}|code"] = codes[category.name]
    return built


def _encoded(table: Table) -> list[tuple[str, ...]]:
    """The categories and combinations that get counts and target means."""
    options = table.options
    singles: list[tuple[str, ...]] = [
        (category.name,)
        for category in table.categories
        if len(category.vocabulary.levels) >= options.encode_levels_min
        and (options.target_means or options.counts)
    ]
    if options.pairs == "none" or (options.pairs == "auto" and not is_code_table(table)):
        return singles
    whole = [category.name for category in table.categories if category.part is None]
    return singles + list(combinations(whole[:CODE_TABLE_COLUMNS_MAX], 2))


def _choose_calendar(table: Table, train: pd.DataFrame) -> None:
    """Which moments are combined with which columns of few values: categories first, those of many values
    before those of few, which trees combine well enough themselves.
    """
    kinds, options = table.kinds, table.options
    width = len(kinds.numeric) + len(kinds.strings) + len(kinds.datetime)
    if not (options.calendar and options.target_means and width <= CALENDAR_COLUMNS_MAX):
        return
    if not kinds.datetime:
        return
    whole = [category for category in table.categories if category.part is None]
    known = {category.name for category in whole}
    numbers = [
        Category(name, name, None, Vocabulary.learn(columns.strings_of(train[name])))
        for name in kinds.numeric
        if name not in known and _has_few_values(train[name].to_numpy(dtype=np.float64))
    ]
    few = [category for category in whole if 1 < len(category.vocabulary.levels) <= CALENDAR_LEVELS_MAX]
    table.partners = [
        category
        for group in (few, numbers)
        for category in sorted(group, key=lambda category: -len(category.vocabulary.levels))
    ]
    table.calendar = kinds.datetime[:CALENDAR_DATES_MAX] if table.partners else []


def _has_few_values(values: Floats) -> bool:
    """Whether numbers are whole and few, as flags, ratings and small codes are."""
    distinct = np.unique(values[~np.isnan(values)])
    return 1 < len(distinct) <= CALENDAR_LEVELS_MAX and bool((distinct == np.floor(distinct)).all())


def _calendar_codes(table: Table, rows: pd.DataFrame) -> dict[str, Ints]:
    """Codes of the parts of the calendar, and of the columns that they are combined with."""
    found = {
        f"{column}|{part}": values
        for column in table.calendar
        for part, values in dates.calendar(rows[column]).items()
    }
    for partner in table.partners:
        found[partner.name] = partner.vocabulary.codes(columns.strings_of(rows[partner.column]))
    return found


def _calendar_pairs(table: Table, codes: dict[str, Ints], outputs: int) -> list[tuple[str, str]]:
    """Parts of the calendar that vary, each with each partner, as far as there is room for their means."""
    parts = [f"{column}|{part}" for column in table.calendar for part in dates.CALENDAR]
    varied = [part for part in parts if len(np.unique(codes[part][codes[part] > 0])) > 1]
    pairs = [(part, partner.name) for partner in table.partners for part in varied]
    return pairs[: CALENDAR_MEANS_MAX // outputs]


def _learn_encoding(
    table: Table,
    names: tuple[str, ...],
    codes: dict[str, Ints],
    targets: Floats,
    folds: Ints,
    counted: bool,
) -> tuple[Encoding, dict[str, Floats]]:
    sizes = table.sizes
    keys, index = Keys.learn([codes[name] for name in names], tuple(sizes[name] for name in names))
    label = "&".join(names)
    counts = means = None
    values: dict[str, Floats] = {}
    if counted:
        counts, values[f"{label}|count"] = Counts.learn(index, len(keys.known))
    if table.options.target_means:
        means, encoded = TargetMeans.learn(index, len(keys.known), targets, folds, table.options.smoothing)
        values.update({f"{label}|mean{j}": encoded[:, j] for j in range(encoded.shape[1])})
    return Encoding(label, names, keys, counts, means), values


def _encoded_columns(encoding: Encoding, index: Ints) -> dict[str, Floats]:
    values: dict[str, Floats] = {}
    if encoding.counts is not None:
        values[f"{encoding.name}|count"] = encoding.counts.apply(index)
    if encoding.means is not None:
        encoded = encoding.means.apply(index)
        values.update({f"{encoding.name}|mean{j}": encoded[:, j] for j in range(encoded.shape[1])})
    return values


def _distinct_columns(built: dict[str, Any], seed: int) -> list[str]:
    """The columns that vary and that are not, up to scale, an earlier column again."""
    names = [name for name, values in built.items() if columns.varies(np.asarray(values, dtype=np.float64))]
    if not 1 < len(names) <= COMPARED_COLUMNS_MAX:
        return names
    total = len(built[names[0]])
    sample = np.random.default_rng(seed).permutation(total)[:SAMPLE_ROWS]
    block = np.column_stack([np.asarray(built[name], dtype=np.float64)[sample] for name in names])
    low = np.nanmin(np.where(np.isnan(block), np.inf, block), axis=0)
    block = np.where(np.isnan(block), low - 1.0, block)
    block -= block.mean(axis=0)
    length = np.linalg.norm(block, axis=0)
    block /= np.where(length > 0, length, 1.0)
    same = np.asarray(np.triu(np.abs(block.T @ block) > SAME_CORRELATION, 1).any(axis=0))
    return [name for name, again in zip(names, same, strict=True) if not again]


def _most_related(built: dict[str, Any], names: list[str], targets: Floats) -> list[str]:
    """The columns that correlate most with any target column, in their order."""
    if len(names) <= KEPT_COLUMNS_MAX:
        return names
    centred = targets - targets.mean(axis=0)
    centred /= np.maximum(np.linalg.norm(centred, axis=0), 1e-12)
    strength = np.empty(len(names))
    for j, name in enumerate(names):
        values = np.asarray(built[name], dtype=np.float64)
        values = np.where(np.isnan(values), np.nanmedian(values), values)
        values = np.clip(values, *np.quantile(values, [0.01, 0.99])) if len(values) > 100 else values
        values = values - values.mean()
        strength[j] = np.abs(values @ centred).max() / max(float(np.linalg.norm(values)), 1e-12)
    best = np.sort(np.argsort(-strength, kind="stable")[:KEPT_COLUMNS_MAX])
    return [names[int(j)] for j in best]


def _frame(table: Table, built: dict[str, Any], index: pd.Index) -> pd.DataFrame:
    """The kept columns: one float32 block, then the native categories."""
    native = {f"{name}|code" for name in table.native}
    plain = [name for name in table.kept if name not in native]
    block = np.empty((len(index), len(plain)), dtype=np.float32, order="F")
    for j, name in enumerate(plain):
        block[:, j] = built[name]
    frame = pd.DataFrame(block, columns=plain, index=index, copy=False)
    sizes = {f"{category.name}|code": category.vocabulary.size for category in table.categories}
    categories = {
        name: pd.Categorical.from_codes(built[name], categories=range(sizes[name]))
        for name in table.kept
        if name in native
    }
    return frame.assign(**categories) if categories else frame
