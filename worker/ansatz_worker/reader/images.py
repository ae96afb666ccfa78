"""Images to numbers: a column that names image files brings columns about size, colour, edges and shape.

Nothing is learnt from the images, so a new image is described as the training images were. Only PNG and JPEG
are opened; one that cannot be is missing, and told about.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ansatz_worker.reader.table import Notice, RawTable, short, some

Floats = NDArray[np.float64]

ENDINGS = (".png", ".jpg", ".jpeg")
FORMATS = ("PNG", "JPEG")
FOUND_MIN = 0.9
"""Share of a column's distinct cells that must name image files."""
DISTINCT_MIN = 10
DISTINCT_SHARE_MIN = 0.3
"""Distinct cells, and their share of the rows, from which on a column names images."""
SAME_ROWS = 50
"""First rows that are compared to see whether two columns name the same pictures."""
PIXELS_MAX = 50_000_000
BYTES_MAX = 64 << 20
FILES_MAX = 100_000

SIDE = 32
"""Images are drawn to this many pixels on each side for edges and shape."""
CELLS = 4
DIRECTIONS = 8
HUES = 8
WAVES = 6


@dataclass(frozen=True)
class Images:
    """The image files of a folder by the names that cells may use for them."""

    folder: Path
    files: dict[str, Path]

    @classmethod
    def below(cls, folder: Path | None) -> Images | None:
        """The images below a folder: by path from it, by name, and by name without ending where these are
        unlike all others.
        """
        if folder is None or not folder.is_dir():
            return None
        files: dict[str, Path] = {}
        short_names: dict[str, Path | None] = {}
        for path in sorted(folder.rglob("*"))[: 4 * FILES_MAX]:
            if path.suffix.lower() not in ENDINGS or not path.is_file():
                continue
            files[path.relative_to(folder).as_posix()] = path
            for name in {path.name, path.stem}:
                short_names[name] = None if name in short_names else path
        for name, one in short_names.items():
            if one is not None:
                files.setdefault(name, one)
        return cls(folder, files) if files else None

    def find(self, cell: str | None) -> Path | None:
        """The file that a cell names."""
        if not cell:
            return None
        name = cell.replace("\\", "/").removeprefix("./")
        parts = name.split("/")
        # The folder of the images may be part of what cells say, or not.
        for start in range(len(parts)):
            found = self.files.get("/".join(parts[start:]))
            if found:
                return found
        return None


def names() -> list[str]:
    """What is said about an image, in order."""
    colours = [f"{what} {channel}" for channel in ("red", "green", "blue") for what in ("mean", "spread")]
    hues = [f"hue {i}" for i in range(HUES)]
    edges = [
        f"edge {row}{column}{direction}"
        for row in range(CELLS)
        for column in range(CELLS)
        for direction in range(DIRECTIONS)
    ]
    waves = [f"wave {i}{j}" for i in range(WAVES) for j in range(WAVES)]
    return ["width", "height", *colours, "saturation", "brightness", *hues, *edges, *waves]


def describe(path: Path) -> Floats | None:
    """The numbers of an image, `None` when it cannot be opened."""
    from PIL import Image

    Image.MAX_IMAGE_PIXELS = PIXELS_MAX
    try:
        if path.stat().st_size > BYTES_MAX:
            return None
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with Image.open(path, formats=FORMATS) as image:
                width, height = image.size
                image.draft("RGB", (4 * SIDE, 4 * SIDE))
                small = image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BOX)
    except Exception:  # noqa: BLE001 - whatever a broken file provokes: it is missing, which is told
        return None
    pixels = np.asarray(small, dtype=np.float64) / 255.0
    return np.concatenate([[width, height], colour(pixels), edges(pixels), waves(pixels)])


def colour(pixels: Floats) -> Floats:
    """Mean and spread of each channel, saturation, brightness, and which hues there are."""
    flat = pixels.reshape(-1, 3)
    spread = np.stack([flat.mean(axis=0), flat.std(axis=0)], axis=1).ravel()
    top, low = flat.max(axis=1), flat.min(axis=1)
    range_ = top - low
    safe = np.where(range_ > 0, range_, 1.0)
    red, green, blue = flat.T
    hue = np.select(
        [top == red, top == green],
        [(green - blue) / safe % 6, (blue - red) / safe + 2],
        (red - green) / safe + 4,
    )
    places = np.minimum((hue / 6 * HUES).astype(int), HUES - 1)
    hues = np.bincount(places, weights=range_, minlength=HUES) / len(flat)
    saturation = (range_ / np.where(top > 0, top, 1.0)).mean()
    return np.concatenate([spread, [saturation, top.mean()], hues])


def edges(pixels: Floats) -> Floats:
    """How strong edges of each direction are in each part of the image."""
    grey = pixels.mean(axis=2)
    down, right = np.gradient(grey)
    strength = np.hypot(down, right)
    angle = np.arctan2(down, right) % np.pi
    direction = np.minimum((angle / np.pi * DIRECTIONS).astype(int), DIRECTIONS - 1)
    part = SIDE // CELLS
    rows, columns = np.indices(grey.shape) // part
    place = (rows * CELLS + columns) * DIRECTIONS + direction
    found = np.bincount(place.ravel(), weights=strength.ravel(), minlength=CELLS * CELLS * DIRECTIONS)
    return np.asarray(found / part**2)


def waves(pixels: Floats) -> Floats:
    """The longest waves of the grey image: its shape as seen from afar."""
    grey = pixels.mean(axis=2)
    steps = (np.arange(SIDE) + 0.5) / SIDE
    basis = np.cos(np.pi * np.outer(np.arange(WAVES), steps))
    return np.asarray((basis @ grey @ basis.T / SIDE**2).ravel())


def columns_of(table: RawTable, images: Images) -> list[str]:
    """The columns of a table whose cells name image files."""
    found: list[tuple[bool, str, list[Path | None]]] = []
    for name, cells in zip(table.names, table.columns, strict=True):
        if not pa.types.is_string(cells.type):
            continue
        distinct = [cell for cell in cells.unique().to_pylist() if cell]
        # A few values that happen to be called like files are no pictures.
        if len(distinct) < max(DISTINCT_MIN, DISTINCT_SHARE_MIN * table.rows):
            continue
        probe = distinct[:: max(len(distinct) // 200, 1)]
        if sum(images.find(cell) is not None for cell in probe) >= FOUND_MIN * len(probe):
            first = [images.find(cell) for cell in cells[:SAME_ROWS].to_pylist()]
            found.append((not probe[0].lower().endswith(ENDINGS), name, first))
    # Of columns that name the same pictures, such as an id beside a path, one is enough.
    chosen: dict[str, list[Path | None]] = {}
    for _, name, first in sorted(found, key=lambda it: it[0]):
        if first not in chosen.values():
            chosen[name] = first
    return [name for name in table.names if name in chosen]


def added(table: RawTable, images: Images, chosen: list[str], known: dict[str, Floats | None]) -> RawTable:
    """The table with numbers beside columns that name image files; `known` keeps what was described."""
    titles: list[str] = []
    columns: list[Any] = []
    notices = list(table.notices)
    for name, cells in zip(table.names, table.columns, strict=True):
        titles.append(name)
        columns.append(cells)
        if name not in chosen:
            continue
        numbers, missing = numbers_of(cells.to_pylist(), images, known)
        titles += [f"{name} {what}" for what in names()]
        columns += [pa.array(column, pa.float64(), from_pandas=True) for column in numbers.T]
        if missing:
            message = (
                f"{table.file}: {len(missing):,} images of `{short(name)}` cannot be opened "
                f"({some([short(cell, 60) for cell in missing])}); taken as missing"
            )
            notices.append(Notice("image_missing", message))
    return RawTable(table.file, titles, columns, table.rows, notices)


def numbers_of(
    cells: list[str | None], images: Images, known: dict[str, Floats | None]
) -> tuple[Floats, list[str]]:
    """One row of numbers per cell, NaN without an image, and the cells whose image cannot be opened."""
    rows = np.full((len(cells), len(names())), np.nan)
    missing: dict[str, None] = {}
    for i, cell in enumerate(cells):
        if not cell:
            continue
        if cell not in known:
            path = images.find(cell)
            known[cell] = describe(path) if path and len(known) < FILES_MAX else None
        found = known[cell]
        if found is None:
            missing[cell] = None
        else:
            rows[i] = found
    return rows, list(missing)
