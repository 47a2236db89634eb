"""The warm-ups of a feed: made when first looked at, told of as events, refreshed while closed."""

from __future__ import annotations

import threading
from collections.abc import Callable

from streamz import Stream

from workbench.clock import Clock
from workbench.flow.graph import Pipeline
from workbench.flow.mending import MakeArchive
from workbench.history.archive import Archive
from workbench.history.coordinator import Coordinator
from workbench.history.warmevents import FetchError, HistoricalFetchProgress, WarmupEvent
from workbench.store.store import Store

__all__ = ["Warming"]


class Warming:
    """Hold the provider's past of a feed, and the one coordinator that fetches of it.

    Made in the feed's thread; the coordinator may be asked for in any.

    Parameters
    ----------
    pipeline : Pipeline
        Gets a stream "warmup" of the events.
    store : Store or None
        Read when the provider gives nothing.
    clock : Clock
    later : callable
        Runs a call in the feed's thread.
    make_archive : callable or None
        None has no past, and no coordinator.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        store: Store | None,
        clock: Clock,
        later: Callable[[Callable[[], None]], None],
        make_archive: MakeArchive | None,
    ) -> None:
        self._pipeline = pipeline
        self._store = store
        self._clock = clock
        self._later = later
        self._make_archive = make_archive
        self._lock = threading.Lock()
        self._made: tuple[Archive, Coordinator] | None = None
        self._stream = pipeline.streams["warmup"] = Stream(asynchronous=True)

    @property
    def possible(self) -> bool:
        """Whether there is a provider to be asked."""
        return self._make_archive is not None

    def made(self) -> tuple[Archive, Coordinator] | None:
        """Return archive and coordinator, opened now if they are not yet; None without any."""
        with self._lock:
            if self._made is None and self._make_archive is not None:
                archive = self._make_archive(self._pipeline.table)
                coordinator = Coordinator(
                    archive,
                    store=self._store,
                    clock=self._clock,
                    on_event=self._heard,
                    refresh_every=None,  # by the clock of the feed, which calls `refresh`
                )
                self._made = archive, coordinator
            return self._made

    @property
    def coordinator(self) -> Coordinator | None:
        """The coordinator, made now if it is not yet; None without a provider's past."""
        made = self.made()
        return None if made is None else made[1]

    def refresh(self) -> None:
        """Fetch the warm-ups of the newest symbol again if its market is closed."""
        with self._lock:
            made = self._made
        if made is not None:
            made[1].refresh()

    def _heard(self, event: WarmupEvent) -> None:
        self._later(lambda: self._tell(event))

    def _tell(self, event: WarmupEvent) -> None:
        if isinstance(event, HistoricalFetchProgress):
            if event.completed == event.total:
                text = f"{event.symbol}: {event.completed} of {event.total} warm-ups are over"
                self._pipeline.health.tell(event.event, text)
        elif isinstance(event, FetchError):
            old = ", older bars serve" if event.recovered else ""
            text = f"{event.symbol} {event.name}: {event.reason}{old}"
            self._pipeline.health.tell(event.event, text)
        else:
            text = f"{event.symbol} {event.result.name}: {event.result.says}"
            self._pipeline.health.tell(event.event, text)
        self._stream.emit(event)

    def close(self) -> None:
        """Let go of what waits, and close the connections; in another thread than the feed's."""
        with self._lock:
            made, self._made, self._make_archive = self._made, None, None
        if made is not None:
            archive, coordinator = made
            archive.cancel()
            coordinator.close()
            archive.close()
