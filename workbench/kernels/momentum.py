"""Momentum: kernels `fn(p, s, bars, out)` (see `averages` for the form)."""

from __future__ import annotations

import numba as nb
import numpy as np

__all__ = ["RSI", "rsi"]

RSI = [("count", "i8"), ("last", "f8"), ("gain", "f8"), ("loss", "f8")]


@nb.njit(cache=True, nogil=True)
def rsi(p, s, bars, out):
    """Relative strength of rises against falls, 0 to 100, smoothed as Wilder did.

    Seeded by the means of the first `length` changes; 0 when nothing moved.
    """
    length = p["length"]
    count = s[0]["count"]
    last = s[0]["last"]
    gain = s[0]["gain"]
    loss = s[0]["loss"]
    close = bars.close
    n = len(close)
    i = 0
    while i < n and count <= length:
        x = close[i]
        if count > 0:
            change = x - last
            if change > 0.0:
                gain += change
            else:
                loss -= change
        last = x
        if count == length:
            gain /= length
            loss /= length
            total = gain + loss
            out[i, 0] = 100.0 * (gain / total) if total > 0.0 else 0.0
        else:
            out[i, 0] = np.nan
        count += 1
        i += 1
    while i < n:
        change = close[i] - last
        last = close[i]
        rise = change if change > 0.0 else 0.0
        fall = -change if change < 0.0 else 0.0
        gain = (gain * (length - 1) + rise) / length
        loss = (loss * (length - 1) + fall) / length
        total = gain + loss
        out[i, 0] = 100.0 * (gain / total) if total > 0.0 else 0.0
        i += 1
    s[0]["count"] = count
    s[0]["last"] = last
    s[0]["gain"] = gain
    s[0]["loss"] = loss
