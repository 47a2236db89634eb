"""What warm-ups tell while they run, and the queue that tells it in order."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

from workbench.history.warmresults import Result
from workbench.history.warmups import Feeds

__all__ = [
    "EmaDataReady",
    "FetchError",
    "HistoricalFetchProgress",
    "Outbox",
    "StructureDataReady",
    "TrendDataReady",
    "WarmupEvent",
    "ZoneDataReady",
    "ready",
]

log = logging.getLogger("workbench.history.warmevents")


@dataclass(frozen=True, slots=True)
class EmaDataReady:
    """The averages of a timeframe are there; `key` is M1, M5 or M15."""

    event: ClassVar[str] = "ema_data_ready"
    symbol: str
    key: str
    result: Result


@dataclass(frozen=True, slots=True)
class StructureDataReady:
    """The market structure of a timeframe is there; `key` is M1, M5 or M15."""

    event: ClassVar[str] = "structure_data_ready"
    symbol: str
    key: str
    result: Result


@dataclass(frozen=True, slots=True)
class TrendDataReady:
    """The statistical trend of a timeframe is there; `key` is M1, M5 or M15."""

    event: ClassVar[str] = "trend_data_ready"
    symbol: str
    key: str
    result: Result


@dataclass(frozen=True, slots=True)
class ZoneDataReady:
    """Zones are there; `key` is HVN or OrderBlocks."""

    event: ClassVar[str] = "zone_data_ready"
    symbol: str
    key: str
    result: Result


@dataclass(frozen=True, slots=True)
class HistoricalFetchProgress:
    """So many warm-ups are over; `name` is the newest of them, empty at the start."""

    event: ClassVar[str] = "historical_fetch_progress"
    symbol: str
    completed: int
    total: int
    name: str = ""

    @property
    def percentage(self) -> float:
        """Share that is over, 0 to 100.

        >>> HistoricalFetchProgress("AAPL", 11, 11).percentage
        100.0
        """
        return 100.0 * self.completed / self.total if self.total else 100.0


@dataclass(frozen=True, slots=True)
class FetchError:
    """A warm-up could not be fetched; `recovered` tells whether old bars serve instead."""

    event: ClassVar[str] = "fetch_error"
    symbol: str
    name: str
    reason: str
    recovered: bool = False


WarmupEvent: TypeAlias = (
    EmaDataReady
    | StructureDataReady
    | TrendDataReady
    | ZoneDataReady
    | HistoricalFetchProgress
    | FetchError
)

_Ready: TypeAlias = (
    type[EmaDataReady] | type[StructureDataReady] | type[TrendDataReady] | type[ZoneDataReady]
)
_READY: dict[Feeds, _Ready] = {
    "ema": EmaDataReady,
    "structure": StructureDataReady,
    "trend": TrendDataReady,
    "nodes": ZoneDataReady,
    "blocks": ZoneDataReady,
}


def ready(result: Result) -> WarmupEvent:
    """Return the event that tells of a result.

    >>> from workbench.history.warmups import warmup
    >>> event = ready(Result(warmup("M5_EMA"), "AAPL", "done"))
    >>> event.event, event.key
    ('ema_data_ready', 'M5')
    """
    return _READY[result.warmup.feeds](result.symbol, result.name.partition("_")[0], result)


class Outbox:
    """Call what is put in one at a time, in its order, on the threads that put it in.

    Parameters
    ----------
    on_event : callable or None
        Told every event. What it raises is logged, and stops nothing.
    """

    def __init__(self, on_event: Callable[[WarmupEvent], object] | None = None) -> None:
        self._on_event = on_event
        self._waiting: deque[WarmupEvent | Callable[[], object]] = deque()
        self._lock = threading.Lock()

    def put(self, *items: WarmupEvent | Callable[[], object]) -> None:
        """Add events, and calls to be made after those before them; :meth:`send` sends them."""
        self._waiting.extend(items)

    def send(self) -> None:
        """Send what waits; hold no lock that a receiver may want.

        If another thread is sending, it sends these too, and this returns at once: so a
        receiver may start what tells further events.
        """
        while self._waiting:
            if not self._lock.acquire(blocking=False):
                return  # its holder looks again after letting go
            try:
                while self._waiting:
                    self._send(self._waiting.popleft())
            finally:
                self._lock.release()

    def _send(self, item: WarmupEvent | Callable[[], object]) -> None:
        if callable(item):
            item()
        elif self._on_event is not None:
            try:
                self._on_event(item)
            # The receiver is somebody else's code: its errors must not end the fetches.
            except Exception:
                log.exception("the receiver of %s failed", item.event)
