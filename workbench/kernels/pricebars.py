"""Bars that follow the price rather than the time, from closed bars of one series.

All kernels have one form, ``fn(p, s, bars, start, out) -> (taken, written)``. A line or column
gathers every bar from the one that began it to the one before the next begins: their sums are
exact, and what is in no written line is in the state.
"""

from __future__ import annotations

import math

import numba as nb
import numpy as np

from workbench.kernels.exact import add, rounded, split

__all__ = [
    "NONE",
    "PARAMETERS",
    "PRICE",
    "heikin_ashi",
    "kagi",
    "line_break",
    "point_figure",
    "unfinished",
]

NONE = np.int64(-(1 << 62))

#: `lines` and `reversal` are line break's lines, Kagi's amount, point and figure's boxes.
PARAMETERS = np.dtype(
    [("size", "f8"), ("reversal", "f8"), ("lines", "i8"), ("code", "i8"), ("inverse", "f8")]
)

_DEEP = 100
PRICE = np.dtype(
    [
        ("time", "i8"),  # start of the first bar gathered, NONE if there is none
        ("volume_hi", "i8"),
        ("volume_lo", "i8"),
        ("notional_hi", "i8"),
        ("notional_lo", "i8"),
        ("count", "i8"),
        ("symbol", "i8"),
        ("origin", "i8"),
        ("direction", "i8"),  # 1 up, -1 down, 0 none yet
        ("begin", "f8"),  # where the current line begins
        ("end", "f8"),  # how far it has come
        ("close", "f8"),  # of the last bar
        ("first", "i8"),  # boxes of a column
        ("last", "i8"),
        ("drawn", "i8"),  # lines drawn so far
        ("highs", "f8", (_DEEP,)),  # of the last lines, by number modulo the length
        ("lows", "f8", (_DEEP,)),
    ]
)

_FORMING, _CLOSED = 1, 2


@nb.njit(cache=True, nogil=True)
def _clear(s):
    """Begin to gather anew."""
    s["time"] = NONE
    s["volume_hi"] = 0
    s["volume_lo"] = 0
    s["notional_hi"] = 0
    s["notional_lo"] = 0
    s["count"] = 0


@nb.njit(cache=True, nogil=True)
def _gather(s, bar):
    """Count a bar into what is gathered."""
    if s["time"] == NONE:
        s["time"] = bar["time"]
        s["symbol"] = bar["symbol"]
        s["origin"] = bar["origin"]
    s["count"] += bar["count"]
    s["close"] = bar["close"]
    h, r = split(bar["volume"])
    hi, lo = add(s["volume_hi"], s["volume_lo"], h, r)
    h, r = split(bar["volume_rest"])
    hi, lo = add(hi, lo, h, r)
    s["volume_hi"] = hi
    s["volume_lo"] = lo
    h, r = split(bar["notional"])
    hi, lo = add(s["notional_hi"], s["notional_lo"], h, r)
    h, r = split(bar["notional_rest"])
    hi, lo = add(hi, lo, h, r)
    s["notional_hi"] = hi
    s["notional_lo"] = lo


@nb.njit(cache=True, nogil=True)
def _write(p, s, begin, end, state, out, n):
    """Write what is gathered as a line from one price to another."""
    row = out[n]
    volume, volume_rest = rounded(s["volume_hi"], s["volume_lo"])
    notional, notional_rest = rounded(s["notional_hi"], s["notional_lo"])
    row["time"] = s["time"]
    row["open"] = begin
    row["high"] = max(begin, end)
    row["low"] = min(begin, end)
    row["close"] = end
    row["volume"] = volume
    row["volume_rest"] = volume_rest
    row["notional"] = notional
    row["notional_rest"] = notional_rest
    row["vwap"] = notional / volume if volume > 0.0 else end
    row["count"] = s["count"]
    row["revision"] = 0
    row["symbol"] = s["symbol"]
    row["timeframe"] = p["code"]
    row["state"] = state
    row["origin"] = s["origin"]
    row["padding"] = 0


@nb.njit(cache=True, nogil=True)
def heikin_ashi(p, s, bars, start, out):
    """Average each bar with those before it.

    Close is the mean of open, high, low and close; open the middle of the body before, and of
    the bar's own for the first; high and low hold both. All else is the bar's.
    """
    n = 0
    begin = s["begin"]
    end = s["end"]
    drawn = s["drawn"]
    for i in range(start, len(bars)):
        if n == len(out):
            s["begin"] = begin
            s["end"] = end
            s["drawn"] = drawn
            return i, n
        bar = bars[i]
        o = bar["open"]
        h = bar["high"]
        low = bar["low"]
        c = bar["close"]
        begin = (begin + end) / 2.0 if drawn > 0 else (o + c) / 2.0
        end = (o + h + low + c) / 4.0
        drawn += 1
        row = out[n]
        row["time"] = bar["time"]
        row["open"] = begin
        row["high"] = max(h, max(begin, end))
        row["low"] = min(low, min(begin, end))
        row["close"] = end
        row["volume"] = bar["volume"]
        row["volume_rest"] = bar["volume_rest"]
        row["notional"] = bar["notional"]
        row["notional_rest"] = bar["notional_rest"]
        row["vwap"] = bar["vwap"]
        row["count"] = bar["count"]
        row["revision"] = 0
        row["symbol"] = bar["symbol"]
        row["timeframe"] = p["code"]
        row["state"] = _CLOSED
        row["origin"] = bar["origin"]
        row["padding"] = 0
        n += 1
    s["begin"] = begin
    s["end"] = end
    s["drawn"] = drawn
    return len(bars), n


@nb.njit(cache=True, nogil=True)
def line_break(p, s, bars, start, out):
    """Draw a line for each close beyond the last line, or beyond the last `lines` to turn.

    A line goes on from the end of the one before; one that turns, from its beginning. The
    first close is the level that the first line leaves.
    """
    n = 0
    lines = p["lines"]
    for i in range(start, len(bars)):
        if n == len(out):
            return i, n
        bar = bars[i]
        price = bar["close"]
        drawn = s["drawn"]
        if drawn == 0 and s["time"] == NONE:
            s["end"] = price
        _gather(s, bar)
        begin = s["end"]
        if drawn == 0:
            if price == begin:
                continue
            s["direction"] = 1 if price > begin else -1
        elif s["direction"] * (price - begin) <= 0.0:
            high = begin
            low = begin
            for k in range(max(drawn - lines, 0), drawn):
                high = max(high, s["highs"][k % _DEEP])
                low = min(low, s["lows"][k % _DEEP])
            if low <= price <= high:
                continue
            begin = s["begin"]
            s["direction"] = -s["direction"]
        s["highs"][drawn % _DEEP] = max(begin, price)
        s["lows"][drawn % _DEEP] = min(begin, price)
        s["drawn"] = drawn + 1
        s["begin"] = begin
        s["end"] = price
        _write(p, s, begin, price, _CLOSED, out, n)
        n += 1
        _clear(s)
    return len(bars), n


@nb.njit(cache=True, nogil=True)
def kagi(p, s, bars, start, out):
    """Draw a line on while closes go its way, and a new one when they turn by an amount.

    The bar that turns is the first of the new line. The first line begins with the first close,
    and goes the way of the first close that is the amount away from it.
    """
    n = 0
    amount = p["reversal"]
    for i in range(start, len(bars)):
        if n == len(out):
            return i, n
        bar = bars[i]
        price = bar["close"]
        direction = s["direction"]
        if direction == 0:
            if s["time"] == NONE:
                s["begin"] = price
                s["end"] = price
            if price - s["begin"] >= amount:
                s["direction"] = 1
                s["end"] = price
            elif s["begin"] - price >= amount:
                s["direction"] = -1
                s["end"] = price
        elif (price - s["end"]) * direction >= 0.0:
            s["end"] = price
        elif (s["end"] - price) * direction >= amount:
            _write(p, s, s["begin"], s["end"], _CLOSED, out, n)
            n += 1
            _clear(s)
            s["begin"] = s["end"]
            s["end"] = price
            s["direction"] = -direction
        _gather(s, bar)
    return len(bars), n


@nb.njit(cache=True, nogil=True, inline="always")
def _boxes(p, price):
    """Return a price in boxes; a whole number of them is one, whatever its last bits say."""
    boxes = price / p["size"]
    whole = np.rint(boxes)
    if abs(boxes - whole) <= 1e-9 + abs(boxes) * 1e-15:
        return whole
    return boxes


@nb.njit(cache=True, nogil=True, inline="always")
def _price(p, box):
    """Return the price of a box: whole parts of one are divided, so that 3 of 0.1 are 0.3."""
    if p["inverse"] > 0.0:
        return np.float64(box) / p["inverse"]
    return np.float64(box) * p["size"]


@nb.njit(cache=True, nogil=True)
def point_figure(p, s, bars, start, out):
    """Fill columns of boxes with closes, and begin another when they turn by some boxes.

    Boxes lie at multiples of their size. A rising column goes from its first box to the
    highest that a close has reached; a turn by `reversal` boxes begins the next one, a box
    beside the last. The bar that turns is the first of the new column.
    """
    n = 0
    reversal = np.int64(p["reversal"])
    for i in range(start, len(bars)):
        if n == len(out):
            return i, n
        bar = bars[i]
        boxes = _boxes(p, bar["close"])
        up = np.int64(math.floor(boxes))
        down = np.int64(math.ceil(boxes))
        direction = s["direction"]
        if direction == 0:
            if s["time"] == NONE:
                s["first"] = up  # the level from which the first column leaves
                s["last"] = down
            if up > s["first"]:
                s["direction"] = 1
                s["first"] = s["first"] + 1
                s["last"] = up
            elif down < s["last"]:
                s["direction"] = -1
                s["first"] = s["last"] - 1
                s["last"] = down
        elif direction > 0:
            if up > s["last"]:
                s["last"] = up
            elif down <= s["last"] - reversal:
                _write(p, s, _price(p, s["first"]), _price(p, s["last"]), _CLOSED, out, n)
                n += 1
                _clear(s)
                s["direction"] = -1
                s["first"] = s["last"] - 1
                s["last"] = down
        elif down < s["last"]:
            s["last"] = down
        elif up >= s["last"] + reversal:
            _write(p, s, _price(p, s["first"]), _price(p, s["last"]), _CLOSED, out, n)
            n += 1
            _clear(s)
            s["direction"] = 1
            s["first"] = s["last"] + 1
            s["last"] = up
        _gather(s, bar)
    return len(bars), n


@nb.njit(cache=True, nogil=True)
def unfinished(p, s, family, out):
    """Write what is in no finished line, and return how many rows that is, 1 or 0.

    Parameters
    ----------
    family : int
        1 line break, 2 Kagi, 3 point and figure; others have nothing unfinished.
    """
    if s["time"] == NONE or family == 0:
        return 0
    if family == 1:
        _write(p, s, s["end"], s["close"], _FORMING, out, 0)
    elif family == 2:
        _write(p, s, s["begin"], s["end"], _FORMING, out, 0)
    elif s["direction"] == 0:
        _write(p, s, s["close"], s["close"], _FORMING, out, 0)
    else:
        _write(p, s, _price(p, s["first"]), _price(p, s["last"]), _FORMING, out, 0)
    return 1
