"""Judge trades and quotes row by row: which rule refuses them, which were seen before."""

from __future__ import annotations

import numba as nb
import numpy as np

from workbench.kernels.exact import LIMIT

__all__ = [
    "EARLIEST",
    "KEY",
    "LATEST",
    "LEVEL",
    "LIMITS",
    "WAITING",
    "copy_keys",
    "judge_quotes",
    "judge_trades",
]

#: What tells a repeated delivery of a trade: id, symbol with exchange, and time.
KEY = np.dtype([("id", "u8"), ("place", "i8"), ("time", "i8")])

#: What is known of a symbol. The first eight fields, 64 bytes, are all that most trades touch.
#: The level is the median of p0 to p4, the band what is allowed around it.
LEVEL = np.dtype(
    [
        ("low", "f8"),
        ("high", "f8"),
        ("newest", "i8"),  # event time of the newest accepted trade
        ("since", "i8"),  # event time from which the level holds
        ("sequence", "u8"),
        ("typical", "f8"),  # size
        ("accepted", "i8"),
        ("limits", "i4"),  # which of the classes it belongs to
        ("waiting", "i4"),  # trades off the level since the last one on it
        *((name, "f8") for name in ("middle", "p0", "p1", "p2", "p3", "p4")),
        *((name, "i8") for name in ("late", "disordered", "refused", "duplicate", "outsize")),
        *((name, "i8") for name in ("off_market", "quotes", "quotes_refused", "crossed", "locked")),
    ]
)

#: What is allowed in a class of assets; infinity, or the largest number, switches a rule off.
LIMITS = np.dtype(
    [
        ("deviation", "f8"),  # share of the level
        ("least_move", "f8"),  # in money
        ("outsize", "f8"),  # multiples of the typical size
        ("absurd", "f8"),
        ("future", "i8"),  # ns
        ("expiry", "i8"),  # ns
        ("lateness", "i8"),  # ns
        ("confirmations", "i8"),
        ("exempt", "u1", (256,)),  # by code of a trade's condition
    ]
)

#: Trades off the level that are kept of a symbol until it is plain whether they lead.
WAITING = 16

EARLIEST = np.int64(946_684_800_000_000_000)  # 2000-01-01
LATEST = np.int64(9_000_000_000_000_000_000)  # 2255; leaves room for durations to be added
_MINUTE = np.int64(60_000_000_000)
_EMPTY = np.int64(-1)
_WARM = np.int64(64)  # sizes seen before any is called large
_SELDOM = np.int64(3)
_PAUSE = np.int64(10_000_000_000)
_UP = 1.0 + 2.0**-6
_DOWN = 1.0 - 2.0**-6


@nb.njit(cache=True, nogil=True, inline="always")
def _slot(keys, id_, place, time):
    """Return where a key is, or the empty place where it belongs."""
    mixed = id_ ^ (np.uint64(place) * np.uint64(0x9E3779B97F4A7C15))
    mixed ^= mixed >> np.uint64(29)
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    mixed ^= mixed >> np.uint64(32)
    last = np.uint64(len(keys) - 1)
    at = mixed & last
    while keys[at]["place"] != _EMPTY and not (
        keys[at]["id"] == id_ and keys[at]["place"] == place and keys[at]["time"] == time
    ):
        at = (at + np.uint64(1)) & last
    return at


@nb.njit(cache=True, nogil=True)
def copy_keys(old, new):
    """Put all keys of one table into another, larger one."""
    for i in range(len(old)):
        key = old[i]
        if key["place"] != _EMPTY:
            new[_slot(new, key["id"], key["place"], key["time"])] = key


@nb.njit(cache=True, nogil=True)
def _content(price, size, sequence):
    """Return what stands for the id of a trade that has none: a digest of what it says."""
    mixed = np.uint64(np.float64(price).view(np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
    mixed ^= mixed >> np.uint64(32)
    mixed += np.uint64(np.float64(size).view(np.uint64))
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    mixed ^= mixed >> np.uint64(29)
    mixed += np.uint64(sequence)
    mixed *= np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(32))


@nb.njit(cache=True, nogil=True, inline="always")
def _median(a, b, c, d, e):
    """Return the median of five numbers."""
    # Of two pairs the smaller and the larger: the smallest of all and the largest drop out.
    # Written with comparisons, since min and max look for NaN.
    if a > b:
        a, b = b, a
    if c > d:
        c, d = d, c
    low = a if a > c else c
    high = b if b < d else d
    if low > high:
        low, high = high, low
    if e < low:
        return low
    return high if e > high else e


@nb.njit(cache=True, nogil=True, inline="always")
def _band(level, limits, middle):
    """Set the level and the prices that are allowed around it."""
    reach = max(middle * limits["deviation"], limits["least_move"])
    level["middle"] = middle
    level["low"] = middle - reach
    level["high"] = middle + reach


@nb.njit(cache=True, nogil=True)
def _begin(level, limits, price, time):
    """Let a level begin with one price."""
    level["p0"] = price
    level["p1"] = price
    level["p2"] = price
    level["p3"] = price
    level["p4"] = price
    level["since"] = time
    _band(level, limits, price)


@nb.njit(cache=True, nogil=True)
def _exempt(limits, conditions):
    """Tell whether a condition says that the price is not the market's."""
    codes = np.uint32(conditions)
    for shift in range(4):
        code = (codes >> np.uint32(8 * shift)) & np.uint32(255)
        if code != 0 and limits["exempt"][code] != 0:
            return True
    return False


@nb.njit(cache=True, nogil=True)
def _wait(level, limits, waiting, serials, row, serial):
    """Keep a trade off the level, and return how many of those kept make a new level; 0 if none.

    They do when, from the newest backwards, enough agree each with the next. Those stand at
    the end of what is kept afterwards, in their order.
    """
    n = np.int64(level["waiting"])
    if n == WAITING:
        for j in range(n - 1):
            waiting[j] = waiting[j + 1]
            serials[j] = serials[j + 1]
        n -= 1
    waiting[n] = row
    serials[n] = serial
    n += 1
    level["waiting"] = n
    share, least = limits["deviation"], limits["least_move"]
    chain = np.int64(0)
    anchor = row["price"]
    for j in range(n - 1, -1, -1):
        price = waiting[j]["price"]
        if abs(price - anchor) <= max(anchor * share, least):
            chain += 1
            anchor = price
    if chain < limits["confirmations"]:
        return np.int64(0)
    anchor = row["price"]
    to = n - 1
    for j in range(n - 1, -1, -1):
        price = waiting[j]["price"]
        if abs(price - anchor) <= max(anchor * share, least):
            waiting[to] = waiting[j]
            serials[to] = serials[j]
            to -= 1
            anchor = price
    return chain


@nb.njit(cache=True, nogil=True)
def _lead(level, limits, led):
    """Let a new level begin with the trades that lead to it."""
    _begin(level, limits, led[0]["price"], led[0]["time"])
    for j in range(len(led)):
        time = led[j]["time"]
        if time < level["since"]:
            level["since"] = time
        if time >= level["newest"]:
            level["newest"] = time
            level["sequence"] = led[j]["sequence"]
        _push(level, limits, led[j]["price"])
    level["accepted"] += len(led)
    level["refused"] -= len(led) - 1  # the last one was not refused yet


@nb.njit(cache=True, nogil=True, inline="always")
def _push(level, limits, price):
    """Let a price join those that set the level."""
    b = level["p1"]
    c = level["p2"]
    d = level["p3"]
    e = level["p4"]
    level["p0"] = b
    level["p1"] = c
    level["p2"] = d
    level["p3"] = e
    level["p4"] = price
    _band(level, limits, _median(b, c, d, e, price))


@nb.njit(cache=True, nogil=True)
def judge_trades(
    rows, start, fetched, serial, young, old, held, levels, limits, waiting, serials, out, against
):
    """Give each trade the number of the rule that refuses it, 0 if none does.

    Parameters
    ----------
    rows : array of TRADE
    start : int
        First row to judge.
    fetched : int
        1 for trades of the past, which neither are judged by the level nor set it. The typical
        size is taken of them until a live one came.
    serial : int
        Number of the first of the rows among all that ever came.
    young, old : arrays of KEY, power-of-two lengths
        Trades seen lately and before; new ones go into the young table.
    held : int
        Keys in the young table.
    levels : array of LEVEL, by symbol
    limits : array of LIMITS
    waiting, serials : arrays of TRADE and int64, shape (symbols, WAITING)
        Trades off the level, and their numbers.
    out : uint8 array, shape (len(rows),)
        0 accepted, 1 duplicate, 2 price, 3 size, 4 time, 5 off the level, 6 absurd size.
    against : float64 array, shape (len(rows),)
        Where a row was refused: the level, or the typical size, it was judged by.

    Returns
    -------
    (row, held, why)
        Why 0: all are judged. 1: the young table is half full; make room and call again from
        the row. 2: the row's symbol has no level yet; the same. 3 or more: the row before
        this one, and with it why - 2 of those waiting at the end, make a new level and are
        accepted; take the others out and call again.
    """
    for i in range(start, len(rows)):
        row = rows[i]
        symbol = row["symbol"]
        if symbol >= len(levels):
            return i, held, np.int64(2)
        level = levels[symbol]
        price = row["price"]
        size = row["size"]
        time = row["time"]
        if not (price > 0.0 and price < LIMIT):
            out[i] = 2
            level["refused"] += 1
            continue
        if not (size > 0.0 and size < LIMIT and price * size < LIMIT):
            out[i] = 3
            level["refused"] += 1
            continue
        limit = limits[level["limits"]]
        received = row["received"]
        if not (time >= EARLIEST and time < LATEST) or (
            received > 0 and time - received > limit["future"]
        ):
            out[i] = 4
            level["refused"] += 1
            continue
        if not row["flags"] & 1:
            if held * 2 >= len(young):
                return i, held, np.int64(1)
            place = (np.int64(symbol) << 16) | (np.int64(row["exchange"]) & 0xFFFF)
            id_ = row["id"]
            if id_ == np.uint64(0):
                id_ = np.uint64(_content(price, size, row["sequence"]))
            at = _slot(young, id_, place, time)
            if young[at]["place"] != _EMPTY or old[_slot(old, id_, place, time)]["place"] != _EMPTY:
                out[i] = 1
                level["duplicate"] += 1
                continue
            young[at]["id"] = id_
            young[at]["place"] = place
            young[at]["time"] = time
            held += 1
        out[i] = 0
        typical = level["typical"]
        if typical == 0.0:  # beside nothing each would be absurdly large: it is typical by itself
            typical = size
        if fetched:
            level["accepted"] += 1
            if level["typical"] == 0.0 or level["newest"] == 0:  # no live one told of sizes yet
                level["typical"] = typical * (_UP if size > typical else _DOWN)
            continue
        if size > typical * limit["outsize"] and level["accepted"] >= _WARM:
            if size > typical * limit["absurd"]:
                out[i] = 6
                against[i] = typical
                level["refused"] += 1
                continue
            level["outsize"] += 1
        newest = level["newest"]
        if time - newest > limit["expiry"]:  # the first ever, or after a long silence
            _begin(level, limit, price, time)
            level["waiting"] = 0
            level["typical"] = typical
        elif time >= level["since"] and time >= newest - _MINUTE:
            if not (price >= level["low"] and price <= level["high"]):
                if _exempt(limit, row["conditions"]):
                    level["off_market"] += 1
                    level["accepted"] += 1
                    continue
                many = _wait(level, limit, waiting[symbol], serials[symbol], row, serial + i)
                if many:
                    n = level["waiting"]
                    _lead(level, limit, waiting[symbol][n - many : n])
                    return i + 1, held, np.int64(2) + many
                out[i] = 5
                against[i] = level["middle"]
                level["refused"] += 1
                continue
            level["waiting"] = 0
            # Every fourth trade, and each that comes after a pause, is enough to follow the
            # market, and costs a quarter.
            if level["accepted"] & _SELDOM == 0 or time - newest > _PAUSE:
                _push(level, limit, price)
                level["typical"] = typical * (_UP if size > typical else _DOWN)
        level["accepted"] += 1
        if time > newest:
            level["newest"] = time
            level["sequence"] = row["sequence"]
        elif time < newest:
            level["disordered"] += 1
            if time < newest - limit["lateness"]:
                level["late"] += 1
        elif row["sequence"] < level["sequence"]:
            level["disordered"] += 1
        else:
            level["sequence"] = row["sequence"]
    return len(rows), held, np.int64(0)


@nb.njit(cache=True, nogil=True)
def judge_quotes(rows, start, levels, limits, out):
    """Give each quote the number of the rule that refuses it: 2 price, 3 size, 4 time.

    Returns the row before which a level must be made for its symbol; len(rows) when done.
    """
    for i in range(start, len(rows)):
        row = rows[i]
        symbol = row["symbol"]
        if symbol >= len(levels):
            return i
        level = levels[symbol]
        bid = row["bid"]
        ask = row["ask"]
        time = row["time"]
        received = row["received"]
        out[i] = 0
        level["quotes"] += 1
        if not (bid >= 0.0 and bid < LIMIT and ask >= 0.0 and ask < LIMIT and bid + ask > 0.0):
            out[i] = 2
        elif not (0.0 <= row["bid_size"] < LIMIT and 0.0 <= row["ask_size"] < LIMIT):
            out[i] = 3
        elif not (time >= EARLIEST and time < LATEST) or (
            received > 0 and time - received > limits[level["limits"]]["future"]
        ):
            out[i] = 4
        elif bid > 0.0 and ask > 0.0 and bid >= ask:
            if bid > ask:
                level["crossed"] += 1
            else:
                level["locked"] += 1
        if out[i] != 0:
            level["quotes_refused"] += 1
    return len(rows)
