"""Warm-ups of a symbol against fetching their three series and nothing else, over loopback."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from workbench.history.archive import Archive
from workbench.history.coordinator import Coordinator
from workbench.history.fetch import fetch_bars
from workbench.net.limits import NoLimit
from workbench.net.rest import Rest
from workbench.sim.run import start_simulator
from workbench.sources.massive_rest import MassiveRest

ROUNDS = 15
SERIES = (("1m", 200), ("5m", 100), ("15m", 60))


class Few(NoLimit):
    """Lets all pass, but says that there are few."""

    per_minute = 5


def seconds(work: Callable[[], object]) -> float:
    """Return how long a call takes."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def main() -> None:
    """Print medians of alternated rounds, and their ratios to the fetches alone."""
    with start_simulator(port=0, symbols=("BTC-USD",)) as simulator:

        def opened(limit: NoLimit) -> Archive:
            return Archive(
                "here", Rest(simulator.rest_url, limit=limit), MassiveRest(), limit=limit
            )

        with opened(NoLimit()) as many, opened(Few()) as few, ThreadPoolExecutor(3) as pool:

            def alone() -> None:
                tasks = [
                    pool.submit(fetch_bars, "BTC-USD", name, limit=bars, source=many)
                    for name, bars in SERIES
                ]
                for task in tasks:
                    task.result()

            with (
                Coordinator(many) as grouped,
                Coordinator(many, use_priority_mode=False) as at_once,
                Coordinator(few) as one_request,
            ):
                contestants: dict[str, Callable[[], object]] = {
                    "three fetches alone": alone,
                    "eleven warm-ups, by priority": lambda: grouped.fetch(
                        "BTC-USD", force=True
                    ).result(),
                    "eleven warm-ups, at once": lambda: at_once.fetch(
                        "BTC-USD", force=True
                    ).result(),
                    "eleven warm-ups, one request": lambda: one_request.fetch(
                        "BTC-USD", force=True
                    ).result(),
                    "eleven warm-ups, at hand": lambda: grouped.fetch("BTC-USD").result(),
                }
                times: dict[str, list[float]] = {name: [] for name in contestants}
                for number in range(ROUNDS + 2):
                    for name, work in contestants.items():
                        spent = seconds(work)
                        if number >= 2:  # kernels load and connections open in the first
                            times[name].append(spent)
    floor = statistics.median(times["three fetches alone"])
    for name, spent_all in times.items():
        median = statistics.median(spent_all)
        print(f"{name:32} {1000 * median:8.1f} ms  {median / floor:5.2f}x")


if __name__ == "__main__":
    main()
