"""Every indicator: the same bits however its bars come, and nothing from the future."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import workbench
from workbench.analytics import CATALOGUE, Choice, Indicator, Moment, Parameter, Runs
from workbench.analytics.catalogue import BUILT_IN
from workbench.analytics.inputs import WHOLE, columns
from workbench.analytics.spec import Spec
from workbench.errors import ConfigError
from workbench.records import BAR
from workbench.store.frames import dataframe
from workbench.testing import invented_bars

Rows = npt.NDArray[Any]
Values = npt.NDArray[np.float64]

every = pytest.mark.parametrize("name", sorted(CATALOGUE))
some = settings(max_examples=20, deadline=None)


@st.composite
def series(draw: st.DrawFn, most: int = 200) -> Rows:
    """Bars of an invented market, some of them at another scale."""
    bars = invented_bars(draw(st.integers(0, most)), seed=draw(st.integers(0, 2**32)))
    scale = draw(st.sampled_from([1.0, 1.0, 1e-7, 1e6, 0.0]))
    for column in ("open", "high", "low", "close", "vwap", "notional"):
        bars[column] *= scale
    return bars


def _drawn(draw: st.DrawFn, spec: Spec, bars: Rows) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, kind in spec.parameters.items():
        if isinstance(kind, Choice):
            values[name] = draw(st.sampled_from(kind.options))
        elif isinstance(kind, Moment):
            times = bars["time"].tolist() or [0]
            values[name] = draw(st.sampled_from([times[0], times[len(times) // 2], times[-1] + 1]))
        elif isinstance(kind, Parameter) and isinstance(kind.default, int):
            low, high = int(kind.low), int(min(kind.high, max(130, kind.default)))
            near = st.integers(low, max(low, min(high, 12)))
            odd = [n for n in (1, 2, 20, 63, 64, 65, 130, kind.default) if low <= n <= high]
            values[name] = draw(st.one_of(near, st.sampled_from(odd)))
        elif isinstance(kind, Parameter):
            high = min(kind.high, 4.0 * abs(kind.default) + 1.0)
            at = draw(st.integers(0, 8)) / 8  # a few steps through the range that is of use
            low = max(kind.low, kind.default / 8)
            values[name] = kind.default if at == 0 else low + at * (high - low)
    return values


@st.composite
def cases(draw: st.DrawFn, name: str, most: int = 200) -> tuple[Indicator, Rows]:
    """An indicator with parameters that go together, and bars."""
    spec = CATALOGUE[name]
    bars = draw(series(most))
    try:
        return Indicator(spec, _drawn(draw, spec, bars)), bars
    except ConfigError:
        return Indicator(spec), bars


def same(a: Values, b: Values) -> bool:
    """Bit for bit, but for the kind of NaN."""
    if a.shape != b.shape:
        return False
    return np.where(np.isnan(a), np.nan, a).tobytes() == np.where(np.isnan(b), np.nan, b).tobytes()


def cut(data: Any, bars: Rows) -> list[tuple[int, int]]:
    at = sorted(data.draw(st.lists(st.integers(0, len(bars)), max_size=6), label="cuts"))
    return list(zip([0, *at], [*at, len(bars)], strict=True))


@every
@some
@given(data=st.data())
def test_any_split_with_peeks_between_gives_the_same_bits(name: str, data: Any) -> None:
    chosen, bars = data.draw(cases(name))
    whole = chosen.start("SPY").add(bars)
    run = chosen.start("SPY")
    parts = []
    for start, end in cut(data, bars):
        parts.append(run.add(bars[start:end]))
        if end < len(bars):
            assert same(run.peek(bars[end : end + 1]), whole[end]), "a peek is the bar's value"
            assert same(run.ahead(bars[end : end + 3]), whole[end : end + 3])
    assert same(np.concatenate(parts), whole)
    assert run.count == len(bars)


@every
@some
@given(data=st.data())
def test_stepping_back_to_a_checkpoint_leaves_no_trace(name: str, data: Any) -> None:
    chosen, bars = data.draw(cases(name))
    run = chosen.start()
    whole = run.add(bars)
    at = run.reach(data.draw(st.integers(0, len(bars))))
    other = bars[::-1].copy()
    other["time"] = bars["time"]
    run.rollback(at)
    run.add(other[at:])
    run.rollback(run.reach(at))
    assert run.count == at
    assert same(run.add(bars[at:]), whole[at:])


@every
@settings(max_examples=8, deadline=None)
@given(data=st.data())
def test_runs_side_by_side_with_rows_that_are_not_finite(name: str, data: Any) -> None:
    chosen, bars = data.draw(cases(name, 120))
    beside = [Indicator(CATALOGUE[other]) for other in ("ema", "vwap") if other in CATALOGUE]
    bad = data.draw(st.lists(st.integers(0, max(len(bars) - 1, 0)), max_size=4))
    for place in bad if len(bars) else ():
        bars[["open", "high", "close"][place % 3]][place] = [np.nan, np.inf, -np.inf][place % 3]
    alone = [one.start("SPY").add(bars) for one in (beside[0], chosen, *beside[1:])]
    whole = np.hstack(alone)
    runs = Runs([beside[0], chosen, *beside[1:]], "SPY")
    for i in range(len(bars)):
        assert same(runs.ahead(bars[i : i + 2]), whole[i : i + 2])
        assert same(runs.add(bars[i : i + 1]), whole[i : i + 1])


@every
@some
@given(data=st.data())
def test_rows_dataframes_and_plain_columns_agree(name: str, data: Any) -> None:
    chosen, bars = data.draw(cases(name))
    rows = chosen.start("SPY").add(bars)
    given_columns = columns(bars, chosen.inputs, "America/New_York", name)
    out = np.empty((len(bars), len(chosen.spec.outputs)))
    assert chosen.values(*given_columns, out=out) is out
    assert same(out, rows)
    assert same(chosen.values(*given_columns), rows)
    if len(bars) > chosen.warmup:
        by_rows, by_frame = chosen.over(bars, "SPY"), chosen.over(dataframe("bar", bars), "SPY")
        assert by_rows.index.equals(by_frame.index)
        assert same(by_frame.to_numpy().reshape(rows.shape), rows)
        assert same(by_rows.to_numpy().reshape(rows.shape), rows)
        if isinstance(by_rows, pd.Series):
            assert by_rows.name == chosen.keys[0]


@every
@some
@given(data=st.data())
def test_values_never_look_ahead(name: str, data: Any) -> None:
    chosen, bars = data.draw(cases(name))
    end = data.draw(st.integers(0, len(bars)))
    whole = chosen.start().add(bars)
    assert same(whole[:end], chosen.start().add(bars[:end]))
    future = bars.copy()
    for column in ("open", "high", "low", "close", "volume", "vwap", "notional"):
        future[column][end:] = 3.0 * bars[column][end:][::-1]
    assert same(whole[:end], chosen.start().add(future)[:end])


@every
@some
@given(data=st.data())
def test_values_are_missing_in_the_warm_up_only(name: str, data: Any) -> None:
    chosen, bars = data.draw(cases(name))
    values = chosen.start().add(bars)
    assert np.isnan(values[: chosen.warmup]).any(1).all()
    if not chosen.spec.gaps:
        assert np.isfinite(values[chosen.warmup :]).all()


# -- as plain Python, all at once --------------------------------------------------------


def digests() -> dict[str, str]:
    """A digest of the values of each indicator, with its defaults and with short lengths."""
    bars = invented_bars(260, seed=9)
    found = {}
    for name, spec in sorted((name, CATALOGUE[name]) for name in BUILT_IN):
        whole = {n: p for n, p in spec.parameters.items() if isinstance(p, Parameter)}
        short = {n: max(int(p.low), 2 + i) for i, (n, p) in enumerate(whole.items()) if _whole(p)}
        chosen = [Indicator(spec)]
        try:
            chosen.append(Indicator(spec, short))
        except ConfigError:
            pass
        digest = hashlib.sha256()
        for one in chosen:
            run = one.start("SPY")
            values = np.concatenate([run.add(bars[:97]), run.add(bars[97:])])
            digest.update(np.where(np.isnan(values), np.nan, values).tobytes())
        found[name] = digest.hexdigest()[:16]
    return found


def _whole(parameter: Parameter) -> bool:
    return isinstance(parameter.default, int)


def test_plain_python_gives_the_same_bits() -> None:
    root = str(Path(workbench.__file__).parents[1])  # the very code that this process runs
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1", "PYTHONPATH": root}
    run = subprocess.run(
        [sys.executable, __file__], env=environment, capture_output=True, text=True, timeout=150
    )
    assert run.returncode == 0, run.stderr
    plain = dict(line.split() for line in run.stdout.splitlines())
    compiled = digests()
    assert [name for name in compiled if compiled[name] != plain.get(name)] == []


def test_the_cases_cover_every_column() -> None:
    bars = invented_bars(200)
    for spec in CATALOGUE.values():
        read = columns(bars, spec.inputs, "UTC", spec.name)
        for name, column in zip(spec.inputs, read, strict=True):
            assert np.ptp(column) > 0, f"{spec.name} reads {name}, which does not change"
            assert column.dtype == (np.int64 if name in WHOLE else np.float64)
    assert bars.dtype == BAR


if __name__ == "__main__":
    for one, digest in digests().items():
        sys.stdout.write(f"{one} {digest}\n")
