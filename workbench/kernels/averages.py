"""Moving averages: kernels `fn(p, s, bars, out)`.

`p` is the record of parameters, `s` the state (row 0 holds the scalars, a field `ring` uses
every row), `bars` the input columns, `out` an array of shape (bars, outputs). State is kept
between calls, so any split of the bars gives the same bits.
"""

from __future__ import annotations

import numba as nb
import numpy as np

from workbench.kernels.sliding import CHUNK, sums, weighted_sums

__all__ = ["HMA", "SMA", "VWMA", "WMA", "hma", "sma", "vwma", "wma"]

SMA = [("count", "i8"), ("at", "i8"), ("head", "f8"), ("ring", "f8")]
WMA = [("count", "i8"), ("at", "i8"), ("head", "f8"), ("past", "f8"), ("ring", "f8")]
VWMA = [("count", "i8"), ("at", "i8"), ("head", "f8"), ("weight", "f8"), ("ring", "f8"),
        ("weights", "f8")]  # fmt: skip
HMA = [("count", "i8"),
       ("at", "i8"), ("head", "f8"), ("past", "f8"), ("ring", "f8"),
       ("half_at", "i8"), ("half_head", "f8"), ("half_past", "f8"), ("half_ring", "f8"),
       ("last_at", "i8"), ("last_head", "f8"), ("last_past", "f8"),
       ("last_ring", "f8")]  # fmt: skip


@nb.njit(cache=True, nogil=True)
def sma(p, s, bars, out):
    """Mean of the last `length` values; NaN before."""
    length = p["length"]
    count = s[0]["count"]
    line = out.reshape(len(out))
    at, head = sums(
        bars.close, line, s["ring"], length, s[0]["at"], s[0]["head"], np.float64(1.0) / length
    )
    for i in range(min(len(line), max(0, length - 1 - count))):
        line[i] = np.nan
    s[0]["count"] = count + len(line)
    s[0]["at"] = at
    s[0]["head"] = head


@nb.njit(cache=True, nogil=True)
def wma(p, s, bars, out):
    """Mean of the last `length` values, weighted `length` (the newest) down to 1; NaN before."""
    length = p["length"]
    count = s[0]["count"]
    line = out.reshape(len(out))
    scale = np.float64(2.0) / (length * (length + 1.0))
    at, head, past = weighted_sums(
        bars.close, line, s["ring"], length, s[0]["at"], s[0]["head"], s[0]["past"], scale
    )
    for i in range(min(len(line), max(0, length - 1 - count))):
        line[i] = np.nan
    s[0]["count"] = count + len(line)
    s[0]["at"] = at
    s[0]["head"] = head
    s[0]["past"] = past


@nb.njit(cache=True, nogil=True)
def vwma(p, s, bars, out):
    """Mean of the last `length` values weighted by volume; NaN before, and without volume."""
    length = p["length"]
    count = s[0]["count"]
    at = s[0]["at"]
    head = s[0]["head"]
    weight = s[0]["weight"]
    line = out.reshape(len(out))
    n = len(line)
    room = np.empty((2, min(n, CHUNK)))
    for start in range(0, n, CHUNK):
        stop = min(n, start + CHUNK)
        close = bars.close[start:stop]
        volume = bars.volume[start:stop]
        rows = stop - start
        products = room[0, :rows]
        volumes = room[1, :rows]
        for k in range(rows):
            products[k] = close[k] * volume[k]
        part = line[start:stop]
        _, weight = sums(volume, volumes, s["weights"], length, at, weight, 1.0)
        at, head = sums(products, part, s["ring"], length, at, head, 1.0)
        for k in range(rows):
            total = volumes[k]
            part[k] = part[k] / total if total > 0.0 else np.nan
    for i in range(min(n, max(0, length - 1 - count))):
        line[i] = np.nan
    s[0]["count"] = count + n
    s[0]["at"] = at
    s[0]["head"] = head
    s[0]["weight"] = weight


@nb.njit(cache=True, nogil=True)
def hma(p, s, bars, out):
    """Weighted mean over sqrt(length) of twice that over length / 2 less that over length.

    Half and root are rounded down.
    """
    length = p["length"]
    half = max(1, length // 2)
    last = max(1, int(np.sqrt(length)))
    whole_scale = np.float64(2.0) / (length * (length + 1.0))
    half_scale = np.float64(4.0) / (half * (half + 1.0))
    last_scale = np.float64(2.0) / (last * (last + 1.0))
    count = s[0]["count"]
    at, head, past = s[0]["at"], s[0]["head"], s[0]["past"]
    half_at, half_head, half_past = s[0]["half_at"], s[0]["half_head"], s[0]["half_past"]
    last_at, last_head, last_past = s[0]["last_at"], s[0]["last_head"], s[0]["last_past"]
    line = out.reshape(len(out))
    n = len(line)
    room = np.empty(min(n, CHUNK))
    for start in range(0, n, CHUNK):
        close = bars.close[start : start + CHUNK]
        part = line[start : start + CHUNK]
        rows = len(close)
        twice = room[:rows]
        at, head, past = weighted_sums(close, part, s["ring"], length, at, head, past, whole_scale)
        half_at, half_head, half_past = weighted_sums(
            close, twice, s["half_ring"], half, half_at, half_head, half_past, half_scale
        )
        for k in range(rows):
            twice[k] -= part[k]
        ready = min(rows, max(0, length - 1 - count))  # the difference has a value from here
        last_at, last_head, last_past = weighted_sums(
            twice[ready:], part[ready:], s["last_ring"], last, last_at, last_head, last_past,
            last_scale,
        )  # fmt: skip
        for k in range(min(rows, max(0, length + last - 2 - count))):
            part[k] = np.nan
        count += rows
    s[0]["count"] = count
    s[0]["at"], s[0]["head"], s[0]["past"] = at, head, past
    s[0]["half_at"], s[0]["half_head"], s[0]["half_past"] = half_at, half_head, half_past
    s[0]["last_at"], s[0]["last_head"], s[0]["last_past"] = last_at, last_head, last_past
