"""How indicator kernels are called: in blocks of rows, and one row without looking up types."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numba as nb
import numpy as np

__all__ = ["all_finite", "bound", "compiled", "entry"]

#: All ones in NaN and the infinities.
_EXPONENT = np.int64(0x7FF0000000000000)


@nb.njit(cache=True, nogil=True)
def all_finite(column):
    """Tell whether no value of a column of floats is NaN or infinite."""
    bits = column.view(np.int64)
    bad = np.int64(0)
    for i in range(len(bits)):
        bad += np.int64((bits[i] & _EXPONENT) == _EXPONENT)
    return bad == 0


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
