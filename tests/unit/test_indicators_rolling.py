"""Extremes, order and relations: TA-Lib, exact windows, and the same bits for any split."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import talib

from workbench.analytics import CATALOGUE
from workbench.analytics.configured import Indicator
from workbench.errors import ConfigError

Floats = npt.NDArray[np.float64]

NAMES = (
    "highest", "lowest", "median", "quantile", "rank", "variance", "zscore", "covariance",
    "correlation", "beta",
)  # fmt: skip


def made(name: str, **parameters: int | float | str) -> Indicator:
    return Indicator(CATALOGUE[name], parameters)


def walk(n: int, seed: int = 1) -> Floats:
    return 100.0 + np.cumsum(np.random.default_rng(seed).normal(0.0, 0.1, n))


def columns(chosen: Indicator, n: int, seed: int) -> list[Floats]:
    return [walk(n, seed + k) for k in range(len(chosen.inputs))]


def off(ours: Floats, theirs: Floats) -> float:
    """Return the largest relative deviation, with denominators of at least 1e-3 of the range."""
    assert np.array_equal(np.isnan(ours), np.isnan(theirs))
    there = ~np.isnan(theirs)
    if not there.any():
        return 0.0
    floor = 1e-3 * np.ptp(theirs[there]) + 1e-300
    return float((np.abs(ours - theirs)[there] / np.maximum(np.abs(theirs[there]), floor)).max())


# -- extremes ------------------------------------------------------------------------


@pytest.mark.parametrize("length", [1, 2, 3, 4, 7, 30, 64, 400])
@pytest.mark.parametrize("shape", ["walk", "rising", "falling", "few", "noise"])
def test_extremes(length: int, shape: str) -> None:
    """More rows than fit into one piece, so that both ways of going through them are taken."""
    n = 3000
    rng = np.random.default_rng(6)
    close = {
        "walk": walk(n),
        "rising": np.arange(n, dtype=float),
        "falling": -np.arange(n, dtype=float),
        "few": rng.integers(-1, 2, n).astype(float),
        "noise": rng.normal(size=n),
    }[shape]
    window = pd.Series(close).rolling(length)
    highest, lowest = made("highest", length=length), made("lowest", length=length)
    np.testing.assert_array_equal(highest.values(close)[:, 0], window.max())
    np.testing.assert_array_equal(lowest.values(close)[:, 0], window.min())
    if length > 1:
        np.testing.assert_array_equal(highest.values(close)[:, 0], talib.MAX(close, length))
        np.testing.assert_array_equal(lowest.values(close)[:, 0], talib.MIN(close, length))


def test_a_zero_has_no_sign() -> None:
    close = np.where(np.random.default_rng(7).random(500) < 0.5, 0.0, -0.0)
    for name in ("highest", "lowest"):
        chosen = made(name, length=3)
        assert not np.signbit(chosen.values(close)[2:]).any()
        run = chosen.start()
        rows = np.concatenate([run.columns([close[i : i + 1]]) for i in range(len(close))])
        assert rows.tobytes() == chosen.values(close).tobytes()


# -- order ---------------------------------------------------------------------------


@pytest.mark.parametrize("length", [1, 2, 5, 20, 300])
def test_medians_and_quantiles(length: int) -> None:
    close = np.round(walk(700), 1)
    window = pd.Series(close).rolling(length)
    np.testing.assert_allclose(
        made("median", length=length).values(close)[:, 0], window.median(), rtol=1e-15
    )
    for q in (0.0, 0.3, 0.5, 1.0):
        for ours, theirs in (
            ("linear", "linear"), ("lower", "lower"), ("higher", "higher"),
            ("nearest", "nearest"), ("middle", "midpoint"),
        ):  # fmt: skip
            chosen = made("quantile", length=length, q=q, between=ours)
            expected = window.quantile(q, interpolation=theirs)  # type: ignore[arg-type]
            np.testing.assert_allclose(chosen.values(close)[:, 0], expected, rtol=1e-14)


@pytest.mark.parametrize("length", [2, 5, 100])
def test_rank(length: int) -> None:
    close = np.round(walk(400), 1)
    window = pd.Series(close).rolling(length)
    for ties, method in (("below", "min"), ("upto", "max"), ("half", "average")):
        expected = (window.rank(method=method).to_numpy() - 1.0) / (length - 1) * 100.0  # type: ignore[arg-type]
        ours = made("rank", length=length, ties=ties).values(close)[:, 0]
        np.testing.assert_allclose(ours, expected, rtol=1e-14)
    flat = [
        made("rank", length=length, ties=t).values(np.ones(200))[-1, 0]
        for t in ("below", "upto", "half")
    ]
    assert flat == [0.0, 100.0, 50.0]


# -- spread and relation -------------------------------------------------------------


def exact_moments(
    xs: list[float], ys: list[float]
) -> tuple[Fraction, Fraction, Fraction, Fraction]:
    """Return mean of x, and sums of squared deviations of x, of y, and of their products."""
    x, y = [Fraction(v) for v in xs], [Fraction(v) for v in ys]
    n = len(x)
    mx, my = sum(x, Fraction()) / n, sum(y, Fraction()) / n
    return (
        mx,
        sum(((v - mx) ** 2 for v in x), Fraction()),
        sum(((v - my) ** 2 for v in y), Fraction()),
        sum(((v - mx) * (w - my) for v, w in zip(x, y, strict=True)), Fraction()),
    )


@pytest.mark.parametrize("length", [2, 5, 16, 17, 30, 100])
def test_exact_spread_and_relation(length: int) -> None:
    x, y = walk(220, 8), walk(220, 9)
    rows = range(length - 1, len(x))
    exact = [
        exact_moments(x[i - length + 1 : i + 1].tolist(), y[i - length + 1 : i + 1].tolist())
        for i in rows
    ]
    after = slice(length - 1, None)
    for ddof in (0, 1):
        free = length - ddof
        ours = made("variance", length=length, ddof=ddof).values(x)[after, 0]
        assert off(ours, np.array([float(row[1] / free) for row in exact])) < 1e-12
        ours = made("covariance", length=length, ddof=ddof).values(x, y)[after, 0]
        assert off(ours, np.array([float(row[3] / free) for row in exact])) < 1e-12
        ours = made("zscore", length=length, ddof=ddof).values(x)[after, 0]
        z = [
            float(Fraction(x[i]) - row[0]) / math.sqrt(row[1] / free)
            for i, row in zip(rows, exact, strict=True)
        ]
        assert off(ours, np.array(z)) < 1e-12
    ours = made("correlation", length=length).values(x, y)[after, 0]
    r = [float(row[3]) / (math.sqrt(row[1]) * math.sqrt(row[2])) for row in exact]
    assert off(ours, np.array(r)) < 1e-12


@pytest.mark.parametrize("length", [1, 5, 30, 300])
def test_beta_is_that_of_returns(length: int) -> None:
    x, y = walk(250, 10), walk(250, 11)
    ours = made("beta", length=length).values(x, y)[:, 0]
    assert off(ours, talib.BETA(x, y, length)) < 1e-8  # theirs is less exact
    xr = [0.0, *(np.diff(x) / x[:-1]).tolist()]
    yr = [0.0, *(np.diff(y) / y[:-1]).tolist()]
    for i in range(length, len(x), 7):
        window = slice(i - length + 1, i + 1)
        _, xx, yy, xy = exact_moments(xr[window], yr[window])
        # Where returns have little to do with each other, what they share is the difference of
        # sums that are far larger: no better than the last digits of those.
        floor = 1e-1 * math.sqrt(yy / xx) if xx else 1.0
        expected = float(xy / xx) if xx else 0.0
        assert abs(ours[i] - expected) <= 1e-12 * max(abs(expected), floor)


@pytest.mark.parametrize("length", [1, 5, 30, 300])
def test_values_of_talib(length: int, shared_data: Path) -> None:
    frame = pd.read_csv(shared_data / "indicators" / "slope20_sk.csv")
    x, y = frame["close"].to_numpy(), frame["volume"].to_numpy(float)
    ours = made("variance", length=length).values(x)[:, 0]
    assert off(ours, talib.VAR(x, length)) < 1e-9  # theirs is less exact
    ours = made("correlation", length=length).values(x, y)[:, 0]
    assert off(ours, talib.CORREL(x, y, length)) < 1e-9


def test_what_does_not_move_has_values() -> None:
    x, y = np.full(200, 0.1), walk(200)
    for name in ("variance", "zscore"):
        assert (made(name, length=7).values(x)[6:] == 0.0).all()
    for a, b in ((x, y), (y, x), (x, x)):
        assert (made("correlation", length=7).values(a, b)[6:] == 0.0).all()
        assert (made("covariance", length=7).values(a, b)[6:] == 0.0).all()
    assert (made("beta", length=7).values(x, y)[7:] == 0.0).all()
    zeros = np.zeros(200)
    assert (made("beta", length=7).values(zeros, zeros)[7:] == 0.0).all()


@pytest.mark.parametrize("length", [10, 40])
@pytest.mark.parametrize("at", [100, 120, 79])
def test_spread_comes_back_to_zero_after_a_jump(length: int, at: int) -> None:
    """Wherever in a block it is."""
    close = np.full(300, 3.7)
    close[at] = 1e9
    for name in ("variance", "covariance"):
        chosen = made(name, length=length)
        spread = chosen.values(*[close] * len(chosen.inputs))[:, 0]
        assert (spread[length - 1 : at] == 0.0).all()
        assert (spread[at : at + length] > 1e15).all()
        assert (spread[at + length :] == 0.0).all()


def test_samples_need_two_values() -> None:
    with pytest.raises(ConfigError, match="length must be over ddof"):
        made("variance", length=1, ddof=1)
    with pytest.raises(ConfigError, match="linear, lower"):
        made("quantile", between="midpoint")


# -- the same bits -------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("length", [2, 20, 150])
def test_any_split_gives_the_same_bits(name: str, length: int) -> None:
    chosen = made(name, length=length)
    given = columns(chosen, 900, 12)
    for column in given:
        column[300:] += 1e6
        column[500:560] = column[500]
    whole = chosen.values(*given)
    assert np.isnan(whole[: chosen.warmup]).all()
    assert not np.isnan(whole[chosen.warmup :]).any()
    rng = np.random.default_rng(13)
    run, parts, at = chosen.start(), [], 0
    while at < 900:
        step = int(rng.choice([1, 1, 2, 30, 300]))
        parts.append(run.columns([column[at : at + step] for column in given]))
        at += step
    assert np.concatenate(parts).tobytes() == whole.tobytes()


@pytest.mark.parametrize("name", ["variance", "zscore", "covariance", "correlation", "beta"])
@pytest.mark.parametrize("length", [5, 30, 600])
def test_many_rows_give_the_bits_of_one_by_one(name: str, length: int) -> None:
    """More rows than are taken at a time, and windows that are longer than that."""
    chosen = made(name, length=length)
    given = columns(chosen, 1_700, 14)
    run = chosen.start()
    single = [run.columns([c[i : i + 1] for c in given]) for i in range(len(given[0]))]
    assert np.concatenate(single).tobytes() == chosen.values(*given).tobytes()
