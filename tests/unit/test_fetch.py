"""History as DataFrames, from a simulator on loopback."""

from __future__ import annotations

import asyncio
import gzip
import json
import time
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from workbench.clock import ManualClock
from workbench.config import settings
from workbench.errors import AuthError, ConfigError, DecodeError, ProviderError
from workbench.history.archive import Archive, open_archive
from workbench.history.fetch import fetch_bars, fetch_many, fetch_quotes, fetch_rows, fetch_trades
from workbench.history.report import Progress
from workbench.history.request import Request, request
from workbench.net.rest import Rest
from workbench.sim.protocol import Entitlement
from workbench.sim.rest import Answer
from workbench.sim.run import RunningSimulator, start_simulator
from workbench.sources.massive_rest import MassiveRest

KEY = "good-key"
DAY = pd.Timedelta("1D")
TODAY = pd.Timestamp.now("UTC").floor("1D")
#: Noon of the last one that is over, whatever day it becomes while the tests run.
SUNDAY = TODAY - (TODAY.day_of_week + 1) * DAY + pd.Timedelta("12h")
#: Seconds for an answer: requests are counted, and a machine may stand still for a while.
PATIENT = (300.0, 300.0)


@dataclass
class Spoiled:
    """Answers that are changed on their way out; keeps what was asked for."""

    targets: list[str] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    spoil: dict[int, str] = field(default_factory=dict)  # by number of the request
    #: The first request is not answered until there are so many.
    wanted: int = 0

    def on_frame(self, connection: int, frame: bytes) -> list[object]:
        return []

    async def on_connect(self, cluster: str) -> Answer | None:
        return None

    async def on_request(self, target: str, answer: Answer) -> Answer:
        self.targets.append(target)
        self.times.append(time.monotonic())
        how = self.spoil.get(len(self.targets), self.spoil.get(0, ""))
        while len(self.targets) < self.wanted:
            await asyncio.sleep(0.002)
        if not how:
            return answer
        headers = {"Content-Type": "application/json"}
        if how == "unavailable":
            return Answer(503, b"{}", headers)
        if how == "html":
            return Answer(200, b"<html>", {"Content-Type": "text/html"})
        if how == "error":
            return Answer(200, b'{"status":"ERROR","error":"no"}', headers)
        page = json.loads(_plain(answer))
        if how == "bare":
            page.pop("results")
        if how == "loop" and "next_url" in page:
            page["next_url"] = f"http://elsewhere.example{self.targets[0]}&apiKey={KEY}"
        if how == "same" and "next_url" in page:
            page["next_url"] = f"http://elsewhere.example{self.targets[0]}&n={len(self.targets)}"
        body = json.dumps(page).encode()
        return Answer(200, body[: len(body) // 2] if how == "half" else body, headers)


def _plain(answer: Answer) -> bytes:
    zipped = answer.headers.get("Content-Encoding") == "gzip"
    return gzip.decompress(answer.body) if zipped else answer.body


@pytest.fixture(scope="module")
def faults() -> Spoiled:
    return Spoiled()


@pytest.fixture(scope="module")
def running(faults: Spoiled) -> Iterator[RunningSimulator]:
    keys = {KEY: Entitlement(), "stocks-only": Entitlement(clusters=frozenset({"stocks"}))}
    with start_simulator(
        port=0, symbols=("BTC-USD", "ETH-USD", "SPY"), keys=keys, session="calendar", faults=faults
    ) as simulator:
        yield simulator


@pytest.fixture(autouse=True)
def _unspoiled(faults: Spoiled) -> None:
    faults.spoil.clear()
    faults.targets.clear()
    faults.times.clear()
    faults.wanted = 0


@pytest.fixture
def archive(running: RunningSimulator) -> Iterator[Archive]:
    rest = Rest(running.rest_url, key=KEY, backoff=0.001, timeouts=PATIENT)
    with Archive("here", rest, MassiveRest(page_rows=100)) as opened:
        yield opened


def test_the_newest_bars_are_found_behind_a_weekend(archive: Archive, faults: Spoiled) -> None:
    bars = fetch_bars("SPY", "1m", limit=3, end=SUNDAY, source=archive)
    assert len(bars) == 3
    assert bars.index.max() < SUNDAY - DAY
    days = bars.index.tz_convert("America/New_York").day_of_week
    assert set(days) <= {3, 4}  # a Friday may be a holiday
    assert set(bars["origin"]) == {1}
    assert str(bars.index.tz) == "UTC"
    assert len(faults.targets) == 1
    assert KEY not in faults.targets[0]


@pytest.mark.parametrize("timeframe", ["5m", "1h", "4h", "1d"])
def test_a_limit_counts_bars_of_the_timeframe(archive: Archive, timeframe: str) -> None:
    bars = fetch_bars("BTC-USD", timeframe, limit=7, end=SUNDAY, source=archive)
    assert len(bars) == 7
    assert bars.index.is_monotonic_increasing


def test_the_default_is_two_hundred_closed_bars_up_to_now(running: RunningSimulator) -> None:
    # Some minutes ago, since a provider that stood still for a while does not know of now yet.
    now = pd.Timestamp.now("UTC").floor("1min") - pd.Timedelta("29min 30s")
    rest = Rest(running.rest_url, key=KEY, timeouts=PATIENT)
    with Archive("here", rest, MassiveRest(), clock=ManualClock(now.value)) as archive:
        bars = fetch_bars("x:btcusd", source=archive)
    assert len(bars) == 200
    assert bars.index[-1] == now.floor("1min") - pd.Timedelta("1min")


def test_a_range_comes_whole_over_many_pages(archive: Archive, faults: Spoiled) -> None:
    start, end = SUNDAY, SUNDAY + pd.Timedelta("10h")
    bars = fetch_bars("BTC-USD", "1m", start=start, end=end, source=archive)
    expected = pd.date_range(start, end, freq="1min", inclusive="left")
    assert bars.index.isin(expected).all()
    assert len(bars) > 590
    assert bars.index.is_unique
    assert len(faults.targets) == -(-len(bars) // 100)
    few = fetch_bars("BTC-USD", "1m", start=start, end=end, limit=5, source=archive)
    pd.testing.assert_frame_equal(few, bars[-5:], check_freq=False)


class Moment:
    """A provider whose trades are all of one ms, two a page; or that repeats a page for ever."""

    base = "http://127.0.0.1:1"

    def __init__(self, *, goes_on: bool) -> None:
        self.goes_on = goes_on

    def get(self, path: str, params: dict[str, str]) -> Answer:
        return self.follow("0")

    def follow(self, url: str) -> Answer:
        page = int(url.rpartition("/")[2])
        number = page if self.goes_on else min(page, 1)
        rows = [
            {"price": 1, "size": 1, "sip_timestamp": 1_700_000_000 * 10**9 + n, "id": str(n)}
            for n in (2 * number, 2 * number + 1)
        ]
        last = self.goes_on and page == 3
        more = {} if last else {"next_url": f"{self.base}/{page + 1}"}
        return Answer(200, json.dumps({"status": "OK", "results": rows} | more).encode(), {})

    def close(self) -> None:
        pass


@pytest.mark.parametrize("goes_on", [True, False])
def test_pages_may_end_within_one_ms_but_must_bring_something(goes_on: bool) -> None:
    wanted = Request("BTC-USD", "trade", None, 1_699_999_999 * 10**9, 1_700_000_001 * 10**9)
    archive = Archive("here", Moment(goes_on=goes_on), MassiveRest())  # type: ignore[arg-type]
    came: list[int] = []
    ends = nullcontext() if goes_on else pytest.raises(DecodeError, match="nothing further")
    with ends:
        for page in archive.pages(wanted):
            came += page.batch.rows["id"].tolist()
    assert came == list(range(8 if goes_on else 4))


def test_a_period_is_a_start_before_the_end(archive: Archive) -> None:
    bars = fetch_bars("BTC-USD", "1h", period="1D", end=SUNDAY, source=archive)
    assert len(bars) == 24
    with pytest.raises(ValueError, match="not both"):
        fetch_bars("BTC-USD", "1h", period="1D", start=1, source=archive)


def test_trades_and_quotes_come_too(archive: Archive) -> None:
    trades = fetch_trades("BTC-USD", limit=250, source=archive)
    assert len(trades) == 250
    assert trades.index.is_monotonic_increasing
    assert (trades["price"] > 0).all()
    end = pd.Timestamp.now("UTC").floor("1h") - pd.Timedelta("1h")
    start = end - pd.Timedelta("3min")
    whole = fetch_trades("BTC-USD", start=start, end=end, source=archive)
    assert start <= whole.index[0]
    assert whole.index[-1] < end
    assert not whole.reset_index().duplicated(["time", "sequence", "id"]).any()
    friday = SUNDAY - pd.Timedelta("40h")
    quotes = fetch_quotes("SPY", limit=20, end=friday, source=archive)
    assert len(quotes) == 20
    with pytest.raises(ConfigError, match="no quotes of crypto"):
        fetch_quotes("BTC-USD", source=archive)


def test_trades_by_pages_are_the_markets_trades(
    archive: Archive, running: RunningSimulator
) -> None:
    end = int((pd.Timestamp.now("UTC") - pd.Timedelta("1h")).floor("1min").value)
    start = end - 120 * 10**9
    wish = request("ETH-USD", start=start, end=end, kind="trade")
    rows = fetch_rows(archive, wish)
    truth = running.trades("ETH-USD", start, end)
    for name in ("price", "size", "id"):
        assert sorted(rows[name].tolist()) == sorted(truth[name].tolist())
    assert (np.diff(rows["time"]) >= 0).all()


def test_an_unknown_symbol_has_no_rows(archive: Archive) -> None:
    assert fetch_bars("NOBODY", limit=3, source=archive).empty
    assert fetch_bars("NOBODY", period="1D", source=archive).empty


@pytest.mark.parametrize("how", ["half", "bare", "html", "unavailable"])
def test_a_spoiled_page_is_asked_for_again(archive: Archive, faults: Spoiled, how: str) -> None:
    faults.spoil[2] = how
    bars = fetch_bars("BTC-USD", period="1D", end=SUNDAY, source=archive)
    assert len(bars) > 1400
    assert len(faults.targets) == -(-len(bars) // 100) + 1
    assert faults.targets[1] == faults.targets[2]


@pytest.mark.parametrize(
    ("how", "kind"),
    [
        ("half", DecodeError),
        ("bare", DecodeError),
        ("html", DecodeError),
        ("error", ProviderError),
        ("unavailable", ProviderError),
        ("loop", DecodeError),
        ("same", DecodeError),
    ],
)
def test_pages_that_stay_spoiled_end_in_an_error_not_in_short_data(
    archive: Archive, faults: Spoiled, how: str, kind: type[Exception]
) -> None:
    faults.spoil[0] = how
    with pytest.raises(kind) as caught:
        fetch_bars("BTC-USD", period="1D", end=SUNDAY, source=archive)
    assert KEY not in str(caught.value)
    assert not any("apiKey" in target for target in faults.targets)
    assert len(faults.targets) < 8


def test_many_symbols_at_once_and_one_that_fails(
    running: RunningSimulator, faults: Spoiled, tmp_path: Path
) -> None:
    told: list[Progress] = []
    fetched = fetch_many(
        ["SPY", "BTC-USD", "ETH-USD"],
        limit=10,
        end=SUNDAY,
        source=running.rest_url,
        config=settings(api_key="stocks-only", data_dir=tmp_path),
        progress=told.append,
        workers=2,
    )
    assert list(fetched.frames) == ["SPY"]
    assert sorted(fetched.errors) == ["BTC-USD", "ETH-USD"]
    assert "not entitled" in fetched.errors["BTC-USD"]
    assert fetched.summary.startswith("1 of 3 came; ")
    assert [one.completed for one in told] == [0, 1, 2, 3]
    assert told[-1].percentage == 100.0


def test_a_wrong_key_is_an_auth_error(running: RunningSimulator, tmp_path: Path) -> None:
    config = settings(api_key="wrong-key", data_dir=tmp_path)
    with pytest.raises(AuthError, match="Unknown API Key") as caught:
        fetch_bars("BTC-USD", source=running.rest_url, config=config)
    assert caught.value.status == 401
    assert "wrong-key" not in str(caught.value)


def test_a_limit_paces_all_requests(
    running: RunningSimulator, faults: Spoiled, tmp_path: Path
) -> None:
    fetch_bars(
        "BTC-USD",
        start=SUNDAY,
        end=SUNDAY + pd.Timedelta("9h"),
        source=running.rest_url,
        config=settings(api_key=KEY, data_dir=tmp_path),
        per_minute=2,
        window=0.5,
        page_rows=100,
        timeouts=PATIENT,
    )
    assert len(faults.targets) == 6
    # Slow requests leave nothing to wait for, but two places serve two requests a window.
    assert all(faults.times[n + 2] - faults.times[n] > 0.499 for n in range(4))
    assert (tmp_path / "limits.db").exists()


def test_how_long_an_answer_is_waited_for_can_be_said(
    running: RunningSimulator, faults: Spoiled, tmp_path: Path
) -> None:
    faults.wanted = 2
    config = settings(api_key=KEY, data_dir=tmp_path)
    with open_archive(running.rest_url, config=config, timeouts=(60.0, 0.05)) as archive:
        assert len(fetch_bars("BTC-USD", limit=3, end=SUNDAY, source=archive)) == 3
    assert len(faults.targets) >= 2
    assert set(faults.targets) == {faults.targets[0]}


def test_sources_are_named_or_addressed(tmp_path: Path) -> None:
    config = settings(api_key="", data_dir=tmp_path)
    for source, text in (
        ("massive", "needs a key"),
        ("nowhere", 'give "massive"'),
        ("http://me:pw@127.0.0.1:1", "user or password"),
        ("http://api.example.com", "https"),
        ("ftp://127.0.0.1", "address of a server"),
    ):
        with pytest.raises(ConfigError, match=text):
            open_archive(source, config=config)
    with open_archive("massive", config=settings(api_key=KEY, data_dir=tmp_path)) as archive:
        assert (archive.name, archive.per_minute) == ("massive", 5)
        assert KEY not in repr(archive)


def test_bars_that_are_not_over_are_left_out(running: RunningSimulator, tmp_path: Path) -> None:
    now = SUNDAY + pd.Timedelta("30s")
    archive = open_archive(
        running.rest_url,
        config=settings(api_key=KEY, data_dir=tmp_path),
        clock=ManualClock(now.value),
    )
    with archive:
        bars = fetch_bars("BTC-USD", "1m", limit=3, source=archive)
    assert len(bars) == 3
    assert bars.index[-1] == SUNDAY - pd.Timedelta("1min")


def test_arguments_that_make_no_sense_are_refused(archive: Archive) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        fetch_bars("BTC-USD", limit=0, source=archive)
    with pytest.raises(ValueError, match="1 to 64"):
        fetch_many(["BTC-USD"], source=archive, workers=0)
