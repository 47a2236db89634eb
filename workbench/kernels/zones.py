"""Zones that price may come back to: fair value gaps and order blocks."""

from __future__ import annotations

import numba as nb
import numpy as np

from workbench.kernels.swings import (
    BORN,
    CHANGED,
    ENDED,
    HEAD,
    RANGE,
    SWINGS,
    TOUCHED,
    average_range,
    head,
    keep,
    swing_high,
    swing_low,
)

__all__ = [
    "BLOCKS",
    "BLOCK_EVENTS",
    "GAPS",
    "GAP_EVENTS",
    "ZONES",
    "fair_value_gaps",
    "order_blocks",
]

#: A zone that is still open.
ZONES = [
    ("id", "i8"), ("kind", "i8"), ("low", "f8"), ("high", "f8"), ("filled", "f8"),
    ("touched", "i8"),
]  # fmt: skip

GAPS = [("count", "i8"), ("next", "i8"), ("open", "i8")]
GAP_EVENTS = [
    *HEAD, ("low", "f8"), ("high", "f8"), ("size", "f8"), ("strength", "f8"), ("filled", "f8"),
]  # fmt: skip
BLOCKS = [*RANGE, *SWINGS, ("open", "i8"), ("up_last", "i8"), ("down_last", "i8")]
BLOCK_EVENTS = [
    *HEAD, ("low", "f8"), ("high", "f8"), ("broke", "f8"), ("strength", "f8"),
    ("volume", "f8"), ("filled", "f8"),
]  # fmt: skip

_UP, _DOWN = 0, 1
_MITIGATED, _EXPIRED = 1, 2
#: Ways a zone ends: a wick reaches its far edge, a close goes beyond it, price touches it.
_WICK, _CLOSE = 0, 1


@nb.njit(cache=True, nogil=True)
def _advance(r, z, bar, rule, out, k):
    """Let a bar act on the open zones, oldest first; return the next free row of `out`."""
    kept = 0
    low = bar["low"]
    high = bar["high"]
    close = bar["close"]
    end = bar["end"]
    for j in range(r["open"]):
        zone = z[j]
        bottom = zone["low"]
        top = zone["high"]
        if zone["kind"] == _UP:
            entered = low <= top
            deep = top - low
            reached = low <= bottom
            beyond = close < bottom
        else:
            entered = high >= bottom
            deep = high - bottom
            reached = high >= top
            beyond = close > top
        what = 0
        if entered:
            if zone["touched"] == 0:
                zone["touched"] = 1
                what += TOUCHED
            filled = 1.0
            if not reached:  # then top > bottom, and price is between them
                filled = deep / (top - bottom)
            if filled > zone["filled"]:
                zone["filled"] = filled
                what += CHANGED
        over = entered
        if rule == _WICK:
            over = reached
        elif rule == _CLOSE:
            over = beyond
        reason = 0
        if over:
            what += ENDED
            reason = _MITIGATED
        if what != 0:
            head(out[k], end, zone["id"], what, zone["kind"], reason, 0, 0, 0)
            out[k]["filled"] = zone["filled"]
            k += 1
        if not over:
            if kept != j:
                z[kept] = zone
            kept += 1
    r["open"] = kept
    return k


@nb.njit(cache=True, nogil=True)
def _room(r, z, end, out, k):
    """Let the oldest zone expire if there is no room for another."""
    held = r["open"]
    if held == len(z):
        head(out[k], end, z[0]["id"], ENDED, z[0]["kind"], _EXPIRED, 0, 0, 0)
        out[k]["filled"] = z[0]["filled"]
        k += 1
        for j in range(1, held):
            z[j - 1] = z[j]
        r["open"] = held - 1
    return k


@nb.njit(cache=True, nogil=True)
def _open(r, z, kind, low, high):
    """Put a new zone behind the open ones."""
    zone = z[r["open"]]
    zone["id"] = r["next"]
    zone["kind"] = kind
    zone["low"] = low
    zone["high"] = high
    zone["filled"] = 0.0
    zone["touched"] = 0
    r["open"] += 1
    r["next"] += 1


@nb.njit(cache=True, nogil=True)
def fair_value_gaps(p, s, w, z, bars, out):
    """Find the gaps between the first and the third of three bars, and their filling."""
    r = s[0]
    most = p["most"]
    k = 0
    i = 0
    while i < len(bars) and len(out) - k >= most:
        bar = bars[i]
        count = r["count"]
        end = bar["end"]
        k = _advance(r, z, bar, p["mitigation"], out, k)
        if count >= 2:
            one = w[(count - 2) % 3]
            two = w[(count - 1) % 3]
            kind = -1
            low = 0.0
            high = 0.0
            if bar["low"] > one["high"] and (p["middle"] == 0 or two["close"] > two["open"]):
                kind = _UP
                low = one["high"]
                high = bar["low"]
            elif bar["high"] < one["low"] and (p["middle"] == 0 or two["close"] < two["open"]):
                kind = _DOWN
                low = bar["high"]
                high = one["low"]
            size = high - low
            if kind >= 0 and size > 0.0 and size >= p["min_size"]:
                k = _room(r, z, end, out, k)
                e = out[k]
                head(e, end, r["next"], BORN, kind, 0, two["time"], one["time"], bar["time"])
                most_high = max(max(one["high"], two["high"]), bar["high"])
                most_low = min(min(one["low"], two["low"]), bar["low"])
                e["low"] = low
                e["high"] = high
                e["size"] = size
                e["strength"] = size / (most_high - most_low)
                e["filled"] = 0.0
                _open(r, z, kind, low, high)
                k += 1
        keep(w, count, bar, np.nan)
        r["count"] = count + 1
        i += 1
    return i, k


@nb.njit(cache=True, nogil=True)
def _last_opposite(w, count, lookback, up):
    """Return the number of the last bar before `count` that closed against a move, or -1."""
    size = len(w)
    for at in range(count - 1, max(count - 1 - lookback, -1), -1):
        row = w[at % size]
        if up and row["close"] < row["open"]:
            return at
        if not up and row["close"] > row["open"]:
            return at
    return -1


@nb.njit(cache=True, nogil=True)
def _block(p, r, w, z, bar, up, level, out, k):
    """Write the order block behind a break of structure, if the move was impulsive."""
    count = r["count"]
    size = len(w)
    at = _last_opposite(w, count, p["lookback"], up)
    used = r["up_last"] if up else r["down_last"]  # bars are counted from 1 there
    if at < 0 or at < used:
        return k
    row = w[at % size]
    atr = row["atr"]
    move = bar["close"] - w[(at + 1) % size]["open"]
    if not up:
        move = -move
    if not atr > 0.0 or move < p["displacement"] * atr:
        return k
    kind = _UP if up else _DOWN
    if up:
        r["up_last"] = at + 1
    else:
        r["down_last"] = at + 1
    low = row["low"]
    high = row["high"]
    if p["zone"] == 1:  # the body only
        low = min(row["open"], row["close"])
        high = max(row["open"], row["close"])
    end = bar["end"]
    k = _room(r, z, end, out, k)
    e = out[k]
    head(e, end, r["next"], BORN, kind, 0, row["time"], row["time"], bar["time"])
    e["low"] = low
    e["high"] = high
    e["broke"] = level
    e["strength"] = move / atr
    e["volume"] = row["volume"]
    e["filled"] = 0.0
    _open(r, z, kind, low, high)
    return k + 1


@nb.njit(cache=True, nogil=True)
def order_blocks(p, s, w, z, bars, out):
    """Find the last opposite bar before impulsive moves that break structure."""
    r = s[0]
    most = p["most"]
    swing = p["swing"]
    size = len(w)
    k = 0
    i = 0
    while i < len(bars) and len(out) - k >= most:
        bar = bars[i]
        atr = average_range(r, bar, p["atr"])
        count = r["count"]
        k = _advance(r, z, bar, p["mitigation"], out, k)
        keep(w, count, bar, atr)
        if r["high_open"] == 1 and bar["close"] > r["high"]:
            r["high_open"] = 0
            k = _block(p, r, w, z, bar, True, r["high"], out, k)
        if r["low_open"] == 1 and bar["close"] < r["low"]:
            r["low_open"] = 0
            k = _block(p, r, w, z, bar, False, r["low"], out, k)
        at = count - swing
        if at >= swing:
            row = w[at % size]
            if swing_high(w, at, swing, swing, False, True):
                r["high"] = row["high"]
                r["high_open"] = 1
            if swing_low(w, at, swing, swing, False, True):
                r["low"] = row["low"]
                r["low_open"] = 1
        r["count"] = count + 1
        i += 1
    return i, k
