"""The columns an indicator reads: those of a bar, and some made of them.

Beside the columns of a bar there are ``hl2``, ``hlc3``, ``ohlc4`` (means of its prices),
``session``, ``week`` and ``month`` (numbers of the civil day, week and month in the market's
time zone) and, where a DataFrame has no ``notional``, volume times vwap, or times hlc3.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.errors import ConfigError
from workbench.records import BAR, Rows
from workbench.sessions import day_numbers

__all__ = ["MADE", "WHOLE", "check_order", "columns", "row"]

Column = npt.NDArray[Any]
Getter = Callable[[str], Any]

_MEANS: dict[str, tuple[str, ...]] = {
    "hl2": ("high", "low"),
    "hlc3": ("high", "low", "close"),
    "ohlc4": ("open", "high", "low", "close"),
}
_CALENDAR = ("session", "week", "month")
#: Columns made of others.
MADE = (*_MEANS, *_CALENDAR)
#: Columns of whole numbers.
WHOLE = (*_CALENDAR, "time", "count", "revision")
_FIELDS = tuple(name for name in BAR.names or () if name != "padding")


def columns(
    bars: pd.DataFrame | Rows, names: Sequence[str], zone: str, owner: str
) -> list[npt.NDArray[Any]]:
    """Return columns of bars as plain, contiguous, read-only arrays.

    Parameters
    ----------
    bars : DataFrame or array of BAR
    names : sequence of str
    zone : str
        Time zone of the market.
    owner : str
        Who asks, for errors.

    Raises
    ------
    ConfigError
        If a column is missing or holds no numbers.
    """
    if isinstance(bars, pd.DataFrame):
        found = [_of_frame(bars, name, zone, owner) for name in names]
    else:
        found = [_of_rows(bars, name, zone, owner) for name in names]
    views = [column.view() for column in found]
    for view in views:
        view.flags.writeable = False  # one compiled kernel serves both kinds of array
    return views


def row(bar: Any, name: str, zone: str) -> float | int:
    """Return one column of a single bar, a record; the value `columns` would give."""
    if name in _MEANS:
        return float(_mean(name, lambda part: float(bar[part])))
    if name in _CALENDAR:
        return int(_calendar(name, np.array([bar["time"]], np.int64), zone)[0])
    value: float | int = bar[name].item()
    return value


def _mean(name: str, get: Getter) -> Any:
    parts = _MEANS[name]
    total = get(parts[0])
    for part in parts[1:]:
        total = total + get(part)
    return total / len(parts)


def _calendar(name: str, times: npt.NDArray[np.int64], zone: str) -> npt.NDArray[np.int64]:
    days = day_numbers(times, zone)
    if name == "session":
        return days
    if name == "week":  # 1970-01-05, day 5, was a Monday
        return (days + 2) // 7 + 1
    months = (days - 1).view("M8[D]").astype("M8[M]")
    return months.astype(np.int64) + 1


def _of_rows(bars: Rows, name: str, zone: str, owner: str) -> Column:
    if name in _MEANS:
        return np.asarray(_mean(name, lambda part: bars[part]))
    if name in _CALENDAR:
        return _calendar(name, np.ascontiguousarray(bars["time"]), zone)
    if name not in _FIELDS:
        raise _missing(owner, name, _FIELDS)
    return np.ascontiguousarray(bars[name])


def _of_frame(bars: pd.DataFrame, name: str, zone: str, owner: str) -> Column:
    if name in bars.columns:
        return _numbers(bars, name, owner)
    if name in _MEANS:
        return np.ascontiguousarray(_mean(name, lambda part: _of_frame(bars, part, zone, owner)))
    if name in _CALENDAR or name == "time":
        times = _times(bars, owner)
        return times if name == "time" else _calendar(name, times, zone)
    if name == "notional":
        price = "vwap" if "vwap" in bars.columns else "hlc3"
        value = _of_frame(bars, price, zone, owner) * _of_frame(bars, "volume", zone, owner)
        return np.ascontiguousarray(value)
    raise _missing(owner, name, tuple(map(str, bars.columns)))


def _numbers(bars: pd.DataFrame, name: str, owner: str) -> Column:
    try:
        if name in WHOLE:
            return np.ascontiguousarray(bars[name].to_numpy(np.int64))
        return np.ascontiguousarray(bars[name].to_numpy(np.float64))
    except (TypeError, ValueError):
        held = bars[name].dtype
        raise ConfigError(f"{owner}: column {name!r} holds {held}, not numbers") from None


def _missing(owner: str, name: str, there: tuple[str, ...]) -> ConfigError:
    return ConfigError(f"{owner} needs a column {name!r}; there is {', '.join(there) or 'none'}")


def _times(bars: pd.DataFrame, owner: str) -> npt.NDArray[np.int64]:
    index = bars.index
    if not isinstance(index, pd.DatetimeIndex):
        raise ConfigError(f"{owner} needs bars indexed by time, not by {type(index).__name__}")
    return np.asarray(index.as_unit("ns").asi8)


def check_order(bars: pd.DataFrame | Rows, owner: str) -> None:
    """Raise ConfigError unless bars are of one symbol, each later than the one before.

    A DataFrame that is not indexed by time is taken as it is.
    """
    if isinstance(bars, pd.DataFrame):
        if not isinstance(bars.index, pd.DatetimeIndex):
            return
        times = bars.index.asi8
    else:
        if len(bars) and (bars["symbol"] != bars["symbol"][0]).any():
            raise ConfigError(f"{owner}: the bars are of several symbols; take one at a time")
        times = np.ascontiguousarray(bars["time"])
    wrong = times[1:] <= times[:-1]
    if wrong.any():
        at = int(wrong.argmax()) + 1
        what = "has the time of" if times[at] == times[at - 1] else "is earlier than"
        when = bars.index[at] if isinstance(bars, pd.DataFrame) else pd.Timestamp(int(times[at]))
        raise ConfigError(
            f"{owner}: row {at} ({when}) {what} row {at - 1}; sort the bars by time and keep one "
            "of each"
        )
