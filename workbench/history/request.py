"""A wish for history: rows of one series over a range of time."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from workbench.errors import UnknownTimeframeError
from workbench.records import Kind
from workbench.store.frames import When, nanoseconds
from workbench.symbols import canonical
from workbench.timeframes import Timeframe, timeframe

__all__ = ["Request", "day_long", "period_start", "request", "settled_until"]

_SECOND = 1_000_000_000
_DAY = 86_400 * _SECOND
_PERIOD = re.compile(r"\s*(\d{1,4})\s*([DWMY])\s*", re.IGNORECASE)
_DAYS = {"D": 1, "W": 7, "M": 30, "Y": 365}
_KINDS = ("bar", "trade", "quote")


@dataclass(frozen=True, slots=True)
class Request:
    """Rows of one series with start <= time < end.

    Attributes
    ----------
    symbol : str
        In our spelling.
    kind : "bar", "trade" or "quote"
    timeframe : Timeframe or None
        Of bars; None for the others.
    start, end : int
        ns UTC. Of bars the time is their start.
    """

    symbol: str
    kind: Kind
    timeframe: Timeframe | None
    start: int
    end: int

    def __str__(self) -> str:
        return f"{self.symbol} {self.timeframe or self.kind}"

    def over(self, start: int, end: int) -> Request:
        """Return the same series over another range."""
        return replace(self, start=start, end=end)


def request(
    symbol: str,
    tf: str | int | Timeframe | None = "1m",
    *,
    start: When,
    end: When,
    kind: Kind = "bar",
) -> Request:
    """Return a checked request, its range cut to whole bars.

    Parameters
    ----------
    symbol : str
        In any spelling.
    tf : str, int, Timeframe or None
        Of bars, which need one; of no meaning for the rest.
    start, end : When
        Half-open range; what names no zone is UTC. Bars that start within it are meant.
    kind : "bar", "trade" or "quote"

    Raises
    ------
    UnknownSymbolError, UnknownTimeframeError
        If one is not spelled as such, or the provider has no bars of that length.
    ValueError
        If the range is empty, or there is no such kind.

    Examples
    --------
    >>> wish = request("x:btcusd", "5m", start="2025-11-03 00:01", end="2025-11-03 00:11")
    >>> wish.symbol, (wish.end - wish.start) // 60_000_000_000
    ('BTC-USD', 10)
    """
    if kind not in _KINDS:
        raise ValueError(f"kind is one of {', '.join(_KINDS)}, not {kind!r}")
    name, low, high = canonical(symbol), nanoseconds(start), nanoseconds(end)
    if low >= high:
        raise ValueError(f"nothing lies between {start} and {end}: the start must come first")
    if kind != "bar":
        return Request(name, kind, None, low, high)
    if tf is None:
        raise UnknownTimeframeError('bars are asked for by timeframe, such as "1m"')
    length = timeframe(tf)
    if day_long(length):
        if length.name not in ("1d", "1w"):
            raise UnknownTimeframeError(
                f"the provider starts bars of {length} on days of its own choice: ask for "
                '"1d" or "1w" and fold those',
                symbol=name,
            )
        return Request(name, kind, length, low, high)
    ceiling = -(-(low - length.origin) // length.ns) * length.ns + length.origin
    high = -(-(high - length.origin) // length.ns) * length.ns + length.origin
    return Request(name, kind, length, ceiling, max(high, ceiling + length.ns))


def day_long(length: Timeframe | None) -> bool:
    """Tell whether bars are of whole days, which the provider cuts at midnight in New York.

    >>> day_long(timeframe("1d")), day_long(timeframe("4h")), day_long(None)
    (True, False, False)
    """
    return length is not None and length.seconds % 86_400 == 0


def settled_until(length: Timeframe | None, now: int, settle: float) -> int:
    """Return the moment up to which rows can be taken for final, ns.

    Parameters
    ----------
    length : Timeframe or None
        Of bars: one is final when it has ended, and then `settle` has passed.
    now : int
        When the fetch began, ns UTC.
    settle : float
        Seconds for which late trades still change what a provider tells.
    """
    moment = now - round(settle * _SECOND)
    if length is None:
        return moment
    if day_long(length):  # a day may have 25 hours
        return moment - length.ns - 3600 * _SECOND
    return length.start(moment)


def period_start(period: str, end: int) -> int:
    """Return when a period of history begins.

    Parameters
    ----------
    period : str
        A count and D, W, M (30 days) or Y (365 days): "1D", "3M".
    end : int
        When it ends, ns UTC.

    Raises
    ------
    ValueError
        If it is not written so.

    Examples
    --------
    >>> (10**18 - period_start("1W", 10**18)) // (86_400 * 10**9)
    7
    """
    match = _PERIOD.fullmatch(period)
    if match is None or int(match[1]) == 0:
        raise ValueError(f'period {period!r} is not a count and D, W, M or Y, such as "1D"')
    return end - int(match[1]) * _DAYS[match[2].upper()] * _DAY
