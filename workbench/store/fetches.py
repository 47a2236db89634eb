"""What was fetched of each series, and which ranges are in doubt: the table `fetch_log`.

A range in doubt is written down before anything is fetched, and struck out in the very
transaction that stores the rows of it. Whatever stops a program, what is neither fetched nor
stored is still to be fetched.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from workbench.clock import Clock, SystemClock
from workbench.records import Batch, Kind
from workbench.store.sqlite import SqliteStore
from workbench.symbols import SymbolTable, asset_class, canonical
from workbench.timeframes import Timeframe

__all__ = ["Fetches", "Interval", "Series", "subtract", "united"]

#: A half-open range of event time, [start, end), ns UTC.
Interval = tuple[int, int]

_FETCHED, _DOUBT = "fetched", "doubt"
_SERIES = "source = ? AND kind = ? AND sid = ? AND tf = ?"


@dataclass(frozen=True, slots=True)
class Series:
    """Whose rows: a source's name, a kind, a symbol, and a timeframe for bars."""

    source: str
    kind: Kind
    symbol: str
    timeframe: Timeframe | None = None

    @property
    def seconds(self) -> int:
        """The timeframe in seconds; 0 for trades and quotes."""
        return 0 if self.timeframe is None else self.timeframe.seconds


def united(intervals: Iterable[Interval]) -> list[Interval]:
    """Return intervals in order, those that touch or overlap as one, empty ones left out.

    >>> united([(5, 9), (1, 3), (3, 4), (8, 10), (7, 7)])
    [(1, 4), (5, 10)]
    """
    made: list[Interval] = []
    for start, end in sorted(intervals):
        if start >= end:
            continue
        if made and start <= made[-1][1]:
            made[-1] = (made[-1][0], max(made[-1][1], end))
        else:
            made.append((start, end))
    return made


def subtract(wanted: Iterable[Interval], known: Iterable[Interval]) -> list[Interval]:
    """Return what of some intervals is not in others, in order.

    >>> subtract([(0, 10)], [(2, 3), (5, 7), (9, 20)])
    [(0, 2), (3, 5), (7, 9)]
    """
    taken, left = united(known), []
    place = 0
    for start, end in united(wanted):
        while place < len(taken) and taken[place][1] <= start:
            place += 1
        at = place
        while at < len(taken) and taken[at][0] < end:
            if taken[at][0] > start:
                left.append((start, taken[at][0]))
            start = max(start, taken[at][1])
            at += 1
        if start < end:
            left.append((start, end))
    return left


class Fetches:
    """Keep, in a store, which ranges of its series were fetched whole and which are in doubt.

    Parameters
    ----------
    store : SqliteStore
        Open for writing, or for reading if nothing is to be noted.
    clock : Clock or None
        Tells when a range was fetched; None is the machine's.
    """

    def __init__(self, store: SqliteStore, clock: Clock | None = None) -> None:
        self._store = store
        self._clock = clock or SystemClock()

    def fetched(self, series: Series) -> list[Interval]:
        """Return the ranges that were fetched whole, those in doubt again left out."""
        ranges = self._read(series)
        return subtract(ranges[_FETCHED], ranges[_DOUBT])

    def doubts(self, series: Series) -> list[Interval]:
        """Return the ranges that were noted and have not come whole since."""
        return united(self._read(series)[_DOUBT])

    def missing(self, series: Series, start: int, end: int) -> list[Interval]:
        """Return what of [start, end) is not known to be whole, ns."""
        return subtract([(start, end)], self.fetched(series))

    def doubt(self, series: Series, intervals: Sequence[Interval]) -> None:
        """Note durably that ranges are not known to be whole."""

        def step(connection: sqlite3.Connection) -> None:
            sid = _sid(connection, series.symbol)
            ranges = _ranges(connection, series, sid)
            self._write(connection, series, sid, _DOUBT, [*ranges[_DOUBT], *intervals])

        self._store.append_with((), SymbolTable(), step)

    def came(
        self, series: Series, interval: Interval, batches: Iterable[Batch], table: SymbolTable
    ) -> int:
        """Store rows, and in the same transaction that their range came whole.

        Parameters
        ----------
        series : Series
        interval : (int, int)
            What has come whole, rows or none; an empty one notes nothing.
        batches : iterable of Batch
        table : SymbolTable
            Names of the symbols in the rows.

        Returns
        -------
        int
            Rows that were new or changed something.
        """

        def step(connection: sqlite3.Connection) -> None:
            if interval[0] >= interval[1]:
                return
            sid = _sid(connection, series.symbol)
            ranges = _ranges(connection, series, sid)
            left = subtract(ranges[_DOUBT], [interval])
            self._write(connection, series, sid, _DOUBT, left)
            self._write(connection, series, sid, _FETCHED, [*ranges[_FETCHED], interval])

        return self._store.append_with(batches, table, step)

    def _read(self, series: Series) -> dict[str, list[Interval]]:
        with self._store.reading() as connection:
            found = connection.execute(
                "SELECT id FROM symbols WHERE symbol = ?", (canonical(series.symbol),)
            ).fetchone()
            if found is None:
                return {_FETCHED: [], _DOUBT: []}
            return _ranges(connection, series, int(found[0]))

    def _write(
        self,
        connection: sqlite3.Connection,
        series: Series,
        sid: int,
        status: str,
        intervals: Iterable[Interval],
    ) -> None:
        """Change the ranges of a status to these, touching only those that differ."""
        # The two statuses share a key, so a doubt is kept under a kind of its own.
        kind = _kind(series, status)
        old = set(_of(connection, series, sid, kind))
        new = set(united(intervals))
        key = (series.source, kind, sid, series.seconds)
        connection.executemany(
            f"DELETE FROM fetch_log WHERE {_SERIES} AND ts_lo = ? AND ts_hi = ?",  # noqa: S608
            [(*key, *interval) for interval in old - new],
        )
        now = self._clock.now()
        connection.executemany(
            "INSERT INTO fetch_log (source, kind, sid, tf, ts_lo, ts_hi, status, fetched_at) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [(*key, *interval, status, now) for interval in sorted(new - old)],
        )


def _kind(series: Series, status: str) -> str:
    return f"{series.kind}?" if status == _DOUBT else series.kind


def _of(connection: sqlite3.Connection, series: Series, sid: int, kind: str) -> list[Interval]:
    return [
        (int(low), int(high))
        for low, high in connection.execute(
            f"SELECT ts_lo, ts_hi FROM fetch_log WHERE {_SERIES} ORDER BY ts_lo",  # noqa: S608
            (series.source, kind, sid, series.seconds),
        )
    ]


def _ranges(connection: sqlite3.Connection, series: Series, sid: int) -> dict[str, list[Interval]]:
    return {
        status: _of(connection, series, sid, _kind(series, status)) for status in (_FETCHED, _DOUBT)
    }


def _sid(connection: sqlite3.Connection, symbol: str) -> int:
    name = canonical(symbol)
    connection.execute(
        "INSERT INTO symbols (symbol, asset_class) VALUES (?, ?) ON CONFLICT DO NOTHING",
        (name, asset_class(name)),
    )
    found = connection.execute("SELECT id FROM symbols WHERE symbol = ?", (name,)).fetchone()
    return int(found[0])
