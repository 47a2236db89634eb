"""Bars that follow the price: worked examples, goldens, wrong input."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from workbench.bars.kinds import bar_kind
from workbench.bars.pricebars import PriceBars, price_bars
from workbench.errors import UnknownTimeframeError
from workbench.records import BAR, CLOSED, FORMING

Rows = npt.NDArray[Any]
SECOND = 10**9
KINDS = ("heikin-ashi@1m", "line-break:3@1m", "kagi:2@1m", "point-figure:0.5x3@1m")


def bars(*closes: float) -> Rows:
    """Minute bars of size 1 that open where the one before closed."""
    rows = np.zeros(len(closes), BAR)
    rows["time"] = np.arange(len(closes)) * 60 * SECOND
    rows["timeframe"], rows["state"] = 60, CLOSED
    rows["close"] = closes
    rows["open"] = [*closes[:1], *closes[:-1]]
    rows["high"] = np.maximum(rows["open"], rows["close"])
    rows["low"] = np.minimum(rows["open"], rows["close"])
    rows["volume"] = rows["count"] = 1
    rows["notional"] = rows["vwap"] = rows["close"]
    return rows


def walk(n: int = 2000) -> Rows:
    return bars(*(100 + np.cumsum(np.random.default_rng(2).normal(0, 0.7, n))).round(2).tolist())


def ends(rows: Rows) -> list[tuple[float, float, int]]:
    told: list[tuple[float, float, int]] = rows[["open", "close", "count"]].tolist()
    return told


def test_heikin_ashi_is_that_of_the_golden_file(shared_data: Path) -> None:
    table = pd.read_csv(shared_data / "indicators" / "heikinashi_lean.csv")
    rows = np.zeros(len(table), BAR)
    rows["time"] = pd.DatetimeIndex(table["time"]).as_unit("ns").asi8
    for name in ("open", "high", "low", "close", "volume"):
        rows[name] = table[name]
    rows["notional"] = rows["volume"] * rows["close"]
    built = price_bars(rows, "heikin-ashi@1d")
    assert len(built) == len(rows)
    for field, column in (("open", "o"), ("high", "h"), ("low", "l"), ("close", "c")):
        expected = table[f"exp_{column}"].to_numpy()
        there = ~np.isnan(expected)
        assert there.sum() >= 500
        np.testing.assert_allclose(built[field][there], expected[there], rtol=1e-9)
    assert built["volume"].tolist() == rows["volume"].tolist()


def test_lines_break_by_three() -> None:
    built = PriceBars("line-break:3@1m")
    rows = built.add(bars(10, 10, 11, 12, 12, 11.5, 13, 10.5, 10, 9.9, 12, 9, 13, 13.5))
    assert ends(rows) == [
        (10.0, 11.0, 3),  # the first line gathers the bars before it
        (11.0, 12.0, 1),
        (12.0, 13.0, 3),
        (12.0, 9.9, 3),  # below the low of three lines, from where the last line began
        (9.9, 9.0, 2),
        (9.9, 13.5, 2),  # above the high of three lines
    ]
    assert len(built.forming()) == 0


def test_one_line_to_break() -> None:
    assert ends(price_bars(bars(10, 11, 12, 10.9, 12, 12.1), "line-break:1@1m")) == [
        (10.0, 11.0, 2),
        (11.0, 12.0, 1),
        (11.0, 10.9, 1),
        (11.0, 12.0, 1),
        (12.0, 12.1, 1),
    ]


def test_kagi_turns_by_an_amount() -> None:
    built = PriceBars("kagi:2@1m")
    rows = built.add(bars(10, 11, 9.5, 12, 13, 11.5, 11, 9, 10.5, 11, 12))
    assert ends(rows) == [(10.0, 13.0, 6), (13.0, 9.0, 3)]
    assert rows["time"].tolist() == [0, 6 * 60 * SECOND]
    assert ends(built.forming()) == [(9.0, 12.0, 2)]
    assert ends(built.forming(bars(*[0] * 11, 13, 11)[11:])) == [(9.0, 13.0, 3), (13.0, 11.0, 1)]
    assert ends(built.forming()) == [(9.0, 12.0, 2)]


def test_columns_of_boxes() -> None:
    built = PriceBars("point-figure:1x3@1m")
    rows = built.add(bars(10.3, 10.9, 11.0, 13.7, 12, 11, 10.2, 10.0, 8.4, 11.9, 12.0))
    assert ends(rows) == [(11.0, 13.0, 7), (12.0, 9.0, 3)]
    assert rows["high"].tolist() == [13.0, 12.0]
    assert ends(built.forming()) == [(10.0, 12.0, 1)]


def test_a_whole_number_of_boxes_is_one() -> None:
    """0.3 / 0.1 is less than 3, and 3 * 0.1 more than 0.3."""
    closes = [0.1, 0.2, 0.3, 0.7, 0.6, 0.5, 0.4]
    built = PriceBars("point-figure:0.1x3@1m")
    assert ends(built.add(bars(*closes))) == [(0.2, 0.7, 6)]
    assert ends(built.forming()) == [(0.6, 0.4, 1)]


@pytest.mark.parametrize("kind", KINDS)
def test_no_bars_one_bar_and_a_price_that_stands(kind: str) -> None:
    built = PriceBars(kind)
    assert len(built.add(np.zeros(0, BAR))) == 0
    assert len(built.forming()) == 0
    first = built.add(bars(5)[:1])
    assert len(first) + len(built.forming()) == 1
    still = PriceBars(kind)
    rows = np.concatenate([still.add(bars(*[5] * 50)), still.forming()])
    assert rows["count"].sum() == 50
    assert set(rows["close"].tolist()) == {5.0}


@pytest.mark.parametrize("kind", KINDS)
def test_revised_and_late_bars_are_told(kind: str) -> None:
    built, plain = PriceBars(kind), PriceBars(kind)
    rows = walk(30)
    again = rows[3:5].copy()
    again["revision"] = 1
    parts = np.concatenate([rows[:20], again, rows[20:]])
    assert built.add(parts).tobytes() == plain.add(rows).tobytes()
    assert len(built.overdue) == 2
    built.add(rows[7:8])
    assert len(built.overdue) == 3
    # Stored bars have the newest revisions.
    parts["high"][20:22] += 1
    assert len(price_bars(parts, kind)) > 0


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_wrong_is_told(kind: str) -> None:
    bad = bars(1, 2, 3)
    bad["close"][1] = np.nan
    with pytest.raises(ValueError, match=r"row 1 .* is no bar"):
        price_bars(bad, kind)
    other = bars(1, 2)
    other["timeframe"] = 300
    with pytest.raises(ValueError, match="made from 1m bars, not from those of 300 s"):
        price_bars(other, kind)
    two = bars(1, 2)
    two["symbol"][1] = 1
    with pytest.raises(ValueError, match="one symbol"):
        price_bars(two, kind)
    with pytest.raises(ValueError, match="comes twice"):
        price_bars(np.concatenate([bars(1, 2), bars(1, 2)]), kind)
    built = PriceBars(kind)
    built.add(bars(1))
    with pytest.raises(ValueError, match="one symbol"):
        built.add(two[1:])
    assert repr(built) == f"PriceBars({bar_kind(kind).name!r})"


def test_kinds_that_are_made_otherwise_are_refused() -> None:
    for kind in ("renko:10", "session:day", "5m"):
        with pytest.raises(UnknownTimeframeError, match="line-break:3@1m"):
            PriceBars(kind)
    with pytest.raises(ValueError, match="too small for these prices"):
        price_bars(bars(1e6), "point-figure:0.000000000001x3@1m")


def test_a_table_does_as_well() -> None:
    rows = walk(100)
    frame = pd.DataFrame(
        {name: rows[name] for name in ("open", "high", "low", "close", "volume", "vwap", "count")},
        index=pd.DatetimeIndex(rows["time"], tz="UTC"),
    )
    for kind in KINDS:
        built = price_bars(frame, kind)
        assert built[["open", "close", "count"]].tolist() == ends(price_bars(rows, kind))


@pytest.mark.parametrize("kind", KINDS)
def test_real_bars_keep_their_volume(kind: str, shared_data: Path) -> None:
    table = pd.read_csv(shared_data / "indicators" / "heikinashi_lean.csv")
    rows = np.zeros(len(table), BAR)
    rows["time"], rows["timeframe"] = np.arange(len(table)) * 60 * SECOND, 60
    for name in ("open", "high", "low", "close", "volume"):
        rows[name] = table[name]
    rows["notional"], rows["count"] = rows["volume"] * rows["close"], 1
    built = PriceBars(kind)
    made = np.concatenate([built.add(rows), built.forming()])
    assert made["volume"].sum() == rows["volume"].sum()  # whole numbers: sums are exact
    assert made["count"].sum() == len(rows)
    assert set(made["state"].tolist()) <= {CLOSED, FORMING}
    assert (np.diff(made["time"]) > 0).all()
    assert set(made["timeframe"].tolist()) == {bar_kind(kind).code}


_DIGEST = """
import numpy as np
from test_pricebars import KINDS, walk
from workbench.digest import digest
from workbench.bars.pricebars import PriceBars
made = {}
for kind in (*KINDS, "line-break:1@1m", "point-figure:1x1@1m"):
    built = PriceBars(kind)
    made[kind] = np.concatenate([built.add(walk(600)), built.forming()])
    assert len(made[kind]) > 20
print(digest(made))
"""


def test_uncompiled_kernels_give_the_same_bits() -> None:
    told = [
        subprocess.run(
            [sys.executable, "-c", _DIGEST],
            env={**os.environ, "NUMBA_DISABLE_JIT": off, "PYTHONPATH": os.path.dirname(__file__)},
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        ).stdout
        for off in ("0", "1")
    ]
    assert told[0] == told[1] != ""
