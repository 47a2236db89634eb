"""Trailing stops: kernels `fn(p, s, bars, out)` (see `averages` for the form)."""

from __future__ import annotations

import numba as nb
import numpy as np

__all__ = ["PSAR", "SUPERTREND", "psar", "supertrend"]

#: A mean range below this has faded away: it is zero, as denormal numbers would be slow. It is
#: looked at after so many rows, by absolute count.
FADED, LOOK = 1e-300, 64

PSAR = [
    ("count", "i8"), ("rising", "i8"), ("stop", "f8"), ("extreme", "f8"), ("factor", "f8"),
    ("high", "f8"), ("low", "f8"),
]  # fmt: skip
SUPERTREND = [
    ("count", "i8"), ("direction", "f8"), ("close", "f8"), ("range", "f8"), ("upper", "f8"),
    ("lower", "f8"),
]  # fmt: skip


@nb.njit(cache=True, nogil=True)
def begin(p, s, high, low, i):
    """Set the first stop at the `i`-th row, the second of all: the first bar's far end.

    The trend falls if the low fell, and by more than the high rose, as in TA-Lib; with rule 1
    it is taken to rise, and the stop has taken its first step.
    """
    step = p["step"]
    last_high = s[0]["high"]
    last_low = s[0]["low"]
    fall = last_low - low[i]
    rising = p["rule"] == 1 or not (fall > 0.0 and fall > high[i] - last_high)
    stop = last_low if rising else last_high
    extreme = high[i] if rising else low[i]
    if p["rule"] == 1:
        extreme = last_high
        stop = stop + step * (extreme - stop)
    s[0]["rising"] = np.int64(rising)
    s[0]["stop"] = stop
    s[0]["extreme"] = extreme
    s[0]["factor"] = step
    if p["rule"] == 0:
        # The bar before the second one is the second one itself in what bounds the stop.
        s[0]["high"] = high[i]
        s[0]["low"] = low[i]


@nb.njit(cache=True, nogil=True)
def psar(p, s, bars, out):
    """Wilder's parabolic stop: nearer to prices with each new extreme of the trend.

    With rule 0 a bar that touches the stop turns the trend and the new stop lies beyond this
    bar and the last; with rule 1 only a bar that passes it does, and the new stop is the
    extreme of the trend that ended, wherever this bar was.
    """
    high = bars.high
    low = bars.low
    n = len(high)
    step = p["step"]
    most = p["maximum"]
    touch = p["rule"] == 0
    i = 0
    while i < n and s[0]["count"] < 2:
        out[i, 0] = np.nan
        if s[0]["count"] == 0:
            s[0]["high"] = high[i]
            s[0]["low"] = low[i]
            i += 1
        else:
            begin(p, s, high, low, i)
        s[0]["count"] += 1
    if s[0]["count"] < 2:
        return
    rising = s[0]["rising"] == 1
    stop = s[0]["stop"]
    extreme = s[0]["extreme"]
    factor = s[0]["factor"]
    last_high = s[0]["high"]
    last_low = s[0]["low"]
    while i < n:
        if rising:
            while i < n:
                h = high[i]
                lo = low[i]
                if lo <= stop and (touch or lo < stop):
                    break
                out[i, 0] = stop
                old = extreme
                extreme = h if h > extreme else extreme
                factor = factor + step * (extreme != old)
                factor = most if factor > most else factor
                bound = lo if lo < last_low else last_low
                stop = stop + factor * (extreme - stop)
                stop = bound if stop > bound else stop
                last_high = h
                last_low = lo
                i += 1
            if i == n:
                break
            bound = max(last_high, h)
            stop = max(extreme, bound) if touch else extreme
            extreme = lo
        else:
            while i < n:
                h = high[i]
                lo = low[i]
                if h >= stop and (touch or h > stop):
                    break
                out[i, 0] = stop
                old = extreme
                extreme = lo if lo < extreme else extreme
                factor = factor + step * (extreme != old)
                factor = most if factor > most else factor
                bound = h if h > last_high else last_high
                stop = stop + factor * (extreme - stop)
                stop = bound if stop < bound else stop
                last_high = h
                last_low = lo
                i += 1
            if i == n:
                break
            bound = min(last_low, lo)
            stop = min(extreme, bound) if touch else extreme
            extreme = h
        out[i, 0] = stop
        rising = not rising
        factor = step
        stop = stop + factor * (extreme - stop)
        stop = min(stop, bound) if rising else max(stop, bound)
        last_high = h
        last_low = lo
        i += 1
    s[0]["rising"] = np.int64(rising)
    s[0]["stop"] = stop
    s[0]["extreme"] = extreme
    s[0]["factor"] = factor
    s[0]["high"] = last_high
    s[0]["low"] = last_low


@nb.njit(cache=True, nogil=True)
def supertrend(p, s, bars, out):
    """A band below or above prices, as wide as some average true ranges, that only tightens."""
    length = p["length"]
    width = p["width"]
    high = bars.high
    low = bars.low
    close = bars.close
    count = s[0]["count"]
    direction = s[0]["direction"]
    last = s[0]["close"]
    mean = s[0]["range"]
    upper = s[0]["upper"]
    lower = s[0]["lower"]
    share = 1.0 / length
    rest = 1.0 - share
    for i in range(len(high)):
        h = high[i]
        lo = low[i]
        c = close[i]
        reach = 0.0
        if count > 0:
            # The true range: the last close counts as part of the bar.
            reach = (h if h > last else last) - (lo if lo < last else last)
        if count <= length:
            mean += reach
            if count == length:
                mean /= length
        else:
            mean = mean * rest + reach * share
        if count < length:
            for k in range(4):
                out[i, k] = np.nan
        else:
            centre = (h + lo) * 0.5
            above = centre + width * mean
            below = centre - width * mean
            if count == length:
                direction = 1.0
                if p["start"] == 2 or (p["start"] == 0 and c < centre):
                    direction = -1.0
                upper = above
                lower = below
            upper = above if (above < upper) | (last > upper) else upper
            lower = below if (below > lower) | (last < lower) else lower
            line = lower if direction > 0.0 else upper
            direction = -1.0 if c <= line else 1.0
            out[i, 0] = lower if direction > 0.0 else upper
            out[i, 1] = direction
            out[i, 2] = upper
            out[i, 3] = lower
        last = c
        count += 1
        if count % LOOK == 0 and mean < FADED:
            mean = 0.0
    s[0]["count"] = count
    s[0]["direction"] = direction
    s[0]["close"] = last
    s[0]["range"] = mean
    s[0]["upper"] = upper
    s[0]["lower"] = lower
