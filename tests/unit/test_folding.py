"""Bars from bars: gaps, revisions, wrong input."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from workbench.bars.batchbars import time_bars
from workbench.bars.folding import bar_rows, fold_bars
from workbench.errors import UnknownTimeframeError
from workbench.records import BAR, TRADE
from workbench.store.frames import dataframe

Rows = npt.NDArray[Any]
SECOND = 10**9


def minutes(*starts: int, symbol: int = 0) -> Rows:
    """Minute bars of price 1, 2, 3 ... that start at these minutes."""
    rows = np.zeros(len(starts), BAR)
    rows["time"] = np.array(starts, np.int64) * 60 * SECOND
    rows["timeframe"], rows["symbol"], rows["state"] = 60, symbol, 2
    rows["open"] = rows["high"] = rows["low"] = rows["close"] = np.arange(1.0, len(starts) + 1)
    rows["volume"], rows["count"] = 2.0, 3
    rows["notional"] = rows["close"] * rows["volume"]
    return rows


def some_trades(n: int = 3000, symbols: int = 1) -> Rows:
    rng = np.random.default_rng(5)
    rows = np.zeros(n, TRADE)
    rows["time"] = 1_723_420_790 * SECOND + np.cumsum(rng.integers(0, 4 * SECOND, n))
    rows["price"] = 60_000 + np.cumsum(rng.normal(0, 0.5, n))
    rows["size"] = rng.exponential(0.1, n)
    rows["symbol"] = rng.integers(0, symbols, n)
    return rows


def test_gaps_stay_and_symbols_are_kept_apart() -> None:
    bars = np.concatenate([minutes(0, 4, 11), minutes(1, 2, symbol=7)])
    five = fold_bars(bars, "5m")
    assert (five["time"] // (60 * SECOND)).tolist() == [0, 10, 0]
    assert five["symbol"].tolist() == [0, 0, 7]
    assert five["count"].tolist() == [6, 3, 6]
    assert five["vwap"].tolist() == [1.5, 3.0, 1.5]
    assert set(five["timeframe"].tolist()) == {300}


def test_bars_of_many_symbols_equal_those_of_their_trades() -> None:
    trades = some_trades(symbols=3)
    assert fold_bars(time_bars(trades, "1s"), "1m").tobytes() == time_bars(trades, "1m").tobytes()


def test_the_newest_revision_counts_wherever_it_comes() -> None:
    bars = minutes(0, 1, 2)
    again = bars[:1].copy()
    again["high"], again["revision"], again["volume"] = 9.0, 2, 20.0
    older = again.copy()
    older["revision"], older["high"] = 1, 99.0
    folded = fold_bars(np.concatenate([bars, again, older]), "5m")
    assert (folded["high"][0], folded["volume"][0]) == (9.0, 24.0)


def test_nothing_and_one_row() -> None:
    assert len(fold_bars(np.zeros(0, BAR), "5m")) == 0
    assert len(fold_bars(dataframe("bar", np.zeros(0, BAR)), "5m")) == 0
    assert fold_bars(minutes(3), "5m")["time"].tolist() == [0]


def test_the_same_timeframe_changes_nothing() -> None:
    bars = time_bars(some_trades(), "1m")
    assert fold_bars(bars, "1m").tobytes() == bars.tobytes()


def test_a_provider_s_bars_are_folded_too() -> None:
    bars = minutes(0, 1)
    bars["origin"] = 1
    five = fold_bars(bars, "5m")
    assert five["origin"].tolist() == [1]
    assert five["notional"].tolist() == [6.0]


def test_tables_fold_like_rows() -> None:
    bars = time_bars(some_trades(), "1m")
    bars["volume_rest"] = bars["notional_rest"] = 0.0  # a table does not have them
    expected = fold_bars(bars, "5m")
    assert fold_bars(dataframe("bar", bars), "5m", base="1m").tobytes() == expected.tobytes()
    frame = dataframe("bar", bars).drop(columns=["notional", "count", "revision"])
    frame.index = frame.index.as_unit("s")
    folded = fold_bars(frame, "5m")
    np.testing.assert_allclose(folded["notional"], expected["notional"], rtol=1e-12)
    assert folded["close"].tolist() == expected["close"].tolist()


@pytest.mark.parametrize("field", ["open", "high", "low", "close", "volume", "notional"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_no_number_is_told(field: str, value: float) -> None:
    bars = minutes(0, 1)
    bars[field][1] = value
    with pytest.raises(ValueError, match=r"row 1 \(1970-01-01 00:01:00\+00:00\) is no bar"):
        fold_bars(bars, "5m")


def test_contradicting_prices_are_told() -> None:
    bars = minutes(0, 1)
    bars["low"][0] = 3.0
    with pytest.raises(ValueError, match="row 0"):
        fold_bars(bars, "5m")


def test_wrong_input_is_told() -> None:
    with pytest.raises(UnknownTimeframeError, match="90s is no multiple of the bars' 60 s"):
        fold_bars(minutes(0), "90s")
    with pytest.raises(UnknownTimeframeError, match="1m is no multiple of the bars' 300 s"):
        fold_bars(fold_bars(minutes(0), "5m"), "1m")
    mixed = minutes(0, 1)
    mixed["timeframe"][1] = 30
    with pytest.raises(UnknownTimeframeError, match="several timeframes"):
        fold_bars(mixed, "5m")
    with pytest.raises(ValueError, match="comes twice with revision 0"):
        fold_bars(minutes(0, 1, 1), "5m")
    odd = minutes(0)
    odd["time"] += 270 * SECOND
    with pytest.raises(UnknownTimeframeError, match="reaches over an edge of 5m"):
        fold_bars(odd, "5m")


def test_wrong_tables_are_told() -> None:
    frame = dataframe("bar", minutes(0, 1, 2))
    with pytest.raises(TypeError, match="indexed by time"):
        fold_bars(frame.reset_index(drop=True), "5m")
    with pytest.raises(ValueError, match=r"no column open, notional \(or vwap\)"):
        fold_bars(frame.drop(columns=["open", "notional", "vwap"]), "5m")
    with pytest.raises(ValueError, match="row 1 goes back or repeats"):
        fold_bars(frame.iloc[::-1], "5m")
    with pytest.raises(ValueError, match="row 1 goes back or repeats"):
        fold_bars(pd.concat([frame[:1], frame[:1]]), "5m")
    with pytest.raises(UnknownTimeframeError, match="no multiple"):
        fold_bars(frame, "90s", base="1m")
    assert bar_rows(frame)["timeframe"].tolist() == [0, 0, 0]


_DIGEST = """
import numpy as np
from test_folding import some_trades
from workbench.bars.batchbars import time_bars
from workbench.digest import digest
from workbench.bars.folding import fold_bars
bars = np.load({path!r})
print(digest({{"": fold_bars(fold_bars(bars, "15s"), "5m")}}))
"""


def test_uncompiled_folding_gives_the_same_bits(tmp_path: Any) -> None:
    path = str(tmp_path / "bars.npy")
    np.save(path, time_bars(some_trades(400), "1s"))
    told = [
        subprocess.run(
            [sys.executable, "-c", _DIGEST.format(path=path)],
            env={**os.environ, "NUMBA_DISABLE_JIT": off, "PYTHONPATH": os.path.dirname(__file__)},
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        ).stdout
        for off in ("0", "1")
    ]
    assert told[0] == told[1] != ""
