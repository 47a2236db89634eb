"""Indicators: the same bits for any split of the bars, and after any step back."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.analytics import CATALOGUE, Indicator, indicator
from workbench.kernels.columns import bars_type
from workbench.records import BAR
from workbench.store.frames import dataframe

Rows = npt.NDArray[Any]
HOUR = 3_600 * 10**9
#: Days around the change of summer time in New York.
START = 1_205_020_800 * 10**9

lengths = st.one_of(st.integers(1, 9), st.sampled_from([20, 64, 65, 130]))
every = pytest.mark.parametrize("name", sorted(CATALOGUE))


@st.composite
def series(draw: st.DrawFn, most: int = 300) -> Rows:
    """Bars an hour apart, with levels that jump."""
    n = draw(st.integers(0, most))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    bars = np.zeros(n, BAR)
    bars["time"] = START + np.arange(n) * HOUR
    level = 10.0 ** rng.integers(-3, 6, size=n // 40 + 1).repeat(40)[:n]
    bars["close"] = level * np.round(rng.lognormal(0, 0.05, n), draw(st.integers(0, 6)))
    for column in ("open", "high", "low", "vwap"):
        bars[column] = bars["close"]
    bars["volume"] = rng.integers(0, 3, n) * 1.1
    bars["notional"] = bars["volume"] * bars["close"]
    return bars


def any_of(name: str, length: int) -> Indicator:
    return indicator(name, **({"length": length} if CATALOGUE[name].parameters else {}))


def same(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> bool:
    """Bit for bit."""
    return a.tobytes() == b.tobytes()


@every
@settings(max_examples=40, deadline=None)
@given(bars=series(), length=lengths, data=st.data())
def test_any_split_with_peeks_between_gives_the_same_bits(
    name: str, bars: Rows, length: int, data: Any
) -> None:
    chosen = any_of(name, length)
    whole = chosen.start("SPY").add(bars)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(bars)), max_size=8)))
    run = chosen.start("SPY")
    parts = []
    for start, end in zip([0, *cuts], [*cuts, len(bars)], strict=True):
        parts.append(run.add(bars[start:end]))
        if end < len(bars):
            assert same(run.peek(bars[end : end + 1]), whole[end]), "a peek is the bar's value"
    assert same(np.concatenate(parts), whole)
    assert run.count == len(bars)


@every
@settings(max_examples=40, deadline=None)
@given(bars=series(), length=lengths, data=st.data())
def test_stepping_back_to_a_checkpoint_leaves_no_trace(
    name: str, bars: Rows, length: int, data: Any
) -> None:
    chosen = any_of(name, length)
    run = chosen.start()
    run.add(bars)
    at = run.reach(data.draw(st.integers(0, len(bars))))
    assert at % run.EVERY == 0
    other = bars[::-1].copy()
    other["time"] = bars["time"]
    run.rollback(at)
    assert run.count == at
    run.add(other[at:])
    run.rollback(run.reach(at))
    assert same(run.add(bars[at:]), chosen.start().add(bars)[at:])


@every
@settings(max_examples=20, deadline=None)
@given(bars=series(120), length=lengths)
def test_the_python_twin_gives_the_same_bits(name: str, bars: Rows, length: int) -> None:
    run = any_of(name, length).start()
    part = bars_type(run.indicator.spec.inputs)(*run._read(bars))
    state, out = run._s.copy(), np.empty((len(bars), 1))
    CATALOGUE[name].kernel.py_func(run._p, state, part, out)  # type: ignore[attr-defined]
    assert same(out, run.add(bars))
    assert state.tobytes() == run._s.tobytes()


@every
@settings(max_examples=20, deadline=None)
@given(bars=series(), length=lengths)
def test_rows_and_dataframes_agree(name: str, bars: Rows, length: int) -> None:
    chosen = any_of(name, length)
    if len(bars) <= chosen.warmup:
        return
    by_rows = chosen.over(bars, "SPY")
    by_frame = chosen.over(dataframe("bar", bars), "SPY")
    assert same(by_rows.to_numpy(), by_frame.to_numpy())
    assert by_rows.index.equals(by_frame.index)
    assert by_rows.name == by_frame.name == chosen.keys[0]


@every
@settings(max_examples=20, deadline=None)
@given(bars=series(), length=lengths, cut=st.integers(0, 300))
def test_values_never_look_ahead(name: str, bars: Rows, length: int, cut: int) -> None:
    chosen = any_of(name, length)
    assert same(chosen.start().add(bars)[:cut], chosen.start().add(bars[:cut]))
