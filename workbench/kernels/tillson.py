"""Tillson's mean of six exponential means in a row: kernel `fn(p, s, bars, out)`.

The form is told in `averages`; how long columns are cut, in `smoothing`.
"""

from __future__ import annotations

import numba as nb
import numpy as np

from workbench.kernels.smoothing import STEP, calm, grown, lead_of

__all__ = ["T3", "t3"]

T3 = [("count", "i8"), *((f"mean_{k}", "f8") for k in range(6))]


@nb.njit(cache=True, nogil=True)
def t3(p, s, bars, out):
    """Tillson's mean: a sum of the third to the sixth of six exponential means in a row."""
    length = p["length"]
    v = p["factor"]
    weight = np.float64(2.0) / (length + 1.0)
    c6 = -v * v * v
    c5 = 3.0 * (v * v - c6)
    c4 = -6.0 * v * v - 3.0 * (v - c6)
    c3 = 1.0 + 3.0 * v - c6 + 3.0 * v * v
    w3 = weight * weight * weight
    shares = (c3 * w3, c4 * w3 * weight, c5 * w3 * weight * weight, c6 * w3 * w3)
    count = s[0]["count"]
    m0, m1, m2 = s[0]["mean_0"], s[0]["mean_1"], s[0]["mean_2"]
    m3, m4, m5 = s[0]["mean_3"], s[0]["mean_4"], s[0]["mean_5"]
    close = bars.close
    line = out.reshape(len(out))
    n = len(close)
    more = length - 1
    ready = 6 * more + 1
    i = 0
    while i < n and count < ready:
        m0 = grown(m0, close[i], count, length, weight)
        if count >= more:
            m1 = grown(m1, m0, count - more, length, weight)
        if count >= 2 * more:
            m2 = grown(m2, m1, count - 2 * more, length, weight)
        if count >= 3 * more:
            m3 = grown(m3, m2, count - 3 * more, length, weight)
        if count >= 4 * more:
            m4 = grown(m4, m3, count - 4 * more, length, weight)
        if count >= 5 * more:
            m5 = grown(m5, m4, count - 5 * more, length, weight)
        count += 1
        line[i] = np.nan
        if count == ready:
            line[i] = c6 * m5 + c5 * m4 + c4 * m3 + c3 * m2
            m0, m1, m2, m3, m4, m5 = _sums((m0, m1, m2, m3, m4, m5), weight)
        i += 1
    means = (m0, m1, m2, m3, m4, m5)
    lead = lead_of(weight, 6)
    if n - i > 32 * lead:
        start = i + (-count) % STEP
        means = _rows(close, line, i, start, count, means, weight, shares)
        part = (n - start) // (2 * STEP) * STEP
        means = _halves(close, line, start, part, lead, means, weight, shares)
        count += start + 2 * part - i
        i = start + 2 * part
    means = _rows(close, line, i, n, count, means, weight, shares)
    s[0]["count"] = count + n - i
    s[0]["mean_0"], s[0]["mean_1"], s[0]["mean_2"] = means[0], means[1], means[2]
    s[0]["mean_3"], s[0]["mean_4"], s[0]["mean_5"] = means[3], means[4], means[5]


@nb.njit(cache=True, nogil=True, inline="always")
def _sums(means, weight):
    """Return the sums of six means in a row, which spare the steps a product each.

    What is summed by a mean is worth `weight` in it, so by the second its square, and so on.
    """
    m0, m1, m2, m3, m4, m5 = means
    w2 = weight * weight
    w3 = w2 * weight
    return m0 / weight, m1 / w2, m2 / w3, m3 / (w2 * w2), m4 / (w3 * w2), m5 / (w3 * w3)


@nb.njit(cache=True, nogil=True)
def _rows(close, line, i, stop, count, means, weight, shares):
    """Do rows `i` to `stop`, `count` values after the first; return the sums."""
    c3, c4, c5, c6 = shares
    rest = 1.0 - weight
    m0, m1, m2, m3, m4, m5 = means
    while i < stop:
        pause = min(stop, i + STEP - count % STEP)
        for k in range(i, pause):
            m0 = m0 * rest + close[k]
            m1 = m1 * rest + m0
            m2 = m2 * rest + m1
            m3 = m3 * rest + m2
            m4 = m4 * rest + m3
            m5 = m5 * rest + m4
            line[k] = c6 * m5 + c5 * m4 + c4 * m3 + c3 * m2
        count += pause - i
        i = pause
        if count % STEP == 0:
            m0, m1, m2, m3, m4, m5 = calm(m0), calm(m1), calm(m2), calm(m3), calm(m4), calm(m5)
    return m0, m1, m2, m3, m4, m5


@nb.njit(cache=True, nogil=True)
def _halves(close, line, i, part, lead, means, weight, shares):
    """Do two parts from row `i`, which begins a step; return the sums."""
    c3, c4, c5, c6 = shares
    rest = 1.0 - weight
    a0, a1, a2, a3, a4, a5 = means
    # Indices without sign need no test for counting from the end.
    a = np.uint64(i)
    b = a + np.uint64(part)
    early = np.uint64(lead)
    # A zero has no sign in a mean; adding one takes it from a guess.
    x = close[b - early] + 0.0
    b0, b1, b2, b3, b4, b5 = _sums((x, x, x, x, x, x), weight)
    for step in range(0, lead, STEP):
        for j in range(step, step + STEP):
            b0 = b0 * rest + close[b - early + np.uint64(j)]
            b1 = b1 * rest + b0
            b2 = b2 * rest + b1
            b3 = b3 * rest + b2
            b4 = b4 * rest + b3
            b5 = b5 * rest + b4
        b0, b1, b2, b3, b4, b5 = calm(b0), calm(b1), calm(b2), calm(b3), calm(b4), calm(b5)
    begun = (b0, b1, b2, b3, b4, b5)
    for step in range(0, part, STEP):
        for j in range(step, step + STEP):
            k = np.uint64(j)
            a0 = a0 * rest + close[a + k]
            a1 = a1 * rest + a0
            a2 = a2 * rest + a1
            a3 = a3 * rest + a2
            a4 = a4 * rest + a3
            a5 = a5 * rest + a4
            line[a + k] = c6 * a5 + c5 * a4 + c4 * a3 + c3 * a2
            b0 = b0 * rest + close[b + k]
            b1 = b1 * rest + b0
            b2 = b2 * rest + b1
            b3 = b3 * rest + b2
            b4 = b4 * rest + b3
            b5 = b5 * rest + b4
            line[b + k] = c6 * b5 + c5 * b4 + c4 * b3 + c3 * b2
        a0, a1, a2, a3, a4, a5 = calm(a0), calm(a1), calm(a2), calm(a3), calm(a4), calm(a5)
        b0, b1, b2, b3, b4, b5 = calm(b0), calm(b1), calm(b2), calm(b3), calm(b4), calm(b5)
    if (a0, a1, a2, a3, a4, a5) != begun:
        return _rows(
            close, line, i + part, i + 2 * part, 0, (a0, a1, a2, a3, a4, a5), weight, shares
        )
    return b0, b1, b2, b3, b4, b5
