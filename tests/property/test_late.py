"""Trades in any order, twice, far too late and over restarts: bars as of the clean stream."""

from __future__ import annotations

import asyncio
import json
import random
import tempfile
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from workbench.analytics import ema, sma
from workbench.bars.batchbars import time_bars
from workbench.bars.news import SAID
from workbench.clock import SystemClock
from workbench.config import settings as configured
from workbench.flow.core import Core
from workbench.records import BAR, REVISED, Batch
from workbench.sources.massive import MassiveSource
from workbench.sources.source import Frame
from workbench.store.sqlite import SqliteStore
from workbench.store.store import Store
from workbench.timeframes import each, timeframe

Rows = npt.NDArray[Any]
#: Twelve minutes before midnight of a weekday, and within a session of New York.
NIGHT, DAY = 1_723_506_480, 1_762_189_200
NAMES = ("1s", "1m", "5m")
INDICATORS = (ema(3), sma(4))
SYMBOLS = {"crypto": "BTC-USD", "stocks": "AAPL"}


class Times(SystemClock):
    """The wall goes on with the frames; timeouts go on by themselves."""

    def __init__(self, at: int) -> None:
        self.at = at

    def now(self) -> int:
        return self.at


async def nowhere(url: str, **options: Any) -> Any:
    raise ConnectionRefusedError("not today")


class Process:
    """A core over a store, as one process has it."""

    def __init__(self, store: Store | None, market: str, clock: Times, lateness: float) -> None:
        self.market, self.clock = market, clock
        self.name = SYMBOLS[market]
        self.core = Core(
            lambda market, table: MassiveSource(market, table=table),
            configured(
                lateness_seconds=lateness, max_price_deviation=0.0, max_future_seconds=0.0
            ),
            store, None, clock, random.Random(1), nowhere,
        )  # fmt: skip
        self.core._timer.cancel()  # ticks come when the test says
        self.source = MassiveSource(market, table=self.core.table)
        self.told: list[Rows] = []
        self.core.pipeline.branch("bar", "test").sink(self._bars)
        self.core.subscribe([self.name], each(NAMES), ("trade",))
        self.window = self.core.watch(self.name, timeframe("1m"), INDICATORS)

    def _bars(self, batch: Batch) -> None:
        number = self.core.table.id(self.name)
        rows = batch.rows
        wanted = [timeframe(name).seconds for name in NAMES]
        keep = (rows["symbol"] == number) & np.isin(rows["timeframe"], wanted)
        self.told.append(rows[keep].copy())

    def hear(self, events: Sequence[dict[str, Any]]) -> None:
        self.clock.at += 10**8
        self.core.deliver(self.source, [Frame(self.clock.at, json.dumps(list(events)).encode())])

    async def rest(self) -> None:
        """Let what is overdue be amended."""
        for _ in range(2000):
            self.core.tick()
            if not self.core.mending_now:
                return
            await asyncio.sleep(0.002)
        raise AssertionError("the bars were not amended")


def event(market: str, number: int, at: float, price: int, size: int, odd: bool) -> dict[str, Any]:
    ms = round(((NIGHT if market == "crypto" else DAY) + at) * 1000)
    if market == "crypto":
        return {"ev": "XT", "pair": "BTC-USD", "p": price, "s": size, "t": ms, "i": number, "x": 1}
    found: dict[str, Any] = {
        "ev": "T", "sym": "AAPL", "x": 4, "i": str(number), "z": 3, "p": price, "s": size,
        "t": ms, "q": number,
    }  # fmt: skip
    return found | ({"c": [37]} if odd else {})


@st.composite
def streams(draw: st.DrawFn) -> tuple[str, float, list[Any]]:
    """Return a market, a lateness, and what happens: frames, looks, ends of processes."""
    market = draw(st.sampled_from(["crypto", "stocks"]))
    span = draw(st.sampled_from([1500, 1500, 40]))  # some of them full, most with gaps
    one = st.tuples(st.integers(0, span), st.integers(90, 110), st.integers(1, 5), st.booleans())
    trades = draw(st.lists(one, min_size=1, max_size=40))
    events = [event(market, i + 1, *told) for i, told in enumerate(trades)]
    order = events if draw(st.booleans()) else sorted(events, key=lambda e: e["t"])
    repeats = draw(st.lists(st.sampled_from(events), max_size=8))
    arrivals = list(order) + repeats
    for _ in range(draw(st.integers(0, 10))):
        a, b = (draw(st.integers(0, len(arrivals) - 1)) for _ in "ab")
        arrivals[a], arrivals[b] = arrivals[b], arrivals[a]
    steps: list[Any] = []
    while arrivals:
        many = draw(st.integers(1, 12))
        steps.append(arrivals[:many])
        arrivals = arrivals[many:]
        steps += draw(st.lists(st.sampled_from(["rest", "tick", "close", "end"]), max_size=1))
    return market, draw(st.sampled_from([0.0, 0.0, 3.0, 90.0])), steps


def same(found: Rows, wanted: Rows, what: str) -> None:
    names = [*SAID, "notional_rest", "vwap", "time"]
    assert found["time"].tolist() == wanted["time"].tolist(), what
    for name in names:
        assert found[name].tobytes() == wanted[name].tobytes(), (what, name)


def check_told(told: Rows) -> None:
    """Revisions of a bar rise by one, and each says something else."""
    for tf in np.unique(told["timeframe"]):
        own = told[told["timeframe"] == tf]
        for start in np.unique(own["time"]):
            some = own[own["time"] == start]
            assert some["revision"].tolist() == list(range(len(some))), (tf, some)
            assert [bool(r) for r in some["revision"]] == (some["state"] == REVISED).tolist()
            for old, new in pairwise(some):
                assert any(old[name] != new[name] for name in SAID), (tf, some)


async def live(
    store: SqliteStore, market: str, lateness: float, clock: Times, steps: list[Any], last: bool
) -> list[Rows]:
    """Live through steps as one process; the last one tells whether all is as it should be."""
    process = Process(store, market, clock, lateness)
    try:
        for step in steps:
            if step == "rest":
                await process.rest()
            elif step == "tick":
                process.core.tick()
            elif step == "close":  # the clock closes the newest bars
                clock.at += 400 * 10**9
                process.core.tick()
            else:
                process.hear(step)
        if last:
            await process.rest()
            clock.at += 4000 * 10**9
            process.core.tick()
            await process.rest()
            check_end(store, process)
    finally:
        await process.core.close()
    return process.told


def check_end(store: SqliteStore, process: Process) -> None:
    """Bars in the store and in memory, and indicators, are those of the clean stream."""
    keeper, table = process.core._keeper, process.core.table
    assert keeper is not None
    assert keeper._writer.flush(60)
    trades = store.rows("trade", process.name, table=table)
    for name in NAMES:
        wanted = time_bars(trades, name)
        own: dict[str, Any] = {"timeframe": name, "origin": 0, "table": table}
        same(store.rows("bar", process.name, **own), wanted, f"stored {name}")
        series = process.core.board.base(table.id(process.name), timeframe(name))
        assert series is not None
        same(series.window.closed(), wanted, f"in memory {name}")
        if process.market == "crypto":
            assert wanted["volume"].sum() == trades["size"].sum()
    clean = time_bars(trades, "1m")
    values = np.hstack([i.start(process.name).add(clean) for i in INDICATORS])
    assert process.window.values().tobytes() == values.tobytes()


def play(store: SqliteStore, market: str, lateness: float, steps: list[Any]) -> None:
    """Live through steps, each process in a loop of its own."""
    clock = Times((NIGHT if market == "crypto" else DAY) * 10**9 + 1600 * 10**9)
    told: list[Rows] = []
    lives: list[list[Any]] = [[]]
    for step in steps:
        if step == "end":
            lives.append([])
        else:
            lives[-1].append(step)
    for i, some in enumerate(lives):
        last = i == len(lives) - 1
        told += asyncio.run(asyncio.wait_for(live(store, market, lateness, clock, some, last), 120))
    check_told(np.concatenate([np.zeros(0, BAR), *told]))
    heard = {(e["i"], e["t"]) for step in steps if isinstance(step, list) for e in step}
    assert len(store.trades(SYMBOLS[market])) == len(heard), "each trade once"


def odd_lots(priced: float, *seconds: float) -> tuple[str, float, list[Any]]:
    """Return a stream of odd lots, a frame each, and of a trade after them that sets a price."""
    odd = [[event("stocks", i + 1, at, 100 + i, 1, True)] for i, at in enumerate(seconds)]
    return "stocks", 0.0, [*odd, "tick", [event("stocks", 99, priced, 90, 7, False)]]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(streams())
@example(odd_lots(30.5, 30, 36))  # the second takes the place in which the first waits for a price
@example(odd_lots(30.5, 36, 30, 30.25))  # its place is taken before it comes
def test_any_order_ends_in_the_bars_of_the_clean_stream(given: tuple[str, float, Any]) -> None:
    market, lateness, steps = given
    with (
        tempfile.TemporaryDirectory() as folder,
        SqliteStore(Path(folder) / "late.db", durability="normal") as store,
    ):
        play(store, market, lateness, steps)
