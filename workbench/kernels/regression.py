"""Straight lines through the last values: kernels `fn(p, s, bars, out)` (see `averages`).

The line of least squares through y at x = 0 .. length - 1, with sums as `window` keeps them.
"""

from __future__ import annotations

import math

import numba as nb
import numpy as np

from workbench.kernels.window import ANCHOR, LOST, gathered, keep, line_sums

__all__ = ["LINE", "channel", "forecast", "linreg", "r_squared", "slope"]

#: `level` is the reference of the sums; `left` counts down to their renewal, `peak` is the
#: largest sum of squares since the last one.
LINE = [
    ("count", "i8"), ("place", "i8"), ("left", "i8"), ("level", "f8"), ("peak", "f8"),
    ("sum", "f8"), ("moment", "f8"), ("squares", "f8"), ("ring", "f8"),
]  # fmt: skip

#: Below this part of the largest sum of squares, what a line leaves is summed up value by value.
CLOSE = 1e-4

_ONE = np.uint64(1)


@nb.njit(cache=True, nogil=True)
def _left_by(column, start, length, level, first, slope):
    """Return the sum of squares left by a line that is `first` above a level at x = 0."""
    a = b = c = d = 0.0
    whole = length // 4
    at = 0.0
    for k in range(whole):
        i = start + 4 * k
        low = first + slope * at
        x = (column[i] - level) - low
        a += x * x
        x = (column[i + 1] - level) - (low + slope)
        b += x * x
        x = (column[i + 2] - level) - (low + 2.0 * slope)
        c += x * x
        x = (column[i + 3] - level) - (low + 3.0 * slope)
        d += x * x
        at += 4.0
    for i in range(start + 4 * whole, start + length):
        x = (column[i] - level) - (first + slope * at)
        a += x * x
        at += 1.0
    return (a + b) + (c + d)


@nb.njit(cache=True, nogil=True)
def _rest_of(ring, column, place, length, row, level, first, slope):
    """Return what a line leaves of the window that ends at a row."""
    if row >= length - 1:
        return _left_by(column, row - length + 1, length, level, first, slope)
    return _left_by(gathered(ring, column, place, length, row), 0, length, level, first, slope)


@nb.njit(cache=True, nogil=True)
def _moved(x, old, length, part, left, peak, total, moment, squares):
    """Move the sums on by a value; return them and the squared deviations from the mean."""
    moment += (length - 1.0) * x - (total - old)
    total += x - old
    squares += x * x - old * old
    peak = squares if squares > peak else peak
    spread = squares - total * total * part
    left = left - 1 if spread >= LOST * peak else 0
    return left, peak, total, moment, squares, spread


@nb.njit(cache=True, nogil=True)
def linreg(p, s, bars, out):
    """Value at the last bar, slope, value at the first bar, R2, t of the slope, error."""
    length = p["length"]
    close = bars.close
    ring = s["ring"]
    n = len(close)
    count, place = s[0]["count"], s[0]["place"]
    left, level, peak = s[0]["left"], s[0]["level"], s[0]["peak"]
    total, moment, squares = s[0]["sum"], s[0]["moment"], s[0]["squares"]
    width = length - 1.0
    free = length - 2.0
    scale = 12.0 / (length * (length * np.float64(length) - 1.0))
    part = 1.0 / length
    first = min(n, max(0, length - 1 - count))
    for i in range(first):
        for k in range(6):
            out[i, k] = np.nan
    for i in range(first, n):
        spread = 0.0
        if left > 0:
            at = place + i
            at = at if at < length else at - length
            old = close[i - length] if i >= length else ring[at]
            left, peak, total, moment, squares, spread = _moved(
                close[i] - level, old - level, length, part, left, peak, total, moment, squares
            )
        if left == 0:
            level, total, moment, squares = line_sums(ring, close, place, length, i)
            spread = squares - total * total * part
            peak = squares
            left = max(ANCHOR, length)
        spread = 0.0 if spread < 0.0 else spread
        mean = total * part
        shared = moment - 0.5 * width * total
        slope = shared * scale
        half = 0.5 * width * slope
        rest = spread - slope * shared
        if rest < CLOSE * peak:
            rest = _rest_of(ring, close, place, length, i, level, mean - half, slope)
        r2 = 1.0 - rest / spread if spread > 0.0 else 0.0
        r2 = 0.0 if r2 < 0.0 else r2
        t = 0.0
        error = 0.0
        if free > 0.0:
            error = math.sqrt(rest / free)
            spoilt = math.sqrt(rest / free * scale)
            if spoilt > 0.0:
                t = slope / spoilt
            elif slope != 0.0:
                t = math.copysign(np.inf, slope)
        out[i, 0] = level + (mean + half)
        out[i, 1] = slope
        out[i, 2] = level + (mean - half)
        out[i, 3] = r2
        out[i, 4] = t
        out[i, 5] = error
    s[0]["place"] = keep(ring, close, place, length)
    s[0]["count"] = count + n
    s[0]["left"], s[0]["level"], s[0]["peak"] = left, level, peak
    s[0]["sum"], s[0]["moment"], s[0]["squares"] = total, moment, squares


@nb.njit(cache=True, nogil=True)
def channel(p, s, bars, out):
    """The line's last value, that plus and minus `width` deviations, and its slope.

    `deviation` is what is left by the line over `length` (0), over `length` - 2 (1), or the
    deviation of the closes about their mean (2).
    """
    length = p["length"]
    times = p["width"]
    kind = p["deviation"]
    close = bars.close
    ring = s["ring"]
    n = len(close)
    count, place = s[0]["count"], s[0]["place"]
    left, level, peak = s[0]["left"], s[0]["level"], s[0]["peak"]
    total, moment, squares = s[0]["sum"], s[0]["moment"], s[0]["squares"]
    width = length - 1.0
    free = max(1.0, length - 2.0) if kind == 1 else np.float64(length)
    scale = 12.0 / (length * (length * np.float64(length) - 1.0))
    part = 1.0 / length
    first = min(n, max(0, length - 1 - count))
    for i in range(first):
        for k in range(4):
            out[i, k] = np.nan
    for i in range(first, n):
        spread = 0.0
        if left > 0:
            at = place + i
            at = at if at < length else at - length
            old = close[i - length] if i >= length else ring[at]
            left, peak, total, moment, squares, spread = _moved(
                close[i] - level, old - level, length, part, left, peak, total, moment, squares
            )
        if left == 0:
            level, total, moment, squares = line_sums(ring, close, place, length, i)
            spread = squares - total * total * part
            peak = squares
            left = max(ANCHOR, length)
        spread = 0.0 if spread < 0.0 else spread
        mean = total * part
        shared = moment - 0.5 * width * total
        slope = shared * scale
        half = 0.5 * width * slope
        rest = spread
        if kind != 2:
            rest -= slope * shared
            if rest < CLOSE * peak:
                rest = _rest_of(ring, close, place, length, i, level, mean - half, slope)
        away = times * math.sqrt(rest / free)
        middle = level + (mean + half)
        out[i, 0] = middle
        out[i, 1] = middle + away
        out[i, 2] = middle - away
        out[i, 3] = slope
    s[0]["place"] = keep(ring, close, place, length)
    s[0]["count"] = count + n
    s[0]["left"], s[0]["level"], s[0]["peak"] = left, level, peak
    s[0]["sum"], s[0]["moment"], s[0]["squares"] = total, moment, squares


@nb.njit(cache=True, nogil=True)
def _straight(s, close, line, length, base, by_sum, by_moment):
    """Write `base` times the level plus what the sum and the moment give with these factors."""
    ring = s["ring"]
    n = len(close)
    count, place = s[0]["count"], s[0]["place"]
    left, level, peak = s[0]["left"], s[0]["level"], s[0]["peak"]
    total, moment, squares = s[0]["sum"], s[0]["moment"], s[0]["squares"]
    wide = np.float64(length)
    part = 1.0 / wide
    size = np.uint64(length)
    i = min(n, max(0, length - 1 - count))
    line[:i] = np.nan
    while i < n:
        if left == 0:
            level, total, moment, squares = line_sums(ring, close, place, length, i)
            peak = squares
            line[i] = base * level + (by_moment * moment + by_sum * total)
            left = max(ANCHOR, length) - 1
            i += 1
        stop = min(n, i + left)
        left -= stop - i
        if i < length:
            left += max(0, stop - length)
            stop = min(stop, length)
        # Indices without sign need no test for counting from the end.
        j = np.uint64(i)
        until = np.uint64(stop)
        early = i < length
        while j < until:
            at = place + np.int64(j)
            gone = ring[at if at < length else at - length] if early else close[j - size]
            x = close[j] - level
            old = gone - level
            change = x - old
            total += change
            moment += wide * x - total
            squares += change * (x + old)
            peak = squares if squares > peak else peak
            if not squares - total * total * part >= LOST * peak:
                break
            line[j] = base * level + (by_moment * moment + by_sum * total)
            j += _ONE
        i = np.int64(j)
        left = left if i == stop else 0
    s[0]["place"] = keep(ring, close, place, length)
    s[0]["count"] = count + n
    s[0]["left"], s[0]["level"], s[0]["peak"] = left, level, peak
    s[0]["sum"], s[0]["moment"], s[0]["squares"] = total, moment, squares


@nb.njit(cache=True, nogil=True)
def forecast(p, s, bars, out):
    """Value of the line one bar ahead."""
    length = p["length"]
    middle = 0.5 * (length - 1.0)
    rise = 12.0 * (length - middle) / (length * (length * np.float64(length) - 1.0))
    line = out.reshape(len(out))
    _straight(s, bars.close, line, length, 1.0, 1.0 / length - rise * middle, rise)


@nb.njit(cache=True, nogil=True)
def slope(p, s, bars, out):
    """Rise of the line from one bar to the next."""
    length = p["length"]
    rise = 12.0 / (length * (length * np.float64(length) - 1.0))
    line = out.reshape(len(out))
    _straight(s, bars.close, line, length, 0.0, -0.5 * (length - 1.0) * rise, rise)


@nb.njit(cache=True, nogil=True)
def r_squared(p, s, bars, out):
    """Part of the squared deviations that the line explains, 0 to 1; 0 if there are none."""
    length = p["length"]
    close = bars.close
    ring = s["ring"]
    line = out.reshape(len(out))
    n = len(close)
    count, place = s[0]["count"], s[0]["place"]
    left, level, peak = s[0]["left"], s[0]["level"], s[0]["peak"]
    total, moment, squares = s[0]["sum"], s[0]["moment"], s[0]["squares"]
    middle = 0.5 * (length - 1.0)
    scale = 12.0 / (length * (length * np.float64(length) - 1.0))
    part = 1.0 / length
    first = min(n, max(0, length - 1 - count))
    for i in range(first):
        line[i] = np.nan
    for i in range(first, n):
        spread = 0.0
        if left > 0:
            at = place + i
            at = at if at < length else at - length
            old = close[i - length] if i >= length else ring[at]
            left, peak, total, moment, squares, spread = _moved(
                close[i] - level, old - level, length, part, left, peak, total, moment, squares
            )
        if left == 0:
            level, total, moment, squares = line_sums(ring, close, place, length, i)
            spread = squares - total * total * part
            peak = squares
            left = max(ANCHOR, length)
        spread = 0.0 if spread < 0.0 else spread
        shared = moment - middle * total
        r2 = shared * scale * shared / spread if spread > 0.0 else 0.0
        line[i] = 1.0 if r2 > 1.0 else r2
    s[0]["place"] = keep(ring, close, place, length)
    s[0]["count"] = count + n
    s[0]["left"], s[0]["level"], s[0]["peak"] = left, level, peak
    s[0]["sum"], s[0]["moment"], s[0]["squares"] = total, moment, squares
