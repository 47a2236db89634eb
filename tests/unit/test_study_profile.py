"""Volume profile: what is spread is kept, value area and nodes by their rules, zones in time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.errors import ConfigError
from workbench.records import TRADE
from workbench.study import profile, profile_of


def market(n: int, seed: int = 0, decimals: int = 2) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    close = np.round(100 + np.cumsum(rng.normal(0, 0.3, n)), decimals)
    open_ = np.concatenate([[100.0], close[:-1]])[:n]
    wick = np.round(np.abs(rng.normal(0, 0.2, (2, n))), decimals)
    columns = {
        "open": open_,
        "high": np.maximum(open_, close) + wick[0],
        "low": np.minimum(open_, close) - wick[1],
        "close": close,
        "volume": rng.exponential(100, n).round(),
    }
    return pd.DataFrame(columns, index=pd.date_range("2025-11-03", periods=n, freq="1min"))


def test_volume_is_spread_evenly_over_the_range_of_a_bar() -> None:
    bars = pd.DataFrame(
        {"open": [10.0, 12], "high": [14.0, 12], "low": [10.0, 12], "close": [14.0, 12],
         "volume": [8.0, 5.0]},
        index=pd.date_range("2025-11-03", periods=2, freq="1min"),
    )  # fmt: skip
    table = profile_of(bars, tick=1.0).table
    assert table["low"].tolist() == [10.0, 11.0, 12.0, 13.0, 14.0]
    assert table["price"].tolist() == [10.5, 11.5, 12.5, 13.5, 14.5]
    assert table["volume"].tolist() == [2.0, 2.0, 7.0, 2.0, 0.0]


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 999),
    n=st.integers(1, 80),
    bins=st.integers(8, 200),
    tick=st.sampled_from([0.0, 0.01, 0.25]),
    share=st.floats(0.05, 1.0),
)
def test_no_volume_is_lost_and_the_value_area_holds_its_share(
    seed: int, n: int, bins: int, tick: float, share: float
) -> None:
    bars = market(n, seed)
    found = profile_of(bars, bins=bins, tick=tick, value_area=share)
    table = found.table
    assert len(table) <= bins
    assert table["volume"].sum() == pytest.approx(bars["volume"].sum(), rel=1e-5)
    assert table["low"].iloc[0] <= bars["low"].min() * (1 + 1e-9)
    assert table["high"].iloc[-1] >= bars["high"].max() * (1 - 1e-9)
    if tick:
        steps = table["low"] / tick
        np.testing.assert_allclose(steps, steps.round(), rtol=1e-9)
    if not bars["volume"].sum():
        assert np.isnan(found.poc)
        return
    inside = (table["price"] > found.low) & (table["price"] < found.high)
    assert table["volume"][inside].sum() >= share * table["volume"].sum() * (1 - 1e-9)
    assert found.low < found.poc < found.high
    assert table["volume"][table["price"] == found.poc].iloc[0] == table["volume"].max()


def test_the_value_area_grows_by_the_larger_pair() -> None:
    sizes = [1.0, 2, 6, 4, 10, 3, 8, 2, 1]
    trades = pd.DataFrame({"price": np.arange(9.0), "size": sizes})
    found = profile_of(trades, value_area=0.5)
    # 10 at 4; above 3 + 8 = 11 beats below 4 + 6 = 10: 21 of 37 is enough.
    assert (found.poc, found.low, found.high) == (4.0, 4.0, 6.0)
    more = profile_of(trades, value_area=0.6)
    assert (more.low, more.high) == (2.0, 6.0)


def test_the_point_of_control_of_equals_is_nearest_to_the_middle() -> None:
    trades = pd.DataFrame({"price": np.arange(7.0), "size": [9.0, 1, 9, 1, 9, 1, 1]})
    assert profile_of(trades).poc == 2.0


def test_nodes_are_runs_above_and_below_the_quantiles() -> None:
    sizes = [5.0, 9, 9, 5, 1, 1, 5, 8, 5, 5]
    trades = pd.DataFrame({"price": np.arange(10.0), "size": sizes})
    node = profile_of(trades, smooth=0, quantile=0.8).table["node"]
    assert node.tolist() == ["", "HVN", "HVN", "", "LVN", "LVN", "", "HVN", "", ""]
    flat = pd.DataFrame({"price": np.arange(10.0), "size": 1.0})
    assert (profile_of(flat).table["node"] == "").all()


def test_trades_as_records_and_in_bins() -> None:
    rows = np.zeros(4, TRADE)
    rows["price"] = [0.07, 0.29, 0.29, 0.58]  # none of them a whole number of hundredths
    rows["size"] = 1.0
    assert profile_of(rows).table["price"].tolist() == [0.07, 0.29, 0.58]
    table = profile_of(rows, tick=0.01).table
    held = table[table["volume"] > 0]
    assert held["low"].round(9).tolist() == [0.07, 0.29, 0.58]


@pytest.mark.parametrize("n", [30, 45, 200])
def test_standing_zones_are_those_of_the_last_window(n: int) -> None:
    bars = market(n, 4)
    run = profile(length=30, bins=40).start()
    run.add(bars)
    live = run.live()
    found = profile_of(bars[-30:], bins=40)
    area = live[live["kind"] == "value area"].iloc[0]
    assert (area["low_now"], area["high_now"], area["peak_now"]) == (
        found.low,
        found.high,
        found.poc,
    )
    for kind in ("HVN", "LVN"):
        marked = (found.table["node"] == kind).to_numpy()
        starts = found.table["low"][marked & ~np.concatenate([[False], marked[:-1]])]
        assert sorted(live["low_now"][live["kind"] == kind]) == starts.tolist()


def test_the_value_area_ends_when_the_point_of_control_moves() -> None:
    price = [10.2] * 3 + [15.2] * 3
    bars = pd.DataFrame(
        dict.fromkeys(("open", "high", "low", "close"), price) | {"volume": [1.0] * 6},
        index=pd.date_range("2025-11-03", periods=6, freq="1min"),
    )
    table = profile(length=3, bins=8, tick=1.0).over(bars)
    areas = table[table["kind"] == "value area"]
    assert areas["peak"].tolist() == [10.5, 15.5]
    assert areas["confirmed"].dt.minute.tolist() == [3, 5]
    assert areas["reason"].tolist() == ["moved", ""]
    assert areas["mitigated"].iloc[0] == areas["confirmed"].iloc[1]
    assert areas["share"].iloc[0] == 1.0


def test_no_volume_means_no_rows() -> None:
    assert profile(length=5).over(market(20).assign(volume=0.0)).empty


@pytest.mark.parametrize(
    ("rows", "error", "match"),
    [
        (pd.DataFrame({"price": [1.0]}), ConfigError, "needs a column 'size'"),
        (pd.DataFrame({"price": [1.0, np.nan], "size": 1.0}), ValueError, "row 1 is no trade"),
        (market(3).drop(columns="volume"), ConfigError, "needs a column 'volume'"),
    ],
)
def test_bad_rows(rows: Any, error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        profile_of(rows)


def test_nothing_gives_an_empty_profile() -> None:
    found = profile_of(pd.DataFrame({"price": [], "size": []}, dtype=float))
    assert found.table.empty
    assert np.isnan([found.poc, found.low, found.high]).all()
