"""Where a value stands between the extremes of its window: kernels `fn(p, s, bars, out)`.

Row by row, a window of extremes is the end of one block of `length` rows and the beginning of
the next: the extremes from either side of the border are kept, so a step costs the same for any
length. Many rows at once are done by doubling: extremes of 2 rows, of 4, of 8 ... in vector code.
Extremes are exact, so both ways give the same bits.
"""

from __future__ import annotations

import numba as nb
import numpy as np

from workbench.kernels.momentum import RSI, seed, steady

__all__ = ["STOCHASTIC", "STOCHRSI", "stochastic", "stochrsi", "williams"]

#: Rows done at once, and the longest window for which that is done.
BLOCK = 512
LONGEST = 2048

STOCHASTIC = [
    ("count", "i8"), ("top", "f8"), ("bottom", "f8"), ("high", "f8"), ("low", "f8"),
    ("raw", "f8"), ("smooth", "f8"),
]  # fmt: skip
STOCHRSI = [*RSI, ("rows", "i8"), *STOCHASTIC[1:]]


@nb.njit(cache=True, nogil=True)
def _larger(p, q, out):
    for i in range(len(out)):
        out[i] = p[i] if p[i] > q[i] else q[i]


@nb.njit(cache=True, nogil=True)
def _smaller(p, q, out):
    for i in range(len(out)):
        out[i] = p[i] if p[i] < q[i] else q[i]


@nb.njit(cache=True, nogil=True)
def _extremes(x, length, upper, a, b):
    """Return the extremes of all windows of `length` in x; a and b are room for work."""
    size = len(x)
    if length == 1:
        for i in range(size):
            a[i] = x[i]
        return a[:size]
    size -= 1
    if upper:
        _larger(x[:size], x[1:], a[:size])
    else:
        _smaller(x[:size], x[1:], a[:size])
    span = 2
    while span < length:
        step = min(span, length - span)
        size -= step
        if upper:
            _larger(a[:size], a[step : step + size], b[:size])
        else:
            _smaller(a[:size], a[step : step + size], b[:size])
        a, b = b, a
        span += step
    return a[:size]


@nb.njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _place(top, bottom, x, down):
    """Percent of the way from the lowest to the highest; `down`: from the highest, negative."""
    width = top - bottom
    way = x - top if down else x - bottom
    # 0.0 is added lest an extreme of -0.0 and 0.0 show.
    return (100.0 * (way / width) if width > 0.0 else 0.0) + 0.0


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _places(top, bottom, x, down, out):
    if down:
        for i in range(len(out)):
            out[i] = _place(top[i], bottom[i], x[i], True)
    else:
        for i in range(len(out)):
            out[i] = _place(top[i], bottom[i], x[i], False)


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _column(top, bottom, x, down, out):
    if down:
        for i in range(len(out)):
            out[i, 0] = _place(top[i], bottom[i], x[i], True)
    else:
        for i in range(len(out)):
            out[i, 0] = _place(top[i], bottom[i], x[i], False)


@nb.njit(cache=True, nogil=True)
def _pair(first, second, out):
    for i in range(len(out)):
        out[i, 0] = first[i]
        out[i, 1] = second[i]


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _means(x, length, out):
    """Means of all windows of `length` in x, each added up from its oldest value."""
    n = len(out)
    if length == 1:
        for i in range(n):
            out[i] = x[i]
        return
    first, second = x[:n], x[1 : n + 1]
    for i in range(n):
        out[i] = first[i] + second[i]
    for k in range(2, length):
        more = x[k : k + n]
        for i in range(n):
            out[i] += more[i]
    for i in range(n):
        out[i] /= length


@nb.njit(cache=True, nogil=True, inline="always")
def _ring_mean(s, field, at, length):
    """Mean of the ring `field`, from the oldest value, which is at `at`."""
    total = s[at][field]
    for k in range(at + 1, length):
        total += s[k][field]
    for k in range(at):
        total += s[k][field]
    return total / length


@nb.njit(cache=True, nogil=True, inline="always")
def _extend(s, at, length, high, low, top, bottom):
    """Take a row into the block it falls in; return its extremes since the block began."""
    top = high if at == 0 or high > top else top
    bottom = low if at == 0 or low < bottom else bottom
    s[at]["high"] = high
    s[at]["low"] = low
    return top, bottom


@nb.njit(cache=True, nogil=True, inline="always")
def _close_block(s, length):
    """Turn the rows of a whole block into the extremes from each row to the block's end."""
    for k in range(length - 2, -1, -1):
        if s[k + 1]["high"] > s[k]["high"]:
            s[k]["high"] = s[k + 1]["high"]
        if s[k + 1]["low"] < s[k]["low"]:
            s[k]["low"] = s[k + 1]["low"]


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _rows(s, high, low, x, begin, count, length, smooth, signal, down, out, write):
    """Take the rows from `begin` on one by one; write from row `write` on.

    With `signal` 0 there is one output, else two: the place smoothed, and that smoothed again.
    """
    top = s[0]["top"]
    bottom = s[0]["bottom"]
    at = count % length
    raw_at = count % smooth if signal > 0 else np.int64(0)
    smooth_at = count % signal if signal > 0 else np.int64(0)
    warm = length - 1 if signal == 0 else length + smooth + signal - 3
    for i in range(begin, len(x)):
        top, bottom = _extend(s, at, length, high[i], low[i], top, bottom)
        highest = top
        lowest = bottom
        at += 1
        if at == length:
            at = np.int64(0)
            _close_block(s, length)
        elif count >= length:
            highest = s[at]["high"] if s[at]["high"] > top else top
            lowest = s[at]["low"] if s[at]["low"] < bottom else bottom
        place = _place(highest, lowest, x[i], down)
        if signal == 0:
            if i >= write:
                out[i, 0] = place if count >= warm else np.nan
        else:
            s[raw_at]["raw"] = place
            raw_at = raw_at + 1 if raw_at + 1 < smooth else np.int64(0)
            k = _ring_mean(s, "raw", raw_at, smooth)
            s[smooth_at]["smooth"] = k
            smooth_at = smooth_at + 1 if smooth_at + 1 < signal else np.int64(0)
            if i >= write:
                d = _ring_mean(s, "smooth", smooth_at, signal)
                out[i, 0] = k if count >= warm else np.nan
                out[i, 1] = d if count >= warm else np.nan
        count += 1
    s[0]["top"] = top
    s[0]["bottom"] = bottom


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _blocks(high, low, x, begin, length, smooth, signal, down, out, many):
    """Fill rows whose windows are in the columns, many at once; `many` is how much at most."""
    back = length - 1
    more = smooth + signal - 2 if signal > 0 else 0
    room = many + back + more
    a, b, c, d = np.empty(room), np.empty(room), np.empty(room), np.empty(room)
    place, mean, last = np.empty(many + more), np.empty(many + more), np.empty(many)
    for first in range(begin, len(x), many):
        end = min(first + many, len(x))
        start = first - more
        top = _extremes(high[start - back : end], length, True, a, b)
        bottom = _extremes(low[start - back : end], length, False, c, d)
        if signal == 0:
            _column(top, bottom, x[first:end], down, out[first:end])
            continue
        _places(top, bottom, x[start:end], down, place[: end - start])
        held = end - first + signal - 1
        _means(place[: end - start], smooth, mean[:held])
        _means(mean[:held], signal, last[: end - first])
        _pair(mean[signal - 1 : held], last, out[first:end])


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _all(s, high, low, x, count, length, smooth, signal, down, out):
    """Take all rows, many at once where there are enough; `count` rows were taken before."""
    n = len(x)
    more = smooth + signal - 2 if signal > 0 else 0
    head = length - 1 + more
    if head > LONGEST or n < 4 * head + 256:
        _rows(s, high, low, x, 0, count, length, smooth, signal, down, out, 0)
        return
    if head > 0:
        _rows(s, high[:head], low[:head], x[:head], 0, count, length, smooth, signal, down, out, 0)
    _blocks(high, low, x, head, length, smooth, signal, down, out, max(BLOCK, 2 * head))
    # The state is that of the last rows, from the beginning of a block.
    again = n - head - 1
    again -= (count + again) % length + length
    again = max(again, 0)
    _rows(s, high, low, x, again, count + again, length, smooth, signal, down, out, n)


@nb.njit(cache=True, nogil=True)
def williams(p, s, bars, out):
    """Percent from the highest high of the window down to the close, -100 to 0; 0 if flat."""
    count = s[0]["count"]
    _all(s, bars.high, bars.low, bars.close, count, p["length"], 1, 0, True, out)
    s[0]["count"] = count + len(bars.close)


@nb.njit(cache=True, nogil=True)
def stochastic(p, s, bars, out):
    """Percent from the lowest low up to the close, smoothed, and again; 0 if flat."""
    count = s[0]["count"]
    _all(
        s, bars.high, bars.low, bars.close, count, p["length"], p["smooth"], p["signal"], False, out
    )
    s[0]["count"] = count + len(bars.close)


@nb.njit(cache=True, nogil=True)
def stochrsi(p, s, bars, out):
    """Place of RSI between its own extremes, 0 to 100, smoothed, and again; 0 if flat.

    `seed` 0: RSI begins with plain means, as Wilder and TA-Lib; 1: it is smoothed from 0.
    """
    close = bars.close
    length = p["length"]
    n = len(close)
    if n == 0:
        return
    strength = np.empty(n)
    begin = np.int64(0)
    if s[0]["count"] <= length:
        begin = seed(s, close, length, False, p["seed"] == 1, strength)
    if begin < n:
        steady(s, close, begin, length, False, strength)
    rows = s[0]["rows"]
    skip = max(np.int64(0), min(n, length - rows))
    for i in range(skip):
        out[i, 0] = np.nan
        out[i, 1] = np.nan
    x = strength[skip:]
    count = max(np.int64(0), rows - length)
    _all(s, x, x, x, count, p["stoch"], p["smooth"], p["signal"], False, out[skip:])
    s[0]["rows"] = rows + n
