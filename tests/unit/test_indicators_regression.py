"""Regression lines: golden values, TA-Lib, exact fractions, and the same bits for any split."""

from __future__ import annotations

import math
from collections.abc import Callable
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

NAMES = ("linreg", "linreg_channel", "forecast", "slope", "r_squared")


def made(name: str, **parameters: int | float | str) -> Indicator:
    return Indicator(CATALOGUE[name], parameters)


def walk(n: int, seed: int = 1) -> Floats:
    return 100.0 + np.cumsum(np.random.default_rng(seed).normal(0.0, 0.1, n))


def off(ours: Floats, theirs: Floats) -> float:
    """Return the largest relative deviation, with denominators of at least 1e-3 of the range."""
    assert np.array_equal(np.isnan(ours), np.isnan(theirs))
    there = ~np.isnan(theirs)
    if not there.any():
        return 0.0
    endless = np.isinf(theirs)
    assert np.array_equal(ours[endless], theirs[endless])
    there &= ~endless
    if not there.any():
        return 0.0
    floor = 1e-3 * np.ptp(theirs[there]) + 1e-300
    apart = np.abs(ours[there] - theirs[there])
    return float((apart / np.maximum(np.abs(theirs[there]), floor)).max())


def exact_line(values: list[float]) -> dict[str, float]:
    """Return what a line through values is, in fractions."""
    ys = [Fraction(value) for value in values]
    n = len(ys)
    middle, mean = Fraction(n - 1, 2), sum(ys) / n
    across = sum((x - middle) ** 2 for x in range(n))
    shared = sum((x - middle) * (y - mean) for x, y in enumerate(ys))
    spread = sum((y - mean) ** 2 for y in ys)
    slope = shared / across
    rest = spread - slope * shared
    error = math.sqrt(rest / (n - 2)) if n > 2 else 0.0
    t = 0.0
    if n > 2 and rest:
        t = float(slope) / math.sqrt(rest / (n - 2) / across)
    elif n > 2 and slope:
        t = math.inf if slope > 0 else -math.inf
    return {
        "value": float(mean + slope * middle),
        "slope": float(slope),
        "intercept": float(mean - slope * middle),
        "r2": float(1 - rest / spread) if spread else 0.0,
        "t": t,
        "error": error,
        "forecast": float(mean + slope * (n - middle)),
        "residual": math.sqrt(rest / n),
        "stdev": math.sqrt(spread / n),
    }


# -- golden values -------------------------------------------------------------------


def test_golden_slope(shared_data: Path) -> None:
    """There x = 0 is the first bar of all, and the deviation is that of the closes."""
    frame = pd.read_csv(shared_data / "indicators" / "slope20_sk.csv")
    told = frame["exp_slope"].notna().to_numpy()
    assert told.sum() > 480
    lines = made("linreg", length=20).over(frame)
    slope = lines["slope"].to_numpy()
    assert np.abs(slope - frame["exp_slope"])[told].max() < 1e-10
    start = lines["intercept"].to_numpy() - slope * (np.arange(len(frame)) - 19)
    assert np.abs(start / frame["exp_intercept"] - 1.0)[told].max() < 1e-9
    assert np.abs(lines["r2"].to_numpy() - frame["exp_r2"])[told].max() < 1e-9
    deviation = np.sqrt(made("variance", length=20).over(frame).to_numpy())
    assert np.abs(deviation / frame["exp_stdev"] - 1.0)[told].max() < 1e-9
    last = frame["exp_line"].notna().to_numpy()
    drawn = lines["value"].iloc[-1] - slope[-1] * np.arange(last.sum() - 1, -1, -1)
    assert last.sum() == 20
    assert np.abs(drawn - frame["exp_line"][last].to_numpy()).max() < 1e-9


def test_golden_forecast(shared_data: Path) -> None:
    """Of length 5, which the file does not tell; it holds 0 in the warm-up."""
    frame = pd.read_csv(shared_data / "indicators" / "tsf_lean.csv")
    ours = made("forecast", length=5).over(frame).to_numpy()
    told = frame["exp_tsf"].to_numpy() != 0.0
    assert told.sum() == len(frame) - 4
    assert np.abs(ours / frame["exp_tsf"] - 1.0)[told].max() < 1e-9


# -- TA-Lib and exact fractions ------------------------------------------------------


@pytest.mark.parametrize("length", [2, 3, 14, 70, 500])
def test_values_of_talib(length: int) -> None:
    close = walk(400)
    lines = made("linreg", length=length).values(close)
    ahead = made("forecast", length=length).values(close)[:, 0]
    assert off(lines[:, 0], talib.LINEARREG(close, length)) < 1e-10
    assert off(lines[:, 2], talib.LINEARREG_INTERCEPT(close, length)) < 1e-10
    assert off(ahead, talib.TSF(close, length)) < 1e-10
    slopes = made("slope", length=length).values(close)[:, 0]
    assert off(slopes, talib.LINEARREG_SLOPE(close, length)) < 1e-8  # theirs is less exact


@pytest.mark.parametrize("length", [2, 3, 14, 28, 29, 32, 33, 65])
def test_exact_lines(length: int) -> None:
    close = walk(220, 2)
    rows = range(length - 1, len(close))
    exact = [exact_line(close[i - length + 1 : i + 1].tolist()) for i in rows]
    table = {name: np.array([row[name] for row in exact]) for name in exact[0]}
    ours = made("linreg", length=length).values(close)[length - 1 :]
    for k, name in enumerate(("value", "slope", "intercept", "r2")):
        assert off(ours[:, k], table[name]) < 1e-12, name
    if length > 2:
        assert off(ours[:, 5], table["error"]) < 1e-12
        assert off(ours[:, 4], table["t"]) < 1e-12
    ahead = made("forecast", length=length).values(close)[length - 1 :, 0]
    assert off(ahead, table["forecast"]) < 1e-12
    assert off(made("slope", length=length).values(close)[length - 1 :, 0], table["slope"]) < 1e-12
    assert off(made("r_squared", length=length).values(close)[length - 1 :, 0], table["r2"]) < 1e-12
    for kind, divisor in (("residual", length), ("error", max(1, length - 2)), ("stdev", length)):
        away = table["stdev" if kind == "stdev" else "residual"] * math.sqrt(length / divisor)
        lines = made("linreg_channel", length=length, width=1.5, deviation=kind).values(close)
        lines = lines[length - 1 :]
        assert off(lines[:, 0], table["value"]) < 1e-12
        assert off(lines[:, 3], table["slope"]) < 1e-12
        np.testing.assert_allclose(lines[:, 1], table["value"] + 1.5 * away, rtol=1e-12)
        np.testing.assert_allclose(lines[:, 2], table["value"] - 1.5 * away, rtol=1e-12)


NEAR: dict[str, Callable[[Floats], npt.NDArray[np.floating]]] = {
    "steep": lambda noise: 100.0 + np.arange(140) / 7.0 + 1e-4 * noise,
    "rounding only": lambda noise: 100.0 + np.arange(140.0) * 0.01 + 0.0 * noise,
    "last digits": lambda noise: 100.0 + np.arange(140) / 7.0 + 1e-12 * noise,
    "far away": lambda noise: 1e9 + np.arange(140) / 7.0 + 1e-5 * noise,
    "cents": lambda noise: np.round(100.0 + 0.1 * np.cumsum(noise), 2),
}  # fmt: skip


@pytest.mark.parametrize("length", [3, 5, 14, 33, 65])
@pytest.mark.parametrize("shape", NEAR)
def test_what_a_close_line_leaves_is_exact(shape: str, length: int) -> None:
    """Without any floor below: however small the rest is, all of its digits are right."""
    close = NEAR[shape](np.random.default_rng(17).normal(size=140))
    exact = [exact_line(close[i - length + 1 : i + 1].tolist()) for i in range(length - 1, 140)]
    ours = made("linreg", length=length).values(close)[length - 1 :]
    np.testing.assert_allclose(ours[:, 5], [row["error"] for row in exact], rtol=1e-12)
    moved = np.array([abs(row["slope"]) > 1e-3 for row in exact])
    t = np.array([row["t"] for row in exact])
    np.testing.assert_allclose(ours[moved, 4], t[moved], rtol=1e-12)
    assert off(ours[:, 4], t) < 1e-12


def test_real_bars(shared_data: Path) -> None:
    close = pd.read_csv(shared_data / "indicators" / "slope20_sk.csv")["close"].to_numpy()
    for length in (3, 14, 50):
        assert (
            off(made("forecast", length=length).values(close)[:, 0], talib.TSF(close, length))
            < 1e-10
        )
        lines = made("linreg", length=length).values(close)
        assert off(lines[:, 0], talib.LINEARREG(close, length)) < 1e-10


# -- ends ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("close_price", "value"),
    [(0.0, 0.0), (7.3, 7.3), (1e-90, 1e-90), (1e300, 1e300), (1e-300, 0.0)],  # read as zero
)
def test_closes_that_are_all_equal(close_price: float, value: float) -> None:
    close = np.full(200, close_price)
    lines = made("linreg", length=5).values(close)[4:]
    np.testing.assert_array_equal(lines, np.tile([value, 0.0, value, 0.0, 0.0, 0.0], (196, 1)))
    np.testing.assert_array_equal(made("forecast", length=5).values(close)[4:, 0], value)


@pytest.mark.parametrize("length", [3, 5, 14, 32, 33, 49])
def test_a_perfect_line_is_known_in_any_window(length: int) -> None:
    lines = made("linreg", length=length).values(np.arange(200.0) * 0.25 + 3.0)[length - 1 :]
    assert (lines[:, 4] == np.inf).all()
    assert (lines[:, 5] == 0.0).all()
    assert (lines[:, 3] == 1.0).all()


def test_a_perfect_line() -> None:
    rising = made("linreg", length=5).values(np.arange(100.0) * 0.5)[4:]
    np.testing.assert_allclose(rising[:, 1], 0.5, rtol=1e-14)
    np.testing.assert_allclose(rising[:, 3], 1.0, rtol=1e-14)
    assert (rising[:, 4] == np.inf).all()
    falling = made("linreg", length=5).values(-np.arange(100.0))[4:]
    assert (falling[:, 4] == -np.inf).all()
    of_two = made("linreg", length=2).values(walk(50))[1:]
    assert (of_two[:, 4:] == 0.0).all()


@pytest.mark.parametrize("length", [20, 50])
def test_a_jump_leaves_no_trace(length: int) -> None:
    """Right after a jump of 1e9 has left the window, values are exact again."""
    close = walk(300, 3)
    close[100:] += 1e9
    close[200:] -= 1e9
    ours = made("linreg", length=length).values(close)
    slopes = made("slope", length=length).values(close)[:, 0]
    for i in (99 + length, 110 + length, 160, 199 + length, 200 + length, 230, 280):
        exact = exact_line(close[i - length + 1 : i + 1].tolist())
        assert ours[i, 1] == pytest.approx(exact["slope"], rel=1e-9)
        assert slopes[i] == pytest.approx(exact["slope"], rel=1e-9)
        assert ours[i, 3] == pytest.approx(exact["r2"], rel=1e-9)
        assert ours[i, 5] == pytest.approx(exact["error"], rel=1e-9)


def test_too_short_a_line_is_refused() -> None:
    with pytest.raises(ConfigError, match="length must be a whole number from 2"):
        made("linreg", length=1)


# -- the same bits -------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("length", [2, 14, 31, 150])
def test_any_split_gives_the_same_bits(name: str, length: int) -> None:
    chosen = made(name, length=length)
    close = walk(700, 4)
    close[300:] += 1e6
    close[500:520] = close[500]
    whole = chosen.values(close)
    assert np.isnan(whole[: chosen.warmup]).any(axis=1).all()
    assert not np.isnan(whole[chosen.warmup :]).any()
    rng = np.random.default_rng(5)
    run, parts, at = chosen.start(), [], 0
    while at < len(close):
        step = int(rng.choice([1, 1, 2, 30, 200]))
        parts.append(run.columns([close[at : at + step]]))
        at += step
    assert np.concatenate(parts).tobytes() == whole.tobytes()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("length", [14, 600])
def test_many_rows_give_the_bits_of_one_by_one(name: str, length: int) -> None:
    """More rows than are taken at a time, and windows that are longer than that."""
    chosen = made(name, length=length)
    close = walk(1_700, 6)
    run = chosen.start()
    single = np.concatenate([run.columns([close[i : i + 1]]) for i in range(len(close))])
    assert single.tobytes() == chosen.values(close).tobytes()
