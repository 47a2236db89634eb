"""Bars: the kernel for live trades at several numbers of symbols, and the batch over columns.

Live: batches of 10,000 trades of random symbols into six timeframes, CPU time a trade. One
workload closes hardly any bar, as a busy market does; the other spreads 20,000 trades a second
over all symbols, so that at many symbols most trades close bars. The floor is a sum over the
same rows.

Batch: 1e7 trades of one symbol to bars of a minute, against polars and against a NumPy sum over
the same columns. Polars uses every core, so its CPU time is printed too.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from time import perf_counter, process_time
from typing import Any

import numpy as np
import pandas as pd
import polars as pl

from workbench.bars.batchbars import time_bars
from workbench.bars.timebars import BarBuilder
from workbench.records import TRADE, Rows
from workbench.warmup import warm

ROUNDS = 7
TIMEFRAMES = ("1s", "15s", "1m", "5m", "15m", "1h")
BATCH = 10_000
START = 1_762_180_200 * 10**9
AIMS = {1: 30, 100: 35, 1_000: 70, 10_000: 170}


def market(symbols: int, rate: float, count: int) -> Rows:
    """Trades of random symbols, each a walk of its own, `rate` a second in all."""
    rng = np.random.default_rng(symbols)
    rows = np.zeros(count, TRADE)
    rows["time"] = START + np.cumsum(rng.exponential(1e9 / rate, count)).astype(np.int64)
    rows["received"] = rows["time"] + 1_000_000
    rows["symbol"] = rng.integers(0, symbols, count)
    base = rng.uniform(20, 500, symbols)
    order = np.argsort(rows["symbol"], kind="stable")
    steps = np.cumsum(rng.normal(0, 0.01, count))
    first = np.searchsorted(rows["symbol"][order], rows["symbol"][order])
    rows["price"][order] = np.round(base[rows["symbol"][order]] + steps - steps[first], 2)
    rows["size"] = np.round(rng.exponential(100, count)) + 1
    rows["sequence"] = rows["id"] = np.arange(count)
    return rows


def through(rows: Rows, symbols: int) -> tuple[float, int]:
    """Return CPU seconds for the second half of the rows, and how many bars that closed."""
    builder = BarBuilder(TIMEFRAMES, lateness=1.0)
    batches = [rows[at : at + BATCH] for at in range(0, len(rows), BATCH)]
    for batch in batches:
        batch.flags.writeable = False
    half = len(batches) // 2
    for batch in batches[:half]:
        builder.add(batch)
    begin = process_time()
    closed = sum([len(builder.add(batch)) for batch in batches[half:]])
    return process_time() - begin, closed


def live(symbols: int, rate: float) -> None:
    count = 2_000_000 if symbols >= 10_000 else 600_000
    rows = market(symbols, rate, count)
    spent, floor, closed = [], [], 0
    for _ in range(ROUNDS):
        seconds, closed = through(rows, symbols)
        spent.append(seconds)
        begin = process_time()
        rows["price"][count // 2 :].sum() + rows["size"][count // 2 :].sum()
        floor.append(process_time() - begin)
    each = statistics.median(spent) / (count / 2) * 1e9
    base = statistics.median(floor) / (count / 2) * 1e9
    print(
        f"{symbols:>7,} symbols, {rate:>9,.0f} trades/s, {closed / (count / 2):.4f} closes a trade:"
        f"{each:7.1f} ns a trade (aim with hardly a close {AIMS[symbols]}), sum of two fields "
        f"{base:.1f} ns, ratio {each / base:.1f}"
    )


def timed(work: Callable[[], Any]) -> tuple[float, float]:
    wall, cpu = perf_counter(), process_time()
    work()
    return perf_counter() - wall, process_time() - cpu


def batch(count: int, gap: int) -> None:
    """Compare at a trade every `gap` ns on average."""
    rng = np.random.default_rng(7)
    times = START + np.cumsum(rng.integers(0, 2 * gap, count))
    price = np.abs(np.round(100 + np.cumsum(rng.normal(0, 0.01, count)), 2)) + 1
    size = np.round(rng.exponential(3, count), 5)
    sequence = np.arange(count, dtype=np.uint64)
    table = pl.DataFrame(
        {"time": pl.Series(times).cast(pl.Datetime("ns")), "price": price, "size": size}
    ).set_sorted("time")
    frame = pd.DataFrame(
        {"price": price, "size": size, "sequence": sequence},
        index=pd.DatetimeIndex(times.view("M8[ns]"), name="time").tz_localize("UTC"),
    )
    p, s = pl.col("price"), pl.col("size")
    columns = [
        p.first().alias("open"), p.max().alias("high"), p.min().alias("low"),
        p.last().alias("close"), s.sum().alias("volume"), (p * s).sum().alias("notional"),
        pl.len().alias("count"),
    ]  # fmt: skip
    works: dict[str, Callable[[], Any]] = {
        "numpy sum": lambda: (times.sum(), price.sum(), size.sum()),
        "time_bars": lambda: time_bars(frame, "1m"),
        "polars": lambda: table.group_by_dynamic("time", every="1m").agg(columns),
    }
    bars, theirs = time_bars(frame, "1m"), works["polars"]()
    assert np.array_equal(bars["count"], theirs["count"].to_numpy())
    assert np.array_equal(bars["close"], theirs["close"].to_numpy())
    seen: dict[str, list[tuple[float, float]]] = {name: [] for name in works}
    for _ in range(ROUNDS):
        for name, work in works.items():
            seen[name].append(timed(work))
    wall, cpu = (
        {name: statistics.median(t[k] for t in times) / count * 1e9 for name, times in seen.items()}
        for k in (0, 1)
    )
    print(
        f"{count:,} trades to {len(bars):,} bars: time_bars {wall['time_bars']:.2f} ns a trade "
        f"(CPU {cpu['time_bars']:.2f}), polars {wall['polars']:.2f} (CPU {cpu['polars']:.2f}), "
        f"numpy sum {wall['numpy sum']:.2f}; {wall['polars'] / wall['time_bars']:.1f}x faster "
        f"than polars by the wall (aim 4), {cpu['polars'] / cpu['time_bars']:.1f}x by CPU, "
        f"{wall['time_bars'] / wall['numpy sum']:.2f}x the sum (aim 1.3)"
    )


def main() -> None:
    """Print all figures."""
    warm()
    print(f"Live: {', '.join(TIMEFRAMES)}; batches of {BATCH:,}; medians of {ROUNDS} rounds")
    for symbols in AIMS:
        live(symbols, 200.0 * symbols if symbols > 1 else 2_000.0)
    for symbols in (100, 1_000, 10_000):
        live(symbols, 20_000.0)
    print("Batch: one symbol, bars of a minute")
    for gap in (10_000_000, 100_000_000, 1_000_000_000):
        batch(10_000_000, gap)


if __name__ == "__main__":
    main()
