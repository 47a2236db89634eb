"""Bars from bars equal bars from trades, in one go and as they come."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.property.sums import kept_whole
from workbench.bars.batchbars import time_bars
from workbench.bars.foldedbars import FoldedBars
from workbench.bars.folding import FrameSpans, fold_bars
from workbench.bars.timebars import BarBuilder
from workbench.digest import newest
from workbench.records import CLOSED, FORMING, REVISED, TRADE

Rows = npt.NDArray[Any]
SECOND = 10**9
START = 1_723_420_790 * SECOND

steps = st.sampled_from([0, 1, 250, 999, 1000, 2600, 14_000, 61_000, 700_000, 4_000_000])
prices = st.one_of(st.sampled_from([1.0, 1.1, 64_000.5]), st.floats(1e-4, 1e6))
sizes = st.one_of(st.sampled_from([1.0, 100.0, 0.1]), st.floats(1e-6, 1e6))


@st.composite
def markets(draw: st.DrawFn, most: int = 60) -> Rows:
    count = draw(st.integers(1, most))
    rows = np.zeros(count, TRADE)
    rows["time"] = START + np.cumsum(draw(st.lists(steps, min_size=count, max_size=count))) * 10**6
    rows["price"] = draw(st.lists(prices, min_size=count, max_size=count))
    rows["size"] = draw(st.lists(sizes, min_size=count, max_size=count))
    rows["sequence"] = draw(st.lists(st.integers(0, 3), min_size=count, max_size=count))
    assume(kept_whole(rows))
    return rows


cuts = st.lists(st.integers(0, 60), max_size=5)


def parts(rows: Rows, cuts: list[int]) -> list[Rows]:
    ends = sorted({min(c, len(rows)) for c in cuts})
    return np.split(rows, ends)


@settings(max_examples=60, deadline=None)
@given(markets(), st.sampled_from([("15s", "1m", "5m", "1h"), ("30s", "1h"), ("1m", "1d", "1w")]))
def test_any_chain_equals_the_bars_of_the_trades(trades: Rows, chain: tuple[str, ...]) -> None:
    bars = time_bars(trades, "1s")
    for name in chain:
        bars = fold_bars(bars, name)
        assert bars.tobytes() == time_bars(trades, name).tobytes()


@pytest.mark.parametrize(("sum_of_most", "exact"), [(2.0**31, True), (2.0**35, False)])
def test_a_sum_above_two_to_the_32_has_not_room_for_everything(
    sum_of_most: float, exact: bool
) -> None:
    rows = np.zeros(4, TRADE)
    rows["time"] = START + (np.arange(4) + 1) * SECOND  # three of them in the first 3 s
    rows["price"] = 1.0
    rows["size"] = [sum_of_most, 2.0**-19, 2.0**-22 * (1 + 2.0**-52), 2.0**-72]
    whole = time_bars(rows, "1m")
    minute = fold_bars(fold_bars(time_bars(rows, "1s"), "3s"), "1m")
    assert kept_whole(rows) is exact
    assert (minute.tobytes() == whole.tobytes()) is exact
    assert minute["volume"].tobytes() == whole["volume"].tobytes()


@settings(max_examples=40, deadline=None)
@given(markets(), cuts, cuts)
def test_as_they_come_equals_in_one_go(trades: Rows, first: list[int], second: list[int]) -> None:
    """With trades out of order, so that smaller bars are revised."""
    order = np.argsort(trades["price"] % 7, kind="stable")
    trades["time"] = START + (trades["time"] - START) % (200 * SECOND)
    builder, live = BarBuilder(["1s"], lateness=0), FoldedBars(FrameSpans("1m"), keep=400)
    split, whole = FoldedBars(FrameSpans("1m"), keep=400), []
    out = []
    for some in parts(trades[order], first):
        closed = builder.add(some)
        out.append(live.add(closed))
        whole.append(closed)
        forming = live.forming(builder.forming(0, "1s"))
        assert (forming["state"] == FORMING).all()
    if builder.overdue:
        return  # BarBuilder tells of those itself
    whole.append(builder.finish())
    out.append(live.add(whole[-1]))
    out.append(live.advance(1 << 61))
    emitted = np.concatenate(out)
    expected = time_bars(trades, "1m")
    got = newest(emitted)
    for some in (got, expected):
        some["revision"], some["state"] = 0, CLOSED
    assert got.tobytes() == expected.tobytes()
    # The rows emitted, revisions too, do not depend on the split.
    every = np.concatenate(whole)
    again = [split.add(some) for some in parts(every, second)] + [split.advance(1 << 61)]
    assert np.concatenate(again).tobytes() == emitted.tobytes()
    assert set(emitted["state"].tolist()) <= {CLOSED, REVISED}
    assert not len(live.forming())


@settings(max_examples=40, deadline=None)
@given(markets(), st.integers(0, 60))
def test_forming_with_forming_parts_is_the_bar_of_all_trades_so_far(trades: Rows, n: int) -> None:
    builder, live = BarBuilder(["1s"]), FoldedBars(FrameSpans("1m"))
    so_far = trades[:n]
    live.add(builder.add(so_far))
    forming = live.forming(builder.forming(0, "1s"))
    if not len(so_far):
        assert not len(forming)
        return
    expected = time_bars(so_far, "1m")[-1:]
    if live._pieces and live._pieces[-1].closed and live._pieces[-1].start == expected["time"][0]:
        return
    forming["state"] = CLOSED
    assert forming[-1:].tobytes() == expected.tobytes()
