"""Bars of other kinds on the board: from trades and time bars to the series that show them."""

from __future__ import annotations

import numpy as np

from workbench.flow.board import Board
from workbench.flow.health import Health
from workbench.flow.kindbars import KindBars
from workbench.records import Batch, Rows, empty
from workbench.symbols import SymbolTable

__all__ = ["KindBoard"]


class KindBoard:
    """Have bars of other kinds built, and pass them to their series.

    Parameters
    ----------
    kinds : KindBars
    board : Board
    table : SymbolTable
    health : Health
        Counts trades that came too late for bars that depend on all before them.
    """

    def __init__(self, kinds: KindBars, board: Board, table: SymbolTable, health: Health) -> None:
        self._kinds = kinds
        self._board = board
        self._table = table
        self._health = health

    def trades(self, batch: Batch) -> None:
        """Take accepted trades."""
        for bars in self._kinds.trades(batch):
            self._board.add(Batch("bar", bars))
        self._health.bars["overdue"] += self._kinds.overdue
        self._kinds.overdue = 0

    def bars(self, batch: Batch) -> None:
        """Take closed and revised time bars."""
        for bars, anew in self._kinds.bars(batch):
            if anew:
                self._board.restart(bars)
            else:
                self._board.add(Batch("bar", bars))

    def advance(self, clock: int) -> None:
        """Release trades that waited long enough at a time of receipt, ns UTC."""
        for bars in self._kinds.advance(clock):
            self._board.add(Batch("bar", bars))

    def again(self, number: int, trades: Rows) -> None:
        """Build what depends on all trades before it again, in the order of the market.

        Parameters
        ----------
        number : int
            Of the symbol.
        trades : array of TRADE
            All of it at hand, those among them that were fetched later.
        """
        trades = trades[np.lexsort((trades["sequence"], trades["time"]))]
        for kind in self._kinds.of(number):
            name = self._table.name(number)
            self._board.restart(self._kinds.open(number, name, kind, trades, empty("bar")))
