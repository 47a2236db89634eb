"""History, then live: one series of the provider's bars and ours, as if built of all trades."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from workbench.analytics import ema, rsi, sma
from workbench.bars.batchbars import time_bars
from workbench.feeds import connect
from workbench.flow.feed import Feed
from workbench.records import Rows
from workbench.sim.run import RunningSimulator, start_simulator
from workbench.timeframes import timeframe

Poll = Callable[..., None]
SAID = ("time", "open", "high", "low", "close", "count")


def closed(feed: Feed, name: str, tf: str) -> Rows:
    return feed._call(lambda: feed._core.bars(name, timeframe(tf), False))


def batch(simulator: RunningSimulator, name: str, bars: Rows, tf: str) -> Rows:
    """Return the same intervals, built of all the simulator's trades."""
    start = int(bars["time"][0])
    end = int(bars["time"][-1]) + timeframe(tf).ns
    trades = simulator.trades(name, start, end)
    return time_bars(trades[(trades["time"] >= start) & (trades["time"] < end)], tf)


def requests(feed: Feed) -> int:
    made = feed._core.past._warming.made()
    assert made is not None
    return made[0].rest.requests


@pytest.mark.parametrize("tf", ["5s", "1m", "5m"])
def test_history_and_live_bars_are_those_of_all_trades(tf: str, poll_for: Poll) -> None:
    indicators = (ema(20), sma(10), rsi(14))
    with (
        start_simulator(port=0, symbols=("BTC-USD",), rate=3.0, late=0.0) as simulator,
        connect("sim", simulator=simulator) as feed,
    ):
        feed.subscribe("BTC-USD", [tf, "5s"], channels=["trade"])
        window = feed.watch("BTC-USD", tf, indicators)
        feed.wait("BTC-USD", timeout=20, whole=True)
        joined = feed.history("BTC-USD", tf, bars=300).result(30)
        assert joined.why == ""
        assert joined.provider >= 100
        assert joined.provider + joined.own >= 300
        quick = feed.watch("BTC-USD", "5s")
        first = quick.last_time
        poll_for(lambda: quick.last_time > first, 20)
        bars = window.closed()
        told = batch(simulator, "BTC-USD", bars, tf)
        assert len(bars) == len(told) >= 300
        for name in SAID:
            assert bars[name].tolist() == told[name].tolist(), name
        # Its JSON tells volume as a decimal number: the last bit may differ.
        np.testing.assert_allclose(bars["volume"], told["volume"], rtol=1e-14)
        if tf == "5s":
            assert bars["origin"][0] == 1
            assert bars["origin"][-1] == 0
        values = np.hstack([one.start("BTC-USD").add(told) for one in indicators])
        np.testing.assert_array_equal(window.values(), values)
