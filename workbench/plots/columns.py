"""Bars as the columns of a Bokeh source, and the few numbers that change in them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from bokeh.models import ColumnDataSource

from workbench.bars.kinds import BarKind
from workbench.flow.window import Change, Window
from workbench.records import FORMING, Rows
from workbench.timeframes import Timeframe

__all__ = ["PRICES", "ColumnFeed", "columns", "decimals", "names"]

#: Columns that every chart has, beside those of its indicators.
PRICES = ("x", "utc", "wall", "open", "high", "low", "close", "volume", "up")
#: Columns whose values may change while a bar is drawn.
_LIVE = PRICES[3:]
#: From this many new or changed rows on, sending all columns is cheaper than patches.
_MANY = 256

Column = npt.NDArray[np.float64]


def names(outputs: Sequence[str]) -> tuple[str, ...]:
    """Return the names of all columns of a chart with these indicator outputs.

    >>> names(["ema_20"])[-2:]
    ('up', 'i_ema_20')
    """
    return PRICES + tuple(f"i_{output}" for output in outputs)


def columns(
    bars: Rows,
    values: npt.NDArray[np.float64],
    first: int,
    outputs: Sequence[str],
    zone: str = "UTC",
) -> dict[str, Column]:
    """Return bars and indicator values as writable float columns.

    Parameters
    ----------
    bars : array of BAR
    values : array of float64, shape (len(bars), len(outputs))
    first : int
        Ordinal of the first bar; ordinals are the x of the chart, so no gap shows.
    outputs : sequence of str
        Names of the indicator outputs.
    zone : str
        IANA time zone of the column "wall".

    Returns
    -------
    dict of str to array of float64
        "utc" is the start of the bar in ms UTC; "wall" is the same instant as a clock on the
        wall of that zone shows it, counted as if it were UTC: the page needs no calendar.
    """
    utc = bars["time"] / 1e6
    data = {
        "x": np.arange(first, first + len(bars), dtype=np.float64),
        "utc": utc,
        "wall": _wall(bars["time"], zone),
        "up": (bars["close"] >= bars["open"]).astype(np.float64),
    }
    for name in ("open", "high", "low", "close", "volume"):
        data[name] = np.array(bars[name], dtype=np.float64)
    for column, output in enumerate(outputs):
        data[f"i_{output}"] = np.array(values[:, column], dtype=np.float64)
    return {name: data[name] for name in names(outputs)}


def _wall(times: npt.NDArray[np.int64], zone: str) -> Column:
    if zone == "UTC" or not len(times):
        return np.array(times / 1e6, dtype=np.float64)
    moments = pd.to_datetime(np.array(times), unit="ns", utc=True).tz_convert(zone)
    local = moments.tz_localize(None).as_unit("ns")
    return np.array(local.asi8 / 1e6, dtype=np.float64)


def decimals(prices: npt.NDArray[np.float64]) -> int:
    """Return how many decimals the prices of a series need on an axis.

    Parameters
    ----------
    prices : array of float64
        Some newest closes; NaN is ignored.

    Returns
    -------
    int
        0 to 12: enough to show each price as it was sent, at least 2 from a price of 1 on,
        and not more than about seven significant digits.

    Examples
    --------
    >>> decimals(np.array([64000.5])), decimals(np.array([0.0001234])), decimals(np.array([]))
    (2, 7, 2)
    """
    seen = np.abs(prices[np.isfinite(prices) & (prices != 0)])[-64:]
    if not len(seen):
        return 2
    magnitude = math.floor(math.log10(float(np.median(seen))))
    least, most = (2, max(2, 6 - magnitude)) if magnitude >= 0 else (2 - magnitude, 6 - magnitude)
    least, most = min(least, 12), min(most, 12)
    for count in range(least, most):
        if np.all(np.abs(np.round(seen, count) - seen) <= seen * 1e-9):
            return count
    return most


def _spacing(tf: Timeframe | BarKind, times: npt.NDArray[np.int64]) -> float:
    """Return the seconds from bar to bar: of bars that no clock ends, what was usual."""
    if isinstance(tf, Timeframe):
        return tf.seconds
    return max(0.001, float(np.median(np.diff(times))) / 1e9) if len(times) > 1 else 1.0


class ColumnFeed:
    """Keep one Bokeh source equal to a window, sending only what changed.

    Parameters
    ----------
    window : Window
        The series.
    zone : str
        IANA time zone of the wall times.

    Attributes
    ----------
    source : ColumnDataSource
        Shared by every glyph of a chart. Its first tag is a dict that the page reads:
        symbol, timeframe, decimals and whatever :meth:`describe` was given.
    """

    def __init__(self, window: Window, zone: str = "UTC") -> None:
        self.window = window
        self.zone = zone
        self._cursor = (0, 0)
        self._first = 0
        self._loads = 0
        self._short = False
        self._meta: dict[str, Any] = {}
        self.source = ColumnDataSource(data=self._empty())
        self.pull()

    def __len__(self) -> int:
        return len(self.source.data["x"])

    @property
    def loads(self) -> int:
        """How often all bars were sent anew, and so perhaps numbered anew."""
        return self._loads

    @property
    def first(self) -> int:
        """Ordinal of the first bar."""
        return self._first

    def starts(self) -> npt.NDArray[np.int64]:
        """Return when the bars that are shown begin, ns UTC."""
        return np.round(np.asarray(self.source.data["utc"], dtype=np.float64) * 1e6).astype(
            np.int64
        )

    @property
    def behind(self) -> bool:
        """Whether the window has changed since the last pull."""
        return self.window.version != self._cursor[1]

    def describe(self, **meta: Any) -> None:
        """Tell the page something beside the columns, such as colours."""
        self._meta |= meta
        self.source.tags = [dict(self._meta)]

    def watch(self, window: Window, zone: str) -> None:
        """Show another window that has the same indicator outputs."""
        self.window, self.zone = window, zone
        self._cursor = (0, 0)
        self.pull()

    def pull(self) -> bool:
        """Bring the source up to date; return whether anything was sent."""
        change = self.window.since(*self._cursor)
        if change is None:
            return False
        if self._continues(change):
            self._cursor = (change.epoch, change.version)
            self._short = False
            return self._amend(change)
        if self._shrinks(change):
            return False
        if not change.reset:
            change = self.window.since(0, 0) or change
        self._cursor = (change.epoch, change.version)
        self._load(change)
        return True

    def _continues(self, change: Change) -> bool:
        """Tell whether patches and appended rows lead from what is drawn to the change."""
        end = self._first + len(self)
        return (
            not change.reset
            and self._first <= change.first <= end
            and change.first + len(change.bars) >= end
            and len(change.bars) < _MANY
            and len(self) > 0
        )

    def _shrinks(self, change: Change) -> bool:
        """Tell whether rows went for the first time since the last look.

        A bar that closes takes the forming ones with it until they are told again, a moment
        later. Only rows that stay away are worth sending all columns again.
        """
        end = self._first + len(self)
        gone = self._first <= change.first and change.first + len(change.bars) < end
        self._short = gone and not change.reset and not self._short
        return self._short

    def _load(self, change: Change) -> None:
        self._short = False
        data = columns(change.bars, change.values, change.first, self.window.outputs, self.zone)
        self._first = change.first
        self._loads += 1
        self.describe(
            symbol=self.window.symbol,
            timeframe=self.window.timeframe.name,
            seconds=_spacing(self.window.timeframe, change.bars["time"]),
            steady=isinstance(self.window.timeframe, Timeframe),
            decimals=decimals(data["close"]),
            loads=self._loads,
        )
        self.source.data = data

    def _amend(self, change: Change) -> bool:
        rows = columns(change.bars, change.values, change.first, self.window.outputs, self.zone)
        index = change.first - self._first
        known = len(self) - index
        patches = self._patches(rows, index, known)
        if patches:
            self.source.patch(patches)
        added = len(change.bars) - known
        if added:
            forming = int((change.bars["state"] == FORMING).sum())
            limit = self.window.capacity + max(1, forming)
            # Lists, not arrays: an array travels as a separate binary frame of its own.
            self.source.stream(
                {name: column[known:].tolist() for name, column in rows.items()}, rollover=limit
            )
            self._first = change.first + len(change.bars) - len(self)
            digits = decimals(np.asarray(self.source.data["close"]))
            if digits > self._meta["decimals"]:
                self.describe(decimals=digits)
        return bool(patches) or bool(added)

    def _patches(
        self, rows: dict[str, Column], index: int, known: int
    ) -> dict[str, list[tuple[int, float]]]:
        """Return the cells that differ, as plain numbers."""
        patches = {}
        for name, column in rows.items():
            if name not in _LIVE and not name.startswith("i_"):
                continue
            new = column[:known]
            old = np.asarray(self.source.data[name])[index : index + known]
            rows_changed = np.flatnonzero((new != old) & ~(np.isnan(new) & np.isnan(old)))
            if len(rows_changed):
                patches[name] = [(index + int(row), float(new[row])) for row in rows_changed]
        return patches

    def _empty(self) -> dict[str, Column]:
        return {name: np.empty(0, dtype=np.float64) for name in names(self.window.outputs)}
