"""The reader process: answers `read`, `write`, `evidence` and `apply` on the control channel, one after
another.

It parses the user's files and sees the training targets, but never solution code.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansatz_worker import npy
from ansatz_worker.channel import Channel, ChannelError, Message, close_all
from ansatz_worker.errors import OrderError, Refused, failed
from ansatz_worker.reader import arrays, columns, files, parquet, profile, separated
from ansatz_worker.reader.columns import Typed
from ansatz_worker.reader.table import Notice, RawTable, short, some

OUT = Path(os.environ.get("ANSATZ_OUT", "/out"))
"""The only folder that the host collects from."""
NOTICES_MAX = 200
"""Notices of one kind of file that are kept; a file of 20,000 columns could cause as many."""


def read_table(path: Path) -> tuple[RawTable, str]:
    """The table of a file and the SHA-256 of its bytes; raises `Refused`."""
    source = files.fetch(path)
    if source.parquet:
        return parquet.parse(source.data, source.name), source.sha256
    body, notices = files.decode(source)
    table = separated.parse(body, source.name)
    table.notices[:0] = notices
    return table, source.sha256


@dataclass
class Reader:
    """The state between requests: the tables, their typed columns, and what `write` chose."""

    out: Path = OUT
    train: RawTable | None = None
    test: RawTable | None = None
    sample: RawTable | None = None
    typed: dict[str, Typed] = field(default_factory=dict)
    constant: set[str] = field(default_factory=set)
    features: arrays.Features | None = None
    target: Any = None
    problem: str = ""

    def obey(self, message: Message, descriptors: list[int]) -> Message:
        """The answer to a request; raises `Refused` or `OrderError`."""
        match message:
            case {"op": "read", "train": str(train)}:
                return self.read(Path(train), _path(message.get("test")), _path(message.get("sample")))
            case {"op": "write"}:
                return self.write(message)
            case {"op": "evidence"}:
                if len(descriptors) != 1:
                    raise OrderError("evidence needs the row numbers in one sealed descriptor")
                return self.evidence(npy.read_descriptor(descriptors[0]))
            case {"op": "apply", "file": str(file), "schema": str(schema)}:
                return self.apply(Path(file), Path(schema))
            case _:
                raise OrderError(f"no such request: {message.get('op')!r}")

    def read(self, train: Path, test: Path | None, sample: Path | None) -> Message:
        """Parses the files and writes `profile.json`."""
        self.train, digest = read_table(train)
        self.test = read_table(test)[0] if test else None
        self.sample = read_table(sample)[0] if sample else None
        self.typed, self.constant = {}, set()
        cards = []
        for name, cells in zip(self.train.names, self.train.columns, strict=True):
            other = self.test.column(name) if self.test else None
            cards.append(self._card(name, cells, other, True, self.test is None or other is not None))
        if self.test:
            for name, cells in zip(self.test.names, self.test.columns, strict=True):
                if self.train.column(name) is None:
                    cards.append(self._card(name, cells, None, False, True))
        tables = [table for table in (self.train, self.test, self.sample) if table]
        notices = [notice for table in tables for notice in table.notices]
        notices += [notice for column in self.typed.values() for notice in column.notices]
        notices += self._all_missing(cards)
        card = {
            "train_rows": self.train.rows,
            "test_rows": self.test.rows if self.test else 0,
            "columns": cards,
            "sample": self._sample_card(),
            "notices": [{"code": n.code, "message": n.message} for n in _capped(notices)],
            "data_hash": digest,
        }
        arrays.write_json(self.out / "profile.json", card)
        return {"event": "read", "profile": "profile.json"}

    def _card(
        self, name: str, cells: Any, other: Any | None, in_train: bool, in_test: bool
    ) -> dict[str, Any]:
        assert self.train is not None
        has_test = self.test is not None
        column = columns.infer(
            name, columns.together(cells, other), self.train.file if in_train else "test file"
        )
        if in_train:
            self.typed[name] = column
        rows = self.train.rows if in_train else 0
        card = profile.describe(column, rows, in_train, in_test, has_test)
        if card["kind"] == "constant":
            self.constant.add(name)
        return card

    def _all_missing(self, cards: list[dict[str, Any]]) -> list[Notice]:
        assert self.train is not None
        names = [
            f"`{short(card['name'])}`" for card in cards if card["in_train"] and card["missing_train"] >= 1.0
        ]
        if not names:
            return []
        return [
            Notice("all_missing", f"{self.train.file}: column {some(names)} has no value at all; not used")
        ]

    def _sample_card(self) -> dict[str, Any] | None:
        if self.sample is None:
            return None
        table = self.sample
        typed = [
            columns.infer(name, cells, table.file)
            for name, cells in zip(table.names, table.columns, strict=True)
        ]
        return profile.sample_card(table, typed)

    def write(self, message: Message) -> Message:
        """Writes arrays, target and ids as the host decided."""
        if self.train is None:
            raise OrderError("write came before read")
        target, identifier, excluded, wanted = choice(message)
        if target not in self.typed:
            raise Refused(
                "target_absent",
                f"{self.train.file} has no column `{short(target)}`",
                f"its columns are {some([short(name) for name in self.train.names])}",
                self.train.file,
                column=target,
            )
        self.problem = str(message.get("problem"))
        classes, notices = self._target(target, message.get("classes"))
        chosen = [
            column.as_categories() if name in wanted else column
            for name, column in self.typed.items()
            if self._is_feature(name, {target, *excluded} | ({identifier} if identifier else set()))
        ]
        rows = self.train.rows + (self.test.rows if self.test else 0)
        self.features = arrays.collect(chosen, rows)
        self.features.save(self.out, self.train.rows)
        arrays.write_json(self.out / "schema.json", self.features.schema(target, identifier))
        npy.write(self.out / "target.npy", self.target)
        arrays.write_json(self.out / "ids.json", ids(self.test, identifier))
        if self.sample:
            arrays.write_json(self.out / "sample_ids.json", ids(self.sample, identifier, first=True))
        told = [{"code": notice.code, "message": notice.message} for notice in notices]
        return {"event": "written", "classes": classes, "features": len(chosen), "notices": told}

    def _target(self, name: str, classes: list[str] | None) -> tuple[list[str] | None, list[Notice]]:
        assert self.train is not None
        column = self.typed[name]
        if self.problem in ("binary", "multiclass"):
            self.target, found, notices = arrays.class_target(
                column, self.train.rows, classes, self.train.file
            )
            return found if len(found) <= 1000 else None, notices
        if self.problem != "regression":
            raise OrderError(f"problem {self.problem!r}")
        self.target, notices = arrays.value_target(column, self.train.rows, self.train.file)
        return None, notices

    def _is_feature(self, name: str, left_out: set[str]) -> bool:
        """Columns of both files that vary; one that only the training file has cannot be used."""
        in_test = self.test is None or self.test.column(name) is not None
        return name not in left_out and name not in self.constant and in_test

    def evidence(self, rows: npy.Array) -> Message:
        """Computes evidence about leaks on the given training rows alone."""
        if self.features is None or self.train is None:
            raise OrderError("evidence came before write")
        from ansatz_worker import evidence

        if rows.ndim != 1 or (len(rows) and (rows.min() < 0 or rows.max() >= self.train.rows)):
            raise OrderError("evidence rows lie outside the training file")
        record = evidence.gather(self.features, self.train.rows, self.target, rows, self.problem)
        arrays.write_json(self.out / "evidence.json", record)
        return {"event": "evidence", "file": "evidence.json"}

    def apply(self, file: Path, schema: Path) -> Message:
        """Writes the arrays of a new file, read as the schema says."""
        record = json.loads(schema.read_text("utf-8"))
        table, features, notices = apply_schema(file, record)
        features.save(self.out, features.numeric.shape[0])
        arrays.write_json(self.out / "ids.json", ids(table, record.get("id")))
        told = [{"code": notice.code, "message": notice.message} for notice in notices]
        return {"event": "written", "rows": table.rows, "ids": "ids.json", "notices": told}


def apply_schema(file: Path, schema: dict[str, Any]) -> tuple[RawTable, arrays.Features, list[Notice]]:
    """A new file, its features read as the schema says, and notices; `Refused` for an absent column."""
    table, _ = read_table(file)
    absent = [str(record["name"]) for record in schema["columns"] if table.column(record["name"]) is None]
    if absent:
        named = some([f"`{short(name)}`" for name in absent])
        raise Refused(
            "column_absent",
            f"{table.file} lacks the column {named} that the model needs",
            "give a file with the same columns as the training file",
            table.file,
            column=absent[0],
        )
    typed = []
    for record in schema["columns"]:
        cells = table.column(record["name"])
        levels = record.get("levels") or []
        notation = record.get("notation") or columns.likely_notation(cells, record["kind"], levels)
        typed.append(columns.read_as(record["name"], cells, record["kind"], notation, levels))
    return table, arrays.collect(typed, table.rows), _capped(table.notices)


def choice(message: Message) -> tuple[str, str | None, set[str], set[str]]:
    """Target, id, excluded columns, and columns to be stored as categories of a `write`."""
    target, identifier = message.get("target"), message.get("id")
    if not isinstance(target, str) or not isinstance(identifier, str | None):
        raise OrderError("write names the target, and the id or null")
    excluded = {str(name) for name in message.get("exclude") or []}
    return target, identifier, excluded, {str(name) for name in message.get("categorical") or []}


def ids(table: RawTable | None, identifier: str | None, first: bool = False) -> list[str]:
    """Ids of a table's rows as text: of the id column, else (of the first column, or) row numbers from 0."""
    if table is None:
        return []
    cells = table.column(identifier) if identifier else None
    if cells is None and first:
        cells = table.columns[0]
    if cells is None:
        return [str(i) for i in range(table.rows)]
    return columns.raw_texts(cells)


def _capped(notices: list[Notice]) -> list[Notice]:
    if len(notices) <= NOTICES_MAX:
        return notices
    rest = Notice("more_notices", f"{len(notices) - NOTICES_MAX:,} more notices of the same kinds")
    return [*notices[:NOTICES_MAX], rest]


def _path(value: Any) -> Path | None:
    return None if value is None else Path(str(value))


def main(descriptor: int, out: Path = OUT) -> int:
    """Serves the control channel until the host says stop or leaves; the exit status."""
    reader = Reader(out)
    with Channel.from_descriptor(descriptor) as channel:
        while True:
            try:
                received = channel.receive()
            except ChannelError as error:
                channel.send(failed(OrderError(str(error))))
                continue
            if received is None or received[0].get("op") == "stop":
                return 0
            channel.send(answer(reader, *received))


def answer(reader: Reader, message: Message, descriptors: list[int]) -> Message:
    """The answer to one request, errors included."""
    try:
        return reader.obey(message, descriptors)
    except Refused as refused:
        return refused.event()
    except (
        Exception
    ) as error:  # Whatever a file provokes is told: the host decides what it means for the run.
        return failed(error)
    finally:
        close_all(descriptors)
