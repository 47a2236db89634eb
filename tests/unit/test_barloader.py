"""Series from the provider, from what is at hand, or from the store."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import CancelledError
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from workbench.bars.folding import bar_rows
from workbench.clock import ManualClock
from workbench.errors import AuthError, DecodeError, ProviderError
from workbench.history.archive import Archive
from workbench.history.barloader import BarLoader, Loaded
from workbench.history.fetch import fetch_bars
from workbench.history.sharedbars import SharedBars
from workbench.history.warmups import WARMUPS, Call, Series, plan
from workbench.net.rest import Rest
from workbench.records import CLOSED, Batch, Rows
from workbench.sim.faults import NoFaults
from workbench.sim.protocol import Entitlement
from workbench.sim.rest import Answer
from workbench.sim.run import RunningSimulator, start_simulator
from workbench.sources.massive_rest import MassiveRest
from workbench.store.store import Store, open_store
from workbench.symbols import SymbolTable

KEY = "good-key"
ALL = plan(WARMUPS, 5)[0]
ONE = Call("1m", 20, (Series("1m", 20),))
FIELDS = ["time", "open", "high", "low", "close", "volume", "count", "timeframe", "state"]
DAY = pd.Timedelta("1D")


@dataclass
class Spoiled(NoFaults):
    """Answers that are no good, so many at a time; keeps what was asked for."""

    targets: list[str] = field(default_factory=list)
    refuse: int = 0
    body: bytes | None = None

    async def on_request(self, target: str, answer: Answer) -> Answer:
        self.targets.append(target)
        headers = {"Content-Type": "application/json"}
        if self.body is not None:
            return Answer(200, self.body, headers)
        if self.refuse:
            self.refuse -= 1
            return Answer(200, b'{"status":"ERROR","error":"no"}', headers)
        return answer


@pytest.fixture(scope="module")
def faults() -> Spoiled:
    return Spoiled()


@pytest.fixture(scope="module")
def running(faults: Spoiled) -> Iterator[RunningSimulator]:
    keys = {KEY: Entitlement(), "stocks": Entitlement(clusters=frozenset({"stocks"}))}
    with start_simulator(
        port=0, symbols=("BTC-USD", "SPY"), keys=keys, session="calendar", faults=faults
    ) as simulator:
        yield simulator


@pytest.fixture(autouse=True)
def _unspoiled(faults: Spoiled) -> None:
    faults.targets.clear()
    faults.refuse, faults.body = 0, None


@cache  # the same one for all of a test, should a week end meanwhile
def sunday() -> pd.Timestamp:
    now = pd.Timestamp.now("UTC").floor("1D")
    return now - (now.day_of_week + 1) * DAY + pd.Timedelta("12h")


def opened(running: RunningSimulator, key: str = KEY, at: pd.Timestamp | None = None) -> Archive:
    clock = ManualClock((at or sunday()).value)
    # One that waits for long is not asked again, which would count as another request.
    rest = Rest(running.rest_url, key=key, backoff=0.001, timeouts=(300.0, 300.0))
    return Archive("here", rest, MassiveRest(), clock=clock)


@pytest.fixture
def archive(running: RunningSimulator) -> Iterator[Archive]:
    with opened(running) as made:
        yield made


def loader(archive: Archive, store: Store | None = None, tries: int = 3) -> BarLoader:
    return BarLoader(archive, SharedBars(archive.clock), store=store, tries=tries, pause=0.001)


def rows_of(loaded: Loaded) -> Rows:
    assert loaded.rows is not None
    return loaded.rows


@pytest.mark.parametrize("symbol", ["BTC-USD", "SPY"])
@pytest.mark.parametrize("minute", [0, 3, 14])
def test_one_request_serves_all_and_equals_the_providers_own_bars(
    running: RunningSimulator, faults: Spoiled, symbol: str, minute: int
) -> None:
    # Of the stock that is a Friday evening seen from a Sunday, and the hours before.
    at = sunday() + pd.Timedelta(minutes=minute, seconds=20)
    if symbol == "SPY":
        at -= pd.Timedelta("41h")
    with opened(running, at=at) as archive:
        loaded = loader(archive).load(symbol, ALL)
        assert len(faults.targets) == 1
        for name, bars in ALL.covers:
            rows = rows_of(loaded[name])[-bars:]
            frame = fetch_bars(symbol, name, limit=bars, source=archive)
            own = bar_rows(frame, name)
            own["state"] = CLOSED
            assert len(rows) == bars
            assert rows[FIELDS].tolist() == own[FIELDS].tolist()
            np.testing.assert_allclose(rows["vwap"], own["vwap"], atol=1e-4)  # told rounded
    assert {one.origin for one in loaded.values()} == {"provider"}


def test_what_is_at_hand_is_not_asked_for(archive: Archive, faults: Spoiled) -> None:
    source = loader(archive)
    source.load("SPY", ALL)
    again = source.load("SPY", Call("5m", 100, (Series("5m", 100),)))
    assert again["5m"].origin == "cache"
    assert len(faults.targets) == 1
    source.load("SPY", Call("5m", 101, (Series("5m", 101),)))
    assert len(faults.targets) == 2
    source.load("SPY", ONE, since=archive.clock.monotonic())
    assert len(faults.targets) == 3


@pytest.mark.parametrize(("refuse", "asked", "origin"), [(2, 3, "provider"), (9, 3, "nowhere")])
def test_a_call_is_tried_three_times(
    archive: Archive, faults: Spoiled, refuse: int, asked: int, origin: str
) -> None:
    faults.refuse = refuse
    loaded = loader(archive).load("SPY", ONE)["1m"]
    assert (loaded.origin, len(faults.targets)) == (origin, asked)
    if origin == "nowhere":
        assert loaded.rows is None
        assert type(loaded.error) is ProviderError


def test_a_plan_that_does_not_include_it_is_asked_once(
    running: RunningSimulator, faults: Spoiled
) -> None:
    with opened(running, key="stocks") as archive:
        loaded = loader(archive).load("BTC-USD", ONE)["1m"]
    assert type(loaded.error) is AuthError
    assert len(faults.targets) == 1


def test_bars_that_do_not_fold_are_the_providers_error(archive: Archive, faults: Spoiled) -> None:
    start = int(sunday().value) - 930 * 60 * 10**9
    bars = [
        {"t": (start + n * 60 * 10**9) // 10**6, "o": 1, "h": 1, "l": 1, "c": 1, "v": 1e300}
        for n in range(930)
    ]
    body = {"status": "OK", "resultsCount": len(bars), "results": bars[::-1]}
    faults.body = json.dumps(body).encode()
    loaded = loader(archive, tries=1).load("SPY", ALL)
    assert {type(one.error) for one in loaded.values()} == {DecodeError}


def filled(path: Path, symbol: str, rows: Rows) -> Store:
    store = open_store(path)
    table = SymbolTable([symbol])
    rows = rows.copy()
    rows["origin"] = 1
    store.append(Batch("bar", rows), table)
    return store


def test_old_bars_serve_when_there_are_no_newer_ones(
    archive: Archive, faults: Spoiled, tmp_path: Path
) -> None:
    minutes = rows_of(loader(archive).load("BTC-USD", ALL)["1m"])
    with filled(tmp_path / "market.db", "BTC-USD", minutes) as store:
        source = loader(archive, store, tries=1)
        faults.refuse = 99
        stored = source.load("BTC-USD", ALL)
        assert {one.origin for one in stored.values()} == {"store"}
        assert rows_of(stored["1m"])["time"].tolist() == minutes["time"][-200:].tolist()
        assert stored["1m"].fetched == minutes["time"][-1] + 60 * 10**9
        assert len(rows_of(stored["15m"])) == 60
        faults.refuse = 0
        whole = source.load("BTC-USD", ALL)
        faults.refuse = 99
        stale = source.load("BTC-USD", ALL, since=archive.clock.monotonic())
    assert {one.origin for one in stale.values()} == {"stale"}
    for name, one in stale.items():
        assert rows_of(one).tolist() == rows_of(whole[name]).tolist()
        assert one.fetched == whole[name].fetched
        assert one.error is not None
        assert np.isin(rows_of(stored[name])["time"], rows_of(one)["time"]).all()


def test_a_store_that_cannot_be_read_is_no_help_and_no_harm(
    archive: Archive, faults: Spoiled, tmp_path: Path
) -> None:
    store = open_store(tmp_path / "market.db")
    store.close()
    faults.refuse = 99
    assert loader(archive, store, tries=1).load("SPY", ONE)["1m"].origin == "nowhere"


def test_a_stop_ends_the_tries(archive: Archive, faults: Spoiled) -> None:
    faults.refuse = 99
    stop = threading.Event()
    stop.set()
    with pytest.raises(CancelledError):
        loader(archive).load("SPY", ONE, stop=stop)
    assert not faults.targets
    archive.cancel()
    with pytest.raises(CancelledError):
        loader(archive).load("SPY", ONE)


def test_those_who_want_the_same_wait_for_it(archive: Archive, faults: Spoiled) -> None:
    source = loader(archive)
    threads = [threading.Thread(target=source.load, args=("SPY", ALL)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(faults.targets) == 1


def test_nonsense_is_refused(archive: Archive) -> None:
    with pytest.raises(ValueError, match="at least one try"):
        loader(archive, tries=0)
