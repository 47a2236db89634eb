"""What of fetched rows cannot be true, by the rules of the gate that do not depend on order."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from workbench.kernels.exact import LIMIT
from workbench.kernels.gate import EARLIEST
from workbench.records import Batch, Kind, Rows

__all__ = ["screen"]

_DAY = 86_400_000_000_000
_Held = npt.NDArray[np.bool_]


def screen(
    batch: Batch, *, now: int, start: int | None = None
) -> tuple[Batch, list[tuple[str, Rows]]]:
    """Return the rows that may be stored, and those that are refused by the name of the rule.

    Rows that came twice are not looked for: the store keeps each once.

    Parameters
    ----------
    batch : Batch
    now : int
        When it came, ns UTC. What happened more than a day later did not.
    start : int or None
        What was asked for begins here, ns UTC. Times before 2000 are refused unless it lies
        there too.

    Examples
    --------
    >>> from workbench.records import TRADE
    >>> rows = np.zeros(2, TRADE)
    >>> rows["time"], rows["price"], rows["size"] = 1_700_000_000 * 10**9, [10.0, -1.0], 1.0
    >>> kept, refused = screen(Batch("trade", rows), now=1_700_000_000 * 10**9)
    >>> len(kept), [(rule, len(some)) for rule, some in refused]
    (1, [('price', 1)])
    """
    rows = batch.rows
    first = int(EARLIEST) if start is None else min(int(EARLIEST), start)
    timely = (rows["time"] >= first) & (rows["time"] <= now + _DAY)
    left = np.ones(len(rows), np.bool_)
    refused: list[tuple[str, Rows]] = []
    for rule, held in (*_sound(batch.kind, rows), ("time", timely)):
        if not (held | ~left).all():
            refused.append((rule, rows[left & ~held]))
        left &= held
    kept = batch if not refused else Batch(batch.kind, rows[left], batch.timeframe)
    return kept, refused


def _sound(kind: Kind, rows: Rows) -> list[tuple[str, _Held]]:
    """Return for each rule which rows hold to it; comparisons with NaN are false."""
    if kind == "bar":
        return [("ohlc", _bars(rows))]
    with np.errstate(over="ignore", invalid="ignore"):
        if kind == "trade":
            price, size = rows["price"], rows["size"]
            value = price * size
            return [
                ("price", (price > 0) & (price < LIMIT)),
                ("size", (size > 0) & (size < LIMIT) & (value < LIMIT)),
            ]
        bid, ask = rows["bid"], rows["ask"]
        prices = (bid >= 0) & (bid < LIMIT) & (ask >= 0) & (ask < LIMIT) & (bid + ask > 0)
        sizes = np.ones(len(rows), np.bool_)
        for name in ("bid_size", "ask_size"):
            sizes &= (rows[name] >= 0) & (rows[name] < LIMIT)
    return [("price", prices), ("size", sizes)]


def _bars(rows: Rows) -> _Held:
    low, high = rows["low"], rows["high"]
    held: _Held = (low > 0) & (high < LIMIT) & (low <= high)
    for name in ("open", "close"):
        held &= (rows[name] >= low) & (rows[name] <= high)
    held &= (rows["volume"] >= 0) & (rows["volume"] < LIMIT)
    held &= np.isfinite(rows["vwap"]) & np.isfinite(rows["notional"])
    return held
