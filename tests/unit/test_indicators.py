"""Indicators: golden values, parameters, sessions, and sums that do not drift."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from workbench.analytics import CATALOGUE, Indicator, Run, ema, indicator, rsi, sma, vwap
from workbench.errors import ConfigError, UnknownIndicatorError
from workbench.kernels.columns import bars_type
from workbench.records import BAR

# -- golden values -------------------------------------------------------------------


def golden(folder: Path, name: str) -> pd.DataFrame:
    return pd.read_csv(folder / "indicators" / name, parse_dates=["time"])


@pytest.mark.parametrize(
    ("file", "column", "chosen", "tolerance", "count"),
    [
        # Index values about 14,000, written with seven digits.
        ("sma14_lean.csv", "exp_sma", sma(14), 0.006, 487),
        ("ema14_lean.csv", "exp_ema", ema(14), 0.006, 487),
        ("rsi14_lean.csv", "exp_rsi", rsi(14), 0.5e-4, 486),
        ("ema14_full_lean.csv", "exp_ema", ema(14), 1e-9, 351),
    ],
)
def test_golden_values(
    shared_data: Path, file: str, column: str, chosen: Indicator, tolerance: float, count: int
) -> None:
    frame = golden(shared_data, file)
    ours = chosen.over(frame).to_numpy()
    theirs = frame[column].to_numpy()
    told = ~np.isnan(theirs)
    assert told.sum() == count
    assert np.abs(ours - theirs)[told].max() <= tolerance * 1.001


def test_golden_vwap_of_a_typical_price(shared_data: Path) -> None:
    """One session; without a vwap column the typical price stands for the traded one."""
    frame = golden(shared_data, "vwap_anchor_sk.csv").set_index("time")
    ours = vwap().over(frame).to_numpy()
    assert len(ours) == 391
    assert np.abs(ours - frame["exp_vwap"].to_numpy()).max() < 1e-9


# -- definitions ---------------------------------------------------------------------


def closes(*values: float) -> pd.DataFrame:
    return pd.DataFrame({"close": values})


def test_small_cases_by_hand() -> None:
    nan = math.nan
    frame = closes(1.0, 2.0, 3.0, 5.0)
    np.testing.assert_equal(sma(2).over(frame).to_numpy(), [nan, 1.5, 2.5, 4.0])
    np.testing.assert_equal(ema(3).over(frame).to_numpy(), [nan, nan, 2.0, 3.5])
    np.testing.assert_equal(sma(1).over(frame).to_numpy(), [1.0, 2.0, 3.0, 5.0])
    np.testing.assert_equal(ema(1).over(frame).to_numpy(), [1.0, 2.0, 3.0, 5.0])
    up_and_down = rsi(2).over(closes(10, 11, 10, 12, 12)).to_numpy()
    np.testing.assert_allclose(up_and_down, [nan, nan, 50.0, 250 / 3, 250 / 3], rtol=1e-15)


def test_rsi_at_its_ends() -> None:
    assert rsi(2).over(closes(1, 2, 3, 4)).to_numpy()[-1] == 100.0
    assert rsi(2).over(closes(4, 3, 2, 1)).to_numpy()[-1] == 0.0
    assert rsi(2).over(closes(4, 4, 4, 4)).to_numpy()[-1] == 0.0


def test_vwap_of_nothing_traded_is_not_a_number() -> None:
    index = pd.date_range("2024-01-01", periods=2, freq="min", tz="UTC")
    frame = pd.DataFrame({"vwap": [5.0, 5.0], "volume": [0.0, 2.0]}, index=index)
    np.testing.assert_equal(vwap().over(frame).to_numpy(), [math.nan, 5.0])


def test_no_bars_no_values() -> None:
    for spec in CATALOGUE.values():
        assert Indicator(spec).start().add(np.zeros(0, BAR)).shape == (0, len(spec.outputs))
        with pytest.raises(ConfigError, match="needs at least"):
            Indicator(spec).over(np.zeros(0, BAR))


# -- sums that do not drift ----------------------------------------------------------


def test_sma_does_not_drift_over_a_million_rows_of_jumping_levels() -> None:
    rng = np.random.default_rng(7)
    n, length = 1_000_000, 20
    level = np.where(np.arange(n) // 997 % 2, 1e6, 1.0)
    close = np.round(level + rng.random(n), 4)
    bars = np.zeros(n, BAR)
    bars["close"] = close
    ours = sma(length).start().add(bars)[:, 0]
    # Every value near a fall of the level, and a sample of the others, exactly.
    falls = np.flatnonzero((level[1:] == 1.0) & (level[:-1] > 1.0)) + 1
    near = (falls[:, None] + np.arange(0, 100, 7)).ravel()
    places = np.concatenate([near[near < n], rng.integers(length, n, 2000), [n - 1]])
    worst = 0.0
    for place in places:
        exact = sum(map(Fraction, close[place - length + 1 : place + 1].tolist())) / length
        worst = max(worst, abs(float((Fraction(float(ours[place])) - exact) / exact)))
    assert worst < 1e-9


# -- sessions ------------------------------------------------------------------------


def hourly(start: str, hours: int) -> np.ndarray[Any, Any]:
    bars = np.zeros(hours, BAR)
    first = pd.Timestamp(start, tz="UTC").value
    bars["time"] = first + np.arange(hours) * 3_600 * 10**9
    bars["notional"] = bars["close"] = np.arange(1.0, hours + 1)
    bars["volume"] = 1.0
    return bars


@pytest.mark.parametrize(
    ("symbol", "midnights"),
    [
        # 2008-03-09: summer time begins in New York; that day has 23 hours.
        ("SPY", ["2008-03-08T05", "2008-03-09T05", "2008-03-10T04", "2008-03-11T04"]),
        ("BTC-USD", ["2008-03-08T00", "2008-03-09T00", "2008-03-10T00", "2008-03-11T00"]),
        ("EUR/USD", ["2008-03-08T00", "2008-03-09T00", "2008-03-10T00", "2008-03-11T00"]),
        ("", ["2008-03-08T00", "2008-03-09T00", "2008-03-10T00", "2008-03-11T00"]),
    ],
)
def test_vwap_begins_anew_at_local_midnight(symbol: str, midnights: list[str]) -> None:
    bars = hourly("2008-03-07T12:00", 96)
    values = vwap().over(bars, symbol)
    fresh = values.index[values.to_numpy() == bars["close"]]
    assert fresh[1:].strftime("%Y-%m-%dT%H").tolist() == midnights


@pytest.mark.parametrize("zone", [None, "UTC", "America/New_York", "Asia/Tokyo"])
@pytest.mark.parametrize("unit", ["s", "us", "ns"])
def test_the_zone_and_unit_of_an_index_do_not_matter(zone: str | None, unit: Any) -> None:
    bars = hourly("2008-03-07T12:00", 96)
    expected = vwap().over(bars, "SPY").to_numpy()
    index = pd.DatetimeIndex(bars["time"].view("M8[ns]")).as_unit(unit)
    index = index if zone is None else index.tz_localize("UTC").tz_convert(zone)
    frame = pd.DataFrame({"notional": bars["notional"], "volume": bars["volume"]}, index=index)
    assert vwap().over(frame, "SPY").to_numpy().tobytes() == expected.tobytes()


# -- parameters and names ------------------------------------------------------------


@pytest.mark.parametrize("length", [0, -1, 100_001, 2.5, math.nan, True, "20", None])
@pytest.mark.parametrize("name", ["sma", "ema", "rsi"])
def test_lengths_that_are_none(name: str, length: Any) -> None:
    with pytest.raises(ConfigError, match="length must be a whole number from 1 to 100000"):
        indicator(name, length=length)


def test_unknown_names_and_parameters() -> None:
    with pytest.raises(UnknownIndicatorError, match="did you mean ema"):
        indicator("emma")
    with pytest.raises(ConfigError, match="'width'; it has length"):
        indicator("sma", width=3)
    with pytest.raises(ConfigError, match="it has none"):
        indicator("vwap", length=3)
    assert indicator("SMA").parameters == {"length": 20}


def test_columns_that_are_missing() -> None:
    with pytest.raises(ConfigError, match="needs a column 'close'"):
        sma(1).over(pd.DataFrame({"open": [1.0]}))
    with pytest.raises(ConfigError, match="indexed by time"):
        vwap().over(pd.DataFrame({"vwap": [1.0], "volume": [1.0]}))


def test_names_for_legends_and_columns() -> None:
    assert (sma(5).label, sma(5).keys, repr(sma(5))) == ("SMA 5", ("sma_5",), "sma(length=5)")
    assert (vwap().label, vwap().keys, repr(vwap())) == ("VWAP", ("vwap",), "vwap()")
    assert rsi().pane == "own"
    assert rsi().range == (0.0, 100.0)
    assert rsi().levels == (30.0, 70.0)
    assert (sma().pane, sma().range, sma().levels) == ("price", None, ())
    assert sma(100_000).keys == ("sma_100000",)
    assert sma(5) == sma(5) != sma(6)
    assert len({sma(5), sma(5), ema(5)}) == 2
    assert indicator("sma", length=np.int64(5)) == sma(5)  # type: ignore[arg-type]


# -- runs ----------------------------------------------------------------------------


def test_checkpoints_are_bounded_and_reach_far_enough_back() -> None:
    run = sma(3).start()
    bars = hourly("2024-01-01", 20_000)
    run.add(bars)
    assert run.count == 20_000
    assert len(run._checkpoints) <= Run.KEEP
    assert run.reach(20_000 - Run.EVERY * (Run.KEEP - 2)) > 0
    assert run.reach(5) == -1
    with pytest.raises(ValueError, match="no checkpoint at bar 7"):
        run.rollback(7)


def test_many_small_steps_keep_the_checkpoints_of_one_large_one() -> None:
    bars = hourly("2024-01-01", 5_000)
    large, small = sma(3).start(), sma(3).start()
    large.add(bars)
    for start in range(0, 5_000, 7):
        small.add(bars[start : start + 7])
    for count in range(1_000, 5_001, 97):
        assert small.reach(count) == large.reach(count)


def test_one_compiled_kernel_serves_all_callers() -> None:
    """Read-only rows, writable rows and DataFrames must not compile kernels of their own."""
    bars = hourly("2024-01-01", 10)
    frozen = bars.copy()
    frozen.flags.writeable = False
    kernel: Any = CATALOGUE["ema"].kernel
    ema(3).over(bars)
    before = len(kernel.signatures)
    ema(4).over(frozen)
    ema(5).over(bars[::2])
    ema(2).over(closes(1.0, 2.0))
    ema(6).start().peek(frozen[:1])
    assert len(kernel.signatures) == before


def test_bars_types_are_found_again_by_name() -> None:
    made = bars_type(("close", "volume"))
    assert made is bars_type(("close", "volume"))
    assert made.__module__ == "workbench.kernels.columns"


def test_one_indicator_takes_whole_numbers_and_floats_in_turn() -> None:
    times = pd.date_range("2025-01-01", periods=4, freq="1min", tz="UTC", name="time")
    frame = pd.DataFrame({"close": [1.0, 2.0, 3.0, 4.0]}, index=times)
    mean = sma(2, of="time")  # whole numbers in a table, any in a plain column
    for _ in range(2):
        assert mean.over(frame).tolist()[1:] == (times[1:].as_unit("ns").asi8 - 3e10).tolist()
        assert mean.values([1.0, 2.0, 3.0, 4.0])[1:, 0].tolist() == [1.5, 2.5, 3.5]
