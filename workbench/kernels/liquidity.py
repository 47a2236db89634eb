"""Levels where resting orders gather: equal highs and lows, extremes of the day and week before."""

from __future__ import annotations

import numba as nb

from workbench.kernels.swings import (
    BORN,
    CHANGED,
    ENDED,
    HEAD,
    RANGE,
    TOUCHED,
    average_range,
    head,
    keep,
    swing_high,
    swing_low,
)

__all__ = ["EVENTS", "LEVELS", "STATE", "liquidity"]

#: A level, or a swing that may become one (its id is -1). The first four rows are those of
#: the previous day and week.
LEVELS = [
    ("id", "i8"), ("kind", "i8"), ("low", "f8"), ("high", "f8"), ("limit", "f8"),
    ("time", "i8"), ("swings", "i8"), ("touched", "i8"),
]  # fmt: skip
STATE = [
    *RANGE, ("open", "i8"), ("day", "i8"), ("week", "i8"),
    ("day_high", "f8"), ("day_low", "f8"), ("week_high", "f8"), ("week_low", "f8"),
    ("day_high_time", "i8"), ("day_low_time", "i8"),
    ("week_high_time", "i8"), ("week_low_time", "i8"),
    ("day_first", "i8"), ("week_first", "i8"), ("before", "i8"),
]  # fmt: skip
EVENTS = [
    *HEAD, ("low", "f8"), ("high", "f8"), ("swings", "i8"), ("low_now", "f8"), ("high_now", "f8"),
    ("swings_now", "i8"),
]  # fmt: skip

_EQUAL_HIGHS, _EQUAL_LOWS = 0, 1
_DAY_HIGH, _DAY_LOW, _WEEK_HIGH, _WEEK_LOW = 2, 3, 4, 5
_SWEPT, _SUPERSEDED, _EXPIRED = 1, 2, 3
_FIXED = 4


@nb.njit(cache=True, nogil=True)
def _tell(e, end, zone, what, reason):
    """Write what happened to a level."""
    head(e, end, zone["id"], what, zone["kind"], reason, 0, 0, 0)
    e["low_now"] = zone["low"]
    e["high_now"] = zone["high"]
    e["swings_now"] = zone["swings"]


@nb.njit(cache=True, nogil=True)
def _birth(r, e, end, zone, formed, first, last):
    """Give a level its number and write its birth."""
    zone["id"] = r["next"]
    r["next"] += 1
    head(e, end, zone["id"], BORN, zone["kind"], 0, formed, first, last)
    e["low"] = zone["low"]
    e["high"] = zone["high"]
    e["swings"] = zone["swings"]
    e["low_now"] = zone["low"]
    e["high_now"] = zone["high"]
    e["swings_now"] = zone["swings"]


@nb.njit(cache=True, nogil=True)
def _replace(r, zone, kind, price, formed, first, end, out, k):
    """Put the extreme of the period that is over in place of the one before."""
    if zone["id"] >= 0 and zone["swings"] > 0:
        _tell(out[k], end, zone, ENDED, _SUPERSEDED)
        k += 1
    zone["kind"] = kind
    zone["low"] = price
    zone["high"] = price
    zone["limit"] = price
    zone["time"] = formed
    zone["swings"] = 1
    zone["touched"] = 0
    _birth(r, out[k], end, zone, formed, first, r["before"])
    return k + 1


@nb.njit(cache=True, nogil=True)
def _periods(r, z, bar, out, k):
    """Begin a day or week where a bar does, and keep their extremes."""
    time = bar["time"]
    end = bar["end"]
    high = bar["high"]
    low = bar["low"]
    day = bar["day"]
    week = (day + 2) // 7  # day 1 is Thursday, 1970-01-01; weeks begin on Monday
    fresh = r["count"] == 0
    if fresh or day != r["day"]:
        if not fresh:
            first = r["day_first"]
            k = _replace(r, z[0], _DAY_HIGH, r["day_high"], r["day_high_time"], first, end, out, k)
            k = _replace(r, z[1], _DAY_LOW, r["day_low"], r["day_low_time"], first, end, out, k)
        r["day"] = day
        r["day_first"] = time
        r["day_high"] = high
        r["day_low"] = low
        r["day_high_time"] = time
        r["day_low_time"] = time
    if fresh or week != r["week"]:
        if not fresh:
            first = r["week_first"]
            k = _replace(
                r, z[2], _WEEK_HIGH, r["week_high"], r["week_high_time"], first, end, out, k
            )
            k = _replace(r, z[3], _WEEK_LOW, r["week_low"], r["week_low_time"], first, end, out, k)
        r["week"] = week
        r["week_first"] = time
        r["week_high"] = high
        r["week_low"] = low
        r["week_high_time"] = time
        r["week_low_time"] = time
    if high > r["day_high"]:
        r["day_high"] = high
        r["day_high_time"] = time
    if low < r["day_low"]:
        r["day_low"] = low
        r["day_low_time"] = time
    if high > r["week_high"]:
        r["week_high"] = high
        r["week_high_time"] = time
    if low < r["week_low"]:
        r["week_low"] = low
        r["week_low_time"] = time
    r["before"] = time
    return k


@nb.njit(cache=True, nogil=True)
def _sweep(r, z, bar, by_close, out, k):
    """Let a bar touch and sweep levels."""
    top = bar["close"] if by_close else bar["high"]
    bottom = bar["close"] if by_close else bar["low"]
    end = bar["end"]
    kept = _FIXED
    for j in range(_FIXED + r["open"]):
        zone = z[j]
        if j < _FIXED and zone["swings"] == 0:
            continue
        if zone["kind"] % 2 == 0:
            entered = bar["high"] >= zone["low"]
            gone = top > zone["limit"]
        else:
            entered = bar["low"] <= zone["high"]
            gone = bottom < zone["limit"]
        what = 0
        if entered and zone["touched"] == 0:
            zone["touched"] = 1
            what += TOUCHED
        if gone:
            what += ENDED
        if what != 0 and zone["id"] >= 0:
            _tell(out[k], end, zone, what, _SWEPT if gone else 0)
            k += 1
        if j < _FIXED:
            if gone:
                zone["swings"] = 0
        elif not gone:
            if kept != j:
                z[kept] = zone
            kept += 1
    r["open"] = kept - _FIXED
    return k


@nb.njit(cache=True, nogil=True)
def _add(r, z, kind, price, formed, margin, bar, out, k):
    """Join a new swing to the youngest level or swing of its kind, all within the margin."""
    end = bar["end"]
    for j in range(_FIXED + r["open"] - 1, _FIXED - 1, -1):
        zone = z[j]
        if zone["kind"] != kind:
            continue
        if price < zone["high"] - margin or price > zone["low"] + margin:
            continue
        first = zone["time"]
        zone["low"] = min(zone["low"], price)
        zone["high"] = max(zone["high"], price)
        zone["limit"] = zone["high"] if kind == _EQUAL_HIGHS else zone["low"]
        zone["swings"] += 1
        if zone["id"] < 0:
            zone["touched"] = 0
            _birth(r, out[k], end, zone, formed, first, formed)
        else:
            _tell(out[k], end, zone, CHANGED, 0)
        return k + 1
    held = r["open"]
    if held == len(z) - _FIXED:
        if z[_FIXED]["id"] >= 0:
            _tell(out[k], end, z[_FIXED], ENDED, _EXPIRED)
            k += 1
        for j in range(_FIXED + 1, _FIXED + held):
            z[j - 1] = z[j]
        held -= 1
    zone = z[_FIXED + held]
    zone["id"] = -1
    zone["kind"] = kind
    zone["low"] = price
    zone["high"] = price
    zone["limit"] = price + margin if kind == _EQUAL_HIGHS else price - margin
    zone["time"] = formed
    zone["swings"] = 1
    zone["touched"] = 0
    r["open"] = held + 1
    return k


@nb.njit(cache=True, nogil=True)
def liquidity(p, s, w, z, bars, out):
    """Find levels, and the bars that sweep them."""
    r = s[0]
    most = p["most"]
    swing = p["swing"]
    size = len(w)
    k = 0
    i = 0
    while i < len(bars) and len(out) - k >= most:
        bar = bars[i]
        atr = average_range(r, bar, p["atr"])
        if p["periods"] == 0:
            k = _periods(r, z, bar, out, k)
        k = _sweep(r, z, bar, p["sweep"] == 1, out, k)
        keep(w, r["count"], bar, atr)
        at = r["count"] - swing
        if at >= swing and atr >= 0.0:  # not while the average range is not known yet
            row = w[at % size]
            margin = p["tolerance"] * atr
            if swing_high(w, at, swing, swing, False, True):
                k = _add(r, z, _EQUAL_HIGHS, row["high"], row["time"], margin, bar, out, k)
            if swing_low(w, at, swing, swing, False, True):
                k = _add(r, z, _EQUAL_LOWS, row["low"], row["time"], margin, bar, out, k)
        r["count"] += 1
        i += 1
    return i, k
