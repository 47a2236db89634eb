"""An hour of tape at full speed: does memory grow once everything has its size?

A tape of 50 symbols with 20 trades a second each in all the frames of an hour is written, then
played through a feed whose windows and indicators are watched, in a process of its own. Memory
of that process is looked at on the way; the slope is that of a straight line through what was
seen once the windows (2000 bars) of the seconds were full, in MB an hour of tape.
"""

from __future__ import annotations

import math
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter

import msgspec
import numpy as np
import psutil

from workbench.analytics import ema, rsi, sma, vwap
from workbench.config import settings
from workbench.flow.feed import Feed
from workbench.net.replay import Replayed
from workbench.sources.massive import MassiveSource
from workbench.sources.source import Frame
from workbench.tape import TapeWriter

SYMBOLS = 50
SECONDS = 3600
BARS = 500  # of a window: all have their final size after a fifth of the hour
FULL = 720 / 3600  # hours
RATE = 8  # trades a second of each symbol
START = 1_762_180_200 * 10**9


def record(path: Path) -> int:
    """Write the tape, a frame each 100 ms, and return the number of trades."""
    rng = np.random.default_rng(1)
    prices = rng.uniform(20, 500, SYMBOLS)
    each = SYMBOLS * RATE // 10
    with TapeWriter(path) as tape:
        channel = tape.channel("massive", "stocks", "ws://127.0.0.1/stocks")
        for frame in range(SECONDS * 10):
            at = START + frame * 100_000_000
            numbers = rng.integers(0, SYMBOLS, each)
            prices[numbers] *= 1 + rng.normal(0, 1e-4, each)
            events = [
                {
                    "ev": "T", "sym": f"S{n:02d}", "x": 4, "i": str(frame * each + k), "z": 3,
                    "p": round(float(prices[n]), 2), "s": 100, "t": at // 1_000_000,
                    "q": frame * each + k + 1,
                }
                for k, n in enumerate(numbers.tolist())
            ]  # fmt: skip
            tape.append(channel, [Frame(at + 20_000_000, msgspec.json.encode(events))])
    return SECONDS * RATE * SYMBOLS


def play(path: Path) -> None:
    """Play the tape and print what memory did."""
    process = psutil.Process()
    seen: list[tuple[float, float]] = []

    def look(progress: Replayed) -> None:
        hours = progress.tape_seconds / 3600
        if not seen or hours - seen[-1][0] > 1 / 200:
            seen.append((hours, process.memory_info().rss / 1e6))

    config = settings(window_bars=BARS)
    with Feed(lambda market, table: MassiveSource(market, table=table), config=config) as feed:
        names = [f"S{n:02d}" for n in range(SYMBOLS)]
        indicators = [ema(20), sma(20), rsi(14), vwap()]
        begin = perf_counter()
        done = feed.play(path, timeframes=("1s", "1m"), on_progress=look)
        for name in names:  # after the start: a feed that replays connects to nobody
            for timeframe in ("1s", "1m"):
                feed.watch(name, timeframe, indicators)
        done.result()
        spent = perf_counter() - begin
        accepted = feed.health.numbers()["trades_accepted"]
    hours, used = np.array(seen).T
    late = hours > FULL
    slope = np.polyfit(hours[late], used[late], 1)[0]
    print(
        f"{accepted:,} trades, {SECONDS / spent:,.0f} times as fast as they came; {len(seen)} "
        f"looks: {used[0]:.0f} MB at first, {used[late][0]:.0f} MB with full windows, "
        f"{used[-1]:.0f} MB at the end, {used.max():.0f} at most; slope since the windows are "
        f"full {slope:+.2f} MB an hour of tape"
    )
    assert math.isfinite(slope)


def main() -> None:
    """Print the slope."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "hour.tape"
        count = record(path)
        print(f"{SYMBOLS} symbols, {SECONDS} s, {count:,} trades, 1s and 1m bars, 4 indicators")
        subprocess.run([sys.executable, __file__, "play", str(path)], check=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["play"]:
        play(Path(sys.argv[2]))
    else:
        main()
