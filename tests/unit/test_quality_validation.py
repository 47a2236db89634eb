"""Checking and cleaning tables."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from workbench.errors import ConfigError
from workbench.quality.cleaning import clean
from workbench.quality.rules import Rules
from workbench.quality.validation import validate
from workbench.records import BAR, TRADE
from workbench.symbols import SymbolTable


def bars(n: int = 40, start: str = "2025-11-03 15:00") -> pd.DataFrame:
    index = pd.date_range(start, periods=n, freq="min", name="time", tz="UTC")
    close = 100 + np.sin(np.arange(n) / 5)
    return pd.DataFrame(
        {"open": close, "high": close + 0.1, "low": close - 0.1, "close": close, "volume": 5},
        index=index,
    )


def found(frame: pd.DataFrame, **options: Any) -> dict[int, str]:
    errors = validate(frame, **options).errors
    return dict(zip(errors["row"].tolist(), errors["type"].tolist(), strict=True))


def test_sound_bars_are_a_success() -> None:
    check = validate(bars(), symbol="AAPL")
    assert check.success
    assert bool(check)
    assert check.statistics == {
        "validated": 40, "errors_detected": 0, "corrections_made": 0, "success_rate": 1.0
    }  # fmt: skip
    assert check.list() == []
    assert repr(check) == "Validation(40 bar rows, success)"


def test_each_error_of_bars_is_found_and_nothing_else() -> None:
    frame = bars()
    frame.iloc[3, 1] = 1.0  # high
    frame.iloc[5, 4] = -1  # volume
    frame.iloc[9, 3] = np.nan  # close
    frame.iloc[20, [0, 1, 2, 3]] = 120.0
    frame.iloc[30, 1] = 111.0  # a spike of the high alone
    again, other = frame.iloc[[12]], frame.iloc[[14]] + 0.01
    late = frame.iloc[[16]]
    frame = pd.concat([frame.drop(frame.index[16]), again, other, late])
    wanted = {3: "ohlc", 5: "ohlc", 9: "ohlc", 19: "deviation", 29: "deviation"}
    wanted |= {39: "duplicate", 40: "contradiction", 41: "order"}
    assert found(frame) == wanted
    first = validate(frame).list(limit=2)
    assert [one["type"] for one in first] == ["ohlc", "ohlc"]
    assert first[0]["description"].startswith("row 3: open, high")
    cleaned = clean(frame)
    assert len(cleaned) == 40 - 5
    assert cleaned.index.is_monotonic_increasing
    assert cleaned.index.is_unique
    assert len(clean(frame, remove_outliers=False)) == 40 - 3
    assert frame.index[-1] == late.index[0], "the table given is left as it is"
    assert found(cleaned) == {}


def test_a_leap_that_lasts_is_no_outlier() -> None:
    frame = bars()
    frame.iloc[20:, :4] *= 1.3
    assert found(frame) == {}


def test_times_in_other_units_and_symbols_are_told() -> None:
    frame = bars(12)
    frame["symbol"] = ["AAPL"] * 6 + ["A B!"] * 6
    frame.index = pd.DatetimeIndex([pd.Timestamp(1_700_000_000, tz="UTC"), *frame.index[1:]])
    assert found(frame) == {0: "time"} | dict.fromkeys(range(6, 12), "symbol")


def test_trades_are_judged_by_the_rules_of_the_gate() -> None:
    rows = np.zeros(60, TRADE)
    rows["price"], rows["size"], rows["id"] = 100.0, 1.0, range(1, 61)
    rows["time"] = 1_723_161_255_000_000_000 + np.arange(60) * 10**9
    rows["price"][[10, 11]] = -1.0, 150.0
    rows["price"][40:] = 110.0
    rows["id"][20], rows["time"][20] = rows["id"][19], rows["time"][19]
    table = SymbolTable(["BTC-USD"])
    wanted = {10: "price", 11: "deviation", 20: "duplicate"}
    check = validate(rows, table=table)
    assert dict(zip(check.errors["row"], check.errors["type"], strict=True)) == wanted
    frame = pd.DataFrame({name: rows[name] for name in ("price", "size", "id")})
    frame["time"] = pd.to_datetime(rows["time"], utc=True)
    assert found(frame, symbol="BTC-USD") == wanted
    wide = Rules.everywhere(max_price_deviation=1.0)
    assert found(frame, symbol="BTC-USD", rules=wide) == {10: "price", 20: "duplicate"}
    frame["received"] = frame["time"]
    frame["received"] -= pd.to_timedelta(np.where(np.arange(60) == 30, 20, 0), unit="s")
    assert found(frame, symbol="BTC-USD") == wanted | {30: "time"}
    assert len(clean(frame, symbol="BTC-USD")) == 56


def test_quotes_and_rows_of_bars() -> None:
    times = pd.date_range("2025-11-03", periods=3, freq="s")
    quotes = pd.DataFrame({"bid": [9.0, 11.0, np.nan], "ask": 10.0}, index=times)
    assert found(quotes) == {2: "price"}
    rows = np.zeros(2, BAR)
    rows["time"] = 1_723_161_255_000_000_000
    assert validate(rows).errors["type"].tolist() == ["ohlc", "ohlc"]


def test_gaps_are_shown_and_nothing_is_made_up() -> None:
    frame = bars(10).drop(bars(10).index[[3, 4, 7]])
    whole = clean(frame, fill_gaps=True)
    assert whole["filled"].tolist() == [i in (3, 4, 7) for i in range(10)]
    assert whole.index.equals(bars(10).index)
    values = whole.loc[whole["filled"], ["open", "high", "low", "close", "volume"]]
    assert values.isna().all().all()
    assert whole.loc[~whole["filled"], "volume"].eq(5).all()


def test_only_times_in_session_are_filled() -> None:
    evening = bars(10, "2025-11-03 20:50")  # until the regular close in New York
    morning = bars(10, "2025-11-04 14:30").drop(bars(10, "2025-11-04 14:30").index[4])
    whole = clean(pd.concat([evening, morning]), fill_gaps=True, symbol="AAPL")
    assert len(whole) == 20
    assert whole["filled"].sum() == 1


def test_what_is_no_table_of_a_market_is_refused() -> None:
    with pytest.raises(ConfigError, match="here are a"):
        validate(pd.DataFrame({"a": [1]}))
    with pytest.raises(ConfigError, match="indexed by time"):
        validate(pd.DataFrame({"price": [1.0], "size": [1.0]}))
    with pytest.raises(ConfigError, match="needs the columns bid, ask"):
        validate(bars(), kind="quote")
    with pytest.raises(ConfigError, match="only gaps between bars"):
        clean(bars()[["close"]].rename(columns={"close": "price"}).assign(size=1), fill_gaps=True)
    with pytest.raises(ConfigError, match="dtype"):
        validate(np.zeros(1, [("a", "f8")]))


@pytest.mark.parametrize("day", ["20140605", "20140606", "20140609"])
def test_the_one_bad_print_of_a_real_stock_is_found(shared_data: Path, day: str) -> None:
    """AAPL opened at 645.57 on the day of its split in seven, and was at 92.23 at once."""
    with zipfile.ZipFile(shared_data / f"equity/minute/aapl/{day}_trade.zip") as archive:
        text = archive.open(archive.namelist()[0])
        names = ["ms", "open", "high", "low", "close", "volume"]
        frame = pd.read_csv(text, header=None, names=names)
    frame[names[1:5]] /= 10_000
    frame.index = pd.to_datetime(day) + pd.to_timedelta(frame.pop("ms"), unit="ms")
    assert found(frame, symbol="AAPL") == ({0: "deviation"} if day == "20140609" else {})


def test_a_dirty_file_is_found_dirty(shared_data: Path) -> None:
    frame = pd.read_csv(shared_data / "bars_mixed" / "bad.csv")
    frame.index = pd.to_datetime(frame.pop("date"), format="mixed")
    check = validate(frame)
    assert not check.success
    possible = frame[["open", "close", "low"]].max(axis=1) <= frame["high"]
    possible &= (frame[["open", "close"]].min(axis=1) >= frame["low"]) & (frame["low"] > 0)
    possible &= frame["volume"] >= 0
    rows = set(check.errors.loc[check.errors["type"] == "ohlc", "row"])
    assert rows == set(np.flatnonzero(~possible & (frame.index > "1971")).tolist())
