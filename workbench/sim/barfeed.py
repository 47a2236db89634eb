"""The bars the provider sends beside the trades: seconds, minutes, and their corrections."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from workbench.records import BAR, Rows
from workbench.sim.aggregates import MINUTE, Schedule
from workbench.sim.history import History
from workbench.sim.hours import SECOND, day_bounds, eastern_date
from workbench.sim.wire import Chunk, encode_bar
from workbench.symbols import asset_class

__all__ = ["BarFeed"]

_FAR = 1 << 62
_LENGTHS = {2: SECOND, 3: MINUTE}


class _Day:
    """A stock's Eastern day so far, from the trades that were sent, and the day before.

    Bars of a day are told when the next one has begun.
    """

    def __init__(self, row: Rows, before: Rows, start: int) -> None:
        self._row, self._before = _one(row), _one(before)
        self._start = start
        self._end = day_bounds(eastern_date(start))[1]

    def of(self, time: int) -> Rows:
        """Return the day that holds a time, if it is not before yesterday, as one row."""
        return self._row if time >= self._start else self._before

    def add(self, rows: Rows) -> None:
        if not len(rows):
            return
        last = int(rows["time"].max())
        if last >= self._end:
            _sum(self._row, rows[rows["time"] < self._end])
            rows = rows[rows["time"] >= self._end]
            self._before, self._row = self._row, np.zeros(1, BAR)
            self._start, self._end = day_bounds(eastern_date(last))
        old = rows["time"] < self._start
        _sum(self._before, rows[old])
        _sum(self._row, rows[~old])


def _one(row: Rows) -> Rows:
    return row.copy() if len(row) else np.zeros(1, BAR)


def _sum(day: Rows, rows: Rows) -> None:
    if not len(rows):
        return
    if not day["count"][0]:
        day["open"] = rows["price"][0]
    day["count"] += len(rows)
    day["volume"] += rows["size"].sum()
    day["notional"] += (rows["price"] * rows["size"]).sum()
    day["vwap"] = day["notional"] / day["volume"]


class BarFeed:
    """Make the bars that are due, for the symbols whose bars somebody wants.

    Parameters
    ----------
    history : History
    wait : float
        Seconds of market time after a window's end until its bar is sent.
    """

    def __init__(self, history: History, wait: float = 2.0) -> None:
        self._history = history
        self._schedules = {
            kind: Schedule(length, int(wait * SECOND), repeat=kind == 3)
            for kind, length in _LENGTHS.items()
        }
        #: How far back a trade can be of a window that is not due yet.
        self._reach = max(_LENGTHS.values()) + int(wait * SECOND)
        self._since: dict[str, int] = {}
        self._days: dict[str, _Day] = {}

    def missing(self, demand: Iterable[int]) -> list[str]:
        """Return symbols whose bars are wanted but which were not opened yet."""
        symbols = self._history.symbols
        wanted = {symbols[topic // 4]: None for topic in self._made(demand)}
        return [symbol for symbol in wanted if symbol not in self._since]

    def _made(self, demand: Iterable[int]) -> list[int]:
        recorded = self._history.market.recorded
        return sorted(t for t in demand if t % 4 in _LENGTHS and t not in recorded)

    def day_so_far(self, symbol: str, known: int) -> _Day:
        """Return a stock's day as known; may take long, and is safe in any thread."""
        today, start = eastern_date(known), day_bounds(eastern_date(known))[0]
        row = before = np.zeros(0, BAR)
        if asset_class(symbol) == "stocks":
            row = self._history.day(symbol, today, known)
            if known - self._reach < start:
                before = self._history.day(symbol, eastern_date(start - 1), known)
        return _Day(row, before, start)

    def open(self, symbol: str, day: _Day, known: int) -> None:
        """Start to make a symbol's bars, whole ones of the windows that are open at `known`."""
        self._since[symbol] = known
        before = self._history.market.sent(symbol, known - self._reach, known)
        for schedule in self._schedules.values():
            schedule.join(symbol, before["time"], known)
        self._days[symbol] = day

    def advance(self, until: int, demand: frozenset[int], *, flush: bool = False) -> Chunk | None:
        """Return the bars that are due, None if there are none.

        Parameters
        ----------
        until : int
            Market time up to which trades were sent.
        demand : frozenset of int
            Topics that somebody wants.
        flush : bool
            Whether the market has ended, so that all windows are due.
        """
        topics = self._made(demand)
        symbols = self._history.symbols
        wanted: dict[str, set[int]] = {}
        for topic in topics:
            wanted.setdefault(symbols[topic // 4], set()).add(topic % 4)
        for symbol in [symbol for symbol in self._since if symbol not in wanted]:
            del self._since[symbol], self._days[symbol]
        for symbol in self._since:
            rows = self._history.market.sent(symbol, self._since[symbol], until)
            self._since[symbol] = until
            if len(rows):
                self._days[symbol].add(rows)
                for schedule in self._schedules.values():
                    schedule.note(symbol, rows["time"])
        return self._due(until, wanted, flush)

    def _due(self, until: int, wanted: dict[str, set[int]], flush: bool) -> Chunk | None:
        index = {symbol: i for i, symbol in enumerate(self._history.symbols)}
        events, topics = [], []
        for kind, schedule in self._schedules.items():
            for symbol, start in schedule.due(_FAR if flush else until):
                if symbol not in self._since or kind not in wanted[symbol]:
                    continue
                bar = self._history.window(symbol, start, _LENGTHS[kind], until)
                if len(bar):
                    events.append(encode_bar(symbol, kind, bar, self._days[symbol].of(start)))
                    topics.append(4 * index[symbol] + kind)
        return Chunk.of(events, topics) if events else None
