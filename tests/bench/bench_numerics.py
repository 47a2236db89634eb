"""What odd numbers cost, and how far sums drift: every indicator, on one machine, in one run.

    python tests/bench/bench_numerics.py [drift]

The first table is the time over bars that fall to zero, after which means fade through denormal
numbers, over bars that fade themselves, over bars that stand still from some row on, over bars
of denormal prices and over such prices here and there, by the time over bars that move about.
With ``drift`` follows the deviation after 1e7 rows full of jumps by a million from the same
window seen alone.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from functools import partial
from statistics import median

import numpy as np
import numpy.typing as npt

from workbench.analytics.catalogue import CATALOGUE
from workbench.analytics.configured import Indicator

Columns = list[npt.NDArray[np.generic]]

ROWS, ROUNDS, LIMIT = 100_000, 7, 2.0
LONG = 10_000_000
DRIFT = (
    "sma", "wma", "stddev", "bollinger", "variance", "zscore", "linreg", "forecast", "slope",
    "r_squared", "correlation", "covariance", "beta", "apo", "ppo",
)  # fmt: skip


def columns(chosen: Indicator, close: npt.NDArray[np.float64]) -> Columns:
    """Return the columns an indicator reads, all of them made of closes."""
    row = np.arange(len(close))
    whole = {"session": row // 390 + 1, "week": row // 1950 + 1, "month": row // 8190 + 1}
    whole["time"] = row * 60_000_000_000
    parts = {"high": 1.01, "low": 0.99, "open": 1.001, "volume": 3.0, "notional": 300.0}
    return [whole[n] if n in whole else close * parts.get(n, 1.0) for n in chosen.inputs]


def fastest(*calls: Callable[[], object]) -> list[float]:
    """Return the median seconds of some calls, alternated."""
    times: list[list[float]] = [[] for _ in calls]
    for call in calls:
        call()
    for _ in range(ROUNDS):
        for call, kept in zip(calls, times, strict=True):
            start = time.perf_counter()
            call()
            kept.append(time.perf_counter() - start)
    return [median(kept) for kept in times]


def fading() -> None:
    """Print the slowdown of each indicator by numbers that fade away."""
    steady = 100.0 + np.cumsum(np.random.default_rng(30).normal(0.0, 0.05, ROWS))
    fallen = steady.copy()
    fallen[1_000:] = 0.0
    tail = steady.copy()
    tail[1_000:] *= np.maximum(0.98 ** np.arange(ROWS - 1_000), 0.0)
    frozen = steady.copy()
    frozen[1_000:] = steady[1_000]
    tiny = steady * 1e-310
    mixed = steady.copy()
    mixed[::50] = 1e-310
    kinds = {"zeros": fallen, "decay": tail, "frozen": frozen, "tiny": tiny, "mixed": mixed}
    worst = 0.0
    print(
        f"{'indicator':<22}{''.join(f'{kind:>8}' for kind in kinds)}"
        f"   time by that over bars that move, {ROWS:,} rows"
    )
    for name, spec in sorted(CATALOGUE.items()):
        chosen = Indicator(spec)
        given = [columns(chosen, close) for close in (steady, *kinds.values())]
        out = np.empty((ROWS, len(spec.outputs)))

        def run(at: int, chosen: Indicator = chosen, given: list[Columns] = given,
                out: npt.NDArray[np.float64] = out) -> object:  # fmt: skip
            return chosen.values(*given[at], out=out)

        plain, *odd = fastest(*[partial(run, at) for at in range(len(given))])
        ratios = [seconds / plain for seconds in odd]
        worst = max(worst, *ratios)
        flag = "  SLOW" if max(ratios) > LIMIT else ""
        print(f"{name:<22}{''.join(f'{ratio:>8.2f}' for ratio in ratios)}{flag}")
    print(f"worst {worst:.2f}; wanted: under {LIMIT:g}\n")


def drift() -> None:
    """Print how far values are from those of the same window alone, after many rows."""
    rng = np.random.default_rng(31)
    close = 100.0 + np.cumsum(rng.normal(0.0, 0.05, LONG))
    close += np.repeat(rng.integers(0, 2, LONG // 1_000), 1_000) * 1e6
    print(f"largest relative deviation from the window alone, at the end of {LONG:,} rows")
    for name in DRIFT:
        if name not in CATALOGUE:
            continue
        chosen = Indicator(CATALOGUE[name])
        given = columns(chosen, close)
        values = chosen.values(*given)
        size = chosen.warmup + 1
        off = 0.0
        for row in range(LONG - 20_000 + size, LONG, 500):
            alone = chosen.values(*[c[row - size + 1 : row + 1] for c in given])[-1]
            with np.errstate(invalid="ignore", divide="ignore"):
                apart = np.abs(values[row] - alone) / np.maximum(np.abs(alone), 1e-6)
            off = max(off, float(np.nan_to_num(apart).max()))
        print(f"{name:<22}{off:>10.1e}")


def main() -> None:
    """Print the tables."""
    fading()
    if "drift" in sys.argv[1:]:
        drift()


if __name__ == "__main__":
    main()
