"""Timeframes: the lengths of bars, written "1m", "4h", "1d"."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from workbench.errors import UnknownTimeframeError

__all__ = ["STANDARD", "Timeframe", "each", "timeframe"]

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_ALIASES = {"sec": "s", "second": "s", "min": "m", "minute": "m", "hour": "h", "day": "d"}
_ALIASES |= {"week": "w", "secs": "s", "mins": "m", "hours": "h", "days": "d"}
_ALIASES |= {"seconds": "s", "minutes": "m", "weeks": "w"}
_PATTERN = re.compile(r"\s*(\d{0,6})\s*([A-Za-z]+)\s*")
#: 1970-01-05 was a Monday: weeks are counted from there.
_MONDAY = 4 * 86_400 * 1_000_000_000
_MAX_SECONDS = 366 * 86_400


@dataclass(frozen=True, slots=True, order=True)
class Timeframe:
    """The length of a bar.

    Bars start at multiples of the length since the epoch in UTC; weeks start on Monday.

    Attributes
    ----------
    seconds : int
        Length in seconds.
    name : str
        As users write it, in the largest unit that divides it: "90s", "5m", "1d".
    """

    seconds: int
    name: str

    @property
    def code(self) -> int:
        """What the field `timeframe` of its bars holds: the seconds."""
        return self.seconds

    @property
    def ns(self) -> int:
        """Length in nanoseconds."""
        return self.seconds * 1_000_000_000

    @property
    def origin(self) -> int:
        """Time in ns at which a bar of this length once started; bars are counted from it."""
        return _MONDAY if self.seconds % 604_800 == 0 else 0

    def start(self, time: int) -> int:
        """Return the start of the bar that holds a time, both in ns UTC.

        >>> timeframe("5m").start(1_723_161_254_087_000_000)
        1723161000000000000
        """
        return time - (time - self.origin) % self.ns

    def __str__(self) -> str:
        return self.name


def timeframe(text: str | int | Timeframe) -> Timeframe:
    """Read a timeframe as people write it.

    Parameters
    ----------
    text : str, int or Timeframe
        A count and a unit: s, m, h, d or w ("15s", "1m", "4h", "1d"); the spellings
        "1min", "30sec", "1hour" are understood too. An int is a number of seconds. Any
        length from one second to a year is allowed.

    Returns
    -------
    Timeframe

    Raises
    ------
    UnknownTimeframeError
        If it is not one.

    Examples
    --------
    >>> timeframe("60m")
    Timeframe(seconds=3600, name='1h')
    >>> timeframe("15sec").name
    '15s'
    """
    if isinstance(text, Timeframe):
        return text
    return _parse(text)


def each(given: str | int | Timeframe | Iterable[str | int | Timeframe]) -> list[Timeframe]:
    """Read one timeframe or several.

    >>> [tf.name for tf in each(["1m", "60m"])], [tf.name for tf in each("5m")]
    (['1m', '1h'], ['5m'])
    """
    some = [given] if isinstance(given, str | int | Timeframe) else given
    return [timeframe(one) for one in some]


@lru_cache(maxsize=512, typed=True)  # True and 60.0 are not 1 and 60
def _parse(text: str | int) -> Timeframe:
    if isinstance(text, int) and not isinstance(text, bool):
        seconds = text
    else:
        match = _PATTERN.fullmatch(str(text))
        unit = match[2] if match else ""
        # "1M" is a month where charts are concerned: refuse it rather than read a minute.
        unit = unit if unit in _UNITS else _ALIASES.get(unit.lower(), "")
        if match is None or not unit:
            raise UnknownTimeframeError(
                f"unknown timeframe {text!r}: write a count and a unit, s m h d or w, "
                'such as "15s", "1m", "4h", "1d"'
            )
        seconds = int(match[1] or 1) * _UNITS[unit]
    if not 1 <= seconds <= _MAX_SECONDS:
        raise UnknownTimeframeError(f"timeframe {text!r} is not between 1s and 366d")
    unit = next(u for u in "wdhms" if seconds % _UNITS[u] == 0)
    return Timeframe(seconds, f"{seconds // _UNITS[unit]}{unit}")


#: The timeframes that pickers offer.
STANDARD: tuple[Timeframe, ...] = tuple(
    map(_parse, ("1s", "5s", "15s", "30s", "1m", "2m", "3m", "5m"))
) + tuple(map(_parse, ("10m", "15m", "30m", "1h", "2h", "4h", "1d", "1w")))
