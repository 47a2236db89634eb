"""Bars made from trades and quotes on the board: from those to the series that show them."""

from __future__ import annotations

from collections.abc import Mapping

from workbench.bars.news import news
from workbench.clock import Clock
from workbench.flow.board import Board
from workbench.flow.health import Health
from workbench.flow.kindbars import KindBars
from workbench.flow.recent import Recent
from workbench.records import Batch

__all__ = ["KindBoard"]

#: Of what time there is, one part in so many is for going back for late trades.
_SHARE = 10


class KindBoard:
    """Have bars of other kinds built, and pass them to their series.

    Parameters
    ----------
    kinds : KindBars
    board : Board
    recent : dict of str to Recent
        Trades and quotes that there are to go back to.
    health : Health
        Counts trades that came too late for bars that depend on all before them.
    clock : Clock
    """

    def __init__(
        self,
        kinds: KindBars,
        board: Board,
        recent: Mapping[str, Recent],
        health: Health,
        clock: Clock,
    ) -> None:
        self._kinds = kinds
        self._board = board
        self._trades, self._quotes = recent["trade"], recent["quote"]
        self._health = health
        self._clock = clock
        self._due = 0.0  # by the monotonic clock

    def trades(self, batch: Batch) -> None:
        """Take accepted trades."""
        for bars in self._kinds.trades(batch):
            self._board.add(Batch("bar", bars))
        self._health.bars["overdue"] += self._kinds.overdue
        self._kinds.overdue = 0

    def quotes(self, batch: Batch) -> None:
        """Take accepted quotes."""
        for bars in self._kinds.quotes(batch):
            self._board.add(Batch("bar", bars))

    def advance(self, clock: int) -> None:
        """Release trades that waited long enough at a time of receipt, ns UTC."""
        for bars in self._kinds.advance(clock):
            self._board.add(Batch("bar", bars))

    @property
    def late(self) -> bool:
        """Whether there are trades or quotes that came too late, or changed, and are in no bar."""
        late = any(line.late is not None for _, line in self._kinds.lines())
        late = late or bool(self._trades.replaced)
        return late or any(line.late for _, line in self._kinds.quoted())

    def look(self) -> None:
        """Build again what something came too late for, or was fetched for: now, or soon.

        What it costs is the way from there on. A tape on which one trade in many is late must
        not keep the feed at it.
        """
        began = self._clock.monotonic()
        if began < self._due:
            return
        for number, line in self._kinds.lines():
            line.changed(self._trades.replaced.get(number))
            line.whole = self._trades.fallen + 1
            if line.late is not None:
                bars, gone = line.again(self._trades.of(number))
                if gone or len(bars):
                    self._board.redo(number, line.kind, bars, gone)
        self._trades.replaced.clear()
        for number, quoted in self._kinds.quoted():
            shown = self._board.base(number, quoted.kind) if quoted.late else None
            if shown is not None:
                bars = quoted.again(self._quotes.of(number), self._quotes.fallen + 1)
                bars = news(bars, shown.window.closed())
                if len(bars):
                    self._board.add(Batch("bar", bars))
        now = self._clock.monotonic()
        self._due = now + _SHARE * (now - began)
