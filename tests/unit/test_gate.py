"""The gate and its quarantine, case by case."""

from __future__ import annotations

import json
import threading
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from workbench.gate import Gate, Quarantine
from workbench.quality.rules import Rules
from workbench.records import BAR, QUOTE, TRADE, Batch
from workbench.sources.massive import MassiveSource
from workbench.sources.source import Frame, Reject
from workbench.symbols import SymbolTable

Rows = npt.NDArray[Any]
NOW = 1_723_161_255_342_000_000


def a_gate(keep: int = 1000, rules: Rules | None = None, **options: int) -> Gate:
    table = SymbolTable(["BTC-USD", "ETH-USD"])
    return Gate(table, Quarantine(keep), rules=rules or Rules(), **options)


def trades(n: int = 1, **fields: Any) -> Rows:
    rows = np.zeros(n, TRADE)
    rows["time"], rows["received"], rows["id"] = NOW, NOW, range(n)
    rows["price"], rows["size"] = 10.0, 1.0
    for name, value in fields.items():
        rows[name] = value
    return rows


def bars(**fields: Any) -> Rows:
    rows = np.zeros(1, BAR)
    rows["time"], rows["timeframe"] = NOW, 60
    for name in ("open", "high", "low", "close"):
        rows[name] = 10.0
    rows["volume"] = 5.0
    for name, value in fields.items():
        rows[name] = value
    return rows


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        ({"price": np.nan}, "price"),
        ({"price": np.inf}, "price"),
        ({"price": 0.0}, "price"),
        ({"price": -1.0}, "price"),
        ({"price": 2.0**49}, "price"),
        ({"size": np.nan}, "size"),
        ({"size": 0.0}, "size"),
        ({"size": -5.0}, "size"),
        ({"size": 1e300}, "size"),
        ({"price": 1e9, "size": 1e9}, "size"),
        ({"time": 0}, "time"),
        ({"time": NOW // 1000}, "time"),
        ({"time": NOW + 86_401 * 10**9}, "time"),
        ({"time": NOW + 5_001 * 10**6}, "time"),
        ({"time": 9 * 10**18, "received": 0}, "time"),
        ({"price": 10.51}, "deviation"),
        ({"price": 9.49}, "deviation"),
    ],
)
def test_what_is_refused(fields: dict[str, Any], rule: str) -> None:
    gate = a_gate()
    both = np.concatenate([trades(), trades(**fields)])
    both["id"] = [1, 2]
    assert gate.accept(Batch("trade", both)).rows["id"].tolist() == [1]
    assert gate.quarantine.counts == {rule: 1}


@pytest.mark.parametrize("factor", [1e-3, 1e3, 1e6])
@pytest.mark.parametrize("ev", ["XT", "XQ", "XA"])
def test_times_in_wrong_units_never_become_rows_of_another_age(ev: str, factor: float) -> None:
    """Seconds, microseconds or nanoseconds where milliseconds are due."""
    event = {
        "ev": ev, "pair": "BTC-USD", "p": 10, "s": 1, "t": 1, "bp": 9, "ap": 10, "o": 10,
        "h": 10, "l": 10, "c": [1] if ev == "XT" else 10, "v": 5, "i": "7",
    }  # fmt: skip
    event["s" if ev == "XA" else "t"] = round(NOW / 1e6 * factor)
    gate = a_gate()
    source = MassiveSource("crypto", table=SymbolTable(["BTC-USD"]))
    decoded = source.decode([Frame(NOW, json.dumps([event]).encode())])
    (batch,) = decoded.batches
    assert len(gate.accept(batch)) == 0
    assert gate.quarantine.counts == {"time": 1}


def test_repeats_are_told_by_id_symbol_exchange_and_time() -> None:
    gate = a_gate()
    rows = trades(5, id=7, exchange=[1, 2, 1, 1, 1], symbol=[0, 0, 1, 0, 0])
    rows["time"][3] += 1
    assert len(gate.accept(Batch("trade", rows))) == 4
    assert gate.duplicates["trade"] == 1
    again = rows.copy()
    again["price"] = 11.0  # the same execution, told differently
    assert len(gate.accept(Batch("trade", again))) == 0


def test_two_trades_without_ids_are_both_kept() -> None:
    gate = a_gate()
    source = MassiveSource("crypto", table=SymbolTable(["BTC-USD"]))
    event = {"ev": "XT", "pair": "BTC-USD", "p": 10, "s": 1, "t": NOW // 10**6}
    data = json.dumps([event, event]).encode()
    (batch,) = source.decode([Frame(NOW, data)]).batches
    assert len(gate.accept(batch)) == 2


def test_nothing_is_forgotten_when_the_table_grows_and_turns() -> None:
    gate = a_gate(remember=5000)
    for start in range(0, 40_000, 500):
        rows = trades(500, id=range(start, start + 500))
        assert len(gate.accept(Batch("trade", rows))) == 500
        back = max(0, start + 500 - 5000)
        old = trades(1, id=back)
        assert len(gate.accept(Batch("trade", old))) == 0, f"{back} was forgotten at {start}"


def test_memory_for_repeats_is_bounded() -> None:
    gate = a_gate(remember=2000)
    for start in range(0, 60_000, 1000):
        gate.accept(Batch("trade", trades(1000, id=range(start, start + 1000))))
    assert gate._judge.nbytes <= 2000 * 200
    assert len(gate.accept(Batch("trade", trades(1, id=0)))) == 1, "the oldest is forgotten"


def test_provider_bars_are_taken_again_only_when_changed() -> None:
    gate = a_gate()
    first = bars()
    assert len(gate.accept(Batch("bar", first))) == 1
    assert len(gate.accept(Batch("bar", bars()))) == 0
    assert len(gate.accept(Batch("bar", bars(volume=6.0)))) == 1, "updated"
    assert len(gate.accept(Batch("bar", bars(volume=6.0, timeframe=1)))) == 1
    assert len(gate.accept(Batch("bar", bars(volume=6.0, symbol=1)))) == 1
    assert len(gate.accept(Batch("bar", bars(volume=6.0)))) == 0
    counts = gate.received["bar"], gate.accepted["bar"], gate.duplicates["bar"]
    assert counts == (6, 4, 2)


@pytest.mark.parametrize(
    "fields",
    [
        {"high": 9.0},
        {"low": 11.0},
        {"open": 0.0, "low": 0.0},
        {"close": np.nan},
        {"high": np.inf},
        {"volume": -1.0},
        {"volume": np.nan},
        {"volume": 1e300},
        {"vwap": np.inf},
        {"notional": np.inf},
    ],
)
def test_bars_that_contradict_themselves(fields: dict[str, float]) -> None:
    gate = a_gate()
    assert len(gate.accept(Batch("bar", bars(**fields)))) == 0
    assert gate.quarantine.counts == {"ohlc": 1}
    assert gate.refused["bar"] == 1


def test_quotes() -> None:
    gate = a_gate()
    rows = np.zeros(6, QUOTE)
    rows["time"], rows["bid"], rows["ask"] = NOW, 9.0, 10.0
    rows["bid"][0], rows["ask"][0] = 0.0, 0.0  # neither side
    rows["bid"][1] = 0.0  # one side only is a quote
    rows["bid"][2] = 11.0  # crossed: it happens
    rows["ask_size"][3] = -1.0
    rows["time"][4] = 5
    rows["bid"][5] = np.nan
    assert len(gate.accept(Batch("quote", rows))) == 2
    assert gate.quarantine.counts == {"price": 2, "size": 1, "time": 1}


def test_quarantine_can_be_read() -> None:
    gate = a_gate()
    gate.accept(Batch("trade", trades(1, price=-3.5, symbol=1)))
    gate.quarantine.rejects([Reject("malformed", "not a list", b'{"x": "\xff"}', NOW)])
    table = gate.quarantine.table()
    assert table["rule"].tolist() == ["malformed", "price"]
    assert table["kind"].tolist() == ["event", "trade"]
    assert table["symbol"].tolist()[1] == "ETH-USD"
    assert "price=-3.5" in table["content"][1]
    assert "above zero" in table["detail"][1]
    assert table["content"][0].startswith('{"x"')
    assert table["received"].astype("int64").tolist() == [NOW, NOW]
    assert repr(gate.quarantine) == "Quarantine(2 refused: price 1, malformed 1)"
    assert repr(Quarantine()) == "Quarantine(0 refused)"


def test_quarantine_keeps_the_newest_and_counts_all() -> None:
    gate = a_gate(keep=10)
    gate.accept(Batch("trade", trades(1000, price=-np.arange(1000.0))))
    assert len(gate.quarantine) == 1000
    table = gate.quarantine.table(50)
    assert len(table) == 10
    assert "price=-999.0" in table["content"][0]
    assert len(gate.quarantine.table(3)) == 3


def test_what_is_accepted_cannot_be_changed() -> None:
    kept = a_gate().accept(Batch("trade", trades(3, price=[1.0, -1.0, 2.0])))
    with pytest.raises(ValueError, match="read-only"):
        kept.rows["price"] = 0.0


def test_an_empty_batch_is_no_news() -> None:
    gate = a_gate()
    for kind, dtype in (("trade", TRADE), ("quote", QUOTE), ("bar", BAR)):
        assert len(gate.accept(Batch(kind, np.zeros(0, dtype)))) == 0  # type: ignore[arg-type]
    assert not gate.received.total()


def test_who_looks_from_another_thread_sees_no_batch_half_counted() -> None:
    told: list[bool] = []
    looks = threading.Thread(target=lambda: told.append(gate.conserved()))

    class Looked(Quarantine):
        def rows(self, *given: Any, **more: Any) -> None:
            looks.start()
            looks.join(0.05)
            super().rows(*given, **more)

    gate = Gate(SymbolTable(["BTC-USD"]), Looked(), rules=Rules())
    gate.accept(Batch("trade", trades(3, price=[10.0, -1.0, 10.0])))
    looks.join()
    assert told == [True]
    assert (gate.received["trade"], gate.refused["trade"]) == (3, 1)
