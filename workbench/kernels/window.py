"""The last values of a column: where they are read, and how they are kept.

Inside one call a window is read from the column itself; only rows before the call come from the
ring of the state, which is brought up to date once, when the call ends.
"""

from __future__ import annotations

import numba as nb
import numpy as np

__all__ = ["gathered", "keep", "lay"]


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
