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
