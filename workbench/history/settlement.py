"""Settling a ledger by a backfill: what it misses is the plan, what came is told to it."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence

import numpy as np

from workbench.clock import Clock, SystemClock
from workbench.history.ledger import Ledger
from workbench.history.pieces import gaps
from workbench.records import Batch
from workbench.store import fetches
from workbench.store.coverage import Series
from workbench.store.store import Store
from workbench.symbols import SymbolTable, canonical

__all__ = ["Settlement"]


class Settlement:
    """Let a ledger tell a backfill what to fetch, and learn from it what came.

    It is the `coverage` of :func:`~workbench.history.backfill.backfill`. Rows are stored
    before the ledger is told of them: a crash between the two costs a request, never a row.

    Parameters
    ----------
    ledger : Ledger
        Persisting into the same store.
    store : Store
        Takes the rows.
    fetch : str
        Names the fetch in what is learned from it.
    clock : Clock or None
        None is the machine's.

    Examples
    --------
    >>> import tempfile
    >>> from workbench.store.store import open_store
    >>> with tempfile.TemporaryDirectory() as folder, open_store(f"{folder}/m.db") as store:
    ...     ledger = Ledger(store.intervals(), persist=store.put_intervals)
    ...     Settlement(ledger, store).missing(fetches.Series("sim", "trade", "BTC-USD"), 0, 9)
    [(0, 9)]
    """

    def __init__(
        self,
        ledger: Ledger,
        store: Store,
        *,
        fetch: str = "backfill",
        clock: Clock | None = None,
    ) -> None:
        self._ledger = ledger
        self._store = store
        self._fetch = fetch
        self._clock = clock or SystemClock()
        self._begun: dict[Series, int] = {}
        self._lock = threading.Lock()

    def missing(self, series: fetches.Series, start: int, end: int) -> list[tuple[int, int]]:
        """Return what of [start, end) has to be fetched, ns."""
        return self._ledger.missing(_key(series), start, end)

    def doubt(self, series: fetches.Series, intervals: Sequence[tuple[int, int]]) -> None:
        """Write down what is going to be fetched, where nothing is known of it yet."""
        key, now = _key(series), self._clock.now()
        with self._lock:
            # No request of these ranges was sent before now: so early it counts as begun.
            self._begun[key] = now
        for start, end in intervals:
            for low, high in gaps(self._ledger.intervals(key, start, end), start, end):
                self._ledger.doubted([key], low, high, now, why=f"{self._fetch} begun")

    def came(
        self,
        series: fetches.Series,
        interval: tuple[int, int],
        batches: Iterable[Batch],
        table: SymbolTable,
    ) -> int:
        """Store rows, then tell the ledger that their range came whole; return rows changed.

        Parameters
        ----------
        series : fetches.Series
        interval : (int, int)
            What has come whole, ns; an empty one tells nothing.
        batches : iterable of Batch
        table : SymbolTable
            Names of the symbols in the rows.
        """
        some = list(batches)
        changed = self._store.append_many(some, table)
        start, end = interval
        if start >= end:
            return changed
        key = _key(series)
        times = [batch.rows["time"] for batch in some]
        inside = np.concatenate([np.zeros(0, np.int64), *times])
        inside = inside[(inside >= start) & (inside < end)]
        own = all(batch.kind != "bar" or _of(batch, key.timeframe) for batch in some)
        now = self._clock.now()
        with self._lock:
            begun = self._begun.get(key, 0)
        # Bars of another length tell that there was something, and not where nothing was.
        rows = inside if own else len(inside)
        self._ledger.fetched(key, start, end, rows, begun=begun, fetch=self._fetch, at=now)
        return changed


def _key(series: fetches.Series) -> Series:
    return Series(series.source, canonical(series.symbol), series.kind, series.seconds)


def _of(batch: Batch, seconds: int) -> bool:
    return bool((batch.rows["timeframe"] == seconds).all())
