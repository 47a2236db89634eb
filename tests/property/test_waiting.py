"""Trades that may set no price, in any order: live bars and those built again lose none."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from hypothesis import example, given, settings
from hypothesis import strategies as st

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

    def check(self) -> None:
        for name in NAMES:
            seconds = timeframe(name).seconds
            keys = sorted(key for key in self.bars if key[1] == seconds)
            wanted, _ = tape_bars(self.trades, name)
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
