"""Channels around prices: kernels `fn(p, s, bars, out)` (see `averages` for the form)."""

from __future__ import annotations

import numba as nb
import numpy as np

from workbench.kernels.blocks import CHUNK, extremes, sum_tails
from workbench.kernels.volatility import FADED, average_ranges, true_range

__all__ = ["CHANDELIER", "DONCHIAN", "KELTNER", "chandelier", "donchian", "keltner"]

_EMA = 0

KELTNER = [("count", "i8"), ("last", "f8"), ("place", "i8"), ("mean", "f8"), ("part", "f8"),
           ("power", "f8"), ("rows", "i8"), ("centre", "f8"), ("at", "i8"), ("head", "f8"),
           ("ring", "f8")]  # fmt: skip
DONCHIAN = [("count", "i8"), ("at", "i8"), ("top", "f8"), ("bottom", "f8"), ("upper", "f8"),
            ("lower", "f8"), ("high", "f8"), ("low", "f8")]  # fmt: skip
CHANDELIER = [("count", "i8"), ("at", "i8"), ("top", "f8"), ("bottom", "f8"), ("last", "f8"),
              ("mean", "f8"), ("high", "f8"), ("low", "f8")]  # fmt: skip


@nb.njit(cache=True, nogil=True)
def keltner(p, s, bars, out):
    """A mean of prices, and `width` of Wilder's mean true ranges above and below."""
    average_ranges(p["atr"], 1 - p["start"], s, bars, out)
    length = p["length"]
    width = p["width"]
    seeded = p["centre"] != _EMA or p["start"] == 0
    ready = max(length - 1 if seeded else 0, p["atr"] - p["start"])
    rows = s[0]["rows"]
    centre = s[0]["centre"]
    at = s[0]["at"]
    head = s[0]["head"]
    weight = 2.0 / (length + 1.0)
    rest = 1.0 - weight
    for i in range(len(out)):
        x = bars.close[i]
        if p["centre"] != _EMA:
            price = (bars.high[i] + bars.low[i] + x) / 3.0
            head += price
            centre = (head + s[at + 1]["ring"]) / length
            s[at]["ring"] = price
            at += 1
            if at == length:
                sum_tails(s["ring"], length)
                at = 0
                head = 0.0
        elif not seeded:
            centre = x if rows == 0 else centre * rest + x * weight
        elif rows < length:
            centre += x
            if rows == length - 1:
                centre /= length
        else:
            centre = centre * rest + x * weight
        if abs(centre) < FADED:
            centre = 0.0
        if rows >= ready:
            spread = width * out[i, 0]
            out[i, 0] = centre + spread
            out[i, 1] = centre
            out[i, 2] = centre - spread
        else:
            for k in range(3):
                out[i, k] = np.nan
        rows += 1
    s[0]["rows"] = rows
    s[0]["centre"] = centre
    s[0]["at"] = at
    s[0]["head"] = head


@nb.njit(cache=True, nogil=True)
def donchian(p, s, bars, out):
    """Highest high and lowest low of the last `length` bars, and their mean between them."""
    length = p["length"]
    late = p["current"] == 1
    count = s[0]["count"]
    at, top, bottom = s[0]["at"], s[0]["top"], s[0]["bottom"]
    upper, lower = s[0]["upper"], s[0]["lower"]
    ready = length - 1 + p["current"]
    n = len(out)
    for start in range(0, n, CHUNK):
        part = out[start : start + CHUNK]
        high = bars.high[start : start + CHUNK]
        low = bars.low[start : start + CHUNK]
        at, top, bottom = extremes(high, low, s["high"], s["low"], length, at, top, bottom, part)
        for i in range(len(part)):
            a, b = part[i, 0], part[i, 1]
            u, d = (upper, lower) if late else (a, b)
            upper, lower = a, b
            part[i, 0] = u
            part[i, 1] = (u + d) * 0.5
            part[i, 2] = d
    for i in range(min(n, max(0, ready - count))):
        for k in range(3):
            out[i, k] = np.nan
    s[0]["count"] = count + n
    s[0]["at"], s[0]["top"], s[0]["bottom"] = at, top, bottom
    s[0]["upper"], s[0]["lower"] = upper, lower


@nb.njit(cache=True, nogil=True)
def chandelier(p, s, bars, out):
    """Stops `width` mean true ranges below the highest high and above the lowest low."""
    length = p["length"]
    width = p["width"]
    count = s[0]["count"]
    at, top, bottom = s[0]["at"], s[0]["top"], s[0]["bottom"]
    last = s[0]["last"]
    mean = s[0]["mean"]
    weight = 1.0 / length
    rest = 1.0 - weight
    n = len(out)
    for start in range(0, n, CHUNK):
        part = out[start : start + CHUNK]
        high = bars.high[start : start + CHUNK]
        low = bars.low[start : start + CHUNK]
        at, top, bottom = extremes(high, low, s["high"], s["low"], length, at, top, bottom, part)
        for i in range(len(part)):
            x = true_range(high[i], low[i], last)
            last = bars.close[start + i]
            if count > length:
                mean = mean * rest + x * weight
                if mean < FADED:
                    mean = 0.0
            elif count > 0:
                mean += x
                if count == length:
                    mean /= length
            count += 1
            if count > length:
                part[i, 0] -= width * mean
                part[i, 1] += width * mean
            else:
                part[i, 0] = np.nan
                part[i, 1] = np.nan
    s[0]["count"] = count
    s[0]["at"], s[0]["top"], s[0]["bottom"] = at, top, bottom
    s[0]["last"] = last
    s[0]["mean"] = mean
