"""The provider's own Python client, unmodified, against the simulator."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from massive import RESTClient, WebSocketClient
from massive.exceptions import AuthError, BadResponse
from massive.websocket.models import (
    CryptoQuote,
    CryptoTrade,
    CurrencyAgg,
    EquityAgg,
    EquityQuote,
    EquityTrade,
)

from workbench.sim.protocol import Entitlement
from workbench.sim.run import RunningSimulator, simulator

KEYS = {"k": Entitlement(connections=1), "busy": Entitlement(per_minute=2)}
HOUR = 3600 * 10**9
#: The longest that trades are told late, ns.
LATEST = 90 * 10**9
#: A client that was stopped for a while is not one that does not log in or answer pings.
UNHURRIED: dict[str, Any] = {"open_timeout": None, "ping_interval": None, "close_timeout": 300}
PATIENT: dict[str, Any] = {"auth_timeout": 500.0, "ping_seconds": None}


@pytest.fixture(scope="module")
def sim() -> Iterator[RunningSimulator]:
    with simulator(
        symbols=("BTC-USD", "AAPL", "SPY"), keys=KEYS, rate=30.0, bar_wait=0.1, rate_window=0.3,
        **PATIENT,
    ) as running:  # fmt: skip
        client = RESTClient(api_key="k", base=running.rest_url, read_timeout=300.0)
        client.get_market_status()  # once it answers, its market has begun
        client.client.clear()
        yield running


@pytest.fixture(scope="module")
def calm() -> Iterator[RunningSimulator]:
    """Run another one with so few trades that its days are soon summed up on any machine."""
    with simulator(symbols=("BTC-USD", "AAPL", "SPY"), keys=KEYS, rate=1.0, **PATIENT) as running:
        yield running


@pytest.fixture(scope="module", autouse=True)
def _started_before_threads_are_counted(sim: RunningSimulator, calm: RunningSimulator) -> None:
    """Start the shared simulators outside any one test."""


@pytest.fixture
def rest(sim: RunningSimulator) -> Iterator[RESTClient]:
    client = RESTClient(api_key="k", base=sim.rest_url, read_timeout=300.0)
    yield client
    client.client.clear()


@pytest.fixture
def days(calm: RunningSimulator) -> Iterator[RESTClient]:
    client = RESTClient(api_key="k", base=calm.rest_url, read_timeout=300.0)
    yield client
    client.client.clear()


def stream(
    sim: RunningSimulator,
    market: str,
    topics: list[str],
    enough: Callable[[list[Any]], bool],
    *,
    key: str = "k",
    on_events: Callable[[list[Any], object], None] = lambda events, socket: None,
) -> list[Any]:
    """Run the official client until enough has come, and return its events."""
    events: list[Any] = []

    async def run() -> None:
        client = WebSocketClient(
            api_key=key,
            feed=sim.url.removeprefix("ws://"),
            market=market,
            secure=False,
            subscriptions=topics,
        )

        async def take(some: list[Any]) -> None:
            events.extend(some)
            on_events(events, client.websocket)
            if enough(events):
                await client.close()

        async with asyncio.timeout(300):
            await client.connect(take, **UNHURRIED)

    asyncio.run(run())
    return events


def kinds(events: list[Any]) -> set[str]:
    return {event.event_type for event in events}


def test_stocks_stream(sim: RunningSimulator) -> None:
    topics, before = ["T.AAPL", "Q.AAPL", "A.AAPL"], sim.position
    events = stream(sim, "stocks", topics, lambda e: kinds(e) == {"T", "Q", "A"})
    for event in events:
        assert event.symbol == "AAPL"
    trade = next(e for e in events if isinstance(e, EquityTrade))
    assert trade.price > 0
    assert before - LATEST < (trade.timestamp + 1) * 10**6
    assert trade.timestamp * 10**6 <= time.time_ns()
    quote = next(e for e in events if isinstance(e, EquityQuote))
    assert quote.bid_price < quote.ask_price
    bar = next(e for e in events if isinstance(e, EquityAgg))
    assert bar.end_timestamp - bar.start_timestamp == 1000
    assert bar.low <= bar.vwap <= bar.high


def test_crypto_stream(sim: RunningSimulator) -> None:
    topics = ["XT.*", "XQ.BTC-USD", "XAS.BTC-USD"]
    events = stream(sim, "crypto", topics, lambda e: kinds(e) == {"XT", "XQ", "XAS"})
    assert {type(event) for event in events} == {CryptoTrade, CryptoQuote, CurrencyAgg}
    assert {event.pair for event in events} == {"BTC-USD"}


def test_client_comes_back_after_a_drop(sim: RunningSimulator) -> None:
    sockets: list[object] = []
    before: list[int] = []

    def drop_the_first(events: list[Any], socket: object) -> None:
        if socket not in sockets:
            sockets.append(socket)
            before.append(len(events))
            if len(sockets) == 1:
                sim.drop()

    def enough(events: list[Any]) -> bool:
        return len(sockets) == 2 and len(events) > before[1] + 20

    events = stream(sim, "stocks", ["T.SPY"], enough, on_events=drop_the_first)
    assert len(events) > before[1] + 20


def test_bad_key_is_an_auth_error(sim: RunningSimulator) -> None:
    with pytest.raises(AuthError, match="authentication failed"):
        stream(sim, "stocks", ["T.SPY"], lambda e: True, key="nobody")


def test_evicted_client_is_warned(
    sim: RunningSimulator, caplog: pytest.LogCaptureFixture, poll_for: Callable[..., None]
) -> None:
    async def run() -> None:
        feed = sim.url.removeprefix("ws://")
        old, new = (
            WebSocketClient(
                api_key="k", feed=feed, market="stocks", secure=False, subscriptions=["T.SPY"],
                max_reconnects=0,
            )
            for _ in range(2)
        )  # fmt: skip
        arrived = asyncio.Event()

        async def take(some: list[Any]) -> None:
            arrived.set()

        first = asyncio.create_task(old.connect(take, **UNHURRIED))
        await asyncio.wait_for(arrived.wait(), 300)
        second = asyncio.create_task(new.connect(take, **UNHURRIED))
        with pytest.raises(Exception, match="1008"):
            await asyncio.wait_for(first, 300)
        await new.close()
        await second

    with caplog.at_level(logging.WARNING):
        asyncio.run(run())
    assert any("max_connections" in record.getMessage() for record in caplog.records)


@pytest.mark.parametrize("sort", ["asc", "desc"])
@pytest.mark.parametrize(("ticker", "unit"), [("AAPL", "minute"), ("X:BTCUSD", "second")])
def test_aggregates_by_page(
    sim: RunningSimulator, rest: RESTClient, sort: str, ticker: str, unit: str
) -> None:
    end = (sim.position // HOUR - 1) * 3_600_000
    start = end - (3_600_000 if unit == "minute" else 120_000)
    whole = rest.get_aggs(ticker, 1, unit, start, end - 1, sort=sort, limit=50_000)
    paged = list(rest.list_aggs(ticker, 1, unit, start, end - 1, sort=sort, limit=17))
    assert len(whole) > 17
    assert paged == whole


def test_deep_and_fine_past_join(days: RESTClient) -> None:
    end = int(time.time() * 1000)
    bars = list(days.list_aggs("AAPL", 1, "minute", end - 3 * 86_400_000, end))
    stamps = [bar.timestamp for bar in bars]
    assert stamps == sorted(set(stamps))
    assert len(bars) > 3 * 1440 * 0.99


def test_daily_bars_agree_with_hours(days: RESTClient) -> None:
    (day,) = days.get_aggs("AAPL", 1, "day", "2026-03-06", "2026-03-06") or [None]
    if day is None:
        pytest.skip("the clock is too far from 2026 for this day to exist")
    hours = days.get_aggs("AAPL", 1, "hour", day.timestamp, day.timestamp + 86_399_999)
    assert day.open == hours[0].open
    assert day.close == hours[-1].close
    assert day.high == max(bar.high for bar in hours)
    assert day.volume == pytest.approx(sum(bar.volume for bar in hours), rel=1e-12)


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_trades_and_quotes_by_page(sim: RunningSimulator, rest: RESTClient, order: str) -> None:
    end = (sim.position - LATEST) // 10**9 * 10**9  # nothing more comes of what is before
    span = {"timestamp_gte": end - 10 * 10**9, "timestamp_lt": end, "order": order}
    for listed in (rest.list_trades, rest.list_quotes):
        whole = list(listed("AAPL", limit=50_000, **span))
        assert list(listed("AAPL", limit=31, **span)) == whole
        assert len({row.sequence_number for row in whole}) == len(whole) > 31
    assert all(trade.price > 0 for trade in rest.list_trades("X:BTC-USD", limit=50, **span))


def test_live_trades_are_in_the_history(sim: RunningSimulator, rest: RESTClient) -> None:
    events = stream(sim, "stocks", ["T.AAPL"], lambda e: len(e) > 50)
    low = min(event.timestamp for event in events) * 10**6
    listed = rest.list_trades("AAPL", timestamp_gte=low, limit=50_000)
    history = {(t.exchange, t.id): t for t in listed}
    for event in events:
        trade = history[event.exchange, event.id]
        assert (trade.price, trade.size) == (event.price, event.size)
        assert trade.sip_timestamp // 10**6 == event.timestamp
        assert trade.sequence_number == event.sequence_number


def test_last_snapshot_status_and_reference(days: RESTClient) -> None:
    assert days.get_last_trade("AAPL").price > 0
    quote = days.get_last_quote("AAPL")
    assert quote.bid_price < quote.ask_price
    assert days.get_last_crypto_trade("BTC", "USD").price > 0
    one = days.get_snapshot_ticker("stocks", "SPY")
    assert one.day.volume > 0
    assert one.last_trade.price > 0
    assert [s.ticker for s in days.get_snapshot_all("crypto")] == ["X:BTCUSD"]
    assert days.get_market_status().market == "open"
    assert days.get_market_holidays()[0].exchange in ("NYSE", "NASDAQ")
    listed = [ticker.ticker for ticker in days.list_tickers(limit=1)]
    assert listed == ["AAPL", "SPY", "X:BTCUSD"]
    assert days.get_previous_close_agg("SPY")[0].ticker == "SPY"


def test_errors_reach_the_client(sim: RunningSimulator) -> None:
    stranger = RESTClient(api_key="nobody", base=sim.rest_url, read_timeout=300.0)
    with pytest.raises(BadResponse, match="Unknown API Key"):
        stranger.get_last_trade("AAPL")
    stranger.client.clear()


def test_client_gets_through_the_rate_limit(sim: RunningSimulator) -> None:
    busy = RESTClient(api_key="busy", base=sim.rest_url, retries=6, read_timeout=300.0)
    for _ in range(3):
        assert busy.get_last_trade("AAPL").price > 0
    busy.client.clear()
