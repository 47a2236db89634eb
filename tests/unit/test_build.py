"""Bars of any kind in one call."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import workbench as wb
from workbench.bars.build import build_bars
from workbench.bars.kinds import FAMILIES
from workbench.bars.quotebars import QUOTE_FAMILIES
from workbench.errors import ConfigError, UnknownTimeframeError
from workbench.records import QUOTE, TRADE, Rows
from workbench.store.frames import dataframe

START = 1_762_180_200 * 10**9  # 2025-11-03 14:30 UTC, a Monday


def trades(n: int = 5000) -> Rows:
    rng = np.random.default_rng(3)
    rows = np.zeros(n, TRADE)
    rows["time"] = START + np.sort(rng.integers(0, 6 * 3600 * 10**9, n))
    rows["received"] = rows["time"]
    rows["price"] = np.round(100 + np.cumsum(rng.normal(0, 0.05, n)), 2)
    rows["size"] = rng.integers(1, 300, n)
    rows["sequence"] = np.arange(n)
    return rows


OF_TRADES = [each.example for name, each in FAMILIES.items() if name not in QUOTE_FAMILIES]


@pytest.mark.parametrize("kind", [*OF_TRADES, "5m"])
def test_every_kind_from_trades(kind: str) -> None:
    rows = trades()
    bars = build_bars(rows, kind, symbol="AAPL")
    assert set(bars["timeframe"]) <= {getattr(wb.bar_kind(kind), "code", 0)}
    frame = build_bars(dataframe("trade", rows), kind, symbol="AAPL")
    assert frame.tobytes() == bars.tobytes()


def test_bars_of_bars_are_bars_of_trades() -> None:
    rows = trades()
    minutes = build_bars(rows, "1m")
    assert build_bars(minutes, "15m").tobytes() == build_bars(rows, "15m").tobytes()
    for kind in ("session:day", "kagi:0.5@5m", "heikin-ashi@1m"):
        made = build_bars(minutes, kind, symbol="AAPL")
        assert made.tobytes() == build_bars(rows, kind, symbol="AAPL").tobytes()
    assert len(build_bars(minutes, "session:day", symbol="AAPL")) == 1


def test_quotes_make_bars_of_any_kind_too() -> None:
    quotes = np.zeros(100, QUOTE)
    quotes["time"] = START + np.arange(100) * 10**9
    quotes["bid"], quotes["ask"] = np.arange(100) + 9.5, np.arange(100) + 10.5
    assert build_bars(quotes, "1m")["close"].tolist() == [69.0, 109.0]
    assert build_bars(quotes, "trades:50", price="ask")["open"].tolist() == [10.5, 60.5]
    frame = dataframe("quote", quotes)
    assert build_bars(frame, "1m", price="bid")["open"].tolist() == [9.5, 69.5]
    for name in sorted(QUOTE_FAMILIES):
        bars = build_bars(quotes, f"{name}@1m")
        plain = build_bars(frame, "1m", price=name)  # type: ignore[arg-type]
        assert (bars["timeframe"] == wb.bar_kind(f"{name}@1m").code).all()
        bars["timeframe"] = 60
        assert bars.tobytes() == plain.tobytes()
    with pytest.raises(ConfigError, match="mid@1m is made from quotes; trades do not tell"):
        build_bars(trades(), "mid@1m")


def test_conditions_decide_if_asked() -> None:
    rows = trades(100)
    rows["time"] = START + np.arange(100)
    rows["price"][:50] = 500.0
    rows["conditions"][:50] = 37
    assert build_bars(rows, "1m", symbol="AAPL")["high"][0] == 500.0
    ruled = build_bars(rows, "1m", symbol="AAPL", conditions=True)
    assert ruled["high"][0] < 200.0
    assert ruled["volume"][0] == rows["size"].sum()
    with pytest.raises(ConfigError, match="rows of TRADE"):
        build_bars(dataframe("trade", rows), "1m", conditions=True)


def test_what_cannot_be_built() -> None:
    minutes = build_bars(trades(), "1m")
    with pytest.raises(ConfigError, match="made from trades"):
        build_bars(minutes, "volume:100")
    with pytest.raises(UnknownTimeframeError, match="volum"):
        build_bars(minutes, "volum:100")
    with pytest.raises(ConfigError, match="neither of trades"):
        build_bars(pd.DataFrame({"x": [1]}), "1m")
    with pytest.raises(ConfigError, match="rows must be"):
        build_bars(np.zeros(1, [("x", "f8")]), "1m")
