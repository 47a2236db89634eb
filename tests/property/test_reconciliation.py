"""Differences that are put in are found and named; where there are none, none is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.bars.conditions import ALL, US_EQUITIES, VOLUME, eligibility
from workbench.reconciliation.comparison import compare
from workbench.reconciliation.grid import built
from workbench.reconciliation.result import Reconciliation
from workbench.reconciliation.tape import Tape
from workbench.records import TRADE, Rows
from workbench.timeframes import timeframe

S = 10**9
MINUTE = 60 * S
NOON = 1_762_189_200 * S  # 2025-11-03 12:00 in New York
TF = timeframe("1m")
BARS, EACH = 12, 24
TRF = 4


def tape(seed: int) -> Rows:
    """Return trades of some minutes that no two reasons can explain alike."""
    dice = np.random.default_rng(seed)
    rows = np.zeros(BARS * EACH, TRADE)
    minute = np.repeat(np.arange(BARS), EACH)
    offset = np.sort(dice.integers(0, 59_000, (BARS, EACH)), axis=1).ravel()
    rows["time"] = NOON + minute * MINUTE + offset * 1_000_000
    rows["received"] = rows["time"] + dice.integers(1, 400, len(rows)) * 1_000_000
    # Prices that never repeat: what sets one cannot be mistaken.
    rows["price"] = 100 + dice.permutation(len(rows)) * 0.01
    rows["size"] = dice.integers(1, 50, len(rows)) * 100.0
    rows["sequence"] = np.arange(1, len(rows) + 1)
    rows["id"] = np.arange(1, len(rows) + 1) * 7
    rows["exchange"] = dice.integers(10, 13, len(rows))
    return rows


@dataclass
class World:
    """What happened; `ours` and `theirs` are what each side makes of it."""

    trades: Rows
    dice: np.random.Generator
    bar: int
    ours: npt.NDArray[np.bool_] = field(init=False)
    counted: npt.NDArray[np.bool_] = field(init=False)
    allowed: npt.NDArray[np.uint8] | None = None
    codes: dict[int, int] = field(default_factory=dict)
    told: bool = True
    after: list[tuple[int, Callable[[Rows], None]]] = field(default_factory=list)
    prices: dict[int, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.ours = np.ones(len(self.trades), np.bool_)
        self.counted = np.ones(len(self.trades), np.bool_)

    def some(self, count: int = 1) -> npt.NDArray[np.int64]:
        """Return places of inner trades of the bar that nothing was done to yet."""
        free = np.arange(self.bar * EACH + 1, (self.bar + 1) * EACH - 1)
        free = free[self.trades["conditions"][free] == 0]
        free = free[(self.trades["exchange"][free] != TRF) & self.counted[free] & self.ours[free]]
        free = np.setdiff1d(free, list(self.codes))
        return self.dice.choice(free, count, replace=False)

    def run(self) -> Reconciliation:
        known = eligibility(self.trades, US_EQUITIES)
        allowed = known if self.allowed is None else self.allowed
        mine = self.trades[self.ours]
        theirs = self.trades.copy()
        for place, price in self.prices.items():
            theirs["price"][place] = price
        bars = built(theirs[self.counted], allowed[self.counted], TF)
        bars["origin"] = 1
        for bar, change in self.after:
            change(bars[bar : bar + 1])
        code = np.zeros(len(theirs), np.int64)
        code[list(self.codes)] = list(self.codes.values())
        void = np.isin(code, (7, 8, 10, 11))
        side = Tape(theirs[~void], theirs[code > 0], code[code > 0])
        return compare("SPY", mine, bars, side if self.told else None)


def odd_lot(world: World) -> None:
    """The provider lets odd lots set prices."""
    places = world.some(2)
    world.trades["conditions"][places] = 37
    world.trades["size"][places] = 50
    world.trades["price"][places[0]] = 300.0
    world.trades["price"][places[1]] = 20.0
    world.allowed = np.full(len(world.trades), ALL, np.uint8) if world.allowed is None else (
        world.allowed)  # fmt: skip
    world.allowed[places] = ALL


def condition(world: World) -> None:
    """The provider lets a trade of average price set prices."""
    places = world.some()
    world.trades["conditions"][places] = 2 | 14 << 8
    world.trades["price"][places] = 310.0
    world.allowed = np.full(len(world.trades), ALL, np.uint8) if world.allowed is None else (
        world.allowed)  # fmt: skip
    world.allowed[places] = ALL


def venue(world: World) -> None:
    """The provider leaves out what is reported off the exchanges."""
    places = world.some(3)
    world.trades["exchange"][places] = TRF
    world.counted[places] = False


def late(world: World) -> None:
    """Trades came long after the end of their minute."""
    places = world.some(2)
    world.trades["received"][places] += 3 * MINUTE
    world.counted[places] = False


def missing(world: World) -> None:
    """We do not hold some trades."""
    world.ours[world.some(3)] = False


def cancelled(world: World) -> None:
    """The provider took a trade back."""
    place = int(world.some()[0])
    world.codes[place] = 8
    world.counted[place] = False


def corrected(world: World) -> None:
    """The provider tells another price."""
    place = int(world.some()[0])
    world.codes[place] = 12
    world.prices[place] = 290.0


def rounding(world: World) -> None:
    """The provider rounds its mean price."""

    def change(bar: Rows) -> None:
        short = np.round(bar["vwap"], 4)
        # What has four decimals anyway gets other last bits.
        bar["vwap"] = np.where(short == bar["vwap"], short * (1 + 1e-13), short)

    world.after.append((world.bar, change))


def unexplained(world: World) -> None:
    """The provider's open is nobody's price."""

    def change(bar: Rows) -> None:
        bar["open"] += 0.123

    world.after.append((world.bar, change))


FAULTS = {
    "odd lot": odd_lot, "condition": condition, "venue": venue, "late": late,
    "missing": missing, "correction": cancelled, "correction ": corrected,
    "rounding": rounding, "unexplained": unexplained,
}  # fmt: skip


def named(found: Reconciliation) -> set[str]:
    return {part for reason in found.table["reason"] for part in reason.split(" + ")}


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_nothing_is_found_where_nothing_differs(seed: int) -> None:
    rows = tape(seed)
    dice = np.random.default_rng(seed)
    rows["conditions"] = dice.choice([0, 0, 14, 37, 2, 12, 41, 16], len(rows))
    rows["size"][rows["conditions"] == 37] = 30
    bars = built(rows, eligibility(rows, US_EQUITIES), TF)
    for theirs in (None, Tape(rows)):
        found = compare("SPY", rows, bars, theirs)
        assert (found.agreed, found.differences, len(found.table)) == (len(bars), 0, 0)
        assert not len(found.corrections)


@pytest.mark.parametrize("name", FAULTS)
@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), bar=st.integers(0, BARS - 1))
def test_one_difference_has_its_reason(name: str, seed: int, bar: int) -> None:
    world = World(tape(seed), np.random.default_rng(seed), bar)
    FAULTS[name](world)
    found = world.run()
    assert named(found) == {name.strip()}, found.table.to_string()
    assert found.differences == (0 if name == "rounding" else 1)
    assert (found.table.index == pd.Timestamp(NOON + bar * MINUTE, tz="UTC")).all()


@pytest.mark.parametrize("names", list(combinations(FAULTS, 2)), ids=" and ".join)
@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), bar=st.integers(0, BARS - 1))
def test_two_differences_of_one_bar_have_both_reasons(
    names: tuple[str, str], seed: int, bar: int
) -> None:
    world = World(tape(seed), np.random.default_rng(seed), bar)
    for name in names:
        FAULTS[name](world)
    found = world.run()
    wanted = {name.strip() for name in names}
    assert named(found) == wanted, found.table.to_string()
    assert found.differences == 1


@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    chosen=st.lists(st.sampled_from(sorted(FAULTS)), min_size=BARS, max_size=BARS),
)
def test_each_bar_of_a_day_has_the_reason_of_its_own(seed: int, chosen: list[str]) -> None:
    world = World(tape(seed), np.random.default_rng(seed), 0)
    for world.bar, name in enumerate(chosen):
        FAULTS[name](world)
    found = world.run()
    for bar, name in enumerate(chosen):
        rows = found.table.loc[found.table.index == pd.Timestamp(NOON + bar * MINUTE, tz="UTC")]
        assert set(rows["reason"]) == {name.strip()}, rows.to_string()


def test_an_average_price_that_sets_volume_only_is_no_difference() -> None:
    rows = tape(1)
    rows["conditions"][5] = 2
    allowed = eligibility(rows, US_EQUITIES)
    assert allowed[5] == VOLUME
    assert compare("SPY", rows, built(rows, allowed, TF)).differences == 0
