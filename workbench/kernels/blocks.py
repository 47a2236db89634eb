"""Windows as the end of one block of rows and the beginning of the next.

Rows are cut into blocks as long as the window, counted from the very first one. What a window
takes from the block before is looked up in tails made backwards when that block was complete;
what it takes from the present one is carried along. So a row costs the same for any length,
and nothing is ever subtracted: sums of what has left the window leave no error behind. (Van
Herk 1992 and Gil and Werman 1993 do so for extremes.)

A ring has one place more than the window: the last one stands for nothing.
"""

from __future__ import annotations

import numba as nb
import numpy as np

__all__ = ["CHUNK", "extremes", "sum_tails"]

#: Rows that kernels of several passes take at a time, so that what lies between stays in cache.
CHUNK = 1024


@nb.njit(cache=True, nogil=True)
def sum_tails(ring, length):
    """Turn the values of a complete block into the sums from each of them to the last."""
    tail = 0.0
    for k in range(length - 1, -1, -1):
        tail += ring[k]
        ring[k] = tail


@nb.njit(cache=True, nogil=True)
def _extreme_tails(highs, lows, high, low, length):
    """Write the extremes from each row of a complete block to the last one to the rings."""
    top = highs[length - 1]
    bottom = lows[length - 1]
    for k in range(length - 1, -1, -1):
        x = highs[k]
        y = lows[k]
        top = x if x > top else top
        bottom = y if y < bottom else bottom
        high[k] = top
        low[k] = bottom


@nb.njit(cache=True, nogil=True)
def extremes(highs, lows, high, low, length, at, top, bottom, out):
    """Write the highest and the lowest of the last `length` rows to the first two outputs.

    `high` and `low` are rings, `at` is the place in the block, `top` and `bottom` the extremes
    of the block so far; these three are returned as they are afterwards. Before `length` rows
    there were, what is written means nothing.
    """
    n = len(highs)
    high[length] = -np.inf
    low[length] = np.inf
    i = 0
    while i < n:
        if at == 0:
            top = -np.inf
            bottom = np.inf
        whole = at == 0 and n - i >= length
        end = i + length if whole else min(n, i + length - at)
        for j in range(i, end):
            x = highs[j]
            y = lows[j]
            top = x if x > top else top
            bottom = y if y < bottom else bottom
            a = high[at + 1]
            b = low[at + 1]
            if not whole:
                high[at] = x
                low[at] = y
            out[j, 0] = a if a > top else top
            out[j, 1] = b if b < bottom else bottom
            at += 1
        if whole:
            _extreme_tails(highs[i:end], lows[i:end], high, low, length)
        elif at == length:
            _extreme_tails(high, low, high, low, length)
        if at == length:
            at = 0
        i = end
    return at, top, bottom
