"""A signal: what a rule said at the end of a bar, and why."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields

import numpy as np
import pandas as pd

__all__ = ["Signal", "table"]


@dataclass(frozen=True, slots=True)
class Signal:
    """An entry or exit that a rule called for.

    Attributes
    ----------
    rule : str
        Name of the rule with its parameters.
    symbol, timeframe : str
        Of the bars it was told from.
    time : int
        When it became known: the end of the bar, ns UTC.
    bar : int
        Start of that bar, ns UTC.
    action : "entry" or "exit"
    side : "long" or "short"
    price : float
        Close of the bar.
    confidence : float
        0 to 1, by the rule's own measure.
    reason : str
        In words.
    first : int
        Start of the oldest bar it was told from, ns UTC; `bar` is the newest.
    status : "given", "amended" or "withdrawn"
        After a late trade a signal may have other numbers, or lose its ground: it is told
        again with this word, and nothing is erased.
    revision : int
        Of the bar, when the signal was told.
    """

    rule: str
    symbol: str
    timeframe: str
    time: int
    bar: int
    action: str
    side: str
    price: float
    confidence: float
    reason: str
    first: int
    status: str = "given"
    revision: int = 0

    @property
    def id(self) -> str:
        """The same for the same bar, rule and action, live, replayed and in batch."""
        return f"{self.rule}|{self.symbol}|{self.timeframe}|{self.bar}|{self.action}|{self.side}"

    def __str__(self) -> str:
        when = np.datetime64(self.time, "ns").astype("M8[s]")
        return (
            f"{when} {self.symbol} {self.timeframe} {self.action} {self.side} at {self.price:g} "
            f"({self.confidence:.2f}): {self.reason}"
        )


_TIMES = ("time", "bar", "first")


def table(signals: Iterable[Signal]) -> pd.DataFrame:
    """Return signals as a table, indexed by the time they became known.

    Examples
    --------
    >>> table([]).columns[:4].tolist()
    ['rule', 'symbol', 'timeframe', 'bar']
    """
    names = [field.name for field in fields(Signal)]
    frame = pd.DataFrame([asdict(signal) for signal in signals], columns=names)
    for name in _TIMES:
        times = frame[name].to_numpy(np.int64).view("M8[ns]")
        frame[name] = pd.DatetimeIndex(times, tz="UTC")
    return frame.set_index("time")
