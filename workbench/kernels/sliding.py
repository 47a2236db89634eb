"""Sums over the last values, plain and weighted by age, that cannot drift.

The rows are cut into blocks as long as the window, counted from the very first row. A window
then is the end of one block and the beginning of the next: the sum of the end is taken from
sums made backwards when that block was complete, the sum of the beginning is carried along.
Nothing is ever subtracted, so an error does not stay, and a row costs two or three additions
whatever the length. (The idea is that of van Herk 1992 and of Gil and Werman 1993, who use it
for extremes.)

A ring has one place more than the window; the last one stays zero. Where a whole block and the
one before lie in the column at hand, the sums of the end wait in the output itself and the ring
is not touched: the same additions in the same order, so the same bits.
"""

from __future__ import annotations

import numba as nb
import numpy as np

__all__ = ["CHUNK", "sums", "weighted_sums"]

#: Rows that kernels of several passes take at a time, so that what lies between stays in cache.
CHUNK = 4096

_ONE = np.uint64(1)


@nb.njit(cache=True, nogil=True)
def sums(column, line, ring, length, at, head, scale):
    """Write `scale` times the sum of the last `length` values to `line`.

    `at` is the place in the block, `head` the sum of the block so far; both are returned as
    they are afterwards. Before `length` values there were, sums are over those there are.
    """
    n = len(column)
    i = 0
    while i < n:
        if at == 0 and i >= length and n - i >= length:
            i = _sum_blocks(column, line, length, i, scale)
            tail = 0.0
            for k in range(length - 1, -1, -1):
                tail += column[i - length + k]
                ring[k] = tail
            continue
        x = column[i]
        head += x
        line[i] = (ring[at + 1] + head) * scale
        ring[at] = x
        at += 1
        if at == length:
            tail = 0.0
            for k in range(length - 1, -1, -1):
                tail += ring[k]
                ring[k] = tail
            at = 0
            head = 0.0
        i += 1
    return at, head


@nb.njit(cache=True, nogil=True)
def _sum_blocks(column, line, length, i, scale):
    """Do all whole blocks from row `i`, which begins one; return the row after them."""
    blocks = (len(column) - i) // length
    # Indices without sign need no test for counting from the end.
    size = np.uint64(length)
    a = np.uint64(i)
    for _ in range(blocks):
        tail = 0.0
        for j in range(length - 1):
            k = a - _ONE - np.uint64(j)
            tail += column[k]
            line[k + size - _ONE] = tail
        line[a + size - _ONE] = 0.0
        head = 0.0
        for j in range(length):
            k = a + np.uint64(j)
            head += column[k]
            line[k] = (line[k] + head) * scale
        a += size
    return i + blocks * length


@nb.njit(cache=True, nogil=True)
def weighted_sums(column, line, ring, length, at, head, past, scale):
    """Write `scale` times the sum of the last values, the newest `length` times, the oldest once.

    `at` is the place in the block, `head` the sum of the block so far, `past` the sum of all
    `head` before, by which its values count less than `length` times; all three are returned as
    they are afterwards.
    """
    n = len(column)
    i = 0
    while i < n:
        if at == 0 and i >= length and n - i >= length:
            i = _weighted_blocks(column, line, length, i, scale)
            tail = 0.0
            fall = 0.0
            for k in range(length - 1, -1, -1):
                tail += column[i - length + k]
                fall += tail
                ring[k] = fall
            continue
        x = column[i]
        head += x
        line[i] = (ring[at + 1] + (length * head - past)) * scale
        past += head
        ring[at] = x
        at += 1
        if at == length:
            tail = 0.0
            fall = 0.0
            for k in range(length - 1, -1, -1):
                tail += ring[k]
                fall += tail
                ring[k] = fall
            at = 0
            head = 0.0
            past = 0.0
        i += 1
    return at, head, past


@nb.njit(cache=True, nogil=True)
def _weighted_blocks(column, line, length, i, scale):
    """Do all whole blocks from row `i`, which begins one; return the row after them."""
    blocks = (len(column) - i) // length
    times = float(length)
    size = np.uint64(length)
    a = np.uint64(i)
    for _ in range(blocks):
        tail = 0.0
        fall = 0.0
        for j in range(length - 1):
            k = a - _ONE - np.uint64(j)
            tail += column[k]
            fall += tail
            line[k + size - _ONE] = fall
        line[a + size - _ONE] = 0.0
        head = 0.0
        past = 0.0
        for j in range(length):
            k = a + np.uint64(j)
            head += column[k]
            line[k] = (line[k] + (times * head - past)) * scale
            past += head
        a += size
    return i + blocks * length
