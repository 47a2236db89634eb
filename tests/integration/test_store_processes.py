"""The store among several processes: readers, a second writer, kills, a full disk."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest

from workbench.clock import ManualClock
from workbench.errors import StoreBusyError
from workbench.records import Batch, Rows, empty
from workbench.store import schema
from workbench.store.sqlite import SqliteStore
from workbench.store.store import open_store
from workbench.store.writer import Writer
from workbench.symbols import SymbolTable

GROUP = 50

COMMON = """
import sys
import numpy as np
from workbench.records import Batch, empty
from workbench.store.store import open_store
from workbench.symbols import SymbolTable

path = sys.argv[1]
table = SymbolTable(["BTC-USD"])

def group(number):
    trades = empty("trade", 50)
    trades["time"] = trades["id"] = number * 50 + np.arange(50)
    bars = empty("bar", 1)
    bars["time"], bars["timeframe"], bars["state"] = number * 60, 60, 2
    bars["count"] = 50
    return [Batch("trade", trades), Batch("bar", bars)]
"""

WRITE = (
    COMMON
    + """
store = open_store(path)
number = int(sys.argv[2])
while True:
    store.append_many(group(number), table)
    print(number, flush=True)
    number += 1
"""
)

#: A store that is busy with a first group, while another waits, until it is told to go on.
BUSY = (
    COMMON
    + """
import threading
from workbench.store.writer import Writer

class Busy:
    wal_bytes = 0

    def append_many(self, batches, table):
        busy.set()
        sys.stdin.readline()
        sum(range(5_000_000))
        return 0

busy = threading.Event()
writer = Writer(Busy(), table)
writer.put(group(0)[0])
busy.wait()
writer.put(group(1)[0])
told = []
closing = threading.Thread(target=lambda: told.append(writer.close(4.0)))
closing.start()
while not writer._closing:
    pass
with writer._wake:  # which is free once it waits
    print("closing", flush=True)
closing.join()
print(told, writer.stats.queued, flush=True)
"""
)

REVISE = (
    COMMON
    + """
store = open_store(path)
revision = int(sys.argv[2])
while True:
    bars = empty("bar", 20)
    bars["time"], bars["timeframe"], bars["state"] = np.arange(20), 60, 2 if revision == 0 else 3
    bars["revision"] = revision
    store.append(Batch("bar", bars, known=revision + 1), table)
    trades = empty("trade", 20)
    trades["id"], trades["price"] = np.arange(20), revision
    store.amend_trades(trades, table, known=revision + 1)
    print(revision, flush=True)
    revision += 1
"""
)

READ = (
    COMMON
    + """
store = open_store(path, mode="ro")
print("ready", flush=True)
seen = looks = 0
while seen < int(sys.argv[2]):
    rows = store.rows("trade", "BTC-USD")
    assert len(rows) >= seen and len(rows) % 50 == 0, (len(rows), seen)
    assert (np.diff(rows["time"]) == 1).all()
    last = store.rows("trade", "BTC-USD", last=100)
    assert len(last) >= min(100, len(rows))
    seen = len(rows)
    looks += 1
store.close()
print(looks, flush=True)
"""
)

HOLD = (
    COMMON
    + """
store = open_store(path)
print("held", flush=True)
sys.stdin.read()
"""
)

CREATE = """
import sqlite3, sys
from workbench.store import schema
connection = sqlite3.connect(sys.argv[1], timeout=900, isolation_level=None)
sys.stdin.readline()
schema.create(connection, sys.argv[1])
connection.close()
"""


def python(code: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def trades(first: int, n: int) -> Rows:
    rows = empty("trade", n)
    rows["time"] = rows["id"] = np.arange(first, first + n)
    return rows


def test_a_machine_that_is_suspended_while_it_closes_loses_nothing(
    tmp_path: Path, poll_for: Callable[..., None]
) -> None:
    child = python(BUSY, tmp_path)
    try:
        assert child.stdout is not None
        assert child.stdin is not None
        assert child.stdout.readline() == "closing\n"
        child.send_signal(signal.SIGSTOP)
        end_of_patience = time.monotonic() + 4.5
        poll_for(lambda: time.monotonic() > end_of_patience)
        child.stdin.write("\n\n")
        child.stdin.flush()
        child.send_signal(signal.SIGCONT)
        out, _ = child.communicate(timeout=300)
    finally:
        end(child)
    assert out == "[True] 0\n"


def test_another_process_reads_while_this_one_writes(tmp_path: Path) -> None:
    table = SymbolTable(["BTC-USD"])
    with open_store(tmp_path / "m.db") as store:
        reader = python(READ, store.info()["path"], 200 * GROUP)
        try:
            assert reader.stdout is not None
            assert reader.stdout.readline() == "ready\n"
            for number in range(200):
                store.append(Batch("trade", trades(number * GROUP, GROUP)), table)
            out, _ = reader.communicate(timeout=900)
        finally:
            end(reader)
        assert reader.returncode == 0
        assert int(out) >= 1


def test_what_a_reader_sees_inside_the_writers_transaction_is_the_last_commit(
    tmp_path: Path,
) -> None:
    table = SymbolTable(["BTC-USD"])
    with SqliteStore(tmp_path / "m.db") as store:
        store.append(Batch("trade", trades(0, GROUP)), table)
        assert store._write is not None
        store._write.execute("BEGIN IMMEDIATE")
        store._write.execute("DELETE FROM trades")
        reader = python(READ, tmp_path / "m.db", GROUP)
        try:
            reader.communicate(timeout=900)
        finally:
            end(reader)
        assert reader.returncode == 0
        store._write.execute("ROLLBACK")


def test_a_second_process_cannot_write_and_is_told_who_does(tmp_path: Path) -> None:
    holder = python(HOLD, tmp_path / "m.db")
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(StoreBusyError, match=f"in process {holder.pid} "):
            open_store(tmp_path / "m.db")
        with open_store(tmp_path / "m.db", mode="ro") as reader:
            assert len(reader.trades("BTC-USD")) == 0
    finally:
        end(holder)
    # The lock of a killed process is free, though its file is still there.
    assert (tmp_path / "m.db.lock").is_file()
    with open_store(tmp_path / "m.db") as store:
        assert store.append(Batch("trade", trades(0, 1)), SymbolTable(["BTC-USD"])) == 1


def test_processes_may_create_the_tables_at_once(tmp_path: Path) -> None:
    path = tmp_path / "m.db"
    makers = [python(CREATE, path) for _ in range(3)]
    try:
        for maker in makers:
            assert maker.stdin is not None
            maker.stdin.write("go\n")
            maker.stdin.flush()
        for maker in makers:
            maker.communicate(timeout=900)
            assert maker.returncode == 0
    finally:
        for maker in makers:
            end(maker)
    connection = sqlite3.connect(path)
    assert schema.version(connection) == schema.VERSION
    assert connection.execute("SELECT count(*) FROM schema_version").fetchone() == (1,)
    connection.close()


def test_killing_the_writer_loses_nothing_acknowledged_and_tears_nothing(tmp_path: Path) -> None:
    rng = random.Random(7)
    path = tmp_path / "m.db"
    acknowledged = -1
    for _ in range(6):
        writer = python(WRITE, path, acknowledged + 1)
        try:
            assert writer.stdout is not None
            for _ in range(rng.randint(1, 120)):
                acknowledged = int(writer.stdout.readline())
            threading.Event().wait(rng.random() * 0.02)  # anywhere within a transaction
            writer.kill()
            out = writer.stdout.read()
            # A line cut by the kill was not said.
            said = [line for line in out.splitlines(keepends=True) if line.endswith("\n")]
            acknowledged = int(said[-1]) if said else acknowledged
        finally:
            end(writer)
        with open_store(path) as store:
            rows = store.rows("trade", "BTC-USD")
            bars = store.rows("bar", "BTC-USD", timeframe="1m")
            groups = len(bars)
            # At most the one group that was committed but not yet said is there besides.
            assert acknowledged + 1 <= groups <= acknowledged + 2
            assert rows["time"].tolist() == list(range(groups * GROUP))
            acknowledged = groups - 1
        connection = sqlite3.connect(path)
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        connection.close()


def test_killing_the_writer_tears_no_revision_from_what_it_replaced(tmp_path: Path) -> None:
    rng = random.Random(3)
    path = tmp_path / "m.db"
    told = -1
    for _ in range(5):
        writer = python(REVISE, path, told + 1)
        try:
            assert writer.stdout is not None
            for _ in range(rng.randint(1, 60)):
                told = int(writer.stdout.readline())
            threading.Event().wait(rng.random() * 0.02)  # anywhere within a transaction
        finally:
            end(writer)
        with open_store(path) as store:
            bars = store.rows("bar", "BTC-USD", timeframe="1m")
            trades = store.rows("trade", "BTC-USD")
            (revision,) = set(bars["revision"].tolist())
            (price,) = set(trades["price"].tolist())
            assert told <= price
            # Amendments are a transaction of their own, after that of the bars.
            assert price in (revision, revision - 1)
            counts = {"bars": 20 * revision, "trades": 20 * int(price)}
            assert store.info()["revisions"] == counts
            for moment in range(1, revision + 2):
                then = store.rows("bar", "BTC-USD", timeframe="1m", as_of=moment)
                assert then["revision"].tolist() == [moment - 1] * 20
            told = int(price)  # bars that are told again are no news


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk takes root")
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("this machine lets nobody mount")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_waited_for_and_loses_nothing(small_disk: Path) -> None:
    table = SymbolTable(["BTC-USD"])
    path = small_disk / "m.db"
    beat = threading.Event()
    with open_store(path) as store:
        writer = Writer(store, table, group_seconds=0.005, retry_seconds=0.01)
        put = 0
        patience = time.monotonic() + 900
        while writer.stats.state == "running":
            if writer.stats.queued < 20_000:  # it may have to wait for its turn
                assert writer.put(Batch("trade", trades(put, 500)))
                put += 500
            beat.wait(0.002)
            assert time.monotonic() < patience
        assert writer.stats.state == "store_full"
        for _ in range(4):
            assert writer.put(Batch("trade", trades(put, 500)))
            put += 500
        with open_store(path, mode="ro") as reader:
            before = len(reader.trades("BTC-USD"))  # reading goes on
        assert before == writer.stats.written.get("trade", 0)
        command = ["mount", "-o", "remount,size=64m", str(small_disk)]
        subprocess.run(command, check=True, capture_output=True)
        assert writer.flush(900)
        assert writer.stats.state == "running"
        assert writer.stats.dropped == {}
        assert writer.close()
        rows = store.rows("trade", "BTC-USD")
        assert rows["time"].tolist() == list(range(put))
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()


class Slow(SqliteStore):
    """A store on a disk that takes its time, as a clock has it that nothing else moves."""

    def __init__(self, path: Path) -> None:
        self.slow = ManualClock()
        super().__init__(path, durability="normal")

    def append_many(self, batches: Iterable[Batch], table: SymbolTable) -> int:
        self.slow.advance(3.0)
        threading.Event().wait(0.05)  # who waits may look at it meanwhile
        return super().append_many(batches, table)


def test_a_slow_disk_is_waited_for_at_the_end_as_long_as_it_goes_on(tmp_path: Path) -> None:
    with Slow(tmp_path / "m.db") as store:
        writer = Writer(store, SymbolTable(["BTC-USD"]), clock=store.slow, group_seconds=0.001)
        for number in range(7):  # as many rows as one transaction takes at most
            assert writer.put(Batch("trade", trades(number * 20_000, 20_000)))
        # More than one of them takes, less than all do.
        assert writer.close(timeout=8.0)
        assert store.slow.monotonic() == 21.0
        assert len(store.rows("trade", "BTC-USD")) == 140_000
