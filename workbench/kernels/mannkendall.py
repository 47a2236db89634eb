"""Statistical trend of the last closes: least squares and the test of Mann and Kendall."""

from __future__ import annotations

import math

import numba as nb
import numpy as np

from workbench.kernels.swings import BORN, DOWN, HEAD, UP, head

__all__ = ["EVENTS", "STATE", "TIES", "trend"]

STATE = [("count", "i8"), ("next", "i8"), ("s", "i8"), ("pairs", "i8"), ("groups", "i8")]
TIES = [("time", "i8"), ("close", "f8")]
EVENTS = [
    *HEAD, ("direction", "i8"), ("slope", "f8"), ("line", "f8"), ("t", "f8"), ("r2", "f8"),
    ("s", "i8"), ("z", "f8"), ("tau", "f8"), ("p", "f8"), ("strength", "f8"),
]  # fmt: skip


@nb.njit(cache=True, nogil=True)
def _turn(r, w, skip, held, x, sign):
    """Add (sign 1) or take off (-1) what a close at one end adds to the sums of Kendall.

    The `held` rows of `w` but row `skip` are the other closes; all sums are whole numbers,
    so nothing drifts. A tie of t closes counts t (t - 1) / 2 pairs and t (t - 1) (2 t + 5).
    """
    above = 0
    same = 0
    for j in range(held):
        y = w[j]["close"]
        above += np.int64(x > y) - np.int64(x < y)
        same += np.int64(x == y)
    if 0 <= skip < held:
        same -= 1  # the row is the close itself
    # The newest close is compared with older ones, the oldest with younger ones.
    r["s"] += above
    t = same
    r["pairs"] += sign * t
    r["groups"] += sign * ((t + 1) * t * (2 * t + 7) - t * (t - 1) * (2 * t + 5))


@nb.njit(cache=True, nogil=True)
def _line(w, at, n):
    """Return slope, value at the newest bar, t and R2 of the least squares line.

    `at` is the row of the oldest close. Distances are taken from the oldest close first, so
    that a high level of prices costs no digits.
    """
    base = w[at]["close"]
    total = 0.0
    j = at
    for _ in range(n):
        total += w[j]["close"] - base
        j += 1
        if j == n:
            j = 0
    mean = total / n
    middle = (n - 1) * 0.5
    xy = 0.0
    yy = 0.0
    j = at
    for i in range(n):
        d = (w[j]["close"] - base) - mean
        xy += (i - middle) * d
        yy += d * d
        j += 1
        if j == n:
            j = 0
    xx = n * (np.float64(n) * n - 1.0) / 12.0
    slope = xy / xx
    rest = 0.0
    j = at
    for i in range(n):
        e = ((w[j]["close"] - base) - mean) - slope * (i - middle)
        rest += e * e
        j += 1
        if j == n:
            j = 0
    line = base + (mean + slope * middle)
    r2 = 0.0
    if yy > 0.0:
        r2 = min(max(1.0 - rest / yy, 0.0), 1.0)
    t = 0.0
    if slope != 0.0:
        error = math.sqrt(rest / ((n - 2) * xx))
        t = np.inf if slope > 0.0 else -np.inf
        if error > 0.0:
            t = slope / error
    return slope, line, t, r2


@nb.njit(cache=True, nogil=True)
def _kendall(s, pairs, groups, n):
    """Return z, tau-b and the two-sided p of Kendall's S, ties taken into account."""
    size = np.float64(n)
    variance = (size * (size - 1.0) * (2.0 * size + 5.0) - np.float64(groups)) / 18.0
    z = 0.0
    if variance > 0.0 and s != 0:
        z = (np.float64(s) - (1.0 if s > 0 else -1.0)) / math.sqrt(variance)
    every = size * (size - 1.0) * 0.5
    untied = every * (every - np.float64(pairs))
    tau = 0.0
    if untied > 0.0:
        tau = np.float64(s) / math.sqrt(untied)
    return z, tau, math.erfc(abs(z) * 0.7071067811865476)


@nb.njit(cache=True, nogil=True)
def trend(p, s, w, z, bars, out):
    """Write a row for every bar from the first full window on."""
    r = s[0]
    n = p["length"]
    alpha = p["alpha"]
    k = 0
    i = 0
    while i < len(bars) and len(out) > k:
        bar = bars[i]
        count = r["count"]
        at = count % n
        x = bar["close"]
        if count >= n:
            # The oldest leaves: each younger one below it counted -1, each above it +1.
            _turn(r, w, at, n, w[at]["close"], -1)
            w[at]["close"] = x
            held = n
        else:
            held = count
            w[at]["close"] = x
        _turn(r, w, at, held, x, 1)
        w[at]["time"] = bar["time"]
        r["count"] = count + 1
        if count + 1 >= n:
            oldest = (at + 1) % n
            slope, line, t, r2 = _line(w, oldest, n)
            value, tau, chance = _kendall(r["s"], r["pairs"], r["groups"], n)
            direction = 0
            strength = 0.0
            if slope * tau > 0.0:
                strength = min(math.sqrt(r2 * abs(tau)), 1.0)
                if chance <= alpha:
                    direction = UP if slope > 0.0 else DOWN
            e = out[k]
            time = bar["time"]
            head(e, bar["end"], r["next"], BORN, 0, 0, time, w[oldest]["time"], time)
            e["direction"] = direction
            e["slope"] = slope
            e["line"] = line
            e["t"] = t
            e["r2"] = r2
            e["s"] = r["s"]
            e["z"] = value
            e["tau"] = tau
            e["p"] = chance
            e["strength"] = strength
            r["next"] += 1
            k += 1
        i += 1
    return i, k
