"""Backfills whose pages are fetched by a Dask cluster of two workers on loopback."""

from __future__ import annotations

import asyncio
import json
import math
import os
import pickle
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from workbench.cli import app
from workbench.config import settings
from workbench.errors import AuthError, ConfigError, ConnectError, DecodeError
from workbench.history import cluster as cluster_module
from workbench.history.archive import Archive, open_archive
from workbench.history.backfill import backfill
from workbench.history.cluster import Errand, Found, fetch_page
from workbench.history.plan import open_seconds
from workbench.history.report import Progress, Report
from workbench.history.request import request
from workbench.net.limits import key_name
from workbench.net.rest import Rest
from workbench.sim.protocol import Entitlement
from workbench.sim.rest import Answer
from workbench.sim.run import RunningSimulator, start_simulator
from workbench.sources.massive_rest import MassiveRest
from workbench.store.store import open_store

distributed = pytest.importorskip("distributed", reason="the extra dask is not installed")

dask_config = pytest.importorskip("dask.config")

KEY = "s3cret-key-of-the-cluster"
SYMBOLS = ("BTC-USD", "ETH-USD", "SPY")
PAGE = 120
END = pd.Timestamp.now("UTC").floor("1D") - pd.Timedelta("3D")
while open_seconds("SPY", (END - pd.Timedelta("8h")).value, END.value) < 8 * 3600:
    END -= pd.Timedelta("1D")  # a plan asks for little where the market was closed
START = END - pd.Timedelta("8h")
#: Seconds for an answer: requests are counted, and a machine may stand still for a while.
PATIENT = (900.0, 900.0)
_FROM = re.compile(r"/v2/aggs/ticker/([^/]+)/range/\d+/\w+/(\d+)/")


@dataclass
class Watched:
    """Counts requests, and spoils, delays or holds back answers on demand."""

    targets: list[str] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    spoil: Callable[[int], str] | None = None
    delay: float = 0.0
    answered: int = 0
    held: bool = False
    #: Requests after this many are held back too.
    most: float = math.inf
    waiting: int = 0
    #: Called when a request is on its way.
    look: Callable[[], object] | None = None

    def on_frame(self, connection: int, frame: bytes) -> list[object]:
        return []

    async def on_connect(self, cluster: str) -> Answer | None:
        return None

    async def on_request(self, target: str, answer: Answer) -> Answer:
        self.targets.append(target)
        number = len(self.targets)
        self.statuses[answer.status] += 1
        how = self.spoil(number) if self.spoil else ""
        if self.look is not None:
            self.look()
        await asyncio.sleep(self.delay)
        self.waiting += 1
        while self.held or number > self.most:
            await asyncio.sleep(0.01)
        self.waiting -= 1
        self.answered += 1
        headers = {"Content-Type": "application/json"}
        if how == "half":
            return Answer(200, b'{"status":"OK","results":[{"t":1', headers)
        if how == "patience":
            return Answer(429, b"{}", headers | {"Retry-After": "7"})
        if how == "unavailable":
            return Answer(503, b"{}", headers)
        if how == "echo":
            return Answer(400, json.dumps({"error": f"not {KEY}"}).encode(), headers)
        return answer

    def pages(self) -> Counter[tuple[str, str]]:
        """Return how often each page was asked for, by ticker and start."""
        found = (_FROM.match(target) for target in self.targets)
        return Counter((match[1], match[2]) for match in found if match)


@pytest.fixture(scope="module", autouse=True)
def _patient() -> Iterator[None]:
    """Wait for schedulers and workers that stand still for a while."""
    times = dict.fromkeys(("connect", "tcp"), "900s")
    with (
        dask_config.set({"distributed.comm.timeouts": times}),
        pytest.MonkeyPatch.context() as patched,
    ):
        patched.setattr(cluster_module, "_TO_CONNECT", 900.0)
        yield


@pytest.fixture(scope="module")
def dask() -> Iterator[Any]:
    """Two workers that know the key, warm, so that no test is charged for what lasts."""
    with (
        distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            processes=True,
            dashboard_address="127.0.0.1:0",
            worker_dashboard_address=None,
            env={"WORKBENCH_API_KEY": KEY},
        ) as local,
        distributed.Client(local, set_as_default=False) as client,
    ):
        names = [client.submit(_warm, pure=False, workers=[worker]) for worker in client.nthreads()]
        assert client.gather(names) == ["fetch_page"] * 2
        yield local


def _warm() -> str:
    from workbench.history.cluster import fetch_page

    return fetch_page.__name__


@pytest.fixture
def watched() -> Watched:
    return Watched()


@pytest.fixture
def running(watched: Watched) -> Iterator[RunningSimulator]:
    keys = {KEY: Entitlement()}
    with start_simulator(port=0, symbols=SYMBOLS, keys=keys, faults=watched) as simulator:
        yield simulator
        watched.held, watched.most = False, math.inf  # its end waits for every answer


def opened(running: RunningSimulator, key: str = KEY) -> Archive:
    rest = Rest(running.rest_url, key=key, timeouts=PATIENT)
    return Archive("here", rest, MassiveRest(page_rows=PAGE))


def fill(running: RunningSimulator, store: Path, **more: Any) -> Report:
    given = {"start": START, "end": END, "progress": False, "store": store, **more}
    with opened(running, given.pop("key", KEY)) as archive:
        return backfill(given.pop("symbols", SYMBOLS), source=archive, **given)


def assert_same(first: Path, second: Path) -> None:
    """Check that two stores hold the same bars."""
    for symbol in SYMBOLS:
        tables = []
        for path in (first, second):
            with open_store(path, mode="ro") as store:
                tables.append(store.bars(symbol, "1m", origin=1))
        assert len(tables[0]) > 400
        pd.testing.assert_frame_equal(*tables)


def test_a_cluster_fills_a_store_as_this_process_does(
    dask: Any, running: RunningSimulator, watched: Watched, tmp_path: Path
) -> None:
    told: list[Progress] = []
    path = tmp_path / "m.db"

    def spread(rows: Any) -> tuple[int, float]:
        return int(rows["time"][0]), float((rows["high"] - rows["low"]).max())

    report = fill(running, path, dask=dask, progress=told.append, compute=spread)
    assert report.complete
    assert report.requests == report.planned == len(watched.targets) == 12
    assert report.fetched == report.stored == 3 * 480
    assert told[-1].percentage == 100.0
    again = fill(running, path, dask=dask.scheduler_address)
    assert again.plan.complete
    assert len(watched.targets) == 12
    fill(running, tmp_path / "local.db")
    assert_same(path, tmp_path / "local.db")
    assert sorted(report.computed) == [f"{symbol} 1m" for symbol in SYMBOLS]
    with open_store(path, mode="ro") as store:
        for symbol in SYMBOLS:
            rows = store.rows("bar", symbol, timeframe="1m")
            parts = np.split(rows, range(PAGE, len(rows), PAGE))
            assert report.computed[f"{symbol} 1m"] == [spread(part) for part in parts]


def test_trades_come_through_a_client_that_stays_open(
    dask: Any, running: RunningSimulator, tmp_path: Path
) -> None:
    end = pd.Timestamp.now("UTC").floor("1min") - pd.Timedelta("3h")
    given: dict[str, Any] = {"kind": "trade", "start": end - pd.Timedelta("1min"), "end": end}
    with distributed.Client(dask, set_as_default=False) as client:
        report = fill(running, tmp_path / "m.db", symbols="BTC-USD", dask=client, **given)
        assert client.status == "running"
    assert report.complete
    truth = running.trades("BTC-USD", int(given["start"].value), int(end.value))
    with open_store(tmp_path / "m.db", mode="ro") as store:
        rows = store.rows("trade", "BTC-USD")
    assert sorted(rows["id"].tolist()) == sorted(truth["id"].tolist())
    assert (rows["received"] > rows["time"]).all()


def test_the_command_takes_a_scheduler(
    dask: Any, running: RunningSimulator, watched: Watched, tmp_path: Path
) -> None:
    command = ["backfill", "SPY", "--start", START.isoformat(), "--end", END.isoformat(), "-y"]
    places = ["--source", running.rest_url, "--data-dir", str(tmp_path)]
    run = CliRunner().invoke(
        app, [*command, *places, "--dask", dask.scheduler_address], env={"MASSIVE_API_KEY": KEY}
    )
    assert run.exit_code == 0, run.output
    assert "nothing is missing" in run.output
    assert len(watched.targets) == 1


def test_trouble_that_passes_is_waited_out(
    dask: Any, running: RunningSimulator, watched: Watched, tmp_path: Path
) -> None:
    trouble = {2: "unavailable", 5: "half", 6: "unavailable", 9: "half"}
    watched.spoil = lambda count: trouble.get(count, "")
    report = fill(running, tmp_path / "m.db", dask=dask)
    assert report.complete
    assert len(watched.targets) == report.requests + len(trouble)
    watched.spoil = None
    fill(running, tmp_path / "local.db")
    assert_same(tmp_path / "m.db", tmp_path / "local.db")


def test_a_broken_fetch_goes_on_at_its_last_good_page(
    dask: Any, running: RunningSimulator, watched: Watched, tmp_path: Path
) -> None:
    path = tmp_path / "m.db"
    watched.spoil = lambda count: "half" if count > 2 else ""
    report = fill(running, path, symbols="BTC-USD", dask=dask)
    assert (report.requests, report.stored) == (2, 2 * PAGE)
    assert len(watched.targets) == 2 + 3
    ((_, gap),) = report.gaps
    assert gap.why == report.errors["BTC-USD 1m"]
    watched.spoil, before = None, len(watched.targets)
    assert fill(running, path, symbols="BTC-USD", dask=dask).complete
    assert len(watched.targets) - before == 4 - 2


def test_the_limit_holds_for_all_workers(watched: Watched, dask: Any, tmp_path: Path) -> None:
    keys = {KEY: Entitlement(per_minute=5)}
    config = settings(api_key=KEY, data_dir=tmp_path)
    given: dict[str, Any] = {"per_minute": 5, "window": 0.4, "page_rows": PAGE}
    given |= {"limits": tmp_path / "limits.db", "config": config, "timeouts": PATIENT}
    with (
        start_simulator(
            port=0, symbols=SYMBOLS, keys=keys, faults=watched, rate_window=0.4
        ) as running,
        open_archive(running.rest_url, **given) as archive,
    ):
        report = backfill(
            SYMBOLS,
            start=START,
            end=END,
            source=archive,
            store=tmp_path / "m.db",
            progress=False,
            workers=6,
            dask=dask,
        )
    assert report.complete
    assert watched.statuses == {200: 12}


def test_the_key_is_in_nothing_that_travels(
    dask: Any, running: RunningSimulator, watched: Watched, tmp_path: Path
) -> None:
    watched.delay = 0.1
    seen: list[str] = []

    def look(told: Progress | None = None) -> None:
        tasks = list(dask.scheduler.tasks.values())
        seen.extend(repr((task, task.key)) + repr(pickle.dumps(task.run_spec)) for task in tasks)

    watched.look = look  # the errand of a request on its way is there for sure

    def broken(rows: Any) -> None:
        raise ArithmeticError("in a worker")

    watched.spoil = lambda count: "echo" if count == 4 else ""
    report = fill(running, tmp_path / "m.db", dask=dask, progress=look)
    assert "***" in "".join(report.errors.values())
    watched.look = None
    with pytest.raises(ArithmeticError, match="in a worker"):
        fill(running, tmp_path / "n.db", symbols="SPY", dask=dask, compute=broken)
    assert any("fetch_page" in text for text in seen)
    with distributed.Client(dask, set_as_default=False) as client:
        logs = repr(client.get_worker_logs()) + repr(client.get_scheduler_logs())
    assert "fetch_page" in logs  # a task that raises is logged with what it was given
    for text in (*seen, logs, str(report), repr(report.errors)):
        assert KEY not in text


@pytest.mark.parametrize(("ours", "theirs"), [("another", "has another key"), ("", "")])
def test_workers_use_the_key_that_is_counted_for_or_none(
    dask: Any,
    running: RunningSimulator,
    watched: Watched,
    tmp_path: Path,
    ours: str,
    theirs: str,
) -> None:
    if theirs:
        with pytest.raises(ConfigError, match=theirs):
            fill(running, tmp_path / "m.db", symbols="SPY", dask=dask, key=ours)
        assert not watched.targets
    else:
        report = fill(running, tmp_path / "m.db", symbols="SPY", dask=dask, key=ours)
        assert "401" in report.errors["SPY 1m"]


def test_an_errand_is_one_request_and_its_answer_a_value(
    running: RunningSimulator,
    watched: Watched,
    monkeypatch: pytest.MonkeyPatch,
    kept_port: int,
) -> None:
    monkeypatch.setenv("WORKBENCH_API_KEY", KEY)
    wish = request("SPY", start=START, end=END)
    call = MassiveRest(page_rows=PAGE).first(wish)
    errand = Errand(running.rest_url, key_name(KEY, running.rest_url), wish, call)
    assert repr(errand) == "Errand(SPY 1m)"
    found = fetch_page(errand)
    assert isinstance(found, Found)
    assert found.page.next is not None
    assert found.computed is None
    spoiled = {"patience": 7.0, "unavailable": 0.0, "half": DecodeError}
    for how, told in spoiled.items():
        watched.spoil = lambda count, how=how: how  # type: ignore[misc]
        before = len(watched.targets)
        answer = fetch_page(errand)
        assert isinstance(answer, told) if isinstance(told, type) else answer == told
        assert len(watched.targets) == before + 1
    watched.spoil = None
    watched.held = True  # for longer than this errand waits
    assert fetch_page(replace(errand, timeouts=(60.0, 0.05))) == 0.0
    watched.held = False
    assert isinstance(fetch_page(Errand(running.rest_url, "", wish, call)), AuthError)
    lost = fetch_page(Errand(f"http://127.0.0.1:{kept_port}", "", wish, call, last=True))
    assert isinstance(lost, ConnectError)
    assert pickle.loads(pickle.dumps(lost)).source == lost.source


def test_a_key_that_a_provider_puts_into_an_address_is_taken_out() -> None:
    url = "https://api.massive.com/v2/aggs?cursor=a%3D1&apiKey=s3cret&limit=5"
    assert cluster_module._keyless(url) == "https://api.massive.com/v2/aggs?cursor=a%3D1&limit=5"


def test_stop_ends_it_with_a_report(
    dask: Any, running: RunningSimulator, watched: Watched, tmp_path: Path
) -> None:
    stop = threading.Event()
    report = fill(
        running,
        tmp_path / "m.db",
        stop=stop,
        dask=dask,
        progress=lambda told: told.rows and stop.set(),
    )
    assert 1 <= report.requests <= 4
    assert {gap.why for _, gap in report.gaps} == {"stopped"}
    assert fill(running, tmp_path / "m.db", dask=dask).complete
    assert max(watched.pages().values()) == 1


def test_cancelling_lets_go_of_pages_that_do_not_come(
    dask: Any,
    running: RunningSimulator,
    watched: Watched,
    monkeypatch: pytest.MonkeyPatch,
    poll_for: Callable[..., None],
) -> None:
    monkeypatch.setattr(cluster_module, "_GRACE", 0.1)
    watched.held = True
    with opened(running) as archive, cluster_module.open_cluster(dask, archive) as cluster:
        wish = request("SPY", start=START, end=END)
        with ThreadPoolExecutor(1) as pool:
            page = pool.submit(lambda: next(archive.pages(wish, ask=cluster.page)))
            poll_for(lambda: watched.targets, what="for the request of a worker")
            archive.cancel()
            with pytest.raises(CancelledError):
                page.result(900)
        assert watched.answered == 0
        watched.held = False
        assert "here" in repr(cluster)


def test_what_cannot_be_is_refused(
    running: RunningSimulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept_port: int
) -> None:
    path = tmp_path / "m.db"
    with pytest.raises(ConfigError, match="tcp://host:8786"):
        fill(running, path, dask="nowhere")
    with pytest.raises(ConnectError, match="no Dask scheduler answers"):
        fill(running, path, dask=f"tcp://127.0.0.1:{kept_port}")
    with pytest.raises(ValueError, match="give dask too"):
        fill(running, path, compute=len)
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ConfigError, match=re.escape("pip install 'market-workbench[dask]'")):
        fill(running, path, dask="tcp://127.0.0.1:9")


def test_a_page_of_a_worker_that_dies_is_fetched_by_another(
    running: RunningSimulator, watched: Watched, tmp_path: Path, poll_for: Callable[..., None]
) -> None:
    path = tmp_path / "m.db"
    pids: list[int] = []

    def kill() -> None:
        poll_for(lambda: watched.waiting == 2, 900, "for both workers to be on their way")
        os.kill(pids[0], signal.SIGKILL)
        watched.held = False

    with (
        distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            processes=True,
            dashboard_address="127.0.0.1:0",
            worker_dashboard_address=None,
            env={"WORKBENCH_API_KEY": KEY},
            silence_logs=50,
        ) as local,
        distributed.Client(local, set_as_default=False) as client,
    ):
        pids.extend(client.run(os.getpid).values())
        watched.held = True
        with ThreadPoolExecutor(1) as pool:
            killed = pool.submit(kill)
            assert fill(running, path, dask=local).complete
            killed.result()
        client.wait_for_workers(2, timeout=900)  # the other one is born again
    # What was on its way through that worker comes again, and nothing else.
    assert sum(watched.pages().values()) == 12 + 1
    fill(running, tmp_path / "local.db")
    assert_same(path, tmp_path / "local.db")


def _address(place: Path) -> str:
    """Return what a scheduler wrote of itself, "" before it is all there."""
    try:
        return str(json.loads(place.read_text())["address"])
    except (FileNotFoundError, ValueError):
        return ""


def test_a_scheduler_that_is_lost_is_the_reason_of_what_is_missing(
    running: RunningSimulator,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    poll_for: Callable[..., None],
) -> None:
    monkeypatch.setattr(cluster_module, "_AWAY", 0.3)
    place = tmp_path / "scheduler.json"
    command = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--no-dashboard"]
    where = ["--port", "0", "--host", "127.0.0.1", "--scheduler-file", str(place)]
    with subprocess.Popen([*command, *where], stderr=subprocess.DEVNULL) as scheduler:
        try:
            poll_for(lambda: _address(place), 900, "for the scheduler")
            address = _address(place)
            with (
                distributed.Client(address, timeout=900, set_as_default=False) as client,
                ThreadPoolExecutor(1) as pool,
            ):
                filled = pool.submit(fill, running, tmp_path / "m.db", dask=client, workers=2)
                poll_for(lambda: len(client.futures) == 2, 900, "for errands")
                scheduler.kill()
                report = filled.result(900)
        finally:
            scheduler.kill()
    assert {gap.why for _, gap in report.gaps} == set(report.errors.values())
    assert all("the scheduler is lost" in gap.why for _, gap in report.gaps)
    assert len(report.gaps) == 3


_CHILD = """
import sys
from workbench.config import settings
from workbench.history import cluster
from workbench.history.archive import open_archive
from workbench.history.backfill import backfill
cluster._TO_CONNECT = 900.0
url, store, folder, start, end, dask = sys.argv[1:]
config = settings(data_dir=folder)
pace = {"per_minute": 5, "window": 0.4, "page_rows": 120, "timeouts": (900, 900)}
with open_archive(url, config=config, **pace) as archive:
    archive.name = "here"
    report = backfill(["BTC-USD", "ETH-USD", "SPY"], start=start, end=end, source=archive,
                      store=store, progress=False, workers=2, dask=dask)
print(report.complete, flush=True)
"""


def _errands(dask: Any) -> list[str]:
    return [key for key in list(dask.scheduler.tasks) if "fetch_page" in str(key)]


def _busy(dask_worker: Any) -> int:
    return int(dask_worker.state.executing_count) + len(dask_worker.state.ready)


def _rested(dask: Any, poll_for: Callable[..., None]) -> None:
    """Wait until nothing of a client that is gone is on its way, and for a window more."""
    with distributed.Client(dask, set_as_default=False) as client:
        poll_for(lambda: not _errands(dask), 900, "for the scheduler")
        poll_for(lambda: not any(client.run(_busy).values()), 900, "for the workers")
    forgotten = time.monotonic() + 0.5
    poll_for(lambda: time.monotonic() > forgotten)


def test_a_client_that_is_killed_goes_on_where_it_was(
    dask: Any, watched: Watched, tmp_path: Path, poll_for: Callable[..., None]
) -> None:
    chance, path = random.Random(20_251_103), tmp_path / "m.db"
    watched.delay = 0.02
    with start_simulator(
        port=0,
        symbols=SYMBOLS,
        keys={KEY: Entitlement(per_minute=5)},
        faults=watched,
        rate_window=0.4,
    ) as running:
        places = [running.rest_url, path, tmp_path, START.isoformat(), END.isoformat()]
        command = [sys.executable, "-c", _CHILD, *map(str, places), dask.scheduler_address]
        for how in (signal.SIGKILL, signal.SIGINT, None):
            before = len(watched.targets)
            # None comes to its end before it is killed, however long this process stands still.
            watched.most = math.inf if how is None else before + 3
            with subprocess.Popen(
                command,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env=os.environ | {"WORKBENCH_API_KEY": KEY},
            ) as child:
                while len(watched.targets) == before:
                    assert child.poll() is None, child.communicate()
                    time.sleep(0.002)
                if how is not None:
                    with pytest.raises(subprocess.TimeoutExpired):
                        child.wait(chance.uniform(0.0, 0.2))
                    child.send_signal(how)
                out, err = child.communicate(timeout=900)
                assert child.returncode != 0 if how else out.strip() == "True", err
            watched.most = math.inf
            _rested(dask, poll_for)
    assert watched.statuses[429] == 0
    pages = watched.pages()
    # Of each killed run only what was on its way, two pages at most, is asked for again.
    assert sum(pages.values()) - len(pages) <= 2 * 2
    with start_simulator(port=0, symbols=SYMBOLS) as running:
        fill(running, tmp_path / "clean.db", key="")
    assert_same(path, tmp_path / "clean.db")
