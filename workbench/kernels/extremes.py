"""Extremes of the last values: kernels `fn(p, s, bars, out)` (see `averages` for the form).

The rows are cut into blocks as long as the window, counted from the first row. A window is the
end of one block and the beginning of the next: the extreme of the end is taken from those made
backwards when that block was complete, the extreme of the beginning is carried along. A row
costs three comparisons, whatever the length and the values (van Herk 1992; Gil and Werman 1993).
"""

from __future__ import annotations

import numba as nb
import numpy as np

__all__ = ["EXTREME", "highest", "lowest"]

#: `place` is the place in the block, `best` the extreme of the block so far, `ring` its values,
#: `tail` the extremes of the ends of the block before.
EXTREME = [
    ("count", "i8"), ("place", "i8"), ("best", "f8"), ("ring", "f8"), ("tail", "f8"),
]  # fmt: skip


@nb.njit(cache=True, nogil=True)
def highest(p, s, bars, out):
    """Highest of the last `length` values."""
    length = p["length"]
    ring, tail = s["ring"], s["tail"]
    count, place, best = s[0]["count"], s[0]["place"], s[0]["best"]
    close = bars.close
    line = out.reshape(len(out))
    n = len(close)
    i = 0
    while i < n:
        stop = min(n, i + length - place)
        begin = i - place
        if place == 0:
            best = close[i]
        for k in range(i, min(stop, begin + length - 1)):
            x = close[k]
            best = x if x > best else best
            past = tail[k - begin + 1]
            line[k] = past if past > best else best
        if stop - begin == length:
            x = close[stop - 1]
            best = x if x > best else best
            line[stop - 1] = best
            edge = close[stop - 1]
            for k in range(stop - 1, max(begin, 0) - 1, -1):
                x = close[k]
                edge = x if x > edge else edge
                tail[k - begin] = edge
            for k in range(-begin - 1, -1, -1):
                x = ring[k]
                edge = x if x > edge else edge
                tail[k] = edge
            place = 0
        else:
            for k in range(i, stop):
                ring[k - begin] = close[k]
            place = stop - begin
        i = stop
    line[: min(n, max(0, length - 1 - count))] = np.nan
    s[0]["count"], s[0]["place"], s[0]["best"] = count + n, place, best


@nb.njit(cache=True, nogil=True)
def lowest(p, s, bars, out):
    """Lowest of the last `length` values."""
    length = p["length"]
    ring, tail = s["ring"], s["tail"]
    count, place, best = s[0]["count"], s[0]["place"], s[0]["best"]
    close = bars.close
    line = out.reshape(len(out))
    n = len(close)
    i = 0
    while i < n:
        stop = min(n, i + length - place)
        begin = i - place
        if place == 0:
            best = close[i]
        for k in range(i, min(stop, begin + length - 1)):
            x = close[k]
            best = x if x < best else best
            past = tail[k - begin + 1]
            line[k] = past if past < best else best
        if stop - begin == length:
            x = close[stop - 1]
            best = x if x < best else best
            line[stop - 1] = best
            edge = close[stop - 1]
            for k in range(stop - 1, max(begin, 0) - 1, -1):
                x = close[k]
                edge = x if x < edge else edge
                tail[k - begin] = edge
            for k in range(-begin - 1, -1, -1):
                x = ring[k]
                edge = x if x < edge else edge
                tail[k] = edge
            place = 0
        else:
            for k in range(i, stop):
                ring[k - begin] = close[k]
            place = stop - begin
        i = stop
    line[: min(n, max(0, length - 1 - count))] = np.nan
    s[0]["count"], s[0]["place"], s[0]["best"] = count + n, place, best
