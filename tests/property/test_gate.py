"""The gate: every row is accepted, a duplicate or refused, and nothing else."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.gate import Gate, Quarantine
from workbench.quality.rules import Rules
from workbench.records import BAR, QUOTE, TRADE, Batch
from workbench.symbols import SymbolTable

Rows = npt.NDArray[Any]
NOW = 1_723_161_255_342_000_000
LIMIT = 2.0**49
odd = st.sampled_from([float("nan"), float("inf"), -float("inf"), -1.0, 0.0, LIMIT, 1e300])
amounts = st.one_of(st.sampled_from([1.0, 0.1, LIMIT - 1]), st.floats(1e-8, 1e6), odd)
times = st.sampled_from([NOW, NOW + 1, NOW // 1000, NOW // 10**6, NOW // 10**9, 0, -1, NOW * 4])


@st.composite
def trades(draw: st.DrawFn) -> Rows:
    rows = np.zeros(draw(st.integers(0, 12)), TRADE)
    for row in rows:
        row["price"], row["size"], row["time"] = draw(amounts), draw(amounts), draw(times)
        row["received"] = draw(st.sampled_from([0, NOW]))
        row["id"] = draw(st.integers(0, 3))
        row["exchange"], row["symbol"] = draw(st.integers(-1, 1)), draw(st.integers(0, 1))
        row["flags"] = draw(st.sampled_from([0, 0, 0, 1]))
    return rows


class Twin:
    """The rules for trades, said plainly; prices leap, so no level is judged here."""

    def __init__(self) -> None:
        self.seen: set[tuple[Any, ...]] = set()

    def judged(self, row: Any) -> str:
        price, size, time = float(row["price"]), float(row["size"]), int(row["time"])
        if not 0.0 < price < LIMIT:
            return "price"
        if not 0.0 < size < LIMIT or not price * size < LIMIT:
            return "size"
        ahead = time - int(row["received"]) if row["received"] else 0
        if not 946_684_800 * 10**9 <= time < 9 * 10**18 or ahead > 5 * 10**9:
            return "time"
        if row["flags"] & 1:
            return ""
        content = () if row["id"] else (price, size, int(row["sequence"]))
        key = (*(int(row[name]) for name in ("id", "symbol", "exchange", "time")), *content)
        if key in self.seen:
            return "duplicate"
        self.seen.add(key)
        return ""


@settings(max_examples=100, deadline=None)
@given(st.lists(trades(), max_size=6))
def test_trades_are_judged_one_by_one_and_all_accounted_for(calls: list[Rows]) -> None:
    rules = Rules.everywhere(max_price_deviation=0.0, absurd_size=0.0)
    gate, twin = Gate(SymbolTable(["A", "B"]), Quarantine(), rules=rules), Twin()
    verdicts: list[str] = []
    for rows in calls:
        mine = [twin.judged(row) for row in rows]
        kept = gate.accept(Batch("trade", rows)).rows
        assert kept.tobytes() == rows[[verdict == "" for verdict in mine]].tobytes()
        verdicts += mine
    assert gate.received["trade"] == len(verdicts)
    assert gate.accepted["trade"] == verdicts.count("")
    assert gate.duplicates["trade"] == verdicts.count("duplicate")
    assert gate.refused["trade"] == len(gate.quarantine)
    for rule in ("price", "size", "time"):
        assert gate.quarantine.counts[rule] == verdicts.count(rule)
    assert len(gate.quarantine.table(10_000)) == len(gate.quarantine)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(amounts, amounts, amounts, amounts, times), max_size=8))
def test_quotes_are_accounted_for(values: list[tuple[float, ...]]) -> None:
    rows = np.zeros(len(values), QUOTE)
    for row, (bid, ask, bid_size, ask_size, time) in zip(rows, values, strict=True):
        row["bid"], row["ask"], row["bid_size"], row["ask_size"] = bid, ask, bid_size, ask_size
        row["time"] = time
    gate = Gate(SymbolTable(["A"]), Quarantine())
    kept = gate.accept(Batch("quote", rows)).rows
    assert gate.received["quote"] == gate.accepted["quote"] + gate.refused["quote"] == len(rows)
    assert gate.refused["quote"] == len(gate.quarantine)
    for name in ("bid", "ask", "bid_size", "ask_size"):
        assert ((kept[name] >= 0) & (kept[name] < LIMIT)).all()
    assert (kept["bid"] + kept["ask"] > 0).all()
    assert (kept["time"] >= 946_684_800 * 10**9).all()


@settings(max_examples=100, deadline=None)
@given(st.lists(st.lists(st.tuples(amounts, amounts, amounts, times), max_size=6), max_size=4))
def test_provider_bars_are_accounted_for(calls: list[list[tuple[float, ...]]]) -> None:
    gate = Gate(SymbolTable(["A"]), Quarantine())
    for values in calls:
        rows = np.zeros(len(values), BAR)
        for row, (low, high, volume, time) in zip(rows, values, strict=True):
            row["open"] = row["low"] = low
            row["close"] = row["high"] = high
            row["volume"], row["time"], row["timeframe"] = volume, time, 60
        kept = gate.accept(Batch("bar", rows)).rows
        assert (kept["low"] <= kept["high"]).all()
        assert ((kept["low"] > 0) & (kept["high"] < LIMIT)).all()
        assert ((kept["volume"] >= 0) & (kept["volume"] < LIMIT)).all()
        assert (kept["time"] >= 946_684_800 * 10**9).all()
    total = gate.accepted["bar"] + gate.duplicates["bar"] + gate.refused["bar"]
    assert gate.received["bar"] == total == sum(map(len, calls))
    assert gate.refused["bar"] == len(gate.quarantine)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 400), st.integers(0, 1022), st.integers(0, 6000))
def test_as_many_trades_are_remembered_as_promised(width: int, back: int, before: int) -> None:
    """A trade that came `back` trades ago is a repeat, through growth and rotation."""
    gate = Gate(SymbolTable(["A"]), Quarantine(), remember=1024)
    rows = np.zeros(before + back + 1, TRADE)
    rows["id"], rows["price"], rows["size"], rows["time"] = range(len(rows)), 1.0, 1.0, NOW
    for start in range(0, len(rows), width):
        part = rows[start : start + width].copy()
        assert len(gate.accept(Batch("trade", part))) == len(part)
    assert len(gate.accept(Batch("trade", rows[before : before + 1].copy()))) == 0
    assert gate.duplicates["trade"] == 1
