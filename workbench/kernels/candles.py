"""Candles made of candles: kernels `fn(p, s, bars, out)` (see `averages` for the form)."""

from __future__ import annotations

import numba as nb

__all__ = ["HEIKIN_ASHI", "heikin_ashi"]

HEIKIN_ASHI = [("count", "i8"), ("middle", "f8")]


@nb.njit(cache=True, nogil=True)
def heikin_ashi(p, s, bars, out):
    """Candles that open in the middle of the one before and close at the mean of the bar."""
    # Where the next candle opens.
    middle = s[0]["middle"]
    n = len(bars.close)
    if n > 0 and s[0]["count"] == 0:
        middle = (bars.open[0] + bars.close[0]) * 0.5
    for i in range(n):
        o = middle
        h = bars.high[i]
        lo = bars.low[i]
        c = (bars.open[i] + h + lo + bars.close[i]) * 0.25
        top = o if o > c else c
        bottom = o if o < c else c
        out[i, 0] = o
        out[i, 1] = h if h > top else top
        out[i, 2] = lo if lo < bottom else bottom
        out[i, 3] = c
        middle = (o + c) * 0.5
    s[0]["count"] += n
    s[0]["middle"] = middle
