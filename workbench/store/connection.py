"""Connections to a SQLite file, and its errors in our words."""

from __future__ import annotations

import shutil
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from workbench.errors import StoreBusyError, StoreError, StoreFullError
from workbench.store import schema

__all__ = ["Readers", "open_writer", "translated"]

_BUSY_SECONDS = 5.0
_PAGE_BYTES = 8192
# Less than this free counts as full: the log and its index need whole blocks.
_FULL_BYTES = 64 * 1024


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Raise SQLite's errors as ours, with advice.

    Raises
    ------
    StoreFullError, StoreBusyError, StoreError
        Their `status` is SQLite's name of the error.
    ValueError
        If a value does not fit its column.
    """
    try:
        yield
    except (sqlite3.IntegrityError, sqlite3.DataError) as error:
        raise ValueError(f"a row cannot be stored: {error}") from error
    except sqlite3.Error as error:
        raise _ours(error, path) from error


def _ours(error: sqlite3.Error, path: Path) -> StoreError:
    # Errors that the sqlite3 module itself raises have no code.
    code = (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF
    name = getattr(error, "sqlite_errorname", None)
    if code == sqlite3.SQLITE_FULL or (code == sqlite3.SQLITE_IOERR and _full(path)):
        return StoreFullError(f"no space left for {path}: free some on its disk", status=name)
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StoreBusyError(f"another program keeps {path} locked", status=name)
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return StoreError(
            f"{path} is damaged or not a store ({error}): move it aside, open a new one and "
            "fetch the data again; nothing was repaired or deleted",
            status=name,
        )
    if code == sqlite3.SQLITE_CANTOPEN:
        return StoreError(f"cannot open {path}: is its folder there, and allowed?", status=name)
    if code == sqlite3.SQLITE_READONLY:
        return StoreError(f"{path} may not be written", status=name)
    return StoreError(f"{path}: {error}", status=name)


def _full(path: Path) -> bool:
    try:
        return shutil.disk_usage(path.parent).free < _FULL_BYTES
    except OSError:
        return False


def open_writer(path: Path, *, full: bool) -> sqlite3.Connection:
    """Open the one connection that writes, and make the tables.

    Parameters
    ----------
    path : Path
    full : bool
        Whether every commit waits until the disk has it.

    Raises
    ------
    StoreError
        If the file cannot serve as a store; it was not changed then.
    """
    with translated(path):
        connection = sqlite3.connect(
            path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
    try:
        with translated(path):
            # Before anything that writes: the file may be somebody else's.
            schema.check(connection, str(path))
            connection.execute(f"PRAGMA page_size = {_PAGE_BYTES}")
            journal = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
            if journal != "wal":
                raise StoreError(f"the file system of {path} cannot hold a shared store")
            connection.execute(f"PRAGMA synchronous = {'FULL' if full else 'NORMAL'}")
            connection.execute("PRAGMA cache_size = -65536")
            connection.execute("PRAGMA journal_size_limit = 67108864")
            schema.create(connection, str(path))
    except BaseException:
        connection.close()
        raise
    return connection


class Readers:
    """Lend read-only connections, one to a thread at a time.

    Parameters
    ----------
    path : Path
        A store; opening it never makes one and never changes it.
    keep : int
        Idle connections kept open.
    """

    def __init__(self, path: Path, *, keep: int = 4) -> None:
        self._path = path
        self._keep = keep
        self._idle: list[sqlite3.Connection] = []
        self._lock = threading.Lock()
        self._closed = False

    @contextmanager
    def take(self) -> Iterator[sqlite3.Connection]:
        """Lend a connection for the length of a with block, in which errors are ours.

        Raises
        ------
        StoreError
            If there is no store, it cannot be read, or it was closed.
        """
        with translated(self._path):
            connection = self._borrow()
            try:
                yield connection
            except BaseException:
                # It may be in the middle of a statement, which would pin the log.
                connection.close()
                raise
            self._give_back(connection)

    def _borrow(self) -> sqlite3.Connection:
        with self._lock:
            if self._closed:
                raise StoreError(f"{self._path} was closed")
            if self._idle:
                return self._idle.pop()
        if not self._path.is_file():
            raise StoreError(f'there is no store {self._path}: open it with mode="rw" to make one')
        connection = sqlite3.connect(
            f"{self._path.absolute().as_uri()}?mode=ro",
            uri=True,
            timeout=_BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=False,
        )
        try:
            if schema.check(connection, str(self._path)) is None:
                raise StoreError(f"{self._path} holds no store yet: nothing was ever written to it")
        except BaseException:
            connection.close()
            raise
        return connection

    def _give_back(self, connection: sqlite3.Connection) -> None:
        with self._lock:
            if not self._closed and len(self._idle) < self._keep:
                self._idle.append(connection)
                return
        connection.close()

    def close(self) -> None:
        """Close idle connections now, and lent ones when they come back."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()
