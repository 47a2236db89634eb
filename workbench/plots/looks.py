"""Looks at what a feed tells: one for all pages, no more often than it is worth."""

from __future__ import annotations

import asyncio
import inspect
import math
from collections.abc import Callable
from typing import Any, Generic, TypeVar
from weakref import WeakKeyDictionary

from workbench.clock import Clock, SystemClock

__all__ = ["Look", "look", "tells"]

T = TypeVar("T")

#: A look takes at most this share of the time, however much there is to see; but it rests no
#: longer than so many seconds: prices that stand still beside a chart that moves are wrong.
_SHARE, _LONGEST = 0.05, 5.0


class Look(Generic[T]):
    """Read something of a feed in a thread, and keep it for a while.

    Parameters
    ----------
    read : callable
        ``read(feed)``; must not hold on to the feed.
    period : float
        Seconds for which an answer serves, longer if reading takes long.
    clock : Clock
    newest : object
        What is known before the first look.
    """

    def __init__(
        self, read: Callable[[Any], T], period: float, clock: Clock, newest: T | None = None
    ) -> None:
        self.newest = newest
        self._read = read
        self._period = period
        self._clock = clock
        self._due = -math.inf
        self._cost = 0.0  # of the look before

    async def of(self, feed: Any) -> T | None:
        """Return what there is to see, not much older than the period."""
        now = self._clock.monotonic()
        if now < self._due:
            return self.newest
        # Whoever comes while this one reads takes what was seen before.
        self._due = math.inf
        # The feed may answer from its own thread; a page must not wait for it.
        try:
            self.newest = await asyncio.to_thread(self._read, feed)
        finally:
            cost = self._clock.monotonic() - now
            # One that had to wait for a busy feed tells nothing of what looks take.
            rest = min(cost, self._cost) / _SHARE
            self._due = now + cost + min(max(self._period - cost, rest), _LONGEST)
            self._cost = cost
        return self.newest


_looks: WeakKeyDictionary[Any, dict[Callable[[Any], Any], Look[Any]]] = WeakKeyDictionary()


def look(
    feed: Any, read: Callable[[Any], T], *, period: float = 1.0, clock: Clock | None = None
) -> Look[T]:
    """Return the look that all pages of a feed share.

    Parameters
    ----------
    feed : object
    read : callable
        ``read(feed)``, a function of a module: looks with the same one are the same.
    period : float
        Seconds; of the first who asks, as is the clock.
    clock : Clock or None
        None is the machine's.
    """
    held = _looks.setdefault(feed, {})
    if read not in held:
        held[read] = Look(read, period, clock or SystemClock())
    return held[read]


def tells(feed: Any, what: str) -> bool:
    """Tell whether a feed has something to look at, without asking it: that may take long.

    >>> tells(object(), "coverage"), tells(1j, "real")
    (False, True)
    """
    return inspect.getattr_static(feed, what, None) is not None
