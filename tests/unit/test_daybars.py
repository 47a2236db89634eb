"""A provider's day bars are told to the sessions of the exchange, on all days there were."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest

from workbench.bars.calendarbars import calendar_bars
from workbench.history.daybars import day_sessions
from workbench.history.fetch import fetch_bars
from workbench.history.request import Request, request
from workbench.sessions import NEW_YORK
from workbench.sources.massive_rest import MassiveRest
from workbench.store.frames import utc
from workbench.timeframes import timeframe


def midnights(days: pd.Index) -> pd.DatetimeIndex:
    """Return when civil days begin in New York, day by day as its own zone data has it."""
    zone = ZoneInfo(NEW_YORK)
    at = [datetime.fromisoformat(day).replace(tzinfo=zone).timestamp() for day in days]
    return utc(np.array(at, np.int64) * 10**9)


def test_every_session_of_the_recorded_calendar_is_found(shared_data: Path) -> None:
    table = pd.read_csv(shared_data / "calendar" / "xnys.csv", index_col=0)
    days = table.index.str[:10]
    found = day_sessions("SPY", midnights(days))
    for name in ("open", "close"):
        expected = pd.DatetimeIndex(pd.to_datetime(table[name], utc=True)).as_unit("ns")
        assert found[name].tolist() == expected.tolist()
    assert found["day"].dt.strftime("%Y-%m-%d").tolist() == days.tolist()
    assert found["whole"].all()
    assert ((found["start"] < found["open"]) & (found["close"] < found["end"])).all()
    local = found["close"].dt.tz_convert(NEW_YORK)
    halves = local.dt.strftime("%H:%M").isin(["13:00", "14:00"])
    assert 60 < halves.sum() < 100
    assert found["early"].tolist() == (local.dt.hour < 16).tolist()
    # Between them the exchange was closed all day.
    every = pd.date_range(days[0], days[-1], freq="D").strftime("%Y-%m-%d")
    others = day_sessions("SPY", midnights(every.difference(days)))
    assert others["open"].isna().all()
    assert not others["early"].any()
    assert not others["whole"].any()
    assert len(others) + len(found) == len(every)


def test_a_day_has_23_or_25_hours_when_the_clocks_change() -> None:
    days = pd.date_range("2007-01-01", "2025-12-31", freq="D").strftime("%Y-%m-%d")
    found = day_sessions("SPY", midnights(days))
    hours = (found["end"] - found["start"]).dt.total_seconds() // 3600
    assert hours.value_counts().to_dict() == {24: len(days) - 38, 23: 19, 25: 19}
    assert (found["end"].iloc[:-1].to_numpy() == found["start"].iloc[1:].to_numpy()).all()
    assert found["open"][hours != 24].isna().all()  # the clocks change on Sundays


def test_the_session_is_the_one_that_our_own_day_bar_is_of() -> None:
    index = pd.date_range("2025-11-25 09:00", "2025-12-02 01:00", freq="30min", tz="UTC")
    frame = pd.DataFrame({"price": 5.0, "size": 1.0}, index=index)
    own = calendar_bars(frame, "session:day", symbol="SPY")
    days = ["2025-11-25", "2025-11-26", "2025-11-27", "2025-11-28", "2025-12-01"]
    found = day_sessions("SPY", midnights(pd.Index(days)))
    assert utc(own["time"]).tolist() == found["open"].dropna().tolist()
    assert found["day"][found["open"].isna()].dt.day.tolist() == [27]
    assert found["early"].tolist() == [False, False, False, True, False]


def test_days_of_what_never_closes_lie_across_two_of_ours() -> None:
    found = day_sessions("BTC-USD", midnights(pd.Index(["2025-07-04", "2025-12-25"])))
    assert found["start"].dt.hour.tolist() == [4, 5]
    assert found["open"].dt.strftime("%Y-%m-%d %H").tolist() == ["2025-07-04 00", "2025-12-25 00"]
    assert not found["whole"].any()
    assert not found["early"].any()


def test_day_bars_as_they_are_fetched_are_told() -> None:
    bars = fetch_bars("SPY", "1d", start="2025-10-20", end="2025-11-15", source="sim")
    found = day_sessions("SPY", bars.index)  # type: ignore[arg-type]
    # The simulated market trades on every day of the week.
    assert found["open"].notna().tolist() == (found["day"].dt.day_of_week < 5).tolist()
    assert found["day"].dt.strftime("%m-%d").iloc[0] == "10-20"
    assert found["day"].is_unique
    # The clocks went back on November 2.
    assert set(found["start"].dt.hour) == {4, 5}


def test_a_page_of_the_provider_keeps_its_midnights() -> None:
    wish = request("SPY", "1d", start="2025-10-31", end="2025-11-05")
    assert isinstance(wish, Request)
    assert wish.timeframe == timeframe("1d")
    stamps = midnights(pd.Index(["2025-10-31", "2025-11-03", "2025-11-04"])).asi8 // 10**6
    rows = ",".join(f'{{"t":{t},"o":1,"h":2,"l":1,"c":2,"v":5}}' for t in stamps)
    body = f'{{"status":"OK","resultsCount":3,"results":[{rows}]}}'.encode()
    page = MassiveRest().read(wish, body)
    found = day_sessions("SPY", page.batch.rows["time"])
    assert found["day"].dt.day.tolist() == [31, 3, 4]
    assert found["open"].dt.hour.tolist() == [13, 14, 14]


def test_other_times_are_refused() -> None:
    with pytest.raises(ValueError, match="midnight in New York, not at 2025-11-03 19:00"):
        day_sessions("SPY", np.array([1_762_214_400 * 10**9]))
    assert len(day_sessions("SPY", np.zeros(0, np.int64))) == 0
