"""A panel of symbols: the same bits as one by one."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import workbench as wb
from workbench.errors import ConfigError
from workbench.store.frames import dataframe
from workbench.testing.market import invented_bars

INDICATORS = [wb.ema(5), wb.bollinger(10), wb.atr(7), wb.vwap(), wb.sma(3, of="volume")]


def test_a_panel_has_the_bits_of_single_calls() -> None:
    rows = {f"S{i}": invented_bars(100 + i, seed=i) for i in range(9)}
    tables = wb.panel(rows, INDICATORS, workers=3)
    assert list(tables) == list(rows)
    for symbol, bars in rows.items():
        keys = [key for one in INDICATORS for key in one.keys]
        assert list(tables[symbol].columns) == keys
        for one in INDICATORS:
            alone = np.asarray(one.over(bars, symbol)).reshape(len(bars), -1)
            assert tables[symbol][list(one.keys)].to_numpy().tobytes() == alone.tobytes()
    frames = {symbol: dataframe("bar", bars) for symbol, bars in rows.items()}
    for symbol, table in wb.panel(frames, INDICATORS, workers=1).items():
        pd.testing.assert_frame_equal(table, tables[symbol], check_freq=False)


def test_what_workers_take_at_once_leaves_nothing_behind() -> None:
    """Of many symbols, some with rows to pass over, state and memory are used again."""
    rows = {f"S{i}": invented_bars(20 + i % 7, seed=i) for i in range(70)}
    for i in range(0, 70, 9):
        rows[f"S{i}"]["close"][5] = np.nan
    tables = wb.panel(rows, INDICATORS, workers=1)
    assert list(tables) == list(rows)
    for symbol, bars in rows.items():
        for one in INDICATORS:
            alone = np.asarray(one.over(bars, symbol)).reshape(len(bars), -1)
            assert tables[symbol][list(one.keys)].to_numpy().tobytes() == alone.tobytes()


def test_too_few_bars_are_no_reason_to_stop() -> None:
    tables = wb.panel({"A": invented_bars(3), "B": invented_bars(0)}, [wb.sma(5)])
    assert tables["A"]["sma_5"].isna().all()
    assert len(tables["B"]) == 0
    assert wb.panel({}, [wb.sma(5)]) == {}


def test_what_is_wrong_is_told() -> None:
    with pytest.raises(ConfigError, match=r"B: row 1 .* is earlier than row 0"):
        wb.panel({"A": invented_bars(5), "B": invented_bars(5)[::-1]}, [wb.sma(2)])
    with pytest.raises(ConfigError, match="B needs a column 'close'"):
        wb.panel({"B": pd.DataFrame({"open": [1.0]})}, [wb.sma(2)])
    with pytest.raises(ConfigError, match="workers must be above zero"):
        wb.panel({}, [], workers=0)
