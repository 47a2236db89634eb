"""What the ledger costs: hearing on, finding gaps, losing all, beside plain ways to do it."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

from workbench.history.ledger import Ledger
from workbench.store.coverage import Interval, Series

S = 10**9
ROUNDS = 9


def median(work: Callable[[], object]) -> float:
    """Return the median of some rounds, seconds."""
    taken = []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        work()
        taken.append(time.perf_counter() - begun)
    return statistics.median(taken)


def hearing(several: int) -> None:
    """Advance many live series by a second."""
    ledger = Ledger(persist=lambda changes: None)
    series = [Series("sim", f"S{n}", "trade") for n in range(several)]
    ledger.live(series, 0, connection="1")
    clock = iter(range(1, 10**6))
    heard = median(lambda: ledger.heard("sim", next(clock) * S))
    print(f"heard, {several} series: {heard * 1e3:8.3f} ms  {heard / several * 1e6:6.2f} us each")
    lost = median(lambda: (ledger.lost("sim", 0, S), ledger.live(series, S, connection="1")))
    print(f"lost and live again:    {lost * 1e3:8.3f} ms  {lost / heard:6.2f} x heard")


def looking(intervals: int) -> None:
    """Look for what is missing within an hour of a long history."""
    series = Series("sim", "AAPL", "bar", 60)
    states = ("backfilled", "no-trade")
    rows = [
        (series, Interval(n * 60 * S, (n + 1) * 60 * S, states[n % 2], "fetch a", 0))
        for n in range(intervals)
    ]
    ledger = Ledger(rows)
    start = intervals // 2 * 60 * S
    end = start + 3600 * S

    def scan() -> list[Interval]:
        return [one for _, one in rows if one.start < end and one.end > start]

    found = median(lambda: ledger.missing(series, start, end))
    plain = median(scan)
    print(f"missing in {intervals:,} intervals: {found * 1e6:8.1f} us, scan {plain / found:,.0f} x")

    def page() -> None:
        ledger.fetched(series, start, end, 60, begun=S, fetch="b")

    print(f"fetched over an hour:   {median(page) * 1e6:8.1f} us")


def main() -> None:
    """Print all figures."""
    hearing(500)
    looking(200_000)


if __name__ == "__main__":
    main()
