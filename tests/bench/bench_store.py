"""Measure the store against a bare SQLite table holding the same rows, in the same run.

Run it as a script. Ratios are ours over the floor (1.0 is as fast as bare SQLite); absolute
figures depend on the disk and on who else uses it.
"""

from __future__ import annotations

import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from time import perf_counter

import numpy as np

from workbench.records import CLOSED, Batch, Rows, empty
from workbench.store.sqlite import SqliteStore
from workbench.store.store import open_store
from workbench.store.writer import Writer
from workbench.symbols import SymbolTable

__all__ = ["main"]

ROUNDS = 5
SYMBOLS = [f"S{number}" for number in range(100)]
TABLE = SymbolTable(SYMBOLS)
RNG = np.random.default_rng(1)
START = 1_762_180_200_000_000_000

FLOOR = """
CREATE TABLE trades (sid INTEGER, ts INTEGER, seq INTEGER, exch INTEGER, id INTEGER,
  received INTEGER, price REAL, size REAL, side INTEGER, conds INTEGER, flags INTEGER,
  PRIMARY KEY (sid, ts, seq, exch, id)) WITHOUT ROWID;
CREATE TABLE bars (sid INTEGER, tf INTEGER, origin INTEGER, ts INTEGER, open REAL, high REAL,
  low REAL, close REAL, volume REAL, vwap REAL, n INTEGER, volume_rest REAL, notional REAL,
  notional_rest REAL, rev INTEGER, state INTEGER,
  PRIMARY KEY (sid, tf, origin, ts)) WITHOUT ROWID;
"""
FIELDS = {
    "trades": "symbol time sequence exchange id received price size side conditions flags",
    "bars": "symbol timeframe origin time open high low close volume vwap count volume_rest "
    "notional notional_rest revision state",
}

BUSY = """
import sys, time
import numpy as np
from workbench.records import Batch, empty
from workbench.store.store import open_store
from workbench.symbols import SymbolTable
table = SymbolTable([f"S{n}" for n in range(100)])
store = open_store(sys.argv[1])
begun, sent, at = time.perf_counter(), 0, int(sys.argv[2])
print("go", flush=True)
while True:
    rows = empty("trade", 100)
    rows["time"] = rows["id"] = at + np.arange(100)
    rows["symbol"] = np.arange(100)
    store.append(Batch("trade", rows), table)
    at, sent = at + 100, sent + 100
    time.sleep(max(0.0, begun + sent / 10_000 - time.perf_counter()))
"""


def trades(first: int, n: int) -> Rows:
    rows = empty("trade", n)
    rows["time"] = START + (first + np.arange(n)) * 1_000
    rows["received"] = rows["time"] + 40_000_000
    rows["sequence"] = rows["id"] = first + np.arange(n)
    rows["symbol"] = RNG.integers(0, len(SYMBOLS), n)
    rows["price"] = np.round(RNG.uniform(10, 500, n), 2)
    rows["size"] = RNG.integers(1, 500, n)
    rows["side"] = 1
    return rows


def bars(minute: int, revision: int) -> Rows:
    rows = empty("bar", len(SYMBOLS))
    rows["symbol"] = np.arange(len(SYMBOLS))
    rows["time"], rows["timeframe"] = START + minute * 60_000_000_000, 60
    rows["revision"], rows["state"] = revision, CLOSED
    for name in ("open", "high", "low", "close", "vwap"):
        rows[name] = np.round(RNG.uniform(10, 500, len(rows)), 2)
    rows["volume"] = RNG.integers(1, 10_000, len(rows))
    rows["notional"], rows["count"] = rows["volume"] * rows["vwap"], 50
    return rows


def floor(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA page_size = 8192")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.executescript(FLOOR)
    return connection


def bare(connection: sqlite3.Connection, rows: Rows, table: str) -> None:
    # The same unsigned numbers fit here, since the bench makes small ones.
    names = FIELDS[table].split()
    columns = [rows[name].tolist() for name in names]
    verb = "IGNORE" if table == "trades" else "REPLACE"
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany(
        f"INSERT OR {verb} INTO {table} VALUES ({', '.join('?' * len(names))})",
        zip(*columns, strict=True),
    )
    connection.execute("COMMIT")


def rate(work: Callable[[Rows], object], groups: list[Rows]) -> float:
    begun = perf_counter()
    for rows in groups:
        work(rows)
    return sum(map(len, groups)) / (perf_counter() - begun)


def compare(title: str, make: Callable[[int], list[Rows]], table: str) -> None:
    """Print medians of both, alternating them round by round."""
    kind = "trade" if table == "trades" else "bar"
    ours, theirs = [], []
    with tempfile.TemporaryDirectory() as folder, open_store(Path(folder) / "ours.db") as store:
        other = floor(Path(folder) / "floor.db")
        for turn in range(ROUNDS):
            groups = make(turn)
            theirs.append(rate(lambda rows: bare(other, rows, table), groups))
            ours.append(rate(lambda rows: store.append(Batch(kind, rows), TABLE), groups))
        other.close()
    mine, base = statistics.median(ours), statistics.median(theirs)
    print(f"{title:<44}{mine:>12,.0f} rows/s{base:>12,.0f} floor{mine / base:>7.2f}x")


def appends() -> None:
    for size, count in ((1, 200), (100, 100), (10_000, 4)):

        def make(turn: int, size: int = size, count: int = count) -> list[Rows]:
            first = turn * size * count
            return [trades(first + group * size, size) for group in range(count)]

        compare(f"durable append, batch {size:,}", make, "trades")
    compare(
        "bars of 100 symbols, new ones",
        lambda turn: [bars(50 * turn + minute, 0) for minute in range(50)],
        "bars",
    )
    # The floor forgets what it replaces.
    compare(
        "bars of 100 symbols, revised 49 times",
        lambda turn: [bars(turn, revision) for revision in range(50)],
        "bars",
    )


def through_the_writer() -> None:
    batches = [Batch("trade", trades(first, 20)) for first in range(0, 100_000, 20)]
    with tempfile.TemporaryDirectory() as folder, open_store(Path(folder) / "m.db") as store:
        writer = Writer(store, TABLE)
        begun = perf_counter()
        for batch in batches:
            writer.put(batch)
        put = perf_counter() - begun
        writer.close()
        took = perf_counter() - begun
    print(
        f"{'writer thread, batches of 20':<44}{100_000 / took:>12,.0f} rows/s, "
        f"put {put / len(batches) * 1e6:.1f} us, {writer.stats.commits} commits"
    )


def microseconds(work: Callable[[int], object], n: int = 400) -> list[float]:
    times = []
    for number in range(n):
        begun = perf_counter()
        work(number % len(SYMBOLS))
        times.append((perf_counter() - begun) * 1e6)
    return sorted(times)


def last_hundred() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "m.db"
        with SqliteStore(path, durability="normal") as store:
            for minute in range(2_000):
                store.append(Batch("bar", bars(minute, 0)), TABLE)
            store.append(Batch("trade", trades(0, 200_000)), TABLE)
        code = [sys.executable, "-c", BUSY, str(path), str(START + 10**15)]
        busy = subprocess.Popen(code, stdout=subprocess.PIPE, text=True)
        try:
            assert busy.stdout is not None
            busy.stdout.readline()
            reader = open_store(path, mode="ro")
            plain = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, isolation_level=None)
            text = (
                "SELECT * FROM bars WHERE sid=? AND tf=60 AND origin=0 ORDER BY ts DESC LIMIT 100"
            )
            looks = {
                "rows": lambda n: reader.rows("bar", SYMBOLS[n], timeframe="1m", last=100),
                "bars (DataFrame)": lambda n: reader.bars(SYMBOLS[n], "1m", last=100),
                "trades (DataFrame)": lambda n: reader.trades(SYMBOLS[n], last=100),
            }
            base = microseconds(lambda n: plain.execute(text, (n + 1,)).fetchall())
            base_p50 = base[len(base) // 2]
            for name, look in looks.items():
                times = microseconds(look)
                p50, p99 = times[len(times) // 2], times[int(len(times) * 0.99)]
                print(
                    f"{'last 100 while 10k rows/s are written: ' + name:<58}"
                    f"p50 {p50:,.0f} us, p99 {p99:,.0f} us; floor p50 {base_p50:,.0f} us, "
                    f"{p50 / base_p50:.2f}x"
                )
            reader.close()
            plain.close()
        finally:
            busy.kill()
            busy.communicate()


def as_of() -> None:
    """Print what a read costs that goes back to what was known before, over a plain one."""
    moment = START + 10**15
    with tempfile.TemporaryDirectory() as folder, open_store(Path(folder) / "m.db") as store:
        for minute in range(2_000):
            store.append(Batch("bar", bars(minute, 0), known=moment - 1), TABLE)
        for minute in range(0, 2_000, 20):  # one of twenty was revised since
            store.append(Batch("bar", bars(minute, 1), known=moment + 1), TABLE)
        rows = trades(0, 100_000)
        store.append(Batch("trade", rows), TABLE)
        store.amend_trades(rows[::100], TABLE, moment + 1)

        def bars_of(n: int, when: int | None, last: int | None = 100) -> Rows:
            return store.rows("bar", SYMBOLS[n], timeframe="1m", last=last, as_of=when)

        def trades_of(n: int, when: int | None) -> Rows:
            return store.rows("trade", SYMBOLS[n], last=100, as_of=when)

        def all_bars(n: int, when: int | None) -> Rows:
            return bars_of(n, when, None)

        for name, look in (
            ("last 100 bars", bars_of),
            ("last 100 trades", trades_of),
            ("all bars", all_bars),
        ):
            plain, then = [], []
            for _ in range(ROUNDS):
                plain += microseconds(partial(look, when=None), 100)
                then += microseconds(partial(look, when=moment), 100)
            one, other = statistics.median(plain), statistics.median(then)
            print(
                f"{'as of a moment: ' + name:<44}{other:>12,.0f} us, plain {one:,.0f} us, "
                f"{other / one:.2f}x"
            )


def size_and_full_read() -> None:
    with tempfile.TemporaryDirectory() as folder:
        for kind in ("trade", "bar"):
            path = Path(folder) / f"{kind}.db"
            with SqliteStore(path, durability="normal") as store:
                if kind == "trade":
                    store.append(Batch("trade", trades(0, 500_000)), TABLE)
                else:
                    for minute in range(5_000):
                        store.append(Batch("bar", bars(minute, 0)), TABLE)
            size = os.stat(path).st_size / 500_000
            with open_store(path, mode="ro") as store:
                begun = perf_counter()
                rows = sum(
                    len(store.rows(kind, name, timeframe="1m" if kind == "bar" else None))
                    for name in SYMBOLS
                )
                read = perf_counter() - begun
                begun = perf_counter()
                store.coverage()
                counted = perf_counter() - begun
            print(
                f"{'500,000 ' + kind + 's of 100 symbols':<44}{size:>8.1f} bytes a row, "
                f"full read {rows / read:,.0f} rows/s, coverage {counted * 1e3:,.0f} ms"
            )


def main() -> None:
    """Print all figures."""
    print(f"SQLite {sqlite3.sqlite_version}, medians of {ROUNDS} alternating rounds")
    appends()
    through_the_writer()
    last_hundred()
    as_of()
    size_and_full_read()


if __name__ == "__main__":
    main()
