"""The last values of one or two columns: where they are read, and sums of them about a level.

Inside one call a window is read from the column itself; only rows before the call come from the
ring of the state, which is brought up to date once, when the call ends.

Sums are of differences from a reference, the mean of the window at some row before. They are
made anew every `ANCHOR` rows, or every window if that is longer; and at once where the reference
has come to be so far from the values (a jump of level that has left the window) that the spread
would be lost in rounding. Both depend on the values alone, so the bits do not depend on how the
rows are split.
"""

from __future__ import annotations

import numba as nb
import numpy as np

__all__ = ["ANCHOR", "LOST", "gathered", "keep", "lay", "line_sums", "plain_sums", "products"]

#: Sums are made anew after so many rows, or after a longer window's, so that they cannot drift.
ANCHOR = 64

#: And where the spread is less than this part of the largest sum of squares since then.
LOST = 1e-3


@nb.njit(cache=True, nogil=True)
def keep(ring, column, place, length):
    """Put the last values of a column into the ring; return the place of the row to come."""
    n = len(column)
    start = n - length if n > length else 0
    at = (place + start) % length
    for i in range(start, n):
        ring[at] = column[i]
        at += 1
        if at == length:
            at = 0
    return at


@nb.njit(cache=True, nogil=True)
def lay(values, ring, column, place, length, start, stop):
    """Put rows of a column, with the `length` - 1 values before them, into an array.

    `place` is where row 0 of the column goes in the ring.
    """
    ahead = length - 1 - start
    for j in range(ahead):
        at = place + start + 1 + j
        values[j] = ring[at if at < length else at - length]
    old = max(0, ahead)
    rows = column[start - (length - 1) + old : stop]
    for j in range(len(rows)):
        values[old + j] = rows[j]


@nb.njit(cache=True, nogil=True)
def gathered(ring, column, place, length, row):
    """Return a new array of the `length` values up to a row, some of them from the ring.

    `place` is where row 0 of the column goes in the ring.
    """
    window = np.empty(length)
    start = row - length + 1
    for k in range(length):
        i = start + k
        at = place + i
        if i >= 0:
            window[k] = column[i]
        else:
            window[k] = ring[at] if at >= 0 else ring[at + length]
    return window


@nb.njit(cache=True, nogil=True)
def _centre(column, start, length):
    """Return the mean of a window; the very value if all are equal."""
    first = column[start]
    a = b = c = d = 0.0
    whole = length // 4
    for k in range(whole):
        i = start + 4 * k
        a += column[i] - first
        b += column[i + 1] - first
        c += column[i + 2] - first
        d += column[i + 3] - first
    for i in range(start + 4 * whole, start + length):
        a += column[i] - first
    return first + ((a + b) + (c + d)) / length


@nb.njit(cache=True, nogil=True)
def _line_sums(column, start, length):
    level = _centre(column, start, length)
    a = b = e = f = g = h = 0.0
    place = 0.0
    for k in range(length // 2):
        x = column[start + 2 * k] - level
        y = column[start + 2 * k + 1] - level
        a += x
        b += y
        e += x * x
        f += y * y
        g += place * x
        h += (place + 1.0) * y
        place += 2.0
    if length % 2 == 1:
        x = column[start + length - 1] - level
        a += x
        e += x * x
        g += place * x
    return level, a + b, g + h, e + f


@nb.njit(cache=True, nogil=True)
def line_sums(ring, column, place, length, row):
    """Return the level of the window that ends at a row, and sums of differences from it.

    They are the plain sum, that of differences times their place from 0, and that of squares.
    """
    if row >= length - 1:
        return _line_sums(column, row - length + 1, length)
    return _line_sums(gathered(ring, column, place, length, row), 0, length)


@nb.njit(cache=True, nogil=True)
def _plain_sums(column, start, length):
    level = _centre(column, start, length)
    a = b = e = f = 0.0
    for k in range(length // 2):
        x = column[start + 2 * k] - level
        y = column[start + 2 * k + 1] - level
        a += x
        b += y
        e += x * x
        f += y * y
    if length % 2 == 1:
        x = column[start + length - 1] - level
        a += x
        e += x * x
    return level, a + b, e + f


@nb.njit(cache=True, nogil=True)
def plain_sums(ring, column, place, length, row):
    """Return the level of the window that ends at a row, the sum of differences and squares."""
    if row >= length - 1:
        return _plain_sums(column, row - length + 1, length)
    return _plain_sums(gathered(ring, column, place, length, row), 0, length)


@nb.njit(cache=True, nogil=True)
def _products(left, right, start, length, level, other):
    a = b = 0.0
    for k in range(length // 2):
        i = start + 2 * k
        a += (left[i] - level) * (right[i] - other)
        b += (left[i + 1] - level) * (right[i + 1] - other)
    if length % 2 == 1:
        i = start + length - 1
        a += (left[i] - level) * (right[i] - other)
    return a + b


@nb.njit(cache=True, nogil=True)
def products(xs, ys, left, right, place, length, row, level, other):
    """Return the sum of products of two columns' differences from their levels."""
    if row >= length - 1:
        return _products(left, right, row - length + 1, length, level, other)
    window = gathered(xs, left, place, length, row)
    beside = gathered(ys, right, place, length, row)
    return _products(window, beside, 0, length, level, other)
