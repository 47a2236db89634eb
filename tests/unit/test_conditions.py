"""What trades may set, by their conditions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from workbench.bars.conditions import (
    ALL,
    EVERYTHING,
    HIGHLOW,
    LAST,
    NO_HIGHLOW,
    NO_LAST,
    NO_VOLUME,
    RESTRICTED,
    US_EQUITIES,
    VOLUME,
    TapeRules,
    eligibility,
    marked,
    rules_for,
)
from workbench.records import TRADE
from workbench.sim.readers import read_trades
from workbench.sources.massive_wire import pack
from workbench.store.frames import dataframe

Rows = npt.NDArray[Any]


def ns(text: str) -> int:
    return int(pd.Timestamp(text, tz="America/New_York").as_unit("ns").value)


def trades(*codes: tuple[int, ...], when: str = "2025-11-03 12:00") -> Rows:
    rows = np.zeros(len(codes), TRADE)
    rows["time"], rows["price"], rows["size"] = ns(when), 10.0, 100.0
    rows["conditions"] = [pack(some) for some in codes]
    return rows


def test_the_table_agrees_with_the_provider_s_answer(shared_data: Path) -> None:
    folder = shared_data / "massive_api" / "mocks" / "v3" / "reference"
    answer = json.loads((folder / "conditions&asset_class=stocks.json").read_text())
    for condition in answer["results"]:
        rule = condition["update_rules"]["consolidated"]
        expected = (
            LAST * rule["updates_open_close"]
            + HIGHLOW * rule["updates_high_low"]
            + VOLUME * rule["updates_volume"]
        )
        assert US_EQUITIES.allowed(condition["id"]) == expected, condition["name"]
    assert len(answer["results"]) >= 10


@pytest.mark.parametrize(
    ("codes", "expected"),
    [
        ((), ALL),
        ((14,), ALL),
        ((37,), VOLUME),
        ((14, 37), VOLUME),
        ((14, 41, 3, 37), VOLUME),  # the fourth byte too
        ((10,), HIGHLOW | VOLUME),
        ((10, 37), VOLUME),
        ((38,), LAST | HIGHLOW),
        ((38, 37), 0),
        ((15,), 0),
        ((16, 1), 0),
        ((12,), VOLUME),
        ((200,), ALL),
    ],
)
def test_the_strictest_code_decides(codes: tuple[int, ...], expected: int) -> None:
    assert eligibility(trades(codes, ()), US_EQUITIES).tolist() == [expected, ALL]
    assert eligibility(trades(codes), EVERYTHING).tolist() == [ALL]


def test_extended_hours_have_prices_of_their_own() -> None:
    """A trade marked as one of extended hours sets prices in those, and none when late."""
    for when in ("2025-11-03 08:00", "2025-11-03 17:00", "2025-11-28 14:00"):
        some = trades((12,), (12, 37), (13,), when=when)
        assert eligibility(some, US_EQUITIES).tolist() == [ALL, VOLUME, VOLUME]
    some = trades((12,), (12, 37), when="2025-11-03 09:30")
    assert eligibility(some, US_EQUITIES).tolist() == [VOLUME, VOLUME]


def test_flags_tell_it_the_other_way_round() -> None:
    some = trades((), (37,), (10,), (38,), (15,))
    some["flags"] = 1  # another flag is left alone
    made = marked(some, US_EQUITIES)
    assert made["flags"].tolist() == [
        *(1, 1 | NO_LAST | NO_HIGHLOW, 1 | NO_LAST, 1 | NO_VOLUME, 1 | RESTRICTED)
    ]
    assert some["flags"].tolist() == [1] * 5
    assert marked(made, EVERYTHING)["flags"].tolist() == [1] * 5
    plain = trades((), (14,))
    assert marked(plain, US_EQUITIES) is plain


def test_open_and_close_without_high_and_low_would_contradict() -> None:
    odd = TapeRules("odd", {9: LAST | VOLUME})
    assert marked(trades((9,)), odd)["flags"].tolist() == [NO_LAST | NO_HIGHLOW]


def test_tables_do_as_well_as_rows() -> None:
    some = trades((), (37,), (12,))
    assert eligibility(dataframe("trade", some), US_EQUITIES).tolist() == [ALL, VOLUME, VOLUME]
    with pytest.raises(TypeError, match="indexed by time"):
        eligibility(pd.DataFrame({"conditions": [1]}), US_EQUITIES)
    assert len(eligibility(some[:0], US_EQUITIES)) == 0


def test_markets_have_their_rules() -> None:
    assert rules_for("SPY") is US_EQUITIES
    for symbol in ("BTC-USD", "EUR/USD", "I:SPX"):
        assert rules_for(symbol) is EVERYTHING


@pytest.mark.parametrize("codes", [{0: 7}, {256: 7}, {1: 8}])
def test_rules_that_are_none_are_refused(codes: dict[int, int]) -> None:
    with pytest.raises(ValueError, match="a code from 1 to 255"):
        TapeRules("wrong", codes)


def test_real_trades_of_a_day(shared_data: Path) -> None:
    """Some may not set all; those without a condition may."""
    found = sorted((shared_data / "equity" / "tick" / "spy").glob("*trade.zip"))
    if not found:
        pytest.fail("no trades of SPY in the data")
    rows = read_trades(found[0])[0].trades
    allowed = eligibility(rows, US_EQUITIES)
    assert (allowed != ALL).any()
    assert (allowed[rows["conditions"] == 0] == ALL).all()
