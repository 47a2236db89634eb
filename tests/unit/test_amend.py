"""Bars that are built again: of late trades, and of what was corrected in the store."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from workbench.analytics import ema, sma
from workbench.bars.batchbars import time_bars
from workbench.bars.timebars import BarBuilder
from workbench.clock import SystemClock
from workbench.config import settings
from workbench.errors import ConfigError
from workbench.flow.core import Core
from workbench.flow.recent import Recent
from workbench.flow.renewal import newest_of, renewed
from workbench.records import CANCELLED, CLOSED, REVISED, TRADE, Batch, empty
from workbench.sources.massive import MassiveSource
from workbench.sources.source import Frame
from workbench.store.sqlite import SqliteStore
from workbench.store.store import Store
from workbench.timeframes import each, timeframe

Rows = npt.NDArray[Any]
MS = 1_723_420_800_000
NAME, M1 = "BTC-USD", timeframe("1m")
INDICATORS = (ema(3), sma(2))
KEY = ("open", "high", "low", "close", "volume", "count")


class Wall(SystemClock):
    """The wall is set by hand; timeouts go on."""

    at = MS * 10**6

    def now(self) -> int:
        return self.at


async def nowhere(url: str, **options: Any) -> Any:
    raise ConnectionRefusedError("not today")


class Live:
    """A core to which frames are handed, and all that it told."""

    def __init__(self, store: Store | None, **options: Any) -> None:
        self.clock = Wall()
        config = {"lateness_seconds": 0.0, "max_price_deviation": 0.0, "max_future_seconds": 0.0}
        self.core = Core(
            lambda market, table: MassiveSource(market, table=table),
            settings(**config | options),
            store, None, self.clock, random.Random(1), nowhere,
        )  # fmt: skip
        self.core._timer.cancel()
        self.source = MassiveSource("crypto", table=self.core.table)
        self.told: list[Rows] = []
        self.core.pipeline.branch("bar", "test").sink(self._bars)
        self.core.subscribe([NAME], each(("1m", "5m")), ("trade",))
        self.window = self.core.watch(NAME, M1, INDICATORS)

    def _bars(self, batch: Batch) -> None:
        self.told.append(batch.rows[batch.rows["timeframe"] == 60].copy())

    def trade(self, at: float, price: float = 10.0) -> None:
        """Hear of a trade; the wall is at its time, or later already."""
        t = MS + round(at * 1000)
        self.clock.at = max(self.clock.at + 10**6, t * 10**6)
        event = {"ev": "XT", "pair": NAME, "p": price, "s": 1, "t": t, "i": t + round(price * 7)}
        self.core.deliver(self.source, [Frame(self.clock.at, json.dumps([event]).encode())])

    async def rest(self) -> None:
        """Let everything be built that is to be."""
        for _ in range(2000):
            self.core.tick()
            if not self.core.mending_now:
                if self.core._keeper is not None:
                    assert self.core._keeper._writer.flush(60)
                return
            await asyncio.sleep(0.002)
        pytest.fail("bars were not built")

    def values(self) -> Rows:
        """Return the indicators of the bars as they are now, run over them at once."""
        closed = self.window.closed()
        return np.hstack([i.start(NAME).add(closed) for i in INDICATORS])


Play = Callable[[Live], Coroutine[Any, Any, None]]


def run(play: Play, store: Store | None = None, **options: Any) -> None:
    async def main() -> None:
        live = Live(store, **options)
        try:
            await asyncio.wait_for(play(live), 60)
        finally:
            await live.core.close()

    asyncio.run(main())


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    with SqliteStore(tmp_path / "a.db", durability="normal") as made:
        yield made


def cancel(store: Store, live: Live, at: float) -> None:
    """Say of the trade of a time that the venue took it back."""
    rows = store.rows("trade", NAME, table=live.core.table)
    some = rows[rows["time"] == (MS + round(at * 1000)) * 10**6]
    some["flags"] |= CANCELLED
    assert store.amend_trades(some, live.core.table) == 1


def check(live: Live, store: Store) -> None:
    """All bars and indicators are those of the trades that the store has now."""
    trades = store.rows("trade", NAME, table=live.core.table)
    for tf in (M1, timeframe("5m")):
        wanted = time_bars(trades, tf)
        shown = live.core.bars(NAME, tf, True)
        for name in (*KEY, "time"):
            assert shown[name].tolist() == wanted[name].tolist(), (tf, name)
        stored = store.rows("bar", NAME, timeframe=tf, origin=0)
        assert stored[list(KEY)].tolist() == wanted[list(KEY)][: len(stored)].tolist()
    assert live.window.values().tobytes() == live.values().tobytes()


def hear_minutes(live: Live, minutes: int = 12) -> None:
    for minute in range(minutes):
        for second in (1, 20, 40):
            live.trade(minute * 60 + second, 10.0 + minute + second / 100)


@pytest.mark.parametrize(
    "at", [61, 120 + 20, 9 * 60 + 20, 10 * 60 + 40, 11 * 60 + 20, 11 * 60 + 40]
)
def test_bars_follow_a_trade_that_was_taken_back(store: SqliteStore, at: int) -> None:
    async def play(live: Live) -> None:
        hear_minutes(live)
        await live.rest()
        cancel(store, live, at)
        live.core.amender.anew(NAME, (MS + at * 1000) * 10**6, (MS + at * 1000) * 10**6 + 1)
        await live.rest()
        check(live, store)
        # What comes next is counted beside what is left, far too late or in time.
        for late in (30, 130, at // 60 * 60 + 50.5, 11 * 60 + 41, 12 * 60 + 5, 13 * 60 + 5):
            live.trade(late, 33.0)
            await live.rest()
        check(live, store)

    run(play, store)


def test_bars_follow_another_price_and_what_others_stored(store: SqliteStore) -> None:
    async def play(live: Live) -> None:
        hear_minutes(live)
        await live.rest()
        rows = store.rows("trade", NAME, table=live.core.table)
        some = rows[[4, 34]]
        some["price"] = [99.0, 98.0]
        store.amend_trades(some, live.core.table)
        more = rows[:1].copy()
        more["time"], more["id"] = rows["time"][0] + 5 * 10**9, 77
        store.append(Batch("trade", more), live.core.table)
        live.core.amender.anew(NAME, MS * 10**6, (MS + 3_600_000) * 10**6)
        await live.rest()
        check(live, store)
        told = np.concatenate(live.told)
        again = told[told["revision"] > 0]
        assert (again["time"] // 10**6 - MS).tolist() == [0, 60_000]
        assert again["revision"].tolist() == [1, 1]
        live.core.amender.anew(NAME, MS * 10**6, (MS + 3_600_000) * 10**6)
        await live.rest()
        assert len(np.concatenate(live.told)) == len(told), "nothing is told twice"

    run(play, store)


def test_bars_that_others_revised_in_the_store_are_shown_as_they_are_there(
    store: SqliteStore,
) -> None:
    async def play(live: Live) -> None:
        hear_minutes(live)
        await live.rest()
        cancel(store, live, 3 * 60 + 20)
        bars = store.rows("bar", NAME, timeframe=M1, origin=0, table=live.core.table)[3:4]
        fresh = time_bars(store.rows("trade", NAME, table=live.core.table), M1)[3:4]
        fresh["symbol"], fresh["revision"], fresh["state"] = bars["symbol"], 1, REVISED
        store.append(Batch("bar", fresh), live.core.table)
        live.core.amender.anew(NAME, int(bars["time"][0]), int(bars["time"][0]) + 1)
        await live.rest()
        check(live, store)
        assert live.window.closed()["revision"][3] == 1
        assert store.rows("bar", NAME, timeframe=M1, origin=0)["revision"][3] == 1
        live.trade(3 * 60 + 41)
        await live.rest()
        check(live, store)
        assert live.window.closed()["revision"][3] == 2

    run(play, store)


def test_a_bar_of_which_no_trade_is_left_stays(store: SqliteStore) -> None:
    async def play(live: Live) -> None:
        for at in (1, 61, 121, 181):
            live.trade(at)
        await live.rest()
        cancel(store, live, 61)
        live.core.amender.anew(NAME, (MS + 61_000) * 10**6, (MS + 62_000) * 10**6)
        await live.rest()
        assert live.window.closed()["count"].tolist() == [1, 1, 1]
        live.trade(62, 50.0)  # but a late trade makes a bar without the one taken back
        await live.rest()
        assert live.window.closed()["close"][1] == 50.0
        assert live.window.closed()["count"].tolist() == [1, 1, 1]

    run(play, store)


def test_corrections_need_a_store_of_trades(store: SqliteStore) -> None:
    async def play(live: Live) -> None:
        with pytest.raises(ConfigError, match="corrected in a store"):
            live.core.amender.anew(NAME, 0, 1)

    async def backwards(live: Live) -> None:
        with pytest.raises(ValueError, match="after its start"):
            live.core.amender.anew(NAME, 1, 1)

    run(play)
    run(play, store, store_trades=False)
    run(backwards, store)


def test_what_was_shown_is_what_was_known(store: SqliteStore) -> None:
    """Indicators logged on the way are those of the bars as of their moment."""

    async def play(live: Live) -> None:
        rng = random.Random(5)
        logged: list[tuple[int, bytes, bytes, int]] = []
        for step in range(60):
            at = step * 17 + rng.choice([0, 0, 0, -200, -400, -30])
            live.trade(max(0, at) + step / 100, 10.0 + rng.random())
            await live.rest()
            closed = live.window.closed()
            values = live.window.values()
            logged.append((live.clock.now(), closed["close"].tobytes(), values.tobytes(), step + 1))
            live.clock.at += 10**7
        for moment, closes, values, trades in logged:
            bars = store.rows("bar", NAME, timeframe=M1, origin=0, as_of=moment)
            assert bars["close"].tobytes() == closes
            again = np.hstack([i.start(NAME).add(bars) for i in INDICATORS])
            assert again.tobytes() == values
            assert len(store.rows("trade", NAME, as_of=moment)) == trades

    run(play, store)


def test_without_a_store_bars_are_built_again_of_what_is_whole_in_memory() -> None:
    async def play(live: Live) -> None:
        live.core._recent["trade"].__init__("trade", 20)  # type: ignore[misc]
        hear_minutes(live)
        live.trade(10 * 60 + 45, 5.0)
        await live.rest()
        before = live.window.closed()
        live.trade(61.5, 1.0)  # of its bar the other trades have fallen off
        await live.rest()
        after = live.window.closed()
        assert after["low"].tolist() == before["low"].tolist()
        assert live.core.amender.left >= 1

    run(play)


def test_a_late_trade_does_not_begin_a_bar_that_was_told_before() -> None:
    trades = np.zeros(3, TRADE)
    trades["time"] = np.array([600, 610, 661]) * 10**9
    trades["price"], trades["size"] = 5.0, 1.0
    known = empty("bar", 3)
    known["time"] = np.array([420, 480, 540]) * 10**9
    builder = BarBuilder(["1m"])
    builder.adopt(0, "1m", trades)
    builder.renumber(0, "1m", known)
    late = trades[:1].copy()
    for at in (540, 420):
        late["time"] = at * 10**9 + 5
        assert not len(builder.add(late))
    assert [one.trade["time"][0] for one in builder.overdue] == [540 * 10**9 + 5, 420 * 10**9 + 5]
    more = trades.copy()
    more["time"] = np.arange(720, 720 + 360, 120) * 10**9
    assert builder.add(more)["time"].tolist() == [t * 10**9 for t in (660, 720, 840)]
    assert builder.kept("1m") == 6


def test_bars_that_the_clock_has_closed_stay_closed() -> None:
    trades = np.zeros(2, TRADE)
    trades["time"] = trades["received"] = np.array([0, 61]) * 10**9
    trades["price"], trades["size"] = 5.0, 1.0
    builder = BarBuilder(["1m"], lateness=5.0)
    bars = builder.adopt(0, "1m", trades, until=120 * 10**9)
    assert (bars["time"] // 10**9).tolist() == [0, 60]
    assert not len(builder.forming(0, "1m"))
    assert not len(builder.advance(10**12))


def test_rows_that_fell_off_are_told_by_their_newest_time() -> None:
    recent = Recent("trade", 4)
    rows = empty("trade", 3)
    for first in (0, 30, 60, 90):
        rows["time"] = [first + 1, first + 9, first + 5]
        recent.add(Batch("trade", rows.copy()))
    assert recent.fallen == 69
    assert recent.within(0, 60, 200)["time"].tolist() == [65, 91, 99, 95]
    assert recent.within(0, 91, 96)["time"].tolist() == [91, 95]
    many = empty("trade", 9)
    many["time"] = range(200, 209)
    recent.add(Batch("trade", many))
    assert recent.fallen == 204


def test_what_others_wrote_is_told_as_it_stands() -> None:
    stored, told, bars = empty("bar", 3), empty("bar", 2), empty("bar", 3)
    stored["time"] = bars["time"] = [0, 60, 120]
    told["time"] = [60, 120]
    stored["close"], bars["close"], told["close"] = [1, 2, 3], [1, 2, 4], [5, 3]
    stored["revision"], stored["state"] = [0, 4, 1], REVISED
    told["state"] = CLOSED
    assert newest_of(stored, told)["revision"].tolist() == [0, 4, 1]
    fresh = renewed(bars, stored, told, since=60)
    assert fresh[["time", "revision", "close"]].tolist() == [(60, 4, 2.0), (120, 2, 4.0)]
