"""One websocket connection, from its first frame to its end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from workbench.clock import Clock
from workbench.net.delivery import Delivery
from workbench.net.failures import close_reason
from workbench.net.subscriptions import Subscriptions
from workbench.sources.source import Frame, Status, Topic

__all__ = ["Connection", "End", "Ended", "Timing", "Traffic"]

End = Literal["closed", "fatal", "address", "displaced", "stale", "lost"]

#: Frames, and bytes, that are handed on at the latest, however fast they come: what one
#: delivery makes of many more does not stay in the processor's cache.
_MANY = 512
_LARGE = 128 * 1024


@dataclass(frozen=True, slots=True)
class Timing:
    """The times and sizes of a stream, seconds and bytes; see :class:`Stream`."""

    heartbeat: float
    silence: float
    silence_check: float
    gather: float
    handshake: float
    max_frame: int


@dataclass(slots=True)
class Traffic:
    """What came in over all connections of a stream.

    Attributes
    ----------
    frames, bytes : int
        Frames received and their sizes.
    connects : int
        Connections that were logged in.
    last : float or None
        Monotonic time of the last frame, seconds; None before the first.
    """

    frames: int = 0
    bytes: int = 0
    connects: int = 0
    last: float | None = None


@dataclass(frozen=True, slots=True)
class Ended:
    """How a connection, or the attempt to make one, ended.

    Attributes
    ----------
    kind : str
        "closed" was wished by us; "fatal" and "address" must not be tried again; "displaced"
        and "stale" are what they say; "lost" is the rest.
    reason : str
        For a person.
    lived : float
        Seconds from the login to the end, 0 if there was no login.
    wait : float
        Seconds the server asked us to wait.
    status : int or None
        HTTP status, if that was the answer.
    """

    kind: End
    reason: str = ""
    lived: float = 0.0
    wait: float = 0.0
    status: int | None = None


class Connection:
    """Log in, subscribe, gather frames and watch, until the connection ends.

    Parameters
    ----------
    websocket : ClientConnection
        Open.
    delivery : Delivery
        Takes what gathers.
    subscriptions : Subscriptions
        What to ask for after the login.
    timing : Timing
    clock : Clock
    traffic : Traffic
        Counted in.
    on_ready : callable
        Called once when logged in.
    on_refused : callable
        Called with a refusal and the topics it is about, if that is known.
    on_subscribed : callable
        Called with all topics that are sent from now on, once the last answer about them came.
    expected : callable
        Whether frames are due now; silence counts only then.
    """

    def __init__(
        self,
        websocket: ClientConnection,
        *,
        delivery: Delivery,
        subscriptions: Subscriptions,
        timing: Timing,
        clock: Clock,
        traffic: Traffic,
        on_ready: Callable[[], None],
        on_refused: Callable[[Status, Sequence[Topic]], None],
        on_subscribed: Callable[[frozenset[Topic]], None],
        expected: Callable[[], bool],
    ) -> None:
        self._websocket = websocket
        self._delivery = delivery
        self._source = delivery.source
        self._subscriptions = subscriptions
        self._timing = timing
        self._clock = clock
        self._traffic = traffic
        self._on_ready = on_ready
        self._on_refused = on_refused
        self._on_subscribed = on_subscribed
        self._expected = expected
        self._loop = asyncio.get_running_loop()
        self._pending: list[Frame] = []
        self._size = 0
        self._timer: asyncio.TimerHandle | None = None
        self._outbox: list[str] = []
        self._wake = asyncio.Event()
        self._greeted = asyncio.Event()
        self._ready = asyncio.Event()
        self._ready_at: float | None = None
        self._verdict: asyncio.Future[Ended] = self._loop.create_future()

    def changed(self) -> None:
        """Look again at what is wanted."""
        self._wake.set()

    async def run(self, closing: asyncio.Event) -> Ended:
        """Work until the connection ends, or until asked to close, and close the socket."""
        self._subscriptions.begin()
        self._say(self._source.hello())
        work = [self._read(), self._send(), self._watch()]
        tasks = [asyncio.ensure_future(coroutine) for coroutine in work]
        closed = asyncio.ensure_future(closing.wait())
        anything: list[asyncio.Future[Any]] = [self._verdict, closed, *tasks]
        try:
            await asyncio.wait(anything, return_when=asyncio.FIRST_COMPLETED)
            # What the provider announced says more than the close that follows it.
            if self._verdict.done():
                return self._verdict.result()
            if closing.is_set():
                return Ended("closed", lived=self._lived())
            return next(task for task in tasks if task.done()).result()
        finally:
            for task in (closed, *tasks):
                task.cancel()
            await asyncio.gather(closed, *tasks, return_exceptions=True)
            self._flush()
            await self._websocket.close()

    def _lived(self) -> float:
        return 0.0 if self._ready_at is None else self._clock.monotonic() - self._ready_at

    async def _read(self) -> Ended:
        receive, now = self._websocket.recv, self._clock.now
        try:
            while True:
                data = await receive(decode=False)
                if not self._pending:
                    self._timer = self._loop.call_later(self._timing.gather, self._flush)
                self._pending.append(Frame(now(), data))
                self._size += len(data)
                if len(self._pending) >= _MANY or self._size >= _LARGE or self._ready_at is None:
                    self._flush()
        except ConnectionClosed as error:
            self._flush()
            return Ended("lost", close_reason(error), self._lived())

    def _flush(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._pending:
            return
        frames, self._pending = self._pending, []
        traffic = self._traffic
        traffic.frames += len(frames)
        traffic.bytes += self._size
        self._size = 0
        traffic.last = self._clock.monotonic()
        statuses = self._delivery(frames)
        if statuses:
            self._hear(statuses)

    def _hear(self, statuses: Sequence[Status]) -> None:
        answered = False
        for status in statuses:
            match status.kind:
                case "greeting":
                    self._greeted.set()
                case "ready":
                    self._enter()
                case "subscribed" | "unsubscribed" | "refused":
                    answered = True
                    topics = self._subscriptions.answered(status)
                    if topics or status.kind == "refused":
                        self._on_refused(status, topics)
                case "fatal" | "displaced" as kind:
                    self._end(Ended(kind, status.text, self._lived()))
                case "kicked":
                    self._end(Ended("lost", status.text, self._lived()))
                case "info":
                    pass
        if answered and self._subscriptions.settled:
            self._on_subscribed(self._subscriptions.held)
        self._say(self._source.replies(statuses))

    def _enter(self) -> None:
        if self._ready_at is None:
            self._ready_at = self._clock.monotonic()
            self._greeted.set()
            self._ready.set()
            self._wake.set()
            self._on_ready()

    def _end(self, ended: Ended) -> None:
        if not self._verdict.done():
            self._verdict.set_result(ended)

    def _say(self, messages: Sequence[str]) -> None:
        if messages:
            self._outbox.extend(messages)
            self._wake.set()

    async def _send(self) -> Ended:
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                messages, self._outbox = self._outbox, []
                if self._ready.is_set():
                    messages += self._subscriptions.changes()
                for message in messages:
                    async with asyncio.timeout(self._timing.handshake):
                        await self._websocket.send(message)
        except TimeoutError:
            return Ended("lost", "the server takes no messages", self._lived())
        except ConnectionClosed:
            # The reader ends this connection, after the frames that still wait in it.
            return await self._verdict

    async def _watch(self) -> Ended:
        steps = (("greeting", self._greeted), ("answer to the login", self._ready))
        for what, step in steps:
            try:
                async with asyncio.timeout(self._timing.handshake):
                    await step.wait()
            except TimeoutError:
                return Ended("lost", f"no {what} within {self._timing.handshake:g} s")
        since = now = self._clock.monotonic()
        while True:
            looked = now
            await self._clock.sleep(self._timing.silence_check)
            now = self._clock.monotonic()
            # Where we stood still ourselves, as a machine does that was suspended, frames may
            # wait that nobody has read yet.
            stopped = now - looked - self._timing.silence_check >= self._timing.silence / 2
            if stopped or not self._subscriptions.held or not self._expected():
                since = now
            silent = now - max(since, self._traffic.last or since)
            if silent >= self._timing.silence:
                return Ended("stale", f"no frame for {silent:.0f} s", self._lived())
