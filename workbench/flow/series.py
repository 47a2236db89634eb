"""One series that somebody watches: its window and the indicators run beside it."""

from __future__ import annotations

from collections.abc import Sequence

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
        self._runs = Runs(self.indicators, symbol)

    def __repr__(self) -> str:
        names = ", ".join(i.label for i in self.indicators)
        return f"Series({self.window!r}{': ' + names if names else ''})"

    def add(self, bars: Rows) -> None:
        """Take closed and revised bars of this series, in order of emission."""
        start = 0
        last = self.window.last_time
        for i in range(len(bars)):
            time = int(bars["time"][i])
            if bars["state"][i] == REVISED or time <= last:
                self._append(bars[start:i])
                self._amend(bars[i : i + 1])
                start = i + 1
            last = max(last, time)
        self._append(bars[start:])

    def restart(self, bars: Rows) -> None:
        """Hold these closed bars instead, and run the indicators over them anew."""
        self._runs = Runs(self.indicators, self.window.symbol)
        self.window.replace(bars, self._runs.add(bars))

    def _append(self, bars: Rows) -> None:
        if len(bars):
            self.window.close(bars, self._runs.add(bars))

    def _amend(self, bar: Rows) -> None:
        """Put a bar in place of its older revision, or between older bars."""
        held = self.window.closed()
        time = int(bar["time"][0])
        row = int(np.searchsorted(held["time"], time))
        known = row < len(held) and int(held["time"][row]) == time
        # Counts of a run are absolute; the window holds the last of them.
        gone = self._runs.count - len(held) if self._runs else 0
        if not known and row == 0 and gone:
            return  # older than the window: the store has it
        first = row
        if self._runs:
            first = self._runs.reach(gone + row) - gone
            if first < 0:  # the state of its time is gone: only the bar itself is amended
                if known:
                    self.window.revise(row, bar, self.window.values()[row : row + 1])
                return
            self._runs.rollback(gone + first)
        before = self.window.values()[:first]
        if known:
            held[row] = bar[0]
            self.window.revise(first, held[first:], self._runs.add(held[first:]))
        else:
            held = np.insert(held, row, bar[0])
            self.window.replace(held, np.concatenate([before, self._runs.add(held[first:])]))

    def form(self, bars: Rows) -> None:
        """Show the bars that are not closed, oldest first."""
        self.window.form(bars, self._runs.ahead(bars))
