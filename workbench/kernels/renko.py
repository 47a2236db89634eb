"""Renko bricks from trades, from closes of base bars, and of the size of a true range."""

from __future__ import annotations

import numba as nb
import numpy as np

from workbench.kernels.eventstate import CLOSES, NEVER, RANGES, STEPS, clear, merge, take, write

__all__ = ["bricks", "settle"]

#: Of a level: more than rounding can take from a price that is meant to be on it.
_SLACK = 2.0**-50
#: A brick is no smaller than this part of the price: below, floats do not tell levels apart.
_FINEST = 2.0**40
#: Bricks without a trade of their own that one jump of the price may leave.
_MOST = 1000.0


@nb.njit(cache=True, nogil=True)
def _edges(s):
    """Set the prices that complete the next brick up and down; to turn takes two steps."""
    size = s["size"]
    if size > 0.0:
        level = s["anchor"] + (s["step"] + (1.0 if s["direction"] >= 0 else 2.0)) * size
        s["above"] = level - abs(level) * _SLACK
        level = s["anchor"] + (s["step"] - (1.0 if s["direction"] <= 0 else 2.0)) * size
        s["below"] = level + abs(level) * _SLACK
    else:
        s["above"] = np.inf
        s["below"] = -np.inf


@nb.njit(cache=True, nogil=True, inline="always")
def _side(s, price):
    """Return 1 or -1 if a price completes a brick up or down, else 0."""
    # Put so that a price that is no number makes no brick either, rather than ever more.
    if s["below"] < price < s["above"] or not abs(price) <= s["size"] * _FINEST:
        return 0
    return 1 if price >= s["above"] else -1


@nb.njit(cache=True, nogil=True)
def _climb(p, s, price, other, out, n):
    """Write the bricks that a price completes; tell whether all were written.

    The trades that formed a brick so far belong to the first, those of `other`, which have
    brought the price, to the last. Bricks between them have none.
    """
    while True:
        side = _side(s, price)
        if side == 0:
            merge(s, other)
            return n, True
        if n == len(out):
            return n, False
        turned = s["direction"] == -side
        begin = s["step"] + (side if turned else 0.0)
        first = s["anchor"] + begin * s["size"]
        level = s["anchor"] + (begin + side) * s["size"]
        s["step"] = begin + side
        s["direction"] = side
        if p["source"] == RANGES:
            s["anchor"] = level
            s["step"] = 0.0
            s["size"] = s["average"] if s["average"] * _FINEST > abs(level) else 0.0
        _edges(s)
        more = _side(s, price) != 0
        if not more:
            merge(s, other)
        if s["count"] == 0:
            s["start"] = other["start"]
            s["high"] = first
            s["low"] = first
        s["open"] = first
        s["close"] = level
        s["high"] = max(s["high"], first, level)
        s["low"] = min(s["low"], first, level)
        n = write(p, s, out, n)
        if not more:
            return n, True
        left = np.floor(abs(price - level) / s["size"])  # bricks are made: it is not zero
        if left > _MOST:
            s["step"] += side * (left - _MOST)
            _edges(s)


@nb.njit(cache=True, nogil=True)
def _average(p, s, bar):
    """Count a base bar into the average true range (Wilder 1978), as TA-Lib does.

    The first bar has no range; the average starts as the mean of the first `period` ranges.
    """
    before = bar["price"]
    bar["price"] = bar["close"]
    if np.isnan(before):
        return
    reach = max(bar["high"] - bar["low"], abs(bar["high"] - before), abs(bar["low"] - before))
    period = p["period"]
    bar["ranges"] += 1
    if bar["ranges"] < period:
        bar["range_sum"] += reach
    elif bar["ranges"] == period:
        s["average"] = (bar["range_sum"] + reach) / period  # at least 1
    else:
        s["average"] = (s["average"] * (period - 1) + reach) / period


@nb.njit(cache=True, nogil=True)
def _end_base(p, s, bar, out, n):
    """End the base bar; tell whether all bricks it makes were written."""
    if bar["count"] == 0:
        return n, True
    done = True
    if p["source"] == RANGES:
        _average(p, s, bar)
    else:
        if s["ready"] == 0:
            _lay(p, s, bar["close"])
        n, done = _climb(p, s, bar["close"], bar, out, n)
    if done:
        clear(bar)
    return n, done


@nb.njit(cache=True, nogil=True)
def _lay(p, s, price):
    """Begin at the multiple of the size that is nearest to the first price."""
    s["ready"] = 1
    s["anchor"] = 0.0
    s["size"] = p["size"]
    s["step"] = np.rint(price / p["size"])  # above zero, see kinds
    _edges(s)


@nb.njit(cache=True, nogil=True)
def bricks(p, state, trades, start, out):
    """Write a brick for each step of the price."""
    n = 0
    p = p[0]
    s = state[0]
    bar = state[1]
    work = state[2]
    source = p["source"]
    for i in range(start, len(trades)):
        trade = trades[i]
        time = trade["time"]
        price = trade["price"]
        if source != STEPS:
            if time >= bar["end"]:
                n, done = _end_base(p, s, bar, out, n)
                if not done:
                    return i, n
                bar["end"] = time - (time - p["origin"]) % p["base"] + p["base"]
            if source == CLOSES:
                take(bar, time, price, trade["size"])
                continue
            if s["size"] == 0.0 and s["average"] * _FINEST > abs(price):
                s["anchor"] = price
                s["step"] = 0.0
                s["size"] = s["average"]
                _edges(s)
        elif s["ready"] == 0:
            _lay(p, s, price)
        if s["below"] < price < s["above"]:
            take(s, time, price, trade["size"])
        else:
            clear(work)
            take(work, time, price, trade["size"])
            n, done = _climb(p, s, price, work, out, n)
            if not done:
                return i, n
        if source == RANGES:
            take(bar, time, price, trade["size"])
    return len(trades), n


@nb.njit(cache=True, nogil=True)
def settle(p, state, until, out):
    """End the base bar if its end is not after a time up to which all trades were taken.

    Returns
    -------
    (whether all was written, bars in out)
    """
    p = p[0]
    bar = state[1]
    if bar["end"] > until or bar["count"] == 0:
        return True, 0
    n, done = _end_base(p, state[0], bar, out, 0)
    if done:
        bar["end"] = NEVER
    return done, n
