"""Bring every open chart up to date, some times a second, on the loop that serves it."""

from __future__ import annotations

import asyncio
import logging
from typing import Protocol
from weakref import WeakKeyDictionary

from workbench.clock import Clock, SystemClock

__all__ = ["Flusher", "Target", "flusher"]

log = logging.getLogger("workbench.plots")

#: Looks for each flush that is allowed: after a quiet time a change is sent at once.
_LOOKS = 4
#: Flushes in a row that may fail before a chart is given up.
_PATIENCE = 20


class Target(Protocol):
    """Something on a screen that can be brought up to date."""

    @property
    def alive(self) -> bool:
        """Whether it is still shown."""
        ...

    @property
    def behind(self) -> bool:
        """Whether a flush would send anything."""
        ...

    def flush(self) -> None:
        """Send what changed."""
        ...


class Flusher:
    """Flush charts in one task of an event loop.

    A chart pulls what changed when its turn comes, so however fast the market is, each
    chart gets at most `rate` messages a second and the last of them holds the newest value.

    Parameters
    ----------
    rate : float
        Most flushes of one chart a second, 1 to 60.
    clock : Clock
        Tells the time and waits.

    Attributes
    ----------
    flushes, errors : int
        Flushes that sent something, and flushes that failed.
    """

    def __init__(self, rate: float = 10.0, clock: Clock | None = None) -> None:
        self.rate = rate
        self.flushes = 0
        self.errors = 0
        self._clock = clock or SystemClock()
        self._targets: dict[Target, float] = {}  # and when each was last flushed
        self._failures: dict[Target, int] = {}
        self._task: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self._targets)

    def add(self, target: Target) -> None:
        """Flush a chart from now on; must be called on the loop that serves it."""
        self._targets.setdefault(target, float("-inf"))
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._run(), name="chart flusher")

    def remove(self, target: Target) -> None:
        """Flush a chart no more; removing one that is not there is no error."""
        self._targets.pop(target, None)
        self._failures.pop(target, None)

    def stop(self) -> None:
        """Let go of all charts and end the task."""
        self._targets.clear()
        self._failures.clear()
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def _run(self) -> None:
        while self._targets:
            for target in list(self._targets):
                if self._turn(target):
                    # Between charts others get their turn: pages, sockets, the next chart.
                    await asyncio.sleep(0)
            await self._clock.sleep(1 / (self.rate * _LOOKS))

    def _turn(self, target: Target) -> bool:
        """Flush a chart if it is due; return whether it was."""
        if not target.alive:
            self.remove(target)
            return False
        now = self._clock.monotonic()
        # A little less than the full interval, or a change that comes at exactly this rate
        # would fall behind by one look again and again.
        due = self._targets.get(target, now) + 0.8 / self.rate
        if now < due or not target.behind:
            return False
        self._targets[target] = now
        try:
            target.flush()
        except Exception as error:  # noqa: BLE001 - one broken page must not stop the others
            self._failed(target, error)
        else:
            self.flushes += 1
            self._failures.pop(target, None)
        return True

    def _failed(self, target: Target, error: Exception) -> None:
        self.errors += 1
        count = self._failures[target] = self._failures.get(target, 0) + 1
        if count == 1:
            log.warning("a chart could not be brought up to date: %s", error, exc_info=error)
        if count >= _PATIENCE:
            log.warning("a chart failed %d times in a row and is given up", count)
            self.remove(target)


_flushers: WeakKeyDictionary[asyncio.AbstractEventLoop, Flusher] = WeakKeyDictionary()


def flusher() -> Flusher:
    """Return the flusher of the running loop.

    Raises
    ------
    RuntimeError
        If no event loop runs in this thread.
    """
    return _flushers.setdefault(asyncio.get_running_loop(), Flusher())
