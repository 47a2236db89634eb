"""Distance between a fast and a slow mean: kernels `fn(p, s, bars, out)`."""

from __future__ import annotations

import numba as nb
import numpy as np

__all__ = ["SPREAD", "apo", "awesome", "ppo"]

#: Sums are made anew this often, or every two slow windows.
BLOCK = 128

SPREAD = [("count", "i8"), ("fast", "f8"), ("slow", "f8"), ("base", "f8"), ("ring", "f8")]


@nb.njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _told(fast, slow, base, percent):
    """Distance of means that are told from a base, in percent of the slow one if wanted."""
    if not percent:
        return fast - slow
    whole = base + slow
    return 100.0 * ((fast - slow) / whole) if whole != 0.0 else 0.0


@nb.njit(cache=True, nogil=True)
def _remake(s, at, fast, slow):
    """Return the sums of the windows that end before slot `at`, and the base they are from."""
    newest = at - 1 if at > 0 else slow - 1
    base = s[newest]["ring"]
    total = 0.0
    quick = 0.0
    k = newest
    for age in range(slow):
        if age == fast:
            quick = total
        total += s[k]["ring"] - base
        k = k - 1 if k > 0 else slow - 1
    return quick, total, base


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _simple(s, x, fast, slow, percent, out):
    """Distance of simple means.

    Sums are of distances to a value near the window, as the difference of two means that are
    nearly equal would show the rounding of large sums.
    """
    count, quick, total = s[0]["count"], s[0]["fast"], s[0]["slow"]
    base = s[0]["base"]
    at = count % slow
    back = at - fast + (slow if at < fast else 0)
    block = max(BLOCK, 2 * slow)
    for i in range(len(x)):
        if count == 0:
            base = x[0]
        value = x[i] - base
        total += value - (s[at]["ring"] - base if count >= slow else 0.0)
        quick += value - (s[back]["ring"] - base if count >= fast else 0.0)
        s[at]["ring"] = x[i]
        at = at + 1 if at + 1 < slow else np.int64(0)
        back = back + 1 if back + 1 < slow else np.int64(0)
        count += 1
        if count % block == 0:
            quick, total, base = _remake(s, at, fast, slow)
        out[i, 0] = _told(quick / fast, total / slow, base, percent) if count >= slow else np.nan
    s[0]["count"], s[0]["fast"], s[0]["slow"] = count, quick, total
    s[0]["base"] = base


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _exponential(s, x, fast, slow, percent, out):
    """Distance of exponential means, each seeded by the mean of its own first values.

    Steps are taken as TA-Lib takes them: what two means of the same prices share must round
    alike, or the last digits of their distance would differ.
    """
    count, quick, mean = s[0]["count"], s[0]["fast"], s[0]["slow"]
    fast_weight, slow_weight = 2.0 / (fast + 1.0), 2.0 / (slow + 1.0)
    n = len(x)
    i = 0
    while i < n and count < slow:
        value = x[i]
        if count >= fast:
            quick += (value - quick) * fast_weight
        else:
            quick += value
            if count == fast - 1:
                quick /= fast
        mean += value
        count += 1
        out[i, 0] = np.nan
        if count == slow:
            mean /= slow
            out[i, 0] = _told(quick, mean, 0.0, percent)
        i += 1
    for j in range(i, n):
        value = x[j]
        quick += (value - quick) * fast_weight
        mean += (value - mean) * slow_weight
        out[j, 0] = _told(quick, mean, 0.0, percent)
    s[0]["count"], s[0]["fast"], s[0]["slow"] = count + n - i, quick, mean


@nb.njit(cache=True, nogil=True)
def apo(p, s, bars, out):
    """Fast mean less slow mean; `average` 0: simple, 1: exponential."""
    if p["average"] == 0:
        _simple(s, bars.close, p["fast"], p["slow"], False, out)
    else:
        _exponential(s, bars.close, p["fast"], p["slow"], False, out)


@nb.njit(cache=True, nogil=True)
def ppo(p, s, bars, out):
    """Fast mean less slow mean in percent of the slow one, 0 where that is 0."""
    if p["average"] == 0:
        _simple(s, bars.close, p["fast"], p["slow"], True, out)
    else:
        _exponential(s, bars.close, p["fast"], p["slow"], True, out)


@nb.njit(cache=True, nogil=True)
def awesome(p, s, bars, out):
    """Fast simple mean of the bars' middles less a slow one."""
    _simple(s, bars.hl2, p["fast"], p["slow"], False, out)
