"""What a strip shows of each bar, compared with a slow look at every interval."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.history.coverage import Coverage
from workbench.history.ledger import Ledger
from workbench.plots.known import Known, alert_pill, known, read_known
from workbench.plots.strip import ORDER, Piece, pieces, strip_state
from workbench.store.coverage import OPEN, STATES, Interval, Series

S = 10**9
MINUTE = 60 * S
TRADES = Series("sim", "BTC-USD", "trade")


def starts(count: int) -> Any:
    return np.arange(count, dtype=np.int64) * MINUTE


def live(until: int) -> list[Interval]:
    return [
        Interval(0, until, "received", "live 1", until),
        Interval(until, OPEN, "doubt", "live 1", until, OPEN),
    ]


def test_every_state_of_a_ledger_has_a_place_in_the_order() -> None:
    assert set(ORDER) == {*STATES, "unknown"}


def test_a_live_series_is_one_run_that_goes_on() -> None:
    state = strip_state(7, starts(5), MINUTE, live(4 * MINUTE + 10 * S))
    assert state.runs == [[7, None, "received", "live 1", 0.0, None]]
    assert state.marks == []
    assert not state.incomplete


def test_nothing_changes_while_a_live_series_is_heard() -> None:
    before = strip_state(7, starts(5), MINUTE, live(4 * MINUTE + 10 * S))
    assert strip_state(7, starts(6), MINUTE, live(5 * MINUTE + 2 * S)) == before


def test_what_was_lost_is_in_doubt_to_the_newest_bar() -> None:
    lost = [
        Interval(0, 3 * MINUTE + 5 * S, "received", "live 1", 0),
        Interval(3 * MINUTE + 5 * S, OPEN, "doubt", "closed by the peer", 0, OPEN),
    ]
    state = strip_state(0, starts(4), MINUTE, lost)
    assert [run[:4] for run in state.runs] == [
        [0, 2, "received", "live 1"], [3, None, "doubt", "closed by the peer"],
    ]  # fmt: skip
    assert state.runs[1][4:] == [185_000.0, None]
    assert state.incomplete


def test_the_worst_state_within_a_bar_wins() -> None:
    mixed = [
        Interval(0, 10 * S, "received", "live 1", 0),
        Interval(10 * S, 11 * S, "missing", "declared", 0),
        Interval(11 * S, 2 * MINUTE, "backfilled", "fetch gap fill", 0),
        Interval(2 * MINUTE, 3 * MINUTE, "no-trade", "fetch a", 0),
        Interval(3 * MINUTE, 4 * MINUTE, "closed", "calendar", 0),
    ]
    shown = strip_state(0, starts(5), MINUTE, mixed)
    assert [run[2] for run in shown.runs] == ["missing", "backfilled", "no-trade", "closed"]
    assert shown.runs[0][4:] == [10_000.0, 11_000.0]
    assert shown.incomplete, "of the newest bar nothing is known"


def test_what_lies_between_bars_is_marked() -> None:
    times = np.array([0, MINUTE, 5 * MINUTE, 6 * MINUTE])
    holes = [
        Interval(0, 2 * MINUTE, "received", "live 1", 0),
        Interval(2 * MINUTE, 4 * MINUTE, "missing", "declared", 0),
        Interval(4 * MINUTE, 7 * MINUTE, "received", "live 2", 0),
    ]
    state = strip_state(3, times, MINUTE, holes)
    assert state.marks == [[5, "missing", "declared", 120_000.0, 240_000.0]]
    assert [run[:3] for run in state.runs] == [[3, 4, "received"], [5, 6, "received"]]


def test_bars_that_no_clock_ends_reach_to_the_next() -> None:
    times = np.array([0, 7 * S, 100 * S])
    holes = [
        Interval(0, 50 * S, "received", "live 1", 0),
        Interval(50 * S, 60 * S, "doubt", "bad frame", 0),
        Interval(60 * S, 200 * S, "received", "live 1", 0),
    ]
    state = strip_state(0, times, None, holes)
    assert [run[:3] for run in state.runs] == [
        [0, 0, "received"], [1, 1, "doubt"], [2, 2, "unknown"],
    ][:2]  # fmt: skip
    assert state.marks == []


@pytest.mark.parametrize(("bars", "held"), [(0, live(S)), (3, [])])
def test_of_nothing_there_is_nothing(bars: int, held: list[Interval]) -> None:
    state = strip_state(0, starts(bars), MINUTE, held)
    assert (state.runs, state.marks, state.incomplete) == ([], [], False)


STATE = st.sampled_from(STATES)
STEP = st.integers(1, 300)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 50), STEP, STATE), min_size=1, max_size=8),
    st.lists(st.integers(1, 4), min_size=1, max_size=12),
)
def test_runs_agree_with_a_look_at_every_bar(held: Any, steps: list[int]) -> None:
    times = np.cumsum(np.array(steps)) * 40
    intervals, at = [], 0
    for number, (gap, length, state) in enumerate(held):
        intervals.append(Interval(at + gap, at + gap + length, state, str(number), 0))
        at += gap + length
    shown = strip_state(0, times, 40, intervals)
    assert not [run for run in shown.runs if run[1] is None]
    for x, start in enumerate(times):
        inside = [p for p in pieces(intervals) if p.start < start + 40 and p.end > start]
        worst = max((p.state for p in inside), key=ORDER.index)
        found = [run[2] for run in shown.runs if run[0] <= x <= run[1]]
        assert found == ([] if worst == "unknown" else [worst])


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 50), STEP, STATE), max_size=8))
def test_pieces_cover_all_time_once(held: Any) -> None:
    intervals, at = [], 0
    for gap, length, state in held:
        intervals.append(Interval(at + gap, at + gap + length, state, "x", 0))
        at += gap + length
    made = pieces(intervals)
    assert all(a.end == b.start for a, b in pairwise(made))
    assert not made or made[-1] == Piece(at, OPEN, "unknown", "")


def test_a_ledger_tells_what_is_lost_and_what_is_being_filled() -> None:
    ledger, quotes = Ledger(), Series("sim", "BTC-USD", "quote")
    ledger.live([TRADES, quotes], at=0, connection="crypto 1")
    ledger.heard("sim", until=50 * S)
    found = known(Coverage(ledger.rows()))
    assert (found.lost, found.doubted) == ({}, {})
    assert alert_pill(found) == {}
    ledger.lost("sim", since=48 * S, at=55 * S, why="closed by the peer")
    found = known(Coverage(ledger.rows()))
    assert dict(found.lost) == {
        "sim BTC-USD quote": "closed by the peer", "sim BTC-USD trade": "closed by the peer",
    }  # fmt: skip
    assert alert_pill(found)["text"] == "2 series without data"
    ledger.live([TRADES, quotes], at=60 * S, connection="crypto 2")
    found = known(Coverage(ledger.rows()))
    assert (len(found.lost), len(found.doubted)) == (0, 2)
    assert alert_pill(found)["text"] == "2 series being filled"
    ledger.fetched(TRADES, 48 * S, 60 * S, 3, begun=61 * S, fetch="gap fill")
    found = known(Coverage(ledger.rows()))
    assert list(found.doubted) == ["sim BTC-USD quote"]
    state = strip_state(0, starts(2), MINUTE, found.trades["BTC-USD"])
    assert [run[2] for run in state.runs] == ["backfilled", "received"]
    assert not state.incomplete


def test_of_several_sources_the_one_that_is_live_counts() -> None:
    other = Series("massive", "BTC-USD", "trade")
    rows = [(other, Interval(0, 900 * S, "backfilled", "fetch a", 0))]
    rows += [(TRADES, one) for one in live(5 * S)]
    assert known(Coverage(rows)).trades["BTC-USD"][0].learned == "live 1"


def test_a_pill_names_some_and_counts_the_rest() -> None:
    pill = alert_pill(Known(lost={f"s{k}": "lost" for k in range(30)}))
    assert pill["count"] == 30
    assert len(pill["lines"]) == 13
    assert pill["lines"][-1] == ["and 18 more", ""]


def test_a_feed_without_a_ledger_tells_nothing() -> None:
    assert read_known(object()) == Known()
