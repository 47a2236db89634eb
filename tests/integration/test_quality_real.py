"""The gate on real days: no trade of a real market is lost, and bad prints are told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from workbench.gate import Gate, Quarantine
from workbench.quality.rules import Rules
from workbench.records import Batch
from workbench.sim.readers import read_trades
from workbench.symbols import SymbolTable

#: Trades that were really refused: none of these days has a bad print that stayed alone.
DAYS = {
    "crypto/binance_raw_ws/btcusdt_20240808.gz": 0,
    "crypto/binance_raw_ws/ethusdt_20240808.gz": 0,
    "replay_massive_form/crypto_btcusdt_20240808.jsonl.gz": 0,
    "replay_massive_form/crypto_ethusdt_20240808.jsonl.gz": 0,
    "replay_massive_form/stocks_bac_20131007.jsonl.gz": 0,
    "equity/tick/spy/20131007_trade.zip": 0,
    "equity/tick/ibm/20131007_trade.zip": 0,
}


@pytest.mark.parametrize("name", DAYS)
def test_no_trade_of_a_real_day_is_refused(shared_data: Path, name: str) -> None:
    for reading in read_trades(shared_data / name):
        table = SymbolTable([reading.symbol])
        gate = Gate(table, Quarantine(), rules=Rules())
        for start in range(0, len(reading.trades), 1000):
            gate.accept(Batch("trade", reading.trades[start : start + 1000].copy()))
        assert len(gate.quarantine) == DAYS[name], gate.quarantine.table(20).to_string()
        assert gate.accepted["trade"] + gate.duplicates["trade"] == len(reading.trades) > 100
        assert gate.released["trade"] == 0
        for start in range(0, len(reading.quotes), 1000):
            gate.accept(Batch("quote", reading.quotes[start : start + 1000].copy()))
        assert gate.accepted["quote"] == len(reading.quotes)


@pytest.mark.parametrize("factor", [0.93, 1.07, 10.0])
def test_prints_that_were_made_bad_are_all_found(shared_data: Path, factor: float) -> None:
    """On a real day of a stock, every 97th trade is moved by more than five per cent."""
    (reading,) = read_trades(shared_data / "equity/tick/spy/20131007_trade.zip")
    rows = reading.trades.copy()
    rows["conditions"] = 0
    bad = np.arange(200, len(rows), 97)
    rows["price"][bad] *= factor
    gate = Gate(SymbolTable(["SPY"]), Quarantine(100_000), rules=Rules())
    gate.accept(Batch("trade", rows))
    refused = {one.serial for one in gate.quarantine.entries() if one.outcome == "refused"}
    assert refused == set(bad.tolist())
