"""What stands behind and below a chart: zones of studies, and the strip of what is known."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any

from workbench.clock import Clock, SystemClock
from workbench.errors import FeedClosedError, WorkbenchError
from workbench.plots.drawing import Drawing
from workbench.plots.known import Known, read_known
from workbench.plots.looks import look, tells
from workbench.plots.strip import StripState, strip_state
from workbench.plots.zones import Zone, find_zones
from workbench.timeframes import Timeframe

__all__ = ["Background"]

_log = logging.getLogger("workbench.plots.background")

#: Seconds between looks, and between computations of zones.
_LOOK, _ZONES = 1.0, 3.0


class Background:
    """Keep zones and strip of one drawing up to date.

    Both are computed apart from the loop that serves the page, the strip at most once a second
    and zones every three, and only what has changed is sent.

    Parameters
    ----------
    feed : object
        With a `coverage`, or there is no strip.
    clock : Clock or None
    """

    def __init__(self, feed: Any, clock: Clock | None = None) -> None:
        self.zones: tuple[str, ...] = ()
        self._feed = feed
        self._clock = clock or SystemClock()
        self._made: tuple[Any, ...] = ()
        self._due = 0.0
        self._task: asyncio.Task[None] | None = None

    @property
    def strip(self) -> bool:
        """Whether the feed tells what is known of its series."""
        return tells(self._feed, "coverage")

    def start(self, drawing: Callable[[], Drawing | None], context: Callable[[], Any]) -> None:
        """Begin to look, on the running loop.

        Parameters
        ----------
        drawing : callable
            Returns what is drawn now; None where it is not shown any more.
        context : callable
            Returns a context in which changes reach the screen.
        """
        self.stop()
        loop = asyncio.get_running_loop()
        self._task = loop.create_task(self._run(drawing, context), name="chart background")

    def stop(self) -> None:
        """Look no more."""
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def _run(self, drawing: Callable[[], Drawing | None], context: Callable[[], Any]) -> None:
        told = ""
        while (shown := drawing()) is not None:
            try:
                await self.refresh(shown, context)
                told = ""
            except FeedClosedError:
                return
            except Exception as error:  # noqa: BLE001 - what fails once may succeed a second later
                if repr(error) != told:
                    told = repr(error)
                    _log.warning("the background of a chart is late: %s", told, exc_info=error)
            del shown
            await self._clock.sleep(_LOOK)

    async def refresh(self, drawing: Drawing, context: Callable[[], Any]) -> None:
        """Bring a drawing up to date once."""
        if self.strip:
            seen = look(self._feed, read_known, period=_LOOK * 0.9, clock=self._clock)
            found = await seen.of(self._feed)
            state = _state(drawing, found or Known())
            if drawing.strip_differs(state):
                with context():
                    drawing.show_strip(state)
        zones = await self._zones(drawing)
        if zones is not None and zones != drawing.zones:
            with context():
                drawing.show_zones(zones)

    async def _zones(self, drawing: Drawing) -> list[Zone] | None:
        """Return zones if others may be found than before, else None."""
        columns, window = drawing.columns, drawing.columns.window
        made = (self.zones, id(window), columns.loads, window.last_time)
        now = self._clock.monotonic()
        # What was chosen is shown at once; what closed bars change has time.
        if made == self._made or (made[:3] == self._made[:3] and now < self._due):
            return None
        zones: list[Zone] = []
        if self.zones:
            bars, first, loads = window.closed(), columns.first, columns.loads
            starts = columns.starts()
            shift = int((starts < bars["time"][0]).sum()) if len(bars) else 0
            try:
                zones = await asyncio.to_thread(
                    find_zones, self.zones, bars, first + shift, window.symbol
                )
            except (WorkbenchError, ValueError) as error:
                _log.info("no zones of %s %s: %s", window.symbol, window.timeframe, error)
            if (columns.window, columns.loads) != (window, loads):
                return []  # another series, or other numbers, by now
        self._made, self._due = made, now + _ZONES
        return zones


def _state(drawing: Drawing, found: Known) -> StripState:
    window, columns = drawing.columns.window, drawing.columns
    tf = window.timeframe
    length = tf.ns if isinstance(tf, Timeframe) else None
    trades: Sequence[Any] = found.trades.get(window.symbol, ())
    return strip_state(columns.first, columns.starts(), length, trades)
