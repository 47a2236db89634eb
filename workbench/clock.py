"""The one place that asks what time it is.

Everything else is given a :class:`Clock`, so that a replay, a test and a simulation with
virtual time run through the very code that runs live.
"""

from __future__ import annotations

import asyncio
import time
from typing import Protocol

__all__ = ["Clock", "ManualClock", "SystemClock"]


class Clock(Protocol):
    """What the rest of Workbench may know of time."""

    def now(self) -> int:
        """Return the wall time in ns since the epoch, UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds from a clock that never steps, for timeouts."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait for that many seconds."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> int:
        """Return the wall time in ns since the epoch, UTC."""
        return time.time_ns()

    def monotonic(self) -> float:
        """Return seconds from a clock that never steps."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait for that many seconds."""
        await asyncio.sleep(seconds)


class ManualClock:
    """A clock that moves when told to, or as fast as somebody sleeps on it.

    Parameters
    ----------
    start : int
        Wall time at which it starts, ns since the epoch.

    Examples
    --------
    >>> clock = ManualClock(1_000)
    >>> clock.advance(1.5)
    >>> clock.now(), clock.monotonic()
    (1500001000, 1.5)
    """

    def __init__(self, start: int = 0) -> None:
        self._start = start
        self._elapsed = 0

    def now(self) -> int:
        """Return the wall time in ns since the epoch, UTC."""
        return self._start + self._elapsed

    def monotonic(self) -> float:
        """Return seconds since the clock was made."""
        return self._elapsed / 1e9

    async def sleep(self, seconds: float) -> None:
        """Move the clock on by that many seconds, letting other tasks run."""
        self.advance(seconds)
        await asyncio.sleep(0)

    def advance(self, seconds: float) -> None:
        """Move the clock on by that many seconds; negative values are ignored."""
        self._elapsed += max(0, round(seconds * 1e9))
