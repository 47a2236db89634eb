"""The ring of newest rows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.flow.recent import Recent
from workbench.records import TRADE, Batch


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 12), st.lists(st.lists(st.integers(0, 20), max_size=30), max_size=8))
def test_it_holds_the_newest_rows_of_all(capacity: int, calls: list[list[int]]) -> None:
    recent = Recent("trade", capacity)
    told: list[tuple[int, float]] = []
    for symbols in calls:
        rows = np.zeros(len(symbols), TRADE)
        rows["symbol"] = symbols
        rows["price"] = np.arange(len(told), len(told) + len(symbols))
        recent.add(Batch("trade", rows))
        told += [(s, float(p)) for s, p in zip(symbols, rows["price"], strict=True)]
    kept = told[-capacity:]
    for symbol in {s for s, _ in told} | {3}:
        mine = [p for s, p in kept if s == symbol]
        assert recent.of(symbol)["price"].tolist() == mine
        for last in (0, 1, 2, 100):
            assert recent.of(symbol, last)["price"].tolist() == mine[max(0, len(mine) - last) :]
        ever = [p for s, p in told if s == symbol]
        assert recent.last(symbol)["price"].tolist() == ever[-1:]
    assert recent.total == len(told)
    assert recent.complete == (len(told) <= capacity)


def test_answers_are_copies() -> None:
    recent = Recent("trade", 4)
    rows = np.zeros(2, TRADE)
    rows["price"] = 5.0
    recent.add(Batch("trade", rows))
    recent.of(0)["price"] = 9.0
    recent.last(0)["price"] = 9.0
    assert recent.of(0)["price"].tolist() == [5.0, 5.0]
    assert recent.last(0)["price"].tolist() == [5.0]
    assert recent.last(99).dtype == TRADE


@pytest.mark.parametrize("symbol", [16, 17, 5000])
def test_symbols_of_any_number(symbol: int) -> None:
    recent = Recent("trade", 4)
    rows = np.zeros(1, TRADE)
    rows["symbol"], rows["price"] = symbol, 2.0
    recent.add(Batch("trade", rows))
    assert recent.last(symbol)["price"].tolist() == [2.0]
    assert len(recent.last(symbol - 1)) == 0


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 30)), min_size=1, max_size=40),
    st.lists(st.integers(0, 30), max_size=20),
    st.tuples(st.integers(0, 30), st.integers(0, 31)),
)
def test_rows_of_a_stretch_are_replaced_as_far_back_as_there_are_any(
    told: list[tuple[int, int]], others: list[int], stretch: tuple[int, int]
) -> None:
    recent = Recent("trade", 100)
    rows = np.zeros(len(told), TRADE)
    rows["symbol"], rows["time"] = [s for s, _ in told], [t for _, t in told]
    rows["price"] = 1.0
    recent.add(Batch("trade", rows))
    before, nobodys = recent.of(1), recent.of(0).tobytes()
    new = np.zeros(len(others), TRADE)
    new["symbol"], new["time"], new["price"] = 1, sorted(others), 2.0
    start, end = max(stretch[0], int(before["time"].min(initial=100))), stretch[1]
    recent.replace(1, *stretch, new)
    inside = (before["time"] >= start) & (before["time"] < end)
    wanted = [(int(t), 1.0) for t in before["time"][~inside]]
    wanted += [(t, 2.0) for t in others if start <= t < end]
    after = recent.of(1)
    assert sorted(zip(after["time"].tolist(), after["price"].tolist(), strict=True)) == (
        sorted(wanted)
    )
    changed = inside.any() or len(wanted) > len(before)
    assert recent.replaced == ({1: start} if changed else {})
    assert recent.last(1).tobytes() == recent.of(1, 1).tobytes()
    assert recent.of(0).tobytes() == nobodys


def test_what_has_fallen_off_is_not_put_back() -> None:
    recent = Recent("trade", 10)
    rows = np.zeros(30, TRADE)
    rows["time"], rows["price"] = np.arange(30), 1.0
    recent.add(Batch("trade", rows))
    rows = rows.copy()
    rows["price"] = 2.0
    recent.replace(0, 0, 25, rows)
    assert recent.of(0)["time"].tolist() == list(range(20, 30))
    assert recent.of(0)["price"].tolist() == [2.0] * 5 + [1.0] * 5
    assert recent.replaced == {0: 20}
