"""The bars the provider sends beside the trades: seconds, minutes, and their corrections."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

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
    """A stock's Eastern day so far, from the trades that were sent."""

    def __init__(self, row: Rows, day: date) -> None:
        self.row = row if len(row) else np.zeros(1, BAR)
        self.row = self.row.copy()
        self._end = day_bounds(day)[1]

    def add(self, rows: Rows) -> None:
        if not len(rows):
            return
        last = int(rows["time"].max())
        if last >= self._end:
            self._end = day_bounds(eastern_date(last))[1]
            self.row = np.zeros(1, BAR)
        if not self.row["count"][0]:
            self.row["open"] = rows["price"][0]
        self.row["count"] += len(rows)
        self.row["volume"] += rows["size"].sum()
        self.row["notional"] += (rows["price"] * rows["size"]).sum()
        self.row["vwap"] = self.row["notional"] / self.row["volume"]


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

    def day_so_far(self, symbol: str, known: int) -> Rows:
        """Return a stock's day as known; may take long, and is safe in any thread."""
        if asset_class(symbol) != "stocks":
            return np.zeros(0, BAR)
        return self._history.day(symbol, eastern_date(known), known)

    def open(self, symbol: str, day: Rows, known: int) -> None:
        """Start to make a symbol's bars, whole ones of the windows that are open at `known`."""
        self._since[symbol] = known
        before = self._history.market.sent(symbol, known - self._reach, known)
        for schedule in self._schedules.values():
            schedule.join(symbol, before["time"], known)
        self._days[symbol] = _Day(day, eastern_date(known))

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
                    events.append(encode_bar(symbol, kind, bar, self._days[symbol].row))
                    topics.append(4 * index[symbol] + kind)
        return Chunk.of(events, topics) if events else None
