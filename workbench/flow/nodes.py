"""The two streamz nodes of our own: one isolates errors, one keeps only the newest."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from streamz import Stream

__all__ = ["conflate", "guard"]

_log = logging.getLogger("workbench.flow.nodes")


@Stream.register_api()
class guard(Stream):
    """Pass everything on; when a node behind raises, count it and go on.

    streamz lets an error of one branch stop its siblings and, from some sources, the source
    itself. Put in front of a branch, this node keeps the trouble in it.

    Parameters
    ----------
    branch : str
        Its name, for the log and for counting.
    on_error : callable or None
        Called with the branch and the exception each time; None only logs.
    """

    def __init__(
        self,
        upstream: Stream,
        branch: str,
        on_error: Callable[[str, Exception], None] | None = None,
        **kwargs: Any,
    ) -> None:
        self.branch = branch
        self.errors = 0
        self._on_error = on_error
        super().__init__(upstream, **kwargs)

    def update(self, x: Any, who: Stream | None = None, metadata: Any = None) -> list[Any]:
        """Emit to what is behind."""
        try:
            emitted: list[Any] = self._emit(x, metadata=metadata)
        except Exception as error:  # noqa: BLE001 - a branch holds code of users: any error
            self.failed(error)
            return []
        return emitted

    def failed(self, error: Exception) -> None:
        """Count an error of the branch."""
        self.errors += 1
        if self.errors == 1:
            _log.warning("branch %s failed: %s: %s", self.branch, type(error).__name__, error)
        if self._on_error is not None:
            self._on_error(self.branch, error)


@Stream.register_api()
class conflate(Stream):
    """Emit at most once an interval, always ending with the newest value.

    Parameters
    ----------
    interval : float
        Seconds between two values; the first passes at once. Needs a running asyncio loop.
    """

    def __init__(self, upstream: Stream, interval: float, **kwargs: Any) -> None:
        self.interval = interval
        self.dropped = 0
        self._newest: Any = None
        self._waiting = False
        self._timer: asyncio.TimerHandle | None = None
        super().__init__(upstream, **kwargs)

    def update(self, x: Any, who: Stream | None = None, metadata: Any = None) -> list[Any]:
        """Emit now, or leave the value to the timer."""
        if self._timer is not None:
            self.dropped += self._waiting
            self._newest, self._waiting = x, True
            return []
        self._timer = asyncio.get_running_loop().call_later(self.interval, self._ring)
        emitted: list[Any] = self._emit(x)
        return emitted

    def _ring(self) -> None:
        self._timer = None
        if self._waiting:
            self._waiting = False
            self._timer = asyncio.get_running_loop().call_later(self.interval, self._ring)
            newest, self._newest = self._newest, None
            try:
                self._emit(newest)
            except Exception as error:
                watch = self._guard()
                if watch is None:
                    raise
                watch.failed(error)

    def _guard(self) -> guard | None:
        """Return the nearest guard in front: what the timer emits does not pass through it."""
        node: Any = self
        while node is not None and not isinstance(node, guard):
            node = next(iter(node.upstreams), None)
        return node

    def destroy(self, streams: Any = None) -> None:
        """Stop the timer and leave the graph."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        super().destroy(streams)
