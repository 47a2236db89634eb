"""What was known before: revised bars, amended trades, and stores that did not note it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from workbench.clock import ManualClock
from workbench.errors import StoreError, UnknownTimeframeError
from workbench.records import CANCELLED, CLOSED, REVISED, Batch, Rows, empty
from workbench.store import schema
from workbench.store.connection import open_writer
from workbench.store.sqlite import SqliteStore
from workbench.store.store import open_store
from workbench.symbols import SymbolTable

S = 10**9
MINUTE = 60 * S
START = 1_762_180_200 * S  # 2025-11-03 14:30 UTC
TABLE = SymbolTable(["BTC-USD"])
OLD = Path(__file__).with_name("store_v2.sql")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    clock = ManualClock(START)
    with SqliteStore(tmp_path / "market.db", durability="normal", clock=clock) as opened:
        yield opened


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A store as a program that knew of no revisions left it."""
    path = tmp_path / "old.db"
    connection = sqlite3.connect(path)
    connection.executescript(OLD.read_text(encoding="utf-8"))
    connection.close()
    return path


def bar(close: float, revision: int = 0, *, minute: int = 0, origin: int = 0) -> Rows:
    rows = empty("bar", 1)
    rows["time"], rows["timeframe"], rows["origin"] = START + minute * MINUTE, 60, origin
    rows["close"], rows["revision"] = close, revision
    rows["state"] = REVISED if revision else CLOSED
    return rows


def trade(number: int, price: float, *, received: int = 0, flags: int = 0) -> Rows:
    rows = empty("trade", 1)
    rows["time"], rows["id"], rows["price"] = START + number, number, price
    rows["received"], rows["size"], rows["flags"] = received, 1.0, flags
    rows["side"] = 1
    return rows


def closes(store: SqliteStore, as_of: int | None = None) -> list[float]:
    found: list[float] = store.bars("BTC-USD", "1m", as_of=as_of)["close"].tolist()
    return found


def prices(store: SqliteStore, as_of: int | None = None, *, cancelled: bool = False) -> list[float]:
    frame = store.trades("BTC-USD", as_of=as_of, cancelled=cancelled)
    found: list[float] = frame["price"].tolist()
    return found


# -- bars ------------------------------------------------------------------------------


def test_a_revision_is_in_force_from_when_it_became_known(store: SqliteStore) -> None:
    for close, revision, known in ((1.0, 0, 100), (2.0, 1, 200), (3.0, 2, 300)):
        assert store.append(Batch("bar", bar(close, revision), known=known), TABLE) == 1
    seen = {moment: closes(store, moment) for moment in (1, 99, 100, 199, 200, 299, 300, 10**18)}
    assert seen == {
        1: [], 99: [], 100: [1.0], 199: [1.0], 200: [2.0], 299: [2.0], 300: [3.0], 10**18: [3.0],
    }  # fmt: skip
    assert closes(store) == [3.0]
    assert store.info()["revisions"] == {"trades": 0, "bars": 2}
    assert store.info()["rows"]["bars"] == 1


def test_rows_that_tell_no_time_are_known_when_they_are_written(tmp_path: Path) -> None:
    clock = ManualClock(START)
    with SqliteStore(tmp_path / "m.db", clock=clock) as store:
        store.append(Batch("bar", bar(1.0)), TABLE)
        clock.advance(1.0)
        store.append(Batch("bar", bar(2.0, 1)), TABLE)
        assert closes(store, START - 1) == []
        assert closes(store, START + S - 1) == [1.0]
        assert closes(store, START + S) == [2.0]
        # Several batches of one transaction keep each its own.
        clock.advance(1.0)
        batches = [Batch("bar", bar(5.0, minute=1), known=7), Batch("bar", bar(6.0, minute=2))]
        assert store.append_many(batches, TABLE) == 2
        assert closes(store, 7) == [5.0]
        assert closes(store, START + 2 * S) == [2.0, 5.0, 6.0]


def test_the_same_content_told_again_is_known_since_it_was_told_first(store: SqliteStore) -> None:
    assert store.append(Batch("bar", bar(1.0), known=100), TABLE) == 1
    for known in (50, 200):
        assert store.append(Batch("bar", bar(1.0), known=known), TABLE) == 0
    assert closes(store, 99) == []
    assert closes(store, 100) == [1.0]
    assert store.append(Batch("bar", bar(9.0, 2), known=300), TABLE) == 1
    late = Batch("bar", bar(5.0, 1), known=400)
    assert store.append(late, TABLE) == 0, "an older revision comes too late to change anything"
    assert closes(store, 500) == [9.0]
    assert len(store.revisions("BTC-USD", "1m", START)) == 2


def test_one_batch_may_revise_a_bar_several_times(store: SqliteStore) -> None:
    rows = np.concatenate([bar(float(n), n) for n in range(120)])
    assert store.append(Batch("bar", rows, known=100), TABLE) == 120
    assert store.info()["revisions"]["bars"] == 119
    assert closes(store, 100) == [119.0]
    assert closes(store, 99) == []


def test_the_newest_bars_as_of_a_moment(store: SqliteStore) -> None:
    for minute in range(50):
        store.append(Batch("bar", bar(1.0, minute=minute), known=1_000 + minute), TABLE)
    rows = np.concatenate([bar(2.0, 1, minute=minute) for minute in range(10, 50)])
    store.append(Batch("bar", rows, known=2_000), TABLE)
    found = store.rows("bar", "BTC-USD", timeframe="1m", last=5, as_of=1_029)
    assert ((found["time"] - START) // MINUTE).tolist() == [25, 26, 27, 28, 29]
    assert found["close"].tolist() == [1.0] * 5
    found = store.rows(
        "bar", "BTC-USD", timeframe="1m", start=START + 8 * MINUTE, end=START + 12 * MINUTE,
        as_of=2_000,
    )  # fmt: skip
    assert found["close"].tolist() == [1.0, 1.0, 2.0, 2.0]


def test_which_bars_are_preferred_is_what_was_known_then(store: SqliteStore) -> None:
    store.append(Batch("bar", bar(7.0, origin=1), known=100), TABLE)
    store.append(Batch("bar", bar(1.0), known=200), TABLE)
    store.append(Batch("bar", bar(2.0, 1), known=300), TABLE)
    assert closes(store, 99) == []
    assert closes(store, 150) == [7.0], "of our own there was none yet"
    assert closes(store, 250) == [1.0]
    assert store.bars("BTC-USD", "1m", origin=1, as_of=250)["close"].tolist() == [7.0]
    assert store.bars("BTC-USD", "1m", origin=0, as_of=150).empty


def test_as_of_is_any_way_to_write_a_time(store: SqliteStore) -> None:
    known = pd.Timestamp("2025-11-03 14:31:05Z")
    store.append(Batch("bar", bar(1.0), known=known.value), TABLE)
    assert len(store.bars("BTC-USD", "1m", as_of="2025-11-03 14:31:05")) == 1
    assert len(store.bars("BTC-USD", "1m", as_of=known - pd.Timedelta(1, "ns"))) == 0
    with pytest.raises(ValueError, match="not a time"):
        store.bars("BTC-USD", "1m", as_of="some day")


def test_everything_a_bar_said_is_a_table(store: SqliteStore) -> None:
    for close, revision, known in ((1.0, 0, 100), (2.0, 1, 300), (3.0, 1, 200)):
        rows = bar(close, revision)
        rows["vwap"] = np.nan if revision == 0 else close
        store.append(Batch("bar", rows, known=known), TABLE)
    table = store.revisions("btc-usd", 60, "2025-11-03 14:30")
    assert list(table.columns)[:4] == ["known", "until", "time", "open"]
    assert table["close"].tolist() == [1.0, 2.0, 3.0]
    assert table["revision"].tolist() == [0, 1, 1]
    assert [stamp.value for stamp in table["known"]] == [100, 300, 200]
    # The second one was known later than what replaced it: it never was in force.
    assert [stamp.value for stamp in table["until"][:2]] == [200, 200]
    assert table["until"].isna().tolist() == [False, False, True]
    assert np.isnan(table["vwap"][0])
    for nothing in (
        store.revisions("BTC-USD", "1m", START + 1),
        store.revisions("BTC-USD", "5m", START),
        store.revisions("BTC-USD", "1m", START, origin=1),
        store.revisions("AAPL", "1m", START),
    ):
        assert nothing.empty
        assert nothing.dtypes.equals(table.dtypes)
    with pytest.raises(UnknownTimeframeError):
        store.revisions("BTC-USD", "1fortnight", START)


def test_a_transaction_that_fails_keeps_no_revision(store: SqliteStore) -> None:
    store.append(Batch("bar", bar(1.0), known=100), TABLE)
    bad = bar(2.0, 1, minute=1)
    bad["open"] = np.nan
    with pytest.raises(ValueError, match="open"):
        store.append(Batch("bar", np.concatenate([bar(2.0, 1), bad]), known=200), TABLE)
    assert closes(store) == closes(store, 300) == [1.0]
    assert store.info()["revisions"]["bars"] == 0


def test_other_programs_see_when_a_bar_became_known(store: SqliteStore) -> None:
    store.append(Batch("bar", bar(1.0), known=START + 1), TABLE)
    with store.reading() as connection:
        (known,) = connection.execute("SELECT known FROM market_data").fetchone()
    assert known == "2025-11-03T14:30:00.000000001Z"


# -- trades and quotes -----------------------------------------------------------------


def test_trades_and_quotes_are_known_when_they_are_received(store: SqliteStore) -> None:
    rows = np.concatenate([trade(n, float(n), received=100 * n) for n in (1, 2, 3)])
    store.append(Batch("trade", rows), TABLE)
    quotes = empty("quote", 2)
    quotes["time"], quotes["received"], quotes["bid"] = START, [100, 200], [1.0, 2.0]
    store.append(Batch("quote", quotes), TABLE)
    assert prices(store, 99) == []
    assert prices(store, 200) == [1.0, 2.0]
    assert store.trades("BTC-USD", last=1, as_of=200)["price"].tolist() == [2.0]
    assert store.quotes("BTC-USD", as_of=199)["bid"].tolist() == [1.0]


def test_an_amended_trade_says_what_it_says_now_and_what_it_said_then(store: SqliteStore) -> None:
    store.append(Batch("trade", trade(1, 10.0, received=100)), TABLE)
    better = trade(1, 11.0, received=999)
    better["size"], better["conditions"], better["side"] = 5.0, 14, -1
    assert store.amend_trades(better, TABLE, known=200) == 1
    assert store.amend_trades(better, TABLE, known=250) == 0, "that was known"
    assert store.amend_trades(trade(1, 12.0), TABLE, known=300) == 1
    assert [prices(store, moment) for moment in (99, 100, 199, 200, 299, 300)] == [
        [], [10.0], [10.0], [11.0], [11.0], [12.0],
    ]  # fmt: skip
    then = store.rows("trade", "BTC-USD", as_of=250)
    assert (then["size"][0], then["conditions"][0]) == (5.0, 14)
    assert (then["received"][0], then["side"][0]) == (100, 1), "these are the first report's"
    assert store.info()["revisions"] == {"trades": 2, "bars": 0}
    # A delivery again is still no news.
    assert store.append(Batch("trade", trade(1, 10.0, received=400)), TABLE) == 0
    assert prices(store) == [12.0]


def test_cancelled_trades_are_left_out_unless_asked_for(store: SqliteStore) -> None:
    rows = np.concatenate([trade(n, float(n), received=100) for n in range(1, 6)])
    store.append(Batch("trade", rows), TABLE)
    gone = np.concatenate([trade(n, float(n), flags=CANCELLED | 6) for n in (4, 5)])
    assert store.amend_trades(gone, TABLE, known=200) == 2
    assert prices(store) == prices(store, 200) == [1.0, 2.0, 3.0]
    assert prices(store, cancelled=True) == prices(store, 199) == [1.0, 2.0, 3.0, 4.0, 5.0]
    assert store.trades("BTC-USD", last=2)["price"].tolist() == [2.0, 3.0]
    assert store.trades("BTC-USD", last=2, as_of=150)["price"].tolist() == [4.0, 5.0]
    marks = store.rows("trade", "BTC-USD", cancelled=True)["flags"].tolist()
    assert marks == [0, 0, 0, 22, 22]
    assert store.rows("trade", "BTC-USD", cancelled=True, as_of=199)["flags"].tolist() == [0] * 5
    with store.reading() as connection:
        assert connection.execute("SELECT count(*) FROM trades_data").fetchone() == (3,)
    # A cancel that was a mistake.
    assert store.amend_trades(trade(4, 4.0), TABLE, known=300) == 1
    assert prices(store) == [1.0, 2.0, 3.0, 4.0]
    assert prices(store, 250) == [1.0, 2.0, 3.0]


def test_what_amends_a_trade_that_has_not_come_stands_when_it_comes(store: SqliteStore) -> None:
    assert store.amend_trades(trade(1, 10.0, flags=CANCELLED), TABLE, known=200) == 1
    assert store.append(Batch("trade", trade(1, 10.0, received=100)), TABLE) == 0
    assert prices(store) == []
    assert prices(store, cancelled=True) == [10.0]
    assert prices(store, 199, cancelled=True) == []
    assert store.rows("trade", "BTC-USD", cancelled=True)["received"].tolist() == [200]


def test_one_amendment_may_hold_a_trade_twice(store: SqliteStore) -> None:
    store.append(Batch("trade", trade(1, 10.0, received=100)), TABLE)
    twice = np.concatenate([trade(1, 11.0), trade(1, 12.0)])
    assert store.amend_trades(twice, TABLE) == 2  # known now, at START
    assert prices(store) == prices(store, START) == [12.0]
    assert prices(store, START - 1) == [10.0]


def test_an_amendment_that_does_not_fit_changes_nothing(store: SqliteStore) -> None:
    store.append(Batch("trade", trade(1, 10.0, received=100)), TABLE)
    with pytest.raises(ValueError, match="price"):
        store.amend_trades(np.concatenate([trade(1, 11.0), trade(1, np.nan)]), TABLE)
    with pytest.raises(TypeError, match="TRADE"):
        store.amend_trades(bar(1.0), TABLE)
    assert prices(store) == prices(store, 10**18) == [10.0]
    assert store.info()["revisions"]["trades"] == 0
    with (
        open_store(store.path, mode="ro") as reader,
        pytest.raises(StoreError, match='mode="ro"'),
    ):
        reader.amend_trades(trade(1, 11.0), TABLE)


def test_amended_trades_of_unknown_symbols_get_a_number(store: SqliteStore) -> None:
    both = SymbolTable(["BTC-USD", "AAPL"])
    rows = trade(1, 10.0)
    rows["symbol"] = 1
    assert store.amend_trades(rows, both) == 1
    assert store.trades("AAPL")["price"].tolist() == [10.0]
    with pytest.raises(ValueError, match="no symbol has number 1"):
        store.amend_trades(rows, TABLE)


# -- stores of an older version --------------------------------------------------------


def test_an_older_store_is_read_as_it_is(old: Path) -> None:
    before = old.read_bytes()
    with SqliteStore(old, mode="ro") as reader:
        assert closes(reader) == [9.0, 9.0, 3.0, 4.0]
        assert closes(reader, 5) == [9.0, 9.0, 3.0, 4.0], "known ever since, for all we know"
        assert prices(reader) == [100.5, 101.0, 102.0]
        assert prices(reader, START + 110) == [100.5, 101.0]
        assert len(reader.quotes("BTC-USD", as_of=START + 49)) == 0
        table = reader.revisions("BTC-USD", "1m", START)
        assert table["close"].tolist() == [9.0]
        assert table["known"].isna().all()
        assert reader.info()["schema_version"] == 2
        assert reader.info()["revisions"] == {}
    assert old.read_bytes() == before


def test_an_older_store_goes_on_with_all_that_is_in_it(old: Path) -> None:
    with SqliteStore(old, mode="ro") as reader, SqliteStore(old) as store:
        assert store.info()["schema_version"] == schema.VERSION
        assert store.info()["rows"] == {"trades": 3, "quotes": 2, "bars": 6}
        assert closes(store) == closes(store, 5) == [9.0, 9.0, 3.0, 4.0]
        assert prices(store) == [100.5, 101.0, 102.0]
        assert len(store.bars("AAPL", "5m")) == 2
        assert len(store.intervals()) == 1
        assert store.append(Batch("bar", bar(10.0, 2), known=100), TABLE) == 1
        assert store.amend_trades(trade(0, 1.0), TABLE, known=START + 500) == 1
        assert closes(store, 99)[0] == 9.0
        assert closes(store, 100)[0] == closes(reader, 100)[0] == 10.0
        table = store.revisions("BTC-USD", "1m", START)
        assert table["known"].isna().tolist() == [True, False]
        with store.reading() as connection:
            known = connection.execute("SELECT known FROM market_data ORDER BY ts").fetchall()
        assert [row[0] is None for row in known] == [False, True, True, True, True, True]
    SqliteStore(old).close()  # once is enough


def test_an_interrupted_migration_leaves_the_older_store(old: Path) -> None:
    connection = sqlite3.connect(old, isolation_level=None)
    connection.set_authorizer(
        lambda action, *_: (
            sqlite3.SQLITE_DENY if action == sqlite3.SQLITE_CREATE_TRIGGER else sqlite3.SQLITE_OK
        )
    )
    with pytest.raises(sqlite3.DatabaseError, match="not authorized"):
        schema.create(connection, "old.db")
    assert not connection.in_transaction
    assert schema.version(connection) == 2
    assert "known" not in [row[1] for row in connection.execute("PRAGMA table_info(bars)")]
    assert connection.execute("SELECT count(*) FROM market_data").fetchone() == (6,)
    connection.close()
    with SqliteStore(old) as store:
        assert closes(store) == [9.0, 9.0, 3.0, 4.0]


def test_a_migrated_store_has_the_tables_of_a_new_one(old: Path, tmp_path: Path) -> None:
    def columns(path: Path) -> dict[str, list[tuple[str, str, int, int]]]:
        connection = open_writer(path, full=False)
        names = connection.execute(
            "SELECT name FROM sqlite_master WHERE name NOT LIKE 'sqlite_%' ORDER BY name"
        ).fetchall()
        found = {
            name: [
                (row[1], row[2], row[3], row[5])
                for row in connection.execute(f"PRAGMA table_info({name})")
            ]
            for (name,) in names
        }
        connection.close()
        return found

    assert columns(old) == columns(tmp_path / "new.db")
