"""A backfill asks the ledger what to fetch, and the ledger learns what came."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workbench.clock import ManualClock
from workbench.errors import StoreError
from workbench.history.backfill import backfill
from workbench.history.coverage import Coverage
from workbench.history.ledger import Ledger
from workbench.history.ledgers import ledger_of
from workbench.history.settlement import Settlement
from workbench.records import CLOSED, Batch, Rows, empty
from workbench.store.coverage import Series
from workbench.store.sqlite import SqliteStore
from workbench.symbols import SymbolTable

S = 10**9
TRADES = Series("sim", "BTC-USD", "trade")
MINUTES = Series("sim", "BTC-USD", "bar", 60)
TABLE = SymbolTable(["BTC-USD"])


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    with SqliteStore(tmp_path / "market.db", durability="normal") as opened:
        yield opened


def trades(*seconds: int) -> Batch:
    rows = empty("trade", len(seconds))
    rows["time"] = rows["id"] = np.array(seconds, np.int64) * S
    return Batch("trade", rows)


def minutes(*starts: int) -> Rows:
    rows = empty("bar", len(starts))
    rows["time"] = np.array(starts, np.int64) * 60 * S
    rows["timeframe"], rows["state"] = 60, CLOSED
    return rows


def five_minutes(*starts: int) -> Batch:
    rows = minutes(*starts)
    rows["timeframe"] = 300
    return Batch("bar", rows)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(1000 * S)


@pytest.fixture
def ledger(store: SqliteStore, clock: ManualClock) -> Ledger:
    return ledger_of(store, clock)


@pytest.fixture
def settlement(ledger: Ledger, store: SqliteStore, clock: ManualClock) -> Settlement:
    return Settlement(ledger, store, clock=clock)


Came = Callable[..., int]


@pytest.fixture
def came(settlement: Settlement, clock: ManualClock) -> Came:
    """Tell that trades came by a request sent now."""

    def tell(series: Series, low: int, high: int, *batches: Batch, certain: bool = True) -> int:
        return settlement.came(
            series, (low * S, high * S), batches, TABLE, begun=clock.now(), certain=certain
        )

    return tell


def test_what_is_planned_is_in_doubt_and_what_came_is_known(
    settlement: Settlement, came: Came, ledger: Ledger, store: SqliteStore
) -> None:
    assert settlement.missing(TRADES, 0, 100 * S) == [(0, 100 * S)]
    settlement.doubt(TRADES, [(0, 100 * S)])
    assert [one.state for _, one in store.intervals()] == ["doubt"]
    assert came(TRADES, 0, 40, trades(1, 2)) == 2
    assert settlement.missing(TRADES, 0, 100 * S) == [(40 * S, 100 * S)]
    assert came(TRADES, 40, 40, trades(41)) == 1
    assert settlement.missing(TRADES, 0, 100 * S) == [(40 * S, 100 * S)]
    came(TRADES, 40, 100)
    assert [(one.state, one.learned) for one in ledger.intervals(TRADES)] == [
        ("backfilled", "fetch backfill"),
        ("no-trade", "fetch backfill"),
    ]
    assert ledger.rows() == store.intervals()


def test_series_do_not_share_what_they_know(settlement: Settlement, came: Came) -> None:
    came(MINUTES, 0, 120, Batch("bar", minutes(0, 1)))
    for other in (
        MINUTES._replace(source="there"),
        MINUTES._replace(symbol="ETH-USD"),
        MINUTES._replace(timeframe=300),
        TRADES,
    ):
        assert settlement.missing(other, 0, 120 * S) == [(0, 120 * S)]


def test_bars_that_lack_tell_of_minutes_without_trade(came: Came, ledger: Ledger) -> None:
    came(MINUTES, 0, 300, Batch("bar", minutes(0, 3)))
    assert [(one.end // S, one.state) for one in ledger.intervals(MINUTES)] == [
        (60, "backfilled"), (180, "no-trade"), (240, "backfilled"), (300, "no-trade"),
    ]  # fmt: skip


def test_bars_of_another_length_tell_only_that_something_was_there(
    came: Came, ledger: Ledger
) -> None:
    fives = MINUTES._replace(timeframe=300)
    came(fives, 0, 300, Batch("bar", minutes(0, 3)))
    (one,) = ledger.intervals(fives)
    assert (one.end // S, one.state) == (300, "backfilled")
    came(fives, 300, 600, five_minutes())
    assert [one.state for one in ledger.intervals(fives)] == ["backfilled", "no-trade"]


@pytest.mark.parametrize("some", [(), (0, 3)])
def test_where_rows_were_refused_no_minute_is_said_to_be_without_trade(
    came: Came, ledger: Ledger, some: tuple[int, ...]
) -> None:
    came(MINUTES, 0, 300, Batch("bar", minutes(*some)), certain=False)
    assert [(one.end // S, one.state) for one in ledger.intervals(MINUTES)] == [(300, "backfilled")]


def test_rows_and_their_range_are_stored_both_or_none(
    settlement: Settlement, came: Came, ledger: Ledger, store: SqliteStore
) -> None:
    settlement.doubt(TRADES, [(0, 100 * S)])
    before = store.intervals()
    store.limit(1)  # no page more
    many = trades(*range(1, 3000))
    with pytest.raises(StoreError):
        came(TRADES, 0, 100, many)
    assert store.intervals() == ledger.rows() == before
    assert len(store.rows("trade", "BTC-USD")) == 0
    store.limit(None)
    assert came(TRADES, 0, 100, many) == 2999
    assert store.intervals() == ledger.rows() != before
    assert settlement.missing(TRADES, 0, 100 * S) == []


def test_an_interval_that_cannot_be_written_takes_its_rows_along(
    settlement: Settlement, store: SqliteStore, clock: ManualClock
) -> None:
    nameless = Series("sim", None, "trade")  # type: ignore[arg-type]
    with pytest.raises((ValueError, AttributeError, TypeError)):
        settlement.came(nameless, (0, 9 * S), [trades(1, 2)], TABLE, begun=clock.now())
    assert len(store.rows("trade", "BTC-USD")) == 0
    assert store.intervals() == []


def test_what_comes_again_unchanged_is_stored_all_the_same(came: Came, store: SqliteStore) -> None:
    came(TRADES, 0, 40, trades(1))
    assert came(TRADES, 0, 40, trades(1, 2)) == 1
    assert len(store.rows("trade", "BTC-USD")) == 2


def test_a_loss_while_a_backfill_runs_is_not_settled_by_it(
    settlement: Settlement, ledger: Ledger, clock: ManualClock
) -> None:
    ledger.live([TRADES], 40 * S, connection="1")
    ledger.heard("sim", 45 * S)
    settlement.doubt(TRADES, [(0, 40 * S)])
    begun = clock.now()
    clock.advance(10)
    ledger.lost("sim", 42 * S, clock.now(), why="reset")
    clock.advance(1)
    ledger.live([TRADES], clock.now(), connection="2")
    settlement.came(TRADES, (0, 61 * S), [trades(1, 50)], TABLE, begun=begun)
    assert ledger.missing(TRADES, 0, 61 * S) == [(42 * S, 61 * S)]
    settlement.came(TRADES, (42 * S, 61 * S), [trades(50)], TABLE, begun=clock.now())
    assert ledger.missing(TRADES, 0, 61 * S) == []


def test_what_is_fetched_anew_is_in_doubt_until_it_has_come(
    settlement: Settlement, came: Came, ledger: Ledger, store: SqliteStore
) -> None:
    came(MINUTES, 0, 600, Batch("bar", minutes(0, 3, 4, 8)))
    ledger.declare_missing(MINUTES, 600 * S, 700 * S, tries=3, at=1000 * S)
    settlement.doubt(MINUTES, [(120 * S, 800 * S)])
    assert settlement.missing(MINUTES, 0, 800 * S) == [(120 * S, 800 * S)]
    assert [(one.end // S, one.state) for one in ledger.intervals(MINUTES, 120 * S)] == [
        (600, "doubt"), (700, "missing"), (800, "doubt"),
    ]  # fmt: skip
    came(MINUTES, 120, 300, Batch("bar", minutes(3, 4)))
    assert settlement.missing(MINUTES, 0, 800 * S) == [(300 * S, 800 * S)]
    assert store.intervals() == ledger.rows()


def test_the_tail_of_a_live_series_is_left_to_come(settlement: Settlement, ledger: Ledger) -> None:
    ledger.live([TRADES], 40 * S, connection="1")
    ledger.heard("sim", 45 * S)
    settlement.doubt(TRADES, [(0, 90 * S)])
    assert settlement.missing(TRADES, 0, 90 * S) == [(0, 45 * S)]
    ledger.heard("sim", 80 * S)
    assert ledger.intervals(TRADES, 45 * S, 80 * S)[0].state == "received"


def test_a_store_has_one_ledger(tmp_path: Path) -> None:
    path = tmp_path / "market.db"
    with SqliteStore(path, durability="normal") as store:
        ledger = ledger_of(store)
        assert ledger_of(store) is ledger
        ledger.live([TRADES], 10 * S, connection="1")
        with SqliteStore(tmp_path / "other.db", durability="normal") as other:
            assert ledger_of(other) is not ledger
        with SqliteStore(path, mode="ro") as reader, pytest.raises(StoreError, match="intervals"):
            ledger_of(reader)
    with pytest.raises(StoreError, match="closed"):
        ledger.lost("sim", 10 * S, 20 * S)


def test_what_a_process_that_died_left_open_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "market.db"
    with SqliteStore(path, durability="normal") as store:
        ledger = ledger_of(store)
        ledger.live([TRADES], 10 * S, connection="1")
        ledger.heard("sim", 20 * S)
        ledger.flush()
    clock = ManualClock(50 * S)
    with SqliteStore(path, durability="normal") as store:
        settlement = Settlement(ledger_of(store, clock), store, clock=clock)
        assert settlement.missing(TRADES, 10 * S, 60 * S) == [(20 * S, 60 * S)]
        settlement.came(TRADES, (20 * S, 60 * S), [], TABLE, begun=clock.now())
        assert settlement.missing(TRADES, 10 * S, 60 * S) == []


_NUMBERS = itertools.count()
span = st.tuples(st.integers(0, 30), st.integers(0, 30)).filter(lambda one: one[0] < one[1])


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.tuples(st.booleans(), span), max_size=8))
def test_any_order_of_doubts_and_fetches_is_a_set_of_moments(
    store: SqliteStore, steps: list[tuple[bool, tuple[int, int]]]
) -> None:
    clock = ManualClock(1000 * S)
    settlement = Settlement(ledger_of(store), store, clock=clock)
    # Each example has a series of its own: the clock begins anew with each.
    series = Series(f"here{next(_NUMBERS)}", "SPY", "trade")
    known: set[int] = set(range(31)) - _moments(settlement.missing(series, 0, 31))
    for doubted, (low, high) in steps:
        clock.advance(1)
        if doubted:
            settlement.doubt(series, [(low, high)])
            known -= set(range(low, high))
        else:
            settlement.came(series, (low, high), [], TABLE, begun=clock.now())
            known |= set(range(low, high))
    left = settlement.missing(series, 0, 31)
    assert _moments(left) == set(range(31)) - known
    assert all(a[1] < b[0] for a, b in pairwise(left))


def _moments(spans: list[tuple[int, int]]) -> set[int]:
    return {moment for low, high in spans for moment in range(low, high)}


def test_a_backfill_fetches_what_the_ledger_misses_and_settles_it(store: SqliteStore) -> None:
    day = 1_762_128_000 * S  # 2025-11-03
    hours = Series("sim", "BTC-USD", "bar", 3600)
    ledger = ledger_of(store)
    ledger.live([hours], day, connection="1")
    ledger.heard("sim", day + 6 * 3600 * S)
    ledger.lost("sim", day + 5 * 3600 * S, day + 7 * 3600 * S, why="reset")
    ledger.live([hours], day + 8 * 3600 * S, connection="2")
    ledger.heard("sim", day + 20 * 3600 * S)
    ledger.stopped("sim", day + 20 * 3600 * S)
    report = backfill(
        "BTC-USD", "1h", start="2025-11-03", end="2025-11-04", source="sim", store=store,
        progress=False,
    )  # fmt: skip
    assert report.complete
    assert [one.state for one in ledger.intervals(hours)] == [
        "received", "backfilled", "received", "backfilled",
    ]  # fmt: skip
    first = store.rows("bar", "BTC-USD", timeframe="1h")["time"]
    held = set(((first - day) // (3600 * S)).tolist())
    assert {5, 6, 7, 20, 21, 22, 23} <= held
    assert store.intervals() == ledger.rows()
    table = store.coverage("BTC-USD", intervals=True)
    assert table["state"].tolist() == ["received", "backfilled", "received", "backfilled"]
    assert set(table["learned"]) == {"live 1", "live 2", "fetch backfill"}
    shares = Coverage(store.intervals("BTC-USD"), start="2025-11-03", end="2025-11-04").shares()
    assert shares["complete"].tolist() == [1.0]
    assert shares["backfilled"].item() == pytest.approx(7 / 24)
