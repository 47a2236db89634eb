"""Studies: a table of 200 bars, a million bars of history, and one bar more.

The table is set beside the making of an equal DataFrame from columns that are there already,
which no study can do without; the history beside TA-Lib's average true range over the same
bars, one plain pass in C. Rounds alternate; medians and ratios are printed.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from time import perf_counter

import numpy as np
import talib

from workbench.records import BAR, Rows
from workbench.study import CATALOGUE, study

ROUNDS = 41
HISTORY = 1_000_000
START = 1_735_689_600 * 10**9


def market(n: int) -> Rows:
    """A walk of minute bars in cents."""
    rng = np.random.default_rng(11)
    bars = np.zeros(n, BAR)
    bars["time"] = START + np.arange(n) * 60 * 10**9
    bars["close"] = np.round(500 + np.cumsum(rng.normal(0, 0.05, n)), 2)
    bars["open"] = np.concatenate([[500.0], bars["close"][:-1]])
    bars["high"] = np.maximum(bars["open"], bars["close"]) + rng.exponential(0.03, n).round(2)
    bars["low"] = np.minimum(bars["open"], bars["close"]) - rng.exponential(0.03, n).round(2)
    bars["volume"] = rng.exponential(1000, n).round()
    bars["timeframe"] = 60
    bars["state"] = 2
    return bars


def medians(rounds: int, *calls: Callable[[], object]) -> list[float]:
    """Return the median seconds of each call, taken in turn."""
    taken: list[list[float]] = [[] for _ in calls]
    for _ in range(rounds):
        for times, call in zip(taken, calls, strict=True):
            begin = perf_counter()
            call()
            times.append(perf_counter() - begin)
    return [statistics.median(times) for times in taken]


def main() -> None:
    bars = market(HISTORY)
    high, low, close = (np.ascontiguousarray(bars[name]) for name in ("high", "low", "close"))
    print(f"{'study':<16} {'200 bars':>10} {'x frame':>8} {'one bar':>9} "
          f"{'1e6 bars':>9} {'x TA-Lib ATR':>13} {'rows':>8}")  # fmt: skip
    for name in CATALOGUE:
        chosen = study(name)
        few = bars[:200] if name != "liquidity" else bars[1400:1600]
        table = chosen.over(few)
        columns = {column: table[column].array for column in table}
        whole, frame = medians(
            ROUNDS,
            lambda chosen=chosen, few=few: chosen.over(few),
            lambda table=table, columns=columns: type(table)(columns, index=table.index),
        )
        run = chosen.start()
        run.add(bars[:5000])
        ones = iter(range(5000, 6000))

        def one(run=run, ones=ones) -> None:
            at = next(ones)
            run.add(bars[at : at + 1])

        (step,) = medians(500, one)

        def history(chosen=chosen) -> None:
            chosen.start().add(bars)

        long, floor = medians(3, history, lambda: talib.ATR(high, low, close, 14))
        made = chosen.start()
        made.add(bars)
        count = int(made.table().index.size)
        print(f"{name:<16} {whole * 1e6:>7.0f} us {whole / frame:>7.1f}x {step * 1e6:>6.1f} us "
              f"{long:>7.2f} s {long / floor:>12.1f}x {count:>8}")  # fmt: skip


if __name__ == "__main__":
    main()
