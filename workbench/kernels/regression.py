"""Straight lines through the last values: kernels `fn(p, s, bars, out)` (see `averages`).

The line of least squares through y at x = 0 .. length - 1, from sums as `lines` finds them.
"""

from __future__ import annotations

import math

import numba as nb
import numpy as np

from workbench.kernels.lines import LINE, ROWS, SHORT, fits_of, room_of
from workbench.kernels.window import keep, lay

__all__ = ["LINE", "channel", "forecast", "linreg", "r_squared", "slope"]

#: Slopes of windows up to so long are summed up pair by pair.
SHORT_SLOPE = 28

_ONE = np.uint64(1)


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _judge(fits, rows, length):
    """Put the line's last value, its first, R2, error and t of the slope in place of sums."""
    half = 0.5 * (length - 1.0)
    share = 1.0 / (length - 2.0) if length > 2 else 0.0
    spoilt = math.sqrt(12.0 / (length * (length * np.float64(length) - 1.0)))
    # A line without error has an infinite t; of two points there is no error to speak of.
    sure = np.inf if length > 2 else 0.0
    for j in range(rows):
        spread = fits[3, j]
        rest = fits[4, j]
        r2 = 1.0 - rest / (spread if spread > 0.0 else 1.0)
        fits[3, j] = r2 if spread > 0.0 and r2 > 0.0 else 0.0
        fits[4, j] = math.sqrt(rest * share)
    for j in range(rows):
        slope = fits[2, j]
        away = fits[4, j] * spoilt
        t = slope / (away if away > 0.0 else 1.0)
        endless = sure if slope > 0.0 else (-sure if slope < 0.0 else 0.0)
        fits[5, j] = t if away > 0.0 else endless
    for j in range(rows):
        level = fits[0, j]
        mean = fits[1, j]
        rise = half * fits[2, j]
        fits[0, j] = level + (mean + rise)
        fits[1, j] = level + (mean - rise)


@nb.njit(cache=True, nogil=True)
def linreg(p, s, bars, out):
    """Value at the last bar, slope, value at the first bar, R2, t of the slope, error."""
    length = p["length"]
    close = bars.close
    n = len(close)
    waiting = min(n, max(0, length - 1 - s[0]["count"]))
    fits = room_of(6, n)
    values = np.empty(length - 1 + min(n, ROWS) if length <= SHORT else 0)
    for i in range(0, n, ROWS):
        rows = min(n - i, ROWS)
        fits_of(s, close, i, i + rows, length, fits, values)
        _judge(fits, rows, length)
        for j in range(rows):
            line = out[i + j]
            line[0] = fits[0, j]
            line[1] = fits[2, j]
            line[2] = fits[1, j]
            line[3] = fits[3, j]
            line[4] = fits[5, j]
            line[5] = fits[4, j]
    out[:waiting] = np.nan


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
    n = len(close)
    width = length - 1.0
    share = 1.0 / (max(1.0, length - 2.0) if kind == 1 else np.float64(length))
    waiting = min(n, max(0, length - 1 - s[0]["count"]))
    fits = room_of(5, n)
    values = np.empty(length - 1 + min(n, ROWS) if length <= SHORT else 0)
    taken = 3 if kind == 2 else 4
    for i in range(0, n, ROWS):
        stop = min(n, i + ROWS)
        fits_of(s, close, i, stop, length, fits, values)
        for j in range(stop - i):
            slope = fits[2, j]
            middle = fits[0, j] + (fits[1, j] + 0.5 * width * slope)
            away = times * math.sqrt(fits[taken, j] * share)
            line = out[i + j]
            line[0] = middle
            line[1] = middle + away
            line[2] = middle - away
            line[3] = slope
    out[:waiting] = np.nan


@nb.njit(cache=True, nogil=True)
def _straight(s, close, line, length, base, by_sum, by_moment):
    """Write `base` times the level plus what the sum and the moment give with these factors."""
    count, at, level = s[0]["count"], s[0]["at"], s[0]["level"]
    head, past = s[0]["head"], s[0]["past"]
    ring, tail = s["ring"], s["tail"]
    n = len(close)
    waiting = min(n, max(0, length - 1 - count))
    by_head = by_sum + by_moment * (length - 1.0)
    i = 0
    while i < n:
        if at == 0:
            level = close[i]
            head = past = 0.0
            if count > 0:
                a = b = 0.0
                for j in range(length):
                    k = np.uint64(length - 1 - j)
                    b += a
                    a += ring[k] - level
                    tail[k] = by_sum * a + by_moment * b
        low = base * level
        run = min(length - at, n - i)
        for j in range(run):
            here = np.uint64(at + j)
            row = np.uint64(i + j)
            x = close[row]
            ring[here] = x
            head += x - level
            line[row] = low + (tail[here + _ONE] + (by_head * head - by_moment * past))
            past += head
        count += run
        i += run
        at = at + run if at + run < length else 0
    line[:waiting] = np.nan
    s[0]["count"], s[0]["at"], s[0]["level"] = count, at, level
    s[0]["head"], s[0]["past"] = head, past


@nb.njit(cache=True, nogil=True)
def forecast(p, s, bars, out):
    """Value of the line one bar ahead."""
    length = p["length"]
    middle = 0.5 * (length - 1.0)
    rise = 12.0 * (length - middle) / (length * (length * np.float64(length) - 1.0))
    line = out.reshape(len(out))
    _straight(s, bars.close, line, length, 1.0, 1.0 / length - rise * middle, rise)


@nb.njit(cache=True, nogil=True)
def _add_rises(values, old, new, weight, line, row, rows):
    """Add weighted differences of pairs of values, equally far from the middle."""
    a, b, c = np.uint64(old), np.uint64(new), np.uint64(row)
    for j in range(rows):
        k = np.uint64(j)
        line[c + k] += weight * (values[b + k] - values[a + k])


@nb.njit(cache=True, nogil=True)
def _add_four(values, old, new, weight, rise, fourth, line, row, rows):
    """Add four such pairs, the outer one first.

    The second and third weigh `rise` less than the one before each, the last one `fourth`.
    """
    a, b, c = np.uint64(old), np.uint64(new - 3), np.uint64(row)
    two, three = np.uint64(2), np.uint64(3)
    second, third = weight - rise, weight - 2.0 * rise
    for j in range(rows):
        k = np.uint64(j)
        low, high = a + k, b + k
        outer = weight * (values[high + three] - values[low])
        outer += second * (values[high + two] - values[low + _ONE])
        inner = third * (values[high + _ONE] - values[low + two])
        line[c + k] += outer + (inner + fourth * (values[high] - values[low + three]))


@nb.njit(cache=True, nogil=True)
def _add_all(values, line, row, rows, length, rise):
    """Add all pairs of the windows that lie in an array one after the other."""
    last = length - 1
    half = length // 2
    k = 0
    while k + 3 <= half:  # three are done faster with a fourth that weighs nothing
        weight = rise * (0.5 * last - k)
        fourth = weight - 3.0 * rise if k + 4 <= half else 0.0
        _add_four(values, k, last - k, weight, rise, fourth, line, row, rows)
        k += 4
    while k < half:
        _add_rises(values, k, last - k, rise * (0.5 * last - k), line, row, rows)
        k += 1


@nb.njit(cache=True, nogil=True)
def _short_slopes(s, close, line, length, rise):
    """Write slopes of short windows: `rise` times all differences of pairs times their place."""
    n = len(close)
    place = s[0]["at"]
    waiting = min(n, max(0, length - 1 - s[0]["count"]))
    values = np.empty(length - 1 + min(n, ROWS))
    for i in range(0, n, ROWS):
        rows = min(n - i, ROWS)
        line[i : i + rows] = 0.0
        if i < length - 1:
            lay(values, s["ring"], close, place, length, i, i + rows)
            _add_all(values, line, i, rows, length, rise)
        else:  # read where they are, as in `lines`
            _add_all(close[i - (length - 1) : i + rows], line, i, rows, length, rise)
    line[:waiting] = np.nan
    s[0]["at"] = keep(s["ring"], close, place, length)
    s[0]["count"] += n


@nb.njit(cache=True, nogil=True)
def slope(p, s, bars, out):
    """Rise of the line from one bar to the next."""
    length = p["length"]
    rise = 12.0 / (length * (length * np.float64(length) - 1.0))
    line = out.reshape(len(out))
    if length <= SHORT_SLOPE:
        _short_slopes(s, bars.close, line, length, rise)
    else:
        _straight(s, bars.close, line, length, 0.0, -0.5 * (length - 1.0) * rise, rise)


@nb.njit(cache=True, nogil=True)
def r_squared(p, s, bars, out):
    """Part of the squared deviations that the line explains, 0 to 1; 0 if there are none."""
    length = p["length"]
    close = bars.close
    n = len(close)
    waiting = min(n, max(0, length - 1 - s[0]["count"]))
    across = length * (length * np.float64(length) - 1.0) / 12.0
    line = out.reshape(len(out))
    fits = room_of(4, n)  # what a line leaves is not asked for
    values = np.empty(length - 1 + min(n, ROWS) if length <= SHORT else 0)
    for i in range(0, n, ROWS):
        stop = min(n, i + ROWS)
        fits_of(s, close, i, stop, length, fits, values)
        for j in range(stop - i):
            slope, spread = fits[2, j], fits[3, j]
            r2 = slope * across * slope / spread if spread > 0.0 else 0.0
            line[i + j] = r2 if r2 < 1.0 else 1.0
    line[:waiting] = np.nan
