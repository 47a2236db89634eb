"""Time bars of one symbol from columns in order of time.

A bar is a segment of the columns. Its sums are those of `exact`, taken apart in another way:
as multiples of 2**-24 and of 2**-74, both as integers, so that the compiler may add many at
once. Adding 1.5 * 2**52 to a float rounds it to an integer and leaves that integer in the low
bits of the sum: the bits are added up as they are, and the constant's share taken off at the
end. Values of 2**27 and more do not fit, and go one by one through `exact.split`.
"""

from __future__ import annotations

import numba as nb
import numpy as np

from workbench.kernels.barstate import emit
from workbench.kernels.exact import add, split

__all__ = ["fill"]

_MAGIC = 1.5 * 2.0**52
_MAGIC_BITS = np.int64(0x4338000000000000)
#: The first level counts in 2**-24, the second in 2**-74.
_FIRST = 2.0**24
_SECOND = 2.0**50
#: Rows summed up at once: as many integers below 2**51 never overflow.
_BLOCK = 2048
#: Rows looked at before bars are made of them, while they are in the cache.
_AHEAD = 8192
#: Below this many rows adding one by one is faster.
_FEW = 24
_MASK = np.int64((1 << 62) - 1)
_CLOSED = 2


@nb.njit(cache=True, nogil=True)
def _fit(times, prices, sizes):
    """Tell whether times never go back and no price or size has a sign, all given as integers.

    It goes over the columns side by side, evenly, which also fetches them into the cache: bar
    by bar, memory would be waited for at the start of each column of each bar.
    """
    wrong = prices[0] | sizes[0]
    for i in range(1, len(times)):
        wrong |= (times[i] - times[i - 1]) | prices[i] | sizes[i]
    return wrong >= 0


@nb.njit(cache=True, nogil=True)
def _extremes(bits):
    """Return the least and the greatest of some integers."""
    least = bits[0]
    most = bits[0]
    for i in range(len(bits)):
        least = min(least, bits[i])
        most = max(most, bits[i])
    return least, most


# Fused or not, products with a power of two are the same: only speed is at stake.
@nb.njit(cache=True, nogil=True, fastmath={"contract"})
def _sums(price, size):
    """Return the levels of the sums of sizes and of values, and bits that tell if one is off."""
    v1 = np.int64(0)
    v2 = np.int64(0)
    n1 = np.int64(0)
    n2 = np.int64(0)
    off = np.int64(0)
    for i in range(len(size)):
        x = size[i]
        n = price[i] * x
        y = x * _FIRST + _MAGIC
        a = np.float64(y).view(np.int64)
        v1 += a
        off |= a ^ _MAGIC_BITS
        z = (x * _FIRST - (y - _MAGIC)) * _SECOND + _MAGIC
        v2 += np.float64(z).view(np.int64)
        y = n * _FIRST + _MAGIC
        a = np.float64(y).view(np.int64)
        n1 += a
        off |= a ^ _MAGIC_BITS
        z = (n * _FIRST - (y - _MAGIC)) * _SECOND + _MAGIC
        n2 += np.float64(z).view(np.int64)
    share = np.int64(len(size)) * _MAGIC_BITS
    return v1 - share, v2 - share, n1 - share, n2 - share, off


@nb.njit(cache=True, nogil=True, inline="always")
def _joined(first, second):
    """Return the two integers of `exact` for the two of a block."""
    low = ((first & np.int64(4095)) << np.int64(50)) + second
    return (first >> np.int64(12)) + (low >> np.int64(62)), low & _MASK


@nb.njit(cache=True, nogil=True)
def _one_by_one(price, size, bar):
    """Add rows to the sums of a bar, whatever their values are."""
    vh = bar["volume_hi"]
    vl = bar["volume_lo"]
    nh = bar["notional_hi"]
    nl = bar["notional_lo"]
    for i in range(len(size)):
        hi, lo = split(size[i])
        vh, vl = add(vh, vl, hi, lo)
        hi, lo = split(price[i] * size[i])
        nh, nl = add(nh, nl, hi, lo)
    bar["volume_hi"] = vh
    bar["volume_lo"] = vl
    bar["notional_hi"] = nh
    bar["notional_lo"] = nl


@nb.njit(cache=True, nogil=True)
def _sum_up(price, size, bar):
    """Set the sums of a bar."""
    bar["volume_hi"] = 0
    bar["volume_lo"] = 0
    bar["notional_hi"] = 0
    bar["notional_lo"] = 0
    if len(size) < _FEW:
        _one_by_one(price, size, bar)
        return
    for at in range(0, len(size), _BLOCK):
        some_price = price[at : at + _BLOCK]
        some_size = size[at : at + _BLOCK]
        v1, v2, n1, n2, off = _sums(some_price, some_size)
        if off >> np.int64(52) != 0:  # an exponent that is not the constant's: too large, or NaN
            _one_by_one(some_price, some_size, bar)
            continue
        hi, lo = _joined(v1, v2)
        hi, lo = add(bar["volume_hi"], bar["volume_lo"], hi, lo)
        bar["volume_hi"] = hi
        bar["volume_lo"] = lo
        hi, lo = _joined(n1, n2)
        hi, lo = add(bar["notional_hi"], bar["notional_lo"], hi, lo)
        bar["notional_hi"] = hi
        bar["notional_lo"] = lo


@nb.njit(cache=True, nogil=True, inline="always")
def _end(times, start, stop, limit):
    """Return the first row of a range that is not before `limit`, looking ever farther."""
    low = start - 1
    step = 1
    high = start
    while high < stop and times[high] < limit:
        low = high
        step *= 2
        high = low + step
    high = min(high, stop)
    while low + 1 < high:
        middle = (low + high) >> 1
        before = times[middle] < limit
        low = middle if before else low
        high = high if before else middle
    return high


@nb.njit(cache=True, nogil=True)
def _open_close(times, price, sequence, start, end, bar):
    """Set open and close: trades of one time go by sequence, then by price."""
    first = start
    i = start + 1
    while i < end and times[i] == times[start]:
        if sequence[i] < sequence[first] or (
            sequence[i] == sequence[first] and price[i] < price[first]
        ):
            first = i
        i += 1
    last = end - 1
    i = end - 2
    while i >= start and times[i] == times[end - 1]:
        if sequence[i] > sequence[last] or (
            sequence[i] == sequence[last] and price[i] > price[last]
        ):
            last = i
        i -= 1
    bar["open"] = price[first]
    bar["close"] = price[last]


@nb.njit(cache=True, nogil=True)
def fill(times, price, size, sequence, start, tf, symbol, bar, out):
    """Write bars until the rows end or `out` is full.

    Parameters
    ----------
    times, sequence : int64 and uint64 arrays, shape (n,)
        Times in ns.
    price, size : float64 arrays, shape (n,)
        Prices above zero.
    start : int
        First row of a bar.
    tf : record
        length and origin in ns, seconds.
    symbol : int
    bar : record of SLOT
        To work in.
    out : array of BAR

    Returns
    -------
    (rows taken up to, bars in out)
        Rows are -1 if times go back, or a price or size is below zero.
    """
    bits = price.view(np.int64)
    sizes = size.view(np.int64)
    bar["revision"] = 0
    n = 0
    length = tf["length"]
    known = start + 1  # so far
    while start < len(times) and n < len(out):
        begin = times[start] - (times[start] - tf["origin"]) % length
        end = _end(times, start + 1, known, begin + length)
        while end == known and known < len(times):
            known = min(known + _AHEAD, len(times))
            if not _fit(times[end - 1 : known], bits[end - 1 : known], sizes[end - 1 : known]):
                return -1, n
            end = _end(times, end, known, begin + length)
        # Floats above zero are in the order of their bits.
        least, most = _extremes(bits[start:end])
        bar["low"] = np.int64(least).view(np.float64)
        bar["high"] = np.int64(most).view(np.float64)
        _open_close(times, price, sequence, start, end, bar)
        _sum_up(price[start:end], size[start:end], bar)
        bar["start"] = begin
        bar["count"] = end - start
        n = emit(out, n, bar, symbol, tf["seconds"], _CLOSED)
        start = end
    return start, n
