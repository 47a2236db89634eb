"""Quarantine, rerun and release; rules as data; bars sent again."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from workbench.errors import ConfigError
from workbench.gate import Gate, Quarantine
from workbench.quality.rerun import rerun
from workbench.quality.rules import RULES, Limits, Rules, rules_table
from workbench.records import BAR, TRADE, Batch
from workbench.symbols import SymbolTable

Rows = npt.NDArray[Any]
NOW = 1_723_161_255_342_000_000
SECOND = 10**9


def trades(prices: list[float], first: int = 1, **fields: Any) -> Rows:
    rows = np.zeros(len(prices), TRADE)
    rows["price"], rows["size"] = prices, 1.0
    rows["id"] = rows["sequence"] = np.arange(first, first + len(prices))
    rows["time"] = rows["received"] = NOW + rows["id"].astype(np.int64) * SECOND
    for name, value in fields.items():
        rows[name] = value
    return rows


def a_gate(rules: Rules | None = None) -> Gate:
    return Gate(SymbolTable(["AAPL", "BTC-USD"]), Quarantine(), rules=rules or Rules())


def ids(gate: Gate, rows: Rows, **options: Any) -> list[int]:
    return gate.accept(Batch("trade", rows), **options).rows["id"].tolist()  # type: ignore[no-any-return]


def test_a_leap_is_accepted_with_the_fifth_that_agrees() -> None:
    gate = a_gate()
    assert ids(gate, trades([100.0, 100.1])) == [1, 2]
    assert ids(gate, trades([110.0, 111.0, 1.0, 112.0], 3)) == []
    assert (gate.refused["trade"], len(gate.quarantine)) == (4, 4)
    assert ids(gate, trades([113.0, 112.0, 112.5], 7)) == [3, 4, 6, 7, 8, 9]
    assert (gate.refused["trade"], gate.accepted["trade"], gate.released["trade"]) == (1, 8, 4)
    assert dict(gate.quarantine.counts) == {"deviation": 1}
    outcomes = gate.quarantine.table()["outcome"].tolist()
    assert outcomes == ["released", "released", "refused", "released", "released"]
    assert gate.statistics() == {
        "validated": 9, "errors_detected": 1, "corrections_made": 4, "duplicates": 0,
        "success_rate": 8 / 9,
    }  # fmt: skip


def test_trades_on_the_level_in_between_keep_it() -> None:
    gate = a_gate()
    kept = ids(gate, trades([100.0, 110.0, 100.0, 110.0, 110.0, 110.0, 110.0, 100.0, 110.0]))
    assert kept == [1, 3, 8]


def test_a_trade_of_before_the_leap_is_not_judged_by_the_new_level() -> None:
    gate = a_gate()
    ids(gate, trades([100.0, 110.0, 110.0, 110.0, 110.0, 110.0]))
    late = trades([100.0], 20, time=NOW + int(1.5 * SECOND))
    assert ids(gate, late) == [20]
    assert ids(gate, trades([100.0], 21, time=NOW + 7 * SECOND)) == []
    assert gate.marks["late"] == 1


def test_what_was_fetched_is_neither_judged_by_the_level_nor_sets_it() -> None:
    gate = a_gate()
    ids(gate, trades([100.0]))
    assert ids(gate, trades([20.0, 21.0], 5), fetched=True) == [5, 6]
    assert ids(gate, trades([20.0, -1.0], 7, time=NOW + 9 * SECOND)) == []
    assert gate.table().loc["AAPL", "level"] == 100.0
    assert gate.marks["late"] == gate.marks["disordered"] == 0


def test_the_old_is_forgotten_after_a_silence_and_rows_long_past_are_not_judged() -> None:
    gate = a_gate()
    ids(gate, trades([100.0]))
    assert ids(gate, trades([50.0], 2, time=NOW - 62 * SECOND)) == [2]
    assert ids(gate, trades([50.0], 3, time=NOW + 3602 * SECOND, received=0)) == [3]
    assert gate.table().loc["AAPL", "level"] == 50.0


def test_conditions_excuse_a_price_and_cents_always_pass() -> None:
    gate = a_gate()
    assert ids(gate, trades([0.20, 0.24, 0.16, 0.9])) == [1, 2, 3]
    assert ids(gate, trades([0.9], 9, conditions=37 | 22 << 8)) == [9]
    assert gate.marks["off-market"] == 1


def test_a_level_can_be_known_before_the_first_trade() -> None:
    gate = a_gate()
    gate.expect("BTC-USD", 100.0, NOW)
    assert ids(gate, trades([106.0, 104.0], symbol=1)) == [2]
    gate.expect("BTC-USD", 50.0, NOW)
    assert gate.table().loc["BTC-USD", "level"] == 100.0


def test_sizes_are_marked_and_absurd_ones_refused() -> None:
    gate = a_gate(Rules.everywhere(absurd_size=1e6))
    ids(gate, trades([100.0] * 80))
    assert ids(gate, trades([100.0] * 2, 90, size=[2e4, 2e6])) == [90]
    assert gate.marks["large"] == 1
    assert dict(gate.quarantine.counts) == {"outsize": 1}
    assert "typical" in gate.quarantine.explain(0)


def typical(gate: Gate, number: int = 1) -> float:
    return float(gate._judge.levels["typical"][number])


def test_the_first_size_is_typical_by_itself() -> None:
    gate = a_gate(Rules.everywhere(absurd_size=1e6))
    assert len(ids(gate, trades([100.0], symbol=1, size=5e3))) == 1
    assert typical(gate) == 5e3
    gate = a_gate(Rules.everywhere(absurd_size=1e6))
    gate.expect("BTC-USD", 100.0, NOW)  # so that no trade begins the level
    assert len(ids(gate, trades([100.0] * 200, symbol=1, size=5e3))) == 200
    assert dict(gate.quarantine.counts) == {}
    assert gate.marks["large"] == 0
    assert 4e3 < typical(gate) < 6e3


def test_live_trades_are_sized_by_the_fetched_ones_before_them() -> None:
    gate = a_gate(Rules.everywhere(absurd_size=1e6))
    past = trades([100.0] * 1000, symbol=1, size=5e3)
    past["size"][0] = 1.0  # an odd one first is left behind
    assert len(ids(gate, past, fetched=True)) == 1000
    assert 4e3 < typical(gate) < 6e3
    found = ids(gate, trades([100.0] * 2, 2001, symbol=1, size=[5e3, 6e9]))
    assert found == [2001]
    assert dict(gate.quarantine.counts) == {"outsize": 1}
    before = typical(gate)
    ids(gate, trades([100.0] * 500, 5001, symbol=1, size=9e4), fetched=True)
    assert typical(gate) == before  # what is fetched later tells nothing new


def test_trades_with_the_id_0_are_told_by_content() -> None:
    gate = a_gate()
    rows = trades([100.0, 100.0, 101.0, 100.0], id=0, sequence=5, time=NOW)
    rows["size"][3] = 2.0
    assert len(ids(gate, rows)) == 3
    assert gate.duplicates["trade"] == 1


def test_a_refusal_is_explained() -> None:
    gate = a_gate()
    ids(gate, trades([100.0, 107.0]), source="sim")
    text = gate.quarantine.explain(0)
    assert "a trade of AAPL" in text
    assert "from sim" in text
    assert "price 107 against the level 100: +7.00 %" in text
    assert "allowed was 95 to 105, or 5 trades that agree" in text
    ids(gate, trades([100.0], 5, time=NOW + 3600 * SECOND))
    assert "its time is +3595.000 s from its receipt" in gate.quarantine.explain(1)
    with pytest.raises(KeyError, match="refusal 9 is not kept; there is 0 to 1"):
        gate.quarantine.explain(9)
    assert "deviation" in gate.quarantine._repr_html_()


def test_what_is_refused_can_be_chosen_and_summed_up() -> None:
    gate = a_gate()
    ids(gate, trades([100.0, 107.0, -1.0]))
    ids(gate, trades([-1.0], 9, symbol=1))
    assert gate.quarantine.summary().to_dict("index") == {
        "AAPL": {"deviation": 1, "price": 1}, "BTC-USD": {"deviation": 0, "price": 1}
    }  # fmt: skip
    assert gate.quarantine.table(rule="price")["symbol"].tolist() == ["BTC-USD", "AAPL"]
    assert gate.quarantine.table(symbol="BTC-USD")["rule"].tolist() == ["price"]


def test_other_rules_are_tried_and_their_rows_released_once() -> None:
    gate = a_gate()
    ids(gate, trades([100.0, 107.0, 130.0, -1.0]))
    ahead = trades([100.0, 100.0, 100.0], 7, time=NOW + 30 * SECOND, received=NOW + 10 * SECOND)
    ahead["id"][1] = 7
    assert ids(gate, ahead) == []
    wider = rerun(gate.quarantine, Rules.everywhere(max_price_deviation=0.1, max_future_seconds=60))
    assert repr(wider) == "Rerun(4 of 6 would be accepted)"
    assert wider.table()["accepted"].tolist() == [True, False, False, True, True, True]
    assert [len(batch) for batch in wider.batches] == [4]
    (batch,) = gate.release(wider)
    assert batch.rows["id"].tolist() == [2, 7, 9], "one of them was a repeat"
    assert gate.release(wider) == []
    counts = gate.received, gate.accepted, gate.duplicates, gate.refused, gate.released
    assert [one["trade"] for one in counts] == [7, 4, 1, 2, 3]
    assert len(gate.quarantine) == 2
    assert ids(gate, trades([107.0], 2)) == [], "what was released is known"
    line = gate.table()[["trades", "refused", "duplicate"]]
    assert line.to_numpy().tolist() == [[4, 2, 2]]
    first, leap = (one.number for one in wider.entries[:2])
    assert "accepted later" in gate.quarantine.explain(first)
    only = rerun(gate.quarantine, Rules.structural(), numbers=[leap])
    assert [one.number for one in only.passed] == [leap]


def test_bars_sent_again_with_other_content_are_revisions() -> None:
    gate = a_gate()
    bar = np.zeros(1, BAR)
    bar["time"], bar["timeframe"], bar["volume"] = NOW, 60, 1.0
    for name in ("open", "high", "low", "close"):
        bar[name] = 10.0
    seen = []
    for minute, volume in [(0, 1.0), (1, 1.0), (0, 2.0), (0, 2.0), (0, 3.0), (1, 2.0), (0, 1.0)]:
        row = bar.copy()
        row["time"], row["volume"] = NOW + minute * 60 * SECOND, volume
        seen.append(gate.accept(Batch("bar", row)).rows["revision"].tolist())
    assert seen == [[0], [0], [1], [], [2], [1], [3]]
    assert gate.marks["revised"] == 4
    assert (gate.accepted["bar"], gate.duplicates["bar"]) == (6, 1)
    for minute in range(2, 30):
        row = bar.copy()
        row["time"] = NOW + minute * 60 * SECOND
        gate.accept(Batch("bar", row))
    assert gate.accept(Batch("bar", bar)).rows["revision"].tolist() == [0], "long forgotten"


def test_limits_say_what_is_allowed() -> None:
    for name, value in [("max_price_deviation", -0.1), ("confirmations", 17),
                        ("max_future_seconds", 1e6), ("large_size", float("nan"))]:  # fmt: skip
        with pytest.raises(ConfigError, match=name):
            Limits(**{name: value})  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="exempt_conditions"):
        Limits(exempt_conditions=frozenset({256}))
    with pytest.raises(ConfigError, match="no limit 'deviation'; there is absurd_size"):
        Rules.everywhere(deviation=1)
    with pytest.raises(ConfigError, match="lateness_seconds"):
        Rules(lateness_seconds=-1.0)


def test_every_rule_is_in_the_table() -> None:
    table = rules_table()
    assert table.index.tolist() == list(RULES)
    assert str(table.loc["deviation", "options"]).startswith("max_price_deviation=0,")
    assert table.loc["late", "crypto"] == "lateness_seconds=1"
