"""What a late trade costs the feed's thread, against running everything again.

Series: one revised bar, and one that comes in between, at distances from the end of 1e6 bars in
memory, with 0, 4 and 12 indicators; the peer is a run of the same indicators over all of them
(without indicators, a copy of the rows). Feed: a trade too late for the builder, from delivery
until its bar is revised, with 200,000 trades at hand or in a store; what the feed's thread
spends on it is told apart from what is done beside it. Event bars: a trade that moves all bars
after it, against making all of them again.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import statistics
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from workbench.analytics import Indicator, Runs, atr, bollinger, cci, ema, macd, rsi, sma, vwap
from workbench.bars.eventbars import event_bars
from workbench.bars.kinds import BarKind
from workbench.bars.prepared import prepared
from workbench.clock import SystemClock
from workbench.config import settings
from workbench.flow.core import Core
from workbench.flow.eventline import EventLine
from workbench.flow.series import Series
from workbench.records import BAR, CLOSED, REVISED, Batch, Rows, empty
from workbench.sources.massive import MassiveSource
from workbench.sources.source import Frame
from workbench.store.store import Store, open_store
from workbench.timeframes import each, timeframe

COUNT = 1_000_000
ROUNDS = 15
BOUND = 0.005
START = 1_723_420_800 * 10**9
MINUTE = 60 * 10**9
FEW: tuple[Indicator, ...] = (ema(20), sma(50), rsi(14), atr(14))
MANY: tuple[Indicator, ...] = (
    *FEW, ema(9), ema(200), sma(200), bollinger(20), macd(), cci(20), vwap(), rsi(7),
)  # fmt: skip


def walk(count: int) -> Rows:
    """Return closed bars of a walk, two minutes apart."""
    rng = np.random.default_rng(1)
    rows = np.zeros(count, BAR)
    rows["time"] = START + np.arange(count) * 2 * MINUTE
    rows["timeframe"], rows["state"], rows["count"] = 60, CLOSED, 3
    rows["close"] = np.round(100 + np.abs(np.cumsum(rng.normal(0, 0.02, count))), 2)
    rows["open"] = np.r_[rows["close"][:1], rows["close"][:-1]]
    rows["high"] = np.maximum(rows["open"], rows["close"])
    rows["low"] = np.minimum(rows["open"], rows["close"])
    rows["volume"] = rng.exponential(100, count)
    rows["vwap"] = rows["close"]
    rows["notional"] = rows["volume"] * rows["close"]
    return rows


def timed(function: Any, *given: Any) -> float:
    """Return the seconds a call takes."""
    begin = perf_counter()
    function(*given)
    return perf_counter() - begin


def series() -> None:
    """Amend a long series."""
    bars = walk(COUNT)
    for indicators in ((), FEW, MANY):
        held = Series("BTC-USD", timeframe("1m"), indicators, COUNT)
        held.add(bars)

        def again(indicators: tuple[Indicator, ...] = indicators) -> None:
            if indicators:
                Runs(indicators, "BTC-USD").add(bars)
            else:
                bars.copy()

        peer = statistics.median(timed(again) for _ in range(3))
        print(f"1e6 bars, {len(indicators)} indicators: all again {peer * 1e3:.1f} ms")
        offset = 0
        for distance in (1, 64, 1_000, 4_000):
            revised, between = [], []
            for turn in range(ROUNDS):
                one = bars[COUNT - distance : COUNT - distance + 1].copy()
                one["state"], one["revision"] = REVISED, turn + 1
                one["close"] += 0.01 * turn
                revised.append(timed(held.add, one))
                one["time"] += MINUTE + offset
                one["state"], one["revision"] = CLOSED, 0
                offset += 1
                between.append(timed(held.add, one))
            for what, times in (("revised", revised), ("in between", between)):
                median = statistics.median(times)
                verdict = "ok" if median < BOUND else "OVER 5 ms"
                print(
                    f"  {what:10} {distance:5} from the end {median * 1e3:8.3f} ms "
                    f"{peer / median:9.0f} times less  {verdict}"
                )


class _Fixed(SystemClock):
    """The wall stands still."""

    def now(self) -> int:
        return START


async def _nowhere(url: str, **options: Any) -> Any:
    raise ConnectionRefusedError(url)


async def _feed(store: Store | None, distance: int, minutes: int, each_: int) -> None:
    config = settings(lateness_seconds=0.0, max_price_deviation=0.0, max_future_seconds=0.0,
                      window_bars=minutes)  # fmt: skip
    core = Core(
        lambda market, table: MassiveSource(market, table=table),
        config, store, None, _Fixed(), random.Random(1), _nowhere,
    )  # fmt: skip
    source = MassiveSource("crypto", table=core.table)
    core._timer.cancel()  # ticks are timed by hand
    try:
        core.subscribe(["BTC-USD"], each("1m"), ("trade",))
        window = core.watch("BTC-USD", timeframe("1m"), FEW)
        rows = empty("trade", minutes * each_)
        rows["time"] = START + np.arange(len(rows)) * (MINUTE // each_)
        rows["received"], rows["id"] = rows["time"], np.arange(len(rows)) + 1
        rows["price"], rows["size"] = 100.0 + np.arange(len(rows)) % 7, 1.0
        rows["symbol"] = core.table.id("BTC-USD")
        for at in range(0, len(rows), 5_000):
            core.pipeline.take(Batch("trade", rows[at : at + 5_000].copy()))
        until = len(window)
        inside, whole = [], []
        for turn in range(ROUNDS + 2):
            at = (START + (minutes - 1 - distance) * MINUTE) // 10**6 + 1 + turn
            event = {"ev": "XT", "pair": "BTC-USD", "p": 99, "s": 1, "t": at, "i": 10**9 + turn}
            frame = Frame(int(rows["received"][-1]), json.dumps([event]).encode())
            begin = perf_counter()
            core.deliver(source, [frame])
            spent = perf_counter() - begin
            while core.mending_now:
                spent += timed(core.tick)
                await asyncio.sleep(0.0005)
            whole.append(perf_counter() - begin)
            inside.append(spent)
        assert len(window) == until
        assert (window.closed()["state"] == REVISED).sum() == 1
        inside, whole = inside[2:], whole[2:]
        median = statistics.median(inside)
        where = "a store" if store is not None else "memory"
        verdict = "ok" if median < BOUND else "OVER 5 ms"
        print(
            f"  {where:8} {distance:5} bars late: feed's thread {median * 1e3:7.3f} ms, "
            f"until revised {statistics.median(whole) * 1e3:8.2f} ms  {verdict}"
        )
    finally:
        await core.close()


def feed() -> None:
    """Bring trades too late, through the whole pipeline."""
    minutes, trades = 5_000, 40
    print(f"a feed of {minutes:,} bars, {minutes * trades:,} trades, 4 indicators")
    for distance in (64, 1_000, 4_000):
        asyncio.run(_feed(None, distance, minutes, trades))
        with (
            tempfile.TemporaryDirectory() as folder,
            open_store(Path(folder) / "late.db", durability="normal") as store,
        ):
            asyncio.run(_feed(store, distance, minutes, trades))


def events() -> None:
    """Bring trades too late for bars that depend on all trades before them."""
    count = 200_000
    rows = empty("trade", count + ROUNDS)
    rows["time"] = START + np.arange(len(rows)) * 50_000_000  # 20 a second
    rows["received"], rows["id"] = rows["time"], np.arange(len(rows)) + 1
    rng = np.random.default_rng(2)
    rows["price"] = np.round(100 + np.cumsum(rng.normal(0, 0.01, len(rows))), 2)
    rows["size"] = np.round(rng.exponential(1.0, len(rows)) + 0.01, 2)
    print(f"{count:,} trades at hand")
    for name in ("trades:100", "dollar:1e4", "imbalance-trades"):
        kind = prepared(name)
        assert isinstance(kind, BarKind)
        for distance in (100, 1_000, 10_000, 100_000):
            late = np.arange(count - distance, count - distance + ROUNDS)
            line = EventLine(kind, 0, lateness=1.0, whole=0)
            held = np.delete(rows[:count], late)
            for at in range(0, len(held), 100):
                line.add(held[at : at + 100])
            times, moved = [], 0
            for one in late[::-1]:
                held = np.concatenate([held, rows[one : one + 1]])
                line.add(rows[one : one + 1])
                times.append(timed(line.again, held))
            peer = statistics.median(timed(event_bars, rows[:count], kind) for _ in range(3))
            median = statistics.median(times)
            moved = int((event_bars(rows[:count], kind)["time"] > rows["time"][late[0]]).sum())
            print(
                f"  {name:17} {distance:7,} trades late, {moved:5,} bars move: "
                f"{median * 1e3:7.2f} ms, all again {peer * 1e3:6.2f} ms"
            )


def main() -> None:
    """Print all figures."""
    logging.disable()  # nobody listens, and that is told
    for indicator in MANY:
        indicator.prepare()
    series()
    feed()
    events()


if __name__ == "__main__":
    main()
