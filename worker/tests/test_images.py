"""Images of a folder as numbers."""

from pathlib import Path

import numpy as np
from PIL import Image

from ansatz_worker.reader import images
from ansatz_worker.reader.serve import Reader


def draw(path: Path, red: int, stripes: bool) -> None:
    pixels = np.zeros((40, 50, 3), dtype=np.uint8)
    pixels[..., 0] = red
    if stripes:
        pixels[:, ::10] = 255
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def test_numbers_tell_colour_and_edges(tmp_path: Path) -> None:
    draw(tmp_path / "a.png", 200, False)
    draw(tmp_path / "b.jpg", 200, True)
    by_name = []
    for name in ("a.png", "b.jpg"):
        found = images.describe(tmp_path / name)
        assert found is not None and len(found) == len(images.names())
        by_name.append(dict(zip(images.names(), found, strict=True)))
    plain, striped = by_name
    assert (plain["width"], plain["height"]) == (50, 40)
    assert abs(plain["mean red"] - 200 / 255) < 0.01 and plain["spread red"] < 0.01
    # Stripes that stand have edges from side to side.
    assert striped["edge 000"] > 10 * striped["edge 004"] and plain["edge 000"] < 0.01
    (tmp_path / "c.png").write_bytes(b"\x89PNG\r\n\x1a\nno more")
    (tmp_path / "d.png").write_bytes(b"GIF89a")
    assert images.describe(tmp_path / "c.png") is None and images.describe(tmp_path / "d.png") is None


def test_a_column_of_paths_becomes_numbers(tmp_path: Path) -> None:
    for i in range(12):
        draw(tmp_path / f"pictures/{i % 2}/p{i}.png", 10 * i, i % 2 == 1)
    (tmp_path / "pictures/0/p2.png").write_bytes(b"broken")
    rows = [f"{i},./pictures/{i % 2}/p{i}.png,p{i},{i % 2}" for i in range(12)]
    (tmp_path / "train.csv").write_text("id,file,stem,y\n" + "\n".join(rows) + "\n")
    reader = Reader(tmp_path)
    reader.read(tmp_path / "train.csv", None, None, pictures=tmp_path / "pictures")
    answer = reader.write({"op": "write", "target": "y", "id": "id", "problem": "binary", "classes": None})
    assert reader.features is not None
    names = [column.name for column in reader.features.columns]
    # Both columns name the same pictures; the one of paths is taken.
    assert "file mean red" in names and "stem mean red" not in names and "file" not in names
    column = next(column for column in reader.features.columns if column.name == "file mean red")
    assert column.values is not None
    assert np.isnan(column.values[2]) and abs(column.values[5] - 50 / 255) < 0.2
    assert answer["event"] == "written" and reader.train is not None
    # Names of files are ids at best, and a target is no picture because some files are called like it.
    assert "file" in reader.train.names and "file" not in names
    for name in ("0", "1"):
        draw(tmp_path / f"pictures/{name}.png", 9, False)
    reader.read(tmp_path / "train.csv", None, None, pictures=tmp_path / "pictures")
    assert "y" not in reader.pictured and "id" not in reader.pictured
    assert any(notice.code == "image_missing" for notice in reader.train.notices)
