"""Signals: the same for any split of the bars, and after any late trade."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import workbench as wb
from workbench.records import REVISED, Rows
from workbench.rules import Rule, RuleRun, Signal, SignalBook
from workbench.testing.market import invented_bars

RULES = {
    "ema_cross": wb.ema_cross(3, 6, 9),
    "structure_change": wb.structure_change(2, 2),
    "vwap_reversion": wb.vwap_reversion(1.0),
    "zone_breakout": wb.zone_breakout(30, 1.0),
}
every = pytest.mark.parametrize("name", sorted(RULES))


def batch(one: Rule, bars: Rows) -> list[Signal]:
    return RuleRun(one, "SPY", "5m").add(bars)


@every
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1000), cuts=st.lists(st.integers(0, 300), max_size=8))
def test_any_split_gives_the_same_signals(name: str, seed: int, cuts: list[int]) -> None:
    bars = invented_bars(300, seed=seed)
    run = RuleRun(RULES[name], "SPY", "5m")
    parts: list[Signal] = []
    for start, end in zip([0, *sorted(cuts)], [*sorted(cuts), len(bars)], strict=True):
        parts += run.add(bars[start:end])
    assert parts == batch(RULES[name], bars)


@every
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1000), n=st.integers(0, 300))
def test_what_comes_later_changes_no_signal(name: str, seed: int, n: int) -> None:
    bars = invented_bars(300, seed=seed)
    whole = batch(RULES[name], bars)
    assert batch(RULES[name], bars[:n]) == [s for s in whole if s.bar < bars["time"][min(n, 299)]
                                            or n == 300]  # fmt: skip


@every
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000), data=st.data())
def test_after_late_trades_what_stands_is_what_the_final_bars_say(
    name: str, seed: int, data: Any
) -> None:
    bars = invented_bars(200, seed=seed)
    emitted: list[Rows] = []
    final = bars.copy()
    late = data.draw(st.dictionaries(st.integers(1, 190), st.integers(1, 9), max_size=3))
    missing = data.draw(st.sets(st.integers(1, 190), max_size=2)) - set(late)
    for i in range(len(bars)):
        if i not in missing:
            emitted.append(bars[i : i + 1])
        for row, wait in late.items():
            if row + wait == i:
                again = bars[row : row + 1].copy()
                again["close"] = again["high"]
                again["state"], again["revision"] = REVISED, 1
                final[row] = again[0]
                emitted.append(again)
        # Bars that only late trades made.
        emitted += [bars[row : row + 1] for row in missing if row + 5 == i]
    book = SignalBook(RULES[name], "SPY", "5m")
    told: list[Signal] = []
    for rows in emitted:
        told += book.add(rows)
    wanted = {(s.id, s.price, s.confidence, s.reason) for s in batch(RULES[name], final)}
    stands = {(s.id, s.price, s.confidence, s.reason) for s in book.standing()}
    assert stands == wanted
    assert told == book.signals, "nothing told is taken out of the book"
    assert np.all(np.diff([s.bar for s in book.standing()]) >= 0)
