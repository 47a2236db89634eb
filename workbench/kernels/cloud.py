"""Ichimoku lines: kernels `fn(p, s, bars, out)` (see `averages` for the form)."""

from __future__ import annotations

import numba as nb
import numpy as np

__all__ = ["ICHIMOKU", "ichimoku"]

#: For each of three windows: place in its block, extremes of the block so far, and extremes
#: from each row to the end of the block before. `ahead_a`, `ahead_b` hold spans to come.
ICHIMOKU = [
    ("count", "i8"), ("place1", "i8"), ("place2", "i8"), ("place3", "i8"), ("delay", "i8"),
    ("top1", "f8"), ("top2", "f8"), ("top3", "f8"),
    ("bottom1", "f8"), ("bottom2", "f8"), ("bottom3", "f8"),
    ("tops1", "f8"), ("tops2", "f8"), ("tops3", "f8"),
    ("bottoms1", "f8"), ("bottoms2", "f8"), ("bottoms3", "f8"),
    ("ahead_a", "f8"), ("ahead_b", "f8"),
]  # fmt: skip


#: Unsigned, so that a compiled index needs no test for counting from the end.
ONE = np.uint64(1)


@nb.njit(cache=True, nogil=True)
def whole_blocks(high, low, values, high_ends, low_ends, length, i):
    """Do all whole blocks from row `i`, which begins one after another; return the next row."""
    blocks = (len(high) - i) // length
    size = np.uint64(length)
    at = np.uint64(i)
    for _ in range(blocks):
        top = -np.inf
        bottom = np.inf
        for j in range(length):
            k = at - ONE - np.uint64(j)
            high_ends[k + size] = top
            low_ends[k + size] = bottom
            h = high[k]
            lo = low[k]
            top = h if h > top else top
            bottom = lo if lo < bottom else bottom
        top = -np.inf
        bottom = np.inf
        for j in range(length):
            k = at + np.uint64(j)
            h = high[k]
            lo = low[k]
            top = h if h > top else top
            bottom = lo if lo < bottom else bottom
            end = high_ends[k]
            highest = end if end > top else top
            end = low_ends[k]
            lowest = end if end < bottom else bottom
            values[k] = (highest + lowest) * 0.5
        at += size
    return i + blocks * length


@nb.njit(cache=True, nogil=True)
def middle(high, low, values, spare, length, count, place, top, bottom, tops, bottoms):
    """Write the middle of the highest high and lowest low of `length` rows.

    A window is the end of one block of rows and the beginning of the next: extremes from each
    row to the end of its block are made when the block is full, so that a row costs the same
    whatever the length (van Herk 1992). They wait in the rings `tops` and `bottoms`, or in the
    columns 2 and 4 of `spare`, which are filled later, where the block is in the columns at
    hand. Returns the place in the block and its extremes so far.
    """
    n = len(high)
    tops[length] = -np.inf
    bottoms[length] = np.inf
    if count == 0:
        top = -np.inf
        bottom = np.inf
    i = 0
    while i < n:
        if place == 0 and i >= length and n - i >= length:
            i = whole_blocks(high, low, values, spare[:, 2], spare[:, 4], length, i)
            for k in range(length - 1, -1, -1):
                h = high[i - length + k]
                lo = low[i - length + k]
                top = h if h > top else top
                bottom = lo if lo < bottom else bottom
                tops[k] = top
                bottoms[k] = bottom
            top = -np.inf
            bottom = np.inf
            continue
        h = high[i]
        lo = low[i]
        top = h if h > top else top
        bottom = lo if lo < bottom else bottom
        if count + i >= length - 1:
            # In the first block nothing comes before its last row.
            old = count + i >= length
            highest = tops[place + 1] if old and tops[place + 1] > top else top
            lowest = bottoms[place + 1] if old and bottoms[place + 1] < bottom else bottom
            values[i] = (highest + lowest) * 0.5
        else:
            values[i] = np.nan
        tops[place] = h
        bottoms[place] = lo
        place += 1
        i += 1
        if place == length:
            place = 0
            top = -np.inf
            bottom = np.inf
            for k in range(length - 1, -1, -1):
                top = tops[k] if tops[k] > top else top
                bottom = bottoms[k] if bottoms[k] < bottom else bottom
                tops[k] = top
                bottoms[k] = bottom
            top = -np.inf
            bottom = np.inf
    return place, top, bottom


@nb.njit(cache=True, nogil=True)
def ichimoku(p, s, bars, out):
    """Middles of three windows, the mean of the first two, and the close."""
    count = s[0]["count"]
    high = bars.high
    low = bars.low
    s[0]["place1"], s[0]["top1"], s[0]["bottom1"] = middle(
        high, low, out[:, 0], out, p["conversion"], count,
        s[0]["place1"], s[0]["top1"], s[0]["bottom1"], s["tops1"], s["bottoms1"],
    )  # fmt: skip
    s[0]["place2"], s[0]["top2"], s[0]["bottom2"] = middle(
        high, low, out[:, 1], out, p["base"], count,
        s[0]["place2"], s[0]["top2"], s[0]["bottom2"], s["tops2"], s["bottoms2"],
    )  # fmt: skip
    s[0]["place3"], s[0]["top3"], s[0]["bottom3"] = middle(
        high, low, out[:, 3], out, p["span"], count,
        s[0]["place3"], s[0]["top3"], s[0]["bottom3"], s["tops3"], s["bottoms3"],
    )  # fmt: skip
    n = len(high)
    s[0]["count"] = count + n
    if p["shift"] == 0:
        for i in range(n):
            out[i, 2] = (out[i, 0] + out[i, 1]) * 0.5
            out[i, 4] = bars.close[i]
        return
    base = p["base"]
    delay = s[0]["delay"]
    for i in range(n):
        span_a = (out[i, 0] + out[i, 1]) * 0.5
        span_b = out[i, 3]
        full = count + i >= base
        out[i, 2] = s[delay]["ahead_a"] if full else np.nan
        out[i, 3] = s[delay]["ahead_b"] if full else np.nan
        out[i, 4] = bars.close[i]
        s[delay]["ahead_a"] = span_a
        s[delay]["ahead_b"] = span_b
        delay += 1
        if delay == base:
            delay = 0
    s[0]["delay"] = delay
