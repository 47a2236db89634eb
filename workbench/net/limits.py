"""One limit of requests for a key, shared by all threads and processes of the machine."""

from __future__ import annotations

import hashlib
import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Protocol

from workbench.clock import Clock, SystemClock
from workbench.errors import StoreError

__all__ = ["Limit", "NoLimit", "SharedLimit", "key_name"]

log = logging.getLogger("workbench.net.limits")

_NS = 1_000_000_000
#: A process that stands still for a while, its file locked, is waited for.
_BUSY_SECONDS = 120.0
#: The longest that a request is on its way, seconds: then nobody waits for its answer any more.
_ON_ITS_WAY = 40.0
_TABLES = (
    "CREATE TABLE IF NOT EXISTS taken (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, "
    "at INTEGER NOT NULL)",
    "CREATE INDEX IF NOT EXISTS taken_name ON taken (name, at)",
)


class Limit(Protocol):
    """Let requests pass one by one."""

    @property
    def per_minute(self) -> int:
        """Requests in a window; 0 is no limit."""
        ...

    def taken(self) -> int:
        """Wait for a place in the window, take it and return its number."""
        ...

    def hold(self, number: int) -> None:
        """Tell that the request that took a place is yet to be sent."""
        ...

    def done(self, number: int) -> None:
        """Tell that the request that took a place was answered, or failed."""
        ...


class NoLimit:
    """Let every request pass at once.

    >>> NoLimit().taken()
    0
    """

    per_minute = 0

    def taken(self) -> int:
        """Return 0."""
        return 0

    def hold(self, number: int) -> None:
        """Do nothing."""

    def done(self, number: int) -> None:
        """Do nothing."""


def key_name(key: str, base: str) -> str:
    """Return a name for a key at a provider's address that does not tell the key.

    >>> len(key_name("secret", "https://api.massive.com")), key_name("a", "b") == key_name("c", "b")
    (32, False)
    """
    return hashlib.blake2b(f"{base}\n{key}".encode(), digest_size=16).hexdigest()


class SharedLimit:
    """Count requests of all processes in a sliding window, in a small file.

    A place is free again one window after its request was *answered*: the provider counts
    when a request arrives, which is somewhere between asking and answer, so its window can
    never hold more than ours. One whose process died, and is never answered, is free again
    after a window, or 40 s if that is longer.

    Parameters
    ----------
    path : Path
        The file; made where it is missing.
    name : str
        Whose requests are counted, such as :func:`key_name` gives.
    per_minute : int
        Requests in a window, at least 1.
    window : float
        Length of the window, seconds.
    slack : float
        Seconds added to the window for clocks that run apart.
    wait : callable
        Waits for a number of seconds; may raise to end the wait.
    on_wait : callable or None
        Told the seconds before each wait.
    clock : Clock or None
        None is the machine's.

    Raises
    ------
    StoreError
        If the file cannot be used.
    """

    def __init__(
        self,
        path: Path,
        name: str,
        per_minute: int,
        *,
        window: float = 60.0,
        slack: float = 0.05,
        wait: Callable[[float], object] | None = None,
        on_wait: Callable[[float], None] | None = None,
        clock: Clock | None = None,
    ) -> None:
        if per_minute < 1:
            raise ValueError("a limit lets at least one request pass; NoLimit lets all")
        self.per_minute = per_minute
        self.path = path
        self._name = name
        self._window = round((window + slack) * _NS)
        # Marks of what was not answered are set ahead, so that they outlast a short window.
        self._ahead = max(0, round(_ON_ITS_WAY * _NS) - self._window)
        self._wait = wait or threading.Event().wait
        self._on_wait = on_wait
        self._clock = clock or SystemClock()
        path.parent.mkdir(parents=True, exist_ok=True)
        with self._opened() as connection:
            # Waits for others, as a change of the journal's mode would not.
            connection.execute("BEGIN IMMEDIATE")
            for statement in _TABLES:
                connection.execute(statement)
            connection.execute("COMMIT")

    def __repr__(self) -> str:
        return f"SharedLimit({self.per_minute} in {self._window / _NS:.4g} s)"

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        # A connection for each step: threads and forks may then share the object, and a step
        # is rare enough.
        try:
            with closing(
                sqlite3.connect(self.path, timeout=_BUSY_SECONDS, isolation_level=None)
            ) as connection:
                connection.execute("PRAGMA synchronous = NORMAL")
                yield connection
        except sqlite3.Error as error:
            raise StoreError(f"the file of request limits {self.path}: {error}") from error

    def taken(self) -> int:
        """Wait for a place in the window, take it and return its number."""
        while True:
            number, seconds = self._try()
            if number is not None:
                return number
            if self._on_wait is not None:
                self._on_wait(seconds)
            log.debug("%d requests a window are used up: waiting %.1f s", self.per_minute, seconds)
            self._wait(seconds)

    def _try(self) -> tuple[int | None, float]:
        """Return the number of a place, or None and the seconds until one may be free."""
        with self._opened() as connection:
            connection.execute("BEGIN IMMEDIATE")
            now = self._clock.now()
            # Marks from beyond this moment were made before the clock was set back.
            connection.execute(
                "DELETE FROM taken WHERE at <= ? OR at > ?",
                (now - self._window, now + self._window + self._ahead),
            )
            marks = [
                int(at)
                for (at,) in connection.execute(
                    "SELECT at FROM taken WHERE name = ? ORDER BY at DESC LIMIT ?",
                    (self._name, self.per_minute),
                )
            ]
            if len(marks) == self.per_minute:
                connection.execute("COMMIT")
                # What is on its way now may be answered at once, and is free a window later.
                return None, max(0.001, (min(marks[-1], now) + self._window - now) / _NS)
            made = connection.execute(
                "INSERT INTO taken (name, at) VALUES (?, ?)", (self._name, now + self._ahead)
            )
            connection.execute("COMMIT")
            assert made.lastrowid is not None
            return made.lastrowid, 0.0

    def hold(self, number: int) -> None:
        """Tell that the request that took a place is yet to be sent."""
        self._mark(number, self._clock.now() + self._ahead)

    def done(self, number: int) -> None:
        """Tell that the request that took a place was answered, or failed."""
        self._mark(number, self._clock.now())

    def _mark(self, number: int, at: int) -> None:
        with self._opened() as connection:
            # The row may be gone: a request that took longer than any should.
            connection.execute(
                "INSERT INTO taken (id, name, at) VALUES (?, ?, ?) "
                "ON CONFLICT (id) DO UPDATE SET at = excluded.at",
                (number, self._name, at),
            )
