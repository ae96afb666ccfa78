"""Parts of moments in time: calendar numbers, circles for what comes round again, and days since 1970."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from .columns import Floats, Ints

SECONDS_PER_DAY = 86_400.0
DAYS_PER_YEAR = 365.2425

# Parts of the calendar that come round again and again, with how many values each has.
CALENDAR = {"month": 12, "weekday": 7, "hour": 24}


def parts(column: pd.Series[Any]) -> dict[str, Floats]:
    """All parts by name, for every row; NaN where the moment is missing."""
    moment = column.dt
    days = (column - pd.Timestamp(0)).dt.total_seconds().to_numpy(dtype=np.float64) / SECONDS_PER_DAY
    hours = (days % 1.0) * 24.0
    day_of_year = moment.day_of_year.to_numpy(dtype=np.float64)
    angle = 2 * np.pi * day_of_year / DAYS_PER_YEAR
    clock = 2 * np.pi * hours / 24.0
    weekday = moment.day_of_week.to_numpy(dtype=np.float64)
    return {
        "days": days,
        "year": moment.year.to_numpy(dtype=np.float64),
        "month": moment.month.to_numpy(dtype=np.float64),
        "day": moment.day.to_numpy(dtype=np.float64),
        "weekday": weekday,
        "hour": np.floor(hours + 1e-6),
        "minutes": np.round(hours * 60.0, 3),
        "year_sin": np.sin(angle),
        "year_cos": np.cos(angle),
        "clock_sin": np.sin(clock),
        "clock_cos": np.cos(clock),
        "hour_of_week": weekday * 24.0 + np.floor(hours + 1e-6),
    }


def calendar(column: pd.Series[Any]) -> dict[str, Ints]:
    """Which month, weekday and hour each row has, counted from 1; 0 is missing."""
    found = parts(column)
    ordinals = {"month": found["month"], "weekday": found["weekday"] + 1, "hour": found["hour"] + 1}
    return {
        part: np.clip(np.nan_to_num(values), 0, CALENDAR[part]).astype(np.int64)
        for part, values in ordinals.items()
    }
