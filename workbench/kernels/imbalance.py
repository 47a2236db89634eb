"""Imbalance and run bars (Lopez de Prado 2018, "Advances in Financial Machine Learning", ch. 2).

A trade is bought if its price is above that of the trade before, sold if below; else it is
what the trade before was. The first bar has a given length; from it on, means over bars,
weighted exponentially, tell what to expect.

The plain method runs away: an expected length that went up makes longer bars, which make it go
up, and a mean imbalance near zero makes bars of one trade. Here a bar has at most `most`
trades, at least `least` are expected, and the expected length is the geometric mean of what was
seen and of the given length, which pulls it back. An imbalance is expected to be no less than
that of trades without a direction, of which the mean square over bars tells. A block that
takes a bar beyond twice what was expected counts into the means as twice.
"""

from __future__ import annotations

import math

import numba as nb
import numpy as np

from workbench.kernels.eventstate import DOLLAR, VOLUME, take, write

__all__ = ["imbalances", "runs"]


@nb.njit(cache=True, nogil=True, inline="always")
def _sign(s, price):
    """Return the tick rule's sign; 0 before the price has changed."""
    if price > s["price"]:
        s["sign"] = 1.0
    elif price < s["price"]:
        s["sign"] = -1.0
    s["price"] = price
    return s["sign"]


@nb.njit(cache=True, nogil=True, inline="always")
def _weight(unit, price, size):
    if unit == VOLUME:
        return size
    if unit == DOLLAR:
        return price * size
    return 1.0


@nb.njit(cache=True, nogil=True, inline="always")
def _moved(mean, value, weight, known):
    """Return a mean with the newest value counted in, or the value if it is the first."""
    return mean + weight * (value - mean) if known else value


@nb.njit(cache=True, nogil=True, inline="always")
def _tamed(value, threshold):
    """Return a sum, or twice what was expected if it is farther from zero."""
    if threshold > 0.0:
        return min(max(value, -2.0 * threshold), 2.0 * threshold)
    return value


@nb.njit(cache=True, nogil=True)
def _length(p, s):
    """Count the length of a bar into the mean and return what is expected."""
    count = np.float64(s["count"])
    s["mean_length"] = _moved(s["mean_length"], count, p["weight"], s["bars"] > 0)
    return max(math.sqrt(s["mean_length"] * np.float64(p["length"])), p["least"])


@nb.njit(cache=True, nogil=True)
def _expect_imbalance(p, s):
    """Set the imbalance that ends the next bar."""
    known = s["bars"] > 0
    length = _length(p, s)
    w = p["weight"]
    signed = _tamed(s["bought"], s["threshold"])
    each = signed / np.float64(s["count"])  # a bar has trades: it is not zero
    s["mean_first"] = _moved(s["mean_first"], each, w, known)
    # At first it is guessed from the mean weight of a trade, as if no sign had to do with
    # another; the mean square of weights would be that of a few blocks.
    square = signed * signed if known else s["weights"] * s["weights"] / np.float64(s["count"])
    s["mean_second"] = _moved(s["mean_second"], square, w, known)
    aimless = math.sqrt(length * (s["mean_second"] / s["mean_length"]))
    s["threshold"] = max(length * abs(s["mean_first"]), aimless)
    s["bars"] += 1
    s["bought"] = 0.0
    s["weights"] = 0.0


@nb.njit(cache=True, nogil=True)
def _expect_run(p, s):
    """Set the sum of one side that ends the next bar."""
    length = _length(p, s)
    w = p["weight"]
    signed = s["buys"] + s["sells"]
    # A negative mean stands for none: no weight is below zero.
    if signed > 0:
        share = np.float64(s["buys"]) / np.float64(signed)
        s["mean_first"] = _moved(s["mean_first"], share, w, s["mean_first"] >= 0.0)
    if s["buys"] > 0:
        mean = _tamed(s["bought"], s["threshold"]) / np.float64(s["buys"])
        s["mean_second"] = _moved(s["mean_second"], mean, w, s["mean_second"] >= 0.0)
    if s["sells"] > 0:
        mean = _tamed(s["sold"], s["threshold"]) / np.float64(s["sells"])
        s["mean_third"] = _moved(s["mean_third"], mean, w, s["mean_third"] >= 0.0)
    share = s["mean_first"] if s["mean_first"] >= 0.0 else 0.5
    most = max(share * s["mean_second"], (1.0 - share) * s["mean_third"])
    s["threshold"] = length * max(most, 0.0)
    s["bars"] += 1
    s["bought"] = 0.0
    s["sold"] = 0.0
    s["buys"] = 0
    s["sells"] = 0


@nb.njit(cache=True, nogil=True)
def imbalances(p, state, trades, start, out):
    """End a bar with the trade with which bought less sold is as far from zero as expected."""
    n = 0
    room = len(out)
    p = p[0]
    s = state[0]
    unit = p["unit"]
    for i in range(start, len(trades)):
        if n == room:
            return i, n
        trade = trades[i]
        price = trade["price"]
        size = trade["size"]
        take(s, trade["time"], price, size)
        weight = _weight(unit, price, size)
        s["bought"] += _sign(s, price) * weight
        s["weights"] += weight
        far = abs(s["bought"])
        if s["bars"] == 0:
            full = s["count"] >= p["length"]
        else:
            full = (far > 0.0 and far >= s["threshold"]) or s["count"] >= p["most"]
        if full:
            _expect_imbalance(p, s)
            n = write(p, s, out, n)
    return len(trades), n


@nb.njit(cache=True, nogil=True)
def runs(p, state, trades, start, out):
    """End a bar with the trade with which one side's sum is as large as expected."""
    n = 0
    room = len(out)
    p = p[0]
    s = state[0]
    unit = p["unit"]
    for i in range(start, len(trades)):
        if n == room:
            return i, n
        trade = trades[i]
        price = trade["price"]
        size = trade["size"]
        take(s, trade["time"], price, size)
        weight = _weight(unit, price, size)
        sign = _sign(s, price)
        if sign > 0.0:
            s["bought"] += weight
            s["buys"] += 1
        elif sign < 0.0:
            s["sold"] += weight
            s["sells"] += 1
        most = max(s["bought"], s["sold"])
        if s["bars"] == 0:
            full = s["count"] >= p["length"]
        else:
            full = (most > 0.0 and most >= s["threshold"]) or s["count"] >= p["most"]
        if full:
            _expect_run(p, s)
            n = write(p, s, out, n)
    return len(trades), n
