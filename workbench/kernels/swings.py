"""What the kernels of studies share: bars, events, swings and the average true range.

A study is a loop ``fn(p, s, w, z, bars, out)``: parameters `p` (a record), scalars `s` (one
row), the window `w` of bars that are still looked at, the zones `z` that are still open, new
`bars` (:data:`BARS`) and room for events `out`. It returns how many bars it took and how many
events it wrote, and stops before a bar whose events (at most ``p["most"]``) might not fit.
Everything that outlasts a call is in `s`, `w` and `z`, so any split of the bars gives the same
bits. An event is a birth, a change or an end; none is ever taken back.
"""

from __future__ import annotations

import numba as nb
import numpy as np

__all__ = [
    "BARS",
    "BORN",
    "CHANGED",
    "DOWN",
    "ENDED",
    "HEAD",
    "RANGE",
    "SWINGS",
    "TOUCHED",
    "UP",
    "WINDOW",
    "average_range",
    "head",
    "keep",
    "swing_high",
    "swing_low",
]

#: A closed bar: start and end in ns, day as counted by `workbench.sessions.day_numbers`.
BARS = [
    ("time", "i8"), ("end", "i8"), ("day", "i8"), ("open", "f8"), ("high", "f8"),
    ("low", "f8"), ("close", "f8"), ("volume", "f8"),
]  # fmt: skip

#: Head of every event. `time`: end of the bar that made it known; `what`: the bits below;
#: `id`: number of the row it is about, counted from 0 in order of birth.
HEAD = [
    ("time", "i8"), ("id", "i8"), ("what", "i8"), ("kind", "i8"), ("reason", "i8"),
    ("formed", "i8"), ("first", "i8"), ("last", "i8"),
]  # fmt: skip
BORN, TOUCHED, CHANGED, ENDED = 1, 2, 4, 8

#: Directions as they are stored; 0 is none.
UP, DOWN = 1, 2

WINDOW = [
    ("time", "i8"), ("open", "f8"), ("high", "f8"), ("low", "f8"), ("close", "f8"),
    ("volume", "f8"), ("atr", "f8"),
]  # fmt: skip

#: State of the average true range, and of the last swing on each side.
RANGE = [("count", "i8"), ("next", "i8"), ("atr", "f8"), ("close", "f8")]
SWINGS = [
    ("high", "f8"), ("high_time", "i8"), ("high_id", "i8"), ("high_open", "i8"),
    ("low", "f8"), ("low_time", "i8"), ("low_id", "i8"), ("low_open", "i8"),
]  # fmt: skip


@nb.njit(cache=True, nogil=True)
def head(e, time, number, what, kind, reason, formed, first, last):
    """Fill the head of an event."""
    e["time"] = time
    e["id"] = number
    e["what"] = what
    e["kind"] = kind
    e["reason"] = reason
    e["formed"] = formed
    e["first"] = first
    e["last"] = last


@nb.njit(cache=True, nogil=True)
def average_range(r, bar, length):
    """Take a bar into Wilder's average true range and return it; NaN for `length` - 1 bars.

    The first bar has no close before it: its range is high - low. The seed is the mean of
    the first `length` ranges. `r["count"]` is the number of bars before this one.
    """
    count = r["count"]
    high = bar["high"]
    low = bar["low"]
    if count > 0:
        high = max(high, r["close"])
        low = min(low, r["close"])
    span = high - low
    if count < length:
        atr = r["atr"] + span
        if count == length - 1:
            atr = atr / length
        r["atr"] = atr
    else:
        r["atr"] = (r["atr"] * (length - 1) + span) / length
    r["close"] = bar["close"]
    if count < length - 1:
        return np.nan
    return r["atr"]


@nb.njit(cache=True, nogil=True)
def keep(w, count, bar, atr):
    """Put bar number `count` into the window."""
    row = w[count % len(w)]
    row["time"] = bar["time"]
    row["open"] = bar["open"]
    row["high"] = bar["high"]
    row["low"] = bar["low"]
    row["close"] = bar["close"]
    row["volume"] = bar["volume"]
    row["atr"] = atr


@nb.njit(cache=True, nogil=True)
def swing_high(w, at, left, right, before, after):
    """Tell whether bar number `at` has the highest high of its surroundings.

    `before` and `after` allow bars on that side to be as high. The window holds all of them.
    """
    size = len(w)
    x = w[at % size]["high"]
    for k in range(1, right + 1):
        y = w[(at + k) % size]["high"]
        if y > x or (y == x and not after):
            return False
    for k in range(1, left + 1):
        y = w[(at - k) % size]["high"]
        if y > x or (y == x and not before):
            return False
    return True


@nb.njit(cache=True, nogil=True)
def swing_low(w, at, left, right, before, after):
    """Tell whether bar number `at` has the lowest low of its surroundings."""
    size = len(w)
    x = w[at % size]["low"]
    for k in range(1, right + 1):
        y = w[(at + k) % size]["low"]
        if y < x or (y == x and not after):
            return False
    for k in range(1, left + 1):
        y = w[(at - k) % size]["low"]
        if y < x or (y == x and not before):
            return False
    return True
