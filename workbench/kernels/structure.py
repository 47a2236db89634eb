"""Market structure: swings, breaks of structure and changes of character."""

from __future__ import annotations

import numba as nb
import numpy as np

from workbench.kernels.swings import (
    BORN,
    DOWN,
    ENDED,
    HEAD,
    RANGE,
    SWINGS,
    UP,
    average_range,
    head,
    keep,
    swing_high,
    swing_low,
)

__all__ = ["EVENTS", "STATE", "structure"]

STATE = [
    *RANGE, *SWINGS, ("trend", "i8"), ("highs", "i8"), ("lows", "i8"), ("break_id", "i8"),
]  # fmt: skip
EVENTS = [
    *HEAD, ("label", "i8"), ("side", "i8"), ("price", "f8"), ("broke", "i8"), ("trend", "i8"),
    ("strength", "f8"),
]  # fmt: skip

_HIGH, _LOW, _BREAK = 0, 1, 2
_BROKEN, _SUPERSEDED = 1, 2
_HH, _HL, _LH, _LL, _EH, _EL, _BOS, _CHOCH = 1, 2, 3, 4, 5, 6, 7, 8


@nb.njit(cache=True, nogil=True)
def _more(e, label, side, price, broke, trend, strength):
    e["label"] = label
    e["side"] = side
    e["price"] = price
    e["broke"] = broke
    e["trend"] = trend
    e["strength"] = strength


@nb.njit(cache=True, nogil=True)
def _over(a, b):
    """Return a / b, NaN where b is not above zero."""
    if b > 0.0:
        return a / b
    return np.nan


@nb.njit(cache=True, nogil=True)
def _new_break(r, trend, end, out, k):
    """Set the trend, and let the break that set it before end."""
    if r["trend"] != 0:
        head(out[k], end, r["break_id"], ENDED, _BREAK, _SUPERSEDED, 0, 0, 0)
        k += 1
    r["trend"] = trend
    r["break_id"] = r["next"]
    return k


@nb.njit(cache=True, nogil=True)
def _breaks(r, bar, atr, out, k):
    """Write the breaks of the last swings by the close of a bar; return the next free row."""
    time = bar["time"]
    end = bar["end"]
    close = bar["close"]
    if r["high_open"] == 1 and close > r["high"]:
        r["high_open"] = 0
        head(out[k], end, r["high_id"], ENDED, _HIGH, _BROKEN, 0, 0, 0)
        k += 1
        label = _CHOCH if r["trend"] == DOWN else _BOS
        k = _new_break(r, UP, end, out, k)
        head(out[k], end, r["next"], BORN, _BREAK, 0, time, r["high_time"], time)
        _more(out[k], label, UP, r["high"], r["high_id"], UP, _over(close - r["high"], atr))
        r["next"] += 1
        k += 1
    if r["low_open"] == 1 and close < r["low"]:
        r["low_open"] = 0
        head(out[k], end, r["low_id"], ENDED, _LOW, _BROKEN, 0, 0, 0)
        k += 1
        label = _CHOCH if r["trend"] == UP else _BOS
        k = _new_break(r, DOWN, end, out, k)
        head(out[k], end, r["next"], BORN, _BREAK, 0, time, r["low_time"], time)
        _more(out[k], label, DOWN, r["low"], r["low_id"], DOWN, _over(r["low"] - close, atr))
        r["next"] += 1
        k += 1
    return k


@nb.njit(cache=True, nogil=True)
def _new_high(r, price, formed, first, bar, atr, out, k):
    """Write a swing high, and the end of the one it takes over from."""
    if r["high_open"] == 1:
        head(out[k], bar["end"], r["high_id"], ENDED, _HIGH, _SUPERSEDED, 0, 0, 0)
        k += 1
    label = 0
    if r["highs"] > 0:
        label = _HH if price > r["high"] else (_LH if price < r["high"] else _EH)
    strength = np.nan
    if r["lows"] > 0:
        strength = _over(price - r["low"], atr)
    head(out[k], bar["end"], r["next"], BORN, _HIGH, 0, formed, first, bar["time"])
    _more(out[k], label, UP, price, -1, r["trend"], strength)
    r["high"] = price
    r["high_time"] = formed
    r["high_id"] = r["next"]
    r["high_open"] = 1
    r["highs"] += 1
    r["next"] += 1
    return k + 1


@nb.njit(cache=True, nogil=True)
def _new_low(r, price, formed, first, bar, atr, out, k):
    """Write a swing low, and the end of the one it takes over from."""
    if r["low_open"] == 1:
        head(out[k], bar["end"], r["low_id"], ENDED, _LOW, _SUPERSEDED, 0, 0, 0)
        k += 1
    label = 0
    if r["lows"] > 0:
        label = _HL if price > r["low"] else (_LL if price < r["low"] else _EL)
    strength = np.nan
    if r["highs"] > 0:
        strength = _over(r["high"] - price, atr)
    head(out[k], bar["end"], r["next"], BORN, _LOW, 0, formed, first, bar["time"])
    _more(out[k], label, DOWN, price, -1, r["trend"], strength)
    r["low"] = price
    r["low_time"] = formed
    r["low_id"] = r["next"]
    r["low_open"] = 1
    r["lows"] += 1
    r["next"] += 1
    return k + 1


@nb.njit(cache=True, nogil=True)
def structure(p, s, w, z, bars, out):
    """Find swings, and the closes beyond the last of them."""
    r = s[0]
    left = p["left"]
    right = p["right"]
    before = p["ties"] >= 2  # strict, first, last, any
    after = p["ties"] == 1 or p["ties"] == 3
    most = p["most"]
    size = len(w)
    k = 0
    i = 0
    while i < len(bars) and len(out) - k >= most:
        bar = bars[i]
        atr = average_range(r, bar, p["atr"])
        keep(w, r["count"], bar, atr)
        r["count"] += 1
        k = _breaks(r, bar, atr, out, k)
        at = r["count"] - 1 - right
        if at >= left:
            old = w[at % size]
            first = w[(at - left) % size]["time"]
            if swing_high(w, at, left, right, before, after):
                k = _new_high(r, old["high"], old["time"], first, bar, atr, out, k)
            if swing_low(w, at, left, right, before, after):
                k = _new_low(r, old["low"], old["time"], first, bar, atr, out, k)
        i += 1
    return i, k
