"""Files that are refused, files that are survived, and what comes out of them."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from ansatz_worker.errors import Refused
from ansatz_worker.reader import numbers, separated, serve, table
from ansatz_worker.reader import profile as profiles

ROWS = "".join(f"{i},{i / 3:.3f},{'abc'[i % 3]}\n" for i in range(30))
PLAIN = "n,x,c\n" + ROWS


def card(
    tmp_path: Path, train: str | bytes, test: str | bytes | None = None, name: str = "train.csv"
) -> dict[str, Any]:
    """The profile of these files."""
    paths = []
    for content, file in ((train, name), (test, "test.csv")):
        path = tmp_path / file
        if content is not None:
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        paths.append(path if content is not None else None)
    assert paths[0] is not None
    serve.Reader(tmp_path).read(paths[0], paths[1], None)
    return dict(json.loads((tmp_path / "profile.json").read_text("utf-8")))


def notices(profile: dict[str, Any]) -> dict[str, str]:
    return {notice["code"]: notice["message"] for notice in profile["notices"]}


def column(profile: dict[str, Any], name: str) -> dict[str, Any]:
    return next(found for found in profile["columns"] if found["name"] == name)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "empty"),
        (b"\n \n", "empty"),
        (b"\xef\xbb\xbf", "empty"),
        (b"a,b\n", "header_only"),
        (b"a,b", "header_only"),
        (b"PK\x03\x04rest of a zip", "zip"),
        (bytes(range(256)) * 40, "binary"),
        (np.random.default_rng(0).bytes(5000), "binary"),
        (b"\x89PNG\r\n\x1a\n....", "binary"),
        (b"PAR1 but not really PAR1", "unreadable"),
        (b"\x1f\x8b damaged", "binary"),
        (gzip.compress(b"\x00\x01\x02" * 100), "binary"),
        (b"<!DOCTYPE html><html><body>log in</body></html>", "not_a_table"),
        (b'{"a": [1, 2]}', "not_a_table"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path: Path, content: bytes, code: str) -> None:
    with pytest.raises(Refused) as refused:
        card(tmp_path, content)
    event = refused.value.event()
    assert (event["code"], event["file"]) == (code, "train.csv")
    assert "train.csv" in event["message"] and "\n" not in event["message"] and event["hint"]


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    for path, code in ((tmp_path / "absent.csv", "missing"), (tmp_path, "unreadable")):
        with pytest.raises(Refused) as refused:
            serve.read_table(path)
        assert refused.value.code == code


def test_a_gzip_bomb_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bomb.csv.gz").write_bytes(gzip.compress(b"0" * 50_000_000)[:])
    with pytest.raises(Refused):
        serve.read_table(tmp_path / "bomb.csv.gz")


@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize("quote", ["", '"'])
def test_huge_fields_are_refused(tmp_path: Path, header: bool, quote: str) -> None:
    field = quote + "x" * (separated.FIELD_CHARACTERS_MAX + 10) + quote
    content = f"{field},b\n1,2\n" if header else f"a,b\n1,2\n{field},2\n"
    with pytest.raises(Refused) as refused:
        card(tmp_path, content)
    assert refused.value.code == "unreadable" and "field" in refused.value.event()["message"]
    assert len(refused.value.event()["message"]) < 300


def test_more_rows_than_can_be_held_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pyarrow.parquet.write_table(pa.table({"n": [1] * 31, "x": [2] * 31}), tmp_path / "long.parquet")
    (tmp_path / "long.csv").write_text(PLAIN)
    for name in ("long.parquet", "long.csv"):
        monkeypatch.setattr(table, "ROWS_MAX", 30)
        with pytest.raises(Refused) as refused:
            serve.read_table(tmp_path / name)
        assert refused.value.code == "too_long" and "31 rows" in refused.value.event()["message"]
        monkeypatch.setattr(table, "ROWS_MAX", 31)
        assert serve.read_table(tmp_path / name)[0].rows in (30, 31)


@pytest.mark.parametrize("separator", [",", "\t", ";", "|"])
@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
def test_separators_and_line_ends(tmp_path: Path, separator: str, ends: str) -> None:
    profile = card(tmp_path, PLAIN.replace(",", separator).replace("\n", ends))
    assert [c["name"] for c in profile["columns"]] == ["n", "x", "c"]
    assert [c["kind"] for c in profile["columns"]] == ["numeric", "numeric", "categorical"]
    assert profile["train_rows"] == 30 and profile["notices"] == []


@pytest.mark.parametrize(
    ("encoding", "told"),
    [
        ("utf-8", None),
        ("utf-8-sig", None),
        ("utf-16", "utf-16-le"),
        ("utf-16-be", "utf-16-be"),
        ("cp1252", "cp1252"),
    ],
)
def test_encodings(tmp_path: Path, encoding: str, told: str | None) -> None:
    text = "größe,stadt\n" + "".join(f"{i},Köln {i % 4}\n" for i in range(40))
    profile = card(tmp_path, text.encode(encoding))
    assert [c["name"] for c in profile["columns"]] == ["größe", "stadt"]
    assert column(profile, "stadt")["top"][0] == ["Köln 0", 10]
    assert (told in notices(profile).get("encoding", "")) if told else "encoding" not in notices(profile)


def test_quotes_keep_separators_and_line_breaks(tmp_path: Path) -> None:
    rows = "".join(f'{i},"a, ""b""\nline {i % 2}"\n' for i in range(30))
    profile = card(tmp_path, "n,text\n" + rows)
    assert profile["train_rows"] == 30
    assert column(profile, "text")["top"][0] == ['a, "b"\nline 0', 15]


def test_a_header_with_a_line_break_is_skipped_whole(tmp_path: Path) -> None:
    profile = card(tmp_path, '"a\nb",c\n' + "".join(f"{i},{i}\n" for i in range(30)))
    assert [c["name"] for c in profile["columns"]] == ["a\nb", "c"] and profile["train_rows"] == 30


def test_words_for_missing(tmp_path: Path) -> None:
    words = ["NA", "N/A", "", "null", "None", "nan", "#N/A", "NULL", " NA "]
    profile = card(
        tmp_path, "n,c\n" + "".join(f"{i},a\n" for i in range(30)) + "".join(f"1,{w}\n" for w in words)
    )
    assert column(profile, "c")["missing_train"] == pytest.approx(9 / 39)
    assert column(profile, "c")["distinct"] == 1 and column(profile, "c")["kind"] == "categorical"


def test_ragged_rows_are_kept_and_named(tmp_path: Path) -> None:
    profile = card(tmp_path, PLAIN + "100\n101,1,a,extra\n")
    assert profile["train_rows"] == 32
    assert (
        "2 of 32 rows" in notices(profile)["ragged_rows"] and "row 31, 32" in notices(profile)["ragged_rows"]
    )
    assert column(profile, "c")["missing_train"] == pytest.approx(1 / 32)


def test_row_names_without_a_header_cell(tmp_path: Path) -> None:
    profile = card(tmp_path, "x,c\n" + ROWS)
    assert [c["name"] for c in profile["columns"]] == ["row_name", "x", "c"] and "row_names" in notices(
        profile
    )


def test_duplicate_and_empty_names(tmp_path: Path) -> None:
    profile = card(tmp_path, "a,a,,a.2\n" + "".join(f"{i},{i},{i},{i}\n" for i in range(30)))
    assert [c["name"] for c in profile["columns"]] == ["a", "a.3", "column_3", "a.2"]
    assert {"duplicate_columns", "unnamed_columns"} <= notices(profile).keys()


def test_an_all_missing_column_is_constant_and_said(tmp_path: Path) -> None:
    profile = card(tmp_path, "n,e\n" + "".join(f"{i},\n" for i in range(30)))
    assert column(profile, "e")["kind"] == "constant" and "`e`" in notices(profile)["all_missing"]


def test_strange_names_survive(tmp_path: Path) -> None:
    names = ["=cmd()", "<script>alert(1)</script>", "x" * 10_000, "import os", "a'b\"c"]
    header = ",".join('"' + name.replace('"', '""') + '"' for name in names)
    profile = card(tmp_path, header + "\n" + "".join(",".join([str(i)] * 5) + "\n" for i in range(30)))
    assert [c["name"] for c in profile["columns"]] == names


def test_mixed_types_are_read_as_numbers_when_nearly_all_are(tmp_path: Path) -> None:
    cells = [str(i) for i in range(200)]
    cells[150] = "broken"
    profile = card(tmp_path, "n,x\n" + "".join(f"{i},{cell}\n" for i, cell in enumerate(cells)))
    assert column(profile, "x")["kind"] == "numeric"
    assert "`broken`" in notices(profile)["mixed_types"] and "row 151" in notices(profile)["mixed_types"]
    half = card(tmp_path, "n,x\n" + "".join(f"{i},{'ab' if i % 2 else i % 7}\n" for i in range(60)))
    assert column(half, "x")["kind"] == "categorical"


def test_placeholders_in_numbers_are_missing(tmp_path: Path) -> None:
    profile = card(tmp_path, "n,x\n" + "".join(f"{i},{'?' if i % 3 == 0 else i}\n" for i in range(60)))
    assert column(profile, "x")["kind"] == "numeric" and column(profile, "x")[
        "missing_train"
    ] == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("cells", "first"),
    [
        (["1,234.50", "1,000", "12"], 1234.5),
        (["1,234,567", "1,000,000", "5"], 1234567.0),
        (["+3", "4e2", "-.5"], 3.0),
        (["1.5", "inf", "2.5"], 1.5),
    ],
)
def test_notations_of_numbers(tmp_path: Path, cells: list[str], first: float) -> None:
    lines = "".join(f"{i}\t{cells[i % len(cells)]}\n" for i in range(60))
    profile = card(tmp_path, "n\tx\n" + lines)
    assert column(profile, "x")["kind"] == "numeric"
    assert [c for c in column(profile, "x")["top"] if float(c[0]) == first]


def test_decimal_commas_and_ambiguous_commas(tmp_path: Path) -> None:
    profile = card(tmp_path, "n;x\n" + "".join(f"{i};{i},5\n" for i in range(60)))
    assert column(profile, "x")["max"] == 59.5
    profile = card(tmp_path, "n;x\n" + "".join(f"{i};{i % 9 + 1},234\n" for i in range(60)))
    assert column(profile, "x")["kind"] == "categorical"


@pytest.mark.parametrize(
    ("text", "iso"),
    [
        ("2014/6/24 16:34", "2014-06-24 16:34:00"),
        ("2014-06-24", "2014-06-24"),
        ("2014-06-24T16:34:05Z", "2014-06-24 16:34:05"),
        ("2014-06-24T16:34:05.250+02:00", "2014-06-24 14:34:05"),
        ("24.06.2014", "2014-06-24"),
        ("24.06.2014 16:34", "2014-06-24 16:34:00"),
        ("6/24/2014", "2014-06-24"),
        ("24/6/14", "2014-06-24"),
        ("6/24/2014 4:34 PM", "2014-06-24 16:34:00"),
        ("24 June 2014", "2014-06-24"),
        ("24-Jun-14", "2014-06-24"),
        ("Jun 24, 2014", "2014-06-24"),
        ("2014-06", "2014-06-01"),
    ],
)
def test_notations_of_moments(tmp_path: Path, text: str, iso: str) -> None:
    others = {"2014-06": ["2014-07"]}.get(text, [text.replace("24", "25")])
    lines = "".join(f'{i},"{text if i % 3 else others[0]}"\n' for i in range(60))
    profile = card(tmp_path, "n,d\n" + lines)
    assert column(profile, "d")["kind"] == "datetime", column(profile, "d")
    assert column(profile, "d")["top"][0][0] == iso


@pytest.mark.parametrize("text", ["16:34", "1.2.3.4", "2014-13-45", "12-345", "R2-14", "may be"])
def test_what_is_no_moment(tmp_path: Path, text: str) -> None:
    profile = card(tmp_path, "n,d\n" + "".join(f"{i},{text if i % 2 else text + 'x'}\n" for i in range(60)))
    assert column(profile, "d")["kind"] == "categorical"


def test_days_that_do_not_exist_are_missing(tmp_path: Path) -> None:
    dates = [f"2015-{1 + i % 12:02}-{1 + i % 28:02}" for i in range(200)]
    dates[10] = "2015-02-30"
    profile = card(tmp_path, "n,d\n" + "".join(f"{i},{d}\n" for i, d in enumerate(dates)))
    assert column(profile, "d")["kind"] == "datetime" and "2015-02-30" in notices(profile)["mixed_types"]


def test_texts_and_categories(tmp_path: Path) -> None:
    lines = "".join(f"a remark about thing {i} and more,K{i},kind of {i % 3}\n" for i in range(100))
    profile = card(tmp_path, "remark,key,kind\n" + lines)
    assert [c["kind"] for c in profile["columns"]] == ["text", "categorical", "categorical"]
    assert column(profile, "remark")["mean_length"] > 20


def test_truth_values_in_several_spellings(tmp_path: Path) -> None:
    cells = ["true", "TRUE", "False", "false"]
    profile = card(tmp_path, "n,b\n" + "".join(f"{i},{cells[i % 4]}\n" for i in range(60)))
    assert sorted(text for text, _ in column(profile, "b")["top"]) == ["False", "True"]


@pytest.mark.parametrize(
    ("cells", "shown"), [(["yes", "no"], ["no", "yes"]), (["Yes", "yes", "NO"], ["No", "Yes"])]
)
def test_words_for_yes_and_no(tmp_path: Path, cells: list[str], shown: list[str]) -> None:
    lines = "".join(f"{i},{cells[i % len(cells)]},{i % 2}\n" for i in range(60))
    assert sorted(text for text, _ in column(card(tmp_path, "n,b,y\n" + lines), "b")["top"]) == shown
    _, files = written(tmp_path, "n,b,y\n" + lines, None, target="y", problem="binary")
    described = next(c for c in files["schema"]["columns"] if c["name"] == "b")
    assert (described["notation"], described["levels"]) == ("truth", shown)


def test_whole_numbers_that_are_all_dates_are_moments(tmp_path: Path) -> None:
    dates = [f"2015{1 + i % 12:02}{1 + i % 28:02}" for i in range(60)]
    found = column(card(tmp_path, "n,d\n" + "".join(f"{i},{d}\n" for i, d in enumerate(dates))), "d")
    assert found["kind"] == "datetime" and "2015-01-01" in [text for text, _ in found["top"]]
    dates[3] = "20150231"
    found = column(card(tmp_path, "n,d\n" + "".join(f"{i},{d}\n" for i, d in enumerate(dates))), "d")
    assert found["kind"] == "numeric" and found["whole"]
    stored = pa.table({"d": [20240101 + i % 20 for i in range(40)]})
    pyarrow.parquet.write_table(stored, tmp_path / "d.parquet")
    found = column(card(tmp_path, (tmp_path / "d.parquet").read_bytes(), name="e.parquet"), "d")
    assert found["kind"] == "datetime" and found["min"] == 1704067200.0


def test_all_values_of_columns_that_may_hold_classes_are_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = "".join(f"k{i % 40},{i % 200},{i / 7:.3f},{i},{i % 90}\n" for i in range(1200))
    profile = card(tmp_path, "c,whole,broken,many,y\n" + body)
    listed = {c["name"]: len(c["top"]) for c in profile["columns"]}
    assert listed == {"c": 40, "whole": 200, "broken": 30, "many": 30, "y": 90}
    assert column(profile, "y")["top"][0] == ["0", 14] and column(profile, "y")["top"][-1] == ["89", 13]
    # Where there is no room for all, what only the training file has goes first.
    monkeypatch.setattr(profiles, "TOP_ALL_MAX", 100)
    test = "c,whole,broken,many\n" + "".join(f"k{i % 40},{i % 200},{i / 7:.3f},{i}\n" for i in range(90))
    profile = card(tmp_path, "c,whole,broken,many,y\n" + body, test)
    assert [len(c["top"]) for c in profile["columns"]] == [30, 30, 30, 30, 90]


def test_long_ids_keep_all_their_digits(tmp_path: Path) -> None:
    whole, large = [10**15 + 1, 1234567890123456789, None], [2**64 - 1, 7, None]
    columns = {"id": pa.array(whole, pa.int64()), "large": pa.array(large, pa.uint64())}
    pyarrow.parquet.write_table(pa.table(columns), tmp_path / "ids.parquet")
    read, _ = serve.read_table(tmp_path / "ids.parquet")
    assert serve.ids(read, "id") == ["1000000000000001", "1234567890123456789", ""]
    assert serve.ids(read, "large") == ["18446744073709551615", "7", ""]
    assert numbers.canonical(1e15 + 1) == "1000000000000001" and numbers.canonical(2.5) == "2.5"
    for text in ("1234567890123456789", "00001234567890123456"):
        assert numbers.canonical_text(f" {text} ") == text
    assert [numbers.canonical_text(text) for text in ("1", "1.0", " 1", "007")] == ["1", "1", "1", "7"]


def test_types_are_decided_on_both_files(tmp_path: Path) -> None:
    test = "n,c\n" + "".join(f"{i},A{i % 3}\n" for i in range(30))
    profile = card(tmp_path, "n,c,y\n" + "".join(f"{i},{i % 3},1\n" for i in range(30)), test)
    assert column(profile, "c")["kind"] == "categorical" and column(profile, "c")["test_overlap"] == 0.0
    assert not column(profile, "y")["in_test"] and profile["test_rows"] == 30


def test_parquet_equals_csv(tmp_path: Path) -> None:
    table = pa.table(
        {
            "n": pa.array(range(40), pa.int64()),
            "x": pa.array([i / 4 if i % 5 else None for i in range(40)]),
            "c": pa.array(["ab"[i % 2] for i in range(40)]).dictionary_encode(),
            "b": pa.array([i % 2 == 0 for i in range(40)]),
            "t": pa.array([i * 86_400_000 for i in range(40)], pa.timestamp("ms")),
            "list": pa.array([[i] for i in range(40)]),
        }
    )
    pyarrow.parquet.write_table(table, tmp_path / "train.parquet")
    profile = card(tmp_path, (tmp_path / "train.parquet").read_bytes(), name="again.parquet")
    kinds = [c["kind"] for c in profile["columns"]]
    assert kinds == ["numeric", "numeric", "categorical", "categorical", "datetime", "categorical"]
    assert column(profile, "x")["missing_train"] == 0.2 and column(profile, "t")["max"] == 39 * 86400


def test_the_hash_is_that_of_the_file(tmp_path: Path) -> None:
    import hashlib

    data = gzip.compress(PLAIN.encode())
    assert card(tmp_path, data, name="train.csv.gz")["data_hash"] == hashlib.sha256(data).hexdigest()


def test_many_columns(tmp_path: Path) -> None:
    width = 3000
    body = "".join(",".join(str((i * j) % 7) for j in range(width)) + "\n" for i in range(25))
    profile = card(tmp_path, ",".join(f"c{j}" for j in range(width)) + "\n" + body)
    assert len(profile["columns"]) == width and column(profile, "c1")["distinct"] == 7


# --- write


def written(
    tmp_path: Path, train: str, test: str | None, **wish: Any
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The answer to `write` and the files that it left."""
    (tmp_path / "train.csv").write_text(train)
    if test:
        (tmp_path / "test.csv").write_text(test)
    reader = serve.Reader(tmp_path)
    reader.read(tmp_path / "train.csv", tmp_path / "test.csv" if test else None, None)
    answer = reader.obey(
        {"op": "write", "id": None, "exclude": [], "classes": None, "categorical": [], **wish}, []
    )
    files: dict[str, Any] = {p.stem: json.loads(p.read_text("utf-8")) for p in tmp_path.glob("*.json")}
    files |= {p.stem: np.load(p) for p in tmp_path.glob("*.npy")}
    return answer, files


def test_arrays_of_both_files(tmp_path: Path) -> None:
    train = "id,x,c,k,y,only\n" + "".join(
        f"0{i},{i}.5,{'ab'[i % 2]},{i % 3},{i % 2},9{i}\n" for i in range(30)
    )
    test = "id,x,c,k\n101,7,z,2\n102,,a,\n"
    answer, files = written(tmp_path, train, test, target="y", id="id", problem="binary", categorical=["k"])
    assert answer == {"event": "written", "classes": ["0", "1"], "features": 3, "notices": []}
    places = [(c["name"], c["kind"], c["store"], c["index"]) for c in files["table"]["columns"]]
    assert places == [
        ("x", "numeric", "numeric", 0),
        ("c", "categorical", "codes", 0),
        ("k", "categorical", "codes", 1),
    ]
    assert files["numeric"].flags.f_contiguous and files["codes"].dtype == np.int32
    assert files["numeric"][30:, 0].tolist()[0] == 7.0 and np.isnan(files["numeric"][31, 0])
    assert files["levels"] == [["a", "b", "z"], ["0", "1", "2"]]
    assert files["codes"][30:].tolist() == [[2, 2], [0, -1]]
    assert files["target"].tolist()[:3] == [0.0, 1.0, 0.0] and files["ids"] == ["101", "102"]


def test_labels_agree_however_they_are_written(tmp_path: Path) -> None:
    train = "x,y\n" + "".join(f"{i},{['1', '0', '1.0'][i % 3]}\n" for i in range(30))
    answer, files = written(tmp_path, train, None, target="y", problem="binary", classes=["0.0", "1"])
    assert files["target"][:3].tolist() == [1.0, 0.0, 1.0] and answer["classes"] == ["0.0", "1"]


def test_rows_without_a_target_are_said(tmp_path: Path) -> None:
    train = "x,y\n" + "".join(f"{i},{'' if i == 4 else 'ab'[i % 2]}\n" for i in range(30))
    answer, files = written(tmp_path, train, None, target="y", problem="binary")
    assert np.isnan(files["target"][4]) and answer["notices"][0]["code"] == "target_missing"
    assert "row 5" in answer["notices"][0]["message"]


def test_targets_that_cannot_be(tmp_path: Path) -> None:
    train = "x,y\n" + "".join(f"{i},{'ab'[i % 2]}\n" for i in range(30))
    for target, problem, code in (
        ("z", "binary", "target_absent"),
        ("y", "regression", "target_not_numeric"),
    ):
        with pytest.raises(Refused) as refused:
            written(tmp_path, train, None, target=target, problem=problem)
        assert refused.value.code == code


def test_a_later_file_is_read_alike(tmp_path: Path) -> None:
    train = "id;x;d;c;k;t;y\n" + "".join(
        f"{i};{i},5;{1 + i % 28}.02.2015;{'ab'[i % 2]};{i % 3};the text number {i} here;{i % 2}\n"
        for i in range(40)
    )
    _, files = written(tmp_path, train, None, target="y", id="id", problem="binary", categorical=["k"])
    (tmp_path / "new.csv").write_text(
        "t;k;c;d;x;id\nsome words never seen;1.0;b;03.02.2015;7,25;n1\n;9;q;bad;;n2\n"
    )
    answer = serve.Reader(tmp_path).apply(tmp_path / "new.csv", tmp_path / "schema.json")
    assert answer["rows"] == 2
    numeric, codes = np.load(tmp_path / "numeric.npy"), np.load(tmp_path / "codes.npy")
    assert numeric[0].tolist() == [7.25, 1422921600.0] and np.isnan(numeric[1]).all()
    levels = json.loads((tmp_path / "levels.json").read_text())
    assert codes[:, :2].tolist() == [[1, 1], [-1, -1]] and levels[2] == ["some words never seen"]
    assert json.loads((tmp_path / "ids.json").read_text()) == ["n1", "n2"]
    assert files["schema"]["columns"][0]["notation"] == "comma"


def test_a_later_file_that_lacks_a_column_is_refused(tmp_path: Path) -> None:
    written(tmp_path, PLAIN, None, target="c", problem="multiclass")
    (tmp_path / "new.csv").write_text("n\n1\n2\n")
    with pytest.raises(Refused) as refused:
        serve.Reader(tmp_path).apply(tmp_path / "new.csv", tmp_path / "schema.json")
    assert refused.value.code == "column_absent" and "`x`" in refused.value.message


# --- later files that are written a little otherwise


def applied(tmp_path: Path, train: str, new: str, **wish: Any) -> tuple[dict[str, list[Any]], dict[str, str]]:
    """What is read in a later file, by column, and what is told about it."""
    written(tmp_path, train, None, target="y", problem="binary", **wish)
    (tmp_path / "new.csv").write_text(new)
    schema = json.loads((tmp_path / "schema.json").read_text("utf-8"))
    _, features, told = serve.apply_schema(tmp_path / "new.csv", schema, tmp_path)
    found: dict[str, list[Any]] = {}
    for it in features.columns:
        if it.values is not None:
            found[it.name] = [None if np.isnan(value) else float(value) for value in it.values]
        else:
            assert it.codes is not None
            found[it.name] = [None if code < 0 else it.levels[code] for code in it.codes]
    return found, {notice.code: notice.message for notice in told}


def lines_of(cells: list[str], name: str = "x") -> str:
    """A table with a column of these cells, beside a number and a target."""
    return f"n;{name};y\n" + "".join(f"{i};{cell};{i % 2}\n" for i, cell in enumerate(cells))


FEBRUARY_13 = 1423785600.0


@pytest.mark.parametrize(
    ("before", "now", "read", "words"),
    [
        ([f"{i / 4}" for i in range(40)], ["7,25", "1,5"], [7.25, 1.5], "decimal commas (`7,25` is 7.25)"),
        ([f"{i},5" for i in range(40)], ["7.25", "1.5"], [7.25, 1.5], "decimal points (`7.25` is 7.25)"),
        ([str(i * 300) for i in range(40)], ["1,234", "5,000"], [1234.0, 5000.0], "(`1,234` is 1234)"),
        ([f"{i / 4:.3f}" for i in range(40)], ["1,234", "5,000"], [1.234, 5.0], "(`1,234` is 1.234)"),
        ([str(i // 2 % 2) for i in range(40)], ["True", "no"], [1.0, 0.0], "(`True` is 1)"),
        (
            [f"{1 + i % 28}.02.2015" for i in range(40)],
            ["2/13/2015", "2/13/2015 00:01"],
            [FEBRUARY_13, FEBRUARY_13 + 60],
            "begin with the month (`2/13/2015` is 2015-02-13)",
        ),
        (
            [f"201502{1 + i % 28:02}" for i in range(40)],
            ["2015-02-13", "2015-02-13"],
            [FEBRUARY_13, FEBRUARY_13],
            "begin with the year (`2015-02-13` is 2015-02-13)",
        ),
        (
            [f"2015-02-{1 + i % 28:02}" for i in range(40)],
            ["20150213", "20150213"],
            [FEBRUARY_13, FEBRUARY_13],
            "eight digits (`20150213` is 2015-02-13)",
        ),
    ],
)
def test_a_column_that_is_written_otherwise_is_read_as_it_is_written(
    tmp_path: Path, before: list[str], now: list[str], read: list[float], words: str
) -> None:
    new = "n;x\n" + "".join(f"{i};{cell}\n" for i, cell in enumerate(now))
    found, told = applied(tmp_path, lines_of(before), new)
    assert found["x"] == pytest.approx(read)
    assert list(told) == ["notation_changed"]
    assert "new.csv: column `x` is not written as in the training file" in told["notation_changed"]
    assert words in told["notation_changed"]


def test_labels_of_numbers_are_met_in_another_notation(tmp_path: Path) -> None:
    train = lines_of([str(i % 4 * 1000) for i in range(40)])
    found, told = applied(tmp_path, train, "n;x\n1;1,000\n2;0\n3;2,000\n", categorical=["x"])
    assert found["x"] == ["1000", "0", "2000"] and list(told) == ["notation_changed"]


def test_single_cells_that_are_lost_are_told(tmp_path: Path) -> None:
    cells = ["unknown" if i % 10 == 0 else str(i) for i in range(100)]
    cells[51] = "broken"
    new = "n;x\n" + "".join(f"{i};{cell}\n" for i, cell in enumerate(cells))
    found, told = applied(tmp_path, lines_of([str(i) for i in range(40)]), new)
    assert found["x"][51] is None and found["x"][52] == 52.0 and found["x"][50] is None
    assert list(told) == ["cells_lost"]
    assert "`x` holds numbers, but 1 of 90 cells are none (first `broken` in row 52)" in told["cells_lost"]


def test_levels_are_met_but_for_case_and_spaces_and_unseen_ones_are_told(tmp_path: Path) -> None:
    train = lines_of([["Red", "green", "x y", "007"][i % 4] for i in range(40)], "c")
    cells = ["red", "GREEN", "x  y", "7", "blue", "blue", "violet", ""]
    new = "n;c\n" + "".join(f"{i};{cell}\n" for i, cell in enumerate(cells))
    found, told = applied(tmp_path, train, new)
    assert found["c"] == ["Red", "green", "x y", "007", None, None, None, None]
    assert list(told) == ["unseen_levels"]
    assert "column `c` has values that training has not seen in 3 of 7 cells" in told["unseen_levels"]
    assert "`blue` (2), `violet` (1)" in told["unseen_levels"]
    # Levels that differ in case alone are told apart by it, and by nothing else.
    train = lines_of([["a", "A", "b"][i % 3] for i in range(40)], "c")
    found, _ = applied(tmp_path, train, "n;c\n1;a\n2;A\n3;B\n")
    assert found["c"] == ["a", "A", "b"]


@pytest.mark.parametrize("pair", [("no", "yes"), ("False", "True"), ("F", "T")])
def test_words_for_yes_and_no_are_met_in_other_words(tmp_path: Path, pair: tuple[str, str]) -> None:
    train = lines_of([pair[i // 2 % 2] for i in range(40)], "b")
    words = ["Yes", "TRUE", "1", "n", "0", "off", "perhaps"]
    new = "n;b\n" + "".join(f"{i};{word}\n" for i, word in enumerate(words))
    found, told = applied(tmp_path, train, new)
    assert found["b"] == [pair[1]] * 3 + [pair[0]] * 3 + [None]
    assert "`perhaps` (1)" in told["unseen_levels"]


def test_a_file_that_fits_is_not_remarked_upon(tmp_path: Path) -> None:
    train = "x,c,t,y\n" + "".join(
        f"{i},{'ab'[i % 2]},some words about number {i},{i // 2 % 2}\n" for i in range(40)
    )
    _, told = applied(tmp_path, train, "x,c,t\n1,a,other words altogether\n,,\nNA,b,more\n")
    assert told == {}
