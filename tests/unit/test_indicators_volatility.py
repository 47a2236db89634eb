"""Volatility, channels and volume: golden values, TA-Lib, exact references, the same bits."""

from __future__ import annotations

import hashlib
import math
import os
import subprocess
import sys
from fractions import Fraction
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import talib

from workbench.analytics import Indicator
from workbench.analytics import channels as channel_family
from workbench.analytics import volatility as volatility_family
from workbench.analytics import volume as volume_family
from workbench.analytics.configured import Indicator as Configured
from workbench.analytics.parameters import Choice
from workbench.errors import ConfigError
from workbench.kernels.columns import bars_type

Values = npt.NDArray[np.float64]
SPECS = {
    spec.name: spec
    for family in (volatility_family, channel_family, volume_family)
    for spec in family.SPECS
}
COLUMNS = ("open", "high", "low", "close", "volume")


def of(name: str, **parameters: Any) -> Indicator:
    return Configured(SPECS[name], parameters)


def series(n: int, seed: int = 1, jumps: bool = False) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    close = 100.0 + np.cumsum(rng.normal(0, 0.3, n))
    if jumps:
        close = close * 10.0 ** rng.integers(-3, 4, n // 37 + 1).repeat(37)[:n]
    open_ = np.concatenate([close[:1], close[:-1]]) * (1 + rng.normal(0, 0.001, n))
    high = np.maximum(open_, close) * (1 + rng.random(n) * 0.004)
    low = np.minimum(open_, close) * (1 - rng.random(n) * 0.004)
    volume = np.round(rng.random(n) * 1e4 * rng.integers(0, 2, n), 2)
    return pd.DataFrame(dict(zip(COLUMNS, (open_, high, low, close, volume), strict=True)))


def run(indicator: Indicator, frame: pd.DataFrame) -> Values:
    return indicator.values(*(frame[name].to_numpy(np.float64) for name in indicator.inputs))


def variants(name: str, **lengths: int) -> list[Indicator]:
    """Return an indicator with every choice there is."""
    spec = SPECS[name]
    kinds = [(n, p) for n, p in spec.parameters.items() if isinstance(p, Choice)]
    fixed = {n: v for n, v in lengths.items() if n in spec.parameters}
    return [
        of(name, **fixed, **dict(zip([n for n, _ in kinds], words, strict=True)))
        for words in product(*(p.options for _, p in kinds))
    ]


EVERY = [(name, n) for name in SPECS for n in range(len(variants(name)))]
each = pytest.mark.parametrize(("name", "place"), EVERY)


# -- golden values -------------------------------------------------------------------

GOLDENS = [
    # File, indicator, columns and their places in the outputs, tolerance, values. The prices
    # and volumes of two files are rounded more than those their values were made of.
    ("atr14_cs.csv", of("atr", start="first"), {"exp_atr": 0}, 1e-9, 17),
    ("atr14_lean.csv", of("atr", start="first"), {"exp_atr": 0}, 0.5e-5, 488),
    ("atr14_simple_lean.csv", of("atr", average="sma"), {"exp_atr": 0}, 0.5e-5, 487),
    ("bb20_cs.csv", of("bollinger"), {"exp_up": 0, "exp_mid": 1, "exp_lo": 2}, 1.5e-6, 23),
    ("bb20_cs.csv", of("stddev"), {"exp_sd": 0}, 0.5e-6, 23),
    ("bb20_lean.csv", of("bollinger"), {"exp_up": 0, "exp_mid": 1, "exp_lo": 2}, 0.7e-4, 481),
    ("bb20_lean.csv", of("bollinger_width"), {"exp_width": 0}, 1.1e-4, 481),
    ("bb20_lean.csv", of("bollinger_b"), {"exp_pctb": 0}, 0.7e-4, 481),
    (
        "keltner20_2_10_skj.csv", of("keltner"), {"exp_up": 0, "exp_mid": 1, "exp_lo": 2}, 1e-10,
        483,
    ),
    ("keltner_cs.csv", of("keltner", start="first"), {"exp_up": 0, "exp_lo": 2}, 1e-9, 21),
    ("donchian20_cs.csv", of("donchian"), {"exp_up": 0, "exp_mid": 1, "exp_lo": 2}, 0.5e-2, 11),
    ("ad_cs.csv", of("ad"), {"exp_adl": 0}, 1.0, 30),
    ("obv_lean.csv", of("obv"), {"exp_obv": 0}, 1e-6, 500),
]  # fmt: skip


@pytest.mark.parametrize(("file", "chosen", "columns", "tolerance", "count"), GOLDENS)
def test_golden_values(
    shared_data: Path,
    file: str,
    chosen: Indicator,
    columns: dict[str, int],
    tolerance: float,
    count: int,
) -> None:
    frame = pd.read_csv(shared_data / "indicators" / file)
    ours = run(chosen, frame)
    for column, place in columns.items():
        theirs = frame[column].to_numpy(np.float64)
        told = ~np.isnan(theirs) & ((theirs != 0.0) | (file != "atr14_cs.csv"))
        told[: chosen.warmup] = False
        assert told.sum() == count
        room = tolerance * 1.001
        if file == "obv_lean.csv":  # relative
            room = room * np.maximum(np.abs(theirs[told]), 1e9)
        assert (np.abs(ours[told, place] - theirs[told]) <= room).all()


def test_golden_keltner_middle_begins_with_the_first_close(shared_data: Path) -> None:
    frame = pd.read_csv(shared_data / "indicators" / "keltner_cs.csv")
    ours = run(of("keltner", start="first", atr=1), frame)[:, 1]
    assert np.abs(ours - frame["exp_mid"].to_numpy()).max() < 1e-9


def test_golden_obv_passes_over_a_day_without_a_volume(shared_data: Path) -> None:
    frame = pd.read_csv(shared_data / "indicators" / "obv_cs.csv")
    ours = run(of("obv"), frame)[:, 0]
    assert math.isnan(ours[0])
    assert np.array_equal(ours[1:], frame["exp_obv"].to_numpy()[1:])
    zero = run(of("obv", start="zero"), frame)[:, 0]
    assert np.array_equal(zero[1:] + 8200.0, ours[1:])


# -- TA-Lib --------------------------------------------------------------------------


def deviation(ours: Values, theirs: Any) -> float:
    """Return the largest relative difference; leading NaNs must agree."""
    other = np.column_stack(theirs) if isinstance(theirs, tuple) else theirs[:, None]
    assert np.array_equal(np.isnan(ours), np.isnan(other))
    told = ~np.isnan(ours)
    if not told.any():
        return 0.0
    floor = max(1e-3 * float(np.ptp(other[told])), 1e-300)
    return float((np.abs(ours - other)[told] / np.maximum(np.abs(other[told]), floor)).max())


def pairs(f: pd.DataFrame, length: int) -> dict[str, tuple[Indicator, Any]]:
    h, l, c, v = (f[name].to_numpy(np.float64) for name in COLUMNS[1:])  # noqa: E741
    found = {
        "trange": (of("trange"), talib.TRANGE(h, l, c)),
        "atr": (of("atr", length=length), talib.ATR(h, l, c, length)),
        "obv": (of("obv"), talib.OBV(c, v)),
        "ad": (of("ad"), talib.AD(h, l, c, v)),
    }
    if length > 1:  # a length of 1: TA-Lib gives the plain range as NATR, and refuses the others
        high, low = talib.MAX(h, length), talib.MIN(l, length)
        found |= {
            "natr": (of("natr", length=length), talib.NATR(h, l, c, length)),
            "donchian": (of("donchian", length=length), (high, (high + low) / 2, low)),
            "adosc": (of("adosc", slow=length + 3), talib.ADOSC(h, l, c, v, 3, length + 3)),
            "bollinger": (of("bollinger", length=length), talib.BBANDS(c, length, 2.0, 2.0)),
        }
    return found


@pytest.mark.parametrize("length", [1, 2, 5, 14, 64, 300, 2000])
def test_agrees_with_talib_on_random_bars(length: int) -> None:
    for name, (ours, theirs) in pairs(series(1500, length), length).items():
        assert deviation(run(ours, series(1500, length)), theirs) < 1e-10, name


@pytest.mark.parametrize("length", [2, 14, 100])
def test_agrees_with_talib_on_real_bars(shared_data: Path, length: int) -> None:
    frame = pd.read_csv(shared_data / "indicators" / "keltner20_2_10_skj.csv")
    for name, (ours, theirs) in pairs(frame, length).items():
        assert deviation(run(ours, frame), theirs) < 1e-10, name


# -- exact and plain references ------------------------------------------------------


def exact_moments(values: Values) -> tuple[float, float]:
    exact = [Fraction(x) for x in values.tolist()]
    mean = sum(exact, Fraction(0)) / len(exact)
    square = sum(((x - mean) ** 2 for x in exact), Fraction(0)) / len(exact)
    return float(mean), math.sqrt(square)


@pytest.mark.parametrize("length", [1, 2, 3, 20, 100])
@pytest.mark.parametrize("jumps", [False, True])
def test_deviations_are_exact(length: int, jumps: bool) -> None:
    frame = series(500, length, jumps)
    close = frame["close"].to_numpy()
    ours = run(of("stddev", length=length), frame)[:, 0]
    bands = run(of("bollinger", length=length), frame)
    exact = np.array([exact_moments(close[i - length + 1 : i + 1]) for i in range(length - 1, 500)])
    floor = 1e-3 * float(np.ptp(exact[:, 1]))
    for got, want in ((ours[length - 1 :], exact[:, 1]), (bands[length - 1 :, 1], exact[:, 0])):
        assert (np.abs(got - want) <= 1e-12 * np.maximum(np.abs(want), floor)).all()
    spread = (bands[length - 1 :, 0] - bands[length - 1 :, 2]) / 4
    assert np.abs(spread - exact[:, 1]).max() <= 1e-12 * np.abs(close).max()


def test_deviations_do_not_drift_over_a_million_rows_of_jumping_levels() -> None:
    rng = np.random.default_rng(5)
    n, length = 1_000_000, 20
    close = np.round(np.where(np.arange(n) // 997 % 2, 1e6, 1.0) + rng.random(n), 4)
    ours = of("stddev").values(close)[:, 0]
    falls = np.flatnonzero((close[1:] < 10) & (close[:-1] > 10)) + 1
    places = np.concatenate([falls[::20] + 20, falls[::20] + 50, rng.integers(length, n, 500)])
    for place in places[places < n]:
        _, exact = exact_moments(close[place - length + 1 : place + 1])
        assert abs(ours[place] - exact) <= 1e-9 * exact


def ranges(f: pd.DataFrame, first: bool) -> pd.Series:
    last = f["close"].shift()
    high = np.fmax(f["high"], last)
    x = high - np.fmin(f["low"], last)
    if not first:
        x.iloc[0] = math.nan
    return x


def wilder(x: pd.Series, length: int) -> pd.Series:
    y = x.copy()
    start = int(x.isna().sum())
    y.iloc[: start + length] = math.nan
    y.iloc[start + length - 1] = x.iloc[start : start + length].mean()
    return y.ewm(alpha=1 / length, adjust=False).mean()


def ema(x: pd.Series, length: int) -> pd.Series:
    y = x.copy()
    start = int(x.isna().sum())
    y.iloc[: start + length] = math.nan
    y.iloc[start + length - 1] = x.iloc[start : start + length].mean()
    return y.ewm(alpha=2 / (length + 1), adjust=False).mean()


def log_parts(f: pd.DataFrame) -> dict[str, pd.Series]:
    o, h, l, c = (np.log(f[name]) for name in COLUMNS[:4])  # noqa: E741
    return {
        "close": c.diff(),
        "gap": o - c.shift(),
        "body": c - o,
        "parkinson": (h - l) ** 2 / (4 * math.log(2)),
        "garman_klass": 0.5 * (h - l) ** 2 - (2 * math.log(2) - 1) * (c - o) ** 2,
        "rogers_satchell": (h - c) * (h - o) + (l - c) * (l - o),
    }


def realised(f: pd.DataFrame, length: int, method: str) -> pd.Series:
    parts = log_parts(f)
    if method == "close":
        return np.sqrt(parts["close"].rolling(length).var() * 252)
    if method == "yang_zhang":
        k = 0.34 / (1.34 + (length + 1) / (length - 1))
        alone = parts["rogers_satchell"].rolling(length).mean()
        body = parts["body"].rolling(length).var()
        return np.sqrt(
            (parts["gap"].rolling(length).var() + k * body + (1 - k) * alone).clip(0) * 252
        )
    return np.sqrt(parts[method].rolling(length).mean().clip(0) * 252)


def flows(f: pd.DataFrame) -> pd.Series:
    span = f["high"] - f["low"]
    return ((2 * f["close"] - f["low"] - f["high"]) / span * f["volume"]).where(span > 0, 0.0)


def plain(name: str, p: dict[str, Any], f: pd.DataFrame) -> pd.DataFrame:
    """Return an indicator's values as pandas would compute them."""
    n = p.get("length", 0)
    first = p.get("start") == "first"
    if name == "atr":
        x = ranges(f, first)
        return pd.DataFrame(wilder(x, n) if p["average"] == "wilder" else x.rolling(n).mean())
    if name == "realised":
        return pd.DataFrame(realised(f, n, p["method"]))
    if name == "choppiness":
        span = f["high"].rolling(n).max() - f["low"].rolling(n).min()
        value = 100 * np.log10(ranges(f, False).rolling(n).sum() / span) / math.log10(n)
        return pd.DataFrame(value)
    if name == "keltner":
        if p["centre"] == "sma":
            middle = ((f["high"] + f["low"] + f["close"]) / 3).rolling(n).mean()
        elif first:
            middle = f["close"].ewm(span=n, adjust=False).mean()
        else:
            middle = ema(f["close"], n)
        spread = p["width"] * wilder(ranges(f, first), p["atr"])
        return pd.DataFrame({"u": middle + spread, "m": middle + 0 * spread, "l": middle - spread})
    if name == "donchian":
        late = int(p["current"] == "without")
        high = f["high"].rolling(n).max().shift(late)
        low = f["low"].rolling(n).min().shift(late)
        return pd.DataFrame({"u": high, "m": (high + low) / 2, "l": low})
    if name == "chandelier":
        spread = p["width"] * wilder(ranges(f, False), n)
        high, low = f["high"].rolling(n).max(), f["low"].rolling(n).min()
        return pd.DataFrame({"long": high - spread, "short": low + spread})
    if name == "cmf":
        total = f["volume"].rolling(n).sum()
        return pd.DataFrame(flows(f).rolling(n).sum() / total)
    if name == "force":
        return pd.DataFrame(ema(f["close"].diff() * f["volume"], n))
    assert name == "eom"
    middle = (f["high"] + f["low"]) / 2
    x = middle.diff() * (f["high"] - f["low"]) * p["divisor"] / f["volume"].where(f["volume"] > 0)
    x = x.where(f["volume"] > 0, 0.0)
    x.iloc[0] = math.nan
    return pd.DataFrame(x.rolling(n).mean())


PLAIN = (
    "atr", "realised", "choppiness", "keltner", "donchian", "chandelier", "cmf", "force", "eom",
)  # fmt: skip


@pytest.mark.parametrize("length", [2, 14, 20, 70])
@pytest.mark.parametrize("name", PLAIN)
def test_agrees_with_a_plain_reference(name: str, length: int) -> None:
    frame = series(400, 3)
    for chosen in variants(name, length=length):
        ours = run(chosen, frame)
        theirs = plain(name, dict(chosen.parameters), frame).to_numpy()
        told = ~np.isnan(ours)
        if name != "cmf" or length > 2:  # pandas has no value without volume
            assert np.array_equal(told, ~np.isnan(theirs)), repr(chosen)
        told &= ~np.isnan(theirs)
        floor = 1e-3 * float(np.ptp(theirs[told]))
        room = 1e-9 * np.maximum(np.abs(theirs[told]), floor)
        assert (np.abs(ours - theirs)[told] <= room).all(), repr(chosen)


# -- what holds for all --------------------------------------------------------------


@each
@pytest.mark.parametrize("length", [2, 3, 20, 100])
def test_warmup_is_told_exactly(name: str, place: int, length: int) -> None:
    chosen = variants(name, length=length)[place]
    ready = ~np.isnan(run(chosen, series(150, 2))).any(axis=1)
    assert ready.argmax() == chosen.warmup
    assert ready[chosen.warmup :].all()


@each
@pytest.mark.parametrize("length", [2, 3, 20, 67])
def test_any_split_gives_the_same_bits(name: str, place: int, length: int) -> None:
    chosen = variants(name, length=length)[place]
    frame = series(700, 4, jumps=True)
    columns = [frame[column].to_numpy() for column in chosen.inputs]
    whole = chosen.values(*columns)
    rng = np.random.default_rng(length)
    for cuts in (range(1, 700), sorted(rng.integers(0, 700, 12).tolist())):
        begun = chosen.start()
        ends = [*cuts, 700]
        parts = [
            begun.columns([column[a:b] for column in read_only(columns)])
            for a, b in zip([0, *ends[:-1]], ends, strict=True)
        ]
        assert np.concatenate(parts).tobytes() == whole.tobytes()


def read_only(columns: list[Values]) -> list[Values]:
    views = [column.view() for column in columns]
    for view in views:
        view.flags.writeable = False
    return views


@each
@pytest.mark.parametrize("level", [0.0, 0.1, 123.456, 1e9])
def test_constant_prices_give_defined_values(name: str, place: int, level: float) -> None:
    frame = series(60, 1)
    frame[:30] *= 1.7
    frame.iloc[30:] = level
    for begin in (0, 30):  # with something before, and without
        chosen = variants(name, length=5)[place]
        values = run(chosen, frame[begin:])[chosen.warmup :]
        assert np.isfinite(values).all()
        if name in ("stddev", "bollinger_width", "trange", "realised", "cmf"):
            assert (values[-20:] == 0.0).all()
        if name == "bollinger_b":
            assert (values[-20:] == 0.5).all()
        if name == "choppiness":
            assert (values[-20:] == 100.0).all()


@pytest.mark.parametrize("name", ["atr", "natr", "keltner", "chandelier", "force", "adosc"])
def test_means_fade_to_zero_and_not_to_denormals(name: str) -> None:
    n = 20_000
    frame = series(n, 1)
    frame.iloc[50:] = 0.0
    chosen = of(name)
    run_ = chosen.start()
    run_.columns(read_only([frame[column].to_numpy() for column in chosen.inputs]))
    for field in ("mean", "part", "centre", "fast", "slow"):
        if field in (run_._s.dtype.names or ()) and (name, field) != ("adosc", "fast"):
            value = abs(float(run_._s[0][field]))
            assert value == 0.0 or value > 1e-290


def test_parameters_that_do_not_go_together() -> None:
    with pytest.raises(ConfigError, match=r"fast \(10\) must be less than slow \(10\)"):
        of("adosc", fast=10)
    with pytest.raises(ConfigError, match="must be one of close, parkinson"):
        of("realised", method="parkinsen")
    with pytest.raises(ConfigError, match="from 2 to 100000"):
        of("choppiness", length=1)


# -- the same bits without a compiler ------------------------------------------------


def digest() -> str:
    """Return a hash of the values of every variant over bars in three parts."""
    frame = series(230, 6, jumps=True)
    total = hashlib.sha256()
    for (name, place), length in product(EVERY, (2, 9)):
        chosen = variants(name, length=length)[place]
        columns = [frame[column].to_numpy() for column in chosen.inputs]
        begun = chosen.start()
        for a, b in ((0, 150), (150, 151), (151, 230)):
            total.update(begun.columns([c[a:b] for c in read_only(columns)]).tobytes())
    return total.hexdigest()


def test_kernels_give_the_same_bits_without_a_compiler() -> None:
    code = (
        "import runpy, warnings; warnings.simplefilter('error', RuntimeWarning); "
        f"print(runpy.run_path({str(Path(__file__))!r})['digest']())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"NUMBA_DISABLE_JIT": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == digest()


@each
def test_uncompiled_twin_of_a_kernel_gives_the_same_bits(name: str, place: int) -> None:
    chosen = variants(name, length=7)[place]
    kernel: Any = chosen.spec.kernel
    frame = series(120, 8)
    columns = read_only([frame[column].to_numpy() for column in chosen.inputs])
    begun = chosen.start()
    out = np.empty((120, len(chosen.spec.outputs)))
    kernel.py_func(begun._p, begun._s, bars_type(chosen.inputs)(*columns), out)
    assert out.tobytes() == chosen.values(*columns).tobytes()
