"""Rate of a backfill on a Dask cluster of two workers beside the same in one process.

Prints medians of alternating rounds and their ratio within a run: minute bars of several
series in pages of 25,000, from the simulator on loopback, into a store, with and without a
computation over them. The simulator makes its pages while it is asked and has its share of the
cores: the first line is what remains without a store. Needs the extra `dask`.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import distributed

from workbench.clock import SystemClock
from workbench.history.archive import Archive
from workbench.history.backfill import backfill
from workbench.history.request import request
from workbench.net.rest import Rest
from workbench.records import Rows
from workbench.sim.run import start_simulator
from workbench.sources.massive_rest import MassiveRest
from workbench.store.store import open_store

SYMBOLS = ("BTC-USD", "ETH-USD", "SOL-USD", "AVAX-USD")
_PAGE = 25_000
BARS = 60_000
ROUNDS = 3
_DAY = 86_400 * 10**9
_MINUTE = 60 * 10**9


def _archive(base: str) -> Archive:
    return Archive("bench", Rest(base), MassiveRest(page_rows=_PAGE))


def _read(base: str, start: int) -> int:
    """Ask for every page in turn and read it."""
    count = 0
    with _archive(base) as archive:
        for symbol in SYMBOLS:
            wish = request(symbol, start=start, end=start + BARS * _MINUTE)
            count += sum(len(page.batch) for page in archive.pages(wish))
    return count


def _filled(base: str, start: int, *, here: bool = False, **more: Any) -> int:
    """Fill a store, and compute of what is in it where `here` says so."""
    with tempfile.TemporaryDirectory() as folder, _archive(base) as archive:
        path = Path(folder) / "market.db"
        report = backfill(
            SYMBOLS,
            start=start,
            end=start + BARS * _MINUTE,
            source=archive,
            store=path,
            progress=False,
            **more,
        )
        assert report.complete
        if here:
            with open_store(path, mode="ro") as store:
                for symbol in SYMBOLS:
                    _smoothed(store.rows("bar", symbol, timeframe="1m"))
    return report.stored


def _smoothed(rows: Rows) -> float:
    """Stand for a computation in plain Python, some tenths of a second a page."""
    mean = 0.0
    for _ in range(20):
        for close in rows["close"].tolist():
            mean += (close - mean) * 0.01
    return mean


def main() -> None:
    """Print rows a second of each way, and the ratio of the cluster to this process."""
    start = SystemClock().now() // _DAY * _DAY - 200 * _DAY
    with (
        start_simulator(port=0, symbols=SYMBOLS) as running,
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0", silence_logs=50
        ) as local,
        distributed.Client(local, set_as_default=False) as client,
    ):
        base = running.rest_url
        more: dict[str, Any] = {"dask": client, "compute": _smoothed}
        ways: dict[str, Callable[[], int]] = {
            "download and decode in turn": lambda: _read(base, start),
            "backfill in this process": lambda: _filled(base, start),
            "backfill on two workers": lambda: _filled(base, start, dask=client),
            "in this process, then compute": lambda: _filled(base, start, here=True),
            "on two workers, which compute": lambda: _filled(base, start, **more),
        }
        taken: dict[str, list[float]] = {name: [] for name in ways}
        rows = {name: way() for name, way in ways.items()}  # once to warm up
        for _ in range(ROUNDS):
            for name, way in ways.items():
                begun = time.perf_counter()
                assert way() == rows[name]
                taken[name].append(time.perf_counter() - begun)
    medians = {name: statistics.median(times) for name, times in taken.items()}
    for name, median in medians.items():
        print(f"{name:30s} {rows[name] / median:12,.0f} rows/s  {median:6.2f} s")
    _, here, there, then, within = medians.values()
    print(f"two workers: {here / there:.2f} times the rate of this process")
    print(f"two workers that compute: {then / within:.2f} times the rate of computing afterwards")


if __name__ == "__main__":
    main()
