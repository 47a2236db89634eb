"""The stream against a scripted server on loopback that does what servers do at their worst."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import itertools
import json
import logging
import random
import socket
import struct
import time
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Iterable,
    Iterator,
    Sequence,
)
from http import HTTPStatus
from typing import Any

import pytest
import websockets.asyncio.client
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from workbench.clock import ManualClock, SystemClock
from workbench.errors import AuthError, ConnectError
from workbench.net.reconnect import PATIENT, Reconnect
from workbench.net.stream import ConnectionEvent, Stream
from workbench.sources.source import Decoded, Frame, Source, Status, Topic
from workbench.symbols import SymbolTable

KEY = "sk-very-secret"
FAST = Reconnect(0.02, 2.0, 0.1, quick=0.02, settled=600.0, displaced=0.05)
#: Limits that no test means to reach, however slow the machine is, or often it stands still.
UNHURRIED = {"handshake": 600.0, "heartbeat": 600.0, "silence": 3600.0}
BTC, ETH, SOL = (Topic(symbol, "trade") for symbol in ("BTC-USD", "ETH-USD", "SOL-USD"))

Behaviour = Callable[["Server", ServerConnection], Awaitable[None]]


class JsonSource:
    """A protocol of one JSON object a frame, with greeting, login and acknowledgements."""

    name = "fake"
    market = "crypto"

    def __init__(self, url: str) -> None:
        self.url = url
        self.table = SymbolTable()

    def hello(self) -> list[str]:
        return []

    def replies(self, statuses: Sequence[Status]) -> list[str]:
        return [json.dumps({"auth": KEY}) for status in statuses if status.kind == "greeting"]

    def subscribe(self, topics: Iterable[Topic]) -> list[str]:
        topics = list(topics)
        for topic in topics:
            if topic.channel != "trade":
                raise ValueError(f"no channel {topic.channel}")
        return [json.dumps({"add": [f"t.{topic.symbol}" for topic in topics]})]

    def unsubscribe(self, topics: Iterable[Topic]) -> list[str]:
        return [json.dumps({"remove": [f"t.{topic.symbol}" for topic in topics]})]

    def decode(self, frames: Sequence[Frame]) -> Decoded:
        decoded = Decoded()
        for frame in frames:
            message = json.loads(frame.data)
            if "status" in message:
                decoded.statuses.append(
                    Status(message["status"], message.get("text", ""), message.get("topic"))
                )
        return decoded


class Server:
    """A server that treats its n-th visitor to the n-th behaviour, the rest to the last."""

    def __init__(self, *behaviours: Behaviour) -> None:
        self.behaviours = behaviours
        self.visitors: list[ServerConnection] = []
        self.heard: list[list[dict[str, Any]]] = []
        self.answers: list[Response] = []
        self.url = ""

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Server]:
        async with serve(
            self.visit,
            "127.0.0.1",
            0,
            compression=None,
            open_timeout=None,
            ping_interval=None,
            close_timeout=0.2,
            process_request=self.upgrade,
        ) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            self.url = f"ws://127.0.0.1:{port}/crypto"
            yield self

    def upgrade(self, connection: ServerConnection, request: Request) -> Response | None:
        return self.answers.pop(0) if self.answers else None

    async def visit(self, connection: ServerConnection) -> None:
        number = len(self.visitors)
        self.visitors.append(connection)
        self.heard.append([])
        with contextlib.suppress(ConnectionClosed):
            await self.behaviours[min(number, len(self.behaviours) - 1)](self, connection)

    async def hear(self, connection: ServerConnection) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(await connection.recv())
        self.heard[self.visitors.index(connection)].append(message)
        return message

    async def log_in(self, connection: ServerConnection) -> None:
        await say(connection, "greeting")
        assert await self.hear(connection) == {"auth": KEY}
        await say(connection, "ready")


async def say(connection: ServerConnection, status: str, text: str = "", **more: str) -> None:
    await connection.send(json.dumps({"status": status, "text": text, **more}))


async def trade(connection: ServerConnection, n: int) -> None:
    await connection.send(json.dumps({"n": n}))


async def good(server: Server, connection: ServerConnection) -> None:
    """Log in, acknowledge what is asked, send a frame for it, and stay."""
    await server.log_in(connection)
    while True:
        message = await server.hear(connection)
        for topic in message.get("add", ()):
            await say(connection, "subscribed", topic=topic)
        await trade(connection, len(server.visitors))


async def wait_closed(server: Server, connection: ServerConnection) -> None:
    await connection.wait_closed()


def reset(connection: ServerConnection) -> None:
    """Cut the line with a TCP reset."""
    raw = connection.transport.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.transport.abort()


class Watched:
    """A stream with everything that came out of it."""

    def __init__(self, url: str, **options: Any) -> None:
        self.events: list[ConnectionEvent] = []
        self.data: list[dict[str, Any]] = []
        self.raw: list[Frame] = []
        self.batches: list[int] = []
        self.broken = 0
        self.source = JsonSource(url)
        options = {"policy": FAST, "rng": random.Random(1), **UNHURRIED, **options}
        self.stream = Stream(self.source, self.deliver, on_event=self.events.append, **options)

    def deliver(self, source: Source, frames: list[Frame]) -> Sequence[Status]:
        assert source is self.source
        self.raw += frames
        self.batches.append(len(frames))
        if self.broken:
            self.broken -= 1
            raise RuntimeError("a plug-in broke")
        try:
            decoded = source.decode(frames)
        except (ValueError, KeyError, TypeError):
            return ()  # as the pipeline does: set aside and go on
        self.data += [json.loads(f.data) for f in frames if b'"n"' in f.data]
        return decoded.statuses

    def kinds(self) -> list[str]:
        return [event.kind for event in self.events]

    def details(self, kind: str) -> list[str]:
        return [event.detail for event in self.events if event.kind == kind]

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[asyncio.Task[None]]:
        task = asyncio.create_task(self.stream.run())
        try:
            yield task
        finally:
            self.stream.close()
            await asyncio.wait_for(asyncio.gather(task, return_exceptions=True), 600)


class Still(SystemClock):
    """A clock that stands, while sleeps take their time: nothing lives long by it."""

    def monotonic(self) -> float:
        return 0.0


async def until(predicate: Callable[[], bool]) -> None:
    async with asyncio.timeout(600):
        while not predicate():
            await asyncio.sleep(0.002)


def run(scenario: Coroutine[Any, Any, None]) -> None:
    asyncio.run(scenario, debug=True)


@pytest.fixture(autouse=True)
def _quiet_server() -> Iterator[None]:
    """Keep the other end's log, which prints what it receives, out of what is looked at."""
    logger = logging.getLogger("websockets.server")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    yield
    logger.setLevel(level)


def test_login_subscription_data_and_close() -> None:
    async def scenario() -> None:
        async with Server(good).running() as server:
            began = time.monotonic()
            watched = Watched(server.url)
            watched.stream.want([BTC, ETH])
            age = watched.stream.silence_age
            assert age is None
            async with watched.running() as task:
                await until(lambda: len(watched.data) == 1)
                state = watched.stream.state
                assert state == "connected"
                assert server.heard[0][1:] == [{"add": ["t.BTC-USD", "t.ETH-USD"]}]
                assert all(type(frame.data) is bytes for frame in watched.raw)
                watched.stream.close()
                await asyncio.wait_for(task, 600)
            assert watched.kinds() == ["connecting", "connected", "closed"]
            assert watched.stream.state == "closed"
            await server.visitors[0].wait_closed()  # the other end may be told a moment later
            assert server.visitors[0].close_code == 1000
            traffic = watched.stream.traffic
            assert (traffic.frames, traffic.connects) == (len(watched.raw), 1)
            assert traffic.bytes == sum(len(frame.data) for frame in watched.raw)
            age = watched.stream.silence_age
            assert age is not None
            assert 0 <= age <= time.monotonic() - began

    run(scenario())


def test_wishes_go_out_as_differences_and_all_again_after_a_loss() -> None:
    async def scenario() -> None:
        async with Server(good).running() as server:
            watched = Watched(server.url)
            async with watched.running():
                await until(lambda: watched.stream.state == "connected")
                watched.stream.want([BTC])
                watched.stream.want([BTC, ETH])  # in one message with the first
                await until(lambda: len(watched.data) == 1)
                watched.stream.want([ETH, SOL])
                watched.stream.want([ETH, SOL])
                await until(lambda: len(watched.data) == 3)
                assert server.heard[0][1:] == [
                    {"add": ["t.BTC-USD", "t.ETH-USD"]},
                    {"remove": ["t.BTC-USD"]},
                    {"add": ["t.SOL-USD"]},
                ]
                with pytest.raises(ValueError, match="no channel book"):
                    watched.stream.want([Topic("BTC-USD", "book")])
                assert watched.stream.wanted == {ETH, SOL}
                reset(server.visitors[0])
                await until(lambda: len(watched.data) == 4)
                assert server.heard[1][1:] == [{"add": ["t.ETH-USD", "t.SOL-USD"]}]

    run(scenario())


def closing(code: int, reason: str = "") -> Behaviour:
    async def behaviour(server: Server, connection: ServerConnection) -> None:
        await server.log_in(connection)
        await server.hear(connection)
        await trade(connection, 0)
        await connection.close(code, reason)

    return behaviour


async def dropped(server: Server, connection: ServerConnection) -> None:
    await server.log_in(connection)
    await server.hear(connection)
    reset(connection)


async def cut_in_a_frame(server: Server, connection: ServerConnection) -> None:
    await server.log_in(connection)
    await server.hear(connection)
    connection.transport.write(b"\x81\x7e\x01\x00half")
    connection.transport.close()


async def bad_opcode(server: Server, connection: ServerConnection) -> None:
    await server.log_in(connection)
    await server.hear(connection)
    connection.transport.write(b"\x8b\x00")
    await connection.wait_closed()


async def hello_and_bye(server: Server, connection: ServerConnection) -> None:
    await say(connection, "greeting")
    await connection.close(1000)


async def kicked(server: Server, connection: ServerConnection) -> None:
    await server.log_in(connection)
    await say(connection, "kicked", "slow consumer")
    await connection.close(1008)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (closing(1000), "closed the connection: 1000"),
        (closing(1001, "going away"), "1001 going away"),
        (closing(1008, "policy"), "1008 policy"),
        (closing(1011), "1011"),
        (dropped, "lost"),
        (cut_in_a_frame, "lost"),
        (bad_opcode, "protocol"),
        (hello_and_bye, "1000"),
        (kicked, "slow consumer"),
    ],
)
def test_every_loss_is_followed_by_a_reconnect(fault: Behaviour, reason: str) -> None:
    async def scenario() -> None:
        async with Server(fault, fault, good).running() as server:
            watched = Watched(server.url)
            watched.stream.want([BTC])
            async with watched.running():
                await until(lambda: {"n": 3} in watched.data)
                assert all(reason in detail for detail in watched.details("disconnected"))
                assert watched.kinds()[-1] in ("connected", "reconnected")
                assert [e.attempt for e in watched.events if e.kind == "disconnected"] == [1, 2]
                assert all(e.delay for e in watched.events if e.kind == "disconnected")
                assert server.heard[2][1:] == [{"add": ["t.BTC-USD"]}]
                if fault.__name__ == "behaviour":  # one of those that sent a frame
                    assert watched.data == [{"n": 0}, {"n": 0}, {"n": 3}]

    run(scenario())


async def mute(server: Server, connection: ServerConnection) -> None:
    await connection.wait_closed()


async def no_answer(server: Server, connection: ServerConnection) -> None:
    await say(connection, "greeting")
    await server.hear(connection)
    await connection.wait_closed()


async def garbage_answer(server: Server, connection: ServerConnection) -> None:
    await say(connection, "greeting")
    await server.hear(connection)
    await connection.send("<html>")
    await connection.send(b"\xff\xfe")
    await connection.wait_closed()


def lasting(fault: Behaviour, over: asyncio.Event) -> Behaviour:
    """Treat every visitor alike until it is over, the later ones well.

    Where limits are short, a machine that stands still ends connections for other reasons too:
    what a test is about must not be used up by the first of them.
    """

    async def behaviour(server: Server, connection: ServerConnection) -> None:
        await (good if over.is_set() else fault)(server, connection)

    return behaviour


async def open_unhurried(url: str, **options: Any) -> Any:
    return await websockets.asyncio.client.connect(url, **{**options, "open_timeout": None})


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (mute, "no greeting within 0.3 s"),
        (no_answer, "no answer to the login within 0.3 s"),
        (garbage_answer, "no answer to the login within 0.3 s"),
    ],
)
def test_no_step_of_the_handshake_waits_for_ever(fault: Behaviour, reason: str) -> None:
    async def scenario() -> None:
        over = asyncio.Event()
        async with Server(lasting(fault, over)).running() as server:
            watched = Watched(server.url, handshake=0.3, connect=open_unhurried)
            watched.stream.want([BTC])
            async with watched.running():
                await until(lambda: reason in watched.details("disconnected"))
                assert not watched.data
                over.set()
                await until(lambda: bool(watched.data))

    run(scenario())


def test_a_server_that_accepts_and_says_nothing_is_given_up() -> None:
    async def scenario() -> None:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen()
            watched = Watched(f"ws://127.0.0.1:{listener.getsockname()[1]}", handshake=0.05)
            async with watched.running():
                await until(lambda: len(watched.details("disconnected")) >= 2)
                assert watched.details("disconnected")[0] == "the server did not answer in time"

    run(scenario())


async def silent(server: Server, connection: ServerConnection) -> None:
    await server.log_in(connection)
    await server.hear(connection)
    await connection.wait_closed()


def test_silence_is_noticed() -> None:
    async def scenario() -> None:
        async with Server(silent, good).running() as server:
            # Time passes in looks at the silence only: a thousand of them to the limit, while an
            # answer is there after a few turns of the loop.
            clock = ManualClock()
            watched = Watched(server.url, clock=clock, silence=10.0, silence_check=0.01)
            watched.stream.want([BTC])
            async with watched.running():
                await until(lambda: bool(watched.data))
                assert watched.kinds()[:5] == [
                    "connecting",
                    "connected",
                    "stale",
                    "disconnected",
                    "connecting",
                ]
                assert watched.details("stale")[0] == "no frame for 10 s"

    run(scenario())


class Suspended(SystemClock):
    """The clock of a machine that stops for an hour in its n-th sleep."""

    def __init__(self, *stops: int) -> None:
        self.sleeps = 0
        self.stops = stops
        self.missed = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.missed

    async def sleep(self, seconds: float) -> None:
        self.sleeps += 1
        if self.sleeps in self.stops:
            self.missed += 3600.0
        await asyncio.sleep(seconds)


def test_a_machine_that_stood_still_has_heard_no_silence() -> None:
    async def scenario() -> None:
        async with Server(silent).running() as server:
            clock = Suspended(2, 4)
            watched = Watched(server.url, clock=clock, silence=600.0, silence_check=0.01)
            watched.stream.want([BTC])
            async with watched.running():
                await until(lambda: clock.sleeps > 8)
                assert watched.kinds() == ["connecting", "connected"]

    run(scenario())


@pytest.mark.parametrize("subscribed", [False, True])
def test_silence_that_was_to_be_expected_is_none(subscribed: bool) -> None:
    async def scenario() -> None:
        async with Server(silent).running() as server:
            due = not subscribed
            clock = ManualClock()
            watched = Watched(
                server.url, clock=clock, silence=1.0, silence_check=0.01, expected=lambda: due
            )
            if subscribed:
                watched.stream.want([BTC])
            async with watched.running():
                await until(lambda: watched.stream.state == "connected")
                await until(lambda: len(server.heard[0]) == 1 + subscribed)
                heard = clock.monotonic()
                await until(lambda: clock.monotonic() > heard + 10.0)
                assert watched.kinds() == ["connecting", "connected"]

    run(scenario())


def test_a_half_open_line_is_found_by_pings() -> None:
    async def deaf(server: Server, connection: ServerConnection) -> None:
        await server.log_in(connection)
        connection.transport.pause_reading()
        await connection.wait_closed()

    async def scenario() -> None:
        over = asyncio.Event()
        async with Server(lasting(deaf, over)).running() as server:
            watched = Watched(server.url, heartbeat=0.3)

            def found() -> bool:
                return any(
                    before.kind in ("connected", "reconnected")
                    and "did not answer pings" in event.detail
                    for before, event in itertools.pairwise(watched.events)
                )

            async with watched.running():
                await until(found)
                over.set()
                watched.stream.want([BTC])
                await until(lambda: bool(watched.data))
                assert "reconnected" in watched.kinds()
            for visitor in server.visitors:
                visitor.transport.abort()

    run(scenario())


def test_a_refused_key_is_not_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    async def refuse(server: Server, connection: ServerConnection) -> None:
        await say(connection, "greeting")
        await server.hear(connection)
        await say(connection, "fatal", "authentication failed")
        await connection.close(1008)

    async def scenario() -> None:
        async with Server(refuse).running() as server:
            watched = Watched(server.url)
            async with watched.running() as task:
                with pytest.raises(AuthError, match="authentication failed") as caught:
                    await asyncio.wait_for(task, 600)
            assert caught.value.source == "fake"
            assert watched.kinds() == ["connecting", "error", "closed"]
            assert watched.stream.state == "failed"
            assert len(server.visitors) == 1

    with caplog.at_level(logging.DEBUG):
        run(scenario())
    assert KEY not in caplog.text


def answer(status: HTTPStatus, **headers: str) -> Response:
    return Response(
        status.value,
        status.phrase,
        websockets.Headers({name.replace("_", "-"): text for name, text in headers.items()}),
        b"",
    )


@pytest.mark.parametrize("status", [HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN])
def test_an_upgrade_refused_for_the_key_is_not_tried_again(status: HTTPStatus) -> None:
    async def scenario() -> None:
        async with Server(good).running() as server:
            server.answers = [answer(status, Content_Length="0")]
            watched = Watched(f"{server.url}?apiKey={KEY}")
            async with watched.running() as task:
                with pytest.raises(AuthError, match=f"HTTP {status}") as caught:
                    await asyncio.wait_for(task, 600)
            assert caught.value.status == status
            assert KEY not in str(caught.value) + str(watched.events)

    run(scenario())


def test_a_busy_server_is_tried_again_when_it_asks_for() -> None:
    async def scenario() -> None:
        async with Server(good).running() as server:
            server.answers = [
                answer(HTTPStatus.SERVICE_UNAVAILABLE, Content_Length="0"),
                answer(HTTPStatus.TOO_MANY_REQUESTS, Content_Length="0", Retry_After="45"),
            ]
            clock = ManualClock()
            watched = Watched(server.url, clock=clock)
            async with watched.running():
                await until(lambda: "connected" in watched.kinds())
                lost = [event for event in watched.events if event.kind == "disconnected"]
                assert "HTTP 503" in lost[0].detail
                assert "HTTP 429" in lost[1].detail
                assert lost[1].delay == 45.0
                assert clock.monotonic() >= 45.0

    run(scenario())


def test_attempts_are_used_up() -> None:
    async def scenario() -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
            clock = ManualClock()
            watched = Watched(f"ws://127.0.0.1:{port}", policy=PATIENT, clock=clock)
            async with watched.running() as task:
                with pytest.raises(ConnectError, match="nothing listens there"):
                    await asyncio.wait_for(task, 600)
            assert watched.kinds().count("connecting") == 11
            assert watched.kinds()[-2:] == ["error", "closed"]
            assert 75 < clock.monotonic() < 182

    run(scenario())


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (socket.gaierror(-2, "Name or service not known"), "name of the server is not known"),
        (OSError(errno.ENETUNREACH, "Network is unreachable"), "Network is unreachable"),
    ],
)
def test_a_missing_network_is_told_in_words(error: OSError, reason: str) -> None:
    async def scenario() -> None:
        failed = False

        async def connect(url: str, **options: Any) -> Any:
            nonlocal failed
            if not failed:
                failed = True
                raise error
            return await websockets.asyncio.client.connect(url, **options)

        async with Server(good).running() as server:
            watched = Watched(server.url, connect=connect)
            async with watched.running():
                await until(lambda: "connected" in watched.kinds())
                assert reason in watched.details("disconnected")[0]

    run(scenario())


def test_a_server_on_this_machine_is_reached_past_any_proxy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scenario() -> None:
        async with Server(good).running() as server:
            watched = Watched(server.url)
            async with watched.running():
                await until(lambda: len(watched.events) > 1)
                assert watched.kinds() == ["connecting", "connected"]

    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        for name in ("http_proxy", "https_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{deaf.getsockname()[1]}")
        run(scenario())


def test_tls_that_does_not_fit_is_told_in_words() -> None:
    async def answer_plainly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        writer.close()

    async def scenario() -> None:
        server = await asyncio.start_server(answer_plainly, "127.0.0.1", 0)
        async with server:
            # No second attempt: this server would not see the end of one that is given up.
            policy = Reconnect(3600.0, 1.0, 3600.0)
            url = f"wss://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            watched = Watched(url, policy=policy)
            async with watched.running():
                await until(lambda: bool(watched.details("disconnected")))
                assert "no encrypted connection" in watched.details("disconnected")[0]

    run(scenario())


def test_an_address_that_is_none_is_not_tried_again() -> None:
    async def scenario() -> None:
        watched = Watched("http://127.0.0.1:1")
        with pytest.raises(ConnectError, match=r"ws:// or wss://"):
            await watched.stream.run()
        assert watched.kinds() == ["connecting", "error", "closed"]

    run(scenario())


def test_a_displaced_connection_waits_and_names_the_cause() -> None:
    async def displaced(server: Server, connection: ServerConnection) -> None:
        await server.log_in(connection)
        await say(connection, "displaced", "Maximum number of connections exceeded")
        await connection.close(1008, "max_connections")

    async def scenario() -> None:
        async with Server(displaced, good).running() as server:
            clock = ManualClock()
            policy = Reconnect(0.01, 2.0, 1.0)
            watched = Watched(server.url, clock=clock, policy=policy)
            async with watched.running():
                await until(lambda: "reconnected" in watched.kinds())
                (event,) = (e for e in watched.events if e.kind == "disconnected")
                assert event.delay is not None
                assert 60 <= event.delay <= 66
                assert event.detail.startswith("Maximum number of connections exceeded; another")

    run(scenario())


def test_accept_then_kick_makes_attempts_rarer() -> None:
    async def scenario() -> None:
        async with Server(kicked).running() as server:
            policy = Reconnect(0.01, 2.0, 100.0)
            watched = Watched(server.url, clock=Still(), policy=policy)
            async with watched.running():
                await until(lambda: watched.kinds().count("disconnected") >= 6)
                delays = [e.delay for e in watched.events if e.kind == "disconnected"]
                assert delays[5] is not None
                assert delays[5] >= 0.16

    run(scenario())


def test_refused_topics_are_reported_and_not_asked_for_again() -> None:
    async def picky(server: Server, connection: ServerConnection) -> None:
        await server.log_in(connection)
        while True:
            for topic in (await server.hear(connection)).get("add", ()):
                if topic == "t.ETH-USD":
                    await say(connection, "refused", "not authorized")
                elif topic == "t.SOL-USD":
                    await say(connection, "refused", "no such thing", topic=topic)
                else:
                    await say(connection, "subscribed", topic=topic)

    async def scenario() -> None:
        async with Server(picky).running() as server:
            watched = Watched(server.url)
            watched.stream.want([BTC, ETH, SOL])
            async with watched.running():
                await until(lambda: len(watched.stream.refused) == 2)
                assert watched.stream.refused == {ETH: "not authorized", SOL: "no such thing"}
                named = [e for e in watched.events if e.topics]
                assert {topic for event in named for topic in event.topics} == {ETH, SOL}
                reset(server.visitors[0])
                await until(lambda: len(server.heard) == 2 and len(server.heard[1]) == 2)
                assert server.heard[1][1:] == [{"add": ["t.BTC-USD"]}]
                watched.stream.want([BTC])
                watched.stream.want([BTC, SOL])
                await until(lambda: len(server.heard[1]) == 3)
                assert server.heard[1][2] == {"add": ["t.SOL-USD"]}

    run(scenario())


def test_a_pipeline_that_raises_does_not_end_the_stream(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scenario() -> None:
        async with Server(good).running() as server:
            watched = Watched(server.url, clock=Still())  # no minute passes between two errors
            async with watched.running():
                await until(lambda: watched.stream.state == "connected")
                watched.broken = 2
                for topics in ([BTC], [BTC, ETH], [BTC, ETH, SOL]):
                    seen = len(watched.raw)
                    watched.stream.want(topics)
                    await until(lambda seen=seen: len(watched.raw) >= seen + 2)  # type: ignore[misc]
                await until(lambda: bool(watched.data))
                assert watched.stream.failures == 2
                assert watched.kinds() == ["connecting", "connected"]

    run(scenario())
    assert caplog.text.count("were not processed") == 1


class Ticking(SystemClock):
    """A wall clock that is read a nanosecond later each time, whatever is done to the machine's."""

    def __init__(self) -> None:
        self.reads = 0

    def now(self) -> int:
        self.reads += 1
        return self.reads


def test_frames_gather_and_nothing_is_lost_or_reordered() -> None:
    count = 3000

    async def flood(server: Server, connection: ServerConnection) -> None:
        await server.log_in(connection)
        await server.hear(connection)
        for n in range(count):
            await trade(connection, n)
        await connection.wait_closed()

    async def scenario() -> None:
        async with Server(flood).running() as server:
            watched = Watched(server.url, clock=Ticking(), gather=0.005)
            watched.stream.want([BTC])
            async with watched.running():
                await until(lambda: len(watched.data) == count)
                assert [data["n"] for data in watched.data] == list(range(count))
                assert max(watched.batches) <= 512
                assert len(watched.batches) < count / 2
                times = [frame.received for frame in watched.raw]
                assert times == sorted(set(times))

    run(scenario())


def test_big_frames_fragments_and_binary_pass() -> None:
    big = {"n": 1, "x": "y" * 3_000_000}

    async def odd(server: Server, connection: ServerConnection) -> None:
        await server.log_in(connection)
        await connection.send(json.dumps(big))
        await connection.send(['{"n"', ": 2", "}"])
        await connection.send(b'{"n": 3}')
        await connection.wait_closed()

    async def scenario() -> None:
        async with Server(odd).running() as server:
            watched = Watched(server.url)
            async with watched.running():
                await until(lambda: len(watched.data) == 3)
                assert watched.data == [big, {"n": 2}, {"n": 3}]

    run(scenario())


def test_a_frame_beyond_the_limit_is_told() -> None:
    async def huge(server: Server, connection: ServerConnection) -> None:
        await server.log_in(connection)
        await connection.send("x" * 5000)
        await connection.wait_closed()

    async def scenario() -> None:
        async with Server(huge, good).running() as server:
            watched = Watched(server.url, max_frame=4096)
            async with watched.running():
                await until(lambda: "reconnected" in watched.kinds())
                assert "larger than allowed" in watched.details("disconnected")[0]

    run(scenario())


def test_a_close_is_obeyed_at_every_stage() -> None:
    async def scenario() -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))  # nothing listens there, nor can
            await close_at_every_stage(f"ws://127.0.0.1:{free.getsockname()[1]}")

    async def close_at_every_stage(nowhere: str) -> None:
        async with Server(mute).running() as server:
            for stage in ("connecting", "login", "waiting"):
                watched = Watched(
                    server.url if stage != "waiting" else nowhere,
                    policy=Reconnect(3600, 1, 3600),
                )
                came = len(server.visitors)
                task = asyncio.create_task(watched.stream.run())
                if stage == "login":
                    await until(lambda came=came: len(server.visitors) > came)  # type: ignore[misc]
                elif stage == "waiting":
                    await until(lambda w=watched: w.stream.state == "reconnecting")  # type: ignore[misc]
                else:
                    await asyncio.sleep(0)
                watched.stream.close()
                await asyncio.wait_for(task, 600)
                assert watched.kinds()[-1] == "closed"
                assert watched.stream.state == "closed"

    run(scenario())


def test_cancelling_leaves_nothing_open() -> None:
    async def scenario() -> None:
        async with Server(good).running() as server:
            watched = Watched(server.url)
            task = asyncio.create_task(watched.stream.run())
            await until(lambda: watched.stream.state == "connected")
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await asyncio.wait_for(server.visitors[0].wait_closed(), 600)
            assert watched.stream.state == "closed"
            names = {t.get_coro().__qualname__ for t in asyncio.all_tasks()}  # type: ignore[union-attr]
            assert not [name for name in names if name.startswith("Connection._")]

    run(scenario())


def test_the_key_is_in_no_log(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        async with Server(good).running() as server:
            watched = Watched(server.url)
            watched.stream.want([BTC])
            async with watched.running():
                await until(lambda: bool(watched.data))
            assert server.heard[0][0] == {"auth": KEY}
            assert KEY not in repr(watched.events) + repr(watched.stream)

    with caplog.at_level(logging.DEBUG):
        run(scenario())
    assert KEY not in caplog.text
