"""The feed as users hold it, on a socket that is not there."""

from __future__ import annotations

import asyncio
import gc
import json
import math
import random
import threading
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from workbench.analytics import ema, sma
from workbench.clock import SystemClock
from workbench.config import settings
from workbench.errors import (
    AuthError,
    ConfigError,
    ConnectError,
    FeedClosedError,
    TapeError,
    UnknownSymbolError,
    UnknownTimeframeError,
)
from workbench.flow.feed import Feed
from workbench.records import FORMING
from workbench.sources.massive import MassiveSource
from workbench.sources.source import Frame, Source
from workbench.symbols import SymbolTable
from workbench.tape import TapeWriter

MS = 1_723_420_800_000
Poll = Callable[..., None]
#: Seconds after which a machine does not merely stand still.
PATIENCE = 300.0


def trade(at: float, price: float, i: int, pair: str = "BTC-USD") -> dict[str, Any]:
    t = MS + round(at * 1000)
    return {"ev": "XT", "pair": pair, "p": price, "s": 1.0, "t": t, "i": i}


class Socket:
    """The client's end of a websocket whose other end is a provider in a few lines."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self._loop = asyncio.get_running_loop()
        self._frames: asyncio.Queue[bytes] = asyncio.Queue()
        self.push(provider.status("connected", "Connected Successfully"))

    def push(self, *events: dict[str, Any]) -> None:
        """Send a frame, from any thread."""
        self._loop.call_soon_threadsafe(self._frames.put_nowait, json.dumps(events).encode())

    async def recv(self, decode: bool) -> bytes:
        return await self._frames.get()

    async def send(self, message: str) -> None:
        said = json.loads(message)
        self._provider.heard.append(said)
        if said["action"] == "auth":
            good = said["params"] == self._provider.key
            self.push(self._provider.status("auth_success" if good else "auth_failed", "x"))
        else:
            for topic in said["params"].split(","):
                text = f"{said['action']}d to: {topic}"
                self.push(self._provider.status("success", text))

    async def close(self) -> None:
        self._provider.closed += 1


class Provider:
    """Opens sockets for a feed."""

    key = "k"

    def __init__(self) -> None:
        self.heard: list[dict[str, str]] = []
        self.sockets: list[Socket] = []
        self.closed = 0
        self.down = False

    @staticmethod
    def status(status: str, message: str) -> dict[str, Any]:
        return {"ev": "status", "status": status, "message": message}

    async def connect(self, url: str, **options: Any) -> Socket:
        if self.down:
            raise ConnectionRefusedError("nobody listens")
        self.sockets.append(Socket(self))
        return self.sockets[-1]

    def push(self, *events: dict[str, Any]) -> None:
        self.sockets[-1].push(*events)


class TapeTime(SystemClock):
    """The machine's clock, but the wall shows the time of the trades."""

    offset = 0

    def now(self) -> int:
        return MS * 10**6 + self.offset


def a_feed(provider: Provider, **options: Any) -> Feed:
    def source(market: str, table: SymbolTable) -> Source:
        return MassiveSource(market, key=options.get("key", "k"), table=table)

    return Feed(
        source,
        config=settings(
            api_key="k",
            lateness_seconds=options.get("lateness", 0.0),
            max_price_deviation=0.0,
            max_future_seconds=0.0,
            silence_seconds=86_400.0,  # this provider says nothing by itself
        ),
        clock=options.get("clock", TapeTime()),
        rng=random.Random(1),
        connect=provider.connect,
        on_close=options.get("on_close"),
    )


@pytest.fixture
def provider() -> Provider:
    return Provider()


@pytest.fixture
def feed(provider: Provider) -> Iterator[Feed]:
    with a_feed(provider) as made:
        yield made


def test_from_a_frame_to_a_dataframe(feed: Feed, provider: Provider) -> None:
    feed.subscribe("X:BTCUSD", ["1m", "5s"], timeout=PATIENCE)
    assert feed.symbols() == ("BTC-USD",)
    assert [tf.name for tf in feed.timeframes("btc-usd")] == ["5s", "1m"]
    assert provider.heard[0]["action"] == "auth"
    assert provider.heard[-1] == {"action": "subscribe", "params": "XQ.BTC-USD,XT.BTC-USD"}
    provider.push(*(trade(k, 10 + k, k + 1) for k in range(70)))
    feed.wait("BTC-USD", count=70, timeout=PATIENCE)
    bars = feed.bars("BTC-USD", "1m")
    assert bars["count"].tolist() == [60, 10]
    assert bars["state"].tolist() == [2, FORMING]
    assert str(bars.index.dtype) == "datetime64[ns, UTC]"
    assert feed.bars("BTC-USD", "5s", last=2)["count"].tolist() == [5, 5]
    assert len(feed.bars("BTC-USD", "5s", last=0)) == 0
    assert len(feed.bars("BTC-USD", "5s", forming=False)) == 13
    assert feed.trades("BTC-USD", last=3)["price"].tolist() == [77.0, 78.0, 79.0]
    assert len(feed.trades("BTC-USD", last=None)) == 70
    assert feed.health.state == "connected"
    assert feed.health.conserved()
    assert feed.health.numbers()["trades_accepted"] == 70
    assert "BTC-USD" in repr(feed)
    assert "<table" in feed._repr_html_()


def test_quotes_and_prices(feed: Feed, provider: Provider) -> None:
    feed.subscribe(["BTC-USD", "ETH-USD"], timeout=PATIENCE)
    quote = {"ev": "XQ", "pair": "BTC-USD", "bp": 9.5, "bs": 1, "ap": 10, "as": 2, "t": MS}
    provider.push(trade(1, 8, 1), trade(2, 10, 2), quote, {**quote, "bp": 11})
    feed.wait("BTC-USD", count=2, timeout=PATIENCE)
    assert feed.quotes("BTC-USD")["spread"].fillna(-1).tolist() == [0.5, -1.0]
    prices = feed.prices()
    row = prices.loc["BTC-USD"]
    assert (row["price"], row["open"], row["high"], row["volume"]) == (10.0, 8.0, 10.0, 2.0)
    assert (row["change"], row["change_percent"]) == (2.0, 25.0)
    assert row["time"].value == (MS + 2000) * 10**6
    empty = prices.loc["ETH-USD"]
    assert np.isnan(empty["price"])
    assert str(empty["time"]) == "NaT"


def test_prices_of_nothing(feed: Feed) -> None:
    assert len(feed.prices()) == 0


def test_a_time_is_told_to_the_ns_beside_a_symbol_without_trades(
    feed: Feed, provider: Provider
) -> None:
    feed.subscribe(["BTC-USD", "ETH-USD"], timeout=PATIENCE)
    provider.push({**trade(0, 1, 1), "t": MS + 1})
    feed.wait("BTC-USD", timeout=PATIENCE)
    assert feed.prices()["time"]["BTC-USD"].value == (MS + 1) * 10**6


def test_symbols_and_timeframes_come_and_go(feed: Feed, provider: Provider, poll_for: Poll) -> None:
    feed.subscribe("BTC-USD", "1m", timeout=PATIENCE)
    provider.push(*(trade(k, 10, k + 1) for k in range(100)))
    feed.wait("BTC-USD", count=100, timeout=PATIENCE)
    feed.subscribe("BTC-USD", "10s", timeout=PATIENCE)
    joined = feed.bars("BTC-USD", "10s")
    assert joined["count"].tolist() == [10] * 10, "it joins with the trades at hand"
    assert feed.bars("BTC-USD", "20s")["count"].tolist() == [20] * 5, "asking is enough"
    feed.unsubscribe("BTC-USD", "10s")
    assert [tf.name for tf in feed.timeframes("BTC-USD")] == ["20s", "1m"]
    feed.subscribe("ETH-USD", timeout=None)
    poll_for(lambda: any("XT.ETH-USD" in said["params"] for said in provider.heard))
    feed.unsubscribe("BTC-USD")
    feed.unsubscribe("BTC-USD")
    assert feed.symbols() == ("ETH-USD",)
    poll_for(lambda: any(said["action"] == "unsubscribe" for said in provider.heard))
    with pytest.raises(UnknownSymbolError, match=r"feed\.subscribe\('BTC-USD'\)"):
        feed.bars("BTC-USD")
    feed.subscribe("BTC-USD", "1m", timeout=PATIENCE)
    provider.push(trade(101, 12, 101))
    feed.wait("BTC-USD", count=101, timeout=PATIENCE)
    assert feed.bars("BTC-USD", "1m")["count"].tolist() == [60, 41], "back with its past"
    assert feed.prices().loc["BTC-USD", "volume"] == 101.0


def test_what_is_not_one(feed: Feed) -> None:
    with pytest.raises(UnknownSymbolError):
        feed.subscribe("not one")
    with pytest.raises(UnknownSymbolError):
        feed.subscribe([])
    with pytest.raises(UnknownTimeframeError):
        feed.subscribe("BTC-USD", "1x")
    with pytest.raises(ValueError, match="bar:5m"):
        feed.subscribe("BTC-USD", channels=["bar:5m"])
    with pytest.raises(ValueError, match="'trades' is not one of trade"):
        feed.stream("trades")
    with pytest.raises(ValueError, match="speed"):
        feed.play("x.tape", speed=0)
    with pytest.raises(TapeError):
        feed.play("there-is-none.tape")
    assert feed.symbols() == ()


def test_a_market_the_provider_lacks_is_not_subscribed(feed: Feed) -> None:
    with pytest.raises(ConfigError, match="forex"):
        feed.subscribe("EUR/USD")
    assert feed.symbols() == ()
    feed.subscribe("BTC-USD", timeout=PATIENCE)
    assert feed.symbols() == ("BTC-USD",)


def test_a_wrong_key_is_told(provider: Provider) -> None:
    with a_feed(provider, key="wr0ng") as feed:
        with pytest.raises(AuthError) as caught:
            feed.subscribe("BTC-USD", timeout=PATIENCE)
        assert "wr0ng" not in str(caught.value)
        with pytest.raises(AuthError):
            feed.wait(timeout=PATIENCE)
        assert feed.health.state == "failed"


def test_no_connection_in_time_is_told_and_tried_again(provider: Provider) -> None:
    provider.down = True
    with a_feed(provider) as feed:
        with pytest.raises(ConnectError, match="goes on trying"):
            feed.subscribe("BTC-USD", timeout=0.05)
        with pytest.raises(ConnectError, match="no trade of BTC-USD within"):
            feed.wait("BTC-USD", timeout=0.05)
        assert feed.symbols() == ("BTC-USD",)


def test_a_window_is_kept_up_to_date(feed: Feed, provider: Provider, poll_for: Poll) -> None:
    window = feed.watch("BTC-USD", "10s", [ema(2), sma(2)])
    assert window.outputs == ("ema_2", "sma_2")
    poll_for(lambda: any(said["action"] == "subscribe" for said in provider.heard))
    provider.push(*(trade(k, 10 + k, k + 1) for k in range(25)))
    poll_for(lambda: window.forming)
    change = window.since(0, 0)
    assert change is not None
    assert change.bars["count"].tolist() == [10, 10, 5]
    assert change.values[2].tolist() == [pytest.approx(31.5, abs=3), 31.5]
    again = feed.watch("BTC-USD", "10s", [ema(2), sma(2)])
    assert again is window
    feed.unwatch(window)
    feed.unwatch(window)
    assert feed.watch("BTC-USD", "10s", [ema(2), sma(2)]) is not window


def test_streams_of_users(feed: Feed, provider: Provider, poll_for: Poll) -> None:
    feed.subscribe("BTC-USD", timeout=PATIENCE)
    seen: list[float] = []
    newest: list[float] = []

    def bad(batch: Any) -> None:
        raise RuntimeError("user code")

    prices = feed.stream("trade").map(lambda batch: float(batch.rows["price"][-1]))
    sinks = [feed.stream("trade").sink(bad), prices.sink(seen.append)]
    sinks.append(feed.stream("trade").conflate(0.02).sink(lambda b: newest.append(len(b))))
    values = feed.stream("trade").map(lambda b: float(b.rows["price"][-1]))
    ends: list[float] = []
    sinks.append(values.conflate(0.02).sink(ends.append))
    for k in range(50):
        provider.push(trade(k, 10 + k, k + 1))
    feed.wait("BTC-USD", count=50, timeout=PATIENCE)
    assert seen[-1] == 59.0
    poll_for(lambda: ends and ends[-1] == 59.0, what="for the newest value")
    assert feed.health.errors["stream trade"] == len(seen)
    assert feed.health.numbers()["trades_accepted"] == 50
    for sink in sinks:
        sink.destroy()


def test_the_clock_closes_bars_without_trades(provider: Provider, poll_for: Poll) -> None:
    clock = TapeTime()
    with a_feed(provider, clock=clock, lateness=1.0) as feed:
        feed.subscribe("BTC-USD", "1m", timeout=PATIENCE)
        clock.offset = 10 * 10**9
        provider.push(trade(10, 5, 1))
        feed.wait("BTC-USD", timeout=PATIENCE)
        assert feed.bars("BTC-USD")["state"].tolist() == [FORMING]
        clock.offset = 61 * 10**9
        poll_for(lambda: feed.bars("BTC-USD")["state"].tolist() == [2])


def no_thread() -> bool:
    return not any(t.name == "workbench-feed" for t in threading.enumerate())


def test_a_closed_feed(provider: Provider, poll_for: Poll) -> None:
    closed: list[bool] = []
    feed = a_feed(provider, on_close=lambda: closed.append(True))
    feed.subscribe("BTC-USD", timeout=PATIENCE)
    window = feed.watch("BTC-USD", "1m")
    feed.close()
    feed.close()
    assert closed == [True]
    assert provider.closed == len(provider.sockets) > 0
    assert feed.health.state == "closed"
    poll_for(no_thread)
    for call in (
        lambda: feed.subscribe("ETH-USD"),
        lambda: feed.unsubscribe("BTC-USD"),
        lambda: feed.bars("BTC-USD"),
        lambda: feed.trades("BTC-USD"),
        feed.prices,
        lambda: feed.watch("BTC-USD", "1m"),
        feed.stream,
        feed.wait,
    ):
        with pytest.raises(FeedClosedError):
            call()
    feed.unwatch(window)
    assert "closed" in feed._repr_html_()


def test_it_works_inside_a_running_loop(provider: Provider) -> None:
    """As in a notebook, whose cells run on a loop of their own."""

    async def cell() -> int:
        with a_feed(provider) as feed:
            feed.subscribe("BTC-USD", timeout=PATIENCE)
            provider.push(trade(1, 5, 1))
            feed.wait("BTC-USD", timeout=PATIENCE)
            return len(feed.trades("BTC-USD"))

    assert asyncio.run(cell()) == 1


def test_nothing_stays_behind(provider: Provider, poll_for: Poll) -> None:
    feed = a_feed(provider)
    feed.subscribe("BTC-USD", timeout=PATIENCE)
    provider.push(trade(1, 5, 1))
    feed.wait("BTC-USD", timeout=PATIENCE)
    gone = weakref.ref(feed.health._gate)
    feed.close()
    del feed
    provider.sockets.clear()

    def let_go() -> bool:
        gc.collect()
        return gone() is None

    poll_for(let_go, what="for a closed feed to let go of its tables of trades")


def test_a_feed_that_cannot_be_made_leaves_no_thread(provider: Provider, poll_for: Poll) -> None:
    class Broken(TapeTime):
        def now(self) -> int:
            raise OSError("no clock")

    with pytest.raises(OSError, match="no clock"):
        a_feed(provider, clock=Broken())
    poll_for(no_thread)


def write_tape(path: Path) -> None:
    with TapeWriter(path, background=False) as tape:
        channel = tape.channel("massive", "crypto", "ws://127.0.0.1/crypto")
        for k in range(200):
            event = json.dumps([trade(k, 10 + k % 5, k + 1, ("BTC-USD", "ETH-USD")[k % 2])])
            tape.append(channel, [Frame((MS + k * 1000 + 5) * 10**6, event.encode())])


def test_playing_a_tape(feed: Feed, tmp_path: Path) -> None:
    write_tape(tmp_path / "a.tape")
    report = feed.play(tmp_path / "a.tape", timeframes=["1m", "10s"]).result(PATIENCE)
    assert (report.frames, report.failures) == (200, 0)
    assert feed.symbols() == ("BTC-USD", "ETH-USD")
    assert feed.bars("BTC-USD", "1m")["count"].tolist() == [30, 30, 30, 10]
    assert feed.bars("ETH-USD", "10s", last=1)["count"].tolist() == [5]
    assert feed.health.state == "finished"
    assert feed.health.conserved()
    assert feed.health.numbers()["trades_accepted"] == 200


def test_closing_while_a_tape_plays(provider: Provider, tmp_path: Path) -> None:
    write_tape(tmp_path / "a.tape")
    feed = a_feed(provider)
    future = feed.play(tmp_path / "a.tape", speed=1.0)
    feed.wait(count=1, timeout=PATIENCE)
    feed.close()
    with pytest.raises(CancelledError):
        future.result(PATIENCE)


def test_speeds_end_in_the_same_bars(provider: Provider, tmp_path: Path) -> None:
    write_tape(tmp_path / "a.tape")
    results = []
    for speed in (math.inf, 4000.0):
        with a_feed(provider) as feed:
            feed.play(tmp_path / "a.tape", speed=speed).result(PATIENCE)
            frames = [feed.bars(s, "1m") for s in ("BTC-USD", "ETH-USD")]
            results.append([frame.to_csv() for frame in frames])
    assert results[0] == results[1]
