"""Realised volatility: kernel `fn(p, s, bars, out)` (see `averages` for the form)."""

from __future__ import annotations

import math

import numba as nb
import numpy as np

from workbench.kernels.bands import FALL, anchor_rows, ring_moments, slid
from workbench.kernels.blocks import sum_tails

__all__ = ["REALISED", "realised"]

_CLOSE, _PARKINSON, _GARMAN_KLASS, _ROGERS_SATCHELL, _YANG_ZHANG = 0, 1, 2, 3, 4

# `step` is the change from the close before (to the open for Yang and Zhang), `body` that from
# open to close, `term` the estimate of the variance from the bar alone.
REALISED = [("count", "i8"), ("last", "f8"), ("at", "i8"), ("head", "f8"), ("steps_mean", "f8"),
            ("steps_square", "f8"), ("steps_top", "f8"), ("body_mean", "f8"),
            ("body_square", "f8"), ("body_top", "f8"), ("step", "f8"), ("body", "f8"),
            ("term", "f8")]  # fmt: skip


@nb.njit(cache=True, nogil=True)
def _log(a, b):
    """Return the logarithm of a ratio of prices; 0 if one is not a price."""
    if a > 0.0 and b > 0.0:
        ratio = a / b
        if 0.0 < ratio < np.inf:
            return math.log(ratio)
    return 0.0


@nb.njit(cache=True, nogil=True)
def _term(method, o, h, l, c):  # noqa: E741 - the four prices
    """Return the variance that a bar alone shows."""
    if method == _PARKINSON:
        span = _log(h, l)
        return span * span / (4.0 * math.log(2.0))
    if method == _GARMAN_KLASS:
        span = _log(h, l)
        body = _log(c, o)
        return 0.5 * span * span - (2.0 * math.log(2.0) - 1.0) * body * body
    return _log(h, c) * _log(h, o) + _log(l, c) * _log(l, o)


@nb.njit(cache=True, nogil=True)
def _moved(ring, length, x, old, mean, square, top, anew):
    """Return mean, sum of squares and its highest after `x` came into a ring for `old`."""
    if not anew:
        mean, square = slid(x, old, mean, square, 1.0 / length)
        anew = square < FALL * top
    if anew:
        mean, square = ring_moments(ring, length, x)
        top = square
    return mean, square, max(square, top)


@nb.njit(cache=True, nogil=True)
def _changes(p, s, bars, out, method):
    """Write what the changes from bar to bar show; the state counts bars, the rings changes."""
    length = p["length"]
    count = s[0]["count"]
    last = s[0]["last"]
    mean, square, top = s[0]["steps_mean"], s[0]["steps_square"], s[0]["steps_top"]
    body_mean, body_square, body_top = s[0]["body_mean"], s[0]["body_square"], s[0]["body_top"]
    at = s[0]["at"]
    head = s[0]["head"]
    share = 0.34 / (1.34 + (length + 1.0) / (length - 1.0))
    every = anchor_rows(length)
    for i in range(len(bars.close)):
        o, c = bars.open[i], bars.close[i]
        value = np.nan
        if count > 0:
            step = _log(c if method == _CLOSE else o, last)
            old = s[at]["step"]
            s[at]["step"] = step
            anew = count == length or count % every == 0
            if count >= length:
                mean, square, top = _moved(s["step"], length, step, old, mean, square, top, anew)
                value = square / (length - 1.0)
            if method == _YANG_ZHANG:
                body = _log(c, o)
                old = s[at]["body"]
                s[at]["body"] = body
                term = _term(method, o, bars.high[i], bars.low[i], c)
                head += term
                if count >= length:
                    body_mean, body_square, body_top = _moved(
                        s["body"], length, body, old, body_mean, body_square, body_top, anew
                    )
                    value += share * body_square / (length - 1.0)
                    value += (1.0 - share) * (head + s[at + 1]["term"]) / length
                s[at]["term"] = term
            at += 1
            if at == length:
                sum_tails(s["term"], length)
                at = 0
                head = 0.0
        out[i, 0] = math.sqrt(max(value, 0.0) * p["year"]) if count >= length else np.nan
        last = c
        count += 1
    s[0]["count"] = count
    s[0]["last"] = last
    s[0]["at"] = at
    s[0]["head"] = head
    s[0]["steps_mean"], s[0]["steps_square"], s[0]["steps_top"] = mean, square, top
    s[0]["body_mean"], s[0]["body_square"], s[0]["body_top"] = body_mean, body_square, body_top


@nb.njit(cache=True, nogil=True)
def _bars_alone(p, s, bars, out, method):
    """Write what the bars alone show."""
    length = p["length"]
    count = s[0]["count"]
    at = s[0]["at"]
    head = s[0]["head"]
    scale = p["year"] / length
    for i in range(len(bars.close)):
        term = _term(method, bars.open[i], bars.high[i], bars.low[i], bars.close[i])
        head += term
        total = head + s[at + 1]["term"]
        s[at]["term"] = term
        count += 1
        out[i, 0] = math.sqrt(max(total, 0.0) * scale) if count >= length else np.nan
        at += 1
        if at == length:
            sum_tails(s["term"], length)
            at = 0
            head = 0.0
    s[0]["count"] = count
    s[0]["at"] = at
    s[0]["head"] = head


@nb.njit(cache=True, nogil=True)
def realised(p, s, bars, out):
    """Volatility of the last `length` bars by one of five estimators; 0 if nothing moved."""
    method = p["method"]
    if method in (_CLOSE, _YANG_ZHANG):
        _changes(p, s, bars, out, method)
    else:
        _bars_alone(p, s, bars, out, method)
