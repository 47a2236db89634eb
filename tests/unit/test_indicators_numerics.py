"""What every indicator makes of odd numbers: constant, zero, tiny, huge, and far jumps."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from workbench.analytics.catalogue import BUILT_IN, CATALOGUE
from workbench.analytics.configured import Indicator
from workbench.analytics.inputs import WHOLE
from workbench.analytics.run import Runs
from workbench.records import BAR

Floats = npt.NDArray[np.float64]
Columns = list[npt.NDArray[np.generic]]

NAMES = sorted(BUILT_IN)

ROWS = 1_500

#: Some whose values are those of a window, as `finite_memory` must find.
WINDOWS = {"sma", "linreg", "forecast", "slope", "variance", "zscore", "correlation", "beta"}


def prices(close: Floats, reach: float = 0.01) -> dict[str, Floats]:
    """Return columns of bars around closes, some part of them high."""
    n = len(close)
    rng = np.random.default_rng(20)
    up, down = 1.0 + reach * rng.random(n), 1.0 - reach * rng.random(n)
    opening = np.concatenate([close[:1], close[:-1]])
    high, low = np.maximum(opening, close) * up, np.minimum(opening, close) * down
    volume = np.abs(close) * (1.0 + rng.random(n))
    made = {"open": opening, "high": high, "low": low, "close": close, "volume": volume}
    typical = (high + low + close) / 3.0
    return made | {
        "vwap": typical,
        "hl2": (high + low) / 2.0,
        "hlc3": typical,
        "ohlc4": (opening + high + low + close) / 4.0,
        "notional": typical * volume,
    }


def columns(chosen: Indicator, table: dict[str, Floats]) -> Columns:
    """Return the columns an indicator reads: sessions of 390 bars, weeks of 5, months of 21."""
    n = len(table["close"])
    row = np.arange(n)
    whole = {
        "session": row // 390 + 1,
        "week": row // 1950 + 1,
        "month": row // 8190 + 1,
        "time": row * 60_000_000_000 + 1_700_000_000_000_000_000,
        "count": np.ones(n, np.int64),
        "revision": np.zeros(n, np.int64),
    }
    assert set(whole) == set(WHOLE)
    found: Columns = []
    for name in chosen.inputs:
        found.append(whole[name] if name in whole else table.get(name, table["close"]))
    return found


def walk(n: int, seed: int = 21) -> Floats:
    return 100.0 + np.cumsum(np.random.default_rng(seed).normal(0.0, 0.05, n))


def settled(name: str, table: dict[str, Floats]) -> tuple[Indicator, Floats]:
    """Return an indicator and its values after the warm-up."""
    chosen = Indicator(CATALOGUE[name])
    values = chosen.values(*columns(chosen, table))
    return chosen, values[chosen.warmup :]


@pytest.mark.parametrize("value", [0.0, 0.1, 1e15], ids=["zero", "tenth", "huge"])
@pytest.mark.parametrize("name", NAMES)
def test_constant_bars_have_values(name: str, value: float) -> None:
    close = np.full(ROWS, value)
    chosen, values = settled(name, prices(close, 0.0))
    assert len(values) > 0
    assert not np.isinf(values).any()
    if not chosen.spec.gaps:
        assert not np.isnan(values).any()


@pytest.mark.parametrize("scale", [1e-15, 1e13], ids=["small", "large"])
@pytest.mark.parametrize("name", NAMES)
def test_any_unit_of_price_has_values(name: str, scale: float) -> None:
    chosen, values = settled(name, prices(walk(ROWS) * scale))
    if not chosen.spec.gaps:
        assert np.isfinite(values).all()


@pytest.mark.parametrize("scale", [1e-302, 5e-324, 1e298, 1.5e306], ids=str)
@pytest.mark.parametrize("name", NAMES)
def test_the_ends_of_the_range_of_floats_do_not_raise(name: str, scale: float) -> None:
    """Squares of such numbers are zero or infinite, so values may be; nothing stays behind."""
    with np.errstate(over="ignore"):
        table = prices(walk(400) * scale)
    table = {key: np.nan_to_num(column, posinf=1.7e308) for key, column in table.items()}
    settled(name, table)


@pytest.mark.parametrize("name", NAMES)
def test_prices_below_zero_do_not_raise(name: str) -> None:
    close = np.random.default_rng(22).normal(size=400)
    settled(name, prices(close))


# -- windows -------------------------------------------------------------------------


def afresh(chosen: Indicator, given: Columns, row: int, size: int) -> Floats:
    """Return the values in a row when nothing before its last `size` rows was seen."""
    values: Floats = chosen.values(*[column[row - size + 1 : row + 1] for column in given])[-1]
    return values


def finite_memory(chosen: Indicator, given: Columns, values: Floats, size: int) -> bool:
    """Tell whether the values are those of the last `size` rows alone, wherever one looks."""
    for row in (300, 431, 577, 1_049, 1_100):
        fresh = afresh(chosen, given, row, size)
        if not np.allclose(fresh, values[row], rtol=1e-6, atol=1e-9, equal_nan=True):
            return False
    return True


def jumps(n: int) -> Floats:
    """Return closes that leave their level by a million, and come back, all the time."""
    rng = np.random.default_rng(23)
    steps = np.repeat(rng.integers(0, 2, n // 1_000 + 1), 1_000)[:n]
    return walk(n) + steps * 1e6


@pytest.mark.parametrize("name", NAMES)
def test_windows_forget_what_has_left_them(name: str) -> None:
    """After 1e6 rows full of jumps a value is, to 1e-9, that of its window seen alone."""
    chosen = Indicator(CATALOGUE[name])
    size = chosen.warmup + 1
    calm = columns(chosen, prices(walk(ROWS)))
    windowed = size <= 290 and finite_memory(chosen, calm, chosen.values(*calm), size)
    if name in WINDOWS:
        assert windowed
    if not windowed:
        pytest.skip("its values are not those of a window alone")
    n = 1_000_000
    given = columns(chosen, prices(jumps(n)))
    values = chosen.values(*given)
    # Soon after a place where a jump may have left the window, before sums are made anew.
    near = [999_000 + size + k for k in (1, 7, 40)]
    rows = np.array([*near, *(row - 5_000 for row in near), 500_500, 777_777, n - 1])
    fresh = np.array([afresh(chosen, given, row, size) for row in rows])
    floor = 1e-3 * np.median(np.abs(fresh), axis=0) + 1e-12
    off = np.abs(values[rows] - fresh) / np.maximum(np.abs(fresh), floor)
    assert np.array_equal(np.isnan(values[rows]), np.isnan(fresh))
    assert np.nan_to_num(off).max() < 1e-9


@pytest.mark.parametrize("name", sorted(CATALOGUE))
def test_numbers_too_near_to_zero_are_read_as_zero(name: str) -> None:
    chosen = Indicator(CATALOGUE[name])
    bars = np.zeros(400, BAR)
    bars["time"] = np.arange(len(bars)) * 60_000_000_000
    close = 100.0 + np.cumsum(np.random.default_rng(6).normal(0.0, 0.05, len(bars)))
    near = np.where(np.arange(len(bars)) % 7 == 3, 1e-310, 1.0)
    near[5::7] = -0.0  # a zero, and it keeps its sign
    none = np.where(near == 1e-310, 0.0, near)
    asked = [bars.copy(), bars.copy()]
    for rows, part in zip(asked, (near, none), strict=True):
        for column in ("open", "high", "low", "close", "volume", "vwap", "notional"):
            rows[column] = np.where(part < 1.0, part, close)
    want = chosen.ready.table(asked[1])
    assert chosen.ready.table(asked[0]).tobytes() == want.tobytes()
    for step in (1, 130):
        runs = Runs([chosen])
        parts = [runs.add(asked[0][at : at + step]) for at in range(0, len(bars), step)]
        assert np.concatenate(parts).tobytes() == want.tobytes()
