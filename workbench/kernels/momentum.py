"""Momentum: kernels `fn(p, s, bars, out)` (see `averages` for the form)."""

from __future__ import annotations

import numba as nb
import numpy as np

from workbench.kernels.smoothing import parts_of

__all__ = [
    "CHANGE",
    "CMO",
    "RSI",
    "change_of",
    "cmo",
    "mom",
    "roc",
    "rsi",
    "seed",
    "steady",
]

#: States that decay are looked at this often, by the count of all rows.
ANCHOR = 64
#: What has decayed below this is taken as nothing: numbers too small for their exponent
#: would slow every step.
TINY = 1e-250
#: A chunk begins so many lengths early: from any guess the same bits are reached by then.
EARLY = 60

RSI = [("count", "i8"), ("last", "f8"), ("gain", "f8"), ("loss", "f8")]
CMO = [*RSI, ("old_gain", "f8"), ("old_loss", "f8"), ("ring", "f8")]
CHANGE = [("count", "i8"), ("ring", "f8")]


@nb.njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _share(gain, loss, signed):
    """Rises in all changes, in percent; `signed` for rises less falls."""
    total = gain + loss
    part = gain - loss if signed else gain
    return 100.0 * (part / total) if total > 0.0 else 0.0


@nb.njit(cache=True, nogil=True, inline="always")
def _pressed(value):
    return value if value > TINY else 0.0


@nb.njit(cache=True, nogil=True, error_model="numpy")
def seed(s, close, length, signed, zero, out):
    """Take rows until the means of the first `length` changes are there; return how many.

    `zero`: the means are smoothed from 0 rather than begun by plain means.
    """
    count = s[0]["count"]
    last = s[0]["last"]
    gain = s[0]["gain"]
    loss = s[0]["loss"]
    n = len(close)
    i = 0
    while i < n and count <= length:
        x = close[i]
        if count > 0:
            change = x - last
            keep = (length - 1.0) / length if zero else 1.0
            gain = gain * keep + (change if change > 0.0 else 0.0)
            loss = loss * keep + (-change if change < 0.0 else 0.0)
        last = x
        out[i] = np.nan
        if count == length:
            gain /= length
            loss /= length
            out[i] = _share(gain, loss, signed)
        count += 1
        i += 1
    s[0]["count"] = count
    s[0]["last"] = last
    s[0]["gain"] = gain
    s[0]["loss"] = loss
    return i


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _run(close, begin, end, count, last, gain, loss, length, signed, out, write):
    """Take rows `begin` to `end` one after the other; return both means."""
    weight = 1.0 / length
    rest = (length - 1.0) / length
    i = begin
    while i < end:
        stop = min(end, i + ANCHOR - (count & (ANCHOR - 1)))
        count += stop - i
        for j in range(i, stop):
            x = close[j]
            change = x - last
            last = x
            gain = gain * rest + (change if change > 0.0 else 0.0) * weight
            loss = loss * rest + (-change if change < 0.0 else 0.0) * weight
            if write:
                out[j] = _share(gain, loss, signed)
        i = stop
        if count & (ANCHOR - 1) == 0:
            gain = _pressed(gain)
            loss = _pressed(loss)
    return gain, loss


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _four(close, begin, size, state, length, signed, out):
    """Take four chunks of `size` rows side by side, each from its own means.

    `begin` and `size` are such that the count is a whole multiple of ANCHOR at each start.
    One chain of steps waits for itself; four keep the processor busy.
    """
    weight = 1.0 / length
    rest = (length - 1.0) / length
    g0, g1, g2, g3 = state[0, 0], state[1, 0], state[2, 0], state[3, 0]
    l0, l1, l2, l3 = state[0, 1], state[1, 1], state[2, 1], state[3, 1]
    a, b, c, d = begin, begin + size, begin + 2 * size, begin + 3 * size
    for block in range(0, size, ANCHOR):
        for k in range(block, block + ANCHOR):
            c0 = close[a + k] - close[a + k - 1]
            c1 = close[b + k] - close[b + k - 1]
            c2 = close[c + k] - close[c + k - 1]
            c3 = close[d + k] - close[d + k - 1]
            g0 = g0 * rest + (c0 if c0 > 0.0 else 0.0) * weight
            g1 = g1 * rest + (c1 if c1 > 0.0 else 0.0) * weight
            g2 = g2 * rest + (c2 if c2 > 0.0 else 0.0) * weight
            g3 = g3 * rest + (c3 if c3 > 0.0 else 0.0) * weight
            l0 = l0 * rest + (-c0 if c0 < 0.0 else 0.0) * weight
            l1 = l1 * rest + (-c1 if c1 < 0.0 else 0.0) * weight
            l2 = l2 * rest + (-c2 if c2 < 0.0 else 0.0) * weight
            l3 = l3 * rest + (-c3 if c3 < 0.0 else 0.0) * weight
            out[a + k] = _share(g0, l0, signed)
            out[b + k] = _share(g1, l1, signed)
            out[c + k] = _share(g2, l2, signed)
            out[d + k] = _share(g3, l3, signed)
        g0, g1, g2, g3 = _pressed(g0), _pressed(g1), _pressed(g2), _pressed(g3)
        l0, l1, l2, l3 = _pressed(l0), _pressed(l1), _pressed(l2), _pressed(l3)
    state[0, 0], state[1, 0], state[2, 0], state[3, 0] = g0, g1, g2, g3
    state[0, 1], state[1, 1], state[2, 1], state[3, 1] = l0, l1, l2, l3


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _chunks(close, begin, size, early, gain, loss, length, signed, out):
    """Take four chunks; return how many of them are as one run's, and both means after those.

    All but the first start `early` from a guess: from nothing, or from the means before the
    first one if the same price came before both (see `smoothing` for why). Those that begin,
    bit for bit, with what the one before ends with are as one run's.
    """
    state = np.zeros((4, 2))
    state[0, 0] = gain
    state[0, 1] = loss
    for c in range(1, 4):
        at = begin + c * size
        first = at - early
        known = close[first - 1] == close[begin - 1]
        state[c] = _run(
            close, first, at, 0, close[first - 1], gain if known else 0.0, loss if known else 0.0,
            length, signed, out, False,
        )  # fmt: skip
    began = state.copy()
    _four(close, begin, size, state, length, signed, out)
    for c in range(1, 4):
        if state[c - 1, 0] != began[c, 0] or state[c - 1, 1] != began[c, 1]:
            return c, state[c - 1, 0], state[c - 1, 1]
    return 4, state[3, 0], state[3, 1]


@nb.njit(cache=True, nogil=True, error_model="numpy")
def steady(s, close, begin, length, signed, out):
    """Take the rows from `begin` on, when the means are there."""
    count = s[0]["count"]
    last = s[0]["last"]
    gain = s[0]["gain"]
    loss = s[0]["loss"]
    n = len(close)
    i = begin
    lead = (EARLY * length // ANCHOR + 1) * ANCHOR
    if n - i > 64 * ANCHOR and n - i > 16 * lead:
        # To where the count is a multiple of ANCHOR, and one row at least: chunks look back.
        i += ANCHOR - (count & (ANCHOR - 1)) + lead
        gain, loss = _run(close, begin, i, count, last, gain, loss, length, signed, out, True)
        size, early = parts_of(n - i, lead, 4, False)
        while size > 0:
            done, gain, loss = _chunks(close, i, size, early, gain, loss, length, signed, out)
            i += done * size
            size, early = parts_of(n - i, lead, 4, done < 4)
        last = close[i - 1]
        count += i - begin
    gain, loss = _run(close, i, n, count, last, gain, loss, length, signed, out, True)
    s[0]["count"] = count + n - i
    s[0]["last"] = close[n - 1]
    s[0]["gain"] = gain
    s[0]["loss"] = loss


@nb.njit(cache=True, nogil=True)
def rsi(p, s, bars, out):
    """Relative strength of rises against falls, 0 to 100, smoothed as Wilder did.

    Seeded by the means of the first `length` changes; 0 when nothing moved.
    """
    close = bars.close
    column = out[:, 0]
    length = p["length"]
    begin = np.int64(0)
    if s[0]["count"] <= length:
        begin = seed(s, close, length, False, False, column)
    if begin < len(close):
        steady(s, close, begin, length, False, column)


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _sums(s, close, length, out):
    """Rises less falls of the last `length` changes in all of them, unsmoothed.

    A window is the end of one block of `length` changes and the beginning of the next: sums
    from either side of the border need no subtraction, so nothing can be left of what is gone.
    """
    count = s[0]["count"]
    last = s[0]["last"]
    gain = s[0]["gain"]
    loss = s[0]["loss"]
    at = (count - 1) % length if count > 0 else np.int64(0)
    for i in range(len(close)):
        x = close[i]
        change = x - last if count > 0 else 0.0
        last = x
        out[i] = np.nan
        if count > 0:
            gain += change if change > 0.0 else 0.0
            loss += -change if change < 0.0 else 0.0
            s[at]["ring"] = change
            at += 1
            old_gain = s[at]["old_gain"] if at < length else 0.0
            old_loss = s[at]["old_loss"] if at < length else 0.0
            if count >= length:
                out[i] = _share(gain + old_gain, loss + old_loss, True)
            if at == length:
                gain = 0.0
                loss = 0.0
                for k in range(length - 1, -1, -1):
                    old = s[k]["ring"]
                    gain += old if old > 0.0 else 0.0
                    loss += -old if old < 0.0 else 0.0
                    s[k]["old_gain"] = gain
                    s[k]["old_loss"] = loss
                at = np.int64(0)
                gain = 0.0
                loss = 0.0
        count += 1
    s[0]["count"] = count
    s[0]["last"] = last
    s[0]["gain"] = gain
    s[0]["loss"] = loss


@nb.njit(cache=True, nogil=True)
def cmo(p, s, bars, out):
    """Rises less falls in all changes, -100 to 100; 0 when nothing moved.

    `form` 0: smoothed as Wilder did; 1: plain sums of the last `length` changes, as Chande.
    """
    close = bars.close
    column = out[:, 0]
    length = p["length"]
    if p["form"] == 1:
        _sums(s, close, length, column)
        return
    begin = np.int64(0)
    if s[0]["count"] <= length:
        begin = seed(s, close, length, True, False, column)
    if begin < len(close):
        steady(s, close, begin, length, True, column)


@nb.njit(cache=True, nogil=True, error_model="numpy", inline="always")
def change_of(x, old, form):
    """Change from `old` to `x`: 0 difference, 1 percent, 2 fraction, 3 ratio."""
    if form == 0:
        return x - old
    if form == 1:
        return (x / old - 1.0) * 100.0 if old != 0.0 else 0.0
    if form == 2:
        return (x - old) / old if old != 0.0 else 0.0
    return x / old if old != 0.0 else 0.0


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _apart(now, old, form, out):
    """Change of each value since the other; slices with one index become vector code."""
    if form == 0:
        for i in range(len(out)):
            out[i, 0] = change_of(now[i], old[i], 0)
    elif form == 1:
        for i in range(len(out)):
            out[i, 0] = change_of(now[i], old[i], 1)
    elif form == 2:
        for i in range(len(out)):
            out[i, 0] = change_of(now[i], old[i], 2)
    else:
        for i in range(len(out)):
            out[i, 0] = change_of(now[i], old[i], 3)


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _since(s, close, length, form, out):
    """Change of each value since the one `length` rows before."""
    count = s[0]["count"]
    n = len(close)
    at = count % length
    head = min(n, length)
    for i in range(head):
        x = close[i]
        out[i, 0] = change_of(x, s[at]["ring"], form) if count + i >= length else np.nan
        s[at]["ring"] = x
        at += 1
        if at == length:
            at = np.int64(0)
    if n > head:
        _apart(close[length:], close[: n - length], form, out[length:])
    first = max(head, n - length)
    at = (count + first) % length
    for i in range(first, n):
        s[at]["ring"] = close[i]
        at += 1
        if at == length:
            at = np.int64(0)
    s[0]["count"] = count + n


@nb.njit(cache=True, nogil=True, error_model="numpy")
def mom(p, s, bars, out):
    """Difference to the value `length` rows before."""
    _since(s, bars.close, p["length"], 0, out)


@nb.njit(cache=True, nogil=True, error_model="numpy")
def roc(p, s, bars, out):
    """Change since the value `length` rows before: percent, fraction or ratio; 0 if that is 0."""
    _since(s, bars.close, p["length"], p["form"] + 1, out)
