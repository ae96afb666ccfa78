"""ARFF as OpenML's files have it."""

from pathlib import Path

import pytest

from ansatz_worker.errors import Refused
from ansatz_worker.reader.serve import read_parts, read_table

DENSE = """% a comment
@RELATION 'credit g'
@ATTRIBUTE checking {'<0','0<=X<200','no checking'}
@attribute "loan amount" real
@attribute purpose string
@attribute day date "yyyy-MM-dd"
@attribute class {good,bad}
@DATA
'<0',1169,'radio/tv, the dog\\'s',2020-01-02,good
% in between
'no checking',?,"a ""b",2020-01-03,bad
0<=X<200, 7.5 ,x,?,good
"""


def table(tmp_path: Path, text: str) -> dict[str, list[object]]:
    (tmp_path / "a.arff").write_text(text)
    read, _ = read_table(tmp_path / "a.arff")
    return {name: cells.to_pylist() for name, cells in zip(read.names, read.columns, strict=True)}


def test_dense_rows_with_quotes_gaps_and_comments(tmp_path: Path) -> None:
    got = table(tmp_path, DENSE)
    assert got["checking"] == ["<0", "no checking", "0<=X<200"]
    assert got["loan amount"] == [1169.0, None, 7.5]
    assert got["purpose"][0] == "radio/tv, the dog's"
    assert got["day"] == ["2020-01-02", "2020-01-03", None]
    assert got["class"] == ["good", "bad", "good"]


def test_sparse_rows(tmp_path: Path) -> None:
    head = "@relation s\n@attribute a numeric\n@attribute b {x,y}\n@attribute c real\n@data\n"
    text = head + "{0 3, 1 y}\n{}\n{2 -1.5}\n"
    assert table(tmp_path, text) == {"a": [3.0, 0.0, 0.0], "b": ["y", "x", "x"], "c": [0.0, 0.0, -1.5]}


def test_short_rows_are_filled_and_told(tmp_path: Path) -> None:
    (tmp_path / "a.arff").write_text(
        "@relation s\n@attribute a numeric\n@attribute b numeric\n@data\n1,2\n3\n"
    )
    read, _ = read_table(tmp_path / "a.arff")
    assert read.columns[1].to_pylist() == [2.0, None]
    assert read.notices[0].code == "ragged_rows"


@pytest.mark.parametrize("text", ["@relation s\n@data\n1\n", "@relation s\n@attribute a numeric\n@data\n"])
def test_what_holds_nothing_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.arff").write_text(text)
    with pytest.raises(Refused):
        read_table(tmp_path / "a.arff")


def test_parts_are_one_table(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x,y\n1,a\n2,b\n")
    (tmp_path / "b.csv").write_text("y,x\nc,3\n")
    read, digest = read_parts([tmp_path / "a.csv", tmp_path / "b.csv"])
    assert read.rows == 3 and read.column("x").to_pylist() == ["1", "2", "3"]
    assert digest != read_parts([tmp_path / "a.csv"])[1]
    (tmp_path / "c.csv").write_text("x,z\n1,a\n")
    with pytest.raises(Refused, match="lacks the column y"):
        read_parts([tmp_path / "a.csv", tmp_path / "c.csv"])
