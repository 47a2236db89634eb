"""Zigzag, fractals, pivot points and Heikin-Ashi: golden values and definitions."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from workbench.analytics import Indicator, indicator
from workbench.kernels.columns import bars_type
from workbench.records import BAR

Values = npt.NDArray[np.float64]
HOUR = 3_600 * 10**9

TRIED: list[tuple[str, dict[str, Any]]] = [
    ("zigzag", {}), ("zigzag", {"percent": 0.4, "by": "close"}),
    ("fractals", {}), ("fractals", {"length": 1}), ("fractals", {"length": 70}),
    ("pivots", {}), ("pivots", {"method": "woodie", "period": "week"}),
    ("pivots", {"method": "camarilla"}), ("pivots", {"method": "fibonacci"}),
    ("heikin_ashi", {}),
]  # fmt: skip
CHOSEN = [indicator(name, **parameters) for name, parameters in TRIED]
each = pytest.mark.parametrize("chosen", CHOSEN, ids=repr)


def hourly(n: int, seed: int = 1, step: float = 0.0) -> npt.NDArray[Any]:
    """Bars of a random walk an hour apart; rounded to a step if it is not 0."""
    rng = np.random.default_rng(seed)
    close = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.004, n)))
    bars = np.zeros(n, BAR)
    bars["time"] = pd.Timestamp("2024-01-30T20:00Z").value + np.arange(n) * HOUR
    bars["open"] = np.concatenate([close[:1], close[:-1]])
    bars["close"] = close
    bars["high"] = np.maximum(bars["open"], close) + 0.2 * rng.random(n)
    bars["low"] = np.minimum(bars["open"], close) - 0.2 * rng.random(n)
    for name in ("open", "high", "low", "close") if step else ():
        bars[name] = np.round(bars[name] / step) * step
    return bars


def golden(folder: Path, name: str) -> pd.DataFrame:
    return pd.read_csv(folder / "indicators" / name)


def values(chosen: Indicator, frame: pd.DataFrame) -> Values:
    return chosen.values(*(frame[name] for name in chosen.inputs))


def points(table: Values) -> dict[int, tuple[float, float]]:
    """Return the points a zigzag told of: by the bar they were at, price and side."""
    told = np.flatnonzero(~np.isnan(table[:, 0]))
    return {int(i - table[i, 2]): (table[i, 0], table[i, 1]) for i in told}


# -- golden values -------------------------------------------------------------------


def test_golden_zigzag(shared_data: Path) -> None:
    frame = golden(shared_data, "zigzag_hl_sk.csv")
    expected = {
        i: (frame["exp_zigzag"][i], 1.0 if kind == "H" else -1.0)
        for i, kind in enumerate(frame["exp_type"])
        if isinstance(kind, str)
    }
    ours = points(values(indicator("zigzag", percent=3.0), frame))
    assert len(expected) == 30
    # That library draws its first line from the first bar, whatever the bar is.
    assert ours.pop(0) == (frame["low"][0], -1.0)
    assert ours == expected


def test_golden_zigzag_of_a_library_that_wants_ten_bars_between(shared_data: Path) -> None:
    frame = golden(shared_data, "zigzag5_lean.csv")
    ours = points(values(indicator("zigzag"), frame))
    expected = frame["exp_zigzag"].dropna()
    assert len(expected) == 15
    assert all(ours[int(str(at))][0] == price for at, price in expected.items())


@pytest.mark.parametrize(
    ("file", "columns", "length", "count"),
    [
        ("fractal2_sk.csv", ["exp_bear", "exp_bull"], 2, 134),
        ("pivots4_sk.csv", ["exp_highPoint", "exp_lowPoint"], 4, 69),
    ],
)
def test_golden_fractals(
    shared_data: Path, file: str, columns: list[str], length: int, count: int
) -> None:
    """They stand on the bar of the extreme there, on the bar that confirms it here."""
    frame = golden(shared_data, file)
    expected = frame[columns].to_numpy()
    ours = values(indicator("fractals", length=length), frame)
    assert int((~np.isnan(expected)).sum()) == count
    np.testing.assert_array_equal(ours[length:], expected[:-length])


def test_golden_heikin_ashi(shared_data: Path) -> None:
    frame = golden(shared_data, "heikinashi_lean.csv")
    ours = values(indicator("heikin_ashi"), frame)
    expected = frame[["exp_o", "exp_h", "exp_l", "exp_c"]].to_numpy()
    assert expected.size == 2000
    np.testing.assert_allclose(ours, expected, rtol=0, atol=0.51e-7)


@pytest.mark.parametrize("file", ["_issue1949.zigzag.csv", "_issue1950.pivots.csv"])
def test_minutes_that_broke_other_libraries(shared_data: Path, file: str) -> None:
    frame = pd.read_csv(shared_data / "bars_mixed" / file)
    frame.columns = [name.lower().rsplit(".")[-1] for name in frame.columns]
    turned = points(values(indicator("zigzag", percent=0.5), frame))
    sides = [side for _, (_, side) in sorted(turned.items())]
    assert len(sides) > 4
    assert all(a != b for a, b in pairwise(sides))
    for at, (price, side) in turned.items():
        assert price == frame["high" if side > 0 else "low"][at]
    frame.index = pd.DatetimeIndex(pd.to_datetime(frame["time"], format="%m/%d/%Y %H:%M"))
    frame = frame[~frame.index.duplicated()].sort_index()
    table = pd.DataFrame(indicator("pivots").over(frame))
    days = pd.DatetimeIndex(frame.index).normalize()
    assert table["pivot"].isna().sum() == (days == days[0]).sum()
    assert (table["r1"].dropna() >= table["pivot"].dropna()).all()


# -- definitions ---------------------------------------------------------------------


def test_zigzag_by_hand() -> None:
    nan = math.nan
    close = [100.0, 104.0, 110.0, 105.0, 104.0, 109.0, 110.0, 99.0, 99.0, 104.0]
    ours = indicator("zigzag", percent=5.0, by="close").values(close, close, close)
    expected = [
        (nan, nan, nan), (nan, nan, nan), (100, -1, 2), (100, -1, 3),
        (110, 1, 2), (110, 1, 3), (104, -1, 2), (110, 1, 1), (110, 1, 2), (99, -1, 1),
    ]  # fmt: skip
    # 105 is not 5 % below 110, 104 is; 109 is not 5 % above 104, 110 is; of the two equal
    # bottoms the later one counts.
    np.testing.assert_array_equal(ours, np.array(expected, float))


@pytest.mark.parametrize("length", [1, 2, 5, 60])
@pytest.mark.parametrize("step", [0.0, 0.5])
def test_fractals_are_above_all_around(length: int, step: float) -> None:
    bars = hourly(500, length, step)
    ours = indicator("fractals", length=length).start().add(bars)
    for output, column, sign in ((0, "high", 1.0), (1, "low", -1.0)):
        x = sign * bars[column]
        expected = np.full(500, math.nan)
        for i in range(2 * length, 500):
            around = x[i - 2 * length : i + 1]
            if (np.delete(around, length) < around[length]).all():
                expected[i] = bars[column][i - length]
        np.testing.assert_array_equal(ours[:, output], expected)


def by_formula(method: str, high: float, low: float, close: float, opened: float) -> list[float]:
    reach, pivot = high - low, (high + low + close) / 3
    if method == "fibonacci":
        steps = [0.382 * reach, 0.618 * reach, reach, math.nan]
        return [pivot, *(pivot + x for x in steps), *(pivot - x for x in steps)]
    if method == "camarilla":
        steps = [1.1 * reach / part for part in (12, 6, 4, 2)]
        return [pivot, *(close + x for x in steps), *(close - x for x in steps)]
    if method == "woodie":
        pivot = (high + low + 2 * opened) / 4
    above = [2 * pivot - low, pivot + reach, high + 2 * (pivot - low), math.nan]
    below = [2 * pivot - high, pivot - reach, low - 2 * (high - pivot), math.nan]
    return [pivot, *above, *below]


@pytest.mark.parametrize("method", ["classic", "fibonacci", "camarilla", "woodie"])
@pytest.mark.parametrize("period", ["session", "week", "month"])
@pytest.mark.parametrize(("symbol", "zone"), [("BTC-USD", "UTC"), ("SPY", "America/New_York")])
def test_pivots_are_of_the_period_before(method: str, period: str, symbol: str, zone: str) -> None:
    bars = hourly(1500)
    times = pd.DatetimeIndex(bars["time"], tz="UTC").tz_convert(zone).tz_localize(None)
    key = times.to_period({"session": "D", "week": "W-SUN", "month": "M"}[period])
    frame = pd.DataFrame({name: bars[name] for name in ("open", "high", "low", "close")})
    groups = [group for _, group in frame.groupby(np.asarray(key.asi8))]
    expected = np.full((1500, 9), math.nan)
    for last, group in pairwise(groups):
        told = last["high"].max(), last["low"].min(), last["close"].iloc[-1]
        expected[group.index] = by_formula(method, *told, group["open"].iloc[0])
    ours = indicator("pivots", method=method, period=period).start(symbol).add(bars)
    assert len(groups) > 2
    np.testing.assert_allclose(ours, expected, rtol=1e-13)


def test_heikin_ashi_candles_hold_their_bodies() -> None:
    bars = hourly(300)
    opened, high, low, close = indicator("heikin_ashi").start().add(bars).T
    assert opened[0] == (bars["open"][0] + bars["close"][0]) / 2
    np.testing.assert_array_equal(opened[1:], (opened[:-1] + close[:-1]) / 2)
    assert (high >= np.maximum(opened, close)).all()
    assert (low <= np.minimum(opened, close)).all()


# -- what holds for all --------------------------------------------------------------


@each
@pytest.mark.parametrize("level", [0.0, 100.0, -7.5])
def test_constant_prices_have_no_turns(chosen: Indicator, level: float) -> None:
    bars = hourly(300)
    for name in ("open", "high", "low", "close"):
        bars[name] = level
    ours = chosen.start().add(bars)
    told = np.unique(ours[~np.isnan(ours)])
    none = chosen.spec.name in ("zigzag", "fractals")
    np.testing.assert_allclose(told, [] if none else np.full(len(told), level), rtol=1e-15)


@each
@pytest.mark.parametrize("step", [0.0, 0.5])
def test_any_split_and_the_python_twin_give_the_same_bits(chosen: Indicator, step: float) -> None:
    bars = hourly(400, 5, step)
    whole = chosen.start().add(bars)
    for cuts in ([1, 2, 3, 64, 65, 200], [130, 131, 399], list(range(1, 400))):
        run = chosen.start()
        edges = zip([0, *cuts], [*cuts, 400], strict=True)
        parts = [run.add(bars[a:b]) for a, b in edges]
        assert np.concatenate(parts).tobytes() == whole.tobytes()
    run = chosen.start()
    out = np.empty_like(whole)
    columns = bars_type(chosen.spec.inputs)(*run._read(bars))
    twin: Any = chosen.spec.kernel
    twin.py_func(run._p, run._s, columns, out)
    assert out.tobytes() == whole.tobytes()
