"""What goes from the pipeline into the store, and how."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from streamz import Stream

from workbench.clock import Clock
from workbench.config import Settings
from workbench.errors import StoreError
from workbench.flow.prices import DAY
from workbench.records import Batch
from workbench.store.store import Store
from workbench.store.writer import Writer
from workbench.symbols import SymbolTable

__all__ = ["Keeper"]


class Keeper:
    """Hand batches to the store's writer, and say what it could not take.

    Parameters
    ----------
    store : Store
    table : SymbolTable
    capacity : int
        Rows that may wait.
    clock : Clock
    wants_days : callable
        ``wants_days(symbol)``: whether day bars of a symbol were asked for; they are built of
        all, for the table of prices.
    failed : callable
        ``failed(where, error)``, of a batch that is not stored.

    Attributes
    ----------
    live : bool
        Whether rows come from a provider, that would drop a slow reader, or from a tape, that
        can wait for the disk.
    """

    def __init__(
        self,
        store: Store,
        table: SymbolTable,
        capacity: int,
        clock: Clock,
        wants_days: Callable[[str], bool],
        failed: Callable[[str, Exception], None],
    ) -> None:
        self.live = True
        self._table = table
        self._wants_days = wants_days
        self._failed = failed
        self._writer = Writer(
            store,
            table,
            capacity=capacity,
            clock=clock,
            on_error=lambda batch, error: failed("store", error),
        )

    @property
    def state(self) -> str:
        """What the writer is doing."""
        return self._writer.stats.state

    @property
    def queued(self) -> int:
        """Rows that wait."""
        return self._writer.stats.queued

    def listen(self, branch: Callable[[str, str], Stream], config: Settings) -> list[Stream]:
        """Take what is to be stored from the streams of a pipeline; return the sinks."""
        taken: list[tuple[str, Callable[[Batch], None]]] = [
            ("bar", self.bars),
            ("provider_bar", self.put),
        ]
        taken += [("trade", self.put)] * config.store_trades
        taken += [("quote", self.put)] * config.store_quotes
        return [branch(kind, "store").sink(take) for kind, take in taken]

    def put(self, batch: Batch) -> None:
        """Queue a batch."""
        if self._writer.put(batch):
            return
        if not self.live:
            self._writer.flush(600.0)
            if self._writer.put(batch):
                return
        full = StoreError(f"the queue is full: {len(batch)} {batch.kind} rows are not stored")
        self._failed("store", full)

    def bars(self, batch: Batch) -> None:
        """Queue the bars of timeframes that were asked for."""
        rows = batch.rows
        days = rows["timeframe"] == DAY.seconds
        if days.any():
            keep = ~days
            keep[np.flatnonzero(days)] = [
                self._wants_days(self._table.name(int(symbol))) for symbol in rows["symbol"][days]
            ]
            rows = rows[keep]
        if len(rows):
            self.put(Batch("bar", rows, known=batch.known))

    def mark(self) -> int:
        """Return a number for what was put so far; see :meth:`settled`."""
        return self._writer.mark()

    def settled(self, mark: int) -> bool:
        """Tell whether all that was put before a mark is stored."""
        return self._writer.settled(mark)

    def losses(self) -> list[tuple[str, str, int, int]]:
        """Return what was not stored since this was last asked: kind, symbol, first, last."""
        return [(kind, name, first, last) for kind, name, first, last in self._writer.take_losses()]

    def settle(self) -> None:
        """Wait a little until what waits is stored, so that it can be read."""
        if self.state == "running":
            self._writer.flush(2.0)  # a full disk must not hold up the socket

    def close(self) -> bool:
        """Store what waits and stop; False if something was not stored."""
        return self._writer.close()
