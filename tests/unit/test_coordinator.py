"""Warm-ups of the symbol that is looked at, against a simulator on loopback."""

from __future__ import annotations

import asyncio
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from workbench.clock import Clock, ManualClock, SystemClock
from workbench.config import settings
from workbench.errors import AuthError, ProviderError, UnknownSymbolError
from workbench.history.archive import Archive, open_archive
from workbench.history.coordinator import Coordinator
from workbench.history.fetch import fetch_bars
from workbench.history.warmevents import FetchError, HistoricalFetchProgress, WarmupEvent
from workbench.history.warmresults import Result, Status, summary
from workbench.history.warmuprun import WarmupRun
from workbench.history.warmups import PRIORITIES, WARMUPS, Warmup, warmup
from workbench.net.limits import NoLimit
from workbench.net.rest import Rest
from workbench.sim.faults import NoFaults
from workbench.sim.protocol import Entitlement
from workbench.sim.rest import Answer
from workbench.sim.run import RunningSimulator, start_simulator
from workbench.sources.massive_rest import MassiveRest
from workbench.store.store import open_store

KEY = "good-key"
SYMBOLS = ("BTC-USD", "ETH-USD", "SOL-USD", "AAPL", "SPY")
NAMES = [one.name for one in WARMUPS]
PATIENCE = 500.0
_ASKED = re.compile(r"/ticker/([^/]+)/range/(\d+)/")
#: Noon in New York on Monday 2025-11-03, and the Saturday after.
NOON = 1_762_189_200 * 10**9
SATURDAY = NOON + 5 * 86_400 * 10**9


@dataclass
class Watched(NoFaults):
    """Refuses some timeframes, holds answers back, and keeps what was asked for."""

    asked: list[tuple[str, str]] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    refused: frozenset[str] = frozenset()
    fails: int = 0
    held: threading.Event | None = None
    arrived: threading.Event = field(default_factory=threading.Event)

    def let_go(self) -> None:
        if self.held is not None:
            self.held.set()

    async def on_request(self, target: str, answer: Answer) -> Answer:
        found = _ASKED.search(target)
        assert found is not None
        self.asked.append((found[1], found[2]))
        self.statuses[answer.status] += 1
        self.arrived.set()
        while self.held is not None and not self.held.is_set():
            await asyncio.sleep(0.005)
        if found[2] in self.refused or self.fails > 0:
            self.fails -= 1
            body = b'{"status":"ERROR","error":"not today"}'
            return Answer(200, body, {"Content-Type": "application/json"})
        return answer


@pytest.fixture(scope="module")
def watched() -> Watched:
    return Watched()


@pytest.fixture(scope="module")
def running(watched: Watched) -> Iterator[RunningSimulator]:
    keys = {
        KEY: Entitlement(),
        "five": Entitlement(per_minute=5),
        "stocks": Entitlement(clusters=frozenset({"stocks"})),
    }
    with start_simulator(port=0, symbols=SYMBOLS, keys=keys, faults=watched, late=0.0) as simulator:
        yield simulator


@pytest.fixture(autouse=True)
def _untouched(watched: Watched) -> Iterator[None]:
    watched.asked.clear()
    watched.statuses.clear()
    watched.arrived.clear()
    watched.refused, watched.fails, watched.held = frozenset(), 0, None
    yield
    watched.let_go()


class Few(NoLimit):
    """Lets all pass, but says that there are few."""

    per_minute = 5


def ago() -> ManualClock:
    """Return a clock that stands still some minutes ago.

    What was then is the same whenever it is asked for. Of a minute that has just ended, a provider
    that stood still for a moment does not know all yet.
    """
    return ManualClock(SystemClock().now() - 600 * 10**9)


def opened(
    running: RunningSimulator,
    key: str = KEY,
    *,
    few: bool = False,
    clock: Clock | None = None,
) -> Archive:
    limit = Few() if few else None
    # Requests are counted, and a machine may stand still for a while.
    rest = Rest(running.rest_url, key=key, backoff=0.001, limit=limit, timeouts=(500.0, 500.0))
    return Archive("here", rest, MassiveRest(), limit=limit, clock=clock)


@pytest.fixture
def archive(running: RunningSimulator) -> Iterator[Archive]:
    with opened(running) as made:
        yield made


@pytest.fixture
def scarce(running: RunningSimulator) -> Iterator[Archive]:
    with opened(running, few=True) as made:
        yield made


def made(archive: Archive, **more: object) -> Coordinator:
    given = {"refresh_every": None, "pause": 0.001, **more}
    return Coordinator(archive, **given)  # type: ignore[arg-type]


def whole(run: WarmupRun) -> dict[str, Result]:
    return run.result(timeout=PATIENCE)


class Alarms:
    """Alarms that ring when told to."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.cancelled = 0
        self._rings: list[Callable[[], None]] = []

    def __call__(self, seconds: float, ring: Callable[[], None]) -> Alarms:
        self.seconds.append(seconds)
        self._rings.append(ring)
        return self

    def cancel(self) -> None:
        self.cancelled += 1

    def ring(self) -> None:
        self._rings[-1]()


# -- what comes ------------------------------------------------------------------------


def test_all_eleven_come_from_three_requests(archive: Archive, watched: Watched) -> None:
    with made(archive) as coordinator:
        run = coordinator.fetch("x:btcusd")
        results = whole(run)
        assert list(results) == NAMES
        assert sorted(watched.asked) == [("X:BTCUSD", each) for each in ("1", "15", "5")]
        for name, one in results.items():
            assert (one.state, one.origin, one.reason) == ("done", "provider", ""), name
            assert one.bars is not None
            assert len(one.bars) == one.warmup.bars
            assert one.words
            assert one.value is not None
            assert one.name in one._repr_html_()
        status = coordinator.status
        assert (status.in_progress, status.percentage, status.errors) == (False, 100.0, {})
        assert status.summary == "BTC-USD: 11 of 11 ready"
        assert coordinator.results == results
        assert "11 of 11" in repr(coordinator)
        assert "EMA 9" in run._repr_html_()


def test_with_five_requests_a_minute_one_serves_all_the_same_bars(
    running: RunningSimulator, watched: Watched
) -> None:
    clock = ago()
    with opened(running, few=True, clock=clock) as archive, made(archive) as coordinator:
        few = whole(coordinator.fetch("BTC-USD"))
    assert watched.asked == [("X:BTCUSD", "1")]
    with opened(running, clock=clock) as archive, made(archive) as coordinator:
        many = whole(coordinator.fetch("BTC-USD"))
    columns = ["open", "high", "low", "close", "volume", "count"]
    for name in NAMES:
        a, b = few[name].bars, many[name].bars
        assert a is not None
        assert b is not None
        pd.testing.assert_frame_equal(a[columns], b[columns])


def test_a_plan_of_five_a_minute_sees_no_refusal(
    running: RunningSimulator, watched: Watched, tmp_path: Path
) -> None:
    waits: list[float] = []
    archive = open_archive(
        running.rest_url,
        config=settings(api_key="five", data_dir=tmp_path),
        per_minute=5,
        on_wait=waits.append,
        timeouts=(500.0, 500.0),
    )
    with archive, made(archive) as coordinator:
        for symbol in SYMBOLS:
            results = whole(coordinator.fetch(symbol))
            assert {one.state for one in results.values()} == {"done"}
        assert set(whole(coordinator.fetch(SYMBOLS[0]))["HVN"].state) == set("cached")
    assert watched.statuses == {200: 5}
    assert not waits


def test_bars_and_values_are_those_of_the_newest_bars(running: RunningSimulator) -> None:
    with opened(running, clock=ago()) as archive:
        with made(archive) as coordinator:
            results = whole(coordinator.fetch("SPY"))
        own = fetch_bars("SPY", "1m", limit=200, source=archive)
    zones, average = results["OrderBlocks"].bars, results["M1_EMA"]
    assert zones is not None
    assert average.bars is not None
    assert average.value is not None
    pd.testing.assert_frame_equal(zones[-35:], average.bars, check_freq=False)
    pd.testing.assert_frame_equal(zones[own.columns], own)
    assert average.value.index.equals(average.bars.index)


# -- order -----------------------------------------------------------------------------


def order_of(events: list[WarmupEvent]) -> list[str]:
    return [e.name for e in events if isinstance(e, HistoricalFetchProgress) and e.name]


@pytest.mark.parametrize("few", [False, True])
def test_high_comes_before_medium_and_medium_before_low(
    running: RunningSimulator, watched: Watched, few: bool
) -> None:
    events: list[WarmupEvent] = []
    with opened(running, few=few) as archive, made(archive, on_event=events.append) as coordinator:
        whole(coordinator.fetch("ETH-USD"))
    ranks = [PRIORITIES.index(warmup(name).priority) for name in order_of(events)]
    assert ranks == sorted(ranks)
    if not few:
        assert {each for _, each in watched.asked[:2]} == {"1", "5"}
        assert watched.asked[2][1] == "15"
    told = [e for e in events if isinstance(e, HistoricalFetchProgress)]
    assert [(e.completed, e.total) for e in told] == [(n, 11) for n in range(12)]
    assert told[-1].percentage == 100.0
    kinds = Counter(e.event for e in events)
    assert kinds == {
        "historical_fetch_progress": 12, "ema_data_ready": 3, "structure_data_ready": 3,
        "trend_data_ready": 3, "zone_data_ready": 2,
    }  # fmt: skip


def test_within_a_group_requests_are_side_by_side(
    archive: Archive, watched: Watched, poll_for: Callable[..., None]
) -> None:
    watched.held = threading.Event()
    with made(archive) as coordinator:
        run = coordinator.fetch("BTC-USD")
        poll_for(lambda: len(watched.asked) == 2)  # both of the high group; medium waits
        states = {name: one.state for name, one in run.results.items()}
        assert {name for name, state in states.items() if state == "running"} == {
            "M1_EMA", "M5_EMA"
        }  # fmt: skip
        assert states["HVN"] == "waiting"
        assert coordinator.status.in_progress
        watched.held.set()
        whole(run)
    watched.asked.clear()
    watched.held = threading.Event()
    with made(archive, use_priority_mode=False) as coordinator:
        run = coordinator.fetch("BTC-USD")
        poll_for(lambda: len(watched.asked) == 3)
        watched.held.set()
        whole(run)
    watched.asked.clear()
    with made(archive, workers=1) as coordinator:
        whole(coordinator.fetch("BTC-USD"))
    assert [each for _, each in watched.asked] == ["1", "5", "15"]


# -- failures --------------------------------------------------------------------------


def test_one_that_fails_is_tried_three_times_and_the_rest_goes_on(
    archive: Archive, watched: Watched
) -> None:
    watched.refused = frozenset({"5"})
    events: list[WarmupEvent] = []
    with made(archive, on_event=events.append) as coordinator:
        results = whole(coordinator.fetch("BTC-USD"))
        status = coordinator.status
    failed = {name for name, one in results.items() if one.state == "failed"}
    assert failed == {name for name in NAMES if name.startswith("M5_")}
    assert Counter(each for _, each in watched.asked) == {"1": 1, "5": 3, "15": 1}
    assert {e.name for e in events if isinstance(e, FetchError) and not e.recovered} == failed
    assert "not today" in results["M5_EMA"].reason
    assert results["M5_EMA"].bars is None
    assert status.percentage == 100.0
    assert set(status.errors) == failed
    assert status.summary.startswith("BTC-USD: 8 of 11 ready; M5_EMA: ")


def test_one_that_fails_twice_comes_at_the_third_try(scarce: Archive, watched: Watched) -> None:
    watched.fails = 2
    with made(scarce) as coordinator:
        results = whole(coordinator.fetch("BTC-USD"))
    assert {one.state for one in results.values()} == {"done"}
    assert len(watched.asked) == 3


def test_when_all_fails_what_is_at_hand_serves_and_says_so(
    scarce: Archive, watched: Watched
) -> None:
    clock = ManualClock(NOON)
    events: list[WarmupEvent] = []
    with made(scarce, clock=clock, on_event=events.append) as coordinator:
        before = whole(coordinator.fetch("BTC-USD"))
        clock.advance(301)
        watched.refused = frozenset({"1", "5", "15"})
        results = whole(coordinator.fetch("BTC-USD"))
        for name, one in results.items():
            assert (one.state, one.origin, one.stale) == ("cached", "stale", True), name
            assert one.words == before[name].words
            assert one.says.endswith("(old bars)")
            assert "not today" in one.reason
        assert coordinator.status.summary.startswith("BTC-USD: 11 of 11 ready; M1_EMA: ")
        frame = coordinator.fetch_historical_bars("BTC-USD")
        assert "not today" in frame.attrs["stale"]
    assert sum(isinstance(e, FetchError) and e.recovered for e in events) == 11


def test_when_all_fails_the_store_serves(scarce: Archive, watched: Watched, tmp_path: Path) -> None:
    from workbench.bars.folding import bar_rows
    from workbench.records import CLOSED, Batch
    from workbench.symbols import SymbolTable

    rows = bar_rows(fetch_bars("BTC-USD", "1m", limit=930, source=scarce), "1m")
    rows["state"] = CLOSED
    watched.refused = frozenset({"1"})
    with open_store(tmp_path / "market.db") as store:
        store.append(Batch("bar", rows), SymbolTable(["BTC-USD"]))
        with made(scarce, store=store) as coordinator:
            results = whole(coordinator.fetch("BTC-USD"))
    for one in results.values():
        assert (one.state, one.origin) == ("cached", "store")
        assert one.bars is not None
        assert len(one.bars) == one.warmup.bars


def test_a_symbol_without_bars_fails_with_a_reason(archive: Archive) -> None:
    with made(archive) as coordinator:
        results = whole(coordinator.fetch("NOBODY"))
        assert results["HVN"].reason == "there are no 1m bars of NOBODY"
        assert {one.state for one in results.values()} == {"failed"}


def test_a_plan_without_the_market_is_told_once_per_request(
    running: RunningSimulator, watched: Watched
) -> None:
    with opened(running, "stocks", few=True) as archive, made(archive) as coordinator:
        results = whole(coordinator.fetch("BTC-USD"))
        assert "not entitled" in results["M1_EMA"].reason
        assert len(watched.asked) == 1
        with pytest.raises(AuthError):
            coordinator.fetch_historical_bars("BTC-USD")
        assert {one.state for one in whole(coordinator.fetch("SPY")).values()} == {"done"}


def test_a_bug_reaches_whoever_waits(archive: Archive) -> None:
    wrong = Warmup("Wrong", "1m", 5, "high", "nothing")  # type: ignore[arg-type]
    with made(archive, warmups=(wrong,)) as coordinator:
        with pytest.raises(KeyError):
            whole(coordinator.fetch("SPY"))
        assert not coordinator.status.in_progress


# -- what is at hand -------------------------------------------------------------------


def test_bars_serve_for_five_minutes(archive: Archive, watched: Watched) -> None:
    clock = ManualClock(NOON)
    with made(archive, clock=clock) as coordinator:
        first = whole(coordinator.fetch("BTC-USD"))
        clock.advance(300)
        again = whole(coordinator.fetch("BTC-USD"))
        assert {one.state for one in again.values()} == {"cached"}
        assert not any(one.stale for one in again.values())
        assert again["HVN"].fetched == first["HVN"].fetched
        assert len(watched.asked) == 3
        clock.advance(1)
        assert {one.state for one in whole(coordinator.fetch("BTC-USD")).values()} == {"done"}
        assert len(watched.asked) == 6
        assert {one.state for one in whole(coordinator.fetch("BTC-USD", force=True)).values()} == {
            "done"
        }
        assert len(watched.asked) == 9


def test_a_force_refresh_serves_the_warm_ups_too(archive: Archive, watched: Watched) -> None:
    with made(archive) as coordinator:
        frame = coordinator.fetch_historical_bars("aapl", bars_needed=200)
        assert len(frame) == 200
        assert frame.attrs["stale"] == ""
        assert coordinator.fetch_historical_bars("AAPL", bars_needed=20, force=False).equals(
            frame[-20:]
        )
        assert len(watched.asked) == 1
        results = whole(coordinator.fetch("AAPL"))
        assert Counter(each for _, each in watched.asked) == {"1": 1, "5": 1, "15": 1}
        states = {one.state for one in results.values() if one.warmup.timeframe == "1m"}
        assert states == {"cached"}
        assert len(coordinator.fetch_historical_bars("AAPL", bars_needed=10)) == 10
        whole(coordinator.fetch("AAPL"))  # the short look did not shorten what is shared
        assert Counter(each for _, each in watched.asked) == {"1": 2, "5": 1, "15": 1}
        watched.refused = frozenset({"1"})
        with pytest.raises(ProviderError):
            coordinator.fetch_historical_bars("SPY")
        with pytest.raises(ValueError, match="at least 1"):
            coordinator.fetch_historical_bars("AAPL", bars_needed=0)


# -- switches --------------------------------------------------------------------------


def test_a_newer_switch_lets_go_of_what_waits(
    scarce: Archive, watched: Watched, poll_for: Callable[..., None]
) -> None:
    watched.held = threading.Event()
    events: list[WarmupEvent] = []
    with made(scarce, on_event=events.append) as coordinator:
        first = coordinator.fetch("BTC-USD")
        poll_for(watched.arrived.is_set)
        second = coordinator.fetch("ETH-USD")
        third = coordinator.fetch("SOL-USD")
        assert coordinator.fetch("sol-usd") is third
        for old in (first, second):
            assert old.cancelled
            assert {one.state for one in old.results.values()} == {"cancelled"}
            with pytest.raises(CancelledError):
                old.result()
        watched.held.set()
        results = whole(third)
        assert {one.state for one in results.values()} == {"done"}
        # The one that was on its way is kept for when somebody comes back; the next never left.
        assert [symbol for symbol, _ in watched.asked] == ["X:BTCUSD", "X:SOLUSD"]
        back = whole(coordinator.fetch("BTC-USD"))
        assert {one.state for one in back.values()} == {"cached"}
        assert len(watched.asked) == 2
    told = {e.symbol for e in events if isinstance(e, HistoricalFetchProgress) and e.completed}
    assert told == {"SOL-USD", "BTC-USD"}


def test_a_receiver_may_switch(archive: Archive) -> None:
    switched: list[WarmupRun] = []

    def receive(event: WarmupEvent) -> None:
        if event.event == "ema_data_ready" and not switched:
            switched.append(coordinator.fetch("SPY"))

    with made(archive, on_event=receive) as coordinator:
        first = coordinator.fetch("BTC-USD")
        with pytest.raises(CancelledError):
            first.result(timeout=PATIENCE)
        assert {one.state for one in whole(switched[0]).values()} == {"done"}


def test_many_switches_from_many_threads_end_at_one_symbol(archive: Archive) -> None:
    runs: list[WarmupRun] = []
    with made(archive) as coordinator:
        threads = [
            threading.Thread(target=lambda: runs.extend(map(coordinator.fetch, SYMBOLS * 3)))
            for _ in range(3)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        last = coordinator.fetch(coordinator.status.symbol)
        assert {one.state for one in whole(last).values()} <= {"done", "cached"}
        assert all(run.done for run in runs)
        assert all(run.cancelled or len(run.result()) == 11 for run in runs)


def test_closing_ends_everything(
    archive: Archive, watched: Watched, poll_for: Callable[..., None]
) -> None:
    watched.held = threading.Event()
    coordinator = made(archive)
    run = coordinator.fetch("BTC-USD")
    poll_for(watched.arrived.is_set)
    threading.Timer(0.05, watched.held.set).start()
    coordinator.close()
    coordinator.close()
    assert run.cancelled
    with pytest.raises(RuntimeError, match="closed"):
        coordinator.fetch("BTC-USD")
    assert coordinator.refresh() is None


def test_ctrl_c_leaves_nothing_running(
    running: RunningSimulator, watched: Watched, tmp_path: Path
) -> None:
    config = settings(api_key=KEY, data_dir=tmp_path)
    archive = open_archive(running.rest_url, config=config, per_minute=1, window=86_400.0)
    runs: list[WarmupRun] = []

    def interrupted() -> None:
        with made(archive) as coordinator:
            whole(coordinator.fetch("BTC-USD"))
            runs.append(coordinator.fetch("SPY"))  # waits for a place in the limit, for a day
            raise KeyboardInterrupt

    with archive, pytest.raises(KeyboardInterrupt):
        interrupted()
    assert runs[0].cancelled
    assert len(watched.asked) == 1


def test_what_is_not_spelled_as_a_symbol_is_refused(archive: Archive) -> None:
    with made(archive) as coordinator:
        with pytest.raises(UnknownSymbolError):
            coordinator.fetch("not a symbol!")
        assert coordinator.status == Status()
        assert coordinator.status.summary == "nothing: 0 of 0 ready"
    with pytest.raises(ValueError, match="1 to 64"):
        made(archive, workers=0)
    with pytest.raises(ValueError, match="HVN"):
        made(archive, warmups=(warmup("HVN"), warmup("HVN")))
    with pytest.raises(ValueError, match="refresh_every"):
        made(archive, refresh_every=0)


# -- refreshes -------------------------------------------------------------------------


def test_while_the_market_is_closed_bars_are_refreshed_every_five_minutes(
    scarce: Archive, watched: Watched
) -> None:
    clock, alarms = ManualClock(SATURDAY), Alarms()
    with made(scarce, clock=clock, refresh_every=300.0, timer=alarms) as coordinator:
        assert alarms.seconds == []  # nothing is looked at
        whole(coordinator.fetch("AAPL"))
        for n in range(1, 4):
            assert alarms.seconds == [300.0] * n
            clock.advance(300)
            watched.held = threading.Event()  # so that it is under way when it is asked for
            alarms.ring()
            run = coordinator.fetch("AAPL")
            watched.held.set()
            assert {one.state for one in whole(run).values()} == {"done"}
            assert len(watched.asked) == n + 1
        whole(coordinator.fetch("BTC-USD"))  # never closed
        asked = len(watched.asked)
        clock.advance(300)
        alarms.ring()
        assert len(watched.asked) == asked
    assert alarms.cancelled == 1
    alarms.ring()  # one that rings all the same
    assert len(watched.asked) == asked
    assert len(alarms.seconds) == 5


@pytest.mark.parametrize(
    ("hours", "refreshed"), [(-3, False), (0, False), (4, False), (9, True), (-8.5, True)]
)
def test_a_market_in_session_is_not_refreshed(
    scarce: Archive, watched: Watched, hours: float, refreshed: bool
) -> None:
    clock = ManualClock(NOON + round(hours * 3600) * 10**9)
    with made(scarce, clock=clock) as coordinator:
        assert coordinator.refresh() is None
        whole(coordinator.fetch("AAPL"))
        run = coordinator.refresh()
        assert (run is not None) == refreshed
        if run is not None:
            whole(run)
        assert len(watched.asked) == 1 + refreshed


def test_the_machines_timer_rings_and_leaves_no_thread(
    scarce: Archive, watched: Watched, poll_for: Callable[..., None]
) -> None:
    clock = ManualClock(SATURDAY)
    with made(scarce, clock=clock, refresh_every=0.05) as coordinator:
        whole(coordinator.fetch("AAPL"))
        poll_for(lambda: len(watched.asked) >= 3, PATIENCE)


# -- tables ----------------------------------------------------------------------------


def test_a_summary_has_a_row_for_each_name(scarce: Archive, watched: Watched) -> None:
    clock = ManualClock(NOON)
    with made(scarce, clock=clock) as coordinator:
        results = whole(coordinator.fetch("BTC-USD"))
    table = summary(results, clock=ManualClock(results["HVN"].fetched + 90 * 10**9))
    assert table.index.tolist() == NAMES
    assert table["timeframe"].tolist() == [one.timeframe for one in WARMUPS]
    assert table["bars"].tolist() == [one.bars for one in WARMUPS]
    assert set(table["state"]) == {"done"}
    assert table["age"].tolist() == [90.0] * 11
    assert str(table.loc["M1_EMA", "says"]).startswith("EMA 9 ")
    assert str(table.loc["HVN", "says"]).startswith("POC ")
    waiting = summary([Result(warmup("HVN"), "A"), Result(warmup("M1_EMA"), "A", "failed",
                                                        reason="no <b>")])  # fmt: skip
    assert np.isnan(waiting["age"]).all()
    assert waiting["says"].tolist() == ["", "no <b>"]
    assert summary([]).empty
    shown = Status("A", True, {"HVN": Result(warmup("HVN"), "A", "failed", reason="no <b>")})
    assert "<b>" not in shown._repr_html_().replace("&lt;b&gt;", "")
