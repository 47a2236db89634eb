"""Handing frames to the pipeline, whose errors must not end the loop."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from workbench.clock import Clock
from workbench.sources.source import Frame, Source, Status

__all__ = ["Deliver", "Delivery"]

_log = logging.getLogger("workbench.net.delivery")

#: The pipeline: takes what gathered from one source, returns what the provider says about
#: the connection. Called on the loop; must not wait for anything.
Deliver = Callable[[Source, list[Frame]], Sequence[Status]]

_LOG_SECONDS = 60.0


class Delivery:
    """Call the pipeline for one source, and count, log and survive its errors.

    Parameters
    ----------
    source : Source
    deliver : callable
    clock : Clock
        Spaces the log lines: one a minute at most.

    Attributes
    ----------
    failures : int
        Calls that raised.
    """

    def __init__(self, source: Source, deliver: Deliver, clock: Clock) -> None:
        self.source = source
        self.failures = 0
        self._deliver = deliver
        self._clock = clock
        self._logged: float | None = None

    def __call__(self, frames: list[Frame]) -> Sequence[Status]:
        """Return the statuses the frames held; none if the pipeline raised."""
        try:
            return self._deliver(self.source, frames)
        # One of the three edges of the loop: whatever a plug-in raises for one frame, the
        # frames behind it still have to be read, or the provider drops us.
        except Exception:  # noqa: BLE001
            self.failures += 1
            now = self._clock.monotonic()
            if self._logged is None or now - self._logged >= _LOG_SECONDS:
                self._logged = now
                _log.error(
                    "%s %s: %d frames were not processed (%d failures so far)",
                    self.source.name,
                    self.source.market,
                    len(frames),
                    self.failures,
                    exc_info=True,
                )
            return ()
