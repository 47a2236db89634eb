"""Bars made from trades on the board: from trades to the series that show them."""

from __future__ import annotations

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
    trades : Recent
        What there is to go back to.
    health : Health
        Counts trades that came too late for bars that depend on all before them.
    clock : Clock
    """

    def __init__(
        self, kinds: KindBars, board: Board, trades: Recent, health: Health, clock: Clock
    ) -> None:
        self._kinds = kinds
        self._board = board
        self._trades = trades
        self._health = health
        self._clock = clock
        self._due = 0.0  # by the monotonic clock

    def trades(self, batch: Batch) -> None:
        """Take accepted trades."""
        for bars in self._kinds.trades(batch):
            self._board.add(Batch("bar", bars))
        self._health.bars["overdue"] += self._kinds.overdue
        self._kinds.overdue = 0

    def advance(self, clock: int) -> None:
        """Release trades that waited long enough at a time of receipt, ns UTC."""
        for bars in self._kinds.advance(clock):
            self._board.add(Batch("bar", bars))

    @property
    def late(self) -> bool:
        """Whether there are trades that came too late, and are not in their bars yet."""
        return any(line.late is not None for _, line in self._kinds.lines())

    def look(self) -> None:
        """Build again what trades came too late for, or were fetched for: now, or a bit later.

        What it costs is the way from those trades on. A tape on which one trade in many is late
        must not keep the feed at it.
        """
        began = self._clock.monotonic()
        if began < self._due:
            return
        for number, line in self._kinds.lines():
            line.whole = self._trades.fallen + 1
            if line.late is not None:
                bars, gone = line.again(self._trades.of(number))
                if gone or len(bars):
                    self._board.redo(number, line.kind, bars, gone)
        now = self._clock.monotonic()
        self._due = now + _SHARE * (now - began)
