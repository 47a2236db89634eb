"""The inside of a feed with a store and a clock of its own."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from workbench.analytics import Indicator, ema
from workbench.clock import SystemClock
from workbench.config import settings
from workbench.flow.core import TICK, Core
from workbench.records import TRADE, Batch, Rows
from workbench.sources.massive import MassiveSource
from workbench.sources.source import Frame
from workbench.store.store import Store, open_store
from workbench.timeframes import each, timeframe

MS = 1_723_420_800_000
M1 = timeframe("1m")


class WallTime(SystemClock):
    """The wall stands still; timeouts go on."""

    offset = 0.0

    def now(self) -> int:
        return MS * 10**6 + round(self.offset * 1e9)


class Fixture:
    """A core whose connections never open, so that frames are handed to it."""

    def __init__(self, store: Store | None, clock: WallTime) -> None:
        self.clock = clock
        self.core = Core(
            lambda market, table: MassiveSource(market, table=table),
            settings(lateness_seconds=0.0, max_price_deviation=0.0, max_future_seconds=0.0),
            store,
            None,
            self.clock,
            random.Random(1),
            self._connect,
        )
        self.source = MassiveSource("crypto", table=self.core.table)

    async def _connect(self, url: str, **options: Any) -> Any:
        raise ConnectionRefusedError("not today")

    def trades(self, *ats: float, price: float = 10.0) -> None:
        for at in ats:
            t = MS + round(at * 1000)
            event = {"ev": "XT", "pair": "BTC-USD", "p": price + at, "s": 1, "t": t, "i": t}
            frame = Frame(t * 10**6, json.dumps([event]).encode())
            self.core.deliver(self.source, [frame])


def run(
    play: Callable[[Fixture], Coroutine[Any, Any, None]],
    store: Store | None = None,
    clock: WallTime | None = None,
) -> None:
    async def main() -> None:
        fixture = Fixture(store, clock or WallTime())
        try:
            await asyncio.wait_for(play(fixture), 500)
        finally:
            await fixture.core.close()

    asyncio.run(main())


def test_day_bars_are_kept_for_prices_and_stored_only_when_asked_for(tmp_path: Path) -> None:
    async def play(f: Fixture) -> None:
        f.core.subscribe(["BTC-USD"], each("1m"), ("trade",))
        f.trades(0, 61, 86_400)
        assert f.core.prices()["open"]["BTC-USD"] == 86_410.0
        assert f.core.bars("BTC-USD", M1, False)["count"].tolist() == [1, 1]
        f.core.subscribe(["BTC-USD"], each("1d"), ())
        f.trades(2 * 86_400)

    with open_store(tmp_path / "a.db") as store:
        run(play, store)
        assert len(store.bars("BTC-USD", "1m")) == 3
        assert store.bars("BTC-USD", "1d")["open"].tolist() == [86_410.0]
        assert len(store.trades("BTC-USD")) == 4


def test_a_series_begins_with_what_is_stored(tmp_path: Path) -> None:
    async def first(f: Fixture) -> None:
        f.core.subscribe(["BTC-USD"], each("1m"), ("trade",))
        f.trades(*range(0, 600, 30))

    async def second(f: Fixture) -> None:
        f.core.subscribe(["BTC-USD"], each("1m"), ("trade",))
        window = f.core.watch("BTC-USD", M1, [ema(3)])
        assert window.closed()["count"].tolist() == [2] * 9
        f.trades(600, 660)
        # The bar that was forming when the first one ended is closed with the trades it had.
        assert window.closed()["count"].tolist() == [2] * 10 + [1]
        assert np.isfinite(window.values()[2:]).all()

    with open_store(tmp_path / "a.db") as store:
        run(first, store)
    with open_store(tmp_path / "a.db") as store:
        run(second, store)


def test_after_a_stop_what_waits_is_read_before_the_clock_closes_bars() -> None:
    class Stopped(WallTime):
        waiting: Callable[[], None] | None = None
        missed = 0.0

        def monotonic(self) -> float:
            return super().monotonic() + self.missed

        async def sleep(self, seconds: float) -> None:
            await super().sleep(seconds)
            if seconds == TICK and self.waiting is not None:
                self.offset, self.missed = self.offset + 3.0, self.missed + 3.0
                asyncio.get_running_loop().call_soon(self.waiting)
                self.waiting = None

    async def play(f: Fixture) -> None:
        f.core.subscribe(["BTC-USD"], each("1s"), ("trade",))
        f.trades(0.1, 0.5)
        clock.waiting = lambda: f.trades(0.9, 1.2, 2.9)
        while len(f.core.bars("BTC-USD", timeframe("1s"), False)) < 3:
            await asyncio.sleep(0.005)
        bars = f.core.bars("BTC-USD", timeframe("1s"), False)
        assert bars["count"].tolist() == [3, 1, 1]
        assert bars["revision"].tolist() == [0, 0, 0]

    clock = Stopped()
    run(play, clock=clock)


def test_a_page_of_history_tells_each_bar_that_it_changes_once() -> None:
    async def play(f: Fixture) -> None:
        f.core.subscribe(["BTC-USD"], each("1m"), ("trade",))
        f.trades(0, 61, 121)
        told: list[Rows] = []
        f.core.pipeline.streams["bar"].sink(lambda batch: told.append(batch.rows))
        rows = np.zeros(50, TRADE)
        rows["time"] = MS * 10**6 + np.arange(10, 110, 2) * 10**9
        rows["id"], rows["price"], rows["size"] = np.arange(50) + 7, 20.0, 1.0
        rows["symbol"] = f.core.table.id("BTC-USD")
        f.core.splice(Batch("trade", rows))
        bars = np.concatenate(told)
        assert sorted(bars["count"].tolist()) == [26, 26]
        assert (bars["revision"] > 0).all()
        assert f.core.bars("BTC-USD", M1, False)["count"].tolist() == [26, 26]
        # What comes late on the stream is told as it comes.
        told.clear()
        f.trades(11, 13)
        assert [rows["count"].tolist() for rows in told] == [[27], [28]]

    run(play)


def test_errors_of_an_indicator_do_not_stop_the_clock() -> None:
    class Broken(Indicator):
        def start(self, symbol: str = "") -> Any:
            run = super().start(symbol)
            run.look = lambda: 1 / 0  # type: ignore[method-assign,assignment,return-value]
            return run

    async def play(f: Fixture) -> None:
        f.core.subscribe(["BTC-USD"], each("1m"), ("trade",))
        f.core.watch("BTC-USD", M1, [Broken(ema(3).spec)])
        f.trades(1)
        for _ in range(20_000):
            await asyncio.sleep(0.01)
            if f.core.pipeline.health.errors["tick"]:
                break
        else:
            pytest.fail("the indicator is not broken")
        f.clock.offset = 61.0
        for _ in range(20_000):
            await asyncio.sleep(0.01)
            if len(f.core.bars("BTC-USD", M1, False)):
                return
        pytest.fail("the clock closed no bar")

    run(play)


def test_trades_of_a_partly_remembered_bar_are_left_out() -> None:
    async def play(f: Fixture) -> None:
        f.core._recent["trade"].__init__("trade", 10)  # type: ignore[misc]
        f.core.subscribe(["BTC-USD"], each("1m"), ("trade",))
        f.trades(*range(0, 200, 10))
        f.core.subscribe(["BTC-USD"], each("30s"), ())
        bars = f.core.bars("BTC-USD", timeframe("30s"), True)
        assert bars["count"].tolist() == [3, 3, 2], "no bar from a part of its trades"

    run(play)


def test_following_a_replay_meets_every_symbol() -> None:
    async def play(f: Fixture) -> None:
        f.core.follow(each("1m"))
        f.trades(0, 70)
        assert list(f.core.subscriptions) == ["BTC-USD"]
        assert f.core.bars("BTC-USD", M1, True)["count"].tolist() == [1, 1]
        f.clock.offset = 1e6
        f.core.tick()
        assert len(f.core.bars("BTC-USD", M1, False)) == 1, "the clock of the tape closes bars"

    run(play)
