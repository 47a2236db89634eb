"""Convergence and divergence of two exponential means: kernel `fn(p, s, bars, out)`.

The form is told in `averages`; how long columns are cut, in `smoothing`.
"""

from __future__ import annotations

import numba as nb
import numpy as np

from workbench.kernels.smoothing import STEP, calm, grown, lead_of

__all__ = ["MACD", "macd"]

MACD = [("count", "i8"), ("fast", "f8"), ("slow", "f8"), ("signal", "f8")]


@nb.njit(cache=True, nogil=True)
def macd(p, s, bars, out):
    """A fast exponential mean less a slow one, the mean of that, and what is between the two."""
    fast_length, slow_length, signal_length = p["fast"], p["slow"], p["signal"]
    seed = p["seed"]
    fast_need, slow_need, signal_need = fast_length, slow_length, signal_length
    if seed == 2:
        fast_need = slow_need = signal_need = np.int64(1)
    # The row from which on the fast mean takes values; both are then seeded on the same row.
    late = slow_length - fast_length if seed == 0 else np.int64(0)
    fast_weight = np.float64(2.0) / (fast_length + 1.0)
    slow_weight = np.float64(2.0) / (slow_length + 1.0)
    weight = np.float64(2.0) / (signal_length + 1.0)
    count = s[0]["count"]
    fast, slow, signal = s[0]["fast"], s[0]["slow"], s[0]["signal"]
    close = bars.close
    n = len(close)
    begun = slow_need - 1
    ready = begun + signal_need
    i = 0
    while i < n and count < ready:
        slow = grown(slow, close[i], count, slow_need, slow_weight)
        if count >= late:
            fast = grown(fast, close[i], count - late, fast_need, fast_weight)
        if count >= begun:
            signal = grown(signal, fast - slow, count - begun, signal_need, weight)
        count += 1
        out[i, 0] = out[i, 1] = out[i, 2] = np.nan
        if seed != 0 and count > begun:  # TA-Lib holds the line back until the signal is there
            out[i, 0] = fast - slow
        if count == ready:
            out[i, 0], out[i, 1], out[i, 2] = fast - slow, signal, fast - slow - signal
        i += 1
    weights = (fast_weight, slow_weight, weight)
    lead = lead_of(min(slow_weight, weight), 2)
    if n - i > 32 * lead:
        start = i + (-count) % STEP
        fast, slow, signal = _rows(close, out, i, start, count, fast, slow, signal, weights)
        part = (n - start) // (2 * STEP) * STEP
        fast, slow, signal = _halves(close, out, start, part, lead, fast, slow, signal, weights)
        count += start + 2 * part - i
        i = start + 2 * part
    fast, slow, signal = _rows(close, out, i, n, count, fast, slow, signal, weights)
    s[0]["count"] = count + n - i
    s[0]["fast"], s[0]["slow"], s[0]["signal"] = fast, slow, signal


@nb.njit(cache=True, nogil=True)
def _rows(close, out, i, stop, count, fast, slow, signal, weights):
    """Do rows `i` to `stop`, `count` values after the first; return the three means."""
    fast_weight, slow_weight, weight = weights
    while i < stop:
        pause = min(stop, i + STEP - count % STEP)
        for k in range(i, pause):
            x = close[k]
            fast += (x - fast) * fast_weight
            slow += (x - slow) * slow_weight
            line = fast - slow
            signal += (line - signal) * weight
            out[k, 0] = line
            out[k, 1] = signal
            out[k, 2] = line - signal
        count += pause - i
        i = pause
        if count % STEP == 0:
            fast, slow, signal = calm(fast), calm(slow), calm(signal)
    return fast, slow, signal


@nb.njit(cache=True, nogil=True)
def _halves(close, out, i, part, lead, fast, slow, signal, weights):
    """Do two parts from row `i`, which begins a step; return the three means."""
    fast_weight, slow_weight, weight = weights
    a = np.uint64(i)
    b = a + np.uint64(part)
    early = np.uint64(lead)
    # A zero has no sign in a mean; adding one takes it from a guess.
    fast_b = slow_b = close[b - early] + 0.0
    signal_b = 0.0
    for step in range(0, lead, STEP):
        for j in range(step, step + STEP):
            x = close[b - early + np.uint64(j)]
            fast_b += (x - fast_b) * fast_weight
            slow_b += (x - slow_b) * slow_weight
            signal_b += ((fast_b - slow_b) - signal_b) * weight
        fast_b, slow_b, signal_b = calm(fast_b), calm(slow_b), calm(signal_b)
    begun = (fast_b, slow_b, signal_b)
    for step in range(0, part, STEP):
        for j in range(step, step + STEP):
            k = np.uint64(j)
            x = close[a + k]
            fast += (x - fast) * fast_weight
            slow += (x - slow) * slow_weight
            line = fast - slow
            signal += (line - signal) * weight
            out[a + k, 0] = line
            out[a + k, 1] = signal
            out[a + k, 2] = line - signal
            x = close[b + k]
            fast_b += (x - fast_b) * fast_weight
            slow_b += (x - slow_b) * slow_weight
            line = fast_b - slow_b
            signal_b += (line - signal_b) * weight
            out[b + k, 0] = line
            out[b + k, 1] = signal_b
            out[b + k, 2] = line - signal_b
        fast, slow, signal = calm(fast), calm(slow), calm(signal)
        fast_b, slow_b, signal_b = calm(fast_b), calm(slow_b), calm(signal_b)
    if (fast, slow, signal) != begun:
        return _rows(close, out, i + part, i + 2 * part, 0, fast, slow, signal, weights)
    return fast_b, slow_b, signal_b
