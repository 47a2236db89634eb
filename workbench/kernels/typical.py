"""Of typical prices, the mean of high, low and close: kernels `fn(p, s, bars, out)`."""

from __future__ import annotations

import numba as nb
import numpy as np

__all__ = ["CCI", "MFI", "cci", "mfi"]

#: Rows done at once.
BLOCK = 512

CCI = [("count", "i8"), ("ring", "f8")]
MFI = [
    ("count", "i8"), ("last", "f8"), ("up", "f8"), ("down", "f8"),
    ("flow", "f8"), ("old_up", "f8"), ("old_down", "f8"),
]  # fmt: skip


@nb.njit(cache=True, nogil=True, inline="always")
def _typical(high, low, close):
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
        out[i] = _typical(high[i], low[i], close[i])


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
        now = _typical(high[i], low[i], close[i])
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
        s[at]["ring"] = _typical(high[i], low[i], close[i])
        at += 1
        if at == length:
            at = np.int64(0)
    s[0]["count"] = count


@nb.njit(cache=True, nogil=True, inline="always")
def _turn(s, length):
    """Turn the flows of a whole block into sums from each row to the block's end."""
    up = 0.0
    down = 0.0
    for k in range(length - 1, -1, -1):
        flow = s[k]["flow"]
        up += flow if flow > 0.0 else 0.0
        down -= flow if flow < 0.0 else 0.0
        s[k]["old_up"] = up
        s[k]["old_down"] = down


@nb.njit(cache=True, nogil=True, error_model="numpy")
def mfi(p, s, bars, out):
    """Share of the money that moved at risen typical prices, 0 to 100; 0 if none moved.

    A window is the end of one block of `length` rows and the beginning of the next: sums from
    either side of the border need no subtraction, so nothing can be left of what is gone.
    """
    high, low, close, volume = bars.high, bars.low, bars.close, bars.volume
    length = p["length"]
    count = s[0]["count"]
    last = s[0]["last"]
    up = s[0]["up"]
    down = s[0]["down"]
    n = len(close)
    i = np.int64(0)
    if count == 0 and n > 0:
        last = _typical(high[0], low[0], close[0])
        out[0, 0] = np.nan
        count = np.int64(1)
        i = np.int64(1)
    at = (count - 1) % length
    while i < n:
        price = _typical(high[i], low[i], close[i])
        flow = price * volume[i]
        flow = flow if price > last else (-flow if price < last else 0.0)
        last = price
        up += flow if flow > 0.0 else 0.0
        down -= flow if flow < 0.0 else 0.0
        s[at]["flow"] = flow
        at += 1
        if at < length:
            rises = up + s[at]["old_up"]
            moved = rises + (down + s[at]["old_down"])
        else:
            rises = up
            moved = up + down
            _turn(s, length)
            at = np.int64(0)
            up = 0.0
            down = 0.0
        share = 100.0 * (rises / moved) if moved > 0.0 else 0.0
        out[i, 0] = share if count >= length else np.nan
        count += 1
        i += 1
    s[0]["count"] = count
    s[0]["last"] = last
    s[0]["up"] = up
    s[0]["down"] = down
