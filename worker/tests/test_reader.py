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
from ansatz_worker.reader import separated, serve, table

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
