"""Changes smoothed twice: kernels `fn(p, s, bars, out)`."""

from __future__ import annotations

import numba as nb
import numpy as np

__all__ = ["TSI", "tsi"]

#: States that decay are looked at this often, by the count of all rows.
ANCHOR = 64
#: What has decayed below this is taken as nothing (see `momentum`).
TINY = 1e-250

TSI = [
    ("count", "i8"), ("last", "f8"), ("change", "f8"), ("size", "f8"),
    ("change_twice", "f8"), ("size_twice", "f8"), ("signal", "f8"),
]  # fmt: skip


@nb.njit(cache=True, nogil=True, inline="always")
def _mean(mean, x, place, length, weight):
    """Take value number `place` into an exponential mean seeded by the first `length` values."""
    if place >= length:
        return mean * (1.0 - weight) + x * weight
    return (mean + x) / length if place == length - 1 else mean + x


@nb.njit(cache=True, nogil=True, inline="always")
def _pressed(value):
    return value if abs(value) > TINY else 0.0


@nb.njit(cache=True, nogil=True, error_model="numpy")
def tsi(p, s, bars, out):
    """Changes smoothed twice in their sizes smoothed twice, -100 to 100, and a mean of that.

    Each mean is seeded by the simple mean of its first values; 0 while nothing moved.
    """
    long, short, signal = p["long"], p["short"], p["signal"]
    long_weight, short_weight = 2.0 / (long + 1.0), 2.0 / (short + 1.0)
    signal_weight = 2.0 / (signal + 1.0)
    count, last = s[0]["count"], s[0]["last"]
    change, size = s[0]["change"], s[0]["size"]
    change_twice, size_twice, mean = s[0]["change_twice"], s[0]["size_twice"], s[0]["signal"]
    second = np.int64(long)
    third = second + short - 1
    warm = third + signal - 1
    close = bars.close
    for i in range(len(close)):
        x = close[i]
        value = 0.0
        if count > 0:
            step = x - last
            change = _mean(change, step, count - 1, long, long_weight)
            size = _mean(size, abs(step), count - 1, long, long_weight)
        if count >= second:
            change_twice = _mean(change_twice, change, count - second, short, short_weight)
            size_twice = _mean(size_twice, size, count - second, short, short_weight)
        if count >= third:
            value = 100.0 * (change_twice / size_twice) if size_twice > 0.0 else 0.0
            mean = _mean(mean, value, count - third, signal, signal_weight)
        out[i, 0] = value if count >= warm else np.nan
        out[i, 1] = mean if count >= warm else np.nan
        last = x
        count += 1
        if count & (ANCHOR - 1) == 0:
            change, size = _pressed(change), _pressed(size)
            change_twice, size_twice = _pressed(change_twice), _pressed(size_twice)
            mean = _pressed(mean)
    s[0]["count"], s[0]["last"] = count, last
    s[0]["change"], s[0]["size"] = change, size
    s[0]["change_twice"], s[0]["size_twice"], s[0]["signal"] = change_twice, size_twice, mean
