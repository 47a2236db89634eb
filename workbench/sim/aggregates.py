"""Bars made from trades, and when the provider sends them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import numpy as np

from workbench.records import BAR, CLOSED, Rows
from workbench.sim.hours import SECOND

__all__ = ["MINUTE", "Schedule", "bars", "merge"]

MINUTE = 60 * SECOND


def bars(trades: Rows, length: int) -> Rows:
    """Return the bars of one symbol's trades; every trade counts, whatever its conditions.

    Parameters
    ----------
    trades : array of TRADE
        In order of (time, sequence).
    length : int
        Length of a bar, ns.

    Returns
    -------
    array of BAR
        One row per window that holds a trade. Sums are exact and rounded once, so they do
        not depend on the order or the cut of the trades.

    Examples
    --------
    >>> from workbench.records import TRADE
    >>> trades = np.zeros(3, TRADE)
    >>> trades["time"] = [1 * SECOND, 2 * SECOND, 61 * SECOND]
    >>> trades["price"], trades["size"] = [10.0, 11.0, 12.0], [1.0, 3.0, 5.0]
    >>> made = bars(trades, MINUTE)
    >>> made["close"].tolist(), made["volume"].tolist(), made["vwap"].tolist()
    ([11.0, 12.0], [4.0, 5.0], [10.75, 12.0])
    """
    if not len(trades):
        return np.zeros(0, BAR)
    starts = trades["time"] // length * length
    firsts = np.flatnonzero(np.diff(starts, prepend=starts[0] - 1))
    rows = np.zeros(len(firsts), BAR)
    lasts = np.append(firsts[1:], len(trades))
    rows["time"] = starts[firsts]
    rows["open"] = trades["price"][firsts]
    rows["close"] = trades["price"][lasts - 1]
    rows["high"] = np.maximum.reduceat(trades["price"], firsts)
    rows["low"] = np.minimum.reduceat(trades["price"], firsts)
    rows["count"] = lasts - firsts
    sizes = trades["size"].tolist()
    values = (trades["price"] * trades["size"]).tolist()
    cuts = list(zip(firsts.tolist(), lasts.tolist(), strict=True))
    rows["volume"] = [math.fsum(sizes[a:b]) for a, b in cuts]
    rows["notional"] = [math.fsum(values[a:b]) for a, b in cuts]
    return _finish(rows, length)


def merge(base: Rows, start: int, length: int) -> Rows:
    """Return one bar that holds all given bars.

    Parameters
    ----------
    base : array of BAR
        At least one, in order of time.
    start, length : int
        Start of the whole bar and its length, ns.
    """
    row = np.zeros(1, BAR)
    row["time"] = start
    row["open"], row["close"] = base["open"][0], base["close"][-1]
    row["high"], row["low"] = base["high"].max(), base["low"].min()
    row["count"] = base["count"].sum()
    row["volume"] = math.fsum(base["volume"].tolist())
    row["notional"] = math.fsum(base["notional"].tolist())
    return _finish(row, length)


def _finish(rows: Rows, length: int) -> Rows:
    volume = rows["volume"]
    rows["vwap"] = np.where(
        volume > 0, rows["notional"] / np.where(volume > 0, volume, 1), rows["close"]
    )
    # A mean lies between its parts; rounding must not push it out.
    np.clip(rows["vwap"], rows["low"], rows["high"], out=rows["vwap"])
    rows["timeframe"] = length // SECOND
    rows["state"] = CLOSED
    return rows


class Schedule:
    """Tell which windows of one length are due, from the trades that were sent.

    A window is due once the market has passed its end by the wait. A window that got
    another trade after it was due comes again, if repeats are wanted: that is how the
    provider corrects minute bars.

    Parameters
    ----------
    length : int
        Length of a window, ns.
    wait : int
        Time after the end of a window until it is due, ns.
    repeat : bool
        Whether a late trade makes a window due again.

    Examples
    --------
    >>> schedule = Schedule(MINUTE, 2 * SECOND, repeat=True)
    >>> schedule.note("SPY", np.array([5 * SECOND, 59 * SECOND]))
    >>> list(schedule.due(61 * SECOND)), list(schedule.due(62 * SECOND))
    ([], [('SPY', 0)])
    >>> schedule.note("SPY", np.array([7 * SECOND]))
    >>> list(schedule.due(63 * SECOND))
    [('SPY', 0)]
    """

    def __init__(self, length: int, wait: int, *, repeat: bool) -> None:
        self.length = length
        self._wait = wait
        self._repeat = repeat
        self._pending: dict[str, set[int]] = {}
        self._told: dict[str, int] = {}
        self._next = math.inf

    def note(self, symbol: str, times: Iterable[int] | Rows) -> None:
        """Take note of the event times of trades that were sent."""
        windows = np.unique(np.asarray(times, np.int64) // self.length * self.length)
        if not self._repeat:
            windows = windows[windows > self._told.get(symbol, -1)]
        if len(windows):
            self._pending.setdefault(symbol, set()).update(windows.tolist())
            self._next = min(self._next, int(windows[0]))

    def join(self, symbol: str, times: Iterable[int] | Rows, known: int) -> None:
        """Take note of trades that were sent before `known`, of windows that are due later."""
        stamps = np.asarray(times, np.int64)
        limit = known - self._wait - self.length
        self.note(symbol, stamps[stamps // self.length * self.length > limit])

    def due(self, until: int) -> Iterator[tuple[str, int]]:
        """Yield (symbol, window start) of what is due at a market time, and forget it."""
        limit = until - self._wait - self.length
        if limit < self._next:
            return
        self._next = math.inf
        for symbol, windows in list(self._pending.items()):
            ready = sorted(window for window in windows if window <= limit)
            windows.difference_update(ready)
            if windows:
                self._next = min(self._next, *windows)
            else:
                del self._pending[symbol]
            for window in ready:
                self._told[symbol] = max(window, self._told.get(symbol, -1))
                yield symbol, window
