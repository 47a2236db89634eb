"""New York's exchange holidays and shortened days, by rule rather than by table."""

from __future__ import annotations

from datetime import date, timedelta
from functools import lru_cache

__all__ = ["close_hour", "holidays"]

_FRIDAY, _SATURDAY, _SUNDAY = 4, 5, 6


@lru_cache(maxsize=256)
def holidays(year: int) -> dict[date, str]:
    """Return the weekdays of a year on which the exchange stays closed, with their names.

    The rules are those of 2022 and later, with Juneteenth left out before.

    >>> [str(day) for day in holidays(2024)][:3]
    ['2024-01-01', '2024-01-15', '2024-02-19']
    """
    days = {
        _weekday(year, 1, 0, 3): "Martin Luther King Jr. Day",
        _weekday(year, 2, 0, 3): "Washington's Birthday",
        _easter(year) - timedelta(days=2): "Good Friday",
        _weekday(year, 6, 0, 1) - timedelta(days=7): "Memorial Day",
        _weekday(year, 9, 0, 1): "Labor Day",
        _weekday(year, 11, 3, 4): "Thanksgiving",
        _observed(date(year, 7, 4)): "Independence Day",
        _observed(date(year, 12, 25)): "Christmas",
    }
    # A New Year's Day on a Saturday is not moved to Friday, which closes the books.
    if date(year, 1, 1).weekday() != _SATURDAY:
        days[_observed(date(year, 1, 1))] = "New Years Day"
    if year >= 2022:
        days[_observed(date(year, 6, 19))] = "Juneteenth"
    return dict(sorted(days.items()))


@lru_cache(maxsize=8192)
def close_hour(day: date) -> float | None:
    """Return the Eastern hour at which the regular session ends, None if there is none.

    >>> [close_hour(date(2024, 11, day)) for day in (27, 28, 29, 30)]
    [16.0, None, 13.0, None]
    """
    if day.weekday() >= _SATURDAY or day in holidays(day.year):
        return None
    after_thanksgiving = _weekday(day.year, 11, 3, 4) + timedelta(days=1)
    short = day == after_thanksgiving or (day.month, day.day) == (12, 24)
    # July 3 is short unless the 4th falls on a weekend.
    short |= (day.month, day.day) == (7, 3) and day.weekday() < _FRIDAY
    return 13.0 if short else 16.0


def _weekday(year: int, month: int, weekday: int, nth: int) -> date:
    first = date(year, month, 1)
    return first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (nth - 1))


def _observed(day: date) -> date:
    shift = {_SATURDAY: -1, _SUNDAY: 1}.get(day.weekday(), 0)
    return day + timedelta(days=shift)


def _easter(year: int) -> date:
    """Return Easter Sunday by the Gregorian computus."""
    golden = year % 19
    century, rest = divmod(year, 100)
    leap, cycle = divmod(century, 4)
    moon = (19 * golden + century - leap - (century - (century + 8) // 25 + 1) // 3 + 15) % 30
    sunday = (32 + 2 * cycle + 2 * (rest // 4) - moon - rest % 4) % 7
    late = (golden + 11 * moon + 22 * sunday) // 451
    month, day = divmod(moon + sunday - 7 * late + 114, 31)
    return date(year, month, day + 1)
