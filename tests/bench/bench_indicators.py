"""Indicators: over a million bars beside TA-Lib, one bar at a time, and what compiling costs.

Batch: each indicator makes its own output, as TA-Lib does, with the same parameters on the same
columns. Every round takes all indicators, ours and TA-Lib's in turn, so that a slow moment of the
machine is no single indicator's; medians are compared. Where columns begin within a page of
memory is up to the allocator, and a store that lies just ahead of a load, counted within their
pages, costs the shortest loops up to half their time: the columns are moved each round. Where an
indicator gives several outputs, TA-Lib is called as often as it takes to get those it has.
Outputs of more than 32 MB are written to room that was there before, since the C library hands
pieces of that size back to the system at once: each call would wait for fresh pages, while
TA-Lib's columns come from memory that is kept; "fresh" is the ratio with such pages. "apart" is
the largest difference, relative to the value or to a thousandth of the values' range if that is
more; MFI's is of bars whose typical price differs from the last one's in the last bit only, which
counts as a rise, a fall or neither. Other libraries are printed beside where they are installed.
Live: one bar of one series through twelve indicators.

Arguments: ``--only sma,ema`` for some, ``--rows 100000``, ``--rounds 15``, ``--part batch``,
``--part live``, ``--part peers``, ``--part compile``.
"""

from __future__ import annotations

import argparse
import importlib
import math
import os
import statistics
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from time import perf_counter_ns, process_time
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import talib
from talib import stream
from tqdm import trange

from workbench.analytics import CATALOGUE, Indicator, Runs, indicator
from workbench.analytics.inputs import columns
from workbench.crosssection import panel
from workbench.records import BAR, Rows
from workbench.store.frames import dataframe

Column = npt.NDArray[np.float64]
Work = Callable[[], Any]
START = 1_700_000_000 * 10**9
TWELVE = (
    "sma", "ema", "rsi", "macd", "bollinger", "atr", "adx", "stochastic", "obv", "vwap", "cci",
    "supertrend",
)  # fmt: skip
#: Name: TA-Lib's calls with our defaults, giving our outputs (those it has) in our order.
TALIB: dict[str, Callable[[Any], tuple[Column, ...]]] = {
    "sma": lambda b: (talib.SMA(b.close, 20),),
    "ema": lambda b: (talib.EMA(b.close, 20),),
    "dema": lambda b: (talib.DEMA(b.close, 20),),
    "tema": lambda b: (talib.TEMA(b.close, 20),),
    "t3": lambda b: (talib.T3(b.close, 5, 0.7),),
    "wma": lambda b: (talib.WMA(b.close, 20),),
    "kama": lambda b: (talib.KAMA(b.close, 10),),
    "trix": lambda b: (talib.TRIX(b.close, 30),),
    "macd": lambda b: talib.MACD(b.close, 12, 26, 9),
    "apo": lambda b: (talib.APO(b.close, 12, 26, 0),),
    "ppo": lambda b: (talib.PPO(b.close, 12, 26, 0),),
    "rsi": lambda b: (talib.RSI(b.close, 14),),
    "stochrsi": lambda b: talib.STOCHRSI(b.close, 14, 14, 3),
    "cmo": lambda b: (talib.CMO(b.close, 14),),
    "mom": lambda b: (talib.MOM(b.close, 10),),
    "roc": lambda b: (talib.ROC(b.close, 10),),
    "ultimate": lambda b: (talib.ULTOSC(b.high, b.low, b.close, 7, 14, 28),),
    "stochastic": lambda b: talib.STOCH(b.high, b.low, b.close, 14, 3, 0, 3, 0),
    "williams": lambda b: (talib.WILLR(b.high, b.low, b.close, 14),),
    "aroon": lambda b: (*talib.AROON(b.high, b.low, 25), talib.AROONOSC(b.high, b.low, 25)),
    "cci": lambda b: (talib.CCI(b.high, b.low, b.close, 20),),
    "mfi": lambda b: (talib.MFI(b.high, b.low, b.close, b.volume, 14),),
    "adx": lambda b: (
        talib.ADX(b.high, b.low, b.close, 14),
        talib.PLUS_DI(b.high, b.low, b.close, 14),
        talib.MINUS_DI(b.high, b.low, b.close, 14),
    ),
    "adxr": lambda b: (talib.ADXR(b.high, b.low, b.close, 14),),
    "dx": lambda b: (talib.DX(b.high, b.low, b.close, 14),),
    "dmi": lambda b: (
        talib.PLUS_DI(b.high, b.low, b.close, 14),
        talib.MINUS_DI(b.high, b.low, b.close, 14),
    ),
    "psar": lambda b: (talib.SAR(b.high, b.low, 0.02, 0.2),),
    "trange": lambda b: (talib.TRANGE(b.high, b.low, b.close),),
    "atr": lambda b: (talib.ATR(b.high, b.low, b.close, 14),),
    "natr": lambda b: (talib.NATR(b.high, b.low, b.close, 14),),
    "stddev": lambda b: (talib.STDDEV(b.close, 20, 1.0),),
    "bollinger": lambda b: talib.BBANDS(b.close, 20, 2.0, 2.0),
    "obv": lambda b: (talib.OBV(b.close, b.volume),),
    "ad": lambda b: (talib.AD(b.high, b.low, b.close, b.volume),),
    "adosc": lambda b: (talib.ADOSC(b.high, b.low, b.close, b.volume, 3, 10),),
    "linreg": lambda b: (
        talib.LINEARREG(b.close, 14),
        talib.LINEARREG_SLOPE(b.close, 14),
        talib.LINEARREG_INTERCEPT(b.close, 14),
    ),
    "forecast": lambda b: (talib.TSF(b.close, 14),),
    "slope": lambda b: (talib.LINEARREG_SLOPE(b.close, 14),),
    "highest": lambda b: (talib.MAX(b.close, 30),),
    "lowest": lambda b: (talib.MIN(b.close, 30),),
    "variance": lambda b: (talib.VAR(b.close, 5, 1.0),),
    "correlation": lambda b: (talib.CORREL(b.close, b.volume, 30),),
    # TA-Lib's beta is of relative changes; ours reads the columns it is given: not compared.
}
#: Bytes up to which the C library may keep a piece of memory that is let go of.
KEPT = 32 << 20
#: Outputs that an indicator has at most.
MOST = max(len(spec.outputs) for spec in CATALOGUE.values())
PARTS = ("batch", "live", "panel", "peers", "compile")


class Bars:
    """Columns of an invented walk."""

    def __init__(self, count: int, seed: int = 1) -> None:
        rng = np.random.default_rng(seed)
        self.close = np.round(100 * np.exp(np.cumsum(rng.normal(0, 1e-4, count))), 4)
        self.open = np.concatenate([self.close[:1], self.close[:-1]])
        high = np.maximum(self.open, self.close) + rng.exponential(0.01, count)
        low = np.minimum(self.open, self.close) - rng.exponential(0.01, count)
        self.high, self.low = np.round(high, 4), np.round(low, 4)
        self.volume = np.round(rng.lognormal(5, 1, count)) + 1.0
        self.vwap = (self.high + self.low + self.close) / 3
        self.time = START + np.arange(count) * 60 * 10**9

    def rows(self) -> Rows:
        rows = np.zeros(len(self.close), BAR)
        for name in ("time", "open", "high", "low", "close", "volume", "vwap"):
            rows[name] = getattr(self, name)
        rows["notional"] = rows["vwap"] * rows["volume"]
        rows["timeframe"] = 60
        return rows


def alternate(works: dict[str, Work], rounds: int) -> dict[str, float]:
    """Return the median CPU seconds of each, run in turn; the best guess on a busy machine."""
    seen: dict[str, list[float]] = {name: [] for name in works}
    for turn in range(rounds + 1):
        for name in sorted(works, reverse=bool(turn % 2)):
            begin = process_time()
            works[name]()
            seen[name].append(process_time() - begin)
    return {name: statistics.median(spent[1:]) for name, spent in seen.items()}


def apart(ours: Column, theirs: tuple[Column, ...]) -> float:
    """Return the largest difference of the outputs that both have."""
    worst = 0.0
    for i, other in enumerate(theirs):
        mine = ours[:, i]
        both = ~(np.isnan(mine) | np.isnan(other))
        if not both.any():
            return math.nan
        reach = float(np.ptp(other[both])) or 1.0
        floor = np.maximum(np.abs(other[both]), 1e-3 * reach)
        worst = max(worst, float((np.abs(mine[both] - other[both]) / floor).max()))
        if int(np.isnan(mine).argmin()) != int(np.isnan(other).argmin()) and i == 0:
            worst = max(worst, math.inf)  # another warm-up
    return worst


class Moved:
    """Columns that both sides read, at another place of their pages each round."""

    PAGE = 4096

    def __init__(self, rows: Rows, names: list[str]) -> None:
        self._rng = np.random.default_rng(3)
        found = columns(rows, names, "UTC", "the bars")
        self._kept = dict(zip(names, found, strict=True))
        self._rooms = {
            n: np.empty(c.nbytes + 2 * self.PAGE, np.uint8) for n, c in self._kept.items()
        }
        self.bars = SimpleNamespace()

    def move(self) -> None:
        """Copy each column to a new place, a multiple of 16 bytes as an allocator gives."""
        for name, column in self._kept.items():
            room = self._rooms[name]
            begin = -room.ctypes.data % self.PAGE + 16 * int(self._rng.integers(self.PAGE // 16))
            placed = room[begin : begin + column.nbytes].view(column.dtype)
            placed[...] = column
            placed.flags.writeable = False
            setattr(self.bars, name, placed)

    def of(self, names: Sequence[str]) -> list[Any]:
        return [getattr(self.bars, name) for name in names]


class Contest:
    """One indicator, ours and TA-Lib's."""

    def __init__(self, name: str, moved: Moved, room: Column) -> None:
        self.name = name
        self._moved = moved
        self._chosen = chosen = indicator(name)
        size = (len(room) // MOST, len(chosen.spec.outputs))
        out = room[: size[0] * size[1]].reshape(size)
        self._out = out if out.nbytes > KEPT else None
        self.spent: dict[str, list[float]] = {}

    def works(self) -> dict[str, Work]:
        """Return the calls to compare, of the columns as they lie now."""
        given = self._moved.of(self._chosen.inputs)
        # TA-Lib does not look for NaN in what it is given; nor do we where the caller promises.
        own = partial(self._chosen.values, *given, finite=True)
        found: dict[str, Work] = {"ours": own}
        if self._out is not None:
            found = {"ours": partial(own, out=self._out), "fresh": own}
        if self.name in TALIB:
            found["talib"] = partial(TALIB[self.name], self._moved.bars)
        return found

    def round(self, turn: int) -> None:
        works = self.works()
        for name in sorted(works, reverse=bool(turn % 2)):
            work = works[name]
            begin = process_time()
            work()
            self.spent.setdefault(name, []).append(process_time() - begin)

    def line(self, count: int) -> tuple[str, float | None]:
        """Return the line to print, and TA-Lib's time over ours."""
        spent = {work: statistics.median(times[1:]) for work, times in self.spent.items()}
        line = f"  {self.name:<16}{spent['ours'] / count * 1e9:8.2f}"
        if "talib" not in spent:
            return line, None
        ratio = spent["talib"] / spent["ours"]
        works = self.works()
        difference = apart(works["ours"](), works["talib"]())
        line += f"  TA-Lib {spent['talib'] / count * 1e9:8.2f}  ratio {ratio:5.2f}"
        line += f"  apart {difference:.0e}"
        if "fresh" in spent:
            line += f"  fresh {spent['talib'] / spent['fresh']:.2f}"
        return line, ratio


def batch(names: list[str], count: int, rounds: int) -> None:
    rows = Bars(count).rows()
    wanted = {name for chosen in map(indicator, names) for name in chosen.inputs}
    moved = Moved(rows, sorted(wanted | {"open", "high", "low", "close", "volume"}))
    del rows
    room = np.empty(count * MOST)
    contests = [Contest(name, moved, room) for name in names]
    for turn in trange(rounds + 1, unit="round", leave=False, disable=None):
        moved.move()
        for contest in contests:
            contest.round(turn)
    ratios: dict[str, float] = {}
    print(f"Batch, {count:,} bars: ns a bar; ratio is TA-Lib's time over ours")
    for contest in contests:
        line, ratio = contest.line(count)
        if ratio is not None:
            ratios[contest.name] = ratio
        print(line, flush=True)
    if ratios:
        mean = statistics.geometric_mean(ratios.values())
        worst = sorted(ratios, key=ratios.__getitem__)[:5]
        low = ", ".join(f"{name} {ratios[name]:.2f}" for name in worst)
        print(f"  geometric mean of {len(ratios)}: {mean:.2f}x TA-Lib (aim 1.1); least: {low}")


def live(names: list[str], rounds: int) -> None:
    """One bar at a time through all at once, against the sum of TA-Lib's stream calls."""
    chosen = [indicator(name) for name in names if name in CATALOGUE]
    bars = Bars(4_000, 2)
    rows = bars.rows()
    runs = Runs(chosen, "BTC-USD")
    runs.add(rows[:1_000])
    adds, peeks = [], []
    for i in range(1_000, min(len(rows), 1_000 + 200 * rounds)):
        one = rows[i : i + 1]
        begin = perf_counter_ns()
        runs.ahead(one)
        middle = perf_counter_ns()
        runs.add(one)
        peeks.append(middle - begin)
        adds.append(perf_counter_ns() - middle)
    add, peek = statistics.median(adds) / 1e3, statistics.median(peeks) / 1e3
    print(
        f"Live, one bar of one series, {len(chosen)} indicators: add {add:.1f} us, peek {peek:.1f}"
    )
    o = [bars.high[:300].copy(), bars.low[:300].copy(), bars.close[:300].copy()]
    high, low, close = o
    volume = bars.volume[:300].copy()
    calls: list[Work] = [
        lambda: stream.SMA(close, 20), lambda: stream.EMA(close, 20),
        lambda: stream.RSI(close, 14), lambda: stream.MACD(close, 12, 26, 9),
        lambda: stream.BBANDS(close, 20, 2.0, 2.0), lambda: stream.ATR(high, low, close, 14),
        lambda: stream.ADX(high, low, close, 14),
        lambda: stream.STOCH(high, low, close, 14, 3, 0, 3, 0),
        lambda: stream.OBV(close, volume), lambda: stream.CCI(high, low, close, 20),
    ]  # fmt: skip
    theirs = [_each(calls) for _ in range(200 * rounds)]
    middle_us = statistics.median(theirs) / 1e3
    print(f"  talib.stream over 300 kept bars, the ten it has: {middle_us:.1f} us,", end=" ")
    print(f"ratio {middle_us / add:.2f}")
    _talipp(add, bars)


def _each(calls: list[Work]) -> int:
    begin = perf_counter_ns()
    for call in calls:
        call()
    return perf_counter_ns() - begin


def _talipp(add: float, bars: Bars) -> None:
    try:
        kinds = importlib.import_module("talipp.indicators")
        candle = importlib.import_module("talipp.ohlcv").OHLCV
    except ImportError:
        print("  talipp: not installed")
        return
    plain = [kinds.SMA(20), kinds.EMA(20), kinds.RSI(14), kinds.MACD(12, 26, 9), kinds.BB(20, 2.0)]
    ranged = [
        kinds.ATR(14), kinds.ADX(14, 14), kinds.Stoch(14, 3), kinds.OBV(), kinds.VWAP(),
        kinds.CCI(20), kinds.SuperTrend(10, 3),
    ]  # fmt: skip
    spent = []
    for i in range(1_500):
        one = candle(bars.open[i], bars.high[i], bars.low[i], bars.close[i], bars.volume[i])
        begin = perf_counter_ns()
        for kind in plain:
            kind.add(one.close)
        for kind in ranged:
            kind.add(one)
        spent.append(perf_counter_ns() - begin)
    middle = statistics.median(spent[500:]) / 1e3
    print(f"  talipp, the same twelve: {middle:.1f} us, ratio {middle / add:.1f}")


def peers(count: int, rounds: int) -> None:
    """A few indicators in other libraries, with the formulas a user of them would write."""
    bars = Bars(count)
    frame = pd.DataFrame({"high": bars.high, "low": bars.low, "close": bars.close})
    close = frame["close"]
    works: dict[str, dict[str, Work]] = {
        "sma": {"pandas": lambda: close.rolling(20).mean()},
        "ema": {"pandas": lambda: close.ewm(span=20, adjust=False).mean()},
        "bollinger": {"pandas": lambda: _bands(close)},
        "rsi": {}, "macd": {}, "adx": {},
    }  # fmt: skip
    missing = []
    for adder in (_polars, _classic, _vectorbt):
        try:
            adder(works, bars, frame)
        except ImportError as error:
            missing.append(str(error.name))
    print(f"Peers, {count:,} bars: their time over ours")
    rows = bars.rows()
    for name, others in works.items():
        chosen = indicator(name)
        given = columns(rows, chosen.inputs, "UTC", name)
        others["ours"] = lambda c=chosen, g=given: c.values(*g)  # type: ignore[misc]
        spent = alternate(others, max(3, rounds // 2))
        mine = spent.pop("ours")
        said = ", ".join(f"{peer} {seconds / mine:.1f}" for peer, seconds in spent.items())
        print(f"  {name:<12}{said or 'none installed'}")
    if missing:
        print(f"  not installed: {', '.join(missing)}")


def _bands(close: pd.Series[float]) -> Any:
    window = close.rolling(20)
    middle, spread = window.mean(), window.std(ddof=0)
    return middle + 2 * spread, middle, middle - 2 * spread


def _polars(works: dict[str, dict[str, Work]], bars: Bars, frame: pd.DataFrame) -> None:
    pl = importlib.import_module("polars")
    series = pl.Series("close", bars.close)
    works["sma"]["polars"] = lambda: series.rolling_mean(20)
    works["ema"]["polars"] = lambda: series.ewm_mean(span=20, adjust=False)
    works["bollinger"]["polars"] = lambda: (
        series.rolling_mean(20) + 2 * series.rolling_std(20),
        series.rolling_mean(20) - 2 * series.rolling_std(20),
    )


def _classic(works: dict[str, dict[str, Work]], bars: Bars, frame: pd.DataFrame) -> None:
    ta = importlib.import_module("pandas_ta_classic")
    high, low, close = frame["high"], frame["low"], frame["close"]
    works["sma"]["pandas-ta"] = lambda: ta.sma(close, length=20, talib=False)
    works["ema"]["pandas-ta"] = lambda: ta.ema(close, length=20, talib=False)
    works["rsi"]["pandas-ta"] = lambda: ta.rsi(close, length=14, talib=False)
    works["macd"]["pandas-ta"] = lambda: ta.macd(close, talib=False)
    works["bollinger"]["pandas-ta"] = lambda: ta.bbands(close, length=20, talib=False)
    works["adx"]["pandas-ta"] = lambda: ta.adx(high, low, close, length=14, talib=False)


def _vectorbt(works: dict[str, dict[str, Work]], bars: Bars, frame: pd.DataFrame) -> None:
    vbt = importlib.import_module("vectorbt")
    close = frame["close"]
    works["sma"]["vectorbt"] = lambda: vbt.MA.run(close, 20)
    works["ema"]["vectorbt"] = lambda: vbt.MA.run(close, 20, ewm=True)
    works["rsi"]["vectorbt"] = lambda: vbt.RSI.run(close, 14)
    works["macd"]["vectorbt"] = lambda: vbt.MACD.run(close)
    works["bollinger"]["vectorbt"] = lambda: vbt.BBANDS.run(close, 20)


def compiling() -> None:
    """Everything in a process with an empty cache, then in one that finds it full."""
    code = (
        "from time import perf_counter as now; t = now();"
        "from workbench.analytics import CATALOGUE, Indicator; a = now();"
        "[Indicator(spec).prepare() for spec in CATALOGUE.values()];"
        "print(len(CATALOGUE), a - t, now() - a)"
    )
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"XDG_CACHE_HOME": folder}
        environment.pop("NUMBA_CACHE_DIR", None)
        seen = []
        for _ in range(2):
            run = subprocess.run(
                [sys.executable, "-c", code], env=environment, capture_output=True, text=True
            )
            if run.returncode:
                raise SystemExit(run.stderr)
            seen.append(tuple(map(float, run.stdout.split())))
    (count, _, cold), (_, imported, warm) = seen
    print(
        f"Compiling all {count:.0f}: {cold:.1f} s; from the cache {warm:.2f} s "
        f"(1/{cold / warm:.0f}), after {imported:.1f} s of imports"
    )


def panels(rounds: int, symbols: int = 1_000, count: int = 10_000) -> None:
    """Many symbols at once, against a single call for each symbol and indicator.

    A panel returns all values, so single calls are also timed with theirs kept. On a machine
    that takes back memory that is let go of, to be given it again costs more than all sums.
    """
    chosen = [indicator(name) for name in TWELVE]
    rows = Bars(count).rows()
    frame = dataframe("bar", rows)
    some = {f"S{i}": frame for i in range(symbols)}

    def single() -> None:
        for symbol, bars in some.items():
            for one in chosen:
                one.over(bars, symbol)

    works: dict[str, Work] = {
        "panel": lambda: panel(some, chosen, progress=False),
        "single": single,
        "kept": lambda: {s: [one.over(bars, s) for one in chosen] for s, bars in some.items()},
    }
    walls: dict[str, list[float]] = {name: [] for name in works}
    own: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(max(2, rounds // 2) + 1):
        for name, work in works.items():
            begin, used = perf_counter_ns(), os.times().user
            work()
            walls[name].append((perf_counter_ns() - begin) / 1e9)
            own[name].append(os.times().user - used)
    wall = {name: statistics.median(times[1:]) for name, times in walls.items()}
    user = {name: statistics.median(times[1:]) for name, times in own.items()}
    print(
        f"Panel, {symbols:,} symbols x {count:,} bars x {len(chosen)} indicators, "
        f"{os.cpu_count()} cores: {wall['panel']:.2f} s, {user['panel']:.2f} of CPU"
    )
    for name, said in (("single", "single calls"), ("kept", "with values kept")):
        print(
            f"  {said} {wall[name]:.2f} s, {user[name]:.2f} of CPU: "
            f"{wall[name] / wall['panel']:.2f}x (aim 1.5), {user[name] / user['panel']:.2f}x of CPU"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--part", choices=PARTS)
    asked = parser.parse_args()
    warnings.simplefilter("ignore")  # of the peers
    names = asked.only.split(",") if asked.only else list(CATALOGUE)
    parts = (asked.part,) if asked.part else ("batch",) if asked.only else PARTS
    if "batch" in parts:
        batch([Indicator(CATALOGUE[name]).spec.name for name in names], asked.rows, asked.rounds)
    if "live" in parts:
        live(list(TWELVE), asked.rounds)
    if "peers" in parts:
        peers(asked.rows, asked.rounds)
    if "panel" in parts:
        panels(asked.rounds)
    if "compile" in parts:
        compiling()


if __name__ == "__main__":
    main()
