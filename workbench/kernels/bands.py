"""Standard deviations and bands made of them: kernels `fn(p, s, bars, out)` (see `averages`).

Mean and sum of squared deviations slide along with the window (Welford 1962, with a value that
leaves). They are made anew from the window at fixed counts of rows, and wherever the sum has
fallen so far since then that what it had lost by rounding would show.
"""

from __future__ import annotations

import math

import numba as nb
import numpy as np

__all__ = [
    "WINDOW", "anchor_rows", "bollinger", "bollinger_b", "bollinger_width", "ring_moments",
    "slid", "stddev",
]  # fmt: skip

#: Made anew after so many rows, or as many as the window has if that is more.
ANCHOR = 256
#: Made anew if the sum of squares falls below this part of the highest since then.
FALL = 0.01

# `mean` is counted from `level`, a value of the window, `top` the highest sum of squares since.
WINDOW = [("count", "i8"), ("level", "f8"), ("mean", "f8"), ("square", "f8"), ("top", "f8"),
          ("ring", "f8")]  # fmt: skip

_DEVIATION, _BANDS, _PLACE, _WIDTH = 0, 1, 2, 3


@nb.njit(cache=True, nogil=True)
def anchor_rows(length):
    """Return after how many rows moments are made anew."""
    return max(ANCHOR, length) if length > 1 else 1


@nb.njit(cache=True, nogil=True)
def slid(x, old, mean, square, share):
    """Return mean and sum of squares after `x` took the place of `old`."""
    change = x - old
    now = mean + change * share
    return now, square + change * ((x - now) + (old - mean))


@nb.njit(cache=True, nogil=True)
def ring_moments(ring, length, x):
    """Return mean and sum of squared deviations of a full ring; `x` is a value near them."""
    total = 0.0
    for k in range(length):
        total += ring[k] - x
    mean = x + total / length
    square = 0.0
    for k in range(length):
        deviation = ring[k] - mean
        square += deviation * deviation
    return mean, square


@nb.njit(cache=True, nogil=True)
def _moments(close, ring, i, count, length):
    """Return level, mean and sum of squared deviations of the window that ends in row `i`.

    The sum stands twice: it is the highest so far, too. `count` rows came before that row; those
    before this call are in the ring.
    """
    x = close[i]
    held = max(0, length - 1 - i)  # values of the window that came before this call
    slot = (count - length + 1) % length
    first = i - length + 1 + held
    total = 0.0
    for k in range(held):
        total += ring[(slot + k) % length] - x
    for k in range(first, i + 1):
        total += close[k] - x
    mean = total / length
    square = 0.0
    for k in range(held):
        deviation = (ring[(slot + k) % length] - x) - mean
        square += deviation * deviation
    for k in range(first, i + 1):
        deviation = (close[k] - x) - mean
        square += deviation * deviation
    return x, mean, square, square


@nb.njit(cache=True, nogil=True)
def _write(out, i, what, x, level, mean, spread):
    """Write what is wanted of a mean, counted from a level, and a multiple of the deviation."""
    if what == _DEVIATION:
        out[i, 0] = spread
    elif what == _BANDS:
        middle = level + mean
        out[i, 0] = middle + spread
        out[i, 1] = middle
        out[i, 2] = middle - spread
    elif what == _PLACE:
        out[i, 0] = 0.5 + 0.5 * ((x - level) - mean) / spread if spread > 0.0 else 0.5
    else:
        middle = level + mean
        out[i, 0] = 200.0 * spread / middle if middle != 0.0 else 0.0


@nb.njit(cache=True, nogil=True)
def _glide(close, old, out, length, scale, width, what, moments):
    """Slide over rows whose leaving values are in `old`; stop where moments must be made anew.

    Returns how many rows were done, and the moments.
    """
    level, mean, square, top = moments
    share = 1.0 / length
    for i in range(len(close)):
        x = close[i]
        now, changed = slid(x - level, old[i] - level, mean, square, share)
        if changed < FALL * top:
            return i, (level, mean, square, top)
        mean = now
        square = changed
        if square > top:
            top = square
        _write(out, i, what, x, level, mean, math.sqrt(square * scale) * width)
    return len(close), (level, mean, square, top)


@nb.njit(cache=True, nogil=True)
def _slide(length, divisor, width, what, s, bars, out):
    """Write what is wanted of the deviation of the last `length` values."""
    count = s[0]["count"]
    moments = (s[0]["level"], s[0]["mean"], s[0]["square"], s[0]["top"])
    ring = s["ring"]
    close = bars.close
    n = len(close)
    scale = 1.0 / divisor if divisor > 0 else 0.0
    every = anchor_rows(length)
    i = min(n, max(0, length - 1 - count))
    for k in range(i):
        for j in range(out.shape[1]):
            out[k, j] = np.nan
    anew = count + i == length - 1
    while i < n:
        now = count + i
        ahead = every - 1 - now % every  # rows before the next one that is made anew anyway
        if anew or ahead == 0:
            moments = _moments(close, ring, i, now, length)
            level, mean, square, _ = moments
            _write(out, i, what, close[i], level, mean, math.sqrt(square * scale) * width)
            anew = False
            i += 1
            continue
        if i >= length:
            stop = min(n, i + ahead)
            done, moments = _glide(
                close[i:stop], close[i - length : stop - length], out[i:stop], length, scale,
                width, what, moments,
            )  # fmt: skip
        else:
            slot = now % length
            stop = min(n, i + min(ahead, length - max(slot, i)))
            done, moments = _glide(
                close[i:stop], ring[slot : slot + stop - i], out[i:stop], length, scale, width,
                what, moments,
            )  # fmt: skip
        i += done
        anew = i < stop
    for i in range(max(0, n - length), n):
        ring[(count + i) % length] = close[i]
    s[0]["count"] = count + n
    s[0]["level"], s[0]["mean"], s[0]["square"], s[0]["top"] = moments


@nb.njit(cache=True, nogil=True)
def stddev(p, s, bars, out):
    """Deviation of the last `length` values: of a population, or of a sample; 0 if constant."""
    length = p["length"]
    _slide(length, length - p["divisor"], 1.0, _DEVIATION, s, bars, out)


@nb.njit(cache=True, nogil=True)
def bollinger(p, s, bars, out):
    """Mean of the last `length` values, and `width` deviations above and below."""
    _slide(p["length"], p["length"], p["width"], _BANDS, s, bars, out)


@nb.njit(cache=True, nogil=True)
def bollinger_b(p, s, bars, out):
    """Place of the value between the bands, 0 at the lower; 0.5 if they are one."""
    _slide(p["length"], p["length"], p["width"], _PLACE, s, bars, out)


@nb.njit(cache=True, nogil=True)
def bollinger_width(p, s, bars, out):
    """Distance of the bands in percent of their middle; 0 if that is 0."""
    _slide(p["length"], p["length"], p["width"], _WIDTH, s, bars, out)
