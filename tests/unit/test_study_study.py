"""What all studies share: the catalogue, what they take, and what they refuse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from workbench.errors import ConfigError
from workbench.records import BAR, FORMING
from workbench.store.frames import dataframe
from workbench.study import CATALOGUE, fair_value_gaps, structure, studies, study, trend

every = pytest.mark.parametrize("name", sorted(CATALOGUE))


def rows(n: int) -> np.ndarray[Any, Any]:
    bars = np.zeros(n, BAR)
    bars["time"] = 1_762_128_000 * 10**9 + np.arange(n) * 60 * 10**9
    bars["close"] = 100 + np.sin(np.arange(n) / 3) * np.arange(n)
    bars["open"] = bars["close"] - np.cos(np.arange(n) / 3)
    bars["high"] = np.maximum(bars["open"], bars["close"]) + 0.1
    bars["low"] = np.minimum(bars["open"], bars["close"]) - 0.1
    bars["volume"] = 5.0
    bars["timeframe"] = 60
    return bars


@every
def test_records_and_frames_give_the_same_table(name: str) -> None:
    bars = rows(2000)
    table = study(name).over(bars)
    assert len(table)
    pd.testing.assert_frame_equal(study(name).over(dataframe("bar", bars)), table)
    local = dataframe("bar", bars).tz_convert("America/New_York").reset_index()
    pd.testing.assert_frame_equal(study(name).over(local), table)


@every
@pytest.mark.parametrize("n", [0, 1, 2])
def test_too_few_bars_give_an_empty_table_with_all_columns(name: str, n: int) -> None:
    chosen = study(name)
    table = chosen.over(rows(n))
    full = chosen.over(rows(300))
    assert table.empty
    assert list(table.columns) == list(chosen.columns)
    assert table.dtypes.tolist() == full.dtypes.tolist()
    assert chosen.over(dataframe("bar", rows(0))).empty
    assert chosen.start().live().empty


@every
def test_every_study_tells_what_it_is(name: str) -> None:
    row = studies().loc[name]
    spec = CATALOGUE[name]
    assert row["title"] == study(name).title == spec.title
    assert all(word in row["parameters"] for word in spec.parameters)
    assert row["text"].endswith(".")
    assert any(character.isdigit() for character in row["source"])
    assert repr(study(name)).startswith(f"{name}(")
    assert {"formed", "confirmed", "first", "last"} <= set(study(name).columns)
    assert ("mitigated" in study(name).columns) == spec.ends


@every
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e16])
@pytest.mark.parametrize("column", ["open", "high", "low", "close"])
def test_a_row_that_is_not_finite_is_named_and_nothing_is_taken(
    name: str, column: str, value: float
) -> None:
    bars = rows(60)
    bars[column][41] = value
    run = study(name).start()
    with pytest.raises(ValueError, match=r"row 41 \(2025-11-03 00:41:00\+00:00\) is no bar"):
        run.add(bars)
    run.add(rows(60))
    assert run.events().tobytes() == _events(name).tobytes()


def _events(name: str) -> np.ndarray[Any, Any]:
    run = study(name).start()
    run.add(rows(60))
    return run.events()


def test_bad_bars() -> None:
    bars = rows(5)
    upside_down = bars.copy()
    upside_down["high"][2] = 0.0
    with pytest.raises(ValueError, match="row 2"):
        structure().over(upside_down)
    with pytest.raises(ValueError, match=r"row 1 .* is not later"):
        structure().over(bars[::-1])
    with pytest.raises(ValueError, match=r"row 3 .* is not later"):
        structure().over(bars[[0, 1, 2, 2]])
    negative = bars.copy()
    negative["volume"][4] = -1.0
    with pytest.raises(ValueError, match="row 4"):
        study("profile").over(negative)
    structure().over(negative)  # which reads no volume
    run = structure().start()
    run.add(bars)
    with pytest.raises(ValueError, match=r"row 0 .* is not later"):
        run.add(bars[4:])
    forming = bars.copy()
    forming["state"][4] = FORMING
    with pytest.raises(ValueError, match="row 4 is a forming bar"):
        structure().over(forming)
    for column in ("symbol", "timeframe"):
        mixed = bars.copy()
        mixed[column][3] = 7
        with pytest.raises(ValueError, match=f"several {column}s"):
            structure().over(mixed)


def test_what_is_missing_is_named() -> None:
    frame = dataframe("bar", rows(5))
    with pytest.raises(ConfigError, match="structure needs a column 'high'"):
        structure().over(frame.drop(columns="high"))
    with pytest.raises(ConfigError, match="indexed by time"):
        structure().over(frame.reset_index(drop=True))
    with pytest.raises(ConfigError, match="not a list of 3"):
        structure().over([1, 2, 3])  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="a single bar must be told: timeframe="):
        structure().over(frame[:1])
    unknown = rows(5)
    unknown["timeframe"] = 0
    with pytest.raises(ConfigError, match="give timeframe="):
        structure().over(unknown)


def test_the_length_of_a_bar_decides_when_it_is_known() -> None:
    frame = dataframe("bar", rows(20))[::2]
    assert _delay(trend(length=3).over(frame)) == pd.Timedelta("2min")
    assert _delay(trend(length=3).over(frame, timeframe="1m")) == pd.Timedelta("1min")
    run = trend(length=3).start(timeframe="5m")
    run.add(frame[:1])
    run.add(frame[1:])
    assert _delay(run.table()) == pd.Timedelta("5min")


def _delay(table: pd.DataFrame) -> pd.Timedelta:
    delays = table["confirmed"] - table["formed"]
    assert delays.nunique() == 1
    return delays.iloc[0]


def test_unknown_names_suggest_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean order_blocks"):
        study("order_block")
    with pytest.raises(ConfigError, match="did you mean 'length'"):
        study("trend", lenght=20)
    with pytest.raises(ConfigError, match="trend: length must be a whole number from 3 to 5000"):
        trend(length=2)


def test_a_checkpoint_belongs_to_its_study() -> None:
    kept = trend(length=5).start().checkpoint()
    with pytest.raises(ConfigError, match=r"trend\(length=5, alpha=0.05\) cannot go on as"):
        trend(length=6).start().restore(kept)


def test_studies_compare_by_what_they_are() -> None:
    assert fair_value_gaps() == fair_value_gaps(min_size=0.0)
    assert len({fair_value_gaps(), fair_value_gaps(), fair_value_gaps(max_open=3)}) == 2


def test_events_cannot_be_written() -> None:
    run = trend(length=3).start()
    for events in (run.add(rows(9)), run.events()):
        with pytest.raises(ValueError, match="read-only"):
            events["slope"] = 0.0
