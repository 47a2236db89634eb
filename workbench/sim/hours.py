"""Trading hours: Eastern days, the phase of the session, and how busy each hour is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Literal
from zoneinfo import ZoneInfo

from workbench.sim.holidays import close_hour, holidays

__all__ = ["DAY", "EASTERN", "SECOND", "Hours", "Phase", "day_bounds", "eastern_date", "next_date"]

SECOND = 1_000_000_000
DAY = 86_400 * SECOND
EASTERN = ZoneInfo("America/New_York")

Phase = Literal["pre", "regular", "after", "closed"]


@lru_cache(maxsize=8192)
def _midnight(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=EASTERN).timestamp()) * SECOND


def day_bounds(day: date) -> tuple[int, int]:
    """Return where an Eastern day starts and ends, ns UTC.

    >>> start, end = day_bounds(date(2024, 3, 10))
    >>> (end - start) // (3600 * SECOND)
    23
    """
    return _midnight(day), _midnight(day + timedelta(days=1))


def eastern_date(time: int) -> date:
    """Return the Eastern date of a time in ns UTC.

    >>> eastern_date(1_723_161_254_087_000_000)
    datetime.date(2024, 8, 8)
    """
    return datetime.fromtimestamp(time // SECOND, EASTERN).date()


def next_date(day: date, unit: str, count: int) -> date:
    """Return the first day of the window after the one that starts on a day.

    Parameters
    ----------
    day : date
        Start of a window.
    unit : str
        "day", "week", "month", "quarter" or "year".
    count : int
        Length of the window in units.
    """
    if unit in ("day", "week"):
        return day + timedelta(days=count * (7 if unit == "week" else 1))
    months = count * {"month": 1, "quarter": 3, "year": 12}[unit]
    index = day.year * 12 + day.month - 1 + months
    return date(index // 12, index % 12 + 1, 1)


@dataclass(frozen=True, slots=True)
class Hours:
    """Tell when a market trades, and how much.

    Attributes
    ----------
    session : "always" or "calendar"
        "always" keeps stocks in regular session round the clock, so that a demo moves
        whenever it is started; "calendar" follows New York's hours and holidays.

    Examples
    --------
    >>> monday = day_bounds(date(2024, 8, 12))[0]
    >>> hours = Hours("calendar")
    >>> [hours.phase(monday + int(h * 3600) * SECOND) for h in (3, 5, 9.5, 16, 20)]
    ['closed', 'pre', 'regular', 'after', 'closed']
    >>> Hours("always").phase(monday)
    'regular'
    """

    session: Literal["always", "calendar"] = "always"

    def phase(self, time: int) -> Phase:
        """Return the phase of the stock session at a time in ns UTC."""
        if self.session == "always":
            return "regular"
        day = eastern_date(time)
        close = close_hour(day)
        if close is None:
            return "closed"
        local = datetime.fromtimestamp(time // SECOND, EASTERN)
        hour = local.hour + local.minute / 60
        if hour < 4 or hour >= 20:
            return "closed"
        if hour < 9.5:
            return "pre"
        return "regular" if hour < close else "after"

    def activity(self, time: int, kind: str) -> float:
        """Return how busy a market is, 1 being the mean of its open hours.

        Parameters
        ----------
        time : int
            ns UTC.
        kind : str
            "stocks" or "crypto".
        """
        if kind != "stocks":
            # Crypto swings over the day, busiest when both Europe and America are awake.
            hour = (time % DAY) / (3600 * SECOND)
            return 1.0 + 0.4 * math.cos((hour - 15.0) / 24.0 * 2 * math.pi)
        if self.session == "always":
            return 1.0
        phase = self.phase(time)
        if phase == "closed":
            return 0.0
        if phase != "regular":
            return 0.04
        day = eastern_date(time)
        close = close_hour(day) or 16.0
        start = _wall(day, 9.5)
        share = (time - start) / ((close - 9.5) * 3600 * SECOND)
        # U-shape: its mean over the session is 1.
        return 0.55 + 5.4 * (share - 0.5) ** 2

    def upcoming(self, time: int, days: int = 365) -> list[dict[str, str]]:
        """Return closed and shortened sessions after a time, as the provider lists them."""
        first = eastern_date(time)
        found = []
        for offset in range(1, days + 1):
            day = first + timedelta(days=offset)
            close = close_hour(day)
            if day.weekday() >= 5 or close == 16.0:
                continue
            for exchange in ("NYSE", "NASDAQ"):
                entry = {"exchange": exchange, "name": _name(day), "date": str(day)}
                if close is None:
                    entry["status"] = "closed"
                else:
                    entry |= {"status": "early-close"}
                    entry |= {"open": _iso(_wall(day, 9.5)), "close": _iso(_wall(day, close))}
                found.append(entry)
        return found


def _wall(day: date, hour: float) -> int:
    local = datetime(day.year, day.month, day.day, int(hour), int(hour % 1 * 60), tzinfo=EASTERN)
    return int(local.timestamp()) * SECOND


def _iso(time: int) -> str:
    stamp = datetime.fromtimestamp(time // SECOND, UTC)
    return stamp.strftime("%Y-%m-%dT%H:%M:%S.000Z")


def _name(day: date) -> str:
    for holiday, name in holidays(day.year).items():
        if day == holiday or (name == "Thanksgiving" and day == holiday + timedelta(days=1)):
            return name
    return "Early close"
