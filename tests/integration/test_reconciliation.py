"""A day reconciled with a provider over HTTP: what is fetched, kept, told and repaired."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from workbench.clock import ManualClock
from workbench.errors import ConfigError
from workbench.history.archive import Archive
from workbench.net.rest import Rest
from workbench.reconciliation import apply, reconcile
from workbench.reconciliation.day import bounds, fetch_tape
from workbench.records import CANCELLED, Batch
from workbench.sim.run import RunningSimulator, start_simulator
from workbench.sources.massive_rest import MassiveRest
from workbench.store.coverage import Change, Interval, Series
from workbench.store.store import Store, open_store

SYMBOL = "ETH-USD"
MINUTE = 60 * 10**9
#: Minutes of the day that are over, so that a day is short.
MINUTES = 12


@pytest.fixture(scope="module")
def sim() -> Iterator[RunningSimulator]:
    with start_simulator(port=0) as running:
        yield running


@pytest.fixture
def today() -> tuple[str, int]:
    day = (pd.Timestamp.now("UTC") - pd.Timedelta("30min")).strftime("%Y-%m-%d")
    return day, bounds(SYMBOL, day)[0]


@pytest.fixture
def archive(sim: RunningSimulator, today: tuple[str, int]) -> Iterator[Archive]:
    sim.faults.clear()
    clock = ManualClock(today[1] + MINUTES * MINUTE)
    rest = Rest(sim.rest_url, key="key")
    with Archive("sim", rest, MassiveRest(page_rows=500), clock=clock) as opened:
        yield opened
    sim.faults.clear()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "market.db") as opened:
        yield opened


@pytest.fixture
def filled(archive: Archive, store: Store, today: tuple[str, int]) -> Store:
    """Return a store that holds all trades of the minutes in question."""
    tape = fetch_tape(archive, SYMBOL, today[1], today[1] + MINUTES * MINUTE)
    assert len(tape) > 200
    store.append(Batch("trade", tape.trades), archive.table)
    return store


def test_a_sound_store_agrees_and_keeps_the_bars_of_both_sides(
    archive: Archive, filled: Store, today: tuple[str, int]
) -> None:
    found = reconcile(SYMBOL, today[0], source=archive, store=filled)
    assert (found.bars, found.agreed, found.differences) == (MINUTES, MINUTES, 0)
    assert set(found.reasons.index) <= {"rounding"}
    assert not len(found.corrections)
    for origin in (0, 1):
        assert len(filled.bars(SYMBOL, "1m", origin=origin)) == MINUTES
    again = reconcile(SYMBOL, today[0], source=None, store=filled)
    assert (again.agreed, again.source) == (MINUTES, "store")
    assert apply(found, filled).revised == 0


@pytest.mark.parametrize("evidence", ["day", "bars"])
def test_missing_trades_are_found_and_taken_over(
    archive: Archive, store: Store, today: tuple[str, int], evidence: str
) -> None:
    tape = fetch_tape(archive, SYMBOL, today[1], today[1] + MINUTES * MINUTE)
    minute = (tape.trades["time"] - today[1]) // MINUTE
    kept = ~np.isin(minute, [3, 4, 8])
    kept[np.flatnonzero(minute == 3)[::2]] = True
    store.append(Batch("trade", tape.trades[kept]), archive.table)
    found = reconcile(SYMBOL, today[0], source=archive, store=store, evidence=evidence)  # type: ignore[arg-type]
    assert found.differences == 3
    assert set(found.by_bar.index) - {"rounding"} == {"missing"}
    assert found.table.loc[found.table["field"] == "bar", "own"].isna().tolist() == [True] * 2
    done = apply(found, store)
    assert (done.added, done.revised) == (int((~kept).sum()), 3)
    assert reconcile(SYMBOL, today[0], source=archive, store=store).differences == 0
    bars = store.bars(SYMBOL, "1m", origin=0)
    assert bars["revision"].tolist() == [int(n == 3) for n in range(MINUTES)]
    assert apply(found, store).revised == 0


def test_cancelled_trades_are_marked_and_their_bars_revised(
    sim: RunningSimulator, archive: Archive, filled: Store, today: tuple[str, int]
) -> None:
    reconcile(SYMBOL, today[0], source=archive, store=filled)
    before = filled.bars(SYMBOL, "1m", origin=0)
    sim.faults.on("rest-correction", share=0.05, code=8)
    found = reconcile(SYMBOL, today[0], source=archive, store=filled)
    # The simulator's bars still count them.
    assert found.differences == 0
    assert set(found.corrections["change"]) == {"cancelled"}
    done = apply(found, filled)
    assert done.cancelled == len(found.corrections) > 5
    assert 0 < done.revised <= MINUTES
    after = filled.bars(SYMBOL, "1m", origin=0)
    changed = after["revision"] == 1
    assert int(changed.sum()) == done.revised
    assert (after.loc[changed, "count"] < before.loc[changed, "count"]).all()
    every = filled.rows("trade", SYMBOL, cancelled=True)
    assert int(((every["flags"] & CANCELLED) != 0).sum()) == done.cancelled
    again = reconcile(SYMBOL, today[0], source=archive, store=filled)
    assert again.differences == done.revised
    assert set(again.by_bar.index) - {"rounding"} == {"correction"}
    assert not len(again.corrections)


def test_corrected_prices_are_taken_over(
    sim: RunningSimulator, archive: Archive, filled: Store, today: tuple[str, int]
) -> None:
    sim.faults.on("rest-correction", share=0.05, code=12, shift=0.01)
    found = reconcile(SYMBOL, today[0], source=archive, store=filled)
    assert set(found.corrections["change"]) == {"replaced"}
    assert set(found.corrections["code"]) == {12}
    ratio = found.corrections["new_price"] / found.corrections["old_price"]
    assert ratio.to_numpy() == pytest.approx(1.01)
    done = apply(found, filled)
    assert done.replaced == len(found.corrections) > 5
    again = reconcile(SYMBOL, today[0], source=archive, store=filled)
    assert not len(again.corrections)


def test_the_ledger_tells_what_may_be_missing_where_nobody_is_asked(
    archive: Archive, store: Store, today: tuple[str, int]
) -> None:
    tape = fetch_tape(archive, SYMBOL, today[1], today[1] + MINUTES * MINUTE)
    minute = (tape.trades["time"] - today[1]) // MINUTE
    lost = np.zeros(len(tape), np.bool_)
    for number in (5, 9):
        lost[np.flatnonzero(minute == number)[3:]] = True
    store.append(Batch("trade", tape.trades[~lost]), archive.table)
    start = today[1] + 5 * MINUTE
    gap = Interval(start, start + MINUTE, "missing", "declared after 3 tries", start)
    store.put_intervals([Change(Series("sim", SYMBOL, "trade"), (), (gap,))])
    found = reconcile(SYMBOL, today[0], source=archive, store=store, evidence="none")
    reasons = found.table[found.table["reason"] != "rounding"].groupby(level=0)["reason"]
    assert [set(some) for _, some in reasons] == [{"missing"}, {"unexplained"}]
    with pytest.raises(ValueError, match="nothing to apply"):
        apply(found, store)


def test_what_cannot_be_reconciled_is_told(store: Store) -> None:
    with pytest.raises(ValueError, match="shorter than a day"):
        reconcile(SYMBOL, "2025-11-03", timeframe="1d", source=None, store=store)
    with pytest.raises(ValueError, match="not a day"):
        reconcile(SYMBOL, "Monday?", source=None, store=store)
    with pytest.raises(ValueError, match="no bar yet"):
        reconcile(SYMBOL, "2100-01-01", source=None, store=store)
    with pytest.raises(ValueError, match="give a store"):
        reconcile(SYMBOL, "2025-11-03", source=None)
    with pytest.raises(ValueError, match="evidence is one of"):
        reconcile(SYMBOL, "2025-11-03", store=store, evidence="all")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="no source"):
        reconcile(SYMBOL, "2025-11-03", source="nobody", store=store)


def test_a_day_without_a_store_differs_by_rules_only(
    archive: Archive, today: tuple[str, int]
) -> None:
    found = reconcile(SYMBOL, today[0], source=archive)
    assert found.agreed == found.bars == MINUTES
