"""The sockets of a feed: one stream for each market, opened when first needed."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from workbench.clock import Clock
from workbench.config import Settings
from workbench.errors import TapeError, WorkbenchError
from workbench.net.reconnect import PRESETS
from workbench.net.stream import ConnectionEvent, Stream
from workbench.sources.source import Frame, Source, Status, Topic
from workbench.tape import TapeWriter

__all__ = ["Uplink"]

Deliver = Callable[[Source, Sequence[Frame]], Sequence[Status]]

#: The state of a feed is that of its worst stream, in this order.
_WORST = ("failed", "stale", "reconnecting", "connecting", "connected", "closed")


class Uplink:
    """Keep the streams of a feed and what each should be subscribed to.

    Made and used in the feed's thread.

    Parameters
    ----------
    make_source : callable
        ``make_source(market)`` returns the source of a market.
    deliver : callable
        Takes a source and the frames that came.
    on_event : callable
        Takes connection events.
    on_error : callable
        Takes the name of a part that failed and the exception.
    tape : TapeWriter or None
        Receives every frame before it is decoded.
    settings : Settings
    clock : Clock
    rng : random.Random
    connect : callable or None
        Opens a websocket; None is the real one.
    on_subscribed : callable or None
        Told a source and all its topics that are sent from now on.
    expected : callable or None
        ``expected(market)``: whether frames are due, so that silence is a fault; None is always.
    handshake : float
        Seconds allowed for each step of a login.
    """

    def __init__(
        self,
        make_source: Callable[[str], Source],
        deliver: Deliver,
        on_event: Callable[[ConnectionEvent], None],
        on_error: Callable[[str, Exception], None],
        *,
        tape: TapeWriter | None,
        settings: Settings,
        clock: Clock,
        rng: random.Random,
        connect: Callable[..., Any] | None = None,
        on_subscribed: Callable[[Source, Iterable[Topic]], None] | None = None,
        expected: Callable[[str], bool] | None = None,
        handshake: float = 10.0,
    ) -> None:
        self.failures: dict[str, WorkbenchError] = {}
        self._make_source = make_source
        self._deliver = deliver
        self._on_event = on_event
        self._on_error = on_error
        self._tape = tape
        self._settings = settings
        self._clock = clock
        self._rng = rng
        self._connect = connect
        self._on_subscribed = on_subscribed
        self._expected = expected
        self._handshake = handshake
        self._streams: dict[str, Stream] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._ready: dict[str, asyncio.Event] = {}

    @property
    def state(self) -> str:
        """How the connections are doing: the worst of them, "idle" without any."""
        states = {stream.state for stream in self._streams.values()}
        return next((state for state in _WORST if state in states), "idle")

    def stream(self, market: str) -> Stream | None:
        """Return the stream of a market, or None if it was not needed yet."""
        return self._streams.get(market)

    def want(self, market: str, topics: set[Topic]) -> None:
        """Set what a market's stream should be subscribed to, connecting it first if need be.

        Raises
        ------
        ConfigError
            If the provider has no such market.
        """
        stream = self._streams.get(market)
        if stream is not None and stream.state == "failed":
            stream = None  # asked for again after a refusal: perhaps the key was put right
        if stream is None:
            if not topics:
                return
            stream = self._open(market)
        stream.want(topics)

    def _open(self, market: str) -> Stream:
        source = self._make_source(market)
        deliver = self._deliver
        if self._tape is not None:
            deliver = self._taped(self._tape, source)
        options: dict[str, Any] = {} if self._connect is None else {"connect": self._connect}
        told, expected = self._on_subscribed, self._expected
        if told is not None:
            options["on_subscribed"] = lambda topics: told(source, topics)
        if expected is not None:
            options["expected"] = lambda: expected(market)
        stream = Stream(
            source,
            deliver,
            on_event=self._heard,
            policy=PRESETS[self._settings.reconnect],
            clock=self._clock,
            rng=self._rng,
            heartbeat=self._settings.heartbeat_seconds,
            silence=self._settings.silence_seconds,
            silence_check=self._settings.silence_check_seconds,
            handshake=self._handshake,
            **options,
        )
        self._streams[market] = stream
        self._ready[market] = asyncio.Event()
        self.failures.pop(market, None)
        self._tasks[market] = asyncio.get_running_loop().create_task(self._run(market, stream))
        return stream

    def _taped(self, tape: TapeWriter, source: Source) -> Deliver:
        channel = tape.channel(source.name, source.market, source.url)

        def deliver(source: Source, frames: Sequence[Frame]) -> Sequence[Status]:
            try:
                tape.append(channel, frames)
            except TapeError as error:  # a full disk must not cost the live feed
                self._on_error("tape", error)
            return self._deliver(source, frames)

        return deliver

    async def _run(self, market: str, stream: Stream) -> None:
        try:
            await stream.run()
        except WorkbenchError as error:
            self.failures[market] = error
        finally:
            self._ready[market].set()

    def _heard(self, event: ConnectionEvent) -> None:
        if event.kind in ("connected", "reconnected"):
            self._ready[event.market].set()
        self._on_event(event)

    async def ready(self, market: str) -> None:
        """Wait until a market's stream is logged in; raise what made it give up."""
        if market in self._ready:
            await self._ready[market].wait()
        if market in self.failures:
            raise self.failures[market]

    async def close(self) -> None:
        """Disconnect all streams."""
        for stream in self._streams.values():
            stream.close()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
