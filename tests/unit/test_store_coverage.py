"""A ledger in a store: what was told is there again, whatever happens to the process."""

from __future__ import annotations

import random
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from workbench.errors import StoreError
from workbench.history.coverage import KNOWN, Coverage
from workbench.history.ledger import Ledger
from workbench.records import Batch, empty
from workbench.store import schema
from workbench.store.coverage import OPEN, Change, Interval, Series
from workbench.store.sqlite import SqliteStore
from workbench.store.store import open_store
from workbench.symbols import SymbolTable

S = 10**9
TRADES = Series("sim", "BTC-USD", "trade")
MINUTES = Series("sim", "BTC-USD", "bar", 60)
ONE = Interval(0, 60 * S, "received", "live 1", 60 * S)

# Each round is a connection that is lost and whose loss is fetched; what returned is said.
RECORD = """
import sys
from workbench.history.ledger import Ledger
from workbench.records import Batch, empty
from workbench.store.coverage import Series
from workbench.store.store import open_store
from workbench.symbols import SymbolTable

S = 10**9
path, start = sys.argv[1], int(sys.argv[2])
store, table = open_store(path), SymbolTable(["BTC-USD"])
series = Series("sim", "BTC-USD", "trade")
ledger = Ledger(store.intervals(source="sim"), persist=store.put_intervals)
ledger.recover(start * S)

def trades(first, last):
    rows = empty("trade", last - first)
    rows["time"] = rows["id"] = [n * S for n in range(first, last)]
    store.append(Batch("trade", rows), table)

if start:
    # What the process before left open is settled first.
    trades(0, start)
    ledger.fetched(series, 0, start * S, start, begun=start * S, fetch="all")
while True:
    ledger.live([series], start * S, connection=str(start))
    trades(start, start + 5)
    ledger.heard("sim", (start + 5) * S)
    ledger.lost("sim", (start + 4) * S, (start + 7) * S)
    print("doubt", start + 4, flush=True)
    ledger.live([series], (start + 8) * S, connection=str(start + 8))
    trades(start + 4, start + 8)
    begun = (start + 8) * S
    ledger.fetched(series, (start + 4) * S, begun, 4, begun=begun, fetch="a")
    print("settled", start + 8, flush=True)
    start += 8
"""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    with SqliteStore(tmp_path / "market.db") as opened:
        yield opened


def test_what_is_put_is_there_in_order(store: SqliteStore) -> None:
    later = ONE._replace(start=90 * S, end=OPEN, state="doubt", ready=OPEN)
    store.put_intervals([Change(MINUTES, (), (later, ONE)), Change(TRADES, (), (ONE,))])
    assert store.intervals() == [(MINUTES, ONE), (MINUTES, later), (TRADES, ONE)]
    assert store.intervals("X:BTCUSD") == store.intervals()
    assert store.intervals("AAPL") == store.intervals(source="other") == []


def test_a_change_replaces_and_removes(store: SqliteStore) -> None:
    store.put_intervals([Change(TRADES, (), (ONE, ONE._replace(start=60 * S, end=90 * S)))])
    longer = ONE._replace(end=90 * S)
    store.put_intervals([Change(TRADES, (60 * S, 7), (longer,))])
    assert store.intervals() == [(TRADES, longer)]


def test_a_change_that_cannot_be_is_refused_as_a_whole(store: SqliteStore) -> None:
    for bad in (ONE._replace(end=0), ONE._replace(state="perhaps")):  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="not an interval"):
            store.put_intervals([Change(TRADES, (), (ONE,)), Change(MINUTES, (), (bad,))])
        assert store.intervals() == []


def test_a_store_opened_for_reading_takes_none(store: SqliteStore) -> None:
    with (
        open_store(store.path, mode="ro") as reader,
        pytest.raises(StoreError, match='mode="ro"'),
    ):
        reader.put_intervals([Change(TRADES, (), (ONE,))])


def test_coverage_gives_intervals_as_a_table(store: SqliteStore) -> None:
    store.put_intervals([Change(MINUTES, (), (ONE, ONE._replace(start=60 * S, end=OPEN)))])
    table = store.coverage("BTC-USD", intervals=True)
    assert (
        table[["source", "symbol", "kind", "timeframe", "state", "learned"]].values.tolist()
        == [["sim", "BTC-USD", "bar", "1m", "received", "live 1"]] * 2
    )
    assert table["start"].tolist() == [
        pd.Timestamp(0, tz="UTC"),
        pd.Timestamp(60, unit="s", tz="UTC"),
    ]
    assert pd.isna(table["end"].iloc[1])
    assert store.coverage("AAPL", intervals=True).dtypes.equals(table.dtypes)
    # A symbol of which only the ledger knows has no rows yet.
    assert len(store.coverage()) == len(store.symbols()) == 0


def test_a_ledger_is_loaded_as_it_was(store: SqliteStore) -> None:
    ledger = Ledger(persist=store.put_intervals)
    ledger.live([TRADES, MINUTES], 0, connection="1")
    ledger.heard("sim", 60 * S)
    ledger.doubted([TRADES], 10 * S, 20 * S, 20 * S, why="bad frame")
    ledger.lost("sim", 50 * S, 70 * S)
    assert store.intervals() == ledger.rows()
    assert Ledger(store.intervals()).rows() == ledger.rows()
    assert Coverage(store.intervals(), end=70 * S).table()["state"].tolist() == [
        "received", "doubt", "received", "doubt", "received", "doubt",
    ]  # fmt: skip


def test_readers_do_not_wait_for_a_writer(store: SqliteStore) -> None:
    store.put_intervals([Change(TRADES, (), (ONE,))])
    assert store._write is not None
    store._write.execute("BEGIN IMMEDIATE")
    store._write.execute("DELETE FROM coverage")
    with open_store(store.path, mode="ro") as reader:
        assert reader.intervals() == [(TRADES, ONE)]
    store._write.execute("ROLLBACK")


def test_a_store_of_the_first_version_gets_the_table(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    rows = empty("trade", 3)
    rows["time"] = rows["id"] = [1, 2, 3]
    with open_store(path) as store:
        store.append(Batch("trade", rows), SymbolTable(["BTC-USD"]))
    old = sqlite3.connect(path, isolation_level=None)
    old.execute("DROP TABLE coverage")
    old.execute("UPDATE schema_version SET v = 1")
    old.close()
    with open_store(path, mode="ro") as reader:
        assert reader.intervals() == []
        assert reader.coverage(intervals=True).empty
    with open_store(path) as store:
        assert store.info()["schema_version"] == schema.VERSION
        assert store.rows("trade", "BTC-USD")["time"].tolist() == [1, 2, 3]
        store.put_intervals([Change(TRADES, (), (ONE,))])
        assert store.intervals() == [(TRADES, ONE)]


def test_killing_the_writer_loses_no_doubt_and_settles_none_too_early(tmp_path: Path) -> None:
    rng = random.Random(5)
    path = tmp_path / "market.db"
    start = 0
    for _ in range(5):
        process = subprocess.Popen(
            [sys.executable, "-c", RECORD, str(path), str(start)],
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert process.stdout is not None
            said = [process.stdout.readline() for _ in range(rng.randint(1, 40))]
            threading.Event().wait(rng.random() * 0.01)  # anywhere within a transaction
            process.kill()
            said += process.stdout.read().splitlines(keepends=True)
        finally:
            process.kill()
            process.communicate()
        heard = [line.split() for line in said if line.endswith("\n")]
        with open_store(path) as store:
            ledger = Ledger(store.intervals())
            stored = set((store.rows("trade", "BTC-USD")["time"] // S).tolist())
        # Whatever the ledger knows, the rows of it are stored.
        for one in ledger.intervals(TRADES):
            if one.state in KNOWN:
                assert set(range(one.start // S, one.end // S)) <= stored
        (gap,) = ledger.missing(TRADES, 0, 10**9 * S)
        second = int(heard[-1][1])
        # Said to be in doubt, it is, unless the fetch of it was committed and not yet said;
        # said to be settled, it is, and what was received since is not, unless that was written.
        assert gap in ((second * S, 10**9 * S), ((second + 4) * S, 10**9 * S))
        start = gap[0] // S + 10
