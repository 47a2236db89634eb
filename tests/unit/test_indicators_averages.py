"""Averages, MACD, TRIX and volume-weighted prices: references, goldens, bits and edges."""

from __future__ import annotations

import hashlib
import math
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from fractions import Fraction
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

Values = npt.NDArray[np.float64]

NAMES = (
    "sma", "ema", "rma", "dema", "tema", "t3", "wma", "hma", "vwma", "kama", "trix", "macd",
    "vwap_bands", "vwap_rolling", "vwap_anchored",
)  # fmt: skip


def prices(n: int, seed: int = 1) -> Values:
    rng = np.random.default_rng(seed)
    return np.asarray(100.0 + np.cumsum(rng.normal(0.0, 0.1, n)))


def columns(n: int, names: Sequence[str], seed: int = 1) -> list[npt.NDArray[Any]]:
    """Columns an indicator reads, made from one walk of prices, an hour a bar."""
    rng = np.random.default_rng(seed)
    close = prices(n, seed)
    volume = np.round(rng.exponential(1000.0, n)) + 1.0
    hours = np.arange(n, dtype=np.int64)
    made = {
        "close": close,
        "volume": volume,
        "notional": volume * (close + rng.normal(0.0, 0.01, n)),
        "hlc3": close + 0.01,
        "ohlc4": close - 0.01,
        "session": 19_700 + hours // 24,
        "time": (19_699 * 24 + hours) * 3_600 * 10**9,
    }
    return [made[name] for name in names]


def all_of_them() -> list[Indicator]:
    """Every indicator here with its defaults, and with every other choice."""
    found = []
    for name in NAMES:
        found.append(indicator(name))
        for key, kind in CATALOGUE[name].parameters.items():
            others = getattr(kind, "options", ())[1:]
            found += [indicator(name, **{key: option}) for option in others]
    return found


# -- TA-Lib --------------------------------------------------------------------------

PEERS: dict[str, Callable[[Values, Values, int], Any]] = {
    "sma": lambda x, v, n: talib.SMA(x, n),
    "ema": lambda x, v, n: talib.EMA(x, n),
    "rma": lambda x, v, n: talib.RMA(x, n),
    "dema": lambda x, v, n: talib.DEMA(x, n),
    "tema": lambda x, v, n: talib.TEMA(x, n),
    "t3": lambda x, v, n: talib.T3(x, n),
    "wma": lambda x, v, n: talib.WMA(x, n),
    "hma": lambda x, v, n: talib.HMA(x, n),
    "vwma": lambda x, v, n: talib.VWMA(x, v, n),
    "kama": lambda x, v, n: talib.KAMA(x, n),
    "trix": lambda x, v, n: talib.TRIX(x, n),
}


def deviation(ours: Values, theirs: Values) -> float:
    """Largest relative difference; denominators are at least a thousandth of the range."""
    np.testing.assert_array_equal(np.isnan(ours), np.isnan(theirs))
    told = ~np.isnan(ours)
    if not told.any():
        return 0.0
    a, b = ours[told], theirs[told]
    floor = max(1e-3 * float(np.ptp(b)), 1e-300)
    return float((np.abs(a - b) / np.maximum(np.abs(b), floor)).max())


@pytest.mark.parametrize("length", [1, 2, 3, 14, 20, 50, 5_000])
@pytest.mark.parametrize("name", sorted(PEERS))
def test_agrees_with_talib(name: str, length: int) -> None:
    if name == "kama" and length == 1:
        pytest.skip("a way over one bar is always straight; the shortest is 2")
    close, volume = columns(3_000, ("close", "volume"))
    ours = indicator(name, length=length)
    given = (close, volume)[: len(ours.inputs)]
    theirs = PEERS[name](close, volume, length)
    assert deviation(ours.values(*given)[:, 0], theirs) < 1e-10


@pytest.mark.parametrize(
    "lengths", [(12, 26, 9), (2, 3, 2), (5, 35, 5), (3, 10, 16), (20, 4000, 9)]
)
def test_macd_agrees_with_talib(lengths: tuple[int, int, int]) -> None:
    fast, slow, signal = lengths
    close = prices(3_000)
    ours = indicator("macd", fast=fast, slow=slow, signal=signal).values(close)
    for column, theirs in enumerate(talib.MACD(close, fast, slow, signal)):
        assert deviation(ours[:, column], theirs) < 1e-10


def test_agrees_with_talib_on_real_bars(shared_data: Path) -> None:
    frame = golden(shared_data, "vwma20_lean.csv")
    close, volume = frame["close"].to_numpy(), frame["volume"].to_numpy(np.float64)
    for name, peer in PEERS.items():
        ours = indicator(name, length=20)
        values = ours.values(*(close, volume)[: len(ours.inputs)])[:, 0]
        assert deviation(values, peer(close, volume, 20)) < 1e-10, name
    macd = indicator("macd").values(close)
    for column, theirs in enumerate(talib.MACD(close)):
        assert deviation(macd[:, column], theirs) < 1e-10


# -- golden values -------------------------------------------------------------------


def golden(folder: Path, name: str) -> pd.DataFrame:
    frame = pd.read_csv(folder / "indicators" / name)
    form = "%d-%b-%y" if name.endswith("_cs.csv") and "-" in str(frame["time"][0])[:3] else None
    frame["time"] = pd.to_datetime(frame["time"], format=form)
    if "open" not in frame:  # not told, and not used by the prices tested here
        frame["open"] = frame["close"]
    return frame.set_index("time")


GOLDEN: list[tuple[str, str, str, dict[str, Any], float, int]] = [
    # Index values written with seven digits, from closes that were rounded too.
    ("sma14_lean.csv", "exp_sma", "sma", {"length": 14}, 0.006, 487),
    ("ema14_lean.csv", "exp_ema", "ema", {"length": 14}, 0.006, 487),
    ("ema14_full_lean.csv", "exp_ema", "ema", {"length": 14}, 1e-9, 351),
    ("dema5_lean.csv", "exp_dema", "dema", {"length": 5}, 1e-9, 356),
    ("dema20_sk.csv", "exp_dema", "dema", {"length": 20, "seed": "mixed"}, 1e-9, 483),
    ("dema20_sk.csv", "exp_ema", "ema", {"length": 20}, 1e-9, 483),
    ("tema5_lean.csv", "exp_tema", "tema", {"length": 5}, 1e-9, 352),
    ("hma16_lean.csv", "exp_hma", "hma", {"length": 16}, 0.5e-7, 482),
    ("vwma20_lean.csv", "exp_vwma", "vwma", {"length": 20}, 1e-9, 481),
    ("macd_line_lean.csv", "exp_macd", "macd", {"seed": "own"}, 2e-4, 475),
    ("macd_lean.csv", "exp_macd", "macd", {}, 0.5e-5, 183),
    ("macd_lean.csv", "exp_signal", "macd", {}, 0.6e-5, 183),
    ("macd_lean.csv", "exp_hist", "macd", {}, 0.2e-5, 183),
    ("macd_cs.csv", "exp_macd", "macd", {"seed": "first"}, 0.5e-9, 123),
    ("vwap14_cs.csv", "exp_vwap", "vwap_rolling",
     {"length": 14, "price": "typical", "start": "partial"}, 1e-9, 30),
    ("vwap_anchor_sk.csv", "exp_vwap", "vwap_anchored", {"price": "typical"}, 1e-9, 391),
    ("vwap_anchor_sk.csv", "exp_vwap", "vwap_bands", {"price": "typical"}, 1e-9, 391),
]  # fmt: skip
COLUMN = {"exp_signal": 1, "exp_hist": 2}


@pytest.mark.parametrize(("file", "column", "name", "chosen", "tolerance", "count"), GOLDEN)
def test_golden_values(
    shared_data: Path,
    file: str,
    column: str,
    name: str,
    chosen: dict[str, Any],
    tolerance: float,
    count: int,
) -> None:
    frame = golden(shared_data, file)
    ours = indicator(name, **chosen).over(frame).to_numpy().reshape(len(frame), -1)
    theirs = frame[column].to_numpy()
    told = ~np.isnan(theirs)
    assert told.sum() == count
    assert np.abs(ours[told, COLUMN.get(column, 0)] - theirs[told]).max() <= tolerance * 1.001


def test_golden_values_that_began_before_their_file(shared_data: Path) -> None:
    """The first eight means knew closes that are not told; so did the first signals."""
    frame = golden(shared_data, "wma9_cs.csv")
    ours = indicator("wma", length=9).over(frame).to_numpy()
    told = frame["exp_wma"].to_numpy()
    assert np.isnan(ours[:8]).all()
    assert np.abs(ours - told)[8:].max() <= 0.5e-4 * 1.001
    frame = golden(shared_data, "macd_cs.csv")
    macd = indicator("macd", seed="first").over(frame)
    signal = (macd["signal"] - frame["exp_signal"]).abs()
    assert signal.iloc[-20:].max() < 1e-9


# -- exact references ----------------------------------------------------------------


def exact(close: Sequence[float], weights: Sequence[float], length: int) -> list[float]:
    x = [Fraction(value) for value in close]
    w = [Fraction(value) for value in weights]
    found = []
    for i in range(length - 1, len(x)):
        window = slice(i - length + 1, i + 1)
        total = sum(a * b for a, b in zip(x[window], w[window], strict=True))
        found.append(float(total / sum(w[window])))
    return found


@pytest.mark.parametrize("length", [1, 2, 5, 20, 63])
def test_windows_are_exact(length: int) -> None:
    close, volume = columns(300, ("close", "volume"), 5)
    close[100:200] *= 1e6
    ones = [1.0] * len(close)
    weighted = [
        exact(close[i - length + 1 : i + 1].tolist(), range(1, length + 1), length)[0]
        for i in range(length - 1, len(close))
    ]
    values = [
        (indicator("sma", length=length).values(close), exact(close.tolist(), ones, length)),
        (indicator("wma", length=length).values(close), weighted),
        (
            indicator("vwma", length=length).values(close, volume),
            exact(close.tolist(), volume.tolist(), length),
        ),
        (
            indicator("vwap_rolling", length=length).values(close * volume, volume, close, close),
            exact(close.tolist(), volume.tolist(), length),
        ),
    ]
    for ours, reference in values:
        np.testing.assert_allclose(ours[length - 1 :, 0], reference, rtol=2e-14)


@pytest.mark.parametrize("name", ["sma", "wma", "hma", "vwma", "vwap_rolling"])
def test_windows_forget_levels_they_have_left(name: str) -> None:
    """After a million rows of levels a million apart, values near the lower one are right."""
    rng = np.random.default_rng(3)
    n = 1_000_000
    low = np.arange(n) // 997 % 2 == 0
    close = np.where(low, 1.0, 1e6) + rng.random(n)
    volume = np.where(low, 1.0, 1e6)
    made = {"close": close, "volume": volume, "notional": close * volume}
    ours = indicator(name, length=20)
    given = [made.get(column, close) for column in ours.inputs]
    values = ours.values(*given)[:, 0]
    # A series that has never known the upper level, and begins with the last lower one.
    start = n - n % 997 if n // 997 % 2 == 0 else n - n % 997 - 997
    fresh = ours.values(*(column[start : start + 900] for column in given))[:, 0]
    told = ~np.isnan(fresh)
    np.testing.assert_allclose(values[start : start + 900][told], fresh[told], rtol=1e-13)


@pytest.mark.parametrize("kind", ["session", "week", "month"])
def test_bands_are_a_weighted_mean_and_deviation(kind: str) -> None:
    n = 2_000
    index = pd.date_range("2024-01-20", periods=n, freq="h", tz="UTC")
    close, volume, notional = columns(n, ("close", "volume", "notional"))
    frame = pd.DataFrame({"notional": notional, "volume": volume}, index=index)
    for name in ("open", "high", "low", "close"):
        frame[name] = close
    ours = indicator("vwap_bands", multiplier=1.5, period=kind).over(frame)
    naive = index.tz_localize(None)
    group = {"session": naive.date, "week": naive.to_period("W"), "month": naive.to_period("M")}
    wanted = np.empty((n, 3))
    keys = pd.Series(group[kind])
    for rows in keys.groupby(keys).groups.values():
        for last in rows:
            part = slice(rows[0], last + 1)
            v = volume[part]
            price = notional[part] / v
            middle = float((price * v).sum() / v.sum())
            width = 1.5 * math.sqrt(float((v * (price - middle) ** 2).sum() / v.sum()))
            wanted[last] = middle, middle + width, middle - width
    np.testing.assert_allclose(ours.to_numpy(), wanted, rtol=1e-12)


def test_the_bands_middle_is_the_vwap_bit_for_bit() -> None:
    given = columns(500, ("session", "notional", "volume", "hlc3", "ohlc4"))
    middle = indicator("vwap_bands").values(*given)[:, 0].copy()
    assert middle.tobytes() == indicator("vwap").values(*given[:3])[:, 0].tobytes()


def test_an_anchor_begins_the_mean() -> None:
    ours = indicator("vwap_anchored", anchor="2023-12-10 04:00")
    given = columns(200, ours.inputs)
    values = ours.values(*given)[:, 0]
    assert np.isnan(values[:52]).all()
    notional, volume = given[1][52:], given[2][52:]
    np.testing.assert_allclose(values[52:], notional.cumsum() / volume.cumsum(), rtol=1e-14)
    assert ours.label == "VWAP_ANCHORED 2023-12-10 04:00:00"


# -- bits ----------------------------------------------------------------------------


@pytest.mark.parametrize("ours", all_of_them(), ids=repr)
def test_any_split_gives_the_same_bits(ours: Indicator) -> None:
    given = columns(1_000, ours.inputs)
    whole = ours.values(*given)
    rng = np.random.default_rng(2)
    for step in (1, 7, 20, 130):
        run = ours.start()
        cuts = [0, *np.cumsum(rng.integers(1, 2 * step + 1, 1_000 // step + 1)).tolist()]
        parts = [
            run.columns([column[a : min(b, 1_000)] for column in given])
            for a, b in pairwise(cuts)
            if a < 1_000
        ]
        rest = run.columns([column[run.count :] for column in given])
        assert np.vstack([*parts, rest]).tobytes() == whole.tobytes()


@pytest.mark.parametrize("name", ["ema", "rma", "dema"])
def test_means_of_a_series_that_stands_still_become_its_value(name: str) -> None:
    """Else they would stay some last bits off, by how many would depend on where they began."""
    close = np.concatenate([columns(500, ("close",))[0], np.full(3_000, 100.1)])
    values = indicator(name, length=20).values(close)[:, 0]
    assert (values[-500:] == 100.1).all()


LONG: list[tuple[str, dict[str, Any]]] = [
    ("ema", {"length": 5}),
    ("rma", {"length": 3}),
    ("dema", {"length": 5}),
    ("tema", {"length": 5}),
    ("t3", {"length": 3}),
    ("trix", {"length": 5}),
    ("macd", {"fast": 2, "slow": 5, "signal": 3}),
    ("kama", {"length": 5}),
]


@pytest.mark.parametrize("shape", ["walk", "constant", "steps", "zeros at last", "two prices"])
@pytest.mark.parametrize(("name", "chosen"), LONG, ids=[name for name, _ in LONG])
def test_long_columns_cut_into_parts_give_the_same_bits(
    name: str, chosen: dict[str, Any], shape: str
) -> None:
    """Also where the parts do not meet, as on prices that never move."""
    n = 150_000 if name == "kama" else 40_000
    close = prices(n)
    if shape == "constant":
        close[1_000:] = 0.1
    elif shape == "steps":
        close = np.where(np.arange(n) // 9_000 % 2, 1e6 / 3.0, 0.7)
    elif shape == "zeros at last":
        close[n // 4 :] = 0.0
    elif shape == "two prices":
        close = np.where(np.arange(n) % 2 == 0, 100.0, 100.01)
    ours = indicator(name, **chosen)
    whole = ours.values(close)
    run = ours.start()
    pieces = [run.columns([close[a : a + 3_001]]) for a in range(0, n, 3_001)]
    assert np.vstack(pieces).tobytes() == whole.tobytes()


@pytest.mark.parametrize("period", [2, 3, 7, 11])
@pytest.mark.parametrize("name", ["ema", "rma", "dema", "rsi"])
def test_prices_that_come_again_and_again_give_the_same_bits_however_cut(
    name: str, period: int
) -> None:
    """Means stay in a circle a few last bits from others; parts are cut anew in between."""
    n = 700_000
    close = prices(n)
    close[200_000:] = prices(period)[np.arange(n - 200_000) % period]
    ours = indicator(name, length=14)
    whole = ours.values(close)
    run = ours.start()
    pieces = [run.columns([close[a : a + 20_001]]) for a in range(0, n, 20_001)]
    assert np.vstack(pieces).tobytes() == whole.tobytes()


def digest() -> str:
    """Hash the values of all indicators here on a short series."""
    found = hashlib.sha256()
    for ours in all_of_them():
        given = columns(210, ours.inputs, 9)
        found.update(ours.values(*given).tobytes())
        run = ours.start()
        found.update(run.columns([column[:77] for column in given]).tobytes())
        found.update(run.columns([column[77:] for column in given]).tobytes())
    for name, chosen in LONG:
        if name in ("ema", "macd"):
            found.update(indicator(name, **chosen).values(prices(12_000)).tobytes())
    return found.hexdigest()


def test_plain_python_gives_the_same_bits() -> None:
    code = "from tests.unit.test_indicators_averages import digest; print(digest())"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "NUMBA_DISABLE_JIT": "1", "PYTHONPATH": os.pathsep.join(sys.path)},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == digest()


# -- warm-up, edges ------------------------------------------------------------------


@pytest.mark.parametrize("ours", all_of_them(), ids=repr)
def test_warm_up_is_what_it_says(ours: Indicator) -> None:
    values = ours.values(*columns(400, ours.inputs))
    ready = ~np.isnan(values).any(axis=1)
    assert ready.argmax() == ours.warmup
    assert ready[ours.warmup :].all()
    short = ours.values(*(column[: ours.warmup] for column in columns(400, ours.inputs)))
    assert not (~np.isnan(short)).all(axis=1).any()


@pytest.mark.parametrize("value", [0.0, 0.1, -3.0, 1e-12, 1e12])
@pytest.mark.parametrize("ours", all_of_them(), ids=repr)
def test_a_price_that_never_moves(ours: Indicator, value: float) -> None:
    made = {"volume": np.full(300, 7.0), "notional": np.full(300, 7.0 * value)}
    like = columns(300, ours.inputs)
    given = [
        column if column.dtype == np.int64 else made.get(name, np.full(300, value))
        for name, column in zip(ours.inputs, like, strict=True)
    ]
    values = ours.values(*given)[ours.warmup :]
    wanted = np.full_like(values, value)
    if ours.spec.name in ("trix", "macd"):
        wanted[...] = 0.0
    np.testing.assert_allclose(values, wanted, rtol=1e-13, atol=1e-13 * abs(value))


@pytest.mark.parametrize("name", ["vwma", "vwap_bands", "vwap_rolling", "vwap_anchored"])
def test_without_volume_there_is_no_value(name: str) -> None:
    ours = indicator(name)
    made = {"volume": np.zeros(50), "notional": np.zeros(50)}
    like = zip(ours.inputs, columns(50, ours.inputs), strict=True)
    assert np.isnan(ours.values(*(made.get(key, column) for key, column in like))).all()


@pytest.mark.parametrize("name", ["ema", "rma", "dema", "tema", "t3", "kama", "trix", "macd"])
def test_what_decays_ends_at_zero(name: str) -> None:
    """Means of a series that became zero never stay among the numbers that are slow to add."""
    close = np.zeros(150_000)
    close[:200] = prices(200)
    values = np.abs(indicator(name).values(close)[200:])
    assert not (values[-10_000:] != 0.0).any()
    tiny = (values > 0.0) & (values < np.finfo(float).tiny)
    assert tiny.sum() < 300


def test_lengths_and_choices_that_are_none() -> None:
    with pytest.raises(ConfigError, match="fast must be below slow, not 26 and 12"):
        indicator("macd", fast=26, slow=12)
    with pytest.raises(ConfigError, match="fast must be below slow"):
        indicator("kama", fast=30)
    with pytest.raises(ConfigError, match="seed must be one of sma, first, not 'firts'; did you"):
        indicator("ema", seed="firts")
    with pytest.raises(ConfigError, match="length must be a whole number from 2"):
        indicator("kama", length=1)


def test_names_tell_choices_only_where_they_were_made() -> None:
    plain, other = indicator("ema", length=5), indicator("ema", length=5, seed="first")
    assert (plain.label, plain.keys, repr(plain)) == ("EMA 5", ("ema_5",), "ema(length=5)")
    assert (other.label, other.keys) == ("EMA 5 first", ("ema_5_first",))
    assert repr(other) == "ema(length=5, seed='first')"
    assert plain != other
    assert indicator("macd").label == "MACD 12 26 9"
    assert indicator("macd").keys[1] == "macd_12_26_9_signal"
    assert indicator("vwap_bands").label == "VWAP_BANDS 2"
