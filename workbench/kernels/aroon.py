"""How long ago the extremes of a window were: kernels `fn(p, s, bars, out)`."""

from __future__ import annotations

import numba as nb
import numpy as np

__all__ = ["AROON", "aroon"]

AROON = [
    ("count", "i8"), ("at", "i8"), ("top", "f8"), ("bottom", "f8"), ("top_at", "i8"),
    ("bottom_at", "i8"), ("high", "f8"), ("low", "f8"), ("high_at", "i8"), ("low_at", "i8"),
]  # fmt: skip


@nb.njit(cache=True, nogil=True, inline="always")
def _beats(x, best, later):
    """Tell whether a later value takes the place of the best; `later` if it does when equal."""
    return x >= best if later else x > best


@nb.njit(cache=True, nogil=True)
def _close_block(s, size, later):
    """Turn the rows of a whole block into the extremes from each row to the block's end."""
    for k in range(size - 2, -1, -1):
        if _beats(s[k + 1]["high"], s[k]["high"], later):
            s[k]["high"] = s[k + 1]["high"]
            s[k]["high_at"] = s[k + 1]["high_at"]
        if _beats(-s[k + 1]["low"], -s[k]["low"], later):
            s[k]["low"] = s[k + 1]["low"]
            s[k]["low_at"] = s[k + 1]["low_at"]


@nb.njit(cache=True, nogil=True, inline="always")
def _rows(s, high, low, length, later, out):
    """Take rows; a window of `length` + 1 rows is the end of a block and the start of the next."""
    size = length + 1
    count, at = s[0]["count"], s[0]["at"]
    top, bottom = s[0]["top"], s[0]["bottom"]
    top_at, bottom_at = s[0]["top_at"], s[0]["bottom_at"]
    step = 100.0 / length
    for i in range(len(high)):
        h = high[i]
        w = low[i]
        rises = at == 0 or _beats(h, top, later)
        falls = at == 0 or _beats(-w, -bottom, later)
        top = h if rises else top
        top_at = count if rises else top_at
        bottom = w if falls else bottom
        bottom_at = count if falls else bottom_at
        s[at]["high"] = h
        s[at]["low"] = w
        s[at]["high_at"] = count
        s[at]["low_at"] = count
        at += 1
        if at == size:
            _close_block(s, size, later)
            at = np.int64(0)
            highest_at = top_at
            lowest_at = bottom_at
        else:
            highest_at = top_at if _beats(top, s[at]["high"], later) else s[at]["high_at"]
            lowest_at = bottom_at if _beats(-bottom, -s[at]["low"], later) else s[at]["low_at"]
        if count >= length:
            out[i, 0] = step * (length - (count - lowest_at))
            out[i, 1] = step * (length - (count - highest_at))
            out[i, 2] = step * (highest_at - lowest_at)
        else:
            out[i, 0] = np.nan
            out[i, 1] = np.nan
            out[i, 2] = np.nan
        count += 1
    s[0]["count"], s[0]["at"] = count, at
    s[0]["top"], s[0]["bottom"] = top, bottom
    s[0]["top_at"], s[0]["bottom_at"] = top_at, bottom_at


@nb.njit(cache=True, nogil=True)
def aroon(p, s, bars, out):
    """Age of the lowest low and the highest high of `length` + 1 rows, 100 for new, 0 for old.

    `ties` 0: of equal extremes the latest counts, as TA-Lib; 1: the first.
    """
    if p["ties"] == 0:
        _rows(s, bars.high, bars.low, p["length"], True, out)
    else:
        _rows(s, bars.high, bars.low, p["length"], False, out)
