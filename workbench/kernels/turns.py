"""Turning points of prices: kernels `fn(p, s, bars, out)` (see `averages` for the form).

A point is told on the bar that confirms it, never on the bar it was at.
"""

from __future__ import annotations

import numba as nb
import numpy as np

__all__ = ["FRACTALS", "ZIGZAG", "fractals", "zigzag"]

#: `high_at` and such count bars from 0; `leg` is 1 while a top is looked for, -1 for a bottom.
ZIGZAG = [
    ("count", "i8"), ("leg", "i8"), ("high", "f8"), ("high_at", "i8"), ("low", "f8"),
    ("low_at", "i8"), ("point", "f8"), ("point_at", "i8"), ("side", "f8"),
]  # fmt: skip
FRACTALS = [("count", "i8"), ("high", "f8"), ("low", "f8")]


@nb.njit(cache=True, nogil=True)
def zigzag(p, s, bars, out):
    """The last confirmed turn of prices: its price, 1 for a top or -1, and bars since it."""
    by_close = p["by"] == 1
    change = p["percent"] / 100.0
    count = s[0]["count"]
    leg = s[0]["leg"]
    top, top_at = s[0]["high"], s[0]["high_at"]
    bottom, bottom_at = s[0]["low"], s[0]["low_at"]
    point, point_at, side = s[0]["point"], s[0]["point_at"], s[0]["side"]
    for i in range(len(bars.close)):
        h = bars.close[i] if by_close else bars.high[i]
        lo = bars.close[i] if by_close else bars.low[i]
        if count == 0:
            top, bottom = h, lo
        # How far beyond the change that confirms a turn prices are; above zero, or just there.
        fall = top - lo
        rise = h - bottom
        turned_down = fall > 0.0 and fall >= change * abs(top)
        turned_up = rise > 0.0 and rise >= change * abs(bottom)
        if leg == 0:
            if turned_up and turned_down:
                turned_up = rise * abs(top) > fall * abs(bottom)
                turned_down = not turned_up
            if not (turned_up or turned_down):
                if h >= top:
                    top, top_at = h, count
                if lo <= bottom:
                    bottom, bottom_at = lo, count
        elif leg > 0:
            turned_up = False
            if h >= top:
                top, top_at = h, count
                turned_down = False
        else:
            turned_down = False
            if lo <= bottom:
                bottom, bottom_at = lo, count
                turned_up = False
        if turned_down:
            point, point_at, side = top, top_at, 1.0
            leg = -1
            bottom, bottom_at = lo, count
        elif turned_up:
            point, point_at, side = bottom, bottom_at, -1.0
            leg = 1
            top, top_at = h, count
        known = leg != 0
        out[i, 0] = point if known else np.nan
        out[i, 1] = side if known else np.nan
        out[i, 2] = np.float64(count - point_at) if known else np.nan
        count += 1
    s[0]["count"] = count
    s[0]["leg"] = leg
    s[0]["high"], s[0]["high_at"] = top, top_at
    s[0]["low"], s[0]["low_at"] = bottom, bottom_at
    s[0]["point"], s[0]["point_at"], s[0]["side"] = point, point_at, side


@nb.njit(cache=True, nogil=True)
def before(column, ring, i, first):
    """Return the `i`-th value of a call; one before the call, below 0, is in the ring."""
    return column[i] if i >= 0 else ring[(first + i) % len(ring)]


@nb.njit(cache=True, nogil=True)
def early_peak(column, ring, middle, length, first, sign):
    """Tell what `is_peak` does, of a value whose neighbours may be before the call."""
    value = sign * before(column, ring, middle, first)
    for k in range(1, length + 1):
        if sign * before(column, ring, middle - k, first) >= value:
            return False
        if sign * before(column, ring, middle + k, first) >= value:
            return False
    return True


@nb.njit(cache=True, nogil=True)
def is_peak(column, middle, length, sign):
    """Tell whether a value times `sign` is more than `length` values on each side.

    Neighbours are looked at first: most bars are done then, and all of them together cost no
    more than the logarithm of the length for each.
    """
    value = sign * column[middle]
    for k in range(1, length + 1):
        if (sign * column[middle - k] >= value) | (sign * column[middle + k] >= value):
            return False
    return True


@nb.njit(cache=True, nogil=True)
def fractals(p, s, bars, out):
    """A high above, and a low below, those of `length` bars on either side; else NaN."""
    length = p["length"]
    high = bars.high
    low = bars.low
    highs = s["high"]
    lows = s["low"]
    first = s[0]["count"]
    n = len(high)
    early = min(n, 2 * length)
    for i in range(early):
        out[i, 0] = np.nan
        out[i, 1] = np.nan
        if first + i >= 2 * length:
            middle = i - length
            if early_peak(high, highs, middle, length, first, 1.0):
                out[i, 0] = before(high, highs, middle, first)
            if early_peak(low, lows, middle, length, first, -1.0):
                out[i, 1] = before(low, lows, middle, first)
    for i in range(early, n):
        middle = i - length
        out[i, 0] = high[middle] if is_peak(high, middle, length, 1.0) else np.nan
        out[i, 1] = low[middle] if is_peak(low, middle, length, -1.0) else np.nan
    # What calls to come look back on.
    slots = len(highs)
    for i in range(max(0, n - slots), n):
        highs[(first + i) % slots] = high[i]
        lows[(first + i) % slots] = low[i]
    s[0]["count"] = first + n
