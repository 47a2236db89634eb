"""Distance of typical prices to their mean: kernels `fn(p, s, bars, out)`."""

from __future__ import annotations

import numba as nb
import numpy as np

__all__ = ["CCI", "cci", "typical"]

#: Rows done at once.
BLOCK = 512

CCI = [("count", "i8"), ("ring", "f8")]


@nb.njit(cache=True, nogil=True, inline="always")
def typical(high, low, close):
    """Mean of high, low and close."""
    return (high + low + close) / 3.0


@nb.njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _deviation(total, spread, length):
    """Distance to the mean in units of 0.015 mean deviations, of sums rebased to the value.

    A sum of distances that is nothing beside the distances it is of would be chance.
    """
    return -(total / length) / (0.015 * (spread / length)) if spread > 0.0 else 0.0


@nb.njit(cache=True, nogil=True)
def _typicals(high, low, close, out):
    for i in range(len(close)):
        out[i] = typical(high[i], low[i], close[i])


@nb.njit(cache=True, nogil=True)
def _distances(then, now, total):
    for i in range(len(total)):
        total[i] += then[i] - now[i]


@nb.njit(cache=True, nogil=True)
def _spreads(then, now, shift, spread):
    for i in range(len(spread)):
        spread[i] += abs((then[i] - now[i]) - shift[i])


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _result(total, spread, length, out):
    for i in range(len(out)):
        out[i, 0] = _deviation(total[i], spread[i], length)


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _blocks(high, low, close, begin, length, out):
    """Fill rows whose windows are in the columns, many at once."""
    back = length - 1
    price = np.empty(BLOCK + back)
    total, shift, spread = np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK)
    for first in range(begin, len(close), BLOCK):
        n = min(BLOCK, len(close) - first)
        start, end = first - back, first + n
        _typicals(high[start:end], low[start:end], close[start:end], price)
        now = price[back:]
        total[:] = 0.0
        spread[:] = 0.0
        for k in range(length):
            _distances(price[k:], now, total[:n])
        for i in range(n):
            shift[i] = total[i] / length
        for k in range(length):
            _spreads(price[k:], now, shift, spread[:n])
        _result(total, spread, length, out[first:end])


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _rows(s, high, low, close, length, out):
    count = s[0]["count"]
    at = count % length
    for i in range(len(close)):
        now = typical(high[i], low[i], close[i])
        s[at]["ring"] = now
        at += 1
        if at == length:
            at = np.int64(0)
        count += 1
        if count < length:
            out[i, 0] = np.nan
            continue
        total = 0.0
        for k in range(at, length):
            total += s[k]["ring"] - now
        for k in range(at):
            total += s[k]["ring"] - now
        shift = total / length
        spread = 0.0
        for k in range(at, length):
            spread += abs((s[k]["ring"] - now) - shift)
        for k in range(at):
            spread += abs((s[k]["ring"] - now) - shift)
        out[i, 0] = _deviation(total, spread, length)
    s[0]["count"] = count


@nb.njit(cache=True, nogil=True, error_model="numpy")
def cci(p, s, bars, out):
    """Distance of the typical price to its mean, in units of 0.015 mean deviations; 0 if flat.

    Each window is added up anew, of distances to its last value: nothing drifts or cancels.
    """
    high, low, close = bars.high, bars.low, bars.close
    length = p["length"]
    n = len(close)
    head = length - 1
    if n < 4 * head + BLOCK:
        _rows(s, high, low, close, length, out)
        return
    _rows(s, high[:head], low[:head], close[:head], length, out)
    _blocks(high, low, close, head, length, out)
    count = s[0]["count"] + n - head
    at = (count - length) % length
    for i in range(n - length, n):
        s[at]["ring"] = typical(high[i], low[i], close[i])
        at += 1
        if at == length:
            at = np.int64(0)
    s[0]["count"] = count
