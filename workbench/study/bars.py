"""Closed bars as studies read them: checked, with the time at which each became known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.errors import ConfigError
from workbench.kernels.swings import BARS
from workbench.records import BAR, FORMING, Rows
from workbench.sessions import day_numbers
from workbench.timeframes import Timeframe, timeframe

__all__ = ["BarReader", "Bars", "times"]

#: What can be given as bars: a DataFrame with an index of times, or rows of BAR.
Bars = pd.DataFrame | Rows

_DTYPE = np.dtype(BARS)
_PRICES = ("open", "high", "low", "close")
#: Beyond these a number is no price or volume, and sums of it would lose all meaning.
_MOST_PRICE, _MOST_VOLUME = 1e15, 1e30
_SECOND = 1_000_000_000


class BarReader:
    """Read bars of one series, part after part.

    Parameters
    ----------
    owner : str
        Named in errors.
    volume : bool
        Whether volumes are needed.
    zone : str or None
        Time zone that decides which day a bar belongs to; None if days do not matter.
    length : str, int, Timeframe or None
        Length of a bar (an int is seconds); None for what rows of BAR say, or for the median
        step of the first DataFrame.
    """

    def __init__(
        self,
        owner: str,
        volume: bool,
        zone: str | None = None,
        length: str | int | Timeframe | None = None,
    ) -> None:
        self._owner = owner
        self._volume = volume
        self._zone = zone
        self.ns = timeframe(length).ns if length is not None else 0
        self.last = np.iinfo(np.int64).min

    def read(self, bars: Bars) -> Rows:
        """Return the bars as rows of the kernels' dtype.

        Raises
        ------
        ConfigError
            If a column is missing or the length of a bar cannot be told.
        ValueError
            If a row is not finite or not in order of time, naming it.
        """
        stamps = times(bars, self._owner)
        step = self._step(stamps) if isinstance(bars, pd.DataFrame) else _length(bars, self._owner)
        ns = self.ns or step
        rows: Rows = np.zeros(len(stamps), _DTYPE)
        if not len(rows):
            return rows
        for name in _PRICES:
            rows[name] = self._column(bars, name)
        if self._volume:
            rows["volume"] = self._column(bars, "volume")
        self._check(rows, stamps)
        rows["time"] = stamps
        rows["end"] = stamps + ns
        if self._zone is not None:
            rows["day"] = day_numbers(stamps, self._zone)
        self.ns = ns
        self.last = int(stamps[-1])
        return rows

    def _column(self, bars: Bars, name: str) -> npt.NDArray[np.float64]:
        if isinstance(bars, pd.DataFrame):
            if name not in bars.columns:
                raise ConfigError(
                    f"{self._owner} needs a column {name!r}; there is {list(bars.columns)}"
                )
            return bars[name].to_numpy(np.float64)
        column: npt.NDArray[np.float64] = bars[name]
        return column

    def _step(self, stamps: npt.NDArray[np.int64]) -> int:
        if self.ns or not len(stamps):
            return self.ns
        if len(stamps) > 1:
            return int(np.median(np.diff(stamps)))
        raise ConfigError(f"{self._owner}: the length of a single bar must be told: timeframe=")

    def _check(self, rows: Rows, stamps: npt.NDArray[np.int64]) -> None:
        with np.errstate(invalid="ignore"):
            bad = ~(rows["high"] >= rows["low"])
            for name in _PRICES:
                bad |= ~(np.abs(rows[name]) < _MOST_PRICE)
            bad |= ~((rows["volume"] >= 0.0) & (rows["volume"] < _MOST_VOLUME))
        if bad.any():
            at = int(bad.argmax())
            values = ", ".join(f"{n} {rows[n][at]:g}" for n in (*_PRICES, "volume"))
            raise ValueError(
                f"{self._owner}: row {at} ({pd.Timestamp(int(stamps[at]), tz='UTC')}) is no bar: "
                f"{values}; prices and volume must be finite, high not below low"
            )
        early = np.flatnonzero(stamps <= np.concatenate([[self.last], stamps[:-1]]))
        if len(early):
            at = int(early[0])
            raise ValueError(
                f"{self._owner}: row {at} ({pd.Timestamp(int(stamps[at]), tz='UTC')}) is not later "
                "than the bar before it; bars must be in order of time, each once"
            )


def _length(bars: Rows, owner: str) -> int:
    if not len(bars):
        return 0
    if (bars["state"] == FORMING).any():
        at = int((bars["state"] == FORMING).argmax())
        raise ValueError(f"{owner}: row {at} is a forming bar; studies take closed bars")
    for name, what in (("timeframe", "timeframes"), ("symbol", "symbols")):
        if (bars[name] != bars[name][0]).any():
            raise ValueError(f"{owner}: the bars are of several {what}; give one series")
    seconds = int(bars["timeframe"][0])
    if seconds <= 0:
        raise ConfigError(f"{owner}: the bars do not say how long they are; give timeframe=")
    return seconds * _SECOND


def times(bars: Any, owner: str) -> npt.NDArray[np.int64]:
    """Return the start times of bars in ns UTC; a time without a zone is taken as UTC.

    Raises
    ------
    ConfigError
        If it is neither a DataFrame indexed by time nor rows of BAR.
    """
    if isinstance(bars, np.ndarray) and bars.dtype == BAR:
        return np.ascontiguousarray(bars["time"])
    if not isinstance(bars, pd.DataFrame):
        raise ConfigError(f"{owner} takes a DataFrame or rows of BAR, not {_called(bars)}")
    index = bars.index
    if not isinstance(index, pd.DatetimeIndex) and "time" in bars.columns:
        index = pd.Index(bars["time"])
    if not isinstance(index, pd.DatetimeIndex):
        if len(bars) == 0:
            return np.empty(0, np.int64)
        raise ConfigError(f"{owner} needs bars indexed by time, or a column 'time' of times")
    if index.tz is not None:
        index = index.tz_convert("UTC").tz_localize(None)
    if index.hasnans:
        raise ValueError(f"{owner}: row {int(index.isna().argmax())} has no time")
    return index.to_numpy().astype("M8[ns]").astype(np.int64)


def _called(value: object) -> str:
    if isinstance(value, np.ndarray):
        return f"an array of {value.dtype}"
    if isinstance(value, Sequence):
        return f"a {type(value).__name__} of {len(value)}"
    return f"a {type(value).__name__}"
