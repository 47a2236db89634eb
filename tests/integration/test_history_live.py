"""History, then live: one series of the provider's bars and ours, as if built of all trades."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from workbench.analytics import ema, rsi, sma
from workbench.bars.batchbars import time_bars
from workbench.clock import SystemClock
from workbench.config import settings
from workbench.feeds import connect
from workbench.flow.feed import Feed
from workbench.history.archive import Archive
from workbench.history.warmevents import HistoricalFetchProgress
from workbench.net.rest import Rest
from workbench.records import Rows
from workbench.sim.run import RunningSimulator, start_simulator
from workbench.sources.massive import MassiveSource
from workbench.sources.massive_rest import MassiveRest
from workbench.store.store import open_store
from workbench.symbols import SymbolTable
from workbench.timeframes import timeframe

Poll = Callable[..., None]
SAID = ("time", "open", "high", "low", "close", "count")


def closed(feed: Feed, name: str, tf: str) -> Rows:
    rows: Rows = feed._call(lambda: feed._core.bars(name, timeframe(tf), False))
    return rows


def batch(simulator: RunningSimulator, name: str, bars: Rows, tf: str) -> Rows:
    """Return the same intervals, built of all the simulator's trades."""
    start = int(bars["time"][0])
    end = int(bars["time"][-1]) + timeframe(tf).ns
    trades = simulator.trades(name, start, end)
    return time_bars(trades[(trades["time"] >= start) & (trades["time"] < end)], tf)


@pytest.mark.parametrize("tf", ["5s", "1m", "5m"])
def test_history_and_live_bars_are_those_of_all_trades(tf: str, poll_for: Poll) -> None:
    indicators = (ema(20), sma(10), rsi(14))
    with (
        start_simulator(port=0, symbols=("BTC-USD",), rate=3.0, late=0.0) as simulator,
        connect("sim", simulator=simulator) as feed,
    ):
        feed.subscribe("BTC-USD", [tf, "5s"], channels=["trade"])
        window = feed.watch("BTC-USD", tf, indicators)
        feed.wait("BTC-USD", timeout=120, whole=True)
        joined = feed.history("BTC-USD", tf, bars=300).result(120)
        assert joined.why == ""
        assert joined.provider >= 100
        assert joined.provider + joined.own >= 300
        quick = feed.watch("BTC-USD", "5s")
        first = quick.last_time
        poll_for(lambda: quick.last_time > first)
        bars, shown = feed._call(lambda: (window.closed(), window.values()))
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
        np.testing.assert_array_equal(shown, values)


class Shifted(SystemClock):
    """The machine's clock, moved so that no minute and no longer bar ends while a test runs."""

    def __init__(self) -> None:
        now = super().now()
        self._shift = now % (900 * 10**9) - 10 * 10**9

    def now(self) -> int:
        return super().now() - self._shift


class Counter:
    """A limit that only counts."""

    def __init__(self, per_minute: int = 0) -> None:
        self.per_minute = per_minute
        self.count = 0

    def taken(self) -> int:
        self.count += 1
        return self.count

    def done(self, number: int) -> None:
        pass


def counted(
    simulator: RunningSimulator, folder: Path, counter: Counter, clock: SystemClock
) -> Feed:
    """Return a feed with a store, whose requests for its past are counted."""
    config = settings(overlap_seconds=0.0, fill_gaps=False)

    def make_archive(table: SymbolTable) -> Archive:
        rest = Rest(simulator.rest_url, key="simulator", limit=counter)
        return Archive("sim", rest, MassiveRest(table), limit=counter, clock=clock)

    def make_source(market: str, table: SymbolTable) -> MassiveSource:
        return MassiveSource(market, base=simulator.url, key="simulator", table=table, name="sim")

    store = open_store(folder / "market.db")
    return Feed(
        make_source,
        config=config,
        store=store,
        clock=clock,
        make_archive=make_archive,
        on_close=store.close,
    )


def test_a_new_process_begins_with_what_is_stored_and_asks_for_nothing_twice(
    tmp_path: Path,
) -> None:
    clock = Shifted()
    with start_simulator(port=0, symbols=("BTC-USD",), late=0.0, clock=clock) as simulator:
        with counted(simulator, tmp_path, counter := Counter(), clock) as feed:
            feed.subscribe("BTC-USD", ["5m"], channels=["trade"])
            feed.wait("BTC-USD", timeout=120)
            first = feed.history("BTC-USD", "5m", bars=200).result(120)
            assert (first.provider, first.why) == (200, "")
            assert counter.count == 1
            bars = closed(feed, "BTC-USD", "5m")
            at = feed.coverage.table().query("kind == 'bar'")
            assert set(at["state"]) == {"backfilled"}
        with counted(simulator, tmp_path, counter := Counter(), clock) as feed:
            feed.subscribe("BTC-USD", ["5m"], channels=["trade"])
            again = closed(feed, "BTC-USD", "5m")
            assert again["close"].tolist() == bars["close"].tolist(), "there before anything came"
            second = feed.history("BTC-USD", "5m", bars=200).result(120)
            assert (second.fetched, second.why) == (0, "")
            assert counter.count == 0


def test_where_requests_are_few_one_serves_every_timeframe_and_the_warmups(tmp_path: Path) -> None:
    tfs, counter, clock = ["1m", "5m", "15m"], Counter(per_minute=5), Shifted()
    with (
        start_simulator(port=0, symbols=("BTC-USD",), late=0.0, clock=clock) as simulator,
        counted(simulator, tmp_path, counter, clock) as feed,
    ):
        feed.subscribe("BTC-USD", tfs, channels=["trade"])
        joined = [feed.history("BTC-USD", tf, bars=150).result(120) for tf in tfs]
        assert [one.why for one in joined] == ["", "", ""]
        assert all(one.provider + one.own >= 150 for one in joined)
        warmups = feed.warmups
        assert warmups is not None
        results = warmups.fetch("BTC-USD").result(120)
        assert all(one.state == "cached" for one in results.values())
        assert counter.count == 1


def test_a_switch_of_symbol_starts_warmups_that_are_told_of(poll_for: Poll) -> None:
    symbols = ("BTC-USD", "ETH-USD")
    came: list[object] = []
    with (
        start_simulator(port=0, symbols=symbols, late=0.0) as simulator,
        connect("sim", simulator=simulator) as feed,
    ):
        feed.stream("warmup").sink(came.append)
        assert feed.warmups is feed.warmups
        assert feed.warmups is not None
        for symbol in symbols:
            feed.warmups.fetch(symbol).result(120)
        poll_for(lambda: sum(e.kind == "historical_fetch_progress" for e in feed.events(99)) == 2)
        kinds = {event.kind for event in feed.events(99)}
        assert kinds > {"ema_data_ready", "structure_data_ready", "trend_data_ready"}
        assert "zone_data_ready" in kinds
        progress = [event for event in came if isinstance(event, HistoricalFetchProgress)]
        assert [one.completed for one in progress if one.symbol == "ETH-USD"] == [*range(12)]


def test_every_series_that_is_watched_gets_history_if_so_wanted(poll_for: Poll) -> None:
    with (
        start_simulator(port=0, symbols=("BTC-USD",), late=0.0) as simulator,
        connect("sim", simulator=simulator, history=120) as feed,
    ):
        feed.subscribe("BTC-USD", ["1m"], channels=["trade"])
        window = feed.watch("BTC-USD", "1m", [ema(20)])
        poll_for(lambda: len(window) >= 120)
        bars, shown = feed._call(lambda: (window.closed(), window.values()))
        assert np.isfinite(shown[19:]).all()
        assert (np.diff(bars["time"]) == 60 * 10**9).all()
        assert feed.bars("BTC-USD", "1m", forming=False)["complete"].iloc[:100].all()
        with pytest.raises(ValueError, match="bars is 1 to 50,000"):
            feed.history("BTC-USD", "1m", bars=0)


def test_a_refusal_is_told_and_live_bars_go_on(poll_for: Poll) -> None:
    with (
        start_simulator(port=0, symbols=("BTC-USD",), late=0.0) as simulator,
        connect("sim", simulator=simulator, fill_gaps=False) as feed,
    ):
        simulator.faults.on("rest-error", status=403, path="aggs")
        feed.subscribe("BTC-USD", ["5s"], channels=["trade"])
        joined = feed.history("BTC-USD", "5s", bars=100).result(120)
        assert joined.why
        assert joined.provider == 0
        poll_for(lambda: len(closed(feed, "BTC-USD", "5s")) > 0)
        assert "history" in {event.kind for event in feed.events(20)}
