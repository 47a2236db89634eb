"""Oscillators that add up windows, beside exact sums, and after jumps of the level."""

from __future__ import annotations

import math
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from workbench.analytics import Indicator, indicator

Values = npt.NDArray[np.float64]
Columns = dict[str, Values]


def walk(n: int, seed: int = 1, digits: int = 12) -> Columns:
    """Bars of a random walk; few digits make equal extremes."""
    rng = np.random.default_rng(seed)
    close = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 1e-3, n)))
    high = close * (1.0 + np.abs(rng.normal(0.0, 5e-4, n)))
    low = close * (1.0 - np.abs(rng.normal(0.0, 5e-4, n)))
    rounded = {"close": close, "high": high, "low": low}
    columns = {name: np.round(column, digits) for name, column in rounded.items()}
    columns["hl2"] = (columns["high"] + columns["low"]) / 2.0
    return columns | {"volume": rng.integers(1, 1000, n).astype(np.float64)}


def values(chosen: Indicator, columns: Columns) -> Values:
    return chosen.values(*[columns[name] for name in chosen.inputs])


def exact_cci(price: Values, length: int, i: int) -> float:
    window = [Fraction(float(x)) for x in price[i - length + 1 : i + 1]]
    mean = sum(window, Fraction(0)) / length
    spread = sum((abs(x - mean) for x in window), Fraction(0)) / length
    return float((window[-1] - mean) / spread) / 0.015 if spread else 0.0


def exact_mfi(price: Values, volume: Values, length: int, i: int) -> float:
    window = range(i - length + 1, i + 1)
    rises = math.fsum(price[k] * volume[k] for k in window if price[k] > price[k - 1])
    moved = math.fsum(price[k] * volume[k] for k in window if price[k] != price[k - 1])
    return 100.0 * rises / moved if moved else 0.0


@pytest.mark.parametrize("length", [1, 2, 5, 20, 100])
@pytest.mark.parametrize("n", [700, 20_000])
def test_sums_are_exact(length: int, n: int) -> None:
    c = walk(n, 3)
    price = (c["high"] + c["low"] + c["close"]) / 3.0
    cci = values(indicator("cci", length=length), c)[:, 0]
    mfi = values(indicator("mfi", length=length), c)[:, 0]
    places = [*range(length, 400), *np.random.default_rng(1).integers(length, n, 300).tolist()]
    for i in places:
        expected = exact_cci(price, length, i)
        assert abs(cci[i] - expected) <= 1e-12 * max(abs(expected), 0.5)
        expected = exact_mfi(price, c["volume"], length, i)
        assert abs(mfi[i] - expected) <= 1e-12 * max(abs(expected), 0.1)


@pytest.mark.parametrize(("fast", "slow"), [(12, 26), (1, 2), (30, 200)])
def test_distances_of_simple_means_are_exact(fast: int, slow: int) -> None:
    n = 6000
    c = walk(n, 3)
    given: dict[str, Any] = {"fast": fast, "slow": slow}
    apo = values(indicator("apo", **given), c)[:, 0]
    ppo = values(indicator("ppo", **given), c)[:, 0]
    awesome = values(indicator("awesome", **given), c | {"hl2": c["close"]})[:, 0]
    assert awesome.tobytes() == apo.tobytes()
    floor = 1e-3 * float(np.ptp(apo[slow:]))
    for i in range(slow, n, 13):
        window = [Fraction(x) for x in c["close"][i - slow + 1 : i + 1].tolist()]
        mean = sum(window, Fraction(0)) / slow
        distance = sum(window[-fast:], Fraction(0)) / fast - mean
        assert abs(apo[i] - float(distance)) <= 1e-12 * max(abs(apo[i]), floor) + 1e-15
        assert ppo[i] == pytest.approx(float(100 * distance / mean), rel=1e-9, abs=1e-12)


def levels(n: int) -> Values:
    """Closes that leave their level by a million, and come back, all the time."""
    return walk(n, 7)["close"] + np.where(np.arange(n) // 997 % 2, 1e6, 0.0)


def assert_exact(name: str, ours: Values, places: list[int], pairs: list[list[Fraction]]) -> None:
    distances = [quick - mean for quick, mean in pairs]
    if name == "ppo":
        distances = [100 * (quick - mean) / mean for quick, mean in pairs]
    wanted = np.array([float(distance) for distance in distances])
    floor = 1e-3 * np.median(np.abs(wanted))
    assert (np.abs(ours[places] - wanted) / np.maximum(np.abs(wanted), floor)).max() < 1e-9


@pytest.mark.parametrize("name", ["apo", "ppo"])
def test_distances_of_simple_means_keep_their_digits_when_levels_jump(name: str) -> None:
    n = 50_000
    close = levels(n)
    ours = values(indicator(name), {"close": close})[:, 0]
    # A jump is in the window, has just left it, and left it some time ago.
    places = [a + b for a in range(39 * 997, n - 997, 997) for b in (5, 25, 26, 27, 33, 300, 996)]
    pairs = []
    for i in places:
        window = [Fraction(x) for x in close[i - 25 : i + 1].tolist()]
        pairs.append([sum(window[-12:], Fraction(0)) / 12, sum(window, Fraction(0)) / 26])
    assert_exact(name, ours, places, pairs)


@pytest.mark.parametrize("name", ["apo", "ppo"])
def test_distances_of_exponential_means_keep_their_digits_when_levels_jump(name: str) -> None:
    close = levels(6_000)
    ours = values(indicator(name, average="ema"), {"close": close})[:, 0]
    x = [Decimal(value) for value in close.tolist()]
    means = []
    with localcontext() as context:
        context.prec = 40
        for length in (12, 26):
            weight = Decimal(2.0 / (length + 1.0))
            mean = sum(x[:length], Decimal(0)) / length
            made = [mean]
            for value in x[length:]:
                mean += (value - mean) * weight
                made.append(mean)
            means.append(made[-(len(x) - 25) :])
    places = list(range(25, len(x)))
    pairs = [[Fraction(quick), Fraction(mean)] for quick, mean in zip(*means, strict=True)]
    assert_exact(name, ours, places, pairs)


def test_sums_do_not_drift_when_levels_jump() -> None:
    n, length = 50_000, 20
    c = walk(n, 6)
    jump = np.where(np.arange(n) // 997 % 2, 1e6, 1.0)
    for name in c:
        c[name] = c[name] * jump
    price = (c["high"] + c["low"] + c["close"]) / 3.0
    cci = values(indicator("cci", length=length), c)[:, 0]
    mfi = values(indicator("mfi", length=length), c)[:, 0]
    places = np.arange(997, n - 100, 997)[:, None] + np.arange(0, 60, 7)
    apo = values(indicator("apo", fast=5, slow=length), c)[:, 0]
    for i in places.ravel().tolist():
        closes = c["close"][i - length + 1 : i + 1]
        expected = math.fsum(closes[-5:]) / 5 - math.fsum(closes) / length
        assert abs(apo[i] - expected) <= 1e-9 * closes.mean()
        expected = exact_cci(price, length, i)
        assert abs(cci[i] - expected) <= 1e-9 * max(abs(expected), 0.5)
        expected = exact_mfi(price, c["volume"], length, i)
        assert abs(mfi[i] - expected) <= 1e-9 * max(abs(expected), 0.1)
