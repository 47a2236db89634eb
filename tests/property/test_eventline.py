"""Event bars of a running series: trades in any order, however late, end in the clean bars."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.property.test_eventbars import SECOND, kinds, markets, prices, sizes
from workbench.bars.eventbars import EventBars, event_bars
from workbench.bars.kinds import BarKind, bar_kind
from workbench.flow.eventline import EventLine
from workbench.records import TRADE

Rows = npt.NDArray[Any]
NEVER = -(1 << 62)


class Held:
    """A line and the bars that whoever follows it holds."""

    def __init__(self, kind: str, lateness: float, past: Rows, whole: int = NEVER) -> None:
        found = bar_kind(kind)
        assert isinstance(found, BarKind)
        self.line = EventLine(found, 0, lateness=lateness, whole=whole)
        self.trades = past
        self.bars = self.line.begin(past)

    def add(self, trades: Rows) -> None:
        self.trades = np.concatenate([self.trades, trades])
        self.bars = np.concatenate([self.bars, self.line.add(trades)])

    def advance(self, clock: int) -> None:
        self.bars = np.concatenate([self.bars, self.line.advance(clock)])

    def again(self) -> int:
        bars, gone = self.line.again(self.trades)
        self.bars = np.concatenate([self.bars[: len(self.bars) - gone], bars])
        return gone


@settings(max_examples=150, deadline=None)
@given(st.data(), markets(), kinds, st.sampled_from([0.0, 0.5, 3.0]))
def test_any_order_ends_in_the_bars_of_all_trades(
    data: st.DataObject, trades: Rows, kind: str, lateness: float
) -> None:
    order = data.draw(st.permutations(range(len(trades))))
    begun = data.draw(st.integers(0, len(trades)))
    held = Held(kind, lateness, trades[list(order[:begun])])
    at, clock = begun, 0
    while at < len(trades):
        end = at + data.draw(st.integers(1, 9))
        some = trades[list(order[at:end])].copy()
        some["received"] = held.trades["received"].max(initial=int(some["time"].max()))
        held.add(some)
        at = end
        if data.draw(st.booleans()):
            held.again()
        if data.draw(st.booleans()):
            clock = max(clock, int(some["received"][0]) + data.draw(st.integers(0, 5)) * SECOND)
            held.advance(clock)
    held.again()
    assert held.line.late is None
    held.advance(clock)
    clean = EventBars(kind, lateness=lateness)
    bars = np.concatenate([clean.add(_ordered(held.trades)), clean.advance(clock)])
    assert held.bars.tobytes() == bars.tobytes()
    assert held.line.forming().tobytes() == clean.forming().tobytes()
    if kind != "renko:0.5@1s":  # of which the clock ends bars, and a list of trades has none
        assert held.bars.tobytes() == event_bars(trades, kind)[: len(bars)].tobytes()


def _ordered(trades: Rows) -> Rows:
    return trades[np.lexsort((trades["sequence"], trades["time"]))]


def walk(n: int, gap: float = 0.05) -> Rows:
    """Trades of a market, the gaps between them even."""
    rng = np.random.default_rng(7)
    trades = np.zeros(n, TRADE)
    trades["time"] = 1_723_420_800 * SECOND + (np.arange(n) * gap * SECOND).astype(np.int64)
    trades["received"] = trades["time"] + 1_000_000
    trades["price"] = 100 + np.round(np.cumsum(rng.standard_normal(n)) * 0.05, 2)
    trades["size"] = np.round(rng.exponential(1, n) + 0.01, 2)
    trades["sequence"] = np.arange(n)
    return trades


@pytest.mark.parametrize("kind", ["trades:20", "renko:0.2", "imbalance-trades:10"])
def test_the_way_back_is_no_longer_than_it_must_be(kind: str) -> None:
    trades = walk(40_000)
    late = [39_000, 39_500]
    held = Held(kind, 1.0, trades[:20_000])
    for at in range(20_000, 40_000, 100):
        some = trades[at : at + 100]
        held.add(some[~np.isin(np.arange(at, at + 100), late)])
        held.advance(int(some["received"][-1]) + SECOND // 4)
    before = len(held.bars)
    held.add(trades[late])
    assert (held.line.late, held.line.overdue) == (int(trades["time"][39_000]), 2)
    gone = held.again()
    since = trades["time"][39_000] - 2 * SECOND
    assert 0 < gone <= (event_bars(trades, kind)["time"] >= since).sum()
    assert gone < before / 10
    held.advance(int(trades["received"][-1]) + 2 * SECOND)
    clean = event_bars(trades, kind)
    assert held.bars.tobytes() == clean[clean["state"] == 2].tobytes()
    assert len(held.line._marks) <= 256


def test_old_trades_are_reached_through_checkpoints_that_lie_farther_apart() -> None:
    trades = walk(30_000)
    late = [3000]
    held = Held("dollar:2000", 1.0, trades[:0])
    for at in range(0, 30_000, 10):
        held.add(trades[at : at + 10][~np.isin(np.arange(at, at + 10), late)])
    assert len(held.line._marks) <= 256
    held.add(trades[late])
    # A mark lies not farther off than four times the even spacing of the older ones.
    since = trades["time"][3000] - 4 * int(np.ptp(trades["time"])) // 128
    assert held.again() <= (held.bars["time"] >= since).sum()
    held.advance(int(trades["received"][-1]) + 2 * SECOND)
    clean = event_bars(trades, "dollar:2000")
    assert held.bars.tobytes() == clean[clean["state"] == 2].tobytes()


def test_what_the_trades_at_hand_do_not_reach_stays_as_it_is() -> None:
    trades = walk(6000)
    held = Held("trades:20", 0.0, trades[:3000])
    held.add(trades[3001:5000])
    bars = held.bars.tobytes()
    held.add(trades[3000:3001])
    held.trades = held.trades[-2000:]  # older ones have fallen off
    held.line.whole = int(trades["time"][3001])
    assert held.again() == 0
    assert held.line.late is None
    assert held.bars.tobytes() == bars
    held.add(trades[5001:])
    held.add(trades[5000:5001])
    held.line.whole = int(trades["time"][4000])
    assert held.again() > 0
    kept = np.delete(trades, 3000)
    held.advance(int(trades["received"][-1]) + SECOND)
    clean = event_bars(kept, "trades:20")
    assert held.bars.tobytes() == clean[clean["state"] == 2].tobytes()


def test_a_quiet_symbol_in_a_busy_feed_goes_on() -> None:
    trades = walk(9000)
    held = Held("trades:20", 0.0, trades[:100])
    held.line.whole = int(trades["time"][-1]) + 3600 * SECOND  # all of others that are at hand
    for at in range(100, 9000, 20):
        held.add(trades[at : at + 20])
    clean = event_bars(trades, "trades:20")
    assert held.bars.tobytes() == clean[: len(held.bars)].tobytes()
    held.add(trades[50:51])
    assert held.again() == 0


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(prices, sizes), min_size=1, max_size=20), kinds)
def test_trades_of_one_moment_are_no_late_ones(some: list[tuple[float, float]], kind: str) -> None:
    trades = walk(len(some), gap=0.0)
    trades["price"] = [price for price, _ in some]
    trades["size"] = [min(size, 1e12 / price) for price, size in some]
    held = Held(kind, 0.0, trades[:0])
    for row in trades[::-1]:
        held.add(row.reshape(1))
    assert held.line.late is None
    assert held.line.forming()["count"].sum() == len(trades)
