"""Money that moves at rising and at falling prices: kernels `fn(p, s, bars, out)`.

A window is the end of one block of `length` rows and the beginning of the next: sums from
either side of the border need no subtraction, so nothing can be left of what is gone.
"""

from __future__ import annotations

import numba as nb
import numpy as np

from workbench.kernels.typical import typical

__all__ = ["MFI", "mfi"]

#: Rows done at once, and the longest window for which that is done.
BLOCK = 256
LONGEST = 2048

MFI = [
    ("count", "i8"), ("last", "f8"), ("up", "f8"), ("down", "f8"),
    ("flow", "f8"), ("old_up", "f8"), ("old_down", "f8"),
]  # fmt: skip


@nb.njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _share(rises, moved):
    return 100.0 * (rises / moved) if moved > 0.0 else 0.0


@nb.njit(cache=True, nogil=True)
def _turn(s, length):
    """Turn the flows of a whole block into sums from each row to the block's end."""
    up = 0.0
    down = 0.0
    for k in range(length - 1, -1, -1):
        flow = s[k]["flow"]
        up += flow if flow > 0.0 else 0.0
        down += -flow if flow < 0.0 else 0.0
        s[k]["old_up"] = up
        s[k]["old_down"] = down


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _rows(s, high, low, close, volume, begin, count, length, out, write):
    """Take the rows from `begin` on one by one, not the first of all; write from `write` on."""
    last = s[0]["last"]
    up = s[0]["up"]
    down = s[0]["down"]
    at = (count - 1) % length
    for i in range(begin, len(close)):
        price = typical(high[i], low[i], close[i])
        money = price * volume[i]
        flow = money if price > last else (-money if price < last else 0.0)
        last = price
        up += flow if flow > 0.0 else 0.0
        down += -flow if flow < 0.0 else 0.0
        s[at]["flow"] = flow
        at += 1
        if at < length:
            rises = up + s[at]["old_up"]
            moved = rises + (down + s[at]["old_down"])
        else:
            rises = up
            moved = up + down
            _turn(s, length)
            at = np.int64(0)
            up = 0.0
            down = 0.0
        if i >= write:
            out[i, 0] = _share(rises, moved) if count >= length else np.nan
        count += 1
    s[0]["count"] = count
    s[0]["last"] = last
    s[0]["up"] = up
    s[0]["down"] = down


@nb.njit(cache=True, nogil=True)
def _prices(high, low, close, out):
    for i in range(len(close)):
        out[i] = typical(high[i], low[i], close[i])


@nb.njit(cache=True, nogil=True)
def _flows(now, before, volume, rise, fall):
    for i in range(len(volume)):
        money = now[i] * volume[i]
        flow = money if now[i] > before[i] else (-money if now[i] < before[i] else 0.0)
        rise[i] = flow if flow > 0.0 else 0.0
        fall[i] = -flow if flow < 0.0 else 0.0


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _shares(rises, moved, out):
    for i in range(len(out)):
        out[i, 0] = _share(rises[i], moved[i])


@nb.njit(cache=True, nogil=True)
def _window(old_rise, old_fall, rise, fall, rises, moved):
    """Sums of the windows that end in a block, of its rows and those of the block before."""
    length = len(rise)
    up = 0.0
    down = 0.0
    for k in range(length - 1, 0, -1):
        up += old_rise[k]
        down += old_fall[k]
        rises[k - 1] = up
        moved[k - 1] = down
    rises[length - 1] = 0.0
    moved[length - 1] = 0.0
    up = 0.0
    down = 0.0
    for k in range(length):
        up += rise[k]
        down += fall[k]
        rises[k] = up + rises[k]
        moved[k] = rises[k] + (down + moved[k])


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _blocks(high, low, close, volume, begin, end, length, out):
    """Fill rows `begin` to `end`, whole blocks whose windows are in the columns."""
    many = (BLOCK // length + 1) * length
    price = np.empty(many + length + 1)
    rise, fall = np.empty(many + length), np.empty(many + length)
    rises, moved = np.empty(many), np.empty(many)
    for first in range(begin, end, many):
        stop = min(first + many, end)
        start = first - length
        n = stop - start
        _prices(high[start - 1 : stop], low[start - 1 : stop], close[start - 1 : stop], price)
        _flows(price[1:], price, volume[start:stop], rise, fall)
        for a in range(length, n, length):
            z = a + length
            _window(
                rise[a - length : a], fall[a - length : a], rise[a:z], fall[a:z],
                rises[a - length : a], moved[a - length : a],
            )  # fmt: skip
        _shares(rises, moved, out[first:stop])


@nb.njit(cache=True, nogil=True, error_model="numpy")
def mfi(p, s, bars, out):
    """Share of the money that moved at risen typical prices, 0 to 100; 0 if none moved."""
    high, low, close, volume = bars.high, bars.low, bars.close, bars.volume
    length = p["length"]
    count = s[0]["count"]
    n = len(close)
    begin = np.int64(0)
    if count == 0 and n > 0:
        s[0]["last"] = typical(high[0], low[0], close[0])
        out[0, 0] = np.nan
        count = begin = np.int64(1)
    if length > LONGEST or n < 8 * length + BLOCK:
        _rows(s, high, low, close, volume, begin, count, length, out, begin)
        return
    # To the beginning of a block with a whole one before it in the columns.
    head = begin + (length - (count - 1) % length) + length
    end = head + (n - head) // length * length
    _rows(s, high[:head], low[:head], close[:head], volume[:head], begin, count, length, out, begin)
    _blocks(high, low, close, volume, head, end, length, out)
    # The state is that of the last rows, from the beginning of a block.
    again = end - length
    s[0]["last"] = typical(high[again - 1], low[again - 1], close[again - 1])
    s[0]["up"] = 0.0
    s[0]["down"] = 0.0
    _rows(s, high, low, close, volume, again, count + again - begin, length, out, end)
