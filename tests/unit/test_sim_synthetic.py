"""The invented market: determinism, seams, and what its trades look like."""

from __future__ import annotations

import asyncio
from datetime import date
from itertools import pairwise

import numpy as np
import pytest

from workbench.clock import ManualClock
from workbench.errors import ConfigError
from workbench.records import Rows
from workbench.sim.aggregates import MINUTE, bars
from workbench.sim.block import BLOCK, arrivals
from workbench.sim.hours import DAY, SECOND, Hours, day_bounds
from workbench.sim.server import Simulator
from workbench.sim.synthetic import SyntheticMarket

NOW = 1_760_000_123 * SECOND
HOUR = 60 * MINUTE


@pytest.fixture(scope="module")
def market() -> SyntheticMarket:
    return SyntheticMarket(["BTC-USD", "AAPL", "MATIC-USD"], now=NOW, seed=3, late=0.01)


def hour(market: SyntheticMarket, symbol: str) -> tuple[Rows, Rows]:
    span = (NOW - HOUR, NOW)
    return market.trades(symbol, *span, NOW + HOUR), market.quotes(symbol, *span, NOW)


def test_seed_decides_and_start_does_not() -> None:
    span = (NOW - MINUTE, NOW)
    one = SyntheticMarket(["SPY"], now=NOW, seed=1).trades("SPY", *span, NOW)
    same = SyntheticMarket(["QQQ", "SPY"], now=NOW + DAY, seed=1).trades("SPY", *span, NOW)
    other = SyntheticMarket(["SPY"], now=NOW, seed=2).trades("SPY", *span, NOW)
    assert np.array_equal(one, same)
    assert not np.array_equal(one["price"], other["price"])


@pytest.mark.parametrize("symbol", ["BTC-USD", "AAPL", "MATIC-USD"])
def test_quotes_bracket_trades_on_the_price_grid(market: SyntheticMarket, symbol: str) -> None:
    trades, quotes = hour(market, symbol)
    at = np.searchsorted(quotes["time"], trades["time"], "right") - 1
    inside = at >= 0
    quote = quotes[at[inside]]
    assert (quote["bid"] <= trades["price"][inside]).all()
    assert (trades["price"][inside] <= quote["ask"]).all()
    assert (quotes["bid"] < quotes["ask"]).all()
    assert len(np.unique(quotes["ask"] - quotes["bid"])) > 3
    decimals = {"BTC-USD": 2, "AAPL": 2, "MATIC-USD": 5}[symbol]
    assert np.array_equal(np.round(trades["price"], decimals), trades["price"])


@pytest.mark.parametrize("symbol", ["BTC-USD", "AAPL"])
def test_numbers_rise_with_holes_and_ids_are_unique(market: SyntheticMarket, symbol: str) -> None:
    trades, quotes = hour(market, symbol)
    for rows in (trades, quotes):
        steps = np.diff(rows["sequence"].astype(np.int64))
        assert (steps >= 1).all()
        assert (steps > 1).any()
    assert len(np.unique(trades["id"])) == len(trades)
    assert (np.diff(trades["time"]) >= 0).all()


def test_stock_trades_look_like_a_tape(market: SyntheticMarket) -> None:
    trades, _ = hour(market, "AAPL")
    sizes = trades["size"]
    assert np.array_equal(sizes, np.floor(sizes))
    odd = sizes < 100
    assert 0.2 < odd.mean() < 0.6
    packed = trades["conditions"].astype(np.int64)
    codes = np.stack([packed >> shift & 255 for shift in (0, 8, 16)])
    assert np.array_equal((codes == 37).any(axis=0), odd)
    assert len(np.unique(trades["exchange"])) >= 6
    assert sizes.max() > 20 * np.median(sizes)


def test_crypto_trades_have_sides(market: SyntheticMarket) -> None:
    trades, _ = hour(market, "BTC-USD")
    assert set(np.unique(trades["conditions"])) == {1, 2}
    assert np.array_equal(trades["conditions"] == 2, trades["side"] == 1)
    assert (trades["size"] > 0).all()


def test_arrivals_cluster_at_the_asked_rate() -> None:
    rng = np.random.default_rng(5)
    counts, gaps = [], []
    for _ in range(40):
        times = arrivals(rng, 5.0, BLOCK)
        assert times[0] >= 0
        assert times[-1] < BLOCK
        counts.append(len(times))
        gaps.append(np.diff(times))
    assert np.mean(counts) == pytest.approx(1500, rel=0.06)
    flat = np.concatenate(gaps) / SECOND
    assert flat.std() / flat.mean() > 1.2  # 1 would be without clusters


def test_what_is_sent_is_what_happened(market: SyntheticMarket) -> None:
    start, end = NOW - 10 * MINUTE, NOW
    cuts = np.linspace(start, end, 173).astype(int).tolist()
    parts = [market.sent("AAPL", a, b) for a, b in pairwise(cuts)]
    sent = np.concatenate(parts)
    assert (np.diff(sent["received"]) >= 0).all()
    every = market.trades("AAPL", start - 5 * MINUTE, end, end)
    expected = every[(every["received"] >= start) & (every["received"] < end)]
    assert set(sent["id"].tolist()) == set(expected["id"].tolist())
    late = sent["received"] > sent["time"]
    assert late.any()
    assert set(sent["exchange"][late].tolist()) == {4}


def test_late_trade_is_unknown_until_sent(market: SyntheticMarket) -> None:
    rows = market.trades("AAPL", NOW - HOUR, NOW, NOW + HOUR)
    late = rows[rows["received"] > rows["time"] + SECOND][0]
    at, told = int(late["time"]), int(late["received"])
    before = market.trades("AAPL", at, at + 1, told)
    after = market.trades("AAPL", at, at + 1, told + 1)
    assert late["id"] not in before["id"]
    assert late["id"] in after["id"]
    start = at // MINUTE * MINUTE
    counts = [market.minutes("AAPL", start, start + 1, k)["count"] for k in (told, told + 1)]
    assert counts[1].sum() == counts[0].sum() + 1


@pytest.mark.parametrize("known", [NOW, NOW - 17 * SECOND, NOW // BLOCK * BLOCK])
def test_minutes_are_made_of_trades(market: SyntheticMarket, known: int) -> None:
    start = NOW // HOUR * HOUR - HOUR
    made = market.minutes("BTC-USD", start, known, known)
    expected = bars(market.trades("BTC-USD", start, known, known), MINUTE)
    assert np.array_equal(made, expected)


def test_busy_market_is_made_in_short_parts() -> None:
    market = SyntheticMarket(["SPY"], now=NOW, rate=100.0)
    start = NOW // HOUR * HOUR
    made = market.minutes("SPY", start, NOW, NOW)
    assert np.array_equal(made, bars(market.trades("SPY", start, NOW, NOW), MINUTE))
    assert made["count"][:-1].mean() == pytest.approx(6000, rel=0.1)
    rows = market.trades("SPY", NOW - 5 * MINUTE, NOW, NOW)
    assert np.abs(np.diff(np.log(rows["price"]))).max() < 0.01
    assert len(np.unique(rows["id"])) == len(rows)
    deep = market.minutes("SPY", NOW - 4 * DAY, NOW - 3 * DAY, NOW)
    assert deep["count"].mean() == pytest.approx(6000, rel=0.1)


def test_deep_past_joins_the_fine_one(market: SyntheticMarket) -> None:
    rows = market.minutes("BTC-USD", NOW - 4 * DAY, NOW, NOW)
    jumps = np.abs(np.diff(np.log(rows["close"])))
    assert jumps.max() < 0.02
    assert np.array_equal(np.unique(rows["time"]), rows["time"])
    for low, high in (("low", "open"), ("low", "close"), ("open", "high"), ("close", "high")):
        assert (rows[low] <= rows[high]).all()
    old = rows[rows["time"] < NOW - 3 * DAY]
    new = rows[rows["time"] > NOW - DAY]
    assert old["count"].mean() == pytest.approx(new["count"].mean(), rel=0.2)
    assert old["volume"].mean() == pytest.approx(new["volume"].mean(), rel=0.5)


def test_calendar_stocks_rest_at_night_and_start_briskly() -> None:
    hours = Hours("calendar")
    market = SyntheticMarket(["SPY"], now=NOW, hours=hours, rate=5.0, late=0.0)
    monday = day_bounds(date(2025, 10, 6))[0]
    counts = [
        len(market.trades("SPY", monday + int(h * HOUR), monday + int((h + 0.5) * HOUR), NOW))
        for h in (2, 5, 9.5, 12.5, 15.5, 17, 21)
    ]
    night, pre, opening, noon, closing, after, evening = counts
    assert night == evening == 0
    assert 0 < pre < noon / 4
    assert 0 < after < noon / 4
    assert opening > 1.5 * noon
    assert closing > 1.5 * noon
    sunday = market.trades("SPY", monday - DAY, monday, NOW)
    assert len(sunday) == 0
    rows = market.trades("SPY", monday + 5 * HOUR, monday + 6 * HOUR, NOW)
    assert (rows["conditions"] & 255 == 12).all()


def test_history_ends_somewhere() -> None:
    market = SyntheticMarket(["SPY"], now=NOW, history_days=3.0)
    assert len(market.minutes("SPY", 0, market.first, NOW)) == 0
    assert market.minutes("SPY", 0, NOW, NOW)["time"][0] == market.first


@pytest.mark.parametrize("bad", [{"rate": 0.0}, {"rate": 1e9}, {"late": 1.5}])
def test_numbers_out_of_range_are_told(bad: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        SyntheticMarket(["SPY"], now=NOW, **bad)  # type: ignore[arg-type]


def test_a_server_that_has_started_knows_the_past(market: SyntheticMarket) -> None:
    async def known() -> tuple[int, int]:
        server = Simulator(market, port=0, clock=ManualClock(NOW))
        await server.start()
        try:
            return server.position, len(server.trades("BTC-USD", NOW - MINUTE, NOW))
        finally:
            await server.close()

    position, trades = asyncio.run(known())
    assert position >= NOW
    assert trades > 0
