"""The writing thread: bounded, patient with a full disk, unmoved by bad rows."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest

from workbench.clock import ManualClock
from workbench.errors import StoreBusyError, StoreError, StoreFullError
from workbench.records import CLOSED, FORMING, Batch, Rows, empty
from workbench.store.sqlite import SqliteStore
from workbench.store.writer import Writer
from workbench.symbols import SymbolTable

TABLE = SymbolTable(["BTC-USD", "AAPL"])


class Gate(SqliteStore):
    """A store that does not take rows while a trouble is set, or its gate is shut."""

    trouble: Exception | None = None

    def __init__(self, path: Path) -> None:
        self.open = threading.Event()
        self.open.set()
        self.groups: list[int] = []
        super().__init__(path, durability="normal")

    def append_many(self, batches: Iterable[Batch], table: SymbolTable) -> int:
        group = list(batches)
        self.groups.append(sum(map(len, group)))
        self.open.wait(500)
        if self.trouble is not None:
            raise self.trouble
        return super().append_many(group, table)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Gate]:
    with Gate(tmp_path / "market.db") as opened:
        yield opened


def trades(first: int, n: int, symbol: int = 0) -> Rows:
    rows = empty("trade", n)
    rows["time"] = rows["id"] = np.arange(first, first + n)
    rows["symbol"] = symbol
    return rows


def bars(states: list[int]) -> Rows:
    rows = empty("bar", len(states))
    rows["time"] = np.arange(len(states)) * 60
    rows["timeframe"], rows["state"] = 60, states
    return rows


def until(true: Callable[[], bool], seconds: float = 500.0) -> None:
    beat = threading.Event()
    for _ in range(int(seconds / 0.01)):
        if true():
            return
        beat.wait(0.01)
    raise AssertionError("it did not come to pass")


def test_what_is_put_is_stored_by_kind(store: Gate) -> None:
    writer = Writer(store, TABLE)
    for first in range(0, 500, 50):
        assert writer.put(Batch("trade", trades(first, 50)))
    assert writer.put(Batch("bar", bars([CLOSED] * 3)))
    assert writer.put(Batch("bar", empty("bar")))
    assert writer.flush(500)
    assert len(store.trades("BTC-USD")) == 500
    assert writer.put(Batch("trade", trades(0, 50)))
    assert writer.close()
    stats = writer.stats
    assert stats.written == {"trade": 550, "bar": 3}
    assert stats.changed == 503
    assert (stats.queued, stats.errors, stats.aside, stats.dropped) == (0, 0, 0, {})
    assert stats.state == "closed"
    assert stats.wal_bytes == store.wal_bytes


def test_few_rows_wait_for_company_and_many_do_not(store: Gate) -> None:
    writer = Writer(store, TABLE, group_rows=10, group_seconds=3600)
    for first in range(9):
        writer.put(Batch("trade", trades(first, 1)))
    assert store.groups == []
    writer.put(Batch("trade", trades(9, 1)))
    until(lambda: writer.stats.queued == 0)
    assert store.groups == [10]
    writer.put(Batch("trade", trades(10, 1)))
    assert writer.flush(500)  # does not wait an hour either
    assert store.groups == [10, 1]
    writer.put(Batch("trade", trades(11, 1)))
    assert writer.close()
    assert store.groups == [10, 1, 1]


def test_a_group_is_committed_after_its_time(store: Gate) -> None:
    writer = Writer(store, TABLE, group_rows=10**6, group_seconds=0.02)
    writer.put(Batch("trade", trades(0, 1)))
    until(lambda: writer.stats.commits == 1)
    writer.close()


def test_a_full_queue_refuses_at_once_and_counts(store: Gate) -> None:
    store.open.clear()
    writer = Writer(store, TABLE, capacity=100)
    assert writer.put(Batch("trade", trades(0, 60)))
    assert writer.put(Batch("trade", trades(60, 40)))
    both = np.concatenate([trades(100, 2), trades(100, 3, symbol=1)])
    assert not writer.put(Batch("trade", both))
    assert not writer.put(Batch("bar", bars([CLOSED])))
    assert writer.stats.queued == 100
    assert writer.stats.dropped == {
        ("trade", "BTC-USD"): 2,
        ("trade", "AAPL"): 3,
        ("bar", "BTC-USD"): 1,
    }
    assert not writer.flush(0.01)
    store.open.set()
    assert writer.flush(500)
    assert writer.put(Batch("trade", both))
    assert writer.close()
    assert len(store.trades("BTC-USD")) == 102
    assert not writer.put(Batch("trade", trades(0, 1)))
    assert writer.stats.dropped["trade", "BTC-USD"] == 3


@pytest.mark.parametrize(
    ("trouble", "state"),
    [
        (StoreFullError("no space"), "store_full"),
        (StoreBusyError("locked"), "store_failing"),
        (StoreError("disk I/O error", status="SQLITE_IOERR_WRITE"), "store_failing"),
    ],
)
def test_trouble_that_passes_loses_nothing(store: Gate, trouble: StoreError, state: str) -> None:
    writer = Writer(store, TABLE, retry_seconds=0.005)
    store.trouble = trouble
    for first in range(0, 300, 30):
        assert writer.put(Batch("trade", trades(first, 30)))
    until(lambda: writer.stats.errors >= 3)
    assert writer.stats.state == state
    assert writer.stats.queued == 300
    assert writer.stats.written == {}
    store.trouble = None
    assert writer.flush(500)
    assert writer.stats.state == "running"
    assert len(store.trades("BTC-USD")) == 300
    assert writer.stats.aside == 0
    assert writer.close()


def test_a_really_full_file_is_waited_for(store: Gate) -> None:
    writer = Writer(store, TABLE, retry_seconds=0.005)
    store.limit(1)
    assert writer.put(Batch("trade", trades(0, 30_000)))
    until(lambda: writer.stats.state == "store_full")
    assert writer.put(Batch("trade", trades(30_000, 10)))
    store.limit(None)
    assert writer.flush(500)
    assert len(store.trades("BTC-USD")) == 30_010
    assert writer.close()


def test_closing_on_a_full_store_ends_and_tells_what_is_left(
    store: Gate, caplog: pytest.LogCaptureFixture
) -> None:
    writer = Writer(store, TABLE, retry_seconds=10)
    store.trouble = StoreFullError("no space")
    writer.put(Batch("trade", trades(0, 7)))
    until(lambda: writer.stats.state == "store_full")
    writer.put(Batch("trade", trades(7, 3)))
    with caplog.at_level(logging.WARNING, "workbench.store.writer"):
        assert not writer.close(0.02)
    assert writer.stats.queued == 10
    assert "10 rows that the store did not take" in caplog.text
    assert not writer.flush(None)  # does not hang on a writer that is gone
    assert not writer.close()


class Stopped(ManualClock):
    """The clock of a process that stands still for a minute while it waits for its store."""

    def __init__(self, store: Gate) -> None:
        super().__init__()
        self.store = store
        self.looks = 0

    def monotonic(self) -> float:
        self.looks += 1
        if self.looks == 2:
            self.advance(60.0)
        if self.looks == 3:
            self.store.open.set()
        return super().monotonic()


def test_closing_gives_a_store_its_time_where_the_process_stood_still(store: Gate) -> None:
    store.open.clear()
    writer = Writer(store, TABLE, clock=Stopped(store))
    assert writer.put(Batch("trade", trades(0, 5)))
    assert writer.put(Batch("trade", trades(5, 5)))
    until(lambda: len(store.groups) == 1)
    assert writer.close(10.0)
    assert len(store.trades("BTC-USD")) == 10


def test_bad_rows_are_kept_aside_and_the_rest_is_stored(store: Gate) -> None:
    told: list[int] = []

    def tell(batch: Batch, error: Exception) -> None:
        told.append(len(batch))
        raise RuntimeError("a guest's mistake")

    writer = Writer(store, TABLE, on_error=tell)
    states = [CLOSED] * 40
    states[17] = states[31] = FORMING
    nameless = trades(1000, 1, symbol=9)
    for batch in (
        Batch("trade", trades(0, 20)),
        Batch("bar", bars(states)),
        Batch("trade", np.concatenate([trades(20, 20), nameless])),
        Batch("trade", trades(40, 20)),
    ):
        writer.put(batch)
    assert writer.flush(500)
    assert len(store.trades("BTC-USD")) == 60
    assert len(store.bars("BTC-USD", "1m")) == 38
    stats = writer.stats
    assert (stats.aside, stats.errors, stats.queued) == (3, 3, 0)
    assert stats.written == {"trade": 60, "bar": 38}
    assert sorted(batch.kind for batch, _ in writer.aside) == ["bar", "bar", "trade"]
    assert any("no symbol has number 9" in why for _, why in writer.aside)
    assert told == [1, 1, 1]
    assert stats.state == "running"
    assert writer.close()


def test_rows_aside_are_bounded(store: Gate) -> None:
    writer = Writer(store, TABLE)
    store.trouble = StoreError("damaged", status="SQLITE_CORRUPT")
    for first in range(0, 30_000, 6_000):
        writer.put(Batch("trade", trades(first, 6_000)))
    assert writer.flush(500)
    assert writer.stats.aside == 30_000
    assert sum(len(batch) for batch, _ in writer.aside) <= 12_000
    assert writer.close()


def test_a_mark_is_settled_when_all_before_it_is_committed_or_aside(store: Gate) -> None:
    writer = Writer(store, TABLE)
    start = writer.mark()
    assert writer.settled(start)
    store.open.clear()
    writer.put(Batch("trade", trades(0, 5)))
    writer.put(Batch("bar", bars([FORMING])))  # can never be stored
    first = writer.mark()
    writer.put(Batch("trade", trades(5, 5)))
    second = writer.mark()
    assert start < first < second
    assert not writer.settled(first)
    store.open.set()
    until(lambda: writer.settled(second))
    assert writer.settled(first)
    assert writer.take_losses() == [("bar", "BTC-USD", 0, 0)]
    assert writer.close()


def test_losses_are_told_once_and_as_one_for_each_series(store: Gate) -> None:
    writer = Writer(store, TABLE, capacity=10)
    store.open.clear()
    assert writer.put(Batch("trade", trades(0, 10)))
    both = np.concatenate([trades(100, 3), trades(40, 2, symbol=1)])
    assert not writer.put(Batch("trade", both))
    assert not writer.put(Batch("trade", trades(20, 1)))
    assert not writer.put(Batch("bar", bars([CLOSED, CLOSED])))
    assert writer.take_losses() == [
        ("trade", "BTC-USD", 20, 102),
        ("trade", "AAPL", 40, 41),
        ("bar", "BTC-USD", 0, 60),
    ]
    assert writer.take_losses() == []
    store.open.set()
    assert writer.flush(500)
    # One row of many cannot be stored: only that one is told, and one without a name is too.
    mixed = np.concatenate([trades(200, 4), trades(300, 1, symbol=9)])
    assert writer.put(Batch("trade", mixed))
    assert writer.flush(500)
    assert writer.take_losses() == [("trade", "", 300, 300)]
    assert writer.close()
    assert not writer.put(Batch("trade", trades(7, 1)))
    assert [loss.first for loss in writer.take_losses()] == [7]


def test_what_is_left_at_the_end_is_told_as_lost_and_never_settled(store: Gate) -> None:
    writer = Writer(store, TABLE, retry_seconds=10)
    store.trouble = StoreFullError("no space")
    writer.put(Batch("trade", trades(0, 7)))
    until(lambda: writer.stats.state == "store_full")
    writer.put(Batch("trade", trades(7, 3)))
    writer.put(Batch("trade", trades(50, 1, symbol=1)))
    mark = writer.mark()
    assert not writer.close(0.02)
    assert not writer.settled(mark)
    assert writer.take_losses() == [("trade", "BTC-USD", 0, 9), ("trade", "AAPL", 50, 50)]


def test_when_bars_became_known_survives_a_search_for_bad_rows(store: Gate) -> None:
    writer = Writer(store, TABLE)
    writer.put(Batch("bar", bars([CLOSED, FORMING, CLOSED]), known=77))
    assert writer.flush(500)
    assert [batch.known for batch, _ in writer.aside] == [77]
    assert writer.close()


def test_trouble_is_logged_once_a_minute(store: Gate, caplog: pytest.LogCaptureFixture) -> None:
    clock = ManualClock()
    writer = Writer(store, TABLE, clock=clock, retry_seconds=0.001)
    store.trouble = StoreFullError("no space")

    def told() -> int:
        return sum(record.name == "workbench.store.writer" for record in caplog.records)

    with caplog.at_level(logging.WARNING, "workbench.store.writer"):
        writer.put(Batch("trade", trades(0, 1)))
        until(lambda: writer.stats.errors >= 5)
        assert told() == 1
        clock.advance(61)
        seen = writer.stats.errors
        until(lambda: writer.stats.errors >= seen + 2)
        assert told() == 2
    store.trouble = None
    assert writer.close()


def test_many_threads_may_put(store: Gate) -> None:
    writer = Writer(store, TABLE, group_seconds=0.005)

    def put(base: int) -> None:
        for first in range(base, base + 500, 5):
            assert writer.put(Batch("trade", trades(first, 5)))

    threads = [threading.Thread(target=put, args=(base,)) for base in range(0, 4_000, 500)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert writer.close()
    assert len(store.trades("BTC-USD")) == 4_000
    assert writer.stats.changed == 4_000
