"""Which sums two floats hold to the last bit: those that bars of bars can be made of."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["holds", "kept_whole"]

_QUANTUM = 2.0**-74


def holds(addends: npt.NDArray[np.float64]) -> bool:
    """Tell whether a float and what is left of it hold a sum of these, whatever its parts."""
    some = np.abs(addends[addends != 0])
    if not len(some):
        return True
    left = np.spacing(some.sum()) / 2
    return bool(left / max(_QUANTUM, np.spacing(some.min())) <= 2.0**53)


def kept_whole(trades: npt.NDArray[Any]) -> bool:
    """Tell whether bars of any of these trades hold their volume and their value exactly."""
    return holds(trades["size"]) and holds(trades["price"] * trades["size"])
