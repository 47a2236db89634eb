"""One series that somebody watches: its window and the indicators run beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from workbench.analytics import Indicator, Run, Runs
from workbench.bars.kinds import BarKind
from workbench.flow.window import Window
from workbench.records import REVISED, Rows
from workbench.timeframes import Timeframe

__all__ = ["Series"]


class Series:
    """Keep a window and its indicators in step with the bars of one symbol and timeframe.

    Indicators run on closed bars; on the forming bar they peek. A revised bar rolls them back
    only as far as that bar.

    Parameters
    ----------
    symbol : str
    timeframe : Timeframe or BarKind
    indicators : sequence of Indicator
    capacity : int
        Closed bars in the window; at least 128 where there are indicators.

    Attributes
    ----------
    followers : list of callable
        Called with closed time bars that were taken, as a pair with whether they are in place
        of all since the first of them.
    """

    def __init__(
        self,
        symbol: str,
        timeframe: Timeframe | BarKind,
        indicators: Sequence[Indicator] = (),
        capacity: int = 2000,
    ) -> None:
        self.indicators = tuple(indicators)
        keys = [key for indicator in self.indicators for key in indicator.keys]
        if self.indicators:  # a late trade must find the bars since a checkpoint before it
            capacity = max(capacity, 2 * Run.EVERY)
        self.window = Window(symbol, timeframe, capacity, keys)
        self.users = 0
        self.followers: list[Callable[[tuple[Rows, bool]], Any]] = []
        self._runs = Runs(self.indicators, symbol)

    def __repr__(self) -> str:
        names = ", ".join(i.label for i in self.indicators)
        return f"Series({self.window!r}{': ' + names if names else ''})"

    def add(self, bars: Rows) -> None:
        """Take closed and revised bars of this series, in order of emission."""
        times = bars["time"]
        before = np.maximum.accumulate(np.append(self.window.last_time, times[:-1]))
        older = (bars["state"] == REVISED) | (times <= before)
        cuts = np.flatnonzero(np.diff(older)) + 1
        for some, amend in zip(np.split(bars, cuts), np.split(older, cuts), strict=True):
            if len(some) and amend[0]:
                self._amend(some)
            else:
                self._append(some)
        self._tell(bars, anew=False)

    def restart(self, bars: Rows) -> None:
        """Hold these closed bars instead, and run the indicators over them anew."""
        self._runs = Runs(self.indicators, self.window.symbol)
        self.window.replace(bars, self._runs.add(bars))
        self._tell(bars, anew=True)

    def _tell(self, bars: Rows, *, anew: bool) -> None:
        for follower in self.followers:
            follower((bars, anew))

    def redo(self, bars: Rows, gone: int) -> None:
        """Put bars in place of so many of the newest ones; indicators go back as far as that."""
        held = min(len(self.window), self.window.capacity)
        first = held - gone
        start = max(0, first)
        if self._runs:
            before = self._runs.count - held  # bars that are older than the window
            start = self._runs.reach(before + first) - before
            if start < 0:  # the state of that time is gone
                self.restart(np.concatenate([self.window.tail(0, max(0, first)), bars]))
                return
            self._runs.rollback(before + start)
        tail = np.concatenate([self.window.tail(start, max(0, first)), bars])
        self.window.replace(tail, self._runs.add(tail), start)

    def _append(self, bars: Rows) -> None:
        if len(bars):
            self.window.close(bars, self._runs.add(bars))

    def _amend(self, bars: Rows) -> None:
        """Put bars in place of their older revisions, or between older bars.

        Indicators go back once, to the oldest of them: what it costs is the way from there.
        """
        bars = bars[np.lexsort((bars["revision"], bars["time"]))]
        bars = bars[np.append(bars["time"][1:] != bars["time"][:-1], True)]
        held = min(len(self.window), self.window.capacity)
        # Counts of a run are absolute; the window holds the last of them.
        gone = self._runs.count - held if self._runs else 0
        first = self.window.find(int(bars["time"][0]))
        if first == 0 and gone:  # what is older than the window is in the store
            bars = bars[bars["time"] >= self.window.first_time]
            if not len(bars):
                return
            first = self.window.find(int(bars["time"][0]))
        start = first
        if self._runs:
            start = self._runs.reach(gone + first) - gone
            if start < 0:  # the state of its time is gone: only the bars themselves are amended
                self._overwrite(bars)
                return
            self._runs.rollback(gone + start)
        tail = self.window.tail(start)
        rows = np.searchsorted(tail["time"], bars["time"])
        known = rows < len(tail)
        known[known] = tail["time"][rows[known]] == bars["time"][known]
        tail[rows[known]] = bars[known]
        if known.all():
            self.window.revise(start, tail, self._runs.add(tail))
            return
        tail = np.insert(tail, rows[~known], bars[~known])
        self.window.replace(tail, self._runs.add(tail), start)

    def _overwrite(self, bars: Rows) -> None:
        """Put bars in place of their older revisions, and leave the indicators as they are."""
        for i in range(len(bars)):
            row = self.window.find(int(bars["time"][i]))
            old = self.window.tail(row, row + 1)
            if len(old) and old["time"][0] == bars["time"][i]:
                self.window.revise(row, bars[i : i + 1])

    def form(self, bars: Rows) -> None:
        """Show the bars that are not closed, oldest first."""
        self.window.form(bars, self._runs.ahead(bars))
