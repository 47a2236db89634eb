"""What the bar kernels remember of each symbol and series, and the steps that change it."""

from __future__ import annotations

import numba as nb
import numpy as np

from workbench.kernels.exact import rounded, subtract

__all__ = [
    "ALWAYS",
    "HEAD",
    "NEVER",
    "NOW",
    "SLOT",
    "begin",
    "bounds",
    "emit",
    "finish",
    "release",
]

#: A time before and one after all times.
NEVER = np.int64(-(1 << 62))
ALWAYS = np.int64(1 << 62)

HEAD = np.dtype(
    [
        ("edge", "i8"),  # a trade at or after this ends a bar or makes one due
        ("floor", "i8"),  # latest start of the newest bars: an earlier trade is late for one
        ("time", "i8"),  # of the last trade by (time, sequence)
        ("sequence", "u8"),
        ("price", "f8"),
        ("ceiling", "f8"),  # lowest high of the newest bars
        ("bottom", "f8"),  # highest low of them
        ("dirty", "i8"),  # trades since somebody looked
        ("volume_hi", "i8"),
        ("volume_lo", "i8"),
        ("notional_hi", "i8"),
        ("notional_lo", "i8"),
        ("count", "i8"),
        ("due", "i8"),  # when the clock closes the next bar
        ("mask", "i8"),  # bit j: timeframe j is wanted
        ("shift", "i8"),  # greatest event time minus receive time: the market's clock on ours
    ]
)

NOW = np.dtype([("start", "i8"), ("end", "i8"), ("high", "f8"), ("low", "f8"), ("wait", "i8")])

# `state` of a slot: 0 never used, 1 newest, 2 ended and waiting for late trades, 3 closed.
# Sums are the bar's own, except in state 1: there they are the totals before the bar.
SLOT = np.dtype(
    [
        ("start", "i8"),
        ("open", "f8"),
        ("high", "f8"),
        ("low", "f8"),
        ("close", "f8"),
        ("open_time", "i8"),
        ("open_sequence", "u8"),
        ("close_time", "i8"),
        ("close_sequence", "u8"),
        ("volume_hi", "i8"),
        ("volume_lo", "i8"),
        ("notional_hi", "i8"),
        ("notional_lo", "i8"),
        ("count", "i8"),
        ("revision", "i8"),
        ("state", "i8"),
    ]
)

_NEWEST, _ENDED, _CLOSED = 1, 2, 3
_BAR_CLOSED = 2


@nb.njit(cache=True, nogil=True)
def emit(out, n, slot, symbol, seconds, state):
    """Write a bar from its slot as row n, and return the next row."""
    bar = out[n]
    bar["time"] = slot["start"]
    bar["open"] = slot["open"]
    bar["high"] = slot["high"]
    bar["low"] = slot["low"]
    bar["close"] = slot["close"]
    volume, volume_rest = rounded(slot["volume_hi"], slot["volume_lo"])
    notional, notional_rest = rounded(slot["notional_hi"], slot["notional_lo"])
    bar["volume"] = volume
    bar["volume_rest"] = volume_rest
    bar["notional"] = notional
    bar["notional_rest"] = notional_rest
    bar["vwap"] = notional / volume if volume > 0.0 else slot["close"]
    bar["count"] = slot["count"]
    bar["revision"] = slot["revision"]
    bar["symbol"] = symbol
    bar["timeframe"] = seconds
    bar["state"] = state
    bar["origin"] = 0
    bar["padding"] = 0
    return n + 1


@nb.njit(cache=True, nogil=True)
def finish(h, cell, slot):
    """Give a newest bar that has ended its own values."""
    slot["high"] = cell["high"]
    slot["low"] = cell["low"]
    slot["close"] = h["price"]
    slot["close_time"] = h["time"]
    slot["close_sequence"] = h["sequence"]
    hi, lo = subtract(h["volume_hi"], h["volume_lo"], slot["volume_hi"], slot["volume_lo"])
    slot["volume_hi"] = hi
    slot["volume_lo"] = lo
    hi, lo = subtract(h["notional_hi"], h["notional_lo"], slot["notional_hi"], slot["notional_lo"])
    slot["notional_hi"] = hi
    slot["notional_lo"] = lo
    slot["count"] = h["count"] - slot["count"]
    slot["state"] = _ENDED


@nb.njit(cache=True, nogil=True)
def begin(h, cell, slot, start, length, time, sequence, price):
    """Start the newest bar with its first trade; the trade is not in the totals yet."""
    cell["start"] = start
    cell["end"] = start + length
    cell["high"] = price
    cell["low"] = price
    slot["start"] = start
    slot["open"] = price
    slot["open_time"] = time
    slot["open_sequence"] = sequence
    slot["volume_hi"] = h["volume_hi"]
    slot["volume_lo"] = h["volume_lo"]
    slot["notional_hi"] = h["notional_hi"]
    slot["notional_lo"] = h["notional_lo"]
    slot["count"] = h["count"]
    slot["revision"] = 0
    slot["state"] = _NEWEST


@nb.njit(cache=True, nogil=True)
def release(cell, slots, symbol, base, ring, tf, lateness, watermark, out, n):
    """Emit the ended bars whose wait is over, oldest first."""
    length = tf["length"]
    start = cell["wait"]
    # All that wait lie within one ring of the oldest; the newest bar may be far beyond.
    stop = min(cell["start"], start + ring * length)
    waiting = ALWAYS
    while start < stop:
        slot = slots[symbol, base + ((start - tf["origin"]) // length) % ring]
        if slot["start"] == start and slot["state"] == _ENDED:
            if start + length + lateness <= watermark:
                slot["state"] = _CLOSED
                n = emit(out, n, slot, symbol, tf["seconds"], _BAR_CLOSED)
            elif waiting == ALWAYS:
                waiting = start
        start += length
    cell["wait"] = waiting
    return n


@nb.njit(cache=True, nogil=True)
def bounds(h, now, symbol, tfs, lateness):
    """Recompute what the fast path compares with."""
    edge = ALWAYS
    due = ALWAYS
    floor = NEVER
    ceiling = np.inf
    bottom = -np.inf
    mask = h["mask"]
    for j in range(len(tfs)):
        if not (mask >> j) & 1:
            continue
        cell = now[symbol, j]
        edge = min(edge, cell["end"])
        floor = max(floor, cell["start"])
        if cell["start"] < cell["end"]:
            due = min(due, cell["end"] + lateness)
            ceiling = min(ceiling, cell["high"])
            bottom = max(bottom, cell["low"])
        if cell["wait"] != ALWAYS:
            ready = cell["wait"] + tfs[j]["length"] + lateness
            edge = min(edge, ready)
            due = min(due, ready)
    h["edge"] = edge
    h["due"] = due
    h["floor"] = floor
    h["ceiling"] = ceiling
    h["bottom"] = bottom
