"""Distance between a fast and a slow mean: kernels `fn(p, s, bars, out)`."""

from __future__ import annotations

import numba as nb
import numpy as np

__all__ = ["SPREAD", "apo", "awesome", "ppo"]

#: Sums are made anew this often, or every two slow windows.
BLOCK = 256

SPREAD = [
    ("count", "i8"), ("fast", "f8"), ("slow", "f8"), ("base", "f8"),
    ("fast_rest", "f8"), ("slow_rest", "f8"), ("ring", "f8"),
]  # fmt: skip


@nb.njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _told(fast, slow, base, percent):
    """Distance of means that are told from a base, in percent of the slow one if wanted."""
    if not percent:
        return fast - slow
    whole = base + slow
    return 100.0 * ((fast - slow) / whole) if whole != 0.0 else 0.0


@nb.njit(cache=True, nogil=True, inline="always")
def _plus(total, rest, x):
    """Add x to a total; what rounding takes from it goes to the rest."""
    grown = total + x
    part = grown - total
    return grown, rest + ((total - (grown - part)) + (x - part))


@nb.njit(cache=True, nogil=True)
def _remake(s, at, fast, slow):
    """Make the sums of the windows that end before slot `at` anew, from their last value."""
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


@nb.njit(cache=True, nogil=True)
def _remake_of(x, i, fast, slow):
    """Make the sums of the windows that end before row i anew, as `_remake` does."""
    base = x[i - 1]
    total = 0.0
    for k in range(i - 1, i - 1 - fast, -1):
        total += x[k] - base
    quick = total
    for k in range(i - 1 - fast, i - 1 - slow, -1):
        total += x[k] - base
    return quick, total, base


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _head(s, x, n, fast, slow, percent, out):
    """Take the first n rows, with windows that reach back to earlier calls."""
    block = max(BLOCK, 2 * slow)
    quick_part, part = 1.0 / fast, 1.0 / slow
    count, base = s[0]["count"], s[0]["base"]
    quick, total = s[0]["fast"], s[0]["slow"]
    quick_rest, total_rest = s[0]["fast_rest"], s[0]["slow_rest"]
    at = count % slow
    back = at - fast + (slow if at < fast else 0)
    for i in range(n):
        if count == 0:
            base = x[0]
        old = s[at]["ring"] if count >= slow else base
        quick_old = s[back]["ring"] if count >= fast else base
        total, total_rest = _plus(total, total_rest, x[i] - old)
        quick, quick_rest = _plus(quick, quick_rest, x[i] - quick_old)
        s[at]["ring"] = x[i]
        at = at + 1 if at + 1 < slow else np.int64(0)
        back = back + 1 if back + 1 < slow else np.int64(0)
        count += 1
        if count % block == 0:
            quick, total, base = _remake(s, at, fast, slow)
            quick_rest = 0.0
            total_rest = 0.0
        out[i, 0] = np.nan
        if count >= slow:
            out[i, 0] = _told(
                (quick + quick_rest) * quick_part, (total + total_rest) * part, base, percent
            )
    s[0]["count"], s[0]["base"] = count, base
    s[0]["fast"], s[0]["slow"] = quick, total
    s[0]["fast_rest"], s[0]["slow_rest"] = quick_rest, total_rest


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _simple(s, x, fast, slow, percent, out):
    """Distance of simple means.

    Sums are of distances to a value near the window, as the difference of two means that are
    nearly equal would show the rounding of large sums; and what rounding takes is kept, so that
    a jump of the level leaves nothing behind.
    """
    n = len(x)
    head = min(n, slow)
    _head(s, x, head, fast, slow, percent, out)
    if n == head:
        return
    block = max(BLOCK, 2 * slow)
    quick_part, part = 1.0 / fast, 1.0 / slow
    count, base = s[0]["count"], s[0]["base"]
    quick, total = s[0]["fast"], s[0]["slow"]
    quick_rest, total_rest = s[0]["fast_rest"], s[0]["slow_rest"]
    i = head
    while i < n:
        stop = min(n, i + block - count % block)
        count += stop - i
        whole = count % block == 0
        end = stop - 1 if whole else stop
        now, old, quick_old = x[i:end], x[i - slow : end], x[i - fast : end]
        column = out[i:end]
        for j in range(end - i):
            total, total_rest = _plus(total, total_rest, now[j] - old[j])
            quick, quick_rest = _plus(quick, quick_rest, now[j] - quick_old[j])
            column[j, 0] = _told(
                (quick + quick_rest) * quick_part, (total + total_rest) * part, base, percent
            )
        if whole:
            quick, total, base = _remake_of(x, stop, fast, slow)
            quick_rest = 0.0
            total_rest = 0.0
            out[stop - 1, 0] = _told(quick * quick_part, total * part, base, percent)
        i = stop
    at = count % slow
    for k in range(n - slow, n):
        s[at]["ring"] = x[k]
        at = at + 1 if at + 1 < slow else np.int64(0)
    s[0]["count"], s[0]["base"] = count, base
    s[0]["fast"], s[0]["slow"] = quick, total
    s[0]["fast_rest"], s[0]["slow_rest"] = quick_rest, total_rest


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
