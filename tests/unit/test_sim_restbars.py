"""Pages of bars: nothing twice, nothing lost, no window cut, for any limit."""

from __future__ import annotations

from datetime import date

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.sim.aggregates import MINUTE, Schedule
from workbench.sim.history import History
from workbench.sim.hours import DAY, SECOND, day_bounds
from workbench.sim.restbars import Buckets, page
from workbench.sim.synthetic import SyntheticMarket

NOW = 1_760_000_123 * SECOND
HISTORY = History(SyntheticMarket(["SPY"], now=NOW, rate=0.02), lambda: NOW)


@settings(max_examples=60, deadline=None)
@given(
    unit=st.sampled_from(["second", "minute", "hour", "day", "week", "month"]),
    count=st.integers(1, 7),
    limit=st.integers(1, 60),
    offset=st.integers(0, 3 * 3600),
    backward=st.booleans(),
)
def test_pages_make_the_whole(
    unit: str, count: int, limit: int, offset: int, backward: bool
) -> None:
    length = {"second": 600 * SECOND, "minute": 7200 * SECOND, "hour": DAY}.get(unit, 60 * DAY)
    end = NOW - offset * SECOND
    span = (end - length, end)
    buckets = Buckets(unit, count)
    whole = page(HISTORY, "SPY", buckets, span, 50_000, backward=backward)
    assert whole.more is None
    parts, at = [], span
    for _ in range(len(whole.rows) + 1):
        one = page(HISTORY, "SPY", buckets, at, limit, backward=backward)
        parts.append(one.rows)
        windows = {buckets.window(int(t)) for t in one.rows["time"]}
        assert one.read <= limit or len(windows) == 1
        if one.more is None:
            break
        at = one.more
    joined = np.concatenate(parts[::-1] if backward else parts)
    assert np.array_equal(joined, whole.rows)
    assert (np.diff(whole.rows["time"]) > 0).all()


def test_windows_of_days_are_eastern() -> None:
    for unit, first, last in (
        ("day", date(2024, 3, 10), date(2024, 3, 11)),
        ("week", date(2024, 3, 10), date(2024, 3, 17)),
        ("month", date(2024, 3, 1), date(2024, 4, 1)),
        ("quarter", date(2024, 1, 1), date(2024, 4, 1)),
        ("year", date(2024, 1, 1), date(2025, 1, 1)),
    ):
        time = day_bounds(date(2024, 3, 10))[0] + 12 * 3600 * SECOND
        expected = (day_bounds(first)[0], day_bounds(last)[0])
        assert Buckets(unit, 1).window(time) == expected, unit


def test_schedule_of_seconds_does_not_repeat() -> None:
    schedule = Schedule(SECOND, 0, repeat=False)
    schedule.note("SPY", np.array([1, SECOND + 1]))
    assert list(schedule.due(SECOND)) == [("SPY", 0)]
    schedule.note("SPY", np.array([2]))
    assert list(schedule.due(3 * SECOND)) == [("SPY", SECOND)]
    assert list(schedule.due(MINUTE)) == []


def test_windows_that_were_open_when_somebody_asked_are_due_whole() -> None:
    schedule = Schedule(SECOND, 2 * SECOND, repeat=False)
    times = np.array([SECOND // 2, 2 * SECOND + 1, 4 * SECOND + 1])
    schedule.join("SPY", times, known=4 * SECOND + 2)
    assert list(schedule.due(20 * SECOND)) == [("SPY", 2 * SECOND), ("SPY", 4 * SECOND)]
