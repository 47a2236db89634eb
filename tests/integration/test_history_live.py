"""History, then live: one series of the provider's bars and ours, as if built of all trades."""

from __future__ import annotations

import math
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
Eventually = Callable[[Callable[[], None]], None]
SAID = ("time", "open", "high", "low", "close", "count")
#: Seconds after which a machine does not merely stand still.
PATIENCE = 600.0


def closed(feed: Feed, name: str, tf: str) -> Rows:
    rows: Rows = feed._call(lambda: feed._core.bars(name, timeframe(tf), False))
    return rows


def batch(simulator: RunningSimulator, name: str, bars: Rows, tf: str) -> Rows:
    """Return the same intervals, built of all the simulator's trades."""
    start = int(bars["time"][0])
    end = int(bars["time"][-1]) + timeframe(tf).ns
    trades = simulator.trades(name, start, end)
    return time_bars(trades[(trades["time"] >= start) & (trades["time"] < end)], tf)


# Of short bars a slow run makes many itself before history is asked for.
@pytest.mark.parametrize(("tf", "wanted"), [("5s", 600), ("1m", 300), ("5m", 300)])
def test_history_and_live_bars_are_those_of_all_trades(
    tf: str, wanted: int, poll_for: Poll, eventually: Eventually
) -> None:
    indicators = (ema(20), sma(10), rsi(14))
    with (
        start_simulator(port=0, symbols=("BTC-USD",), rate=3.0, late=0.0) as simulator,
        connect("sim", simulator=simulator) as feed,
    ):
        feed.subscribe("BTC-USD", [tf, "5s"], channels=["trade"], timeout=PATIENCE)
        window = feed.watch("BTC-USD", tf, indicators)
        feed.wait("BTC-USD", timeout=PATIENCE, whole=True)
        joined = feed.history("BTC-USD", tf, bars=wanted).result(PATIENCE)
        assert joined.why == ""
        assert joined.provider >= 100
        assert joined.provider + joined.own >= wanted
        quick = feed.watch("BTC-USD", "5s")
        first = quick.last_time
        poll_for(lambda: quick.last_time > first, PATIENCE)

        def same() -> None:
            bars, shown = feed._call(lambda: (window.closed(), window.values()))
            told = batch(simulator, "BTC-USD", bars, tf)
            assert len(bars) == len(told) >= wanted
            for name in SAID:
                assert bars[name].tolist() == told[name].tolist(), name
            # Its JSON tells volume as a decimal number: the last bit may differ.
            np.testing.assert_allclose(bars["volume"], told["volume"], rtol=1e-14)
            if tf == "5s":
                assert bars["origin"][0] == 1
                assert bars["origin"][-1] == 0
            values = np.hstack([one.start("BTC-USD").add(told) for one in indicators])
            np.testing.assert_array_equal(shown, values)

        eventually(same)


class Slowing(SystemClock):
    """A clock that goes slower and slower and never comes to the end of a bar.

    It begins 10 s after a quarter of an hour, and so many seconds later it would stand.
    """

    def __init__(self, seconds: float) -> None:
        now = super().now()
        self._start = now - now % (900 * 10**9) + 10 * 10**9
        self._seconds = seconds
        self._begun = super().monotonic()

    def now(self) -> int:
        passed = super().monotonic() - self._begun
        return self._start + round(self._seconds * 1e9 * -math.expm1(-passed / self._seconds))


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
        # One that waits for long is not asked again, which would count as another request.
        rest = Rest(simulator.rest_url, key="simulator", limit=counter, timeouts=(PATIENCE,) * 2)
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
    clock = Slowing(280.0)
    with start_simulator(port=0, symbols=("BTC-USD",), late=0.0, clock=clock) as simulator:
        with counted(simulator, tmp_path, counter := Counter(), clock) as feed:
            feed.subscribe("BTC-USD", ["5m"], channels=["trade"], timeout=PATIENCE)
            feed.wait("BTC-USD", timeout=PATIENCE)
            first = feed.history("BTC-USD", "5m", bars=200).result(PATIENCE)
            assert (first.provider, first.why) == (200, "")
            assert counter.count == 1
            bars = closed(feed, "BTC-USD", "5m")
            at = feed.coverage.table().query("kind == 'bar'")
            assert set(at["state"]) == {"backfilled"}
        with counted(simulator, tmp_path, counter := Counter(), clock) as feed:
            feed.subscribe("BTC-USD", ["5m"], channels=["trade"], timeout=PATIENCE)
            again = closed(feed, "BTC-USD", "5m")
            assert again["close"].tolist() == bars["close"].tolist(), "there before anything came"
            second = feed.history("BTC-USD", "5m", bars=200).result(PATIENCE)
            assert (second.fetched, second.why) == (0, "")
            assert counter.count == 0


def test_where_requests_are_few_one_serves_every_timeframe_and_the_warmups(tmp_path: Path) -> None:
    tfs, counter, clock = ["1m", "5m", "15m"], Counter(per_minute=5), Slowing(45.0)
    with (
        start_simulator(port=0, symbols=("BTC-USD",), late=0.0, clock=clock) as simulator,
        counted(simulator, tmp_path, counter, clock) as feed,
    ):
        feed.subscribe("BTC-USD", tfs, channels=["trade"], timeout=PATIENCE)
        joined = [feed.history("BTC-USD", tf, bars=150).result(PATIENCE) for tf in tfs]
        assert [one.why for one in joined] == ["", "", ""]
        assert all(one.provider + one.own >= 150 for one in joined)
        warmups = feed.warmups
        assert warmups is not None
        results = warmups.fetch("BTC-USD").result(PATIENCE)
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
            feed.warmups.fetch(symbol).result(PATIENCE)

        def progress() -> list[int]:
            told = [event for event in list(came) if isinstance(event, HistoricalFetchProgress)]
            return [one.completed for one in told if one.symbol == "ETH-USD"]

        poll_for(lambda: len(progress()) >= 12, PATIENCE)
        assert progress() == [*range(12)]
        told = [event.kind for event in feed.events(1000)]  # before it comes on the stream
        assert told.count("historical_fetch_progress") == 2
        assert set(told) > {"ema_data_ready", "structure_data_ready", "trend_data_ready"}
        assert "zone_data_ready" in told


def test_every_series_that_is_watched_gets_history_if_so_wanted(eventually: Eventually) -> None:
    with (
        start_simulator(port=0, symbols=("BTC-USD",), late=0.0) as simulator,
        connect("sim", simulator=simulator, history=120) as feed,
    ):
        feed.subscribe("BTC-USD", ["1m"], channels=["trade"], timeout=PATIENCE)
        window = feed.watch("BTC-USD", "1m", [ema(20)])

        def joined() -> None:
            bars, shown = feed._call(lambda: (window.closed(), window.values()))
            assert len(bars) >= 120
            assert np.isfinite(shown[19:]).all()
            assert (np.diff(bars["time"]) == 60 * 10**9).all()
            assert feed.bars("BTC-USD", "1m", forming=False)["complete"].iloc[:100].all()

        eventually(joined)
        with pytest.raises(ValueError, match="bars is 1 to 50,000"):
            feed.history("BTC-USD", "1m", bars=0)


def test_a_refusal_is_told_and_live_bars_go_on(poll_for: Poll) -> None:
    with (
        start_simulator(port=0, symbols=("BTC-USD",), late=0.0) as simulator,
        connect("sim", simulator=simulator, fill_gaps=False) as feed,
    ):
        simulator.faults.on("rest-error", status=403, path="aggs")
        feed.subscribe("BTC-USD", ["5s"], channels=["trade"], timeout=PATIENCE)
        joined = feed.history("BTC-USD", "5s", bars=100).result(PATIENCE)
        assert joined.why
        assert joined.provider == 0
        poll_for(lambda: len(closed(feed, "BTC-USD", "5s")) > 0, PATIENCE)
        assert "history" in {event.kind for event in feed.events(1000)}
