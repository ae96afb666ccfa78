"""Groups of derived columns on top of a built-in solution, each made by one function and switched by one
parameter.

A group is a function `group(rows, learned)` that gives new columns by name, from `rows` row by row and from
what the group
learnt of the training rows. What it learns comes from `learn(train)`, when it has one. The columns join
those of the
table, so the built-in solution reads them like any other: strings get counts and out-of-fold means of the
target there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from ansatz_worker.errors import ContractError

Columns = Mapping[str, Any]
Make = Callable[[pd.DataFrame, Any], Columns]
Learn = Callable[[pd.DataFrame], Any]

SWITCH: dict[str, Any] = {"type": "categorical", "values": [True, False], "default": True}
"""The dimension of a search space that switches a group."""

PREFIX = "use_"


class Groups:
    """Groups by name; each is its function, or a pair of it and of what learns for it."""

    def __init__(self, **groups: Make | tuple[Make, Learn]) -> None:
        self._groups = groups

    @property
    def space(self) -> dict[str, dict[str, Any]]:
        """A switch for each group, for the search space."""
        return {PREFIX + name: SWITCH for name in self._groups}

    def learn(self, train: pd.DataFrame, params: Mapping[str, Any]) -> tuple[dict[str, Any], pd.DataFrame]:
        """What the switched-on groups learnt, and the training rows with their columns."""
        state = {
            name: group[1](train) if isinstance(group, tuple) else None
            for name, group in self._groups.items()
            if params.get(PREFIX + name, True)
        }
        return state, self.add(state, train)

    def add(self, state: Mapping[str, Any], rows: pd.DataFrame) -> pd.DataFrame:
        """Any rows with the columns of the groups that were on; raises `ContractError` for columns of
        another length
        or of a name that is taken.
        """
        made: dict[str, Any] = {}
        for name, learned in state.items():
            group = self._groups[name]
            make = group[0] if isinstance(group, tuple) else group
            for column, values in dict(make(rows, learned)).items():
                if column in rows.columns or column in made:
                    raise ContractError(f"group `{name}`: there is a column {column!r} already")
                made[column] = _column(name, column, values, rows)
        if not made:
            return rows
        return pd.concat([rows, pd.DataFrame(made, index=rows.index)], axis=1)


def _column(group: str, name: str, values: Any, rows: pd.DataFrame) -> Any:
    """Values as the table keeps them: float64, moments, Categorical, or strings with None for missing."""
    if np.ndim(values) == 0:
        values = np.repeat(np.asarray(values), len(rows))
    if len(values) != len(rows):
        raise ContractError(f"group `{group}`: column {name!r} has {len(values)} values for {len(rows)} rows")
    series = pd.Series(np.asarray(values) if not isinstance(values, pd.Series) else values.array)
    if isinstance(series.dtype, pd.CategoricalDtype):
        return pd.Categorical(series)
    if pd.api.types.is_datetime64_any_dtype(series.dtype):
        return series.to_numpy().astype("datetime64[s]")
    if pd.api.types.is_bool_dtype(series.dtype) or pd.api.types.is_numeric_dtype(series.dtype):
        numbers = series.to_numpy(dtype=np.float64, na_value=np.nan)
        return np.where(np.isfinite(numbers), numbers, np.nan)
    texts = series.astype(object).to_numpy()
    return np.array([None if pd.isna(text) else str(text) for text in texts], dtype=object)
