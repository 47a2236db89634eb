"""Bars that follow the price, against plain Python and for any split."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.bars.pricebars import PriceBars, price_bars
from workbench.records import BAR, CLOSED

Rows = npt.NDArray[Any]
KINDS = (
    *("heikin-ashi@1m", "line-break:1@1m", "line-break:3@1m", "kagi:1@1m", "kagi:0.3@1m"),
    *("point-figure:0.25x1@1m", "point-figure:0.1x3@1m", "point-figure:2x2@1m"),
)

#: Steps of a price, mostly on a grid so that levels are hit exactly.
moves = st.one_of(
    st.sampled_from([0.0, 0.25, -0.25, 0.5, -0.5, 1.0, -1.0, 4.0, -4.0]), st.floats(-3, 3)
)


@st.composite
def series(draw: st.DrawFn) -> Rows:
    steps = draw(st.lists(moves, min_size=1, max_size=60))
    closes = 50 + np.abs(np.cumsum(steps)).round(2)
    n = len(closes)
    rows = np.zeros(n, BAR)
    rows["time"], rows["timeframe"], rows["state"] = np.arange(n) * 60 * 10**9, 60, CLOSED
    rows["close"] = closes
    rows["open"] = np.r_[closes[:1], closes[:-1]]
    rows["high"] = np.maximum(rows["open"], rows["close"]) + 0.125
    rows["low"] = np.minimum(rows["open"], rows["close"]) - 0.125
    rows["volume"] = draw(st.lists(st.floats(0, 1e6), min_size=n, max_size=n))
    rows["volume_rest"] = rows["volume"] * 2.0**-54
    rows["notional"] = rows["volume"] * closes
    rows["count"] = draw(st.lists(st.integers(1, 9), min_size=n, max_size=n))
    return rows


def lines(closes: list[float], n: int) -> list[tuple[float, float]]:
    """Line break by its rule."""
    drawn: list[tuple[float, float]] = []
    for price in closes:
        if not drawn:
            if price != closes[0]:
                drawn.append((closes[0], price))
            continue
        begin, end = drawn[-1]
        lately = [p for line in drawn[-n:] for p in line]
        rising = end > begin
        if (price > end) if rising else (price < end):
            drawn.append((end, price))
        elif (price < min(lately)) if rising else (price > max(lately)):
            drawn.append((begin, price))
    return drawn


def turns(closes: list[float], amount: float) -> list[tuple[float, float]]:
    """Kagi: the line that goes on is the last."""
    begin = end = closes[0]
    way = 0
    drawn = []
    for price in closes:
        if way == 0:
            if abs(price - begin) >= amount:
                way, end = (1 if price > begin else -1), price
        elif way * (price - end) >= 0:
            end = price
        elif way * (end - price) >= amount:
            drawn.append((begin, end))
            begin, end, way = end, price, -way
    return drawn


def columns(closes: list[float], box: str, turn: int) -> list[tuple[float, float]]:
    """Point and figure in exact fractions of the prices as written."""
    size = Fraction(box)
    at = [Fraction(repr(price)) / size for price in closes]
    first_up, first_down = at[0] // 1, -(-at[0] // 1)
    way = 0
    drawn: list[tuple[int, int]] = []
    first = last = 0
    for boxes in at:
        up, down = boxes // 1, -(-boxes // 1)
        if way == 0:
            if up > first_up:
                way, first, last = 1, first_up + 1, up
            elif down < first_down:
                way, first, last = -1, first_down - 1, down
        elif way > 0 and up > last:
            last = up
        elif way < 0 and down < last:
            last = down
        elif way > 0 and down <= last - turn:
            drawn.append((first, last))
            way, first, last = -1, last - 1, down
        elif way < 0 and up >= last + turn:
            drawn.append((first, last))
            way, first, last = 1, last + 1, up
    return [(float(a * size), float(b * size)) for a, b in drawn]


def averaged(rows: Rows) -> list[tuple[float, float]]:
    made: list[tuple[float, float]] = []
    for row in rows:
        o, h, low, c = (float(row[name]) for name in ("open", "high", "low", "close"))
        begin = (made[-1][0] + made[-1][1]) / 2 if made else (o + c) / 2
        made.append((begin, (o + h + low + c) / 4))
    return made


@settings(max_examples=60, deadline=None)
@given(series())
def test_they_are_what_the_rules_say(rows: Rows) -> None:
    closes = rows["close"].tolist()
    for kind, expected in (
        ("heikin-ashi@1m", averaged(rows)),
        ("line-break:1@1m", lines(closes, 1)),
        ("line-break:3@1m", lines(closes, 3)),
        ("kagi:1@1m", turns(closes, 1.0)),
        ("kagi:0.3@1m", turns(closes, 0.3)),
        ("point-figure:0.25x1@1m", columns(closes, "0.25", 1)),
        ("point-figure:0.1x3@1m", columns(closes, "0.1", 3)),
        ("point-figure:2x2@1m", columns(closes, "2", 2)),
    ):
        assert price_bars(rows, kind)[["open", "close"]].tolist() == expected, kind


@settings(max_examples=40, deadline=None)
@given(series(), st.sampled_from(KINDS), st.lists(st.integers(0, 60), max_size=5))
def test_any_split_gives_the_same_bits(rows: Rows, kind: str, cuts: list[int]) -> None:
    whole, split, single = PriceBars(kind), PriceBars(kind), PriceBars(kind)
    expected = whole.add(rows)
    parts = []
    for some in np.split(rows, sorted(min(cut, len(rows)) for cut in cuts)):
        split.forming(rows[:3])  # looks that change nothing
        parts.append(split.add(some))
        split.forming(rows[-1:])
    ones = [single.add(rows[i : i + 1]) for i in range(len(rows))]
    assert np.concatenate(parts).tobytes() == expected.tobytes()
    assert np.concatenate(ones).tobytes() == expected.tobytes()
    assert split.forming().tobytes() == whole.forming().tobytes() == single.forming().tobytes()


@settings(max_examples=40, deadline=None)
@given(series(), st.sampled_from(KINDS))
def test_volume_and_count_are_conserved(rows: Rows, kind: str) -> None:
    built = PriceBars(kind)
    made = np.concatenate([built.add(rows), built.forming()])
    assert made["count"].sum() == rows["count"].sum()

    def total(some: Rows, name: str) -> Fraction:
        quantum = Fraction(1, 2**74)  # what exact sums keep
        return sum(
            (
                round(Fraction(float(row[field])) / quantum) * quantum
                for row in some
                for field in (name, f"{name}_rest")
            ),
            Fraction(0),
        )

    assert total(made, "volume") == total(rows, "volume")
    assert total(made, "notional") == total(rows, "notional")
    assert (made["low"] <= np.minimum(made["open"], made["close"])).all()
    assert (made["high"] >= np.maximum(made["open"], made["close"])).all()


@settings(max_examples=30, deadline=None)
@given(series(), st.sampled_from(KINDS), st.integers(0, 59))
def test_a_forming_bar_is_looked_at_and_not_kept(rows: Rows, kind: str, n: int) -> None:
    built, ahead = PriceBars(kind), PriceBars(kind)
    closed = built.add(rows[:n])
    expected = np.concatenate([ahead.add(rows), ahead.forming()])[len(closed) :]
    got = built.forming(rows[n:])
    expected["state"] = got["state"]
    assert got.tobytes() == expected.tobytes()
