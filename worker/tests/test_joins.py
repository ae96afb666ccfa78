"""Further tables: how they are found, what they add, and what they must not give away."""

import json
from pathlib import Path

import numpy as np

from ansatz_worker.reader.serve import Reader, apply_schema

Rows = dict[str, list[object]]


def write(path: Path, rows: Rows) -> Path:
    lines = [",".join(rows)]
    lines += [
        ",".join("" if cell is None else str(cell) for cell in row)
        for row in zip(*rows.values(), strict=True)
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


def joined(
    tmp_path: Path, train: Rows, test: Rows | None, tables: dict[str, Rows]
) -> tuple[Reader, dict[str, object]]:
    """The reader after `read` and `write` with target `y`, and what `write` answered."""
    out = tmp_path / "out"
    out.mkdir(exist_ok=True)
    reader = Reader(out)
    paths = [write(tmp_path / f"{name}.csv", rows) for name, rows in tables.items()]
    held = write(tmp_path / "test.csv", test) if test else None
    reader.read(write(tmp_path / "train.csv", train), held, None, more=paths)
    answer = reader.write({"op": "write", "target": "y", "id": None, "problem": "binary", "classes": None})
    return reader, answer


def values(reader: Reader, name: str) -> list[float | str | None]:
    assert reader.features is not None
    column = next(column for column in reader.features.columns if column.name == name)
    if column.values is not None:
        return [None if np.isnan(value) else float(value) for value in column.values]
    assert column.codes is not None
    return [None if code < 0 else column.levels[code] for code in column.codes]


def told(answer: dict[str, object]) -> str:
    notices = answer["notices"]
    assert isinstance(notices, list)
    return " | ".join(f"{notice['code']}: {notice['message']}" for notice in notices)


TRAIN: Rows = {"store_id": [1, 2, 3, 1, 2, 3], "x": [5, 6, 7, 8, 9, 4], "y": [0, 1, 0, 1, 0, 1]}
TEST: Rows = {"store_id": [2, 3, 9, 1, 2, 3], "x": [1, 2, 3, 4, 5, 6]}


def test_one_row_per_key_adds_its_columns(tmp_path: Path) -> None:
    stores: Rows = {"id": [3, 2, 1, 4], "size": [30, 20, 10, 40], "kind": ["c", "b", "a", "a"]}
    reader, answer = joined(tmp_path, TRAIN, TEST, {"stores": stores})
    assert values(reader, "stores.size") == [10, 20, 30, 10, 20, 30, 20, 30, None, 10, 20, 30]
    assert values(reader, "stores.kind")[:3] == ["a", "b", "c"]
    assert "joined by `store_id` (one row per key): 2 columns" in told(answer)
    # A new file is joined alike, from what was kept.
    new = write(tmp_path / "new.csv", {"x": [1, 2], "store_id": [4, 3]})
    schema = json.loads((tmp_path / "out/schema.json").read_text())
    _, features, _ = apply_schema(new, schema, tmp_path / "out")
    by_name = {column.name: column for column in features.columns}
    assert by_name["stores.size"].values is not None and list(by_name["stores.size"].values) == [40, 30]
    kinds = by_name["stores.kind"]
    assert kinds.codes is not None and [kinds.levels[code] for code in kinds.codes] == ["a", "c"]


def test_several_rows_per_key_are_counted_and_summed_up(tmp_path: Path) -> None:
    sales: Rows = {
        "store_id": [1, 1, 1, 2, 3, 3, 8],
        "amount": [1, 2, 6, 5, None, 4, 99],
        "how": ["cash", "card", "cash", "card", "cash", "cash", "card"],
    }
    reader, answer = joined(tmp_path, TRAIN, TEST, {"sales": sales})
    assert values(reader, "sales.count") == [3, 1, 2, 3, 1, 2, 1, 2, 0, 3, 1, 2]
    assert values(reader, "sales.amount.mean")[:3] == [3, 5, 4]
    assert values(reader, "sales.amount.min")[:3] == [1, 5, 4]
    assert values(reader, "sales.amount.max")[:3] == [6, 5, 4]
    assert values(reader, "sales.amount.sum") == [9, 5, 4, 9, 5, 4, 5, 4, None, 9, 5, 4]
    share = values(reader, "sales.how.share of cash")
    assert np.allclose([share[0], share[1], share[2]], [2 / 3, 0, 1])
    assert values(reader, "sales.how.distinct")[:3] == [2, 1, 1]
    assert "several rows per key" in told(answer)


def test_only_what_was_before_counts_where_there_are_moments(tmp_path: Path) -> None:
    days = ["2024-01-05", "2024-01-05", "2024-02-01", "2024-02-10", "2024-03-01", "2024-03-01"]
    train: Rows = {"client": ["a", "b", "a", "b", "a", "b"], "day": days, "y": [0, 1, 0, 1, 0, 1]}
    orders: Rows = {
        "client": ["a", "a", "a", "b", "b"],
        "day": ["2024-01-01", "2024-02-01", "2024-02-20", "2024-01-02", "2024-02-11"],
        "amount": [10, 20, 30, 1, 2],
    }
    reader, answer = joined(tmp_path, train, None, {"orders": orders})
    assert "only rows from before `day`" in told(answer)
    # A row of the same day is not before it.
    assert values(reader, "orders.count") == [1, 1, 1, 1, 3, 2]
    assert values(reader, "orders.amount.sum") == [10, 1, 10, 1, 60, 3]
    assert values(reader, "orders.amount.last") == [10, 1, 10, 1, 30, 2]
    assert values(reader, "orders.days_since_last")[:3] == [4, 3, 31]


def test_several_columns_make_a_key(tmp_path: Path) -> None:
    train: Rows = {"store": [1, 1, 2, 2], "week": [1, 2, 1, 2], "y": [0, 1, 0, 1]}
    weather: Rows = {"store": [1, 1, 2, 2], "week": [1, 2, 1, 2], "rain": [5, 6, 7, 8]}
    reader, answer = joined(tmp_path, train, None, {"weather": weather})
    assert values(reader, "weather.rain") == [5, 6, 7, 8]
    assert "by `store` and `week`" in told(answer)


def test_what_could_give_the_answer_away_is_left_out(tmp_path: Path) -> None:
    # Only training rows find their key: what such a table says exists because the answer is known.
    reader, answer = joined(
        tmp_path,
        TRAIN,
        {"store_id": [7, 8, 9], "x": [1, 2, 3]},
        {
            "outcomes": {"store_id": [1, 2, 3], "refund": [1, 0, 1]},
            "shops": {"store_id": [1, 2, 3, 7, 8, 9], "Y": [0, 1, 0, 1, 1, 0], "size": [1, 2, 3, 4, 5, 6]},
        },
    )
    assert "outcomes.csv is not used: it covers 100% of the training rows and 0% of the test rows" in told(
        answer
    )
    assert "join_target: table `shops`: its column `Y` bears the target's name" in told(answer)
    assert reader.features is not None
    names = [column.name for column in reader.features.columns]
    assert "shops.size" in names and not any("Y" in name or "refund" in name for name in names)


def test_tables_that_lead_nowhere_do_no_harm(tmp_path: Path) -> None:
    tables: dict[str, Rows] = {
        "words": {"word": ["a", "b"], "count": [1, 2]},
        "far": {"store_id": [70, 80], "size": [1, 2]},
        "test_labels": {"store_id": [1, 2, 3, 9], "outcome": [0, 1, 1, 0]},
        "measured": {"x": [5.5, 6.25, 7.125], "z": [1, 2, 3]},
    }
    reader, answer = joined(tmp_path, TRAIN, TEST, tables)
    (tmp_path / "broken.csv").write_bytes(b"\x00\x01\x02" * 50)
    assert told(answer).count("join_unused") == 4
    assert reader.features is not None and len(reader.features.columns) == 2
    reader.read(tmp_path / "train.csv", None, None, more=[tmp_path / "broken.csv"])
    again = reader.write({"op": "write", "target": "y", "id": None, "problem": "binary", "classes": None})
    assert "broken.csv is not used" in told(again)
