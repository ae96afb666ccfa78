"""Tables of recorded evaluations: full grids whose every point has a value.

NAME.json holds `direction`, `parameters` (name, type, log, values), `best` and `worst`; NAME.f32 holds the values as
little-endian float32, row-major, the last parameter varying fastest.
"""

import dataclasses
import json
import math
import pathlib
import struct

INITIAL = 5
"""Random points that every method starts from."""

CHECKPOINTS = (10, 15, 30, 50)
"""Evaluations after which regret is compared."""

_MASK = (1 << 64) - 1


def split_mix(state: int) -> tuple[int, int]:
    """The next state and output of the SplitMix64 generator: short enough to be the same in every language."""
    state = (state + 0x9E3779B97F4A7C15) & _MASK
    z = state
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return state, z ^ (z >> 31)


@dataclasses.dataclass(frozen=True)
class Parameter:
    """One axis of a table."""

    name: str
    categorical: bool
    values: list

    def shown(self, index: int) -> object:
        """What a sampler is given for the value at `index`: the choice itself, or its place on the grid."""
        return self.values[index] if self.categorical else index


@dataclasses.dataclass(frozen=True)
class Table:
    """A grid of values."""

    name: str
    maximize: bool
    log_regret: bool
    parameters: list[Parameter]
    values: tuple[float, ...]
    best: float
    worst: float

    def value(self, point: list[int]) -> float:
        """The value at the indices of a point."""
        row = 0
        for parameter, index in zip(self.parameters, point, strict=True):
            row = row * len(parameter.values) + index
        return self.values[row]

    def initial_points(self, seed: int) -> list[list[int]]:
        """The points that every method starts from under this seed."""
        state, points = seed, []
        for _ in range(INITIAL):
            point = []
            for parameter in self.parameters:
                state, output = split_mix(state)
                point.append(output % len(parameter.values))
            points.append(point)
        return points

    def regret(self, value: float) -> float:
        """Distance to the best value as a share of the range; losses that span decades are compared by logarithm."""
        of = math.log if self.log_regret else float
        return (of(value) - of(self.best)) / (of(self.worst) - of(self.best))


def load(header: pathlib.Path) -> Table:
    """One table from its header file."""
    record = json.loads(header.read_text())
    raw = header.with_suffix(".f32").read_bytes()
    values = struct.unpack(f"<{len(raw) // 4}f", raw)
    maximize = record["direction"] == "maximize"
    return Table(
        name=record["name"],
        maximize=maximize,
        log_regret=record.get("log_regret", not maximize),
        parameters=[Parameter(p["name"], p["type"] == "categorical", p["values"]) for p in record["parameters"]],
        values=values,
        best=record["best"],
        worst=record["worst"],
    )


def load_all(folder: pathlib.Path) -> list[Table]:
    """Every grid in a folder, by name."""
    headers = sorted(folder.glob("*.json"))
    return [load(header) for header in headers if "parameters" in json.loads(header.read_text())]
