"""Volume by price: the profile, its point of control and value area, and its nodes."""

from __future__ import annotations

import math

import numba as nb
import numpy as np

from workbench.kernels.swings import BORN, CHANGED, ENDED, HEAD, head

__all__ = [
    "EVENTS",
    "NODES",
    "STATE",
    "WINDOW",
    "grid",
    "nodes",
    "profile",
    "smoothed",
    "spread",
    "spread_all",
    "value_area",
]

WINDOW = [("time", "i8"), ("high", "f8"), ("low", "f8"), ("volume", "f8")]
STATE = [("count", "i8"), ("next", "i8"), ("open", "i8")]
#: A zone that stands: as it is now, and whether it was found again at this bar. `wide` is half
#: a step of the grid the peak was found on.
NODES = [
    ("id", "i8"), ("kind", "i8"), ("low", "f8"), ("high", "f8"), ("peak", "f8"), ("wide", "f8"),
]  # fmt: skip
EVENTS = [
    *HEAD, ("low", "f8"), ("high", "f8"), ("peak", "f8"), ("share", "f8"), ("strength", "f8"),
    ("low_now", "f8"), ("high_now", "f8"), ("peak_now", "f8"),
]  # fmt: skip

_AREA, _HVN, _LVN = 0, 1, 2
_FADED, _MERGED, _MOVED = 1, 2, 3
#: Steps a grid may have: 1, 2 or 5 times a power of ten, read from text so that each is the
#: nearest double.
_STEPS = np.array([float(f"{m}e{e}") for e in range(-30, 31) for m in (1, 2, 5)])
_UNIT = 90  # place of 1.0
#: A price this share of a step below an edge counts as on the edge.
_NEAR = 1e-6


@nb.njit(cache=True, nogil=True)
def grid(low, high, tick, bins):
    """Return the step of the grid for a range of prices, 1 / step, and its end bins' numbers.

    The step is the least that needs at most `bins` bins: 1, 2 or 5 times a power of ten, of
    the tick if it is not zero. Edges are whole multiples of the step whatever the range, so
    that the grid stays where it is while the window moves on.
    """
    unit = 1.0
    left = 0
    if tick > 0.0:
        unit = tick
        left = _UNIT
    need = max((high - low) / (bins - 2), max(abs(low), abs(high)) * 1e-9)
    right = len(_STEPS) - 1
    while left < right:
        middle = (left + right) // 2
        if _STEPS[middle] * unit >= need:
            right = middle
        else:
            left = middle + 1
    step = _STEPS[left] * unit
    rate = 1.0 / step
    return step, rate, math.floor(low * rate + _NEAR), math.floor(high * rate + _NEAR)


@nb.njit(cache=True, nogil=True)
def spread(low, high, volume, step, rate, bottom, out):
    """Add the volume of a bar to the bins of `out`, evenly over its range.

    `rate` is 1 / step as `grid` gave it, `bottom` the number of the first bin. A bar
    without range adds all to its price's bin.
    """
    a = np.int64(math.floor(low * rate + _NEAR))
    b = np.int64(math.floor(high * rate + _NEAR))
    span = high - low
    if a == b or span <= 0.0:
        out[a - bottom] += volume
        return
    density = volume / span
    out[a - bottom] += max((a + 1) * step - low, 0.0) * density
    full = step * density
    for j in range(a + 1 - bottom, b - bottom):
        out[j] += full
    out[b - bottom] += max(high - b * step, 0.0) * density


@nb.njit(cache=True, nogil=True)
def spread_all(low, high, volume, step, rate, bottom, out):
    """Add the volumes of all bars to the bins."""
    for j in range(len(low)):
        spread(low[j], high[j], volume[j], step, rate, bottom, out)


@nb.njit(cache=True, nogil=True)
def value_area(v, n, share):
    """Return the bins of the point of control and of both ends of the value area.

    The point of control is the bin with most volume; of equals the one nearest to the middle,
    then the lower. The area grows from there by two bins at a time, above or below, whichever
    pair holds more (above if equal), until it holds `share` of the volume.
    """
    total = 0.0
    poc = 0
    for j in range(n):
        total += v[j]
        if v[j] > v[poc] or (v[j] == v[poc] and abs(2 * j - n + 1) < abs(2 * poc - n + 1)):
            poc = j
    low = poc
    high = poc
    held = v[poc]
    goal = share * total
    while held < goal and (low > 0 or high < n - 1):
        above = 0.0
        below = 0.0
        for j in range(high + 1, min(high + 3, n)):
            above += v[j]
        for j in range(max(low - 2, 0), low):
            below += v[j]
        if high < n - 1 and (above >= below or low == 0):
            held += above
            high = min(high + 2, n - 1)
        else:
            held += below
            low = max(low - 2, 0)
    return poc, low, high


@nb.njit(cache=True, nogil=True)
def smoothed(v, n, width, out):
    """Fill `out` with triangular means of bins up to `width` away."""
    for j in range(n):
        total = 0.0
        weights = 0.0
        for d in range(max(j - width, 0), min(j + width + 1, n)):
            weight = np.float64(width + 1 - abs(d - j))
            total += weight * v[d]
            weights += weight
        out[j] = total / weights


@nb.njit(cache=True, nogil=True)
def nodes(m, n, quantile, runs):
    """Find the nodes of a smoothed profile; return how many.

    `runs` gets a row for each: kind, first bin, last bin, bin of the peak. High volume nodes
    are unbroken runs of bins at or above the quantile (nearest rank) of all bins; low volume
    nodes those at or below the quantile 1 - q, which do not reach either end. In a profile
    whose two thresholds are equal nothing stands out.
    """
    ranked = np.sort(m[:n])
    upper = ranked[min(max(math.ceil(quantile * n) - 1, 0), n - 1)]
    lower = ranked[min(max(math.ceil((1.0 - quantile) * n) - 1, 0), n - 1)]
    if not upper > lower:
        return 0
    k = 0
    j = 0
    while j < n:
        kind = 0
        if m[j] >= upper:
            kind = _HVN
        elif m[j] <= lower:
            kind = _LVN
        else:
            j += 1
            continue
        start = j
        peak = j
        while j < n and ((kind == _HVN and m[j] >= upper) or (kind == _LVN and m[j] <= lower)):
            if (kind == _HVN and m[j] > m[peak]) or (kind == _LVN and m[j] < m[peak]):
                peak = j
            j += 1
        if kind == _HVN or (start > 0 and j < n):
            runs[k, 0] = kind
            runs[k, 1] = start
            runs[k, 2] = j - 1
            runs[k, 3] = peak
            k += 1
    return k


@nb.njit(cache=True, nogil=True)
def _measure(p, w, oldest, v, m, runs):
    """Fill profile and runs of the window; return step, first bin, bins, runs and volume.

    Run 0 is the value area. There are no runs where there is no volume.
    """
    low = w[0]["low"]
    high = w[0]["high"]
    for j in range(1, len(w)):
        low = min(low, w[j]["low"])
        high = max(high, w[j]["high"])
    step, rate, bottom, top = grid(low, high, p["tick"], p["bins"])
    bottom = np.int64(bottom)
    n = np.int64(top) - bottom + 1
    for j in range(n):
        v[j] = 0.0
    # By age: the same bits wherever the ring begins.
    for j in range(oldest, len(w)):
        spread(w[j]["low"], w[j]["high"], w[j]["volume"], step, rate, bottom, v)
    for j in range(oldest):
        spread(w[j]["low"], w[j]["high"], w[j]["volume"], step, rate, bottom, v)
    total = 0.0
    for j in range(n):
        total += v[j]
    if not total > 0.0:
        return step, bottom, n, 0, total
    poc, first, last = value_area(v, n, p["value_area"])
    runs[0, 0] = _AREA
    runs[0, 1] = first
    runs[0, 2] = last
    runs[0, 3] = poc
    smoothed(v, n, p["smooth"], m)
    return step, bottom, n, 1 + nodes(m, n, p["quantile"], runs[1:]), total


@nb.njit(cache=True, nogil=True)
def _now(e, zone):
    e["low_now"] = zone["low"]
    e["high_now"] = zone["high"]
    e["peak_now"] = zone["peak"]


@nb.njit(cache=True, nogil=True)
def _follow(r, z, end, step, bottom, runs, found, taken, out, k):
    """Find the standing zones among the runs again, or end them; return the next free row."""
    for q in range(found):
        taken[q] = 0
    kept = 0
    for j in range(r["open"]):
        zone = z[j]
        reason = _MOVED if zone["kind"] == _AREA else _FADED
        place = -1
        for q in range(found):
            if runs[q, 0] != zone["kind"]:
                continue
            peak = ((bottom + runs[q, 3]) + 0.5) * step
            if zone["kind"] == _AREA:
                same = abs(peak - zone["peak"]) <= zone["wide"]
            else:
                low = (bottom + runs[q, 1]) * step
                same = low <= zone["peak"] < (bottom + runs[q, 2] + 1) * step
            if same:
                if taken[q] == 1:
                    reason = _MERGED
                else:
                    place = q
                    taken[q] = 1
                break
        if place < 0:
            head(out[k], end, zone["id"], ENDED, zone["kind"], reason, 0, 0, 0)
            _now(out[k], zone)
            k += 1
            continue
        low = (bottom + runs[place, 1]) * step
        high = (bottom + runs[place, 2] + 1) * step
        peak = ((bottom + runs[place, 3]) + 0.5) * step
        if low != zone["low"] or high != zone["high"] or peak != zone["peak"]:
            zone["low"] = low
            zone["high"] = high
            zone["peak"] = peak
            zone["wide"] = 0.5 * step
            head(out[k], end, zone["id"], CHANGED, zone["kind"], 0, 0, 0, 0)
            _now(out[k], zone)
            k += 1
        if kept != j:
            z[kept] = zone
        kept += 1
    r["open"] = kept
    return k


@nb.njit(cache=True, nogil=True)
def _begin(r, z, bar, first, step, bottom, n, run, v, m, total, out, k):
    """Write the birth of a zone."""
    a = run[1]
    b = run[2]
    held = 0.0
    for j in range(a, b + 1):
        held += v[j]
    most = m[0]
    for j in range(1, n):
        most = max(most, m[j])
    zone = z[r["open"]]
    zone["id"] = r["next"]
    zone["kind"] = run[0]
    zone["low"] = (bottom + a) * step
    zone["high"] = (bottom + b + 1) * step
    zone["peak"] = ((bottom + run[3]) + 0.5) * step
    zone["wide"] = 0.5 * step
    e = out[k]
    time = bar["time"]
    head(e, bar["end"], r["next"], BORN, run[0], 0, time, first, time)
    e["low"] = zone["low"]
    e["high"] = zone["high"]
    e["peak"] = zone["peak"]
    e["share"] = held / total
    e["strength"] = m[run[3]] / most
    _now(e, zone)
    r["open"] += 1
    r["next"] += 1


@nb.njit(cache=True, nogil=True)
def profile(p, s, w, z, bars, out):
    """Follow value area and nodes of the last bars' profile."""
    r = s[0]
    length = len(w)
    bins = p["bins"]
    most = p["most"]
    v = np.zeros(bins)
    m = np.zeros(bins)
    runs = np.zeros((bins + 1, 4), np.int64)
    taken = np.zeros(bins + 1, np.int64)
    k = 0
    i = 0
    while i < len(bars) and len(out) - k >= most:
        bar = bars[i]
        count = r["count"]
        row = w[count % length]
        row["time"] = bar["time"]
        row["high"] = bar["high"]
        row["low"] = bar["low"]
        row["volume"] = bar["volume"]
        r["count"] = count + 1
        if count + 1 >= length:
            oldest = (count + 1) % length
            step, bottom, n, found, total = _measure(p, w, oldest, v, m, runs)
            k = _follow(r, z, bar["end"], step, bottom, runs, found, taken, out, k)
            first = w[oldest]["time"]
            for q in range(found):
                if taken[q] == 0:
                    _begin(r, z, bar, first, step, bottom, n, runs[q], v, m, total, out, k)
                    k += 1
        i += 1
    return i, k
