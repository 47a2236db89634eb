"""Rows of history that cannot be true are refused by the rules of the gate."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.gate import Gate, Quarantine
from workbench.history.screening import screen
from workbench.kernels.exact import LIMIT
from workbench.records import CLOSED, Batch, Kind, empty
from workbench.symbols import SymbolTable

NOW = 1_762_185_600 * 10**9
DAY = 86_400 * 10**9
NUMBERS = st.sampled_from([0.0, -1.0, 1.0, 9.5, 10.0, 11.0, LIMIT, 1e300, math.inf, math.nan])
TIMES = st.sampled_from([0, NOW // 1000, NOW - DAY, NOW, NOW + DAY, NOW + DAY + 1, 10**9])
FIELDS = {
    "trade": ("price", "size"),
    "quote": ("bid", "ask", "bid_size", "ask_size"),
    "bar": ("open", "high", "low", "close", "volume", "vwap", "notional"),
}


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(["trade", "quote", "bar"]), st.data())
def test_the_gate_refuses_the_same(kind: Kind, data: st.DataObject) -> None:
    n = data.draw(st.integers(0, 12))
    rows = empty(kind, n)
    for place in range(n):
        rows[place]["time"] = data.draw(TIMES)
        for name in FIELDS[kind]:
            rows[place][name] = data.draw(NUMBERS)
    if kind == "trade":
        rows["id"] = np.arange(n)
    if kind == "bar":
        rows["timeframe"], rows["state"] = 60, CLOSED
        rows["count"] = np.arange(n)
        rows["time"] = np.minimum(rows["time"], NOW)  # the gate knows no receipt of a bar
    else:
        rows["received"] = NOW
    batch = Batch(kind, rows)
    kept, refused = screen(batch, now=NOW)
    quarantine = Quarantine()
    gate = Gate(SymbolTable(["SPY"]), quarantine)
    assert kept.rows.tobytes() == gate.accept(batch).rows.tobytes()
    assert {rule: len(some) for rule, some in refused} == dict(quarantine.counts)


def test_a_clean_batch_is_not_copied() -> None:
    rows = empty("bar", 3)
    for name in ("open", "high", "low", "close"):
        rows[name] = 10.0
    rows["time"] = NOW
    batch = Batch("bar", rows)
    kept, refused = screen(batch, now=NOW)
    assert kept is batch
    assert refused == []


@pytest.mark.parametrize(("start", "held"), [(None, 0), (NOW, 0), (0, 1)])
def test_who_asks_for_the_last_century_gets_it(start: int | None, held: int) -> None:
    rows = empty("trade", 1)
    rows["time"], rows["price"], rows["size"] = 800_000_000 * 10**9, 5.0, 1.0
    kept, refused = screen(Batch("trade", rows), now=NOW, start=start)
    assert len(kept) == held
    assert [rule for rule, _ in refused] == ["time"] * (1 - held)
