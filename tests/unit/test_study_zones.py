"""Fair value gaps and order blocks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from workbench.errors import ConfigError
from workbench.study import fair_value_gaps, order_blocks

Bar = tuple[float, float, float, float]


def frame(bars: list[Bar]) -> pd.DataFrame:
    index = pd.date_range("2025-11-03", periods=len(bars), freq="1min")
    made = pd.DataFrame(bars, columns=["open", "high", "low", "close"], index=index, dtype=float)
    return made.assign(volume=np.arange(len(bars), dtype=float))


def at(minute: int) -> pd.Timestamp:
    return pd.Timestamp("2025-11-03", tz="UTC") + pd.Timedelta(minutes=minute)


def test_gaps_are_those_of_another_library(shared_data: Path) -> None:
    folder = shared_data / "smc"
    given = pd.read_csv(folder / "EURUSD_15M.csv")
    given.columns = given.columns.str.lower()
    given.index = pd.to_datetime(given["date"], format="%Y.%m.%d %H:%M:%S", utc=True)
    expected = pd.read_csv(folder / "fvg_result_data.csv")
    found = expected["FVG"].notna()
    study = fair_value_gaps(mitigation="touch", middle="directional", max_open=5000)
    table = study.over(given, timeframe="15m")
    assert len(table) == found.sum()
    assert table["formed"].tolist() == given.index[found].tolist()
    assert (table["kind"] == "up").tolist() == (expected["FVG"][found] == 1).tolist()
    assert table["high"].tolist() == expected["Top"][found].tolist()
    assert table["low"].tolist() == expected["Bottom"][found].tolist()
    place = expected["MitigatedIndex"][found].to_numpy(int)
    ends = (given.index + pd.Timedelta("15min"))[place]
    wanted = [end if p else pd.NaT for end, p in zip(ends, place, strict=True)]
    assert table["mitigated"].tolist() == wanted


GAP: list[Bar] = [(1, 2, 1, 2), (2, 4, 2, 4), (4, 5, 3, 5)]


@pytest.mark.parametrize(
    ("mitigation", "end"), [("touch", at(4)), ("fill", at(5)), ("close", at(6))]
)
def test_what_ends_a_gap(mitigation: str, end: pd.Timestamp) -> None:
    bars: list[Bar] = [*GAP, (5, 5, 2.5, 4), (4, 4, 2, 3), (3, 3, 1, 1.5)]
    row = fair_value_gaps(mitigation=mitigation).over(frame(bars)).iloc[0]
    assert (row["low"], row["high"], row["size"]) == (2.0, 3.0, 1.0)
    assert row["strength"] == 0.25
    assert (row["formed"], row["confirmed"]) == (at(1), at(3))
    assert (row["touched"], row["mitigated"], row["reason"]) == (at(4), end, "mitigated")


def test_a_gap_fills_bit_by_bit() -> None:
    run = fair_value_gaps().start()
    bars = frame([*GAP, (5, 5, 2.75, 4), (4, 4, 3, 4), (4, 4, 2.5, 3)])
    run.add(bars)
    assert run.table()["filled"].tolist() == [0.5]
    assert [run.table(at(m))["filled"].tolist() for m in (2, 3, 4, 5)] == [
        [],
        [0.0],
        [0.25],
        [0.25],
    ]


def test_gaps_down_and_least_size() -> None:
    bars: list[Bar] = [(9, 9, 8, 8), (8, 8, 5, 5), (5, 6, 4, 4)]
    row = fair_value_gaps(min_size=2).over(frame(bars)).iloc[0]
    assert (row["kind"], row["low"], row["high"]) == ("down", 6.0, 8.0)
    assert fair_value_gaps(min_size=2.01).over(frame(bars)).empty


def test_the_oldest_gap_expires() -> None:
    stairs: list[Bar] = [(10.0 * i, 10 * i + 2, 10 * i, 10 * i + 2) for i in range(6)]
    table = fair_value_gaps(max_open=2).over(frame(stairs))
    assert table["reason"].tolist() == ["expired", "expired", "", ""]
    assert table["mitigated"].tolist()[:2] == table["confirmed"].tolist()[2:]


#: A swing high of 11 at bar 2, a pullback that closes down at bar 4, a strong bar through 11.
BLOCK: list[Bar] = [
    (9, 10, 8.5, 9.5), (9.5, 10.5, 9, 10), (10, 11, 9.5, 10.5), (10, 10.5, 9, 10.2),
    (10, 10.2, 9, 9.2), (9.2, 12.5, 9.1, 12),
]  # fmt: skip


def test_an_order_block_is_the_last_opposite_bar() -> None:
    study = order_blocks(swing=1, atr=2, displacement=1.0)
    row = study.over(frame(BLOCK)).iloc[0]
    assert (row["kind"], row["low"], row["high"], row["broke"]) == ("bullish", 9.0, 10.2, 11.0)
    assert (row["formed"], row["confirmed"], row["volume"]) == (at(4), at(6), 4.0)
    # Ranges 1.5 1.5 1.5 1.5 1.2: Wilder's mean of two at the block is 1.35.
    assert row["strength"] == pytest.approx((12 - 9.2) / 1.35)
    assert order_blocks(swing=1, atr=2, displacement=2.1).over(frame(BLOCK)).empty
    body = order_blocks(swing=1, atr=2, displacement=1.0, zone="body").over(frame(BLOCK)).iloc[0]
    assert (body["low"], body["high"]) == (9.2, 10.0)


@pytest.mark.parametrize(
    ("mitigation", "end"), [("touch", at(7)), ("wick", at(8)), ("close", at(9))]
)
def test_what_ends_a_block(mitigation: str, end: pd.Timestamp) -> None:
    after: list[Bar] = [(12, 12, 10, 11), (11, 11, 8.9, 9.5), (9.5, 9.5, 8, 8.5)]
    study = order_blocks(swing=1, atr=2, displacement=1.0, mitigation=mitigation)
    row = study.over(frame([*BLOCK, *after])).iloc[0]
    assert (row["touched"], row["mitigated"]) == (at(7), end)


def test_a_mirrored_market_has_mirrored_blocks() -> None:
    rng = np.random.default_rng(5)
    close = np.cumsum(rng.normal(0, 1, 600)).round(2)
    open_ = np.concatenate([[0.0], close[:-1]])
    wick = np.abs(rng.normal(0, 0.5, (2, 600))).round(2)
    high, low = np.maximum(open_, close) + wick[0], np.minimum(open_, close) - wick[1]
    there = frame(list(zip(open_, high, low, close, strict=True)))
    back = frame(list(zip(-open_, -low, -high, -close, strict=True)))
    study = order_blocks(swing=2, displacement=1.0)
    a, b = study.over(there), study.over(back)
    # A swing is the first of equals on both sides, so the two agree row by row.
    assert len(a) > 10
    assert (a["kind"] == "bullish").tolist() == (b["kind"] == "bearish").tolist()
    assert a["low"].tolist() == (-b["high"]).tolist()
    assert a["mitigated"].tolist() == b["mitigated"].tolist()
    np.testing.assert_allclose(a["strength"], b["strength"], rtol=1e-12)


def test_bad_parameters() -> None:
    with pytest.raises(ConfigError, match="did you mean 'max_open'"):
        fair_value_gaps().__class__(fair_value_gaps().spec, {"maxopen": 3})
    with pytest.raises(ConfigError, match="mitigation must be one of wick, close, touch"):
        order_blocks(mitigation="fill")
