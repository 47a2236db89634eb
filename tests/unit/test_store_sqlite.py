"""The embedded store: what goes in comes out, once, in order."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from workbench.errors import (
    StoreError,
    StoreFullError,
    UnknownSymbolError,
    UnknownTimeframeError,
)
from workbench.records import BAR, CLOSED, FORMING, KINDS, REVISED, Batch, Kind, Rows, empty
from workbench.store.sqlite import SqliteStore
from workbench.store.store import Store, open_store
from workbench.symbols import SymbolTable

MINUTE = 60_000_000_000
START = 1_762_180_200_000_000_000  # 2025-11-03 14:30 UTC


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    with SqliteStore(tmp_path / "market.db") as opened:
        yield opened


def random_rows(kind: Kind, n: int, seed: int = 0) -> Rows:
    """Rows whose every field uses the whole range of its type, but symbol 0 and no NaN."""
    rng = np.random.default_rng(seed)
    rows = empty(kind, n)
    for name in rows.dtype.names or ():
        dtype = rows.dtype[name]
        if dtype.kind == "f":
            rows[name] = rng.standard_normal(n) * 10.0 ** rng.integers(-300, 300, n)
        elif name not in ("symbol", "padding"):
            limits = np.iinfo(dtype)
            rows[name] = rng.integers(limits.min, limits.max, n, dtype, endpoint=True)
    if kind == "bar":
        rows["timeframe"], rows["origin"] = 60, 0
        rows["state"] = rng.choice([CLOSED, REVISED], n)
    return rows


def bars(n: int, *, start: int = START, timeframe: int = 60, origin: int = 0) -> Rows:
    rows = empty("bar", n)
    rows["time"] = start + np.arange(n) * timeframe * 1_000_000_000
    rows["timeframe"], rows["origin"], rows["state"] = timeframe, origin, CLOSED
    for name in ("open", "high", "low", "close", "vwap"):
        rows[name] = 100.25 + np.arange(n)
    rows["volume"], rows["count"] = 10.0, 3
    return rows


def trades(n: int, *, start: int = START, symbol: int = 0) -> Rows:
    rows = empty("trade", n)
    rows["time"] = start + np.arange(n) * 1_000_000
    rows["received"] = rows["time"] + 5_000_000
    rows["id"] = np.arange(n) + 1
    rows["price"], rows["size"], rows["symbol"] = 100.5, 2.0, symbol
    return rows


@pytest.mark.parametrize("kind", ["trade", "quote", "bar"])
def test_every_field_comes_back_bit_for_bit(store: SqliteStore, kind: Kind) -> None:
    rows = random_rows(kind, 2_000)
    table = SymbolTable(["BTC-USD"])
    assert store.append(Batch(kind, rows), table) == len(rows)
    order = np.argsort(rows["time"])
    timeframe = "1m" if kind == "bar" else None
    back = store.rows(kind, "BTC-USD", timeframe=timeframe, cancelled=True)
    assert back.dtype == KINDS[kind]
    assert back.tobytes() == rows[order].tobytes()


def test_numbers_above_63_bits_sort_as_unsigned(store: SqliteStore) -> None:
    rows = trades(6)
    rows["time"] = START
    rows["sequence"] = [0, 1, (1 << 63) - 1, 1 << 63, (1 << 63) + 1, (1 << 64) - 1]
    rows["id"] = rows["sequence"][::-1]
    store.append(Batch("trade", rows[::-1].copy()), SymbolTable(["A"]))
    back = store.rows("trade", "A")
    assert back.tobytes() == rows.tobytes()
    assert store.rows("trade", "A", last=2).tobytes() == rows[-2:].tobytes()
    assert store.trades("A")["id"].dtype == np.uint64


def test_missing_vwap_stays_missing(store: SqliteStore) -> None:
    rows = bars(2)
    rows["vwap"] = [np.nan, 5.0]
    table = SymbolTable(["A"])
    assert store.append(Batch("bar", rows), table) == 2
    assert store.append(Batch("bar", rows.copy()), table) == 0
    back = store.rows("bar", "A", timeframe="1m")
    assert np.isnan(back["vwap"][0])
    assert back["vwap"][1] == 5.0


def test_repeated_trades_change_nothing(store: SqliteStore) -> None:
    rows = trades(10)
    table = SymbolTable(["A"])
    again = rows.copy()
    again["received"] += 1
    again["price"] = 1.0
    assert store.append(Batch("trade", rows), table) == 10
    assert store.append(Batch("trade", again), table) == 0
    assert store.rows("trade", "A").tobytes() == rows.tobytes()


def test_quotes_of_one_moment_are_all_kept_in_order_of_receipt(store: SqliteStore) -> None:
    rows = empty("quote", 3)
    rows["time"] = START
    rows["received"] = [START + 1, START + 2, START + 3]
    rows["bid"], rows["ask"] = [3.0, 1.0, 2.0], 4.0
    table = SymbolTable(["BTC-USD"])
    assert store.append(Batch("quote", rows), table) == 3
    assert store.append(Batch("quote", rows.copy()), table) == 0
    assert store.quotes("BTC-USD")["bid"].tolist() == [3.0, 1.0, 2.0]


def test_a_bar_is_overwritten_unless_the_new_one_is_older(store: SqliteStore) -> None:
    table = SymbolTable(["A"])
    first = bars(1)
    assert store.append(Batch("bar", first), table) == 1
    assert store.append(Batch("bar", first.copy()), table) == 0
    second = first.copy()
    second["close"], second["revision"], second["state"] = 7.0, 2, REVISED
    assert store.append(Batch("bar", second), table) == 1
    late = first.copy()
    late["close"], late["revision"] = 8.0, 1
    assert store.append(Batch("bar", late), table) == 0
    assert store.rows("bar", "A", timeframe=60).tobytes() == second.tobytes()


@pytest.mark.parametrize("state", [0, FORMING, 9])
def test_forming_bars_are_refused_and_nothing_of_the_batch_is_stored(
    store: SqliteStore, state: int
) -> None:
    rows = bars(3)
    rows["state"][1] = state
    with pytest.raises(ValueError, match="closed and revised"):
        store.append_many([Batch("trade", trades(2)), Batch("bar", rows)], SymbolTable(["A"]))
    assert store.info()["rows"] == {"trades": 0, "quotes": 0, "bars": 0}


def test_a_row_that_does_not_fit_undoes_the_transaction(store: SqliteStore) -> None:
    table = SymbolTable(["A", "B"])
    rows = trades(3, symbol=1)
    rows["price"][2] = np.nan
    with pytest.raises(ValueError, match=r"price"):
        store.append_many([Batch("trade", trades(3)), Batch("trade", rows)], table)
    assert len(store.trades("A")) == 0
    # The number given to the new symbol was undone too, and must not be remembered.
    rows = trades(3, symbol=1)
    assert store.append_many([Batch("trade", rows), Batch("trade", trades(3))], table) == 6
    assert len(store.trades("A")) == len(store.trades("B")) == 3


def test_numbers_without_a_symbol_are_refused(store: SqliteStore) -> None:
    with pytest.raises(ValueError, match="no symbol has number 5"):
        store.append(Batch("trade", trades(1, symbol=5)), SymbolTable(["A"]))


def test_own_bars_hide_the_providers_of_the_same_series(store: SqliteStore) -> None:
    table = SymbolTable(["A", "B"])
    given = bars(4, origin=1)
    own = bars(2)
    own["close"] = 1.0
    other = bars(3, origin=1)
    other["symbol"] = 1
    store.append_many([Batch("bar", rows) for rows in (given, own, other)], table)
    assert store.bars("A", "1m")["close"].tolist() == [1.0, 1.0]
    assert len(store.bars("A", "1m", origin=1)) == 4
    assert len(store.bars("B", "1m")) == 3
    assert len(store.bars("B", "1m", origin=0)) == 0


def test_ranges_are_half_open_and_last_takes_the_newest(store: SqliteStore) -> None:
    store.append(Batch("bar", bars(10)), SymbolTable(["A"]))
    frame = store.bars("A", "1m", start="2025-11-03 14:31", end="2025-11-03T14:34:00Z")
    assert frame.index.strftime("%H:%M").tolist() == ["14:31", "14:32", "14:33"]
    frame = store.bars("A", "1m", end=pd.Timestamp("2025-11-03 14:34"), last=2)
    assert frame.index.strftime("%H:%M").tolist() == ["14:32", "14:33"]
    assert len(store.bars("A", "1m", last=100)) == 10
    assert len(store.bars("A", "1m", last=0)) == 0
    with pytest.raises(ValueError, match="last"):
        store.bars("A", "1m", last=-1)


@pytest.mark.parametrize("last", [None, 7, 23, 500])
def test_long_reads_go_page_by_page(
    store: SqliteStore, last: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from workbench.store import queries
    from workbench.store.layout import LAYOUTS
    from workbench.store.statements import Range

    rows = trades(100)
    rows["time"] = START + np.arange(100) // 9
    rows["sequence"] = np.arange(100) % 3
    store.append(Batch("trade", rows), SymbolTable(["A"]))
    whole = store.rows("trade", "A", last=last)
    with sqlite3.connect(store.path) as connection:
        paged = queries.read(connection, LAYOUTS["trade"], (1,), Range(last=last), symbol=0, page=7)
    connection.close()
    assert len(paged) == min(100, last or 100)
    assert paged.tobytes() == whole.tobytes()


def test_what_is_not_stored_is_empty_with_the_same_columns(store: SqliteStore) -> None:
    table = SymbolTable(["A"])
    store.append(Batch("bar", bars(1)), table)
    store.append(Batch("trade", trades(1)), table)
    quote = empty("quote", 1)
    store.append(Batch("quote", quote), table)
    for full, none in (
        (store.bars("A", "1m"), store.bars("ZZZ", "1m")),
        (store.bars("A", "1m"), store.bars("A", "2m")),
        (store.trades("A"), store.trades("X:BTCUSD")),
        (store.quotes("A"), store.quotes("ZZZ")),
    ):
        assert len(full) == 1
        assert len(none) == 0
        pd.testing.assert_frame_equal(full.iloc[:0], none)
        assert str(none.index.dtype) == "datetime64[ns, UTC]"
        assert none.index.name == "time"


def test_wrong_spellings_are_our_errors(store: SqliteStore) -> None:
    with pytest.raises(UnknownSymbolError):
        store.trades("no such symbol!")
    with pytest.raises(UnknownSymbolError):
        store.coverage("")
    with pytest.raises(UnknownTimeframeError):
        store.bars("A", "1fortnight")
    with pytest.raises(UnknownTimeframeError):
        store.rows("bar", "A")
    with pytest.raises(ValueError, match="not a time"):
        store.bars("A", "1m", start="yesterdayish")
    with pytest.raises(ValueError, match="kind"):
        store.rows("book", "A")  # type: ignore[arg-type]


def test_symbols_are_found_in_any_spelling_and_numbered_by_the_callers_table(
    store: SqliteStore,
) -> None:
    store.append(Batch("trade", trades(2)), SymbolTable(["BTC-USD"]))
    table = SymbolTable(["ETH-USD"])
    assert store.rows("trade", "X:BTC-USD", table=table)["symbol"].tolist() == [1, 1]
    assert table.names() == ("ETH-USD", "BTC-USD")
    assert store.rows("trade", "btc-usd")["symbol"].tolist() == [0, 0]


def test_symbols_and_coverage_tell_what_is_there(store: SqliteStore) -> None:
    table = SymbolTable(["BTC-USD", "AAPL"])
    assert len(store.symbols()) == len(store.coverage()) == 0
    store.append(Batch("trade", trades(5)), table)
    store.append(Batch("trade", trades(3, symbol=1)), table)
    store.append_many(
        [Batch("bar", bars(4)), Batch("bar", bars(2, timeframe=300, origin=1))], table
    )
    symbols = store.symbols()
    assert symbols.index.tolist() == ["AAPL", "BTC-USD"]
    row = symbols.loc["BTC-USD"]
    assert (row["trades"], row["quotes"], row["bars"]) == (5, 0, 6)
    assert (row["asset_class"], row["timeframes"]) == ("crypto", "1m 5m")
    assert row["last"] == pd.Timestamp(START + 5 * MINUTE, tz="UTC")
    cover = store.coverage()
    assert list(cover.columns) == [
        "symbol", "kind", "timeframe", "origin", "first", "last", "rows",
    ]  # fmt: skip
    assert cover["rows"].tolist() == [3, 4, 2, 5]
    one = store.coverage("BTC-USD")
    assert one[["kind", "timeframe", "origin"]].values.tolist() == [
        ["bar", "1m", "own"],
        ["bar", "5m", "provider"],
        ["trade", "", ""],
    ]
    assert one.dtypes.equals(store.coverage("ZZZ").dtypes)
    assert store.info()["rows"] == {"trades": 8, "quotes": 0, "bars": 6}


def test_it_shows_itself_in_a_notebook(store: SqliteStore) -> None:
    store.append(Batch("bar", bars(2)), SymbolTable(["BTC-USD"]))
    assert "market.db" in repr(store)
    shown = store._repr_html_()
    assert "<td>BTC-USD</td>" in shown
    assert "2025-11-03 14:31:00" in shown
    store.close()
    assert "closed" in repr(store)
    assert "closed" in store._repr_html_()


def test_info_names_sizes_and_versions(store: SqliteStore) -> None:
    store.append(Batch("trade", trades(100)), SymbolTable(["A"]))
    info = store.info()
    assert info["sqlite_version"] == sqlite3.sqlite_version
    assert info["schema_version"] == 3
    assert info["bytes"] + info["wal_bytes"] > 8192
    assert store.wal_bytes == info["wal_bytes"]


def test_a_full_store_takes_nothing_and_goes_on_with_space(store: SqliteStore) -> None:
    table = SymbolTable(["A"])
    store.append(Batch("trade", trades(10)), table)
    store.limit(1)
    with pytest.raises(StoreFullError, match="no space"):
        store.append(Batch("trade", trades(50_000, start=START + MINUTE)), table)
    assert len(store.trades("A")) == 10
    store.limit(None)
    assert store.append(Batch("trade", trades(50_000, start=START + MINUTE)), table) == 50_000


def test_ten_threads_read_while_one_writes(store: SqliteStore) -> None:
    table = SymbolTable(["A"])
    store.append(Batch("trade", trades(100)), table)
    stop = threading.Event()
    wrong: list[str] = []

    def read() -> None:
        seen = 0
        while not stop.is_set():
            rows = store.rows("trade", "A")
            if len(rows) < seen or len(rows) % 100 or (np.diff(rows["time"]) <= 0).any():
                wrong.append(f"{len(rows)} after {seen}")
            seen = len(rows)

    readers = [threading.Thread(target=read) for _ in range(10)]
    for reader in readers:
        reader.start()
    for group in range(1, 40):
        store.append(Batch("trade", trades(100, start=START + group * MINUTE)), table)
    stop.set()
    for reader in readers:
        reader.join()
    assert not wrong
    assert len(store.trades("A")) == 4_000


def test_a_store_opened_for_reading_is_never_written(tmp_path: Path) -> None:
    with SqliteStore(tmp_path / "m.db") as writer:
        writer.append(Batch("trade", trades(3)), SymbolTable(["A"]))
        with SqliteStore(tmp_path / "m.db", mode="ro") as reader:
            assert len(reader.trades("A")) == 3
            writer.append(Batch("trade", trades(3, start=START + MINUTE)), SymbolTable(["A"]))
            assert len(reader.trades("A")) == 6
            with pytest.raises(StoreError, match='mode="ro"'):
                reader.append(Batch("trade", trades(1)), SymbolTable(["A"]))
            with reader._readers.take() as connection, pytest.raises(sqlite3.OperationalError):
                connection.execute("DELETE FROM trades")


def test_a_closed_store_says_so(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "m.db")
    store.close()
    store.close()
    with pytest.raises(StoreError, match="was closed"):
        store.trades("A")
    with pytest.raises(StoreError, match="was closed"):
        store.append(Batch("trade", trades(1)), SymbolTable(["A"]))


def test_it_is_a_store(store: SqliteStore) -> None:
    contract: Store = store
    assert isinstance(contract, Store)


def test_durability_is_the_pragma(tmp_path: Path) -> None:
    for durability, level in (("full", 2), ("normal", 1)):
        with open_store(tmp_path / f"{durability}.db", durability=durability) as store:  # type: ignore[arg-type]
            assert isinstance(store, SqliteStore)
            assert store._write is not None
            assert store._write.execute("PRAGMA synchronous").fetchone() == (level,)
            assert store._write.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_dtype_of_a_bar_is_whole() -> None:
    from workbench.store.layout import LAYOUTS

    for kind, layout in LAYOUTS.items():
        assert set(layout.columns) | {"symbol", "padding"} >= set(KINDS[kind].names or ())
    assert LAYOUTS["bar"].dtype == BAR
