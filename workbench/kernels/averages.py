"""Moving averages: kernels `fn(p, s, bars, out)`.

`p` is the record of parameters, `s` the state (row 0 holds the scalars, a field `ring` uses
every row), `bars` the input columns, `out` an array of shape (bars, outputs). State is kept
between calls, so any split of the bars gives the same bits.
"""

from __future__ import annotations

import numba as nb
import numpy as np

__all__ = ["EMA", "SMA", "ema", "sma"]

#: Running sums are made anew from their window this often, so that they cannot drift.
ANCHOR = 64

SMA = [("count", "i8"), ("sum", "f8"), ("ring", "f8")]
EMA = [("count", "i8"), ("mean", "f8")]


@nb.njit(cache=True, nogil=True)
def sma(p, s, bars, out):
    """Mean of the last `length` values; NaN before."""
    length = p["length"]
    count = s[0]["count"]
    total = s[0]["sum"]
    close = bars.close
    for i in range(len(close)):
        x = close[i]
        at = count % length
        if count < length:
            total += x
        else:
            total += x - s[at]["ring"]
        s[at]["ring"] = x
        count += 1
        if count % ANCHOR == 0:
            total = 0.0
            held = min(count, length)
            for k in range(held):
                total += s[k]["ring"]
        out[i, 0] = total / length if count >= length else np.nan
    s[0]["count"] = count
    s[0]["sum"] = total


@nb.njit(cache=True, nogil=True)
def ema(p, s, bars, out):
    """Exponential mean with factor 2 / (length + 1), seeded by the mean of the first values."""
    length = p["length"]
    count = s[0]["count"]
    mean = s[0]["mean"]
    weight = 2.0 / (length + 1.0)
    rest = 1.0 - weight
    close = bars.close
    n = len(close)
    i = 0
    while i < n and count < length:
        mean += close[i]
        count += 1
        if count == length:
            mean /= length
            out[i, 0] = mean
        else:
            out[i, 0] = np.nan
        i += 1
    while i < n:
        mean = mean * rest + close[i] * weight
        out[i, 0] = mean
        i += 1
    s[0]["count"] = count
    s[0]["mean"] = mean
