"""Ranges of prices: kernels `fn(p, s, bars, out)` (see `averages` for the form)."""

from __future__ import annotations

import math

import numba as nb
import numpy as np

from workbench.kernels.blocks import sum_tails

__all__ = [
    "ATR", "CHOPPINESS", "NATR", "TRANGE", "atr", "average_ranges", "choppiness", "natr",
    "trange", "true_range",
]  # fmt: skip

#: Means that fade toward zero become zero below this, before arithmetic on them gets slow.
FADED = 1e-200

_1, _2, _3, _4 = np.uint64(1), np.uint64(2), np.uint64(3), np.uint64(4)

TRANGE = [("count", "i8"), ("last", "f8")]
NATR = [("count", "i8"), ("last", "f8"), ("place", "i8"), ("mean", "f8"), ("part", "f8"),
        ("power", "f8")]  # fmt: skip
ATR = [*NATR, ("ring", "f8")]
CHOPPINESS = [("count", "i8"), ("last", "f8"), ("at", "i8"), ("head", "f8"), ("top", "f8"),
              ("bottom", "f8"), ("ring", "f8"), ("high", "f8"), ("low", "f8")]  # fmt: skip


@nb.njit(cache=True, nogil=True)
def true_range(high, low, last):
    """Return the range of a bar that begins at the close before."""
    top = last if last > high else high
    bottom = last if last < low else low
    return top - bottom


@nb.njit(cache=True, nogil=True)
def trange(p, s, bars, out):
    """Range from the higher of high and last close to the lower of low and last close."""
    high = bars.high
    low = bars.low
    close = bars.close
    n = len(close)
    if n > 0:
        last = s[0]["last"]
        out[0, 0] = true_range(high[0], low[0], last) if s[0]["count"] > 0 else np.nan
        for i in range(1, n):
            out[i, 0] = true_range(high[i], low[i], close[i - 1])
        s[0]["last"] = close[n - 1]
        s[0]["count"] += n


@nb.njit(cache=True, nogil=True)
def average_ranges(length, skip, s, bars, out):
    """Write Wilder's mean of true ranges to the first output.

    It is seeded by the mean of the first `length` ranges; `skip` is 1 if there is none in the
    first bar. Four rows are done at a time from the mean before them, in terms of powers of
    the factor, so that three of four do not wait for the row before.
    """
    count = s[0]["count"]
    last = s[0]["last"]
    place = s[0]["place"]
    mean = s[0]["mean"]
    part = s[0]["part"]
    power = s[0]["power"]
    high = bars.high
    low = bars.low
    close = bars.close
    n = len(close)
    need = length + skip
    i = 0
    while i < n and count < need:
        if count == 0:
            mean = high[i] - low[i] if skip == 0 else 0.0
        else:
            mean += true_range(high[i], low[i], last)
        last = close[i]
        count += 1
        if count == need:
            mean /= length
            out[i, 0] = mean
        else:
            out[i, 0] = np.nan
        i += 1
    weight = 1.0 / length
    rest = 1.0 - weight
    rest2 = rest * rest
    rest3 = rest2 * rest
    rest4 = rest3 * rest
    count += n - i
    while i < n:
        if place == 0 and n - i >= 4:
            k = np.uint64(i)  # without a sign it needs no test for counting from the end
            for _ in range((n - i) // 4):
                a = true_range(high[k], low[k], last) * weight
                b = a * rest + true_range(high[k + _1], low[k + _1], close[k]) * weight
                c = b * rest + true_range(high[k + _2], low[k + _2], close[k + _1]) * weight
                d = c * rest + true_range(high[k + _3], low[k + _3], close[k + _2]) * weight
                out[k, 0] = mean * rest + a
                out[k + _1, 0] = mean * rest2 + b
                out[k + _2, 0] = mean * rest3 + c
                mean = mean * rest4 + d
                out[k + _3, 0] = mean
                if mean < FADED:
                    mean = 0.0
                last = close[k + _3]
                k += _4
            i += (n - i) // 4 * 4
            continue
        step = true_range(high[i], low[i], last) * weight
        last = close[i]
        part = step if place == 0 else part * rest + step
        power = rest if place == 0 else power * rest
        place += 1
        value = mean * power + part
        out[i, 0] = value
        if place == 4:
            mean = 0.0 if value < FADED else value
            place = 0
        i += 1
    s[0]["count"] = count
    s[0]["last"] = last
    s[0]["place"] = place
    s[0]["mean"] = mean
    s[0]["part"] = part
    s[0]["power"] = power


@nb.njit(cache=True, nogil=True)
def _plain_ranges(length, skip, s, bars, out):
    """Write the mean of the last `length` true ranges; the ring has a place more."""
    count = s[0]["count"]
    last = s[0]["last"]
    at = s[0]["place"]
    head = s[0]["part"]
    ring = s["ring"]
    high = bars.high
    low = bars.low
    close = bars.close
    for i in range(len(close)):
        value = np.nan
        if count >= skip:
            x = high[i] - low[i] if count == 0 else true_range(high[i], low[i], last)
            head += x
            if count >= length + skip - 1:
                value = (head + ring[at + 1]) / length
            ring[at] = x
            at += 1
            if at == length:
                sum_tails(ring, length)
                at = 0
                head = 0.0
        out[i, 0] = value
        last = close[i]
        count += 1
    s[0]["count"] = count
    s[0]["last"] = last
    s[0]["place"] = at
    s[0]["part"] = head


@nb.njit(cache=True, nogil=True)
def atr(p, s, bars, out):
    """Mean of true ranges: Wilder's, or that of the last `length`."""
    skip = 1 - p["start"]
    if p["average"] == 0:
        average_ranges(p["length"], skip, s, bars, out)
    else:
        _plain_ranges(p["length"], skip, s, bars, out)


@nb.njit(cache=True, nogil=True)
def natr(p, s, bars, out):
    """Wilder's mean of true ranges in percent of the close; 0 where the close is 0."""
    average_ranges(p["length"], 1, s, bars, out)
    close = bars.close
    for i in range(len(close)):
        x = close[i]
        value = out[i, 0] / (x if x != 0.0 else 1.0) * 100.0
        out[i, 0] = 0.0 if x == 0.0 and value == value else value


@nb.njit(cache=True, nogil=True)
def choppiness(p, s, bars, out):
    """Sum of true ranges against the range of the whole window, as a logarithm; 0 to 100.

    100 where the window has no range.
    """
    length = p["length"]
    scale = 100.0 / math.log10(length)
    count = s[0]["count"]
    last = s[0]["last"]
    at = s[0]["at"]
    head = s[0]["head"]
    top = s[0]["top"]
    bottom = s[0]["bottom"]
    s[length]["high"] = -np.inf
    s[length]["low"] = np.inf
    for i in range(len(bars.close)):
        high = bars.high[i]
        low = bars.low[i]
        if at == 0:
            head = 0.0
            top = high
            bottom = low
        x = true_range(high, low, last) if count > 0 else high - low
        head += x
        top = high if high > top else top
        bottom = low if low < bottom else bottom
        total = head + s[at + 1]["ring"]
        most = s[at + 1]["high"]
        least = s[at + 1]["low"]
        span = (most if most > top else top) - (least if least < bottom else bottom)
        if count < length:
            out[i, 0] = np.nan
        elif span > 0.0 and total > 0.0:
            out[i, 0] = math.log10(total / span) * scale
        else:
            out[i, 0] = 100.0
        s[at]["ring"] = x
        s[at]["high"] = high
        s[at]["low"] = low
        last = bars.close[i]
        count += 1
        at += 1
        if at == length:
            at = 0
            sum_tails(s["ring"], length)
            for k in range(length - 2, -1, -1):
                s[k]["high"] = max(s[k]["high"], s[k + 1]["high"])
                s[k]["low"] = min(s[k]["low"], s[k + 1]["low"])
    s[0]["count"] = count
    s[0]["last"] = last
    s[0]["at"] = at
    s[0]["head"] = head
    s[0]["top"] = top
    s[0]["bottom"] = bottom
