"""Time bars of many symbols and timeframes from trades, in one pass.

State is split by how often it is touched. A trade in order reads one HEAD: the symbol's last
trade is the close of each of its newest bars, and their sums are differences of running
totals, so most trades end there. NOW (start, end, high, low of the newest bar of each
timeframe) is read when a trade leaves the range all of them share, a SLOT only when a bar
begins, ends or is revised.

Nothing depends on the order of arrival: open and close go by (time, sequence), the price
breaking ties; sums are exact (see `exact`).
"""

from __future__ import annotations

import numba as nb
import numpy as np

from workbench.kernels.barstate import (
    ALWAYS,
    HEAD,
    NEVER,
    NOW,
    SLOT,
    begin,
    bounds,
    emit,
    finish,
    release,
)
from workbench.kernels.exact import add, split, subtract

__all__ = ["ALWAYS", "HEAD", "NEVER", "NOW", "SLOT", "adopt", "advance", "form", "route"]

#: A time this far ahead of its receipt tells of a bad clock, not of the market's.
_AHEAD = np.int64(60_000_000_000)
_ENDED, _CLOSED = 2, 3
_BAR_FORMING, _BAR_REVISED = 1, 3


@nb.njit(cache=True, nogil=True)
def _roll(head, now, slots, symbol, tfs, lateness, trade, out, n):
    """End the bars that a trade in order has left, begin those it opens, emit what is due."""
    h = head[symbol]
    time = trade["time"]
    mask = h["mask"]
    for j in range(len(tfs)):
        if not (mask >> j) & 1:
            continue
        tf = tfs[j]
        cell = now[symbol, j]
        base = tf["offset"]
        ring = tf["ring"]
        length = tf["length"]
        if time >= cell["end"]:
            if cell["start"] < cell["end"]:
                old = slots[symbol, base + ((cell["start"] - tf["origin"]) // length) % ring]
                finish(h, cell, old)
                if cell["wait"] == ALWAYS:
                    cell["wait"] = cell["start"]
            start = time - (time - tf["origin"]) % length
            if cell["wait"] != ALWAYS:
                cell["start"] = start
                n = release(cell, slots, symbol, base, ring, tf, lateness, time, out, n)
            slot = slots[symbol, base + ((start - tf["origin"]) // length) % ring]
            begin(h, cell, slot, start, length, time, trade["sequence"], trade["price"])
        elif cell["wait"] != ALWAYS:
            n = release(cell, slots, symbol, base, ring, tf, lateness, time, out, n)
    bounds(h, now, symbol, tfs, lateness)
    return n


@nb.njit(cache=True, nogil=True)
def _open_with(slot, time, sequence, price):
    """Let a trade open a bar if none of its trades is earlier; the lower price breaks ties."""
    opened = slot["open_time"]
    if time < opened or (
        time == opened
        and (
            sequence < slot["open_sequence"]
            or (sequence == slot["open_sequence"] and price < slot["open"])
        )
    ):
        slot["open"] = price
        slot["open_time"] = time
        slot["open_sequence"] = sequence


@nb.njit(cache=True, nogil=True)
def _count_in(slot, vh, vl, nh, nl):
    """Add a trade's size and value to what a slot holds."""
    hi, lo = add(slot["volume_hi"], slot["volume_lo"], vh, vl)
    slot["volume_hi"] = hi
    slot["volume_lo"] = lo
    hi, lo = add(slot["notional_hi"], slot["notional_lo"], nh, nl)
    slot["notional_hi"] = hi
    slot["notional_lo"] = lo
    slot["count"] += 1


@nb.njit(cache=True, nogil=True)
def _late(h, cell, slots, symbol, tf, lateness, trade, vh, vl, nh, nl, out, n):
    """Put a trade into an older bar of one timeframe; n < 0 tells that it is out of reach."""
    time = trade["time"]
    length = tf["length"]
    ring = tf["ring"]
    start = time - (time - tf["origin"]) % length
    index = tf["offset"] + ((start - tf["origin"]) // length) % ring
    slot = slots[symbol, index]
    price = trade["price"]
    sequence = trade["sequence"]
    if slot["state"] != 0 and slot["start"] > start:
        return -1
    if start < cell["end"] - ring * length:
        return -1
    if slot["state"] == 0 or slot["start"] < start:
        slot["start"] = start
        slot["open"] = price
        slot["high"] = price
        slot["low"] = price
        slot["close"] = price
        slot["open_time"] = time
        slot["open_sequence"] = sequence
        slot["close_time"] = time
        slot["close_sequence"] = sequence
        slot["volume_hi"] = vh
        slot["volume_lo"] = vl
        slot["notional_hi"] = nh
        slot["notional_lo"] = nl
        slot["count"] = 1
        slot["revision"] = 0
        slot["state"] = _ENDED
        if cell["wait"] > start:
            cell["wait"] = start
        return n
    _open_with(slot, time, sequence, price)
    closed = slot["close_time"]
    if time > closed or (
        time == closed
        and (
            sequence > slot["close_sequence"]
            or (sequence == slot["close_sequence"] and price > slot["close"])
        )
    ):
        slot["close"] = price
        slot["close_time"] = time
        slot["close_sequence"] = sequence
    slot["high"] = max(slot["high"], price)
    slot["low"] = min(slot["low"], price)
    _count_in(slot, vh, vl, nh, nl)
    if slot["state"] == _CLOSED:
        slot["revision"] += 1
        n = emit(out, n, slot, symbol, tf["seconds"], _BAR_REVISED)
    return n


@nb.njit(cache=True, nogil=True)
def _disorder(
    head, now, slots, symbol, tfs, lateness, trade, row, vh, vl, nh, nl, out, n, overdue, m
):
    """Place a trade that is not, for every timeframe, the newest of the newest bar.

    Its size is in the totals already.
    """
    h = head[symbol]
    time = trade["time"]
    sequence = trade["sequence"]
    price = trade["price"]
    waited = False
    for j in range(len(tfs)):
        if not (h["mask"] >> j) & 1:
            continue
        tf = tfs[j]
        cell = now[symbol, j]
        if cell["end"] == NEVER:  # added just now: it begins with the next trade in order
            overdue[m, 0] = row
            overdue[m, 1] = j
            m += 1
            continue
        index = tf["offset"] + ((cell["start"] - tf["origin"]) // tf["length"]) % tf["ring"]
        if time >= cell["start"]:
            slot = slots[symbol, index]
            _open_with(slot, time, sequence, price)
            cell["high"] = max(cell["high"], price)
            cell["low"] = min(cell["low"], price)
            continue
        if cell["start"] < cell["end"]:  # it is not the newest bar's: keep it out of its sums
            slot = slots[symbol, index]
            _count_in(slot, vh, vl, nh, nl)
        placed = _late(h, cell, slots, symbol, tf, lateness, trade, vh, vl, nh, nl, out, n)
        if placed < 0:
            overdue[m, 0] = row
            overdue[m, 1] = j
            m += 1
        else:
            n = placed
            if cell["wait"] != ALWAYS:
                waited = True
                n = release(
                    cell, slots, symbol, tf["offset"], tf["ring"], tf, lateness, h["time"], out, n
                )
    if waited or price > h["ceiling"] or price < h["bottom"]:
        bounds(h, now, symbol, tfs, lateness)
    return n, m


@nb.njit(cache=True, nogil=True)
def route(head, now, slots, tfs, lateness, rows, start, out, overdue):
    """Send trades to the bars of their symbols, all timeframes at once.

    Parameters
    ----------
    head : array of HEAD, shape (symbols,)
    now : array of NOW, shape (symbols, timeframes)
    slots : array of SLOT, shape (symbols, all rings)
    tfs : array, shape (timeframes,)
        length and origin in ns, seconds, offset and ring (the slots of each symbol's ring).
    lateness : int
        How long after its end a bar waits for late trades, ns.
    rows : array of TRADE
        Accepted trades.
    start : int
        First row to take.
    out : array of BAR
        Receives closed and revised bars.
    overdue : int64 array, shape (m, 2)
        Receives (row, timeframe number) of trades older than the ring reaches.

    Returns
    -------
    (rows taken up to, bars in out, pairs in overdue)
        Fewer rows are taken when out or overdue might not suffice: drain and call again.
    """
    n = 0
    m = 0
    room = len(out) - slots.shape[1] - 2 * len(tfs)
    overdue_room = len(overdue) - len(tfs)
    for i in range(start, len(rows)):
        if n > room or m > overdue_room:
            return i, n, m
        trade = rows[i]
        symbol = trade["symbol"]
        h = head[symbol]
        time = trade["time"]
        price = trade["price"]
        size = trade["size"]
        sequence = trade["sequence"]
        newest = time > h["time"] or (
            time == h["time"]
            and (sequence > h["sequence"] or (sequence == h["sequence"] and price >= h["price"]))
        )
        if newest and time >= h["edge"]:
            n = _roll(head, now, slots, symbol, tfs, lateness, trade, out, n)
        vh, vl = split(size)
        nh, nl = split(price * size)
        hi, lo = add(h["volume_hi"], h["volume_lo"], vh, vl)
        h["volume_hi"] = hi
        h["volume_lo"] = lo
        hi, lo = add(h["notional_hi"], h["notional_lo"], nh, nl)
        h["notional_hi"] = hi
        h["notional_lo"] = lo
        h["count"] += 1
        h["dirty"] += 1
        received = trade["received"]
        shift = time - received
        if shift > h["shift"] and shift < _AHEAD and received > 0:
            h["shift"] = shift
        if newest:
            h["time"] = time
            h["sequence"] = sequence
            h["price"] = price
        if newest and time >= h["floor"]:  # else the clock closed a bar it belongs to
            if price > h["ceiling"] or price < h["bottom"]:
                ceiling = np.inf
                bottom = -np.inf
                for j in range(len(tfs)):
                    if (h["mask"] >> j) & 1:
                        cell = now[symbol, j]
                        cell["high"] = max(cell["high"], price)
                        cell["low"] = min(cell["low"], price)
                        ceiling = min(ceiling, cell["high"])
                        bottom = max(bottom, cell["low"])
                h["ceiling"] = ceiling
                h["bottom"] = bottom
        else:
            n, m = _disorder(
                head, now, slots, symbol, tfs, lateness, trade, i,
                vh, vl, nh, nl, out, n, overdue, m,
            )  # fmt: skip
    return len(rows), n, m


@nb.njit(cache=True, nogil=True)
def advance(head, now, slots, tfs, lateness, clock, symbols, out):
    """Close the bars whose wait the clock has ended.

    The clock is of receipt. Each symbol's bars are judged by the market's own: ours plus the
    greatest difference seen between a trade's time and its receipt, so that delayed feeds and
    recordings close their bars as punctually as live ones.

    Returns
    -------
    (next symbol to look at, bars in out)
        Less than `symbols` when out might not suffice: drain and go on from there.
    """
    n = 0
    room = len(out) - slots.shape[1] - 2 * len(tfs)
    wall = clock
    for symbol in range(symbols[0], symbols[1]):
        h = head[symbol]
        clock = wall if wall >= ALWAYS - 1 else wall + h["shift"]
        if clock < h["due"]:
            continue
        if n > room:
            return symbol, n
        for j in range(len(tfs)):
            if not (h["mask"] >> j) & 1:
                continue
            tf = tfs[j]
            cell = now[symbol, j]
            if cell["start"] < cell["end"] and cell["end"] + lateness <= clock:
                index = tf["offset"] + ((cell["start"] - tf["origin"]) // tf["length"]) % tf["ring"]
                finish(h, cell, slots[symbol, index])
                if cell["wait"] == ALWAYS:
                    cell["wait"] = cell["start"]
                cell["start"] = cell["end"]  # no newest bar until the next trade
            if cell["wait"] != ALWAYS:
                n = release(
                    cell, slots, symbol, tf["offset"], tf["ring"], tf, lateness, clock, out, n
                )
        bounds(h, now, symbol, tfs, lateness)
    return symbols[1], n


@nb.njit(cache=True, nogil=True)
def form(head, now, slots, tfs, symbol, j, out):
    """Write the bars of a symbol's timeframe that are not closed; return how many there are.

    Those that have ended and wait for late trades come first, the newest bar last.
    """
    h = head[symbol]
    tf = tfs[j]
    cell = now[symbol, j]
    n = 0
    if not (h["mask"] >> j) & 1:
        return n
    start = cell["wait"]
    stop = min(cell["start"], start + tf["ring"] * tf["length"])
    while start < stop:
        slot = slots[symbol, tf["offset"] + ((start - tf["origin"]) // tf["length"]) % tf["ring"]]
        if slot["start"] == start and slot["state"] == _ENDED:
            n = emit(out, n, slot, symbol, tf["seconds"], _BAR_FORMING)
        start += tf["length"]
    if cell["start"] < cell["end"]:
        at = tf["offset"] + ((cell["start"] - tf["origin"]) // tf["length"]) % tf["ring"]
        newest = slots[symbol, at : at + 1].copy()
        finish(h, cell, newest[0])
        n = emit(out, n, newest[0], symbol, tf["seconds"], _BAR_FORMING)
    return n


@nb.njit(cache=True, nogil=True)
def adopt(head, now, slots, tfs, symbol, j, lateness, other_head, other_now, other_slots):
    """Take over the state of one series from a builder that had only it, as symbol 0."""
    h = head[symbol]
    tf = tfs[j]
    cell = other_now[0, 0]
    now[symbol, j] = cell
    for k in range(tf["ring"]):
        slots[symbol, tf["offset"] + k] = other_slots[0, k]
    if cell["start"] < cell["end"]:
        slot = slots[
            symbol, tf["offset"] + ((cell["start"] - tf["origin"]) // tf["length"]) % tf["ring"]
        ]
        o = other_head[0]
        # The newest bar counts from totals: from ours, less what it has by its own.
        hi, lo = subtract(o["volume_hi"], o["volume_lo"], slot["volume_hi"], slot["volume_lo"])
        hi, lo = subtract(h["volume_hi"], h["volume_lo"], hi, lo)
        slot["volume_hi"] = hi
        slot["volume_lo"] = lo
        hi, lo = subtract(
            o["notional_hi"], o["notional_lo"], slot["notional_hi"], slot["notional_lo"]
        )
        hi, lo = subtract(h["notional_hi"], h["notional_lo"], hi, lo)
        slot["notional_hi"] = hi
        slot["notional_lo"] = lo
        slot["count"] = h["count"] - (o["count"] - slot["count"])
    bounds(h, now, symbol, tfs, lateness)
