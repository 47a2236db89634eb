"""Settling a ledger by a backfill: what it misses is the plan, what came is told to it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from workbench.bars.conditions import Marker
from workbench.clock import Clock, SystemClock
from workbench.history.coverage import KNOWN
from workbench.history.ledger import Ledger
from workbench.history.pieces import gaps
from workbench.records import Batch
from workbench.store.coverage import Change, Interval, Series, write_intervals
from workbench.store.sqlite import SqliteStore
from workbench.symbols import SymbolTable, asset_class

__all__ = ["Settlement"]


class Settlement:
    """Let a ledger tell a backfill what to fetch, and learn from it what came.

    It is the `coverage` of :func:`~workbench.history.backfill.backfill`. Rows and the word that
    their range came whole are stored in one transaction: no crash comes between the two.

    Parameters
    ----------
    ledger : Ledger
        Of that store: :func:`~workbench.history.ledgers.ledger_of` gives it.
    store : SqliteStore
        Takes the rows.
    fetch : str
        Names the fetch in what is learned from it.
    clock : Clock or None
        None is the machine's.
    tape_rules : bool
        Whether trades are stored with marks of what they may set in a bar, as live ones are.

    Examples
    --------
    >>> import tempfile
    >>> from workbench.history.ledgers import ledger_of
    >>> from workbench.store.store import open_store
    >>> with tempfile.TemporaryDirectory() as folder, open_store(f"{folder}/m.db") as store:
    ...     Settlement(ledger_of(store), store).missing(Series("sim", "BTC-USD", "trade"), 0, 9)
    [(0, 9)]
    """

    def __init__(
        self,
        ledger: Ledger,
        store: SqliteStore,
        *,
        fetch: str = "backfill",
        clock: Clock | None = None,
        tape_rules: bool = True,
    ) -> None:
        self._ledger = ledger
        self._store = store
        self._fetch = fetch
        self._clock = clock or SystemClock()
        self._tape_rules = tape_rules

    def missing(self, series: Series, start: int, end: int) -> list[tuple[int, int]]:
        """Return what of [start, end) has to be fetched, ns."""
        return self._ledger.missing(series, start, end)

    def doubt(self, series: Series, spans: Sequence[tuple[int, int]]) -> None:
        """Write down durably what is going to be fetched.

        What is in doubt or missing already keeps its reason. What is known is in doubt from
        now on; the tail of a live series is not, being about to come.

        Parameters
        ----------
        series : Series
        spans : sequence of (int, int)
            Half-open ranges, ns UTC.
        """
        now = self._clock.now()
        for start, end in spans:
            held = self._ledger.intervals(series, start, end)
            for low, high in gaps(held, start, end):
                why = f"{self._fetch} begun"
                self._ledger.doubted([series], low, high, now, why=why)
            for low, high in _runs(held):
                why = f"{self._fetch} begun anew"
                self._ledger.doubted([series], low, high, now, why=why, whole=True)

    def came(
        self,
        series: Series,
        span: tuple[int, int],
        batches: Iterable[Batch],
        table: SymbolTable,
        *,
        begun: int,
        certain: bool = True,
    ) -> int:
        """Store rows and that their range came whole, both or none; return rows changed.

        Parameters
        ----------
        series : Series
        span : (int, int)
            What has come whole, ns; an empty one tells nothing, and rows are stored all the
            same.
        batches : iterable of Batch
        table : SymbolTable
            Names of the symbols in the rows.
        begun : int
            When the request that brought them was sent, ns UTC: what was lost after it stays
            in doubt.
        certain : bool
            Whether a step without a bar had no trade. It is not where some of what came could
            not be read or was refused.
        """
        mark = Marker(table) if self._tape_rules else lambda batch: batch
        some = [mark(batch) for batch in batches]
        start, end = span
        if start >= end:
            return self._store.append_many(some, table)
        changed = 0

        def write(changes: Sequence[Change]) -> None:
            nonlocal changed
            changed = self._store.append_with(
                some, table, lambda connection: write_intervals(connection, changes)
            )

        times = np.concatenate([np.zeros(0, np.int64), *(batch.rows["time"] for batch in some)])
        inside = times[(times >= start) & (times < end)]
        own = all(_of(batch, series.timeframe) for batch in some if batch.kind == "bar")
        # Bars of another length tell that there was something, and not where nothing was.
        rows = inside if own and certain else max(len(inside), not certain)
        self._ledger.fetched(
            series,
            start,
            end,
            rows,
            begun=begun,
            fetch=self._fetch,
            at=self._clock.now(),
            persist=write,
        )
        if asset_class(series.symbol) == "stocks":  # nothing may mean: closed
            self._ledger.closed([series], start, end, at=self._clock.now())
        return changed


def _runs(held: Iterable[Interval]) -> list[tuple[int, int]]:
    """Return the ranges of intervals that are known, those that touch as one."""
    found: list[tuple[int, int]] = []
    for one in held:
        if one.state not in KNOWN:
            continue
        if found and found[-1][1] == one.start:
            found[-1] = (found[-1][0], one.end)
        else:
            found.append((one.start, one.end))
    return found


def _of(batch: Batch, seconds: int) -> bool:
    return bool((batch.rows["timeframe"] == seconds).all())
