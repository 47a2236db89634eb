"""Values of longer timeframes beside the bars of a shorter one, from when they were known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.analytics.inputs import check_order
from workbench.errors import ConfigError
from workbench.records import Rows
from workbench.timeframes import Timeframe, timeframe

__all__ = ["join_timeframes"]

_OWNER = "join_timeframes"
_NEVER = np.iinfo(np.int64).max
Length = str | int | Timeframe


def join_timeframes(
    bars: pd.DataFrame | Rows,
    higher: pd.DataFrame | pd.Series[Any] | Rows,
    columns: Sequence[str] | None = None,
    *,
    timeframe: Length | None = None,
    higher_timeframe: Length | None = None,
) -> pd.DataFrame:
    """Return, for each bar, what was known of a longer timeframe when that bar ended.

    A bar is known from its end on, not from its start: the hour that began at 10:00 stands
    beside the minute that begins at 10:59 and ends with it, and beside no minute before.

    Parameters
    ----------
    bars : DataFrame indexed by time, or array of BAR
        Of one symbol, in order of time (of start, as everywhere).
    higher : DataFrame or Series indexed by time, or array of BAR
        Bars of the longer timeframe, or values computed over them.
    columns : sequence of str or None
        Of `higher`; None for all.
    timeframe, higher_timeframe : str, int, Timeframe or None
        Lengths of the bars, "1m" and "1h". None for what rows of BAR say. Where that tells
        nothing, as for a DataFrame or for bars that end by volume, a bar of `higher` counts as
        known when the next of them has begun, and one of `bars` as known at its start: never
        too early.

    Returns
    -------
    DataFrame
        Indexed as `bars`, NaN before the first bar of `higher` was known.

    Raises
    ------
    ConfigError
        If a column or an index of times is missing, times repeat or go back, or the longer
        timeframe is the shorter one.

    Examples
    --------
    >>> minutes = pd.date_range("2025-11-03 10:57", periods=5, freq="min", tz="UTC")
    >>> bars = pd.DataFrame({"close": range(5)}, index=minutes)
    >>> hours = pd.date_range("2025-11-03 09:00", periods=2, freq="h", tz="UTC")
    >>> higher = pd.DataFrame({"close": [1.0, 2.0]}, index=hours)
    >>> joined = join_timeframes(bars, higher, timeframe="1m", higher_timeframe="1h")
    >>> joined["close"].tolist()
    [1.0, 1.0, 2.0, 2.0, 2.0]
    """
    shown, low_times, low_ns = _read(bars, timeframe, "bars")
    table, starts, high_ns = _read(higher, higher_timeframe, "higher")
    if low_ns is not None and high_ns is not None and low_ns > high_ns:
        raise ConfigError(f"{_OWNER}: the bars of `higher` are shorter than those of `bars`")
    chosen = list(table.columns) if columns is None else list(columns)
    for name in chosen:
        if name not in table.columns:
            there = ", ".join(map(str, table.columns))
            raise ConfigError(f"{_OWNER}: `higher` has no column {name!r}; there is {there}")
    if high_ns is None:
        known = np.append(starts[1:], _NEVER)[: len(starts)]
        moments = low_times  # a next bar that begins with this one's end is not seen yet
    else:
        known = starts + high_ns
        moments = low_times + (low_ns or 0)
    places = np.searchsorted(known, moments, side="right") - 1
    index = shown.index
    if not len(table):
        return pd.DataFrame(np.nan, index=index, columns=chosen)
    joined: pd.DataFrame = table[chosen].take(np.maximum(places, 0)).set_axis(index)
    seen = places >= 0
    return joined if seen.all() else joined.where(np.tile(seen, (len(chosen), 1)).T)


def _read(
    given: pd.DataFrame | pd.Series[Any] | Rows, told: Length | None, what: str
) -> tuple[pd.DataFrame, npt.NDArray[np.int64], int | None]:
    """Return a table indexed by time, its times, and the length of its bars in ns if known."""
    length = _ns(told) if told is not None else None
    if isinstance(given, pd.Series):
        given = given.to_frame(given.name if given.name is not None else "value")
    check_order(given, _OWNER)
    if isinstance(given, pd.DataFrame):
        index = given.index
        if not isinstance(index, pd.DatetimeIndex):
            kind = type(index).__name__
            raise ConfigError(f"{_OWNER} needs `{what}` indexed by time, not by {kind}")
        return given, np.asarray(index.as_unit("ns").asi8), length
    times = np.ascontiguousarray(given["time"])
    seconds = np.unique(given["timeframe"]).tolist()
    if length is None and len(seconds) == 1 and seconds[0] > 0:
        length = seconds[0] * 10**9
    stamps = pd.DatetimeIndex(times.view("M8[ns]"), tz="UTC", name="time")
    names = [name for name in given.dtype.names or () if name not in ("time", "padding")]
    return pd.DataFrame({n: given[n] for n in names}, index=stamps), times, length


def _ns(told: Length) -> int:
    return timeframe(told).ns
