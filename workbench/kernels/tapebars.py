"""Trades that may not set every part of a bar, put beside the bars of those that may.

A trade without the right to open a bar is added to the sums of the one that is there. Where
none is yet it waits, in a ring like that of the bars, for a trade that may begin one. Where its
place is wanted for another interval, the older of the two is given up for good: the series moves
on, so that a trade which might have begun its bar is overdue, and the bar is built elsewhere of
all its trades.
"""

from __future__ import annotations

import numba as nb
import numpy as np

from workbench.kernels.barstate import ALWAYS, NEVER, bounds, emit, finish, release
from workbench.kernels.exact import add, rounded, split, subtract

__all__ = ["WAITING", "lose", "merge", "restrict", "settle"]

#: What waits for the first price of an interval; `start` NEVER means nothing.
WAITING = np.dtype(
    [
        ("start", "i8"),
        ("high", "f8"),
        ("low", "f8"),
        ("volume_hi", "i8"),
        ("volume_lo", "i8"),
        ("notional_hi", "i8"),
        ("notional_lo", "i8"),
        ("count", "i8"),
    ]
)

_NO_HIGHLOW, _NO_VOLUME = 4, 8
_CLOSED, _BAR_REVISED = 3, 3


@nb.njit(cache=True, nogil=True)
def _begin(w, start):
    w["start"] = start
    w["high"] = -np.inf
    w["low"] = np.inf
    w["volume_hi"] = 0
    w["volume_lo"] = 0
    w["notional_hi"] = 0
    w["notional_lo"] = 0
    w["count"] = 0


@nb.njit(cache=True, nogil=True)
def _join(w, trade):
    """Add what a trade may set to what is held."""
    flags = trade["flags"]
    price = trade["price"]
    if not flags & _NO_HIGHLOW:
        w["high"] = max(w["high"], price)
        w["low"] = min(w["low"], price)
    if not flags & _NO_VOLUME:
        h, r = split(trade["size"])
        hi, lo = add(w["volume_hi"], w["volume_lo"], h, r)
        w["volume_hi"] = hi
        w["volume_lo"] = lo
        h, r = split(price * trade["size"])
        hi, lo = add(w["notional_hi"], w["notional_lo"], h, r)
        w["notional_hi"] = hi
        w["notional_lo"] = lo
    w["count"] += 1


@nb.njit(cache=True, nogil=True)
def _put(cell, slot, w, symbol, seconds, out, n):
    """Add what is held to a bar that is there; a closed one is revised."""
    if cell["start"] == slot["start"] and cell["start"] < cell["end"]:
        # The newest bar: its sums are totals less those of its slot.
        hi, lo = subtract(slot["volume_hi"], slot["volume_lo"], w["volume_hi"], w["volume_lo"])
        slot["volume_hi"] = hi
        slot["volume_lo"] = lo
        hi, lo = subtract(
            slot["notional_hi"], slot["notional_lo"], w["notional_hi"], w["notional_lo"]
        )
        slot["notional_hi"] = hi
        slot["notional_lo"] = lo
        slot["count"] -= w["count"]
        cell["high"] = max(cell["high"], w["high"])
        cell["low"] = min(cell["low"], w["low"])
        return n
    hi, lo = add(slot["volume_hi"], slot["volume_lo"], w["volume_hi"], w["volume_lo"])
    slot["volume_hi"] = hi
    slot["volume_lo"] = lo
    hi, lo = add(slot["notional_hi"], slot["notional_lo"], w["notional_hi"], w["notional_lo"])
    slot["notional_hi"] = hi
    slot["notional_lo"] = lo
    slot["count"] += w["count"]
    slot["high"] = max(slot["high"], w["high"])
    slot["low"] = min(slot["low"], w["low"])
    if slot["state"] == _CLOSED:
        slot["revision"] += 1
        n = emit(out, n, slot, symbol, seconds, _BAR_REVISED)
    return n


@nb.njit(cache=True, nogil=True)
def _seal(slots, symbol, tf, start):
    """Let no bar begin at a time that was given up."""
    slot = slots[symbol, tf["offset"] + ((start - tf["origin"]) // tf["length"]) % tf["ring"]]
    if slot["state"] == 0 or slot["start"] < start:
        # No bar starts there, and what comes in its place later is newer.
        slot["start"] = start + 1
        slot["state"] = _CLOSED


@nb.njit(cache=True, nogil=True)
def _move_on(h, cell, slots, symbol, tf, lateness, given_up, newer, out, n):
    """Give up an interval for a newer one, a ring or more after it, and return bars in out.

    The newest bar is ended, and the next one begins at the newer interval at the earliest, as
    if a trade had begun one there. The caller brings the bounds up to date.
    """
    length = tf["length"]
    if cell["end"] == NEVER and h["time"] != NEVER:
        # The series is younger than the symbol's last trade: up to its bar, none is whole.
        last = h["time"] - (h["time"] - tf["origin"]) % length
        newer = max(newer, last + length)
        start = newer - tf["ring"] * length
        while start <= last:
            _seal(slots, symbol, tf, start)
            start += length
    if newer < cell["end"]:  # what is given up is out of reach already
        return n
    if cell["start"] < cell["end"]:
        place = tf["offset"] + ((cell["start"] - tf["origin"]) // length) % tf["ring"]
        finish(h, cell, slots[symbol, place])
        if cell["wait"] == ALWAYS:
            cell["wait"] = cell["start"]
    cell["start"] = newer
    cell["end"] = newer
    if cell["wait"] != ALWAYS:  # the places are needed from now on
        n = release(cell, slots, symbol, tf["offset"], tf["ring"], tf, lateness, newer, out, n)
    _seal(slots, symbol, tf, given_up)
    return n


@nb.njit(cache=True, nogil=True)
def restrict(head, now, slots, waiting, lost, tfs, lateness, rows, start, one, out, overdue):
    """Put trades that may not open a bar into those that are there, or let them wait.

    Parameters
    ----------
    head, now, slots, tfs, lateness
        As of `bars.route`.
    waiting : array of WAITING, shape (symbols, all rings)
    lost : array of WAITING, shape (timeframes,)
        Receives what waited in vain when its place is needed.
    rows : array of TRADE
        Flags tell what they may set.
    start : int
        First row to take.
    one : record of WAITING
        To work in.
    out : array of BAR
        Receives revised bars, and those that are closed since the series moves on.
    overdue : int64 array, shape (m, 2)
        Receives (row, timeframe number) of trades older than the ring reaches.

    Returns
    -------
    (rows taken up to, bars in out, pairs in overdue, how many wait now)
    """
    n = 0
    m = 0
    waits = 0
    room = len(out) - slots.shape[1] - len(tfs)
    overdue_room = len(overdue) - len(tfs)
    for i in range(start, len(rows)):
        if n > room or m > overdue_room:
            return i, n, m, waits
        trade = rows[i]
        symbol = trade["symbol"]
        h = head[symbol]
        h["dirty"] += 1
        time = trade["time"]
        _begin(one, time)
        _join(one, trade)
        moved = False
        for j in range(len(tfs)):
            if not (h["mask"] >> j) & 1:
                continue
            tf = tfs[j]
            cell = now[symbol, j]
            length = tf["length"]
            begin = time - (time - tf["origin"]) % length
            at = tf["offset"] + ((begin - tf["origin"]) // length) % tf["ring"]
            slot = slots[symbol, at]
            w = waiting[symbol, at]
            if (slot["state"] != 0 and slot["start"] > begin) or (
                cell["end"] != NEVER and begin < cell["end"] - tf["ring"] * length
            ):
                overdue[m, 0] = i
                overdue[m, 1] = j
                m += 1
            elif slot["state"] != 0 and slot["start"] == begin:
                n = _put(cell, slot, one, symbol, tf["seconds"], out, n)
            elif w["start"] > begin:
                n = _move_on(h, cell, slots, symbol, tf, lateness, begin, w["start"], out, n)
                moved = True
                overdue[m, 0] = i
                overdue[m, 1] = j
                m += 1
            else:
                if w["start"] < begin:
                    if w["start"] != NEVER:
                        n = _move_on(
                            h, cell, slots, symbol, tf, lateness, w["start"], begin, out, n
                        )
                        moved = True
                        lose(lost[j], w)
                    _begin(w, begin)
                _join(w, trade)
                waits += 1
        if moved:
            bounds(h, now, symbol, tfs, lateness)
    return len(rows), n, m, waits


@nb.njit(cache=True, nogil=True)
def lose(total, w):
    """Count what waited in vain."""
    hi, lo = add(total["volume_hi"], total["volume_lo"], w["volume_hi"], w["volume_lo"])
    total["volume_hi"] = hi
    total["volume_lo"] = lo
    total["count"] += w["count"]


@nb.njit(cache=True, nogil=True)
def settle(now, slots, waiting, tfs, symbols, start, out):
    """Give what waits to the bars that have begun since.

    Returns
    -------
    (symbols done, bars in out)
        Fewer symbols when out might not suffice: drain and go on from there.
    """
    n = 0
    for i in range(start, len(symbols)):
        if n > len(out) - slots.shape[1]:
            return i, n
        symbol = symbols[i]
        for j in range(len(tfs)):
            tf = tfs[j]
            for at in range(tf["offset"], tf["offset"] + tf["ring"]):
                w = waiting[symbol, at]
                if w["start"] == NEVER:
                    continue
                slot = slots[symbol, at]
                if slot["state"] != 0 and slot["start"] == w["start"]:
                    n = _put(now[symbol, j], slot, w, symbol, tf["seconds"], out, n)
                    w["start"] = NEVER
    return len(symbols), n


@nb.njit(cache=True, nogil=True)
def merge(bars, rows, length, origin, one, lost):
    """Add trades that may not open a bar to finished bars, in place.

    Parameters
    ----------
    bars : array of BAR, by symbol and time
    rows : array of TRADE, by symbol and time
        Flags tell what they may set.
    length, origin : int
        Of the timeframe, ns.
    one : record of WAITING
        To work in.
    lost : record of WAITING
        Receives what has no bar.
    """
    k = 0
    i = 0
    while i < len(rows):
        symbol = rows[i]["symbol"]
        begin = rows[i]["time"] - (rows[i]["time"] - origin) % length
        _begin(one, begin)
        while i < len(rows) and rows[i]["symbol"] == symbol and rows[i]["time"] < begin + length:
            _join(one, rows[i])
            i += 1
        while k < len(bars) and (
            bars[k]["symbol"] < symbol or (bars[k]["symbol"] == symbol and bars[k]["time"] < begin)
        ):
            k += 1
        if k == len(bars) or bars[k]["symbol"] != symbol or bars[k]["time"] != begin:
            lose(lost, one)
            continue
        bar = bars[k]
        h, r = split(bar["volume"])
        hi, lo = add(one["volume_hi"], one["volume_lo"], h, r)
        h, r = split(bar["volume_rest"])
        hi, lo = add(hi, lo, h, r)
        volume, rest = rounded(hi, lo)
        bar["volume"] = volume
        bar["volume_rest"] = rest
        h, r = split(bar["notional"])
        hi, lo = add(one["notional_hi"], one["notional_lo"], h, r)
        h, r = split(bar["notional_rest"])
        hi, lo = add(hi, lo, h, r)
        notional, rest = rounded(hi, lo)
        bar["notional"] = notional
        bar["notional_rest"] = rest
        bar["vwap"] = notional / volume if volume > 0.0 else bar["close"]
        bar["count"] += one["count"]
        bar["high"] = max(bar["high"], one["high"])
        bar["low"] = min(bar["low"], one["low"])
