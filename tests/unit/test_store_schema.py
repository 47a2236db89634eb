"""The tables, and the views that give them readable names."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from workbench.errors import StoreError
from workbench.records import CLOSED, Batch, empty
from workbench.store import schema
from workbench.store.store import open_store
from workbench.symbols import SymbolTable

START = 1_762_180_200_123_456_789  # 2025-11-03 14:30:00.123456789 UTC


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    opened = sqlite3.connect(tmp_path / "market.db", isolation_level=None)
    yield opened
    opened.close()


def ask(path: Path, query: str) -> list[dict[str, object]]:
    reader = sqlite3.connect(path)
    reader.row_factory = sqlite3.Row
    rows = [dict(row) for row in reader.execute(query)]
    reader.close()
    return rows


def test_creating_twice_changes_nothing(connection: sqlite3.Connection) -> None:
    assert schema.version(connection) is None
    schema.create(connection, "m.db")
    before = connection.execute("SELECT sql FROM sqlite_master ORDER BY name").fetchall()
    schema.create(connection, "m.db")
    assert connection.execute("SELECT sql FROM sqlite_master ORDER BY name").fetchall() == before
    assert schema.version(connection) == schema.VERSION
    assert connection.execute("SELECT count(*) FROM schema_version").fetchone() == (1,)


def test_creation_that_fails_leaves_nothing(connection: sqlite3.Connection) -> None:
    connection.execute("CREATE TABLE trades (x)")
    with pytest.raises(StoreError, match="another program"):
        schema.create(connection, "m.db")
    assert not connection.in_transaction
    assert connection.execute("SELECT count(*) FROM sqlite_master").fetchone() == (1,)


def test_every_read_of_a_series_goes_by_its_key(connection: sqlite3.Connection) -> None:
    from workbench.store.layout import LAYOUTS
    from workbench.store.statements import Range, statement

    schema.create(connection, "m.db")
    for layout in LAYOUTS.values():
        for within in (Range(), Range(1, 2), Range(last=100), Range(cancelled=False)):
            for after in (None, (0,) * len(layout.order)):
                key = (1,) * len(layout.series)
                text, values = statement(
                    layout, key, within, after, newest_first=within.last is not None
                )
                plan = connection.execute(f"EXPLAIN QUERY PLAN {text}", (*values, 10)).fetchall()
                (step,) = (row[3] for row in plan)
                assert step.startswith("SEARCH a USING PRIMARY KEY (sid=?"), plan


def test_every_read_as_of_a_moment_goes_by_keys_and_sorts_nothing(
    connection: sqlite3.Connection,
) -> None:
    from workbench.store.layout import LAYOUTS
    from workbench.store.statements import Range, statement

    schema.create(connection, "m.db")
    for layout in LAYOUTS.values():
        for within in (
            Range(as_of=5),
            Range(1, 2, as_of=5, cancelled=False),
            Range(last=9, as_of=5),
        ):
            for after in (None, (0,) * len(layout.order)):
                key = (1,) * len(layout.series)
                text, values = statement(
                    layout, key, within, after, newest_first=within.last is not None
                )
                plan = connection.execute(f"EXPLAIN QUERY PLAN {text}", (*values, 10)).fetchall()
                steps = [row[3] for row in plan]
                assert not [step for step in steps if step.startswith("SCAN")], steps
                assert not [step for step in steps if "TEMP B-TREE" in step], steps


def test_trades_read_as_the_logical_table(tmp_path: Path) -> None:
    rows = empty("trade", 4)
    rows["time"] = [START, START + 1, START + 2, -1]
    rows["side"] = [1, -1, 0, 0]
    rows["id"] = [7, (1 << 64) - 1, 1 << 63, 0]
    rows["conditions"] = [0, 14, 14 | 41 << 8, 1 | 2 << 8 | 3 << 16 | 255 << 24]
    rows["price"], rows["size"], rows["exchange"] = 10.5, 3.0, 4
    with open_store(tmp_path / "m.db") as store:
        store.append(Batch("trade", rows), SymbolTable(["BTC-USD"]))
    found = ask(tmp_path / "m.db", "SELECT * FROM trades_data ORDER BY ts")
    assert {row["symbol"] for row in found} == {"BTC-USD"}
    assert [row["timestamp"] for row in found] == [
        "1969-12-31T23:59:59.999999999Z",
        "2025-11-03T14:30:00.123456789Z",
        "2025-11-03T14:30:00.123456790Z",
        "2025-11-03T14:30:00.123456791Z",
    ]
    assert [row["side"] for row in found] == ["unknown", "buy", "sell", "unknown"]
    assert [row["trade_id"] for row in found] == [
        "0", "7", "18446744073709551615", "9223372036854775808",
    ]  # fmt: skip
    assert [row["conditions"] for row in found] == ["1,2,3,255", "", "14", "14,41"]
    assert (found[1]["price"], found[1]["size"], found[1]["exchange_id"]) == (10.5, 3.0, 4)


def test_quotes_read_as_the_logical_table(tmp_path: Path) -> None:
    rows = empty("quote", 1)
    rows["time"], rows["bid"], rows["bid_size"] = START, 1.0, 2.0
    rows["ask"], rows["ask_size"], rows["bid_exchange"] = 3.0, 4.0, 5
    with open_store(tmp_path / "m.db") as store:
        store.append(Batch("quote", rows), SymbolTable(["AAPL"]))
    (found,) = ask(tmp_path / "m.db", "SELECT * FROM quotes_data")
    assert found["symbol"] == "AAPL"
    assert (found["bid_price"], found["bid_size"]) == (1.0, 2.0)
    assert (found["ask_price"], found["ask_size"]) == (3.0, 4.0)
    assert (found["exchange_id"], found["sequence"]) == (5, "0")


def test_bars_read_as_the_logical_table_once_each(tmp_path: Path) -> None:
    rows = empty("bar", 7)
    rows["timeframe"] = [60, 60, 300, 3600, 86_400, 604_800, 90]
    rows["origin"] = [0, 1, 1, 0, 0, 0, 0]
    rows["state"], rows["count"], rows["close"] = CLOSED, 9, 2.5
    with open_store(tmp_path / "m.db") as store:
        store.append(Batch("bar", rows), SymbolTable(["AAPL"]))
    found = ask(tmp_path / "m.db", "SELECT * FROM market_data")
    assert {(row["timeframe"], row["origin"]) for row in found} == {
        ("1m", "own"), ("5m", "provider"), ("1h", "own"), ("1d", "own"), ("1w", "own"),
        ("90s", "own"),
    }  # fmt: skip
    assert len(found) == 6
    assert found[0]["trade_count"] == 9
    assert found[0]["close"] == 2.5
