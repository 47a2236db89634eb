"""Sums of the lines of least squares through the last values, y at x = 0 .. length - 1.

Short windows are gone through pair by pair from their ends, many rows at a time; of long ones
sums are kept by blocks (see `sliding`), of differences from the first value of the newer block,
which is in every window that needs both. Nothing is ever subtracted, so nothing stays.
"""

from __future__ import annotations

import numba as nb
import numpy as np

from workbench.kernels.window import keep, lay

__all__ = ["LINE", "ROWS", "SHORT", "fits_of", "room_of"]

#: `at` is the place in the block (of a short window, in the ring), `level` its first value. Of the
#: block so far: `head` the sum of differences from it, `past` the sum of all `head` before,
#: `square` the sum of squares. Of the block before, from each place to its end: `tail` the sum of
#: differences, `fall` the sum of all `tail` after, `squares`; and `ring` the values themselves.
LINE = [
    ("count", "i8"), ("at", "i8"), ("level", "f8"), ("head", "f8"), ("past", "f8"),
    ("square", "f8"), ("ring", "f8"), ("tail", "f8"), ("fall", "f8"), ("squares", "f8"),
]  # fmt: skip

#: Windows up to so long are gone through.
SHORT = 32

#: Below this part of the sum of squares, what a line leaves is summed up value by value.
CLOSE = 1e-3

#: Below this part of the squared deviations it is summed up from rests without rounding.
NEAR = 1e-7

#: Below this part of the sum of squares, what a line leaves is what rounding left: values of 53
#: bits that are not on one line leave more.
NOTHING = 2.0**-180

#: Cuts a number in two halves of its digits.
SPLIT = 134217729.0  # 2**27 + 1

#: Rows whose sums are found before something is made of them: with what is made of them they
#: stay in the nearest cache.
ROWS = 256

#: Floats in a line of cache.
WIDE = 8

_1, _2, _3 = np.uint64(1), np.uint64(2), np.uint64(3)


@nb.njit(cache=True, nogil=True, inline="always")
def _sum_error(x, y, z):
    """Return what z lacks of x + y (Knuth 1969)."""
    other = z - x
    return (x - (z - other)) + (y - other)


@nb.njit(cache=True, nogil=True, inline="always")
def _high(x):
    """Return the upper half of the digits of a number (Dekker 1971)."""
    far = SPLIT * x
    return far - (far - x)


@nb.njit(cache=True, nogil=True)
def _rests(values, start, length, rests):
    """Write what a line leaves of values, the line rounded but the rests as good as exact.

    The rounding of each difference and product is found and added at the end.
    """
    size = np.float64(length)
    middle = 0.5 * (size - 1.0)
    level = values[start + length - 1]
    total = 0.0
    shared = 0.0
    for j in range(length):
        x = values[start + j] - level
        total += x
        shared += (j - middle) * x
    mean = total / size
    slope = 12.0 * shared / (size * (size * size - 1.0))
    high = _high(slope)
    low = slope - high
    for j in range(length):
        place = j - middle
        off = values[start + j] - level
        left = off - mean
        rise = slope * place
        rest = left - rise
        lost = _sum_error(values[start + j], -level, off) + _sum_error(off, -mean, left)
        lost += _sum_error(left, -rise, rest)
        # A place is at most 18 bits long, so products of half a slope with it are exact.
        lost -= (high * place - rise) + low * place
        rests[j] = rest + lost


@nb.njit(cache=True, nogil=True)
def _left_by(values, start, length, rests):
    """Return the sum of squares left by a line through `length` values from a place on.

    `rests` is room for as many. What a line leaves of the rests of a rounded line is what the
    best line leaves of the values, and no digits are lost on the way.
    """
    _rests(values, start, length, rests)
    size = np.float64(length)
    middle = 0.5 * (size - 1.0)
    total = 0.0
    shared = 0.0
    around = 0.0
    for j in range(length):
        total += rests[j]
        shared += (j - middle) * rests[j]
        off = values[start + j] - values[start + length - 1]
        around += off * off
    mean = total / size
    slope = 12.0 * shared / (size * (size * size - 1.0))
    left = 0.0
    for j in range(length):
        x = (rests[j] - mean) - slope * (j - middle)
        left += x * x
    # What is left by the rounding of the second line is nothing.
    return left if left > NOTHING * around else 0.0


@nb.njit(cache=True, nogil=True)
def _left(ring, at, length, close, i, done):
    """Return the sum of squares left by a line through a window.

    It is what is in the ring after place `at` + `done`, what is before `at`, and `done` + 1
    values from row `i`.
    """
    values = np.empty(length)
    old = length - 1 - at - done
    for j in range(old):
        values[j] = ring[at + done + 1 + j]
    for j in range(at):
        values[old + j] = ring[j]
    for j in range(done + 1):
        values[old + at + j] = close[i + j]
    return _left_by(values, 0, length, np.empty(length))


@nb.njit(cache=True, nogil=True)
def _add_two(values, outer, last, second, fits, rows):
    """Add the values `outer` places from both ends of windows to their sums, and the next pair.

    The next pair, one place inward, counts `second` times, once or not at all.
    """
    # Indices without sign need no test for counting from the end.
    a, b, c = np.uint64(outer), np.uint64(last - outer), np.uint64(last)
    weight = 0.5 * last - outer
    lighter = weight - 1.0
    for j in range(rows):
        k = np.uint64(j)
        level = values[c + k]
        x, y = values[a + k] - level, values[b + k] - level
        z, w = second * (values[a + k + _1] - level), second * (values[b + k - _1] - level)
        fits[1, k] += (x + y) + (z + w)
        fits[2, k] += weight * (y - x) + lighter * (w - z)
        fits[3, k] += (x * x + y * y) + (z * z + w * w)


@nb.njit(cache=True, nogil=True)
def _add_four(values, outer, last, fourth, fits, rows):
    """Add four pairs as `_add_two` does two; the last counts `fourth` times."""
    a, b, c = np.uint64(outer), np.uint64(last - outer), np.uint64(last)
    w0 = 0.5 * last - outer
    w1, w2, w3 = w0 - 1.0, w0 - 2.0, w0 - 3.0
    for j in range(rows):
        k = np.uint64(j)
        level = values[c + k]
        x0, y0 = values[a + k] - level, values[b + k] - level
        x1, y1 = values[a + k + _1] - level, values[b + k - _1] - level
        x2, y2 = values[a + k + _2] - level, values[b + k - _2] - level
        x3 = fourth * (values[a + k + _3] - level)
        y3 = fourth * (values[b + k - _3] - level)
        fits[1, k] += ((x0 + y0) + (x1 + y1)) + ((x2 + y2) + (x3 + y3))
        rises = w0 * (y0 - x0) + w1 * (y1 - x1)
        fits[2, k] += rises + (w2 * (y2 - x2) + w3 * (y3 - x3))
        first = (x0 * x0 + y0 * y0) + (x1 * x1 + y1 * y1)
        fits[3, k] += first + ((x2 * x2 + y2 * y2) + (x3 * x3 + y3 * y3))


@nb.njit(cache=True, nogil=True)
def _left_by_all(values, length, fits, found, rows):
    """Add up the squares of what lines leave of windows, pair by pair."""
    last = length - 1
    middle = 0.5 * last
    half = length // 2
    for outer in range(half):
        weight = middle - outer
        a, b, c = np.uint64(outer), np.uint64(last - outer), np.uint64(last)
        for j in range(rows):
            k = np.uint64(j)
            level, mean = values[c + k], fits[1, k]
            rise = weight * fits[2, k]
            x = ((values[a + k] - level) - mean) + rise
            y = ((values[b + k] - level) - mean) - rise
            found[k] += x * x + y * y
    if length % 2 == 1:
        for j in range(rows):
            x = (values[half + j] - values[last + j]) - fits[1, j]
            found[j] += x * x


@nb.njit(cache=True, nogil=True)
def _short_fits(values, length, fits, rows):
    """Find lines as `fits_of` does, of windows that lie in an array one after the other."""
    last = length - 1
    half = length // 2
    part = 1.0 / length
    scale = 12.0 / (length * (length * np.float64(length) - 1.0))
    for j in range(rows):
        fits[1, j] = fits[2, j] = fits[3, j] = 0.0
    outer = 0
    while outer + 3 <= half:
        _add_four(values, outer, last, 1.0 if outer + 4 <= half else 0.0, fits, rows)
        outer += 4
    if outer < half:
        _add_two(values, outer, last, 1.0 if outer + 2 <= half else 0.0, fits, rows)
    if length % 2 == 1:
        for j in range(rows):
            x = values[half + j] - values[last + j]
            fits[1, j] += x
            fits[3, j] += x * x
    lost = 0
    whole = len(fits) > 4
    for j in range(rows):
        total = fits[1, j]
        shared = fits[2, j]
        around = fits[3, j]
        mean = total * part
        slope = shared * scale
        spread = around - total * mean
        rest = spread - slope * shared
        close_by = rest < CLOSE * around
        lost += np.int64(close_by and whole)
        fits[0, j] = values[last + j]
        fits[1, j] = mean
        fits[2, j] = slope
        fits[3, j] = spread if spread > 0.0 else 0.0
        if whole:
            fits[4, j] = -1.0 if close_by else rest
    if lost > 0:
        found = np.zeros(rows)
        rests = np.empty(length)
        _left_by_all(values, length, fits, found, rows)
        for j in range(rows):
            if fits[4, j] < 0.0:
                near = found[j] <= NEAR * fits[3, j]
                fits[4, j] = _left_by(values, j, length, rests) if near else found[j]


@nb.njit(cache=True, nogil=True)
def room_of(kinds, n):
    """Return room for some kinds of sums of `n` rows, or of as many as are done at a time.

    A wide load or store across two lines of cache costs twice, so each kind begins one.
    """
    rows = -(-min(n, ROWS) // WIDE) * WIDE
    room = np.empty(kinds * rows + WIDE)
    begin = (-(room.ctypes.data // 8)) % WIDE
    return room[begin : begin + kinds * rows].reshape(kinds, rows)


@nb.njit(cache=True, nogil=True)
def fits_of(s, close, i, stop, length, fits, values):
    """Find the lines that end in rows from `i` to `stop`.

    Written are, one below the other: a level, the mean above it, the slope, the sum of squared
    deviations from the mean, and, if there is a fifth row for it, that of what the line leaves.
    `values` is room for short ones.
    """
    if length <= SHORT:
        if i < length - 1:
            lay(values, s["ring"], close, s[0]["at"], length, i, stop)
            _short_fits(values, length, fits, stop - i)
        else:
            # Read where they are: of what was just laid, wide loads at other places than the
            # stores have to wait until it has reached the cache.
            _short_fits(close[i - (length - 1) : stop], length, fits, stop - i)
        if stop == len(close):
            s[0]["at"] = keep(s["ring"], close, s[0]["at"], length)
            s[0]["count"] += stop
        return
    row = 0
    while i < stop:
        at = s[0]["at"]
        if at == 0:
            _begin(s, close[i], length)
        run = min(length - at, stop - i)
        lost = _advance(s, close, i, run, length, fits, row)
        if lost:
            for j in range(run):
                if fits[4, row + j] < 0.0:
                    fits[4, row + j] = _left(s["ring"], at, length, close, i, j)
        ring = s["ring"]
        for j in range(run):
            ring[at + j] = close[i + j]
        s[0]["count"] += run
        s[0]["at"] = at + run if at + run < length else 0
        i += run
        row += run


@nb.njit(cache=True, nogil=True)
def _begin(s, level, length):
    """Begin a block: sum up the one before, if there was one, about the first value."""
    ring, tail, fall, squares = s["ring"], s["tail"], s["fall"], s["squares"]
    s[0]["level"] = level
    s[0]["head"] = s[0]["past"] = s[0]["square"] = 0.0
    if s[0]["count"] > 0:
        a = b = c = 0.0
        for j in range(length):
            k = np.uint64(length - 1 - j)
            b += a
            x = ring[k] - level
            a += x
            c += x * x
            tail[k] = a
            fall[k] = b
            squares[k] = c


@nb.njit(cache=True, nogil=True)
def _advance(s, close, i, run, length, fits, row):
    """Go on in a block; what a line leaves is -1 where it must be summed up, tell if so."""
    tail, fall, squares = s["tail"], s["fall"], s["squares"]
    level = s[0]["level"]
    head, past, square = s[0]["head"], s[0]["past"], s[0]["square"]
    width = length - 1.0
    part = 1.0 / length
    middle = 0.5 * width
    scale = 12.0 / (length * (length * np.float64(length) - 1.0))
    here = np.uint64(s[0]["at"])
    first, to = np.uint64(i), np.uint64(row)
    lost = False
    whole = len(fits) > 4
    for j in range(run):
        k = np.uint64(j)
        here += _1
        x = close[first + k] - level
        head += x
        square += x * x
        total = tail[here] + head
        moment = fall[here] + (width * head - past)
        past += head
        around = squares[here] + square
        mean = total * part
        shared = moment - middle * total
        slope = shared * scale
        spread = around - total * mean
        rest = spread - slope * shared
        close_by = rest < CLOSE * around
        lost |= close_by and whole
        fits[0, to + k] = level
        fits[1, to + k] = mean
        fits[2, to + k] = slope
        fits[3, to + k] = spread if spread > 0.0 else 0.0
        if whole:
            fits[4, to + k] = -1.0 if close_by else rest
    s[0]["head"], s[0]["past"], s[0]["square"] = head, past, square
    return lost
