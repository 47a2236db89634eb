"""Trades that may set no price, in any order: live bars and those built again lose none."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from tests.property.sums import kept_whole
from workbench.bars.batchbars import time_bars
from workbench.bars.conditions import NO_HIGHLOW, NO_LAST, NO_VOLUME
from workbench.bars.tapebars import TapeBuilder, tape_bars
from workbench.records import CLOSED, TRADE
from workbench.timeframes import timeframe

Rows = npt.NDArray[Any]
SECOND = 10**9
START = 1_723_420_800 * SECOND
ODD = NO_LAST | NO_HIGHLOW
#: Mostly trades that may set no price.
MARKS = [0, 0, ODD, ODD, ODD, NO_LAST, NO_LAST | NO_VOLUME, NO_VOLUME]
NAMES = ("1s", "3s")
#: What is done between trades: nothing, building again what is overdue, the clock goes on.
NOTHING, AMEND, CLOCK = range(3)


class Listener:
    """Hear a builder as a feed does: late trades have their bars built again of all trades."""

    def __init__(self, builder: TapeBuilder, trades: Rows) -> None:
        self.builder = builder
        self.trades = trades
        self.came = 0
        self.bars: dict[tuple[int, int, int], Any] = {}
        self.late: set[tuple[int, str, int]] = set()

    def add(self, many: int) -> None:
        self.take(self.builder.add(self.trades[self.came : self.came + many]))
        self.came += many

    def take(self, bars: Rows) -> None:
        for row in bars:
            self.bars[int(row["symbol"]), int(row["timeframe"]), int(row["time"])] = row.copy()
        for one in self.builder.overdue:
            start = one.timeframe.start(int(one.trade["time"][0]))
            self.late.add((int(one.trade["symbol"][0]), one.timeframe.name, start))
        self.builder.overdue.clear()

    def amend(self) -> None:
        some = self.trades[: self.came]
        for symbol, name, start in self.late:
            end = start + timeframe(name).ns
            own = some[(some["symbol"] == symbol) & (some["time"] >= start) & (some["time"] < end)]
            self.take(time_bars(own, name))
        self.late.clear()

    def end(self) -> None:
        self.take(self.builder.finish())
        self.amend()

    def check(self, since: int = START) -> None:
        """Bars from a time on are those of all trades."""
        for name in NAMES:
            seconds = timeframe(name).seconds
            keys = sorted(key for key in self.bars if key[1] == seconds and key[2] >= since)
            wanted, _ = tape_bars(self.trades, name)
            wanted = wanted[wanted["time"] >= since]
            assert [(key[0], key[2]) for key in keys] == wanted[["symbol", "time"]].tolist(), name
            wanted["revision"], wanted["state"] = 0, CLOSED
            for key, bar in zip(keys, wanted, strict=True):
                found = self.bars[key]
                found["revision"], found["state"] = 0, CLOSED
                assert found.tobytes() == bar.tobytes(), (name, found, bar)


def tape(*trades: tuple[float, int], symbol: int = 0) -> Rows:
    """Return trades of a second each, with their marks, in the order they come."""
    rows = np.zeros(len(trades), TRADE)
    for i, (at, flags) in enumerate(trades):
        rows["time"][i] = rows["received"][i] = START + round(at * SECOND)
        rows["price"][i], rows["size"][i], rows["flags"][i] = 10 + i, 2.0**i, flags
    rows["sequence"], rows["symbol"] = np.arange(len(rows)), symbol
    return rows


@st.composite
def tapes(draw: st.DrawFn) -> Rows:
    """Return trades of up to forty seconds that come in any order, twice over some."""
    one = st.tuples(
        st.one_of(st.integers(0, 40), st.sampled_from([0, 6, 12, 18, 24])),
        st.sampled_from([0.0, 0.25, 0.5]),
        st.sampled_from(MARKS),
        st.floats(0.01, 1e5),
        st.floats(1e-4, 1e5),
        st.integers(0, 1),
    )
    told = draw(st.lists(one, min_size=1, max_size=40))
    if draw(st.booleans()):  # nearly in order, as of a feed
        slack = draw(st.sampled_from([2, 8]))
        told = [
            each
            for _, each in sorted(
                ((each[0] + draw(st.integers(0, slack)), each) for each in told),
                key=lambda pair: pair[0],
            )
        ]
    rows = np.zeros(len(told), TRADE)
    for i, (second, part, flags, price, size, symbol) in enumerate(told):
        rows["time"][i] = rows["received"][i] = START + round((second + part) * SECOND)
        rows["price"][i], rows["size"][i] = price, size
        rows["flags"][i], rows["symbol"][i] = flags, symbol
    rows["sequence"] = draw(st.lists(st.integers(0, 2), min_size=len(rows), max_size=len(rows)))
    assume(kept_whole(rows))
    return rows


steps = st.lists(
    st.tuples(st.integers(1, 12), st.sampled_from([NOTHING, AMEND, CLOCK])), min_size=1, max_size=40
)


@settings(max_examples=100, deadline=None)
@given(tapes(), steps, st.sampled_from([0.0, 0.0, 2.0, 9.0]))
@example(tape((0, ODD), (6, ODD), (0.5, 0)), [(1, NOTHING)], 0.0)  # its place is taken
@example(tape((0, ODD), (6, ODD), (0.5, 0)), [(3, NOTHING)], 0.0)
@example(tape((6, ODD), (0, ODD), (0.5, 0)), [(1, AMEND)], 0.0)  # its place is taken already
@example(tape((0, ODD), (0.5, 0), (6, 0), (7, 0)), [(1, NOTHING), (9, NOTHING)], 0.0)  # all at once
@example(tape((0, 0), (3, ODD), (9, ODD), (3.5, 0), (1, 0)), [(1, AMEND)], 0.0)
@example(tape((0, 0), (1, ODD), (7, ODD), (0.5, 0)), [(1, NOTHING)], 0.0)  # into what was ended
@example(tape((0, 0), (8, 0), (0.5, 0), (0.25, ODD)), [(1, AMEND)], 0.0)  # after it was amended
@example(tape((0, 0), (3, ODD), (9, ODD), (9.5, 0), (3.5, 0)), [(1, CLOCK)], 2.0)
def test_no_trade_is_lost_in_any_order(
    trades: Rows, steps: list[tuple[int, int]], lateness: float
) -> None:
    listener = Listener(TapeBuilder(NAMES, lateness=lateness), trades)
    at = 0
    while listener.came < len(trades):
        many, then = steps[at % len(steps)]
        at += 1
        listener.add(many)
        if then == AMEND:
            listener.amend()
        elif then == CLOCK:
            clock = int(trades["time"][: listener.came].max())
            listener.take(listener.builder.advance(clock))
    listener.end()
    listener.check()


@settings(max_examples=60, deadline=None)
@given(tapes(), st.integers(0, 40), st.integers(1, 12), st.booleans(), st.booleans())
@example(tape((0, ODD), (6, ODD), (0.5, 0)), 2, 1, False, False)  # no price yet, one given up
@example(tape((0, ODD), (18, ODD), (0.5, 0)), 2, 1, False, False)
@example(tape((0, ODD), (18, ODD), (18.5, 0), (0.5, 0)), 3, 1, True, False)
def test_none_is_lost_by_a_timeframe_that_is_adopted(
    trades: Rows, before: int, many: int, anew: bool, amended: bool
) -> None:
    listener = Listener(TapeBuilder(NAMES if anew else NAMES[:1]), trades)
    listener.add(before)
    for symbol in (0, 1):
        past = trades[: listener.came]
        own = past[past["symbol"] == symbol]
        listener.take(listener.builder.adopt(symbol, NAMES[1], own, anew=anew))
    while listener.came < len(trades):
        listener.add(many)
        if amended:
            listener.amend()
    listener.end()
    listener.check()


@settings(max_examples=60, deadline=None)
@given(tapes(), st.integers(1, 20), st.integers(1, 12))
@example(tape((20, 0), (22, ODD), (40, ODD), (21, 0), (23, 0), (4, 0), (41, 0)), 1, 1)
def test_bars_after_a_timeframe_was_added_are_whole(trades: Rows, before: int, many: int) -> None:
    listener = Listener(TapeBuilder(NAMES[:1]), trades)
    listener.add(before)
    listener.builder.add_timeframe(NAMES[1])
    while listener.came < len(trades):
        listener.add(many)
    listener.end()
    last = int(trades["time"][:before].max())
    listener.check(timeframe(NAMES[1]).start(last) + timeframe(NAMES[1]).ns)


@pytest.mark.parametrize(
    "trades",
    [
        tape((19, 0), (30, 0), (2, ODD), (20, ODD), (20.5, 0), (31, 0)),
        tape((24, 0), (30, 0), (22, ODD), (40, ODD), (25, 0), (41, 0)),
    ],
)
def test_a_timeframe_added_does_not_tell_of_half_a_bar(trades: Rows) -> None:
    """What is given up before its first price: late trades of before are overdue as ever."""
    listener = Listener(TapeBuilder(NAMES[:1]), trades)
    listener.add(2)
    listener.builder.add_timeframe(NAMES[1])
    listener.add(4)
    listener.end()
    wanted = {int(bar["time"]): bar["volume"] for bar in tape_bars(trades, NAMES[1])[0]}
    told = {key[2]: bar["volume"] for key, bar in listener.bars.items() if key[1] == 3}
    told.pop(START + 30 * SECOND, None)  # with which it began
    assert told
    assert told == {start: wanted[start] for start in told}
