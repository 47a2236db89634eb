"""A mean that adapts its pace to the market: kernel `fn(p, s, bars, out)` (see `averages`).

Windows are summed in blocks, as `sliding` explains, and long columns cut into two parts that
run side by side, as `smoothing` does. A mean next to nothing is set to zero at the end of a block.
"""

from __future__ import annotations

import numba as nb
import numpy as np

from workbench.kernels.smoothing import calm

__all__ = ["KAMA", "kama"]

KAMA = [("count", "i8"), ("at", "i8"), ("last", "f8"), ("mean", "f8"), ("head", "f8"),
        ("ring", "f8"), ("closes", "f8")]  # fmt: skip

#: Rows after which a mean has most likely forgotten a guess; how fast depends on the market.
_LEAD = 8192

_ONE = np.uint64(1)


@nb.njit(cache=True, nogil=True, inline="always", error_model="numpy")
def _next(mean, x, change, path, slow, span):
    """Return the mean after a close `x` that lies `change` from one `length` rows ago.

    The way taken in between is `path`; where nothing moved, the pace is the fast one.
    """
    ratio = abs(change) / path if path > change else 1.0
    pace = ratio * span + slow
    pace *= pace
    return mean + (x - mean) * pace


@nb.njit(cache=True, nogil=True, error_model="numpy")
def kama(p, s, bars, out):
    """Kaufman's adaptive mean; it starts from the close before its first value."""
    length = p["length"]
    slow = np.float64(2.0) / (p["slow"] + 1.0)
    span = np.float64(2.0) / (p["fast"] + 1.0) - slow
    count = s[0]["count"]
    at = s[0]["at"]
    last = s[0]["last"]
    mean = s[0]["mean"]
    head = s[0]["head"]
    ring = s["ring"]
    closes = s["closes"]
    close = bars.close
    line = out.reshape(len(out))
    n = len(close)
    i = 0
    while i < n:
        if at == 0 and i > length and n - i >= length:
            stop = i + (n - i) // length * length
            mean = _all_blocks(close, line, i, stop, length, mean, slow, span)
            count += stop - i
            i = stop
            last = close[i - 1]
            tail = 0.0
            for k in range(length - 1, -1, -1):
                tail += abs(close[i - length + k] - close[i - length + k - 1])
                ring[k] = tail
                closes[k] = close[i - length + k]
            continue
        x = close[i]
        step = abs(x - last) if count > 0 else 0.0
        head += step
        if count >= length:
            mean = _next(mean, x, x - closes[at], ring[at + 1] + head, slow, span)
            line[i] = mean
        else:
            mean = x
            line[i] = np.nan
        last = x
        ring[at] = step
        closes[at] = x
        count += 1
        at += 1
        if at == length:
            tail = 0.0
            for k in range(length - 1, -1, -1):
                tail += ring[k]
                ring[k] = tail
            at = 0
            head = 0.0
            mean = calm(mean)
        i += 1
    s[0]["count"] = count
    s[0]["at"] = at
    s[0]["last"] = last
    s[0]["mean"] = mean
    s[0]["head"] = head


@nb.njit(cache=True, nogil=True)
def _all_blocks(close, line, i, stop, length, mean, slow, span):
    """Do whole blocks of rows from `i` to `stop`; return the mean."""
    part = (stop - i) // (2 * length) * length
    lead = (_LEAD // length + 1) * length
    if part > 8 * lead:
        middle = i + part
        guess = _blocks(
            close, line, middle - lead, middle, length, close[middle - lead], slow, span
        )
        mean, later = _pairs_of_blocks(close, line, i, part, length, mean, guess, slow, span)
        i = middle
        if mean == guess:
            mean = later
            i += part
    return _blocks(close, line, i, stop, length, mean, slow, span)


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _blocks(close, line, i, stop, length, mean, slow, span):
    """Do whole blocks of rows from `i` to `stop`; return the mean."""
    size = np.uint64(length)
    a = np.uint64(i)
    for _ in range(i, stop, length):
        tail = 0.0
        for j in range(length - 1):
            k = a - _ONE - np.uint64(j)
            tail += abs(close[k] - close[k - _ONE])
            line[k + size - _ONE] = tail
        line[a + size - _ONE] = 0.0
        head = 0.0
        for j in range(length):
            k = a + np.uint64(j)
            x = close[k]
            head += abs(x - close[k - _ONE])
            mean = _next(mean, x, x - close[k - size], line[k] + head, slow, span)
            line[k] = mean
        a += size
        mean = calm(mean)
    return mean


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _pairs_of_blocks(close, line, i, part, length, mean_a, mean_b, slow, span):
    """Do `part` rows from row `i` and as many after them, in blocks; return both means."""
    size = np.uint64(length)
    a = np.uint64(i)
    b = a + np.uint64(part)
    for _ in range(0, part, length):
        tail_a = 0.0
        tail_b = 0.0
        for j in range(length - 1):
            k = a - _ONE - np.uint64(j)
            tail_a += abs(close[k] - close[k - _ONE])
            line[k + size - _ONE] = tail_a
            k = b - _ONE - np.uint64(j)
            tail_b += abs(close[k] - close[k - _ONE])
            line[k + size - _ONE] = tail_b
        line[a + size - _ONE] = line[b + size - _ONE] = 0.0
        head_a = 0.0
        head_b = 0.0
        for j in range(length):
            k = a + np.uint64(j)
            x = close[k]
            head_a += abs(x - close[k - _ONE])
            mean_a = _next(mean_a, x, x - close[k - size], line[k] + head_a, slow, span)
            line[k] = mean_a
            k = b + np.uint64(j)
            x = close[k]
            head_b += abs(x - close[k - _ONE])
            mean_b = _next(mean_b, x, x - close[k - size], line[k] + head_b, slow, span)
            line[k] = mean_b
        a += size
        b += size
        mean_a, mean_b = calm(mean_a), calm(mean_b)
    return mean_a, mean_b
