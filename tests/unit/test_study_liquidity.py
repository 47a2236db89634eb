"""Liquidity levels: equal swings, extremes of day and week, and sweeps."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from workbench.study import liquidity


def frame(closes: list[float], freq: str = "1min", start: str = "2025-11-03") -> pd.DataFrame:
    close = np.array(closes, float)
    index = pd.date_range(start, periods=len(close), freq=freq)
    columns = {"open": close, "high": close + 0.5, "low": close - 0.5, "close": close}
    return pd.DataFrame(columns, index=index)


SWINGS = [1, 3, 5, 3, 1, 3, 4.9, 3, 2, 3, 4.5, 5.4, 3]


def test_equal_highs_and_their_sweep() -> None:
    study = liquidity(swing=1, tolerance=0.2, atr=2, periods="none")
    table = study.over(frame(SWINGS))
    row = table[table["kind"] == "equal highs"].iloc[0]
    assert (row["low"], row["high"], row["swings"]) == (5.4, 5.5, 2)
    stamps = [row[name].minute for name in ("first", "formed", "confirmed", "touched", "mitigated")]
    assert stamps == [2, 6, 8, 12, 12]
    assert row["reason"] == "swept"


def test_a_close_must_go_beyond_where_that_is_asked() -> None:
    study = liquidity(swing=1, tolerance=0.2, atr=2, periods="none", sweep="close")
    row = study.over(frame(SWINGS)).iloc[0]  # the close of 5.4 stays below 5.5
    assert pd.isna(row["mitigated"])
    assert row["touched"].minute == 12


def test_swings_further_apart_are_not_equal() -> None:
    study = liquidity(swing=1, tolerance=0.01, atr=2, periods="none")
    assert study.over(frame(SWINGS)).empty


def test_a_third_swing_joins_without_changing_the_birth_certificate() -> None:
    closes = [1, 3, 5, 3, 1, 3, 4.9, 3, 1.5, 3, 4.8, 3, 2.2]
    run = liquidity(swing=1, tolerance=0.2, atr=2, periods="none").start()
    run.add(frame(closes))
    row = run.table().iloc[0]
    assert (row["low"], row["swings"]) == (5.4, 2)
    assert (row["low_now"], row["swings_now"]) == (5.3, 3)
    then = run.table(pd.Timestamp("2025-11-03 00:11", tz="UTC")).iloc[0]
    assert then["swings_now"] == 2


def test_levels_of_the_day_before() -> None:
    closes = [*range(5, 15), *range(15, 5, -1), 6, 7, *([8] * 22), 8, 9]
    table = liquidity(swing=200).over(frame(closes, "1h"))
    high, low = (table[table["kind"] == f"previous day {side}"] for side in ("high", "low"))
    assert high["high"].tolist() == [15.5]
    assert high["formed"].dt.hour.tolist() == [10]
    assert high["confirmed"].tolist() == [pd.Timestamp("2025-11-04 01:00", tz="UTC")]
    assert low["low"].tolist() == [4.5]
    assert table["mitigated"].isna().all()


def test_a_level_is_replaced_or_swept() -> None:
    closes = [10, 12, 11, 11, 13, 11, 11, 12, 11]
    table = liquidity(swing=200).over(frame(closes, "8h"))
    high = table[table["kind"] == "previous day high"]
    assert high["high"].tolist() == [12.5, 13.5]
    assert high["reason"].tolist() == ["swept", ""]
    assert high["mitigated"].iloc[0] == pd.Timestamp("2025-11-04 16:00", tz="UTC")
    low = table[table["kind"] == "previous day low"]
    assert low["reason"].tolist() == ["superseded", ""]


def test_days_are_those_of_the_market() -> None:
    """Nine in the evening of New York is two in the morning of the next day in UTC."""
    bars = frame([10, 11, 12, 13], "6h", "2025-11-03 20:00")
    assert liquidity().over(bars, "BTC-USD")["confirmed"].iloc[0].hour == 8
    assert liquidity().over(bars, "AAPL")["confirmed"].iloc[0].hour == 14


@pytest.mark.parametrize("start", ["2025-10-27", "2025-10-30"])
def test_weeks_begin_on_monday(start: str) -> None:
    table = liquidity().over(frame(list(range(12)), "1D", start))
    week = table[table["kind"] == "previous week high"]
    assert week["confirmed"].iloc[0] == pd.Timestamp("2025-11-04", tz="UTC")
    assert week["first"].iloc[0] == pd.Timestamp(start, tz="UTC")
    assert week["last"].iloc[0] == pd.Timestamp("2025-11-02", tz="UTC")
