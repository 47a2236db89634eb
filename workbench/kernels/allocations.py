"""How many pieces of memory compiled code has asked for: to prove that a loop asks for none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba.core.runtime import _nrt_python as counters

__all__ = ["allocations"]


def allocations(work: Callable[[], Any]) -> int:
    """Return how many pieces of memory compiled code allocates while a function runs.

    Counted in the whole process: other threads should be idle. What a call needs to be handed
    its arrays counts too, so compare calls with few rows and calls with many.
    """
    counting = counters.memsys_stats_enabled()
    counters.memsys_enable_stats()
    try:
        before = counters.memsys_get_stats_alloc()
        work()
        return int(counters.memsys_get_stats_alloc() - before)
    finally:
        if not counting:
            counters.memsys_disable_stats()
