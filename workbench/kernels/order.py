"""Order of the last values: kernels `fn(p, s, bars, out)` (see `averages` for the form).

A median or quantile is read from the window's values in order. A new value takes the place of
the oldest: both places are found by halving, and only the values between them are moved.
"""

from __future__ import annotations

import numba as nb
import numpy as np

from workbench.kernels.window import gathered, keep

__all__ = ["ORDER", "RANK", "median", "quantile", "rank"]

ORDER = [("count", "i8"), ("place", "i8"), ("ring", "f8"), ("sorted", "f8")]
RANK = [("count", "i8"), ("place", "i8"), ("ring", "f8")]

#: From so many rows in a call on, the values in order are copied to an array of their own.
MANY = 16


@nb.njit(cache=True, nogil=True)
def _put(ordered, size, x):
    """Put a value among the first `size` in order."""
    low = size
    while low > 0 and ordered[low - 1] > x:
        ordered[low] = ordered[low - 1]
        low -= 1
    ordered[low] = x


@nb.njit(cache=True, nogil=True)
def _swap(ordered, length, old, x):
    """Put a value in the place of another among `length` in order, and keep the order."""
    at = 0
    size = length
    while size > 1:
        half = size // 2
        at = at + half if ordered[at + half - 1] < old else at
        size -= half
    if x > old:
        while at + 1 < length and ordered[at + 1] < x:
            ordered[at] = ordered[at + 1]
            at += 1
    else:
        while at > 0 and ordered[at - 1] > x:
            ordered[at] = ordered[at - 1]
            at -= 1
    ordered[at] = x


@nb.njit(cache=True, nogil=True)
def _read(ordered, low, part, middle):
    """Return the value a part of the way from one place in order to the next."""
    a = ordered[low]
    if part == 0.0:
        return a
    b = ordered[low + 1]
    if middle:
        return 0.5 * a + 0.5 * b
    return a + (b - a) * part


@nb.njit(cache=True, nogil=True)
def _follow(ordered, ring, column, line, place, count, length, low, part, middle):
    """Move the window along a column and write the value at a place in its order."""
    n = len(column)
    for i in range(n):
        x = column[i]
        if count + i < length:
            _put(ordered, count + i, x)
        else:
            at = place + i
            at = at if at < length else at - length
            _swap(ordered, length, column[i - length] if i >= length else ring[at], x)
        line[i] = _read(ordered, low, part, middle) if count + i >= length - 1 else np.nan


@nb.njit(cache=True, nogil=True)
def _ranked(s, column, line, length, low, part, middle):
    """Write the value at a place in the order of the last `length` values."""
    count, place, ring, ordered = s[0]["count"], s[0]["place"], s["ring"], s["sorted"]
    n = len(column)
    if n < MANY or n < length:
        _follow(ordered, ring, column, line, place, count, length, low, part, middle)
    else:
        plain = ordered.copy()
        _follow(plain, ring, column, line, place, count, length, low, part, middle)
        for k in range(length):
            ordered[k] = plain[k]
    s[0]["place"] = keep(ring, column, place, length)
    s[0]["count"] = count + n


@nb.njit(cache=True, nogil=True)
def median(p, s, bars, out):
    """Middle of the last values in order; the mean of the two middle ones if they are even."""
    length = p["length"]
    low = (length - 1) // 2
    part = 0.0 if length % 2 == 1 else 0.5
    _ranked(s, bars.close, out.reshape(len(out)), length, low, part, True)


@nb.njit(cache=True, nogil=True)
def quantile(p, s, bars, out):
    """Value below which a part `q` of the last values lies.

    `between` tells what is taken between two values: linear (0), the lower (1), the higher (2),
    the nearest (3) or the middle (4).
    """
    length = p["length"]
    between = p["between"]
    exact = p["q"] * (length - 1.0)
    low = np.int64(np.floor(exact))
    low = min(low, length - 1)
    part = exact - low
    if between == 1:
        part = 0.0
    elif between == 2:
        low = low + 1 if part > 0.0 else low
        part = 0.0
    elif between == 3:
        up = part > 0.5 or (part == 0.5 and low % 2 == 1)
        low = low + 1 if up else low
        part = 0.0
    elif between == 4:
        part = 0.5 if part > 0.0 else 0.0
    _ranked(s, bars.close, out.reshape(len(out)), length, low, part, between == 4)


@nb.njit(cache=True, nogil=True)
def _counted(column, start, length, x):
    """Return how many of a window's values are below a value, and how many are equal to it."""
    below = 0
    equal = 0
    for k in range(length):
        below += np.int64(column[start + k] < x)
        equal += np.int64(column[start + k] == x)
    return below, equal


@nb.njit(cache=True, nogil=True)
def rank(p, s, bars, out):
    """Per cent of the other values in the window that the last one is above.

    Values that are equal to it count as above (0: not), below (1: all) or half (2), by `ties`.
    """
    length = p["length"]
    ties = p["ties"]
    share = 0.0 if ties == 0 else (1.0 if ties == 1 else 0.5)
    scale = 100.0 / (length - 1.0)
    count, place, ring = s[0]["count"], s[0]["place"], s["ring"]
    close = bars.close
    line = out.reshape(len(out))
    n = len(close)
    first = min(n, max(0, length - 1 - count))
    line[:first] = np.nan
    if first < min(n, length - 1):
        # The rows whose window begins before this call, on one array: ring, then column.
        rows = min(n, length - 1)
        ahead = gathered(ring, close[:0], place, length, -1)
        joined = np.empty(length + rows)
        joined[:length] = ahead
        joined[length:] = close[:rows]
        for i in range(first, rows):
            below, equal = _counted(joined, i + 1, length, close[i])
            line[i] = (below + share * (equal - 1)) * scale
    for i in range(max(first, length - 1), n):
        below, equal = _counted(close, i - length + 1, length, close[i])
        line[i] = (below + share * (equal - 1)) * scale
    s[0]["place"] = keep(ring, close, place, length)
    s[0]["count"] = count + n
