"""`check_indicator`: every indicator passes, and each rule is broken by one that does not."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

from workbench.analytics import CATALOGUE, Indicator, ema, indicator, sma
from workbench.analytics.catalogue import Maker
from workbench.errors import ConfigError
from workbench.kernels.allocations import allocations
from workbench.records import BAR
from workbench.sessions import timezone
from workbench.store.frames import dataframe
from workbench.testing import CheckError, check_indicator, invented_bars
from workbench.testing.plain import plain

COUNT = [("count", "i8"), ("last", "f8")]


@pytest.mark.parametrize("name", sorted(CATALOGUE))
def test_every_indicator_of_the_catalogue_passes(name: str) -> None:
    report = check_indicator(Indicator(CATALOGUE[name]), seed=1)
    assert not report.skipped
    assert len(report.proofs) == 9


def test_a_report_reads_well() -> None:
    report = check_indicator(sma)
    assert repr(report).startswith("sma(length=20) holds on 600 bars\n  splits")
    assert "<caption>sma(length=20) on 600 bars</caption>" in report._repr_html_()


def test_bars_of_ones_own() -> None:
    frame = dataframe("bar", invented_bars(90, seed=2))
    assert check_indicator(sma(5), frame).bars == 90
    frame.iloc[7, frame.columns.get_loc("close")] = math.nan
    with pytest.raises(ConfigError, match="at least 21 bars, not 20"):
        check_indicator(sma(20), frame[:20])


# -- each rule is broken by one ----------------------------------------------------------


def made(function: Any, **given: Any) -> Maker:
    """An indicator of one output that reads the close, not compiled unless told."""
    told: dict[str, Any] = {
        "outputs": ["value"], "inputs": ["close"], "state": COUNT, "jit": False
    }  # fmt: skip
    maker = indicator(**(told | given))(function)
    CATALOGUE.pop(function.__name__)
    return maker


def broken(function: Any, **given: Any) -> CheckError:
    with pytest.raises(CheckError) as caught:
        check_indicator(made(function, **given))
    return caught.value


def looks_ahead(p: Any, s: Any, bars: Any, out: Any) -> None:
    n = len(bars.close)
    for i in range(n):
        out[i, 0] = bars.close[min(i + 1, n - 1)]


def forgets(p: Any, s: Any, bars: Any, out: Any) -> None:
    """Keeps nothing between calls."""
    total = 0.0
    for i in range(len(bars.close)):
        total += bars.close[i]
        out[i, 0] = total


def hides(p: Any, s: Any, bars: Any, out: Any) -> None:
    """Keeps what it needs where nobody can copy it."""
    for i in range(len(bars.close)):
        HIDDEN[0] = bars.close[i] if s[0]["count"] == 0 else max(HIDDEN[0], bars.close[i])
        s[0]["count"] += 1
        out[i, 0] = HIDDEN[0]


HIDDEN = [0.0]


def whole_mean(p: Any, s: Any, bars: Any, out: Any) -> None:
    for i in range(len(bars.close)):
        out[i, 0] = bars.close.mean()


def test_a_loop_that_looks_ahead() -> None:
    error = broken(looks_ahead)
    assert error.rule == "splits"
    assert error.bar is not None
    assert error.output == "value"
    bars = invented_bars(600)
    assert error.found == bars["close"][error.bar]
    assert error.expected == bars["close"][error.bar + 1]
    assert f"at bar {error.bar}, output 'value'" in str(error)


@pytest.mark.parametrize("function", [forgets, whole_mean])
def test_a_loop_that_depends_on_how_bars_come(function: Any) -> None:
    assert broken(function).rule == "splits"


def test_a_state_that_hides() -> None:
    assert broken(hides).rule in ("splits", "peeks", "checkpoints")


def test_a_warm_up_that_is_too_short_or_too_long() -> None:
    def later(p: Any, s: Any, bars: Any, out: Any) -> None:
        for i in range(len(bars.close)):
            s[0]["count"] += 1
            out[i, 0] = bars.close[i] if s[0]["count"] > 5 else np.nan

    assert check_indicator(made(later, warmup=5)).proofs
    short = broken(later, warmup=3)
    assert (short.rule, short.bar) == ("warm-up", 3)
    long = broken(later, warmup=8)
    assert (long.rule, long.bar) == ("warm-up", 5)
    assert broken(later, warmup=8, gaps=True).rule == "warm-up"
    assert check_indicator(made(later, warmup=3, gaps=True)).proofs


def test_infinite_values() -> None:
    def inverse(p: Any, s: Any, bars: Any, out: Any) -> None:
        for i in range(len(bars.close)):
            out[i, 0] = 1.0 / bars.close[i] if bars.close[i] else math.inf

    error = broken(inverse)
    assert (error.rule, error.bar) == ("finite", 0)
    assert "bars of 0" in str(error)


def test_memory_asked_for_by_the_row() -> None:
    def greedy(p: Any, s: Any, bars: Any, out: Any) -> None:
        for i in range(len(bars.close)):
            out[i, 0] = np.full(3, bars.close[i]).sum()

    error = broken(greedy, jit=True)
    assert error.rule == "allocations"
    assert made(greedy)().parameters == {}
    assert ("allocations", "the loop is not compiled") in check_indicator(made(greedy)).skipped


def test_what_plain_python_does_otherwise() -> None:
    def wraps(p: Any, s: Any, bars: Any, out: Any) -> None:
        for i in range(len(bars.close)):
            big = 1
            for _ in range(64):
                big = big * 2
            out[i, 0] = float(big)

    assert broken(wraps, jit=True).rule == "twin"


def test_an_own_compiled_indicator_passes() -> None:
    def spread(p: Any, s: Any, bars: Any, out: Any) -> None:
        width = p["width"]
        for i in range(len(bars.high)):
            out[i, 0] = bars.high[i] + width
            out[i, 1] = bars.low[i] - width

    maker = made(
        spread, inputs=["high", "low"], outputs=["up", "down"], params={"width": 1.0}, jit=True
    )
    assert not check_indicator(maker(width=2.5)).skipped


# -- the parts -----------------------------------------------------------------------------


def test_the_twin_of_a_kernel_calls_the_twins_of_its_parts() -> None:
    kernel: Any = CATALOGUE["ema"].kernel
    twin = plain(kernel)
    assert twin.__code__ is kernel.py_func.__code__
    for name in twin.__code__.co_names:
        assert not hasattr(twin.__globals__.get(name), "py_func")
    assert plain(twin) is twin


def test_allocations_are_those_of_the_call() -> None:
    assert allocations(lambda: None) == 0
    assert allocations(lambda: ema(3).values(np.arange(50.0))) > 0


@pytest.mark.parametrize("seed", range(4))
def test_the_invented_market_is_unkind_but_possible(seed: int) -> None:
    bars = invented_bars(1500, seed=seed)
    assert bars.dtype == BAR
    assert (np.diff(bars["time"]) > 0).all()
    assert (bars["low"] <= np.minimum(bars["open"], bars["close"])).all()
    assert (bars["high"] >= np.maximum(bars["open"], bars["close"])).all()
    assert bars["low"].min() > 0
    assert (bars["volume"] == 0).sum() > 20
    assert (np.diff(bars["close"]) == 0).sum() > 50
    assert np.abs(np.diff(np.log(bars["close"]))).max() > 0.3
    assert bars.tobytes() == invented_bars(1500, seed=seed).tobytes()
    days = pd.DatetimeIndex(bars["time"].view("M8[ns]"), tz="UTC").tz_convert(timezone("SPY"))
    assert days.day_of_week.max() < 5
    assert days.month.nunique() > 1
    assert len(invented_bars(0)) == 0
