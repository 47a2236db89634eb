"""Distance between a fast and a slow mean: kernels `fn(p, s, bars, out)`."""

from __future__ import annotations

import numba as nb
import numpy as np

from workbench.kernels.sliding import CHUNK
from workbench.kernels.smoothing import STEP, calm, grown

__all__ = ["SPREAD", "apo", "awesome", "ppo"]

_ONE, _TWO = np.uint64(1), np.uint64(2)

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
def _blocks(x, i, blocks, length, line, shift):
    """Write by how much means are above each row's own value, for whole blocks from row i on.

    Row i goes to place i - `shift`. Sums of the end of a window wait there until they are wanted.
    """
    part = 1.0 / length
    # Indices without sign need no test for counting from the end.
    size = np.uint64(length)
    a = np.uint64(i)
    place = np.uint64(i - shift)
    for _ in range(blocks):
        first = x[a]
        tail = 0.0
        for j in range(length - 1):
            back = np.uint64(j)
            tail += x[a - _ONE - back] - first
            line[place + size - _TWO - back] = tail
        line[place + size - _ONE] = 0.0
        head = 0.0
        for j in range(length):
            k = np.uint64(j)
            step = x[a + k] - first
            head += step
            line[place + k] = (line[place + k] + head) * part - step
        a += size
        place += size


@nb.njit(cache=True, nogil=True)
def _means(s, x, begin, stop, length, slow, tails, state, line, shift):
    """Write by how much means are above each row's own value, for rows `begin` to `stop`.

    `state` is the place in the block, the sum of the block so far and its first value.
    """
    at, head, first = state
    part = 1.0 / length
    i = begin
    while i < stop:
        if at == 0:
            blocks = (stop - i) // length if i >= length else np.int64(0)
            if blocks > 0:
                _blocks(x, i, blocks, length, line, shift)
                i += blocks * length
                continue
            first = _tails(s, x, i, length, slow, tails)
        step = x[i] - first
        head += step
        line[i - shift] = (tails[at + 1] + head) * part - step
        at += 1
        i += 1
        if at == length:  # nothing is kept, as nothing is by whole blocks
            at, head, first = np.int64(0), 0.0, 0.0
            for k in range(length):
                tails[k] = 0.0
    return at, head, first


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _simple(s, x, fast, slow, percent, out):
    """Distance of simple means.

    Windows are summed in blocks, as `sliding` explains, so that nothing is left of what is gone.
    Sums are of distances to the first value of a block, which is in each window of it, and means
    are told from the row's own value: the difference of two means that are nearly equal would
    show the rounding of the level of prices.
    """
    n = len(x)
    line = out.reshape(n)
    room = np.empty(min(n, CHUNK))
    state = (s[0]["slow_at"], s[0]["slow"], s[0]["slow_first"])
    quick = (s[0]["fast_at"], s[0]["fast"], s[0]["fast_first"])
    for begin in range(0, n, CHUNK):
        stop = min(n, begin + CHUNK)
        state = _means(s, x, begin, stop, slow, slow, s["slow_tails"], state, line, 0)
        quick = _means(s, x, begin, stop, fast, slow, s["fast_tails"], quick, room, begin)
        part, now = line[begin:stop], x[begin:stop]
        for k in range(stop - begin):
            part[k] = _told(room[k], part[k], now[k], percent)
    s[0]["slow_at"], s[0]["slow"], s[0]["slow_first"] = state
    s[0]["fast_at"], s[0]["fast"], s[0]["fast_first"] = quick
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
