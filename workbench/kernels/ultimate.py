"""Buying pressure over three windows: kernels `fn(p, s, bars, out)`.

A sum over a window is the difference of two running totals. These begin anew at fixed counts of
rows, from the rows the longest window reaches back to, so that they cannot drift.
"""

from __future__ import annotations

import numba as nb
import numpy as np

__all__ = ["ULTIMATE", "ultimate"]

#: Fewest rows between two beginnings, and the longest window for which many rows are done at once.
BLOCK = 128
LONGEST = 2048

ULTIMATE = [
    ("count", "i8"), ("last", "f8"),
    ("pressure", "f8"), ("range", "f8"), ("pressures", "f8"), ("ranges", "f8"),
]  # fmt: skip


@nb.njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _ratio(part, whole):
    return part / whole if whole > 0.0 else 0.0


@nb.njit(cache=True, nogil=True, inline="always")
def _blend(short, medium, long):
    return 100.0 * ((4.0 * short + 2.0 * medium + long) / 7.0)


@nb.njit(cache=True, nogil=True)
def _begin_anew(s, at, size):
    """Make the totals anew from the rows of the ring that precede the one at `at`."""
    pressures = 0.0
    ranges = 0.0
    k = at + 1 if at + 1 < size else np.int64(0)
    s[k]["pressures"] = 0.0
    s[k]["ranges"] = 0.0
    for _ in range(size - 2):
        k = k + 1 if k + 1 < size else np.int64(0)
        pressures += s[k]["pressure"]
        ranges += s[k]["range"]
        s[k]["pressures"] = pressures
        s[k]["ranges"] = ranges
    return pressures, ranges


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _rows(s, high, low, close, begin, count, lengths, block, out, write):
    """Take the rows from `begin` on one by one; write from row `write` on."""
    short, medium, long = lengths
    size = long + 1
    at = count % size
    before = at - 1 if at > 0 else long
    pressures = s[before]["pressures"]
    ranges = s[before]["ranges"]
    last = s[0]["last"]
    for i in range(begin, len(close)):
        if count % block == 0:
            pressures, ranges = _begin_anew(s, at, size)
        pressure = 0.0
        span = 0.0
        if count > 0:
            bottom = low[i] if low[i] < last else last
            top = high[i] if high[i] > last else last
            pressure = close[i] - bottom
            span = top - bottom
        last = close[i]
        pressures += pressure
        ranges += span
        s[at]["pressure"] = pressure
        s[at]["range"] = span
        s[at]["pressures"] = pressures
        s[at]["ranges"] = ranges
        a = at - short + (size if at < short else 0)
        b = at - medium + (size if at < medium else 0)
        c = at + 1 if at < long else np.int64(0)
        if i >= write:
            value = _blend(
                _ratio(pressures - s[a]["pressures"], ranges - s[a]["ranges"]),
                _ratio(pressures - s[b]["pressures"], ranges - s[b]["ranges"]),
                _ratio(pressures - s[c]["pressures"], ranges - s[c]["ranges"]),
            )
            out[i, 0] = value if count >= long else np.nan
        at = c
        count += 1
    s[0]["count"] = count
    s[0]["last"] = last


@nb.njit(cache=True, nogil=True)
def _pressures(high, low, close, before, pressure, span):
    for i in range(len(high)):
        last = before[i]
        bottom = low[i] if low[i] < last else last
        top = high[i] if high[i] > last else last
        pressure[i] = close[i] - bottom
        span[i] = top - bottom


@nb.njit(cache=True, nogil=True)
def _total(pressure, span):
    """Turn values into running totals of them."""
    a = 0.0
    b = 0.0
    for i in range(len(span)):
        a += pressure[i]
        b += span[i]
        pressure[i] = a
        span[i] = b


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _values(a, b, a1, b1, a2, b2, a3, b3, out):
    for i in range(len(out)):
        out[i, 0] = _blend(
            _ratio(a[i] - a1[i], b[i] - b1[i]),
            _ratio(a[i] - a2[i], b[i] - b2[i]),
            _ratio(a[i] - a3[i], b[i] - b3[i]),
        )


@nb.njit(cache=True, nogil=True)
def _blocks(high, low, close, begin, end, lengths, block, out):
    """Fill rows `begin` to `end`, whole blocks whose windows are in the columns."""
    short, medium, long = lengths
    a, b = np.empty(long + block), np.empty(long + block)
    for first in range(begin, end, block):
        stop = first + block
        start = first - long + 1
        a[0] = 0.0
        b[0] = 0.0
        _pressures(
            high[start:stop], low[start:stop], close[start:stop], close[start - 1 : stop], a[1:],
            b[1:],
        )  # fmt: skip
        _total(a, b)
        _values(
            a[long:], b[long:], a[long - short :], b[long - short :], a[long - medium :],
            b[long - medium :], a, b, out[first:stop],
        )  # fmt: skip


@nb.njit(cache=True, nogil=True)
def ultimate(p, s, bars, out):
    """Buying pressure in the true range over three windows, weighted 4, 2 and 1; 0 to 100.

    A window in which nothing moved counts as 0.
    """
    high, low, close = bars.high, bars.low, bars.close
    long = p["long"]
    lengths = (p["short"], p["medium"], long)
    count = s[0]["count"]
    n = len(close)
    block = max(BLOCK, 2 * long)
    if long > LONGEST or n < 4 * block:
        _rows(s, high, low, close, 0, count, lengths, block, out, 0)
        return
    # To the beginning of a block with a whole one before it in the columns.
    head = block - count % block + block
    end = head + (n - head) // block * block
    _rows(s, high[:head], low[:head], close[:head], 0, count, lengths, block, out, 0)
    _blocks(high, low, close, head, end, lengths, block, out)
    # The state is that of the last rows, from the beginning of a block.
    again = end - block
    s[0]["last"] = close[again - 1]
    _rows(s, high, low, close, again, count + again, lengths, block, out, end)
