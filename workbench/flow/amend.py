"""Building closed bars again that trades came too late for."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from workbench.bars.batchbars import time_bars
from workbench.bars.news import news
from workbench.flow.board import Board
from workbench.flow.keeper import Keeper
from workbench.flow.recent import Recent
from workbench.records import Rows, empty
from workbench.store.store import Store
from workbench.symbols import SymbolTable
from workbench.timeframes import Timeframe

__all__ = ["Amender"]

_log = logging.getLogger("workbench.flow.amend")

_Key = tuple[int, Timeframe]


class Amender:
    """Build bars again of all their trades, of the store or of those at hand.

    Parameters
    ----------
    table : SymbolTable
    store : Store or None
    keeper : Keeper or None
        What writes into it.
    trades : Recent
        The trades at hand.
    board : Board
        Knows what was told where there is no store.
    tell : callable
        Given the bars that are new or differ from what was told; called by :meth:`look`.
    """

    def __init__(
        self,
        table: SymbolTable,
        store: Store | None,
        keeper: Keeper | None,
        trades: Recent,
        board: Board,
        tell: Callable[[Rows], None],
    ) -> None:
        self.left = 0  # bars that could not be built again: their trades are not at hand
        self._table = table
        self._store = store
        self._keeper = keeper
        self._trades = trades
        self._board = board
        self._tell = tell
        self._jobs: dict[_Key, Future[Rows]] = {}
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="workbench-amend")

    @property
    def busy(self) -> int:
        """Series that are being built again."""
        return len(self._jobs)

    def look(self, overdue: dict[_Key, set[int]]) -> None:
        """Take what was built, and begin what is overdue; in the feed's thread.

        Parameters
        ----------
        overdue : dict of (int, Timeframe) to set of int
            Starts of bars; what is begun is taken out.
        """
        for key in [key for key, job in self._jobs.items() if job.done()]:
            job = self._jobs.pop(key)
            if job.exception() is None:
                self._tell(job.result())
            else:
                _log.error("bars of %s were not amended", key, exc_info=job.exception())
        for key in list(overdue):
            if key not in self._jobs:
                starts = sorted(overdue.pop(key))
                self._jobs[key] = self._pool.submit(self._again, key, starts, *self._hand(key))

    def _hand(self, key: _Key) -> tuple[Rows, Rows]:
        """Return a symbol's trades in memory and its bars, if there is no store to ask."""
        base = self._board.base(*key)
        if self._store is not None or base is None:
            return empty("trade"), empty("bar")
        trades = self._trades.of(key[0])
        if len(trades) and not self._trades.complete:
            trades = trades[trades["time"] >= key[1].start(int(trades["time"].min())) + key[1].ns]
        return trades, base.window.closed()

    def _again(self, key: _Key, starts: list[int], trades: Rows, known: Rows) -> Rows:
        """Return what differs of the bars with these starts from what was told of them."""
        number, tf = key
        name = self._table.name(number)
        if self._keeper is not None:
            self._keeper.settle()  # the trades that came late are among those to be read
        parts = []
        for low, high in _runs(starts, tf.ns):
            if self._store is not None:
                trades = self._store.rows("trade", name, start=low, end=high, table=self._table)
                own: dict[str, object] = {"timeframe": tf, "origin": 0, "table": self._table}
                known = self._store.rows("bar", name, start=low, end=high, **own)  # type: ignore[arg-type]
            some = trades[(trades["time"] >= low) & (trades["time"] < high)]
            bars = time_bars(some, tf)
            bars = bars[np.isin(bars["time"], starts)]
            bars["symbol"] = number
            self.left += int(np.count_nonzero([low <= at < high for at in starts])) - len(bars)
            parts.append(news(bars, known, shrink=False))
        return np.concatenate(parts) if parts else empty("bar")

    def close(self) -> None:
        """End the thread; what is being built is let go, and built again from the store."""
        self._pool.shutdown(wait=True, cancel_futures=True)


def _runs(starts: Iterable[int], step: int) -> list[tuple[int, int]]:
    """Return stretches of bars that follow each other.

    >>> _runs([0, 60, 240], 60)
    [(0, 120), (240, 300)]
    """
    runs: list[tuple[int, int]] = []
    for start in starts:
        if runs and runs[-1][1] == start:
            runs[-1] = (runs[-1][0], start + step)
        else:
            runs.append((start, start + step))
    return runs
