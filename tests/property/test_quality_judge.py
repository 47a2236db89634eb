"""The level: conservation with releases, splits, the twin without Numba, injected faults."""

from __future__ import annotations

import itertools
import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.gate import Gate, Quarantine
from workbench.kernels import gate as kernel
from workbench.quality.judge import Judge
from workbench.quality.rules import Rules
from workbench.records import QUOTE, TRADE, Batch
from workbench.symbols import SymbolTable

Rows = npt.NDArray[Any]
NOW = 1_723_161_255_342_000_000
SECOND = 10**9
#: Levels that trades leap between, bad prints, and what lies within five per cent.
prices = st.sampled_from([100.0, 101.0, 99.0, 104.9, 130.0, 131.0, 133.0, 60.0, 61.0, 1e4, 0.01])


@st.composite
def markets(draw: st.DrawFn) -> Rows:
    n = draw(st.integers(0, 40))
    rows = np.zeros(n, TRADE)
    rows["price"] = [draw(prices) for _ in range(n)]
    rows["size"] = [draw(st.sampled_from([1.0, 2.0, 1e5])) for _ in range(n)]
    steps = st.sampled_from([0, 1, SECOND // 2, 2 * SECOND, -SECOND, 4000 * SECOND, -90 * SECOND])
    rows["time"] = NOW + np.cumsum([draw(steps) for _ in range(n)]).astype(np.int64)
    rows["received"] = rows["time"]
    rows["id"] = [draw(st.integers(0, 60)) for _ in range(n)]
    rows["symbol"] = [draw(st.integers(0, 1)) for _ in range(n)]
    rows["conditions"] = [draw(st.sampled_from([0, 0, 0, 22, 37 << 8])) for _ in range(n)]
    return rows


def a_gate() -> Gate:
    table = SymbolTable(["BTC-USD", "AAPL", "X:ETHUSD"])
    return Gate(table, Quarantine(10_000), 1024, Rules())


@settings(max_examples=60, deadline=None)
@given(markets(), st.lists(st.integers(0, 40), max_size=4))
def test_any_split_gives_the_same_rows_and_every_row_counts_once(
    rows: Rows, cuts: list[int]
) -> None:
    whole, parts = a_gate(), a_gate()
    kept = whole.accept(Batch("trade", rows.copy())).rows
    edges = [0, *sorted(min(cut, len(rows)) for cut in cuts), len(rows)]
    pieces = [
        parts.accept(Batch("trade", rows[a:b].copy())).rows for a, b in itertools.pairwise(edges)
    ]
    assert np.concatenate(pieces).tobytes() == kept.tobytes()
    for gate in (whole, parts):
        total = gate.accepted["trade"] + gate.duplicates["trade"] + gate.refused["trade"]
        assert gate.received["trade"] == len(rows) == total
        assert gate.accepted["trade"] == len(kept)
        assert (
            gate.refused["trade"] == len(gate.quarantine) == gate.quarantine.summary().sum().sum()
        )
        entries = gate.quarantine.entries()
        assert sum(one.outcome == "released" for one in entries) == gate.released["trade"]
        assert sum(one.outcome == "refused" for one in entries) == gate.refused["trade"]
        table = gate.table()
        assert table["trades"].sum() == gate.accepted["trade"]
        assert table["refused"].sum() == gate.refused["trade"]
        assert table["duplicate"].sum() == gate.duplicates["trade"]
    # Nothing is accepted twice, and together with what is refused nothing is missing.
    refused = [one.row.tobytes() for one in entries if one.outcome == "refused"]  # type: ignore[union-attr]
    accepted = [row.tobytes() for row in kept]
    left = [row.tobytes() for row in rows]
    for content in refused + accepted:
        left.remove(content)
    assert len(left) == whole.duplicates["trade"]


def plain(judge: Judge, rows: Rows, twin: bool) -> list[Any]:
    """Judge with the compiled loop, or with the same lines as Python runs them."""
    compiled = kernel.judge_trades
    codes, against = np.zeros(len(rows), np.uint8), np.zeros(len(rows))
    judge._meet(3)
    call, start, seen = (compiled.py_func if twin else compiled), 0, []
    while True:
        start, judge._held, why = call(
            rows, start, 0, 7, judge._young, judge._old, judge._held, judge.levels,
            judge._limits, judge._waiting, judge._serials, codes, against,
        )  # fmt: skip
        seen.append((int(start), int(judge._held), int(why)))
        if why == 0:
            return [seen, codes.tobytes(), against.tobytes(), judge.levels.tobytes(),
                    judge._young.tobytes()]  # fmt: skip
        seen.append(judge._take(rows, start - 1, why - 2).serials.tolist())


@settings(max_examples=40, deadline=None)
@given(markets())
def test_the_python_twin_judges_alike(rows: Rows) -> None:
    rows.flags.writeable = False
    results = []
    for twin in (False, True):
        judge = Judge(SymbolTable(["BTC-USD", "AAPL", "ETH-USD"]), Rules())
        with warnings.catch_warnings():  # unsigned numbers wrap around on purpose
            warnings.simplefilter("ignore", RuntimeWarning)
            results.append(plain(judge, rows, twin))
    assert results[0] == results[1]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(*[st.sampled_from([0.0, 9.0, 10.0, 11.0, -1.0])] * 2), max_size=12))
def test_crossed_and_locked_quotes_are_kept_and_counted(values: list[tuple[float, float]]) -> None:
    rows = np.zeros(len(values), QUOTE)
    rows["bid"], rows["ask"] = np.array(values).reshape(-1, 2).T
    rows["time"] = NOW
    gate = a_gate()
    kept = gate.accept(Batch("quote", rows)).rows
    both = (kept["bid"] > 0) & (kept["ask"] > 0)
    assert gate.marks["crossed"] == int((both & (kept["bid"] > kept["ask"])).sum())
    assert gate.marks["locked"] == int((both & (kept["bid"] == kept["ask"])).sum())
    table = gate.table()
    assert table["quotes"].sum() == len(rows)
    assert table["quotes_refused"].sum() == gate.refused["quote"]


def clean(seed: int, symbols: int = 3, n: int = 3000) -> Rows:
    """A market whose prices wander, with a genuine leap of a tenth in the middle."""
    rng = np.random.default_rng(seed)
    rows = np.zeros(n, TRADE)
    rows["symbol"] = rng.integers(0, symbols, n)
    rows["time"] = NOW + np.sort(rng.integers(0, 600 * SECOND, n))
    rows["received"] = rows["time"] + rng.integers(-SECOND, SECOND, n)
    level = 100 * np.exp(np.cumsum(rng.normal(0, 0.0005, n)))
    level[n // 2 :] *= 1.1
    rows["price"] = np.round(level, 2)
    rows["size"] = rng.integers(1, 1000, n)
    rows["id"] = rows["sequence"] = np.arange(1, n + 1)
    return rows


@pytest.mark.parametrize("seed", range(3))
def test_a_clean_market_loses_nothing_through_a_leap(seed: int) -> None:
    rows = clean(seed)
    gate = a_gate()
    kept = np.concatenate(
        [gate.accept(Batch("trade", rows[a : a + 100].copy())).rows for a in range(0, 3000, 100)]
    )
    assert sorted(kept["id"].tolist()) == rows["id"].tolist()
    assert gate.refused["trade"] == 0
    assert gate.released["trade"] == 3 * 4, "four wait for the fifth in each symbol"


FAULTS: dict[str, tuple[str, Any]] = {
    "price": ("price", [np.nan, -1.0, 0.0, np.inf]),
    "size": ("size", [np.nan, -1.0, 0.0, 1e300]),
    "time": ("time", [NOW // 1000, NOW // 10**9, NOW + 3600 * SECOND, 0]),
    "deviation": ("price", [1.0, 1e4, 70.0, 1000.0]),
    "outsize": ("size", [9e11, 8e11, 7e11, 9.5e11]),
}


@pytest.mark.parametrize("rule", [*FAULTS, "duplicate"])
@pytest.mark.parametrize("seed", range(2))
def test_injected_faults_are_found_and_nothing_else_is(rule: str, seed: int) -> None:
    rows = clean(seed)
    rng = np.random.default_rng(seed + 100)
    places = np.sort(rng.choice(np.arange(400, 2900, 25), 40, replace=False))
    if rule == "duplicate":
        rows = np.insert(rows, places + 5, rows[places])
        bad = set()
    else:
        field, values = FAULTS[rule]
        rows[field][places] = rng.choice(values, len(places))
        bad = set(rows["id"][places].tolist())
    rules = Rules.everywhere(absurd_size=1e8)
    gate = Gate(SymbolTable(["BTC-USD", "ETH-USD", "EUR/USD"]), Quarantine(10_000), rules=rules)
    for at in range(0, len(rows), 100):
        gate.accept(Batch("trade", rows[at : at + 100].copy()))
    still = [one for one in gate.quarantine.entries() if one.outcome == "refused"]
    assert {int(one.row["id"][0]) for one in still if one.row is not None} == bad
    assert {one.rule for one in still} <= {rule}
    assert gate.duplicates["trade"] == (40 if rule == "duplicate" else 0)
