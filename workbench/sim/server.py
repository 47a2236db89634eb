"""The simulator's server: websockets and REST on one port. The simulator's only I/O."""

from __future__ import annotations

import asyncio
import errno
import itertools
import logging
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus

import msgspec
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from workbench.clock import Clock, SystemClock
from workbench.errors import ConfigError, PortTakenError
from workbench.records import Rows
from workbench.sim.broadcast import Broadcast
from workbench.sim.connection import Connection
from workbench.sim.control import CONTROL, Control
from workbench.sim.faultplan import FaultPlan
from workbench.sim.faults import Faults
from workbench.sim.hours import DAY, Hours
from workbench.sim.limits import Limits
from workbench.sim.market import Market
from workbench.sim.protocol import Entitlement, Session
from workbench.sim.reference import MarketStatus
from workbench.sim.rest import Answer, Api, RateLimit
from workbench.sim.wire import CHANNELS

__all__ = ["Simulator"]

GOING_AWAY = 1001
_log = logging.getLogger("workbench.sim.server")
# At debug level the library writes headers and messages, and with them keys.
_socket_log = logging.getLogger("workbench.sim.server.socket")
_socket_log.setLevel(logging.WARNING)


class Simulator:
    """Serve a market as the provider would: `ws://HOST:PORT/stocks`, `/crypto`, and REST.

    Make and use it within one running event loop; :func:`~workbench.sim.run.simulator`
    gives it a thread and a loop of its own.

    Parameters
    ----------
    market : Market
        :class:`~workbench.sim.synthetic.SyntheticMarket` or
        :class:`~workbench.sim.recording.RecordedMarket`.
    host : str
        Address to listen on.
    port : int
        0 takes a free one; see :attr:`url`.
    keys : mapping of str to Entitlement, or None
        What each key may use; None accepts any key and none.
    limits : Limits or None
        Timeouts, buffers and pace; None takes the defaults.
    hours : Hours or None
        For the market status; None is "always".
    clock : Clock or None
        None is the machine's.
    faults : Faults or None
        None lets everything pass until faults are switched on, see :attr:`faults`.
    """

    def __init__(
        self,
        market: Market,
        *,
        host: str = "127.0.0.1",
        port: int = 8200,
        keys: Mapping[str, Entitlement] | None = None,
        limits: Limits | None = None,
        hours: Hours | None = None,
        clock: Clock | None = None,
        faults: Faults | None = None,
    ) -> None:
        self.market = market
        self._host, self._port = host, port
        self._keys = keys
        self._limits = limits or Limits()
        self._clock = clock or SystemClock()
        self._faults = FaultPlan(clock=self._clock) if faults is None else faults
        self._control = Control(self._faults if isinstance(self._faults, FaultPlan) else None)
        # Threads start when they are first needed.
        self._pool = ThreadPoolExecutor(2, thread_name_prefix="workbench-sim")
        self._broadcast = Broadcast(market, self._clock, self._limits, self._pool)
        status = MarketStatus(hours or Hours(), self._clock.now)
        rate = RateLimit(self._clock.monotonic, self._limits.rate_window)
        history = self._broadcast.history
        self._api = Api(history, status, keys, rate, self._limits.per_minute)
        self._numbers = itertools.count(1)
        self._open = 0
        self._server: Server | None = None
        self._pump: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"Simulator({self.market!r}, {self.url})"

    @property
    def url(self) -> str:
        """Websocket address, without the cluster."""
        return f"ws://{self._host}:{self._port}"

    @property
    def rest_url(self) -> str:
        """REST address."""
        return f"http://{self._host}:{self._port}"

    @property
    def finished(self) -> bool:
        """Whether a recording was handed out to its end."""
        return self._broadcast.finished

    @property
    def position(self) -> int:
        """How far the market was sent, ns on its clock; 0 before it began."""
        return self._broadcast.position

    def sent(self) -> dict[str, int]:
        """Return how many events went out on each topic, each counted once for all readers.

        Topics are named as clients do, "T.SPY"; those without an event are left out.
        """
        return self._broadcast.counts()

    def trades(
        self,
        symbol: str,
        start: int | None = None,
        end: int | None = None,
        *,
        known: int | None = None,
    ) -> Rows:
        """Return a symbol's trades as known at a time, by event time: what REST shows.

        Parameters
        ----------
        symbol : str
        start, end : int or None
            Span in ns; None is the market's start, and everything known.
        known : int or None
            Only trades that were sent before it, ns; None is all that were sent by now.
        """
        newest = self._broadcast.history.known()
        known = newest if known is None else min(known, newest)
        first = self.market.first if start is None else start
        last = known + DAY if end is None else end
        return self._broadcast.history.trades(symbol, first, last, known)

    @property
    def faults(self) -> FaultPlan:
        """What can be switched on to go wrong.

        Raises
        ------
        ConfigError
            If the simulator was given other faults that cannot be switched.
        """
        if isinstance(self._faults, FaultPlan):
            return self._faults
        raise ConfigError("this simulator was made with faults of its own, not a FaultPlan")

    def connections(self) -> int:
        """Return how many websocket connections are open, or still ending."""
        return self._open

    def drop(self) -> None:
        """Cut all websocket connections without a word; call it in the simulator's loop."""
        for connection in list(self._broadcast.connections):
            connection.abort()

    async def start(self) -> None:
        """Listen, and start the market's clock.

        Raises
        ------
        PortTakenError
            If another program listens on the port.
        """
        try:
            self._server = await self._listen()
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            raise PortTakenError(
                f"port {self._port} on {self._host} is taken by another program; choose another"
            ) from None
        self._port = next(iter(self._server.sockets)).getsockname()[1]
        self._pump = asyncio.create_task(self._broadcast.run())
        self._pump.add_done_callback(_report)
        # Where it waits for no reader the market has begun when this returns: its past is there.
        await asyncio.sleep(0)

    async def _listen(self) -> Server:
        return await serve(
            self._talk,
            self._host,
            self._port,
            compression=None,
            process_request=self._route,
            # A page of history is made before the "handshake" ends.
            open_timeout=120,
            close_timeout=self._limits.close_timeout,
            ping_interval=self._limits.ping_seconds,
            ping_timeout=self._limits.pong_seconds,
            server_header=None,
            logger=_socket_log,
        )

    async def close(self) -> None:
        """Close all connections with 1001 and stop listening."""
        if self._pump is not None:
            self._pump.cancel()
            await asyncio.gather(self._pump, return_exceptions=True)
            await self._broadcast.stop()
        if self._server is not None:
            # Ours first: the library would wait for a reader that takes nothing.
            for connection in list(self._broadcast.connections):
                connection.dismiss(GOING_AWAY, "")
            self._server.close(close_connections=False)
            await self._server.wait_closed()
        self._pool.shutdown()

    async def _route(self, socket: ServerConnection, request: Request) -> Response | None:
        headers = {name.lower(): value for name, value in request.headers.raw_items()}
        cluster = request.path.partition("?")[0].strip("/")
        if "websocket" in headers.get("upgrade", "").lower():
            if cluster in CHANNELS:
                refusal = await self._faults.on_connect(cluster)
                return None if refusal is None else _response(refusal)
            text = f"there is no websocket at /{cluster[:100]}; there is /stocks and /crypto"
            body = msgspec.json.encode({"status": "NOT_FOUND", "error": text})
            return _response(Answer(404, body, {"Content-Type": "application/json"}))
        if request.path.startswith(CONTROL):
            peer = socket.remote_address[0] if socket.remote_address else ""
            return _response(self._control.answer(request.method, request.path, headers, peer))
        loop = asyncio.get_running_loop()
        answer = await loop.run_in_executor(
            self._pool, self._api.answer, request.path, headers, request.method
        )
        return _response(await self._faults.on_request(request.path, answer))

    async def _talk(self, socket: ServerConnection) -> None:
        """Serve one websocket connection to its end."""
        assert socket.request is not None
        cluster = socket.request.path.partition("?")[0].strip("/")
        session = Session(cluster, self._keys, self.market.symbols, batched=self._limits.batched)
        connection = Connection(
            next(self._numbers),
            socket,
            session,
            self._faults,
            self._clock,
            self._limits.buffer_bytes,
            self._limits.close_timeout,
        )
        connections = self._broadcast.connections
        connections[connection] = None
        self._open += 1
        writer = asyncio.create_task(connection.write())
        try:
            connection.push([session.greet()])
            await self._listen_to(socket, connection)
        except ConnectionClosed:
            pass
        finally:
            connections.pop(connection, None)
            self._broadcast.refresh()
            if not connection.ending:
                writer.cancel()
            # Until here a frame of its own may still be on its way through the faults.
            await asyncio.gather(writer, return_exceptions=True)
            self._open -= 1

    async def _listen_to(self, socket: ServerConnection, connection: Connection) -> None:
        session = connection.session
        try:
            async with asyncio.timeout(self._limits.auth_timeout):
                while not session.entered and not connection.ending:
                    self._take(connection, await socket.recv())
        except TimeoutError:
            connection.kick("auth_timeout", "No authentication request received.")
        async for message in socket:
            self._take(connection, message)

    def _take(self, connection: Connection, message: str | bytes) -> None:
        if connection.ending:
            return
        reply = connection.session.receive(message)
        connection.push(reply.frames)
        if reply.close is not None:
            connection.finish(reply.close, "")
        if reply.entered:
            self._evict(connection)
        if reply.changed:
            self._broadcast.refresh()

    def _evict(self, newcomer: Connection) -> None:
        """Send away the oldest connections of a key that has too many."""
        session = newcomer.session
        limit = session.entitlement.connections or self._limits.connections
        if not limit:
            return
        rivals = [
            connection
            for connection in self._broadcast.connections
            if connection.session.key == session.key
            and connection.session.cluster == session.cluster
            and not connection.ending
        ]
        for connection in rivals[: max(0, len(rivals) - limit)]:
            connection.kick(
                "max_connections",
                "Maximum number of websocket connections exceeded. An older one was closed.",
            )


def _report(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        _log.error("the market has stopped", exc_info=task.exception())


def _response(answer: Answer) -> Response:
    headers = Headers({"Connection": "close", **answer.headers})
    headers.setdefault("Content-Length", str(len(answer.body)))
    phrase = HTTPStatus(answer.status).phrase
    return Response(answer.status, phrase, headers, answer.body)
