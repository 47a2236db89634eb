"""History in front of a series: what stands for an interval, and when that changes."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable, Coroutine
from typing import Any

import numpy as np
import pandas as pd
import pytest

from workbench.analytics import ema
from workbench.bars.batchbars import time_bars
from workbench.bars.calendarbars import CalendarBars
from workbench.bars.kinds import BarKind, bar_kind
from workbench.bars.pricebars import PriceBars
from workbench.clock import SystemClock
from workbench.config import settings
from workbench.errors import ConnectError
from workbench.flow.core import Core
from workbench.flow.joint import Joined
from workbench.history.archive import Archive
from workbench.net.rest import Answer
from workbench.records import Rows
from workbench.sources.massive import MassiveSource
from workbench.sources.massive_rest import MassiveRest
from workbench.sources.source import Frame, Topic
from workbench.store.coverage import Series
from workbench.timeframes import each, timeframe

MINUTE = 60 * 10**9
M1 = timeframe("1m")


class WallTime(SystemClock):
    """The wall, and what never steps, move on by an offset; waits are real."""

    def __init__(self, start: str) -> None:
        self.start = pd.Timestamp(start, tz="UTC").value
        self.offset = 0.0

    def now(self) -> int:
        return self.start + round(self.offset * 1e9)

    def monotonic(self) -> float:
        return self.offset + super().monotonic()


class Provider:
    """A provider's interface whose bars are a function of their time: no network."""

    base = "http://127.0.0.1:1"

    def __init__(self, clock: WallTime, count: int) -> None:
        self.clock = clock
        self.count = count
        self.asked: list[str] = []
        self.down = False

    def get(self, path: str, params: dict[str, str]) -> Answer:
        self.asked.append(path)
        if self.down:
            raise ConnectError("the provider does not answer")
        *_, number, unit, first, last = path.split("/")
        step = int(number) * {"second": 1000, "minute": 60_000, "hour": 3_600_000}[unit]
        end = min(int(last), self.clock.now() // 10**6 - step)
        starts = range(end // step * step, int(first) - 1, -step)[: int(params["limit"])]
        rows = [
            {"t": t, "o": 100.0, "h": 101.0, "l": 99.0, "c": 99.5 + t // step % 3 / 2, "v": 5.0}
            | {"vw": 100.0, "n": self.count}
            for t in starts
        ]
        body = {"status": "OK", "resultsCount": len(rows), "results": rows}
        return Answer(json.dumps(body).encode())

    def cancel(self) -> None:
        pass

    def close(self) -> None:
        pass


class Fixture:
    """A core with a past, whose connections never open: frames are handed to it."""

    def __init__(self, start: str = "2024-08-12 12:00:30", name: str = "BTC-USD") -> None:
        self.clock = WallTime(start)
        self.provider = Provider(self.clock, count=3)
        self.name = name
        self.core = Core(
            lambda market, table: MassiveSource(market, table=table),
            settings(
                lateness_seconds=0.0,
                max_price_deviation=0.0,
                max_future_seconds=0.0,
                fill_gaps=False,
            ),
            None,
            None,
            self.clock,
            random.Random(1),
            self._connect,
            lambda table: Archive("massive", self.provider, MassiveRest(table), clock=self.clock),  # type: ignore[arg-type]
        )
        self.source = MassiveSource("crypto", table=self.core.table)

    async def _connect(self, url: str, **options: Any) -> Any:
        # Never answered: a refusal would tell that what the test says is received is lost.
        await asyncio.Event().wait()

    def at(self, seconds: float) -> int:
        return self.clock.start + round(seconds * 1e9)

    def trades(self, *ats: float, price: float = 100.0) -> None:
        for number, at in enumerate(ats):
            t = self.at(at) // 10**6
            event = {"ev": "XT", "pair": "BTC-USD", "p": price, "s": 1, "t": t, "i": f"{t}{number}"}
            self.core.deliver(self.source, [Frame(t * 10**6, json.dumps([event]).encode())])

    async def history(self, tf: str = "1m", bars: int = 200) -> Joined:
        return await asyncio.wrap_future(self.core.past.ask(self.name, timeframe(tf), bars))

    def bars(self, tf: str = "1m") -> Rows:
        return self.core.bars(self.name, timeframe(tf), False)

    async def until(self, predicate: Callable[[], object]) -> None:
        for _ in range(30_000):  # a slow machine has no fewer looks
            if predicate():
                return
            await asyncio.sleep(0.01)
        known = [one for _, one in self.core.mending.ledger.rows()]
        pytest.fail(f"waited in vain; known {known}")


def run(play: Callable[[Fixture], Coroutine[Any, Any, None]], **options: str) -> None:
    async def main() -> None:
        fixture = Fixture(**options)
        try:
            await asyncio.wait_for(play(fixture), 500)
        finally:
            await fixture.core.close()

    asyncio.run(main())


def test_history_slides_in_front_and_indicators_run_over_all() -> None:
    async def play(f: Fixture) -> None:
        f.core.subscribe([f.name], each("1m"), ("trade",))
        window = f.core.watch(f.name, M1, [ema(5)])
        f.trades(0, 10)
        assert len(window) == 0
        told = await f.history()
        assert (told.provider, told.own, told.why) == (200, 0, "")
        assert str(told).startswith("BTC-USD 1m: 200 bars of the provider")
        assert window.closed()["time"].tolist() == [
            f.at(-30) - i * MINUTE for i in range(200, 0, -1)
        ]
        f.trades(30.5, 40, 91)  # our bars of 12:00 and of 12:01 close
        assert (np.diff(window.closed()["time"]) == MINUTE).all()
        assert window.closed()["origin"].tolist() == [1] * 200 + [0] * 2
        run_ = ema(5).start(f.name)
        np.testing.assert_array_equal(window.values(), run_.add(window.closed()))
        again = await f.history()
        assert again.provider == 200
        assert len(f.provider.asked) == 1, "what is there is not asked for again"

    run(play)


@pytest.mark.parametrize("name", ["heikin-ashi@1m", "kagi:0.5@1m", "session:day"])
def test_what_is_made_from_time_bars_has_their_history_in_front(name: str) -> None:
    kind = bar_kind(name)
    assert isinstance(kind, BarKind)

    async def play(f: Fixture) -> None:
        def same() -> bool:
            base = f.bars()
            made = CalendarBars(kind, f.name) if name == "session:day" else PriceBars(kind)
            return window.closed().tobytes() == made.add(base).tobytes()

        f.core.past.default = 1000
        window = f.core.watch(f.name, kind, [ema(5)])
        f.trades(-80, price=90.0)  # one of the three trades of 11:59 that the provider counts
        f.clock.offset = 40.0
        f.core._subscribed(f.source, [Topic(f.name, "trade")])
        await f.until(lambda: len(f.bars()) > 500)
        assert len(window) > 0
        assert same()
        run_ = ema(5).start(f.name)
        np.testing.assert_array_equal(window.values(), run_.add(window.closed()))
        f.trades(30.5, 40, 91, price=120.0)  # our bars of 12:00 and of 12:01 close
        assert same()
        before = window.closed().tobytes()
        f.trades(-79, price=80.0)  # our bar of 11:59 is revised, but the provider's is shown
        assert same()
        assert window.closed().tobytes() == before
        asked = len(f.provider.asked)
        f.clock.offset += 1000.0
        f.trades(1001.0)
        await f.until(lambda: len(f.provider.asked) > asked)  # what was too young, once more

    run(play)


def test_a_bar_of_ours_stands_only_once_all_its_trades_came() -> None:
    async def play(f: Fixture) -> None:
        f.core.subscribe([f.name], each("1m"), ("trade",))
        f.trades(-80)  # one of the three trades of 11:59 that the provider counts
        f.clock.offset = 40.0
        f.core._subscribed(f.source, [Topic(f.name, "trade")])
        await f.history()
        last = f.at(-30) - MINUTE
        bar = f.bars()[f.bars()["time"] == last]
        assert bar["origin"].tolist() == [1], "ours has one of three trades"
        f.trades(-79)
        joint = f.core.past._joints[f.core.table.id(f.name), 60]
        await f.until(lambda: joint.held["count"].tolist() == [2])
        assert f.bars()[f.bars()["time"] == last]["origin"].tolist() == [1]
        trades = Series("massive", f.name, "trade")
        f.core.mending.ledger.fetched(
            trades, last, last + MINUTE, 2, begun=f.clock.now(), fetch="a test"
        )
        await f.until(lambda: f.bars()[f.bars()["time"] == last]["origin"].tolist() == [0])
        bar = f.bars()[f.bars()["time"] == last]
        assert (int(bar["revision"][0]), int(bar["count"][0])) == (1, 2)
        f.trades(-78, price=107.0)  # and a late one still amends it
        bar = f.bars()[f.bars()["time"] == last]
        assert (float(bar["high"][0]), int(bar["count"][0])) == (107.0, 3)

    run(play)


def test_bars_of_days_and_odd_lengths_are_folded_from_shorter_ones() -> None:
    async def play(f: Fixture) -> None:
        f.core.subscribe([f.name], each(["1d", "7m"]), ("trade",))
        days = await f.history("1d", bars=20)
        assert days.why == ""
        assert days.provider == 20
        assert all("/range/1/hour/" in path for path in f.provider.asked)
        rows = f.bars("1d")
        assert (rows["time"] % timeframe("1d").ns == 0).all()
        assert (rows["count"] == 24 * 3).all()
        assert (await f.history("7m", bars=20)).provider == 20
        assert "/range/1/minute/" in f.provider.asked[-1]

    run(play)


def test_while_a_market_is_closed_history_and_warmups_are_fetched_again_every_five_minutes() -> (
    None
):
    async def play(f: Fixture) -> None:
        f.core.subscribe([f.name], each("1m"), ("trade",))
        window = f.core.watch(f.name, M1, ())
        coordinator = f.core.past.warmups
        assert coordinator is not None
        warm = asyncio.get_running_loop().run_in_executor(
            None, lambda: coordinator.fetch(f.name).result(300)
        )
        await warm
        await f.history()
        before = len(f.provider.asked)
        assert before == 3, "the series that the warm-ups brought serve the chart too"
        f.clock.offset += 200.0
        await asyncio.sleep(0.05)
        assert len(f.provider.asked) == before
        f.clock.offset += 101.0
        await f.until(lambda: len(f.provider.asked) == before + 3 and not f.core.past.busy)
        assert len(window) >= 200

    run(play, start="2025-11-29 12:00:30", name="AAPL")


def test_trouble_is_told_and_tried_again_with_patience() -> None:
    async def play(f: Fixture) -> None:
        f.provider.down = True
        f.core.subscribe([f.name], each("1m"), ("trade",))
        told = await f.history()
        assert (told.provider, told.fetched) == (0, 0)
        assert "does not answer" in told.why
        assert [e.kind for e in f.core.pipeline.health.events(1000)].count("history") == 1
        f.provider.down = False
        assert (await f.history()).provider == 200

    run(play)


def test_who_gives_up_waiting_disturbs_nobody() -> None:
    async def play(f: Fixture) -> None:
        f.core.subscribe([f.name], each("1m"), ("trade",))
        gone, stays = (f.core.past.ask(f.name, M1, 200) for _ in range(2))
        assert gone.cancel()
        told = await asyncio.wrap_future(stays)
        assert told.provider == 200
        assert f.core.past.busy == 0
        assert (await f.history(bars=300)).provider == 300

    run(play)


def test_a_feed_without_a_past_says_so() -> None:
    async def play(f: Fixture) -> None:
        f.core.follow(each("1m"))  # a tape is played: what is not on it does not come in
        told = await f.history()
        assert told.why == "this feed has no provider's past"
        assert f.provider.asked == []

    run(play)


def test_our_own_bars_are_those_of_their_trades() -> None:
    async def play(f: Fixture) -> None:
        f.core.subscribe([f.name], each("1m"), ("trade",))
        await f.history()
        f.trades(40, 50, 95, 100, 155)
        own = f.bars()[f.bars()["origin"] == 0]
        trades = f.core.recent("trade", f.name, None)
        wanted = time_bars(trades, "1m")[: len(own)]
        assert own["close"].tolist() == wanted["close"].tolist()
        assert own["revision"].tolist() == [0] * len(own)

    run(play)


def test_a_long_pause_is_filled_however_few_bars_are_wanted() -> None:
    async def play(f: Fixture) -> None:
        f.core.subscribe([f.name], each("1m"), ("trade",))
        await f.history()
        f.clock.offset = 500 * 60.0
        await f.history()
        assert len(f.provider.asked) == 2
        assert (np.diff(f.bars()["time"]) == MINUTE).all()
        assert len(f.bars()) == 700

    run(play)
