"""Spread and relation of the last values: kernels `fn(p, s, bars, out)` (see `averages`).

Sums of short windows are made anew in every row, many rows at a time; those of long ones are
kept by blocks (see `sliding`). They are of differences from a value that is in the window: its
last one, or the first one of the newer block.
"""

from __future__ import annotations

import math

import numba as nb
import numpy as np

from workbench.kernels.window import keep, lay

__all__ = [
    "BETA", "PAIR", "SPREAD", "beta", "correlation", "covariance", "variance", "zscore",
]  # fmt: skip

#: `at` is the place in the block (of a short window, in the ring), `level` its first value, then
#: sums of differences from it and of their squares; the last two fields are such sums of the
#: block before, from each of its places to its end, and `ring` holds the values themselves.
SPREAD = [
    ("count", "i8"), ("at", "i8"), ("level", "f8"), ("sum", "f8"), ("square", "f8"),
    ("ring", "f8"), ("tail", "f8"), ("squares", "f8"),
]  # fmt: skip
#: The same of two columns, and the sum of their products.
PAIR = [
    ("count", "i8"), ("at", "i8"),
    ("x_level", "f8"), ("y_level", "f8"), ("x_sum", "f8"), ("y_sum", "f8"),
    ("xx", "f8"), ("yy", "f8"), ("xy", "f8"), ("x_ring", "f8"), ("y_ring", "f8"),
    ("x_tail", "f8"), ("y_tail", "f8"), ("xx_tail", "f8"), ("yy_tail", "f8"), ("xy_tail", "f8"),
]  # fmt: skip
BETA = [*PAIR, ("x_last", "f8"), ("y_last", "f8")]

#: Prices below this count as zero, as in TA-Lib.
ZERO = 1e-14

#: Windows up to so long are gone through value by value.
SHORT = 16

#: Rows whose sums are found before something is made of them.
ROWS = 512

_ONE = np.uint64(1)


@nb.njit(cache=True, nogil=True)
def _add(values, first, last, sums, rows):
    """Add values of windows, and their squares, to sums; the last one is what they differ from."""
    # Indices without sign need no test for counting from the end.
    a, b = np.uint64(first), np.uint64(last)
    for j in range(rows):
        k = np.uint64(j)
        x = values[a + k] - values[b + k]
        sums[0, k] += x
        sums[1, k] += x * x


@nb.njit(cache=True, nogil=True)
def _add_four(values, first, last, sums, rows):
    """Add four values one after the other, as `_add` does."""
    a, b = np.uint64(first), np.uint64(last)
    second, third, fourth = a + _ONE, a + np.uint64(2), a + np.uint64(3)
    for j in range(rows):
        k = np.uint64(j)
        level = values[b + k]
        x = values[a + k] - level
        y = values[second + k] - level
        z = values[third + k] - level
        w = values[fourth + k] - level
        sums[0, k] += (x + y) + (z + w)
        sums[1, k] += (x * x + y * y) + (z * z + w * w)


@nb.njit(cache=True, nogil=True)
def _short_sums(values, length, sums, rows):
    """Sum up windows that lie in an array one after the other."""
    last = length - 1
    sums[:, :rows] = 0.0
    k = 0
    while k + 4 <= last:
        _add_four(values, k, last, sums, rows)
        k += 4
    while k < last:
        _add(values, k, last, sums, rows)
        k += 1


@nb.njit(cache=True, nogil=True)
def _long_sums(s, column, i, stop, length, sums):
    """Sum up windows that end in rows from `i` to `stop`; and tell how far the last values are."""
    count, at, level = s[0]["count"], s[0]["at"], s[0]["level"]
    total, square = s[0]["sum"], s[0]["square"]
    ring, tail, squares = s["ring"], s["tail"], s["squares"]
    row = np.uint64(0)
    while i < stop:
        if at == 0:
            level = column[i]
            total = square = 0.0
            if count > 0:
                a = b = 0.0
                for j in range(length):
                    k = np.uint64(length - 1 - j)
                    x = ring[k] - level
                    a += x
                    b += x * x
                    tail[k] = a
                    squares[k] = b
        run = min(length - at, stop - i)
        here, first = np.uint64(at), np.uint64(i)
        for j in range(run):
            y = column[first + np.uint64(j)]
            ring[here] = y
            here += _ONE
            x = y - level
            total += x
            square += x * x
            sums[0, row] = tail[here] + total
            sums[1, row] = squares[here] + square
            sums[2, row] = x
            row += _ONE
        count += run
        i += run
        at = at + run if at + run < length else 0
    s[0]["count"], s[0]["at"], s[0]["level"] = count, at, level
    s[0]["sum"], s[0]["square"] = total, square


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _spread(s, column, line, length, kind, scale):
    """Write the squared deviations times `scale` (kind 0), or how many of them the last is off.

    A deviation of kind 1 is the root of the squared deviations times `scale`.
    """
    n = len(column)
    place = s[0]["at"]
    part = 1.0 / length
    waiting = min(n, max(0, length - 1 - s[0]["count"]))
    short = length <= SHORT
    sums = np.zeros((3, min(n, ROWS)))
    values = np.empty(length - 1 + min(n, ROWS) if short else 0)
    for i in range(0, n, ROWS):
        rows = min(n - i, ROWS)
        if short:
            lay(values, s["ring"], column, place, length, i, i + rows)
            _short_sums(values, length, sums[:2], rows)
        else:
            _long_sums(s, column, i, i + rows, length, sums)
        to = line[i : i + rows]
        if kind == 0:
            for j in range(rows):
                total = sums[0, j]
                spread = sums[1, j] - total * (total * part)
                to[j] = spread * scale if spread > 0.0 else 0.0
        else:
            for j in range(rows):
                total = sums[0, j]
                spread = sums[1, j] - total * (total * part)
                away = math.sqrt(spread * scale if spread > 0.0 else 0.0)
                off = (sums[2, j] - total * part) / (away if away > 0.0 else 1.0)
                to[j] = off if away > 0.0 else 0.0
    line[:waiting] = np.nan
    if short:
        s[0]["at"] = keep(s["ring"], column, place, length)
        s[0]["count"] += n


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
def _begin(s, x_level, y_level, length):
    """Begin a block: sum up the one before, if there was one, about first values."""
    x_ring, y_ring, x_tail, y_tail = s["x_ring"], s["y_ring"], s["x_tail"], s["y_tail"]
    xx_tail, yy_tail, xy_tail = s["xx_tail"], s["yy_tail"], s["xy_tail"]
    s[0]["x_level"], s[0]["y_level"] = x_level, y_level
    s[0]["x_sum"] = s[0]["y_sum"] = s[0]["xx"] = s[0]["yy"] = s[0]["xy"] = 0.0
    if s[0]["count"] > 0:
        a = b = c = d = e = 0.0
        for j in range(length):
            k = np.uint64(length - 1 - j)
            x = x_ring[k] - x_level
            y = y_ring[k] - y_level
            a += x
            b += y
            c += x * x
            d += y * y
            e += x * y
            x_tail[k] = a
            y_tail[k] = b
            xx_tail[k] = c
            yy_tail[k] = d
            xy_tail[k] = e


@nb.njit(cache=True, nogil=True)
def _pairs(s, xs, ys, i, stop, length, sums):
    """Sum up windows of two columns that end in rows from `i` to `stop`."""
    row = np.uint64(0)
    x_ring, y_ring, x_tail, y_tail = s["x_ring"], s["y_ring"], s["x_tail"], s["y_tail"]
    xx_tail, yy_tail, xy_tail = s["xx_tail"], s["yy_tail"], s["xy_tail"]
    while i < stop:
        at = s[0]["at"]
        if at == 0:
            _begin(s, xs[i], ys[i], length)
        x_level, y_level = s[0]["x_level"], s[0]["y_level"]
        a, b, c, d, e = s[0]["x_sum"], s[0]["y_sum"], s[0]["xx"], s[0]["yy"], s[0]["xy"]
        run = min(length - at, stop - i)
        here, first = np.uint64(at), np.uint64(i)
        for j in range(run):
            k = first + np.uint64(j)
            x = xs[k]
            y = ys[k]
            x_ring[here] = x
            y_ring[here] = y
            here += _ONE
            x -= x_level
            y -= y_level
            a += x
            b += y
            c += x * x
            d += y * y
            e += x * y
            sums[0, row] = x_tail[here] + a
            sums[1, row] = y_tail[here] + b
            sums[2, row] = xx_tail[here] + c
            sums[3, row] = yy_tail[here] + d
            sums[4, row] = xy_tail[here] + e
            row += _ONE
        s[0]["x_sum"], s[0]["y_sum"], s[0]["xx"], s[0]["yy"], s[0]["xy"] = a, b, c, d, e
        s[0]["count"] += run
        s[0]["at"] = at + run if at + run < length else 0
        i += run


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _relation(s, xs, ys, line, length, wait, kind, scale):
    """Write what two columns have in common: correlation (0), covariance (1) or slope (2).

    `scale` is that of a covariance; `wait` tells how many rows pass before the window counts.
    """
    n = len(xs)
    part = 1.0 / length
    waiting = min(n, max(0, length - 1 + wait - s[0]["count"]))
    sums = np.empty((5, min(n, ROWS)))
    for i in range(0, n, ROWS):
        rows = min(n - i, ROWS)
        _pairs(s, xs, ys, i, i + rows, length, sums)
        to = line[i : i + rows]
        for j in range(rows):
            mean = sums[0, j] * part
            other = sums[1, j] * part
            sums[4, j] -= mean * sums[1, j]
            sums[2, j] -= mean * sums[0, j]
            sums[3, j] -= other * sums[1, j]
        if kind == 0:
            for j in range(rows):
                xx = sums[2, j]
                yy = sums[3, j]
                both = math.sqrt(xx if xx > 0.0 else 0.0) * math.sqrt(yy if yy > 0.0 else 0.0)
                r = sums[4, j] / (both if both > 0.0 else 1.0)
                r = r if both > 0.0 else 0.0
                r = 1.0 if r > 1.0 else r
                to[j] = -1.0 if r < -1.0 else r
        elif kind == 1:
            for j in range(rows):
                to[j] = sums[4, j] * scale
        else:
            for j in range(rows):
                xx = sums[2, j]
                r = sums[4, j] / (xx if xx > 0.0 else 1.0)
                to[j] = r if xx > 0.0 else 0.0
    line[:waiting] = np.nan


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


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _returns(column, i, last, made):
    """Write relative changes of a column from row `i` on, those from zero being 0.

    `last` is the value before that row.
    """
    # The first on its own: the others find what came before in the column.
    made[0] = (column[i] - last) / last if abs(last) >= ZERO else 0.0
    first = np.uint64(i)
    for j in range(1, len(made)):
        k = np.uint64(j)
        last = column[first + k - _ONE]
        change = (column[first + k] - last) / (last if abs(last) >= ZERO else 1.0)
        made[k] = change if abs(last) >= ZERO else 0.0


@nb.njit(cache=True, nogil=True)
def beta(p, s, bars, out):
    """Slope of the second column's returns on the first one's; 0 if those have no spread."""
    close, volume = bars.close, bars.volume
    line = out.reshape(len(out))
    n = len(close)
    x_made = np.empty(min(n, ROWS))
    y_made = np.empty(min(n, ROWS))
    for i in range(0, n, ROWS):
        stop = min(n, i + ROWS)
        xs, ys = x_made[: stop - i], y_made[: stop - i]
        # Before the first row of all `last` is zero, so that its return is.
        _returns(close, i, s[0]["x_last"], xs)
        _returns(volume, i, s[0]["y_last"], ys)
        _relation(s, xs, ys, line[i:stop], p["length"], 1, 2, 0.0)
        s[0]["x_last"], s[0]["y_last"] = close[stop - 1], volume[stop - 1]
