"""Further tables beside the training and the test file: which column leads to them, what they add to a row.

A table with one row per key adds its columns; one with several adds counts, means and the like. Where both
sides have moments, only rows from before a row's own moment count. A table that covers training and test rows
unalike, and a column that bears the target's name, add nothing: they could give the answer away.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ansatz_worker.reader import columns
from ansatz_worker.reader.columns import Floats, Typed
from ansatz_worker.reader.table import Notice, RawTable, short, some

Ints = NDArray[np.int64]

COVERED_MIN = 0.3
"""Share of training rows that must find their key in a table."""
COVERED_GAP_MAX = 0.2
"""Largest difference of that share between training and test rows."""
BEFORE_MIN = 0.5
"""Share of covered rows that must have earlier rows in the table for moments to be respected."""
KEY_COLUMNS_MAX = 3
ADDED_MAX = 60
"""Columns that one table adds at most."""
ADDED_ALL_MAX = 200
LEVELS_MAX = 6
"""Values of a category whose shares are added."""
ANSWERS = ("label", "solution", "answer", "groundtruth", "submission", "prediction")
"""What tables are called that hold what is to be found out."""
DAY = 86_400.0


@dataclass
class Link:
    """How rows lead to a table: key columns on both sides, and the moments to respect."""

    table: str
    keys: list[tuple[str, str]]
    several: bool
    when: tuple[str, str, str] | None = None
    """Column of the rows, column of the table, and how the rows write it."""
    added: list[dict[str, Any]] = field(default_factory=list)
    """The added columns: name, source column, how."""

    def record(self) -> dict[str, Any]:
        """The link as JSON."""
        keys = [list(pair) for pair in self.keys]
        when = list(self.when) if self.when else None
        return {"table": self.table, "keys": keys, "several": self.several, "when": when, "added": self.added}

    @classmethod
    def parse(cls, record: dict[str, Any]) -> Link:
        """The link of a record."""
        when = record.get("when")
        when = (str(when[0]), str(when[1]), str(when[2])) if when else None
        keys = [(str(a), str(b)) for a, b in record["keys"]]
        return cls(str(record["table"]), keys, bool(record["several"]), when, list(record["added"]))


@dataclass
class Side:
    """The typed columns of one table, by name."""

    name: str
    rows: int
    columns: dict[str, Typed]


Main = Callable[[str], Any]
"""The cells of a column of the rows at hand (training, then test), or `None`."""


def plain(name: str) -> str:
    """A name's letters and digits alone, in small letters."""
    return "".join(letter for letter in name if letter.isalnum()).lower()


def candidates(names: list[str], table: RawTable, target: str, table_name: str) -> list[tuple[str, str]]:
    """Pairs of columns that could be a key: equal names, or `store` and `store_id` for a table `store` with
    an `id`.
    """
    found = []
    own = {plain(name): name for name in table.names}
    stem = plain(table_name)
    singular = stem.removesuffix("s")
    for name in names:
        if name == target:
            continue
        word = plain(name)
        if word in own:
            found.append((name, own[word]))
            continue
        for key in ("id", "key", "code", "name"):
            if key in own and word in (stem + key, singular + key, stem, singular):
                found.append((name, own[key]))
                break
    return found


def typed_side(table: RawTable, keys: dict[str, Any], name: str) -> Side:
    """A table's columns, its key columns read together with the cells of the rows that lead to it."""
    found = {}
    for column, cells in zip(table.names, table.columns, strict=True):
        other = keys.get(column)
        typed = columns.infer(column, columns.together(cells, other), table.file)
        if other is not None:
            typed = head(typed, table.rows)
        found[column] = typed
    return Side(name, table.rows, found)


def head(column: Typed, rows: int) -> Typed:
    """The first rows of a column."""
    values = None if column.values is None else column.values[:rows]
    codes = None if column.codes is None else column.codes[:rows]
    return Typed(column.name, column.kind, column.notation, values, codes, column.levels)


def numbers_of(column: Typed) -> Floats:
    """A key column as numbers, NaN where missing: equal cells are equal numbers."""
    if column.values is not None:
        return column.values
    assert column.codes is not None
    return np.where(column.codes >= 0, column.codes.astype(np.float64), np.nan)


def keyed(side: Side, main: Main, keys: list[tuple[str, str]]) -> tuple[Ints, Ints]:
    """The key of every row of the table and of every row that leads to it, as numbers from 0; -1 for none."""
    theirs = np.zeros(side.rows, dtype=np.int64)
    ours: Ints | None = None
    missing_theirs = np.zeros(side.rows, dtype=bool)
    missing_ours: NDArray[np.bool_] | None = None
    for name, column in keys:
        typed = side.columns[column]
        left = numbers_of(typed)
        cells = main(name)
        right = numbers_of(columns.read_as(name, cells, typed.kind, typed.notation, typed.levels))
        if ours is None or missing_ours is None:
            ours, missing_ours = np.zeros(len(right), dtype=np.int64), np.zeros(len(right), dtype=bool)
        missing_theirs |= np.isnan(left)
        missing_ours |= np.isnan(right)
        known = np.unique(left[~np.isnan(left)])
        place = np.searchsorted(known, np.where(np.isnan(left), 0.0, left))
        other = np.searchsorted(known, np.where(np.isnan(right), 0.0, right))
        inside = other < len(known)
        matches = np.zeros(len(right), dtype=bool)
        matches[inside] = known[other[inside]] == right[inside]
        missing_ours |= ~matches
        theirs = theirs * (len(known) + 1) + place
        ours = ours * (len(known) + 1) + np.where(matches, other, 0)
    assert ours is not None and missing_ours is not None
    distinct = np.unique(theirs[~missing_theirs])
    left_place = np.where(missing_theirs, -1, np.searchsorted(distinct, theirs))
    right_place = np.searchsorted(distinct, ours)
    inside = (right_place < len(distinct)) & ~missing_ours
    matches = inside.copy()
    matches[inside] = distinct[right_place[inside]] == ours[inside]
    return left_place.astype(np.int64), np.where(matches, right_place, -1).astype(np.int64)


def find(
    side: Side, main: Main, pairs: list[tuple[str, str]], train_rows: int, moments: dict[str, str]
) -> tuple[Link | None, str]:
    """The link of a table, and why there is none."""
    usable = []
    covered = {}
    for pair in pairs:
        typed = side.columns[pair[1]]
        if typed.kind == "text" or (typed.values is not None and fractional(typed)):
            continue
        _, ours = keyed(side, main, [pair])
        covered[pair] = float((ours[:train_rows] >= 0).mean()) if train_rows else 0.0
        if covered[pair] >= COVERED_MIN:
            usable.append(pair)
    if not usable:
        return None, "no column of the training file leads to it"
    usable.sort(
        key=lambda pair: (side.columns[pair[1]].kind == "datetime", -distinct_of(side.columns[pair[1]]))
    )
    for size in range(1, min(len(usable), KEY_COLUMNS_MAX) + 1):
        for keys in combinations(usable, size):
            theirs, ours = keyed(side, main, list(keys))
            known = theirs[theirs >= 0]
            if len(known) and len(np.unique(known)) == len(known) and alike(ours, train_rows)[0]:
                return Link(side.name, list(keys), False), ""
    best = usable[0]
    _, ours = keyed(side, main, [best])
    fits, why = alike(ours, train_rows)
    if not fits:
        return None, why
    link = Link(side.name, [best], True)
    link.when = moment_pair(side, main, best, moments)
    return link, ""


def fractional(column: Typed) -> bool:
    """Whether numbers are measured rather than counted: no key."""
    assert column.values is not None
    known = column.values[~np.isnan(column.values)]
    return bool(column.kind == "numeric" and len(known) and (known != np.floor(known)).mean() > 0.01)


def distinct_of(column: Typed) -> int:
    """Distinct values of a column."""
    values = numbers_of(column)
    return len(np.unique(values[~np.isnan(values)]))


def alike(ours: Ints, train_rows: int) -> tuple[bool, str]:
    """Whether a table covers training and test rows alike, and well enough; else why not."""
    train, test = ours[:train_rows] >= 0, ours[train_rows:] >= 0
    share = float(train.mean()) if len(train) else 0.0
    if share < COVERED_MIN:
        return False, f"it covers {share:.0%} of the training rows"
    if len(test) and abs(share - float(test.mean())) > COVERED_GAP_MAX:
        return False, f"it covers {share:.0%} of the training rows and {test.mean():.0%} of the test rows"
    return True, ""


def moment_pair(
    side: Side, main: Main, key: tuple[str, str], moments: dict[str, str]
) -> tuple[str, str, str] | None:
    """The moments to respect: those for which most rows have something earlier in the table.

    `moments` are the columns of moments that rows have, and how they write them.
    """
    theirs, ours = keyed(side, main, [key])
    for column, typed in side.columns.items():
        if typed.kind != "datetime":
            continue
        ranked = sorted(moments, key=lambda name: plain(name) != plain(column))
        for name in ranked:
            at = columns.read_as(name, main(name), "datetime", moments[name], []).values
            assert at is not None and typed.values is not None
            order = Order.of(theirs, typed.values)
            before = order.before(ours, at)
            found = ours >= 0
            if found.any() and float((before[found] > 0).mean()) >= BEFORE_MIN:
                return name, column, moments[name]
    return None


@dataclass(frozen=True)
class Order:
    """Rows of a table sorted by key and moment; `start` is where each key begins."""

    rows: Ints
    start: Ints
    moments: Floats

    @classmethod
    def of(cls, keys: Ints, moments: Floats | None) -> Order:
        """The order of a table's rows; rows without key, or without moment where there are some, are left
        out.
        """
        known = keys >= 0
        if moments is not None:
            known &= ~np.isnan(moments)
        rows = np.flatnonzero(known)
        at = np.zeros(len(rows)) if moments is None else moments[rows]
        by = np.lexsort((at, keys[rows]))
        rows, at = rows[by], at[by]
        size = int(keys.max()) + 1 if len(keys) else 0
        start = np.searchsorted(keys[rows], np.arange(size + 1))
        return cls(rows.astype(np.int64), start.astype(np.int64), at)

    def before(self, ours: Ints, at: Floats) -> Ints:
        """How many rows of a row's key lie strictly before its moment; 0 without key or moment."""
        counts = np.zeros(len(ours), dtype=np.int64)
        usable = np.flatnonzero((ours >= 0) & ~np.isnan(at))
        if not len(usable) or not len(self.rows):
            return counts
        # One search for all keys: moments become ranks, and each key a stretch of its own.
        ranks = np.unique(self.moments)
        width = len(ranks) + 1
        key_of = np.repeat(np.arange(len(self.start) - 1), np.diff(self.start))
        place = key_of * width + np.searchsorted(ranks, self.moments)
        wanted = ours[usable] * width + np.searchsorted(ranks, at[usable])
        counts[usable] = np.searchsorted(place, wanted, side="left") - self.start[ours[usable]]
        return counts


def plan(link: Link, side: Side, target: str, taken: set[str]) -> list[Notice]:
    """Decides what a table adds; the notices say what was left out."""
    keys = {column for _, column in link.keys}
    notices = []
    added: list[dict[str, Any]] = []
    same = [name for name in side.columns if plain(name) == plain(target) and name not in keys]
    if same:
        named = some([f"`{short(name)}`" for name in same])
        message = f"table `{link.table}`: its column {named} bears the target's name; left out"
        notices.append(Notice("join_target", message))

    def add(source: str | None, how: str, kind: str) -> None:
        name = f"{link.table}.{source}" if source else f"{link.table}.{how}"
        if source and how != "value":
            name = f"{name}.{how}"
        if name not in taken and len(added) < ADDED_MAX:
            taken.add(name)
            added.append({"name": name, "source": source, "how": how, "kind": kind})

    if link.several:
        add(None, "count", "numeric")
        if link.when:
            add(None, "days_since_last", "numeric")
    for name, column in side.columns.items():
        if name in keys or name in same or distinct_of(column) < 2:
            continue
        if not link.several:
            add(name, "value", column.kind)
        elif column.kind == "numeric":
            for how in ("mean", "last", "sum") if link.when else ("mean", "min", "max", "sum", "std"):
                add(name, how, "numeric")
        elif column.kind == "categorical":
            if not link.when:
                add(name, "distinct", "numeric")
            if distinct_of(column) <= LEVELS_MAX:
                for level in range(len(column.levels)):
                    add(name, f"share of {column.levels[level][:40]}", "numeric")
        elif column.kind == "datetime" and not (link.when and link.when[1] == name) and not link.when:
            add(name, "first", "datetime")
            add(name, "latest", "datetime")
    link.added = added
    return notices


def build(link: Link, side: Side, main: Main) -> list[Typed]:
    """The added columns for the rows at hand."""
    theirs, ours = keyed(side, main, link.keys)
    if not link.several:
        first = np.full(int(theirs.max()) + 2 if len(theirs) else 1, -1, dtype=np.int64)
        known = np.flatnonzero(theirs >= 0)
        first[theirs[known[::-1]]] = known[::-1]
        rows = np.where(ours >= 0, first[ours], -1)
        return [taken_from(side.columns[str(it["source"])], rows, str(it["name"])) for it in link.added]
    at: Floats | None = None
    moments: Floats | None = None
    if link.when:
        name, column, notation = link.when
        at = columns.read_as(name, main(name), "datetime", notation, []).values
        moments = side.columns[column].values
    order = Order.of(theirs, moments)
    if at is None:
        sizes = np.diff(order.start)
        counts = (
            np.where(ours >= 0, sizes[np.maximum(ours, 0)], 0)
            if len(sizes)
            else np.zeros(len(ours), np.int64)
        )
    else:
        counts = order.before(ours, at)
    groups = Groups(order, ours, counts.astype(np.int64), at)
    return [groups.column(it, side) for it in link.added]


def taken_from(column: Typed, rows: Ints, name: str) -> Typed:
    """A table's column at the rows that keys lead to; missing where there is none."""
    if column.values is not None:
        values = np.append(column.values, np.nan)[rows]
        return Typed(name, column.kind, column.notation, values=values)
    assert column.codes is not None
    codes = np.append(column.codes, np.int32(-1))[rows].astype(np.int32)
    return Typed(name, column.kind, column.notation, codes=codes, levels=column.levels)


@dataclass(frozen=True)
class Groups:
    """The rows of the table that count for each row at hand: the first `counts` of its key, in order."""

    order: Order
    ours: Ints
    counts: Ints
    at: Floats | None

    def sums(self, values: Floats) -> Floats:
        """The sum of the counting rows' values; missing ones add nothing."""
        ordered = np.nan_to_num(values[self.order.rows])
        running = np.append(0.0, np.cumsum(ordered))
        begin = self.begin()
        return np.where(self.counts > 0, running[begin + self.counts] - running[begin], 0.0)

    def begin(self) -> Ints:
        """Where each row's key begins."""
        if len(self.order.start) < 2:
            return np.zeros(len(self.ours), dtype=np.int64)
        return np.where(self.ours >= 0, self.order.start[np.maximum(self.ours, 0)], 0)

    def extreme(self, values: Floats, least: bool) -> Floats:
        """The smallest or largest value of a key; only where all of its rows count."""
        ordered = values[self.order.rows]
        filled = np.where(np.isnan(ordered), np.inf if least else -np.inf, ordered)
        starts = self.order.start[:-1]
        full = np.diff(self.order.start) > 0
        result = np.full(len(starts), np.nan)
        if full.any():
            result[full] = (np.minimum if least else np.maximum).reduceat(filled, starts[full])
        result[np.isinf(result)] = np.nan
        return np.append(result, np.nan)[np.where(self.ours >= 0, self.ours, -1)]

    def column(self, added: dict[str, Any], side: Side) -> Typed:
        """One added column."""
        name, how = str(added["name"]), str(added["how"])
        values = self.values(how, None if added["source"] is None else side.columns[str(added["source"])])
        kind = str(added["kind"])
        return Typed(name, kind, "stored" if kind == "datetime" else "plain", values=values)

    def values(self, how: str, source: Typed | None) -> Floats:
        """The values of one added column."""
        some_rows = self.counts > 0
        if how == "count":
            return self.counts.astype(np.float64)
        if how == "days_since_last":
            assert self.at is not None
            last = np.append(self.order.moments, np.nan)[
                np.where(some_rows, self.begin() + self.counts - 1, -1)
            ]
            return np.asarray((self.at - last) / DAY)
        assert source is not None
        if source.values is None:
            assert source.codes is not None
            if how == "distinct":
                return self.distinct(source)
            level = next(i for i, text in enumerate(source.levels) if how == f"share of {text[:40]}")
            share = self.sums((source.codes == level).astype(np.float64)) / np.maximum(self.counts, 1)
            return np.where(some_rows, share, np.nan)
        known = (~np.isnan(source.values)).astype(np.float64)
        number = self.sums(known)
        present = number > 0
        if how in ("min", "first"):
            return self.extreme(source.values, True)
        if how in ("max", "latest"):
            return self.extreme(source.values, False)
        if how == "last":
            rows = np.append(self.order.rows, -1)[np.where(some_rows, self.begin() + self.counts - 1, -1)]
            return np.asarray(np.append(source.values, np.nan)[rows])
        # Around their mean, so that squares lose no digits.
        centre = float(np.nanmean(source.values)) if known.any() else 0.0
        shifted = source.values - centre
        total = self.sums(shifted)
        mean = total / np.maximum(number, 1)
        if how == "sum":
            return np.where(present, total + centre * number, np.nan)
        if how == "mean":
            return np.where(present, mean + centre, np.nan)
        spread = self.sums(shifted**2) / np.maximum(number, 1) - mean**2
        return np.where(present, np.sqrt(np.maximum(spread, 0.0)), np.nan)

    def distinct(self, source: Typed) -> Floats:
        """How many different values a key has, over all of its rows."""
        assert source.codes is not None
        ordered = source.codes[self.order.rows].astype(np.int64)
        key_of = np.repeat(np.arange(len(self.order.start) - 1), np.diff(self.order.start))
        filled = ordered >= 0
        pairs = np.unique(key_of[filled] * (len(source.levels) + 1) + ordered[filled])
        counts = np.bincount(pairs // (len(source.levels) + 1), minlength=len(self.order.start) - 1)
        return np.append(counts.astype(np.float64), np.nan)[np.where(self.ours >= 0, self.ours, -1)]


@dataclass
class Joined:
    """A table that is used: the link, the table as it was read, and its typed columns."""

    link: Link
    raw: RawTable
    side: Side

    def needed(self) -> list[str]:
        """The table's columns that are needed to join it again."""
        sources = [str(it["source"]) for it in self.link.added if it["source"]]
        moments = [self.link.when[1]] if self.link.when else []
        return list(dict.fromkeys([*(column for _, column in self.link.keys), *moments, *sources]))

    def record(self, file: str) -> dict[str, Any]:
        """How to join the table again, from a file of its needed columns."""
        typed = [self.side.columns[name] for name in self.needed()]
        read = [
            {"name": it.name, "kind": it.kind, "notation": it.notation, "levels": levels_of(it)}
            for it in typed
        ]
        return self.link.record() | {"file": file, "columns": read}


def levels_of(column: Typed) -> list[str]:
    """The levels of a category, nothing for other kinds."""
    return column.levels if column.kind == "categorical" else []


def join(
    tables: list[RawTable],
    main: Main,
    names: list[str],
    train_rows: int,
    target: str,
    moments: dict[str, str],
) -> tuple[list[Joined], list[Typed], list[Notice]]:
    """The tables that are used, the columns that they add, and what is to be told about each table.

    `names` are the columns that training and test rows share; `moments` those of them that hold moments, and
    how they are written.
    """
    used: list[Joined] = []
    added: list[Typed] = []
    notices: list[Notice] = []
    taken = set(names)
    for table in tables:
        name = table.file.rsplit("/", 1)[-1].split(".", 1)[0]
        if any(word in plain(name) for word in ANSWERS):
            message = f"{table.file} is not used: its name says that it holds answers"
            notices.append(Notice("join_unused", message))
            continue
        pairs = candidates(names, table, target, name)
        cells = {column: main(ours) for ours, column in pairs}
        side = typed_side(table, cells, name)
        link, why = find(side, main, pairs, train_rows, moments)
        if link is None:
            notices.append(Notice("join_unused", f"{table.file} is not used: {why}"))
            continue
        notices += plan(link, side, target, taken)
        room = ADDED_ALL_MAX - len(added)
        link.added = link.added[:room]
        built = build(link, side, main)
        kept = [i for i, column in enumerate(built) if varies(column)]
        link.added = [link.added[i] for i in kept]
        if not kept:
            notices.append(Notice("join_unused", f"{table.file} is not used: it adds nothing that varies"))
            continue
        added += [built[i] for i in kept]
        used.append(Joined(link, table, side))
        by = " and ".join(f"`{short(ours)}`" for ours, _ in link.keys)
        rows = "several rows per key" if link.several else "one row per key"
        before = f", only rows from before `{short(link.when[0])}`" if link.when else ""
        message = f"{table.file} is joined by {by} ({rows}{before}): {len(kept)} columns"
        notices.append(Notice("join", message))
    return used, added, notices


def varies(column: Typed) -> bool:
    """Whether a column holds at least two different things, missing being one."""
    values = numbers_of(column)
    known = values[~np.isnan(values)]
    return len(np.unique(known)) + (len(known) < len(values)) > 1 and len(known) > 0


def again(records: list[dict[str, Any]], read: Callable[[str], RawTable], main: Main) -> dict[str, Typed]:
    """The added columns for other rows, from what was kept of the tables."""
    found: dict[str, Typed] = {}
    for record in records:
        table = read(str(record["file"]))
        typed = {
            str(it["name"]): columns.read_as(
                str(it["name"]), table.column(it["name"]), it["kind"], it["notation"], it["levels"]
            )
            for it in record["columns"]
        }
        side = Side(str(record["table"]), table.rows, typed)
        found |= {column.name: column for column in build(Link.parse(record), side, main)}
    return found
