"""What was fetched and what is in doubt, kept with the rows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workbench.clock import ManualClock
from workbench.records import CLOSED, Batch, empty
from workbench.store.fetches import Fetches, Series
from workbench.store.sqlite import SqliteStore
from workbench.symbols import SymbolTable
from workbench.timeframes import timeframe

MINUTE = timeframe("1m")
BARS = Series("here", "bar", "SPY", MINUTE)
TABLE = SymbolTable(["SPY"])


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    with SqliteStore(tmp_path / "market.db", durability="normal") as opened:
        yield opened


def bars(*times: int) -> Batch:
    rows = empty("bar", len(times))
    rows["time"], rows["timeframe"], rows["state"], rows["origin"] = times, 60, CLOSED, 1
    return Batch("bar", rows, MINUTE)


def test_nothing_is_known_at_first(store: SqliteStore) -> None:
    fetches = Fetches(store)
    assert fetches.missing(BARS, 0, 100) == [(0, 100)]
    assert fetches.doubts(BARS) == fetches.fetched(BARS) == []


def test_what_came_is_struck_from_the_doubts(store: SqliteStore) -> None:
    fetches = Fetches(store, ManualClock(5))
    fetches.doubt(BARS, [(0, 100), (200, 300)])
    assert fetches.came(BARS, (0, 40), [bars(0, 10)], TABLE) == 2
    assert fetches.doubts(BARS) == [(40, 100), (200, 300)]
    assert fetches.fetched(BARS) == [(0, 40)]
    fetches.came(BARS, (40, 100), [], TABLE)
    assert fetches.missing(BARS, 0, 300) == [(100, 300)]
    assert len(store.rows("bar", "SPY", timeframe="1m")) == 2


def test_a_doubt_makes_what_was_fetched_missing_again(store: SqliteStore) -> None:
    fetches = Fetches(store)
    fetches.came(BARS, (0, 100), [], TABLE)
    fetches.doubt(BARS, [(30, 50)])
    assert fetches.missing(BARS, 0, 100) == [(30, 50)]
    fetches.came(BARS, (30, 50), [], TABLE)
    assert fetches.missing(BARS, 0, 100) == []


def test_series_do_not_share_what_they_know(store: SqliteStore) -> None:
    fetches = Fetches(store)
    fetches.came(BARS, (0, 100), [], TABLE)
    for other in (
        Series("there", "bar", "SPY", MINUTE),
        Series("here", "bar", "QQQ", MINUTE),
        Series("here", "bar", "SPY", timeframe("5m")),
        Series("here", "trade", "SPY"),
    ):
        assert fetches.missing(other, 0, 100) == [(0, 100)]


def test_rows_and_their_range_are_stored_both_or_none(store: SqliteStore) -> None:
    fetches = Fetches(store)

    class Failing(ManualClock):
        def now(self) -> int:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Fetches(store, Failing()).came(BARS, (0, 100), [bars(0)], TABLE)
    assert fetches.missing(BARS, 0, 100) == [(0, 100)]
    assert len(store.rows("bar", "SPY", timeframe="1m")) == 0


def test_it_is_there_after_closing(tmp_path: Path) -> None:
    path = tmp_path / "market.db"
    with SqliteStore(path) as store:
        Fetches(store).doubt(BARS, [(5, 9)])
        Fetches(store).came(BARS, (0, 5), [], TABLE)
    with SqliteStore(path, mode="ro") as store:
        assert Fetches(store).doubts(BARS) == [(5, 9)]
        assert Fetches(store).fetched(BARS) == [(0, 5)]


span = st.tuples(st.integers(0, 30), st.integers(0, 30)).filter(lambda one: one[0] < one[1])


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.tuples(st.booleans(), span), max_size=8), st.integers(0, 1 << 40))
def test_any_order_of_doubts_and_fetches_is_a_set_of_moments(
    store: SqliteStore, steps: list[tuple[bool, tuple[int, int]]], name: int
) -> None:
    fetches, series = Fetches(store), Series(f"here{name}", "trade", "SPY")
    known: set[int] = set(range(31)) - {
        moment for low, high in fetches.missing(series, 0, 31) for moment in range(low, high)
    }
    for doubted, (low, high) in steps:
        if doubted:
            fetches.doubt(series, [(low, high)])
            known -= set(range(low, high))
        else:
            fetches.came(series, (low, high), [], TABLE)
            known |= set(range(low, high))
    left = {m for low, high in fetches.missing(series, 0, 31) for m in range(low, high)}
    assert left == set(range(31)) - known
