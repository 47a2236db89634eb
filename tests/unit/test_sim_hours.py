"""Hours and holidays against the exchange's real sessions."""

from __future__ import annotations

import csv
from datetime import date, datetime, timedelta
from pathlib import Path

from workbench.sim.holidays import close_hour
from workbench.sim.hours import EASTERN, SECOND, Hours, day_bounds, eastern_date, next_date


def test_sessions_agree_with_the_exchange(shared_data: Path) -> None:
    sessions: dict[date, float] = {}
    with (shared_data / "calendar" / "xnys.csv").open() as file:
        for row in list(csv.reader(file))[1:]:
            close = datetime.fromisoformat(row[2]).astimezone(EASTERN)
            sessions[date.fromisoformat(row[0][:10])] = close.hour + close.minute / 60
    day, end = date(2013, 1, 1), max(sessions)
    wrong = []
    while day <= end:
        if close_hour(day) != sessions.get(day):
            wrong.append(day)
        day += timedelta(days=1)
    # A day of mourning follows no rule.
    assert wrong == [date(2018, 12, 5)]


def test_days_on_which_the_clocks_change() -> None:
    for day, hours in ((date(2024, 3, 10), 23), (date(2024, 11, 3), 25), (date(2024, 7, 1), 24)):
        start, end = day_bounds(day)
        assert (end - start) // (3600 * SECOND) == hours
        assert eastern_date(start) == eastern_date(end - 1) == day


def test_regular_session_starts_at_the_same_wall_time_all_year() -> None:
    hours = Hours("calendar")
    for day in (date(2024, 3, 8), date(2024, 3, 11), date(2024, 11, 1), date(2024, 11, 4)):
        opening = datetime(day.year, day.month, day.day, 9, 30, tzinfo=EASTERN)
        at = int(opening.timestamp()) * SECOND
        assert [hours.phase(at - 1), hours.phase(at)] == ["pre", "regular"]


def test_next_dates() -> None:
    assert next_date(date(2024, 12, 1), "month", 2) == date(2025, 2, 1)
    assert next_date(date(2024, 10, 1), "quarter", 1) == date(2025, 1, 1)
    assert next_date(date(2024, 2, 28), "day", 2) == date(2024, 3, 1)


def test_upcoming_lists_both_exchanges_and_no_weekends() -> None:
    start = int(datetime(2024, 11, 1, tzinfo=EASTERN).timestamp()) * SECOND
    found = Hours().upcoming(start, 60)
    assert [(e["date"], e["status"]) for e in found if e["exchange"] == "NYSE"] == [
        ("2024-11-28", "closed"),
        ("2024-11-29", "early-close"),
        ("2024-12-24", "early-close"),
        ("2024-12-25", "closed"),
    ]
    assert found[2]["close"] == "2024-11-29T18:00:00.000Z"
