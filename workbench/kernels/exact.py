"""Sums of floats that do not depend on order, kept as two integers and rounded once.

A value is held as ``hi * 2**-12 + lo * 2**-74`` with ``0 <= lo < 2**62``. Every float64 of at
least 2**-22 is held exactly, smaller ones to the nearest multiple of 2**-74 (5e-23), ties to
even; addition of integers is associative, so any order and any split into batches gives the
same bits. One sum may reach 2**51 (2.2e15) in absolute value. Running totals wrap around
harmlessly: only differences of them are ever used.
"""

from __future__ import annotations

import math

import numba as nb
import numpy as np

__all__ = ["LIMIT", "add", "rounded", "split", "subtract"]

#: Largest single addend that is accepted anywhere, 5.6e14.
LIMIT = 2.0**49

_MASK = np.int64((1 << 62) - 1)
_SCALE = 4096.0
_FRACTION = 2.0**62
_QUANTUM = 2.0**-74
_UNIT = 2.0**-12


@nb.njit(cache=True, nogil=True, inline="always")
def split(x):
    """Return the two integers of the multiple of 2**-74 nearest to a float."""
    if x < 0.0:  # near zero from below, scaled - floor(scaled) would round: negate instead
        scaled = -x * _SCALE
        whole = math.floor(scaled)
        low = -np.int64(np.rint((scaled - whole) * _FRACTION))
        return -np.int64(whole) + (low >> np.int64(62)), low & _MASK
    scaled = x * _SCALE
    whole = math.floor(scaled)
    return np.int64(whole), np.int64(np.rint((scaled - whole) * _FRACTION))


@nb.njit(cache=True, nogil=True, inline="always")
def add(hi, lo, hi2, lo2):
    """Return the sum of two held values."""
    low = lo + lo2
    return hi + hi2 + (low >> np.int64(62)), low & _MASK


@nb.njit(cache=True, nogil=True, inline="always")
def subtract(hi, lo, hi2, lo2):
    """Return the difference of two held values."""
    low = lo - lo2
    return hi - hi2 + (low >> np.int64(62)), low & _MASK


@nb.njit(cache=True, nogil=True)
def _nearest(hi, lo):
    # hi >= 0. The top 62 bits are gathered in one integer, with a sticky bit for the rest, so
    # that the conversion to float rounds once and rightly.
    if hi == 0:
        return np.float64(lo) * _QUANTUM
    # The exponent tells the length of hi, or one more where the conversion rounded up to a
    # power of two: a bit less is gathered then, and 61 are plenty.
    shift = np.int64(62) - ((np.float64(hi).view(np.int64) >> np.int64(52)) - np.int64(1022))
    if shift < 0:
        top = hi >> np.int64(1)
        if lo != 0 or hi & np.int64(1):
            top |= np.int64(1)
        return np.float64(top) * 2.0 * _UNIT
    top = hi << shift
    if shift > 0:
        top |= lo >> (np.int64(62) - shift)
    if lo & ((np.int64(1) << (np.int64(62) - shift)) - np.int64(1)):
        top |= np.int64(1)
    power = np.int64((np.int64(1023 - 12) - shift) << np.int64(52)).view(np.float64)
    return np.float64(top) * power  # 2**(-12 - shift)


@nb.njit(cache=True, nogil=True)
def rounded(hi, lo):
    """Return the float64 nearest to a held value, and what is left of it as a second float."""
    if hi < 0:
        negative_hi, negative_lo = subtract(np.int64(0), np.int64(0), hi, lo)
        value = -_nearest(negative_hi, negative_lo)
    else:
        value = _nearest(hi, lo)
    near_hi, near_lo = split(value)
    rest_hi, rest_lo = subtract(hi, lo, near_hi, near_lo)
    if rest_hi < 0:
        rest_hi, rest_lo = subtract(np.int64(0), np.int64(0), rest_hi, rest_lo)
        return value, -_nearest(rest_hi, rest_lo)
    return value, _nearest(rest_hi, rest_lo)
