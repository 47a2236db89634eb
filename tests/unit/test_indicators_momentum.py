"""RSI and its kin, rates of change, true strength, ultimate: TA-Lib, goldens, bits."""

from __future__ import annotations

import hashlib
import math
import os
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import talib

from workbench.analytics import CATALOGUE, Indicator, indicator
from workbench.errors import ConfigError
from workbench.kernels.columns import bars_type

Values = npt.NDArray[np.float64]
Columns = dict[str, Values]

NAMES = ("rsi", "stochrsi", "cmo", "mom", "roc", "tsi", "ultimate")


def walk(n: int, seed: int = 1) -> Columns:
    """Bars of a random walk."""
    rng = np.random.default_rng(seed)
    close = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 1e-3, n)))
    high = close * (1.0 + np.abs(rng.normal(0.0, 5e-4, n)))
    low = close * (1.0 - np.abs(rng.normal(0.0, 5e-4, n)))
    return {"close": close, "high": high, "low": low}


def values(chosen: Indicator, columns: Columns) -> Values:
    return chosen.values(*[columns[name] for name in chosen.inputs])


def assert_near(ours: Values, theirs: Values, tolerance: float) -> None:
    """Compare as fidelity is told: relative, denominators at least 1e-3 of the range."""
    np.testing.assert_array_equal(np.isnan(ours), np.isnan(theirs))
    told = ~np.isnan(theirs)
    if told.any():
        floor = 1e-3 * (float(np.ptp(theirs[told])) or 1.0)
        deviation = np.abs(ours - theirs)[told] / np.maximum(np.abs(theirs[told]), floor)
        assert deviation.max() <= tolerance


# -- TA-Lib --------------------------------------------------------------------------

Theirs = Callable[[Columns], tuple[Values, ...]]
CASES: list[tuple[str, dict[str, Any], Theirs]] = [
    *[("rsi", {"length": k}, lambda c, k=k: (talib.RSI(c["close"], k),)) for k in (2, 14, 200)],
    *[("cmo", {"length": k}, lambda c, k=k: (talib.CMO(c["close"], k),)) for k in (2, 14, 200)],
    *[("mom", {"length": k}, lambda c, k=k: (talib.MOM(c["close"], k),)) for k in (1, 10, 200)],
    *[
        ("roc", {"length": k, "form": form}, lambda c, k=k, f=f: (f(c["close"], k),))
        for k in (1, 10, 200)
        for form, f in (("percent", talib.ROC), ("fraction", talib.ROCP), ("ratio", talib.ROCR))
    ],
    *[
        (
            "stochrsi",
            {"length": k, "stoch": stoch, "signal": d},
            lambda c, k=k, s=stoch, d=d: talib.STOCHRSI(c["close"], k, s, d),
        )
        for k, stoch, d in ((14, 14, 3), (14, 5, 3), (2, 1, 1), (50, 200, 5))
    ],
    *[
        (
            "ultimate",
            dict(zip(("short", "medium", "long"), k, strict=True)),
            lambda c, k=k: (talib.ULTOSC(c["high"], c["low"], c["close"], *k),),
        )
        for k in ((7, 14, 28), (1, 2, 3), (20, 50, 200))
    ],
]


@pytest.mark.parametrize(("name", "given", "theirs"), CASES)
@pytest.mark.parametrize("n", [5, 40, 1500, 30_000])
def test_talib_agrees_warm_up_included(
    name: str, given: dict[str, Any], theirs: Theirs, n: int
) -> None:
    columns = walk(n)
    chosen = indicator(name, **given)
    ours = values(chosen, columns)
    for place, column in enumerate(theirs(columns)):
        assert_near(ours[:, place], column, 1e-10)
    assert np.isnan(ours).all(axis=1).sum() == min(n, chosen.warmup)
    assert np.isnan(ours).any(axis=1).sum() == min(n, chosen.warmup)


@pytest.mark.parametrize(("name", "given", "theirs"), CASES)
def test_talib_agrees_on_real_bars(
    shared_data: Path, name: str, given: dict[str, Any], theirs: Theirs
) -> None:
    frame = pd.read_csv(shared_data / "indicators" / "willr14_lean.csv")
    columns = {name: frame[name].to_numpy(np.float64) for name in ("high", "low", "close")}
    ours = values(indicator(name, **given), columns)
    for place, column in enumerate(theirs(columns)):
        assert_near(ours[:, place], column, 1e-10)


# -- golden values -------------------------------------------------------------------

STOCHRSI_FROM_0 = indicator("stochrsi", signal=1, seed="zero")


@pytest.mark.parametrize(
    ("file", "column", "chosen", "factor", "tolerance", "count"),
    [
        ("rsi14_lean.csv", "exp_rsi", indicator("rsi", length=14), 1.0, 0.5e-4, 486),
        # A difference in truth, of single-precision numbers about 160.
        ("roc50_lean.csv", "exp_roc", indicator("mom", length=50), 1.0, 1.6e-5, 451),
        # Its RSI is smoothed from 0; seven decimals.
        ("stochrsi14_cs.csv", "exp_stochrsi", STOCHRSI_FROM_0, 0.01, 0.5e-7, 6),
    ],
)
def test_golden_values(
    shared_data: Path, file: str, column: str, chosen: Indicator, factor: float,
    tolerance: float, count: int,
) -> None:  # fmt: skip
    frame = pd.read_csv(shared_data / "indicators" / file)
    ours = values(chosen, {"close": frame["close"].to_numpy(np.float64)})[:, 0] * factor
    theirs = frame[column].to_numpy()
    told = ~np.isnan(theirs)
    assert told.sum() == count
    assert np.abs(ours - theirs)[told].max() <= tolerance * 1.001


# -- definitions ---------------------------------------------------------------------


def test_small_cases_by_hand() -> None:
    nan = math.nan
    close = [10.0, 12.0, 9.0, 9.0, 18.0]
    expected = {
        indicator("mom", length=2): [nan, nan, -1.0, -3.0, 9.0],
        indicator("roc", length=1): [nan, 20.0, -25.0, 0.0, 100.0],
        indicator("roc", length=1, form="ratio"): [nan, 1.2, 0.75, 1.0, 2.0],
        indicator("cmo", length=2, form="sums"): [nan, nan, -20.0, -100.0, 100.0],
        indicator("cmo", length=1, form="sums"): [nan, 100.0, -100.0, 0.0, 100.0],
    }
    for chosen, wanted in expected.items():
        np.testing.assert_allclose(chosen.values(close)[:, 0], wanted, rtol=1e-14)


def test_true_strength_against_means_of_pandas() -> None:
    def mean(x: pd.Series, length: int) -> pd.Series:
        """An exponential mean seeded by the simple mean of its first values."""
        x = x.dropna()
        seeded = x.iloc[length - 1 :].copy()
        seeded.iloc[0] = x.iloc[:length].mean()
        return seeded.ewm(span=length, adjust=False).mean()

    columns = walk(700)
    close = pd.Series(columns["close"])
    for long, short, signal in ((25, 13, 7), (1, 1, 1), (3, 40, 2)):
        change = mean(mean(close.diff(), long), short)
        size = mean(mean(close.diff().abs(), long), short)
        index = 100.0 * change / size
        ours = values(indicator("tsi", long=long, short=short, signal=signal), columns)
        begin = long + short + signal - 2
        assert np.isnan(ours[:begin]).all()
        np.testing.assert_allclose(ours[begin:, 0], index.loc[begin:], rtol=1e-9, atol=1e-11)
        np.testing.assert_allclose(ours[begin:, 1], mean(index, signal), rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("level", [0.0, 5.0, 1e-9])
@pytest.mark.parametrize("name", NAMES)
def test_prices_that_stand_still_give_defined_values(name: str, level: float) -> None:
    columns = {column: np.full(5000, level) for column in ("high", "low", "close")}
    chosen = indicator(name)
    ours = values(chosen, columns)[chosen.warmup :]
    assert (ours == (0.0 if name != "roc" else ours[0, 0])).all()
    assert np.abs(ours).max() <= 1e-12


def test_prices_that_stop_moving_leave_no_tiny_numbers_behind() -> None:
    close = np.full(60_000, 7.0)
    close[:50] = walk(50)["close"]
    for chosen in (indicator("rsi"), indicator("cmo"), indicator("tsi"), indicator("stochrsi")):
        run = chosen.start()
        out = run.columns([close])
        assert (out[-1] == 0.0).all()
        scalars = [float(run._s[0][f]) for f in run._s.dtype.names or () if f[0] in "glcs"]
        assert all(v == 0.0 or abs(v) > 1e-250 for v in scalars)


@pytest.mark.parametrize("name", NAMES)
def test_values_stay_in_their_range(name: str) -> None:
    chosen = indicator(name)
    if chosen.range:
        ours = values(chosen, walk(5000, 3))[chosen.warmup :]
        low, high = chosen.range
        assert low - 1e-9 <= ours.min() <= ours.max() <= high + 1e-9


# -- exactness -----------------------------------------------------------------------


@pytest.mark.parametrize("form", ["ultimate", "sums"])
def test_sums_do_not_drift_when_levels_jump(form: str) -> None:
    n = 60_000
    rng = np.random.default_rng(5)
    level = np.where(np.arange(n) // 997 % 2, 1e6, 1.0)
    close = level + rng.random(n)
    high, low = close + rng.random(n), close - rng.random(n)
    columns = {"close": close, "high": high, "low": low}
    before = np.concatenate([[math.nan], close[:-1]])
    windows: tuple[tuple[int, float], ...]
    if form == "ultimate":
        chosen = indicator("ultimate")
        bottom, top = np.minimum(low, before), np.maximum(high, before)
        parts, wholes, windows = close - bottom, top - bottom, ((7, 4.0), (14, 2.0), (28, 1.0))
    else:
        chosen = indicator("cmo", length=20, form="sums")
        parts, wholes, windows = close - before, np.abs(close - before), ((20, 1.0),)
    ours = values(chosen, columns)[:, 0]
    near = (np.arange(997, n - 200, 997)[:, None] + np.arange(0, 160, 7)).ravel()
    for i in near:
        exact = sum(
            w * math.fsum(parts[i - k + 1 : i + 1]) / math.fsum(wholes[i - k + 1 : i + 1])
            for k, w in windows
        )
        exact *= 100.0 / sum(w for _, w in windows)
        assert abs(ours[i] - exact) <= 1e-9 * max(abs(exact), 0.1)


# -- the same bits -------------------------------------------------------------------


def variants() -> list[Indicator]:
    return [
        *map(indicator, NAMES),
        indicator("rsi", length=1),
        indicator("rsi", length=3),
        indicator("cmo", length=5, form="sums"),
        indicator("cmo", length=1, form="sums"),
        indicator("mom", length=1),
        indicator("mom", length=300),
        indicator("roc", length=3, form="ratio"),
        indicator("stochrsi", length=5, stoch=1, smooth=3, signal=2),
        indicator("stochrsi", length=3, stoch=40, smooth=5, signal=1, seed="zero"),
        indicator("ultimate", short=1, medium=2, long=3),
        indicator("ultimate", short=10, medium=70, long=130),
        indicator("tsi", long=3, short=2, signal=1),
    ]


def same(a: Values, b: Values) -> bool:
    return a.tobytes() == b.tobytes()


@pytest.mark.parametrize("chosen", variants(), ids=repr)
def test_any_split_gives_the_bits_of_one_call(chosen: Indicator) -> None:
    n = 16_000
    columns = walk(n, 11)
    columns["close"][4000:6000] = columns["close"][4000]  # joints of chunks where nothing moves
    columns["close"][9000:9100] *= 50.0
    given = [columns[name] for name in chosen.inputs]
    whole = chosen.values(*given)
    rng = np.random.default_rng(2)
    for cuts in (rng.integers(0, n, 5), rng.integers(0, n, 300), np.arange(0, n, 5000)):
        record, state, kind = _parts(chosen)
        out = np.empty_like(whole)
        edges = [0, *sorted(cuts.tolist()), n]
        for a, b in pairwise(edges):
            part = [column[a:b] for column in given]
            for column in part:
                column.flags.writeable = False
            chosen.spec.kernel(record, state, kind(*part), out[a:b])
        assert same(out, whole)


def _parts(chosen: Indicator) -> tuple[Any, Any, Any]:
    run = chosen.start()
    return run._p, run._s, bars_type(chosen.spec.inputs)


TWINS = """
import hashlib
from {module} import columns_of_twins, values, variants
columns = columns_of_twins()
for chosen in variants():
    print(repr(chosen), hashlib.sha256(values(chosen, columns).tobytes()).hexdigest())
"""


def columns_of_twins() -> Columns:
    return walk(1400, 4)


def twins() -> str:
    """Return the hashes of all variants, made by plain Python."""
    here = Path(__file__)
    program = TWINS.format(module=here.stem)
    path = os.pathsep.join([str(here.parent), str(here.parents[2])])
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1", "PYTHONPATH": path}
    return subprocess.run(
        [sys.executable, "-c", program], env=environment, check=True,
        capture_output=True, text=True, timeout=300,
    ).stdout  # fmt: skip


def hashes(chosen: list[Indicator], columns: Columns) -> str:
    lines = [
        f"{one!r} {hashlib.sha256(values(one, columns).tobytes()).hexdigest()}\n" for one in chosen
    ]
    return "".join(lines)


def test_plain_python_gives_the_same_bits() -> None:
    assert twins() == hashes(variants(), columns_of_twins())


@pytest.mark.parametrize("chosen", variants(), ids=repr)
def test_the_python_kernel_leaves_the_same_state(chosen: Indicator) -> None:
    columns = walk(300, 8)
    given = [columns[name] for name in chosen.inputs]
    run = chosen.start()
    whole = run.columns(given)
    record, state, kind = _parts(chosen)
    out = np.empty_like(whole)
    for column in given:
        column.flags.writeable = False
    chosen.spec.kernel.py_func(record, state, kind(*given), out)  # type: ignore[attr-defined]
    assert same(out, whole)
    assert state.tobytes() == run._s.tobytes()


# -- parameters ----------------------------------------------------------------------


def test_lengths_of_the_ultimate_oscillator_rise() -> None:
    with pytest.raises(ConfigError, match="short < medium < long is wanted, not 7, 7 and 28"):
        indicator("ultimate", medium=7)


def test_words_that_are_none() -> None:
    with pytest.raises(ConfigError, match="did you mean 'percent'"):
        indicator("roc", form="percentage")


@pytest.mark.parametrize("name", NAMES)
def test_specs_tell_everything(name: str) -> None:
    spec = CATALOGUE[name]
    assert spec.family == "Momentum"
    assert spec.pane == "own"
    assert spec.text.endswith(".")
    assert spec.source
