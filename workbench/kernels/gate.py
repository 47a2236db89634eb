"""Judge trades row by row: which rule refuses them, which were seen before."""

from __future__ import annotations

import numba as nb
import numpy as np

from workbench.kernels.exact import LIMIT

__all__ = ["EARLIEST", "KEY", "copy_keys", "judge_quotes", "judge_trades"]

#: What tells a repeated delivery of a trade: id, symbol with exchange, and time.
KEY = np.dtype([("id", "u8"), ("place", "i8"), ("time", "i8")])

EARLIEST = np.int64(946_684_800_000_000_000)  # 2000-01-01
_DAY = np.int64(86_400_000_000_000)
_EMPTY = np.int64(-1)


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
def judge_trades(rows, start, young, old, held, verdicts):
    """Give each trade the number of the rule that refuses it, 0 if none does.

    Parameters
    ----------
    rows : array of TRADE
    start : int
        First row to judge.
    young, old : arrays of KEY, power-of-two lengths
        Trades seen lately and before; new ones go into the young table.
    held : int
        Keys in the young table.
    verdicts : uint8 array, shape (len(rows),)
        0 accepted, 1 duplicate, 2 price, 3 size, 4 time.

    Returns
    -------
    (row, held)
        A row before the last when the young table is half full: make room and call again.
    """
    for i in range(start, len(rows)):
        row = rows[i]
        price = row["price"]
        size = row["size"]
        time = row["time"]
        if not (price > 0.0 and price < LIMIT):
            verdicts[i] = 2
            continue
        if not (size > 0.0 and size < LIMIT and price * size < LIMIT):
            verdicts[i] = 3
            continue
        received = row["received"]
        if time < EARLIEST or (received > 0 and time > received + _DAY):
            verdicts[i] = 4
            continue
        if not row["flags"] & 1:
            if held * 2 >= len(young):
                return i, held
            place = (np.int64(row["symbol"]) << 16) | (np.int64(row["exchange"]) & 0xFFFF)
            at = _slot(young, row["id"], place, time)
            if young[at]["place"] != _EMPTY:
                verdicts[i] = 1
                continue
            before = old[_slot(old, row["id"], place, time)]
            if before["place"] != _EMPTY:
                verdicts[i] = 1
                continue
            young[at]["id"] = row["id"]
            young[at]["place"] = place
            young[at]["time"] = time
            held += 1
        verdicts[i] = 0
    return len(rows), held


@nb.njit(cache=True, nogil=True)
def judge_quotes(rows, verdicts):
    """Give each quote the number of the rule that refuses it: 2 price, 3 size, 4 time."""
    for i in range(len(rows)):
        row = rows[i]
        bid = row["bid"]
        ask = row["ask"]
        received = row["received"]
        if not (bid >= 0.0 and bid < LIMIT and ask >= 0.0 and ask < LIMIT and bid + ask > 0.0):
            verdicts[i] = 2
        elif not (
            row["bid_size"] >= 0.0
            and row["bid_size"] < LIMIT
            and row["ask_size"] >= 0.0
            and row["ask_size"] < LIMIT
        ):
            verdicts[i] = 3
        elif row["time"] < EARLIEST or (received > 0 and row["time"] > received + _DAY):
            verdicts[i] = 4
        else:
            verdicts[i] = 0
