"""Trading days."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from workbench.sessions import NEW_YORK, day_numbers, timezone


@pytest.mark.parametrize(
    ("symbol", "zone"),
    [
        ("AAPL", NEW_YORK), ("I:SPX", NEW_YORK), ("O:SPY241220P00720000", NEW_YORK),
        ("BTC-USD", "UTC"), ("EUR/USD", "UTC"),
    ],
)  # fmt: skip
def test_zones(symbol: str, zone: str) -> None:
    assert timezone(symbol) == zone


@pytest.mark.parametrize("zone", ["UTC", NEW_YORK, "Asia/Tokyo", "Australia/Lord_Howe"])
@pytest.mark.parametrize("around", ["2008-03-09", "2024-11-03", "2000-01-01", "2038-01-19"])
def test_days_are_those_of_the_zones_calendar(zone: str, around: str) -> None:
    index = pd.date_range(
        pd.Timestamp(around, tz="UTC") - pd.Timedelta(days=2), periods=96 * 4, freq="15min"
    ).as_unit("ns")
    numbers = day_numbers(index.asi8, zone)
    dates = index.tz_convert(zone).tz_localize(None).normalize()
    expected = (dates - pd.Timestamp(0)).days + 1
    assert numbers.tolist() == list(expected)


def test_a_midnight_begins_its_day() -> None:
    midnight = pd.Timestamp("2008-03-10", tz=NEW_YORK).value
    before, at = day_numbers(np.array([midnight - 1, midnight]), NEW_YORK)
    assert at == before + 1
