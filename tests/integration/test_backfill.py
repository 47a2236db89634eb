"""Backfills that are limited, spoiled, interrupted and killed, against a simulator."""

from __future__ import annotations

import asyncio
import gzip
import json
import math
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from workbench.clock import ManualClock
from workbench.config import Settings, settings
from workbench.errors import ConfigError, StoreError
from workbench.gate import Quarantine
from workbench.history.archive import Archive
from workbench.history.backfill import backfill
from workbench.history.coverage import Coverage
from workbench.history.ledgers import ledger_of
from workbench.history.plan import Plan
from workbench.history.report import Progress, Report
from workbench.net.rest import Rest
from workbench.sim.protocol import Entitlement
from workbench.sim.rest import Answer
from workbench.sim.run import RunningSimulator, start_simulator
from workbench.sources.massive_rest import MassiveRest
from workbench.store.coverage import Series
from workbench.store.store import open_store

KEY = "s3cret-key"
SYMBOLS = ("BTC-USD", "ETH-USD", "SPY")
PAGE = 120
END = pd.Timestamp.now("UTC").floor("1D") - pd.Timedelta("3D")
START = END - pd.Timedelta("12h")
#: Seconds for an answer: requests are counted, and a machine may stand still for a while.
PATIENT = (900.0, 900.0)
_FROM = re.compile(r"/v2/aggs/ticker/([^/]+)/range/\d+/\w+/(\d+)/")


@dataclass
class Watched:
    """Counts requests by series and start, and spoils answers on demand."""

    targets: list[str] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    spoil: Callable[[int, str], str] | None = None
    delay: float = 0.0
    #: Requests after this many are not answered until it is more.
    most: float = math.inf

    def on_frame(self, connection: int, frame: bytes) -> list[object]:
        return []

    async def on_connect(self, cluster: str) -> Answer | None:
        return None

    async def on_request(self, target: str, answer: Answer) -> Answer:
        self.targets.append(target)
        number = len(self.targets)
        self.statuses[answer.status] += 1
        if self.delay:
            await asyncio.sleep(self.delay)
        while number > self.most:
            await asyncio.sleep(0.002)
        how = self.spoil(len(self.targets), target) if self.spoil else ""
        headers = {"Content-Type": "application/json"}
        if how == "half":
            plain = gzip.decompress(answer.body)
            return Answer(200, plain[: len(plain) // 2], headers)
        if how == "bare":
            page = json.loads(gzip.decompress(answer.body))
            page.pop("results")
            return Answer(200, json.dumps(page).encode(), headers)
        if how == "untrue":
            page = json.loads(gzip.decompress(answer.body))
            page["results"][3]["h"] = page["results"][3]["l"] / 2
            page["results"][5]["o"] = -1.0
            page["results"][7]["v"] = 1e15  # what the decoder takes, and the gate does not
            return Answer(200, json.dumps(page).encode(), headers)
        if how == "unavailable":
            return Answer(503, b"{}", headers)
        return answer

    def pages(self) -> Counter[tuple[str, str]]:
        """Return how often each page was asked for, by ticker and start."""
        found = (_FROM.match(target) for target in self.targets)
        return Counter((match[1], match[2]) for match in found if match)


@pytest.fixture
def watched() -> Watched:
    return Watched()


@pytest.fixture
def running(watched: Watched) -> Iterator[RunningSimulator]:
    keys = {KEY: Entitlement(), "stocks": Entitlement(clusters=frozenset({"stocks"}))}
    with start_simulator(port=0, symbols=SYMBOLS, keys=keys, faults=watched) as simulator:
        yield simulator


@pytest.fixture
def config(tmp_path: Path) -> Settings:
    return settings(api_key=KEY, data_dir=tmp_path / "data")


def opened(running: RunningSimulator, key: str = KEY) -> Archive:
    rest = Rest(running.rest_url, key=key, backoff=0.001, timeouts=PATIENT)
    return Archive("here", rest, MassiveRest(page_rows=PAGE))


def fill(running: RunningSimulator, store: Path, **more: object) -> Report:
    given = {"start": START, "end": END, "progress": False, "store": store, **more}
    with opened(running) as archive:
        return backfill(given.pop("symbols", SYMBOLS), source=archive, **given)  # type: ignore[arg-type]


def stored(path: Path, symbol: str) -> pd.DataFrame:
    with open_store(path, mode="ro") as store:
        return store.bars(symbol, "1m", origin=1)


def least(path: Path) -> int:
    """Return the fewest requests that bring what a store holds."""
    return sum(-(-len(stored(path, symbol)) // PAGE) for symbol in SYMBOLS)


def test_all_that_is_missing_comes_in_the_fewest_requests(
    running: RunningSimulator, watched: Watched, tmp_path: Path
) -> None:
    path = tmp_path / "market.db"
    told: list[Progress] = []
    report = fill(running, path, progress=told.append)
    assert report.complete
    assert report.requests == len(watched.targets) == least(path)
    assert report.fetched == report.stored == sum(len(stored(path, s)) for s in SYMBOLS)
    assert told[0].completed == 0
    assert told[-1].percentage == 100.0
    assert "nothing is missing" in str(report)
    assert "SPY 1m" in report._repr_html_()
    bars = stored(path, "BTC-USD")
    assert set(bars["origin"]) == {1}
    assert bars.index[0] >= START
    assert bars.index[-1] < END
    again = fill(running, path)
    assert again.plan.complete
    assert len(watched.targets) == report.requests
    assert "100 %" in str(again)


def test_only_the_gaps_are_fetched(
    running: RunningSimulator, watched: Watched, tmp_path: Path
) -> None:
    path = tmp_path / "market.db"
    hour = pd.Timedelta("1h")
    fill(running, path, symbols="BTC-USD", start=START + 2 * hour, end=START + 3 * hour)
    fill(running, path, symbols="BTC-USD", start=START + 8 * hour, end=START + 9 * hour)
    assert len(watched.targets) == 2
    report = fill(running, path, symbols="BTC-USD")
    assert [len(call.gaps) for call in report.plan.calls] == [1, 1, 1]
    assert report.already == 0
    assert report.complete
    spent = [int(start) for _, start in watched.pages()]
    assert len(spent) == len(set(spent))
    whole = fill(running, tmp_path / "other.db", symbols="BTC-USD")
    assert whole.complete
    pd.testing.assert_frame_equal(stored(path, "BTC-USD"), stored(tmp_path / "other.db", "BTC-USD"))


def test_refresh_fetches_again_and_changes_nothing(
    running: RunningSimulator, tmp_path: Path
) -> None:
    path = tmp_path / "market.db"
    first = fill(running, path)
    second = fill(running, path, refresh=True)
    assert second.requests == first.requests
    assert second.stored == 0
    assert second.already == first.stored


def test_a_refresh_that_breaks_leaves_the_rest_in_doubt(
    running: RunningSimulator, watched: Watched, tmp_path: Path
) -> None:
    path = tmp_path / "market.db"
    fill(running, path, symbols="BTC-USD")
    before = len(watched.targets)
    watched.spoil = lambda count, target: "half" if count > before + 4 else ""
    broken = fill(running, path, symbols="BTC-USD", refresh=True)
    assert not broken.complete
    ((_, gap),) = broken.gaps
    assert gap.end == END.value
    watched.spoil, before = None, len(watched.targets)
    mended = fill(running, path, symbols="BTC-USD")
    assert mended.complete
    assert mended.stored == 0
    assert len(watched.targets) - before == 6 - 4


def test_a_feed_and_a_backfill_share_the_ledger_of_a_store(
    running: RunningSimulator, tmp_path: Path
) -> None:
    minutes = Series("here", "BTC-USD", "bar", 60)
    with open_store(tmp_path / "market.db") as store:
        ledger = ledger_of(store)  # type: ignore[arg-type]
        begin = int((END - pd.Timedelta("2h")).value)
        ledger.live([minutes], begin, connection="1")
        ledger.heard("here", int((END - pd.Timedelta("1h")).value))
        report = fill(running, store, symbols="BTC-USD")  # type: ignore[arg-type]
        assert report.complete
        assert [call.request.end for call in report.plan.calls] == [begin]
        states = [one.state for one in ledger.intervals(minutes)]
        assert states == ["backfilled", "received", "doubt"]
        ledger.flush()
        table = store.coverage("BTC-USD", intervals=True)
        assert table["state"].tolist() == states
        assert table["learned"].tolist() == ["fetch backfill", "live 1", "live 1"]
        strip = Coverage(store.intervals("BTC-USD"), start=START, end=END).shares()
        assert strip["backfilled"].item() == pytest.approx(10 / 12)


def test_rows_that_cannot_be_true_are_kept_aside(
    running: RunningSimulator, watched: Watched, tmp_path: Path
) -> None:
    watched.spoil = lambda count, target: "untrue" if count == 2 else ""
    quarantine = Quarantine()
    report = fill(running, tmp_path / "market.db", symbols="BTC-USD", quarantine=quarantine)
    (outcome,) = report.outcomes
    assert (outcome.refused, outcome.stored, report.requests) == (3, 6 * PAGE - 3, 6)
    assert report.quarantine is quarantine
    assert dict(quarantine.counts) == {"ohlc": 1, "price": 2}
    assert "3 events were refused" in str(report)
    with open_store(tmp_path / "market.db", mode="ro") as store:
        # The page is known to have come, and no minute of it to be without trade.
        assert store.coverage("BTC-USD", intervals=True)["state"].tolist() == ["backfilled"]


def test_a_range_without_trades_is_fetched_once(
    running: RunningSimulator, watched: Watched, tmp_path: Path
) -> None:
    report = fill(running, tmp_path / "market.db", symbols="NOBODY")
    assert report.complete
    assert (report.requests, report.fetched) == (1, 0)
    fill(running, tmp_path / "market.db", symbols="NOBODY")
    assert len(watched.targets) == 1


def test_the_plan_is_shown_and_may_be_turned_down(
    running: RunningSimulator, watched: Watched, tmp_path: Path
) -> None:
    shown: list[Plan] = []

    def confirm(plan: Plan) -> bool:
        shown.append(plan)
        return False

    report = fill(running, tmp_path / "market.db", confirm=confirm)
    assert not watched.targets
    assert 13 <= shown[0].requests <= 18
    assert [gap.why for _, gap in report.gaps] == ["not confirmed"] * 3


@pytest.mark.parametrize("how", ["half", "bare", "unavailable"])
def test_a_broken_fetch_goes_on_at_its_last_good_page(
    running: RunningSimulator, watched: Watched, tmp_path: Path, how: str
) -> None:
    path = tmp_path / "market.db"
    watched.spoil = lambda count, target: how if count > 4 else ""
    report = fill(running, path, symbols="BTC-USD")
    assert not report.complete
    assert report.requests == 4
    assert report.stored == 4 * PAGE
    assert report.errors["BTC-USD 1m"]
    ((_, gap),) = report.gaps
    assert gap.why == report.errors["BTC-USD 1m"]
    with open_store(path, mode="ro") as store:
        held = store.intervals("BTC-USD")
    minutes = Series("here", "BTC-USD", "bar", 60)
    doubts = [(i.start, i.end) for series, i in held if series == minutes and i.state == "doubt"]
    assert doubts == [(gap.start, gap.end)]
    watched.spoil, before = None, len(watched.targets)
    assert fill(running, path, symbols="BTC-USD").complete
    assert len(watched.targets) - before == 6 - 4
    whole = fill(running, tmp_path / "other.db", symbols="BTC-USD")
    assert whole.complete
    pd.testing.assert_frame_equal(stored(path, "BTC-USD"), stored(tmp_path / "other.db", "BTC-USD"))


def test_one_series_that_fails_does_not_stop_the_others(
    running: RunningSimulator, tmp_path: Path
) -> None:
    with opened(running, key="stocks") as archive:
        report = backfill(
            SYMBOLS, start=START, end=END, source=archive, store=tmp_path / "m.db", progress=False
        )
    assert sorted(report.errors) == ["BTC-USD 1m", "ETH-USD 1m"]
    assert {str(request) for request, _ in report.gaps} == {"BTC-USD 1m", "ETH-USD 1m"}
    assert len(stored(tmp_path / "m.db", "SPY")) > 600


def test_a_refused_key_stops_at_once(
    running: RunningSimulator, watched: Watched, tmp_path: Path
) -> None:
    with opened(running, key="wrong") as archive:
        report = backfill(
            SYMBOLS,
            start=START,
            end=END,
            source=archive,
            store=tmp_path / "m.db",
            progress=False,
            workers=1,
        )
    assert len(watched.targets) == 1
    assert [("Unknown API Key" in gap.why) for _, gap in report.gaps] == [True] * 3


def test_young_rows_are_stored_and_fetched_again(
    running: RunningSimulator, watched: Watched, tmp_path: Path
) -> None:
    path = tmp_path / "market.db"
    clock = ManualClock(int((END - pd.Timedelta("30s")).value))
    rest = Rest(running.rest_url, key=KEY, timeouts=PATIENT)
    with Archive("here", rest, MassiveRest(page_rows=PAGE), clock=clock) as archive:

        def run() -> Report:
            return backfill(
                "BTC-USD",
                start=START,
                source=archive,
                store=path,
                progress=False,
                clock=clock,
            )

        first = run()
        assert stored(path, "BTC-USD").index[-1] == END - pd.Timedelta("2min")
        ((_, gap),) = first.gaps
        assert gap.why.startswith("too young")
        assert pd.Timestamp(gap.start, tz="UTC") == END - pd.Timedelta("16min")
        clock.advance(3600)
        assert len(run().plan.calls) == 1
        assert stored(path, "BTC-USD").index[-1] == END + pd.Timedelta("58min")


def test_trades_are_filled_too_and_equal_the_markets(
    running: RunningSimulator, watched: Watched, tmp_path: Path
) -> None:
    path = tmp_path / "market.db"
    end = pd.Timestamp.now("UTC").floor("1min") - pd.Timedelta("3h")
    start = end - pd.Timedelta("3min")
    # At night there are fewer trades, and the third page is the one that breaks.
    while len(running.trades("BTC-USD", start.value, end.value)) <= 3 * PAGE:
        start -= pd.Timedelta("1min")
    given = {"kind": "trade", "start": start, "end": end, "symbols": "BTC-USD"}
    watched.spoil = lambda count, target: "half" if 2 < count < 7 else ""
    assert not fill(running, path, **given).complete
    watched.spoil = None
    assert fill(running, path, **given).complete
    truth = running.trades("BTC-USD", int(given["start"].value), int(end.value))
    with open_store(path, mode="ro") as store:
        rows = store.rows("trade", "BTC-USD")
    assert sorted(rows["id"].tolist()) == sorted(truth["id"].tolist())
    assert np.isclose(rows["size"].sum(), truth["size"].sum())


def test_a_store_that_cannot_be_written_stops_it(running: RunningSimulator, tmp_path: Path) -> None:
    path = tmp_path / "market.db"
    with open_store(path) as store:
        store.limit(200_000)  # type: ignore[attr-defined]
        with pytest.raises(StoreError):
            fill(running, store, symbols=SYMBOLS)  # type: ignore[arg-type]
    assert fill(running, path).complete


def test_stop_ends_it_with_a_report(
    running: RunningSimulator, watched: Watched, tmp_path: Path
) -> None:
    stop = threading.Event()
    report = fill(running, tmp_path / "m.db", stop=stop, progress=lambda p: p.rows and stop.set())
    assert 1 <= report.requests <= 4
    assert {gap.why for _, gap in report.gaps} == {"stopped"}
    assert fill(running, tmp_path / "m.db").complete
    assert max(watched.pages().values()) == 1


def test_arguments_that_make_no_sense_are_refused(config: Settings, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no source"):
        backfill("SPY", start=START, source="nowhere", store=tmp_path / "m.db", config=config)
    with pytest.raises(ValueError, match="nothing lies between"):
        backfill("SPY", start="2100-01-01", source="sim", store=tmp_path / "m.db")
    with pytest.raises(ValueError, match="1 to 64"):
        backfill("SPY", start=START, source="sim", store=tmp_path / "m.db", workers=0)


_CHILD = """
import sys, threading
from workbench.config import settings
from workbench.history.archive import open_archive
from workbench.history.backfill import backfill
from workbench.history.coverage import Coverage
from workbench.history.ledgers import ledger_of

class Stop(threading.Event):
    def set(self):
        super().set()
        print("stopped", flush=True)

url, store, folder, start, end, per_minute = sys.argv[1:]
config = settings(api_key="s3cret-key", data_dir=folder)
pace = {"per_minute": int(per_minute), "window": 0.4, "page_rows": 120}
with open_archive(url, config=config, stop=Stop(), timeouts=(900, 900), **pace) as archive:
    archive.name = "here"
    report = backfill(["BTC-USD", "ETH-USD", "SPY"], start=start, end=end, source=archive,
                      store=store, progress=False, workers=1)
print(report.complete, flush=True)
"""


def _child(
    running: RunningSimulator, store: Path, folder: Path, per_minute: int = 5
) -> subprocess.Popen[str]:
    arguments = [running.rest_url, store, folder, START.isoformat(), END.isoformat(), per_minute]
    return subprocess.Popen(
        [sys.executable, "-c", _CHILD, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_killed_at_random_nothing_is_fetched_twice_and_nothing_is_missing(
    watched: Watched, tmp_path: Path, how: signal.Signals
) -> None:
    chance, path = random.Random(20_251_103 + how), tmp_path / "killed.db"
    watched.delay = 0.02
    # One more than are killed, whose places in the limit may be held for a while.
    keys = {KEY: Entitlement(per_minute=6)}
    with start_simulator(
        port=0, symbols=SYMBOLS, keys=keys, faults=watched, rate_window=0.4
    ) as running:
        for kills in range(6):
            before = len(watched.targets)
            # None comes to its end before it is killed, however long this process stands still.
            watched.most = before + 2 if kills < 5 else math.inf
            with _child(running, path, tmp_path / "data", 6) as child:
                while len(watched.targets) == before:
                    assert child.poll() is None, child.communicate()
                    time.sleep(0.002)
                if kills < 5:
                    with pytest.raises(subprocess.TimeoutExpired):
                        child.wait(chance.uniform(0.0, 0.15))
                    os.kill(child.pid, how)
                    if how == signal.SIGINT:
                        assert child.stdout is not None
                        assert child.stdout.readline() == "stopped\n"
                        # It waits for the page on its way, and asks for no other.
                        watched.most = math.inf
                out, err = child.communicate(timeout=900)
                assert child.returncode != 0 if kills < 5 else out.strip() == "True", err
        assert watched.statuses[429] == 0
        pages = watched.pages()
        # Only the page on its way when the process died is asked for again.
        assert sum(pages.values()) - len(pages) <= 5
        assert KEY not in "".join(watched.targets)
    clean = Watched()
    with start_simulator(port=0, symbols=SYMBOLS, faults=clean) as running:
        fill(running, tmp_path / "clean.db")
    assert len(pages) == len(clean.pages())
    for symbol in SYMBOLS:
        pd.testing.assert_frame_equal(stored(path, symbol), stored(tmp_path / "clean.db", symbol))


def test_processes_share_the_limit_of_a_key(watched: Watched, tmp_path: Path) -> None:
    keys = {KEY: Entitlement(per_minute=5)}
    with start_simulator(
        port=0, symbols=SYMBOLS, keys=keys, faults=watched, rate_window=0.4
    ) as running:
        children = [_child(running, tmp_path / f"{n}.db", tmp_path / "data") for n in range(2)]
        for child in children:
            with child:
                out, err = child.communicate(timeout=900)
            assert out.strip() == "True", err
    assert watched.statuses == {200: 36}
