"""Plans: exactly the gaps, in the fewest calls, at a price that is told before."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.errors import UnknownTimeframeError
from workbench.history.plan import Plan, open_seconds, plan, planned
from workbench.history.request import Request, period_start, request, settled_until
from workbench.timeframes import timeframe

MINUTE = 60 * 10**9
BASE = 1_762_128_000 * 10**9


def crypto(start: int, end: int) -> Request:
    return Request("BTC-USD", "bar", timeframe("1m"), BASE + start * MINUTE, BASE + end * MINUTE)


@st.composite
def gap_lists(draw: st.DrawFn) -> list[tuple[int, int]]:
    edges = draw(st.lists(st.integers(0, 300), min_size=2, max_size=14, unique=True))
    edges = sorted(edges)[: len(edges) // 2 * 2]
    pairs = list(zip(edges[::2], edges[1::2], strict=True))
    return [(BASE + a * MINUTE, BASE + b * MINUTE) for a, b in pairs]


@settings(max_examples=60, deadline=None)
@given(gap_lists(), st.integers(5, 120))
def test_a_plan_covers_the_gaps_in_the_fewest_requests(
    gaps: list[tuple[int, int]], page: int
) -> None:
    calls = planned(crypto(0, 300), gaps, page_rows=page, base=60)
    assert [gap for call in calls for gap in call.gaps] == gaps
    for call in calls:
        assert (call.request.start, call.request.end) == (call.gaps[0][0], call.gaps[-1][1])
    # Every way to join neighbours, tried out.
    best = math.inf
    for cuts in itertools.product((False, True), repeat=len(gaps) - 1):
        total, first = 0, 0
        for place, cut in enumerate((*cuts, True)):
            if cut:
                total += math.ceil((gaps[place][1] - gaps[first][0]) / MINUTE / page)
                first = place + 1
        best = min(best, total)
    assert sum(call.pages for call in calls) == best


def test_neighbours_are_joined_only_where_that_saves_a_request() -> None:
    gaps = [(BASE, BASE + 10 * MINUTE), (BASE + 20 * MINUTE, BASE + 30 * MINUTE)]
    assert len(planned(crypto(0, 30), gaps, page_rows=30, base=60)) == 1
    apart = planned(crypto(0, 30), gaps, page_rows=29, base=60)
    assert [call.pages for call in apart] == [1, 1]  # two pages either way: fetch nothing twice


def test_very_many_gaps_are_planned_quickly_enough() -> None:
    gaps = [(BASE + i * 10 * MINUTE, BASE + (i * 10 + 1) * MINUTE) for i in range(3000)]
    calls = planned(crypto(0, 30_000), gaps, page_rows=50_000, base=60)
    assert sum(len(call.gaps) for call in calls) == 3000
    assert len(calls) <= 8


def test_the_cost_is_told_in_requests_minutes_and_rows() -> None:
    wish = request("BTC-USD", "1m", start="2000-01-01", end="2029-08-29")
    made = plan([wish], lambda one: [(one.start, one.end)], per_minute=5)
    assert repr(made) == "312 requests, about 63 min at 5 a minute, up to 15,599,520 rows"
    assert "312" in made._repr_html_()
    assert repr(Plan((wish,), (), 5)) == "nothing is missing"


def test_stocks_cost_only_the_hours_they_trade() -> None:
    week = request("AAPL", "1m", start="2025-11-03", end="2025-11-10")
    (call,) = plan([week], lambda one: [(one.start, one.end)]).calls
    assert call.rows == 5 * 16 * 60
    hours = request("AAPL", "1h", start="2025-11-03", end="2025-11-10")
    (call,) = plan([hours], lambda one: [(one.start, one.end)]).calls
    assert (call.rows, call.pages) == (5 * 16, 1)
    weekend = BASE + 5 * 86_400 * 10**9 + 6 * 3600 * 10**9
    assert open_seconds("AAPL", weekend, weekend + 86_400 * 10**9) == 0


def test_nothing_missing_is_no_call() -> None:
    made = plan([crypto(0, 10)], lambda one: [])
    assert made.complete
    assert made.requests == made.minutes == 0


def test_requests_are_cut_to_whole_bars() -> None:
    wish = request("BTC-USD", "5m", start="2025-11-03 00:00:01", end="2025-11-03 00:10:01")
    assert (wish.start - BASE, wish.end - BASE) == (5 * MINUTE, 15 * MINUTE)
    ticks = request("BTC-USD", start=5, end=7, kind="trade")
    assert (ticks.start, ticks.end, ticks.timeframe) == (5, 7, None)


def test_requests_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="start must come first"):
        request("AAPL", "1m", start=5, end=5)
    with pytest.raises(ValueError, match="kind is one of bar, trade, quote"):
        request("AAPL", "1m", start=5, end=6, kind="book")  # type: ignore[arg-type]
    with pytest.raises(UnknownTimeframeError, match="by timeframe"):
        request("AAPL", None, start=5, end=6)
    with pytest.raises(UnknownTimeframeError, match="fold"):
        request("AAPL", "2d", start=5, end=6)
    with pytest.raises(ValueError, match="1D"):
        period_start("soon", 0)


def test_rows_are_final_once_their_bar_is_over_and_settled() -> None:
    now = BASE + 100 * MINUTE + 30 * 10**9
    assert settled_until(timeframe("1m"), now, 0) == BASE + 100 * MINUTE
    assert settled_until(timeframe("1m"), now, 60) == BASE + 99 * MINUTE
    assert settled_until(None, now, 1) == now - 10**9
    assert settled_until(timeframe("1d"), now, 0) == now - 25 * 60 * MINUTE
