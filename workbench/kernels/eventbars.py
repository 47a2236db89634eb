"""Bars that end by what was traded: trades, volume, value, range. And the order of a tape.

A kernel takes trades of one symbol in order. It stops where its output is full; called again
from the row it reached, it goes on as if it had not stopped.
"""

from __future__ import annotations

import numba as nb
import numpy as np

from workbench.kernels.eventstate import CLOSES, DOLLAR, FORMING, TRADES, merge, take, write

__all__ = ["admit", "counted", "form", "ordered", "ranged", "reach"]

#: A time this far ahead of its receipt tells of a bad clock, not of the market's.
_AHEAD = np.int64(60_000_000_000)
#: Of a price: more than the rounding of two prices can make of their difference.
_SLACK = 2.0**-51


@nb.njit(cache=True, nogil=True)
def counted(p, state, trades, start, out):
    """End a bar with the trade with which its trades, volume or value reach a goal."""
    n = 0
    room = len(out)
    p = p[0]
    s = state[0]
    unit = p["unit"]
    hi = p["goal_hi"]
    lo = p["goal_lo"]
    for i in range(start, len(trades)):
        if n == room:
            return i, n
        trade = trades[i]
        take(s, trade["time"], trade["price"], trade["size"])
        if unit == TRADES:
            full = s["count"] >= hi
        elif unit == DOLLAR:
            full = s["notional_hi"] > hi or (s["notional_hi"] == hi and s["notional_lo"] >= lo)
        else:
            full = s["volume_hi"] > hi or (s["volume_hi"] == hi and s["volume_lo"] >= lo)
        if full:
            n = write(p, s, out, n)
    return len(trades), n


@nb.njit(cache=True, nogil=True)
def ranged(p, state, trades, start, out):
    """End a bar before the trade that would make high less low more than a size."""
    n = 0
    room = len(out)
    p = p[0]
    s = state[0]
    size = p["size"]
    for i in range(start, len(trades)):
        if n == room:
            return i, n
        trade = trades[i]
        price = trade["price"]
        if s["count"] > 0:
            high = max(s["high"], price)
            low = min(s["low"], price)
            if high - low > size + max(abs(high), abs(low)) * _SLACK:
                n = write(p, s, out, n)
        take(s, trade["time"], price, trade["size"])
    return len(trades), n


@nb.njit(cache=True, nogil=True)
def form(p, state, out):
    """Write the bar that forms, on a state that is not used any more; return 1, or 0 if none."""
    p = p[0]
    s = state[0]
    if p["source"] == CLOSES:
        merge(s, state[1])
    if s["count"] == 0:
        return 0
    if s["size"] > 0.0:  # a brick: it starts at a level
        level = s["anchor"] + s["step"] * s["size"]
        s["open"] = level
        s["high"] = max(s["high"], level)
        s["low"] = min(s["low"], level)
    write(p, s, out, 0)
    out[0]["state"] = FORMING
    return 1


@nb.njit(cache=True, nogil=True, inline="always")
def _after(trade, other):
    """Tell whether a trade comes after another: by time, sequence, price, size."""
    if trade["time"] != other["time"]:
        return trade["time"] > other["time"]
    if trade["sequence"] != other["sequence"]:
        return trade["sequence"] > other["sequence"]
    if trade["price"] != other["price"]:
        return trade["price"] > other["price"]
    return trade["size"] > other["size"]


@nb.njit(cache=True, nogil=True)
def ordered(trades):
    """Tell whether trades are in order of time, sequence, price and size."""
    for i in range(1, len(trades)):  # noqa: SIM110 - Numba compiles no generator for all()
        if _after(trades[i - 1], trades[i]):
            return False
    return True


@nb.njit(cache=True, nogil=True)
def admit(trades, mark, lateness, shift, kept):
    """Tell which trades, in order of arrival, come in time, and move the market's clock.

    Parameters
    ----------
    trades : array of TRADE
    mark : int
        The market's clock, ns.
    lateness : int
        How much older than the clock a trade may be, ns.
    shift : int
        Greatest time less receipt so far, ns.
    kept : bool array, shape (n,)
        Receives which come in time.

    Returns
    -------
    (mark, shift, trades that came too late)
    """
    late = 0
    for i in range(len(trades)):
        time = trades[i]["time"]
        received = trades[i]["received"]
        kept[i] = time + lateness >= mark
        if not kept[i]:
            late += 1
        ahead = time - received
        if received <= 0:
            mark = max(mark, time)
        elif ahead < _AHEAD:
            mark = max(mark, time)
            shift = max(shift, ahead)
    return mark, shift, late


@nb.njit(cache=True, nogil=True)
def reach(trades, limit):
    """Return how many trades, in order, are earlier than a time."""
    low = 0
    high = len(trades)
    while low < high:
        middle = (low + high) >> 1
        if trades[middle]["time"] < limit:
            low = middle + 1
        else:
            high = middle
    return low
