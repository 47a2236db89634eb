"""How indicator kernels are called: in blocks of rows, and one row without looking up types."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numba as nb
import numpy as np

__all__ = ["INFINITE", "SMALLEST", "TINY", "bound", "cleared", "compiled", "entry", "oddities"]

#: All ones in NaN and the infinities.
_EXPONENT = np.int64(0x7FF0000000000000)
_SIGNLESS = np.int64(0x7FFFFFFFFFFFFFFF)

#: What `oddities` may find.
INFINITE, TINY = 1, 2

#: Numbers nearer to zero are read as zero: no price, volume or ratio is that small, and products
#: and differences of such numbers fall below what a float holds whole, which slows every step.
SMALLEST = 1e-100
_SMALLEST = np.float64(SMALLEST).view(np.int64)


@nb.njit(cache=True, nogil=True)
def oddities(column):
    """Tell whether a column of floats has NaN or infinities (1), numbers too near to zero (2)."""
    bits = column.view(np.int64)
    infinite = np.int64(0)
    tiny = np.int64(0)
    for i in range(len(bits)):
        size = bits[i] & _SIGNLESS
        infinite += np.int64(size >= _EXPONENT)
        tiny += np.int64((size < _SMALLEST) & (size != 0))
    return (INFINITE if infinite > 0 else 0) + (TINY if tiny > 0 else 0)


@nb.njit(cache=True, nogil=True)
def cleared(column, out):
    """Write a column, with numbers too near to zero as zeros; a zero keeps its sign."""
    for i in range(len(out)):
        x = column[i]
        near = (x < SMALLEST) & (x > -SMALLEST) & (x != 0.0)
        out[i] = 0.0 if near else x


def bound(kernel: Callable[..., None], *arguments: Any) -> Callable[[], Any]:
    """Return a call of a kernel with these very arguments, which are to be changed in place.

    The compiled entry for their types is looked up once. That saves two thirds of the time a
    call takes when there is one row to work on.
    """
    return partial(entry(kernel, *arguments), *arguments)


def entry(kernel: Callable[..., None], *arguments: Any) -> Callable[..., Any]:
    """Return the compiled entry of a kernel for the types of these arguments.

    It may only be called with arguments of the very same types: it does not look.
    """
    find = getattr(kernel, "typeof_pyval", None)
    if find is None:  # not compiled
        return kernel
    types = tuple(find(argument) for argument in arguments)
    kernel.compile(types)  # type: ignore[attr-defined] # once, or from the cache
    found: Callable[..., Any] = kernel.overloads[types].entry_point  # type: ignore[attr-defined]
    return found


def compiled(function: Callable[..., None]) -> Callable[..., None]:
    """Return a function of a user as a compiled kernel; nothing of it is kept on disk."""
    kernel: Callable[..., None] = nb.njit(nogil=True)(function)
    return kernel
