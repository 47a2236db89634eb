"""Levels of a period from the one before: kernels `fn(p, s, bars, out)` (see `averages`)."""

from __future__ import annotations

import numba as nb
import numpy as np

__all__ = ["PIVOTS", "pivots"]

#: `high` and such are of the period under way; `levels` holds those in force, one a row.
PIVOTS = [
    ("period", "i8"), ("known", "i8"), ("high", "f8"), ("low", "f8"), ("close", "f8"),
    ("levels", "f8"),
]  # fmt: skip

#: Pivot, four resistances, four supports.
LEVELS = 9


@nb.njit(cache=True, nogil=True)
def fill(levels, method, high, low, close, opened):
    """Set the levels from a period's high, low and close and the next one's open.

    Methods: 0 classic, 1 Fibonacci, 2 Camarilla, 3 Woodie.
    """
    reach = high - low
    pivot = (high + low + close) / 3.0
    if method == 3:
        pivot = (high + low + 2.0 * opened) / 4.0
    levels[0] = pivot
    levels[4] = np.nan
    levels[8] = np.nan
    if method == 1:
        levels[1] = pivot + 0.382 * reach
        levels[2] = pivot + 0.618 * reach
        levels[3] = pivot + reach
        levels[5] = pivot - 0.382 * reach
        levels[6] = pivot - 0.618 * reach
        levels[7] = pivot - reach
    elif method == 2:
        for k in range(4):
            part = 12.0 if k == 0 else 6.0 if k == 1 else 4.0 if k == 2 else 2.0
            levels[1 + k] = close + 1.1 * reach / part
            levels[5 + k] = close - 1.1 * reach / part
    else:
        levels[1] = 2.0 * pivot - low
        levels[2] = pivot + reach
        levels[3] = high + 2.0 * (pivot - low)
        levels[5] = 2.0 * pivot - high
        levels[6] = pivot - reach
        levels[7] = low - 2.0 * (high - pivot)


@nb.njit(cache=True, nogil=True)
def pivots(p, s, bars, out):
    """Levels of the period under way; NaN in the first, which has none before it."""
    kind = p["period"]
    column = bars.session if kind == 0 else bars.week if kind == 1 else bars.month
    period = s[0]["period"]
    known = s[0]["known"]
    high, low, close = s[0]["high"], s[0]["low"], s[0]["close"]
    levels = s["levels"]
    for i in range(len(column)):
        h = bars.high[i]
        lo = bars.low[i]
        # Periods are counted from 1: a fresh state belongs to none.
        if column[i] != period:
            if period != 0:
                known = 1
                fill(levels, p["method"], high, low, close, bars.open[i])
            period = column[i]
            high = h
            low = lo
        else:
            high = h if h > high else high
            low = lo if lo < low else low
        close = bars.close[i]
        for k in range(LEVELS):
            out[i, k] = levels[k] if known == 1 else np.nan
    s[0]["period"] = period
    s[0]["known"] = known
    s[0]["high"], s[0]["low"], s[0]["close"] = high, low, close
