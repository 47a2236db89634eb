"""Exponential means of exponential means: kernels `fn(p, s, bars, out)` (see `averages`).

Long columns are cut into parts that run side by side, as `smoothing` explains. Three means in a
row are not set to a value they come no nearer to: the change of the last, which `trix` tells,
would show that as a move where nothing moves.
"""

from __future__ import annotations

import numba as nb
import numpy as np

from workbench.kernels.smoothing import STEP, calm, grown, lead_of, parts_of, settled

__all__ = ["DEMA", "TEMA", "TRIX", "dema", "tema", "trix"]

DEMA = [("count", "i8"), ("one", "f8"), ("two", "f8")]
TEMA = [("count", "i8"), ("one", "f8"), ("two", "f8"), ("three", "f8")]
TRIX = [*TEMA, ("last", "f8")]

_ONE = np.uint64(1)


@nb.njit(cache=True, nogil=True, inline="always")
def _needs(seed, length):
    """Return how many values seed the first mean of a chain, and each mean after it."""
    if seed == 0:
        return length, length
    if seed == 1:
        return length, np.int64(1)
    return np.int64(1), np.int64(1)


@nb.njit(cache=True, nogil=True, inline="always")
def _both(one, two, x, weight):
    """Return two means in a row settled, the first having taken `x` last."""
    return settled(one, x, weight), settled(two, one, weight)


@nb.njit(cache=True, nogil=True)
def _guess(close, known, row, one, two):
    """Return means before a row: those before a known one if the same price came before both."""
    if close[row - _ONE] == close[known - _ONE]:
        return one, two
    x = close[row] + 0.0
    return x, x


@nb.njit(cache=True, nogil=True)
def dema(p, s, bars, out):
    """Twice an exponential mean less the exponential mean of it."""
    length = p["length"]
    need, next_need = _needs(p["seed"], length)
    weight = np.float64(2.0) / (length + 1.0)
    count, one, two = s[0]["count"], s[0]["one"], s[0]["two"]
    close = bars.close
    line = out.reshape(len(out))
    n = len(close)
    second = need - 1  # the row from which on the second mean takes values
    ready = second + next_need
    i = 0
    while i < n and count < ready:
        one = grown(one, close[i], count, need, weight)
        if count >= second:
            two = grown(two, one, count - second, next_need, weight)
        count += 1
        line[i] = 2.0 * one - two if count == ready else np.nan
        i += 1
    lead = lead_of(weight, 2)
    if n - i > 32 * lead:
        start = i + (-count) % STEP + lead
        one, two = _double(close, line, i, start, count, one, two, weight)
        count += start - i
        i = start
    part, early = parts_of(n - i, lead, 4, False)
    while part > 0:
        done, one, two = _doubles(close, line, i, part, early, one, two, weight)
        count += done * part
        i += done * part
        part, early = parts_of(n - i, lead, 4, done < 4)
    one, two = _double(close, line, i, n, count, one, two, weight)
    s[0]["count"], s[0]["one"], s[0]["two"] = count + n - i, one, two


@nb.njit(cache=True, nogil=True)
def _double(close, line, i, stop, count, one, two, weight):
    """Do rows `i` to `stop`, `count` values after the first; return both means."""
    while i < stop:
        pause = min(stop, i + STEP - count % STEP)
        for k in range(i, pause):
            one += (close[k] - one) * weight
            two += (one - two) * weight
            line[k] = 2.0 * one - two
        count += pause - i
        i = pause
        if count % STEP == 0:
            one, two = _both(one, two, close[i - 1], weight)
    return one, two


@nb.njit(cache=True, nogil=True)
def _doubles(close, line, i, part, lead, one, two, weight):
    """Do four parts from row `i`, which begins a step.

    Return how many of them began where the one before ended, and both means after those.
    """
    size = np.uint64(part)
    a = np.uint64(i)
    b = a + size
    c = b + size
    d = c + size
    early = np.uint64(lead)
    one_a, two_a = one, two
    one_b, two_b = _guess(close, a, b - early, one, two)
    one_c, two_c = _guess(close, a, c - early, one, two)
    one_d, two_d = _guess(close, a, d - early, one, two)
    for step in range(0, lead, STEP):
        for j in range(step, step + STEP):
            k = np.uint64(j)
            one_b += (close[b - early + k] - one_b) * weight
            two_b += (one_b - two_b) * weight
            one_c += (close[c - early + k] - one_c) * weight
            two_c += (one_c - two_c) * weight
            one_d += (close[d - early + k] - one_d) * weight
            two_d += (one_d - two_d) * weight
        last = np.uint64(step + STEP - 1)
        one_b, two_b = _both(one_b, two_b, close[b - early + last], weight)
        one_c, two_c = _both(one_c, two_c, close[c - early + last], weight)
        one_d, two_d = _both(one_d, two_d, close[d - early + last], weight)
    begun_b, begun_c, begun_d = (one_b, two_b), (one_c, two_c), (one_d, two_d)
    for step in range(0, part, STEP):
        for j in range(step, step + STEP):
            k = np.uint64(j)
            one_a += (close[a + k] - one_a) * weight
            two_a += (one_a - two_a) * weight
            line[a + k] = 2.0 * one_a - two_a
            one_b += (close[b + k] - one_b) * weight
            two_b += (one_b - two_b) * weight
            line[b + k] = 2.0 * one_b - two_b
            one_c += (close[c + k] - one_c) * weight
            two_c += (one_c - two_c) * weight
            line[c + k] = 2.0 * one_c - two_c
            one_d += (close[d + k] - one_d) * weight
            two_d += (one_d - two_d) * weight
            line[d + k] = 2.0 * one_d - two_d
        last = np.uint64(step + STEP - 1)
        one_a, two_a = _both(one_a, two_a, close[a + last], weight)
        one_b, two_b = _both(one_b, two_b, close[b + last], weight)
        one_c, two_c = _both(one_c, two_c, close[c + last], weight)
        one_d, two_d = _both(one_d, two_d, close[d + last], weight)
    if (one_a, two_a) != begun_b:
        return 1, one_a, two_a
    if (one_b, two_b) != begun_c:
        return 2, one_b, two_b
    if (one_c, two_c) != begun_d:
        return 3, one_c, two_c
    return 4, one_d, two_d


@nb.njit(cache=True, nogil=True)
def tema(p, s, bars, out):
    """Three times the difference of an exponential mean and the mean of it, plus the mean of that.

    The last is the exponential mean of the second.
    """
    length = p["length"]
    need, next_need = _needs(p["seed"], length)
    weight = np.float64(2.0) / (length + 1.0)
    line = out.reshape(len(out))
    _triple(s, bars.close, line, need, next_need, weight, 3.0)


@nb.njit(cache=True, nogil=True)
def trix(p, s, bars, out):
    """Change of a triple exponential mean from bar to bar, in percent; 0 where it is zero."""
    length = p["length"]
    need, next_need = _needs(p["seed"], length)
    weight = np.float64(2.0) / (length + 1.0)
    before = s[0]["count"]
    line = out.reshape(len(out))
    n = len(line)
    _triple(s, bars.close, line, need, next_need, weight, 0.0)
    last = s[0]["last"]
    begun = need + 2 * next_need - 3  # the first row that has a mean
    if n > 0:
        s[0]["last"] = line[n - 1]
    for k in range(n):
        mean = line[k]
        line[k] = 100.0 * (mean / last - 1.0) if last != 0.0 else 0.0
        last = mean
    for k in range(min(n, max(0, begun + 1 - before))):
        line[k] = np.nan


@nb.njit(cache=True, nogil=True)
def _triple(s, close, line, need, next_need, weight, share):
    """Write the third mean, and `share` times what the first is above the second, to `line`."""
    count, one, two, three = s[0]["count"], s[0]["one"], s[0]["two"], s[0]["three"]
    n = len(close)
    second = need - 1
    third = second + next_need - 1
    ready = third + next_need
    i = 0
    while i < n and count < ready:
        one = grown(one, close[i], count, need, weight)
        if count >= second:
            two = grown(two, one, count - second, next_need, weight)
        if count >= third:
            three = grown(three, two, count - third, next_need, weight)
        count += 1
        line[i] = np.nan
        if count == ready:
            line[i] = share * (one - two) + three
        i += 1
    lead = lead_of(weight, 3)
    if n - i > 32 * lead:
        start = i + (-count) % STEP
        one, two, three = _treble(close, line, i, start, count, one, two, three, weight, share)
        part = (n - start) // (2 * STEP) * STEP
        one, two, three = _trebles(close, line, start, part, lead, one, two, three, weight, share)
        count += start + 2 * part - i
        i = start + 2 * part
    one, two, three = _treble(close, line, i, n, count, one, two, three, weight, share)
    s[0]["count"], s[0]["one"], s[0]["two"], s[0]["three"] = count + n - i, one, two, three


@nb.njit(cache=True, nogil=True)
def _treble(close, line, i, stop, count, one, two, three, weight, share):
    """Do rows `i` to `stop`, `count` values after the first; return the three means."""
    while i < stop:
        pause = min(stop, i + STEP - count % STEP)
        for k in range(i, pause):
            one += (close[k] - one) * weight
            two += (one - two) * weight
            three += (two - three) * weight
            line[k] = share * (one - two) + three
        count += pause - i
        i = pause
        if count % STEP == 0:
            one, two, three = calm(one), calm(two), calm(three)
    return one, two, three


@nb.njit(cache=True, nogil=True)
def _trebles(close, line, i, part, lead, one, two, three, weight, share):
    """Do two parts from row `i`, which begins a step; return the three means."""
    a = np.uint64(i)
    b = a + np.uint64(part)
    early = np.uint64(lead)
    one_a, two_a, three_a = one, two, three
    one_b = two_b = three_b = close[b - early] + 0.0
    for step in range(0, lead, STEP):
        for j in range(step, step + STEP):
            one_b += (close[b - early + np.uint64(j)] - one_b) * weight
            two_b += (one_b - two_b) * weight
            three_b += (two_b - three_b) * weight
        one_b, two_b, three_b = calm(one_b), calm(two_b), calm(three_b)
    begun = (one_b, two_b, three_b)
    for step in range(0, part, STEP):
        for j in range(step, step + STEP):
            k = np.uint64(j)
            one_a += (close[a + k] - one_a) * weight
            two_a += (one_a - two_a) * weight
            three_a += (two_a - three_a) * weight
            line[a + k] = share * (one_a - two_a) + three_a
            one_b += (close[b + k] - one_b) * weight
            two_b += (one_b - two_b) * weight
            three_b += (two_b - three_b) * weight
            line[b + k] = share * (one_b - two_b) + three_b
        one_a, two_a, three_a = calm(one_a), calm(two_a), calm(three_a)
        one_b, two_b, three_b = calm(one_b), calm(two_b), calm(three_b)
    if (one_a, two_a, three_a) != begun:
        return _treble(close, line, i + part, i + 2 * part, 0, one_a, two_a, three_a, weight, share)
    return one_b, two_b, three_b
