"""Joins of timeframes: nothing stands beside a bar that was not known when it ended."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from workbench.analytics.joining import join_timeframes
from workbench.bars.batchbars import time_bars
from workbench.errors import ConfigError
from workbench.records import BAR
from workbench.testing import invented_bars


def bars_of(times: pd.DatetimeIndex, seconds: int = 0) -> np.ndarray[tuple[int], np.dtype[np.void]]:
    rows = np.zeros(len(times), BAR)
    rows["time"] = times.as_unit("ns").asi8
    rows["close"] = np.arange(len(times)) + 1.0
    rows["timeframe"] = seconds
    return rows


def times(start: str, count: int, step: str) -> pd.DatetimeIndex:
    return pd.date_range(start, periods=count, freq=step, tz="UTC")


def test_an_hour_is_known_when_it_ends() -> None:
    minutes = bars_of(times("2025-11-03 10:55", 10, "min"), 60)
    hours = bars_of(times("2025-11-03 09:00", 3, "h"), 3600)
    joined = join_timeframes(minutes, hours, ["close"])["close"]
    # 10:59 ends with the hour that began at 10:00.
    assert joined.tolist() == [1.0] * 4 + [2.0] * 6
    assert joined.index[0] == pd.Timestamp("2025-11-03 10:55", tz="UTC")


def test_nothing_is_known_before_the_first() -> None:
    minutes = bars_of(times("2025-11-03 09:57", 5, "min"), 60)
    hours = bars_of(times("2025-11-03 09:00", 2, "h"), 3600)
    joined = join_timeframes(minutes, hours, ["close", "count"])
    assert joined["close"].isna().tolist() == [True, True, False, False, False]
    assert join_timeframes(minutes, hours[:0]).isna().all(axis=None)
    assert len(join_timeframes(minutes[:0], hours)) == 0


def test_bars_of_no_told_length_count_when_the_next_has_begun() -> None:
    minutes = bars_of(times("2025-11-03 10:58", 4, "min"))
    volume = bars_of(pd.DatetimeIndex(["2025-11-03 10:00", "2025-11-03 10:59:30"], tz="UTC"), -7)
    joined = join_timeframes(minutes, volume, ["close"])["close"]
    assert joined.isna().tolist() == [True, True, False, False]
    assert joined.iloc[-1] == 1.0


def test_a_gap_in_the_longer_timeframe_leaves_the_last_known() -> None:
    minutes = bars_of(times("2025-11-03 10:00", 400, "min"), 60)
    hours = bars_of(times("2025-11-03 09:00", 5, "h")[[0, 1, 4]], 3600)
    joined = join_timeframes(minutes, hours, ["close"])["close"]
    assert joined.iloc[58] == 1.0
    assert set(joined.iloc[59:239]) == {2.0}
    assert joined.iloc[239] == 3.0


def test_zones_series_and_told_lengths() -> None:
    minutes = times("2025-11-03 10:58", 3, "min").tz_convert("America/New_York")
    frame = pd.DataFrame({"close": [1.0, 2.0, 3.0]}, index=minutes)
    hours = pd.Series([7, 8], times("2025-11-03 09:00", 2, "h"), name="trend")
    joined = join_timeframes(frame, hours, timeframe="1m", higher_timeframe="1h")
    assert joined["trend"].tolist() == [7, 8, 8]
    assert joined.index.equals(minutes)


def test_bars_from_trades_agree_with_what_a_live_user_saw() -> None:
    rows = invented_bars(120, seed=5)
    index = pd.DatetimeIndex(rows["time"].view("M8[ns]"), tz="UTC")
    trades = pd.DataFrame({"price": rows["close"], "size": 1.0}, index=index)
    low, high = time_bars(trades, "5m"), time_bars(trades, "30m")
    joined = join_timeframes(low, high, ["close"])["close"].tolist()
    wanted = []
    for start in low["time"]:
        past = high["close"][high["time"] + 1800 * 10**9 <= start + 300 * 10**9]
        wanted.append(past[-1] if len(past) else np.nan)
    np.testing.assert_array_equal(joined, wanted)


def test_what_is_refused() -> None:
    minutes = bars_of(times("2025-11-03 10:58", 3, "min"), 60)
    hours = bars_of(times("2025-11-03 09:00", 3, "h"), 3600)
    with pytest.raises(ConfigError, match="no column 'trend'"):
        join_timeframes(minutes, hours, ["trend"])
    with pytest.raises(ConfigError, match="shorter than those"):
        join_timeframes(hours, minutes)
    with pytest.raises(ConfigError, match="is earlier than"):
        join_timeframes(minutes, hours[::-1])
    with pytest.raises(ConfigError, match="indexed by time"):
        join_timeframes(pd.DataFrame({"close": [1.0]}), hours)
