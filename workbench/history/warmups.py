"""The named warm-up fetches: what a symbol needs of its past before it can be watched."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal, NamedTuple

from workbench.errors import ConfigError
from workbench.history.request import day_long
from workbench.timeframes import Timeframe, timeframe

__all__ = [
    "PLENTY",
    "PRIORITIES",
    "WARMUPS",
    "Call",
    "Feeds",
    "Priority",
    "Series",
    "Warmup",
    "plan",
    "warmup",
]

Priority = Literal["high", "medium", "low"]
#: What is fetched first, next and last.
PRIORITIES: tuple[Priority, ...] = ("high", "medium", "low")
#: What is computed from the bars.
Feeds = Literal["ema", "structure", "trend", "nodes", "blocks"]
#: Requests a minute from which on they are not saved any more.
PLENTY = 60
#: Most bars of one answer.
_MOST = 50_000


@dataclass(frozen=True, slots=True)
class Warmup:
    """One fetch by name.

    Attributes
    ----------
    name : str
    timeframe : str
    bars : int
        The newest so many closed ones.
    priority : "high", "medium" or "low"
    feeds : "ema", "structure", "trend", "nodes" or "blocks"
        What is computed from them.
    """

    name: str
    timeframe: str
    bars: int
    priority: Priority
    feeds: Feeds


#: The eleven, in the order they are run in.
WARMUPS: tuple[Warmup, ...] = (
    Warmup("M1_EMA", "1m", 35, "high", "ema"),
    Warmup("M5_EMA", "5m", 35, "high", "ema"),
    Warmup("M15_EMA", "15m", 35, "medium", "ema"),
    Warmup("M1_MarketStructure", "1m", 200, "medium", "structure"),
    Warmup("M5_MarketStructure", "5m", 100, "medium", "structure"),
    Warmup("M15_MarketStructure", "15m", 60, "low", "structure"),
    Warmup("M1_StatisticalTrend", "1m", 15, "low", "trend"),
    Warmup("M5_StatisticalTrend", "5m", 15, "low", "trend"),
    Warmup("M15_StatisticalTrend", "15m", 15, "low", "trend"),
    Warmup("HVN", "1m", 200, "low", "nodes"),
    Warmup("OrderBlocks", "1m", 200, "low", "blocks"),
)


def warmup(name: str) -> Warmup:
    """Return the warm-up of a name.

    Raises
    ------
    ConfigError
        If there is none; the nearest names are told.

    Examples
    --------
    >>> warmup("M5_EMA").bars
    35
    """
    found = {one.name: one for one in WARMUPS}
    if name not in found:
        near = get_close_matches(name, found, n=3, cutoff=0.4) or list(found)
        raise ConfigError(f"no warm-up is called {name[:40]!r}; there are {', '.join(near)}")
    return found[name]


class Series(NamedTuple):
    """The newest `bars` closed bars of a timeframe."""

    timeframe: str
    bars: int


@dataclass(frozen=True, slots=True)
class Call:
    """One request to the provider, and the series that it serves.

    Attributes
    ----------
    timeframe : str
    bars : int
        The newest so many are asked for.
    covers : tuple of Series
        Those of longer timeframes are folded from the answer.
    """

    timeframe: str
    bars: int
    covers: tuple[Series, ...]


def plan(wanted: Iterable[Warmup], per_minute: int = 0) -> tuple[Call, ...]:
    """Return the requests that serve all warm-ups, the most urgent first.

    Warm-ups of one timeframe share the longest series. Where requests are scarce, all are
    folded from bars so short that one request serves every timeframe.

    Parameters
    ----------
    wanted : iterable of Warmup
    per_minute : int
        Requests that the provider allows; 0 is no limit.

    Examples
    --------
    >>> [(call.timeframe, call.bars) for call in plan(WARMUPS)]
    [('1m', 200), ('5m', 100), ('15m', 60)]
    >>> [(call.timeframe, call.bars) for call in plan(WARMUPS, per_minute=5)]
    [('1m', 930)]
    """
    needs: dict[Timeframe, int] = {}
    for one in sorted(wanted, key=lambda one: PRIORITIES.index(one.priority)):
        length = timeframe(one.timeframe)
        needs[length] = max(needs.get(length, 0), one.bars)
    if 0 < per_minute < PLENTY:
        short = {length: bars for length, bars in needs.items() if not day_long(length)}
        call = _one_for_all(short)
        if call is not None:
            rest = (_own(length, bars) for length, bars in needs.items() if length not in short)
            return (call, *rest)
    return tuple(_own(length, bars) for length, bars in needs.items())


def _own(length: Timeframe, bars: int) -> Call:
    return Call(length.name, bars, (Series(length.name, bars),))


def _one_for_all(needs: dict[Timeframe, int]) -> Call | None:
    """Return a call from whose bars all are folded; None if that spares nothing."""
    if len(needs) < 2:
        return None
    base = timeframe(math.gcd(*(length.seconds for length in needs)))
    most = 0
    for length, bars in needs.items():
        # An answer of n bars may begin and end within a longer bar, which then does not count.
        # No longer bar holds more than `ratio`: so many are enough, whatever gaps there are.
        ratio = length.seconds // base.seconds
        most = max(most, bars if ratio == 1 else (bars + 2) * ratio)
    if most > _MOST:
        return None
    return Call(base.name, most, tuple(Series(length.name, bars) for length, bars in needs.items()))
