"""Exponential means: kernels `fn(p, s, bars, out)` (see `averages` for the form).

An exponential mean forgets: after enough rows, what it started from no longer changes a single
bit. Long columns are therefore cut into four parts that run side by side, the later three
started a little before their first row from a guess. Where a part arrives at its first row with
just the bits the part before ends with, its values are those of one loop over all rows;
where it does not, it is done again from there. So the bits never depend on the cutting.

Every 64 rows by the count from the first, a mean is looked at. One that decays towards zero is
set to zero below 1e-300: a processor takes many times longer over smaller numbers. One that
comes no nearer to a value, as the step is less than its last bit, is set to that value: else it
would stay off by some last bits, by how many would depend on where it came from, and parts of a
series that stands still would never meet.
"""

from __future__ import annotations

import numba as nb
import numpy as np

__all__ = ["EMA", "STEP", "calm", "ema", "grown", "lead_of", "rma", "settled"]

EMA = [("count", "i8"), ("mean", "f8")]

#: Rows between two looks for a mean that has decayed.
STEP = 64

_TINY = 1e-300


@nb.njit(cache=True, nogil=True, inline="always")
def calm(mean):
    """Return a mean, or zero if it is next to nothing."""
    return 0.0 if -_TINY < mean < _TINY else mean


@nb.njit(cache=True, nogil=True, inline="always")
def settled(mean, x, weight):
    """Return a mean that took `x` last, or what it is to be set to."""
    return calm(x if mean + (x - mean) * weight == mean else mean)


@nb.njit(cache=True, nogil=True, inline="always")
def grown(mean, x, taken, need, weight):
    """Return a mean that has taken `taken` values after one more; the first `need` seed it."""
    if taken < need:
        mean += x
        return mean / need if taken + 1 == need else mean
    return mean + (x - mean) * weight


@nb.njit(cache=True, nogil=True, inline="always")
def lead_of(weight, stages):
    """Return after how many rows a chain of means has surely forgotten a guess; whole steps.

    About 40 / weight rows until two means agree to a rounding, and as many until they meet.
    """
    return (int((60.0 + 40.0 * stages) / weight) // STEP + 1) * STEP


@nb.njit(cache=True, nogil=True)
def ema(p, s, bars, out):
    """Exponential mean with factor 2 / (length + 1), seeded by a mean or by the first value."""
    length = p["length"]
    need = length if p["seed"] == 0 else np.int64(1)
    _smooth(s, bars.close, out.reshape(len(out)), need, np.float64(2.0) / (length + 1.0))


@nb.njit(cache=True, nogil=True)
def rma(p, s, bars, out):
    """Exponential mean with factor 1 / length, seeded by a mean or by the first value."""
    length = p["length"]
    need = length if p["seed"] == 0 else np.int64(1)
    _smooth(s, bars.close, out.reshape(len(out)), need, np.float64(1.0) / length)


@nb.njit(cache=True, nogil=True)
def _smooth(s, close, line, need, weight):
    count = s[0]["count"]
    mean = s[0]["mean"]
    n = len(close)
    if weight == 1.0 and n > 0:  # no mean at all; the steps below would round
        for k in range(n):
            line[k] = close[k]
        s[0]["count"] = count + n
        s[0]["mean"] = close[n - 1]
        return
    i = 0
    while i < n and count < need:
        mean = grown(mean, close[i], count, need, weight)
        count += 1
        line[i] = mean if count == need else np.nan
        i += 1
    lead = lead_of(weight, 1)
    if n - i > 32 * lead:
        start = i + (-count) % STEP
        mean = _row_by_row(close, line, i, start, count, mean, weight)
        part = (n - start) // (4 * STEP) * STEP
        mean = _side_by_side(close, line, start, part, lead, mean, weight)
        count += start + 4 * part - i
        i = start + 4 * part
    mean = _row_by_row(close, line, i, n, count, mean, weight)
    s[0]["count"] = count + n - i
    s[0]["mean"] = mean


@nb.njit(cache=True, nogil=True)
def _row_by_row(close, line, i, stop, count, mean, weight):
    """Do rows `i` to `stop`, `count` values after the first; return the mean."""
    while i < stop:
        pause = min(stop, i + STEP - count % STEP)
        for k in range(i, pause):
            mean += (close[k] - mean) * weight
            line[k] = mean
        count += pause - i
        i = pause
        if count % STEP == 0:
            mean = settled(mean, close[i - 1], weight)
    return mean


@nb.njit(cache=True, nogil=True)
def _side_by_side(close, line, i, part, lead, mean, weight):
    """Do four parts from row `i`, which begins a step; return the mean."""
    # Indices without sign need no test for counting from the end.
    size = np.uint64(part)
    a = np.uint64(i)
    b = a + size
    c = b + size
    d = c + size
    early = np.uint64(lead)
    mean_a = mean
    # A zero has no sign in a mean; adding one takes it from a guess.
    mean_b = close[b - early] + 0.0
    mean_c = close[c - early] + 0.0
    mean_d = close[d - early] + 0.0
    for step in range(0, lead, STEP):
        for j in range(step, step + STEP):
            k = np.uint64(j)
            mean_b += (close[b - early + k] - mean_b) * weight
            mean_c += (close[c - early + k] - mean_c) * weight
            mean_d += (close[d - early + k] - mean_d) * weight
        last = np.uint64(step + STEP - 1)
        mean_b = settled(mean_b, close[b - early + last], weight)
        mean_c = settled(mean_c, close[c - early + last], weight)
        mean_d = settled(mean_d, close[d - early + last], weight)
    begun_b, begun_c, begun_d = mean_b, mean_c, mean_d
    for step in range(0, part, STEP):
        for j in range(step, step + STEP):
            k = np.uint64(j)
            mean_a += (close[a + k] - mean_a) * weight
            line[a + k] = mean_a
            mean_b += (close[b + k] - mean_b) * weight
            line[b + k] = mean_b
            mean_c += (close[c + k] - mean_c) * weight
            line[c + k] = mean_c
            mean_d += (close[d + k] - mean_d) * weight
            line[d + k] = mean_d
        last = np.uint64(step + STEP - 1)
        mean_a = settled(mean_a, close[a + last], weight)
        mean_b = settled(mean_b, close[b + last], weight)
        mean_c = settled(mean_c, close[c + last], weight)
        mean_d = settled(mean_d, close[d + last], weight)
    if mean_a != begun_b:
        mean_b = _row_by_row(close, line, i + part, i + 2 * part, 0, mean_a, weight)
    if mean_b != begun_c:
        mean_c = _row_by_row(close, line, i + 2 * part, i + 3 * part, 0, mean_b, weight)
    if mean_c != begun_d:
        mean_d = _row_by_row(close, line, i + 3 * part, i + 4 * part, 0, mean_c, weight)
    return mean_d
