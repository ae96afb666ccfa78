"""The reader process: answers `read`, `write`, `evidence` and `apply` on the control channel, one after
another.

It parses the user's files and sees the training targets, but never solution code.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansatz_worker import npy
from ansatz_worker.channel import Channel, ChannelError, Message, close_all
from ansatz_worker.errors import OrderError, Refused, failed
from ansatz_worker.reader import (
    arff,
    arrays,
    columns,
    files,
    images,
    joins,
    later,
    parquet,
    profile,
    separated,
)
from ansatz_worker.reader.columns import Typed
from ansatz_worker.reader.table import Notice, RawTable, below, short, some

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
    if arff.is_arff(body):
        table = arff.parse(body, source.name)
        table.notices[:0] = notices
        return table, source.sha256
    table = separated.parse(body, source.name)
    table.notices[:0] = notices
    return table, source.sha256


def read_parts(paths: list[Path]) -> tuple[RawTable, str]:
    """The table of several files, one below the other, and one hash of them all; raises `Refused`."""
    tables, digests = [], []
    for path in paths:
        table, digest = read_table(path)
        tables.append(table)
        digests.append(digest)
    if len(tables) == 1:
        return tables[0], digests[0]
    return below(tables), hashlib.sha256("\n".join(digests).encode()).hexdigest()


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
    tables: list[RawTable] = field(default_factory=list)
    unread: list[Notice] = field(default_factory=list)
    pictured: list[str] = field(default_factory=list)

    def obey(self, message: Message, descriptors: list[int]) -> Message:
        """The answer to a request; raises `Refused` or `OrderError`."""
        match message:
            case {"op": "read", "train": str(train)}:
                test, sample = _path(message.get("test")), _path(message.get("sample"))
                train_parts, test_parts, more = (
                    [Path(str(path)) for path in message.get(name) or []]
                    for name in ("train_parts", "test_parts", "tables")
                )
                pictures = _path(message.get("images"))
                return self.read(Path(train), test, sample, train_parts, test_parts, more, pictures)
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

    def read(
        self,
        train: Path,
        test: Path | None,
        sample: Path | None,
        train_parts: list[Path] | None = None,
        test_parts: list[Path] | None = None,
        more: list[Path] | None = None,
        pictures: Path | None = None,
    ) -> Message:
        """Parses the files and writes `profile.json`; parts are further files of the same table, more are
        other tables that may be joined, pictures the folder of the images that cells name.
        """
        self.tables, self.unread = read_more(more or [])
        self.train, digest = read_parts([train, *(train_parts or [])])
        self.test = read_parts([test, *(test_parts or [])])[0] if test else None
        self.sample = read_table(sample)[0] if sample else None
        self._describe_images(images.Images.below(pictures))
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
        profile.list_classes(cards, self.typed, self.train.rows)
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

    def _describe_images(self, found: images.Images | None) -> None:
        """Puts numbers beside columns that name image files; the names themselves are no features."""
        assert self.train is not None
        self.pictured = images.columns_of(self.train, found) if found else []
        if found is None or not self.pictured:
            return
        known: dict[str, Any] = {}
        self.train = images.added(self.train, found, self.pictured, known)
        if self.test:
            self.test = images.added(self.test, found, self.pictured, known)

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
        joined, added, told_of_joins = self._join(target)
        self.features = arrays.collect([*chosen, *added], rows, {it.name for it in added})
        self.features.save(self.out, self.train.rows)
        schema = self.features.schema(target, identifier)
        if self.pictured:
            schema["images"] = self.pictured
        if joined:
            schema["joins"] = save_joins(joined, self.out)
        arrays.write_json(self.out / "schema.json", schema)
        notices += told_of_joins
        npy.write(self.out / "target.npy", self.target)
        arrays.write_json(self.out / "ids.json", ids(self.test, identifier))
        if self.sample:
            arrays.write_json(self.out / "sample_ids.json", ids(self.sample, identifier, first=True))
        told = [{"code": notice.code, "message": notice.message} for notice in notices]
        features = len(chosen) + len(added)
        answer = {"event": "written", "classes": classes, "features": features, "notices": told}
        return answer | ({"tables": len(joined)} if joined else {})

    def _join(self, target: str) -> tuple[list[joins.Joined], list[Typed], list[Notice]]:
        """The tables that are joined, the columns that they add, and what is told about them."""
        assert self.train is not None
        if not self.tables:
            return [], [], self.unread
        train, test = self.train, self.test
        names = [name for name in train.names if test is None or test.column(name) is not None]
        moments = {
            name: self.typed[name].notation
            for name in names
            if name in self.typed and self.typed[name].kind == "datetime"
        }

        def main(name: str) -> Any:
            return columns.together(train.column(name), test.column(name) if test else None)

        joined, added, notices = joins.join(self.tables, main, names, train.rows, target, moments)
        return joined, added, [*self.unread, *notices]

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
        if name in self.pictured:
            return False
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
        table, features, notices = apply_schema(file, record, schema.parent)
        features.save(self.out, features.numeric.shape[0])
        arrays.write_json(self.out / "ids.json", ids(table, record.get("id")))
        told = [{"code": notice.code, "message": notice.message} for notice in notices]
        return {"event": "written", "rows": table.rows, "ids": "ids.json", "notices": told}


def apply_schema(
    file: Path, schema: dict[str, Any], folder: Path
) -> tuple[RawTable, arrays.Features, list[Notice]]:
    """A new file, its features read as the schema says, and notices; `Refused` for an absent column.

    Tables to join lie in the folder. A column that is written otherwise is read as it is written.
    """
    table, _ = read_table(file)
    if schema.get("images"):
        table = with_images(table, [str(name) for name in schema["images"]], file.parent)
    links = schema.get("joins") or []
    added = {str(it["name"]) for link in links for it in link["added"]}
    needed = [str(record["name"]) for record in schema["columns"] if str(record["name"]) not in added]
    needed += [str(ours) for link in links for ours, _ in link["keys"]]
    needed += [str(link["when"][0]) for link in links if link["when"]]
    absent = [name for name in dict.fromkeys(needed) if table.column(name) is None]
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
    built = joins.again(links, lambda name: read_table(folder / name)[0], table.column)
    for record in schema["columns"]:
        if record["name"] in built:
            typed.append(built[record["name"]])
            continue
        typed.append(later.read(record, table.column(record["name"]), table.file))
    notices = [*table.notices, *(notice for column in typed for notice in column.notices)]
    return table, arrays.collect(typed, table.rows, added), _capped(notices)


def read_more(paths: list[Path]) -> tuple[list[RawTable], list[Notice]]:
    """Further tables; one that cannot be read is told about and left out."""
    tables, notices = [], []
    for path in paths:
        try:
            tables.append(read_table(path)[0])
        except Refused as refused:
            notices.append(Notice("join_unused", f"{path.name} is not used: {refused.message}"))
    return tables, notices


def save_joins(joined: list[joins.Joined], out: Path) -> list[dict[str, Any]]:
    """Keeps what is needed of the joined tables, and how to join them again."""
    records = []
    for number, it in enumerate(joined):
        file = f"joined-{number}.parquet"
        parquet.save(out / file, {name: it.raw.column(name) for name in it.needed()})
        records.append(it.record(file))
    return records


PICTURES = Path("/in/images")
"""Where a cell finds images that do not lie beside the file that names them."""


def with_images(table: RawTable, chosen: list[str], beside: Path) -> RawTable:
    """A new file with numbers beside the columns that name image files; `Refused` without them."""
    absent = [short(name) for name in chosen if table.column(name) is None]
    found = images.Images.below(PICTURES if PICTURES.is_dir() else beside)
    if absent or found is None:
        what = f"lacks the column {some(absent)}" if absent else "lies beside no images"
        hint = "the model looks at images: give a file with their paths, beside the images"
        raise Refused("column_absent", f"{table.file} {what} that the model needs", hint, table.file)
    return images.added(table, found, chosen, {})


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
