"""The embedded store: one SQLite file that one process writes and any number read."""

from __future__ import annotations

import html
import os
import sqlite3
import threading
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.clock import Clock, SystemClock
from workbench.errors import StoreError, UnknownTimeframeError
from workbench.records import TRADE, Batch, Kind, Rows
from workbench.store import queries, revisions, schema, summary
from workbench.store.connection import Readers, open_writer, translated
from workbench.store.coverage import (
    Change,
    Interval,
    Series,
    intervals_table,
    read_intervals,
    write_intervals,
)
from workbench.store.frames import When, nanoseconds
from workbench.store.layout import LAYOUTS, gathered
from workbench.store.lock import WriterLock
from workbench.store.statements import Range
from workbench.store.store import Durability, Mode, Store
from workbench.symbols import SymbolTable, asset_class, canonical
from workbench.timeframes import Timeframe
from workbench.timeframes import timeframe as parse_timeframe

__all__ = ["SqliteStore"]


class SqliteStore(Store):
    """Keep records in a SQLite file in WAL mode; the contract is `Store`'s.

    Zeros read back as +0.0, NaN of a bar's vwap or notional as NaN; other floats are exact.
    Quotes are told apart by all they say but the time of receipt.

    Parameters
    ----------
    path : Path
    mode : "rw" or "ro"
    durability : "full" or "normal"
        See :func:`~workbench.store.store.open_store`.
    max_bytes : int or None
        Size the file may grow to, in bytes; beyond it the store is full. None is no limit.
    clock : Clock or None
        Tells when rows become known that do not tell it themselves; None is the machine's.
    """

    def __init__(
        self,
        path: Path,
        *,
        mode: Mode = "rw",
        durability: Durability = "full",
        max_bytes: int | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.path = path
        self.mode = mode
        self.durability = durability
        self._clock = clock or SystemClock()
        self._sids: dict[str, int] = {}  # committed ones only
        self._writing = threading.RLock()
        self._write: sqlite3.Connection | None = None
        self._lock: WriterLock | None = None
        self._closed = False
        if mode == "rw":
            self._open_for_writing()
        self._readers = Readers(path)
        try:
            if mode == "rw":
                self.limit(max_bytes)
            with self._readers.take():
                pass  # a store that cannot be read fails here rather than at first use
        except BaseException:
            self.close()
            raise

    def _open_for_writing(self) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"cannot make {self.path.parent}: {error.strerror}") from None
        self._lock = WriterLock(self.path.with_name(self.path.name + ".lock"))
        try:
            self._write = open_writer(self.path, full=self.durability == "full")
        except BaseException:
            self._lock.release()
            raise

    def limit(self, max_bytes: int | None) -> None:
        """Set the size in bytes that the file may grow to; None is no limit."""
        with self._writing, translated(self.path):
            write = self._writer()
            size = int(write.execute("PRAGMA page_size").fetchone()[0])
            pages = (1 << 32) - 2 if max_bytes is None else max(1, max_bytes // size)
            write.execute(f"PRAGMA max_page_count = {pages}")

    def append(self, batch: Batch, table: SymbolTable) -> int:
        """Store the rows of a batch, all or none; return how many were new or changed."""
        return self.append_many((batch,), table)

    def append_many(self, batches: Iterable[Batch], table: SymbolTable) -> int:
        """Store several batches in one transaction; return rows that were new or changed."""
        return self.append_with(batches, table, None)

    def append_with(
        self,
        batches: Iterable[Batch],
        table: SymbolTable,
        step: Callable[[sqlite3.Connection], None] | None,
    ) -> int:
        """Store batches and let `step` write more, all in one transaction or none of it."""
        parts = gathered(batches, self._clock.now())
        changed = 0
        fresh: dict[str, int] = {}
        with self._writing, translated(self.path):
            write = self._writer()
            write.execute("BEGIN IMMEDIATE")
            try:
                for kind, (rows, known) in parts.items():
                    sids = self._numbers(write, rows["symbol"], table, fresh)
                    changed += LAYOUTS[kind].put(write, rows, sids, known)
                if step is not None:
                    step(write)
                write.execute("COMMIT")
            except BaseException:
                # SQLite ends the transaction itself on some errors, a full disk among them.
                if write.in_transaction:
                    write.execute("ROLLBACK")
                raise
            self._sids.update(fresh)
        return changed

    def amend_trades(self, rows: Rows, table: SymbolTable, known: int = 0) -> int:
        """Replace what stored trades say, keeping what they said; return how many changed."""
        if rows.dtype != TRADE:
            raise TypeError("what amends trades must have dtype TRADE")
        moment, changed = known or self._clock.now(), 0

        def step(write: sqlite3.Connection) -> None:
            nonlocal changed
            sids = self._numbers(write, rows["symbol"], table, {})
            changed = revisions.amend(write, rows, sids, moment)

        self.append_with((), table, step)
        return changed

    def put_intervals(self, changes: Iterable[Change]) -> None:
        """Write changes of a ledger, all or none; they are kept for good when it returns."""
        self.append_with((), SymbolTable(), lambda write: write_intervals(write, changes))

    def intervals(
        self, symbol: str | None = None, source: str | None = None
    ) -> list[tuple[Series, Interval]]:
        """Return the intervals of a ledger, series by series and in order of time."""
        name = None if symbol is None else canonical(symbol)
        with self._readers.take() as connection:
            return read_intervals(connection, name, source)

    def _writer(self) -> sqlite3.Connection:
        if self._write is None:
            if self._closed:
                raise StoreError(f"{self.path} was closed")
            raise StoreError(f'{self.path} was opened with mode="ro": it cannot be written')
        return self._write

    def _numbers(
        self,
        write: sqlite3.Connection,
        ids: npt.NDArray[np.int32],
        table: SymbolTable,
        fresh: dict[str, int],
    ) -> npt.NDArray[np.int64]:
        unique, inverse = np.unique(ids, return_inverse=True)
        sids = np.empty(len(unique), np.int64)
        for place, number in enumerate(unique.tolist()):
            try:
                name = table.name(number)
            except IndexError:
                raise ValueError(f"no symbol has number {number} in the table") from None
            sid = self._sids.get(name) or fresh.get(name)
            if sid is None:
                write.execute(
                    "INSERT INTO symbols (symbol, asset_class) VALUES (?, ?) "
                    "ON CONFLICT DO NOTHING",
                    (name, asset_class(name)),
                )
                found = write.execute("SELECT id FROM symbols WHERE symbol = ?", (name,))
                sid = fresh[name] = int(found.fetchone()[0])
            sids[place] = sid
        return sids[inverse]

    def rows(
        self,
        kind: Kind,
        symbol: str,
        *,
        timeframe: str | int | Timeframe | None = None,
        start: When | None = None,
        end: When | None = None,
        last: int | None = None,
        origin: int | None = None,
        table: SymbolTable | None = None,
        as_of: When | None = None,
        cancelled: bool = False,
    ) -> Rows:
        """Return what is stored of one series as records, in time order."""
        if kind not in LAYOUTS:
            raise ValueError(f"kind is one of {', '.join(LAYOUTS)}, not {kind!r}")
        name = canonical(symbol)
        tf = _seconds(kind, timeframe)
        if last is not None and last < 0:
            raise ValueError(f"last is a number of rows, not {last}")
        bounds = [None if when is None else nanoseconds(when) for when in (start, end, as_of)]
        within = Range(bounds[0], bounds[1], last, bounds[2], cancelled)
        layout = LAYOUTS[kind]
        with self._readers.take() as connection:
            sid = self._find(connection, name)
            revised = within.as_of is None or _revised(connection)
            if sid is not None and kind == "bar" and origin is None:
                moment = within.as_of if revised else None
                origin = queries.series_origin(connection, sid, tf, moment)
            if sid is None or (kind == "bar" and origin is None):
                return np.zeros(0, layout.dtype)
            key = (sid, tf, origin or 0) if kind == "bar" else (sid,)
            number = 0 if table is None else table.id(name)
            rows = queries.read(connection, layout, key, within, symbol=number, revised=revised)
        if kind == "quote":
            # Quotes that share time and sequence came in the order of their receipt.
            return rows[np.lexsort((rows["received"], rows["sequence"], rows["time"]))]
        return rows

    def _find(self, connection: sqlite3.Connection, name: str) -> int | None:
        sid = self._sids.get(name)
        if sid is None:
            found = connection.execute("SELECT id FROM symbols WHERE symbol = ?", (name,))
            row = found.fetchone()
            if row is not None:
                sid = self._sids[name] = int(row[0])
        return sid

    def revisions(
        self,
        symbol: str,
        timeframe: str | int | Timeframe,
        time: When,
        *,
        origin: int | None = None,
    ) -> pd.DataFrame:
        """Return all that a bar ever said, with the times when it became known."""
        name, tf = canonical(symbol), parse_timeframe(timeframe).seconds
        with self._readers.take() as connection:
            sid = self._find(connection, name)
            if sid is not None and origin is None:
                origin = queries.series_origin(connection, sid, tf)
            key = (-1 if sid is None else sid, tf, origin or 0)
            revised = _revised(connection)
            return revisions.table(connection, key, nanoseconds(time), revised=revised)

    def reading(self) -> AbstractContextManager[sqlite3.Connection]:
        """Lend a connection that reads, for the length of a with block."""
        return self._readers.take()

    def symbols(self) -> pd.DataFrame:
        """Return what is stored of each symbol."""
        with self._readers.take() as connection:
            return summary.symbols(connection)

    def coverage(self, symbol: str | None = None, *, intervals: bool = False) -> pd.DataFrame:
        """Return first and last time and rows of each series, or the ledger's intervals."""
        if intervals:
            return intervals_table(self.intervals(symbol))
        name = None if symbol is None else canonical(symbol)
        with self._readers.take() as connection:
            return summary.coverage(connection, name)

    def info(self) -> dict[str, Any]:
        """Return the store's place, sizes, versions, and rows and revisions of each kind."""
        with self._readers.take() as connection:
            rows = summary.counts(connection)
            replaced = revisions.counts(connection) if _revised(connection) else {}
            version = schema.version(connection)
        return {
            "path": str(self.path),
            "mode": self.mode,
            "durability": self.durability,
            "bytes": _bytes(self.path),
            "wal_bytes": self.wal_bytes,
            "sqlite_version": sqlite3.sqlite_version,
            "schema_version": version,
            "rows": rows,
            "revisions": replaced,
        }

    @property
    def wal_bytes(self) -> int:
        """Bytes committed to the log; it is folded into the file and used again."""
        return _bytes(self.path.with_name(self.path.name + "-wal"))

    def close(self) -> None:
        """Let go of the file and its lock; a second call does nothing."""
        readers = getattr(self, "_readers", None)
        if readers is not None:
            readers.close()
        with self._writing:
            self._closed = True
            write, self._write = self._write, None
            # The log is folded in by closing, so the lock must outlive the connection.
            if write is not None:
                write.close()
            if self._lock is not None:
                self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "closed" if self._closed else self.mode
        return f"SqliteStore({str(self.path)!r}, {state}, {_bytes(self.path) / 1e6:.1f} MB)"

    def _repr_html_(self) -> str:
        if self._closed:
            return f"<code>{html.escape(repr(self))}</code>"
        with self._readers.take() as connection:
            return summary.html_table(repr(self), connection)


def _seconds(kind: Kind, timeframe: str | int | Timeframe | None) -> int:
    if kind != "bar":
        return 0
    if timeframe is None:
        raise UnknownTimeframeError('bars are asked for by timeframe, such as timeframe="1m"')
    return parse_timeframe(timeframe).seconds


def _revised(connection: sqlite3.Connection) -> bool:
    # A store of an older version that was opened for reading has no revisions yet.
    return (schema.version(connection) or 0) >= 3


def _bytes(path: Path) -> int:
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return 0
