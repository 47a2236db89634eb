"""Swings against other libraries' values, breaks against a plain reading of the rules."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from workbench.errors import ConfigError
from workbench.study import structure


def frame(closes: list[float], wick: float = 0.0) -> pd.DataFrame:
    close = np.array(closes)
    index = pd.date_range("2025-11-03", periods=len(close), freq="1min")
    columns = {"open": close, "high": close + wick, "low": close - wick, "close": close}
    return pd.DataFrame(columns, index=index)


def golden(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, index_col="time", parse_dates=True)


@pytest.mark.parametrize(
    ("name", "bars", "high", "low"),
    [
        ("pivots4_sk.csv", 4, "exp_highPoint", "exp_lowPoint"),
        ("fractal2_sk.csv", 2, "exp_bear", "exp_bull"),
    ],
)
@pytest.mark.parametrize("ties", ["strict", "first"])
def test_swings_are_those_of_another_library(
    shared_data: Path, name: str, bars: int, high: str, low: str, ties: str
) -> None:
    given = golden(shared_data / "indicators" / name)
    table = structure(left=bars, right=bars, ties=ties).over(given, timeframe="1d")
    for kind, column in (("swing high", high), ("swing low", low)):
        rows = table[table["kind"] == kind]
        expected = given[column].dropna()
        assert rows["price"].tolist() == expected.tolist()
        assert rows["formed"].tolist() == expected.index.tz_localize("UTC").tolist()


def test_swings_of_a_library_that_edits_its_past(shared_data: Path) -> None:
    """It keeps the more extreme of successive swings of a side, and adds one at either end."""
    folder = shared_data / "smc"
    given = pd.read_csv(folder / "EURUSD_15M.csv")
    given.columns = given.columns.str.lower()
    given.index = pd.to_datetime(given["date"], format="%Y.%m.%d %H:%M:%S")
    expected = pd.read_csv(folder / "swing_highs_lows_result_data.csv")["HighLow"].fillna(0.0)
    table = structure(left=4, right=5, ties="any").over(given, timeframe="15m")
    table = table[table["kind"] != "break"]
    place = given.index.get_indexer(table["formed"].dt.tz_localize(None))
    sides = np.where(table["kind"] == "swing high", 1.0, -1.0)
    kept: list[tuple[int, float, float]] = []
    # A bar is only one of the two there, and high goes first.
    raw = {
        at: (at, side, price)
        for at, side, price in zip(place, sides, table["price"], strict=True)
        if side < 0
    }
    raw |= {
        at: (at, side, price)
        for at, side, price in zip(place, sides, table["price"], strict=True)
        if side > 0
    }
    for at, side, price in sorted(raw.values()):
        if kept and kept[-1][1] == side:
            if side * price > side * kept[-1][2]:
                kept[-1] = (at, side, price)
        else:
            kept.append((at, side, price))
    wanted = {(at, side) for at, side in enumerate(expected) if side}
    ours = {(at, side) for at, side, _ in kept}
    assert wanted - ours == {(0, 1.0), (len(given) - 1, -1.0)}  # the ends it adds
    assert ours - wanted == {(4, 1.0)}  # lower than the one it adds at the start


def test_breaks_and_changes_of_character() -> None:
    closes = [1, 2, 3, 2, 1.5, 2.5, 4, 5, 4, 3, 3.5, 3.2, 1, 0.5]
    table = structure(left=1, right=1, atr=2).over(frame(closes))
    breaks = table[table["kind"] == "break"]
    assert breaks["label"].tolist() == ["BOS", "CHoCH"]
    assert breaks["side"].tolist() == breaks["trend"].tolist() == ["up", "down"]
    assert breaks["price"].tolist() == [3.0, 3.0]
    assert table.loc[breaks["broke"], "kind"].tolist() == ["swing high", "swing low"]
    assert table.loc[breaks["broke"], "mitigated"].tolist() == breaks["confirmed"].tolist()
    assert (table.loc[breaks["broke"], "reason"] == "broken").all()
    swings = table[table["kind"] != "break"]
    assert swings["label"].tolist() == ["", "", "HH", "HL", "LH"]


def test_a_swing_is_known_only_after_the_bars_to_its_right() -> None:
    row = structure(left=2, right=3).over(frame([1, 2, 5, 2, 1, 1])).iloc[0]
    assert row["formed"] == pd.Timestamp("2025-11-03 00:02", tz="UTC")
    assert row["confirmed"] == pd.Timestamp("2025-11-03 00:06", tz="UTC")
    assert structure(left=2, right=3).over(frame([1, 2, 5, 2, 1])).empty


@pytest.mark.parametrize(
    ("ties", "bars"), [("first", [2]), ("last", [3]), ("strict", []), ("any", [2, 3])]
)
def test_ties(ties: str, bars: list[int]) -> None:
    table = structure(left=2, right=2, ties=ties).over(frame([1, 2, 5, 5, 2, 1]))
    assert table["formed"].dt.minute.tolist() == bars


def test_live_holds_the_last_swings_and_the_last_break() -> None:
    rng = np.random.default_rng(1)
    run = structure().start()
    run.add(frame(list(np.cumsum(rng.normal(size=2000))), 0.5))
    live = run.live()
    assert len(live) <= 3
    assert live["kind"].is_unique


def test_an_unknown_tie_rule_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean 'first'"):
        structure(ties="firs")
    with pytest.raises(ConfigError, match="left must be a whole number from 1 to 500"):
        structure(left=0)
