"""Regression against exact fractions, Mann-Kendall against pairs counted one by one."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from workbench.study import trend


def frame(closes: list[float]) -> pd.DataFrame:
    index = pd.date_range("2025-11-03", periods=len(closes), freq="1min")
    return pd.DataFrame(dict.fromkeys(("open", "high", "low", "close"), closes), index=index)


def exact(closes: list[float]) -> tuple[float, float, float, float]:
    """Return slope, value at the end, R2 and t of the least squares line, rounded once."""
    n = len(closes)
    y = [Fraction(c) for c in closes]
    x = [Fraction(i) for i in range(n)]
    my, mx = sum(y) / n, sum(x) / n
    xx = sum((a - mx) ** 2 for a in x)
    yy = sum((b - my) ** 2 for b in y)
    if not yy:
        return 0.0, float(my), 0.0, 0.0
    slope = sum((a - mx) * (b - my) for a, b in zip(x, y, strict=True)) / xx
    rest = sum((b - my - slope * (a - mx)) ** 2 for a, b in zip(x, y, strict=True))
    t = float(slope) / math.sqrt(rest / ((n - 2) * xx)) if rest else math.inf
    return float(slope), float(my + slope * (x[-1] - mx)), float(1 - rest / yy), t


def counted(closes: list[float]) -> tuple[int, float, float]:
    """Return S, Z and tau-b by looking at every pair."""
    n = len(closes)
    s = sum((b > a) - (b < a) for a, b in combinations(closes, 2))
    groups = [closes.count(value) for value in set(closes)]
    ties = sum(t * (t - 1) * (2 * t + 5) for t in groups)
    pairs = sum(t * (t - 1) // 2 for t in groups)
    variance = Fraction(n * (n - 1) * (2 * n + 5) - ties, 18)
    z = (s - (s > 0) + (s < 0)) / math.sqrt(variance) if variance else 0.0
    every = n * (n - 1) // 2
    tau = s / math.sqrt(every * (every - pairs)) if every > pairs else 0.0
    return s, z, tau


@pytest.mark.parametrize("length", [3, 8, 15, 60])
@pytest.mark.parametrize("level", [0.0, 1e6])
def test_against_exact_arithmetic(length: int, level: float) -> None:
    rng = np.random.default_rng(length)
    closes = np.round(level + np.cumsum(rng.normal(0, 1, 150)), 1).tolist()
    table = trend(length=length).over(frame(closes))
    assert len(table) == len(closes) - length + 1
    for at, row in enumerate(table.itertuples()):
        part = closes[at : at + length]
        slope, line, r2, t = exact(part)
        scale = max(part) - min(part)
        assert row.slope == pytest.approx(slope, rel=1e-12, abs=1e-14 * scale)
        assert row.line == pytest.approx(line, rel=1e-14, abs=1e-13 * scale)
        assert row.r2 == pytest.approx(r2, rel=1e-12, abs=1e-13)
        if r2 < 1 - 1e-6:  # closer to a line, t is made of rounding errors
            assert row.t == pytest.approx(t, rel=1e-9, abs=1e-11)
        s, z, tau = counted(part)
        assert row.s == s
        assert row.z == pytest.approx(z, rel=1e-14)
        assert row.tau == pytest.approx(tau, rel=1e-14)
        assert row.p == pytest.approx(math.erfc(abs(z) / math.sqrt(2)), rel=1e-12)


def test_slope_and_r2_of_another_library(shared_data: Path) -> None:
    given = pd.read_csv(
        shared_data / "indicators" / "slope20_sk.csv", index_col="time", parse_dates=True
    )
    table = trend(length=20).over(given, timeframe="1d").set_index("formed")
    expected = given[["exp_slope", "exp_r2"]].dropna().tz_localize("UTC")
    assert len(expected) == len(table)
    np.testing.assert_allclose(table["slope"], expected["exp_slope"], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(table["r2"], expected["exp_r2"], rtol=1e-9, atol=1e-11)


def test_long_series_do_not_drift() -> None:
    """The last row is what a run over the last window alone gives."""
    rng = np.random.default_rng(3)
    closes = np.cumsum(rng.normal(0, 1, 30_000)) + np.repeat(rng.choice([0, 1e6], 300), 100)
    many = trend(length=30).over(frame(list(closes)))
    few = trend(length=30).over(frame(list(closes))[-30:])
    pd.testing.assert_frame_equal(many[-1:].reset_index(), few.reset_index().assign(id=29_970))


def test_perfect_and_constant_closes() -> None:
    up = trend(length=10).over(frame([float(i) for i in range(10)])).iloc[0]
    assert (up["t"], up["r2"], up["tau"], up["strength"]) == (np.inf, 1.0, 1.0, 1.0)
    assert up["direction"] == "up"
    down = trend(length=10).over(frame([float(-i) for i in range(10)])).iloc[0]
    assert (down["t"], down["direction"]) == (-np.inf, "down")
    flat = trend(length=10).over(frame([0.1] * 10)).iloc[0]
    assert flat["direction"] == "none"
    assert flat[["slope", "t", "r2", "z", "tau", "strength"]].tolist() == [0.0] * 6
    assert (flat["s"], flat["p"], flat["line"]) == (0, 1.0, 0.1)


def test_the_latest_row_is_the_live_one() -> None:
    run = trend(length=3).start()
    run.add(frame([1.0, 2.0, 3.0, 5.0]))
    assert run.live().index.tolist() == [1]
    assert run.table()["first"].dt.minute.tolist() == [0, 1]
