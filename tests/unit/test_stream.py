"""The parts of the stream that need no socket: subscriptions, reasons, delivery."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import ssl
from collections.abc import Iterable, Sequence

import pytest
from websockets.datastructures import Headers
from websockets.exceptions import (
    ConnectionClosedError,
    InvalidMessage,
    InvalidStatus,
    InvalidURI,
)
from websockets.frames import Close
from websockets.http11 import Response

from workbench.clock import ManualClock
from workbench.net.delivery import Delivery
from workbench.net.failures import close_reason, open_failure
from workbench.net.stream import Stream
from workbench.net.subscriptions import Subscriptions
from workbench.sources.source import Decoded, Frame, Source, Status, Topic
from workbench.symbols import SymbolTable

BTC, ETH, SOL = (Topic(symbol, "trade") for symbol in ("BTC-USD", "ETH-USD", "SOL-USD"))


class CommaSource:
    """Topics joined by commas, as several providers want them."""

    name = "fake"
    market = "crypto"
    url = "ws://127.0.0.1:1/crypto"

    def __init__(self) -> None:
        self.table = SymbolTable()

    def hello(self) -> list[str]:
        return []

    def replies(self, statuses: Sequence[Status]) -> list[str]:
        return []

    def subscribe(self, topics: Iterable[Topic]) -> list[str]:
        return self._message("subscribe", topics)

    def unsubscribe(self, topics: Iterable[Topic]) -> list[str]:
        return self._message("unsubscribe", topics)

    def _message(self, action: str, topics: Iterable[Topic]) -> list[str]:
        prefixes = {"trade": "XT", "quote": "XQ"}
        names = []
        for topic in topics:
            if topic.channel not in prefixes:
                raise ValueError(f"no channel {topic.channel}")
            names.append(f"{prefixes[topic.channel]}.{topic.symbol}")
        return [f'{{"action":"{action}","params":"{",".join(names)}"}}']

    def decode(self, frames: Sequence[Frame]) -> Decoded:
        return Decoded()


def subscribed(*topics: Topic) -> Subscriptions:
    subscriptions = Subscriptions(CommaSource())
    subscriptions.want(topics)
    subscriptions.begin()
    subscriptions.changes()
    return subscriptions


def test_changes_are_sent_once() -> None:
    subscriptions = Subscriptions(CommaSource())
    assert subscriptions.changes() == []
    subscriptions.want([ETH, BTC])
    assert subscriptions.changes() == ['{"action":"subscribe","params":"XT.BTC-USD,XT.ETH-USD"}']
    assert subscriptions.changes() == []
    subscriptions.want([SOL, ETH])
    assert subscriptions.changes() == [
        '{"action":"unsubscribe","params":"XT.BTC-USD"}',
        '{"action":"subscribe","params":"XT.SOL-USD"}',
    ]
    assert subscriptions.held == {SOL, ETH} == subscriptions.wanted


def test_a_new_connection_holds_nothing() -> None:
    subscriptions = subscribed(BTC)
    subscriptions.begin()
    assert subscriptions.held == frozenset()
    assert subscriptions.changes() == ['{"action":"subscribe","params":"XT.BTC-USD"}']


def test_a_channel_that_is_lacking_changes_nothing() -> None:
    subscriptions = subscribed(BTC)
    with pytest.raises(ValueError, match="book"):
        subscriptions.want([ETH, Topic("ETH-USD", "book")])
    assert subscriptions.wanted == {BTC}


def test_a_named_refusal_is_remembered_until_the_wish_is_renewed() -> None:
    subscriptions = subscribed(BTC, ETH)
    assert subscriptions.answered(Status("refused", "no", "XT.ETH-USD")) == [ETH]
    assert subscriptions.refused == {ETH: "no"}
    assert subscriptions.held == {BTC}
    subscriptions.begin()
    assert subscriptions.changes() == ['{"action":"subscribe","params":"XT.BTC-USD"}']
    subscriptions.want([BTC])
    subscriptions.want([BTC, ETH])
    assert subscriptions.changes() == ['{"action":"subscribe","params":"XT.ETH-USD"}']
    subscriptions.answered(Status("subscribed", "ok", "XT.ETH-USD"))
    assert subscriptions.refused == {}


@pytest.mark.parametrize("first", [True, False])
def test_nameless_refusals_are_found_by_elimination(first: bool) -> None:
    subscriptions = subscribed(BTC, ETH, SOL)
    answers = [Status("subscribed", "ok", f"XT.{s}") for s in ("BTC-USD", "SOL-USD")]
    answers.insert(0 if first else 2, Status("refused", "not authorized"))
    found = [topic for status in answers for topic in subscriptions.answered(status)]
    assert found == [ETH]
    assert subscriptions.refused == {ETH: "not authorized"}


def test_named_and_nameless_refusals_add_up() -> None:
    subscriptions = subscribed(BTC, ETH)
    assert subscriptions.answered(Status("refused", "plan")) == []
    assert subscriptions.answered(Status("refused", "unknown", "XT.BTC-USD")) == [BTC, ETH]
    assert subscriptions.refused == {BTC: "unknown", ETH: "plan"}


def test_a_refusal_that_cannot_be_told_apart_blames_nobody() -> None:
    subscriptions = subscribed(BTC, ETH)
    assert subscriptions.answered(Status("refused", "not authorized")) == []
    assert subscriptions.answered(Status("refused", "huh", "XT.DOGE-USD")) == []
    assert subscriptions.refused == {}
    settled = subscribed(BTC)
    settled.answered(Status("subscribed", "ok", "XT.BTC-USD"))
    assert settled.answered(Status("refused", "too late")) == []


def test_names_that_are_part_of_others_are_not_mixed_up() -> None:
    short, long = Topic("T", "trade"), Topic("T.A", "trade")
    subscriptions = subscribed(short, long)
    assert subscriptions.answered(Status("refused", "no", "XT.T")) == [short]


def upgrade(status: int, phrase: str, **headers: str) -> InvalidStatus:
    named = Headers({name.replace("_", "-"): text for name, text in headers.items()})
    return InvalidStatus(Response(status, phrase, named))


@pytest.mark.parametrize(
    ("error", "kind", "reason"),
    [
        (upgrade(401, "Unauthorized"), "fatal", "HTTP 401 Unauthorized"),
        (upgrade(403, "Forbidden"), "fatal", "HTTP 403"),
        (upgrade(404, "Not Found"), "lost", "HTTP 404"),
        (upgrade(502, ""), "lost", "HTTP 502"),
        (InvalidURI("http://x", "scheme"), "address", "not one of a websocket"),
        (UnicodeError("label too long"), "address", "not one of a websocket"),
        (ssl.SSLError(1, "WRONG_VERSION_NUMBER"), "lost", "no encrypted connection"),
        (socket.gaierror(-2, "unknown"), "lost", "is there a network"),
        (ConnectionRefusedError(errno.ECONNREFUSED, "no"), "lost", "nothing listens"),
        (ConnectionResetError(), "lost", "closed the connection"),
        (TimeoutError(), "lost", "in time"),
        (OSError(errno.EHOSTUNREACH, "No route to host"), "lost", "No route to host"),
        (InvalidMessage("did not receive a valid HTTP response"), "lost", "no websocket"),
    ],
)
def test_errors_of_connecting_are_put_in_words(error: Exception, kind: str, reason: str) -> None:
    failure = open_failure(error, 0)
    assert failure.kind == kind
    assert reason in failure.reason


def test_a_bad_certificate_is_named() -> None:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_message = "certificate has expired"
    assert open_failure(error, 0).reason.endswith("not valid: certificate has expired")


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120.0),
        ("Thu, 01 Jan 1970 00:02:00 GMT", 60.0),
        ("Thu, 01 Jan 1970 00:00:10 -0000", 0.0),
        ("999999", 3600.0),
        ("soon", 0.0),
        ("-5", 0.0),
    ],
)
def test_retry_after_is_read_in_both_forms(value: str, seconds: float) -> None:
    error = upgrade(503, "Service Unavailable", Retry_After=value)
    assert open_failure(error, 60 * 10**9).wait == seconds


@pytest.mark.parametrize(
    ("received", "sent", "reason"),
    [
        (Close(1001, "going away"), None, "the server closed the connection: 1001 going away"),
        (Close(1000, ""), Close(1000, ""), "the server closed the connection: 1000"),
        (None, Close(1009, "over size"), "a frame was larger than allowed (1009 over size)"),
        (None, None, "the connection was lost"),
    ],
)
def test_ends_are_put_in_words(received: Close | None, sent: Close | None, reason: str) -> None:
    both = True if received and sent else None
    assert close_reason(ConnectionClosedError(received, sent, both)) == reason


def test_errors_of_the_pipeline_are_counted_and_logged_once_a_minute(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken(source: Source, frames: list[Frame]) -> Sequence[Status]:
        raise KeyError("a plug-in broke")

    def lines() -> int:  # what was left over by another test may be told of meanwhile
        return sum(record.name == "workbench.net.delivery" for record in caplog.records)

    clock = ManualClock()
    delivery = Delivery(CommaSource(), broken, clock)
    with caplog.at_level(logging.ERROR):
        for _ in range(10):
            assert delivery([Frame(1, b"x")]) == ()
        assert lines() == 1
        clock.advance(60)
        delivery([Frame(1, b"x")])
    assert (delivery.failures, lines()) == (11, 2)


def test_a_stream_closed_before_it_ran_never_connects() -> None:
    async def scenario() -> None:
        async def connect(url: str, **options: object) -> object:
            raise AssertionError("connected")

        events: list[str] = []
        stream = Stream(
            CommaSource(),
            lambda source, frames: (),
            on_event=lambda event: events.append(event.kind),
            connect=connect,  # type: ignore[arg-type]
        )
        assert (stream.state, stream.silence_age) == ("connecting", None)
        assert repr(stream) == "Stream(fake crypto, connecting)"
        stream.close()
        await stream.run()
        assert events == ["closed"]

    asyncio.run(scenario(), debug=True)


def test_a_websocket_that_opens_while_the_stream_is_cancelled_is_closed() -> None:
    closed: list[str] = []

    class Socket:
        async def close(self) -> None:
            closed.append("websocket")

    async def scenario() -> None:
        async def connect(url: str, **options: object) -> object:
            running.cancel()
            return Socket()

        stream = Stream(
            CommaSource(),
            lambda source, frames: (),
            on_event=lambda event: None,
            connect=connect,  # type: ignore[arg-type]
        )
        running = asyncio.ensure_future(stream.run())
        with pytest.raises(asyncio.CancelledError):
            await running
        assert stream.state == "closed"

    asyncio.run(scenario(), debug=True)
    assert closed == ["websocket"]
