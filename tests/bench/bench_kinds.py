"""Event bars: time a trade for each kind, over a sum of one column and against plain Python.

A million trades of one symbol in order; the floor is NumPy's sum of their sizes as they lie in
the rows. Plain Python builds the bars that are simple to write down, on fewer rows, with float
sums: less than the kernels do. Contestants take turns; medians of rounds.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from time import perf_counter
from typing import Any

import numpy as np

from workbench.bars.eventbars import EventBars, event_bars
from workbench.records import TRADE, Rows

ROUNDS = 7
COUNT = 1_000_000
FEW = 50_000
KINDS = (
    "trades:100",
    "volume:10000",
    "dollar:1e6",
    "range:0.1",
    "renko:0.1",
    "renko:0.1@1m",
    "renko:atr14@1m",
    "imbalance-trades",
    "imbalance-volume",
    "imbalance-dollar",
    "run-trades",
    "run-volume",
    "run-dollar",
)


def market(count: int) -> Rows:
    """A walk of prices in ticks of a hundredth."""
    rng = np.random.default_rng(1)
    rows = np.zeros(count, TRADE)
    rows["time"] = 1_762_180_200 * 10**9 + np.cumsum(rng.integers(1, 200_000_000, count))
    rows["received"] = rows["time"] + 1_000_000
    rows["price"] = np.round(500 + np.cumsum(rng.choice([-0.01, 0, 0.01], count)), 2)
    rows["size"] = np.round(rng.exponential(100, count)) + 1
    rows["sequence"] = np.arange(count)
    return rows


def plainly(kind: str, trades: list[Any]) -> list[list[float]]:
    """Bars of a goal or a range as a loop writes them."""
    family, _, number = kind.partition(":")
    goal = float(number)
    bars: list[list[float]] = []
    bar: list[float] | None = None
    for time, price, size in trades:
        if bar is not None and family == "range":
            high, low = max(bar[2], price), min(bar[3], price)
            if high - low > goal + 1e-9:
                bars.append(bar)
                bar = None
        if bar is None:
            bar = [time, price, price, price, price, size, price * size, 1]
        else:
            bar[2] = max(bar[2], price)
            bar[3] = min(bar[3], price)
            bar[4] = price
            bar[5] += size
            bar[6] += price * size
            bar[7] += 1
        if family != "range" and bar[{"trades": 7, "volume": 5, "dollar": 6}[family]] >= goal:
            bars.append(bar)
            bar = None
    return bars


def timed(work: Callable[[], Any]) -> float:
    begin = perf_counter()
    work()
    return perf_counter() - begin


def frames(rows: Rows, kind: str) -> float:
    """Return the time a trade in calls of 100 trades, as they come live."""
    live = EventBars(kind)
    parts = [rows[at : at + 100] for at in range(0, 100_000, 100)]
    return timed(lambda: [live.add(part) for part in parts]) / 100_000 * 1e9


def main() -> None:
    """Print all figures."""
    rows = market(COUNT)
    few = rows[:FEW]
    plain_rows = few[["time", "price", "size"]].tolist()
    floor: list[float] = []
    spent: dict[str, list[float]] = {kind: [] for kind in KINDS}
    live: dict[str, list[float]] = {kind: [] for kind in KINDS}
    plain: dict[str, list[float]] = {kind: [] for kind in KINDS[:4]}
    for kind in KINDS:
        event_bars(few, kind)
    for _ in range(ROUNDS):
        for kind in KINDS:
            floor.append(timed(lambda: rows["size"].sum()) / COUNT * 1e9)
            spent[kind].append(timed(lambda k=kind: event_bars(rows, k)) / COUNT * 1e9)  # type: ignore[misc]
            live[kind].append(frames(rows, kind))
            if kind in plain:
                plain[kind].append(timed(lambda k=kind: plainly(k, plain_rows)) / FEW * 1e9)  # type: ignore[misc]
    base = statistics.median(floor)
    print(f"{COUNT:,} trades; sum of sizes {base:.2f} ns a trade; medians of {ROUNDS} rounds")
    for kind in KINDS:
        each = statistics.median(spent[kind])
        line = (
            f"{kind:<18}{len(event_bars(rows, kind)):>8,} bars {each:7.1f} ns a trade, "
            f"{each / base:5.1f}x the sum; live, 100 a call "
            f"{statistics.median(live[kind]):6.0f} ns"
        )
        if kind in plain:
            slow = statistics.median(plain[kind])
            line += f"; plain Python {slow:5.0f} ns, {slow / each:4.0f}x as long"
        print(line)


if __name__ == "__main__":
    main()
