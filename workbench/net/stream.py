"""Driving a source over a websocket: connect, log in, subscribe, watch, connect again."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar
from urllib.parse import urlsplit

import websockets.asyncio.client
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import WebSocketException

from workbench.clock import Clock, SystemClock
from workbench.errors import AuthError, ConnectError, WorkbenchError
from workbench.net.connection import Connection, Ended, Timing, Traffic
from workbench.net.delivery import Deliver, Delivery
from workbench.net.failures import open_failure
from workbench.net.reconnect import PATIENT, Backoff, Reconnect
from workbench.net.subscriptions import Subscriptions
from workbench.sources.source import Source, Status, Topic
from workbench.tapeblocks import plain_url

__all__ = ["Connect", "ConnectionEvent", "Deliver", "State", "Stream"]

_log = logging.getLogger("workbench.net.stream")
# At DEBUG the library prints whole messages, the login with its key among them.
_wire = logging.getLogger("workbench.net.websocket")
_wire.setLevel(logging.INFO)

_T = TypeVar("_T")
State = Literal["connecting", "connected", "reconnecting", "stale", "failed", "closed"]
Kind = Literal[
    "connecting",
    "connected",
    "disconnected",
    "reconnected",
    "stale",
    "refused",
    "error",
    "closed",
]
#: Opens a websocket; the signature is that of `websockets.asyncio.client.connect`.
Connect = Callable[..., Awaitable[ClientConnection]]

_THIS_MACHINE = ("127.0.0.1", "localhost", "::1")
#: A half-open peer must not hold up the next attempt, seconds.
_CLOSE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class ConnectionEvent:
    """Something that happened to a connection.

    Attributes
    ----------
    kind : str
        "connecting", "connected" (logged in for the first time), "disconnected",
        "reconnected" (logged in again), "stale" (open but silent), "refused" (a subscription),
        "error" (it will not be tried again) or "closed".
    source, market : str
        The source it happened to.
    time : int
        Wall time, ns UTC.
    detail : str
        Why, for a person; the provider's own words where it spoke.
    attempt : int
        Attempts since a connection last settled; 0 for the first one.
    delay : float or None
        Seconds until the next attempt; None if none is planned.
    topics : tuple of Topic
        What a refusal is about; empty if the provider did not tell.
    """

    kind: Kind
    source: str
    market: str
    time: int
    detail: str = ""
    attempt: int = 0
    delay: float | None = None
    topics: tuple[Topic, ...] = ()


class Stream:
    """Keep one source connected and hand on its frames.

    Make it and use it in the thread of one loop.

    Parameters
    ----------
    source : Source
        Speaks the protocol.
    deliver : callable
        ``deliver(source, frames)`` takes what gathered and returns the statuses in it.
    on_event : callable
        Called with each :class:`ConnectionEvent`.
    policy : Reconnect
        When to connect again.
    clock : Clock
    rng : random.Random or None
        Source of the jitter; None makes one.
    connect : callable
        Opens the websocket.
    expected : callable or None
        Whether frames are due now: a market that is closed may be silent. None means always.
    on_subscribed : callable or None
        Called with all topics that are sent from now on, whenever the answers are complete.
    heartbeat : float
        Seconds between pings, and for their answer.
    silence : float
        Seconds without any frame, while something is subscribed, after which the connection
        is given up.
    silence_check : float
        Seconds between looks at the silence.
    gather : float
        Seconds that frames gather before they are handed on together.
    handshake : float
        Seconds allowed for opening, for the greeting, for the answer to the login, and for
        sending a message.
    max_frame : int
        Bytes of the largest frame accepted.
    """

    def __init__(
        self,
        source: Source,
        deliver: Deliver,
        *,
        on_event: Callable[[ConnectionEvent], None],
        policy: Reconnect = PATIENT,
        clock: Clock | None = None,
        rng: random.Random | None = None,
        connect: Connect = websockets.asyncio.client.connect,
        expected: Callable[[], bool] | None = None,
        on_subscribed: Callable[[frozenset[Topic]], None] | None = None,
        heartbeat: float = 30.0,
        silence: float = 30.0,
        silence_check: float = 5.0,
        gather: float = 0.002,
        handshake: float = 10.0,
        max_frame: int = 64 * 2**20,
    ) -> None:
        self.source = source
        self.traffic = Traffic()
        self._on_event = on_event
        self._clock = clock or SystemClock()
        self._connect = connect
        self._expected = expected or (lambda: True)
        self._on_subscribed = on_subscribed or (lambda topics: None)
        self._timing = Timing(heartbeat, silence, silence_check, gather, handshake, max_frame)
        self._backoff = Backoff(policy, rng or random.Random())
        self._delivery = Delivery(source, deliver, self._clock)
        self._subscriptions = Subscriptions(source)
        self._connection: Connection | None = None
        self._closing = asyncio.Event()
        self._state: State = "connecting"

    def __repr__(self) -> str:
        return f"Stream({self.source.name} {self.source.market}, {self._state})"

    @property
    def state(self) -> State:
        """How the connection is doing."""
        return self._state

    @property
    def wanted(self) -> frozenset[Topic]:
        """The topics wished for."""
        return self._subscriptions.wanted

    @property
    def refused(self) -> dict[Topic, str]:
        """The topics the provider did not grant, with its words."""
        return self._subscriptions.refused

    @property
    def failures(self) -> int:
        """Calls of ``deliver`` that raised."""
        return self._delivery.failures

    @property
    def silence_age(self) -> float | None:
        """Seconds since the last frame; None before the first."""
        last = self.traffic.last
        return None if last is None else self._clock.monotonic() - last

    def want(self, topics: Iterable[Topic]) -> None:
        """Set the whole set of topics to be subscribed to; differences are sent.

        Raises
        ------
        ValueError
            For a channel that the source lacks; then nothing changes.
        """
        self._subscriptions.want(topics)
        if self._connection is not None:
            self._connection.changed()

    def close(self) -> None:
        """Ask :meth:`run` to disconnect and return."""
        self._closing.set()

    async def run(self) -> None:
        """Stay connected until :meth:`close`.

        Raises
        ------
        AuthError
            If the provider refuses the key or the plan.
        ConnectError
            If the attempts of the policy are used up, or the address is not one.
        """
        try:
            while not self._closing.is_set():
                ended = await self._once()
                if ended.kind == "closed":
                    break
                await self._recover(ended)
        finally:
            if self._state != "failed":
                self._state = "closed"
            self._emit("closed")

    async def _once(self) -> Ended:
        """Connect, and work until the connection ends."""
        self._emit("connecting", attempt=self._backoff.attempts)
        opening = asyncio.ensure_future(self._open())
        try:
            websocket = await self._unless_closing(opening)
        except asyncio.CancelledError:
            # It may have opened just when we were cancelled: nobody else would close it.
            if opening.done() and not opening.cancelled() and opening.exception() is None:
                await opening.result().close()
            raise
        except (OSError, WebSocketException, UnicodeError) as error:
            failure = open_failure(error, self._clock.now())
            return Ended(failure.kind, failure.reason, wait=failure.wait, status=failure.status)
        if websocket is None:
            return Ended("closed")
        self._connection = Connection(
            websocket,
            delivery=self._delivery,
            subscriptions=self._subscriptions,
            timing=self._timing,
            clock=self._clock,
            traffic=self.traffic,
            on_ready=self._ready,
            on_refused=self._refused,
            on_subscribed=self._on_subscribed,
            expected=self._expected,
        )
        try:
            return await self._connection.run(self._closing)
        finally:
            self._connection = None

    async def _open(self) -> ClientConnection:
        options: dict[str, Any] = {}
        if urlsplit(self.source.url).hostname in _THIS_MACHINE:
            options["proxy"] = None  # no proxy leads to this machine
        return await self._connect(
            self.source.url,
            compression=None,
            open_timeout=self._timing.handshake,
            ping_interval=self._timing.heartbeat,
            ping_timeout=self._timing.heartbeat,
            close_timeout=_CLOSE_SECONDS,
            max_size=self._timing.max_frame,
            # The reader takes whatever was parsed, at once: a short queue would only make it
            # switch between pausing and resuming the socket.
            max_queue=None,
            logger=_wire,
            **options,
        )

    async def _recover(self, ended: Ended) -> None:
        if ended.kind == "stale":
            self._state = "stale"
            self._emit("stale", ended.reason)
        url = plain_url(self.source.url)
        if ended.kind == "fatal":
            text = f"{self.source.name} refuses the login at {url}: {ended.reason}"
            raise self._failed(AuthError, text, ended.status)
        if ended.kind == "address":
            raise self._failed(ConnectError, f"cannot connect to {url}: {ended.reason}")
        displaced = ended.kind == "displaced"
        delay = self._backoff.failed(ended.lived, displaced, ended.wait)
        if delay is None:
            text = f"no connection to {url} after {self._backoff.attempts} further attempts"
            raise self._failed(ConnectError, f"{text}: {ended.reason}", ended.status)
        reason = ended.reason
        if displaced:
            reason += "; another connection with the same key took the place of this one"
        self._state = "reconnecting"
        self._emit("disconnected", reason, attempt=self._backoff.attempts, delay=delay)
        name, market = self.source.name, self.source.market
        _log.warning("%s %s: %s; next attempt in %.1f s", name, market, reason, delay)
        await self._unless_closing(self._clock.sleep(delay))

    async def _unless_closing(
        self, work: Coroutine[Any, Any, _T] | asyncio.Future[_T]
    ) -> _T | None:
        """Await something, but give it up when asked to close: then return None."""
        task = asyncio.ensure_future(work)
        closing = asyncio.ensure_future(self._closing.wait())
        try:
            await asyncio.wait({task, closing}, return_when=asyncio.FIRST_COMPLETED)
            return task.result() if task.done() else None
        finally:
            task.cancel()
            closing.cancel()
            await asyncio.gather(task, closing, return_exceptions=True)

    def _failed(
        self, kind: type[WorkbenchError], text: str, status: int | None = None
    ) -> WorkbenchError:
        self._state = "failed"
        self._emit("error", text, attempt=self._backoff.attempts)
        _log.error("%s", text)
        return kind(text, source=self.source.name, status=status)

    def _ready(self) -> None:
        self._state = "connected"
        again = self.traffic.connects > 0
        self.traffic.connects += 1
        self._emit("reconnected" if again else "connected", attempt=self._backoff.attempts)
        name, market = self.source.name, self.source.market
        _log.info("%s %s: %sconnected", name, market, "re" if again else "")

    def _refused(self, status: Status, topics: Sequence[Topic]) -> None:
        detail = status.text
        if topics:
            names = ", ".join(f"{topic.symbol} {topic.channel}" for topic in topics[:10])
            more = f" and {len(topics) - 10} more" if len(topics) > 10 else ""
            words = dict.fromkeys(self.refused.get(topic, status.text) for topic in topics)
            detail = f"{names}{more}: {'; '.join(words)}"
        self._emit("refused", detail, topics=tuple(topics))
        name, market = self.source.name, self.source.market
        _log.warning("%s %s: subscription refused: %s", name, market, detail)

    def _emit(
        self,
        kind: Kind,
        detail: str = "",
        *,
        attempt: int = 0,
        delay: float | None = None,
        topics: tuple[Topic, ...] = (),
    ) -> None:
        source, now = self.source, self._clock.now()
        self._on_event(
            ConnectionEvent(kind, source.name, source.market, now, detail, attempt, delay, topics)
        )
