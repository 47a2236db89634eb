"""Means weighted by volume: kernels `fn(p, s, bars, out)` (see `averages` for the form)."""

from __future__ import annotations

import numba as nb
import numpy as np

from workbench.kernels.sliding import CHUNK, sums

__all__ = [
    "ANCHORED",
    "BANDS",
    "ROLLING",
    "VWAP",
    "vwap",
    "vwap_anchored",
    "vwap_bands",
    "vwap_rolling",
]

VWAP = [("session", "i8"), ("notional", "f8"), ("volume", "f8")]
BANDS = [("period", "i8"), ("day", "i8"), ("notional", "f8"), ("volume", "f8"), ("mean", "f8"),
         ("spread", "f8")]  # fmt: skip
ROLLING = [("count", "i8"), ("at", "i8"), ("head", "f8"), ("weight", "f8"), ("ring", "f8"),
           ("weights", "f8")]  # fmt: skip
ANCHORED = [("notional", "f8"), ("volume", "f8")]


@nb.njit(cache=True, nogil=True, inline="always")
def _amount(price, notional, volume, typical, mean):
    """Return what was traded in a bar: as told, or its volume at one of two prices."""
    if price == 0:
        return notional
    return (typical if price == 1 else mean) * volume


@nb.njit(cache=True, nogil=True, inline="always")
def _month(day):
    """Return a number for the civil month of a day; 1 is the first of January 1970.

    Days are counted from a first of March, so that the leap day ends a year and months begin
    after 153 days in five.
    """
    since = day + 719_467
    age = since // 146_097  # of four hundred years
    left = since - age * 146_097
    year = (left - left // 1_460 + left // 36_524 - left // 146_096) // 365
    left -= 365 * year + year // 4 - year // 100
    return age * 4_800 + year * 12 + (5 * left + 2) // 153


@nb.njit(cache=True, nogil=True)
def vwap(p, s, bars, out):
    """Volume-weighted mean price since the session began."""
    session = s[0]["session"]
    notional = s[0]["notional"]
    volume = s[0]["volume"]
    for i in range(len(bars.session)):
        # Session numbers start at 1: a fresh state belongs to none.
        if bars.session[i] != session:
            session = bars.session[i]
            notional = 0.0
            volume = 0.0
        notional += bars.notional[i]
        volume += bars.volume[i]
        out[i, 0] = notional / volume if volume > 0.0 else np.nan
    s[0]["session"] = session
    s[0]["notional"] = notional
    s[0]["volume"] = volume


@nb.njit(cache=True, nogil=True)
def vwap_bands(p, s, bars, out):
    """Volume-weighted mean price since a session, week or month began, and a band around it.

    The variance is that of the bars' prices, weighted by volume, brought forward from bar to
    bar as West did (1979), from terms that are never negative.
    """
    price = p["price"]
    kind = p["period"]
    multiplier = p["multiplier"]
    day = s[0]["day"]
    period = s[0]["period"]
    notional = s[0]["notional"]
    volume = s[0]["volume"]
    mean = s[0]["mean"]
    spread = s[0]["spread"]
    for i in range(len(bars.session)):
        if bars.session[i] != day:  # days start at 1: a fresh state has none
            day = bars.session[i]
            now = day
            if kind == 1:
                now = (day + 2) // 7 + 1  # 1970-01-05, day 5, was a Monday
            elif kind == 2:
                now = _month(day)
            if now != period:
                period = now
                notional = volume = mean = spread = 0.0
        size = bars.volume[i]
        amount = _amount(price, bars.notional[i], size, bars.hlc3[i], bars.ohlc4[i])
        notional += amount
        volume += size
        if size > 0.0 and volume > 0.0:
            share = size / volume
            away = amount / size - mean
            mean += away * share
            spread += size * (1.0 - share) * away * away
        if volume > 0.0:
            middle = notional / volume
            width = multiplier * np.sqrt(spread / volume)
            out[i, 0], out[i, 1], out[i, 2] = middle, middle + width, middle - width
        else:
            out[i, 0] = out[i, 1] = out[i, 2] = np.nan
    s[0]["day"] = day
    s[0]["period"] = period
    s[0]["notional"] = notional
    s[0]["volume"] = volume
    s[0]["mean"] = mean
    s[0]["spread"] = spread


@nb.njit(cache=True, nogil=True)
def vwap_rolling(p, s, bars, out):
    """Volume-weighted mean price of the last `length` bars; NaN where nothing was traded."""
    length = p["length"]
    price = p["price"]
    count = s[0]["count"]
    at = s[0]["at"]
    head = s[0]["head"]
    weight = s[0]["weight"]
    line = out.reshape(len(out))
    n = len(line)
    room = np.empty((2, min(n, CHUNK)))
    for start in range(0, n, CHUNK):
        stop = min(n, start + CHUNK)
        rows = stop - start
        volume = bars.volume[start:stop]
        amounts = room[0, :rows]
        volumes = room[1, :rows]
        for k in range(rows):
            i = start + k
            amounts[k] = _amount(price, bars.notional[i], volume[k], bars.hlc3[i], bars.ohlc4[i])
        part = line[start:stop]
        _, weight = sums(volume, volumes, s["weights"], length, at, weight, 1.0)
        at, head = sums(amounts, part, s["ring"], length, at, head, 1.0)
        for k in range(rows):
            total = volumes[k]
            part[k] = part[k] / total if total > 0.0 else np.nan
    if p["start"] == 0:
        for i in range(min(n, max(0, length - 1 - count))):
            line[i] = np.nan
    s[0]["count"] = count + n
    s[0]["at"] = at
    s[0]["head"] = head
    s[0]["weight"] = weight


@nb.njit(cache=True, nogil=True)
def vwap_anchored(p, s, bars, out):
    """Volume-weighted mean price of the bars that begin at a moment or later; NaN before."""
    anchor = p["anchor"]
    price = p["price"]
    notional = s[0]["notional"]
    volume = s[0]["volume"]
    for i in range(len(bars.time)):
        if bars.time[i] >= anchor:
            size = bars.volume[i]
            notional += _amount(price, bars.notional[i], size, bars.hlc3[i], bars.ohlc4[i])
            volume += size
        out[i, 0] = notional / volume if volume > 0.0 else np.nan
    s[0]["notional"] = notional
    s[0]["volume"] = volume
