"""The table of warm-ups, and plans of the fewest requests."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.bars.folding import fold_bars
from workbench.errors import ConfigError
from workbench.history.barloader import folded
from workbench.history.warmups import PRIORITIES, WARMUPS, Call, Series, Warmup, plan, warmup
from workbench.records import BAR
from workbench.timeframes import timeframe

MINUTE = 60 * 10**9
BASE = 1_762_128_000 * 10**9


def test_the_table_is_what_was_asked_for() -> None:
    told = {one.name: (one.bars, one.timeframe, one.priority) for one in WARMUPS}
    assert told == {
        "M1_EMA": (35, "1m", "high"),
        "M5_EMA": (35, "5m", "high"),
        "M15_EMA": (35, "15m", "medium"),
        "M1_MarketStructure": (200, "1m", "medium"),
        "M5_MarketStructure": (100, "5m", "medium"),
        "M15_MarketStructure": (60, "15m", "low"),
        "M1_StatisticalTrend": (15, "1m", "low"),
        "M5_StatisticalTrend": (15, "5m", "low"),
        "M15_StatisticalTrend": (15, "15m", "low"),
        "HVN": (200, "1m", "low"),
        "OrderBlocks": (200, "1m", "low"),
    }
    order = [PRIORITIES.index(one.priority) for one in WARMUPS]
    assert order == sorted(order)


def test_a_wrong_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="M15_EMA"):
        warmup("M15EMA")


@pytest.mark.parametrize("per_minute", [0, 60, 1000])
def test_without_a_limit_each_timeframe_is_a_request_the_urgent_first(per_minute: int) -> None:
    calls = plan(reversed(WARMUPS), per_minute)
    assert {(call.timeframe, call.bars) for call in calls} == {
        ("1m", 200), ("5m", 100), ("15m", 60)
    }  # fmt: skip
    assert calls[-1].timeframe == "15m"
    assert all(call.covers == (Series(call.timeframe, call.bars),) for call in calls)


@pytest.mark.parametrize("per_minute", [1, 5, 59])
def test_with_few_requests_one_serves_all(per_minute: int) -> None:
    (call,) = plan(WARMUPS, per_minute)
    assert (call.timeframe, call.bars) == ("1m", 930)
    assert set(call.covers) == {("1m", 200), ("5m", 100), ("15m", 60)}


def test_what_is_left_is_folded_from_the_longest_bars_that_serve() -> None:
    slow = [one for one in WARMUPS if one.timeframe != "1m"]
    (call,) = plan(slow, 5)
    assert (call.timeframe, call.bars) == ("5m", (60 + 2) * 3)
    own = [Warmup("A", "2m", 50, "high", "ema"), Warmup("B", "3m", 60, "low", "ema")]
    (call,) = plan(own, 5)
    assert (call.timeframe, call.bars) == ("1m", 186)
    assert plan(own[:1], 5) == (Call("2m", 50, (Series("2m", 50),)),)
    assert plan([], 5) == ()


def test_days_are_not_folded_and_long_answers_are_not_asked_for() -> None:
    own = [
        Warmup("Day", "1d", 50, "high", "ema"),
        Warmup("A", "1m", 50, "low", "ema"),
        Warmup("B", "5m", 50, "low", "ema"),
    ]
    assert [(call.timeframe, call.bars) for call in plan(own, 5)] == [("1m", 260), ("1d", 50)]
    far = [Warmup("A", "1m", 50, "low", "ema"), Warmup("B", "4h", 1000, "low", "ema")]
    assert [call.timeframe for call in plan(far, 5)] == ["1m", "4h"]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(1, 40), min_size=186, max_size=186),
    st.sampled_from([(5, 12), (15, 10), (3, 60)]),
    st.integers(0, 14),
)
def test_so_many_bars_always_fold_into_enough_longer_ones(
    steps: list[int], wanted: tuple[int, int], since: int
) -> None:
    """Whatever gaps there are: none of the longer bars is cut, and there are enough."""
    ratio, bars = wanted
    n = (bars + 2) * ratio
    history = np.zeros(len(steps) + 30, BAR)
    history["time"] = BASE + np.cumsum([1] * 30 + steps) * MINUTE
    history["timeframe"], history["volume"] = 60, np.arange(len(history))
    for name in ("open", "high", "low", "close"):
        history[name] = np.arange(1.0, len(history) + 1)
    length = timeframe(f"{ratio}m")
    until = int(history["time"][-1]) + (1 + since) * MINUTE
    made = folded(history[-n:].copy(), length, until)
    whole = fold_bars(history, length)
    whole = whole[whole["time"] + length.ns <= until]
    assert len(made) >= bars
    assert made.tolist() == whole[-len(made) :].tolist()
