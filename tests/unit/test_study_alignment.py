"""Timeframes side by side: a bar of a longer one counts only after its end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from workbench.errors import ConfigError, UnknownTimeframeError
from workbench.study import alignment, comparison, structure, trend


def minutes(n: int, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    close = 100 + np.cumsum(rng.normal(0.02, 0.3, n))
    open_ = np.concatenate([[100.0], close[:-1]])
    index = pd.date_range("2025-11-03", periods=n, freq="1min")
    high, low = np.maximum(open_, close) + 0.1, np.minimum(open_, close) - 0.1
    return pd.DataFrame({"open": open_, "high": high, "low": low, "close": close}, index=index)


def longer(bars: pd.DataFrame, rule: str) -> pd.DataFrame:
    how = {"open": "first", "high": "max", "low": "min", "close": "last"}
    return bars.resample(rule).agg(how)


def frames(n: int) -> dict[str, pd.DataFrame]:
    one = minutes(n)
    return {"1m": one, "5m": longer(one, "5min")[: n // 5], "15m": longer(one, "15min")[: n // 15]}


def test_the_score_is_the_weighted_mean_of_what_was_available() -> None:
    given = frames(900)
    weights = {"1m": 1, "5m": 2, "15m": 3}
    found = alignment(given, weights)
    tables = {key: trend().over(bars, timeframe=key) for key, bars in given.items()}
    assert found.index[0] == tables["15m"]["confirmed"].iloc[0]
    for time in found.index[::37]:
        total = 0.0
        for key, table in tables.items():
            row = table[table["confirmed"] <= time].iloc[-1]
            sign = {"up": 1, "down": -1, "none": 0}[row["direction"]]
            assert found.loc[time, key] == sign * row["strength"]
            total += sign * row["strength"] * weights[key] / 6
        assert found.loc[time, "score"] == pytest.approx(total, abs=1e-12)
    assert found["score"].between(-1, 1).all()
    assert found["agreement"].between(0, 1).all()
    up = found["direction"] == "up"
    assert up.any()
    assert (found["score"][up] >= 0.25).all()


def test_no_row_changes_with_bars_to_come() -> None:
    given = frames(900)
    whole = alignment(given)
    until = pd.Timestamp("2025-11-03 09:07", tz="UTC")
    short = {
        key: bars[bars.index.tz_localize("UTC") + pd.Timedelta(minutes=int(key[:-1])) <= until]
        for key, bars in given.items()
    }
    pd.testing.assert_frame_equal(alignment(short), whole[whole.index <= until])


def test_tables_of_trends_do_as_well_as_bars() -> None:
    given = frames(600)
    study = trend(length=10)
    tables = {key: study.over(bars, timeframe=key) for key, bars in given.items()}
    pd.testing.assert_frame_equal(alignment(tables), alignment(given, study=study))


def test_too_few_bars_give_no_rows() -> None:
    found = alignment(frames(100))
    assert found.empty
    assert list(found.columns) == ["score", "direction", "agreement", "1m", "5m", "15m"]


@pytest.mark.parametrize(
    ("given", "more", "match"),
    [
        ({}, {}, "at least one timeframe"),
        ({"1m": minutes(9), "60s": minutes(9)}, {}, "given twice"),
        ({"1m": minutes(9)}, {"weights": {"5m": 1}}, "weights must be given for 1m"),
        ({"1m": minutes(9)}, {"weights": {"1m": 0}}, "above 0"),
        ({"1m": minutes(9)}, {"threshold": 2}, "threshold must be from 0 to 1"),
        ({"1m": minutes(9)}, {"study": structure()}, "takes a trend study"),
    ],
)
def test_bad_input(given: Any, more: dict[str, Any], match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        alignment(given, **more)
    with pytest.raises(UnknownTimeframeError):
        alignment({"soon": minutes(9)})


def test_prices_side_by_side_as_known_at_a_time() -> None:
    given = frames(60)
    now = comparison(given)
    assert now.index.tolist() == ["1m", "5m", "15m"]
    assert now["confirmed"].tolist() == [pd.Timestamp("2025-11-03 01:00", tz="UTC")] * 3
    assert now["distance"].iloc[0] == 0.0
    then = comparison(given, at="2025-11-03 00:23")
    starts = [stamp.minute for stamp in then["formed"]]
    assert starts == [22, 15, 0]
    price = given["1m"]["close"].iloc[22]
    five = given["5m"].iloc[3]
    row = then.loc["5m"]
    assert row["close"] == five["close"]
    assert row["distance"] == price - five["close"]
    assert row["since"] == price - given["5m"]["close"].iloc[2]
    assert row["place"] == (price - five["low"]) / (five["high"] - five["low"])
    early = comparison(given, at="2025-11-03 00:07").loc["15m"]
    assert early.isna().all()


def test_real_bars(shared_data: Path) -> None:
    frame = pd.read_csv(shared_data / "smc" / "EURUSD_15M.csv", nrows=2000)
    frame.columns = frame.columns.str.lower()
    frame.index = pd.to_datetime(frame["date"], format="%Y.%m.%d %H:%M:%S")
    hour = longer(frame, "1h").dropna()
    found = alignment({"15m": frame, "1h": hour})
    assert len(found) > 1800
    assert set(found["direction"]) == {"up", "down", "none"}
