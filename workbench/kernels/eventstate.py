"""What the kernels of event bars know and remember, and the steps that all of them share.

A state has three rows: the bar that forms, the bar of the base timeframe, and a row to work
in. Sums are the bar's own, held as in `exact`.
"""

from __future__ import annotations

import numba as nb
import numpy as np

from workbench.kernels.exact import add, rounded, split

__all__ = [
    "ALWAYS",
    "CLOSES",
    "DOLLAR",
    "FORMING",
    "NEVER",
    "PARAMETERS",
    "RANGES",
    "STATE",
    "STEPS",
    "TRADES",
    "VOLUME",
    "clear",
    "merge",
    "take",
    "write",
]

#: A time before and one after all times.
NEVER = np.int64(-(1 << 62))
ALWAYS = np.int64(1 << 62)

#: What is counted: trades, size or value.
TRADES, VOLUME, DOLLAR = 0, 1, 2
#: What makes bricks: trades; closes of base bars; trades, with sizes from base bars.
STEPS, CLOSES, RANGES = 0, 1, 2
FORMING = np.uint8(1)
_CLOSED = np.uint8(2)

PARAMETERS = np.dtype(
    [
        ("code", "i4"),  # what the bars' field `timeframe` holds
        ("symbol", "i4"),
        ("unit", "i8"),
        ("goal_hi", "i8"),  # trades, or the exact sum of size or value that ends a bar
        ("goal_lo", "i8"),
        ("size", "f8"),  # of a brick or a range
        ("source", "i8"),  # what makes bricks
        ("base", "i8"),  # length of base bars, ns
        ("origin", "i8"),
        ("period", "i8"),  # of the average true range
        ("length", "i8"),  # trades of the first bar
        ("least", "f8"),  # least trades that are expected
        ("most", "i8"),  # most trades of a bar
        ("weight", "f8"),  # of the newest bar in exponential means
    ]
)

STATE = np.dtype(
    [
        ("start", "i8"),  # time of the first trade
        ("open", "f8"),
        ("high", "f8"),
        ("low", "f8"),
        ("close", "f8"),
        ("volume_hi", "i8"),
        ("volume_lo", "i8"),
        ("notional_hi", "i8"),
        ("notional_lo", "i8"),
        ("count", "i8"),
        ("last", "i8"),  # time of the newest bar written
        ("bars", "i8"),  # that set expectations
        # imbalance and runs: the forming bar, then means over bars
        ("price", "f8"),  # of the trade before
        ("sign", "f8"),
        ("bought", "f8"),
        ("sold", "f8"),
        ("buys", "i8"),
        ("sells", "i8"),
        ("weights", "f8"),
        ("threshold", "f8"),
        ("mean_length", "f8"),
        ("mean_first", "f8"),
        ("mean_second", "f8"),
        ("mean_third", "f8"),
        # bricks
        ("ready", "i8"),
        ("anchor", "f8"),
        ("step", "f8"),  # whole: the newest level is anchor + step * size
        ("size", "f8"),
        ("direction", "i8"),
        ("above", "f8"),  # prices between these two make no brick
        ("below", "f8"),
        # base bars
        ("end", "i8"),
        ("range_sum", "f8"),
        ("ranges", "i8"),
        ("average", "f8"),  # true range; 0 while it is not known
    ]
)


@nb.njit(cache=True, nogil=True, inline="always")
def take(s, time, price, size):
    """Put a trade into a bar."""
    if s["count"] == 0:
        s["start"] = time
        s["open"] = price
        s["high"] = price
        s["low"] = price
    else:
        s["high"] = max(s["high"], price)
        s["low"] = min(s["low"], price)
    s["close"] = price
    hi, lo = split(size)
    hi, lo = add(s["volume_hi"], s["volume_lo"], hi, lo)
    s["volume_hi"] = hi
    s["volume_lo"] = lo
    hi, lo = split(price * size)
    hi, lo = add(s["notional_hi"], s["notional_lo"], hi, lo)
    s["notional_hi"] = hi
    s["notional_lo"] = lo
    s["count"] += 1


@nb.njit(cache=True, nogil=True)
def merge(s, other):
    """Put all trades of a later bar into a bar."""
    if other["count"] == 0:
        return
    if s["count"] == 0:
        s["start"] = other["start"]
        s["open"] = other["open"]
        s["high"] = other["high"]
        s["low"] = other["low"]
    else:
        s["high"] = max(s["high"], other["high"])
        s["low"] = min(s["low"], other["low"])
    s["close"] = other["close"]
    hi, lo = add(s["volume_hi"], s["volume_lo"], other["volume_hi"], other["volume_lo"])
    s["volume_hi"] = hi
    s["volume_lo"] = lo
    hi, lo = add(s["notional_hi"], s["notional_lo"], other["notional_hi"], other["notional_lo"])
    s["notional_hi"] = hi
    s["notional_lo"] = lo
    s["count"] += other["count"]


@nb.njit(cache=True, nogil=True)
def clear(s):
    """Forget the trades of a bar."""
    s["volume_hi"] = 0
    s["volume_lo"] = 0
    s["notional_hi"] = 0
    s["notional_lo"] = 0
    s["count"] = 0


@nb.njit(cache=True, nogil=True)
def write(p, s, out, n):
    """Write a bar that is complete as row n, forget its trades, and return the next row."""
    # Bars of one series are told apart by their time: it goes up even where one trade makes
    # several bars, or trades of several bars share theirs.
    time = max(s["start"], s["last"] + 1)
    s["last"] = time
    bar = out[n]
    bar["time"] = time
    bar["open"] = s["open"]
    bar["high"] = s["high"]
    bar["low"] = s["low"]
    bar["close"] = s["close"]
    volume, volume_rest = rounded(s["volume_hi"], s["volume_lo"])
    notional, notional_rest = rounded(s["notional_hi"], s["notional_lo"])
    bar["volume"] = volume
    bar["volume_rest"] = volume_rest
    bar["notional"] = notional
    bar["notional_rest"] = notional_rest
    bar["vwap"] = notional / volume if volume > 0.0 else s["close"]
    bar["count"] = s["count"]
    bar["revision"] = 0
    bar["symbol"] = p["symbol"]
    bar["timeframe"] = p["code"]
    bar["state"] = _CLOSED
    bar["origin"] = 0
    bar["padding"] = 0
    clear(s)
    return n + 1
