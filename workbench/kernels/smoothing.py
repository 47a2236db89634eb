"""Exponential means: kernels `fn(p, s, bars, out)` (see `averages` for the form).

An exponential mean forgets: after enough rows, what it started from no longer changes a single
bit. Long columns are therefore cut into four parts that run side by side, the later three
started a little before their first row from a guess. Where a part arrives at its first row with
just the bits the part before ends with, its values are those of one loop over all rows;
where it does not, what is left from there is cut anew. So the bits never depend on the cutting.

Prices that come again and again can hold a mean in one of several circles, a few last bits
apart, for ever; which one, is decided by where it came from. So parts begin a whole number of
likely periods after each other, and a part whose first guess falls on the price that was taken
last starts from the true mean there: that is in the right circle if the series is in one.

Every 64 rows by the count from the first, a mean is looked at. One that decays towards zero is
set to zero below 1e-300: a processor takes many times longer over smaller numbers. One that
comes no nearer to a value, as the step is less than its last bit, is set to that value: else it
would stay off by some last bits, by how many would depend on where it came from, and parts of a
series that stands still would never meet.
"""

from __future__ import annotations

import numba as nb
import numpy as np

__all__ = ["EMA", "STEP", "calm", "ema", "grown", "lead_of", "parts_of", "rma", "settled"]

EMA = [("count", "i8"), ("mean", "f8")]

#: Rows between two looks for a mean that has decayed.
STEP = 64

#: Parts of long columns are whole multiples of so many rows, and so of most short periods.
FOLD, MORE = 15 * STEP, 105 * STEP

_ONE = np.uint64(1)
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
def parts_of(rows, lead, parts, again):
    """Return how long each of some parts is, and how many rows before it it starts; or zeros.

    Zeros are for too few rows to cut. Both are whole steps, and if there are rows enough, whole
    multiples of most short periods: of more of them `again`, when parts did not meet.
    """
    if rows <= 32 * lead:
        return 0, 0
    fold = MORE if again else FOLD
    if rows <= 64 * fold:
        fold = FOLD if rows > 64 * FOLD else STEP
    return rows // (parts * fold) * fold, -(-lead // fold) * fold


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
        start = i + (-count) % STEP + lead  # by then a mean that circles is in its circle
        mean = _row_by_row(close, line, i, start, count, mean, weight)
        count += start - i
        i = start
    part, early = parts_of(n - i, lead, 4, False)
    while part > 0:
        done, mean = _side_by_side(close, line, i, part, early, mean, weight)
        count += done * part
        i += done * part
        part, early = parts_of(n - i, lead, 4, done < 4)
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
    """Do four parts from row `i`, which begins a step.

    Return how many of them began where the one before ended, and the mean after those.
    """
    # Indices without sign need no test for counting from the end.
    size = np.uint64(part)
    a = np.uint64(i)
    b = a + size
    c = b + size
    d = c + size
    early = np.uint64(lead)
    mean_a = mean
    # A zero has no sign in a mean; adding one takes it from a guess.
    last = close[a - _ONE]
    mean_b = mean if close[b - early - _ONE] == last else close[b - early] + 0.0
    mean_c = mean if close[c - early - _ONE] == last else close[c - early] + 0.0
    mean_d = mean if close[d - early - _ONE] == last else close[d - early] + 0.0
    for step in range(0, lead, STEP):
        for j in range(step, step + STEP):
            k = np.uint64(j)
            mean_b += (close[b - early + k] - mean_b) * weight
            mean_c += (close[c - early + k] - mean_c) * weight
            mean_d += (close[d - early + k] - mean_d) * weight
        end = np.uint64(step + STEP - 1)
        mean_b = settled(mean_b, close[b - early + end], weight)
        mean_c = settled(mean_c, close[c - early + end], weight)
        mean_d = settled(mean_d, close[d - early + end], weight)
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
        end = np.uint64(step + STEP - 1)
        mean_a = settled(mean_a, close[a + end], weight)
        mean_b = settled(mean_b, close[b + end], weight)
        mean_c = settled(mean_c, close[c + end], weight)
        mean_d = settled(mean_d, close[d + end], weight)
    if mean_a != begun_b:
        return 1, mean_a
    if mean_b != begun_c:
        return 2, mean_b
    if mean_c != begun_d:
        return 3, mean_c
    return 4, mean_d
