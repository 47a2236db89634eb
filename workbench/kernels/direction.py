"""Direction of a trend: kernels `fn(p, s, bars, out)` (see `averages` for the form).

Rises of the high and falls of the low, smoothed as Wilder did, against the true range.
"""

from __future__ import annotations

import numba as nb
import numpy as np

__all__ = ["ADXR", "MOVEMENT", "VORTEX", "adx", "adxr", "dmi", "dx", "vortex"]

#: Below this a smoothed range, or a sum of directions, counts as zero, as in TA-Lib.
ZERO = 1e-14

#: Rows, by absolute count, after which sums that fade toward zero are looked at, and the size
#: below which they are zero: denormal numbers would be slow.
LOOK, FADED = 64, 1e-300

#: `value` is the smoothed index, or its running sum in the warm-up.
MOVEMENT = [
    ("count", "i8"), ("high", "f8"), ("low", "f8"), ("close", "f8"),
    ("plus", "f8"), ("minus", "f8"), ("range", "f8"), ("value", "f8"),
]  # fmt: skip
ADXR = [*MOVEMENT, ("place", "i8"), ("ring", "f8")]
VORTEX = [
    ("count", "i8"), ("place", "i8"), ("high", "f8"), ("low", "f8"), ("close", "f8"),
    ("plus", "f8"), ("minus", "f8"), ("range", "f8"),
    ("pluses", "f8"), ("minuses", "f8"), ("ranges", "f8"),
]  # fmt: skip


@nb.njit(inline="always")
def rise_of(high, low, last_high, last_low):
    """Return how much higher the high is, if that is more than the low is lower; else 0."""
    rise = high - last_high
    return rise if (rise > 0.0) & (rise > last_low - low) else 0.0


@nb.njit(inline="always")
def fall_of(high, low, last_high, last_low):
    """Return how much lower the low is, if that is more than the high is higher; else 0."""
    fall = last_low - low
    return fall if (fall > 0.0) & (fall > high - last_high) else 0.0


@nb.njit(inline="always")
def range_of(high, low, last_close):
    """Return the true range."""
    widest = high - low
    above = abs(high - last_close)
    below = abs(low - last_close)
    widest = above if above > widest else widest
    return below if below > widest else widest


@nb.njit(inline="always")
def index_of(plus, minus, total, before):
    """Return 100 times the difference of directions over their sum; `before` if that is 0."""
    if total < ZERO:
        return before
    scale = 100.0 / total
    both = (plus + minus) * scale
    return 100.0 * (abs(plus - minus) * scale / both) if both >= ZERO else before


@nb.njit(inline="always")
def faded(value):
    """Return 0 for a value that has faded away."""
    return 0.0 if value < FADED else value


@nb.njit(cache=True, nogil=True)
def start(p, s, bars):
    """Take the rows up to the one before the first index, or all; return how many.

    The changes of these rows are summed up. The next change fades the sums as all later ones
    do, as in TA-Lib, or is one more to be added whole, as in Wilder's book.
    """
    length = p["length"]
    count = s[0]["count"]
    n = len(bars.high)
    i = 0
    while i < n and count < length:
        high = bars.high[i]
        low = bars.low[i]
        if count > 0:
            last_high = s[0]["high"]
            last_low = s[0]["low"]
            s[0]["plus"] += rise_of(high, low, last_high, last_low)
            s[0]["minus"] += fall_of(high, low, last_high, last_low)
            s[0]["range"] += range_of(high, low, s[0]["close"])
        s[0]["high"] = high
        s[0]["low"] = low
        s[0]["close"] = bars.close[i]
        count += 1
        i += 1
    s[0]["count"] = count
    return i


@nb.njit(cache=True, nogil=True)
def dmi(p, s, bars, out):
    """Directions, 0 to 100: smoothed rises, and falls, of 100 of smoothed true range.

    Both are 0 where nothing moved.
    """
    length = p["length"]
    i = start(p, s, bars)
    out[:i] = np.nan
    count = s[0]["count"]
    high, low, close = s[0]["high"], s[0]["low"], s[0]["close"]
    plus, minus, total = s[0]["plus"], s[0]["minus"], s[0]["range"]
    rest = 1.0 if count == length and p["start"] == 1 else 1.0 - 1.0 / length
    n = len(bars.high)
    while i < n:
        stop = min(n, i + 1 if count == length else i + LOOK - count % LOOK)
        count += stop - i
        for k in range(i, stop):
            h = bars.high[k]
            lo = bars.low[k]
            plus = plus * rest + rise_of(h, lo, high, low)
            minus = minus * rest + fall_of(h, lo, high, low)
            total = total * rest + range_of(h, lo, close)
            high = h
            low = lo
            close = bars.close[k]
            scale = 100.0 / total if total >= ZERO else 0.0
            out[k, 0] = plus * scale
            out[k, 1] = minus * scale
        i = stop
        rest = 1.0 - 1.0 / length
        if count % LOOK == 0:
            plus, minus, total = faded(plus), faded(minus), faded(total)
    s[0]["count"] = count
    s[0]["high"], s[0]["low"], s[0]["close"] = high, low, close
    s[0]["plus"], s[0]["minus"], s[0]["range"] = plus, minus, total


@nb.njit(cache=True, nogil=True)
def dx(p, s, bars, out):
    """Difference of the directions in per cent of their sum.

    Where nothing moved it stays as it was, 0 at first.
    """
    length = p["length"]
    i = start(p, s, bars)
    out[:i] = np.nan
    count = s[0]["count"]
    high, low, close = s[0]["high"], s[0]["low"], s[0]["close"]
    plus, minus, total = s[0]["plus"], s[0]["minus"], s[0]["range"]
    value = s[0]["value"]
    rest = 1.0 if count == length and p["start"] == 1 else 1.0 - 1.0 / length
    n = len(bars.high)
    while i < n:
        stop = min(n, i + 1 if count == length else i + LOOK - count % LOOK)
        count += stop - i
        for k in range(i, stop):
            h = bars.high[k]
            lo = bars.low[k]
            plus = plus * rest + rise_of(h, lo, high, low)
            minus = minus * rest + fall_of(h, lo, high, low)
            total = total * rest + range_of(h, lo, close)
            high = h
            low = lo
            close = bars.close[k]
            value = index_of(plus, minus, total, value)
            out[k, 0] = value
        i = stop
        rest = 1.0 - 1.0 / length
        if count % LOOK == 0:
            plus, minus, total = faded(plus), faded(minus), faded(total)
    s[0]["count"] = count
    s[0]["high"], s[0]["low"], s[0]["close"] = high, low, close
    s[0]["plus"], s[0]["minus"], s[0]["range"] = plus, minus, total
    s[0]["value"] = value


@nb.njit(inline="always")
def directions(plus, minus, total):
    """Return both directions; 0 where nothing moved."""
    scale = 100.0 / total if total >= ZERO else 0.0
    return plus * scale, minus * scale


@nb.njit(cache=True, nogil=True)
def settle(p, s, bars, out, i):
    """Take the rows in which the index is summed up, from the `i`-th; return the next one.

    The mean of `length` indices is the first smoothed one; an index where nothing moved
    counts as 0 among them. `out` gets the directions in its columns 1 and 2, if it has them.
    """
    length = p["length"]
    n = len(bars.high)
    wide = out.shape[1] == 3
    while i < n and s[0]["count"] < 2 * length:
        high = bars.high[i]
        low = bars.low[i]
        rest = 1.0 - 1.0 / length
        if s[0]["count"] == length and p["start"] == 1:
            rest = 1.0
        last_high = s[0]["high"]
        last_low = s[0]["low"]
        s[0]["plus"] = s[0]["plus"] * rest + rise_of(high, low, last_high, last_low)
        s[0]["minus"] = s[0]["minus"] * rest + fall_of(high, low, last_high, last_low)
        s[0]["range"] = s[0]["range"] * rest + range_of(high, low, s[0]["close"])
        s[0]["high"] = high
        s[0]["low"] = low
        s[0]["close"] = bars.close[i]
        s[0]["value"] += index_of(s[0]["plus"], s[0]["minus"], s[0]["range"], 0.0)
        s[0]["count"] += 1
        out[i, 0] = np.nan
        if s[0]["count"] == 2 * length:
            s[0]["value"] /= length
            out[i, 0] = s[0]["value"]
        if wide:
            out[i, 1], out[i, 2] = directions(s[0]["plus"], s[0]["minus"], s[0]["range"])
        if s[0]["count"] % LOOK == 0:
            s[0]["plus"] = faded(s[0]["plus"])
            s[0]["minus"] = faded(s[0]["minus"])
            s[0]["range"] = faded(s[0]["range"])
        i += 1
    return i


@nb.njit(cache=True, nogil=True)
def adx(p, s, bars, out):
    """Index of direction, smoothed, and the two directions it is made of.

    The index stays as it was where nothing moved; the directions are 0 there.
    """
    i = start(p, s, bars)
    out[:i] = np.nan
    i = settle(p, s, bars, out, i)
    length = p["length"]
    count = s[0]["count"]
    high, low, close = s[0]["high"], s[0]["low"], s[0]["close"]
    plus, minus, total = s[0]["plus"], s[0]["minus"], s[0]["range"]
    value = s[0]["value"]
    share = 1.0 / length
    rest = 1.0 - share
    n = len(bars.high)
    while i < n:
        stop = min(n, i + LOOK - count % LOOK)
        count += stop - i
        for k in range(i, stop):
            h = bars.high[k]
            lo = bars.low[k]
            plus = plus * rest + rise_of(h, lo, high, low)
            minus = minus * rest + fall_of(h, lo, high, low)
            total = total * rest + range_of(h, lo, close)
            high = h
            low = lo
            close = bars.close[k]
            up = 0.0
            down = 0.0
            if total >= ZERO:
                scale = 100.0 / total
                up = plus * scale
                down = minus * scale
                both = up + down
                if both >= ZERO:
                    value = value * rest + 100.0 * (abs(up - down) / both) * share
            out[k, 0] = value
            out[k, 1] = up
            out[k, 2] = down
        i = stop
        if count % LOOK == 0:
            plus, minus, total = faded(plus), faded(minus), faded(total)
            value = faded(value)
    s[0]["count"] = count
    s[0]["high"], s[0]["low"], s[0]["close"] = high, low, close
    s[0]["plus"], s[0]["minus"], s[0]["range"] = plus, minus, total
    s[0]["value"] = value


@nb.njit(cache=True, nogil=True)
def adxr(p, s, bars, out):
    """Mean of the smoothed index and the one `length - 1` bars before."""
    i = start(p, s, bars)
    out[:i] = np.nan
    length = p["length"]
    begin = i
    i = settle(p, s, bars, out, i)
    count = s[0]["count"]
    if i > begin and count == 2 * length:
        s[0]["ring"] = s[0]["value"]
        out[i - 1, 0] = s[0]["value"] if length == 1 else np.nan
        s[0]["place"] = 1 if length > 1 else 0
    high, low, close = s[0]["high"], s[0]["low"], s[0]["close"]
    plus, minus, total = s[0]["plus"], s[0]["minus"], s[0]["range"]
    value = s[0]["value"]
    place = s[0]["place"]
    share = 1.0 / length
    rest = 1.0 - share
    n = len(bars.high)
    while i < n:
        stop = min(n, i + LOOK - count % LOOK)
        for k in range(i, stop):
            h = bars.high[k]
            lo = bars.low[k]
            plus = plus * rest + rise_of(h, lo, high, low)
            minus = minus * rest + fall_of(h, lo, high, low)
            total = total * rest + range_of(h, lo, close)
            high = h
            low = lo
            close = bars.close[k]
            if total >= ZERO:
                scale = 100.0 / total
                both = (plus + minus) * scale
                if both >= ZERO:
                    value = value * rest + 100.0 * (abs(plus - minus) * scale / both) * share
            s[place]["ring"] = value
            place += 1
            if place == length:
                place = 0
            # The place that is written next holds the value of length - 1 bars ago.
            count += 1
            before = s[place]["ring"]
            out[k, 0] = 0.5 * (value + before) if count >= 3 * length - 1 else np.nan
        i = stop
        if count % LOOK == 0:
            plus, minus, total = faded(plus), faded(minus), faded(total)
            value = faded(value)
    s[0]["count"] = count
    s[0]["high"], s[0]["low"], s[0]["close"] = high, low, close
    s[0]["plus"], s[0]["minus"], s[0]["range"] = plus, minus, total
    s[0]["value"] = value
    s[0]["place"] = place


@nb.njit(cache=True, nogil=True)
def vortex(p, s, bars, out):
    """Sums of upward and of downward movement, each over the sum of true ranges; 0 over 0 is 0.

    A window is the end of one block of `length` rows and the beginning of the next. Sums from
    each row to the end of its block are made when the block is full; nothing is ever taken
    from a sum, so that none can drift.
    """
    length = p["length"]
    count = s[0]["count"]
    place = s[0]["place"]
    high, low, close = s[0]["high"], s[0]["low"], s[0]["close"]
    plus, minus, total = s[0]["plus"], s[0]["minus"], s[0]["range"]
    for i in range(len(bars.high)):
        h = bars.high[i]
        lo = bars.low[i]
        up = np.nan
        down = np.nan
        if count > 0:
            rise = abs(h - low)
            fall = abs(lo - high)
            reach = range_of(h, lo, close)
            plus += rise
            minus += fall
            total += reach
            if count >= length:
                whole = total + s[place + 1]["ranges"]
                up = 0.0
                down = 0.0
                if whole > 0.0:
                    up = (plus + s[place + 1]["pluses"]) / whole
                    down = (minus + s[place + 1]["minuses"]) / whole
            s[place]["pluses"] = rise
            s[place]["minuses"] = fall
            s[place]["ranges"] = reach
            place += 1
            if place == length:
                place = 0
                plus = 0.0
                minus = 0.0
                total = 0.0
                # The row past the last of a block stays zero.
                for k in range(length - 1, -1, -1):
                    s[k]["pluses"] += s[k + 1]["pluses"]
                    s[k]["minuses"] += s[k + 1]["minuses"]
                    s[k]["ranges"] += s[k + 1]["ranges"]
        out[i, 0] = up
        out[i, 1] = down
        high = h
        low = lo
        close = bars.close[i]
        count += 1
    s[0]["count"] = count
    s[0]["place"] = place
    s[0]["high"], s[0]["low"], s[0]["close"] = high, low, close
    s[0]["plus"], s[0]["minus"], s[0]["range"] = plus, minus, total
