"""Spread and relation of the last values: kernels `fn(p, s, bars, out)` (see `averages`).

Sums are kept as `window` tells: about a level near the values, and made anew before they drift.
"""

from __future__ import annotations

import math

import numba as nb
import numpy as np

from workbench.kernels.window import ANCHOR, LOST, keep, plain_sums, products

__all__ = [
    "BETA", "PAIR", "SPREAD", "beta", "correlation", "covariance", "variance", "zscore",
]  # fmt: skip

#: `level` is the reference of the sums; `left` counts down to their renewal, `peak` is the
#: largest sum of squares since the last one.
SPREAD = [
    ("count", "i8"), ("place", "i8"), ("left", "i8"), ("level", "f8"), ("peak", "f8"),
    ("sum", "f8"), ("squares", "f8"), ("ring", "f8"),
]  # fmt: skip
PAIR = [
    ("count", "i8"), ("place", "i8"), ("left", "i8"),
    ("x_level", "f8"), ("x_peak", "f8"), ("x_sum", "f8"), ("xx", "f8"),
    ("y_level", "f8"), ("y_peak", "f8"), ("y_sum", "f8"), ("yy", "f8"),
    ("xy", "f8"), ("x_ring", "f8"), ("y_ring", "f8"),
]  # fmt: skip
BETA = [*PAIR, ("x_last", "f8"), ("y_last", "f8")]

#: Prices below this count as zero, as in TA-Lib.
ZERO = 1e-14


@nb.njit(cache=True, nogil=True)
def _moved(x, old, part, left, peak, total, squares):
    """Move the sums on by a value; return them and the squared deviations from the mean."""
    total += x - old
    squares += x * x - old * old
    peak = squares if squares > peak else peak
    spread = squares - total * total * part
    left = left - 1 if spread >= LOST * peak else 0
    return left, peak, total, squares, spread


@nb.njit(cache=True, nogil=True)
def _spread(s, column, line, length, kind, scale):
    """Write the squared deviations times `scale` (kind 0), or how many of them the last is off.

    A deviation of kind 1 is the root of the squared deviations times `scale`.
    """
    ring = s["ring"]
    n = len(column)
    count, place, left = s[0]["count"], s[0]["place"], s[0]["left"]
    level, peak, total, squares = s[0]["level"], s[0]["peak"], s[0]["sum"], s[0]["squares"]
    part = 1.0 / length
    first = min(n, max(0, length - 1 - count))
    line[:first] = np.nan
    for i in range(first, n):
        x = column[i]
        spread = 0.0
        if left > 0:
            at = place + i
            at = at if at < length else at - length
            old = column[i - length] if i >= length else ring[at]
            left, peak, total, squares, spread = _moved(
                x - level, old - level, part, left, peak, total, squares
            )
        if left == 0:
            level, total, squares = plain_sums(ring, column, place, length, i)
            spread = squares - total * total * part
            peak = squares
            left = max(ANCHOR, length)
        spread = 0.0 if spread < 0.0 else spread
        if kind == 0:
            line[i] = spread * scale
        else:
            away = math.sqrt(spread * scale)
            line[i] = ((x - level) - total * part) / away if away > 0.0 else 0.0
    s[0]["place"] = keep(ring, column, place, length)
    s[0]["count"], s[0]["left"] = count + n, left
    s[0]["level"], s[0]["peak"], s[0]["sum"], s[0]["squares"] = level, peak, total, squares


@nb.njit(cache=True, nogil=True)
def variance(p, s, bars, out):
    """Mean squared deviation from the mean; over `length` less `ddof`."""
    length = p["length"]
    free = length - p["ddof"]
    scale = 1.0 / free if free > 0 else 0.0
    _spread(s, bars.close, out.reshape(len(out)), length, 0, scale)


@nb.njit(cache=True, nogil=True)
def zscore(p, s, bars, out):
    """How many standard deviations the last value is from the mean; 0 if there is no spread."""
    length = p["length"]
    free = length - p["ddof"]
    scale = 1.0 / free if free > 0 else 0.0
    _spread(s, bars.close, out.reshape(len(out)), length, 1, scale)


@nb.njit(cache=True, nogil=True)
def _relation(s, xs, ys, line, length, wait, kind, scale):
    """Write what two columns have in common: correlation (0), covariance (1) or slope (2).

    `scale` is that of a covariance; `wait` tells how many rows pass before the window counts.
    """
    x_ring, y_ring = s["x_ring"], s["y_ring"]
    n = len(xs)
    count, place, left = s[0]["count"], s[0]["place"], s[0]["left"]
    x_level, x_peak, x_sum, xx = s[0]["x_level"], s[0]["x_peak"], s[0]["x_sum"], s[0]["xx"]
    y_level, y_peak, y_sum, yy = s[0]["y_level"], s[0]["y_peak"], s[0]["y_sum"], s[0]["yy"]
    xy = s[0]["xy"]
    part = 1.0 / length
    first = min(n, max(0, length - 1 + wait - count))
    line[:first] = np.nan
    for i in range(first, n):
        x_spread = 0.0
        y_spread = 0.0
        if left > 0:
            at = place + i
            at = at if at < length else at - length
            x_old = (xs[i - length] if i >= length else x_ring[at]) - x_level
            y_old = (ys[i - length] if i >= length else y_ring[at]) - y_level
            x = xs[i] - x_level
            y = ys[i] - y_level
            xy += x * y - x_old * y_old
            over, x_peak, x_sum, xx, x_spread = _moved(x, x_old, part, left, x_peak, x_sum, xx)
            left, y_peak, y_sum, yy, y_spread = _moved(y, y_old, part, left, y_peak, y_sum, yy)
            left = min(left, over)
        if left == 0:
            x_level, x_sum, xx = plain_sums(x_ring, xs, place, length, i)
            y_level, y_sum, yy = plain_sums(y_ring, ys, place, length, i)
            xy = products(x_ring, y_ring, xs, ys, place, length, i, x_level, y_level)
            x_spread = xx - x_sum * x_sum * part
            y_spread = yy - y_sum * y_sum * part
            x_peak = xx
            y_peak = yy
            left = max(ANCHOR, length)
        shared = xy - x_sum * y_sum * part
        if kind == 0:
            both = math.sqrt(x_spread) * math.sqrt(y_spread) if x_spread > 0.0 < y_spread else 0.0
            r = shared / both if both > 0.0 else 0.0
            r = 1.0 if r > 1.0 else r
            line[i] = -1.0 if r < -1.0 else r
        elif kind == 1:
            line[i] = shared * scale
        else:
            line[i] = shared / x_spread if x_spread > 0.0 else 0.0
    keep(x_ring, xs, place, length)
    s[0]["place"] = keep(y_ring, ys, place, length)
    s[0]["count"], s[0]["left"], s[0]["xy"] = count + n, left, xy
    s[0]["x_level"], s[0]["x_peak"], s[0]["x_sum"], s[0]["xx"] = x_level, x_peak, x_sum, xx
    s[0]["y_level"], s[0]["y_peak"], s[0]["y_sum"], s[0]["yy"] = y_level, y_peak, y_sum, yy


@nb.njit(cache=True, nogil=True)
def correlation(p, s, bars, out):
    """Pearson's correlation of two columns, -1 to 1; 0 if one has no spread."""
    line = out.reshape(len(out))
    _relation(s, bars.close, bars.volume, line, p["length"], 0, 0, 0.0)


@nb.njit(cache=True, nogil=True)
def covariance(p, s, bars, out):
    """Mean product of two columns' deviations from their means; over `length` less `ddof`."""
    length = p["length"]
    free = length - p["ddof"]
    scale = 1.0 / free if free > 0 else 0.0
    _relation(s, bars.close, bars.volume, out.reshape(len(out)), length, 0, 1, scale)


@nb.njit(cache=True, nogil=True)
def _returns(column, last, count):
    """Return the relative changes of a column, the first of all and those from zero being 0."""
    n = len(column)
    made = np.empty(n)
    for i in range(n):
        x = column[i]
        made[i] = (x - last) / last if abs(last) >= ZERO else 0.0
        last = x
    if count == 0 and n > 0:
        made[0] = 0.0
    return made


@nb.njit(cache=True, nogil=True)
def beta(p, s, bars, out):
    """Slope of the second column's returns on the first one's; 0 if those have no spread."""
    close, volume = bars.close, bars.volume
    line = out.reshape(len(out))
    n = len(close)
    if n == 0:
        return
    xs = _returns(close, s[0]["x_last"], s[0]["count"])
    ys = _returns(volume, s[0]["y_last"], s[0]["count"])
    _relation(s, xs, ys, line, p["length"], 1, 2, 0.0)
    s[0]["x_last"], s[0]["y_last"] = close[n - 1], volume[n - 1]
