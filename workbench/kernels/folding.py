"""Bars from smaller bars, with sums as exact as those from trades."""

from __future__ import annotations

import numba as nb
import numpy as np

from workbench.kernels.exact import add, rounded, split

__all__ = ["FOLD", "NEVER", "flawed", "fold", "ordered", "place", "show"]

#: A start that no bar has: rows with it belong to no bar and are passed over.
NEVER = np.int64(-(1 << 62))

#: The bar that is being put together; `start` NEVER means there is none.
FOLD = np.dtype(
    [
        ("start", "i8"),
        ("open", "f8"),
        ("high", "f8"),
        ("low", "f8"),
        ("close", "f8"),
        ("volume_hi", "i8"),
        ("volume_lo", "i8"),
        ("notional_hi", "i8"),
        ("notional_lo", "i8"),
        ("count", "i8"),
        ("symbol", "i8"),
        ("origin", "i8"),
    ]
)

_CLOSED = 2


@nb.njit(cache=True, nogil=True)
def flawed(bars):
    """Return the first row whose numbers cannot be a bar's, or -1.

    Prices must be finite, with low and high around open and close; sums finite, volume not
    below zero.
    """
    for i in range(len(bars)):
        bar = bars[i]
        low = bar["low"]
        high = bar["high"]
        if not (
            low <= bar["open"] <= high
            and low <= bar["close"] <= high
            and low > -np.inf
            and high < np.inf
            and bar["volume"] >= 0.0
            and bar["volume"] < 2.0**51
            and abs(bar["notional"]) < 2.0**51
            and abs(bar["volume_rest"]) < 2.0**51
            and abs(bar["notional_rest"]) < 2.0**51
        ):
            return i
    return -1


@nb.njit(cache=True, nogil=True)
def ordered(bars):
    """Tell whether rows are strictly ordered by symbol and time."""
    for i in range(1, len(bars)):
        if bars[i]["symbol"] < bars[i - 1]["symbol"] or (
            bars[i]["symbol"] == bars[i - 1]["symbol"] and bars[i]["time"] <= bars[i - 1]["time"]
        ):
            return False
    return True


@nb.njit(cache=True, nogil=True)
def place(bars, length, origin, starts):
    """Write the start of the longer bar that holds each row.

    Returns
    -------
    int
        The first row that reaches over the end of the bar it starts in, -1 if none does.
    """
    for i in range(len(bars)):
        bar = bars[i]
        time = bar["time"]
        start = time - (time - origin) % length
        if time + np.int64(bar["timeframe"]) * 1_000_000_000 > start + length:
            return i
        starts[i] = start
    return -1


@nb.njit(cache=True, nogil=True)
def _write(s, seconds, state, revision, out, n):
    """Write the bar that is being put together as row n."""
    bar = out[n]
    volume, volume_rest = rounded(s["volume_hi"], s["volume_lo"])
    notional, notional_rest = rounded(s["notional_hi"], s["notional_lo"])
    bar["time"] = s["start"]
    bar["open"] = s["open"]
    bar["high"] = s["high"]
    bar["low"] = s["low"]
    bar["close"] = s["close"]
    bar["volume"] = volume
    bar["volume_rest"] = volume_rest
    bar["notional"] = notional
    bar["notional_rest"] = notional_rest
    bar["vwap"] = notional / volume if volume > 0.0 else s["close"]
    bar["count"] = s["count"]
    bar["revision"] = revision
    bar["symbol"] = s["symbol"]
    bar["timeframe"] = seconds
    bar["state"] = state
    bar["origin"] = s["origin"]
    bar["padding"] = 0


@nb.njit(cache=True, nogil=True)
def fold(starts, bars, first, s, seconds, out):
    """Put bars together into longer ones, in order of symbol and time.

    Parameters
    ----------
    starts : int64 array, shape (n,)
        Start of the longer bar each row belongs to, NEVER for none.
    bars : array of BAR, shape (n,)
    first : int
        First row to take.
    s : record of FOLD
        The bar that is being put together, kept between calls.
    seconds : int
        What the timeframe column of the longer bars says.
    out : array of BAR
        Receives the longer bars that ended.

    Returns
    -------
    (rows taken up to, bars in out)
        Fewer rows when out is full: drain and call again.
    """
    n = 0
    start = s["start"]
    symbol = s["symbol"]
    for i in range(first, len(bars)):
        if starts[i] == NEVER:
            continue
        bar = bars[i]
        if starts[i] != start or bar["symbol"] != symbol:
            if start != NEVER:
                if n == len(out):
                    return i, n
                _write(s, seconds, _CLOSED, 0, out, n)
                n += 1
            start = starts[i]
            symbol = np.int64(bar["symbol"])
            s["start"] = start
            s["symbol"] = symbol
            s["origin"] = bar["origin"]
            s["open"] = bar["open"]
            s["high"] = bar["high"]
            s["low"] = bar["low"]
            s["volume_hi"] = 0
            s["volume_lo"] = 0
            s["notional_hi"] = 0
            s["notional_lo"] = 0
            s["count"] = 0
        s["high"] = max(s["high"], bar["high"])
        s["low"] = min(s["low"], bar["low"])
        s["close"] = bar["close"]
        s["count"] += bar["count"]
        h, r = split(bar["volume"])
        hi, lo = add(s["volume_hi"], s["volume_lo"], h, r)
        if bar["volume_rest"] != 0.0:
            h, r = split(bar["volume_rest"])
            hi, lo = add(hi, lo, h, r)
        s["volume_hi"] = hi
        s["volume_lo"] = lo
        h, r = split(bar["notional"])
        hi, lo = add(s["notional_hi"], s["notional_lo"], h, r)
        if bar["notional_rest"] != 0.0:
            h, r = split(bar["notional_rest"])
            hi, lo = add(hi, lo, h, r)
        s["notional_hi"] = hi
        s["notional_lo"] = lo
    return len(bars), n


@nb.njit(cache=True, nogil=True)
def show(s, seconds, state, revision, out):
    """Write the bar that is being put together; return how many there are, 1 or 0."""
    if s["start"] == NEVER:
        return 0
    _write(s, seconds, state, revision, out, 0)
    return 1
