"""The newest bars of one series, for screens that pull at their own pace."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from workbench.bars.kinds import BarKind
from workbench.records import BAR, Rows
from workbench.timeframes import Timeframe

__all__ = ["Change", "Window"]


@dataclass(frozen=True, slots=True)
class Change:
    """What changed in a window since a version.

    Attributes
    ----------
    epoch, version : int
        To be handed to the next :meth:`Window.since`.
    reset : bool
        True if bars were renumbered: forget what is drawn and draw these rows.
    first : int
        Ordinal of the first row; row i has ordinal first + i. Ordinals count the bars of the
        series without gaps and serve as the x of a chart.
    bars : array of BAR
        All rows from the first changed one to the newest. The last ones may be forming (their
        `state` tells): the newest bar, and bars that ended and wait for late trades.
    values : array of float64, shape (len(bars), outputs)
        Indicator outputs beside the bars, in the order of :attr:`Window.outputs`; NaN in
        warm-up.
    """

    epoch: int
    version: int
    reset: bool
    first: int
    bars: Rows
    values: npt.NDArray[np.float64]


class Window:
    """Keep the newest bars and their indicator values, and tell readers what changed.

    One thread writes (the feed's); any number of readers call :meth:`since`.

    Parameters
    ----------
    symbol : str
    timeframe : Timeframe or BarKind
    capacity : int
        Closed bars kept; older ones fall off the left edge.
    outputs : sequence of str
        Names of the indicator outputs kept beside each bar.

    Examples
    --------
    >>> from workbench.timeframes import timeframe
    >>> window = Window("BTC-USD", timeframe("1m"), capacity=100)
    >>> bars = np.zeros(3, BAR)
    >>> bars["time"] = [0, 60, 120]
    >>> window.close(bars, np.empty((3, 0)))
    >>> change = window.since(0, 0)
    >>> change.first, len(change.bars), window.since(change.epoch, change.version) is None
    (0, 3, True)
    """

    def __init__(
        self,
        symbol: str,
        timeframe: Timeframe | BarKind,
        capacity: int = 2000,
        outputs: Sequence[str] = (),
    ) -> None:
        self.symbol = symbol
        self.timeframe = timeframe
        self.capacity = capacity
        self.outputs = tuple(outputs)
        self._lock = threading.Lock()
        # Room for a quarter more than the capacity: rows are moved to the front only once in
        # so many bars, and readers always get one contiguous slice. It grows with use.
        self._limit = capacity + max(64, capacity // 4)
        self._bars = np.zeros(65, BAR)
        self._values = np.full((65, len(self.outputs)), np.nan)
        self._changed = np.zeros(65, np.int64)
        self._length = 0  # closed bars held
        self._base = 0  # ordinal of row 0
        self._forming = 0  # rows from `_length` on that hold forming bars
        self._version = 0
        self._epoch = 1

    def __len__(self) -> int:
        return self._length

    def __repr__(self) -> str:
        return f"Window({self.symbol} {self.timeframe}, {self._length} bars)"

    @property
    def version(self) -> int:
        """A number that grows with every change."""
        return self._version

    def close(self, bars: Rows, values: npt.NDArray[np.float64]) -> None:
        """Append closed bars, in order of time, with their indicator values."""
        with self._lock:
            self._version += 1
            for start in range(0, len(bars), self.capacity):
                self._append(bars[start : start + self.capacity], values[start:])

    def _reserve(self, rows: int) -> None:
        """Make room for that many closed bars and a forming one."""
        have = len(self._bars)
        if rows + 1 <= have:
            return
        more = max(min(2 * have, self._limit + 1), rows + 1) - have
        self._bars = np.concatenate([self._bars, np.zeros(more, BAR)])
        nans = np.full((more, len(self.outputs)), np.nan)
        self._values = np.concatenate([self._values, nans])
        self._changed = np.concatenate([self._changed, np.zeros(more, np.int64)])

    def _append(self, bars: Rows, values: npt.NDArray[np.float64]) -> None:
        n = len(bars)
        if self._length + n > self._limit:
            drop = self._length + n - self.capacity
            keep = self._length - drop
            for array in (self._bars, self._values, self._changed):
                array[:keep] = array[drop : self._length].copy()
            self._base += drop
            self._length = keep
        end = self._length + n
        self._reserve(end)
        self._bars[self._length : end] = bars
        self._values[self._length : end] = values[:n]
        self._changed[self._length : end] = self._version
        self._length = end
        self._forming = 0

    def form(self, bars: Rows, values: npt.NDArray[np.float64]) -> None:
        """Show the bars that are not closed, oldest first, and the peeked indicator values."""
        with self._lock:
            self._version += 1
            start, end = self._length, self._length + len(bars)
            self._reserve(end)
            self._bars[start:end] = bars
            self._values[start:end] = values
            self._changed[start:end] = self._version
            self._forming = len(bars)

    def revise(self, row: int, bars: Rows, values: npt.NDArray[np.float64] | None = None) -> None:
        """Overwrite closed bars from a row of :meth:`closed` on; None leaves their values."""
        with self._lock:
            self._version += 1
            row += max(0, self._length - self.capacity)
            end = row + len(bars)
            self._bars[row:end] = bars
            if values is not None:
                self._values[row:end] = values
            self._changed[row:end] = self._version

    def replace(self, bars: Rows, values: npt.NDArray[np.float64], row: int = 0) -> None:
        """Hold these bars from a row of :meth:`closed` on: others came in between older ones.

        They are renumbered, so that whoever reads asks for all of them again.
        """
        with self._lock:
            self._version += 1
            self._epoch += 1
            row += max(0, self._length - self.capacity)
            bars, values = bars[-self.capacity :], values[-self.capacity :]
            end = row + len(bars)
            if end > self._limit:  # make room as appending does
                drop = end - self.capacity
                for array in (self._bars, self._values, self._changed):
                    array[: row - drop] = array[drop:row].copy()
                row, end = row - drop, self.capacity
            self._reserve(end)
            self._bars[row:end] = bars
            self._values[row:end] = values
            self._changed[:end] = self._version
            self._length = end
            self._base = 0
            self._forming = 0

    def find(self, time: int) -> int:
        """Return the row of :meth:`closed` with a time, or where it would be put."""
        first = max(0, self._length - self.capacity)
        return int(np.searchsorted(self._bars["time"][first : self._length], time))

    def tail(self, row: int, end: int | None = None) -> Rows:
        """Return a copy of the closed bars from a row of :meth:`closed` on, or up to another."""
        with self._lock:
            first = max(0, self._length - self.capacity)
            stop = self._length if end is None else min(self._length, first + end)
            return self._bars[first + row : stop].copy()

    def closed(self) -> Rows:
        """Return a copy of the closed bars held, oldest first."""
        with self._lock:
            return self._bars[max(0, self._length - self.capacity) : self._length].copy()

    def values(self) -> npt.NDArray[np.float64]:
        """Return a copy of the indicator values beside :meth:`closed`."""
        with self._lock:
            return self._values[max(0, self._length - self.capacity) : self._length].copy()

    @property
    def last_time(self) -> int:
        """Start of the newest closed bar in ns UTC; before all times if there is none."""
        return int(self._bars["time"][self._length - 1]) if self._length else -(1 << 62)

    @property
    def first_time(self) -> int:
        """Start of the oldest closed bar in ns UTC; after all times if there is none."""
        first = max(0, self._length - self.capacity)
        return int(self._bars["time"][first]) if self._length else 1 << 62

    def since(self, epoch: int, version: int) -> Change | None:
        """Return what changed since a version, or None if nothing did.

        Parameters
        ----------
        epoch, version : int
            From the last :class:`Change`; 0 and 0 ask for everything.
        """
        if epoch == self._epoch and version == self._version:
            return None
        with self._lock:
            end = self._length + self._forming
            first = max(0, self._length - self.capacity)
            reset = epoch != self._epoch
            if not reset:
                newer = self._changed[first:end] > version
                # The bar after the last closed one is always sent again: it may have gone.
                first += int(newer.argmax()) if newer.any() else max(0, end - first - 1)
            return Change(
                epoch=self._epoch,
                version=self._version,
                reset=reset,
                first=self._base + first,
                bars=self._bars[first:end].copy(),
                values=self._values[first:end].copy(),
            )

    def latest(self) -> Rows:
        """Return a copy of the newest bar as one row, or no row."""
        with self._lock:
            end = self._length + self._forming
            return self._bars[max(0, end - 1) : end].copy()

    @property
    def forming(self) -> bool:
        """Whether the newest row is a forming bar."""
        return self._forming > 0
