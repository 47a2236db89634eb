"""The monitor without a browser: choices, refusals, what is shown of prices and state."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from workbench.clock import ManualClock
from workbench.errors import FeedClosedError, UnknownSymbolError
from workbench.flow.window import Window
from workbench.plots.badges import status_badge
from workbench.plots.looks import look
from workbench.plots.monitor import Monitor, _read_prices
from workbench.timeframes import timeframe


@dataclass
class Event:
    time: int
    kind: str
    text: str


class Market:
    """A feed with prices and no bars."""

    def __init__(self) -> None:
        self.health = SimpleNamespace(state="connected", delay=0.02)
        self.last = {"BTC-USD": 64000.5, "TINY-USD": 0.0001234, "NEW-USD": np.nan}
        self.windows: list[Window] = []
        self.asked = 0
        self.closed = False

    def symbols(self) -> tuple[str, ...]:
        return tuple(self.last)

    def watch(self, symbol: str, frame: Any, indicators: Sequence[Any] = ()) -> Window:
        if symbol == "GONE-USD":
            raise UnknownSymbolError("there is no GONE-USD", symbol=symbol)
        outputs = [key for one in indicators for key in one.keys]
        self.windows.append(Window(symbol, timeframe(frame), 100, outputs))
        return self.windows[-1]

    def unwatch(self, window: Window) -> None:
        self.windows.remove(window)

    def prices(self) -> pd.DataFrame:
        self.asked += 1
        if self.closed:
            raise FeedClosedError("the feed is closed")
        price = pd.Series(self.last)
        return pd.DataFrame({"price": price, "change": price * 0.01, "change_percent": 1.0})

    def events(self, n: int = 50) -> list[Event]:
        return [Event(1_700_000_000_000_000_000, "error", "<img src=x onerror=alert(1)>")]


@pytest.fixture
def market() -> Market:
    return Market()


def test_it_begins_with_the_first_symbol(market: Market) -> None:
    page = Monitor(market)
    assert (page.symbol, page.timeframe, page.dark) == ("BTC-USD", "1m", True)
    assert page.top.overlays[:4] == ["EMA 20", "EMA 50", "SMA 50", "VWAP"]
    assert {"RSI 14", "BOLLINGER 20 2", "MACD 12 26 9"} <= set(page.top.overlays)
    assert [one.label for one in page.chart.overlays] == ["EMA 20", "VWAP"]
    assert page.log.entries == [[1.7e12, "error", "<img src=x onerror=alert(1)>"]]


def test_the_page_can_be_made_and_closed(market: Market) -> None:
    page = Monitor(market)
    template = page.page()
    assert template.title == "Workbench"
    assert len(market.windows) == 1
    page.close()
    assert market.windows == []


def test_choices_in_head_and_list_reach_the_chart(market: Market) -> None:
    page = Monitor(market)
    page.watchlist.symbol = "TINY-USD"
    assert (page.chart.symbol, page.top.symbol) == ("TINY-USD", "TINY-USD")
    page.top.timeframe = "5s"
    assert page.chart.timeframe == "5s"
    page.top.chosen = ["RSI 14"]
    assert [one.label for one in page.chart.overlays] == ["RSI 14"]
    page.top.dark = False
    assert page.chart.dark is False
    page.top.symbol = "eth-usd"
    assert (page.symbol, page.top.symbol, page.watchlist.symbol) == ("ETH-USD",) * 3


@pytest.mark.parametrize("typed", ["<b>x", "GONE-USD", ""])
def test_a_refused_symbol_is_told_and_taken_back(market: Market, typed: str) -> None:
    page = Monitor(market)
    page.page()
    page.top.symbol = typed
    assert page.top.error
    assert (page.symbol, page.chart.symbol, page.top.symbol) == ("BTC-USD",) * 3
    page.top.symbol = "TINY-USD"
    assert page.top.error == ""
    page.close()


def test_prices_are_shown_with_their_decimals(market: Market) -> None:
    page = Monitor(market)
    asyncio.run(page.refresh())
    assert page.watchlist.rows == [
        ["BTC-USD", 64000.5, 1.0, 2],
        ["TINY-USD", 0.0001234, 1.0, 7],
        ["NEW-USD", None, 1.0, 2],
    ]
    assert page.top.quote["price"] == 64000.5
    page.watchlist.symbol = "TINY-USD"
    assert page.top.quote["decimals"] == 7


def test_decimals_never_become_fewer(market: Market) -> None:
    page = Monitor(market)
    market.last["TINY-USD"] = 0.00012
    page._show_prices(market.prices())
    before = page.watchlist.rows[1][3]
    market.last["TINY-USD"] = 0.0001234
    page._show_prices(market.prices())
    market.last["TINY-USD"] = 0.00012
    page._show_prices(market.prices())
    assert (before, page.watchlist.rows[1][3]) == (6, 7)


def test_pages_share_their_looks_at_prices(market: Market) -> None:
    pages = [Monitor(market, clock=ManualClock()) for _ in range(5)]

    async def all_refresh() -> None:
        for page in pages:
            await page.refresh()

    asyncio.run(all_refresh())
    assert market.asked == 2  # once when the first page was made, once for all


def test_a_closed_feed_is_shown_and_disturbs_nothing(market: Market) -> None:
    page = Monitor(market)
    market.closed = True
    market.health.state = "closed"
    asyncio.run(page.refresh())
    assert page.top.status["level"] == "bad"


def test_looks_do_not_keep_a_feed_alive() -> None:
    market = Market()
    look(market, _read_prices)
    gone = weakref.ref(market)
    del market
    gc.collect()
    assert gone() is None


@pytest.mark.parametrize(
    ("state", "delay", "level", "text"),
    [
        ("connected", None, "good", "Live"),
        ("connected", -0.001, "good", "Live 0 ms"),
        ("connected", 0.42, "good", "Live 420 ms"),
        ("connected", 3.21, "warn", "Delayed 3.2 s"),
        ("stale", 0.01, "warn", "No data"),
        ("failed", None, "bad", "Failed"),
        ("unheard of", None, "warn", "unheard of"),
    ],
)
def test_the_badge_tells_the_state(state: str, delay: float | None, level: str, text: str) -> None:
    status = status_badge(state, delay)
    assert (status["level"], status["text"]) == (level, text)
