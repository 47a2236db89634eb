"""Bars of both sides, beside each other, and in which fields they agree."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from workbench.bars.conditions import HIGHLOW, RESTRICTED, VOLUME
from workbench.bars.tapebars import tape_bars
from workbench.records import CANCELLED, Rows
from workbench.timeframes import Timeframe

__all__ = [
    "DIFFERS",
    "EQUAL",
    "FIELDS",
    "ROUNDED",
    "Grid",
    "agreement",
    "built",
    "grid",
    "values",
]

#: What is compared of a bar.
FIELDS = ("open", "high", "low", "close", "volume", "vwap", "count")
DIFFERS, ROUNDED, EQUAL = 0, 1, 2
#: Fields that a provider may tell rounded, from this many decimals on.
_ROUNDED_FIELDS = (4, 5)
_DECIMALS = range(4, 11)
#: Largest part of a value that rounding, and that arithmetic of floats, may change.
_ROUNDING, _ARITHMETIC = 1e-4, 1e-12

_Floats = npt.NDArray[np.float64]
_Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """Bars of both sides by their starts; NaN where a side has none.

    Attributes
    ----------
    starts : int64 array
        Starts of the bars that either side has, ns UTC, in order.
    own, theirs : float64 array, shape (bars, fields)
    told : bool array, shape (bars, fields)
        Whether the provider tells a field at all.
    """

    starts: npt.NDArray[np.int64]
    own: _Floats
    theirs: _Floats
    told: _Mask

    def __len__(self) -> int:
        return len(self.starts)


def built(trades: Rows, allowed: npt.NDArray[np.uint8], tf: Timeframe) -> Rows:
    """Return the bars of trades that may set what `allowed` tells, by the rules of the tape.

    Parameters
    ----------
    trades : array of TRADE
        Of one symbol.
    allowed : uint8 array
        Sums of LAST, HIGHLOW and VOLUME.
    tf : Timeframe

    Examples
    --------
    >>> from workbench.records import TRADE
    >>> from workbench.timeframes import timeframe
    >>> trades = np.zeros(2, TRADE)
    >>> trades["price"], trades["size"] = [9.0, 10.0], 1.0
    >>> built(trades, np.array([4, 7], np.uint8), timeframe("1m"))["volume"].tolist()
    [2.0]
    """
    clear = np.where(allowed & HIGHLOW, allowed, allowed & VOLUME).astype(np.uint8)
    rows = trades.copy()
    # What the caller gives counts here, taken back or not.
    rows["flags"] &= np.uint8(255 ^ (RESTRICTED | CANCELLED))
    rows["flags"] |= (~clear & np.uint8(7)) << 1
    return tape_bars(rows, tf)[0]


def values(bars: Rows, starts: npt.NDArray[np.int64]) -> _Floats:
    """Return the fields of bars at given starts, NaN where there is no bar.

    Parameters
    ----------
    bars : array of BAR
        Of one symbol, in order of time.
    starts : int64 array
    """
    found = np.full((len(starts), len(FIELDS)), np.nan)
    if not len(bars):
        return found
    places = np.minimum(np.searchsorted(bars["time"], starts), len(bars) - 1)
    held = bars["time"][places] == starts
    for column, name in enumerate(FIELDS):
        found[held, column] = bars[name][places[held]]
    return found


def grid(own: Rows, theirs: Rows) -> Grid:
    """Put the bars of both sides beside each other.

    A provider's bar that counts no trade, though it has volume, tells no count; if its vwap is
    the typical price besides, that was filled in and is not compared either.

    Parameters
    ----------
    own, theirs : array of BAR
        Of one symbol and timeframe, in order of time.
    """
    starts = np.union1d(own["time"], theirs["time"])
    mine, other = values(own, starts), values(theirs, starts)
    told = np.ones(other.shape, np.bool_)
    told[:, 6] = ~((other[:, 6] == 0) & (other[:, 4] > 0))
    typical = (other[:, 1] + other[:, 2] + other[:, 3]) / 3
    told[:, 5] = told[:, 6] | (other[:, 5] != typical)
    return Grid(starts, mine, other, told)


def agreement(own: _Floats, theirs: _Floats, told: _Mask) -> npt.NDArray[np.int8]:
    """Return for each field whether it is EQUAL, equal but for rounding (ROUNDED), or DIFFERS.

    Prices may differ by what arithmetic does to the last bits; volume and vwap also by being
    told with four decimals or more. Where both sides have no bar, all is equal.

    Parameters
    ----------
    own, theirs : float64 array, shape (bars, fields)
    told : bool array of that shape

    Examples
    --------
    >>> bar = np.array([[10.0, 11.0, 9.0, 10.5, 300.0, 10.123456, 3.0]])
    >>> other = np.array([[10.0, 11.5, 9.0, 10.5, 300.0, 10.1235, 3.0]])
    >>> agreement(bar, other, np.ones(bar.shape, bool)).tolist()
    [[2, 0, 2, 2, 2, 1, 2]]
    """
    found = np.zeros(own.shape, np.int8)
    with np.errstate(invalid="ignore"):
        gap = np.abs(own - theirs)
        size = np.maximum(np.abs(own), np.abs(theirs))
        found[:, :6][gap[:, :6] <= _ARITHMETIC * size[:, :6]] = ROUNDED
        for column in _ROUNDED_FIELDS:
            for decimals in _DECIMALS:
                short: _Mask = np.round(theirs[:, column], decimals) == theirs[:, column]
                short &= gap[:, column] <= 0.5 * 10.0**-decimals * (1 + 1e-6)
                short &= gap[:, column] <= _ROUNDING * size[:, column]
                found[short, column] = ROUNDED
    found[own == theirs] = EQUAL
    none = np.isnan(own[:, 0])
    found[none & np.isnan(theirs[:, 0])] = EQUAL
    found[~told & ~none[:, None]] = EQUAL
    return found
