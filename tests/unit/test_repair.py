"""Filling holes from a provider's history: what settles them, and what does not."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from workbench.clock import ManualClock
from workbench.config import settings
from workbench.errors import AuthError, ProviderError, WorkbenchError
from workbench.feeds import connect
from workbench.flow.repair import Repair
from workbench.history.ledger import Ledger
from workbench.history.request import Request
from workbench.records import BAR, TRADE, Batch, Rows
from workbench.sim.run import start_simulator
from workbench.sources.massive_rest import Page
from workbench.store.coverage import Series
from workbench.store.store import open_store

SECOND, MS = 10**9, 10**6
ONE = Series("here", "BTC-USD", "trade")
NOW = 1_000 * SECOND
Poll = Callable[..., None]


def trades(*seconds: float) -> Rows:
    rows = np.zeros(len(seconds), TRADE)
    rows["time"] = [round(at * SECOND) for at in seconds]
    rows["id"] = rows["time"]
    rows["price"], rows["size"] = 10.0, 1.0
    return rows


def bars(*seconds: float) -> Rows:
    rows = np.zeros(len(seconds), BAR)
    rows["time"] = [round(at * SECOND) for at in seconds]
    rows["timeframe"] = 5
    return rows


class Past:
    """A provider's history: answers are what was put in, one for each request."""

    def __init__(self) -> None:
        self.answers: list[list[Page | WorkbenchError]] = []
        self.asked: list[Request] = []

    def pages(self, request: Request) -> Iterator[Page]:
        self.asked.append(request)
        for answer in self.answers.pop(0):
            if isinstance(answer, WorkbenchError):
                raise answer
            yield answer

    def cancel(self) -> None:
        self.answers.clear()


class Fixture:
    """A repair of one series with a hole from 10 s to 20 s, whose feed is live again."""

    def __init__(self, patience: float = 900.0, one: Series = ONE) -> None:
        self.one = one
        self.clock = ManualClock(NOW)
        self.ledger = Ledger()
        self.past = Past()
        self.live = trades()
        self.stored = bars() if one.timeframe else trades()
        self.delivered: list[float] = []
        self.told: list[tuple[str, str]] = []
        self.ledger.live([one], 0, connection="1")
        self.ledger.heard("here", 10 * SECOND)
        self.ledger.lost("here", 10 * SECOND, 15 * SECOND, why="cut")
        self.ledger.live([one], 20 * SECOND, connection="2")
        self.repair = Repair(
            self.past,  # type: ignore[arg-type]
            self.ledger,
            self._keep,
            self,
            lambda batch: self.delivered.extend((batch.rows["time"] / SECOND).tolist()),
            lambda kind, text: self.told.append((kind, text)),
            self.clock,
            overlap=5.0,
            patience=patience,
        )

    def _keep(self, one: Series, span: tuple[int, int], batch: Batch, begun: int) -> None:
        if span[0] < span[1]:
            times = batch.rows["time"]
            inside = times[(times >= span[0]) & (times < span[1])]
            self.ledger.fetched(one, *span, inside, begun=begun, fetch="x")
        self.stored = np.concatenate([self.stored, batch.rows])

    def held(self, one: Series, start: int, end: int) -> Rows:
        rows = np.concatenate([self.live, self.stored])
        return rows[(rows["time"] >= start) & (rows["time"] < end)]

    def witnesses(self, one: Series, start: int, end: int, before: int) -> Rows:
        return self.live[(self.live["time"] >= start) & (self.live["time"] < end)]

    def answer(self, *parts: tuple[Sequence[float], float, bool] | WorkbenchError) -> None:
        """Put in what one request brings: times, up to when they are whole, whether more come."""
        made: list[Page | WorkbenchError] = []
        for part in parts:
            if isinstance(part, WorkbenchError):
                made.append(part)
            else:
                times, reached, more = part
                following = "next" if more else None
                rows = bars(*times) if self.one.timeframe else trades(*times)
                batch = Batch(self.one.kind, rows, self.one.timeframe)  # type: ignore[arg-type]
                made.append(Page(batch, following, int(reached * SECOND)))
        self.past.answers.append(made)

    def look(self) -> None:
        """Let what is due be done, and what it leads to be planned."""
        at = len(self.past.asked)
        self.repair.look([self.one], lambda one: self.clock.now())
        for work in list(self.repair._work.values()):
            if work.future is not None:
                work.future.result(280)
        if len(self.past.asked) > at:
            self.repair.look([self.one], lambda one: self.clock.now())

    def holes(self) -> list[tuple[float, float]]:
        return [(a / SECOND, b / SECOND) for a, b, _ in self.repair.holes(self.one)]


@pytest.fixture
def f() -> Iterator[Fixture]:
    made = Fixture()
    yield made
    made.repair.close()


def test_a_hole_is_fetched_with_what_was_told_late_before_it(f: Fixture) -> None:
    assert f.holes() == [(10, 20)]
    f.live = trades(7, 9, 21)
    f.answer(([6, 7, 9, 12, 18, 21], 25, False))
    f.look()
    (asked,) = f.past.asked
    assert (asked.start / SECOND, asked.end / SECOND) == (5, 25)
    assert f.delivered == [6, 12, 18], "what was there already is not delivered again"
    assert f.holes() == []
    assert [(i.state, i.start // SECOND) for i in f.ledger.intervals(ONE, 0, 20 * SECOND)] == [
        ("received", 0),
        ("backfilled", 10),
    ]
    assert f.told == [
        ("filled", "BTC-USD trades 1970-01-01 00:00:10 to 00:00:20 UTC: 2 of 6 rows were new")
    ]
    assert f.repair.busy == 0


def test_a_history_that_lags_is_asked_again(f: Fixture) -> None:
    f.clock = f.repair._clock = ManualClock(30 * SECOND)
    f.live = trades(21, 22)
    f.answer(([12, 21], 25, False))  # 22 was received live and is not there yet
    f.look()
    assert f.holes() == [(16, 20)], "what is well before its newest row is taken"
    f.answer(([12, 18, 21, 22], 25, False))
    f.look()
    assert len(f.past.asked) == 1, "not before its time"
    f.clock.advance(2)
    f.look()
    assert f.holes() == []
    assert f.delivered == [12, 18]


def test_what_shows_that_a_history_is_not_behind_may_be_on_several_pages(f: Fixture) -> None:
    f.live = trades(21, 22, 24)
    f.answer(([12, 18, 21], 21, True), ([22], 22, True), ([24], 25, False))
    f.look()
    assert f.holes() == []
    assert f.delivered == [12, 18]


def test_a_trade_that_the_history_never_tells_does_not_keep_a_hole_open(f: Fixture) -> None:
    f.live = trades(21, 22)  # the first was taken back meanwhile
    f.clock = f.repair._clock = ManualClock(30 * SECOND)
    for _ in range(2):
        f.answer(([12, 22], 25, False))
        f.look()
        assert f.holes() == [(17, 20)], "it may still be told: pages can be made in any order"
        f.clock.advance(2)
    f.clock.advance(60)
    f.answer(([12, 22], 25, False))
    f.look()
    assert f.holes() == []


def test_without_live_trades_some_seconds_must_have_passed() -> None:
    f = Fixture()
    try:
        f.answer(([12], 25, False))
        f.repair.look([ONE], lambda one: 21 * SECOND)  # the market is one second further
        f.repair._work[ONE].future.result(280)  # type: ignore[union-attr]
        assert f.holes() == [(10, 20)], "nothing proves that all of it has come"
    finally:
        f.repair.close()


def test_bars_are_settled_once_the_history_must_tell_of_them() -> None:
    f = Fixture(one=Series("here", "BTC-USD", "bar", 5))
    try:
        f.ledger.doubted([f.one], 20 * SECOND, 21 * SECOND, 0, why="not readable")
        f.clock = ManualClock(22 * SECOND)  # the bar from 15 on was closed two seconds later
        f.repair._clock = f.clock
        f.answer(([10], 25, False))
        f.look()
        assert f.holes() == [(15, 20), (20, 21)], (
            "a bar that is not in the answer is still looked for"
        )
        f.clock.advance(4)
        f.answer(([15, 20], 25, False))
        f.look()
        assert f.holes() == [], "the bar from 20 on ends after the hole, and will be told live"
        assert f.stored["time"].tolist() == [10 * SECOND, 15 * SECOND]
    finally:
        f.repair.close()


def test_a_broken_fetch_goes_on_at_its_last_good_page(f: Fixture) -> None:
    f.answer(([11, 13], 13, True), ProviderError("503", status=503))
    f.look()
    assert f.holes() == [(13, 20)]
    f.clock.advance(2)
    f.answer(([13, 16], 25, False))
    f.look()
    assert f.past.asked[1].start == 8 * SECOND
    assert f.holes() == []


def test_what_cannot_be_had_is_declared_missing_after_trying() -> None:
    f = Fixture(patience=30.0)
    try:
        f.ledger.doubted([ONE], 11 * SECOND, 12 * SECOND, NOW, why="bad frame")
        for _ in range(3):
            f.answer(ProviderError("no such symbol", status=404))
            f.look()
            assert f.holes()
            f.clock.advance(10)
        f.answer(ProviderError("no such symbol", status=404))
        f.look()
        assert f.holes() == []
        states = {i.state for i in f.ledger.intervals(ONE, 10 * SECOND, 20 * SECOND)}
        assert states == {"missing"}
        assert [kind for kind, _ in f.told] == ["missing"]
        assert "no such symbol" in f.told[0][1]
    finally:
        f.repair.close()


def test_a_hole_that_is_old_is_tried_for_as_long_as_any() -> None:
    f = Fixture(patience=150.0)  # the hole is 980 s old
    try:
        for _ in range(5):
            f.answer(ProviderError("not now", status=503))
            f.look()
            assert f.holes()
            f.clock.advance(16)
        f.clock.advance(10_000)  # the machine slept
        f.answer(ProviderError("no network yet", status=503))
        f.look()
        assert f.holes() == [(10, 20)]
        f.clock.advance(60)
        f.answer(([12, 18, 21], 25, False))
        f.look()
        assert f.holes() == []
        assert [kind for kind, _ in f.told] == ["filled"]
    finally:
        f.repair.close()


def test_a_plan_without_trades_is_given_up_at_once(f: Fixture) -> None:
    f.answer(AuthError("your plan has no trades", status=403))
    f.look()
    assert f.holes() == []
    assert f.told[0][0] == "missing"


def test_only_what_is_live_again_is_fetched(f: Fixture) -> None:
    f.ledger.lost("here", 30 * SECOND, 31 * SECOND, why="cut again")
    # The first hole merges with the second: both wait for the feed.
    before = f.holes()
    assert before in ([(10, 20)], [])
    f.ledger.live([ONE], 40 * SECOND, connection="3")
    assert f.holes()[-1][1] == 40


def ids(rows: Rows, start: int, end: int) -> list[int]:
    """Return the trades of a range, which their times belong to in whole ms."""
    times = rows["time"] // MS * MS
    return sorted(rows["id"][(times >= start) & (times < end)].tolist())


@pytest.mark.timeout(1200)
def test_bars_are_not_complete_until_their_hole_is_filled(tmp_path: Path, poll_for: Poll) -> None:
    # Only what is dropped is lost, however long this machine stands still.
    config = settings(silence_seconds=3600, heartbeat_seconds=3600, data_dir=tmp_path)
    quiet = {"ping_seconds": None, "auth_timeout": 3600.0, "buffer_bytes": 1 << 30}
    with start_simulator(port=0, symbols=("BTC-USD",), rate=50.0, late=0.0, **quiet) as simulator:
        given = {"simulator": simulator, "reconnect": "crypto", "config": config}
        with connect("sim", **given, fill_gaps=False) as feed:  # type: ignore[arg-type]
            feed.subscribe("BTC-USD", ["1s", "1m"], channels=("trade",))

            # The first bars began before it was subscribed to, or before all of it was live.
            def whole() -> bool:
                seen.append(feed.bars("BTC-USD", "1s")["complete"])
                return len(seen[-1]) > 2 and bool(seen[-1].iloc[-3:-1].all())

            seen: list[pd.Series[bool]] = []
            poll_for(whole, 300)
            since = seen[-1].index[-2]
            simulator.drop()
            poll_for(lambda: any(e.kind == "reconnected" for e in feed.events()), 300)
            poll_for(lambda: not feed.bars("BTC-USD", "1s")["complete"][since:].all(), 300)
            shares = feed.coverage.shares()
            assert shares["doubt"].max() > 0
        with connect("sim", store=tmp_path / "m.db", **given) as feed:  # type: ignore[arg-type]
            feed.subscribe("BTC-USD", ["1s", "1m"], channels=("trade",))
            feed.wait("BTC-USD", timeout=300, whole=True)
            simulator.drop()
            poll_for(lambda: any(e.kind == "reconnected" for e in feed.events()), 300)
            poll_for(lambda: any(e.kind == "filled" for e in feed.events()), 300)
            feed.wait("BTC-USD", timeout=300, whole=True)
            assert feed.bars("BTC-USD", "1m")["complete"].iloc[-1]
        with open_store(tmp_path / "m.db", mode="ro") as store:
            stored = store.rows("trade", "BTC-USD")
            table = store.coverage("BTC-USD", intervals=True)
        fetched = table[(table["kind"] == "trade") & table["learned"].str.startswith("fetch")]
        assert len(fetched), "the hole at least"
        for one in fetched.itertuples():
            low, high = one.start.value, one.end.value
            truth = simulator.trades("BTC-USD", low - MS, high + MS)
            assert ids(stored, low, high) == ids(truth, low, high)
        # In a short hole there may have been no trade.
        assert set(fetched["state"]) <= {"backfilled", "no-trade"}
