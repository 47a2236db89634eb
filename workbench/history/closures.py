"""When a market is closed, by its calendar."""

from __future__ import annotations

import numpy as np

from workbench.calendar import edges_between, round_the_clock

__all__ = ["closed_spans"]


def closed_spans(symbol: str, start: int, end: int, step: int = 0) -> list[tuple[int, int]]:
    """Return when a market is in none of its sessions within a range.

    Parameters
    ----------
    symbol : str
        Crypto and forex pairs never close.
    start, end : int
        ns UTC, half-open.
    step : int
        Length of a bar in ns: spans shrink to whole bars. 0 leaves them as they are.

    Raises
    ------
    ValueError
        If no session is known there.

    Examples
    --------
    >>> evening, hour = 1_762_207_200 * 10**9, 3600 * 10**9  # 2025-11-03 17:00 in New York
    >>> [((a - evening) // hour, (b - evening) // hour)
    ...  for a, b in closed_spans("AAPL", evening, evening + 24 * hour)]
    [(3, 11)]
    """
    if not start < end or round_the_clock(symbol):
        return []
    sessions = edges_between(symbol, "extended", start, end)
    # Before the first session that is known, and after the last, nothing is said.
    lows = np.maximum(sessions.closes[:-1], start)
    highs = np.minimum(sessions.opens[1:], end)
    if step:
        lows, highs = -(-lows // step) * step, highs // step * step
    kept = lows < highs
    return list(zip(lows[kept].tolist(), highs[kept].tolist(), strict=True))
