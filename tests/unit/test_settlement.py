"""A backfill asks the ledger what to fetch, and the ledger learns what came."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from workbench.clock import ManualClock
from workbench.history.backfill import backfill
from workbench.history.ledger import Ledger
from workbench.history.settlement import Settlement
from workbench.records import CLOSED, Batch, Rows, empty
from workbench.store import fetches
from workbench.store.coverage import Series
from workbench.store.sqlite import SqliteStore
from workbench.symbols import SymbolTable
from workbench.timeframes import timeframe

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


def test_what_is_planned_is_in_doubt_and_what_came_is_known(store: SqliteStore) -> None:
    ledger, clock = Ledger(persist=store.put_intervals), ManualClock(1000 * S)
    settlement = Settlement(ledger, store, clock=clock)
    wish = fetches.Series("sim", "trade", "X:BTC-USD")
    assert settlement.missing(wish, 0, 100 * S) == [(0, 100 * S)]
    settlement.doubt(wish, [(0, 100 * S)])
    assert [one.state for _, one in store.intervals()] == ["doubt"]
    assert settlement.came(wish, (0, 40 * S), [trades(1, 2)], TABLE) == 2
    assert settlement.missing(wish, 0, 100 * S) == [(40 * S, 100 * S)]
    assert settlement.came(wish, (40 * S, 40 * S), [trades(41)], TABLE) == 1
    assert settlement.missing(wish, 0, 100 * S) == [(40 * S, 100 * S)]
    settlement.came(wish, (40 * S, 100 * S), [], TABLE)
    assert [(one.state, one.learned) for one in ledger.intervals(TRADES)] == [
        ("backfilled", "fetch backfill"),
        ("no-trade", "fetch backfill"),
    ]
    assert ledger.rows() == store.intervals()


def test_bars_that_lack_tell_of_minutes_without_trade(store: SqliteStore) -> None:
    ledger = Ledger(persist=store.put_intervals)
    settlement = Settlement(ledger, store, clock=ManualClock(1000 * S))
    wish = fetches.Series("sim", "bar", "BTC-USD", timeframe("1m"))
    settlement.came(wish, (0, 300 * S), [Batch("bar", minutes(0, 3))], TABLE)
    assert [(one.end // S, one.state) for one in ledger.intervals(MINUTES)] == [
        (60, "backfilled"), (180, "no-trade"), (240, "backfilled"), (300, "no-trade"),
    ]  # fmt: skip


def test_bars_of_another_length_tell_only_that_something_was_there(store: SqliteStore) -> None:
    ledger = Ledger(persist=store.put_intervals)
    settlement = Settlement(ledger, store, clock=ManualClock(1000 * S))
    wish = fetches.Series("sim", "bar", "BTC-USD", timeframe("5m"))
    settlement.came(wish, (0, 300 * S), [Batch("bar", minutes(0, 3))], TABLE)
    (one,) = ledger.intervals(Series("sim", "BTC-USD", "bar", 300))
    assert (one.end // S, one.state) == (300, "backfilled")


def test_a_loss_while_a_backfill_runs_is_not_settled_by_it(store: SqliteStore) -> None:
    ledger, clock = Ledger(persist=store.put_intervals), ManualClock(50 * S)
    settlement = Settlement(ledger, store, clock=clock)
    wish = fetches.Series("sim", "trade", "BTC-USD")
    ledger.live([TRADES], 40 * S, connection="1")
    ledger.heard("sim", 45 * S)
    settlement.doubt(wish, [(0, 40 * S)])
    clock.advance(10)
    ledger.lost("sim", 42 * S, 60 * S, why="reset")
    ledger.live([TRADES], 61 * S, connection="2")
    settlement.came(wish, (0, 61 * S), [trades(1, 50)], TABLE)
    assert ledger.missing(TRADES, 0, 61 * S) == [(42 * S, 61 * S)]


def test_a_backfill_fetches_what_the_ledger_misses_and_settles_it(store: SqliteStore) -> None:
    day = 1_762_128_000 * S  # 2025-11-03
    hours = Series("sim", "BTC-USD", "bar", 3600)
    ledger = Ledger(persist=store.put_intervals)
    ledger.live([hours], day, connection="1")
    ledger.heard("sim", day + 6 * 3600 * S)
    ledger.lost("sim", day + 5 * 3600 * S, day + 7 * 3600 * S, why="reset")
    ledger.live([hours], day + 8 * 3600 * S, connection="2")
    ledger.heard("sim", day + 20 * 3600 * S)
    ledger.stopped("sim", day + 20 * 3600 * S)
    report = backfill(
        "BTC-USD", "1h", start="2025-11-03", end="2025-11-04", source="sim", store=store,
        coverage=Settlement(ledger, store), progress=False,
    )  # fmt: skip
    assert report.complete
    assert [one.state for one in ledger.intervals(hours)] == [
        "received", "backfilled", "received", "backfilled",
    ]  # fmt: skip
    first = store.rows("bar", "BTC-USD", timeframe="1h")["time"]
    held = set(((first - day) // (3600 * S)).tolist())
    assert {5, 6, 7, 20, 21, 22, 23} <= held
    assert store.intervals() == ledger.rows()
