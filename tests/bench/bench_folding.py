"""Bars from bars, by price, by quotes and by the tape's rules, against peers of the same run.

Folding: 1e6 bars of a second to minutes, against polars and against a sum over the same rows.
Price bars: each kind over 1e6 minutes, against a copy of the rows. Tape: trades of which half
may set no price, against the same trades as plain bars; and the builder for marked trades where
none is marked, against the plain one.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from time import perf_counter
from typing import Any

import numpy as np
import polars as pl

from workbench.bars.batchbars import time_bars
from workbench.bars.calendarbars import CalendarBars, calendar_bars
from workbench.bars.conditions import US_EQUITIES, marked
from workbench.bars.folding import fold_bars
from workbench.bars.pricebars import PriceBars, price_bars
from workbench.bars.quotebars import quote_bars
from workbench.bars.tapebars import TapeBuilder, tape_bars
from workbench.bars.timebars import BarBuilder
from workbench.records import BAR, QUOTE, TRADE, Rows

ROUNDS = 7
COUNT = 1_000_000
START = 1_762_180_200 * 10**9


def alternated(contestants: dict[str, Callable[[], Any]]) -> dict[str, float]:
    """Return the median time of each, in seconds, called in turns."""
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for name in contestants:
        contestants[name]()
    for _ in range(ROUNDS):
        for name, call in contestants.items():
            begin = perf_counter()
            call()
            times[name].append(perf_counter() - begin)
    return {name: statistics.median(some) for name, some in times.items()}


def show(title: str, times: dict[str, float], rows: int) -> None:
    """Print ns a row of each, and the ratio to the last, which is the peer."""
    peer = list(times.values())[-1]
    print(title)
    for name, seconds in times.items():
        print(f"  {name:28} {seconds / rows * 1e9:9.1f} ns a row   {seconds / peer:7.2f}")


def seconds_of(count: int, step: int) -> Rows:
    """Return bars of a walk, `step` seconds apart."""
    rng = np.random.default_rng(1)
    rows = np.zeros(count, BAR)
    rows["time"] = START - START % 10**9 + np.arange(count) * step * 10**9
    rows["timeframe"], rows["state"], rows["count"] = step, 2, 3
    rows["close"] = np.round(100 + np.abs(np.cumsum(rng.normal(0, 0.02, count))), 2)
    rows["open"] = np.r_[rows["close"][:1], rows["close"][:-1]]
    rows["high"] = np.maximum(rows["open"], rows["close"])
    rows["low"] = np.minimum(rows["open"], rows["close"])
    rows["volume"] = rng.exponential(100, count)
    rows["notional"] = rows["volume"] * rows["close"]
    return rows


def folding() -> None:
    """Fold seconds to minutes."""
    bars = seconds_of(COUNT, 1)
    table = pl.DataFrame({name: np.ascontiguousarray(bars[name]) for name in BAR.names or ()})
    table = table.with_columns(pl.col("time").cast(pl.Datetime("ns")))

    def polars() -> Any:
        return table.group_by_dynamic("time", every="1m").agg(
            pl.col("open").first(), pl.col("high").max(), pl.col("low").min(),
            pl.col("close").last(), pl.col("volume", "notional", "count").sum(),
        )  # fmt: skip

    live = [bars[at : at + 1] for at in range(0, 2000)]

    def one_by_one() -> None:
        builder = CalendarBars("session:day", "BTC-USD")
        for some in live:
            builder.add(some)

    times = alternated(
        {
            "fold_bars 1s to 1m": lambda: fold_bars(bars, "1m"),
            "calendar_bars, days": lambda: calendar_bars(bars, "session:day", "AAPL"),
            "polars group_by_dynamic": polars,
            "sum over the rows": lambda: sum(float(bars[f].sum()) for f in ("volume", "close")),
        }
    )
    show("1e6 bars of a second", times, COUNT)
    one = alternated({"one by one into a day": one_by_one})
    show("closed bars as they come", one, len(live))


def price() -> None:
    """Draw lines and columns."""
    bars = seconds_of(COUNT, 60)
    kinds = ("heikin-ashi@1m", "line-break:3@1m", "kagi:0.2@1m", "point-figure:0.05x3@1m")
    contestants: dict[str, Callable[[], Any]] = {
        kind: lambda kind=kind: price_bars(bars, kind)  # type: ignore[misc]
        for kind in kinds
    }
    contestants["copy of the rows"] = bars.copy
    show("1e6 bars of a minute", alternated(contestants), COUNT)
    some = [bars[at : at + 1] for at in range(1000)]

    def one_by_one(kind: str) -> None:
        built = PriceBars(kind)
        for row in some:
            built.add(row)

    live: dict[str, Callable[[], Any]] = {
        kind: lambda kind=kind: one_by_one(kind)  # type: ignore[misc]
        for kind in kinds
    }
    show("closed bars as they come", alternated(live), len(some))


def tape() -> None:
    """Build bars of marked trades."""
    rng = np.random.default_rng(1)
    rows = np.zeros(COUNT, TRADE)
    rows["time"] = rows["received"] = START + np.cumsum(rng.integers(0, 4 * 10**7, COUNT))
    rows["price"] = np.round(100 + np.abs(np.cumsum(rng.normal(0, 0.01, COUNT))), 2)
    rows["size"], rows["sequence"] = rng.integers(1, 200, COUNT), np.arange(COUNT)
    odd = rows.copy()
    odd["conditions"][rows["size"] < 100] = 37
    some = marked(odd, US_EQUITIES)

    def through(builder: BarBuilder, trades: Rows) -> None:
        for at in range(0, 200_000, 1000):
            builder.add(trades[at : at + 1000])

    times = alternated(
        {
            "marked()": lambda: marked(odd, US_EQUITIES),
            "tape_bars, half odd lots": lambda: tape_bars(some, "1m"),
            "time_bars": lambda: time_bars(rows, "1m"),
        }
    )
    show("1e6 trades to minutes", times, COUNT)
    names = ("1s", "1m", "5m")
    times = alternated(
        {
            "TapeBuilder, half odd lots": lambda: through(TapeBuilder(names), some),
            "TapeBuilder, none marked": lambda: through(TapeBuilder(names), rows),
            "BarBuilder": lambda: through(BarBuilder(names), rows),
        }
    )
    show("200 calls of 1,000 trades, three timeframes", times, 200_000)
    quotes = np.zeros(COUNT, QUOTE)
    quotes["time"], quotes["bid"], quotes["ask"] = rows["time"], rows["price"], rows["price"] + 1
    times = alternated(
        {
            "quote_bars, mid": lambda: quote_bars(quotes, "1m"),
            "time_bars": lambda: time_bars(rows, "1m"),
        }
    )
    show("1e6 quotes to minutes", times, COUNT)


def main() -> None:
    """Print all figures."""
    folding()
    price()
    tape()


if __name__ == "__main__":
    main()
