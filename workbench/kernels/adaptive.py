"""A mean that adapts its pace to the market: kernel `fn(p, s, bars, out)` (see `averages`)."""

from __future__ import annotations

import numba as nb
import numpy as np

__all__ = ["KAMA", "kama"]

KAMA = [("count", "i8"), ("at", "i8"), ("last", "f8"), ("mean", "f8"), ("head", "f8"),
        ("ring", "f8"), ("closes", "f8")]  # fmt: skip

_ONE = np.uint64(1)


@nb.njit(cache=True, nogil=True, inline="always", error_model="numpy")
def _next(mean, x, change, path, slow, span):
    """Return the mean after a close `x` that lies `change` from one `length` rows ago.

    The way taken in between is `path`; where nothing moved, the pace is the fast one.
    """
    ratio = abs(change) / path if path > change else 1.0
    pace = ratio * span + slow
    pace *= pace
    return mean * (1.0 - pace) + x * pace


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
            mean = _blocks(close, line, i, stop, length, mean, slow, span)
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
        i += 1
    s[0]["count"] = count
    s[0]["at"] = at
    s[0]["last"] = last
    s[0]["mean"] = mean
    s[0]["head"] = head


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _blocks(close, line, i, stop, length, mean, slow, span):
    """Do whole blocks of rows (see `sliding`) from `i` to `stop`; return the mean."""
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
    return mean
