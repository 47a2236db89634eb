"""Distance between a fast and a slow mean: kernels `fn(p, s, bars, out)`."""

from __future__ import annotations

import numba as nb
import numpy as np

from workbench.kernels.smoothing import STEP, calm, grown

__all__ = ["SPREAD", "apo", "awesome", "ppo"]

SPREAD = [
    ("count", "i8"), ("base", "f8"), ("fast", "f8"), ("slow", "f8"), ("fast_at", "i8"),
    ("slow_at", "i8"), ("fast_first", "f8"), ("slow_first", "f8"), ("fast_tails", "f8"),
    ("slow_tails", "f8"), ("ring", "f8"),
]  # fmt: skip


@nb.njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _told(fast, slow, base, percent):
    """Distance of means that are told from a base, in percent of the slow one if wanted."""
    if not percent:
        return fast - slow
    whole = base + slow
    return 100.0 * ((fast - slow) / whole) if whole != 0.0 else 0.0


@nb.njit(cache=True, nogil=True)
def _tails(s, x, i, length, slow, tails):
    """Sum what the `length` values before row i are above its value, from the last one back."""
    first = x[i]
    tail = 0.0
    if i >= length:
        a = np.uint64(i)  # without a sign it needs no test for counting from the end
        for j in range(length - 1):
            tail += x[a - np.uint64(j + 1)] - first
            tails[length - 1 - j] = tail
        return first
    for j in range(min(i, length - 1)):
        tail += x[i - 1 - j] - first
        tails[length - 1 - j] = tail
    at = s[0]["count"] % slow
    for j in range(i, length - 1):
        at = at - 1 if at > 0 else slow - 1
        tail += s[at]["ring"] - first
        tails[length - 1 - j] = tail
    return first


@nb.njit(cache=True, nogil=True)
def _slow_means(s, x, slow, line):
    """Write by how much the slow mean is above each row's own value."""
    tails = s["slow_tails"]
    at, head, first = s[0]["slow_at"], s[0]["slow"], s[0]["slow_first"]
    part = 1.0 / slow
    n = len(x)
    i = 0
    while i < n:
        if at == 0:
            first = _tails(s, x, i, slow, slow, tails)
            head = 0.0
        rows = min(n - i, slow - at)
        now, place, left = x[i : i + rows], line[i : i + rows], tails[at + 1 : at + 1 + rows]
        for k in range(rows):
            step = now[k] - first
            head += step
            place[k] = (left[k] + head) * part - step
        i += rows
        at = at + rows if at + rows < slow else np.int64(0)
    s[0]["slow_at"], s[0]["slow"], s[0]["slow_first"] = at, head, first


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _fast_means(s, x, fast, slow, percent, line):
    """Turn slow means above each row's own value into the distance of the fast ones from them."""
    tails = s["fast_tails"]
    at, head, first = s[0]["fast_at"], s[0]["fast"], s[0]["fast_first"]
    part = 1.0 / fast
    n = len(x)
    i = 0
    while i < n:
        if at == 0:
            first = _tails(s, x, i, fast, slow, tails)
            head = 0.0
        rows = min(n - i, fast - at)
        now, place, left = x[i : i + rows], line[i : i + rows], tails[at + 1 : at + 1 + rows]
        for k in range(rows):
            step = now[k] - first
            head += step
            place[k] = _told((left[k] + head) * part - step, place[k], now[k], percent)
        i += rows
        at = at + rows if at + rows < fast else np.int64(0)
    s[0]["fast_at"], s[0]["fast"], s[0]["fast_first"] = at, head, first


@nb.njit(cache=True, nogil=True)
def _simple(s, x, fast, slow, percent, out):
    """Distance of simple means.

    Windows are summed in blocks, as `sliding` explains, so that nothing is left of what is gone.
    Sums are of distances to the first value of a block, which is in each window of it, and means
    are told from the row's own value: the difference of two means that are nearly equal would
    show the rounding of the level of prices.
    """
    n = len(x)
    line = out.reshape(n)
    _slow_means(s, x, slow, line)
    _fast_means(s, x, fast, slow, percent, line)
    count = s[0]["count"]
    for k in range(min(n, max(0, slow - 1 - count))):
        line[k] = np.nan
    begin = max(0, n - slow)
    at = (count + begin) % slow
    for k in range(begin, n):
        s[at]["ring"] = x[k]
        at = at + 1 if at + 1 < slow else np.int64(0)
    s[0]["count"] = count + n


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _exponential(s, x, fast, slow, percent, out):
    """Distance of exponential means, each seeded by the mean of its own first values.

    Both means are told from a common base, a price not long ago: what they share would take the
    last digits of their distance. The base is moved every 64 rows by the count from the first.
    """
    count, quick, mean, base = s[0]["count"], s[0]["fast"], s[0]["slow"], s[0]["base"]
    fast_weight, slow_weight = 2.0 / (fast + 1.0), 2.0 / (slow + 1.0)
    n = len(x)
    if count == 0 and n > 0:
        base = x[0]
    i = 0
    while i < n and count < slow:
        quick = grown(quick, x[i] - base, count, fast, fast_weight)
        mean = grown(mean, x[i] - base, count, slow, slow_weight)
        count += 1
        out[i, 0] = _told(quick, mean, base, percent) if count == slow else np.nan
        i += 1
    while i < n:
        rows = min(n - i, STEP - count % STEP)
        now, column = x[i : i + rows], out[i : i + rows]
        for k in range(rows):
            value = now[k] - base
            quick += (value - quick) * fast_weight
            mean += (value - mean) * slow_weight
            column[k, 0] = _told(quick, mean, base, percent)
        i += rows
        count += rows
        if count % STEP == 0:
            moved = x[i - 1] - base
            quick, mean, base = calm(quick - moved), calm(mean - moved), x[i - 1]
    s[0]["count"], s[0]["fast"], s[0]["slow"], s[0]["base"] = count, quick, mean, base


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
