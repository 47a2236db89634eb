"""Stochastic, Williams %R, Aroon, CCI, money flow: TA-Lib, exact sums, goldens, bits."""

from __future__ import annotations

import hashlib
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
Theirs = Callable[[Columns], tuple[Values, ...]]

NAMES = ("stochastic", "williams", "aroon", "cci", "mfi", "apo", "ppo", "awesome")


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


def real(folder: Path, file: str) -> Columns:
    frame = pd.read_csv(folder / "indicators" / file)
    names = [name for name in ("close", "high", "low", "volume") if name in frame]
    return {name: frame[name].to_numpy(np.float64) for name in names}


def assert_near(ours: Values, theirs: Values, tolerance: float) -> None:
    """Compare as fidelity is told: relative, denominators at least 1e-3 of the range."""
    np.testing.assert_array_equal(np.isnan(ours), np.isnan(theirs))
    told = ~np.isnan(theirs)
    if told.any():
        floor = 1e-3 * (float(np.ptp(theirs[told])) or 1.0)
        deviation = np.abs(ours - theirs)[told] / np.maximum(np.abs(theirs[told]), floor)
        assert deviation.max() <= tolerance


# -- TA-Lib --------------------------------------------------------------------------


def _stoch(k: int, smooth: int, d: int) -> Theirs:
    sma: Any = 0  # simple means
    return lambda c: talib.STOCH(c["high"], c["low"], c["close"], k, smooth, sma, d, sma)


def _stochf(k: int, d: int) -> Theirs:
    return lambda c: talib.STOCHF(c["high"], c["low"], c["close"], k, d)


def _aroon(k: int) -> Theirs:
    return lambda c: (
        *talib.AROON(c["high"], c["low"], k),
        talib.AROONOSC(c["high"], c["low"], k),
    )


def _williams(k: int) -> Theirs:
    return lambda c: (talib.WILLR(c["high"], c["low"], c["close"], k),)


def _apo(fast: int, slow: int) -> Theirs:
    """TA-Lib takes the distance of means of prices, in which their last bits show; not so here."""
    return lambda c: (talib.APO(c["close"] - c["close"][0], fast, slow, 1),)


def _ppo(fast: int, slow: int) -> Theirs:
    apo = _apo(fast, slow)
    return lambda c: (100.0 * (apo(c)[0] / talib.EMA(c["close"], slow)),)


CASES: list[tuple[str, dict[str, Any], Theirs]] = [
    *[
        ("stochastic", dict(zip(("length", "smooth", "signal"), k, strict=True)), _stoch(*k))
        for k in ((14, 3, 3), (5, 3, 3), (1, 1, 1), (2, 1, 3), (200, 10, 20), (700, 3, 3))
    ],
    ("stochastic", {"length": 14, "smooth": 1, "signal": 3}, _stochf(14, 3)),
    *[("williams", {"length": k}, _williams(k)) for k in (2, 3, 14, 100, 2500)],
    *[("aroon", {"length": k}, _aroon(k)) for k in (2, 14, 25, 200)],
    *[
        (name, {"fast": fast, "slow": slow, "average": "ema"}, theirs(fast, slow))
        for name, theirs in (("apo", _apo), ("ppo", _ppo))
        for fast, slow in ((12, 26), (2, 3), (20, 200))
    ],
]


@pytest.mark.parametrize(("name", "given", "theirs"), CASES)
@pytest.mark.parametrize(("n", "digits"), [(5, 2), (40, 2), (1500, 2), (20_000, 12)])
def test_talib_agrees_warm_up_and_ties_included(
    name: str, given: dict[str, Any], theirs: Theirs, n: int, digits: int
) -> None:
    columns = walk(n, digits=digits)
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
    columns = real(shared_data, "willr14_lean.csv")
    ours = values(indicator(name, **given), columns)
    for place, column in enumerate(theirs(columns)):
        assert_near(ours[:, place], column, 1e-10)


@pytest.mark.parametrize("length", [2, 14, 100])
def test_talib_agrees_on_real_bars_where_its_sums_are_less_exact(
    shared_data: Path, length: int
) -> None:
    c = real(shared_data, "mfi20_lean.csv")
    cci = talib.CCI(c["high"], c["low"], c["close"], length)
    mfi = talib.MFI(c["high"], c["low"], c["close"], c["volume"], length)
    assert_near(values(indicator("cci", length=length), c)[:, 0], cci, 1e-8)
    assert_near(values(indicator("mfi", length=length), c)[:, 0], mfi, 1e-8)


# -- golden values -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "columns", "chosen", "tolerance", "count"),
    [
        # Made of prices with more digits than are written: TA-Lib is as far away. k begins four
        # rows earlier there.
        ("stoch12_3_5_lean.csv", ("exp_k", "exp_d"), ("stochastic", 12, 3, 5), 1e-3, 968),
        ("stoch14_cs.csv", ("exp_k", "exp_d"), ("stochastic", 14, 1, 3), 0.5e-4, 29),
        ("willr14_lean.csv", ("exp_willr",), ("williams", 14), 1e-3, 488),
        ("cci14_lean.csv", ("exp_cci",), ("cci", 14), 5e-3, 488),
        ("cci20_cs.csv", ("exp_cci",), ("cci", 20), 0.5e-4, 11),
        ("mfi14_cs.csv", ("exp_mfi",), ("mfi", 14), 0.5e-4, 16),
        ("mfi20_lean.csv", ("exp_mfi",), ("mfi", 20), 0.5e-4, 480),
    ],
)
def test_golden_values(
    shared_data: Path, file: str, columns: tuple[str, ...], chosen: tuple[Any, ...],
    tolerance: float, count: int,
) -> None:  # fmt: skip
    frame = pd.read_csv(shared_data / "indicators" / file)
    name, *given = chosen
    made = Indicator(CATALOGUE[name], dict(zip(CATALOGUE[name].parameters, given, strict=True)))
    frame["close"] = frame["close"].fillna(frame["high"])  # left out where not needed
    ours = values(made, {c: frame[c].to_numpy(np.float64) for c in made.inputs})
    found = 0
    for place, column in enumerate(columns):
        theirs = frame[column].to_numpy()
        told = ~np.isnan(theirs) & ~np.isnan(ours[:, place])
        found += int(told.sum())
        assert np.abs(ours[:, place] - theirs)[told].max() <= tolerance * 1.001
    assert found == count


@pytest.mark.parametrize("version", ["original", "revisit"])
def test_williams_stays_in_its_range_on_bars_that_once_broke_it(
    shared_data: Path, version: str
) -> None:
    file = shared_data / "bars_mixed" / f"_issue1127.williamr.{version}.csv"
    frame = pd.read_csv(file, encoding="utf-8-sig").rename(columns=str.lower)
    for length in (2, 14, 50):
        ours = indicator("williams", length=length).over(frame).to_numpy()[length - 1 :]
        assert not np.isnan(ours).any()
        assert -100.0 <= ours.min() <= ours.max() <= 0.0


# -- definitions ---------------------------------------------------------------------


def test_ties_of_aroon_by_hand() -> None:
    high, low = [5.0, 7.0, 7.0, 6.0], [1.0, 1.0, 3.0, 3.0]
    latest = indicator("aroon", length=3).values(high, low)[3]
    first = indicator("aroon", length=3, ties="first").values(high, low)[3]
    np.testing.assert_allclose(latest, [100 / 3, 200 / 3, 100 / 3], rtol=1e-15)
    np.testing.assert_allclose(first, [0.0, 100 / 3, 100 / 3], rtol=1e-15)


@pytest.mark.parametrize("length", [1, 2, 7, 40])
def test_first_ties_of_aroon_against_numpy(length: int) -> None:
    columns = walk(800, digits=1)
    ours = values(indicator("aroon", length=length, ties="first"), columns)
    for i in range(length, 800):
        window = slice(i - length, i + 1)
        down = 100.0 * int(columns["low"][window].argmin()) / length
        up = 100.0 * int(columns["high"][window].argmax()) / length
        np.testing.assert_allclose(ours[i], [down, up, up - down], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("level", [0.0, 5.0, 0.1])
@pytest.mark.parametrize("name", NAMES)
def test_prices_that_stand_still_give_defined_values(name: str, level: float) -> None:
    columns = {column: np.full(3000, level) for column in ("high", "low", "close", "hl2")}
    columns["volume"] = np.full(3000, 2.0)
    chosen = indicator(name)
    ours = values(chosen, columns)[chosen.warmup :]
    assert (ours == ([100.0, 100.0, 0.0] if name == "aroon" else 0.0)).all()


@pytest.mark.parametrize("name", NAMES)
def test_values_stay_in_their_range(name: str) -> None:
    chosen = indicator(name)
    if chosen.range:
        ours = values(chosen, walk(5000, 3, 2))[chosen.warmup :]
        low, high = chosen.range
        assert low <= ours.min() <= ours.max() <= high


# -- the same bits -------------------------------------------------------------------


def variants() -> list[Indicator]:
    return [
        *map(indicator, NAMES),
        indicator("stochastic", length=1, smooth=1, signal=1),
        indicator("stochastic", length=3, smooth=20, signal=4),
        indicator("stochastic", length=90, smooth=1, signal=30),
        *[indicator("williams", length=k) for k in (1, 2, 100, 2500)],
        indicator("aroon", length=1),
        indicator("aroon", length=4, ties="first"),
        *[indicator("apo", fast=1, slow=k) for k in (2, 90)],
        *[indicator("ppo", fast=3, slow=k, average="ema") for k in (4, 90)],
        *[indicator("cci", length=k) for k in (1, 3, 90)],
        *[indicator("mfi", length=k) for k in (1, 2, 90, 2500)],
    ]


@pytest.mark.parametrize("chosen", variants(), ids=repr)
def test_any_split_gives_the_bits_of_one_call(chosen: Indicator) -> None:
    n = 9000
    columns = walk(n, 11, 3)
    for name in ("high", "low", "close"):
        columns[name][4000:5000] = 0.0
        columns[name][5500:5600] *= -1.0
        columns[name][6000:6100] *= 50.0
    columns["hl2"] = (columns["high"] + columns["low"]) / 2.0
    columns["close"][4100:4900:3] = -0.0
    columns["low"][4000:5000:7] = -0.0
    given = [columns[name] for name in chosen.inputs]
    whole = chosen.values(*given)
    rng = np.random.default_rng(2)
    for cuts in (rng.integers(0, n, 5), rng.integers(0, n, 300), np.arange(0, n, 2900)):
        run = chosen.start()
        out = np.empty_like(whole)
        for a, b in pairwise([0, *sorted(cuts.tolist()), n]):
            part = [column[a:b] for column in given]
            for column in part:
                column.flags.writeable = False
            bars = bars_type(chosen.spec.inputs)(*part)
            chosen.spec.kernel(run._p, run._s, bars, out[a:b])
        assert out.tobytes() == whole.tobytes()


TWINS = """
import hashlib
from {module} import columns_of_twins, values, variants
columns = columns_of_twins()
for chosen in variants():
    print(repr(chosen), hashlib.sha256(values(chosen, columns).tobytes()).hexdigest())
"""


def columns_of_twins() -> Columns:
    return walk(1400, 4, 2)


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
    columns = walk(300, 8, 2)
    given = [columns[name] for name in chosen.inputs]
    run = chosen.start()
    whole = run.columns(given)
    other = chosen.start()
    out = np.empty_like(whole)
    for column in given:
        column.flags.writeable = False
    bars = bars_type(chosen.spec.inputs)(*given)
    chosen.spec.kernel.py_func(other._p, other._s, bars, out)  # type: ignore[attr-defined]
    assert out.tobytes() == whole.tobytes()
    assert other._s.tobytes() == run._s.tobytes()


# -- parameters ----------------------------------------------------------------------


def test_words_and_numbers_that_are_not_allowed() -> None:
    with pytest.raises(ConfigError, match="did you mean 'latest'"):
        indicator("aroon", ties="late")
    with pytest.raises(ConfigError, match="fast < slow is wanted, not 26 and 26"):
        indicator("ppo", fast=26)
    with pytest.raises(ConfigError, match="smooth must be a whole number from 1 to 1000"):
        indicator("stochastic", smooth=0)


@pytest.mark.parametrize("name", NAMES)
def test_specs_tell_everything(name: str) -> None:
    spec = CATALOGUE[name]
    assert spec.family == "Oscillators"
    assert spec.pane == "own"
    assert spec.text.endswith(".")
    assert spec.source
