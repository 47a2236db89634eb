"""Extremes of the last values: kernels `fn(p, s, bars, out)` (see `averages` for the form).

Two ways to the same values. Row by row, blocks as long as the window are counted from the first
row: a window is the end of one block, whose extremes were made backwards when it was complete,
and the beginning of the next (van Herk 1992; Gil and Werman 1993). Over many rows, extremes of
two values are made from the values, of four from those, and so on: steps without a branch.
Zeros are added at the end, so that a zero has no sign, whichever way it came.
"""

from __future__ import annotations

import numba as nb
import numpy as np

__all__ = ["EXTREME", "highest", "lowest"]

#: `place` is the place in the block, `best` the extreme of the block so far, `ring` its values,
#: `tail` the extremes of the ends of the block before.
EXTREME = [
    ("count", "i8"), ("place", "i8"), ("best", "f8"), ("ring", "f8"), ("tail", "f8"),
]  # fmt: skip

#: Rows that are taken together at least, so that what lies between stays in cache.
CHUNK = 1024

#: Floats in a line of cache.
LINE = 8


@nb.njit(cache=True, nogil=True)
def _wider(a, b, line, low):
    """Write the lower or the higher of the values of two arrays."""
    if low:
        for k in range(len(line)):
            line[k] = a[k] if a[k] < b[k] else b[k]
    else:
        for k in range(len(line)):
            line[k] = a[k] if a[k] > b[k] else b[k]


@nb.njit(cache=True, nogil=True)
def _last(a, b, line, low):
    """Do as `_wider` does, and take the sign of zeros away."""
    if low:
        for k in range(len(line)):
            line[k] = (a[k] if a[k] < b[k] else b[k]) + 0.0
    else:
        for k in range(len(line)):
            line[k] = (a[k] if a[k] > b[k] else b[k]) + 0.0


@nb.njit(cache=True, nogil=True)
def _together(close, line, first, length, low):
    """Write the extremes from a row on; the windows of all of them are in the column."""
    n = len(close)
    chunk = max(CHUNK, 4 * length)
    # A wide load or store across two lines of cache costs twice, so both begin one.
    reach = -(-(chunk + length) // LINE) * LINE
    room = np.empty(2 * reach + LINE)
    begin = (-(room.ctypes.data // 8)) % LINE
    here = room[begin : begin + reach]
    there = room[begin + reach : begin + 2 * reach]
    while first < n:
        rows = min(chunk, n - first)
        begin = first - length + 1
        size = rows + length - 1
        if length == 1:
            for i in range(first, n):
                line[i] = close[i] + 0.0
            return
        elif length < 4:
            wide = length - 1
            _wider(close[begin:], close[begin + 1 :], here[: size - 1], low)
            _last(here, here[wide - 1 :], line[first : first + rows], low)
        else:
            _wider(close[begin:], close[begin + 1 :], here[: size - 1], low)
            wide = 2
            while 2 * wide <= length:
                size_now = size - 2 * wide + 1
                _wider(here, here[wide:], there[:size_now], low)
                here, there = there, here
                wide *= 2
            _last(here, here[length - wide :], line[first : first + rows], low)
        first += rows


@nb.njit(cache=True, nogil=True)
def _step(ring, tail, close, line, first, stop, length, place, best, sign):
    """Write the extremes of some rows one by one; return the place in the block and its best.

    With `sign` -1 all is done with the negative values, and so gives the lowest.
    """
    for i in range(first, stop):
        x = sign * close[i]
        ring[place] = x
        best = x if place == 0 or x > best else best
        place += 1
        if place < length:
            past = tail[place]
            line[i] = sign * (past if past > best else best) + 0.0
        else:
            line[i] = sign * best + 0.0
            edge = -np.inf
            for k in range(length - 1, -1, -1):
                x = ring[k]
                edge = x if x > edge else edge
                tail[k] = edge
            place = 0
    return place, best


@nb.njit(cache=True, nogil=True)
def _slide(s, close, line, length, sign):
    """Write the highest (`sign` 1) or lowest (-1) of the last `length` values."""
    ring, tail = s["ring"], s["tail"]
    count, place, best = s[0]["count"], s[0]["place"], s[0]["best"]
    n = len(close)
    done = 0
    if n >= 4 * length + 64:
        place, best = _step(ring, tail, close, line, 0, length, length, place, best, sign)
        _together(close, line, length, length, sign < 0.0)
        # The state as it is after the last rows: from the beginning of the block before.
        done = n - (count + n) % length - length
        place = 0
        for i in range(done, done + length):
            ring[i - done] = sign * close[i]
        edge = -np.inf
        for k in range(length - 1, -1, -1):
            edge = ring[k] if ring[k] > edge else edge
            tail[k] = edge
        done += length
        for i in range(done, n):
            x = sign * close[i]
            ring[place] = x
            best = x if place == 0 or x > best else best
            place += 1
    else:
        place, best = _step(ring, tail, close, line, 0, n, length, place, best, sign)
    line[: min(n, max(0, length - 1 - count))] = np.nan
    s[0]["count"], s[0]["place"], s[0]["best"] = count + n, place, best


@nb.njit(cache=True, nogil=True)
def highest(p, s, bars, out):
    """Highest of the last `length` values."""
    _slide(s, bars.close, out.reshape(len(out)), p["length"], 1.0)


@nb.njit(cache=True, nogil=True)
def lowest(p, s, bars, out):
    """Lowest of the last `length` values."""
    _slide(s, bars.close, out.reshape(len(out)), p["length"], -1.0)
